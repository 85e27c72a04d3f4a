//! Deletion, cancellation and deadlines, new attempts, and jobs that there are too many of.

use super::*;

fn wishing(facts: Facts, wishes: Wishes) -> Facts {
    Facts { wishes, ..facts }
}

fn cancel() -> Wishes {
    Wishes {
        cancel: Wish::Present,
        ..Wishes::default()
    }
}

fn recorded(facts: Facts, by: CancelledBy, accepted: Option<Timestamp>) -> Facts {
    Facts {
        cancellation: Some(Cancellation {
            requested_at: at(0),
            by,
            accepted_at: accepted,
            final_status: None,
        }),
        ..facts
    }
}

fn reading(began: i64, jobs: Vec<Job>) -> List {
    List::Read(Reading {
        began: at(began),
        jobs,
        depth: Depth::End,
        quality: Quality::Clean,
        claims: Claims::default(),
    })
}

/// Running, with this evidence, where ids are not shown and the platform shows another.
fn weak(evidence: SubmissionEvidence) -> Facts {
    let submission = Submission {
        evidence: Some(evidence),
        ..posted_submission()
    };
    let shown = Job {
        request_id: Some("anothers".into()),
        ..job("PROCESSING")
    };
    Facts {
        echo: Echo::No,
        sighting: Sighting::Job {
            job: Box::new(shown),
            batches: Batches::NotAsked,
        },
        ..facts(Record::Known(submission, JobId::new("24115")))
    }
}

#[test]
fn a_deleted_export_is_never_submitted() {
    let plan = decide(&deleted(facts(FRESH)));
    assert_eq!(plan.effect, Effect::Release);
    for list in [List::NotYet, reading(141, Vec::new())] {
        let doubt = Facts {
            list,
            now: at(141),
            ..facts(Record::Open(submission()))
        };
        let plan = decide(&deleted(recorded(doubt, CancelledBy::Deletion, None)));
        assert!(
            matches!(plan.effect, Effect::ReadList(_) | Effect::Release),
            "{plan:?}"
        );
    }
}

#[test]
fn a_deletion_in_doubt_is_recorded_settled_and_then_let_go() {
    let doubt = deleted(facts(Record::Open(submission())));
    assert!(matches!(decide(&doubt).effect, Effect::IntendCancel(_)));
    let doubt = recorded(doubt, CancelledBy::Deletion, None);
    assert!(matches!(decide(&doubt).effect, Effect::ReadList(_)));
    let found = Facts {
        list: reading(1, vec![job("PROCESSING")]),
        ..doubt.clone()
    };
    assert!(matches!(decide(&found).effect, Effect::Adopt(_, _)));
    let none = Facts {
        now: at(141),
        list: reading(141, Vec::new()),
        ..doubt
    };
    assert_eq!(
        decide(&none),
        plan(Situation::Leaving(Farewell::Quiet), Effect::Release)
    );
}

#[test]
fn a_deletion_whose_doubt_lasts_is_let_go_at_its_deadline_with_a_warning_that_names_it() {
    let unclear = Reading {
        began: at(600),
        jobs: Vec::new(),
        depth: Depth::Short,
        quality: Quality::Clean,
        claims: Claims::default(),
    };
    let doubt = recorded(
        Facts {
            now: at(600),
            list: List::Read(unclear),
            ..deleted(facts(Record::Open(submission())))
        },
        CancelledBy::Deletion,
        None,
    );
    let Situation::Leaving(Farewell::Warning(cause)) = decide(&doubt).situation else {
        panic!()
    };
    assert_eq!(cause.reason, Reason::DeletedInDoubt);
    assert!(cause.message.contains(&submission().request_id));
    // However short the deadline, its job has the time to show.
    let early = Facts {
        now: at(139),
        limits: Limits {
            cancel: seconds(10),
            ..doubt.limits
        },
        ..doubt.clone()
    };
    assert!(matches!(decide(&early).effect, Effect::LookAgain(_)));
    // With the platform out of reach it is kept.
    let down = Facts {
        list: List::Failed(Cause::new(Reason::PlatformUnavailable, "down")),
        ..doubt
    };
    assert!(matches!(decide(&down).effect, Effect::LookAgain(_)));
}

