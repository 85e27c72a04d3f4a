//! What goes wrong on the side of Kubernetes: what is seen is old, what is written is refused or
//! not answered, another acts at the same time, or the state of last night is back. The simulator's
//! ledger judges: a request makes one job at the most, and one in the end.

mod clocks;
mod foreign;
mod leaders;
mod moved;
mod queue;
mod restored;
mod watches;
mod writes;

use std::collections::BTreeSet;

use aep_export_operator::api::ExportJob;
use serde_json::{Value, json};

use crate::harness::{
    SHORT_WINDOWS, World, eventually,
    proxy::{Fault, Logged, Match, Rule, Side, Verb, When},
};

const EXPORTS: &str = "exportjobs";
const JOBS: &str = "/data/core/ups/export/jobs";

/// A tenant with a dataset, behind a proxy, and an operator that settles a doubt within seconds.
async fn furnished() -> World {
    let mut world = World::behind_proxy("stale").await;
    world.start_operator(&SHORT_WINDOWS).await;
    world.furnish().await;
    world
}

/// The same, where it is known that the platform shows request ids: a first export has shown it.
async fn acquainted() -> World {
    let world = furnished().await;
    acquaint(&world).await;
    world
}

/// Has a first export teach the operator that the platform shows request ids.
async fn acquaint(world: &World) {
    world.export("first").await;
    world.until_phase("first", "Succeeded").await;
    world
        .until("prod", "known to show request ids", |connection| {
            let connection: &aep_export_operator::api::PlatformConnection = connection;
            let status = connection.status.as_ref();
            status.and_then(|status| status.echoes_request_id) == Some(true)
        })
        .await;
}

/// Submits an export whose reply is lost, into a doubt that lasts: no job can be read until the rule
/// that is given is ended.
async fn doubt(world: &World, name: &str) -> Rule {
    let proxy = world.proxy();
    let lost = proxy.disturb(
        Match::platform(JOBS).verb(Verb::Create),
        When::next(1),
        Fault::Close(Side::After),
    );
    let reads = proxy.disturb(
        Match::platform(JOBS).verb(Verb::Get),
        When::ALWAYS,
        Fault::Close(Side::Before),
    );
    world.export(name).await;
    lost.happened(1).await;
    reads.happened(1).await;
    reads
}

/// How many jobs there are; none of them is another of the same request.
async fn created(world: &World) -> usize {
    let jobs = world.simulator.jobs().await;
    let requests: BTreeSet<&str> = jobs
        .iter()
        .map(|job| job["requestId"].as_str().unwrap())
        .collect();
    assert_eq!(requests.len(), jobs.len(), "{jobs:#?}");
    jobs.len()
}

/// How many jobs were asked to be cancelled, each time counted.
async fn cancels(world: &World) -> usize {
    world.simulator.calls("DELETE", JOBS).await.len()
}

/// The job that is on record.
fn job_of(export: &ExportJob) -> Option<String> {
    export.status.as_ref()?.job_id.clone()
}

/// The nonce of the intent on record.
fn try_of(export: &ExportJob) -> Option<String> {
    let submission = export.status.as_ref()?.submission.as_ref()?;
    Some(submission.r#try.clone())
}

/// Lets a job that was held end well, now.
async fn finish(world: &World, job: &str) {
    let end = json!({ "outcome": "release", "finishNow": true });
    world.simulator.put(&format!("jobs/{job}"), end).await;
}

/// Lets every job end well.
async fn finish_all(world: &World) {
    let defaults = json!({ "outcome": "succeed" });
    world.simulator.put("defaults", defaults).await;
    for job in world.simulator.jobs().await {
        if job["status"] == "NEW" || job["status"] == "PROCESSING" {
            finish(world, &job["id"].to_string()).await;
        }
    }
}

/// What makes an export go round without changing what it asks for.
fn nudge(word: &str) -> Value {
    json!({ "metadata": { "annotations": { "example.com/nudge": word } } })
}

/// Writes to the status of an export.
fn status_of(name: &str) -> Match {
    Match::resource(EXPORTS)
        .verb(Verb::Update)
        .subresource("status")
        .named(name)
}

/// Writes of the finalizer of an export.
fn finalizer_of(name: &str) -> Match {
    Match::resource(EXPORTS).verb(Verb::Patch).named(name)
}

/// Waits until there were so many of these requests.
async fn requests(world: &World, what: &Match, count: usize) {
    eventually("requests", || async {
        match positions(&world.proxy().log(), what).len() {
            enough if enough >= count => Ok(()),
            few => Err(format!("{few} of {what:?}\n{}", world.log())),
        }
    })
    .await;
}

fn positions(log: &[Logged], what: &Match) -> Vec<usize> {
    let log = log.iter().enumerate();
    log.filter(|(_, logged)| what.matches(&logged.asked))
        .map(|(position, _)| position)
        .collect()
}

/// How often an operator wrote to exports.
fn writes(world: &World) -> usize {
    let log = world.proxy().log();
    [Verb::Update, Verb::Patch]
        .map(|verb| positions(&log, &Match::resource(EXPORTS).verb(verb)).len())
        .iter()
        .sum()
}
