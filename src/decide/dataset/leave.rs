//! An object that is being deleted: whether its dataset goes with it, and what that waits for.

use jiff::Timestamp;

use super::{
    super::{Cause, Finalizer, Life, Need},
    create,
    facts::{Effort, Facts, Jobs, Lookup, Origin, Own, Record, Wanted, Word},
    home,
    ownership::{Ownership, ownership},
    plan::{Farewell, Plan, Situation, Users},
    trouble,
};
use crate::{
    api::{
        ABANDON_ANNOTATION, DatasetDeletionPolicy, DatasetSubmission, ManagementPolicy, OWNER_TAG,
        Reason,
    },
    platform::{Dataset, DatasetId},
};

/// Puts the finalizer on and takes it off, as it is needed while the object is there to stay.
pub(super) fn hold(facts: &Facts) -> Option<Plan> {
    let needed = !facts.users.is_empty() || is_due(facts);
    // It is on before the intent is recorded.
    let may_stay = needed || deletes(&facts.wanted).is_some();
    match (facts.life, facts.finalizer) {
        (Life::Live, Finalizer::Absent) => needed.then_some(Plan::Hold),
        (Life::Live, Finalizer::Present) => (!may_stay).then_some(Plan::LetGo),
        (Life::Deleting, Finalizer::Absent | Finalizer::Present) => None,
    }
}

/// The dataset, if it is to be deleted with its object.
fn deletes(wanted: &Wanted) -> Option<&Own> {
    match wanted {
        Wanted::Owned(own) => match own.deletion {
            DatasetDeletionPolicy::Delete => Some(own),
            DatasetDeletionPolicy::Retain => None,
        },
        Wanted::Read(_) => None,
    }
}

/// Whether there is, or may be, a dataset that is to be deleted with the object.
fn is_due(facts: &Facts) -> bool {
    let made = match facts.record {
        Record::Fresh | Record::Rejected(_) => false,
        Record::Open(_) | Record::Known(_, _) => true,
    };
    made && deletes(&facts.wanted).is_some()
}

/// What is left to do for an object that is being deleted.
pub(super) fn leave(facts: &Facts) -> Plan {
    match facts.finalizer {
        Finalizer::Absent => return Plan::Rest(Situation::Leaving),
        Finalizer::Present => {}
    }
    match facts.word {
        Word::Abandon => {
            let left = left(facts);
            let message = format!(
                "let go by the annotation {ABANDON_ANNOTATION}; left as it is in the platform: \
                 {left}"
            );
            return Plan::Release(Farewell::Left(left, Cause::new(Reason::Abandoned, message)));
        }
        Word::None => {}
    }
    if !facts.users.is_empty() {
        return Plan::Rest(Situation::Held(Users::Exports(facts.users.clone())));
    }
    let Some(own) = deletes(&facts.wanted) else {
        return Plan::Release(Farewell::Quiet);
    };
    let known = match &facts.record {
        Record::Fresh | Record::Rejected(_) => return Plan::Release(Farewell::Quiet),
        Record::Open(_) => None,
        Record::Known(id, _) => Some(id),
    };
    match (own.management, known) {
        (ManagementPolicy::Observe, Some(id)) => {
            return Plan::Release(Farewell::Kept(Cause::new(
                Reason::DatasetKept,
                format!("dataset {id} is not deleted: managementPolicy says Observe"),
            )));
        }
        (ManagementPolicy::Observe, None) | (ManagementPolicy::Manage, Some(_) | None) => {}
    }
    match served(facts) {
        Ok(()) => {}
        Err(cause) => return stuck(facts, cause),
    }
    match &facts.record {
        Record::Open(submission) => doubtful(facts, own, submission),
        Record::Known(id, origin) => remove(facts, own, id, origin),
        Record::Fresh | Record::Rejected(_) => Plan::Release(Farewell::Quiet),
    }
}

/// Whether somebody can talk to where the dataset is, and did.
fn served(facts: &Facts) -> Result<(), Cause> {
    let target = match &facts.connection {
        Need::Met(target) => target,
        Need::Waiting(cause) | Need::Wrong(cause) => return Err(cause.clone()),
    };
    match home(&facts.record) {
        Some(home) if !home.is_same_tenant(target) => return Err(super::elsewhere(home)),
        Some(_) | None => {}
    }
    match &facts.lookup {
        Lookup::Failed(failure) => Err(trouble(failure)),
        Lookup::NotYet | Lookup::ById(_) | Lookup::ByTag { .. } => Ok(()),
    }
}

