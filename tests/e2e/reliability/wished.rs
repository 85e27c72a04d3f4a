//! What a spec asks for while it is not known whether the platform took the request: nothing is
//! sent for it, and it counts once the doubt is settled.

use aep_export_operator::api::ExportJob;
use serde_json::{Value, json};

use super::{
    Case, ambiguous::ambiguous, brief_world, committed, each, in_doubt, submission, world,
};
use crate::{
    harness::{World, conditions, is, reason},
    samples::JOBS,
};

/// What a spec asks for in doubt, and how the export stands in the end.
struct Wish {
    spec: Value,
    taken: bool,
    phase: &'static str,
    reason: &'static str,
    /// The state of the job, if there is one.
    job: &'static str,
}

async fn edit(world: &World, name: &str, spec: &Value) {
    let patch = json!({ "spec": spec });
    world.patch::<ExportJob>(name, patch).await.unwrap();
}

/// Waits until the operator has seen the last edit.
async fn until_seen(world: &World, name: &str) {
    world
        .until(name, "seen anew", |export: &ExportJob| {
            export.status.as_ref().unwrap().observed_generation == export.metadata.generation
        })
        .await;
}

#[tokio::test]
async fn what_a_spec_asks_for_in_doubt_counts_once_the_doubt_is_settled() {
    let world = world("wished", &[]).await;
    let wish = |spec, taken, phase, reason, job| Wish {
        spec,
        taken,
        phase,
        reason,
        job,
    };
    let cancel = || json!({ "cancel": true });
    let late = || json!({ "activeDeadlineSeconds": 1 });
    let suspend = || json!({ "suspend": true });
    let cases = vec![
        (
            "cancel, taken",
            wish(cancel(), true, "Cancelled", "Cancelled", "CANCELLED"),
        ),
        (
            "cancel, not taken",
            wish(cancel(), false, "Cancelled", "Cancelled", ""),
        ),
        (
            "deadline, taken",
            wish(late(), true, "Failed", "DeadlineExceeded", "CANCELLED"),
        ),
        (
            "deadline, not taken",
            wish(late(), false, "Failed", "DeadlineExceeded", ""),
        ),
        (
            "suspend, taken",
            wish(suspend(), true, "Running", "Running", "PROCESSING"),
        ),
        (
            "suspend, not taken",
            wish(suspend(), false, "Suspended", "Suspended", ""),
        ),
    ];
    each(cases, |name, wish| {
        let world = &world;
        async move {
            let case = Case::experienced(world, &name, json!({})).await;
            case.tenant.simulator.hold_jobs().await;
            let down = json!({ "reply": { "status": 503 } });
            case.fault("GET", JOBS, None, down).await;
            let lost = json!({ "lose": { "how": "close" } });
            case.at_next_post(committed(lost, json!(wish.taken))).await;
            case.submit(&name).await;
            world.until(&name, "in doubt", in_doubt).await;
            edit(world, &name, &wish.spec).await;
            until_seen(world, &name).await;
            case.tenant.simulator.delete("faults").await;
            let export = world.until_phase(&name, wish.phase).await;
            assert_eq!(reason(&export, "Ready"), wish.reason);
            let submission = submission(&export);
            assert_eq!(case.posts_of(&submission).await.len(), 1, "{}", world.log());
            let jobs = case.jobs_of(&submission).await;
            let states: Vec<&str> = jobs
                .iter()
                .map(|job| job["status"].as_str().unwrap())
                .collect();
            let expected: Vec<&str> = Some(wish.job)
                .into_iter()
                .filter(|s| !s.is_empty())
                .collect();
            assert_eq!(states, expected);
            case.assert_sound().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_export_that_is_cancelled_while_a_person_is_asked_still_needs_the_answer() {
    for (spec, phase) in [
        (json!({ "cancel": true }), "Cancelled"),
        (json!({ "activeDeadlineSeconds": 1 }), "Failed"),
    ] {
        let world = brief_world("wished", &[]).await;
        let (case, export, theirs) = ambiguous(&world, "asked").await;
        let asked = submission(&export);
        edit(&world, "asked", &spec).await;
        let cancelling = world.until_phase("asked", "Cancelling").await;
        assert_eq!(reason(&cancelling, "Ready"), "SubmissionAmbiguous");
        assert_eq!(case.tenant.simulator.calls("DELETE", JOBS).await.len(), 0);
        case.answer("asked", &asked.r#try, "none").await;
        world.until_phase("asked", phase).await;
        assert_eq!(case.posts_of(&asked).await.len(), 1);
        assert_eq!(case.tenant.simulator.calls("DELETE", JOBS).await.len(), 0);
        assert!(!theirs.is_empty());
        case.assert_sound().await;
    }
}

#[tokio::test]
async fn an_export_that_is_suspended_while_a_person_is_asked_is_held_back_by_the_answer_none() {
    let world = brief_world("wished", &[]).await;
    let (case, export, _) = ambiguous(&world, "asked").await;
    let asked = submission(&export);
    edit(&world, "asked", &json!({ "suspend": true })).await;
    let told = world
        .until("asked", "told", |e: &ExportJob| {
            is(&conditions(e), "Suspended", "False")
        })
        .await;
    assert_eq!(
        told.status.as_ref().unwrap().phase.as_deref(),
        Some("Ambiguous")
    );
    case.answer("asked", &asked.r#try, "none").await;
    world.until_phase("asked", "Suspended").await;
    assert_eq!(case.posts_of(&asked).await.len(), 1);
    edit(&world, "asked", &json!({ "suspend": false })).await;
    // The answer that still stands names the try before, and answers nothing of this one.
    let done = case.until_done("asked").await;
    case.assert_started_once(&done, 2).await;
}
