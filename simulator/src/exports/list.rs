//! The list of jobs: newest first, paged by an opaque cursor, which names a record or counts
//! records, or, as the Profile guides have it, by `start`, `page` and `sort`.

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::job::Job;
use super::{Place, document_of, is_known, status, unreadable};
use crate::call::Call;
use crate::clock::{Now, milliseconds, seconds};
use crate::reply::Reply;
use crate::switches::{ListCursor, ListParameters, NextLinkAtEnd, Switches};
use crate::world::World;

#[derive(Serialize)]
struct Listing {
    records: Vec<Box<RawValue>>,
    page: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<Value>,
}

/// What is asked for.
#[derive(Debug, Default)]
struct Query {
    limit: Option<usize>,
    offset: Option<Offset>,
    status: Option<String>,
    start: Option<usize>,
    page: Option<usize>,
    sort: Option<Sort>,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy)]
enum Offset {
    /// After the record with this creation time and id.
    After(i64, i64),
    /// After so many records, whichever they are by now.
    Count(usize),
}

impl Offset {
    fn parse(text: &str, cursor: ListCursor) -> Option<Self> {
        match cursor {
            ListCursor::CreationTimeAndId => {
                let (created, id) = text.split_once('_')?;
                Some(Self::After(created.parse().ok()?, id.parse().ok()?))
            }
            ListCursor::Number => text.parse().ok().map(Self::Count),
        }
    }

