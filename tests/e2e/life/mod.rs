//! What a spec wants beside the export: an end, a delay, a look.

mod cancel;
mod deadline;
mod requests;
mod retry;
mod suspend;
mod ttl;
mod vanished;

use aep_export_operator::api::{ExportJob, ExportJobStatus};
use serde_json::{Value, json};

use crate::harness::{World, export_into};

const JOBS: &str = "/data/core/ups/export/jobs";

/// A world with a dataset, whose jobs run until they are told to end.
async fn held(flags: &[&str]) -> World {
    let mut world = World::without_operator("life").await;
    world.start_operator(flags).await;
    world.furnish().await;
    world.simulator.hold_jobs().await;
    world
}

/// An export into the dataset with more in its spec.
async fn export(world: &World, name: &str, more: Value) -> ExportJob {
    let mut spec = export_into("profiles");
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    world.create(name, spec).await
}

/// Changes a spec, as `kubectl apply` of another manifest does.
async fn edit(world: &World, name: &str, more: Value) {
    let patch = json!({ "spec": more });
    world.patch::<ExportJob>(name, patch).await.unwrap();
}

async fn status(world: &World, name: &str) -> ExportJobStatus {
    world.get(name).await.status.unwrap()
}

async fn job_of(world: &World, name: &str) -> String {
    status(world, name).await.job_id.unwrap()
}

/// Has a job end like this, now.
async fn end(world: &World, job: &str, outcome: &str) {
    let end = json!({ "outcome": outcome, "finishNow": true });
    world.simulator.put(&format!("jobs/{job}"), end).await;
}

/// The requests to cancel a job.
async fn cancels(world: &World) -> usize {
    world.simulator.calls("DELETE", JOBS).await.len()
}
