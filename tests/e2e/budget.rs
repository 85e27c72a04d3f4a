//! What a connection's budget allows: calls, exports at a time, and nothing before the platform
//! allows it again.

use std::time::Duration;

use aep_export_operator::api::{ExportJob, PlatformConnection};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    harness::{World, condition, conditions, eventually, is, reason},
    samples::{JOBS, Tenant, seed_dataset},
};

const DATASET: &str = "5b020a27e7040801dedba61b";

/// A world with a connection that has this budget, and a dataset.
async fn world(budget: Value, flags: &[&str]) -> World {
    let mut world = World::without_operator("budget").await;
    world.start_operator(flags).await;
    seed_dataset(&world.simulator, DATASET).await;
    world.create_credential("aep-credentials").await;
    connect(&world, "prod", world.simulator.url(), budget).await;
    world
}

/// A connection to a tenant, which is ready.
async fn connect(world: &World, name: &str, url: &str, budget: Value) {
    let mut spec = world.connection_spec();
    spec["endpoints"] = json!({ "platform": url, "ims": url });
    spec["budget"] = budget;
    world.create::<PlatformConnection>(name, spec).await;
    let ready = |c: &PlatformConnection| is(&conditions(c), "Ready", "True");
    world.until(name, "Ready", ready).await;
}

async fn export(world: &World, name: &str, connection: &str) -> ExportJob {
    let spec = json!({
        "connectionRef": { "name": connection },
        "export": { "destination": { "datasetId": DATASET } },
    });
    world.create(name, spec).await
}

/// One export, by which it is learned that the tenant shows request ids: then the others need not
/// go one after the other.
async fn experience(world: &World, connection: &str) {
    let name = format!("{connection}-first");
    export(world, &name, connection).await;
    world.until_phase(&name, "Succeeded").await;
    let known = |c: &PlatformConnection| {
        let status = c.status.as_ref();
        status.is_some_and(|status| status.echoes_request_id == Some(true))
    };
    world.until(connection, "experienced", known).await;
}

fn at(call: &Value) -> Timestamp {
    call["at"].as_str().unwrap().parse().unwrap()
}

async fn waits(world: &World, name: &str, why: &str) -> ExportJob {
    let waits = |export: &ExportJob| reason(export, "Ready") == why;
    world.until(name, why, waits).await
}

