//! What somebody with rights in one namespace, or in the network, cannot make of the operator: the
//! threats of `docs/security.md`.

mod canary;
mod forged;
mod hosts;
mod rights;
mod secrets;
mod shared;

use aep_export_operator::api::PlatformConnection;
use serde_json::{Value, json};

use crate::{
    harness::{World, reason},
    samples::Tenant,
};

const IMS: &str = "/ims/token/v3";
const JOBS: &str = "/data/core/ups/export/jobs";

/// The credential that every tenant knows.
const CREDENTIAL: [(&str, &str); 2] = [
    ("client_id", "demo-client"),
    ("client_secret", "demo-secret"),
];

/// Another namespace, and one with an operator that serves both and has its rights in all of them.
/// (In this order the operator ends first.)
async fn two_namespaces(name: &str) -> (World, World) {
    let mut world = World::without_operator(name).await;
    world.live_elsewhere().await;
    let other = World::without_operator(name).await;
    world
        .start_operator(&["--watch-namespaces", &other.namespace])
        .await;
    (other, world)
}

/// Waits until a connection says this of itself.
async fn until_reason(world: &World, name: &str, wanted: &str) -> PlatformConnection {
    world
        .until(name, wanted, |c: &PlatformConnection| {
            reason(c, "Ready") == wanted
        })
        .await
}

/// Every call that a tenant got.
async fn seen(tenant: &Tenant) -> Value {
    tenant.simulator.ledger().await["requests"].clone()
}

/// A connection's spec with other endpoints.
fn at(world: &World, platform: &str, ims: &str) -> Value {
    let mut spec = world.connection_spec();
    spec["endpoints"] = json!({ "platform": platform, "ims": ims });
    spec
}