#[test]
fn a_deletion_looks_then_records_then_cancels_then_waits_for_the_end() {
    let look = decide(&deleted(facts(known())));
    assert!(matches!(look.effect, Effect::Look(_, _)));
    let intend = decide(&deleted(known_with(seen("PROCESSING", Batches::NotAsked))));
    assert!(matches!(intend.effect, Effect::IntendCancel(_)));
    assert!(matches!(
        decide(&cancelling(None, at(1))).effect,
        Effect::Cancel(_, _, _)
    ));
    let wait = decide(&cancelling(Some(at(0)), at(2)));
    assert_eq!(
        wait.effect,
        Effect::Follow(posted_submission(), JobId::new("24115"), Some(at(600)))
    );
}

#[test]
fn a_job_that_is_not_shown_is_not_asked_to_cancel_and_counts_as_gone_after_the_window() {
    let missing = |now| {
        decide(&Facts {
            sighting: Sighting::Missing,
            now: at(now),
            ..deleted(facts(known()))
        })
    };
    assert!(matches!(missing(139).effect, Effect::Follow(_, _, Some(_))));
    assert_eq!(missing(140).effect, Effect::Release);
    let accepted = Facts {
        sighting: Sighting::Missing,
        ..cancelling(Some(at(1)), at(2))
    };
    assert_eq!(decide(&accepted).effect, Effect::Release);
}

#[test]
fn a_deletion_of_a_finished_job_makes_no_call() {
    for status in ["SUCCEEDED", "FAILED", "CANCELLED"] {
        let sighting = seen(status, Batches::NotAsked);
        let plan = decide(&deleted(known_with(sighting)));
        assert_eq!(
            (plan.situation, plan.effect),
            (Situation::Leaving(Farewell::Quiet), Effect::Release)
        );
    }
}

#[test]
fn a_cancellation_that_does_not_end_is_let_go_with_a_warning_that_names_the_job() {
    let plan = decide(&cancelling(Some(at(0)), at(600)));
    assert_eq!(plan.effect, Effect::Release);
    let Situation::Leaving(Farewell::Warning(cause)) = plan.situation else {
        panic!()
    };
    assert_eq!(cause.reason, Reason::CancelTimedOut);
    assert!(cause.message.contains("24115") && cause.message.contains("5b02"));
}

#[test]
fn a_job_has_its_time_to_stop_from_when_the_platform_said_that_it_will() {
    // The doubt about it, or a platform that was down, took up the time since the deletion.
    let late = |accepted, now| decide(&cancelling(accepted, at(now)));
    assert!(matches!(late(None, 700).effect, Effect::Cancel(_, _, _)));
    let Effect::Follow(_, _, until) = late(Some(at(700)), 701).effect else {
        panic!()
    };
    assert_eq!(until, Some(at(1300)));
    let over = late(Some(at(700)), 1300);
    assert!(matches!(
        over.situation,
        Situation::Leaving(Farewell::Warning(_))
    ));
}

#[test]
fn a_job_is_cancelled_only_if_it_is_ours() {
    let of = |facts: Facts| {
        let facts = recorded(deleted(facts), CancelledBy::Deletion, None);
        decide(&facts).effect
    };
    for evidence in [SubmissionEvidence::Reply, SubmissionEvidence::Person] {
        assert!(matches!(of(weak(evidence)), Effect::Cancel(_, _, _)));
    }
    let window = weak(SubmissionEvidence::Window);
    assert!(matches!(of(window.clone()), Effect::Follow(_, _, _)));
    let forged = Facts {
        echo: Echo::Yes,
        ..weak(SubmissionEvidence::Reply)
    };
    assert!(matches!(of(forged), Effect::Follow(_, _, _)));
    let late = Facts {
        now: at(600),
        ..window.clone()
    };
    assert_eq!(of(late), Effect::Release);
    let answered = Facts {
        answer: Answer::parse("this-pass=24115"),
        ..window
    };
    let Effect::Settle(confirmed) = of(answered) else {
        panic!()
    };
    assert_eq!(confirmed.evidence, Some(SubmissionEvidence::Person));
}

