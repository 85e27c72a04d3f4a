//! Whole namespaces that are deleted.

use std::time::Duration;

use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::json;

use super::{run, states};
use crate::harness::{SHORT_WINDOWS, World, eventually, export_into, within};

/// Whose operator lives elsewhere, so that it outlives the namespace.
async fn outlived(flags: &[&str]) -> World {
    let mut world = World::without_operator("going").await;
    world.live_elsewhere().await;
    world.start_operator(flags).await;
    world.furnish().await;
    world
}

async fn go(world: &World) {
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces
        .delete(&world.namespace, &DeleteParams::default())
        .await
        .unwrap();
}

async fn is_gone(world: &World) -> Result<(), String> {
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    match namespaces.get_opt(&world.namespace).await.unwrap() {
        None => Ok(()),
        Some(there) => Err(format!("{:#?}", there.status)),
    }
}

async fn down(world: &World) {
    let down = json!({ "path": "/data/*", "action": { "reply": { "status": 503 } } });
    world.simulator.fault(down).await;
}

#[tokio::test]
async fn a_namespace_with_connection_dataset_secret_and_exports_goes_and_leaves_nothing_running() {
    let world = outlived(&[]).await;
    run(&world, &["a", "b"]).await;
    world
        .create::<ExportJob>("waits", export_into("nowhere"))
        .await;
    go(&world).await;
    eventually("the namespace to be gone", || is_gone(&world)).await;
    assert_eq!(states(&world).await, ["CANCELLED", "CANCELLED"]);
}

#[tokio::test]
async fn in_a_namespace_that_goes_the_deadline_holds_though_the_platform_is_away() {
    let world = outlived(&["--cancel-deadline", "3s"]).await;
    run(&world, &["one"]).await;
    let job = world.get("one").await.status.unwrap().job_id.unwrap();
    down(&world).await;
    go(&world).await;
    eventually("the namespace to be gone", || is_gone(&world)).await;
    let named = world.let_go().await;
    let is_named = named.iter().any(|line| {
        line.contains(&format!("left=\"{job}\"")) && line.contains("reason=\"CancelTimedOut\"")
    });
    assert!(is_named, "{named:?}");
}

/// The defaults in place of the short intervals of tests.
const BY_DEFAULT: [&str; 4] = ["--poll-interval-min", "30s", "--poll-interval-max", "5m"];
/// How many exports there are of each kind.
const EACH: usize = 40;
/// A minute and a half, three times over.
const BOUND: i64 = 270;
/// Longer than each step takes.
const LONGEST: Duration = Duration::from_mins(5);

#[tokio::test]
async fn two_hundred_exports_in_all_phases_go_with_their_namespace_once_the_platform_is_back() {
    let flags = [
        &SHORT_WINDOWS[..],
        &["--retry-delay-min", "1h", "--retry-delay-max", "1h"],
    ]
    .concat();
    let mut world = outlived(&flags).await;
    let names = |kind: &str| (0..EACH).map(|n| format!("{kind}-{n}")).collect::<Vec<_>>();
    let all = |phase: &'static str, names: Vec<String>| {
        let exports: Api<ExportJob> = world.api();
        async move {
            within(LONGEST, &format!("all {phase}"), || async {
                let list = exports.list(&ListParams::default()).await.unwrap();
                let there = list.iter().filter(|e| {
                    let status = e.status.as_ref();
                    let is = status.is_some_and(|s| s.phase.as_deref() == Some(phase));
                    is && names.contains(e.metadata.name.as_ref().unwrap())
                });
                let count = there.count();
                if count == names.len() {
                    Ok(())
                } else {
                    Err(format!("{count} of {}", names.len()))
                }
            })
            .await;
        }
    };
    // Finished.
    for name in names("done") {
        world.export(&name).await;
    }
    all("Succeeded", names("done")).await;
    // Failed once, and waiting for the next attempt.
    world
        .simulator
        .put("defaults", json!({ "outcome": "fail" }))
        .await;
    for name in names("again") {
        let mut spec = export_into("profiles");
        spec["backoffLimit"] = json!(1);
        world.create::<ExportJob>(&name, spec).await;
    }
    all("Pending", names("again")).await;
    // Running.
    world.simulator.hold_jobs().await;
    for name in names("runs") {
        world.export(&name).await;
    }
    all("Running", names("runs")).await;
    // Held back.
    for name in names("waits") {
        let mut spec = export_into("profiles");
        spec["suspend"] = json!(true);
        world.create::<ExportJob>(&name, spec).await;
    }
    all("Suspended", names("waits")).await;
    // In doubt: taken, and neither the reply nor the list can be read. (Calls that fail would have
    // the others wait before their intents.)
    let lost = json!({
        "method": "POST", "path": super::JOBS,
        "action": { "reply": { "status": 200, "body": { "unreadable": true }, "commit": true } },
    });
    let unread = json!({
        "method": "GET", "path": super::JOBS,
        "action": { "reply": { "status": 200, "body": { "unreadable": true } } },
    });
    world.simulator.fault(lost).await;
    world.simulator.fault(unread).await;
    for name in names("doubt") {
        world.export(&name).await;
    }
    all("Submitting", names("doubt")).await;
    // From here on at the pace that users have.
    world.stop_operator();
    world.start_operator(&BY_DEFAULT).await;
    down(&world).await;
    go(&world).await;
    let deleted = Timestamp::now();
    eventually_slow("a minute to pass", 60, deleted).await;
    world.simulator.delete("faults").await;
    let back = Timestamp::now();
    within(LONGEST, "the namespace to be gone", || is_gone(&world)).await;
    let took = Timestamp::now().duration_since(back).as_secs();
    println!(
        "namespace: exports={} seconds_after_return={took}",
        5 * EACH
    );
    assert!(took <= BOUND, "{took} s");
    let states = states(&world).await;
    let live = states
        .iter()
        .filter(|state| !["SUCCEEDED", "FAILED", "CANCELLED"].contains(&state.as_str()));
    assert_eq!(live.count(), 0, "{states:?}");
    let summary = world.simulator.get("summary").await;
    assert_eq!(summary["createdOverOne"], 0, "{summary:#}");
}

async fn eventually_slow(what: &str, seconds: i64, since: Timestamp) {
    within(LONGEST, what, || async {
        let age = Timestamp::now().duration_since(since).as_secs();
        if age >= seconds {
            Ok(())
        } else {
            Err(age.to_string())
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_used_goes_with_its_namespace_without_the_operator() {
    let mut world = outlived(&[]).await;
    world.export("done").await;
    world.until_phase("done", "Succeeded").await;
    world
        .until("done", "let go", |e: &ExportJob| {
            !crate::harness::is_held(e)
        })
        .await;
    let free = |object: &Option<Vec<String>>| object.as_ref().is_none_or(Vec::is_empty);
    world
        .until("prod", "free", |c: &PlatformConnection| {
            free(&c.metadata.finalizers)
        })
        .await;
    world
        .until("profiles", "free", |d: &ProfileDataset| {
            free(&d.metadata.finalizers)
        })
        .await;
    world.stop_operator();
    go(&world).await;
    eventually("the namespace to be gone", || is_gone(&world)).await;
}
