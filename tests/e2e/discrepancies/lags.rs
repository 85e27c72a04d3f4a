//! What the tenant shows late.

use aep_export_operator::api::ExportJob;
use serde_json::{Value, json};

use super::{
    Case, Turns, case, client, each,
    exports::{assert_ended, until_ended},
    plain, submit, switches_of, tenant, world,
};
use crate::harness::reason;

/// Seconds: later than any test lasts.
const LATE: u32 = 1_000_000;

/// GET does not show a new job, with and without a body in its 404.
fn late_jobs() -> Vec<Case<()>> {
    ["envelope", "empty"]
        .map(|bodies| {
            let switches = json!({ "getLagSeconds": LATE, "exportErrorBodies": bodies });
            case(0, switches, ())
        })
        .to_vec()
}

#[tokio::test]
async fn a_job_that_get_does_not_show_yet_is_looked_for_again() {
    let world = world("late-jobs", &[]).await;
    let world = &world;
    each(late_jobs(), |name, case| async move {
        let tenant = tenant(world, &name, &case.switches).await;
        submit(world, &name, &name, plain()).await;
        let is_so = |export: &ExportJob| reason(export, "Ready") == "JobNotFound";
        let export = world.until(&name, "looked for", is_so).await;
        assert_eq!(export.status.unwrap().phase.as_deref(), Some("Running"));
        let now = json!({ "getLagSeconds": 0 });
        tenant.simulator.put("switches", now).await;
        let export = until_ended(world, &name).await;
        assert_ended(&tenant, &export, "Succeeded").await;
    })
    .await;
}

#[tokio::test]
async fn an_export_waits_for_its_batch_to_be_readable() {
    let world = world("late-batches", &[]).await;
    let switches = json!({ "batchReadableAfterSeconds": LATE });
    let tenant = tenant(&world, "slow", &switches).await;
    submit(&world, "slow", "slow", plain()).await;
    let is_so = |export: &ExportJob| reason(export, "Ready") == "WaitingForBatch";
    let export = world.until("slow", "waiting", is_so).await;
    let status = export.status.unwrap();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.completion_time, None);
    let soon = json!({ "batchReadableAfterSeconds": 0 });
    tenant.simulator.put("switches", soon).await;
    let export = until_ended(&world, "slow").await;
    assert_ended(&tenant, &export, "Succeeded").await;
}

/// A list that lags behind.
fn late_lists() -> Vec<Case<()>> {
    vec![case(0, json!({ "listLagSeconds": LATE }), ())]
}

#[tokio::test]
async fn a_new_job_may_be_in_the_list_only_later() {
    let mut turns = Turns::start().await;
    for case in late_lists() {
        let tenant = turns.begin(&case).await;
        let job = client::create(tenant, &client::request(false)).await;
        let first = tenant.platform().export_jobs(None, 10).await.unwrap();
        assert_eq!((first.jobs.len(), first.next), (0, None));
        assert!(
            tenant
                .platform()
                .export_job(&job.id)
                .await
                .unwrap()
                .is_some()
        );
        let now = json!({ "listLagSeconds": 0 });
        tenant.simulator.put("switches", now).await;
        let page = tenant.platform().export_jobs(None, 10).await.unwrap();
        assert_eq!(page.jobs[0].id, job.id);
    }
}

/// The switches that this file has cases for.
pub(super) fn covered() -> Vec<Value> {
    [switches_of(late_jobs()), switches_of(late_lists())].concat()
}
