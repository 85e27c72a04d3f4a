//! Requests that are rejected, and that the gateway refuses.

use aep_export_operator::api::{ExportJob, PlatformConnection, SubmissionOutcome};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::{Case, each, submission, world};
use crate::harness::{
    World, conditions, eventually, is, is_held, outcome, reason, true_conditions,
};

fn rejections() -> Vec<(&'static str, Value)> {
    let said = |status: u16| {
        let body = json!({ "title": "There is a problem", "status": status });
        json!({ "reply": { "status": status, "body": body } })
    };
    vec![
        ("400", said(400)),
        ("404", said(404)),
        ("409", said(409)),
        ("422", said(422)),
        ("400 of the gateway", gateway(400, "400003")),
    ]
}

fn gateway(status: u16, code: &str) -> Value {
    let body = json!({ "error_code": code, "message": "says the gateway" });
    json!({ "reply": { "status": status, "body": body } })
}

/// Has everything that uses connections looked at again.
async fn wake(world: &World, connection: &str) {
    let before = world
        .api::<PlatformConnection>()
        .get(connection)
        .await
        .unwrap();
    let scopes = json!({ "spec": { "auth": { "oauthServerToServer": { "scopes": ["openid"] } } } });
    world
        .patch::<PlatformConnection>(connection, scopes)
        .await
        .unwrap();
    let again = |c: &PlatformConnection| {
        let observed = c.status.as_ref().and_then(|s| s.observed_generation);
        observed > before.metadata.generation && is(&conditions(c), "Ready", "True")
    };
    world.until(connection, "checked again", again).await;
}

#[tokio::test]
async fn a_rejected_request_is_never_sent_again() {
    let world = world("rejected", &[]).await;
    let world = &world;
    each(rejections(), |name, action| async move {
        let case = Case::start(world, &name, json!({})).await;
        case.at_next_post(action).await;
        case.submit(&name).await;
        let export = world.until_phase(&name, "Failed").await;
        assert_eq!(reason(&export, "Failed"), "Rejected");
        assert_eq!(outcome(&export), Some(SubmissionOutcome::Rejected));
        let let_go = |export: &ExportJob| !is_held(export);
        world.until(&name, "let go", let_go).await;
        case.assert_one_look(&export).await;
        wake(world, &name).await;
        // It would have been served before this one, which is asked for later.
        let later = format!("{name}-later");
        case.submit(&later).await;
        case.until_done(&later).await;
        let sent = submission(&export);
        assert_eq!(case.posts_of(&sent).await.len(), 1);
        assert_eq!(case.jobs_of(&sent).await.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_rejection_of_a_request_that_was_taken_is_not_believed() {
    let world = world("rejected", &[]).await;
    let world = &world;
    each(rejections(), |name, action| async move {
        let case = Case::start(world, &name, json!({})).await;
        case.at_next_post(super::committed(action, json!(true)))
            .await;
        case.submit(&name).await;
        let export = case.until_done(&name).await;
        case.assert_started_once(&export, 1).await;
        assert_eq!(outcome(&export), Some(SubmissionOutcome::Adopted));
    })
    .await;
}

#[tokio::test]
async fn a_missing_right_is_waited_for_and_the_request_sent_again_when_the_secret_changes() {
    let world = world("forbidden", &[]).await;
    let case = Case::start(&world, "forbidden", json!({})).await;
    let credentials = json!({ "clientSecrets": ["demo-secret", "rotated"] });
    case.tenant.simulator.put("credentials", credentials).await;
    case.at_next_post(gateway(403, "403025")).await;
    case.submit("forbidden").await;
    let blocked = |export: &ExportJob| reason(export, "Stalled") == "AccessDenied";
    let export = world.until("forbidden", "blocked", blocked).await;
    assert_eq!(true_conditions(&export), ["Stalled"]);
    assert_eq!(outcome(&export), Some(SubmissionOutcome::Refused));
    // Another look, at the connection too, changes nothing.
    case.submit("meanwhile").await;
    case.until_done("meanwhile").await;
    let refused = submission(&world.get("forbidden").await);
    assert_eq!(case.posts_of(&refused).await.len(), 1);
    let rotated = json!({ "stringData": { "client_secret": "rotated" } });
    world
        .patch::<Secret>("aep-credentials", rotated)
        .await
        .unwrap();
    let export = case.until_done("forbidden").await;
    case.assert_started_once(&export, 2).await;
}

#[tokio::test]
async fn a_token_that_the_gateway_refuses_is_replaced_and_the_request_sent_again() {
    let world = world("token", &[]).await;
    let case = Case::start(&world, "token", json!({})).await;
    case.at_next_post(gateway(401, "401013")).await;
    case.submit("token").await;
    let export = case.until_done("token").await;
    case.assert_started_once(&export, 2).await;
    let tokens = case.tenant.simulator.ledger().await["tokens"]["issued"].clone();
    assert_eq!(tokens, 2);
}

#[tokio::test]
async fn twenty_exports_with_one_expired_token_fetch_one_new_one() {
    let mut world = World::without_operator("expired").await;
    world.start_operator(&[]).await;
    world.furnish().await;
    world.export("first").await;
    world.until_phase("first", "Succeeded").await;
    let known = |c: &PlatformConnection| {
        let status = c.status.as_ref();
        status.is_some_and(|status| status.echoes_request_id == Some(true))
    };
    world.until("prod", "experienced", known).await;
    let issued = || async {
        let ledger = world.simulator.ledger().await;
        ledger["tokens"]["issued"].as_u64().unwrap()
    };
    let before = issued().await;
    world
        .simulator
        .put("credentials", json!({ "revokeTokens": true }))
        .await;
    let names: Vec<String> = (0..20).map(|index| format!("export-{index}")).collect();
    for name in &names {
        world.export(name).await;
    }
    for name in &names {
        world.until_phase(name, "Succeeded").await;
    }
    assert_eq!(issued().await, before + 1);
    eventually("the summary", || async {
        let summary = world.simulator.get("summary").await;
        let counts = (&summary["exports"]["created"], &summary["createdOverOne"]);
        if counts == (&json!(21), &json!(0)) {
            Ok(())
        } else {
            Err(summary.to_string())
        }
    })
    .await;
}
