//! The process: probes, metrics, logs, and its end.

use std::time::Duration;

use aep_export_operator::api::{ExportJob, ProfileDataset};
use kube::ResourceExt;
use serde_json::Value;

use crate::harness::{World, eventually, export_into};

/// The bound on SIGTERM, three times over.
const DRAINED: Duration = Duration::from_secs(30);

#[tokio::test]
async fn probes_and_metrics_tell_how_the_process_is() {
    let world = World::start("process").await;
    world.furnish().await;
    world.export("one").await;
    world.until_phase("one", "Succeeded").await;
    assert_eq!(world.admin_page("/livez").await, "ok\n");
    assert_eq!(world.admin_page("/readyz").await, "ok\n");
    let metrics = world.admin_page("/metrics").await;
    for wanted in [
        "aep_export_operator_export_submissions_total{outcome=\"Posted\"} 1",
        "aep_export_operator_exports_ended_total{reason=\"Succeeded\"} 1",
        "aep_export_operator_platform_calls_total{operation=\"create_export_job\",outcome=\"ok\"} 1",
        "aep_export_operator_reconcile_duration_seconds_count{kind=\"ExportJob\"}",
    ] {
        assert!(metrics.contains(wanted), "no {wanted} in\n{metrics}");
    }
    assert!(
        !metrics.contains(&world.namespace),
        "a label names an object\n{metrics}"
    );
}

#[tokio::test]
async fn an_operator_that_may_not_list_is_alive_and_says_why_it_is_not_ready() {
    let mut world = World::asking_too_much("process").await;
    world
        .start_unready(&["--watch-namespaces", "kube-system"])
        .await;
    assert_eq!(world.admin_page("/livez").await, "ok\n");
    eventually("the reason", || async {
        let said = world.admin_page("/readyz").await;
        if said.contains("may not list and watch exportjobs.aep-export.dev") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
}

#[tokio::test]
async fn sigterm_with_a_request_under_way_ends_in_time_and_loses_nothing() {
    let mut world = World::start("process").await;
    world.furnish().await;
    world
        .simulator
        .fault(serde_json::json!({
            "method": "POST", "path": "/data/core/ups/export/jobs", "times": 1,
            "action": { "delayMilliseconds": 1500 },
        }))
        .await;
    world.export("late").await;
    world
        .until("late", "intended", |e: &ExportJob| {
            e.status.as_ref().is_some_and(|s| s.submission.is_some())
        })
        .await;
    let took = world.stop_operator();
    assert!(took < DRAINED, "{took:?}");
    let status = world.get("late").await.status.unwrap();
    let posted = world.simulator.posts().await.len();
    assert_eq!(
        status.job_id.is_some(),
        posted == 1,
        "what was sent is recorded: {status:?}"
    );
    world.restart_operator().await;
    world.until_phase("late", "Succeeded").await;
    assert_eq!(world.simulator.jobs().await.len(), 1);
}

/// The versions of what uses a connection.
async fn versions(world: &World) -> [Option<String>; 3] {
    let dataset = world.api::<ProfileDataset>().get("profiles").await;
    [
        world.get("running").await.resource_version(),
        world.get("suspended").await.resource_version(),
        dataset.unwrap().resource_version(),
    ]
}

#[tokio::test]
async fn a_restart_changes_nothing_of_what_objects_say() {
    let mut world = World::start("process").await;
    let dataset = world.furnish().await;
    world.simulator.hold_jobs().await;
    world.export("running").await;
    let running = world.until_phase("running", "Running").await;
    let job = running.status.unwrap().job_id.unwrap();
    let mut suspended = export_into("profiles");
    suspended["suspend"] = true.into();
    world.create::<ExportJob>("suspended", suspended).await;
    world.until_phase("suspended", "Suspended").await;
    world.stop_operator();
    let before = versions(&world).await;
    let looked = world.simulator.ledger().await["requests"].clone();
    let looked = looked.as_array().unwrap().len();
    world.restart_operator().await;
    let paths = [
        "/data/foundation/sandbox".to_owned(),
        format!("/data/core/ups/export/jobs/{job}"),
        format!("/data/foundation/catalog/dataSets/{dataset}"),
    ];
    eventually("all of it to be looked at again", || async {
        let ledger = world.simulator.ledger().await;
        let since = &ledger["requests"].as_array().unwrap()[looked..];
        let is_looked_at = |wanted: &String| {
            let is_it = |call: &&Value| call["path"].as_str().unwrap().starts_with(wanted);
            since.iter().filter(is_it).count() > usize::from(wanted.ends_with(&job))
        };
        if paths.iter().all(is_looked_at) {
            Ok(())
        } else {
            Err(format!("{since:?}"))
        }
    })
    .await;
    assert_eq!(versions(&world).await, before, "{}", world.log());
}

#[tokio::test]
async fn logs_can_be_json_and_hold_no_secret() {
    let mut world = World::without_operator("process").await;
    world.start_operator(&["--log-format", "json"]).await;
    world.furnish().await;
    let log = world.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(!lines.is_empty());
    assert!(!log.contains("demo-secret"), "{log}");
}
