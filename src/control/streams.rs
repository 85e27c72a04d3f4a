//! The watch of one kind, with its store.

use std::{
    collections::HashSet,
    fmt::Debug,
    future::ready,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{Stream, StreamExt, stream};
use kube::{
    Api, Resource, ResourceExt,
    core::{DeserializeGuard, error_boundary::InvalidObject},
    runtime::{
        Predicate, PredicateConfig, WatchStreamExt, predicates,
        reflector::{ObjectRef, Store, store::Writer},
        watcher,
    },
};
use serde::de::DeserializeOwned;

/// Told of what a watch brings, after the store has it.
pub trait Listener<K>: Send + Sync + 'static
where
    K: Resource<DynamicType = ()>,
{
    /// The object is there, new or changed.
    fn present(&self, object: &K);
    /// Everything was listed anew, so anything may have changed meanwhile.
    fn relisted(&self);
    /// The object can be read again, with nothing else changed that would wake it.
    fn mended(&self, object: ObjectRef<K>);
    /// The object is gone.
    fn gone(&self, object: &K);
    /// The object cannot be read in this version of the API; the others go on.
    fn invalid(&self, object: ObjectRef<K>, error: &InvalidObject);
}

/// The stream that fills the store of a kind and triggers its controller.
///
/// An object that cannot be read never stops the stream: the listener is told, and it is left out
/// of the store until it is mended. With a label selector, an object that is there and matches it
/// no more is gone as well.
pub fn watch<K>(
    api: Api<DeserializeGuard<K>>,
    labels: Option<String>,
    writer: Writer<K>,
    listener: Arc<impl Listener<K>>,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let told = Arc::clone(&listener);
    let known = writer.as_reader();
    let unreadable = Unreadable::<K>::default();
    let refused = unreadable.clone();
    let mut mended = Vec::new();
    let config = watcher::Config {
        label_selector: labels,
        ..watcher::Config::default()
    };
    watches(api, config)
        .default_backoff()
        .filter_map(move |event| {
            ready(match event {
                Ok(event) => valid(event, &known, &refused, &*told).map(Ok),
                Err(error) => Some(Err(error)),
            })
        })
        .map(|event| event.map(|event| event.modify(prune)))
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(watcher::Event::Apply(object)) => {
                listener.present(object);
                if unreadable.take(object) {
                    listener.mended(ObjectRef::from_obj(object));
                }
            }
            Ok(watcher::Event::Delete(object)) => listener.gone(object),
            Ok(watcher::Event::Init) | Err(_) => {}
            // In the store only once all are there.
            Ok(watcher::Event::InitApply(object)) => {
                if unreadable.take(object) {
                    mended.push(ObjectRef::from_obj(object));
                }
            }
            Ok(watcher::Event::InitDone) => {
                listener.relisted();
                mended.drain(..).for_each(|object| listener.mended(object));
            }
        })
        .touched_objects()
        // Its own status writes are no news to a controller; a person's annotation is, and the
        // label of a backup tool that a person takes off.
        .predicate_filter(
            predicates::generation
                .combine(predicates::finalizers)
                .combine(predicates::annotations)
                .combine(predicates::labels),
            PredicateConfig::default(),
        )
}

/// Watches after each other: one that could not be resumed is begun anew with a list.
///
/// An API server that was away may be back with what it had before, from a backup. Its versions
/// then count on from there, and a watch that is resumed at a later one is told nothing of what is
/// there, and nothing of what changes until it is later again.
pub(super) fn watches<K>(
    api: Api<K>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    stream::unfold(None, move |watch| {
        let (api, config) = (api.clone(), config.clone());
        async move {
            let begin = || watcher(api, config).boxed();
            let mut watch = watch.unwrap_or_else(begin);
            let event = watch.next().await?;
            let next = match &event {
                Err(watcher::Error::WatchStartFailed(_)) => None,
                Ok(_)
                | Err(
                    watcher::Error::InitialListFailed(_)
                    | watcher::Error::WatchError(_)
                    | watcher::Error::WatchFailed(_)
                    | watcher::Error::NoResourceVersion,
                ) => Some(watch),
            };
            Some((event, next))
        }
    })
}

/// The objects that are there and cannot be read.
struct Unreadable<K: Resource<DynamicType = ()>>(Arc<Mutex<HashSet<ObjectRef<K>>>>);

impl<K: Resource<DynamicType = ()>> Unreadable<K> {
    fn put(&self, object: ObjectRef<K>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(object);
    }

    fn forget(&self, object: &ObjectRef<K>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(object);
    }

    /// Whether the object was one of them; it is none from now on.
    fn take(&self, object: &K) -> bool {
        let object = ObjectRef::from_obj(object);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&object)
    }
}

impl<K: Resource<DynamicType = ()>> Clone for Unreadable<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Resource<DynamicType = ()>> Default for Unreadable<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Nothing here reads who wrote which field, nor what was applied last; both are larger than the
/// rest of a finished object.
fn prune<K: Resource>(object: &mut K) {
    object.managed_fields_mut().clear();
    object
        .annotations_mut()
        .remove("kubectl.kubernetes.io/last-applied-configuration");
}

fn reference<K: Resource<DynamicType = ()>>(invalid: &InvalidObject) -> ObjectRef<K> {
    let meta = &invalid.metadata;
    let mut object = ObjectRef::new(meta.name.as_deref().unwrap_or_default());
    object.namespace.clone_from(&meta.namespace);
    object.extra.uid.clone_from(&meta.uid);
    object
}

/// The event without what cannot be read: an object that could be read before leaves the store as
/// if it were gone.
fn valid<K>(
    event: watcher::Event<DeserializeGuard<K>>,
    known: &Store<K>,
    unreadable: &Unreadable<K>,
    listener: &impl Listener<K>,
) -> Option<watcher::Event<K>>
where
    K: Resource<DynamicType = ()> + Clone,
{
    let read = |DeserializeGuard(object): DeserializeGuard<K>| match object {
        Ok(object) => Ok(object),
        Err(error) => {
            let object = reference(&error);
            listener.invalid(object.clone(), &error);
            unreadable.put(object.clone());
            Err(object)
        }
    };
    match event {
        watcher::Event::Apply(object) => match read(object) {
            Ok(object) => Some(watcher::Event::Apply(object)),
            Err(object) => {
                let before = known.get(&object)?;
                Some(watcher::Event::Delete((*before).clone()))
            }
        },
        watcher::Event::Delete(DeserializeGuard(Ok(object))) => {
            Some(watcher::Event::Delete(object))
        }
        // It left the store when it could not be read any more.
        watcher::Event::Delete(DeserializeGuard(Err(error))) => {
            unreadable.forget(&reference(&error));
            None
        }
        watcher::Event::InitApply(object) => read(object).ok().map(watcher::Event::InitApply),
        watcher::Event::Init => Some(watcher::Event::Init),
        watcher::Event::InitDone => Some(watcher::Event::InitDone),
    }
}
