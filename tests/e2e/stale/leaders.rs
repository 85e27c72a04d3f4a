//! Two operators: one stopped, cut off or too late, and another that goes on.

use aep_control_plane::Signal;
use aep_export_operator::api::ExportJob;
use serde_json::json;

use super::{EXPORTS, JOBS, acquaint, cancels, created, finish_all, job_of, status_of, try_of};
use crate::harness::{
    SHORT_WINDOWS, World, eventually, is_held,
    proxy::{Fault, Match, Side, Verb, When},
};

/// Long enough that a busy machine renews in time, short enough to wait for.
const LEASE: [&str; 7] = [
    "--leader-elect",
    "--lease-duration",
    "6s",
    "--lease-renew-deadline",
    "4s",
    "--lease-renew-period",
    "1s",
];

fn flags<'a>(more: &[&'a str]) -> Vec<&'a str> {
    LEASE.iter().chain(more).copied().collect()
}

#[tokio::test]
async fn a_leader_that_was_stopped_between_the_answer_to_its_intent_and_its_request_sends_nothing()
{
    let world = World::behind_proxy("leaders").await;
    let flags = flags(&SHORT_WINDOWS);
    let mut first = world.start_replica("first", &flags).await;
    first.until_leads().await;
    let second = world.start_replica_past_proxy("second", &flags).await;
    world.furnish().await;
    acquaint(&world).await;
    let proxy = world.proxy();
    let intent = proxy.disturb(status_of("one"), When::next(1), Fault::Hold(Side::After));
    world.export("one").await;
    let intended = world
        .until("one", "intended", |e: &ExportJob| try_of(e).is_some())
        .await;
    intent.happened(1).await;
    first.signal(Signal::STOP);
    // The answer waits in the stopped process's socket: its right to send.
    intent.end();
    second.until_leads().await;
    let done = world.until_phase("one", "Succeeded").await;
    assert_ne!(try_of(&done), try_of(&intended));
    first.signal(Signal::CONT);
    let exit = first.end();
    assert!(!exit.success(), "{exit}");
    assert!(!first.log().contains("the platform took the export as"));
    assert_eq!(world.simulator.posts().await.len(), 2);
    assert_eq!((created(&world).await, cancels(&world).await), (2, 0));
    assert!(second.leads().await);
}

#[tokio::test]
async fn a_request_of_a_stopped_leader_that_arrives_late_is_taken_up_by_the_next() {
    let world = World::behind_proxy("leaders").await;
    // The request may be on its way until after the lease has changed hands.
    let mut windows = SHORT_WINDOWS;
    windows[5] = "15s";
    let flags = flags(&windows);
    let mut first = world.start_replica("first", &flags).await;
    first.until_leads().await;
    let second = world.start_replica_past_proxy("second", &flags).await;
    world.furnish().await;
    world.simulator.hold_jobs().await;
    let posts = Match::platform(JOBS).verb(Verb::Create);
    let request = world
        .proxy()
        .disturb(posts, When::next(1), Fault::Hold(Side::Before));
    world.export("one").await;
    request.happened(1).await;
    first.signal(Signal::STOP);
    second.until_leads().await;
    eventually("the next leader to look for a job", || async {
        match world.simulator.lists().await.len() {
            0 => Err(second.log()),
            _ => Ok(()),
        }
    })
    .await;
    assert_eq!(created(&world).await, 0);
    request.end();
    let running = world.until_phase("one", "Running").await;
    first.signal(Signal::CONT);
    let exit = first.end();
    assert!(!exit.success(), "{exit}");
    let jobs = world.simulator.jobs().await;
    assert_eq!(job_of(&running), Some(jobs[0]["id"].to_string()));
    finish_all(&world).await;
    world.until_phase("one", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 1);
    assert_eq!((created(&world).await, cancels(&world).await), (1, 0));
}

