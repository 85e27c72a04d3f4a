//! What to do about an export: submit it once, settle what is in doubt, follow it to its end,
//! cancel it when its object goes.
//!
//! The platform has no key by which a request could be sent twice and count once. So the intent is
//! on record before the request; a request of which nobody knows what became is looked for and not
//! repeated; and only what proves that it was not taken lets it be sent again.

mod again;
mod doubt;
mod evidence;
mod expiry;
mod facts;
mod follow;
mod heal;
mod plan;
mod stop;
mod submit;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::{Finalizer, Life, request};
use crate::{
    api::{ExportDeletionPolicy, Submission, SubmissionOutcome},
    platform::JobId,
};

pub use self::{
    again::{Delays, deadline, next_attempt, scheduled},
    expiry::kept_on,
    facts::{
        Answer, Asked, Batches, Beginning, Claims, DatasetCheck, Departure, Depth, Destination,
        Echo, Facts, Identity, Limits, List, Pause, Quality, Reading, Record, Request, Sighted,
        Sighting, Surplus, Title, Wish, Wishes,
    },
    plan::{Back, DataAvailability, Effect, Ending, Farewell, Phase, Plan, Situation},
    submit::{CameTo, Hold, came_to},
};
use self::{
    expiry::{Expiry, expiry},
    plan::{plan, rest},
    stop::{leave, stopped_by},
};

/// What to do about an export.
#[must_use]
pub fn decide(facts: &Facts) -> Plan {
    if (facts.life, facts.departure) == (Life::Deleting, Departure::Abandoned) {
        return stop::abandoned(facts);
    }
    if is_foreign(facts) {
        return foreign(facts);
    }
    match &facts.record {
        Record::Ended(job) => {
            let own = job
                .as_ref()
                .filter(|(submission, _)| !is_copied(facts, submission));
            let surplus = own.and_then(|(submission, job)| {
                let Plan {
                    situation: _,
                    effect,
                } = heal::heal(facts, submission, job)?;
                Some(plan(Situation::AtRest, effect))
            });
            let waited_for = job
                .as_ref()
                .is_some_and(|(submission, _)| heal::is_waited_for(facts, submission));
            surplus.unwrap_or_else(|| match facts.finalizer {
                Finalizer::Present if waited_for => {
                    plan(Situation::AtRest, Effect::WakeAt(heal::soon(facts)))
                }
                Finalizer::Present => plan(Situation::AtRest, Effect::Release),
                Finalizer::Absent => plan(
                    Situation::AtRest,
                    match expiry(facts) {
                        Expiry::Never => Effect::Rest,
                        Expiry::At(time) => Effect::WakeAt(time),
                        Expiry::Due => Effect::Expire,
                    },
                ),
            })
        }
        Record::Fresh { attempt } => submit::submit(facts, *attempt),
        Record::Open(submission) => {
            if facts.held.as_deref() == Some(submission.r#try.as_str()) {
                submit::send(facts, submission)
            } else if is_orphaned(facts) {
                stop::orphan(facts, submission)
            } else {
                doubt::settle(facts, submission)
            }
        }
        Record::Known(submission, job) => {
            if let Some(plan) = heal::heal(facts, submission, job) {
                return plan;
            }
            if is_orphaned(facts) {
                return stop::orphan(facts, submission);
            }
            let planned = match stopped_by(facts) {
                Some(by) => stop::stop(facts, submission, job, by),
                None => follow::follow(facts, submission, job),
            };
            heal::and_again(facts, submission, planned)
        }
    }
}

/// Whether the object goes and its job stays.
fn is_orphaned(facts: &Facts) -> bool {
    match facts.wishes.on_deletion {
        ExportDeletionPolicy::Cancel => false,
        ExportDeletionPolicy::Orphan => facts.life == Life::Deleting,
    }
}

/// By when a pass is due whatever happens: the end of the time that the export may take.
#[must_use]
pub fn due_by(facts: &Facts) -> Option<Timestamp> {
    match (&facts.record, stopped_by(facts)) {
        (Record::Ended(_), _) | (_, Some(_)) => None,
        (Record::Fresh { attempt: _ } | Record::Open(_) | Record::Known(_, _), None) => {
            facts.wishes.deadline
        }
    }
}

/// Whether the submission on record was made for another object (copied or forged), or its job
/// was another's before.
fn is_foreign(facts: &Facts) -> bool {
    match &facts.record {
        Record::Fresh { attempt: _ } | Record::Ended(_) => false,
        Record::Open(submission) => is_copied(facts, submission),
        Record::Known(submission, _) => {
            is_copied(facts, submission)
                || match facts.title {
                    Title::Clear => false,
                    Title::Contested => !tells_itself(facts, submission),
                }
        }
    }
}

/// Whether the job itself tells whose it is, or will once it was looked at: then it does not matter
/// who wrote it into which status, and with which times. Nothing is cancelled before it has told.
fn tells_itself(facts: &Facts, submission: &Submission) -> bool {
    match (facts.echo, &facts.sighting) {
        (Echo::Yes, Sighting::Job { job, batches: _ }) => {
            job.request_id.as_deref() == Some(submission.request_id.as_str())
        }
        (Echo::Yes, Sighting::Unseen | Sighting::Missing | Sighting::Trouble(_)) => true,
        (Echo::Unknown | Echo::No, _) => false,
    }
}

/// Whether a submission was made for another object: its request id does not follow from this
/// cluster, this UID and the attempt.
fn is_copied(facts: &Facts, submission: &Submission) -> bool {
    let Identity {
        cluster,
        uid,
        namespace: _,
        name: _,
    } = &facts.identity;
    !request::is_of(&submission.request_id, cluster, uid, submission.attempt)
}

fn foreign(facts: &Facts) -> Plan {
    match (facts.life, facts.finalizer) {
        (Life::Live, _) => rest(Situation::Foreign),
        // Nothing of what such a status names is ours to cancel.
        (Life::Deleting, _) => leave(facts, Farewell::Quiet),
    }
}

/// What the status has on record of a submission: its own word on the outcome, the job's id and
/// whether it ended. `attempts` is the number of the last attempt that failed, or 0.
#[must_use]
pub fn record(
    submission: Option<&Submission>,
    job: Option<&str>,
    attempts: i64,
    ended: bool,
) -> Record {
    let fresh = |attempt| Record::Fresh { attempt };
    match (submission, job) {
        (submission, job) if ended => Record::Ended(submission.cloned().zip(job.map(JobId::new))),
        (None, None | Some(_)) => fresh(attempts.saturating_add(1)),
        // What failed stays on record until the next attempt: it is claimed, and what to export
        // does not change between attempts.
        (Some(submission), None) if submission.attempt <= attempts => {
            fresh(attempts.saturating_add(1))
        }
        (Some(submission), Some(job)) => Record::Known(submission.clone(), JobId::new(job)),
        (Some(submission), None) => match submission.outcome {
            Some(
                SubmissionOutcome::NotSent
                | SubmissionOutcome::Refused
                | SubmissionOutcome::NotTaken,
            ) => fresh(submission.attempt),
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

impl Identity {
    /// The object for a kubectl command line.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{} -n {}", self.name, self.namespace)
    }
}
