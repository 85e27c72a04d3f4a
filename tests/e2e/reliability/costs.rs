//! What a submission costs.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Case, WINDOW, at, submission, world};
use crate::{
    harness::{SHORT_WINDOWS, eventually},
    samples::JOBS,
};

#[tokio::test]
async fn a_submission_that_goes_well_costs_one_request_three_writes_and_no_look_at_the_list() {
    let world = world("costs", &[]).await;
    let case = Case::experienced(&world, "costs", json!({})).await;
    case.tenant.simulator.hold_jobs().await;
    let lists_before = case.tenant.simulator.lists().await.len();
    let created = case.submit("well").await;
    let running = world.until_phase("well", "Running").await;
    let submission = submission(&running);
    assert_eq!(case.posts_of(&submission).await.len(), 1);
    let writes = world.writes_to("well", &created).await;
    let recorded = writes.iter().position(|write| write.contains("Running"));
    assert_eq!(recorded, Some(2), "finalizer, intent, id: {writes:#?}");
    let lists = case.tenant.simulator.lists().await;
    let early = lists
        .iter()
        .skip(lists_before)
        .filter(|call| at(call) <= submission.settle_after);
    assert_eq!(early.count(), 0, "{lists:#?}");
    case.assert_started_once(&running, 1).await;
}

#[tokio::test]
async fn a_second_job_is_looked_for_by_one_reading_of_the_list_when_it_would_have_to_show() {
    let world = world("costs", &[]).await;
    let case = Case::experienced(&world, "costs", json!({})).await;
    case.tenant.simulator.hold_jobs().await;
    let lists = || async { case.tenant.simulator.lists().await.len() };
    let until_lists = async |count: usize| {
        eventually("a reading", || async {
            let now = lists().await;
            if now >= count {
                Ok(())
            } else {
                Err(world.log())
            }
        })
        .await;
    };
    // That of the export before.
    until_lists(1).await;
    case.submit("long").await;
    world.until_phase("long", "Running").await;
    until_lists(2).await;
    // Polls go on, and the list is not read again for them.
    let polls = case.tenant.simulator.calls("GET", JOBS).await.len();
    eventually("more polls", || async {
        let more = case.tenant.simulator.calls("GET", JOBS).await.len() - polls;
        if more > 5 {
            Ok(())
        } else {
            Err(more.to_string())
        }
    })
    .await;
    let all = case.tenant.simulator.lists().await;
    assert_eq!(all.len(), 2, "{all:#?}");
    let submission = submission(&world.get("long").await);
    assert!(at(&all[1]) >= submission.settle_after, "{all:#?}");
}

#[tokio::test]
async fn fifty_exports_of_a_restarted_operator_are_looked_for_by_fewer_readings_than_that() {
    let mut world = world("restart", &[]).await;
    let case = Case::experienced(&world, "restart", json!({})).await;
    let tenant = case.tenant;
    world.stop_operator();
    let before = tenant.simulator.lists().await.len();
    let spec = json!({
        "connectionRef": { "name": "restart" },
        "export": { "destination": { "datasetId": super::DATASET } },
    });
    for index in 0..50 {
        let name = format!("export-{index}");
        world
            .create::<aep_export_operator::api::ExportJob>(&name, spec.clone())
            .await;
    }
    // As long as a list of some length takes.
    let slow = json!({ "method": "GET", "path": JOBS, "action": { "delayMilliseconds": 500 } });
    tenant.simulator.fault(slow).await;
    world.start_operator(&SHORT_WINDOWS).await;
    let mut posts = BTreeMap::new();
    for index in 0..50 {
        world
            .until_phase(&format!("export-{index}"), "Succeeded")
            .await;
    }
    for post in tenant.simulator.posts().await {
        *posts.entry(post["requestId"].to_string()).or_insert(0) += 1;
    }
    assert_eq!(posts.len(), 51);
    assert!(posts.values().all(|count| *count == 1), "{posts:#?}");
    // Later ones are for second jobs of these requests.
    let first = tenant
        .simulator
        .posts()
        .await
        .iter()
        .map(at)
        .nth(1)
        .unwrap();
    let lists = tenant.simulator.lists().await;
    let early = lists
        .iter()
        .skip(before)
        .filter(|call| at(call) < first + WINDOW);
    let early = early.count();
    assert!((1..=10).contains(&early), "{early} readings: {lists:#?}");
}
