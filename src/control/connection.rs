//! The pass over a `PlatformConnection`: is its credential there, and does it work?

use std::{sync::Arc, time::Duration};

use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use url::Url;

use super::{
    Context, PassError, Settings, Shared,
    events::Tone,
    jittered,
    secrets::SecretState,
    tenants::{Changed, Checked, ConnectionKey, Standing, Tenant},
};
use crate::{
    api::{
        ConditionType, Desired, PlatformConnection, PlatformConnectionSpec,
        PlatformConnectionStatus, Reason, SandboxStatus, Target, Tristate, find, is_true, merge,
        whole_second,
    },
    decide::{
        Cause, Need,
        connection::{Before, Check, Facts, Failure, Plan, Situation, decide},
    },
    platform::{self, Consequence, Credential, CredentialPart, Platform, PlatformError},
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
/// How soon something that only Adobe's side can mend is looked at again.
const WRONG_AGAIN: Duration = Duration::from_mins(2);

/// What a pass found out, beside the facts.
struct Seen {
    facts: Facts,
    /// The client to ask with, once the credential is there.
    tenant: Option<Tenant>,
}

/// A pass over a connection.
///
/// # Errors
///
/// What the API server refuses.
pub async fn pass(connection: &PlatformConnection, context: &Context) -> Result<Action, PassError> {
    let shared = &context.shared;
    let key = key(connection)?;
    let mut seen = observe(connection, &key, shared);
    loop {
        match decide(&seen.facts) {
            Plan::Check => check(&mut seen, connection, &key).await,
            Plan::Settle(situation) => {
                let expires = match (&situation, &seen.tenant) {
                    // From the cache: the check has just needed it.
                    (Situation::Ready(_), Some(tenant)) => {
                        tenant.platform.authenticate().await.ok().flatten()
                    }
                    (_, Some(_) | None) => None,
                };
                settle(connection, context, &key, seen, &situation);
                let now = jiff::Timestamp::now();
                let status = report(connection, &situation, expires, now);
                announce(connection, shared, &status).await;
                context.write_status(connection, status).await?;
                return Ok(again(&situation, connection, shared));
            }
        }
    }
}

fn key(connection: &PlatformConnection) -> Result<ConnectionKey, PassError> {
    let namespace = connection
        .namespace()
        .ok_or(PassError::Incomplete("namespace"))?;
    Ok(ConnectionKey {
        namespace,
        name: connection.name_any(),
    })
}

fn observe(connection: &PlatformConnection, key: &ConnectionKey, shared: &Shared) -> Seen {
    let before = match &connection.status {
        Some(status) if is_true(&status.conditions, ConditionType::Ready) => Before::Ready,
        Some(_) | None => Before::NotReady,
    };
    let (credential, tenant) = match client(connection, key, shared) {
        Need::Met(tenant) => (Need::Met(()), Some(tenant)),
        Need::Waiting(cause) => (Need::Waiting(cause), None),
        Need::Wrong(cause) => (Need::Wrong(cause), None),
    };
    // Only a check that found nothing wrong is believed for a while.
    let check = match &tenant {
        Some(Tenant {
            standing: Standing::Ready,
            checked: Some(checked),
            ..
        }) => match &checked.result {
            Ok(sandboxes) if checked.at.elapsed() < shared.settings.recheck => {
                Check::Sandboxes(sandboxes.clone())
            }
            Ok(_) | Err(_) => Check::Due,
        },
        Some(_) | None => Check::Due,
    };
    let sandbox = connection.spec.sandbox.clone();
    Seen {
        facts: Facts {
            sandbox,
            credential,
            check,
            before,
        },
        tenant,
    }
}

/// The client for a connection: the one that is there, if spec and credential are the same.
fn client(connection: &PlatformConnection, key: &ConnectionKey, shared: &Shared) -> Need<Tenant> {
    let spec = &connection.spec;
    let endpoints = match endpoints(spec, &shared.settings) {
        Ok(endpoints) => endpoints,
        Err(cause) => return Need::Wrong(cause),
    };
    let Some(name) = spec.auth.secret_name() else {
        return Need::wrong(
            Reason::SecretKeyInvalid,
            "auth names no Secret: write oauthServerToServer or accessToken",
        );
    };
    let reference = ObjectRef::from_obj(connection);
    let credential = match shared.secrets.follow(&reference, &key.namespace, name) {
        SecretState::Loading => {
            return Need::waiting(Reason::SecretNotFound, format!("reading Secret {name}"));
        }
        SecretState::Missing => {
            return Need::waiting(Reason::SecretNotFound, missing(spec, key, name));
        }
        SecretState::Unreadable(why) => {
            return Need::wrong(
                Reason::SecretUnreadable,
                format!(
                    "the operator may not read Secret {name} in namespace {}: {why}; grant its \
                     ServiceAccount get and watch on this Secret",
                    key.namespace
                ),
            );
        }
        SecretState::Present(values) => {
            let value = |wanted: &'static str| {
                let text = values.get(wanted).map(Option::as_ref);
                usable(text, wanted, name, &key.namespace)
            };
            match credential(spec, value) {
                Ok(credential) => credential,
                Err(cause) => return Need::Wrong(cause),
            }
        }
    };
    let stamp = stamp(spec, &endpoints, &credential);
    if let Some(tenant) = shared
        .tenants
        .get(key)
        .filter(|tenant| tenant.stamp == stamp)
    {
        return Need::Met(tenant);
    }
    let target = Target {
        platform: origin(&endpoints.platform),
        organization_id: spec.organization_id.clone(),
        sandbox: spec.sandbox.clone(),
        dataset_id: None,
    };
    match build(spec, endpoints, credential, shared) {
        Ok(platform) => {
            let standing = Standing::NotReady;
            Need::Met(Tenant {
                stamp,
                platform,
                target,
                checked: None,
                standing,
            })
        }
        Err(error) => Need::wrong(Reason::SecretKeyInvalid, error.to_string()),
    }
}

