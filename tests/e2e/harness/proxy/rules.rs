//! Faults of single requests.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;
use tokio::sync::watch;

use super::request::{Asked, Match};

/// On which side of what the server does something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The server has not heard of the request.
    Before,
    /// The server has done what was asked, and its reply is not passed on.
    After,
}

/// What happens to a request instead of its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 409: the server has not heard of it.
    Conflict,
    /// 429 with this `Retry-After`, in seconds: the server has not heard of it.
    Throttle(u64),
    /// 410, as for a version that is not kept any more: the server has not heard of it.
    Expire,
    /// 504, after the server has done what was asked.
    TimeOut,
    /// The connection closes: the server has not heard of it, or has done what was asked.
    Close(Side),
    /// It is held until the rule ends, and so reaches the server late; or its reply is held. It
    /// goes on even if the caller has hung up meanwhile.
    Hold(Side),
}

/// Which of the requests that match a rule is about.
#[derive(Clone, Copy, Debug)]
pub struct When {
    skip: usize,
    times: Option<usize>,
}

/// A rule, which stands until it has happened as often as it should, or is ended.
pub struct Rule(std::sync::Arc<Armed>);

/// A rule as the proxy has it.
pub struct Armed {
    what: Match,
    when: When,
    pub fault: Fault,
    seen: watch::Sender<usize>,
    ended: watch::Sender<bool>,
}

impl When {
    /// Every one.
    pub const ALWAYS: Self = Self {
        skip: 0,
        times: None,
    };

    /// The next so many.
    pub fn next(times: usize) -> Self {
        Self {
            skip: 0,
            times: Some(times),
        }
    }

    /// Only the one with this number from now on, the first being 1.
    pub fn nth(number: usize) -> Self {
        Self {
            skip: number.saturating_sub(1),
            times: Some(1),
        }
    }

    /// The one with this number from now on, and every one after it.
    pub fn from(number: usize) -> Self {
        Self {
            skip: number.saturating_sub(1),
            times: None,
        }
    }

    /// How many of this many that matched are hit.
    fn hits(self, seen: usize) -> usize {
        let hits = seen.saturating_sub(self.skip);
        self.times.map_or(hits, |times| hits.min(times))
    }
}

impl Rule {
    pub(super) fn new(what: Match, when: When, fault: Fault) -> (Self, std::sync::Arc<Armed>) {
        let armed = std::sync::Arc::new(Armed {
            what,
            when,
            fault,
            seen: watch::Sender::new(0),
            ended: watch::Sender::new(false),
        });
        (Self(std::sync::Arc::clone(&armed)), armed)
    }

    /// Waits until it has happened so many times.
    pub async fn happened(&self, times: usize) {
        let Armed { when, seen, .. } = &*self.0;
        // The sender is here, so the channel is open.
        let _ = seen
            .subscribe()
            .wait_for(|seen| when.hits(*seen) >= times)
            .await;
    }

    /// It happens no more, and what it holds goes on.
    pub fn end(&self) {
        self.0.ended.send_replace(true);
    }
}

impl Armed {
    /// Whether it happens to this request.
    pub fn claims(&self, asked: &Asked) -> bool {
        if *self.ended.borrow() || !self.what.matches(asked) {
            return false;
        }
        let before = *self.seen.borrow();
        self.seen.send_replace(before + 1);
        self.when.hits(before + 1) > self.when.hits(before)
    }

    /// Waits until it is ended.
    pub async fn ended(&self) {
        // The sender is here, so the channel is open.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

/// The API server's answer that says no.
pub fn refusal(status: StatusCode, reason: &str, retry_after: Option<u64>) -> Response<Body> {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "code": status.as_u16(), "message": format!("{reason}, says the proxy"),
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::*;
    use crate::harness::proxy::{Server, Verb};

    /// Whether each of four requests is hit, the second being one for another object.
    fn claimed(when: When) -> [bool; 4] {
        let what = Match::resource("exportjobs").verb(Verb::Get).named("a");
        let (_rule, armed) = Rule::new(what, when, Fault::Conflict);
        ["a", "b", "a", "a"].map(|name| {
            let path = format!("/apis/aep-export.dev/v1alpha1/namespaces/x/exportjobs/{name}");
            let uri: Uri = path.parse().unwrap();
            armed.claims(&Asked::new(Server::Kubernetes, &Method::GET, &uri))
        })
    }

    #[test]
    fn a_rule_happens_to_those_requests_that_its_count_says() {
        assert_eq!(claimed(When::ALWAYS), [true, false, true, true]);
        assert_eq!(claimed(When::next(2)), [true, false, true, false]);
        assert_eq!(claimed(When::nth(2)), [false, false, true, false]);
        assert_eq!(claimed(When::from(2)), [false, false, true, true]);
    }

    #[test]
    fn a_rule_that_was_ended_happens_no_more() {
        let (rule, armed) = Rule::new(Match::all(Server::Platform), When::ALWAYS, Fault::Expire);
        let asked = Asked::new(Server::Platform, &Method::GET, &Uri::from_static("/x"));
        assert!(armed.claims(&asked));
        rule.end();
        assert!(!armed.claims(&asked));
    }
}
