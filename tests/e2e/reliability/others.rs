//! Exports that are alike, and jobs of somebody else's.

use aep_export_operator::api::{ExportJob, SubmissionOutcome};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Case, brief_world, each, found, in_doubt, submission};
use crate::harness::{condition, reason};

/// Ids are shown nowhere.
fn without_echo() -> Value {
    json!({ "requestIdEcho": { "post": false, "get": false, "list": false } })
}

fn lost(commit: bool) -> Value {
    json!({ "lose": { "how": "close", "commit": commit } })
}

fn is_ambiguous(export: &ExportJob) -> bool {
    reason(export, "Stalled") == "SubmissionAmbiguous"
}

/// The ids of the candidates on record, sorted.
fn candidates(export: &ExportJob) -> Vec<String> {
    let candidates = submission(export).candidates.into_iter();
    let mut ids: Vec<_> = candidates.map(|candidate| candidate.job_id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn two_equal_exports_in_doubt_at_once_find_each_its_own_job() {
    let world = brief_world("equal", &[]).await;
    let world = &world;
    let cases = vec![("known", true), ("not known yet", false)];
    each(cases, |name, experienced| async move {
        let case = if experienced {
            Case::experienced(world, &name, json!({})).await
        } else {
            Case::start(world, &name, json!({})).await
        };
        case.fault("POST", crate::samples::JOBS, Some(2), lost(true))
            .await;
        let names = [format!("{name}-a"), format!("{name}-b")];
        for name in &names {
            case.submit(name).await;
        }
        for name in &names {
            let export = case.until_done(name).await;
            case.assert_started_once(&export, 1).await;
            assert_eq!(found(&export).1, "Some(RequestId)");
        }
    })
    .await;
}

#[tokio::test]
async fn two_equal_exports_whose_ids_are_not_shown_are_submitted_one_after_the_other() {
    let world = brief_world("equal", &[]).await;
    let case = Case::experienced(&world, "equal", without_echo()).await;
    case.fault("POST", crate::samples::JOBS, Some(2), lost(true))
        .await;
    let mut jobs = Vec::new();
    for name in ["a", "b"] {
        case.submit(name).await;
    }
    for name in ["a", "b"] {
        let export = case.until_done(name).await;
        let ways = [SubmissionOutcome::Posted, SubmissionOutcome::Adopted];
        assert!(ways.contains(&found(&export).0.unwrap()));
        assert_eq!(case.posts_of(&submission(&export)).await.len(), 1);
        jobs.push(export.status.unwrap().job_id.unwrap());
    }
    jobs.sort();
    jobs.dedup();
    assert_eq!(jobs.len(), 2, "one job for each");
    assert_eq!(case.tenant.simulator.jobs().await.len(), 3);
    case.assert_sound().await;
    // No request was sent while the one before was in doubt.
    let posts = case.tenant.simulator.posts().await;
    let apart = super::at(&posts[2]).duration_since(super::at(&posts[1]));
    assert!(apart > SignedDuration::from_secs(1), "{posts:#?}");
}

#[tokio::test]
async fn a_job_of_somebody_elses_in_the_window_is_left_alone_where_ids_are_shown() {
    let world = brief_world("foreign", &[]).await;
    let case = Case::experienced(&world, "foreign", json!({})).await;
    case.at_next_post(lost(true)).await;
    case.foreign_job().await;
    case.submit("taken").await;
    case.foreign_job().await;
    let export = case.until_done("taken").await;
    case.assert_started_once(&export, 1).await;
    assert_eq!(found(&export).1, "Some(RequestId)");
}

#[tokio::test]
async fn a_job_without_our_id_where_ids_are_shown_is_a_persons_to_judge() {
    let world = brief_world("foreign", &[]).await;
    let case = Case::experienced(&world, "foreign", json!({})).await;
    case.at_next_post(lost(false)).await;
    case.submit("dropped").await;
    let doubt = world.until("dropped", "in doubt", in_doubt).await;
    let theirs = case.foreign_job().await;
    let export = world.until("dropped", "ambiguous", is_ambiguous).await;
    assert_eq!(
        export.status.as_ref().unwrap().phase.as_deref(),
        Some("Ambiguous")
    );
    assert_eq!(candidates(&export), [theirs]);
    let first = submission(&doubt);
    assert_eq!(case.posts_of(&first).await.len(), 1);
    case.answer("dropped", &first.r#try, "none").await;
    let export = case.until_done("dropped").await;
    case.assert_started_once(&export, 2).await;
}

#[tokio::test]
async fn of_several_jobs_that_may_be_ours_a_person_says_which() {
    let world = brief_world("foreign", &[]).await;
    let case = Case::experienced(&world, "foreign", without_echo()).await;
    case.tenant.simulator.hold_jobs().await;
    case.at_next_post(lost(true)).await;
    case.submit("several").await;
    let doubt = world.until("several", "in doubt", in_doubt).await;
    case.until_jobs(2).await;
    let theirs = case.foreign_job().await;
    let export = world.until("several", "ambiguous", is_ambiguous).await;
    let jobs = case.tenant.simulator.jobs().await;
    let own = jobs
        .iter()
        .find(|job| job["call"].is_number() && job["status"] != "SUCCEEDED");
    let own = own.unwrap()["id"].to_string();
    let mut both = vec![own.clone(), theirs];
    both.sort();
    assert_eq!(candidates(&export), both);
    let said = condition(&export, "Stalled").unwrap().message;
    assert!(
        said.contains("kubectl annotate") && said.contains(&own),
        "{said}"
    );
    case.answer("several", &submission(&doubt).r#try, &own)
        .await;
    let export = world.until_phase("several", "Running").await;
    assert_eq!(
        export.status.as_ref().unwrap().job_id.as_deref(),
        Some(own.as_str())
    );
    assert_eq!(found(&export).1, "Some(Person)");
    // What a person named may be cancelled.
    world.delete::<ExportJob>("several").await;
    world.until_gone::<ExportJob>("several").await;
    let jobs = case.tenant.simulator.jobs().await;
    let cancelled: Vec<_> = jobs
        .iter()
        .filter(|job| job["status"] == "CANCELLED")
        .collect();
    assert_eq!(cancelled.len(), 1, "{jobs:#?}");
    assert_eq!(cancelled[0]["id"].to_string(), own);
    case.assert_sound().await;
    assert_eq!(case.posts_of(&submission(&doubt)).await.len(), 1);
}

#[tokio::test]
async fn the_only_job_in_the_window_is_followed_and_never_cancelled_without_a_persons_word() {
    let world = brief_world("only", &["--cancel-deadline", "30s"]).await;
    let world = &world;
    // Whose it is cannot be told: with the person's word it is asked to cancel, once.
    let cases = vec![("ours", true), ("theirs", false)];
    each(cases, |name, ours| async move {
        let case = Case::experienced(world, &name, without_echo()).await;
        case.tenant.simulator.hold_jobs().await;
        case.at_next_post(lost(ours)).await;
        case.submit(&name).await;
        let doubt = world.until(&name, "in doubt", in_doubt).await;
        if !ours {
            case.foreign_job().await;
        }
        let export = world.until_phase(&name, "Running").await;
        assert_eq!(found(&export).1, "Some(Window)");
        let job = export.status.unwrap().job_id.unwrap();
        world.delete::<ExportJob>(&name).await;
        let waits = |export: &ExportJob| reason(export, "Ready") == "SubmissionAmbiguous";
        let export = world.until(&name, "waiting for a word", waits).await;
        let said = condition(&export, "Ready").unwrap().message;
        assert!(said.contains("kubectl annotate"), "{said}");
        let deletes = || case.tenant.simulator.calls("DELETE", crate::samples::JOBS);
        assert_eq!(deletes().await.len(), 0);
        case.assert_sound().await;
        case.answer(&name, &submission(&doubt).r#try, &job).await;
        world.until_gone::<ExportJob>(&name).await;
        let asked = deletes().await;
        assert_eq!(asked.len(), 1, "{asked:#?}");
        assert_eq!(case.posts_of(&submission(&doubt)).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_job_in_the_window_that_asks_for_something_else_is_not_ours() {
    let world = brief_world("differs", &[]).await;
    let echo = json!({
        "requestIdEcho": { "post": false, "get": false, "list": false },
        "filterEcho": { "post": true, "get": true, "list": true },
        "fieldsEcho": { "post": true, "get": true, "list": true },
    });
    let case = Case::experienced(&world, "differs", echo).await;
    case.at_next_post(lost(false)).await;
    case.submit("differs").await;
    world.until("differs", "in doubt", in_doubt).await;
    let body = json!({
        "destination": { "datasetId": super::DATASET },
        "schema": { "name": "_xdm.context.other" },
    });
    let job =
        json!({ "datasetId": super::DATASET, "foreign": true, "outcome": "hold", "body": body });
    case.tenant.simulator.post("jobs", job).await;
    let export = case.until_done("differs").await;
    assert_eq!(case.posts_of(&submission(&export)).await.len(), 2);
    assert_eq!(found(&export).0, Some(SubmissionOutcome::Posted));
    case.assert_sound().await;
}
