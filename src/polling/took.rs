//! How long exports into a dataset took.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use crate::api::Target;

/// Datasets that are remembered at the most: beyond that the one whose last export is oldest goes.
const DATASETS: usize = 1_000;

/// How long the last export into each dataset took.
#[derive(Default)]
pub(super) struct Took {
    by_dataset: Mutex<HashMap<Target, Last>>,
}

#[derive(Clone, Copy)]
struct Last {
    ended: Timestamp,
    took: Duration,
}

impl Took {
    /// An export into this dataset succeeded.
    pub(super) fn note(&self, target: &Target, ended: Timestamp, took: Duration) {
        let mut known = self.known();
        match known.get_mut(target) {
            Some(last) if last.ended > ended => {}
            Some(last) => *last = Last { ended, took },
            None => {
                known.insert(target.clone(), Last { ended, took });
            }
        }
        if known.len() > DATASETS {
            let oldest = known.iter().min_by_key(|(_, last)| last.ended);
            if let Some(oldest) = oldest.map(|(target, _)| target.clone()) {
                known.remove(&oldest);
            }
        }
    }

    pub(super) fn of(&self, target: &Target) -> Option<Duration> {
        self.known().get(target).map(|last| last.took)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Target, Last>> {
        self.by_dataset
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(dataset: usize) -> Target {
        Target {
            platform: "https://platform.adobe.io".into(),
            organization_id: "org@AdobeOrg".into(),
            sandbox: "prod".into(),
            dataset_id: Some(dataset.to_string()),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_last_export_counts_in_whatever_order_they_are_seen() {
        let took = Took::default();
        took.note(&target(1), at(200), Duration::from_secs(20));
        took.note(&target(1), at(100), Duration::from_secs(10));
        assert_eq!(took.of(&target(1)), Some(Duration::from_secs(20)));
        assert_eq!(took.of(&target(2)), None);
    }

    #[test]
    fn the_dataset_that_was_used_longest_ago_is_forgotten_first() {
        let took = Took::default();
        for number in 0..=DATASETS {
            let ended = at(i64::try_from(number).unwrap());
            took.note(&target(number), ended, Duration::from_secs(1));
        }
        assert_eq!(took.known().len(), DATASETS);
        assert_eq!(took.of(&target(0)), None);
        assert!(took.of(&target(1)).is_some());
    }
}
