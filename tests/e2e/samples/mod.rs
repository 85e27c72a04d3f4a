//! The samples of Adobe's two guides to export jobs: the "Export jobs" page of the Real-Time
//! Customer Profile API guide, and the "Export jobs endpoint" of the Segmentation Service API
//! guide.
//!
//! Requests are the objects under `examples/`, and their JSON is under `tests/fixtures/`. Replies
//! are the fixtures of the platform's client.

mod demo;
mod jobs;
mod lists;
mod replies;
mod requests;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use aep_export_operator::{
    api::ExportJob,
    platform::{Credential, Endpoints, Platform, PlatformClock, Settings},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{ORGANIZATION, Simulator};

/// Where exports are asked for.
pub const JOBS: &str = "/data/core/ups/export/jobs";
/// Where datasets are.
pub const DATASETS: &str = "/data/foundation/catalog/dataSets";
/// The schema of every target of an export.
pub const UNION: &str = "https://ns.adobe.com/xdm/context/profile__union";

/// The dataset of the Profile guide.
const PROFILE_DATASET: &str = "5b020a27e7040801dedba61b";
/// The dataset of the Segmentation guide.
const SEGMENTATION_DATASET: &str = "5b7c86968f7b6501e21ba9df";
/// The batch that both guides name.
const BATCH: &str = "da5cfb4de32c4b93a09f7e37fa53ad52";

/// A tenant without an operator.
pub struct Tenant {
    /// The tenant.
    pub simulator: Simulator,
    platform: OnceLock<Platform>,
    _directory: TempDir,
}

impl Tenant {
    /// Starts one.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let simulator = Simulator::start(directory.path()).await;
        Self {
            simulator,
            platform: OnceLock::new(),
            _directory: directory,
        }
    }

    /// A client with its credential.
    pub fn platform(&self) -> &Platform {
        self.platform.get_or_init(|| client(&self.simulator))
    }
}

/// A client of a tenant.
pub fn client(simulator: &Simulator) -> Platform {
    let base: url::Url = simulator.url().parse().unwrap();
    let endpoints = Endpoints {
        platform: base.clone(),
        ims: base,
    };
    let credential = Credential::OAuthServerToServer {
        client_id: "demo-client".to_owned(),
        client_secret: SecretString::from("demo-secret"),
        scopes: vec!["openid".to_owned(), "AdobeID".to_owned()],
    };
    let settings = Settings::new(endpoints, ORGANIZATION, "prod", credential);
    Platform::new(settings, PlatformClock::system()).unwrap()
}

/// Puts a dataset on the union schema into a tenant.
pub async fn seed_dataset(simulator: &Simulator, id: &str) {
    let body = json!({ "name": "Profile Data Export", "schemaRef": { "id": UNION } });
    simulator
        .post("datasets", json!({ "id": id, "body": body }))
        .await;
}

/// What the platform told of an export, as its status shows it.
fn told(export: &ExportJob) -> Value {
    let mut status = serde_json::to_value(export.status.as_ref().unwrap()).unwrap();
    let own = [
        "conditions",
        "connection",
        "observedGeneration",
        "submission",
        "effective",
    ];
    status
        .as_object_mut()
        .unwrap()
        .retain(|key, _| !own.contains(&key.as_str()));
    status
}

/// A file of this project.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The JSON of a sample request.
fn request(name: &str) -> Value {
    json_file(&format!("tests/fixtures/{name}.json"))
}

/// The JSON of a sample reply.
fn reply(name: &str) -> Value {
    json_file(&format!("src/platform/fixtures/{name}.json"))
}

fn json_file(path: &str) -> Value {
    let text = fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files with this extension below a folder, by their paths without it, sorted.
fn files_below(folder: &str, extension: &str) -> Vec<String> {
    let root = file(folder);
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                let name = path.strip_prefix(&root).unwrap().with_extension("");
                found.push(name.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}
