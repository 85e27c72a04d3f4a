//! Before a request is sent, and whether it may be.

use jiff::{SignedDuration, Timestamp};

use super::{
    super::{Cause, Finalizer, Need, creation::Posted, intent_times, request},
    again, evidence,
    facts::{Beginning, DatasetCheck, Destination, Echo, Facts, Identity, List, Pause, Wish},
    plan::{Back, Effect, Farewell, Plan, Situation, plan, rest},
    stop::{leave, never_submitted, stopped_by},
};
use crate::{
    api::{CancelledBy, Reason, Submission, SubmissionEvidence, SubmissionOutcome, Target},
    platform::Job,
};

/// How far back a job of a lost record is looked for at most: beyond that a backup is no backup.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The API server's clock, which dates objects, may be ahead of the platform's by this much.
const SKEW: SignedDuration = SignedDuration::from_mins(10);

/// What a request came to, and what is recorded of it.
#[derive(Clone, Debug, PartialEq)]
pub enum CameTo {
    /// The platform took it; this job is recorded.
    Posted(Submission, Box<Job>),
    /// It was provably not taken, and that is recorded.
    NotTaken {
        /// The submission with its outcome.
        submission: Submission,
        /// Why.
        cause: Cause,
        /// When the next try may come.
        hold: Hold,
    },
    /// The platform rejected it: one look at the list, then the end. Nothing is recorded before.
    Rejected(Cause),
    /// It may or may not have been taken. Nothing is recorded.
    InDoubt(Cause),
}

/// When the next try may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// After a while, and not before the platform allows.
    Backoff(Option<std::time::Duration>),
    /// When the connection or its Secret has changed: the credential lacks a right.
    UntilCredentialChanges,
}

/// What a request came to. `claimed` tells whether another object has a job of this id.
#[must_use]
pub fn came_to(
    submission: &Submission,
    posted: Posted<Job>,
    claimed: impl FnOnce(&Job) -> bool,
) -> CameTo {
    let settled = |outcome, evidence| Submission {
        outcome: Some(outcome),
        evidence: Some(evidence),
        ..submission.clone()
    };
    match posted {
        // Two objects never have one job: that a reply names another's says nothing of ours.
        Posted::Taken(job) if claimed(&job) => CameTo::InDoubt(Cause::new(
            Reason::SubmissionInDoubt,
            format!("the reply names job {}, which is another export's", job.id),
        )),
        Posted::Taken(job) => CameTo::Posted(
            settled(SubmissionOutcome::Posted, SubmissionEvidence::Reply),
            Box::new(job),
        ),
        Posted::NotTaken {
            cause,
            outcome,
            evidence,
            retry_after,
        } => CameTo::NotTaken {
            submission: settled(outcome, evidence),
            hold: match cause.reason {
                Reason::AccessDenied => Hold::UntilCredentialChanges,
                _ => Hold::Backoff(retry_after),
            },
            cause,
        },
        Posted::Rejected(cause) => CameTo::Rejected(cause),
        Posted::InDoubt(cause) => CameTo::InDoubt(cause),
    }
}

/// Nothing of this attempt was taken: it is submitted once all that it needs is there.
pub(super) fn submit(facts: &Facts, attempt: i64) -> Plan {
    if let Some(by) = stopped_by(facts) {
        return last_look(facts, attempt, by).unwrap_or_else(|| never_submitted(facts, by));
    }
    if let Some(ending) = again::no_further(facts, attempt) {
        return rest(Situation::Ends(ending));
    }
    if facts.wishes.suspend == Wish::Present {
        return rest(Situation::Suspended);
    }
    if facts.beginning == Beginning::Restored {
        return rest(Situation::Blocked(restored()));
    }
    if let Some(pause) = facts.pause.as_ref().filter(|pause| pause.until > facts.now) {
        return plan(waits(pause), Effect::WakeAt(pause.until));
    }
    let destination = match &facts.destination {
        Need::Waiting(cause) => return rest(Situation::Waiting(cause.clone())),
        Need::Wrong(cause) => return rest(Situation::Blocked(cause.clone())),
        Need::Met(destination) => destination,
    };
    // With request ids that are shown, any number of submissions can be told apart. Without, one
    // at a time.
    if facts.echo != Echo::Yes && !facts.rivals.is_empty() {
        return rest(Situation::Waiting(contended(&facts.rivals)));
    }
    if let Some(plan) = look_first(facts, destination, attempt) {
        return plan;
    }
    // Last of all that asks the platform: it is done with the turn of the request in hand, since what
    // waits for its turn would look at each wake-up, and take the calls that others wait for.
    if let DatasetCheck::Due(dataset) = &destination.dataset {
        return plan(Situation::Submitting, Effect::CheckDataset(dataset.clone()));
    }
    // The finalizer is there before the first write to the platform can be.
    if facts.finalizer == Finalizer::Absent {
        return plan(Situation::Submitting, Effect::Hold);
    }
    plan(
        Situation::Submitting,
        Effect::Intend(intent(facts, destination, attempt)),
    )
}

