//! The export API: create, read, list and cancel jobs.

mod document;
pub(crate) mod job;
mod list;
pub(crate) mod request;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::header::HeaderName;
use axum::http::{Method, StatusCode};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

pub(crate) use document::{Place, status};
use job::{Compute, Job, Outcome, Phase, Pins, Profiles, Schedule, Stamps};

use crate::call::{Call, Cause};
use crate::clock::{Now, seconds};
use crate::ids;
use crate::reply::{Reply, profile_error};
use crate::switches::{
    Acceptance, CancelLooksLike, DeleteFinished, DeleteReply, DeleteVerb, ErrorBodies,
    FOREVER_SECONDS, Presence,
};
use crate::world::World;

/// Where the export API begins; links in lists are relative to it.
pub(crate) const BASE: &str = "/data/core/ups";

/// What is wrong with a request that the service cannot read.
const UNREADABLE: &str = "UPLIB-101206-500";
/// The dataset cannot be read from the Catalog.
const DATASET: &str = "UPLIB-101554-503";
/// No document names the code of a job that is not there.
const NO_JOB: &str = "UPLIB-101000-404";

/// What makes a job.
pub(crate) struct Draft {
    pub(crate) id: Option<i64>,
    pub(crate) sandbox: String,
    pub(crate) request_id: String,
    pub(crate) dataset: String,
    pub(crate) body: Value,
    pub(crate) outcome: Outcome,
    pub(crate) duration: Duration,
    pub(crate) profiles: Profiles,
    pub(crate) created: i64,
    /// How many calls for the list do not see it.
    pub(crate) visible_after_list_calls: u64,
    /// The call that makes it; none if it is seeded.
    pub(crate) cause: Option<Cause>,
    pub(crate) foreign: bool,
}

/// Answers a call to `/export/jobs`.
pub(crate) fn jobs(world: &mut World, call: &Call, sandbox: &str, now: &Now) -> Reply {
    let reply = match call.method {
        Method::POST => create(world, call, sandbox, now),
        Method::GET => {
            let reply = list::list(world, call, sandbox, now);
            if reply.status.is_success() {
                world.list_calls += 1;
            }
            reply
        }
        _ => call.method_not_allowed(),
    };
    trim(world, reply)
}

/// Answers a call to `/export/jobs/{id}`.
pub(crate) fn job(world: &mut World, call: &Call, sandbox: &str, id: &str, now: &Now) -> Reply {
    let cancels = call.method == Method::DELETE
        || (call.method == Method::POST && world.switches.delete_verb == DeleteVerb::DeleteAndPost);
    let reply = if let Err(problem) = call.no_query() {
        unreadable(call, &[problem])
    } else if call.method == Method::GET {
        get(world, call, sandbox, id, now)
    } else if cancels {
        delete(world, call, sandbox, id, now)
    } else {
        call.method_not_allowed()
    };
    trim(world, reply)
}

/// Takes the body off an error where errors have none.
fn trim(world: &World, mut reply: Reply) -> Reply {
    let bare = world.switches.export_error_bodies == ErrorBodies::Empty;
    if bare && !reply.status.is_success() {
        reply.body.clear();
        reply
            .headers
            .retain(|(name, _)| name != axum::http::header::CONTENT_TYPE);
    }
    reply
}

