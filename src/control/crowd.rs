//! How many passes one connection may have at a time, so that a slow tenant holds up no other.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::tenants::ConnectionKey;
use crate::governor::Wake;

/// The passes under way and those that wait, by connection.
///
/// # Guarantees
///
/// - No connection has more passes than its share.
/// - Who waits is woken in the order of coming, once there is room, and not again before it came.
pub struct Crowd {
    share: usize,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Default)]
struct Lines {
    by_connection: HashMap<ConnectionKey, Line>,
    /// Where each that waits does: an object that names another connection by now has left its line.
    places: HashMap<String, (ConnectionKey, u64)>,
    next: u64,
}

#[derive(Default)]
struct Line {
    inside: usize,
    /// Those that wait, by when they came; none: it was woken, and is on its way.
    waiting: BTreeMap<u64, Option<Wake>>,
}

/// A pass under way.
pub struct Inside {
    connection: ConnectionKey,
    share: usize,
    lines: Arc<Mutex<Lines>>,
}

impl Crowd {
    /// So many passes for each connection.
    #[must_use]
    pub fn new(share: usize) -> Self {
        Self {
            share,
            lines: Arc::default(),
        }
    }

    /// Begins a pass over an object; none: it waits, and is woken.
    pub fn enter(&self, connection: ConnectionKey, uid: &str, wake: Wake) -> Option<Inside> {
        let mut lines = lock(&self.lines);
        let lines = &mut *lines;
        let number = match lines.places.get(uid) {
            Some((place, number)) if *place == connection => *number,
            Some(_) | None => {
                lines.leave(uid, self.share);
                lines.next += 1;
                lines.next
            }
        };
        let line = lines.by_connection.entry(connection.clone()).or_default();
        let before_it = line.waiting.range(..number).take(self.share).count();
        if line.inside + before_it < self.share {
            line.waiting.remove(&number);
            line.inside += 1;
            lines.places.remove(uid);
            return Some(Inside {
                connection,
                share: self.share,
                lines: Arc::clone(&self.lines),
            });
        }
        line.waiting.insert(number, Some(wake));
        lines.places.insert(uid.to_owned(), (connection, number));
        None
    }

    /// How many passes are under way or wait.
    pub fn kept(&self) -> usize {
        let lines = lock(&self.lines);
        let inside = lines.by_connection.values().map(|line| line.inside);
        inside.sum::<usize>() + lines.places.len()
    }

    /// An object waits no more: it is gone, or needs no connection.
    pub fn forget(&self, uid: &str) {
        lock(&self.lines).leave(uid, self.share);
    }
}

impl Lines {
    /// Takes an object out of the line that it waits in.
    fn leave(&mut self, uid: &str, share: usize) {
        let Some((connection, number)) = self.places.remove(uid) else {
            return;
        };
        self.change(&connection, share, |line| {
            line.waiting.remove(&number);
        });
    }

    /// Changes a line, and wakes those that there is room for after that.
    fn change(&mut self, connection: &ConnectionKey, share: usize, change: impl FnOnce(&mut Line)) {
        let Some(line) = self.by_connection.get_mut(connection) else {
            return;
        };
        change(line);
        line.wake(share);
        if line.inside == 0 && line.waiting.is_empty() {
            self.by_connection.remove(connection);
        }
    }
}

impl Line {
    /// Wakes as many as there is room for, but those that are on their way. They leave the line when
    /// they come in.
    fn wake(&mut self, share: usize) {
        let room = share.saturating_sub(self.inside);
        for wake in self
            .waiting
            .values_mut()
            .take(room)
            .filter_map(Option::take)
        {
            wake();
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        lock(&self.lines).change(&self.connection, self.share, |line| {
            line.inside = line.inside.saturating_sub(1);
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn slow() -> ConnectionKey {
        ConnectionKey::new("n", "slow")
    }

    fn nobody() -> Wake {
        Arc::new(|| {})
    }

    #[test]
    fn a_connection_with_many_passes_leaves_room_for_others() {
        let crowd = Crowd::new(2);
        let one = crowd.enter(slow(), "1", nobody());
        let two = crowd.enter(slow(), "2", nobody());
        assert!(one.is_some() && two.is_some());
        assert!(crowd.enter(slow(), "3", nobody()).is_none());
        let other = ConnectionKey::new("n", "other");
        assert!(crowd.enter(other, "4", nobody()).is_some());
    }

    fn counting(woken: &Arc<AtomicU32>) -> Wake {
        let woken = Arc::clone(woken);
        Arc::new(move || {
            woken.fetch_add(1, Ordering::SeqCst);
        })
    }

    #[test]
    fn who_came_first_is_woken_and_nobody_gets_before_it() {
        let crowd = Crowd::new(1);
        let woken = Arc::new(AtomicU32::new(0));
        let inside = crowd.enter(slow(), "1", nobody());
        let wake = counting(&woken);
        assert!(crowd.enter(slow(), "2", wake).is_none());
        assert!(crowd.enter(slow(), "3", nobody()).is_none());
        drop(inside);
        assert_eq!(woken.load(Ordering::SeqCst), 1);
        assert!(crowd.enter(slow(), "3", nobody()).is_none());
        assert!(crowd.enter(slow(), "2", nobody()).is_some());
    }

    #[test]
    fn who_is_gone_holds_up_nobody_and_nothing_is_kept() {
        let crowd = Crowd::new(1);
        let inside = crowd.enter(slow(), "1", nobody());
        assert!(crowd.enter(slow(), "2", nobody()).is_none());
        assert!(crowd.enter(slow(), "3", nobody()).is_none());
        crowd.forget("2");
        drop(inside);
        assert!(crowd.enter(slow(), "3", nobody()).is_some());
        assert!(lock(&crowd.lines).by_connection.is_empty());
        assert_eq!(crowd.kept(), 0);
    }

    #[test]
    fn who_is_on_its_way_is_not_woken_again() {
        let crowd = Crowd::new(2);
        let woken = Arc::new(AtomicU32::new(0));
        let one = crowd.enter(slow(), "1", nobody());
        let two = crowd.enter(slow(), "2", nobody());
        assert!(crowd.enter(slow(), "3", counting(&woken)).is_none());
        drop(one);
        drop(two);
        assert_eq!(woken.load(Ordering::SeqCst), 1);
        assert!(crowd.enter(slow(), "3", nobody()).is_some());
    }

    #[test]
    fn who_waits_for_another_connection_by_now_has_left_its_line() {
        let crowd = Crowd::new(1);
        let other = || ConnectionKey::new("n", "other");
        let woken = Arc::new(AtomicU32::new(0));
        let inside = crowd.enter(slow(), "1", nobody());
        assert!(crowd.enter(slow(), "2", nobody()).is_none());
        assert!(crowd.enter(slow(), "3", counting(&woken)).is_none());
        let moved = crowd.enter(other(), "2", nobody());
        assert!(moved.is_some());
        drop(inside);
        assert_eq!(woken.load(Ordering::SeqCst), 1);
        assert!(crowd.enter(slow(), "3", nobody()).is_some());
        drop(moved);
        assert_eq!(crowd.kept(), 0);
    }
}
