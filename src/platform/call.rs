//! One call of the platform's API: headers, token, one re-authentication, and the error.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
};

use http::{HeaderName, Method, StatusCode, header};
use reqwest::RequestBuilder;
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::{
    auth::Token,
    client::{Platform, held},
    clock::Origin,
    envelope::Answer,
    error::{Consequence, Fault, PlatformError},
    fence::{Fence, FencedBody, Gate, GiveUp, Passage},
    transport::{Reply, Topic},
    wire::is_id,
};
use crate::governor::{Permit, Why};

pub(super) const JSON: &str = "application/json";
pub(super) const JSON_PATCH: &str = "application/json-patch+json";

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ORGANIZATION: HeaderName = HeaderName::from_static("x-gw-ims-org-id");
const SANDBOX: HeaderName = HeaderName::from_static("x-sandbox-name");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The alphabet and length of the ids that Adobe's gateway makes itself.
const ID_ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID_LENGTH: usize = 32;

/// One call, ready to be made.
pub(super) struct Call<'a> {
    pub(super) operation: &'static str,
    pub(super) method: Method,
    pub(super) url: Url,
    /// Content type and bytes.
    pub(super) body: Option<(&'static str, Vec<u8>)>,
    pub(super) kind: Kind<'a>,
    /// The turn of its first request, if it was waited for already.
    pub(super) permit: Option<Permit>,
}

/// What doing a call twice would do.
#[derive(Clone, Copy)]
pub(super) enum Kind<'a> {
    /// Nothing: it reads, or says how things are to be.
    Repeatable,
    /// It would create a second thing: only sent while the fence is open.
    Create { fence: &'a Fence },
    /// It would start a second export: never repeated, and only sent while the fence is open.
    Submit {
        request_id: &'a str,
        fence: &'a Fence,
    },
}

/// A 2xx reply.
pub(super) struct Success {
    operation: &'static str,
    kind_is_creation: bool,
    reply: Reply,
    request_id: String,
}

impl Call<'_> {
    pub(super) fn get(operation: &'static str, url: Url) -> Self {
        Self {
            operation,
            method: Method::GET,
            url,
            body: None,
            kind: Kind::Repeatable,
            permit: None,
        }
    }

    pub(super) fn delete(operation: &'static str, url: Url) -> Self {
        Self {
            operation,
            method: Method::DELETE,
            url,
            body: None,
            kind: Kind::Repeatable,
            permit: None,
        }
    }

    fn is_creation(&self) -> bool {
        match self.kind {
            Kind::Repeatable => false,
            Kind::Create { .. } | Kind::Submit { .. } => true,
        }
    }

    /// Whether a refused token allows another try with a fresh one.
    fn may_repeat(&self, refused: &Answer<'_>) -> bool {
        match self.kind {
            Kind::Repeatable => true,
            Kind::Create { .. } => refused.is_gateways_401(),
            Kind::Submit { .. } => false,
        }
    }
}

