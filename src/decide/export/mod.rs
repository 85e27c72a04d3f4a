//! What to do about an export: submit it once, follow it to its end, cancel it when its object
//! goes.

mod end;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use self::end::{cancel, follow, leave, leave_in_doubt};
use super::{Cause, Finalizer, Life, Need, Windows, intent_times, request};
use crate::{
    api::{Cancellation, Reason, Submission, SubmissionOutcome, Target},
    platform::{Batch, BatchId, DatasetId, Job, JobId},
};

/// What is known of an `ExportJob`.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The platform's time.
    pub now: Timestamp,
    /// Whether the object is there to stay.
    pub life: Life,
    /// Whether our finalizer is on it.
    pub finalizer: Finalizer,
    /// The identity of cluster and object, for the request id.
    pub identity: Identity,
    /// What its status has on record.
    pub record: Record,
    /// The cancellation on record.
    pub cancellation: Option<Cancellation>,
    /// What a new submission needs.
    pub destination: Need<Destination>,
    /// Whether somebody can talk to the target of the submission on record.
    pub service: Need<()>,
    /// What the platform last said of the job.
    pub sighting: Sighting,
    /// The nonce that this pass wrote into the intent, if it did.
    pub held: Option<String>,
    /// A nonce to use for a new intent.
    pub nonce: String,
    /// No request may be sent before this time, after one that was not taken.
    pub not_before: Option<Timestamp>,
    /// The bounds of waiting.
    pub limits: Limits,
}

/// Who an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The UID of the cluster's `kube-system` namespace.
    pub cluster: String,
    /// The object's UID.
    pub uid: String,
}

/// What the status has on record.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// No submission, or one that was provably not taken.
    Fresh,
    /// A submission whose outcome is not known.
    Open(Submission),
    /// The platform's job.
    Known(Submission, JobId),
    /// The end.
    Ended,
}

/// Where a new submission would go, and with what.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// Platform, organisation, sandbox and dataset.
    pub target: Target,
    /// The body of the request.
    pub body: Value,
    /// Whether the dataset was seen to be one that profile exports can write to.
    pub dataset: DatasetCheck,
}

/// Whether the dataset of a new submission was looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum DatasetCheck {
    /// It is one of a `ProfileDataset` that is ready, or was looked at in this pass.
    Suitable,
    /// Nobody looked yet.
    Due(DatasetId),
}

/// What the platform last said of the job.
#[derive(Clone, Debug, PartialEq)]
pub enum Sighting {
    /// Nothing in the life of this process.
    Unseen,
    /// This.
    Job {
        /// The job.
        job: Box<Job>,
        /// Its batches, as the Catalog shows them.
        batches: Batches,
    },
    /// There is no such job.
    Missing,
    /// It cannot be asked at the moment.
    Trouble(Cause),
}

/// What the Catalog shows of a succeeded job's batches.
#[derive(Clone, Debug, PartialEq)]
pub enum Batches {
    /// It was not asked.
    NotAsked,
    /// It cannot be asked: why.
    Refused(Cause),
    /// Each batch of the job, with what the Catalog shows of it.
    Seen(Vec<(BatchId, Option<Batch>)>),
}

/// The bounds of waiting; each is a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The times of the submission protocol.
    pub windows: Windows,
    /// How long to wait for a batch of a succeeded job to be readable.
    pub batch: SignedDuration,
    /// How long to wait for a cancelled job to end.
    pub cancel: SignedDuration,
}

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
    /// Let the board follow the job; come back at this time at the latest, if there is one.
    Follow(Submission, JobId, Option<Timestamp>),
    /// Ask for the job once, now.
    Look(Submission, JobId),
    /// Record the cancellation.
    IntendCancel(Cancellation),
    /// Ask the platform to cancel the job.
    Cancel(Submission, JobId, Cancellation),
}

/// How an export stands: a row of the table of conditions.
#[derive(Clone, Debug, PartialEq)]
pub enum Situation {
    /// It waits for something that is not there yet.
    Waiting(Cause),
    /// Something that it needs is there and wrong.
    Blocked(Cause),
    /// Its intent is recorded, or about to be.
    Submitting,
    /// Its request may or may not have been taken.
    InDoubt(Submission),
    /// The platform has it; a cause if something is worth saying.
    Running(Option<Cause>),
    /// The platform is done and the data is not readable yet.
    WaitingForBatch(Cause),
    /// It is being cancelled.
    Cancelling(Cause),
    /// It ended.
    Ends(Ending),
    /// It ended before; nothing is left to say.
    AtRest,
    /// Its status was made for another object.
    Foreign,
    /// Its object is deleted and nothing is left to do; a warning if something may be left behind.
    Leaving(Option<Cause>),
}

/// How an export ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// Well.
    Succeeded(DataAvailability),
    /// The platform says that it failed.
    Failed,
    /// It was cancelled in the platform, not by this object.
    CancelledInPlatform,
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

