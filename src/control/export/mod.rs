//! The pass over an `ExportJob`.
//!
//! Steps follow each other until there is nothing left to do but wait: each takes the object as
//! the step before it wrote it, so that a request is only ever sent on the strength of what the
//! API server has confirmed.

mod observe;
mod report;
mod submit;

use std::time::Duration;

use jiff::Timestamp;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
    runtime::{controller::Action, reflector::ObjectRef},
};
use serde_json::json;
use tracing::warn;

use self::observe::{Memory, Seen, observe};
use super::{Context, PassError, events::Tone, tenants::Tenant};
use crate::{
    api::{Cancellation, EXPORT_FINALIZER, ExportJob, Reason, Submission, whole_second},
    decide::{
        Cause,
        dataset::{self, Situation as DatasetSituation},
        export::{Effect, Plan, Sighting, Situation, decide},
    },
    platform::{Consequence, DatasetId, Deletion, JobId, PlatformError, Refusal},
    polling::{Follow, trouble},
};

/// The most steps of one pass: check the dataset, hold, intend, post, follow, with room to spare.
const STEPS: usize = 10;
/// How soon something that nobody tells about is looked at again.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// What a step leads to.
enum Next {
    /// Another step, with the object as it is now.
    Step(Box<ExportJob>),
    /// The end of the pass.
    Rest(Action),
}

/// A pass over an export.
///
/// # Errors
///
/// What the API server refuses.
pub async fn pass(export: &ExportJob, context: &Context) -> Result<Action, PassError> {
    let mut object = Box::new(export.clone());
    let mut memory = Memory::default();
    for _ in 0..STEPS {
        let seen = observe(&object, context, &memory)?;
        let plan = decide(&seen.facts);
        match act(&object, context, &seen, plan, &mut memory).await? {
            Next::Step(next) => object = next,
            Next::Rest(action) => return Ok(action),
        }
    }
    Err(PassError::Restless(STEPS))
}

