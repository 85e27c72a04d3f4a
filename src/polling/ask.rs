//! One look at a job, and what of it is news.

use std::time::Duration;

use futures::{StreamExt, stream};

use super::source::Source;
use crate::{
    api::Reason,
    decide::{
        Cause,
        export::{Batches, Sighting},
    },
    platform::{Batch, BatchId, BatchState, Consequence, Job, JobId, JobState, PlatformError},
};

/// How many batches of one job are asked for at once.
const CONCURRENT_BATCHES: usize = 4;

/// What asking for a job came to.
pub(super) struct Answer {
    pub(super) sighting: Sighting,
    /// How long the platform, or its budget, asks to wait before the next call.
    pub(super) floor: Option<Duration>,
    pub(super) sent: Sent,
}

/// Whether a call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It was.
    Yes,
    /// Its budget did not let it: nothing was learned.
    No,
}

impl Answer {
    pub(super) fn failed(error: &PlatformError) -> Self {
        Self {
            sighting: Sighting::Trouble(trouble(error)),
            floor: error.retry_after(),
            sent: if error.was_held() {
                Sent::No
            } else {
                Sent::Yes
            },
        }
    }

    fn seen(sighting: Sighting) -> Self {
        Self {
            sighting,
            floor: None,
            sent: Sent::Yes,
        }
    }
}

/// What a reconciler tells apart; the rest is read when it comes by.
#[derive(PartialEq, Eq)]
pub(super) enum Kind {
    Unseen,
    Missing,
    Trouble(Reason),
    Job(JobState, String),
}

pub(super) fn kind(sighting: &Sighting) -> Kind {
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

pub(super) fn waits_for_batches(sighting: &Sighting) -> bool {
    match sighting {
        Sighting::Unseen | Sighting::Missing | Sighting::Trouble(_) => false,
        Sighting::Job { job, batches: _ } => {
            job.state() == JobState::Succeeded && !is_final(sighting)
        }
    }
}

/// Whether there is nothing more to ask for.
pub(super) fn is_final(sighting: &Sighting) -> bool {
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

/// Asks for a job, and for its batches if it has succeeded.
pub(super) async fn ask(source: &dyn Source, id: &JobId, before: &Sighting) -> Answer {
    let job = match before {
        // It succeeded: only its batches are still open.
        Sighting::Job { job, batches: _ } if job.state() == JobState::Succeeded => job.clone(),
        Sighting::Unseen | Sighting::Missing | Sighting::Trouble(_) | Sighting::Job { .. } => {
            match source.job(id).await {
                Ok(Some(job)) => Box::new(job),
                Ok(None) => return Answer::seen(Sighting::Missing),
                Err(error) => return Answer::failed(&error),
            }
        }
    };
    let batches = match job.state() {
        JobState::Succeeded => batches(source, &job).await,
        JobState::Running | JobState::Failed | JobState::Cancelled | JobState::Unknown => {
            Batches::NotAsked
        }
    };
    Answer::seen(Sighting::Job { job, batches })
}

async fn batches(source: &dyn Source, job: &Job) -> Batches {
    let ids: Vec<BatchId> = job.batches.iter().map(|batch| batch.id.clone()).collect();
    let answers: Vec<_> = stream::iter(ids)
        .map(|id| async move {
            let batch = source.batch(&id).await?;
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

    #[test]
    fn a_job_that_goes_on_is_no_news_and_an_end_is() {
        let job = |status: &str| Sighting::Job {
            job: Box::new(Job::bare(JobId::new("1"), status)),
            batches: Batches::NotAsked,
        };
        assert!(kind(&job("NEW")) == kind(&job("PROCESSING")));
        assert!(kind(&job("PROCESSING")) != kind(&job("FAILED")));
        assert!(kind(&job("FOO")) != kind(&job("BAR")));
        assert!(is_final(&job("FAILED")) && !is_final(&job("FOO")));
    }
}
