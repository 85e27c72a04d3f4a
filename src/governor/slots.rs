//! How many exports run at a time, first come, first served.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

/// The exports of one budget that run, and those that wait for one of them to end, by UID.
///
/// # Guarantees
///
/// - A slot is given to no one while the limit is reached, nor before an older object that waits.
/// - What runs already counts, whatever the limit is by now.
pub(super) struct Slots<W> {
    limit: u32,
    /// By who is about to submit, or has a submission on record that has not ended.
    taken: HashSet<String>,
    /// By age and UID.
    waiting: BTreeMap<(Timestamp, String), W>,
    since: HashMap<String, Timestamp>,
}

/// Whether somebody who left had a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Slot,
    Nothing,
}

/// Whether an export may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// It may.
    Free,
    /// So many run already.
    Full {
        /// How many may run.
        limit: u32,
    },
}

impl<W> Slots<W> {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit,
            taken: HashSet::new(),
            waiting: BTreeMap::new(),
            since: HashMap::new(),
        }
    }

    pub(super) fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    pub(super) fn running(&self) -> usize {
        self.taken.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn free(&self) -> usize {
        usize::try_from(self.limit)
            .unwrap_or(usize::MAX)
            .saturating_sub(self.taken.len())
    }

    /// Takes a slot, or waits for one.
    pub(super) fn take(&mut self, uid: &str, created: Timestamp, waiter: W) -> Slot {
        if self.taken.contains(uid) {
            return Slot::Free;
        }
        self.forget(uid);
        let free = self.free();
        let place = (created, uid.to_owned());
        let before = self.waiting.range(..place.clone()).take(free).count();
        if before < free {
            self.taken.insert(uid.to_owned());
            return Slot::Free;
        }
        self.since.insert(uid.to_owned(), created);
        self.waiting.insert(place, waiter);
        Slot::Full { limit: self.limit }
    }

    /// A submission of this object is on record and not ended.
    pub(super) fn run(&mut self, uid: &str) {
        self.forget(uid);
        self.taken.insert(uid.to_owned());
    }

    /// The object has no use for a slot: it ended, is gone, or does not submit for now.
    pub(super) fn leave(&mut self, uid: &str) -> Left {
        self.forget(uid);
        if self.taken.remove(uid) {
            Left::Slot
        } else {
            Left::Nothing
        }
    }

    fn forget(&mut self, uid: &str) {
        if let Some(created) = self.since.remove(uid) {
            self.waiting.remove(&(created, uid.to_owned()));
        }
    }

    /// Those that may look again: as many of the oldest as there are slots free.
    pub(super) fn next(&self) -> impl Iterator<Item = &W> {
        self.waiting.values().take(self.free())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_oldest_that_waits_is_the_next() {
        let mut slots = Slots::new(1);
        let full = Slot::Full { limit: 1 };
        assert_eq!(slots.take("first", at(9), ()), Slot::Free);
        assert_eq!(slots.take("young", at(8), ()), full);
        assert_eq!(slots.take("old", at(7), ()), full);
        slots.run("first");
        slots.leave("first");
        assert_eq!(slots.take("young", at(8), ()), full, "an older one waits");
        assert_eq!(slots.take("old", at(7), ()), Slot::Free);
        assert_eq!((slots.running(), slots.waiting()), (1, 1));
    }

    #[test]
    fn who_asks_again_has_one_place_whatever_time_it_names() {
        let mut slots = Slots::new(1);
        slots.take("a", at(1), ());
        slots.take("b", at(2), ());
        slots.take("b", at(3), ());
        assert_eq!(slots.waiting(), 1);
        slots.leave("a");
        assert_eq!(slots.take("b", at(4), ()), Slot::Free);
    }

    #[test]
    fn what_runs_counts_beyond_the_limit() {
        let mut slots = Slots::new(2);
        for uid in ["a", "b", "c"] {
            slots.run(uid);
        }
        assert_eq!(slots.take("d", at(1), ()), Slot::Full { limit: 2 });
        slots.leave("a");
        assert_eq!(slots.take("d", at(1), ()), Slot::Full { limit: 2 });
        slots.leave("b");
        assert_eq!(slots.next().count(), 1);
        assert_eq!(slots.take("d", at(1), ()), Slot::Free);
    }

    #[test]
    fn who_wants_no_more_leaves_its_place_and_its_slot_to_others() {
        let mut slots = Slots::new(1);
        slots.take("a", at(1), ());
        slots.take("b", at(2), ());
        slots.leave("b");
        assert_eq!(slots.waiting(), 0);
        slots.take("c", at(3), ());
        slots.leave("a");
        assert_eq!(slots.take("c", at(3), ()), Slot::Free);
    }
}
