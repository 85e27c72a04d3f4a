//! `spec.cancel`.

use aep_export_operator::api::{CancelledBy, ExportJob};
use serde_json::json;

use super::{JOBS, cancels, edit, end, export, held, job_of, status};
use crate::harness::{World, condition, eventually, is_held, reason, true_conditions};

/// Somebody cancels a job in the platform.
async fn cancel_there(world: &World, job: &str) {
    let cancelled = json!({ "status": "CANCELLED" });
    world.simulator.put(&format!("jobs/{job}"), cancelled).await;
}

#[tokio::test]
async fn an_export_that_is_cancelled_before_it_is_submitted_never_is() {
    let world = World::start("life").await;
    export(&world, "early", json!({ "cancel": true, "suspend": true })).await;
    let cancelled = world.until_phase("early", "Cancelled").await;
    assert_eq!(true_conditions(&cancelled), ["Failed", "Stalled"]);
    let status = cancelled.status.unwrap();
    assert!(status.completion_time.is_some());
    assert_eq!(status.cancellation.unwrap().by, CancelledBy::Spec);
    world.furnish().await;
    let next = export(&world, "next", json!({})).await;
    world.until_phase("next", "Succeeded").await;
    let posts = world.simulator.posts().await;
    assert_eq!(posts.len(), 1, "{posts:#?}");
    assert!(next.metadata.uid.is_some());
}

#[tokio::test]
async fn a_running_export_that_is_cancelled_ends_with_its_job_and_stays_as_the_record() {
    let world = held(&[]).await;
    export(&world, "stopped", json!({})).await;
    world.until_phase("stopped", "Running").await;
    edit(&world, "stopped", json!({ "cancel": true })).await;
    let cancelled = world.until_phase("stopped", "Cancelled").await;
    assert_eq!(reason(&cancelled, "Failed"), "Cancelled");
    let cancellation = cancelled.status.unwrap().cancellation.unwrap();
    assert!(cancellation.accepted_at.is_some());
    assert_eq!(cancellation.final_status.as_deref(), Some("CANCELLED"));
    assert_eq!(cancels(&world).await, 1);
    world
        .until("stopped", "let go", |e: &ExportJob| !is_held(e))
        .await;
    assert_eq!(world.simulator.jobs().await[0]["status"], "CANCELLED");
}

#[tokio::test]
async fn a_cancel_that_is_taken_back_stands_and_the_messages_say_so() {
    let world = held(&[]).await;
    world
        .simulator
        .fault(json!({
            "method": "DELETE", "path": format!("{JOBS}/*"),
            "action": { "reply": { "status": 204 } },
        }))
        .await;
    export(&world, "back", json!({ "cancel": false })).await;
    world.until_phase("back", "Running").await;
    edit(&world, "back", json!({ "cancel": true })).await;
    world.until_phase("back", "Cancelling").await;
    edit(&world, "back", json!({ "cancel": false })).await;
    let told = |e: &ExportJob| {
        condition(e, "Ready").is_some_and(|ready| ready.message.contains("was taken back"))
    };
    world.until("back", "told that it stands", told).await;
    world.simulator.delete("faults").await;
    let job = job_of(&world, "back").await;
    cancel_there(&world, &job).await;
    let ended = world.until_phase("back", "Cancelled").await;
    assert!(told(&ended), "{ended:#?}");
    edit(&world, "back", json!({ "cancel": true })).await;
    let seen = world
        .until("back", "seen anew", |e: &ExportJob| {
            let observed = e.status.as_ref().unwrap().observed_generation;
            observed == e.metadata.generation && !told(e)
        })
        .await;
    assert_eq!(seen.status.unwrap().phase.as_deref(), Some("Cancelled"));
}

#[tokio::test]
async fn a_cancel_that_comes_too_late_is_told_as_what_happened() {
    let world = held(&[]).await;
    export(&world, "late", json!({})).await;
    world.until_phase("late", "Running").await;
    let job = job_of(&world, "late").await;
    // Taken, and the job succeeds all the same.
    world
        .simulator
        .fault(json!({
            "method": "DELETE", "path": format!("{JOBS}/*"),
            "action": { "reply": { "status": 204 } },
        }))
        .await;
    edit(&world, "late", json!({ "cancel": true })).await;
    world.until_phase("late", "Cancelling").await;
    eventually("the job to be asked to cancel", || async {
        let asked = cancels(&world).await;
        if asked > 0 {
            Ok(())
        } else {
            Err(asked.to_string())
        }
    })
    .await;
    end(&world, &job, "release").await;
    let ended = world.until_phase("late", "Succeeded").await;
    let said = condition(&ended, "Complete").unwrap().message;
    assert!(said.contains("before it could be cancelled"), "{said}");
    let cancellation = ended.status.unwrap().cancellation.unwrap();
    assert_eq!(cancellation.final_status.as_deref(), Some("SUCCEEDED"));
}

#[tokio::test]
async fn a_cancel_after_the_end_changes_nothing_and_makes_no_call() {
    let world = World::start("life").await;
    world.furnish().await;
    export(&world, "done", json!({})).await;
    world.until_phase("done", "Succeeded").await;
    edit(&world, "done", json!({ "cancel": true })).await;
    let seen = world
        .until("done", "seen anew", |e: &ExportJob| {
            e.status.as_ref().unwrap().observed_generation == e.metadata.generation
        })
        .await;
    let status = seen.status.unwrap();
    assert_eq!(status.phase.as_deref(), Some("Succeeded"));
    assert!(status.cancellation.is_none());
    assert_eq!(cancels(&world).await, 0);
}

#[tokio::test]
async fn a_job_that_does_not_end_in_time_stalls_its_export_which_ends_with_it_all_the_same() {
    let world = held(&["--cancel-deadline", "2s"]).await;
    world
        .simulator
        .fault(json!({
            "method": "DELETE", "path": format!("{JOBS}/*"),
            "action": { "reply": { "status": 204 } },
        }))
        .await;
    export(&world, "stuck", json!({})).await;
    world.until_phase("stuck", "Running").await;
    edit(&world, "stuck", json!({ "cancel": true })).await;
    let stuck = world
        .until("stuck", "stalled", |e: &ExportJob| {
            reason(e, "Stalled") == "CancelTimedOut"
        })
        .await;
    assert_eq!(stuck.status.unwrap().phase.as_deref(), Some("Cancelling"));
    let job = job_of(&world, "stuck").await;
    let note = world.event("stuck", "CancelTimedOut").await;
    assert!(note.contains(&job), "{note}");
    cancel_there(&world, &job).await;
    world.until_phase("stuck", "Cancelled").await;
    assert_eq!(cancels(&world).await, 1);
    assert!(status(&world, "stuck").await.completion_time.is_some());
}
