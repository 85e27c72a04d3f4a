//! The status of an `ExportJob`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConnectionStatusRef, ExportDeletionPolicy};

/// What the operator last saw of an export.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportJobStatus {
    /// The generation that this status tells of; -1: none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One word for people and columns, derived from the conditions; words may be added. Programs
    /// read the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// `Ready`, and once they hold `Complete`, `Failed`, `DataAvailable`; `Reconciling` and
    /// `Stalled` only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
    /// The connection that serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionStatusRef>,
    /// The dataset it writes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_id: Option<String>,
    /// What holds where the spec leaves it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Effective>,
    /// The submission, recorded before the request is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<Submission>,
    /// The export job's id in the platform, every digit kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The job's status in the platform's own words, as of the last write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_status: Option<String>,
    /// When the platform took the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub start_time: Option<Timestamp>,
    /// Since when the platform has not shown the job, while it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub not_found_since: Option<Timestamp>,
    /// When it ended, well or not: set at every end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub completion_time: Option<Timestamp>,
    /// Seconds from start to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i64>,
    /// The platform's own measurements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_timings: Option<PlatformTimings>,
    /// Profiles exported, across all batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported_profiles: Option<i64>,
    /// Profiles exported, by identity namespace. (They need not add up to the total.)
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exported_profiles_by_namespace: BTreeMap<String, i64>,
    /// The batches written; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<BatchStatus>,
    /// How many batches there are in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_count: Option<i64>,
    /// What the platform reports as errors, also of an export that succeeded; at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ExportError>,
    /// The attempts before the current one; at most 10, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// The cancellation, recorded before the request is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<Cancellation>,
    /// The last request to reconcile that was answered, as its annotation had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// What holds where the spec leaves it open: the operator's defaults, not the platform's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// What becomes of an export that has not ended when the object is deleted.
    pub deletion_policy: ExportDeletionPolicy,
    /// Who says so.
    pub deletion_policy_from: PolicySource,
    /// How many attempts may follow one that failed.
    pub backoff_limit: i64,
    /// How long a cancellation may take, in seconds.
    pub cancel_deadline_seconds: i64,
}

/// Who says what becomes of an export whose object is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PolicySource {
    /// The object's own spec.
    Spec,
    /// The annotation of its namespace.
    Namespace,
    /// The operator's flag, or what it stands for if it is not given.
    Operator,
}

/// A submission of an export, recorded before the request is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Submission {
    /// Which attempt, from 1.
    pub attempt: i64,
    /// A nonce: only the process that wrote it may send.
    pub r#try: String,
    /// Sent as `X-Request-Id`: 32 letters and digits, derived from cluster, object and attempt.
    pub request_id: String,
    /// SHA-256 of the canonical request, organisation and sandbox.
    pub fingerprint: String,
    /// Where the request goes.
    pub target: Target,
    /// When the intent was recorded, by the platform's clock.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub intent_time: Timestamp,
    /// Until when the request may be sent.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub send_before: Timestamp,
    /// From when on a job that is not in the platform's list was not taken.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub settle_after: Timestamp,
    /// What became of it; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<SubmissionOutcome>,
    /// What the outcome rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<SubmissionEvidence>,
    /// The jobs of which a person must say whether one is this submission's; at most 10. While
    /// they are here only the request id or a person's word ends the doubt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
    /// The person's word that ended the doubt, as the annotation had it: `<try>=<job id or none>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Further jobs that the platform made of the same request; they are cancelled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub surplus_job_ids: Vec<String>,
}

/// A job of the platform that may be a submission's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The job's id.
    pub job_id: String,
    /// Its status in the platform's words.
    pub status: String,
    /// When the platform made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub creation_time: Option<Timestamp>,
}

/// An attempt that failed and was followed by another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Which attempt, from 1.
    pub attempt: i64,
    /// The request id it was sent with.
    pub request_id: String,
    /// Its job in the platform.
    pub job_id: String,
    /// The job's last status in the platform's words.
    pub outcome: String,
    /// When the platform took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub start_time: Option<Timestamp>,
    /// When it ended.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub completion_time: Timestamp,
    /// Why it ended.
    pub reason: String,
    /// What the platform said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the object was suspended after it: the deadline counts anew from the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<bool>,
}

/// Where a request goes. Later calls for the same submission go there too, whatever the
/// connection says by then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The platform's gateway.
    pub platform: String,
    /// The organisation.
    pub organization_id: String,
    /// The sandbox.
    pub sandbox: String,
    /// The dataset; absent for the creation of a dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_id: Option<String>,
}

impl Target {
    /// The tenant: the same for all its datasets.
    #[must_use]
    pub fn tenant(&self) -> Self {
        Self {
            dataset_id: None,
            ..self.clone()
        }
    }

    /// Whether both are of one platform, organisation and sandbox.
    #[must_use]
    pub fn is_same_tenant(&self, other: &Self) -> bool {
        let Self {
            platform,
            organization_id,
            sandbox,
            dataset_id: _,
        } = self;
        *platform == other.platform
            && *organization_id == other.organization_id
            && *sandbox == other.sandbox
    }
}

/// What became of a submission.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr,
)]
pub enum SubmissionOutcome {
    /// The platform took it and its reply named the id.
    Posted,
    /// It was found in the platform.
    Adopted,
    /// It never left the operator.
    NotSent,
    /// The gateway refused it before the platform saw it.
    Refused,
    /// The platform rejected the request itself.
    Rejected,
    /// The platform did not take it: what shows it after `settleAfter` is not there.
    NotTaken,
}

/// What the outcome of a submission rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SubmissionEvidence {
    /// The reply to the request.
    Reply,
    /// The request did not leave.
    Unsent,
    /// The gateway's own envelope.
    Gateway,
    /// The identity tags of the dataset.
    Tag,
    /// The platform shows our request id on the job.
    RequestId,
    /// The platform's list of jobs, read whole after `settleAfter`, shows no such job.
    List,
    /// The only job into the dataset, within the submission's time, that nobody else claims. It is
    /// never cancelled without a person's word.
    Window,
    /// A person's word.
    Person,
}

/// The platform's own measurements of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformTimings {
    /// In all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_milliseconds: Option<i64>,
    /// For the export of profiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_export_milliseconds: Option<i64>,
    /// For the write into the dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_write_milliseconds: Option<i64>,
}

/// A batch that an export wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchStatus {
    /// Its id in the Catalog.
    pub batch_id: String,
    /// The segment it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_id: Option<String>,
    /// That segment's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_ns: Option<String>,
    /// Which members of the segment it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segment_status: Vec<String>,
    /// Its status in the Catalog's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Records in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<i64>,
    /// Files in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<i64>,
    /// Bytes in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
}

/// An error that the platform reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportError {
    /// The platform's code.
    pub code: String,
    /// The platform's message, cut to 512 characters.
    pub message: String,
}

/// A cancellation, recorded before the request is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cancellation {
    /// When it was decided; the deadline counts from here, across restarts.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub requested_at: Timestamp,
    /// What asked for it.
    pub by: CancelledBy,
    /// When the platform said that it will cancel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub accepted_at: Option<Timestamp>,
    /// The job's last status in the platform's words, once nothing more is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_status: Option<String>,
}

/// What asked for a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CancelledBy {
    /// The object's deletion.
    Deletion,
    /// The object's own word.
    Spec,
    /// The time that the export may take.
    Deadline,
}
