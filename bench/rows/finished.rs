//! Very many exports that have ended: what they cost until then, at a start, and at rest.

use std::time::Duration;

use aep_control_plane::shared;
use aep_export_operator::decide::request::request_id;
use base64::prelude::{BASE64_STANDARD, Engine};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, WRITERS, ample, dataset, writes},
    operator::Operator,
    report::{Report, Row, runs, setting},
};

pub const TEN: &[Row] = &[
    Row::at_most("cpu-10k", 10.0, "s").in_each_run(),
    Row::told("rss-10k-of-the-writer", "MB"),
    Row::at_most("rss-10k", 24.0, "MB"),
    Row::at_most("start-10k", 2.0, "s"),
    Row::exactly("writes-at-rest", 0.0),
];
pub const HUNDRED: &[Row] = &[
    Row::at_most("rss-100k", 120.0, "MB"),
    Row::at_most("start-100k", 15.0, "s"),
];

const NAMESPACE: &str = "exports";
/// How long a job takes in the platform.
const JOB: Duration = Duration::from_secs(5);
/// Exports that are shared out over so many datasets.
const DATASETS: usize = 10;
/// How long an operator is watched that has started, for its most memory.
const SETTLE: Duration = Duration::from_secs(15);
/// How many objects are stored by one request: etcd takes up to 128, and 1.5 MB.
const AT_ONCE: usize = 100;

/// 10,000 exports, all of them run by the operator.
pub async fn ten_thousand(report: Report) {
    let count = setting("FINISHED", 10_000);
    let fixture = Fixture::new(JOB).await;
    let operator = fixture.operator(&[]).await;
    furnish(&fixture, &operator).await;
    operator.until_quiet(Duration::from_secs(2)).await;
    let before = operator.processor_time();
    create(&fixture, "export", count).await;
    fixture.until_ended(&operator, count + 1).await;
    operator.until_quiet(Duration::from_secs(2)).await;
    let used = operator.processor_time() - before;
    report.row("cpu-10k", used);
    report.row("rss-10k-of-the-writer", operator.peak_memory());
    operator.stop();
    if report.wants(&["rss-10k", "start-10k"]) {
        let (peaks, starts) = starts(&fixture).await;
        report.worst_of("rss-10k", &peaks);
        report.worst_of("start-10k", &starts);
    }
    if report.wants(&["writes-at-rest"]) {
        at_rest(&report, &fixture).await;
    }
}

/// 100,000 exports: some are run by the operator, and the others made as it left those.
pub async fn hundred_thousand(report: Report) {
    let (count, samples) = (setting("FINISHED", 100_000), 100);
    let fixture = Fixture::new(JOB).await;
    let operator = fixture.operator(&[]).await;
    furnish(&fixture, &operator).await;
    create(&fixture, "sample", samples).await;
    fixture.until_ended(&operator, samples + 1).await;
    operator.until_quiet(Duration::from_secs(2)).await;
    operator.stop();
    copy(&fixture, count - samples - 1).await;
    let (peaks, starts) = starts(&fixture).await;
    report.worst_of("rss-100k", &peaks);
    report.worst_of("start-100k", &starts);
}

/// Datasets, and one export, by which it is known whether jobs can be told apart.
async fn furnish(fixture: &Fixture, operator: &Operator) {
    fixture.furnish(NAMESPACE, ample(), DATASETS).await;
    fixture.export(NAMESPACE, "first", &dataset(0)).await;
    fixture.until_ended(operator, 1).await;
}

async fn create(fixture: &Fixture, name: &str, count: u64) {
    stream::iter(0..count)
        .for_each_concurrent(WRITERS, |number| async move {
            let into = dataset(usize::try_from(number).unwrap() % DATASETS);
            let name = format!("{name}-{number:06}");
            fixture.export(NAMESPACE, &name, &into).await;
        })
        .await;
}

/// Makes exports that are what the operator left of others to the byte, but for what is each one's
/// own: its name, its UID, its request id, its job and its batch. They are put where the API server
/// stores them, which takes no hundredth of the time that it takes through it.
async fn copy(fixture: &Fixture, count: u64) {
    let store = Etcd::new();
    let sample = store.get("sample-000000").await;
    let cluster = fixture.cluster().await;
    let numbers: Vec<u64> = (1..count).collect();
    let (store, sample, cluster) = (&store, &sample, &cluster);
    stream::iter(numbers.chunks(AT_ONCE))
        .for_each_concurrent(WRITERS / 4, |numbers| async move {
            let copies: Vec<(String, String)> = numbers
                .iter()
                .map(|number| (format!("copy-{number:06}"), own(sample, cluster, *number)))
                .collect();
            store.put(&copies).await;
        })
        .await;
    let last = ("copy-000000".to_owned(), own(sample, cluster, 0));
    store.put(&[last]).await;
    // The API server learns of them in the order in which they were stored.
    fixture.until_cached(NAMESPACE, "copy-000000").await;
}

