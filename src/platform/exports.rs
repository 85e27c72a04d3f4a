//! Export jobs: `/data/core/ups/export/jobs`.

use http::Method;
use serde_json::Value;
use url::Url;

use super::{
    Cursor, Deletion, Job, JobId, JobPage,
    call::{Call, JSON, Kind},
    client::Platform,
    error::{Consequence, Fault, PlatformError},
    fence::Fence,
    wire,
};
use crate::governor::Permit;

/// The base that `link.next` is relative to; not the host, and not the list itself.
const BASE: [&str; 3] = ["data", "core", "ups"];
const JOBS: [&str; 5] = ["data", "core", "ups", "export", "jobs"];

const CREATE: &str = "create_export_job";
const GET: &str = "get_export_job";
const LIST: &str = "list_export_jobs";
const DELETE: &str = "delete_export_job";

impl Platform {
    /// Starts an export, at most once: the request leaves only while `fence` is open, by a
    /// connection of its own, and no layer repeats it, whatever the answer. Its turn was waited for
    /// before: `permit` is it.
    ///
    /// # Errors
    ///
    /// - [`NotSent`](Consequence::NotSent): nothing left and nothing will.
    /// - [`Refused`](Consequence::Refused): the gateway says, in its own envelope, that it did
    ///   not let it through (401, 403, 429). After a 401 the token has been dropped.
    /// - [`Rejected`](Consequence::Rejected): 400, 404, 409 or 422.
    /// - [`InDoubt`](Consequence::InDoubt): everything else, a 2xx without a readable job
    ///   included. The job may exist.
    pub async fn create_export_job(
        &self,
        request_id: &str,
        body: &Value,
        fence: &Fence,
        permit: Permit,
    ) -> Result<Job, PlatformError> {
        let call = Call {
            operation: CREATE,
            method: Method::POST,
            url: self.url(CREATE, &JOBS, &[])?,
            body: Some((JSON, body.to_string().into_bytes())),
            kind: Kind::Submit { request_id, fence },
            permit: Some(permit),
        };
        self.call(call)
            .await?
            .decode("an export job with id and status", wire::job)
    }

