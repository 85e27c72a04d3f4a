//! What is in Git and what is in the cluster differ in nothing, at no time.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use aep_export_operator::api::{ExportJob, GROUP, PlatformConnection, VERSION};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use super::end;
use crate::{
    contract::argocd::{act, actions},
    harness::{World, conditions, documents, eventually, export_into, is, kubectl, reason},
    samples::seed_dataset,
};

/// Who applies by server-side apply, by the names that the API server knows them by.
const MANAGERS: [&str; 3] = ["argocd-controller", "kustomize-controller", "helm"];
/// What the examples have for the tenant.
const PLACEHOLDER: &str = "http://127.0.0.1:8099";

/// The objects of all examples, for this test's tenant; Secrets are made by the tests.
fn examples(world: &World) -> Vec<Value> {
    let mut objects = Vec::new();
    for folder in ["examples", "gitops/flux/base", "gitops/flux/exports"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        read(&folder, world.simulator.url(), &mut objects);
    }
    objects
}

fn read(folder: &Path, url: &str, objects: &mut Vec<Value>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, url, objects);
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            let text = fs::read_to_string(&path).unwrap();
            for mut object in documents(&text.replace(PLACEHOLDER, url)) {
                if !object["apiVersion"].as_str().unwrap().starts_with(GROUP) {
                    continue;
                }
                // What is shared is of the cluster, which other tests share, and its users are of
                // namespaces with names of their own: tests/e2e/tenancy has them.
                let elsewhere = object["metadata"]["namespace"].is_string();
                if elsewhere || object["kind"] == "ClusterPlatformConnection" {
                    continue;
                }
                if object["kind"] == "PlatformConnection" {
                    object["spec"]["endpoints"] = json!({ "platform": url, "ims": url });
                }
                // Two examples may have the same connection.
                if !objects.iter().any(|it| named(it) == named(&object)) {
                    objects.push(object);
                }
            }
        }
    }
}

fn named(object: &Value) -> (&str, &str) {
    let name = object["metadata"]["name"].as_str().unwrap();
    (object["kind"].as_str().unwrap(), name)
}

fn list(objects: &[Value]) -> String {
    json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string()
}

/// What of an object is its author's.
fn authors(object: &DynamicObject) -> Value {
    let metadata = &object.metadata;
    json!([object.data["spec"], metadata.labels, metadata.annotations])
}

/// What server-side apply would change, asked as Argo CD, Flux and Helm ask.
async fn change(client: &Client, namespace: &str, object: &Value) -> Option<String> {
    let (kind, name) = named(object);
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, kind));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    for manager in MANAGERS {
        let live = api.get(name).await.unwrap();
        let params = PatchParams::apply(manager).force().dry_run();
        let predicted = api
            .patch(name, &params, &Patch::Apply(object))
            .await
            .unwrap();
        let (live, predicted) = (authors(&live), authors(&predicted));
        if live != predicted {
            return Some(format!("{manager}: {name}: {live:#}\n{predicted:#}"));
        }
    }
    None
}

/// Asks for changes all the time, until it is told to end.
struct Asking {
    ended: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Asking {
    fn begin(world: &World, objects: &[Value]) -> Self {
        let (ended, rounds) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (client, namespace) = (world.client.clone(), world.namespace.clone());
        let (objects, over, count) = (objects.to_vec(), Arc::clone(&ended), Arc::clone(&rounds));
        let task = tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                for object in &objects {
                    assert_eq!(change(&client, &namespace, object).await, None);
                }
                AtomicUsize::fetch_add(&count, 1, Ordering::Relaxed);
            }
        });
        Self {
            ended,
            rounds,
            task,
        }
    }

    /// Waits for a whole round from now on, or until a difference has ended them.
    async fn round(&self) {
        let before = self.rounds.load(Ordering::Relaxed);
        eventually("a round of dry runs", || async {
            let rounds = self.rounds.load(Ordering::Relaxed);
            if rounds > before + 1 || self.task.is_finished() {
                Ok(())
            } else {
                Err(rounds.to_string())
            }
        })
        .await;
    }

    async fn end(self) {
        self.ended.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
    }
}

/// What `kubectl diff` prints, both ways.
fn assert_no_diff(world: &World, objects: &[Value], when: &str) {
    let list = list(objects);
    for flag in ["--server-side", "--server-side=false"] {
        let (same, said) = kubectl(&world.namespace, &["diff", flag, "-f", "-"], Some(&list));
        assert!(
            same && said.is_empty(),
            "{when}: kubectl diff {flag}\n{said}"
        );
    }
}

