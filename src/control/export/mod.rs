//! The pass over an `ExportJob`.
//!
//! Steps follow each other until there is nothing left to do but wait: each takes the object as
//! the step before it wrote it, so that a request is only ever sent on the strength of what the
//! API server has confirmed.

mod observe;
mod report;
mod rest;
mod rows;
mod settle;
mod stop;
mod submit;
mod tell;
mod turn;
mod wishes;

use std::time::Duration;

use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};

pub use self::rest::is_at_rest;

use self::observe::{Memory, Seen, observe};
use self::stop::leave;
use self::wishes::invalid_policy;
use super::{
    Context, PassError, dependencies::recorded_connection, finalizers::Finalize,
    namespaces::Surroundings, retry::Look, tenants::Tenant,
};
use crate::{
    api::{EXPORT_FINALIZER, ExportJob, ExportJobStatus, Reason, Submission},
    decide::{
        Cause, Finalizer, Need, dataset,
        export::{Effect, Plan, Record, Situation, Surplus, decide, due_by},
    },
    governor::Wake,
    platform::{Consequence, DatasetId, JobId, PlatformError, Refusal},
    polling::{Client, Follow, Pace, trouble},
};

/// The most steps of one pass: check the dataset, look, hold, intend, post, read the list, settle,
/// intend and post again, follow, with room for surplus jobs.
const STEPS: usize = 24;
/// How soon something that nobody tells about is looked at again.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// How soon at the latest the platform is asked again for what somebody waits for to end.
const STOPPING_AGAIN: Duration = Duration::from_secs(30);

/// What a step leads to.
enum Next {
    /// Another step, with the object as it is now.
    Step(Box<ExportJob>),
    /// The end of the pass; the object is looked at again after this time at the latest, if there
    /// is one.
    Rest(Option<Duration>),
}

/// A pass over an export.
///
/// # Errors
///
/// What the API server refuses.
pub async fn pass(export: &ExportJob, context: &Context) -> Result<Action, PassError> {
    if !context.is_export_ours(export).await? {
        return Ok(context.look_elsewhere_again());
    }
    if awaits_connection(export, context) {
        return Ok(Action::await_change());
    }
    let (crowd, uid) = (&context.shared.crowd, export.uid().unwrap_or_default());
    let _inside = match context.connection_of(export) {
        Some(key) => match crowd.enter(key, &uid, wake(export, context)) {
            Some(inside) => Some(inside),
            None => return Ok(Action::await_change()),
        },
        None => {
            crowd.forget(&uid);
            None
        }
    };
    context.look_for_needs_of(export).await?;
    let mut object = Box::new(export.clone());
    let mut memory = Memory {
        surroundings: surroundings(export, context).await,
        ..Memory::default()
    };
    for _ in 0..STEPS {
        // Only this pass may send what it has intended; all else is for whoever has the object now.
        if memory.held.is_none() && !context.serves(&*object) {
            return Ok(Action::await_change());
        }
        let seen = observe(&object, context, &memory)?;
        let plan = decide(&seen.facts);
        if let (Record::Fresh { attempt: _ }, Need::Waiting(_) | Need::Wrong(_)) =
            (&seen.facts.record, &seen.facts.destination)
        {
            context.hold_nothing_for(&seen.facts.identity.uid);
        }
        turn::give_up(&seen, &plan.effect, context);
        match Box::pin(act(&object, context, &seen, plan, &mut memory)).await? {
            Next::Step(next) => object = next,
            Next::Rest(wait) => {
                let due = due_by(&seen.facts).map(|time| from_now(time, seen.facts.now));
                let wait = wait.into_iter().chain(due).min();
                return Ok(wait.map_or_else(Action::await_change, Action::requeue));
            }
        }
    }
    Err(PassError::Restless(STEPS))
}

/// Whether nothing is known of an export before its connection was looked at. One that is deleted
/// does not wait for that: its deadline counts from when it is on record.
fn awaits_connection(export: &ExportJob, context: &Context) -> bool {
    let goes_on =
        export.metadata.deletion_timestamp.is_none() && !super::dependencies::is_ended(export);
    goes_on
        && context
            .connection_of(export)
            .is_some_and(|connection| context.is_yet_to_be_seen(&connection))
}

