//! A reply that does not come, or says nothing: what became of the request is read, not guessed.

use aep_export_operator::api::{ExportJob, SubmissionEvidence, SubmissionOutcome};
use serde_json::{Value, json};

use super::{Case, LATE, WINDOW, at, committed, each, in_doubt, submission, world};
use crate::samples::Tenant;

/// Longer than a reply takes on a busy machine, and a creation given up before its windows end.
const SOON: [&str; 2] = ["--call-timeout", "2s"];

/// Every way in which a request can go unanswered, or be answered so that it says nothing.
fn ways() -> Vec<(&'static str, Value)> {
    let said = |status: u16, body: Value| json!({ "reply": { "status": status, "body": body } });
    let page = "<html><body>Bad gateway</body></html>";
    let service = json!({ "code": "UPS-401", "message": "says a service and not the gateway" });
    vec![
        ("closed", json!({ "lose": { "how": "close" } })),
        ("reset", json!({ "lose": { "how": "reset" } })),
        ("hangs", json!({ "lose": { "how": "hang" } })),
        ("500", said(500, json!({ "message": "broken" }))),
        ("502", said(502, json!(page))),
        ("503", said(503, json!(""))),
        ("504", said(504, json!("upstream timed out"))),
        ("401 of a service", said(401, service.clone())),
        ("403 of a service", said(403, service.clone())),
        ("429 of a service", said(429, service)),
        ("408", said(408, json!(""))),
        ("a page", said(200, json!(page))),
        ("nothing", said(200, json!(""))),
        ("an empty object", said(200, json!({}))),
        ("no id", said(201, json!({ "status": "NEW" }))),
        (
            "an id that is none",
            said(200, json!({ "id": null, "status": "NEW" })),
        ),
        ("202 with a list", said(202, json!([]))),
    ]
}

#[tokio::test]
async fn a_request_that_was_taken_unheard_is_found_by_one_look_at_the_list() {
    let world = world("lost", &SOON).await;
    let world = &world;
    each(ways(), |name, action| async move {
        let case = Case::start(world, &name, json!({})).await;
        case.at_next_post(committed(action, json!(true))).await;
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

#[tokio::test]
async fn a_request_that_was_lost_on_its_way_is_sent_again_after_its_windows_and_not_before() {
    let world = world("dropped", &SOON).await;
    let world = &world;
    each(ways(), |name, action| async move {
        let case = Case::start(world, &name, json!({})).await;
        case.at_next_post(committed(action, json!(false))).await;
        case.submit(&name).await;
        let doubt = world.until(&name, "in doubt", in_doubt).await;
        let first = submission(&doubt);
        let export = case.until_done(&name).await;
        case.assert_started_once(&export, 2).await;
        assert_ne!(submission(&export).r#try, first.r#try);
        let posts = case.posts_of(&first).await;
        let again = at(&posts[1]);
        assert!(again > first.settle_after, "{posts:#?}");
        assert!(again > at(&posts[0]) + WINDOW, "{posts:#?}");
        assert!(again < first.settle_after + LATE, "{posts:#?}");
    })
    .await;
}

/// A job that is there only when nobody waits for the reply any more, or that the list does not
/// show at once.
fn late() -> Vec<(&'static str, (Value, Value))> {
    let after = |milliseconds: u32| json!({ "afterMilliseconds": milliseconds });
    let lose = |how: &str| json!({ "lose": { "how": how } });
    let bad = || json!({ "reply": { "status": 502 } });
    let hidden = json!({ "visibleAfterListCalls": 2 });
    vec![
        (
            "late after close",
            (committed(lose("close"), after(1500)), json!({})),
        ),
        (
            "late after reset",
            (committed(lose("reset"), after(1500)), json!({})),
        ),
        ("late after 502", (committed(bad(), after(1500)), json!({}))),
        (
            "late after a time-out",
            (committed(lose("hang"), after(2700)), json!({})),
        ),
        (
            "slow and left",
            (json!({ "delayMilliseconds": 2700 }), json!({})),
        ),
        (
            "a list that lags",
            (
                committed(bad(), json!(true)),
                json!({ "listLagSeconds": 2 }),
            ),
        ),
        (
            "hidden from two pages",
            (committed(bad(), hidden), json!({})),
        ),
    ]
}

#[tokio::test]
async fn a_job_that_shows_late_but_within_its_window_is_found_and_not_made_again() {
    let world = world("late", &["--call-timeout", "1s"]).await;
    let world = &world;
    each(late(), |name, (action, switches)| async move {
        let case = Case::start(world, &name, switches).await;
        case.at_next_post(action).await;
        case.submit(&name).await;
        let export = case.until_done(&name).await;
        case.assert_started_once(&export, 1).await;
        let submission = submission(&export);
        assert_eq!(submission.evidence, Some(SubmissionEvidence::RequestId));
    })
    .await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_its_host_sees_no_token() {
    let world = world("redirect", &SOON).await;
    let world = &world;
    let other = &Tenant::start().await;
    let cases = [301, 302, 307, 308].map(|status| {
        let to = format!("{}/data/core/ups/export/jobs", other.simulator.url());
        let reply = json!({ "status": status, "headers": { "Location": to } });
        json!({ "reply": reply })
    });
    let cases: Vec<_> = cases
        .into_iter()
        .flat_map(|action| {
            let taken = committed(action.clone(), json!(true));
            [("taken", (taken, 1)), ("not taken", (action, 2))]
        })
        .collect();
    each(cases, |name, (action, posts)| async move {
        let case = Case::start(world, &name, json!({})).await;
        case.at_next_post(action).await;
        case.submit(&name).await;
        let export = case.until_done(&name).await;
        case.assert_started_once(&export, posts).await;
    })
    .await;
    let calls = other.simulator.ledger().await["requests"].clone();
    assert_eq!(calls, json!([]));
}

#[tokio::test]
async fn reads_that_are_redirected_change_nothing_and_their_host_sees_no_token() {
    let world = world("redirect", &[]).await;
    let other = Tenant::start().await;
    let case = Case::start(&world, "reads", json!({})).await;
    let to = format!("{}/", other.simulator.url());
    let action = json!({ "reply": { "status": 307, "headers": { "Location": to } } });
    case.fault("GET", "/data/core/ups/export/jobs/*", Some(5), action)
        .await;
    case.submit("reads").await;
    let shaken =
        |export: &ExportJob| crate::harness::reason(export, "Ready") == "PlatformUnavailable";
    let export = world.until("reads", "unheard of", shaken).await;
    assert_eq!(export.status.unwrap().phase.as_deref(), Some("Running"));
    let export = case.until_done("reads").await;
    case.assert_started_once(&export, 1).await;
    let calls = other.simulator.ledger().await["requests"].clone();
    assert_eq!(calls, json!([]));
}
