//! From how an export stands to its status and its events: the one place that does it.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    super::{Context, events::Tone},
    observe::Seen,
};
use crate::{
    api::{
        BatchStatus, CancelledBy, ConditionType, Desired, ExportError, ExportJob, ExportJobStatus,
        PlatformTimings, Reason, Submission, SubmissionEvidence, SubmissionOutcome, Tristate, find,
        merge, whole_second,
    },
    decide::{
        Cause, Need,
        export::{Batches, DataAvailability, Ending, Sighting, Situation},
    },
    platform::Job,
};

/// How many batches a status shows.
const BATCHES: usize = 100;
/// How many errors a status shows.
const ERRORS: usize = 10;

/// A row of the table of conditions.
struct Row {
    phase: &'static str,
    ready: (Tristate, Cause),
    abnormal: Option<ConditionType>,
    end: Vec<Desired>,
}

/// The status of an export whose intent is recorded with it.
pub(super) fn intended(export: &ExportJob, seen: &Seen, submission: Submission) -> ExportJobStatus {
    let mut status = project(export, seen, &Situation::Submitting);
    status.submission = Some(submission);
    status
}

/// The status of an export that stands so.
pub(super) fn project(export: &ExportJob, seen: &Seen, situation: &Situation) -> ExportJobStatus {
    let before = export.status.clone().unwrap_or_default();
    let Some(row) = row(situation, seen) else {
        return before;
    };
    let Row {
        phase,
        ready: (tristate, cause),
        abnormal,
        end,
    } = row;
    let mut desired = vec![Desired {
        type_: ConditionType::Ready,
        status: tristate,
        reason: cause.reason,
        message: cause.message.clone(),
    }];
    desired.extend(abnormal.map(|type_| Desired {
        type_,
        status: Tristate::True,
        reason: cause.reason,
        message: cause.message,
    }));
    desired.extend(end);
    let generation = export.metadata.generation;
    let mut status = ExportJobStatus {
        observed_generation: generation,
        phase: Some(phase.to_owned()),
        conditions: merge(&before.conditions, desired, generation, Timestamp::now()),
        ..before
    };
    if let (Some(tenant), Some(name)) = (&seen.tenant, &seen.connection) {
        status.connection = Some(tenant.status_ref(name));
    }
    if let Need::Met(destination) = &seen.facts.destination {
        status.dataset_id.clone_from(&destination.target.dataset_id);
    }
    if let Sighting::Job { job, batches } = &seen.facts.sighting {
        show(&mut status, job, batches);
    }
    if let Situation::Ends(ending) = situation {
        finish(&mut status, ending, seen);
        if let (Ending::Rejected(_), Some(submission)) = (ending, &mut status.submission) {
            submission.outcome = Some(SubmissionOutcome::Rejected);
            submission.evidence = Some(SubmissionEvidence::Reply);
        }
    }
    status
}

/// Whether two statuses say the same. A running job's status in the platform's words is written
/// only where something else is.
pub(super) fn is_same(before: Option<&ExportJobStatus>, after: &ExportJobStatus) -> bool {
    let Some(before) = before else { return false };
    let running = after.completion_time.is_none();
    let same_but_words = || {
        let mut words = after.clone();
        words.platform_status.clone_from(&before.platform_status);
        words.platform_timings.clone_from(&before.platform_timings);
        words.batches.clone_from(&before.batches);
        words.batch_count.clone_from(&before.batch_count);
        words == *before
    };
    before == after || (running && same_but_words())
}

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
        Situation::Ends(Ending::Failed | Ending::CancelledInPlatform) => {
            Some((Tone::Warning, "Observe", cause))
        }
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
        | Situation::Cancelling(_)
        | Situation::AtRest
        | Situation::Leaving(_) => None,
    }
}

/// The reason of an end.
pub(super) fn reason_of(ending: &Ending) -> Reason {
    match ending {
        Ending::Succeeded(_) => Reason::Succeeded,
        Ending::Failed => Reason::ExportFailed,
        Ending::CancelledInPlatform => Reason::CancelledInPlatform,
        Ending::Cancelled(CancelledBy::Deadline) => Reason::DeadlineExceeded,
        Ending::Cancelled(CancelledBy::Spec | CancelledBy::Deletion) => Reason::Cancelled,
        Ending::Rejected(_) => Reason::Rejected,
    }
}

