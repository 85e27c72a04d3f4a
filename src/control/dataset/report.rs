//! From how a dataset stands to its status and its events: the one place that does it.

use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    super::{Shared, events::Tone, requests, tenants::Tenant},
    observe::Seen,
};
use crate::{
    api::{
        ABANDON_ANNOTATION, ConditionType, DatasetSubmission, Desired, Drift, LastBatch,
        ManagementPolicy, ObservedSchemaRef, ProfileDataset, ProfileDatasetStatus, Reason,
        SubmissionEvidence, SubmissionOutcome, Target, Tristate, cut, find, is_true, merge,
    },
    decide::{
        Cause, Life,
        dataset::{Difference, Situation, Users, names, owner_of, passes},
    },
    platform::Dataset,
};

/// How many differences are shown.
const SHOWN: usize = 10;
/// The longest value of a difference, in bytes.
const VALUE_LIMIT: usize = 128;
/// The longest field of a difference, name and owner of a dataset, in bytes.
const NAME_LIMIT: usize = 512;
/// How many users are named.
const NAMED: usize = 5;

pub(super) fn intended(
    dataset: &ProfileDataset,
    tenant: &Tenant,
    submission: DatasetSubmission,
) -> ProfileDatasetStatus {
    let mut status = dataset.status.clone().unwrap_or_default();
    status.submission = Some(submission);
    status.connection = Some(tenant.status_ref());
    let cause = Cause::new(Reason::Creating, "the dataset is being created");
    with_conditions(
        dataset,
        status,
        not_ready(ConditionType::Reconciling, &cause),
    )
}

pub(super) fn adopted(
    dataset: &ProfileDataset,
    found: &Dataset,
    target: &Target,
) -> ProfileDatasetStatus {
    let mut status = dataset.status.clone().unwrap_or_default();
    status.dataset_id = Some(found.id.to_string());
    match &mut status.submission {
        Some(submission) if submission.outcome.is_none() => {
            submission.outcome = Some(SubmissionOutcome::Adopted);
            submission.evidence = Some(SubmissionEvidence::Tag);
        }
        // What was not taken made nothing: what is there is of an earlier object.
        Some(_) | None => {
            status.submission = None;
            status.target = Some(target.clone());
        }
    }
    status
}

pub(super) fn not_ready(abnormal: ConditionType, cause: &Cause) -> Vec<Desired> {
    vec![
        desired(ConditionType::Ready, Tristate::False, cause),
        desired(abnormal, Tristate::True, cause),
    ]
}

fn desired(type_: ConditionType, status: Tristate, cause: &Cause) -> Desired {
    let Cause { reason, message } = cause.clone();
    Desired {
        type_,
        status,
        reason,
        message,
    }
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
    seen: &Seen,
    situation: &Situation,
) -> ProfileDatasetStatus {
    let mut status = dataset.status.clone().unwrap_or_default();
    if let Some(request) = requests::latest(dataset) {
        status.last_handled_reconcile_at = Some(request);
    }
    if let (Some(tenant), Life::Live) = (&seen.tenant, seen.facts.life) {
        status.connection = Some(tenant.status_ref());
    }
    let conditions = match situation {
        Situation::Available(found, drift) => {
            show(&mut status, found, dataset.spec.dataset.is_some());
            status.drift = drift.iter().take(SHOWN).map(shown).collect();
            available(dataset, found, drift)
        }
        Situation::Mending(found, drift, cause) => {
            show(&mut status, found, true);
            status.drift = drift.iter().take(SHOWN).map(shown).collect();
            abnormal(cause)
        }
        Situation::Unsuitable(found, cause) => {
            show(&mut status, found, dataset.spec.dataset.is_some());
            status.drift.clear();
            not_ready(ConditionType::Stalled, cause)
        }
        Situation::Foreign(found, cause) => {
            show(&mut status, found, false);
            status.drift.clear();
            not_ready(ConditionType::Stalled, cause)
        }
        Situation::Waiting(cause) => waiting(dataset, &status, cause),
        // What the Catalog said stands in the status since.
        Situation::Wrong(cause) if cause.reason == Reason::Rejected => {
            let told = find(&status.conditions, ConditionType::Stalled)
                .filter(|stalled| stalled.reason == Reason::Rejected.as_str())
                .map(|stalled| stalled.message.clone());
            let cause = Cause::new(cause.reason, told.unwrap_or_else(|| cause.message.clone()));
            not_ready(ConditionType::Stalled, &cause)
        }
        Situation::Wrong(cause) => {
            status.drift.clear();
            not_ready(ConditionType::Stalled, cause)
        }
        Situation::InDoubt(settle_after) => {
            let then = match seen.facts.life {
                Life::Live => "not created again",
                Life::Deleting => "its object kept for it to be deleted",
            };
            let cause = Cause::new(
                Reason::SubmissionInDoubt,
                format!(
                    "the Catalog may or may not have taken the request; the dataset is looked for \
                     by its tag, and {then} before {settle_after}"
                ),
            );
            not_ready(ConditionType::Reconciling, &cause)
        }
        Situation::Held(users) => held(dataset, users),
        Situation::Removing(cause) => {
            let message = format!("{}; {}", cause.message, remedy(dataset));
            abnormal(&Cause::new(cause.reason, message))
        }
        Situation::Leaving => return status,
    };
    let in_use = (seen.facts.life, seen.facts.users.is_empty()) == (Life::Live, false);
    let in_use = in_use.then(|| {
        // Who they are would cost a write for each of them.
        let cause = Cause::new(Reason::InUse, "ExportJobs run into the dataset");
        desired(ConditionType::InUse, Tristate::True, &cause)
    });
    with_conditions(
        dataset,
        status,
        conditions.into_iter().chain(in_use).collect(),
    )
}

