//! The board: what the platform last said of every job that is followed.
//!
//! Once for each job, when a second job of its request would have to show, the board reads the
//! list instead: a gateway that repeated a request is found out by it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};
use tracing::debug;

use super::{
    ask::{Answer, Sent, is_final, kind, waits_for_batches},
    echo::{Echoes, Learned},
    list::Lists,
    pace::{Intervals, Pace},
    search::{Life, Requests},
    source::Source,
    tick::{Desk, LISTED},
    took::Took,
};
use crate::{
    api::Target,
    decide::export::{Echo, Sighting},
    governor::{Lane, Wake},
    platform::{JobId, Platform},
};

/// How many failed polls in a row make trouble worth a status write.
const TROUBLE_AFTER: u32 = 3;

/// A job to follow.
#[derive(Clone)]
pub struct Follow {
    /// The object's UID.
    pub uid: String,
    /// Wakes the object.
    pub wake: Wake,
    /// The job.
    pub job: JobId,
    /// Whom to ask.
    pub client: Client,
    /// Where it exports to: tenant and dataset.
    pub target: Target,
    /// The request id of the request that made it.
    pub request_id: String,
    /// When the job began, by the platform's clock.
    pub began: Timestamp,
    /// When a second job of the same request would have to show, by the platform's clock.
    pub settled: Timestamp,
    /// Whether the job is to end.
    pub pace: Pace,
}

/// Whom to ask: the jobs of one client are asked for together.
#[derive(Clone)]
pub struct Client {
    /// For polls.
    pub(super) polls: Arc<dyn Source>,
    /// For what somebody waits for.
    looks: Arc<dyn Source>,
    /// Whose jobs it sees, and what tells it from other clients of the same tenant.
    pub(super) key: Arc<Key>,
}

/// Told that it was learned whether a tenant shows request ids.
pub type OnLearned = Box<dyn Fn(&Target) + Send + Sync>;

/// What a board shares with others.
pub struct Links {
    /// What is known of request ids.
    pub echoes: Arc<Echoes>,
    /// The readings of lists.
    pub lists: Arc<Lists>,
}

/// What the platform last said of every job that is followed, for the whole process.
///
/// # Guarantees
///
/// - A job is polled at least `min` apart, unless the list is read for others; and at most `max`
///   (and a tenth) apart.
/// - Jobs of one client that fall due together are asked for with the fewest calls.
/// - Its object is woken when what the platform says of it changes in kind, not at every poll.
/// - A job that ended is asked for no more.
pub struct Board {
    /// The jobs that are followed. No other lock is taken before this one.
    pub(super) entries: Mutex<HashMap<String, Entry>>,
    /// The requests that made them, and those of jobs that have ended not long ago.
    pub(super) requests: Mutex<Requests>,
    pub(super) desks: Mutex<HashMap<Arc<Key>, Desk>>,
    pub(super) changed: Notify,
    /// When the next round is expected; none: one is begun at every change. Written and read with
    /// the entries locked.
    pub(super) wakes: Mutex<Option<Instant>>,
    pub(super) intervals: Intervals,
    pub(super) links: Links,
    learned: Mutex<Vec<OnLearned>>,
    took: Took,
}

/// What is asked for together: the jobs of one tenant, by one client.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The tenant; no dataset.
    pub(super) tenant: Target,
    stamp: String,
}

impl Client {
    /// A client of a tenant, told from others by its stamp.
    #[must_use]
    pub fn new(platform: &Platform, tenant: Target, stamp: String) -> Self {
        Self {
            polls: Arc::new(platform.lane(Lane::Poll)),
            looks: Arc::new(platform.lane(Lane::Cancel)),
            key: Arc::new(Key { tenant, stamp }),
        }
    }

    /// The same with another source, as tests need it.
    #[cfg(test)]
    pub(super) fn of(source: Arc<dyn Source>, tenant: Target) -> Self {
        Self {
            polls: Arc::clone(&source),
            looks: source,
            key: Arc::new(Key {
                tenant,
                stamp: String::new(),
            }),
        }
    }

    pub(super) fn tenant(&self) -> &Target {
        &self.key.tenant
    }
}