/// What is known of the namespace, where something depends on it: what becomes of the export if it
/// is deleted, and whether it is deleted with everything around it.
async fn surroundings(export: &ExportJob, context: &Context) -> Option<Surroundings> {
    let namespace = export.namespace()?;
    let status = export.status.as_ref();
    let deleted = export.metadata.deletion_timestamp.is_some();
    let begins = status.is_none_or(|status| status.job_id.is_none());
    let asked = deleted || (begins && export.spec.deletion_policy.is_none());
    let asked = asked && !super::dependencies::is_ended(export);
    if asked {
        Some(context.shared.namespaces.of(&namespace).await)
    } else {
        None
    }
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
            let wait = from_now(time, seen.facts.now);
            match (&situation, seen.facts.finalizer) {
                (Situation::AtRest, Finalizer::Absent) => at_rest(export, context, seen).await?,
                _ => {
                    report(export, context, seen, &situation).await?;
                }
            }
            Ok(Next::Rest(Some(wait)))
        }
        Effect::Hold => hold(export, context, seen, memory).await,
        Effect::BackOff => {
            report(export, context, seen, &situation).await?;
            let wait = shared.retries.failed(uid, None).min(STOPPING_AGAIN);
            let floor = memory.cancel_retry_after.unwrap_or_default();
            Ok(Next::Rest(Some(wait.max(floor))))
        }
        Effect::Expire => stop::expire(export, context, seen).await,
        Effect::Release => release(export, context, seen, situation).await,
        Effect::CheckDataset(id) => check_dataset(export, context, seen, &id, memory).await,
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
            Ok(Next::Rest(Some(wait)))
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
            if let Some(follow) = follow(export, context, seen, &submission, job) {
                shared.board.follow(follow);
            }
            report(export, context, seen, &situation).await?;
            let left = until.map(|time| from_now(time, seen.facts.now));
            let wait = left.unwrap_or(Duration::MAX).min(watchdog(&situation));
            Ok(Next::Rest(Some(wait)))
        }
        Effect::Look(submission, job) => {
            let written = report(export, context, seen, &situation).await?;
            match follow(&written, context, seen, &submission, job) {
                Some(follow) => {
                    shared.board.look(follow).await;
                    memory.looked = true;
                    Ok(step(written))
                }
                None => Ok(Next::Rest(Some(LOOK_AGAIN))),
            }
        }
        Effect::IntendCancel(cancellation) => {
            let mut status = report::project(export, seen, &situation);
            status.cancellation = Some(cancellation);
            let written = context.write_status(export, status).await?;
            // Why it cannot be cancelled yet is told here already.
            tell::announce(export, &written, &situation, context).await;
            Ok(step(written))
        }
        Effect::Cancel(submission, job, cancellation) => {
            let what = (submission, job, cancellation);
            stop::cancel(export, context, seen, what, &situation, memory).await
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

/// Puts the finalizer on. The first time it tells what of the namespace's word is not read: after
/// the intent nothing is waited for.
async fn hold(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    memory: &Memory,
) -> Result<Next, PassError> {
    if let (Record::Fresh { attempt: _ }, None, Some(word)) = (
        &seen.facts.record,
        export.spec.deletion_policy,
        invalid_policy(memory),
    ) {
        tell::tell_invalid(export, context, word).await;
    }
    let added = Finalize::Add;
    let held = context.set_finalizer(export, EXPORT_FINALIZER, added);
    Ok(step(held.await?))
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
            Situation::Cancelling(_) => STOPPING_AGAIN,
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
    seen: &Seen,
    situation: Situation,
) -> Result<Next, PassError> {
    let released = context
        .set_finalizer(export, EXPORT_FINALIZER, Finalize::Remove)
        .await?;
    match situation {
        Situation::Leaving(farewell) => {
            leave(export, context, seen, farewell).await;
            Ok(Next::Rest(None))
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
            shared.metrics.end(tell::reason_of(ending).as_str());
            ended(export, context, uid);
            Ok(step(written))
        }
        Situation::AtRest => {
            at_rest(export, context, seen).await?;
            Ok(Next::Rest(None))
        }
        Situation::Leaving(farewell) => {
            leave(export, context, seen, farewell).await;
            Ok(Next::Rest(None))
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
            Ok(Next::Rest(Some(super::jittered(LOOK_AGAIN))))
        }
        Situation::Waiting(ref cause) if is_passing(cause.reason) => {
            report(export, context, seen, &situation).await?;
            Ok(Next::Rest(Some(shared.retries.failed(uid, None))))
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
            Ok(Next::Rest(Some(watchdog(&situation))))
        }
    }
}

/// Nothing is left to do for an export, but to see what an edit since its end comes to.
async fn at_rest(export: &ExportJob, context: &Context, seen: &Seen) -> Result<(), PassError> {
    let shared = &context.shared;
    ended(export, context, &seen.facts.identity.uid);
    shared.tenants.sweep(|key| context.needs_connection(key));
    report::rest(export, context).await
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
    tell::announce(export, &written, situation, context).await;
    Ok(written)
}

/// Looks at the dataset that an export names by its id, once it has leave to submit.
async fn check_dataset(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    id: &DatasetId,
    memory: &mut Memory,
) -> Result<Next, PassError> {
    if let Some(wait) = submit::await_leave(export, context, seen, memory).await? {
        return Ok(wait);
    }
    memory.dataset = Some(match &seen.tenant {
        Some(tenant) => look_at_dataset(tenant, id).await,
        None => Err(Cause::new(
            Reason::ConnectionNotReady,
            "the connection is gone",
        )),
    });
    Ok(step(export.clone()))
}

async fn look_at_dataset(tenant: &Tenant, id: &DatasetId) -> Result<(), Cause> {
    match tenant.platform.dataset(id).await {
        Ok(Some(found)) => dataset::judge(&found),
        Ok(None) => Err(Cause::new(
            Reason::DatasetMissing,
            format!("the Catalog has no dataset {id} in this organisation and sandbox"),
        )),
        Err(error) => Err(trouble(&error)),
    }
}

/// The export has ended: nothing of it is kept in memory but what finds other jobs of its request.
fn ended(export: &ExportJob, context: &Context, uid: &str) {
    context.shared.board.ended(uid);
    context.shared.governor.left(uid);
    context.shared.submissions.claims.release(uid);
    context.shared.retries.forget(uid);
    context.let_go_of(export);
}

/// Whether somebody waits for the export to end: it is deleted, or being cancelled.
fn is_stopping(export: &ExportJob) -> bool {
    let cancelled = |status: &ExportJobStatus| status.cancellation.is_some();
    export.metadata.deletion_timestamp.is_some() || export.status.as_ref().is_some_and(cancelled)
}

fn follow(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    submission: &Submission,
    job: JobId,
) -> Option<Follow> {
    let status = export.status.as_ref();
    let service = seen.service.as_ref()?;
    let tenant = submission.target.tenant();
    Some(Follow {
        uid: seen.facts.identity.uid.clone(),
        wake: wake(export, context),
        job,
        client: Client::new(&service.platform, tenant, service.stamp.clone()),
        target: submission.target.clone(),
        request_id: submission.request_id.clone(),
        began: status
            .and_then(|status| status.start_time)
            .unwrap_or(submission.intent_time),
        settled: submission.settle_after,
        pace: if is_stopping(export) {
            Pace::Stopping
        } else {
            Pace::Running
        },
    })
}

/// Has the object reconciled soon.
fn wake(export: &ExportJob, context: &Context) -> Wake {
    context.shared.exports.waker(ObjectRef::from_obj(export))
}

/// A call was refused for its credential: the connection looks at it again.
fn suspect(export: &ExportJob, context: &Context, error: &PlatformError) {
    let refused = matches!(
        error.consequence(),
        Consequence::Unauthenticated
            | Consequence::CredentialRejected(_)
            | Consequence::Refused(Refusal::Unauthenticated | Refusal::Forbidden)
    );
    if let (true, Some(connection)) = (refused, recorded_connection(export)) {
        context.suspect(&connection);
    }
}
