//! Calls that take effect late, twice, or although their reply says otherwise.

use serde_json::{Value, json};

use crate::support::{DATASETS, JOBS, Tenant, UNION, id_of, smallest};

fn next(path: &str, action: &Value) -> Value {
    json!({"name": "commits", "method": "POST", "path": path, "times": 1, "action": action})
}

fn dataset_body() -> Value {
    json!({"name": "Twice", "schemaRef": {"id": UNION}})
}

fn at(value: &Value) -> i64 {
    let at: jiff::Timestamp = value.as_str().unwrap().parse().unwrap();
    at.as_millisecond()
}

/// The jobs' entries of a ledger, oldest first.
fn jobs(ledger: &Value) -> &Vec<Value> {
    ledger["jobs"].as_array().unwrap()
}

#[tokio::test]
async fn a_call_takes_effect_late_whatever_its_caller_was_told() {
    let commit = json!({"afterMilliseconds": 250});
    for action in [
        json!({"reply": {"status": 502, "commit": commit}}),
        json!({"reply": {"status": 503, "retryAfterDateSeconds": 1, "commit": commit}}),
        json!({"lose": {"how": "close", "commit": commit}}),
        json!({"lose": {"how": "reset", "commit": commit}}),
        json!({"lose": {"how": "hang", "forMilliseconds": 20, "commit": commit}}),
        json!({"lose": {"how": "hang", "forMilliseconds": 400, "commit": commit}}),
    ] {
        let tenant = Tenant::start().await;
        let dataset = tenant.dataset().await;
        tenant.fault(next(JOBS, &action)).await;
        let stream = tenant.call("POST", JOBS, &smallest(&dataset)).await;
        let ledger = tenant
            .until_ledger(|ledger| ledger["summary"]["exports"]["created"] == 1)
            .await;
        drop(stream);
        let call = ledger["requests"].as_array().unwrap().last().unwrap();
        let committed = at(&call["committedAt"][0]);
        assert!(committed - at(&call["at"]) >= 250, "{call}");
        // The job is as old as its commit, not as the call.
        let id = ledger["jobs"][0]["id"].as_i64().unwrap();
        let created = tenant.shown(id).await["creationTime"].as_i64().unwrap();
        assert!(created - at(&call["at"]) >= 250, "{action}");
        assert!((committed - created).abs() < 250, "{action}");
    }
}

#[tokio::test]
async fn the_answer_does_not_wait_for_a_late_effect_unless_it_is_the_tenants_own() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    let day = json!({"reply": {"status": 504, "commit": {"afterMilliseconds": 86_400_000}}});
    tenant.fault(next(JOBS, &day)).await;
    tenant
        .send("POST", JOBS, &smallest(&dataset))
        .await
        .with(504);
    assert_eq!(tenant.last_call().await["committedAt"], json!([]));
    let own = json!({"tenant": {"commit": {"afterMilliseconds": 100}}});
    tenant.fault(next(JOBS, &own)).await;
    let reply = tenant
        .send("POST", JOBS, &smallest(&dataset))
        .await
        .with(200)
        .json();
    let call = tenant.last_call().await;
    assert!(reply["creationTime"].as_i64().unwrap() - at(&call["at"]) >= 100);
}

#[tokio::test]
async fn an_effect_that_is_on_its_way_comes_though_the_caller_is_gone() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    let action = json!({"lose": {"how": "hang", "commit": {"afterMilliseconds": 200}}});
    tenant.fault(next(JOBS, &action)).await;
    drop(tenant.call("POST", JOBS, &smallest(&dataset)).await);
    tenant
        .until(JOBS, |reply| {
            reply.json()["records"].as_array().unwrap().len() == 1
        })
        .await;
}

#[tokio::test]
async fn a_failure_of_any_kind_can_come_with_and_without_commit() {
    let six_digits = |code: &str| json!({"error_code": code, "message": "refused"});
    let other = json!({"title": "Forbidden", "status": 403});
    for (status, body) in [
        (500, json!({"message": "oops"})),
        (502, json!("<html>Bad Gateway</html>")),
        (503, other.clone()),
        (504, other.clone()),
        (401, other.clone()),
        (403, other.clone()),
        (429, other),
        (401, six_digits("401013")),
        (403, six_digits("403025")),
        (429, six_digits("429001")),
    ] {
        for commit in [false, true] {
            let tenant = Tenant::start().await;
            let dataset = tenant.dataset().await;
            let reply = json!({"reply": {"status": status, "body": body, "commit": commit}});
            tenant.fault(next(JOBS, &reply)).await;
            tenant.fault(next(DATASETS, &reply)).await;
            let export = tenant
                .send("POST", JOBS, &smallest(&dataset))
                .await
                .with(status);
            let shown = body
                .as_str()
                .map_or_else(|| body.to_string(), str::to_owned);
            assert_eq!(export.text, shown);
            tenant
                .send("POST", DATASETS, &dataset_body())
                .await
                .with(status);
            let summary = tenant.ledger().await["summary"].clone();
            assert_eq!(summary["exports"]["created"], u8::from(commit), "{status}");
            assert_eq!(
                summary["datasets"]["created"],
                1 + u8::from(commit),
                "{status}"
            );
        }
    }
}

