//! What is accepted, and stays as it was written once it has been reconciled.

use serde::Deserialize;
use serde_json::{Value, json};

use super::table::{KINDS, expand, objects, rows};
use crate::harness::{World, eventually, kubectl};

/// A manifest that is accepted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The name of the object.
    name: String,
    /// The reason that its condition `Ready` comes to; absent: as it should be.
    ends: Option<String>,
    /// How it is applied.
    #[serde(default)]
    apply: Apply,
    /// All of the spec.
    spec: Value,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Apply {
    Client,
    #[default]
    Server,
}

struct Manifest {
    apply: Apply,
    ends: String,
    object: Value,
}

fn table(simulator: &str) -> Vec<Manifest> {
    let tables = [
        (include_str!("valid/connections.yaml"), "Verified"),
        (include_str!("valid/datasets.yaml"), "Available"),
        (include_str!("valid/exports.yaml"), "Succeeded"),
    ];
    let mut manifests = Vec::new();
    for ((kind, _), (yaml, ends)) in KINDS.into_iter().zip(tables) {
        for row in rows(&yaml.replace("SIMULATOR", simulator)) {
            let Row {
                name,
                ends: other,
                apply,
                spec,
            } = row;
            manifests.push(Manifest {
                apply,
                ends: other.unwrap_or_else(|| ends.to_owned()),
                object: expand(&json!({
                    "apiVersion": "aep-export.dev/v1alpha1",
                    "kind": kind,
                    "metadata": { "name": name },
                    "spec": spec,
                })),
            });
        }
    }
    manifests
}

impl Manifest {
    fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap()
    }

    /// `kubectl diff` keeps an object in a file that is named after it, and after its kind.
    fn fits_into_a_file_name(&self) -> bool {
        self.name().len() < 190
    }
}

/// Some of the manifests, as kubectl reads them.
fn list(manifests: &[Manifest], wanted: impl Fn(&&Manifest) -> bool) -> String {
    let wanted = manifests.iter().filter(wanted);
    let items: Vec<&Value> = wanted.map(|manifest| &manifest.object).collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

#[tokio::test]
async fn every_valid_manifest_is_reconciled_and_differs_in_nothing_from_what_was_applied() {
    let mut world = World::without_operator("valid").await;
    furnish(&world).await;
    let manifests = table(world.simulator.url());
    for (flag, apply) in [
        ("--server-side", Apply::Server),
        ("--server-side=false", Apply::Client),
    ] {
        let manifests = list(&manifests, |manifest| manifest.apply == apply);
        let args = ["apply", flag, "-f", "-"];
        let (applied, said) = kubectl(&world.namespace, &args, Some(&manifests));
        assert!(applied, "kubectl {args:?}\n{said}");
    }
    world.start_operator(&[]).await;
    for manifest in &manifests {
        settle(&world, manifest).await;
    }
    let comparable = |manifest: &&Manifest| manifest.fits_into_a_file_name();
    let by_server = |manifest: &&Manifest| comparable(manifest) && manifest.apply == Apply::Server;
    for (flag, manifests) in [
        ("--server-side", list(&manifests, by_server)),
        ("--server-side=false", list(&manifests, comparable)),
    ] {
        let args = ["diff", flag, "-f", "-"];
        let (same, said) = kubectl(&world.namespace, &args, Some(&manifests));
        assert!(same && said.is_empty(), "kubectl {args:?}\n{said}");
    }
}

/// The Secrets that the manifests name, and the datasets that they do not create.
async fn furnish(world: &World) {
    let credentials = [
        ("client_id", "demo-client"),
        ("client_secret", "demo-secret"),
    ];
    world.create_secret("aep-credentials", &credentials).await;
    let token = [
        ("access_token", "a-token-made-elsewhere"),
        ("api_key", "demo-client"),
    ];
    world.create_secret("aep-token", &token).await;
    let token = json!({ "accessToken": "a-token-made-elsewhere" });
    world.simulator.put("credentials", token).await;
    for id in ["5b020a27e7040801dedba61b", &"a".repeat(128)] {
        let body = json!({
            "name": "Made elsewhere",
            "schemaRef": {
                "id": "https://ns.adobe.com/xdm/context/profile__union",
                "contentType": "application/vnd.adobe.xed+json;version=1",
            },
        });
        world
            .simulator
            .post("datasets", json!({ "id": id, "body": body }))
            .await;
    }
}

/// Waits until the operator is done with an object, and it came to the end it should.
async fn settle(world: &World, manifest: &Manifest) {
    let Manifest { object, ends, .. } = manifest;
    let (kind, name) = (object["kind"].as_str().unwrap(), manifest.name());
    let api = objects(&world.client, &world.namespace, kind);
    eventually(&format!("{kind} {name} to end as {ends}"), || async {
        let object = api.get(name).await.map_err(|error| error.to_string())?;
        let status = &object.data["status"];
        let conditions = status["conditions"].as_array();
        let find = |type_: &str| {
            conditions
                .into_iter()
                .flatten()
                .find(|c| c["type"] == type_)
        };
        let current = status["observedGeneration"].as_i64() == object.metadata.generation;
        let ended = find("Ready").is_some_and(|ready| ready["reason"] == **ends);
        if current && ended && find("Reconciling").is_none() {
            Ok(())
        } else {
            Err(format!("{status:#}\n{}", world.log()))
        }
    })
    .await;
}
