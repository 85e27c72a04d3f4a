//! Writes to datasets: what a request may say, and what a PATCH makes of it.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::datasets::Dataset;
use super::{JSON, JSON_PATCH, bad_request};
use crate::call::Call;
use crate::reply::{Reply, catalog_error};
use crate::shape::{Check, Field, problems, read_object};
use crate::switches::{FileDescription, PatchTags, Switches};
use crate::world::World;

const SCHEMA_REF: &[Field] = &[
    Field::required("id", Check::Name),
    Field::optional("contentType", Check::Name),
];

const FORMATS: &[&str] = &["", "csv", "text", "parquet", "json", "sequencefile", "avro"];

/// `persisted` and `containerFormat` come from two of the guides, the rest from the Catalog's
/// specification.
const FILE_DESCRIPTION: &[Field] = &[
    Field::optional("format", Check::OneOf(FORMATS)),
    Field::optional("delimiters", Check::Texts),
    Field::optional("quotes", Check::Texts),
    Field::optional("escapes", Check::Texts),
    Field::optional("nullMarkers", Check::Texts),
    Field::optional("header", Check::Boolean),
    Field::optional("charset", Check::Text),
    Field::optional("persisted", Check::Boolean),
    Field::optional("containerFormat", Check::OneOf(FORMATS)),
];

const DATASET: &[Field] = &[
    Field::optional("name", Check::Name),
    Field::optional("description", Check::Text),
    Field::optional("schemaRef", Check::Object(SCHEMA_REF)),
    Field::optional("schema", Check::Name),
    Field::optional("tags", Check::TextsByName),
    Field::optional("fileDescription", Check::Object(FILE_DESCRIPTION)),
    Field::optional("enableErrorDiagnostics", Check::Boolean),
    Field::optional("observableSchema", Check::AnyObject),
    Field::optional("dataSourceId", Check::Integer),
    Field::optional("unifiedTags", Check::Texts),
    Field::optional("systemLabels", Check::Texts),
    Field::optional("extensions", Check::AnyObject),
    Field::optional("classification", Check::AnyObject),
];

/// What only PATCH takes.
const PATCH_ONLY: [&str; 2] = ["extensions", "classification"];

/// Says what is wrong with a request for a new dataset, or a whole one.
///
/// # Errors
///
/// All that is wrong, as one text.
pub(super) fn check_request(body: &Value, switches: &Switches) -> Result<(), String> {
    let mut found = check(body, switches);
    found.extend(
        PATCH_ONLY
            .iter()
            .filter(|name| body.get(**name).is_some())
            .map(|name| format!("{name}: only PATCH sets it")),
    );
    found.extend(
        tags_of(body)
            .filter(|name| is_reserved(name))
            .map(|name| format!("tags.{name}: names that begin with adobe are the platform's")),
    );
    if found.is_empty() {
        Ok(())
    } else {
        Err(found.join("; "))
    }
}

fn check(body: &Value, switches: &Switches) -> Vec<String> {
    let mut found = problems(body, DATASET);
    if let Some(description) = body.get("fileDescription") {
        let undocumented = |key: &str| format!("{key}: this flavour of the API has no such field");
        match switches.file_description {
            FileDescription::Full => {}
            FileDescription::Refused => found.push(undocumented("fileDescription")),
            FileDescription::FormatOnly => found.extend(
                ["persisted", "containerFormat"]
                    .iter()
                    .filter(|key| description.get(**key).is_some())
                    .map(|key| undocumented(&format!("fileDescription.{key}"))),
            ),
        }
    }
    found
}

fn tags_of(body: &Value) -> impl Iterator<Item = &String> {
    body.get("tags")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::keys)
}

fn is_reserved(tag: &str) -> bool {
    tag.starts_with("adobe")
}

/// PATCH of version 1: a partial object, or a JSON Patch.
pub(super) fn patch(
    world: &World,
    call: &Call,
    dataset: &Dataset,
) -> Result<Map<String, Value>, Reply> {
    if call.content_type_is(&[JSON_PATCH]).is_ok() {
        return json_patch(world, call, dataset);
    }
    let partial = read(call, &[JSON, JSON_PATCH])?;
    let mut body = dataset.body.clone();
    for (key, value) in partial {
        match (body.get_mut(&key), value) {
            (Some(Value::Object(tags)), Value::Object(new))
                if key == "tags" && world.switches.patch_tags == PatchTags::Merge =>
            {
                tags.extend(new);
            }
            (_, value) => {
                body.insert(key, value);
            }
        }
    }
    settle(world, dataset, body)
}

