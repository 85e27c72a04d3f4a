//! What a job's status must not do: undo an end, or make a job that is not shown yet a lost one.

use aep_export_operator::api::ExportJob;
use serde_json::json;

use super::{Case, each, world};
use crate::{
    harness::{eventually, reason},
    samples::JOBS,
};

#[tokio::test]
async fn an_end_is_never_left_whatever_the_platform_shows_later() {
    let world = world("ends", &[]).await;
    let world = &world;
    let cases = vec![
        ("succeeded", (json!({ "outcome": "succeed" }), "Succeeded")),
        ("failed", (json!({ "outcome": "fail" }), "Failed")),
    ];
    each(cases, |name, (defaults, phase)| async move {
        let case = Case::start(world, &name, json!({})).await;
        case.tenant.simulator.put("defaults", defaults).await;
        case.submit(&name).await;
        let ended = world.until_phase(&name, phase).await;
        let job = ended.status.as_ref().unwrap().job_id.clone().unwrap();
        for status in ["PROCESSING", "NEW", "FAILED", "SUCCEEDED", "PONDERING"] {
            let shown = json!({ "status": status });
            case.tenant
                .simulator
                .put(&format!("jobs/{job}"), shown)
                .await;
            // It is looked at again for another reason.
            let label = json!({ "metadata": { "labels": { "seen": status } } });
            world.patch::<ExportJob>(&name, label).await.unwrap();
            case.submit(&format!("{name}-{}", status.to_lowercase()))
                .await;
            world
                .until_phase(&format!("{name}-{}", status.to_lowercase()), phase)
                .await;
        }
        let now = world.get(&name).await.status.unwrap();
        let before = ended.status.clone().unwrap();
        assert_eq!(now.phase, before.phase);
        assert_eq!(now.completion_time, before.completion_time);
        assert_eq!(now.platform_status, before.platform_status);
        case.assert_started_once(&world.get(&name).await, 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_job_that_goes_back_while_its_batch_is_waited_for_has_succeeded_all_the_same() {
    let world = world("back", &[]).await;
    let late = json!({ "batchReadableAfterSeconds": 1_000_000 });
    let case = Case::start(&world, "back", late).await;
    case.submit("back").await;
    let waits = |export: &ExportJob| reason(export, "Ready") == "WaitingForBatch";
    let export = world.until("back", "waiting", waits).await;
    let job = export.status.unwrap().job_id.unwrap();
    let shown = json!({ "status": "PROCESSING" });
    case.tenant
        .simulator
        .put(&format!("jobs/{job}"), shown)
        .await;
    let now = json!({ "batchReadableAfterSeconds": 0 });
    case.tenant.simulator.put("switches", now).await;
    let export = case.until_done("back").await;
    case.assert_started_once(&export, 1).await;
}

#[tokio::test]
async fn a_job_that_goes_back_and_forth_while_it_runs_is_followed_on() {
    let world = world("forth", &[]).await;
    let case = Case::start(&world, "forth", json!({})).await;
    case.tenant.simulator.hold_jobs().await;
    case.submit("forth").await;
    let export = world.until_phase("forth", "Running").await;
    let job = export.status.unwrap().job_id.unwrap();
    let shown = async |status: &str| {
        let path = format!("jobs/{job}");
        case.tenant
            .simulator
            .put(&path, json!({ "status": status }))
            .await;
        let since = case.tenant.simulator.calls("GET", JOBS).await.len();
        eventually("two polls", || async {
            let polls = case.tenant.simulator.calls("GET", JOBS).await.len() - since;
            if polls >= 2 {
                Ok(())
            } else {
                Err(polls.to_string())
            }
        })
        .await;
    };
    for status in ["PROCESSING", "NEW", "PONDERING", "NEW", "PROCESSING"] {
        shown(status).await;
    }
    let running = world.get("forth").await.status.unwrap();
    assert_eq!(running.phase.as_deref(), Some("Running"));
    let end = json!({ "status": null, "outcome": "release", "finishNow": true });
    case.tenant.simulator.put(&format!("jobs/{job}"), end).await;
    let export = case.until_done("forth").await;
    case.assert_started_once(&export, 1).await;
}

#[tokio::test]
async fn a_job_that_is_not_found_at_first_is_looked_for_again_and_not_made_again() {
    let world = world("missing", &[]).await;
    let world = &world;
    let not_found = |body| json!({ "reply": { "status": 404, "body": body } });
    let envelope = json!({ "title": "Not found", "status": 404 });
    let cases = vec![
        ("once", (1, not_found(envelope.clone()))),
        ("thrice", (3, not_found(envelope))),
        ("without a body", (3, not_found(json!("")))),
    ];
    each(cases, |name, (times, action)| async move {
        let case = Case::start(world, &name, json!({})).await;
        case.fault("GET", "/data/core/ups/export/jobs/*", Some(times), action)
            .await;
        case.submit(&name).await;
        let export = case.until_done(&name).await;
        case.assert_started_once(&export, 1).await;
    })
    .await;
}
