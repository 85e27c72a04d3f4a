//! Export jobs: what is asked for, how they live, how they end.

use aep_simulator::Options;
use serde_json::{Value, json};

use crate::support::{BATCHES, DATASETS, JOBS, Tenant, read, smallest};

/// Requests into a dataset that no document allows, and what their refusal says.
fn refused(dataset: &str) -> Vec<(Value, &'static str)> {
    let with = |patch: Value| {
        let mut body = smallest(dataset);
        let body_keys = body.as_object_mut().unwrap();
        body_keys.extend(patch.as_object().unwrap().clone());
        body
    };
    vec![
        (
            json!({"schema": {"name": "_xdm.context.profile"}}),
            "destination: is required",
        ),
        (
            json!({"destination": {"datasetId": dataset}}),
            "schema: is required",
        ),
        (
            with(json!({"destination": {"dataSetId": dataset}})),
            "destination.dataSetId: unknown field; in requests it is spelt datasetId",
        ),
        (
            with(json!({"destination": {"datasetId": dataset, "segmentPerBatch": "no"}})),
            "destination.segmentPerBatch: must be a boolean",
        ),
        (
            with(json!({"schema": {"name": "_xdm.context.other"}})),
            "schema.name: must be \"_xdm.context.profile\"",
        ),
        (
            with(json!({"fields": ["a", "b"]})),
            "fields: must be a string of names",
        ),
        (
            with(json!({"fields": "a,,b"})),
            "fields: must be a string of names",
        ),
        (
            with(json!({"mergePolicy": {"version": 1}})),
            "mergePolicy.id: is required",
        ),
        (
            with(json!({"mergePolicy": {"id": "x", "version": "1"}})),
            "mergePolicy.version: must be a whole number",
        ),
        (
            with(json!({"filter": {"segments": []}})),
            "filter.segments: must be a list with at least one item",
        ),
        (
            with(json!({"filter": {"segments": [{"segmentNs": "ups"}]}})),
            "filter.segments[0].segmentId: is required",
        ),
        (
            with(json!({"filter": {"segments": [{"segmentId": "x", "status": ["gone"]}]}})),
            "filter.segments[0].status[0]: must be one of realized",
        ),
        (
            with(json!({"filter": {"segments": [{"segmentId": "x", "status": "realized"}]}})),
            "status: must be a list",
        ),
        (
            with(json!({"filter": {"fromIngestTimestamp": "2018-02-30T00:00:00Z"}})),
            "filter.fromIngestTimestamp: must be a time",
        ),
        (
            with(json!({"filter": {"segmentQualificationTime": {"startTime": "2018-01-01"}}})),
            "startTime: must be a time",
        ),
        (
            with(json!({"additionalFields": {"eventList": {"filter": {"toIngestTimestamp": 5}}}})),
            "toIngestTimestamp: must be a time",
        ),
        (
            with(json!({"additionalFields": {}})),
            "additionalFields.eventList: is required",
        ),
        (
            with(json!({"evaluationInfo": {"segmentation": 1}})),
            "evaluationInfo.segmentation: must be a boolean",
        ),
        (
            with(json!({"name": "x"})),
            "name: unknown field; the documented ones are",
        ),
    ]
}

#[tokio::test]
async fn a_request_that_the_documents_do_not_allow_is_refused_with_the_reason() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    for (body, reason) in refused(&dataset) {
        let reply = tenant.send("POST", JOBS, &body).await.with(400).json();
        assert_eq!(
            reply["type"],
            "https://ns.adobe.com/aep/errors/UPLIB-101206-500"
        );
        assert!(
            reply["title"].as_str().unwrap().contains(reason),
            "{reason}: {reply}"
        );
        assert!(!reply["errors"]["400"].as_array().unwrap().is_empty());
    }
    tenant
        .send_as("POST", JOBS, "text/plain", &smallest(&dataset).to_string())
        .await
        .with(400);
    assert_eq!(tenant.ledger().await["summary"]["exports"]["created"], 0);
}

