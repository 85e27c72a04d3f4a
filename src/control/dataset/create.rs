//! What a request to create a dataset came to, and datasets that are taken up.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::Value;

use super::{
    super::{Context, PassError, events::Tone, tenants::Tenant},
    failed,
    observe::{Memory, owner},
    report,
};
use crate::{
    api::{
        ConditionType, DatasetSubmission, OBJECT_TAG, OWNER_TAG, ProfileDataset,
        ProfileDatasetStatus, Reason, SubmissionEvidence, SubmissionOutcome,
    },
    decide::{
        Cause,
        connection::Failure,
        creation::{Posted, posted},
        dataset::{Lookup, Namesakes},
    },
    governor::Permit,
    platform::{Dataset, DatasetId, Fence, PlatformError},
};

/// What a request to create came to.
pub(super) enum CameTo {
    /// As status; and when to try again if it was not taken.
    Recorded(Box<ProfileDatasetStatus>, Option<Duration>),
    /// The Catalog rejected it; nothing is recorded before a look at what is there.
    Rejected(Cause),
}

/// Sends the request to create, at most once.
pub(super) async fn post(
    dataset: &ProfileDataset,
    context: &Context,
    tenant: &Tenant,
    submission: DatasetSubmission,
    body: &Value,
    permit: Permit,
) -> CameTo {
    let clock = tenant.platform.clock().clone();
    let fence = Fence::until(submission.send_before, clock)
        .closed_by(context.shared.shutdown.clone())
        .only_while(context.shared.leadership.check());
    let result = tenant.platform.create_dataset(body, &fence, permit).await;
    let now = tenant.platform.now();
    came_to(dataset, context, submission, result, now).await
}

/// What a request to create came to.
async fn came_to(
    dataset: &ProfileDataset,
    context: &Context,
    submission: DatasetSubmission,
    result: Result<DatasetId, PlatformError>,
    now: Timestamp,
) -> CameTo {
    let shared = &context.shared;
    let uid = dataset.uid().unwrap_or_default();
    let mut status = dataset.status.clone().unwrap_or_default();
    let settled = |outcome, evidence| {
        Some(DatasetSubmission {
            outcome: Some(outcome),
            evidence: Some(evidence),
            ..submission.clone()
        })
    };
    let retry_after = result.as_ref().err().and_then(PlatformError::retry_after);
    let (cause, abnormal, wait) = match posted(result.map_err(|error| Failure::from(&error))) {
        Posted::Taken(id) => {
            shared.retries.forget(&uid);
            status.submission = settled(SubmissionOutcome::Posted, SubmissionEvidence::Reply);
            status.dataset_id = Some(id.to_string());
            let note = format!("created dataset {id}");
            let (tone, reason) = (Tone::Normal, Reason::Available);
            shared
                .events
                .publish(dataset, tone, "Create", reason, &note)
                .await;
            return CameTo::Recorded(Box::new(status), None);
        }
        Posted::NotTaken {
            cause,
            outcome,
            evidence,
            retry_after,
        } => {
            status.submission = settled(outcome, evidence);
            let wait = shared
                .retries
                .not_taken(&uid, retry_after, now, cause.clone());
            (cause, ConditionType::Reconciling, Some(wait))
        }
        Posted::Rejected(cause) => return CameTo::Rejected(cause),
        Posted::InDoubt(cause) => {
            if let Some(wait) = retry_after {
                shared.retries.asked_to_wait(&uid, wait, now, cause.clone());
            }
            status.submission = Some(submission);
            (cause, ConditionType::Reconciling, None)
        }
    };
    shared
        .events
        .publish(
            dataset,
            Tone::Warning,
            "Create",
            cause.reason,
            &cause.message,
        )
        .await;
    let desired = report::not_ready(abnormal, &cause);
    let status = report::with_conditions(dataset, status, desired);
    CameTo::Recorded(Box::new(status), wait)
}

