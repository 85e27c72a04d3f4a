//! From how an export stands to its status: the one place that does it.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    super::{Context, PassError, requests::latest},
    observe::Seen,
    rows::{goes_on, kept, row},
    tell::tell_kept,
    wishes::{keep, managed},
};
use crate::{
    api::{
        BatchStatus, Cancellation, CancelledBy, ConditionType, ExportError, ExportJob,
        ExportJobStatus, MESSAGE_LIMIT, PlatformTimings, Submission, SubmissionEvidence,
        SubmissionOutcome, cut, merge, whole_second,
    },
    decide::{
        Need,
        export::{Batches, Ending, Facts, List, Record, Sighted, Sighting, Situation},
    },
    platform::Job,
};

/// How many batches a status shows.
const BATCHES: usize = 100;
/// How many errors a status shows.
const ERRORS: usize = 10;

/// The status of an export whose intent is recorded with it.
pub(super) fn intended(export: &ExportJob, seen: &Seen, submission: Submission) -> ExportJobStatus {
    let mut status = project(export, seen, &Situation::Submitting);
    status.submission = Some(submission);
    status
}

/// The status of an export that stands so.
pub(super) fn project(export: &ExportJob, seen: &Seen, situation: &Situation) -> ExportJobStatus {
    let before = export.status.clone().unwrap_or_default();
    let sighting = &seen.facts.sighting;
    let (Some(phase), Some(row)) = (situation.phase(), row(situation, export, sighting)) else {
        return before;
    };
    let mut desired = row.conditions();
    desired.extend(goes_on(export, situation));
    if let Situation::Ends(_) = situation {
        let Facts {
            managed, wishes, ..
        } = &seen.facts;
        desired.extend(kept(managed.as_deref(), wishes.keep));
    }
    let generation = export.metadata.generation;
    let mut status = ExportJobStatus {
        observed_generation: generation,
        phase: Some(phase.as_str().to_owned()),
        conditions: merge(&before.conditions, desired, generation, Timestamp::now()),
        effective: Some(seen.effective.clone()),
        last_handled_reconcile_at: answered(export, &before, seen),
        ..before
    };
    if let Some(tenant) = &seen.tenant {
        status.connection = Some(tenant.status_ref());
    }
    if let Need::Met(destination) = &seen.facts.destination {
        status.dataset_id.clone_from(&destination.target.dataset_id);
    }
    match &seen.facts.sighting {
        Sighting::Job { job, batches } => {
            show(&mut status, job, batches);
            status.not_found_since = None;
        }
        Sighting::Missing => {
            let since = whole_second(seen.facts.now);
            status.not_found_since.get_or_insert(since);
        }
        Sighting::Unseen | Sighting::Trouble(_) => {}
    }
    if *situation == Situation::Suspended
        && let Some(last) = status.attempts.last_mut()
    {
        last.suspended = Some(true);
    }
    if let Situation::Ends(ending) = situation {
        finish(&mut status, ending, seen);
        if let (Ending::Rejected(_), Some(submission)) = (ending, &mut status.submission) {
            submission.outcome = Some(SubmissionOutcome::Rejected);
            submission.evidence = Some(SubmissionEvidence::Reply);
        }
    }
    say_taken_back(export, &mut status);
    status
}

/// The request to reconcile that is answered by now: one that asks for a look is, once the look was
/// made.
fn answered(export: &ExportJob, before: &ExportJobStatus, seen: &Seen) -> Option<String> {
    let Facts {
        record,
        service,
        sighted,
        list,
        ..
    } = &seen.facts;
    let looked = match (record, service) {
        (Record::Known(_, _), Need::Met(())) => *sighted == Sighted::InThisPass,
        (Record::Open(_), Need::Met(())) => *list != List::NotYet,
        (Record::Fresh { attempt: _ } | Record::Ended(_), _)
        | (Record::Known(_, _) | Record::Open(_), Need::Waiting(_) | Need::Wrong(_)) => true,
    };
    let known = before.last_handled_reconcile_at.clone();
    if looked {
        latest(export).or(known)
    } else {
        known
    }
}