#[tokio::test]
async fn segments_may_have_every_status_that_a_document_names() {
    let tenant = Tenant::start().await;
    let mut body = smallest(&tenant.dataset().await);
    let status = ["realized", "existing", "exited", "exiting"];
    body["filter"] = json!({"segments": [{"segmentId": "x", "status": status}]});
    tenant.send("POST", JOBS, &body).await.with(200);
}

#[tokio::test]
async fn the_target_must_be_there_and_on_the_union_schema() {
    let tenant = Tenant::start().await;
    let other = json!({"id": "000000000000000000000001",
                       "body": {"schemaRef": {"id": "https://ns.adobe.com/other"}}});
    tenant.admin("POST", "/datasets", other).await.with(201);
    for id in [
        "15b4657a-058a-47b0-a356-7b63328138c6",
        "000000000000000000000001",
    ] {
        let reply = tenant
            .send("POST", JOBS, &smallest(id))
            .await
            .with(400)
            .json();
        assert_eq!(
            reply["type"],
            "https://ns.adobe.com/aep/errors/UPLIB-101554-503"
        );
        assert_eq!(reply["status"], 400);
        assert!(reply["title"].as_str().unwrap().contains(id));
    }
}

#[tokio::test]
async fn a_new_job_names_itself_and_keeps_the_callers_request_id() {
    let tenant = Tenant::start().await;
    let body = smallest(&tenant.dataset().await);
    let request = tenant
        .request("POST", &format!("{JOBS}/"))
        .header("x-request-id", "a1B2")
        .json(&body);
    let reply = read(request.send().await.unwrap()).await.with(200);
    let job = reply.json();
    assert_eq!(
        (&job["status"], &job["requestId"]),
        (&json!("NEW"), &json!("a1B2"))
    );
    assert!(
        reply
            .header("x-location")
            .ends_with(&format!("{JOBS}/{}", job["id"]))
    );
    assert_eq!(
        job["metrics"],
        json!({"totalTime": {"startTimeInMs": job["creationTime"]}})
    );
}

#[tokio::test]
async fn a_job_lives_on_its_own_clock_and_its_dates_are_the_walls() {
    let options = Options {
        clock_scale: 1000.0,
        ..Options::default()
    };
    let tenant = Tenant::with(options).await;
    let before = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let job = tenant.job().await;
    let path = format!("{JOBS}/{job}");
    let done = tenant
        .until(&path, |reply| reply.json()["status"] == "SUCCEEDED")
        .await
        .json();
    let before = i64::try_from(before.as_millis()).unwrap();
    assert!((0..20_000).contains(&(done["creationTime"].as_i64().unwrap() - before)));
    let metrics = &done["metrics"];
    assert!(metrics["totalTime"]["totalTimeInMs"].as_i64().unwrap() < 20_000);
    for part in ["totalTime", "profileExportTime", "aCPDatasetWriteTime"] {
        let part = &metrics[part];
        let total = part["endTimeInMs"].as_i64().unwrap() - part["startTimeInMs"].as_i64().unwrap();
        assert_eq!(part["totalTimeInMs"], total);
    }
    assert_eq!(metrics["totalExportedProfileCounter"], 20);
    assert_eq!(tenant.ledger().await["summary"]["exports"]["succeeded"], 1);
}

#[tokio::test]
async fn a_job_is_new_then_processing_then_done() {
    let tenant = Tenant::start().await;
    let job = tenant.job().await;
    assert_eq!(tenant.shown(job).await["status"], "NEW");
    tenant.steer(job, json!({"outcome": "hold"})).await;
    tenant
        .admin("PUT", "/clock", json!({"scale": 1e6}))
        .await
        .with(200);
    tenant
        .until(&format!("{JOBS}/{job}"), |reply| {
            reply.json()["status"] == "PROCESSING"
        })
        .await;
    tenant.steer(job, json!({"outcome": "release"})).await;
    tenant
        .until(&format!("{JOBS}/{job}"), |reply| {
            reply.json()["status"] == "SUCCEEDED"
        })
        .await;
}