fn ready(message: String) -> Desired {
    let cause = Cause::new(Reason::Available, message);
    desired(ConditionType::Ready, Tristate::True, &cause)
}

fn available(
    dataset: &ProfileDataset,
    found: &Dataset,
    differences: &[Difference],
) -> Vec<Desired> {
    let mut message = "the dataset is there and profile exports can write to it".to_owned();
    if let (None, Some(owner)) = (&dataset.spec.dataset, owner_of(found)) {
        message.push_str("; its tag says that it belongs to ");
        message.push_str(cut(owner, NAME_LIMIT));
        message.push_str(" (cluster/namespace/name)");
    }
    let mut conditions = vec![ready(message)];
    if !differences.is_empty() {
        let message = format!(
            "the Catalog has something else for {}: see status.drift. To have it mended, remove \
             managementPolicy: Observe",
            names(differences)
        );
        let cause = Cause::new(Reason::Drifted, message);
        conditions.push(desired(ConditionType::Drifted, Tristate::True, &cause));
    }
    conditions
}

/// Something passing takes nothing back that was true.
fn waiting(dataset: &ProfileDataset, status: &ProfileDatasetStatus, cause: &Cause) -> Vec<Desired> {
    let current = status.observed_generation == dataset.metadata.generation;
    let was_ready = find(&status.conditions, ConditionType::Ready)
        .filter(|ready| current && ready.status == "True");
    match (was_ready, cause.reason) {
        (Some(was), Reason::PlatformUnavailable | Reason::PlatformThrottled) => {
            let mut conditions = vec![
                ready(was.message.clone()),
                desired(ConditionType::Reconciling, Tristate::True, cause),
            ];
            let drifted = find(&status.conditions, ConditionType::Drifted)
                .filter(|_| dataset.spec.management_policy == Some(ManagementPolicy::Observe));
            if let Some(drifted) = drifted {
                let cause = Cause::new(Reason::Drifted, drifted.message.clone());
                conditions.push(desired(ConditionType::Drifted, Tristate::True, &cause));
            }
            conditions
        }
        _ => not_ready(ConditionType::Reconciling, cause),
    }
}

fn abnormal(cause: &Cause) -> Vec<Desired> {
    let type_ = if passes(cause.reason) {
        ConditionType::Reconciling
    } else {
        ConditionType::Stalled
    };
    not_ready(type_, cause)
}

fn held(dataset: &ProfileDataset, users: &Users) -> Vec<Desired> {
    let who = match users {
        Users::Exports(names) => listed("ExportJob", names),
        Users::Jobs(ids) => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            listed("export job", &ids)
        }
    };
    let of = match users {
        Users::Exports(_) => "",
        Users::Jobs(_) => " of the platform that no ExportJob here knows",
    };
    let in_use = Cause::new(Reason::InUse, format!("into the dataset run {who}{of}"));
    let waits = Cause::new(
        Reason::WaitingForUsers,
        format!(
            "the object is being deleted and waits for the end of {who}{of}; {}",
            remedy(dataset)
        ),
    );
    let mut conditions = not_ready(ConditionType::Reconciling, &waits);
    conditions.push(desired(ConditionType::InUse, Tristate::True, &in_use));
    conditions
}

/// The first few of several, and how many there are.
fn listed(what: &str, names: &[String]) -> String {
    match names {
        [name] => format!("{what} {name}"),
        _ if names.len() <= NAMED => format!("{what}s {}", names.join(", ")),
        _ => format!(
            "{what}s {} and {} more",
            names[..NAMED].join(", "),
            names.len() - NAMED
        ),
    }
}

