//! A simulated tenant, as a process of its own.

use std::{net::TcpListener, path::Path, process::Command};

use aep_control_plane::{Guarded, workspace_binary};
use serde_json::{Value, json};

use super::eventually;

/// A simulated tenant.
pub struct Simulator {
    url: String,
    http: reqwest::Client,
    _process: Guarded,
}

/// A port that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

impl Simulator {
    /// Starts one and waits until it answers. Its jobs run fifty times as fast as real ones.
    pub async fn start(directory: &Path) -> Self {
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(workspace_binary("aep-simulator").unwrap());
        command
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--clock-scale", "50", "--job-duration", "10"]);
        let process = Guarded::spawn(&command, &directory.join("simulator.log")).unwrap();
        let http = reqwest::Client::new();
        let simulator = Self {
            url,
            http,
            _process: process,
        };
        eventually("the simulator to answer", || async {
            let url = format!("{}/_simulator/healthz", simulator.url);
            simulator
                .http
                .get(url)
                .send()
                .await
                .map_err(|error| error.to_string())
        })
        .await;
        simulator
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Gets a page of the admin API.
    pub async fn get(&self, path: &str) -> Value {
        self.call(reqwest::Method::GET, path, None).await
    }

    /// Puts to the admin API.
    pub async fn put(&self, path: &str, body: Value) -> Value {
        self.call(reqwest::Method::PUT, path, Some(body)).await
    }

    /// Posts to the admin API.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.call(reqwest::Method::POST, path, Some(body)).await
    }

    /// Deletes by the admin API.
    pub async fn delete(&self, path: &str) -> Value {
        self.call(reqwest::Method::DELETE, path, None).await
    }

    /// Adds a fault.
    pub async fn fault(&self, fault: Value) {
        self.post("faults", fault).await;
    }

    /// Has jobs go on until they are told to end.
    pub async fn hold_jobs(&self) {
        self.put("defaults", json!({ "outcome": "hold" })).await;
    }

    /// Everything that happened.
    pub async fn ledger(&self) -> Value {
        self.get("ledger").await
    }

    /// The calls with this method whose path starts so.
    pub async fn calls(&self, method: &str, path: &str) -> Vec<Value> {
        let ledger = self.ledger().await;
        let requests = ledger["requests"].as_array().unwrap();
        let wanted = |call: &&Value| {
            call["method"] == method && call["path"].as_str().unwrap().starts_with(path)
        };
        requests.iter().filter(wanted).cloned().collect()
    }

    /// The requests to start an export.
    pub async fn posts(&self) -> Vec<Value> {
        self.calls("POST", "/data/core/ups/export/jobs").await
    }

    /// The readings of the list of jobs, a call for each page.
    pub async fn lists(&self) -> Vec<Value> {
        let mut all = self.calls("GET", "/data/core/ups/export/jobs").await;
        // The paths of further pages end in a slash.
        all.retain(|call| {
            let path = call["path"].as_str().unwrap();
            path.trim_end_matches('/') == "/data/core/ups/export/jobs"
        });
        all
    }

    /// The jobs that there ever were.
    pub async fn jobs(&self) -> Vec<Value> {
        self.ledger().await["jobs"].as_array().unwrap().clone()
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}/_simulator/{path}", self.url);
        let mut request = self.http.request(method.clone(), url);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let reply = request.send().await.unwrap();
        let (status, text) = (reply.status(), reply.text().await.unwrap());
        assert!(
            status.is_success(),
            "{method} {path} {body:?}: {status} {text}"
        );
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}
