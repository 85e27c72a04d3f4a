//! Which operator serves an object: the one of its connection's class.
//!
//! Only the connection says the class. What uses it is its operator's, from before the first word
//! in its status to the end; of what names a connection that is not there, the operator without a
//! class says so, and no other. A connection of another shard has its class, too: it is looked up.

use std::time::Duration;

use kube::{ResourceExt, runtime::controller::Action};

use super::{
    Context, Kind, PassError,
    connection::Connection,
    dependencies::{begun, into, is_ended, wished_by},
    jittered,
    tenants::ConnectionKey,
};
use crate::{
    api::{
        ClusterPlatformConnection, Condition, ConditionType, ConnectionStatusRef, ExportJob,
        PlatformConnection, ProfileDataset, Reason, find,
    },
    decide::tenancy::{Named, Whose, whose},
};

/// How soon it is looked again whether another shard has what an object names: to the API server that
/// is one or two requests.
const ELSEWHERE_AGAIN: Duration = Duration::from_mins(5);

impl Context {
    /// Which operator serves a connection.
    pub(super) fn whose_connection<C: Connection>(&self, connection: &C) -> Whose {
        self.told_by(Named::There(connection.terms().controller_class))
    }

    /// Which operator serves a dataset.
    pub(super) fn whose_dataset(&self, dataset: &ProfileDataset) -> Whose {
        let namespace = dataset.namespace().unwrap_or_default();
        let key = ConnectionKey::named(&namespace, &dataset.spec.connection_ref);
        self.served_by(Some(&key), record_of(dataset))
    }

    /// Which operator serves an export. What has ended stays with the one that ended it.
    pub(super) fn whose_export(&self, export: &ExportJob) -> Whose {
        let namespace = export.namespace().unwrap_or_default();
        let status = export.status.as_ref();
        let record = status.and_then(|status| status.connection.as_ref());
        match record {
            Some(record) if is_ended(export) => {
                self.told_by(Named::Recorded(record.controller_class.as_deref()))
            }
            Some(record) if begun(export).is_some() => {
                let key = ConnectionKey::recorded(&namespace, record);
                self.served_by(Some(&key), Some(record))
            }
            Some(_) | None => {
                let key = self.wished_connection_of(export);
                let dataset = self.dataset_of(export);
                let through = dataset.as_deref().and_then(record_of);
                self.served_by(key.as_ref(), record.or(through))
            }
        }
    }

    fn served_by(
        &self,
        connection: Option<&ConnectionKey>,
        record: Option<&ConnectionStatusRef>,
    ) -> Whose {
        let there = connection.and_then(|key| self.class_of(key));
        let named = match (&there, record) {
            (Some(class), _) => Named::There(class.as_deref()),
            (None, Some(record)) => Named::Recorded(record.controller_class.as_deref()),
            (None, None) => self.unseen(),
        };
        self.told_by(named)
    }

