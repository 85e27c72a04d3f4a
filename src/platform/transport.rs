//! One HTTP exchange: bounded, timed, recorded, and without secrets in what comes back.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode, header};
use reqwest::{Client, RequestBuilder, Response};
use tokio::time::Instant;

use super::{
    client::Observer,
    clock::{Origin, PlatformClock},
    envelope::http_date,
    error::{Fault, outcome_of},
};

/// The largest reply that is read. A page of 1,000 export jobs has about 2 MB; beyond this the
/// reply is not what was asked for, and memory is bounded for all tenants together.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// What a metric wants to know of one HTTP call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// The call's name: `list_export_jobs`, `fetch_access_token`…
    pub operation: &'static str,
    /// What it came to: `ok`, `timed_out`, `throttled`, `server_error`…
    pub outcome: &'static str,
    /// The HTTP status, if there was a reply.
    pub status: Option<u16>,
    /// From the request to the reply's last byte.
    pub duration: Duration,
}

/// The connections of one tenant.
pub(super) struct Transport {
    /// For all that may be repeated.
    pub(super) general: Client,
    /// For creations: one new connection each.
    pub(super) creating: Client,
    pub(super) clock: Arc<PlatformClock>,
    pub(super) observer: Option<Observer>,
}

/// What an exchange is about.
#[derive(Clone, Copy)]
pub(super) struct Topic<'a> {
    pub(super) operation: &'static str,
    pub(super) origin: Origin,
    pub(super) request_id: &'a str,
    /// What the reply must not show again: it may end up in a status that many can read.
    pub(super) secrets: &'a [&'a str],
}

/// A reply, whatever its status.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Why the body is not whole.
    pub(super) unread: Option<Unread>,
}

/// Why a body is not whole.
pub(super) struct Unread {
    pub(super) fault: Fault,
    pub(super) source: Option<reqwest::Error>,
}

impl Transport {
    /// Sends a request and reads its reply.
    ///
    /// # Errors
    ///
    /// When no status came. A body that breaks off is part of the reply.
    pub(super) async fn exchange(
        &self,
        topic: Topic<'_>,
        request: RequestBuilder,
    ) -> Result<Reply, reqwest::Error> {
        let started = Instant::now();
        let result = match request.send().await {
            Ok(response) => Ok(self.receive(topic, response).await),
            Err(error) => Err(error.without_url()),
        };
        let (status, outcome) = match &result {
            Ok(Reply {
                status,
                unread: None,
                ..
            }) => (Some(status.as_u16()), outcome_of(status.as_u16())),
            Ok(Reply {
                status,
                unread: Some(unread),
                ..
            }) => (Some(status.as_u16()), unread.fault.label(None)),
            Err(error) => (None, Fault::of(error).label(None)),
        };
        let duration = started.elapsed();
        let Topic {
            operation,
            request_id,
            ..
        } = topic;
        tracing::debug!(
            operation,
            outcome,
            status,
            ?duration,
            request_id,
            "called the platform"
        );
        if let Some(observer) = &self.observer {
            observer(&CallRecord {
                operation,
                outcome,
                status,
                duration,
            });
        }
        result
    }

    async fn receive(&self, topic: Topic<'_>, mut response: Response) -> Reply {
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let date = headers
            .get(header::DATE)
            .and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(http_date) {
            self.clock.observe(date, topic.origin);
        }
        let (body, unread) = read(&mut response).await;
        Reply {
            status,
            headers,
            body: redacted(body, topic.secrets),
            unread,
        }
    }
}

async fn read(response: &mut Response) -> (Vec<u8>, Option<Unread>) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY => {
                return (
                    Vec::new(),
                    Some(Unread {
                        fault: Fault::TooLarge,
                        source: None,
                    }),
                );
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body, None),
            Err(source) => {
                let source = source.without_url();
                let fault = Fault::of(&source);
                return (
                    Vec::new(),
                    Some(Unread {
                        fault,
                        source: Some(source),
                    }),
                );
            }
        }
    }
}

/// Takes secrets out of a reply that repeats what it was sent, before anybody reads it.
fn redacted(body: Vec<u8>, secrets: &[&str]) -> Vec<u8> {
    let Ok(text) = str::from_utf8(&body) else {
        // Not UTF-8, so not JSON either: nothing will be read from it.
        return body;
    };
    if !secrets
        .iter()
        .any(|secret| !secret.is_empty() && text.contains(secret))
    {
        return body;
    }
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "[redacted]");
    }
    text.into_bytes()
}
