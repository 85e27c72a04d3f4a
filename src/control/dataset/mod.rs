//! The pass over a `ProfileDataset`: is the dataset there, and is it one to export into?

mod report;

use std::time::Duration;

use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};

use super::{Context, PassError, Shared, events::Tone, jittered, tenants::Tenant};
use crate::{
    api::{
        ConditionType, DatasetSubmission, OWNER_TAG, ProfileDataset, ProfileDatasetStatus, Reason,
        SubmissionEvidence, SubmissionOutcome,
    },
    decide::{
        Cause, Life, Need,
        connection::Failure,
        creation::{Posted, posted},
        dataset::{Facts, Lookup, Plan, Record, Situation, Wanted, decide},
        request::{self, Owner},
    },
    platform::{Consequence, Dataset, DatasetId, Fence, PlatformError},
};

/// The most steps of one pass: look, intend, post, look, settle, with room to spare.
const STEPS: usize = 8;
/// How soon something that only Adobe's side can mend is looked at again.
const WRONG_AGAIN: Duration = Duration::from_mins(2);

/// What a pass holds in memory only.
#[derive(Default)]
struct Memory {
    lookup: Option<Lookup>,
    held: Option<String>,
    /// The Catalog rejected the request of the try on record.
    rejected: Option<Cause>,
}

