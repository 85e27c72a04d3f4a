//! Whose a dataset is.

use super::*;

fn tagged(tags: &[(&str, &[&str])]) -> Dataset {
    let owned = |values: &[&str]| values.iter().map(ToString::to_string).collect();
    Dataset {
        tags: tags
            .iter()
            .map(|(tag, values)| ((*tag).to_owned(), owned(values)))
            .collect(),
        ..dataset("a", 1, UNION_SCHEMA)
    }
}

#[test]
fn a_dataset_belongs_to_whom_its_tag_names_to_the_letter() {
    let cases: [(&[&str], Ownership); 7] = [
        (&[OURS], Ownership::Ours),
        (&["there/team/weekly"], Ownership::Namesake(THEIRS.into())),
        (
            &["there/team/daily"],
            Ownership::OtherCluster("there/team/daily".into()),
        ),
        (
            &["here/team/daily"],
            Ownership::ThisCluster("here/team/daily".into()),
        ),
        (
            &["Here/team/weekly"],
            Ownership::Namesake("Here/team/weekly".into()),
        ),
        (&[OURS, THEIRS], Ownership::Namesake(THEIRS.into())),
        (&[], Ownership::Nobody),
    ];
    for (owners, wanted) in cases {
        let found = tagged(&[(OWNER_TAG, owners)]);
        assert_eq!(ownership(&found, &own().owner), wanted, "{owners:?}");
    }
}

#[test]
fn a_dataset_without_an_owner_is_ours_by_the_uid_alone() {
    let ours = tagged(&[(OWNER_UID_TAG, &["uid"])]);
    assert_eq!(ownership(&ours, &own().owner), Ownership::Ours);
    let theirs = tagged(&[(OWNER_UID_TAG, &["other"]), (OBJECT_TAG, &["team/weekly"])]);
    assert_eq!(ownership(&theirs, &own().owner), Ownership::Nobody);
}

#[test]
fn another_clusters_dataset_of_our_name_stalls_creation_and_the_message_has_the_line() {
    let plan = decide(&facts(Record::Fresh, by_name(vec![owned_by("a", THEIRS)])));
    let Plan::Rest(Situation::Wrong(cause)) = plan else {
        panic!("{plan:#?}")
    };
    assert_eq!(cause.reason, Reason::OwnedByAnotherCluster);
    for part in [
        "dataset a belongs to there/team/weekly",
        "kubectl patch profiledataset -n team weekly",
        r#"'{"spec":{"adoptionPolicy":"Always"}}'"#,
    ] {
        assert!(cause.message.contains(part), "{}", cause.message);
    }
}

#[test]
fn another_clusters_dataset_is_taken_over_by_a_persons_word_after_a_look_at_it() {
    let wanting = |lookup| {
        let own = Own {
            adoption: Some(AdoptionPolicy::Always),
            ..own()
        };
        wanting(own, Record::Fresh, lookup)
    };
    let theirs = owned_by("a", THEIRS);
    let plan = decide(&wanting(by_name(vec![theirs.clone()])));
    assert_eq!(plan, Plan::Read(DatasetId::new("a")));
    let plan = decide(&wanting(seen(theirs.clone())));
    assert_eq!(plan, Plan::TakeOver(theirs.clone(), THEIRS.into()));
    let answered = |found| Facts {
        effort: Effort::Answered,
        ..wanting(seen(found))
    };
    let ours = owned_by("a", OURS);
    let plan = decide(&answered(ours.clone()));
    assert_eq!(plan, Plan::Adopt(ours, Vec::new()));
    let plan = decide(&answered(theirs.clone()));
    assert_eq!(rests(&plan), Reason::Mending, "no effect yet");
    let failed = Facts {
        effort: Effort::Failed(failure(Consequence::Forbidden)),
        ..wanting(seen(theirs.clone()))
    };
    assert_eq!(rests(&decide(&failed)), Reason::AccessDenied);
    let held_back = Facts {
        pause: Some(paused(5)),
        ..wanting(by_name(vec![theirs]))
    };
    assert_eq!(rests(&decide(&held_back)), Reason::PlatformUnavailable);
}

#[test]
fn a_dataset_of_another_name_is_never_taken_over() {
    for (owner, reason) in [
        ("there/team/daily", Reason::OwnedByAnotherCluster),
        ("here/team/daily", Reason::OwnedByAnother),
    ] {
        let own = Own {
            adoption: Some(AdoptionPolicy::Always),
            ..own()
        };
        let plan = decide(&wanting(
            own,
            Record::Fresh,
            by_name(vec![owned_by("a", owner)]),
        ));
        assert_eq!(rests(&plan), reason);
    }
}

#[test]
fn who_only_observes_takes_nothing_over() {
    let own = Own {
        adoption: Some(AdoptionPolicy::Always),
        management: ManagementPolicy::Observe,
        ..own()
    };
    let plan = decide(&wanting(
        own,
        Record::Fresh,
        by_name(vec![owned_by("a", THEIRS)]),
    ));
    assert_eq!(rests(&plan), Reason::OwnedByAnotherCluster);
}

#[test]
fn a_dataset_that_another_took_is_written_no_more_whatever_the_policies() {
    for (owner, reason) in [
        (THEIRS, Reason::OwnedByAnotherCluster),
        ("here/team/daily", Reason::OwnedByAnother),
    ] {
        for deletion in [DatasetDeletionPolicy::Retain, DatasetDeletionPolicy::Delete] {
            let own = Own {
                adoption: Some(AdoptionPolicy::Always),
                deletion,
                ..own()
            };
            let facts = Facts {
                finalizer: match deletion {
                    DatasetDeletionPolicy::Retain => Finalizer::Absent,
                    DatasetDeletionPolicy::Delete => Finalizer::Present,
                },
                ..wanting(own, known(), seen(owned_by("a", owner)))
            };
            let plan = decide(&facts);
            assert!(matches!(plan, Plan::Rest(Situation::Foreign(_, _))));
            assert_eq!(rests(&plan), reason);
        }
    }
}

#[test]
fn a_dataset_that_says_nothing_of_its_owner_is_not_written_on_the_word_of_a_status() {
    let untagged = Dataset {
        name: Some("renamed".into()),
        ..tagged(&[])
    };
    let plan = decide(&facts(known(), seen(untagged)));
    assert_eq!(rests(&plan), Reason::OwnerTagMissing);
}

#[test]
fn a_dataset_that_went_is_not_made_again_and_the_message_says_what_a_person_does() {
    let plan = decide(&facts(known(), Lookup::ById(None)));
    let Plan::Rest(Situation::Wrong(cause)) = plan else {
        panic!("{plan:#?}")
    };
    assert_eq!(cause.reason, Reason::DatasetMissing);
    let line = "kubectl delete profiledataset -n team weekly";
    assert!(cause.message.contains(line), "{}", cause.message);
}

#[test]
fn of_a_dataset_that_is_only_read_it_does_not_matter_whose_it_is() {
    let read = Facts {
        wanted: Wanted::Read(DatasetId::new("a")),
        ..facts(Record::Fresh, seen(owned_by("a", THEIRS)))
    };
    let plan = decide(&read);
    assert!(matches!(plan, Plan::Rest(Situation::Available(_, _))));
}
