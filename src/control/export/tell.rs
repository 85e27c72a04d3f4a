//! The events of an export: on transitions only.

use super::super::{Context, events::Tone};
use crate::{
    api::{CancelledBy, ConditionType, DELETION_POLICY_ANNOTATION, ExportJob, Reason, cut, find},
    decide::{
        Cause,
        export::{Ending, Situation},
    },
};

/// Publishes the event that a transition is worth, if it is.
pub(super) async fn announce(
    before: &ExportJob,
    after: &ExportJob,
    situation: &Situation,
    context: &Context,
) {
    if let Some((tone, action, cause)) = announcement(before, after, situation) {
        let events = &context.shared.events;
        events
            .publish(after, tone, action, cause.reason, &cause.message)
            .await;
    }
    tell_kept(before, after, context).await;
}

fn announcement(
    before: &ExportJob,
    after: &ExportJob,
    situation: &Situation,
) -> Option<(Tone, &'static str, Cause)> {
    let reason = |export: &ExportJob| {
        let ready = find(&export.status.as_ref()?.conditions, ConditionType::Ready)?;
        Some((ready.reason.clone(), ready.message.clone()))
    };
    let (word, message) = reason(after)?;
    if reason(before).is_some_and(|(before, _)| before == word) {
        return None;
    }
    let cause = Cause::new(Reason::parse(&word)?, message);
    match situation {
        Situation::Blocked(_) => Some((Tone::Warning, "Submit", cause)),
        Situation::Ambiguous(_) | Situation::Foreign => Some((Tone::Warning, "Submit", cause)),
        Situation::Retrying(_) => Some((Tone::Warning, "Submit", cause)),
        Situation::Running(None) => {
            let status = after.status.as_ref()?;
            let (job, dataset) = (status.job_id.as_deref()?, status.dataset_id.as_deref()?);
            let note = format!("the platform took the export as job {job} into dataset {dataset}");
            Some((Tone::Normal, "Submit", Cause::new(cause.reason, note)))
        }
        Situation::Running(Some(_)) => Some((Tone::Warning, "Observe", cause)),
        Situation::Waiting(why) => match why.reason {
            Reason::NotSent
            | Reason::Refused
            | Reason::AccessDenied
            | Reason::PlatformThrottled => Some((Tone::Warning, "Submit", cause)),
            _ => None,
        },
        Situation::Ends(Ending::Succeeded(_)) if cause.reason == Reason::SucceededWithErrors => {
            Some((Tone::Warning, "Observe", cause))
        }
        Situation::Ends(Ending::Succeeded(_)) => Some((Tone::Normal, "Observe", cause)),
        Situation::Ends(
            Ending::Failed
            | Ending::NoFurtherAttempt(_)
            | Ending::Vanished(_)
            | Ending::CancelledInPlatform,
        ) => Some((Tone::Warning, "Observe", cause)),
        Situation::Ends(Ending::Cancelled(CancelledBy::Spec | CancelledBy::Deletion)) => {
            Some((Tone::Normal, "Cancel", cause))
        }
        Situation::Ends(Ending::Cancelled(CancelledBy::Deadline)) => {
            Some((Tone::Warning, "Cancel", cause))
        }
        Situation::Ends(Ending::Rejected(_)) => Some((Tone::Warning, "Submit", cause)),
        Situation::Submitting
        | Situation::Suspended
        | Situation::InDoubt(_)
        | Situation::WaitingForBatch(_)
        | Situation::AtRest
        | Situation::Leaving(_) => None,
        // What is waited for is worth a word; that it is being done is told when it is.
        Situation::Cancelling(why) if why.reason == Reason::Cancelling => None,
        Situation::Cancelling(_) => Some((Tone::Warning, "Cancel", cause)),
    }
}

/// Tells that the namespace's word on deleted exports means nothing, where it first counts: before
/// the intent, after which nothing is waited for.
pub(super) async fn tell_invalid(export: &ExportJob, context: &Context, word: &str) {
    let holds = &context.shared.settings.deletion_policy;
    let note = format!(
        "the namespace's annotation {DELETION_POLICY_ANNOTATION} says {:?}, which is neither Cancel \
         nor Orphan: {} holds, the operator's default",
        cut(word, 64),
        <&str>::from(holds),
    );
    let (tone, reason) = (Tone::Warning, Reason::InvalidPolicy);
    let events = &context.shared.events;
    events.publish(export, tone, "Submit", reason, &note).await;
}

/// The reason of an end.
pub(super) fn reason_of(ending: &Ending) -> Reason {
    match ending {
        Ending::Succeeded(_) => Reason::Succeeded,
        Ending::Failed | Ending::NoFurtherAttempt(_) => Reason::ExportFailed,
        Ending::Vanished(_) => Reason::JobNotFound,
        Ending::CancelledInPlatform => Reason::CancelledInPlatform,
        Ending::Cancelled(CancelledBy::Deadline) => Reason::DeadlineExceeded,
        Ending::Cancelled(CancelledBy::Spec | CancelledBy::Deletion) => Reason::Cancelled,
        Ending::Rejected(_) => Reason::Rejected,
    }
}

pub(super) async fn tell_kept(before: &ExportJob, after: &ExportJob, context: &Context) {
    let expires = |export: &ExportJob| {
        let conditions = &export.status.as_ref()?.conditions;
        find(conditions, ConditionType::Expires).cloned()
    };
    if let (None, Some(condition)) = (expires(before), expires(after)) {
        let (tone, reason) = (Tone::Normal, Reason::TTLIgnoredManaged);
        let events = &context.shared.events;
        events
            .publish(after, tone, "Expire", reason, &condition.message)
            .await;
    }
}
