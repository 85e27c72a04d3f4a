//! Every documented reply about an export job, read into the status of an export.

use aep_export_operator::api::ExportJob;
use serde_json::{Value, json};

use super::{BATCH, JOBS, PROFILE_DATASET, reply, seed_dataset, told};
use crate::harness::{World, condition, reason, true_conditions};

/// Longer ago than any sample: as if the job had ended a moment before.
const FOREVER: &[&str] = &["--batch-deadline", "1000000h"];

/// A tenant with the guides' dataset, and an operator that waits for batches for so long.
async fn world(name: &str, flags: &[&str]) -> World {
    let mut world = World::without_operator(name).await;
    world.start_operator(flags).await;
    seed_dataset(&world.simulator, PROFILE_DATASET).await;
    world.simulator.hold_jobs().await;
    world.connect().await;
    world
}

/// The record with this id of a list.
fn record(list: &str, id: i64) -> Value {
    let list = reply(list);
    let records = list["records"].as_array().unwrap();
    let record = records.iter().find(|record| record["id"] == id).unwrap();
    record.clone()
}

/// A sample with another id: those of one guide are of several jobs.
fn with_id(mut sample: Value, id: i64) -> Value {
    sample["id"] = json!(id);
    sample
}

/// Submits an export, whose request is answered by a sample.
async fn submit(world: &World, name: &str, sample: &Value) -> ExportJob {
    let next = json!({ "nextJobId": sample["id"] });
    world.simulator.put("defaults", next).await;
    world
        .simulator
        .fault(json!({
            "method": "POST",
            "path": JOBS,
            "times": 1,
            "action": { "respond": { "body": sample, "commit": true } },
        }))
        .await;
    let spec = json!({
        "connectionRef": { "name": "prod" },
        "export": { "destination": { "datasetId": PROFILE_DATASET } },
    });
    world.create::<ExportJob>(name, spec).await;
    let export = world.until_phase(name, "Running").await;
    assert_eq!(told(&export)["jobId"], sample["id"].to_string());
    export
}

/// Has the tenant answer GET by a sample from now on.
async fn answer(world: &World, sample: &Value) {
    let path = format!("jobs/{}", sample["id"]);
    let document = json!({ "document": sample });
    world.simulator.put(&path, document).await;
}

/// What the Catalog says of a batch from now on, in the form of its own sample.
async fn batch(world: &World, id: &str, status: &str) {
    let document = json!({
        "status": status,
        "relatedObjects": [{ "type": "dataSet", "id": PROFILE_DATASET }],
        "metrics": { "outputRecordCount": 1, "outputFileCount": 1, "outputByteSize": 19148 },
    });
    let path = format!("batches/{id}");
    world
        .simulator
        .put(&path, json!({ "document": document }))
        .await;
}

async fn until_reason(world: &World, name: &str, wanted: &str) -> ExportJob {
    let is_so = |export: &ExportJob| reason(export, "Ready") == wanted;
    world.until(name, wanted, is_so).await
}