fn row(situation: &Situation, seen: &Seen) -> Option<Row> {
    let reconciling = |phase, cause: Cause| {
        let (ready, abnormal) = ((Tristate::False, cause), Some(ConditionType::Reconciling));
        Some(Row {
            phase,
            ready,
            abnormal,
            end: Vec::new(),
        })
    };
    let stalled = |phase, cause: Cause| {
        let (ready, abnormal) = ((Tristate::False, cause), Some(ConditionType::Stalled));
        Some(Row {
            phase,
            ready,
            abnormal,
            end: Vec::new(),
        })
    };
    match situation {
        Situation::Waiting(cause) => reconciling("Pending", cause.clone()),
        Situation::Blocked(cause) => stalled("Pending", cause.clone()),
        Situation::Submitting => reconciling(
            "Submitting",
            Cause::new(
                Reason::Submitting,
                "the request to start the export is being sent",
            ),
        ),
        Situation::Suspended => Some(suspended()),
        Situation::InDoubt(cause) => reconciling("Submitting", cause.clone()),
        Situation::Ambiguous(cause) => stalled("Ambiguous", cause.clone()),
        Situation::Retrying(cause) => reconciling("Pending", cause.clone()),
        Situation::Running(Some(cause)) => reconciling("Running", cause.clone()),
        Situation::Running(None) => reconciling(
            "Running",
            Cause::new(Reason::Running, "the platform runs the export"),
        ),
        Situation::WaitingForBatch(cause) => reconciling(
            "Running",
            Cause::new(Reason::WaitingForBatch, cause.message.clone()),
        ),
        Situation::Cancelling(cause) => reconciling("Cancelling", cause.clone()),
        Situation::Ends(ending) => Some(end(ending, seen)),
        Situation::Foreign => stalled(
            "Pending",
            Cause::new(
                Reason::ForeignStatus,
                "the status was made for another object (copied, restored or forged): nothing in \
                 it is read; delete this object and create it again without a status",
            ),
        ),
        Situation::AtRest | Situation::Leaving(_) => None,
    }
}

/// Neither at work nor wrong: it is as its spec wants it.
fn suspended() -> Row {
    let message = "not submitted while spec.suspend is true";
    let cause = Cause::new(Reason::Suspended, message);
    Row {
        phase: "Suspended",
        ready: (Tristate::False, cause.clone()),
        abnormal: None,
        end: vec![Desired {
            type_: ConditionType::Suspended,
            status: Tristate::True,
            reason: cause.reason,
            message: cause.message,
        }],
    }
}

fn end(ending: &Ending, seen: &Seen) -> Row {
    let said = said(&seen.facts.sighting);
    let failed = |phase, cause: Cause| Row {
        phase,
        ready: (Tristate::False, cause.clone()),
        abnormal: Some(ConditionType::Stalled),
        end: vec![Desired {
            type_: ConditionType::Failed,
            status: Tristate::True,
            reason: cause.reason,
            message: cause.message,
        }],
    };
    match ending {
        Ending::Succeeded(data) => {
            let cause = match said {
                Some(said) => Cause::new(
                    Reason::SucceededWithErrors,
                    format!("the export succeeded; the platform reports with it: {said}"),
                ),
                None => Cause::new(Reason::Succeeded, "the export succeeded"),
            };
            let (tristate, why) = match data {
                DataAvailability::Readable => {
                    let message = "the Catalog shows every batch as readable";
                    (Tristate::True, Cause::new(Reason::BatchesReadable, message))
                }
                DataAvailability::Unknown(cause) => (Tristate::Unknown, cause.clone()),
            };
            let desired = |type_, status, cause: Cause| Desired {
                type_,
                status,
                reason: cause.reason,
                message: cause.message,
            };
            Row {
                phase: "Succeeded",
                ready: (Tristate::True, cause.clone()),
                abnormal: None,
                end: vec![
                    desired(ConditionType::Complete, Tristate::True, cause),
                    desired(ConditionType::DataAvailable, tristate, why),
                ],
            }
        }
        Ending::Failed => {
            let message = said.map_or_else(
                || "the platform says that the export failed, and not why".to_owned(),
                |said| format!("the platform says that the export failed: {said}"),
            );
            failed("Failed", Cause::new(Reason::ExportFailed, message))
        }
        Ending::CancelledInPlatform => failed(
            "Cancelled",
            Cause::new(
                Reason::CancelledInPlatform,
                "the job was cancelled in the platform, not by this object",
            ),
        ),
        Ending::Cancelled(by) => {
            let (phase, reason, message) = match by {
                CancelledBy::Deadline => (
                    "Failed",
                    Reason::DeadlineExceeded,
                    "the export took longer than its deadline allows, and was cancelled",
                ),
                CancelledBy::Spec | CancelledBy::Deletion => (
                    "Cancelled",
                    Reason::Cancelled,
                    "the export was cancelled by its spec",
                ),
            };
            failed(phase, Cause::new(reason, message))
        }
        Ending::Rejected(cause) => failed(
            "Failed",
            Cause::new(
                Reason::Rejected,
                format!("the platform rejected the request: {}", cause.message),
            ),
        ),
    }
}

