//! Objects that go while a pass over them is under way.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The passes under way, by the UID of the object.
///
/// What a pass takes note of after its object has gone would be kept for good. (That an object is
/// not in its store says less: one that is at rest is not there either.)
#[derive(Default)]
pub struct Underway {
    by_uid: Mutex<HashMap<String, Meanwhile>>,
}

/// What became of an object meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// It stays.
    Stays,
    /// It has gone.
    Gone,
}

impl Underway {
    /// A pass over an object begins.
    pub fn begin(&self, uid: &str) {
        self.by_uid().insert(uid.to_owned(), Meanwhile::Stays);
    }

    /// The object has gone, or is not this process's any more.
    pub fn gone(&self, uid: &str) {
        self.becomes(uid, Meanwhile::Gone);
    }

    /// The object is there (again).
    pub fn there(&self, uid: &str) {
        self.becomes(uid, Meanwhile::Stays);
    }

    /// The pass has ended.
    pub fn end(&self, uid: &str) -> Meanwhile {
        self.by_uid().remove(uid).unwrap_or(Meanwhile::Stays)
    }

    fn becomes(&self, uid: &str, what: Meanwhile) {
        if let Some(meanwhile) = self.by_uid().get_mut(uid) {
            *meanwhile = what;
        }
    }

    fn by_uid(&self) -> MutexGuard<'_, HashMap<String, Meanwhile>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_the_middle_of_a_pass_is_known_at_its_end_and_nothing_is_kept() {
        let underway = Underway::default();
        underway.gone("before");
        underway.begin("goes");
        underway.gone("goes");
        underway.begin("comes back");
        underway.gone("comes back");
        underway.there("comes back");
        assert_eq!(underway.end("goes"), Meanwhile::Gone);
        assert_eq!(underway.end("comes back"), Meanwhile::Stays);
        assert_eq!(underway.end("before"), Meanwhile::Stays);
        assert!(underway.by_uid().is_empty());
    }
}
