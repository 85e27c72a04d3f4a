//! Replies that cannot be read, or say things that no document names.

use aep_export_operator::api::{SubmissionEvidence, SubmissionOutcome};
use serde_json::{Value, json};

use super::{Case, each, found, submission, world};
use crate::{
    harness::{eventually, outcome},
    samples::JOBS,
};

/// A job by its id.
const JOB: &str = "/data/core/ups/export/jobs/*";

/// The tenant's own reply, with something missing, wrong or cut off.
fn unreadable() -> Vec<(&'static str, Value)> {
    let patch = |operation: Value| json!({ "tenant": { "patch": [operation] } });
    let replace =
        |path: &str, value: Value| patch(json!({ "op": "replace", "path": path, "value": value }));
    vec![
        ("no id", patch(json!({ "op": "remove", "path": "/id" }))),
        (
            "no status",
            patch(json!({ "op": "remove", "path": "/status" })),
        ),
        ("an empty id", replace("/id", json!(""))),
        ("an id that is a path", replace("/id", json!(".."))),
        ("an id with a fraction", replace("/id", json!(1.5))),
        (
            "an id that a float may round",
            replace("/id", json!(9_007_199_254_740_993_f64)),
        ),
        ("an id that is a list", replace("/id", json!([1]))),
        ("a status that is a number", replace("/status", json!(1))),
        ("cut", json!({ "tenant": { "cut": { "afterBytes": 20 } } })),
        (
            "cut and reset",
            json!({ "tenant": { "cut": { "afterBytes": 20, "how": "reset" } } }),
        ),
        (
            "cut before its body",
            json!({ "tenant": { "cut": { "afterBytes": 0 } } }),
        ),
    ]
}

#[tokio::test]
async fn a_reply_that_names_no_job_is_settled_by_one_look_at_the_list() {
    let world = world("unreadable", &[]).await;
    let world = &world;
    each(unreadable(), |name, action| async move {
        let case = Case::start(world, &name, json!({})).await;
        case.at_next_post(action).await;
        case.submit(&name).await;
        let export = case.until_done(&name).await;
        case.assert_started_once(&export, 1).await;
        let submission = submission(&export);
        assert_eq!(submission.outcome, Some(SubmissionOutcome::Adopted));
        assert_eq!(submission.evidence, Some(SubmissionEvidence::RequestId));
        case.assert_one_look(&export).await;
    })
    .await;
}

/// Replies that are odd and yet name the job.
fn odd() -> Vec<(&'static str, (Value, i64, Value))> {
    let own = || json!({ "tenant": {} });
    let status = json!({ "op": "replace", "path": "/status", "value": "PONDERING" });
    let bare = json!([
        { "op": "remove", "path": "/destination" },
        { "op": "remove", "path": "/creationTime" },
        { "op": "remove", "path": "/requestId" },
    ]);
    let beyond = 9_007_199_254_740_993; // 2^53 + 1
    vec![
        (
            "an id as text",
            (json!({ "idShape": "string" }), 100, own()),
        ),
        (
            "an id as a float",
            (json!({ "idShape": "float" }), 100, own()),
        ),
        ("a long id", (json!({ "idShape": "number" }), beyond, own())),
        (
            "a long id as text",
            (json!({ "idShape": "string" }), beyond, own()),
        ),
        ("the longest id", (json!({}), i64::MAX - 1, own())),
        (
            "an unknown status",
            (json!({}), 100, json!({ "tenant": { "patch": [status] } })),
        ),
        (
            "a bare reply",
            (json!({}), 100, json!({ "tenant": { "patch": bare } })),
        ),
    ]
}

#[tokio::test]
async fn an_id_comes_through_in_every_digit_whatever_its_type() {
    let world = world("ids", &[]).await;
    let world = &world;
    each(odd(), |name, (switches, id, action)| async move {
        let case = Case::start(world, &name, switches).await;
        case.tenant
            .simulator
            .put("defaults", json!({ "nextJobId": id }))
            .await;
        case.at_next_post(action).await;
        case.submit(&name).await;
        let export = case.until_done(&name).await;
        case.assert_started_once(&export, 1).await;
        assert_eq!(outcome(&export), Some(SubmissionOutcome::Posted));
        assert_eq!(export.status.unwrap().job_id, Some(id.to_string()));
        let path = format!("{JOBS}/{id}");
        assert!(!case.tenant.simulator.calls("GET", &path).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_id_that_is_another_exports_is_not_believed() {
    let world = world("claimed", &[]).await;
    let case = Case::experienced(&world, "claimed", json!({})).await;
    let first = world
        .get("claimed-first")
        .await
        .status
        .unwrap()
        .job_id
        .unwrap();
    let first: i64 = first.parse().unwrap();
    let patch = json!([{ "op": "replace", "path": "/id", "value": first }]);
    case.at_next_post(json!({ "tenant": { "patch": patch } }))
        .await;
    case.submit("second").await;
    let export = case.until_done("second").await;
    case.assert_started_once(&export, 1).await;
    assert_eq!(
        found(&export),
        (
            Some(SubmissionOutcome::Adopted),
            "Some(RequestId)".to_owned()
        )
    );
}

/// Answers to GET of a job that tell nothing.
fn mute() -> Vec<(&'static str, Value)> {
    let said = |body: Value| json!({ "reply": { "status": 200, "body": body } });
    vec![
        ("a page", said(json!("<html><body>Sorry</body></html>"))),
        ("nothing", said(json!(""))),
        ("an empty object", said(json!({}))),
        ("a list", said(json!([1]))),
        ("cut", json!({ "tenant": { "cut": { "afterBytes": 30 } } })),
        ("broken", json!({ "lose": { "how": "reset" } })),
        (
            "not found, says a page",
            json!({ "reply": { "status": 404, "body": "<html></html>" } }),
        ),
        ("500", json!({ "reply": { "status": 500 } })),
    ]
}

#[tokio::test]
async fn a_job_that_cannot_be_read_keeps_its_state() {
    let world = world("mute", &[]).await;
    let world = &world;
    each(mute(), |name, action| async move {
        let case = Case::start(world, &name, json!({})).await;
        case.tenant.simulator.hold_jobs().await;
        case.submit(&name).await;
        let export = world.until_phase(&name, "Running").await;
        let since = case.tenant.simulator.calls("GET", JOBS).await.len();
        case.fault("GET", JOB, None, action).await;
        eventually("six polls in vain", || async {
            let polls = case.tenant.simulator.calls("GET", JOBS).await.len() - since;
            if polls > 6 {
                Ok(())
            } else {
                Err(polls.to_string())
            }
        })
        .await;
        let now = world.get(&name).await.status.unwrap();
        assert_eq!(now.phase.as_deref(), Some("Running"));
        assert_eq!(now.job_id, export.status.unwrap().job_id);
        case.tenant.simulator.delete("faults").await;
        let job = format!("jobs/{}", now.job_id.unwrap());
        let end = json!({ "outcome": "release", "finishNow": true });
        case.tenant.simulator.put(&job, end).await;
        let export = case.until_done(&name).await;
        case.assert_started_once(&export, 1).await;
    })
    .await;
}
