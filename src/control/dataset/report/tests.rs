use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Value, json};
use strum::IntoEnumIterator;

use super::*;
use crate::{
    control::kstatus::{Kstatus, kstatus},
    decide::{
        Finalizer, Need, Windows,
        dataset::{Effort, Facts, Field, Jobs, Lookup, Record, Search, Wanted, Word},
    },
    platform::{DatasetId, JobId},
};

/// A dataset object that says so much already.
fn object(conditions: &[(&str, &str, Reason)]) -> ProfileDataset {
    let conditions = conditions.iter().map(|(type_, status, reason)| {
        json!({
            "type": type_, "status": status, "reason": reason.as_str(), "message": "why",
            "lastTransitionTime": "2026-11-01T00:00:00Z",
        })
    });
    serde_json::from_value(json!({
        "apiVersion": "aep-export.dev/v1alpha1",
        "kind": "ProfileDataset",
        "metadata": { "name": "profiles", "namespace": "team", "generation": 3 },
        "spec": { "connectionRef": { "name": "prod" }, "dataset": { "name": "Profiles" } },
        "status": { "observedGeneration": 3, "conditions": conditions.collect::<Vec<_>>() },
    }))
    .unwrap()
}

fn found() -> Dataset {
    Dataset {
        id: DatasetId::new("d"),
        name: Some("Profiles".into()),
        description: None,
        schema_id: None,
        schema_content_type: None,
        tags: BTreeMap::new(),
        created: None,
        last_batch_id: None,
        last_batch_status: None,
    }
}

fn seen(life: Life, users: &[&str]) -> Seen {
    let second = SignedDuration::from_secs(1);
    Seen {
        tenant: None,
        facts: Facts {
            now: Timestamp::UNIX_EPOCH,
            life,
            finalizer: Finalizer::Absent,
            word: Word::None,
            deadline: None,
            wanted: Wanted::Read(DatasetId::new("d")),
            record: Record::Fresh,
            connection: Need::waiting(Reason::ConnectionNotReady, "why"),
            users: users.iter().map(ToString::to_string).collect(),
            lookup: Lookup::NotYet,
            search: Search::Done,
            effort: Effort::None,
            jobs: Jobs::NotAsked,
            rejected: None,
            held: None,
            nonce: "nonce".into(),
            pause: None,
            windows: Windows {
                send: second,
                delivery: second,
                visibility: second,
            },
        },
    }
}

/// Every way in which a dataset can stand, with the same cause.
fn situations(cause: &Cause) -> [Situation; 12] {
    let difference = Difference {
        field: Field::Name,
        wanted: vec!["Profiles".into()],
        found: None,
    };
    [
        Situation::Available(found(), Vec::new()),
        Situation::Available(found(), vec![difference.clone()]),
        Situation::Mending(found(), vec![difference], cause.clone()),
        Situation::Unsuitable(found(), cause.clone()),
        Situation::Foreign(found(), cause.clone()),
        Situation::Waiting(cause.clone()),
        Situation::Wrong(cause.clone()),
        Situation::InDoubt(Timestamp::UNIX_EPOCH),
        Situation::Held(Users::Exports(vec!["weekly".into()])),
        Situation::Held(Users::Jobs(vec![JobId::new("1001")])),
        Situation::Removing(cause.clone()),
        Situation::Leaving,
    ]
}

/// What kstatus shall say of a dataset that stands so; none: nothing new is said of it.
fn wanted(situation: &Situation) -> Option<Kstatus> {
    let by_cause = |cause: &Cause| {
        if passes(cause.reason) {
            Kstatus::InProgress
        } else {
            Kstatus::Failed
        }
    };
    Some(match situation {
        Situation::Available(_, _) => Kstatus::Current,
        Situation::Mending(_, _, cause) => by_cause(cause),
        Situation::Unsuitable(_, _) | Situation::Foreign(_, _) | Situation::Wrong(_) => {
            Kstatus::Failed
        }
        Situation::Waiting(_) | Situation::InDoubt(_) => Kstatus::InProgress,
        Situation::Held(_) | Situation::Removing(_) => Kstatus::Terminating,
        Situation::Leaving => return None,
    })
}

fn reported(dataset: &ProfileDataset, users: &[&str], situation: &Situation) -> Value {
    let life = match wanted(situation) {
        Some(Kstatus::Terminating) => Life::Deleting,
        _ => Life::Live,
    };
    let status = project(dataset, &seen(life, users), situation);
    let [reconciling, stalled] = [ConditionType::Reconciling, ConditionType::Stalled]
        .map(|type_| is_true(&status.conditions, type_));
    assert!(!(reconciling && stalled), "{situation:?}");
    let mut object = json!({ "metadata": dataset.metadata, "status": status });
    if life == Life::Deleting {
        object["metadata"]["deletionTimestamp"] = "2026-11-01T00:00:00Z".into();
    }
    object
}

#[test]
fn kstatus_reads_every_state_of_a_dataset_as_it_is_meant() {
    let before = [
        object(&[]),
        object(&[("Ready", "True", Reason::Available)]),
        object(&[
            ("Ready", "True", Reason::Available),
            ("Drifted", "True", Reason::Drifted),
        ]),
        object(&[
            ("Ready", "False", Reason::Rejected),
            ("Stalled", "True", Reason::Rejected),
        ]),
    ];
    for reason in Reason::iter() {
        for situation in situations(&Cause::new(reason, "why")) {
            for dataset in &before {
                for users in [&[][..], &["weekly"]] {
                    let object = reported(dataset, users, &situation);
                    let Some(wanted) = wanted(&situation) else {
                        assert_eq!(object["status"], json!(dataset.status), "{situation:?}");
                        continue;
                    };
                    assert_eq!(kstatus(&object), wanted, "{reason:?} {situation:?}");
                }
            }
        }
    }
}
