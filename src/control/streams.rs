//! The watch of one kind, with its store.

use std::{collections::VecDeque, fmt::Debug, sync::Arc, time::Duration};

use backon::ExponentialBuilder;
use futures::{
    Stream, StreamExt,
    future::ready,
    stream::{self, select},
};
use kube::{
    Api, Resource, ResourceExt,
    api::ListParams,
    core::error_boundary::InvalidObject,
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store, store::Writer},
        utils::{Backoff, ResetTimerBackoff},
        watcher::{self, ExponentialBackoff, watcher},
    },
};
use serde::de::DeserializeOwned;

use self::unreadable::Unreadable;

mod guarded;
mod health;
mod recall;
mod unreadable;

pub use self::{
    guarded::Guarded,
    health::Health,
    recall::{Recalled, Recalls},
};

/// How many objects a list shows at a time. Each page is in memory as text and as objects, and
/// after a start that is the most memory that there is; fewer would cost more calls.
pub(super) const PAGE: u32 = 100;
/// How many at the most, where there are very many objects: each page costs the API server some
/// 50 ms beside what it shows.
const LARGEST_PAGE: u32 = 1000;
/// How many pages are few enough.
const PAGES: i64 = 100;
/// How soon a watch that failed is begun again at first, as client-go has it.
const SOON: Duration = Duration::from_millis(800);
/// And in the end; chance adds up to as much again. Whoever installs the CRDs, or grants a right,
/// waits for that: hence not the half minute of client-go.
const LATE: Duration = Duration::from_secs(10);
/// What failed last as long ago has nothing to do with what fails now.
const FORGIVEN: Duration = Duration::from_mins(2);

/// Told of what a watch brings, after the store has it.
pub trait Listener<K>: Send + Sync + 'static
where
    K: Resource<DynamicType = ()>,
{
    /// The object is there, new or changed from what the store had before.
    fn present(&self, object: &K, before: Option<&K>);
    /// Whether nothing is left to do for an object, as far as it tells itself: it is left out of
    /// the store then.
    fn is_at_rest(&self, _object: &K) -> bool {
        false
    }
    /// Whether a watch shows no more than what a pass over the object wrote, and went on with.
    fn is_own(&self, _object: &K) -> bool {
        false
    }
    /// The watch brought something, or failed and is begun again.
    fn watched(&self, _event: &watcher::Result<watcher::Event<Guarded<K>>>) {}
    /// Everything is about to be listed anew.
    fn listing(&self) {}
    /// A list shows an object that is left out of the store.
    fn listed(&self, _object: &K) {}
    /// An object that was listed, or is present, is left out of the store.
    fn rests(&self, _object: &K) {}
    /// Everything was listed anew, so anything may have changed meanwhile.
    fn relisted(&self);
    /// The object can be read again, with nothing else changed that would wake it.
    fn mended(&self, object: ObjectRef<K>);
    /// The object is gone.
    fn gone(&self, object: &K);
    /// An object that was left out of the store cannot be read any more, or is gone.
    fn lost(&self, _object: &ObjectRef<K>) {}
    /// The object cannot be read in this version of the API; the others go on.
    fn invalid(&self, object: ObjectRef<K>, error: &InvalidObject);
}

/// The stream that fills the store of a kind and triggers its controller.
///
/// An object that cannot be read never stops the stream: the listener is told, and it is left out
/// of the store until it is mended. With a label selector, an object that is there and matches it
/// no more is gone as well. One that is at rest is left out, until it changes or is recalled: what
/// is in the store is whole, so that it can be written back.
pub fn watch<K>(
    api: Api<Guarded<K>>,
    (labels, recalled): (Option<String>, Recalled<K>),
    writer: Writer<K>,
    listener: Arc<impl Listener<K>>,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let config = watcher::Config {
        label_selector: labels,
        ..watcher::Config::default().page_size(PAGE)
    };
    let watched = Arc::clone(&listener);
    let events = watches(api, config).inspect(move |event| watched.watched(event));
    let events = events.map(|event| event.map(Brought::Event));
    let mut intake = Intake {
        known: writer.as_reader(),
        writer,
        listener,
        unreadable: Unreadable::default(),
        mended: VecDeque::new(),
    };
    let recalled = recalled.stream().map(Brought::Recalled).map(Ok);
    select(events, recalled).filter_map(move |brought| {
        ready(match brought {
            Ok(Brought::Event(event)) => intake.take(event).map(Ok),
            Ok(Brought::Recalled(object)) => Some(Ok(intake.take_back(object))),
            Err(error) => Some(Err(error)),
        })
    })
}

/// What fills a store.
#[expect(
    clippy::large_enum_variant,
    reason = "an object is as large as its event, which the lint cannot know"
)]
enum Brought<K> {
    Event(watcher::Event<Guarded<K>>),
    /// The API server's answer to who asked for an object that is at rest.
    Recalled(K),
}

/// Fills a store.
struct Intake<K, L>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    writer: Writer<K>,
    /// What is in the store.
    known: Store<K>,
    listener: Arc<L>,
    unreadable: Unreadable<K>,
    /// What a list that goes on shows as mended.
    mended: VecDeque<ObjectRef<K>>,
}

