//! Another attempt after one that failed: whether, when, and until when in all.

use jiff::{SignedDuration, Timestamp};

use super::{
    super::{Cause, request},
    facts::{Facts, Record, Wish},
    plan::Ending,
};
use crate::api::{Attempt, Reason};

/// The waits between attempts; each is a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    /// Before the second attempt; doubled before each further one.
    pub first: SignedDuration,
    /// Never more.
    pub longest: SignedDuration,
}

/// When the attempt after one that ended at this time begins: by what is on record alone, so that
/// a restart changes nothing. Up to half as much again is added, so that what failed together is
/// not tried again together; never more than the longest wait.
#[must_use]
pub fn next_attempt(uid: &str, attempt: i64, ended: Timestamp, delays: Delays) -> Timestamp {
    let Delays { first, longest } = delays;
    let doublings = u32::try_from(attempt.clamp(1, 16) - 1).unwrap_or_default();
    let wait = first
        .checked_mul(2_i32.saturating_pow(doublings))
        .unwrap_or(longest)
        .min(longest);
    let share = request::request_id("", uid, attempt)
        .bytes()
        .map(i64::from)
        .sum::<i64>()
        % 100;
    let jitter = wait.as_secs().saturating_mul(share) / 200;
    let wait = (wait + SignedDuration::from_secs(jitter)).min(longest);
    ended.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// What is said of an attempt that failed and is followed by another.
#[must_use]
pub fn scheduled(attempt: i64, job: &str, next: Timestamp) -> Cause {
    Cause::new(
        Reason::RetryScheduled,
        format!(
            "attempt {attempt} failed (job {job}, see status.attempts); the next one begins after \
             {next}"
        ),
    )
}

/// The end of an export of which no further attempt may be made: its spec allows fewer by now.
pub(super) fn no_further(facts: &Facts, attempt: i64) -> Option<Ending> {
    let failed = facts.failed.as_ref()?;
    let may = attempt <= i64::from(facts.wishes.retries).saturating_add(1);
    (!may).then(|| {
        let why = failed
            .message
            .as_deref()
            .unwrap_or("the platform does not say why");
        Ending::NoFurtherAttempt(Cause::new(
            Reason::ExportFailed,
            format!(
                "attempt {} failed (job {}: {why}), and spec.backoffLimit allows no further one",
                failed.attempt, failed.job_id,
            ),
        ))
    })
}

/// By when the export has to have ended: so long after its first submission, across attempts.
///
/// None before the first submission, while the object is suspended between two attempts, and from
/// then until the next submission.
#[must_use]
pub fn deadline(
    seconds: Option<i64>,
    record: &Record,
    attempts: &[Attempt],
    suspend: Wish,
) -> Option<Timestamp> {
    let bound = SignedDuration::from_secs(seconds?);
    let unbroken = attempts
        .iter()
        .rposition(|attempt| attempt.suspended == Some(true))
        .map_or(attempts, |last| &attempts[last + 1..]);
    let first = unbroken.iter().find_map(|attempt| attempt.start_time);
    let from = match (record, suspend) {
        (Record::Open(submission) | Record::Known(submission, _), _) => {
            Some(first.unwrap_or(submission.intent_time))
        }
        (Record::Fresh { attempt: _ }, Wish::Absent) => first,
        (Record::Fresh { attempt: _ }, Wish::Present) | (Record::Ended(_), _) => None,
    };
    from?.checked_add(bound).ok()
}
