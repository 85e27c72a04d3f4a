//! Datasets, batches and sandboxes.

use super::*;

/// The Catalog's `OpenAPI` document, the example of `GET /dataSets/{id}`, with the fields of its
/// schema that the example lacks.
const DATASET: &str = r#"{"5ab540d0864cf0267448ead4": {
    "version": "1.0.0",
    "imsOrg": "4F3BB22C5631222A7F000101@AdobeOrg",
    "name": "Acme accounts dataset - 1521827915638",
    "created": 1521828048923,
    "updated": 1521828208046,
    "tags": {"foo": ["bar", "foos", "ball"], "adobe/x": ["CLUSTERED:FOO"], "bare": "one"},
    "schemaRef": {"id": "https://ns.adobe.com/xdm/context/profile__union",
                  "contentType": "application/vnd.adobe.xed+json;version=1"},
    "lastBatchId": "01HP1Z0A9YZ733QCJN6AXCATHF",
    "lastBatchStatus": "success",
    "observableSchema": {}
}}"#;

/// Creates a dataset with an open fence.
async fn create(platform: &Platform, body: &Value) -> Result<DatasetId, PlatformError> {
    platform
        .create_dataset(body, &open(platform), Permit::free())
        .await
}

#[tokio::test]
async fn a_dataset_is_created_and_its_id_is_the_last_segment_of_the_reference() {
    // Profile guide, "Create a target dataset", and the Catalog's own spelling.
    let sample = include_str!("../fixtures/profile-create-dataset.json");
    for body in [sample, r#"["@/dataSets/5b020a27e7040801dedba61b"]"#] {
        let stub = Stub::always(201, body).await;
        let body = json!({"name": "Profile Data Export", "schemaRef": {"id": UNION_SCHEMA}});
        let id = create(&stub.platform(), &body).await.unwrap();
        assert_eq!(id, dataset("5b020a27e7040801dedba61b"));
        let calls = stub.calls();
        assert_eq!(calls[0].method, "POST");
        assert_eq!(calls[0].target, "/data/foundation/catalog/dataSets");
        assert_eq!(calls[0].body, body.to_string());
    }
}

