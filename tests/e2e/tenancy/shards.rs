//! A connection that namespaces share, where operators share the objects by label.

use aep_export_operator::api::{ExportJob, ProfileDataset};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{Shared, end};
use crate::harness::{eventually, reason};

/// The labels of a shard.
fn shard(name: &str) -> Value {
    json!({ "metadata": { "labels": { "aep-export.dev/shard": name } } })
}

/// Gives the shared connection to a shard.
async fn give(shared: &Shared, to: &str) {
    let (params, patch) = (PatchParams::default(), Patch::Merge(shard(to)));
    let connections = shared.connections();
    let given = connections.patch(&shared.name, &params, &patch);
    given.await.unwrap();
}

#[tokio::test]
async fn a_shared_connection_is_of_one_shard_and_moves_while_an_export_runs_by_it() {
    let shared = Shared::of_shard("a").await;
    let world = &shared.world;
    let flags = ["--shard-selector", "aep-export.dev/shard=b"];
    let second = world.start_replica("second", &flags).await;
    world.simulator.hold_jobs().await;
    shared.dataset().await;
    world.export("one").await;
    world
        .patch::<ProfileDataset>("profiles", shard("a"))
        .await
        .unwrap();
    world.patch::<ExportJob>("one", shard("a")).await.unwrap();
    world.until_phase("one", "Running").await;

    let spec = json!({
        "connectionRef": shared.reference(),
        "dataset": { "name": "Another one" },
    });
    world.create::<ProfileDataset>("other", spec).await;
    world
        .patch::<ProfileDataset>("other", shard("b"))
        .await
        .unwrap();

    give(&shared, "b").await;
    world
        .patch::<ProfileDataset>("profiles", shard("b"))
        .await
        .unwrap();
    world.patch::<ExportJob>("one", shard("b")).await.unwrap();
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
