//! Taking objects that are at rest back into their store.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};
use kube::{
    Client, Resource,
    runtime::reflector::{ObjectRef, Store},
};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tracing::debug;

use super::super::kind::Within;

/// How many objects are asked for at a time: enough that one slow reply holds up nobody.
const AT_A_TIME: usize = 8;
/// How soon an API server that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Asks for objects that are to be reconciled and are not in their store.
pub struct Recalls<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    client: Client,
    known: Store<K>,
    sender: mpsc::UnboundedSender<K>,
}

/// The answers.
pub struct Recalled<K>(mpsc::UnboundedReceiver<K>);

impl<K> Recalled<K>
where
    K: Send + 'static,
{
    /// The objects, as they are recalled.
    pub(super) fn stream(self) -> impl Stream<Item = K> + Send + 'static {
        stream::unfold(self.0, |mut receiver| async move {
            let object = receiver.recv().await?;
            Some((object, receiver))
        })
    }
}

impl<K> Recalls<K>
where
    K: Resource<DynamicType = (), Scope: Within>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    /// For the objects of a store.
    #[must_use]
    pub fn new(client: Client, known: Store<K>) -> (Self, Recalled<K>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let recalls = Self {
            client,
            known,
            sender,
        };
        (recalls, Recalled(receiver))
    }

    /// Lets through which of these are in the store. The others are recalled, which triggers their
    /// controller if they are there at all.
    pub fn among(
        self,
        objects: impl Stream<Item = ObjectRef<K>> + Send + 'static,
    ) -> impl Stream<Item = ObjectRef<K>> + Send + 'static {
        let recalls = Arc::new(self);
        objects
            .map(move |object| Arc::clone(&recalls).find(object))
            .buffer_unordered(AT_A_TIME)
            .filter_map(std::future::ready)
    }

    async fn find(self: Arc<Self>, object: ObjectRef<K>) -> Option<ObjectRef<K>> {
        if self.known.get(&object).is_some() {
            return Some(object);
        }
        let api = K::Scope::api::<K>(self.client.clone(), object.namespace.as_deref());
        loop {
            match api.get_opt(&object.name).await {
                Ok(Some(found)) => {
                    // Without a receiver the process ends.
                    let _ = self.sender.send(found);
                    return None;
                }
                Ok(None) => return None,
                // Nobody can read it: it is told where the watch brings it.
                Err(kube::Error::SerdeError(_)) => return None,
                Err(error) => {
                    debug!(%object, %error, "an object that is at rest is asked for again");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        }
    }
}
