//! Every request that the five documents show, as they show it; where the text of a document is no
//! valid JSON (four of them lack the comma after `additionalFields`), as it is meant.

use serde_json::{Value, json};

use crate::support::{DATASETS, JOBS, Tenant, id_of};

/// The dataset requests: document, section, body.
const DATASET_REQUESTS: [(&str, &str); 2] = [
    (
        "S002, S004: create a target dataset",
        r#"{"name":"Profile Data Export",
            "schemaRef":{"id":"https://ns.adobe.com/xdm/context/profile__union",
                         "contentType":"application/vnd.adobe.xed+json;version=1"}}"#,
    ),
    (
        "S000, S003: create a target dataset",
        r#"{"name":"Profile Data Export",
            "schemaRef":{"id":"https://ns.adobe.com/xdm/context/profile__union",
                         "contentType":"application/vnd.adobe.xed+json;version=1"},
            "fileDescription":{"persisted":true,"containerFormat":"parquet","format":"parquet"}}"#,
    ),
];

/// The export requests: document, section, body.
const EXPORT_REQUESTS: [(&str, &str); 4] = [
    (
        "S000, S002, S003, S004: initiate an export job",
        r#"{"fields":"identities.id,personalEmail.address",
            "mergePolicy":{"id":"e5bc94de-cd14-4cdf-a2bc-88b6e8cbfac2","version":1},
            "additionalFields":{"eventList":{
              "fields":"environment.browserDetails.name,environment.browserDetails.version",
              "filter":{"fromIngestTimestamp":"2018-10-25T13:22:04-07:00"}}},
            "destination":{"datasetId":"5b020a27e7040801dedba61b","segmentPerBatch":false},
            "schema":{"name":"_xdm.context.profile"}}"#,
    ),
    (
        "S000, S002, S003, S004: the same without additionalFields (profile attributes alone)",
        r#"{"fields":"identities.id,personalEmail.address",
            "mergePolicy":{"id":"e5bc94de-cd14-4cdf-a2bc-88b6e8cbfac2","version":1},
            "destination":{"datasetId":"5b020a27e7040801dedba61b","segmentPerBatch":false},
            "schema":{"name":"_xdm.context.profile"}}"#,
    ),
    (
        "S000, S002, S003, S004: export only event data",
        r#"{"fields":"identityMap",
            "mergePolicy":{"id":"e5bc94de-cd14-4cdf-a2bc-88b6e8cbfac2","version":1},
            "additionalFields":{"eventList":{
              "fields":"environment.browserDetails.name,environment.browserDetails.version",
              "filter":{"fromIngestTimestamp":"2018-10-25T13:22:04-07:00"}}},
            "destination":{"datasetId":"5b020a27e7040801dedba61b","segmentPerBatch":false},
            "schema":{"name":"_xdm.context.profile"}}"#,
    ),
    (
        "S001: create a new export job",
        r#"{"fields":"identities.id,personalEmail.address",
            "mergePolicy":{"id":"timestampOrdered-none-mp","version":1},
            "filter":{"segments":[{"segmentId":"52c26d0d-45f2-47a2-ab30-ed06abc981ff",
                                   "segmentNs":"ups","status":["realized"]}],
              "segmentQualificationTime":{"startTime":"2018-01-01T00:00:00Z",
                                          "endTime":"2018-02-01T00:00:00Z"},
              "fromIngestTimestamp":"2018-01-01T00:00:00Z","emptyProfiles":true},
            "additionalFields":{"eventList":{"fields":"string",
              "filter":{"fromIngestTimestamp":"2018-01-01T00:00:00Z",
                        "toIngestTimestamp":"2020-01-01T00:00:00Z"}}},
            "destination":{"datasetId":"5b7c86968f7b6501e21ba9df","segmentPerBatch":false},
            "schema":{"name":"_xdm.context.profile"},
            "evaluationInfo":{"segmentation":true}}"#,
    ),
];

#[tokio::test]
async fn every_documented_dataset_request_is_taken() {
    let tenant = Tenant::start().await;
    for (source, text) in DATASET_REQUESTS {
        let reply = tenant
            .send_as("POST", DATASETS, "application/json", text)
            .await;
        assert_eq!(reply.status, 201, "{source}: {}", reply.text);
        let id = id_of(&reply);
        let dataset = tenant
            .get(&format!("{DATASETS}/{id}"))
            .await
            .with(200)
            .json();
        let sent: Value = serde_json::from_str(text).unwrap();
        for (key, value) in sent.as_object().unwrap() {
            assert_eq!(dataset[&id][key], *value, "{source}");
        }
    }
}

#[tokio::test]
async fn every_documented_export_request_is_taken_and_kept_value_for_value() {
    let tenant = Tenant::start().await;
    tenant.dataset_with_id("5b020a27e7040801dedba61b").await;
    tenant.dataset_with_id("5b7c86968f7b6501e21ba9df").await;
    for (index, (source, text)) in EXPORT_REQUESTS.into_iter().enumerate() {
        let reply = tenant.send_as("POST", JOBS, "application/json", text).await;
        assert_eq!(reply.status, 200, "{source}: {}", reply.text);
        assert_eq!(reply.json()["status"], "NEW");
        let ledger = tenant.ledger().await;
        let sent: Value = serde_json::from_str(text).unwrap();
        assert_eq!(ledger["jobs"][index]["body"], sent, "{source}");
    }
}

#[tokio::test]
async fn every_documented_export_request_is_taken_by_its_own_flavour() {
    let tenant = Tenant::start().await;
    tenant.dataset_with_id("5b020a27e7040801dedba61b").await;
    tenant.dataset_with_id("5b7c86968f7b6501e21ba9df").await;
    for (source, text) in EXPORT_REQUESTS {
        let own = if source.starts_with("S001") {
            "segmentation"
        } else {
            "profile"
        };
        tenant.switch(json!({"flavour": own})).await;
        let reply = tenant.send_as("POST", JOBS, "application/json", text).await;
        assert_eq!(reply.status, 200, "{source}: {}", reply.text);
    }
}

#[tokio::test]
async fn the_curl_command_that_lacks_a_comma_is_refused_as_it_is_written() {
    let tenant = Tenant::start().await;
    tenant.dataset_with_id("5b020a27e7040801dedba61b").await;
    let text = r#"{"additionalFields":{"eventList":{"fields":"a"}} "destination":{}}"#;
    let reply = tenant
        .send_as("POST", JOBS, "application/json", text)
        .await
        .with(400)
        .json();
    assert_eq!(
        reply["type"],
        "https://ns.adobe.com/aep/errors/UPLIB-101206-500"
    );
    assert!(
        reply["title"].as_str().unwrap().contains("no JSON"),
        "{reply}"
    );
}
