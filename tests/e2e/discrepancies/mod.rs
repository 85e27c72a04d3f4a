//! The documents contradict each other, and the simulated tenant can take every side: for each of
//! its switches, in each of its values, exports come to the end that the documents give them.
//!
//! Every case that needs an operator has a tenant of its own; those of a test share one operator,
//! which serves some of them at the same time.

mod cancels;
mod catalog;
mod client;
mod coverage;
mod datasets;
mod exports;
mod lags;
mod lists;
mod rejections;

use std::panic::AssertUnwindSafe;

use aep_export_operator::{
    api::{ExportJob, PlatformConnection},
    platform::{Fence, Platform},
};
use futures::{FutureExt, StreamExt, stream};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    harness::World,
    samples::{Tenant, seed_dataset},
};

/// The dataset of every tenant.
const DATASET: &str = "5b7c86968f7b6501e21ba9df";
/// Cases that run at the same time.
const AT_ONCE: usize = 6;

/// One value of a switch.
#[derive(Clone)]
struct Case<T> {
    /// The row of the table of contradictions; 0 is none of them.
    row: u8,
    /// What the tenant is set to.
    switches: Value,
    /// What is done, or wanted.
    that: T,
}

impl<T> Case<T> {
    /// What a failure calls it.
    fn label(&self) -> String {
        match self.row {
            0 => self.switches.to_string(),
            row => format!("row {row}, {}", self.switches),
        }
    }
}

/// A case.
fn case<T>(row: u8, switches: Value, that: T) -> Case<T> {
    Case {
        row,
        switches,
        that,
    }
}

/// The switches of some cases.
fn switches_of<T>(cases: Vec<Case<T>>) -> Vec<Value> {
    cases.into_iter().map(|case| case.switches).collect()
}

/// Runs cases, some at a time, and fails with the rows and switches of those that did.
async fn each<T, F>(cases: Vec<Case<T>>, run: impl Fn(String, Case<T>) -> F)
where
    F: Future<Output = ()>,
{
    let checks = cases.into_iter().enumerate().map(|(index, case)| {
        let label = case.label();
        attempt(label, run(format!("case-{index}"), case))
    });
    let failed: Vec<String> = stream::iter(checks)
        .buffer_unordered(AT_ONCE)
        .filter_map(|failed| async move { failed })
        .collect()
        .await;
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

/// One tenant without an operator for several cases in turn; its jobs go on until they are told to
/// end.
struct Turns {
    tenant: Tenant,
    label: String,
}

impl Turns {
    async fn start() -> Self {
        let tenant = Tenant::start().await;
        seed_dataset(&tenant.simulator, DATASET).await;
        tenant.simulator.hold_jobs().await;
        Self {
            tenant,
            label: String::new(),
        }
    }

    /// Begins a case: with the tenant's defaults but for the case's switches, and without jobs.
    async fn begin<T>(&mut self, case: &Case<T>) -> &Tenant {
        self.label = case.label();
        let simulator = &self.tenant.simulator;
        for job in simulator.jobs().await {
            simulator.delete(&format!("jobs/{}", job["id"])).await;
        }
        simulator.delete("switches").await;
        simulator.put("switches", case.switches.clone()).await;
        &self.tenant
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with {}", self.label);
        }
    }
}

/// Runs a case; what it failed of, with its label.
async fn attempt(label: String, run: impl Future<Output = ()>) -> Option<String> {
    let panic = AssertUnwindSafe(run).catch_unwind().await.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    Some(format!("{label}: {}", text.unwrap_or_default()))
}

/// An operator for tenants that are made case by case.
async fn world(name: &str, flags: &[&str]) -> World {
    let mut world = World::without_operator(name).await;
    world.start_operator(flags).await;
    world.create_credential("aep-credentials").await;
    world
}

/// A tenant with these switches and a connection of this name to it.
async fn tenant(world: &World, name: &str, switches: &Value) -> Tenant {
    let tenant = Tenant::start().await;
    seed_dataset(&tenant.simulator, DATASET).await;
    tenant.simulator.put("switches", switches.clone()).await;
    let mut spec = world.connection_spec();
    let url = tenant.simulator.url();
    spec["endpoints"] = json!({ "platform": url, "ims": url });
    world.create::<PlatformConnection>(name, spec).await;
    tenant
}

/// Creates an export by the connection of the same name; what it exports is `export` but for the
/// dataset.
async fn submit(world: &World, connection: &str, name: &str, mut export: Value) -> ExportJob {
    export["destination"]["datasetId"] = json!(DATASET);
    let spec = json!({ "connectionRef": { "name": connection }, "export": export });
    world.create(name, spec).await
}

/// A fence that stays open.
fn open_fence(platform: &Platform) -> Fence {
    let send_before = platform.now() + SignedDuration::from_mins(1);
    Fence::until(send_before, platform.clock().clone())
}

/// An export of all profiles.
fn plain() -> Value {
    json!({ "destination": { "segmentPerBatch": false }, "fields": ["identities.id"] })
}

/// An export with every option but those of the evaluation: two segments, each in its own batch.
fn segments() -> Value {
    json!({
        "destination": { "segmentPerBatch": true },
        "fields": ["identities.id", "personalEmail.address"],
        "mergePolicy": { "id": "timestampOrdered-none-mp", "version": 1 },
        "filter": {
            "segments": [
                { "segmentId": "segment1" },
                { "segmentId": "segment2", "segmentNs": "AdCloud", "status": ["exited"] },
            ],
            "segmentQualificationTime": { "startTime": "2018-01-01T00:00:00Z" },
            "emptyProfiles": true,
        },
        "additionalFields": { "eventList": {
            "fields": ["environment.browserDetails.name"],
            "filter": { "fromIngestTimestamp": "2018-10-25T13:22:04-07:00" },
        } },
    })
}

/// The same with those of the evaluation, which one guide alone knows.
fn full() -> Value {
    let mut export = segments();
    let until = json!("2020-01-01T00:00:00Z");
    export["additionalFields"]["eventList"]["filter"]["toIngestTimestamp"] = until;
    export["evaluationInfo"] = json!({ "segmentation": true });
    export
}
