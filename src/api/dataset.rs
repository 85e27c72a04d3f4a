//! `ProfileDataset`: a dataset in the Catalog that exports write to.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConnectionRef, ConnectionStatusRef, SubmissionEvidence, SubmissionOutcome, Target};

/// A dataset in the Catalog that profile exports write to.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "aep-export.dev",
    version = "v1alpha1",
    kind = "ProfileDataset",
    plural = "profiledatasets",
    singular = "profiledataset",
    shortname = "aepds",
    category = "aep",
    namespaced,
    status = "ProfileDatasetStatus",
    derive = "PartialEq",
    doc = "A dataset in the Catalog that profile exports write to: created and owned, or only read. Deleting the object leaves the dataset and its data where they are, unless its own spec says `deletionPolicy: Delete`.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Dataset ID", type_ = "string", json_path = ".status.datasetId"),
    printcolumn(name = "Name", type_ = "string", json_path = ".status.name"),
    printcolumn(name = "Last Batch", type_ = "string", json_path = ".status.lastBatch.status"),
    printcolumn(name = "Connection", type_ = "string", json_path = ".spec.connectionRef.name", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.connectionRef.name",
    validation = Rule::new("!has(oldSelf.status) || (!has(oldSelf.status.submission) && !has(oldSelf.status.datasetId)) || !has(self.spec.dataset) || !has(oldSelf.spec.dataset) || (has(self.spec.dataset.schemaRef) && has(self.spec.dataset.schemaRef.contentType) ? self.spec.dataset.schemaRef.contentType : 'application/vnd.adobe.xed+json;version=1') == (has(oldSelf.spec.dataset.schemaRef) && has(oldSelf.spec.dataset.schemaRef.contentType) ? oldSelf.spec.dataset.schemaRef.contentType : 'application/vnd.adobe.xed+json;version=1')")
        .message("schemaRef is immutable once the dataset's creation has begun: create another ProfileDataset")
        .field_path(".spec.dataset.schemaRef").reason(Reason::FieldValueForbidden),
    validation = Rule::new("!has(oldSelf.status) || (!has(oldSelf.status.submission) && !has(oldSelf.status.datasetId)) || !has(self.spec.dataset) || !has(oldSelf.spec.dataset) || (has(self.spec.dataset.fileDescription) == has(oldSelf.spec.dataset.fileDescription) && (!has(self.spec.dataset.fileDescription) || self.spec.dataset.fileDescription == oldSelf.spec.dataset.fileDescription))")
        .message("fileDescription is immutable once the dataset's creation has begun: create another ProfileDataset")
        .field_path(".spec.dataset.fileDescription").reason(Reason::FieldValueForbidden),
    validation = Rule::new("!has(oldSelf.status) || (!has(oldSelf.status.submission) && !has(oldSelf.status.datasetId)) || !has(self.spec.dataset) || !has(oldSelf.spec.dataset) || (has(self.spec.dataset.enableErrorDiagnostics) == has(oldSelf.spec.dataset.enableErrorDiagnostics) && (!has(self.spec.dataset.enableErrorDiagnostics) || self.spec.dataset.enableErrorDiagnostics == oldSelf.spec.dataset.enableErrorDiagnostics))")
        .message("enableErrorDiagnostics is immutable once the dataset's creation has begun: create another ProfileDataset")
        .field_path(".spec.dataset.enableErrorDiagnostics").reason(Reason::FieldValueForbidden),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.dataset) != has(self.datasetId)")
        .message("write exactly one of dataset (created and owned) and datasetId (one that is there, only read)"),
    validation = Rule::new("has(self.datasetId) == has(oldSelf.datasetId) && (!has(self.datasetId) || self.datasetId == oldSelf.datasetId)")
        .message("datasetId is immutable: create another ProfileDataset for another dataset")
        .field_path(".datasetId").reason(Reason::FieldValueForbidden),
    validation = Rule::new("self.connectionRef.name == oldSelf.connectionRef.name && (has(self.connectionRef.kind) ? self.connectionRef.kind : 'PlatformConnection') == (has(oldSelf.connectionRef.kind) ? oldSelf.connectionRef.kind : 'PlatformConnection')")
        .message("connectionRef is immutable: create another ProfileDataset for another connection")
        .field_path(".connectionRef").reason(Reason::FieldValueForbidden),
    validation = Rule::new("!has(self.managementPolicy) || has(self.dataset)")
        .message("leave managementPolicy out beside datasetId: what a datasetId names is only read, and never written")
        .field_path(".managementPolicy"),
    validation = Rule::new("!has(self.adoptionPolicy) || has(self.dataset)")
        .message("leave adoptionPolicy out beside datasetId: what a datasetId names is only read, and never taken over")
        .field_path(".adoptionPolicy"),
    validation = Rule::new("!has(self.deletionPolicy) || self.deletionPolicy == 'Retain' || has(self.dataset)")
        .message("write Retain or leave deletionPolicy out beside datasetId: what a datasetId names is only read, and never deleted")
        .field_path(".deletionPolicy"),
)]
pub struct ProfileDatasetSpec {
    /// The connection to use. Immutable.
    pub connection_ref: ConnectionRef,
    /// The dataset to create and own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetTemplate>,
    /// The id of a dataset that is there: only read, never written. Immutable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_-]+$')")
        .message("write the dataset's id as the Catalog shows it, as 5b020a27e7040801dedba61b"))]
    pub dataset_id: Option<String>,
    /// What becomes of a difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub management_policy: Option<ManagementPolicy>,
    /// What becomes of the dataset and its data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DatasetDeletionPolicy>,
    /// What else is taken up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adoption_policy: Option<AdoptionPolicy>,
}

