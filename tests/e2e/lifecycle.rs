//! The life of an export, from its manifest to its end.

use aep_export_operator::api::{
    ExportJob, PlatformConnection, SubmissionEvidence, SubmissionOutcome,
};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::harness::{
    SHORT_WINDOWS, World, condition, eventually, is_held, outcome, reason, true_conditions,
};

#[tokio::test]
async fn an_export_is_submitted_once_followed_and_complete() {
    let world = World::start("life").await;
    let dataset = world.furnish().await;
    world.export("weekly").await;
    let export = world.until_phase("weekly", "Succeeded").await;
    let status = export.status.clone().unwrap();
    assert_eq!(
        true_conditions(&export),
        ["Complete", "DataAvailable", "Ready"]
    );
    assert_eq!(reason(&export, "Ready"), "Succeeded");
    assert_eq!(outcome(&export), Some(SubmissionOutcome::Posted));
    assert_eq!(status.observed_generation, export.metadata.generation);
    assert_eq!(status.dataset_id.as_deref(), Some(dataset.as_str()));
    assert_eq!(status.connection.unwrap().sandbox.as_deref(), Some("prod"));
    assert_eq!(status.platform_status.as_deref(), Some("SUCCEEDED"));
    assert!(status.completion_time >= status.start_time && status.start_time.is_some());
    assert!(status.duration_seconds.is_some() && status.platform_timings.is_some());
    assert_eq!(status.batch_count, Some(1));
    assert_eq!(status.batches[0].status.as_deref(), Some("success"));
    let submission = status.submission.unwrap();
    assert!(submission.intent_time < submission.send_before);
    assert!(submission.send_before < submission.settle_after);
    assert_eq!(world.simulator.posts().await.len(), 1);
    let jobs = world.simulator.jobs().await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(status.job_id.unwrap(), jobs[0]["id"].to_string());
    assert_eq!(jobs[0]["requestId"], submission.request_id.as_str());
    world
        .until("weekly", "let go", |e: &ExportJob| !is_held(e))
        .await;
    let reasons: Vec<_> = world
        .events_of("weekly")
        .await
        .into_iter()
        .map(|(r, _)| r)
        .collect();
    assert_eq!(reasons, ["Running", "Succeeded"]);
}

#[tokio::test]
async fn an_undisturbed_export_costs_five_writes_however_often_it_is_polled() {
    let world = World::start("life").await;
    world.furnish().await;
    world.simulator.hold_jobs().await;
    let export = world.export("counted").await;
    world.until_phase("counted", "Running").await;
    let job = job_of(&world, "counted").await;
    eventually("twenty polls", || async {
        let polls = world
            .simulator
            .calls("GET", "/data/core/ups/export/jobs/")
            .await
            .len();
        if polls >= 20 {
            Ok(())
        } else {
            Err(polls.to_string())
        }
    })
    .await;
    world
        .simulator
        .put(
            &format!("jobs/{job}"),
            json!({ "outcome": "release", "finishNow": true }),
        )
        .await;
    world.until_phase("counted", "Succeeded").await;
    world
        .until("counted", "let go", |e: &ExportJob| !is_held(e))
        .await;
    let writes = world.writes_to("counted", &export).await;
    assert!(writes.len() <= 5, "{writes:#?}");
}

#[tokio::test]
async fn a_failed_export_says_what_the_platform_says_and_never_its_call_stack() {
    let world = World::start("life").await;
    world.furnish().await;
    let dataset = world.dataset_id("profiles").await;
    world
        .simulator
        .put(&format!("datasets/{dataset}"), json!({
            "outcome": "fail",
            "errors": [{ "code": "0090000009", "msg": "Error writing profiles", "callStack": "canary-stack" }],
        }))
        .await;
    world.export("fails").await;
    let export = world.until_phase("fails", "Failed").await;
    assert_eq!(true_conditions(&export), ["Failed", "Stalled"]);
    assert_eq!(reason(&export, "Failed"), "ExportFailed");
    let said = condition(&export, "Failed").unwrap().message;
    assert!(
        said.contains("Error writing profiles") && said.contains("0090000009"),
        "{said}"
    );
    let status = export.status.clone().unwrap();
    assert!(status.completion_time.is_some());
    assert_eq!(status.errors[0].code, "0090000009");
    assert!(
        !serde_json::to_string(&export)
            .unwrap()
            .contains("canary-stack")
    );
    world
        .until("fails", "let go", |e: &ExportJob| !is_held(e))
        .await;
    assert_eq!(world.simulator.posts().await.len(), 1);
}

#[tokio::test]
async fn a_status_that_no_document_names_is_shown_and_followed_on() {
    let world = running("odd").await;
    let job = job_of(&world, "odd").await;
    world
        .simulator
        .put(&format!("jobs/{job}"), json!({ "status": "PONDERING" }))
        .await;
    let export = world
        .until("odd", "of unknown status", |e: &ExportJob| {
            reason(e, "Ready") == "UnknownStatus"
        })
        .await;
    assert_eq!(
        export.status.unwrap().platform_status.as_deref(),
        Some("PONDERING")
    );
    let release = json!({ "status": null, "outcome": "release", "finishNow": true });
    world.simulator.put(&format!("jobs/{job}"), release).await;
    world.until_phase("odd", "Succeeded").await;
}

