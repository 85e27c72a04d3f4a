//! A connection that was deleted and made again for another sandbox, while what was begun by it is
//! not finished.

use aep_export_operator::api::{ExportJob, PlatformConnection, SubmissionOutcome};
use serde_json::{Value, json};

use super::{JOBS, acquainted, cancels, created, doubt, finish_all, nudge};
use crate::harness::{World, conditions, eventually, is, outcome, reason};

/// Two sandboxes.
async fn acquainted_with_two() -> World {
    let world = acquainted().await;
    let named = |name: &str| json!({ "name": name });
    let both = json!({ "sandboxes": [named("prod"), named("dev")] });
    world.simulator.put("sandboxes", both).await;
    world.simulator.hold_jobs().await;
    world
}

/// Makes the connection `prod` again, for this sandbox, as a person does who has no patience: what
/// was begun with it holds it.
async fn move_to(world: &World, sandbox: &str) {
    world.delete::<PlatformConnection>("prod").await;
    world.strip::<PlatformConnection>("prod").await;
    world.until_gone::<PlatformConnection>("prod").await;
    let mut spec = world.connection_spec();
    spec["sandbox"] = sandbox.into();
    world.create::<PlatformConnection>("prod", spec).await;
    world
        .until("prod", "Ready", |c: &PlatformConnection| {
            is(&conditions(c), "Ready", "True")
        })
        .await;
}

/// The calls about export jobs that went to the other sandbox.
async fn calls_elsewhere(world: &World) -> Vec<Value> {
    let ledger = world.simulator.ledger().await;
    let requests = ledger["requests"].as_array().unwrap();
    requests
        .iter()
        .filter(|call| call["sandbox"] == "dev" && call["path"].as_str().unwrap().starts_with(JOBS))
        .cloned()
        .collect()
}

async fn until_waiting(world: &World, name: &str) -> ExportJob {
    world
        .until(name, "waiting for its connection", |e: &ExportJob| {
            reason(e, "Ready") == "ConnectionNotFound"
        })
        .await
}

#[tokio::test]
async fn a_running_export_waits_for_its_connection_to_go_where_it_went_before() {
    let world = acquainted_with_two().await;
    world.export("running").await;
    let running = world.until_phase("running", "Running").await;
    move_to(&world, "dev").await;
    let waiting = until_waiting(&world, "running").await;
    assert_eq!(waiting.status.unwrap().phase.as_deref(), Some("Running"));
    finish_all(&world).await;
    world
        .patch::<ExportJob>("running", nudge("look"))
        .await
        .unwrap();
    world.delete::<ExportJob>("first").await;
    world.until_gone::<ExportJob>("first").await;
    let still = world.get("running").await.status.unwrap();
    assert_eq!(
        (still.phase.as_deref(), still.completion_time),
        (Some("Running"), None)
    );
    move_to(&world, "prod").await;
    let done = world.until_phase("running", "Succeeded").await;
    assert_eq!(super::job_of(&done), super::job_of(&running));
    assert_eq!(calls_elsewhere(&world).await, Vec::<Value>::new());
    assert_eq!(world.simulator.posts().await.len(), 2);
    assert_eq!((created(&world).await, cancels(&world).await), (2, 0));
}

#[tokio::test]
async fn a_restart_does_not_send_a_moved_export_elsewhere_nor_does_its_deletion() {
    let mut world = acquainted_with_two().await;
    for name in ["kept", "deleted"] {
        world.export(name).await;
        world.until_phase(name, "Running").await;
    }
    move_to(&world, "dev").await;
    world.stop_operator();
    world.delete::<ExportJob>("deleted").await;
    world.restart_operator().await;
    until_waiting(&world, "kept").await;
    until_waiting(&world, "deleted").await;
    assert_eq!(calls_elsewhere(&world).await, Vec::<Value>::new());
    assert_eq!(cancels(&world).await, 0);
    move_to(&world, "prod").await;
    world.until_gone::<ExportJob>("deleted").await;
    finish_all(&world).await;
    world.until_phase("kept", "Succeeded").await;
    assert_eq!(calls_elsewhere(&world).await, Vec::<Value>::new());
    assert_eq!(world.simulator.posts().await.len(), 3);
    assert_eq!((created(&world).await, cancels(&world).await), (3, 1));
}

#[tokio::test]
async fn a_doubt_is_not_settled_by_the_list_of_another_sandbox() {
    let world = acquainted_with_two().await;
    let lists = doubt(&world, "doubted").await;
    move_to(&world, "dev").await;
    lists.end();
    let waiting = until_waiting(&world, "doubted").await;
    let settled = waiting
        .status
        .as_ref()
        .unwrap()
        .submission
        .as_ref()
        .unwrap()
        .settle_after;
    // In the other sandbox the list would say "none" from now on.
    eventually("the request's time to be over", || async {
        if jiff::Timestamp::now() > settled {
            Ok(())
        } else {
            Err(settled.to_string())
        }
    })
    .await;
    world
        .patch::<ExportJob>("doubted", nudge("look"))
        .await
        .unwrap();
    // An export into the other sandbox's list would be seen by then.
    world.connect_again().await;
    let still = world.get("doubted").await;
    assert_eq!(outcome(&still), None);
    assert_eq!(calls_elsewhere(&world).await, Vec::<Value>::new());
    move_to(&world, "prod").await;
    let found = world.until_phase("doubted", "Running").await;
    assert_eq!(outcome(&found), Some(SubmissionOutcome::Adopted));
    finish_all(&world).await;
    world.until_phase("doubted", "Succeeded").await;
    assert_eq!(calls_elsewhere(&world).await, Vec::<Value>::new());
    assert_eq!(world.simulator.posts().await.len(), 2);
    assert_eq!((created(&world).await, cancels(&world).await), (2, 0));
}
