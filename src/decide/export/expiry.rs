//! An object whose export has ended: kept for its time, then deleted.

use jiff::{SignedDuration, Timestamp};

use super::{
    super::{Cause, Life},
    facts::Facts,
};
use crate::api::Reason;

/// When an object at rest is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// Not by its spec.
    Never,
    /// At this time.
    At(Timestamp),
    /// Now.
    Due,
}

pub(super) fn expiry(facts: &Facts) -> Expiry {
    match (
        facts.life,
        facts.wishes.keep,
        facts.ended_at,
        &facts.managed,
    ) {
        (Life::Live, Some(keep), Some(ended), None) => {
            let time = ended.saturating_add(keep).unwrap_or(Timestamp::MAX);
            if facts.now >= time {
                Expiry::Due
            } else {
                Expiry::At(time)
            }
        }
        (Life::Live | Life::Deleting, _, _, _) => Expiry::Never,
    }
}

/// Why an object is not deleted after its time to live, if it has one: what manages it would
/// create it again, and the export with it.
#[must_use]
pub fn kept_on(managed: Option<&str>, keep: Option<SignedDuration>) -> Option<Cause> {
    let mark = managed.filter(|_| keep.is_some())?;
    Some(Cause::new(
        Reason::TTLIgnoredManaged,
        format!(
            "ttlSecondsAfterFinished is not acted on: the object carries {mark}, and what manages \
             it would create it again, and the export with it. Remove it where it is managed"
        ),
    ))
}
