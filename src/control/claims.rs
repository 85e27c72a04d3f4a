//! Which jobs and datasets the exports of this process claim, so that no job becomes two objects'
//! and no two submissions that could not be told apart go into one dataset at a time.

mod records;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::time::Instant;

use self::records::{Claim, Record, Records, State, claim, is_untaken};
use super::{dependencies::is_ended, pokes::Pokes, written::version};
use crate::{
    api::{ExportJob, RESTORED_LABEL, Target},
    decide::export::{self, Title},
    platform::JobId,
};

/// How many of those that wait for a dataset are woken when it becomes free: one will have it, and
/// the others make up for one that wants it no more.
const WOKEN: usize = 8;

/// What the exports of a process claim.
///
/// # Guarantees
///
/// - A dataset that is taken exclusively is taken by one object at a time, from before its intent
///   until its job's id or that there is none is on record.
/// - What a deleted object had stays claimed until no job of it can appear any more.
/// - Nothing is kept of an object that is gone and whose time is over.
#[derive(Default)]
pub struct Claims {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Every object that is there.
    records: Records,
    /// Who is about to submit, by UID: from before the intent until what became of it is on
    /// record.
    taken: HashMap<String, Target>,
    waiting: Vec<Waiting>,
    tombstones: Vec<Tombstone>,
    /// The attempts that this process saw begin, or looked for, by UID.
    begun: HashMap<String, Begun>,
    /// Before this time an object may have been deleted unnoticed.
    complete_from: Option<Instant>,
    /// When everything was last listed.
    listed: Option<Instant>,
}

/// An attempt that this process saw begin, or looked for.
struct Begun {
    attempt: i64,
    /// Whether it was on record that its request was sent.
    sent: Sent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    NotYet,
    OnRecord,
}

struct Waiting {
    target: Target,
    object: ObjectRef<ExportJob>,
    wake: Arc<Pokes<ExportJob>>,
}

/// What a deleted object had.
struct Tombstone {
    uid: String,
    record: Record,
    /// By the platform's clock.
    until: Timestamp,
    /// By this machine's: not before that, whatever the platform's clock shows.
    over: Instant,
}

impl Claims {
    /// Takes note of an object as the API server has it, unless something newer was seen of it.
    pub fn observe(&self, export: &ExportJob) {
        let Some(uid) = export.uid() else { return };
        let mut inner = self.inner();
        let known = inner.records.get(&uid);
        if known.is_some_and(|known| known.version > version(export)) {
            return;
        }
        // It was another shard's, and is back.
        inner.tombstones.retain(|tombstone| tombstone.uid != uid);
        // Should this submission be missing from a later state of the object, that one is of a
        // backup: the attempt may then have been submitted before.
        if let Some(attempt) = sent_attempt(export)
            && let Some(begun) = inner.begun.get_mut(&uid)
            && begun.attempt == attempt
        {
            begun.sent = Sent::OnRecord;
        }
        if is_ended(export) {
            inner.begun.remove(&uid);
        }
        let before = inner.records.put(&uid, export);
        let free = match (before, inner.records.claim(&uid)) {
            (_, Some(claim)) => (claim.state == State::Settled).then(|| Arc::clone(&claim.target)),
            (Some(before), None) => Some(before.target),
            (None, None) => None,
        };
        if let Some(target) = free {
            inner.wake(&target);
        }
    }

    /// Takes note of an object that a watch brought as new or changed: what this process saw
    /// appear without a submission, nobody can have submitted before.
    pub fn present(&self, export: &ExportJob) {
        let Some(uid) = export.uid() else { return };
        let fresh = export
            .status
            .as_ref()
            .is_none_or(|status| status.submission.is_none() && status.attempts.is_empty());
        // What a backup tool puts there was there before.
        let restored = export.labels().contains_key(RESTORED_LABEL);
        {
            let mut inner = self.inner();
            if fresh && !restored && inner.records.get(&uid).is_none() {
                inner.begun.insert(uid, Begun::new(1));
            }
        }
        self.observe(export);
    }

