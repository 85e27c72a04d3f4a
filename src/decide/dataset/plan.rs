//! What a decision about a dataset comes to.

use jiff::Timestamp;
use serde_json::Value;

use super::{super::Cause, drift::Difference};
use crate::{
    api::DatasetSubmission,
    platform::{Dataset, DatasetId, JobId},
};

/// What to do next, and how things stand meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// Put our finalizer on.
    Hold,
    /// Take our finalizer off; the object stays.
    LetGo,
    /// Get the dataset with this id.
    Read(DatasetId),
    /// Ask for the datasets with our identity tag.
    FindByTag,
    /// Ask for the datasets of objects of our namespace and name, in whatever cluster.
    FindNamesakes,
    /// Record the intent to create.
    Intend(DatasetSubmission),
    /// Send the request of the intent on record.
    Post(DatasetSubmission, Value),
    /// Record that this dataset is ours; others that carry the same tag are named.
    Adopt(Dataset, Vec<DatasetId>),
    /// Write our tags over those of this owner, and look again.
    TakeOver(Dataset, String),
    /// Record that the submission was not taken.
    Settle(DatasetSubmission),
    /// Record that the Catalog rejected the submission.
    Reject(DatasetSubmission, Cause),
    /// Tell of other datasets that the Catalog made of the same request, if there are any.
    Tell(DatasetId, Vec<DatasetId>),
    /// Set what differs, and look again.
    Mend(Dataset, Vec<Difference>),
    /// Read the platform's list of jobs, back to this time.
    ListJobs(DatasetId, Timestamp),
    /// Delete the dataset and its data, and look again.
    Delete(DatasetId),
    /// Take our finalizer off an object that is being deleted, with these last words.
    Release(Farewell),
    /// Nothing: say so.
    Rest(Situation),
}

/// How a dataset stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Situation {
    /// It is there and can be exported into. What differs is only reported.
    Available(Dataset, Vec<Difference>),
    /// It is there and differs from the spec; why it is not mended yet.
    Mending(Dataset, Vec<Difference>, Cause),
    /// It is there and profile exports cannot write to it as the spec has it.
    Unsuitable(Dataset, Cause),
    /// It is there and not ours.
    Foreign(Dataset, Cause),
    /// Something is not there yet, or passing.
    Waiting(Cause),
    /// Something is there and wrong.
    Wrong(Cause),
    /// The request may or may not have been taken; looked again after this time.
    InDoubt(Timestamp),
    /// The object is being deleted, and these use the dataset.
    Held(Users),
    /// The object is being deleted, and the dataset is not gone yet: why.
    Removing(Cause),
    /// The object is being deleted, and nothing holds it.
    Leaving,
}

/// Who uses a dataset whose object is being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Users {
    /// These exports, by name.
    Exports(Vec<String>),
    /// These jobs of the platform, of which no export here knows.
    Jobs(Vec<JobId>),
}

/// The last words on an object that is let go.
#[derive(Clone, Debug, PartialEq)]
pub enum Farewell {
    /// There was nothing to do.
    Quiet,
    /// The dataset is deleted, or was gone already.
    Deleted(DatasetId),
    /// The dataset is left as it is although the spec says otherwise: why.
    Kept(Cause),
    /// It is not known, or not true, that nothing is left: what may be, and why.
    Left(String, Cause),
}
