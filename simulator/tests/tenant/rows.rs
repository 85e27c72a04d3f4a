//! Each row of the table of discrepancies has a switch that changes what it says.

use serde_json::{Value, json};

use crate::support::{DATASETS, JOBS, Shown, Tenant, UNION, full, id_of, smallest};

#[tokio::test]
async fn row_1_a_flavour_sets_the_others() {
    let shown = Shown::with(json!({"flavour": "openapi", "evaluationInRequest": "accepted"})).await;
    assert!(shown.post["destination"]["batches"].is_object());
    assert!(shown.post["computeGatewayJobId"]["exportJob"].is_string());
    let reset = shown
        .tenant
        .admin("DELETE", "/switches", Value::Null)
        .await
        .with(200)
        .json();
    assert_eq!(reset["flavour"], "combined");
    assert!(shown.get().await["destination"]["batches"].is_array());
}

#[tokio::test]
async fn row_2_a_file_description_may_be_refused() {
    let tenant = Tenant::start().await;
    let only = json!({"name": "x", "fileDescription": {"format": "parquet"}});
    let full = json!({
        "name": "x",
        "fileDescription": {"format": "parquet", "persisted": true, "containerFormat": "parquet"},
    });
    for (value, statuses) in [
        ("full", (201, 201)),
        ("formatOnly", (201, 400)),
        ("refused", (400, 400)),
    ] {
        tenant.switch(json!({"fileDescription": value})).await;
        tenant.send("POST", DATASETS, &only).await.with(statuses.0);
        tenant.send("POST", DATASETS, &full).await.with(statuses.1);
    }
}

#[tokio::test]
async fn row_3_the_reply_to_a_dataset_request() {
    let tenant = Tenant::start().await;
    tenant
        .switch(json!({
            "datasetCreatePrefix": "@/datasets",
            "datasetCreateStatus": 200,
            "datasetLocationHeader": "xLocation",
        }))
        .await;
    let body = json!({"name": "x", "schemaRef": {"id": UNION}});
    let reply = tenant.send("POST", DATASETS, &body).await.with(200);
    assert!(reply.json()[0].as_str().unwrap().starts_with("@/datasets/"));
    assert!(reply.header("x-location").ends_with(&id_of(&reply)));
    assert_eq!(reply.header("location"), "");
}

#[tokio::test]
async fn rows_4_and_5_parts_of_a_request_may_be_refused() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    tenant
        .switch(json!({"evaluationInRequest": "refused"}))
        .await;
    let reply = tenant
        .send("POST", JOBS, &full(&dataset))
        .await
        .with(400)
        .json();
    let title = reply["title"].as_str().unwrap();
    assert!(
        title.contains("evaluationInfo") && title.contains("toIngestTimestamp"),
        "{title}"
    );
    assert!(!title.contains("filter: this"));
    tenant
        .switch(json!({"evaluationInRequest": "accepted", "filterInRequest": "refused"}))
        .await;
    let reply = tenant
        .send("POST", JOBS, &full(&dataset))
        .await
        .with(400)
        .json();
    assert!(
        reply["title"]
            .as_str()
            .unwrap()
            .contains("filter: this flavour")
    );
}

#[tokio::test]
async fn row_6_the_status_that_a_segment_has_by_default() {
    let shown = Shown::with(json!({"segmentStatusDefault": "realizedAndExisting"})).await;
    let batches = &shown.post["destination"]["batches"];
    assert_eq!(batches[0]["status"], json!(["realized", "existing"]));
    assert_eq!(batches[1]["status"], json!(["exited"]));
}

#[tokio::test]
async fn rows_7_and_8_the_key_of_the_dataset() {
    let shown = Shown::with(json!({"datasetKeyInReply": "dataSetId"})).await;
    for job in [&shown.post, &shown.get().await] {
        assert!(
            job["destination"]["dataSetId"].is_string()
                && job["destination"]["datasetId"].is_null()
        );
    }
    assert!(shown.list().await["destination"]["datasetId"].is_string());
    shown
        .tenant
        .switch(json!({"datasetKeyInReply": "datasetId", "datasetKeyInList": "dataSetId"}))
        .await;
    assert!(shown.get().await["destination"]["datasetId"].is_string());
    assert!(shown.list().await["destination"]["dataSetId"].is_string());
    shown
        .tenant
        .switch(json!({"datasetKeyInReply": "dataSetIdWithBatches"}))
        .await;
    assert!(shown.get().await["destination"]["dataSetId"].is_string());
    let plain = shown.tenant.job().await;
    assert!(shown.tenant.shown(plain).await["destination"]["datasetId"].is_string());
}

