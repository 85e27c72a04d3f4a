//! How many calls a minute: the bucket, and the rate that throttling lowers.

use std::time::Duration;

use tokio::time::Instant;

/// A budget is counted over this time.
const MINUTE: Duration = Duration::from_mins(1);
/// The part of a minute's calls that may be made at once after a rest.
const PART_AT_ONCE: u32 = 12;
/// The slowest rate that throttling leads to: one call in 30 seconds.
pub(super) const SLOWEST: f64 = 2.0;
/// How long it takes from no calls at all back to the limit.
const RECOVERY: Duration = Duration::from_mins(10);

/// A bucket that never lets more than its limit through in any minute.
///
/// It fills at the rate at which a burst and the rest of its minute come to the limit, so the
/// limit holds from any moment on, not only on average.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// When it would be full again (the generic cell rate algorithm's theoretical arrival time).
    full_at: Instant,
}

/// The rate that holds: a limit, lowered by half at each 429 and raised slowly again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    limit: u32,
    eased: Option<Eased>,
}

/// From when on the rate grows from where.
#[derive(Clone, Copy, Debug)]
struct Eased {
    since: Instant,
    from: f64,
    /// What was begun before this time is no news.
    lowered: Instant,
}

impl Bucket {
    pub(super) fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// When the next call may be made, at this rate a minute.
    pub(super) fn next(&self, rate: f64) -> Instant {
        let (interval, burst) = shape(rate);
        let tolerance = interval.mul_f64(burst - 1.0);
        self.full_at.checked_sub(tolerance).unwrap_or(self.full_at)
    }

    /// Takes note of a call.
    pub(super) fn take(&mut self, rate: f64, now: Instant) {
        let (interval, _) = shape(rate);
        self.full_at = self.full_at.max(now) + interval;
    }
}

/// The time between two calls and how many may come at once. Any minute has the burst, and then
/// one call for each interval that ends within it: the rate.
fn shape(rate: f64) -> (Duration, f64) {
    let burst = (rate / f64::from(PART_AT_ONCE)).floor().max(1.0);
    (MINUTE.div_f64(rate - burst + 1.0), burst)
}

impl Rate {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, eased: None }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Calls a minute.
    pub(super) fn now(&self, now: Instant) -> f64 {
        let limit = f64::from(self.limit);
        let grown = self.eased.map_or(limit, |eased| {
            let passed = now.saturating_duration_since(eased.since);
            eased.from + limit * passed.as_secs_f64() / RECOVERY.as_secs_f64()
        });
        // A limit below the slowest rate is somebody's own word.
        grown.max(SLOWEST).min(limit)
    }

    /// The platform wants fewer calls: half of what it was, unless the call was begun before that
    /// was known. It grows again from `again` on.
    pub(super) fn lower(&mut self, begun: Instant, now: Instant, again: Instant) {
        let known = |eased: &Eased| begun < eased.lowered;
        let from = match &mut self.eased {
            Some(eased) if known(eased) => {
                eased.since = eased.since.max(again);
                return;
            }
            Some(_) | None => self.now(now) / 2.0,
        };
        self.eased = Some(Eased {
            since: again.max(now),
            from,
            lowered: now,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When calls are made by somebody who always wants to, over a time.
    fn greedy(rate: f64, for_secs: u64) -> Vec<Duration> {
        let start = Instant::now();
        let mut bucket = Bucket::new(start);
        let mut now = start;
        let mut calls = Vec::new();
        while now.duration_since(start) < Duration::from_secs(for_secs) {
            now = now.max(bucket.next(rate));
            bucket.take(rate, now);
            calls.push(now.duration_since(start));
        }
        calls
    }

    #[test]
    fn no_minute_has_more_calls_than_the_limit_and_each_has_most_of_them() {
        for limit in [1_u32, 2, 3, 11, 12, 13, 24, 100, 120, 600, 6_000] {
            let calls = greedy(f64::from(limit), 300);
            for (number, first) in calls.iter().enumerate() {
                let moment = Duration::from_micros(1);
                let end = *first + MINUTE;
                let within = calls.partition_point(|at| *at + moment < end) - number;
                assert!(within <= limit as usize, "{limit}: {within} from {first:?}");
            }
            assert!(
                calls.len() * 10 >= 9 * 5 * limit as usize,
                "{limit}: {}",
                calls.len()
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_halves_the_rate_down_to_a_call_in_thirty_seconds() {
        let mut rate = Rate::new(120);
        for _ in 0..10 {
            let now = Instant::now();
            rate.lower(now, now, now);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let now = Instant::now();
        assert!((rate.now(now) - SLOWEST).abs() < 0.1, "{}", rate.now(now));
        let mut bucket = Bucket::new(now);
        bucket.take(SLOWEST, now);
        assert_eq!(bucket.next(SLOWEST) - now, Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_under_way_when_it_was_lowered_do_not_lower_it_again() {
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        let now = Instant::now();
        let mut rate = Rate::new(120);
        for _ in 0..10 {
            rate.lower(begun, now, now);
        }
        assert!((rate.now(now) - 60.0).abs() < 0.1, "{}", rate.now(now));
    }

    #[tokio::test(start_paused = true)]
    async fn it_grows_back_over_minutes_from_when_calls_are_allowed_again() {
        let now = Instant::now();
        let mut rate = Rate::new(120);
        let again = now + Duration::from_secs(30);
        rate.lower(now, now, again);
        assert!((rate.now(again) - 60.0).abs() < 0.1);
        let later = again + Duration::from_mins(2);
        assert!((rate.now(later) - 84.0).abs() < 0.1, "{}", rate.now(later));
        assert!((rate.now(again + Duration::from_mins(6)) - 120.0).abs() < 0.1);
    }

    #[test]
    fn a_limit_below_the_slowest_rate_holds() {
        assert!((Rate::new(1).now(Instant::now()) - 1.0).abs() < f64::EPSILON);
    }
}
