//! A call to the tenant, read whole.

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;

use crate::ids;
use crate::reply::{Reply, gateway_error};

/// A call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The caller's `X-Request-Id`, or one made as the gateway makes it.
    pub(crate) request_id: String,
    /// Its place in the ledger.
    pub(crate) index: usize,
    /// Whether it takes effect once more, because a fault says so.
    pub(crate) surplus: bool,
    /// How many calls for the list do not see a job that it makes.
    pub(crate) visible_after_list_calls: u64,
}

/// What made a job or a dataset, for the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    /// The call's place in the ledger.
    pub(crate) call: usize,
    pub(crate) request_id: String,
    /// Whether the call had taken effect before.
    pub(crate) surplus: bool,
}

impl Call {
    pub(crate) fn new(parts: Parts, body: Bytes) -> Self {
        let sent = parts
            .headers
            .get("x-request-id")
            .and_then(|id| id.to_str().ok());
        let request_id = match sent.map(str::trim) {
            Some(id) if !id.is_empty() => id.to_owned(),
            _ => ids::request_id(),
        };
        Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            headers: parts.headers,
            body,
            request_id,
            index: 0,
            surplus: false,
            visible_after_list_calls: 0,
        }
    }

    /// What the ledger says of what this call makes.
    pub(crate) fn cause(&self) -> Cause {
        Cause {
            call: self.index,
            request_id: self.request_id.clone(),
            surplus: self.surplus,
        }
    }

    /// The header as text; one that is no text is as good as absent.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?.to_str().ok()?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// Where the caller found this tenant, for links in replies.
    pub(crate) fn origin(&self) -> String {
        let host = self
            .header(header::HOST.as_str())
            .unwrap_or("platform.adobe.io:443");
        format!("http://{host}")
    }

    /// The body as JSON, for the ledger.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Whether the body says that it is one of these types.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub(crate) fn content_type_is(&self, wanted: &[&str]) -> Result<(), String> {
        let given = self.header(header::CONTENT_TYPE.as_str());
        let essence = given.map(|given| given.split(';').next().unwrap_or_default().trim());
        match essence {
            Some(essence)
                if wanted
                    .iter()
                    .any(|wanted| wanted.eq_ignore_ascii_case(essence)) =>
            {
                Ok(())
            }
            Some(essence) => Err(format!(
                "Content-Type: must be {}, not {essence}",
                wanted.join(" or ")
            )),
            None => Err(format!(
                "Content-Type: is required, as {}",
                wanted.join(" or ")
            )),
        }
    }

    /// The query's parameters, each at most once.
    ///
    /// # Errors
    ///
    /// A parameter that comes twice.
    pub(crate) fn query_pairs(&self) -> Result<Vec<(String, String)>, String> {
        pairs(self.query.as_deref().unwrap_or_default().as_bytes())
    }

    /// For calls that take no parameters.
    ///
    /// # Errors
    ///
    /// A parameter.
    pub(crate) fn no_query(&self) -> Result<(), String> {
        match self.query_pairs()?.first() {
            Some((name, _)) => Err(format!("{name}: this call takes no parameters")),
            None => Ok(()),
        }
    }

    pub(crate) fn method_not_allowed(&self) -> Reply {
        let message = format!("{} is not allowed on {}", self.method, self.path);
        gateway_error(StatusCode::METHOD_NOT_ALLOWED, "405000", &message)
    }
}

/// Reads `name=value&…`, each name at most once.
///
/// # Errors
///
/// A name that comes twice.
pub(crate) fn pairs(text: &[u8]) -> Result<Vec<(String, String)>, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(text) {
        if pairs.iter().any(|(known, _)| *known == name) {
            return Err(format!("{name}: is given twice"));
        }
        pairs.push((name.into_owned(), value.into_owned()));
    }
    Ok(pairs)
}