/// What the platform reports as errors, in one line.
fn said(sighting: &Sighting) -> Option<String> {
    let Sighting::Job { job, batches: _ } = sighting else {
        return None;
    };
    let first = job.errors.first()?;
    let more = job.errors.len() - 1;
    let also = if more == 0 {
        String::new()
    } else {
        format!(" (and {more} more in status.errors)")
    };
    Some(format!("{} (code {}){also}", first.message, first.code))
}

fn show(status: &mut ExportJobStatus, job: &Job, batches: &Batches) {
    status.platform_status = Some(job.status.clone());
    status.platform_timings = timings(job);
    status.exported_profiles = job.exported_profiles;
    status
        .exported_profiles_by_namespace
        .clone_from(&job.exported_profiles_by_namespace);
    let seen = |id| match batches {
        Batches::Seen(seen) => seen
            .iter()
            .find(|(known, _)| known == id)
            .and_then(|(_, batch)| batch.as_ref()),
        Batches::NotAsked | Batches::Refused(_) => None,
    };
    status.batches = job
        .batches
        .iter()
        .take(BATCHES)
        .map(|batch| {
            let shown = seen(&batch.id);
            BatchStatus {
                batch_id: batch.id.to_string(),
                segment_id: batch.segment_id.clone(),
                segment_ns: batch.segment_ns.clone(),
                segment_status: batch.segment_status.clone(),
                status: shown.map(|batch| batch.status.clone()),
                records: shown.and_then(|batch| batch.records),
                files: shown.and_then(|batch| batch.files),
                bytes: shown.and_then(|batch| batch.bytes),
            }
        })
        .collect();
    status.batch_count = i64::try_from(job.batches.len())
        .ok()
        .filter(|count| *count > 0);
    status.errors = job
        .errors
        .iter()
        .take(ERRORS)
        .map(|error| ExportError {
            code: error.code.clone(),
            message: error.message.clone(),
        })
        .collect();
}

fn timings(job: &Job) -> Option<PlatformTimings> {
    let timings = PlatformTimings {
        total_milliseconds: job.total_milliseconds,
        profile_export_milliseconds: job.profile_export_milliseconds,
        dataset_write_milliseconds: job.dataset_write_milliseconds,
    };
    (timings != PlatformTimings::default()).then_some(timings)
}

fn finish(status: &mut ExportJobStatus, ending: &Ending, seen: &Seen) {
    let told = match (ending, &seen.facts.sighting) {
        // Nothing ran that could have told.
        (Ending::Rejected(_), _) => None,
        (_, Sighting::Job { job, batches: _ }) => job.update_time,
        (_, Sighting::Unseen | Sighting::Missing | Sighting::Trouble(_)) => None,
    };
    let end = whole_second(told.unwrap_or(seen.facts.now));
    status.completion_time = Some(end);
    status.duration_seconds = status
        .start_time
        .and_then(|start| Duration::try_from(end.duration_since(start)).ok())
        .and_then(|duration| i64::try_from(duration.as_secs()).ok());
}