#[tokio::test]
async fn an_export_that_succeeded_waits_for_its_batch_and_then_is_complete() {
    let world = World::start("life").await;
    world.furnish().await;
    world
        .simulator
        .put("switches", json!({ "batchReadableAfterSeconds": 100 }))
        .await;
    world.export("later").await;
    let export = world
        .until("later", "waiting for its batch", |e: &ExportJob| {
            reason(e, "Reconciling") == "WaitingForBatch"
        })
        .await;
    assert_eq!(export.status.unwrap().phase.as_deref(), Some("Running"));
    let export = world.until_phase("later", "Succeeded").await;
    assert_eq!(reason(&export, "DataAvailable"), "BatchesReadable");
}

#[tokio::test]
async fn an_export_whose_batch_never_shows_is_complete_and_says_so() {
    let mut world = World::without_operator("life").await;
    world.start_operator(&["--batch-deadline", "1s"]).await;
    world.furnish().await;
    world
        .simulator
        .put(
            "switches",
            json!({ "batchReadableAfterSeconds": 1_000_000 }),
        )
        .await;
    world.export("unseen").await;
    let export = world.until_phase("unseen", "Succeeded").await;
    assert_eq!(true_conditions(&export), ["Complete", "Ready"]);
    let data = condition(&export, "DataAvailable").unwrap();
    assert_eq!(
        (data.status.as_str(), data.reason.as_str()),
        ("Unknown", "BatchNotSeen")
    );
}

#[tokio::test]
async fn a_rejected_request_is_the_end_and_is_told_in_the_platforms_words() {
    let world = World::start("life").await;
    world.furnish().await;
    world
        .simulator
        .fault(post_reply(
            400,
            &json!({
                "type": "https://ns.adobe.com/aep/errors/UPLIB-101206-500",
                "title": "There is a problem extracting the user JSON", "status": 400,
            }),
            false,
        ))
        .await;
    world.export("wrong").await;
    let export = world.until_phase("wrong", "Failed").await;
    assert_eq!(reason(&export, "Failed"), "Rejected");
    let said = condition(&export, "Failed").unwrap().message;
    assert!(
        said.contains("There is a problem extracting the user JSON"),
        "{said}"
    );
    assert_eq!(outcome(&export), Some(SubmissionOutcome::Rejected));
    world
        .until("wrong", "let go", |e: &ExportJob| !is_held(e))
        .await;
    assert_eq!(world.simulator.posts().await.len(), 1);
}

#[tokio::test]
async fn a_request_that_the_gateway_refused_is_sent_again() {
    let world = World::start("life").await;
    world.furnish().await;
    let refusal = json!({ "error_code": "429050", "message": "Too many requests" });
    world
        .simulator
        .fault(post_reply(429, &refusal, false))
        .await;
    world.export("again").await;
    world.until_phase("again", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 2);
    assert_eq!(world.simulator.jobs().await.len(), 1);
}

#[tokio::test]
async fn a_lost_reply_is_settled_by_one_look_at_the_list() {
    let world = World::start("life").await;
    world.furnish().await;
    world
        .simulator
        .fault(post_reply(503, &json!("lost"), true))
        .await;
    world.export("doubt").await;
    let export = world.until_phase("doubt", "Succeeded").await;
    let submission = export.status.unwrap().submission.unwrap();
    assert_eq!(submission.outcome, Some(SubmissionOutcome::Adopted));
    assert_eq!(submission.evidence, Some(SubmissionEvidence::RequestId));
    assert_eq!(world.simulator.posts().await.len(), 1);
    assert_eq!(world.simulator.lists().await.len(), 1);
}

#[tokio::test]
async fn an_operator_that_is_killed_while_a_request_is_under_way_finds_its_job_again() {
    let mut world = World::without_operator("life").await;
    world.start_operator(&SHORT_WINDOWS).await;
    world.furnish().await;
    world
        .simulator
        .fault(json!({
            "method": "POST", "path": "/data/core/ups/export/jobs", "times": 1,
            "action": { "delayMilliseconds": 1000 },
        }))
        .await;
    world.export("killed").await;
    world
        .until("killed", "intended", |e: &ExportJob| {
            e.status.as_ref().is_some_and(|s| s.submission.is_some())
        })
        .await;
    world.kill_operator();
    world.restart_operator().await;
    world.until_phase("killed", "Succeeded").await;
    assert_eq!(world.simulator.jobs().await.len(), 1);
}

#[tokio::test]
async fn a_restart_in_mid_run_goes_on_where_it_was() {
    let mut world = running("long").await;
    let took = world.stop_operator();
    assert!(took.as_secs() < 30, "SIGTERM took {took:?}");
    let job = job_of(&world, "long").await;
    world
        .simulator
        .put(
            &format!("jobs/{job}"),
            json!({ "outcome": "release", "finishNow": true }),
        )
        .await;
    world.restart_operator().await;
    world.until_phase("long", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 1);
}

