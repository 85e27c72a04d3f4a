//! Two clocks: the tenant's own wall's, for dates, which can be set wrong, and one that can be
//! scaled, for the life of jobs.

use std::time::{Duration, Instant};

/// A point on every clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Milliseconds since 1970 on the tenant's own clock, as AEP writes times.
    pub(crate) wall: i64,
    /// The same on the machine's clock, which nobody sets: what lags are measured on.
    pub(crate) steady: i64,
    /// Time since the start on the clock of the jobs.
    pub(crate) life: Duration,
    scale: f64,
}

impl Now {
    /// The wall time at which the jobs' clock showed `life`, which lies in the past.
    pub(crate) fn wall_at(&self, life: Duration) -> i64 {
        let since = self.life.saturating_sub(life).as_secs_f64();
        let Ok(since) = Duration::try_from_secs_f64(since / self.scale) else {
            return self.wall;
        };
        self.wall.saturating_sub(milliseconds(since))
    }
}

/// The clocks.
#[derive(Debug)]
pub(crate) struct Clock {
    /// By how many milliseconds the tenant's wall is ahead of the machine's.
    shift: i64,
    scale: f64,
    anchor: Instant,
    passed: Duration,
}

impl Clock {
    pub(crate) fn new(scale: f64) -> Self {
        Self {
            shift: 0,
            scale,
            anchor: Instant::now(),
            passed: Duration::ZERO,
        }
    }

    pub(crate) fn now(&self) -> Now {
        let elapsed = self.anchor.elapsed().as_secs_f64() * self.scale;
        let elapsed = Duration::try_from_secs_f64(elapsed).unwrap_or(Duration::ZERO);
        let steady = jiff::Timestamp::now().as_millisecond();
        Now {
            wall: steady.saturating_add(self.shift),
            steady,
            life: self.passed.saturating_add(elapsed),
            scale: self.scale,
        }
    }

    pub(crate) fn scale(&self) -> f64 {
        self.scale
    }

    /// By how many seconds the tenant's wall is ahead of the machine's.
    pub(crate) fn shift_seconds(&self) -> i64 {
        self.shift / 1000
    }

    /// Sets the tenant's wall so many seconds ahead of the machine's, or behind it. What has
    /// happened keeps its dates.
    pub(crate) fn set_shift(&mut self, seconds: i64) {
        self.shift = seconds.saturating_mul(1000);
    }

    /// Goes on with another speed from `now`.
    pub(crate) fn rescale(&mut self, scale: f64, now: Now) {
        self.passed = now.life;
        self.anchor = Instant::now();
        self.scale = scale;
    }
}

/// Says why a scale cannot be used.
///
/// # Errors
///
/// It is not a number from 0 to 1000000.
pub(crate) fn check_scale(scale: f64) -> Result<f64, String> {
    if (0.0..=1e6).contains(&scale) {
        Ok(scale)
    } else {
        Err(format!("the clock's scale is 0 to 1000000, not {scale}"))
    }
}

/// Says why a shift cannot be used.
///
/// # Errors
///
/// It is more than about 31 years.
pub(crate) fn check_shift(seconds: i64) -> Result<i64, String> {
    if (-1_000_000_000..=1_000_000_000).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!(
            "the clock's shift is -1000000000 to 1000000000 seconds, not {seconds}"
        ))
    }
}

/// Seconds as a duration; what is no duration is none at all.
pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)
}

/// Whole milliseconds of a duration.
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970 as RFC 3339.
pub(crate) fn rfc3339(wall: i64) -> String {
    jiff::Timestamp::from_millisecond(wall)
        .map_or_else(|_| wall.to_string(), |at| format!("{at:.3}"))
}

/// Milliseconds since 1970 as HTTP writes dates, to the second.
pub(crate) fn http_date(wall: i64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(wall).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&at)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_the_jobs_goes_on_from_where_it_was_when_its_scale_changes() {
        let mut clock = Clock::new(1e6);
        while clock.now().life < Duration::from_secs(10) {
            std::thread::yield_now();
        }
        let now = clock.now();
        clock.rescale(0.0, now);
        assert_eq!(clock.now().life, now.life);
        assert_eq!(clock.now().life, now.life);
    }

    #[test]
    fn a_moment_of_a_jobs_life_has_a_wall_time() {
        let now = Now {
            wall: 1_000_000,
            steady: 0,
            life: Duration::from_secs(100),
            scale: 50.0,
        };
        assert_eq!(now.wall_at(Duration::from_secs(50)), 999_000);
        assert_eq!(now.wall_at(now.life), 1_000_000);
    }

    #[test]
    fn a_shift_moves_the_tenants_wall_alone() {
        let mut clock = Clock::new(0.0);
        clock.set_shift(-3600);
        let now = clock.now();
        assert_eq!(now.wall, now.steady - 3_600_000);
        clock.set_shift(0);
        let now = clock.now();
        assert_eq!(now.wall, now.steady);
        assert!(check_shift(i64::MIN).is_err());
    }

    #[test]
    fn a_date_is_written_as_http_wants_it() {
        assert_eq!(
            http_date(784_111_777_999).as_deref(),
            Some("Sun, 06 Nov 1994 08:49:37 GMT")
        );
        assert_eq!(http_date(i64::MAX), None);
    }

    #[test]
    fn scales_that_are_no_speed_are_refused() {
        assert!(check_scale(-1.0).is_err());
        assert!(check_scale(f64::NAN).is_err());
        assert!(check_scale(0.0).is_ok());
    }
}
