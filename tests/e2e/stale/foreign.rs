//! A status that was made for another object, a job that is another's, an identity that somebody
//! else uses too.

use aep_export_operator::api::{ExportJob, PlatformConnection};
use kube::api::PostParams;
use serde_json::{Value, json};

use super::{JOBS, acquainted, cancels, created, doubt, finish, finish_all, job_of, nudge};
use crate::harness::{World, conditions, eventually, export_into, is, is_held, reason};

/// Two exports that run.
async fn running_pair() -> (World, ExportJob, ExportJob) {
    let world = acquainted().await;
    world.simulator.hold_jobs().await;
    let mut running = Vec::new();
    for name in ["one", "two"] {
        world.export(name).await;
        running.push(world.until_phase(name, "Running").await);
    }
    let [one, two] = <[ExportJob; 2]>::try_from(running).unwrap();
    (world, one, two)
}

async fn until_foreign(world: &World, name: &str) -> ExportJob {
    world
        .until(name, "foreign", |e: &ExportJob| {
            reason(e, "Ready") == "ForeignStatus"
        })
        .await
}

/// The status of a job by the ledger.
async fn state_of(world: &World, job: &str) -> Value {
    let jobs = world.simulator.jobs().await;
    let id: i64 = job.parse().unwrap();
    let found = jobs.iter().find(|known| known["id"] == id);
    found.unwrap()["status"].clone()
}

#[tokio::test]
async fn a_job_of_a_stranger_that_was_written_into_a_status_is_neither_shown_nor_cancelled() {
    let (mut world, _, two) = running_pair().await;
    let dataset = world.dataset_id("profiles").await;
    let seed = json!({
        "datasetId": dataset, "foreign": true, "status": "SUCCEEDED",
        "errors": [{ "code": "1", "msg": "canary-foreign", "callStack": "" }],
    });
    let theirs = world.simulator.post("jobs", seed).await["id"].to_string();
    let live = json!({ "datasetId": dataset, "foreign": true, "outcome": "hold" });
    let live = world.simulator.post("jobs", live).await["id"].to_string();
    world
        .write_status::<ExportJob>("one", json!({ "jobId": theirs }))
        .await;
    world
        .patch::<ExportJob>("one", nudge("look"))
        .await
        .unwrap();
    let export = until_foreign(&world, "one").await;
    assert!(
        !serde_json::to_string(&export)
            .unwrap()
            .contains("canary-foreign")
    );
    assert_eq!(export.status.unwrap().completion_time, None);
    // Forged while nobody looked, and deleted at once.
    world.stop_operator();
    world
        .write_status::<ExportJob>("two", json!({ "jobId": live }))
        .await;
    world.delete::<ExportJob>("two").await;
    world.restart_operator().await;
    world.delete::<ExportJob>("one").await;
    world.until_gone::<ExportJob>("one").await;
    eventually("the forged one to be left or said to be unsure", || async {
        match world.api::<ExportJob>().get_opt("two").await.unwrap() {
            None => Ok(()),
            Some(export) if reason(&export, "Ready") == "ForeignStatus" => Ok(()),
            Some(export) => Err(format!("{export:#?}")),
        }
    })
    .await;
    for job in [theirs, live.clone()] {
        let path = format!("{JOBS}/{job}");
        assert_eq!(world.simulator.calls("DELETE", &path).await.len(), 0);
    }
    assert_eq!(state_of(&world, &live).await, "PROCESSING");
    assert!(job_of(&two).is_some());
    assert_eq!(world.simulator.posts().await.len(), 3);
}

#[tokio::test]
async fn a_job_that_two_objects_have_on_record_is_the_first_ones() {
    let (world, one, _) = running_pair().await;
    let first = job_of(&one).unwrap();
    // With a time that makes it look as if it had been there before the other.
    let intent = json!({ "intentTime": "2026-01-01T00:00:00Z" });
    world
        .write_status::<ExportJob>("two", json!({ "jobId": first, "submission": intent }))
        .await;
    for name in ["two", "one"] {
        world.patch::<ExportJob>(name, nudge("look")).await.unwrap();
    }
    until_foreign(&world, "two").await;
    world.delete::<ExportJob>("two").await;
    world
        .until("two", "unsure", |e: &ExportJob| {
            e.metadata.deletion_timestamp.is_some() && reason(e, "Ready") == "ForeignStatus"
        })
        .await;
    world
        .patch::<ExportJob>("one", nudge("again"))
        .await
        .unwrap();
    finish(&world, &first).await;
    let done = world.until_phase("one", "Succeeded").await;
    assert_eq!(job_of(&done).as_deref(), Some(first.as_str()));
    assert_eq!(
        world
            .simulator
            .calls("DELETE", &format!("{JOBS}/{first}"))
            .await
            .len(),
        0
    );
    // What it names has ended, and nothing is left to be unsure of.
    world.until_gone::<ExportJob>("two").await;
    assert_eq!(created(&world).await, 3);
}