fn intent(facts: &Facts, destination: &Destination, attempt: i64) -> Submission {
    let Destination {
        target,
        body,
        dataset: _,
    } = destination;
    let Target {
        platform: _,
        organization_id,
        sandbox,
        dataset_id: _,
    } = target;
    let Identity {
        cluster,
        uid,
        namespace: _,
        name: _,
    } = &facts.identity;
    let (intent_time, send_before, settle_after) = intent_times(facts.now, facts.limits.windows);
    Submission {
        attempt,
        r#try: facts.nonce.clone(),
        request_id: request::request_id(cluster, uid, attempt),
        fingerprint: request::fingerprint(body, organization_id, sandbox),
        target: target.clone(),
        intent_time,
        send_before,
        settle_after,
        outcome: None,
        evidence: None,
        candidates: Vec::new(),
        answer: None,
        surplus_job_ids: Vec::new(),
    }
}

/// The highest number that an attempt can have: `spec.backoffLimit` is at most 10.
const LAST_ATTEMPT: i64 = 11;

/// What this process did not see begin may have been submitted before, by a record that a restored
/// backup has lost. The request id would show it.
fn look_first(facts: &Facts, destination: &Destination, attempt: i64) -> Option<Plan> {
    match (facts.beginning, facts.echo) {
        (Beginning::Seen, _) | (_, Echo::No) => return None,
        (Beginning::Unseen | Beginning::Restored, Echo::Yes | Echo::Unknown) => {}
    }
    let looking = |message: &str| Situation::Waiting(Cause::new(Reason::Submitting, message));
    let far = |time: Timestamp, back| time.saturating_sub(back).unwrap_or(Timestamp::MIN);
    let since = far(facts.created, SKEW).max(far(facts.now, LOOK_BACK));
    match &facts.list {
        List::NotYet => {
            let looking =
                looking("looking whether the export was submitted before the operator started");
            if let Some(time) = facts.look_after.filter(|time| *time > facts.now) {
                return Some(plan(looking, Effect::WakeAt(time)));
            }
            Some(plan(looking, Effect::ReadList(Back::ToCreation(since))))
        }
        List::Failed(cause) => Some(plan(
            Situation::Waiting(cause.clone()),
            Effect::LookAgain(None),
        )),
        List::Read(reading) => {
            // Several attempts may have been lost: the last one is the one that goes on.
            let found = (attempt..=LAST_ATTEMPT).rev().find_map(|attempt| {
                let intent = intent(facts, destination, attempt);
                let (kept, surplus) = evidence::ours(&intent, reading)?;
                Some((intent, kept, surplus))
            });
            if let Some((intent, kept, surplus)) = found {
                let evidence = SubmissionEvidence::RequestId;
                return Some(adopt(&intent, evidence, kept, &surplus));
            }
            // A job may be in the part that was not read.
            (!reading.shows_ids(since)).then(|| {
                let message = "looking whether the export was submitted before the operator \
                               started: the platform's list of jobs could not be read whole, and \
                               is read again. An export that is created anew does not wait for it";
                plan(looking(message), Effect::LookAgain(None))
            })
        }
    }
}

