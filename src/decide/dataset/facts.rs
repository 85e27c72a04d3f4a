//! What a decision about a dataset rests on.

use jiff::Timestamp;

use super::super::{Cause, Finalizer, Life, Need, Windows, export::Pause, request::Owner};
use crate::{
    api::{
        AdoptionPolicy, DatasetDeletionPolicy, DatasetSubmission, DatasetTemplate,
        ManagementPolicy, Target,
    },
    decide::connection::Failure,
    platform::{Dataset, DatasetId, JobId},
};

/// What is known of a `ProfileDataset`.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The platform's time.
    pub now: Timestamp,
    /// Whether the object is there to stay.
    pub life: Life,
    /// Whether our finalizer is on it.
    pub finalizer: Finalizer,
    /// Whether a person had it let go.
    pub word: Word,
    /// Until when its deletion may take; none: as long as it takes.
    pub deadline: Option<Timestamp>,
    /// What its spec asks for.
    pub wanted: Wanted,
    /// What its status has on record.
    pub record: Record,
    /// The connection; of an object that is being deleted, one that may serve no other purpose.
    pub connection: Need<Target>,
    /// The exports that run into it, or are about to, by name.
    pub users: Vec<String>,
    /// What was looked up in this pass, or shortly before it.
    pub lookup: Lookup,
    /// Whether other datasets of the same request were looked for.
    pub search: Search,
    /// What became of the change that this pass asked the Catalog for.
    pub effort: Effort,
    /// What the platform's list of jobs says of the dataset.
    pub jobs: Jobs,
    /// What the Catalog said of the request of the try on record, in this pass.
    pub rejected: Option<Cause>,
    /// The nonce that this pass wrote into the intent, if it did.
    pub held: Option<String>,
    /// A nonce to use for a new intent.
    pub nonce: String,
    /// Nothing may be asked of the Catalog before a time, after what was not taken or had no
    /// effect.
    pub pause: Option<Pause>,
    /// The times of the protocol.
    pub windows: Windows,
}

/// Whether a person had an object let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nobody said so.
    None,
    /// Somebody did, of this very object.
    Abandon,
}

/// What the spec asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// A dataset of our own.
    Owned(Box<Own>),
    /// A dataset that is there.
    Read(DatasetId),
}

/// A dataset of our own, as the spec asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Own {
    /// The dataset.
    pub template: DatasetTemplate,
    /// The object's identity.
    pub owner: Owner,
    /// What becomes of differences.
    pub management: ManagementPolicy,
    /// What becomes of it when the object is deleted.
    pub deletion: DatasetDeletionPolicy,
    /// What else may be taken up.
    pub adoption: Option<AdoptionPolicy>,
}

/// What the status has on record of a dataset of our own.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// Nothing, or a submission that was not taken.
    Fresh,
    /// A submission whose outcome is not known.
    Open(DatasetSubmission),
    /// A submission that the platform rejected.
    Rejected(DatasetSubmission),
    /// The dataset.
    Known(DatasetId, Origin),
}

/// Where a dataset on record came from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// This object asked for it.
    Submitted(DatasetSubmission),
    /// It was there, in this tenant.
    TakenUp(Target),
    /// It was there; where is not on record.
    Unrecorded,
}

/// Whether other datasets of the same request were looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Not in the life of this process.
    Due,
    /// They were.
    Done,
}

/// What was looked up.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// Nothing yet.
    NotYet,
    /// The dataset with the id.
    ById(Option<Dataset>),
    /// The datasets that carry our identity tag, by a query that began then.
    ByTag {
        /// When the query began, by the platform's clock.
        began: Timestamp,
        /// The datasets.
        hits: Vec<Dataset>,
        /// Those that an object of our namespace and name made, in whatever cluster.
        namesakes: Namesakes,
    },
    /// The look-up failed.
    Failed(Failure),
}

/// The datasets of objects of our namespace and name, in whatever cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Namesakes {
    /// They were not asked for.
    NotAsked,
    /// These.
    Found(Vec<Dataset>),
}

/// What became of a change that this pass asked the Catalog for.
#[derive(Clone, Debug, PartialEq)]
pub enum Effort {
    /// None was asked for.
    None,
    /// It was answered well; the look-up is newer than that.
    Answered,
    /// It failed.
    Failed(Failure),
}

/// What the platform's list of jobs says of the jobs into a dataset.
#[derive(Clone, Debug, PartialEq)]
pub enum Jobs {
    /// It was not read.
    NotAsked,
    /// None runs.
    None,
    /// These run, or may.
    Running(Vec<JobId>),
    /// It does not tell.
    Unsure(Cause),
    /// It could not be read.
    Failed(Failure),
}
