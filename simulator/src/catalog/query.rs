//! Queries for datasets: a page of them, in order, with some of their properties.

use std::cmp::Ordering;

use axum::http::StatusCode;
use serde_json::Value;

use super::bad_request;
use super::datasets::{Dataset, document};
use crate::call::Call;
use crate::clock::{Now, milliseconds, seconds};
use crate::faults::glob;
use crate::reply::{Ordered, Reply};
use crate::world::World;

/// What a list of the Catalog takes: the page, the order and the properties.
#[derive(Debug)]
pub(super) struct Paging {
    limit: usize,
    start: usize,
    order: Vec<(String, bool)>,
    properties: Option<Vec<String>>,
    /// The parameters that are not about paging.
    pub(super) rest: Vec<(String, String)>,
}

impl Paging {
    /// Reads the parameters.
    ///
    /// # Errors
    ///
    /// A value that a parameter cannot have.
    pub(super) fn parse(call: &Call) -> Result<Self, String> {
        let mut paging = Self {
            limit: 20,
            start: 0,
            order: Vec::new(),
            properties: None,
            rest: Vec::new(),
        };
        for (name, value) in call.query_pairs()? {
            match name.as_str() {
                "limit" => {
                    paging.limit = value
                        .parse()
                        .ok()
                        .filter(|limit| (1..=100).contains(limit))
                        .ok_or_else(|| format!("limit must be 1 to 100, not {value:?}"))?;
                }
                "start" => {
                    paging.start = value
                        .parse()
                        .map_err(|_| format!("start must be a whole number, not {value:?}"))?;
                }
                "orderBy" => paging.order = order(&value)?,
                "properties" => paging.properties = Some(names(&value)),
                _ => paging.rest.push((name, value)),
            }
        }
        Ok(paging)
    }

    /// The page out of all the documents, which come oldest first.
    pub(super) fn page(&self, mut documents: Vec<(String, Value)>) -> Ordered<Value> {
        documents.sort_by(|(_, a), (_, b)| {
            self.order
                .iter()
                .map(|(property, descending)| {
                    let ordering = compare(a.get(property), b.get(property));
                    if *descending {
                        ordering.reverse()
                    } else {
                        ordering
                    }
                })
                .find(|ordering| ordering.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        let page = documents
            .into_iter()
            .skip(self.start)
            .take(self.limit)
            .map(|(id, document)| (id, select(document, self.properties.as_deref())))
            .collect();
        Ordered(page)
    }
}

/// Reads `desc:created,name`: a direction holds for its own property.
fn order(text: &str) -> Result<Vec<(String, bool)>, String> {
    text.split(',')
        .map(|part| {
            let (direction, property) = part.split_once(':').unwrap_or(("asc", part));
            match direction {
                _ if property.is_empty() => Err(format!("orderBy {text:?} names no property")),
                "asc" => Ok((property.to_owned(), false)),
                "desc" => Ok((property.to_owned(), true)),
                _ => Err(format!("orderBy {part:?} is neither asc: nor desc:")),
            }
        })
        .collect()
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(a), Some(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => Ordering::Equal,
        },
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

fn names(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The only parameter of a GET by id.
///
/// # Errors
///
/// Another parameter.
pub(super) fn properties(call: &Call) -> Result<Option<Vec<String>>, String> {
    let mut properties = None;
    for (name, value) in call.query_pairs()? {
        match name.as_str() {
            "properties" => properties = Some(names(&value)),
            _ => return Err(format!("unknown parameter {name}; there is properties")),
        }
    }
    Ok(properties)
}

/// The named properties of a document, or all of them.
pub(super) fn select(document: Value, properties: Option<&[String]>) -> Value {
    match (document, properties) {
        (Value::Object(mut map), Some(properties)) => {
            map.retain(|key, _| properties.contains(key));
            Value::Object(map)
        }
        (document, _) => document,
    }
}

/// Which datasets are asked for.
#[derive(Debug, Default)]
struct Filter {
    names: Vec<String>,
    not_names: Vec<String>,
    tags: Vec<(String, String)>,
}

impl Filter {
    fn parse(parameters: Vec<(String, String)>) -> Result<Self, String> {
        let mut filter = Self::default();
        for (name, value) in parameters {
            match name.as_str() {
                "name" => match value.strip_prefix('!') {
                    Some(value) => filter.not_names = names(value),
                    None => filter.names = names(&value),
                },
                "tags" => filter.tags = tags(&value)?,
                _ => {
                    return Err(format!(
                        "unknown parameter {name}; there are limit, start, orderBy, properties, \
                         name, tags"
                    ));
                }
            }
        }
        Ok(filter)
    }

    fn has(&self, dataset: &Dataset, seen_at: i64) -> bool {
        let name = dataset
            .body
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let is = |wanted: &[String]| wanted.iter().any(|wanted| wanted == name);
        if !self.names.is_empty() && !is(&self.names) || is(&self.not_names) {
            return false;
        }
        self.tags.is_empty()
            || dataset.tags_at(seen_at).is_some_and(|tags| {
                self.tags.iter().all(|(key, pattern)| {
                    let values = tags.get(key).and_then(Value::as_array);
                    values
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .any(|value| glob(pattern, value))
                })
            })
    }
}

/// Reads `k:v,k2:*`: the first colon ends the key, so a value may have more of them.
fn tags(text: &str) -> Result<Vec<(String, String)>, String> {
    text.split(',')
        .map(|pair| match pair.split_once(':') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                Ok((key.to_owned(), value.to_owned()))
            }
            _ => Err(format!("tags {pair:?} is not key:value")),
        })
        .collect()
}

pub(super) fn list(world: &World, call: &Call, sandbox: &str, now: &Now) -> Reply {
    let parsed = Paging::parse(call).and_then(|mut paging| {
        let filter = Filter::parse(std::mem::take(&mut paging.rest))?;
        Ok((paging, filter))
    });
    let (paging, filter) = match parsed {
        Ok(parsed) => parsed,
        Err(problem) => return bad_request(&problem),
    };
    let lag = milliseconds(seconds(world.switches.tag_query_lag_seconds));
    let seen_at = now.steady.saturating_sub(lag);
    let mut found: Vec<&Dataset> = world
        .datasets
        .values()
        .filter(|dataset| dataset.sandbox == sandbox && dataset.deleted.is_none())
        .filter(|dataset| filter.has(dataset, seen_at))
        .collect();
    found.sort_by_key(|dataset| dataset.sequence);
    let documents = found
        .into_iter()
        .map(|dataset| (dataset.id.clone(), document(world, dataset, now)))
        .collect();
    Reply::json(StatusCode::OK, &paging.page(documents))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_query_may_have_slashes_dots_and_colons_in_its_values() {
        let read = tags("aep-export.dev/owner:a/b.c,unifiedProfile:enabled:true,k2:*").unwrap();
        let expected = [
            ("aep-export.dev/owner", "a/b.c"),
            ("unifiedProfile", "enabled:true"),
            ("k2", "*"),
        ];
        assert_eq!(
            read,
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        assert!(tags("novalue").is_err());
    }

    #[test]
    fn an_order_has_directions_of_its_own() {
        let read = order("desc:created,name").unwrap();
        assert_eq!(
            read,
            [("created".to_owned(), true), ("name".to_owned(), false)]
        );
        assert!(order("down:created").is_err());
    }
}
