//! Reading the platform's list for a submission, and recording what it says.

use tracing::info;

use super::{
    super::{Context, PassError, events::Tone},
    Next,
    observe::{Memory, Seen},
    report, step, suspect, tell,
};
use crate::{
    api::{
        Attempt, ExportJob, Reason, Submission, SubmissionEvidence, SubmissionOutcome, Target,
        whole_second,
    },
    decide::{
        Cause, Need,
        export::{Back, Claims, List, Reading, Record, Situation},
        request,
    },
    platform::Job,
    polling::{ListReading, trouble},
};

/// How many attempts a status shows.
const ATTEMPTS: usize = 10;

/// Reads the list, and after it, if it may settle anything, what other objects claim.
pub(super) async fn read(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    back: Back,
    memory: &mut Memory,
) -> List {
    let shared = &context.shared;
    let Some(client) = seen.client() else {
        return List::Failed(Cause::new(
            Reason::ConnectionNotReady,
            "the connection is gone",
        ));
    };
    let lists = &shared.submissions.lists;
    let (platform, tenant) = (&client.platform, &client.target);
    let result = match back {
        Back::ToIntent(since) => lists.read(platform, tenant, since).await,
        // One reading serves all whose record may have been lost.
        Back::ToCreation(since) => {
            let listed = shared.submissions.claims.listed();
            lists.read_after(platform, tenant, since, listed).await
        }
    };
    let reading = match result {
        Ok(reading) => reading,
        Err(error) => {
            suspect(export, context, &error);
            memory.list_retry_after = error.retry_after();
            return List::Failed(trouble(&error));
        }
    };
    shared.board.take_reading(&client.target, &reading);
    let uid = &seen.facts.identity.uid;
    let Some((target, request_id)) = sought(seen) else {
        return List::Failed(Cause::new(
            Reason::ConnectionNotReady,
            "the dataset is gone",
        ));
    };
    let named = |job: &Job| job.request_id.as_ref() == Some(&request_id);
    let claims = match back {
        Back::ToIntent(_) if !reading.jobs.iter().any(named) => {
            match claimed(context, seen, &target).await {
                Ok(claims) => claims,
                Err(cause) => return List::Failed(cause),
            }
        }
        // The request id alone decides.
        Back::ToIntent(_) | Back::ToCreation(_) => {
            let claims = &shared.submissions.claims;
            claims.facts(uid, &target, seen.facts.now, &[])
        }
    };
    List::Read(filtered(&reading, &target, &request_id, claims))
}

/// The target and the request id that are looked for.
fn sought(seen: &Seen) -> Option<(Target, String)> {
    let facts = &seen.facts;
    match &facts.record {
        Record::Open(submission) | Record::Known(submission, _) => {
            Some((submission.target.clone(), submission.request_id.clone()))
        }
        Record::Fresh { attempt } => match &facts.destination {
            Need::Met(destination) => {
                let identity = &facts.identity;
                let id = request::request_id(&identity.cluster, &identity.uid, *attempt);
                Some((destination.target.clone(), id))
            }
            Need::Waiting(_) | Need::Wrong(_) => None,
        },
        Record::Ended(_) => None,
    }
}

/// What others claim, as the API server has it now: another leader may have recorded what no
/// watch has brought yet.
async fn claimed(context: &Context, seen: &Seen, target: &Target) -> Result<Claims, Cause> {
    let shared = &context.shared;
    let dataset = target.dataset_id.as_ref();
    let into = dataset.map(|dataset| format!("status.datasetId={dataset}"));
    let listed = shared.reach.exports(into.as_deref()).await;
    let listed = listed.map_err(|error| {
        let message = format!("the exports of this cluster cannot be listed: {error}");
        Cause::new(Reason::SubmissionInDoubt, message)
    })?;
    let uid = &seen.facts.identity.uid;
    let now = seen.facts.now;
    Ok(shared.submissions.claims.facts(uid, target, now, &listed))
}

fn filtered(reading: &ListReading, target: &Target, request_id: &str, claims: Claims) -> Reading {
    let matters = |job: &&Job| {
        let into = job
            .dataset_id
            .as_ref()
            .map(crate::platform::DatasetId::as_str);
        into == target.dataset_id.as_deref() || job.request_id.as_deref() == Some(request_id)
    };
    Reading {
        began: reading.began,
        jobs: reading.jobs.iter().filter(matters).cloned().collect(),
        depth: reading.depth,
        quality: reading.quality,
        claims,
    }
}