fn build(
    spec: &PlatformConnectionSpec,
    endpoints: platform::Endpoints,
    credential: Credential,
    shared: &Shared,
) -> Result<Platform, platform::PlatformError> {
    let metrics = Arc::clone(&shared.metrics);
    let mut settings = platform::Settings::new(
        endpoints,
        spec.organization_id.clone(),
        spec.sandbox.clone(),
        credential,
    );
    settings.timeouts = shared.settings.timeouts;
    settings
        .extra_root_certificates
        .clone_from(&shared.settings.certificates);
    settings.observer = Some(Arc::new(move |call| metrics.call(call)));
    Platform::new(settings, platform::PlatformClock::system())
}

fn missing(spec: &PlatformConnectionSpec, key: &ConnectionKey, name: &str) -> String {
    let keys = if spec.auth.oauth_server_to_server.is_some() {
        ["client_id", "client_secret"]
    } else {
        ["access_token", "api_key"]
    };
    format!(
        "Secret {name} is not in namespace {ns}: create it with kubectl -n {ns} create secret \
         generic {name} --from-literal={}=… --from-literal={}=…",
        keys[0],
        keys[1],
        ns = key.namespace,
    )
}

/// The value of a key, or what is wrong with it: `None` for a key that is not there, and within,
/// `None` for a value that is not text.
fn usable(
    value: Option<Option<&SecretString>>,
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
        Some(None) => Err(wrong(&format!("has a key {key} whose value is not text"))),
        Some(Some(text)) if text.expose_secret().trim().is_empty() => {
            Err(wrong(&format!("has an empty key {key}")))
        }
        Some(Some(text)) if text.expose_secret().chars().any(char::is_control) => Err(wrong(
            &format!("has a key {key} whose value holds a line break or control character"),
        )),
        Some(Some(text)) => Ok(text.clone()),
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
    spec: &PlatformConnectionSpec,
    value: impl Fn(&'static str) -> Result<SecretString, Cause>,
) -> Result<Credential, Cause> {
    if let Some(oauth) = &spec.auth.oauth_server_to_server {
        let scopes = oauth.scopes.clone();
        Ok(Credential::OAuthServerToServer {
            client_id: value("client_id")?.expose_secret().to_owned(),
            client_secret: value("client_secret")?,
            scopes: scopes.unwrap_or_else(|| SCOPES.map(str::to_owned).to_vec()),
        })
    } else {
        Ok(Credential::AccessToken {
            access_token: value("access_token")?,
            api_key: value("api_key")?.expose_secret().to_owned(),
        })
    }
}

/// The endpoints, if this operator may call them.
fn endpoints(
    spec: &PlatformConnectionSpec,
    settings: &Settings,
) -> Result<platform::Endpoints, Cause> {
    let named = spec.endpoints.as_ref();
    let platform = named
        .and_then(|e| e.platform.as_deref())
        .unwrap_or(PLATFORM);
    let ims = named.and_then(|e| e.ims.as_deref()).unwrap_or(IMS);
    Ok(platform::Endpoints {
        platform: allowed(platform, settings)?,
        ims: allowed(ims, settings)?,
    })
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
    if !allowed_hosts
        .iter()
        .any(|allowed| allowed.eq_ignore_ascii_case(host))
    {
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

/// Scheme, host and port: a URL as a person writes it, without the path that the parser adds.
fn origin(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn stamp(
    spec: &PlatformConnectionSpec,
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
    add(&spec.organization_id);
    add(&spec.sandbox);
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
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Asks the platform whether the credential works and which sandboxes it sees.
async fn check(seen: &mut Seen, connection: &PlatformConnection, key: &ConnectionKey) {
    let Seen {
        facts,
        tenant: Some(tenant),
    } = seen
    else {
        return;
    };
    let result = tenant.platform.sandboxes().await;
    facts.check = match &result {
        Ok(sandboxes) => Check::Sandboxes(sandboxes.clone()),
        Err(error) => Check::Failed(failure(error, connection, key)),
    };
    tenant.checked = Some(Checked {
        at: Instant::now(),
        result,
    });
}

/// An error of the platform, with the remedy where the Secret holds it.
fn failure(error: &PlatformError, connection: &PlatformConnection, key: &ConnectionKey) -> Failure {
    let failure = Failure::from(error);
    let auth = &connection.spec.auth;
    let culprit = match (failure.consequence, auth.access_token.is_some()) {
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
        (Consequence::Unauthenticated, true) => "access_token",
        (Consequence::Unauthenticated, false) => "client_id",
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
    let secret = auth.secret_name().unwrap_or_default();
    let wanted = if culprit.contains(' ') {
        "client_secret"
    } else {
        culprit
    };
    let remedy = remedy(&key.namespace, secret, wanted);
    let message = format!(
        "{}: {culprit} of Secret {secret} is wrong: {remedy}",
        failure.message
    );
    Failure { message, ..failure }
}

/// Lets others use the client, or not, and tells those that wait for it.
fn settle(
    connection: &PlatformConnection,
    context: &Context,
    key: &ConnectionKey,
    seen: Seen,
    situation: &Situation,
) {
    let shared = &context.shared;
    let changed = match (situation, seen.tenant) {
        (Situation::Ready(_) | Situation::Shaken(_), Some(mut tenant)) => {
            tenant.standing = Standing::Ready;
            shared.tenants.set(key.clone(), tenant)
        }
        // A client whose credential turned out wrong takes the place of the one before all the
        // same: that one's credential is no longer what the user says.
        (Situation::Waiting(_) | Situation::Wrong(_), Some(mut tenant)) => {
            tenant.standing = Standing::NotReady;
            shared.tenants.set(key.clone(), tenant)
        }
        // The Secret is gone or unusable: what was begun goes on with what is in memory.
        (_, None) => shared.tenants.suspend(key),
    };
    if changed == Changed::Yes {
        context.wake_users_of(&connection.name_any(), &key.namespace);
    }
}

fn report(
    connection: &PlatformConnection,
    situation: &Situation,
    expires: Option<jiff::Timestamp>,
    now: jiff::Timestamp,
) -> PlatformConnectionStatus {
    let before = connection.status.clone().unwrap_or_default();
    let ready = |status, reason, message: &str| Desired {
        type_: ConditionType::Ready,
        status,
        reason,
        message: message.to_owned(),
    };
    let abnormal = |type_, cause: &Cause| Desired {
        type_,
        status: Tristate::True,
        reason: cause.reason,
        message: cause.message.clone(),
    };
    let verified = "the credential works and sees the sandbox";
    let (desired, sandbox) = match situation {
        Situation::Ready(sandbox) => {
            let platform::Sandbox {
                name,
                kind,
                state,
                region,
            } = sandbox.clone();
            let shown = SandboxStatus {
                name,
                type_: kind,
                state,
                region,
            };
            (
                vec![ready(Tristate::True, Reason::Verified, verified)],
                Some(shown),
            )
        }
        Situation::Shaken(cause) => (
            vec![
                ready(Tristate::True, Reason::Verified, verified),
                abnormal(ConditionType::Reconciling, cause),
            ],
            before.sandbox.clone(),
        ),
        Situation::Waiting(cause) => (
            vec![
                ready(Tristate::False, cause.reason, &cause.message),
                abnormal(ConditionType::Reconciling, cause),
            ],
            before.sandbox.clone(),
        ),
        Situation::Wrong(cause) => (
            vec![
                ready(Tristate::False, cause.reason, &cause.message),
                abnormal(ConditionType::Stalled, cause),
            ],
            before.sandbox.clone(),
        ),
    };
    let generation = connection.metadata.generation;
    PlatformConnectionStatus {
        observed_generation: generation,
        conditions: merge(&before.conditions, desired, generation, now),
        sandbox,
        token_expires_at: expires.map(whole_second),
    }
}

/// An event when `Ready` changes its reason.
async fn announce(
    connection: &PlatformConnection,
    shared: &Shared,
    status: &PlatformConnectionStatus,
) {
    let reason = |conditions: &[_]| {
        find(conditions, ConditionType::Ready)
            .map(|ready| (ready.status.clone(), ready.reason.clone()))
    };
    let before = connection
        .status
        .as_ref()
        .and_then(|status| reason(&status.conditions));
    let Some(ready) = find(&status.conditions, ConditionType::Ready) else {
        return;
    };
    if before == Some((ready.status.clone(), ready.reason.clone())) {
        return;
    }
    let stalled = is_true(&status.conditions, ConditionType::Stalled);
    let tone = if stalled { Tone::Warning } else { Tone::Normal };
    if let Some(reason) = Reason::parse(&ready.reason) {
        shared
            .events
            .publish(connection, tone, "Verify", reason, &ready.message)
            .await;
    }
}

fn again(situation: &Situation, connection: &PlatformConnection, shared: &Shared) -> Action {
    let uid = connection.uid().unwrap_or_default();
    match situation {
        Situation::Ready(_) => {
            shared.retries.forget(&uid);
            Action::requeue(jittered(shared.settings.recheck))
        }
        Situation::Shaken(_) => Action::requeue(shared.retries.failed(&uid, None)),
        Situation::Waiting(cause) => match cause.reason {
            // The Secret is watched.
            Reason::SecretNotFound => Action::await_change(),
            _ => Action::requeue(shared.retries.failed(&uid, None)),
        },
        Situation::Wrong(cause) => match cause.reason {
            // Only the Secret or the object itself can mend these, and both are watched.
            Reason::SecretKeyInvalid | Reason::SecretUnreadable | Reason::HostNotAllowed => {
                Action::await_change()
            }
            _ => Action::requeue(jittered(WRONG_AGAIN)),
        },
    }
}
