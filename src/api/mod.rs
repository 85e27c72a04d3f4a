//! The kinds of the API group: types, validation rules and the words of their conditions.
//!
//! The doc comments of this module are the reference that `kubectl explain` shows. The CRDs in
//! `crds/` are generated from it (`aep-export-operator crd`).

mod cluster_connection;
pub mod conditions;
mod connection;
mod crds;
mod dataset;
mod export;
mod export_status;
mod markdown;
mod reference;

pub use cluster_connection::{
    ClusterAccessToken, ClusterAuth, ClusterOAuthServerToServer, ClusterPlatformConnection,
    ClusterPlatformConnectionSpec, LabelOperator, LabelRequirement, LabelValue, NamespaceSelector,
};
pub use conditions::{
    ConditionType, Desired, MESSAGE_LIMIT, Reason, Tristate, cut, find, is_true, merge,
    whole_second,
};
pub use connection::{
    Access, AccessToken, Auth, Budget, BudgetStatus, Endpoints, Form, OAuthServerToServer,
    PlatformConnection, PlatformConnectionSpec, PlatformConnectionStatus, SandboxStatus, Terms,
};
pub use crds::{CrdError, crds, to_yaml};
pub use dataset::{
    AdoptionPolicy, DatasetDeletionPolicy, DatasetSubmission, DatasetTemplate, Drift,
    FileDescription, FileFormat, LastBatch, ManagementPolicy, ObservedSchemaRef, ProfileDataset,
    ProfileDatasetSpec, ProfileDatasetStatus, SchemaRef, TagValues,
};
pub use export::{
    AdditionalFields, DatasetRef, Destination, EvaluationInfo, EventFilter, EventList,
    ExportDeletionPolicy, ExportJob, ExportJobSpec, ExportTemplate, MergePolicy, QualificationTime,
    Schema, Segment, SegmentFilter, SegmentStatus,
};
pub use export_status::{
    Attempt, BatchStatus, Cancellation, CancelledBy, Candidate, Effective, ExportError,
    ExportJobStatus, PlatformTimings, PolicySource, Submission, SubmissionEvidence,
    SubmissionOutcome, Target,
};
pub use markdown::to_markdown;
pub use reference::{
    ClusterSecretRef, ConnectionKey, ConnectionKind, ConnectionRef, ConnectionStatusRef, SecretRef,
};

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The API group. kube's derive takes only a literal, so each kind repeats it; a test holds them
/// equal.
pub const GROUP: &str = "aep-export.dev";
/// The version that is served and stored.
pub const VERSION: &str = "v1alpha1";
/// The finalizer that holds an `ExportJob` while something of it may run in the platform.
pub const EXPORT_FINALIZER: &str = "aep-export.dev/export";
/// The finalizer that holds a connection of either kind while something begun with it is not
/// finished.
pub const CONNECTION_FINALIZER: &str = "aep-export.dev/connection";
/// The finalizer that holds a `ProfileDataset` while an export runs into it, or while its dataset
/// is to be deleted with it.
pub const DATASET_FINALIZER: &str = "aep-export.dev/dataset";
/// The annotation with which a person has an object that is being deleted let go at once: its UID.
pub const ABANDON_ANNOTATION: &str = "aep-export.dev/abandon";
/// The annotation of a Namespace that says what becomes of the jobs of exports that are deleted in
/// it, where they do not say so themselves: `Cancel` or `Orphan`.
pub const DELETION_POLICY_ANNOTATION: &str = "aep-export.dev/deletion-policy";
/// The annotations that ask for a pass now; what they say is echoed in `lastHandledReconcileAt`.
pub const REQUEST_ANNOTATIONS: [&str; 2] = [
    "reconcile.fluxcd.io/requestedAt",
    "aep-export.dev/requested-at",
];
/// The annotation with which a person ends a doubt: `<status.submission.try>=<job id or none>`.
pub const RESOLVE_ANNOTATION: &str = "aep-export.dev/resolve-submission";
/// The label that Velero puts on what it restores, without its status.
pub const RESTORED_LABEL: &str = "velero.io/restore-name";
/// The tag that names the object a dataset belongs to: `cluster/namespace/name`.
pub const OWNER_TAG: &str = "aep-export.dev/owner";
/// The tag that names the object a dataset belongs to whatever its cluster: `namespace/name`. By
/// it what another cluster made is found.
pub const OBJECT_TAG: &str = "aep-export.dev/object";
/// The tag that carries the UID of the object that created a dataset.
pub const OWNER_UID_TAG: &str = "aep-export.dev/uid";
