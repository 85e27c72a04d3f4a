//! Batches: what an export wrote, as the Catalog sees it.

use axum::http::{Method, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::bad_request;
use super::query::{Paging, properties, select};
use crate::call::Call;
use crate::clock::{Now, seconds};
use crate::exports::job::{Job, Phase};
use crate::reply::{Ordered, Reply, catalog_error};
use crate::switches::ReadableStatus;
use crate::world::World;

/// A batch.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) sandbox: String,
    pub(crate) dataset: String,
    /// The job that writes it; none for a batch that was only pinned.
    pub(crate) job: Option<i64>,
    pub(crate) request_id: String,
    pub(crate) created: i64,
    /// A status that is shown whatever the job does.
    pub(crate) pinned_status: Option<String>,
    /// The value under its id, served as it was given.
    pub(crate) document: Option<Box<RawValue>>,
}

/// What a batch holds.
pub(super) struct Contents {
    pub(super) records: u64,
    pub(super) files: u64,
    pub(super) bytes: u64,
}

impl Batch {
    fn job<'a>(&self, world: &'a World) -> Option<&'a Job> {
        world.jobs.get(&self.job?)
    }

    /// What it holds once it can be read.
    pub(super) fn contents(&self, world: &World) -> Contents {
        let (total, parts) = self.job(world).map_or((0, 1), |job| {
            (
                job.profiles.total,
                u64::try_from(job.batches.len()).unwrap_or(1).max(1),
            )
        });
        let records = total.div_ceil(parts);
        // Half a kilobyte per profile, a file per hundred thousand: enough to add up.
        Contents {
            records,
            files: records.div_ceil(100_000).max(1),
            bytes: records * 512,
        }
    }
}

/// The Catalog's word for where a batch stands.
pub(crate) fn status(world: &World, batch: &Batch, now: &Now) -> String {
    if let Some(status) = &batch.pinned_status {
        return status.clone();
    }
    let readable = match world.switches.batch_readable_status {
        ReadableStatus::Success => "success",
        ReadableStatus::Active => "active",
    };
    let Some(job) = batch.job(world) else {
        return readable.to_owned();
    };
    let status = match job.phase {
        Phase::New | Phase::Processing | Phase::Cancelling => "processing",
        Phase::Failed => "failed",
        Phase::Cancelled => "aborted",
        Phase::Succeeded => {
            let after = seconds(world.switches.batch_readable_after_seconds);
            if now.life >= job.ended_life.saturating_add(after) {
                readable
            } else {
                "staged"
            }
        }
    };
    status.to_owned()
}

pub(super) fn is_readable(world: &World, batch: &Batch, now: &Now) -> bool {
    matches!(status(world, batch, now).as_str(), "success" | "active")
}

fn document(world: &World, batch: &Batch, now: &Now) -> Value {
    let status = status(world, batch, now);
    let mut document = json!({
        "status": status,
        "relatedObjects": [{"type": "dataSet", "id": batch.dataset}],
        "created": batch.created,
        "updated": batch.created,
        "version": "1.0.0",
        "imsOrg": world.credentials.organization,
        "createdClient": world.credentials.client_id,
        "createdUser": world.user(),
        "errors": [],
        "tags": {"acp_requestId": [batch.request_id]},
    });
    let Some(job) = batch.job(world) else {
        return document;
    };
    document["updated"] = json!(job.stamps.updated);
    if let Some(started) = job.stamps.running {
        document["started"] = json!(started);
    }
    if let Some(ended) = job.stamps.ended {
        document["completed"] = json!(ended);
        document["version"] = json!("1.0.5");
    }
    if job.phase == Phase::Failed {
        let errors: Vec<Value> = job
            .errors
            .iter()
            .map(|error| json!({"code": error.code, "description": error.msg, "rows": []}))
            .collect();
        document["errors"] = json!(errors);
    }
    if is_readable(world, batch, now) {
        let contents = batch.contents(world);
        document["metrics"] = json!({
            "outputRecordCount": contents.records,
            "outputFileCount": contents.files,
            "outputByteSize": contents.bytes,
            "partitionCount": 0,
            "inputRecordCount": contents.records,
            "inputFileCount": contents.files,
            "inputByteSize": contents.bytes,
            "failedRecordCount": 0,
        });
    }
    document
}

pub(super) fn no_batch() -> Reply {
    catalog_error(StatusCode::NOT_FOUND, "Batch not found.")
}

/// Answers a call to `/batches/{id}`.
pub(crate) fn get(world: &World, call: &Call, sandbox: &str, id: &str, now: &Now) -> Reply {
    if call.method != Method::GET {
        return call.method_not_allowed();
    }
    let properties = match properties(call) {
        Ok(properties) => properties,
        Err(problem) => return bad_request(&problem),
    };
    match world
        .batches
        .get(id)
        .filter(|batch| batch.sandbox == sandbox)
    {
        None => no_batch(),
        Some(Batch {
            document: Some(document),
            ..
        }) => Reply::json(StatusCode::OK, &Ordered(vec![(id.to_owned(), document)])),
        Some(batch) => {
            let document = select(document(world, batch, now), properties.as_deref());
            Reply::json(StatusCode::OK, &Ordered(vec![(id.to_owned(), document)]))
        }
    }
}

/// Answers a call to `/batches`.
pub(crate) fn list(world: &World, call: &Call, sandbox: &str, now: &Now) -> Reply {
    if call.method != Method::GET {
        return call.method_not_allowed();
    }
    let paging = match Paging::parse(call) {
        Ok(paging) => paging,
        Err(problem) => return bad_request(&problem),
    };
    let mut dataset = None;
    for (name, value) in &paging.rest {
        if name != "dataSet" {
            return bad_request(&format!(
                "unknown parameter {name}; there are limit, start, orderBy, properties, dataSet"
            ));
        }
        dataset = Some(value);
    }
    let mut found: Vec<(&String, &Batch)> = world
        .batches
        .iter()
        .filter(|(_, batch)| batch.sandbox == sandbox)
        .filter(|(_, batch)| dataset.is_none_or(|wanted| batch.dataset == *wanted))
        .collect();
    found.sort_by_key(|(_, batch)| (batch.created, batch.job));
    let documents = found
        .into_iter()
        .map(|(id, batch)| {
            let pinned = batch
                .document
                .as_ref()
                .and_then(|text| serde_json::from_str(text.get()).ok());
            (
                id.clone(),
                pinned.unwrap_or_else(|| document(world, batch, now)),
            )
        })
        .collect();
    Reply::json(StatusCode::OK, &paging.page(documents))
}
