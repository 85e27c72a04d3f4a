//! The documented replies to the creation of a dataset and to a cancel.

use aep_export_operator::api::{ExportJob, ProfileDataset};
use serde_json::{Value, json};

use super::{DATASETS, JOBS, PROFILE_DATASET, reply};
use crate::harness::{World, conditions, is};

#[tokio::test]
async fn profile_guide_create_a_target_dataset_names_the_dataset() {
    let world = World::start("dataset-reply").await;
    world.connect().await;
    let next = json!({ "nextDatasetId": PROFILE_DATASET });
    world.simulator.put("defaults", next).await;
    let sample = reply("profile-create-dataset");
    let respond = json!({ "body": sample, "status": 201, "commit": true });
    world
        .simulator
        .fault(json!({ "method": "POST", "path": DATASETS, "action": { "respond": respond } }))
        .await;
    let spec = json!({
        "connectionRef": { "name": "prod" },
        "dataset": { "name": "Profile Data Export" },
    });
    world.create::<ProfileDataset>("sample", spec).await;
    let dataset = world
        .until::<ProfileDataset>("sample", "Ready", |d| is(&conditions(d), "Ready", "True"))
        .await;
    let status = dataset.status.unwrap();
    assert_eq!(status.dataset_id.as_deref(), Some(PROFILE_DATASET));
    assert_eq!(status.owned, Some(true));
}

/// Deletes an export that runs, with this answer to the cancel.
async fn cancelled_by(name: &str, action: Value) {
    let world = World::start(name).await;
    world.furnish().await;
    world.simulator.hold_jobs().await;
    world.export("sample").await;
    world.until_phase("sample", "Running").await;
    let path = format!("{JOBS}/*");
    let fault = json!({ "method": "DELETE", "path": path, "action": action });
    world.simulator.fault(fault).await;
    world.delete::<ExportJob>("sample").await;
    world.until_gone::<ExportJob>("sample").await;
    let cancels = world.simulator.calls("DELETE", JOBS).await;
    assert_eq!(cancels.len(), 1, "{cancels:?}");
    assert_eq!(cancels[0]["committed"], true);
    let jobs = world.simulator.jobs().await;
    assert_eq!(jobs[0]["status"], "CANCELLED");
}

#[tokio::test]
async fn profile_guide_cancel_an_export_job_answers_204_without_a_body() {
    let reply = json!({ "status": 204, "commit": true });
    cancelled_by("cancel-profile", json!({ "reply": reply })).await;
}

#[tokio::test]
async fn segmentation_guide_cancel_or_delete_a_specific_export_job_answers_with_a_message() {
    // Under 204, as the guide has it, HTTP drops the message.
    for status in [200, 204] {
        let sample = reply("segmentation-delete-job");
        let respond = json!({ "body": sample, "status": status, "commit": true });
        let name = format!("cancel-segmentation-{status}");
        cancelled_by(&name, json!({ "respond": respond })).await;
    }
}