/// Records what is known of a submission by now.
pub(super) async fn record(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    submission: Submission,
    situation: &Situation,
) -> Result<Next, PassError> {
    let shared = &context.shared;
    let mut status = report::project(export, seen, situation);
    let outcome = submission.outcome;
    let asked = !submission.candidates.is_empty();
    let (request_id, attempt) = (submission.request_id.clone(), submission.attempt);
    status.submission = Some(submission);
    let written = context.write_status(export, status).await?;
    shared.submissions.claims.observe(&written);
    match outcome {
        Some(outcome @ (SubmissionOutcome::NotTaken | SubmissionOutcome::NotSent)) => {
            let uid = &seen.facts.identity.uid;
            shared.submissions.claims.release(uid);
            shared.submissions.claims.begun(uid, attempt);
            shared.retries.settled(uid);
            shared.metrics.submission(outcome.into());
            info!(request_id, outcome = <&str>::from(outcome), "settled");
        }
        Some(
            SubmissionOutcome::Posted
            | SubmissionOutcome::Adopted
            | SubmissionOutcome::Refused
            | SubmissionOutcome::Rejected,
        )
        | None => {}
    }
    if asked {
        tell::announce(export, &written, situation, context).await;
    }
    Ok(step(written))
}

/// Records that a job is the submission's.
pub(super) async fn adopt(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    submission: Submission,
    job: &Job,
) -> Result<Next, PassError> {
    let shared = &context.shared;
    let uid = &seen.facts.identity.uid;
    let mut status = report::project(export, seen, &Situation::Running(None));
    let how = match submission.evidence {
        Some(SubmissionEvidence::RequestId) => "it carries this export's request id",
        Some(SubmissionEvidence::Person) => "a person said so",
        Some(
            SubmissionEvidence::Window
            | SubmissionEvidence::Reply
            | SubmissionEvidence::Unsent
            | SubmissionEvidence::Gateway
            | SubmissionEvidence::Tag
            | SubmissionEvidence::List,
        )
        | None => "it is the only one into the dataset at that time that nobody else has",
    };
    let note = format!("found job {} in the platform: {how}", job.id);
    let request_id = submission.request_id.clone();
    status.dataset_id.clone_from(&submission.target.dataset_id);
    status.job_id = Some(job.id.to_string());
    status.start_time = Some(whole_second(
        job.creation_time.unwrap_or(submission.intent_time),
    ));
    status.submission = Some(submission);
    let written = context.write_status(export, status).await?;
    shared.submissions.claims.observe(&written);
    shared.submissions.claims.release(uid);
    shared.retries.forget(uid);
    shared.metrics.submission(SubmissionOutcome::Adopted.into());
    info!(job = %job.id, request_id, how, "found the export's job");
    let (tone, reason) = (Tone::Normal, Reason::Running);
    shared
        .events
        .publish(&written, tone, "Adopt", reason, &note)
        .await;
    Ok(step(written))
}

/// Records that an attempt failed, so that the next one can begin.
pub(super) async fn retry(
    export: &ExportJob,
    context: &Context,
    seen: &Seen,
    submission: Submission,
    job: &Job,
    situation: &Situation,
) -> Result<Next, PassError> {
    let shared = &context.shared;
    let uid = &seen.facts.identity.uid;
    let mut status = report::project(export, seen, situation);
    let attempt = submission.attempt;
    status.attempts.push(Attempt {
        attempt,
        request_id: submission.request_id,
        job_id: job.id.to_string(),
        outcome: job.status.clone(),
        start_time: status.start_time,
        completion_time: whole_second(job.update_time.unwrap_or(seen.facts.now)),
        reason: Reason::ExportFailed.as_str().to_owned(),
        message: job.errors.first().map(|error| error.message.clone()),
        suspended: None,
    });
    let surplus = status.attempts.len().saturating_sub(ATTEMPTS);
    status.attempts.drain(..surplus);
    // The submission stays: it is claimed until the next one takes its place.
    status.job_id = None;
    status.start_time = None;
    report::forget_job(&mut status);
    let written = context.write_status(export, status).await?;
    shared.board.forget(uid);
    shared.submissions.claims.observe(&written);
    shared.submissions.claims.failed(uid, attempt);
    tell::announce(export, &written, situation, context).await;
    Ok(step(written))
}
