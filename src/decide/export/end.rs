//! How an export comes to its end: followed, cancelled, let go.

use jiff::Timestamp;

use super::{
    super::{Cause, Finalizer, Need},
    Batches, DataAvailability, Effect, Ending, Facts, Plan, Sighting, Situation, plan, rest,
};
use crate::{
    api::{Cancellation, CancelledBy, Reason, Submission, whole_second},
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
    match &facts.sighting {
        Sighting::Unseen => plan(Situation::Running(None), on),
        Sighting::Missing => {
            let cause = Cause::new(
                Reason::JobNotFound,
                format!("the platform shows no job {id} at the moment; it is looked for again"),
            );
            plan(Situation::Running(Some(cause)), on)
        }
        Sighting::Trouble(cause) => plan(Situation::Running(Some(cause.clone())), on),
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
            JobState::Failed => rest(Situation::Ends(Ending::Failed)),
            JobState::Cancelled => rest(Situation::Ends(Ending::CancelledInPlatform)),
            JobState::Succeeded => succeeded(facts, job, batches, on),
        },
    }
}

/// The job succeeded: the export is complete when its batches can be read, or when waiting for
/// that has taken too long.
fn succeeded(facts: &Facts, job: &Job, batches: &Batches, on: Effect) -> Plan {
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

/// The object is deleted while the job may run: it is cancelled first.
pub(super) fn cancel(facts: &Facts, submission: &Submission, id: &JobId) -> Plan {
    if facts.finalizer == Finalizer::Absent {
        return plan(Situation::Leaving(None), Effect::Rest);
    }
    match &facts.service {
        Need::Met(()) => {}
        Need::Waiting(cause) | Need::Wrong(cause) => {
            let cause = Cause::new(
                cause.reason,
                format!("job {id} cannot be cancelled yet: {}", cause.message),
            );
            return rest(Situation::Cancelling(cause));
        }
    }
    let cancelling =
        |message: String| Situation::Cancelling(Cause::new(Reason::Cancelling, message));
    match &facts.sighting {
        Sighting::Unseen => {
            let look = Effect::Look(submission.clone(), id.clone());
            return plan(
                cancelling(format!("looking at job {id} before it is cancelled")),
                look,
            );
        }
        // A job that the platform does not show may be one that it does not show yet: it is asked
        // to cancel all the same, once.
        Sighting::Missing => {
            if facts
                .cancellation
                .as_ref()
                .is_some_and(|c| c.accepted_at.is_some())
            {
                return leave(facts, None);
            }
        }
        Sighting::Job { job, batches: _ } => match job.state() {
            JobState::Succeeded | JobState::Failed | JobState::Cancelled => {
                return leave(facts, None);
            }
            JobState::Running | JobState::Unknown => {}
        },
        Sighting::Trouble(cause) => {
            let situation = Situation::Cancelling(Cause::new(
                cause.reason,
                format!("job {id} is not cancelled yet: {}", cause.message),
            ));
            return plan(
                situation,
                Effect::Follow(submission.clone(), id.clone(), None),
            );
        }
    }
    let Some(cancellation) = &facts.cancellation else {
        let cancellation = Cancellation {
            requested_at: whole_second(facts.now),
            by: CancelledBy::Deletion,
            accepted_at: None,
        };
        let situation = cancelling(format!("job {id} is being cancelled"));
        return plan(situation, Effect::IntendCancel(cancellation));
    };
    if cancellation.accepted_at.is_none() {
        let effect = Effect::Cancel(submission.clone(), id.clone(), cancellation.clone());
        return plan(cancelling(format!("job {id} is being cancelled")), effect);
    }
    let deadline = cancellation
        .requested_at
        .saturating_add(facts.limits.cancel)
        .unwrap_or(Timestamp::MAX);
    if facts.now >= deadline {
        let cause = Cause::new(
            Reason::CancelTimedOut,
            format!(
                "job {id} in dataset {} was asked to cancel at {} and had not ended by {deadline}; \
                 look at it in the platform",
                submission.target.dataset_id.as_deref().unwrap_or_default(),
                cancellation.requested_at,
            ),
        );
        return leave(facts, Some(cause));
    }
    let situation = cancelling(format!("the platform is cancelling job {id}"));
    plan(
        situation,
        Effect::Follow(submission.clone(), id.clone(), Some(deadline)),
    )
}

/// Deleted while in doubt: nothing is sent, and the object is let go with a warning that says
/// what to look for.
pub(super) fn leave_in_doubt(facts: &Facts, submission: &Submission) -> Plan {
    let cause = Cause::new(
        Reason::DeletedInDoubt,
        format!(
            "deleted while it was not known whether the platform took the request: look in its \
             list of export jobs for request id {}, or a job into dataset {} created between {} \
             and {}, and cancel it there if it is not wanted",
            submission.request_id,
            submission.target.dataset_id.as_deref().unwrap_or_default(),
            submission.intent_time,
            submission.settle_after,
        ),
    );
    leave(facts, Some(cause))
}

/// Nothing is left to do: the object is let go.
pub(super) fn leave(facts: &Facts, warning: Option<Cause>) -> Plan {
    let effect = match facts.finalizer {
        Finalizer::Present => Effect::Release,
        Finalizer::Absent => Effect::Rest,
    };
    plan(Situation::Leaving(warning), effect)
}
