//! What the platform asks to wait is waited for.

use aep_export_operator::api::ExportJob;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Case, LATE, at, each, submission, world};
use crate::harness::{condition, reason};

/// How a reply asks to wait, and for how long that is at least.
struct Wait {
    reply: Value,
    least: SignedDuration,
}

fn wait(reply: Value, seconds: i64) -> Wait {
    let least = SignedDuration::from_secs(seconds);
    Wait { reply, least }
}

fn asks(header: &str) -> Value {
    json!({ "headers": { "Retry-After": header } })
}

/// The gateway's own 429, which proves that nothing was taken.
fn throttled(mut reply: Value) -> Value {
    reply["status"] = json!(429);
    reply["body"] = json!({ "error_code": "429050", "message": "Too many requests" });
    json!({ "reply": reply })
}

/// Somebody's 503, which proves nothing.
fn unavailable(mut reply: Value) -> Value {
    reply["status"] = json!(503);
    reply["body"] = json!({ "message": "Service unavailable" });
    json!({ "reply": reply })
}

#[tokio::test]
async fn a_request_that_the_gateway_throttles_is_sent_again_when_it_may_be() {
    let world = world("throttled", &[]).await;
    let world = &world;
    let cases = vec![
        ("seconds", wait(asks("3"), 3)),
        // The date has whole seconds.
        ("a date", wait(json!({ "retryAfterDateSeconds": 4 }), 3)),
        ("absent", wait(json!({}), 0)),
        ("no time", wait(asks("0"), 1)),
        ("a time before", wait(asks("-5"), 1)),
        (
            "a date before",
            wait(json!({ "retryAfterDateSeconds": -60 }), 1),
        ),
        ("unreadable", wait(asks("soon"), 0)),
    ];
    each(cases, |name, Wait { reply, least }| async move {
        let case = Case::start(world, &name, json!({})).await;
        case.at_next_post(throttled(reply)).await;
        case.submit(&name).await;
        let export = case.until_done(&name).await;
        case.assert_started_once(&export, 2).await;
        let posts = case.posts_of(&submission(&export)).await;
        let waited = at(&posts[1]).duration_since(at(&posts[0]));
        assert!(waited >= least && waited < least + LATE, "{waited:#}");
    })
    .await;
}

#[tokio::test]
async fn a_request_in_doubt_is_not_sent_again_before_the_platform_allows() {
    let world = world("unavailable", &[]).await;
    let world = &world;
    // Longer than the windows.
    let cases = vec![
        ("seconds", wait(asks("9"), 9)),
        ("a date", wait(json!({ "retryAfterDateSeconds": 10 }), 9)),
        ("unreadable", wait(asks("soon"), 3)),
    ];
    each(cases, |name, Wait { reply, least }| async move {
        let case = Case::start(world, &name, json!({})).await;
        case.at_next_post(unavailable(reply)).await;
        case.submit(&name).await;
        let export = case.until_done(&name).await;
        case.assert_started_once(&export, 2).await;
        let posts = case.posts_of(&submission(&export)).await;
        let waited = at(&posts[1]).duration_since(at(&posts[0]));
        assert!(waited >= least && waited < least + LATE, "{waited:#}");
    })
    .await;
}

#[tokio::test]
async fn an_absurd_wait_is_cut_to_an_hour_and_other_tenants_go_on_meanwhile() {
    let world = world("absurd", &[]).await;
    let case = Case::start(&world, "absurd", json!({})).await;
    case.at_next_post(throttled(asks("99999999999999999999")))
        .await;
    let began = Timestamp::now();
    case.submit("waits").await;
    let throttled = |export: &ExportJob| {
        condition(export, "Ready").is_some_and(|c| c.message.contains("sent again after"))
    };
    let export = world.until("waits", "throttled", throttled).await;
    assert_eq!(reason(&export, "Ready"), "PlatformThrottled");
    let said = condition(&export, "Ready").unwrap().message;
    let until: Timestamp = said.rsplit(' ').next().unwrap().parse().unwrap();
    let wait = until.duration_since(began);
    let hour = SignedDuration::from_hours(1);
    assert!(wait > hour - LATE && wait < hour + LATE, "{said}");
    // The whole tenant is left alone, and nothing is recorded of what waits.
    case.submit("waits-too").await;
    let throttled = |export: &ExportJob| reason(export, "Ready") == "PlatformThrottled";
    let export = world.until("waits-too", "throttled", throttled).await;
    assert!(export.status.unwrap().submission.is_none());
    let other = Case::start(&world, "other", json!({})).await;
    other.submit("goes").await;
    let export = other.until_done("goes").await;
    other.assert_started_once(&export, 1).await;
    let waits = submission(&world.get("waits").await);
    assert_eq!(case.posts_of(&waits).await.len(), 1);
    assert_eq!(case.jobs_of(&waits).await.len(), 0);
}

#[tokio::test]
async fn a_list_that_is_throttled_is_not_read_again_before_the_platform_allows() {
    let world = world("lists", &[]).await;
    let case = Case::start(&world, "lists", json!({})).await;
    let lost = json!({ "lose": { "how": "close", "commit": true } });
    case.at_next_post(lost).await;
    let throttled = json!({ "reply": { "status": 429, "headers": { "Retry-After": "3" } } });
    case.fault("GET", crate::samples::JOBS, Some(1), throttled)
        .await;
    case.submit("doubt").await;
    let export = case.until_done("doubt").await;
    case.assert_started_once(&export, 1).await;
    let lists = case.tenant.simulator.lists().await;
    let waited = at(&lists[1]).duration_since(at(&lists[0]));
    assert!(waited >= SignedDuration::from_secs(3), "{waited:#}");
}