    /// A connection that the stores do not have. Where they show all that there is, one with a class
    /// need not look: it has nothing to say of what is not there.
    fn unseen(&self) -> Named<'static> {
        let reach = &self.shared.reach;
        if reach.class().is_some() && reach.shard().is_none() {
            Named::Absent
        } else {
            Named::Unseen
        }
    }

    fn told_by(&self, named: Named) -> Whose {
        whose(self.shared.reach.class(), named)
    }

    /// The class of a connection that is there.
    #[expect(
        clippy::option_option,
        reason = "a connection that is not there, and one without a class"
    )]
    fn class_of(&self, key: &ConnectionKey) -> Option<Option<String>> {
        let found = self.stores.connection(key)?;
        Some(found.terms().controller_class.map(str::to_owned))
    }

    /// Whether a dataset is this operator's, by a look at the API server where the stores do not
    /// tell.
    pub(super) async fn is_dataset_ours(
        &self,
        dataset: &ProfileDataset,
    ) -> Result<bool, PassError> {
        let status = dataset.status.as_ref();
        let said = status.map(|s| (&s.conditions[..], s.observed_generation));
        if let Some(ours) = self.is_known_ours(dataset, said) {
            return Ok(ours);
        }
        let namespace = dataset.namespace().unwrap_or_default();
        let key = ConnectionKey::named(&namespace, &dataset.spec.connection_ref);
        self.is_to_tell_of(&key).await
    }

    /// Whether an export is this operator's, by a look at the API server where the stores do not
    /// tell.
    pub(super) async fn is_export_ours(&self, export: &ExportJob) -> Result<bool, PassError> {
        let status = export.status.as_ref();
        let said = status.map(|s| (&s.conditions[..], s.observed_generation));
        if let Some(ours) = self.is_known_ours(export, said) {
            return Ok(ours);
        }
        let namespace = export.namespace().unwrap_or_default();
        let key = match (self.wished_connection_of(export), into(export)) {
            (Some(key), _) => Some(key),
            (None, Some(dataset)) => {
                let found = self.fetch::<ProfileDataset>(Some(&namespace), dataset);
                match found.await? {
                    // It is on its way to the store, which wakes what names it.
                    Some(found) if self.shared.reach.serves(found.labels()) => return Ok(false),
                    found => found.as_ref().and_then(wished_by),
                }
            }
            (None, None) => None,
        };
        match key {
            Some(key) => self.is_to_tell_of(&key).await,
            None => Ok(self.tells_of_absent()),
        }
    }

    /// Whether an object is this operator's, as far as the stores and its own status tell: its
    /// conditions, and the generation that they are of.
    fn is_known_ours<K: Kind>(
        &self,
        object: &K,
        said: Option<(&[Condition], Option<i64>)>,
    ) -> Option<bool> {
        match object.whose(self) {
            Whose::Ours => Some(true),
            Whose::Others => Some(false),
            Whose::Unknown => self
                .has_told(said, object.meta().generation)
                .then_some(true),
        }
    }

    /// Whether this operator is to tell an object of the connection that it names, which the stores
    /// do not tell to be its own.
    async fn is_to_tell_of(&self, key: &ConnectionKey) -> Result<bool, PassError> {
        // The dataset that names it may be of another shard, and it of this one.
        if let Some(class) = self.class_of(key) {
            return Ok(self.told_by(Named::There(class.as_deref())) == Whose::Ours);
        }
        let ConnectionKey { namespace, name } = key;
        match namespace {
            Some(namespace) => {
                let found = self.fetch::<PlatformConnection>(Some(namespace), name);
                Ok(self.tells_of(found.await?.as_ref()))
            }
            // They cannot be seen here, which is what there is to say.
            None if !self.shared.reach.sees_cluster() => Ok(self.tells_of_absent()),
            None => {
                let found = self.fetch::<ClusterPlatformConnection>(None, name);
                Ok(self.tells_of(found.await?.as_ref()))
            }
        }
    }

    /// Whether this operator tells of a connection that the stores do not have. One that is of this
    /// operator and shard is on its way to the store, which wakes all that use it.
    fn tells_of<C: Connection>(&self, found: Option<&C>) -> bool {
        found.map_or_else(
            || self.tells_of_absent(),
            |found| {
                self.whose_connection(found) == Whose::Ours
                    && !self.shared.reach.serves(found.labels())
            },
        )
    }

    /// Whether this operator tells of what is not there.
    fn tells_of_absent(&self) -> bool {
        self.told_by(Named::Absent) == Whose::Ours
    }

    /// Whether a status of this generation says already that what the object names is not there:
    /// only the operator that tells of it says so.
    fn has_told(
        &self,
        status: Option<(&[Condition], Option<i64>)>,
        generation: Option<i64>,
    ) -> bool {
        let Some((conditions, observed)) = status.filter(|_| self.tells_of_absent()) else {
            return false;
        };
        let told = [
            Reason::ConnectionNotFound,
            Reason::DatasetNotFound,
            Reason::ClusterConnectionsNotServed,
        ];
        let ready = find(conditions, ConditionType::Ready);
        observed == generation
            && ready.is_some_and(|ready| told.iter().any(|told| told.as_str() == ready.reason))
    }

    /// When to look again at an object whose connection is not there, or not this operator's. The
    /// stores bring what changes that, but for what another shard has.
    pub(super) fn look_elsewhere_again(&self) -> Action {
        match self.shared.reach.shard() {
            Some(_) => Action::requeue(jittered(ELSEWHERE_AGAIN)),
            None => Action::await_change(),
        }
    }

    /// A connection is another operator's.
    pub(super) fn leave_connection_alone<C: Connection>(&self, connection: &C) {
        self.forget_connection(&connection.key());
    }

    /// A dataset is another operator's.
    pub(super) fn leave_dataset_alone(&self, dataset: &ProfileDataset) {
        self.forget_dataset(&dataset.uid().unwrap_or_default());
    }

    /// An export is another operator's.
    pub(super) fn leave_export_alone(&self, export: &ExportJob) {
        let uid = export.uid().unwrap_or_default();
        self.forget_export(&uid);
        self.hold_nothing_for(&uid);
    }
}

/// What a dataset has on record of its connection.
fn record_of(dataset: &ProfileDataset) -> Option<&ConnectionStatusRef> {
    dataset.status.as_ref()?.connection.as_ref()
}