/// A call's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Token,
    Sandboxes,
    Jobs,
    Job(String),
    Policies,
    Policy(String),
    Datasets,
    Dataset(String),
    DatasetV2(String),
    Batches,
    Batch(String),
    BatchFiles(String),
    File(String),
    Unknown,
}

impl Route {
    pub(crate) fn of(path: &str) -> Self {
        let segments: Option<Vec<String>> = path
            .split('/')
            .map(|segment| {
                let decoded = percent_encoding::percent_decode_str(segment)
                    .decode_utf8()
                    .ok()?;
                Some(decoded.into_owned())
            })
            .collect();
        let segments = segments.unwrap_or_default();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["", "ims", "token", "v3"] => Self::Token,
            ["", "data", "foundation", "sandbox-management"]
            | ["", "data", "foundation", "sandbox-management", ""] => Self::Sandboxes,
            ["", "data", "core", "ups", "export", "jobs"]
            | ["", "data", "core", "ups", "export", "jobs", ""] => Self::Jobs,
            ["", "data", "core", "ups", "export", "jobs", id] => Self::Job((*id).to_owned()),
            ["", "data", "core", "ups", "config", "mergePolicies"] => Self::Policies,
            ["", "data", "core", "ups", "config", "mergePolicies", id] => {
                Self::Policy((*id).to_owned())
            }
            ["", "data", "foundation", "catalog", "dataSets"] => Self::Datasets,
            ["", "data", "foundation", "catalog", "dataSets", id] => {
                Self::Dataset((*id).to_owned())
            }
            ["", "data", "foundation", "catalog", "v2", "dataSets", id] => {
                Self::DatasetV2((*id).to_owned())
            }
            ["", "data", "foundation", "catalog", "batches"] => Self::Batches,
            ["", "data", "foundation", "catalog", "batches", id] => Self::Batch((*id).to_owned()),
            ["", "data", "foundation", "export", "batches", id, "files"] => {
                Self::BatchFiles((*id).to_owned())
            }
            ["", "data", "foundation", "export", "files", id] => Self::File((*id).to_owned()),
            _ => Self::Unknown,
        }
    }

    /// The route with `{id}` for ids, for counts.
    pub(crate) fn template(&self) -> &'static str {
        match self {
            Self::Token => "/ims/token/v3",
            Self::Sandboxes => "/data/foundation/sandbox-management/",
            Self::Jobs => "/data/core/ups/export/jobs",
            Self::Job(_) => "/data/core/ups/export/jobs/{id}",
            Self::Policies => "/data/core/ups/config/mergePolicies",
            Self::Policy(_) => "/data/core/ups/config/mergePolicies/{id}",
            Self::Datasets => "/data/foundation/catalog/dataSets",
            Self::Dataset(_) => "/data/foundation/catalog/dataSets/{id}",
            Self::DatasetV2(_) => "/data/foundation/catalog/v2/dataSets/{id}",
            Self::Batches => "/data/foundation/catalog/batches",
            Self::Batch(_) => "/data/foundation/catalog/batches/{id}",
            Self::BatchFiles(_) => "/data/foundation/export/batches/{id}/files",
            Self::File(_) => "/data/foundation/export/files/{id}",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_slash_is_taken_where_a_document_has_one() {
        assert_eq!(Route::of("/data/core/ups/export/jobs/"), Route::Jobs);
        assert_eq!(
            Route::of("/data/core/ups/export/jobs/7"),
            Route::Job("7".to_owned())
        );
        assert_eq!(Route::of("/data/core/ups/export"), Route::Unknown);
        assert_eq!(
            Route::of("/data/foundation/sandbox-management/"),
            Route::Sandboxes
        );
        assert_eq!(
            Route::of("/data/foundation/catalog/dataSets"),
            Route::Datasets
        );
        let no_id = Route::Dataset(String::new());
        assert_eq!(Route::of("/data/foundation/catalog/dataSets/"), no_id);
    }
}