impl Platform {
    /// Makes a call; anything but a 2xx reply is an error.
    pub(super) async fn call(&self, mut call: Call<'_>) -> Result<Success, PlatformError> {
        let tokens = &self.inner.tokens;
        let token = match call.kind {
            Kind::Submit { .. } => tokens.token_at_hand().await,
            Kind::Repeatable | Kind::Create { .. } => tokens.token().await,
        };
        let token = token.map_err(|error| without_token(&call, error))?;
        let permit = self.admit(&mut call).await?;
        let (mut reply, mut request_id) = self.send(&call, &token, permit).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            let fresh_may_do = tokens.refuse(&token);
            if fresh_may_do && call.may_repeat(&self.answer(&call, &reply, &request_id)) {
                let fresh = tokens
                    .token()
                    .await
                    .map_err(|error| without_token(&call, error))?;
                let permit = self.admit(&mut call).await?;
                (reply, request_id) = self.send(&call, &fresh, permit).await?;
                if reply.status == StatusCode::UNAUTHORIZED {
                    tokens.keep();
                }
            }
        }
        if !reply.status.is_success() {
            return Err(self
                .answer(&call, &reply, &request_id)
                .of_platform(call.kind));
        }
        let Call { operation, .. } = call;
        Ok(Success {
            operation,
            kind_is_creation: call.is_creation(),
            reply,
            request_id,
        })
    }

    /// A URL below the platform's endpoint. `ids` come from outside and are one segment each.
    pub(super) fn url(
        &self,
        operation: &'static str,
        path: &[&str],
        ids: &[&str],
    ) -> Result<Url, PlatformError> {
        if !ids.iter().all(|id| is_id(id)) {
            let why = "the id is empty, too long or holds characters that no id has".to_owned();
            let fault = Fault::Unsendable(why);
            return Err(PlatformError::new(operation, Consequence::Rejected, fault));
        }
        let mut url = self.inner.endpoints.platform.clone();
        // Never an error: `Platform::new` took only URLs that can be a base.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path).extend(ids);
        }
        Ok(url)
    }

    /// The turn of a call's next request.
    async fn admit(&self, call: &mut Call<'_>) -> Result<Permit, PlatformError> {
        if let Some(permit) = call.permit.take() {
            return Ok(permit);
        }
        let Some(budget) = &self.inner.budget else {
            return Ok(Permit::free());
        };
        budget.admit(&self.caller).await.map_err(|denied| {
            let consequence = match (call.kind, denied.why) {
                (Kind::Create { .. } | Kind::Submit { .. }, _) => Consequence::NotSent,
                (Kind::Repeatable, Some(Why::Down)) => Consequence::Retry,
                (Kind::Repeatable, Some(Why::Throttled) | None) => {
                    let retry_after = denied.left;
                    Consequence::Throttled { retry_after }
                }
            };
            held(call.operation, consequence, denied)
        })
    }

    /// Sends a request in its turn, and tells the budget what it came to.
    async fn send(
        &self,
        call: &Call<'_>,
        token: &Arc<Token>,
        permit: Permit,
    ) -> Result<(Reply, String), PlatformError> {
        let request_id = match call.kind {
            Kind::Submit {
                request_id,
                fence: _,
            } => request_id.to_owned(),
            Kind::Repeatable | Kind::Create { .. } => random_id(),
        };
        let result = self.send_as(call, token, &request_id).await;
        permit.heard(match &result {
            Ok(reply) => self.answer(call, reply, &request_id).heard(),
            Err(error) => error.heard(),
        });
        Ok((result?, request_id))
    }

    async fn send_as(
        &self,
        call: &Call<'_>,
        token: &Arc<Token>,
        request_id: &str,
    ) -> Result<Reply, PlatformError> {
        let secret = self
            .inner
            .client_secret
            .as_ref()
            .map_or("", ExposeSecret::expose_secret);
        let topic = Topic {
            operation: call.operation,
            origin: Origin::Platform,
            request_id,
            secrets: &[token.secret(), secret],
        };
        let fence = match call.kind {
            Kind::Repeatable => {
                let request = self.request(&self.inner.transport.general, call, token);
                let request = request.header(REQUEST_ID, request_id);
                let request = match &call.body {
                    Some((_, body)) => request.body(body.clone()),
                    None => request,
                };
                let reply = self.inner.transport.exchange(topic, request).await;
                return reply.map_err(|source| {
                    let fault = Fault::of(&source);
                    PlatformError::new(call.operation, Consequence::Retry, fault).caused_by(source)
                });
            }
            Kind::Create { fence }
            | Kind::Submit {
                request_id: _,
                fence,
            } => fence.clone(),
        };
        self.send_once(call, token, topic, fence).await
    }

    /// Sends a creation, and knows whether anything of it can have left.
    async fn send_once(
        &self,
        call: &Call<'_>,
        token: &Arc<Token>,
        topic: Topic<'_>,
        fence: Fence,
    ) -> Result<Reply, PlatformError> {
        let not_sent = |fault| PlatformError::new(call.operation, Consequence::NotSent, fault);
        if !fence.is_open() {
            return Err(not_sent(Fault::Fenced));
        }
        let gate = Gate::default();
        let body = call
            .body
            .as_ref()
            .map(|(_, body)| body.clone())
            .unwrap_or_default();
        let body = reqwest::Body::wrap(FencedBody::new(body, fence, gate.clone()));
        let request = self
            .request(&self.inner.transport.creating, call, token)
            .header(REQUEST_ID, topic.request_id)
            .body(body);
        let give_up = GiveUp(&gate);
        let reply = self.inner.transport.exchange(topic, request).await;
        // A time-out may come while the connection is about to take the body. Whoever of the two
        // comes first at the gate decides, so "not sent" is a proof and not a guess.
        let passage = give_up.0.settle();
        reply.map_err(|source| match passage {
            Passage::Kept => not_sent(Fault::of(&source)).caused_by(source),
            Passage::Fenced => not_sent(Fault::Fenced).caused_by(source),
            Passage::Taken => {
                let fault = Fault::of(&source);
                PlatformError::new(call.operation, Consequence::InDoubt, fault).caused_by(source)
            }
        })
    }

    fn request(&self, client: &reqwest::Client, call: &Call<'_>, token: &Token) -> RequestBuilder {
        let request = client
            .request(call.method.clone(), call.url.clone())
            .header(header::ACCEPT, JSON)
            .header(header::AUTHORIZATION, token.header())
            .header(API_KEY, &self.inner.api_key)
            .header(ORGANIZATION, &self.inner.organization_id)
            .header(SANDBOX, &self.inner.sandbox);
        match &call.body {
            Some((content_type, _)) => request.header(header::CONTENT_TYPE, *content_type),
            None => request,
        }
    }

    fn answer<'a>(&self, call: &Call<'_>, reply: &'a Reply, request_id: &'a str) -> Answer<'a> {
        Answer {
            operation: call.operation,
            status: reply.status,
            headers: &reply.headers,
            body: &reply.body,
            now: self.now(),
            request_id,
        }
    }
}

