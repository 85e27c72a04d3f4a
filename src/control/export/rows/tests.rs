use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use strum::IntoEnumIterator;

use super::*;
use crate::{
    api::{is_true, merge},
    control::kstatus::{Kstatus, kstatus},
    decide::export::{Ending, Farewell, Phase},
};

/// An export with more in its spec.
fn export(suspend: bool) -> ExportJob {
    serde_json::from_value(json!({
        "apiVersion": "aep-export.dev/v1alpha1",
        "kind": "ExportJob",
        "metadata": { "name": "weekly", "generation": 3 },
        "spec": {
            "export": { "destination": { "datasetRef": { "name": "profiles" } } },
            "suspend": suspend,
        },
    }))
    .unwrap()
}

/// Every way in which an export can stand, with the same cause.
fn situations(cause: &Cause) -> Vec<Situation> {
    let endings = [
        Ending::Succeeded(DataAvailability::Readable),
        Ending::Succeeded(DataAvailability::Unknown(cause.clone())),
        Ending::Failed,
        Ending::NoFurtherAttempt(cause.clone()),
        Ending::Vanished(cause.clone()),
        Ending::CancelledInPlatform,
        Ending::Cancelled(CancelledBy::Spec),
        Ending::Cancelled(CancelledBy::Deadline),
        Ending::Cancelled(CancelledBy::Deletion),
        Ending::Rejected(cause.clone()),
    ];
    let mut all = vec![
        Situation::Waiting(cause.clone()),
        Situation::Blocked(cause.clone()),
        Situation::Suspended,
        Situation::Submitting,
        Situation::InDoubt(cause.clone()),
        Situation::Ambiguous(cause.clone()),
        Situation::Running(None),
        Situation::Running(Some(cause.clone())),
        Situation::WaitingForBatch(cause.clone()),
        Situation::Retrying(cause.clone()),
        Situation::Cancelling(cause.clone()),
        Situation::AtRest,
        Situation::Foreign,
        Situation::Leaving(Farewell::Quiet),
    ];
    all.extend(endings.map(Situation::Ends));
    all
}

/// What kstatus shall say of an export that stands so; none: nothing new is said of it.
fn wanted(situation: &Situation) -> Option<Kstatus> {
    Some(match situation {
        Situation::Waiting(_)
        | Situation::Suspended
        | Situation::Submitting
        | Situation::InDoubt(_)
        | Situation::Running(_)
        | Situation::WaitingForBatch(_)
        | Situation::Retrying(_) => Kstatus::InProgress,
        Situation::Cancelling(cause) if cause.reason == Reason::CancelTimedOut => Kstatus::Failed,
        Situation::Cancelling(_) => Kstatus::InProgress,
        Situation::Blocked(_) | Situation::Ambiguous(_) | Situation::Foreign => Kstatus::Failed,
        Situation::Ends(Ending::Succeeded(_)) => Kstatus::Current,
        Situation::Ends(
            Ending::Failed
            | Ending::NoFurtherAttempt(_)
            | Ending::Vanished(_)
            | Ending::CancelledInPlatform
            | Ending::Cancelled(_)
            | Ending::Rejected(_),
        ) => Kstatus::Failed,
        Situation::AtRest | Situation::Leaving(_) => return None,
    })
}

/// The object as the API server has it once this was reported.
fn reported(export: &ExportJob, situation: &Situation) -> Option<Value> {
    let mut desired = row(situation, export, &Sighting::Unseen)?.conditions();
    desired.extend(goes_on(export, situation));
    let generation = export.metadata.generation;
    let conditions = merge(&[], desired, generation, Timestamp::UNIX_EPOCH);
    let [reconciling, stalled] = [ConditionType::Reconciling, ConditionType::Stalled]
        .map(|type_| is_true(&conditions, type_));
    assert!(!(reconciling && stalled), "{situation:?}");
    Some(json!({
        "metadata": export.metadata,
        "status": { "observedGeneration": generation, "conditions": conditions },
    }))
}

#[test]
fn kstatus_reads_every_state_of_an_export_as_it_is_meant() {
    let mut phases = BTreeSet::new();
    for reason in Reason::iter() {
        for situation in situations(&Cause::new(reason, "why")) {
            for suspend in [false, true] {
                let object = reported(&export(suspend), &situation);
                let said = object.as_ref().map(kstatus);
                assert_eq!(said, wanted(&situation), "{reason:?} {situation:?}");
                phases.extend(situation.phase());
            }
        }
    }
    assert_eq!(phases, Phase::iter().collect());
}

#[test]
fn kstatus_takes_an_edited_export_for_one_in_progress_and_a_deleted_one_for_one_that_goes() {
    for situation in situations(&Cause::new(Reason::Running, "why")) {
        let Some(mut object) = reported(&export(false), &situation) else {
            continue;
        };
        object["metadata"]["generation"] = 4.into();
        assert_eq!(kstatus(&object), Kstatus::InProgress, "{situation:?}");
        object["metadata"]["deletionTimestamp"] = "2026-11-01T00:00:00Z".into();
        assert_eq!(kstatus(&object), Kstatus::Terminating, "{situation:?}");
    }
}
