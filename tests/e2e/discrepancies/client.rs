//! What the platform's client reads of the replies about a job, also where the operator's passes do
//! not need it: what is given back of a request, and the list's records.

use aep_export_operator::{
    governor::Permit,
    platform::{Consequence, DatasetId, Deletion, Job, JobState, Refusal},
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Case, DATASET, Turns, case, open_fence, switches_of};
use crate::{
    harness::eventually,
    samples::{Tenant, seed_dataset},
};

/// The request id of every job here.
const REQUEST_ID: &str = "aepExportOperatorTests0000000001";

/// One job, as three replies tell of it.
struct Told {
    post: Job,
    get: Job,
    list: Job,
}

impl Told {
    fn all(&self) -> [&Job; 3] {
        [&self.post, &self.get, &self.list]
    }
}

pub(super) fn request(per_batch: bool) -> Value {
    json!({
        "fields": "identities.id,personalEmail.address",
        "mergePolicy": { "id": "timestampOrdered-none-mp", "version": 1 },
        "filter": { "segments": [
            { "segmentId": "segment1" },
            { "segmentId": "segment2", "segmentNs": "AdCloud", "status": ["exited"] },
        ] },
        "additionalFields": { "eventList": {
            "fields": "environment.browserDetails.name",
            "filter": {
                "fromIngestTimestamp": "2018-01-01T00:00:00Z",
                "toIngestTimestamp": "2020-01-01T00:00:00Z",
            },
        } },
        "destination": { "datasetId": DATASET, "segmentPerBatch": per_batch },
        "schema": { "name": "_xdm.context.profile" },
        "evaluationInfo": { "segmentation": true },
    })
}

pub(super) async fn create(tenant: &Tenant, request: &Value) -> Job {
    let platform = tenant.platform();
    platform.authenticate().await.unwrap();
    let fence = open_fence(platform);
    platform
        .create_export_job(REQUEST_ID, request, &fence, Permit::free())
        .await
        .unwrap()
}

async fn tell(tenant: &Tenant, request: &Value) -> Told {
    let post = create(tenant, request).await;
    let get = tenant
        .platform()
        .export_job(&post.id)
        .await
        .unwrap()
        .unwrap();
    let mut page = tenant.platform().export_jobs(None, 10).await.unwrap();
    assert_eq!((page.jobs.len(), page.unreadable), (1, 0));
    let list = page.jobs.remove(0);
    Told { post, get, list }
}

/// How the replies may tell of the same job, and whether its batches are per segment.
fn spellings() -> Vec<Case<bool>> {
    let mut cases = Vec::new();
    for (row, switch) in [(7, "datasetKeyInReply"), (8, "datasetKeyInList")] {
        for word in ["datasetId", "dataSetId", "dataSetIdWithBatches"] {
            cases.push(case(row, json!({ switch: word }), true));
            cases.push(case(row, json!({ switch: word }), false));
        }
    }
    for word in ["number", "string", "float"] {
        cases.push(case(0, json!({ "idShape": word }), false));
    }
    for word in ["combined", "segmentation"] {
        cases.push(case(1, json!({ "flavour": word }), true));
    }
    cases
}

#[tokio::test]
async fn rows_7_and_8_a_job_is_the_same_in_every_reply_and_in_every_spelling() {
    let mut turns = Turns::start().await;
    for case in spellings() {
        let tenant = turns.begin(&case).await;
        let told = tell(tenant, &request(case.that)).await;
        for job in told.all() {
            assert_eq!(job.id, told.post.id);
            assert_eq!(
                job.dataset_id.as_ref().map(DatasetId::as_str),
                Some(DATASET)
            );
            assert_eq!(job.batches, told.post.batches);
            assert_eq!(job.batches.len(), if case.that { 2 } else { 1 });
        }
    }
}

/// The unit of the times, and whether there are any.
fn times() -> Vec<Case<bool>> {
    [("ms", true), ("s", true), ("absent", false)]
        .map(|(word, there)| case(0, json!({ "creationTimeUnit": word }), there))
        .to_vec()
}

