//! The proxy before a server that answers everything, and counts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::State, http::Request};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::*;

const EXPORTS: &str = "/apis/aep-export.dev/v1alpha1/namespaces/a/exportjobs";
/// What does not come within this time does not come.
const NEVER: Duration = Duration::from_millis(200);

/// The server: how many requests it heard, and the frames of its watches.
#[derive(Clone)]
struct Upstream {
    heard: Arc<AtomicUsize>,
    frames: broadcast::Sender<String>,
}

struct Stage {
    proxy: Proxy,
    upstream: Upstream,
    http: reqwest::Client,
}

/// A watch, as its caller reads it.
struct Watching {
    reply: reqwest::Response,
    text: String,
}

async fn serve_request(State(upstream): State<Upstream>, request: Request<Body>) -> Body {
    upstream.heard.fetch_add(1, Ordering::SeqCst);
    if request
        .uri()
        .query()
        .is_some_and(|query| query.contains("watch=true"))
    {
        let frames = upstream.frames.subscribe();
        return Body::from_stream(futures::stream::unfold(frames, |mut frames| async {
            let frame = frames.recv().await.ok()?;
            Some((Ok::<_, std::io::Error>(frame), frames))
        }));
    }
    let token = request.headers().get("authorization");
    let token = token.and_then(|token| token.to_str().ok()).unwrap_or("-");
    Body::from(format!("{} {token}", request.uri()))
}

