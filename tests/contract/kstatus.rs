//! What kstatus makes of an object, by the documentation of `sigs.k8s.io/cli-utils/pkg/kstatus`:
//! Flux and Helm 4 wait by it.
//!
//! Shared by the tests of the library and those of the binary.

use serde_json::Value;

/// What kstatus says of an object that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kstatus {
    /// What the manifest asks for has not been reached yet.
    InProgress,
    /// It is reached.
    Current,
    /// It could not be reached.
    Failed,
    /// The object is being deleted.
    Terminating,
}

/// What kstatus says of an object.
pub fn kstatus(object: &Value) -> Kstatus {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    if text("/metadata/deletionTimestamp").is_some_and(|at| !at.is_empty()) {
        return Kstatus::Terminating;
    }
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
    if let (Some(generation), Some(observed)) = (
        number("/metadata/generation"),
        number("/status/observedGeneration"),
    ) && generation != observed
    {
        return Kstatus::InProgress;
    }
    let conditions = object.pointer("/status/conditions");
    let conditions = conditions
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    // Reconciling and Stalled count where they are true, the first of them in the list.
    for condition in conditions.iter().filter(|it| it["status"] == "True") {
        match condition["type"].as_str() {
            Some("Reconciling") => return Kstatus::InProgress,
            Some("Stalled") => return Kstatus::Failed,
            _ => {}
        }
    }
    // Then Ready does. What has none of the three is taken for reached.
    let ready = conditions.iter().find(|it| it["type"] == "Ready");
    match ready.and_then(|ready| ready["status"].as_str()) {
        Some("True") | None => Kstatus::Current,
        Some(_) => Kstatus::InProgress,
    }
}
