//! What objects need of each other, from the stores.

use std::{collections::HashSet, sync::Arc};

use kube::{ResourceExt, runtime::reflector::ObjectRef};

use super::{Context, finalizers::finalizer, holds::Held, kind::name_in, tenants::ConnectionKey};
use crate::{
    api::{
        Condition, ConditionType, ConnectionKind, ConnectionRef, DATASET_FINALIZER,
        DatasetDeletionPolicy, ExportJob, ProfileDataset, Reason, Submission, SubmissionOutcome,
        Target, find, is_true,
    },
    decide::{Finalizer, Need},
    platform::DatasetId,
};

impl Context {
    /// A call was refused for its credential: the connection looks at it again.
    pub(super) fn suspect(&self, connection: &ConnectionKey) {
        self.shared.tenants.suspect(connection);
        self.shared.connections.poke(connection);
    }

    /// The dataset that an export of this namespace names, with its connection.
    pub(super) fn dataset(&self, namespace: &str, name: &str) -> Need<(DatasetId, ConnectionRef)> {
        let object = ObjectRef::new(name).within(namespace);
        let Some(dataset) = self.stores.datasets.get(&object) else {
            return self.absent(&Held::dataset(namespace, name));
        };
        if dataset.metadata.deletion_timestamp.is_some() {
            return being_deleted(Reason::DatasetNotReady, &format!("ProfileDataset {name}"));
        }
        let status = dataset.status.as_ref();
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        let current = status.and_then(|s| s.observed_generation) == dataset.metadata.generation;
        let id = status.and_then(|status| status.dataset_id.as_deref());
        match id {
            Some(id) if current && is_true(conditions, ConditionType::Ready) => {
                Need::Met((DatasetId::new(id), dataset.spec.connection_ref.clone()))
            }
            Some(_) | None => not_ready(
                ("ProfileDataset", "aepds", name),
                current.then_some(conditions),
                Reason::DatasetStalled,
                Reason::DatasetNotReady,
            ),
        }
    }

    /// Wakes the datasets and exports that use a connection.
    pub(super) fn wake_users_of(&self, key: &ConnectionKey) {
        for dataset in self.stores.datasets.state() {
            if wished_by(&dataset).as_ref() == Some(key) {
                self.shared.datasets.poke(ObjectRef::from_obj(&*dataset));
            }
        }
        for export in self.stores.exports.state() {
            if self.uses_connection(&export, key) {
                self.shared.exports.poke(ObjectRef::from_obj(&*export));
            }
        }
    }

    /// Wakes what uses connections of the cluster in a namespace whose labels are others by now.
    pub(super) fn wake_sharers_in(&self, namespace: &str) {
        let is_of_cluster = |key: Option<ConnectionKey>| {
            key.is_some_and(|key| key.kind() == ConnectionKind::ClusterPlatformConnection)
        };
        for dataset in self.stores.datasets.state() {
            let is_here = dataset.metadata.namespace.as_deref() == Some(namespace);
            if is_here && is_of_cluster(wished_by(&dataset)) {
                self.shared.datasets.poke(ObjectRef::from_obj(&*dataset));
            }
        }
        for export in self.stores.exports.state() {
            let is_here = export.metadata.namespace.as_deref() == Some(namespace);
            if is_here && !is_ended(&export) && is_of_cluster(self.wished_connection_of(&export)) {
                self.shared.exports.poke(ObjectRef::from_obj(&*export));
            }
        }
    }

    /// The exports that were begun with a connection and have not ended, by UID.
    pub(super) fn running_with(&self, key: &ConnectionKey) -> Vec<String> {
        let runs = |export: &ExportJob| {
            is_recorded_with(export, key) && begun(export).is_some() && !is_ended(export)
        };
        let running = self.stores.exports.state_filter(runs);
        running.iter().filter_map(|export| export.uid()).collect()
    }

    /// Wakes the exports into a dataset that have no job yet.
    pub(super) fn wake_exports_into(&self, dataset: &str, namespace: &str) {
        let waits = |export: &ExportJob| {
            let status = export.status.as_ref();
            export.metadata.namespace.as_deref() == Some(namespace)
                && into(export) == Some(dataset)
                && !is_ended(export)
                && status.is_none_or(|status| status.job_id.is_none())
        };
        for export in self.stores.exports.state_filter(waits) {
            self.shared.exports.poke(ObjectRef::from_obj(&*export));
        }
    }

