//! An export that is to stop: deleted, cancelled by its spec, or out of time.

use jiff::Timestamp;

use super::{
    super::{Cause, Finalizer, Life, Need},
    evidence::may_cancel,
    facts::{Answer, Facts, Sighting, Wish},
    follow,
    plan::{Effect, Ending, Plan, Situation, plan, rest},
};
use crate::{
    api::{
        Cancellation, CancelledBy, RESOLVE_ANNOTATION, Reason, Submission, SubmissionEvidence,
        whole_second,
    },
    platform::{Job, JobId, JobState},
};

/// What asks for the export to stop, if something does. A wish of the spec is latched: taken back
/// after it was recorded, it stands.
pub(super) fn stopped_by(facts: &Facts) -> Option<CancelledBy> {
    if facts.life == Life::Deleting {
        return Some(CancelledBy::Deletion);
    }
    let recorded = facts
        .cancellation
        .as_ref()
        .map(|cancellation| cancellation.by);
    match recorded {
        Some(by @ (CancelledBy::Spec | CancelledBy::Deadline)) => Some(by),
        Some(CancelledBy::Deletion) | None => {
            if facts.wishes.cancel == Wish::Present {
                Some(CancelledBy::Spec)
            } else if facts.wishes.deadline.is_some_and(|time| facts.now >= time) {
                Some(CancelledBy::Deadline)
            } else {
                None
            }
        }
    }
}

/// Nothing of the platform's is left, or ever was.
pub(super) fn never_submitted(facts: &Facts, by: CancelledBy) -> Plan {
    match by {
        CancelledBy::Deletion => leave(facts, None),
        CancelledBy::Spec | CancelledBy::Deadline => rest(Situation::Ends(Ending::Cancelled(by))),
    }
}

/// Records that the export is to stop, if that is not on record: its deadline counts from there.
pub(super) fn intend_cancel(
    facts: &Facts,
    by: CancelledBy,
    situation: impl FnOnce() -> Situation,
) -> Option<Plan> {
    let recorded = facts.cancellation.as_ref();
    if recorded.is_some_and(|recorded| recorded.by == by) {
        return None;
    }
    let cancellation = Cancellation {
        requested_at: whole_second(facts.now),
        by,
        accepted_at: recorded.and_then(|recorded| recorded.accepted_at),
    };
    Some(plan(situation(), Effect::IntendCancel(cancellation)))
}

/// Whether a stop has taken longer than it may.
pub(super) fn overdue(facts: &Facts) -> bool {
    facts
        .cancellation
        .as_ref()
        .is_some_and(|cancellation| facts.now >= deadline(facts, cancellation))
}

/// Until when a stop may take: a job has its time from when the platform said that it will stop,
/// which is on record once and for all.
pub(super) fn deadline(facts: &Facts, cancellation: &Cancellation) -> Timestamp {
    let Cancellation {
        requested_at,
        by: _,
        accepted_at,
    } = cancellation;
    accepted_at
        .map_or(*requested_at, |accepted_at| accepted_at.max(*requested_at))
        .saturating_add(facts.limits.cancel)
        .unwrap_or(Timestamp::MAX)
}

/// The job may run: it is cancelled, and followed to its end.
pub(super) fn stop(facts: &Facts, submission: &Submission, id: &JobId, by: CancelledBy) -> Plan {
    match (facts.finalizer, facts.life) {
        (Finalizer::Present, _) => {}
        (Finalizer::Absent, Life::Deleting) => return plan(Situation::Leaving(None), Effect::Rest),
        (Finalizer::Absent, Life::Live) => {
            return plan(Situation::Running(None), Effect::Hold);
        }
    }
    match &facts.service {
        Need::Met(()) => {}
        Need::Waiting(cause) | Need::Wrong(cause) => {
            let message = format!("job {id} cannot be cancelled yet: {}", cause.message);
            return rest(Situation::Cancelling(Cause::new(cause.reason, message)));
        }
    }
    match &facts.sighting {
        Sighting::Unseen => plan(
            cancelling(format!("looking at job {id} before it is cancelled")),
            Effect::Look(submission.clone(), id.clone()),
        ),
        Sighting::Trouble(cause) => {
            let message = format!("job {id} is not cancelled yet: {}", cause.message);
            plan(
                Situation::Cancelling(Cause::new(cause.reason, message)),
                Effect::Follow(submission.clone(), id.clone(), None),
            )
        }
        Sighting::Missing => missing(facts, submission, id, by),
        Sighting::Job { job, batches } => match job.state() {
            JobState::Succeeded => match by {
                CancelledBy::Deletion => leave(facts, None),
                // Too late: what happened is what is told.
                CancelledBy::Spec | CancelledBy::Deadline => {
                    let on = Effect::Follow(submission.clone(), id.clone(), None);
                    follow::succeeded(facts, job, batches, on)
                }
            },
            JobState::Failed | JobState::Cancelled => ended(facts, by, job),
            JobState::Running | JobState::Unknown => running(facts, submission, id, by, job),
        },
    }
}

/// The job is gone, or not shown yet: one that was never seen is not asked to cancel, since it
/// could be anybody's.
fn missing(facts: &Facts, submission: &Submission, id: &JobId, by: CancelledBy) -> Plan {
    let accepted = facts
        .cancellation
        .as_ref()
        .is_some_and(|cancellation| cancellation.accepted_at.is_some());
    if !accepted && facts.now < submission.settle_after {
        return plan(
            cancelling(format!("the platform does not show job {id} yet")),
            Effect::Follow(
                submission.clone(),
                id.clone(),
                Some(submission.settle_after),
            ),
        );
    }
    match by {
        CancelledBy::Deletion => leave(facts, None),
        CancelledBy::Spec | CancelledBy::Deadline => rest(Situation::Ends(Ending::Cancelled(by))),
    }
}

