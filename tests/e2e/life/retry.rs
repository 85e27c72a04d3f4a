//! `spec.backoffLimit`.

use aep_export_operator::api::{ExportJob, RESOLVE_ANNOTATION};
use serde_json::json;

use super::{JOBS, edit, end, export, held, job_of, status};
use crate::harness::{World, condition, reason};

const SOON: [&str; 4] = ["--retry-delay-min", "1s", "--retry-delay-max", "1s"];
const NEVER: [&str; 4] = ["--retry-delay-min", "1h", "--retry-delay-max", "1h"];

/// Has the running attempt fail, with the platform's words.
async fn fail(world: &World, name: &str) -> String {
    let job = job_of(world, name).await;
    end(world, &job, "fail").await;
    job
}

async fn until_scheduled(world: &World, name: &str) -> ExportJob {
    world
        .until(name, "waiting for its next attempt", |e: &ExportJob| {
            reason(e, "Ready") == "RetryScheduled"
        })
        .await
}

#[tokio::test]
async fn an_attempt_that_failed_is_followed_by_another_with_a_request_id_of_its_own() {
    let world = held(&SOON).await;
    export(&world, "again", json!({ "backoffLimit": 1 })).await;
    let first = world.until_phase("again", "Running").await;
    let first = first.status.unwrap().submission.unwrap();
    let answer = format!("{}=none", first.r#try);
    let annotation = json!({ "metadata": { "annotations": { RESOLVE_ANNOTATION: answer } } });
    world.patch::<ExportJob>("again", annotation).await.unwrap();
    let failed = fail(&world, "again").await;
    let second = world
        .until("again", "in its second attempt", |e: &ExportJob| {
            let status = e.status.as_ref().unwrap();
            status.job_id.as_ref().is_some_and(|job| *job != failed)
        })
        .await
        .status
        .unwrap();
    let submission = second.submission.unwrap();
    assert_eq!((first.attempt, submission.attempt), (1, 2));
    assert_ne!(first.request_id, submission.request_id);
    assert_eq!(
        submission.answer, None,
        "the word on the first try answers no other"
    );
    assert_eq!(
        second.platform_status, None,
        "the first job's is not the second's"
    );
    let [attempt] = &second.attempts[..] else {
        panic!("{:#?}", second.attempts)
    };
    assert_eq!(attempt.request_id, first.request_id);
    assert_eq!(
        (attempt.attempt, attempt.job_id.as_str()),
        (1, failed.as_str())
    );
    assert_eq!(
        (attempt.outcome.as_str(), attempt.reason.as_str()),
        ("FAILED", "ExportFailed")
    );
    assert!(attempt.start_time.is_some() && attempt.message.is_some());
    let intended = submission.intent_time;
    let waited = intended.duration_since(attempt.completion_time).as_secs();
    assert!((0..10).contains(&waited), "{waited} s");
    fail(&world, "again").await;
    let ended = world.until_phase("again", "Failed").await;
    assert_eq!(reason(&ended, "Failed"), "ExportFailed");
    edit(&world, "again", json!({ "backoffLimit": 5 })).await;
    world
        .until("again", "seen anew", |e: &ExportJob| {
            e.status.as_ref().unwrap().observed_generation == e.metadata.generation
        })
        .await;
    let posts = world.simulator.posts().await;
    assert_eq!(
        posts.len(),
        2,
        "a limit raised after the end starts nothing"
    );
    let summary = world.simulator.get("summary").await;
    assert_eq!(summary["createdOverOne"], 0, "{summary:#}");
}

#[tokio::test]
async fn between_two_attempts_nothing_is_lost_in_a_restart_and_the_export_stays_what_it_is() {
    let mut world = held(&NEVER).await;
    export(&world, "between", json!({ "backoffLimit": 2 })).await;
    world.until_phase("between", "Running").await;
    fail(&world, "between").await;
    let waits = until_scheduled(&world, "between").await;
    let said = condition(&waits, "Ready").unwrap().message;
    assert!(waits.status.as_ref().unwrap().submission.is_some());
    let other = json!({ "spec": { "export": { "fields": ["other"] } } });
    let refused = world
        .patch::<ExportJob>("between", other)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("export is immutable"),
        "{refused}"
    );
    let version = waits.metadata.resource_version.clone();
    world.restart_operator().await;
    let asked = json!({ "metadata": { "annotations": { "aep-export.dev/requested-at": "1" } } });
    world.patch::<ExportJob>("between", asked).await.unwrap();
    let after = world
        .until("between", "seen by the new process", |e: &ExportJob| {
            let handled = &e.status.as_ref().unwrap().last_handled_reconcile_at;
            handled.as_deref() == Some("1")
        })
        .await;
    assert_ne!(after.metadata.resource_version, version);
    assert_eq!(condition(&after, "Ready").unwrap().message, said);
    assert_eq!(world.simulator.posts().await.len(), 1);
}

#[tokio::test]
async fn a_limit_that_is_lowered_between_two_attempts_ends_the_export() {
    let world = held(&NEVER).await;
    export(&world, "lowered", json!({ "backoffLimit": 1 })).await;
    world.until_phase("lowered", "Running").await;
    let job = fail(&world, "lowered").await;
    until_scheduled(&world, "lowered").await;
    edit(&world, "lowered", json!({ "backoffLimit": 0 })).await;
    let ended = world.until_phase("lowered", "Failed").await;
    let said = condition(&ended, "Failed").unwrap().message;
    assert!(
        said.contains(&job) && said.contains("backoffLimit"),
        "{said}"
    );
    assert!(ended.status.unwrap().completion_time.is_some());
    assert_eq!(world.simulator.posts().await.len(), 1);
}

#[tokio::test]
async fn what_was_rejected_or_cancelled_is_not_tried_again() {
    let world = held(&SOON).await;
    for code in [400, 404, 409, 422] {
        let name = format!("rejected-{code}");
        let body = json!({ "status": code, "title": "no", "message": "no" });
        let reply = json!({ "reply": { "status": code, "body": body } });
        let fault = json!({ "method": "POST", "path": JOBS, "times": 1, "action": reply });
        world.simulator.fault(fault).await;
        export(&world, &name, json!({ "backoffLimit": 3 })).await;
        let ended = world.until_phase(&name, "Failed").await;
        assert_eq!(reason(&ended, "Failed"), "Rejected", "{code}");
        assert!(ended.status.unwrap().attempts.is_empty());
    }
    assert_eq!(world.simulator.posts().await.len(), 4);
    export(&world, "cancelled", json!({ "backoffLimit": 3 })).await;
    world.until_phase("cancelled", "Running").await;
    let job = job_of(&world, "cancelled").await;
    let cancelled = json!({ "status": "CANCELLED" });
    world.simulator.put(&format!("jobs/{job}"), cancelled).await;
    let ended = world.until_phase("cancelled", "Cancelled").await;
    assert_eq!(reason(&ended, "Failed"), "CancelledInPlatform");
    assert!(status(&world, "cancelled").await.attempts.is_empty());
    assert_eq!(world.simulator.posts().await.len(), 5);
}