#[tokio::test]
async fn a_dataset_is_not_created_once_its_fence_is_closed() {
    let stub = Stub::always(201, r#"["@/dataSets/d"]"#).await;
    let platform = stub.platform();
    let closed = Fence::until(platform.now(), Arc::clone(platform.clock()));
    let error = platform
        .create_dataset(&json!({}), &closed, Permit::free())
        .await
        .unwrap_err();
    assert_eq!(error.consequence(), Consequence::NotSent);
    assert!(stub.calls().is_empty());
}

#[tokio::test]
async fn a_created_dataset_whose_id_cannot_be_read_is_in_doubt() {
    for body in ["", "[]", "{}", "[7]", r#"["@/dataSets/"]"#, "<html>"] {
        let stub = Stub::always(201, body).await;
        let error = create(&stub.platform(), &json!({})).await.unwrap_err();
        assert_eq!(error.consequence(), Consequence::InDoubt, "{body}");
    }
}

#[tokio::test]
async fn a_creation_is_repeated_only_after_the_gateways_own_401() {
    let stub = Stub::start(|_, before| match before {
        0 => Canned::text(401, gateway("401013")),
        _ => Canned::text(201, r#"["@/dataSets/d"]"#),
    })
    .await;
    create(&stub.platform(), &json!({})).await.unwrap();
    assert_eq!(stub.calls().len(), 2);
    let stub = Stub::always(401, "").await;
    let error = create(&stub.platform(), &json!({})).await.unwrap_err();
    assert_eq!(error.consequence(), Consequence::InDoubt);
    assert_eq!(stub.calls().len(), 1);
}

#[tokio::test]
async fn a_dataset_is_read_under_its_id() {
    let stub = Stub::always(200, DATASET).await;
    let id = dataset("5ab540d0864cf0267448ead4");
    let read = stub.platform().dataset(&id).await.unwrap().unwrap();
    assert_eq!(
        stub.calls()[0].target,
        "/data/foundation/catalog/dataSets/5ab540d0864cf0267448ead4"
    );
    assert_eq!(
        (&read.id, read.name.as_deref()),
        (&id, Some("Acme accounts dataset - 1521827915638"))
    );
    assert_eq!(read.schema_id.as_deref(), Some(UNION_SCHEMA));
    let content_type = "application/vnd.adobe.xed+json;version=1";
    assert_eq!(read.schema_content_type.as_deref(), Some(content_type));
    assert_eq!(read.tags["foo"], ["bar", "foos", "ball"]);
    assert_eq!(read.tags["bare"], ["one"]);
    assert_eq!(
        read.created,
        Some(Timestamp::from_millisecond(1_521_828_048_923).unwrap())
    );
    assert_eq!(
        read.last_batch_id,
        Some(BatchId::new("01HP1Z0A9YZ733QCJN6AXCATHF"))
    );
    assert_eq!(read.last_batch_status.as_deref(), Some("success"));
    // An answer about something else is not an absence.
    let error = stub
        .platform()
        .dataset(&dataset("other"))
        .await
        .unwrap_err();
    assert_eq!(error.consequence(), Consequence::Retry);
}

/// They are compared with what was asked for.
#[tokio::test]
async fn names_descriptions_and_tags_are_read_to_the_letter() {
    let long = "d".repeat(2048);
    let values = json!([" a ", "with\nline", long]);
    let body = json!({ "d": { "name": " x  y ", "description": long, "tags": { "t": values } } });
    let stub = Stub::always(200, body.to_string()).await;
    let read = stub.platform().dataset(&dataset("d")).await.unwrap();
    let read = read.unwrap();
    assert_eq!(read.name.as_deref(), Some(" x  y "));
    assert_eq!(read.description.as_deref(), Some(&*long));
    assert_eq!(json!(read.tags["t"]), values);
}

#[tokio::test]
async fn a_missing_dataset_is_none_and_its_deletion_is_done() {
    let body = r#"{"type": "/placeholder/type/uri", "status": 404, "title": "NotFoundError",
                   "detail": "DataSet not found."}"#;
    let stub = Stub::always(404, body).await;
    let platform = stub.platform();
    assert_eq!(platform.dataset(&dataset("d")).await.unwrap(), None);
    platform.delete_dataset(&dataset("d")).await.unwrap();
    let error = platform
        .patch_dataset(&dataset("d"), &[])
        .await
        .unwrap_err();
    assert_eq!(error.consequence(), Consequence::NotFound);
    for body in ["[]", r#"["@/dataSets/d"]"#, ""] {
        Stub::always(200, body)
            .await
            .platform()
            .delete_dataset(&dataset("d"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_dataset_is_patched_by_json_patch() {
    let stub = Stub::always(200, r#"["@/dataSets/d"]"#).await;
    let operations = [
        PatchOperation::Add("/tags/a".to_owned(), json!(["b"])),
        PatchOperation::Replace("/name".to_owned(), json!("n")),
        PatchOperation::Remove("/description".to_owned()),
    ];
    stub.platform()
        .patch_dataset(&dataset("d"), &operations)
        .await
        .unwrap();
    let calls = stub.calls();
    assert_eq!(
        (&*calls[0].method, &*calls[0].target),
        ("PATCH", "/data/foundation/catalog/dataSets/d")
    );
    assert_eq!(
        calls[0].header("content-type"),
        "application/json-patch+json"
    );
    let expected = json!([
        {"op": "add", "path": "/tags/a", "value": ["b"]},
        {"op": "replace", "path": "/name", "value": "n"},
        {"op": "remove", "path": "/description"},
    ]);
    assert_eq!(
        serde_json::from_str::<Value>(&calls[0].body).unwrap(),
        expected
    );
}

#[tokio::test]
async fn datasets_are_found_by_exact_tags_on_every_page_and_none_is_skipped() {
    let stub = Stub::start(|seen, _| {
        let url = Url::parse("http://x").unwrap().join(&seen.target).unwrap();
        let start = url.query_pairs().find(|(key, _)| key == "start").unwrap().1;
        let start: usize = start.parse().unwrap();
        let page: serde_json::Map<_, _> = (start..250.min(start + 100))
            .map(|n| {
                (
                    format!("d{n}"),
                    json!({"tags": {"owner": [format!("o{}", n % 2)]}}),
                )
            })
            .collect();
        Canned::json(&Value::from(page))
    })
    .await;
    let found = stub
        .platform()
        .datasets_by_tags(&[("owner", "o1")])
        .await
        .unwrap();
    assert_eq!(found.len(), 125, "what carries another tag is left out");
    let targets: Vec<_> = stub
        .calls()
        .iter()
        .map(|call| call.target.clone())
        .collect();
    let page = "/data/foundation/catalog/dataSets?tags=owner%3Ao1&limit=100&start=";
    assert_eq!(
        targets,
        [
            format!("{page}0"),
            format!("{page}100"),
            format!("{page}200")
        ]
    );
}

#[tokio::test]
async fn a_list_of_datasets_that_never_ends_is_given_up() {
    let page: serde_json::Map<_, _> = (0..100).map(|n| (format!("d{n}"), json!({}))).collect();
    let stub = Stub::always(200, Value::from(page).to_string()).await;
    let error = stub
        .platform()
        .datasets_by_tags(&[("a", "b")])
        .await
        .unwrap_err();
    assert_eq!(
        (error.consequence(), stub.calls().len()),
        (Consequence::Retry, 20)
    );
}

#[tokio::test]
async fn tags_that_a_query_cannot_express_are_not_asked_for() {
    let stub = Stub::always(200, "{}").await;
    for tags in [
        &[][..],
        &[("a", "*")],
        &[("a", "b,c")],
        &[("a:b", "c")],
        &[("", "c")],
        &[("a", "")],
    ] {
        let error = stub.platform().datasets_by_tags(tags).await.unwrap_err();
        assert_eq!(error.consequence(), Consequence::Rejected);
    }
    assert_eq!(stub.seen().len(), 0);
}

/// As seen of an ingestion batch; no document shows one of an export.
#[tokio::test]
async fn a_batch_is_read_with_whatever_its_producer_calls_its_metrics() {
    let batch =
        |metrics: Value| json!({"b": {"status": "success", "metrics": metrics}}).to_string();
    for body in [
        batch(json!({"outputRecordCount": 1, "outputFileCount": 2, "outputByteSize": 19148})),
        batch(json!({"recordsWritten": "1", "outputFileCount": "2", "outputRecordSize": "19148"})),
        batch(json!({"recordCount": 1.0, "outputFileCount": 2, "size": 19148})),
        r#"{"b": {"status": "success", "recordCount": 1, "size": 19148,
                  "metrics": {"outputFileCount": 2}}}"#
            .to_owned(),
    ] {
        let stub = Stub::always(200, &*body).await;
        let read = stub
            .platform()
            .batch(&BatchId::new("b"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(stub.calls()[0].target, "/data/foundation/catalog/batches/b");
        assert_eq!(
            (&*read.status, BatchState::of(&read.status)),
            ("success", BatchState::Readable)
        );
        assert_eq!(
            (read.records, read.files, read.bytes),
            (Some(1), Some(2), Some(19148)),
            "{body}"
        );
    }
    let stub = Stub::always(200, r#"{"b": {"status": "loading"}}"#).await;
    let read = stub
        .platform()
        .batch(&BatchId::new("b"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((read.records, read.files, read.bytes), (None, None, None));
    let stub = Stub::always(404, "").await;
    assert_eq!(
        stub.platform().batch(&BatchId::new("b")).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn sandboxes_are_listed_over_every_page() {
    let sandbox = |n: usize| {
        json!({"name": format!("s{n}"), "title": "T", "state": "active", "type": "development",
               "region": "VA7", "isDefault": false, "etag": 1})
    };
    let stub = Stub::start(move |seen, _| {
        let (names, next) = match seen.target.split_once('?') {
            None => (
                0..2,
                "https://platform-va7.adobe.io:443/x/sandboxes?limit=2&offset=2",
            ),
            Some((_, "limit=2&offset=2")) => (2..4, ""),
            Some((_, "limit=2&offset=4")) => (4..5, ""),
            Some(_) => panic!("{}", seen.target),
        };
        let page: Vec<_> = names.map(sandbox).collect();
        Canned::json(&json!({
            "sandboxes": page,
            "_page": {"limit": 2, "count": 5},
            "_links": {"next": {"href": next}},
        }))
    })
    .await;
    let sandboxes = stub.platform().sandboxes().await.unwrap();
    let names: Vec<_> = sandboxes.iter().map(|sandbox| &*sandbox.name).collect();
    assert_eq!(names, ["s0", "s1", "s2", "s3", "s4"]);
    assert_eq!(sandboxes[0].region.as_deref(), Some("VA7"));
    assert_eq!(sandboxes[0].kind.as_deref(), Some("development"));
    assert_eq!(sandboxes[0].state.as_deref(), Some("active"));
    let first = &stub.calls()[0];
    assert_eq!(
        first.target, "/data/foundation/sandbox-management/",
        "with its slash"
    );
}

#[tokio::test]
async fn a_list_of_sandboxes_that_repeats_itself_ends() {
    let body = r#"{"sandboxes": [{"name": "prod"}], "_page": {"limit": 1, "count": 1}}"#;
    let stub = Stub::always(200, body).await;
    assert_eq!(stub.platform().sandboxes().await.unwrap().len(), 1);
    assert_eq!(stub.calls().len(), 2);
}
