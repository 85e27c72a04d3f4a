//! Clocks that differ or jump, and times that are missing.

use aep_export_operator::api::{ExportJob, SubmissionEvidence, SubmissionOutcome};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Case, brief_world, each, found, in_doubt, submission, world};
use crate::harness::{eventually, outcome, reason};

const HOUR: i64 = 3600;

fn closed(commit: bool) -> Value {
    json!({ "lose": { "how": "close", "commit": commit } })
}

fn hidden() -> Value {
    json!({ "requestIdEcho": { "post": false, "get": false, "list": false } })
}

#[tokio::test]
async fn a_tenant_an_hour_away_settles_its_doubts_by_its_own_clock() {
    let world = world("clock", &[]).await;
    let world = &world;
    let cases = vec![
        ("ahead, taken", (HOUR, true, json!({}))),
        ("ahead, not taken", (HOUR, false, json!({}))),
        ("behind, taken", (-HOUR, true, json!({}))),
        ("behind, not taken", (-HOUR, false, json!({}))),
        ("ahead, ids hidden, taken", (HOUR, true, hidden())),
        ("behind, ids hidden, taken", (-HOUR, true, hidden())),
        ("ahead, ids hidden, not taken", (HOUR, false, hidden())),
        ("behind, ids hidden, not taken", (-HOUR, false, hidden())),
    ];
    each(cases, |name, (shift, taken, switches)| async move {
        let case = Case::start(world, &name, switches).await;
        let clock = json!({ "shiftSeconds": shift });
        case.tenant.simulator.put("clock", clock).await;
        // The operator learns the time from a reply.
        case.submit(&format!("{name}-first")).await;
        case.until_done(&format!("{name}-first")).await;
        case.at_next_post(closed(taken)).await;
        case.submit(&name).await;
        let export = case.until_done(&name).await;
        let posts = case.posts_of(&submission(&export)).await.len();
        assert_eq!(posts, if taken { 1 } else { 2 }, "requests");
        assert_eq!(case.tenant.simulator.jobs().await.len(), 2);
        case.assert_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_jumps_back_during_a_doubt_delays_the_second_request_and_makes_none() {
    let world = brief_world("back", &[]).await;
    let case = Case::experienced(&world, "back", json!({})).await;
    let clock = async |shift: i64| {
        let clock = json!({ "shiftSeconds": shift });
        case.tenant.simulator.put("clock", clock).await;
    };
    case.at_next_post(closed(false)).await;
    case.submit("back").await;
    let doubt = submission(&world.until("back", "in doubt", in_doubt).await);
    clock(-HOUR).await;
    let lists = || async { case.tenant.simulator.lists().await.len() };
    eventually(
        "a reading when the windows were over but for the clock",
        || {
            let over = Timestamp::now() > doubt.settle_after;
            async move {
                if over {
                    Ok(())
                } else {
                    Err("too early".to_owned())
                }
            }
        },
    )
    .await;
    let read = lists().await;
    eventually("a reading by a clock that jumped back", || async {
        let now = lists().await;
        if now > read {
            Ok(())
        } else {
            Err(now.to_string())
        }
    })
    .await;
    assert_eq!(case.posts_of(&doubt).await.len(), 1);
    clock(0).await;
    // Another one's calls tell the time.
    case.submit("other").await;
    case.until_done("other").await;
    let label = json!({ "metadata": { "labels": { "seen": "again" } } });
    world.patch::<ExportJob>("back", label).await.unwrap();
    let export = case.until_done("back").await;
    case.assert_started_once(&export, 2).await;
}

#[tokio::test]
async fn a_clock_that_jumps_forth_during_a_doubt_still_finds_the_job() {
    let world = world("forth", &[]).await;
    let case = Case::start(&world, "forth", json!({})).await;
    case.fault(
        "GET",
        crate::samples::JOBS,
        Some(1),
        json!({ "reply": { "status": 503 } }),
    )
    .await;
    case.at_next_post(closed(true)).await;
    case.submit("forth").await;
    case.until_intended("forth").await;
    let clock = json!({ "shiftSeconds": HOUR });
    case.tenant.simulator.put("clock", clock).await;
    let export = case.until_done("forth").await;
    case.assert_started_once(&export, 1).await;
    assert_eq!(found(&export).1, "Some(RequestId)");
}

/// How a list tells the time of a job; whether ids are shown; and what a job that was taken
/// unheard is found by: nothing means that a person is asked.
fn times() -> Vec<(&'static str, (Value, Option<SubmissionEvidence>))> {
    let with = |mut switches: Value, unit: &str| {
        switches["creationTimeUnit"] = json!(unit);
        switches
    };
    vec![
        (
            "seconds",
            (with(json!({}), "s"), Some(SubmissionEvidence::RequestId)),
        ),
        (
            "absent",
            (
                with(json!({}), "absent"),
                Some(SubmissionEvidence::RequestId),
            ),
        ),
        (
            "seconds, ids hidden",
            (with(hidden(), "s"), Some(SubmissionEvidence::Window)),
        ),
        ("absent, ids hidden", (with(hidden(), "absent"), None)),
    ]
}

#[tokio::test]
async fn a_job_whose_time_is_told_in_seconds_or_not_at_all_is_found_or_asked_about() {
    let world = brief_world("times", &[]).await;
    let world = &world;
    each(times(), |name, (switches, evidence)| async move {
        let case = Case::experienced(world, &name, switches).await;
        case.at_next_post(closed(true)).await;
        case.submit(&name).await;
        let doubt = case.until_intended(&name).await;
        if evidence.is_some() {
            let export = case.until_done(&name).await;
            assert_eq!(submission(&export).evidence, evidence);
        } else {
            let asked = |e: &ExportJob| reason(e, "Stalled") == "SubmissionAmbiguous";
            let export = world.until(&name, "ambiguous", asked).await;
            let candidates = submission(&export).candidates;
            let ids: Vec<_> = candidates.iter().map(|c| c.job_id.clone()).collect();
            let jobs = case.tenant.simulator.jobs().await;
            assert!(
                ids.contains(&jobs[1]["id"].to_string()),
                "{ids:?} {jobs:#?}"
            );
        }
        assert_eq!(case.posts_of(&doubt).await.len(), 1);
        assert_eq!(case.tenant.simulator.jobs().await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_doubt_older_than_the_platforms_history_is_a_persons_to_judge() {
    let mut world = world("old", &[]).await;
    let case = Case::start(&world, "old", json!({})).await;
    let tenant = case.tenant;
    // The job ends, and is purged before anybody looks.
    tenant
        .simulator
        .put("defaults", json!({ "jobDurationSeconds": 0 }))
        .await;
    let closed = json!({
        "method": "GET", "path": crate::samples::JOBS, "action": { "reply": { "status": 503 } },
    });
    tenant.simulator.fault(closed).await;
    let lost = json!({
        "method": "POST", "path": crate::samples::JOBS,
        "action": { "lose": { "how": "close", "commit": true } },
    });
    tenant.simulator.fault(lost).await;
    let spec = json!({
        "connectionRef": { "name": "old" },
        "export": { "destination": { "datasetId": super::DATASET } },
    });
    world.create::<ExportJob>("old", spec).await;
    let doubt = submission(&world.until("old", "in doubt", in_doubt).await);
    eventually("the job", || async {
        let jobs = tenant.simulator.jobs().await;
        if jobs.is_empty() {
            Err(world.log())
        } else {
            Ok(())
        }
    })
    .await;
    world.kill_operator();
    tenant
        .simulator
        .put("switches", json!({ "finishedKeptSeconds": 60 }))
        .await;
    tenant
        .simulator
        .put("clock", json!({ "shiftSeconds": 25 * HOUR }))
        .await;
    tenant.simulator.delete("faults").await;
    world.restart_operator().await;
    let asked = |e: &ExportJob| reason(e, "Stalled") == "SubmissionAmbiguous";
    let export = world.until("old", "ambiguous", asked).await;
    assert_eq!(outcome(&export), None);
    assert_eq!(tenant.simulator.posts().await.len(), 1);
    let answer = format!("{}=none", doubt.r#try);
    let annotation = json!({
        "metadata": { "annotations": { aep_export_operator::api::RESOLVE_ANNOTATION: answer } },
    });
    world.patch::<ExportJob>("old", annotation).await.unwrap();
    let posted = |e: &ExportJob| outcome(e) == Some(SubmissionOutcome::Posted);
    world.until("old", "sent again", posted).await;
    assert_eq!(tenant.simulator.posts().await.len(), 2);
}
