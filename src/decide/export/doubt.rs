//! A request that may or may not have been taken: settled by reading, never by sending.

use jiff::Timestamp;

use super::{
    super::{Cause, Finalizer, Life, Need},
    evidence::{self, Verdict, verdict},
    facts::{Answer, Facts, List, Reading, Request},
    plan::{Back, Effect, Ending, Farewell, Plan, Situation, plan, rest},
    stop::{
        deadline, intend_cancel, leave, never_submitted, out_of_reach, overdue, stopped_by, way_out,
    },
    submit::adopt,
};
use crate::{
    api::{
        CancelledBy, Candidate, RESOLVE_ANNOTATION, Reason, Submission, SubmissionEvidence,
        SubmissionOutcome,
    },
    platform::Job,
};

/// How many candidates a status names.
const CANDIDATES: usize = 10;
/// For how many visibility windows a list that cannot be read whole, or that others write to, is
/// read again before a person is asked.
const PATIENCE: i32 = 10;

/// An intent is on record, and this pass holds no right to send it.
pub(super) fn settle(facts: &Facts, submission: &Submission) -> Plan {
    let Plan { situation, effect } = read(facts, submission);
    let situation = match (stopped_by(facts), situation) {
        // Whoever asked for the end waits for that, not for the submission.
        (Some(_), Situation::InDoubt(cause) | Situation::Ambiguous(cause)) => {
            Situation::Cancelling(cause)
        }
        (Some(_) | None, situation) => situation,
    };
    plan(situation, effect)
}

fn read(facts: &Facts, submission: &Submission) -> Plan {
    let stopped = stopped_by(facts);
    match (facts.finalizer, facts.life) {
        (Finalizer::Present, _) => {}
        // Stripped by hand: put on again, or a deletion would leave a job behind.
        (Finalizer::Absent, Life::Live) => return plan(in_doubt(submission), Effect::Hold),
        (Finalizer::Absent, Life::Deleting) => {
            return leave(facts, Farewell::Warning(given_up(submission)));
        }
    }
    if let Some(by) = stopped
        && let Some(plan) = intend_cancel(facts, by, || stands(facts, submission))
    {
        return plan;
    }
    match &facts.service {
        Need::Met(()) => {}
        Need::Waiting(cause) | Need::Wrong(cause) => {
            return cannot_be_read(facts, submission, cause, Effect::Rest);
        }
    }
    let put_off = facts.look_after.filter(|time| *time > facts.now);
    match &facts.list {
        List::NotYet => match put_off.filter(|_| facts.request == Request::Absent) {
            Some(time) => plan(stands(facts, submission), Effect::WakeAt(time)),
            None => plan(
                stands(facts, submission),
                Effect::ReadList(Back::ToIntent(submission.intent_time)),
            ),
        },
        List::Failed(cause) => {
            let message = format!(
                "it is not known whether the platform took the request, and its list of jobs \
                 cannot be read: {}",
                cause.message
            );
            let cause = Cause::new(cause.reason, message);
            let again = Effect::LookAgain(next_look(facts, submission));
            cannot_be_read(facts, submission, &cause, again)
        }
        List::Read(reading) => judge(facts, submission, reading),
    }
}

/// The list cannot be read: the doubt stands, unless its object goes with its namespace.
fn cannot_be_read(
    facts: &Facts,
    submission: &Submission,
    cause: &Cause,
    otherwise: Effect,
) -> Plan {
    match stopped_by(facts) {
        Some(by) => {
            let message = format!("{}{}", cause.message, way_out(facts));
            let cause = Cause::new(cause.reason, message);
            out_of_reach(facts, submission, by, &cause, otherwise)
        }
        None => plan(Situation::InDoubt(cause.clone()), otherwise),
    }
}

/// How a doubt stands before this pass has read anything.
fn stands(facts: &Facts, submission: &Submission) -> Situation {
    if submission.candidates.is_empty() {
        in_doubt(submission)
    } else {
        ambiguous(facts, submission)
    }
}

