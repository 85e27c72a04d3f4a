//! Finalizers, and deletion.

use super::*;

fn deletes() -> Own {
    Own {
        deletion: DatasetDeletionPolicy::Delete,
        ..own()
    }
}

fn leaving(own: Own, record: Record, lookup: Lookup) -> Facts {
    Facts {
        life: Life::Deleting,
        finalizer: Finalizer::Present,
        ..wanting(own, record, lookup)
    }
}

fn released(plan: Plan) -> Farewell {
    match plan {
        Plan::Release(farewell) => farewell,
        other => panic!("{other:#?}"),
    }
}

#[test]
fn the_finalizer_is_there_while_exports_run_or_a_deletion_is_due() {
    let none: Vec<String> = Vec::new();
    let some = vec!["weekly".to_owned()];
    let available = || seen(owned_by("a", OURS));
    let open = Record::Open(submission());
    for (own, record, users, needed) in [
        (own(), known(), &none, false),
        (own(), known(), &some, true),
        (deletes(), known(), &none, true),
        (deletes(), open, &none, true),
    ] {
        let facts = |finalizer| Facts {
            finalizer,
            users: users.clone(),
            ..wanting(own.clone(), record.clone(), available())
        };
        let absent = decide(&facts(Finalizer::Absent));
        assert_eq!(absent == Plan::Hold, needed, "{absent:#?}");
        let present = decide(&facts(Finalizer::Present));
        assert_eq!(present == Plan::LetGo, !needed, "{present:#?}");
    }
}

#[test]
fn the_finalizer_does_not_wait_for_a_connection() {
    let waits = Need::waiting(Reason::ConnectionNotFound, "");
    let facts = Facts {
        connection: waits,
        ..wanting(deletes(), known(), Lookup::NotYet)
    };
    assert_eq!(decide(&facts), Plan::Hold);
}

#[test]
fn a_dataset_that_is_to_be_deleted_is_held_before_the_intent_to_create_it() {
    let fresh = |finalizer| Facts {
        finalizer,
        ..wanting(deletes(), Record::Fresh, by_name(Vec::new()))
    };
    assert_eq!(decide(&fresh(Finalizer::Absent)), Plan::Hold);
    let plan = decide(&fresh(Finalizer::Present));
    assert!(matches!(plan, Plan::Intend(_)));
}

#[test]
fn an_object_that_nothing_holds_goes_by_itself() {
    for record in [Record::Fresh, Record::Open(submission()), known()] {
        let gone = Facts {
            finalizer: Finalizer::Absent,
            held: Some("this-pass".into()),
            ..leaving(deletes(), record, Lookup::NotYet)
        };
        assert_eq!(decide(&gone), Plan::Rest(Situation::Leaving));
    }
}

#[test]
fn a_dataset_waits_for_the_exports_into_it() {
    let users = vec!["a".to_owned(), "b".to_owned()];
    let held = Plan::Rest(Situation::Held(Users::Exports(users.clone())));
    for own in [own(), deletes()] {
        let facts = Facts {
            users: users.clone(),
            deadline: Some(at(0)),
            ..leaving(own, known(), seen(owned_by("a", OURS)))
        };
        assert_eq!(decide(&facts), held);
    }
}

#[test]
fn what_is_retained_is_let_go_without_a_call() {
    let waits = Need::waiting(Reason::ConnectionNotFound, "");
    for record in [Record::Fresh, Record::Open(submission()), known()] {
        let facts = Facts {
            connection: waits.clone(),
            ..leaving(own(), record, Lookup::NotYet)
        };
        assert_eq!(released(decide(&facts)), Farewell::Quiet);
    }
    let read = Facts {
        wanted: Wanted::Read(DatasetId::new("a")),
        ..leaving(own(), Record::Fresh, Lookup::NotYet)
    };
    assert_eq!(released(decide(&read)), Farewell::Quiet);
}

