//! What one export writes in its life.

use std::time::Duration;

use aep_export_operator::api::ExportJob;
use kube::Api;

use crate::{
    fixture::{Fixture, ample, dataset},
    harness::proxy::{Proxy, Server, Verb},
    report::{Report, Row},
};

pub const ROWS: &[Row] = &[
    Row::at_most("writes-per-export", 5.0, ""),
    Row::at_most("events-per-export", 3.0, ""),
];

/// How much faster than in life everything goes: 2 h of a job, polled each minute.
const SCALE: u32 = 240;
const JOB: Duration = Duration::from_hours(2);
const POLL: &str = "250ms";

pub async fn run(report: Report) {
    let fixture = Fixture::new(JOB / SCALE).await;
    let proxy = fixture.proxy().await;
    let flags = ["--poll-interval-min", POLL, "--poll-interval-max", POLL];
    let operator = fixture.operator_behind(&proxy, &flags).await;
    fixture.furnish("exports", ample(), 1).await;
    fixture.export("exports", "first", &dataset(0)).await;
    fixture.until_ended(&operator, 1).await;
    operator.until_quiet(Duration::from_secs(2)).await;
    let (seen, polls) = (proxy.log().len(), fixture.polls().await);
    fixture.export("exports", "long", &dataset(0)).await;
    fixture.until_ended(&operator, 2).await;
    // Its finalizer is taken off, and nothing follows.
    let api: Api<ExportJob> = Api::namespaced(fixture.client.clone(), "exports");
    while api.get("long").await.unwrap().metadata.finalizers.is_some() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    report.row("writes-per-export", writes_to(&proxy, seen, "long") as f64);
    report.row("events-per-export", events(&proxy, seen) as f64);
    let polls = fixture.polls().await - polls;
    report.note(&format!(
        "writes-per-export: a job of {} s, with {polls} calls to follow it, {SCALE} times as fast \
         as one of {} h",
        (JOB / SCALE).as_secs(),
        JOB.as_secs() / 3600,
    ));
    operator.stop();
}

/// The writes to an export among the requests from one on.
fn writes_to(proxy: &Proxy, from: usize, name: &str) -> usize {
    let log = proxy.log();
    let writes = log.iter().skip(from).filter(|logged| {
        let asked = &logged.asked;
        asked.resource == "exportjobs"
            && asked.name.as_deref() == Some(name)
            && matches!(asked.verb, Verb::Update | Verb::Patch)
    });
    writes.count()
}

fn events(proxy: &Proxy, from: usize) -> usize {
    let log = proxy.log();
    let events = log.iter().skip(from).filter(|logged| {
        let asked = &logged.asked;
        asked.server == Server::Kubernetes
            && asked.resource == "events"
            && matches!(asked.verb, Verb::Create | Verb::Patch)
    });
    events.count()
}