    /// Takes note of an object that the watch of a shard brought as new or changed. It may have
    /// been another shard's before: nobody here saw it begin, and what was deleted there while it
    /// was submitted, left no trace here.
    pub fn arrived(&self, export: &ExportJob, window: SignedDuration) {
        let Some(uid) = export.uid() else { return };
        let open = claim(export).is_some_and(|claim| claim.state == State::Open);
        if open && self.inner().records.get(&uid).is_none() {
            self.unsure_for(window);
        }
        self.observe(export);
    }

    /// Everything in a namespace, or in all, is about to be listed anew. The API server may have
    /// been restored from a backup: versions go on from an older one.
    pub fn listing(&self, namespace: Option<&str>) {
        self.inner().records.doubt(namespace);
    }

    /// A list shows an object.
    pub fn list(&self, export: &ExportJob) {
        if let Some(uid) = export.uid() {
            self.inner().records.confirm(&uid);
        }
        self.observe(export);
    }

    /// What could be submitted into the same datasets may have been deleted unnoticed until now.
    pub fn unsure_for(&self, window: SignedDuration) {
        let window = Duration::try_from(window).unwrap_or_default();
        let time = Instant::now() + window;
        let mut inner = self.inner();
        inner.complete_from = inner.complete_from.map(|complete| complete.max(time));
    }

    /// Everything in a namespace, or in all, was listed anew: what was listed already, and these.
    /// Gives the UIDs of those that are not there any more. No attempt that is not on record counts
    /// as seen from its beginning.
    pub fn relisted(
        &self,
        namespace: Option<&str>,
        exports: &[Arc<ExportJob>],
        window: SignedDuration,
    ) -> Vec<String> {
        {
            let mut inner = self.inner();
            inner.begun.clear();
            inner.listed = Some(Instant::now());
        }
        for export in exports {
            self.list(export);
        }
        let gone = self.inner().records.doubted(namespace);
        for uid in &gone {
            self.gone(uid, window);
        }
        gone
    }

    /// From this time on no deletion goes unnoticed.
    pub fn complete_from(&self, time: Instant) {
        self.inner().complete_from.get_or_insert(time);
    }

    /// When everything was last listed: what was submitted before that and is not on record, a
    /// reading of the platform's list shows that begins after it.
    #[must_use]
    pub fn listed(&self) -> Instant {
        self.inner().listed.unwrap_or_else(Instant::now)
    }

    /// An attempt began in this process, or a job of it was looked for.
    pub fn begun(&self, uid: &str, attempt: i64) {
        let begun = Begun::new(attempt);
        self.inner().begun.insert(uid.to_owned(), begun);
    }

    /// An attempt failed, and another follows. This process sees that one begin if it saw the
    /// failed one begin; else that one may have been sent before, by a record that a restored
    /// backup has lost.
    pub fn failed(&self, uid: &str, attempt: i64) {
        let mut inner = self.inner();
        let begun = inner.begun.remove(uid);
        if begun.is_some_and(|begun| begun.attempt == attempt) {
            let next = Begun::new(attempt.saturating_add(1));
            inner.begun.insert(uid.to_owned(), next);
        }
    }

    /// Whether this process saw the attempt begin.
    #[must_use]
    pub fn has_begun(&self, uid: &str, attempt: i64) -> bool {
        self.inner()
            .begun
            .get(uid)
            .is_some_and(|begun| begun.attempt == attempt && begun.sent == Sent::NotYet)
    }

