//! What an operator sees comes late, twice, in another order or not at all.

use aep_export_operator::api::ExportJob;
use futures::{StreamExt, TryStreamExt, stream};
use kube::{Api, ResourceExt, api::PostParams};
use serde_json::json;

use super::{
    EXPORTS, acquaint, acquainted, created, doubt, finalizer_of, finish, furnished, job_of, nudge,
    positions, requests, status_of, writes,
};
use crate::harness::{
    SHORT_WINDOWS, World, eventually, export_into, is_held,
    proxy::{Ending, Fault, Frames, Match, Side, Tamper, Verb, When},
};

/// How many finished exports lie about.
const FINISHED: usize = 300;
/// How many of them are made at a time.
const AT_A_TIME: usize = 16;

#[tokio::test]
async fn exports_whose_frames_come_again_after_newer_ones_are_submitted_once() {
    let world = acquainted().await;
    let proxy = world.proxy();
    // The object as it was made comes again after its finalizer, and that after its intent.
    for name in ["one", "two", "three"] {
        proxy.tamper(Frames::of(EXPORTS).about(name), Tamper::Replay, 2);
        world.export(name).await;
    }
    for name in ["one", "two", "three"] {
        world.until_phase(name, "Succeeded").await;
        world
            .until(name, "let go", |e: &ExportJob| !is_held(e))
            .await;
    }
    assert_eq!(proxy.untouched(), 0);
    assert_eq!(created(&world).await, 4);
    assert_eq!(world.simulator.posts().await.len(), 4);
}

#[tokio::test]
async fn an_export_whose_own_frames_change_places_is_submitted_once() {
    let world = acquainted().await;
    let proxy = world.proxy();
    proxy.tamper(Frames::of(EXPORTS).about("swapped"), Tamper::Swap, 1);
    world.export("swapped").await;
    // An edit makes sure that a second frame comes, and brings the first.
    world
        .patch::<ExportJob>("swapped", nudge("come"))
        .await
        .unwrap();
    until_tampered(&world, 0).await;
    // The old object may be what the operator has until another list.
    proxy.end_watches(Match::resource(EXPORTS), Ending::Expired);
    world.until_phase("swapped", "Succeeded").await;
    world
        .until("swapped", "let go", |e: &ExportJob| !is_held(e))
        .await;
    assert_eq!(proxy.untouched(), 0);
    assert_eq!(created(&world).await, 2);
    assert_eq!(world.simulator.posts().await.len(), 2);
}

#[tokio::test]
async fn frames_of_every_kind_that_come_twice_again_or_never_change_nothing_in_the_end() {
    let mut world = World::behind_proxy("stale").await;
    world.start_operator(&SHORT_WINDOWS).await;
    let proxy = world.proxy();
    for kind in ["secrets", "platformconnections", "profiledatasets"] {
        proxy.tamper(Frames::of(kind), Tamper::Duplicate, 1);
        proxy.tamper(Frames::of(kind), Tamper::Replay, 1);
    }
    world.furnish().await;
    // Only the last states of the export come through: the others are lost in between.
    let others = proxy.untouched();
    proxy.tamper(Frames::of(EXPORTS).about("coalesced"), Tamper::Drop, 2);
    world.export("coalesced").await;
    world.export("seen").await;
    // A list shows what no frame has brought: first the export, then what became of it.
    for left in [1, 0] {
        until_tampered(&world, others + left).await;
        proxy.end_watches(Match::resource(EXPORTS), Ending::Expired);
    }
    for name in ["coalesced", "seen"] {
        world.until_phase(name, "Succeeded").await;
        world
            .until(name, "let go", |e: &ExportJob| !is_held(e))
            .await;
    }
    assert_eq!(created(&world).await, 2);
    assert_eq!(world.simulator.posts().await.len(), 2);
}

#[tokio::test]
async fn an_intent_of_an_object_that_changed_meanwhile_is_refused_and_the_new_spec_is_sent() {
    let world = furnished().await;
    let proxy = world.proxy();
    let intent = proxy.disturb(
        status_of("edited"),
        When::next(1),
        Fault::Hold(Side::Before),
    );
    held(&world, "edited").await;
    intent.happened(1).await;
    let frozen = proxy.freeze(EXPORTS);
    let fields = json!({ "spec": { "export": { "fields": ["identities.id"] } } });
    world.patch::<ExportJob>("edited", fields).await.unwrap();
    intent.end();
    // The store has the old spec still: every intent of it is refused.
    requests(&world, &status_of("edited"), 3).await;
    assert_eq!(world.simulator.posts().await.len(), 0);
    frozen.thaw();
    world.until_phase("edited", "Succeeded").await;
    let posts = world.simulator.posts().await;
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0]["body"]["fields"], "identities.id");
    assert_eq!(created(&world).await, 1);
}

