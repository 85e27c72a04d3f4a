//! Annotations that ask for a look now.

use aep_export_operator::api::ExportJob;
use serde_json::json;

use super::{JOBS, export, held, job_of};
use crate::harness::{World, eventually};

async fn ask(world: &World, name: &str, annotation: &str, value: &str) {
    let patch = json!({ "metadata": { "annotations": { annotation: value } } });
    world.patch::<ExportJob>(name, patch).await.unwrap();
}

async fn until_answered(world: &World, name: &str, value: &str) {
    world
        .until(name, "answered", |e: &ExportJob| {
            let handled = &e.status.as_ref().unwrap().last_handled_reconcile_at;
            handled.as_deref() == Some(value)
        })
        .await;
}

#[tokio::test]
async fn a_request_to_reconcile_has_the_job_looked_at_and_is_echoed_after_that() {
    let world = held(&["--poll-interval-min", "1h", "--poll-interval-max", "1h"]).await;
    export(&world, "asked", json!({})).await;
    world.until_phase("asked", "Running").await;
    let job = job_of(&world, "asked").await;
    let path = format!("{JOBS}/{job}");
    // The one that begins the following.
    eventually("the first poll", || async {
        let polls = world.simulator.calls("GET", &path).await.len();
        if polls == 1 {
            Ok(())
        } else {
            Err(polls.to_string())
        }
    })
    .await;
    for (annotation, value) in [
        ("reconcile.fluxcd.io/requestedAt", "2026-11-01T00:00:00Z"),
        ("aep-export.dev/requested-at", "2026-11-02T00:00:00Z"),
    ] {
        let before = world.simulator.calls("GET", &path).await.len();
        ask(&world, "asked", annotation, value).await;
        until_answered(&world, "asked", value).await;
        let after = world.simulator.calls("GET", &path).await.len();
        assert_eq!(after, before + 1, "{annotation}");
    }
}

#[tokio::test]
async fn a_finished_export_answers_a_request_without_a_call() {
    let world = World::start("life").await;
    world.furnish().await;
    export(&world, "done", json!({})).await;
    world.until_phase("done", "Succeeded").await;
    let calls = || async { world.simulator.calls("GET", JOBS).await.len() };
    let before = calls().await;
    ask(&world, "done", "reconcile.fluxcd.io/requestedAt", "now").await;
    until_answered(&world, "done", "now").await;
    assert_eq!(calls().await, before);
}