impl<K, L> Intake<K, L>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
    L: Listener<K>,
{
    /// Takes an event in. Gives the object if it is news to its controller.
    fn take(&mut self, event: watcher::Event<Guarded<K>>) -> Option<K> {
        match event {
            watcher::Event::Init => {
                self.listener.listing();
                self.mended.clear();
                self.writer.apply_watcher_event(&watcher::Event::Init);
                None
            }
            watcher::Event::InitApply(object) => self.take_listed(self.read(object).ok()?),
            watcher::Event::InitDone => {
                self.writer.apply_watcher_event(&watcher::Event::InitDone);
                self.listener.relisted();
                let mended = self.mended.drain(..);
                mended.for_each(|object| self.listener.mended(object));
                None
            }
            watcher::Event::Apply(object) => match self.read(object) {
                Ok(object) => self.take_changed(object),
                Err(object) => {
                    self.leave(&object);
                    None
                }
            },
            watcher::Event::Delete(Guarded(Ok(object))) => {
                let gone = watcher::Event::Delete(object);
                self.writer.apply_watcher_event(&gone);
                if let watcher::Event::Delete(object) = &gone {
                    self.listener.gone(object);
                }
                None
            }
            // It left the store when it could not be read any more.
            watcher::Event::Delete(Guarded(Err(error))) => {
                self.unreadable.forget(&reference(&error));
                None
            }
        }
    }

    fn take_listed(&mut self, mut object: K) -> Option<K> {
        let mended = self.unreadable.take(&object);
        if self.listener.is_at_rest(&object) {
            self.listener.listed(&object);
            self.listener.rests(&object);
            return None;
        }
        prune(&mut object);
        // In the store only once all are there.
        if mended {
            self.mended.push_back(ObjectRef::from_obj(&object));
        }
        let before = self.known.get(&ObjectRef::from_obj(&object));
        let news = is_news(&object, before.as_deref()).then(|| object.clone());
        self.writer
            .apply_watcher_event(&watcher::Event::InitApply(object));
        news
    }

    fn take_changed(&mut self, mut object: K) -> Option<K> {
        let mended = self.unreadable.take(&object);
        let before = self.known.get(&ObjectRef::from_obj(&object));
        if self.listener.is_at_rest(&object) {
            let left = watcher::Event::Delete(object);
            self.writer.apply_watcher_event(&left);
            if let watcher::Event::Delete(object) = &left {
                self.listener.present(object, before.as_deref());
                self.listener.rests(object);
            }
            return None;
        }
        prune(&mut object);
        let news = is_news(&object, before.as_deref());
        let there = watcher::Event::Apply(object);
        self.writer.apply_watcher_event(&there);
        let watcher::Event::Apply(object) = there else {
            return None;
        };
        self.listener.present(&object, before.as_deref());
        if mended {
            self.listener.mended(ObjectRef::from_obj(&object));
        }
        let own = self.listener.is_own(&object);
        (news && !own).then_some(object)
    }

    /// Takes an object that was at rest back into the store, unless a watch did meanwhile.
    fn take_back(&mut self, mut object: K) -> K {
        prune(&mut object);
        if self.known.get(&ObjectRef::from_obj(&object)).is_none() {
            let there = watcher::Event::Apply(object.clone());
            self.writer.apply_watcher_event(&there);
        }
        object
    }

    /// The object, or who it is if it cannot be read.
    fn read(&self, Guarded(object): Guarded<K>) -> Result<K, ObjectRef<K>> {
        object.map_err(|error| {
            let object = reference(&error);
            self.listener.invalid(object.clone(), &error);
            self.unreadable.put(object.clone());
            object
        })
    }

    /// An object that could be read before leaves as if it were gone.
    fn leave(&mut self, object: &ObjectRef<K>) {
        match self.known.get(object) {
            Some(before) => {
                let gone = watcher::Event::Delete((*before).clone());
                self.writer.apply_watcher_event(&gone);
                self.listener.gone(&before);
            }
            None => self.listener.lost(object),
        }
    }
}

/// Whether an object differs from what it was by more than its status. Its own status writes are
/// no news to a controller; a person's annotation is, and the label of a backup tool that a person
/// takes off.
pub(super) fn is_news<K: Resource>(object: &K, before: Option<&K>) -> bool {
    let Some(before) = before else { return true };
    let (before, now) = (before.meta(), object.meta());
    before.uid != now.uid
        || before.generation != now.generation
        || before.deletion_timestamp != now.deletion_timestamp
        || before.finalizers != now.finalizers
        || before.annotations != now.annotations
        || before.labels != now.labels
}

/// Watches after each other: one that could not be resumed is begun anew with a list, and each
/// failure is waited after, ever longer.
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
            let mut watch = match watch {
                Some(watch) => watch,
                None => {
                    let config = fit(&api, config).await;
                    watcher(api, config).boxed()
                }
            };
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
    .backoff(waits())
}

/// Fits the pages of a list to how many objects there are, as far as that can be told: of a
/// selection it cannot.
async fn fit<K>(api: &Api<K>, config: watcher::Config) -> watcher::Config
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let (Some(least), None, None) = (
        config.page_size,
        &config.label_selector,
        &config.field_selector,
    ) else {
        return config;
    };
    // What fails here fails again when the objects are listed, and is told there.
    let first = api.list_metadata(&ListParams::default().limit(1)).await;
    let left = first
        .ok()
        .and_then(|first| first.metadata.remaining_item_count);
    config.page_size(page(least, left.unwrap_or_default()))
}

/// How many objects a page is to show, of so many.
fn page(least: u32, all: i64) -> u32 {
    let fair = u32::try_from((all / PAGES).max(0)).unwrap_or(LARGEST_PAGE);
    fair.min(LARGEST_PAGE).max(least)
}

/// The waits after failures that follow each other.
fn waits() -> impl Backoff {
    let grows = ExponentialBuilder::default()
        .with_min_delay(SOON)
        .with_max_delay(LATE)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times();
    ResetTimerBackoff::new(ExponentialBackoff::from(grows), FORGIVEN)
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

#[cfg(test)]
mod tests;
