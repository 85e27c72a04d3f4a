//! Real objects in every state, as kstatus and Argo CD read them.

use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::{dataset, edit, end, record::Record};
use crate::{
    contract::kstatus::Kstatus,
    harness::{World, export_into, reason},
};

const CONNECTION: &str = "PlatformConnection";
const DATASET: &str = "ProfileDataset";
const EXPORT: &str = "ExportJob";

async fn create(world: &World, name: &str, more: Value) {
    let mut spec = export_into("profiles");
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    world.create::<ExportJob>(name, spec).await;
}

#[allow(
    clippy::too_many_lines,
    reason = "each state follows from the one before"
)]
#[tokio::test]
async fn kstatus_and_argo_cd_read_real_objects_in_every_state_as_they_are_meant() {
    let mut world = World::without_operator("states").await;
    let record = Record::begin(&world);

    // Nobody has seen them yet.
    world
        .create::<PlatformConnection>("prod", world.connection_spec())
        .await;
    dataset(
        &world,
        "profiles",
        json!({ "dataset": { "name": "Profiles" } }),
    )
    .await;
    create(&world, "good", json!({})).await;
    for (kind, name) in [
        (CONNECTION, "prod"),
        (DATASET, "profiles"),
        (EXPORT, "good"),
    ] {
        record.until(kind, name, "not seen").await;
    }

    // What is missing is waited for, what is wrong is told, and both heal.
    world.simulator.hold_jobs().await;
    world
        .start_operator(&["--connection-recheck", "1s", "--dataset-refresh", "1s"])
        .await;
    record.until(CONNECTION, "prod", "- SecretNotFound").await;
    record
        .until(DATASET, "profiles", "- ConnectionNotReady")
        .await;
    record
        .until(EXPORT, "good", "Pending DatasetNotReady")
        .await;
    let wrong = [("client_id", "demo-client"), ("client_secret", "wrong")];
    world.create_secret("aep-credentials", &wrong).await;
    record.until(CONNECTION, "prod", "- InvalidClient").await;
    record
        .until(DATASET, "profiles", "- ConnectionStalled")
        .await;
    record.until(EXPORT, "good", "Pending DatasetStalled").await;
    let right = json!({ "stringData": { "client_secret": "demo-secret" } });
    world
        .patch::<Secret>("aep-credentials", right)
        .await
        .unwrap();
    world.until_phase("good", "Running").await;
    record.until(DATASET, "profiles", "- Available InUse").await;

    // Exports, to every end.
    create(&world, "suspended", json!({ "suspend": true })).await;
    world.until_phase("suspended", "Suspended").await;
    for name in ["bad", "cancelled", "deleted"] {
        create(&world, name, json!({})).await;
        world.until_phase(name, "Running").await;
    }
    end(&world, "good", "release").await;
    world.until_phase("good", "Succeeded").await;
    end(&world, "bad", "fail").await;
    world.until_phase("bad", "Failed").await;
    edit(&world, "bad", json!({ "deletionPolicy": "Orphan" })).await;
    edit(&world, "cancelled", json!({ "cancel": true })).await;
    world.until_phase("cancelled", "Cancelled").await;

    // What cannot be asked for a moment is not ready for that moment, and nothing worse.
    let down = json!({
        "method": "GET", "path": "/data/foundation/sandbox*",
        "action": { "reply": { "status": 503 } },
    });
    world.simulator.fault(down).await;
    record.until(CONNECTION, "prod", "- Verified shaken").await;
    world.simulator.delete("faults").await;

    // Datasets that differ, and one that is not there.
    let observed = json!({ "dataset": { "name": "Observed" }, "managementPolicy": "Observe" });
    dataset(&world, "observed", observed).await;
    record.until(DATASET, "observed", "- Available").await;
    let id = world.dataset_id("observed").await;
    rename(&world, &id).await;
    record
        .until(DATASET, "observed", "- Available Drifted")
        .await;
    dataset(
        &world,
        "missing",
        json!({ "datasetId": "5b020a27e7040801dedba61b" }),
    )
    .await;
    record.until(DATASET, "missing", "- DatasetMissing").await;

    // What is deleted goes, in the end.
    world.delete::<PlatformConnection>("prod").await;
    world.delete::<ProfileDataset>("profiles").await;
    record.until(CONNECTION, "prod", "deleted").await;
    record.until(DATASET, "profiles", "deleted").await;
    world.delete::<ExportJob>("deleted").await;
    world.until_gone::<ExportJob>("deleted").await;
    record.until(EXPORT, "deleted", "deleted").await;
    let waiting = |e: &ExportJob| reason(e, "Ready") == "Suspended";
    world.until("suspended", "suspended still", waiting).await;

    let states = record.end().await;
    for (state, wanted) in [
        ("PlatformConnection not seen", Kstatus::InProgress),
        ("PlatformConnection - SecretNotFound", Kstatus::InProgress),
        ("PlatformConnection - InvalidClient", Kstatus::Failed),
        ("PlatformConnection - Verified", Kstatus::Current),
        ("PlatformConnection - Verified shaken", Kstatus::InProgress),
        ("PlatformConnection deleted", Kstatus::Terminating),
        ("ProfileDataset not seen", Kstatus::InProgress),
        ("ProfileDataset - ConnectionNotReady", Kstatus::InProgress),
        ("ProfileDataset - ConnectionStalled", Kstatus::Failed),
        ("ProfileDataset - Creating", Kstatus::InProgress),
        ("ProfileDataset - Available", Kstatus::Current),
        ("ProfileDataset - Available InUse", Kstatus::Current),
        ("ProfileDataset - Available Drifted", Kstatus::Current),
        ("ProfileDataset - DatasetMissing", Kstatus::Failed),
        ("ProfileDataset deleted", Kstatus::Terminating),
        ("ExportJob not seen", Kstatus::InProgress),
        ("ExportJob Pending DatasetNotReady", Kstatus::InProgress),
        ("ExportJob Pending DatasetStalled", Kstatus::Failed),
        ("ExportJob Suspended Suspended", Kstatus::InProgress),
        ("ExportJob Submitting Submitting", Kstatus::InProgress),
        ("ExportJob Running Running", Kstatus::InProgress),
        ("ExportJob Succeeded Succeeded", Kstatus::Current),
        ("ExportJob Failed ExportFailed", Kstatus::Failed),
        ("ExportJob Cancelling Cancelling", Kstatus::InProgress),
        ("ExportJob Cancelled Cancelled", Kstatus::Failed),
        ("ExportJob deleted", Kstatus::Terminating),
    ] {
        assert_eq!(states.get(state), Some(&wanted), "{state} of {states:#?}");
    }
}

/// Somebody renames a dataset in the Catalog.
async fn rename(world: &World, id: &str) {
    let all = world.simulator.ledger().await["datasets"].clone();
    let mut datasets = all.as_array().unwrap().iter();
    let it = datasets.find(|dataset| dataset["id"] == id).unwrap();
    let mut body = it["body"].clone();
    body["name"] = json!("Renamed");
    world
        .simulator
        .put(&format!("datasets/{id}"), json!({ "body": body }))
        .await;
}
