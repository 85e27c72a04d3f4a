//! Two clocks: the wall's, for dates, and one that can be scaled, for the life of jobs.

use std::time::{Duration, Instant};

/// A point on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Milliseconds since 1970, as AEP writes times.
    pub(crate) wall: i64,
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

/// The clock of the jobs.
#[derive(Debug)]
pub(crate) struct Clock {
    scale: f64,
    anchor: Instant,
    passed: Duration,
}

impl Clock {
    pub(crate) fn new(scale: f64) -> Self {
        Self {
            scale,
            anchor: Instant::now(),
            passed: Duration::ZERO,
        }
    }

    pub(crate) fn now(&self) -> Now {
        let elapsed = self.anchor.elapsed().as_secs_f64() * self.scale;
        let elapsed = Duration::try_from_secs_f64(elapsed).unwrap_or(Duration::ZERO);
        Now {
            wall: jiff::Timestamp::now().as_millisecond(),
            life: self.passed.saturating_add(elapsed),
            scale: self.scale,
        }
    }

    pub(crate) fn scale(&self) -> f64 {
        self.scale
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
            life: Duration::from_secs(100),
            scale: 50.0,
        };
        assert_eq!(now.wall_at(Duration::from_secs(50)), 999_000);
        assert_eq!(now.wall_at(now.life), 1_000_000);
    }

    #[test]
    fn scales_that_are_no_speed_are_refused() {
        assert!(check_scale(-1.0).is_err());
        assert!(check_scale(f64::NAN).is_err());
        assert!(check_scale(0.0).is_ok());
    }
}