/// Records that the Catalog rejected a submission, with its words.
pub(super) async fn reject(
    dataset: &ProfileDataset,
    context: &Context,
    submission: DatasetSubmission,
    cause: &Cause,
) -> Result<ProfileDataset, PassError> {
    let (tone, reason) = (Tone::Warning, cause.reason);
    let events = &context.shared.events;
    events
        .publish(dataset, tone, "Create", reason, &cause.message)
        .await;
    let mut status = dataset.status.clone().unwrap_or_default();
    status.submission = Some(submission);
    let desired = report::not_ready(ConditionType::Stalled, cause);
    let status = report::with_conditions(dataset, status, desired);
    context.write_status(dataset, status).await
}

/// Records that a dataset is this object's.
pub(super) async fn adopt(
    dataset: &ProfileDataset,
    context: &Context,
    tenant: &Tenant,
    found: &Dataset,
    others: &[DatasetId],
) -> Result<ProfileDataset, PassError> {
    let note = format!(
        "dataset {} carries this object's tag: it is taken up{}",
        found.id,
        also(others)
    );
    context
        .shared
        .events
        .publish(dataset, Tone::Normal, "Adopt", Reason::Available, &note)
        .await;
    let status = report::adopted(dataset, found, &tenant.target);
    context.write_status(dataset, status).await
}

/// Tells of other datasets of the same request, and that they were looked for.
pub(super) async fn tell(
    dataset: &ProfileDataset,
    context: &Context,
    id: &DatasetId,
    others: &[DatasetId],
) {
    let shared = &context.shared;
    let uid = dataset.uid().unwrap_or_default();
    shared.submissions.searched(&uid);
    if others.is_empty() {
        return;
    }
    let note = format!(
        "the Catalog made more than one dataset of this object's request: {id} is used{}",
        also(others)
    );
    shared
        .events
        .publish(
            dataset,
            Tone::Warning,
            "Observe",
            Reason::SurplusDataset,
            &note,
        )
        .await;
}

/// The others of several datasets with one tag, in words.
fn also(others: &[DatasetId]) -> String {
    if others.is_empty() {
        return String::new();
    }
    let named: Vec<&str> = others.iter().take(10).map(DatasetId::as_str).collect();
    format!(
        "; there are others with the same tag, which are left as they are: {}",
        named.join(", ")
    )
}

/// Asks for the datasets with our identity tag.
pub(super) async fn find_by_tag(
    dataset: &ProfileDataset,
    context: &Context,
    tenant: &Tenant,
    memory: &mut Memory,
) -> Result<(), PassError> {
    let began = tenant.platform.now();
    let path = owner(dataset, &context.shared)?.path;
    let hits = tenant
        .platform
        .datasets_by_tags(&[(OWNER_TAG, &path)])
        .await;
    memory.lookup = Some(match hits {
        Ok(hits) => Lookup::ByTag {
            began,
            hits,
            namesakes: Namesakes::NotAsked,
        },
        Err(error) => failed(&error),
    });
    Ok(())
}

/// Asks for the datasets of objects of our namespace and name, in whatever cluster.
pub(super) async fn find_namesakes(
    dataset: &ProfileDataset,
    context: &Context,
    tenant: &Tenant,
    memory: &mut Memory,
) -> Result<(), PassError> {
    let object = owner(dataset, &context.shared)?.object;
    let found = tenant
        .platform
        .datasets_by_tags(&[(OBJECT_TAG, &object)])
        .await;
    memory.lookup = Some(match (found, memory.lookup.take()) {
        (
            Ok(found),
            Some(Lookup::ByTag {
                began,
                hits,
                namesakes: _,
            }),
        ) => Lookup::ByTag {
            began,
            hits,
            namesakes: Namesakes::Found(found),
        },
        (Ok(_), Some(Lookup::NotYet | Lookup::ById(_) | Lookup::Failed(_)) | None) => {
            Lookup::NotYet
        }
        (Err(error), _) => failed(&error),
    });
    Ok(())
}
