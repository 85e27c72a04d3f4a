//! T5: many objects of one namespace, and a credential that others use too.

use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use serde_json::{Value, json};

use super::{CREDENTIAL, two_namespaces, until_reason};
use crate::{
    harness::{World, export_into, reason},
    samples::seed_dataset,
};

const DATASET: &str = "5b020a27e7040801dedba61b";
/// As many as take half a minute by the budget, and more than that with what each needs.
const FLOOD: usize = 60;

async fn connect(world: &World, spec: &Value) {
    world.create_secret("aep-credentials", &CREDENTIAL).await;
    world
        .create::<PlatformConnection>("prod", spec.clone())
        .await;
    until_reason(world, "prod", "Verified").await;
    let dataset = json!({ "connectionRef": { "name": "prod" }, "datasetId": DATASET });
    world.create::<ProfileDataset>("profiles", dataset).await;
    world
        .until("profiles", "Ready", |d: &ProfileDataset| {
            reason(d, "Ready") == "Available"
        })
        .await;
}

/// Two namespaces with the same credential have one budget, and take turns in it.
async fn flood(name: &str, spec: Value) {
    let (other, flooded) = two_namespaces(name).await;
    seed_dataset(&flooded.simulator, DATASET).await;
    let mut shared = flooded.connection_spec();
    shared["budget"] = json!({ "requestsPerMinute": 120, "maxRunningExports": 1_000 });
    connect(&flooded, &shared).await;
    connect(&other, &shared).await;
    // Until it is known that ids are shown, submissions into one dataset go one after the other.
    flooded.create::<ExportJob>("first", spec.clone()).await;
    flooded.until_phase("first", "Succeeded").await;
    let known = |c: &PlatformConnection| {
        let status = c.status.as_ref();
        status.is_some_and(|status| status.echoes_request_id == Some(true))
    };
    flooded.until("prod", "experienced", known).await;
    for number in 0..FLOOD {
        let name = format!("flood-{number}");
        flooded.create::<ExportJob>(&name, spec.clone()).await;
    }
    other.create::<ExportJob>("one", spec).await;
    let posted = |e: &ExportJob| e.status.as_ref().is_some_and(|s| s.job_id.is_some());
    other.until("one", "posted", posted).await;
    let before = flooded.simulator.posts().await.len();
    assert!(
        before < FLOOD / 2,
        "{before} exports were started before it"
    );
    let summary = flooded.simulator.get("summary").await;
    assert_eq!(summary["createdOverOne"], 0, "{summary:#}");
}

#[tokio::test]
async fn a_flood_of_one_namespace_does_not_hold_up_another_with_the_same_credential() {
    flood("flood", export_into("profiles")).await;
}

/// A dataset that is named by its id is looked at before each export into it.
#[tokio::test]
async fn a_flood_of_exports_that_look_at_their_dataset_first_holds_up_no_other_namespace() {
    let by_id = json!({
        "connectionRef": { "name": "prod" },
        "export": { "destination": { "datasetId": DATASET } },
    });
    flood("flood-by-id", by_id).await;
}
