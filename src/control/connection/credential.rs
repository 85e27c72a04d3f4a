//! The credential of a connection: from Secret and spec to what the platform's client takes, and
//! back from an error to the key that is wrong.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::Url;

use super::super::{
    Settings, Shared,
    secrets::{SecretState, SecretValue},
    tenants::ConnectionKey,
};
use crate::{
    api::{Access, Form, Reason, Target, Terms},
    decide::{Cause, Need, connection::Failure, request::hexadecimal},
    governor::{Account, Allowance},
    platform::{self, Consequence, Credential, CredentialPart, PlatformError},
    rights::SECRETS,
};

/// Adobe's own hosts, where `endpoints` names none.
const PLATFORM: &str = "https://platform.adobe.io";
const IMS: &str = "https://ims-na1.adobelogin.com";
/// The scopes of the documents' samples, where `scopes` names none.
const SCOPES: [&str; 5] = [
    "openid",
    "AdobeID",
    "read_organizations",
    "additional_info.projectedProductContext",
    "session",
];

/// The credential in the connection's Secret. None before the watch of it has answered.
pub(super) fn secret(
    terms: &Terms,
    key: &ConnectionKey,
    shared: &Shared,
) -> Option<Need<Credential>> {
    let Some(access) = &terms.access else {
        return Some(Need::wrong(
            Reason::SecretKeyInvalid,
            "auth names no Secret: write oauthServerToServer or accessToken",
        ));
    };
    let (namespace, name) = (home(access, key), access.secret);
    match shared.secrets.follow(key, namespace, name) {
        SecretState::Loading => None,
        SecretState::Missing => {
            let message = missing(access, namespace);
            Some(Need::waiting(Reason::SecretNotFound, message))
        }
        SecretState::Unreadable(why) => Some(Need::wrong(
            Reason::SecretUnreadable,
            format!(
                "the operator cannot watch Secret {name} in namespace {namespace}: {why}; its \
                 ServiceAccount needs the verb watch on this Secret, which the chart's value \
                 {SECRETS} grants, and the API server streaming lists (Kubernetes 1.34)"
            ),
        )),
        SecretState::Present(values) => {
            let value = |wanted| usable(values.get(wanted), wanted, name, namespace);
            Some(match credential(access, value) {
                Ok(credential) => Need::Met(credential),
                Err(cause) => Need::Wrong(cause),
            })
        }
    }
}

/// Where a connection's Secret is: in the connection's own namespace, whatever it says; of a
/// connection of the cluster, where that says.
fn home<'a>(access: &Access<'a>, key: &'a ConnectionKey) -> &'a str {
    let own = key.namespace.as_deref();
    own.or(access.namespace).unwrap_or_default()
}

fn missing(access: &Access, ns: &str) -> String {
    let name = access.secret;
    let keys = match access.form {
        Form::OAuthServerToServer(_) => ["client_id", "client_secret"],
        Form::AccessToken => ["access_token", "api_key"],
    };
    format!(
        "Secret {name} is not in namespace {ns}: create it with kubectl -n {ns} create secret \
         generic {name} --from-literal={}=… --from-literal={}=…",
        keys[0], keys[1],
    )
}

/// The value of a key, or what is wrong with it.
fn usable(
    value: Option<&SecretValue>,
    key: &'static str,
    secret: &str,
    namespace: &str,
) -> Result<SecretString, Cause> {
    let wrong = |what: &str| {
        Cause::new(
            Reason::SecretKeyInvalid,
            format!(
                "Secret {secret} in namespace {namespace} {what}: {}",
                remedy(namespace, secret, key)
            ),
        )
    };
    match value {
        None => Err(wrong(&format!("has no key {key}"))),
        Some(SecretValue::Bytes) => Err(wrong(&format!("has a key {key} whose value is not text"))),
        Some(SecretValue::Text(text)) if text.expose_secret().trim().is_empty() => {
            Err(wrong(&format!("has an empty key {key}")))
        }
        Some(SecretValue::Text(text)) if text.expose_secret().chars().any(char::is_control) => {
            Err(wrong(&format!(
                "has a key {key} whose value holds a line break or control character"
            )))
        }
        Some(SecretValue::Text(text)) => Ok(text.clone()),
    }
}

/// How to put a value right.
fn remedy(namespace: &str, secret: &str, key: &str) -> String {
    format!(
        "set it with kubectl -n {namespace} patch secret {secret} -p \
         '{{\"stringData\":{{\"{key}\":\"…\"}}}}'"
    )
}