/// What to do about an export.
#[must_use]
pub fn decide(facts: &Facts) -> Plan {
    if is_foreign(facts) {
        return foreign(facts);
    }
    match (facts.life, &facts.record) {
        (_, Record::Ended) => match facts.finalizer {
            Finalizer::Present => plan(Situation::AtRest, Effect::Release),
            Finalizer::Absent => plan(Situation::AtRest, Effect::Rest),
        },
        (Life::Live, Record::Fresh) => submit(facts),
        (Life::Live, Record::Open(submission)) => send(facts, submission),
        (Life::Live, Record::Known(submission, job)) => follow(facts, submission, job),
        (Life::Deleting, Record::Fresh) => leave(facts, None),
        (Life::Deleting, Record::Open(submission)) => leave_in_doubt(facts, submission),
        (Life::Deleting, Record::Known(submission, job)) => cancel(facts, submission, job),
    }
}

/// Whether the submission on record was made for another object (copied or forged): its request
/// id does not follow from this cluster, this UID and the attempt.
fn is_foreign(facts: &Facts) -> bool {
    let Identity { cluster, uid } = &facts.identity;
    match &facts.record {
        Record::Fresh | Record::Ended => false,
        Record::Open(submission) | Record::Known(submission, _) => {
            submission.request_id != request::request_id(cluster, uid, submission.attempt)
        }
    }
}

fn foreign(facts: &Facts) -> Plan {
    match (facts.life, facts.finalizer) {
        (Life::Live, _) => plan(Situation::Foreign, Effect::Rest),
        // Nothing of what such a status names is ours to cancel.
        (Life::Deleting, _) => leave(facts, None),
    }
}

fn submit(facts: &Facts) -> Plan {
    let destination = match &facts.destination {
        Need::Waiting(cause) => return rest(Situation::Waiting(cause.clone())),
        Need::Wrong(cause) => return rest(Situation::Blocked(cause.clone())),
        Need::Met(destination) => destination,
    };
    if let Some(time) = facts.not_before.filter(|time| *time > facts.now) {
        let cause = Cause::new(
            Reason::NotSent,
            format!("the last request was not taken; it is sent again after {time}"),
        );
        return plan(Situation::Waiting(cause), Effect::WakeAt(time));
    }
    if let DatasetCheck::Due(dataset) = &destination.dataset {
        return plan(Situation::Submitting, Effect::CheckDataset(dataset.clone()));
    }
    // The finalizer is there before the first write to the platform can be.
    if facts.finalizer == Finalizer::Absent {
        return plan(Situation::Submitting, Effect::Hold);
    }
    let Destination {
        target,
        body,
        dataset: _,
    } = destination;
    let Identity { cluster, uid } = &facts.identity;
    let (intent_time, send_before, settle_after) = intent_times(facts.now, facts.limits.windows);
    let attempt = 1;
    let submission = Submission {
        attempt,
        r#try: facts.nonce.clone(),
        request_id: request::request_id(cluster, uid, attempt),
        fingerprint: request::fingerprint(body, &target.organization_id, &target.sandbox),
        target: target.clone(),
        intent_time,
        send_before,
        settle_after,
        outcome: None,
        evidence: None,
    };
    plan(Situation::Submitting, Effect::Intend(submission))
}

/// An intent is on record. Only the pass that wrote it may send, only while the object as written
/// shows our finalizer, and only what the intent says.
fn send(facts: &Facts, submission: &Submission) -> Plan {
    let ours = facts.held.as_deref() == Some(submission.r#try.as_str());
    match (&facts.destination, ours, facts.finalizer) {
        (Need::Met(destination), true, Finalizer::Present)
            if destination.target == submission.target =>
        {
            plan(
                Situation::Submitting,
                Effect::Post(submission.clone(), destination.body.clone()),
            )
        }
        (Need::Met(_) | Need::Waiting(_) | Need::Wrong(_), true | false, _) => {
            rest(Situation::InDoubt(submission.clone()))
        }
    }
}

fn plan(situation: Situation, effect: Effect) -> Plan {
    Plan { situation, effect }
}

fn rest(situation: Situation) -> Plan {
    plan(situation, Effect::Rest)
}

/// What the status has on record of a submission: its own word on the outcome, the job's id and
/// whether it ended.
#[must_use]
pub fn record(submission: Option<&Submission>, job: Option<&str>, ended: bool) -> Record {
    match (submission, job) {
        _ if ended => Record::Ended,
        (None, None | Some(_)) => Record::Fresh,
        (Some(submission), Some(job)) => Record::Known(submission.clone(), JobId::new(job)),
        (Some(submission), None) => match submission.outcome {
            Some(SubmissionOutcome::NotSent | SubmissionOutcome::Refused) => Record::Fresh,
            // An outcome that says taken without an id is none that this program writes.
            None
            | Some(
                SubmissionOutcome::Posted
                | SubmissionOutcome::Adopted
                | SubmissionOutcome::Rejected,
            ) => Record::Open(submission.clone()),
        },
    }
}
