//! `ExportJob`: one export of profiles into a dataset.
//!
//! Field names are Adobe's, from the export-jobs guides of the Profile and the Segmentation API.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConnectionRef, ExportJobStatus};

/// RFC 3339 in capitals and with an offset of less than a day. The format `date-time` alone lets
/// in what the rules that compare times cannot read.
const TIMESTAMP: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// One export of profiles into a dataset: submitted once, followed to its end, cancelled when the
/// object is deleted before that.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "aep-export.dev",
    version = "v1alpha1",
    kind = "ExportJob",
    plural = "exportjobs",
    singular = "exportjob",
    shortname = "aepjob",
    category = "aep",
    namespaced,
    status = "ExportJobStatus",
    derive = "PartialEq",
    doc = "One export of profiles into a dataset: submitted once, followed to its end, cancelled when the object is deleted before that.",
    printcolumn(name = "Job ID", type_ = "string", json_path = ".status.jobId"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Dataset", type_ = "string", json_path = ".status.datasetId"),
    printcolumn(name = "Profiles", type_ = "integer", json_path = ".status.exportedProfiles"),
    printcolumn(name = "Started", type_ = "date", json_path = ".status.startTime"),
    printcolumn(name = "Seconds", type_ = "integer", json_path = ".status.durationSeconds"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".status.phase",
    selectable = ".status.connection.name",
    selectable = ".status.datasetId",
    selectable = ".spec.export.destination.datasetRef.name",
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.submission) || self.spec.export == oldSelf.spec.export")
        .message("export is immutable once the intent to submit is recorded: create another ExportJob")
        .field_path(".spec.export").reason(Reason::FieldValueForbidden),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.submission) || (has(self.spec.connectionRef) == has(oldSelf.spec.connectionRef) && (!has(self.spec.connectionRef) || (self.spec.connectionRef.name == oldSelf.spec.connectionRef.name && (has(self.spec.connectionRef.kind) ? self.spec.connectionRef.kind : 'PlatformConnection') == (has(oldSelf.spec.connectionRef.kind) ? oldSelf.spec.connectionRef.kind : 'PlatformConnection'))))")
        .message("connectionRef is immutable once the intent to submit is recorded: create another ExportJob")
        .field_path(".spec.connectionRef").reason(Reason::FieldValueForbidden),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.export.destination.datasetId) == has(self.connectionRef)")
    .message("write connectionRef together with export.destination.datasetId, and only then: a datasetRef brings its own connection"))]
pub struct ExportJobSpec {
    /// The connection to use; with `export.destination.datasetId`, and only then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_ref: Option<ConnectionRef>,
    /// What to export and where to. Immutable once the intent to submit is recorded in
    /// `status.submission`.
    pub export: ExportTemplate,
    /// Whether to hold the export back: nothing is submitted while this is true, neither for the
    /// first time nor after a failed attempt. An export that is running goes on. Absent: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Whether to cancel the export and keep the object as the record. Taken back once it was
    /// seen, it has no effect. Absent: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel: Option<bool>,
    /// How many seconds the export may take, from its first submission and across attempts; then
    /// it is cancelled and counts as failed. The time counts anew after a suspension between two
    /// attempts. Absent: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub active_deadline_seconds: Option<i64>,
    /// How many attempts may follow one that failed in the platform. Absent: 0, since an export
    /// is costly.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub backoff_limit: Option<i64>,
    /// How many seconds after its end the object is deleted; 0: at once. Not acted on while the
    /// object carries a mark of Helm, Argo CD or Flux, which would create it again and the export
    /// with it. Absent: it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 315_360_000))]
    pub ttl_seconds_after_finished: Option<i64>,
    /// What becomes of an export that has not ended when the object is deleted. Absent: what the
    /// namespace's annotation `aep-export.dev/deletion-policy` says, else what the operator's flag
    /// says, else `Cancel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<ExportDeletionPolicy>,
}

/// What becomes of an export that has not ended when its object is deleted.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::EnumString,
    strum::IntoStaticStr,
    clap::ValueEnum,
)]
#[clap(rename_all = "PascalCase")]
pub enum ExportDeletionPolicy {
    /// The job is cancelled.
    #[default]
    Cancel,
    /// The job is left to run.
    Orphan,
}

/// What to export and where to, in Adobe's field names. What is absent is not sent (but
/// `schema`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportTemplate {
    /// Where to.
    pub destination: Destination,
    /// The profile fields to export, as dot paths. Absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500), inner(length(min = 1, max = 512)))]
    #[x_kube(validation = Rule::new("self.all(f, !f.matches('[,\\\\s]'))")
        .message("write one field path per item, as [identities.id, personalEmail.address]: no item holds a comma or a space"))]
    pub fields: Option<Vec<String>>,
    /// The merge policy. Absent: the segment's, else the organisation's default. Adobe asks for
    /// it when several segments are exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge_policy: Option<MergePolicy>,
    /// Which profiles. Absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<SegmentFilter>,
    /// Time-series events to export with the profiles. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_fields: Option<AdditionalFields>,
    /// Whether segments are evaluated as part of the job. Absent: they are not. (Segmentation
    /// guide.)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_info: Option<EvaluationInfo>,
    /// The schema of the data. Absent: `_xdm.context.profile`, which is then sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
}

/// Where an export goes: exactly one of `datasetRef` and `datasetId`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.datasetRef) != has(self.datasetId)")
    .message("write exactly one of datasetRef (a ProfileDataset of this namespace) and datasetId (with spec.connectionRef)"))]
