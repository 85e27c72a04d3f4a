//! The switches: one for every point on which the documents contradict each other, and a few for
//! what no document says.
//!
//! A switch changes what the tenant answers, never what it remembers, so it can be turned in the
//! middle of a job's life.

mod flavour;
mod table;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[cfg(test)]
pub(crate) use table::{Entry, LASTING, TABLE, Values};
pub(crate) use table::{help, lasting_help};

/// As many seconds as a switch takes; where jobs are purged, it means that they are not.
pub(crate) const FOREVER_SECONDS: f64 = 1e9;

/// How the tenant behaves where the documents disagree or are silent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Switches {
    pub(crate) flavour: Flavour,
    pub(crate) file_description: FileDescription,
    pub(crate) dataset_create_prefix: DatasetPrefix,
    pub(crate) dataset_create_status: CreateStatus,
    pub(crate) filter_in_request: Acceptance,
    pub(crate) evaluation_in_request: Acceptance,
    pub(crate) segment_status_default: SegmentStatusDefault,
    pub(crate) dataset_key_in_reply: DatasetKey,
    pub(crate) dataset_key_in_list: DatasetKey,
    pub(crate) batches_shape: BatchesShape,
    pub(crate) push_job_and_dataset_write_time: Shown,
    pub(crate) profile_counters: Presence,
    pub(crate) compute_gateway_at_new: ComputeGatewayAtNew,
    pub(crate) list_parameters: ListParameters,
    pub(crate) delete_reply: DeleteReply,
    pub(crate) delete_verb: DeleteVerb,
    pub(crate) failed_batch_id: FailedBatchId,
    pub(crate) succeeded_with_errors: SucceededWithErrors,
    pub(crate) org_id_in_reply: Organization,
    pub(crate) statuses_shown: StatusesShown,
    pub(crate) create_status: CreateStatus,
    pub(crate) fields_echo: Places,
    pub(crate) filter_echo: Places,
    pub(crate) additional_fields_echo: Places,
    pub(crate) evaluation_echo: Presence,
    pub(crate) segment_echo: SegmentEcho,
    pub(crate) request_id_echo: Places,
    pub(crate) id_shape: IdShape,
    pub(crate) creation_time_unit: TimeUnit,
    pub(crate) segment_status_shape: SegmentStatusShape,
    pub(crate) job_location_header: Presence,
    pub(crate) dataset_location_header: LocationHeader,
    pub(crate) next_link_at_end: NextLinkAtEnd,
    pub(crate) page_size_default: u32,
    pub(crate) page_size_maximum: u32,
    pub(crate) list_lag_seconds: f64,
    pub(crate) get_lag_seconds: f64,
    pub(crate) tag_query_lag_seconds: f64,
    pub(crate) batch_readable_after_seconds: f64,
    pub(crate) batch_readable_status: ReadableStatus,
    pub(crate) cancel_looks_like: CancelLooksLike,
    pub(crate) cancel_seconds: f64,
    pub(crate) delete_finished: DeleteFinished,
    pub(crate) export_error_bodies: ErrorBodies,
    pub(crate) dataset_delete_missing: DeleteMissing,
    pub(crate) patch_tags: PatchTags,
    pub(crate) unknown_merge_policy: Acceptance,
    pub(crate) request_id_elsewhere: RequestIdElsewhere,
    pub(crate) list_cursor: ListCursor,
    pub(crate) jobs_kept_seconds: f64,
    pub(crate) finished_kept_seconds: f64,
}

/// Where a key of the request comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Places {
    pub(crate) post: bool,
    pub(crate) get: bool,
    pub(crate) list: bool,
}

impl Places {
    const ALL: Self = Self {
        post: true,
        get: true,
        list: true,
    };
    const NONE: Self = Self {
        post: false,
        get: false,
        list: false,
    };
}

impl Default for Places {
    fn default() -> Self {
        Self::ALL
    }
}

