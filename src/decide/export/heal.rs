//! More than one job of the same request: one is kept, the others are cancelled.

use super::{
    super::Cause,
    facts::{Facts, Surplus},
    plan::{Effect, Plan, Situation, plan},
};
use crate::{
    api::{Reason, Submission},
    platform::{Job, JobId, JobState},
};

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
            Surplus::Seen(_) | Surplus::LeftAlone => None,
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
