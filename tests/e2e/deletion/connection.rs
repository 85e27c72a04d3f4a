//! A connection that is deleted while something begun with it is not finished.

use aep_export_operator::api::{ExportJob, PlatformConnection};
use futures::TryStreamExt;
use kube::{
    ResourceExt,
    api::{WatchEvent, WatchParams},
};
use serde_json::json;

use super::{
    ABANDON, SANDBOXES, annotate, cancels, end, is_held, run, running, states, until_checked,
    until_free, until_waiting,
};
use crate::harness::{World, condition, conditions, eventually, is, reason, true_conditions};

/// How often a connection was written to since it was this, other than in its status, and by a
/// status alone.
async fn writes(world: &World, since: &PlatformConnection) -> (usize, usize) {
    let params = WatchParams::default()
        .fields("metadata.name=prod")
        .timeout(1);
    let version = since.resource_version().unwrap();
    let api = world.api::<PlatformConnection>();
    let events: Vec<WatchEvent<PlatformConnection>> = api
        .watch(&params, &version)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let mut held = is_held(since);
    let (mut finalizers, mut statuses) = (0, 0);
    for event in events {
        if let WatchEvent::Modified(connection) = event {
            if is_held(&connection) == held {
                statuses += 1;
            } else {
                held = !held;
                finalizers += 1;
            }
        }
    }
    (finalizers, statuses)
}

async fn connection(world: &World) -> PlatformConnection {
    world.api().get("prod").await.unwrap()
}

#[tokio::test]
async fn a_connection_in_use_names_who_uses_it_and_goes_when_the_last_has_ended() {
    let world = running(&["one", "two"]).await;
    assert!(is_held(&connection(&world).await));
    world.delete::<PlatformConnection>("prod").await;
    let waiting = until_waiting(&world).await;
    assert_eq!(true_conditions(&waiting), ["InUse", "Reconciling"]);
    assert_eq!(reason(&waiting, "Ready"), "WaitingForUsers");
    let said = condition(&waiting, "InUse").unwrap().message;
    assert!(said.contains("ExportJob one, ExportJob two"), "{said}");

    let late = json!({
        "connectionRef": { "name": "prod" },
        "export": { "destination": { "datasetId": world.dataset_id("profiles").await } },
    });
    world.create::<ExportJob>("late", late).await;
    let late = world
        .until("late", "told", |e: &ExportJob| {
            condition(e, "Ready").is_some_and(|c| c.message.contains("is being deleted"))
        })
        .await;
    assert_eq!(reason(&late, "Ready"), "ConnectionNotReady");

    end(&world, "one").await;
    world.until_phase("one", "Succeeded").await;
    world
        .until("prod", "used by one only", |c: &PlatformConnection| {
            let said = condition(c, "InUse").unwrap().message;
            said.contains("ExportJob two") && !said.contains("ExportJob one")
        })
        .await;
    end(&world, "two").await;
    world.until_phase("two", "Succeeded").await;
    world.until_gone::<PlatformConnection>("prod").await;
    world
        .until("late", "waiting for another", |e: &ExportJob| {
            reason(e, "Ready") == "ConnectionNotFound"
        })
        .await;
    assert_eq!(world.simulator.posts().await.len(), 2);
    assert_eq!(cancels(&world).await, 0);
}

#[tokio::test]
async fn a_connection_that_nothing_uses_is_deleted_at_once_with_the_operator_down() {
    let mut world = running(&["only"]).await;
    end(&world, "only").await;
    world.until_phase("only", "Succeeded").await;
    until_free(&world).await;
    world.stop_operator();
    world.delete::<PlatformConnection>("prod").await;
    let gone = world.api::<PlatformConnection>().get_opt("prod").await;
    assert!(gone.unwrap().is_none());
}

