//! Which operator serves an object: the one of its connection's class.
//!
//! Only the connection says the class. What uses it is its operator's, from before the first word
//! in its status to the end; of what names a connection that is not there, the operator without a
//! class says so, and no other.

use kube::ResourceExt;

use super::{
    Context, PassError,
    connection::Connection,
    dependencies::{begun, into, is_ended},
    tenants::ConnectionKey,
};
use crate::{
    api::{
        ClusterPlatformConnection, Condition, ConditionType, ConnectionStatusRef, ExportJob,
        PlatformConnection, ProfileDataset, Reason, find,
    },
    decide::tenancy::{Named, Whose, whose},
};

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
            (None, None) => Named::Unknown,
        };
        self.told_by(named)
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
        match self.whose_dataset(dataset) {
            Whose::Ours => Ok(true),
            Whose::Others => Ok(false),
            Whose::Nobodys => {
                let status = dataset.status.as_ref();
                let said = status.map(|s| (&s.conditions[..], s.observed_generation));
                if is_told(said, dataset.metadata.generation) {
                    return Ok(true);
                }
                let namespace = dataset.namespace().unwrap_or_default();
                let key = ConnectionKey::named(&namespace, &dataset.spec.connection_ref);
                self.is_nobodys(&key).await
            }
        }
    }

    /// Whether an export is this operator's, by a look at the API server where the stores do not
    /// tell.
    pub(super) async fn is_export_ours(&self, export: &ExportJob) -> Result<bool, PassError> {
        match self.whose_export(export) {
            Whose::Ours => return Ok(true),
            Whose::Others => return Ok(false),
            Whose::Nobodys => {}
        }
        let status = export.status.as_ref();
        let said = status.map(|s| (&s.conditions[..], s.observed_generation));
        if is_told(said, export.metadata.generation) {
            return Ok(true);
        }
        let namespace = export.namespace().unwrap_or_default();
        let key = match (self.wished_connection_of(export), into(export)) {
            (Some(key), _) => key,
            (None, Some(dataset)) => {
                let found = self
                    .fetch::<ProfileDataset>(Some(&namespace), dataset)
                    .await?;
                match found {
                    Some(found) => ConnectionKey::named(&namespace, &found.spec.connection_ref),
                    None => return Ok(true),
                }
            }
            (None, None) => return Ok(true),
        };
        self.is_nobodys(&key).await
    }

    /// Whether a connection that the stores do not have is not there. One that is, and of this
    /// operator, is on its way to the store, which wakes all that use it; another shard's is told
    /// of.
    async fn is_nobodys(&self, key: &ConnectionKey) -> Result<bool, PassError> {
        let ConnectionKey { namespace, name } = key;
        match namespace {
            Some(namespace) => {
                let found = self.fetch::<PlatformConnection>(Some(namespace), name);
                Ok(found.await?.is_none_or(|found| self.is_elsewhere(&found)))
            }
            // They cannot be seen here, which is what there is to say.
            None if !self.shared.reach.sees_cluster() => Ok(true),
            None => {
                let found = self.fetch::<ClusterPlatformConnection>(None, name);
                Ok(found.await?.is_none_or(|found| self.is_elsewhere(&found)))
            }
        }
    }

    fn is_elsewhere<C: Connection>(&self, connection: &C) -> bool {
        self.whose_connection(connection) == Whose::Ours
            && !self.shared.reach.serves(connection.labels())
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

/// Whether a status of this generation says already that what the object names is not there: only
/// this operator says so.
fn is_told(status: Option<(&[Condition], Option<i64>)>, generation: Option<i64>) -> bool {
    let Some((conditions, observed)) = status else {
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