#[test]
fn a_dataset_is_deleted_after_a_look_at_it_and_at_the_list_of_jobs() {
    let id = DatasetId::new("a");
    let facts = |lookup, jobs, effort| Facts {
        effort,
        jobs,
        ..leaving(deletes(), known(), lookup)
    };
    let there = || seen(owned_by("a", OURS));
    let plan = decide(&facts(Lookup::NotYet, Jobs::NotAsked, Effort::None));
    assert_eq!(plan, Plan::Read(id.clone()));
    let plan = decide(&facts(there(), Jobs::NotAsked, Effort::None));
    assert_eq!(plan, Plan::ListJobs(id.clone(), at(1)), "back to its birth");
    let plan = decide(&facts(there(), Jobs::None, Effort::None));
    assert_eq!(plan, Plan::Delete(id.clone()));
    let plan = decide(&facts(Lookup::ById(None), Jobs::None, Effort::Answered));
    assert_eq!(released(plan), Farewell::Deleted(id.clone()));
    let plan = decide(&facts(Lookup::ById(None), Jobs::NotAsked, Effort::None));
    assert_eq!(released(plan), Farewell::Deleted(id));
    let plan = decide(&facts(there(), Jobs::None, Effort::Answered));
    assert_eq!(rests(&plan), Reason::BeingDeleted, "it does not show");
}

#[test]
fn a_dataset_is_not_deleted_while_the_list_shows_a_job_or_does_not_tell() {
    let facts = |jobs| leaving_with(jobs, None);
    let running = vec![crate::platform::JobId::new("7")];
    let plan = decide(&facts(Jobs::Running(running.clone())));
    let held = Plan::Rest(Situation::Held(Users::Jobs(running)));
    assert_eq!(plan, held);
    let unsure = Jobs::Unsure(Cause::new(Reason::PlatformUnavailable, ""));
    assert_eq!(rests(&decide(&facts(unsure))), Reason::PlatformUnavailable);
    let failed = Jobs::Failed(failure(Consequence::Forbidden));
    assert_eq!(rests(&decide(&facts(failed))), Reason::AccessDenied);
}

fn leaving_with(jobs: Jobs, deadline: Option<i64>) -> Facts {
    Facts {
        jobs,
        deadline: deadline.map(at),
        ..leaving(deletes(), known(), seen(owned_by("a", OURS)))
    }
}

#[test]
fn a_deletion_that_failed_is_not_asked_for_again_before_its_time() {
    let again = |pause| Facts {
        pause,
        ..leaving_with(Jobs::None, None)
    };
    let plan = decide(&again(Some(paused(5))));
    assert_eq!(rests(&plan), Reason::PlatformUnavailable);
    assert!(matches!(decide(&again(Some(paused(1)))), Plan::Delete(_)));
    let throttled = Consequence::Throttled {
        retry_after: Some(Duration::from_secs(9)),
    };
    let failed = Facts {
        effort: Effort::Failed(failure(throttled)),
        ..leaving_with(Jobs::None, None)
    };
    assert_eq!(rests(&decide(&failed)), Reason::PlatformThrottled);
}

#[test]
fn what_is_not_ours_by_its_own_tags_is_never_deleted() {
    let untagged = Dataset {
        tags: BTreeMap::new(),
        ..owned_by("a", OURS)
    };
    let both = Dataset {
        tags: BTreeMap::from([(OWNER_TAG.to_owned(), vec![OURS.into(), THEIRS.into()])]),
        ..owned_by("a", OURS)
    };
    for found in [
        owned_by("a", THEIRS),
        owned_by("a", "here/team/daily"),
        untagged,
        both,
    ] {
        let facts = Facts {
            jobs: Jobs::None,
            ..leaving(deletes(), known(), seen(found))
        };
        let farewell = released(decide(&facts));
        assert!(matches!(farewell, Farewell::Kept(_)), "{farewell:#?}");
    }
}