impl Stage {
    async fn set() -> Self {
        let upstream = Upstream {
            heard: Arc::default(),
            frames: broadcast::Sender::new(16),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .fallback(serve_request)
            .with_state(upstream.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            proxy: Proxy::with_client(reqwest::Client::new(), &url, &url).await,
            upstream,
            http: reqwest::Client::new(),
        }
    }

    fn heard(&self) -> usize {
        self.upstream.heard.load(Ordering::SeqCst)
    }

    fn request(&self, path: &str) -> reqwest::RequestBuilder {
        self.http
            .put(format!("{}{EXPORTS}{path}", self.proxy.kube_url()))
    }

    async fn status(&self, path: &str) -> Option<StatusCode> {
        let reply = self.request(path).send().await.ok()?;
        Some(reply.status())
    }

    async fn watch(&self) -> Watching {
        let url = format!("{}{EXPORTS}?watch=true", self.proxy.kube_url());
        let reply = self.http.get(url).send().await.unwrap();
        Watching {
            reply,
            text: String::new(),
        }
    }

    fn change(&self, name: &str) {
        let object = json!({ "metadata": { "name": name } });
        let frame = json!({ "type": "MODIFIED", "object": object });
        self.upstream.frames.send(format!("{frame}\n")).unwrap();
    }
}

impl Watching {
    async fn frame(&mut self) -> Result<Value, String> {
        loop {
            if let Some((line, rest)) = self.text.split_once('\n') {
                let frame = serde_json::from_str(line).unwrap();
                self.text = rest.to_owned();
                return Ok(frame);
            }
            match self.reply.chunk().await {
                Ok(Some(chunk)) => self.text += str::from_utf8(&chunk).unwrap(),
                Ok(None) => return Err("it ended".to_owned()),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    async fn names(&mut self, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..count {
            let frame = self.frame().await.unwrap();
            names.push(frame["object"]["metadata"]["name"].as_str().unwrap().into());
        }
        names
    }
}

/// Kills nobody, and tells.
fn kill() -> (Box<dyn FnOnce() + Send>, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel();
    (Box::new(move || sender.send(()).unwrap()), receiver)
}

#[tokio::test]
async fn requests_go_through_with_their_token_and_are_counted_over_both_servers() {
    let stage = Stage::set().await;
    let request = stage.request("/w/status?x=y").bearer_auth("t");
    let reply = request.send().await.unwrap().text().await.unwrap();
    assert_eq!(reply, format!("{EXPORTS}/w/status?x=y Bearer t"));
    let events = "/apis/events.k8s.io/v1/namespaces/a/events";
    for url in [
        format!("{}{events}", stage.proxy.kube_url()),
        format!("{}/data/core/ups/export/jobs", stage.proxy.aep_url()),
    ] {
        stage.http.post(url).send().await.unwrap();
    }
    let log = stage.proxy.log();
    let seen: Vec<_> = log
        .iter()
        .map(|logged| (logged.index, logged.asked.server, logged.asked.verb))
        .collect();
    assert_eq!(
        seen,
        [
            (Some(1), Server::Kubernetes, Verb::Update),
            (None, Server::Kubernetes, Verb::Create),
            (Some(2), Server::Platform, Verb::Create),
        ]
    );
    assert_eq!(stage.proxy.counted(), 2);
}

#[tokio::test]
async fn an_operator_is_killed_before_or_after_the_server_hears_of_the_request() {
    for (side, heard) in [(Side::Before, 1), (Side::After, 2)] {
        let stage = Stage::set().await;
        let (kill, killed) = kill();
        let crash = Crash {
            index: 2,
            side,
            kill,
        };
        stage.proxy.open(Some(crash));
        assert_eq!(stage.status("/w").await, Some(StatusCode::OK));
        let no_answer = tokio::time::timeout(NEVER, stage.status("/w")).await;
        assert!(no_answer.is_err(), "{no_answer:?}");
        assert_eq!(killed.recv(), Ok(()));
        assert_eq!(stage.heard(), heard, "{side:?}");
        assert_eq!(stage.proxy.crashed().unwrap().index, Some(2));
        // What such an operator asked meanwhile gets nowhere, either.
        let no_answer = tokio::time::timeout(NEVER, stage.status("/w")).await;
        assert!(no_answer.is_err(), "{no_answer:?}");
        assert_eq!(stage.heard(), heard);
    }
}

#[tokio::test]
async fn a_closed_gate_waits_for_old_connections_and_counts_anew_when_it_opens() {
    let mut stage = Stage::set().await;
    stage.status("/w").await;
    let closed = tokio::time::timeout(NEVER, stage.proxy.close()).await;
    assert!(closed.is_err(), "a connection is open");
    stage.http = reqwest::Client::new();
    stage.proxy.close().await;
    let waits = tokio::time::timeout(NEVER, stage.status("/w")).await;
    assert!(waits.is_err(), "{waits:?}");
    // The one that waited has hung up.
    stage.proxy.close().await;
    stage.proxy.open(None);
    assert_eq!(stage.status("/w").await, Some(StatusCode::OK));
    assert_eq!(stage.proxy.counted(), 1);
}

#[tokio::test]
async fn rules_answer_in_place_of_the_server_or_after_it() {
    for (fault, status, heard) in [
        (Fault::Conflict, Some(StatusCode::CONFLICT), 0),
        (Fault::Throttle(7), Some(StatusCode::TOO_MANY_REQUESTS), 0),
        (Fault::Expire, Some(StatusCode::GONE), 0),
        (Fault::TimeOut, Some(StatusCode::GATEWAY_TIMEOUT), 1),
        (Fault::Close(Side::Before), None, 0),
        (Fault::Close(Side::After), None, 1),
    ] {
        let stage = Stage::set().await;
        let what = Match::resource("exportjobs").subresource("status");
        let rule = stage.proxy.disturb(what, When::next(1), fault);
        assert_eq!(stage.status("/w/status").await, status, "{fault:?}");
        assert_eq!(stage.heard(), heard, "{fault:?}");
        rule.happened(1).await;
        assert_eq!(stage.status("/w/status").await, Some(StatusCode::OK));
    }
}

#[tokio::test]
async fn a_throttled_request_is_told_when_to_come_again() {
    let stage = Stage::set().await;
    let what = Match::resource("exportjobs").whole();
    let _rule = stage.proxy.disturb(what, When::nth(1), Fault::Throttle(7));
    let reply = stage.request("/w").send().await.unwrap();
    assert_eq!(reply.headers()["retry-after"], "7");
    let body: Value = reply.json().await.unwrap();
    assert_eq!(
        (&body["kind"], &body["code"]),
        (&json!("Status"), &json!(429))
    );
}

#[tokio::test]
async fn a_held_request_reaches_the_server_late_even_if_its_caller_has_hung_up() {
    let stage = Stage::set().await;
    for (side, heard) in [(Side::Before, [0, 1]), (Side::After, [2, 2])] {
        let what = Match::resource("exportjobs").named("w");
        let rule = stage.proxy.disturb(what, When::next(1), Fault::Hold(side));
        let waits = tokio::time::timeout(NEVER, stage.status("/w")).await;
        assert!(waits.is_err(), "{waits:?}");
        assert_eq!(stage.heard(), heard[0], "{side:?}");
        rule.end();
        crate::harness::eventually("the server to hear of it", || async {
            match stage.heard() {
                count if count == heard[1] => Ok(()),
                count => Err(count.to_string()),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_server_that_is_unavailable_breaks_watches_and_answers_nothing_for_a_while() {
    let stage = Stage::set().await;
    let mut watching = stage.watch().await;
    let rule = stage.proxy.unavailable(Server::Kubernetes);
    assert!(watching.frame().await.is_err());
    assert_eq!(stage.status("/w").await, None);
    rule.end();
    assert_eq!(stage.status("/w").await, Some(StatusCode::OK));
}

#[tokio::test]
async fn frames_of_a_watch_flow_one_by_one_and_can_be_tampered_with() {
    let stage = Stage::set().await;
    let mut watching = stage.watch().await;
    stage.change("a");
    assert_eq!(watching.names(1).await, ["a"]);
    stage
        .proxy
        .tamper(Frames::of("exportjobs").about("b"), Tamper::Drop, 1);
    assert_eq!(stage.proxy.untouched(), 1);
    for name in ["b", "c"] {
        stage.change(name);
    }
    assert_eq!(watching.names(1).await, ["c"]);
    assert_eq!(stage.proxy.untouched(), 0);
}

#[tokio::test]
async fn frozen_watches_hold_their_frames_until_they_are_thawed() {
    let stage = Stage::set().await;
    let mut watching = stage.watch().await;
    let freeze = stage.proxy.freeze("exportjobs");
    stage.change("a");
    stage.change("b");
    let frame = tokio::time::timeout(NEVER, watching.frame()).await;
    assert!(frame.is_err(), "{frame:?}");
    freeze.thaw();
    assert_eq!(watching.names(2).await, ["a", "b"]);
}

#[tokio::test]
async fn a_watch_ends_with_a_frame_that_says_that_its_version_is_too_old() {
    let stage = Stage::set().await;
    let mut watching = stage.watch().await;
    let _frozen = stage.proxy.freeze("exportjobs");
    stage
        .proxy
        .end_watches(Match::resource("exportjobs"), Ending::Expired);
    let frame = watching.frame().await.unwrap();
    assert_eq!(frame["type"], "ERROR");
    assert_eq!(frame["object"]["code"], 410);
    assert_eq!(watching.frame().await, Err("it ended".to_owned()));
}
