//! Tests of the adapter, against a small HTTP server in the same process.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

use super::*;
use crate::governor::Permit;

mod auth;
mod catalog;
mod decoding;
mod envelopes;
mod exports;
mod paging;
mod readings;
mod secrets;
mod settings;
mod submission;
mod transport;

/// One request as the server saw it.
#[derive(Clone, Debug)]
struct Seen {
    method: String,
    target: String,
    headers: HeaderMap,
    body: String,
}

/// What the server answers.
struct Canned {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// Never answer.
    silent: bool,
}

/// A server that answers by a function of the request and how many there were before it.
struct Stub {
    url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

/// Time that stands until a test moves it.
#[derive(Clone)]
struct Hands(Arc<Mutex<Duration>>);

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn is_token_call(&self) -> bool {
        self.target == "/ims/token/v3"
    }
}

impl Canned {
    fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
            silent: false,
        }
    }

    fn text(status: u16, body: impl Into<String>) -> Self {
        Self {
            body: body.into(),
            ..Self::status(status)
        }
    }

    fn json(body: &Value) -> Self {
        Self::text(200, body.to_string())
    }

    fn silent() -> Self {
        Self {
            silent: true,
            ..Self::status(200)
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Stub {
    /// Answers everything by `answer`, calls for a token too.
    async fn bare(answer: impl Fn(&Seen, usize) -> Canned + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let answer = Arc::new(answer);
        let log = Arc::clone(&seen);
        let app = Router::new().fallback(move |request: Request| {
            let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap();
                let seen = Seen {
                    method: parts.method.to_string(),
                    target: parts.uri.path_and_query().unwrap().to_string(),
                    headers: parts.headers,
                    body: String::from_utf8(body.to_vec()).unwrap(),
                };
                let before = {
                    let mut log = log.lock().unwrap();
                    log.push(seen.clone());
                    log.len() - 1
                };
                let canned = answer(&seen, before);
                if canned.silent {
                    std::future::pending::<()>().await;
                }
                let mut response = Response::builder().status(canned.status);
                for (name, value) in canned.headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(canned.body)).unwrap()
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen, task }
    }

    /// Gives out tokens (`token-1`, `token-2`…) and answers the platform's calls by `answer`.
    async fn start(answer: impl Fn(&Seen, usize) -> Canned + Send + Sync + 'static) -> Self {
        let (tokens, calls) = (Mutex::new(0), Mutex::new(0));
        Self::bare(move |seen, _| {
            if seen.is_token_call() {
                token_reply(next(&tokens) + 1)
            } else {
                answer(seen, next(&calls))
            }
        })
        .await
    }

    /// Answers every call of the platform alike.
    async fn always(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::start(move |_, _| Canned::text(status, body.clone())).await
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints {
            platform: self.url.clone(),
            ims: self.url.clone(),
        }
    }

    fn settings(&self) -> Settings {
        Settings::new(self.endpoints(), "ORG@AdobeOrg", "dev", credential())
    }

    fn platform(&self) -> Platform {
        Platform::new(self.settings(), PlatformClock::system()).unwrap()
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap()
    }

    /// The calls that were not for a token.
    fn calls(&self) -> Vec<Seen> {
        self.seen()
            .iter()
            .filter(|seen| !seen.is_token_call())
            .cloned()
            .collect()
    }

    fn token_calls(&self) -> usize {
        self.seen()
            .iter()
            .filter(|seen| seen.is_token_call())
            .count()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hands {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Duration::from_secs(1000))))
    }

    fn clock(&self) -> Arc<PlatformClock> {
        PlatformClock::with_source(Box::new(self.clone()))
    }

    fn turn(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl TimeSource for Hands {
    fn since_boot(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn wall(&self) -> Timestamp {
        clock::later(start(), self.since_boot())
    }
}

fn start() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn next(counter: &Mutex<usize>) -> usize {
    let mut counter = counter.lock().unwrap();
    *counter += 1;
    *counter - 1
}

fn token_reply(number: usize) -> Canned {
    let token = format!("token-{number}");
    Canned::json(&json!({"access_token": token, "token_type": "bearer", "expires_in": 86399}))
}

/// A tenant whose gateway is `listener` and whose token is given.
fn raw(listener: &TcpListener, scheme: &str) -> Settings {
    let url: Url = format!("{scheme}://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let credential = Credential::AccessToken {
        access_token: SecretString::from("given"),
        api_key: "key".to_owned(),
    };
    Settings::new(
        Endpoints {
            platform: url.clone(),
            ims: url,
        },
        "o",
        "s",
        credential,
    )
}

fn credential() -> Credential {
    Credential::OAuthServerToServer {
        client_id: "client".to_owned(),
        client_secret: SecretString::from("s3cret-of-the-client"),
        scopes: vec!["openid".to_owned(), "AdobeID".to_owned()],
    }
}

/// A fence that stays open.
fn open(platform: &Platform) -> Fence {
    Fence::until(
        clock::later(platform.now(), Duration::from_mins(1)),
        Arc::clone(platform.clock()),
    )
}

/// Submits an export with an open fence.
async fn submit(platform: &Platform) -> Result<Job, PlatformError> {
    let body = json!({"destination": {"datasetId": "d"}});
    platform
        .create_export_job(
            "r".repeat(32).as_str(),
            &body,
            &open(platform),
            Permit::free(),
        )
        .await
}

fn job(id: &str) -> JobId {
    JobId::new(id)
}

fn dataset(id: &str) -> DatasetId {
    DatasetId::new(id)
}

/// The gateway's own envelope.
fn gateway(code: &str) -> String {
    json!({"error_code": code, "message": "the gateway's words"}).to_string()
}

fn is_error(status: u16) -> bool {
    !StatusCode::from_u16(status).unwrap().is_success()
}
