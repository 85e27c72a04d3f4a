//! A dataset is created once, whatever becomes of the request: its tag tells.

use aep_export_operator::api::{ProfileDataset, SubmissionEvidence, SubmissionOutcome};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Case, LATE, WINDOW, at, committed, each, world};
use crate::{
    harness::{World, conditions, is},
    samples::DATASETS,
};

/// How a creation goes, how the tenant is set, and by how many requests it comes to one dataset.
type How = (Value, Value, usize);

async fn create(case: &Case<'_>, action: Value) -> ProfileDataset {
    case.fault("POST", DATASETS, Some(1), action).await;
    let spec =
        json!({ "connectionRef": { "name": case.name }, "dataset": { "name": "Made once" } });
    case.world.create::<ProfileDataset>(&case.name, spec).await;
    let ready = |dataset: &ProfileDataset| is(&conditions(dataset), "Ready", "True");
    case.world.until(&case.name, "Ready", ready).await
}

/// The datasets of the tenant that were asked for.
async fn made(case: &Case<'_>) -> Vec<Value> {
    let ledger = case.tenant.simulator.ledger().await;
    let datasets = ledger["datasets"].as_array().unwrap().iter();
    datasets
        .filter(|dataset| dataset["call"].is_number())
        .cloned()
        .collect()
}

async fn run(world: &World, name: String, (action, switches, posts): How) {
    let case = Case::start(world, &name, switches).await;
    let dataset = create(&case, action).await;
    let sent = case.tenant.simulator.calls("POST", DATASETS).await;
    assert_eq!(sent.len(), posts, "{sent:#?}");
    let made = made(&case).await;
    assert_eq!(made.len(), 1, "{made:#?}");
    let status = dataset.status.unwrap();
    assert_eq!(status.dataset_id.as_deref(), made[0]["id"].as_str());
    let submission = status.submission.unwrap();
    if posts == 1 {
        assert_eq!(submission.outcome, Some(SubmissionOutcome::Adopted));
        assert_eq!(submission.evidence, Some(SubmissionEvidence::Tag));
    } else {
        assert_eq!(submission.outcome, Some(SubmissionOutcome::Posted));
    }
}

fn ways() -> Vec<(&'static str, Value)> {
    let said = |status: u16, body: Value| json!({ "reply": { "status": status, "body": body } });
    vec![
        ("close", json!({ "lose": { "how": "close" } })),
        ("reset", json!({ "lose": { "how": "reset" } })),
        ("hang", json!({ "lose": { "how": "hang" } })),
        ("500", said(500, json!({ "title": "InternalServerError" }))),
        ("502", said(502, json!("<html></html>"))),
        ("504", said(504, json!(""))),
        ("a page", said(200, json!("<html></html>"))),
        ("an empty list", said(201, json!([]))),
        (
            "429 of a service",
            said(429, json!({ "title": "TooManyRequests" })),
        ),
    ]
}

#[tokio::test]
async fn a_dataset_that_was_made_unheard_is_found_by_its_tag() {
    let world = world("made", &["--call-timeout", "1500ms"]).await;
    let world = &world;
    let cases = ways()
        .into_iter()
        .map(|(label, action)| (label, (committed(action, json!(true)), json!({}), 1)));
    each(cases.collect(), |name, how| run(world, name, how)).await;
}

#[tokio::test]
async fn a_dataset_whose_request_was_lost_is_asked_for_again_after_its_windows() {
    let world = world("dropped", &["--call-timeout", "1500ms"]).await;
    let world = &world;
    each(ways(), |name, action| async move {
        let how = (committed(action, json!(false)), json!({}), 2);
        run(world, name.clone(), how).await;
    })
    .await;
}

#[tokio::test]
async fn a_second_request_for_a_dataset_waits_for_the_windows_of_the_first() {
    let world = world("windows", &[]).await;
    let case = Case::start(&world, "windows", json!({})).await;
    create(
        &case,
        json!({ "lose": { "how": "close", "commit": false } }),
    )
    .await;
    let sent = case.tenant.simulator.calls("POST", DATASETS).await;
    let apart = at(&sent[1]).duration_since(at(&sent[0]));
    assert!(apart > WINDOW && apart < WINDOW + LATE, "{apart:#}");
}

#[tokio::test]
async fn a_second_request_for_a_dataset_waits_as_long_as_the_platform_asks() {
    let world = world("asks", &[]).await;
    let case = Case::start(&world, "asks", json!({})).await;
    // Longer than the windows.
    let busy = json!({ "reply": { "status": 503, "headers": { "Retry-After": "8" } } });
    create(&case, busy).await;
    let sent = case.tenant.simulator.calls("POST", DATASETS).await;
    let apart = at(&sent[1]).duration_since(at(&sent[0]));
    let asked = SignedDuration::from_secs(8);
    assert!(apart >= asked && apart < asked + LATE, "{apart:#}");
    assert_eq!(made(&case).await.len(), 1);
}

#[tokio::test]
async fn a_dataset_that_shows_late_is_found_and_not_made_again() {
    let world = world("late", &["--call-timeout", "1s"]).await;
    let world = &world;
    let late = json!({ "afterMilliseconds": 1500 });
    let close = json!({ "lose": { "how": "close" } });
    let gateway = json!({ "reply": { "status": 502 } });
    let lags = json!({ "tagQueryLagSeconds": 2 });
    let cases: Vec<(_, How)> = vec![
        (
            "made late",
            (committed(close.clone(), late.clone()), json!({}), 1),
        ),
        (
            "made late after 502",
            (committed(gateway.clone(), late), json!({}), 1),
        ),
        (
            "slow and left",
            (json!({ "delayMilliseconds": 2500 }), json!({}), 1),
        ),
        (
            "a query that lags",
            (committed(close, json!(true)), lags.clone(), 1),
        ),
        (
            "a query that lags after 502",
            (committed(gateway, json!(true)), lags, 1),
        ),
    ];
    each(cases, |name, how| run(world, name, how)).await;
}

#[tokio::test]
async fn of_two_datasets_of_one_request_one_is_taken_up_and_the_other_named() {
    let world = world("twice", &[]).await;
    let world = &world;
    let lose = json!({ "lose": { "how": "close" } });
    let cases = vec![
        ("at once", committed(lose.clone(), json!({ "times": 2 }))),
        (
            "502",
            committed(json!({ "reply": { "status": 502 } }), json!({ "times": 2 })),
        ),
    ];
    each(cases, |name, action| async move {
        let case = Case::start(world, &name, json!({})).await;
        let dataset = create(&case, action).await;
        assert_eq!(case.tenant.simulator.calls("POST", DATASETS).await.len(), 1);
        let made = made(&case).await;
        assert_eq!(made.len(), 2, "{made:#?}");
        let taken = dataset.status.unwrap().dataset_id.unwrap();
        let other = made
            .iter()
            .find(|made| made["id"] != taken.as_str())
            .unwrap();
        let note = world.event(&name, "Available").await;
        let other = other["id"].as_str().unwrap();
        assert!(note.contains(&taken) && note.contains(other), "{note}");
        let deleted = case.tenant.simulator.calls("DELETE", DATASETS).await;
        assert_eq!(deleted.len(), 0, "data is never deleted unasked");
    })
    .await;
}
