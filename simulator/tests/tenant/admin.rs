//! The admin API and the ledger.

use aep_simulator::Options;
use serde_json::{Value, json};

use crate::support::{BATCHES, DATASETS, FORM, JOBS, Tenant, read, smallest};

#[tokio::test]
async fn what_the_admin_api_does_not_know_it_refuses_and_names() {
    let tenant = Tenant::start().await;
    let job = tenant.job().await;
    let dataset = tenant.dataset().await;
    let cases = [
        ("PUT", "/switches".to_owned()),
        ("POST", "/faults".to_owned()),
        ("POST", "/jobs".to_owned()),
        ("PUT", format!("/jobs/{job}")),
        ("POST", "/datasets".to_owned()),
        ("PUT", format!("/datasets/{dataset}")),
        ("PUT", "/batches/b".to_owned()),
        ("PUT", "/credentials".to_owned()),
        ("PUT", "/sandboxes".to_owned()),
        ("PUT", "/mergePolicies".to_owned()),
        ("PUT", "/clock".to_owned()),
        ("PUT", "/defaults".to_owned()),
    ];
    for (method, path) in cases {
        let reply = tenant
            .admin(method, &path, json!({"unheard": 1}))
            .await
            .with(400)
            .json();
        assert!(
            reply["error"].as_str().unwrap().contains("unheard"),
            "{path}: {reply}"
        );
    }
    tenant.admin("GET", "/nowhere", Value::Null).await.with(404);
    tenant
        .admin("DELETE", "/clock", Value::Null)
        .await
        .with(405);
    tenant.admin("PUT", "/jobs/77", json!({})).await.with(404);
    tenant
        .admin("PUT", "/clock", json!({"scale": -1}))
        .await
        .with(400);
    tenant
        .admin(
            "PUT",
            "/sandboxes",
            json!({"sandboxes": [{"name": "UPPER"}]}),
        )
        .await
        .with(400);
    for bad in [json!({"clientSecrets": []}), json!({"accessToken": ""})] {
        tenant.admin("PUT", "/credentials", bad).await.with(400);
    }
    tenant
        .admin("PUT", "/defaults", json!({"jobDurationSeconds": -1}))
        .await
        .with(400);
    tenant
        .admin(
            "PUT",
            &format!("/jobs/{job}"),
            json!({"outcome": "hold", "finishNow": true}),
        )
        .await
        .with(400);
    assert_eq!(
        tenant
            .admin("GET", "/healthz", Value::Null)
            .await
            .with(200)
            .text,
        "ok\n"
    );
}

#[tokio::test]
async fn no_secret_and_no_token_is_in_the_ledger() {
    let options = Options {
        access_token: Some("static-canary".to_owned()),
        ..Options::default()
    };
    let tenant = Tenant::with(options).await;
    tenant
        .ims(&FORM.replace("demo-client", "other"))
        .await
        .with(400);
    let query = tenant.bare("POST", &format!("/ims/token/v3?{FORM}"));
    read(query.send().await.unwrap()).await.with(400);
    let misplaced =
        json!({"name": "x", "description": format!("{} static-canary demo-secret", tenant.token)});
    tenant.send("POST", DATASETS, &misplaced).await.with(201);
    tenant
        .get(&format!("{JOBS}?access_token={}", tenant.token))
        .await
        .with(400);
    let text = tenant
        .admin("GET", "/ledger", Value::Null)
        .await
        .with(200)
        .text;
    for secret in ["demo-secret", "static-canary", tenant.token.as_str()] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.contains("[redacted]"));
}

