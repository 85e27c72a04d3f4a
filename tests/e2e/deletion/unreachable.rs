//! Exports that are deleted while the platform cannot be asked, or does not do what it is asked.

use aep_export_operator::api::ExportJob;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{ABANDON, JOBS, cancels, run, states};
use crate::harness::{World, condition, eventually, is_held, reason};

/// A tenant in which one export runs, by an operator with these flags.
async fn one(flags: &[&str]) -> World {
    let mut world = World::without_operator("deletion").await;
    world.start_operator(flags).await;
    world.furnish().await;
    run(&world, &["one"]).await;
    world
}

/// Every call but those for tokens is answered so, until faults are deleted.
async fn answer(world: &World, method: Option<&str>, reply: Value) {
    happen(world, method, json!({ "reply": reply })).await;
}

/// This happens to every call but those for tokens, until faults are deleted.
async fn happen(world: &World, method: Option<&str>, action: Value) {
    let mut fault = json!({ "path": "/data/*", "action": action });
    if let Some(method) = method {
        fault["method"] = json!(method);
    }
    world.simulator.fault(fault).await;
}

async fn until_stuck(world: &World, name: &str) -> ExportJob {
    world
        .until(name, "waiting for the platform", |e: &ExportJob| {
            reason(e, "Reconciling") == "PlatformUnavailable"
                && e.status.as_ref().unwrap().phase.as_deref() == Some("Cancelling")
        })
        .await
}

async fn abandon(world: &World, name: &str, uid: &str) {
    let patch = json!({ "metadata": { "annotations": { ABANDON: uid } } });
    world.patch::<ExportJob>(name, patch).await.unwrap();
}

#[tokio::test]
async fn an_export_deleted_while_the_platform_is_down_is_kept_beyond_its_deadline_and_cancelled_later()
 {
    let closed = json!({ "lose": { "how": "close", "commit": false } });
    let busy = json!({ "reply": { "status": 503 } });
    tokio::join!(kept_while(busy), kept_while(closed));
}

/// Deletes an export while this happens to every call.
async fn kept_while(trouble: Value) {
    let world = one(&["--cancel-deadline", "2s"]).await;
    happen(&world, None, trouble).await;
    world.delete::<ExportJob>("one").await;
    let stuck = until_stuck(&world, "one").await;
    let said = condition(&stuck, "Ready").unwrap().message;
    let way_out = format!("{ABANDON}={}", stuck.uid().unwrap());
    assert!(said.contains(&way_out), "{said}");
    let requested = |e: &ExportJob| {
        let status = e.status.as_ref().unwrap();
        status.cancellation.as_ref().map(|stop| stop.requested_at)
    };
    let began = requested(&stuck).unwrap();
    let calls = world.simulator.calls("DELETE", JOBS).await.len()
        + world.simulator.calls("GET", JOBS).await.len();
    eventually("thrice the deadline to pass", || async {
        let age = jiff::Timestamp::now().duration_since(began);
        if age.as_secs() > 6 {
            Ok(())
        } else {
            Err(age.to_string())
        }
    })
    .await;
    let late = world.get("one").await;
    assert!(is_held(&late));
    assert_eq!(requested(&late), Some(began));
    // Polls at 100 to 200 ms would be sixty; a hot loop thousands.
    let more = world.simulator.calls("DELETE", JOBS).await.len()
        + world.simulator.calls("GET", JOBS).await.len()
        - calls;
    assert!(more <= 80, "{more}");
    // What is told once is not told again.
    let writes = world.writes_to("one", &stuck).await;
    assert!(writes.len() <= 2, "{writes:#?}");
    let events = world.events_of("one").await;
    let warned = events
        .iter()
        .filter(|(reason, _)| reason == "PlatformUnavailable");
    assert_eq!(warned.count(), 1, "{events:?}");
    world.simulator.delete("faults").await;
    world.until_gone::<ExportJob>("one").await;
    assert_eq!(states(&world).await, ["CANCELLED"]);
    assert!(world.let_go().await.is_empty());
}

#[tokio::test]
async fn a_person_lets_an_export_go_by_its_uid_and_by_no_other() {
    let world = one(&[]).await;
    let uid = world.get("one").await.uid().unwrap();
    // Before it is deleted the word says nothing.
    abandon(&world, "one", "another").await;
    answer(&world, None, json!({ "status": 503 })).await;
    world.delete::<ExportJob>("one").await;
    until_stuck(&world, "one").await;
    let asked = json!({ "metadata": { "annotations": { "aep-export.dev/requested-at": "1" } } });
    world.patch::<ExportJob>("one", asked).await.unwrap();
    let seen = world
        .until("one", "seen with another's word", |e: &ExportJob| {
            let handled = &e.status.as_ref().unwrap().last_handled_reconcile_at;
            handled.as_deref() == Some("1")
        })
        .await;
    assert!(is_held(&seen));
    let job = seen.status.unwrap().job_id.unwrap();
    abandon(&world, "one", &uid).await;
    world.until_gone::<ExportJob>("one").await;
    let note = world.event("one", "Abandoned").await;
    assert!(note.contains(&job), "{note}");
    let named = world.let_go().await;
    assert_eq!(named.len(), 1, "{named:?}");
    assert!(named[0].contains(&format!("left=\"{job}\"")), "{named:?}");
    assert!(named[0].contains("reason=\"Abandoned\""), "{named:?}");
}