#[tokio::test]
async fn a_job_can_be_made_to_fail_with_errors() {
    let tenant = Tenant::start().await;
    let job = tenant.job().await;
    let errors = json!([{"code": "0090000009", "msg": "no", "callStack": "com.adobe"}]);
    tenant
        .steer(
            job,
            json!({"outcome": "fail", "errors": errors, "finishNow": true}),
        )
        .await;
    let shown = tenant.shown(job).await;
    assert_eq!(
        (&shown["status"], &shown["errors"]),
        (&json!("FAILED"), &errors)
    );
    let other = tenant.job().await;
    tenant
        .steer(
            other,
            json!({"outcome": "succeedWithErrors", "finishNow": true}),
        )
        .await;
    let shown = tenant.shown(other).await;
    assert_eq!(
        (&shown["status"], &shown["errors"][0]["code"]),
        (&json!("SUCCEEDED"), &json!("0100000003"))
    );
}

#[tokio::test]
async fn a_job_can_show_any_status_and_go_backwards() {
    let tenant = Tenant::start().await;
    let job = tenant.job().await;
    for status in ["QUEUED", "FOO"] {
        tenant.steer(job, json!({"status": status})).await;
        assert_eq!(tenant.shown(job).await["status"], status);
    }
    tenant
        .steer(job, json!({"status": null, "finishNow": true}))
        .await;
    assert_eq!(tenant.shown(job).await["status"], "SUCCEEDED");
    tenant.steer(job, json!({"status": "PROCESSING"})).await;
    assert_eq!(tenant.shown(job).await["status"], "PROCESSING");
}

#[tokio::test]
async fn a_dataset_or_the_tenant_can_say_how_future_jobs_end() {
    let tenant = Tenant::with(Options {
        clock_scale: 1000.0,
        ..Options::default()
    })
    .await;
    let dataset = tenant.dataset().await;
    let steering = json!({"outcome": "fail", "jobDurationSeconds": 0});
    tenant
        .admin("PUT", &format!("/datasets/{dataset}"), steering)
        .await
        .with(204);
    let job = tenant
        .send("POST", JOBS, &smallest(&dataset))
        .await
        .with(200)
        .json();
    assert_eq!(
        tenant.shown(job["id"].as_i64().unwrap()).await["status"],
        "FAILED"
    );
    let defaults = json!({"jobDurationSeconds": 0, "profiles": 7, "nextJobId": 24115});
    tenant.admin("PUT", "/defaults", defaults).await.with(200);
    let job = tenant.job().await;
    let shown = tenant.shown(job).await;
    assert_eq!(
        (job, &shown["metrics"]["totalExportedProfileCounter"]),
        (24115, &json!(7))
    );
}

#[tokio::test]
async fn a_cancel_is_marked_first_and_ends_later() {
    let tenant = Tenant::start().await;
    let job = tenant.job().await;
    let path = format!("{JOBS}/{job}");
    let reply = tenant.delete(&path).await.with(204);
    assert!(reply.text.is_empty());
    assert_eq!(tenant.shown(job).await["status"], "CANCELLING");
    tenant.delete(&path).await.with(204);
    tenant
        .admin("PUT", "/clock", json!({"scale": 1000.0}))
        .await
        .with(200);
    tenant
        .until(&path, |reply| reply.json()["status"] == "CANCELLED")
        .await;
    let ledger = tenant.ledger().await;
    assert_eq!(ledger["jobs"][0]["deleteRequests"], 2);
    assert!(!ledger["jobs"][0]["deletedAt"].is_null());
    assert_eq!(ledger["summary"]["exports"]["cancelled"], 1);
    tenant.delete(&format!("{JOBS}/999")).await.with(404);
    tenant.delete(&format!("{JOBS}/none")).await.with(404);
}

#[tokio::test]
async fn a_finished_job_can_be_deleted() {
    let tenant = Tenant::start().await;
    let job = tenant.job().await;
    tenant.steer(job, json!({"finishNow": true})).await;
    tenant.delete(&format!("{JOBS}/{job}")).await.with(204);
    tenant.get(&format!("{JOBS}/{job}")).await.with(404);
    let list = tenant.get(JOBS).await.json();
    assert_eq!(list["records"], json!([]));
    assert_eq!(tenant.ledger().await["jobs"][0]["status"], "SUCCEEDED");
}

