//! What scenes stand on: an API server with the operator's rights, a simulated tenant, objects.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use aep_control_plane::shared;
use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{GetParams, ObjectMeta, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    harness::{
        ORGANIZATION, Simulator, admin,
        cluster::home,
        conditions, is,
        proxy::{Proxy, Server, Verb},
        within,
    },
    operator::Operator,
};

/// How many write at a time.
pub const WRITERS: usize = 16;
/// Longer than anything that a scene waits for takes.
const LONGEST: Duration = Duration::from_mins(30);
/// The field manager with which `kubectl apply` writes.
const KUBECTL: &str = "kubectl-client-side-apply";

/// An API server, a tenant, and a folder that goes with them.
pub struct Fixture {
    pub client: Client,
    pub simulator: Simulator,
    /// The operator's rights, and where the API server is.
    kubeconfig: PathBuf,
    directory: TempDir,
    operators: std::cell::Cell<usize>,
}

/// Connections, counted.
pub struct Connections {
    pub accepted: u64,
    pub open: u64,
    /// The most at a time.
    pub most: u64,
    /// The most requests for an export under way at a time.
    pub posts: u64,
}

impl Fixture {
    /// A tenant whose jobs take so long, by a clock that goes as the machine's does.
    pub async fn new(job: Duration) -> Self {
        let client = admin().await;
        let directory = tempfile::Builder::new()
            .prefix("aep-bench-")
            .tempdir()
            .unwrap();
        let kubeconfig = directory.path().join("operator.kubeconfig");
        home(&client, shared().unwrap().server(), &kubeconfig).await;
        let simulator = Simulator::start(directory.path()).await;
        simulator.put("clock", json!({ "scale": 1 })).await;
        let defaults = json!({ "jobDurationSeconds": job.as_secs_f64() });
        simulator.put("defaults", defaults).await;
        Self {
            client,
            simulator,
            kubeconfig,
            directory,
            operators: std::cell::Cell::new(0),
        }
    }

    /// Starts an operator with more flags, and waits until it is ready.
    pub async fn operator(&self, flags: &[&str]) -> Operator {
        self.start(&self.kubeconfig, flags).await
    }

    /// The same, with its requests to the API server counted on their way.
    pub async fn operator_behind(&self, proxy: &Proxy, flags: &[&str]) -> Operator {
        let text = std::fs::read(&self.kubeconfig).unwrap();
        let mut kubeconfig: Value = serde_json::from_slice(&text).unwrap();
        kubeconfig["clusters"][0]["cluster"] = json!({ "server": proxy.kube_url() });
        let path = self.directory.path().join("proxied.kubeconfig");
        std::fs::write(&path, kubeconfig.to_string()).unwrap();
        self.start(&path, flags).await
    }

    async fn start(&self, kubeconfig: &std::path::Path, flags: &[&str]) -> Operator {
        let number = self.operators.get();
        self.operators.set(number + 1);
        let log = self.directory.path().join(format!("operator-{number}.log"));
        Operator::start(kubeconfig, &log, flags).await
    }

    /// Counts requests to the API server.
    pub async fn proxy(&self) -> Proxy {
        let plane = shared().unwrap();
        let authority = plane.ca_certificate();
        Proxy::start(plane.server(), &authority, self.simulator.url()).await
    }

    /// A namespace, with a connection and datasets that are there once they are ready.
    pub async fn furnish(&self, namespace: &str, budget: Value, datasets: usize) {
        self.namespace(namespace).await;
        let secret: Secret = serde_json::from_value(json!({
            "metadata": { "name": "aep-credentials" },
            "stringData": { "client_id": "demo-client", "client_secret": "demo-secret" },
        }))
        .unwrap();
        self.create(namespace, &secret).await;
        let url = self.simulator.url();
        let connection = PlatformConnection::new(
            "prod",
            serde_json::from_value(json!({
                "organizationId": ORGANIZATION,
                "sandbox": "prod",
                "auth": { "oauthServerToServer": { "secretRef": { "name": "aep-credentials" } } },
                "endpoints": { "platform": url, "ims": url },
            }))
            .unwrap(),
        );
        // As a manifest, so that the benchmark also runs against a version without budgets.
        let mut connection = serde_json::to_value(connection).unwrap();
        connection["spec"]["budget"] = budget;
        let connections: Api<kube::api::DynamicObject> = Api::namespaced_with(
            self.client.clone(),
            namespace,
            &kube::api::ApiResource::erase::<PlatformConnection>(&()),
        );
        let connection = serde_json::from_value(connection).unwrap();
        let params = PostParams::default();
        connections.create(&params, &connection).await.unwrap();
        let names: Vec<String> = (0..datasets).map(dataset).collect();
        stream::iter(&names)
            .for_each_concurrent(WRITERS, |name| async move {
                let spec = json!({
                    "connectionRef": { "name": "prod" },
                    "dataset": { "name": format!("Bench {namespace} {name}") },
                });
                let spec = serde_json::from_value(spec).unwrap();
                self.create(namespace, &ProfileDataset::new(name, spec))
                    .await;
            })
            .await;
        let api: Api<ProfileDataset> = Api::namespaced(self.client.clone(), namespace);
        within(LONGEST, "the datasets to be ready", || async {
            let all = api.list(&kube::api::ListParams::default()).await.unwrap();
            let ready = |dataset: &&ProfileDataset| is(&conditions(*dataset), "Ready", "True");
            let ready = all.iter().filter(ready).count();
            if ready == datasets {
                Ok(())
            } else {
                Err(format!("{ready} are"))
            }
        })
        .await;
    }

