//! Cancelling jobs, and letting go of objects.

use jiff::Timestamp;
use kube::{
    ResourceExt,
    api::{DeleteParams, Preconditions},
};
use tracing::{info, warn};

use super::{
    super::{Context, Kind, PassError, events::Tone},
    Next, follow,
    observe::{Memory, Seen},
    report, step, suspect,
};
use crate::{
    api::{Cancellation, ExportJob, Reason, Submission, whole_second},
    decide::{
        Cause,
        export::{Asked, Farewell, Sighting, Situation, Surplus},
    },
    metrics::LetGo,
    platform::{Consequence, Deletion, JobId, PlatformError},
    polling::trouble,
};

/// Asks the platform to cancel the job, and records that it will.
pub(super) async fn cancel(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    (submission, job, cancellation): (Submission, JobId, Cancellation),
    situation: &Situation,
    memory: &mut Memory,
) -> Result<Next, PassError> {
    let shared = &context.shared;
    let Some(tenant) = &seen.service else {
        return Err(PassError::Incomplete("connection"));
    };
    match tenant.platform.delete_export_job(&job).await {
        Ok(deletion) => {
            let message = match deletion {
                Deletion::Accepted => format!("asked the platform to cancel job {job}"),
                Deletion::Absent => format!("the platform has no job {job} any more"),
            };
            let (tone, reason) = (Tone::Normal, Reason::Cancelling);
            shared
                .events
                .publish(export, tone, "Cancel", reason, &message)
                .await;
            let mut status = report::project(export, seen, situation);
            status.cancellation = Some(Cancellation {
                accepted_at: Some(whole_second(tenant.platform.now())),
                ..cancellation
            });
            let written = context.write_status(export, status).await?;
            // What the board has seen is older than this; the answer decides what is next.
            if let Some(follow) = follow(&written, context, seen, &submission, job) {
                shared.board.look(follow).await;
            }
            Ok(step(written))
        }
        Err(error) => {
            suspect(export, context, &error);
            memory.cancel_retry_after = error.retry_after();
            memory.asked = not_asked(&error);
            Ok(step(export.clone()))
        }
    }
}

/// Why the platform does not cancel a job: it cannot be asked, or it does not do what it was
/// asked.
fn not_asked(error: &PlatformError) -> Asked {
    let cause = trouble(error);
    match error.consequence() {
        Consequence::Rejected | Consequence::NotFound => Asked::Refused(cause),
        Consequence::Throttled { retry_after: _ }
        | Consequence::Unauthenticated
        | Consequence::CredentialRejected(_)
        | Consequence::Forbidden
        | Consequence::Retry
        | Consequence::Redirected
        | Consequence::NotSent
        | Consequence::InDoubt
        | Consequence::Refused(_)
        | Consequence::Misconfigured { setting: _ } => Asked::OutOfReach(cause),
    }
}

/// Deletes an object whose time is over, unless it has changed since it was read.
pub(super) async fn expire(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
) -> Result<Next, PassError> {
    let params = DeleteParams::background().preconditions(Preconditions {
        resource_version: export.resource_version(),
        uid: export.uid(),
    });
    let api = context.api(export)?;
    api.delete(&export.name_any(), &params).await?;
    info!(
        uid = seen.facts.identity.uid,
        "deleted an export after its time to live"
    );
    Ok(Next::Rest(None))
}

