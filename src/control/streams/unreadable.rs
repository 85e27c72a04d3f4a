//! Objects that are there and cannot be read.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use kube::{Resource, runtime::reflector::ObjectRef};

/// The objects that are there and cannot be read.
pub(super) struct Unreadable<K: Resource<DynamicType = ()>>(Mutex<HashSet<ObjectRef<K>>>);

impl<K: Resource<DynamicType = ()>> Unreadable<K> {
    pub(super) fn put(&self, object: ObjectRef<K>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(object);
    }

    pub(super) fn forget(&self, object: &ObjectRef<K>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(object);
    }

    /// Whether the object was one of them; it is none from now on.
    pub(super) fn take(&self, object: &K) -> bool {
        let object = ObjectRef::from_obj(object);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&object)
    }
}

impl<K: Resource<DynamicType = ()>> Default for Unreadable<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}
