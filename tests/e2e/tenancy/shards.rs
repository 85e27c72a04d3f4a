//! A connection that namespaces share, where operators share the objects by label.

use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{Shared, end};
use crate::harness::{Replica, SHARD, World, conditions, eventually, reason, says};

/// With a shared connection in the first shard, and an operator for each.
async fn two_shards() -> (Shared, Replica) {
    let shared = Shared::of_shard("a").await;
    let flags = ["--shard-selector", &format!("{SHARD}=b")];
    let second = shared.world.start_replica("second", &flags).await;
    (shared, second)
}

/// Creates a dataset in the second shard.
async fn dataset(world: &World, name: &str, connection: Value) {
    let spec = json!({ "connectionRef": connection, "dataset": { "name": name } });
    world.create::<ProfileDataset>(name, spec).await;
    world.give::<ProfileDataset>(name, "b").await;
}

#[tokio::test]
async fn a_shared_connection_is_of_one_shard_and_moves_while_an_export_runs_by_it() {
    let (shared, second) = two_shards().await;
    let world = &shared.world;
    world.simulator.hold_jobs().await;
    shared.dataset().await;
    world.export("one").await;
    world.give::<ProfileDataset>("profiles", "a").await;
    world.give::<ExportJob>("one", "a").await;
    world.until_phase("one", "Running").await;
    dataset(world, "other", shared.reference()).await;
    let remedy = format!("kubectl label clusterplatformconnections {}", shared.name);
    let told = |other: &ProfileDataset| says(other, "Stalled", "OtherShard", &remedy);
    world.until("other", "told", told).await;

    let labels = json!({ "metadata": { "labels": { SHARD: "b" } } });
    let (params, patch) = (PatchParams::default(), Patch::Merge(labels));
    let connections = shared.connections();
    connections
        .patch(&shared.name, &params, &patch)
        .await
        .unwrap();
    world.give::<ProfileDataset>("profiles", "b").await;
    world.give::<ExportJob>("one", "b").await;
    eventually("the second to follow the export", || async {
        match second.metric("exports_followed").await {
            1 => Ok(()),
            followed => Err(format!("{followed}\n{}", second.log())),
        }
    })
    .await;
    let made = |d: &ProfileDataset| reason(d, "Ready") == "Available";
    world.until("other", "made", made).await;
    end(world, "one").await;
    world.until_phase("one", "Succeeded").await;
    assert_eq!(second.metric("exports_ended_total").await, 1);
    assert_eq!(world.simulator.posts().await.len(), 1);
    assert_eq!(world.simulator.jobs().await.len(), 1);
}

#[tokio::test]
async fn of_a_connection_of_another_shard_tells_only_the_operator_of_its_class() {
    let (shared, _second) = two_shards().await;
    let world = &shared.world;
    let mut spec = world.connection_spec();
    world
        .create::<PlatformConnection>("strange", spec.clone())
        .await;
    spec["controllerClass"] = json!(shared.class);
    world.create::<PlatformConnection>("ours", spec).await;
    for name in ["strange", "ours"] {
        world.give::<PlatformConnection>(name, "a").await;
        dataset(world, name, json!({ "name": name })).await;
    }
    let remedy = "kubectl label platformconnections ours";
    let told = |ours: &ProfileDataset| says(ours, "Stalled", "OtherShard", remedy);
    world.until("ours", "told", told).await;
    let strange: ProfileDataset = world.api().get("strange").await.unwrap();
    assert!(conditions(&strange).is_empty());
    assert!(world.events_of("strange").await.is_empty());
}
