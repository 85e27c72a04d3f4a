//! Argo CD's health checks and actions, by the test data that lies beside them in Argo CD's layout.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use aep_export_operator::api::{
    ClusterPlatformConnection, ExportJob, PlatformConnection, ProfileDataset,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    argocd::{act, actions, folder, health, script},
    kstatus::{Kstatus, kstatus},
};

/// The kinds that have scripts.
const KINDS: [&str; 4] = [
    "ClusterPlatformConnection",
    "ExportJob",
    "PlatformConnection",
    "ProfileDataset",
];
/// What the test data has for the time of an action.
const THEN: &str = "2026-11-25T08:05:00Z";

/// `health_test.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HealthTests {
    tests: Vec<HealthTest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct HealthTest {
    input_path: String,
    health_status: Health,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Health {
    status: String,
    message: String,
}

/// `action_test.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ActionTests {
    discovery_tests: Vec<DiscoveryTest>,
    action_tests: Vec<ActionTest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DiscoveryTest {
    input_path: String,
    result: Vec<Offer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Offer {
    name: String,
    disabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ActionTest {
    action: String,
    input_path: String,
    expected_output_path: String,
}

fn yaml<T: DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn health_tests(kind: &str) -> Vec<(Value, HealthTest)> {
    let HealthTests { tests } = yaml(&folder(kind).join("health_test.yaml"));
    let read = |test: HealthTest| (yaml(&folder(kind).join(&test.input_path)), test);
    tests.into_iter().map(read).collect()
}

fn action_tests(kind: &str) -> ActionTests {
    yaml(&folder(kind).join("actions/action_test.yaml"))
}

/// The files of a folder, by name.
fn names(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn every_health_check_says_what_its_test_data_says() {
    for kind in KINDS {
        let mut used = BTreeSet::new();
        for (object, test) in health_tests(kind) {
            let Health { status, message } = test.health_status;
            assert_eq!(
                health(&object),
                (status, message),
                "{kind} {}",
                test.input_path
            );
            used.insert(test.input_path.replace("testdata/", ""));
        }
        assert_eq!(used, names(&folder(kind).join("testdata")), "{kind}");
    }
}

#[test]
fn argo_cd_and_kstatus_say_the_same_of_every_state() {
    for kind in KINDS {
        for (object, test) in health_tests(kind) {
            let wanted = match kstatus(&object) {
                Kstatus::InProgress => &["Progressing", "Suspended"][..],
                Kstatus::Current => &["Healthy"],
                Kstatus::Failed => &["Degraded"],
                Kstatus::Terminating => unreachable!("Argo CD asks no script"),
            };
            let (said, _) = health(&object);
            assert!(
                wanted.contains(&said.as_str()),
                "{kind} {}: {said}",
                test.input_path
            );
        }
    }
}

#[test]
fn an_object_without_a_status_is_in_progress() {
    for kind in KINDS {
        let mut object = health_tests(kind).remove(0).0;
        object.as_object_mut().unwrap().remove("status");
        assert_eq!(health(&object).0, "Progressing", "{kind}");
        object["status"] = json!({ "observedGeneration": object["metadata"]["generation"] });
        assert_eq!(health(&object).0, "Progressing", "{kind}");
    }
}

#[test]
fn the_test_data_is_as_the_kinds_are() {
    fn same<K: DeserializeOwned + Serialize>(object: &Value) {
        let read: K = serde_json::from_value(object.clone()).unwrap();
        let again = serde_json::to_value(read).unwrap();
        for part in ["spec", "status"] {
            assert_eq!(
                without_defaults(&again[part]),
                without_defaults(&object[part]),
                "{object}"
            );
        }
    }
    for kind in KINDS {
        for (object, _) in health_tests(kind) {
            match kind {
                "ExportJob" => same::<ExportJob>(&object),
                "ProfileDataset" => same::<ProfileDataset>(&object),
                "PlatformConnection" => same::<PlatformConnection>(&object),
                "ClusterPlatformConnection" => same::<ClusterPlatformConnection>(&object),
                other => panic!("no {other} is known"),
            }
        }
    }
}

/// What is written out where it is empty says nothing.
fn without_defaults(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let entries = map
                .iter()
                .map(|(key, item)| (key.clone(), without_defaults(item)));
            let empty = [json!([]), json!({}), Value::Null];
            let entries = entries.filter(|(_, item)| !empty.contains(item));
            Value::Object(entries.collect())
        }
        Value::Array(items) => items.iter().map(without_defaults).collect(),
        other => other.clone(),
    }
}

#[test]
fn every_action_is_offered_where_it_does_something() {
    for kind in KINDS {
        for test in action_tests(kind).discovery_tests {
            let object = yaml(&folder(kind).join("actions").join(&test.input_path));
            let wanted = test
                .result
                .into_iter()
                .map(|offer| (offer.name, offer.disabled));
            let wanted: BTreeMap<String, bool> = wanted.collect();
            let offered: BTreeMap<String, bool> = actions(&object).into_iter().collect();
            assert_eq!(offered, wanted, "{kind} {}", test.input_path);
        }
    }
}

#[test]
fn every_action_makes_what_its_test_data_says_and_nothing_else() {
    for kind in KINDS {
        let actions = folder(kind).join("actions");
        let mut tried = BTreeSet::new();
        for test in action_tests(kind).action_tests {
            let object: Value = yaml(&actions.join(&test.input_path));
            let mut made = act(&object, &test.action);
            if let Some(at) = made.pointer_mut("/metadata/annotations/aep-export.dev~1requested-at")
            {
                let now: jiff::Timestamp = at.as_str().unwrap().parse().unwrap();
                let age = jiff::Timestamp::now().duration_since(now);
                assert!(age.as_secs().abs() < 60, "{age}");
                *at = THEN.into();
            }
            let wanted: Value = yaml(&actions.join(&test.expected_output_path));
            assert_eq!(made, wanted, "{kind} {}", test.action);
            tried.insert(test.action);
        }
        let offered = names(&actions);
        let offered: BTreeSet<String> = offered
            .into_iter()
            .filter(|name| actions.join(name).join("action.lua").is_file())
            .collect();
        assert_eq!(tried, offered, "{kind}");
    }
}

#[test]
fn the_two_kinds_of_connection_have_the_same_scripts() {
    for name in [
        "health.lua",
        "actions/discovery.lua",
        "actions/reconcile/action.lua",
    ] {
        let [one, other] = ["PlatformConnection", "ClusterPlatformConnection"];
        assert_eq!(script(one, name), script(other, name), "{name}");
    }
}

#[test]
fn the_config_map_has_every_script_as_it_is() {
    let map: Value = yaml(&folder("").join("../../argocd-cm.yaml"));
    let data = map["data"].as_object().unwrap();
    assert_eq!(data.len(), 2 * KINDS.len());
    for kind in KINDS {
        let text = |what: &str| {
            let key = format!("resource.customizations.{what}.aep-export.dev_{kind}");
            data[&key].as_str().unwrap().to_owned()
        };
        assert_eq!(text("health"), script(kind, "health.lua"), "{kind}");
        let told: Value = serde_saphyr::from_str(&text("actions")).unwrap();
        assert_eq!(
            told["discovery.lua"],
            script(kind, "actions/discovery.lua"),
            "{kind}"
        );
        let mut defined = BTreeSet::new();
        for definition in told["definitions"].as_array().unwrap() {
            let name = definition["name"].as_str().unwrap().to_owned();
            let path = format!("actions/{name}/action.lua");
            assert_eq!(definition["action.lua"], script(kind, &path), "{kind}");
            defined.insert(name);
        }
        let tests = action_tests(kind).action_tests;
        assert_eq!(
            defined,
            tests.into_iter().map(|test| test.action).collect(),
            "{kind}"
        );
    }
}
