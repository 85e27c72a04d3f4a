//! The Catalog: datasets, their batches, and what else is read there.

pub(crate) mod batches;
pub(crate) mod datasets;
pub(crate) mod files;
pub(crate) mod policies;
mod query;
mod write;

use axum::http::header::{HeaderName, LOCATION};
use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::clock::Now;
use crate::ids;
use crate::reply::{Ordered, Reply, catalog_error};
use crate::switches::{DatasetPrefix, DeleteMissing, LocationHeader};
use crate::world::World;
use datasets::{Dataset, Steering};

/// The Catalog's own path.
const BASE: &str = "/data/foundation/catalog";
const JSON: &str = "application/json";
const JSON_PATCH: &str = "application/json-patch+json";

/// Answers a call to `/dataSets`.
pub(crate) fn datasets(world: &mut World, call: &Call, sandbox: &str, now: &Now) -> Reply {
    match call.method {
        Method::POST => create(world, call, sandbox, now),
        Method::GET => query::list(world, call, sandbox, now),
        _ => call.method_not_allowed(),
    }
}

/// Answers a call to `/dataSets/{id}`.
pub(crate) fn dataset(world: &mut World, call: &Call, sandbox: &str, id: &str, now: &Now) -> Reply {
    if call.method == Method::DELETE {
        return delete(world, sandbox, id, now);
    }
    if world.dataset(sandbox, id).is_none() {
        return no_dataset();
    }
    match call.method {
        Method::GET => get(world, call, id, now),
        Method::PATCH => change(world, call, id, now, write::patch),
        Method::PUT => change(world, call, id, now, write::put),
        _ => call.method_not_allowed(),
    }
}

/// Answers a call to `/v2/dataSets/{id}`, which is for PATCH alone.
pub(crate) fn dataset_v2(
    world: &mut World,
    call: &Call,
    sandbox: &str,
    id: &str,
    now: &Now,
) -> Reply {
    if call.method != Method::PATCH {
        return call.method_not_allowed();
    }
    if world.dataset(sandbox, id).is_none() {
        return no_dataset();
    }
    change(world, call, id, now, write::patch_v2)
}

fn bad_request(detail: &str) -> Reply {
    catalog_error(StatusCode::BAD_REQUEST, detail)
}

fn no_dataset() -> Reply {
    catalog_error(StatusCode::NOT_FOUND, "DataSet not found.")
}

fn create(world: &mut World, call: &Call, sandbox: &str, now: &Now) -> Reply {
    if call.content_type_is(&[JSON]).is_err() {
        return bad_request("A valid content-type must be specified");
    }
    if call.header("pragma").is_some() {
        return bad_request("Pragma: this tenant only persists, it does not only validate");
    }
    match call.query_pairs() {
        Ok(pairs) if pairs.iter().all(|(name, _)| name == "requestDataSource") => {}
        Ok(_) => return bad_request("the only parameter of this call is requestDataSource"),
        Err(problem) => return bad_request(&problem),
    }
    let body = match crate::shape::read_object(&call.body) {
        Ok(body) => body,
        Err(problem) => return bad_request(&problem),
    };
    if let Err(problem) = write::check_request(&Value::Object(body.clone()), &world.switches) {
        return bad_request(&problem);
    }
    let id = world.defaults.next_dataset_id.take();
    let id = insert(world, sandbox, id, body, now.wall, now);
    if let Some(dataset) = world.datasets.get_mut(&id) {
        dataset.cause = Some(call.cause());
    }
    let status =
        StatusCode::from_u16(world.switches.dataset_create_status.into()).unwrap_or_default();
    let prefix = match world.switches.dataset_create_prefix {
        DatasetPrefix::DataSets => "@/dataSets",
        DatasetPrefix::Datasets => "@/datasets",
    };
    let reply = Reply::json(status, &json!([format!("{prefix}/{id}")])).effective();
    let location = format!("{}{BASE}/dataSets/{id}", call.origin());
    match world.switches.dataset_location_header {
        LocationHeader::Location => reply.with_text(LOCATION, &location),
        LocationHeader::XLocation => {
            reply.with_text(HeaderName::from_static("x-location"), &location)
        }
        LocationHeader::Absent => reply,
    }
}

/// Adds a dataset and returns its id.
pub(crate) fn insert(
    world: &mut World,
    sandbox: &str,
    id: Option<String>,
    body: Map<String, Value>,
    created: i64,
    now: &Now,
) -> String {
    let id = id
        .filter(|id| !world.datasets.contains_key(id))
        .unwrap_or_else(ids::object_id);
    world.dataset_count += 1;
    let user = world.user();
    let mut dataset = Dataset {
        id: id.clone(),
        sandbox: sandbox.to_owned(),
        body,
        sequence: world.dataset_count,
        created,
        updated: created,
        deleted: None,
        cause: None,
        revision: 0,
        view: ids::object_id(),
        user,
        tags: Vec::new(),
        batches: Vec::new(),
        steering: Steering::default(),
        document: None,
    };
    dataset.index_tags(now.steady.saturating_sub(now.wall - created));
    world.datasets.insert(id.clone(), dataset);
    id
}

fn get(world: &World, call: &Call, id: &str, now: &Now) -> Reply {
    let properties = match query::properties(call) {
        Ok(properties) => properties,
        Err(problem) => return bad_request(&problem),
    };
    let Some(dataset) = world.datasets.get(id) else {
        return no_dataset();
    };
    if let Some(document) = &dataset.document {
        return Reply::json(StatusCode::OK, document);
    }
    let document = datasets::document(world, dataset, now);
    let document = query::select(document, properties.as_deref());
    Reply::json(StatusCode::OK, &Ordered(vec![(id.to_owned(), document)]))
        .with_text(HeaderName::from_static("e-tag"), &dataset.version())
}

/// Makes the new body of a dataset out of its old one and the call's.
type Change = fn(&World, &Call, &Dataset) -> Result<Map<String, Value>, Reply>;

fn change(world: &mut World, call: &Call, id: &str, now: &Now, change: Change) -> Reply {
    let Some(dataset) = world.datasets.get(id) else {
        return no_dataset();
    };
    if let Some(wanted) = call.header("if-match")
        && wanted.trim_matches('"') != dataset.version()
    {
        let detail = format!("If-Match is {wanted}, the version is {}", dataset.version());
        return catalog_error(StatusCode::PRECONDITION_FAILED, &detail);
    }
    let body = match change(world, call, dataset) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    if let Some(dataset) = world.datasets.get_mut(id) {
        dataset.body = body;
        dataset.updated = now.wall;
        dataset.revision += 1;
        dataset.index_tags(now.steady);
    }
    Reply::json(StatusCode::OK, &json!([format!("@/dataSets/{id}")])).effective()
}

fn delete(world: &mut World, sandbox: &str, id: &str, now: &Now) -> Reply {
    if world.dataset(sandbox, id).is_none() {
        return match world.switches.dataset_delete_missing {
            DeleteMissing::EmptyList => Reply::json(StatusCode::OK, &json!([])),
            DeleteMissing::NotFound => no_dataset(),
        };
    }
    if let Some(dataset) = world.datasets.get_mut(id) {
        dataset.deleted = Some(now.wall);
    }
    Reply::json(StatusCode::OK, &json!([format!("@/dataSets/{id}")])).effective()
}
