//! What is known of a dataset.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::super::{
    Context, PassError, Shared,
    finalizers::finalizer,
    holds::Held,
    nonce, requests,
    tenants::{ConnectionKey, Tenant},
};
use crate::{
    api::{
        ConditionType, ConnectionRef, DATASET_FINALIZER, DatasetDeletionPolicy, ProfileDataset,
        ProfileDatasetStatus, Reason, SubmissionOutcome, is_true,
    },
    decide::{
        Cause, Finalizer, Life, Need,
        dataset::{Effort, Facts, Jobs, Lookup, Origin, Own, Record, Wanted, Word},
        request::Owner,
    },
    governor::{Lane, Permit},
    platform::DatasetId,
};

/// What a pass holds in memory only.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) lookup: Option<Lookup>,
    pub(super) held: Option<String>,
    /// The turn of its request.
    pub(super) permit: Option<Permit>,
    /// The Catalog rejected the request of the try on record.
    pub(super) rejected: Option<Cause>,
    /// What became of the change that this pass asked for.
    pub(super) effort: Option<Effort>,
    /// What the platform's list of jobs said.
    pub(super) jobs: Option<Jobs>,
}

/// The facts, and the client that effects need.
pub(super) struct Seen {
    pub(super) facts: Facts,
    pub(super) tenant: Option<Tenant>,
}

/// Gathers the facts: no call goes to the platform.
pub(super) async fn observe(
    dataset: &ProfileDataset,
    context: &Context,
    memory: &Memory,
) -> Result<Seen, PassError> {
    let shared = &context.shared;
    let namespace = dataset
        .namespace()
        .ok_or(PassError::Incomplete("namespace"))?;
    let uid = dataset.uid().ok_or(PassError::Incomplete("uid"))?;
    let finalizer = finalizer(dataset, DATASET_FINALIZER);
    let life = match dataset.metadata.deletion_timestamp {
        Some(_) => Life::Deleting,
        None => Life::Live,
    };
    let connection = match life {
        Life::Live => context.connection(&namespace, &dataset.spec.connection_ref),
        Life::Deleting => service(context, &namespace, &dataset.spec.connection_ref),
    };
    let (connection, tenant) = match connection {
        Need::Met(tenant) => (
            Need::Met(tenant.target.clone()),
            Some(tenant.lane(lane(dataset))),
        ),
        Need::Waiting(cause) => (Need::Waiting(cause), None),
        Need::Wrong(cause) => (Need::Wrong(cause), None),
    };
    let record = dataset.status.as_ref().map_or(Record::Fresh, record);
    let users = users(dataset, context, &namespace, &record).await?;
    let lookup = memory.lookup.clone().unwrap_or_else(|| {
        let stamp = tenant.as_ref().map(|tenant| tenant.stamp.as_str());
        remembered(dataset, shared, stamp, &users).unwrap_or(Lookup::NotYet)
    });
    let now = tenant
        .as_ref()
        .map_or_else(Timestamp::now, |tenant| tenant.platform.now());
    let facts = Facts {
        now,
        life,
        finalizer,
        word: if requests::is_abandoned(dataset) {
            Word::Abandon
        } else {
            Word::None
        },
        deadline: match (life, finalizer) {
            (Life::Deleting, Finalizer::Present) => {
                let left = time_left(dataset, context, &namespace).await;
                left.and_then(|left| now.saturating_add(left).ok())
            }
            (Life::Live, _) | (Life::Deleting, Finalizer::Absent) => None,
        },
        wanted: wanted(dataset, shared)?,
        record,
        connection,
        users,
        lookup,
        search: shared.submissions.search(&uid),
        effort: memory.effort.clone().unwrap_or(Effort::None),
        jobs: memory.jobs.clone().unwrap_or(Jobs::NotAsked),
        rejected: memory.rejected.clone(),
        held: memory.held.clone(),
        nonce: nonce(),
        pause: shared.retries.pause(&uid, None),
        windows: shared.settings.limits.windows,
    };
    Ok(Seen { facts, tenant })
}

/// What calls for a dataset are for.
fn lane(dataset: &ProfileDataset) -> Lane {
    let status = dataset.status.as_ref();
    let ready = status.is_some_and(|status| is_true(&status.conditions, ConditionType::Ready));
    match (&dataset.metadata.deletion_timestamp, ready) {
        (Some(_), _) => Lane::Cancel,
        (None, true) => Lane::Drift,
        // Exports wait for it.
        (None, false) => Lane::Prepare,
    }
}

