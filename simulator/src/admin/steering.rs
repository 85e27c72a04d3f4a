//! Datasets and batches that a test seeds, steers and pins.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{Answer, Patch, Refusal, done, ok};
use crate::catalog;
use crate::catalog::batches::Batch;
use crate::clock::Now;
use crate::exports::job::{JobError, Outcome};
use crate::ids;
use crate::reply::Reply;
use crate::world::{World, check_duration};

/// A dataset that was there before, or that somebody else made.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Seed {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    sandbox: Option<String>,
    /// As in a request, but taken as it is: any schema, the platform's own tags.
    #[serde(default)]
    body: Map<String, Value>,
    /// Milliseconds since 1970.
    #[serde(default)]
    created: Option<i64>,
    /// The whole reply to GET, served verbatim.
    #[serde(default)]
    document: Option<Box<RawValue>>,
}

/// How exports into a dataset go from now on, and what GET shows; `null` ends each.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Steering {
    #[serde(default)]
    outcome: Patch<Outcome>,
    #[serde(default)]
    job_duration_seconds: Patch<f64>,
    #[serde(default)]
    errors: Patch<Vec<JobError>>,
    #[serde(default)]
    document: Patch<Box<RawValue>>,
    /// A new body, which replaces the whole of the old one.
    #[serde(default)]
    body: Option<Map<String, Value>>,
}

/// What the Catalog says of a batch; `null` ends each pin.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Pin {
    #[serde(default)]
    status: Patch<String>,
    /// The value under the batch's id, served verbatim.
    #[serde(default)]
    document: Patch<Box<RawValue>>,
    /// The dataset of a batch that is not there yet.
    #[serde(default)]
    dataset_id: Option<String>,
    #[serde(default)]
    sandbox: Option<String>,
}

pub(super) fn seed_dataset(world: &mut World, seed: Seed, now: &Now) -> Answer {
    if seed
        .id
        .as_ref()
        .is_some_and(|id| world.datasets.contains_key(id))
    {
        return Err(Refusal::bad("a dataset with this id is there already"));
    }
    let sandbox = seed.sandbox.unwrap_or_else(|| first_sandbox(world));
    let created = seed.created.unwrap_or(now.wall);
    let id = catalog::insert(world, &sandbox, seed.id, seed.body, created, now);
    if let Some(dataset) = world.datasets.get_mut(&id) {
        dataset.document = seed.document;
    }
    Ok(Reply::json(StatusCode::CREATED, &json!({"id": id})))
}

fn first_sandbox(world: &World) -> String {
    world
        .sandboxes
        .first()
        .map_or_else(String::new, |sandbox| sandbox.name.clone())
}

pub(super) fn steer_dataset(world: &mut World, id: &str, steering: Steering) -> Answer {
    let now = world.clock.now();
    let dataset = world.datasets.get_mut(id).ok_or_else(|| no_dataset(id))?;
    let duration = match steering.job_duration_seconds {
        Patch::Keep => Patch::Keep,
        Patch::Clear => Patch::Clear,
        Patch::Set(seconds) => {
            let duration = check_duration(seconds);
            Patch::Set(duration.ok_or_else(|| Refusal::bad("jobDurationSeconds is 0 to 1e9"))?)
        }
    };
    duration.apply(&mut dataset.steering.duration);
    steering.outcome.apply(&mut dataset.steering.outcome);
    steering.errors.apply(&mut dataset.steering.errors);
    steering.document.apply(&mut dataset.document);
    if let Some(body) = steering.body {
        dataset.body = body;
        dataset.updated = now.wall;
        dataset.revision += 1;
        dataset.index_tags(now.steady);
    }
    Ok(done())
}

/// Deletes a dataset as somebody else would.
pub(super) fn delete_dataset(world: &mut World, id: &str, now: &Now) -> Answer {
    let dataset = world.datasets.get_mut(id).ok_or_else(|| no_dataset(id))?;
    dataset.deleted = Some(dataset.deleted.unwrap_or(now.wall));
    Ok(done())
}

fn no_dataset(id: &str) -> Refusal {
    Refusal::missing(format!("there is no dataset {id}"))
}

pub(super) fn pin_batch(world: &mut World, id: &str, pin: Pin, now: &Now) -> Answer {
    if !world.batches.contains_key(id) {
        let batch = Batch {
            sandbox: pin.sandbox.clone().unwrap_or_else(|| first_sandbox(world)),
            dataset: pin.dataset_id.clone().unwrap_or_default(),
            job: None,
            request_id: ids::request_id(),
            created: now.wall,
            pinned_status: None,
            document: None,
        };
        world.batches.insert(id.to_owned(), batch);
    } else if pin.sandbox.is_some() || pin.dataset_id.is_some() {
        return Err(Refusal::bad(
            "sandbox and datasetId are for a batch that is not there yet",
        ));
    }
    if let Some(batch) = world.batches.get_mut(id) {
        pin.status.apply(&mut batch.pinned_status);
        pin.document.apply(&mut batch.document);
    }
    Ok(ok(&json!({"id": id})))
}
