//! Adobe Experience Platform, seen through a narrow port in our own types.
//!
//! [`Platform`] is one tenant (endpoint, organisation, sandbox, credential). What its methods take
//! and give are the types of this module; the wire's own shapes, its two spellings and its eight
//! error envelopes stay behind them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::Timestamp;
use serde_json::Value;

mod auth;
mod call;
mod catalog;
mod certificates;
mod client;
mod clock;
mod envelope;
mod error;
mod exports;
mod fence;
#[cfg(test)]
mod tests;
mod transport;
mod wire;

pub use certificates::{BundleError, certificates};
pub use client::{Credential, Endpoints, Observer, Platform, Settings, Timeouts};
pub use clock::{PlatformClock, TimeSource, machine_time};
pub use error::{Consequence, CredentialPart, PlatformError, Refusal};
pub use fence::{Check, Fence};
pub use transport::CallRecord;

/// The union schema that every target of a profile export must be on.
pub const UNION_SCHEMA: &str = "https://ns.adobe.com/xdm/context/profile__union";

/// An export job's id, every digit kept: the wire has it as a number, a string or a float.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(String);

/// A dataset's id in the Catalog.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatasetId(String);

/// A batch's id in the Catalog. Its shape varies (hex, UUID, ULID), so it is opaque.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(String);

/// The opaque cursor of a page of export jobs: the path and query of `link.next`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub(crate) String);

/// What an export job's status says, by what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// `NEW`, `QUEUED`, `PROCESSING`, `CANCELLING`: it goes on.
    Running,
    /// `SUCCEEDED`.
    Succeeded,
    /// `FAILED`.
    Failed,
    /// `CANCELLED`, in either spelling.
    Cancelled,
    /// A status that no document names: not terminal, shown as it is.
    Unknown,
}

/// An export job as the platform last told of it. All but id and status may be absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The job's id.
    pub id: JobId,
    /// The status in the platform's own words, bounded.
    pub status: String,
    /// The platform's request id of the call that made it, where it is given back.
    pub request_id: Option<String>,
    /// The dataset it writes to (`datasetId` or `dataSetId`).
    pub dataset_id: Option<DatasetId>,
    /// When it was created.
    pub creation_time: Option<Timestamp>,
    /// When it last changed.
    pub update_time: Option<Timestamp>,
    /// Total time in milliseconds.
    pub total_milliseconds: Option<i64>,
    /// Time of the profile export in milliseconds.
    pub profile_export_milliseconds: Option<i64>,
    /// Time of the write into the dataset in milliseconds.
    pub dataset_write_milliseconds: Option<i64>,
    /// Profiles exported, across all batches.
    pub exported_profiles: Option<i64>,
    /// Profiles exported, by identity namespace.
    pub exported_profiles_by_namespace: BTreeMap<String, i64>,
    /// The batches it names; entries without an id are left out.
    pub batches: Vec<JobBatch>,
    /// What the platform reports as errors, also of a job that succeeded.
    pub errors: Vec<JobError>,
    /// The keys of the request's body that the platform gave back (`fields`, `filter`,
    /// `mergePolicy`, `additionalFields`, `schema`, `evaluationInfo`,
    /// `destination.segmentPerBatch`): an absent key is unknown, not different.
    pub echoed: Echoed,
}

/// Parts of a request's body that the platform gave back, by their keys.
///
/// They are kept as text: a list has thousands of jobs, and the trees would take many times as
/// much memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Echoed(Box<[(&'static str, Box<str>)]>);

impl Echoed {
    /// Of these parts.
    pub fn new<'a>(parts: impl IntoIterator<Item = (&'static str, &'a Value)>) -> Self {
        let parts = parts.into_iter();
        Self(
            parts
                .map(|(key, part)| (key, part.to_string().into()))
                .collect(),
        )
    }

    /// The part with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        self.parts()
            .find_map(|(known, part)| (known == key).then_some(part))
    }

    /// The parts, each with its key.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let parts = self.0.iter();
        // What was written from a value reads back.
        parts.filter_map(|(key, part)| Some((*key, serde_json::from_str(part).ok()?)))
    }
}

/// A batch as an export job names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobBatch {
    /// The batch's id.
    pub id: BatchId,
    /// The segment it holds, with `segmentPerBatch`.
    pub segment_id: Option<String>,
    /// The segment's namespace.
    pub segment_ns: Option<String>,
    /// The segment's statuses it holds (the wire has a string or a list).
    pub segment_status: Vec<String>,
}

/// An error that the platform reports of a job. `callStack` is never read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobError {
    /// The platform's code, as text (leading zeros count).
    pub code: String,
    /// The message, bounded.
    pub message: String,
}

