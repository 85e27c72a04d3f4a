//! Changes of a dataset in the Catalog: mended, taken over, deleted.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use tracing::warn;

use super::{
    super::{Context, PassError, events::Tone, finalizers::Finalize, tenants::Tenant},
    failed,
    observe::{Memory, Seen, owner},
    report,
};
use crate::{
    api::{DATASET_FINALIZER, ProfileDataset, Reason},
    decide::{
        Cause,
        connection::Failure,
        dataset::{Difference, Effort, Facts, Farewell, Jobs, Lookup, Situation, names, take_over},
        export::Quality,
    },
    metrics::LetGo,
    platform::{Consequence, Dataset, DatasetId, JobState, PatchOperation, PlatformError},
};

/// Sets what differs. That it is about to is written first: the write is refused if the object
/// has changed since it was read, so that nothing is set that nobody wants any more.
pub(super) async fn mend(
    dataset: ProfileDataset,
    context: &Context,
    seen: &Seen,
    (found, differences): (Dataset, Vec<Difference>),
    memory: &mut Memory,
) -> Result<ProfileDataset, PassError> {
    let Some(tenant) = &seen.tenant else {
        return Err(PassError::Incomplete("connection"));
    };
    let cause = Cause::new(
        Reason::Mending,
        format!(
            "{} of dataset {} is being set to what the spec says",
            names(&differences),
            found.id
        ),
    );
    let id = found.id.clone();
    let situation = Situation::Mending(found, differences.clone(), cause);
    let status = report::project(&dataset, seen, &situation);
    let dataset = if report::says_mending(&dataset, &status) {
        dataset
    } else {
        context.write_status(&dataset, status).await?
    };
    let operations: Vec<_> = differences.iter().map(Difference::operation).collect();
    change(tenant, &id, &operations, memory).await;
    Ok(dataset)
}

/// Writes this object's tags over those of another.
pub(super) async fn take(
    dataset: &ProfileDataset,
    context: &Context,
    tenant: &Tenant,
    (found, from): (&Dataset, &str),
    memory: &mut Memory,
) -> Result<(), PassError> {
    let operations = take_over(&owner(dataset, &context.shared)?);
    change(tenant, &found.id, &operations, memory).await;
    if memory.effort == Some(Effort::Answered) {
        let note = format!(
            "took dataset {} over from {from}: its tags name this object now",
            found.id
        );
        let events = &context.shared.events;
        events
            .publish(dataset, Tone::Normal, "Adopt", Reason::TakenOver, &note)
            .await;
    }
    Ok(())
}

/// Changes a dataset, and looks at it again.
async fn change(
    tenant: &Tenant,
    id: &DatasetId,
    operations: &[PatchOperation],
    memory: &mut Memory,
) {
    let answer = tenant.platform.patch_dataset(id, operations).await;
    look_after(tenant, id, answer, memory).await;
}

/// Deletes a dataset, and looks whether it is gone.
pub(super) async fn delete(tenant: &Tenant, id: &DatasetId, memory: &mut Memory) {
    let answer = tenant.platform.delete_dataset(id).await;
    look_after(tenant, id, answer, memory).await;
}

async fn look_after(
    tenant: &Tenant,
    id: &DatasetId,
    answer: Result<(), PlatformError>,
    memory: &mut Memory,
) {
    match answer {
        Ok(()) => {
            memory.effort = Some(Effort::Answered);
            look(tenant, id, memory).await;
        }
        Err(error) => {
            memory.effort = Some(Effort::Failed(Failure::from(&error)));
        }
    }
}

/// Gets a dataset by its id.
pub(super) async fn look(tenant: &Tenant, id: &DatasetId, memory: &mut Memory) {
    let found = tenant.platform.dataset(id).await;
    memory.lookup = Some(found.map_or_else(|error| failed(&error), Lookup::ById));
}

/// Asks the platform's list for jobs into a dataset that may run.
pub(super) async fn jobs(
    context: &Context,
    tenant: &Tenant,
    id: &DatasetId,
    since: Timestamp,
) -> Jobs {
    let lists = &context.shared.submissions.lists;
    let reading = match lists.read(&tenant.platform, &tenant.target, since).await {
        Ok(reading) => reading,
        Err(error) => return Jobs::Failed(Failure::from(&error)),
    };
    let running: Vec<_> = reading
        .jobs
        .iter()
        .filter(|job| job.dataset_id.as_ref().is_none_or(|into| into == id))
        .filter(|job| match job.state() {
            JobState::Running | JobState::Unknown => true,
            JobState::Succeeded | JobState::Failed | JobState::Cancelled => false,
        })
        .map(|job| job.id.clone())
        .collect();
    let whole = reading.reaches(since)
        && match reading.quality {
            Quality::Clean | Quality::Undated => true,
            Quality::Flawed => false,
        };
    match (running.is_empty(), whole) {
        (false, _) => Jobs::Running(running),
        (true, true) => Jobs::None,
        (true, false) => Jobs::Unsure(Cause::new(
            Reason::PlatformUnavailable,
            format!(
                "the platform's list of jobs cannot be read back to {since}, so it is not known \
                 whether one runs into dataset {id}"
            ),
        )),
    }
}

/// Takes the finalizer off an object that is being deleted, and says what became of its dataset.
pub(super) async fn release(
    dataset: &ProfileDataset,
    context: &Context,
    facts: &Facts,
    farewell: Farewell,
) -> Result<(), PassError> {
    let shared = &context.shared;
    context
        .set_finalizer(dataset, DATASET_FINALIZER, Finalize::Remove)
        .await?;
    shared.retries.forget(&dataset.uid().unwrap_or_default());
    let (tone, Cause { reason, message }) = match farewell {
        Farewell::Quiet => return Ok(()),
        Farewell::Deleted(id) => {
            let note = format!("dataset {id} and its data are deleted, as deletionPolicy says");
            (Tone::Normal, Cause::new(Reason::DatasetDeleted, note))
        }
        Farewell::Kept(cause) => (Tone::Warning, cause),
        Farewell::Left(left, cause) => {
            let reason = cause.reason.as_str();
            warn!(reason, message = cause.message, "let go of a dataset");
            let left = LetGo {
                kind: "ProfileDataset",
                namespace: dataset.namespace().unwrap_or_default(),
                name: dataset.name_any(),
                left,
                reason,
            };
            shared.metrics.let_go(&left, facts.now);
            (Tone::Warning, cause)
        }
    };
    shared
        .events
        .publish(dataset, tone, "Release", reason, &message)
        .await;
    Ok(())
}

/// How long the platform asks to wait, by what failed in this pass.
pub(super) fn asked_to_wait(facts: &Facts) -> Option<Duration> {
    let asked = |failure: &Failure| match failure.consequence {
        Consequence::Throttled { retry_after } => retry_after,
        Consequence::Retry
        | Consequence::Unauthenticated
        | Consequence::CredentialRejected(_)
        | Consequence::Forbidden
        | Consequence::NotFound
        | Consequence::Rejected
        | Consequence::Redirected
        | Consequence::NotSent
        | Consequence::InDoubt
        | Consequence::Refused(_)
        | Consequence::Misconfigured { setting: _ } => None,
    };
    match (&facts.effort, &facts.jobs, &facts.lookup) {
        (Effort::Failed(failure), _, _)
        | (_, Jobs::Failed(failure), _)
        | (_, _, Lookup::Failed(failure)) => asked(failure),
        (Effort::None | Effort::Answered, _, _) => None,
    }
}