#[tokio::test]
async fn a_word_to_abandon_an_export_that_is_not_deleted_counts_when_it_is() {
    let world = one(&[]).await;
    let uid = world.get("one").await.uid().unwrap();
    abandon(&world, "one", &uid).await;
    let asked = json!({ "metadata": { "annotations": { "aep-export.dev/requested-at": "1" } } });
    world.patch::<ExportJob>("one", asked).await.unwrap();
    let seen = world
        .until("one", "seen", |e: &ExportJob| {
            let handled = &e.status.as_ref().unwrap().last_handled_reconcile_at;
            handled.as_deref() == Some("1")
        })
        .await;
    assert_eq!(seen.status.unwrap().phase.as_deref(), Some("Running"));
    world.delete::<ExportJob>("one").await;
    world.until_gone::<ExportJob>("one").await;
    assert_eq!(cancels(&world).await, 0);
    let note = world.event("one", "Abandoned").await;
    assert!(note.contains("may still run"), "{note}");
    assert_eq!(world.let_go().await.len(), 1);
}

#[tokio::test]
async fn a_cancellation_that_the_platform_refuses_is_given_up_at_the_deadline_which_crashes_do_not_move()
 {
    let mut world = one(&["--cancel-deadline", "6s"]).await;
    let refused =
        json!({ "status": 400, "body": { "status": 400, "title": "no", "message": "no" } });
    answer(&world, Some("DELETE"), refused).await;
    world.delete::<ExportJob>("one").await;
    let requested = |e: &ExportJob| {
        let status = e.status.as_ref().unwrap();
        status.cancellation.as_ref().map(|stop| stop.requested_at)
    };
    let stuck = world
        .until("one", "being cancelled", |e: &ExportJob| {
            requested(e).is_some()
        })
        .await;
    let job = stuck.status.as_ref().unwrap().job_id.clone().unwrap();
    for _ in 0..2 {
        world.kill_operator();
        world.restart_operator().await;
        if let Ok(Some(now)) = world.api::<ExportJob>().get_opt("one").await {
            assert_eq!(requested(&now), requested(&stuck));
        }
    }
    world.until_gone::<ExportJob>("one").await;
    let held = jiff::Timestamp::now().duration_since(requested(&stuck).unwrap());
    assert!(held.as_secs() >= 6, "{held:?}");
    let note = world.event("one", "CancelTimedOut").await;
    assert!(note.contains(&job), "{note}");
    let named = world.let_go().await;
    assert!(
        named
            .iter()
            .any(|line| line.contains(&format!("left=\"{job}\""))),
        "{named:?}"
    );
}

#[tokio::test]
async fn a_job_that_does_not_end_though_it_was_to_is_left_at_the_deadline_and_named() {
    let world = one(&["--cancel-deadline", "2s"]).await;
    // Accepted, and nothing comes of it.
    answer(&world, Some("DELETE"), json!({ "status": 204 })).await;
    let job = world.get("one").await.status.unwrap().job_id.unwrap();
    world.delete::<ExportJob>("one").await;
    world.until_gone::<ExportJob>("one").await;
    let note = world.event("one", "CancelTimedOut").await;
    assert!(note.contains(&job), "{note}");
    let named = world.let_go().await;
    let left = format!("left=\"{job}\"");
    assert!(named.iter().any(|line| line.contains(&left)), "{named:?}");
    assert_eq!(cancels(&world).await, 1);
}

#[tokio::test]
async fn a_job_that_is_gone_when_it_is_to_be_cancelled_is_no_trouble() {
    let world = one(&[]).await;
    let job = world.get("one").await.status.unwrap().job_id.unwrap();
    let absent = json!({ "status": 404 });
    let fault = json!({
        "method": "DELETE", "path": format!("{JOBS}/*"), "action": { "reply": absent },
    });
    world.simulator.fault(fault).await;
    world.delete::<ExportJob>("one").await;
    eventually("the job to be asked to cancel", || async {
        match cancels(&world).await {
            0 => Err(world.log()),
            _ => Ok(()),
        }
    })
    .await;
    let gone = json!({
        "method": "GET", "path": format!("{JOBS}/{job}"), "action": { "reply": absent },
    });
    world.simulator.fault(gone).await;
    world.until_gone::<ExportJob>("one").await;
    assert!(world.let_go().await.is_empty());
}

#[tokio::test]
async fn a_cancellation_that_is_lost_on_its_way_is_repeated_and_counts_once() {
    let world = one(&[]).await;
    let lost = json!({
        "method": "DELETE", "path": format!("{JOBS}/*"), "times": 1,
        "action": { "lose": { "how": "close", "commit": true } },
    });
    world.simulator.fault(lost).await;
    world.delete::<ExportJob>("one").await;
    world.until_gone::<ExportJob>("one").await;
    assert_eq!(states(&world).await, ["CANCELLED"]);
}

#[tokio::test]
async fn a_job_that_succeeds_although_it_was_asked_to_cancel_lets_its_object_go() {
    let world = one(&[]).await;
    answer(&world, Some("DELETE"), json!({ "status": 204 })).await;
    let job = world.get("one").await.status.unwrap().job_id.unwrap();
    world.delete::<ExportJob>("one").await;
    eventually("the job to be asked to cancel", || async {
        let asked = cancels(&world).await;
        if asked > 0 {
            Ok(())
        } else {
            Err(asked.to_string())
        }
    })
    .await;
    assert!(is_held(&world.get("one").await));
    let end = json!({ "outcome": "release", "finishNow": true });
    world.simulator.put(&format!("jobs/{job}"), end).await;
    world.until_gone::<ExportJob>("one").await;
    let note = world.event("one", "Cancelled").await;
    assert!(note.contains("SUCCEEDED"), "{note}");
    assert_eq!(cancels(&world).await, 1);
}
