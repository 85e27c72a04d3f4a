//! Whether an object may use the connection that it names, from the stores.

use kube::runtime::reflector::ObjectRef;

use super::{
    Context,
    connection::Connection,
    dependencies::{being_deleted, not_ready},
    tenants::{ConnectionKey, Tenant},
};
use crate::{
    api::{
        ClusterPlatformConnection, ConditionType, ConnectionKind, ConnectionRef,
        PlatformConnection, Reason, is_true,
    },
    decide::{Cause, Need, tenancy::admission},
};

impl Context {
    /// The connection that an object of this namespace names.
    pub(super) fn connection(&self, namespace: &str, reference: &ConnectionRef) -> Need<Tenant> {
        let key = ConnectionKey::named(namespace, reference);
        let ConnectionKey {
            namespace: of,
            name,
        } = &key;
        match of {
            Some(_) => match self
                .stores
                .connections
                .get(&ObjectRef::new(name).within(namespace))
            {
                Some(connection) => self.usable(&*connection, &key),
                None => self.absent::<PlatformConnection, _>(Reason::ConnectionNotFound, &key),
            },
            None => {
                if let Some(cause) = self.not_served(&key, namespace) {
                    return Need::Wrong(cause);
                }
                let Some(connection) = self.stores.cluster_connections.get(&ObjectRef::new(name))
                else {
                    let reason = Reason::ConnectionNotFound;
                    return self.absent::<ClusterPlatformConnection, _>(reason, &key);
                };
                // Before anything else: who may not use it learns nothing of how it stands.
                let selector = connection.spec.namespace_selector.as_ref();
                let labels = self.shared.labels.of(namespace);
                match admission(selector, labels.as_ref(), (name, namespace)) {
                    Need::Met(()) => {}
                    Need::Waiting(cause) => return Need::Waiting(cause),
                    Need::Wrong(cause) => return Need::Wrong(cause),
                }
                match self.usable(&*connection, &key) {
                    Need::Met(tenant) => Need::Met(tenant.on_behalf_of(namespace)),
                    other => other,
                }
            }
        }
    }

    /// A connection that is there.
    fn usable<C: Connection>(&self, connection: &C, key: &ConnectionKey) -> Need<Tenant> {
        if connection.meta().deletion_timestamp.is_some() {
            return being_deleted(Reason::ConnectionNotReady, &key.title());
        }
        if let Some(tenant) = self.shared.tenants.ready(key) {
            return Need::Met(tenant);
        }
        let status = connection.status();
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        let current = status.and_then(|s| s.observed_generation) == connection.meta().generation;
        let need = not_ready(
            (key.kind().as_str(), key.kind().short(), &key.name),
            current.then_some(conditions),
            Reason::ConnectionStalled,
            Reason::ConnectionNotReady,
        );
        match (key.kind(), need) {
            // Why it is, names its Secret and may name others who use it.
            (ConnectionKind::ClusterPlatformConnection, Need::Wrong(cause)) => Need::wrong(
                cause.reason,
                format!(
                    "{} is stalled: ask who keeps it (its own conditions tell why)",
                    key.title()
                ),
            ),
            (_, need) => need,
        }
    }

    /// Why a connection of the cluster is none that this operator serves, if it sees none at all.
    pub(super) fn not_served(&self, key: &ConnectionKey, namespace: &str) -> Option<Cause> {
        if key.namespace.is_some() || self.shared.reach.sees_cluster() {
            return None;
        }
        Some(Cause::new(
            Reason::ClusterConnectionsNotServed,
            format!(
                "{} is not served here: this operator runs with --watch-namespaces, and sees no \
                 objects of the cluster. Use a PlatformConnection of namespace {namespace}, or have \
                 the operator run without that flag",
                key.title()
            ),
        ))
    }

    /// Whether this process has yet to look at a connection that was ready before it was started.
    /// Nothing is known to have changed until then, and what its users say of themselves stands:
    /// they are woken when it was looked at.
    pub(super) fn is_yet_to_be_seen(&self, key: &ConnectionKey) -> bool {
        fn was_ready<C: Connection>(connection: &C) -> bool {
            let status = connection.status();
            status.is_some_and(|s| is_true(&s.conditions, ConditionType::Ready))
        }
        let ConnectionKey { namespace, name } = key;
        let was_ready = match namespace {
            Some(namespace) => {
                let object = ObjectRef::new(name).within(namespace);
                let found = self.stores.connections.get(&object);
                found.is_some_and(|connection| was_ready(&*connection))
            }
            None => {
                let found = self.stores.cluster_connections.get(&ObjectRef::new(name));
                found.is_some_and(|connection| was_ready(&*connection))
            }
        };
        was_ready && self.shared.tenants.get(key).is_none()
    }
}
