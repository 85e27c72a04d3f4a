//! `spec.ttlSecondsAfterFinished`.

use aep_export_operator::api::ExportJob;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::{edit, end, export, held, job_of};
use crate::harness::{World, conditions, is, is_held, reason};

#[tokio::test]
async fn an_export_is_deleted_after_its_end_and_not_before() {
    let world = held(&[]).await;
    for (name, outcome, ttl) in [("good", "release", 0), ("bad", "fail", 1)] {
        export(&world, name, json!({ "ttlSecondsAfterFinished": ttl })).await;
        let running = world.until_phase(name, "Running").await;
        assert!(running.metadata.deletion_timestamp.is_none());
        let job = job_of(&world, name).await;
        end(&world, &job, outcome).await;
        world.until_gone::<ExportJob>(name).await;
    }
    // Long enough to be seen in between.
    export(&world, "kept", json!({ "ttlSecondsAfterFinished": 3 })).await;
    world.until_phase("kept", "Running").await;
    end(&world, &job_of(&world, "kept").await, "release").await;
    let ended = world.until_phase("kept", "Succeeded").await;
    let ended = ended.status.unwrap().completion_time.unwrap();
    world.until_gone::<ExportJob>("kept").await;
    let lived = jiff::Timestamp::now().duration_since(ended);
    assert!(lived.as_millis() >= 3000, "{lived:?}");
    let jobs = world.simulator.jobs().await;
    assert!(
        jobs.iter().all(|job| job["deleteRequests"] == 0),
        "{jobs:#?}"
    );
}

#[tokio::test]
async fn a_time_to_live_counts_when_it_is_set_after_the_end_and_over_a_restart() {
    let mut world = World::start("life").await;
    world.furnish().await;
    export(&world, "done", json!({ "ttlSecondsAfterFinished": 3600 })).await;
    world.until_phase("done", "Succeeded").await;
    world
        .until("done", "let go", |e: &ExportJob| !is_held(e))
        .await;
    world.kill_operator();
    edit(&world, "done", json!({ "ttlSecondsAfterFinished": 1 })).await;
    world.restart_operator().await;
    world.until_gone::<ExportJob>("done").await;
    export(&world, "late", json!({})).await;
    world.until_phase("late", "Succeeded").await;
    world
        .until("late", "let go", |e: &ExportJob| !is_held(e))
        .await;
    edit(&world, "late", json!({ "ttlSecondsAfterFinished": 1 })).await;
    world.until_gone::<ExportJob>("late").await;
}

/// The marks of what creates again what is deleted.
fn marks() -> Vec<(&'static str, Value)> {
    let label = |key: &str, value: &str| json!({ "labels": { key: value } });
    let annotation = |key: &str, value: &str| json!({ "annotations": { key: value } });
    vec![
        ("helm", label("app.kubernetes.io/managed-by", "Helm")),
        (
            "release",
            annotation("meta.helm.sh/release-name", "exports"),
        ),
        (
            "tracking",
            annotation("argocd.argoproj.io/tracking-id", "a:b/c:d/e"),
        ),
        ("argo", label("argocd.argoproj.io/instance", "exports")),
        ("instance", label("app.kubernetes.io/instance", "exports")),
        ("flux", label("kustomize.toolkit.fluxcd.io/name", "exports")),
        ("flux-helm", label("helm.toolkit.fluxcd.io/name", "exports")),
    ]
}

#[tokio::test]
async fn what_gitops_would_create_again_is_kept_until_the_mark_is_gone() {
    let world = World::start("life").await;
    world.furnish().await;
    for (name, mark) in marks() {
        let created = export(
            &world,
            name,
            json!({ "ttlSecondsAfterFinished": 0, "suspend": true }),
        )
        .await;
        world
            .patch::<ExportJob>(name, json!({ "metadata": mark }))
            .await
            .unwrap();
        edit(&world, name, json!({ "suspend": false })).await;
        world.until_phase(name, "Succeeded").await;
        let kept = world
            .until(name, "let go", |e: &ExportJob| !is_held(e))
            .await;
        assert!(
            is(&conditions(&kept), "Expires", "False"),
            "{name}: {kept:#?}"
        );
        assert_eq!(reason(&kept, "Expires"), "TTLIgnoredManaged");
        assert!(created.metadata.uid == kept.metadata.uid);
        world.event(name, "TTLIgnoredManaged").await;
        let events = world.events_of(name).await;
        assert_eq!(events.len(), 3, "{events:?}");
        let none = mark.as_object().unwrap().iter().map(|(kind, entry)| {
            let key = entry.as_object().unwrap().keys().next().unwrap();
            (kind.clone(), json!({ key.as_str(): null }))
        });
        let none = Value::Object(none.collect());
        world
            .patch::<ExportJob>(name, json!({ "metadata": none }))
            .await
            .unwrap();
        world.until_gone::<ExportJob>(name).await;
    }
}

#[tokio::test]
async fn a_time_to_live_and_a_mark_add_no_write_to_an_undisturbed_export() {
    let mut world = World::start("life").await;
    world.furnish().await;
    let (_, mark) = marks().remove(0);
    let mut manifest = json!({
        "apiVersion": "aep-export.dev/v1alpha1", "kind": "ExportJob",
        "metadata": { "name": "counted" },
        "spec": { "export": { "destination": { "datasetRef": { "name": "profiles" } } }, "ttlSecondsAfterFinished": 0 },
    });
    manifest["metadata"]["labels"] = mark["labels"].clone();
    let manifest: ExportJob = serde_json::from_value(manifest).unwrap();
    let created = world
        .api::<ExportJob>()
        .create(&PostParams::default(), &manifest)
        .await
        .unwrap();
    world.until_phase("counted", "Succeeded").await;
    world
        .until("counted", "let go", |e: &ExportJob| !is_held(e))
        .await;
    world.event("counted", "TTLIgnoredManaged").await;
    let writes = world.writes_to("counted", &created).await;
    assert!(writes.len() <= 5, "{writes:#?}");
    let events = world.events_of("counted").await;
    assert!(events.len() <= 3, "{events:?}");
    // Nor is it told again by another process, which deletes what is its to delete.
    world.restart_operator().await;
    export(&world, "other", json!({ "ttlSecondsAfterFinished": 0 })).await;
    world.until_gone::<ExportJob>("other").await;
    assert_eq!(world.writes_to("counted", &created).await, writes);
    assert_eq!(world.events_of("counted").await.len(), events.len());
}
