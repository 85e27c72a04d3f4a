//! The platform's eight error envelopes, read as one.
//!
//! Which of them comes depends on the service that answered, and the same service is not always
//! true to its own. So nothing here is required, and the HTTP status is not taken from the body.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use jiff::{Timestamp, fmt::rfc2822};
use serde_json::Value;

use super::{
    call::Kind,
    error::{Consequence, CredentialPart, Fault, PlatformError, Refusal},
    wire::{MAX_CODE, non_negative, text},
};
use crate::governor::Heard;

/// What is kept of the platform's own words.
const MAX_TITLE: usize = 256;

/// The shortest wait that is believed. `0`, or a date that has passed, would be a hot loop.
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The longest. Quotas are counted by the minute; who asks for a week has a broken clock, and
/// an hour later asking again costs one call.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Where services put their code, in the order of what it tells.
const CODES: [&str; 6] = [
    "/error_code",
    "/code",
    "/error-chain/0/errorCode",
    "/report/errorChain/0/errorCode",
    "/report/error-chain/0/errorCode",
    "/error",
];

/// Where services put what a person can read. A title alone may be a mere class name
/// (`NotFoundError`), so `detail` is asked first and the two are joined.
const TITLES: [&str; 5] = [
    "/message",
    "/msg",
    "/error_description",
    "/errorMessage",
    "/cause",
];

/// Where services put the request's id.
const REQUEST_IDS: [&str; 4] = [
    "/requestId",
    "/request-id",
    "/report/additionalContext/request-id",
    "/report/additionalContext/requestId",
];

/// What a body with an error says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) code: Option<String>,
    pub(super) title: Option<String>,
    pub(super) request_id: Option<String>,
    /// `retryAfterMs` of the older Profile shape.
    pub(super) retry_after: Option<Duration>,
    /// The API gateway's own envelope: no service has seen the request.
    pub(super) gateway: bool,
    /// An OAuth error (RFC 6749), as Adobe IMS answers.
    pub(super) oauth: bool,
    /// A body that is not JSON: a page for people, from something in between.
    pub(super) foreign: bool,
}

/// An answer with an error status.
pub(super) struct Answer<'a> {
    pub(super) operation: &'static str,
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// AEP's time, for a Retry-After that is a date.
    pub(super) now: Timestamp,
    /// The request's id, where the reply names none.
    pub(super) request_id: &'a str,
}

impl Envelope {
    /// Reads an error body. What is empty, HTML or otherwise not JSON says nothing.
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return Self {
                foreign: !body.is_empty(),
                ..Self::default()
            };
        };
        // One access service answers with a list of them.
        let value = match value {
            Value::Array(mut list) if !list.is_empty() => list.swap_remove(0),
            value => value,
        };
        let first = |paths: &[&str], max| {
            paths
                .iter()
                .find_map(|path| text(value.pointer(path)?, max))
        };
        let nested = value.get("errors").and_then(first_error);
        let code = first(&CODES, MAX_CODE)
            .or_else(|| value.get("type").and_then(type_code))
            .or_else(|| nested.and_then(|error| type_code(error.get("type")?)))
            .or_else(|| nested.and_then(|error| text(error.get("code")?, MAX_CODE)));
        let title = first(&TITLES, MAX_TITLE)
            .or_else(|| title_and_detail(&value))
            .or_else(|| nested.and_then(|error| text(error.get("message")?, MAX_TITLE)))
            .or_else(|| nested.and_then(title_and_detail));
        let retry_after = value
            .get("retryAfterMs")
            .and_then(non_negative)
            .and_then(|wait| u64::try_from(wait).ok())
            .map(|wait| clamp(Duration::from_millis(wait)));
        let code = code.or_else(|| title.as_deref().and_then(leading_code));
        Self {
            gateway: value
                .get("error_code")
                .and_then(|code| text(code, MAX_CODE))
                .is_some_and(|code| code.len() == 6 && code.bytes().all(|c| c.is_ascii_digit())),
            oauth: value
                .get("error")
                .and_then(Value::as_str)
                .is_some_and(|error| !error.is_empty() && !error.contains(' ')),
            foreign: false,
            request_id: first(&REQUEST_IDS, MAX_CODE),
            code,
            title,
            retry_after,
        }
    }

    /// Whether the gateway answered, and with a code that fits `status`. The first three digits
    /// are the status, but for 503020, which comes as 403.
    fn is_gateways(&self, status: StatusCode) -> bool {
        let code = self.code.as_deref().unwrap_or_default();
        self.gateway
            && (code.starts_with(status.as_str())
                || (code == "503020" && status == StatusCode::FORBIDDEN))
    }

    /// The part of the credential that an OAuth error speaks of. There is no list of what Adobe
    /// IMS says: `invalid client_secret parameter` and `invalid client_id parameter` are seen.
    fn credential_part(&self) -> CredentialPart {
        let description = self.title.as_deref().unwrap_or_default();
        if description.contains("client_secret") {
            CredentialPart::ClientSecret
        } else if description.contains("client_id") {
            CredentialPart::ClientId
        } else if self.code.as_deref() == Some("invalid_scope") || description.contains("scope") {
            CredentialPart::Scopes
        } else {
            CredentialPart::Unnamed
        }
    }
}