/// Nothing of a call stack is in an object or its events.
async fn has_no_call_stack(world: &World, export: &ExportJob) {
    let name = export.metadata.name.as_deref().unwrap();
    let events = world.events_of(name).await;
    let text = format!("{}{events:?}", serde_json::to_string(export).unwrap());
    for part in ["callStack", "com.adobe.aep", "org.apache.spark"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn profile_guide_initiate_export_job_and_monitor_export_progress() {
    let world = world("profile-job", FOREVER).await;
    let created = reply("profile-create-job");
    let export = submit(&world, "sample", &created).await;
    let running = told(&export);
    assert_eq!(running["startTime"], "2019-06-04T18:51:01Z");
    assert_eq!(running["completionTime"], Value::Null);
    assert_eq!(running["platformTimings"], Value::Null, "none has ended");

    // SUCCEEDED, but the Catalog does not show its batch as readable.
    batch(&world, BATCH, "staged").await;
    answer(&world, &reply("profile-get-job")).await;
    let waiting = until_reason(&world, "sample", "WaitingForBatch").await;
    assert_eq!(told(&waiting)["phase"], "Running");
    assert_eq!(told(&waiting)["completionTime"], Value::Null);

    batch(&world, BATCH, "success").await;
    let export = world.until_phase("sample", "Succeeded").await;
    assert_eq!(
        true_conditions(&export),
        ["Complete", "DataAvailable", "Ready"]
    );
    assert_eq!(
        told(&export),
        json!({
            "phase": "Succeeded",
            "jobId": "24115",
            "datasetId": PROFILE_DATASET,
            "platformStatus": "SUCCEEDED",
            "startTime": "2019-06-04T18:51:01Z",
            "completionTime": "2019-06-04T18:51:01Z",
            "durationSeconds": 0,
            "platformTimings": {
                "totalMilliseconds": 1_204_365,
                "profileExportMilliseconds": 110_604,
                "datasetWriteMilliseconds": 38_502,
            },
            "batches": [{
                "batchId": BATCH, "status": "success", "records": 1, "files": 1, "bytes": 19148,
            }],
            "batchCount": 1,
        })
    );
}

#[tokio::test]
async fn segmentation_guide_create_a_new_export_job_and_retrieve_a_specific_export_job() {
    let world = world("segmentation-job", FOREVER).await;
    let created = reply("segmentation-create-job");
    let running = submit(&world, "created", &created).await;
    assert_eq!(told(&running)["startTime"], "2018-10-04T01:19:33Z");

    // It shows the id of its request, and the sample of its end another one: a tenant that did both
    // would have one export doubt the other.
    let end = json!({ "outcome": "fail", "finishNow": true });
    let job = format!("jobs/{}", created["id"]);
    world.simulator.put(&job, end).await;
    world.until_phase("created", "Failed").await;

    // The job of "Retrieve a specific export job" is another one.
    submit(&world, "sample", &with_id(created, 11037)).await;
    answer(&world, &reply("segmentation-get-job")).await;
    let export = world.until_phase("sample", "Succeeded").await;
    assert_eq!(reason(&export, "Ready"), "Succeeded");
    assert_eq!(
        told(&export),
        json!({
            "phase": "Succeeded",
            "jobId": "11037",
            "datasetId": PROFILE_DATASET,
            "platformStatus": "SUCCEEDED",
            "startTime": "2018-10-04T01:19:33Z",
            "completionTime": "2018-10-04T01:23:53Z",
            "durationSeconds": 260,
            "platformTimings": { "totalMilliseconds": 10_000, "profileExportMilliseconds": 10_000 },
            "exportedProfiles": 20,
            "exportedProfilesByNamespace": { "namespace1": 10, "namespace2": 5 },
            "batches": [{ "batchId": BATCH, "status": "success" }],
            "batchCount": 1,
        })
    );
}

#[tokio::test]
async fn segmentation_guide_create_a_new_export_job_with_a_batch_per_segment() {
    let world = world("segment-batches", FOREVER).await;
    let fragment = reply("segmentation-create-job-per-batch");
    let mut created = reply("segmentation-create-job");
    created["destination"] = fragment["destination"].clone();
    submit(&world, "sample", &created).await;
    batch(&world, BATCH, "active").await;
    created["status"] = json!("SUCCEEDED");
    answer(&world, &created).await;
    let export = world.until_phase("sample", "Succeeded").await;
    let status = told(&export);
    assert_eq!(status["batchCount"], 2);
    assert_eq!(
        status["batches"],
        json!([
            {
                "batchId": BATCH, "segmentId": "segment1", "segmentNs": "ups",
                "segmentStatus": ["realized"],
                "status": "active", "records": 1, "files": 1, "bytes": 19148,
            },
            {
                "batchId": "df4gssdfb93a09f7e37fa53ad52", "segmentId": "segment2",
                "segmentNs": "AdCloud", "segmentStatus": ["exited"],
                "status": "success",
            },
        ])
    );
}

#[tokio::test]
async fn profile_guide_list_all_export_jobs_tells_of_a_success_and_of_a_failure() {
    let world = world("profile-records", FOREVER).await;
    let created = reply("profile-create-job");
    submit(&world, "succeeded", &with_id(created.clone(), 726)).await;
    answer(&world, &record("profile-list-jobs", 726)).await;
    let export = world.until_phase("succeeded", "Succeeded").await;
    let status = told(&export);
    let timings = json!({
        "totalMilliseconds": 259_344,
        "profileExportMilliseconds": 72_131,
        "datasetWriteMilliseconds": 543,
    });
    assert_eq!(status["platformTimings"], timings);
    assert_eq!(status["errors"], Value::Null);

    submit(&world, "failed", &with_id(created, 722)).await;
    answer(&world, &record("profile-list-jobs", 722)).await;
    let export = world.until_phase("failed", "Failed").await;
    assert_failed_as_documented(&world, &export).await;
    let status = told(&export);
    assert_eq!(status["batches"], Value::Null, "its batchId is empty");
    assert_eq!(status["batchCount"], Value::Null);
}

#[tokio::test]
async fn segmentation_guide_retrieve_a_list_of_export_jobs_tells_of_errors_with_a_success() {
    let world = world("segmentation-records", FOREVER).await;
    let created = reply("segmentation-create-job");
    submit(&world, "succeeded", &created).await;
    answer(&world, &record("segmentation-list-jobs", 100)).await;
    let export = world.until_phase("succeeded", "Succeeded").await;
    assert_eq!(
        true_conditions(&export),
        ["Complete", "DataAvailable", "Ready"]
    );
    for type_ in ["Ready", "Complete"] {
        let condition = condition(&export, type_).unwrap();
        assert_eq!(condition.reason, "SucceededWithErrors");
        let said = "Error in Export Job (code 0100000003)";
        assert!(condition.message.contains(said), "{}", condition.message);
    }
    let status = told(&export);
    let errors = json!([{ "code": "0100000003", "message": "Error in Export Job" }]);
    assert_eq!(status["errors"], errors);
    assert_eq!(status["exportedProfiles"], 20);
    has_no_call_stack(&world, &export).await;

    submit(&world, "failed", &with_id(created, 722)).await;
    answer(&world, &record("segmentation-list-jobs", 722)).await;
    let export = world.until_phase("failed", "Failed").await;
    assert_failed_as_documented(&world, &export).await;
    assert_eq!(
        told(&export)["batches"][0]["batchId"],
        "IWEQ6920712f9475762D"
    );
}

/// Job 722 of both guides.
async fn assert_failed_as_documented(world: &World, export: &ExportJob) {
    assert_eq!(true_conditions(export), ["Failed", "Stalled"]);
    let condition = condition(export, "Failed").unwrap();
    assert_eq!(condition.reason, "ExportFailed");
    assert!(
        condition.message.contains("(code 0090000009)"),
        "{}",
        condition.message
    );
    let status = told(export);
    let path = "adl://va7devprofilesnapshot.azuredatalakestore.net/snapshot/722";
    let errors = json!([
        { "code": "0090000009", "message": format!("Error writing profiles to output path '{path}'") },
        { "code": "unknown", "message": "Job aborted." },
    ]);
    assert_eq!(status["errors"], errors);
    assert_eq!(status["platformStatus"], "FAILED");
    assert_eq!(status["completionTime"], "2018-10-03T13:38:42Z");
    let timings = json!({ "totalMilliseconds": 505_864, "profileExportMilliseconds": 46_598 });
    assert_eq!(status["platformTimings"], timings);
    has_no_call_stack(world, export).await;
}

#[tokio::test]
async fn profile_guide_monitor_export_progress_when_the_batch_was_not_seen_in_time() {
    // The sample's job ended years ago, so its time for the batch is over.
    let world = world("late-batch", &[]).await;
    submit(&world, "sample", &reply("profile-create-job")).await;
    batch(&world, BATCH, "staged").await;
    answer(&world, &reply("profile-get-job")).await;
    let export = world.until_phase("sample", "Succeeded").await;
    assert_eq!(true_conditions(&export), ["Complete", "Ready"]);
    let available = condition(&export, "DataAvailable").unwrap();
    assert_eq!(
        (&*available.status, &*available.reason),
        ("Unknown", "BatchNotSeen")
    );
    assert_eq!(told(&export)["batches"][0]["status"], "staged");
}