#[tokio::test]
async fn row_9_batches_may_be_one_object() {
    let shown = Shown::with(json!({"batchesShape": "object"})).await;
    assert_eq!(shown.post["destination"]["batches"]["segmentId"], "s1");
}

#[tokio::test]
async fn row_10_the_push_job_and_the_time_of_writing() {
    for (value, outcome, there) in [
        ("succeededOnly", "succeed", true),
        ("succeededOnly", "fail", false),
        ("never", "succeed", false),
        ("always", "fail", true),
    ] {
        let shown = Shown::with(json!({"pushJobAndDatasetWriteTime": value})).await;
        let job = shown.finished(outcome).await;
        assert_eq!(
            job["computeGatewayJobId"]["pushJob"].is_string(),
            there,
            "{value} {outcome}"
        );
        assert_eq!(
            job["metrics"]["aCPDatasetWriteTime"].is_object(),
            there,
            "{value} {outcome}"
        );
    }
}

#[tokio::test]
async fn row_11_the_counters_of_profiles() {
    let shown = Shown::with(json!({"profileCounters": "absent"})).await;
    let metrics = shown.finished("succeed").await["metrics"].clone();
    assert!(metrics["totalExportedProfileCounter"].is_null());
    assert!(metrics["exportedProfileByNamespaceCounter"].is_null());
}

#[tokio::test]
async fn row_12_the_compute_gateway_of_a_new_job() {
    let shown = Shown::with(json!({"computeGatewayAtNew": "empty"})).await;
    assert_eq!(shown.post["computeGatewayJobId"], json!({}));
    shown
        .tenant
        .switch(json!({"computeGatewayAtNew": "emptyString"}))
        .await;
    assert_eq!(
        shown.get().await["computeGatewayJobId"],
        json!({"exportJob": ""})
    );
    shown
        .tenant
        .switch(json!({"computeGatewayAtNew": "object"}))
        .await;
    assert!(shown.get().await["computeGatewayJobId"]["pushJob"].is_string());
}

#[tokio::test]
async fn row_13_the_parameters_of_the_list() {
    let tenant = Tenant::start().await;
    tenant.get(&format!("{JOBS}?status=NEW")).await.with(200);
    tenant.get(&format!("{JOBS}?start=0")).await.with(400);
    tenant.switch(json!({"listParameters": "profile"})).await;
    tenant.get(&format!("{JOBS}?status=NEW")).await.with(400);
    tenant.get(&format!("{JOBS}?start=0")).await.with(200);
}

#[tokio::test]
async fn row_14_the_answer_to_a_cancel() {
    let marked = json!({"status": true, "message": "Export job has been marked for cancelling"});
    for (value, status, body) in [
        ("204", 204, None),
        ("204WithBody", 204, None),
        ("200WithBody", 200, Some(marked)),
    ] {
        let shown = Shown::with(json!({"deleteReply": value})).await;
        let reply = shown
            .tenant
            .delete(&format!("{JOBS}/{}", shown.job))
            .await
            .with(status);
        assert_eq!(reply.header("content-length").is_empty(), status == 204);
        assert_eq!(
            (!reply.text.is_empty()).then(|| reply.json()),
            body,
            "{value}"
        );
    }
}

#[tokio::test]
async fn row_15_post_may_cancel_as_a_curl_command_has_it() {
    let shown = Shown::with(json!({})).await;
    let path = format!("{JOBS}/{}", shown.job);
    shown.tenant.send("POST", &path, &json!({})).await.with(405);
    shown
        .tenant
        .switch(json!({"deleteVerb": "deleteAndPost"}))
        .await;
    shown.tenant.send("POST", &path, &json!({})).await.with(204);
    assert_eq!(shown.get().await["status"], "CANCELLING");
}

#[tokio::test]
async fn row_16_the_batch_of_a_failed_job() {
    let shown = Shown::with(json!({"failedBatchId": "empty"})).await;
    assert_eq!(
        shown.finished("fail").await["destination"]["batches"][0]["batchId"],
        ""
    );
    shown
        .tenant
        .switch(json!({"failedBatchId": "nonEmpty"}))
        .await;
    assert_ne!(
        shown.get().await["destination"]["batches"][0]["batchId"],
        ""
    );
}

