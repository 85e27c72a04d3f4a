//! Condition types and reasons: one closed vocabulary for status, events and metrics.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use strum::{EnumIter, EnumString, IntoStaticStr};

/// The types of the conditions.
///
/// `Reconciling` and `Stalled` are abnormal-true, as kstatus reads them: there while they hold,
/// absent otherwise, never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum ConditionType {
    /// The object is what its spec asks for.
    Ready,
    /// The operator works on it, or waits for something that is not there yet.
    Reconciling,
    /// Something is there and wrong; it heals when that changes.
    Stalled,
    /// The export ended well.
    Complete,
    /// The export ended otherwise.
    Failed,
    /// Whether the Catalog shows the exported batches as readable.
    DataAvailable,
    /// The export is not submitted because its spec says so; false where the spec says so and it
    /// goes on all the same.
    Suspended,
    /// Whether the object is deleted when its time to live is over; there only if it is not.
    Expires,
    /// Exports use it.
    InUse,
    /// The dataset differs from the spec.
    Drifted,
}

/// Why a condition holds: condition reason, event reason and metric label at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, EnumString, IntoStaticStr)]
pub enum Reason {
    // A connection's credential.
    /// Credential and sandbox were checked and work.
    Verified,
    /// The Secret is not there (yet).
    SecretNotFound,
    /// The operator may not read the Secret, or could not.
    SecretUnreadable,
    /// The Secret lacks a key, or its value is empty or not text.
    SecretKeyInvalid,
    /// The identity service does not know the client id or secret.
    InvalidClient,
    /// The identity service or the gateway refuses the credential.
    CredentialRejected,
    /// The credential lacks a permission.
    AccessDenied,
    /// A host is not on the operator's allow list, or its scheme is not https.
    HostNotAllowed,
    /// The credential sees no such sandbox.
    SandboxNotFound,
    /// The sandbox is being created or reset.
    SandboxNotReady,
    /// The sandbox is deleted or failed.
    SandboxUnusable,
    /// The object is deleted and waits for those that use it.
    WaitingForUsers,
    /// Exports use it.
    InUse,
    /// Its namespace or it is being deleted: nothing new begins with it.
    BeingDeleted,
    // Waiting for others.
    /// The connection is not there (yet).
    ConnectionNotFound,
    /// The connection is not ready yet.
    ConnectionNotReady,
    /// The connection is there and wrong.
    ConnectionStalled,
    /// The `ProfileDataset` is not there (yet).
    DatasetNotFound,
    /// The `ProfileDataset` is not ready yet.
    DatasetNotReady,
    /// The `ProfileDataset` is there and wrong.
    DatasetStalled,
    /// What the object names is there, and of another shard.
    OtherShard,
    /// The connection of the cluster does not select this namespace.
    NamespaceNotAllowed,
    /// The operator serves single namespaces, and sees no connections of the cluster.
    ClusterConnectionsNotServed,
    // A dataset.
    /// The dataset is there and matches.
    Available,
    /// The dataset is being created.
    Creating,
    /// The Catalog made more than one dataset of one request; the others are left as they are.
    SurplusDataset,
    /// The Catalog has no dataset with this id.
    DatasetMissing,
    /// The dataset is not on the union schema that profile exports need.
    NotOnUnionSchema,
    /// The dataset's schema is of another version than the spec asks for.
    SchemaDiffers,
    /// The dataset belongs to an object of another cluster.
    OwnedByAnotherCluster,
    /// The dataset belongs to another object of this cluster.
    OwnedByAnother,
    /// The dataset carries no tag that says whose it is.
    OwnerTagMissing,
    /// The dataset of another cluster was taken over.
    TakenOver,
    /// The dataset differs from the spec, which is only reported.
    Drifted,
    /// The dataset differs from the spec and is being mended.
    Mending,
    /// The dataset differed from the spec and was mended.
    Mended,
    /// The dataset was deleted with its object.
    DatasetDeleted,
    /// The object was deleted, and its dataset left as it is all the same.
    DatasetKept,
    /// The dataset could not be deleted in time; the object was let go.
    DeletionTimedOut,
    // A submission.
    /// The intent is on record and the request is under way.
    Submitting,
    /// The request may or may not have been taken; the platform's list is read until that is clear.
    SubmissionInDoubt,
    /// The platform's list does not tell which job is the submission's, if one is: a person must.
    SubmissionAmbiguous,
    /// Another export into the same dataset is being submitted.
    WaitingForSubmission,
    /// As many exports run as the connection's budget allows at a time.
    WaitingForSlot,
    /// The calls that the connection's budget allows in this minute are used up.
    WaitingForBudget,
    /// The object was restored from a backup without its status, and may have been submitted.
    RestoredWithoutStatus,
    /// Not submitted while its spec says `suspend`.
    Suspended,
    /// The request did not leave the operator; it is tried again.
    NotSent,
    /// The gateway refused the request; it is tried again.
    Refused,
    /// The platform rejected the request.
    Rejected,
    // An export's life.
    /// The platform has the job.
    Running,
    /// The platform's status is one that no document names.
    UnknownStatus,
    /// The platform does not show the job at the moment.
    JobNotFound,
    /// The job succeeded and its batch is not readable yet.
    WaitingForBatch,
    /// The attempt failed; the next one waits for its time.
    RetryScheduled,
    /// The export succeeded.
    Succeeded,
    /// The export succeeded, and the platform reports errors with it.
    SucceededWithErrors,
    /// The platform says that the export failed.
    ExportFailed,
    /// The job was cancelled in the platform, not by this object.
    CancelledInPlatform,
    /// The job is being cancelled.
    Cancelling,
    /// The job ended after it was asked to, or was gone.
    Cancelled,
    /// The job did not end in time after it was cancelled; the object was let go.
    CancelTimedOut,
    /// It was submitted before its spec said `suspend`.
    AlreadySubmitted,
    /// It is not deleted after its time to live: what manages it would create it again.
    TTLIgnoredManaged,
    /// The object was deleted and its job left to run, as its policy says.
    Orphaned,
    /// A person had the object let go.
    Abandoned,
    /// An annotation or flag has a value that means nothing.
    InvalidPolicy,
    /// The export took longer than its spec allows, and was cancelled.
    DeadlineExceeded,
    /// The platform made more than one job of one request; the surplus is cancelled.
    SurplusJob,
    /// A job carries a request id of this object that nothing here explains.
    IdentityInUse,
    /// The object was deleted while its submission was in doubt.
    DeletedInDoubt,
    // Whether the data can be read.
    /// Every batch is readable.
    BatchesReadable,
    /// A batch ended without becoming readable.
    BatchUnreadable,
    /// The Catalog did not show the batches as readable in time.
    BatchNotSeen,
    /// The platform named no batch.
    NoBatch,
    // The platform, for the moment.
    /// The platform cannot be reached or answers with errors; it is tried again.
    PlatformUnavailable,
    /// The platform asks to slow down; it is tried again later.
    PlatformThrottled,
    /// An answer of the platform that no document allows.
    PlatformError,
    // The object itself.
    /// The object's status is not of this object.
    ForeignStatus,
    /// The object cannot be read in this version of the API.
    InvalidObject,
}

