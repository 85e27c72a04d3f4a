//! Sending the request of an intent, and recording what became of it.

use std::time::Duration;

use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use serde_json::Value;
use tracing::{info, warn};

use super::{
    super::{Context, PassError},
    Next,
    observe::Seen,
    report, step, suspect,
};
use crate::{
    api::{
        ExportJob, ExportJobStatus, Reason, Submission, SubmissionEvidence, SubmissionOutcome,
        whole_second,
    },
    decide::{
        connection::Failure,
        creation::{Posted, posted},
        export::{Ending, Situation},
    },
    platform::{Fence, JobId},
};

/// How often the record of an answered request is written again when the API server does not take
/// it: what is not recorded becomes a doubt.
const RECORD_TRIES: u32 = 8;
/// The first wait between these, doubled each time: a quarter of a minute in all.
const RECORD_WAIT: Duration = Duration::from_millis(125);
/// How soon at the least a request that the gateway refused for want of a right is sent again.
const FORBIDDEN_AGAIN: Duration = Duration::from_mins(1);

/// What a request came to, to be recorded.
struct Record {
    submission: Submission,
    job: Option<JobId>,
    started: Option<Timestamp>,
    situation: Situation,
}

/// Sends the request of an intent, and records what became of it.
pub(super) async fn post(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    submission: Submission,
    body: &Value,
) -> Result<Next, PassError> {
    let shared = &context.shared;
    let uid = &seen.facts.identity.uid;
    let Some(tenant) = &seen.tenant else {
        return Err(PassError::Incomplete("connection"));
    };
    let platform = &tenant.platform;
    let fence = Fence::until(submission.send_before, platform.clock().clone())
        .closed_by(shared.shutdown.clone());
    let result = platform
        .create_export_job(&submission.request_id, body, &fence)
        .await;
    if let Err(error) = &result {
        suspect(export, context, error);
    }
    let now = platform.now();
    let mut wait = None;
    let settled = |outcome, evidence| Submission {
        outcome: Some(outcome),
        evidence: Some(evidence),
        ..submission.clone()
    };
    let unsent = |submission, situation| Record {
        submission,
        job: None,
        started: None,
        situation,
    };
    let came_to = match posted(result.map_err(|error| Failure::from(&error))) {
        Posted::Taken(job) => {
            shared.metrics.submission(SubmissionOutcome::Posted.into());
            shared.retries.forget(uid);
            let request_id = &submission.request_id;
            info!(job = %job.id, request_id, "the platform took the export");
            Record {
                submission: settled(SubmissionOutcome::Posted, SubmissionEvidence::Reply),
                job: Some(job.id.clone()),
                started: Some(job.creation_time.unwrap_or(now)),
                situation: Situation::Running(None),
            }
        }
        Posted::NotTaken {
            cause,
            outcome,
            evidence,
            retry_after,
        } => {
            shared.metrics.submission(outcome.into());
            let least = (cause.reason == Reason::AccessDenied).then_some(FORBIDDEN_AGAIN);
            wait = Some(shared.retries.not_taken(uid, retry_after.max(least), now));
            unsent(settled(outcome, evidence), Situation::Waiting(cause))
        }
        Posted::Rejected(cause) => {
            let (outcome, evidence) = (SubmissionOutcome::Rejected, SubmissionEvidence::Reply);
            shared.metrics.submission(outcome.into());
            unsent(
                settled(outcome, evidence),
                Situation::Ends(Ending::Rejected(cause)),
            )
        }
        Posted::InDoubt(cause) => {
            shared.metrics.submission("InDoubt");
            let (request_id, error) = (&submission.request_id, cause.message);
            warn!(
                request_id,
                error, "it is not known whether the platform took the export"
            );
            unsent(submission.clone(), Situation::InDoubt(submission))
        }
    };
    let written = record(export, context, seen, &came_to).await?;
    match wait {
        Some(wait) => Ok(Next::Rest(Action::requeue(wait))),
        None => Ok(step(written)),
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
    let mut current = export.clone();
    let mut wait = RECORD_WAIT;
    for tries in 1.. {
        let status = recorded(&current, seen, record);
        let error = match context.write_status(&current, status).await {
            Ok(written) => {
                report::announce(&current, &written, &record.situation, context).await;
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
