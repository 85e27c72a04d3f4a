//! What is known of an export.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use serde_json::Value;

use super::super::{
    Context, PassError, dependencies::recorded_connection, finalizers::finalizer,
    namespaces::Surroundings, nonce, requests::requested, tenants::Tenant,
};
use super::wishes::{departure, effective, managed, wishes};
use crate::{
    api::{
        EXPORT_FINALIZER, Effective, ExportJob, ExportJobStatus, RESOLVE_ANNOTATION,
        RESTORED_LABEL, Reason, Target,
    },
    decide::{
        Cause, Life, Need,
        export::{
            Answer, Asked, Beginning, DatasetCheck, Destination, Facts, Identity, List, Pause,
            Record, Request, Sighted, Sighting, Surplus, Title, next_attempt, record, scheduled,
        },
        request,
    },
    governor::Permit,
    platform::{DatasetId, JobId},
};

/// What a pass holds in memory only.
#[derive(Default)]
pub(super) struct Memory {
    /// The nonce of the intent that this pass wrote and has not sent.
    pub(super) held: Option<String>,
    /// The turn of its request.
    pub(super) permit: Option<Permit>,
    /// What a look at the dataset said.
    pub(super) dataset: Option<Result<(), Cause>>,
    /// The platform's list, once it was read.
    pub(super) list: Option<List>,
    /// How long the platform asked to wait when the list was asked for.
    pub(super) list_retry_after: Option<Duration>,
    /// The platform rejected the request of the try on record.
    pub(super) rejected: Option<Cause>,
    /// Whether the job was asked for in this pass.
    pub(super) looked: bool,
    /// What became of the surplus jobs that this pass dealt with.
    pub(super) surplus: Vec<(JobId, Surplus)>,
    /// What asking for the job's cancellation came to.
    pub(super) asked: Asked,
    /// How long the platform asked to wait before it is asked to cancel again.
    pub(super) cancel_retry_after: Option<Duration>,
    /// What is known of the namespace; none: nothing depends on it.
    pub(super) surroundings: Option<Surroundings>,
}

/// The facts, and the clients that effects need.
pub(super) struct Seen {
    pub(super) facts: Facts,
    /// The client for a new submission.
    pub(super) tenant: Option<Tenant>,
    /// The client for the submission on record.
    pub(super) service: Option<Tenant>,
    /// What holds where the spec leaves it open.
    pub(super) effective: Effective,
}

impl Seen {
    /// The client that this pass talks to: for what is on record, else for what is to come.
    pub(super) fn client(&self) -> Option<&Tenant> {
        self.service.as_ref().or(self.tenant.as_ref())
    }
}

/// Gathers the facts: no call leaves the process.
pub(super) fn observe(
    export: &ExportJob,
    context: &Context,
    memory: &Memory,
) -> Result<Seen, PassError> {
    let shared = &context.shared;
    let namespace = export
        .namespace()
        .ok_or(PassError::Incomplete("namespace"))?;
    let uid = export.uid().ok_or(PassError::Incomplete("uid"))?;
    let status = export.status.as_ref();
    let record = on_record(export);
    let (destination, tenant) = match &record {
        Record::Fresh { attempt: _ } | Record::Open(_) => {
            destination(export, context, &namespace, memory)
        }
        Record::Known(_, _) | Record::Ended(_) => {
            (Need::waiting(Reason::Running, "submitted"), None)
        }
    };
    let (service, serving) = match &record {
        Record::Known(submission, _) | Record::Open(submission) => {
            service(export, context, &namespace, &submission.target)
        }
        Record::Ended(Some((submission, _))) if !submission.surplus_job_ids.is_empty() => {
            service(export, context, &namespace, &submission.target)
        }
        Record::Fresh { attempt: _ } | Record::Ended(_) => (Need::Met(()), None),
    };
    let client = serving.as_ref().or(tenant.as_ref());
    let clock = recorded_client(export, context);
    let effective = effective(export, context, memory.surroundings.as_ref());
    let now = client
        .or(clock.as_ref())
        .map_or_else(Timestamp::now, |tenant| tenant.platform.now());
    let answer = export
        .annotations()
        .get(RESOLVE_ANNOTATION)
        .and_then(|text| Answer::parse(text));
    let facts = Facts {
        now,
        created: created(export, now),
        life: match export.metadata.deletion_timestamp {
            Some(_) => Life::Deleting,
            None => Life::Live,
        },
        finalizer: finalizer(export, EXPORT_FINALIZER),
        departure: departure(export, memory.surroundings.as_ref()),
        request: match requested(export, status.and_then(handled)) {
            Some(_) => Request::Pending,
            None => Request::Absent,
        },
        wishes: wishes(export, &record, &effective),
        missing_since: status.and_then(|status| status.not_found_since),
        asked: memory.asked.clone(),
        failed: status.and_then(|status| status.attempts.last().cloned()),
        ended_at: status.and_then(|status| status.completion_time),
        managed: managed(export),
        title: title(&record, context, &uid),
        body: body(export, &record),
        cancellation: status.and_then(|status| status.cancellation.clone()),
        echo: client.map_or_else(Default::default, |tenant| {
            shared.submissions.echoes.of(&tenant.target)
        }),
        rivals: match &destination {
            Need::Met(destination) => shared.submissions.claims.rivals(&uid, &destination.target),
            Need::Waiting(_) | Need::Wrong(_) => Vec::new(),
        },
        beginning: beginning(export, &record, context, &uid),
        list: memory.list.clone().unwrap_or(List::NotYet),
        rejected: memory.rejected.clone(),
        sighting: match &record {
            Record::Known(_, _) => shared.board.sighting(&uid),
            Record::Fresh { attempt: _ } | Record::Open(_) | Record::Ended(_) => Sighting::Unseen,
        },
        sighted: if memory.looked {
            Sighted::InThisPass
        } else {
            Sighted::Before
        },
        doubles: shared.board.doubles(&uid),
        surplus: surplus(&record, memory),
        look_after: look_after(&record, context, &uid, answer.as_ref()),
        answer,
        pause: pause(export, &record, context, &uid, tenant.as_ref()),
        identity: Identity {
            cluster: shared.cluster.clone(),
            uid,
            namespace,
            name: export.name_any(),
        },
        destination,
        service,
        record,
        held: memory.held.clone(),
        nonce: nonce(),
        limits: shared.settings.limits,
    };
    Ok(Seen {
        facts,
        tenant,
        service: serving,
        effective,
    })
}