/// Declares the closed set of values of a switch; the first is the type's default.
macro_rules! values {
    ($($(#[$doc:meta])* $name:ident { $first:ident = $first_text:literal
        $(, $variant:ident = $text:literal)* $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) enum $name {
            #[default]
            #[serde(rename = $first_text)]
            $first,
            $(#[serde(rename = $text)] $variant),*
        }
    )+};
}

values! {
    /// Row 1: which group of answers was chosen last.
    Flavour {
        Combined = "combined",
        Profile = "profile",
        Segmentation = "segmentation",
        Openapi = "openapi",
    }
    /// Row 2: which keys of `fileDescription` a dataset request may have.
    FileDescription { Full = "full", FormatOnly = "formatOnly", Refused = "refused" }
    /// Row 3: the prefix of the id in the reply to a dataset request.
    DatasetPrefix { DataSets = "@/dataSets", Datasets = "@/datasets" }
    /// Rows 4 and 5, and unknown merge policies: whether something is taken in a request.
    Acceptance { Accepted = "accepted", Refused = "refused" }
    /// Row 6: what a segment without `status` means.
    SegmentStatusDefault {
        Realized = "realized",
        RealizedAndExisting = "realizedAndExisting",
    }
    /// Rows 7 and 8: how the dataset's key is spelt.
    DatasetKey {
        DatasetId = "datasetId",
        DataSetId = "dataSetId",
        DataSetIdWithBatches = "dataSetIdWithBatches",
    }
    /// Row 9: `batches` with one batch per segment.
    BatchesShape { Array = "array", Object = "object" }
    /// Row 10: when `pushJob` and `aCPDatasetWriteTime` are there.
    Shown { SucceededOnly = "succeededOnly", Never = "never", Always = "always" }
    /// Rows 11 and 21, and headers: whether something is there.
    Presence { Shown = "shown", Absent = "absent" }
    /// Row 12: `computeGatewayJobId` of a job that is NEW.
    ComputeGatewayAtNew { Empty = "empty", EmptyString = "emptyString", Object = "object" }
    /// Row 13: which parameters the list takes.
    ListParameters { Segmentation = "segmentation", Profile = "profile" }
    /// Row 14: the answer to a cancel.
    DeleteReply { Empty = "204", WithBody = "204WithBody", Ok = "200WithBody" }
    /// Row 15: which verbs cancel.
    DeleteVerb { Delete = "delete", DeleteAndPost = "deleteAndPost" }
    /// Row 16: `batchId` of a job that is FAILED.
    FailedBatchId { Empty = "empty", NonEmpty = "nonEmpty" }
    /// Row 17: whether every job that is SUCCEEDED has `errors`.
    SucceededWithErrors { Never = "never", Always = "always" }
    /// Row 18: `imsOrgId` in replies.
    Organization {
        Real = "real",
        FirstPlaceholder = "imsOrg",
        SecondPlaceholder = "orgId",
        Absent = "absent",
    }
    /// Row 19: which statuses are shown.
    StatusesShown { WithProcessing = "withProcessing", Documents = "documents" }
    /// Row 22: `filter.segments` in replies.
    SegmentEcho {
        AsSent = "asSent",
        WithDefaults = "withDefaults",
        SegmentIdOnly = "segmentIdOnly",
    }
    /// The JSON type of a job's `id`.
    IdShape { Number = "number", String = "string", Float = "float" }
    /// The unit of `creationTime` and `updateTime`.
    TimeUnit { Milliseconds = "ms", Seconds = "s", Absent = "absent" }
    /// The JSON type of `batches[].status`.
    SegmentStatusShape { Array = "array", String = "string", Mixed = "mixed" }
    /// The header of a dataset's creation.
    LocationHeader { Location = "location", XLocation = "xLocation", Absent = "absent" }
    /// `link` on the last page.
    NextLinkAtEnd {
        Empty = "empty",
        Absent = "absent",
        Null = "null",
        NoLinkObject = "noLinkObject",
    }
    /// The Catalog's word for a batch that can be read.
    ReadableStatus { Success = "success", Active = "active" }
    /// What becomes of a job that was cancelled.
    CancelLooksLike {
        Cancelled = "cancelled",
        Failed = "failed",
        Absent = "absent",
        Ignored = "ignored",
    }
    /// The effect of DELETE on a finished job.
    DeleteFinished { Removes = "removes", Keeps = "keeps", Refuses = "refuses" }
    /// Errors of the export API.
    ErrorBodies { Envelope = "envelope", Empty = "empty" }
    /// DELETE of a dataset that is not there.
    DeleteMissing { EmptyList = "emptyList", NotFound = "notFound" }
    /// `tags` in a PATCH of version 1 with `application/json`.
    PatchTags { Replace = "replace", Merge = "merge" }
    /// `requestId` where it is not the call's.
    RequestIdElsewhere { Another = "another", Absent = "absent" }
    /// What the list's cursor is.
    ListCursor { CreationTimeAndId = "creationTimeAndId", Number = "number" }
}

/// Rows 3 and 20: the status code of a creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub(crate) enum CreateStatus {
    Ok,
    Created,
    Accepted,
}

