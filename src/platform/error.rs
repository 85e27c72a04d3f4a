//! Everything that can go wrong with a call, by what follows from it.

use std::{error, fmt, sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    envelope::Envelope,
    wire::{cut, text},
};
use crate::governor::{Heard, Why};

/// What follows from a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// It may pass: a 5xx, a time-out, a broken connection, a reply nobody can read.
    Retry,
    /// The platform wants fewer calls.
    Throttled {
        /// How long it asks to wait; within [1 s, 1 h].
        retry_after: Option<Duration>,
    },
    /// The token was refused, a fresh one too.
    Unauthenticated,
    /// Adobe IMS refuses the credential: stop until it is edited.
    CredentialRejected(CredentialPart),
    /// The credential may not do this: stop until somebody grants it.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The request is wrong: stop until it is edited.
    Rejected,
    /// The answer was a redirect. None is followed: the token is for one host only.
    Redirected,
    /// A creation of which nothing left.
    NotSent,
    /// A creation that the platform may or may not have taken.
    InDoubt,
    /// A creation that the gateway refused in its own words, so that the platform never saw it.
    Refused(Refusal),
    /// A setting of this client can't be used.
    Misconfigured {
        /// Its name in [`Settings`](super::Settings).
        setting: &'static str,
    },
}

/// Which part of a credential Adobe IMS refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialPart {
    /// The client id.
    ClientId,
    /// The client secret.
    ClientSecret,
    /// The scopes.
    Scopes,
    /// It did not say.
    Unnamed,
}

/// Why the gateway refused a creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 401: the token. A fresh one may do.
    Unauthenticated,
    /// 403: the credential.
    Forbidden,
    /// 429: too many calls.
    Throttled {
        /// How long it asks to wait; within [1 s, 1 h].
        retry_after: Option<Duration>,
    },
}

/// A failed call. Its text is one sentence for a person, at most 1 kB, and never holds a body as
/// it came, a token or a secret; the cause below is for logs.
#[derive(Clone)]
pub struct PlatformError(Box<Facts>);

/// What is known of a failed call. Boxed, so that results stay small.
#[derive(Clone)]
struct Facts {
    consequence: Consequence,
    operation: &'static str,
    fault: Fault,
    status: Option<u16>,
    code: Option<String>,
    title: Option<String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn error::Error + Send + Sync>>,
}

/// What went wrong, before anybody asks what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No connection: name, TCP, TLS, proxy.
    Connect,
    /// A time-out after the connection stood.
    Timeout,
    /// The connection broke.
    Broken,
    /// The platform answered with an error.
    Status,
    /// The reply can't be read; what was expected.
    Malformed(&'static str),
    /// The reply is larger than any that is read.
    TooLarge,
    /// A redirect to this host.
    Redirect(String),
    /// The fence was closed.
    Fenced,
    /// The budget did not let it through; why, if it was not for others that came before.
    Held(Option<Why>),
    /// The request can't be made; why.
    Unsendable(String),
}

impl Consequence {
    /// A short static name: event reason, metric label and anchor in the documentation.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Retry => "PlatformUnavailable",
            Self::Throttled { retry_after: _ } => "Throttled",
            Self::Unauthenticated => "Unauthenticated",
            Self::CredentialRejected(CredentialPart::ClientId) => "ClientIdRejected",
            Self::CredentialRejected(CredentialPart::ClientSecret) => "ClientSecretRejected",
            Self::CredentialRejected(CredentialPart::Scopes) => "ScopesRejected",
            Self::CredentialRejected(CredentialPart::Unnamed) => "CredentialRejected",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::Rejected => "RequestRejected",
            Self::Redirected => "Redirected",
            Self::NotSent => "NotSent",
            Self::InDoubt => "SubmissionInDoubt",
            Self::Refused(Refusal::Unauthenticated) => "RefusedUnauthenticated",
            Self::Refused(Refusal::Forbidden) => "RefusedForbidden",
            Self::Refused(Refusal::Throttled { retry_after: _ }) => "RefusedThrottled",
            Self::Misconfigured { setting: _ } => "InvalidSettings",
        }
    }
}