fn ended(facts: &Facts, by: CancelledBy, job: &Job) -> Plan {
    let accepted = facts
        .cancellation
        .as_ref()
        .is_some_and(|cancellation| cancellation.accepted_at.is_some());
    let ending = match (by, accepted, job.state()) {
        (CancelledBy::Deletion, _, _) => return leave(facts, None),
        // A platform may show a cancelled job as one that failed.
        (CancelledBy::Spec | CancelledBy::Deadline, true, _) => Ending::Cancelled(by),
        (CancelledBy::Spec | CancelledBy::Deadline, false, JobState::Cancelled) => {
            Ending::CancelledInPlatform
        }
        (
            CancelledBy::Spec | CancelledBy::Deadline,
            false,
            JobState::Failed | JobState::Running | JobState::Succeeded | JobState::Unknown,
        ) => Ending::Failed,
    };
    rest(Situation::Ends(ending))
}

fn running(facts: &Facts, submission: &Submission, id: &JobId, by: CancelledBy, job: &Job) -> Plan {
    if let Some(plan) = intend_cancel(facts, by, || {
        cancelling(format!("job {id} is being cancelled"))
    }) {
        return plan;
    }
    let Some(cancellation) = &facts.cancellation else {
        return rest(cancelling(format!("job {id} is being cancelled")));
    };
    let until = deadline(facts, cancellation);
    let late = facts.now >= until;
    let wait = |situation| {
        let until = (!late).then_some(until);
        plan(
            situation,
            Effect::Follow(submission.clone(), id.clone(), until),
        )
    };
    if !may_cancel(facts, submission, job) {
        if let Some(confirmed) = confirmed(facts, submission, id) {
            let situation = cancelling(format!("job {id} is being cancelled"));
            return plan(situation, Effect::Settle(confirmed));
        }
        let cause = unsure(facts, submission, id);
        return match (by, late) {
            (CancelledBy::Deletion, true) => leave(facts, Some(cause)),
            (CancelledBy::Deletion | CancelledBy::Spec | CancelledBy::Deadline, _) => {
                wait(Situation::Cancelling(cause))
            }
        };
    }
    if cancellation.accepted_at.is_none() {
        let effect = Effect::Cancel(submission.clone(), id.clone(), cancellation.clone());
        return plan(cancelling(format!("job {id} is being cancelled")), effect);
    }
    if !late {
        return wait(cancelling(format!("the platform is cancelling job {id}")));
    }
    let cause = timed_out(submission, id, cancellation, until);
    match by {
        CancelledBy::Deletion => leave(facts, Some(cause)),
        CancelledBy::Spec | CancelledBy::Deadline => wait(Situation::Cancelling(cause)),
    }
}

/// A person confirmed that a job which was taken up on weak evidence is this export's.
fn confirmed(facts: &Facts, submission: &Submission, id: &JobId) -> Option<Submission> {
    let answer = facts.answer.as_ref()?;
    let Answer { r#try, job } = answer;
    let weak = submission.evidence == Some(SubmissionEvidence::Window);
    (weak && *r#try == submission.r#try && job.as_ref() == Some(id)).then(|| Submission {
        evidence: Some(SubmissionEvidence::Person),
        answer: Some(answer.text()),
        ..submission.clone()
    })
}

fn unsure(facts: &Facts, submission: &Submission, id: &JobId) -> Cause {
    let dataset = submission.target.dataset_id.as_deref().unwrap_or_default();
    match submission.evidence {
        Some(SubmissionEvidence::Window) => Cause::new(
            Reason::SubmissionAmbiguous,
            format!(
                "job {id} in dataset {dataset} is this export's only by its time and dataset, so \
                 it is not cancelled without a person's word: kubectl annotate exportjob {} \
                 --overwrite {RESOLVE_ANNOTATION}={}={id}",
                facts.identity.address(),
                submission.r#try,
            ),
        ),
        Some(
            SubmissionEvidence::Reply
            | SubmissionEvidence::RequestId
            | SubmissionEvidence::Person
            | SubmissionEvidence::Unsent
            | SubmissionEvidence::Gateway
            | SubmissionEvidence::Tag
            | SubmissionEvidence::List,
        )
        | None => Cause::new(
            Reason::ForeignStatus,
            format!(
                "job {id} in the platform is not what this export asked for (request id {}, \
                 dataset {dataset}), so it is not cancelled: look at it there",
                submission.request_id,
            ),
        ),
    }
}

fn timed_out(
    submission: &Submission,
    id: &JobId,
    cancellation: &Cancellation,
    until: Timestamp,
) -> Cause {
    Cause::new(
        Reason::CancelTimedOut,
        format!(
            "job {id} in dataset {} was asked to cancel at {} and had not ended by {until}; look \
             at it in the platform",
            submission.target.dataset_id.as_deref().unwrap_or_default(),
            cancellation
                .accepted_at
                .unwrap_or(cancellation.requested_at),
        ),
    )
}

fn cancelling(message: String) -> Situation {
    Situation::Cancelling(Cause::new(Reason::Cancelling, message))
}

/// Nothing is left to do: the object is let go.
pub(super) fn leave(facts: &Facts, warning: Option<Cause>) -> Plan {
    let effect = match facts.finalizer {
        Finalizer::Present => Effect::Release,
        Finalizer::Absent => Effect::Rest,
    };
    plan(Situation::Leaving(warning), effect)
}
