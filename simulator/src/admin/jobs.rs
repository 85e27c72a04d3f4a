//! Jobs that a test seeds, steers and removes.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Answer, Patch, Refusal, done, ok};
use crate::catalog::batches::Batch;
use crate::clock::{Now, rfc3339};
use crate::exports::job::{Job, JobError, Outcome, Phase};
use crate::exports::{self, Draft};
use crate::ids;
use crate::reply::Reply;
use crate::world::{World, check_duration};

/// A job that was there before, or that somebody else made.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Seed {
    id: Option<i64>,
    dataset_id: Option<String>,
    sandbox: Option<String>,
    request_id: Option<String>,
    body: Option<Value>,
    /// Milliseconds since 1970.
    creation_time: Option<i64>,
    status: Option<String>,
    errors: Option<Vec<JobError>>,
    outcome: Option<Outcome>,
    duration_seconds: Option<f64>,
    foreign: bool,
    /// How many calls for the list do not see it.
    visible_after_list_calls: u64,
    /// Served verbatim by GET, and by the list unless there is a `listDocument`.
    document: Option<Box<RawValue>>,
    list_document: Option<Box<RawValue>>,
}

/// What is to become of a job.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Steering {
    #[serde(default)]
    outcome: Option<Turn>,
    /// A status to show whatever the phase; `null`: the phase's own again.
    #[serde(default)]
    status: Patch<String>,
    #[serde(default)]
    errors: Option<Vec<JobError>>,
    #[serde(default)]
    document: Patch<Box<RawValue>>,
    #[serde(default)]
    list_document: Patch<Box<RawValue>>,
    #[serde(default)]
    finish_now: bool,
    #[serde(default)]
    profiles: Option<u64>,
}

/// An outcome, or the end of a hold.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Turn {
    Succeed,
    SucceedWithErrors,
    Fail,
    Hold,
    Release,
}

pub(super) fn seed(world: &mut World, seed: Seed, now: &Now) -> Answer {
    let pinned = seed.document.as_ref().or(seed.list_document.as_ref());
    let pinned: Option<Value> = pinned.and_then(|text| serde_json::from_str(text.get()).ok());
    let from_pin = |pointer: &str| {
        pinned
            .as_ref()
            .and_then(|document| document.pointer(pointer))
    };
    let id = seed.id.or_else(|| from_pin("/id").and_then(Value::as_i64));
    if id.is_some_and(|id| world.jobs.contains_key(&id)) {
        return Err(Refusal::bad("a job with this id is there already"));
    }
    let text = |pointer: &str| from_pin(pointer).and_then(Value::as_str).map(str::to_owned);
    let dataset = seed
        .dataset_id
        .or_else(|| text("/destination/datasetId"))
        .or_else(|| text("/destination/dataSetId"))
        .ok_or_else(|| Refusal::bad("datasetId is required, unless a document names it"))?;
    let created = seed
        .creation_time
        .or_else(|| from_pin("/creationTime").and_then(Value::as_i64));
    let plan = world.plan(&dataset);
    let duration = match seed.duration_seconds {
        Some(seconds) => {
            check_duration(seconds).ok_or_else(|| Refusal::bad("durationSeconds is 0 to 1e9"))?
        }
        None => plan.duration,
    };
    let body = seed.body.unwrap_or_else(|| {
        json!({
            "destination": {"datasetId": dataset},
            "schema": {"name": "_xdm.context.profile"},
        })
    });
    let draft = Draft {
        id,
        sandbox: seed.sandbox.unwrap_or_else(|| first_sandbox(world)),
        request_id: seed
            .request_id
            .or_else(|| text("/requestId"))
            .unwrap_or_else(ids::request_id),
        dataset,
        body,
        outcome: seed.outcome.unwrap_or(plan.outcome),
        duration,
        profiles: plan.profiles,
        created: created.unwrap_or(now.wall),
        visible_after_list_calls: seed.visible_after_list_calls,
        cause: None,
        foreign: seed.foreign,
    };
    let id = exports::insert(world, draft, now);
    let status = seed.status.or_else(|| text("/status"));
    if let Some(job) = world.jobs.get_mut(&id) {
        job.errors = seed.errors.unwrap_or(plan.errors);
        job.pins.list = seed.list_document.or_else(|| seed.document.clone());
        job.pins.get = seed.document;
        if let Some(status) = status {
            place(job, &status, now);
        }
        if job.phase.is_terminal() {
            world.live.remove(&id);
        }
    }
    adopt_batches(world, id);
    Ok(Reply::json(StatusCode::CREATED, &json!({"id": id})))
}

