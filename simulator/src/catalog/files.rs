//! Data Access: the files of a batch, by name and length; numbers are strings there.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::bad_request;
use super::batches::{Batch, is_readable, no_batch};
use crate::call::Call;
use crate::clock::Now;
use crate::reply::{Reply, catalog_error};
use crate::world::World;

const BASE: &str = "/data/foundation/export";

/// Answers a call to `/batches/{id}/files`.
pub(crate) fn of_batch(world: &World, call: &Call, sandbox: &str, id: &str, now: &Now) -> Reply {
    if call.method != Method::GET {
        return call.method_not_allowed();
    }
    let (start, limit) = match page(call) {
        Ok(page) => page,
        Err(problem) => return bad_request(&problem),
    };
    let Some(batch) = readable(world, sandbox, id, now) else {
        return no_batch();
    };
    let count = batch.contents(world).files;
    let href = |rest: &str| format!("{}{BASE}{rest}", call.origin());
    let data: Vec<Value> = (1..=count)
        .skip(start)
        .take(limit)
        .map(|number| {
            let file = format!("{id}-DE{number}");
            json!({
                "dataSetFileId": file,
                "dataSetViewId": world.datasets.get(&batch.dataset).map(|dataset| &dataset.view),
                "version": "1.0.0",
                "created": batch.created.to_string(),
                "updated": batch.created.to_string(),
                "isValid": false,
                "_links": {"self": {"href": href(&format!("/files/{file}"))}},
            })
        })
        .collect();
    let path = format!("/batches/{id}/files");
    let template = href(&format!("{path}?start={{start}}&limit={{limit}}"));
    let mut links = json!({"page": {"href": template, "templated": true}});
    let next = start.saturating_add(limit);
    if u64::try_from(next).is_ok_and(|next| next < count) {
        links["next"] = json!({"href": href(&format!("{path}?start={next}&limit={limit}"))});
    }
    let body = json!({"data": data, "_page": {"limit": limit, "count": count}, "_links": links});
    Reply::json(StatusCode::OK, &body)
}

/// Answers a call to `/files/{id}`.
pub(crate) fn file(world: &World, call: &Call, sandbox: &str, id: &str, now: &Now) -> Reply {
    if call.method != Method::GET {
        return call.method_not_allowed();
    }
    if call.query.is_some() {
        return bad_request("this tenant has the names and lengths of files, not their contents");
    }
    let found = id.rsplit_once("-DE").and_then(|(batch, number)| {
        let batch = readable(world, sandbox, batch, now)?;
        let number: u64 = number.parse().ok()?;
        let contents = batch.contents(world);
        (1..=contents.files)
            .contains(&number)
            .then_some((contents, number))
    });
    let Some((contents, number)) = found else {
        return catalog_error(StatusCode::NOT_FOUND, "File not found.");
    };
    // The lengths of the files add up to the batch's size.
    let even = contents.bytes / contents.files;
    let length = if number == contents.files {
        contents.bytes - even * (contents.files - 1)
    } else {
        even
    };
    let name = format!("part-{number:05}.parquet");
    let href = format!("{}{BASE}/files/{id}?path={name}", call.origin());
    let body = json!({
        "data": [{"name": name, "length": length.to_string(), "_links": {"self": {"href": href}}}],
        "_page": {"limit": 100, "count": 1},
    });
    Reply::json(StatusCode::OK, &body)
}

fn readable<'a>(world: &'a World, sandbox: &str, id: &str, now: &Now) -> Option<&'a Batch> {
    let batch = world.batches.get(id)?;
    (batch.sandbox == sandbox && is_readable(world, batch, now)).then_some(batch)
}

fn page(call: &Call) -> Result<(usize, usize), String> {
    let (mut start, mut limit) = (0, 100);
    for (name, value) in call.query_pairs()? {
        let number: usize = value
            .parse()
            .map_err(|_| format!("{name} must be a whole number, not {value:?}"))?;
        match name.as_str() {
            "start" => start = number,
            "limit" if (1..=100).contains(&number) => limit = number,
            "limit" => return Err(format!("limit must be 1 to 100, not {number}")),
            _ => return Err(format!("unknown parameter {name}; there are start, limit")),
        }
    }
    Ok((start, limit))
}
