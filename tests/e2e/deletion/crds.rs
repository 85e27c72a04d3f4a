//! CRDs that are deleted, or replaced, while exports run.

use std::time::Duration;

use aep_export_operator::api::{self, ExportJob, PlatformConnection, ProfileDataset};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::json;
use tokio::time::Instant;

use super::{cancels, end, is_held, run, states};
use crate::harness::{
    World, conditions, eventually, export_into, install_crd, is,
    proxy::{Match, Verb},
};

/// Lists of exports that an operator asks for in vain.
const LISTS: usize = 4;
/// The least time that these take: each is a wait after the one before.
const SPREAD: Duration = Duration::from_secs(2);

fn crds(world: &World) -> Api<CustomResourceDefinition> {
    Api::all(world.client.clone())
}

async fn until_ready<K>(world: &World, name: &str)
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + serde::Serialize
        + Send
        + 'static,
{
    world
        .until(name, "Ready", |object: &K| {
            is(&conditions(object), "Ready", "True")
        })
        .await;
}

/// Waits until the operator says this of its readiness.
async fn until_told(world: &World, what: &str) {
    eventually(what, || async {
        let said = world.admin_page("/readyz").await;
        if said.contains(what) {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
}

/// Waits until the API server serves the objects of a CRD. It lists them before it deletes the CRD,
/// and if their storage is not ready by then, it may be minutes until it tries again.
async fn until_served(world: &World, crd: &CustomResourceDefinition) {
    let names = &crd.spec.names;
    let kind = GroupVersionKind::gvk(&crd.spec.group, &crd.spec.versions[0].name, &names.kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &names.plural);
    let objects: Api<DynamicObject> = Api::all_with(world.client.clone(), &resource);
    eventually("the objects of a CRD to be served", || async {
        let listed = objects.list(&ListParams::default()).await;
        listed.map(drop).map_err(|error| error.to_string())
    })
    .await;
}

/// Deletes the CRDs, with all objects of their kinds, of which there are none.
async fn delete_crds(world: &World) {
    let there = crds(world).list(&ListParams::default()).await.unwrap();
    for crd in there {
        until_served(world, &crd).await;
        let params = DeleteParams::default();
        crds(world).delete(&crd.name_any(), &params).await.unwrap();
    }
    eventually("the CRDs to be gone", || async {
        let left = crds(world).list(&ListParams::default()).await.unwrap();
        if left.items.is_empty() {
            Ok(())
        } else {
            let status = left.iter().map(|crd| (crd.name_any(), &crd.status));
            Err(format!("{:#?}", status.collect::<Vec<_>>()))
        }
    })
    .await;
}

/// A CRD of which another version is served.
fn of_another_version(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        version.name = "v1alpha0".into();
    }
    crd
}

#[tokio::test]
async fn crds_of_another_version_are_told_and_the_operator_heals_once_they_are_replaced() {
    let mut world = World::with_own_plane("versions").await;
    delete_crds(&world).await;
    for (_, crd) in api::crds().unwrap() {
        install_crd(&world.client, &of_another_version(crd)).await;
    }
    world.start_unready(&["--drain-timeout", "5m"]).await;
    for plural in ["platformconnections", "profiledatasets", "exportjobs"] {
        until_told(
            &world,
            &format!("{plural}.aep-export.dev in version v1alpha1"),
        )
        .await;
    }
    let log = world.log();
    assert!(log.contains("install the CRDs of this version"), "{log}");
    world.stop_operator();
    world.start_unready(&[]).await;
    delete_crds(&world).await;
    for (_, crd) in api::crds().unwrap() {
        install_crd(&world.client, &crd).await;
    }
    until_told(&world, "ok\n").await;
    assert!(world.operator_runs());
}

#[tokio::test]
async fn crds_deleted_while_exports_run_go_and_the_operator_serves_what_is_installed_anew() {
    let mut world = World::with_own_plane("crds").await;
    world.start_operator(&[]).await;
    world.furnish().await;
    run(&world, &["one", "two"]).await;
    world.until("prod", "held", is_held).await;
    for (_, crd) in api::crds().unwrap() {
        let name = crd.name_any();
        let params = DeleteParams::default();
        crds(&world).delete(&name, &params).await.unwrap();
    }
    eventually("the CRDs to be gone", || async {
        let mut left = Vec::new();
        for (_, crd) in api::crds().unwrap() {
            left.extend(crds(&world).get_opt(&crd.name_any()).await.unwrap());
        }
        if left.is_empty() {
            Ok(())
        } else {
            let status = left.iter().map(|crd| &crd.status);
            Err(format!(
                "{:#?}\n{}",
                status.collect::<Vec<_>>(),
                world.log()
            ))
        }
    })
    .await;
    assert_eq!(states(&world).await, ["CANCELLED", "CANCELLED"]);
    assert_eq!(cancels(&world).await, 2);

    let lists = || {
        let list = Match::resource("exportjobs").verb(Verb::List);
        let log = world.proxy().log();
        log.iter()
            .filter(|logged| list.matches(&logged.asked))
            .count()
    };
    let (before, began) = (lists(), Instant::now());
    eventually("lists in vain", || async {
        let seen = lists() - before;
        if seen >= LISTS {
            Ok(())
        } else {
            Err(format!("{seen}\n{}", world.log()))
        }
    })
    .await;
    assert!(
        began.elapsed() > SPREAD,
        "{:?}\n{}",
        began.elapsed(),
        world.log()
    );
    assert!(world.operator_runs());
    until_told(
        &world,
        "does not serve exportjobs.aep-export.dev in version v1alpha1",
    )
    .await;
    let metrics = world.admin_page("/metrics").await;
    let counted = "watch_errors_total{kind=\"ExportJob\",reason=\"NotServed\"}";
    assert!(metrics.contains(counted), "{metrics}");

    for (_, crd) in api::crds().unwrap() {
        install_crd(&world.client, &crd).await;
    }
    until_told(&world, "ok\n").await;
    world
        .simulator
        .put("defaults", json!({ "outcome": "succeed" }))
        .await;
    world
        .create::<PlatformConnection>("prod", world.connection_spec())
        .await;
    let spec = json!({ "connectionRef": { "name": "prod" }, "dataset": { "name": "Again" } });
    world.create::<ProfileDataset>("again", spec).await;
    world
        .create::<ExportJob>("again", export_into("again"))
        .await;
    until_ready::<PlatformConnection>(&world, "prod").await;
    until_ready::<ProfileDataset>(&world, "again").await;
    world.until_phase("again", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 3);
    assert!(!world.log().contains("panicked"), "{}", world.log());
}

/// A CRD as an older version may have been: any object goes.
fn lax(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        // They would have to be in the schema.
        version.selectable_fields = None;
        let schema = version.schema.as_mut().unwrap();
        schema.open_api_v3_schema = Some(JSONSchemaProps {
            type_: Some("object".into()),
            x_kubernetes_preserve_unknown_fields: Some(true),
            ..JSONSchemaProps::default()
        });
    }
    crd
}

#[tokio::test]
async fn a_crd_replaced_while_an_export_runs_and_an_old_object_is_there_disturbs_nothing() {
    let mut world = World::with_own_plane("crds").await;
    for (_, crd) in api::crds().unwrap() {
        install_crd(&world.client, &lax(crd)).await;
    }
    world.start_operator(&[]).await;
    world.furnish().await;
    let old = json!({
        "apiVersion": "aep-export.dev/v1alpha1",
        "kind": "ExportJob",
        "metadata": { "name": "old" },
        "spec": { "export": { "destination": { "datasetRef": { "name": "none" } }, "fields": "x" } },
    });
    let old: DynamicObject = serde_json::from_value(old).unwrap();
    let resource = ApiResource::erase::<ExportJob>(&());
    Api::namespaced_with(world.client.clone(), &world.namespace, &resource)
        .create(&PostParams::default(), &old)
        .await
        .unwrap();
    run(&world, &["running"]).await;
    for (_, crd) in api::crds().unwrap() {
        install_crd(&world.client, &crd).await;
    }
    end(&world, "running").await;
    world.until_phase("running", "Succeeded").await;
    world
        .simulator
        .put("defaults", json!({ "outcome": "succeed" }))
        .await;
    world.export("next").await;
    world.until_phase("next", "Succeeded").await;
    let told = world.event("old", "InvalidObject").await;
    assert!(told.contains("kubectl replace"), "{told}");
    assert!(world.operator_runs());
    assert_eq!(states(&world).await, ["SUCCEEDED", "SUCCEEDED"]);
}