fn handled(status: &ExportJobStatus) -> Option<&str> {
    status.last_handled_reconcile_at.as_deref()
}

/// The client of the connection on record: its clock dates what has ended.
fn recorded_client(export: &ExportJob, context: &Context) -> Option<Tenant> {
    context.shared.tenants.get(&recorded_connection(export)?)
}

/// When the object was created, by a clock that shows `now`: the API server's clock and this
/// machine's may be hours from the platform's, but not from each other.
fn created(export: &ExportJob, now: Timestamp) -> Timestamp {
    let created = export.creation_timestamp().map(|time| time.0);
    let age = created.map(|created| Timestamp::now().duration_since(created));
    age.and_then(|age| now.checked_sub(age.max(SignedDuration::ZERO)).ok())
        .unwrap_or(Timestamp::MIN)
}

fn on_record(export: &ExportJob) -> Record {
    let status = export.status.as_ref();
    record(
        status.and_then(|status| status.submission.as_ref()),
        status.and_then(|status| status.job_id.as_deref()),
        status
            .and_then(|status| status.attempts.last())
            .map_or(0, |attempt| attempt.attempt),
        super::super::dependencies::is_ended(export),
    )
}

fn title(record: &Record, context: &Context, uid: &str) -> Title {
    match record {
        Record::Known(submission, job) => {
            let claims = &context.shared.submissions.claims;
            let cluster = &context.shared.cluster;
            claims.title(cluster, uid, &submission.target, job)
        }
        Record::Fresh { attempt: _ } | Record::Open(_) | Record::Ended(_) => Title::Clear,
    }
}

/// The body of the submission on record: the spec is immutable since then, and so is the dataset.
fn body(export: &ExportJob, record: &Record) -> Value {
    match record {
        Record::Open(submission) | Record::Known(submission, _) => submission
            .target
            .dataset_id
            .as_ref()
            .map_or(Value::Null, |id| {
                request::export_body(&export.spec.export, &DatasetId::new(id))
            }),
        Record::Fresh { attempt: _ } | Record::Ended(_) => Value::Null,
    }
}

fn beginning(export: &ExportJob, record: &Record, context: &Context, uid: &str) -> Beginning {
    let Record::Fresh { attempt } = record else {
        return Beginning::Seen;
    };
    let recorded = export
        .status
        .as_ref()
        .is_some_and(|status| status.submission.is_some() || !status.attempts.is_empty());
    if export.labels().contains_key(RESTORED_LABEL) && !recorded {
        Beginning::Restored
    } else if context.shared.submissions.claims.has_begun(uid, *attempt) {
        Beginning::Seen
    } else {
        // A record that says that a try was not taken tells nothing of the tries after it: they
        // may be missing from a backup.
        Beginning::Unseen
    }
}

fn surplus(record: &Record, memory: &Memory) -> Vec<(JobId, Surplus)> {
    let submission = match record {
        Record::Known(submission, _) | Record::Ended(Some((submission, _))) => submission,
        Record::Fresh { attempt: _ } | Record::Open(_) | Record::Ended(None) => {
            return Vec::new();
        }
    };
    let seen = |id: &JobId| {
        let known = memory.surplus.iter().find(|(known, _)| known == id);
        known.map_or(Surplus::Unseen, |(_, surplus)| surplus.clone())
    };
    submission
        .surplus_job_ids
        .iter()
        .map(JobId::new)
        .map(|id| {
            let surplus = seen(&id);
            (id, surplus)
        })
        .collect()
}