#[tokio::test]
async fn row_17_a_success_may_have_errors() {
    let shown = Shown::with(json!({})).await;
    assert!(shown.finished("succeed").await["errors"].is_null());
    shown
        .tenant
        .switch(json!({"succeededWithErrors": "always"}))
        .await;
    assert_eq!(shown.get().await["errors"][0]["code"], "0100000003");
}

#[tokio::test]
async fn row_18_the_organisation_in_replies() {
    let shown = Shown::with(json!({})).await;
    for (value, expected) in [
        ("real", json!("745F37C35E4B776E0A49421B@AdobeOrg")),
        ("imsOrg", json!("{IMS_ORG}")),
        ("orgId", json!("{ORG_ID}")),
        ("absent", Value::Null),
    ] {
        shown.tenant.switch(json!({"orgIdInReply": value})).await;
        assert_eq!(shown.get().await["imsOrgId"], expected);
    }
}

#[tokio::test]
async fn row_19_processing_may_not_be_shown() {
    let shown = Shown::with(json!({"statusesShown": "documents"})).await;
    shown
        .tenant
        .steer(shown.job, json!({"outcome": "hold"}))
        .await;
    shown
        .tenant
        .admin("PUT", "/clock", json!({"scale": 1e6}))
        .await
        .with(200);
    let path = format!("{JOBS}/{}", shown.job);
    shown
        .tenant
        .until(&path, |reply| {
            reply.json()["metrics"]["profileExportTime"].is_object()
        })
        .await;
    assert_eq!(shown.get().await["status"], "NEW");
    shown
        .tenant
        .switch(json!({"statusesShown": "withProcessing"}))
        .await;
    assert_eq!(shown.get().await["status"], "PROCESSING");
}

#[tokio::test]
async fn row_20_the_status_code_of_a_new_job() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    for status in [200, 201, 202] {
        tenant.switch(json!({"createStatus": status})).await;
        tenant
            .send("POST", JOBS, &smallest(&dataset))
            .await
            .with(status);
    }
}

#[tokio::test]
async fn row_21_what_comes_back_where() {
    let none = json!({"post": false, "get": false, "list": false});
    for (switch, key) in [
        ("fieldsEcho", "fields"),
        ("filterEcho", "filter"),
        ("additionalFieldsEcho", "additionalFields"),
    ] {
        for place in ["post", "get", "list"] {
            let mut places = none.clone();
            places[place] = json!(true);
            let shown = Shown::with(json!({switch: places})).await;
            let there = [
                !shown.post[key].is_null(),
                !shown.get().await[key].is_null(),
                !shown.list().await[key].is_null(),
            ];
            assert_eq!(
                there,
                [place == "post", place == "get", place == "list"],
                "{switch} {place}"
            );
        }
    }
    let shown = Shown::with(json!({})).await;
    assert!(shown.post["evaluationInfo"].is_null());
    assert!(shown.post["additionalFields"]["eventList"]["filter"]["toIngestTimestamp"].is_null());
    shown
        .tenant
        .switch(json!({"evaluationEcho": "shown", "additionalFieldsEcho": {"get": true}}))
        .await;
    let job = shown.get().await;
    assert_eq!(job["evaluationInfo"], json!({"segmentation": true}));
    assert!(job["additionalFields"]["eventList"]["filter"]["toIngestTimestamp"].is_string());
}

#[tokio::test]
async fn row_22_the_segments_in_replies() {
    let shown = Shown::with(json!({"segmentEcho": "asSent"})).await;
    let sent =
        json!([{"segmentId": "s1"}, {"segmentId": "s2", "segmentNs": "AAM", "status": ["exited"]}]);
    assert_eq!(shown.get().await["filter"]["segments"], sent);
    shown
        .tenant
        .switch(json!({"segmentEcho": "withDefaults"}))
        .await;
    let first = json!({"segmentId": "s1", "segmentNs": "ups", "status": ["realized"]});
    assert_eq!(shown.get().await["filter"]["segments"][0], first);
    shown
        .tenant
        .switch(json!({"segmentEcho": "segmentIdOnly"}))
        .await;
    assert_eq!(
        shown.get().await["filter"]["segments"],
        json!([{"segmentId": "s1"}, {"segmentId": "s2"}])
    );
}