#[test]
fn who_only_observes_deletes_nothing() {
    let own = Own {
        management: ManagementPolicy::Observe,
        ..deletes()
    };
    let farewell = released(decide(&leaving(own, known(), Lookup::NotYet)));
    assert!(matches!(farewell, Farewell::Kept(_)), "{farewell:#?}");
}

#[test]
fn a_creation_in_doubt_is_waited_for_and_what_came_of_it_deleted() {
    let open = |lookup| decide(&leaving(deletes(), Record::Open(submission()), lookup));
    assert_eq!(open(Lookup::NotYet), Plan::FindByTag);
    let plan = open(by_tag(140, Vec::new()));
    assert_eq!(plan, Plan::Rest(Situation::InDoubt(at(140))));
    let plan = open(by_tag(141, Vec::new()));
    assert!(matches!(plan, Plan::Settle(_)));
    let plan = open(by_tag(2, vec![owned_by("a", OURS)]));
    assert!(matches!(plan, Plan::Adopt(_, _)));
    let held = Facts {
        held: Some("this-pass".into()),
        ..leaving(deletes(), Record::Open(submission()), Lookup::NotYet)
    };
    assert_eq!(decide(&held), Plan::FindByTag, "nothing is sent any more");
    for record in [Record::Fresh, Record::Rejected(submission())] {
        let plan = decide(&leaving(deletes(), record, Lookup::NotYet));
        assert_eq!(released(plan), Farewell::Quiet);
    }
}

#[test]
fn out_of_reach_it_is_kept_and_in_a_namespace_that_goes_for_a_time_only() {
    let waits = || Need::waiting(Reason::ConnectionNotFound, "");
    let moved = || {
        Need::Met(Target {
            sandbox: "dev".into(),
            ..target()
        })
    };
    let failed = || Lookup::Failed(failure(Consequence::Retry));
    let open = || Record::Open(submission());
    let there = || seen(owned_by("a", OURS));
    let running = Jobs::Running(vec![crate::platform::JobId::new("7")]);
    let none = || Jobs::NotAsked;
    for (record, connection, lookup, jobs) in [
        (known(), waits(), Lookup::NotYet, none()),
        (known(), moved(), Lookup::NotYet, none()),
        (known(), Need::Met(target()), failed(), none()),
        (known(), Need::Met(target()), there(), running),
        (open(), waits(), Lookup::NotYet, none()),
        (open(), Need::Met(target()), by_tag(2, Vec::new()), none()),
    ] {
        let facts = |deadline: Option<i64>| Facts {
            connection: connection.clone(),
            deadline: deadline.map(at),
            jobs: jobs.clone(),
            ..leaving(deletes(), record.clone(), lookup.clone())
        };
        for deadline in [None, Some(2)] {
            let plan = decide(&facts(deadline));
            assert!(matches!(plan, Plan::Rest(_)), "{plan:#?}");
        }
        let Farewell::Left(left, cause) = released(decide(&facts(Some(1)))) else {
            panic!()
        };
        assert_eq!(cause.reason, Reason::DeletionTimedOut);
        assert!(left == "a" || left.contains(OURS), "{left}");
    }
}

#[test]
fn a_persons_word_lets_go_at_once_and_names_the_dataset() {
    let facts = Facts {
        word: Word::Abandon,
        users: vec!["weekly".into()],
        connection: Need::waiting(Reason::ConnectionNotFound, ""),
        ..leaving(deletes(), known(), Lookup::NotYet)
    };
    let Farewell::Left(left, cause) = released(decide(&facts)) else {
        panic!()
    };
    assert_eq!((left.as_str(), cause.reason), ("a", Reason::Abandoned));
    let stays = Facts {
        word: Word::Abandon,
        finalizer: Finalizer::Present,
        ..wanting(deletes(), known(), seen(owned_by("a", OURS)))
    };
    let plan = decide(&stays);
    assert!(
        matches!(plan, Plan::Rest(Situation::Available(_, _))),
        "an object that is there to stay is not let go"
    );
}
