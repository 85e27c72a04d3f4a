//! Looking for second jobs: once for each job, when one of the same request would have to show, the
//! list is read back to when the job began. A gateway that repeated a request is found out by it.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::debug;

use super::{
    board::{Board, Follow, Key, lock},
    echo::Place,
    list::ListReading,
};
use crate::{api::Target, decide::export::Echo, platform::Job};

/// The requests whose other jobs are looked for, or were while their own is followed.
#[derive(Default)]
pub(super) struct Requests {
    by_uid: HashMap<String, Request>,
    /// When the list is to be read for those of a client.
    due: HashMap<Arc<Key>, Instant>,
}

struct Request {
    follow: Arc<Follow>,
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
pub(super) enum Life {
    Followed,
    /// It ended; only other jobs of its request are looked for.
    Ended,
    /// It wants to know nothing more.
    Over,
}

impl Requests {
    pub(super) fn len(&self) -> usize {
        self.by_uid.len()
    }

    /// The request of a job that is followed. Gives when its other jobs are looked for, if that is
    /// new.
    pub(super) fn follow(&mut self, follow: &Arc<Follow>) -> Option<Instant> {
        match self.by_uid.entry(follow.uid.clone()) {
            Entry::Occupied(mut same) if same.get().follow.job == follow.job => {
                let request = same.get_mut();
                let at = match request.search {
                    Search::At(at) => Some(at),
                    Search::Asked | Search::Done => None,
                };
                let moved = !Arc::ptr_eq(&request.follow.client.key, &follow.client.key);
                request.follow = Arc::clone(follow);
                at.filter(|_| moved)
                    .inspect(|at| self.expect(&follow.client.key, *at))
            }
            other => {
                let left = follow.settled.duration_since(follow.client.polls.now());
                let at = Instant::now() + Duration::try_from(left).unwrap_or_default();
                other.insert_entry(Request {
                    follow: Arc::clone(follow),
                    search: Search::At(at),
                    doubles: Vec::new(),
                    life: Life::Followed,
                });
                self.expect(&follow.client.key, at);
                Some(at)
            }
        }
    }

    /// When the list is to be read next for clients that fulfil a condition.
    pub(super) fn due(&self, is_meant: impl Fn(&Arc<Key>) -> bool) -> Option<(&Arc<Key>, Instant)> {
        let due = self.due.iter().filter(|(key, _)| is_meant(key));
        due.map(|(key, at)| (key, *at)).min_by_key(|(_, at)| *at)
    }

    /// Whether the list is to be read for those of a client.
    pub(super) fn are_due(&self, key: &Arc<Key>) -> bool {
        self.due.contains_key(key)
    }

    /// Has the list read for those of a client by this time.
    fn expect(&mut self, key: &Arc<Key>, at: Instant) {
        let due = self.due.entry(Arc::clone(key)).or_insert(at);
        *due = at.min(*due);
    }

    fn of<'a>(&'a mut self, key: &'a Arc<Key>) -> impl Iterator<Item = &'a mut Request> {
        let theirs = |request: &&mut Request| Arc::ptr_eq(&request.follow.client.key, key);
        self.by_uid.values_mut().filter(theirs)
    }

    /// Counts anew when the list is to be read for those of a client, and forgets those that nobody
    /// wants to know anything of. Gives these.
    fn tidy(&mut self, key: &Arc<Key>) -> Vec<Arc<Follow>> {
        let next = self.of(key).filter_map(|request| match request.search {
            Search::At(at) => Some(at),
            Search::Asked | Search::Done => None,
        });
        match next.min() {
            Some(at) => self.due.insert(Arc::clone(key), at),
            None => self.due.remove(key),
        };
        let over = self.by_uid.extract_if(|_, request| request.is_over());
        over.map(|(_, request)| request.follow).collect()
    }
}

impl Request {
    /// Whether nobody wants to know anything more.
    fn is_over(&self) -> bool {
        match (self.life, self.search) {
            (Life::Followed, _) | (Life::Ended, Search::At(_) | Search::Asked) => false,
            (Life::Ended, Search::Done) => self.doubles.is_empty(),
            (Life::Over, _) => true,
        }
    }

    /// How long a second job may take to show.
    fn window(&self) -> Duration {
        let Follow { began, settled, .. } = &*self.follow;
        Duration::try_from(settled.duration_since(*began)).unwrap_or_default()
    }
}

impl Board {
    /// Other jobs of the request that made the job of the object with this UID.
    #[must_use]
    pub fn doubles(&self, uid: &str) -> Vec<Job> {
        let requests = lock(&self.requests);
        let request = requests.by_uid.get(uid);
        request.map_or_else(Vec::new, |request| request.doubles.clone())
    }

    /// What was made of the other jobs of a request is known to whoever had to know.
    pub fn clear_doubles(&self, uid: &str) {
        if let Some(request) = lock(&self.requests).by_uid.get_mut(uid) {
            request.doubles.clear();
        }
    }

