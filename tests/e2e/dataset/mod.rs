//! Datasets: created once with the identity of their object, taken up again, kept as their object
//! says, or only read; and deleted by the object's own word only.

mod deletion;
mod drift;
mod finalizer;
mod leaving;
mod owners;

use aep_export_operator::api::{ExportJob, ProfileDataset};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    harness::{World, condition, conditions, eventually, export_into, is, reason, true_conditions},
    samples::DATASETS,
};

const OWNER: &str = "aep-export.dev/owner";
const UID: &str = "aep-export.dev/uid";
const OBJECT: &str = "aep-export.dev/object";
const UNION: &str = "https://ns.adobe.com/xdm/context/profile__union";

fn owned(name: &str) -> Value {
    json!({ "connectionRef": { "name": "prod" }, "dataset": { "name": name } })
}

async fn until_ready(world: &World, name: &str) -> ProfileDataset {
    world
        .until(name, "Ready", |d: &ProfileDataset| {
            is(&conditions(d), "Ready", "True")
        })
        .await
}

async fn until_reason(world: &World, name: &str, wanted: &str) -> ProfileDataset {
    world
        .until(name, wanted, |d: &ProfileDataset| {
            reason(d, "Ready") == wanted
        })
        .await
}

/// A dataset of our own, with these policies.
fn with(policies: &Value) -> Value {
    let mut spec = owned("Profile Data Export");
    for (policy, value) in policies.as_object().unwrap() {
        spec[policy] = value.clone();
    }
    spec
}

/// A tenant with a connection, and the dataset `mine` in it with these policies.
async fn furnished(policies: Value) -> World {
    let world = World::start("dataset").await;
    furnish(&world, policies).await;
    world
}

async fn furnish(world: &World, policies: Value) {
    world.connect().await;
    world
        .create::<ProfileDataset>("mine", with(&policies))
        .await;
    until_ready(world, "mine").await;
}

async fn get(world: &World, name: &str) -> ProfileDataset {
    world.api::<ProfileDataset>().get(name).await.unwrap()
}

/// The datasets that there ever were.
async fn all(world: &World) -> Vec<Value> {
    let ledger = world.simulator.ledger().await;
    ledger["datasets"].as_array().unwrap().clone()
}