#[tokio::test]
async fn two_operators_without_a_lease_start_each_export_once() {
    let world = World::behind_proxy("leaders").await;
    let first = world.start_replica("first", &SHORT_WINDOWS).await;
    let second = world
        .start_replica_past_proxy("second", &SHORT_WINDOWS)
        .await;
    world.furnish().await;
    acquaint(&world).await;
    // Of the first one's intents some are written and never answered: the second meets them.
    let intents = Match::resource(EXPORTS)
        .verb(Verb::Update)
        .subresource("status");
    let proxy = world.proxy();
    let lost = [1, 3, 5].map(|number| {
        proxy.disturb(
            intents.clone(),
            When::nth(number),
            Fault::Close(Side::After),
        )
    });
    let names: Vec<String> = (0..12).map(|number| format!("both-{number}")).collect();
    for name in &names {
        world.export(name).await;
    }
    for rule in &lost {
        rule.happened(1).await;
    }
    for name in &names {
        world.until_phase(name, "Succeeded").await;
        world
            .until(name, "let go", |e: &ExportJob| !is_held(e))
            .await;
    }
    assert_eq!((created(&world).await, cancels(&world).await), (13, 0));
    assert_eq!(world.simulator.posts().await.len(), 13);
    for replica in [first, second] {
        assert!(!replica.log().contains("panicked"));
    }
}

#[tokio::test]
async fn an_intent_whose_answer_was_lost_is_settled_by_the_next_leader() {
    let world = World::behind_proxy("leaders").await;
    let flags = flags(&SHORT_WINDOWS);
    let mut first = world.start_replica("first", &flags).await;
    first.until_leads().await;
    let second = world.start_replica_past_proxy("second", &flags).await;
    world.furnish().await;
    acquaint(&world).await;
    let proxy = world.proxy();
    // The first is cut off from the moment at which its intent is written.
    let intent = proxy.disturb(status_of("one"), When::next(1), Fault::Close(Side::After));
    world.export("one").await;
    intent.happened(1).await;
    let away = proxy.unavailable(crate::harness::proxy::Server::Kubernetes);
    let exit = first.end();
    assert!(!exit.success(), "{exit}");
    assert!(first.log().contains("it was not renewed within 4s"));
    second.until_leads().await;
    world.until_phase("one", "Succeeded").await;
    away.end();
    assert_eq!(world.simulator.posts().await.len(), 2);
    assert_eq!((created(&world).await, cancels(&world).await), (2, 0));
}

#[tokio::test]
async fn of_two_operators_that_start_at_the_same_time_one_acts() {
    let world = World::without_operator("leaders").await;
    world.create_credential("aep-credentials").await;
    // No lease expires within the test.
    let flags = ["--leader-elect", "--lease-duration", "10m"];
    let replicas = tokio::join!(
        world.start_replica("first", &flags),
        world.start_replica("second", &flags)
    );
    let replicas = [replicas.0, replicas.1];
    let lead = eventually("one to lead", || async {
        match (replicas[0].leads().await, replicas[1].leads().await) {
            (true, false) => Ok(0),
            (false, true) => Ok(1),
            both => Err(format!("{both:?}")),
        }
    })
    .await;
    create_all(&world).await;
    for number in 0..6 {
        world
            .until_phase(&format!("early-{number}"), "Succeeded")
            .await;
    }
    let idle = &replicas[1 - lead];
    assert!(replicas[lead].leads().await && !idle.leads().await);
    for metric in ["reconcile_duration_seconds_count", "platform_calls_total"] {
        assert_eq!(idle.metric(metric).await, 0, "{metric}");
    }
    assert_eq!(world.simulator.posts().await.len(), 6);
    assert_eq!((created(&world).await, cancels(&world).await), (6, 0));
}

/// A connection, a dataset and exports into it, without waiting for any.
async fn create_all(world: &World) {
    use aep_export_operator::api::{PlatformConnection, ProfileDataset};
    world
        .create::<PlatformConnection>("prod", world.connection_spec())
        .await;
    let dataset = json!({
        "connectionRef": { "name": "prod" },
        "dataset": { "name": "Profile Data Export" },
    });
    world.create::<ProfileDataset>("profiles", dataset).await;
    for number in 0..6 {
        world.export(&format!("early-{number}")).await;
    }
}