pub(super) struct Entry {
    pub(super) follow: Arc<Follow>,
    pub(super) sighting: Sighting,
    pub(super) due: Due,
    /// The interval that led to it.
    pub(super) interval: Duration,
    failures: u32,
    /// How often in a row it was only seen in lists.
    pub(super) listed: u32,
    /// Records before it in the list, and when that was seen.
    pub(super) place: Option<(usize, Instant)>,
}

/// When a job is asked for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    At(Instant),
    /// A poll is under way.
    Asked,
    /// It ended, and so did its batches: nothing more to ask.
    Never,
}

impl Board {
    /// An empty board.
    #[must_use]
    pub fn new(intervals: Intervals, links: Links) -> Self {
        Self {
            entries: Mutex::default(),
            requests: Mutex::default(),
            desks: Mutex::default(),
            changed: Notify::new(),
            wakes: Mutex::new(None),
            intervals,
            links,
            learned: Mutex::default(),
            took: Took::default(),
        }
    }

    /// Has somebody told when it was learned whether a tenant shows request ids.
    pub fn tell(&self, learned: OnLearned) {
        lock(&self.learned).push(learned);
    }

    /// An export into this dataset succeeded: how long it took tells when to expect the next.
    pub fn took(&self, target: &Target, ended: Timestamp, took: Duration) {
        self.took.note(target, ended, took);
    }

    /// Follows a job from now on. With a new client (a rotated credential) the job is asked for by
    /// that one from its next poll on.
    pub fn follow(&self, mut follow: Follow) {
        follow.client.key = self.desk_of(&follow.client.key);
        let follow = Arc::new(follow);
        let mut entries = self.entries();
        let at = match entries.get_mut(&follow.uid) {
            Some(entry) if entry.follow.job == follow.job => {
                let news = entry.follow.pace != follow.pace;
                entry.follow = Arc::clone(&follow);
                match entry.due {
                    Due::At(at) if news => {
                        let soon = self.interval(&follow, &entry.sighting);
                        let at = at.min(Instant::now() + soon);
                        entry.due = Due::At(at);
                        entry.interval = soon;
                        Some(at)
                    }
                    Due::At(_) | Due::Asked | Due::Never => None,
                }
            }
            Some(_) | None => {
                let (first, interval) = self.first(&follow);
                let first = Instant::now() + first;
                let entry = Entry {
                    follow: Arc::clone(&follow),
                    sighting: Sighting::Unseen,
                    due: Due::At(first),
                    interval,
                    failures: 0,
                    // So that not all are asked for by their ids at once.
                    listed: rand::random_range(0..LISTED),
                    place: None,
                };
                entries.insert(follow.uid.clone(), entry);
                Some(first)
            }
        };
        let search = lock(&self.requests).follow(&follow);
        if let Some(at) = at.into_iter().chain(search).min() {
            self.wake_by(at);
        }
    }

    /// The desk of a client: all that is kept for it has the same key, in the same place.
    fn desk_of(&self, key: &Arc<Key>) -> Arc<Key> {
        let mut desks = lock(&self.desks);
        if let Some((same, _)) = desks.get_key_value(key) {
            return Arc::clone(same);
        }
        desks.insert(Arc::clone(key), Desk::default());
        Arc::clone(key)
    }

    /// When a job is asked for first, and its interval. One that ran before it was followed (after
    /// a restart, with all others) at any time of its interval; a new one at once, if it tells
    /// whether the tenant shows request ids.
    fn first(&self, follow: &Follow) -> (Duration, Duration) {
        let interval = self.interval(follow, &Sighting::Unseen);
        let first = match (follow.pace, self.links.echoes.of(follow.client.tenant())) {
            (Pace::Stopping, _) | (Pace::Running, Echo::Unknown) => Duration::ZERO,
            (Pace::Running, Echo::Yes | Echo::No) if age(follow) < self.intervals.min => interval,
            (Pace::Running, Echo::Yes | Echo::No) => interval.mul_f64(rand::random()),
        };
        (first, interval)
    }

    /// Has a round begin by this time. The entries are locked.
    fn wake_by(&self, at: Instant) {
        if lock(&self.wakes).is_none_or(|wakes| at < wakes) {
            self.changed.notify_one();
        }
    }

    fn interval(&self, follow: &Follow, sighting: &Sighting) -> Duration {
        let pace = if waits_for_batches(sighting) {
            Pace::Stopping
        } else {
            follow.pace
        };
        let took = self.took.of(&follow.target);
        self.intervals.next(age(follow), took, pace)
    }