/// The only dataset that there ever was.
async fn only(world: &World) -> Value {
    let mut all = all(world).await;
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

/// Somebody changes the only dataset in the Catalog.
async fn change(world: &World, change: impl FnOnce(&mut Value)) {
    let dataset = only(world).await;
    let mut body = dataset["body"].clone();
    change(&mut body);
    let path = format!("datasets/{}", dataset["id"].as_str().unwrap());
    world.simulator.put(&path, json!({ "body": body })).await;
}

/// Asks for a pass now, and waits until it has ended.
async fn reconcile(world: &World, name: &str, request: &str) -> ProfileDataset {
    annotate(world, name, "aep-export.dev/requested-at", request).await;
    world
        .until(name, "reconciled", |d: &ProfileDataset| {
            let status = d.status.as_ref();
            let handled = status.and_then(|s| s.last_handled_reconcile_at.as_deref());
            handled == Some(request)
        })
        .await
}

async fn annotate(world: &World, name: &str, annotation: &str, value: &str) {
    let patch = json!({ "metadata": { "annotations": { annotation: value } } });
    world.patch::<ProfileDataset>(name, patch).await.unwrap();
}

/// Changes the spec.
async fn edit(world: &World, name: &str, spec: Value) {
    world
        .patch::<ProfileDataset>(name, json!({ "spec": spec }))
        .await
        .unwrap();
}

/// How often datasets were called with a method.
async fn calls(world: &World, method: &str) -> usize {
    world.simulator.calls(method, DATASETS).await.len()
}

/// Has the Catalog answer calls with a method so, some times or until told otherwise.
async fn answers(world: &World, method: &str, times: Option<u32>, action: Value) {
    let mut fault = json!({
        "method": method, "path": format!("{DATASETS}*"), "action": action,
    });
    if let Some(times) = times {
        fault["times"] = json!(times);
    }
    world.simulator.fault(fault).await;
}

/// A call that fails is made again, and not at once. (By how much later each time is chance: the
/// bounds of the waits have tests of their own.)
async fn assert_tries_apart(world: &World, method: &str) {
    let tried = eventually("some tries", || async {
        let tried = world.simulator.calls(method, DATASETS).await;
        match tried.len() {
            0..4 => Err(format!("{} tries", tried.len())),
            _ => Ok(tried),
        }
    })
    .await;
    let at = |call: &Value| -> jiff::Timestamp { call["at"].as_str().unwrap().parse().unwrap() };
    for pair in tried.windows(2) {
        let apart = at(&pair[1]).duration_since(at(&pair[0])).as_millis();
        assert!(apart >= 500, "{tried:#?}");
    }
}

fn unavailable() -> Value {
    json!({ "reply": { "status": 503, "body": { "title": "ServiceUnavailable" } } })
}

/// Whether our finalizer is on a dataset.
fn is_held(dataset: &ProfileDataset) -> bool {
    let mut finalizers = dataset.finalizers().iter();
    finalizers.any(|name| name == "aep-export.dev/dataset")
}

/// Starts an export that runs until it is told to end.
async fn run(world: &World, name: &str, dataset: &str) {
    world.simulator.hold_jobs().await;
    world.create::<ExportJob>(name, export_into(dataset)).await;
    world.until_phase(name, "Running").await;
}

/// Ends all jobs.
async fn end_all(world: &World) {
    for job in world.simulator.jobs().await {
        let path = format!("jobs/{}", job["id"]);
        let end = json!({ "outcome": "release", "finishNow": true });
        world.simulator.put(&path, end).await;
    }
}

#[tokio::test]
async fn a_dataset_is_created_once_with_the_tags_of_its_object() {
    let world = World::start("dataset").await;
    world.connect().await;
    world
        .create::<ProfileDataset>("mine", owned("Profile Data Export"))
        .await;
    let dataset = until_ready(&world, "mine").await;
    let status = dataset.status.clone().unwrap();
    assert_eq!(true_conditions(&dataset), ["Ready"]);
    assert_eq!(status.name.as_deref(), Some("Profile Data Export"));
    assert_eq!(status.owned, Some(true));
    assert_eq!(status.schema_ref.unwrap().id, UNION);
    let created = world
        .simulator
        .calls("POST", "/data/foundation/catalog/dataSets")
        .await;
    assert_eq!(created.len(), 1);
    let tags = &created[0]["body"]["tags"];
    let path = tags[OWNER][0].as_str().unwrap();
    assert!(
        path.ends_with(&format!("/{}/mine", world.namespace)),
        "{path}"
    );
    assert_eq!(tags[UID][0], dataset.metadata.uid.as_deref().unwrap());
    assert_eq!(tags[OBJECT][0], format!("{}/mine", world.namespace));
    assert!(!is_held(&dataset), "nothing is to be cleaned up");
}

#[tokio::test]
async fn an_object_of_the_same_name_takes_up_the_dataset_that_the_one_before_left() {
    let world = World::start("dataset").await;
    world.connect().await;
    world.create::<ProfileDataset>("mine", owned("Kept")).await;
    let first = until_ready(&world, "mine").await.status.unwrap().dataset_id;
    world.delete::<ProfileDataset>("mine").await;
    world.until_gone::<ProfileDataset>("mine").await;
    world.create::<ProfileDataset>("mine", owned("Kept")).await;
    let second = until_ready(&world, "mine").await.status.unwrap().dataset_id;
    assert_eq!(first, second);
    let ledger = world.simulator.ledger().await;
    assert_eq!(ledger["datasets"].as_array().unwrap().len(), 1);
    assert!(
        ledger["datasets"][0]["deletedAt"].is_null(),
        "deleting the object deletes no data"
    );
}

#[tokio::test]
async fn a_dataset_that_is_there_is_only_read() {
    let world = World::start("dataset").await;
    world.connect().await;
    let body = json!({ "name": "Theirs", "schemaRef": { "id": UNION, "contentType": "application/vnd.adobe.xed+json;version=1" } });
    world
        .simulator
        .post(
            "datasets",
            json!({ "id": "5b020a27e7040801dedba61b", "body": body }),
        )
        .await;
    let spec =
        json!({ "connectionRef": { "name": "prod" }, "datasetId": "5b020a27e7040801dedba61b" });
    world.create::<ProfileDataset>("theirs", spec).await;
    let dataset = until_ready(&world, "theirs").await;
    assert_eq!(dataset.status.clone().unwrap().owned, Some(false));
    assert_eq!(dataset.status.unwrap().name.as_deref(), Some("Theirs"));
    world
        .create::<ExportJob>("into-theirs", export_into("theirs"))
        .await;
    world.until_phase("into-theirs", "Succeeded").await;
    world
        .until("theirs", "showing its last batch", |d: &ProfileDataset| {
            d.status.as_ref().is_some_and(|s| s.last_batch.is_some())
        })
        .await;
    let writes = world
        .simulator
        .calls("POST", "/data/foundation/catalog")
        .await;
    assert!(writes.is_empty(), "{writes:?}");
}

#[tokio::test]
async fn an_id_that_the_catalog_does_not_know_stalls() {
    let world = World::start("dataset").await;
    world.connect().await;
    let spec =
        json!({ "connectionRef": { "name": "prod" }, "datasetId": "000000000000000000000000" });
    world.create::<ProfileDataset>("none", spec).await;
    let dataset = until_reason(&world, "none", "DatasetMissing").await;
    assert_eq!(true_conditions(&dataset), ["Stalled"]);
}

#[tokio::test]
async fn a_dataset_on_another_schema_stalls_itself_and_every_export_into_it() {
    let world = World::start("dataset").await;
    world.connect().await;
    let body = json!({ "name": "Events", "schemaRef": { "id": "https://ns.adobe.com/x/schemas/events", "contentType": "application/vnd.adobe.xed+json;version=1" } });
    world
        .simulator
        .post(
            "datasets",
            json!({ "id": "5b0000000000000000000001", "body": body }),
        )
        .await;
    let spec =
        json!({ "connectionRef": { "name": "prod" }, "datasetId": "5b0000000000000000000001" });
    world.create::<ProfileDataset>("events", spec).await;
    let dataset = until_reason(&world, "events", "NotOnUnionSchema").await;
    assert_eq!(true_conditions(&dataset), ["Stalled"]);
    let said = condition(&dataset, "Stalled").unwrap().message;
    assert!(said.contains(UNION), "{said}");
    world
        .create::<ExportJob>("through-ref", export_into("events"))
        .await;
    world
        .create::<ExportJob>(
            "direct",
            json!({
                "connectionRef": { "name": "prod" },
                "export": { "destination": { "datasetId": "5b0000000000000000000001" } },
            }),
        )
        .await;
    for (name, wanted) in [
        ("through-ref", "DatasetStalled"),
        ("direct", "NotOnUnionSchema"),
    ] {
        let export: ExportJob = world
            .until(name, wanted, |e: &ExportJob| reason(e, "Stalled") == wanted)
            .await;
        assert_eq!(true_conditions(&export), ["Stalled"]);
    }
    assert!(world.simulator.posts().await.is_empty());
}

#[tokio::test]
async fn a_rejected_dataset_says_what_the_catalog_said_and_is_not_asked_for_again() {
    let world = World::start("dataset").await;
    world.connect().await;
    let body = json!({ "type": "/placeholder/type/uri", "status": 400, "title": "BadRequestError", "detail": "no such format" });
    world
        .simulator
        .fault(json!({
            "method": "POST", "path": "/data/foundation/catalog/dataSets",
            "action": { "reply": { "status": 400, "body": body, "commit": false } },
        }))
        .await;
    world.create::<ProfileDataset>("bad", owned("Bad")).await;
    let dataset = until_reason(&world, "bad", "Rejected").await;
    let said = condition(&dataset, "Stalled").unwrap().message;
    assert!(said.contains("no such format"), "{said}");
    world
        .patch::<ProfileDataset>(
            "bad",
            json!({ "metadata": { "finalizers": ["example.com/look"] } }),
        )
        .await
        .unwrap();
    world.connect_again().await;
    let dataset = until_reason(&world, "bad", "Rejected").await;
    assert!(
        condition(&dataset, "Stalled")
            .unwrap()
            .message
            .contains("no such format")
    );
    assert_eq!(
        world
            .simulator
            .calls("POST", "/data/foundation/catalog")
            .await
            .len(),
        1
    );
    world
        .patch::<ProfileDataset>("bad", json!({ "metadata": { "finalizers": null } }))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lost_reply_to_a_creation_is_settled_by_the_tag_and_not_by_a_second_dataset() {
    let world = World::start("dataset").await;
    world.connect().await;
    world
        .simulator
        .fault(json!({
            "method": "POST", "path": "/data/foundation/catalog/dataSets", "times": 1,
            "action": { "reply": { "status": 503, "body": "lost", "commit": true } },
        }))
        .await;
    world
        .create::<ProfileDataset>("doubt", owned("Doubt"))
        .await;
    let dataset = until_ready(&world, "doubt").await;
    let submission = dataset.status.unwrap().submission.unwrap();
    assert_eq!(
        submission.outcome,
        Some(aep_export_operator::api::SubmissionOutcome::Adopted)
    );
    let ledger = world.simulator.ledger().await;
    assert_eq!(ledger["datasets"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_creation_that_was_not_taken_is_sent_again_after_its_window() {
    let mut world = World::without_operator("dataset").await;
    world
        .start_operator(&[
            "--send-window",
            "500ms",
            "--unacknowledged-window",
            "100ms",
            "--gateway-window",
            "300ms",
            "--visibility-window",
            "500ms",
        ])
        .await;
    world.connect().await;
    world
        .simulator
        .fault(json!({
            "method": "POST", "path": "/data/foundation/catalog/dataSets", "times": 1,
            "action": { "reply": { "status": 503, "body": "dropped", "commit": false } },
        }))
        .await;
    world
        .create::<ProfileDataset>("again", owned("Again"))
        .await;
    until_ready(&world, "again").await;
    assert_eq!(
        world
            .simulator
            .calls("POST", "/data/foundation/catalog")
            .await
            .len(),
        2
    );
    let ledger = world.simulator.ledger().await;
    assert_eq!(ledger["datasets"].as_array().unwrap().len(), 1);
}
