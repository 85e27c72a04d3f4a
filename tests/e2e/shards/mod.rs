//! Operators that share the objects by label, each with a lease of its own, and objects that move
//! from one to the other. The simulator's ledger judges.

mod moved;
mod named;

use aep_export_operator::{
    api::{ExportJob, PlatformConnection, ProfileDataset},
    control::shard::Shard,
};
use k8s_openapi::{NamespaceResourceScope, api::rbac::v1::Role};
use kube::Resource;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    harness::{Replica, SHARD, World, conditions, eventually, is},
    samples::JOBS,
};

const LEASE: &str = "aep-export-operator";

/// A request may be on its way for longer than it takes a busy machine to move its object.
const WINDOWS: [&str; 6] = [
    "--send-window",
    "1s",
    "--gateway-window",
    "60s",
    "--visibility-window",
    "1s",
];

/// Two operators: one for the objects with the label `a`, the other for those with `b`.
struct Shards {
    world: World,
    a: Replica,
    b: Replica,
}

impl Shards {
    /// Both lead, each by a lease of its own.
    async fn start(windows: &[&str]) -> Self {
        let world = World::behind_proxy("shards").await;
        let selectors = ["a", "b"].map(|shard| format!("{SHARD}={shard}"));
        permit(&world, &selectors).await;
        let start = |name: &'static str, selector: &str| {
            let flags = ["--leader-elect", "--shard-selector", selector];
            let flags = [&flags, windows].concat().into_iter().map(str::to_owned);
            let (world, flags) = (&world, flags.collect::<Vec<_>>());
            async move {
                let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
                world.start_replica(name, &flags).await
            }
        };
        let a = start("a", &selectors[0]).await;
        let b = start("b", &selectors[1]).await;
        a.until_leads().await;
        b.until_leads().await;
        world.create_credential("aep-credentials").await;
        Self { world, a, b }
    }

    /// The same, with a connection and a dataset in the first shard, and known request ids.
    async fn furnished() -> Self {
        let shards = Self::start(&WINDOWS).await;
        let world = &shards.world;
        let spec = world.connection_spec();
        shards.create::<PlatformConnection>("prod", spec, "a").await;
        let spec = json!({
            "connectionRef": { "name": "prod" },
            "dataset": { "name": "Profile Data Export" },
        });
        shards.create::<ProfileDataset>("profiles", spec, "a").await;
        shards.export("first", "a").await;
        world.until_phase("first", "Succeeded").await;
        let known = |connection: &PlatformConnection| {
            let status = connection.status.as_ref();
            status.and_then(|status| status.echoes_request_id) == Some(true)
        };
        world.until("prod", "known to show ids", known).await;
        shards
    }

    async fn create<K>(&self, name: &str, spec: Value, shard: &str)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Serialize,
    {
        self.world.create::<K>(name, spec).await;
        self.world.give::<K>(name, shard).await;
    }

    /// An export into `profiles`.
    async fn export(&self, name: &str, shard: &str) {
        let spec = crate::harness::export_into("profiles");
        self.create::<ExportJob>(name, spec, shard).await;
    }

    /// Gives the export `one` to the second shard, with what it uses.
    async fn hand_over(&self) {
        self.world.give::<PlatformConnection>("prod", "b").await;
        self.world.give::<ProfileDataset>("profiles", "b").await;
        self.world.give::<ExportJob>("one", "b").await;
    }

    /// Waits until so many exports are followed by the first and the second operator.
    async fn until_followed(&self, by_a: u64, by_b: u64) {
        eventually("the exports to be followed", || async {
            let followed = (
                self.a.metric("exports_followed").await,
                self.b.metric("exports_followed").await,
            );
            if followed == (by_a, by_b) {
                Ok(())
            } else {
                Err(format!("{followed:?}"))
            }
        })
        .await;
    }

    /// How many exports each has seen end.
    async fn ended(&self) -> (u64, u64) {
        let name = "exports_ended_total";
        (self.a.metric(name).await, self.b.metric(name).await)
    }

    /// Each request made one job, and there were so many of both.
    async fn assert_jobs(&self, count: usize) {
        assert_eq!(self.world.simulator.posts().await.len(), count);
        assert_eq!(self.world.simulator.jobs().await.len(), count);
    }
}

/// Lets the operators have the leases of these shards.
async fn permit(world: &World, selectors: &[String]) {
    let names = selectors.iter().map(|text| {
        let shard: Shard = text.parse().unwrap();
        shard.lease(LEASE)
    });
    let rule = |verbs: Value, names: Vec<String>| {
        json!({
            "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
            "verbs": verbs, "resourceNames": names,
        })
    };
    let rules = json!({ "rules": [
        rule(json!(["create"]), Vec::new()),
        rule(json!(["get", "update"]), names.collect()),
    ] });
    let election = "aep-export-operator-leader-election";
    world.patch::<Role>(election, rules).await.unwrap();
}

/// Lets every job end well.
async fn finish_all(world: &World) {
    let defaults = json!({ "outcome": "succeed" });
    world.simulator.put("defaults", defaults).await;
    for job in world.simulator.jobs().await {
        if job["status"] == "NEW" || job["status"] == "PROCESSING" {
            let end = json!({ "outcome": "release", "finishNow": true });
            let path = format!("jobs/{}", job["id"]);
            world.simulator.put(&path, end).await;
        }
    }
}

fn is_ready<K: Serialize>(object: &K) -> bool {
    is(&conditions(object), "Ready", "True")
}
