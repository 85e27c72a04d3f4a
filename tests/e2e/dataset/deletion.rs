//! Deleting an object, and its dataset with it or not.

use super::*;

fn deletes() -> Value {
    json!({ "deletionPolicy": "Delete" })
}

/// Deletes the object and waits until it is gone.
async fn delete(world: &World) {
    world.delete::<ProfileDataset>("mine").await;
    world.until_gone::<ProfileDataset>("mine").await;
}

async fn is_deleted(world: &World) -> bool {
    !only(world).await["deletedAt"].is_null()
}

/// The object is being deleted and says so.
async fn until_leaving(world: &World, reason_of: &str) -> ProfileDataset {
    let leaving = |d: &ProfileDataset| {
        d.metadata.deletion_timestamp.is_some() && reason(d, "Ready") == reason_of
    };
    world.until("mine", reason_of, leaving).await
}

#[tokio::test]
async fn a_dataset_is_deleted_with_its_object_where_its_own_spec_says_so() {
    let world = furnished(deletes()).await;
    let id = world.dataset_id("mine").await;
    delete(&world).await;
    assert!(is_deleted(&world).await);
    assert_eq!(calls(&world, "DELETE").await, 1);
    assert_eq!(
        world.simulator.lists().await.len(),
        1,
        "no job runs into it"
    );
    let note = world.event("mine", "DatasetDeleted").await;
    assert!(note.contains(&id), "{note}");
}

#[tokio::test]
async fn a_dataset_that_is_gone_already_is_no_trouble() {
    let world = furnished(deletes()).await;
    let id = world.dataset_id("mine").await;
    world.simulator.delete(&format!("datasets/{id}")).await;
    delete(&world).await;
    assert_eq!(calls(&world, "DELETE").await, 0);
    world.event("mine", "DatasetDeleted").await;
    let missing = json!({ "datasetDeleteMissing": "notFound" });
    world.simulator.put("switches", missing).await;
    world
        .create::<ProfileDataset>("mine", with(&deletes()))
        .await;
    until_ready(&world, "mine").await;
    // The answer is lost, and the call took effect.
    let lost = json!({ "lose": { "how": "close", "commit": true } });
    answers(&world, "DELETE", Some(1), lost).await;
    delete(&world).await;
    let all = all(&world).await;
    assert!(all.iter().all(|dataset| !dataset["deletedAt"].is_null()));
}

#[tokio::test]
async fn a_dataset_is_held_while_exports_run_into_it_and_takes_no_new_ones() {
    for (policies, goes) in [(json!({}), false), (deletes(), true)] {
        let world = furnished(policies).await;
        for name in ["a", "b"] {
            run(&world, name, "mine").await;
        }
        world.until("mine", "held", is_held).await;
        world.delete::<ProfileDataset>("mine").await;
        let held = until_leaving(&world, "WaitingForUsers").await;
        assert_eq!(true_conditions(&held), ["InUse", "Reconciling"]);
        let said = condition(&held, "InUse").unwrap().message;
        assert!(said.contains("ExportJobs a, b"), "{said}");
        world.create::<ExportJob>("late", export_into("mine")).await;
        let waits = |e: &ExportJob| reason(e, "Ready") == "DatasetNotReady";
        world.until("late", "waiting", waits).await;
        world.delete::<ExportJob>("b").await;
        world.until_gone::<ExportJob>("b").await;
        let one = |d: &ProfileDataset| {
            condition(d, "InUse").is_some_and(|c| c.message.contains("ExportJob a"))
        };
        world.until("mine", "held by one", one).await;
        assert!(!is_deleted(&world).await);
        end_all(&world).await;
        world.until_gone::<ProfileDataset>("mine").await;
        assert_eq!(is_deleted(&world).await, goes);
        assert_eq!(world.simulator.posts().await.len(), 2);
    }
}

#[tokio::test]
async fn a_dataset_is_not_deleted_under_an_export_in_doubt_that_names_it_by_its_id() {
    let world = furnished(deletes()).await;
    let id = world.dataset_id("mine").await;
    let lost = json!({
        "method": "POST", "path": "/data/core/ups/export/jobs",
        "action": { "lose": { "how": "close", "commit": false } },
    });
    world.simulator.fault(lost).await;
    let spec = json!({
        "connectionRef": { "name": "prod" },
        "export": { "destination": { "datasetId": id } },
    });
    world.create::<ExportJob>("direct", spec).await;
    let doubted = |e: &ExportJob| reason(e, "Ready") == "SubmissionInDoubt";
    world.until("direct", "in doubt", doubted).await;
    world.delete::<ProfileDataset>("mine").await;
    let held = until_leaving(&world, "WaitingForUsers").await;
    let said = condition(&held, "InUse").unwrap().message;
    assert!(said.contains("ExportJob direct"), "{said}");
    assert_eq!(calls(&world, "DELETE").await, 0);
}

#[tokio::test]
async fn many_exports_are_counted_and_the_first_few_named() {
    let world = furnished(json!({})).await;
    world.simulator.hold_jobs().await;
    for index in 0..8 {
        let name = format!("e{index}");
        world.create::<ExportJob>(&name, export_into("mine")).await;
    }
    for index in 0..8 {
        world.until_phase(&format!("e{index}"), "Running").await;
    }
    world.delete::<ProfileDataset>("mine").await;
    let counted = |d: &ProfileDataset| {
        let said = condition(d, "InUse").map(|c| c.message).unwrap_or_default();
        said.contains("ExportJobs e0, e1, e2, e3, e4 and 3 more")
    };
    world.until("mine", "held", counted).await;
    end_all(&world).await;
    world.until_gone::<ProfileDataset>("mine").await;
}