#[tokio::test]
async fn a_batch_can_be_read_some_time_after_success() {
    let tenant = Tenant::start().await;
    tenant
        .switch(json!({"batchReadableAfterSeconds": 60}))
        .await;
    let job = tenant.job().await;
    let batch = tenant.shown(job).await["destination"]["batchId"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("{BATCHES}/{batch}");
    let files = format!("/data/foundation/export/batches/{batch}/files");
    let status = async || tenant.get(&path).await.with(200).json()[&batch]["status"].clone();
    assert_eq!(status().await, "processing");
    tenant.steer(job, json!({"finishNow": true})).await;
    assert_eq!(status().await, "staged");
    tenant.get(&files).await.with(404);
    tenant
        .admin("PUT", "/clock", json!({"scale": 1e5}))
        .await
        .with(200);
    let reply = tenant
        .until(&path, |reply| reply.json()[&batch]["status"] == "success")
        .await
        .json();
    assert_eq!(reply[&batch]["metrics"]["outputRecordCount"], 20);
    let files = tenant.get(&files).await.with(200).json();
    let file = files["data"][0]["dataSetFileId"].as_str().unwrap();
    let file = tenant
        .get(&format!("/data/foundation/export/files/{file}"))
        .await
        .with(200)
        .json();
    let bytes: u64 = file["data"][0]["length"].as_str().unwrap().parse().unwrap();
    assert_eq!(reply[&batch]["metrics"]["outputByteSize"], bytes);
    let dataset = &tenant.ledger().await["datasets"][0]["id"];
    let list = tenant
        .get(&format!("{BATCHES}?dataSet={}", dataset.as_str().unwrap()))
        .await
        .json();
    assert_eq!(list[&batch]["status"], "success");
    tenant.get(&format!("{BATCHES}/none")).await.with(404);
}

#[tokio::test]
async fn each_segment_can_have_a_batch_of_its_own() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    let mut body = smallest(&dataset);
    body["destination"]["segmentPerBatch"] = json!(true);
    body["filter"] =
        json!({"segments": [{"segmentId": "s1"}, {"segmentId": "s2", "segmentNs": "AAM"}]});
    let job = tenant.send("POST", JOBS, &body).await.with(200).json();
    let batches = job["destination"]["batches"].as_array().unwrap();
    assert!(job["destination"]["batchId"].is_null());
    assert_eq!(batches.len(), 2);
    assert_ne!(batches[0]["batchId"], batches[1]["batchId"]);
    assert_eq!(
        (&batches[1]["segmentNs"], &batches[1]["status"]),
        (&json!("AAM"), &json!(["realized"]))
    );
    tenant
        .steer(job["id"].as_i64().unwrap(), json!({"finishNow": true}))
        .await;
    for batch in batches {
        let id = batch["batchId"].as_str().unwrap();
        let reply = tenant
            .get(&format!("{BATCHES}/{id}"))
            .await
            .with(200)
            .json();
        assert_eq!(
            reply[id]["relatedObjects"],
            json!([{"type": "dataSet", "id": dataset}])
        );
        assert_eq!(reply[id]["metrics"]["outputRecordCount"], 10);
    }
    let shown = tenant.get(&format!("{DATASETS}/{dataset}")).await.json();
    assert_eq!(shown[&dataset]["lastBatchId"], batches[1]["batchId"]);
}

#[tokio::test]
async fn merge_policies_can_be_looked_up() {
    let tenant = Tenant::start().await;
    let base = "/data/core/ups/config/mergePolicies";
    let list = tenant.get(base).await.with(200).json();
    assert_eq!(list["children"][0]["default"], true);
    tenant
        .get(&format!("{base}/timestampOrdered-none-mp"))
        .await
        .with(200);
    tenant.get(&format!("{base}/none")).await.with(404);
}
