//! One tenant of the platform: its settings and its clients.

use std::{fmt, sync::Arc, time::Duration};

use http::HeaderValue;
use jiff::Timestamp;
use reqwest::{Certificate, Client, ClientBuilder, redirect, retry};
use secrecy::SecretString;
use url::Url;

use super::{
    auth::Tokens,
    clock::PlatformClock,
    error::{Consequence, Fault, PlatformError},
    transport::{CallRecord, Transport},
};
use crate::governor::{Budget, Caller, Denied, Lane, Permit};

/// How long an idle connection is kept. Shorter than what gateways keep theirs (60 s and more),
/// so that a call seldom meets a connection that is just being closed.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// How many idle connections are kept to a host. Polls need one; what many calls at a time opened
/// beyond these is closed after them, so that a burst leaves few behind.
const POOL_MAX_IDLE: usize = 4;

/// How long sent data may stay unacknowledged. It bounds how late a submission that the kernel
/// has taken can still arrive: what is unacknowledged then is dropped with its connection.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

/// What makes one tenant: where it is, whose it is and who asks.
#[derive(Clone)]
pub struct Settings {
    /// Where the platform and IMS are.
    pub endpoints: Endpoints,
    /// The organisation, as `…@AdobeOrg`.
    pub organization_id: String,
    /// The sandbox's name.
    pub sandbox: String,
    /// Who asks.
    pub credential: Credential,
    /// How long calls may take.
    pub timeouts: Timeouts,
    /// The User-Agent header.
    pub user_agent: String,
    /// Root certificates, trusted besides the machine's own.
    pub extra_root_certificates: Vec<Certificate>,
    /// Told of every HTTP call, once it has ended.
    pub observer: Option<Observer>,
    /// Asked before every call but those to IMS; none: nobody counts them.
    pub budget: Option<Arc<Budget>>,
    /// Who calls where nothing else is said.
    pub caller: Caller,
}

/// Told of every HTTP call, once it has ended.
pub type Observer = Arc<dyn Fn(&CallRecord) + Send + Sync>;

/// Base URLs. The paths of the APIs are appended to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The platform's gateway, as `https://platform.adobe.io`.
    pub platform: Url,
    /// Adobe IMS, as `https://ims-na1.adobelogin.com`.
    pub ims: Url,
}

/// Who asks. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub enum Credential {
    /// OAuth server-to-server: IMS gives an access token for it.
    OAuthServerToServer {
        /// The client id; also the API key of every call.
        client_id: String,
        /// The client secret.
        client_secret: SecretString,
        /// The scopes, as the Developer Console lists them.
        scopes: Vec<String>,
    },
    /// A token that somebody else has fetched. It can't be renewed here.
    AccessToken {
        /// The token.
        access_token: SecretString,
        /// The API key of every call.
        api_key: String,
    },
}

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name, TCP, proxy and TLS.
    pub connect: Duration,
    /// For the first byte of a reply, and between two.
    pub read: Duration,
    /// The whole call, but for creations.
    pub call: Duration,
    /// The whole of a creation. Longer than the 60 s after which Adobe's gateway gives up, so
    /// that its answer is heard and a doubt that it would have cleared does not begin.
    pub creation: Duration,
}

/// One tenant of Adobe Experience Platform: endpoint, organisation, sandbox, credential.
///
/// Cheap to clone; clones share connections, the access token and the clock.
///
/// # Guarantees
///
/// - A creation is sent at most once. Its connection is new, HTTP/1.1 and used for nothing else;
///   no layer repeats it, except that a dataset's is repeated after the gateway's own 401.
/// - No redirect is followed, and no token goes to a host that is not in [`Endpoints`].
/// - A call ends within the [`Timeouts`], and no reply takes more than 8 MiB.
/// - No call is made that its budget does not allow.
#[derive(Clone)]
pub struct Platform {
    pub(super) inner: Arc<Inner>,
    pub(super) caller: Caller,
}

