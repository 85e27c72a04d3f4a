//! The exports that are there, as little of each as claims need: there may be very many that have
//! ended.

use std::{
    borrow::Borrow,
    collections::{
        HashMap, HashSet,
        hash_map::{Entry, RandomState},
    },
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use jiff::Timestamp;
use kube::ResourceExt;

use super::super::written::version;
use crate::{
    api::{Attempt, ExportJob, Submission, SubmissionOutcome, Target},
    decide::{export, request},
    platform::JobId,
};

/// An object that is there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) namespace: Arc<str>,
    pub(super) name: Box<str>,
    /// The version that was last seen of it. The API server says that those of one object can be
    /// compared as numbers.
    pub(super) version: u64,
    /// What its status claims, if it says anything of a submission.
    pub(super) claim: Option<Claim>,
    standing: Standing,
}

/// Whether an object was seen since the last list of all began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Confirmed,
    Doubted,
}

/// What an object's status says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Claim {
    pub(super) target: Arc<Target>,
    pub(super) request_id: Box<str>,
    pub(super) attempt: i64,
    pub(super) intent_time: Timestamp,
    pub(super) jobs: Box<[JobId]>,
    pub(super) state: State,
}

/// Whether a submission is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Settled,
}

/// The objects that are there, by UID.
#[derive(Default)]
pub(super) struct Records {
    by_uid: HashMap<Arc<str>, Record>,
    /// Who has a job with an id of this hash: very few have the same, so that the ids need not be
    /// kept twice.
    by_job: HashMap<u64, Vec<Arc<str>>>,
    hasher: RandomState,
    /// Who has submitted into a dataset and is not settled.
    open: HashMap<Arc<Target>, HashSet<Arc<str>>>,
    /// Each once, however many objects are there.
    targets: HashSet<Arc<Target>>,
    namespaces: HashSet<Arc<str>>,
}

impl Records {
    pub(super) fn get(&self, uid: &str) -> Option<&Record> {
        self.by_uid.get(uid)
    }

    /// The namespace of an object.
    pub(super) fn namespace(&self, uid: &str) -> Option<Arc<str>> {
        self.get(uid).map(|record| Arc::clone(&record.namespace))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            by_uid,
            by_job,
            hasher: _,
            open,
            targets,
            namespaces,
        } = self;
        by_uid.is_empty()
            && by_job.is_empty()
            && open.is_empty()
            && targets.is_empty()
            && namespaces.is_empty()
    }

    pub(super) fn claim(&self, uid: &str) -> Option<&Claim> {
        self.get(uid)?.claim.as_ref()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Record)> {
        self.by_uid.iter().map(|(uid, record)| (&**uid, record))
    }

    /// Those that have submitted into a dataset and are not settled.
    pub(super) fn open(&self, target: &Target) -> impl Iterator<Item = (&str, &Record)> {
        let uids = self.open.get(target).into_iter().flatten();
        uids.filter_map(|uid| Some((&**uid, self.by_uid.get(uid)?)))
    }

    /// Those that have a job of a tenant on record.
    pub(super) fn holders(
        &self,
        target: &Target,
        job: &JobId,
    ) -> impl Iterator<Item = (&str, &Claim)> {
        let uids = self.by_job.get(&self.hasher.hash_one(job));
        uids.into_iter()
            .flatten()
            .filter_map(|uid| Some((&**uid, self.by_uid.get(uid)?.claim.as_ref()?)))
            .filter(|(_, claim)| claim.has(target, job))
    }

    /// Takes an object as it is now. Gives what it claimed before.
    pub(super) fn put(&mut self, uid: &str, export: &ExportJob) -> Option<Claim> {
        let before = self.remove(uid);
        let standing = before.as_ref().map_or(Standing::Confirmed, |r| r.standing);
        let namespace = export.namespace().unwrap_or_default();
        let claim = claim(export).map(|claim| Claim {
            target: interned(&mut self.targets, claim.target),
            ..claim
        });
        let uid: Arc<str> = uid.into();
        if let Some(claim) = &claim {
            for job in &claim.jobs {
                let holder = Arc::clone(&uid);
                match self.by_job.entry(self.hasher.hash_one(job)) {
                    Entry::Occupied(mut holders) => holders.get_mut().push(holder),
                    // Most often it stays at one, for which there is room.
                    Entry::Vacant(nobody) => {
                        nobody.insert(vec![holder]);
                    }
                }
            }
            if claim.state == State::Open {
                let open = self.open.entry(Arc::clone(&claim.target)).or_default();
                open.insert(Arc::clone(&uid));
            }
        }
        let record = Record {
            namespace: interned(&mut self.namespaces, namespace.into()),
            name: export.name_any().into(),
            version: version(export),
            claim,
            standing,
        };
        self.by_uid.insert(uid, record);
        before.and_then(|record| record.claim)
    }

    pub(super) fn remove(&mut self, uid: &str) -> Option<Record> {
        let record = self.by_uid.remove(uid)?;
        if let Some(claim) = &record.claim {
            for job in &claim.jobs {
                forget_in(&mut self.by_job, &self.hasher.hash_one(job), |holders| {
                    holders.retain(|holder| **holder != *uid);
                    holders.is_empty()
                });
            }
            forget_in(&mut self.open, &claim.target, |open| {
                open.remove(uid);
                open.is_empty()
            });
            forget_unused(&mut self.targets, &claim.target);
        }
        forget_unused(&mut self.namespaces, &record.namespace);
        Some(record)
    }

    /// A list of a namespace, or of all, begins: its objects may be gone, and any may be older.
    pub(super) fn doubt(&mut self, namespace: Option<&str>) {
        for record in self.by_uid.values_mut() {
            record.version = 0;
            if record.is_in(namespace) {
                record.standing = Standing::Doubted;
            }
        }
    }

    /// A list shows an object.
    pub(super) fn confirm(&mut self, uid: &str) {
        if let Some(record) = self.by_uid.get_mut(uid) {
            record.standing = Standing::Confirmed;
        }
    }

    /// The UIDs of those in a namespace, or in all, that a list has not shown.
    pub(super) fn doubted(&self, namespace: Option<&str>) -> Vec<String> {
        let doubted = self
            .iter()
            .filter(|(_, record)| record.is_in(namespace) && record.standing == Standing::Doubted);
        doubted.map(|(uid, _)| uid.to_owned()).collect()
    }
}

