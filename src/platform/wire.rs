//! The wire's values, read tolerantly.
//!
//! A reply is parsed into a [`Value`] and picked apart by hand. Derived structs would refuse a
//! whole reply for one wrong type in a field nobody needs; here a wrong type is an absent field.
//! Numbers need no `raw_value` or `arbitrary_precision` (which would change `Value` for the whole
//! tree): `Value` keeps integers up to `u64::MAX` exactly, and what it may not keep exactly, a
//! large float, is refused as an id instead of being rounded into somebody else's.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{BatchId, DatasetId, Echoed, Job, JobBatch, JobError, JobId};

/// Status goes into a condition's message and a printer column.
pub(super) const MAX_STATUS: usize = 64;
/// The platform's codes have at most 20 characters; its request ids 32 to 36.
pub(super) const MAX_CODE: usize = 64;
/// A job error's message; the longest seen is a Spark exception's first line.
const MAX_MESSAGE: usize = 512;
/// Job errors kept. The first say what happened; a failed Spark job repeats itself.
const MAX_ERRORS: usize = 10;
/// Namespaces kept of the counters. A sandbox has a few dozen identity namespaces.
const MAX_NAMESPACES: usize = 100;
/// Batches kept: one per segment with `segmentPerBatch`, and a sandbox has at most 4,000.
const MAX_BATCHES: usize = 10_000;
/// Longer than any id; they go into paths and labels.
const MAX_ID: usize = 256;
/// Floats below it are right in every digit before the point. 2^50 and not 2^53, because
/// `serde_json` may miss the nearest float by a little (`9007199254740991.0` becomes …990).
const INEXACT: f64 = 1_125_899_906_842_624.0;
/// From here on a time is in milliseconds: as milliseconds it is March 1973, before there was an
/// AEP; as seconds it is the year 5138.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// The keys of a request's body that some reply gives back.
const ECHOED: [&str; 6] = [
    "fields",
    "filter",
    "mergePolicy",
    "additionalFields",
    "schema",
    "evaluationInfo",
];

/// The first `max` bytes of `text`, cut at a character's boundary.
pub(super) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// A string or a number as text for people: one line without control characters, at most `max`
/// characters. Empty is absent.
pub(super) fn text(value: &Value, max: usize) -> Option<String> {
    let text: String = match value {
        Value::String(text) => text
            .trim()
            .chars()
            .filter(|c| !c.is_control())
            .take(max)
            .collect(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// An id, every digit kept, or nothing. `100`, `"100"`, `100.0` and `1e2` are the same id.
pub(super) fn id(value: &Value) -> Option<String> {
    let id = match value {
        Value::String(id) => id.clone(),
        Value::Number(number) if number.is_f64() => integral(number.as_f64()?)?.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    is_id(&id).then_some(id)
}

/// Whether `id` can stand in a path as one segment of it.
pub(super) fn is_id(id: &str) -> bool {
    let clean = !id.chars().any(|c| c.is_control() || c.is_whitespace());
    clean && !id.is_empty() && id.len() <= MAX_ID && id != "." && id != ".."
}

/// A count or duration: a number or a number's text, not negative.
pub(super) fn non_negative(value: &Value) -> Option<i64> {
    integer(value).filter(|count| *count >= 0)
}

/// A time: milliseconds as all samples have it, seconds as one text has it, or RFC 3339.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    let Some(number) = integer(value) else {
        return value.as_str()?.parse().ok();
    };
    match number {
        ..=0 => None,
        1..MILLISECONDS_FROM => Timestamp::from_second(number).ok(),
        MILLISECONDS_FROM.. => Timestamp::from_millisecond(number).ok(),
    }
}

/// The first of `paths` at which `read` finds something.
pub(super) fn first<T>(
    value: &Value,
    paths: &[&str],
    read: impl Fn(&Value) -> Option<T>,
) -> Option<T> {
    paths.iter().find_map(|path| read(value.pointer(path)?))
}

/// A string, or a list of them.
pub(super) fn texts(value: &Value, max: usize) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().filter_map(|entry| text(entry, max)).collect(),
        value => text(value, max).into_iter().collect(),
    }
}

