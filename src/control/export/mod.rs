//! The pass over an `ExportJob`.
//!
//! Steps follow each other until there is nothing left to do but wait: each takes the object as
//! the step before it wrote it, so that a request is only ever sent on the strength of what the
//! API server has confirmed.

mod observe;
mod report;
mod settle;
mod stop;
mod submit;

use std::time::Duration;

use jiff::Timestamp;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
    runtime::{controller::Action, reflector::ObjectRef},
};
use serde_json::json;

use self::observe::{Memory, Seen, observe};
use self::stop::leave;
use super::{Context, PassError, retry::Look, tenants::Tenant};
use crate::{
    api::{EXPORT_FINALIZER, ExportJob, Reason, Submission},
    decide::{
        Cause, Need,
        dataset::{self, Situation as DatasetSituation},
        export::{Effect, Plan, Situation, Surplus, decide},
    },
    platform::{Consequence, DatasetId, JobId, PlatformError, Refusal},
    polling::{Follow, trouble},
};

/// The most steps of one pass: check the dataset, look, hold, intend, post, read the list, settle,
/// intend and post again, follow, with room for surplus jobs.
const STEPS: usize = 24;
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
    let uid = &seen.facts.identity.uid;
    let Plan { situation, effect } = plan;
    match effect {
        Effect::Rest => rest(export, context, seen, situation).await,
        Effect::WakeAt(time) => {
            let action = Action::requeue(from_now(time, seen.facts.now));
            report(export, context, seen, &situation).await?;
            Ok(Next::Rest(action))
        }
        Effect::Hold => Ok(step(set_finalizer(export, context, Finalize::Add).await?)),
        Effect::Release => release(export, context, uid, situation).await,
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
            submit::intend(export, context, seen, submission, memory).await
        }
        Effect::Post(submission, body) => {
            memory.held = None;
            submit::post(export, context, seen, submission, &body, memory).await
        }
        Effect::ReadList(back) => {
            memory.list = Some(settle::read(export, context, seen, back, memory).await);
            Ok(step(export.clone()))
        }
        Effect::LookAgain(by) => {
            report(export, context, seen, &situation).await?;
            let wait = look_again(context, seen, &situation, by, memory);
            Ok(Next::Rest(Action::requeue(wait)))
        }
        Effect::Settle(submission) => {
            memory.held = None;
            settle::record(export, context, seen, submission, &situation).await
        }
        Effect::Adopt(submission, job) => {
            settle::adopt(export, context, seen, submission, &job).await
        }
        Effect::Retry(submission, job) => {
            settle::retry(export, context, seen, submission, &job, &situation).await
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
                    memory.looked = true;
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
            let what = (submission, job, cancellation);
            stop::cancel(export, context, seen, what, &situation).await
        }
        Effect::LookAtSurplus(_, job) => {
            let surplus = stop::look_at_surplus(seen, &job).await;
            Ok(step(dealt_with(export, memory, job, surplus)))
        }
        Effect::CancelSurplus(_, job) => {
            let surplus = stop::cancel_surplus(export, context, seen, &job).await;
            Ok(step(dealt_with(export, memory, job, surplus)))
        }
        Effect::Distrust(cause) => {
            stop::distrust(export, context, seen, cause).await;
            Ok(step(export.clone()))
        }
    }
}

/// How long to wait before the platform's list is read again.
fn look_again(
    context: &Context,
    seen: &Seen,
    situation: &Situation,
    by: Option<Timestamp>,
    memory: &Memory,
) -> Duration {
    let look = Look {
        by,
        floor: memory.list_retry_after,
        longest: match situation {
            // A person was asked, and is waited for.
            Situation::Ambiguous(_) => LOOK_AGAIN * 5,
            _ => LOOK_AGAIN,
        },
    };
    let (uid, now) = (&seen.facts.identity.uid, seen.facts.now);
    let answer = seen.facts.answer.clone();
    context.shared.retries.look_again(uid, now, look, answer)
}

