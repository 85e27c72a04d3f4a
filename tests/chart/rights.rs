//! The rights that the chart grants, tried under its own account.

use aep_control_plane::Helm;
use aep_export_operator::api::{
    ClusterPlatformConnection, ExportJob, PlatformConnection, ProfileDataset,
};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

use crate::{
    harness::{ORGANIZATION, condition, conditions, eventually, export_into, is},
    helm::{RELEASE, chart},
    site::{Site, with_tenant},
};

const TEAM: &str = "team-a";
const OTHER: &str = "team-b";

/// A release with these values, and its operator.
async fn site(values: Value) -> Site {
    let mut site = Site::start(&[TEAM, OTHER]).await;
    install(&mut site, &values);
    site.begin_well().await;
    site
}

fn install(site: &mut Site, values: &Value) {
    let values = with_tenant(values);
    site.helm_well(Helm::V4, &["install", RELEASE, &chart()], &values);
}

/// Waits until a connection says that its Secret may not be watched, and what to do.
async fn denied(site: &Site, namespace: &str, connection: &str, secret: &str) {
    let denied = site
        .until::<PlatformConnection>(namespace, connection, "Stalled", |connection| {
            is(&conditions(connection), "Stalled", "True")
        })
        .await;
    let told = condition(&denied, "Stalled").unwrap();
    assert_eq!(told.reason, "SecretUnreadable");
    for said in [
        &format!("the operator cannot watch Secret {secret} in namespace {namespace}") as &str,
        r#"cannot watch resource "secrets""#,
        "secretAccess",
    ] {
        assert!(told.message.contains(said), "{said}: {}", told.message);
    }
}

