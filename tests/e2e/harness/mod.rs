//! What every test stands on.

pub mod cluster;
mod events;
mod operator;
mod plane;
pub mod proxy;
pub mod replica;
mod said;
pub mod simulator;
mod through;
mod wait;

use std::{collections::BTreeMap, path::PathBuf};

use aep_control_plane::{Guarded, shared};
use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use cluster::{admin, documents, install_crd, kubectl};
pub use plane::OwnPlane;
pub use replica::Replica;
pub use said::{condition, conditions, is, is_held, outcome, reason, says, true_conditions};
pub use simulator::Simulator;
pub use through::SHORT_WINDOWS;
pub use wait::{LONG, eventually, until, within};

/// The organisation of every simulated tenant.
pub const ORGANIZATION: &str = "745F37C35E4B776E0A49421B@AdobeOrg";

/// The label that tells shards apart.
pub const SHARD: &str = "aep-export.dev/shard";

/// A namespace with a simulated tenant, and an operator for it once one is started.
pub struct World {
    /// The API server, as an administrator.
    pub client: Client,
    /// The namespace of this test.
    pub namespace: String,
    /// The tenant of this test.
    pub simulator: Simulator,
    proxy: Option<proxy::Proxy>,
    plane: Option<OwnPlane>,
    operator: Option<Guarded>,
    flags: Vec<String>,
    kubeconfig: PathBuf,
    admin_port: u16,
    directory: TempDir,
    /// The namespace of the operator's account, if it is another one.
    home: Option<String>,
    /// The class of an operator that sees all of the cluster; none: it sees this namespace.
    class: Option<String>,
}

impl World {
    /// With an operator.
    pub async fn start(name: &str) -> Self {
        let mut world = Self::without_operator(name).await;
        world.start_operator(&[]).await;
        world
    }

    /// Without an operator.
    pub async fn without_operator(name: &str) -> Self {
        let client = admin().await;
        Self::at(name, client, shared().unwrap().server()).await
    }

    /// Without an operator; one that is started asks for more than it may. Its account is one of
    /// its own: what others ask for shows that their rights are enough.
    pub async fn asking_too_much(name: &str) -> Self {
        let client = admin().await;
        Self::of(name, client, shared().unwrap().server(), "stranger").await
    }

    /// Without an operator, at an API server with CRDs and roles.
    async fn at(name: &str, client: Client, server: &str) -> Self {
        Self::of(name, client, server, "operator").await
    }