#[tokio::test]
async fn an_object_that_a_backup_tool_restored_is_held_until_its_label_is_taken_off() {
    let world = acquainted().await;
    let export: ExportJob = serde_json::from_value(json!({
        "apiVersion": "aep-export.dev/v1alpha1",
        "kind": "ExportJob",
        "metadata": { "name": "restored", "labels": { "velero.io/restore-name": "nightly" } },
        "spec": export_into("profiles"),
    }))
    .unwrap();
    let exports = world.api::<ExportJob>();
    exports
        .create(&PostParams::default(), &export)
        .await
        .unwrap();
    let held = world
        .until("restored", "held", |e: &ExportJob| {
            reason(e, "Ready") == "RestoredWithoutStatus"
        })
        .await;
    assert!(is(&conditions(&held), "Stalled", "True") && !is_held(&held));
    // Another one goes its way meanwhile.
    world.export("other").await;
    world.until_phase("other", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 2);
    let none = json!({ "metadata": { "labels": { "velero.io/restore-name": null } } });
    world.patch::<ExportJob>("restored", none).await.unwrap();
    world.until_phase("restored", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 3);
    assert_eq!(created(&world).await, 3);
}

#[tokio::test]
async fn a_finalizer_stripped_in_doubt_is_put_on_again_and_the_job_is_cancelled_with_its_object() {
    let world = acquainted().await;
    world.simulator.hold_jobs().await;
    let lists = doubt(&world, "doubted").await;
    let none = json!({ "metadata": { "finalizers": null } });
    world.patch::<ExportJob>("doubted", none).await.unwrap();
    world.until("doubted", "held again", is_held).await;
    world.delete::<ExportJob>("doubted").await;
    lists.end();
    world.until_gone::<ExportJob>("doubted").await;
    let jobs = world.simulator.jobs().await;
    assert_eq!(jobs[1]["status"], "CANCELLED");
    assert_eq!(world.simulator.posts().await.len(), 2);
    assert_eq!(created(&world).await, 2);
}

#[tokio::test]
async fn a_job_with_our_request_id_that_we_did_not_send_stops_submission_and_nothing_that_runs() {
    let (world, one, _) = running_pair().await;
    let submission = one.status.unwrap().submission.unwrap();
    let settled = submission.settle_after;
    eventually("the request's time to be over", || async {
        if jiff::Timestamp::now() > settled {
            Ok(())
        } else {
            Err(settled.to_string())
        }
    })
    .await;
    world.export("three").await;
    world.until_phase("three", "Running").await;
    // What a clone of this cluster sends for the same object.
    let double = json!({
        "datasetId": world.dataset_id("profiles").await,
        "requestId": submission.request_id,
        "outcome": "hold",
    });
    let double = world.simulator.post("jobs", double).await["id"].to_string();
    // The list is read once more when the third has been there for a while.
    world
        .until("prod", "stopped", |c: &PlatformConnection| {
            reason(c, "Ready") == "IdentityInUse"
        })
        .await;
    world.export("four").await;
    world
        .until("four", "blocked", |e: &ExportJob| {
            is(&conditions(e), "Stalled", "True")
        })
        .await;
    finish_all(&world).await;
    for name in ["one", "two", "three"] {
        world.until_phase(name, "Succeeded").await;
    }
    assert_eq!(world.get("four").await.status.unwrap().submission, None);
    // The clone's job is the clone's.
    assert_eq!(cancels(&world).await, 0);
    assert_eq!(state_of(&world, &double).await, "SUCCEEDED");
    assert_eq!(world.simulator.posts().await.len(), 4);
}
