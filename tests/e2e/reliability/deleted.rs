//! Exports that are deleted while nobody knows what became of their request.

use aep_export_operator::api::ExportJob;
use serde_json::{Value, json};

use super::{Case, brief_world, committed, each, in_doubt, world};
use crate::{
    harness::{World, is_held, reason},
    samples::JOBS,
};

fn closed() -> Value {
    json!({ "lose": { "how": "close" } })
}

/// What a request in doubt came to, and how many jobs are there and cancelled at the end.
fn doubts() -> Vec<(&'static str, (Value, usize))> {
    let late = json!({ "afterMilliseconds": 2000 });
    vec![
        ("taken", (committed(closed(), json!(true)), 1)),
        ("taken late", (committed(closed(), late), 1)),
        ("not taken", (committed(closed(), json!(false)), 0)),
        (
            "taken twice",
            (committed(closed(), json!({ "times": 2 })), 2),
        ),
    ]
}

#[tokio::test]
async fn an_export_deleted_in_doubt_leaves_nothing_that_runs() {
    let world = world("deleted", &[]).await;
    let world = &world;
    each(doubts(), |name, (action, count)| async move {
        let case = Case::start(world, &name, json!({})).await;
        case.tenant.simulator.hold_jobs().await;
        // The list cannot be read until the object is being deleted.
        case.fault("GET", JOBS, None, json!({ "reply": { "status": 503 } }))
            .await;
        case.at_next_post(action).await;
        case.submit(&name).await;
        world.until(&name, "in doubt", in_doubt).await;
        world.delete::<ExportJob>(&name).await;
        world.until(&name, "held", is_held).await;
        case.tenant.simulator.delete("faults").await;
        world.until_gone::<ExportJob>(&name).await;
        let jobs = case.tenant.simulator.jobs().await;
        assert_eq!(jobs.len(), count, "{jobs:#?}");
        assert!(
            jobs.iter().all(|job| job["status"] == "CANCELLED"),
            "{jobs:#?}"
        );
        assert_eq!(case.tenant.simulator.posts().await.len(), 1);
        assert_eq!(
            case.tenant.simulator.calls("DELETE", JOBS).await.len(),
            count
        );
        case.assert_sound().await;
    })
    .await;
}

/// Deletes an export with a job of somebody else's in its window, and waits until it is gone.
async fn delete_ambiguous(world: &World, case: &Case<'_>, name: &str) -> String {
    case.at_next_post(committed(closed(), json!(false))).await;
    case.submit(name).await;
    world.until(name, "in doubt", in_doubt).await;
    let theirs = case.foreign_job().await;
    let asked = |export: &ExportJob| reason(export, "Stalled") == "SubmissionAmbiguous";
    world.until(name, "ambiguous", asked).await;
    world.delete::<ExportJob>(name).await;
    theirs
}

#[tokio::test]
async fn an_export_deleted_while_a_person_is_asked_is_let_go_at_its_deadline_with_a_warning() {
    let world = brief_world("deleted", &["--cancel-deadline", "2s"]).await;
    let case = Case::experienced(&world, "asked", json!({})).await;
    let theirs = delete_ambiguous(&world, &case, "asked").await;
    world.until_gone::<ExportJob>("asked").await;
    let note = world.event("asked", "DeletedInDoubt").await;
    assert!(
        note.contains(&theirs) && note.contains("request id"),
        "{note}"
    );
    assert_eq!(case.tenant.simulator.calls("DELETE", JOBS).await.len(), 0);
    assert_eq!(case.tenant.simulator.posts().await.len(), 2);
    case.assert_sound().await;
}

#[tokio::test]
async fn an_export_deleted_while_a_person_is_asked_goes_at_once_when_no_job_is_its_own() {
    let world = brief_world("deleted", &[]).await;
    let case = Case::experienced(&world, "none", json!({})).await;
    delete_ambiguous(&world, &case, "none").await;
    let export = world.until("none", "held", is_held).await;
    case.answer("none", &super::submission(&export).r#try, "none")
        .await;
    world.until_gone::<ExportJob>("none").await;
    assert_eq!(case.tenant.simulator.calls("DELETE", JOBS).await.len(), 0);
    assert_eq!(
        case.tenant.simulator.posts().await.len(),
        2,
        "none is sent for what is deleted"
    );
    case.assert_sound().await;
}

#[tokio::test]
async fn a_job_taken_up_by_its_window_outlives_its_object_if_nobody_says_a_word() {
    let world = brief_world("window", &["--cancel-deadline", "2s"]).await;
    let hidden = json!({ "requestIdEcho": { "post": false, "get": false, "list": false } });
    let case = Case::experienced(&world, "window", hidden).await;
    case.tenant.simulator.hold_jobs().await;
    case.at_next_post(committed(closed(), json!(true))).await;
    case.submit("window").await;
    let export = world.until_phase("window", "Running").await;
    let job = export.status.unwrap().job_id.unwrap();
    world.delete::<ExportJob>("window").await;
    world.until_gone::<ExportJob>("window").await;
    let note = world.event("window", "SubmissionAmbiguous").await;
    assert!(note.contains(&job), "{note}");
    assert_eq!(case.tenant.simulator.calls("DELETE", JOBS).await.len(), 0);
}

#[tokio::test]
async fn a_job_that_its_own_reply_named_is_cancelled_though_ids_are_not_shown() {
    let world = brief_world("reply", &[]).await;
    let hidden = json!({ "requestIdEcho": { "post": false, "get": false, "list": false } });
    let case = Case::experienced(&world, "reply", hidden).await;
    case.tenant.simulator.hold_jobs().await;
    case.submit("reply").await;
    world.until_phase("reply", "Running").await;
    world.delete::<ExportJob>("reply").await;
    world.until_gone::<ExportJob>("reply").await;
    let jobs = case.tenant.simulator.jobs().await;
    let cancelled = jobs.iter().filter(|job| job["status"] == "CANCELLED");
    assert_eq!(cancelled.count(), 1, "{jobs:#?}");
    assert_eq!(case.tenant.simulator.calls("DELETE", JOBS).await.len(), 1);
}