    /// An object is gone. A job of it may appear until its submission's time is over.
    pub fn gone(&self, uid: &str, window: SignedDuration) {
        let mut inner = self.inner();
        inner.begun.remove(uid);
        let taken = inner.taken.remove(uid);
        let record = inner.records.remove(uid);
        if let Some(target) = &taken {
            inner.wake(target);
        }
        if let Some(record) = record
            && let Some(claim) = &record.claim
        {
            inner.wake(&claim.target);
            let until = claim
                .intent_time
                .saturating_add(window + window)
                .unwrap_or(Timestamp::MAX);
            let (uid, record) = (uid.to_owned(), record.apart());
            let over = Instant::now() + Duration::try_from(window + window).unwrap_or_default();
            let tombstone = Tombstone {
                uid,
                record,
                until,
                over,
            };
            inner.tombstones.push(tombstone);
        }
        inner.bury();
    }

    /// Others that are not settled in the same dataset.
    #[must_use]
    pub fn rivals(&self, uid: &str, target: &Target) -> Vec<String> {
        self.inner().rivals(uid, target)
    }

    /// Wakes an object once the dataset may be free.
    pub fn await_turn(
        &self,
        target: &Target,
        object: ObjectRef<ExportJob>,
        wake: &Arc<Pokes<ExportJob>>,
    ) {
        let mut inner = self.inner();
        if !inner.waiting.iter().any(|waiting| waiting.object == object) {
            inner.waiting.push(Waiting {
                target: target.clone(),
                object,
                wake: Arc::clone(wake),
            });
        }
    }

    /// Takes a dataset for a submission; shared, if its job can be told from all others.
    pub fn take(&self, uid: &str, target: &Target, share: Share) -> Taken {
        let mut inner = self.inner();
        match share {
            Share::Exclusive if !inner.rivals(uid, target).is_empty() => Taken::No,
            Share::Exclusive | Share::Shared => {
                inner.taken.insert(uid.to_owned(), target.clone());
                Taken::Yes
            }
        }
    }

    /// It is known by now whether jobs can be told apart: all that wait may look again.
    pub fn wake_all(&self, tenant: &Target) {
        self.inner().waiting.retain(|waiting| {
            let theirs = tenant.is_same_tenant(&waiting.target);
            if theirs {
                waiting.wake.poke(waiting.object.clone());
            }
            !theirs
        });
    }

    /// What became of a submission is on record, or nothing was recorded at all.
    pub fn release(&self, uid: &str) {
        let mut inner = self.inner();
        if let Some(target) = inner.taken.remove(uid) {
            inner.wake(&target);
        }
    }

    /// Whether an object has this job on record, or had it when it was deleted.
    #[must_use]
    pub fn is_claimed(&self, target: &Target, job: &JobId) -> bool {
        let inner = self.inner();
        let mut deleted = inner.tombstones.iter().filter_map(Tombstone::claim);
        let mut known = inner.records.holders(target, job);
        known.next().is_some() || deleted.any(|claim| claim.has(target, job))
    }

    /// Whether another object of the cluster had the job on record before this one, by a submission
    /// that was made for it.
    #[must_use]
    pub fn title(&self, cluster: &str, uid: &str, target: &Target, job: &JobId) -> Title {
        let inner = self.inner();
        let Some(own) = inner.records.claim(uid) else {
            return Title::Clear;
        };
        let mut others = inner.records.holders(target, job);
        let contested = others.any(|(other, claim)| {
            other != uid
                && (claim.intent_time, other) < (own.intent_time, uid)
                && claim.is_of(cluster, other)
        });
        if contested {
            Title::Contested
        } else {
            Title::Clear
        }
    }

