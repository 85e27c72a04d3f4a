//! Several operators for the same objects: one acts.

use std::time::{Duration, Instant};

use aep_control_plane::Signal;
use k8s_openapi::api::{
    coordination::v1::{Lease, LeaseSpec},
    rbac::v1::RoleBinding,
};
use kube::ResourceExt;
use serde_json::json;

use crate::harness::{World, eventually};

/// Long enough that a busy machine renews in time, short enough to wait for.
const DURATION: Duration = Duration::from_secs(6);
/// How long it may take until another leads when the leader is told to end.
const HANDED_OVER: Duration = Duration::from_secs(2);
const FLAGS: [&str; 7] = [
    "--leader-elect",
    "--lease-duration",
    "6s",
    "--lease-renew-deadline",
    "4s",
    "--lease-renew-period",
    "1s",
];

async fn lease(world: &World) -> LeaseSpec {
    let lease = world.api::<Lease>().get("aep-export-operator").await;
    lease.unwrap().spec.unwrap()
}

#[tokio::test]
async fn of_two_operators_one_acts_and_hands_over_when_it_is_told_to_end() {
    let world = World::without_operator("leader").await;
    // Within the test no lease expires.
    let flags = ["--leader-elect", "--lease-duration", "10m"];
    let mut first = world.start_replica("first", &flags).await;
    first.until_leads().await;
    let mut second = world.start_replica("second", &flags).await;
    world.furnish().await;
    // More than there are passes at a time: those that wait must not hold old objects.
    for number in 0..20 {
        world.export(&format!("early-{number}")).await;
    }
    for number in 0..20 {
        let name = format!("early-{number}");
        world.until_phase(&name, "Succeeded").await;
    }
    assert!(!second.leads().await);
    assert_eq!(second.page("/readyz").await.unwrap(), "ok\n");
    for metric in ["reconcile_duration_seconds_count", "platform_calls_total"] {
        assert!(first.metric(metric).await > 0, "{metric}");
        assert_eq!(second.metric(metric).await, 0, "{metric}");
    }
    assert_eq!(world.simulator.jobs().await.len(), 20);

    first.signal(Signal::TERM);
    let told = Instant::now();
    let exit = first.end();
    assert!(exit.success(), "{exit}");
    second.until_leads().await;
    let took = told.elapsed();
    eprintln!("handed over in {took:?}");
    // It is to be two seconds; the rest is for a busy machine.
    assert!(took < 3 * HANDED_OVER, "{took:?}");
    assert_eq!(lease(&world).await.lease_transitions, Some(1));
    world.export("late").await;
    world.until_phase("late", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 21);
    assert_eq!(world.simulator.jobs().await.len(), 21);

    second.signal(Signal::TERM);
    assert!(second.end().success());
    assert_eq!(lease(&world).await.holder_identity.as_deref(), Some(""));
}

#[tokio::test]
async fn an_operator_that_stands_by_ends_without_waiting_for_its_passes() {
    let world = World::without_operator("leader").await;
    let first = world.start_replica("first", &["--leader-elect"]).await;
    first.until_leads().await;
    world.furnish().await;
    world.export("one").await;
    world.until_phase("one", "Succeeded").await;
    let mut second = world
        .start_replica("second", &["--leader-elect", "--drain-timeout", "5m"])
        .await;
    second.signal(Signal::TERM);
    assert!(second.end().success(), "it did not wait for the drain");
    assert!(first.leads().await);
}

