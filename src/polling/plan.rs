//! How to ask for jobs with the fewest calls: by pages of the list, newest first, or one by one.

/// Where a job is taken to be in the list, counted from its newest record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    /// Records before it when it was last seen; if it never was, those that are known to be.
    pub(super) before: f64,
    /// How many records have come before it since.
    pub(super) moved: f64,
}

/// How many pages to read; what is not on them is asked for one by one.
///
/// Of all numbers of pages the one that costs the fewest calls; at the same cost the fewer pages,
/// since a job that is asked for by its id tells more.
pub(super) fn pages(places: &[Place], page: usize) -> usize {
    let mut on_page: Vec<usize> = places.iter().map(|place| place.page(page)).collect();
    on_page.sort_unstable();
    let mut best = (on_page.len(), 0);
    for (number, last) in on_page.iter().enumerate() {
        let left = on_page.len() - number - 1;
        // The same page may hold the next ones too.
        if on_page.get(number + 1) == Some(last) {
            continue;
        }
        let cost = last.saturating_add(1).saturating_add(left);
        best = best.min((cost, last + 1));
    }
    best.1
}

impl Place {
    fn page(&self, page: usize) -> usize {
        let before = (self.before + self.moved).max(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and a list has far fewer records"
        )]
        let before = before as usize;
        before / page.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(places: &[u32]) -> Vec<Place> {
        let place = |before: &u32| Place {
            before: f64::from(*before),
            moved: 0.0,
        };
        places.iter().map(place).collect()
    }

    #[test]
    fn one_job_is_asked_for_by_its_id() {
        assert_eq!(pages(&at(&[0]), 100), 0);
        assert_eq!(pages(&at(&[5_000]), 100), 0);
        assert_eq!(pages(&[], 100), 0);
    }

    #[test]
    fn many_jobs_are_read_from_as_many_pages_as_they_are_on() {
        let all: Vec<u32> = (0..500).collect();
        assert_eq!(pages(&at(&all), 100), 5);
        assert_eq!(pages(&at(&[0, 1]), 100), 1);
    }

    #[test]
    fn the_few_far_down_are_asked_for_by_their_ids() {
        assert_eq!(pages(&at(&[3, 7, 12, 4_000]), 100), 1);
        assert_eq!(pages(&at(&[900, 1_900, 2_900]), 100), 0);
    }

    #[test]
    fn no_other_number_of_pages_costs_fewer_calls() {
        // All sets of six jobs on eight pages.
        for code in 0..8_u32.pow(6) {
            let on: Vec<u32> = (0..6).map(|job| code / 8_u32.pow(job) % 8).collect();
            let chosen = pages(&at(&on), 1);
            let cost = |pages: usize| {
                let left = on.iter().filter(|page| **page as usize >= pages);
                pages + left.count()
            };
            let least = (0..=8).map(cost).min();
            assert_eq!(Some(cost(chosen)), least, "{on:?}");
        }
    }

    #[test]
    fn what_came_before_a_job_since_it_was_seen_counts() {
        let moved = Place {
            before: 90.0,
            moved: 20.0,
        };
        assert_eq!(moved.page(100), 1);
    }
}
