//! Exports that are deleted while they run, or after.

use aep_export_operator::api::ExportJob;
use serde_json::{Value, json};

use super::{Case, case, each, plain, submit, switches_of, tenant, world};
use crate::{
    harness::{World, is_held},
    samples::JOBS,
};

fn running() -> Vec<Case<&'static str>> {
    vec![
        case(1, json!({ "flavour": "combined" }), "CANCELLED"),
        case(1, json!({ "flavour": "profile" }), "CANCELLED"),
        case(1, json!({ "flavour": "segmentation" }), "CANCELLED"),
        case(1, json!({ "flavour": "openapi" }), "CANCELLED"),
        case(14, json!({ "deleteReply": "204" }), "CANCELLED"),
        case(14, json!({ "deleteReply": "204WithBody" }), "CANCELLED"),
        case(14, json!({ "deleteReply": "200WithBody" }), "CANCELLED"),
        case(15, json!({ "deleteVerb": "delete" }), "CANCELLED"),
        case(15, json!({ "deleteVerb": "deleteAndPost" }), "CANCELLED"),
        case(0, json!({ "cancelLooksLike": "cancelled" }), "CANCELLED"),
        case(0, json!({ "cancelLooksLike": "failed" }), "FAILED"),
        case(0, json!({ "cancelLooksLike": "absent" }), "CANCELLED"),
        case(0, json!({ "cancelSeconds": 0 }), "CANCELLED"),
        case(0, json!({ "cancelSeconds": 25 }), "CANCELLED"),
    ]
}

#[tokio::test]
async fn an_export_that_runs_is_cancelled_once_and_let_go_when_it_has_ended() {
    let world = world("cancels", &[]).await;
    let world = &world;
    each(running(), |name, case| async move {
        let tenant = tenant(world, &name, &case.switches).await;
        tenant.simulator.hold_jobs().await;
        run_and_delete(world, &name).await;
        world.until_gone::<ExportJob>(&name).await;
        let cancels = tenant.simulator.calls("DELETE", JOBS).await;
        assert_eq!(cancels.len(), 1, "{cancels:?}");
        assert_eq!(tenant.simulator.posts().await.len(), 1, "no POST cancels");
        assert_eq!(tenant.simulator.jobs().await[0]["status"], case.that);
    })
    .await;
}

/// A cancel that comes to nothing.
fn ignored() -> Vec<Case<()>> {
    vec![case(0, json!({ "cancelLooksLike": "ignored" }), ())]
}

#[tokio::test]
async fn an_export_whose_cancel_is_ignored_is_let_go_at_the_deadline_with_a_warning() {
    let world = world("ignored", &["--cancel-deadline", "2s"]).await;
    let world = &world;
    each(ignored(), |name, case| async move {
        let tenant = tenant(world, &name, &case.switches).await;
        tenant.simulator.hold_jobs().await;
        run_and_delete(world, &name).await;
        world.until_gone::<ExportJob>(&name).await;
        assert_eq!(tenant.simulator.calls("DELETE", JOBS).await.len(), 1);
        let note = world.event(&name, "CancelTimedOut").await;
        let job = tenant.simulator.jobs().await[0]["id"].to_string();
        assert!(note.contains(&format!("job {job}")), "{note}");
    })
    .await;
}

fn finished() -> Vec<Case<()>> {
    ["removes", "keeps", "refuses"]
        .map(|word| case(0, json!({ "deleteFinished": word }), ()))
        .to_vec()
}

#[tokio::test]
async fn an_export_that_has_ended_is_let_go_without_a_call() {
    let world = world("finished", &[]).await;
    let world = &world;
    each(finished(), |name, case| async move {
        let tenant = tenant(world, &name, &case.switches).await;
        submit(world, &name, &name, plain()).await;
        world.until_phase(&name, "Succeeded").await;
        world
            .until(&name, "let go", |export: &ExportJob| !is_held(export))
            .await;
        world.delete::<ExportJob>(&name).await;
        world.until_gone::<ExportJob>(&name).await;
        assert_eq!(tenant.simulator.calls("DELETE", JOBS).await.len(), 0);
        assert_eq!(tenant.simulator.jobs().await[0]["status"], "SUCCEEDED");
    })
    .await;
}

async fn run_and_delete(world: &World, name: &str) {
    submit(world, name, name, plain()).await;
    world.until_phase(name, "Running").await;
    world.delete::<ExportJob>(name).await;
}

/// The switches that this file has cases for.
pub(super) fn covered() -> Vec<Value> {
    let running = switches_of(running()).into_iter();
    running
        .chain(switches_of(ignored()))
        .chain(switches_of(finished()))
        .collect()
}