fn create(world: &mut World, call: &Call, sandbox: &str, now: &Now) -> Reply {
    if let Err(problem) = call.content_type_is(&["application/json"]) {
        return unreadable(call, &[problem]);
    }
    if let Err(problem) = call.no_query() {
        return unreadable(call, &[problem]);
    }
    let body = match crate::shape::read_object(&call.body) {
        Ok(map) => Value::Object(map),
        Err(problem) => return unreadable(call, &[problem]),
    };
    let mut problems = request::check(&body, &world.switches);
    if world.switches.unknown_merge_policy == Acceptance::Refused
        && let Some(policy) = body.pointer("/mergePolicy/id").and_then(Value::as_str)
        && !world.policies.iter().any(|known| known == policy)
    {
        problems.push(format!("mergePolicy.id: there is no merge policy {policy}"));
    }
    if !problems.is_empty() {
        return unreadable(call, &problems);
    }
    let dataset = body
        .pointer("/destination/datasetId")
        .and_then(Value::as_str);
    let dataset = dataset.unwrap_or_default().to_owned();
    if let Err(reply) = check_dataset(world, call, sandbox, &dataset) {
        return reply;
    }
    let plan = world.plan(&dataset);
    let draft = Draft {
        id: world.defaults.next_job_id.take(),
        sandbox: sandbox.to_owned(),
        request_id: call.request_id.clone(),
        dataset,
        body,
        outcome: plan.outcome,
        duration: plan.duration,
        profiles: plan.profiles,
        created: now.wall,
        visible_after_list_calls: call.visible_after_list_calls,
        cause: Some(call.cause()),
        foreign: false,
    };
    let id = insert(world, draft, now);
    if let Some(job) = world.jobs.get_mut(&id) {
        job.errors = plan.errors;
    }
    let Some(job) = world.jobs.get(&id) else {
        return Reply::empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let status = StatusCode::from_u16(world.switches.create_status.into()).unwrap_or_default();
    let reply = Reply::json(status, &document_of(world, job, Place::Post)).effective();
    if world.switches.job_location_header == Presence::Absent {
        return reply;
    }
    let location = format!("{}{BASE}/export/jobs/{id}", call.origin());
    reply.with_text(HeaderName::from_static("x-location"), &location)
}

fn check_dataset(world: &World, call: &Call, sandbox: &str, id: &str) -> Result<(), Reply> {
    let found = world.dataset(sandbox, id);
    let schema = found.map(|dataset| dataset.schema_id().to_owned());
    match schema {
        Some(schema) if schema == request::UNION_SCHEMA => Ok(()),
        Some(schema) => {
            let title = format!(
                "Dataset {id} is on the schema {schema}; the target of an export is on the union \
                 schema {}.",
                request::UNION_SCHEMA
            );
            let messages = [title.clone()];
            Err(profile_error(
                &call.request_id,
                StatusCode::BAD_REQUEST,
                DATASET,
                &title,
                &messages,
            ))
        }
        None => {
            let path = format!("/data/foundation/catalog/dataSets/{id}");
            let title = format!(
                "Dataset {id} cannot be retrieved from Catalog {}{path}.",
                call.origin()
            );
            let inner = json!({
                "type": "/placeholder/type/uri",
                "status": 404,
                "title": "NotFoundError",
                "detail": "DataSet not found.",
            });
            let messages = [
                title.clone(),
                format!("uri:PlatformUrl{path} -> Status Code - 404 : message\n{inner}"),
            ];
            Err(profile_error(
                &call.request_id,
                StatusCode::BAD_REQUEST,
                DATASET,
                &title,
                &messages,
            ))
        }
    }
}

/// Adds a job and its batches; returns its id.
pub(crate) fn insert(world: &mut World, draft: Draft, now: &Now) -> i64 {
    let id = draft
        .id
        .filter(|id| !world.jobs.contains_key(id))
        .unwrap_or_else(|| {
            while world.jobs.contains_key(&world.next_job_id) {
                world.next_job_id += 1;
            }
            world.next_job_id
        });
    world.next_job_id = world.next_job_id.max(id.saturating_add(1));
    let several = request::segment_per_batch(&draft.body);
    let count = if several {
        request::segments(&draft.body).len().max(1)
    } else {
        1
    };
    let batches: Vec<String> = (0..count).map(|_| ids::batch_id()).collect();
    for batch in &batches {
        world.add_batch(batch, &draft, id);
    }
    let job = Job {
        id,
        sandbox: draft.sandbox,
        request_id: draft.request_id,
        other_request_id: ids::request_id(),
        dataset: draft.dataset,
        body: draft.body,
        batches,
        phase: Phase::New,
        before_cancel: Phase::New,
        outcome: draft.outcome,
        errors: Vec::new(),
        profiles: draft.profiles,
        schedule: Schedule {
            runs: now.life.saturating_add(draft.duration / 5),
            ends: now.life.saturating_add(draft.duration),
            cancelled: Duration::MAX,
        },
        stamps: Stamps {
            created: draft.created,
            running: None,
            ended: None,
            updated: draft.created,
            deleted: None,
            removed: None,
        },
        ended_life: Duration::ZERO,
        shown_status: None,
        pins: Pins::default(),
        compute: Compute {
            export: ids::uuid(),
            push: ids::uuid(),
        },
        delete_requests: 0,
        born: now
            .steady
            .saturating_sub(now.wall.saturating_sub(draft.created)),
        listed_after: world
            .list_calls
            .saturating_add(draft.visible_after_list_calls),
        cause: draft.cause,
        foreign: draft.foreign,
    };
    world.order.insert((job.stamps.created, id));
    world.live.insert(id);
    world.jobs.insert(id, job);
    id
}

/// The job as text: the pinned document where there is one.
pub(crate) fn document_of(world: &World, job: &Job, place: Place) -> Box<RawValue> {
    let pinned = match place {
        Place::Post => None,
        Place::Get => job.pins.get.clone(),
        Place::List => job.pins.list.clone(),
    };
    pinned.unwrap_or_else(|| {
        let policy = world.policies.first().map_or("", String::as_str);
        let organization = &world.credentials.organization;
        raw(&document::document(
            job,
            place,
            &world.switches,
            organization,
            policy,
        ))
    })
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Whether the API knows the job, or knows it still.
pub(crate) fn is_known(world: &World, job: &Job, sandbox: &str, now: &Now) -> bool {
    let purged = |since: i64, kept: f64| {
        kept < FOREVER_SECONDS
            && now.wall.saturating_sub(since) > crate::clock::milliseconds(seconds(kept))
    };
    let vanished = job.phase == Phase::Cancelled
        && world.switches.cancel_looks_like == CancelLooksLike::Absent;
    job.sandbox == sandbox
        && job.stamps.removed.is_none()
        && !vanished
        && !purged(job.stamps.created, world.switches.jobs_kept_seconds)
        && !job
            .stamps
            .ended
            .is_some_and(|ended| purged(ended, world.switches.finished_kept_seconds))
}

fn find<'a>(world: &'a World, sandbox: &str, id: &str, now: &Now) -> Option<&'a Job> {
    let job = world.jobs.get(&id.parse::<i64>().ok()?)?;
    is_known(world, job, sandbox, now).then_some(job)
}

