//! Datasets in the Catalog.

use serde_json::{Value, json};

use crate::support::{DATASETS, JOBS, Tenant, UNION, id_of, read, smallest};

async fn create(tenant: &Tenant, body: Value) -> String {
    id_of(&tenant.send("POST", DATASETS, &body).await.with(201))
}

async fn shown(tenant: &Tenant, id: &str) -> Value {
    tenant
        .get(&format!("{DATASETS}/{id}"))
        .await
        .with(200)
        .json()[id]
        .clone()
}

/// The ids of a list, in the order in which they are written.
fn keys(text: &str) -> Vec<String> {
    text.split('"')
        .filter(|part| part.len() == 24 && part.chars().all(|c| c.is_ascii_hexdigit()))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn a_dataset_is_shown_under_its_id_with_what_the_platform_adds() {
    let tenant = Tenant::start().await;
    let body = json!({"name": "one", "schemaRef": {"id": UNION}, "tags": {"a.b/c": ["x/y.z"]}});
    let id = create(&tenant, body).await;
    let dataset = shown(&tenant, &id).await;
    assert_eq!(dataset["tags"], json!({"a.b/c": ["x/y.z"]}));
    for key in ["version", "imsOrg", "created", "updated", "viewId", "files"] {
        assert!(!dataset[key].is_null(), "{key}");
    }
    let some = tenant
        .get(&format!("{DATASETS}/{id}?properties=name,tags"))
        .await
        .with(200)
        .json();
    assert_eq!(some[&id].as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn a_dataset_that_is_not_there_is_a_404_of_the_catalog() {
    let tenant = Tenant::start().await;
    let reply = tenant
        .get(&format!("{DATASETS}/5ab540d0864cf0267448ead4"))
        .await
        .with(404)
        .json();
    let expected = json!({"type": "/placeholder/type/uri", "status": 404,
                          "title": "NotFoundError", "detail": "DataSet not found."});
    assert_eq!(reply, expected);
}

#[tokio::test]
async fn a_request_that_the_documents_do_not_allow_is_refused_with_the_reason() {
    let tenant = Tenant::start().await;
    let cases = [
        (json!({"nam": "x"}), "nam: unknown field"),
        (json!({"name": 1}), "name: must be a string"),
        (json!({"schemaRef": UNION}), "schemaRef: must be an object"),
        (
            json!({"schemaRef": {"contentType": "a"}}),
            "schemaRef.id: is required",
        ),
        (
            json!({"tags": {"a": "b"}}),
            "tags: must be an object whose values are lists",
        ),
        (
            json!({"tags": {"adobe/pqs/table": ["b"]}}),
            "tags.adobe/pqs/table",
        ),
        (
            json!({"fileDescription": {"format": "xml"}}),
            "fileDescription.format: must be one of",
        ),
        (json!({"extensions": {}}), "only PATCH"),
        (json!({"basePath": "s3://x"}), "basePath: unknown field"),
        (json!(["x"]), "must be an object"),
    ];
    for (body, reason) in cases {
        let reply = tenant.send("POST", DATASETS, &body).await.with(400).json();
        assert_eq!(reply["title"], "BadRequestError");
        assert!(
            reply["detail"].as_str().unwrap().contains(reason),
            "{body}: {reply}"
        );
    }
    let reply = tenant
        .send_as("POST", DATASETS, "text/plain", "{}")
        .await
        .with(400)
        .json();
    assert_eq!(reply["detail"], "A valid content-type must be specified");
}

#[tokio::test]
async fn datasets_are_found_by_their_tags() {
    let tenant = Tenant::start().await;
    let tags = [
        json!({"dev/uid": ["u.1/a"], "team": ["marketing"]}),
        json!({"dev/uid": ["u.1/b"], "team": ["marketing", "data"]}),
        json!({"unifiedProfile": ["enabled:true"]}),
    ];
    let mut ids = Vec::new();
    for tags in tags {
        ids.push(create(&tenant, json!({"name": "x", "tags": tags})).await);
    }
    let cases = [
        ("dev/uid:u.1/a", vec![0]),
        ("team:marketing", vec![0, 1]),
        ("team:marketing,dev/uid:u.1/b", vec![1]),
        ("dev/uid:*", vec![0, 1]),
        ("dev/uid:u.1/*,team:data", vec![1]),
        ("unifiedProfile:enabled:true", vec![2]),
        ("team:sales", vec![]),
    ];
    for (query, expected) in cases {
        let request = tenant.request("GET", DATASETS).query(&[("tags", query)]);
        let reply = read(request.send().await.unwrap()).await.with(200);
        let expected: Vec<String> = expected
            .into_iter()
            .map(|index: usize| ids[index].clone())
            .collect();
        let found: Vec<String> = keys(&reply.text)
            .into_iter()
            .filter(|id| ids.contains(id))
            .collect();
        assert_eq!(found, expected, "{query}");
    }
}

#[tokio::test]
async fn a_list_has_pages_an_order_and_names() {
    let tenant = Tenant::start().await;
    let mut ids = Vec::new();
    for name in ["b", "a", "c"] {
        ids.push(create(&tenant, json!({"name": name})).await);
    }
    let list = async |query: &str| {
        let reply = tenant
            .get(&format!("{DATASETS}?properties=name&{query}"))
            .await
            .with(200);
        keys(&reply.text)
    };
    let pick = |order: &[usize]| {
        order
            .iter()
            .map(|index| ids[*index].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(list("limit=100").await, pick(&[0, 1, 2]));
    assert_eq!(list("orderBy=name").await, pick(&[1, 0, 2]));
    assert_eq!(list("orderBy=desc:name").await, pick(&[2, 0, 1]));
    assert_eq!(list("orderBy=name&limit=1&start=1").await, pick(&[0]));
    assert_eq!(list("name=a,c").await, pick(&[1, 2]));
    assert_eq!(list("name=!a").await, pick(&[0, 2]));
    for bad in [
        "limit=0",
        "limit=101",
        "limit=x",
        "start=-1",
        "orderBy=up:name",
        "tags=x",
        "dataSet=1",
        "limit=1&limit=2",
    ] {
        tenant.get(&format!("{DATASETS}?{bad}")).await.with(400);
    }
}

#[tokio::test]
async fn a_json_patch_is_applied_as_its_standard_says() {
    let tenant = Tenant::start().await;
    let id = create(&tenant, json!({"name": "x", "tags": {"a": ["1"]}})).await;
    let path = format!("{DATASETS}/{id}");
    let operations = json!([
        {"op": "test", "path": "/name", "value": "x"},
        {"op": "add", "path": "/tags/dev~1uid", "value": ["u"]},
        {"op": "replace", "path": "/name", "value": "y"},
        {"op": "remove", "path": "/tags/a"},
    ]);
    let kind = "application/json-patch+json";
    let reply = tenant
        .send_as("PATCH", &path, kind, &operations.to_string())
        .await
        .with(200)
        .json();
    assert_eq!(reply, json!([format!("@/dataSets/{id}")]));
    let dataset = shown(&tenant, &id).await;
    assert_eq!(
        (&dataset["name"], &dataset["tags"]),
        (&json!("y"), &json!({"dev/uid": ["u"]}))
    );
    assert_eq!(dataset["version"], "1.0.1");
    let refused = [
        json!([{"op": "test", "path": "/name", "value": "x"}]),
        json!([{"op": "remove", "path": "/description"}]),
        json!([{"op": "add", "path": "/tags/adobe~1x", "value": ["u"]}]),
        json!([{"op": "add", "path": "/tags/b", "value": "u"}]),
        json!([{"op": "move", "from": "/name", "path": "/description"}]),
        json!([{"op": "add", "path": "/version", "value": "2"}]),
        json!({"op": "add"}),
    ];
    for operations in refused {
        tenant
            .send_as("PATCH", &path, kind, &operations.to_string())
            .await
            .with(400);
    }
    assert_eq!(shown(&tenant, &id).await["version"], "1.0.1");
}

#[tokio::test]
async fn a_patch_of_version_two_merges_to_any_depth() {
    let tenant = Tenant::start().await;
    let id = create(&tenant, json!({"name": "x", "tags": {"a": ["1"]}})).await;
    let v2 = format!("/data/foundation/catalog/v2/dataSets/{id}");
    let body = json!({
        "tags": {"b": ["2"]},
        "extensions": {"adobe_lakeHouse": {"rowExpiration": {"ttlValue": "P30D"}}},
    });
    tenant.send("PATCH", &v2, &body).await.with(200);
    let dataset = shown(&tenant, &id).await;
    assert_eq!(dataset["tags"], json!({"a": ["1"], "b": ["2"]}));
    assert_eq!(dataset["extensions"], body["extensions"]);
    tenant.get(&v2).await.with(405);
    tenant
        .send("PATCH", "/data/foundation/catalog/v2/dataSets/none", &body)
        .await
        .with(404);
}

#[tokio::test]
async fn put_replaces_what_writers_say_and_keeps_what_is_the_platforms() {
    let tenant = Tenant::start().await;
    let seed = json!({"body": {"name": "x", "description": "d",
                               "tags": {"adobe/pqs/table": ["t"], "a": ["1"]}}});
    let id = tenant
        .admin("POST", "/datasets", seed)
        .await
        .with(201)
        .json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("{DATASETS}/{id}");
    tenant
        .send("PUT", &path, &json!({"name": "y"}))
        .await
        .with(200);
    let dataset = shown(&tenant, &id).await;
    assert!(dataset["description"].is_null());
    assert_eq!(dataset["tags"], json!({"adobe/pqs/table": ["t"]}));
    tenant
        .send("PUT", &path, &json!({"schemaRef": {"id": UNION}}))
        .await
        .with(400);
}

#[tokio::test]
async fn a_write_for_another_version_is_refused_with_412() {
    let tenant = Tenant::start().await;
    let id = create(&tenant, json!({"name": "x"})).await;
    let path = format!("{DATASETS}/{id}");
    let version = tenant.get(&path).await.header("e-tag").to_owned();
    let put = |version: String| {
        tenant
            .request("PUT", &path)
            .header("if-match", version)
            .json(&json!({"name": "y"}))
            .send()
    };
    assert_eq!(put(version.clone()).await.unwrap().status(), 200);
    assert_eq!(put(version).await.unwrap().status(), 412);
}

#[tokio::test]
async fn a_deleted_dataset_is_gone_and_its_deletion_can_be_asked_again() {
    let tenant = Tenant::start().await;
    let id = tenant.dataset().await;
    let path = format!("{DATASETS}/{id}");
    let reply = tenant.delete(&path).await.with(200).json();
    assert_eq!(reply, json!([format!("@/dataSets/{id}")]));
    tenant.get(&path).await.with(404);
    assert_eq!(tenant.delete(&path).await.with(200).json(), json!([]));
    tenant.send("POST", JOBS, &smallest(&id)).await.with(400);
    let ledger = tenant.ledger().await;
    assert!(!ledger["datasets"][0]["deletedAt"].is_null());
}

#[tokio::test]
async fn a_dataset_learns_of_the_batches_of_its_exports() {
    let tenant = Tenant::start().await;
    let dataset = tenant.dataset().await;
    let job = tenant
        .send("POST", JOBS, &smallest(&dataset))
        .await
        .with(200)
        .json();
    assert!(shown(&tenant, &dataset).await["lastBatchId"].is_null());
    tenant
        .steer(job["id"].as_i64().unwrap(), json!({"finishNow": true}))
        .await;
    let after = shown(&tenant, &dataset).await;
    assert_eq!(after["lastBatchId"], job["destination"]["batchId"]);
    assert_eq!(after["lastBatchStatus"], "success");
    assert_eq!(after["lastSuccessfulBatch"], job["destination"]["batchId"]);
}
