//! Exports that are let go before their doubt is settled: by a person's word, or with their
//! namespace.

use aep_export_operator::api::{ABANDON_ANNOTATION, ExportJob};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt, api::DeleteParams};
use serde_json::{Value, json};

use super::{
    BRIEF_WINDOWS, Case, ambiguous::ambiguous, brief_world, committed, in_doubt, submission,
    with_flags, world,
};
use crate::{
    harness::{SHORT_WINDOWS, World, eventually, is_held, reason},
    samples::JOBS,
};

/// Has an export's request lost, and the list unreadable from then on.
async fn lose(case: &Case<'_>, name: &str) -> ExportJob {
    case.tenant.simulator.hold_jobs().await;
    let down = json!({ "reply": { "status": 503 } });
    case.fault("GET", JOBS, None, down).await;
    let lost = json!({ "lose": { "how": "close" } });
    case.at_next_post(committed(lost, json!(true))).await;
    case.submit(name).await;
    case.world.until(name, "in doubt", in_doubt).await
}

async fn abandon(world: &World, export: &ExportJob) {
    let annotations = json!({ ABANDON_ANNOTATION: export.uid() });
    let patch = json!({ "metadata": { "annotations": annotations } });
    let name = export.name_any();
    world.patch::<ExportJob>(&name, patch).await.unwrap();
}

/// Deletes the namespace, and waits until it is gone.
async fn go(world: &World) {
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let params = DeleteParams::default();
    namespaces.delete(&world.namespace, &params).await.unwrap();
    eventually("the namespace to be gone", || async {
        match namespaces.get_opt(&world.namespace).await.unwrap() {
            None => Ok(()),
            Some(there) => Err(format!("{:#?}\n{}", there.status, world.log())),
        }
    })
    .await;
}

#[tokio::test]
async fn an_export_in_doubt_is_kept_until_it_is_abandoned_and_its_request_is_named() {
    let world = world("abandoned", &["--cancel-deadline", "1s"]).await;
    let case = Case::experienced(&world, "doubt", json!({})).await;
    let export = lose(&case, "doubt").await;
    let sent = submission(&export);
    world.delete::<ExportJob>("doubt").await;
    let cancelling = world.until_phase("doubt", "Cancelling").await;
    let began = cancelling
        .status
        .unwrap()
        .cancellation
        .unwrap()
        .requested_at;
    eventually("all windows and the deadline to be over", || async {
        let now = jiff::Timestamp::now();
        let seconds = now.duration_since(began.max(sent.settle_after)).as_secs();
        if seconds > 3 {
            Ok(())
        } else {
            Err(seconds.to_string())
        }
    })
    .await;
    let kept = world.get("doubt").await;
    assert!(is_held(&kept));
    abandon(&world, &kept).await;
    world.until_gone::<ExportJob>("doubt").await;
    let note = world.event("doubt", "Abandoned").await;
    assert!(note.contains(&sent.request_id), "{note}");
    let named = world.let_go().await;
    let left = format!("left=\"{}\"", sent.request_id);
    assert!(named.iter().any(|line| line.contains(&left)), "{named:?}");
    assert_eq!(case.posts_of(&sent).await.len(), 1);
    case.assert_sound().await;
}

#[tokio::test]
async fn an_export_that_waits_for_a_person_can_be_abandoned_and_its_candidates_are_named() {
    let world = brief_world("abandoned", &[]).await;
    let (case, export, theirs) = ambiguous(&world, "asked").await;
    world.delete::<ExportJob>("asked").await;
    world.until_phase("asked", "Cancelling").await;
    abandon(&world, &export).await;
    world.until_gone::<ExportJob>("asked").await;
    let note = world.event("asked", "Abandoned").await;
    assert!(note.contains(&theirs), "{note}");
    let named = world.let_go().await;
    let left = format!("left=\"{theirs}\"");
    assert!(named.iter().any(|line| line.contains(&left)), "{named:?}");
    let asked: Vec<Value> = case.tenant.simulator.calls("DELETE", JOBS).await;
    assert!(asked.is_empty(), "{asked:#?}");
    case.assert_sound().await;
}

#[tokio::test]
async fn in_a_namespace_that_goes_an_export_in_doubt_is_let_go_at_its_deadline_and_named() {
    let mut world = World::without_operator("abandoned").await;
    world.live_elsewhere().await;
    let flags = [&SHORT_WINDOWS[..], &["--cancel-deadline", "2s"]].concat();
    let world = with_flags(world, &flags).await;
    let case = Case::experienced(&world, "going", json!({})).await;
    let sent = submission(&lose(&case, "going").await);
    go(&world).await;
    let named = world.let_go().await;
    let left = format!("left=\"{}\"", sent.request_id);
    assert!(named.iter().any(|line| line.contains(&left)), "{named:?}");
    assert_eq!(case.posts_of(&sent).await.len(), 1);
}

#[tokio::test]
async fn in_a_namespace_that_goes_an_export_that_waits_for_a_person_is_let_go_at_its_deadline() {
    let mut world = World::without_operator("abandoned").await;
    let home = world.live_elsewhere().await;
    let flags = [&BRIEF_WINDOWS[..], &["--cancel-deadline", "2s"]].concat();
    let world = with_flags(world, &flags).await;
    let (case, _, theirs) = ambiguous(&world, "going").await;
    go(&world).await;
    let note = world.event_in(&home, "DeletedInDoubt").await.note.unwrap();
    assert!(note.contains(&theirs), "{note}");
    let asked = case.tenant.simulator.calls("DELETE", JOBS).await;
    assert!(asked.is_empty(), "{asked:#?}");
}

#[tokio::test]
async fn an_answer_left_standing_settles_no_doubt_of_the_next_attempt() {
    let retries = ["--retry-delay-min", "100ms", "--retry-delay-max", "200ms"];
    let world = brief_world("standing", &retries).await;
    let (case, export, _) = ambiguous(&world, "twice").await;
    let first = submission(&export);
    case.tenant.simulator.hold_jobs().await;
    case.answer("twice", &first.r#try, "none").await;
    let running = world.until_phase("twice", "Running").await;
    let limit = json!({ "spec": { "backoffLimit": 1 } });
    world.patch::<ExportJob>("twice", limit).await.unwrap();
    // The second attempt is lost, with a job of somebody else's in its window.
    let dropped = json!({ "lose": { "how": "close", "commit": false } });
    case.at_next_post(dropped).await;
    let job = running.status.unwrap().job_id.unwrap();
    let fail = json!({ "outcome": "fail", "finishNow": true });
    case.tenant
        .simulator
        .put(&format!("jobs/{job}"), fail)
        .await;
    let second = world
        .until("twice", "in doubt anew", |export: &ExportJob| {
            in_doubt(export) && submission(export).request_id != first.request_id
        })
        .await;
    let theirs = case.foreign_job().await;
    let asked = world
        .until("twice", "ambiguous anew", |export: &ExportJob| {
            reason(export, "Stalled") == "SubmissionAmbiguous"
        })
        .await;
    let annotations = asked.annotations();
    assert!(annotations.values().any(|word| word.ends_with("=none")));
    let second = submission(&second);
    assert_eq!(submission(&asked).request_id, second.request_id);
    assert_eq!(case.posts_of(&second).await.len(), 1);
    case.answer("twice", &submission(&asked).r#try, &theirs)
        .await;
    let taken = world.until_phase("twice", "Running").await;
    assert_eq!(taken.status.unwrap().job_id, Some(theirs));
    case.assert_sound().await;
}
