//! The ledger: every call, job and dataset, as the tests judge them. No secret gets into it.

use std::collections::{BTreeMap, HashMap, HashSet};

use axum::http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use crate::call::{Call, Cause, Route};
use crate::clock::rfc3339;
use crate::exports;
use crate::exports::job::{Job, Phase};
use crate::ids::TOKEN_PREFIX;
use crate::wire::Connections;
use crate::world::{Credentials, World};

/// The calls so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    calls: Vec<Entry>,
    /// The requests to start an export that are under way.
    creations: usize,
    /// The most that were under way at a time.
    most_creations: usize,
    /// The connections of all callers, of this API and of the platform's.
    pub(crate) connections: Connections,
}

/// What became of a call's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Fate {
    /// It was left to HTTP.
    Kept,
    /// It was closed without an answer.
    Closed,
    /// It was reset without an answer.
    Reset,
    /// It was left without an answer, and closed at last.
    Hung,
    /// It ended in the middle of the answer.
    Truncated,
    /// The caller left before there was an answer.
    Left,
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
    /// The sandbox that it names.
    sandbox: Option<String>,
    request_id: String,
    body: Option<Value>,
    /// None while it is under way, and if it never was answered.
    status: Option<u16>,
    committed: bool,
    /// When it took effect, each time.
    committed_at: Vec<String>,
    fault: Option<String>,
    /// None while it is under way.
    connection: Option<Fate>,
    /// None where nobody asked: at IMS, and where a fault answered first.
    authorized: Option<bool>,
    #[serde(skip)]
    route: &'static str,
    /// The job that it asks to cancel.
    #[serde(skip)]
    cancels: Option<i64>,
}

impl Ledger {
    /// Notes a call that has come in; returns its index.
    pub(crate) fn begin(&mut self, call: &Call, wall: i64, fault: Option<String>) -> usize {
        let route = Route::of(&call.path);
        // IMS is told secrets.
        let told = route != Route::Token;
        let index = self.calls.len();
        let cancels = match &route {
            Route::Job(id) if call.method != Method::GET => id.parse().ok(),
            _ => None,
        };
        if is_creation(call.method.as_str(), route.template()) {
            self.creations += 1;
            self.most_creations = self.most_creations.max(self.creations);
        }
        self.calls.push(Entry {
            at: rfc3339(wall),
            index,
            method: call.method.to_string(),
            path: call.path.clone(),
            query: call.query.clone().filter(|_| told),
            sandbox: call.header("x-sandbox-name").map(str::to_owned),
            request_id: call.request_id.clone(),
            body: call.json().filter(|_| told),
            status: None,
            committed: false,
            committed_at: Vec::new(),
            fault,
            connection: None,
            authorized: None,
            route: route.template(),
            cancels,
        });
        index
    }

    /// Notes that the tenant has acted on a call at `wall`; `effect` if that changed it.
    pub(crate) fn act(&mut self, index: usize, wall: i64, effect: bool, authorized: Option<bool>) {
        if let Some(entry) = self.calls.get_mut(index) {
            entry.authorized = authorized;
            if effect {
                entry.committed = true;
                entry.committed_at.push(rfc3339(wall));
            }
        }
    }

    /// Notes how a call ends: with which status, if any, and what becomes of its connection. A
    /// caller who has left is not answered any more.
    pub(crate) fn end(&mut self, index: usize, status: Option<u16>, fate: Fate) {
        if let Some(entry) = self.calls.get_mut(index)
            && entry.connection.is_none()
        {
            entry.status = status;
            entry.connection = Some(fate);
            if is_creation(&entry.method, entry.route) {
                self.creations -= 1;
            }
        }
    }
}

/// Whether a call asks for a new export.
fn is_creation(method: &str, route: &str) -> bool {
    method == "POST" && route == Route::Jobs.template()
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
                "call": job.cause.as_ref().map(|cause| cause.call),
                "surplus": is_surplus(job.cause.as_ref()),
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
                "requestId": dataset.cause.as_ref().map(|cause| &cause.request_id),
                "call": dataset.cause.as_ref().map(|cause| cause.call),
                "surplus": is_surplus(dataset.cause.as_ref()),
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

/// Whether a fault made it, by letting a call take effect twice.
fn is_surplus(cause: Option<&Cause>) -> bool {
    cause.is_some_and(|cause| cause.surplus)
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
    let mut by_request_id: HashMap<&str, usize> = HashMap::new();
    for job in own.iter().filter(|job| !is_surplus(job.cause.as_ref())) {
        *by_request_id.entry(&job.request_id).or_default() += 1;
    }
    let asked: HashSet<i64> = world
        .ledger
        .calls
        .iter()
        .filter_map(|call| call.cancels)
        .collect();
    let foreign_deleted = world
        .jobs
        .values()
        .filter(|job| job.foreign && asked.contains(&job.id));
    let surplus_jobs = own.iter().filter(|job| is_surplus(job.cause.as_ref()));
    let surplus_datasets = world
        .datasets
        .values()
        .filter(|dataset| is_surplus(dataset.cause.as_ref()));
    let connections = world.ledger.connections.counts();
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
        "createdByRequestIdMaximum": by_request_id.values().max().copied().unwrap_or_default(),
        "createdOverOne": by_request_id.values().filter(|count| **count > 1).count(),
        "foreignDeleted": foreign_deleted.count(),
        "connections": {
            "accepted": connections.accepted,
            "open": connections.open,
            "most": connections.most,
        },
        "mostCreationsUnderWay": world.ledger.most_creations,
        "surplus": {"exports": surplus_jobs.count(), "datasets": surplus_datasets.count()},
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
