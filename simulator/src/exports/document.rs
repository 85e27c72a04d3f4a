//! A job as replies show it.

use serde_json::{Map, Value, json};

use super::job::{Job, JobError, Outcome, Phase};
use super::request::{Segment, segment_per_batch, segments};
use crate::switches::{
    BatchesShape, CancelLooksLike, ComputeGatewayAtNew, DatasetKey, FailedBatchId, IdShape,
    Organization, Places, Presence, RequestIdElsewhere, SegmentEcho, SegmentStatusDefault,
    SegmentStatusShape, Shown, StatusesShown, SucceededWithErrors, Switches, TimeUnit,
};

/// Which reply a document is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Post,
    Get,
    List,
}

impl Places {
    fn has(self, place: Place) -> bool {
        match place {
            Place::Post => self.post,
            Place::Get => self.get,
            Place::List => self.list,
        }
    }
}

/// The status that replies show.
pub(crate) fn status(job: &Job, switches: &Switches) -> String {
    if let Some(status) = &job.shown_status {
        return status.clone();
    }
    let seen = match (job.phase, switches.cancel_looks_like) {
        (Phase::Cancelling, CancelLooksLike::Failed | CancelLooksLike::Absent) => job.before_cancel,
        (Phase::Cancelled, CancelLooksLike::Failed) => Phase::Failed,
        (phase, _) => phase,
    };
    let seen = match (seen, switches.statuses_shown) {
        (Phase::Processing, StatusesShown::Documents) => Phase::New,
        (phase, _) => phase,
    };
    seen.as_str().to_owned()
}

/// The job as `place` shows it.
pub(crate) fn document(
    job: &Job,
    place: Place,
    switches: &Switches,
    organization: &str,
    default_policy: &str,
) -> Value {
    let body = &job.body;
    let mut document = Map::new();
    let mut set = |key: &str, value: Value| {
        document.insert(key.to_owned(), value);
    };
    set("id", id(job.id, switches.id_shape));
    set("jobType", json!("BATCH"));
    set("profileInstanceId", json!("ups"));
    set("status", json!(status(job, switches)));
    set(
        "schema",
        body.get("schema").cloned().unwrap_or_else(|| json!({})),
    );
    set(
        "mergePolicy",
        body.get("mergePolicy")
            .cloned()
            .unwrap_or_else(|| json!({"id": default_policy, "version": 1})),
    );
    let request_id = match (
        switches.request_id_echo.has(place),
        switches.request_id_elsewhere,
    ) {
        (true, _) => Some(&job.request_id),
        (false, RequestIdElsewhere::Another) => Some(&job.other_request_id),
        (false, RequestIdElsewhere::Absent) => None,
    };
    if let Some(request_id) = request_id {
        set("requestId", json!(request_id));
    }
    set("destination", destination(job, place, switches));
    set("computeGatewayJobId", compute_gateway(job, switches));
    set("metrics", metrics(job, switches));
    let time = |milliseconds: i64| match switches.creation_time_unit {
        TimeUnit::Milliseconds => Some(json!(milliseconds)),
        TimeUnit::Seconds => Some(json!(milliseconds.div_euclid(1000))),
        TimeUnit::Absent => None,
    };
    if let Some(created) = time(job.stamps.created) {
        set("creationTime", created);
    }
    if let Some(updated) = time(job.stamps.updated) {
        set("updateTime", updated);
    }
    match switches.org_id_in_reply {
        Organization::Real => set("imsOrgId", json!(organization)),
        Organization::FirstPlaceholder => set("imsOrgId", json!("{IMS_ORG}")),
        Organization::SecondPlaceholder => set("imsOrgId", json!("{ORG_ID}")),
        Organization::Absent => {}
    }
    let errors = errors(job, switches);
    if !errors.is_empty() {
        set("errors", json!(errors));
    }
    if switches.fields_echo.has(place)
        && let Some(fields) = body.get("fields")
    {
        set("fields", fields.clone());
    }
    if switches.filter_echo.has(place)
        && let Some(filter) = body.get("filter")
    {
        set("filter", echoed_filter(filter, switches));
    }
    if switches.additional_fields_echo.has(place)
        && let Some(fields) = body.get("additionalFields")
    {
        set(
            "additionalFields",
            echoed_additional_fields(fields, switches),
        );
    }
    if switches.evaluation_echo == Presence::Shown
        && let Some(evaluation) = body.get("evaluationInfo")
    {
        set("evaluationInfo", evaluation.clone());
    }
    Value::Object(document)
}

