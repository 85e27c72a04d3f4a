//! Who needs a connection or a dataset, from before the first request until the end.
//!
//! The stores show it as well, once the intent is in them. What is about to be submitted is known
//! here only: without it the finalizer of what it needs would be taken off again.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{ResourceExt, api::ObjectMeta, runtime::reflector::ObjectRef};

use super::{
    Context, Kind, PassError,
    dependencies::{being_deleted, into, is_begun, not_there, recorded_connection},
    finalizers::{Finalize, finalizer, finalizer_in},
    tenants::ConnectionKey,
    written::version,
};
use crate::{
    api::{CONNECTION_FINALIZER, DATASET_FINALIZER, ExportJob, Reason},
    decide::{Finalizer, Life, Need},
};

/// What the API server answers who puts a finalizer on an object that is being deleted: 422
/// Unprocessable Entity.
const UNPROCESSABLE: u16 = 422;

/// What an export needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    /// A connection of either kind.
    Connection(ConnectionKey),
    /// A `ProfileDataset`.
    Dataset {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// Who needs what, by the UIDs of exports.
#[derive(Default)]
pub struct Holds {
    holders: Mutex<HashMap<Held, HashSet<String>>>,
    marks: Mutex<HashMap<Held, Arc<tokio::sync::Mutex<Mark>>>>,
}

/// What this process last made of the finalizer of something that exports need: its watch may not
/// have shown it yet. Whoever puts the finalizer on or takes it off has the mark to itself, so
/// that of many exports that begin at once one puts it on, and none begins while it is taken off.
#[derive(Default)]
struct Mark {
    last: Option<Made>,
}

struct Made {
    uid: String,
    version: u64,
    finalizer: Finalizer,
}

impl Mark {
    fn made<K: Kind>(&mut self, object: &K, finalizer: Finalizer) {
        self.last = object.uid().map(|uid| Made {
            uid,
            version: version(object),
            finalizer,
        });
    }

    /// Whether the finalizer is on an object that a watch has shown.
    fn on<K: Kind>(&self, object: &K, name: &str) -> Finalizer {
        match &self.last {
            Some(made) if object.uid().as_ref() == Some(&made.uid) => {
                if made.version > version(object) {
                    made.finalizer
                } else {
                    finalizer(object, name)
                }
            }
            Some(_) | None => finalizer(object, name),
        }
    }
}

impl Holds {
    /// An export needs something from now on.
    pub fn hold(&self, held: Held, uid: &str) {
        let mut holders = self.holders();
        holders.entry(held).or_default().insert(uid.to_owned());
    }

    /// An export has ended, or is gone. Gives what nobody else holds.
    pub fn release(&self, uid: &str) -> Vec<Held> {
        let mut free = Vec::new();
        self.holders().retain(|held, holders| {
            if holders.remove(uid) && holders.is_empty() {
                free.push(held.clone());
            }
            !holders.is_empty()
        });
        free
    }

    /// Everything was listed anew, and these are there: nobody else holds anything.
    pub fn only(&self, uids: &HashSet<String>) {
        self.holders().retain(|_, holders| {
            holders.retain(|uid| uids.contains(uid));
            !holders.is_empty()
        });
    }

    /// Looks at the UIDs of those that hold something.
    pub fn with<T>(&self, held: &Held, look: impl FnOnce(&HashSet<String>) -> T) -> T {
        let holders = self.holders();
        match holders.get(held) {
            Some(holders) => look(holders),
            None => look(&HashSet::new()),
        }
    }

    /// Whether an export other than this one holds something.
    #[must_use]
    pub fn is_held_beside(&self, held: &Held, uid: &str) -> bool {
        let holders = self.holders();
        let holders = holders.get(held).into_iter().flatten();
        holders.into_iter().any(|holder| holder != uid)
    }

    /// Something that exports needed is gone.
    pub fn forget(&self, held: &Held) {
        self.marks().remove(held);
    }

    /// Everything was listed anew: an API server that was restored from a backup goes on from an
    /// older version.
    pub fn relisted(&self) {
        self.marks().clear();
    }

    fn mark(&self, held: &Held) -> Arc<tokio::sync::Mutex<Mark>> {
        Arc::clone(self.marks().entry(held.clone()).or_default())
    }

    fn marks(&self) -> MutexGuard<'_, HashMap<Held, Arc<tokio::sync::Mutex<Mark>>>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much is held, and how many finalizers are kept in mind.
    pub fn kept(&self) -> usize {
        self.holders().len() + self.marks().len()
    }

    fn holders(&self) -> MutexGuard<'_, HashMap<Held, HashSet<String>>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// Holds what an export needs before it begins: from here on neither the connection nor the
    /// dataset goes before the export has let go. What goes already, or is gone, it waits for.
    pub(super) async fn hold_for(
        &self,
        export: &ExportJob,
        uid: &str,
        connection: &ConnectionKey,
    ) -> Result<Need<()>, PassError> {
        let namespace = export
            .namespace()
            .ok_or(PassError::Incomplete("namespace"))?;
        let connection = Held::Connection(connection.clone());
        self.shared.holds.hold(connection.clone(), uid);
        let mut held = self.keep(&connection).await?;
        if let (Need::Met(()), Some(name)) = (&held, into(export)) {
            let name = name.to_owned();
            let dataset = Held::Dataset { namespace, name };
            self.shared.holds.hold(dataset.clone(), uid);
            held = self.keep(&dataset).await?;
        }
        match held {
            Need::Met(()) => {}
            Need::Waiting(_) | Need::Wrong(_) => self.hold_nothing_for(uid),
        }
        Ok(held)
    }

    /// An export does not begin after all: what nobody else holds is looked at again.
    pub(super) fn hold_nothing_for(&self, uid: &str) {
        for held in self.shared.holds.release(uid) {
            self.look_at(&held);
        }
    }

    /// An export has ended, or is gone: what it needed is looked at again.
    pub(super) fn let_go_of(&self, export: &ExportJob) {
        let uid = export.uid().unwrap_or_default();
        self.hold_nothing_for(&uid);
        // What was begun before this process was, is in no list of holders. While others hold it,
        // one that stays has nothing to learn; one that goes tells who is left.
        let Some(key) = recorded_connection(export) else {
            return;
        };
        let held = Held::Connection(key);
        let Some((Finalizer::Present, life)) = self.standing(&held) else {
            return;
        };
        if life == Life::Deleting || !self.shared.holds.is_held_beside(&held, &uid) {
            self.look_at(&held);
        }
    }

    /// An export that a watch brought as begun needs what it was begun with: a finalizer that
    /// somebody took off is put on again. (Its dataset is told by who wakes that.)
    pub(super) fn holds_on_to(&self, export: &ExportJob) {
        if is_begun(export)
            && let Some(held) = recorded_connection(export).map(Held::Connection)
            && self.shown(&held) == Some(Finalizer::Absent)
        {
            self.look_at(&held);
        }
    }

    /// Puts the finalizer on what is held, unless it is there. Of what goes already, or is gone,
    /// gives the reason to wait.
    pub(super) async fn keep(&self, held: &Held) -> Result<Need<()>, PassError> {
        match held {
            Held::Connection(ConnectionKey { namespace, name }) => match namespace {
                Some(namespace) => {
                    let object = ObjectRef::new(name).within(namespace);
                    let find = || self.stores.connections.get(&object);
                    self.put_on(held, find, CONNECTION_FINALIZER).await
                }
                None => {
                    let object = ObjectRef::new(name);
                    let find = || self.stores.cluster_connections.get(&object);
                    self.put_on(held, find, CONNECTION_FINALIZER).await
                }
            },
            Held::Dataset { namespace, name } => {
                let object = ObjectRef::new(name).within(namespace);
                let find = || self.stores.datasets.get(&object);
                self.put_on(held, find, DATASET_FINALIZER).await
            }
        }
    }

    async fn put_on<K: Kind>(
        &self,
        held: &Held,
        find: impl Fn() -> Option<Arc<K>> + Send,
        name: &str,
    ) -> Result<Need<()>, PassError> {
        let mark = self.shared.holds.mark(held);
        let mut mark = mark.lock().await;
        let Some(object) = find() else {
            return Ok(held.gone());
        };
        if object.meta().deletion_timestamp.is_some() {
            return Ok(held.going());
        }
        if mark.on(&*object, name) == Finalizer::Present {
            return Ok(Need::Met(()));
        }
        let added = match self.set_finalizer(&*object, name, Finalize::Add).await {
            Err(PassError::Kubernetes(kube::Error::Api(status))) if status.is_conflict() => {
                // The watch is behind: were each of many exports to wait for it, each would meet
                // the same.
                let api = self.api(&*object)?;
                match api.get_opt(&object.name_any()).await? {
                    None => return Ok(held.gone()),
                    Some(newer) if newer.meta().deletion_timestamp.is_some() => {
                        return Ok(held.going());
                    }
                    // Another object of this name, maybe for elsewhere: the next pass looks.
                    Some(newer) if newer.uid() != object.uid() => {
                        return Err(kube::Error::Api(status).into());
                    }
                    Some(newer) if finalizer(&newer, name) == Finalizer::Present => Ok(newer),
                    Some(newer) => self.set_finalizer(&newer, name, Finalize::Add).await,
                }
            }
            other => other,
        };
        match added {
            Ok(written) => {
                mark.made(&written, Finalizer::Present);
                Ok(Need::Met(()))
            }
            Err(PassError::Kubernetes(kube::Error::Api(status)))
                if status.is_not_found() || status.code == UNPROCESSABLE =>
            {
                Ok(held.going())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the finalizer off what nobody needs any more; none if somebody has begun to.
    pub(super) async fn let_go<K: Kind>(
        &self,
        held: &Held,
        object: &K,
        name: &str,
        is_free: impl Fn() -> bool + Send,
    ) -> Result<Option<K>, PassError> {
        let mark = self.shared.holds.mark(held);
        let mut mark = mark.lock().await;
        if !is_free() {
            return Ok(None);
        }
        let written = self.set_finalizer(object, name, Finalize::Remove).await?;
        mark.made(&written, Finalizer::Absent);
        Ok(Some(written))
    }

    /// Whether the finalizer is on what is held, as its watch last showed it; none if it is gone.
    pub(super) fn shown(&self, held: &Held) -> Option<Finalizer> {
        self.standing(held).map(|(finalizer, _)| finalizer)
    }

    /// The same, and whether it is being deleted.
    fn standing(&self, held: &Held) -> Option<(Finalizer, Life)> {
        let stores = &self.stores;
        match held {
            Held::Connection(key) => {
                let found = stores.connection(key)?;
                Some(standing(found.meta(), CONNECTION_FINALIZER))
            }
            Held::Dataset { namespace, name } => {
                let object = ObjectRef::new(name).within(namespace);
                let found = stores.datasets.get(&object)?;
                Some(standing(&found.metadata, DATASET_FINALIZER))
            }
        }
    }

    fn look_at(&self, held: &Held) {
        match held {
            Held::Connection(key) => self.shared.connections.poke(key),
            Held::Dataset { namespace, name } => {
                let object = ObjectRef::new(name).within(namespace);
                self.shared.datasets.poke(object);
            }
        }
    }
}

impl Held {
    /// A `ProfileDataset`.
    #[must_use]
    pub fn dataset(namespace: &str, name: &str) -> Self {
        Self::Dataset {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// What is said of it while it is not there.
    pub(super) fn gone<T>(&self) -> Need<T> {
        match self {
            Self::Connection(key) => not_there(
                Reason::ConnectionNotFound,
                key.kind().as_str(),
                &key.name,
                key.namespace.as_deref(),
            ),
            Self::Dataset { namespace, name } => {
                let (reason, kind) = (Reason::DatasetNotFound, "ProfileDataset");
                not_there(reason, kind, name, Some(namespace))
            }
        }
    }

    fn going(&self) -> Need<()> {
        match self {
            Self::Connection(key) => being_deleted(Reason::ConnectionNotReady, &key.title()),
            Self::Dataset { namespace: _, name } => {
                let title = format!("ProfileDataset {name}");
                being_deleted(Reason::DatasetNotReady, &title)
            }
        }
    }
}

fn standing(meta: &ObjectMeta, name: &str) -> (Finalizer, Life) {
    let life = match meta.deletion_timestamp {
        Some(_) => Life::Deleting,
        None => Life::Live,
    };
    (finalizer_in(meta, name), life)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PlatformConnection;

    #[test]
    fn what_the_last_holder_lets_go_is_free() {
        let held = Held::Connection(ConnectionKey::new("n", "prod"));
        let holds = Holds::default();
        holds.hold(held.clone(), "a");
        holds.hold(held.clone(), "a");
        holds.hold(held.clone(), "b");
        assert_eq!(holds.release("a"), []);
        assert_eq!(holds.release("b"), std::slice::from_ref(&held));
        assert!(holds.with(&held, HashSet::is_empty));
    }

    fn connection(version: &str, finalizers: &[&str]) -> PlatformConnection {
        let mut object = PlatformConnection::new(
            "prod",
            serde_json::from_value(serde_json::json!({
                "organizationId": "org@AdobeOrg",
                "sandbox": "prod",
                "auth": {"accessToken": {"secretRef": {"name": "s"}}},
            }))
            .unwrap(),
        );
        object.metadata.uid = Some("u".into());
        object.metadata.resource_version = Some(version.into());
        object.metadata.finalizers = Some(finalizers.iter().map(|&f| f.to_owned()).collect());
        object
    }

    #[test]
    fn what_this_process_made_of_a_finalizer_counts_until_the_watch_has_shown_it() {
        let (on, name) = ([CONNECTION_FINALIZER], CONNECTION_FINALIZER);
        let mut mark = Mark::default();
        assert_eq!(mark.on(&connection("9", &[]), name), Finalizer::Absent);
        mark.made(&connection("10", &on), Finalizer::Present);
        assert_eq!(mark.on(&connection("9", &[]), name), Finalizer::Present);
        // Somebody took it off by hand.
        assert_eq!(mark.on(&connection("11", &[]), name), Finalizer::Absent);
        mark.made(&connection("12", &[]), Finalizer::Absent);
        assert_eq!(mark.on(&connection("11", &on), name), Finalizer::Absent);
    }

    #[test]
    fn what_was_made_of_one_object_says_nothing_of_the_next_of_its_name() {
        let mut mark = Mark::default();
        let on = connection("10", &[CONNECTION_FINALIZER]);
        mark.made(&on, Finalizer::Present);
        let mut next = connection("9", &[]);
        next.metadata.uid = Some("v".into());
        assert_eq!(mark.on(&next, CONNECTION_FINALIZER), Finalizer::Absent);
    }
}