    /// A namespace alone.
    pub async fn namespace(&self, name: &str) {
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap();
    }

    async fn create<K>(&self, namespace: &str, object: &K) -> K
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + Serialize
            + DeserializeOwned,
    {
        let params = PostParams {
            field_manager: Some(KUBECTL.to_owned()),
            ..PostParams::default()
        };
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        api.create(&params, object).await.unwrap()
    }

    /// Creates an export as `kubectl apply` does. When it was asked for, and what it is now.
    pub async fn export(&self, namespace: &str, name: &str, into: &str) -> (Instant, ExportJob) {
        let export = manifest(namespace, name, into);
        let began = Instant::now();
        (began, self.create(namespace, &export).await)
    }

    /// Waits until so many exports have ended in the life of an operator.
    pub async fn until_ended(&self, operator: &Operator, count: u64) {
        within(LONGEST, "the exports to end", || async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let ended = operator.metric("exports_ended_total").await;
            if ended >= count {
                Ok(())
            } else {
                Err(format!("{ended} of {count} have"))
            }
        })
        .await;
    }

    /// Waits until the tenant has taken so many exports.
    pub async fn until_created(&self, count: u64) {
        within(LONGEST, "the exports to be submitted", || async {
            let created = self.created().await;
            if created >= count {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            Err(format!("{created} of {count} are"))
        })
        .await;
    }

    /// How many exports the tenant has taken.
    pub async fn created(&self) -> u64 {
        let summary = self.simulator.get("summary").await;
        summary["exports"]["created"].as_u64().unwrap()
    }

    /// The tenant's connections, of all callers.
    pub async fn connections(&self) -> Connections {
        let summary = self.simulator.get("summary").await;
        let count = |of: &Value| of.as_u64().unwrap();
        let connections = &summary["connections"];
        Connections {
            accepted: count(&connections["accepted"]),
            open: count(&connections["open"]),
            most: count(&connections["most"]),
            posts: count(&summary["mostCreationsUnderWay"]),
        }
    }

    /// How many calls there were, but those for tokens and those that start exports.
    pub async fn polls(&self) -> u64 {
        let summary = self.simulator.get("summary").await;
        let routes = summary["requestsByRoute"].as_object().unwrap();
        let gets = routes
            .iter()
            .filter(|(route, _)| route.starts_with("GET /data/core/ups/export/jobs"));
        gets.filter_map(|(_, count)| count.as_u64()).sum()
    }

    /// Waits until the API server has an export in its cache, which may be behind what is stored.
    pub async fn until_cached(&self, namespace: &str, name: &str) {
        let api: Api<ExportJob> = Api::namespaced(self.client.clone(), namespace);
        within(LONGEST, "the API server to learn of an export", || async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let found = api.get_with(name, &GetParams::any()).await;
            found.map(drop).map_err(|error| error.to_string())
        })
        .await;
    }

    /// All exports, as they are now.
    pub async fn exports(&self) -> Vec<ExportJob> {
        let api: Api<ExportJob> = Api::all(self.client.clone());
        let all = api.list(&kube::api::ListParams::default()).await.unwrap();
        all.items
    }

    /// The UID that tells this cluster from others.
    pub async fn cluster(&self) -> String {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.get("kube-system").await.unwrap().uid().unwrap()
    }
}

/// A budget that binds nothing.
pub fn ample() -> Value {
    json!({ "requestsPerMinute": 60_000, "maxRunningExports": 100_000 })
}

/// The name of a dataset.
pub fn dataset(number: usize) -> String {
    format!("profiles-{number:03}")
}

/// An export as a person writes it, with what `kubectl apply` adds.
pub fn manifest(namespace: &str, name: &str, into: &str) -> ExportJob {
    let spec = json!({
        "export": {
            "destination": { "datasetRef": { "name": into } },
            "fields": ["identities.id", "personalEmail.address", "person.name"],
            "filter": { "segments": [
                { "segmentId": "7a93d2ff-a220-4bae-9a4e-5f3c35032be3" },
                { "segmentId": "4edc8488-2a35-4e6d-a4c2-1c4a4e2a3b11" },
            ] },
        },
    });
    let mut export = ExportJob::new(name, serde_json::from_value(spec.clone()).unwrap());
    export.metadata.namespace = Some(namespace.to_owned());
    export
        .labels_mut()
        .insert("team".to_owned(), "marketing".to_owned());
    let applied = json!({
        "apiVersion": "aep-export.dev/v1alpha1",
        "kind": "ExportJob",
        "metadata": {
            "annotations": {}, "labels": { "team": "marketing" },
            "name": name, "namespace": namespace,
        },
        "spec": spec,
    });
    export.annotations_mut().insert(
        "kubectl.kubernetes.io/last-applied-configuration".to_owned(),
        format!("{applied}\n"),
    );
    export
}

/// The writes among the requests that a proxy has seen from one on, leases apart.
pub fn writes(proxy: &Proxy, from: usize) -> Vec<String> {
    let log = proxy.log();
    let writes = log.iter().skip(from).filter(|logged| {
        let asked = &logged.asked;
        asked.server == Server::Kubernetes
            && asked.resource != "leases"
            && match asked.verb {
                Verb::Create | Verb::Update | Verb::Patch | Verb::Delete => true,
                Verb::Get | Verb::List | Verb::Watch => false,
            }
    });
    writes.map(|logged| logged.asked.to_string()).collect()
}
