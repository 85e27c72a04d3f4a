//! A platform that throttles everything for a while.

use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::burst::at;
use crate::{
    fixture::{Fixture, WRITERS, dataset},
    report::{Report, Row, setting},
    statistics::busiest_window,
};

pub const ROWS: &[Row] = &[
    Row::at_most("storm-calls", PER_MINUTE as f64, "/min"),
    Row::exactly("storm-intents", 0.0),
    // Twice Retry-After.
    Row::at_most("storm-recovery", 2.0 * RETRY_AFTER as f64, "s").in_each_run(),
];

const NAMESPACE: &str = "exports";
const EXPORTS: usize = 1000;
const PER_MINUTE: u64 = 600;
const RETRY_AFTER: u64 = 5;
/// What was recorded before the first 429 was heard, by a clock of whole seconds.
const HEARD: SignedDuration = SignedDuration::from_secs(2);

pub async fn run(report: Report) {
    let fixture = Fixture::new(Duration::from_hours(1)).await;
    let operator = fixture.operator(&[]).await;
    let budget = json!({ "requestsPerMinute": PER_MINUTE, "maxRunningExports": 100_000 });
    fixture.furnish(NAMESPACE, budget, 10).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let storm = json!({
        "path": "/data/*",
        "action": { "reply": { "status": 429, "headers": { "Retry-After": RETRY_AFTER.to_string() } } },
    });
    fixture.simulator.fault(storm).await;
    let before = fixture.simulator.ledger().await["requests"]
        .as_array()
        .unwrap()
        .len();
    stream::iter(0..EXPORTS)
        .for_each_concurrent(WRITERS, |number| {
            let fixture = &fixture;
            async move {
                let name = format!("export-{number:04}");
                fixture
                    .export(NAMESPACE, &name, &dataset(number % 10))
                    .await;
            }
        })
        .await;
    tokio::time::sleep(Duration::from_secs(setting("STORM", 60))).await;
    let over = Timestamp::now();
    fixture.simulator.delete("faults").await;
    let ended = fixture.simulator.ledger().await;
    let calls = &ended["requests"].as_array().unwrap()[before..];
    let times: Vec<f64> = calls.iter().map(at).collect();
    report.row("storm-calls", busiest_window(&times, 60.0) as f64);
    let first = times.first().copied().unwrap_or_default();
    let known = before + calls.len();
    let succeeded = loop {
        let ledger = fixture.simulator.ledger().await;
        let calls = &ledger["requests"].as_array().unwrap()[known..];
        let first = calls.iter().find(|call| {
            let status = call["status"].as_u64();
            status.is_some_and(|status| (200..300).contains(&status))
        });
        if let Some(call) = first {
            break at(call);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    report.row(
        "storm-recovery",
        (succeeded - over.as_millisecond() as f64 / 1000.0).max(0.0),
    );
    let throttled = |at: &Timestamp| {
        at.as_millisecond() as f64 / 1000.0 > first + HEARD.as_secs_f64() && *at < over
    };
    let exports = fixture.exports().await;
    let intents = exports.iter().filter_map(|export| {
        let submission = export.status.as_ref()?.submission.as_ref()?;
        Some(submission.intent_time).filter(throttled)
    });
    report.row("storm-intents", intents.count() as f64);
    report.note(&format!(
        "storm-calls: {} calls in a storm of {:.0} s",
        calls.len(),
        over.as_millisecond() as f64 / 1000.0 - first,
    ));
    operator.stop();
}