fn credential(
    access: &Access,
    value: impl Fn(&'static str) -> Result<SecretString, Cause>,
) -> Result<Credential, Cause> {
    match access.form {
        Form::OAuthServerToServer(scopes) => Ok(Credential::OAuthServerToServer {
            client_id: value("client_id")?.expose_secret().to_owned(),
            client_secret: value("client_secret")?,
            scopes: scopes.map_or_else(|| SCOPES.map(str::to_owned).to_vec(), <[_]>::to_vec),
        }),
        Form::AccessToken => Ok(Credential::AccessToken {
            access_token: value("access_token")?,
            api_key: value("api_key")?.expose_secret().to_owned(),
        }),
    }
}

/// The endpoints, if this operator may call them.
pub(super) fn endpoints(terms: &Terms, settings: &Settings) -> Result<platform::Endpoints, Cause> {
    let named = terms.endpoints;
    let platform = named
        .and_then(|e| e.platform.as_deref())
        .unwrap_or(PLATFORM);
    let ims = named.and_then(|e| e.ims.as_deref()).unwrap_or(IMS);
    Ok(platform::Endpoints {
        platform: allowed(platform, settings)?,
        ims: allowed(ims, settings)?,
    })
}

/// Where a connection goes, whether or not this operator may call it.
pub(super) fn target(terms: &Terms) -> Target {
    let named = terms.endpoints;
    let platform = named.and_then(|e| e.platform.as_deref());
    let platform = platform.unwrap_or(PLATFORM);
    Target {
        platform: Url::parse(platform).map_or_else(|_| platform.to_owned(), |url| origin(&url)),
        organization_id: terms.organization_id.to_owned(),
        sandbox: terms.sandbox.to_owned(),
        dataset_id: None,
    }
}

/// Whose budget it is: Adobe's gateway counts by the API key.
pub(super) fn account(terms: &Terms, credential: &Credential) -> Account {
    let api_key = match credential {
        Credential::OAuthServerToServer { client_id, .. } => client_id,
        Credential::AccessToken { api_key, .. } => api_key,
    };
    Account {
        endpoint: target(terms).platform,
        api_key: api_key.clone(),
    }
}

/// What the connection's budget allows.
pub(super) fn allowance(terms: &Terms) -> Allowance {
    Allowance {
        requests_per_minute: terms.requests_per_minute(),
        max_running_exports: terms.max_running_exports(),
    }
}

/// Scheme, host and port: a URL as a person writes it, without the path that the parser adds.
fn origin(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn allowed(endpoint: &str, settings: &Settings) -> Result<Url, Cause> {
    let Settings {
        allowed_hosts,
        allow_http,
        ..
    } = settings;
    let wrong = |message: String| Cause::new(Reason::HostNotAllowed, message);
    let url = Url::parse(endpoint)
        .map_err(|error| wrong(format!("endpoint {endpoint} is not a URL: {error}")))?;
    let host = url.host_str().unwrap_or_default();
    if !allowed_hosts.iter().any(|allowed| allowed == host) {
        return Err(wrong(format!(
            "host {host} is not on this operator's allow list ({}): use one of these, or ask who \
             runs the operator to add it to --allowed-hosts",
            allowed_hosts.join(", ")
        )));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if *allow_http => Ok(url),
        _ => Err(wrong(format!(
            "endpoint {endpoint} is not https: write https://{host}"
        ))),
    }
}

/// A digest of all that makes a client what it is: another one calls for another client.
pub(super) fn stamp(
    terms: &Terms,
    endpoints: &platform::Endpoints,
    credential: &Credential,
) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update(part.as_bytes());
        hash.update([0]);
    };
    add(endpoints.platform.as_str());
    add(endpoints.ims.as_str());
    add(terms.organization_id);
    add(terms.sandbox);
    match credential {
        Credential::OAuthServerToServer {
            client_id,
            client_secret,
            scopes,
        } => {
            add(client_id);
            add(client_secret.expose_secret());
            add(&scopes.join(","));
        }
        Credential::AccessToken {
            access_token,
            api_key,
        } => {
            add(access_token.expose_secret());
            add(api_key);
        }
    }
    hexadecimal(&hash.finalize())
}

/// An error of the platform, with the remedy where the Secret holds it.
pub(super) fn failure(error: &PlatformError, terms: &Terms, key: &ConnectionKey) -> Failure {
    let failure = Failure::from(error);
    let Some(access) = &terms.access else {
        return failure;
    };
    let culprit = match (failure.consequence, access.form) {
        (Consequence::CredentialRejected(CredentialPart::Scopes), _) => {
            return Failure {
                message: format!(
                    "{}: correct spec.auth.oauthServerToServer.scopes",
                    failure.message
                ),
                ..failure
            };
        }
        (Consequence::CredentialRejected(CredentialPart::ClientId), _) => "client_id",
        (Consequence::CredentialRejected(CredentialPart::ClientSecret), _) => "client_secret",
        (Consequence::CredentialRejected(CredentialPart::Unnamed), _) => {
            "client_id or client_secret"
        }
        (Consequence::Unauthenticated, Form::AccessToken) => "access_token",
        (Consequence::Unauthenticated, Form::OAuthServerToServer(_)) => "client_id",
        (
            Consequence::Retry
            | Consequence::Throttled { retry_after: _ }
            | Consequence::Forbidden
            | Consequence::NotFound
            | Consequence::Rejected
            | Consequence::Redirected
            | Consequence::NotSent
            | Consequence::InDoubt
            | Consequence::Refused(_)
            | Consequence::Misconfigured { setting: _ },
            _,
        ) => return failure,
    };
    let secret = access.secret;
    let wanted = if culprit.contains(' ') {
        "client_secret"
    } else {
        culprit
    };
    let remedy = remedy(home(access, key), secret, wanted);
    let message = format!(
        "{}: {culprit} of Secret {secret} is wrong: {remedy}",
        failure.message
    );
    Failure { message, ..failure }
}
