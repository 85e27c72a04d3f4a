//! What this process wrote and no watch has shown yet.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::{Resource, ResourceExt};

/// How soon an object is looked for again whose watch is behind.
const BEHIND: Duration = Duration::from_millis(100);
/// The longest wait after writes that met a newer object: its watch stands still.
const LONGEST: Duration = Duration::from_secs(10);

/// The versions that this process wrote, by UID.
///
/// A pass over an object that is older than this process' own last write would take what it wrote
/// for what somebody has still to write, or the other way round. So it waits until the watch has
/// caught up.
#[derive(Default)]
pub struct Written {
    by_uid: Mutex<HashMap<String, Own>>,
}

#[derive(Default)]
struct Own {
    version: u64,
    conflicts: u32,
}

impl Written {
    /// The API server's answer to a write.
    pub fn wrote<K: Resource>(&self, object: &K) {
        if let Some(uid) = object.meta().uid.clone() {
            let own = &mut *self.own();
            let own = own.entry(uid).or_default();
            own.version = own.version.max(version(object));
            own.conflicts = 0;
        }
    }

    /// How long to wait before a pass over an object, if it is older than the last write.
    pub fn behind<K: Resource>(&self, object: &K) -> Option<Duration> {
        let mut own = self.own();
        let uid = object.meta().uid.as_deref()?;
        let last = own.get(uid)?;
        if last.version > version(object) {
            return Some(BEHIND);
        }
        if last.conflicts == 0 {
            own.remove(uid);
        }
        None
    }

    /// A watch has shown an object over which there is no pass: what was written of it up to there
    /// is not waited for any more.
    pub fn shown<K: Resource>(&self, object: &K) {
        let Some(uid) = object.meta().uid.as_deref() else {
            return;
        };
        let mut own = self.own();
        if own
            .get(uid)
            .is_some_and(|last| last.version <= version(object))
        {
            own.remove(uid);
        }
    }

    /// Whether an object is no newer than this process' last write of it. Each write is refused if
    /// the object has changed since it was read, so who made it knew all that is older.
    pub fn knows<K: Resource>(&self, object: &K) -> bool {
        let own = self.own();
        let last = object.meta().uid.as_deref().and_then(|uid| own.get(uid));
        last.is_some_and(|last| version(object) <= last.version)
    }

    /// A write met a newer object than its watch has shown: how long to wait for that.
    pub fn conflicted(&self, uid: &str) -> Duration {
        let mut own = self.own();
        let last = own.entry(uid.to_owned()).or_default();
        let wait = BEHIND.saturating_mul(2_u32.saturating_pow(last.conflicts));
        last.conflicts = last.conflicts.saturating_add(1);
        wait.min(LONGEST)
    }

    /// An object is gone.
    pub fn forget(&self, uid: &str) {
        self.own().remove(uid);
    }

    /// Everything was listed anew: an API server that was restored from a backup goes on from an
    /// older version.
    pub fn relisted(&self) {
        self.own().clear();
    }

    /// How many objects are watched for.
    pub fn kept(&self) -> usize {
        self.own().len()
    }

    fn own(&self) -> MutexGuard<'_, HashMap<String, Own>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An object's version. The API server says that those of one kind can be compared as numbers.
pub(super) fn version<K: Resource>(object: &K) -> u64 {
    let version = object.resource_version();
    version
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};

    use super::*;

    fn object(version: &str) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                uid: Some("uid".into()),
                resource_version: Some(version.into()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    #[test]
    fn a_pass_waits_until_the_watch_has_shown_the_last_write() {
        let written = Written::default();
        assert_eq!(written.behind(&object("9")), None);
        written.wrote(&object("10"));
        assert_eq!(written.behind(&object("9")), Some(BEHIND));
        assert_eq!(written.behind(&object("10")), None);
        assert_eq!(written.behind(&object("9")), None, "nothing is kept");
        written.wrote(&object("10"));
        written.relisted();
        assert_eq!(written.behind(&object("9")), None);
    }

    #[test]
    fn what_a_watch_shows_up_to_the_last_write_is_known_and_nothing_is_kept_of_it_at_rest() {
        let written = Written::default();
        assert!(!written.knows(&object("9")));
        written.wrote(&object("10"));
        written.wrote(&object("12"));
        assert!(written.knows(&object("10")));
        assert_eq!(written.behind(&object("10")), Some(BEHIND));
        assert!(written.knows(&object("12")));
        assert!(!written.knows(&object("14")), "somebody else's");
        written.conflicted("uid");
        written.shown(&object("11"));
        assert_eq!(written.kept(), 1, "older than the last write");
        written.shown(&object("14"));
        assert_eq!(written.kept(), 0);
    }

    #[test]
    fn writes_that_meet_newer_objects_are_repeated_ever_more_slowly() {
        let written = Written::default();
        let waits: Vec<_> = (0..10).map(|_| written.conflicted("uid")).collect();
        assert_eq!(waits[0], BEHIND);
        assert_eq!(waits[2], BEHIND * 4);
        assert_eq!(waits[9], LONGEST);
        written.wrote(&object("10"));
        assert_eq!(written.conflicted("uid"), BEHIND);
    }
}
