//! The Catalog's datasets and batches, and the sandboxes: `/data/foundation`.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::{
    Batch, BatchId, Dataset, DatasetId, PatchOperation, Sandbox,
    call::{Call, JSON, JSON_PATCH, Kind},
    client::Platform,
    error::{Consequence, Fault, PlatformError},
    fence::Fence,
    wire::{MAX_CODE, MAX_STATUS, first, id, non_negative, text, time},
};
use crate::governor::Permit;

const DATASETS: [&str; 4] = ["data", "foundation", "catalog", "dataSets"];
const BATCHES: [&str; 4] = ["data", "foundation", "catalog", "batches"];
/// The list of the credential's own sandboxes; its path ends in a slash.
const SANDBOXES: [&str; 4] = ["data", "foundation", "sandbox-management", ""];

const CREATE: &str = "create_dataset";
const GET: &str = "get_dataset";
const LIST: &str = "list_datasets";
const PATCH: &str = "patch_dataset";
const DELETE: &str = "delete_dataset";
const GET_BATCH: &str = "get_batch";
const LIST_SANDBOXES: &str = "list_sandboxes";

/// The largest page that the Catalog gives.
const PAGE: usize = 100;
/// Pages after which a list is given up: one tag marks a handful of datasets, and an organisation
/// has at most 75 sandboxes.
const MAX_PAGES: usize = 20;
/// Longer than any name of a sandbox and any id of a schema.
const MAX_NAME: usize = 512;

impl Platform {
    /// Creates a dataset; the request leaves only while `fence` is open, in the turn that `permit`
    /// is.
    ///
    /// # Errors
    ///
    /// As [`Platform::create_export_job`]; but after the gateway's own 401, which proves that
    /// the Catalog has not seen it, it is sent once more with a fresh token.
    pub async fn create_dataset(
        &self,
        body: &Value,
        fence: &Fence,
        permit: Permit,
    ) -> Result<DatasetId, PlatformError> {
        let call = Call {
            operation: CREATE,
            method: Method::POST,
            url: self.url(CREATE, &DATASETS, &[])?,
            body: Some((JSON, body.to_string().into_bytes())),
            kind: Kind::Create { fence },
            permit: Some(permit),
        };
        self.call(call)
            .await?
            .decode("a list with the dataset's id", |value| {
                // `@/dataSets/5b02…` in one document, `@/datasets/5b02…` in others.
                let reference = value.as_array()?.first()?.as_str()?;
                Some(DatasetId::new(id(&Value::from(
                    reference.rsplit('/').next()?,
                ))?))
            })
    }

