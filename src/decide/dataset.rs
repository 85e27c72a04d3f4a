//! What to do about a dataset: read it, create it once, or take up one that is already ours.

use jiff::Timestamp;
use serde_json::Value;

use super::{Cause, Life, Need, Windows, intent_times};
use crate::{
    api::{DatasetSubmission, Reason, SubmissionEvidence, SubmissionOutcome, Target},
    decide::connection::Failure,
    platform::{Consequence, Dataset, DatasetId, UNION_SCHEMA},
};

/// What is known of a `ProfileDataset`.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The platform's time.
    pub now: Timestamp,
    /// Whether the object is there to stay.
    pub life: Life,
    /// What its spec asks for.
    pub wanted: Wanted,
    /// What its status has on record.
    pub record: Record,
    /// The connection.
    pub connection: Need<Target>,
    /// What was looked up in this pass.
    pub lookup: Lookup,
    /// Whether other datasets of the same request were looked for.
    pub search: Search,
    /// What the Catalog said of the request of the try on record, in this pass.
    pub rejected: Option<Cause>,
    /// The nonce that this pass wrote into the intent, if it did.
    pub held: Option<String>,
    /// A nonce to use for a new intent.
    pub nonce: String,
    /// No request may create before this time, after one that was not taken.
    pub not_before: Option<Timestamp>,
    /// The times of the protocol.
    pub windows: Windows,
}

/// What the spec asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// A dataset of our own, with this request.
    Owned {
        /// The body of the request.
        body: Value,
    },
    /// A dataset that is there.
    Read(DatasetId),
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
    /// The dataset, and its submission, if this object made it.
    Known(DatasetId, Option<DatasetSubmission>),
}

/// Whether other datasets of the same request were looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Not in the life of this process.
    Due,
    /// They were.
    Done,
}

/// What was looked up in this pass.
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
    },
    /// The look-up failed.
    Failed(Failure),
}

/// What to do next, and how things stand meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// Get the dataset with this id.
    Read(DatasetId),
    /// Ask for the datasets with our identity tag.
    FindByTag,
    /// Record the intent to create.
    Intend(DatasetSubmission),
    /// Send the request of the intent on record.
    Post(DatasetSubmission, Value),
    /// Record that this dataset is ours; others that carry the same tag are named.
    Adopt(Dataset, Vec<DatasetId>),
    /// Record that the submission was not taken.
    Settle(DatasetSubmission),
    /// Record that the Catalog rejected the submission.
    Reject(DatasetSubmission, Cause),
    /// Tell of other datasets that the Catalog made of the same request, if there are any.
    Tell(DatasetId, Vec<DatasetId>),
    /// Nothing: say so.
    Rest(Situation),
}

/// How a dataset stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Situation {
    /// It is there and can be exported into.
    Available(Dataset),
    /// It is there and profile exports cannot write to it.
    Unsuitable(Dataset, Cause),
    /// Something is not there yet, or passing.
    Waiting(Cause),
    /// Something is there and wrong.
    Wrong(Cause),
    /// The request may or may not have been taken; looked again after this time.
    InDoubt(Timestamp),
    /// The object is being deleted; the dataset stays.
    Leaving,
}

