//! Lists that have many pages, lag behind or shift while they are read.

use aep_export_operator::api::{ExportJob, SubmissionOutcome};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Case, DATASET, at, brief_world, committed, each, found, in_doubt, submission, world};
use crate::{
    harness::{eventually, reason},
    samples::JOBS,
};

/// More than one page of a hundred.
const MANY: i64 = 130;
/// The pages of the list after the first.
const NEXT_PAGES: &str = "/data/core/ups/export/jobs/";

fn lost() -> Value {
    json!({ "lose": { "how": "close", "commit": true } })
}

fn by_request_id() -> (Option<SubmissionOutcome>, String) {
    (
        Some(SubmissionOutcome::Adopted),
        "Some(RequestId)".to_owned(),
    )
}

/// Puts so many jobs of somebody else's into the dataset, made from this time on.
async fn seed(case: &Case<'_>, count: i64, from: Timestamp) -> Vec<String> {
    let mut ids = Vec::new();
    for index in 0..count {
        let job = json!({
            "datasetId": DATASET, "foreign": true, "status": "SUCCEEDED",
            "creationTime": from.as_millisecond() + index,
        });
        let job = case.tenant.simulator.post("jobs", job).await;
        ids.push(job["id"].to_string());
    }
    ids
}

#[tokio::test]
async fn a_job_behind_more_than_a_page_of_newer_ones_is_found() {
    let world = world("pages", &[]).await;
    let world = &world;
    let cases = vec![
        (
            "opaque cursors",
            json!({ "listCursor": "creationTimeAndId" }),
        ),
        ("numeric cursors", json!({ "listCursor": "number" })),
    ];
    each(cases, |name, switches| async move {
        let case = Case::start(world, &name, switches).await;
        let closed = json!({ "reply": { "status": 503 } });
        case.fault("GET", JOBS, None, closed).await;
        case.at_next_post(lost()).await;
        case.submit(&name).await;
        case.until_jobs(1).await;
        seed(&case, MANY, Timestamp::now()).await;
        case.tenant.simulator.delete("faults").await;
        let export = case.until_done(&name).await;
        case.assert_started_once(&export, 1).await;
        assert_eq!(found(&export), by_request_id());
        let lists = case.tenant.simulator.lists().await;
        let read: Vec<_> = lists.iter().filter(|call| call["status"] == 200).collect();
        assert_eq!(read.len(), 2, "one reading of two pages: {lists:#?}");
    })
    .await;
}

#[tokio::test]
async fn a_job_that_readings_miss_because_the_list_shifts_is_not_made_again() {
    let world = brief_world("shifts", &[]).await;
    let world = &world;
    let cases = vec![
        (
            "opaque cursors",
            json!({ "listCursor": "creationTimeAndId" }),
        ),
        ("numeric cursors", json!({ "listCursor": "number" })),
    ];
    each(cases, |name, switches| async move {
        let case = Case::start(world, &name, switches).await;
        // As if the newest two had gone while the first page was read: what was on the second
        // page, the job too, is on the first one by now.
        let gone = json!({ "op": "remove", "path": "/records/0" });
        let shifted = json!({ "tenant": { "patch": [gone, gone] } });
        case.fault("GET", NEXT_PAGES, None, shifted).await;
        // Its reply is given up when a full page of newer ones is there.
        let given_up = json!({ "lose": { "how": "hang", "forMilliseconds": 2000 } });
        case.at_next_post(committed(given_up, json!(true))).await;
        case.submit(&name).await;
        let first = case.until_intended(&name).await;
        case.until_jobs(1).await;
        seed(&case, 100, Timestamp::now()).await;
        eventually("a reading after the windows", || async {
            let lists = case.tenant.simulator.calls("GET", NEXT_PAGES).await;
            let after = lists.iter().filter(|call| at(call) > first.settle_after);
            if after.count() > 0 {
                Ok(())
            } else {
                Err(lists.len().to_string())
            }
        })
        .await;
        assert!(in_doubt(&world.get(&name).await));
        case.tenant.simulator.delete("faults").await;
        let export = case.until_done(&name).await;
        case.assert_started_once(&export, 1).await;
        assert_eq!(found(&export), by_request_id());
    })
    .await;
}

