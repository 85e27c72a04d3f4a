//! Who may use a connection that namespaces share.

use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use serde_json::{Value, json};

use super::{Shared, message, team};
use crate::harness::{
    World, condition, conditions, export_into, is, kubectl, reason, true_conditions,
};

#[tokio::test]
async fn without_a_selector_nobody_may_use_a_shared_connection_and_all_may_by_an_empty_one() {
    let shared = Shared::start(Value::Null).await;
    let world = &shared.world;
    shared.dataset().await;
    let by_id = json!({
        "connectionRef": shared.reference(),
        "export": { "destination": { "datasetId": "5b020a27e7040801dedba61b" } },
    });
    world.create::<ExportJob>("by-id", by_id).await;
    let dataset = shared.until_dataset("NamespaceNotAllowed").await;
    assert_eq!(true_conditions(&dataset), ["Stalled"]);
    let export = shared.until_export("by-id", "NamespaceNotAllowed").await;
    assert_eq!(true_conditions(&export), ["Stalled"]);
    assert!(export.status.as_ref().unwrap().connection.is_none());
    for said in [message(&dataset), message(&export)] {
        assert!(
            said.contains("namespaceSelector does not select it"),
            "{said}"
        );
        assert!(!said.contains("aep-credentials"), "{said}");
    }
    let note = world.event("profiles", "NamespaceNotAllowed").await;
    assert!(!note.contains("aep-credentials"), "{note}");
    assert!(
        world
            .simulator
            .calls("GET", "/data/foundation/catalog")
            .await
            .is_empty()
    );
    shared.select(json!({})).await;
    shared.until_dataset("Available").await;
    world.delete::<ExportJob>("by-id").await;
    world.export("export").await;
    let export = world.until_phase("export", "Succeeded").await;
    let record = export.status.unwrap().connection.unwrap();
    assert_eq!(record.kind, "ClusterPlatformConnection");
    assert_eq!(record.name, shared.name);
    assert_eq!(record.controller_class, Some(shared.class.clone()));
    assert_eq!(world.simulator.posts().await.len(), 1);
}

#[tokio::test]
async fn a_namespace_may_use_a_shared_connection_while_its_labels_are_selected() {
    let shared = Shared::start(team("marketing")).await;
    let world = &shared.world;
    shared.dataset().await;
    let told = shared.until_dataset("NamespaceNotAllowed").await;
    assert!(!message(&told).contains("marketing"), "{}", message(&told));
    let labels = |team| json!({ "tenancy.example/team": team });
    shared.label(labels(json!("marketing"))).await;
    shared.until_dataset("Available").await;
    world.export("first").await;
    world.until_phase("first", "Succeeded").await;
    shared.label(labels(json!("sales"))).await;
    shared.until_dataset("NamespaceNotAllowed").await;
    world.export("second").await;
    shared.until_export("second", "DatasetStalled").await;
    let not_sales = json!({ "matchExpressions": [
        { "key": "tenancy.example/team", "operator": "NotIn", "values": ["marketing"] },
    ] });
    shared.select(not_sales).await;
    world.until_phase("second", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 2);
}

#[tokio::test]
async fn two_connections_of_one_name_one_of_each_kind_are_never_taken_for_each_other() {
    let shared = Shared::start(json!({})).await;
    let world = &shared.world;
    let mut spec = world.connection_spec();
    spec["sandbox"] = json!("dev");
    spec["controllerClass"] = json!(shared.class);
    world.create::<PlatformConnection>(&shared.name, spec).await;
    let told = |c: &PlatformConnection| condition(c, "Ready").is_some();
    world.until(&shared.name, "looked at", told).await;
    shared.dataset().await;
    shared.until_dataset("Available").await;
    let spec = json!({
        "connectionRef": { "name": shared.name },
        "dataset": { "name": "Of its own" },
    });
    world.create::<ProfileDataset>("own", spec).await;
    let settled = |d: &ProfileDataset| condition(d, "Ready").is_some();
    let own = world.until("own", "looked at", settled).await;
    world.export("export").await;
    let export = world.until_phase("export", "Succeeded").await;
    let record = export.status.unwrap().connection.unwrap();
    assert_eq!(
        (record.kind.as_str(), record.sandbox.as_deref()),
        ("ClusterPlatformConnection", Some("prod"))
    );
    // The one of the namespace goes, and the shared one serves on.
    world.delete::<PlatformConnection>(&shared.name).await;
    world.until_gone::<PlatformConnection>(&shared.name).await;
    world.export("after").await;
    world.until_phase("after", "Succeeded").await;
    if let Some(record) = own.status.and_then(|status| status.connection) {
        assert_eq!(record.kind, "PlatformConnection");
    }
    let profiles: ProfileDataset = world.api().get("profiles").await.unwrap();
    assert!(is(&conditions(&profiles), "Ready", "True"));
}

