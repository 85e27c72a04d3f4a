//! The watch of one kind, with its store.

use std::{fmt::Debug, future::ready, sync::Arc};

use futures::{Stream, StreamExt};
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
    /// The object is gone.
    fn gone(&self, object: &K);
    /// The object cannot be read in this version of the API; the others go on.
    fn invalid(&self, object: ObjectRef<K>, error: &InvalidObject);
}

/// The stream that fills the store of a kind and triggers its controller.
///
/// An object that cannot be read never stops the stream: the listener is told, and it is left out
/// of the store until it is mended.
pub fn watch<K>(
    api: Api<DeserializeGuard<K>>,
    writer: Writer<K>,
    listener: Arc<impl Listener<K>>,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let told = Arc::clone(&listener);
    let known = writer.as_reader();
    watcher(api, watcher::Config::default())
        .default_backoff()
        .filter_map(move |event| {
            ready(match event {
                Ok(event) => valid(event, &known, &*told).map(Ok),
                Err(error) => Some(Err(error)),
            })
        })
        .map(|event| event.map(|event| event.modify(prune)))
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(watcher::Event::Apply(object)) => listener.present(object),
            Ok(watcher::Event::Delete(object)) => listener.gone(object),
            Ok(watcher::Event::InitDone) => listener.relisted(),
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) | Err(_) => {}
        })
        .touched_objects()
        // Its own status writes are no news to a controller.
        .predicate_filter(
            predicates::generation.combine(predicates::finalizers),
            PredicateConfig::default(),
        )
}

/// Nothing here reads who wrote which field, nor what was applied last; both are larger than the
/// rest of a finished object.
fn prune<K: Resource>(object: &mut K) {
    object.managed_fields_mut().clear();
    object
        .annotations_mut()
        .remove("kubectl.kubernetes.io/last-applied-configuration");
}

/// The event without what cannot be read: an object that could be read before leaves the store as
/// if it were gone.
fn valid<K>(
    event: watcher::Event<DeserializeGuard<K>>,
    known: &Store<K>,
    listener: &impl Listener<K>,
) -> Option<watcher::Event<K>>
where
    K: Resource<DynamicType = ()> + Clone,
{
    let read = |DeserializeGuard(object): DeserializeGuard<K>| match object {
        Ok(object) => Ok(object),
        Err(error) => {
            let meta = &error.metadata;
            let mut object = ObjectRef::new(meta.name.as_deref().unwrap_or_default());
            object.namespace.clone_from(&meta.namespace);
            object.extra.uid.clone_from(&meta.uid);
            listener.invalid(object.clone(), &error);
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
        watcher::Event::Delete(object) => read(object).ok().map(watcher::Event::Delete),
        watcher::Event::InitApply(object) => read(object).ok().map(watcher::Event::InitApply),
        watcher::Event::Init => Some(watcher::Event::Init),
        watcher::Event::InitDone => Some(watcher::Event::InitDone),
    }
}