fn own(sample: &Value, cluster: &str, number: u64) -> String {
    let mut export = sample.clone();
    let uid = format!("00000000-0000-4000-8000-{number:012x}");
    let status = &mut export["status"];
    status["jobId"] = json!((1_000_000 + number).to_string());
    status["submission"]["requestId"] = json!(request_id(cluster, &uid, 1));
    status["batches"][0]["batchId"] = json!(format!("{number:024x}"));
    let metadata = &mut export["metadata"];
    metadata["name"] = json!(format!("copy-{number:06}"));
    metadata["uid"] = json!(uid);
    export.to_string()
}

/// Where the API server stores its objects: etcd, by its gateway for HTTP.
struct Etcd {
    url: String,
    http: reqwest::Client,
}

impl Etcd {
    fn new() -> Self {
        let url = std::fs::read_to_string(shared().unwrap().layout().etcd()).unwrap();
        Self {
            url: url.trim().to_owned(),
            http: reqwest::Client::new(),
        }
    }

    async fn get(&self, name: &str) -> Value {
        let reply = self.call("range", &json!({ "key": key(name) })).await;
        let value = reply["kvs"][0]["value"].as_str().expect("an export");
        let text = BASE64_STANDARD.decode(value).unwrap();
        serde_json::from_slice(&text).expect("custom resources are stored as JSON")
    }

    async fn put(&self, exports: &[(String, String)]) {
        let put = |(name, text): &(String, String)| {
            let value = BASE64_STANDARD.encode(text);
            json!({ "requestPut": { "key": key(name), "value": value } })
        };
        let puts: Vec<Value> = exports.iter().map(put).collect();
        let reply = self.call("txn", &json!({ "success": puts })).await;
        assert_eq!(reply["succeeded"], true, "{reply}");
    }

    async fn call(&self, what: &str, body: &Value) -> Value {
        let url = format!("{}/v3/kv/{what}", self.url);
        let reply = self.http.post(url).json(body).send().await.unwrap();
        reply.json().await.unwrap()
    }
}

fn key(name: &str) -> String {
    let kind = "/registry/aep-export.dev/exportjobs";
    BASE64_STANDARD.encode(format!("{kind}/{NAMESPACE}/{name}"))
}

/// Starts the operator several times: the most memory that it had, and when it was ready.
async fn starts(fixture: &Fixture) -> (Vec<f64>, Vec<f64>) {
    let (mut peaks, mut times) = (Vec::new(), Vec::new());
    for _ in 0..runs() {
        let operator = fixture.operator(&[]).await;
        tokio::time::sleep(SETTLE).await;
        operator.until_quiet(Duration::from_secs(2)).await;
        peaks.push(operator.peak_memory());
        times.push(operator.ready_after.as_secs_f64());
        eprintln!(
            "bench: start: peak {:.1} MB, now {:.1} MB, ready after {:.2} s, {:.2} s of CPU",
            operator.peak_memory(),
            operator.resident_memory(),
            operator.ready_after.as_secs_f64(),
            operator.processor_time(),
        );
        operator.stop();
    }
    (peaks, times)
}

/// What the operator writes while nothing happens, after all that a start has it do.
async fn at_rest(report: &Report, fixture: &Fixture) {
    let proxy = fixture.proxy().await;
    let operator = fixture.operator_behind(&proxy, &[]).await;
    operator.until_quiet(Duration::from_secs(5)).await;
    let (seen, before) = (proxy.log().len(), operator.processor_time());
    let rest = Duration::from_secs(setting("REST", 600));
    tokio::time::sleep(rest).await;
    let writes = writes(&proxy, seen);
    let all = proxy.log().len() - seen;
    report.row("writes-at-rest", writes.len() as f64);
    report.note(&format!(
        "writes-at-rest: in {} s, of {all} requests, with {:.2} s of CPU{}",
        rest.as_secs(),
        operator.processor_time() - before,
        writes
            .iter()
            .take(5)
            .fold(String::new(), |all, write| all + "; " + write),
    ));
    operator.stop();
}
