//! The life of a release on a real API server: installed, upgraded, removed, and installed again.

use aep_control_plane::Helm;
use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::{Value, json};

use crate::{
    harness::{conditions, eventually, export_into, is},
    helm::{RELEASE, chart, crds_chart, folder},
    site::{Site, with_tenant},
};

const TEAM: &str = "team-a";

/// The CRDs of this project: their names and UIDs.
async fn crds(site: &Site) -> Vec<(String, String)> {
    let api: Api<CustomResourceDefinition> = Api::all(site.client.clone());
    let all = api.list(&ListParams::default()).await.unwrap();
    let ours = all
        .into_iter()
        .filter(|crd| crd.spec.group == "aep-export.dev");
    let named = ours.map(|crd| (crd.name_any(), crd.uid().unwrap()));
    named.collect()
}

async fn export(site: &Site, name: &str) -> ExportJob {
    let api: Api<ExportJob> = Api::namespaced(site.client.clone(), TEAM);
    api.get(name).await.unwrap()
}

/// What was recorded stands, beside what the earlier version did not have.
fn keeps<S: serde::Serialize>(before: &S, after: &S) {
    let [before, after] = [before, after].map(|status| serde_json::to_value(status).unwrap());
    for (key, recorded) in before.as_object().unwrap() {
        assert_eq!(&after[key], recorded, "{key}");
    }
}

#[tokio::test]
async fn an_earlier_chart_is_upgraded_and_its_objects_keep_working() {
    let mut site = Site::start(&[TEAM]).await;
    let earlier = folder("tests/fixtures/chart-0.0.1");
    // It knew no connections that namespaces share, as an operator of single namespaces does not.
    let allowed = json!({"allowedHosts": ["127.0.0.1"], "watchNamespaces": [TEAM]});
    // Its pods are not restricted, of which the API server warns.
    let install = ["install", RELEASE, &earlier.display().to_string()];
    site.helm_well(Helm::V4, &install, &allowed);
    site.begin_well().await;
    site.apply(TEAM, &earlier.join("objects.yaml"));
    site.until_complete(TEAM, "finished").await;
    site.simulator.hold_jobs().await;
    site.create::<ExportJob>(TEAM, "running", export_into("profiles"))
        .await;
    let running = site
        .until::<ExportJob>(TEAM, "running", "Running", |export| {
            export
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref())
                == Some("Running")
        })
        .await;
    site.end();
    let finished = export(&site, "finished").await;
    let before = crds(&site).await;
    assert_eq!(before.len(), 3);
    let posts = site.simulator.posts().await.len();
    assert_eq!(posts, 2);

    let values = with_tenant(&json!({}));
    site.helm_well(Helm::V4, &["upgrade", RELEASE, &chart()], &values);
    let after = crds(&site).await;
    let gone: Vec<_> = before.iter().filter(|crd| !after.contains(crd)).collect();
    assert!(gone.is_empty(), "{gone:?}");
    assert!(after.len() > before.len(), "a kind of today is missing");
    let crd = site.kubectl(&["get", "crd/exportjobs.aep-export.dev", "--output=json"]);
    assert!(
        crd.contains("\"backoffLimit\""),
        "the CRD is still the earlier one"
    );
    site.begin_well().await;
    let job = running.status.unwrap().job_id.unwrap();
    let release = json!({"outcome": "release"});
    site.simulator.put(&format!("jobs/{job}"), release).await;
    let ended = site.until_complete(TEAM, "running").await;
    assert_eq!(ended.status.unwrap().job_id, Some(job));
    site.until::<PlatformConnection>(TEAM, "prod", "Ready", |connection| {
        is(&conditions(connection), "Ready", "True")
    })
    .await;
    site.until::<ProfileDataset>(TEAM, "profiles", "Ready", |dataset| {
        is(&conditions(dataset), "Ready", "True")
    })
    .await;
    assert_eq!(site.simulator.posts().await.len(), posts, "a second export");
    keeps(&finished.status, &export(&site, "finished").await.status);
    let ended = json!({"outcome": "succeed"});
    site.simulator.put("defaults", ended).await;
    site.export(TEAM, "prod", "new").await;
    assert_eq!(site.simulator.posts().await.len(), posts + 1);
    site.end();
}

/// A release that goes and comes back, by either version of Helm.
async fn crds_outlive(version: Helm) {
    let site = Site::start(&[TEAM]).await;
    let values = with_tenant(&json!({}));
    site.helm_well(version, &["install", RELEASE, &chart()], &values);
    let before = crds(&site).await;
    site.connect(TEAM, "prod", "aep-credentials").await;
    site.create::<ExportJob>(TEAM, "kept", export_into("profiles"))
        .await;
    let kept = export(&site, "kept").await;

    let said = site.helm_well(version, &["uninstall", RELEASE], &values);
    assert!(
        said.contains("were kept due to the resource policy"),
        "{said}"
    );
    assert_eq!(crds(&site).await, before);
    assert_eq!(export(&site, "kept").await, kept);
    let (_, left) = site.try_kubectl(&[
        "get",
        "deployments,services,serviceaccounts,roles,rolebindings,poddisruptionbudgets",
        "--namespace=aep",
        "--selector=app.kubernetes.io/instance=aep-export-operator",
    ]);
    assert!(left.starts_with("No resources found"), "{left}");
    let left = site.kubectl(&[
        "get",
        "clusterroles,clusterrolebindings",
        "--selector=app.kubernetes.io/instance=aep-export-operator",
    ]);
    assert!(left.starts_with("No resources found"), "{left}");

    // Another release takes no CRDs that were another's, unless it is told to.
    let other = site.helm(version, &["install", "other", &chart()], &values);
    let refusal = other.expect_err("a refusal");
    assert!(refusal.contains("invalid ownership metadata"), "{refusal}");
    site.helm_well(version, &["install", RELEASE, &chart()], &values);
    assert_eq!(crds(&site).await, before);
    assert_eq!(export(&site, "kept").await, kept);

    // They can be handed over to the chart that has nothing else.
    let off = with_tenant(&json!({"crds": {"install": false}}));
    site.helm_well(version, &["upgrade", RELEASE, &chart()], &off);
    assert_eq!(crds(&site).await, before);
    let crds_only = ["install", "crds", &crds_chart(), "--take-ownership"];
    site.helm_well(version, &crds_only, &json!({}));
    assert_eq!(crds(&site).await, before);
    assert_eq!(export(&site, "kept").await, kept);

    // Who says that they are not kept loses them with the release.
    let upgrade = ["upgrade", "crds", &crds_chart()];
    site.helm_well(version, &upgrade, &json!({"keep": false}));
    site.helm_well(version, &["uninstall", "crds"], &Value::Null);
    eventually("the CRDs to be gone", || async {
        match crds(&site).await {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn crds_and_objects_outlive_a_release_and_are_its_again_when_it_comes_back() {
    crds_outlive(Helm::V4).await;
}

#[tokio::test]
async fn crds_and_objects_outlive_a_release_of_helm_3() {
    crds_outlive(Helm::V3).await;
}