impl Answer<'_> {
    /// Whether it is the gateway's own 401: proof that no service has seen the request.
    pub(super) fn is_gateways_401(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
            && Envelope::read(self.body).is_gateways(self.status)
    }

    /// What it means for the next calls.
    pub(super) fn heard(&self) -> Heard {
        let status = self.status.as_u16();
        if status != 429 && status < 500 {
            return Heard::Answer;
        }
        let retry_after = self.retry_after(&Envelope::read(self.body));
        match (status, retry_after) {
            (429, _) | (_, Some(_)) => Heard::Throttled { retry_after },
            (_, None) => Heard::Failure,
        }
    }

    /// The error that the platform's answer is.
    pub(super) fn of_platform(&self, kind: Kind<'_>) -> PlatformError {
        let envelope = Envelope::read(self.body);
        let retry_after = self.retry_after(&envelope);
        let consequence = match kind {
            Kind::Repeatable => self.of_repeatable(&envelope, retry_after),
            Kind::Create { .. } | Kind::Submit { .. } => self.of_creation(&envelope, retry_after),
        };
        self.error(consequence, envelope, retry_after)
    }

    /// The error that an answer of Adobe IMS is.
    pub(super) fn of_ims(&self) -> PlatformError {
        let envelope = Envelope::read(self.body);
        let retry_after = self.retry_after(&envelope);
        let consequence = match self.status.as_u16() {
            300..=399 => Consequence::Redirected,
            429 => Consequence::Throttled { retry_after },
            400..=499 if envelope.oauth => {
                Consequence::CredentialRejected(envelope.credential_part())
            }
            503 if retry_after.is_some() => Consequence::Throttled { retry_after },
            // A 4xx without an OAuth error is not the token endpoint's: something in between.
            _ => Consequence::Retry,
        };
        self.error(consequence, envelope, retry_after)
    }

    fn of_repeatable(&self, envelope: &Envelope, retry_after: Option<Duration>) -> Consequence {
        match self.status.as_u16() {
            300..=399 => Consequence::Redirected,
            401 => Consequence::Unauthenticated,
            // The one code that does not agree with its status: the gateway could not check.
            403 if envelope.code.as_deref() == Some("503020") => Consequence::Retry,
            403 => Consequence::Forbidden,
            404 if envelope.gateway => Consequence::Rejected,
            // No service of the platform's said so: it proves no absence.
            404 if envelope.foreign => Consequence::Retry,
            404 => Consequence::NotFound,
            429 => Consequence::Throttled { retry_after },
            503 if retry_after.is_some() => Consequence::Throttled { retry_after },
            408 | 425 => Consequence::Retry,
            400..=499 => Consequence::Rejected,
            _ => Consequence::Retry,
        }
    }

    /// A creation is not repeated unless its answer proves that the platform did not take it.
    fn of_creation(&self, envelope: &Envelope, retry_after: Option<Duration>) -> Consequence {
        match self.status.as_u16() {
            400 | 404 | 409 | 422 => Consequence::Rejected,
            401 if envelope.is_gateways(self.status) => {
                Consequence::Refused(Refusal::Unauthenticated)
            }
            403 if envelope.is_gateways(self.status) => Consequence::Refused(Refusal::Forbidden),
            429 if envelope.is_gateways(self.status) => {
                Consequence::Refused(Refusal::Throttled { retry_after })
            }
            _ => Consequence::InDoubt,
        }
    }

    fn error(
        &self,
        consequence: Consequence,
        envelope: Envelope,
        retry_after: Option<Duration>,
    ) -> PlatformError {
        let fault = if self.status.is_redirection() {
            Fault::Redirect(self.redirect_host())
        } else {
            Fault::Status
        };
        let named = envelope.request_id.is_some();
        let header = self
            .headers
            .get("x-request-id")
            .and_then(|id| id.to_str().ok());
        let header = header.and_then(|id| text(&Value::from(id), MAX_CODE));
        let sent = Some(self.request_id).filter(|id| !id.is_empty() && !named);
        PlatformError::new(self.operation, consequence, fault)
            .with_envelope(envelope)
            .with_reply(
                self.status.as_u16(),
                header.or_else(|| sent.map(str::to_owned)),
            )
            .with_retry_after(retry_after)
    }

    /// The host that a redirect names; only the host, since a query may carry anything.
    fn redirect_host(&self) -> String {
        let location = self
            .headers
            .get(header::LOCATION)
            .and_then(|to| to.to_str().ok());
        let Some(location) = location else {
            return "nowhere".to_owned();
        };
        let location = location
            .strip_prefix("//")
            .map_or_else(|| location.to_owned(), |rest| format!("https://{rest}"));
        url::Url::parse(&location)
            .ok()
            .and_then(|url| text(&Value::from(url.host_str()?), MAX_TITLE))
            .unwrap_or_else(|| "another path".to_owned())
    }

    /// The header, in either of its forms, or the body's `retryAfterMs`.
    fn retry_after(&self, envelope: &Envelope) -> Option<Duration> {
        let header = self
            .headers
            .get(header::RETRY_AFTER)
            .and_then(|wait| wait.to_str().ok());
        header
            .and_then(|wait| retry_after(wait.trim(), self.now))
            .or(envelope.retry_after)
    }
}

