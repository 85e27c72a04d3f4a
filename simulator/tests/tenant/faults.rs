//! Faults over HTTP.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{JOBS, Tenant, smallest};

#[tokio::test]
async fn a_fault_answers_instead_and_its_calls_do_not_take_effect() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    let fault = json!({
        "name": "busy", "method": "POST", "path": JOBS, "times": 1,
        "action": {"reply": {"status": 503, "body": {"message": "busy"},
                             "headers": {"Retry-After": "3"}}},
    });
    let names = tenant
        .admin("POST", "/faults", fault)
        .await
        .with(201)
        .json();
    assert_eq!(names, json!({"names": ["busy"]}));
    let reply = tenant
        .send("POST", JOBS, &smallest(&dataset))
        .await
        .with(503);
    assert_eq!(
        (reply.header("retry-after"), reply.text.as_str()),
        ("3", r#"{"message": "busy"}"#.replace(' ', "").as_str())
    );
    assert_eq!(reply.header("x-request-id").len(), 32);
    tenant
        .send("POST", JOBS, &smallest(&dataset))
        .await
        .with(200);
    let ledger = tenant.ledger().await;
    let posts: Vec<&Value> = ledger["requests"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|request| request["method"] == "POST" && request["path"] == JOBS)
        .collect();
    assert_eq!(
        (&posts[0]["fault"], &posts[0]["committed"]),
        (&json!("busy"), &json!(false))
    );
    assert_eq!(
        (&posts[1]["fault"], &posts[1]["committed"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(ledger["summary"]["exports"]["created"], 1);
    let faults = tenant.admin("GET", "/faults", Value::Null).await.json();
    assert_eq!(
        (&faults[0]["seen"], &faults[0]["hits"]),
        (&json!(2), &json!(1))
    );
}

#[tokio::test]
async fn a_fault_may_let_its_call_take_effect_first() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    let fault = json!({"method": "POST", "path": "/data/core/*",
                       "action": {"reply": {"status": 502, "body": "<html>", "commit": true}}});
    tenant.admin("POST", "/faults", fault).await.with(201);
    let reply = tenant
        .send("POST", JOBS, &smallest(&dataset))
        .await
        .with(502);
    assert_eq!(reply.text, "<html>");
    let ledger = tenant.ledger().await;
    assert_eq!(ledger["summary"]["exports"]["created"], 1);
    let last = ledger["requests"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["status"], &last["committed"]),
        (&json!(502), &json!(true))
    );
}

#[tokio::test]
async fn a_call_can_be_made_to_wait() {
    let tenant = Tenant::start().await;
    let fault = json!([{"path": JOBS, "times": 1, "action": {"delayMilliseconds": 200}}]);
    tenant.admin("POST", "/faults", fault).await.with(201);
    let begin = Instant::now();
    tenant.get(JOBS).await.with(200);
    assert!(begin.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_delayed_call_takes_effect_though_its_caller_has_gone() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    let fault = json!({"method": "POST", "path": JOBS, "action": {"delayMilliseconds": 300}});
    tenant.admin("POST", "/faults", fault).await.with(201);
    let request = tenant.request("POST", JOBS).json(&smallest(&dataset));
    let gone = request
        .timeout(Duration::from_millis(50))
        .send()
        .await
        .unwrap_err();
    assert!(gone.is_timeout());
    tenant
        .until(JOBS, |reply| {
            reply.json()["records"].as_array().unwrap().len() == 1
        })
        .await;
}

#[tokio::test]
async fn a_sample_is_served_to_the_letter() {
    let tenant = Tenant::start().await;
    let sample = "{\"status\":true,\n \"message\":\"Export job has been marked for cancelling\"}";
    let fault = json!({"action": {"respond": {"body": sample}}});
    tenant.admin("POST", "/faults", fault).await.with(201);
    let reply = tenant.delete(&format!("{JOBS}/1")).await.with(200);
    assert_eq!(
        (reply.text.as_str(), reply.header("content-type")),
        (sample, "application/json")
    );
    tenant
        .admin("DELETE", "/faults", Value::Null)
        .await
        .with(204);
    tenant.get(JOBS).await.with(200);
}

#[tokio::test]
async fn a_fault_that_is_not_known_is_refused() {
    let tenant = Tenant::start().await;
    let fault = json!({"action": {"reply": {"status": 503, "commits": true}}});
    let reply = tenant
        .admin("POST", "/faults", fault)
        .await
        .with(400)
        .json();
    assert!(
        reply["error"].as_str().unwrap().contains("commits"),
        "{reply}"
    );
}
