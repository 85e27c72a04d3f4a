//! A dataset and its document.

use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::batches;
use crate::call::Cause;
use crate::clock::Now;
use crate::exports::job::{JobError, Outcome};
use crate::world::World;

/// A dataset.
#[derive(Debug)]
pub(crate) struct Dataset {
    pub(crate) id: String,
    pub(crate) sandbox: String,
    /// What its writers said, and the tags of the platform.
    pub(crate) body: Map<String, Value>,
    /// Its place in the order of creation.
    pub(crate) sequence: u64,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) deleted: Option<i64>,
    /// The call that made it; none if it was seeded.
    pub(crate) cause: Option<Cause>,
    pub(crate) revision: u64,
    pub(crate) view: String,
    pub(crate) user: String,
    /// Its tags and since when it has them on the machine's clock: tag queries may lag behind.
    pub(crate) tags: Vec<(i64, Value)>,
    /// The batches of finished exports.
    pub(crate) batches: Vec<String>,
    pub(crate) steering: Steering,
    /// A reply to GET that is served as it was given.
    pub(crate) document: Option<Box<RawValue>>,
}

/// How exports into a dataset go.
#[derive(Debug, Default)]
pub(crate) struct Steering {
    pub(crate) outcome: Option<Outcome>,
    pub(crate) duration: Option<Duration>,
    pub(crate) errors: Option<Vec<JobError>>,
}

impl Dataset {
    /// The version that GET gives and `If-Match` takes.
    pub(crate) fn version(&self) -> String {
        format!("1.0.{}", self.revision)
    }

    /// The id of its schema; empty if it has none.
    pub(crate) fn schema_id(&self) -> &str {
        let id = self
            .body
            .get("schemaRef")
            .and_then(|schema| schema.get("id"));
        id.and_then(Value::as_str).unwrap_or_default()
    }

    /// Notes the tags for queries.
    pub(crate) fn index_tags(&mut self, steady: i64) {
        let tags = self.body.get("tags").cloned().unwrap_or_else(|| json!({}));
        if self.tags.last().is_none_or(|(_, known)| *known != tags) {
            self.tags.push((steady, tags));
        }
    }

    /// The tags that a query sees whose view is from `steady`.
    pub(crate) fn tags_at(&self, steady: i64) -> Option<&Value> {
        self.tags
            .iter()
            .rev()
            .find(|(since, _)| *since <= steady)
            .map(|(_, tags)| tags)
    }
}

/// The dataset as GET and the list show it.
pub(crate) fn document(world: &World, dataset: &Dataset, now: &Now) -> Value {
    let mut document = dataset.body.clone();
    let mut set = |key: &str, value: Value| {
        document.insert(key.to_owned(), value);
    };
    set("version", json!(dataset.version()));
    set("imsOrg", json!(world.credentials.organization));
    set("sandboxId", json!(dataset.sandbox));
    set("created", json!(dataset.created));
    set("updated", json!(dataset.updated));
    set("createdClient", json!(world.credentials.client_id));
    set("createdUser", json!(dataset.user));
    set("updatedUser", json!(dataset.user));
    set("viewId", json!(dataset.view));
    set(
        "files",
        json!(format!("@/dataSetFiles?dataSetId={}", dataset.id)),
    );
    set(
        "classification",
        json!({"dataBehavior": "record", "managedBy": "CUSTOMER"}),
    );
    let statuses: Vec<(&String, String)> = dataset
        .batches
        .iter()
        .filter_map(|id| {
            let batch = world.batches.get(id)?;
            Some((id, batches::status(world, batch, now)))
        })
        .collect();
    if let Some((id, status)) = statuses.last() {
        set("lastBatchId", json!(id));
        set("lastBatchStatus", json!(status));
    }
    let last = |wanted: &[&str]| {
        statuses
            .iter()
            .rev()
            .find(|(_, status)| wanted.contains(&status.as_str()))
    };
    if let Some((id, _)) = last(&["success", "active"]) {
        set("lastSuccessfulBatch", json!(id));
    }
    if let Some((id, _)) = last(&["failed", "failure"]) {
        set("lastFailedBatch", json!(id));
    }
    document
        .entry("observableSchema")
        .or_insert_with(|| json!({}));
    Value::Object(document)
}