/// Reads an export job; nothing without an id and a status.
pub(super) fn job(value: &Value) -> Option<Job> {
    // What is not there is null, which none of these is read from.
    let status = &value["status"];
    let (destination, metrics) = (&value["destination"], &value["metrics"]);
    let milliseconds = |name: &str| non_negative(&metrics[name]["totalTimeInMs"]);
    let dataset = id(&destination["datasetId"]).or_else(|| id(&destination["dataSetId"]));
    Some(Job {
        id: JobId::new(id(&value["id"])?),
        status: text(status, MAX_STATUS).filter(|_| status.is_string())?,
        request_id: text(&value["requestId"], MAX_CODE),
        dataset_id: dataset.map(DatasetId::new),
        creation_time: time(&value["creationTime"]),
        update_time: time(&value["updateTime"]),
        total_milliseconds: milliseconds("totalTime"),
        profile_export_milliseconds: milliseconds("profileExportTime"),
        dataset_write_milliseconds: milliseconds("aCPDatasetWriteTime"),
        exported_profiles: non_negative(&metrics["totalExportedProfileCounter"]),
        exported_profiles_by_namespace: by_namespace(metrics),
        batches: batches(destination),
        errors: errors(&value["errors"]),
        echoed: echoed(value),
    })
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| integral(number.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| integral(text.parse().ok()?))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The integer that a float stands for, if it stands for exactly one.
fn integral(float: f64) -> Option<i64> {
    if float.fract() != 0.0 || float.abs() >= INEXACT {
        return None;
    }
    // Printed without exponent or fraction; no cast that could cut.
    format!("{float:.0}").parse().ok()
}

fn by_namespace(metrics: &Value) -> BTreeMap<String, i64> {
    let counters = metrics["exportedProfileByNamespaceCounter"].as_object();
    let counters = counters.into_iter().flatten();
    counters
        .filter_map(|(name, count)| {
            Some((
                text(&Value::from(name.as_str()), MAX_CODE)?,
                non_negative(count)?,
            ))
        })
        .take(MAX_NAMESPACES)
        .collect()
}

/// `destination.batches`, a list in one document and an object in another, and then
/// `destination.batchId`, which is empty where a job has none.
fn batches(destination: &Value) -> Vec<JobBatch> {
    let named: Vec<&Value> = match &destination["batches"] {
        Value::Array(list) => list.iter().collect(),
        batch @ Value::Object(map) if map.contains_key("batchId") => vec![batch],
        Value::Object(map) => map.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    let mut batches: Vec<_> = named
        .into_iter()
        .filter_map(batch)
        .take(MAX_BATCHES)
        .collect();
    if let Some(id) = id(&destination["batchId"]).map(BatchId::new)
        && batches.len() < MAX_BATCHES
        && batches.iter().all(|batch| batch.id != id)
    {
        batches.push(JobBatch {
            id,
            segment_id: None,
            segment_ns: None,
            segment_status: Vec::new(),
        });
    }
    batches
}

fn batch(value: &Value) -> Option<JobBatch> {
    Some(JobBatch {
        id: BatchId::new(id(&value["batchId"])?),
        segment_id: text(&value["segmentId"], MAX_ID),
        segment_ns: text(&value["segmentNs"], MAX_CODE),
        segment_status: texts(&value["status"], MAX_STATUS),
    })
}

fn errors(errors: &Value) -> Vec<JobError> {
    let list: &[Value] = match errors {
        Value::Array(list) => list,
        error @ Value::Object(_) => std::slice::from_ref(error),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => &[],
    };
    let read = |error: &Value| {
        let code = text(&error["code"], MAX_CODE);
        let message =
            text(&error["msg"], MAX_MESSAGE).or_else(|| text(&error["message"], MAX_MESSAGE));
        (code.is_some() || message.is_some()).then(|| JobError {
            code: code.unwrap_or_default(),
            message: message.unwrap_or_default(),
        })
    };
    list.iter().filter_map(read).take(MAX_ERRORS).collect()
}

fn echoed(job: &Value) -> Echoed {
    let per_batch = (
        "destination.segmentPerBatch",
        &job["destination"]["segmentPerBatch"],
    );
    let parts = ECHOED
        .into_iter()
        .map(|key| (key, &job[key]))
        .chain([per_batch]);
    Echoed::new(parts.filter(|(_, part)| !part.is_null()))
}