/// The exports that run into a dataset. Before it is deleted those count as well that name it by
/// its id, or through another object.
async fn users(
    dataset: &ProfileDataset,
    context: &Context,
    namespace: &str,
    record: &Record,
) -> Result<Vec<String>, PassError> {
    let leaves = dataset.metadata.deletion_timestamp.is_some();
    let name = dataset.name_any();
    // They are named to those who wait for it to go; else it only counts that there is one.
    let mut users = if leaves {
        context.users_of_dataset(namespace, &name)
    } else {
        let user = context.a_user_of_dataset(namespace, &name);
        user.into_iter().collect()
    };
    let deletes = leaves && dataset.spec.deletion_policy == Some(DatasetDeletionPolicy::Delete);
    match record {
        Record::Known(id, _) if deletes => users.extend(context.exports_into(namespace, id)),
        Record::Known(_, _) | Record::Fresh | Record::Open(_) | Record::Rejected(_) => {}
    }
    // Before it is let go, what this process does not watch counts too.
    if users.is_empty() && finalizer(dataset, DATASET_FINALIZER) == Finalizer::Present {
        let held = Held::dataset(namespace, &name);
        users = context.users_elsewhere(&held, |_| true).await?;
        match record {
            Record::Known(id, _) if deletes => {
                users.extend(context.exports_elsewhere_into(id).await?);
            }
            Record::Known(_, _) | Record::Fresh | Record::Open(_) | Record::Rejected(_) => {}
        }
    }
    users.sort();
    users.dedup();
    Ok(users)
}

/// The object's identity, for tags.
pub(super) fn owner(dataset: &ProfileDataset, shared: &Shared) -> Result<Owner, PassError> {
    let namespace = dataset
        .namespace()
        .ok_or(PassError::Incomplete("namespace"))?;
    let uid = dataset.uid().ok_or(PassError::Incomplete("uid"))?;
    let object = format!("{namespace}/{}", dataset.name_any());
    let path = format!("{}/{object}", shared.cluster);
    Ok(Owner { path, object, uid })
}

fn wanted(dataset: &ProfileDataset, shared: &Shared) -> Result<Wanted, PassError> {
    let spec = &dataset.spec;
    match (&spec.dataset, &spec.dataset_id) {
        (Some(template), _) => Ok(Wanted::Owned(Box::new(Own {
            template: template.clone(),
            owner: owner(dataset, shared)?,
            management: spec.management_policy.unwrap_or_default(),
            deletion: spec.deletion_policy.unwrap_or_default(),
            adoption: spec.adoption_policy,
        }))),
        (None, Some(id)) => Ok(Wanted::Read(DatasetId::new(id))),
        (None, None) => Err(PassError::Incomplete("dataset or datasetId")),
    }
}

fn record(status: &ProfileDatasetStatus) -> Record {
    match (&status.dataset_id, &status.submission) {
        (Some(id), submission) => {
            let origin = match (submission, &status.target) {
                (Some(submission), _) => Origin::Submitted(submission.clone()),
                (None, Some(target)) => Origin::TakenUp(target.clone()),
                (None, None) => Origin::Unrecorded,
            };
            Record::Known(DatasetId::new(id), origin)
        }
        (None, None) => Record::Fresh,
        (None, Some(submission)) => match submission.outcome {
            Some(
                SubmissionOutcome::NotSent
                | SubmissionOutcome::Refused
                | SubmissionOutcome::NotTaken,
            ) => Record::Fresh,
            Some(SubmissionOutcome::Rejected) => Record::Rejected(submission.clone()),
            None | Some(SubmissionOutcome::Posted | SubmissionOutcome::Adopted) => {
                Record::Open(submission.clone())
            }
        },
    }
}

/// What the Catalog said a while ago, where nothing calls for a look at it: the last export into
/// it has just ended, or a person asks.
fn remembered(
    dataset: &ProfileDataset,
    shared: &Shared,
    stamp: Option<&str>,
    users: &[String],
) -> Option<Lookup> {
    let status = dataset.status.as_ref()?;
    let was_used = is_true(&status.conditions, ConditionType::InUse);
    let handled = status.last_handled_reconcile_at.as_deref();
    if dataset.metadata.deletion_timestamp.is_some()
        || (was_used && users.is_empty())
        || requests::requested(dataset, handled).is_some()
    {
        return None;
    }
    let uid = dataset.uid()?;
    let generation = dataset.metadata.generation;
    let reading = shared.readings.get(&uid, generation, stamp?)?;
    Some(Lookup::ById(Some(reading.dataset)))
}

/// A client for what is left to do: it may be one that nothing new may use.
fn service(context: &Context, namespace: &str, connection: &ConnectionRef) -> Need<Tenant> {
    let key = ConnectionKey::named(namespace, connection);
    if let Some(tenant) = context.shared.tenants.get(&key) {
        return Need::Met(tenant.on_behalf_of(namespace));
    }
    if let Some(cause) = context.out_of_reach(&key, namespace) {
        return Need::Waiting(cause);
    }
    let message = match key.namespace {
        Some(_) => format!(
            "{} is not in namespace {namespace}, or was never ready: create it and its Secret again",
            key.title()
        ),
        None => format!(
            "{} is not there, or was never ready: ask who keeps it",
            key.title()
        ),
    };
    Need::waiting(Reason::ConnectionNotFound, message)
}

/// How long a deletion may still take: only a namespace that is being deleted does not wait. When
/// it was asked for is told by the API server's clock, which the platform's may differ from.
async fn time_left(
    dataset: &ProfileDataset,
    context: &Context,
    namespace: &str,
) -> Option<SignedDuration> {
    let shared = &context.shared;
    match shared.namespaces.of(namespace).await.life {
        Life::Live => None,
        Life::Deleting => {
            let asked = dataset.metadata.deletion_timestamp.as_ref()?.0;
            let gone_by = Timestamp::now().duration_since(asked);
            Some(shared.settings.limits.cancel.saturating_sub(gone_by))
        }
    }
}
