//! What faults do: replies in place of the tenant's, changes to it, lost ones, and how often and
//! when the call takes effect.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::End;
use crate::reply::Reply;

/// No fault waits longer than a day.
const LONGEST_MILLISECONDS: u64 = 86_400_000;

/// How long a call hangs where nothing is said.
const HANG_MILLISECONDS: u64 = 60_000;

/// What a fault does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Action {
    /// Answers this instead.
    Reply(CannedReply),
    /// Waits, then goes on: to the next fault that matches, or to the tenant.
    DelayMilliseconds(u64),
    /// Answers this sample instead, with 200 if it names no other status.
    Respond(Sample),
    /// Lets the tenant answer, with a change.
    Tenant(Own),
    /// Answers nothing.
    Lose(Loss),
}

/// An answer with a status.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CannedReply {
    status: u16,
    #[serde(default)]
    body: Option<Box<RawValue>>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Adds `Retry-After` with the date so many seconds after the reply, on the tenant's clock.
    #[serde(default)]
    retry_after_date_seconds: Option<i64>,
    /// Whether, when and how often the call takes effect.
    #[serde(default)]
    commit: Commit,
    #[serde(default)]
    cut: Option<Cut>,
}

/// A documented sample.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Sample {
    body: Box<RawValue>,
    #[serde(default = "json_type")]
    content_type: String,
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    retry_after_date_seconds: Option<i64>,
    #[serde(default)]
    commit: Commit,
    #[serde(default)]
    cut: Option<Cut>,
}

/// The tenant's own answer, changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Own {
    #[serde(default = "committed")]
    commit: Commit,
    /// Whose answer it is, if the call takes effect twice.
    #[serde(default)]
    pub(crate) names: Names,
    /// What changes in the body; an answer to which it cannot be applied stays as it is.
    #[serde(default)]
    pub(crate) patch: json_patch::Patch,
    #[serde(default)]
    pub(crate) cut: Option<Cut>,
}

/// One of two effects of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Names {
    #[default]
    First,
    Second,
}

/// An answer that is never sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Loss {
    how: How,
    /// How long a call hangs, unless its caller leaves before.
    #[serde(default)]
    for_milliseconds: Option<u64>,
    #[serde(default)]
    commit: Commit,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum How {
    /// It is closed: TCP FIN.
    Close,
    /// It is reset: TCP RST.
    Reset,
    /// It stays open for a while, then is closed.
    Hang,
}

/// An end in the middle of an answer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Cut {
    /// How much of the body is sent; a body that is no longer is sent whole, and nothing is cut.
    pub(crate) after_bytes: usize,
    #[serde(default = "close")]
    pub(crate) how: How,
    #[serde(default)]
    for_milliseconds: Option<u64>,
}

/// Whether a call takes effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "commit is true, false or an object of afterMilliseconds, times, \
                 againAfterMilliseconds, visibleAfterListCalls"
)]
enum Commit {
    Plain(bool),
    Planned(CommitPlan),
}

/// When and how often a call takes effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CommitPlan {
    /// How long after it came, whatever its caller does and whatever the answer is.
    #[serde(default)]
    after_milliseconds: u64,
    /// Once or twice.
    #[serde(default = "once")]
    times: u8,
    /// How long after the first time the second is.
    #[serde(default)]
    again_after_milliseconds: u64,
    /// How many calls for the list do not see a job that it makes.
    #[serde(default)]
    visible_after_list_calls: u64,
}

/// When and how often a call takes effect, read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    /// How long after it came.
    pub(crate) after: Duration,
    /// How long after that it takes effect once more; none: it does not.
    pub(crate) again: Option<Duration>,
    /// How many calls for the list do not see a job that it makes.
    pub(crate) visible_after_list_calls: u64,
}

fn json_type() -> String {
    "application/json".to_owned()
}

fn ok() -> u16 {
    200
}

fn once() -> u8 {
    1
}

fn close() -> How {
    How::Close
}

fn committed() -> Commit {
    Commit::Plain(true)
}

impl Default for Commit {
    fn default() -> Self {
        Self::Plain(false)
    }
}

impl Commit {
    fn plan(&self) -> Option<Plan> {
        match self {
            Self::Plain(false) => None,
            Self::Plain(true) => Some(Plan::default()),
            Self::Planned(plan) => Some(Plan {
                after: Duration::from_millis(plan.after_milliseconds),
                again: (plan.times == 2)
                    .then(|| Duration::from_millis(plan.again_after_milliseconds)),
                visible_after_list_calls: plan.visible_after_list_calls,
            }),
        }
    }

    fn check(&self) -> Result<(), String> {
        let Self::Planned(plan) = self else {
            return Ok(());
        };
        within_a_day("afterMilliseconds", plan.after_milliseconds)?;
        within_a_day("againAfterMilliseconds", plan.again_after_milliseconds)?;
        match (plan.times, plan.again_after_milliseconds) {
            (1, 0) | (2, _) => Ok(()),
            (1, _) => Err("againAfterMilliseconds is for a commit with times 2".to_owned()),
            (times, _) => Err(format!("times of a commit is 1 or 2, not {times}")),
        }
    }
}

