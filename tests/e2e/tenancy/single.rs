//! An operator of single namespaces, which sees no connections of the cluster.

use aep_export_operator::api::{ExportJob, ProfileDataset};
use serde_json::json;

use super::message;
use crate::harness::{World, export_into, reason, true_conditions};

#[tokio::test]
async fn an_operator_of_single_namespaces_says_that_it_serves_no_shared_connection() {
    let mut world = World::without_operator("single").await;
    // Its account has no right to anything of the cluster but kube-system's name.
    world.start_operator(&[]).await;
    let spec = json!({
        "connectionRef": { "kind": "ClusterPlatformConnection", "name": "shared" },
        "dataset": { "name": "Profile Data Export" },
    });
    world.create::<ProfileDataset>("profiles", spec).await;
    let told = |d: &ProfileDataset| reason(d, "Ready") == "ClusterConnectionsNotServed";
    let dataset = world.until("profiles", "told", told).await;
    assert_eq!(true_conditions(&dataset), ["Stalled"]);
    for word in ["--watch-namespaces", "use", "PlatformConnection"] {
        let said = message(&dataset).to_lowercase();
        assert!(said.contains(&word.to_lowercase()), "{said}");
    }
    let by_id = json!({
        "connectionRef": { "kind": "ClusterPlatformConnection", "name": "shared" },
        "export": { "destination": { "datasetId": "5b02" } },
    });
    world.create::<ExportJob>("by-id", by_id).await;
    let told = |e: &ExportJob| reason(e, "Ready") == "ClusterConnectionsNotServed";
    world.until("by-id", "told", told).await;
    world
        .create::<ExportJob>("through", export_into("profiles"))
        .await;
    let told = |e: &ExportJob| reason(e, "Ready") == "DatasetStalled";
    world.until("through", "told", told).await;
    assert!(
        world.simulator.ledger().await["requests"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert!(!world.log().contains("Forbidden"), "{}", world.log());
    // What never began is deleted at once.
    world.delete::<ExportJob>("by-id").await;
    world.until_gone::<ExportJob>("by-id").await;
}
