//! The board: what the platform last said of every job that is followed.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    StreamExt,
    stream::{self, FuturesUnordered},
};
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{
    api::{ExportJob, Reason},
    decide::{
        Cause,
        export::{Batches, Sighting},
    },
    platform::{
        Batch, BatchId, BatchState, Consequence, Job, JobId, JobState, Platform, PlatformError,
    },
};

/// How many jobs are asked for at once: enough that one slow reply delays nobody much, few enough
/// that a restart with hundreds of jobs is no flood.
const CONCURRENT_POLLS: usize = 8;
/// How many batches of one job are asked for at once.
const CONCURRENT_BATCHES: usize = 4;
/// How many failed polls in a row make trouble worth a status write.
const TROUBLE_AFTER: u32 = 3;
/// A job's next poll comes after this part of its age: the older a job, the less a moment more
/// or less matters.
const PART_OF_AGE: u32 = 10;

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
    /// When the job began, by the platform's clock.
    pub began: Timestamp,
}

/// Wakes an object.
pub type Wake = Box<dyn Fn(ObjectRef<ExportJob>) + Send + Sync>;

/// The bounds of the time between two polls of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// Never sooner.
    pub min: Duration,
    /// Never later.
    pub max: Duration,
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
    wake: Wake,
}

struct Entry {
    follow: Follow,
    sighting: Sighting,
    due: Due,
    failures: u32,
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
    pub fn new(intervals: Intervals, wake: Wake) -> Self {
        Self {
            entries: Mutex::default(),
            changed: Notify::new(),
            intervals,
            wake,
        }
    }