pub(super) struct Inner {
    pub(super) endpoints: Endpoints,
    pub(super) transport: Arc<Transport>,
    pub(super) tokens: Tokens,
    pub(super) api_key: HeaderValue,
    pub(super) organization_id: HeaderValue,
    pub(super) sandbox: HeaderValue,
    /// What no reply may show again.
    pub(super) client_secret: Option<SecretString>,
    pub(super) budget: Option<Arc<Budget>>,
}

impl Settings {
    /// Settings with the default time-outs and nothing optional.
    #[must_use]
    pub fn new(
        endpoints: Endpoints,
        organization_id: impl Into<String>,
        sandbox: impl Into<String>,
        credential: Credential,
    ) -> Self {
        Self {
            endpoints,
            organization_id: organization_id.into(),
            sandbox: sandbox.into(),
            credential,
            timeouts: Timeouts::default(),
            user_agent: concat!("aep-export-operator/", env!("CARGO_PKG_VERSION")).to_owned(),
            extra_root_certificates: Vec::new(),
            observer: None,
            budget: None,
            caller: Caller {
                lane: Lane::Prepare,
                namespace: Arc::from(""),
            },
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            // As long as Adobe's gateway lets a request take.
            call: Duration::from_mins(1),
            creation: Duration::from_secs(70),
        }
    }
}

impl Platform {
    /// A client for one tenant, on a clock that tenants of one endpoint may share.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](super::Consequence::Misconfigured), which names the setting that can't
    /// be used. Nothing is sent.
    pub fn new(settings: Settings, clock: Arc<PlatformClock>) -> Result<Self, PlatformError> {
        let Settings {
            endpoints,
            organization_id,
            sandbox,
            credential,
            timeouts,
            user_agent,
            extra_root_certificates,
            observer,
            budget,
            caller,
        } = settings;
        base("endpoints.platform", &endpoints.platform)?;
        base("endpoints.ims", &endpoints.ims)?;
        header("user_agent", &user_agent)?;
        let (api_key, client_secret) = match &credential {
            Credential::OAuthServerToServer {
                client_id,
                client_secret,
                scopes: _,
            } => (header("client_id", client_id)?, Some(client_secret.clone())),
            Credential::AccessToken {
                access_token: _,
                api_key,
            } => (header("api_key", api_key)?, None),
        };
        let common = || {
            Client::builder()
                .user_agent(&*user_agent)
                .connect_timeout(timeouts.connect)
                .tls_certs_merge(extra_root_certificates.iter().cloned())
                .redirect(redirect::Policy::none())
                .referer(false)
                // reqwest would send again what HTTP/2 says was not processed. Calls are counted
                // and paced above, so nothing below may add any. (hyper-util can't be told; it
                // sends again only what it gets back before a byte was written.)
                .retry(retry::never())
        };
        let general = common()
            .read_timeout(timeouts.read)
            .timeout(timeouts.call)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_MAX_IDLE);
        // In HTTP/2 the headers leave before the body is asked for, and on a connection that was
        // used before a request may be sent again: a creation needs HTTP/1 and a new connection.
        let creating = common()
            .timeout(timeouts.creation)
            .http1_only()
            .pool_max_idle_per_host(0);
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        let creating = creating.tcp_user_timeout(TCP_USER_TIMEOUT);
        let transport = Arc::new(Transport {
            general: build(general)?,
            creating: build(creating)?,
            clock,
            observer,
        });
        let tokens = Tokens::new(credential, &endpoints.ims, Arc::clone(&transport))?;
        Ok(Self {
            inner: Arc::new(Inner {
                endpoints,
                transport,
                tokens,
                api_key,
                organization_id: header("organization_id", &organization_id)?,
                sandbox: header("sandbox", &sandbox)?,
                client_secret,
                budget,
            }),
            caller,
        })
    }

    /// The same client, for calls of another lane.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> Self {
        let namespace = Arc::clone(&self.caller.namespace);
        Self {
            inner: Arc::clone(&self.inner),
            caller: Caller { lane, namespace },
        }
    }

    /// The same client, for calls on behalf of another namespace.
    #[must_use]
    pub fn on_behalf_of(&self, namespace: Arc<str>) -> Self {
        let lane = self.caller.lane;
        Self {
            inner: Arc::clone(&self.inner),
            caller: Caller { lane, namespace },
        }
    }

    /// Makes sure that an access token is there, and tells when it expires: by AEP's time, and
    /// `None` for a token that was given. A thousand callers at once make one call to IMS.
    ///
    /// # Errors
    ///
    /// [`CredentialRejected`](super::Consequence::CredentialRejected) with the part of the
    /// credential that IMS does not accept, [`Throttled`](super::Consequence::Throttled),
    /// [`Redirected`](super::Consequence::Redirected), or
    /// [`Retry`](super::Consequence::Retry).
    pub async fn authenticate(&self) -> Result<Option<Timestamp>, PlatformError> {
        let token = self.inner.tokens.token().await?;
        Ok(token.expiry(self.clock()))
    }

    /// Waits for the turn of a call that creates something: before its intent is on record, since
    /// nothing may wait after that.
    ///
    /// # Errors
    ///
    /// [`NotSent`](super::Consequence::NotSent), when it will not come soon.
    pub async fn turn_to_create(&self) -> Result<Permit, PlatformError> {
        let Some(budget) = &self.inner.budget else {
            return Ok(Permit::free());
        };
        let permit = budget.admit_creation(&self.caller).await;
        permit.map_err(|denied| held("create", Consequence::NotSent, denied))
    }

    /// AEP's time, as [`PlatformClock::now`].
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock().now()
    }

    /// The clock that this tenant's replies set.
    #[must_use]
    pub fn clock(&self) -> &Arc<PlatformClock> {
        &self.inner.transport.clock
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("endpoints", &self.endpoints)
            .field("organization_id", &self.organization_id)
            .field("sandbox", &self.sandbox)
            .field("credential", &self.credential)
            .field("timeouts", &self.timeouts)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform")
            .field("endpoints", &self.inner.endpoints)
            .field("organization_id", &self.inner.organization_id)
            .field("sandbox", &self.inner.sandbox)
            .finish_non_exhaustive()
    }
}

