//! Operators of several classes side by side.

use aep_export_operator::api::{ExportJob, PlatformConnection, ProfileDataset};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{end, managers};
use crate::harness::{World, conditions, export_into, is, reason};

/// A connection of a class, or of none, to this test's tenant.
fn connection(world: &World, class: Option<&str>) -> Value {
    let mut spec = world.connection_spec();
    if let Some(class) = class {
        spec["controllerClass"] = json!(class);
    }
    spec
}

/// A namespace with a Secret, and no operator.
async fn secretive() -> World {
    let world = World::without_operator("classes").await;
    world.create_credential("aep-credentials").await;
    world
}

/// A connection, a dataset and an export that runs, all of this name.
async fn furnish(world: &World, name: &str, class: Option<&str>) {
    let spec = connection(world, class);
    world.create::<PlatformConnection>(name, spec).await;
    let spec = json!({ "connectionRef": { "name": name }, "dataset": { "name": name } });
    world.create::<ProfileDataset>(name, spec).await;
    world.create::<ExportJob>(name, export_into(name)).await;
}

/// Who wrote to the three objects of this name.
async fn writers(world: &World, name: &str) -> Vec<String> {
    let connection: PlatformConnection = world.api().get(name).await.unwrap();
    let dataset: ProfileDataset = world.api().get(name).await.unwrap();
    let all = [
        managers(&connection),
        managers(&dataset),
        managers(&world.get(name).await),
    ];
    let mut all = all.concat();
    all.retain(|manager| manager.starts_with("aep-export-operator"));
    all.sort();
    all.dedup();
    all
}

#[tokio::test]
async fn two_operators_side_by_side_never_touch_each_others_objects() {
    let world = secretive().await;
    world.simulator.hold_jobs().await;
    let plain = world.start_replica("plain", &[]).await;
    let blue = world
        .start_replica("blue", &["--controller-class", "blue"])
        .await;
    furnish(&world, "plain", None).await;
    furnish(&world, "blue", Some("blue")).await;
    world.until_phase("plain", "Running").await;
    world.until_phase("blue", "Running").await;
    for (operator, name) in [(&plain, "plain"), (&blue, "blue")] {
        assert_eq!(operator.metric("exports_followed").await, 1, "{name}");
        let page = operator.page("/metrics").await.unwrap();
        let submitted = crate::harness::replica::metric(&page, "export_submissions_total");
        assert_eq!(submitted, 1, "{name}");
    }
    end(&world, "plain").await;
    end(&world, "blue").await;
    world.until_phase("plain", "Succeeded").await;
    world.until_phase("blue", "Succeeded").await;
    // A manager that has nothing any more, as that of a finalizer which was taken off, is not told.
    for (name, operator) in [
        ("plain", "aep-export-operator/"),
        ("blue", "aep-export-operator.blue/"),
    ] {
        let writers = writers(&world, name).await;
        assert!(
            writers.contains(&format!("{operator}status")),
            "{writers:?}"
        );
        let its_own = |writer: &String| writer.starts_with(operator);
        assert!(writers.iter().all(its_own), "{name}: {writers:?}");
    }
    assert_eq!(world.simulator.posts().await.len(), 2);
    assert_eq!(world.simulator.jobs().await.len(), 2);
    let record = world.get("blue").await.status.unwrap().connection.unwrap();
    assert_eq!(record.controller_class.as_deref(), Some("blue"));
    // With its own operator gone, nobody else acts: neither for what is there nor for what is new.
    drop(blue);
    let before: PlatformConnection = world.api().get("blue").await.unwrap();
    world.create::<ExportJob>("late", export_into("blue")).await;
    world
        .create::<ExportJob>("probe", export_into("plain"))
        .await;
    world.until_phase("probe", "Running").await;
    let late = world.get("late").await;
    assert!(conditions(&late).is_empty() && late.finalizers().is_empty());
    assert!(world.events_of("late").await.is_empty());
    let after: PlatformConnection = world.api().get("blue").await.unwrap();
    assert_eq!(before.resource_version(), after.resource_version());
    end(&world, "probe").await;
    world.until_phase("probe", "Succeeded").await;
}

#[tokio::test]
async fn of_a_connection_that_is_not_there_the_operator_without_a_class_says_so() {
    let world = secretive().await;
    let _plain = world.start_replica("plain", &[]).await;
    let _blue = world
        .start_replica("blue", &["--controller-class", "blue"])
        .await;
    let spec = json!({ "connectionRef": { "name": "prod" }, "dataset": { "name": "Profiles" } });
    world.create::<ProfileDataset>("profiles", spec).await;
    world.export("export").await;
    let told = |d: &ProfileDataset| reason(d, "Ready") == "ConnectionNotFound";
    let dataset = world.until("profiles", "told", told).await;
    let told = |e: &ExportJob| !conditions(e).is_empty();
    let export = world.until("export", "told", told).await;
    for managers in [managers(&dataset), managers(&export)] {
        let blue = |manager: &String| manager.contains(".blue/");
        assert!(!managers.iter().any(blue), "{managers:?}");
    }
    // From here on they are the other operator's.
    let spec = connection(&world, Some("blue"));
    world.create::<PlatformConnection>("prod", spec).await;
    let ready = |d: &ProfileDataset| is(&conditions(d), "Ready", "True");
    world.until("profiles", "Ready", ready).await;
    let export = world.until_phase("export", "Succeeded").await;
    let record = export.status.unwrap().connection.unwrap();
    assert_eq!(record.controller_class.as_deref(), Some("blue"));
    assert_eq!(world.simulator.posts().await.len(), 1);
    assert_eq!(world.simulator.jobs().await.len(), 1);
}

#[tokio::test]
async fn an_operator_of_a_class_is_silent_about_what_no_connection_tells_to_be_its_own() {
    let mut world = secretive().await;
    world.start_operator(&["--controller-class", "blue"]).await;
    furnish(&world, "plain", None).await;
    let spec = json!({ "connectionRef": { "name": "none" }, "dataset": { "name": "None" } });
    world.create::<ProfileDataset>("lost", spec).await;
    furnish(&world, "blue", Some("blue")).await;
    world.until_phase("blue", "Succeeded").await;
    assert_eq!(writers(&world, "plain").await, Vec::<String>::new());
    let lost: ProfileDataset = world.api().get("lost").await.unwrap();
    assert!(conditions(&lost).is_empty());
    for name in ["plain", "lost"] {
        assert!(world.events_of(name).await.is_empty(), "{name}");
    }
}
