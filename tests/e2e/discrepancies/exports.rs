//! Exports that come to their end, whatever the tenant's replies look like.

use aep_export_operator::api::{ExportJob, SubmissionOutcome};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Case, DATASET, case, each, full, plain, segments, submit, switches_of, tenant, world};
use crate::{
    harness::{World, outcome, reason, true_conditions},
    samples::Tenant,
};

/// An export, and what its status has when it has ended.
#[derive(Clone)]
struct Wanted {
    export: Value,
    /// Pointers into the status, and what is there; null is absent.
    status: Vec<(&'static str, Value)>,
    /// The reason of Ready.
    reason: &'static str,
    /// What the tenant is told to do by default.
    defaults: Value,
}

fn wanted(export: Value, status: Vec<(&'static str, Value)>) -> Wanted {
    Wanted {
        export,
        status,
        reason: "Succeeded",
        defaults: json!({}),
    }
}

/// The export ends well, and nothing more is asked for.
fn ends(export: Value) -> Wanted {
    wanted(export, vec![])
}

fn with_errors(export: Value) -> Wanted {
    let errors = json!([{ "code": "0100000003", "message": "Error in Export Job" }]);
    Wanted {
        reason: "SucceededWithErrors",
        ..wanted(export, vec![("/errors", errors)])
    }
}

fn fails(export: Value, status: Vec<(&'static str, Value)>) -> Wanted {
    Wanted {
        reason: "ExportFailed",
        defaults: json!({ "outcome": "fail" }),
        ..wanted(export, status)
    }
}

/// An export whose job has this id.
fn has_id(id: i64) -> Wanted {
    Wanted {
        defaults: json!({ "nextJobId": id }),
        ..wanted(plain(), vec![("/jobId", json!(id.to_string()))])
    }
}

/// The words for both segments in the status.
fn segment_statuses(first: Value, second: Value) -> Wanted {
    wanted(
        segments(),
        vec![
            ("/batches/0/segmentStatus", first),
            ("/batches/1/segmentStatus", second),
        ],
    )
}

/// Rows 1 to 7.
fn requests_and_keys() -> Vec<Case<Wanted>> {
    let count = |count: u64| vec![("/batchCount", json!(count))];
    let realized = json!(["realized"]);
    vec![
        case(
            1,
            json!({ "flavour": "combined" }),
            wanted(full(), count(2)),
        ),
        case(
            1,
            json!({ "flavour": "profile" }),
            wanted(plain(), count(1)),
        ),
        case(1, json!({ "flavour": "segmentation" }), with_errors(full())),
        case(
            1,
            json!({ "flavour": "openapi" }),
            wanted(segments(), count(1)),
        ),
        case(
            4,
            json!({ "filterInRequest": "accepted" }),
            ends(segments()),
        ),
        case(4, json!({ "filterInRequest": "refused" }), ends(plain())),
        case(
            5,
            json!({ "evaluationInRequest": "accepted" }),
            ends(full()),
        ),
        case(
            5,
            json!({ "evaluationInRequest": "refused" }),
            ends(segments()),
        ),
        case(
            6,
            json!({ "segmentStatusDefault": "realized" }),
            segment_statuses(realized, json!(["exited"])),
        ),
        case(
            6,
            json!({ "segmentStatusDefault": "realizedAndExisting" }),
            segment_statuses(json!(["realized", "existing"]), json!(["exited"])),
        ),
        case(
            7,
            json!({ "datasetKeyInReply": "datasetId" }),
            ends(segments()),
        ),
        case(
            7,
            json!({ "datasetKeyInReply": "dataSetId" }),
            ends(plain()),
        ),
        case(
            7,
            json!({ "datasetKeyInReply": "dataSetIdWithBatches" }),
            ends(segments()),
        ),
    ]
}

/// Rows 9 to 12.
fn batches_and_metrics() -> Vec<Case<Wanted>> {
    let count = |count: u64| vec![("/batchCount", json!(count))];
    let timed = |there: bool| {
        let pointer = "/platformTimings/datasetWriteMilliseconds";
        wanted(plain(), vec![(pointer, json!(there))])
    };
    let counted = |total: Value, by_namespace: Value| {
        wanted(
            plain(),
            vec![
                ("/exportedProfiles", total),
                ("/exportedProfilesByNamespace", by_namespace),
            ],
        )
    };
    vec![
        case(
            9,
            json!({ "batchesShape": "array" }),
            wanted(segments(), count(2)),
        ),
        case(
            9,
            json!({ "batchesShape": "object" }),
            wanted(segments(), count(1)),
        ),
        case(
            10,
            json!({ "pushJobAndDatasetWriteTime": "succeededOnly" }),
            timed(true),
        ),
        case(
            10,
            json!({ "pushJobAndDatasetWriteTime": "never" }),
            timed(false),
        ),
        case(
            10,
            json!({ "pushJobAndDatasetWriteTime": "always" }),
            timed(true),
        ),
        case(
            11,
            json!({ "profileCounters": "shown" }),
            counted(json!(20), json!({ "namespace1": 10, "namespace2": 5 })),
        ),
        case(
            11,
            json!({ "profileCounters": "absent" }),
            counted(Value::Null, Value::Null),
        ),
        case(12, json!({ "computeGatewayAtNew": "empty" }), ends(plain())),
        case(
            12,
            json!({ "computeGatewayAtNew": "emptyString" }),
            ends(plain()),
        ),
        case(
            12,
            json!({ "computeGatewayAtNew": "object" }),
            ends(plain()),
        ),
    ]
}

/// Rows 16 to 22.
fn endings_and_echoes() -> Vec<Case<Wanted>> {
    let all = json!({ "post": true, "get": true, "list": true });
    let none = json!({ "post": false, "get": false, "list": false });
    let echo = |places: &Value, evaluation: &str| {
        json!({
            "fieldsEcho": places,
            "filterEcho": places,
            "additionalFieldsEcho": places,
            "evaluationEcho": evaluation,
        })
    };
    let failed = |batches: Value| {
        let errors = json!("0090000009");
        fails(
            plain(),
            vec![("/batchCount", batches), ("/errors/0/code", errors)],
        )
    };
    vec![
        case(16, json!({ "failedBatchId": "empty" }), failed(Value::Null)),
        case(16, json!({ "failedBatchId": "nonEmpty" }), failed(json!(1))),
        case(17, json!({ "succeededWithErrors": "never" }), ends(plain())),
        case(
            17,
            json!({ "succeededWithErrors": "always" }),
            with_errors(plain()),
        ),
        case(18, json!({ "orgIdInReply": "real" }), ends(plain())),
        case(18, json!({ "orgIdInReply": "imsOrg" }), ends(plain())),
        case(18, json!({ "orgIdInReply": "orgId" }), ends(plain())),
        case(18, json!({ "orgIdInReply": "absent" }), ends(plain())),
        case(
            19,
            json!({ "statusesShown": "withProcessing" }),
            ends(plain()),
        ),
        case(19, json!({ "statusesShown": "documents" }), ends(plain())),
        case(20, json!({ "createStatus": 200 }), ends(plain())),
        case(20, json!({ "createStatus": 201 }), ends(plain())),
        case(20, json!({ "createStatus": 202 }), ends(plain())),
        case(21, echo(&all, "shown"), ends(full())),
        case(21, echo(&none, "absent"), ends(full())),
        case(22, json!({ "segmentEcho": "asSent" }), ends(segments())),
        case(
            22,
            json!({ "segmentEcho": "withDefaults" }),
            ends(segments()),
        ),
        case(
            22,
            json!({ "segmentEcho": "segmentIdOnly" }),
            ends(segments()),
        ),
    ]
}

/// What is in no row.
fn others() -> Vec<Case<Wanted>> {
    let echo = |post: bool, get: bool, list: bool| json!({ "requestIdEcho": { "post": post, "get": get, "list": list } });
    let (realized, exited) = (json!(["realized"]), json!(["exited"]));
    let as_lists = || segment_statuses(realized.clone(), exited.clone());
    let readable = |word: &str| wanted(plain(), vec![("/batches/0/status", json!(word))]);
    let unknown_policy = || {
        let mut export = plain();
        export["mergePolicy"] = json!({ "id": "nobody-knows-it" });
        ends(export)
    };
    vec![
        case(0, echo(true, true, true), ends(plain())),
        case(0, echo(false, true, true), ends(plain())),
        case(0, echo(true, false, true), ends(plain())),
        case(0, echo(false, false, false), ends(plain())),
        // 2^53 + 1, which no float holds.
        case(
            0,
            json!({ "idShape": "number" }),
            has_id(9_007_199_254_740_993),
        ),
        case(
            0,
            json!({ "idShape": "string" }),
            has_id(9_007_199_254_740_993),
        ),
        case(
            0,
            json!({ "idShape": "float" }),
            has_id(1_125_899_906_842_623),
        ),
        case(0, json!({ "creationTimeUnit": "ms" }), ends(plain())),
        case(0, json!({ "creationTimeUnit": "s" }), ends(plain())),
        case(0, json!({ "creationTimeUnit": "absent" }), ends(plain())),
        case(0, json!({ "segmentStatusShape": "array" }), as_lists()),
        case(0, json!({ "segmentStatusShape": "string" }), as_lists()),
        case(0, json!({ "segmentStatusShape": "mixed" }), as_lists()),
        case(0, json!({ "jobLocationHeader": "shown" }), ends(plain())),
        case(0, json!({ "jobLocationHeader": "absent" }), ends(plain())),
        case(
            0,
            json!({ "batchReadableStatus": "success" }),
            readable("success"),
        ),
        case(
            0,
            json!({ "batchReadableStatus": "active" }),
            readable("active"),
        ),
        case(
            0,
            json!({ "unknownMergePolicy": "accepted" }),
            unknown_policy(),
        ),
        case(0, json!({ "batchReadableAfterSeconds": 0 }), ends(plain())),
    ]
}

#[tokio::test]
async fn an_export_ends_as_documented_in_every_value_of_rows_1_to_7() {
    come_to_their_end("rows-1-to-7", requests_and_keys()).await;
}

#[tokio::test]
async fn an_export_ends_as_documented_in_every_value_of_rows_9_to_12() {
    come_to_their_end("rows-9-to-12", batches_and_metrics()).await;
}

#[tokio::test]
async fn an_export_ends_as_documented_in_every_value_of_rows_16_to_22() {
    come_to_their_end("rows-16-to-22", endings_and_echoes()).await;
}

#[tokio::test]
async fn an_export_ends_as_documented_in_every_value_of_a_switch_of_no_row() {
    come_to_their_end("rows-0", others()).await;
}

async fn come_to_their_end(name: &str, cases: Vec<Case<Wanted>>) {
    let world = world(name, &[]).await;
    let world = &world;
    each(cases, |name, case| async move {
        let tenant = tenant(world, &name, &case.switches).await;
        let Wanted {
            export,
            status,
            reason: why,
            defaults,
        } = case.that;
        tenant.simulator.put("defaults", defaults).await;
        submit(world, &name, &name, export).await;
        let export = until_ended(world, &name).await;
        assert_ended(&tenant, &export, why).await;
        let shown = serde_json::to_value(&export.status).unwrap();
        for (pointer, wanted) in status {
            let there = shown.pointer(pointer).unwrap_or(&Value::Null);
            match wanted {
                Value::Bool(is_there) => assert_eq!(there.is_number(), is_there, "{pointer}"),
                wanted => assert_eq!(*there, wanted, "{pointer}"),
            }
        }
    })
    .await;
}

pub(super) async fn until_ended(world: &World, name: &str) -> ExportJob {
    let is_so = |export: &ExportJob| {
        let status = export.status.as_ref();
        status.is_some_and(|status| status.completion_time.is_some())
    };
    world.until(name, "ended", is_so).await
}

/// What is so whatever the switches are.
pub(super) async fn assert_ended(tenant: &Tenant, export: &ExportJob, why: &str) {
    assert_eq!(reason(export, "Ready"), why);
    let status = export.status.clone().unwrap();
    let (conditions, word) = match why {
        "ExportFailed" => (vec!["Failed", "Stalled"], "FAILED"),
        _ => (vec!["Complete", "DataAvailable", "Ready"], "SUCCEEDED"),
    };
    assert_eq!(true_conditions(export), conditions);
    assert_eq!(status.platform_status.as_deref(), Some(word));
    assert_eq!(status.dataset_id.as_deref(), Some(DATASET));
    assert_eq!(outcome(export), Some(SubmissionOutcome::Posted));
    assert_eq!(tenant.simulator.posts().await.len(), 1, "one request");
    let jobs = tenant.simulator.jobs().await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(status.job_id.unwrap(), jobs[0]["id"].to_string());
    let created: Timestamp = jobs[0]["createdAt"].as_str().unwrap().parse().unwrap();
    let (started, ended) = (status.start_time.unwrap(), status.completion_time.unwrap());
    let apart = started.duration_since(created).abs();
    assert!(
        apart < SignedDuration::from_secs(30),
        "{started} is not {created}"
    );
    assert!(started <= ended, "{started} to {ended}");
    assert!(status.duration_seconds.is_some());
    assert!(status.platform_timings.unwrap().total_milliseconds > Some(0));
}

/// The switches that this file has cases for.
pub(super) fn covered() -> Vec<Value> {
    [
        requests_and_keys(),
        batches_and_metrics(),
        endings_and_echoes(),
        others(),
    ]
    .into_iter()
    .flat_map(switches_of)
    .collect()
}
