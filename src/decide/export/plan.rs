//! What a decision about an export says.

use jiff::Timestamp;
use serde_json::Value;
use strum::{EnumIter, EnumString, IntoStaticStr};

use super::super::Cause;
use crate::{
    api::{Cancellation, CancelledBy, Submission},
    platform::{DatasetId, Job, JobId},
};

/// What to do next, and how things stand meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How the export stands.
    pub situation: Situation,
    /// The one next effect.
    pub effect: Effect,
}

/// The one next effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Nothing but the status; come back when something changes.
    Rest,
    /// Nothing but the status; come back at this time at the latest.
    WakeAt(Timestamp),
    /// Put the finalizer on.
    Hold,
    /// Take the finalizer off.
    Release,
    /// Get the dataset to see its schema.
    CheckDataset(DatasetId),
    /// Record the intent to submit; then the same pass may send.
    Intend(Submission),
    /// Send the request of the intent on record.
    Post(Submission, Value),
    /// Read the platform's list of jobs back to this time.
    ReadList(Back),
    /// The list told nothing: read it again after a while, and at this time at the latest.
    LookAgain(Option<Timestamp>),
    /// Record what is known of the submission by now.
    Settle(Submission),
    /// Record that this job is the submission's.
    Adopt(Submission, Box<Job>),
    /// Let the board follow the job; come back at this time at the latest, if there is one.
    Follow(Submission, JobId, Option<Timestamp>),
    /// Ask for the job once, now.
    Look(Submission, JobId),
    /// Record that this attempt failed; the next one begins when its time comes.
    Retry(Submission, Box<Job>),
    /// Nothing but the status; come back after a wait that grows with each time.
    BackOff,
    /// Delete the object: its time is over.
    Expire,
    /// Record the cancellation.
    IntendCancel(Cancellation),
    /// Ask the platform to cancel the job.
    Cancel(Submission, JobId, Cancellation),
    /// Ask for a surplus job, now.
    LookAtSurplus(Submission, JobId),
    /// Ask the platform to cancel a surplus job.
    CancelSurplus(Submission, JobId),
    /// Submit nothing more by this connection: somebody else uses this cluster's identity.
    Distrust(Cause),
}

/// How far back a list is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// To the submission on record.
    ToIntent(Timestamp),
    /// To the creation of the object, before its first request.
    ToCreation(Timestamp),
}

/// How an export stands: a row of the table of conditions.
#[derive(Clone, Debug, PartialEq)]
pub enum Situation {
    /// It waits for something that is not there yet.
    Waiting(Cause),
    /// Something that it needs is there and wrong.
    Blocked(Cause),
    /// Its spec says that it is not to be submitted yet.
    Suspended,
    /// Its intent is recorded, or about to be.
    Submitting,
    /// Its request may or may not have been taken; that is being settled.
    InDoubt(Cause),
    /// A person must say which job is its own, if one is.
    Ambiguous(Cause),
    /// The platform has it; a cause if something is worth saying.
    Running(Option<Cause>),
    /// The platform is done and the data is not readable yet.
    WaitingForBatch(Cause),
    /// An attempt failed; the next one waits until this time.
    Retrying(Cause),
    /// It is being cancelled.
    Cancelling(Cause),
    /// It ended.
    Ends(Ending),
    /// It ended before; nothing is left to say.
    AtRest,
    /// Its status was made for another object.
    Foreign,
    /// Its object is deleted and nothing is left to do.
    Leaving(Farewell),
}

/// The last word about an export whose object goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Farewell {
    /// None: nothing is left of it.
    Quiet,
    /// Its job is left to run, as the object's policy says.
    LeftToRun(Cause),
    /// Something may be left in the platform that nobody asked to be left.
    Warning(Cause),
}

/// The word for how an export stands, in `status.phase`: for people and columns.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, EnumString, IntoStaticStr,
)]
pub enum Phase {
    /// It waits, or something that it needs is wrong.
    Pending,
    /// Its spec says that it is not to be submitted yet.
    Suspended,
    /// Its request is on its way, or in doubt.
    Submitting,
    /// A person must say which job is its own, if one is.
    Ambiguous,
    /// The platform has it.
    Running,
    /// It is being cancelled.
    Cancelling,
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// How an export ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// Well.
    Succeeded(DataAvailability),
    /// The platform says that it failed.
    Failed,
    /// An attempt failed, and by now no other may follow.
    NoFurtherAttempt(Cause),
    /// The platform had the job and does not show it any more.
    Vanished(Cause),
    /// It was cancelled in the platform, not by this object.
    CancelledInPlatform,
    /// It was cancelled by this object, or never submitted.
    Cancelled(CancelledBy),
    /// The platform rejected the request.
    Rejected(Cause),
}

/// Whether the data of a succeeded export can be read.
#[derive(Clone, Debug, PartialEq)]
pub enum DataAvailability {
    /// Every batch is readable.
    Readable,
    /// It could not be seen, or not all of it: why.
    Unknown(Cause),
}

impl Situation {
    /// The word for it; none where nothing is left to say.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        match self {
            Self::Waiting(_) | Self::Blocked(_) | Self::Retrying(_) | Self::Foreign => {
                Some(Phase::Pending)
            }
            Self::Suspended => Some(Phase::Suspended),
            Self::Submitting | Self::InDoubt(_) => Some(Phase::Submitting),
            Self::Ambiguous(_) => Some(Phase::Ambiguous),
            Self::Running(_) | Self::WaitingForBatch(_) => Some(Phase::Running),
            Self::Cancelling(_) => Some(Phase::Cancelling),
            Self::Ends(ending) => Some(ending.phase()),
            Self::AtRest | Self::Leaving(_) => None,
        }
    }
}

impl Ending {
    /// The word for it.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::Succeeded(_) => Phase::Succeeded,
            Self::Failed
            | Self::NoFurtherAttempt(_)
            | Self::Vanished(_)
            | Self::Rejected(_)
            | Self::Cancelled(CancelledBy::Deadline) => Phase::Failed,
            Self::CancelledInPlatform
            | Self::Cancelled(CancelledBy::Spec | CancelledBy::Deletion) => Phase::Cancelled,
        }
    }
}

impl Phase {
    /// As it stands in the status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

pub(super) fn plan(situation: Situation, effect: Effect) -> Plan {
    Plan { situation, effect }
}

pub(super) fn rest(situation: Situation) -> Plan {
    plan(situation, Effect::Rest)
}