impl TryFrom<u16> for CreateStatus {
    type Error = String;

    fn try_from(code: u16) -> Result<Self, Self::Error> {
        match code {
            200 => Ok(Self::Ok),
            201 => Ok(Self::Created),
            202 => Ok(Self::Accepted),
            other => Err(format!(
                "the status of a creation is 200, 201 or 202, not {other}"
            )),
        }
    }
}

impl From<CreateStatus> for u16 {
    fn from(status: CreateStatus) -> Self {
        match status {
            CreateStatus::Ok => 200,
            CreateStatus::Created => 201,
            CreateStatus::Accepted => 202,
        }
    }
}

impl Default for Switches {
    fn default() -> Self {
        flavour::combined()
    }
}

impl Switches {
    /// Returns these switches with `patch` merged in: first the group of its `flavour`, then each
    /// key it names.
    ///
    /// # Errors
    ///
    /// An unknown switch, a value that it does not take, or a patch that is not an object.
    pub(crate) fn merged(&self, patch: &Value) -> Result<Self, String> {
        let Value::Object(patch) = patch else {
            return Err("switches are one JSON object".to_owned());
        };
        let mut base = self.clone();
        if let Some(flavour) = patch.get("flavour") {
            let flavour = Flavour::deserialize(flavour).map_err(|error| error.to_string())?;
            base.choose(flavour);
        }
        let mut whole = serde_json::to_value(base).map_err(|error| error.to_string())?;
        if let Value::Object(whole) = &mut whole {
            merge(whole, patch);
        }
        let merged: Self = serde_json::from_value(whole).map_err(|error| error.to_string())?;
        merged.validate()?;
        Ok(merged)
    }

    fn validate(&self) -> Result<(), String> {
        let seconds = [
            ("listLagSeconds", self.list_lag_seconds),
            ("getLagSeconds", self.get_lag_seconds),
            ("tagQueryLagSeconds", self.tag_query_lag_seconds),
            (
                "batchReadableAfterSeconds",
                self.batch_readable_after_seconds,
            ),
            ("cancelSeconds", self.cancel_seconds),
            ("jobsKeptSeconds", self.jobs_kept_seconds),
            ("finishedKeptSeconds", self.finished_kept_seconds),
        ];
        for (name, value) in seconds {
            if !(0.0..=FOREVER_SECONDS).contains(&value) {
                return Err(format!("{name} is 0 to 1000000000 seconds, not {value}"));
            }
        }
        if self.page_size_default == 0 || self.page_size_default > self.page_size_maximum {
            return Err("pageSizeDefault is 1 to pageSizeMaximum".to_owned());
        }
        Ok(())
    }
}

/// Merges `patch` into `whole`, one level of objects deep.
fn merge(whole: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match (whole.get_mut(key), value) {
            (Some(Value::Object(inner)), Value::Object(patch)) => {
                inner.extend(
                    patch
                        .iter()
                        .map(|(key, value)| (key.clone(), value.clone())),
                );
            }
            _ => {
                whole.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
