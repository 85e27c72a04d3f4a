//! The board's rounds: what is due is asked for with the fewest calls.
//!
//! The jobs of one client are asked for by one round at a time. It reads as many pages of the list
//! as save calls, takes in what they show of all jobs that are followed, due or not, and asks for
//! the others by their ids. So are those that the list says have ended: the end is never taken from
//! a list.

use std::{collections::HashMap, sync::Arc};

use futures::{StreamExt, stream, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    ask::{Answer, Sent, ask},
    board::{Board, Client, Due, Entry, Follow, Key, Tell, lock},
    echo,
    list::PAGE,
    plan::{Place, pages},
    source::Source,
};
use crate::{
    decide::export::{Batches, Sighting},
    platform::{Job, JobId, JobState},
};

/// How many jobs of one client are asked for at once: enough that one slow reply delays nobody
/// much, few enough that many are no flood.
const CONCURRENT_POLLS: usize = 8;
/// A job that falls due within this part of its interval is asked for with those that are due.
const TOGETHER: f64 = 0.2;

/// So often in a row a job is believed that a list shows: what the list shows may be older than what
/// the platform says of the job itself, and stay so.
pub(super) const LISTED: u32 = 60;
/// As many jobs cost as many calls by their ids, and one by a page.
const WORTH_A_PAGE: usize = 2;

/// What is known of the list of one tenant, as one client sees it.
pub(super) struct Desk {
    round: Round,
    /// Records of a full page: what the platform gives may be less than what is asked for.
    page: usize,
    /// New records a second, ours and others'.
    growth: f64,
    /// When other jobs of requests were last looked for.
    pub(super) searched: Option<Instant>,
}

/// Whether a round is under way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    UnderWay,
    Over,
}

/// A job that is to be asked for.
struct Wanted {
    follow: Arc<Follow>,
    before: Sighting,
    /// Where the list is taken to show it.
    place: Option<Place>,
    /// So often in a row it was only seen in lists.
    listed: u32,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            round: Round::Over,
            page: PAGE as usize,
            growth: 0.0,
            searched: None,
        }
    }
}

