//! Whether an object may use the connection that it names, from the stores.

use super::{
    Context,
    connection::Found,
    dependencies::{being_deleted, not_ready},
    holds::Held,
    tenants::{ConnectionKey, Tenant},
};
use crate::{
    api::{ConditionType, ConnectionKind, ConnectionRef, Reason, is_true},
    decide::{Cause, Need, tenancy::admission},
};

impl Context {
    /// The connection that an object of this namespace names.
    pub(super) fn connection(&self, namespace: &str, reference: &ConnectionRef) -> Need<Tenant> {
        let key = ConnectionKey::named(namespace, reference);
        if let Some(cause) = self.not_served(&key, namespace) {
            return Need::Wrong(cause);
        }
        let Some(connection) = self.stores.connection(&key) else {
            return self.absent(&Held::Connection(key));
        };
        // Before anything else: who may not use it learns nothing of how it stands.
        if let Found::OfCluster(connection) = &connection {
            let selector = connection.spec.namespace_selector.as_ref();
            let labels = self.shared.labels.of(namespace);
            match admission(selector, labels.as_ref(), (&key.name, namespace)) {
                Need::Met(()) => {}
                Need::Waiting(cause) => return Need::Waiting(cause),
                Need::Wrong(cause) => return Need::Wrong(cause),
            }
        }
        match self.usable(&connection, &key) {
            Need::Met(tenant) => Need::Met(tenant.on_behalf_of(namespace)),
            other => other,
        }
    }

    /// A connection that is there.
    fn usable(&self, connection: &Found, key: &ConnectionKey) -> Need<Tenant> {
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

    /// Why a connection is out of reach for this operator, whether it is there or not: it sees none
    /// of the cluster, or another shard has it.
    pub(super) fn out_of_reach(&self, key: &ConnectionKey, namespace: &str) -> Option<Cause> {
        let cause = self.not_served(key, namespace);
        cause.or_else(|| self.connection_of_another_shard(key))
    }

    /// Why a connection of the cluster is none that this operator serves, if it sees none at all.
    fn not_served(&self, key: &ConnectionKey, namespace: &str) -> Option<Cause> {
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
        let connection = self.stores.connection(key);
        let status = connection.as_ref().and_then(Found::status);
        let was_ready = status.is_some_and(|s| is_true(&s.conditions, ConditionType::Ready));
        was_ready && self.shared.tenants.get(key).is_none()
    }
}