/// The error of a call that its budget does not allow now.
pub(super) fn held(
    operation: &'static str,
    consequence: Consequence,
    denied: Denied,
) -> PlatformError {
    let Denied { why, left } = denied;
    PlatformError::new(operation, consequence, Fault::Held(why)).with_retry_after(left)
}

/// Checks a base URL. What is checked here can't fail when a path is appended.
fn base(setting: &'static str, url: &Url) -> Result<(), PlatformError> {
    let is_base = matches!(url.scheme(), "http" | "https") && url.has_host();
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_base && is_plain {
        return Ok(());
    }
    let why = "must be an http or https URL with a host and without user, query or fragment";
    Err(PlatformError::misconfigured(setting, why))
}

/// A setting that is sent as a header.
fn header(setting: &'static str, value: &str) -> Result<HeaderValue, PlatformError> {
    match HeaderValue::from_str(value) {
        Ok(header) if !header.is_empty() => Ok(header),
        Ok(_) => Err(PlatformError::misconfigured(setting, "must not be empty")),
        Err(source) => {
            let why = "holds a character that no HTTP header can, as a line break";
            Err(PlatformError::misconfigured(setting, why).caused_by(source))
        }
    }
}

fn build(client: ClientBuilder) -> Result<Client, PlatformError> {
    client.build().map_err(|source| {
        let why = "can't be used to make an HTTP client; the log has the cause";
        PlatformError::misconfigured("extra_root_certificates or proxy", why).caused_by(source)
    })
}
