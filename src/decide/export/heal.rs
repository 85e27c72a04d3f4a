//! More than one job of the same request: one is kept, the others are cancelled.

use jiff::{SignedDuration, Timestamp};

use super::{
    super::{Cause, Finalizer},
    facts::{Departure, Facts, Surplus},
    plan::{Effect, Farewell, Plan, Situation, plan},
    stop::{intend_cancel, overdue, way_out},
};
use crate::{
    api::{CancelledBy, Reason, Submission},
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
            Surplus::Seen(job) if is_live(job) && is_ours(submission, job) => Some(plan(
                Situation::Running(None),
                Effect::CancelSurplus(submission.clone(), id.clone()),
            )),
            Surplus::Seen(_)
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
    uncancelled(facts).is_some() && facts.now < until
}

/// A plan, where a surplus job is not cancelled yet: it is asked again soon, and an object that goes
/// waits for it: where the platform refuses, until the deadline; where it is out of reach, as for
/// its own job.
pub(super) fn and_again(facts: &Facts, planned: Plan) -> Plan {
    let Some((cause, answered)) = uncancelled(facts) else {
        return planned;
    };
    let soon = soon(facts);
    let Plan { situation, effect } = planned;
    match (situation, effect) {
        (Situation::Leaving(Farewell::Quiet), effect) if facts.finalizer == Finalizer::Present => {
            let situation = Situation::Cancelling(cause.clone());
            if let Some(plan) = intend_cancel(facts, CancelledBy::Deletion, || situation.clone()) {
                return plan;
            }
            let bounded = answered || facts.departure == Departure::WithNamespace;
            if bounded && overdue(facts) {
                let cause = Cause::new(Reason::CancelTimedOut, cause.message);
                return plan(Situation::Leaving(Farewell::Warning(cause)), effect);
            }
            plan(situation, Effect::WakeAt(soon))
        }
        (situation, Effect::Follow(submission, job, until)) => {
            let until = until.map_or(soon, |until| until.min(soon));
            plan(situation, Effect::Follow(submission, job, Some(until)))
        }
        (situation, effect) => plan(situation, effect),
    }
}

/// When a surplus job that was not cancelled is asked to again.
pub(super) fn soon(facts: &Facts) -> Timestamp {
    facts.now.saturating_add(AGAIN).unwrap_or(Timestamp::MAX)
}

/// Why a surplus job is not cancelled yet, if there is one, and whether the platform says so.
fn uncancelled(facts: &Facts) -> Option<(Cause, bool)> {
    facts.surplus.iter().find_map(|(id, surplus)| {
        let (cause, answered) = match surplus {
            Surplus::OutOfReach(cause) => (cause, false),
            Surplus::Refused(cause) => (cause, true),
            Surplus::Unseen | Surplus::Seen(_) | Surplus::LeftAlone => return None,
        };
        let message = format!(
            "the platform made job {id} of the same request, which is not cancelled yet: {}{}",
            cause.message,
            way_out(facts),
        );
        Some((Cause::new(cause.reason, message), answered))
    })
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
