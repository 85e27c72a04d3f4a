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
/// - Who waits is woken in the order of coming, once there is room.
pub struct Crowd {
    share: usize,
    by_connection: Arc<Mutex<HashMap<ConnectionKey, Line>>>,
}

#[derive(Default)]
struct Line {
    inside: usize,
    /// Those that wait, by when they came.
    waiting: BTreeMap<u64, Wake>,
    numbers: HashMap<String, u64>,
    next: u64,
}

/// A pass under way.
pub struct Inside {
    connection: ConnectionKey,
    share: usize,
    by_connection: Arc<Mutex<HashMap<ConnectionKey, Line>>>,
}

impl Crowd {
    /// So many passes for each connection.
    #[must_use]
    pub fn new(share: usize) -> Self {
        Self {
            share,
            by_connection: Arc::default(),
        }
    }

    /// Begins a pass over an object; none: it waits, and is woken.
    pub fn enter(&self, connection: ConnectionKey, uid: &str, wake: Wake) -> Option<Inside> {
        let mut lines = lock(&self.by_connection);
        let line = lines.entry(connection.clone()).or_default();
        let before_it = match line.numbers.get(uid) {
            Some(number) => line.waiting.range(..number).take(self.share).count(),
            None => line.waiting.len(),
        };
        if line.inside + before_it < self.share {
            line.forget(uid);
            line.inside += 1;
            return Some(Inside {
                connection,
                share: self.share,
                by_connection: Arc::clone(&self.by_connection),
            });
        }
        if !line.numbers.contains_key(uid) {
            let number = line.next;
            line.next += 1;
            line.numbers.insert(uid.to_owned(), number);
            line.waiting.insert(number, wake);
        }
        None
    }

    /// How many passes are under way or wait.
    pub fn kept(&self) -> usize {
        let lines = lock(&self.by_connection);
        let lengths = lines.values().map(|line| line.inside + line.waiting.len());
        lengths.sum()
    }

    /// An object is gone.
    pub fn forget(&self, uid: &str) {
        lock(&self.by_connection).retain(|_, line| {
            if line.forget(uid) {
                line.wake(self.share);
            }
            !line.is_empty()
        });
    }
}

impl Line {
    fn forget(&mut self, uid: &str) -> bool {
        let number = self.numbers.remove(uid);
        number.is_some_and(|number| self.waiting.remove(&number).is_some())
    }

    /// Wakes as many as there is room for. They leave the line when they come in.
    fn wake(&self, share: usize) {
        let room = share.saturating_sub(self.inside);
        for wake in self.waiting.values().take(room) {
            wake();
        }
    }

    fn is_empty(&self) -> bool {
        self.inside == 0 && self.waiting.is_empty()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let mut lines = lock(&self.by_connection);
        if let Some(line) = lines.get_mut(&self.connection) {
            line.inside = line.inside.saturating_sub(1);
            line.wake(self.share);
            if line.is_empty() {
                lines.remove(&self.connection);
            }
        }
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

    #[test]
    fn who_came_first_is_woken_and_nobody_gets_before_it() {
        let crowd = Crowd::new(1);
        let woken = Arc::new(AtomicU32::new(0));
        let inside = crowd.enter(slow(), "1", nobody());
        let wake = Arc::clone(&woken);
        let wake: Wake = Arc::new(move || {
            wake.fetch_add(1, Ordering::SeqCst);
        });
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
        assert!(lock(&crowd.by_connection).is_empty());
    }
}
