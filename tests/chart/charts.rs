//! Charts as Helm reads them.

use aep_control_plane::Helm;
use aep_export_operator::api;
use serde_json::{Value, json};

use crate::helm::{Manifests, Run, chart, crds_chart, folder, render, render_by};

/// All that can be switched on at once.
pub fn everything() -> Value {
    let text = std::fs::read_to_string(folder("tests/chart/everything.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// The ways to grant rights, by name.
pub fn modes() -> [(&'static str, Value); 6] {
    [
        ("default", json!({})),
        ("everything", everything()),
        (
            "watched namespaces",
            json!({"watch": {"namespaces": ["team-a", "team-b"]}, "clusterId": "44af9c8a"}),
        ),
        (
            "watched namespaces and named Secrets",
            json!({
                "watch": {"namespaces": ["team-a"]},
                "clusterId": "44af9c8a",
                "secretAccess": {"mode": "named", "named": {"team-a": ["aep-credentials"]}},
                "crds": {"install": false},
            }),
        ),
        (
            "Secrets of namespaces",
            json!({"secretAccess": {"mode": "namespaces", "namespaces": ["team-a", "team-b"]}}),
        ),
        (
            "named Secrets",
            json!({"secretAccess": {"mode": "named", "named": {"team-a": ["aep-credentials"]}}}),
        ),
    ]
}

fn rendered(values: &Value) -> Manifests {
    render(&[values]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn helm_finds_nothing_to_complain_of() {
    for version in [Helm::V4, Helm::V3] {
        for chart in [chart(), crds_chart()] {
            let run = Run::of(version, &["lint", "--strict", &chart]);
            run.end().unwrap_or_else(|error| panic!("{chart}: {error}"));
        }
        for (name, values) in modes() {
            let run = Run::of(version, &["lint", "--strict", &chart()]).values(&values);
            run.end().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

#[test]
fn both_versions_of_helm_render_the_same() {
    for (name, values) in modes() {
        let old = render_by(Helm::V3, &chart(), &[&values]);
        assert_eq!(old, render(&[&values]), "{name}");
    }
}

/// The CRDs among manifests, without what a chart adds to them.
fn crds(manifests: &Manifests) -> Vec<Value> {
    let mut crds: Vec<Value> = manifests.all().collect();
    crds.retain(|object| object["kind"] == "CustomResourceDefinition");
    for crd in &mut crds {
        let metadata = crd["metadata"].as_object_mut().unwrap();
        metadata.remove("labels");
        metadata.remove("annotations");
    }
    crds
}

#[test]
fn both_charts_have_the_crds_of_the_types() {
    let of_types = api::crds().unwrap().into_iter();
    let of_types: Vec<Value> = of_types
        .map(|(_, crd)| serde_saphyr::from_str(&api::to_yaml(&crd).unwrap()).unwrap())
        .collect();
    assert!(!of_types.is_empty());
    for chart in [chart(), crds_chart()] {
        let mut crds = crds(&render_by(Helm::V4, &chart, &[]).unwrap());
        crds.sort_by_key(|crd| crd["metadata"]["name"].to_string());
        let mut of_types = of_types.clone();
        of_types.sort_by_key(|crd| crd["metadata"]["name"].to_string());
        assert_eq!(crds, of_types, "{chart}: `make generate` writes them");
    }
}

#[test]
fn crds_are_kept_unless_it_is_said_that_they_are_not() {
    for (chart, not) in [
        (chart(), json!({"crds": {"keep": false}})),
        (crds_chart(), json!({"keep": false})),
    ] {
        let kept = |values: &[&Value]| {
            let all = render_by(Helm::V4, &chart, values).unwrap();
            let crds = all
                .all()
                .filter(|object| object["kind"] == "CustomResourceDefinition");
            let policy =
                crds.map(|crd| crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep");
            policy.collect::<Vec<bool>>()
        };
        let all = kept(&[]);
        assert!(!all.is_empty() && all.iter().all(|kept| *kept), "{chart}");
        assert!(kept(&[&not]).iter().all(|kept| !kept), "{chart}");
    }
}

#[test]
fn watched_namespaces_need_no_right_beyond_them() {
    let values = json!({"watch": {"namespaces": ["team-a", "team-b"]}, "clusterId": "44af9c8a"});
    let manifests = rendered(&values);
    let wide: Vec<&str> = manifests
        .names()
        .filter(|name| name.starts_with("ClusterRole"))
        .collect();
    assert!(wide.is_empty(), "{wide:?}");
    for namespace in ["team-a", "team-b"] {
        for name in ["aep-export-operator", "aep-export-operator-secrets"] {
            let role = manifests.get(&format!("Role {namespace}/{name}"));
            assert!(!role["rules"].as_array().unwrap().is_empty());
        }
    }
}

/// The rules of all roles, each with the kind of its role.
fn rules(manifests: &Manifests) -> Vec<(String, Value)> {
    let roles = manifests.all().filter(|object| {
        ["Role", "ClusterRole"]
            .iter()
            .any(|kind| object["kind"] == *kind)
    });
    roles
        .flat_map(|role| {
            let name = role["metadata"]["name"].as_str().unwrap().to_owned();
            let all = role["rules"].as_array().unwrap().clone();
            all.into_iter().map(move |rule| (name.clone(), rule))
        })
        .collect()
}

#[test]
fn no_role_has_a_wildcard_and_none_lets_secrets_be_read_otherwise_than_by_name() {
    for (mode, values) in modes() {
        for (role, rule) in rules(&rendered(&values)) {
            let text = rule.to_string();
            assert!(!text.contains('*'), "{mode}: {role}: {text}");
            if rule["resources"]
                .as_array()
                .unwrap()
                .contains(&json!("secrets"))
            {
                assert_eq!(rule["verbs"], json!(["watch"]), "{mode}: {role}");
            }
        }
    }
}

#[test]
fn the_rights_are_those_of_the_roles_for_an_install_by_hand() {
    let by_hand = std::fs::read_to_string(folder("deploy/rbac.yaml")).unwrap();
    let by_hand: Vec<Value> = serde_saphyr::from_multiple(&by_hand).unwrap();
    let flat = |rules: Vec<Value>| {
        let mut all = std::collections::BTreeSet::new();
        for rule in rules {
            let of = |key: &str| rule[key].as_array().cloned().unwrap_or_default();
            for resource in of("resources") {
                for verb in of("verbs") {
                    all.insert(format!("{} {resource} {verb}", rule["apiGroups"]));
                }
            }
        }
        all
    };
    let hand = by_hand
        .iter()
        .filter_map(|object| object["rules"].as_array());
    let hand = flat(hand.flatten().cloned().collect());
    let granted = rules(&rendered(&json!({"rbac": {"aggregate": false}})));
    let granted = flat(granted.into_iter().map(|(_, rule)| rule).collect());
    assert_eq!(granted, hand);
}
