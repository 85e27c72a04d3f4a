//! The pass over a `ProfileDataset`: is the dataset there, is it one to export into, and is it as
//! its object says?

mod change;
mod create;
mod observe;
mod readings;
mod report;

use std::time::Duration;

use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use tokio::time::Instant;

use self::{
    change::{delete, jobs, look, mend, release, take},
    create::{CameTo, adopt, find_by_tag, find_namesakes, post, reject, tell},
    observe::{Memory, Seen, observe},
};
use super::{
    Context, PassError,
    events::Tone,
    finalizers::Finalize,
    holds::Held,
    jittered, requests,
    tenants::{ConnectionKey, Tenant},
};
use crate::{
    api::{DATASET_FINALIZER, ProfileDataset, Reason},
    decide::{
        Cause, Life,
        connection::Failure,
        dataset::{Effort, Facts, Jobs, Lookup, Plan, Situation, Users, decide},
    },
    governor::Permit,
    platform::{Consequence, Dataset, PlatformError},
};

pub use readings::{Reading, Readings};

/// The most steps of one pass: look, hold, intend, post, look, mend, settle, with room to spare.
const STEPS: usize = 20;
/// How soon something that only Adobe's side can mend is looked at again.
const WRONG_AGAIN: Duration = Duration::from_mins(2);
/// The longest wait of an object that is being deleted: who deletes a namespace waits for it.
const LEAVING_AGAIN: Duration = Duration::from_secs(30);
/// The shortest wait for jobs that run into a dataset which is to be deleted.
const JOBS_AGAIN: Duration = Duration::from_secs(5);

/// What an effect came to.
enum Step {
    /// The object as it is now.
    On(Box<ProfileDataset>),
    /// There is nothing to do for a while.
    Wait(Duration),
}

/// A pass over a dataset.
///
/// # Errors
///
/// What the API server refuses.
pub async fn pass(dataset: &ProfileDataset, context: &Context) -> Result<Action, PassError> {
    let namespace = dataset.namespace().unwrap_or_default();
    let is_live = dataset.metadata.deletion_timestamp.is_none();
    let key = ConnectionKey::named(&namespace, &dataset.spec.connection_ref);
    if !context.is_dataset_ours(dataset).await? {
        return Ok(context.look_elsewhere_again());
    }
    if is_live && context.is_yet_to_be_seen(&key) {
        return Ok(Action::await_change());
    }
    let uid = dataset.uid().unwrap_or_default();
    let crowd = &context.shared.dataset_crowd;
    let waker = context.shared.datasets.waker(ObjectRef::from_obj(dataset));
    let Some(_inside) = crowd.enter(key.clone(), &uid, waker) else {
        return Ok(Action::await_change());
    };
    begin(dataset, context);
    context.look_for_connection(&key).await?;
    let mut object = dataset.clone();
    let mut memory = Memory::default();
    for _ in 0..STEPS {
        // Only this pass may send what it has intended; all else is for whoever has the object now.
        if memory.held.is_none() && !context.serves(&object) {
            return Ok(Action::await_change());
        }
        let seen = observe(&object, context, &memory).await?;
        match decide(&seen.facts) {
            Plan::Rest(situation) => {
                return settle(&object, context, &seen, &memory, &situation).await;
            }
            Plan::Release(farewell) => {
                release(&object, context, &seen.facts, farewell).await?;
                return Ok(Action::await_change());
            }
            plan => match act(object, context, &seen, plan, &mut memory).await? {
                Step::On(next) => object = *next,
                Step::Wait(wait) => return Ok(Action::requeue(wait)),
            },
        }
    }
    Err(PassError::Restless(STEPS))
}

/// Takes the finalizer off an object that nobody needs any more. If an export has begun to need it
/// meanwhile, the next pass sees that.
async fn let_go(dataset: &ProfileDataset, context: &Context) -> Result<Step, PassError> {
    let namespace = dataset.namespace().unwrap_or_default();
    let name = dataset.name_any();
    let is_free = || !context.needs_dataset(&namespace, &name);
    let held = Held::dataset(&namespace, &name);
    let written = context.let_go(&held, dataset, DATASET_FINALIZER, is_free);
    Ok(match written.await? {
        Some(object) => Step::On(Box::new(object)),
        None => Step::Wait(Duration::ZERO),
    })
}