    /// Follows a job from now on; at once if it was not followed yet. With a new platform (a
    /// rotated credential) the job is asked for by that one from its next poll on.
    pub fn follow(&self, follow: Follow) {
        let mut entries = self.entries();
        match entries.get_mut(&follow.uid) {
            Some(entry) if entry.follow.job == follow.job => entry.follow = follow,
            Some(_) | None => {
                let uid = follow.uid.clone();
                let (sighting, due) = (Sighting::Unseen, Due::At(Instant::now()));
                entries.insert(
                    uid,
                    Entry {
                        follow,
                        sighting,
                        due,
                        failures: 0,
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

    /// How many jobs are followed.
    #[must_use]
    pub fn followed(&self) -> usize {
        self.entries().len()
    }

    /// Asks for a job at the next opportunity, whatever its interval.
    pub fn hasten(&self, uid: &str) {
        if let Some(entry) = self.entries().get_mut(uid)
            && matches!(entry.due, Due::At(_))
        {
            entry.due = Due::At(Instant::now());
        }
        self.changed.notify_one();
    }

    /// Forgets the job of the object with this UID.
    pub fn forget(&self, uid: &str) {
        self.entries().remove(uid);
    }

    /// Asks for a job at once, beside its schedule, and follows it from then on.
    pub async fn look(&self, follow: Follow) -> Sighting {
        let sighting = ask(&follow.platform, &follow.job, &Sighting::Unseen).await;
        let uid = follow.uid.clone();
        self.follow(follow);
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
            while asking.len() < CONCURRENT_POLLS
                && let Some((follow, before)) = self.next_to_ask(Instant::now())
            {
                asking.push(async move {
                    let sighting = ask(&follow.platform, &follow.job, &before).await;
                    self.take(&follow.uid, sighting, Tell::Object);
                });
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

    fn next_to_ask(&self, now: Instant) -> Option<(Follow, Sighting)> {
        let mut entries = self.entries();
        let entry = entries
            .values_mut()
            .find(|entry| matches!(entry.due, Due::At(at) if at <= now))?;
        entry.due = Due::Asked;
        Some((entry.follow.clone(), entry.sighting.clone()))
    }

    fn next_due(&self) -> Option<Instant> {
        self.entries()
            .values()
            .filter_map(|entry| match entry.due {
                Due::At(at) => Some(at),
                Due::Asked | Due::Never => None,
            })
            .min()
    }

    /// Takes an answer in, sets the next poll, and wakes the object if the answer is of another
    /// kind than the one before.
    fn take(&self, uid: &str, answer: Sighting, tell: Tell) {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(uid) else {
            return;
        };
        let age = age(&entry.follow);
        let interval = interval(self.intervals, age);
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
        entry.due = if is_final(&answer) {
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
            (self.wake)(entry.follow.object.clone());
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // Nothing that holds this lock can panic half-way through a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an answer wakes its object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tell {
    Object,
    Nobody,
}

/// What a reconciler tells apart; the rest is read when it comes by.
#[derive(PartialEq, Eq)]
enum Kind {
    Unseen,
    Missing,
    Trouble(Reason),
    Job(JobState, String),
}

fn kind(sighting: &Sighting) -> Kind {
    match sighting {
        Sighting::Unseen => Kind::Unseen,
        Sighting::Missing => Kind::Missing,
        Sighting::Trouble(cause) => Kind::Trouble(cause.reason),
        Sighting::Job { job, batches: _ } => {
            let state = job.state();
            let word = match state {
                JobState::Unknown => job.status.clone(),
                JobState::Running
                | JobState::Succeeded
                | JobState::Failed
                | JobState::Cancelled => String::new(),
            };
            Kind::Job(state, word)
        }
    }
}

fn waits_for_batches(sighting: &Sighting) -> bool {
    match sighting {
        Sighting::Unseen | Sighting::Missing | Sighting::Trouble(_) => false,
        Sighting::Job { job, batches: _ } => {
            job.state() == JobState::Succeeded && !is_final(sighting)
        }
    }
}

/// Whether there is nothing more to ask for.
fn is_final(sighting: &Sighting) -> bool {
    match sighting {
        Sighting::Unseen | Sighting::Missing | Sighting::Trouble(_) => false,
        Sighting::Job { job, batches } => match (job.state(), batches) {
            (JobState::Failed | JobState::Cancelled, _) => true,
            (JobState::Running | JobState::Unknown, _) => false,
            (JobState::Succeeded, Batches::NotAsked) => job.batches.is_empty(),
            (JobState::Succeeded, Batches::Refused(_)) => false,
            (JobState::Succeeded, Batches::Seen(seen)) => all_settled(seen),
        },
    }
}

fn all_settled(seen: &[(BatchId, Option<Batch>)]) -> bool {
    seen.iter().all(|(_, batch)| {
        batch
            .as_ref()
            .is_some_and(|batch| BatchState::of(&batch.status) != BatchState::Pending)
    })
}

fn age(follow: &Follow) -> Duration {
    let age = follow.platform.now().duration_since(follow.began);
    Duration::try_from(age).unwrap_or_default()
}

/// How long until the next poll of a job of this age, up to a tenth more so that jobs that began
/// together do not stay together.
fn interval(Intervals { min, max }: Intervals, age: Duration) -> Duration {
    let interval = (age / PART_OF_AGE).clamp(min, max.max(min));
    interval.mul_f64(1.0 + rand::random::<f64>() / 10.0)
}

/// Asks for a job, and for its batches if it has succeeded.
async fn ask(platform: &Platform, id: &JobId, before: &Sighting) -> Sighting {
    let job = match before {
        // It succeeded: only its batches are still open.
        Sighting::Job { job, batches: _ } if job.state() == JobState::Succeeded => job.clone(),
        Sighting::Unseen | Sighting::Missing | Sighting::Trouble(_) | Sighting::Job { .. } => {
            match platform.export_job(id).await {
                Ok(Some(job)) => Box::new(job),
                Ok(None) => return Sighting::Missing,
                Err(error) => return Sighting::Trouble(trouble(&error)),
            }
        }
    };
    let batches = match job.state() {
        JobState::Succeeded => batches(platform, &job).await,
        JobState::Running | JobState::Failed | JobState::Cancelled | JobState::Unknown => {
            Batches::NotAsked
        }
    };
    Sighting::Job { job, batches }
}

async fn batches(platform: &Platform, job: &Job) -> Batches {
    let ids: Vec<BatchId> = job.batches.iter().map(|batch| batch.id.clone()).collect();
    let answers: Vec<_> = stream::iter(ids)
        .map(|id| async move {
            let batch = platform.batch(&id).await?;
            Ok::<_, PlatformError>((id, batch))
        })
        .buffered(CONCURRENT_BATCHES)
        .collect()
        .await;
    match answers.into_iter().collect() {
        Ok(seen) => Batches::Seen(seen),
        Err(error) => Batches::Refused(trouble(&error)),
    }
}

/// The reason for which the platform cannot be asked.
#[must_use]
pub(crate) fn trouble(error: &PlatformError) -> Cause {
    let reason = match error.consequence() {
        Consequence::Throttled { retry_after: _ } => Reason::PlatformThrottled,
        Consequence::Unauthenticated | Consequence::CredentialRejected(_) => {
            Reason::CredentialRejected
        }
        Consequence::Forbidden => Reason::AccessDenied,
        Consequence::Retry
        | Consequence::NotFound
        | Consequence::Rejected
        | Consequence::Redirected
        | Consequence::NotSent
        | Consequence::InDoubt
        | Consequence::Refused(_)
        | Consequence::Misconfigured { setting: _ } => Reason::PlatformUnavailable,
    };
    Cause::new(reason, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Intervals = Intervals {
        min: Duration::from_secs(5),
        max: Duration::from_mins(5),
    };

    #[test]
    fn a_young_job_is_polled_at_the_shortest_interval() {
        let next = interval(BOUNDS, Duration::from_secs(1));
        assert!((5.0..5.5).contains(&next.as_secs_f64()), "{next:?}");
    }

    #[test]
    fn an_old_job_is_polled_in_proportion_to_its_age_up_to_the_longest_interval() {
        let next = interval(BOUNDS, Duration::from_mins(10));
        assert!((60.0..66.0).contains(&next.as_secs_f64()), "{next:?}");
        let next = interval(BOUNDS, Duration::from_hours(10));
        assert!((300.0..330.0).contains(&next.as_secs_f64()), "{next:?}");
    }

    fn job_with(status: &str) -> Job {
        Job {
            id: JobId::new("1"),
            status: status.into(),
            request_id: None,
            dataset_id: None,
            creation_time: None,
            update_time: None,
            total_milliseconds: None,
            profile_export_milliseconds: None,
            dataset_write_milliseconds: None,
            exported_profiles: None,
            exported_profiles_by_namespace: std::collections::BTreeMap::new(),
            batches: Vec::new(),
            errors: Vec::new(),
            echoed: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn a_job_that_goes_on_is_no_news_and_an_end_is() {
        let job = |status: &str| Sighting::Job {
            job: Box::new(job_with(status)),
            batches: Batches::NotAsked,
        };
        assert!(kind(&job("NEW")) == kind(&job("PROCESSING")));
        assert!(kind(&job("PROCESSING")) != kind(&job("FAILED")));
        assert!(kind(&job("FOO")) != kind(&job("BAR")));
        assert!(is_final(&job("FAILED")) && !is_final(&job("FOO")));
    }
}