impl Success {
    /// Reads the body as JSON with `decode`; `expected` says what that is.
    pub(super) fn decode<T>(
        self,
        expected: &'static str,
        decode: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, PlatformError> {
        let Self {
            operation,
            kind_is_creation,
            reply,
            request_id,
        } = self;
        let Reply {
            status,
            headers: _,
            body,
            unread,
        } = reply;
        let decoded = match &unread {
            Some(_) => None,
            None => serde_json::from_slice(&body)
                .ok()
                .and_then(|value| decode(&value)),
        };
        decoded.ok_or_else(|| {
            let consequence = if kind_is_creation {
                Consequence::InDoubt
            } else {
                Consequence::Retry
            };
            let (fault, source) = match unread {
                Some(unread) => (unread.fault, unread.source),
                None => (Fault::Malformed(expected), None),
            };
            let error = PlatformError::new(operation, consequence, fault)
                .with_reply(status.as_u16(), Some(request_id));
            match source {
                Some(source) => error.caused_by(source),
                None => error,
            }
        })
    }
}

/// A call that was not made for want of a token. A creation's caller must know that nothing left.
fn without_token(call: &Call<'_>, error: PlatformError) -> PlatformError {
    if call.is_creation() {
        let fault = Fault::Unsendable(format!("there is no access token: {error}"));
        PlatformError::new(call.operation, Consequence::NotSent, fault)
            .with_retry_after(error.retry_after())
            .caused_by(error)
    } else {
        error
    }
}

/// A random request id in the gateway's own form. It is for finding a call in logs, so the
/// standard library's hash keys are random enough.
fn random_id() -> String {
    let mut id = String::with_capacity(ID_LENGTH);
    while id.len() < ID_LENGTH {
        // 64 bits are ten digits of base 62; eight of them keep the bias out of sight.
        let mut bits = RandomState::new().build_hasher().finish();
        for _ in 0..8 {
            let digit = usize::try_from(bits % 62).unwrap_or_default();
            id.push(char::from(ID_ALPHABET[digit]));
            bits /= 62;
        }
    }
    id
}
