//! The life of an export, from its manifest to its end.

use aep_export_operator::api::{ExportJob, SubmissionOutcome};

use crate::harness::{World, is_held, outcome, reason, true_conditions};

#[tokio::test]
async fn an_export_is_submitted_once_followed_and_complete() {
    let world = World::start("life").await;
    let dataset = world.furnish().await;
    world.export("weekly").await;
    let export = world.until_phase("weekly", "Succeeded").await;
    let status = export.status.clone().unwrap();
    assert_eq!(true_conditions(&export), ["Complete", "DataAvailable", "Ready"]);
    assert_eq!(reason(&export, "Ready"), "Succeeded");
    assert_eq!(outcome(&export), Some(SubmissionOutcome::Posted));
    assert_eq!(status.dataset_id.as_deref(), Some(dataset.as_str()));
    assert_eq!(status.platform_status.as_deref(), Some("SUCCEEDED"));
    assert!(status.completion_time.is_some());
    assert_eq!(world.simulator.posts().await.len(), 1);
    let jobs = world.simulator.jobs().await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(status.job_id.unwrap(), jobs[0]["id"].to_string());
    assert_eq!(jobs[0]["requestId"], status.submission.unwrap().request_id.as_str());
    let export = world.until("weekly", "let go", |e: &ExportJob| !is_held(e)).await;
    assert!(export.metadata.deletion_timestamp.is_none());
}