    /// What the platform last said of the job of the object with this UID.
    #[must_use]
    pub fn sighting(&self, uid: &str) -> Sighting {
        self.entries()
            .get(uid)
            .map_or(Sighting::Unseen, |entry| entry.sighting.clone())
    }

    /// How many jobs are followed.
    #[must_use]
    pub fn followed(&self) -> usize {
        self.entries().len()
    }

    /// How much is kept: the jobs that are followed, and the requests whose other jobs are looked
    /// for.
    #[must_use]
    pub fn kept(&self) -> usize {
        let followed = self.followed();
        followed + lock(&self.requests).len()
    }

    /// The object with this UID has ended; other jobs of its request are still looked for.
    pub fn ended(&self, uid: &str) {
        self.entries().remove(uid);
        self.let_go(uid, Life::Ended);
    }

    /// Forgets the job of the object with this UID.
    pub fn forget(&self, uid: &str) {
        self.entries().remove(uid);
        self.let_go(uid, Life::Over);
    }

    /// Asks for a job at once, beside its schedule, and follows it from then on.
    pub async fn look(&self, follow: Follow) -> Sighting {
        self.follow(follow.clone());
        let source = &*follow.client.looks;
        let answer = self.ask(source, &follow, &Sighting::Unseen).await;
        // Somebody waits for it: that nothing could be asked is an answer too.
        let answer = Answer {
            sent: Sent::Yes,
            ..answer
        };
        let sighting = answer.sighting.clone();
        self.take(&follow, answer, Tell::Nobody);
        sighting
    }

    pub(super) fn tell_if(&self, learned: Learned, tenant: &Target) {
        match learned {
            Learned::Something => {
                for learned in &*lock(&self.learned) {
                    learned(tenant);
                }
            }
            Learned::Nothing => {}
        }
    }

    /// Takes an answer in, sets the next poll, and wakes the object if the answer is of another
    /// kind than the one before.
    pub(super) fn take(&self, follow: &Follow, answer: Answer, tell: Tell) {
        let mut entries = self.entries();
        // What is known of one job says nothing of the next of the same object.
        let entry = entries.get_mut(&follow.uid);
        let Some(entry) = entry.filter(|entry| entry.follow.job == follow.job) else {
            return;
        };
        let Answer {
            sighting,
            floor,
            sent,
        } = answer;
        entry.failures = match (&sighting, sent) {
            (_, Sent::No) => entry.failures,
            (Sighting::Trouble(_), Sent::Yes) => entry.failures.saturating_add(1),
            (Sighting::Unseen | Sighting::Missing | Sighting::Job { .. }, Sent::Yes) => 0,
        };
        // One failed poll says little: what was seen before stands until trouble lasts.
        let sighting = match (&sighting, sent, &entry.sighting) {
            (_, Sent::No, before) => before.clone(),
            (Sighting::Trouble(_), Sent::Yes, Sighting::Unseen) => sighting,
            (Sighting::Trouble(_), Sent::Yes, before) if entry.failures < TROUBLE_AFTER => {
                before.clone()
            }
            (_, Sent::Yes, _) => sighting,
        };
        entry.interval = self.interval(&entry.follow, &sighting);
        entry.due = if is_final(&sighting) {
            Due::Never
        } else {
            let wait = jittered(entry.interval).max(floor.unwrap_or_default());
            Due::At(Instant::now() + wait)
        };
        // While batches are waited for a deadline runs, which the pass looks at.
        let news = kind(&sighting) != kind(&entry.sighting)
            || waits_for_batches(&entry.sighting)
            || waits_for_batches(&sighting);
        debug!(job = %entry.follow.job, interval = ?entry.interval, news, "polled");
        entry.sighting = sighting;
        if news && tell == Tell::Object {
            (entry.follow.wake)();
        }
    }

    pub(super) fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        lock(&self.entries)
    }
}

/// Whether an answer wakes its object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tell {
    Object,
    Nobody,
}

/// Up to a tenth longer, so that jobs that began together do not stay together.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(1.0 + rand::random::<f64>() / 10.0)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds these locks can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn age(follow: &Follow) -> Duration {
    let age = follow.client.polls.now().duration_since(follow.began);
    Duration::try_from(age).unwrap_or_default()
}
