//! What is known of an export.

use jiff::Timestamp;
use kube::ResourceExt;

use super::super::{
    Context, PassError, nonce,
    tenants::{ConnectionKey, Tenant},
};
use crate::{
    api::{EXPORT_FINALIZER, ExportJob, Reason, Target},
    decide::{
        Cause, Finalizer, Life, Need,
        export::{DatasetCheck, Destination, Facts, Identity, Record, Sighting, record},
        request,
    },
    platform::DatasetId,
};

/// What a pass holds in memory only.
#[derive(Default)]
pub(super) struct Memory {
    /// The nonce of the intent that this pass wrote.
    pub(super) held: Option<String>,
    /// What a look at the dataset said.
    pub(super) dataset: Option<Result<(), Cause>>,
}

/// The facts, and the clients that effects need.
pub(super) struct Seen {
    pub(super) facts: Facts,
    /// The client for a new submission.
    pub(super) tenant: Option<Tenant>,
    /// The name of the connection for a new submission.
    pub(super) connection: Option<String>,
    /// The client for the submission on record.
    pub(super) service: Option<Tenant>,
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
    let submission = status.and_then(|status| status.submission.as_ref());
    let record = record(
        submission,
        status.and_then(|status| status.job_id.as_deref()),
        super::super::dependencies::is_ended(export),
    );
    let (destination, tenant, connection) = match &record {
        Record::Fresh | Record::Open(_) => destination(export, context, &namespace, memory),
        Record::Known(_, _) | Record::Ended => {
            (Need::waiting(Reason::Running, "submitted"), None, None)
        }
    };
    let (service, serving) = match &record {
        Record::Known(submission, _) => service(export, context, &namespace, &submission.target),
        Record::Fresh | Record::Open(_) | Record::Ended => (Need::Met(()), None),
    };
    let clock = tenant.as_ref().or(serving.as_ref());
    let facts = Facts {
        now: clock.map_or_else(Timestamp::now, |tenant| tenant.platform.now()),
        life: match export.metadata.deletion_timestamp {
            Some(_) => Life::Deleting,
            None => Life::Live,
        },
        finalizer: if export
            .finalizers()
            .iter()
            .any(|name| name == EXPORT_FINALIZER)
        {
            Finalizer::Present
        } else {
            Finalizer::Absent
        },
        identity: Identity {
            cluster: shared.cluster.clone(),
            uid: uid.clone(),
        },
        cancellation: status.and_then(|status| status.cancellation.clone()),
        destination,
        service,
        sighting: match &record {
            Record::Known(_, _) => shared.board.sighting(&uid),
            Record::Fresh | Record::Open(_) | Record::Ended => Sighting::Unseen,
        },
        record,
        held: memory.held.clone(),
        nonce: nonce(),
        not_before: shared.retries.not_before(&uid),
        limits: shared.settings.limits,
    };
    Ok(Seen {
        facts,
        tenant,
        connection,
        service: serving,
    })
}

/// Where a new submission would go.
fn destination(
    export: &ExportJob,
    context: &Context,
    namespace: &str,
    memory: &Memory,
) -> (Need<Destination>, Option<Tenant>, Option<String>) {
    let target = &export.spec.export.destination;
    let (dataset, reference, check) = match (&target.dataset_ref, &target.dataset_id) {
        (Some(reference), _) => match context.dataset(namespace, &reference.name) {
            Need::Met((id, connection)) => (id, connection, DatasetCheck::Suitable),
            Need::Waiting(cause) => return (Need::Waiting(cause), None, None),
            Need::Wrong(cause) => return (Need::Wrong(cause), None, None),
        },
        (None, Some(id)) => {
            let id = DatasetId::new(id);
            let Some(connection) = export.spec.connection_ref.clone() else {
                let message = "write connectionRef together with export.destination.datasetId";
                return (Need::wrong(Reason::ConnectionNotFound, message), None, None);
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
                    return (need, None, None);
                }
            };
            (id, connection, check)
        }
        (None, None) => {
            let message = "write exactly one of destination.datasetRef and destination.datasetId";
            return (Need::wrong(Reason::DatasetNotFound, message), None, None);
        }
    };
    match context.connection(namespace, &reference) {
        Need::Waiting(cause) => (Need::Waiting(cause), None, None),
        Need::Wrong(cause) => (Need::Wrong(cause), None, None),
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
            (Need::Met(destination), Some(tenant), Some(reference.name))
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
    let recorded = export
        .status
        .as_ref()
        .and_then(|status| status.connection.as_ref());
    let Some(name) = recorded.map(|connection| connection.name.as_str()) else {
        let message = "the status names no connection for the job on record";
        return (Need::wrong(Reason::ConnectionNotFound, message), None);
    };
    let key = ConnectionKey::new(namespace, name);
    if let Some(tenant) = context.shared.tenants.serving(&key, target) {
        return (Need::Met(()), Some(tenant));
    }
    let Target {
        platform,
        organization_id,
        sandbox,
        dataset_id: _,
    } = target;
    let message = match context.shared.tenants.get(&key) {
        Some(_) => format!(
            "PlatformConnection {name} goes elsewhere by now; the job is in sandbox {sandbox} of \
             {organization_id} at {platform}"
        ),
        None => format!(
            "PlatformConnection {name} is not in namespace {namespace}, or its credential was \
             never seen by this process: create it again to go on"
        ),
    };
    (Need::waiting(Reason::ConnectionNotFound, message), None)
}