/// The last words about an export whose object is let go.
pub(super) async fn leave(export: &ExportJob, context: &Context, seen: &Seen, farewell: Farewell) {
    let shared = &context.shared;
    let uid = &seen.facts.identity.uid;
    let status = export.status.as_ref();
    let job = status.and_then(|status| status.job_id.as_deref());
    let cancelled = status
        .and_then(|status| status.cancellation.as_ref())
        .is_some_and(|cancellation| cancellation.accepted_at.is_some());
    match (farewell, job) {
        (Farewell::LeftToRun(Cause { reason, message }), _) => {
            shared.metrics.end(reason.as_str());
            let (tone, action) = (Tone::Normal, "Release");
            shared
                .events
                .publish(export, tone, action, reason, &message)
                .await;
        }
        (Farewell::Warning(Cause { reason, message }), _) => {
            warn!(reason = reason.as_str(), message, "let go of an export");
            shared.metrics.end(reason.as_str());
            let left = LetGo {
                kind: ExportJob::KIND,
                namespace: export.namespace().unwrap_or_default(),
                name: export.name_any(),
                left: left(export),
                reason: reason.as_str(),
            };
            shared.metrics.let_go(&left, Timestamp::now());
            let (tone, action) = (Tone::Warning, "Release");
            shared
                .events
                .publish(export, tone, action, reason, &message)
                .await;
        }
        (Farewell::Quiet, Some(job)) if cancelled => {
            // The board may have forgotten it by now: the watch tells that the object is gone.
            let last = match &seen.facts.sighting {
                Sighting::Job { job, batches: _ } => &job.status,
                Sighting::Unseen | Sighting::Missing | Sighting::Trouble(_) => "gone",
            };
            shared.metrics.end(Reason::Cancelled.as_str());
            let note = format!("job {job} was asked to cancel and is now {last}");
            let (tone, reason) = (Tone::Normal, Reason::Cancelled);
            shared
                .events
                .publish(export, tone, "Cancel", reason, &note)
                .await;
        }
        (Farewell::Quiet, Some(_) | None) => {}
    }
    shared.board.forget(uid);
    shared.retries.forget(uid);
    context.let_go_of(export);
}

/// What may be left in the platform of an export: its job and others of its request, else the jobs that may be its own, else
/// its request.
fn left(export: &ExportJob) -> String {
    let Some(status) = &export.status else {
        return String::new();
    };
    if let Some(job) = &status.job_id {
        let submission = status.submission.as_ref();
        let surplus = submission.map_or(&[][..], |submission| &submission.surplus_job_ids);
        let jobs = std::iter::once(job).chain(surplus);
        return jobs.map(String::as_str).collect::<Vec<_>>().join(",");
    }
    let Some(submission) = &status.submission else {
        return String::new();
    };
    let candidates = submission.candidates.iter();
    let ids: Vec<&str> = candidates.map(|job| job.job_id.as_str()).collect();
    if ids.is_empty() {
        submission.request_id.clone()
    } else {
        ids.join(",")
    }
}

/// Asks for a job that the platform made beside the one on record.
pub(super) async fn look_at_surplus(seen: &Seen, job: &JobId) -> Surplus {
    let Some(tenant) = &seen.service else {
        return Surplus::LeftAlone;
    };
    match tenant.platform.export_job(job).await {
        Ok(Some(job)) => Surplus::Seen(Box::new(job)),
        Ok(None) => Surplus::LeftAlone,
        Err(error) => {
            warn!(%job, %error, "a surplus job cannot be asked for; it is on record");
            Surplus::OutOfReach(trouble(&error))
        }
    }
}

/// Asks the platform to cancel a job that it made beside the one on record.
pub(super) async fn cancel_surplus(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    job: &JobId,
) -> Surplus {
    let Some(tenant) = &seen.service else {
        return Surplus::LeftAlone;
    };
    let (note, surplus) = match tenant.platform.delete_export_job(job).await {
        Ok(Deletion::Absent) => (
            format!("the platform made job {job} of the same request, and has it no more"),
            Surplus::LeftAlone,
        ),
        Ok(Deletion::Accepted) => (
            format!("the platform made job {job} of the same request; asked it to cancel that one"),
            Surplus::Asked,
        ),
        Err(error) => (
            format!(
                "the platform made job {job} of the same request, and does not cancel it: {error}"
            ),
            match not_asked(&error) {
                Asked::Refused(cause) => Surplus::Refused(cause),
                Asked::OutOfReach(_) | Asked::NotYet => Surplus::OutOfReach(trouble(&error)),
            },
        ),
    };
    let events = &context.shared.events;
    events
        .publish(export, Tone::Warning, "Cancel", Reason::SurplusJob, &note)
        .await;
    surplus
}

/// Somebody else uses this cluster's identity: nothing more is submitted by this connection.
pub(super) async fn distrust(export: &ExportJob, context: &Context, seen: &Seen, cause: Cause) {
    let shared = &context.shared;
    shared.board.clear_doubles(&seen.facts.identity.uid);
    let Some(tenant) = &seen.service else { return };
    shared.submissions.distrust(&tenant.target, cause.clone());
    let (tone, Cause { reason, message }) = (Tone::Warning, cause);
    warn!(
        reason = reason.as_str(),
        message, "nothing more is submitted"
    );
    shared
        .events
        .publish(export, tone, "Submit", reason, &message)
        .await;
    for key in shared.tenants.of(&tenant.target) {
        context.suspect(&key);
    }
}
