//! A token that cannot be had, and a credential that is rotated, while jobs run.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::{Case, each, world};
use crate::{
    harness::{World, eventually, true_conditions},
    samples::JOBS,
};

const IMS: &str = "/ims/token/v3";

/// A job that runs, and whose tenant takes its token back.
async fn running_without_token<'a>(world: &'a World, name: &str, ims: Value) -> Case<'a> {
    let case = Case::start(world, name, json!({})).await;
    case.tenant.simulator.hold_jobs().await;
    case.submit(name).await;
    world.until_phase(name, "Running").await;
    case.fault("POST", IMS, None, ims).await;
    let revoked = json!({ "revokeTokens": true });
    case.tenant.simulator.put("credentials", revoked).await;
    case
}

async fn finish(case: &Case<'_>) {
    let job = case.tenant.simulator.jobs().await[0]["id"].to_string();
    let end = json!({ "outcome": "release", "finishNow": true });
    case.tenant.simulator.put(&format!("jobs/{job}"), end).await;
}

fn troubles() -> Vec<(&'static str, Value)> {
    let said = |status: u16, body: &str| json!({ "reply": { "status": status, "body": body } });
    vec![
        ("down", said(503, "down")),
        ("a page", said(200, "<html><body>Sign in</body></html>")),
        (
            "no token",
            json!({ "reply": { "status": 200, "body": { "token_type": "bearer" } } }),
        ),
        ("400 of a proxy", said(400, "<html></html>")),
        (
            "throttled",
            json!({ "reply": { "status": 429, "headers": { "Retry-After": "1" } } }),
        ),
        ("hangs", json!({ "lose": { "how": "hang" } })),
        ("broken", json!({ "lose": { "how": "reset" } })),
        ("slow", json!({ "delayMilliseconds": 2500 })),
    ]
}

#[tokio::test]
async fn a_job_that_runs_keeps_its_state_while_no_token_can_be_had() {
    let world = world("ims", &["--call-timeout", "1s"]).await;
    let world = &world;
    each(troubles(), |name, ims| async move {
        let case = running_without_token(world, &name, ims).await;
        let asked = || async {
            let asked = case.tenant.simulator.calls("POST", IMS).await;
            asked.len()
        };
        let before = asked().await;
        eventually("tokens asked for in vain", || async {
            let now = asked().await - before;
            if now >= 3 {
                Ok(())
            } else {
                Err(now.to_string())
            }
        })
        .await;
        let export = world.get(&name).await;
        let phase = export.status.as_ref().unwrap().phase.clone();
        assert_eq!(
            phase.as_deref(),
            Some("Running"),
            "{:?}",
            true_conditions(&export)
        );
        case.tenant.simulator.delete("faults").await;
        finish(&case).await;
        let export = case.until_done(&name).await;
        case.assert_started_once(&export, 1).await;
    })
    .await;
}

#[tokio::test]
async fn an_export_is_not_begun_while_no_token_can_be_had() {
    let world = world("ims", &[]).await;
    let case = Case::start(&world, "waits", json!({})).await;
    case.fault("POST", IMS, None, json!({ "reply": { "status": 503 } }))
        .await;
    let revoked = json!({ "revokeTokens": true });
    case.tenant.simulator.put("credentials", revoked).await;
    case.submit("waits").await;
    world.until_phase("waits", "Pending").await;
    assert_eq!(case.tenant.simulator.posts().await.len(), 0);
    case.tenant.simulator.delete("faults").await;
    let export = case.until_done("waits").await;
    case.assert_started_once(&export, 1).await;
}

#[tokio::test]
async fn a_credential_that_is_rotated_while_a_job_runs_is_taken_up_without_a_restart() {
    let mut world = world("rotated", &[]).await;
    {
        let case = Case::start(&world, "rotated", json!({})).await;
        case.tenant.simulator.hold_jobs().await;
        case.submit("rotated").await;
        world.until_phase("rotated", "Running").await;
        let rotated = json!({ "clientSecrets": ["rotated"], "revokeTokens": true });
        case.tenant.simulator.put("credentials", rotated).await;
        eventually("a refused poll", || async {
            let polls = case.tenant.simulator.calls("GET", JOBS).await;
            if polls.iter().any(|call| call["status"] == 401) {
                Ok(())
            } else {
                Err(world.log())
            }
        })
        .await;
        let secret = json!({ "stringData": { "client_secret": "rotated" } });
        world
            .patch::<Secret>("aep-credentials", secret)
            .await
            .unwrap();
        finish(&case).await;
        let export = case.until_done("rotated").await;
        case.assert_started_once(&export, 1).await;
    }
    assert!(world.operator_runs());
}
