//! An export job and its life.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::call::Cause;
use crate::clock::Now;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    New,
    Processing,
    Succeeded,
    Failed,
    Cancelling,
    Cancelled,
}

impl Phase {
    pub(crate) fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Processing => "PROCESSING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelling => "CANCELLING",
            Self::Cancelled => "CANCELLED",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [
            Self::New,
            Self::Processing,
            Self::Succeeded,
            Self::Failed,
            Self::Cancelling,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|phase| phase.as_str() == text)
    }
}

/// How a job ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// SUCCEEDED.
    #[default]
    Succeed,
    /// SUCCEEDED, with `errors`.
    SucceedWithErrors,
    /// FAILED, with `errors`.
    Fail,
    /// It does not end until it is released.
    Hold,
}

/// An error of a job, as the platform writes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JobError {
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) msg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call_stack: Option<String>,
}

impl JobError {
    /// The errors of the failed job that the documents show.
    pub(crate) fn of_failure(job: i64) -> Vec<Self> {
        vec![
            Self {
                code: "0090000009".to_owned(),
                msg: format!(
                    "Error writing profiles to output path \
                     'adl://simulated.azuredatalakestore.net/snapshot/{job}'"
                ),
                call_stack: Some("com.adobe.aep.unifiedprofile.common.logging.Logger".to_owned()),
            },
            Self {
                code: "unknown".to_owned(),
                msg: "Job aborted.".to_owned(),
                call_stack: Some("org.apache.spark.SparkException: Job aborted.".to_owned()),
            },
        ]
    }

    /// The error of the succeeded job that one document shows.
    pub(crate) fn of_success() -> Vec<Self> {
        vec![Self {
            code: "0100000003".to_owned(),
            msg: "Error in Export Job".to_owned(),
            call_stack: Some("com.adobe.aep.unifiedprofile.common.logging.Logger".to_owned()),
        }]
    }
}

/// What a job exports.
#[derive(Clone, Debug)]
pub(crate) struct Profiles {
    pub(crate) total: u64,
    pub(crate) by_namespace: BTreeMap<String, u64>,
}

/// When a job does what, on the clock of the jobs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) runs: Duration,
    pub(crate) ends: Duration,
    pub(crate) cancelled: Duration,
}

/// When a job did what, on the wall's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamps {
    pub(crate) created: i64,
    pub(crate) running: Option<i64>,
    pub(crate) ended: Option<i64>,
    pub(crate) updated: i64,
    /// When its deletion was first asked for.
    pub(crate) deleted: Option<i64>,
    /// When it was removed, so that the API knows it no more.
    pub(crate) removed: Option<i64>,
}

/// Documents that are served as they were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pins {
    pub(crate) get: Option<Box<RawValue>>,
    pub(crate) list: Option<Box<RawValue>>,
}

/// An export job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: i64,
    pub(crate) sandbox: String,
    /// The creating call's request id.
    pub(crate) request_id: String,
    /// What stands in its place where that is not given back.
    pub(crate) other_request_id: String,
    pub(crate) dataset: String,
    pub(crate) body: Value,
    pub(crate) batches: Vec<String>,
    pub(crate) phase: Phase,
    /// The phase before it was cancelled.
    pub(crate) before_cancel: Phase,
    pub(crate) outcome: Outcome,
    pub(crate) errors: Vec<JobError>,
    pub(crate) profiles: Profiles,
    pub(crate) schedule: Schedule,
    pub(crate) stamps: Stamps,
    /// When its end came, on the clock of the jobs.
    pub(crate) ended_life: Duration,
    /// A status that is shown whatever the phase.
    pub(crate) shown_status: Option<String>,
    pub(crate) pins: Pins,
    pub(crate) compute: Compute,
    pub(crate) delete_requests: u64,
    /// When it was made on the machine's clock, in milliseconds since 1970: lags begin there.
    pub(crate) born: i64,
    /// How many calls for the list there must have been before one shows it.
    pub(crate) listed_after: u64,
    /// The call that made it; none if it was seeded.
    pub(crate) cause: Option<Cause>,
    /// Made by someone else than whom the tests watch.
    pub(crate) foreign: bool,
}

/// Ids of the compute gateway.
#[derive(Clone, Debug)]
pub(crate) struct Compute {
    pub(crate) export: String,
    pub(crate) push: String,
}

impl Job {
    /// Lets the job live until `now`; true if it ended on the way.
    pub(crate) fn advance(&mut self, now: &Now) -> bool {
        if self.phase == Phase::New && now.life >= self.schedule.runs {
            let at = now.wall_at(self.schedule.runs).max(self.stamps.created);
            self.phase = Phase::Processing;
            self.stamps.running = Some(at);
            self.stamps.updated = at;
        }
        let (phase, due) = match self.phase {
            Phase::Processing => match self.outcome {
                Outcome::Hold => return false,
                Outcome::Fail => (Phase::Failed, self.schedule.ends),
                Outcome::Succeed | Outcome::SucceedWithErrors => {
                    (Phase::Succeeded, self.schedule.ends)
                }
            },
            Phase::Cancelling => (Phase::Cancelled, self.schedule.cancelled),
            Phase::New | Phase::Succeeded | Phase::Failed | Phase::Cancelled => return false,
        };
        if now.life < due {
            return false;
        }
        let at = now
            .wall_at(due)
            .max(self.stamps.running.unwrap_or(self.stamps.created));
        self.phase = phase;
        self.ended_life = due;
        self.stamps.ended = Some(at);
        self.stamps.updated = at;
        self.complain();
        true
    }

    /// Gives a job that failed, or succeeded with errors, its errors if it has none of its own.
    pub(crate) fn complain(&mut self) {
        if !self.errors.is_empty() {
            return;
        }
        if self.phase == Phase::Failed {
            self.errors = JobError::of_failure(self.id);
        } else if self.phase == Phase::Succeeded && self.outcome == Outcome::SucceedWithErrors {
            self.errors = JobError::of_success();
        }
    }

    /// Begins to cancel the job, which then ends at `cancelled_at`.
    pub(crate) fn cancel(&mut self, now: &Now, cancelled_at: Duration) {
        if self.phase == Phase::Cancelling || self.phase.is_terminal() {
            return;
        }
        self.before_cancel = self.phase;
        self.phase = Phase::Cancelling;
        self.schedule.cancelled = cancelled_at;
        self.stamps.updated = now.wall;
        self.shown_status = None;
    }

    /// Steers how the job ends; an end that is overdue comes now, not in the past.
    pub(crate) fn steer(&mut self, now: &Now, outcome: Outcome) {
        if self.outcome == Outcome::Hold && outcome != Outcome::Hold {
            self.schedule.ends = self.schedule.ends.max(now.life);
        }
        self.outcome = outcome;
    }

    /// Moves the job's next end to now.
    pub(crate) fn hasten(&mut self, now: &Now) {
        self.schedule.runs = self.schedule.runs.min(now.life);
        self.schedule.ends = self.schedule.ends.min(now.life);
        self.schedule.cancelled = self.schedule.cancelled.min(now.life);
    }
}