impl Board {
    /// Asks for jobs as they fall due, until the token is cancelled.
    pub async fn run(&self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.turn()).await;
    }

    async fn turn(&self) {
        let mut rounds = FuturesUnordered::new();
        loop {
            let now = Instant::now();
            while let Some(key) = self.next_round(now) {
                rounds.push(self.round(key));
            }
            let due = self.next_due();
            tokio::select! {
                Some(()) = rounds.next() => {}
                () = tokio::time::sleep_until(due.unwrap_or(now)), if due.is_some() => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// A client for which something is due and no round is under way; one is from now on.
    fn next_round(&self, now: Instant) -> Option<Arc<Key>> {
        let (at, key) = self.next_of_idle()?;
        if at > now {
            return None;
        }
        let mut desks = lock(&self.desks);
        desks.entry(Arc::clone(&key)).or_default().round = Round::UnderWay;
        Some(key)
    }

    /// When the next round is due of those that are not under way: what falls due before that has
    /// to say so.
    fn next_due(&self) -> Option<Instant> {
        let due = self.next_of_idle().map(|(at, _)| at);
        *lock(&self.wakes) = due;
        due
    }

    /// The client for which something is due first, of those for which no round is under way.
    fn next_of_idle(&self) -> Option<(Instant, Arc<Key>)> {
        let entries = self.entries();
        let busy: Vec<Arc<Key>> = {
            let desks = lock(&self.desks);
            let busy = desks
                .iter()
                .filter(|(_, desk)| desk.round == Round::UnderWay);
            busy.map(|(key, _)| Arc::clone(key)).collect()
        };
        let is_idle = |key: &Arc<Key>| !busy.iter().any(|busy| Arc::ptr_eq(busy, key));
        let poll = entries
            .values()
            .filter(|entry| is_idle(entry.key()))
            .filter_map(|entry| Some((entry.due_at()?, entry.key())))
            .min_by_key(|(at, _)| *at);
        let requests = lock(&self.requests);
        let search = requests.due(is_idle).map(|(key, at)| (at, key));
        let first = poll.into_iter().chain(search).min_by_key(|(at, _)| *at);
        first.map(|(at, key)| (at, Arc::clone(key)))
    }

    /// One round for the jobs of one client.
    async fn round(&self, key: Arc<Key>) {
        self.search(&key).await;
        let wanted = self.wanted(&key);
        if let Some(first) = wanted.first() {
            let client = first.follow.client.clone();
            let left = self.read_pages(&key, &client, wanted).await;
            stream::iter(left)
                .for_each_concurrent(
                    CONCURRENT_POLLS,
                    |Wanted { follow, before, .. }| async move {
                        let source = &*follow.client.polls;
                        let answer = self.ask(source, &follow, &before).await;
                        self.take(&follow, answer, Tell::Object);
                    },
                )
                .await;
        }
        self.close(&key);
    }

    /// A round is over. Nothing is kept for a client that nobody follows a job with.
    fn close(&self, key: &Arc<Key>) {
        let entries = self.entries();
        let requests = lock(&self.requests);
        let mut desks = lock(&self.desks);
        if let Some(desk) = desks.get_mut(key) {
            desk.round = Round::Over;
        }
        let is_used = |key: &Arc<Key>| {
            requests.are_due(key) || entries.values().any(|entry| entry.is_of(key))
        };
        desks.retain(|key, desk| desk.round == Round::UnderWay || is_used(key));
    }

    /// Other jobs of the requests of a client were looked for by a reading that began then.
    pub(super) fn searched(&self, key: &Arc<Key>, began: Instant) {
        lock(&self.desks)
            .entry(Arc::clone(key))
            .or_default()
            .searched = Some(began);
    }

    /// The jobs that are due, or nearly.
    fn wanted(&self, key: &Arc<Key>) -> Vec<Wanted> {
        let now = Instant::now();
        let mut entries = self.entries();
        let growth = lock(&self.desks).get(key).map_or(0.0, |desk| desk.growth);
        let mut wanted = Vec::new();
        for entry in entries.values_mut().filter(|entry| entry.is_of(key)) {
            let early = entry.interval.mul_f64(TOGETHER);
            if !matches!(entry.due, Due::At(at) if at <= now + early) {
                continue;
            }
            entry.due = Due::Asked;
            let listed = entry.listed;
            if listed >= LISTED {
                entry.listed = 0;
            }
            let place = entry.place.map(|(before, seen)| Place {
                before: count(before),
                moved: growth * now.duration_since(seen).as_secs_f64(),
            });
            wanted.push(Wanted {
                follow: Arc::clone(&entry.follow),
                before: entry.sighting.clone(),
                place,
                listed,
            });
        }
        if wanted.iter().any(|wanted| wanted.place.is_none()) {
            let theirs = entries.values().filter(|entry| entry.is_of(key));
            let newer = places(theirs.map(|entry| &*entry.follow));
            for Wanted { follow, place, .. } in &mut wanted {
                // At least ours that are newer are before a job that the list has not shown yet.
                let before = newer.get(&follow.job).copied().unwrap_or_default();
                place.get_or_insert(Place {
                    before: count(before),
                    moved: 0.0,
                });
            }
        }
        wanted
    }

    /// Reads as many pages of the list as save calls. Gives the jobs that are still to be asked
    /// for by their ids.
    async fn read_pages(
        &self,
        key: &Arc<Key>,
        client: &Client,
        wanted: Vec<Wanted>,
    ) -> Vec<Wanted> {
        let page = lock(&self.desks)
            .get(key)
            .map_or(PAGE as usize, |desk| desk.page);
        let (listed, mut left): (Vec<_>, Vec<_>) = wanted.into_iter().partition(Wanted::is_listed);
        let places: Vec<Place> = listed.iter().filter_map(|wanted| wanted.place).collect();
        let number = pages(&places, page);
        if number == 0 {
            left.extend(listed);
            return left;
        }
        let mut open: HashMap<JobId, Wanted> = HashMap::new();
        for wanted in listed {
            // Two objects may have one job on record: the second is asked for by its id.
            if let Some(same) = open.insert(wanted.follow.job.clone(), wanted) {
                left.push(same);
            }
        }
        let mut read: Vec<Job> = Vec::new();
        let followed = self.followed_with(key);
        let (mut cursor, mut shown) = (None, 0);
        for pages in 0.. {
            // Beyond what was planned as long as a page shows more of them than one call would.
            if pages >= number && (shown < WORTH_A_PAGE || open.len() < WORTH_A_PAGE) {
                break;
            }
            let page = match client.polls.page(cursor.as_ref(), PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    debug!(%error, "a page of the list of jobs was not read");
                    for wanted in open.into_values() {
                        self.take(&wanted.follow, Answer::failed(&error), Tell::Object);
                    }
                    return left;
                }
            };
            let full = page
                .next
                .is_some()
                .then_some(page.jobs.len() + page.unreadable);
            let before = open.len();
            left.extend(self.show(key, &page.jobs, &followed, &mut open));
            shown = before - open.len();
            read.extend(page.jobs);
            if let Some(records) = full.filter(|records| *records > 0) {
                lock(&self.desks).entry(Arc::clone(key)).or_default().page = records;
            }
            cursor = page.next;
            if open.is_empty() || cursor.is_none() {
                break;
            }
        }
        self.place(key, &read, &open);
        left.extend(open.into_values());
        left
    }

    /// Takes in what a page shows. Gives the jobs that it shows to have ended: what they came to is
    /// asked for by their ids.
    fn show(
        &self,
        key: &Key,
        jobs: &[Job],
        followed: &HashMap<JobId, Arc<Follow>>,
        open: &mut HashMap<JobId, Wanted>,
    ) -> Vec<Wanted> {
        let mut ended = Vec::new();
        let learned = self
            .links
            .echoes
            .learn(&key.tenant, echo::Place::List, jobs);
        self.tell_if(learned, &key.tenant);
        for job in jobs {
            let wanted = open.remove(&job.id);
            let follow = wanted.as_ref().map(|wanted| Arc::clone(&wanted.follow));
            let follow = follow.or_else(|| followed.get(&job.id).cloned());
            match (job.state(), wanted, follow) {
                (JobState::Running | JobState::Unknown, _, Some(follow)) => {
                    let sighting = Sighting::Job {
                        job: Box::new(job.clone()),
                        batches: Batches::NotAsked,
                    };
                    let answer = Answer {
                        sighting,
                        floor: None,
                        sent: Sent::Yes,
                    };
                    self.show_one(&follow, answer);
                }
                (_, Some(wanted), _) => ended.push(wanted),
                (
                    JobState::Succeeded | JobState::Failed | JobState::Cancelled,
                    None,
                    Some(follow),
                ) => {
                    // Not due yet, and over: asked for in the next round, which is now.
                    self.hasten(&follow.uid);
                }
                (_, None, None) => {}
            }
        }
        ended
    }

    /// The jobs that are followed with a client.
    fn followed_with(&self, key: &Arc<Key>) -> HashMap<JobId, Arc<Follow>> {
        let entries = self.entries();
        let theirs = entries.values().filter(|entry| entry.is_of(key));
        let follows = theirs.map(|entry| &entry.follow);
        follows
            .map(|follow| (follow.job.clone(), Arc::clone(follow)))
            .collect()
    }

    /// Takes in what a list shows of a job, unless it is being asked for by its id elsewhere.
    fn show_one(&self, follow: &Follow, answer: Answer) {
        let may = self.entries().get_mut(&follow.uid).is_some_and(|entry| {
            entry.listed = entry.listed.saturating_add(1);
            entry.due != Due::Never && entry.is_listed()
        });
        if may {
            self.take(follow, answer, Tell::Object);
        }
    }

    fn hasten(&self, uid: &str) {
        if let Some(entry) = self.entries().get_mut(uid)
            && let Due::At(at) = entry.due
            && entry.is_listed()
        {
            entry.due = Due::At(at.min(Instant::now()));
        }
    }

    /// Takes note of where jobs are in the list.
    fn place(&self, key: &Arc<Key>, read: &[Job], missed: &HashMap<JobId, Wanted>) {
        let now = Instant::now();
        let shown: HashMap<&JobId, usize> = read
            .iter()
            .enumerate()
            .map(|(n, job)| (&job.id, n))
            .collect();
        let further = places(missed.values().map(|wanted| &*wanted.follow));
        let mut rates = Vec::new();
        for entry in self.entries().values_mut().filter(|entry| entry.is_of(key)) {
            let job = &entry.follow.job;
            // What was not shown is further down, at least.
            let further = further.get(job).map(|before| read.len() + before);
            let Some(place) = shown.get(job).copied().or(further) else {
                continue;
            };
            if let Some((before, seen)) = entry.place {
                let passed = now.duration_since(seen).as_secs_f64();
                if passed > 0.0 {
                    rates.push(count(place.saturating_sub(before)) / passed);
                }
            }
            entry.place = Some((place, now));
        }
        if !rates.is_empty() {
            let growth = rates.iter().sum::<f64>() / count(rates.len());
            lock(&self.desks).entry(Arc::clone(key)).or_default().growth = growth;
        }
    }

    /// Asks for a job, and learns from it.
    pub(super) async fn ask(
        &self,
        source: &dyn Source,
        follow: &Follow,
        before: &Sighting,
    ) -> Answer {
        let answer = ask(source, &follow.job, before).await;
        if let Sighting::Job { job, batches: _ } = &answer.sighting {
            let tenant = follow.client.tenant();
            let echoes = &self.links.echoes;
            let learned = echoes.learn(tenant, echo::Place::Get, [&**job]);
            self.tell_if(learned, tenant);
        }
        answer
    }
}

impl Wanted {
    /// Whether the list may tell how the job is: not of one that succeeded, whose batches are
    /// waited for, nor of one that is missing, which the platform said of it by its id.
    fn is_listed(&self) -> bool {
        is_listed(&self.before) && self.listed < LISTED
    }
}

fn is_listed(before: &Sighting) -> bool {
    match before {
        Sighting::Job { job, batches: _ } => match job.state() {
            JobState::Running | JobState::Unknown => true,
            JobState::Succeeded | JobState::Failed | JobState::Cancelled => false,
        },
        Sighting::Unseen | Sighting::Trouble(_) => true,
        Sighting::Missing => false,
    }
}

/// How many of these jobs are newer than each.
fn places<'a>(follows: impl Iterator<Item = &'a Follow>) -> HashMap<&'a JobId, usize> {
    let mut newest: Vec<_> = follows.map(Follow::age).collect();
    newest.sort_unstable_by(|one, other| other.cmp(one));
    newest
        .into_iter()
        .enumerate()
        .map(|(newer, (_, _, job))| (job, newer))
        .collect()
}

impl Follow {
    /// Where the job stands among others in the list: by its time and, of the same time, by its
    /// number.
    fn age(&self) -> (Timestamp, usize, &JobId) {
        (self.began, self.job.as_str().len(), &self.job)
    }
}

impl Entry {
    fn key(&self) -> &Arc<Key> {
        &self.follow.client.key
    }

    fn is_of(&self, key: &Arc<Key>) -> bool {
        Arc::ptr_eq(self.key(), key)
    }

    fn is_listed(&self) -> bool {
        is_listed(&self.sighting)
    }

    /// When it is asked for.
    fn due_at(&self) -> Option<Instant> {
        match self.due {
            Due::At(at) => Some(at),
            Due::Asked | Due::Never => None,
        }
    }
}

/// A number of records. (No list has so many that it is not exact.)
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count(records: usize) -> f64 {
    records as f64
}
