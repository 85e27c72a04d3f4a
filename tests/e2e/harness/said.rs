//! What an object says of itself.

use aep_export_operator::api::{Condition, ExportJob, SubmissionOutcome};
use kube::ResourceExt;
use serde::Serialize;
use serde_json::json;

/// The conditions of an object.
pub fn conditions<K: Serialize>(object: &K) -> Vec<Condition> {
    let value = serde_json::to_value(object).unwrap();
    let conditions = value
        .pointer("/status/conditions")
        .cloned()
        .unwrap_or(json!([]));
    serde_json::from_value(conditions).unwrap()
}

/// Whether a condition is there with this status.
pub fn is(conditions: &[Condition], type_: &str, status: &str) -> bool {
    conditions
        .iter()
        .any(|c| c.type_ == type_ && c.status == status)
}

/// The condition of this type.
pub fn condition<K: Serialize>(object: &K, type_: &str) -> Option<Condition> {
    conditions(object).into_iter().find(|c| c.type_ == type_)
}

/// The reason of the condition of this type.
pub fn reason<K: Serialize>(object: &K, type_: &str) -> String {
    condition(object, type_)
        .map(|c| c.reason)
        .unwrap_or_default()
}

/// Whether the condition of this type has this reason, and these words in its message.
pub fn says<K: Serialize>(object: &K, type_: &str, reason: &str, words: &str) -> bool {
    condition(object, type_).is_some_and(|c| c.reason == reason && c.message.contains(words))
}

/// The types of the conditions that are true, in order.
pub fn true_conditions<K: Serialize>(object: &K) -> Vec<String> {
    let mut types: Vec<String> = conditions(object)
        .into_iter()
        .filter(|c| c.status == "True")
        .map(|c| c.type_)
        .collect();
    types.sort();
    types
}

/// The outcome of the submission on record.
pub fn outcome(export: &ExportJob) -> Option<SubmissionOutcome> {
    export.status.as_ref()?.submission.as_ref()?.outcome
}

/// Whether our finalizer is on an export.
pub fn is_held(export: &ExportJob) -> bool {
    export
        .finalizers()
        .iter()
        .any(|name| name == "aep-export.dev/export")
}