#[tokio::test]
async fn times_are_the_same_in_milliseconds_and_in_seconds() {
    let mut turns = Turns::start().await;
    for case in times() {
        let tenant = turns.begin(&case).await;
        let told = tell(tenant, &request(false)).await;
        let now = tenant.platform().now();
        for time in told
            .all()
            .iter()
            .flat_map(|job| [job.creation_time, job.update_time])
        {
            assert_eq!(time.is_some(), case.that);
            let age = time.map_or(SignedDuration::ZERO, |time| now.duration_since(time).abs());
            assert!(age < SignedDuration::from_secs(30), "{time:?} at {now}");
        }
    }
}

/// A switch that says where a part of the request is given back, and that part.
const ECHOES: [(&str, &str); 3] = [
    ("fieldsEcho", "fields"),
    ("filterEcho", "filter"),
    ("additionalFieldsEcho", "additionalFields"),
];

/// Where each part is given back: by POST, GET, list.
fn echoes() -> Vec<Case<(&'static str, [bool; 3])>> {
    let mut cases = Vec::new();
    for (switch, part) in ECHOES {
        for places in [
            [true, false, false],
            [false, true, false],
            [false, false, true],
        ] {
            let [post, get, list] = places;
            let switches = json!({ switch: { "post": post, "get": get, "list": list } });
            cases.push(case(21, switches, (part, places)));
        }
    }
    cases.push(case(
        21,
        json!({ "evaluationEcho": "absent" }),
        ("evaluationInfo", [false; 3]),
    ));
    cases.push(case(
        21,
        json!({ "evaluationEcho": "shown" }),
        ("evaluationInfo", [true; 3]),
    ));
    cases
}

#[tokio::test]
async fn row_21_what_is_given_back_is_known_and_what_is_not_is_unknown() {
    let mut turns = Turns::start().await;
    for case in echoes() {
        let tenant = turns.begin(&case).await;
        let request = request(false);
        let told = tell(tenant, &request).await;
        let (part, places) = case.that;
        for (job, there) in told.all().into_iter().zip(places) {
            assert_eq!(job.echoed.get(part).is_some(), there, "{:?}", job.echoed);
            if part == "fields" && there {
                assert_eq!(job.echoed.get(part).unwrap(), request[part]);
            }
            assert_eq!(
                job.echoed.get("mergePolicy").unwrap(),
                request["mergePolicy"]
            );
            assert_eq!(
                job.echoed.get("destination.segmentPerBatch").unwrap(),
                json!(false)
            );
        }
    }
}

/// What is given back of segments.
fn segments() -> Vec<Case<Value>> {
    let exited = json!({ "segmentId": "segment2", "segmentNs": "AdCloud", "status": ["exited"] });
    let defaults = json!({ "segmentId": "segment1", "segmentNs": "ups", "status": ["realized"] });
    let (first, second) = (
        json!({ "segmentId": "segment1" }),
        json!({ "segmentId": "segment2" }),
    );
    vec![
        case(
            22,
            json!({ "segmentEcho": "asSent" }),
            json!([first, exited]),
        ),
        case(
            22,
            json!({ "segmentEcho": "withDefaults" }),
            json!([defaults, exited]),
        ),
        case(
            22,
            json!({ "segmentEcho": "segmentIdOnly" }),
            json!([first, second]),
        ),
    ]
}

#[tokio::test]
async fn row_22_segments_are_given_back_in_part() {
    let mut turns = Turns::start().await;
    for case in segments() {
        let tenant = turns.begin(&case).await;
        let told = tell(tenant, &request(false)).await;
        for job in told.all() {
            assert_eq!(job.echoed.get("filter").unwrap()["segments"], case.that);
        }
    }
}

/// Where the request id is given back.
fn request_ids() -> Vec<Case<[bool; 3]>> {
    let places = [
        [true; 3],
        [false, true, true],
        [true, false, true],
        [true, true, false],
        [false; 3],
    ];
    places
        .map(|places| {
            let [post, get, list] = places;
            let echo = json!({ "post": post, "get": get, "list": list });
            case(0, json!({ "requestIdEcho": echo }), places)
        })
        .to_vec()
}

