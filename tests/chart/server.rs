//! What a real API server says of the manifests.

use serde_json::Value;

use crate::{
    charts::modes,
    harness::{admin, cluster, kubectl},
    helm::{RELEASE, Run, chart},
};

/// Kinds that a cluster without the Prometheus operator does not have.
const FOREIGN: &str = "ServiceMonitor";

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
        let apply = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "--validate=strict",
            "--filename=-",
        ];
        let (taken, said) = kubectl(&namespaces[0], &apply, Some(&known.join("\n---\n")));
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
