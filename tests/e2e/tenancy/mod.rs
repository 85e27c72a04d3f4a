//! Connections that namespaces share, and operators that share a cluster.
//!
//! An operator that sees all of the cluster sees the objects of all tests. It serves a class that is
//! its test's alone, so that it touches none of the others.

mod classes;
mod deletion;
mod revoked;
mod secrets;
mod selector;
mod shards;
mod single;
mod states;

use aep_export_operator::api::{ClusterPlatformConnection, ExportJob, ProfileDataset};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::harness::{SHARD, World, condition, reason, until};

/// A tenant, a shared connection to it of this test's class, and an operator of that class.
struct Shared {
    world: World,
    class: String,
    /// The connection's name.
    name: String,
}

impl Shared {
    /// The namespace of this test may use the connection if this selector selects it.
    async fn start(selector: Value) -> Self {
        Self::start_with(selector, Value::Null, &[]).await
    }

    /// A connection that all may use, of a shard, with an operator for that.
    async fn of_shard(shard: &str) -> Self {
        let selector = format!("{SHARD}={shard}");
        let labels = json!({ SHARD: shard });
        Self::start_with(json!({}), labels, &["--shard-selector", &selector]).await
    }

    async fn start_with(selector: Value, labels: Value, flags: &[&str]) -> Self {
        let (mut world, class) = World::of_cluster("tenancy").await;
        world.start_operator(flags).await;
        world.create_credential("aep-credentials").await;
        let name = world.namespace.clone();
        let shared = Self { world, class, name };
        shared.create(selector, labels).await;
        shared
    }

    /// Creates the connection, with these labels, and waits until it is ready.
    async fn create(&self, selector: Value, labels: Value) {
        let Self { world, class, name } = self;
        let mut spec = world.connection_spec();
        spec["auth"]["oauthServerToServer"]["secretRef"]["namespace"] = json!(world.namespace);
        spec["controllerClass"] = json!(class);
        if !selector.is_null() {
            spec["namespaceSelector"] = selector;
        }
        let object = json!({
            "apiVersion": "aep-export.dev/v1alpha1",
            "kind": "ClusterPlatformConnection",
            "metadata": { "name": name, "labels": labels },
            "spec": spec,
        });
        let object = serde_json::from_value(object).unwrap();
        let params = PostParams::default();
        self.connections().create(&params, &object).await.unwrap();
        self.until("Ready", |c| reason(c, "Ready") == "Verified")
            .await;
    }

    fn connections(&self) -> Api<ClusterPlatformConnection> {
        Api::all(self.world.client.clone())
    }

    async fn until(
        &self,
        what: &str,
        wanted: impl Fn(&ClusterPlatformConnection) -> bool,
    ) -> ClusterPlatformConnection {
        let log = || self.world.log();
        until(&self.connections(), &self.name, what, wanted, log).await
    }

    /// Selects other namespaces from now on; null: none.
    async fn select(&self, selector: Value) {
        self.edit(json!({ "namespaceSelector": null })).await;
        if !selector.is_null() {
            self.edit(json!({ "namespaceSelector": selector })).await;
        }
    }

    /// Merges something into the connection's spec.
    async fn edit(&self, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let params = PatchParams::default();
        let edited = self.connections().patch(&self.name, &params, &patch).await;
        edited.unwrap();
    }

    /// Sets labels of this test's namespace.
    async fn label(&self, labels: Value) {
        let namespaces: Api<Namespace> = Api::all(self.world.client.clone());
        let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
        let name = &self.world.namespace;
        let params = PatchParams::default();
        namespaces.patch(name, &params, &patch).await.unwrap();
    }

    /// A reference to the connection.
    fn reference(&self) -> Value {
        json!({ "kind": "ClusterPlatformConnection", "name": self.name })
    }

    /// The dataset `profiles` by the shared connection.
    async fn dataset(&self) {
        let spec = json!({
            "connectionRef": self.reference(),
            "dataset": { "name": "Profile Data Export" },
        });
        self.world.create::<ProfileDataset>("profiles", spec).await;
    }

    /// Waits until the dataset `profiles` stands so.
    async fn until_dataset(&self, wanted: &'static str) -> ProfileDataset {
        let stands = |d: &ProfileDataset| reason(d, "Ready") == wanted;
        self.world.until("profiles", wanted, stands).await
    }

    /// Waits until an export stands so.
    async fn until_export(&self, name: &str, wanted: &'static str) -> ExportJob {
        let stands = |e: &ExportJob| reason(e, "Ready") == wanted;
        self.world.until(name, wanted, stands).await
    }

    /// Lets an export end well, now.
    async fn end(&self, name: &str) {
        end(&self.world, name).await;
    }
}

/// A team's label, which a selector asks for.
fn team(name: &str) -> Value {
    json!({ "matchLabels": { "tenancy.example/team": name } })
}

/// Lets an export end well, now.
async fn end(world: &World, name: &str) {
    let job = world.get(name).await.status.unwrap().job_id.unwrap();
    let end = json!({ "outcome": "release", "finishNow": true });
    world.simulator.put(&format!("jobs/{job}"), end).await;
}

fn message<K: Serialize>(object: &K) -> String {
    condition(object, "Ready").unwrap().message
}

/// Who wrote to an object: the field managers.
fn managers<K>(object: &K) -> Vec<String>
where
    K: kube::Resource + DeserializeOwned,
{
    let fields = object.managed_fields().iter();
    let mut managers: Vec<String> = fields.filter_map(|field| field.manager.clone()).collect();
    managers.sort();
    managers.dedup();
    managers
}
