//! Replies as the documents show them, and as a platform that disagrees with them may send them.
//!
//! The fixtures are the sample replies of Adobe's guides, value for value: "Export jobs endpoint"
//! of the Real-Time Customer Profile API (`profile-…`: the same JSON in its Chinese, French,
//! Japanese and Portuguese editions, but for the organisation's placeholder) and of the
//! Segmentation API (`segmentation-…`, with the superfluous commas of two samples taken out).

use super::*;

fn of(text: &str) -> Job {
    wire::job(&serde_json::from_str(text).unwrap()).expect("a job")
}

fn with(name: &str, value: Value) -> Job {
    let mut job = json!({"id": 1, "status": "NEW"});
    job[name] = value;
    wire::job(&job).expect("a job")
}

fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

/// Profile guide, "Initiate export job".
#[test]
fn the_profile_guides_new_job_is_read() {
    let job = of(include_str!("../fixtures/profile-create-job.json"));
    assert_eq!(job.id.as_str(), "24115");
    assert_eq!((&*job.status, job.state()), ("NEW", JobState::Running));
    assert_eq!(
        job.request_id.as_deref(),
        Some("IwkVcD4RupdSmX376OBVORvcvTdA4ypN")
    );
    assert_eq!(
        job.dataset_id,
        Some(dataset("5cf6bcf79ecc7c14530fe436")),
        "spelt dataSetId there"
    );
    assert_eq!(job.creation_time, Some(time(1_559_674_261_657)));
    assert_eq!(job.update_time, Some(time(1_559_674_261_868)));
    assert_eq!(job.total_milliseconds, None);
    assert_eq!(
        job.batches[0].id.as_str(),
        "da5cfb4de32c4b93a09f7e37fa53ad52"
    );
    let mut echoed: Vec<_> = job.echoed.parts().map(|(key, _)| key).collect();
    echoed.sort_unstable();
    assert_eq!(
        echoed,
        ["destination.segmentPerBatch", "mergePolicy", "schema"]
    );
}

/// Profile guide, "Monitor export progress".
#[test]
fn the_profile_guides_finished_job_is_read() {
    let job = of(include_str!("../fixtures/profile-get-job.json"));
    assert_eq!(job.state(), JobState::Succeeded);
    assert_eq!(
        job.request_id.as_deref(),
        Some("YwMt1H8QbVlGT2pzyxgwFHTwzpMbHrTq")
    );
    assert_eq!(job.total_milliseconds, Some(1_204_365));
    assert_eq!(job.profile_export_milliseconds, Some(110_604));
    assert_eq!(job.dataset_write_milliseconds, Some(38_502));
    assert_eq!(job.exported_profiles, None);
    assert!(job.exported_profiles_by_namespace.is_empty());
}

/// Segmentation guide, "Create a new export job".
#[test]
fn the_segmentation_guides_new_job_is_read_with_all_it_gives_back() {
    let job = of(include_str!("../fixtures/segmentation-create-job.json"));
    assert_eq!(job.id.as_str(), "100");
    assert_eq!(
        job.dataset_id,
        Some(dataset("5b7c86968f7b6501e21ba9df")),
        "spelt datasetId there"
    );
    assert_eq!(
        job.request_id.as_deref(),
        Some("d995479c-8a08-4240-903b-af469c67be1f")
    );
    assert_eq!(
        job.echoed.get("fields").unwrap(),
        json!("identities.id,personalEmail.address")
    );
    assert_eq!(
        job.echoed.get("filter").unwrap()["emptyProfiles"],
        json!(true)
    );
    assert_eq!(
        job.echoed.get("mergePolicy").unwrap()["id"],
        json!("timestampOrdered-none-mp")
    );
    assert_eq!(
        job.echoed.get("additionalFields").unwrap()["eventList"]["fields"],
        json!("_id, _experience")
    );
    assert_eq!(
        job.echoed.get("schema").unwrap(),
        json!({"name": "_xdm.context.profile"})
    );
    assert_eq!(
        job.echoed.get("destination.segmentPerBatch").unwrap(),
        json!(false)
    );
}

