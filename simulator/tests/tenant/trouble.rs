//! What else goes wrong on the way: too many calls, IMS, tokens, redirects, statuses, lost jobs.

use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use serde_json::{Value, json};

use crate::support::{FORM, JOBS, Tenant, read, smallest};

fn seconds(header: &str) -> i64 {
    let date = jiff::fmt::rfc2822::parse(header).unwrap();
    date.timestamp().as_second()
}

#[tokio::test]
async fn retry_after_can_be_seconds_absent_or_absurd() {
    for status in [429, 503] {
        let tenant = Tenant::start().await;
        for value in ["3", "0", "soon", "-5", "1000000000000", ""] {
            let headers = json!({"Retry-After": value});
            let reply = json!({"reply": {"status": status, "headers": headers}});
            tenant.fault(json!({"times": 1, "action": reply})).await;
            let reply = tenant.get(JOBS).await.with(status);
            assert_eq!(reply.headers.get("retry-after").unwrap(), value);
        }
        let absent = json!({"times": 1, "action": {"reply": {"status": status}}});
        tenant.fault(absent).await;
        let reply = tenant.get(JOBS).await.with(status);
        assert_eq!(reply.headers.get("retry-after"), None);
    }
}

#[tokio::test]
async fn retry_after_can_be_a_date_some_seconds_after_the_reply() {
    let tenant = Tenant::start().await;
    tenant
        .fault(json!([
            {"times": 1, "action": {"delayMilliseconds": 1100}},
            {"times": 1, "action": {"reply": {"status": 429, "retryAfterDateSeconds": 7}}},
            {"times": 1, "action": {"reply": {"status": 503, "retryAfterDateSeconds": -60}}},
            {"times": 1, "action": {"respond": {"body": {}, "status": 503,
                                                "retryAfterDateSeconds": 7}}},
        ]))
        .await;
    // The wait before it does not count: the date is made with the reply.
    for (status, ahead) in [(429, 7), (503, -60), (503, 7)] {
        let reply = tenant.get(JOBS).await.with(status);
        let date = seconds(reply.header("retry-after"));
        let now = seconds(reply.header("date"));
        assert!((date - now - ahead).abs() <= 1, "{:?}", reply.headers);
    }
}

#[tokio::test]
async fn ims_can_be_slow_down_malformed_or_gone() {
    let tenant = Tenant::start().await;
    let ims = |action: Value| json!({"path": "/ims/*", "times": 1, "action": action});
    tenant.fault(ims(json!({"delayMilliseconds": 150}))).await;
    let begin = Instant::now();
    tenant.ims(FORM).await.with(200);
    assert!(begin.elapsed() >= Duration::from_millis(150));
    tenant.fault(ims(json!({"reply": {"status": 503}}))).await;
    tenant.ims(FORM).await.with(503);
    tenant
        .fault(ims(
            json!({"reply": {"status": 200, "body": "{\"access_token\": "}}),
        ))
        .await;
    assert_eq!(tenant.ims(FORM).await.with(200).text, "{\"access_token\": ");
    let without = json!([{"op": "remove", "path": "/expires_in"}]);
    tenant
        .fault(ims(json!({"tenant": {"patch": without}})))
        .await;
    let token = tenant.ims(FORM).await.with(200).json();
    assert_eq!(token.get("expires_in"), None);
    tenant.fault(ims(json!({"lose": {"how": "reset"}}))).await;
    let request = tenant.bare("POST", "/ims/token/v3").body(FORM);
    assert!(request.send().await.is_err());
    let call = tenant.last_call().await;
    assert_eq!(
        (&call["connection"], &call["body"]),
        (&json!("reset"), &Value::Null)
    );
}

#[tokio::test]
async fn tokens_can_end_in_the_middle() {
    let tenant = Tenant::start().await;
    let job = tenant.job().await;
    tenant
        .admin("PUT", "/credentials", json!({"revokeTokens": true}))
        .await
        .with(204);
    let refused = tenant.get(&format!("{JOBS}/{job}")).await.with(401).json();
    assert_eq!(refused["error_code"], "401013");
    let token = tenant.ims(FORM).await.with(200).json()["access_token"].clone();
    let fresh = Tenant {
        url: tenant.url.clone(),
        client: tenant.client.clone(),
        token: token.as_str().unwrap().to_owned(),
    };
    assert_eq!(fresh.shown(job).await["id"], job);
}

#[tokio::test]
async fn a_call_can_be_sent_to_another_host() {
    let tenant = Tenant::start().await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .unwrap();
    for status in [301, 302, 307, 308] {
        let headers = json!({"Location": "http://127.0.0.2:9/elsewhere"});
        let reply = json!({"reply": {"status": status, "headers": headers}});
        tenant.fault(json!({"times": 1, "action": reply})).await;
        let url = format!("{}{JOBS}", tenant.url);
        let reply = read(client.get(url).send().await.unwrap())
            .await
            .with(status);
        assert_eq!(reply.header("location"), "http://127.0.0.2:9/elsewhere");
    }
}

