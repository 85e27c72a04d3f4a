//! Exports that have ended, of which nothing is left to do.

use super::{report::rested, wishes};
use crate::{
    api::{EXPORT_FINALIZER, ExportJob},
    control::{dependencies::is_ended, finalizers::finalizer},
    decide::Finalizer,
};

/// Whether a pass over an export would do nothing, as far as the object itself tells: it has
/// ended, is let go, says all that is to be said, and does not expire. (Another job of its request
/// may still be found.)
#[must_use]
pub fn is_at_rest(export: &ExportJob) -> bool {
    let Some(status) = &export.status else {
        return false;
    };
    let submission = status.submission.as_ref();
    let healed = submission.is_none_or(|submission| submission.surplus_job_ids.is_empty());
    let expires = wishes::keep(export).is_some() && wishes::managed(export).is_none();
    is_ended(export)
        && export.metadata.deletion_timestamp.is_none()
        && finalizer(export, EXPORT_FINALIZER) == Finalizer::Absent
        && healed
        && !expires
        && rested(export) == *status
}

#[cfg(test)]
mod tests;