#[tokio::test]
async fn a_store_without_the_intent_of_another_operator_makes_no_other() {
    let world = World::behind_proxy("stale").await;
    let first = world.start_replica("first", &SHORT_WINDOWS).await;
    world.furnish().await;
    acquaint(&world).await;
    world.simulator.hold_jobs().await;
    let proxy = world.proxy();
    let intent = proxy.disturb(status_of("stale"), When::next(1), Fault::Hold(Side::Before));
    held(&world, "stale").await;
    intent.happened(1).await;
    // From here on the first has the export as it was made, and another submits it.
    let frozen = proxy.freeze(EXPORTS);
    let second = world
        .start_replica_past_proxy("second", &SHORT_WINDOWS)
        .await;
    let running = world.until_phase("stale", "Running").await;
    intent.end();
    requests(&world, &status_of("stale"), 3).await;
    let after = world.get("stale").await;
    assert_eq!(after.resource_version(), running.resource_version());
    assert_eq!(world.simulator.posts().await.len(), 2);
    frozen.thaw();
    finish(&world, &job_of(&running).unwrap()).await;
    world.until_phase("stale", "Succeeded").await;
    assert_eq!(created(&world).await, 2);
    assert_eq!(world.simulator.posts().await.len(), 2);
    for replica in [first, second] {
        assert!(!replica.log().contains("panicked"));
    }
}

#[tokio::test]
async fn hundreds_of_finished_exports_that_are_listed_anew_are_left_as_they_are() {
    let mut world = acquainted().await;
    let pattern = world.get("first").await;
    world.stop_operator();
    finished(&world.api(), &pattern).await;
    world.restart_operator().await;
    let proxy = world.proxy();
    world.simulator.hold_jobs().await;
    world.export("running").await;
    let running = world.until_phase("running", "Running").await;
    let readings = doubt(&world, "doubted").await;
    let lists = Match::resource(EXPORTS).verb(Verb::List);
    let before = writes_of_finished(&world);
    let listed = positions(&proxy.log(), &lists).len();
    let expired = proxy.disturb(lists.clone(), When::next(1), Fault::Expire);
    proxy.end_watches(Match::resource(EXPORTS), Ending::Expired);
    expired.happened(1).await;
    // The one that is made again, and gets through.
    requests(&world, &lists, listed + 2).await;
    assert_eq!(world.simulator.posts().await.len(), 3);
    readings.end();
    world.until_phase("doubted", "Running").await;
    finish(&world, &job_of(&running).unwrap()).await;
    world.until_phase("running", "Succeeded").await;
    assert_eq!(writes_of_finished(&world), before);
    assert_eq!(world.simulator.posts().await.len(), 3);
    assert_eq!(created(&world).await, 3);
}

/// Waits until no more than so many frames are still to be tampered with.
async fn until_tampered(world: &World, left: usize) {
    eventually("frames to be tampered with", || async {
        match world.proxy().untouched() {
            few if few <= left => Ok(()),
            more => Err(more.to_string()),
        }
    })
    .await;
}

/// Creates an export that has the finalizer already, so that its intent is what comes first.
async fn held(world: &World, name: &str) {
    let export: ExportJob = serde_json::from_value(json!({
        "apiVersion": "aep-export.dev/v1alpha1",
        "kind": "ExportJob",
        "metadata": { "name": name, "finalizers": ["aep-export.dev/export"] },
        "spec": export_into("profiles"),
    }))
    .unwrap();
    let exports = world.api::<ExportJob>();
    exports
        .create(&PostParams::default(), &export)
        .await
        .unwrap();
}

/// Makes exports that have ended as this one has.
async fn finished(exports: &Api<ExportJob>, pattern: &ExportJob) {
    let end = |number| async move {
        let mut export: ExportJob = serde_json::from_value(json!({
            "apiVersion": "aep-export.dev/v1alpha1",
            "kind": "ExportJob",
            "metadata": { "name": format!("finished-{number}") },
            "spec": export_into("none-any-more"),
        }))
        .unwrap();
        let params = PostParams::default();
        export = exports.create(&params, &export).await?;
        export.status.clone_from(&pattern.status);
        let status = export.status.as_mut().unwrap();
        status.submission = None;
        status.job_id = None;
        exports
            .replace_status(&format!("finished-{number}"), &params, &export)
            .await
    };
    let made: Vec<ExportJob> = stream::iter((0..FINISHED).map(end))
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(made.len(), FINISHED);
}

/// How often the operator wrote to what has ended.
fn writes_of_finished(world: &World) -> usize {
    let live: usize = ["first", "running", "doubted"]
        .iter()
        .map(|name| {
            let log = world.proxy().log();
            positions(&log, &status_of(name)).len() + positions(&log, &finalizer_of(name)).len()
        })
        .sum();
    writes(world) - live
}
