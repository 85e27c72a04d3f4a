//! AEP's time, as the operator's protocol counts it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

/// A `Date` this much behind the clock is a real step back. Less is the header's own coarseness:
/// it has whole seconds and was written before the reply travelled.
const STEP_BACK: SignedDuration = SignedDuration::from_secs(2);

/// Where a [`PlatformClock`] reads the machine's time. Tests put their own in.
pub trait TimeSource: Send + Sync {
    /// Time since the machine booted, the time that it was suspended included.
    fn since_boot(&self) -> Duration;

    /// The machine's idea of the time of day.
    fn wall(&self) -> Timestamp;
}

/// AEP's time: the `Date` of its replies, carried on by the machine's boot clock.
///
/// Nothing here trusts the machine's time of day once a single reply has come. The estimate is
/// never ahead of AEP: `Date` is cut to the second and ages on its way, so the reading that is
/// furthest ahead is the best one, and a smaller one replaces it only when AEP's clock stepped.
pub struct PlatformClock {
    source: Box<dyn TimeSource>,
    reading: Mutex<Option<Reading>>,
}

/// What the clock learned from one reply.
#[derive(Clone, Copy)]
struct Reading {
    date: Timestamp,
    at: Duration,
    origin: Origin,
}

/// Whose `Date` it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The platform's own: what the protocol's times are compared with.
    Platform,
    /// Adobe IMS: good enough until the platform has spoken.
    Ims,
}

/// The machine's own clocks.
#[must_use]
pub fn machine_time() -> impl TimeSource + use<> {
    Machine::new()
}

/// The machine's clocks.
struct Machine {
    #[cfg(not(target_os = "linux"))]
    started: std::time::Instant,
}

impl PlatformClock {
    /// A clock on the machine's own time.
    #[must_use]
    pub fn system() -> Arc<Self> {
        Self::with_source(Box::new(Machine::new()))
    }

    /// A clock on another source of time, as tests need it.
    #[must_use]
    pub fn with_source(source: Box<dyn TimeSource>) -> Arc<Self> {
        Arc::new(Self {
            source,
            reading: Mutex::new(None),
        })
    }

    /// AEP's time now; the machine's time of day before the first reply.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let reading = *self.reading();
        match reading {
            Some(reading) => self.carried(reading),
            None => self.source.wall(),
        }
    }

    /// Whether a reply of the platform has set the clock.
    #[must_use]
    pub fn is_synchronized(&self) -> bool {
        matches!(
            *self.reading(),
            Some(Reading {
                origin: Origin::Platform,
                ..
            })
        )
    }

    /// Time since boot: for what must not jump with anybody's time of day.
    #[must_use]
    pub fn since_boot(&self) -> Duration {
        self.source.since_boot()
    }

    /// Takes the `Date` of a reply.
    pub(super) fn observe(&self, date: Timestamp, origin: Origin) {
        let at = self.source.since_boot();
        let mut known = self.reading();
        let keep = match *known {
            None => false,
            Some(reading) => match (reading.origin, origin) {
                (Origin::Platform, Origin::Ims) => true,
                (Origin::Ims, Origin::Platform) => false,
                (Origin::Platform, Origin::Platform) | (Origin::Ims, Origin::Ims) => {
                    let behind = self.carried(reading).duration_since(date);
                    behind.is_positive() && behind < STEP_BACK
                }
            },
        };
        if !keep {
            *known = Some(Reading { date, at, origin });
        }
    }

    fn carried(&self, reading: Reading) -> Timestamp {
        let passed = self.source.since_boot().saturating_sub(reading.at);
        later(reading.date, passed)
    }

    fn reading(&self) -> MutexGuard<'_, Option<Reading>> {
        // A reading is written in one assignment: a panic elsewhere can't leave half of one.
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PlatformClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformClock")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

/// The time `passed` after `time`, or the last that can be told.
pub(super) fn later(time: Timestamp, passed: Duration) -> Timestamp {
    SignedDuration::try_from(passed)
        .ok()
        .and_then(|passed| time.checked_add(passed).ok())
        .unwrap_or(Timestamp::MAX)
}

impl Machine {
    fn new() -> Self {
        Self {
            #[cfg(not(target_os = "linux"))]
            started: std::time::Instant::now(),
        }
    }
}

impl TimeSource for Machine {
    /// `CLOCK_BOOTTIME` goes on while the machine sleeps; `Instant` (`CLOCK_MONOTONIC`) does not,
    /// and a fence would then still look open after the lid of a laptop was.
    #[cfg(target_os = "linux")]
    fn since_boot(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(
            u64::try_from(time.tv_sec).unwrap_or_default(),
            u32::try_from(time.tv_nsec).unwrap_or_default(),
        )
    }

    #[cfg(not(target_os = "linux"))]
    fn since_boot(&self) -> Duration {
        self.started.elapsed()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }
}