#[tokio::test]
async fn a_status_copied_from_another_object_is_not_believed() {
    let world = World::start("life").await;
    world.furnish().await;
    world.simulator.hold_jobs().await;
    world.export("original").await;
    let original = world.until_phase("original", "Running").await;
    let mut world = world;
    world.stop_operator();
    let copy = world.export("copy").await;
    let mut forged: ExportJob = copy;
    forged.status.clone_from(&original.status);
    world
        .api::<ExportJob>()
        .replace_status("copy", &kube::api::PostParams::default(), &forged)
        .await
        .unwrap();
    world.restart_operator().await;
    let export = world
        .until("copy", "foreign", |e: &ExportJob| {
            reason(e, "Ready") == "ForeignStatus"
        })
        .await;
    assert_eq!(true_conditions(&export), ["Stalled"]);
    world.delete::<ExportJob>("copy").await;
    world.until_gone::<ExportJob>("copy").await;
    let cancelled = world
        .simulator
        .calls("DELETE", "/data/core/ups/export/jobs")
        .await;
    assert!(cancelled.is_empty(), "{cancelled:?}");
}

#[tokio::test]
async fn deleting_a_running_export_cancels_its_job_before_the_object_goes() {
    let world = running("stopped").await;
    world.delete::<ExportJob>("stopped").await;
    world.until_gone::<ExportJob>("stopped").await;
    let jobs = world.simulator.jobs().await;
    assert_eq!(jobs[0]["deleteRequests"], 1);
    assert_eq!(jobs[0]["status"], "CANCELLED");
    let note = world.event("stopped", "Cancelled").await;
    assert!(note.contains("CANCELLED"), "{note}");
}

#[tokio::test]
async fn deleting_a_finished_export_makes_no_call_and_needs_no_operator() {
    let mut world = World::start("life").await;
    world.furnish().await;
    world.export("done").await;
    world.until_phase("done", "Succeeded").await;
    world
        .until("done", "let go", |e: &ExportJob| !is_held(e))
        .await;
    world.stop_operator();
    world.delete::<ExportJob>("done").await;
    world.until_gone::<ExportJob>("done").await;
    assert!(
        world
            .simulator
            .calls("DELETE", "/data/core/ups")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn deleting_an_export_that_waits_needs_no_call() {
    let world = World::start("life").await;
    world.export("waits").await;
    world.until_phase("waits", "Pending").await;
    world.delete::<ExportJob>("waits").await;
    world.until_gone::<ExportJob>("waits").await;
    assert!(world.simulator.posts().await.is_empty());
}

#[tokio::test]
async fn a_cancellation_that_the_platform_refuses_for_a_while_is_asked_for_again() {
    let world = running("stubborn").await;
    world
        .simulator
        .fault(json!({
            "method": "DELETE", "path": "/data/core/ups/export/jobs/*", "times": 2,
            "action": { "reply": { "status": 503, "body": "", "commit": false } },
        }))
        .await;
    world.delete::<ExportJob>("stubborn").await;
    world.until_gone::<ExportJob>("stubborn").await;
    assert_eq!(world.simulator.jobs().await[0]["status"], "CANCELLED");
}

#[tokio::test]
async fn a_whole_folder_deleted_at_once_still_cancels_what_runs() {
    let world = running("running").await;
    world.delete::<Secret>("aep-credentials").await;
    world.delete::<PlatformConnection>("prod").await;
    world
        .delete::<aep_export_operator::api::ProfileDataset>("profiles")
        .await;
    world.delete::<ExportJob>("running").await;
    world.until_gone::<ExportJob>("running").await;
    world.until_gone::<PlatformConnection>("prod").await;
    world
        .until_gone::<aep_export_operator::api::ProfileDataset>("profiles")
        .await;
    assert_eq!(world.simulator.jobs().await[0]["status"], "CANCELLED");
}

#[tokio::test]
async fn a_finalizer_stripped_by_hand_is_put_on_again_while_the_job_runs() {
    let world = running("stripped").await;
    let none = json!({ "metadata": { "finalizers": null } });
    world.patch::<ExportJob>("stripped", none).await.unwrap();
    world.until("stripped", "held", is_held).await;
}

/// A tenant in which this export runs until it is told to end.
async fn running(name: &str) -> World {
    let world = World::start("life").await;
    world.furnish().await;
    world.simulator.hold_jobs().await;
    world.export(name).await;
    world.until_phase(name, "Running").await;
    world
}

fn post_reply(status: u16, body: &Value, commit: bool) -> Value {
    json!({
        "method": "POST", "path": "/data/core/ups/export/jobs", "times": 1,
        "action": { "reply": { "status": status, "body": body, "commit": commit } },
    })
}

async fn job_of(world: &World, name: &str) -> String {
    world.get(name).await.status.unwrap().job_id.unwrap()
}
