//! What it costs to follow jobs.

use std::time::Duration;

use futures::{StreamExt, stream};
use serde_json::json;

use crate::{
    fixture::{Fixture, WRITERS, ample, dataset},
    operator::Operator,
    report::{Report, Row},
};

pub const ROWS: &[Row] = &[
    Row::at_most("aep-calls-of-500", 0.05, ""),
    Row::at_most("aep-calls-of-1", 1.0, ""),
    Row::exactly("aep-calls-of-finished", 0.0),
    Row::at_most("cpu-per-1000-polls", 0.5, "s").in_each_run(),
];
pub const OFTEN_ROWS: &[Row] = &[
    Row::at_most("tcp-connections", 8.0, ""),
    Row::told("cpu-per-1000-calls", "s").in_each_run(),
];

const NAMESPACE: &str = "exports";
/// What stands for a minute between two polls.
const MINUTE: Duration = Duration::from_secs(3);
/// Over how many of them calls are counted.
const MINUTES: u32 = 20;
const RUNNING: usize = 500;
/// How many calls are made over the connections that are counted.
const CALLS: u64 = 10_000;
/// Jobs that are asked for one by one, and how often, for very many calls in a short time.
const FEW: usize = 4;
const OFTEN: &str = "10ms";

/// By an operator that has been told to poll very often.
pub async fn run_often(report: Report) {
    let fixture = Fixture::new(Duration::from_secs(5)).await;
    let flags = ["--poll-interval-min", OFTEN, "--poll-interval-max", OFTEN];
    let operator = fixture.operator(&flags).await;
    fixture.furnish(NAMESPACE, ample(), FEW).await;
    fixture.export(NAMESPACE, "first", &dataset(0)).await;
    fixture.until_ended(&operator, 1).await;
    hold(&fixture).await;
    create(&fixture, "few", FEW).await;
    fixture.until_created(FEW as u64 + 1).await;
    operator.until_quiet(Duration::from_millis(1)).await;
    let (polls, cpu) = (fixture.polls().await, operator.processor_time());
    let before = fixture.connections().await;
    while fixture.polls().await - polls < CALLS {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let used = operator.processor_time() - cpu;
    let made = fixture.polls().await - polls;
    let after = fixture.connections().await;
    let (connections, open) = (after.accepted - before.accepted, after.open);
    report.row("tcp-connections", connections as f64);
    report.row("cpu-per-1000-calls", used * 1000.0 / made as f64);
    report.note(&format!(
        "tcp-connections: {connections} new ones for {made} calls, {open} open at the end (one is \
         the benchmark's own); {used:.2} s of CPU"
    ));
    operator.stop();
}

/// By one that polls each job after each interval.
pub async fn run(report: Report) {
    let fixture = Fixture::new(Duration::from_secs(5)).await;
    let interval = format!("{}s", MINUTE.as_secs());
    let flags = [
        "--poll-interval-min",
        &interval,
        "--poll-interval-max",
        &interval,
        // What looks for second jobs of a request does so before the calls are counted.
        "--send-window",
        "1s",
        "--unacknowledged-window",
        "1s",
        "--gateway-window",
        "1s",
        "--visibility-window",
        "1s",
    ];
    let operator = fixture.operator(&flags).await;
    fixture.furnish(NAMESPACE, ample(), 10).await;
    fixture.export(NAMESPACE, "first", &dataset(0)).await;
    fixture.until_ended(&operator, 1).await;
    hold(&fixture).await;
    create(&fixture, "one", 1).await;
    if report.wants(&["aep-calls-of-1"]) {
        let (made, _) = count(&fixture, &operator, 2).await;
        report.row("aep-calls-of-1", made / f64::from(MINUTES));
    }
    create(&fixture, "many", RUNNING - 1).await;
    let (made, cpu) = count(&fixture, &operator, RUNNING as u64 + 1).await;
    let polls = RUNNING as f64 * f64::from(MINUTES);
    report.row("aep-calls-of-500", made / polls);
    report.row("cpu-per-1000-polls", cpu * 1000.0 / polls);
    report.note(&format!(
        "aep-calls-of-500: {made} calls in {MINUTES} intervals of {} s, with {cpu:.2} s of CPU",
        MINUTE.as_secs()
    ));
    if report.wants(&["aep-calls-of-finished"]) {
        release(&fixture).await;
        fixture.until_ended(&operator, RUNNING as u64 + 1).await;
        operator.until_quiet(MINUTE).await;
        let before = fixture.polls().await;
        tokio::time::sleep(MINUTE * MINUTES).await;
        report.row(
            "aep-calls-of-finished",
            (fixture.polls().await - before) as f64,
        );
    }
    operator.stop();
}

/// The calls, and the seconds of processor time, of some intervals in which so many exports run.
async fn count(fixture: &Fixture, operator: &Operator, created: u64) -> (f64, f64) {
    fixture.until_created(created).await;
    // Until all are followed, and no second job of any is looked for.
    tokio::time::sleep(MINUTE * 5).await;
    let (before, cpu) = (fixture.polls().await, operator.processor_time());
    tokio::time::sleep(MINUTE * MINUTES).await;
    let made = fixture.polls().await - before;
    (made as f64, operator.processor_time() - cpu)
}

async fn hold(fixture: &Fixture) {
    let hold = json!({ "outcome": "hold" });
    fixture.simulator.put("defaults", hold).await;
}

/// Has every job that is held end.
async fn release(fixture: &Fixture) {
    let jobs = fixture.simulator.jobs().await;
    let running = jobs
        .iter()
        .filter(|job| matches!(job["status"].as_str(), Some("NEW" | "PROCESSING")));
    for job in running {
        let path = format!("jobs/{}", job["id"]);
        let end = json!({ "outcome": "succeed", "finishNow": true });
        fixture.simulator.put(&path, end).await;
    }
}

async fn create(fixture: &Fixture, name: &str, count: usize) {
    stream::iter(0..count)
        .for_each_concurrent(WRITERS, |number| async move {
            let name = format!("{name}-{number:04}");
            fixture
                .export(NAMESPACE, &name, &dataset(number % 10.min(count)))
                .await;
        })
        .await;
}
