//! The ledger: every call, job and dataset, as the tests judge them. No secret gets into it.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use serde_json::{Value, json};

use crate::call::{Call, Route};
use crate::clock::rfc3339;
use crate::exports;
use crate::exports::job::{Job, Phase};
use crate::ids::TOKEN_PREFIX;
use crate::world::{Credentials, World};

/// The calls so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    calls: Vec<Entry>,
}

/// A call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    at: String,
    index: usize,
    method: String,
    path: String,
    query: Option<String>,
    request_id: String,
    body: Option<Value>,
    /// None while it is under way, and if it never was answered.
    status: Option<u16>,
    committed: bool,
    fault: Option<String>,
    /// None where nobody asked: at IMS, and where a fault answered first.
    authorized: Option<bool>,
    #[serde(skip)]
    route: &'static str,
}

impl Ledger {
    /// Notes a call that has come in; returns its index.
    pub(crate) fn begin(&mut self, call: &Call, wall: i64, fault: Option<String>) -> usize {
        let route = Route::of(&call.path);
        // IMS is told secrets.
        let told = route != Route::Token;
        let index = self.calls.len();
        self.calls.push(Entry {
            at: rfc3339(wall),
            index,
            method: call.method.to_string(),
            path: call.path.clone(),
            query: call.query.clone().filter(|_| told),
            request_id: call.request_id.clone(),
            body: call.json().filter(|_| told),
            status: None,
            committed: false,
            fault,
            authorized: None,
            route: route.template(),
        });
        index
    }

    /// Notes that the tenant has acted on a call.
    pub(crate) fn act(&mut self, index: usize, committed: bool, authorized: Option<bool>) {
        if let Some(entry) = self.calls.get_mut(index) {
            entry.committed = committed;
            entry.authorized = authorized;
        }
    }

    /// Notes how a call was answered.
    pub(crate) fn end(&mut self, index: usize, status: u16) {
        if let Some(entry) = self.calls.get_mut(index) {
            entry.status = Some(status);
        }
    }
}

/// The whole ledger.
pub(crate) fn ledger(world: &World) -> Value {
    let jobs: Vec<Value> = world
        .jobs
        .values()
        .map(|job| {
            json!({
                "id": job.id,
                "requestId": job.request_id,
                "datasetId": job.dataset,
                "sandbox": job.sandbox,
                "createdAt": rfc3339(job.stamps.created),
                "status": status(world, job),
                "body": job.body,
                "deletedAt": job.stamps.deleted.map(rfc3339),
                "deleteRequests": job.delete_requests,
                "foreign": job.foreign,
            })
        })
        .collect();
    let mut datasets: Vec<_> = world.datasets.values().collect();
    datasets.sort_by_key(|dataset| dataset.sequence);
    let datasets: Vec<Value> = datasets
        .into_iter()
        .map(|dataset| {
            json!({
                "id": dataset.id,
                "name": dataset.body.get("name"),
                "sandbox": dataset.sandbox,
                "createdAt": rfc3339(dataset.created),
                "deletedAt": dataset.deleted.map(rfc3339),
                "body": dataset.body,
                "tags": dataset.body.get("tags").cloned().unwrap_or_else(|| json!({})),
            })
        })
        .collect();
    let mut ledger = json!({
        "requests": world.ledger.calls,
        "jobs": jobs,
        "datasets": datasets,
        "tokens": {"issued": world.credentials.issued},
        "summary": summary(world),
    });
    redact(&mut ledger, &world.credentials);
    ledger
}

/// The status as the API would show it; that of a job which it knows no more is where it stood.
fn status(world: &World, job: &Job) -> String {
    exports::status(job, &world.switches)
}

/// Counts.
pub(crate) fn summary(world: &World) -> Value {
    let own: Vec<&Job> = world.jobs.values().filter(|job| !job.foreign).collect();
    let count = |phases: &[Phase]| own.iter().filter(|job| phases.contains(&job.phase)).count();
    let mut routes: BTreeMap<String, usize> = BTreeMap::new();
    for call in &world.ledger.calls {
        *routes
            .entry(format!("{} {}", call.method, call.route))
            .or_default() += 1;
    }
    let mut request_ids = HashSet::new();
    let mut bodies = HashSet::new();
    let duplicate_request_ids = own
        .iter()
        .filter(|job| !request_ids.insert(&job.request_id));
    let duplicate_bodies = own
        .iter()
        .filter(|job| !bodies.insert((&job.sandbox, job.body.to_string())));
    json!({
        "exports": {
            "created": own.len(),
            "succeeded": count(&[Phase::Succeeded]),
            "failed": count(&[Phase::Failed]),
            "cancelled": count(&[Phase::Cancelled]),
            "running": count(&[Phase::New, Phase::Processing, Phase::Cancelling]),
            "foreign": world.jobs.len() - own.len(),
        },
        "datasets": {
            "created": world.datasets.len(),
            "deleted": world.datasets.values().filter(|dataset| dataset.deleted.is_some()).count(),
        },
        "requests": world.ledger.calls.len(),
        "tokens": world.credentials.issued,
        "requestsByRoute": routes,
        "duplicateRequestIds": duplicate_request_ids.count(),
        "duplicateBodies": duplicate_bodies.count(),
    })
}

/// Takes secrets and tokens out of every text, wherever a caller may have put them.
fn redact(value: &mut Value, credentials: &Credentials) {
    match value {
        Value::String(text) => {
            if let Some(clean) = redacted(text, credentials) {
                *text = clean;
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| redact(item, credentials)),
        Value::Object(map) => map.values_mut().for_each(|item| redact(item, credentials)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn redacted(text: &str, credentials: &Credentials) -> Option<String> {
    let known = credentials.secrets.iter().chain(&credentials.access_token);
    let mut clean = text.to_owned();
    for secret in known {
        if clean.contains(secret.as_str()) {
            clean = clean.replace(secret.as_str(), "[redacted]");
        }
    }
    while let Some(start) = clean.find(TOKEN_PREFIX) {
        let token = &clean[start + TOKEN_PREFIX.len()..];
        let length = token
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(token.len());
        clean.replace_range(start..start + TOKEN_PREFIX.len() + length, "[redacted]");
    }
    (clean != text).then_some(clean)
}
