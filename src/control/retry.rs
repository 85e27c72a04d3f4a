//! When an object that failed is tried again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;

/// The first wait: long enough for a watch to catch up with a write, short enough for a person.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait.
const LONGEST: Duration = Duration::from_mins(5);

/// The waits of objects that failed, by UID: exponential, with jitter, until one succeeds.
#[derive(Default)]
pub struct Retries {
    by_uid: Mutex<HashMap<String, Retry>>,
}

struct Retry {
    waits: ExponentialBackoff,
    not_before: Option<Timestamp>,
}

impl Retries {
    /// How long to wait after one more failure, and at least `floor`.
    pub fn failed(&self, uid: &str, floor: Option<Duration>) -> Duration {
        let mut retries = self.retries();
        let retry = retries.entry(uid.to_owned()).or_insert_with(|| Retry {
            waits: ExponentialBuilder::new()
                .with_min_delay(FIRST)
                .with_max_delay(LONGEST)
                .with_jitter()
                .without_max_times()
                .build(),
            not_before: None,
        });
        let wait = retry.waits.next().unwrap_or(LONGEST);
        floor.map_or(wait, |floor| wait.max(floor))
    }

    /// As [`failed`](Self::failed) for a request that was not taken; until then
    /// [`not_before`](Self::not_before) holds the next one back, whatever wakes the object.
    pub fn not_taken(&self, uid: &str, floor: Option<Duration>, now: Timestamp) -> Duration {
        let wait = self.failed(uid, floor);
        if let Some(retry) = self.retries().get_mut(uid) {
            retry.not_before = now.checked_add(wait).ok();
        }
        wait
    }

    /// Before when no request of the object may be sent again.
    pub fn not_before(&self, uid: &str) -> Option<Timestamp> {
        self.retries().get(uid).and_then(|retry| retry.not_before)
    }

    /// The object succeeded, or is gone, or what it failed for has changed.
    pub fn forget(&self, uid: &str) {
        self.retries().remove(uid);
    }

    fn retries(&self) -> MutexGuard<'_, HashMap<String, Retry>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_start_over_after_a_success() {
        let retries = Retries::default();
        let waits: Vec<_> = (0..20).map(|_| retries.failed("a", None)).collect();
        assert!(waits[0] < Duration::from_secs(2), "{waits:?}");
        assert!(
            waits[19] >= LONGEST && waits[19] <= LONGEST * 2,
            "{waits:?}"
        );
        retries.forget("a");
        assert!(retries.failed("a", None) < Duration::from_secs(2));
    }

    #[test]
    fn a_wait_is_never_shorter_than_the_platform_asks() {
        let retries = Retries::default();
        let asked = Duration::from_mins(2);
        assert!(retries.not_taken("a", Some(asked), Timestamp::UNIX_EPOCH) >= asked);
        assert!(retries.not_before("a") >= Timestamp::from_second(120).ok());
        assert_eq!(retries.not_before("b"), None);
    }
}