#[tokio::test]
async fn the_first_calls_for_a_new_job_can_be_in_vain() {
    let tenant = Tenant::start().await;
    let not_found = json!({"reply": {"status": 404, "body": {"title": "not found"}}});
    let fault = json!({"method": "GET", "path": format!("{JOBS}/*"), "times": 2,
                       "action": not_found});
    tenant.fault(fault).await;
    let job = tenant.job().await;
    for status in [404, 404, 200, 200] {
        tenant.get(&format!("{JOBS}/{job}")).await.with(status);
    }
}

#[tokio::test]
async fn a_status_can_be_unknown_or_go_backwards() {
    let tenant = Tenant::start().await;
    let job = tenant.job().await;
    tenant
        .steer(job, json!({"outcome": "succeed", "finishNow": true}))
        .await;
    assert_eq!(tenant.shown(job).await["status"], "SUCCEEDED");
    for status in ["PROCESSING", "NEW", "DREAMING"] {
        tenant.steer(job, json!({"status": status})).await;
        assert_eq!(tenant.shown(job).await["status"], status);
        let list = tenant.get(JOBS).await.with(200).json();
        assert_eq!(list["records"][0]["status"], status);
    }
    tenant.steer(job, json!({"status": null})).await;
    assert_eq!(tenant.shown(job).await["status"], "SUCCEEDED");
}

#[tokio::test]
async fn jobs_can_be_purged_some_time_after_their_end_or_their_creation() {
    let tenant = Tenant::start().await;
    let old = |id: i64, ago: i64, status: &str| {
        let created = jiff::Timestamp::now().as_millisecond() - ago * 1000;
        json!({"id": id, "datasetId": "d", "creationTime": created, "status": status})
    };
    for seed in [
        old(1, 900, "SUCCEEDED"),
        old(2, 100, "FAILED"),
        old(3, 900, "PROCESSING"),
    ] {
        tenant.admin("POST", "/jobs", seed).await.with(201);
    }
    let there = async || {
        let list = tenant.get(JOBS).await.with(200).json();
        let records = list["records"].as_array().unwrap();
        let mut ids: Vec<i64> = records
            .iter()
            .map(|job| job["id"].as_i64().unwrap())
            .collect();
        ids.sort_unstable();
        for id in 1..=3 {
            let status = if ids.contains(&id) { 200 } else { 404 };
            tenant.get(&format!("{JOBS}/{id}")).await.with(status);
        }
        ids
    };
    assert_eq!(there().await, [1, 2, 3]);
    tenant.switch(json!({"finishedKeptSeconds": 500})).await;
    assert_eq!(there().await, [2, 3]);
    tenant.switch(json!({"jobsKeptSeconds": 500})).await;
    assert_eq!(there().await, [2]);
    tenant.switch(json!({"finishedKeptSeconds": 0})).await;
    assert!(there().await.is_empty());
    let jobs = tenant.ledger().await["jobs"].as_array().unwrap().len();
    assert_eq!(jobs, 3);
}

#[tokio::test]
async fn a_request_id_that_asks_twice_is_counted_and_so_is_a_cancel_of_a_foreign_job() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    for request_id in ["one", "two", "two", "two"] {
        let request = tenant
            .request("POST", JOBS)
            .header("x-request-id", request_id)
            .json(&smallest(&dataset));
        read(request.send().await.unwrap()).await.with(200);
    }
    for id in [1, 2, 3] {
        let foreign = json!({"id": id, "datasetId": "d", "requestId": "two", "foreign": true});
        tenant.admin("POST", "/jobs", foreign).await.with(201);
    }
    let summary = tenant.ledger().await["summary"].clone();
    assert_eq!(
        (
            &summary["createdByRequestIdMaximum"],
            &summary["createdOverOne"],
            &summary["foreignDeleted"]
        ),
        (&json!(3), &json!(1), &json!(0))
    );
    // One is cancelled; for the other it is asked in vain, which is no better.
    tenant.delete(&format!("{JOBS}/1")).await.with(204);
    let dropped = json!({"method": "DELETE", "action": {"reply": {"status": 503}}});
    tenant.fault(dropped).await;
    tenant.delete(&format!("{JOBS}/2")).await.with(503);
    tenant.delete(&format!("{JOBS}/2")).await.with(503);
    let ledger = tenant.ledger().await;
    assert_eq!(ledger["summary"]["foreignDeleted"], 2);
    assert_eq!(ledger["jobs"][0]["deleteRequests"], 1);
}