    /// Reads a dataset; `None` if there is none of this id.
    ///
    /// # Errors
    ///
    /// As [`Platform::export_job`].
    pub async fn dataset(&self, id: &DatasetId) -> Result<Option<Dataset>, PlatformError> {
        let call = Call::get(GET, self.url(GET, &DATASETS, &[id.as_str()])?);
        match self.call(call).await {
            Ok(reply) => {
                let decode = |value: &Value| Some(dataset(id, value.get(id.as_str())?));
                reply.decode("the dataset under its id", decode).map(Some)
            }
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Finds the datasets that carry all of `tags`, compared exactly.
    ///
    /// # Errors
    ///
    /// As [`Platform::export_job`]; [`Rejected`](Consequence::Rejected) also for tags that the
    /// Catalog's query can't express, or none.
    pub async fn datasets_by_tags(
        &self,
        tags: &[(&str, &str)],
    ) -> Result<Vec<Dataset>, PlatformError> {
        // In a query `,` separates tags and `*` stands for anything; there is no escape.
        let special = |text: &str| text.is_empty() || text.contains([',', '*']);
        if tags.is_empty()
            || tags
                .iter()
                .any(|(k, v)| k.contains(':') || special(k) || special(v))
        {
            let fault = Fault::Unsendable("the Catalog can't be asked for such tags".to_owned());
            return Err(PlatformError::new(LIST, Consequence::Rejected, fault));
        }
        let query: Vec<_> = tags
            .iter()
            .map(|(key, value)| format!("{key}:{value}"))
            .collect();
        let query = query.join(",");
        let mut found = BTreeMap::new();
        let mut start = 0;
        for _ in 0..MAX_PAGES {
            let mut url = self.url(LIST, &DATASETS, &[])?;
            url.query_pairs_mut()
                .append_pair("tags", &query)
                .append_pair("limit", &PAGE.to_string())
                .append_pair("start", &start.to_string());
            let reply = self.call(Call::get(LIST, url)).await?;
            let page = reply.decode("a map of datasets by id", datasets)?;
            let size = page.len();
            found.extend(
                page.into_iter()
                    .map(|dataset| (dataset.id.clone(), dataset)),
            );
            if size < PAGE {
                let carries = |dataset: &Dataset| {
                    tags.iter().all(|(key, value)| {
                        dataset
                            .tags
                            .get(*key)
                            .is_some_and(|all| all.iter().any(|it| it == value))
                    })
                };
                return Ok(found.into_values().filter(carries).collect());
            }
            start += size;
        }
        Err(endless(LIST))
    }

    /// Changes a dataset by JSON Patch (RFC 6902), the one documented form whose effect on tags is
    /// defined to the last value.
    ///
    /// # Errors
    ///
    /// As [`Platform::export_job`]; a missing dataset is [`NotFound`](Consequence::NotFound).
    pub async fn patch_dataset(
        &self,
        id: &DatasetId,
        operations: &[PatchOperation],
    ) -> Result<(), PlatformError> {
        let body: Vec<_> = operations.iter().map(operation).collect();
        let call = Call {
            operation: PATCH,
            method: Method::PATCH,
            url: self.url(PATCH, &DATASETS, &[id.as_str()])?,
            body: Some((JSON_PATCH, Value::from(body).to_string().into_bytes())),
            kind: Kind::Repeatable,
            permit: None,
        };
        self.call(call).await.map(drop)
    }

    /// Deletes a dataset and what is in it. Whether it was there makes no difference: the Catalog
    /// may answer 200 with an empty list for one that was not.
    ///
    /// # Errors
    ///
    /// As [`Platform::export_job`]; a missing dataset is none.
    pub async fn delete_dataset(&self, id: &DatasetId) -> Result<(), PlatformError> {
        let call = Call::delete(DELETE, self.url(DELETE, &DATASETS, &[id.as_str()])?);
        match self.call(call).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_absent() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads a batch; `None` if there is none of this id.
    ///
    /// # Errors
    ///
    /// As [`Platform::export_job`].
    pub async fn batch(&self, id: &BatchId) -> Result<Option<Batch>, PlatformError> {
        let call = Call::get(GET_BATCH, self.url(GET_BATCH, &BATCHES, &[id.as_str()])?);
        match self.call(call).await {
            Ok(reply) => {
                let decode = |value: &Value| batch(id, value.get(id.as_str())?);
                reply
                    .decode("the batch and its status under its id", decode)
                    .map(Some)
            }
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists the sandboxes that the credential sees: the cheapest check of a credential.
    ///
    /// # Errors
    ///
    /// As [`Platform::export_job`].
    pub async fn sandboxes(&self) -> Result<Vec<Sandbox>, PlatformError> {
        let mut sandboxes: Vec<Sandbox> = Vec::new();
        let mut query = None;
        for _ in 0..MAX_PAGES {
            let mut url = self.url(LIST_SANDBOXES, &SANDBOXES, &[])?;
            url.set_query(query.as_deref());
            let reply = self.call(Call::get(LIST_SANDBOXES, url)).await?;
            let (page, next, limit) = reply.decode("a list of sandboxes", sandbox_page)?;
            let (size, before) = (page.len(), sandboxes.len());
            for sandbox in page {
                if sandboxes.iter().all(|known| known.name != sandbox.name) {
                    sandboxes.push(sandbox);
                }
            }
            // A full page may have a next one even where no link says so. A service that does not
            // know `offset` shows the same page again, which brings nothing new and ends this.
            let full = limit.filter(|limit| size >= *limit && size > 0);
            let next = next
                .or_else(|| full.map(|limit| format!("limit={limit}&offset={}", sandboxes.len())));
            if next.is_none() || sandboxes.len() == before {
                return Ok(sandboxes);
            }
            query = next;
        }
        Err(endless(LIST_SANDBOXES))
    }
}

/// A list that was still going on when it should long have ended.
fn endless(operation: &'static str) -> PlatformError {
    PlatformError::new(
        operation,
        Consequence::Retry,
        Fault::Malformed("a list that ends"),
    )
}

fn operation(operation: &PatchOperation) -> Value {
    match operation {
        PatchOperation::Add(path, value) => json!({"op": "add", "path": path, "value": value}),
        PatchOperation::Replace(path, value) => {
            json!({"op": "replace", "path": path, "value": value})
        }
        PatchOperation::Remove(path) => json!({"op": "remove", "path": path}),
    }
}

fn datasets(value: &Value) -> Option<Vec<Dataset>> {
    let entries = value.as_object()?;
    Some(
        entries
            .iter()
            .map(|(id, entry)| dataset(&DatasetId::new(id.as_str()), entry))
            .collect(),
    )
}

fn dataset(dataset_id: &DatasetId, value: &Value) -> Dataset {
    let name = |value: &Value| text(value, MAX_NAME);
    // To the letter, since they are compared with what was asked for.
    let exact = |value: &Value| value.as_str().map(str::to_owned);
    let tags = value
        .get("tags")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    Dataset {
        id: dataset_id.clone(),
        name: value.get("name").and_then(exact),
        description: value.get("description").and_then(exact),
        // Older datasets have the bare `schema` only.
        schema_id: first(value, &["/schemaRef/id", "/schema"], name),
        schema_content_type: first(value, &["/schemaRef/contentType"], name),
        tags: tags
            .map(|(key, values)| {
                let values = match values {
                    Value::Array(values) => values.iter().filter_map(exact).collect(),
                    value => exact(value).into_iter().collect(),
                };
                (key.clone(), values)
            })
            .collect(),
        created: value.get("created").and_then(time),
        last_batch_id: value.get("lastBatchId").and_then(id).map(BatchId::new),
        last_batch_status: value
            .get("lastBatchStatus")
            .and_then(|it| text(it, MAX_STATUS)),
    }
}

/// Each producer of batches names its metrics as it likes.
fn batch(batch_id: &BatchId, value: &Value) -> Option<Batch> {
    let count = |paths: &[&str]| first(value, paths, non_negative);
    Some(Batch {
        id: batch_id.clone(),
        status: value
            .get("status")
            .filter(|it| it.is_string())
            .and_then(|it| text(it, MAX_STATUS))?,
        records: count(&[
            "/metrics/outputRecordCount",
            "/metrics/recordsWritten",
            "/metrics/recordCount",
            "/recordCount",
        ]),
        files: count(&["/metrics/outputFileCount"]),
        bytes: count(&[
            "/metrics/outputByteSize",
            "/metrics/outputRecordSize",
            "/metrics/size",
            "/size",
        ]),
    })
}

/// The sandboxes, the query of the next page and the page's size.
type SandboxPage = (Vec<Sandbox>, Option<String>, Option<usize>);

fn sandbox_page(value: &Value) -> Option<SandboxPage> {
    let sandbox = |value: &Value| {
        let field = |name: &str| value.get(name).and_then(|it| text(it, MAX_CODE));
        Some(Sandbox {
            name: value.get("name").and_then(|it| text(it, MAX_NAME))?,
            kind: field("type"),
            state: field("state"),
            region: field("region"),
        })
    };
    let page = value
        .get("sandboxes")?
        .as_array()?
        .iter()
        .filter_map(sandbox)
        .collect();
    // Of the link only the query counts. Its host may be another alias of the gateway, and no
    // token goes to a host that a reply names.
    let link = first(value, &["/_links/next/href", "/_links/next"], |link| {
        link.as_str()
            .and_then(|link| Some(link.split_once('?')?.1.to_owned()))
    });
    let limit = value.pointer("/_page/limit").and_then(non_negative);
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    Some((page, link.filter(|query| !query.is_empty()), limit))
}