#[tokio::test]
async fn no_example_differs_from_what_is_in_the_cluster_before_while_and_after_it_is_reconciled() {
    let mut world = World::without_operator("differences").await;
    let objects = examples(&world);
    let args = ["apply", "--server-side", "-f", "-"];
    let (applied, said) = kubectl(&world.namespace, &args, Some(&list(&objects)));
    assert!(applied, "{said}");
    for id in ["5b020a27e7040801dedba61b", "5b7c86968f7b6501e21ba9df"] {
        seed_dataset(&world.simulator, id).await;
    }
    let asking = Asking::begin(&world, &objects);
    assert_no_diff(&world, &objects, "before");

    world.simulator.hold_jobs().await;
    world.start_operator(&[]).await;
    let missing = |c: &PlatformConnection| reason(c, "Ready") == "SecretNotFound";
    world.until("prod", "without its Secret", missing).await;
    assert_no_diff(&world, &objects, "while something is missing");
    for secret in ["aep-credentials", "demo-credentials"] {
        world.create_credential(secret).await;
    }
    let exports = objects.iter().map(named);
    let exports: Vec<&str> = exports
        .filter(|(kind, _)| *kind == "ExportJob")
        .map(|(_, name)| name)
        .collect();
    // No more than may run at a time by the budget that is the default.
    assert!((9..=10).contains(&exports.len()), "{exports:?}");
    for name in &exports {
        world.until_phase(name, "Running").await;
    }
    asking.round().await;
    assert_no_diff(&world, &objects, "while they run");
    for name in &exports {
        end(&world, name, "release").await;
    }
    for name in &exports {
        world.until_phase(name, "Succeeded").await;
    }
    asking.round().await;
    assert_no_diff(&world, &objects, "after");
    asking.end().await;
}

/// What a merge patch (RFC 7386) needs to make one of the other.
fn patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (from, to) else {
        return to.clone();
    };
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let mut changes: Map<String, Value> = gone.map(|key| (key.clone(), Value::Null)).collect();
    for (key, value) in new
        .iter()
        .filter(|(key, value)| old.get(*key) != Some(value))
    {
        let before = old.get(key).unwrap_or(&Value::Null);
        changes.insert(key.clone(), patch(before, value));
    }
    Value::Object(changes)
}

/// Has Argo CD's action done: it sends what the script changed as a merge patch.
async fn click(world: &World, name: &str, action: &str) {
    let live = world.get(name).await;
    let mut live = serde_json::to_value(live).unwrap();
    live["apiVersion"] = json!(format!("{GROUP}/{VERSION}"));
    live["kind"] = json!("ExportJob");
    let offered = actions(&live);
    let enabled = (action.to_owned(), false);
    assert!(offered.contains(&enabled), "{action} of {offered:?}");
    let changes = patch(&live, &act(&live, action));
    world.patch::<ExportJob>(name, changes).await.unwrap();
}

#[tokio::test]
async fn argo_cds_actions_do_what_they_say_and_are_no_difference_to_what_is_in_git() {
    let world = World::start("actions").await;
    let in_git = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "ExportJob",
        "metadata": { "name": "weekly" },
        "spec": export_into("not-there"),
    });
    let args = [
        "apply",
        "--server-side",
        "--field-manager",
        MANAGERS[0],
        "-f",
        "-",
    ];
    let (applied, said) = kubectl(&world.namespace, &args, Some(&in_git.to_string()));
    assert!(applied, "{said}");
    let same = || async {
        let change = change(&world.client, &world.namespace, &in_git).await;
        assert_eq!(change, None);
    };
    world.until_phase("weekly", "Pending").await;

    click(&world, "weekly", "suspend").await;
    world.until_phase("weekly", "Suspended").await;
    same().await;
    click(&world, "weekly", "resume").await;
    world.until_phase("weekly", "Pending").await;
    same().await;
    click(&world, "weekly", "reconcile").await;
    let answered = |export: &ExportJob| {
        let annotations = export.metadata.annotations.as_ref().unwrap();
        let handled = &export.status.as_ref().unwrap().last_handled_reconcile_at;
        handled.as_ref() == annotations.get("aep-export.dev/requested-at")
    };
    world.until("weekly", "answered", answered).await;
    same().await;
    click(&world, "weekly", "cancel").await;
    let cancelled = world.until_phase("weekly", "Cancelled").await;
    assert!(is(&conditions(&cancelled), "Stalled", "True"));
    same().await;
    assert!(world.simulator.posts().await.is_empty());
}