    /// Whether the record with this key may be on the page or before it.
    fn admits(self, key: (i64, i64)) -> bool {
        match self {
            Self::After(created, id) => key < (created, id),
            Self::Count(_) => true,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Sort {
    field: SortField,
    descending: bool,
}

#[derive(Debug, Clone, Copy)]
enum SortField {
    Created,
    Updated,
    Id,
}

impl Sort {
    fn parse(text: &str) -> Option<Self> {
        let (field, direction) = text.split_once(':')?;
        let field = match field {
            "creationTime" | "createdTime" => SortField::Created,
            "updateTime" => SortField::Updated,
            "id" => SortField::Id,
            _ => return None,
        };
        match direction {
            "asc" => Some(Self {
                field,
                descending: false,
            }),
            "desc" => Some(Self {
                field,
                descending: true,
            }),
            _ => None,
        }
    }

    fn key(self, job: &Job) -> (i64, i64) {
        let key = match self.field {
            SortField::Created => job.stamps.created,
            SortField::Updated => job.stamps.updated,
            SortField::Id => job.id,
        };
        (key, job.id)
    }

    fn text(self) -> String {
        let field = match self.field {
            SortField::Created => "creationTime",
            SortField::Updated => "updateTime",
            SortField::Id => "id",
        };
        format!("{field}:{}", if self.descending { "desc" } else { "asc" })
    }
}

impl Query {
    fn parse(call: &Call, switches: &Switches) -> Result<Self, String> {
        let mut query = Self::default();
        let old = switches.list_parameters == ListParameters::Profile;
        for (name, value) in call.query_pairs()? {
            let bad = |wanted: &str| format!("{name}: must be {wanted}, not {value:?}");
            let number = || value.parse::<usize>().map_err(|_| bad("a whole number"));
            match (name.as_str(), old) {
                ("limit", _) => query.limit = Some(number()?),
                ("offset", _) => {
                    let offset = Offset::parse(&value, switches.list_cursor);
                    query.offset = Some(offset.ok_or_else(|| bad("a cursor that link.next gave"))?);
                }
                ("status", false) => {
                    if !matches!(value.as_str(), "NEW" | "SUCCEEDED" | "FAILED") {
                        return Err(bad("NEW, SUCCEEDED or FAILED"));
                    }
                    query.status = Some(value);
                }
                ("start", true) => query.start = Some(number()?),
                ("page", true) => query.page = Some(number()?),
                ("sort", true) => {
                    let sort = Sort::parse(&value);
                    query.sort = Some(sort.ok_or_else(|| bad("a field and :asc or :desc"))?);
                }
                _ => {
                    let known = if old {
                        "limit, offset, start, page, sort"
                    } else {
                        "limit, offset, status"
                    };
                    return Err(format!("{name}: unknown parameter; there are {known}"));
                }
            }
        }
        let maximum = usize::try_from(switches.page_size_maximum).unwrap_or(usize::MAX);
        if query
            .limit
            .is_some_and(|limit| limit == 0 || limit > maximum)
        {
            return Err(format!("limit: must be 1 to {maximum}"));
        }
        Ok(query)
    }
}

pub(super) fn list(world: &World, call: &Call, sandbox: &str, now: &Now) -> Reply {
    let query = match Query::parse(call, &world.switches) {
        Ok(query) => query,
        Err(problem) => return unreadable(call, &[problem]),
    };
    let default = usize::try_from(world.switches.page_size_default).unwrap_or(usize::MAX);
    let limit = query.limit.unwrap_or(default);
    let lag = milliseconds(seconds(world.switches.list_lag_seconds));
    let mut found: Vec<&Job> = world
        .order
        .iter()
        .rev()
        .filter(|key| query.offset.is_none_or(|offset| offset.admits(**key)))
        .filter_map(|(_, id)| world.jobs.get(id))
        .filter(|job| is_known(world, job, sandbox, now))
        .filter(|job| job.born.saturating_add(lag) <= now.steady)
        .filter(|job| job.listed_after <= world.list_calls)
        .filter(|job| {
            query
                .status
                .as_ref()
                .is_none_or(|wanted| *wanted == status(job, &world.switches))
        })
        .collect();
    if let Some(sort) = query.sort {
        found.sort_by_key(|job| sort.key(job));
        if sort.descending {
            found.reverse();
        }
    }
    let counted = query.start.is_some() || query.page.is_some() || query.sort.is_some();
    let passed = match query.offset {
        Some(Offset::Count(count)) => count,
        Some(Offset::After(_, _)) | None => 0,
    };
    let start = query
        .start
        .unwrap_or(0)
        .saturating_add(query.page.unwrap_or(0).saturating_mul(limit))
        .saturating_add(passed);
    let records: Vec<&Job> = found.iter().skip(start).take(limit).copied().collect();
    let more = found.len() > start.saturating_add(limit);
    let cursor = records.last().map(|job| match world.switches.list_cursor {
        ListCursor::CreationTimeAndId => format!("{}_{}", job.stamps.created, job.id),
        ListCursor::Number => start.saturating_add(records.len()).to_string(),
    });
    let next = match &cursor {
        Some(_) if more && counted => {
            let sort = query
                .sort
                .map(|sort| format!("&sort={}", sort.text()))
                .unwrap_or_default();
            let start = start.saturating_add(limit);
            Some(format!("/export/jobs/?limit={limit}&start={start}{sort}"))
        }
        Some(cursor) if more => {
            let status = query
                .status
                .map(|text| format!("&status={text}"))
                .unwrap_or_default();
            Some(format!(
                "/export/jobs/?limit={limit}&offset={cursor}{status}"
            ))
        }
        _ => None,
    };
    let link = match (next, world.switches.next_link_at_end) {
        (Some(next), _) => Some(json!({"next": next})),
        (None, NextLinkAtEnd::Empty) => Some(json!({"next": ""})),
        (None, NextLinkAtEnd::Absent) => Some(json!({})),
        (None, NextLinkAtEnd::Null) => Some(json!({"next": null})),
        (None, NextLinkAtEnd::NoLinkObject) => None,
    };
    let listing = Listing {
        page: json!({
            "sortField": "createdTime",
            "sort": "desc",
            "pageOffset": cursor.unwrap_or_default(),
            "pageSize": limit,
        }),
        records: records
            .iter()
            .map(|job| document_of(world, job, Place::List))
            .collect(),
        link,
    };
    Reply::json(StatusCode::OK, &listing)
}
