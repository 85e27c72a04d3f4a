//! What objects need of each other, from the stores.

use kube::{ResourceExt, runtime::reflector::ObjectRef};

use super::{
    Context,
    tenants::{ConnectionKey, Tenant},
};
use crate::{
    api::{
        Condition, ConditionType, ConnectionRef, ExportJob, ProfileDataset, Reason, find, is_true,
    },
    decide::Need,
    platform::DatasetId,
};

impl Context {
    /// The connection that an object of this namespace names.
    pub(super) fn connection(&self, namespace: &str, reference: &ConnectionRef) -> Need<Tenant> {
        let ConnectionRef { kind: _, name } = reference;
        let object = ObjectRef::new(name).within(namespace);
        let Some(connection) = self.stores.connections.get(&object) else {
            return Need::waiting(
                Reason::ConnectionNotFound,
                format!("PlatformConnection {name} is not in namespace {namespace}: create it"),
            );
        };
        if let Some(tenant) = self
            .shared
            .tenants
            .ready(&ConnectionKey::new(namespace, name))
        {
            return Need::Met(tenant);
        }
        let status = connection.status.as_ref();
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        let current = status.and_then(|s| s.observed_generation) == connection.metadata.generation;
        not_ready(
            ("PlatformConnection", "aepconn", name),
            current.then_some(conditions),
            Reason::ConnectionStalled,
            Reason::ConnectionNotReady,
        )
    }

    /// A call was refused for its credential: the connection looks at it again.
    pub(super) fn suspect(&self, namespace: &str, connection: &str) {
        let key = ConnectionKey::new(namespace, connection);
        self.shared.tenants.suspect(&key);
        let connection = ObjectRef::new(connection).within(namespace);
        self.shared.connections.poke(connection);
    }

    /// The dataset that an export of this namespace names, with its connection.
    pub(super) fn dataset(&self, namespace: &str, name: &str) -> Need<(DatasetId, ConnectionRef)> {
        let object = ObjectRef::new(name).within(namespace);
        let Some(dataset) = self.stores.datasets.get(&object) else {
            return Need::waiting(
                Reason::DatasetNotFound,
                format!("ProfileDataset {name} is not in namespace {namespace}: create it"),
            );
        };
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
    pub(super) fn wake_users_of(&self, connection: &str, namespace: &str) {
        for dataset in self.stores.datasets.state() {
            let uses = dataset.spec.connection_ref.name == connection;
            if uses && dataset.namespace().as_deref() == Some(namespace) {
                self.shared.datasets.poke(ObjectRef::from_obj(&*dataset));
            }
        }
        for export in self.stores.exports.state() {
            if export.namespace().as_deref() == Some(namespace)
                && self.uses_connection(&export, connection)
            {
                self.shared.exports.poke(ObjectRef::from_obj(&*export));
            }
        }
    }

    /// Wakes the exports into a dataset that have not been submitted.
    pub(super) fn wake_exports_into(&self, dataset: &str, namespace: &str) {
        for export in self.stores.exports.state() {
            if export.namespace().as_deref() == Some(namespace)
                && into(&export) == Some(dataset)
                && !is_ended(&export)
            {
                self.shared.exports.poke(ObjectRef::from_obj(&*export));
            }
        }
    }

    /// Whether something begun with this connection is not finished.
    pub(super) fn needs_connection(&self, key: &ConnectionKey) -> bool {
        self.stores.exports.state().iter().any(|export| {
            export.namespace().as_deref() == Some(&key.namespace)
                && recorded_connection(export) == Some(&key.name)
                && is_begun(export)
                && !is_ended(export)
        })
    }

    fn uses_connection(&self, export: &ExportJob, connection: &str) -> bool {
        if is_ended(export) {
            return false;
        }
        let named = export
            .spec
            .connection_ref
            .as_ref()
            .map(|reference| reference.name.as_str());
        let through = || {
            let object =
                ObjectRef::<ProfileDataset>::new(into(export)?).within(&export.namespace()?);
            let dataset = self.stores.datasets.get(&object)?;
            Some(dataset.spec.connection_ref.name == connection)
        };
        named == Some(connection)
            || recorded_connection(export) == Some(connection)
            || through() == Some(true)
    }
}

/// Something that is there and not ready. What it waits for itself is told by its own conditions:
/// told here too, each of its steps would cost a write to everything that waits for it.
fn not_ready<T>(
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

fn into(export: &ExportJob) -> Option<&str> {
    export
        .spec
        .export
        .destination
        .dataset_ref
        .as_ref()
        .map(|reference| reference.name.as_str())
}

fn recorded_connection(export: &ExportJob) -> Option<&str> {
    let connection = export.status.as_ref()?.connection.as_ref()?;
    Some(connection.name.as_str())
}

fn is_begun(export: &ExportJob) -> bool {
    export
        .status
        .as_ref()
        .is_some_and(|status| status.submission.is_some())
}

/// Whether an export ended.
pub(super) fn is_ended(export: &ExportJob) -> bool {
    export
        .status
        .as_ref()
        .is_some_and(|status| status.completion_time.is_some())
}
