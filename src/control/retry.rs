//! When an object that failed is tried again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;

use crate::decide::{
    Cause,
    export::{Answer, Pause},
};

/// The first wait: long enough for a watch to catch up with a write, short enough for a person.
const FIRST: Duration = Duration::from_millis(500);
/// The shortest wait, whatever chance says.
const SHORTEST: Duration = Duration::from_millis(50);
/// The longest wait.
const LONGEST: Duration = Duration::from_mins(5);
/// How soon at the latest a request is sent again that the gateway refused for want of a right:
/// who grants it in Adobe's console changes nothing here that could be noticed.
const FORBIDDEN_AGAIN: Duration = Duration::from_hours(1);
/// The platform's clock is known from times of whole seconds: what it is taken to be may come
/// nearer to what it is by so much, and the rest of a wait would seem to be over.
const COARSE: Duration = Duration::from_secs(1);

/// The waits of objects that failed, by UID: exponential, with jitter, until one succeeds.
#[derive(Default)]
pub struct Retries {
    by_uid: Mutex<HashMap<String, Retry>>,
}

/// When a list that told nothing is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// At this time at the latest, if something changes then.
    pub by: Option<Timestamp>,
    /// Not before the platform allows.
    pub floor: Option<Duration>,
    /// The longest wait.
    pub longest: Duration,
}

#[derive(Default)]
struct Retry {
    waits: Option<ExponentialBackoff>,
    pause: Option<Pause>,
    /// The pause ends as well when the connection is another one than this.
    stamp: Option<String>,
    look_after: Option<Timestamp>,
    /// The person's word that a reading was made for.
    answered: Option<Answer>,
}

impl Retries {
    /// How long to wait after one more failure: anything up to a bound that doubles each time, so
    /// that many that failed together do not come back together ("full jitter"). With a `floor`,
    /// which the platform names when it has too many calls, at least that and half of the bound
    /// ("equal jitter"): nobody comes back at once by chance.
    pub fn failed(&self, uid: &str, floor: Option<Duration>) -> Duration {
        let bound = self.bound(uid);
        match floor {
            None => bound.mul_f64(rand::random()).max(SHORTEST),
            Some(floor) => half(bound).max(floor),
        }
    }

    /// The bound of the wait after one more failure.
    fn bound(&self, uid: &str) -> Duration {
        let mut retries = self.retries();
        let retry = retries.entry(uid.to_owned()).or_default();
        let waits = retry.waits.get_or_insert_with(|| {
            ExponentialBuilder::new()
                .with_min_delay(FIRST)
                .with_max_delay(LONGEST)
                .without_max_times()
                .build()
        });
        waits.next().unwrap_or(LONGEST)
    }

    /// As [`failed`](Self::failed) for a request that was not taken; until then
    /// [`pause`](Self::pause) holds the next one back, whatever wakes the object.
    pub fn not_taken(
        &self,
        uid: &str,
        floor: Option<Duration>,
        now: Timestamp,
        cause: Cause,
    ) -> Duration {
        let wait = self.failed(uid, floor);
        let wait = wait + floor.map_or(Duration::ZERO, |_| COARSE);
        self.hold(uid, wait, now, cause, None);
        wait
    }

    /// The credential lacks a right: nothing is sent until the connection is another one than
    /// `stamp`, or for an hour.
    pub fn forbidden(&self, uid: &str, now: Timestamp, cause: Cause, stamp: String) -> Duration {
        self.hold(uid, FORBIDDEN_AGAIN, now, cause, Some(stamp));
        FORBIDDEN_AGAIN
    }

    /// The platform asked to wait, and it is not known what became of the request: if it should
    /// have to be sent again, that is not before.
    pub fn asked_to_wait(&self, uid: &str, wait: Duration, now: Timestamp, cause: Cause) {
        self.hold(uid, wait + COARSE, now, cause, None);
    }

    fn hold(&self, uid: &str, wait: Duration, now: Timestamp, cause: Cause, stamp: Option<String>) {
        let mut retries = self.retries();
        let retry = retries.entry(uid.to_owned()).or_default();
        let until = now.checked_add(wait).unwrap_or(Timestamp::MAX);
        retry.pause = Some(Pause { until, cause });
        retry.stamp = stamp;
    }

    /// Before when no request of the object may be sent again by a connection of this stamp.
    pub fn pause(&self, uid: &str, stamp: Option<&str>) -> Option<Pause> {
        let retries = self.retries();
        let Retry {
            pause,
            stamp: refused,
            ..
        } = retries.get(uid)?;
        let other = match (refused, stamp) {
            (Some(refused), Some(stamp)) => refused != stamp,
            (Some(_) | None, None) | (None, Some(_)) => false,
        };
        pause.clone().filter(|_| !other)
    }

    /// Before when no creation of the object may be sent again.
    pub fn not_before(&self, uid: &str) -> Option<Timestamp> {
        self.pause(uid, None).map(|pause| pause.until)
    }

