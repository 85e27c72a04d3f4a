//! Cancelling jobs, and letting go of objects.

use kube::runtime::controller::Action;
use tracing::warn;

use super::{
    super::{Context, PassError, events::Tone},
    Next, follow,
    observe::Seen,
    report, step, suspect,
};
use crate::{
    api::{Cancellation, ExportJob, Reason, Submission, whole_second},
    decide::{
        Cause,
        export::{Sighting, Situation, Surplus},
    },
    platform::{Deletion, JobId},
    polling::trouble,
};

/// Asks the platform to cancel the job, and records that it will.
pub(super) async fn cancel(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    (submission, job, cancellation): (Submission, JobId, Cancellation),
    situation: &Situation,
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
            if let Some(follow) = follow(&written, seen, &submission, job) {
                shared.board.look(follow).await;
            }
            Ok(step(written))
        }
        Err(error) => {
            suspect(export, context, &error);
            let cause = trouble(&error);
            let message = format!("job {job} is not cancelled yet: {}", cause.message);
            let cause = Cause::new(cause.reason, message);
            report(export, context, seen, &Situation::Cancelling(cause)).await?;
            let wait = shared
                .retries
                .failed(&seen.facts.identity.uid, error.retry_after());
            Ok(Next::Rest(Action::requeue(wait)))
        }
    }
}

/// The last words about an export whose object is let go.
pub(super) async fn leave(
    export: &ExportJob,
    context: &Context,
    uid: &str,
    warning: Option<Cause>,
) {
    let shared = &context.shared;
    let status = export.status.as_ref();
    let job = status.and_then(|status| status.job_id.as_deref());
    let cancelled = status.is_some_and(|status| status.cancellation.is_some());
    match (warning, job) {
        (Some(Cause { reason, message }), _) => {
            warn!(reason = reason.as_str(), message, "let go of an export");
            shared.metrics.end(reason.as_str());
            let (tone, action) = (Tone::Warning, "Release");
            shared
                .events
                .publish(export, tone, action, reason, &message)
                .await;
        }
        (None, Some(job)) if cancelled => {
            let last = match shared.board.sighting(uid) {
                Sighting::Job { job, batches: _ } => job.status.clone(),
                Sighting::Unseen | Sighting::Missing | Sighting::Trouble(_) => "gone".into(),
            };
            shared.metrics.end(Reason::Cancelled.as_str());
            let note = format!("job {job} was asked to cancel and is now {last}");
            let (tone, reason) = (Tone::Normal, Reason::Cancelled);
            shared
                .events
                .publish(export, tone, "Cancel", reason, &note)
                .await;
        }
        (None, Some(_) | None) => {}
    }
    shared.board.forget(uid);
    shared.retries.forget(uid);
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
            Surplus::Refused(trouble(&error))
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
        Ok(Deletion::Accepted | Deletion::Absent) => (
            format!("the platform made job {job} of the same request; asked it to cancel that one"),
            Surplus::LeftAlone,
        ),
        Err(error) => (
            format!(
                "the platform made job {job} of the same request, and does not cancel it: {error}"
            ),
            Surplus::Refused(trouble(&error)),
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
        context.suspect(&key.namespace, &key.name);
    }
}
