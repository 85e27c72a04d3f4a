//! Which jobs and datasets the exports of this process claim, so that no job becomes two objects'
//! and no two submissions that could not be told apart go into one dataset at a time.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::time::Instant;

use super::{pokes::Pokes, written::version};
use crate::{
    api::{ExportJob, RESTORED_LABEL, Submission, SubmissionOutcome, Target},
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
    objects: HashMap<String, Object>,
    /// Who is about to submit, by UID: from before the intent until what became of it is on
    /// record.
    taken: HashMap<String, Target>,
    waiting: Vec<Waiting>,
    tombstones: Vec<Tombstone>,
    /// The attempts that this process saw begin, or looked for, by UID.
    begun: HashMap<String, Begun>,
    /// Every object that is there, by UID.
    met: HashMap<String, Met>,
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

/// An object that is there.
struct Met {
    namespace: String,
    /// The version that was last seen of it. The API server says that those of one object can be
    /// compared as numbers.
    version: u64,
}

/// What an object's status says.
#[derive(Clone, Debug, PartialEq)]
struct Object {
    name: String,
    target: Target,
    request_id: String,
    intent_time: Timestamp,
    jobs: Vec<JobId>,
    state: State,
}

/// Whether a submission is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Settled,
}

struct Waiting {
    target: Target,
    object: ObjectRef<ExportJob>,
    wake: Arc<Pokes<ExportJob>>,
}

/// What a deleted object had.
struct Tombstone {
    uid: String,
    object: Object,
    until: Timestamp,
}