/// Reads Retry-After: seconds or an HTTP date. What is negative, past or absurd is clamped; what
/// can't be read says nothing.
fn retry_after(wait: &str, now: Timestamp) -> Option<Duration> {
    let digits = wait.strip_prefix('-').unwrap_or(wait);
    if !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()) {
        if digits.len() < wait.len() {
            return Some(MIN_RETRY_AFTER);
        }
        // More digits than a u64 has: as absurd as the largest one.
        let seconds = digits.parse().unwrap_or(u64::MAX);
        return Some(clamp(Duration::from_secs(seconds)));
    }
    let until = http_date(wait)?;
    Some(clamp(
        Duration::try_from(until.duration_since(now)).unwrap_or_default(),
    ))
}

/// Reads an HTTP date in the form that servers must send (RFC 9110, section 5.6.7).
pub(super) fn http_date(date: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(date).ok()
}

fn clamp(wait: Duration) -> Duration {
    wait.clamp(MIN_RETRY_AFTER, MAX_RETRY_AFTER)
}

/// The first error of `errors`: a map of lists by status, a list, or the error itself.
fn first_error(errors: &Value) -> Option<&Value> {
    match errors {
        Value::Array(list) => list.first(),
        Value::Object(map) if map.contains_key("type") || map.contains_key("title") => Some(errors),
        Value::Object(map) => match map.values().next()? {
            Value::Array(list) => list.first(),
            error => Some(error),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// The last segment of an error type, unless it is a placeholder.
fn type_code(kind: &Value) -> Option<String> {
    let kind = kind.as_str()?;
    let last = kind.rsplit('/').next()?;
    let is_code = last.contains('-') && last.bytes().any(|c| c.is_ascii_digit());
    is_code.then(|| text(&Value::from(last), MAX_CODE))?
}

/// `title: detail`, or the one that is there.
fn title_and_detail(error: &Value) -> Option<String> {
    let title = error.get("title").and_then(|title| text(title, MAX_TITLE));
    let detail = error
        .get("detail")
        .and_then(|detail| text(detail, MAX_TITLE));
    match (title, detail) {
        (Some(title), Some(detail)) if title != detail => {
            text(&Value::from(format!("{title}: {detail}")), MAX_TITLE)
        }
        (title, detail) => title.or(detail),
    }
}

/// The code that older Profile messages begin with: `UPS-ACC-1000004: IMS Org is …`.
fn leading_code(title: &str) -> Option<String> {
    let (code, _) = title.split_once(": ")?;
    let plain = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'-';
    let is_code = code.contains('-') && code.bytes().all(plain) && code.len() <= MAX_CODE;
    is_code.then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_clamped() {
        let of = |wait: &str| retry_after(wait, now()).map(|wait| wait.as_secs());
        assert_eq!(of("30"), Some(30));
        assert_eq!(of("0"), Some(1), "a wait of nothing would be a hot loop");
        assert_eq!(of("-5"), Some(1));
        assert_eq!(of("99999999999999999999999"), Some(3600));
        assert_eq!(of("Sun, 22 Nov 2026 12:00:45 GMT"), Some(45));
        assert_eq!(
            of("Sun, 22 Nov 2026 11:00:00 GMT"),
            Some(1),
            "it has passed"
        );
        assert_eq!(of("Fri, 22 Nov 2999 12:00:00 GMT"), Some(3600));
        assert_eq!(of("soon"), None);
        assert_eq!(of(""), None);
        assert_eq!(of("-"), None);
    }
}