/// A page of the list of export jobs, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct JobPage {
    /// The records that could be read.
    pub jobs: Vec<Job>,
    /// How many records could not be read (no id, no status).
    pub unreadable: usize,
    /// The next page, or `None` at the end.
    pub next: Option<Cursor>,
    /// The next page begun one record earlier, so that it shows the last record of this one again,
    /// and with it whether anything has moved in between; `None` if the cursor is of no form that
    /// is known.
    pub overlap: Option<Cursor>,
}

/// A dataset of the Catalog.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Its id.
    pub id: DatasetId,
    /// Its name, to the letter and of any length.
    pub name: Option<String>,
    /// Its description, likewise.
    pub description: Option<String>,
    /// The id of its schema.
    pub schema_id: Option<String>,
    /// The content type of its schema reference.
    pub schema_content_type: Option<String>,
    /// Its tags, likewise.
    pub tags: BTreeMap<String, Vec<String>>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// The last batch into it.
    pub last_batch_id: Option<BatchId>,
    /// That batch's status.
    pub last_batch_status: Option<String>,
}

/// A batch of the Catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// Its status in the platform's words.
    pub status: String,
    /// Records in it.
    pub records: Option<i64>,
    /// Files in it.
    pub files: Option<i64>,
    /// Bytes in it.
    pub bytes: Option<i64>,
}

/// Whether the data of a batch can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchState {
    /// `success` or `active`.
    Readable,
    /// It will not become readable by itself: failed, aborted, inactive, deleted…
    Unreadable,
    /// It is under way.
    Pending,
}

/// A sandbox, as the credential sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// Its name, as in `x-sandbox-name`.
    pub name: String,
    /// `production` or `development`.
    pub kind: Option<String>,
    /// `active`, `creating`, `deleting`, `resetting`, `deleted`, `failed`.
    pub state: Option<String>,
    /// The region, as `VA7`.
    pub region: Option<String>,
}

/// What a DELETE of an export job came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Accepted: the platform cancels in its own time.
    Accepted,
    /// There is no such job.
    Absent,
}

/// One operation of a JSON Patch (RFC 6902).
#[derive(Clone, Debug, PartialEq)]
pub enum PatchOperation {
    /// Adds or replaces the value at the path.
    Add(String, Value),
    /// Replaces the value at the path.
    Replace(String, Value),
    /// Removes the value at the path.
    Remove(String),
}

impl JobState {
    /// Reads a status in the platform's words, in any letter case.
    #[must_use]
    pub fn of(status: &str) -> Self {
        match status.to_ascii_uppercase().as_str() {
            "NEW" | "QUEUED" | "PROCESSING" | "CANCELLING" | "CANCELING" => Self::Running,
            "SUCCEEDED" => Self::Succeeded,
            "FAILED" => Self::Failed,
            "CANCELLED" | "CANCELED" => Self::Cancelled,
            _ => Self::Unknown,
        }
    }
}

impl Job {
    /// A job of which nothing but id and status is known.
    #[must_use]
    pub fn bare(id: JobId, status: impl Into<String>) -> Self {
        Self {
            id,
            status: status.into(),
            request_id: None,
            dataset_id: None,
            creation_time: None,
            update_time: None,
            total_milliseconds: None,
            profile_export_milliseconds: None,
            dataset_write_milliseconds: None,
            exported_profiles: None,
            exported_profiles_by_namespace: BTreeMap::new(),
            batches: Vec::new(),
            errors: Vec::new(),
            echoed: Echoed::default(),
        }
    }

    /// What the status says.
    #[must_use]
    pub fn state(&self) -> JobState {
        JobState::of(&self.status)
    }

    /// Whether the platform says that it cancels the job and is not done yet.
    #[must_use]
    pub fn is_being_cancelled(&self) -> bool {
        ["CANCELLING", "CANCELING"]
            .iter()
            .any(|status| self.status.eq_ignore_ascii_case(status))
    }
}

impl BatchState {
    /// Reads a batch's status. Sources: the Catalog's `OpenAPI` document and Adobe's glossary.
    #[must_use]
    pub fn of(status: &str) -> Self {
        match status.to_ascii_lowercase().as_str() {
            "success" | "active" => Self::Readable,
            "failure" | "failed" | "aborted" | "abandoned" | "inactive" | "deleted"
            | "archived" | "stalled" => Self::Unreadable,
            _ => Self::Pending,
        }
    }
}

macro_rules! opaque_id {
    ($name:ident, $what:literal) => {
        impl $name {
            #[doc = concat!("Takes ", $what, " as the platform wrote it.")]
            #[must_use]
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            #[doc = concat!("The text of ", $what, ".")]
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(id: &str) -> Result<Self, Self::Err> {
                Ok(Self::new(id))
            }
        }
    };
}

opaque_id!(JobId, "an export job's id");
opaque_id!(DatasetId, "a dataset's id");
opaque_id!(BatchId, "a batch's id");