/// Segmentation guide, "Create a new export job": the fragment for `segmentPerBatch`.
#[test]
fn the_segmentation_guides_batch_per_segment_is_read() {
    let text = include_str!("../fixtures/segmentation-create-job-per-batch.json");
    let fragment: Value = serde_json::from_str(text).unwrap();
    let job = with("destination", fragment["destination"].clone());
    let segment = |id: &str, ns: &str, status: &str, batch: &str| JobBatch {
        id: BatchId::new(batch),
        segment_id: Some(id.to_owned()),
        segment_ns: Some(ns.to_owned()),
        segment_status: vec![status.to_owned()],
    };
    let expected = [
        segment(
            "segment1",
            "ups",
            "realized",
            "da5cfb4de32c4b93a09f7e37fa53ad52",
        ),
        segment(
            "segment2",
            "AdCloud",
            "exited",
            "df4gssdfb93a09f7e37fa53ad52",
        ),
    ];
    assert_eq!(job.batches, expected, "a list of statuses and a bare one");
}

/// Segmentation guide, "Retrieve a specific export job".
#[test]
fn the_segmentation_guides_finished_job_is_read_with_its_counters() {
    let job = of(include_str!("../fixtures/segmentation-get-job.json"));
    assert_eq!(
        (job.id.as_str(), job.state()),
        ("11037", JobState::Succeeded)
    );
    assert_eq!(job.total_milliseconds, Some(10_000));
    assert_eq!(job.profile_export_milliseconds, Some(10_000));
    assert_eq!(job.dataset_write_milliseconds, None);
    assert_eq!(job.exported_profiles, Some(20));
    let by_namespace: Vec<_> = job.exported_profiles_by_namespace.into_iter().collect();
    assert_eq!(
        by_namespace,
        [("namespace1".to_owned(), 10), ("namespace2".to_owned(), 5)]
    );
}