/// What becomes of a difference between `dataset` and the dataset in the Catalog: name, description
/// and tags are set to what the spec says (`Manage`), or it is only reported (`Observe`), and a
/// dataset that is there is never written nor deleted. With `dataset` only. Absent: `Manage`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ManagementPolicy {
    /// Name, description and tags are set to what the spec says.
    #[default]
    Manage,
    /// It is only reported. A dataset that is there is never written, nor deleted.
    Observe,
}

/// What becomes of the dataset and its data when the object is deleted: they stay where they are
/// (`Retain`), or are deleted in the platform for good (`Delete`, with `dataset` only). Absent:
/// `Retain`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DatasetDeletionPolicy {
    /// They stay where they are.
    #[default]
    Retain,
    /// They are deleted in the platform, for good.
    Delete,
}

/// Which dataset that is there already is taken up, beside one that an object of this namespace
/// and name in this cluster left: also one that such an object in another cluster made (`Always`),
/// because that cluster is lost or shall give it up. With `dataset` only. Absent: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// Also one that an object of this namespace and name in another cluster has made.
    Always,
}

/// A dataset to create, in the Catalog's words. `schemaRef`, `fileDescription` and
/// `enableErrorDiagnostics` are immutable once its creation has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatasetTemplate {
    /// The dataset's name, as people see it in the platform.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.trim() != ''").message("write a name that is not blank"))]
    pub name: String,
    /// What the dataset is for. Absent: whatever the Catalog has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub description: Option<String>,
    /// The schema. Absent: the union schema of XDM Individual Profile, which every target of a
    /// profile export must be on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_ref: Option<SchemaRef>,
    /// How files are kept. Absent: the platform's choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_description: Option<FileDescription>,
    /// Tags, each with its values. Other tags of the dataset are left as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50), extend("minProperties" = 1, "maxProperties" = 50))]
    #[x_kube(
        validation = Rule::new("self.all(k, k != '' && !k.matches('[,:\\\\s]'))")
            .message("write tag names without spaces, commas and colons, as team"),
        validation = Rule::new("self.all(k, !k.startsWith('adobe') && !k.startsWith('aep-export.dev/') && k != 'unifiedProfile' && k != 'unifiedIdentity')")
            .message("choose another tag name: adobe…, aep-export.dev/…, unifiedProfile and unifiedIdentity are reserved"),
    )]
    pub tags: Option<BTreeMap<String, TagValues>>,
    /// Whether the platform keeps diagnostics of records that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_error_diagnostics: Option<bool>,
}