#[tokio::test]
async fn exports_that_begin_together_hold_their_connection_by_one_write() {
    let mut world = World::without_operator("deletion").await;
    world.start_operator(&[]).await;
    world.furnish().await;
    // Known to show request ids, the platform is sent many requests at once.
    world.export("first").await;
    world.until_phase("first", "Succeeded").await;
    world
        .until(
            "prod",
            "known to show request ids",
            |c: &PlatformConnection| {
                c.status.as_ref().and_then(|s| s.echoes_request_id) == Some(true)
            },
        )
        .await;
    let before = until_free(&world).await;
    let names: Vec<String> = (0..20).map(|i| format!("export-{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    run(&world, &names).await;
    assert_eq!(writes(&world, &before).await, (1, 0));
    for name in &names {
        end(&world, name).await;
    }
    for name in &names {
        world.until_phase(name, "Succeeded").await;
    }
    until_free(&world).await;
    assert_eq!(writes(&world, &before).await, (2, 0));
}

#[tokio::test]
async fn exports_one_after_the_other_cost_their_connection_two_writes_each() {
    let world = running(&["first"]).await;
    end(&world, "first").await;
    world.until_phase("first", "Succeeded").await;
    world
        .until(
            "prod",
            "known to show request ids",
            |c: &PlatformConnection| {
                c.status.as_ref().and_then(|s| s.echoes_request_id) == Some(true)
            },
        )
        .await;
    let before = until_free(&world).await;
    for name in ["one", "two", "three"] {
        run(&world, &[name]).await;
        end(&world, name).await;
        world.until_phase(name, "Succeeded").await;
        until_free(&world).await;
    }
    assert_eq!(writes(&world, &before).await, (6, 0));
}

#[tokio::test]
async fn a_connection_being_deleted_serves_what_was_begun_through_a_restart_and_a_new_secret() {
    let mut world = running(&["export"]).await;
    world.delete::<PlatformConnection>("prod").await;
    until_waiting(&world).await;
    world.stop_operator();
    world.restart_operator().await;
    let rotated = json!({ "clientSecrets": ["rotated"], "revokeTokens": true });
    world.simulator.put("credentials", rotated).await;
    let secret = json!({ "stringData": { "client_secret": "rotated" } });
    world
        .patch::<k8s_openapi::api::core::v1::Secret>("aep-credentials", secret)
        .await
        .unwrap();
    end(&world, "export").await;
    world.until_phase("export", "Succeeded").await;
    world.until_gone::<PlatformConnection>("prod").await;
    assert_eq!(world.simulator.posts().await.len(), 1);
}

#[tokio::test]
async fn a_persons_word_lets_a_connection_in_use_go_and_its_exports_go_on() {
    let world = running(&["export"]).await;
    world.delete::<PlatformConnection>("prod").await;
    let waiting = until_waiting(&world).await;
    annotate(&world, "prod", ABANDON, "another").await;
    // A pass that saw the annotation has told of the request that came with it.
    annotate(&world, "prod", "aep-export.dev/requested-at", "now").await;
    world
        .until("prod", "looked at", |c: &PlatformConnection| {
            let status = c.status.as_ref().unwrap();
            status.last_handled_reconcile_at.as_deref() == Some("now")
        })
        .await;
    assert!(
        is_held(&connection(&world).await),
        "another uid does nothing"
    );
    let said = condition(&waiting, "Reconciling").unwrap().message;
    let (_, line) = said.split_once("kubectl ").unwrap();
    let line: Vec<&str> = line.split(' ').chain(["--overwrite"]).collect();
    world.kubectl(&line);
    world.until_gone::<PlatformConnection>("prod").await;
    let note = world.event("prod", "Abandoned").await;
    assert!(note.contains("ExportJob export"), "{note}");
    end(&world, "export").await;
    world.until_phase("export", "Succeeded").await;
    assert_eq!(
        (states(&world).await, cancels(&world).await),
        (vec!["SUCCEEDED".into()], 0)
    );
}

#[tokio::test]
async fn a_finalizer_stripped_from_a_connection_in_use_is_put_on_again() {
    let mut world = running(&["export"]).await;
    world.strip::<PlatformConnection>("prod").await;
    world.until("prod", "held again", is_held).await;
    world.kill_operator();
    world.strip::<PlatformConnection>("prod").await;
    world.restart_operator().await;
    world.until("prod", "held after a restart", is_held).await;
    end(&world, "export").await;
    world.until_phase("export", "Succeeded").await;
    until_free(&world).await;
}

#[tokio::test]
async fn an_export_that_was_not_submitted_holds_no_connection_that_is_deleted() {
    let world = World::start("deletion").await;
    world.furnish().await;
    let refused = json!({
        "method": "POST", "path": "/data/core/ups/export/jobs",
        "action": { "reply": {
            "status": 403,
            "body": { "error_code": "403027", "message": "says the gateway" },
        } },
    });
    world.simulator.fault(refused).await;
    world.export("refused").await;
    world
        .until("refused", "refused", |e: &ExportJob| {
            reason(e, "Ready") == "AccessDenied"
        })
        .await;
    world.delete::<PlatformConnection>("prod").await;
    world.until_gone::<PlatformConnection>("prod").await;
    assert_eq!(states(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_request_has_the_credential_checked_again_and_is_answered_once() {
    let world = World::start("deletion").await;
    world.connect().await;
    let before = world.simulator.calls("GET", SANDBOXES).await.len();
    annotate(
        &world,
        "prod",
        "reconcile.fluxcd.io/requestedAt",
        "2026-11-01T00:00:00Z",
    )
    .await;
    until_checked(&world, before + 1).await;
    let answered = |word: &'static str| {
        move |c: &PlatformConnection| {
            let status = c.status.as_ref().unwrap();
            status.last_handled_reconcile_at.as_deref() == Some(word)
        }
    };
    world
        .until("prod", "answered", answered("2026-11-01T00:00:00Z"))
        .await;
    annotate(&world, "prod", "example.com/nudge", "x").await;
    annotate(
        &world,
        "prod",
        "aep-export.dev/requested-at",
        "2026-11-02T00:00:00Z",
    )
    .await;
    world
        .until("prod", "answered again", answered("2026-11-02T00:00:00Z"))
        .await;
    assert_eq!(
        world.simulator.calls("GET", SANDBOXES).await.len(),
        before + 2
    );
}

#[tokio::test]
async fn a_request_finds_a_credential_that_was_withdrawn() {
    let world = World::start("deletion").await;
    world.connect().await;
    let other = json!({ "clientSecrets": ["another"], "revokeTokens": true });
    world.simulator.put("credentials", other).await;
    annotate(&world, "prod", "aep-export.dev/requested-at", "now").await;
    let told = world
        .until("prod", "told", |c: &PlatformConnection| {
            !is(&conditions(c), "Ready", "True")
        })
        .await;
    let handled = told.status.unwrap().last_handled_reconcile_at;
    assert_eq!(handled.as_deref(), Some("now"));
}

#[tokio::test]
async fn a_dataset_that_goes_with_its_object_holds_its_connection_and_no_other() {
    let world = World::start("deletion").await;
    world.connect().await;
    let spec = json!({
        "connectionRef": { "name": "prod" },
        "dataset": { "name": "Mine" },
        "deletionPolicy": "Delete",
    });
    world
        .create::<aep_export_operator::api::ProfileDataset>("mine", spec)
        .await;
    world.until("prod", "held", is_held).await;
    world.delete::<PlatformConnection>("prod").await;
    let waiting = until_waiting(&world).await;
    let said = condition(&waiting, "InUse").unwrap().message;
    assert!(said.contains("ProfileDataset mine"), "{said}");
    world
        .delete::<aep_export_operator::api::ProfileDataset>("mine")
        .await;
    world
        .until_gone::<aep_export_operator::api::ProfileDataset>("mine")
        .await;
    world.until_gone::<PlatformConnection>("prod").await;
    eventually("the dataset to be deleted", || async {
        let datasets = world.simulator.ledger().await["datasets"].clone();
        if datasets[0]["deletedAt"].is_null() {
            Err(datasets.to_string())
        } else {
            Ok(())
        }
    })
    .await;
}
