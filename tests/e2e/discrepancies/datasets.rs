//! Datasets that are created, whatever the Catalog takes and answers.

use aep_export_operator::api::ProfileDataset;
use serde_json::{Value, json};

use super::{Case, case, each, switches_of, tenant, world};
use crate::{
    harness::{World, condition, reason},
    samples::DATASETS,
};

/// Row 2: what becomes of a request without a file description, with its format alone, and with
/// all of it.
type Outcomes = [&'static str; 3];

fn file_descriptions() -> Vec<Case<Outcomes>> {
    let taken = "Available";
    let refused = "Rejected";
    vec![
        case(
            2,
            json!({ "fileDescription": "full" }),
            [taken, taken, taken],
        ),
        case(
            2,
            json!({ "fileDescription": "formatOnly" }),
            [taken, taken, refused],
        ),
        case(
            2,
            json!({ "fileDescription": "refused" }),
            [taken, refused, refused],
        ),
    ]
}

#[tokio::test]
async fn row_2_a_file_description_may_be_refused() {
    let world = world("row-2", &[]).await;
    let world = &world;
    each(file_descriptions(), |name, case| async move {
        let tenant = tenant(world, &name, &case.switches).await;
        let requests = [
            Value::Null,
            json!({ "format": "parquet" }),
            json!({ "format": "parquet", "containerFormat": "parquet", "persisted": true }),
        ];
        for (index, (files, wanted)) in requests.into_iter().zip(case.that).enumerate() {
            let object = format!("{name}-{index}");
            let mut dataset = json!({ "name": "Profile Data Export" });
            if !files.is_null() {
                dataset["fileDescription"] = files;
            }
            let dataset = create(world, &name, &object, dataset).await;
            assert_eq!(reason(&dataset, "Ready"), wanted, "{object}");
            if wanted == "Rejected" {
                assert_eq!(condition(&dataset, "Stalled").unwrap().reason, wanted);
                assert_eq!(dataset.status.unwrap().dataset_id, None);
                let events = world.events_of(&object).await;
                let said = |(_, note): &(String, String)| note.contains("fileDescription");
                assert!(events.iter().any(said), "{events:?}");
            }
        }
        assert_eq!(tenant.simulator.calls("POST", DATASETS).await.len(), 3);
    })
    .await;
}

fn replies() -> Vec<Case<()>> {
    let mut cases = Vec::new();
    for prefix in ["@/dataSets", "@/datasets"] {
        for status in [200, 201, 202] {
            let switches = json!({ "datasetCreatePrefix": prefix, "datasetCreateStatus": status });
            cases.push(case(3, switches, ()));
        }
    }
    for word in ["location", "xLocation", "absent"] {
        cases.push(case(0, json!({ "datasetLocationHeader": word }), ()));
    }
    cases.push(case(0, json!({ "tagQueryLagSeconds": 60 }), ()));
    cases
}

#[tokio::test]
async fn row_3_a_created_dataset_is_known_by_its_id_whatever_the_reply() {
    let world = world("row-3", &[]).await;
    let world = &world;
    each(replies(), |name, case| async move {
        let tenant = tenant(world, &name, &case.switches).await;
        let dataset = json!({ "name": "Profile Data Export" });
        let dataset = create(world, &name, &name, dataset).await;
        assert_eq!(reason(&dataset, "Ready"), "Available");
        let id = dataset.status.unwrap().dataset_id.unwrap();
        let ledger = tenant.simulator.ledger().await;
        let datasets = ledger["datasets"].as_array().unwrap();
        // The first is the one that was there before.
        assert_eq!(datasets.len(), 2);
        assert_eq!(datasets[1]["id"], id.as_str());
    })
    .await;
}

/// Creates a dataset, and waits until it is there or wrong.
async fn create(world: &World, connection: &str, name: &str, dataset: Value) -> ProfileDataset {
    let spec = json!({ "connectionRef": { "name": connection }, "dataset": dataset });
    world.create::<ProfileDataset>(name, spec).await;
    world
        .until(name, "settled", |dataset: &ProfileDataset| {
            ["Available", "Rejected"].contains(&&*reason(dataset, "Ready"))
        })
        .await
}

/// The switches that this file has cases for.
pub(super) fn covered() -> Vec<Value> {
    let files = switches_of(file_descriptions()).into_iter();
    files.chain(switches_of(replies())).collect()
}
