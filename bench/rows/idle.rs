//! An operator that has nothing to do.

use std::time::Duration;

use aep_control_plane::workspace_binary;

use crate::{
    fixture::Fixture,
    report::{Report, Row, runs},
};

pub const ROWS: &[Row] = &[
    Row::at_most("binary-size", 12.0, "MB"),
    Row::at_most("rss-idle", 12.0, "MB"),
];

/// Long enough that all that begins with the process has begun.
const SETTLE: Duration = Duration::from_secs(10);

pub async fn run(report: Report) {
    let binary = workspace_binary("aep-export-operator").unwrap();
    let size = std::fs::metadata(binary).unwrap().len();
    report.row("binary-size", size as f64 / 1e6);
    if !report.wants(&["rss-idle"]) {
        return;
    }
    let fixture = Fixture::new(Duration::from_secs(5)).await;
    let mut peaks = Vec::new();
    for _ in 0..runs() {
        let operator = fixture.operator(&[]).await;
        tokio::time::sleep(SETTLE).await;
        peaks.push(operator.peak_memory());
        operator.stop();
    }
    report.worst_of("rss-idle", &peaks);
}
