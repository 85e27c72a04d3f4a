//! T6: who may write a status, and nothing else.
//!
//! Forged jobs and datasets have their tests where submissions and datasets have theirs
//! (`stale/foreign.rs`, `dataset/owners.rs`); here is what a whole forged status comes to.

use aep_export_operator::api::ExportJob;
use serde_json::json;

use super::JOBS;
use crate::harness::{World, export_into, reason};

/// A status that names a job of somebody else's as this object's own, submission and all, on an
/// object that never submitted anything.
#[tokio::test]
async fn a_whole_status_that_was_forged_cancels_nothing_of_anybodys() {
    let mut world = World::start("forged").await;
    let dataset = world.furnish().await;
    world.simulator.hold_jobs().await;
    let foreign = json!({ "datasetId": dataset, "foreign": true, "outcome": "hold" });
    let foreign = world.simulator.post("jobs", foreign).await["id"].to_string();
    world.export("honest").await;
    let honest = world.until_phase("honest", "Running").await.status.unwrap();
    let own = honest.job_id.clone().unwrap();
    world.stop_operator();
    // One names a stranger's job, the other one that another object started, with its submission.
    let submission = serde_json::to_value(&honest.submission).unwrap();
    for (name, job) in [("of-a-stranger", &foreign), ("of-another", &own)] {
        world
            .create::<ExportJob>(name, export_into("profiles"))
            .await;
        let status = json!({ "jobId": job, "submission": submission, "phase": "Running" });
        world.write_status::<ExportJob>(name, status).await;
    }
    world.restart_operator().await;
    for name in ["of-a-stranger", "of-another"] {
        let told = |e: &ExportJob| reason(e, "Ready") == "ForeignStatus";
        world.until(name, "told", told).await;
        world.delete::<ExportJob>(name).await;
    }
    for name in ["of-a-stranger", "of-another"] {
        world.until_gone::<ExportJob>(name).await;
    }
    let cancels = world.simulator.calls("DELETE", JOBS).await;
    assert_eq!(cancels.len(), 0, "{cancels:#?}");
    let path = format!("jobs/{own}");
    let end = json!({ "outcome": "release", "finishNow": true });
    world.simulator.put(&path, end).await;
    world.until_phase("honest", "Succeeded").await;
    let summary = world.simulator.get("summary").await;
    assert_eq!(summary["foreignDeleted"], 0, "{summary:#}");
}