    /// Reads an export job; `None` if there is none of this id.
    ///
    /// # Errors
    ///
    /// As every read: [`Retry`](Consequence::Retry), [`Throttled`](Consequence::Throttled),
    /// [`Unauthenticated`](Consequence::Unauthenticated), [`Forbidden`](Consequence::Forbidden),
    /// [`Rejected`](Consequence::Rejected), [`Redirected`](Consequence::Redirected), or what
    /// [`Platform::authenticate`] can fail with.
    pub async fn export_job(&self, id: &JobId) -> Result<Option<Job>, PlatformError> {
        let call = Call::get(GET, self.url(GET, &JOBS, &[id.as_str()])?);
        match self.call(call).await {
            // A reply about another job says nothing of this one.
            Ok(reply) => reply
                .decode(
                    "the export job that was asked for, with a status",
                    |value| wire::job(value).filter(|job| job.id == *id),
                )
                .map(Some),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a page of the list of export jobs, newest first.
    ///
    /// # Errors
    ///
    /// As [`Platform::export_job`]. A list that has no `records`, or whose `link.next` points to
    /// another host or to the page itself, is an error and never the end of the list.
    pub async fn export_jobs(
        &self,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<JobPage, PlatformError> {
        let url = if let Some(cursor) = after {
            self.resolve(&cursor.0)?
        } else {
            let mut url = self.url(LIST, &JOBS, &[])?;
            url.query_pairs_mut()
                .append_pair("limit", &limit.to_string());
            url
        };
        let reply = self.call(Call::get(LIST, url)).await?;
        let (jobs, unreadable, next) = reply.decode("a list of export jobs", page)?;
        let next = next.map(|next| self.cursor(&next, after)).transpose()?;
        let overlap = next
            .as_ref()
            .and_then(|next| earlier(next, &jobs, unreadable));
        Ok(JobPage {
            jobs,
            unreadable,
            next,
            overlap,
        })
    }

    /// Asks the platform to cancel an export job, which it does in its own time.
    ///
    /// # Errors
    ///
    /// As [`Platform::export_job`]; a missing job is none.
    pub async fn delete_export_job(&self, id: &JobId) -> Result<Deletion, PlatformError> {
        let call = Call::delete(DELETE, self.url(DELETE, &JOBS, &[id.as_str()])?);
        match self.call(call).await {
            // 204 without a body, 200 with one: the documents disagree, and neither says more.
            Ok(_) => Ok(Deletion::Accepted),
            Err(error) if error.is_absent() => Ok(Deletion::Absent),
            Err(error) => Err(error),
        }
    }

    /// Checks what the platform named as the next page.
    fn cursor(&self, next: &str, current: Option<&Cursor>) -> Result<Cursor, PlatformError> {
        let url = self.resolve(next)?;
        if let Some(current) = current
            && self.resolve(&current.0)? == url
        {
            return Err(unusable(
                "a list that goes on: its next page is the same again",
            ));
        }
        Ok(Cursor(next.to_owned()))
    }

    /// The URL of a `link.next`. The token goes there, so it must be below our own endpoint.
    fn resolve(&self, next: &str) -> Result<Url, PlatformError> {
        let base = self.url(LIST, &BASE, &[])?;
        let url = if let Ok(absolute) = Url::parse(next) {
            absolute
        } else {
            // Relative to the base, but a host-relative one is meant as it stands.
            let below = next.strip_prefix(base.path()).unwrap_or(next);
            let below = below.trim_start_matches('/');
            let text = format!("{base}/{below}");
            Url::parse(&text).map_err(|_| unusable("a list with a readable link.next"))?
        };
        let inside = url
            .path()
            .strip_prefix(base.path())
            .is_some_and(|it| it.starts_with('/'));
        let plain = url.username().is_empty() && url.password().is_none();
        if url.origin() != base.origin() || !inside || !plain || next.starts_with("//") {
            return Err(unusable(
                "a list that stays on its host: link.next points elsewhere",
            ));
        }
        Ok(url)
    }
}

/// The cursor one record before `next`, so that the next page begins with the last record of this
/// one and shows whether anything has moved in between. Nothing if the cursor is of no form that
/// is known, which are the documents' own (`<creation time>_<id>` of the last record) and a count.
fn earlier(next: &Cursor, jobs: &[Job], unreadable: usize) -> Option<Cursor> {
    let [.., before, last] = jobs else {
        return None;
    };
    if unreadable > 0 {
        return None;
    }
    let (path, query) = next.0.split_once('?')?;
    let mut overlapping = false;
    let pairs = url::form_urlencoded::parse(query.as_bytes()).map(|(name, value)| {
        if name != "offset" {
            return (name, value);
        }
        let stamp = |job: &Job| {
            Some(format!(
                "{}_{}",
                job.creation_time?.as_millisecond(),
                job.id
            ))
        };
        let value = match (value.parse::<u64>(), stamp(last), stamp(before)) {
            (Ok(count), _, _) if count > 1 => {
                overlapping = true;
                (count - 1).to_string().into()
            }
            (Err(_), Some(last), Some(before)) if last == *value => {
                overlapping = true;
                before.into()
            }
            (Ok(_) | Err(_), _, _) => value,
        };
        (name, value)
    });
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    overlapping.then(|| Cursor(format!("{path}?{query}")))
}

/// The jobs, the number of records that are none, and `link.next`.
fn page(value: &Value) -> Option<(Vec<Job>, usize, Option<String>)> {
    let records = value.get("records")?.as_array()?;
    let jobs: Vec<_> = records.iter().filter_map(wire::job).collect();
    let unreadable = records.len() - jobs.len();
    let next = match value.get("link") {
        None | Some(Value::Null) => None,
        Some(Value::Object(link)) => match link.get("next") {
            None | Some(Value::Null) => None,
            Some(Value::String(next)) => Some(next.trim()).filter(|next| !next.is_empty()),
            // Not the end of the list: "no such job" would be concluded from it.
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                return None;
            }
        },
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            return None;
        }
    };
    Some((jobs, unreadable, next.map(str::to_owned)))
}

fn unusable(expected: &'static str) -> PlatformError {
    PlatformError::new(LIST, Consequence::Retry, Fault::Malformed(expected))
}