pub struct Destination {
    /// A `ProfileDataset` of the same namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset_ref: Option<DatasetRef>,
    /// The id of a dataset in the Catalog; with `spec.connectionRef`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_-]+$')")
        .message("write the dataset's id as the Catalog shows it, as 5b020a27e7040801dedba61b"))]
    pub dataset_id: Option<String>,
    /// One batch for each segment instead of one for all; this may affect performance. Absent:
    /// one for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_per_batch: Option<bool>,
}

/// A `ProfileDataset` of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct DatasetRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message("write the dataset's name as kubectl get aepds shows it: lower-case letters, digits, hyphens and dots"))]
    pub name: String,
}

/// The merge policy that makes one profile of several fragments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct MergePolicy {
    /// Its id.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.trim() != ''").message("write the merge policy's id"))]
    pub id: String,
    /// Its version. Absent: the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub version: Option<i64>,
}

/// Which profiles to export. Conditions add up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.segments) || has(self.segmentQualificationTime) || has(self.fromIngestTimestamp) || has(self.emptyProfiles)")
    .message("write at least one of segments, segmentQualificationTime, fromIngestTimestamp and emptyProfiles, or leave filter out to export all profiles"))]
pub struct SegmentFilter {
    /// The segments (audiences) to export. Absent: all profiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub segments: Option<Vec<Segment>>,
    /// When profiles qualified for a segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_qualification_time: Option<QualificationTime>,
    /// Only profiles updated after this time (RFC 3339, with offset).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), regex(pattern = TIMESTAMP), extend("format" = "date-time"))]
    pub from_ingest_timestamp: Option<String>,
    /// Whether profiles that have only events are exported too. Absent: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_profiles: Option<bool>,
}

/// A segment (audience) to export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// The segment's id.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.trim() != ''").message("write the segment's id"))]
    pub segment_id: String,
    /// The segment's namespace, as `ups`, `AAM` or `AdCloud`. Absent: `ups`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.trim() != ''")
        .message("write the segment's namespace, as ups, or leave segmentNs out"))]
    pub segment_ns: Option<String>,
    /// Which members, by their status in the segment. Absent: the platform's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4))]
    pub status: Option<Vec<SegmentStatus>>,
}

/// A member's status in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SegmentStatus {
    /// Qualifies.
    Realized,
    /// Qualifies still. (Adobe's `OpenAPI`.)
    Existing,
    /// Left.
    Exited,
    /// Leaves. (Prose of the Segmentation guide.)
    Exiting,
}

/// When profiles qualified for a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.startTime) || has(self.endTime)")
        .message("write startTime or endTime, or leave segmentQualificationTime out"),
    validation = Rule::new("!has(self.startTime) || !has(self.endTime) || self.startTime < self.endTime")
        .message("write a startTime before endTime"),
)]
pub struct QualificationTime {
    /// From when on (RFC 3339, with offset). Absent: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), regex(pattern = TIMESTAMP), extend("format" = "date-time"))]
    pub start_time: Option<String>,
    /// Until when (RFC 3339, with offset). Absent: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), regex(pattern = TIMESTAMP), extend("format" = "date-time"))]
    pub end_time: Option<String>,
}

/// Child or associated objects to export with the profiles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdditionalFields {
    /// Time-series events.
    pub event_list: EventList,
}

/// Time-series events to export with the profiles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.fields) || has(self.filter)")
    .message("write fields or filter (Adobe expects a bound, typically filter.fromIngestTimestamp), or leave additionalFields out to export no events"))]
pub struct EventList {
    /// The event fields to export, as dot paths. Absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500), inner(length(min = 1, max = 512)))]
    #[x_kube(validation = Rule::new("self.all(f, !f.matches('[,\\\\s]'))")
        .message("write one field path per item, as [environment.browserDetails.name]: no item holds a comma or a space"))]
    pub fields: Option<Vec<String>>,
    /// Which events. Absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<EventFilter>,
}

/// Which events to export, by the time of their ingestion (not of the event).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.fromIngestTimestamp) || has(self.toIngestTimestamp)")
        .message("write fromIngestTimestamp or toIngestTimestamp, or leave filter out"),
    validation = Rule::new("!has(self.fromIngestTimestamp) || !has(self.toIngestTimestamp) || self.fromIngestTimestamp < self.toIngestTimestamp")
        .message("write a fromIngestTimestamp before toIngestTimestamp"),
)]
pub struct EventFilter {
    /// Only events ingested after this time (RFC 3339, with offset).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), regex(pattern = TIMESTAMP), extend("format" = "date-time"))]
    pub from_ingest_timestamp: Option<String>,
    /// Only events ingested before this time (RFC 3339, with offset). (Segmentation guide.)
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), regex(pattern = TIMESTAMP), extend("format" = "date-time"))]
    pub to_ingest_timestamp: Option<String>,
}

/// Whether segments are evaluated as part of the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct EvaluationInfo {
    /// Whether they are.
    pub segmentation: bool,
}

/// The schema of the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Schema {
    /// Its name: `_xdm.context.profile`.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.trim() != ''")
        .message("write the schema's name, as _xdm.context.profile, or leave schema out"))]
    pub name: String,
}

impl ExportJob {
    /// When the object was made, if the API server has said so.
    #[must_use]
    pub fn created_at(&self) -> Option<jiff::Timestamp> {
        self.metadata
            .creation_timestamp
            .as_ref()
            .map(|Time(at)| *at)
    }
}