/// The values of one tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TagValues(
    /// The values.
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 256)))]
    pub Vec<String>,
);

/// The schema of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaRef {
    /// The schema's id: `https://ns.adobe.com/xdm/context/profile__union`.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self == 'https://ns.adobe.com/xdm/context/profile__union'")
        .message("write https://ns.adobe.com/xdm/context/profile__union or leave schemaRef out: a profile export writes to a dataset on the union schema only"))]
    pub id: String,
    /// Media type and version. Absent: `application/vnd.adobe.xed+json;version=1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.startsWith('application/')")
        .message("write a media type, as application/vnd.adobe.xed+json;version=1"))]
    pub content_type: Option<String>,
}

/// How a dataset's files are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.persisted) || has(self.containerFormat) || has(self.format)")
    .message("write format, persisted or containerFormat, or leave fileDescription out"))]
pub struct FileDescription {
    /// Whether the dataset persists in the union view. (Profile guides of 2020; not in the
    /// Catalog's reference.)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persisted: Option<bool>,
    /// The format of the container. (Profile guides of 2020; not in the Catalog's reference.)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_format: Option<FileFormat>,
    /// The format of the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<FileFormat>,
}

/// A format of files, as the Catalog's reference lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Comma-separated values.
    Csv,
    /// Text.
    Text,
    /// Apache Parquet.
    Parquet,
    /// JSON.
    Json,
    /// Hadoop sequence files.
    Sequencefile,
    /// Apache Avro.
    Avro,
}

/// What the operator last saw of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileDatasetStatus {
    /// The generation that this status tells of; -1: none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`; `Reconciling`, `Stalled`, `InUse` and `Drifted` only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
    /// The connection that serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionStatusRef>,
    /// The dataset's id in the Catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_id: Option<String>,
    /// The dataset's name in the Catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The dataset's schema in the Catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_ref: Option<ObservedSchemaRef>,
    /// Whether this object owns the dataset: true if it made it or took it up, false if it only
    /// reads it or another object has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned: Option<bool>,
    /// The owner that the dataset's tag names, as `cluster/namespace/name`; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where a dataset is that was taken up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The creation of the dataset, as recorded before the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<DatasetSubmission>,
    /// The last batch that was written into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_batch: Option<LastBatch>,
    /// What differs between the spec and the dataset in the Catalog: the first ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub drift: Vec<Drift>,
    /// The last request to reconcile that was answered, as its annotation had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// A difference between the spec and the dataset in the Catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    /// What differs: `name`, `description` or `tags.NAME`.
    pub field: String,
    /// What the spec asks for, cut to 128 bytes.
    pub wanted: String,
    /// What the Catalog has, cut to 128 bytes; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

/// The creation of a dataset, recorded before the request is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatasetSubmission {
    /// A nonce: only the process that wrote it may send.
    pub r#try: String,
    /// Where the request goes.
    pub target: Target,
    /// When the intent was recorded, by the platform's clock.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub intent_time: Timestamp,
    /// Until when the request may be sent.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub send_before: Timestamp,
    /// From when on "not found" means that it was not created.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub settle_after: Timestamp,
    /// What became of it; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<SubmissionOutcome>,
    /// What the outcome rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<SubmissionEvidence>,
}

/// The schema of a dataset, as the Catalog shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObservedSchemaRef {
    /// The schema's id.
    pub id: String,
    /// Media type and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// A batch in a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastBatch {
    /// Its id.
    pub id: String,
    /// Its status in the Catalog's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}
