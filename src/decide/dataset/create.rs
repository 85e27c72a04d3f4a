//! Making a dataset once, or taking up one that is there.

use super::{
    super::{Cause, Finalizer, intent_times, request},
    facts::{Effort, Facts, Lookup, Namesakes, Own},
    ownership::{Ownership, ownership},
    plan::{Plan, Situation},
    trouble,
};
use crate::{
    api::{
        AdoptionPolicy, DatasetDeletionPolicy, DatasetSubmission, ManagementPolicy, Reason,
        SubmissionEvidence, SubmissionOutcome, Target,
    },
    platform::Dataset,
};

/// The look-up comes first, so that a dataset that this object (or one of its name before it)
/// made is taken up and not made again.
pub(super) fn create(facts: &Facts, own: &Own, target: &Target) -> Plan {
    match &facts.lookup {
        Lookup::ByTag {
            began: _,
            hits,
            namesakes,
        } => adopt(own, hits).unwrap_or_else(|| match namesakes {
            Namesakes::NotAsked => Plan::FindNamesakes,
            Namesakes::Found(all) => adopt(own, all)
                .or_else(|| claimed(facts, own, all))
                .unwrap_or_else(|| intend(facts, own, target)),
        }),
        Lookup::ById(found) => take(facts, own, found.as_ref()),
        Lookup::NotYet | Lookup::Failed(_) => Plan::FindByTag,
    }
}