    async fn of(name: &str, client: Client, server: &str, account: &str) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("aep-e2e-")
            .tempdir()
            .unwrap();
        let namespace = cluster::namespace(&client, name).await;
        let kubeconfig = directory.path().join("operator.kubeconfig");
        cluster::account(&client, (server, &namespace), account, &kubeconfig).await;
        let simulator = Simulator::start(directory.path()).await;
        Self {
            client,
            namespace,
            simulator,
            proxy: None,
            plane: None,
            operator: None,
            flags: Vec::new(),
            kubeconfig,
            admin_port: 0,
            directory,
            home: None,
            class: None,
        }
    }

    /// Without an operator; those that are started see all of the cluster, and serve what uses the
    /// connections of a class that is this test's alone. Gives that.
    pub async fn of_cluster(name: &str) -> (Self, String) {
        let mut world = Self::without_operator(name).await;
        world.live_elsewhere().await;
        let class = world.namespace.clone();
        world.class = Some(class.clone());
        (world, class)
    }

    /// Has operators run under an account of another namespace, as they do in a cluster, and gives
    /// its name: that account does not go with the namespace of this test.
    pub async fn live_elsewhere(&mut self) -> String {
        let server = shared().unwrap().server();
        let home = cluster::home(&self.client, server, &self.kubeconfig).await;
        self.home = Some(home.clone());
        home
    }

    /// The objects of a kind in this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates an object from its spec.
    pub async fn create<K>(&self, name: &str, spec: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Serialize,
    {
        create(&self.api(), name, spec).await
    }

    /// Merges something into a status, as who has the right to may.
    pub async fn write_status<K>(&self, name: &str, status: Value)
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let patch = Patch::Merge(json!({ "status": status }));
        let params = PatchParams::default();
        let api = self.api::<K>();
        api.patch_status(name, &params, &patch).await.unwrap();
    }

    /// Creates a Secret with the credential of every simulated tenant.
    pub async fn create_credential(&self, name: &str) {
        let values = [
            ("client_id", "demo-client"),
            ("client_secret", "demo-secret"),
        ];
        self.create_secret(name, &values).await;
    }

    /// Creates a Secret.
    pub async fn create_secret(&self, name: &str, values: &[(&str, &str)]) {
        let values: BTreeMap<_, _> = values
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        let secret = Secret {
            metadata: kube::api::ObjectMeta {
                name: Some(name.into()),
                ..Default::default()
            },
            string_data: Some(values),
            ..Secret::default()
        };
        self.api::<Secret>()
            .create(&PostParams::default(), &secret)
            .await
            .unwrap();
    }

    /// Creates the Secret and the connection `prod`, and waits until it is ready.
    pub async fn connect(&self) {
        self.create_credential("aep-credentials").await;
        self.create::<PlatformConnection>("prod", self.connection_spec())
            .await;
        self.until::<PlatformConnection>("prod", "Ready", |c| is(&conditions(c), "Ready", "True"))
            .await;
    }

    /// The spec of a connection to this test's tenant.
    pub fn connection_spec(&self) -> Value {
        json!({
            "organizationId": ORGANIZATION,
            "sandbox": "prod",
            "auth": { "oauthServerToServer": { "secretRef": { "name": "aep-credentials" } } },
            "endpoints": { "platform": self.platform_url(), "ims": self.platform_url() },
            // What binds is set by the tests that are about it.
            "budget": { "requestsPerMinute": 100_000, "maxRunningExports": 1_000 },
        })
    }

    /// A tenant with a connection, and the dataset `profiles` in it.
    pub async fn furnish(&self) -> String {
        self.connect().await;
        self.create::<ProfileDataset>(
            "profiles",
            json!({
                "connectionRef": { "name": "prod" },
                "dataset": { "name": "Profile Data Export" },
            }),
        )
        .await;
        let dataset = self
            .until::<ProfileDataset>("profiles", "Ready", |d| is(&conditions(d), "Ready", "True"))
            .await;
        dataset.status.unwrap().dataset_id.unwrap()
    }

    /// Has the connection `prod` checked anew, which wakes all that use it.
    pub async fn connect_again(&self) {
        let checks = || async {
            self.simulator
                .calls("GET", "/data/foundation/sandbox")
                .await
                .len()
        };
        let before = checks().await;
        let again = json!({ "stringData": { "client_secret": "demo-secret\n" } });
        self.patch::<Secret>("aep-credentials", again)
            .await
            .unwrap();
        let scopes =
            json!({ "spec": { "auth": { "oauthServerToServer": { "scopes": ["openid"] } } } });
        self.patch::<PlatformConnection>("prod", scopes)
            .await
            .unwrap();
        eventually("another check", || async {
            if checks().await > before {
                Ok(())
            } else {
                Err("none".to_owned())
            }
        })
        .await;
    }

    /// An export as it is now.
    pub async fn get(&self, name: &str) -> ExportJob {
        self.api::<ExportJob>().get(name).await.unwrap()
    }

    /// The id of the dataset of a `ProfileDataset`.
    pub async fn dataset_id(&self, name: &str) -> String {
        let dataset = self.api::<ProfileDataset>().get(name).await.unwrap();
        dataset.status.unwrap().dataset_id.unwrap()
    }

    /// Every write to an export since it was created, by who made it; read from a watch that
    /// begins there.
    pub async fn writes_to(&self, name: &str, created: &ExportJob) -> Vec<String> {
        use futures::TryStreamExt;
        use kube::api::{WatchEvent, WatchParams};
        let params = WatchParams::default()
            .fields(&format!("metadata.name={name}"))
            .timeout(1);
        let version = created.resource_version().unwrap();
        let api = self.api::<ExportJob>();
        let events: Vec<_> = api
            .watch(&params, &version)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        let write = |event| match event {
            WatchEvent::Modified(export) => {
                let export: ExportJob = export;
                let status = export
                    .status
                    .as_ref()
                    .and_then(|status| status.phase.clone());
                Some(format!("{:?} {status:?}", export.resource_version()))
            }
            _ => None,
        };
        events.into_iter().filter_map(write).collect()
    }

    /// Creates an export into `profiles`.
    pub async fn export(&self, name: &str) -> ExportJob {
        self.create(name, export_into("profiles")).await
    }

    /// Waits until an object is as wanted.
    pub async fn until<K>(&self, name: &str, what: &str, wanted: impl Fn(&K) -> bool) -> K
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Serialize
            + Send
            + 'static,
    {
        until(&self.api::<K>(), name, what, wanted, || self.log()).await
    }

    /// Waits until an export is in a phase.
    pub async fn until_phase(&self, name: &str, phase: &str) -> ExportJob {
        self.until(name, phase, |export: &ExportJob| {
            export.status.as_ref().and_then(|s| s.phase.as_deref()) == Some(phase)
        })
        .await
    }

    /// Deletes an object, and does not wait.
    pub async fn delete<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        self.api::<K>()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Gives an object to a shard, by its label.
    pub async fn give<K>(&self, name: &str, shard: &str)
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let labels = json!({ "metadata": { "labels": { SHARD: shard } } });
        self.patch::<K>(name, labels).await.unwrap();
    }

    /// Merges a patch into an object.
    pub async fn patch<K>(&self, name: &str, patch: Value) -> Result<K, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        self.api::<K>()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
    }

    /// Takes all finalizers off an object, as a person does who knows what that means.
    pub async fn strip<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let none = json!({ "metadata": { "finalizers": null } });
        match self.patch::<K>(name, none).await {
            Ok(_) => {}
            // It went meanwhile.
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits until an object is gone.
    pub async fn until_gone<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let api = self.api::<K>();
        eventually(&format!("{name} to be gone"), || async {
            match api.get_opt(name).await {
                Ok(None) => Ok(()),
                Ok(Some(object)) => Err(format!("{object:#?}\n{}", self.log())),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// Runs kubectl in this namespace and gives what it printed; it must succeed.
    pub fn kubectl(&self, args: &[&str]) -> String {
        let (success, out) = kubectl(&self.namespace, args, None);
        assert!(success, "kubectl {args:?}:\n{out}");
        out
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the operator's log:\n{}", self.log());
        }
        self.operator = None;
        if self.plane.is_none() {
            cluster::clean_up(&self.namespace);
        }
        if let Some(home) = &self.home {
            cluster::clean_up(home);
        }
    }
}

/// Creates an object from its spec.
pub async fn create<K>(api: &Api<K>, name: &str, spec: Value) -> K
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    let object = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": { "name": name },
        "spec": spec,
    });
    let object: K = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap()
}

/// The spec of an export into a `ProfileDataset`.
pub fn export_into(dataset: &str) -> Value {
    json!({ "export": { "destination": { "datasetRef": { "name": dataset } } } })
}