/// A pass over a dataset.
///
/// # Errors
///
/// What the API server refuses.
pub async fn pass(dataset: &ProfileDataset, context: &Context) -> Result<Action, PassError> {
    let mut object = dataset.clone();
    let mut memory = Memory::default();
    for _ in 0..STEPS {
        let (facts, tenant) = observe(&object, context, &memory)?;
        let (Need::Met(_), Some(tenant)) = (&facts.connection, tenant) else {
            let Plan::Rest(situation) = decide(&facts) else {
                return Err(PassError::Incomplete("connection"));
            };
            return settle(&object, context, &facts, None, &situation).await;
        };
        match decide(&facts) {
            Plan::Read(id) => {
                let found = tenant.platform.dataset(&id).await;
                memory.lookup = Some(found.map_or_else(|e| failed(&e), Lookup::ById));
            }
            Plan::FindByTag => {
                let began = tenant.platform.now();
                let path = owner(&object, &context.shared)?.path;
                let hits = tenant
                    .platform
                    .datasets_by_tags(&[(OWNER_TAG, &path)])
                    .await;
                memory.lookup = Some(match hits {
                    Ok(hits) => Lookup::ByTag {
                        began,
                        hits: ours(hits, &path),
                    },
                    Err(error) => failed(&error),
                });
            }
            Plan::Intend(submission) => {
                // The token comes before the intent: nothing may queue between it and the request.
                if let Err(error) = tenant.platform.authenticate().await {
                    memory.lookup = Some(failed(&error));
                    continue;
                }
                memory.held = Some(submission.r#try.clone());
                let status = report::intended(&object, &tenant, submission);
                object = context.write_status(&object, status).await?;
            }
            Plan::Post(submission, body) => {
                memory.held = None;
                let clock = tenant.platform.clock().clone();
                let fence = Fence::until(submission.send_before, clock)
                    .closed_by(context.shared.shutdown.clone())
                    .only_while(context.shared.leadership.check());
                let result = tenant.platform.create_dataset(&body, &fence).await;
                let now = tenant.platform.now();
                match came_to(&object, context, submission, result, now).await {
                    CameTo::Recorded(status, wait) => {
                        object = context.write_status(&object, *status).await?;
                        if let Some(wait) = wait {
                            return Ok(Action::requeue(wait));
                        }
                    }
                    CameTo::Rejected(cause) => memory.rejected = Some(cause),
                }
                memory.lookup = None;
            }
            Plan::Adopt(found, others) => {
                let note = format!(
                    "dataset {} carries this object's tag: it is taken up{}",
                    found.id,
                    also(&others)
                );
                context
                    .shared
                    .events
                    .publish(&object, Tone::Normal, "Adopt", Reason::Available, &note)
                    .await;
                let status = report::adopted(&object, &found);
                object = context.write_status(&object, status).await?;
                memory.lookup = Some(Lookup::ById(Some(found)));
            }
            Plan::Settle(submission) => {
                let mut status = object.status.clone().unwrap_or_default();
                status.submission = Some(submission);
                object = context.write_status(&object, status).await?;
            }
            Plan::Reject(submission, cause) => {
                object = reject(&object, context, submission, &cause).await?;
                memory.rejected = None;
            }
            Plan::Tell(id, others) => {
                tell(&object, context, &id, &others).await;
                memory.lookup = None;
            }
            Plan::Rest(situation) => {
                return settle(&object, context, &facts, Some(&tenant), &situation).await;
            }
        }
    }
    Err(PassError::Restless(STEPS))
}

/// Records that the Catalog rejected a submission, with its words.
async fn reject(
    dataset: &ProfileDataset,
    context: &Context,
    submission: DatasetSubmission,
    cause: &Cause,
) -> Result<ProfileDataset, PassError> {
    let (tone, reason) = (Tone::Warning, cause.reason);
    let events = &context.shared.events;
    events
        .publish(dataset, tone, "Create", reason, &cause.message)
        .await;
    let mut status = dataset.status.clone().unwrap_or_default();
    status.submission = Some(submission);
    let desired = report::not_ready(ConditionType::Stalled, cause);
    let status = report::with_conditions(dataset, status, desired);
    context.write_status(dataset, status).await
}

fn failed(error: &PlatformError) -> Lookup {
    Lookup::Failed(Failure::from(error))
}

/// Tags are compared exactly here, whatever the Catalog's query takes for equal.
fn ours(hits: Vec<Dataset>, path: &str) -> Vec<Dataset> {
    let carries = |dataset: &Dataset| {
        dataset
            .tags
            .get(OWNER_TAG)
            .is_some_and(|values| values.iter().any(|value| value == path))
    };
    hits.into_iter().filter(carries).collect()
}

fn owner(dataset: &ProfileDataset, shared: &Shared) -> Result<Owner, PassError> {
    let namespace = dataset
        .namespace()
        .ok_or(PassError::Incomplete("namespace"))?;
    let uid = dataset.uid().ok_or(PassError::Incomplete("uid"))?;
    let path = format!("{}/{namespace}/{}", shared.cluster, dataset.name_any());
    Ok(Owner { path, uid })
}

fn observe(
    dataset: &ProfileDataset,
    context: &Context,
    memory: &Memory,
) -> Result<(Facts, Option<Tenant>), PassError> {
    let shared = &context.shared;
    let namespace = dataset
        .namespace()
        .ok_or(PassError::Incomplete("namespace"))?;
    let uid = dataset.uid().ok_or(PassError::Incomplete("uid"))?;
    let (connection, tenant) = match context.connection(&namespace, &dataset.spec.connection_ref) {
        Need::Met(tenant) => (Need::Met(tenant.target.clone()), Some(tenant)),
        Need::Waiting(cause) => (Need::Waiting(cause), None),
        Need::Wrong(cause) => (Need::Wrong(cause), None),
    };
    let wanted = match (&dataset.spec.dataset, &dataset.spec.dataset_id) {
        (Some(template), _) => Wanted::Owned {
            body: request::dataset_body(template, &owner(dataset, shared)?),
        },
        (None, Some(id)) => Wanted::Read(DatasetId::new(id)),
        (None, None) => return Err(PassError::Incomplete("dataset or datasetId")),
    };
    let status = dataset.status.as_ref();
    let facts = Facts {
        now: tenant
            .as_ref()
            .map_or_else(Timestamp::now, |tenant| tenant.platform.now()),
        life: match dataset.metadata.deletion_timestamp {
            Some(_) => Life::Deleting,
            None => Life::Live,
        },
        wanted,
        record: status.map_or(Record::Fresh, record),
        connection,
        lookup: memory.lookup.clone().unwrap_or(Lookup::NotYet),
        search: shared.submissions.search(&uid),
        rejected: memory.rejected.clone(),
        held: memory.held.clone(),
        nonce: super::nonce(),
        not_before: shared.retries.not_before(&uid),
        windows: shared.settings.limits.windows,
    };
    Ok((facts, tenant))
}

fn record(status: &ProfileDatasetStatus) -> Record {
    match (&status.dataset_id, &status.submission) {
        (Some(id), submission) => Record::Known(DatasetId::new(id), submission.clone()),
        (None, None) => Record::Fresh,
        (None, Some(submission)) => match submission.outcome {
            Some(
                SubmissionOutcome::NotSent
                | SubmissionOutcome::Refused
                | SubmissionOutcome::NotTaken,
            ) => Record::Fresh,
            Some(SubmissionOutcome::Rejected) => Record::Rejected(submission.clone()),
            None | Some(SubmissionOutcome::Posted | SubmissionOutcome::Adopted) => {
                Record::Open(submission.clone())
            }
        },
    }
}

/// What a request to create came to.
enum CameTo {
    /// As status; and when to try again if it was not taken.
    Recorded(Box<ProfileDatasetStatus>, Option<Duration>),
    /// The Catalog rejected it; nothing is recorded before a look at what is there.
    Rejected(Cause),
}

/// What a request to create came to.
async fn came_to(
    dataset: &ProfileDataset,
    context: &Context,
    submission: DatasetSubmission,
    result: Result<DatasetId, PlatformError>,
    now: Timestamp,
) -> CameTo {
    let shared = &context.shared;
    let uid = dataset.uid().unwrap_or_default();
    let mut status = dataset.status.clone().unwrap_or_default();
    let settled = |outcome, evidence| {
        Some(DatasetSubmission {
            outcome: Some(outcome),
            evidence: Some(evidence),
            ..submission.clone()
        })
    };
    let retry_after = result.as_ref().err().and_then(PlatformError::retry_after);
    let (cause, abnormal, wait) = match posted(result.map_err(|error| Failure::from(&error))) {
        Posted::Taken(id) => {
            shared.retries.forget(&uid);
            status.submission = settled(SubmissionOutcome::Posted, SubmissionEvidence::Reply);
            status.dataset_id = Some(id.to_string());
            let note = format!("created dataset {id}");
            let (tone, reason) = (Tone::Normal, Reason::Available);
            shared
                .events
                .publish(dataset, tone, "Create", reason, &note)
                .await;
            return CameTo::Recorded(Box::new(status), None);
        }
        Posted::NotTaken {
            cause,
            outcome,
            evidence,
            retry_after,
        } => {
            status.submission = settled(outcome, evidence);
            let wait = shared
                .retries
                .not_taken(&uid, retry_after, now, cause.clone());
            (cause, ConditionType::Reconciling, Some(wait))
        }
        Posted::Rejected(cause) => return CameTo::Rejected(cause),
        Posted::InDoubt(cause) => {
            if let Some(wait) = retry_after {
                shared.retries.asked_to_wait(&uid, wait, now, cause.clone());
            }
            status.submission = Some(submission);
            (cause, ConditionType::Reconciling, None)
        }
    };
    shared
        .events
        .publish(
            dataset,
            Tone::Warning,
            "Create",
            cause.reason,
            &cause.message,
        )
        .await;
    let desired = report::not_ready(abnormal, &cause);
    let status = report::with_conditions(dataset, status, desired);
    CameTo::Recorded(Box::new(status), wait)
}

/// Tells of other datasets of the same request, and that they were looked for.
async fn tell(dataset: &ProfileDataset, context: &Context, id: &DatasetId, others: &[DatasetId]) {
    let shared = &context.shared;
    let uid = dataset.uid().unwrap_or_default();
    shared.submissions.searched(&uid);
    if others.is_empty() {
        return;
    }
    let note = format!(
        "the Catalog made more than one dataset of this object's request: {id} is used{}",
        also(others)
    );
    shared
        .events
        .publish(
            dataset,
            Tone::Warning,
            "Observe",
            Reason::SurplusDataset,
            &note,
        )
        .await;
}

/// The others of several datasets with one tag, in words.
fn also(others: &[DatasetId]) -> String {
    if others.is_empty() {
        return String::new();
    }
    let named: Vec<&str> = others.iter().take(10).map(DatasetId::as_str).collect();
    format!(
        "; there are others with the same tag, which are left as they are: {}",
        named.join(", ")
    )
}

/// Writes how the dataset stands, tells the exports that wait for it, and says when to look again.
async fn settle(
    dataset: &ProfileDataset,
    context: &Context,
    facts: &Facts,
    tenant: Option<&Tenant>,
    situation: &Situation,
) -> Result<Action, PassError> {
    let shared = &context.shared;
    let uid = dataset.uid().unwrap_or_default();
    if *situation == Situation::Leaving {
        shared.retries.forget(&uid);
        return Ok(Action::await_change());
    }
    let status = report::project(dataset, tenant, situation);
    report::announce(dataset, shared, &status).await;
    context.write_status(dataset, status).await?;
    if let Lookup::Failed(failure) = &facts.lookup
        && matches!(
            failure.consequence,
            Consequence::Unauthenticated | Consequence::CredentialRejected(_)
        )
    {
        let namespace = dataset.namespace().unwrap_or_default();
        context.suspect(&namespace, &dataset.spec.connection_ref.name);
    }
    Ok(match situation {
        Situation::Available(_) | Situation::Unsuitable(_, _) => {
            shared.retries.forget(&uid);
            Action::requeue(jittered(shared.settings.refresh))
        }
        Situation::Waiting(cause) => match (cause.reason, facts.not_before) {
            (_, Some(time)) if time > facts.now => {
                let wait = time.duration_since(facts.now);
                Action::requeue(Duration::try_from(wait).unwrap_or_default())
            }
            // The store brings the connection's change.
            (Reason::ConnectionNotFound | Reason::ConnectionNotReady, _) if tenant.is_none() => {
                Action::await_change()
            }
            _ => Action::requeue(shared.retries.failed(&uid, None)),
        },
        Situation::Wrong(cause) => match cause.reason {
            Reason::ConnectionStalled | Reason::Rejected => Action::await_change(),
            _ => Action::requeue(jittered(WRONG_AGAIN)),
        },
        Situation::InDoubt(settle_after) => {
            let wait = settle_after.duration_since(facts.now);
            let wait = Duration::try_from(wait).unwrap_or_default() + Duration::from_secs(1);
            // A dataset that was made shows before the window ends, most often at once.
            Action::requeue(wait.min(shared.retries.failed(&uid, Some(Duration::from_secs(1)))))
        }
        Situation::Leaving => Action::await_change(),
    })
}
