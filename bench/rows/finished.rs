//! Very many exports that have ended: what they cost until then, at a start, and at rest.

use std::time::Duration;

use aep_export_operator::{
    api::{ExportJob, ExportJobStatus},
    decide::request::request_id,
};
use futures::{StreamExt, stream};
use kube::{
    Api, ResourceExt,
    api::{ObjectMeta, PostParams},
};

use crate::{
    fixture::{Fixture, WRITERS, ample, dataset, manifest, writes},
    operator::Operator,
    report::{Report, Row, runs, setting},
};

pub const TEN: &[Row] = &[
    Row::at_most("cpu-10k", 10.0, "s"),
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
/// The field manager with which the operator writes status.
const STATUS_MANAGER: &str = "aep-export-operator/status";

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
    let (peaks, starts) = starts(&fixture).await;
    report.worst_of("rss-10k", &peaks);
    report.worst_of("start-10k", &starts);
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

/// Makes exports whose spec a person wrote and whose status the operator wrote of another one,
/// with what is each one's own: its request id and its job.
async fn copy(fixture: &Fixture, count: u64) {
    let cluster = fixture.cluster().await;
    let api: Api<ExportJob> = Api::namespaced(fixture.client.clone(), NAMESPACE);
    let sample = api.get("sample-000000").await.unwrap();
    let status = sample.status.expect("a status");
    let (api, status, cluster) = (&api, &status, &cluster);
    stream::iter(0..count)
        .for_each_concurrent(WRITERS, |number| async move {
            let name = format!("copy-{number:06}");
            let (_, created) = fixture.export(NAMESPACE, &name, &dataset(0)).await;
            let status = own(status, &created, cluster, number);
            let ended = ExportJob {
                metadata: ObjectMeta {
                    managed_fields: None,
                    ..created.metadata.clone()
                },
                status: Some(status),
                ..manifest(NAMESPACE, &name, &dataset(0))
            };
            let params = PostParams {
                field_manager: Some(STATUS_MANAGER.to_owned()),
                ..PostParams::default()
            };
            api.replace_status(&name, &params, &ended).await.unwrap();
        })
        .await;
}

fn own(
    status: &ExportJobStatus,
    export: &ExportJob,
    cluster: &str,
    number: u64,
) -> ExportJobStatus {
    let mut status = status.clone();
    status.job_id = Some((1_000_000 + number).to_string());
    if let Some(submission) = &mut status.submission {
        let uid = export.uid().unwrap();
        submission.request_id = request_id(cluster, &uid, submission.attempt);
    }
    for batch in &mut status.batches {
        batch.batch_id = format!("{number:024x}");
    }
    status
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
