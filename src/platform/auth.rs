//! Access tokens: fetched once, shared by all, renewed before they expire.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use http::HeaderValue;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::{
    client::Credential,
    clock::{Origin, PlatformClock, later},
    envelope::Answer,
    error::{Consequence, Fault, PlatformError},
    transport::{Reply, Topic, Transport},
    wire::non_negative,
};

const FETCH: &str = "fetch_access_token";

/// The longest life that is believed. Adobe's tokens live a day, and IMS tells it in seconds
/// (86399). Its older endpoint told milliseconds; such a number is cut to the same day, instead
/// of being taken for 2.7 years in which a dead token is presented.
const MAX_LIFE: Duration = Duration::from_hours(24);

/// The life of a token whose reply does not tell one (RFC 6749 only recommends it): short enough
/// to be safe, long enough not to be a call to IMS for each call.
const UNTOLD_LIFE: Duration = Duration::from_mins(5);

/// A token is renewed this long before it expires, or a tenth of its life if that is less: no
/// call that takes its token now, not even one at its time limit, meets the expiry on its way,
/// and IMS may be away for minutes before anybody notices.
const MAX_MARGIN: Duration = Duration::from_mins(10);

/// How long a failure of IMS is the answer to all who ask. One call a second is what an outage
/// of IMS costs it, however many objects wait for a token.
const FAILURE_HOLD: Duration = Duration::from_secs(1);

/// How long after a failed renewal the old token, which is still good, is used without trying.
const RENEWAL_HOLD: Duration = Duration::from_secs(30);

/// How long no token is dropped because of a 401 after a fresh one was refused too. It is not the
/// token then, and IMS throttles who asks too often.
const REFUSED_HOLD: Duration = Duration::from_secs(30);

/// Where a tenant's tokens come from.
pub(super) enum Tokens {
    Given(Arc<Token>),
    Ims(Arc<Ims>),
}

/// An access token.
pub(super) struct Token {
    secret: SecretString,
    header: HeaderValue,
    /// On the boot clock; `None` for a token that was given.
    life: Option<Life>,
}

#[derive(Clone, Copy)]
struct Life {
    renew: Duration,
    end: Duration,
}

/// Adobe IMS, and what it gave us last.
pub(super) struct Ims {
    url: Url,
    client_id: String,
    client_secret: SecretString,
    scopes: String,
    transport: Arc<Transport>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    /// The call that is under way. It lives as long as somebody waits for it.
    flight: Option<WeakShared<BoxFuture<'static, Fetched>>>,
    failure: Option<Failure>,
    /// Until then a 401 does not cost a token.
    kept_until: Option<Duration>,
}

struct Failure {
    error: PlatformError,
    until: Duration,
}

type Fetched = Result<Arc<Token>, PlatformError>;

/// What a caller who needs a token does next.
enum Step {
    Use(Arc<Token>),
    Fail(PlatformError),
    /// Wait for the call; if it fails, the old token may still do.
    Wait(Shared<BoxFuture<'static, Fetched>>, Option<Arc<Token>>),
}

impl Tokens {
    pub(super) fn new(
        credential: Credential,
        ims: &Url,
        transport: Arc<Transport>,
    ) -> Result<Self, PlatformError> {
        match credential {
            Credential::AccessToken {
                access_token,
                api_key: _,
            } => {
                let header = bearer(&access_token).ok_or_else(|| {
                    PlatformError::misconfigured("access_token", "must be one line of ASCII")
                })?;
                Ok(Self::Given(Arc::new(Token {
                    secret: access_token,
                    header,
                    life: None,
                })))
            }
            Credential::OAuthServerToServer {
                client_id,
                client_secret,
                scopes,
            } => {
                if client_secret.expose_secret().is_empty() {
                    return Err(PlatformError::misconfigured(
                        "client_secret",
                        "must not be empty",
                    ));
                }
                if scopes.is_empty() {
                    let why = "must not be empty: IMS requires them";
                    return Err(PlatformError::misconfigured("scopes", why));
                }
                let mut url = ims.clone();
                if let Ok(mut path) = url.path_segments_mut() {
                    path.pop_if_empty().extend(["ims", "token", "v3"]);
                }
                Ok(Self::Ims(Arc::new(Ims {
                    url,
                    client_id,
                    client_secret,
                    // Separated by commas, where RFC 6749 has spaces.
                    scopes: scopes.join(","),
                    transport,
                    state: Mutex::default(),
                })))
            }
        }
    }

    /// A token that is good for now, renewed if its time has come.
    pub(super) async fn token(&self) -> Fetched {
        let ims = match self {
            Self::Given(token) => return Ok(Arc::clone(token)),
            Self::Ims(ims) => ims,
        };
        match Ims::step(ims) {
            Step::Use(token) => Ok(token),
            Step::Fail(error) => Err(error),
            Step::Wait(flight, old) => match (flight.await, old) {
                (Ok(token), _) | (Err(_), Some(token)) => Ok(token),
                (Err(error), None) => Err(error),
            },
        }
    }

    /// A token that is good for now, without renewing one that still is: a submission's time runs.
    pub(super) async fn token_at_hand(&self) -> Fetched {
        let at_hand = match self {
            Self::Given(token) => Some(Arc::clone(token)),
            Self::Ims(ims) => ims.valid_token(),
        };
        match at_hand {
            Some(token) => Ok(token),
            None => self.token().await,
        }
    }

    /// Drops a token that the platform refused. Tells whether asking for another makes sense.
    pub(super) fn refuse(&self, token: &Arc<Token>) -> bool {
        match self {
            Self::Given(_) => false,
            Self::Ims(ims) => ims.refuse(token),
        }
    }