/// Lets go of an object, which is gone then if it was being deleted.
async fn release(
    export: &ExportJob,
    context: &Context,
    uid: &str,
    situation: Situation,
) -> Result<Next, PassError> {
    let released = set_finalizer(export, context, Finalize::Remove).await?;
    match situation {
        Situation::Leaving(warning) => {
            leave(export, context, uid, warning).await;
            Ok(Next::Rest(Action::await_change()))
        }
        _ => Ok(step(released)),
    }
}

/// The pass knows by now what became of a surplus job.
fn dealt_with(export: &ExportJob, memory: &mut Memory, job: JobId, surplus: Surplus) -> ExportJob {
    memory.surplus.retain(|(known, _)| *known != job);
    memory.surplus.push((job, surplus));
    export.clone()
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
    match situation.clone() {
        Situation::Ends(ref ending) => {
            let written = report(export, context, seen, &situation).await?;
            shared.metrics.end(report::reason_of(ending).as_str());
            ended(context, uid);
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
            ended(context, uid);
            shared.tenants.sweep(|key| context.needs_connection(key));
            // An edit after the end still counts as seen.
            let generation = export.metadata.generation;
            let mut status = export.status.clone().unwrap_or_default();
            status.observed_generation = generation;
            context.write_status(export, status).await?;
            Ok(Next::Rest(Action::await_change()))
        }
        Situation::Leaving(warning) => {
            leave(export, context, uid, warning).await;
            Ok(Next::Rest(Action::await_change()))
        }
        Situation::Waiting(ref cause) if cause.reason == Reason::WaitingForSubmission => {
            report(export, context, seen, &situation).await?;
            if let Need::Met(destination) = &seen.facts.destination {
                let object = ObjectRef::from_obj(export);
                let claims = &shared.submissions.claims;
                claims.await_turn(&destination.target, object, &shared.exports);
                // It may have become free in between.
                if claims.rivals(uid, &destination.target).is_empty() {
                    return Ok(step(export.clone()));
                }
            }
            Ok(Next::Rest(Action::requeue(super::jittered(LOOK_AGAIN))))
        }
        Situation::Waiting(ref cause) if is_passing(cause.reason) => {
            report(export, context, seen, &situation).await?;
            Ok(Next::Rest(Action::requeue(
                shared.retries.failed(uid, None),
            )))
        }
        Situation::Waiting(_)
        | Situation::Blocked(_)
        | Situation::Suspended
        | Situation::Submitting
        | Situation::InDoubt(_)
        | Situation::Ambiguous(_)
        | Situation::Running(_)
        | Situation::WaitingForBatch(_)
        | Situation::Retrying(_)
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
        | Situation::Suspended
        | Situation::Submitting
        | Situation::InDoubt(_)
        | Situation::Ambiguous(_)
        | Situation::Running(_)
        | Situation::Retrying(_)
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

/// The export has ended: nothing of it is kept in memory but what finds other jobs of its request.
fn ended(context: &Context, uid: &str) {
    context.shared.board.ended(uid);
    context.shared.submissions.claims.release(uid);
    context.shared.retries.forget(uid);
}

fn follow(export: &ExportJob, seen: &Seen, submission: &Submission, job: JobId) -> Option<Follow> {
    let status = export.status.as_ref();
    Some(Follow {
        object: ObjectRef::from_obj(export),
        uid: seen.facts.identity.uid.clone(),
        job,
        platform: seen.service.as_ref()?.platform.clone(),
        tenant: submission.target.tenant(),
        request_id: submission.request_id.clone(),
        began: status
            .and_then(|status| status.start_time)
            .unwrap_or(submission.intent_time),
        settled: submission.settle_after,
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
    let patched = api
        .patch(&export.name_any(), &params, &Patch::Merge(patch))
        .await?;
    context.shared.written.wrote(&patched);
    Ok(patched)
}

/// The field manager of the finalizer.
const FINALIZER_MANAGER: &str = "aep-export-operator/finalizer";
