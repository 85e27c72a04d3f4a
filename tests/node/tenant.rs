//! The tenant: a pod with the simulator, whose ledger is the judge.

use std::env;

use serde_json::{Value, json};

use crate::tools::{eventually, is, json as get, kubectl, kubectl_with, text};

/// Where it runs, under its own rules of *restricted*.
const NAMESPACE: &str = "aep-e2e-tenant";
const POD: &str = "simulator";
const PORT: u16 = 8099;

/// The simulator.
#[derive(Debug)]
pub struct Tenant {
    /// A name that the cluster's DNS knows.
    pub host: String,
    /// The path of its admin API, through the API server: only the cluster reaches its pods.
    admin: String,
}

/// What the ledger has counted.
#[derive(Debug, PartialEq, Eq)]
pub struct Counts {
    pub created: u64,
    pub succeeded: u64,
    pub cancelled: u64,
    /// Of requests that made more than one job, or came twice.
    pub duplicates: u64,
}

impl Tenant {
    /// Starts the pod, and waits until it listens.
    pub fn start() -> Result<Self, String> {
        let image = env::var("AEP_E2E_SIMULATOR_IMAGE").map_err(|error| error.to_string())?;
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": POD, "namespace": NAMESPACE},
            "spec": {
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 1,
                "securityContext": {
                    "runAsNonRoot": true,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": POD,
                    "image": image,
                    "imagePullPolicy": "Never",
                    "args": [format!("--listen=0.0.0.0:{PORT}"), "--clock-scale=20", "--job-duration=60"],
                    "readinessProbe": {
                        "httpGet": {"path": "/_simulator/healthz", "port": PORT},
                        "periodSeconds": 1,
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": false,
                        "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }],
            },
        });
        namespace(NAMESPACE)?;
        kubectl_with(&["apply", "--filename", "-"], &pod.to_string())?;
        let host = eventually("the simulator's pod", || {
            let pod = get(&["get", "pod", POD, "--namespace", NAMESPACE])?;
            if is(&pod, "Ready") {
                let address = text(&pod, "/status/podIP").replace('.', "-");
                Ok(format!("{address}.{NAMESPACE}.pod.cluster.local"))
            } else {
                Err(pod["status"].to_string())
            }
        })?;
        let admin = format!("/api/v1/namespaces/{NAMESPACE}/pods/{POD}:{PORT}/proxy/_simulator");
        Ok(Self { host, admin })
    }

    /// The URL that operators reach it by.
    pub fn url(&self) -> String {
        format!("http://{}:{PORT}", self.host)
    }

    fn put(&self, what: &str, body: &Value) -> Result<(), String> {
        let path = format!("{}/{what}", self.admin);
        kubectl_with(
            &["replace", "--raw", &path, "--filename", "-"],
            &body.to_string(),
        )?;
        Ok(())
    }

    /// Jobs that begin from now on do not end by themselves, or do again.
    pub fn hold(&self, hold: bool) -> Result<(), String> {
        let outcome = if hold { "hold" } else { "succeed" };
        self.put("defaults", &json!({"outcome": outcome}))
    }

    /// Lets a job that was held end.
    pub fn release(&self, job: &str) -> Result<(), String> {
        self.put(&format!("jobs/{job}"), &json!({"outcome": "release"}))
    }

    pub fn ledger(&self) -> Result<Value, String> {
        let text = kubectl(&["get", "--raw", &format!("{}/ledger", self.admin)])?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    pub fn counts(&self) -> Result<Counts, String> {
        let ledger = self.ledger()?;
        let summary = &ledger["summary"];
        let count = |value: &Value| value.as_u64().ok_or_else(|| summary.to_string());
        let exports = &summary["exports"];
        Ok(Counts {
            created: count(&exports["created"])?,
            succeeded: count(&exports["succeeded"])?,
            cancelled: count(&exports["cancelled"])?,
            duplicates: count(&summary["duplicateRequestIds"])?
                + count(&summary["createdOverOne"])?,
        })
    }

    /// The times of the calls so far, in order.
    pub fn calls(&self) -> Result<Vec<jiff::Timestamp>, String> {
        let ledger = self.ledger()?;
        let calls = ledger["requests"].as_array().ok_or("no requests")?;
        let time = |call: &Value| text(call, "/at").parse::<jiff::Timestamp>();
        calls
            .iter()
            .map(time)
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())
    }
}

/// Makes a namespace that enforces the strictest of the pod security standards.
pub fn namespace(name: &str) -> Result<(), String> {
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        }},
    });
    kubectl_with(&["apply", "--filename", "-"], &namespace.to_string())?;
    Ok(())
}

pub fn clean_up() -> Result<(), String> {
    kubectl(&["delete", "namespace", NAMESPACE, "--ignore-not-found"])?;
    Ok(())
}
