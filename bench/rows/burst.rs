//! Many exports at once: how soon the platform is asked for each.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use aep_export_operator::decide::request::request_id;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, WRITERS, ample, dataset},
    report::{Report, Row},
    statistics::percentile,
};

pub const KNOWN: &[Row] = &[
    Row::at_most("post-p99", 2.5, "s").in_each_run(),
    Row::exactly("post-count", COUNT as f64).in_each_run(),
    Row::exactly("post-connections-over-posts", 0.0).in_each_run(),
];
pub const FRESH: &[Row] = &[Row::told("post-p99-fresh-with-list-lag", "s").in_each_run()];
pub const SILENT: &[Row] = &[Row::told("post-p99-without-echo", "s").in_each_run()];

const NAMESPACE: &str = "exports";
const COUNT: usize = 500;
const JOBS: &str = "/data/core/ups/export/jobs";
/// How long the platform takes to reply.
const REPLY: Duration = Duration::from_millis(200);
/// As many connections as polling may have, whatever else goes on.
const POLLING: u64 = 8;
/// How much later a new job is in the list.
const LIST_LAG: Duration = Duration::from_secs(5);

/// On a connection of which it is known that it shows request ids.
pub async fn run(report: Report) {
    let fixture = Fixture::new(Duration::from_mins(10)).await;
    let operator = fixture.operator(&[]).await;
    fixture.furnish(NAMESPACE, ample(), 10).await;
    let finish = json!({ "jobDurationSeconds": 1 });
    fixture.simulator.put("defaults", finish).await;
    fixture.export(NAMESPACE, "first", &dataset(0)).await;
    fixture.until_ended(&operator, 1).await;
    let finish = json!({ "jobDurationSeconds": 600 });
    fixture.simulator.put("defaults", finish).await;
    operator.until_quiet(Duration::from_secs(2)).await;
    let before = fixture.connections().await;
    let burst = burst(&fixture, 10).await;
    report.row("post-p99", burst.p99);
    report.row("post-count", burst.posts as f64);
    // No more were opened than there were POSTs, and none is left of them: so there never were more
    // than POSTs in flight. The most that were open at a time says less, since the tenant hears of
    // the end of one after that of its POST.
    let after = fixture.connections().await;
    let opened = after.accepted - before.accepted;
    let over_posts = opened.saturating_sub(burst.posts as u64 + POLLING);
    // One is the benchmark's own.
    let left = after.open.saturating_sub(POLLING + 1);
    report.row("post-connections-over-posts", over_posts.max(left) as f64);
    report.note(&format!(
        "post-p99: median {:.2} s; {opened} connections for {} POSTs, at most {} at a time, with at \
         most {} POSTs under way; {} open at the end",
        burst.median, burst.posts, after.most, after.posts, after.open
    ));
    operator.stop();
}

/// On a new connection, whose platform shows a new job in its list late.
pub async fn run_fresh(report: Report) {
    let fixture = Fixture::new(Duration::from_mins(10)).await;
    let operator = fixture.operator(&[]).await;
    let lag = json!({ "listLagSeconds": LIST_LAG.as_secs() });
    fixture.simulator.put("switches", lag).await;
    fixture.furnish(NAMESPACE, ample(), 10).await;
    let burst = burst(&fixture, 10).await;
    report.row("post-p99-fresh-with-list-lag", burst.p99);
    report.note(&format!(
        "post-p99-fresh-with-list-lag: median {:.2} s, {} POSTs",
        burst.median, burst.posts
    ));
    operator.stop();
}

/// Where the platform shows no request ids, into as many datasets.
pub async fn run_silent(report: Report) {
    let fixture = Fixture::new(Duration::from_mins(10)).await;
    let operator = fixture.operator(&[]).await;
    let silent = json!({ "requestIdEcho": { "post": false, "get": false, "list": false } });
    fixture.simulator.put("switches", silent).await;
    fixture.furnish(NAMESPACE, ample(), COUNT).await;
    let burst = burst(&fixture, COUNT).await;
    report.row("post-p99-without-echo", burst.p99);
    report.note(&format!(
        "post-p99-without-echo: median {:.2} s, {} POSTs",
        burst.median, burst.posts
    ));
    operator.stop();
}

struct Burst {
    median: f64,
    p99: f64,
    posts: usize,
}

/// Creates all exports as fast as so many writers can, and waits until all are submitted.
async fn burst(fixture: &Fixture, datasets: usize) -> Burst {
    let before = fixture.created().await;
    let slow = json!({
        "method": "POST", "path": JOBS,
        "action": { "delayMilliseconds": REPLY.as_millis() },
    });
    fixture.simulator.fault(slow).await;
    let cluster = fixture.cluster().await;
    let asked: Vec<(String, f64)> = stream::iter(0..COUNT)
        .map(|number| {
            let cluster = &cluster;
            async move {
                let name = format!("burst-{number:03}");
                let asked = now();
                let into = dataset(number % datasets);
                let (_, created) = fixture.export(NAMESPACE, &name, &into).await;
                (request_id(cluster, &created.uid().unwrap(), 1), asked)
            }
        })
        .buffer_unordered(WRITERS)
        .collect()
        .await;
    fixture.until_created(before + COUNT as u64).await;
    // One that is sent twice would be by then.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let posts = fixture.simulator.posts().await;
    let first: HashMap<&str, f64> = posts
        .iter()
        .rev()
        .map(|post| (post["requestId"].as_str().unwrap(), at(post)))
        .collect();
    let wait = |(id, asked): &(String, f64)| first.get(id.as_str()).map(|post| post - asked);
    let mut waits: Vec<f64> = asked.iter().filter_map(wait).collect();
    assert_eq!(waits.len(), COUNT, "an export was not submitted");
    let ids: Vec<&str> = asked.iter().map(|(id, _)| id.as_str()).collect();
    let ours = posts
        .iter()
        .filter(|post| ids.contains(&post["requestId"].as_str().unwrap()));
    Burst {
        posts: ours.count(),
        median: percentile(&mut waits, 0.5),
        p99: percentile(&mut waits, 0.99),
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

/// When a call came, in seconds since 1970.
pub fn at(call: &Value) -> f64 {
    let at: Timestamp = call["at"].as_str().unwrap().parse().unwrap();
    at.as_millisecond() as f64 / 1000.0
}