    /// Wakes the dataset of an export that has begun, has ended or is gone, if that is news to it.
    pub(super) fn wake_dataset_of(&self, export: &ExportJob) {
        let (Some(name), Some(namespace)) = (into(export), export.namespace()) else {
            return;
        };
        let Some(dataset) = self
            .stores
            .datasets
            .get(&ObjectRef::new(name).within(&namespace))
        else {
            return;
        };
        let status = dataset.status.as_ref();
        let shows = status.is_some_and(|status| is_true(&status.conditions, ConditionType::InUse));
        let held = finalizer(&*dataset, DATASET_FINALIZER) == Finalizer::Present;
        let runs = is_begun(export) && !is_ended(export);
        // Most often nothing is new, and the exports need not be counted.
        let news = match (runs, shows || held) {
            (true, _) => !(shows && held),
            (false, true) => {
                let held = Held::dataset(&namespace, name);
                let uid = export.uid().unwrap_or_default();
                !self.shared.holds.is_held_beside(&held, &uid)
                    && !self.needs_dataset(&namespace, name)
            }
            (false, false) => false,
        };
        let leaves = dataset.metadata.deletion_timestamp.is_some();
        if news || (leaves && held) {
            self.shared.datasets.poke(ObjectRef::from_obj(&*dataset));
        }
    }

    /// Wakes the connection of a dataset that changed or is gone, if it is held, or shall be.
    pub(super) fn wake_connection_of(&self, dataset: &ProfileDataset) {
        let Some(key) = wished_by(dataset) else {
            return;
        };
        let Some(finalizer) = self.shown(&Held::Connection(key.clone())) else {
            return;
        };
        if finalizer == Finalizer::Present || is_clean_up_due(dataset) {
            self.shared.connections.poke(&key);
        }
    }

    /// Whether something begun with a connection of this name is not finished.
    pub(super) fn needs_connection(&self, key: &ConnectionKey) -> bool {
        let held = Held::Connection(key.clone());
        let any = self.any_user(key.namespace.as_deref(), &held, |export, _| {
            is_recorded_with(export, key)
        });
        any.is_some() || !self.datasets_to_clean_up(key, |_| true).is_empty()
    }

    /// Whether an export runs into this dataset, or is about to.
    pub(super) fn needs_dataset(&self, namespace: &str, name: &str) -> bool {
        self.a_user_of_dataset(namespace, name).is_some()
    }

    /// What was begun with this connection, or is about to, and is not finished, by kind and
    /// name: exports that have not ended, and datasets that are to be deleted with their objects.
    /// One that was begun with a connection of the same name to elsewhere has no use for this one.
    pub(super) fn users_of_connection(
        &self,
        key: &ConnectionKey,
        serves: impl Fn(&Target) -> bool,
    ) -> Vec<String> {
        let held = Held::Connection(key.clone());
        let exports = self.users(key.namespace.as_deref(), &held, |export, submission| {
            is_recorded_with(export, key) && serves(&submission.target)
        });
        let exports = exports.iter().map(|name| format!("ExportJob {name}"));
        let datasets = self.datasets_to_clean_up(key, &serves);
        let datasets = datasets.iter().map(|name| format!("ProfileDataset {name}"));
        exports.chain(datasets).collect()
    }

    /// The datasets of this connection that are to be deleted with their objects: by name.
    fn datasets_to_clean_up(
        &self,
        key: &ConnectionKey,
        serves: impl Fn(&Target) -> bool,
    ) -> Vec<String> {
        let mut names: Vec<String> = self
            .stores
            .datasets
            .state()
            .iter()
            .filter(|dataset| is_clean_up_due(dataset) && is_made(dataset, &serves))
            .filter(|dataset| wished_by(dataset).as_ref() == Some(key))
            .map(|dataset| name_in(&**dataset, key.namespace.is_none()))
            .collect();
        names.sort();
        names
    }

    /// The exports that run into this dataset, or are about to: by name.
    pub(super) fn users_of_dataset(&self, namespace: &str, name: &str) -> Vec<String> {
        let held = Held::dataset(namespace, name);
        self.users(Some(namespace), &held, |export, _| {
            into(export) == Some(name)
        })
    }

