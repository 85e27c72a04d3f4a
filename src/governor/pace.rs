//! When the next call may be made, by the limit and by the rate that throttling has lowered.

use tokio::time::Instant;

use super::rate::{Bucket, Rate};

/// The calls of a budget: how many were made of late, and when there may be more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    rate: Rate,
    /// What the limit leaves, whatever the rate is.
    whole: Bucket,
    /// What the rate leaves.
    eased: Bucket,
}

impl Pace {
    /// Of a limit of so many calls a minute, of which none was made.
    pub(super) fn new(limit: u32, now: Instant) -> Self {
        Self {
            rate: Rate::new(limit),
            whole: Bucket::new(now),
            eased: Bucket::new(now),
        }
    }

    /// Calls a minute, as somebody wants it.
    pub(super) fn limit(&self) -> u32 {
        self.rate.limit()
    }

    /// Another limit holds from now on.
    pub(super) fn set_limit(&mut self, limit: u32) {
        self.rate.set_limit(limit);
    }

    /// Calls a minute, as the platform wants it.
    pub(super) fn rate(&self, now: Instant) -> f64 {
        self.rate.now(now)
    }

    /// The platform wants fewer calls: see [`Rate::lower`].
    pub(super) fn lower(&mut self, begun: Instant, now: Instant, again: Instant) {
        self.rate.lower(begun, now, again);
    }

    /// When the next call may be made.
    pub(super) fn next(&self, now: Instant) -> Instant {
        self.eased
            .next(self.rate.now(now))
            .max(self.next_by_limit())
    }

    /// When the call may be made that asks whether the platform may be called again: as any other,
    /// but no later than `latest`, unless the limit is used up.
    pub(super) fn next_probe(&self, now: Instant, latest: Option<Instant>) -> Instant {
        let next = self.next(now);
        latest.map_or(next, |latest| next.min(latest).max(self.next_by_limit()))
    }

    fn next_by_limit(&self) -> Instant {
        self.whole.next(f64::from(self.rate.limit()))
    }

    /// Takes note of a call.
    pub(super) fn take(&mut self, now: Instant) {
        self.whole.take(f64::from(self.rate.limit()), now);
        self.eased.take(self.rate.now(now), now);
    }
}