fn judge(facts: &Facts, submission: &Submission, reading: &Reading) -> Plan {
    if let Some((job, surplus)) = evidence::ours(submission, reading) {
        return adopt(submission, SubmissionEvidence::RequestId, job, &surplus);
    }
    // The platform rejected this very request, and its list does not contradict it.
    if let Some(cause) = &facts.rejected {
        return rest(Situation::Ends(Ending::Rejected(cause.clone())));
    }
    if reading.began > submission.settle_after
        && let Some(plan) = answered(facts, submission, reading)
    {
        return plan;
    }
    // Once a person was asked, what is missing from a later list proves nothing.
    if !submission.candidates.is_empty() {
        return undecided(facts, submission, ambiguous(facts, submission));
    }
    match verdict(facts, submission, reading) {
        Verdict::Only(job) => adopt(submission, SubmissionEvidence::Window, job, &[]),
        Verdict::NotTaken => not_taken(facts, submission, SubmissionEvidence::List, None),
        Verdict::TooEarly | Verdict::ProcessTooYoung => {
            undecided(facts, submission, in_doubt(submission))
        }
        Verdict::NotWhole(jobs) | Verdict::Contended(jobs) => {
            if facts.now < patience(facts, submission) {
                undecided(facts, submission, in_doubt(submission))
            } else {
                ask(facts, submission, &jobs)
            }
        }
        Verdict::Several(jobs) => ask(facts, submission, &jobs),
        Verdict::TooOld => ask(facts, submission, &[]),
    }
}

/// A person said which job it is, or that none is. A job must be among what the list shows now.
fn answered(facts: &Facts, submission: &Submission, reading: &Reading) -> Option<Plan> {
    let answer = facts.answer.as_ref()?;
    let Answer { r#try, job } = answer;
    if *r#try != submission.r#try {
        return None;
    }
    let with_answer = Submission {
        answer: Some(answer.text()),
        ..submission.clone()
    };
    match job {
        None => Some(not_taken(
            facts,
            &with_answer,
            SubmissionEvidence::Person,
            Some(answer),
        )),
        Some(id) => {
            let found = evidence::candidates(facts, submission, reading)
                .into_iter()
                .find(|job| job.id == *id)?;
            Some(adopt(
                &with_answer,
                SubmissionEvidence::Person,
                Box::new(found),
                &[],
            ))
        }
    }
}

/// The platform did not take the request: it may be sent again, or there is nothing to cancel.
fn not_taken(
    facts: &Facts,
    submission: &Submission,
    evidence: SubmissionEvidence,
    answer: Option<&Answer>,
) -> Plan {
    if let Some(by) = stopped_by(facts) {
        return never_submitted(facts, by);
    }
    let settled = Submission {
        outcome: Some(SubmissionOutcome::NotTaken),
        evidence: Some(evidence),
        candidates: Vec::new(),
        answer: answer.map(Answer::text),
        ..submission.clone()
    };
    plan(Situation::Submitting, Effect::Settle(settled))
}

/// Nothing is decided yet. A deleted object does not wait for ever, but until its job would show.
fn undecided(facts: &Facts, submission: &Submission, situation: Situation) -> Plan {
    let shown = facts.now > submission.settle_after;
    if stopped_by(facts) == Some(CancelledBy::Deletion) && overdue(facts) && shown {
        return leave(facts, Farewell::Warning(given_up(submission)));
    }
    plan(situation, Effect::LookAgain(next_look(facts, submission)))
}

/// A person is asked, and the candidates are recorded so that the question survives a restart.
fn ask(facts: &Facts, submission: &Submission, jobs: &[Job]) -> Plan {
    let asked = Submission {
        candidates: jobs.iter().take(CANDIDATES).map(candidate).collect(),
        ..submission.clone()
    };
    let situation = ambiguous(facts, &asked);
    if asked.candidates.is_empty() {
        return undecided(facts, submission, situation);
    }
    plan(situation, Effect::Settle(asked))
}

