//! How long until a job is asked for again.

use std::time::Duration;

/// The longest time between two polls of a job that is to end: somebody waits for that.
const STOPPING: Duration = Duration::from_secs(20);
/// A job's next poll comes after this part of its age: the older a job, the less a moment more
/// or less matters.
const PART_OF_AGE: u32 = 10;

/// The bounds of the time between two polls of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// Never sooner.
    pub min: Duration,
    /// Never later.
    pub max: Duration,
}

/// How soon something is expected of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// When it is done.
    Running,
    /// Now: it was asked to cancel, or is to be.
    Stopping,
}

/// How long until the next poll of a job of this age, up to a tenth more so that jobs that began
/// together do not stay together.
pub(super) fn interval(Intervals { min, max }: Intervals, age: Duration, pace: Pace) -> Duration {
    let max = match pace {
        Pace::Running => max,
        Pace::Stopping => max.min(STOPPING),
    };
    let interval = (age / PART_OF_AGE).clamp(min, max.max(min));
    interval.mul_f64(1.0 + rand::random::<f64>() / 10.0)
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
        let next = interval(BOUNDS, Duration::from_secs(1), Pace::Running);
        assert!((5.0..5.5).contains(&next.as_secs_f64()), "{next:?}");
    }

    #[test]
    fn an_old_job_is_polled_in_proportion_to_its_age_up_to_the_longest_interval() {
        let next = interval(BOUNDS, Duration::from_mins(10), Pace::Running);
        assert!((60.0..66.0).contains(&next.as_secs_f64()), "{next:?}");
        let next = interval(BOUNDS, Duration::from_hours(10), Pace::Running);
        assert!((300.0..330.0).contains(&next.as_secs_f64()), "{next:?}");
    }

    #[test]
    fn a_job_that_is_to_end_is_polled_often_however_old_it_is() {
        let next = interval(BOUNDS, Duration::from_hours(10), Pace::Stopping);
        assert!((20.0..22.0).contains(&next.as_secs_f64()), "{next:?}");
        let rarely = Intervals {
            min: Duration::from_mins(2),
            ..BOUNDS
        };
        let next = interval(rarely, Duration::from_hours(10), Pace::Stopping);
        assert!(next >= rarely.min, "{next:?}");
    }
}