/// A creation that may still come is waited for: what came after its object would be nobody's.
fn doubtful(facts: &Facts, own: &Own, submission: &DatasetSubmission) -> Plan {
    match create::settle(facts, own, submission) {
        Some(plan) => plan,
        None if overdue(facts) => timed_out(facts),
        None => Plan::Rest(Situation::InDoubt(submission.settle_after)),
    }
}

fn remove(facts: &Facts, own: &Own, id: &DatasetId, origin: &Origin) -> Plan {
    let found = match &facts.lookup {
        Lookup::ById(Some(found)) => found,
        Lookup::ById(None) => return Plan::Release(Farewell::Deleted(id.clone())),
        Lookup::NotYet | Lookup::ByTag { .. } | Lookup::Failed(_) => {
            return Plan::Read(id.clone());
        }
    };
    let owner = match ownership(found, &own.owner) {
        Ownership::Ours => None,
        Ownership::Namesake(owner)
        | Ownership::OtherCluster(owner)
        | Ownership::ThisCluster(owner) => Some(format!("it belongs to {owner}")),
        Ownership::Nobody => Some("it does not say whose it is".to_owned()),
    };
    if let Some(why) = owner {
        let message = format!("dataset {id} is not deleted: {why}, by its tag {OWNER_TAG}");
        return Plan::Release(Farewell::Kept(Cause::new(Reason::DatasetKept, message)));
    }
    match &facts.effort {
        Effort::None => {}
        Effort::Answered => {
            let message = format!("the Catalog was asked to delete dataset {id}, and still has it");
            return stuck(facts, Cause::new(Reason::BeingDeleted, message));
        }
        Effort::Failed(failure) => return stuck(facts, trouble(failure)),
    }
    match &facts.pause {
        Some(pause) if pause.until > facts.now => return stuck(facts, pause.cause.clone()),
        Some(_) | None => {}
    }
    match &facts.jobs {
        Jobs::NotAsked => Plan::ListJobs(id.clone(), since(found, origin)),
        Jobs::None => Plan::Delete(id.clone()),
        Jobs::Running(_) if overdue(facts) => timed_out(facts),
        Jobs::Running(jobs) => Plan::Rest(Situation::Held(Users::Jobs(jobs.clone()))),
        Jobs::Unsure(cause) => stuck(facts, cause.clone()),
        Jobs::Failed(failure) => stuck(facts, trouble(failure)),
    }
}

/// No job into a dataset is older than it.
fn since(found: &Dataset, origin: &Origin) -> Timestamp {
    let asked = match origin {
        Origin::Submitted(submission) => Some(submission.intent_time),
        Origin::TakenUp(_) | Origin::Unrecorded => None,
    };
    found.created.or(asked).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// It goes on trying; but a namespace that is being deleted does not wait for ever.
fn stuck(facts: &Facts, cause: Cause) -> Plan {
    if overdue(facts) {
        return timed_out(facts);
    }
    Plan::Rest(Situation::Removing(cause))
}

fn overdue(facts: &Facts) -> bool {
    facts.deadline.is_some_and(|deadline| facts.now >= deadline)
}

fn timed_out(facts: &Facts) -> Plan {
    let left = left(facts);
    let message = format!(
        "not deleted in time, and the namespace is being deleted; left in the platform: {left}"
    );
    let cause = Cause::new(Reason::DeletionTimedOut, message);
    Plan::Release(Farewell::Left(left, cause))
}

/// What may be left in the platform.
fn left(facts: &Facts) -> String {
    match (&facts.record, &facts.wanted) {
        (Record::Known(id, _), _) | (_, Wanted::Read(id)) => id.to_string(),
        (Record::Open(_), Wanted::Owned(own)) => {
            format!("what has the tag {OWNER_TAG}: {}", own.owner.path)
        }
        (Record::Fresh | Record::Rejected(_), Wanted::Owned(_)) => "nothing".to_owned(),
    }
}
