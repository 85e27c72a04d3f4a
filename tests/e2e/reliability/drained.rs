//! A hundred requests under way when the operator ends, as it is told to or without a word.

use std::time::Duration;

use serde_json::json;

use super::{Case, submission, with_flags};
use crate::{
    harness::{World, eventually},
    samples::{JOBS, Tenant},
};

/// Exports of each of two tenants: one connection has no more than 64 passes at a time.
const EACH: usize = 50;
const NAMES: [&str; 2] = ["one", "two"];

/// How long the platform holds each request before it takes it, in milliseconds.
const HELD: u64 = 4000;
/// Short windows, but for the one in which that is allowed.
const WINDOWS: [&str; 8] = [
    "--send-window",
    "1s",
    "--unacknowledged-window",
    "1s",
    "--gateway-window",
    "5s",
    "--visibility-window",
    "1s",
];

/// An operator with these windows.
async fn world() -> World {
    with_flags(World::without_operator("drained").await, &WINDOWS).await
}

fn name(tenant: &str, number: usize) -> String {
    format!("{tenant}-{number}")
}

/// Requests that are answered only after some seconds, a hundred of them under way.
async fn under_way(world: &World) -> Vec<Tenant> {
    let mut tenants = Vec::new();
    for tenant in NAMES {
        let case = Case::experienced(world, tenant, json!({})).await;
        let slow = json!({ "delayMilliseconds": HELD });
        case.fault("POST", JOBS, None, slow).await;
        tenants.push(case.tenant);
    }
    for number in 0..EACH {
        for tenant in NAMES {
            let spec = json!({
                "connectionRef": { "name": tenant },
                "export": { "destination": { "datasetId": super::DATASET } },
            });
            let name = name(tenant, number);
            world.create::<super::ExportJob>(&name, spec).await;
        }
    }
    eventually("requests that wait for their replies", || async {
        let mut recorded = 0;
        for number in 0..EACH {
            for tenant in NAMES {
                let export = world.get(&name(tenant, number)).await;
                let status = export.status.as_ref();
                recorded += usize::from(status.is_some_and(|s| s.submission.is_some()));
            }
        }
        if recorded == NAMES.len() * EACH {
            Ok(())
        } else {
            Err(format!("{recorded} intents\n{}", world.log()))
        }
    })
    .await;
    tenants
}

/// Each was started once, whoever recorded it.
async fn assert_each_once(world: &World, tenants: Vec<Tenant>) {
    for (tenant, of) in tenants.into_iter().zip(NAMES) {
        let case = Case {
            world,
            tenant,
            name: of.to_owned(),
        };
        case.tenant.simulator.delete("faults").await;
        for number in 0..EACH {
            let export = case.until_done(&name(of, number)).await;
            let jobs = case.jobs_of(&submission(&export)).await;
            assert_eq!(jobs.len(), 1, "{jobs:#?}\n{}", world.log());
        }
        case.assert_sound().await;
    }
}

#[tokio::test]
async fn told_to_end_with_a_hundred_requests_under_way_it_records_what_became_of_them() {
    let mut world = world().await;
    let tenants = under_way(&world).await;
    let took = world.stop_operator();
    assert!(took < Duration::from_secs(10), "{took:?}");
    world.restart_operator().await;
    assert_each_once(&world, tenants).await;
}

#[tokio::test]
async fn killed_with_a_hundred_requests_under_way_it_finds_each_ones_job() {
    let mut world = world().await;
    let tenants = under_way(&world).await;
    world.kill_operator();
    world.restart_operator().await;
    assert_each_once(&world, tenants).await;
}
