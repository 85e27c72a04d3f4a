//! Command lines and files of etcd, kube-apiserver and kube-controller-manager.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use aep_control_plane::Layout;
use base64::prelude::{BASE64_STANDARD, Engine};

use crate::failure::Failure;
use crate::pki::Pki;

/// Needs clouds or nodes, of which there are none.
const NO_CONTROLLERS: [&str; 4] = [
    "node-ipam-controller",
    "node-route-controller",
    "service-lb-controller",
    "cloud-node-lifecycle-controller",
];

/// The ports of one attempt to start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) etcd: SocketAddr,
    pub(crate) server: SocketAddr,
}

impl Ports {
    /// Asks the kernel for free ports, but for a server whose address is given. Others may take
    /// them before the components do.
    pub(crate) fn free(server: Option<SocketAddr>) -> Result<Self, Failure> {
        let bind = |address| TcpListener::bind(address).and_then(|it| Ok((it.local_addr()?, it)));
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // Both are held until both are known, so that they differ.
        let ports = bind(any).and_then(|etcd| Ok((etcd, bind(server.unwrap_or(any))?)));
        let ((etcd, _), (server, _)) = ports.map_err(Failure::io("find a free port"))?;
        Ok(Self { etcd, server })
    }

    pub(crate) fn etcd_url(self) -> String {
        format!("http://{}", self.etcd)
    }

    pub(crate) fn server_url(self) -> String {
        format!("https://{}", self.server)
    }
}

pub(crate) fn etcd(data: &Path, ports: Ports) -> Vec<String> {
    let url = ports.etcd_url();
    vec![
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        // There is one member. It needs no port that is known.
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        // What is thrown away need not survive a power failure.
        "--unsafe-no-fsync".to_owned(),
    ]
}

pub(crate) fn kube_apiserver(
    layout: &Layout,
    pki: &Pki,
    ports: Ports,
    audit_policy: Option<&Path>,
) -> Vec<String> {
    let mut arguments = vec![
        format!("--etcd-servers={}", ports.etcd_url()),
        format!("--bind-address={}", ports.server.ip()),
        format!("--secure-port={}", ports.server.port()),
        // Without these the server looks for the address of a network, and the machine may be
        // offline. Nothing here makes connections by way of the `kubernetes` endpoint.
        format!("--advertise-address={}", ports.server.ip()),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--tls-cert-file={}", pki.server_certificate.display()),
        format!("--tls-private-key-file={}", pki.server_key.display()),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!(
            "--service-account-key-file={}",
            pki.service_account_public_key.display()
        ),
        format!(
            "--service-account-signing-key-file={}",
            pki.service_account_key.display()
        ),
        format!("--token-auth-file={}", pki.tokens.display()),
        "--authorization-mode=RBAC".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--allow-privileged".to_owned(),
        // A node's name is in no DNS.
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
    ];
    if let Some(policy) = audit_policy {
        arguments.push(format!("--audit-policy-file={}", policy.display()));
        arguments.push(format!("--audit-log-path={}", layout.audit_log().display()));
    }
    arguments
}

pub(crate) fn kube_controller_manager(layout: &Layout, pki: &Pki) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", layout.kubeconfig().display()),
        format!(
            "--service-account-private-key-file={}",
            pki.service_account_key.display()
        ),
        format!("--root-ca-file={}", pki.ca_certificate.display()),
        format!("--controllers=*,-{}", NO_CONTROLLERS.join(",-")),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        // Tests make and delete many namespaces at once; the default of 20 a second makes each
        // wait for the others.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
    ]
}

/// Writes what the library reads and the components need: links to the binaries, addresses and the
/// administrator's kubeconfig.
pub(crate) fn write_files(layout: &Layout, pki: &Pki, ports: Ports) -> Result<(), Failure> {
    let kubeconfig = format!(
        "apiVersion: v1
kind: Config
current-context: aep
clusters:
- name: aep
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: admin
  user:
    token: \"{token}\"
contexts:
- name: aep
  context:
    cluster: aep
    user: admin
",
        server = ports.server_url(),
        ca = BASE64_STANDARD.encode(&pki.ca_pem),
        token = pki.token,
    );
    for (path, text) in [
        (layout.kubeconfig(), kubeconfig),
        (layout.server(), ports.server_url()),
        (layout.etcd(), ports.etcd_url()),
    ] {
        fs::write(&path, text).map_err(Failure::io(format!("write {}", path.display())))?;
    }
    Ok(())
}

/// An empty folder for etcd, one for each attempt.
pub(crate) fn etcd_data(layout: &Layout, attempt: usize) -> PathBuf {
    layout.directory().join(format!("etcd-data-{attempt}"))
}