#[tokio::test]
async fn as_many_exports_run_as_the_budget_allows_and_the_oldest_that_waits_is_the_next() {
    let world = world(
        json!({ "maxRunningExports": 1, "requestsPerMinute": 100_000 }),
        &[],
    )
    .await;
    experience(&world, "prod").await;
    world.simulator.hold_jobs().await;
    export(&world, "first", "prod").await;
    world.until_phase("first", "Running").await;
    for name in ["second", "third"] {
        export(&world, name, "prod").await;
        let waiting = waits(&world, name, "WaitingForSlot").await;
        let said = condition(&waiting, "Reconciling").unwrap().message;
        assert!(said.contains("spec.budget.maxRunningExports"), "{said}");
        // The API server dates objects by whole seconds.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    // A third one that goes leaves no place behind.
    export(&world, "fourth", "prod").await;
    waits(&world, "fourth", "WaitingForSlot").await;
    world.delete::<ExportJob>("fourth").await;
    world.until_gone::<ExportJob>("fourth").await;
    for (ends, next) in [("first", "second"), ("second", "third")] {
        let job = world.get(ends).await.status.unwrap().job_id.unwrap();
        assert_eq!(
            world.simulator.posts().await.len(),
            if ends == "first" { 2 } else { 3 }
        );
        let end = json!({ "outcome": "release", "finishNow": true });
        world.simulator.put(&format!("jobs/{job}"), end).await;
        world.until_phase(next, "Running").await;
    }
    let running = world.get("third").await;
    assert!(running.status.unwrap().completion_time.is_none());
    // Raised while it is used.
    export(&world, "fifth", "prod").await;
    waits(&world, "fifth", "WaitingForSlot").await;
    let more = json!({ "spec": { "budget": { "maxRunningExports": 2 } } });
    world
        .patch::<PlatformConnection>("prod", more)
        .await
        .unwrap();
    world.until_phase("fifth", "Running").await;
}

#[tokio::test]
async fn slots_are_counted_again_after_a_restart() {
    let mut world = world(
        json!({ "maxRunningExports": 2, "requestsPerMinute": 100_000 }),
        &[],
    )
    .await;
    experience(&world, "prod").await;
    world.simulator.hold_jobs().await;
    for name in ["one", "two"] {
        export(&world, name, "prod").await;
        world.until_phase(name, "Running").await;
    }
    world.kill_operator();
    for number in 0..10 {
        export(&world, &format!("late-{number}"), "prod").await;
    }
    world.restart_operator().await;
    for number in 0..10 {
        waits(&world, &format!("late-{number}"), "WaitingForSlot").await;
    }
    assert_eq!(world.simulator.posts().await.len(), 3);
    let metrics = world.admin_page("/metrics").await;
    let waiting = "aep_export_operator_exports_waiting 10";
    assert!(metrics.contains(waiting), "{metrics}");
}

#[tokio::test]
async fn no_more_calls_are_made_than_the_budget_allows_and_each_export_has_its_turn() {
    // Five at once, and then about one in a second.
    let budget = json!({ "requestsPerMinute": 60, "maxRunningExports": 1_000 });
    let polls = ["--poll-interval-min", "1m", "--poll-interval-max", "2m"];
    let world = world(budget, &polls).await;
    for number in 0..12 {
        export(&world, &format!("e-{number}"), "prod").await;
    }
    let posted = |export: &ExportJob| export.status.as_ref().is_some_and(|s| s.job_id.is_some());
    for number in 0..12 {
        world.until(&format!("e-{number}"), "posted", posted).await;
    }
    let ledger = world.simulator.ledger().await;
    let mut calls: Vec<Timestamp> = ledger["requests"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| call["path"].as_str().unwrap().starts_with("/data/"))
        .map(at)
        .collect();
    calls.sort_unstable();
    for first in &calls {
        let minute = *first + SignedDuration::from_secs(60);
        let within = calls.iter().filter(|at| *first <= **at && **at < minute);
        assert!(within.count() <= 61, "{calls:?}");
    }
    // Beyond what may be made at once, one in a second.
    let took = calls[calls.len() - 1].duration_since(calls[0]);
    let least = SignedDuration::from_secs(i64::try_from(calls.len()).unwrap() - 7);
    assert!(took >= least, "{} calls in {took:#}", calls.len());
    let summary = world.simulator.get("summary").await;
    assert_eq!(summary["createdOverOne"], 0, "{summary:#}");
}

#[tokio::test]
async fn nothing_at_all_is_asked_of_a_tenant_before_it_allows_it_again() {
    let budget = json!({ "requestsPerMinute": 100_000, "maxRunningExports": 1_000 });
    let world = world(budget, &[]).await;
    experience(&world, "prod").await;
    world.simulator.hold_jobs().await;
    export(&world, "runs", "prod").await;
    world.until_phase("runs", "Running").await;
    let throttled = json!({ "reply": {
        "status": 429,
        "headers": { "Retry-After": "4" },
        "body": { "error_code": "429050", "message": "Too many requests" },
    } });
    let fault =
        json!({ "method": "GET", "path": format!("{JOBS}/*"), "times": 1, "action": throttled });
    world.simulator.fault(fault).await;
    let refused = || async {
        let calls = world.simulator.calls("GET", JOBS).await;
        calls.into_iter().find(|call| call["status"] == 429)
    };
    eventually("the 429", || async {
        refused().await.ok_or("not yet".to_owned())
    })
    .await;
    export(&world, "waits", "prod").await;
    let waiting = waits(&world, "waits", "PlatformThrottled").await;
    assert!(waiting.status.unwrap().submission.is_none(), "no intent");
    world.delete::<ExportJob>("runs").await;
    world.until_phase("waits", "Running").await;
    world.until_gone::<ExportJob>("runs").await;
    let refused = at(&refused().await.unwrap());
    let ledger = world.simulator.ledger().await;
    let early: Vec<&Value> = ledger["requests"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| call["path"].as_str().unwrap().starts_with("/data/"))
        .filter(|call| at(call) > refused)
        .filter(|call| at(call) < refused + SignedDuration::from_millis(3_900))
        .collect();
    assert!(early.is_empty(), "{early:#?}");
}

#[tokio::test]
async fn while_a_tenant_is_down_one_call_at_a_time_asks_and_nothing_is_created() {
    let budget = json!({ "requestsPerMinute": 100_000, "maxRunningExports": 1_000 });
    let world = world(budget, &[]).await;
    experience(&world, "prod").await;
    world.simulator.hold_jobs().await;
    for number in 0..5 {
        export(&world, &format!("runs-{number}"), "prod").await;
        world
            .until_phase(&format!("runs-{number}"), "Running")
            .await;
    }
    let down = json!({ "path": "/data/*", "action": { "reply": { "status": 503 } } });
    world.simulator.fault(down).await;
    let failed = || async {
        let ledger = world.simulator.ledger().await;
        let calls = ledger["requests"].as_array().unwrap().clone();
        calls
            .into_iter()
            .filter(|call| call["status"] == 503)
            .collect::<Vec<_>>()
    };
    eventually("the breaker to open", || async {
        let log = world.admin_page("/metrics").await;
        if log.contains("aep_export_operator_budgets{state=\"down\"} 1") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    for number in 0..10 {
        export(&world, &format!("waits-{number}"), "prod").await;
    }
    for number in 0..10 {
        let name = format!("waits-{number}");
        let waiting = waits(&world, &name, "PlatformUnavailable").await;
        assert!(waiting.status.unwrap().submission.is_none(), "no intent");
    }
    let before = failed().await.len();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let asked = failed().await.len() - before;
    assert!(asked <= 6, "{asked} calls in five seconds");
    assert_eq!(world.simulator.posts().await.len(), 6);
    world.simulator.delete("faults").await;
    for number in 0..10 {
        world
            .until_phase(&format!("waits-{number}"), "Running")
            .await;
    }
    assert_eq!(world.simulator.posts().await.len(), 16);
}

#[tokio::test]
async fn the_status_of_a_connection_shows_how_its_budget_stands() {
    let world = world(json!({ "requestsPerMinute": 240 }), &[]).await;
    let connection: PlatformConnection = world.api().get("prod").await.unwrap();
    let budget = connection.status.unwrap().budget.unwrap();
    assert_eq!(
        serde_json::to_value(&budget).unwrap(),
        json!({ "limit": 240, "effectivePerMinute": 240, "running": 0, "waiting": 0 })
    );
    // The same credential in another connection: the lowest holds.
    let url = world.simulator.url();
    connect(&world, "other", url, json!({ "requestsPerMinute": 120 })).await;
    let other: PlatformConnection = world.api().get("other").await.unwrap();
    assert_eq!(other.status.unwrap().budget.unwrap().limit, 120);
}

#[tokio::test]
async fn a_tenant_that_answers_slowly_does_not_hold_up_another() {
    let budget = json!({ "requestsPerMinute": 100_000, "maxRunningExports": 1_000 });
    let world = world(budget.clone(), &[]).await;
    experience(&world, "prod").await;
    let slow = Tenant::start().await;
    seed_dataset(&slow.simulator, DATASET).await;
    connect(&world, "slow", slow.simulator.url(), budget).await;
    experience(&world, "slow").await;
    let time = |name: &'static str| {
        let world = &world;
        async move {
            let before = std::time::Instant::now();
            export(world, name, "prod").await;
            world.until_phase(name, "Succeeded").await;
            before.elapsed()
        }
    };
    let alone = time("alone").await;
    // A reply after half a minute, one that drips, and none at all.
    for (method, path, action) in [
        (
            "POST",
            JOBS.to_owned(),
            json!({ "delayMilliseconds": 30_000 }),
        ),
        (
            "GET",
            format!("{JOBS}/*"),
            json!({ "lose": { "how": "hang" } }),
        ),
        (
            "GET",
            "/data/foundation/*".to_owned(),
            json!({ "lose": { "how": "hang" } }),
        ),
    ] {
        let fault = json!({ "method": method, "path": path, "action": action });
        slow.simulator.fault(fault).await;
    }
    for number in 0..200 {
        export(&world, &format!("slow-{number}"), "slow").await;
    }
    eventually("calls that hang", || async {
        match slow.simulator.ledger().await["requests"]
            .as_array()
            .unwrap()
            .len()
        {
            many if many > 40 => Ok(()),
            few => Err(format!("{few}")),
        }
    })
    .await;
    let beside = time("beside").await;
    // Bounds of the issue that asks for this: half as much again, three times over.
    assert!(
        beside < alone.mul_f64(4.5),
        "{beside:?} instead of {alone:?}"
    );
}
