//! Objects that are being deleted while nobody can be asked: kept, abandoned, or let go in time.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};

use aep_export_operator::api::PlatformConnection;

use super::*;

const ABANDON: &str = "aep-export.dev/abandon";

/// Nothing of the Catalog answers any more.
async fn go_dark(world: &World) {
    let action = unavailable();
    let fault = json!({ "path": "/data/*", "action": action });
    world.simulator.fault(fault).await;
}

async fn until_kept(world: &World, wanted: &str) -> ProfileDataset {
    let kept = |d: &ProfileDataset| {
        d.metadata.deletion_timestamp.is_some() && reason(d, "Ready") == wanted
    };
    world.until("mine", "kept", kept).await
}

#[tokio::test]
async fn out_of_reach_an_object_is_kept_until_a_person_abandons_it_by_its_uid() {
    let mut world = World::without_operator("dataset").await;
    // Long past: only a namespace that goes has a deadline.
    world.start_operator(&["--cancel-deadline", "1s"]).await;
    furnish(&world, json!({ "deletionPolicy": "Delete" })).await;
    let id = world.dataset_id("mine").await;
    go_dark(&world).await;
    world.delete::<ProfileDataset>("mine").await;
    let kept = until_kept(&world, "PlatformUnavailable").await;
    annotate(
        &world,
        "mine",
        ABANDON,
        "11111111-2222-3333-4444-555555555555",
    )
    .await;
    let asked = calls(&world, "GET").await;
    eventually("more tries", || async {
        let now = calls(&world, "GET").await;
        if now >= asked + 2 {
            Ok(())
        } else {
            Err(now.to_string())
        }
    })
    .await;
    assert!(
        is_held(&get(&world, "mine").await),
        "another uid does nothing"
    );
    let said = condition(&kept, "Reconciling").unwrap().message;
    let (_, line) = said.split_once("kubectl ").unwrap();
    world.kubectl(&line.split(' ').collect::<Vec<_>>());
    world.until_gone::<ProfileDataset>("mine").await;
    let note = world.event("mine", "Abandoned").await;
    assert!(note.contains(&id), "{note}");
    let metric = world.let_go().await.join("\n");
    assert!(
        metric.contains(&id) && metric.contains("Abandoned"),
        "{metric}"
    );
    assert_eq!(calls(&world, "DELETE").await, 0);
}

#[tokio::test]
async fn a_dataset_in_use_can_be_abandoned_and_its_exports_go_on() {
    let world = furnished(json!({})).await;
    run(&world, "export", "mine").await;
    world.until("mine", "held", is_held).await;
    world.delete::<ProfileDataset>("mine").await;
    let kept = until_kept(&world, "WaitingForUsers").await;
    annotate(&world, "mine", ABANDON, &kept.uid().unwrap()).await;
    world.until_gone::<ProfileDataset>("mine").await;
    end_all(&world).await;
    world.until_phase("export", "Succeeded").await;
}

#[tokio::test]
async fn the_secret_may_go_first_while_a_token_lasts() {
    let world = furnished(json!({ "deletionPolicy": "Delete" })).await;
    world.delete::<Secret>("aep-credentials").await;
    let stalled = |c: &PlatformConnection| !is(&conditions(c), "Ready", "True");
    world.until("prod", "not ready", stalled).await;
    world.delete::<ProfileDataset>("mine").await;
    world.until_gone::<ProfileDataset>("mine").await;
    assert!(!only(&world).await["deletedAt"].is_null());
}

#[tokio::test]
async fn a_connection_that_went_first_is_waited_for_and_another_sandbox_is_not_asked() {
    let mut world = furnished(json!({ "deletionPolicy": "Delete" })).await;
    world.kill_operator();
    let none = json!({ "metadata": { "finalizers": null } });
    world.delete::<PlatformConnection>("prod").await;
    let _ = world.patch::<PlatformConnection>("prod", none).await;
    world.until_gone::<PlatformConnection>("prod").await;
    world.delete::<ProfileDataset>("mine").await;
    world.restart_operator().await;
    until_kept(&world, "ConnectionNotFound").await;
    let sandboxes = json!({ "sandboxes": [
        { "name": "prod", "type": "production", "state": "active", "region": "VA7" },
        { "name": "dev", "type": "development", "state": "active", "region": "VA7" },
    ] });
    world.simulator.put("sandboxes", sandboxes).await;
    let mut spec = world.connection_spec();
    spec["sandbox"] = json!("dev");
    world.create::<PlatformConnection>("prod", spec).await;
    let elsewhere = |d: &ProfileDataset| {
        condition(d, "Reconciling").is_some_and(|c| c.message.contains("goes elsewhere"))
    };
    world.until("mine", "waiting", elsewhere).await;
    world.delete::<PlatformConnection>("prod").await;
    world.until_gone::<PlatformConnection>("prod").await;
    world
        .create::<PlatformConnection>("prod", world.connection_spec())
        .await;
    world.until_gone::<ProfileDataset>("mine").await;
    assert!(!only(&world).await["deletedAt"].is_null());
    let elsewhere = world.simulator.calls("DELETE", DATASETS).await;
    assert!(elsewhere.iter().all(|call| call["sandbox"] == "prod"));
}

#[tokio::test]
async fn in_a_namespace_that_goes_an_object_is_let_go_in_time_and_the_metric_names_its_dataset() {
    let mut world = World::without_operator("dataset").await;
    let home = world.live_elsewhere().await;
    world.start_operator(&["--cancel-deadline", "3s"]).await;
    furnish(&world, json!({ "deletionPolicy": "Delete" })).await;
    let id = world.dataset_id("mine").await;
    go_dark(&world).await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces
        .delete(&world.namespace, &DeleteParams::default())
        .await
        .unwrap();
    let kept = |d: &ProfileDataset| d.metadata.deletion_timestamp.is_some();
    world.until("mine", "being deleted", kept).await;
    world.until_gone::<ProfileDataset>("mine").await;
    let metric = world.let_go().await.join("\n");
    assert!(metric.contains(&id), "{metric}");
    assert!(metric.contains("DeletionTimedOut"), "{metric}");
    let note = world
        .event_in(&home, "DeletionTimedOut")
        .await
        .note
        .unwrap();
    assert!(note.contains(&id), "{note}");
    eventually("no dataset to be left", || async {
        let left = world
            .api::<ProfileDataset>()
            .list(&ListParams::default())
            .await
            .map_err(|error| error.to_string())?;
        if left.items.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:#?}"))
        }
    })
    .await;
}