/// A person's word is looked at, whenever it comes.
fn look_after(
    record: &Record,
    context: &Context,
    uid: &str,
    answer: Option<&Answer>,
) -> Option<Timestamp> {
    let answered = match record {
        Record::Open(submission) => answer.is_some_and(|answer| answer.r#try == submission.r#try),
        Record::Fresh { attempt: _ } | Record::Known(_, _) | Record::Ended(_) => false,
    };
    let retries = &context.shared.retries;
    (!answered || retries.was_answered(uid, answer))
        .then(|| retries.look_after(uid))
        .flatten()
}

fn pause(
    export: &ExportJob,
    record: &Record,
    context: &Context,
    uid: &str,
    tenant: Option<&Tenant>,
) -> Option<Pause> {
    let Record::Fresh { attempt } = record else {
        return None;
    };
    let stamp = tenant.map(|tenant| tenant.stamp.as_str());
    if let Some(pause) = context.shared.retries.pause(uid, stamp) {
        return Some(pause);
    }
    let last = export.status.as_ref()?.attempts.last()?;
    let until = next_attempt(
        uid,
        last.attempt,
        last.completion_time,
        context.shared.settings.limits.retry,
    );
    (*attempt > last.attempt).then(|| Pause {
        until,
        cause: scheduled(last.attempt, &last.job_id, until),
    })
}

/// Where a new submission would go.
fn destination(
    export: &ExportJob,
    context: &Context,
    namespace: &str,
    memory: &Memory,
) -> (Need<Destination>, Option<Tenant>) {
    let target = &export.spec.export.destination;
    let (dataset, reference, check) = match (&target.dataset_ref, &target.dataset_id) {
        (Some(reference), _) => match context.dataset(namespace, &reference.name) {
            Need::Met((id, connection)) => (id, connection, DatasetCheck::Suitable),
            Need::Waiting(cause) => return (Need::Waiting(cause), None),
            Need::Wrong(cause) => return (Need::Wrong(cause), None),
        },
        (None, Some(id)) => {
            let id = DatasetId::new(id);
            let Some(connection) = export.spec.connection_ref.clone() else {
                let message = "write connectionRef together with export.destination.datasetId";
                return (Need::wrong(Reason::ConnectionNotFound, message), None);
            };
            let check = match &memory.dataset {
                None => DatasetCheck::Due(id.clone()),
                Some(Ok(())) => DatasetCheck::Suitable,
                Some(Err(cause)) => {
                    let need = match cause.reason {
                        Reason::NotOnUnionSchema
                        | Reason::DatasetMissing
                        | Reason::AccessDenied => Need::Wrong(cause.clone()),
                        _ => Need::Waiting(cause.clone()),
                    };
                    return (need, None);
                }
            };
            (id, connection, check)
        }
        (None, None) => {
            let message = "write exactly one of destination.datasetRef and destination.datasetId";
            return (Need::wrong(Reason::DatasetNotFound, message), None);
        }
    };
    match context.connection(namespace, &reference) {
        Need::Waiting(cause) => (Need::Waiting(cause), None),
        Need::Wrong(cause) => (Need::Wrong(cause), None),
        Need::Met(tenant) => {
            let target = Target {
                dataset_id: Some(dataset.to_string()),
                ..tenant.target.clone()
            };
            let body = request::export_body(&export.spec.export, &dataset);
            let destination = Destination {
                target,
                body,
                dataset: check,
            };
            (Need::Met(destination), Some(tenant))
        }
    }
}

/// Who can talk to the target of a submission on record.
fn service(
    export: &ExportJob,
    context: &Context,
    namespace: &str,
    target: &Target,
) -> (Need<()>, Option<Tenant>) {
    let Some(key) = recorded_connection(export) else {
        let message = "the status names no connection for the job on record";
        return (Need::wrong(Reason::ConnectionNotFound, message), None);
    };
    if let Some(tenant) = context.shared.tenants.serving(&key, target) {
        return (Need::Met(()), Some(tenant.on_behalf_of(namespace)));
    }
    let Target {
        platform,
        organization_id,
        sandbox,
        dataset_id: _,
    } = target;
    if let Some(cause) = context.out_of_reach(&key, namespace) {
        return (Need::Waiting(cause), None);
    }
    let title = key.title();
    let message = match (context.shared.tenants.get(&key), &key.namespace) {
        (Some(_), _) => format!(
            "{title} goes elsewhere by now; the job is in sandbox {sandbox} of {organization_id} \
             at {platform}"
        ),
        (None, Some(_)) => format!(
            "{title} is not in namespace {namespace}, or its credential was never seen by this \
             process: create it again to go on"
        ),
        (None, None) => format!(
            "{title} is not there, or its credential was never seen by this process: ask who keeps \
             it to create it again"
        ),
    };
    (Need::waiting(Reason::ConnectionNotFound, message), None)
}
