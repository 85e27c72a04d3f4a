//! The switches beyond the table of discrepancies.

use serde_json::{Value, json};

use crate::support::{BATCHES, DATASETS, JOBS, Shown, Tenant, id_of, smallest};

#[tokio::test]
async fn a_request_id_may_not_be_given_back_here_or_there() {
    let shown =
        Shown::with(json!({"requestIdEcho": {"post": true, "get": false, "list": false}})).await;
    let ledger = shown.tenant.ledger().await;
    let own = &ledger["jobs"][0]["requestId"];
    assert_eq!(shown.post["requestId"], *own);
    let other = shown.get().await["requestId"].clone();
    assert_ne!(other, *own);
    assert_eq!(shown.list().await["requestId"], other);
}

#[tokio::test]
async fn an_id_and_a_time_may_have_other_shapes() {
    let shown = Shown::with(json!({"idShape": "string", "creationTimeUnit": "s"})).await;
    assert_eq!(shown.post["id"], "1001");
    assert!(shown.post["creationTime"].as_i64().unwrap() < 100_000_000_000);
    shown
        .tenant
        .switch(json!({"idShape": "float", "creationTimeUnit": "absent"}))
        .await;
    let text = shown.tenant.get(&format!("{JOBS}/1001")).await.text;
    assert!(text.contains(r#""id":1001.0"#), "{text}");
    assert!(!text.contains("creationTime"));
}

#[tokio::test]
async fn the_status_in_a_batch_may_be_a_string() {
    let shown = Shown::with(json!({"segmentStatusShape": "string"})).await;
    assert_eq!(
        shown.post["destination"]["batches"][0]["status"],
        "realized"
    );
    shown
        .tenant
        .switch(json!({"segmentStatusShape": "mixed"}))
        .await;
    let batches = shown.get().await["destination"]["batches"].clone();
    assert_eq!(
        (&batches[0]["status"], &batches[1]["status"]),
        (&json!(["realized"]), &json!("exited"))
    );
}

#[tokio::test]
async fn a_new_job_may_not_name_its_place() {
    let tenant = Tenant::start().await;
    tenant.switch(json!({"jobLocationHeader": "absent"})).await;
    let body = smallest(&tenant.dataset().await);
    assert_eq!(
        tenant
            .send("POST", JOBS, &body)
            .await
            .with(200)
            .header("x-location"),
        ""
    );
}

#[tokio::test]
async fn new_jobs_and_tags_may_be_seen_later() {
    let tenant = Tenant::start().await;
    tenant
        .switch(json!({"listLagSeconds": 3600, "getLagSeconds": 3600, "tagQueryLagSeconds": 3600}))
        .await;
    let job = tenant.job().await;
    tenant
        .send(
            "POST",
            DATASETS,
            &json!({"name": "x", "tags": {"a": ["b"]}}),
        )
        .await
        .with(201);
    tenant.get(&format!("{JOBS}/{job}")).await.with(404);
    assert_eq!(tenant.get(JOBS).await.json()["records"], json!([]));
    assert_eq!(
        tenant.get(&format!("{DATASETS}?tags=a:b")).await.json(),
        json!({})
    );
    tenant
        .switch(json!({"listLagSeconds": 0, "getLagSeconds": 0, "tagQueryLagSeconds": 0}))
        .await;
    tenant.get(&format!("{JOBS}/{job}")).await.with(200);
    assert_eq!(
        tenant.get(JOBS).await.json()["records"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        tenant
            .get(&format!("{DATASETS}?tags=a:b"))
            .await
            .json()
            .as_object()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_readable_batch_may_be_called_active() {
    let shown = Shown::with(json!({"batchReadableStatus": "active"})).await;
    let job = shown.finished("succeed").await;
    let id = job["destination"]["batches"][0]["batchId"]
        .as_str()
        .unwrap();
    let batch = shown
        .tenant
        .get(&format!("{BATCHES}/{id}"))
        .await
        .with(200)
        .json();
    assert_eq!(batch[id]["status"], "active");
}

#[tokio::test]
async fn a_cancelled_job_may_look_otherwise() {
    for (value, during, after) in [
        ("cancelled", "CANCELLING", Some("CANCELLED")),
        ("failed", "NEW", Some("FAILED")),
        ("absent", "NEW", None),
        ("ignored", "NEW", Some("SUCCEEDED")),
    ] {
        let shown = Shown::with(json!({"cancelLooksLike": value})).await;
        let path = format!("{JOBS}/{}", shown.job);
        shown.tenant.delete(&path).await.with(204);
        assert_eq!(shown.get().await["status"], during, "{value}");
        shown
            .tenant
            .steer(shown.job, json!({"finishNow": true}))
            .await;
        let reply = shown.tenant.get(&path).await;
        assert_eq!(
            (reply.status == 200).then(|| reply.json()["status"].clone()),
            after.map(Value::from),
            "{value}"
        );
    }
}

#[tokio::test]
async fn the_deletion_of_a_finished_job_may_do_nothing_or_be_refused() {
    let shown = Shown::with(json!({"deleteFinished": "keeps"})).await;
    shown.finished("succeed").await;
    let path = format!("{JOBS}/{}", shown.job);
    shown.tenant.delete(&path).await.with(204);
    assert_eq!(shown.get().await["status"], "SUCCEEDED");
    shown
        .tenant
        .switch(json!({"deleteFinished": "refuses"}))
        .await;
    shown.tenant.delete(&path).await.with(404);
    assert_eq!(shown.get().await["status"], "SUCCEEDED");
}

#[tokio::test]
async fn errors_may_have_no_body() {
    let tenant = Tenant::start().await;
    tenant.switch(json!({"exportErrorBodies": "empty"})).await;
    assert_eq!(tenant.get(&format!("{JOBS}/7")).await.with(404).text, "");
    assert_eq!(
        tenant.send("POST", JOBS, &json!({})).await.with(400).text,
        ""
    );
}

#[tokio::test]
async fn the_deletion_of_an_unknown_dataset_may_be_a_404() {
    let tenant = Tenant::start().await;
    tenant
        .switch(json!({"datasetDeleteMissing": "notFound"}))
        .await;
    tenant.delete(&format!("{DATASETS}/none")).await.with(404);
}

#[tokio::test]
async fn tags_in_a_patch_replace_or_merge() {
    let tenant = Tenant::start().await;
    let body = json!({"name": "x", "tags": {"a": ["1"]}});
    let id = id_of(&tenant.send("POST", DATASETS, &body).await.with(201));
    let path = format!("{DATASETS}/{id}");
    tenant.switch(json!({"patchTags": "merge"})).await;
    tenant
        .send("PATCH", &path, &json!({"tags": {"b": ["2"]}}))
        .await
        .with(200);
    assert_eq!(
        tenant.get(&path).await.json()[&id]["tags"],
        json!({"a": ["1"], "b": ["2"]})
    );
    tenant.switch(json!({"patchTags": "replace"})).await;
    tenant
        .send("PATCH", &path, &json!({"tags": {"c": ["3"]}}))
        .await
        .with(200);
    assert_eq!(
        tenant.get(&path).await.json()[&id]["tags"],
        json!({"c": ["3"]})
    );
}

#[tokio::test]
async fn an_unknown_merge_policy_may_be_refused() {
    let tenant = Tenant::start().await;
    let mut body = smallest(&tenant.dataset().await);
    body["mergePolicy"] = json!({"id": "none"});
    tenant.send("POST", JOBS, &body).await.with(200);
    tenant
        .switch(json!({"unknownMergePolicy": "refused"}))
        .await;
    tenant.send("POST", JOBS, &body).await.with(400);
    tenant
        .admin("PUT", "/mergePolicies", json!({"mergePolicies": ["none"]}))
        .await
        .with(200);
    tenant.send("POST", JOBS, &body).await.with(200);
}

#[tokio::test]
async fn what_stands_for_a_request_id_can_be_another_or_nothing_and_change_in_the_middle() {
    let shown = Shown::with(json!({"requestIdEcho": {"post": false}})).await;
    let own = shown.tenant.ledger().await["jobs"][0]["requestId"].clone();
    assert_ne!(shown.post["requestId"], own);
    assert_eq!(shown.get().await["requestId"], own);
    assert_eq!(shown.list().await["requestId"], own);
    let other = shown.post["requestId"].clone();
    shown
        .tenant
        .switch(json!({"requestIdEcho": {"post": true, "get": false}}))
        .await;
    assert_eq!(shown.get().await["requestId"], other);
    assert_eq!(shown.list().await["requestId"], own);
    shown
        .tenant
        .switch(json!({"requestIdElsewhere": "absent", "requestIdEcho": {"list": false}}))
        .await;
    assert_eq!(shown.get().await.get("requestId"), None);
    assert_eq!(shown.list().await.get("requestId"), None);
    let dataset = shown.tenant.dataset().await;
    let post = shown.tenant.send("POST", JOBS, &smallest(&dataset)).await;
    assert!(post.with(200).json()["requestId"].is_string());
}

#[tokio::test]
async fn an_id_beyond_the_floats_is_exact_in_every_reply() {
    for (shape, text) in [
        ("number", r#""id":9007199254740993,"#),
        ("string", r#""id":"9007199254740993""#),
        ("float", r#""id":9007199254740992.0"#),
    ] {
        let tenant = Tenant::start().await;
        tenant.switch(json!({"idShape": shape})).await;
        let dataset = tenant.dataset().await;
        tenant
            .admin(
                "PUT",
                "/defaults",
                json!({"nextJobId": 9_007_199_254_740_993_i64}),
            )
            .await
            .with(200);
        let replies = [
            tenant.send("POST", JOBS, &smallest(&dataset)).await,
            tenant.get(&format!("{JOBS}/9007199254740993")).await,
            tenant.get(JOBS).await,
        ];
        for reply in replies {
            let reply = reply.with(200);
            assert!(reply.text.contains(text), "{}", reply.text);
        }
    }
}