async fn act(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    plan: Plan,
    memory: &mut Memory,
) -> Result<Next, PassError> {
    let shared = &context.shared;
    let Plan { situation, effect } = plan;
    match effect {
        Effect::Rest => rest(export, context, seen, situation).await,
        Effect::WakeAt(time) => {
            let action = Action::requeue(from_now(time, seen.facts.now));
            report(export, context, seen, &situation).await?;
            Ok(Next::Rest(action))
        }
        Effect::Hold => Ok(step(set_finalizer(export, context, Finalize::Add).await?)),
        Effect::Release => {
            let released = set_finalizer(export, context, Finalize::Remove).await?;
            match situation {
                Situation::Leaving(warning) => {
                    leave(export, context, &seen.facts.identity.uid, warning).await;
                    Ok(Next::Rest(Action::await_change()))
                }
                _ => Ok(step(released)),
            }
        }
        Effect::CheckDataset(id) => {
            memory.dataset = Some(match &seen.tenant {
                Some(tenant) => look_at_dataset(tenant, &id).await,
                None => Err(Cause::new(
                    Reason::ConnectionNotReady,
                    "the connection is gone",
                )),
            });
            Ok(step(export.clone()))
        }
        Effect::Intend(submission) => {
            // The token comes before the intent: nothing may queue between it and the request.
            if let Some(tenant) = &seen.tenant
                && let Err(error) = tenant.platform.authenticate().await
            {
                suspect(export, context, &error);
                return rest(export, context, seen, Situation::Waiting(trouble(&error))).await;
            }
            memory.held = Some(submission.r#try.clone());
            let status = report::intended(export, seen, submission);
            Ok(step(context.write_status(export, status).await?))
        }
        Effect::Post(submission, body) => {
            memory.held = None;
            submit::post(export, context, seen, submission, &body).await
        }
        Effect::Follow(submission, job, until) => {
            if let Some(follow) = follow(export, seen, &submission, job) {
                shared.board.follow(follow);
            }
            report(export, context, seen, &situation).await?;
            let left = until.map(|time| from_now(time, seen.facts.now));
            let wait = left.unwrap_or(Duration::MAX).min(watchdog(&situation));
            Ok(Next::Rest(Action::requeue(wait)))
        }
        Effect::Look(submission, job) => {
            let written = report(export, context, seen, &situation).await?;
            match follow(&written, seen, &submission, job) {
                Some(follow) => {
                    shared.board.look(follow).await;
                    Ok(step(written))
                }
                None => Ok(Next::Rest(Action::requeue(LOOK_AGAIN))),
            }
        }
        Effect::IntendCancel(cancellation) => {
            let mut status = report::project(export, seen, &situation);
            status.cancellation = Some(cancellation);
            Ok(step(context.write_status(export, status).await?))
        }
        Effect::Cancel(submission, job, cancellation) => {
            cancel(
                export,
                context,
                seen,
                (submission, job, cancellation),
                &situation,
            )
            .await
        }
    }
}

fn step(export: ExportJob) -> Next {
    Next::Step(Box::new(export))
}

/// Nothing to do but to say so, and to let go of what is kept for exports that go on.
async fn rest(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    situation: Situation,
) -> Result<Next, PassError> {
    let shared = &context.shared;
    let uid = &seen.facts.identity.uid;
    match &situation {
        Situation::Ends(ending) => {
            let written = report(export, context, seen, &situation).await?;
            shared.metrics.end(report::reason_of(ending).as_str());
            forget(context, uid);
            if let Some(dataset) = &export.spec.export.destination.dataset_ref {
                // Its last batch is another one now.
                let namespace = export.namespace().unwrap_or_default();
                shared
                    .datasets
                    .poke(ObjectRef::new(&dataset.name).within(&namespace));
            }
            Ok(step(written))
        }
        Situation::AtRest => {
            forget(context, uid);
            shared.tenants.sweep(|key| context.needs_connection(key));
            // An edit after the end still counts as seen.
            let generation = export.metadata.generation;
            let mut status = export.status.clone().unwrap_or_default();
            status.observed_generation = generation;
            context.write_status(export, status).await?;
            Ok(Next::Rest(Action::await_change()))
        }
        Situation::Leaving(_) => {
            forget(context, uid);
            Ok(Next::Rest(Action::await_change()))
        }
        Situation::Waiting(cause) if is_passing(cause.reason) => {
            report(export, context, seen, &situation).await?;
            Ok(Next::Rest(Action::requeue(
                shared.retries.failed(uid, None),
            )))
        }
        Situation::Waiting(_)
        | Situation::Blocked(_)
        | Situation::Submitting
        | Situation::InDoubt(_)
        | Situation::Running(_)
        | Situation::WaitingForBatch(_)
        | Situation::Cancelling(_)
        | Situation::Foreign => {
            report(export, context, seen, &situation).await?;
            Ok(Next::Rest(Action::requeue(watchdog(&situation))))
        }
    }
}

/// Whether nobody tells when the reason has passed.
fn is_passing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::PlatformUnavailable | Reason::PlatformThrottled | Reason::CredentialRejected
    )
}

/// Everything that changes how an export stands wakes it. A slow look beside that costs nothing
/// and makes up for whatever may have been missed.
fn watchdog(situation: &Situation) -> Duration {
    let wait = match situation {
        Situation::Blocked(_) | Situation::WaitingForBatch(_) | Situation::Cancelling(_) => {
            LOOK_AGAIN
        }
        Situation::Waiting(_)
        | Situation::Submitting
        | Situation::InDoubt(_)
        | Situation::Running(_)
        | Situation::Ends(_)
        | Situation::AtRest
        | Situation::Foreign
        | Situation::Leaving(_) => 10 * LOOK_AGAIN,
    };
    super::jittered(wait)
}

