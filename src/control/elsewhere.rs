//! What objects name that is there, but in another shard.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, ResourceExt,
    api::ListParams,
    core::{Expression, Selector},
    runtime::reflector::ObjectRef,
};
use tokio::time::Instant;

use super::{
    Context, Kind, PassError, Shared, Within,
    dependencies::{
        begun, into, is_begun, is_clean_up_due, is_ended, recorded_connection, wished_by,
    },
    holds::Held,
    kind::{name_in, reference},
    tenants::ConnectionKey,
};
use crate::{
    api::{
        ClusterPlatformConnection, ExportJob, PlatformConnection, ProfileDataset, Reason, Target,
    },
    decide::{Cause, Need, tenancy::Whose},
    platform::DatasetId,
};

/// How long a look is believed. Nobody tells when what is there changes, but for its coming into
/// this shard, which its watch brings.
const BELIEVED: Duration = Duration::from_secs(30);

/// What was found of objects that the stores do not have.
#[derive(Default)]
pub struct Elsewhere {
    found: Mutex<HashMap<Name, Found>>,
}

/// Kind, namespace if it has one, and name.
type Name = (&'static str, Option<String>, String);

struct Found {
    at: Instant,
    /// What its labels lack to be of this shard; none: it is not there.
    unmet: Option<Selector>,
}

impl Elsewhere {
    fn is_fresh(&self, name: &Name) -> bool {
        let found = self.found();
        found
            .get(name)
            .is_some_and(|found| found.at.elapsed() < BELIEVED)
    }

    fn keep(&self, name: Name, unmet: Option<Selector>) {
        let mut found = self.found();
        found.retain(|_, found| found.at.elapsed() < 2 * BELIEVED);
        let at = Instant::now();
        found.insert(name, Found { at, unmet });
    }

    fn unmet(&self, name: &Name) -> Option<Selector> {
        self.found().get(name)?.unmet.clone()
    }

    /// An object has left this shard, or is gone: which of the two is looked at anew.
    pub fn forget<K: Kind>(&self, object: &K) {
        self.found()
            .remove(&(K::KIND, object.namespace(), object.name_any()));
    }

    fn found(&self) -> MutexGuard<'_, HashMap<Name, Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// Whether a pass may go on with an object: it is there, of this shard, and no other operator's,
    /// as far as is known by now. Its own writes may tell so before the watch does.
    pub(super) fn serves<K: Kind>(&self, object: &K) -> bool {
        let there = K::store(&self.stores).get(&ObjectRef::from_obj(object));
        let is_there = there.is_some_and(|there| there.uid() == object.uid());
        is_there && self.shared.reach.serves(object.labels()) && object.whose(self) != Whose::Others
    }

    /// Looks for what an export names and this shard does not have.
    pub(super) async fn look_for_needs_of(&self, export: &ExportJob) -> Result<(), PassError> {
        let Some(namespace) = export.namespace().filter(|_| !is_ended(export)) else {
            return Ok(());
        };
        if let Some(dataset) = into(export).filter(|_| !is_begun(export)) {
            self.look_for::<ProfileDataset>(Some(&namespace), dataset)
                .await?;
        }
        if let Some(connection) = self.connection_of(export) {
            self.look_for_connection(&connection).await?;
        }
        Ok(())
    }

    /// Looks for a connection that this shard does not have.
    pub(super) async fn look_for_connection(&self, key: &ConnectionKey) -> Result<(), PassError> {
        let ConnectionKey { namespace, name } = key;
        match namespace {
            Some(_) => {
                let namespace = namespace.as_deref();
                self.look_for::<PlatformConnection>(namespace, name).await
            }
            None if !self.shared.reach.sees_cluster() => Ok(()),
            None => self.look_for::<ClusterPlatformConnection>(None, name).await,
        }
    }

    /// Looks for an object that this shard does not have: it may be of another one.
    async fn look_for<K: Kind>(
        &self,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<(), PassError> {
        let Shared {
            reach, elsewhere, ..
        } = &*self.shared;
        let object = reference(namespace, name);
        let key = (K::KIND, namespace.map(str::to_owned), name.to_owned());
        let Some(shard) = reach.shard() else {
            return Ok(());
        };
        if K::store(&self.stores).get(&object).is_some() || elsewhere.is_fresh(&key) {
            return Ok(());
        }
        let api = K::Scope::api::<K>(self.client.clone(), namespace);
        let there = api.get_metadata_opt(name).await?;
        let unmet = there.map(|there| shard.unmet(there.labels()));
        // One that is of this shard is on its way.
        let unmet = unmet.filter(|unmet| !unmet.selects_all());
        elsewhere.keep(key, unmet);
        Ok(())
    }

    /// Why a connection cannot be used, if another shard has it.
    pub(super) fn connection_of_another_shard(&self, key: &ConnectionKey) -> Option<Cause> {
        let ConnectionKey { namespace, name } = key;
        match namespace {
            Some(_) => self.of_another_shard::<PlatformConnection>(namespace.as_deref(), name),
            None => self.of_another_shard::<ClusterPlatformConnection>(None, name),
        }
    }

    /// Why something that an object names cannot be used, if another shard has it.
    fn of_another_shard<K: Kind>(&self, namespace: Option<&str>, name: &str) -> Option<Cause> {
        let object = reference(namespace, name);
        if K::store(&self.stores).get(&object).is_some() {
            return None;
        }
        let key = (K::KIND, namespace.map(str::to_owned), name.to_owned());
        let unmet = self.shared.elsewhere.unmet(&key)?;
        let (kind, plural) = (K::KIND, K::plural(&()));
        let remedy = match labels(&unmet) {
            Some(labels) => format!("kubectl label {plural} {name} {labels}"),
            None => "kubectl label".to_owned(),
        };
        let message = format!(
            "{kind} {name} is {}, but of another shard: its labels do not match {unmet}. Give it, \
             and all that uses it, the labels of one shard ({remedy}), or this object those of the \
             other",
            namespace.map_or_else(
                || "there".to_owned(),
                |namespace| format!("in namespace {namespace}")
            ),
        );
        Some(Cause::new(Reason::OtherShard, message))
    }

    /// What to say of something that an object names and the stores do not have.
    pub(super) fn absent<T>(&self, named: &Held) -> Need<T> {
        let elsewhere = match named {
            Held::Connection(key) => self.connection_of_another_shard(key),
            Held::Dataset { namespace, name } => {
                self.of_another_shard::<ProfileDataset>(Some(namespace), name)
            }
        };
        elsewhere.map_or_else(|| named.gone(), Need::Wrong)
    }

    /// What this shard does not have and needs this all the same, by kind and name: what was begun
    /// with it while it was here, and is not finished. Nobody tells when it is.
    pub(super) async fn users_elsewhere(
        &self,
        held: &Held,
        serves: impl Fn(&Target) -> bool + Send + Sync,
    ) -> Result<Vec<String>, PassError> {
        if self.shared.reach.shard().is_none() {
            return Ok(Vec::new());
        }
        let (namespace, fields) = match held {
            Held::Connection(ConnectionKey { namespace, name }) => (
                namespace.as_deref(),
                format!("status.connection.name={name}"),
            ),
            Held::Dataset { namespace, name } => {
                let field = "spec.export.destination.datasetRef.name";
                (Some(namespace.as_str()), format!("{field}={name}"))
            }
        };
        let client = || self.client.clone();
        let exports: Api<ExportJob> = NamespaceResourceScope::api(client(), namespace);
        let params = ListParams::default().fields(&fields);
        let exports = exports.list(&params).await?.items;
        let of_it = |export: &ExportJob| match held {
            Held::Connection(key) => recorded_connection(export).as_ref() == Some(key),
            Held::Dataset { .. } => true,
        };
        let runs = |export: &&ExportJob| {
            of_it(export)
                && begun(export).is_some_and(|submission| serves(&submission.target))
                && !is_ended(export)
        };
        let exports = exports.iter().filter(runs);
        let mut users: Vec<String> = exports.map(|export| self.told(held, export)).collect();
        if let Held::Connection(key) = held {
            let datasets: Api<ProfileDataset> = NamespaceResourceScope::api(client(), namespace);
            let params = ListParams::default();
            let params = params.fields(&format!("spec.connectionRef.name={}", key.name));
            let datasets = datasets.list(&params).await?.items;
            let datasets = datasets.iter().filter(|dataset| {
                is_clean_up_due(dataset) && wished_by(dataset).as_ref() == Some(key)
            });
            users.extend(datasets.map(|dataset| self.told(held, dataset)));
        }
        users.sort();
        Ok(users)
    }

    /// A user, as those are told that the stores have.
    fn told<K: Kind>(&self, held: &Held, user: &K) -> String {
        let name = match held {
            Held::Connection(key) => {
                format!("{} {}", K::KIND, name_in(user, key.namespace.is_none()))
            }
            Held::Dataset { .. } => user.name_any(),
        };
        if self.shared.reach.serves(user.labels()) {
            name
        } else {
            format!("{name} (of another shard)")
        }
    }

    /// The exports that no scope's store shows here and that run into this dataset of the Catalog.
    pub(super) async fn exports_elsewhere_into(
        &self,
        id: &DatasetId,
    ) -> Result<Vec<String>, PassError> {
        if self.shared.reach.is_whole() {
            return Ok(Vec::new());
        }
        let fields = format!("status.datasetId={id}");
        let exports = self.shared.reach.exports(Some(&fields)).await?;
        let runs = exports
            .iter()
            .filter(|export| is_begun(export) && !is_ended(export));
        Ok(runs
            .map(|_| "of another shard or namespace".to_owned())
            .collect())
    }
}

/// The labels that a selector asks for, if labels are all that it asks for.
fn labels(selector: &Selector) -> Option<String> {
    let labels: Option<Vec<String>> = selector
        .clone()
        .into_iter()
        .map(|part| match part {
            Expression::Equal(key, value) => Some(format!("{key}={value}")),
            Expression::In(..)
            | Expression::NotIn(..)
            | Expression::NotEqual(..)
            | Expression::Exists(_)
            | Expression::DoesNotExist(_) => None,
        })
        .collect();
    labels.map(|labels| labels.join(" "))
}