fn intend(facts: &Facts, own: &Own, target: &Target) -> Plan {
    if facts
        .pause
        .as_ref()
        .is_some_and(|pause| pause.until > facts.now)
    {
        return Plan::Rest(Situation::Waiting(Cause::new(
            Reason::PlatformUnavailable,
            "the last request to create the dataset was not taken; it is sent again shortly",
        )));
    }
    match (own.deletion, facts.finalizer) {
        (DatasetDeletionPolicy::Delete, Finalizer::Absent) => return Plan::Hold,
        (DatasetDeletionPolicy::Delete, Finalizer::Present)
        | (DatasetDeletionPolicy::Retain, Finalizer::Absent | Finalizer::Present) => {}
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

/// The right to send is with the pass that recorded the intent.
pub(super) fn open(facts: &Facts, own: &Own, submission: &DatasetSubmission) -> Plan {
    if facts.held.as_deref() == Some(submission.r#try.as_str()) {
        let body = request::dataset_body(&own.template, &own.owner);
        return Plan::Post(submission.clone(), body);
    }
    settle(facts, own, submission)
        .unwrap_or(Plan::Rest(Situation::InDoubt(submission.settle_after)))
}

/// A submission in doubt: the tag tells. That there is none counts only once the platform must
/// show what it took; until then there is no plan.
pub(super) fn settle(facts: &Facts, own: &Own, submission: &DatasetSubmission) -> Option<Plan> {
    let Lookup::ByTag {
        began,
        hits,
        namesakes: _,
    } = &facts.lookup
    else {
        return Some(Plan::FindByTag);
    };
    let settled = |outcome, evidence| DatasetSubmission {
        outcome: Some(outcome),
        evidence: Some(evidence),
        ..submission.clone()
    };
    if let Some(plan) = adopt(own, hits) {
        Some(plan)
    } else if let Some(cause) = &facts.rejected {
        let rejected = settled(SubmissionOutcome::Rejected, SubmissionEvidence::Reply);
        Some(Plan::Reject(rejected, cause.clone()))
    } else if *began > submission.settle_after {
        let not_taken = settled(SubmissionOutcome::NotTaken, SubmissionEvidence::Tag);
        Some(Plan::Settle(not_taken))
    } else {
        None
    }
}

/// Of several with our tag the oldest, so that every look-up takes the same one.
fn adopt(own: &Own, hits: &[Dataset]) -> Option<Plan> {
    let ours = |hit: &&Dataset| ownership(hit, &own.owner) == Ownership::Ours;
    let mut hits: Vec<&Dataset> = hits.iter().filter(ours).collect();
    hits.sort_by_key(|hit| (hit.created, &hit.id));
    let (oldest, others) = hits.split_first()?;
    let others = others.iter().map(|other| other.id.clone()).collect();
    Some(Plan::Adopt((*oldest).clone(), others))
}

/// Another object's dataset that goes by our name: it is taken over by a person's word only, after
/// a look at it as it is now.
fn claimed(facts: &Facts, own: &Own, all: &[Dataset]) -> Option<Plan> {
    let mut claimed: Vec<(&Dataset, Cause)> = all
        .iter()
        .filter_map(|dataset| Some((dataset, foreign(own, dataset)?)))
        .collect();
    claimed.sort_by_key(|(dataset, _)| (dataset.created, &dataset.id));
    let (dataset, cause) = claimed.into_iter().next()?;
    Some(match may_take(own, dataset) {
        Some(_) => match &facts.pause {
            Some(pause) if pause.until > facts.now => {
                Plan::Rest(Situation::Waiting(pause.cause.clone()))
            }
            Some(_) | None => Plan::Read(dataset.id.clone()),
        },
        None => Plan::Rest(Situation::Wrong(cause)),
    })
}

/// The owner that a dataset may be taken from.
fn may_take(own: &Own, dataset: &Dataset) -> Option<String> {
    match (ownership(dataset, &own.owner), own.adoption, own.management) {
        (Ownership::Namesake(owner), Some(AdoptionPolicy::Always), ManagementPolicy::Manage) => {
            Some(owner)
        }
        (
            Ownership::Ours
            | Ownership::Namesake(_)
            | Ownership::OtherCluster(_)
            | Ownership::ThisCluster(_)
            | Ownership::Nobody,
            Some(AdoptionPolicy::Always) | None,
            ManagementPolicy::Manage | ManagementPolicy::Observe,
        ) => None,
    }
}

/// A dataset of another cluster, as it is now.
fn take(facts: &Facts, own: &Own, found: Option<&Dataset>) -> Plan {
    let Some(found) = found else {
        return Plan::Rest(Situation::Waiting(Cause::new(
            Reason::Creating,
            "the Catalog's list still shows a dataset of this name that is gone; it is looked at \
             again",
        )));
    };
    if ownership(found, &own.owner) == Ownership::Ours {
        return Plan::Adopt(found.clone(), Vec::new());
    }
    match (may_take(own, found), &facts.effort) {
        (Some(owner), Effort::None) => Plan::TakeOver(found.clone(), owner),
        (Some(owner), Effort::Answered) => Plan::Rest(Situation::Waiting(Cause::new(
            Reason::Mending,
            format!(
                "the Catalog was asked to give dataset {} of {owner} to this object, and does not \
                 show it; it is asked again",
                found.id
            ),
        ))),
        (Some(owner), Effort::Failed(failure)) => {
            let Cause { reason, message } = trouble(failure);
            let message = format!(
                "dataset {} of {owner} cannot be taken over yet: {message}",
                found.id
            );
            Plan::Rest(super::situation(Cause::new(reason, message)))
        }
        (None, _) => match foreign(own, found) {
            Some(cause) => Plan::Rest(Situation::Wrong(cause)),
            // Its owner gave it up a moment ago.
            None => Plan::FindByTag,
        },
    }
}

/// What is said of a dataset that goes by our name and is another's, before it is on record.
fn foreign(own: &Own, dataset: &Dataset) -> Option<Cause> {
    let id = &dataset.id;
    match ownership(dataset, &own.owner) {
        Ownership::Ours | Ownership::Nobody => None,
        Ownership::Namesake(owner) => {
            let (namespace, name) = own.owner.object.split_once('/').unwrap_or_default();
            let write = match own.management {
                ManagementPolicy::Manage => r#"{"spec":{"adoptionPolicy":"Always"}}"#,
                ManagementPolicy::Observe => {
                    r#"{"spec":{"adoptionPolicy":"Always","managementPolicy":"Manage"}}"#
                }
            };
            Some(Cause::new(
                Reason::OwnedByAnotherCluster,
                format!(
                    "dataset {id} belongs to {owner} (cluster/namespace/name), as its tag says. If \
                     that cluster is lost or shall give it up, write adoptionPolicy: Always: \
                     kubectl patch profiledataset -n {namespace} {name} --type merge -p \
                     '{write}'. Else give this object another name"
                ),
            ))
        }
        Ownership::OtherCluster(owner) => Some(Cause::new(
            Reason::OwnedByAnotherCluster,
            format!("dataset {id} belongs to {owner} (cluster/namespace/name), as its tag says"),
        )),
        Ownership::ThisCluster(owner) => Some(Cause::new(
            Reason::OwnedByAnother,
            format!("dataset {id} belongs to {owner} (cluster/namespace/name), as its tag says"),
        )),
    }
}