    /// Takes note that a fresh token was refused too.
    pub(super) fn keep(&self) {
        match self {
            Self::Given(_) => {}
            Self::Ims(ims) => {
                let until = ims
                    .transport
                    .clock
                    .since_boot()
                    .saturating_add(REFUSED_HOLD);
                ims.state().kept_until = Some(until);
            }
        }
    }
}

impl Token {
    /// The Authorization header, marked so that no log prints it.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The token itself, for taking it out of replies.
    pub(super) fn secret(&self) -> &str {
        self.secret.expose_secret()
    }

    /// When it expires, by AEP's time.
    pub(super) fn expiry(&self, clock: &PlatformClock) -> Option<Timestamp> {
        let left = self.life?.end.saturating_sub(clock.since_boot());
        Some(later(clock.now(), left))
    }

    fn is_fresh(&self, now: Duration) -> bool {
        self.life.is_none_or(|life| now < life.renew)
    }

    fn is_valid(&self, now: Duration) -> bool {
        self.life.is_none_or(|life| now < life.end)
    }
}

impl Ims {
    fn step(ims: &Arc<Self>) -> Step {
        let now = ims.transport.clock.since_boot();
        let mut state = ims.state();
        let old = state.token.clone().filter(|token| token.is_valid(now));
        if let Some(token) = old.as_ref().filter(|token| token.is_fresh(now)) {
            return Step::Use(Arc::clone(token));
        }
        if let Some(failure) = state.failure.as_ref().filter(|failure| now < failure.until) {
            return old.map_or_else(|| Step::Fail(failure.error.clone()), Step::Use);
        }
        if let Some(flight) = state.flight.as_ref().and_then(WeakShared::upgrade) {
            return old.map_or_else(|| Step::Wait(flight, None), Step::Use);
        }
        let fetch = Arc::clone(ims).fetch();
        let flight = fetch.boxed().shared();
        state.flight = flight.downgrade();
        Step::Wait(flight, old)
    }

    async fn fetch(self: Arc<Self>) -> Fetched {
        let asked = self.transport.clock.since_boot();
        let fetched = self.ask(asked).await.map(Arc::new);
        let now = self.transport.clock.since_boot();
        let mut state = self.state();
        state.flight = None;
        match &fetched {
            Ok(token) => {
                state.token = Some(Arc::clone(token));
                state.failure = None;
            }
            Err(error) => {
                let life = state.token.as_ref().and_then(|token| token.life);
                let left = life.map_or(Duration::ZERO, |life| life.end.saturating_sub(now));
                let least = left.clamp(FAILURE_HOLD, RENEWAL_HOLD);
                let hold = error.retry_after().unwrap_or_default().max(least);
                let until = now.saturating_add(hold);
                state.failure = Some(Failure {
                    error: error.clone(),
                    until,
                });
            }
        }
        drop(state);
        fetched
    }

    /// Asks IMS. The life of the token counts from before the question.
    async fn ask(&self, asked: Duration) -> Result<Token, PlatformError> {
        let secret = self.client_secret.expose_secret();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &*self.client_id),
            ("client_secret", secret),
            ("scope", &*self.scopes),
        ];
        let request = self.transport.general.post(self.url.clone());
        let request = request
            .header(http::header::ACCEPT, "application/json")
            .form(&form);
        let topic = Topic {
            operation: FETCH,
            origin: Origin::Ims,
            request_id: "",
            secrets: &[secret],
        };
        let reply = self
            .transport
            .exchange(topic, request)
            .await
            .map_err(|source| {
                PlatformError::new(FETCH, Consequence::Retry, Fault::of(&source)).caused_by(source)
            })?;
        let Reply {
            status,
            headers,
            body,
            unread,
        } = reply;
        if !status.is_success() {
            let now = self.transport.clock.now();
            return Err(Answer {
                operation: FETCH,
                status,
                headers: &headers,
                body: &body,
                now,
                request_id: "",
            }
            .of_ims());
        }
        let fault = unread.map_or(Fault::Malformed("an access token"), |unread| unread.fault);
        read(&body, asked).ok_or_else(|| {
            PlatformError::new(FETCH, Consequence::Retry, fault).with_reply(status.as_u16(), None)
        })
    }

    fn refuse(&self, token: &Arc<Token>) -> bool {
        let now = self.transport.clock.since_boot();
        let mut state = self.state();
        let is_ours = state
            .token
            .as_ref()
            .is_some_and(|ours| Arc::ptr_eq(ours, token));
        if !is_ours {
            // Somebody was here before us; what they fetched is worth a try.
            return true;
        }
        if state.kept_until.is_some_and(|until| now < until) {
            return false;
        }
        state.token = None;
        true
    }

    fn valid_token(&self) -> Option<Arc<Token>> {
        let now = self.transport.clock.since_boot();
        self.state()
            .token
            .clone()
            .filter(|token| token.is_valid(now))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every write under the lock leaves a state that means something by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a token out of IMS's reply.
fn read(body: &[u8], asked: Duration) -> Option<Token> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let secret = SecretString::from(value.get("access_token")?.as_str()?);
    let life = match value.get("expires_in") {
        None | Some(Value::Null) => UNTOLD_LIFE,
        Some(told) => Duration::from_secs(u64::try_from(non_negative(told)?).ok()?),
    };
    if life.is_zero() {
        return None;
    }
    let life = life.min(MAX_LIFE);
    let end = asked.saturating_add(life);
    let renew = end.saturating_sub(MAX_MARGIN.min(life / 10));
    Some(Token {
        header: bearer(&secret)?,
        secret,
        life: Some(Life { renew, end }),
    })
}

/// The Authorization header of a token.
fn bearer(token: &SecretString) -> Option<HeaderValue> {
    let token = token.expose_secret();
    if token.is_empty() {
        return None;
    }
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}