#[tokio::test]
async fn the_request_id_is_ours_where_it_is_given_back() {
    let mut turns = Turns::start().await;
    for case in request_ids() {
        let tenant = turns.begin(&case).await;
        let told = tell(tenant, &request(false)).await;
        for (job, ours) in told.all().into_iter().zip(case.that) {
            assert_eq!(
                job.request_id.as_deref() == Some(REQUEST_ID),
                ours,
                "{job:?}"
            );
            assert!(job.request_id.is_some());
        }
    }
}

/// The words for a job that runs.
fn statuses() -> Vec<Case<&'static str>> {
    vec![
        case(
            19,
            json!({ "statusesShown": "withProcessing" }),
            "PROCESSING",
        ),
        case(19, json!({ "statusesShown": "documents" }), "NEW"),
    ]
}

#[tokio::test]
async fn row_19_a_job_that_runs_is_running_in_either_word() {
    let mut turns = Turns::start().await;
    for case in statuses() {
        let tenant = turns.begin(&case).await;
        let job = create(tenant, &request(false)).await;
        assert_eq!((&*job.status, job.state()), ("NEW", JobState::Running));
        eventually("the job to run", || async {
            let job = tenant
                .platform()
                .export_job(&job.id)
                .await
                .unwrap()
                .unwrap();
            // Its export has begun, whatever the word.
            let running = job.status == case.that && is_under_way(tenant, &job).await;
            if running {
                Ok(job)
            } else {
                Err(format!("{job:?}"))
            }
        })
        .await;
    }
}

/// Whether a job is past the first part of its life, in which it is NEW.
async fn is_under_way(tenant: &Tenant, job: &Job) -> bool {
    let path = format!("jobs/{}", job.id);
    let job = tenant.simulator.put(&path, json!({})).await;
    job["phase"] == "PROCESSING"
}

/// What a DELETE of a job that has ended comes to, and whether the job is there after it.
fn deletions() -> Vec<Case<(Deletion, bool)>> {
    vec![
        case(
            0,
            json!({ "deleteFinished": "removes" }),
            (Deletion::Accepted, false),
        ),
        case(
            0,
            json!({ "deleteFinished": "keeps" }),
            (Deletion::Accepted, true),
        ),
        case(
            0,
            json!({ "deleteFinished": "refuses" }),
            (Deletion::Absent, true),
        ),
    ]
}

#[tokio::test]
async fn the_deletion_of_a_job_that_has_ended_is_no_error() {
    let mut turns = Turns::start().await;
    for case in deletions() {
        let tenant = turns.begin(&case).await;
        let job = create(tenant, &request(false)).await;
        let path = format!("jobs/{}", job.id);
        let end = json!({ "outcome": "release", "finishNow": true });
        tenant.simulator.put(&path, end).await;
        let (deletion, stays) = case.that;
        let told = tenant.platform().delete_export_job(&job.id).await.unwrap();
        assert_eq!(told, deletion);
        let job = tenant.platform().export_job(&job.id).await.unwrap();
        assert_eq!(job.is_some(), stays);
    }
}

#[tokio::test]
async fn a_submission_is_refused_with_its_token_and_sent_once() {
    let tenant = &Tenant::start().await;
    seed_dataset(&tenant.simulator, DATASET).await;
    let platform = tenant.platform();
    platform.authenticate().await.unwrap();
    tenant
        .simulator
        .put("credentials", json!({ "revokeTokens": true }))
        .await;
    let fence = open_fence(platform);
    let error = platform
        .create_export_job(REQUEST_ID, &request(false), &fence, Permit::free())
        .await
        .unwrap_err();
    let refused = Consequence::Refused(Refusal::Unauthenticated);
    assert_eq!(error.consequence(), refused);
    assert_eq!((error.status(), error.code()), (Some(401), Some("401013")));
    assert_eq!(
        tenant.simulator.posts().await.len(),
        1,
        "nobody sends it again"
    );
    // The next one has a fresh token.
    create(tenant, &request(false)).await;
    assert_eq!(tenant.simulator.jobs().await.len(), 1);
}

/// The switches that this file has cases for.
pub(super) fn covered() -> Vec<Value> {
    [
        switches_of(spellings()),
        switches_of(times()),
        switches_of(echoes()),
        switches_of(segments()),
        switches_of(request_ids()),
        switches_of(statuses()),
        switches_of(deletions()),
    ]
    .concat()
}
