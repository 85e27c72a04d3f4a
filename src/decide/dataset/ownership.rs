//! Whose a dataset is, by its tags.

use super::super::request::Owner;
use crate::{
    api::{OWNER_TAG, OWNER_UID_TAG},
    platform::Dataset,
};

/// Whose a dataset is. An owner is as its tag has it: `cluster/namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Ours.
    Ours,
    /// That of an object of our namespace and name in another cluster.
    Namesake(String),
    /// That of another object of another cluster.
    OtherCluster(String),
    /// That of another object of this cluster.
    ThisCluster(String),
    /// Nobody's.
    Nobody,
}

/// Whose a dataset is. Where two claim it, it is the other's: nobody fights over it.
#[must_use]
pub fn ownership(dataset: &Dataset, own: &Owner) -> Ownership {
    let Owner { path, object, uid } = own;
    let values = |tag: &str| dataset.tags.get(tag).map_or(&[][..], Vec::as_slice);
    let owners = values(OWNER_TAG);
    let Some(other) = owners.iter().find(|owner| *owner != path) else {
        // Who took the one tag away may have left the other; no other object has this UID.
        let ours = !owners.is_empty() || values(OWNER_UID_TAG) == std::slice::from_ref(uid);
        return if ours {
            Ownership::Ours
        } else {
            Ownership::Nobody
        };
    };
    let cluster = |owner: &str| owner.split('/').next().map(str::to_owned);
    let of_name = other
        .split_once('/')
        .is_some_and(|(_, theirs)| theirs == object);
    if cluster(other) == cluster(path) {
        Ownership::ThisCluster(other.clone())
    } else if of_name {
        Ownership::Namesake(other.clone())
    } else {
        Ownership::OtherCluster(other.clone())
    }
}

/// The owner that a dataset's tag names, if it names one.
#[must_use]
pub fn owner_of(dataset: &Dataset) -> Option<&str> {
    dataset
        .tags
        .get(OWNER_TAG)?
        .first()
        .map(String::as_str)
        .filter(|owner| !owner.is_empty())
}