/// An intent is on record that this pass wrote. It sends only if the answer to that very write
/// shows that nothing has changed, and only what the intent says; if it does not send, nobody
/// does.
pub(super) fn send(facts: &Facts, submission: &Submission) -> Plan {
    let stopped = stopped_by(facts);
    if stopped == Some(CancelledBy::Deletion) {
        return leave(facts, Farewell::Quiet);
    }
    if let (Need::Met(destination), None, Wish::Absent, Finalizer::Present) = (
        &facts.destination,
        stopped,
        facts.wishes.suspend,
        facts.finalizer,
    ) {
        let Destination {
            target,
            body,
            dataset: _,
        } = destination;
        let print = request::fingerprint(body, &target.organization_id, &target.sandbox);
        if *target == submission.target && print == submission.fingerprint {
            return plan(
                Situation::Submitting,
                Effect::Post(submission.clone(), body.clone()),
            );
        }
    }
    let unsent = Submission {
        outcome: Some(SubmissionOutcome::NotSent),
        evidence: Some(SubmissionEvidence::Unsent),
        ..submission.clone()
    };
    plan(Situation::Submitting, Effect::Settle(unsent))
}

/// What is to end before it was submitted may have been submitted by a record that a restored
/// backup has lost, and its job would go on unnoticed. An object that is held no more goes at once,
/// and one that is deleted does not wait for a list that cannot be read.
fn last_look(facts: &Facts, attempt: i64, by: CancelledBy) -> Option<Plan> {
    let destination = match &facts.destination {
        Need::Met(destination) => destination,
        Need::Waiting(_) | Need::Wrong(_) => return None,
    };
    match (by, facts.finalizer, &facts.list) {
        (CancelledBy::Deletion, Finalizer::Absent, _)
        | (CancelledBy::Deletion, Finalizer::Present, List::Failed(_)) => return None,
        (CancelledBy::Deletion, Finalizer::Present, List::NotYet | List::Read(_))
        | (CancelledBy::Spec | CancelledBy::Deadline, _, _) => {}
    }
    let plan = look_first(facts, destination, attempt)?;
    match (by, &plan.effect) {
        (CancelledBy::Deletion, Effect::LookAgain(_) | Effect::WakeAt(_)) => None,
        _ => Some(plan),
    }
}

/// The job is this submission's.
pub(super) fn adopt(
    submission: &Submission,
    evidence: SubmissionEvidence,
    job: Box<Job>,
    surplus: &[Job],
) -> Plan {
    let adopted = Submission {
        outcome: Some(SubmissionOutcome::Adopted),
        evidence: Some(evidence),
        candidates: Vec::new(),
        surplus_job_ids: surplus.iter().map(|job| job.id.to_string()).collect(),
        ..submission.clone()
    };
    plan(Situation::Running(None), Effect::Adopt(adopted, job))
}

fn waits(Pause { until, cause }: &Pause) -> Situation {
    let with = |message| Cause::new(cause.reason, message);
    match cause.reason {
        Reason::RetryScheduled => Situation::Retrying(cause.clone()),
        // The credential lacks a right: somebody must give it.
        Reason::AccessDenied => Situation::Blocked(with(format!(
            "the credential may not start exports. Give its role the permission; the request is \
             sent again when the connection or its Secret changes, and after {until}"
        ))),
        _ => Situation::Waiting(with(format!(
            "the last request was not taken; it is sent again after {until}"
        ))),
    }
}

fn contended(rivals: &[String]) -> Cause {
    let first = rivals.first().map_or("another export", String::as_str);
    Cause::new(
        Reason::WaitingForSubmission,
        format!(
            "{first} is being submitted into the same dataset, and the platform is not known to \
             show request ids: one at a time, so that their jobs can be told apart"
        ),
    )
}

fn restored() -> Cause {
    Cause::new(
        Reason::RestoredWithoutStatus,
        format!(
            "a backup tool restored this object without its status: it may have been exported \
             before. To export (again), remove the label: kubectl label exportjob NAME {}-",
            crate::api::RESTORED_LABEL
        ),
    )
}
