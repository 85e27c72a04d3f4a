//! Where a tenant shows request ids, and where it does not: that is learned, and unlearned.

use aep_export_operator::api::{ExportJob, PlatformConnection};
use serde_json::{Value, json};

use super::{Case, brief_world, each, found, submission};
use crate::harness::{World, eventually, reason};

/// What the connection shows of request ids.
async fn shown(world: &World, connection: &str) -> Option<bool> {
    let connection = world
        .api::<PlatformConnection>()
        .get(connection)
        .await
        .unwrap();
    connection.status.unwrap().echoes_request_id
}

fn echo(post: bool, get: bool, list: bool, elsewhere: &str) -> Value {
    json!({
        "requestIdEcho": { "post": post, "get": get, "list": list },
        "requestIdElsewhere": elsewhere,
    })
}

/// Where ids are shown; whether that is enough to tell jobs apart; and what a request that was
/// taken unheard is found by.
fn places() -> Vec<(&'static str, (Value, bool, &'static str))> {
    vec![
        (
            "everywhere",
            (echo(true, true, true, "another"), true, "RequestId"),
        ),
        (
            "GET and list",
            (echo(false, true, true, "another"), true, "RequestId"),
        ),
        (
            "GET and list, else absent",
            (echo(false, true, true, "absent"), true, "RequestId"),
        ),
        (
            "GET",
            (echo(false, true, false, "another"), false, "Window"),
        ),
        (
            "GET, else absent",
            (echo(false, true, false, "absent"), false, "Window"),
        ),
        (
            "the list",
            (echo(false, false, true, "another"), false, "RequestId"),
        ),
        (
            "the list, else absent",
            (echo(false, false, true, "absent"), false, "RequestId"),
        ),
        (
            "POST",
            (echo(true, false, false, "another"), false, "Window"),
        ),
        (
            "POST, else absent",
            (echo(true, false, false, "absent"), false, "Window"),
        ),
        (
            "nowhere",
            (echo(false, false, false, "another"), false, "Window"),
        ),
    ]
}

#[tokio::test]
async fn whether_ids_are_shown_is_learned_from_what_is_read_and_a_doubt_is_settled_by_it() {
    let world = brief_world("echo", &[]).await;
    let world = &world;
    each(places(), |name, (switches, enough, by)| async move {
        let case = Case::experienced(world, &name, switches).await;
        let learned = |c: &PlatformConnection| {
            c.status
                .as_ref()
                .and_then(|status| status.echoes_request_id)
                == Some(enough)
        };
        // What GET shows and the list does not is learned from the list when it is read.
        world
            .until(&name, "showing what was learned", learned)
            .await;
        let lost = json!({ "lose": { "how": "close", "commit": true } });
        case.at_next_post(lost).await;
        case.submit(&name).await;
        let export = case.until_done(&name).await;
        assert_eq!(found(&export).1, format!("Some({by})"));
        assert_eq!(case.posts_of(&submission(&export)).await.len(), 1);
        assert_eq!(case.tenant.simulator.jobs().await.len(), 2);
        case.assert_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_tenant_that_stops_showing_ids_has_no_request_sent_again_on_the_strength_of_them() {
    let world = brief_world("stops", &[]).await;
    let case = Case::experienced(&world, "stops", json!({})).await;
    assert_eq!(shown(&world, "stops").await, Some(true));
    // When the list was read for a second job, nothing is left that it could contradict.
    let read = || async {
        let lists = case.tenant.simulator.lists().await;
        if lists.is_empty() {
            Err(world.log())
        } else {
            Ok(())
        }
    };
    eventually("a reading of the list", read).await;
    let hidden = echo(false, false, false, "another");
    case.tenant.simulator.put("switches", hidden).await;
    let lost = json!({ "lose": { "how": "close", "commit": true } });
    case.at_next_post(lost).await;
    case.submit("lost").await;
    let asked = |e: &ExportJob| reason(e, "Stalled") == "SubmissionAmbiguous";
    let export = world.until("lost", "ambiguous", asked).await;
    assert_eq!(case.posts_of(&submission(&export)).await.len(), 1);
    // The next job teaches better.
    case.submit("next").await;
    case.until_done("next").await;
    let unlearned = |c: &PlatformConnection| {
        c.status
            .as_ref()
            .and_then(|status| status.echoes_request_id)
            == Some(false)
    };
    world.until("stops", "unlearned", unlearned).await;
    case.assert_sound().await;
}

#[tokio::test]
async fn a_tenant_that_begins_to_show_ids_is_believed_from_its_next_job_on() {
    let world = brief_world("begins", &[]).await;
    let case = Case::experienced(&world, "begins", echo(false, false, false, "absent")).await;
    assert_eq!(shown(&world, "begins").await, Some(false));
    let everywhere = echo(true, true, true, "another");
    case.tenant.simulator.put("switches", everywhere).await;
    case.submit("next").await;
    case.until_done("next").await;
    let learned = |c: &PlatformConnection| {
        c.status
            .as_ref()
            .and_then(|status| status.echoes_request_id)
            == Some(true)
    };
    world.until("begins", "learned", learned).await;
    let lost = json!({ "lose": { "how": "close", "commit": true } });
    case.at_next_post(lost).await;
    case.foreign_job().await;
    case.submit("lost").await;
    case.foreign_job().await;
    let export = case.until_done("lost").await;
    case.assert_started_once(&export, 1).await;
    assert_eq!(found(&export).1, "Some(RequestId)");
}

#[tokio::test]
async fn ids_that_change_from_call_to_call_while_a_job_runs_do_not_make_it_another_ones() {
    let world = brief_world("changes", &[]).await;
    let case = Case::experienced(&world, "changes", json!({})).await;
    case.tenant.simulator.hold_jobs().await;
    case.submit("changes").await;
    let running = world.until_phase("changes", "Running").await;
    let job = running.status.clone().unwrap().job_id.unwrap();
    let polled = async |switches: Value| {
        case.tenant.simulator.put("switches", switches).await;
        let path = format!("/data/core/ups/export/jobs/{job}");
        let since = case.tenant.simulator.calls("GET", &path).await.len();
        eventually("two polls", || async {
            let polls = case.tenant.simulator.calls("GET", &path).await.len() - since;
            if polls >= 2 {
                Ok(())
            } else {
                Err(polls.to_string())
            }
        })
        .await;
    };
    polled(echo(true, false, true, "absent")).await;
    polled(echo(true, true, true, "absent")).await;
    polled(echo(true, false, false, "another")).await;
    polled(echo(true, true, true, "another")).await;
    let end = json!({ "outcome": "release", "finishNow": true });
    case.tenant.simulator.put(&format!("jobs/{job}"), end).await;
    let export = case.until_done("changes").await;
    case.assert_started_once(&export, 1).await;
}
