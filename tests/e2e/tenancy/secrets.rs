//! Which Secrets connections have the operator read: a namespace's own, or, of the cluster's
//! connections, the one that is named.

use aep_export_operator::api::PlatformConnection;
use serde_json::json;

use super::{Shared, message};
use crate::harness::{Simulator, World, reason};

#[tokio::test]
async fn a_connection_of_a_namespace_never_reads_the_secret_that_a_shared_one_uses_elsewhere() {
    let shared = Shared::start(json!({})).await;
    let world = &shared.world;
    let tenant = World::without_operator("tenant").await;
    // The Secret's name is known to the tenant; the namespace is its own, whatever it writes.
    let mut spec = world.connection_spec();
    spec["controllerClass"] = json!(shared.class);
    tenant
        .create::<PlatformConnection>("theft", spec.clone())
        .await;
    let missing = |c: &PlatformConnection| reason(c, "Ready") == "SecretNotFound";
    let told = tenant.until("theft", "without a Secret", missing).await;
    assert!(
        message(&told).contains(&tenant.namespace),
        "{}",
        message(&told)
    );
    assert!(
        !message(&told).contains(&world.namespace),
        "{}",
        message(&told)
    );
    spec["auth"]["oauthServerToServer"]["secretRef"]["namespace"] = json!(world.namespace);
    let manifest = json!({
        "apiVersion": "aep-export.dev/v1alpha1",
        "kind": "PlatformConnection",
        "metadata": { "name": "by-force" },
        "spec": spec,
    });
    let (applied, said) = crate::harness::kubectl(
        &tenant.namespace,
        &["create", "--validate=ignore", "-f", "-"],
        Some(&manifest.to_string()),
    );
    assert!(applied, "{said}");
    let told = tenant.until("by-force", "without a Secret", missing).await;
    assert!(
        !message(&told).contains(&world.namespace),
        "{}",
        message(&told)
    );
    // Of each name one namespace's Secret is watched, and the tenant's is another than the shared.
    let metrics = world.admin_page("/metrics").await;
    let watched = metrics
        .lines()
        .find(|line| line.starts_with("aep_export_operator_kept_entries{of=\"secrets\"}"))
        .unwrap();
    assert!(watched.ends_with(" 2"), "{watched}");
    let _: &Simulator = &tenant.simulator;
}
