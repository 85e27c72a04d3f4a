//! A job that the platform had and does not show any more.

use aep_export_operator::api::ExportJob;
use serde_json::json;

use super::{JOBS, end, export, held, job_of, status};
use crate::harness::{SHORT_WINDOWS, World, reason};

/// The platform shows nothing of this job, until faults are deleted.
async fn hide(world: &World, job: &str) {
    let body = json!({ "status": 404, "title": "Not Found", "message": "no such job" });
    let gone = json!({
        "method": "GET", "path": format!("{JOBS}/{job}"),
        "action": { "reply": { "status": 404, "body": body } },
    });
    world.simulator.fault(gone).await;
}

async fn until_missed(world: &World, name: &str) -> ExportJob {
    world
        .until(name, "missed", |e: &ExportJob| {
            let status = e.status.as_ref().unwrap();
            status.not_found_since.is_some() && reason(e, "Ready") == "JobNotFound"
        })
        .await
}

#[tokio::test]
async fn a_job_that_is_deleted_in_the_platform_fails_its_export_and_is_never_sent_again() {
    let flags = [&SHORT_WINDOWS[..], &["--missing-job-grace", "2s"]].concat();
    let world = held(&flags).await;
    export(&world, "gone", json!({ "backoffLimit": 3 })).await;
    world.until_phase("gone", "Running").await;
    let job = job_of(&world, "gone").await;
    world.simulator.delete(&format!("jobs/{job}")).await;
    let ended = world.until_phase("gone", "Failed").await;
    assert_eq!(reason(&ended, "Failed"), "JobNotFound");
    let status = ended.status.unwrap();
    let since = status.not_found_since.unwrap();
    assert!(
        status
            .completion_time
            .unwrap()
            .duration_since(since)
            .as_secs()
            >= 2
    );
    assert!(status.attempts.is_empty());
    assert_eq!(world.simulator.posts().await.len(), 1);
}

#[tokio::test]
async fn a_job_that_comes_back_within_the_grace_is_followed_on() {
    let world = held(&SHORT_WINDOWS).await;
    export(&world, "back", json!({})).await;
    world.until_phase("back", "Running").await;
    let job = job_of(&world, "back").await;
    hide(&world, &job).await;
    until_missed(&world, "back").await;
    world.simulator.delete("faults").await;
    world
        .until("back", "running again", |e: &ExportJob| {
            reason(e, "Ready") == "Running" && e.status.as_ref().unwrap().not_found_since.is_none()
        })
        .await;
    end(&world, &job, "release").await;
    world.until_phase("back", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 1);
}

#[tokio::test]
async fn since_when_a_job_is_missed_outlives_the_operator() {
    let flags = [&SHORT_WINDOWS[..], &["--missing-job-grace", "4s"]].concat();
    let mut world = held(&flags).await;
    export(&world, "missed", json!({})).await;
    world.until_phase("missed", "Running").await;
    let job = job_of(&world, "missed").await;
    hide(&world, &job).await;
    let missed = until_missed(&world, "missed").await;
    let since = missed.status.unwrap().not_found_since;
    for _ in 0..2 {
        world.kill_operator();
        world.restart_operator().await;
    }
    world.until_phase("missed", "Failed").await;
    assert_eq!(status(&world, "missed").await.not_found_since, since);
    assert_eq!(world.simulator.posts().await.len(), 1);
}
