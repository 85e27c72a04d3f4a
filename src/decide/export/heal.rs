//! More than one job of the same request: one is kept, the others are cancelled.

use jiff::{SignedDuration, Timestamp};

use super::{
    super::{Cause, Finalizer},
    facts::{Departure, Facts, Surplus},
    plan::{Effect, Farewell, Plan, Situation, plan},
    stop::{intend_cancel, overdue, way_out},
};
use crate::{
    api::{Cancellation, CancelledBy, Reason, Submission, whole_second},
    platform::{Job, JobId, JobState},
};

/// How soon a surplus job is asked to cancel again.
const AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// What is to be done about jobs beside the one on record, if something is.
pub(super) fn heal(facts: &Facts, submission: &Submission, kept: &JobId) -> Option<Plan> {
    let known = |job: &&Job| {
        job.id != *kept
            && !submission
                .surplus_job_ids
                .iter()
                .any(|id| id == job.id.as_str())
    };
    let doubles: Vec<&Job> = facts.doubles.iter().filter(known).collect();
    // The gateway repeats a request at once or not at all: what came later somebody else sent,
    // with the same cluster's identity.
    let unexplained = doubles.iter().find(|job| {
        job.creation_time
            .is_some_and(|time| time > submission.settle_after)
    });
    if let Some(job) = unexplained {
        return Some(plan(
            Situation::Running(None),
            Effect::Distrust(in_use(submission, job)),
        ));
    }
    if !doubles.is_empty() {
        let mut recorded = submission.clone();
        recorded
            .surplus_job_ids
            .extend(doubles.iter().map(|job| job.id.to_string()));
        return Some(plan(Situation::Running(None), Effect::Settle(recorded)));
    }
    facts
        .surplus
        .iter()
        .find_map(|(id, surplus)| match surplus {
            Surplus::Unseen => Some(plan(
                Situation::Running(None),
                Effect::LookAtSurplus(submission.clone(), id.clone()),
            )),
            Surplus::Seen(job)
                if is_live(job) && is_ours(submission, job) && !job.is_being_cancelled() =>
            {
                Some(plan(
                    Situation::Running(None),
                    Effect::CancelSurplus(submission.clone(), id.clone()),
                ))
            }
            Surplus::Seen(_)
            | Surplus::Asked
            | Surplus::LeftAlone
            | Surplus::OutOfReach(_)
            | Surplus::Refused(_) => None,
        })
}

/// Of an export that has ended: whether a surplus job is to be asked to cancel again before the
/// object is let go. Not for ever, since an object at rest needs nobody.
pub(super) fn is_waited_for(facts: &Facts, submission: &Submission) -> bool {
    let until = submission
        .settle_after
        .saturating_add(facts.limits.cancel)
        .unwrap_or(Timestamp::MAX);
    not_asked(facts).is_some() && facts.now < until
}

/// A plan, where a surplus job has not ended: one that could not be asked to cancel is asked again
/// soon. An object that goes waits for it: until the deadline, or, where the platform is out of
/// reach, as it does for its own job.
pub(super) fn and_again(facts: &Facts, submission: &Submission, planned: Plan) -> Plan {
    let soon = soon(facts);
    let Plan { situation, effect } = planned;
    match (situation, effect) {
        (Situation::Leaving(Farewell::Quiet), effect) if facts.finalizer == Finalizer::Present => {
            let (cause, accepted) = match (not_asked(facts), not_ended(facts, submission)) {
                (Some(cause), _) => (cause, false),
                (None, Some(cause)) => (cause, true),
                (None, None) => return plan(Situation::Leaving(Farewell::Quiet), effect),
            };
            let situation = Situation::Cancelling(cause.clone());
            if let Some(plan) = intend_cancel(facts, CancelledBy::Deletion, || situation.clone()) {
                return plan;
            }
            // It has its time from when the platform said that it will stop.
            if let (true, Some(stop)) = (accepted, &facts.cancellation)
                && stop.accepted_at.is_none()
            {
                let stop = Cancellation {
                    accepted_at: Some(whole_second(facts.now)),
                    ..stop.clone()
                };
                return plan(situation, Effect::IntendCancel(stop));
            }
            if is_bounded(facts) && overdue(facts) {
                let cause = Cause::new(Reason::CancelTimedOut, cause.message);
                return plan(Situation::Leaving(Farewell::Warning(cause)), effect);
            }
            plan(situation, Effect::WakeAt(soon))
        }
        (situation, Effect::Follow(submission, job, until)) if not_asked(facts).is_some() => {
            let until = until.map_or(soon, |until| until.min(soon));
            plan(situation, Effect::Follow(submission, job, Some(until)))
        }
        (situation, effect) => plan(situation, effect),
    }
}

/// Whether an object that goes waits for its surplus jobs only until the deadline.
fn is_bounded(facts: &Facts) -> bool {
    let is_away = |(_, surplus): &(JobId, Surplus)| matches!(surplus, Surplus::OutOfReach(_));
    facts.departure == Departure::WithNamespace || !facts.surplus.iter().any(is_away)
}

/// When a surplus job that was not cancelled is asked to again.
pub(super) fn soon(facts: &Facts) -> Timestamp {
    facts.now.saturating_add(AGAIN).unwrap_or(Timestamp::MAX)
}

/// Why a surplus job could not be asked to cancel, if there is one.
fn not_asked(facts: &Facts) -> Option<Cause> {
    facts.surplus.iter().find_map(|(id, surplus)| {
        let (Surplus::OutOfReach(cause) | Surplus::Refused(cause)) = surplus else {
            return None;
        };
        let message = format!(
            "the platform made job {id} of the same request, which is not cancelled yet: {}{}",
            cause.message,
            way_out(facts),
        );
        Some(Cause::new(cause.reason, message))
    })
}

/// The surplus job that was asked to cancel and has not ended, if there is one.
fn not_ended(facts: &Facts, submission: &Submission) -> Option<Cause> {
    let goes_on = |(_, surplus): &&(JobId, Surplus)| match surplus {
        Surplus::Asked => true,
        Surplus::Seen(job) => is_live(job) && is_ours(submission, job),
        Surplus::Unseen | Surplus::LeftAlone | Surplus::OutOfReach(_) | Surplus::Refused(_) => {
            false
        }
    };
    let (id, _) = facts.surplus.iter().find(goes_on)?;
    let message = format!(
        "the platform made job {id} of the same request, which was asked to cancel and has not \
         ended{}",
        way_out(facts),
    );
    Some(Cause::new(Reason::Cancelling, message))
}

fn is_live(job: &Job) -> bool {
    match job.state() {
        JobState::Running | JobState::Unknown => true,
        JobState::Succeeded | JobState::Failed | JobState::Cancelled => false,
    }
}

/// A surplus job is known by its request id alone.
fn is_ours(submission: &Submission, job: &Job) -> bool {
    job.request_id.as_deref() == Some(submission.request_id.as_str())
}

fn in_use(submission: &Submission, job: &Job) -> Cause {
    Cause::new(
        Reason::IdentityInUse,
        format!(
            "job {} carries request id {} of this cluster and was created after anything that \
             this operator sent: a second operator runs with the identity of this cluster (a \
             clone or a restored copy). Nothing more is submitted by this connection until the \
             operator is started again: stop the other one first",
            job.id, submission.request_id,
        ),
    )
}
