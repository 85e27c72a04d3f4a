//! T4: what the operator's account may do.

use serde_json::Value;

use crate::harness::{World, documents, kubectl};

/// The rules of the roles that `deploy/rbac.yaml` makes.
fn rules() -> Vec<Value> {
    let roles = documents(include_str!("../../../deploy/rbac.yaml"));
    let roles = roles
        .iter()
        .filter(|role| role["kind"] == "ClusterRole" || role["kind"] == "Role");
    roles
        .flat_map(|role| role["rules"].as_array().unwrap().clone())
        .collect()
}

#[test]
fn no_right_is_for_all_resources_or_all_verbs_and_secrets_can_only_be_watched() {
    let words = |rule: &Value, key: &str| -> Vec<String> {
        let words = rule[key].as_array().cloned().unwrap_or_default();
        words
            .iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let mut of_secrets = Vec::new();
    for rule in rules() {
        let (groups, resources) = (words(&rule, "apiGroups"), words(&rule, "resources"));
        let verbs = words(&rule, "verbs");
        for word in groups.iter().chain(&resources).chain(&verbs) {
            assert!(!word.contains('*'), "{rule}");
        }
        for verb in ["escalate", "bind", "impersonate", "deletecollection"] {
            assert!(!verbs.contains(&verb.to_owned()), "{rule}");
        }
        if resources.contains(&"secrets".to_owned()) {
            of_secrets.extend(verbs);
        }
        // Not one kind that runs something or grants something.
        let known = ["aep-export.dev", "", "events.k8s.io", "coordination.k8s.io"];
        for group in groups {
            assert!(known.contains(&group.as_str()), "{rule}");
        }
    }
    assert_eq!(of_secrets, ["watch"]);
}

#[tokio::test]
async fn the_operators_account_cannot_list_secrets_nor_read_those_of_other_namespaces() {
    let world = World::without_operator("rights").await;
    let other = World::without_operator("rights").await;
    let account = format!("--as=system:serviceaccount:{}:operator", world.namespace);
    let may = |namespace: &str, verb: &str, resource: &str| {
        let args = ["auth", "can-i", verb, resource, &account];
        let (_, said) = kubectl(namespace, &args, None);
        let says = |word: &str| said.lines().any(|line| line == word);
        assert_ne!(says("yes"), says("no"), "{verb} {resource}: {said}");
        says("yes")
    };
    let own = world.namespace.as_str();
    assert!(may(own, "watch", "secrets"), "what it needs it has");
    for verb in ["get", "list", "create", "update", "patch", "delete"] {
        assert!(!may(own, verb, "secrets"), "{verb}");
    }
    for verb in ["get", "list", "watch"] {
        assert!(!may(&other.namespace, verb, "secrets"), "{verb}");
    }
    for (verb, resource) in [
        ("create", "pods"),
        ("get", "configmaps"),
        ("create", "serviceaccounts"),
        ("create", "rolebindings.rbac.authorization.k8s.io"),
        ("update", "exportjobs.aep-export.dev"),
        ("create", "exportjobs.aep-export.dev"),
        ("delete", "profiledatasets.aep-export.dev"),
        ("delete", "platformconnections.aep-export.dev"),
        ("patch", "customresourcedefinitions.apiextensions.k8s.io"),
    ] {
        assert!(!may(own, verb, resource), "{verb} {resource}");
    }
}
