//! More exports than a budget allows: whether it is kept, and shared out fairly.

use std::{collections::HashMap, time::Duration};

use aep_export_operator::decide::request::request_id;
use futures::{StreamExt, stream};
use kube::ResourceExt;
use serde_json::json;

use super::burst::at;
use crate::{
    fixture::{Fixture, WRITERS, dataset},
    report::{Report, Row},
    statistics::{busiest_window, jain},
};

pub const ROWS: &[Row] = &[
    // 600 a minute, and 2 %.
    Row::at_most("budget-rate", 612.0, "/min"),
    Row::at_least("budget-fairness", 0.95),
];

const NAMESPACES: usize = 10;
const EXPORTS: usize = 1000;
/// So many of them are of each namespace but the first, which has all others.
const EACH: usize = 60;
const PER_MINUTE: u64 = 600;

/// Whose exports are created, one after the other: the first namespace has seven or eight times as
/// many as each of the others there at any time, and first come first served would show.
fn order() -> Vec<usize> {
    let others = EACH * (NAMESPACES - 1);
    let first = EXPORTS - others;
    let mut order = Vec::with_capacity(EXPORTS);
    for turn in 0..EACH {
        let until = first * (turn + 1) / EACH;
        order.extend(std::iter::repeat_n(0, until - first * turn / EACH));
        order.extend(1..NAMESPACES);
    }
    order
}

pub async fn run(report: Report) {
    let fixture = Fixture::new(Duration::from_hours(1)).await;
    let operator = fixture.operator(&[]).await;
    let budget = json!({ "requestsPerMinute": PER_MINUTE, "maxRunningExports": 100_000 });
    let namespaces: Vec<String> = (0..NAMESPACES).map(|n| format!("team-{n}")).collect();
    for namespace in &namespaces {
        fixture.furnish(namespace, budget.clone(), 1).await;
    }
    // What was called until now counts in no window.
    tokio::time::sleep(Duration::from_mins(1)).await;
    let cluster = fixture.cluster().await;
    let began = fixture.simulator.ledger().await["requests"]
        .as_array()
        .unwrap()
        .len();
    let owners: HashMap<String, usize> = stream::iter(order().into_iter().enumerate())
        .map(|(number, namespace)| {
            let (name, cluster) = (&namespaces[namespace], &cluster);
            let fixture = &fixture;
            async move {
                let export = format!("export-{number:04}");
                let (_, created) = fixture.export(name, &export, &dataset(0)).await;
                (request_id(cluster, &created.uid().unwrap(), 1), namespace)
            }
        })
        .buffer_unordered(WRITERS)
        .collect()
        .await;
    fixture.until_created(EXPORTS as u64).await;
    let ledger = fixture.simulator.ledger().await;
    let calls: Vec<_> = ledger["requests"].as_array().unwrap()[began..]
        .iter()
        .filter(|call| call["path"].as_str().unwrap().starts_with("/data/"))
        .collect();
    let times: Vec<f64> = calls.iter().map(|call| at(call)).collect();
    report.row("budget-rate", busiest_window(&times, 60.0) as f64);
    // Until a namespace has nothing left to submit, all wait.
    let mut shares = vec![0.0; NAMESPACES];
    let posts = calls.iter().filter(|call| call["method"] == "POST");
    for namespace in posts.filter_map(|post| owners.get(post["requestId"].as_str()?)) {
        shares[*namespace] += 1.0;
        if *namespace > 0 && shares[*namespace] >= EACH as f64 {
            break;
        }
    }
    report.row("budget-fairness", jain(&shares));
    report.note(&format!(
        "budget-fairness: POSTs of each namespace while all waited: {shares:?}; {} calls in {:.0} s",
        calls.len(),
        times.iter().copied().fold(f64::MIN, f64::max)
            - times.iter().copied().fold(f64::MAX, f64::min),
    ));
    operator.stop();
}