/// Gives the Catalog the batches that a job's pinned documents name, as far as they are done.
fn adopt_batches(world: &mut World, id: i64) {
    let Some(job) = world.jobs.get(&id) else {
        return;
    };
    let mut named = Vec::new();
    for text in job.pins.get.iter().chain(&job.pins.list) {
        let document: Value = serde_json::from_str(text.get()).unwrap_or_default();
        let status = match document["status"].as_str() {
            Some("SUCCEEDED") => None,
            Some("FAILED") => Some("failed"),
            _ => Some("processing"),
        };
        let destination = &document["destination"];
        let several = match &destination["batches"] {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        let ids = several
            .iter()
            .chain([destination])
            .filter_map(|part| part["batchId"].as_str());
        named.extend(
            ids.filter(|id| !id.is_empty())
                .map(|id| (id.to_owned(), status)),
        );
    }
    for (name, status) in named {
        let batch = Batch {
            sandbox: job.sandbox.clone(),
            dataset: job.dataset.clone(),
            job: None,
            request_id: job.request_id.clone(),
            created: job.stamps.created,
            pinned_status: status.map(str::to_owned),
            document: None,
        };
        let known = world.batches.entry(name).or_insert(batch);
        // A batch of the job's own goes with its life; one that a document named, with that.
        if known.job.is_none() {
            known.pinned_status = status.map(str::to_owned);
        }
    }
}

/// Puts a seeded job into a phase; a status that is none is only shown, and the job stays as it is.
fn place(job: &mut Job, status: &str, now: &Now) {
    let Some(phase) = Phase::parse(status) else {
        job.shown_status = Some(status.to_owned());
        job.outcome = Outcome::Hold;
        return;
    };
    job.phase = phase;
    if phase != Phase::New {
        job.stamps.running = Some(job.stamps.created);
    }
    if phase == Phase::Cancelling {
        job.schedule.cancelled = job.schedule.ends;
    }
    if phase.is_terminal() {
        job.stamps.ended = Some(
            job.stamps
                .created
                .max(now.wall.min(job.stamps.created + 1000)),
        );
        job.stamps.updated = job.stamps.ended.unwrap_or(job.stamps.created);
        job.ended_life = now.life;
        job.complain();
    }
}

fn first_sandbox(world: &World) -> String {
    world
        .sandboxes
        .first()
        .map_or_else(String::new, |sandbox| sandbox.name.clone())
}

pub(super) fn steer(world: &mut World, id: i64, steering: Steering, now: &Now) -> Answer {
    let Some(job) = world.jobs.get_mut(&id) else {
        return Err(no_job(id));
    };
    let held = match steering.outcome {
        Some(Turn::Hold) => true,
        Some(_) => false,
        None => job.outcome == Outcome::Hold,
    };
    if steering.finish_now && held && job.phase != Phase::Cancelling {
        return Err(Refusal::bad(
            "a job on hold does not finish: give it another outcome",
        ));
    }
    if let Some(turn) = steering.outcome {
        let outcome = match turn {
            Turn::Succeed | Turn::Release => Outcome::Succeed,
            Turn::SucceedWithErrors => Outcome::SucceedWithErrors,
            Turn::Fail => Outcome::Fail,
            Turn::Hold => Outcome::Hold,
        };
        job.steer(now, outcome);
    }
    if let Some(errors) = steering.errors {
        job.errors = errors;
    }
    if let Some(profiles) = steering.profiles {
        job.profiles.total = profiles;
    }
    steering.document.apply(&mut job.pins.get);
    steering.list_document.apply(&mut job.pins.list);
    if !matches!(steering.status, Patch::Keep) {
        job.stamps.updated = now.wall;
    }
    steering.status.apply(&mut job.shown_status);
    if steering.finish_now {
        job.hasten(now);
    }
    world.advance_job(id, now);
    adopt_batches(world, id);
    world
        .jobs
        .get(&id)
        .map_or_else(|| Err(no_job(id)), |job| Ok(ok(&view(world, job))))
}

/// Removes a job as an administrator of the platform would: nothing of it is left to see.
pub(super) fn purge(world: &mut World, id: i64, now: &Now) -> Answer {
    let Some(job) = world.jobs.get_mut(&id) else {
        return Err(no_job(id));
    };
    job.stamps.deleted.get_or_insert(now.wall);
    job.stamps.removed = Some(now.wall);
    world.live.remove(&id);
    Ok(done())
}

fn no_job(id: i64) -> Refusal {
    Refusal::missing(format!("there is no job {id}"))
}

fn view(world: &World, job: &Job) -> Value {
    json!({
        "id": job.id,
        "phase": job.phase.as_str(),
        "status": exports::status(job, &world.switches),
        "outcome": job.outcome,
        "endedAt": job.stamps.ended.map(rfc3339),
    })
}