#[tokio::test]
async fn a_dataset_is_not_deleted_under_a_job_that_no_export_here_knows() {
    let world = furnished(deletes()).await;
    let id = world.dataset_id("mine").await;
    let job =
        json!({ "datasetId": id, "status": "PROCESSING", "outcome": "hold", "foreign": true });
    let job = world.simulator.post("jobs", job).await["id"].to_string();
    world.delete::<ProfileDataset>("mine").await;
    let held = until_leaving(&world, "WaitingForUsers").await;
    let said = condition(&held, "InUse").unwrap().message;
    assert!(said.contains(job.trim_matches('"')), "{said}");
    assert!(!is_deleted(&world).await);
    world
        .simulator
        .put(
            &format!("jobs/{}", job.trim_matches('"')),
            json!({ "outcome": "release", "status": null, "finishNow": true }),
        )
        .await;
    world.until_gone::<ProfileDataset>("mine").await;
    assert!(is_deleted(&world).await);
    assert_eq!(calls(&world, "DELETE").await, 1);
}

#[tokio::test]
async fn a_deletion_that_fails_is_told_and_tried_again_not_at_once() {
    let world = furnished(deletes()).await;
    answers(&world, "DELETE", None, unavailable()).await;
    world.delete::<ProfileDataset>("mine").await;
    let failing = until_leaving(&world, "PlatformUnavailable").await;
    assert_eq!(true_conditions(&failing), ["Reconciling"]);
    let said = condition(&failing, "Reconciling").unwrap().message;
    let line = format!("aep-export.dev/abandon={}", failing.uid().unwrap());
    assert!(said.contains(&line), "{said}");
    world.event("mine", "PlatformUnavailable").await;
    assert_tries_apart(&world, "DELETE").await;
    world.simulator.delete("faults").await;
    world.until_gone::<ProfileDataset>("mine").await;
    assert!(is_deleted(&world).await);
}

#[tokio::test]
async fn a_deletion_that_does_not_show_is_waited_for() {
    let world = furnished(deletes()).await;
    let ignored = json!({ "reply": { "status": 200, "body": ["@/dataSets/x"], "commit": false } });
    answers(&world, "DELETE", Some(1), ignored).await;
    world.delete::<ProfileDataset>("mine").await;
    world.until_gone::<ProfileDataset>("mine").await;
    assert!(is_deleted(&world).await);
    assert_eq!(calls(&world, "DELETE").await, 2);
}

#[tokio::test]
async fn a_dataset_without_the_right_to_delete_it_stalls() {
    let world = furnished(deletes()).await;
    let forbidden = json!({ "reply": { "status": 403, "body": { "title": "Forbidden" } } });
    answers(&world, "DELETE", Some(1), forbidden).await;
    world.delete::<ProfileDataset>("mine").await;
    let stalled = until_leaving(&world, "AccessDenied").await;
    assert_eq!(true_conditions(&stalled), ["Stalled"]);
    world.event("mine", "AccessDenied").await;
    world.until_gone::<ProfileDataset>("mine").await;
    assert!(is_deleted(&world).await);
}

#[tokio::test]
async fn who_only_observes_deletes_nothing_and_says_so() {
    let world =
        furnished(json!({ "deletionPolicy": "Delete", "managementPolicy": "Observe" })).await;
    delete(&world).await;
    let note = world.event("mine", "DatasetKept").await;
    assert!(note.contains("Observe"), "{note}");
    assert_eq!(calls(&world, "DELETE").await, 0);
}

#[tokio::test]
async fn a_policy_that_was_taken_back_deletes_nothing() {
    let world = furnished(deletes()).await;
    edit(&world, "mine", json!({ "deletionPolicy": null })).await;
    let free = |d: &ProfileDataset| !is_held(d);
    world.until("mine", "free", free).await;
    delete(&world).await;
    assert!(!is_deleted(&world).await);
    // Another one of its name takes it up, and may delete it.
    world
        .create::<ProfileDataset>("mine", with(&deletes()))
        .await;
    until_ready(&world, "mine").await;
    delete(&world).await;
    assert!(is_deleted(&world).await);
}

/// How a creation goes that is in doubt when its object is deleted, and whether a dataset is made.
fn doubts() -> [(Value, usize); 3] {
    let lose = |commit: Value| json!({ "lose": { "how": "close", "commit": commit } });
    [
        (lose(json!(true)), 1),
        (lose(json!({ "afterMilliseconds": 1500 })), 1),
        (lose(json!(false)), 0),
    ]
}

#[tokio::test]
async fn a_creation_in_doubt_is_settled_before_its_object_goes_and_leaves_nothing() {
    for (action, made) in doubts() {
        let mut world = World::without_operator("dataset").await;
        world.start_operator(&crate::harness::SHORT_WINDOWS).await;
        world.connect().await;
        answers(&world, "POST", Some(1), action.clone()).await;
        // What was made does not show at once.
        let lag = json!({ "tagQueryLagSeconds": 1 });
        world.simulator.put("switches", lag).await;
        world
            .create::<ProfileDataset>("mine", with(&deletes()))
            .await;
        until_reason(&world, "mine", "SubmissionInDoubt").await;
        delete(&world).await;
        let all = all(&world).await;
        assert_eq!(all.len(), made, "{action}: {all:#?}");
        assert!(all.iter().all(|dataset| !dataset["deletedAt"].is_null()));
        assert_eq!(calls(&world, "POST").await, 1, "{action}");
    }
}
