//! The replies that the documents show can be served as they are shown; where the text of a
//! document is no valid JSON, as it is meant.

use serde_json::{Value, json};

use crate::support::{BATCHES, JOBS, Tenant, read};

/// S000, S002, S003, S004: retrieve the status of an export job.
const PROFILE_GET: &str = include_str!("samples/profile-get.json");

/// S001: retrieve a specific export job.
const SEGMENTATION_GET: &str = include_str!("samples/segmentation-get.json");

/// S000, S002, S003, S004: list all export jobs; its two records.
const PROFILE_LIST: [&str; 2] = [
    include_str!("samples/profile-list-726.json"),
    include_str!("samples/profile-list-722.json"),
];

/// Seeds a job out of nothing but its document.
async fn seed(tenant: &Tenant, document: &str) {
    let body = format!(r#"{{"document": {document}}}"#);
    let request = tenant.bare("POST", "/_simulator/jobs").body(body);
    read(request.send().await.unwrap()).await.with(201);
}

#[tokio::test]
async fn a_documented_job_is_served_to_the_letter_and_its_batch_can_be_read() {
    let tenant = Tenant::start().await;
    for document in [PROFILE_GET, SEGMENTATION_GET] {
        seed(&tenant, document).await;
        let id = serde_json::from_str::<Value>(document).unwrap()["id"].clone();
        assert_eq!(
            tenant.get(&format!("{JOBS}/{id}")).await.with(200).text,
            document.trim_end()
        );
    }
    let batch = tenant
        .get(&format!("{BATCHES}/da5cfb4de32c4b93a09f7e37fa53ad52"))
        .await
        .with(200);
    assert_eq!(
        batch.json()["da5cfb4de32c4b93a09f7e37fa53ad52"]["status"],
        "success"
    );
    let summary = tenant.admin("GET", "/summary", Value::Null).await.json();
    assert_eq!(summary["exports"]["succeeded"], 2);
}

#[tokio::test]
async fn the_documented_list_is_served_with_its_own_cursor() {
    let tenant = Tenant::start().await;
    for document in PROFILE_LIST {
        seed(&tenant, document).await;
    }
    let older = json!({"id": 700, "datasetId": "d", "creationTime": 1_538_000_000_000_i64});
    tenant.admin("POST", "/jobs", older).await.with(201);
    let list = tenant.get(&format!("{JOBS}/?limit=2")).await.with(200);
    for document in PROFILE_LIST {
        assert!(list.text.contains(document.trim_end()));
    }
    let list = list.json();
    assert_eq!(
        list["link"]["next"],
        "/export/jobs/?limit=2&offset=1538573416687_722"
    );
    let page = json!({"sortField": "createdTime", "sort": "desc",
                      "pageOffset": "1538573416687_722", "pageSize": 2});
    assert_eq!(list["page"], page);
}

#[tokio::test]
async fn the_replies_of_a_flavour_have_the_keys_of_its_samples() {
    let cases = [
        ("profile", PROFILE_GET, None),
        ("segmentation", SEGMENTATION_GET, Some("filter")),
    ];
    for (flavour, sample, more) in cases {
        let tenant = Tenant::start().await;
        tenant
            .switch(json!({"flavour": flavour, "succeededWithErrors": "never"}))
            .await;
        tenant.dataset_with_id("5b7c86968f7b6501e21ba9df").await;
        let mut body = json!({
            "fields": "identities.id,personalEmail.address",
            "mergePolicy": {"id": "timestampOrdered-none-mp", "version": 1},
            "destination": {"datasetId": "5b7c86968f7b6501e21ba9df", "segmentPerBatch": false},
            "schema": {"name": "_xdm.context.profile"},
        });
        if more.is_some() {
            body["filter"] = json!({"segments": [{
                "segmentId": "52c26d0d-45f2-47a2-ab30-ed06abc981ff",
                "segmentNs": "ups",
                "status": ["realized"],
            }]});
        }
        let job = tenant.send("POST", JOBS, &body).await.with(200).json()["id"]
            .as_i64()
            .unwrap();
        tenant.steer(job, json!({"finishNow": true})).await;
        let shown = tenant.shown(job).await;
        let sample: Value = serde_json::from_str(sample).unwrap();
        assert_eq!(paths(&shown), paths(&sample), "{flavour}");
    }
}

/// The paths of all keys, sorted.
fn paths(value: &Value) -> Vec<String> {
    fn walk(path: &str, value: &Value, found: &mut Vec<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let path = format!("{path}/{key}");
            walk(&path, value, found);
            found.push(path);
        }
    }
    let mut found = Vec::new();
    walk("", value, &mut found);
    found.sort();
    found
}