fn id(id: i64, shape: IdShape) -> Value {
    match shape {
        IdShape::Number => json!(id),
        IdShape::String => json!(id.to_string()),
        // By way of its text: the nearest float, as a JSON library would write it.
        IdShape::Float => json!(id.to_string().parse::<f64>().unwrap_or_default()),
    }
}

fn errors(job: &Job, switches: &Switches) -> Vec<JobError> {
    let complains = match job.phase {
        Phase::Failed => true,
        Phase::Succeeded => {
            job.outcome == Outcome::SucceedWithErrors
                || switches.succeeded_with_errors == SucceededWithErrors::Always
        }
        Phase::New | Phase::Processing | Phase::Cancelling | Phase::Cancelled => {
            job.shown_status.is_some()
        }
    };
    match (complains, job.errors.is_empty(), job.phase) {
        (false, _, _) => Vec::new(),
        (true, true, Phase::Succeeded) => JobError::of_success(),
        (true, _, _) => job.errors.clone(),
    }
}

fn destination(job: &Job, place: Place, switches: &Switches) -> Value {
    let per_batch = segment_per_batch(&job.body);
    let segments = segments(&job.body);
    let several = per_batch && !segments.is_empty();
    let key = match place {
        Place::Post | Place::Get => switches.dataset_key_in_reply,
        Place::List => switches.dataset_key_in_list,
    };
    let key = match key {
        DatasetKey::DatasetId => "datasetId",
        DatasetKey::DataSetIdWithBatches if !several => "datasetId",
        DatasetKey::DataSetId | DatasetKey::DataSetIdWithBatches => "dataSetId",
    };
    let mut destination = Map::new();
    destination.insert(key.to_owned(), json!(job.dataset));
    destination.insert("segmentPerBatch".to_owned(), json!(per_batch));
    let hidden = job.phase == Phase::Failed && switches.failed_batch_id == FailedBatchId::Empty;
    let batch_id = |index: usize| match job.batches.get(index) {
        Some(id) if !hidden => json!(id),
        _ => json!(""),
    };
    if several {
        let batches: Vec<Value> = segments
            .iter()
            .enumerate()
            .map(|(index, segment)| batch(segment, index, &batch_id(index), switches))
            .collect();
        let batches = match switches.batches_shape {
            BatchesShape::Array => Value::Array(batches),
            BatchesShape::Object => batches.into_iter().next().unwrap_or_default(),
        };
        destination.insert("batches".to_owned(), batches);
    } else {
        destination.insert("batchId".to_owned(), batch_id(0));
    }
    Value::Object(destination)
}

fn batch(segment: &Segment, index: usize, batch_id: &Value, switches: &Switches) -> Value {
    let status = statuses(segment, switches);
    let as_string = match switches.segment_status_shape {
        SegmentStatusShape::Array => false,
        SegmentStatusShape::String => true,
        SegmentStatusShape::Mixed => index > 0,
    };
    let status = if as_string {
        let words: Vec<&str> = status.iter().filter_map(Value::as_str).collect();
        json!(words.join(","))
    } else {
        Value::Array(status)
    };
    json!({
        "segmentId": segment.id,
        "segmentNs": segment.namespace.as_deref().unwrap_or("ups"),
        "status": status,
        "batchId": batch_id,
    })
}