/// PATCH of version 2: objects are merged to any depth, `null` takes a key away.
pub(super) fn patch_v2(
    world: &World,
    call: &Call,
    dataset: &Dataset,
) -> Result<Map<String, Value>, Reply> {
    let partial = Value::Object(read(call, &[JSON])?);
    let mut body = Value::Object(dataset.body.clone());
    json_patch::merge(&mut body, &partial);
    settle(world, dataset, into_object(body)?)
}

/// PUT: the whole of what writers say; the platform's tags stay.
pub(super) fn put(
    world: &World,
    call: &Call,
    dataset: &Dataset,
) -> Result<Map<String, Value>, Reply> {
    let body = read(call, &[JSON])?;
    settle(world, dataset, body)
}

fn json_patch(world: &World, call: &Call, dataset: &Dataset) -> Result<Map<String, Value>, Reply> {
    let patch: json_patch::Patch = serde_json::from_slice(&call.body)
        .map_err(|error| bad_request(&format!("the body is no JSON Patch: {error}")))?;
    for operation in &patch.0 {
        let allowed = matches!(
            operation,
            json_patch::PatchOperation::Add(_)
                | json_patch::PatchOperation::Replace(_)
                | json_patch::PatchOperation::Remove(_)
                | json_patch::PatchOperation::Test(_)
        );
        if !allowed {
            return Err(bad_request(
                "the operations are add, replace, remove and test",
            ));
        }
    }
    let mut body = Value::Object(dataset.body.clone());
    json_patch::patch(&mut body, &patch)
        .map_err(|error| bad_request(&format!("the patch cannot be applied: {error}")))?;
    settle(world, dataset, into_object(body)?)
}

fn read(call: &Call, types: &[&str]) -> Result<Map<String, Value>, Reply> {
    call.content_type_is(types)
        .map_err(|_| bad_request("A valid content-type must be specified"))?;
    read_object(&call.body).map_err(|problem| bad_request(&problem))
}

fn into_object(body: Value) -> Result<Map<String, Value>, Reply> {
    match body {
        Value::Object(map) => Ok(map),
        _ => Err(bad_request("a dataset is an object")),
    }
}

/// Checks the body that a dataset would have, and keeps what is the platform's.
fn settle(
    world: &World,
    dataset: &Dataset,
    mut body: Map<String, Value>,
) -> Result<Map<String, Value>, Reply> {
    let found = check(&Value::Object(body.clone()), &world.switches);
    if !found.is_empty() {
        return Err(bad_request(&found.join("; ")));
    }
    if body
        .get("schemaRef")
        .is_some_and(|schema| Some(schema) != dataset.body.get("schemaRef"))
    {
        return Err(catalog_error(
            StatusCode::BAD_REQUEST,
            "schemaRef: the schema of a dataset cannot be changed",
        ));
    }
    if let Some(schema) = dataset.body.get("schemaRef") {
        body.entry("schemaRef").or_insert_with(|| schema.clone());
    }
    let none = Map::new();
    let own = dataset
        .body
        .get("tags")
        .and_then(Value::as_object)
        .unwrap_or(&none);
    let given = body.get("tags").and_then(Value::as_object).unwrap_or(&none);
    let touched = given
        .iter()
        .find(|(name, values)| is_reserved(name) && own.get(*name) != Some(*values));
    if let Some((name, _)) = touched {
        let detail = format!("tags.{name}: names that begin with adobe are the platform's");
        return Err(bad_request(&detail));
    }
    let kept: Vec<(String, Value)> = own
        .iter()
        .filter(|(name, _)| is_reserved(name))
        .map(|(name, values)| (name.clone(), values.clone()))
        .collect();
    if !kept.is_empty()
        && let Value::Object(tags) = body.entry("tags").or_insert_with(|| json!({}))
    {
        tags.extend(kept);
    }
    Ok(body)
}