/// What a person does who does not want to wait.
fn remedy(dataset: &ProfileDataset) -> String {
    format!(
        "to let it go at once and leave the dataset as it is: kubectl annotate profiledataset -n \
         {} {} --overwrite {ABANDON_ANNOTATION}={}",
        dataset.namespace().unwrap_or_default(),
        dataset.name_any(),
        dataset.uid().unwrap_or_default()
    )
}

fn show(status: &mut ProfileDatasetStatus, found: &Dataset, owned: bool) {
    let name = |name: &String| cut(name, NAME_LIMIT).to_owned();
    status.dataset_id = Some(found.id.to_string());
    status.name = found.name.as_ref().map(name);
    status.owned = Some(owned);
    status.owner = owner_of(found).map(|owner| cut(owner, NAME_LIMIT).to_owned());
    status.schema_ref = found.schema_id.clone().map(|id| ObservedSchemaRef {
        id,
        content_type: found.schema_content_type.clone(),
    });
    status.last_batch = found.last_batch_id.as_ref().map(|id| LastBatch {
        id: id.to_string(),
        status: found.last_batch_status.clone(),
    });
}

fn shown(difference: &Difference) -> Drift {
    let Difference {
        field,
        wanted,
        found,
    } = difference;
    let value = |values: &Vec<String>| cut(&values.join(", "), VALUE_LIMIT).to_owned();
    Drift {
        field: cut(&field.name(), NAME_LIMIT).to_owned(),
        wanted: value(wanted),
        found: found.as_ref().map(value),
    }
}

/// What was mended, in words, if something was: what was to be is in the status that was written
/// before it.
pub(super) fn mended(
    dataset: &ProfileDataset,
    written: &ProfileDataset,
    situation: &Situation,
) -> Option<String> {
    let before = dataset.status.as_ref()?;
    let after = written.status.as_ref()?;
    let is_mended = matches!(situation, Situation::Available(_, _))
        && is_true(&before.conditions, ConditionType::Reconciling)
        && !is_true(&before.conditions, ConditionType::Ready)
        && before.observed_generation == after.observed_generation
        && !before.drift.is_empty()
        && after.drift.is_empty();
    let each = before.drift.iter().map(|drift| {
        let Drift {
            field,
            wanted,
            found,
        } = drift;
        match found {
            Some(found) => format!("{field} from {found:?} to {wanted:?}"),
            None => format!("{field} to {wanted:?}"),
        }
    });
    let each: Vec<String> = each.collect();
    is_mended.then(|| format!("set in the Catalog: {}", each.join(", ")))
}

/// Whether a status says that this is being mended already.
pub(super) fn says_mending(dataset: &ProfileDataset, status: &ProfileDatasetStatus) -> bool {
    dataset.status.as_ref().is_some_and(|before| {
        before.drift == status.drift
            && before.observed_generation == dataset.metadata.generation
            && !is_true(&before.conditions, ConditionType::Ready)
    })
}

/// An event when something is wrong that was not wrong before.
pub(super) async fn announce(
    dataset: &ProfileDataset,
    shared: &Shared,
    status: &ProfileDatasetStatus,
    situation: &Situation,
) {
    let before = dataset.status.as_ref();
    let before = before.map_or(&[][..], |status| &status.conditions);
    let was = |type_| find(before, type_).map(|condition| condition.reason.as_str());
    let (type_, tone) = match situation {
        Situation::Available(_, _) => (ConditionType::Drifted, Tone::Warning),
        Situation::Mending(_, _, _) | Situation::Removing(_) => {
            (ConditionType::Reconciling, Tone::Warning)
        }
        Situation::Held(_) => (ConditionType::Reconciling, Tone::Normal),
        Situation::Unsuitable(_, _)
        | Situation::Foreign(_, _)
        | Situation::Wrong(_)
        | Situation::Waiting(_)
        | Situation::InDoubt(_)
        | Situation::Leaving => (ConditionType::Stalled, Tone::Warning),
    };
    let stalled = find(&status.conditions, ConditionType::Stalled);
    let now = stalled.or_else(|| find(&status.conditions, type_));
    let Some(now) = now else { return };
    let type_ = match stalled {
        Some(_) => ConditionType::Stalled,
        None => type_,
    };
    // A rejected request has its own event, with the platform's words, and what is mended has its
    // own when it is.
    let told = [Reason::Rejected, Reason::Mending].map(Reason::as_str);
    if was(type_) == Some(now.reason.as_str()) || told.contains(&now.reason.as_str()) {
        return;
    }
    if let Some(reason) = Reason::parse(&now.reason) {
        shared
            .events
            .publish(dataset, tone, "Observe", reason, &now.message)
            .await;
    }
}

#[cfg(test)]
mod tests;
