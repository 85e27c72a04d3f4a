//! Exports whose label moves them to another shard in flight.

use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use kube::ResourceExt;

use super::*;
use crate::harness::{
    is_held,
    proxy::{Fault, Match, Side, Verb, When},
    reason, says,
};

#[tokio::test]
async fn an_export_that_moves_while_its_request_is_under_way_is_one_job_and_the_others_word_stands()
{
    let shards = Shards::furnished().await;
    let world = &shards.world;
    let posts = Match::platform(JOBS).verb(Verb::Create);
    let reply = world
        .proxy()
        .disturb(posts, When::next(1), Fault::Hold(Side::After));
    shards.export("one", "a").await;
    reply.happened(1).await;
    shards.hand_over().await;
    // The other one finds the job, and sees it end, while the first still waits for its reply.
    world.until_phase("one", "Succeeded").await;
    let done = world
        .until("one", "let go", |export: &ExportJob| !is_held(export))
        .await;
    let ended = shards.ended().await;
    reply.end();
    eventually("the reply to be taken in", || async {
        let log = shards.a.log();
        if log.contains("another process has taken up what the request came to") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    shards.until_followed(0, 0).await;
    let after = world.get("one").await;
    assert_eq!(after.resource_version(), done.resource_version());
    assert_eq!(shards.ended().await, ended);
    shards.assert_jobs(2).await;
}

#[tokio::test]
async fn a_reply_that_comes_after_its_export_has_moved_is_recorded_and_nothing_more() {
    let shards = Shards::furnished().await;
    let world = &shards.world;
    world.simulator.hold_jobs().await;
    // The request waits before AEP: nobody finds a job of it until its reply is there.
    let posts = Match::platform(JOBS).verb(Verb::Create);
    let request = world
        .proxy()
        .disturb(posts, When::next(1), Fault::Hold(Side::Before));
    shards.export("one", "a").await;
    request.happened(1).await;
    // Its connection does not move yet: the first operator could go on with the export.
    world.give::<ExportJob>("one", "b").await;
    let lost = |export: &ExportJob| reason(export, "Reconciling") == "OtherShard";
    world.until("one", "without its connection", lost).await;
    request.end();
    let recorded = |export: &ExportJob| {
        let status = export.status.as_ref();
        status.is_some_and(|status| status.job_id.is_some())
    };
    world.until("one", "recorded", recorded).await;
    shards.until_followed(0, 0).await;
    shards.hand_over().await;
    shards.until_followed(0, 1).await;
    finish_all(world).await;
    world.until_phase("one", "Succeeded").await;
    shards.assert_jobs(2).await;
}

#[tokio::test]
async fn an_export_that_moves_in_doubt_is_found_by_its_new_shard() {
    let shards = Shards::furnished().await;
    let world = &shards.world;
    let proxy = world.proxy();
    let jobs = || Match::platform(JOBS);
    let lost = proxy.disturb(
        jobs().verb(Verb::Create),
        When::next(1),
        Fault::Close(Side::After),
    );
    let reads = proxy.disturb(
        jobs().verb(Verb::Get),
        When::ALWAYS,
        Fault::Close(Side::Before),
    );
    shards.export("one", "a").await;
    lost.happened(1).await;
    reads.happened(1).await;
    shards.hand_over().await;
    reads.end();
    world.until_phase("one", "Succeeded").await;
    shards.until_followed(0, 0).await;
    shards.assert_jobs(2).await;
}

#[tokio::test]
async fn an_export_that_moves_while_it_runs_is_followed_by_its_new_shard_alone() {
    let shards = Shards::furnished().await;
    let world = &shards.world;
    world.simulator.hold_jobs().await;
    shards.export("one", "a").await;
    world.until_phase("one", "Running").await;
    shards.until_followed(1, 0).await;
    let ended = shards.ended().await;
    shards.hand_over().await;
    shards.until_followed(0, 1).await;
    finish_all(world).await;
    world.until_phase("one", "Succeeded").await;
    assert_eq!(shards.ended().await, (ended.0, ended.1 + 1));
    shards.assert_jobs(2).await;
    // And back: what has ended is left as it is.
    let done = world
        .until("one", "let go", |export: &ExportJob| !is_held(export))
        .await;
    world.give::<ExportJob>("one", "a").await;
    world.give::<ProfileDataset>("profiles", "a").await;
    world.give::<PlatformConnection>("prod", "a").await;
    shards.export("next", "a").await;
    world.until_phase("next", "Succeeded").await;
    let after = world.get("one").await;
    assert_eq!(after.status, done.status);
    shards.assert_jobs(3).await;
}

#[tokio::test]
async fn an_export_that_moves_while_it_is_deleted_is_cancelled_and_let_go_by_its_new_shard() {
    let shards = Shards::furnished().await;
    let world = &shards.world;
    world.simulator.hold_jobs().await;
    shards.export("one", "a").await;
    world.until_phase("one", "Running").await;
    let ended = shards.ended().await;
    let cancels = Match::platform(JOBS).verb(Verb::Delete);
    let refused = world
        .proxy()
        .disturb(cancels, When::ALWAYS, Fault::Close(Side::Before));
    world.delete::<ExportJob>("one").await;
    refused.happened(1).await;
    shards.hand_over().await;
    shards.until_followed(0, 1).await;
    refused.end();
    eventually("the export to be gone", || async {
        match world.api::<ExportJob>().get_opt("one").await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    shards.until_followed(0, 0).await;
    assert_eq!(shards.ended().await, (ended.0, ended.1 + 1));
    shards.assert_jobs(2).await;
    let jobs = world.simulator.jobs().await;
    assert_eq!(jobs[1]["status"], "CANCELLED", "{jobs:#?}");
}

/// Whether what is deleted says that the export of another shard holds it.
fn waits<K: Serialize>(object: &K) -> bool {
    says(
        object,
        "Reconciling",
        "WaitingForUsers",
        "one (of another shard)",
    )
}

#[tokio::test]
async fn what_an_export_of_another_shard_was_begun_with_waits_for_it() {
    let shards = Shards::furnished().await;
    let world = &shards.world;
    world.simulator.hold_jobs().await;
    shards.export("one", "a").await;
    world.until_phase("one", "Running").await;
    world.give::<ExportJob>("one", "b").await;
    let lost = |export: &ExportJob| reason(export, "Reconciling") == "OtherShard";
    world.until("one", "without its connection", lost).await;
    world.delete::<ProfileDataset>("profiles").await;
    world.delete::<PlatformConnection>("prod").await;
    world
        .until("prod", "held", waits::<PlatformConnection>)
        .await;
    world
        .until("profiles", "held", waits::<ProfileDataset>)
        .await;
    shards.hand_over().await;
    shards.until_followed(0, 1).await;
    finish_all(world).await;
    world.until_phase("one", "Succeeded").await;
    eventually("what it used to be gone", || async {
        let connection = world.api::<PlatformConnection>().get_opt("prod").await;
        let dataset = world.api::<ProfileDataset>().get_opt("profiles").await;
        match (connection, dataset) {
            (Ok(None), Ok(None)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    shards.assert_jobs(2).await;
}
