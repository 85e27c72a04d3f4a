//! The board: what the platform last said of every job that is followed.
//!
//! Once for each job, when a second job of its request would have to show, the board reads the
//! list instead: a gateway that repeated a request is found out by it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    ask::{ask, is_final, kind, waits_for_batches},
    echo::{Echoes, Learned, Place},
    list::{ListReading, Lists},
    pace::{Intervals, Pace, interval},
};
use crate::{
    api::{ExportJob, Target},
    decide::export::{Echo, Sighting},
    platform::{Job, JobId, Platform},
};

/// How many jobs are asked for at once: enough that one slow reply delays nobody much, few enough
/// that a restart with hundreds of jobs is no flood.
const CONCURRENT_POLLS: usize = 8;
/// How many failed polls in a row make trouble worth a status write.
const TROUBLE_AFTER: u32 = 3;

/// A job to follow.
#[derive(Clone)]
pub struct Follow {
    /// The object to wake.
    pub object: ObjectRef<ExportJob>,
    /// Its UID.
    pub uid: String,
    /// The job.
    pub job: JobId,
    /// Whom to ask.
    pub platform: Platform,
    /// The tenant that has it.
    pub tenant: Target,
    /// The request id of the request that made it.
    pub request_id: String,
    /// When the job began, by the platform's clock.
    pub began: Timestamp,
    /// When a second job of the same request would have to show, by the platform's clock.
    pub settled: Timestamp,
    /// Whether the job is to end.
    pub pace: Pace,
}

/// Wakes an object.
pub type Wake = Box<dyn Fn(ObjectRef<ExportJob>) + Send + Sync>;
/// Told that it was learned whether a tenant shows request ids.
pub type OnLearned = Box<dyn Fn(&Target) + Send + Sync>;

/// What a board shares with others.
pub struct Links {
    /// What is known of request ids.
    pub echoes: Arc<Echoes>,
    /// The readings of lists.
    pub lists: Arc<Lists>,
    /// Wakes an object.
    pub wake: Wake,
    /// Told that something was learned of a tenant.
    pub learned: OnLearned,
}

/// What the platform last said of every job that is followed.
///
/// # Guarantees
///
/// - A job is polled at least `min` apart, and at most `max` (and a tenth) apart.
/// - Its object is woken when what the platform says of it changes in kind, not at every poll.
/// - A job that ended is asked for no more.
pub struct Board {
    entries: Mutex<HashMap<String, Entry>>,
    changed: Notify,
    intervals: Intervals,
    links: Links,
}

struct Entry {
    follow: Follow,
    sighting: Sighting,
    due: Due,
    failures: u32,
    search: Search,
    /// Other jobs of the same request.
    doubles: Vec<Job>,
    life: Life,
}

/// Whether other jobs of the same request were looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    At(Instant),
    /// A reading is under way.
    Asked,
    Done,
}

/// Whether an object still wants to know of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Followed,
    /// It ended; only other jobs of its request are looked for.
    Ended,
}

