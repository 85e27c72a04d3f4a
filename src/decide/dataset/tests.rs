//! The rules of a dataset's decisions, one sentence each.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::*;
use crate::{
    api::{
        AdoptionPolicy, DatasetDeletionPolicy, DatasetSubmission, DatasetTemplate,
        ManagementPolicy, OBJECT_TAG, OWNER_TAG, OWNER_UID_TAG, TagValues,
    },
    decide::{Finalizer, Windows, export::Pause, request::Owner},
};

mod drift;
mod leave;
mod owners;

const OURS: &str = "here/team/weekly";
const THEIRS: &str = "there/team/weekly";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn target() -> Target {
    Target {
        platform: "https://platform.adobe.io".into(),
        organization_id: "org@AdobeOrg".into(),
        sandbox: "prod".into(),
        dataset_id: None,
    }
}

fn dataset(id: &str, created: i64, schema: &str) -> Dataset {
    Dataset {
        id: DatasetId::new(id),
        name: Some("x".into()),
        description: None,
        schema_id: Some(schema.into()),
        schema_content_type: None,
        tags: tags(OURS),
        created: Some(at(created)),
        last_batch_id: None,
        last_batch_status: None,
    }
}

/// The tags of the object of our name that this owner is, with our UID if it is us.
fn tags(owner: &str) -> BTreeMap<String, Vec<String>> {
    let uid = if owner == OURS { "uid" } else { "theirs" };
    [
        (OBJECT_TAG, "team/weekly"),
        (OWNER_TAG, owner),
        (OWNER_UID_TAG, uid),
    ]
    .map(|(tag, value)| (tag.to_owned(), vec![value.to_owned()]))
    .into()
}

fn owned_by(id: &str, owner: &str) -> Dataset {
    Dataset {
        tags: tags(owner),
        ..dataset(id, 1, UNION_SCHEMA)
    }
}

fn own() -> Own {
    Own {
        template: DatasetTemplate {
            name: "x".into(),
            description: None,
            schema_ref: None,
            file_description: None,
            tags: None,
            enable_error_diagnostics: None,
        },
        owner: Owner {
            path: OURS.into(),
            object: "team/weekly".into(),
            uid: "uid".into(),
        },
        management: ManagementPolicy::Manage,
        deletion: DatasetDeletionPolicy::Retain,
        adoption: None,
    }
}

fn wanting(own: Own, record: Record, lookup: Lookup) -> Facts {
    Facts {
        wanted: Wanted::Owned(Box::new(own)),
        ..facts(record, lookup)
    }
}

fn posted() -> Origin {
    Origin::Submitted(DatasetSubmission {
        outcome: Some(SubmissionOutcome::Posted),
        ..submission()
    })
}

fn known() -> Record {
    Record::Known(DatasetId::new("a"), posted())
}

fn seen(found: Dataset) -> Lookup {
    Lookup::ById(Some(found))
}

fn failure(consequence: Consequence) -> Failure {
    Failure {
        consequence,
        message: "no".into(),
    }
}

fn paused(until: i64) -> Pause {
    Pause {
        until: at(until),
        cause: Cause::new(Reason::PlatformUnavailable, "before"),
    }
}

/// The reason of a rest.
fn rests(plan: &Plan) -> Reason {
    match plan {
        Plan::Rest(
            Situation::Mending(_, _, cause)
            | Situation::Unsuitable(_, cause)
            | Situation::Foreign(_, cause)
            | Situation::Waiting(cause)
            | Situation::Wrong(cause)
            | Situation::Removing(cause),
        ) => cause.reason,
        other => panic!("{other:#?}"),
    }
}

fn submission() -> DatasetSubmission {
    DatasetSubmission {
        r#try: "this-pass".into(),
        target: target(),
        intent_time: at(0),
        send_before: at(10),
        settle_after: at(140),
        outcome: None,
        evidence: None,
    }
}

fn facts(record: Record, lookup: Lookup) -> Facts {
    Facts {
        now: at(1),
        life: Life::Live,
        finalizer: Finalizer::Absent,
        word: Word::None,
        deadline: None,
        wanted: Wanted::Owned(Box::new(own())),
        record,
        connection: Need::Met(target()),
        users: Vec::new(),
        lookup,
        search: Search::Due,
        effort: Effort::None,
        jobs: Jobs::NotAsked,
        rejected: None,
        held: None,
        nonce: "fresh".into(),
        pause: None,
        windows: Windows {
            send: SignedDuration::from_secs(10),
            delivery: SignedDuration::from_secs(70),
            visibility: SignedDuration::from_secs(60),
        },
    }
}

fn by_tag(began: i64, hits: Vec<Dataset>) -> Lookup {
    Lookup::ByTag {
        began: at(began),
        hits,
        namesakes: Namesakes::NotAsked,
    }
}

/// Nothing carries our tag, and these our name.
fn by_name(namesakes: Vec<Dataset>) -> Lookup {
    Lookup::ByTag {
        began: at(1),
        hits: Vec::new(),
        namesakes: Namesakes::Found(namesakes),
    }
}