fn within_a_day(name: &str, milliseconds: u64) -> Result<(), String> {
    if milliseconds <= LONGEST_MILLISECONDS {
        Ok(())
    } else {
        Err(format!(
            "{name} is 0 to {LONGEST_MILLISECONDS}, not {milliseconds}"
        ))
    }
}

impl How {
    /// Checks how long it is to take: only a hang takes any time.
    fn check(self, for_milliseconds: Option<u64>) -> Result<(), String> {
        match (self, for_milliseconds) {
            (Self::Hang, given) => within_a_day("forMilliseconds", given.unwrap_or_default()),
            (Self::Close | Self::Reset, None) => Ok(()),
            (Self::Close | Self::Reset, Some(_)) => {
                Err("forMilliseconds is for how hang".to_owned())
            }
        }
    }
}

fn patience(for_milliseconds: Option<u64>) -> Duration {
    Duration::from_millis(for_milliseconds.unwrap_or(HANG_MILLISECONDS))
}

impl Action {
    /// Says what is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Reply(canned) => {
                canned.commit.check()?;
                check_cut(canned.cut)?;
                canned.end().map(drop)
            }
            Self::Respond(sample) => {
                sample.commit.check()?;
                check_cut(sample.cut)?;
                sample.end().map(drop)
            }
            Self::Tenant(own) => own.check(),
            Self::Lose(loss) => {
                loss.commit.check()?;
                loss.how.check(loss.for_milliseconds)
            }
            Self::DelayMilliseconds(delay) => within_a_day("delayMilliseconds", *delay),
        }
    }
}

fn check_cut(cut: Option<Cut>) -> Result<(), String> {
    cut.map_or(Ok(()), |cut| cut.how.check(cut.for_milliseconds))
}

impl Cut {
    /// How long a hang lasts.
    pub(crate) fn patience(self) -> Duration {
        patience(self.for_milliseconds)
    }
}

impl Own {
    /// How the call takes effect.
    pub(crate) fn plan(&self) -> Plan {
        self.commit.plan().unwrap_or_default()
    }

    fn check(&self) -> Result<(), String> {
        self.commit.check()?;
        check_cut(self.cut)?;
        let Some(plan) = self.commit.plan() else {
            return Err("the tenant does not answer a call without acting on it".to_owned());
        };
        if self.names == Names::Second && plan.again.is_none() {
            return Err("names second is for a commit with times 2".to_owned());
        }
        Ok(())
    }
}

impl Loss {
    pub(super) fn end(&self) -> End {
        End::Lost {
            how: self.how,
            patience: patience(self.for_milliseconds),
            plan: self.commit.plan(),
        }
    }
}

impl CannedReply {
    pub(super) fn end(&self) -> Result<End, String> {
        let is_text = self
            .body
            .as_ref()
            .is_some_and(|body| body.get().starts_with('"'));
        let content_type = if is_text {
            "text/plain; charset=utf-8"
        } else {
            "application/json"
        };
        Ok(End::Replaced {
            reply: canned(
                self.status,
                self.body.as_deref(),
                content_type,
                &self.headers,
            )?,
            retry_after_date_seconds: self.retry_after_date_seconds,
            plan: self.commit.plan(),
            cut: self.cut,
        })
    }
}

impl Sample {
    pub(super) fn end(&self) -> Result<End, String> {
        Ok(End::Replaced {
            reply: canned(
                self.status,
                Some(&self.body),
                &self.content_type,
                &self.headers,
            )?,
            retry_after_date_seconds: self.retry_after_date_seconds,
            plan: self.commit.plan(),
            cut: self.cut,
        })
    }
}

/// An answer whose body is sent as it was given: JSON with its spelling, a string without its
/// quotes.
fn canned(
    status: u16,
    body: Option<&RawValue>,
    content_type: &str,
    headers: &BTreeMap<String, String>,
) -> Result<Reply, String> {
    let status = StatusCode::from_u16(status).map_err(|_| format!("{status} is no status"))?;
    let mut reply = Reply::empty(status);
    if let Some(body) = body {
        reply.body = match serde_json::from_str::<String>(body.get()) {
            Ok(text) => text.into_bytes(),
            Err(_) => body.get().as_bytes().to_vec(),
        };
        if !headers
            .keys()
            .any(|name| name.eq_ignore_ascii_case("content-type"))
        {
            let value = HeaderValue::from_str(content_type)
                .map_err(|_| format!("{content_type:?} is no content type"))?;
            reply.headers.push((CONTENT_TYPE, value));
        }
    }
    for (name, value) in headers {
        let name: HeaderName = name.parse().map_err(|_| format!("{name:?} is no header"))?;
        if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
            return Err(format!("{name} is set by the server; use cut to break it"));
        }
        let value =
            HeaderValue::from_str(value).map_err(|_| format!("{value:?} is no header value"))?;
        reply.headers.push((name, value));
    }
    Ok(reply)
}
