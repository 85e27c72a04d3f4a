//! What to do about a dataset: read it, create it once, take up one that is already ours, keep it
//! as its object says, and delete it if its object says so.

mod create;
mod drift;
mod facts;
mod leave;
mod ownership;
mod plan;
#[cfg(test)]
mod tests;

use super::{Cause, Life, Need, connection::Failure};
use crate::{
    api::{Reason, SubmissionOutcome, Target},
    platform::{Consequence, Dataset, DatasetId, UNION_SCHEMA},
};

pub use drift::{Difference, Field, names, take_over};
pub use facts::{
    Effort, Facts, Jobs, Lookup, Namesakes, Origin, Own, Record, Search, Wanted, Word,
};
pub use ownership::{Ownership, owner_of, ownership};
pub use plan::{Farewell, Plan, Situation, Users};

/// What to do about a dataset.
#[must_use]
pub fn decide(facts: &Facts) -> Plan {
    match facts.life {
        Life::Deleting => return leave::leave(facts),
        Life::Live => {}
    }
    if let Some(plan) = leave::hold(facts) {
        return plan;
    }
    let target = match &facts.connection {
        Need::Waiting(cause) => return Plan::Rest(Situation::Waiting(cause.clone())),
        Need::Wrong(cause) => return Plan::Rest(Situation::Wrong(cause.clone())),
        Need::Met(target) => target,
    };
    let own = match &facts.wanted {
        Wanted::Owned(own) => own,
        Wanted::Read(id) => return only_read(facts, id),
    };
    match home(&facts.record) {
        Some(home) if !home.is_same_tenant(target) => {
            return Plan::Rest(Situation::Waiting(elsewhere(home)));
        }
        Some(_) | None => {}
    }
    if let Lookup::Failed(failure) = &facts.lookup {
        return Plan::Rest(situation(trouble(failure)));
    }
    match &facts.record {
        Record::Known(id, origin) => {
            search(facts, id, origin).unwrap_or_else(|| known(facts, own, id))
        }
        Record::Fresh => create::create(facts, own, target),
        Record::Open(submission) => create::open(facts, own, submission),
        Record::Rejected(_) => Plan::Rest(Situation::Wrong(Cause::new(
            Reason::Rejected,
            "the Catalog rejected the dataset; its answer is in this object's events. Create \
             another ProfileDataset with what it asks for",
        ))),
    }
}