#[tokio::test]
async fn a_job_that_appears_behind_the_cursor_is_found_by_a_reading_that_begins_after_the_windows()
{
    let world = world("cursor", &[]).await;
    let case = Case::start(&world, "cursor", json!({})).await;
    // The job comes when its reply was given up; until then many others do.
    let commit = json!({ "afterMilliseconds": 4000 });
    let given_up = json!({ "lose": { "how": "hang", "forMilliseconds": 2500 } });
    case.at_next_post(committed(given_up, commit)).await;
    // The second page of the first reading comes after all windows are over.
    let slow = json!({
        "method": "GET", "path": NEXT_PAGES, "times": 1,
        "action": { "delayMilliseconds": 6000 },
    });
    case.tenant.simulator.fault(slow).await;
    case.submit("cursor").await;
    let intent = case.until_intended("cursor").await.intent_time;
    seed(&case, MANY, Timestamp::now().max(intent)).await;
    let export = case.until_done("cursor").await;
    case.assert_started_once(&export, 1).await;
    assert_eq!(found(&export), by_request_id());
    let submission = submission(&export);
    let behind = &case.tenant.simulator.calls("GET", NEXT_PAGES).await[0];
    let jobs = case.jobs_of(&submission).await;
    let made: Timestamp = jobs[0]["createdAt"].as_str().unwrap().parse().unwrap();
    assert!(
        at(behind) < made,
        "the second page was asked for before there was the job"
    );
    let answered = at(behind) + SignedDuration::from_secs(6);
    assert!(
        answered > submission.settle_after,
        "and answered after the windows"
    );
    let last = case.tenant.simulator.lists().await.pop().unwrap();
    assert!(at(&last) > submission.settle_after, "{last:#?}");
}

/// Lists of which a record cannot be placed.
fn flawed() -> Vec<(&'static str, Value)> {
    let patch = |operation: Value| json!({ "tenant": { "patch": [operation] } });
    vec![
        (
            "a record without an id",
            patch(json!({ "op": "remove", "path": "/records/0/id" })),
        ),
        (
            "a record that is none",
            patch(json!({ "op": "replace", "path": "/records/0", "value": 1 })),
        ),
        (
            "a record without a time",
            patch(json!({ "op": "remove", "path": "/records/0/creationTime" })),
        ),
        (
            "no records",
            patch(json!({ "op": "remove", "path": "/records" })),
        ),
        (
            "a link elsewhere",
            patch(json!({
                "op": "add", "path": "/link", "value": { "next": "https://example.com/data/core/ups/x" },
            })),
        ),
        ("cut", json!({ "tenant": { "cut": { "afterBytes": 40 } } })),
        (
            "a page",
            json!({ "reply": { "status": 200, "body": "<html></html>" } }),
        ),
        (
            "404 of a page",
            json!({ "reply": { "status": 404, "body": "<html></html>" } }),
        ),
    ]
}

#[tokio::test]
async fn a_list_that_cannot_be_read_whole_never_shows_that_nothing_is_there() {
    let world = brief_world("flawed", &[]).await;
    let world = &world;
    each(flawed(), |name, action| async move {
        let case = Case::start(world, &name, json!({})).await;
        // A record that can be wrong.
        seed(&case, 1, Timestamp::now() - SignedDuration::from_hours(1)).await;
        case.fault("GET", JOBS, None, action).await;
        let lost = json!({ "lose": { "how": "close", "commit": false } });
        case.at_next_post(lost).await;
        case.submit(&name).await;
        let first = case.until_intended(&name).await;
        eventually("readings after the windows", || async {
            let lists = case.tenant.simulator.lists().await;
            let after = lists.iter().filter(|call| at(call) > first.settle_after);
            if after.count() >= 1 {
                Ok(())
            } else {
                Err(lists.len().to_string())
            }
        })
        .await;
        let export: ExportJob = world.get(&name).await;
        assert_eq!(
            case.posts_of(&first).await.len(),
            1,
            "{}",
            reason(&export, "Ready")
        );
        case.tenant.simulator.delete("faults").await;
        let export = case.until_done(&name).await;
        case.assert_started_once(&export, 2).await;
    })
    .await;
}
