//! A job that the platform has: followed to its end, or to the next attempt.

use jiff::Timestamp;

use super::{
    super::{Cause, Finalizer, Need},
    again,
    facts::{Batches, Echo, Facts, Request, Sighted, Sighting},
    plan::{DataAvailability, Effect, Ending, Plan, Situation, plan, rest},
};
use crate::{
    api::{Reason, Submission, whole_second},
    platform::{Batch, BatchState, Job, JobId, JobState},
};

/// The platform has the job: it is followed to its end.
pub(super) fn follow(facts: &Facts, submission: &Submission, id: &JobId) -> Plan {
    // Stripped by hand while the job may run: put on again, or a deletion would leave it running.
    if facts.finalizer == Finalizer::Absent {
        return plan(Situation::Running(None), Effect::Hold);
    }
    match &facts.service {
        Need::Met(()) => {}
        Need::Waiting(cause) | Need::Wrong(cause) => {
            return rest(Situation::Running(Some(cause.clone())));
        }
    }
    let on = Effect::Follow(submission.clone(), id.clone(), None);
    if (facts.request, facts.sighted) == (Request::Pending, Sighted::Before) {
        let look = Effect::Look(submission.clone(), id.clone());
        return plan(Situation::Running(None), look);
    }
    match &facts.sighting {
        Sighting::Unseen => plan(Situation::Running(None), on),
        Sighting::Missing => missing(facts, submission, id),
        Sighting::Trouble(cause) => plan(Situation::Running(Some(cause.clone())), on),
        Sighting::Job { job, batches: _ } if is_anothers(facts, submission, job) => {
            rest(Situation::Foreign)
        }
        Sighting::Job { job, batches } => match job.state() {
            JobState::Running => plan(Situation::Running(None), on),
            JobState::Unknown => {
                let cause = Cause::new(
                    Reason::UnknownStatus,
                    format!(
                        "the platform gives the job's status as {}, which no document names; it \
                         is followed on",
                        job.status
                    ),
                );
                plan(Situation::Running(Some(cause)), on)
            }
            JobState::Failed => failed(facts, submission, id, job),
            JobState::Cancelled => rest(Situation::Ends(Ending::CancelledInPlatform)),
            JobState::Succeeded => succeeded(facts, job, batches, on),
        },
    }
}

/// The platform does not show a job that it had. It may be late at first, or have lost it: the job
/// counts as gone after a while, and what is gone is never sent again.
fn missing(facts: &Facts, submission: &Submission, id: &JobId) -> Plan {
    let since = facts.missing_since.unwrap_or(facts.now);
    let until = since
        .saturating_add(facts.limits.missing)
        .unwrap_or(Timestamp::MAX)
        .max(submission.settle_after);
    if facts.now >= until {
        return rest(Situation::Ends(Ending::Vanished(Cause::new(
            Reason::JobNotFound,
            format!(
                "the platform has not shown job {id} since {since}: it was deleted there, or has \
                 left its history. Whether it wrote anything, its dataset shows; to export again, \
                 create another ExportJob"
            ),
        ))));
    }
    let cause = Cause::new(
        Reason::JobNotFound,
        format!("the platform shows no job {id}; if it does not until {until}, it counts as gone"),
    );
    plan(
        Situation::Running(Some(cause)),
        Effect::Follow(submission.clone(), id.clone(), Some(until)),
    )
}

/// Whether a job is known to be another's: the platform shows request ids, and this is not ours.
/// A person's word stands above that.
fn is_anothers(facts: &Facts, submission: &Submission, job: &Job) -> bool {
    use crate::api::SubmissionEvidence::Person;
    facts.echo == Echo::Yes
        && submission.evidence != Some(Person)
        && job
            .request_id
            .as_ref()
            .is_some_and(|id| *id != submission.request_id)
}

/// The job failed: the end, unless another attempt may follow. That the platform says so is asked
/// for once more before, since a list may show an older state.
fn failed(facts: &Facts, submission: &Submission, id: &JobId, job: &Job) -> Plan {
    if submission.attempt > i64::from(facts.wishes.retries) {
        return rest(Situation::Ends(Ending::Failed));
    }
    match facts.sighted {
        Sighted::Before => plan(
            Situation::Running(None),
            Effect::Look(submission.clone(), id.clone()),
        ),
        Sighted::InThisPass => {
            let ended = whole_second(job.update_time.unwrap_or(facts.now));
            let next = again::next_attempt(
                &facts.identity.uid,
                submission.attempt,
                ended,
                facts.limits.retry,
            );
            plan(
                Situation::Retrying(again::scheduled(submission.attempt, id.as_str(), next)),
                Effect::Retry(submission.clone(), Box::new(job.clone())),
            )
        }
    }
}

/// The job succeeded: the export is complete when its batches can be read, or when waiting for
/// that has taken too long.
pub(super) fn succeeded(facts: &Facts, job: &Job, batches: &Batches, on: Effect) -> Plan {
    let ends = |data| rest(Situation::Ends(Ending::Succeeded(data)));
    let unknown =
        |reason, message: String| ends(DataAvailability::Unknown(Cause::new(reason, message)));
    if job.batches.is_empty() {
        return unknown(
            Reason::NoBatch,
            "the platform named no batch, so whether the data can be read was not seen".into(),
        );
    }
    let ended = job.update_time.unwrap_or(facts.now);
    let deadline = ended
        .saturating_add(facts.limits.batch)
        .unwrap_or(Timestamp::MAX);
    let late = facts.now >= deadline;
    let seen = match batches {
        Batches::NotAsked => return plan(Situation::Running(None), on),
        Batches::Refused(cause) if late => {
            return ends(DataAvailability::Unknown(cause.clone()));
        }
        Batches::Refused(cause) => {
            return plan(Situation::WaitingForBatch(cause.clone()), on);
        }
        Batches::Seen(seen) => seen,
    };
    let state = |batch: &Option<Batch>| {
        batch
            .as_ref()
            .map_or(BatchState::Pending, |batch| BatchState::of(&batch.status))
    };
    let of = |wanted: BatchState| {
        seen.iter()
            .filter(move |(_, batch)| state(batch) == wanted)
            .map(|(id, _)| id)
    };
    if let Some(id) = of(BatchState::Unreadable).next() {
        return unknown(
            Reason::BatchUnreadable,
            format!(
                "the Catalog shows batch {id} in a state from which it does not become readable"
            ),
        );
    }
    match of(BatchState::Pending).next() {
        None => ends(DataAvailability::Readable),
        Some(id) if late => unknown(
            Reason::BatchNotSeen,
            format!("the Catalog did not show batch {id} as readable in time; look at it there"),
        ),
        Some(id) => {
            let cause = Cause::new(
                Reason::WaitingForBatch,
                format!(
                    "the job succeeded; batch {id} is not readable yet (looked at until {deadline})"
                ),
            );
            plan(Situation::WaitingForBatch(cause), on)
        }
    }
}