#[test]
fn an_id_keeps_every_digit_in_every_shape() {
    let of = |text: &str| {
        Some(
            wire::job(&serde_json::from_str(text).unwrap())?
                .id
                .to_string(),
        )
    };
    let cases = [
        ("24115", "24115"),
        ("100.0", "100"),
        ("1e2", "100"),
        ("\"722\"", "722"),
        ("\"007\"", "007"),
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551615", "18446744073709551615"),
        ("\"18446744073709551616\"", "18446744073709551616"),
        ("1125899906842623.0", "1125899906842623"),
    ];
    for (wire, id) in cases {
        let text = format!(r#"{{"id": {wire}, "status": "NEW"}}"#);
        assert_eq!(of(&text).as_deref(), Some(id), "{wire}");
    }
    // Rather none than another job's.
    for wire in [
        "9007199254740991.0",
        "9007199254740993.0",
        "18446744073709551616",
        "1.5",
        "\"\"",
        "\"..\"",
        "\"1 2\"",
        "null",
        "[1]",
        "{}",
        "true",
    ] {
        let text = format!(r#"{{"id": {wire}, "status": "NEW"}}"#);
        assert_eq!(of(&text), None, "{wire}");
    }
}

#[test]
fn only_the_id_and_the_status_are_needed() {
    let job = of(r#"{"id": 1, "status": "NEW"}"#);
    assert_eq!(
        (job.dataset_id, job.creation_time, job.batches.len()),
        (None, None, 0)
    );
    for text in [
        r#"{"id": 1}"#,
        r#"{"status": "NEW"}"#,
        r#"{"id": 1, "status": ""}"#,
        r#"{"id": 1, "status": 3}"#,
        r#"{"id": 1, "status": null}"#,
        "[]",
        "null",
        "\"x\"",
    ] {
        assert_eq!(
            wire::job(&serde_json::from_str(text).unwrap()),
            None,
            "{text}"
        );
    }
}

#[test]
fn an_unknown_status_survives_and_is_not_terminal() {
    let job = of(r#"{"id": 1, "status": "REHEATING", "novelty": {"a": [1]}}"#);
    assert_eq!(
        (&*job.status, job.state()),
        ("REHEATING", JobState::Unknown)
    );
    assert_eq!(
        of(r#"{"id": 1, "status": "canceled"}"#).state(),
        JobState::Cancelled
    );
}

#[test]
fn a_wrong_type_in_an_optional_field_is_an_absent_field() {
    let plain = of(r#"{"id": 1, "status": "NEW"}"#);
    for name in [
        "requestId",
        "destination",
        "creationTime",
        "updateTime",
        "metrics",
        "errors",
        "computeGatewayJobId",
        "profileInstanceId",
    ] {
        for wrong in [
            json!(true),
            json!([[]]),
            json!({"x": {}}),
            json!([7]),
            Value::Null,
        ] {
            assert_eq!(with(name, wrong.clone()), plain, "{name} = {wrong}");
        }
    }
    for wrong in [
        json!("none"),
        json!([1]),
        json!({"totalTime": 3}),
        json!(-1),
        json!("-1"),
    ] {
        let metrics = json!({
            "totalTime": {"totalTimeInMs": wrong},
            "totalExportedProfileCounter": wrong,
            "exportedProfileByNamespaceCounter": {"a": wrong},
        });
        assert_eq!(with("metrics", metrics), plain, "{wrong}");
    }
}

#[test]
fn counters_may_be_text_and_times_may_be_seconds() {
    let job = with(
        "metrics",
        json!({
            "totalTime": {"totalTimeInMs": "1204365"},
            "totalExportedProfileCounter": "20",
            "exportedProfileByNamespaceCounter": {"ECID": 1e1, "Email": "5"},
        }),
    );
    assert_eq!(
        (job.total_milliseconds, job.exported_profiles),
        (Some(1_204_365), Some(20))
    );
    let counters: Vec<_> = job.exported_profiles_by_namespace.into_values().collect();
    assert_eq!(counters, [10, 5]);
    let created = |value: Value| with("creationTime", value).creation_time;
    assert_eq!(
        created(json!(1_559_674_261_657_i64)),
        Some(time(1_559_674_261_657))
    );
    assert_eq!(
        created(json!("1559674261657")),
        Some(time(1_559_674_261_657))
    );
    assert_eq!(
        created(json!(1_559_674_261)),
        Some(time(1_559_674_261_000)),
        "seconds, as one text says"
    );
    assert_eq!(
        created(json!("2019-06-04T18:51:01Z")),
        Some(time(1_559_674_261_000))
    );
    assert_eq!(created(json!(0)), None);
    assert_eq!(created(json!(i64::MAX)), None);
}

#[test]
fn batches_may_be_a_list_or_one_object_and_those_without_an_id_are_left_out() {
    let ids = |destination: Value| -> Vec<String> {
        let job = with("destination", destination);
        job.batches
            .iter()
            .map(|batch| batch.id.to_string())
            .collect()
    };
    assert_eq!(
        ids(json!({"batches": {"segmentId": "s", "batchId": "b"}})),
        ["b"]
    );
    assert_eq!(
        ids(json!({"batches": {"s": {"batchId": "b"}, "t": {"batchId": "c"}}})),
        ["b", "c"]
    );
    assert_eq!(
        ids(json!({"batches": [{"batchId": ""}, {"batchId": "b"}, {}, 3]})),
        ["b"]
    );
    assert_eq!(
        ids(json!({"batchId": ""})),
        [""; 0],
        "a failed job's, in the Profile guide"
    );
    assert_eq!(
        ids(json!({"batchId": "b", "batches": [{"batchId": "b"}]})),
        ["b"]
    );
    let many: Vec<_> = (0..10_002)
        .map(|n| json!({"batchId": format!("b{n}")}))
        .collect();
    assert_eq!(
        ids(json!({"batches": many, "batchId": "one-more"})).len(),
        10_000
    );
}

#[test]
fn what_reaches_status_is_bounded_and_on_one_line() {
    let long = "ü\u{7}".repeat(2000);
    let errors: Vec<_> = (0..50)
        .map(|_| json!({"code": long, "msg": long}))
        .collect();
    let namespaces: serde_json::Map<_, _> = (0..200)
        .map(|n| (format!("namespace{n}"), json!(n)))
        .collect();
    let job = wire::job(&json!({
        "id": 1,
        "status": long,
        "errors": errors,
        "metrics": {"exportedProfileByNamespaceCounter": namespaces},
    }))
    .unwrap();
    assert_eq!(job.status, "ü".repeat(64));
    assert_eq!(job.errors.len(), 10);
    assert_eq!(
        (&job.errors[0].code, &job.errors[0].message),
        (&"ü".repeat(64), &"ü".repeat(512))
    );
    assert_eq!(job.exported_profiles_by_namespace.len(), 100);
}

#[test]
fn an_errors_code_may_be_text_or_a_number_and_its_leading_zeros_count() {
    let job = with(
        "errors",
        json!([{"code": "0090000009", "msg": "m"}, {"code": 7}, {}, "x"]),
    );
    let codes: Vec<_> = job.errors.iter().map(|error| &*error.code).collect();
    assert_eq!(codes, ["0090000009", "7"]);
    let job = with("errors", json!({"code": "unknown", "msg": "Job aborted."}));
    assert_eq!(job.errors[0].message, "Job aborted.");
}
