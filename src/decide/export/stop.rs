//! An export that is to stop: deleted, cancelled by its spec, or out of time.

use jiff::Timestamp;

use super::{
    super::{Cause, Finalizer, Life, Need},
    doubt::left_in_doubt,
    evidence::may_cancel,
    facts::{Answer, Asked, Departure, Facts, Record, Request, Sighted, Sighting, Wish},
    follow,
    plan::{Effect, Ending, Farewell, Plan, Situation, plan, rest},
};
use crate::{
    api::{
        ABANDON_ANNOTATION, Cancellation, CancelledBy, RESOLVE_ANNOTATION, Reason, Submission,
        SubmissionEvidence, whole_second,
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
        CancelledBy::Deletion => leave(facts, Farewell::Quiet),
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
        final_status: None,
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
        final_status: _,
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
        (Finalizer::Absent, Life::Deleting) => return leave(facts, Farewell::Quiet),
        (Finalizer::Absent, Life::Live) => {
            return plan(Situation::Running(None), Effect::Hold);
        }
    }
    let being = || cancelling(format!("job {id} is being cancelled"));
    match by {
        CancelledBy::Deletion => {}
        // What can be taken back is on record before anything else.
        CancelledBy::Spec | CancelledBy::Deadline => {
            if let Some(plan) = intend_cancel(facts, by, being) {
                return plan;
            }
        }
    }
    match &facts.service {
        Need::Met(()) => {}
        Need::Waiting(cause) | Need::Wrong(cause) => {
            return out_of_reach(
                facts,
                submission,
                by,
                &not_yet(facts, id, cause),
                Effect::Rest,
            );
        }
    }
    let looks = (facts.request, facts.sighted);
    match &facts.sighting {
        Sighting::Job { .. } | Sighting::Missing | Sighting::Trouble(_)
            if looks == (Request::Pending, Sighted::Before) =>
        {
            plan(being(), Effect::Look(submission.clone(), id.clone()))
        }
        Sighting::Unseen => plan(
            cancelling(format!("looking at job {id} before it is cancelled")),
            Effect::Look(submission.clone(), id.clone()),
        ),
        Sighting::Trouble(cause) => {
            let on = Effect::Follow(submission.clone(), id.clone(), None);
            out_of_reach(facts, submission, by, &not_yet(facts, id, cause), on)
        }
        Sighting::Missing => missing(facts, submission, id, by),
        Sighting::Job { job, batches } => match job.state() {
            JobState::Succeeded => match by {
                CancelledBy::Deletion => leave(facts, Farewell::Quiet),
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

/// Why a job is not cancelled yet, and how its object can be let go all the same.
fn not_yet(facts: &Facts, id: &JobId, cause: &Cause) -> Cause {
    let message = format!("job {id} is not cancelled yet: {}", cause.message);
    Cause::new(cause.reason, format!("{message}{}", way_out(facts)))
}

/// What a person can do about an object that is deleted and does not go.
pub(super) fn way_out(facts: &Facts) -> String {
    match facts.life {
        Life::Live => String::new(),
        Life::Deleting => format!(
            ". To let go of the object at once, and leave in the platform what is there: kubectl \
             annotate exportjob {} --overwrite {ABANDON_ANNOTATION}={}",
            facts.identity.address(),
            facts.identity.uid,
        ),
    }
}

/// Nobody can be asked: what was begun is waited for, however long it takes. Only an object whose
/// namespace goes has a deadline, since it holds up everything else there.
pub(super) fn out_of_reach(
    facts: &Facts,
    submission: &Submission,
    by: CancelledBy,
    cause: &Cause,
    otherwise: Effect,
) -> Plan {
    let situation = || Situation::Cancelling(cause.clone());
    if let Some(plan) = intend_cancel(facts, by, situation) {
        return plan;
    }
    let until = facts
        .cancellation
        .as_ref()
        .map(|stop| deadline(facts, stop));
    match (by, facts.departure, until) {
        (CancelledBy::Deletion, Departure::WithNamespace, Some(until)) if facts.now >= until => {
            leave(facts, Farewell::Warning(given_up(facts, submission, cause)))
        }
        (CancelledBy::Deletion, Departure::WithNamespace, Some(until)) => {
            let effect = match otherwise {
                Effect::Follow(submission, job, by) => {
                    let until = by.map_or(until, |by| by.min(until));
                    Effect::Follow(submission, job, Some(until))
                }
                Effect::LookAgain(by) => {
                    Effect::LookAgain(Some(by.map_or(until, |by| by.min(until))))
                }
                Effect::Rest => Effect::WakeAt(until),
                other => other,
            };
            plan(situation(), effect)
        }
        (
            CancelledBy::Deletion | CancelledBy::Spec | CancelledBy::Deadline,
            Departure::Ordinary | Departure::WithNamespace | Departure::Abandoned,
            _,
        ) => plan(situation(), otherwise),
    }
}

/// What is left of an export whose object is let go before that is known.
fn given_up(facts: &Facts, submission: &Submission, cause: &Cause) -> Cause {
    Cause::new(
        Reason::CancelTimedOut,
        format!(
            "let go with its namespace: {}. The last that was in the way: {}",
            what_is_left(facts, submission),
            cause.message,
        ),
    )
}

/// What may be left in the platform of a submission.
fn what_is_left(facts: &Facts, submission: &Submission) -> String {
    match &facts.record {
        Record::Known(_, id) => {
            let surplus = submission.surplus_job_ids.iter().map(String::as_str);
            let jobs: Vec<&str> = std::iter::once(id.as_str()).chain(surplus).collect();
            format!(
                "{} {} in dataset {} may still run; look at {} in the platform",
                if jobs.len() == 1 { "job" } else { "jobs" },
                jobs.join(", "),
                submission.target.dataset_id.as_deref().unwrap_or_default(),
                if jobs.len() == 1 { "it" } else { "them" },
            )
        }
        Record::Open(submission) => left_in_doubt(submission),
        Record::Fresh { attempt: _ } | Record::Ended(_) => "nothing is left of it".into(),
    }
}

/// A person had the object let go, whatever is left of it.
pub(super) fn abandoned(facts: &Facts) -> Plan {
    let farewell = match &facts.record {
        Record::Known(submission, _) | Record::Open(submission) => Farewell::Warning(Cause::new(
            Reason::Abandoned,
            format!("abandoned: {}", what_is_left(facts, submission)),
        )),
        Record::Fresh { attempt: _ } | Record::Ended(_) => Farewell::Quiet,
    };
    leave(facts, farewell)
}

/// The job, if there is one, is left to run. One that could still be begun is not left: whoever
/// holds the right to send it has it until the fence closes.
pub(super) fn orphan(facts: &Facts, submission: &Submission) -> Plan {
    match &facts.record {
        Record::Open(_) if facts.now <= submission.send_before => plan(
            cancelling(format!(
                "the request may still be sent until {}; what it starts is left to run",
                submission.send_before
            )),
            Effect::WakeAt(
                submission
                    .send_before
                    .saturating_add(jiff::SignedDuration::from_millis(1))
                    .unwrap_or(Timestamp::MAX),
            ),
        ),
        Record::Known(_, _) | Record::Open(_) => {
            let left = what_is_left(facts, submission);
            let message = format!("deletionPolicy is Orphan: {left}");
            let farewell = Farewell::LeftToRun(Cause::new(Reason::Orphaned, message));
            leave(facts, farewell)
        }
        Record::Fresh { attempt: _ } | Record::Ended(_) => leave(facts, Farewell::Quiet),
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
        CancelledBy::Deletion => leave(facts, Farewell::Quiet),
        CancelledBy::Spec | CancelledBy::Deadline => rest(Situation::Ends(Ending::Cancelled(by))),
    }
}

fn ended(facts: &Facts, by: CancelledBy, job: &Job) -> Plan {
    let accepted = facts
        .cancellation
        .as_ref()
        .is_some_and(|cancellation| cancellation.accepted_at.is_some());
    let ending = match (by, accepted, job.state()) {
        (CancelledBy::Deletion, _, _) => return leave(facts, Farewell::Quiet),
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
            (CancelledBy::Deletion, true) => leave(facts, Farewell::Warning(cause)),
            (CancelledBy::Deletion | CancelledBy::Spec | CancelledBy::Deadline, _) => {
                wait(Situation::Cancelling(cause))
            }
        };
    }
    match (&facts.asked, by) {
        (Asked::NotYet, _) => {}
        (Asked::Refused(cause), CancelledBy::Deletion) if late => {
            let cause = Cause::new(Reason::CancelTimedOut, not_yet(facts, id, cause).message);
            return leave(facts, Farewell::Warning(cause));
        }
        (Asked::OutOfReach(cause) | Asked::Refused(cause), _) => {
            let cause = not_yet(facts, id, cause);
            return out_of_reach(facts, submission, by, &cause, Effect::BackOff);
        }
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
        CancelledBy::Deletion => leave(facts, Farewell::Warning(cause)),
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
pub(super) fn leave(facts: &Facts, farewell: Farewell) -> Plan {
    let effect = match facts.finalizer {
        Finalizer::Present => Effect::Release,
        Finalizer::Absent => Effect::Rest,
    };
    plan(Situation::Leaving(farewell), effect)
}
