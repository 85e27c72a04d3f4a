//! What a real API server says of the manifests.

use std::{io::Write, process::Stdio};

use aep_control_plane::shared;
use serde_json::Value;

use crate::{
    charts::modes,
    harness::{admin, cluster, kubectl},
    helm::{RELEASE, Run, chart},
};

/// Kinds that a cluster without the Prometheus operator does not have.
const FOREIGN: &str = "ServiceMonitor";

/// Has the API server look at manifests of several namespaces; whether it takes them, and what is
/// said.
fn dry_run(manifests: &str) -> (bool, String) {
    let mut command = shared().unwrap().kubectl();
    command.args([
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "--filename=-",
    ]);
    let piped = Stdio::piped;
    command.stdin(piped()).stdout(piped()).stderr(piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(manifests.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), said)
}

#[tokio::test]
async fn the_api_server_takes_the_manifests_of_every_mode_without_a_warning() {
    let client = admin().await;
    let mut namespaces = Vec::new();
    for name in ["chart", "team-a", "team-b"] {
        let namespace = cluster::namespace(&client, name).await;
        let labels =
            ["enforce", "warn"].map(|mode| format!("pod-security.kubernetes.io/{mode}=restricted"));
        let label = ["label", "namespace", &namespace, &labels[0], &labels[1]];
        let (labelled, said) = kubectl(&namespace, &label, None);
        assert!(labelled, "{said}");
        namespaces.push(namespace);
    }
    for (mode, values) in modes() {
        let values = values.to_string();
        let values = values.replace("team-a", &namespaces[1]);
        let values: Value =
            serde_json::from_str(&values.replace("team-b", &namespaces[2])).unwrap();
        let arguments = ["template", RELEASE, &chart(), "--namespace", &namespaces[0]];
        let manifests = Run::new(&arguments).values(&values).end().unwrap();
        let documents = manifests.split("\n---\n");
        let known: Vec<&str> = documents
            .filter(|document| !document.contains(&format!("\nkind: {FOREIGN}\n")))
            .collect();
        let (taken, said) = dry_run(&known.join("\n---\n"));
        assert!(taken, "{mode}:\n{said}");
        assert!(!said.contains("Warning"), "{mode}:\n{said}");
        let taken = said.matches("serverside-applied (server dry run)").count();
        let whole = known
            .iter()
            .filter(|document| document.contains("\nkind: "))
            .count();
        assert_eq!(taken, whole, "{mode}:\n{said}");
    }
    for namespace in namespaces {
        cluster::clean_up(&namespace);
    }
}