/// Nothing but what was to be denied has been.
async fn nothing_else_was_denied(site: &Site) {
    let log = site.log();
    let denied: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("forbidden") && !line.contains("secrets"))
        .collect();
    assert!(denied.is_empty(), "{denied:#?}");
    let metrics = site.page("metrics").await.unwrap();
    assert!(!metrics.contains(r#"reason="Forbidden""#), "{metrics}");
}

#[tokio::test]
async fn with_secret_access_of_the_cluster_every_connection_works_and_no_secret_is_listed() {
    let mut site = site(json!({})).await;
    for namespace in [TEAM, OTHER] {
        site.connect(namespace, "prod", "aep-credentials").await;
        site.export(namespace, "prod", "weekly").await;
    }
    for verb in ["get", "list", "create", "update", "patch", "delete"] {
        assert!(!site.may(&[verb, "secrets", "--all-namespaces"]), "{verb}");
    }
    assert!(site.may(&["watch", "secrets", "--all-namespaces"]));
    nothing_else_was_denied(&site).await;
    site.end();
}

/// A connection that all namespaces share, with its Secret in this one.
async fn share(site: &Site, home: &str) {
    let url = site.simulator.url();
    let shared = json!({
        "apiVersion": "aep-export.dev/v1alpha1",
        "kind": "ClusterPlatformConnection",
        "metadata": {"name": "shared"},
        "spec": {
            "organizationId": ORGANIZATION,
            "sandbox": "prod",
            "namespaceSelector": {},
            "auth": {"oauthServerToServer": {
                "secretRef": {"name": "aep-credentials", "namespace": home},
            }},
            "endpoints": {"platform": url, "ims": url},
        },
    });
    let shared: ClusterPlatformConnection = serde_json::from_value(shared).unwrap();
    let all: Api<ClusterPlatformConnection> = Api::all(site.client.clone());
    all.create(&PostParams::default(), &shared).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_namespaces_share_needs_the_right_to_its_secret_only() {
    let access = json!({"mode": "named", "named": {OTHER: ["aep-credentials"]}});
    let mut site = site(json!({"secretAccess": access})).await;
    site.connect(OTHER, "prod", "aep-credentials").await;
    share(&site, OTHER).await;
    let spec = json!({
        "connectionRef": {"kind": "ClusterPlatformConnection", "name": "shared"},
        "dataset": {"name": "Profile Data Export"},
    });
    site.create::<ProfileDataset>(TEAM, "weekly", spec).await;
    site.create::<ExportJob>(TEAM, "weekly", export_into("weekly"))
        .await;
    site.until_complete(TEAM, "weekly").await;
    assert!(!site.may(&["watch", "secrets/aep-credentials", "--namespace", TEAM]));
    nothing_else_was_denied(&site).await;
    site.end();
}

#[tokio::test]
async fn with_secret_access_of_namespaces_a_secret_elsewhere_is_denied() {
    let access = json!({"mode": "namespaces", "namespaces": [TEAM]});
    let mut site = site(json!({"secretAccess": access})).await;
    site.connect(TEAM, "prod", "aep-credentials").await;
    site.connect(OTHER, "prod", "aep-credentials").await;
    site.export(TEAM, "prod", "weekly").await;
    denied(&site, OTHER, "prod", "aep-credentials").await;
    assert!(!site.may(&["watch", "secrets", "--namespace", OTHER]));
    nothing_else_was_denied(&site).await;
    site.end();
}

#[tokio::test]
async fn with_access_to_named_secrets_another_one_beside_them_is_denied() {
    let access = json!({"mode": "named", "named": {TEAM: ["aep-credentials"]}});
    let mut site = site(json!({"secretAccess": access})).await;
    site.connect(TEAM, "prod", "aep-credentials").await;
    site.connect(TEAM, "other", "other-credentials").await;
    site.connect(OTHER, "prod", "aep-credentials").await;
    site.export(TEAM, "prod", "weekly").await;
    denied(&site, TEAM, "other", "other-credentials").await;
    denied(&site, OTHER, "prod", "aep-credentials").await;
    assert!(!site.may(&["watch", "secrets", "--namespace", TEAM]));
    assert!(site.may(&["watch", "secrets/aep-credentials", "--namespace", TEAM]));
    nothing_else_was_denied(&site).await;
    site.end();
}

#[tokio::test]
async fn with_watched_namespaces_roles_in_them_are_enough_and_nothing_else_is_touched() {
    let values = json!({
        "watch": {"namespaces": [TEAM]},
        "clusterId": "44af9c8a-cb35-4a3f-95df-e76fcdc188ed",
    });
    let mut site = site(values).await;
    site.connect(OTHER, "prod", "aep-credentials").await;
    site.connect(TEAM, "prod", "aep-credentials").await;
    site.export(TEAM, "prod", "weekly").await;
    let bound = site.kubectl(&["get", "clusterrolebindings", "--output=wide"]);
    assert!(!bound.contains(RELEASE), "{bound}");
    assert!(site.may(&["get", "namespaces/team-a", "--namespace", TEAM]));
    for question in [
        ["get", "namespaces/team-b", "--namespace", OTHER],
        [
            "get",
            "namespaces/kube-system",
            "--namespace",
            "kube-system",
        ],
        ["list", "exportjobs.aep-export.dev", "--namespace", OTHER],
        ["watch", "secrets", "--namespace", OTHER],
        ["create", "leases.coordination.k8s.io", "--namespace", TEAM],
    ] {
        assert!(!site.may(&question), "{question:?}");
    }
    let connections: Api<PlatformConnection> = Api::namespaced(site.client.clone(), OTHER);
    let untouched = connections.get("prod").await.unwrap();
    assert!(conditions(&untouched).is_empty(), "{untouched:?}");
    nothing_else_was_denied(&site).await;
    site.end();
}

/// Waits for a line of the log, which names verb, resource and the value that grants the right.
async fn told_with_the_value(site: &Site, said: &str) {
    let line = eventually(said, || async {
        let log = site.log();
        let line = log.lines().find(|line| line.contains(said));
        line.map(ToOwned::to_owned).ok_or(log)
    })
    .await;
    assert!(line.contains("cannot get resource"), "{line}");
    assert!(line.contains("rbac.create"), "{line}");
}

#[tokio::test]
async fn without_roles_the_operator_goes_on_and_names_what_grants_each_right() {
    let mut site = Site::start(&[TEAM]).await;
    install(&mut site, &json!({"rbac": {"create": false}}));
    site.begin().await;
    told_with_the_value(&site, "namespace kube-system cannot be read").await;
    let said = site.page("readyz").await.unwrap();
    assert!(said.contains("rbac.create"), "{said}");

    // With the cluster's identity it comes as far as the lease and the objects.
    site.end();
    let identity = json!({"rbac": {"create": false}, "clusterId": "44af9c8a"});
    let upgrade = ["upgrade", RELEASE, &chart()];
    site.helm_well(Helm::V4, &upgrade, &with_tenant(&identity));
    site.begin().await;
    told_with_the_value(&site, "the lease cannot be read").await;
    eventually("every kind to say what it lacks", || async {
        let said = site.page("readyz").await?;
        let tells = |kind| said.contains(&format!("{kind}: this ServiceAccount may not"));
        let kinds = ["PlatformConnection", "ProfileDataset", "ExportJob"];
        if kinds.into_iter().all(tells) && said.contains("rbac.create") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;

    // It heals when the rights come.
    site.helm_well(
        Helm::V4,
        &upgrade,
        &with_tenant(&json!({"clusterId": "44af9c8a"})),
    );
    eventually("the operator to be ready", || async {
        match site.page("readyz").await? {
            said if said.trim() == "ok" => Ok(()),
            said => Err(said),
        }
    })
    .await;
    site.connect(TEAM, "prod", "aep-credentials").await;
    site.export(TEAM, "prod", "weekly").await;
    site.end();
}