impl Fault {
    /// What a connection's error says.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        // A connect that timed out is both; that nothing was sent is what matters.
        if error.is_builder() {
            Self::Unsendable("it is no valid HTTP request".to_owned())
        } else if error.is_connect() {
            Self::Connect
        } else if error.is_timeout() {
            Self::Timeout
        } else {
            Self::Broken
        }
    }

    /// A metric label.
    pub(super) fn label(&self, status: Option<u16>) -> &'static str {
        match self {
            Self::Connect => "connect_failed",
            Self::Timeout => "timed_out",
            Self::Broken => "broken",
            Self::Status => status.map_or("error_status", outcome_of),
            Self::Malformed(_) => "malformed",
            Self::TooLarge => "too_large",
            Self::Redirect(_) => "redirected",
            Self::Fenced => "fenced",
            Self::Held(_) => "held",
            Self::Unsendable(_) => "unsendable",
        }
    }
}

/// The metric label of an HTTP status.
pub(super) fn outcome_of(status: u16) -> &'static str {
    match status {
        200..=299 => "ok",
        300..=399 => "redirected",
        401 => "unauthenticated",
        403 => "forbidden",
        404 => "not_found",
        429 => "throttled",
        400..=499 => "client_error",
        _ => "server_error",
    }
}

impl PlatformError {
    /// An error of which no reply tells more.
    pub(super) fn new(operation: &'static str, consequence: Consequence, fault: Fault) -> Self {
        Self(Box::new(Facts {
            consequence,
            operation,
            fault,
            status: None,
            code: None,
            title: None,
            request_id: None,
            retry_after: None,
            source: None,
        }))
    }

    /// A 429, for tests of those that hear it.
    #[cfg(test)]
    pub(crate) fn throttled(retry_after: Duration) -> Self {
        let retry_after = Some(retry_after);
        Self::new(
            "test",
            Consequence::Throttled { retry_after },
            Fault::Status,
        )
        .with_reply(429, None)
        .with_retry_after(retry_after)
    }

    /// A setting that can't be used; `why` is a sentence without its value.
    pub(super) fn misconfigured(setting: &'static str, why: impl Into<String>) -> Self {
        let consequence = Consequence::Misconfigured { setting };
        Self::new("configure", consequence, Fault::Unsendable(why.into()))
    }

    pub(super) fn with_envelope(mut self, envelope: Envelope) -> Self {
        let Envelope {
            code,
            title,
            request_id,
            retry_after: _,
            gateway: _,
            oauth: _,
            foreign: _,
        } = envelope;
        self.0.code = code;
        self.0.title = title;
        self.0.request_id = request_id;
        self
    }

    pub(super) fn with_reply(mut self, status: u16, request_id: Option<String>) -> Self {
        self.0.status = Some(status);
        self.0.request_id = request_id.or(self.0.request_id);
        self
    }

    pub(super) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    pub(super) fn caused_by(mut self, source: impl error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// What follows.
    #[must_use]
    pub fn consequence(&self) -> Consequence {
        self.0.consequence
    }

    /// The consequence's short static name.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.0.consequence.reason()
    }

    /// The call that failed, as a metric label.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// What happened, as a metric label: `timed_out`, `malformed`, `server_error`…
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        self.0.fault.label(self.0.status)
    }

    /// The reply's HTTP status, if there was a reply.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The platform's own code, at most 64 characters.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The platform's own words, at most 256 characters.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.0.title.as_deref()
    }

    /// The request id to name to Adobe's support.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// How long the reply asked to wait, whatever else it was; within [1 s, 1 h].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether nothing was sent because the budget did not allow it.
    #[must_use]
    pub fn was_held(&self) -> bool {
        matches!(self.0.fault, Fault::Held(_))
    }

    /// What it means for the next calls.
    pub(super) fn heard(&self) -> Heard {
        match self.0.fault {
            Fault::Fenced | Fault::Held(_) | Fault::Unsendable(_) => Heard::Nothing,
            Fault::Connect | Fault::Timeout | Fault::Broken => Heard::Failure,
            Fault::Status | Fault::Malformed(_) | Fault::TooLarge | Fault::Redirect(_) => {
                Heard::Answer
            }
        }
    }

    /// Whether the platform said that there is no such thing.
    pub(super) fn is_absent(&self) -> bool {
        self.0.consequence == Consequence::NotFound
    }
}

impl fmt::Display for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(cut(&self.sentence(), MAX_SENTENCE))
    }
}

