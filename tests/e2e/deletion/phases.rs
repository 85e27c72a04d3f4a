//! Exports that are deleted wherever they are.

use aep_export_operator::api::ExportJob;
use serde_json::{Value, json};

use super::{JOBS, cancels, states};
use crate::harness::{World, export_into, reason};

const NEVER: [&str; 4] = ["--retry-delay-min", "1h", "--retry-delay-max", "1h"];

async fn furnished() -> World {
    let mut world = World::without_operator("deletion").await;
    world.start_operator(&NEVER).await;
    world.furnish().await;
    world.simulator.hold_jobs().await;
    world
}

async fn export(world: &World, more: Value) {
    let mut spec = export_into("profiles");
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    world.create::<ExportJob>("one", spec).await;
}

async fn go(world: &World) {
    world.delete::<ExportJob>("one").await;
    world.until_gone::<ExportJob>("one").await;
}

#[tokio::test]
async fn a_suspended_export_goes_at_once() {
    let world = furnished().await;
    export(&world, json!({ "suspend": true })).await;
    world.until_phase("one", "Suspended").await;
    go(&world).await;
    assert!(world.simulator.posts().await.is_empty());
}

#[tokio::test]
async fn a_running_export_costs_one_look_and_one_cancellation_beside_the_polls() {
    let mut world = World::without_operator("deletion").await;
    let rarely = ["--poll-interval-min", "2s", "--poll-interval-max", "2s"];
    world.start_operator(&rarely).await;
    world.furnish().await;
    world.simulator.hold_jobs().await;
    export(&world, json!({})).await;
    world.until_phase("one", "Running").await;
    let job = world.get("one").await.status.unwrap().job_id.unwrap();
    let path = format!("{JOBS}/{job}");
    go(&world).await;
    assert_eq!(cancels(&world).await, 1);
    // The first poll, the look before the cancellation if that was not made yet, the one after, and
    // the polls until the job has ended.
    let looks = world.simulator.calls("GET", &path).await.len();
    assert!(looks <= 6, "{looks}");
    assert_eq!(states(&world).await, ["CANCELLED"]);
}

#[tokio::test]
async fn an_export_between_two_attempts_goes_at_once() {
    let world = furnished().await;
    export(&world, json!({ "backoffLimit": 1 })).await;
    let running = world.until_phase("one", "Running").await;
    let job = running.status.unwrap().job_id.unwrap();
    let fail = json!({ "outcome": "fail", "finishNow": true });
    world.simulator.put(&format!("jobs/{job}"), fail).await;
    world
        .until("one", "waiting for its next attempt", |e: &ExportJob| {
            reason(e, "Ready") == "RetryScheduled"
        })
        .await;
    go(&world).await;
    assert_eq!(world.simulator.posts().await.len(), 1);
    assert_eq!(cancels(&world).await, 0);
}

#[tokio::test]
async fn an_export_whose_batch_is_waited_for_goes_at_once() {
    let world = furnished().await;
    world
        .simulator
        .put("defaults", json!({ "outcome": "succeed" }))
        .await;
    let batches = json!({
        "method": "GET", "path": "/data/foundation/catalog/batches/*",
        "action": { "reply": { "status": 503 } },
    });
    world.simulator.fault(batches).await;
    export(&world, json!({})).await;
    world
        .until("one", "waiting for its batch", |e: &ExportJob| {
            reason(e, "Ready") == "WaitingForBatch"
        })
        .await;
    go(&world).await;
    assert_eq!(cancels(&world).await, 0);
}

#[tokio::test]
async fn an_export_that_is_being_cancelled_goes_when_its_job_has_ended() {
    let world = furnished().await;
    let accepted = json!({
        "method": "DELETE", "path": format!("{JOBS}/*"), "times": 1,
        "action": { "reply": { "status": 204 } },
    });
    world.simulator.fault(accepted).await;
    export(&world, json!({})).await;
    world.until_phase("one", "Running").await;
    let cancel = json!({ "spec": { "cancel": true } });
    world.patch::<ExportJob>("one", cancel).await.unwrap();
    world
        .until("one", "taken note of", |e: &ExportJob| {
            let stop = e.status.as_ref().unwrap().cancellation.as_ref();
            stop.is_some_and(|stop| stop.accepted_at.is_some())
        })
        .await;
    world.delete::<ExportJob>("one").await;
    let job = world.get("one").await.status.unwrap().job_id.unwrap();
    let cancelled = json!({ "status": "CANCELLED" });
    world.simulator.put(&format!("jobs/{job}"), cancelled).await;
    world.until_gone::<ExportJob>("one").await;
    assert_eq!(cancels(&world).await, 1);
}