fn get(world: &World, call: &Call, sandbox: &str, id: &str, now: &Now) -> Reply {
    let lag = crate::clock::milliseconds(seconds(world.switches.get_lag_seconds));
    match find(world, sandbox, id, now) {
        Some(job) if job.born.saturating_add(lag) <= now.steady => {
            Reply::json(StatusCode::OK, &document_of(world, job, Place::Get))
        }
        _ => no_job(call, id),
    }
}

fn delete(world: &mut World, call: &Call, sandbox: &str, id: &str, now: &Now) -> Reply {
    let Some(id) = find(world, sandbox, id, now).map(|job| job.id) else {
        return no_job(call, id);
    };
    let looks = world.switches.cancel_looks_like;
    let finished = world.switches.delete_finished;
    let cancelled_at = now
        .life
        .saturating_add(seconds(world.switches.cancel_seconds));
    let Some(job) = world.jobs.get_mut(&id) else {
        return no_job(call, &id.to_string());
    };
    job.delete_requests += 1;
    job.stamps.deleted.get_or_insert(now.wall);
    let effect = if job.phase.is_terminal() {
        match finished {
            DeleteFinished::Removes => job.stamps.removed = Some(now.wall),
            DeleteFinished::Keeps => {}
            DeleteFinished::Refuses => return no_job(call, &id.to_string()),
        }
        finished == DeleteFinished::Removes
    } else if looks == CancelLooksLike::Ignored {
        false
    } else {
        let begins = job.phase != Phase::Cancelling;
        job.cancel(now, cancelled_at);
        begins
    };
    let body = json!({"status": true, "message": "Export job has been marked for cancelling"});
    let reply = match world.switches.delete_reply {
        DeleteReply::Empty => Reply::empty(StatusCode::NO_CONTENT),
        DeleteReply::WithBody => Reply::json(StatusCode::NO_CONTENT, &body),
        DeleteReply::Ok => Reply::json(StatusCode::OK, &body),
    };
    if effect { reply.effective() } else { reply }
}

fn unreadable(call: &Call, problems: &[String]) -> Reply {
    let title = format!(
        "There is a problem extracting the user JSON, field(s) missing or invalid. Correct and \
         try again. {}",
        problems.join("; ")
    );
    profile_error(
        &call.request_id,
        StatusCode::BAD_REQUEST,
        UNREADABLE,
        &title,
        problems,
    )
}

fn no_job(call: &Call, id: &str) -> Reply {
    let title = format!("Export job {id} is not found.");
    let messages = [title.clone()];
    profile_error(
        &call.request_id,
        StatusCode::NOT_FOUND,
        NO_JOB,
        &title,
        &messages,
    )
}

/// The profiles that one document's sample counts.
pub(crate) fn sample_profiles() -> Profiles {
    let by_namespace =
        BTreeMap::from([("namespace1".to_owned(), 10), ("namespace2".to_owned(), 5)]);
    Profiles {
        total: 20,
        by_namespace,
    }
}
