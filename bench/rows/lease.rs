//! What it costs that one of several operators acts, and how soon another one does.

use std::time::{Duration, Instant};

use crate::{
    fixture::Fixture,
    harness::proxy::{Server, Verb},
    operator::Operator,
    report::{Report, Row, runs, setting},
};

pub const ROWS: &[Row] = &[
    Row::at_most("lease-writes-per-day", 10_800.0, ""),
    Row::at_most("takeover-after-sigterm", 2.0, "s"),
    // The lease's duration by the flags' defaults, and 2 s.
    Row::at_most("takeover-after-sigkill", 32.0, "s"),
];

const FLAGS: [&str; 1] = ["--leader-elect"];
const DAY: f64 = 86_400.0;

pub async fn run(report: Report) {
    let fixture = Fixture::new(Duration::from_secs(5)).await;
    if report.wants(&["lease-writes-per-day"]) {
        let proxy = fixture.proxy().await;
        let operator = fixture.operator_behind(&proxy, &FLAGS).await;
        let standing_by = fixture.operator_behind(&proxy, &FLAGS).await;
        until_leads(&operator).await;
        let window = Duration::from_secs(setting("LEASE", 120));
        let seen = proxy.log().len();
        tokio::time::sleep(window).await;
        let log = proxy.log();
        let writes = log.iter().skip(seen).filter(|logged| {
            let asked = &logged.asked;
            asked.server == Server::Kubernetes
                && asked.resource == "leases"
                && matches!(asked.verb, Verb::Create | Verb::Update | Verb::Patch)
        });
        let writes = writes.count() as f64;
        report.row("lease-writes-per-day", writes * DAY / window.as_secs_f64());
        report.note(&format!(
            "lease-writes-per-day: {writes} in {} s, of two operators",
            window.as_secs()
        ));
        standing_by.stop();
        operator.stop();
    }
    if report.wants(&["takeover-after-sigterm"]) {
        let times = take_overs(&fixture, Operator::stop).await;
        report.worst_of("takeover-after-sigterm", &times);
    }
    if report.wants(&["takeover-after-sigkill"]) {
        let times = take_overs(&fixture, Operator::kill).await;
        report.worst_of("takeover-after-sigkill", &times);
    }
}

/// Ends the operator that acts, again and again. How long nobody acted, from the signal on.
async fn take_overs(fixture: &Fixture, end: impl Fn(Operator)) -> Vec<f64> {
    let mut times = Vec::new();
    let mut acts = fixture.operator(&FLAGS).await;
    until_leads(&acts).await;
    for _ in 0..runs() {
        let next = fixture.operator(&FLAGS).await;
        // It has seen the lease, and counts from then.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let began = Instant::now();
        end(acts);
        until_leads(&next).await;
        times.push(began.elapsed().as_secs_f64());
        acts = next;
    }
    acts.stop();
    times
}

async fn until_leads(operator: &Operator) {
    while operator.metric("leader").await != 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