/// What to do about a dataset.
#[must_use]
pub fn decide(facts: &Facts) -> Plan {
    let Facts {
        now: _,
        life,
        wanted,
        record,
        connection,
        lookup,
        search: _,
        rejected: _,
        held: _,
        nonce: _,
        not_before: _,
        windows: _,
    } = facts;
    if *life == Life::Deleting {
        return Plan::Rest(Situation::Leaving);
    }
    let target = match connection {
        Need::Waiting(cause) => return Plan::Rest(Situation::Waiting(cause.clone())),
        Need::Wrong(cause) => return Plan::Rest(Situation::Wrong(cause.clone())),
        Need::Met(target) => target,
    };
    if let Some(made) = made_at(wanted, record)
        && made != target
    {
        return Plan::Rest(Situation::Waiting(elsewhere(made)));
    }
    if let Lookup::Failed(failure) = lookup {
        return Plan::Rest(lookup_failed(failure));
    }
    match (wanted, record) {
        (Wanted::Read(id), _) => read(facts, id),
        (Wanted::Owned { body: _ }, Record::Known(id, submission)) => {
            search(facts, id, submission.as_ref()).unwrap_or_else(|| read(facts, id))
        }
        (Wanted::Owned { body: _ }, Record::Fresh) => create(facts, target),
        (Wanted::Owned { body }, Record::Open(submission)) => {
            if facts.held.as_deref() == Some(submission.r#try.as_str()) {
                Plan::Post(submission.clone(), body.clone())
            } else {
                settle(facts, submission)
            }
        }
        (Wanted::Owned { body: _ }, Record::Rejected(_)) => {
            Plan::Rest(Situation::Wrong(Cause::new(
                Reason::Rejected,
                "the Catalog rejected the dataset; its answer is in this object's events. Create \
                 another ProfileDataset with what it asks for",
            )))
        }
    }
}

/// Where the submission on record went: a connection of the same name that goes elsewhere by now
/// can tell nothing of it.
fn made_at<'a>(wanted: &Wanted, record: &'a Record) -> Option<&'a Target> {
    match (wanted, record) {
        (Wanted::Read(_), _) => None,
        (Wanted::Owned { body: _ }, Record::Open(submission) | Record::Rejected(submission)) => {
            Some(&submission.target)
        }
        (Wanted::Owned { body: _ }, Record::Known(_, submission)) => {
            submission.as_ref().map(|submission| &submission.target)
        }
        (Wanted::Owned { body: _ }, Record::Fresh) => None,
    }
}

fn elsewhere(made: &Target) -> Cause {
    let Target {
        platform,
        organization_id,
        sandbox,
        dataset_id: _,
    } = made;
    Cause::new(
        Reason::ConnectionNotFound,
        format!(
            "the connection goes elsewhere by now; the dataset is in sandbox {sandbox} of \
             {organization_id} at {platform}"
        ),
    )
}

/// A gateway that repeated the request made two datasets. Neither is deleted; a person is told.
fn search(facts: &Facts, id: &DatasetId, submission: Option<&DatasetSubmission>) -> Option<Plan> {
    let submission = submission.filter(|submission| facts.now > submission.settle_after)?;
    match (facts.search, submission.outcome, &facts.lookup) {
        (Search::Due, Some(SubmissionOutcome::Posted), Lookup::NotYet) => Some(Plan::FindByTag),
        (Search::Due, Some(SubmissionOutcome::Posted), Lookup::ByTag { began: _, hits }) => {
            let others = hits.iter().filter(|hit| hit.id != *id);
            Some(Plan::Tell(
                id.clone(),
                others.map(|hit| hit.id.clone()).collect(),
            ))
        }
        (
            Search::Due | Search::Done,
            Some(_) | None,
            Lookup::NotYet | Lookup::ById(_) | Lookup::ByTag { .. } | Lookup::Failed(_),
        ) => None,
    }
}

fn read(facts: &Facts, id: &DatasetId) -> Plan {
    match &facts.lookup {
        Lookup::ById(Some(dataset)) => Plan::Rest(judge(dataset)),
        Lookup::ById(None) => Plan::Rest(Situation::Wrong(Cause::new(
            Reason::DatasetMissing,
            format!("the Catalog has no dataset {id} in this organisation and sandbox"),
        ))),
        Lookup::NotYet | Lookup::ByTag { began: _, hits: _ } | Lookup::Failed(_) => {
            Plan::Read(id.clone())
        }
    }
}