#[tokio::test]
async fn one_export_request_can_make_two_jobs_and_name_either() {
    for (names, place) in [("first", 0), ("second", 1)] {
        for again in [0, 60] {
            let tenant = Tenant::start().await;
            let dataset = tenant.dataset().await;
            let twice = json!({"tenant": {"names": names, "commit": {
                "times": 2, "againAfterMilliseconds": again}}});
            tenant.fault(next(JOBS, &twice)).await;
            let reply = tenant
                .send("POST", JOBS, &smallest(&dataset))
                .await
                .with(200)
                .json();
            let ledger = tenant.until_ledger(|ledger| jobs(ledger).len() == 2).await;
            let jobs = jobs(&ledger);
            assert_eq!(reply["id"], jobs[place]["id"], "{names}");
            assert_eq!(jobs[0]["requestId"], jobs[1]["requestId"]);
            assert_eq!(jobs[0]["call"], jobs[1]["call"]);
            assert_eq!(
                (&jobs[0]["surplus"], &jobs[1]["surplus"]),
                (&json!(false), &json!(true))
            );
            let call = ledger["requests"].as_array().unwrap().last().unwrap();
            let committed = (at(&call["committedAt"][0]), at(&call["committedAt"][1]));
            assert!(committed.1 - committed.0 >= again, "{call}");
            let summary = &ledger["summary"];
            assert_eq!(
                (&summary["createdOverOne"], &summary["surplus"]["exports"]),
                (&json!(0), &json!(1))
            );
            assert_eq!(summary["createdByRequestIdMaximum"], 1);
        }
    }
}

#[tokio::test]
async fn two_jobs_of_one_request_can_both_be_unknown_to_its_caller() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    let commit = json!({"afterMilliseconds": 50, "times": 2, "againAfterMilliseconds": 50});
    let action = json!({"lose": {"how": "reset", "commit": commit}});
    tenant.fault(next(JOBS, &action)).await;
    tenant.brought("POST", JOBS, &smallest(&dataset)).await;
    tenant
        .until(JOBS, |reply| {
            reply.json()["records"].as_array().unwrap().len() == 2
        })
        .await;
}

#[tokio::test]
async fn one_dataset_request_can_make_two_datasets_and_name_either() {
    for (names, place) in [("first", 0), ("second", 1)] {
        let tenant = Tenant::start().await;
        let twice = json!({"tenant": {"names": names, "commit": {"times": 2}}});
        tenant.fault(next(DATASETS, &twice)).await;
        let reply = tenant.send("POST", DATASETS, &dataset_body()).await;
        let id = id_of(&reply.with(201));
        let ledger = tenant.ledger().await;
        let datasets = ledger["datasets"].as_array().unwrap();
        assert_eq!(datasets.len(), 2);
        assert_eq!(datasets[place]["id"], id, "{names}");
        assert_eq!(datasets[0]["requestId"], datasets[1]["requestId"]);
        assert_eq!(datasets[1]["surplus"], true);
        assert_eq!(ledger["summary"]["surplus"]["datasets"], 1);
    }
}

#[tokio::test]
async fn a_job_made_in_secret_appears_in_the_list_after_some_calls_for_it() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    let commit = json!({"visibleAfterListCalls": 2});
    let action = json!({"lose": {"how": "close", "commit": commit}});
    tenant.fault(next(JOBS, &action)).await;
    tenant.brought("POST", JOBS, &smallest(&dataset)).await;
    for there in [0, 0, 1, 1] {
        let list = tenant.get(JOBS).await.with(200).json();
        assert_eq!(list["records"].as_array().unwrap().len(), there);
    }
}

#[tokio::test]
async fn the_tenants_own_reply_can_be_changed() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    let no_id = json!({"tenant": {"patch": [{"op": "remove", "path": "/id"}]}});
    tenant.fault(next(JOBS, &no_id)).await;
    let reply = tenant
        .send("POST", JOBS, &smallest(&dataset))
        .await
        .with(200)
        .json();
    assert_eq!((reply.get("id"), &reply["status"]), (None, &json!("NEW")));
    tenant
        .send("POST", JOBS, &smallest(&dataset))
        .await
        .with(200);
    let patch = json!([
        {"op": "remove", "path": "/records/0/id"},
        {"op": "remove", "path": "/records/1/creationTime"},
        {"op": "replace", "path": "/records/1/status", "value": "DREAMING"},
    ]);
    let fault = json!({"method": "GET", "path": JOBS, "skip": 1, "times": 1,
                       "action": {"tenant": {"patch": patch}}});
    tenant.fault(fault).await;
    let whole = tenant.get(JOBS).await.with(200).json()["records"].clone();
    let broken = tenant.get(JOBS).await.with(200).json()["records"].clone();
    assert_eq!((&whole[0]["id"], broken[0].get("id")), (&json!(1002), None));
    assert_eq!(broken[1]["id"], 1001);
    assert_eq!(broken[1].get("creationTime"), None);
    assert_eq!(broken[1]["status"], "DREAMING");
    // What does not fit is left alone.
    let unfit = json!({"action": {"tenant": {"patch": [{"op": "remove", "path": "/x"}]}}});
    tenant.fault(unfit).await;
    assert_eq!(tenant.shown(1001).await["id"], 1001);
}