#[tokio::test]
async fn the_ledger_tells_who_asked_for_what_and_what_became_of_it() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    let body = smallest(&dataset);
    for _ in 0..2 {
        let request = tenant
            .request("POST", JOBS)
            .header("x-request-id", "same")
            .json(&body);
        read(request.send().await.unwrap()).await.with(200);
    }
    tenant.bare("GET", JOBS).send().await.unwrap();
    let ledger = tenant.ledger().await;
    let post = &ledger["requests"][2];
    assert_eq!(
        (&post["method"], &post["path"], &post["index"]),
        (&json!("POST"), &json!(JOBS), &json!(2))
    );
    assert_eq!(
        (&post["status"], &post["committed"], &post["authorized"]),
        (&json!(200), &json!(true), &json!(true))
    );
    assert_eq!((&post["requestId"], &post["body"]), (&json!("same"), &body));
    let refused = &ledger["requests"][4];
    assert_eq!(
        (
            &refused["status"],
            &refused["committed"],
            &refused["authorized"]
        ),
        (&json!(403), &json!(false), &json!(false))
    );
    let job = &ledger["jobs"][0];
    assert_eq!(
        (&job["datasetId"], &job["status"], &job["foreign"]),
        (&json!(dataset), &json!("NEW"), &json!(false))
    );
    let summary = tenant.admin("GET", "/summary", Value::Null).await.json();
    assert_eq!(summary, ledger["summary"]);
    assert_eq!(
        summary["exports"],
        json!({"created": 2, "succeeded": 0, "failed": 0, "cancelled": 0, "running": 2,
               "foreign": 0})
    );
    assert_eq!(
        (&summary["duplicateRequestIds"], &summary["duplicateBodies"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(summary["requestsByRoute"][format!("POST {JOBS}")], 2);
    assert_eq!(
        (
            &summary["tokens"],
            &summary["requests"],
            &summary["datasets"]["created"]
        ),
        (&json!(1), &json!(5), &json!(1))
    );
}

#[tokio::test]
async fn somebody_elses_job_can_be_there_and_is_counted_apart() {
    let tenant = Tenant::start().await;
    let seed = json!({"id": 9_007_199_254_740_993_i64, "datasetId": "d", "requestId": "r",
                      "foreign": true, "status": "QUEUED"});
    let id = tenant
        .admin("POST", "/jobs", seed.clone())
        .await
        .with(201)
        .json()["id"]
        .clone();
    assert_eq!(id, 9_007_199_254_740_993_i64);
    let shown = tenant.shown(9_007_199_254_740_993).await;
    assert_eq!((&shown["id"], &shown["status"]), (&id, &json!("QUEUED")));
    tenant.admin("POST", "/jobs", seed).await.with(400);
    let summary = tenant.admin("GET", "/summary", Value::Null).await.json();
    assert_eq!(
        (
            &summary["exports"]["created"],
            &summary["exports"]["foreign"]
        ),
        (&json!(0), &json!(1))
    );
    tenant
        .admin(
            "POST",
            "/jobs",
            json!({"datasetId": "d", "status": "SUCCEEDED"}),
        )
        .await
        .with(201);
    let summary = tenant.admin("GET", "/summary", Value::Null).await.json();
    assert_eq!(
        (
            &summary["exports"]["created"],
            &summary["exports"]["succeeded"]
        ),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn a_job_can_vanish() {
    let tenant = Tenant::start().await;
    let job = tenant.job().await;
    tenant
        .admin("DELETE", &format!("/jobs/{job}"), Value::Null)
        .await
        .with(204);
    tenant.get(&format!("{JOBS}/{job}")).await.with(404);
    assert_eq!(tenant.ledger().await["jobs"][0]["deleteRequests"], 0);
}

#[tokio::test]
async fn documents_can_be_pinned_to_the_letter() {
    let tenant = Tenant::start().await;
    let job = tenant.job().await;
    let text = r#"{"z": 1e2, "id": 1001.0, "status": "FOO"}"#;
    let steering = format!(r#"{{"document": {text}}}"#);
    let put = tenant
        .bare("PUT", &format!("/_simulator/jobs/{job}"))
        .body(steering);
    read(put.send().await.unwrap()).await.with(200);
    assert_eq!(tenant.get(&format!("{JOBS}/{job}")).await.text, text);
    tenant.steer(job, json!({"document": null})).await;
    assert_eq!(tenant.shown(job).await["status"], "NEW");

    tenant
        .admin(
            "PUT",
            "/batches/b1",
            json!({"status": "failed", "datasetId": "d"}),
        )
        .await
        .with(200);
    assert_eq!(
        tenant.get(&format!("{BATCHES}/b1")).await.json()["b1"]["status"],
        "failed"
    );
    tenant
        .admin(
            "PUT",
            "/batches/b1",
            json!({"document": {"status": "success"}}),
        )
        .await
        .with(200);
    assert_eq!(
        tenant.get(&format!("{BATCHES}/b1")).await.json(),
        json!({"b1": {"status": "success"}})
    );
    tenant
        .admin(
            "PUT",
            "/batches/b1",
            json!({"document": null, "status": null}),
        )
        .await
        .with(200);
    assert_eq!(
        tenant.get(&format!("{BATCHES}/b1")).await.json()["b1"]["status"],
        "success"
    );

    let dataset = tenant.dataset().await;
    let document = json!({dataset.clone(): {"name": "pinned"}});
    tenant
        .admin(
            "PUT",
            &format!("/datasets/{dataset}"),
            json!({"document": document}),
        )
        .await
        .with(204);
    assert_eq!(
        tenant.get(&format!("{DATASETS}/{dataset}")).await.json(),
        document
    );
    tenant
        .admin("DELETE", &format!("/datasets/{dataset}"), Value::Null)
        .await
        .with(204);
    tenant.get(&format!("{DATASETS}/{dataset}")).await.with(404);
}

#[tokio::test]
async fn sandboxes_and_the_clock_can_be_changed() {
    let tenant = Tenant::start().await;
    let none = json!({"sandboxes": [{"name": "dev", "state": "creating"}]});
    tenant.admin("PUT", "/sandboxes", none).await.with(200);
    tenant.get(JOBS).await.with(403);
    let list = tenant.admin("GET", "/sandboxes", Value::Null).await.json();
    assert_eq!(
        list["sandboxes"][0],
        json!({"name": "dev", "type": "production", "state": "creating", "region": "VA7"})
    );
    tenant
        .admin("PUT", "/clock", json!({"scale": 2.5}))
        .await
        .with(200);
    assert_eq!(
        tenant.admin("GET", "/clock", Value::Null).await.json(),
        json!({"scale": 2.5, "shiftSeconds": 0})
    );
}
