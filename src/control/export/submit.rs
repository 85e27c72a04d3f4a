//! Recording the intent to submit, sending its request, and recording what became of it.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::Value;
use tracing::{info, warn};

use super::{
    super::{
        Context, PassError,
        claims::{Share, Taken},
    },
    Next,
    observe::{Memory, Seen},
    report, rest, step, suspect, tell,
    turn::{self, Leave},
};
use crate::{
    api::{ExportJob, ExportJobStatus, Reason, Submission, SubmissionOutcome, whole_second},
    decide::{
        Cause, Need,
        connection::Failure,
        creation::posted,
        export::{CameTo, Echo, Hold, Situation, came_to},
    },
    platform::{Fence, JobId, PlatformError},
    polling::trouble,
};

/// How often the record of an answered request is written again when the API server does not take
/// it: what is not recorded becomes a doubt.
const RECORD_TRIES: u32 = 8;
/// The first wait between these, doubled each time: a quarter of a minute in all.
const RECORD_WAIT: Duration = Duration::from_millis(125);

/// What a request came to, to be recorded.
struct Record {
    submission: Submission,
    job: Option<JobId>,
    started: Option<Timestamp>,
    situation: Situation,
}

/// Records the intent, once nothing is left that the request would have to wait for: the token is
/// at hand, there is a slot and a turn for it, and the dataset is taken.
pub(super) async fn intend(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    submission: Submission,
    memory: &mut Memory,
) -> Result<Next, PassError> {
    let shared = &context.shared;
    let claims = &shared.submissions.claims;
    let uid = &seen.facts.identity.uid;
    let Some(tenant) = &seen.tenant else {
        return Err(PassError::Incomplete("connection"));
    };
    if let Some(wait) = await_leave(export, context, seen, memory).await? {
        return Ok(wait);
    }
    if let Err(error) = tenant.platform.authenticate().await {
        shared.governor.left(uid);
        suspect(export, context, &error);
        return rest(export, context, seen, Situation::Waiting(trouble(&error))).await;
    }
    if !tenant.budget.is_open() {
        // The token took its time, and the platform has asked for fewer calls meanwhile.
        memory.permit = None;
        return Ok(step(export.clone()));
    }
    match context.hold_for(export, uid, &tenant.connection).await? {
        Need::Met(()) => {}
        Need::Waiting(cause) | Need::Wrong(cause) => {
            shared.governor.left(uid);
            return rest(export, context, seen, Situation::Waiting(cause)).await;
        }
    }
    let share = match seen.facts.echo {
        Echo::Yes => Share::Shared,
        Echo::Unknown | Echo::No => Share::Exclusive,
    };
    if claims.take(uid, &submission.target, share) == Taken::No {
        // Somebody was faster; the next look says whom to wait for.
        return Ok(step(export.clone()));
    }
    // If it had to be looked for, it was: once is enough.
    claims.begun(uid, submission.attempt);
    memory.held = Some(submission.r#try.clone());
    (memory.list, memory.rejected) = (None, None);
    let status = report::intended(export, seen, submission);
    match context.write_status(export, status).await {
        Ok(written) => {
            claims.observe(&written);
            Ok(step(written))
        }
        Err(error) => {
            // Whether it was written is not known; the watch brings it if it was.
            claims.release(uid);
            shared.governor.left(uid);
            Err(error)
        }
    }
}

/// Has leave to submit in hand, unless it is waited for: then how.
pub(super) async fn await_leave(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    memory: &mut Memory,
) -> Result<Option<Next>, PassError> {
    if memory.permit.is_some() {
        return Ok(None);
    }
    let Some(tenant) = &seen.tenant else {
        return Err(PassError::Incomplete("connection"));
    };
    match turn::leave(export, context, seen, tenant) {
        Leave::Granted(permit) => {
            memory.permit = Some(permit);
            Ok(None)
        }
        Leave::Waits(cause) => {
            report_waiting(export, context, seen, cause).await?;
            Ok(Some(Next::Rest(Some(turn::watchdog()))))
        }
        Leave::Soon(wait) => Ok(Some(Next::Rest(Some(wait)))),
    }
}

/// Tells what an export waits for that others have.
async fn report_waiting(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    cause: Cause,
) -> Result<(), PassError> {
    let situation = Situation::Waiting(cause);
    super::report(export, context, seen, &situation).await?;
    Ok(())
}

/// Sends the request of an intent, and records what became of it.
pub(super) async fn post(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    submission: Submission,
    body: &Value,
    memory: &mut Memory,
) -> Result<Next, PassError> {
    let shared = &context.shared;
    let uid = &seen.facts.identity.uid;
    let Some(tenant) = &seen.tenant else {
        return Err(PassError::Incomplete("connection"));
    };
    let Some(permit) = memory.permit.take() else {
        return Err(PassError::Incomplete("turn"));
    };
    let platform = &tenant.platform;
    let fence = Fence::until(submission.send_before, platform.clock().clone())
        .closed_by(shared.shutdown.clone())
        .only_while(shared.leadership.check());
    let result = platform
        .create_export_job(&submission.request_id, body, &fence, permit)
        .await;
    if let Err(error) = &result {
        suspect(export, context, error);
    }
    let now = platform.now();
    let retry_after = result.as_ref().err().and_then(PlatformError::retry_after);
    let posted = posted(result.map_err(|error| Failure::from(&error)));
    let claimed = |job: &crate::platform::Job| {
        let claims = &shared.submissions.claims;
        claims.is_claimed(&submission.target, &job.id)
    };
    match came_to(&submission, posted, claimed) {
        CameTo::Posted(submission, job) => {
            shared.metrics.submission(SubmissionOutcome::Posted.into());
            let request_id = submission.request_id.clone();
            let echoes = &shared.submissions.echoes;
            echoes.told(&tenant.target, job.id.as_str(), &request_id);
            info!(job = %job.id, request_id, "the platform took the export");
            let record_ = Record {
                submission,
                job: Some(job.id.clone()),
                started: Some(job.creation_time.unwrap_or(now)),
                situation: Situation::Running(None),
            };
            let written = record(export, context, seen, &record_).await?;
            shared.retries.forget(uid);
            Ok(step(written))
        }
        CameTo::NotTaken {
            submission,
            cause,
            hold,
        } => {
            if let Some(outcome) = submission.outcome {
                shared.metrics.submission(outcome.into());
            }
            let wait = match hold {
                Hold::Backoff(floor) => shared.retries.not_taken(uid, floor, now, cause.clone()),
                Hold::UntilCredentialChanges => {
                    let stamp = tenant.stamp.clone();
                    shared.retries.forbidden(uid, now, cause.clone(), stamp)
                }
            };
            let situation = match hold {
                Hold::Backoff(_) => Situation::Waiting(cause),
                Hold::UntilCredentialChanges => Situation::Blocked(cause),
            };
            let record_ = Record {
                submission,
                job: None,
                started: None,
                situation,
            };
            record(export, context, seen, &record_).await?;
            Ok(Next::Rest(Some(wait)))
        }
        CameTo::Rejected(cause) => {
            memory.rejected = Some(cause);
            Ok(step(export.clone()))
        }
        CameTo::InDoubt(cause) => {
            shared.metrics.submission("InDoubt");
            if let Some(wait) = retry_after {
                let cause = Cause::new(Reason::PlatformUnavailable, cause.message.clone());
                shared.retries.asked_to_wait(uid, wait, now, cause);
            }
            let (request_id, error) = (&submission.request_id, cause.message);
            warn!(
                request_id,
                error, "it is not known whether the platform took the export: looking for it"
            );
            Ok(step(export.clone()))
        }
    }
}

/// Records what a request came to, on the object as it is by now: an edit in between must not
/// cost the id.
async fn record(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    record: &Record,
) -> Result<ExportJob, PassError> {
    let api = context.api(export)?;
    let claims = &context.shared.submissions.claims;
    let mut current = export.clone();
    let mut wait = RECORD_WAIT;
    for tries in 1.. {
        let status = recorded(&current, seen, record);
        let error = match context.write_status(&current, status).await {
            Ok(written) => {
                claims.observe(&written);
                let uid = &seen.facts.identity.uid;
                claims.release(uid);
                if record.job.is_none() {
                    // Nobody but this process has sent this attempt, and it was not taken.
                    claims.begun(uid, record.submission.attempt);
                }
                tell::announce(&current, &written, &record.situation, context).await;
                return Ok(written);
            }
            Err(error) if tries == RECORD_TRIES => {
                let job = record.job.as_ref().map(JobId::as_str);
                warn!(job, %error, "what the request came to is not recorded");
                return Err(error);
            }
            Err(error) => error,
        };
        tokio::time::sleep(wait).await;
        wait *= 2;
        match api.get_opt(&export.name_any()).await {
            Ok(Some(newer)) if is_taken_up(&newer, record) => {
                let job = record.job.as_ref().map(JobId::as_str);
                info!(job, "another process has taken up what the request came to");
                claims.observe(&newer);
                claims.release(&seen.facts.identity.uid);
                return Ok(newer);
            }
            Ok(Some(newer)) if is_same_try(&newer, &record.submission) => current = newer,
            // The object is another one, or its status tells of another try: not ours to write.
            Ok(Some(_) | None) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(current)
}

fn is_same_try(export: &ExportJob, submission: &Submission) -> bool {
    let recorded = export
        .status
        .as_ref()
        .and_then(|status| status.submission.as_ref());
    recorded.is_some_and(|recorded| recorded.r#try == submission.r#try)
}

/// Whether another process has found the job of the very try and goes on with it: what the reply
/// says is no news then, and what became of the job since must stay on record.
fn is_taken_up(export: &ExportJob, record: &Record) -> bool {
    let Some(status) = &export.status else {
        return false;
    };
    let ours = &record.submission;
    status.submission.as_ref().is_some_and(|theirs| {
        let found = status.job_id.is_some() && theirs != ours;
        theirs.r#try == ours.r#try && (found || status.completion_time.is_some())
    })
}

fn recorded(export: &ExportJob, seen: &Seen, record: &Record) -> ExportJobStatus {
    let Record {
        submission,
        job,
        started,
        situation,
    } = record;
    let mut status = report::project(export, seen, situation);
    status.submission = Some(submission.clone());
    status.job_id = job.as_ref().map(ToString::to_string);
    status.start_time = started.map(whole_second);
    status
}
