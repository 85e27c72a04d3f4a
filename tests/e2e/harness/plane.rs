//! An API server with an etcd of its own, which can be set back to what it was.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use aep_control_plane::{Binary, Guarded, Signal, shared};
use tempfile::TempDir;

use super::{LONG, World, cluster, eventually, proxy::Proxy, simulator::free_port};

/// An API server with an etcd of its own. Keys and tokens are those of the shared control plane;
/// there is no controller manager.
pub struct OwnPlane {
    directory: TempDir,
    etcd_port: u16,
    server_port: u16,
    /// None while they are stopped.
    components: Option<[Guarded; 2]>,
    snapshots: usize,
}

/// What etcd had at one moment.
pub struct Snapshot(PathBuf);

impl OwnPlane {
    /// Starts one, with CRDs and roles.
    pub async fn start() -> Self {
        let plane = Self::bare().await;
        cluster::install(cluster::client_of(&plane.server()).await).await;
        plane
    }

    /// Starts one, with nothing of this project.
    pub async fn bare() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("aep-e2e-plane-")
            .tempdir()
            .unwrap();
        let mut plane = Self {
            directory,
            etcd_port: free_port(),
            server_port: free_port(),
            components: None,
            snapshots: 0,
        };
        plane.begin().await;
        plane
    }

    /// The API server's URL.
    pub fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.server_port)
    }

    /// What etcd has now. It stands still meanwhile, and nothing else is disturbed.
    pub fn snapshot(&mut self) -> Snapshot {
        let [etcd, _] = self.components.as_mut().unwrap();
        etcd.kill(Signal::STOP).unwrap();
        self.snapshots += 1;
        let name = format!("snapshot-{}", self.snapshots);
        let copy = self.directory.path().join(name);
        copy_all(&self.data(), &copy);
        let [etcd, _] = self.components.as_mut().unwrap();
        etcd.kill(Signal::CONT).unwrap();
        Snapshot(copy)
    }

    /// Crashes etcd and the API server, and starts them again with what etcd had then.
    pub async fn restore(&mut self, Snapshot(snapshot): &Snapshot) {
        self.crash();
        std::fs::remove_dir_all(self.data()).unwrap();
        copy_all(snapshot, &self.data());
        self.begin().await;
    }

    /// Crashes etcd and the API server, and starts them again.
    pub async fn restart(&mut self) {
        self.crash();
        self.begin().await;
    }

    fn crash(&mut self) {
        for mut component in self.components.take().unwrap() {
            component.kill(Signal::KILL).unwrap();
            component.wait_exit(LONG).unwrap();
        }
    }

    async fn begin(&mut self) {
        let components = [
            (Binary::Etcd, self.etcd()),
            (Binary::KubeApiserver, self.kube_apiserver()),
        ];
        self.components = Some(components.map(|(binary, arguments)| {
            let mut command = Command::new(shared().unwrap().bin_dir().join(binary.name()));
            command.args(arguments);
            let log = self.directory.path().join(format!("{binary}.log"));
            Guarded::spawn(&command, &log).unwrap()
        }));
        let client = cluster::client_of(&self.server()).await;
        let log = self.directory.path().join("kube-apiserver.log");
        eventually("an API server to be ready", || async {
            let ready = http::Request::get("/readyz").body(Vec::new()).unwrap();
            let answer = client.request_text(ready).await;
            answer.map_err(|error| format!("{error}; see {}", log.display()))
        })
        .await;
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("etcd-data")
    }

    fn etcd(&self) -> Vec<String> {
        let url = format!("http://127.0.0.1:{}", self.etcd_port);
        vec![
            format!("--data-dir={}", self.data().display()),
            format!("--listen-client-urls={url}"),
            format!("--advertise-client-urls={url}"),
            "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
            "--unsafe-no-fsync".to_owned(),
        ]
    }

    fn kube_apiserver(&self) -> Vec<String> {
        let pki = shared().unwrap().layout().pki();
        let file = |name: &str| pki.join(name).display().to_string();
        vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.server_port),
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("service-account.pub")),
            format!(
                "--service-account-signing-key-file={}",
                file("service-account.key")
            ),
            format!("--token-auth-file={}", file("tokens.csv")),
            "--authorization-mode=RBAC".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        ]
    }
}

impl World {
    /// Without an operator, at an API server of its own; one that is started, and the connection
    /// `prod`, go through a proxy.
    pub async fn with_own_plane(name: &str) -> Self {
        let plane = OwnPlane::start().await;
        let client = cluster::client_of(&plane.server()).await;
        let mut world = Self::at(name, client, &plane.server()).await;
        let authority = shared().unwrap().ca_certificate();
        let proxy = Proxy::start(&plane.server(), &authority, world.simulator.url()).await;
        world.put_behind(proxy);
        world.plane = Some(plane);
        world
    }

    /// The API server of a world that has one of its own.
    pub fn plane(&mut self) -> &mut OwnPlane {
        self.plane.as_mut().expect("an API server of its own")
    }
}

fn copy_all(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    let status = command.arg("-r").args([from, to]).status().unwrap();
    assert!(status.success(), "{status}");
}