#[test]
fn where_ids_are_shown_a_job_with_another_id_is_not_read_in() {
    let forged = Facts {
        echo: Echo::Yes,
        ..weak(SubmissionEvidence::Reply)
    };
    assert_eq!(decide(&forged), rest(Situation::Foreign));
}

#[test]
fn a_job_on_record_twice_is_the_first_ones_unless_it_tells_itself_whose_it_is() {
    let contested = |echo, facts: Facts| Facts {
        title: Title::Contested,
        echo,
        ..facts
    };
    for echo in [Echo::Unknown, Echo::No] {
        let running = known_with(seen("PROCESSING", Batches::NotAsked));
        let plan = decide(&contested(echo, running));
        assert_eq!(plan, rest(Situation::Foreign));
    }
    let unseen = decide(&contested(Echo::Yes, facts(known())));
    assert!(matches!(unseen.effect, Effect::Follow(_, _, _)));
    let ours = known_with(seen("PROCESSING", Batches::NotAsked));
    let plan = decide(&contested(Echo::Yes, ours));
    assert!(matches!(plan.effect, Effect::Follow(_, _, _)));
    let theirs = weak(SubmissionEvidence::Reply);
    assert_eq!(
        decide(&contested(Echo::Yes, theirs)),
        rest(Situation::Foreign)
    );
    // Deleted, it is looked at, and not cancelled before it has told.
    let unseen = contested(Echo::Yes, deleted(facts(known())));
    assert!(matches!(decide(&unseen).effect, Effect::Look(_, _)));
}

#[test]
fn a_wish_to_cancel_ends_what_was_never_submitted_and_cancels_what_runs() {
    let never = decide(&wishing(facts(FRESH), cancel()));
    let by = CancelledBy::Spec;
    assert_eq!(never.situation, Situation::Ends(Ending::Cancelled(by)));
    let running = known_with(seen("PROCESSING", Batches::NotAsked));
    let plan = decide(&wishing(running.clone(), cancel()));
    assert!(matches!(plan.effect, Effect::IntendCancel(_)));
    // Once it is on record, taking it back changes nothing.
    let latched = recorded(running, by, None);
    assert!(matches!(decide(&latched).effect, Effect::Cancel(_, _, _)));
    let ended = Facts {
        sighting: seen("CANCELLED", Batches::NotAsked),
        ..recorded(facts(known()), by, Some(at(1)))
    };
    assert_eq!(
        decide(&ended).situation,
        Situation::Ends(Ending::Cancelled(by))
    );
    let too_late = Facts {
        sighting: seen("SUCCEEDED", batch("success")),
        ..recorded(facts(known()), by, Some(at(1)))
    };
    assert!(matches!(
        decide(&too_late).situation,
        Situation::Ends(Ending::Succeeded(_))
    ));
}

#[test]
fn a_wish_in_doubt_waits_until_the_doubt_is_settled() {
    let doubt = recorded(
        wishing(facts(Record::Open(submission())), cancel()),
        CancelledBy::Spec,
        None,
    );
    assert!(matches!(decide(&doubt).effect, Effect::ReadList(_)));
    let none = Facts {
        now: at(141),
        list: reading(141, Vec::new()),
        ..doubt
    };
    let by = CancelledBy::Spec;
    assert_eq!(
        decide(&none).situation,
        Situation::Ends(Ending::Cancelled(by))
    );
    let suspended = Facts {
        list: List::NotYet,
        cancellation: None,
        wishes: Wishes {
            suspend: Wish::Present,
            ..Wishes::default()
        },
        ..none
    };
    assert!(matches!(decide(&suspended).effect, Effect::ReadList(_)));
}