fn statuses(segment: &Segment, switches: &Switches) -> Vec<Value> {
    match (&segment.status, switches.segment_status_default) {
        (Some(status), _) => status.clone(),
        (None, SegmentStatusDefault::Realized) => vec![json!("realized")],
        (None, SegmentStatusDefault::RealizedAndExisting) => {
            vec![json!("realized"), json!("existing")]
        }
    }
}

fn compute_gateway(job: &Job, switches: &Switches) -> Value {
    let is_new = match job.phase {
        Phase::New => true,
        Phase::Cancelling | Phase::Cancelled => job.stamps.running.is_none(),
        Phase::Processing | Phase::Succeeded | Phase::Failed => false,
    };
    if is_new {
        return match switches.compute_gateway_at_new {
            ComputeGatewayAtNew::Empty => json!({}),
            ComputeGatewayAtNew::EmptyString => json!({"exportJob": ""}),
            ComputeGatewayAtNew::Object => {
                json!({"exportJob": job.compute.export, "pushJob": job.compute.push})
            }
        };
    }
    if pushes(job, switches) {
        json!({"exportJob": job.compute.export, "pushJob": job.compute.push})
    } else {
        json!({"exportJob": job.compute.export})
    }
}

fn pushes(job: &Job, switches: &Switches) -> bool {
    match switches.push_job_and_dataset_write_time {
        Shown::SucceededOnly => job.phase == Phase::Succeeded,
        Shown::Never => false,
        Shown::Always => true,
    }
}

/// Times as the platform writes them: a part that runs has only its beginning.
fn metrics(job: &Job, switches: &Switches) -> Value {
    let span = |start: i64, end: Option<i64>| match end {
        Some(end) => json!({
            "startTimeInMs": start,
            "endTimeInMs": end,
            "totalTimeInMs": end - start,
        }),
        None => json!({"startTimeInMs": start}),
    };
    let mut metrics = Map::new();
    metrics.insert(
        "totalTime".to_owned(),
        span(job.stamps.created, job.stamps.ended),
    );
    if let Some(running) = job.stamps.running {
        // The data are written in the last quarter of the run.
        let writes = job.stamps.ended.map(|ended| ended - (ended - running) / 4);
        metrics.insert("profileExportTime".to_owned(), span(running, writes));
        if let Some(writes) = writes
            && pushes(job, switches)
        {
            metrics.insert(
                "aCPDatasetWriteTime".to_owned(),
                span(writes, job.stamps.ended),
            );
        }
    }
    if job.phase == Phase::Succeeded && switches.profile_counters == Presence::Shown {
        metrics.insert(
            "totalExportedProfileCounter".to_owned(),
            json!(job.profiles.total),
        );
        metrics.insert(
            "exportedProfileByNamespaceCounter".to_owned(),
            json!(job.profiles.by_namespace),
        );
    }
    Value::Object(metrics)
}

fn echoed_filter(filter: &Value, switches: &Switches) -> Value {
    let mut filter = filter.clone();
    if switches.segment_echo == SegmentEcho::AsSent {
        return filter;
    }
    let list = filter.get_mut("segments").and_then(Value::as_array_mut);
    for segment in list.into_iter().flatten().filter_map(Value::as_object_mut) {
        if switches.segment_echo == SegmentEcho::SegmentIdOnly {
            segment.retain(|key, _| key == "segmentId");
            continue;
        }
        segment.entry("segmentNs").or_insert_with(|| json!("ups"));
        if !segment.contains_key("status") {
            let absent = Segment {
                id: String::new(),
                namespace: None,
                status: None,
            };
            segment.insert(
                "status".to_owned(),
                Value::Array(statuses(&absent, switches)),
            );
        }
    }
    filter
}

fn echoed_additional_fields(fields: &Value, switches: &Switches) -> Value {
    let mut fields = fields.clone();
    if switches.evaluation_echo == Presence::Absent
        && let Some(filter) = fields
            .pointer_mut("/eventList/filter")
            .and_then(Value::as_object_mut)
    {
        filter.remove("toIngestTimestamp");
    }
    fields
}
