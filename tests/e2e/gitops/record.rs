//! Every state that the objects of a test are in, as watches see them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aep_export_operator::api::{GROUP, VERSION};
use futures::TryStreamExt;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::watcher,
};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    contract::{
        argocd,
        kstatus::{Kstatus, kstatus},
    },
    harness::{World, eventually},
};

const KINDS: [&str; 4] = [SHARED, "PlatformConnection", "ProfileDataset", "ExportJob"];
/// The kind that is in no namespace: that of a test is named as the test's own.
const SHARED: &str = "ClusterPlatformConnection";

/// What was seen since it began.
pub struct Record {
    seen: Arc<Mutex<Vec<Value>>>,
    watches: JoinSet<()>,
}

impl Record {
    /// Begins.
    pub fn begin(world: &World) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut watches = JoinSet::new();
        for kind in KINDS {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, kind));
            let (client, namespace) = (world.client.clone(), &world.namespace);
            let (api, config): (Api<DynamicObject>, _) = if kind == SHARED {
                let its = format!("metadata.name={namespace}");
                let config = watcher::Config::default().fields(&its);
                (Api::all_with(client, &resource), config)
            } else {
                let api = Api::namespaced_with(client, namespace, &resource);
                (api, watcher::Config::default())
            };
            let seen = Arc::clone(&seen);
            watches.spawn(async move {
                let events = watcher(api, config).try_for_each(|event| {
                    if let watcher::Event::Apply(object) | watcher::Event::InitApply(object) = event
                    {
                        let object = serde_json::to_value(object).unwrap();
                        seen.lock().unwrap().push(object);
                    }
                    async { Ok(()) }
                });
                events.await.unwrap();
            });
        }
        Self { seen, watches }
    }

    /// Waits until the watches have seen an object as it is by now, in this state.
    pub async fn until(&self, kind: &str, name: &str, state: &str) {
        eventually(&format!("{kind} {name} to be seen as {state}"), || async {
            let seen = self.seen.lock().unwrap();
            let of_it = seen
                .iter()
                .filter(|it| it["kind"] == kind && it["metadata"]["name"] == name);
            let states: Vec<String> = of_it.map(state_of).collect();
            if states.iter().any(|it| it == state) {
                Ok(())
            } else {
                Err(format!("{states:?}"))
            }
        })
        .await;
    }

    /// Ends: every state that was seen, by what kstatus and Argo CD say of it. Both hold to the
    /// conditions, and say the same.
    pub async fn end(mut self) -> BTreeMap<String, Kstatus> {
        self.watches.shutdown().await;
        let seen = self.seen.lock().unwrap();
        let mut states = BTreeMap::new();
        for object in seen.iter() {
            let said = kstatus(object);
            sound(object, said);
            let key = format!("{} {}", object["kind"].as_str().unwrap(), state_of(object));
            let before = states.insert(key.clone(), said);
            assert!(
                before.is_none_or(|before| before == said),
                "{key}: {before:?}, {said:?}"
            );
        }
        states
    }
}

fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == type_)
}

fn is_true(object: &Value, type_: &str) -> bool {
    condition(object, type_).is_some_and(|condition| condition["status"] == "True")
}

/// A word for the state of an object: whether it is being deleted or not seen yet, else its phase
/// and why, and what else is true of it.
fn state_of(object: &Value) -> String {
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return "deleted".to_owned();
    }
    if object["status"]["observedGeneration"] != object["metadata"]["generation"] {
        return "not seen".to_owned();
    }
    let phase = object["status"]["phase"].as_str().unwrap_or("-");
    let ready = condition(object, "Ready").map(|ready| ready["reason"].as_str().unwrap());
    let mut state = format!("{phase} {}", ready.unwrap_or_default());
    for also in ["InUse", "Drifted"] {
        if is_true(object, also) {
            state.push(' ');
            state.push_str(also);
        }
    }
    // What was ready and cannot be asked.
    if is_true(object, "Ready") && is_true(object, "Reconciling") {
        state.push_str(" shaken");
    }
    state
}

/// What holds of every object at every time.
fn sound(object: &Value, said: Kstatus) {
    assert!(
        !(is_true(object, "Reconciling") && is_true(object, "Stalled")),
        "{object:#}"
    );
    let (health, message) = argocd::health(object);
    let wanted = match said {
        Kstatus::Current => &["Healthy"][..],
        Kstatus::Failed => &["Degraded"],
        Kstatus::InProgress => &["Progressing", "Suspended"],
        Kstatus::Terminating => &["Progressing"],
    };
    assert!(
        wanted.contains(&health.as_str()),
        "{health}, {said:?}: {object:#}"
    );
    assert!(!message.is_empty(), "{object:#}");
    let suspended = is_true(object, "Suspended") && said == Kstatus::InProgress;
    let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    assert_eq!(health == "Suspended", suspended && current, "{object:#}");
}
