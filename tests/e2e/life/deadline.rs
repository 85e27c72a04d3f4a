//! `spec.activeDeadlineSeconds`.

use aep_export_operator::api::{CancelledBy, ExportJob};
use serde_json::json;

use super::{cancels, edit, end, export, held, job_of};
use crate::harness::{World, eventually, reason};

#[tokio::test]
async fn an_export_that_takes_too_long_is_cancelled_and_has_failed() {
    // Nothing but the deadline wakes it.
    let world = held(&["--poll-interval-min", "30s", "--poll-interval-max", "30s"]).await;
    export(&world, "long", json!({ "activeDeadlineSeconds": 2 })).await;
    let failed = world.until_phase("long", "Failed").await;
    assert_eq!(reason(&failed, "Failed"), "DeadlineExceeded");
    let cancellation = failed.status.unwrap().cancellation.unwrap();
    assert_eq!(cancellation.by, CancelledBy::Deadline);
    assert_eq!(cancels(&world).await, 1);
    assert_eq!(world.simulator.jobs().await[0]["status"], "CANCELLED");
}

#[tokio::test]
async fn a_deadline_that_is_lowered_into_the_past_is_over_at_once() {
    let world = held(&[]).await;
    export(&world, "lowered", json!({ "activeDeadlineSeconds": 3600 })).await;
    let running = world.until_phase("lowered", "Running").await;
    let began = running.status.unwrap().submission.unwrap().intent_time;
    eventually("a second to pass", || async {
        let age = jiff::Timestamp::now().duration_since(began);
        if age.as_secs() > 1 {
            Ok(())
        } else {
            Err(age.to_string())
        }
    })
    .await;
    edit(&world, "lowered", json!({ "activeDeadlineSeconds": 1 })).await;
    let failed = world.until_phase("lowered", "Failed").await;
    assert_eq!(reason(&failed, "Failed"), "DeadlineExceeded");
}

#[tokio::test]
async fn what_is_not_submitted_has_no_deadline_yet() {
    let world = World::start("life").await;
    let created = export(&world, "waits", json!({ "activeDeadlineSeconds": 1 })).await;
    world.until_phase("waits", "Pending").await;
    let age = || async {
        let age = jiff::Timestamp::now().duration_since(created.created_at().unwrap());
        if age.as_secs() > 2 {
            Ok(())
        } else {
            Err(age.to_string())
        }
    };
    eventually("its seconds to pass", age).await;
    world.furnish().await;
    edit(&world, "waits", json!({ "activeDeadlineSeconds": 60 })).await;
    world.until_phase("waits", "Succeeded").await;
}

#[tokio::test]
async fn the_deadline_runs_on_through_attempts_and_restarts() {
    let flags = ["--retry-delay-min", "1h", "--retry-delay-max", "1h"];
    let mut world = held(&flags).await;
    let more = json!({ "activeDeadlineSeconds": 5, "backoffLimit": 3 });
    export(&world, "retried", more).await;
    world.until_phase("retried", "Running").await;
    let job = job_of(&world, "retried").await;
    end(&world, &job, "fail").await;
    world
        .until(
            "retried",
            "waiting for its next attempt",
            |e: &ExportJob| reason(e, "Ready") == "RetryScheduled",
        )
        .await;
    world.restart_operator().await;
    let failed = world.until_phase("retried", "Failed").await;
    assert_eq!(reason(&failed, "Failed"), "DeadlineExceeded");
    assert_eq!(failed.status.unwrap().attempts.len(), 1);
    assert_eq!(world.simulator.posts().await.len(), 1);
}