#[tokio::test]
async fn another_operator_takes_over_from_one_that_was_killed() {
    let world = World::without_operator("leader").await;
    let mut first = world.start_replica("first", &FLAGS).await;
    first.until_leads().await;
    let second = world.start_replica("second", &FLAGS).await;
    world.furnish().await;
    world.simulator.hold_jobs().await;
    world.export("one").await;
    world.until_phase("one", "Running").await;
    first.signal(Signal::KILL);
    let killed = Instant::now();
    second.until_leads().await;
    let took = killed.elapsed();
    // It is to be the duration and two seconds; the rest is for a busy machine.
    assert!(took < 3 * (DURATION + Duration::from_secs(2)), "{took:?}");
    eprintln!("taken over in {took:?}");
    eventually("the export to be followed", || async {
        match second.metric("exports_followed").await {
            1 => Ok(()),
            followed => Err(format!("{followed} are followed\n{}", second.log())),
        }
    })
    .await;
    assert_eq!(world.simulator.posts().await.len(), 1);
    assert_eq!(world.simulator.jobs().await.len(), 1);
}

#[tokio::test]
async fn an_operator_that_was_stopped_while_another_took_over_ends_and_writes_nothing() {
    let world = World::without_operator("leader").await;
    let mut first = world.start_replica("first", &FLAGS).await;
    first.until_leads().await;
    let second = world.start_replica("second", &FLAGS).await;
    world.furnish().await;
    world.simulator.hold_jobs().await;
    // The answer comes while the process is stopped, and waits for it in a buffer.
    world
        .simulator
        .fault(json!({
            "method": "POST", "path": "/data/core/ups/export/jobs", "times": 1,
            "action": { "delayMilliseconds": 2500 },
        }))
        .await;
    world.export("one").await;
    eventually("the request to be on its way", || async {
        match world.simulator.posts().await.len() {
            1 => Ok(()),
            posts => Err(format!("{posts} requests\n{}", first.log())),
        }
    })
    .await;
    first.signal(Signal::STOP);
    let intended = world.get("one").await;
    assert_eq!(intended.status.as_ref().unwrap().job_id, None);
    second.until_leads().await;
    // It finds the job by its request id, and records it.
    let seen = world.until_phase("one", "Running").await;
    let held = lease(&world).await;
    first.signal(Signal::CONT);
    let exit = first.end();
    assert!(!exit.success(), "{exit}");
    let log = first.log();
    for line in ["is lost: ", "nothing is done without it"] {
        assert!(log.contains(line), "no {line}");
    }
    assert!(!log.contains("the platform took the export"));
    let after = world.get("one").await;
    assert_eq!(after.resource_version(), seen.resource_version());
    assert_eq!(lease(&world).await.holder_identity, held.holder_identity);
    assert!(second.leads().await);
    assert_eq!(world.simulator.posts().await.len(), 1);
    assert_eq!(world.simulator.jobs().await.len(), 1);
}

#[tokio::test]
async fn an_operator_that_cannot_renew_ends_with_an_error() {
    let world = World::asking_too_much("leader").await;
    let mut replica = world.start_replica("first", &FLAGS).await;
    replica.until_leads().await;
    world
        .delete::<RoleBinding>("aep-export-operator-leader-election")
        .await;
    let exit = replica.end();
    assert!(!exit.success(), "{exit}");
    let log = replica.log();
    assert!(log.contains("is lost: it was not renewed within 4s"));
}

#[tokio::test]
async fn an_operator_that_finds_another_in_the_lease_ends_with_an_error() {
    let world = World::without_operator("leader").await;
    let mut replica = world.start_replica("first", &FLAGS).await;
    replica.until_leads().await;
    let other = json!({ "spec": { "holderIdentity": "other" } });
    let taken = world.patch::<Lease>("aep-export-operator", other).await;
    let exit = replica.end();
    assert!(!exit.success(), "{exit}");
    let log = replica.log();
    assert!(log.contains(r#"is lost: it is held by "other" now"#));
    assert_eq!(lease(&world).await, taken.unwrap().spec.unwrap());
}

#[tokio::test]
async fn an_operator_without_the_right_to_the_lease_stands_by_and_says_why() {
    let world = World::asking_too_much("leader").await;
    let flags = ["--leader-elect", "--lease-namespace", "kube-system"];
    let replica = world.start_replica("first", &flags).await;
    eventually("the reason", || async {
        let log = replica.log();
        if log.contains("the lease cannot be read") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    assert!(!replica.leads().await);
}