    /// One of the exports that run into this dataset, or are about to: its name. Where there are
    /// very many, all of them are not worth the walk.
    pub(super) fn a_user_of_dataset(&self, namespace: &str, name: &str) -> Option<String> {
        let held = Held::dataset(namespace, name);
        self.any_user(Some(namespace), &held, |export, _| {
            into(export) == Some(name)
        })
    }

    /// The exports that run into this dataset of the Catalog by whatever way, or may: by name, but
    /// for those of other namespaces, whose names are nobody's business here.
    pub(super) fn exports_into(&self, namespace: &str, id: &DatasetId) -> Vec<String> {
        let runs = |export: &ExportJob| {
            let submission = export.status.as_ref()?.submission.as_ref()?;
            let into = submission.target.dataset_id.as_deref()?;
            Some(into == id.as_str() && !is_ended(export))
        };
        let mut names: Vec<String> = self
            .stores
            .exports
            .state_filter(|export| runs(export) == Some(true))
            .iter()
            .map(|export| {
                if export.metadata.namespace.as_deref() == Some(namespace) {
                    export.name_any()
                } else {
                    "of another namespace".to_owned()
                }
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The users in a namespace, by name; without one in all, with their namespaces.
    fn users(
        &self,
        namespace: Option<&str>,
        held: &Held,
        uses: impl Fn(&ExportJob, &Submission) -> bool,
    ) -> Vec<String> {
        let exports = &self.stores.exports;
        let found = self.shared.holds.with(held, |holders| {
            exports.state_filter(|export| is_user(export, namespace, holders, &uses))
        });
        let names = found
            .iter()
            .map(|export| name_in(&**export, namespace.is_none()));
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn any_user(
        &self,
        namespace: Option<&str>,
        held: &Held,
        uses: impl Fn(&ExportJob, &Submission) -> bool,
    ) -> Option<String> {
        let exports = &self.stores.exports;
        let found = self.shared.holds.with(held, |holders| {
            exports.find(|export| is_user(export, namespace, holders, &uses))
        });
        found.map(|export| export.name_any())
    }

    fn uses_connection(&self, export: &ExportJob, key: &ConnectionKey) -> bool {
        if is_ended(export) {
            return false;
        }
        is_recorded_with(export, key) || self.wished_connection_of(export).as_ref() == Some(key)
    }

    /// The connection that an export was begun with, or will be.
    pub(super) fn connection_of(&self, export: &ExportJob) -> Option<ConnectionKey> {
        recorded_connection(export).or_else(|| self.wished_connection_of(export))
    }

    /// The connection that an export names, or its dataset.
    pub(super) fn wished_connection_of(&self, export: &ExportJob) -> Option<ConnectionKey> {
        match &export.spec.connection_ref {
            Some(reference) => {
                let namespace = export.metadata.namespace.as_deref()?;
                Some(ConnectionKey::named(namespace, reference))
            }
            None => wished_by(&*self.dataset_of(export)?),
        }
    }

    /// The `ProfileDataset` that an export names, if it is there.
    pub(super) fn dataset_of(&self, export: &ExportJob) -> Option<Arc<ProfileDataset>> {
        let namespace = export.metadata.namespace.as_deref()?;
        let object = ObjectRef::new(into(export)?).within(namespace);
        self.stores.datasets.get(&object)
    }
}

/// Whether an export of this namespace, or of any, has not ended and uses something: by what it has
/// begun, or, before that, since it is among these holders.
fn is_user(
    export: &ExportJob,
    namespace: Option<&str>,
    holders: &HashSet<String>,
    uses: impl Fn(&ExportJob, &Submission) -> bool,
) -> bool {
    let holds = || {
        let uid = export.metadata.uid.as_ref();
        uid.is_some_and(|uid| holders.contains(uid))
    };
    let is_here = namespace.is_none() || export.metadata.namespace.as_deref() == namespace;
    is_here
        && !is_ended(export)
        && match begun(export) {
            Some(submission) => uses(export, submission),
            None => holds(),
        }
}

/// Something that is there and not ready. What it waits for itself is told by its own conditions:
/// told here too, each of its steps would cost a write to everything that waits for it.
pub(super) fn not_ready<T>(
    (kind, short, name): (&str, &str, &str),
    conditions: Option<&[Condition]>,
    stalled: Reason,
    waiting: Reason,
) -> Need<T> {
    match find(conditions.unwrap_or_default(), ConditionType::Stalled) {
        Some(why) => Need::wrong(
            stalled,
            format!("{kind} {name} is stalled: {}", why.message),
        ),
        None => Need::waiting(
            waiting,
            format!("{kind} {name} is not ready yet (kubectl describe {short} {name} tells why)"),
        ),
    }
}

/// Something that an object names and that is not there.
pub(super) fn not_there<T>(
    reason: Reason,
    kind: &str,
    name: &str,
    namespace: Option<&str>,
) -> Need<T> {
    let message = match namespace {
        Some(namespace) => format!("{kind} {name} is not in namespace {namespace}: create it"),
        None => format!("{kind} {name} is not in this cluster: ask who keeps it to create it"),
    };
    Need::waiting(reason, message)
}

/// Something that waits for what uses it, and takes nothing new.
pub(super) fn being_deleted<T>(reason: Reason, title: &str) -> Need<T> {
    let message = format!("{title} is being deleted: create it again once it is gone");
    Need::waiting(reason, message)
}

/// Whether a dataset is to be deleted with its object.
pub(super) fn is_clean_up_due(dataset: &ProfileDataset) -> bool {
    dataset.spec.deletion_policy == Some(DatasetDeletionPolicy::Delete)
        && finalizer(dataset, DATASET_FINALIZER) == Finalizer::Present
}

/// Whether a dataset was made, or may have been, where a connection serves it.
fn is_made(dataset: &ProfileDataset, serves: impl Fn(&Target) -> bool) -> bool {
    let Some(status) = &dataset.status else {
        return false;
    };
    let submitted = status.submission.as_ref();
    let target = submitted.map(|submission| &submission.target);
    match status.target.as_ref().or(target) {
        Some(target) => serves(target),
        None => status.dataset_id.is_some(),
    }
}

/// The `ProfileDataset` that an export names.
pub(super) fn into(export: &ExportJob) -> Option<&str> {
    export
        .spec
        .export
        .destination
        .dataset_ref
        .as_ref()
        .map(|reference| reference.name.as_str())
}

/// The connection that a dataset names.
pub(super) fn wished_by(dataset: &ProfileDataset) -> Option<ConnectionKey> {
    let namespace = dataset.metadata.namespace.as_deref()?;
    Some(ConnectionKey::named(
        namespace,
        &dataset.spec.connection_ref,
    ))
}

/// The connection that an export was begun with.
pub(super) fn recorded_connection(export: &ExportJob) -> Option<ConnectionKey> {
    let record = export.status.as_ref()?.connection.as_ref()?;
    let namespace = export.metadata.namespace.as_deref()?;
    Some(ConnectionKey::recorded(namespace, record))
}

/// Whether an export was begun with this connection. (Asked of all exports: it makes no key.)
fn is_recorded_with(export: &ExportJob, key: &ConnectionKey) -> bool {
    let status = export.status.as_ref();
    let record = status.and_then(|status| status.connection.as_ref());
    record.is_some_and(|record| record.name == key.name)
        && recorded_connection(export).as_ref() == Some(key)
}

/// Whether something of an export may run in the platform, or may have yet to be settled there:
/// that goes on with the connection that it was begun with. A request that was provably not taken
/// is nothing begun, and neither is the wait for a next attempt.
pub(super) fn is_begun(export: &ExportJob) -> bool {
    begun(export).is_some()
}

/// The submission on record, if something of it is begun.
pub(super) fn begun(export: &ExportJob) -> Option<&Submission> {
    let status = export.status.as_ref()?;
    let submission = status.submission.as_ref()?;
    let may_run = status.job_id.is_some()
        || match submission.outcome {
            Some(
                SubmissionOutcome::NotSent
                | SubmissionOutcome::Refused
                | SubmissionOutcome::NotTaken,
            ) => false,
            None
            | Some(
                SubmissionOutcome::Posted
                | SubmissionOutcome::Adopted
                | SubmissionOutcome::Rejected,
            ) => true,
        };
    may_run.then_some(submission)
}

/// Whether an export ended.
pub(super) fn is_ended(export: &ExportJob) -> bool {
    export
        .status
        .as_ref()
        .is_some_and(|status| status.completion_time.is_some())
}
