//! etcd crashes, or is set back to what it was before, while the platform goes on.

use aep_export_operator::api::{ExportJob, SubmissionEvidence, SubmissionOutcome};

use super::{acquaint, cancels, created, finish_all, job_of, nudge, status_of, try_of};
use crate::harness::{
    SHORT_WINDOWS, World, is_held, outcome,
    proxy::{Fault, Side, When},
};

/// What the operator does while etcd is set back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    RunsThrough,
    IsStoppedAndStartedAgain,
}

#[tokio::test]
async fn exports_from_a_restored_etcd_are_found_again_by_an_operator_started_after_it() {
    restore(Operator::IsStoppedAndStartedAgain).await;
}

#[tokio::test]
async fn exports_from_a_restored_etcd_are_found_again_by_an_operator_that_ran_through() {
    restore(Operator::RunsThrough).await;
}

async fn restore(operator: Operator) {
    let mut world = World::with_own_plane("restored").await;
    world.start_operator(&SHORT_WINDOWS).await;
    world.furnish().await;
    acquaint(&world).await;
    world.simulator.hold_jobs().await;
    world.export("known").await;
    world.until_phase("known", "Running").await;
    // At one moment one export is before its intent, and one between intent and request.
    let held = [("unknown", Side::Before), ("intended", Side::After)].map(|(name, side)| {
        world
            .proxy()
            .disturb(status_of(name), When::next(1), Fault::Hold(side))
    });
    for name in ["unknown", "intended"] {
        world.export(name).await;
    }
    for rule in &held {
        rule.happened(1).await;
    }
    world
        .until("intended", "intended", |e: &ExportJob| try_of(e).is_some())
        .await;
    let snapshot = world.plane().snapshot();
    let mut before = Vec::new();
    for rule in held {
        rule.end();
    }
    for name in NAMES {
        before.push(job_of(&world.until_phase(name, "Running").await));
    }
    assert_eq!(world.simulator.posts().await.len(), 4);
    age(&world).await;

    if operator == Operator::IsStoppedAndStartedAgain {
        world.stop_operator();
    }
    world.plane().restore(&snapshot).await;
    // One that runs may have found them again by now.
    if operator == Operator::IsStoppedAndStartedAgain {
        for name in ["unknown", "intended"] {
            assert_eq!(job_of(&world.get(name).await), None);
        }
        world.restart_operator().await;
    }
    let mut after = Vec::new();
    for name in NAMES {
        after.push(job_of(&world.until_phase(name, "Running").await));
    }
    assert_eq!(after, before);
    for name in ["unknown", "intended"] {
        let export = world.get(name).await;
        assert_eq!(outcome(&export), Some(SubmissionOutcome::Adopted), "{name}");
        let evidence = export.status.unwrap().submission.unwrap().evidence;
        assert_eq!(evidence, Some(SubmissionEvidence::RequestId), "{name}");
    }
    // What is new is taken up as well.
    world.export("later").await;
    world.until_phase("later", "Running").await;
    finish_all(&world).await;
    for name in NAMES.iter().chain(&["later"]) {
        world.until_phase(name, "Succeeded").await;
        world
            .until(name, "let go", |e: &ExportJob| !is_held(e))
            .await;
    }
    assert_eq!(world.simulator.posts().await.len(), 5);
    assert_eq!((created(&world).await, cancels(&world).await), (5, 0));
}

/// Has the operator see versions that are beyond what an API server counts to when it starts.
async fn age(world: &World) {
    for number in 0..VERSIONS {
        let patch = nudge(&number.to_string());
        world.patch::<ExportJob>("first", patch).await.unwrap();
    }
}

/// How often an object is written after the snapshot.
const VERSIONS: usize = 400;
const NAMES: [&str; 3] = ["known", "intended", "unknown"];

#[tokio::test]
async fn exports_survive_a_crash_of_etcd_and_api_server_in_the_middle_of_their_submission() {
    let mut world = World::with_own_plane("crashed").await;
    world.start_operator(&SHORT_WINDOWS).await;
    world.furnish().await;
    acquaint(&world).await;
    world.simulator.hold_jobs().await;
    world.export("known").await;
    world.until_phase("known", "Running").await;
    let held = [("unknown", Side::Before), ("intended", Side::After)].map(|(name, side)| {
        world
            .proxy()
            .disturb(status_of(name), When::next(1), Fault::Hold(side))
    });
    for name in ["unknown", "intended"] {
        world.export(name).await;
    }
    for rule in &held {
        rule.happened(1).await;
    }
    world
        .until("intended", "intended", |e: &ExportJob| try_of(e).is_some())
        .await;
    world.plane().restart().await;
    for rule in held {
        rule.end();
    }
    for name in NAMES {
        world.until_phase(name, "Running").await;
    }
    finish_all(&world).await;
    for name in NAMES {
        world.until_phase(name, "Succeeded").await;
        world
            .until(name, "let go", |e: &ExportJob| !is_held(e))
            .await;
    }
    assert_eq!(world.simulator.posts().await.len(), 4);
    assert_eq!((created(&world).await, cancels(&world).await), (4, 0));
}
