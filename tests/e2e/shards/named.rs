//! What objects name across shards, and datasets into which two shards export.

use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};

use super::*;
use crate::{
    harness::{condition, reason, says},
    samples::seed_dataset,
};

/// What an object is told whose dataset or connection is of the first shard.
fn told<K: Serialize>(object: &K) -> bool {
    let words = "do not match aep-export.dev/shard=b";
    says(object, "Stalled", "OtherShard", words)
}

#[tokio::test]
async fn what_names_an_object_of_another_shard_is_told_so_and_heals_when_labels_change() {
    let shards = Shards::furnished().await;
    let world = &shards.world;
    shards.export("one", "b").await;
    let blocked = world.until("one", "told", told::<ExportJob>).await;
    assert_eq!(blocked.status.unwrap().phase.as_deref(), Some("Pending"));
    let spec = json!({
        "connectionRef": { "name": "prod" },
        "dataset": { "name": "Another one" },
    });
    shards.create::<ProfileDataset>("other", spec, "b").await;
    world.until("other", "told", told::<ProfileDataset>).await;
    shards.assert_jobs(1).await;

    world.give::<ExportJob>("one", "a").await;
    world.until_phase("one", "Succeeded").await;
    world.give::<PlatformConnection>("prod", "b").await;
    world
        .until("other", "made", is_ready::<ProfileDataset>)
        .await;
    shards.assert_jobs(2).await;
}

#[tokio::test]
async fn an_export_is_told_of_its_dataset_though_their_connection_is_here() {
    let shards = Shards::furnished().await;
    let world = &shards.world;
    world.give::<PlatformConnection>("prod", "b").await;
    shards.export("one", "b").await;
    world.until("one", "told", told::<ExportJob>).await;
    shards.assert_jobs(1).await;
    world.give::<ProfileDataset>("profiles", "b").await;
    world.until_phase("one", "Succeeded").await;
    shards.assert_jobs(2).await;
}

#[tokio::test]
async fn what_is_nowhere_is_to_be_created_also_in_a_shard() {
    let shards = Shards::furnished().await;
    let spec = crate::harness::export_into("nowhere");
    shards.create::<ExportJob>("one", spec, "b").await;
    let missing = |export: &ExportJob| {
        let told = condition(export, "Reconciling");
        told.is_some_and(|told| told.message.ends_with("create it"))
    };
    let seen = shards.world.until("one", "told", missing).await;
    assert_eq!(reason(&seen, "Reconciling"), "DatasetNotFound");
}

#[tokio::test]
async fn an_object_that_no_shard_selects_is_left_alone() {
    let shards = Shards::furnished().await;
    let world = &shards.world;
    world.export("alone").await;
    shards.export("one", "a").await;
    world.until_phase("one", "Succeeded").await;
    assert_eq!(world.get("alone").await.status.unwrap().phase, None);
    world.give::<ExportJob>("alone", "a").await;
    world.until_phase("alone", "Succeeded").await;
    shards.assert_jobs(3).await;
}

/// Long enough for both requests to be within the window of the first.
const BRIEF: [&str; 8] = [
    "--send-window",
    "1s",
    "--unacknowledged-window",
    "1s",
    "--gateway-window",
    "4s",
    "--visibility-window",
    "2s",
];

#[tokio::test]
async fn of_two_doubts_in_two_shards_neither_takes_the_others_job() {
    const DATASET: &str = "5b7c86968f7b6501e21ba9df";
    let shards = Shards::start(&BRIEF).await;
    let world = &shards.world;
    seed_dataset(&world.simulator, DATASET).await;
    let ids = json!({ "requestIdEcho": { "post": false, "get": false, "list": false } });
    world.simulator.put("switches", ids).await;
    let submit = |name: String, shard: &'static str| {
        let spec = json!({
            "connectionRef": { "name": shard },
            "export": { "destination": { "datasetId": DATASET } },
        });
        let shards = &shards;
        async move { shards.create::<ExportJob>(&name, spec, shard).await }
    };
    for shard in ["a", "b"] {
        let spec = world.connection_spec();
        shards
            .create::<PlatformConnection>(shard, spec, shard)
            .await;
        let first = format!("first-of-{shard}");
        submit(first.clone(), shard).await;
        world.until_phase(&first, "Succeeded").await;
        let known = |connection: &PlatformConnection| {
            let status = connection.status.as_ref();
            status.and_then(|status| status.echoes_request_id) == Some(false)
        };
        world.until(shard, "known to show no ids", known).await;
    }
    world.simulator.hold_jobs().await;
    // One request is lost before AEP takes it, the other after that: there is one job for both.
    for (commit, shard) in [(false, "a"), (true, "b")] {
        let fault = json!({
            "method": "POST", "path": JOBS, "times": 1,
            "action": { "lose": { "how": "close", "commit": commit } },
        });
        world.simulator.fault(fault).await;
        submit(format!("of-{shard}"), shard).await;
        let sent = if commit { 4 } else { 3 };
        eventually("the request", || async {
            match world.simulator.posts().await.len() {
                posts if posts == sent => Ok(()),
                posts => Err(format!("{posts} requests")),
            }
        })
        .await;
    }
    for name in ["of-a", "of-b"] {
        let asked = world.until_phase(name, "Ambiguous").await;
        assert_eq!(asked.status.unwrap().job_id, None);
    }
    assert_eq!(world.simulator.posts().await.len(), 4);
    assert_eq!(world.simulator.jobs().await.len(), 3);
}
