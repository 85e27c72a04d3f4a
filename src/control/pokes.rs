//! Waking objects of one kind from elsewhere.

use std::{
    collections::HashSet,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{Stream, stream};
use kube::{Resource, runtime::reflector::ObjectRef};
use tokio::sync::Notify;

use crate::{
    api::{ClusterPlatformConnection, ConnectionKey, PlatformConnection},
    governor::Wake,
};

/// Objects that shall be reconciled soon. An object that is poked twice before it is taken is
/// there once, so the set is never larger than the number of objects.
pub struct Pokes<K>
where
    K: Resource,
    K::DynamicType: Hash + Eq,
{
    waiting: Mutex<HashSet<ObjectRef<K>>>,
    arrived: Notify,
}

/// Connections of either kind that shall be reconciled soon.
pub struct ConnectionPokes {
    /// Those of a namespace.
    pub namespaced: Arc<Pokes<PlatformConnection>>,
    /// Those of the cluster.
    pub cluster: Arc<Pokes<ClusterPlatformConnection>>,
}

impl ConnectionPokes {
    /// None yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            namespaced: Pokes::new(),
            cluster: Pokes::new(),
        })
    }

    /// Has the connection reconciled soon.
    pub fn poke(&self, connection: &ConnectionKey) {
        let ConnectionKey { namespace, name } = connection;
        match namespace {
            Some(namespace) => self.namespaced.poke(ObjectRef::new(name).within(namespace)),
            None => self.cluster.poke(ObjectRef::new(name)),
        }
    }

    /// Pokes this connection whenever it is called.
    #[must_use]
    pub fn waker(self: &Arc<Self>, connection: ConnectionKey) -> Wake {
        let pokes = Arc::clone(self);
        Arc::new(move || pokes.poke(&connection))
    }
}

impl<K> Pokes<K>
where
    K: Resource + 'static,
    K::DynamicType: Hash + Eq + Clone + Send,
{
    /// None yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            arrived: Notify::new(),
        })
    }

    /// Has the object reconciled soon.
    pub fn poke(&self, object: ObjectRef<K>) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(object);
        self.arrived.notify_one();
    }

    /// Pokes this object whenever it is called.
    pub fn waker(self: &Arc<Self>, object: ObjectRef<K>) -> Wake
    where
        ObjectRef<K>: Send + Sync,
    {
        let pokes = Arc::clone(self);
        Arc::new(move || pokes.poke(object.clone()))
    }

    /// The objects, as they are poked. For one reader.
    pub fn stream(self: Arc<Self>) -> impl Stream<Item = ObjectRef<K>> + Send + 'static
    where
        ObjectRef<K>: Send,
    {
        stream::unfold(self, |pokes| async move {
            loop {
                // The permit that `notify_one` leaves makes up for a poke between these two.
                if let Some(object) = pokes.take() {
                    return Some((object, pokes));
                }
                pokes.arrived.notified().await;
            }
        })
    }

    fn take(&self) -> Option<ObjectRef<K>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let object = waiting.iter().next().cloned()?;
        waiting.take(&object)
    }
}