/// The size of an event's note, which is where the sentence ends up.
const MAX_SENTENCE: usize = 1000;
/// Of a cause only its beginning matters: a certificate's names may fill pages.
const MAX_CAUSE: usize = 256;

impl PlatformError {
    fn sentence(&self) -> String {
        let Facts {
            consequence,
            operation,
            fault,
            status,
            code,
            title,
            request_id,
            retry_after: _,
            source: _,
        } = &*self.0;
        let follows = match consequence {
            Consequence::InDoubt => "in doubt, the platform may have taken it: ".to_owned(),
            Consequence::NotSent => "not sent: ".to_owned(),
            Consequence::Refused(_) => {
                "refused by the gateway, the platform has not seen it: ".to_owned()
            }
            Consequence::CredentialRejected(CredentialPart::ClientId) => {
                "wrong client_id: ".to_owned()
            }
            Consequence::CredentialRejected(CredentialPart::ClientSecret) => {
                "wrong client_secret: ".to_owned()
            }
            Consequence::CredentialRejected(CredentialPart::Scopes) => "wrong scopes: ".to_owned(),
            Consequence::CredentialRejected(CredentialPart::Unnamed) => {
                "credential refused: ".to_owned()
            }
            Consequence::Misconfigured { setting } => format!("{setting} "),
            Consequence::Retry
            | Consequence::Throttled { retry_after: _ }
            | Consequence::Unauthenticated
            | Consequence::Forbidden
            | Consequence::NotFound
            | Consequence::Rejected
            | Consequence::Redirected => String::new(),
        };
        let happened = match fault {
            Fault::Connect => format!("no connection{}", self.root_cause()),
            Fault::Timeout => "no answer in time".to_owned(),
            Fault::Broken => "the connection broke".to_owned(),
            Fault::Status => self.answer().to_owned(),
            Fault::Malformed(expected) => format!("the reply is not {expected}"),
            Fault::TooLarge => "the reply is too large to be read".to_owned(),
            Fault::Redirect(host) => format!("it points to {host}, which is not followed"),
            Fault::Held(None) => "the calls that the budget allows are used up".to_owned(),
            Fault::Held(Some(Why::Throttled)) => {
                "the platform asked for fewer calls, and none is made before it allows it"
                    .to_owned()
            }
            Fault::Held(Some(Why::Down)) => {
                "the platform does not answer, and is asked by one call at a time".to_owned()
            }
            Fault::Fenced => "its time had passed or the lease was lost".to_owned(),
            Fault::Unsendable(why) => why.clone(),
        };
        let title = title
            .as_ref()
            .map_or_else(String::new, |title| format!(": {title}"));
        let details = [
            status.map(|status| format!("status {status}")),
            code.as_ref().map(|code| format!("code {code}")),
            request_id.as_ref().map(|id| format!("request {id}")),
        ];
        let details = details.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let details = if details.is_empty() {
            details
        } else {
            format!(" ({details})")
        };
        format!(
            "{}: {follows}{happened}{title}{details}",
            operation.replace('_', " ")
        )
    }

    /// What a connection failed of: a name that is unknown, a certificate that is not trusted.
    /// It is this machine's own text and comes before anything was sent or received.
    fn root_cause(&self) -> String {
        let mut cause = error::Error::source(self);
        while let Some(below) = cause.and_then(error::Error::source) {
            cause = Some(below);
        }
        let cause = cause.and_then(|cause| text(&Value::from(cause.to_string()), MAX_CAUSE));
        cause.map_or_else(String::new, |cause| format!(": {cause}"))
    }

    /// What an error status means, in words.
    fn answer(&self) -> &'static str {
        match self.0.status {
            Some(400 | 422) => "the platform rejects the request",
            Some(401) => "the access token is not accepted",
            Some(403) => "the credential lacks the right",
            Some(404) => "there is no such resource",
            Some(409 | 412) => "it conflicts with what is there",
            Some(429) => "too many requests",
            // The Catalog answers 500 also when its undocumented call limit is reached.
            Some(500) => "the platform failed, or has had too many calls at once",
            Some(501..=599) => "the platform is not available",
            Some(_) | None => "the platform refuses it",
        }
    }
}

/// The same sentence and the cause: no field of it can hold a secret.
impl fmt::Debug for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformError")
            .field("consequence", &self.0.consequence)
            .field("message", &self.to_string())
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl error::Error for PlatformError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| &**source as &(dyn error::Error + 'static))
    }
}