#[tokio::test]
async fn one_credential_in_connections_of_both_kinds_has_one_budget_and_the_lowest_holds() {
    let shared = Shared::start(json!({})).await;
    let world = &shared.world;
    let mut spec = world.connection_spec();
    spec["controllerClass"] = json!(shared.class);
    spec["budget"] = json!({ "requestsPerMinute": 600, "maxRunningExports": 1 });
    world.create::<PlatformConnection>("own", spec).await;
    let ready = |c: &PlatformConnection| is(&conditions(c), "Ready", "True");
    world.until("own", "Ready", ready).await;
    world.simulator.hold_jobs().await;
    shared.dataset().await;
    shared.until_dataset("Available").await;
    let spec = json!({ "connectionRef": { "name": "own" }, "dataset": { "name": "Own" } });
    world.create::<ProfileDataset>("own", spec).await;
    let ready = |d: &ProfileDataset| is(&conditions(d), "Ready", "True");
    world.until("own", "Ready", ready).await;
    world.export("by-shared").await;
    world.until_phase("by-shared", "Running").await;
    world
        .create::<ExportJob>("by-own", export_into("own"))
        .await;
    shared.until_export("by-own", "WaitingForSlot").await;
    shared.end("by-shared").await;
    world.until_phase("by-own", "Running").await;
    shared.end("by-own").await;
    world.until_phase("by-own", "Succeeded").await;
}

#[tokio::test]
async fn a_shared_connection_that_is_wrong_says_why_itself_and_to_nobody_who_uses_it() {
    let shared = Shared::start(json!({})).await;
    let world = &shared.world;
    let keys = json!({ "data": { "client_secret": null } });
    let secrets = world.patch::<k8s_openapi::api::core::v1::Secret>("aep-credentials", keys);
    secrets.await.unwrap();
    let connection = shared
        .until("wrong", |c| reason(c, "Ready") == "SecretKeyInvalid")
        .await;
    assert!(message(&connection).contains("aep-credentials"));
    shared.dataset().await;
    let dataset = shared.until_dataset("ConnectionStalled").await;
    let said = message(&dataset);
    assert!(!said.contains("aep-credentials"), "{said}");
    assert!(said.contains("ask who keeps it"), "{said}");
}

#[tokio::test]
async fn the_example_of_a_shared_connection_works_once_its_placeholders_are_filled_in() {
    let (mut world, class) = World::of_cluster("example").await;
    world.start_operator(&[]).await;
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/cluster-connection.yaml"
    );
    let example = std::fs::read_to_string(file).unwrap();
    let url = world.simulator.url();
    let own = format!(
        "  controllerClass: {class}\n  endpoints: {{platform: '{url}', ims: '{url}'}}\n  sandbox: prod"
    );
    let manifest = example
        .replace("{CLIENT_ID}", "demo-client")
        .replace("{CLIENT_SECRET}", "demo-secret")
        .replace("  sandbox: prod\n  #", &format!("{own}\n  #"))
        .replace("name: prod\n", &format!("name: {}\n", world.namespace))
        .replace(
            "namespace: aep-platform",
            &format!("namespace: {}", world.namespace),
        )
        .replace(
            "namespace: marketing",
            &format!("namespace: {}", world.namespace),
        );
    let args = ["apply", "-f", "-"];
    let (applied, said) = kubectl(&world.namespace, &args, Some(&manifest));
    assert!(applied, "{said}\n{manifest}");
    let refused = |d: &ProfileDataset| reason(d, "Ready") == "NamespaceNotAllowed";
    world.until("weekly-profiles", "refused", refused).await;
    let label = "aep-export.dev/sandbox=prod";
    world.kubectl(&["label", "namespace", &world.namespace, label]);
    let ready = |d: &ProfileDataset| is(&conditions(d), "Ready", "True");
    world.until("weekly-profiles", "Ready", ready).await;
    // But for the Secret, whose values the API server encodes.
    let (_, objects) = manifest.split_once("\n---\n").unwrap();
    let args = ["diff", "-f", "-"];
    let (same, said) = kubectl(&world.namespace, &args, Some(objects));
    assert!(same && said.is_empty(), "{said}");
}