fn candidate(job: &Job) -> Candidate {
    Candidate {
        job_id: job.id.to_string(),
        status: job.status.clone(),
        creation_time: job.creation_time.map(crate::api::whole_second),
    }
}

/// The next time that something changes by time alone: when "none" begins to count, or when a
/// deleted object is let go.
fn next_look(facts: &Facts, submission: &Submission) -> Option<Timestamp> {
    // "None" counts for a reading that began later than that, not at it.
    let settled = submission
        .settle_after
        .saturating_add(jiff::SignedDuration::from_millis(1))
        .unwrap_or(Timestamp::MAX);
    let let_go = facts
        .cancellation
        .as_ref()
        .filter(|_| facts.life == Life::Deleting)
        .map(|cancellation| deadline(facts, cancellation));
    [Some(settled), let_go]
        .into_iter()
        .flatten()
        .filter(|time| *time > facts.now)
        .min()
}

fn patience(facts: &Facts, submission: &Submission) -> Timestamp {
    let visibility = facts.limits.windows.visibility;
    submission
        .settle_after
        .saturating_add(visibility.checked_mul(PATIENCE).unwrap_or(visibility))
        .unwrap_or(Timestamp::MAX)
}

fn in_doubt(submission: &Submission) -> Situation {
    Situation::InDoubt(Cause::new(
        Reason::SubmissionInDoubt,
        format!(
            "it is not known whether the platform took the request {}: its list of jobs is read \
             for it, and it counts as not taken if it is not there after {}",
            submission.request_id, submission.settle_after
        ),
    ))
}

fn ambiguous(facts: &Facts, submission: &Submission) -> Situation {
    let nonce = &submission.r#try;
    let ids: Vec<&str> = submission
        .candidates
        .iter()
        .map(|candidate| candidate.job_id.as_str())
        .collect();
    let (jobs, words) = if ids.is_empty() {
        (
            "the platform's list cannot show any more whether there is one".to_owned(),
            "none".to_owned(),
        )
    } else {
        (
            format!("it may be one of {}", ids.join(", ")),
            format!("<{}|none>", ids.join("|")),
        )
    };
    // The words before the answer say what was not taken of an answer that names no candidate.
    let refused = match &facts.answer {
        Some(Answer {
            r#try,
            job: Some(id),
        }) if r#try == nonce && !ids.contains(&id.as_str()) => {
            format!("; the answer {id} is not among them")
        }
        Some(_) | None => String::new(),
    };
    Situation::Ambiguous(Cause::new(
        Reason::SubmissionAmbiguous,
        format!(
            "it is not known which job of the platform is this export's: {jobs}{refused}. Look at \
             dataset {} and times {} to {} there, then say which, or none to send it again: \
             kubectl annotate exportjob {} --overwrite {RESOLVE_ANNOTATION}={nonce}={words}",
            submission.target.dataset_id.as_deref().unwrap_or_default(),
            submission.intent_time,
            submission.settle_after,
            facts.identity.address(),
        ),
    ))
}

/// What may be left behind when a doubt is given up.
pub(super) fn left_in_doubt(submission: &Submission) -> String {
    let named = submission
        .candidates
        .iter()
        .map(|candidate| candidate.job_id.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let candidates = if named.is_empty() {
        String::new()
    } else {
        format!(" (candidates: {named})")
    };
    format!(
        "it is not known whether the platform took the request: look in its list of export jobs \
         for request id {}, or a job into dataset {} created between {} and {}{candidates}, and \
         cancel it there if it is not wanted",
        submission.request_id,
        submission.target.dataset_id.as_deref().unwrap_or_default(),
        submission.intent_time,
        submission.settle_after,
    )
}

/// A doubt that its deleted object does not wait for any longer.
fn given_up(submission: &Submission) -> Cause {
    let message = format!("deleted in doubt: {}", left_in_doubt(submission));
    Cause::new(Reason::DeletedInDoubt, message)
}
