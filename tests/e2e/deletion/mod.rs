//! What is deleted while something still needs it: it goes in the end, nothing that runs is
//! forgotten, and who waits for what is told.

mod connection;
mod crds;
mod events;
mod namespace;
mod phases;
mod policy;
mod secret;
mod unreachable;

use aep_export_operator::api::PlatformConnection;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::harness::{World, eventually};

const JOBS: &str = "/data/core/ups/export/jobs";
const ABANDON: &str = "aep-export.dev/abandon";

/// A tenant in which these exports run until they are told to end.
async fn running(names: &[&str]) -> World {
    let mut world = World::without_operator("deletion").await;
    world.start_operator(&[]).await;
    world.furnish().await;
    run(&world, names).await;
    world
}

/// Has these exports run until they are told to end.
async fn run(world: &World, names: &[&str]) {
    world.simulator.hold_jobs().await;
    for name in names {
        world.export(name).await;
    }
    for name in names {
        world.until_phase(name, "Running").await;
    }
}

/// Lets an export end well, now.
async fn end(world: &World, name: &str) {
    let job = world.get(name).await.status.unwrap().job_id.unwrap();
    let end = json!({ "outcome": "release", "finishNow": true });
    world.simulator.put(&format!("jobs/{job}"), end).await;
}

/// The requests to cancel a job.
async fn cancels(world: &World) -> usize {
    world.simulator.calls("DELETE", JOBS).await.len()
}

/// The states of all jobs that there ever were.
async fn states(world: &World) -> Vec<String> {
    let jobs = world.simulator.jobs().await;
    let state = |job: &Value| job["status"].as_str().unwrap().to_owned();
    jobs.iter().map(state).collect()
}

/// Whether our finalizer is on a connection.
fn is_held(connection: &PlatformConnection) -> bool {
    let mut finalizers = connection.finalizers().iter();
    finalizers.any(|name| name == "aep-export.dev/connection")
}

/// Waits until nothing holds the connection.
async fn until_free(world: &World) -> PlatformConnection {
    world
        .until("prod", "free", |c: &PlatformConnection| !is_held(c))
        .await
}

/// The connection, as it is while it is being deleted and held.
async fn until_waiting(world: &World) -> PlatformConnection {
    world
        .until("prod", "waiting for its users", |c: &PlatformConnection| {
            crate::harness::reason(c, "Reconciling") == "WaitingForUsers"
        })
        .await
}

async fn annotate(world: &World, name: &str, key: &str, value: &str) {
    let patch = json!({ "metadata": { "annotations": { key: value } } });
    world
        .patch::<PlatformConnection>(name, patch)
        .await
        .unwrap();
}

/// Waits until the platform was asked so often to look at the sandboxes.
async fn until_checked(world: &World, count: usize) {
    eventually("checks of the credential", || async {
        let checks = world.simulator.calls("GET", SANDBOXES).await.len();
        if checks >= count {
            Ok(())
        } else {
            Err(format!("{checks}\n{}", world.log()))
        }
    })
    .await;
}

const SANDBOXES: &str = "/data/foundation/sandbox";
