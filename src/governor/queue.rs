//! Who is next: by lane, and in a lane by turns of the namespaces.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

/// What a call is for. The first is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Somebody waits for an export to stop.
    Cancel,
    /// What a submission needs first: its dataset, and what became of the one before.
    Prepare,
    /// Submissions. What they need comes before them, or each would wait twice.
    Submit,
    /// How exports are.
    Poll,
    /// Whether things are still as they were.
    Drift,
}

const LANES: [Lane; 5] = [
    Lane::Cancel,
    Lane::Prepare,
    Lane::Submit,
    Lane::Poll,
    Lane::Drift,
];

/// Those that wait, each with a lane and a namespace.
///
/// # Guarantees
///
/// - A lane is served only when nobody waits in those before it.
/// - In a lane the namespaces take turns, however many of each wait.
/// - In a namespace, who came first is served first.
pub(super) struct Queue<T> {
    lanes: [Turns<T>; LANES.len()],
    length: usize,
}

struct Turns<T> {
    waiting: BTreeMap<Arc<str>, VecDeque<T>>,
    last: Option<Arc<str>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            lanes: LANES.map(|_| Turns {
                waiting: BTreeMap::new(),
                last: None,
            }),
            length: 0,
        }
    }
}

impl<T> Queue<T> {
    pub(super) fn push(&mut self, lane: Lane, namespace: &Arc<str>, waiter: T) {
        let turns = &mut self.lanes[lane as usize];
        let waiting = turns.waiting.entry(Arc::clone(namespace)).or_default();
        waiting.push_back(waiter);
        self.length += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Takes out the next that `may` be served.
    pub(super) fn pop(&mut self, may: impl Fn(&T) -> bool) -> Option<T> {
        for turns in &mut self.lanes {
            if let Some(waiter) = turns.pop(&may) {
                self.length -= 1;
                return Some(waiter);
            }
        }
        None
    }

    /// Keeps only those that still count.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        self.length = 0;
        for turns in &mut self.lanes {
            turns.waiting.retain(|_, line| {
                line.retain_mut(&mut keep);
                self.length += line.len();
                !line.is_empty()
            });
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let lines = self.lanes.iter().flat_map(|turns| turns.waiting.values());
        lines.flatten()
    }
}

impl<T> Turns<T> {
    fn pop(&mut self, may: &impl Fn(&T) -> bool) -> Option<T> {
        let after = match &self.last {
            Some(last) => (Bound::Excluded(Arc::clone(last)), Bound::Unbounded),
            None => (Bound::Unbounded, Bound::Unbounded),
        };
        let next = |(namespace, line): (&Arc<str>, &VecDeque<T>)| {
            let place = line.iter().position(may)?;
            Some((Arc::clone(namespace), place))
        };
        let found = self.waiting.range(after).find_map(next);
        let (namespace, place) = found.or_else(|| self.waiting.iter().find_map(next))?;
        let line = self.waiting.get_mut(&namespace)?;
        let waiter = line.remove(place);
        if line.is_empty() {
            self.waiting.remove(&namespace);
        }
        self.last = Some(namespace);
        waiter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(waiters: &[(Lane, &str, u32)]) -> Queue<u32> {
        let mut queue = Queue::default();
        for (lane, namespace, waiter) in waiters {
            queue.push(*lane, &Arc::from(*namespace), *waiter);
        }
        queue
    }

    fn order(queue: &mut Queue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop(|_| true)).collect()
    }

    #[test]
    fn a_more_urgent_lane_is_served_first() {
        let mut queue = filled(&[
            (Lane::Drift, "a", 4),
            (Lane::Poll, "a", 3),
            (Lane::Submit, "b", 2),
            (Lane::Cancel, "a", 1),
        ]);
        assert_eq!(order(&mut queue), [1, 2, 3, 4]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn namespaces_take_turns_however_many_of_each_wait() {
        let mut queue = filled(&[
            (Lane::Submit, "a", 1),
            (Lane::Submit, "a", 2),
            (Lane::Submit, "a", 3),
            (Lane::Submit, "b", 10),
            (Lane::Submit, "c", 20),
            (Lane::Submit, "c", 21),
        ]);
        assert_eq!(order(&mut queue), [1, 10, 20, 2, 21, 3]);
    }

    #[test]
    fn who_may_not_be_served_holds_up_nobody() {
        let waiting = [
            (Lane::Submit, "a", 1),
            (Lane::Submit, "a", 2),
            (Lane::Poll, "b", 3),
        ];
        let mut queue = filled(&waiting);
        assert_eq!(queue.pop(|waiter| *waiter != 1), Some(2));
        assert_eq!(queue.pop(|waiter| *waiter != 1), Some(3));
        assert_eq!(queue.pop(|waiter| *waiter != 1), None);
        queue.retain(|waiter| *waiter != 1);
        assert_eq!(queue.len(), 0);
    }
}