/// When a job is asked for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
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
            changed: Notify::new(),
            intervals,
            links,
        }
    }

    /// Follows a job from now on; at once if it was not followed yet. With a new platform (a
    /// rotated credential) the job is asked for by that one from its next poll on.
    pub fn follow(&self, follow: Follow) {
        let mut entries = self.entries();
        match entries.get_mut(&follow.uid) {
            Some(entry) if entry.follow.job == follow.job => {
                let news = entry.follow.pace != follow.pace;
                entry.follow = follow;
                if news && let Due::At(at) = entry.due {
                    let soon = interval(self.intervals, age(&entry.follow), entry.follow.pace);
                    entry.due = Due::At(at.min(Instant::now() + soon));
                    drop(entries);
                    self.changed.notify_one();
                }
            }
            Some(_) | None => {
                let uid = follow.uid.clone();
                let (sighting, due) = (Sighting::Unseen, Due::At(Instant::now()));
                let left = follow.settled.duration_since(follow.platform.now());
                let search = Instant::now() + Duration::try_from(left).unwrap_or_default();
                entries.insert(
                    uid,
                    Entry {
                        follow,
                        sighting,
                        due,
                        failures: 0,
                        search: Search::At(search),
                        doubles: Vec::new(),
                        life: Life::Followed,
                    },
                );
                drop(entries);
                self.changed.notify_one();
            }
        }
    }

    /// What the platform last said of the job of the object with this UID.
    #[must_use]
    pub fn sighting(&self, uid: &str) -> Sighting {
        self.entries()
            .get(uid)
            .map_or(Sighting::Unseen, |entry| entry.sighting.clone())
    }

    /// Other jobs of the request that made the job of the object with this UID.
    #[must_use]
    pub fn doubles(&self, uid: &str) -> Vec<Job> {
        self.entries()
            .get(uid)
            .map_or_else(Vec::new, |entry| entry.doubles.clone())
    }

    /// What was made of the other jobs of a request is known to whoever had to know.
    pub fn clear_doubles(&self, uid: &str) {
        if let Some(entry) = self.entries().get_mut(uid) {
            entry.doubles.clear();
        }
    }

    /// How many jobs are followed.
    #[must_use]
    pub fn followed(&self) -> usize {
        let entries = self.entries();
        let followed = entries
            .values()
            .filter(|entry| entry.life == Life::Followed);
        followed.count()
    }

    /// The object with this UID has ended; other jobs of its request are still looked for.
    pub fn ended(&self, uid: &str) {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(uid) else {
            return;
        };
        entry.due = Due::Never;
        entry.life = Life::Ended;
        if entry.is_over() {
            drop(entries);
            self.forget(uid);
        }
    }

    /// Forgets the job of the object with this UID.
    pub fn forget(&self, uid: &str) {
        let entry = self.entries().remove(uid);
        if let Some(Entry { follow, .. }) = entry {
            self.links
                .echoes
                .forget(&follow.tenant, follow.job.as_str());
        }
    }

    /// Takes in a reading of a tenant's list: whether it shows request ids, and other jobs of the
    /// requests that made the jobs of this board.
    pub fn take_reading(&self, tenant: &Target, reading: &ListReading) {
        let learned = self.links.echoes.learn(tenant, Place::List, &reading.jobs);
        if learned == Learned::Something {
            (self.links.learned)(tenant);
        }
        let mut by_request: HashMap<&str, Vec<&Job>> = HashMap::new();
        for job in &reading.jobs {
            if let Some(id) = &job.request_id {
                by_request.entry(id).or_default().push(job);
            }
        }
        let mut over = Vec::new();
        for (uid, entry) in self.entries().iter_mut() {
            if entry.follow.tenant != *tenant {
                continue;
            }
            let same = by_request.get(entry.follow.request_id.as_str());
            let doubles: Vec<Job> = same
                .into_iter()
                .flatten()
                .filter(|job| job.id != entry.follow.job)
                .map(|job| (*job).clone())
                .collect();
            if reading.began >= entry.follow.settled && reading.reaches(entry.follow.began) {
                entry.search = Search::Done;
            }
            if !doubles.is_empty() {
                (self.links.wake)(entry.follow.object.clone());
            }
            entry.doubles = doubles;
            if entry.is_over() {
                over.push(uid.clone());
            }
        }
        for uid in &over {
            self.forget(uid);
        }
    }

    /// Asks for a job at once, beside its schedule, and follows it from then on.
    pub async fn look(&self, follow: Follow) -> Sighting {
        let uid = follow.uid.clone();
        self.follow(follow.clone());
        let sighting = self.ask(&follow, &Sighting::Unseen).await;
        self.take(&uid, sighting.clone(), Tell::Nobody);
        sighting
    }

    /// Asks for jobs as they fall due, until the token is cancelled.
    pub async fn run(&self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.turn()).await;
    }

    async fn turn(&self) {
        let mut asking = FuturesUnordered::new();
        loop {
            let now = Instant::now();
            while asking.len() < CONCURRENT_POLLS
                && let Some(work) = self.next_work(now)
            {
                asking.push(self.work(work));
            }
            let full = asking.len() >= CONCURRENT_POLLS;
            let due = self.next_due().filter(|_| !full);
            tokio::select! {
                Some(()) = asking.next() => {}
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = self.changed.notified() => {}
            }
        }
    }

    fn next_work(&self, now: Instant) -> Option<Work> {
        self.next_to_search(now)
            .map(|follow| Work::Search(Box::new(follow)))
            .or_else(|| {
                self.next_to_ask(now)
                    .map(|(follow, before)| Work::Poll(Box::new(follow), before))
            })
    }

    async fn work(&self, work: Work) {
        match work {
            Work::Poll(follow, before) => {
                let sighting = self.ask(&follow, &before).await;
                self.take(&follow.uid, sighting, Tell::Object);
            }
            Work::Search(follow) => self.search(&follow).await,
        }
    }

    /// Looks for other jobs of the requests of a tenant.
    async fn search(&self, follow: &Follow) {
        let Follow {
            platform, tenant, ..
        } = follow;
        let oldest = self.oldest(tenant).unwrap_or(follow.began);
        match self.links.lists.read(platform, tenant, oldest).await {
            Ok(reading) => self.take_reading(tenant, &reading),
            Err(error) => debug!(%error, "the list of jobs was not read"),
        }
        // A reading that failed, or began by a clock that was a little behind, is made again.
        if let Some(entry) = self.entries().get_mut(&follow.uid)
            && entry.search == Search::Asked
        {
            entry.search = Search::At(Instant::now() + self.intervals.min);
        }
    }

    /// When the oldest job of a tenant began whose other jobs are still to be looked for.
    fn oldest(&self, tenant: &Target) -> Option<Timestamp> {
        let entries = self.entries();
        let open = entries
            .values()
            .filter(|entry| entry.follow.tenant == *tenant && entry.search != Search::Done);
        open.map(|entry| entry.follow.began).min()
    }

    /// The next job whose other jobs are due to be looked for; of those of one tenant, one.
    fn next_to_search(&self, now: Instant) -> Option<Follow> {
        let mut entries = self.entries();
        let due: Vec<String> = entries
            .iter()
            .filter(|(_, entry)| matches!(entry.search, Search::At(at) if at <= now))
            .map(|(uid, _)| uid.clone())
            .collect();
        let mut next = None;
        for uid in due {
            let Some(entry) = entries.get_mut(&uid) else {
                continue;
            };
            match self.links.echoes.of(&entry.follow.tenant) {
                Echo::Yes => {
                    entry.search = Search::Asked;
                    next = Some(entry.follow.clone());
                }
                // Nothing tells them apart.
                Echo::No | Echo::Unknown => entry.search = Search::Done,
            }
            if next.is_some() {
                break;
            }
        }
        entries.retain(|_, entry| !entry.is_over());
        next
    }

    fn next_to_ask(&self, now: Instant) -> Option<(Follow, Sighting)> {
        let mut entries = self.entries();
        let entry = entries
            .values_mut()
            .find(|entry| matches!(entry.due, Due::At(at) if at <= now))?;
        entry.due = Due::Asked;
        Some((entry.follow.clone(), entry.sighting.clone()))
    }

    fn next_due(&self) -> Option<Instant> {
        let entries = self.entries();
        let polls = entries.values().filter_map(|entry| match entry.due {
            Due::At(at) => Some(at),
            Due::Asked | Due::Never => None,
        });
        let searches = entries.values().filter_map(|entry| match entry.search {
            Search::At(at) => Some(at),
            Search::Asked | Search::Done => None,
        });
        polls.chain(searches).min()
    }

    /// Asks for a job, and learns from it.
    async fn ask(&self, follow: &Follow, before: &Sighting) -> Sighting {
        let sighting = ask(&follow.platform, &follow.job, before).await;
        if let Sighting::Job { job, batches: _ } = &sighting {
            let learned = self
                .links
                .echoes
                .learn(&follow.tenant, Place::Get, [&**job]);
            if learned == Learned::Something {
                (self.links.learned)(&follow.tenant);
            }
        }
        sighting
    }

    /// Takes an answer in, sets the next poll, and wakes the object if the answer is of another
    /// kind than the one before.
    fn take(&self, uid: &str, answer: Sighting, tell: Tell) {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(uid) else {
            return;
        };
        let age = age(&entry.follow);
        let interval = interval(self.intervals, age, entry.follow.pace);
        entry.failures = match answer {
            Sighting::Trouble(_) => entry.failures.saturating_add(1),
            Sighting::Unseen | Sighting::Missing | Sighting::Job { .. } => 0,
        };
        // One failed poll says little: what was seen before stands until trouble lasts.
        let answer = match answer {
            trouble @ Sighting::Trouble(_) if entry.failures < TROUBLE_AFTER => {
                match &entry.sighting {
                    Sighting::Unseen => trouble,
                    seen => seen.clone(),
                }
            }
            answer => answer,
        };
        entry.due = if is_final(&answer) || entry.life == Life::Ended {
            Due::Never
        } else {
            Due::At(Instant::now() + interval)
        };
        // While batches are waited for a deadline runs, which the pass looks at.
        let news = kind(&answer) != kind(&entry.sighting)
            || waits_for_batches(&entry.sighting)
            || waits_for_batches(&answer);
        debug!(job = %entry.follow.job, object = %entry.follow.object, ?interval, news, "polled");
        entry.sighting = answer;
        if news && tell == Tell::Object {
            (self.links.wake)(entry.follow.object.clone());
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // Nothing that holds this lock can panic half-way through a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call, or one reading.
enum Work {
    Poll(Box<Follow>, Sighting),
    Search(Box<Follow>),
}

impl Entry {
    /// Whether nobody wants to know anything more.
    fn is_over(&self) -> bool {
        match (self.life, self.search) {
            (Life::Followed, _) | (Life::Ended, Search::At(_) | Search::Asked) => false,
            (Life::Ended, Search::Done) => self.doubles.is_empty(),
        }
    }
}

/// Whether an answer wakes its object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tell {
    Object,
    Nobody,
}

fn age(follow: &Follow) -> Duration {
    let age = follow.platform.now().duration_since(follow.began);
    Duration::try_from(age).unwrap_or_default()
}
