//! A shared connection that is deleted while something begun with it is not finished.

use kube::{ResourceExt, api::DeleteParams};
use serde_json::json;

use super::Shared;
use crate::harness::{condition, eventually, reason, true_conditions};

#[tokio::test]
async fn a_shared_connection_in_use_is_held_names_who_uses_it_and_goes_when_they_have_ended() {
    let shared = Shared::start(json!({})).await;
    let world = &shared.world;
    shared.dataset().await;
    shared.until_dataset("Available").await;
    world.simulator.hold_jobs().await;
    world.export("export").await;
    world.until_phase("export", "Running").await;
    let held = shared.until("held", |c| !c.finalizers().is_empty()).await;
    assert_eq!(held.finalizers(), ["aep-export.dev/connection"]);
    let deleted = shared.connections();
    let deleted = deleted.delete(&shared.name, &DeleteParams::default()).await;
    deleted.unwrap();
    let waiting = shared
        .until("waiting", |c| reason(c, "Ready") == "WaitingForUsers")
        .await;
    assert_eq!(true_conditions(&waiting), ["InUse", "Reconciling"]);
    let said = condition(&waiting, "InUse").unwrap().message;
    let user = format!("ExportJob {}/export", world.namespace);
    assert!(said.contains(&user), "{said}");
    let line = format!("kubectl annotate caepconn {}", shared.name);
    assert!(said.contains(&line), "{said}");
    world.export("late").await;
    let late = shared.until_export("late", "DatasetNotReady").await;
    let said = condition(&late, "Ready").unwrap().message;
    assert!(!said.contains(&user), "{said}");
    shared.end("export").await;
    world.until_phase("export", "Succeeded").await;
    eventually("the connection to be gone", || async {
        match shared.connections().get_opt(&shared.name).await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:#?}\n{}", world.log())),
        }
    })
    .await;
    assert_eq!(world.simulator.posts().await.len(), 1);
}

#[tokio::test]
async fn a_shared_connection_that_nothing_uses_has_no_finalizer() {
    let mut shared = Shared::start(json!({})).await;
    shared.dataset().await;
    shared.until_dataset("Available").await;
    shared.world.export("export").await;
    shared.world.until_phase("export", "Succeeded").await;
    shared.until("free", |c| c.finalizers().is_empty()).await;
    shared.world.stop_operator();
    let api = shared.connections();
    api.delete(&shared.name, &DeleteParams::default())
        .await
        .unwrap();
    assert!(api.get_opt(&shared.name).await.unwrap().is_none());
}
