//! Objects that this version cannot read, as one with another schema may have stored them.

use aep_control_plane::shared;
use aep_export_operator::api::{ExportJob, GROUP};
use k8s_openapi::{ByteString, api::events::v1::Event};
use kube::api::{DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};

use super::table::{KINDS, manifest, merge, objects};
use crate::harness::{World, eventually, kubectl};

#[tokio::test]
async fn objects_that_cannot_be_read_are_told_and_the_others_are_served() {
    let mut world = World::without_operator("unreadable").await;
    let fields = json!({ "spec": { "export": { "fields": "identities.id" } } });
    store(&world, "ExportJob", "old-export", &fields).await;
    let tags = json!({ "spec": { "dataset": { "tags": { "team": "marketing" } } } });
    store(&world, "ProfileDataset", "old-dataset", &tags).await;
    let auth = json!({ "spec": { "auth": "oauth" } });
    store(&world, "PlatformConnection", "old-connection", &auth).await;

    world.start_operator(&[]).await;
    world.furnish().await;
    world.export("first").await;
    world.until_phase("first", "Succeeded").await;

    let version = json!({ "spec": { "export": { "mergePolicy": { "id": "a", "version": "1" } } } });
    store(&world, "ExportJob", "late-export", &version).await;
    told(&world, "late-export", "\"1\"").await;
    world.export("second").await;
    world.until_phase("second", "Succeeded").await;

    told(&world, "old-export", "identities.id").await;
    told(&world, "old-dataset", "marketing").await;
    told(&world, "old-connection", "oauth").await;
    assert_eq!(world.admin_page("/readyz").await, "ok\n");
    let metrics = world.admin_page("/metrics").await;
    for (kind, least) in [
        ("ExportJob", 2),
        ("ProfileDataset", 1),
        ("PlatformConnection", 1),
    ] {
        let name = format!("aep_export_operator_invalid_objects_total{{kind=\"{kind}\"}} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&name));
        let count: u32 = count.expect(&name).parse().unwrap();
        assert!(count >= least, "{name}{count}");
    }
    assert_eq!(world.simulator.posts().await.len(), 2);
}

#[tokio::test]
async fn an_object_that_could_not_be_read_is_served_once_it_is_mended_and_goes_when_it_is_deleted()
{
    let mut world = World::without_operator("mended").await;
    let fields = json!({ "spec": { "export": { "fields": "identities.id" } } });
    store(&world, "ExportJob", "mended", &fields).await;
    store(&world, "ExportJob", "deleted", &fields).await;
    let tags = json!({ "spec": { "dataset": { "tags": { "team": "marketing" } } } });
    store(&world, "ProfileDataset", "profiles", &tags).await;
    world.start_operator(&[]).await;
    world.connect().await;
    told(&world, "mended", "identities.id").await;
    told(&world, "profiles", "marketing").await;

    world.delete::<ExportJob>("deleted").await;
    eventually("the deleted one to be gone", || async {
        let api = objects(&world.client, &world.namespace, "ExportJob");
        match api.get_opt("deleted").await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let fields = json!({ "spec": { "export": { "fields": ["identities.id"] } } });
    for (verb, kind, name, mended) in [
        ("replace", "ProfileDataset", "profiles", json!({})),
        ("apply", "ExportJob", "mended", fields),
    ] {
        let manifest = manifest(kind, name, &mended).to_string();
        let (done, said) = kubectl(&world.namespace, &[verb, "-f", "-"], Some(&manifest));
        assert!(done, "{said}");
    }
    world.until_phase("mended", "Succeeded").await;
}

#[tokio::test]
async fn an_export_that_cannot_be_read_for_a_while_is_followed_on_and_not_posted_again() {
    let world = World::start("unread").await;
    world.furnish().await;
    world.simulator.hold_jobs().await;
    world.export("first").await;
    let running = world.until_phase("first", "Running").await;
    let api = objects(&world.client, &world.namespace, "ExportJob");
    let readable = api.get("first").await.unwrap();
    let timings = json!({ "status": { "platformTimings": "not yet" } });
    put(&world, "ExportJob", readable.clone(), &timings).await;
    told(&world, "first", "not yet").await;

    world
        .simulator
        .put("defaults", json!({ "outcome": "succeed" }))
        .await;
    world.export("second").await;
    world.until_phase("second", "Succeeded").await;
    let job = running.status.unwrap().job_id.unwrap();
    world
        .simulator
        .put(&format!("jobs/{job}"), json!({ "outcome": "release" }))
        .await;
    put(&world, "ExportJob", readable, &json!({})).await;
    let ended = world.until_phase("first", "Succeeded").await;
    assert_eq!(ended.status.unwrap().job_id, Some(job));
    assert_eq!(world.simulator.posts().await.len(), 2);
}

/// Stores an object as no schema of today lets it in: with all that the API server gives to an
/// object that it accepts, and then changed.
async fn store(world: &World, kind: &str, name: &str, change: &Value) {
    let accepted = serde_json::from_value(manifest(kind, name, &json!({}))).unwrap();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let api = objects(&world.client, &world.namespace, kind);
    let object = api.create(&dry, &accepted).await.unwrap();
    put(world, kind, object, change).await;
}

/// Puts an object, changed, where the API server keeps its objects, without asking it.
async fn put(world: &World, kind: &str, mut object: DynamicObject, change: &Value) {
    let name = object.metadata.name.clone().unwrap();
    object.metadata.resource_version = None;
    object.metadata.managed_fields = None;
    let mut object = serde_json::to_value(object).unwrap();
    merge(&mut object, change);
    let (_, plural) = KINDS.into_iter().find(|(known, _)| *known == kind).unwrap();
    let key = format!("/registry/{GROUP}/{plural}/{}/{name}", world.namespace);
    let put = json!({
        "key": ByteString(key.into_bytes()),
        "value": ByteString(object.to_string().into_bytes()),
    });
    let url = format!("{}/v3/kv/put", shared().unwrap().etcd());
    let reply = reqwest::Client::new()
        .post(url)
        .json(&put)
        .send()
        .await
        .unwrap();
    assert!(
        reply.status().is_success(),
        "{}",
        reply.text().await.unwrap()
    );
}

/// Waits for the warning that tells which value of an object is not understood, and what to do.
async fn told(world: &World, name: &str, value: &str) {
    eventually(&format!("a warning about {name}"), || async {
        let events = world
            .api::<Event>()
            .list(&ListParams::default())
            .await
            .unwrap();
        let about = |event: &&Event| {
            event
                .regarding
                .as_ref()
                .and_then(|object| object.name.as_deref())
                == Some(name)
        };
        let events: Vec<&Event> = events.iter().filter(about).collect();
        let told = |event: &&Event| {
            let note = event.note.as_deref().unwrap_or_default();
            event.reason.as_deref() == Some("InvalidObject")
                && event.type_.as_deref() == Some("Warning")
                && note.contains(value)
                && note.contains("kubectl explain")
        };
        match events.iter().copied().find(told) {
            Some(_) => Ok(()),
            None => Err(format!("{events:#?}\n{}", world.log())),
        }
    })
    .await;
}