/// Where what is on record is: a connection of the same name that goes elsewhere by now can tell
/// nothing of it.
fn home(record: &Record) -> Option<&Target> {
    match record {
        Record::Open(submission)
        | Record::Rejected(submission)
        | Record::Known(_, Origin::Submitted(submission)) => Some(&submission.target),
        Record::Known(_, Origin::TakenUp(target)) => Some(target),
        Record::Known(_, Origin::Unrecorded) | Record::Fresh => None,
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
fn search(facts: &Facts, id: &DatasetId, origin: &Origin) -> Option<Plan> {
    let submission = match origin {
        Origin::Submitted(submission) if facts.now > submission.settle_after => submission,
        Origin::Submitted(_) | Origin::TakenUp(_) | Origin::Unrecorded => return None,
    };
    match (facts.search, submission.outcome, &facts.lookup) {
        (Search::Due, Some(SubmissionOutcome::Posted), Lookup::NotYet) => Some(Plan::FindByTag),
        (
            Search::Due,
            Some(SubmissionOutcome::Posted),
            Lookup::ByTag {
                began: _,
                hits,
                namesakes: _,
            },
        ) => {
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

/// A dataset that is there, and whose it is does not matter: nothing is written to it.
fn only_read(facts: &Facts, id: &DatasetId) -> Plan {
    match &facts.lookup {
        Lookup::ById(Some(found)) => Plan::Rest(match judge(found) {
            Ok(()) => Situation::Available(found.clone(), Vec::new()),
            Err(cause) => Situation::Unsuitable(found.clone(), cause),
        }),
        Lookup::ById(None) => Plan::Rest(Situation::Wrong(Cause::new(
            Reason::DatasetMissing,
            format!(
                "the Catalog has no dataset {id} in this organisation and sandbox: create another \
                 ProfileDataset with the id of one that it has"
            ),
        ))),
        Lookup::Failed(failure) => Plan::Rest(situation(trouble(failure))),
        Lookup::NotYet | Lookup::ByTag { .. } => Plan::Read(id.clone()),
    }
}

/// A dataset on record. It is written only if its own tags say that it is ours, whatever the
/// record says.
fn known(facts: &Facts, own: &Own, id: &DatasetId) -> Plan {
    let found = match &facts.lookup {
        Lookup::ById(Some(found)) => found,
        Lookup::ById(None) => {
            let (namespace, name) = own.owner.object.split_once('/').unwrap_or_default();
            return Plan::Rest(Situation::Wrong(Cause::new(
                Reason::DatasetMissing,
                format!(
                    "the Catalog has no dataset {id} any more in this organisation and sandbox. It \
                     is not made again by itself; to have another one made, delete this object \
                     (kubectl delete profiledataset -n {namespace} {name}) and create it again"
                ),
            )));
        }
        Lookup::NotYet | Lookup::ByTag { .. } | Lookup::Failed(_) => {
            return Plan::Read(id.clone());
        }
    };
    let another = |reason, owner: String| {
        Cause::new(
            reason,
            format!(
                "dataset {id} belongs to {owner} (cluster/namespace/name) by now, as its tag says; \
                 nothing is written to it here. To take it from another cluster, delete this \
                 object and create it again with adoptionPolicy: Always"
            ),
        )
    };
    let foreign = match ownership(found, &own.owner) {
        Ownership::Ours => {
            return match drift::schema(&own.template, found) {
                Ok(()) => drift::keep(facts, own, found),
                Err(cause) => Plan::Rest(Situation::Unsuitable(found.clone(), cause)),
            };
        }
        Ownership::Namesake(owner) | Ownership::OtherCluster(owner) => {
            another(Reason::OwnedByAnotherCluster, owner)
        }
        Ownership::ThisCluster(owner) => another(Reason::OwnedByAnother, owner),
        Ownership::Nobody => drift::untagged(own, found),
    };
    Plan::Rest(Situation::Foreign(found.clone(), foreign))
}

/// Whether profile exports can write to a dataset.
///
/// # Errors
///
/// Why they cannot.
pub fn judge(dataset: &Dataset) -> Result<(), Cause> {
    match dataset.schema_id.as_deref() {
        Some(UNION_SCHEMA) => Ok(()),
        other => Err(Cause::new(
            Reason::NotOnUnionSchema,
            format!(
                "dataset {} is on {}; a profile export writes only to a dataset on \
                 {UNION_SCHEMA}: name such a dataset, or let a ProfileDataset create one",
                dataset.id,
                other.unwrap_or("no schema that the Catalog shows"),
            ),
        )),
    }
}

/// What a failed call means for the object.
fn trouble(failure: &Failure) -> Cause {
    let Failure {
        consequence,
        message,
    } = failure;
    let reason = match consequence {
        Consequence::Throttled { retry_after: _ } => Reason::PlatformThrottled,
        Consequence::Forbidden => Reason::AccessDenied,
        Consequence::Unauthenticated | Consequence::CredentialRejected(_) => {
            Reason::ConnectionNotReady
        }
        Consequence::NotFound | Consequence::Rejected | Consequence::Redirected => {
            Reason::PlatformError
        }
        Consequence::Retry
        | Consequence::NotSent
        | Consequence::InDoubt
        | Consequence::Refused(_)
        | Consequence::Misconfigured { setting: _ } => Reason::PlatformUnavailable,
    };
    Cause::new(reason, message)
}

/// Whether what is in the way passes by itself.
#[must_use]
pub fn passes(reason: Reason) -> bool {
    !matches!(reason, Reason::AccessDenied | Reason::PlatformError)
}

fn situation(cause: Cause) -> Situation {
    if passes(cause.reason) {
        Situation::Waiting(cause)
    } else {
        Situation::Wrong(cause)
    }
}
