//! T1: what an object names, it names in its own namespace.

use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use serde_json::json;

use super::{CREDENTIAL, IMS, two_namespaces, until_reason};
use crate::harness::{World, export_into, kubectl, reason};

/// Creates a connection as somebody does who turns off what kubectl checks by itself.
fn apply_unchecked(world: &World, name: &str, secret: &serde_json::Value) -> (bool, String) {
    let mut spec = world.connection_spec();
    spec["auth"]["oauthServerToServer"]["secretRef"] = secret.clone();
    let manifest = json!({
        "apiVersion": "aep-export.dev/v1alpha1",
        "kind": "PlatformConnection",
        "metadata": { "name": name },
        "spec": spec,
    });
    let args = ["apply", "--validate=ignore", "-f", "-"];
    kubectl(&world.namespace, &args, Some(&manifest.to_string()))
}

#[tokio::test]
async fn a_connection_finds_no_secret_of_another_namespace_however_it_names_it() {
    let (other, world) = two_namespaces("confused").await;
    other.create_secret("aep-credentials", &CREDENTIAL).await;
    // By its name alone, with a namespace beside it, and with one in the name.
    let plain = json!({ "name": "aep-credentials" });
    let beside = json!({ "name": "aep-credentials", "namespace": other.namespace });
    for (name, secret) in [("plain", &plain), ("beside", &beside)] {
        let (applied, said) = apply_unchecked(&world, name, secret);
        assert!(applied, "{said}");
        let connection = until_reason(&world, name, "SecretNotFound").await;
        let kept = serde_json::to_value(&connection.spec.auth).unwrap();
        let secret = &kept["oauthServerToServer"]["secretRef"];
        assert_eq!(secret, &plain, "nothing else is stored");
    }
    let inside = format!("{}/aep-credentials", other.namespace);
    for name in [inside.as_str(), "../aep-credentials", "a,metadata.name=b"] {
        let (applied, said) = apply_unchecked(&world, "inside", &json!({ "name": name }));
        assert!(!applied && said.contains("Secret's name"), "{said}");
    }
    assert_eq!(world.simulator.calls("POST", IMS).await.len(), 0);
    // The one beside it is found all the same.
    world.create_secret("aep-credentials", &CREDENTIAL).await;
    for name in ["plain", "beside"] {
        until_reason(&world, name, "Verified").await;
    }
}

#[tokio::test]
async fn an_export_finds_no_connection_and_no_dataset_of_another_namespace() {
    let (other, world) = two_namespaces("borrowed").await;
    let spec = world.connection_spec();
    other.create_secret("aep-credentials", &CREDENTIAL).await;
    other.create::<PlatformConnection>("prod", spec).await;
    until_reason(&other, "prod", "Verified").await;
    let dataset = json!({
        "connectionRef": { "name": "prod" },
        "dataset": { "name": "Profile Data Export" },
    });
    other
        .create::<ProfileDataset>("profiles", dataset.clone())
        .await;
    let ready = |d: &ProfileDataset| reason(d, "Ready") == "Available";
    other.until("profiles", "Ready", ready).await;
    // The same names, here.
    world
        .create::<ExportJob>("by-dataset", export_into("profiles"))
        .await;
    let by_id = json!({
        "connectionRef": { "name": "prod" },
        "export": { "destination": { "datasetId": other.dataset_id("profiles").await } },
    });
    world.create::<ExportJob>("by-id", by_id).await;
    world.create::<ProfileDataset>("mine", dataset).await;
    for (name, wanted) in [
        ("by-dataset", "DatasetNotFound"),
        ("by-id", "ConnectionNotFound"),
    ] {
        let waits = |e: &ExportJob| reason(e, "Ready") == wanted;
        world.until(name, wanted, waits).await;
    }
    let waits = |d: &ProfileDataset| reason(d, "Ready") == "ConnectionNotFound";
    world.until("mine", "waiting", waits).await;
    assert_eq!(world.simulator.posts().await.len(), 0);
}