    /// What others claim, from the objects as they were just listed, and from what is in memory.
    #[must_use]
    pub fn facts(
        &self,
        uid: &str,
        target: &Target,
        now: Timestamp,
        listed: &[ExportJob],
    ) -> export::Claims {
        let mut inner = self.inner();
        inner.tombstones.retain(|tombstone| tombstone.until > now);
        let mut claims = export::Claims {
            complete_from: inner.complete_from(now),
            ..export::Claims::default()
        };
        let listed: HashMap<String, Record> = listed
            .iter()
            .filter_map(|export| Some((export.uid()?, Record::of(export, claim(export)?))))
            .collect();
        let own = inner.records.namespace(uid);
        let reader = own.as_deref();
        let known = inner.records.iter();
        let unlisted = known.filter(|(other, _)| !listed.contains_key(*other));
        let listed = listed.iter().map(|(uid, record)| (uid.as_str(), record));
        for (other, record) in unlisted.chain(listed) {
            let Some(claim) = &record.claim else { continue };
            // Ours, while it is open: the jobs of earlier attempts.
            if other == uid && target.is_same_tenant(&claim.target) {
                claims.jobs.extend(claim.jobs.iter().cloned());
            } else {
                record.add_to(&mut claims, target, (reader, ""));
            }
        }
        for Tombstone {
            uid: _,
            record,
            until: _,
            over: _,
        } in &inner.tombstones
        {
            record.add_to(&mut claims, target, (reader, " (deleted)"));
        }
        claims
    }

    /// How many objects are kept in mind, those that are gone included.
    #[must_use]
    pub fn kept(&self) -> usize {
        let mut inner = self.inner();
        inner.bury();
        inner.records.iter().count()
            + inner.taken.len()
            + inner.waiting.len()
            + inner.tombstones.len()
            + inner.begun.len()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Forgets the deleted objects of which no job can appear any more.
    fn bury(&mut self) {
        let now = Instant::now();
        self.tombstones.retain(|tombstone| tombstone.over > now);
    }

    /// From when on no deletion goes unnoticed, by a clock that shows `now`.
    fn complete_from(&self, now: Timestamp) -> Timestamp {
        let left = match self.complete_from {
            None => return Timestamp::MAX,
            Some(time) => time.saturating_duration_since(Instant::now()),
        };
        if left.is_zero() {
            return Timestamp::MIN;
        }
        now.checked_add(left).unwrap_or(Timestamp::MAX)
    }

    fn rivals(&self, uid: &str, target: &Target) -> Vec<String> {
        let own = self.records.namespace(uid);
        let reader = own.as_deref();
        let on_record = self
            .records
            .open(target)
            .filter(|(other, _)| *other != uid)
            .map(|(_, record)| record.title(reader));
        let others = self
            .taken
            .iter()
            .filter(|(other, taken)| *other != uid && *taken == target);
        let about_to = others.filter_map(|(other, _)| {
            let record = self.records.get(other);
            match record.and_then(|record| Some((record, record.claim.as_ref()?))) {
                None => Some("another export".to_owned()),
                // Another try of it.
                Some((record, claim)) if claim.state == State::Settled => {
                    Some(record.title(reader))
                }
                Some(_) => None,
            }
        });
        on_record.chain(about_to).collect()
    }

    /// Wakes some of those that wait for a dataset.
    fn wake(&mut self, target: &Target) {
        let mut woken = 0;
        self.waiting.retain(|waiting| {
            if waiting.target == *target && woken < WOKEN {
                waiting.wake.poke(waiting.object.clone());
                woken += 1;
                false
            } else {
                true
            }
        });
    }
}

impl Tombstone {
    fn claim(&self) -> Option<&Claim> {
        self.record.claim.as_ref()
    }
}

/// How a dataset is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Nobody else submits into it meanwhile.
    Exclusive,
    /// Others may.
    Shared,
}

/// Whether a dataset was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was.
    Yes,
    /// Somebody else has it.
    No,
}

impl Begun {
    fn new(attempt: i64) -> Self {
        Self {
            attempt,
            sent: Sent::NotYet,
        }
    }
}

/// The attempt whose request on record may have been taken, or was.
fn sent_attempt(export: &ExportJob) -> Option<i64> {
    let submission = export.status.as_ref()?.submission.as_ref()?;
    (!is_untaken(submission)).then_some(submission.attempt)
}

#[cfg(test)]
mod tests;
