//! What tools that apply manifests see of the objects: kubectl, kstatus (Flux, Helm 4), Argo CD.

mod differences;
mod helm;
mod record;
mod states;

use aep_export_operator::api::{ExportJob, ProfileDataset};
use serde_json::{Value, json};

use crate::harness::World;

pub use record::Record;

/// Has the job of an export end like this, now.
async fn end(world: &World, name: &str, outcome: &str) {
    let job = world.get(name).await.status.unwrap().job_id.unwrap();
    let end = json!({ "outcome": outcome, "finishNow": true });
    world.simulator.put(&format!("jobs/{job}"), end).await;
}

/// Changes the spec of an export.
async fn edit(world: &World, name: &str, more: Value) {
    let patch = json!({ "spec": more });
    world.patch::<ExportJob>(name, patch).await.unwrap();
}

/// Creates a dataset object.
async fn dataset(world: &World, name: &str, spec: Value) {
    let mut spec = spec;
    spec["connectionRef"] = json!({ "name": "prod" });
    world.create::<ProfileDataset>(name, spec).await;
}
