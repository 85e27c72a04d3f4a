//! T3: nothing that the operator writes holds a secret or a token.

use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::json;

use super::{IMS, JOBS, until_reason};
use crate::harness::{World, eventually, export_into};

const SECRET: &str = "canary-secret-2c9e41";
const TOKEN: &str = "canary-token-b7735a";

/// A tenant whose credential and token are canaries, and an operator that logs all it can.
async fn world() -> World {
    let mut world = World::without_operator("canary").await;
    world.start_operator(&["--log-filter", "trace"]).await;
    let credentials = json!({ "clientSecrets": [SECRET], "accessToken": TOKEN });
    world.simulator.put("credentials", credentials).await;
    let token = json!({ "access_token": TOKEN, "token_type": "bearer", "expires_in": 86_399 });
    let granted = json!({ "reply": { "status": 200, "body": token } });
    let fault = json!({ "name": "granted", "path": IMS, "action": granted });
    world.simulator.fault(fault).await;
    let values = [("client_id", "demo-client"), ("client_secret", SECRET)];
    world.create_secret("aep-credentials", &values).await;
    let given = [("access_token", TOKEN), ("api_key", "demo-client")];
    world.create_secret("aep-token", &given).await;
    world
        .create::<PlatformConnection>("prod", world.connection_spec())
        .await;
    let mut spec = world.connection_spec();
    spec["auth"] = json!({ "accessToken": { "secretRef": { "name": "aep-token" } } });
    world.create::<PlatformConnection>("given", spec).await;
    for name in ["prod", "given"] {
        until_reason(&world, name, "Verified").await;
    }
    let dataset = json!({
        "connectionRef": { "name": "prod" },
        "dataset": { "name": "Profile Data Export" },
    });
    world.create::<ProfileDataset>("profiles", dataset).await;
    world
        .until("profiles", "Ready", |d: &ProfileDataset| {
            crate::harness::reason(d, "Ready") == "Available"
        })
        .await;
    world
}

/// All that anybody can read who reads no Secret, by where it stands.
async fn written(world: &World) -> Vec<(&'static str, String)> {
    let all = ListParams::default();
    let events = world.api::<Event>().list(&all).await.unwrap();
    let connections = world.api::<PlatformConnection>().list(&all).await.unwrap();
    let datasets = world.api::<ProfileDataset>().list(&all).await.unwrap();
    let exports = world.api::<ExportJob>().list(&all).await.unwrap();
    let process = format!("/proc/{}", world.operator_id());
    let read = |file: &str| {
        let bytes = std::fs::read(format!("{process}/{file}")).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    vec![
        ("the log", world.log()),
        ("events", serde_json::to_string(&events).unwrap()),
        ("connections", serde_json::to_string(&connections).unwrap()),
        ("datasets", serde_json::to_string(&datasets).unwrap()),
        ("exports", serde_json::to_string(&exports).unwrap()),
        ("metrics", world.admin_page("/metrics").await),
        ("readiness", world.admin_page("/readyz").await),
        ("the command line", read("cmdline")),
        ("the environment", read("environ")),
    ]
}

async fn assert_clean(world: &World) {
    for (place, text) in written(world).await {
        assert!(!text.is_empty(), "{place}: nothing to look at");
        for canary in [SECRET, TOKEN] {
            let found = text.lines().find(|line| line.contains(canary));
            assert_eq!(found, None, "{place}");
        }
    }
}

#[tokio::test]
async fn no_secret_and_no_token_is_in_a_log_an_event_an_object_or_a_metric() {
    let world = world().await;
    // An export that goes well, and one whose job fails with what the gateway was sent.
    world.export("well").await;
    world.until_phase("well", "Succeeded").await;
    let echo = format!("Bearer {TOKEN}, and client_secret={SECRET}");
    let errors = json!([{ "code": echo, "msg": echo, "callStack": echo }]);
    world.simulator.hold_jobs().await;
    world.export("echoed").await;
    let running = world.until_phase("echoed", "Running").await;
    let job = running.status.unwrap().job_id.unwrap();
    let failed = json!({ "status": "FAILED", "errors": errors });
    world.simulator.put(&format!("jobs/{job}"), failed).await;
    world.until_phase("echoed", "Failed").await;
    assert_clean(&world).await;

    // Replies that repeat it all, of the gateway and then of the identity service.
    let body = json!({ "error_code": "400000", "title": echo, "message": echo, "detail": echo });
    for (name, status) in [("rejected", 400), ("refused", 403), ("unsaid", 500)] {
        let reply = json!({ "reply": { "status": status, "body": body } });
        let fault = json!({ "method": "POST", "path": JOBS, "times": 1, "action": reply });
        world.simulator.fault(fault).await;
        world
            .create::<ExportJob>(name, export_into("profiles"))
            .await;
        eventually("the request to be made", || async {
            let posts = world.simulator.posts().await;
            let faulted = posts.iter().filter(|post| post["status"] == status).count();
            if faulted == 1 {
                Ok(())
            } else {
                Err(format!("{posts:#?}"))
            }
        })
        .await;
        let told = |e: &ExportJob| {
            let submission = e.status.as_ref().and_then(|s| s.submission.as_ref());
            submission.is_some_and(|s| s.outcome.is_some())
                || crate::harness::reason(e, "Ready") == "SubmissionInDoubt"
        };
        world.until(name, "told of", told).await;
    }
    world.simulator.delete("faults").await;
    // It was not sent a token, only the secret.
    let echo = format!("client_secret={SECRET}");
    let body = json!({ "error": echo, "error_description": echo });
    let reply = json!({ "reply": { "status": 400, "body": body } });
    let fault = json!({ "path": IMS, "action": reply });
    world.simulator.fault(fault).await;
    world
        .create::<PlatformConnection>("unknown", world.connection_spec())
        .await;
    let not_ready = |c: &PlatformConnection| {
        crate::harness::condition(c, "Ready").is_some_and(|ready| ready.status == "False")
    };
    world.until("unknown", "not ready", not_ready).await;
    assert_clean(&world).await;
}