fn from_now(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(time.duration_since(now)).unwrap_or_default()
}

/// Writes the status, unless nothing but time changed, and tells of a transition by an event.
async fn report(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    situation: &Situation,
) -> Result<ExportJob, PassError> {
    let status = report::project(export, seen, situation);
    if report::is_same(export.status.as_ref(), &status) {
        return Ok(export.clone());
    }
    let written = context.write_status(export, status).await?;
    report::announce(export, &written, situation, context).await;
    Ok(written)
}

async fn look_at_dataset(tenant: &Tenant, id: &DatasetId) -> Result<(), Cause> {
    match tenant.platform.dataset(id).await {
        Ok(Some(found)) => match dataset::judge(&found) {
            DatasetSituation::Unsuitable(_, cause) => Err(cause),
            DatasetSituation::Available(_)
            | DatasetSituation::Waiting(_)
            | DatasetSituation::Wrong(_)
            | DatasetSituation::InDoubt(_)
            | DatasetSituation::Leaving => Ok(()),
        },
        Ok(None) => Err(Cause::new(
            Reason::DatasetMissing,
            format!("the Catalog has no dataset {id} in this organisation and sandbox"),
        )),
        Err(error) => Err(trouble(&error)),
    }
}

/// Asks the platform to cancel the job, and records that it will.
async fn cancel(
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
async fn leave(export: &ExportJob, context: &Context, uid: &str, warning: Option<Cause>) {
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
    forget(context, uid);
}

/// Nothing of the export is kept in memory any more.
fn forget(context: &Context, uid: &str) {
    context.shared.board.forget(uid);
    context.shared.retries.forget(uid);
}

fn follow(export: &ExportJob, seen: &Seen, submission: &Submission, job: JobId) -> Option<Follow> {
    let status = export.status.as_ref();
    Some(Follow {
        object: ObjectRef::from_obj(export),
        uid: seen.facts.identity.uid.clone(),
        job,
        platform: seen.service.as_ref()?.platform.clone(),
        began: status
            .and_then(|status| status.start_time)
            .unwrap_or(submission.intent_time),
    })
}

/// A call was refused for its credential: the connection looks at it again.
fn suspect(export: &ExportJob, context: &Context, error: &PlatformError) {
    let refused = matches!(
        error.consequence(),
        Consequence::Unauthenticated
            | Consequence::CredentialRejected(_)
            | Consequence::Refused(Refusal::Unauthenticated | Refusal::Forbidden)
    );
    let connection = export
        .status
        .as_ref()
        .and_then(|status| status.connection.as_ref());
    if let (true, Some(connection), Some(namespace)) = (refused, connection, export.namespace()) {
        context.suspect(&namespace, &connection.name);
    }
}

/// What to do with the finalizer.
enum Finalize {
    Add,
    Remove,
}

/// Puts the finalizer on or takes it off, unless the object has changed since it was read.
async fn set_finalizer(
    export: &ExportJob,
    context: &Context,
    what: Finalize,
) -> Result<ExportJob, PassError> {
    let others = export
        .finalizers()
        .iter()
        .filter(|name| *name != EXPORT_FINALIZER);
    let mut finalizers: Vec<&str> = others.map(String::as_str).collect();
    match what {
        Finalize::Add => finalizers.push(EXPORT_FINALIZER),
        Finalize::Remove => {}
    }
    let patch = json!({
        "metadata": {
            "resourceVersion": export.resource_version(),
            "finalizers": finalizers,
        }
    });
    let api = context.api(export)?;
    let params = PatchParams {
        field_manager: Some(FINALIZER_MANAGER.into()),
        ..PatchParams::default()
    };
    Ok(api
        .patch(&export.name_any(), &params, &Patch::Merge(patch))
        .await?)
}

/// The field manager of the finalizer.
const FINALIZER_MANAGER: &str = "aep-export-operator/finalizer";