/// Carries out the one next effect.
async fn act(
    mut object: ProfileDataset,
    context: &Context,
    seen: &Seen,
    plan: Plan,
    memory: &mut Memory,
) -> Result<Step, PassError> {
    let finalize = |what| context.set_finalizer(&object, DATASET_FINALIZER, what);
    let tenant = match (&plan, &seen.tenant) {
        (Plan::Hold, _) => return Ok(Step::On(Box::new(finalize(Finalize::Add).await?))),
        (Plan::LetGo, _) => return let_go(&object, context).await,
        (_, Some(tenant)) => tenant,
        (_, None) => return Err(PassError::Incomplete("connection")),
    };
    match plan {
        Plan::Read(id) => look(tenant, &id, memory).await,
        Plan::FindByTag => find_by_tag(&object, context, tenant, memory).await?,
        Plan::FindNamesakes => find_namesakes(&object, context, tenant, memory).await?,
        Plan::Intend(submission) => {
            // Token and turn come before the intent: nothing may queue between it and the request.
            match ready_to_create(tenant).await {
                Err(error) => memory.lookup = Some(failed(&error)),
                Ok(permit) => {
                    memory.permit = Some(permit);
                    memory.held = Some(submission.r#try.clone());
                    let status = report::intended(&object, tenant, submission);
                    object = context.write_status(&object, status).await?;
                }
            }
        }
        Plan::Post(submission, body) => {
            memory.held = None;
            memory.lookup = None;
            let Some(permit) = memory.permit.take() else {
                return Err(PassError::Incomplete("turn"));
            };
            match post(&object, context, tenant, submission, &body, permit).await {
                CameTo::Recorded(status, wait) => {
                    object = context.write_status(&object, *status).await?;
                    if let Some(wait) = wait {
                        return Ok(Step::Wait(wait));
                    }
                }
                CameTo::Rejected(cause) => memory.rejected = Some(cause),
            }
        }
        Plan::Adopt(found, others) => {
            object = adopt(&object, context, tenant, &found, &others).await?;
            // What a query shows may be older than what is there.
            memory.lookup = None;
            memory.effort = None;
        }
        Plan::TakeOver(found, from) => {
            take(&object, context, tenant, (&found, &from), memory).await?;
        }
        Plan::Settle(submission) => {
            let mut status = object.status.clone().unwrap_or_default();
            status.submission = Some(submission);
            object = context.write_status(&object, status).await?;
        }
        Plan::Reject(submission, cause) => {
            object = reject(&object, context, submission, &cause).await?;
            memory.rejected = None;
        }
        Plan::Tell(id, others) => {
            tell(&object, context, &id, &others).await;
            memory.lookup = None;
        }
        Plan::Mend(found, differences) => {
            object = mend(object, context, seen, (found, differences), memory).await?;
        }
        Plan::ListJobs(id, since) => {
            memory.jobs = Some(jobs(context, tenant, &id, since).await);
        }
        Plan::Delete(id) => delete(tenant, &id, memory).await,
        Plan::Hold | Plan::LetGo | Plan::Release(_) | Plan::Rest(_) => {}
    }
    Ok(Step::On(Box::new(object)))
}

/// Waits for all that a request to create needs.
async fn ready_to_create(tenant: &Tenant) -> Result<Permit, PlatformError> {
    tenant.platform.authenticate().await?;
    tenant.platform.turn_to_create().await
}

/// What failed before an edit, or before a person asked, may go well now. A creation waits all the
/// same, as long as the platform asked.
fn begin(dataset: &ProfileDataset, context: &Context) {
    let shared = &context.shared;
    let uid = dataset.uid().unwrap_or_default();
    let generation = dataset.metadata.generation;
    let news = shared
        .readings
        .begin(&uid, generation, requests::latest(dataset));
    let made = dataset
        .status
        .as_ref()
        .is_some_and(|status| status.dataset_id.is_some());
    if news && made {
        shared.retries.forget(&uid);
    }
}

fn failed(error: &PlatformError) -> Lookup {
    Lookup::Failed(Failure::from(error))
}

/// Writes how the dataset stands, tells the exports that wait for it, and says when to look again.
async fn settle(
    dataset: &ProfileDataset,
    context: &Context,
    seen: &Seen,
    memory: &Memory,
    situation: &Situation,
) -> Result<Action, PassError> {
    let shared = &context.shared;
    let uid = dataset.uid().unwrap_or_default();
    if *situation == Situation::Leaving {
        shared.retries.forget(&uid);
        return Ok(Action::await_change());
    }
    // What was read before is older than what this pass met.
    if memory.lookup.is_some() {
        shared.readings.expire(&uid);
    }
    let status = report::project(dataset, seen, situation);
    report::announce(dataset, shared, &status, situation).await;
    let written = context.write_status(dataset, status).await?;
    if let Some(note) = report::mended(dataset, &written, situation) {
        let (tone, reason) = (Tone::Normal, Reason::Mended);
        shared
            .events
            .publish(dataset, tone, "Mend", reason, &note)
            .await;
    }
    suspect(dataset, context, &seen.facts);
    Ok(match situation {
        Situation::Available(found, _)
        | Situation::Unsuitable(found, _)
        | Situation::Foreign(found, _) => {
            shared.retries.forget(&uid);
            remember(&written, context, seen, memory, found)
        }
        Situation::Mending(_, _, cause) => retry(&uid, context, &seen.facts, cause),
        Situation::Waiting(cause) => match (cause.reason, &seen.facts.pause) {
            (_, Some(pause)) if pause.until > seen.facts.now => {
                let wait = pause.until.duration_since(seen.facts.now);
                Action::requeue(Duration::try_from(wait).unwrap_or_default())
            }
            (Reason::ConnectionNotFound | Reason::ConnectionNotReady, _)
                if seen.tenant.is_none() =>
            {
                context.look_elsewhere_again()
            }
            _ => retry(&uid, context, &seen.facts, cause),
        },
        Situation::Wrong(cause) => match cause.reason {
            // What they wait for wakes them: the connection, or the labels of the namespace.
            Reason::ConnectionStalled
            | Reason::NamespaceNotAllowed
            | Reason::ClusterConnectionsNotServed
            | Reason::Rejected => Action::await_change(),
            Reason::OwnedByAnother | Reason::OwnedByAnotherCluster => {
                Action::requeue(jittered(shared.settings.refresh))
            }
            _ => Action::requeue(jittered(WRONG_AGAIN)),
        },
        Situation::InDoubt(settle_after) => {
            let wait = settle_after.duration_since(seen.facts.now);
            let wait = Duration::try_from(wait).unwrap_or_default() + Duration::from_secs(1);
            // A dataset that was made shows before the window ends, most often at once.
            let soon = shared.retries.failed(&uid, Some(Duration::from_secs(1)));
            Action::requeue(within(&seen.facts, wait.min(soon)))
        }
        // The store brings the end of those that name the object; no call is made for the others.
        Situation::Held(Users::Exports(_)) => Action::requeue(LEAVING_AGAIN),
        Situation::Held(Users::Jobs(_)) => {
            let wait = shared.retries.failed(&uid, None);
            let wait = wait.clamp(JOBS_AGAIN, LEAVING_AGAIN);
            Action::requeue(within(&seen.facts, wait))
        }
        Situation::Removing(cause) => retry(&uid, context, &seen.facts, cause),
        Situation::Leaving => Action::await_change(),
    })
}

/// When to try again what failed, or had no effect. What would be asked for again in the same words
/// waits, whatever wakes the object.
fn retry(uid: &str, context: &Context, facts: &Facts, cause: &Cause) -> Action {
    let retries = &context.shared.retries;
    let asked = change::asked_to_wait(facts);
    if let (Effort::None, Some(pause)) = (&facts.effort, &facts.pause)
        && pause.until > facts.now
    {
        let left = pause.until.duration_since(facts.now);
        let left = Duration::try_from(left).unwrap_or_default();
        return Action::requeue(within(facts, left));
    }
    let mut wait = retries.failed(uid, None);
    match facts.life {
        Life::Live => {}
        Life::Deleting => wait = wait.min(LEAVING_AGAIN),
    }
    let wait = asked.map_or(wait, |asked| wait.max(asked));
    match facts.effort {
        Effort::Answered | Effort::Failed(_) => {
            retries.asked_to_wait(uid, wait, facts.now, cause.clone());
        }
        Effort::None => {}
    }
    Action::requeue(within(facts, wait))
}

/// A wait, but not beyond the time that a deletion may take.
fn within(facts: &Facts, wait: Duration) -> Duration {
    let left = facts.deadline.map(|deadline| {
        let left = deadline.duration_since(facts.now);
        Duration::try_from(left).unwrap_or_default() + Duration::from_secs(1)
    });
    left.map_or(wait, |left| wait.min(left))
}

/// Keeps what this pass read, and comes back when it is due.
fn remember(
    dataset: &ProfileDataset,
    context: &Context,
    seen: &Seen,
    memory: &Memory,
    found: &Dataset,
) -> Action {
    let readings = &context.shared.readings;
    let uid = dataset.uid().unwrap_or_default();
    let generation = dataset.metadata.generation;
    let stamp = seen.tenant.as_ref().map(|tenant| tenant.stamp.clone());
    let stamp = stamp.unwrap_or_default();
    let kept = readings.get(&uid, generation, &stamp);
    let due = kept.filter(|_| memory.lookup.is_none()).map_or_else(
        || Instant::now() + jittered(context.shared.settings.refresh),
        |kept| kept.due,
    );
    let dataset = found.clone();
    let reading = Reading {
        dataset,
        generation,
        stamp,
        due,
    };
    readings.keep(&uid, reading);
    Action::requeue(due.saturating_duration_since(Instant::now()) + Duration::from_millis(1))
}

/// A call that was refused for its credential has the connection looked at.
fn suspect(dataset: &ProfileDataset, context: &Context, facts: &Facts) {
    let refused = |failure: &Failure| {
        matches!(
            failure.consequence,
            Consequence::Unauthenticated | Consequence::CredentialRejected(_)
        )
    };
    let lookup = match &facts.lookup {
        Lookup::Failed(failure) => refused(failure),
        Lookup::NotYet | Lookup::ById(_) | Lookup::ByTag { .. } => false,
    };
    let effort = match &facts.effort {
        Effort::Failed(failure) => refused(failure),
        Effort::None | Effort::Answered => false,
    };
    let jobs = match &facts.jobs {
        Jobs::Failed(failure) => refused(failure),
        Jobs::NotAsked | Jobs::None | Jobs::Running(_) | Jobs::Unsure(_) => false,
    };
    if lookup || effort || jobs {
        let namespace = dataset.namespace().unwrap_or_default();
        let reference = &dataset.spec.connection_ref;
        context.suspect(&ConnectionKey::named(&namespace, reference));
    }
}
