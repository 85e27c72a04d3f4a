//! A doubt that a person settles, by an annotation that names the try and the job.

use aep_export_operator::api::{ExportJob, SubmissionEvidence, SubmissionOutcome};
use serde_json::json;

use super::{Case, brief_world, in_doubt, submission};
use crate::{
    contract::kstatus::Kstatus,
    gitops::Record,
    harness::{World, condition, eventually, reason},
};

fn is_ambiguous(export: &ExportJob) -> bool {
    reason(export, "Stalled") == "SubmissionAmbiguous"
}

/// An export whose request was lost, in a tenant that shows request ids, with a job of somebody
/// else's in its window; and that job.
pub(super) async fn ambiguous<'a>(world: &'a World, name: &str) -> (Case<'a>, ExportJob, String) {
    let case = Case::experienced(world, name, json!({})).await;
    let dropped = json!({ "lose": { "how": "close", "commit": false } });
    case.at_next_post(dropped).await;
    case.submit(name).await;
    world.until(name, "in doubt", in_doubt).await;
    let theirs = case.foreign_job().await;
    let export = world.until(name, "ambiguous", is_ambiguous).await;
    (case, export, theirs)
}

/// How many passes over exports there were.
async fn passes(world: &World) -> u64 {
    let page = world.admin_page("/metrics").await;
    let count = page.lines().find_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let is_it = series.contains("_count{") && series.contains("ExportJob");
        is_it.then(|| value.parse().unwrap())
    });
    count.unwrap_or_else(|| panic!("{page}"))
}

#[tokio::test]
async fn a_person_who_says_that_no_job_is_ours_has_the_request_sent_again_once() {
    let world = brief_world("none", &[]).await;
    let (case, export, theirs) = ambiguous(&world, "none").await;
    let first = submission(&export);
    case.answer("none", &first.r#try, "none").await;
    let export = case.until_done("none").await;
    case.assert_started_once(&export, 2).await;
    assert_ne!(export.status.unwrap().job_id, Some(theirs));
}

#[tokio::test]
async fn a_person_who_names_a_candidate_has_it_followed() {
    let world = brief_world("named", &[]).await;
    let (case, export, theirs) = ambiguous(&world, "named").await;
    let first = submission(&export);
    case.answer("named", &first.r#try, &theirs).await;
    let export = world.until_phase("named", "Running").await;
    let submission = submission(&export);
    assert_eq!(submission.outcome, Some(SubmissionOutcome::Adopted));
    assert_eq!(submission.evidence, Some(SubmissionEvidence::Person));
    assert_eq!(submission.answer, Some(format!("{}={theirs}", first.r#try)));
    assert_eq!(export.status.unwrap().job_id, Some(theirs));
    assert_eq!(case.posts_of(&first).await.len(), 1);
}

#[tokio::test]
async fn an_answer_that_names_no_candidate_or_another_try_changes_nothing_and_says_so() {
    let world = brief_world("wrong", &[]).await;
    let (case, export, theirs) = ambiguous(&world, "wrong").await;
    let first = submission(&export);
    // Somebody's job into the dataset, but not in the window.
    let before = json!({
        "datasetId": super::DATASET, "foreign": true, "outcome": "hold",
        "creationTime": first.intent_time.as_millisecond() - 60_000,
    });
    let before = case.tenant.simulator.post("jobs", before).await["id"].to_string();
    for wrong in ["999", before.as_str(), "../1", ""] {
        case.answer("wrong", &first.r#try, wrong).await;
        if wrong.is_empty() {
            continue;
        }
        let refused = |export: &ExportJob| {
            let stalled = condition(export, "Stalled");
            stalled.is_some_and(|c| c.message.contains(&format!("the answer {wrong} is not")))
        };
        let export = world.until("wrong", "refusing the answer", refused).await;
        assert!(is_ambiguous(&export));
    }
    for word in [theirs.as_str(), "none"] {
        let before = passes(&world).await;
        case.answer("wrong", "another-try", word).await;
        eventually("a pass", || async {
            let now = passes(&world).await;
            if now > before {
                Ok(())
            } else {
                Err(now.to_string())
            }
        })
        .await;
    }
    let export = world.get("wrong").await;
    assert!(in_doubt(&export) && is_ambiguous(&export));
    assert_eq!(submission(&export).r#try, first.r#try);
    assert_eq!(case.posts_of(&first).await.len(), 1);
    assert_eq!(case.jobs_of(&first).await.len(), 0);
    case.assert_sound().await;
}

#[tokio::test]
async fn a_question_to_a_person_outlives_a_restart_and_the_candidates() {
    let mut world = brief_world("asked", &[]).await;
    let (case, export, theirs) = ambiguous(&world, "asked").await;
    let tenant = case.tenant;
    let first = submission(&export);
    world.kill_operator();
    tenant.simulator.delete(&format!("jobs/{theirs}")).await;
    let read = tenant.simulator.lists().await.len();
    world.restart_operator().await;
    eventually("another reading", || async {
        let now = tenant.simulator.lists().await.len();
        if now > read { Ok(()) } else { Err(world.log()) }
    })
    .await;
    let export = world.until("asked", "ambiguous", is_ambiguous).await;
    assert!(in_doubt(&export));
    assert_eq!(submission(&export).candidates, first.candidates);
    let posts = tenant.simulator.posts().await;
    let sent = posts
        .iter()
        .filter(|post| post["requestId"] == first.request_id.as_str());
    assert_eq!(sent.count(), 1);
}

#[tokio::test]
async fn a_job_with_our_id_that_shows_at_last_ends_the_question_by_itself() {
    let world = brief_world("shows", &[]).await;
    let case = Case::experienced(&world, "shows", json!({})).await;
    // Far later than the windows allow.
    let late = json!({ "lose": { "how": "close", "commit": { "afterMilliseconds": 15_000 } } });
    case.at_next_post(late).await;
    case.submit("shows").await;
    world.until("shows", "in doubt", in_doubt).await;
    case.foreign_job().await;
    world.until("shows", "ambiguous", is_ambiguous).await;
    let export = case.until_done("shows").await;
    case.assert_started_once(&export, 1).await;
    assert_eq!(
        submission(&export).evidence,
        Some(SubmissionEvidence::RequestId)
    );
}

#[tokio::test]
async fn a_question_to_a_person_is_a_failure_to_kstatus_and_to_argo_cd() {
    let world = brief_world("asked", &[]).await;
    let record = Record::begin(&world);
    let (_case, _, _) = ambiguous(&world, "asked").await;
    let asked = "Ambiguous SubmissionAmbiguous";
    record.until("ExportJob", "asked", asked).await;
    let states = record.end().await;
    assert_eq!(states[&format!("ExportJob {asked}")], Kstatus::Failed);
    let doubt = states["ExportJob Submitting SubmissionInDoubt"];
    assert_eq!(doubt, Kstatus::InProgress);
}
