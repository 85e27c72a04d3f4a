//! A namespace that may not use a shared connection any more, while its exports run.

use aep_export_operator::api::{ExportJob, ProfileDataset};
use serde_json::{Value, json};

use super::Shared;
use crate::harness::{eventually, is_held};

/// A namespace in which these exports run by a shared connection.
async fn running(names: &[&str]) -> Shared {
    let shared = Shared::start(json!({})).await;
    shared.dataset().await;
    shared.until_dataset("Available").await;
    shared.world.simulator.hold_jobs().await;
    // Known to show request ids, the platform is sent several requests at once.
    for name in names {
        shared.world.export(name).await;
        shared.world.until_phase(name, "Running").await;
    }
    shared
}

#[tokio::test]
async fn exports_that_run_when_their_namespace_may_not_any_more_end_and_new_ones_wait() {
    let shared = running(&["runs"]).await;
    let world = &shared.world;
    shared.select(Value::Null).await;
    shared.until_dataset("NamespaceNotAllowed").await;
    world.export("waits").await;
    shared.until_export("waits", "DatasetStalled").await;
    let by_id = json!({
        "connectionRef": shared.reference(),
        "export": { "destination": { "datasetId": world.dataset_id("profiles").await } },
    });
    world.create::<ExportJob>("waits-too", by_id).await;
    shared
        .until_export("waits-too", "NamespaceNotAllowed")
        .await;
    shared.end("runs").await;
    world.until_phase("runs", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 1);
    world
        .simulator
        .put("defaults", json!({ "outcome": "succeed" }))
        .await;
    shared.select(json!({})).await;
    world.until_phase("waits", "Succeeded").await;
    world.until_phase("waits-too", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 3);
}

#[tokio::test]
async fn exports_of_a_namespace_that_may_not_any_more_are_cancelled_and_deleted_as_ever() {
    let mut shared = running(&["cancelled", "deleted"]).await;
    shared.select(Value::Null).await;
    shared.until_dataset("NamespaceNotAllowed").await;
    // Nothing that is only in memory helps.
    shared.world.kill_operator();
    shared.world.restart_operator().await;
    let world = &shared.world;
    let cancel = json!({ "spec": { "cancel": true } });
    world.patch::<ExportJob>("cancelled", cancel).await.unwrap();
    world.until_phase("cancelled", "Cancelled").await;
    world.delete::<ExportJob>("deleted").await;
    world.until_gone::<ExportJob>("deleted").await;
    eventually("both jobs to be cancelled", || async {
        let jobs = world.simulator.jobs().await;
        if jobs.len() == 2 && jobs.iter().all(|job| job["status"] == "CANCELLED") {
            Ok(())
        } else {
            Err(format!("{jobs:?}"))
        }
    })
    .await;
    assert!(!is_held(&world.get("cancelled").await));
    world.delete::<ProfileDataset>("profiles").await;
    world.until_gone::<ProfileDataset>("profiles").await;
}
