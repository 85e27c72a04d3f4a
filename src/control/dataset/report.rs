//! From how a dataset stands to its status and its events: the one place that does it.

use jiff::Timestamp;

use super::super::{Shared, events::Tone, tenants::Tenant};
use crate::{
    api::{
        ConditionType, DatasetSubmission, Desired, LastBatch, ObservedSchemaRef, ProfileDataset,
        ProfileDatasetStatus, Reason, SubmissionEvidence, SubmissionOutcome, Tristate, find,
        is_true, merge,
    },
    decide::{Cause, dataset::Situation},
    platform::Dataset,
};

pub(super) fn intended(
    dataset: &ProfileDataset,
    tenant: &Tenant,
    submission: DatasetSubmission,
) -> ProfileDatasetStatus {
    let mut status = dataset.status.clone().unwrap_or_default();
    status.submission = Some(submission);
    status.connection = Some(tenant.status_ref(&dataset.spec.connection_ref.name));
    let cause = Cause::new(Reason::Creating, "the dataset is being created");
    with_conditions(
        dataset,
        status,
        not_ready(ConditionType::Reconciling, &cause),
    )
}

pub(super) fn adopted(dataset: &ProfileDataset, found: &Dataset) -> ProfileDatasetStatus {
    let mut status = dataset.status.clone().unwrap_or_default();
    status.dataset_id = Some(found.id.to_string());
    if let Some(submission) = &mut status.submission {
        submission.outcome = Some(SubmissionOutcome::Adopted);
        submission.evidence = Some(SubmissionEvidence::Tag);
    }
    status
}

pub(super) fn not_ready(abnormal: ConditionType, cause: &Cause) -> Vec<Desired> {
    let desired = |type_, status| Desired {
        type_,
        status,
        reason: cause.reason,
        message: cause.message.clone(),
    };
    vec![
        desired(ConditionType::Ready, Tristate::False),
        desired(abnormal, Tristate::True),
    ]
}

pub(super) fn with_conditions(
    dataset: &ProfileDataset,
    mut status: ProfileDatasetStatus,
    desired: Vec<Desired>,
) -> ProfileDatasetStatus {
    let generation = dataset.metadata.generation;
    status.observed_generation = generation;
    status.conditions = merge(&status.conditions, desired, generation, Timestamp::now());
    status
}

/// The status of a dataset that stands so.
pub(super) fn project(
    dataset: &ProfileDataset,
    tenant: Option<&Tenant>,
    situation: &Situation,
) -> ProfileDatasetStatus {
    let mut status = dataset.status.clone().unwrap_or_default();
    if let Some(tenant) = tenant {
        status.connection = Some(tenant.status_ref(&dataset.spec.connection_ref.name));
    }
    let was_ready = is_true(&status.conditions, ConditionType::Ready)
        && status.observed_generation == dataset.metadata.generation;
    let ready = Desired {
        type_: ConditionType::Ready,
        status: Tristate::True,
        reason: Reason::Available,
        message: "the dataset is there and profile exports can write to it".into(),
    };
    let desired = match situation {
        Situation::Available(found) => {
            show(&mut status, dataset, found);
            vec![ready]
        }
        Situation::Unsuitable(found, cause) => {
            show(&mut status, dataset, found);
            not_ready(ConditionType::Stalled, cause)
        }
        // Something passing takes nothing back that was true.
        Situation::Waiting(cause)
            if was_ready
                && matches!(
                    cause.reason,
                    Reason::PlatformUnavailable | Reason::PlatformThrottled
                ) =>
        {
            let reconciling = Desired {
                type_: ConditionType::Reconciling,
                status: Tristate::True,
                reason: cause.reason,
                message: cause.message.clone(),
            };
            vec![ready, reconciling]
        }
        Situation::Waiting(cause) => not_ready(ConditionType::Reconciling, cause),
        // What the Catalog said stands in the status since.
        Situation::Wrong(cause) if cause.reason == Reason::Rejected => {
            let told = find(&status.conditions, ConditionType::Stalled)
                .filter(|stalled| stalled.reason == Reason::Rejected.as_str())
                .map(|stalled| stalled.message.clone());
            let cause = Cause::new(cause.reason, told.unwrap_or_else(|| cause.message.clone()));
            not_ready(ConditionType::Stalled, &cause)
        }
        Situation::Wrong(cause) => not_ready(ConditionType::Stalled, cause),
        Situation::InDoubt(settle_after) => {
            let cause = Cause::new(
                Reason::SubmissionInDoubt,
                format!(
                    "the Catalog may or may not have taken the request; the dataset is looked for \
                     by its tag, and not created again before {settle_after}"
                ),
            );
            not_ready(ConditionType::Reconciling, &cause)
        }
        Situation::Leaving => return status,
    };
    with_conditions(dataset, status, desired)
}

fn show(status: &mut ProfileDatasetStatus, dataset: &ProfileDataset, found: &Dataset) {
    status.dataset_id = Some(found.id.to_string());
    status.name.clone_from(&found.name);
    status.owned = Some(dataset.spec.dataset.is_some());
    status.schema_ref = found.schema_id.clone().map(|id| ObservedSchemaRef {
        id,
        content_type: found.schema_content_type.clone(),
    });
    status.last_batch = found.last_batch_id.as_ref().map(|id| LastBatch {
        id: id.to_string(),
        status: found.last_batch_status.clone(),
    });
}

/// An event when something is wrong that was not wrong before.
pub(super) async fn announce(
    dataset: &ProfileDataset,
    shared: &Shared,
    status: &ProfileDatasetStatus,
) {
    let stalled = |conditions: &[_]| {
        find(conditions, ConditionType::Stalled).map(|stalled| stalled.reason.clone())
    };
    let before = dataset
        .status
        .as_ref()
        .and_then(|status| stalled(&status.conditions));
    let Some(now) = find(&status.conditions, ConditionType::Stalled) else {
        return;
    };
    // A rejected request has its own event, with the platform's words.
    let told = now.reason == Reason::Rejected.as_str();
    if before.as_ref() != Some(&now.reason)
        && !told
        && let Some(reason) = Reason::parse(&now.reason)
    {
        shared
            .events
            .publish(dataset, Tone::Warning, "Observe", reason, &now.message)
            .await;
    }
}
