//! The examples that are no samples of the guides: the connection, and the demo.

use std::fs;

use aep_export_operator::api::{ExportJob, PlatformConnection};
use serde_json::json;

use super::file;
use crate::harness::{World, conditions, is, kubectl};

/// The tenant that the demo's files name.
const PLACEHOLDER: &str = "http://127.0.0.1:8099";

/// Applies a manifest as a user does.
fn apply(world: &World, manifest: &str) {
    let (success, out) = kubectl(&world.namespace, &["apply", "-f", "-"], Some(manifest));
    assert!(success, "{out}\n{manifest}");
}

fn example(name: &str) -> String {
    fs::read_to_string(file(&format!("examples/{name}.yaml"))).unwrap()
}

#[tokio::test]
async fn the_connection_example_works_once_its_placeholders_are_filled_in() {
    let world = World::start("connection-example").await;
    let manifest = example("connection")
        .replace("{CLIENT_ID}", "demo-client")
        .replace("{CLIENT_SECRET}", "demo-secret");
    let url = world.simulator.url();
    let endpoints = format!("  endpoints:\n    platform: {url}\n    ims: {url}\n");
    apply(&world, &(manifest + &endpoints));
    let ready = |it: &PlatformConnection| is(&conditions(it), "Ready", "True");
    world.until("prod", "Ready", ready).await;
}

#[tokio::test]
async fn the_demo_exports_and_cancels_one_that_is_deleted() {
    let world = World::start("demo").await;
    world.simulator.hold_jobs().await;
    for name in ["demo/connection", "demo/dataset", "demo/exports"] {
        let manifest = example(name).replace(PLACEHOLDER, world.simulator.url());
        assert!(manifest.contains("\n---\n"), "{name} can follow another");
        apply(&world, &manifest);
    }
    let victim = "cancelled-by-delete";
    let others = [
        "all-profiles",
        "batch-per-segment",
        "profiles-and-events",
        "segment-of-a-week",
    ];
    for name in others.iter().chain([&victim]) {
        world.until_phase(name, "Running").await;
    }
    world.delete::<ExportJob>(victim).await;
    world.until_gone::<ExportJob>(victim).await;
    for job in world.simulator.jobs().await {
        if job["deletedAt"].is_null() {
            let path = format!("jobs/{}", job["id"]);
            let release = json!({ "outcome": "release", "finishNow": true });
            world.simulator.put(&path, release).await;
        }
    }
    for name in others {
        world.until_phase(name, "Succeeded").await;
    }
    let summary = world.simulator.get("summary").await;
    let exports = json!({
        "created": 5, "succeeded": 4, "cancelled": 1, "failed": 0, "running": 0, "foreign": 0,
    });
    assert_eq!(summary["exports"], exports);
    assert_eq!(summary["duplicateRequestIds"], 0);
    assert_eq!(summary["duplicateBodies"], 0);
}