    /// The platform's list told nothing: it is read again after a wait. Gives the wait.
    pub fn look_again(
        &self,
        uid: &str,
        now: Timestamp,
        look: Look,
        answer: Option<Answer>,
    ) -> Duration {
        let Look { by, floor, longest } = look;
        // Each look is a call.
        let wait = half(self.bound(uid)).min(longest);
        let left = by.and_then(|by| Duration::try_from(by.duration_since(now)).ok());
        let wait = left.map_or(wait, |left| wait.min(left));
        let wait = floor.map_or(wait, |floor| wait.max(floor + COARSE));
        if let Some(retry) = self.retries().get_mut(uid) {
            retry.look_after = now.checked_add(wait).ok();
            retry.answered = answer;
        }
        wait
    }

    /// Before when the list is not read again for the object.
    pub fn look_after(&self, uid: &str) -> Option<Timestamp> {
        self.retries().get(uid).and_then(|retry| retry.look_after)
    }

    /// Whether a reading was made for this word of a person.
    pub fn was_answered(&self, uid: &str, answer: Option<&Answer>) -> bool {
        let retries = self.retries();
        retries
            .get(uid)
            .is_some_and(|retry| retry.answered.as_ref() == answer)
    }

    /// The object succeeded, or is gone, or what it failed for has changed.
    pub fn forget(&self, uid: &str) {
        self.retries().remove(uid);
    }

    /// A doubt is settled: its looks are over, and what the platform asked to wait is not.
    pub fn settled(&self, uid: &str) {
        if let Some(retry) = self.retries().get_mut(uid) {
            *retry = Retry {
                pause: retry.pause.take(),
                stamp: retry.stamp.take(),
                ..Retry::default()
            };
        }
    }

    /// How many objects have waits.
    pub fn kept(&self) -> usize {
        self.retries().len()
    }

    fn retries(&self) -> MutexGuard<'_, HashMap<String, Retry>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Half of a bound at least, and the rest by chance.
fn half(bound: Duration) -> Duration {
    bound.mul_f64(f64::midpoint(1.0, rand::random()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;

    fn cause(reason: Reason) -> Cause {
        Cause::new(reason, "")
    }

    fn look(by: Option<Timestamp>, floor: Option<Duration>) -> Look {
        Look {
            by,
            floor,
            longest: LONGEST,
        }
    }

    #[test]
    fn waits_grow_to_a_bound_and_start_over_after_a_success() {
        let retries = Retries::default();
        // By chance a single one may be short: of each the longest of a hundred objects.
        let longest = |uids: std::ops::Range<u32>| {
            let waits = uids.map(|uid| retries.failed(&uid.to_string(), None));
            waits.max().unwrap()
        };
        let waits: Vec<_> = (0..20).map(|_| longest(0..100)).collect();
        assert!(waits[0] <= FIRST, "{waits:?}");
        assert!(waits[19] > LONGEST / 2 && waits[19] <= LONGEST, "{waits:?}");
        (0..100).for_each(|uid| retries.forget(&uid.to_string()));
        assert!(longest(0..100) <= FIRST);
    }

    #[test]
    fn objects_that_failed_together_do_not_come_back_together() {
        let retries = Retries::default();
        for _ in 0..6 {
            for uid in 0..100 {
                retries.failed(&uid.to_string(), None);
            }
        }
        let waits = (0..100).map(|uid| retries.failed(&uid.to_string(), None));
        let soon = waits.filter(|wait| *wait < FIRST * 32).count();
        assert!((20..80).contains(&soon), "{soon} of 100 in the first half");
    }

    #[test]
    fn a_wait_is_never_shorter_than_the_platform_asks() {
        let retries = Retries::default();
        let asked = Duration::from_mins(2);
        let now = Timestamp::UNIX_EPOCH;
        assert!(retries.not_taken("a", Some(asked), now, cause(Reason::NotSent)) >= asked);
        assert!(retries.not_before("a") >= Timestamp::from_second(120).ok());
        assert_eq!(retries.not_before("b"), None);
    }

    #[test]
    fn a_refused_right_holds_until_the_connection_changes() {
        let retries = Retries::default();
        let now = Timestamp::UNIX_EPOCH;
        retries.forbidden("a", now, cause(Reason::AccessDenied), "before".into());
        assert!(retries.pause("a", Some("before")).is_some());
        assert!(retries.pause("a", None).is_some());
        assert_eq!(retries.pause("a", Some("after")), None);
    }

    #[test]
    fn a_list_is_read_again_by_the_time_at_which_none_counts() {
        let retries = Retries::default();
        let now = Timestamp::UNIX_EPOCH;
        for _ in 0..20 {
            retries.failed("a", None);
        }
        let by = Timestamp::from_second(3).ok();
        assert_eq!(
            retries.look_again("a", now, look(by, None), None),
            Duration::from_secs(3)
        );
        assert_eq!(retries.look_after("a"), by);
        let allowed = Some(Duration::from_secs(7));
        assert_eq!(
            retries.look_again("a", now, look(by, allowed), None),
            Duration::from_secs(7) + COARSE
        );
    }

    #[test]
    fn what_the_platform_asked_to_wait_outlasts_the_doubt() {
        let retries = Retries::default();
        let now = Timestamp::UNIX_EPOCH;
        let wait = Duration::from_secs(9);
        retries.asked_to_wait("a", wait, now, cause(Reason::PlatformUnavailable));
        retries.look_again("a", now, look(None, None), None);
        retries.settled("a");
        assert_eq!(retries.look_after("a"), None);
        assert_eq!(retries.not_before("a"), Timestamp::from_second(10).ok());
    }
}
