//! An API server with a release on it, and an operator that runs as the release's pod would.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use aep_control_plane::{Guarded, Helm, Signal, shared, workspace_binary};
use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Namespace};
use kube::{
    Api, Client, Resource,
    api::{ObjectMeta, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    harness::{
        LONG, ORGANIZATION, OwnPlane, Simulator, cluster, conditions, create, eventually,
        export_into, is, simulator::free_port, until,
    },
    helm::{NAMESPACE, RELEASE, Run},
};

/// An API server of its own, a simulated tenant, and an operator once one has begun.
pub struct Site {
    pub client: Client,
    pub simulator: Simulator,
    operator: Option<Guarded>,
    admin_port: u16,
    directory: TempDir,
    plane: OwnPlane,
}

impl Site {
    /// With these namespaces beside the release's, all of which warn of what is not restricted.
    pub async fn start(namespaces: &[&str]) -> Self {
        let plane = OwnPlane::bare().await;
        let client = cluster::client_of(&plane.server()).await;
        let directory = tempfile::Builder::new()
            .prefix("aep-chart-site-")
            .tempdir()
            .unwrap();
        let simulator = Simulator::start(directory.path()).await;
        let site = Self {
            client,
            simulator,
            operator: None,
            admin_port: 0,
            directory,
            plane,
        };
        for name in namespaces.iter().chain(&[NAMESPACE]) {
            site.namespace(name).await;
        }
        let text = fs::read_to_string(shared().unwrap().kubeconfig()).unwrap();
        let text = text.replace(shared().unwrap().server(), &site.plane.server());
        fs::write(site.kubeconfig(), text).unwrap();
        site
    }

    async fn namespace(&self, name: &str) {
        let labels = ["enforce", "warn"].map(|mode| {
            (
                format!("pod-security.kubernetes.io/{mode}"),
                "restricted".into(),
            )
        });
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.into()),
                labels: Some(labels.into()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        Api::all(self.client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap();
    }

    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("admin.kubeconfig")
    }

    /// Runs Helm on the release's namespace.
    pub fn helm(
        &self,
        version: Helm,
        arguments: &[&str],
        values: &Value,
    ) -> Result<String, String> {
        let arguments = [arguments, &["--namespace", NAMESPACE]].concat();
        let run = Run::of(version, &arguments).at(&self.kubeconfig());
        let takes_values = ["install", "upgrade"].contains(&arguments[0]);
        let run = if takes_values {
            run.values(values)
        } else {
            run
        };
        run.end()
    }

    /// The same, which must succeed.
    pub fn helm_well(&self, version: Helm, arguments: &[&str], values: &Value) -> String {
        let said = self.helm(version, arguments, values);
        said.unwrap_or_else(|error| panic!("helm {arguments:?}: {error}"))
    }

    /// Runs kubectl as an administrator; it must succeed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let (_, said) = self.try_kubectl(arguments);
        said
    }

    /// The same; whether it succeeded, too.
    pub fn try_kubectl(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = shared().unwrap().kubectl();
        command
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(arguments);
        let output = command.output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), text.trim().to_owned())
    }

    /// What is answered when the operator's account asks whether it may do something.
    pub fn may(&self, question: &[&str]) -> bool {
        let account = format!("--as=system:serviceaccount:{NAMESPACE}:{RELEASE}");
        let (may, said) = self.try_kubectl(&[&["auth", "can-i", &account], question].concat());
        // A warning of a namespace for what has none comes beside it.
        let answers = said.lines().filter(|line| ["yes", "no"].contains(line));
        assert_eq!(answers.count(), 1, "{question:?}: {said}");
        may
    }

    /// Starts the operator as the release's Deployment has it: with its arguments, by a token of its
    /// account. Waits until it answers.
    pub async fn begin(&mut self) {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        let deployment = deployments.get(RELEASE).await.unwrap();
        let pod = deployment.spec.unwrap().template.spec.unwrap();
        let account = pod.service_account_name.unwrap();
        let token = self.kubectl(&["create", "token", &account, "--namespace", NAMESPACE]);
        let kubeconfig = self.directory.path().join("operator.kubeconfig");
        cluster::write_kubeconfig(&kubeconfig, &self.plane.server(), NAMESPACE, &token);
        self.admin_port = free_port();
        let mut command = Command::new(workspace_binary("aep-export-operator").unwrap());
        command
            .env("KUBECONFIG", &kubeconfig)
            .args(pod.containers[0].args.iter().flatten())
            .arg(format!("--admin-address=127.0.0.1:{}", self.admin_port));
        self.operator = Some(Guarded::spawn(&command, &self.log_file()).unwrap());
        eventually("the operator to answer", || async {
            let page = self.page("livez").await;
            page.map_err(|error| format!("{error}\n{}", self.log()))
        })
        .await;
    }

    /// Starts the operator, and waits until it is ready.
    pub async fn begin_well(&mut self) {
        self.begin().await;
        eventually("the operator to be ready", || async {
            let said = self.page("readyz").await?;
            if said.trim() == "ok" {
                Ok(())
            } else {
                Err(format!("{said}\n{}", self.log()))
            }
        })
        .await;
    }

    /// Ends the operator as Kubernetes does.
    pub fn end(&mut self) {
        let mut operator = self.operator.take().unwrap();
        operator.kill(Signal::TERM).unwrap();
        let exit = operator.wait_exit(LONG).unwrap();
        assert!(exit.success(), "{exit}\n{}", self.log());
    }

    /// A page of the operator's admin server.
    pub async fn page(&self, path: &str) -> Result<String, String> {
        let url = format!("http://127.0.0.1:{}/{path}", self.admin_port);
        let reply = reqwest::get(url).await.map_err(|error| error.to_string())?;
        reply.text().await.map_err(|error| error.to_string())
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("operator.log")
    }

    /// What all operators wrote so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Applies a file of objects of a simulated tenant.
    pub fn apply(&self, namespace: &str, file: &Path) {
        let text = fs::read_to_string(file).unwrap();
        let text = text.replace("http://127.0.0.1:8099", self.simulator.url());
        let copy = self.directory.path().join("objects.yaml");
        fs::write(&copy, text).unwrap();
        let copy = copy.display().to_string();
        let (success, said) = self.try_kubectl(&["apply", "-n", namespace, "-f", &copy]);
        assert!(success, "{said}");
    }

    /// Creates an object of this project.
    pub async fn create<K>(&self, namespace: &str, name: &str, spec: Value)
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Serialize,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        create(&api, name, spec).await;
    }

    /// Creates a connection with a Secret.
    pub async fn connect(&self, namespace: &str, connection: &str, secret: &str) {
        let said = self.try_kubectl(&[
            "create",
            "secret",
            "generic",
            secret,
            "--namespace",
            namespace,
            "--from-literal=client_id=demo-client",
            "--from-literal=client_secret=demo-secret",
        ]);
        assert!(said.0, "{}", said.1);
        let url = self.simulator.url();
        let spec = json!({
            "organizationId": ORGANIZATION,
            "sandbox": "prod",
            "auth": {"oauthServerToServer": {"secretRef": {"name": secret}}},
            "endpoints": {"platform": url, "ims": url},
        });
        self.create::<PlatformConnection>(namespace, connection, spec)
            .await;
    }

    /// Creates a dataset and an export into it, and waits until the export has succeeded.
    pub async fn export(&self, namespace: &str, connection: &str, name: &str) {
        let spec = json!({
            "connectionRef": {"name": connection},
            "dataset": {"name": format!("{namespace} {name}")},
        });
        self.create::<ProfileDataset>(namespace, name, spec).await;
        self.create::<ExportJob>(namespace, name, export_into(name))
            .await;
        self.until_complete(namespace, name).await;
    }

    /// Waits until an export has succeeded.
    pub async fn until_complete(&self, namespace: &str, name: &str) -> ExportJob {
        self.until::<ExportJob>(namespace, name, "Complete", |export| {
            is(&conditions(export), "Complete", "True")
        })
        .await
    }

    /// Waits until an object is as wanted.
    pub async fn until<K>(
        &self,
        namespace: &str,
        name: &str,
        what: &str,
        wanted: impl Fn(&K) -> bool,
    ) -> K
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Serialize,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        until(&api, name, what, wanted, || self.log()).await
    }
}

/// Values with which an operator works with simulated tenants.
pub fn with_tenant(values: &Value) -> Value {
    let mut all = json!({
        "allowedHosts": ["127.0.0.1"],
        "extraArgs": ["--allow-http"],
        "polling": {"intervalMin": "100ms", "intervalMax": "200ms"},
    });
    let values = values.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(values);
    all
}