impl Claims {
    /// Takes note of an object as the API server has it, unless something newer was seen of it.
    pub fn observe(&self, export: &ExportJob) {
        let Some(uid) = export.uid() else { return };
        let version = version(export);
        let mut inner = self.inner();
        if inner.met.get(&uid).is_some_and(|met| met.version > version) {
            return;
        }
        let namespace = export.namespace().unwrap_or_default();
        inner.met.insert(uid.clone(), Met { namespace, version });
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
        let target = match claim(export) {
            Some(object) => {
                let settled = object.state == State::Settled;
                let target = object.target.clone();
                inner.objects.insert(uid, object);
                settled.then_some(target)
            }
            None => inner.objects.remove(&uid).map(|object| object.target),
        };
        if let Some(target) = target {
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
            if fresh && !restored && !inner.met.contains_key(&uid) {
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
        let open = claim(export).is_some_and(|object| object.state == State::Open);
        if open && !self.inner().met.contains_key(&uid) {
            self.unsure_for(window);
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

    /// Everything in a namespace, or in all, was listed anew. Gives the UIDs of those that are not
    /// there any more. The API server may have been
    /// restored from a backup: versions go on from an older one, and no attempt that is not on
    /// record counts as seen from its beginning.
    pub fn relisted(
        &self,
        namespace: Option<&str>,
        exports: &[Arc<ExportJob>],
        window: SignedDuration,
    ) -> Vec<String> {
        let there: HashSet<String> = exports.iter().filter_map(|export| export.uid()).collect();
        let gone: Vec<String> = {
            let mut inner = self.inner();
            inner.begun.clear();
            inner.listed = Some(Instant::now());
            inner.met.values_mut().for_each(|met| met.version = 0);
            let within = |met: &Met| namespace.is_none_or(|namespace| met.namespace == namespace);
            let met = inner.met.iter();
            met.filter(|(uid, met)| within(met) && !there.contains(*uid))
                .map(|(uid, _)| uid.clone())
                .collect()
        };
        for uid in &gone {
            self.gone(uid, window);
        }
        for export in exports {
            self.observe(export);
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
        inner.met.remove(uid);
        let taken = inner.taken.remove(uid);
        let object = inner.objects.remove(uid);
        if let Some(target) = &taken {
            inner.wake(target);
        }
        if let Some(object) = object {
            inner.wake(&object.target);
            let until = object
                .intent_time
                .saturating_add(window + window)
                .unwrap_or(Timestamp::MAX);
            let uid = uid.to_owned();
            inner.tombstones.push(Tombstone { uid, object, until });
        }
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
        let deleted = inner.tombstones.iter().map(|tombstone| &tombstone.object);
        let mut all = inner.objects.values().chain(deleted);
        all.any(|object| target.is_same_tenant(&object.target) && object.jobs.contains(job))
    }

    /// Whether another object had the job on record before this one.
    #[must_use]
    pub fn title(&self, uid: &str, target: &Target, job: &JobId) -> Title {
        let inner = self.inner();
        let Some(own) = inner.objects.get(uid) else {
            return Title::Clear;
        };
        let contested = inner.objects.iter().any(|(other, object)| {
            other != uid
                && target.is_same_tenant(&object.target)
                && object.jobs.contains(job)
                && (object.intent_time, other.as_str()) < (own.intent_time, uid)
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
        let listed: HashMap<String, Object> = listed
            .iter()
            .filter_map(|export| Some((export.uid()?, claim(export)?)))
            .collect();
        let known = inner.objects.iter();
        let unlisted = known.filter(|(other, _)| !listed.contains_key(*other));
        for (other, object) in unlisted.chain(&listed) {
            // Ours, while it is open: the jobs of earlier attempts.
            if other == uid && target.is_same_tenant(&object.target) {
                claims.jobs.extend(object.jobs.iter().cloned());
            } else {
                object.add_to(&mut claims, target, "");
            }
        }
        for Tombstone {
            uid: _,
            object,
            until: _,
        } in &inner.tombstones
        {
            object.add_to(&mut claims, target, " (deleted)");
        }
        claims
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
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
        let on_record = self
            .objects
            .iter()
            .filter(|(other, object)| {
                *other != uid && object.state == State::Open && object.target == *target
            })
            .map(|(_, object)| object.name.clone());
        let about_to = self
            .taken
            .iter()
            .filter(|(other, taken)| {
                *other != uid && *taken == target && !self.objects.contains_key(*other)
            })
            .map(|_| "another export".to_owned());
        let taken_again = self.taken.iter().filter_map(|(other, taken)| {
            let object = self.objects.get(other)?;
            let other_try = *other != uid && taken == target && object.state == State::Settled;
            other_try.then(|| object.name.clone())
        });
        on_record.chain(about_to).chain(taken_again).collect()
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

impl Object {
    /// Adds what it claims of a tenant, as another object's; `note` is said after its name.
    fn add_to(&self, claims: &mut export::Claims, target: &Target, note: &str) {
        if !target.is_same_tenant(&self.target) {
            return;
        }
        claims.jobs.extend(self.jobs.iter().cloned());
        claims.request_ids.push(self.request_id.clone());
        if self.state == State::Open && self.target == *target {
            claims.open.push(format!("{}{note}", self.name));
        }
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

fn is_untaken(submission: &Submission) -> bool {
    match submission.outcome {
        Some(
            SubmissionOutcome::NotSent
            | SubmissionOutcome::Refused
            | SubmissionOutcome::NotTaken
            | SubmissionOutcome::Rejected,
        ) => true,
        Some(SubmissionOutcome::Posted | SubmissionOutcome::Adopted) | None => false,
    }
}

/// What an object's status claims; nothing without a submission.
fn claim(export: &ExportJob) -> Option<Object> {
    let status = export.status.as_ref()?;
    let submission = status.submission.as_ref()?;
    let Submission {
        attempt: _,
        r#try: _,
        request_id,
        fingerprint: _,
        target,
        intent_time,
        send_before: _,
        settle_after: _,
        outcome: _,
        evidence: _,
        candidates: _,
        answer: _,
        surplus_job_ids,
    } = submission;
    let earlier = status.attempts.iter().map(|attempt| &attempt.job_id);
    let jobs = status
        .job_id
        .iter()
        .chain(surplus_job_ids)
        .chain(earlier)
        .map(JobId::new)
        .collect();
    // What failed stays on record until the next attempt.
    let failed = |attempt: &crate::api::Attempt| attempt.attempt >= submission.attempt;
    let settled = status.job_id.is_some()
        || status.completion_time.is_some()
        || is_untaken(submission)
        || status.attempts.iter().any(failed);
    Some(Object {
        name: format!(
            "ExportJob {} of namespace {}",
            export.name_any(),
            export.namespace().unwrap_or_default()
        ),
        target: target.clone(),
        request_id: request_id.clone(),
        intent_time: *intent_time,
        jobs,
        state: if settled { State::Settled } else { State::Open },
    })
}

#[cfg(test)]
mod tests;