#[test]
fn a_suspended_export_is_not_submitted_and_a_running_one_goes_on() {
    let suspend = || Wishes {
        suspend: Wish::Present,
        ..Wishes::default()
    };
    let waits = decide(&wishing(facts(FRESH), suspend()));
    assert_eq!(waits, rest(Situation::Suspended));
    let running = known_with(seen("PROCESSING", Batches::NotAsked));
    let plan = decide(&wishing(running, suspend()));
    assert!(matches!(plan.effect, Effect::Follow(_, _, _)));
}

#[test]
fn an_export_that_takes_too_long_is_cancelled() {
    let running = known_with(seen("PROCESSING", Batches::NotAsked));
    let late = Wishes {
        deadline: Some(at(1)),
        ..Wishes::default()
    };
    let Effect::IntendCancel(cancellation) = decide(&wishing(running, late)).effect else {
        panic!()
    };
    assert_eq!(cancellation.by, CancelledBy::Deadline);
}

#[test]
fn a_failed_attempt_is_followed_by_another_once_the_failure_was_asked_for_anew() {
    let retries = Wishes {
        retries: 1,
        ..Wishes::default()
    };
    let failed = wishing(
        known_with(seen("FAILED", Batches::NotAsked)),
        retries.clone(),
    );
    assert!(matches!(decide(&failed).effect, Effect::Look(_, _)));
    let sure = Facts {
        sighted: Sighted::InThisPass,
        ..failed
    };
    assert!(matches!(decide(&sure).effect, Effect::Retry(_, _)));
    let second = Submission {
        attempt: 2,
        request_id: request::request_id("cluster", "uid", 2),
        ..posted_submission()
    };
    let shown = Job {
        request_id: Some(second.request_id.clone()),
        ..job("FAILED")
    };
    let last = Facts {
        record: Record::Known(second, JobId::new("24115")),
        sighting: Sighting::Job {
            job: Box::new(shown),
            batches: Batches::NotAsked,
        },
        ..sure
    };
    assert_eq!(decide(&last), rest(Situation::Ends(Ending::Failed)));
    let intent = decide(&wishing(facts(Record::Fresh { attempt: 2 }), retries)).effect;
    let Effect::Intend(intent) = intent else {
        panic!()
    };
    assert_eq!(intent.request_id, request::request_id("cluster", "uid", 2));
}

#[test]
fn a_second_job_of_one_request_is_recorded_and_then_cancelled() {
    let double = Job {
        id: JobId::new("24116"),
        ..job("PROCESSING")
    };
    let running = known_with(seen("PROCESSING", Batches::NotAsked));
    let found = Facts {
        doubles: vec![double.clone()],
        ..running.clone()
    };
    let Effect::Settle(recorded) = decide(&found).effect else {
        panic!()
    };
    assert_eq!(recorded.surplus_job_ids, ["24116"]);
    let with = |surplus| {
        let id = JobId::new("24116");
        decide(&Facts {
            record: Record::Known(recorded.clone(), JobId::new("24115")),
            surplus: vec![(id, surplus)],
            ..found.clone()
        })
        .effect
    };
    assert!(matches!(with(Surplus::Unseen), Effect::LookAtSurplus(_, _)));
    assert!(matches!(
        with(Surplus::Seen(Box::new(double.clone()))),
        Effect::CancelSurplus(_, _)
    ));
    let anothers = Job {
        request_id: Some("anothers".into()),
        ..double
    };
    for surplus in [Surplus::Seen(Box::new(anothers)), Surplus::LeftAlone] {
        assert!(matches!(with(surplus), Effect::Follow(_, _, _)));
    }
}

