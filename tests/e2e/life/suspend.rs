//! `spec.suspend`.

use aep_export_operator::api::ExportJob;
use serde_json::json;

use super::{edit, end, export, held, job_of};
use crate::harness::{World, condition, conditions, eventually, is, reason, true_conditions};

#[tokio::test]
async fn a_suspended_export_is_not_submitted_until_it_is_resumed() {
    let world = World::start("life").await;
    world.furnish().await;
    export(&world, "later", json!({ "suspend": true })).await;
    let suspended = world.until_phase("later", "Suspended").await;
    assert_eq!(true_conditions(&suspended), ["Suspended"]);
    assert!(suspended.metadata.finalizers.is_none());
    export(&world, "other", json!({})).await;
    world.until_phase("other", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 1);
    edit(&world, "later", json!({ "suspend": false })).await;
    let done = world.until_phase("later", "Succeeded").await;
    assert!(condition(&done, "Suspended").is_none());
    assert_eq!(world.simulator.posts().await.len(), 2);
}

#[tokio::test]
async fn a_running_export_that_is_suspended_goes_on_and_says_so() {
    let world = held(&[]).await;
    export(&world, "goes-on", json!({})).await;
    world.until_phase("goes-on", "Running").await;
    edit(&world, "goes-on", json!({ "suspend": true })).await;
    let told = world
        .until("goes-on", "told", |e: &ExportJob| {
            is(&conditions(e), "Suspended", "False")
        })
        .await;
    assert_eq!(reason(&told, "Suspended"), "AlreadySubmitted");
    let job = job_of(&world, "goes-on").await;
    end(&world, &job, "release").await;
    let done = world.until_phase("goes-on", "Succeeded").await;
    assert!(condition(&done, "Suspended").is_none());
    assert_eq!(super::cancels(&world).await, 0);
}

#[tokio::test]
async fn a_suspension_between_two_attempts_holds_the_next_one_back_and_starts_its_time_anew() {
    let world = held(&["--retry-delay-min", "1s", "--retry-delay-max", "1s"]).await;
    let more = json!({ "backoffLimit": 1, "activeDeadlineSeconds": 3600 });
    export(&world, "paused", more).await;
    world.until_phase("paused", "Running").await;
    edit(&world, "paused", json!({ "suspend": true })).await;
    let job = job_of(&world, "paused").await;
    end(&world, &job, "fail").await;
    let suspended = world.until_phase("paused", "Suspended").await;
    let attempts = suspended.status.unwrap().attempts;
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].suspended, Some(true));
    // Counted from the first attempt it would be over by now.
    eventually("two seconds to pass since the first attempt", || async {
        let since = attempts[0].start_time.unwrap();
        let age = jiff::Timestamp::now().duration_since(since);
        if age.as_secs() > 2 {
            Ok(())
        } else {
            Err(age.to_string())
        }
    })
    .await;
    edit(&world, "paused", json!({ "activeDeadlineSeconds": 2 })).await;
    let seen = world
        .until("paused", "seen anew", |e: &ExportJob| {
            e.status.as_ref().unwrap().observed_generation == e.metadata.generation
        })
        .await;
    assert_eq!(seen.status.unwrap().phase.as_deref(), Some("Suspended"));
    let resumed = json!({ "suspend": false, "activeDeadlineSeconds": 3600 });
    edit(&world, "paused", resumed).await;
    world.until_phase("paused", "Running").await;
    assert_eq!(world.simulator.posts().await.len(), 2);
}