#[test]
fn a_dataset_is_looked_for_by_its_tag_before_it_is_created() {
    assert_eq!(
        decide(&facts(Record::Fresh, Lookup::NotYet)),
        Plan::FindByTag
    );
    let none = by_tag(1, Vec::new());
    assert_eq!(decide(&facts(Record::Fresh, none)), Plan::FindNamesakes);
    let none = by_name(Vec::new());
    assert!(matches!(
        decide(&facts(Record::Fresh, none)),
        Plan::Intend(_)
    ));
}

#[test]
fn of_several_with_our_tag_the_oldest_is_taken_up() {
    let hits = vec![dataset("b", 2, UNION_SCHEMA), dataset("a", 1, UNION_SCHEMA)];
    let Plan::Adopt(taken, others) = decide(&facts(Record::Fresh, by_tag(3, hits))) else {
        panic!()
    };
    assert_eq!(taken.id, DatasetId::new("a"));
    assert_eq!(others, [DatasetId::new("b")]);
}

#[test]
fn only_the_pass_that_recorded_the_intent_may_send() {
    let open = facts(Record::Open(submission()), Lookup::NotYet);
    assert_eq!(decide(&open), Plan::FindByTag);
    let held = Facts {
        held: Some("this-pass".into()),
        ..open
    };
    assert!(matches!(decide(&held), Plan::Post(_, _)));
}

#[test]
fn a_doubt_ends_by_the_tag_or_by_a_look_that_began_after_its_window() {
    let open = |lookup| decide(&facts(Record::Open(submission()), lookup));
    let found = by_tag(2, vec![dataset("a", 1, UNION_SCHEMA)]);
    assert!(matches!(open(found), Plan::Adopt(_, _)));
    let early = open(by_tag(140, Vec::new()));
    assert_eq!(early, Plan::Rest(Situation::InDoubt(at(140))));
    let Plan::Settle(settled) = open(by_tag(141, Vec::new())) else {
        panic!()
    };
    assert_eq!(settled.outcome, Some(SubmissionOutcome::NotTaken));
}

#[test]
fn a_dataset_that_is_only_read_is_never_created() {
    let read = Facts {
        wanted: Wanted::Read(DatasetId::new("a")),
        ..facts(Record::Fresh, Lookup::ById(None))
    };
    let Plan::Rest(Situation::Wrong(cause)) = decide(&read) else {
        panic!()
    };
    assert_eq!(cause.reason, Reason::DatasetMissing);
}

#[test]
fn a_dataset_on_another_schema_is_not_suitable() {
    let known = known();
    let other = Lookup::ById(Some(dataset("a", 1, "https://ns.adobe.com/other")));
    let plan = decide(&facts(known.clone(), other));
    assert!(matches!(plan, Plan::Rest(Situation::Unsuitable(_, _))));
    let union = Lookup::ById(Some(dataset("a", 1, UNION_SCHEMA)));
    let plan = decide(&facts(known, union));
    assert!(matches!(plan, Plan::Rest(Situation::Available(_, _))));
}

#[test]
fn a_rejected_creation_is_not_sent_again() {
    let rejected = facts(Record::Rejected(submission()), Lookup::NotYet);
    assert!(matches!(decide(&rejected), Plan::Rest(Situation::Wrong(_))));
}

#[test]
fn a_rejected_creation_is_looked_for_once_before_it_counts_as_rejected() {
    let cause = Cause::new(Reason::Rejected, "no");
    let rejected = |lookup| Facts {
        rejected: Some(cause.clone()),
        ..facts(Record::Open(submission()), lookup)
    };
    assert_eq!(decide(&rejected(Lookup::NotYet)), Plan::FindByTag);
    let plan = decide(&rejected(by_tag(1, Vec::new())));
    assert!(matches!(plan, Plan::Reject(_, _)));
    let there = by_tag(1, vec![dataset("a", 1, UNION_SCHEMA)]);
    assert!(matches!(decide(&rejected(there)), Plan::Adopt(_, _)));
}

#[test]
fn a_connection_that_goes_elsewhere_by_now_settles_nothing_and_judges_nothing() {
    let moved = Target {
        sandbox: "dev".into(),
        ..target()
    };
    let taken_up = Record::Known(DatasetId::new("a"), Origin::TakenUp(target()));
    for record in [Record::Open(submission()), known(), taken_up] {
        let facts = Facts {
            connection: Need::Met(moved.clone()),
            ..facts(record, by_tag(141, Vec::new()))
        };
        assert!(matches!(decide(&facts), Plan::Rest(Situation::Waiting(_))));
    }
}

#[test]
fn a_second_dataset_of_one_request_is_looked_for_once_and_told_of() {
    let known = |now, search, lookup| Facts {
        now: at(now),
        search,
        ..facts(known(), lookup)
    };
    let read = Plan::Read(DatasetId::new("a"));
    assert_eq!(decide(&known(140, Search::Due, Lookup::NotYet)), read);
    assert_eq!(decide(&known(141, Search::Done, Lookup::NotYet)), read);
    let due = decide(&known(141, Search::Due, Lookup::NotYet));
    assert_eq!(due, Plan::FindByTag);
    let hits = vec![dataset("a", 1, UNION_SCHEMA), dataset("b", 1, UNION_SCHEMA)];
    let told = decide(&known(141, Search::Due, by_tag(141, hits)));
    let others = vec![DatasetId::new("b")];
    assert_eq!(told, Plan::Tell(DatasetId::new("a"), others));
}