#[test]
fn the_surplus_in_a_status_made_for_another_object_is_left_alone_after_the_end_too() {
    let ended = |request_id: String| {
        let submission = Submission {
            request_id: request_id.clone(),
            surplus_job_ids: vec!["24116".into()],
            ..submission()
        };
        let surplus = Job {
            id: JobId::new("24116"),
            request_id: Some(request_id),
            ..job("PROCESSING")
        };
        decide(&Facts {
            surplus: vec![(surplus.id.clone(), Surplus::Seen(Box::new(surplus)))],
            ..facts(Record::Ended(Some((submission, JobId::new("24115")))))
        })
        .effect
    };
    let own = ended(submission().request_id);
    assert!(matches!(own, Effect::CancelSurplus(_, _)));
    assert_eq!(ended("of-another-object".into()), Effect::Release);
}

#[test]
fn an_object_goes_when_its_surplus_job_is_cancelled_or_its_deadline_is_over() {
    let with = |surplus, now| {
        let ended = recorded(
            deleted(known_with(seen("CANCELLED", Batches::NotAsked))),
            CancelledBy::Deletion,
            Some(at(1)),
        );
        decide(&Facts {
            surplus: vec![(JobId::new("24116"), surplus)],
            now: at(now),
            ..ended
        })
    };
    let refused = || Surplus::Refused(Cause::new(Reason::PlatformError, "no"));
    let away = || Surplus::OutOfReach(Cause::new(Reason::PlatformUnavailable, "down"));
    assert_eq!(with(Surplus::LeftAlone, 1).effect, Effect::Release);
    // Accepted is not ended.
    assert_eq!(with(Surplus::Asked, 1).effect, Effect::WakeAt(at(6)));
    assert_eq!(with(Surplus::Asked, 601).effect, Effect::Release);
    let surplus = |status| {
        Surplus::Seen(Box::new(Job {
            id: JobId::new("24116"),
            ..job(status)
        }))
    };
    let stopping = with(surplus("CANCELLING"), 1);
    assert_eq!(stopping.effect, Effect::WakeAt(at(6)));
    assert_eq!(with(surplus("CANCELLED"), 1).effect, Effect::Release);
    let kept = with(away(), 601);
    assert_eq!(kept.effect, Effect::WakeAt(at(606)));
    let held = with(refused(), 1);
    assert_eq!(held.effect, Effect::WakeAt(at(6)));
    let late = with(refused(), 601);
    assert_eq!(late.effect, Effect::Release);
    let Situation::Leaving(Farewell::Warning(cause)) = late.situation else {
        panic!()
    };
    assert_eq!(cause.reason, Reason::CancelTimedOut);
    assert!(cause.message.contains("job 24116"), "{cause:?}");
}

#[test]
fn an_export_that_has_ended_waits_for_its_surplus_job_for_a_while() {
    let with = |surplus, life, now| {
        let ended = Record::Ended(Some((posted_submission(), JobId::new("24115"))));
        let facts = Facts {
            surplus: vec![(JobId::new("24116"), surplus)],
            life,
            now: at(now),
            ..facts(ended)
        };
        decide(&facts).effect
    };
    let refused = || Surplus::OutOfReach(Cause::new(Reason::PlatformUnavailable, "down"));
    assert_eq!(with(refused(), Life::Live, 1), Effect::WakeAt(at(6)));
    assert_eq!(with(refused(), Life::Deleting, 1), Effect::WakeAt(at(6)));
    assert_eq!(with(refused(), Life::Live, 1000), Effect::Release);
    assert_eq!(with(Surplus::LeftAlone, Life::Live, 1), Effect::Release);
}

#[test]
fn a_job_with_our_id_that_came_after_anything_we_sent_stops_the_connection() {
    let clone = Job {
        id: JobId::new("24116"),
        creation_time: Some(at(141)),
        ..job("PROCESSING")
    };
    let plan = decide(&Facts {
        doubles: vec![clone],
        ..known_with(seen("PROCESSING", Batches::NotAsked))
    });
    let Effect::Distrust(cause) = plan.effect else {
        panic!()
    };
    assert_eq!(cause.reason, Reason::IdentityInUse);
}
