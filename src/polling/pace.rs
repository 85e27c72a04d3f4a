//! How long until a job is asked for again.

use std::time::Duration;

/// The longest time between two polls of a job that is to end: somebody waits for that.
const STOPPING: Duration = Duration::from_secs(20);
/// A job's next poll comes after this part of its age: the older a job, the less a moment more
/// or less matters.
const PART_OF_AGE: u32 = 10;
/// Of a job whose like are known to take a time, the next poll comes after this part of its age or
/// of what is left, whichever is less: soon at first, since what is wrong most often shows at once,
/// then seldom, and close together where the end is expected.
const PART_KNOWN: u32 = 2;

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
    /// Now: it was asked to cancel, or is to be, or has ended and its batches are waited for.
    Stopping,
}

impl Intervals {
    /// How long until the next poll of a job of this age, whose like took so long.
    pub(super) fn next(self, age: Duration, took: Option<Duration>, pace: Pace) -> Duration {
        let Self { min, max } = self;
        let interval = match took.map(|took| (took.saturating_sub(age), age.saturating_sub(took))) {
            Some((rest, over)) if over.is_zero() => rest.min(age) / PART_KNOWN,
            // Longer than the others: as if it had begun where they ended.
            Some((_, over)) => over / PART_OF_AGE,
            None => age / PART_OF_AGE,
        };
        let max = match pace {
            Pace::Running => max,
            Pace::Stopping => max.min(STOPPING),
        };
        interval.clamp(min, max.max(min))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Intervals = Intervals {
        min: Duration::from_secs(5),
        max: Duration::from_mins(5),
    };

    fn running(age: Duration, took: Option<Duration>) -> Duration {
        BOUNDS.next(age, took, Pace::Running)
    }

    #[test]
    fn a_young_job_is_polled_at_the_shortest_interval() {
        assert_eq!(running(Duration::from_secs(1), None), BOUNDS.min);
    }

    #[test]
    fn an_old_job_is_polled_in_proportion_to_its_age_up_to_the_longest_interval() {
        let minute = Duration::from_mins(1);
        assert_eq!(running(Duration::from_mins(10), None), minute);
        assert_eq!(running(Duration::from_hours(10), None), BOUNDS.max);
    }

    #[test]
    fn a_job_whose_like_took_two_hours_is_polled_often_where_its_end_is_expected() {
        let took = Some(Duration::from_hours(2));
        let at = |minutes| running(Duration::from_mins(minutes), took);
        assert_eq!(at(1), Duration::from_secs(30));
        assert_eq!(at(30), BOUNDS.max);
        assert_eq!(at(118), Duration::from_mins(1));
        assert_eq!(at(120), BOUNDS.min);
        assert_eq!(at(130), Duration::from_mins(1));
    }

    #[test]
    fn a_job_that_is_to_end_is_polled_often_however_old_it_is() {
        let age = Duration::from_hours(10);
        assert_eq!(BOUNDS.next(age, None, Pace::Stopping), STOPPING);
        let rarely = Intervals {
            min: Duration::from_mins(2),
            ..BOUNDS
        };
        assert_eq!(rarely.next(age, None, Pace::Stopping), rarely.min);
    }
}