/// Whether profile exports can write to a dataset.
#[must_use]
pub fn judge(dataset: &Dataset) -> Situation {
    match dataset.schema_id.as_deref() {
        Some(UNION_SCHEMA) => Situation::Available(dataset.clone()),
        other => Situation::Unsuitable(
            dataset.clone(),
            Cause::new(
                Reason::NotOnUnionSchema,
                format!(
                    "dataset {} is on {}; a profile export writes only to a dataset on \
                     {UNION_SCHEMA}: name such a dataset, or let a ProfileDataset create one",
                    dataset.id,
                    other.unwrap_or("no schema that the Catalog shows"),
                ),
            ),
        ),
    }
}

fn create(facts: &Facts, target: &Target) -> Plan {
    // The look-up comes first, so that a dataset that this object (or one of its name before it)
    // made is taken up and not made again.
    match &facts.lookup {
        Lookup::ByTag { began: _, hits } => adopt(hits).unwrap_or_else(|| intend(facts, target)),
        Lookup::NotYet | Lookup::ById(_) | Lookup::Failed(_) => Plan::FindByTag,
    }
}

fn intend(facts: &Facts, target: &Target) -> Plan {
    if facts.not_before.is_some_and(|time| time > facts.now) {
        return Plan::Rest(Situation::Waiting(Cause::new(
            Reason::PlatformUnavailable,
            "the last request to create the dataset was not taken; it is sent again shortly",
        )));
    }
    let (intent_time, send_before, settle_after) = intent_times(facts.now, facts.windows);
    Plan::Intend(DatasetSubmission {
        r#try: facts.nonce.clone(),
        target: target.clone(),
        intent_time,
        send_before,
        settle_after,
        outcome: None,
        evidence: None,
    })
}

/// A submission in doubt: the tag tells. That there is none counts only once the platform must
/// show what it took.
fn settle(facts: &Facts, submission: &DatasetSubmission) -> Plan {
    match &facts.lookup {
        Lookup::ByTag { began, hits } => adopt(hits).unwrap_or_else(|| {
            let settled = |outcome, evidence| DatasetSubmission {
                outcome: Some(outcome),
                evidence: Some(evidence),
                ..submission.clone()
            };
            if let Some(cause) = &facts.rejected {
                let rejected = settled(SubmissionOutcome::Rejected, SubmissionEvidence::Reply);
                Plan::Reject(rejected, cause.clone())
            } else if *began > submission.settle_after {
                Plan::Settle(settled(
                    SubmissionOutcome::NotTaken,
                    SubmissionEvidence::Tag,
                ))
            } else {
                Plan::Rest(Situation::InDoubt(submission.settle_after))
            }
        }),
        Lookup::NotYet | Lookup::ById(_) | Lookup::Failed(_) => Plan::FindByTag,
    }
}

/// Of several with our tag the oldest, so that every look-up takes the same one.
fn adopt(hits: &[Dataset]) -> Option<Plan> {
    let mut hits: Vec<&Dataset> = hits.iter().collect();
    hits.sort_by_key(|hit| (hit.created, &hit.id));
    let (oldest, others) = hits.split_first()?;
    let others = others.iter().map(|other| other.id.clone()).collect();
    Some(Plan::Adopt((*oldest).clone(), others))
}

fn lookup_failed(failure: &Failure) -> Situation {
    let Failure {
        consequence,
        message,
    } = failure;
    match consequence {
        Consequence::Throttled { retry_after: _ } => {
            Situation::Waiting(Cause::new(Reason::PlatformThrottled, message))
        }
        Consequence::Forbidden => Situation::Wrong(Cause::new(Reason::AccessDenied, message)),
        Consequence::Unauthenticated | Consequence::CredentialRejected(_) => {
            Situation::Waiting(Cause::new(Reason::ConnectionNotReady, message))
        }
        Consequence::NotFound | Consequence::Rejected | Consequence::Redirected => {
            Situation::Wrong(Cause::new(Reason::PlatformError, message))
        }
        Consequence::Retry
        | Consequence::NotSent
        | Consequence::InDoubt
        | Consequence::Refused(_)
        | Consequence::Misconfigured { setting: _ } => {
            Situation::Waiting(Cause::new(Reason::PlatformUnavailable, message))
        }
    }
}

#[cfg(test)]
mod tests;