/// Says of an export that has ended what an edit since then comes to.
pub(super) async fn rest(export: &ExportJob, context: &Context) -> Result<(), PassError> {
    let status = rested(export);
    let written = context.write_status(export, status).await?;
    tell_kept(export, &written, context).await;
    Ok(())
}

/// The status of an export that has ended, as it is to be after what was edited since.
pub(super) fn rested(export: &ExportJob) -> ExportJobStatus {
    let mut status = export.status.clone().unwrap_or_default();
    status.observed_generation = export.metadata.generation;
    status.last_handled_reconcile_at = latest(export).or(status.last_handled_reconcile_at);
    say_taken_back(export, &mut status);
    let desired = kept(managed(export).as_deref(), keep(export));
    let type_ = ConditionType::Expires.as_str();
    let (before, mut others): (Vec<_>, Vec<_>) =
        status.conditions.drain(..).partition(|c| c.type_ == type_);
    let generation = export.metadata.generation;
    let desired = desired.into_iter().collect();
    others.extend(merge(&before, desired, generation, Timestamp::now()));
    status.conditions = others;
    status
}

/// Said of a cancellation that the spec does not ask for any more.
const TAKEN_BACK: &str = ". (spec.cancel was taken back after it was seen, which has no effect: \
                          to export again, create another ExportJob)";

/// Adds to what is said of a cancellation that it stands, although its spec was changed since, and
/// takes that away if the spec asks for it again.
fn say_taken_back(export: &ExportJob, status: &mut ExportJobStatus) {
    let by = status.cancellation.as_ref().map(|stop| stop.by);
    let stands = by == Some(CancelledBy::Spec) && export.spec.cancel != Some(true);
    let told = [
        ConditionType::Ready,
        ConditionType::Reconciling,
        ConditionType::Stalled,
        ConditionType::Failed,
        ConditionType::Complete,
    ];
    let told = |type_: &str| told.iter().any(|told| told.as_str() == type_);
    for condition in status.conditions.iter_mut().filter(|c| told(&c.type_)) {
        let bare = condition.message.trim_end_matches(TAKEN_BACK);
        let room = MESSAGE_LIMIT - TAKEN_BACK.len();
        condition.message = if stands {
            format!("{}{TAKEN_BACK}", cut(bare, room))
        } else {
            bare.to_owned()
        };
    }
}

/// What was shown of the job of an attempt that failed: the next one has another.
pub(super) fn forget_job(status: &mut ExportJobStatus) {
    status.platform_status = None;
    status.platform_timings = None;
    status.exported_profiles = None;
    status.exported_profiles_by_namespace.clear();
    status.batches.clear();
    status.batch_count = None;
    status.errors.clear();
    status.not_found_since = None;
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
        (Ending::NoFurtherAttempt(_), _) => {
            let last = status.attempts.last();
            last.map(|attempt| attempt.completion_time)
        }
        (_, Sighting::Job { job, batches: _ }) => job.update_time,
        (_, Sighting::Unseen | Sighting::Missing | Sighting::Trouble(_)) => None,
    };
    let end = whole_second(told.unwrap_or(seen.facts.now));
    status.completion_time = Some(end);
    if let Ending::Cancelled(by) = ending {
        // What was never submitted is cancelled all the same, once and for all.
        status.cancellation.get_or_insert(Cancellation {
            requested_at: whole_second(seen.facts.now),
            by: *by,
            accepted_at: None,
            final_status: None,
        });
    }
    if let (Some(cancellation), Sighting::Job { job, batches: _ }) =
        (&mut status.cancellation, &seen.facts.sighting)
    {
        cancellation.final_status = Some(job.status.clone());
    }
    status.duration_seconds = status
        .start_time
        .and_then(|start| Duration::try_from(end.duration_since(start)).ok())
        .and_then(|duration| i64::try_from(duration.as_secs()).ok());
}