    /// An object wants to know less of its job.
    pub(super) fn let_go(&self, uid: &str, life: Life) {
        let mut requests = lock(&self.requests);
        let Some(request) = requests.by_uid.get_mut(uid) else {
            return;
        };
        request.life = life;
        if request.is_over() {
            let request = requests.by_uid.remove(uid);
            drop(requests);
            self.told_no_more(request.map(|request| request.follow));
        }
    }

    /// What replies told of jobs is of no use any more.
    fn told_no_more(&self, follows: impl IntoIterator<Item = Arc<Follow>>) {
        for follow in follows {
            let tenant = follow.client.tenant();
            self.links.echoes.forget(tenant, follow.job.as_str());
        }
    }

    /// Takes in a reading of a tenant's list: whether it shows request ids, and other jobs of the
    /// requests that made the jobs of this board.
    pub fn take_reading(&self, tenant: &Target, reading: &ListReading) {
        let learned = self.links.echoes.learn(tenant, Place::List, &reading.jobs);
        self.tell_if(learned, tenant);
        let mut by_request: HashMap<&str, Vec<&Job>> = HashMap::new();
        for job in &reading.jobs {
            if let Some(id) = &job.request_id {
                by_request.entry(id).or_default().push(job);
            }
        }
        let mut requests = lock(&self.requests);
        let mut keys: Vec<Arc<Key>> = Vec::new();
        for request in requests.by_uid.values_mut() {
            let follow = &request.follow;
            if follow.client.tenant() != tenant {
                continue;
            }
            if !keys.iter().any(|key| Arc::ptr_eq(key, &follow.client.key)) {
                keys.push(Arc::clone(&follow.client.key));
            }
            let same = by_request.get(follow.request_id.as_str());
            request.doubles = same
                .into_iter()
                .flatten()
                .filter(|job| job.id != follow.job)
                .map(|job| (*job).clone())
                .collect();
            if reading.began >= follow.settled && reading.reaches(follow.began) {
                request.search = Search::Done;
            }
            if !request.doubles.is_empty() {
                (follow.wake)();
            }
        }
        let over: Vec<_> = keys.iter().flat_map(|key| requests.tidy(key)).collect();
        drop(requests);
        self.told_no_more(over);
    }

    /// Looks for other jobs of the requests of a client, if it is time to.
    pub(super) async fn search(&self, key: &Arc<Key>) {
        let Some(follow) = self.next_to_search(key) else {
            return;
        };
        let (source, tenant) = (&*follow.client.polls, follow.client.tenant());
        let oldest = self.oldest(tenant).unwrap_or(follow.began);
        let began = Instant::now();
        let mut again = self.intervals.min;
        match self.links.lists.read(source, tenant, oldest).await {
            Ok(reading) => {
                self.searched(key, began);
                self.take_reading(tenant, &reading);
            }
            Err(error) => {
                again = again.max(error.retry_after().unwrap_or_default());
                debug!(%error, "the list of jobs was not read");
            }
        }
        // A reading that failed, or began by a clock that was a little behind, is made again.
        let mut requests = lock(&self.requests);
        let at = Instant::now() + again;
        for request in requests.of(key) {
            if request.search == Search::Asked {
                request.search = Search::At(at);
            }
        }
        let over = requests.tidy(key);
        drop(requests);
        self.told_no_more(over);
    }

    /// When the oldest job of a tenant began whose other jobs are still to be looked for.
    fn oldest(&self, tenant: &Target) -> Option<Timestamp> {
        let requests = lock(&self.requests);
        let open = requests.by_uid.values().filter(|request| {
            request.follow.client.tenant() == tenant && request.search != Search::Done
        });
        open.map(|request| request.follow.began).min()
    }

    /// A job whose other jobs are due to be looked for: the reading serves the others, too.
    ///
    /// A reading goes back as far as a second job may take to show, and serves all that began since
    /// the one before. So the next one is made as much later: of exports that follow each other
    /// each page is read twice, and not again for each export.
    fn next_to_search(&self, key: &Arc<Key>) -> Option<Arc<Follow>> {
        let now = Instant::now();
        let searched = lock(&self.desks).get(key).and_then(|desk| desk.searched);
        let mut requests = lock(&self.requests);
        if requests.due.get(key).is_none_or(|at| *at > now) {
            return None;
        }
        let echo = self.links.echoes.of(&key.tenant);
        let mut next = None;
        for request in requests.of(key) {
            if !matches!(request.search, Search::At(at) if at <= now) {
                continue;
            }
            request.search = match echo {
                Echo::Yes => match searched.map(|searched| searched + request.window()) {
                    Some(after) if after > now => Search::At(after),
                    Some(_) | None => {
                        next.get_or_insert_with(|| Arc::clone(&request.follow));
                        Search::Asked
                    }
                },
                // Nothing tells them apart.
                Echo::No | Echo::Unknown => Search::Done,
            };
        }
        let over = requests.tidy(key);
        drop(requests);
        self.told_no_more(over);
        next
    }
}
