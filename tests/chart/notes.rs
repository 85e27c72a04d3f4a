//! What is told after an installation.

use serde_json::{Value, json};

use crate::helm::{NAMESPACE, RELEASE, Run, chart, crds_chart};

fn notes(chart: &str, values: &Value) -> String {
    let arguments = [
        "install",
        RELEASE,
        chart,
        "--dry-run=client",
        "--namespace",
        NAMESPACE,
    ];
    let said = Run::new(&arguments).values(values).end();
    let said = said.unwrap_or_else(|error| panic!("{error}"));
    let (_, notes) = said.split_once("NOTES:\n").expect("notes");
    notes.to_owned()
}

#[test]
fn the_notes_say_what_is_served_and_which_secrets_may_be_read() {
    let watched = json!({"watch": {"namespaces": ["a", "b"]}, "clusterId": "1"});
    let namespaces = json!({"secretAccess": {"mode": "namespaces", "namespaces": ["a", "b"]}});
    let named = json!({"secretAccess": {"mode": "named", "named": {"a": ["x", "y"]}}});
    for (values, said) in [
        (json!({}), "serves all namespaces."),
        (json!({}), "It may watch any Secret in all namespaces"),
        (watched.clone(), "serves the namespaces a, b."),
        (watched, "It may watch any Secret in a, b, each by its name"),
        (namespaces, "only in a, b (secretAccess.namespaces)."),
        (
            named,
            "only these Secrets (secretAccess.named):\n  a: x, y\n",
        ),
        (
            json!({"watch": {"shardSelector": "s=1"}}),
            "all namespaces, and in them what matches s=1.",
        ),
        (
            json!({"rbac": {"create": false}}),
            "The chart has made no roles",
        ),
        (
            json!({"crds": {"install": false}}),
            "The CRDs are not part of this release",
        ),
        (
            json!({"crds": {"keep": false}}),
            "are deleted with this release",
        ),
        (
            json!({"controllerClass": "blue"}),
            "spec.controllerClass blue.",
        ),
    ] {
        let notes = notes(&chart(), &values);
        assert!(notes.contains(said), "{values}:\n{notes}");
    }
}

#[test]
fn the_notes_of_the_default_say_nothing_of_other_modes() {
    let notes = notes(&chart(), &json!({}));
    for word in [
        "rbac.create",
        "crds.",
        "controllerClass",
        "matches",
        "named",
    ] {
        assert!(!notes.contains(word), "{word}:\n{notes}");
    }
    assert!(notes.contains("kubectl -n aep rollout status deployment/aep-export-operator"));
}

#[test]
fn the_notes_of_the_crds_warn_where_they_are_not_kept() {
    let warning = "are deleted with this release";
    assert!(!notes(&crds_chart(), &json!({})).contains(warning));
    assert!(notes(&crds_chart(), &json!({"keep": false})).contains(warning));
}