/// The longest message that goes into a condition, in bytes.
pub const MESSAGE_LIMIT: usize = 1024;

/// A condition to be set: what holds, why, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Which condition.
    pub type_: ConditionType,
    /// `True`, `False` or `Unknown`.
    pub status: Tristate,
    /// Why.
    pub reason: Reason,
    /// A sentence for a person.
    pub message: String,
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum Tristate {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be said.
    Unknown,
}

impl ConditionType {
    /// The word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Reason {
    /// The reason that this word of the API names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }

    /// The word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The conditions that shall hold from now on. A transition time is kept while the status of its
/// condition stays the same.
#[must_use]
pub fn merge(
    previous: &[Condition],
    desired: Vec<Desired>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    desired
        .into_iter()
        .map(
            |Desired {
                 type_,
                 status,
                 reason,
                 message,
             }| {
                let status: &'static str = status.into();
                let since = previous
                    .iter()
                    .find(|c| c.type_ == type_.as_str() && c.status == status)
                    .map_or_else(
                        || Time(whole_second(now)),
                        |c| c.last_transition_time.clone(),
                    );
                Condition {
                    type_: type_.as_str().to_owned(),
                    status: status.to_owned(),
                    reason: reason.as_str().to_owned(),
                    message: cut(&message, MESSAGE_LIMIT).to_owned(),
                    observed_generation: generation,
                    last_transition_time: since,
                }
            },
        )
        .collect()
}

/// The condition of this type, if it is there.
#[must_use]
pub fn find(conditions: &[Condition], type_: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == type_.as_str())
}

/// Whether the condition of this type is there and true.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: ConditionType) -> bool {
    find(conditions, type_).is_some_and(|c| c.status == "True")
}

/// The text, cut to at most `limit` bytes on a character's boundary.
#[must_use]
pub fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// The time without its fraction: the API server keeps whole seconds, and a status that differs
/// only in a fraction would be written for nothing.
#[must_use]
pub fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(status: Tristate) -> Vec<Desired> {
        vec![Desired {
            type_: ConditionType::Ready,
            status,
            reason: Reason::Verified,
            message: "x".into(),
        }]
    }

    #[test]
    fn a_transition_time_moves_only_with_the_status() {
        let [t1, t2] = [100, 200].map(|s| Timestamp::from_second(s).unwrap());
        let first = merge(&[], ready(Tristate::False), Some(1), t1);
        let same = merge(&first, ready(Tristate::False), Some(2), t2);
        assert_eq!(same[0].last_transition_time, Time(t1));
        assert_eq!(same[0].observed_generation, Some(2));
        let moved = merge(&same, ready(Tristate::True), Some(2), t2);
        assert_eq!(moved[0].last_transition_time, Time(t2));
    }

    #[test]
    fn a_text_is_cut_on_a_character_boundary() {
        assert_eq!(cut("äöü", 3), "ä");
        assert_eq!(cut("abc", 10), "abc");
    }
}