impl Record {
    /// An object that is not among those that are there yet.
    pub(super) fn of(export: &ExportJob, claim: Claim) -> Self {
        Self {
            namespace: export.namespace().unwrap_or_default().into(),
            name: export.name_any().into(),
            version: version(export),
            claim: Some(claim),
            standing: Standing::Confirmed,
        }
    }

    /// The same, with nothing that is shared with those that are there.
    pub(super) fn apart(self) -> Self {
        let claim = self.claim.map(|claim| Claim {
            target: Arc::new((*claim.target).clone()),
            ..claim
        });
        Self {
            namespace: Arc::from(&*self.namespace),
            claim,
            ..self
        }
    }

    /// Who it is, in words for an object of this namespace: the names of other namespaces are
    /// nobody's business there.
    pub(super) fn title(&self, reader: Option<&str>) -> String {
        if reader == Some(&*self.namespace) {
            format!("ExportJob {}", self.name)
        } else {
            "an export of another namespace".to_owned()
        }
    }

    fn is_in(&self, namespace: Option<&str>) -> bool {
        namespace.is_none_or(|namespace| *self.namespace == *namespace)
    }

    /// Adds what it claims of a tenant, as another object's, for one of the namespace `reader`;
    /// `note` is said after its name.
    pub(super) fn add_to(
        &self,
        claims: &mut export::Claims,
        target: &Target,
        (reader, note): (Option<&str>, &str),
    ) {
        let Some(claim) = &self.claim else { return };
        if !target.is_same_tenant(&claim.target) {
            return;
        }
        claims.jobs.extend(claim.jobs.iter().cloned());
        claims.request_ids.push(claim.request_id.to_string());
        if claim.state == State::Open && *claim.target == *target {
            claims.open.push(format!("{}{note}", self.title(reader)));
        }
    }
}

impl Claim {
    /// Whether it was made for this object: a status can be copied.
    pub(super) fn is_of(&self, cluster: &str, uid: &str) -> bool {
        request::is_of(&self.request_id, cluster, uid, self.attempt)
    }

    /// Whether this job of a tenant is on record.
    pub(super) fn has(&self, target: &Target, job: &JobId) -> bool {
        target.is_same_tenant(&self.target) && self.jobs.contains(job)
    }
}

/// The one of a set that is equal to this, which is added if there is none.
fn interned<T: ?Sized + Eq + Hash>(all: &mut HashSet<Arc<T>>, value: Arc<T>) -> Arc<T> {
    if let Some(known) = all.get(&value) {
        return Arc::clone(known);
    }
    all.insert(Arc::clone(&value));
    value
}

/// Forgets what only the set and `value` itself have.
fn forget_unused<T: ?Sized + Eq + Hash>(all: &mut HashSet<Arc<T>>, value: &Arc<T>) {
    if Arc::strong_count(value) <= 2 {
        all.remove(value);
    }
}

/// Takes something out of what a key has, and forgets the key when nothing is left.
fn forget_in<K, Q, V>(map: &mut HashMap<K, V>, key: &Q, take_out: impl FnOnce(&mut V) -> bool)
where
    K: Borrow<Q> + Eq + Hash,
    Q: Eq + Hash + ?Sized,
{
    if let Some(value) = map.get_mut(key)
        && take_out(value)
    {
        map.remove(key);
    }
}

pub(super) fn is_untaken(submission: &Submission) -> bool {
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
pub(super) fn claim(export: &ExportJob) -> Option<Claim> {
    let status = export.status.as_ref()?;
    let submission = status.submission.as_ref()?;
    let Submission {
        attempt,
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
    let failed = |attempt: &Attempt| attempt.attempt >= submission.attempt;
    let settled = status.job_id.is_some()
        || status.completion_time.is_some()
        || is_untaken(submission)
        || status.attempts.iter().any(failed);
    Some(Claim {
        target: Arc::new(target.clone()),
        request_id: request_id.as_str().into(),
        attempt: *attempt,
        intent_time: *intent_time,
        jobs,
        state: if settled { State::Settled } else { State::Open },
    })
}
