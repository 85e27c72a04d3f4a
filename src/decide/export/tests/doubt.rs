//! Before a request is sent, and what settles one of which nobody knows.

use super::*;

fn held(facts: Facts) -> Facts {
    Facts {
        held: Some(NONCE.into()),
        ..facts
    }
}

fn open() -> Facts {
    facts(Record::Open(submission()))
}

/// A reading of the list that began at this second, reached its end, and showed these.
fn read_at(began: i64, jobs: Vec<Job>) -> Reading {
    Reading {
        began: at(began),
        jobs,
        depth: Depth::End,
        quality: Quality::Clean,
        claims: Claims {
            complete_from: at(-1000),
            ..Claims::default()
        },
    }
}

fn settled_by(echo: Echo, reading: Reading) -> Plan {
    decide(&Facts {
        echo,
        now: reading.began,
        list: List::Read(reading),
        ..open()
    })
}

/// A job into the dataset within the window, with another request id.
fn strange(id: &str, created: i64) -> Job {
    Job {
        id: JobId::new(id),
        request_id: Some("somebody-elses".into()),
        creation_time: Some(at(created)),
        ..job("PROCESSING")
    }
}

fn adopted(plan: &Plan) -> (SubmissionEvidence, &str) {
    let Effect::Adopt(submission, job) = &plan.effect else {
        panic!("{plan:?}")
    };
    (submission.evidence.unwrap(), job.id.as_str())
}

fn outcome(plan: &Plan) -> SubmissionOutcome {
    let Effect::Settle(submission) = &plan.effect else {
        panic!("{plan:?}")
    };
    submission.outcome.unwrap()
}

fn is_ambiguous(plan: &Plan) -> bool {
    matches!(plan.situation, Situation::Ambiguous(_))
}

#[test]
fn only_the_pass_that_recorded_the_intent_may_send() {
    assert!(matches!(decide(&open()).effect, Effect::ReadList(_)));
    for nonce in ["another-pass", ""] {
        let plan = decide(&Facts {
            held: Some(nonce.into()),
            ..open()
        });
        assert!(matches!(plan.effect, Effect::ReadList(_)), "{nonce}");
    }
    assert!(matches!(decide(&held(open())).effect, Effect::Post(_, _)));
}

#[test]
fn a_request_is_not_sent_if_the_answer_to_the_intent_shows_that_anything_has_changed() {
    let mut elsewhere = destination();
    elsewhere.target.sandbox = "dev".into();
    let mut edited = destination();
    edited.body = json!({ "fields": "c" });
    let wish = |wishes| Facts {
        wishes,
        ..held(open())
    };
    let changed = [
        Facts {
            finalizer: Finalizer::Absent,
            ..held(open())
        },
        Facts {
            destination: Need::Met(elsewhere),
            ..held(open())
        },
        Facts {
            destination: Need::Met(edited),
            ..held(open())
        },
        wish(Wishes {
            cancel: Wish::Present,
            ..Wishes::default()
        }),
        wish(Wishes {
            suspend: Wish::Present,
            ..Wishes::default()
        }),
        wish(Wishes {
            deadline: Some(at(1)),
            ..Wishes::default()
        }),
    ];
    for facts in changed {
        assert_eq!(outcome(&decide(&facts)), SubmissionOutcome::NotSent);
    }
    let plan = decide(&deleted(held(open())));
    assert_eq!(
        (plan.situation, plan.effect),
        (Situation::Leaving(Farewell::Quiet), Effect::Release)
    );
}

#[test]
fn a_request_that_was_not_taken_waits_for_its_time() {
    let paused = |until| {
        decide(&Facts {
            pause: Some(Pause {
                until: at(until),
                cause: Cause::new(Reason::Refused, "x"),
            }),
            ..facts(FRESH)
        })
    };
    assert_eq!(paused(5).effect, Effect::WakeAt(at(5)));
    assert!(matches!(paused(1).effect, Effect::Intend(_)));
}

#[test]
fn a_record_is_open_until_an_id_an_end_or_a_proof_that_it_was_not_taken_is_there() {
    let with = |outcome| Submission {
        outcome,
        ..submission()
    };
    assert_eq!(record(None, None, 0, false), FRESH);
    assert_eq!(record(None, Some("1"), 0, false), FRESH);
    assert_eq!(record(None, None, 2, false), Record::Fresh { attempt: 3 });
    for outcome in [
        None,
        Some(SubmissionOutcome::Posted),
        Some(SubmissionOutcome::Adopted),
        Some(SubmissionOutcome::Rejected),
    ] {
        let submission = with(outcome);
        assert_eq!(
            record(Some(&submission), None, 0, false),
            Record::Open(submission.clone())
        );
    }
    for outcome in [
        SubmissionOutcome::NotSent,
        SubmissionOutcome::Refused,
        SubmissionOutcome::NotTaken,
    ] {
        let record = record(Some(&with(Some(outcome))), None, 0, false);
        assert_eq!(record, FRESH);
    }
    let (submission, job) = (submission(), JobId::new("24115"));
    assert_eq!(
        record(Some(&submission), Some("24115"), 0, false),
        Record::Known(submission.clone(), job.clone())
    );
    assert_eq!(
        record(Some(&submission), Some("24115"), 0, true),
        Record::Ended(Some((submission, job)))
    );
}

#[test]
fn without_request_ids_one_submission_at_a_time_goes_into_a_dataset() {
    let rivals = vec!["ExportJob other".to_owned()];
    for echo in [Echo::Unknown, Echo::No] {
        let waits = decide(&Facts {
            echo,
            rivals: rivals.clone(),
            ..facts(FRESH)
        });
        let Situation::Waiting(cause) = waits.situation else {
            panic!()
        };
        assert_eq!(cause.reason, Reason::WaitingForSubmission);
    }
    let shared = decide(&Facts {
        rivals,
        ..facts(FRESH)
    });
    assert!(matches!(shared.effect, Effect::Intend(_)));
}

#[test]
fn what_this_process_did_not_see_begin_is_looked_for_once_before_it_is_sent() {
    let unseen = |list| Facts {
        beginning: Beginning::Unseen,
        list,
        ..facts(FRESH)
    };
    let Effect::ReadList(Back::ToCreation(since)) = decide(&unseen(List::NotYet)).effect else {
        panic!()
    };
    assert!(since < at(-60));
    let nothing = decide(&unseen(List::Read(read_at(1, vec![strange("7", 0)]))));
    assert!(matches!(nothing.effect, Effect::Intend(_)));
    let hit = decide(&unseen(List::Read(read_at(1, vec![job("PROCESSING")]))));
    assert_eq!(adopted(&hit), (SubmissionEvidence::RequestId, "24115"));
    // The first attempt failed, and the record of the third was lost with it.
    let facts = unseen(List::NotYet);
    let Identity { cluster, uid, .. } = &facts.identity;
    let third = Job {
        id: JobId::new("24117"),
        request_id: Some(request::request_id(cluster, uid, 3)),
        ..job("PROCESSING")
    };
    let lost = decide(&unseen(List::Read(read_at(1, vec![job("FAILED"), third]))));
    assert_eq!(adopted(&lost), (SubmissionEvidence::RequestId, "24117"));
    let dumb = Facts {
        echo: Echo::No,
        ..unseen(List::NotYet)
    };
    assert!(matches!(decide(&dumb).effect, Effect::Intend(_)));
}

#[test]
fn a_look_for_a_lost_record_counts_only_if_it_was_whole() {
    let looked = |depth, quality| {
        let reading = Reading {
            depth,
            quality,
            ..read_at(1, Vec::new())
        };
        decide(&Facts {
            beginning: Beginning::Unseen,
            list: List::Read(reading),
            ..facts(FRESH)
        })
        .effect
    };
    for (depth, quality) in [
        (Depth::Short, Quality::Clean),
        (Depth::To(at(-60)), Quality::Clean),
        (Depth::End, Quality::Flawed),
    ] {
        let effect = looked(depth, quality);
        assert_eq!(effect, Effect::LookAgain(None), "{depth:?} {quality:?}");
    }
    for depth in [Depth::End, Depth::To(at(-100_000))] {
        let effect = looked(depth, Quality::Clean);
        assert!(matches!(effect, Effect::Intend(_)), "{depth:?}");
    }
}

#[test]
fn what_a_backup_tool_restored_without_its_status_is_held() {
    let restored = Facts {
        beginning: Beginning::Restored,
        ..facts(FRESH)
    };
    let Situation::Blocked(cause) = decide(&restored).situation else {
        panic!()
    };
    assert_eq!(cause.reason, Reason::RestoredWithoutStatus);
}

#[test]
fn a_job_with_the_request_id_is_taken_up_at_once_whatever_is_known_of_ids() {
    for echo in [Echo::Yes, Echo::Unknown, Echo::No] {
        let plan = settled_by(echo, read_at(1, vec![strange("7", 0), job("NEW")]));
        assert_eq!(adopted(&plan), (SubmissionEvidence::RequestId, "24115"));
    }
}

#[test]
fn of_two_jobs_of_one_request_a_live_one_is_kept_and_then_the_oldest() {
    let of = |id: &str, status, created| Job {
        id: JobId::new(id),
        creation_time: Some(at(created)),
        ..job(status)
    };
    let jobs = vec![
        of("1", "FAILED", 1),
        of("3", "PROCESSING", 3),
        of("2", "PROCESSING", 2),
    ];
    let plan = settled_by(Echo::Yes, read_at(4, jobs));
    let Effect::Adopt(submission, kept) = plan.effect else {
        panic!()
    };
    assert_eq!(kept.id, JobId::new("2"));
    assert_eq!(submission.surplus_job_ids, ["3", "1"]);
}

#[test]
fn that_there_is_none_counts_only_from_a_reading_that_began_after_the_window() {
    for echo in [Echo::Yes, Echo::Unknown, Echo::No] {
        let early = settled_by(echo, read_at(140, Vec::new()));
        assert!(
            matches!(early.effect, Effect::LookAgain(Some(_))),
            "{echo:?}"
        );
        let late = settled_by(echo, read_at(141, Vec::new()));
        assert_eq!(outcome(&late), SubmissionOutcome::NotTaken, "{echo:?}");
    }
}

#[test]
fn that_there_is_none_counts_only_from_a_reading_that_is_whole() {
    let flawed = Reading {
        quality: Quality::Flawed,
        ..read_at(141, Vec::new())
    };
    let short = Reading {
        depth: Depth::Short,
        ..read_at(141, Vec::new())
    };
    let shallow = Reading {
        depth: Depth::To(at(0)),
        ..read_at(141, Vec::new())
    };
    for reading in [flawed.clone(), short, shallow] {
        let plan = settled_by(Echo::Yes, reading);
        assert!(matches!(plan.effect, Effect::LookAgain(_)), "{plan:?}");
    }
    let deep = Reading {
        depth: Depth::To(at(-1)),
        ..read_at(141, Vec::new())
    };
    assert_eq!(
        outcome(&settled_by(Echo::Yes, deep)),
        SubmissionOutcome::NotTaken
    );
    // For ever, nobody waits.
    let lasting = Reading {
        began: at(800),
        ..flawed
    };
    assert!(is_ambiguous(&settled_by(Echo::Yes, lasting)));
}

#[test]
fn what_may_have_been_submitted_before_the_process_began_is_looked_for_before_it_ends() {
    let cancelled = Facts {
        beginning: Beginning::Unseen,
        wishes: Wishes {
            cancel: Wish::Present,
            ..Wishes::default()
        },
        ..facts(FRESH)
    };
    let deleted = Facts {
        beginning: Beginning::Unseen,
        life: Life::Deleting,
        ..facts(FRESH)
    };
    let failed = || List::Failed(Cause::new(Reason::PlatformUnavailable, "down"));
    for stopped in [&cancelled, &deleted] {
        assert!(matches!(decide(stopped).effect, Effect::ReadList(_)));
        let ours = job("PROCESSING");
        let found = Facts {
            list: List::Read(read_at(1, vec![ours])),
            ..stopped.clone()
        };
        assert!(matches!(decide(&found).effect, Effect::Adopt(_, _)));
        let none = Facts {
            list: List::Read(read_at(1, Vec::new())),
            ..stopped.clone()
        };
        assert!(matches!(
            decide(&none).situation,
            Situation::Ends(Ending::Cancelled(_)) | Situation::Leaving(Farewell::Quiet)
        ));
    }
    let unread = |stopped: &Facts| {
        decide(&Facts {
            list: failed(),
            ..stopped.clone()
        })
    };
    assert!(matches!(unread(&cancelled).effect, Effect::LookAgain(_)));
    assert_eq!(unread(&deleted).effect, Effect::Release, "does not wait");
    let let_go = Facts {
        finalizer: Finalizer::Absent,
        ..deleted
    };
    assert_eq!(decide(&let_go).effect, Effect::Rest);
}

#[test]
fn where_ids_are_shown_a_job_without_ours_is_never_taken_up_but_asked_about() {
    let plan = settled_by(Echo::Yes, read_at(141, vec![strange("7", 5)]));
    assert!(is_ambiguous(&plan));
    let Effect::Settle(asked) = plan.effect else {
        panic!()
    };
    assert_eq!(asked.candidates[0].job_id, "7");
    assert_eq!(asked.outcome, None);
}

#[test]
fn without_ids_the_only_job_that_can_be_it_is_taken_up_after_the_window() {
    let bare = |id: &str, created| Job {
        request_id: None,
        ..strange(id, created)
    };
    for echo in [Echo::Unknown, Echo::No] {
        let early = settled_by(echo, read_at(140, vec![bare("7", 5)]));
        assert!(matches!(early.effect, Effect::LookAgain(_)));
        let plan = settled_by(echo, read_at(141, vec![bare("7", 5)]));
        assert_eq!(adopted(&plan), (SubmissionEvidence::Window, "7"));
        let two = vec![bare("7", 5), bare("8", 6)];
        assert!(is_ambiguous(&settled_by(echo, read_at(141, two))));
    }
}

#[test]
fn a_job_that_shows_another_id_is_asked_about_until_ids_are_known_not_to_be_ours() {
    let showing = |echo| settled_by(echo, read_at(141, vec![strange("7", 5)]));
    assert!(is_ambiguous(&showing(Echo::Unknown)));
    let unlike = showing(Echo::No);
    assert_eq!(adopted(&unlike), (SubmissionEvidence::Window, "7"));
}

#[test]
fn what_cannot_be_the_submissions_job_is_no_candidate() {
    let elsewhere = Job {
        dataset_id: Some(DatasetId::new("other")),
        ..strange("1", 5)
    };
    let other_body = Job {
        echoed: Echoed::new([("fields", &json!("c"))]),
        ..strange("2", 5)
    };
    let mut reading = read_at(
        141,
        vec![
            elsewhere,
            other_body,
            strange("before", -1),
            strange("after", 141),
            strange("claimed", 5),
            Job {
                request_id: Some("of-another-object".into()),
                ..strange("in-flight", 5)
            },
            Job {
                request_id: Some(request::request_id("cluster", "of-a-deleted-object", 1)),
                ..strange("deleted", 5)
            },
        ],
    );
    reading.claims.jobs = vec![JobId::new("claimed")];
    reading.claims.request_ids = vec!["of-another-object".into()];
    let plan = settled_by(Echo::No, reading);
    assert_eq!(outcome(&plan), SubmissionOutcome::NotTaken);
}

#[test]
fn while_others_submit_into_the_dataset_no_job_is_guessed_to_be_ours() {
    let contended = |began| {
        let mut reading = read_at(began, vec![strange("7", 5)]);
        reading.claims.open = vec!["ExportJob other".into()];
        settled_by(Echo::No, reading)
    };
    assert!(matches!(contended(141).effect, Effect::LookAgain(_)));
    assert!(is_ambiguous(&contended(800)));
}

#[test]
fn a_young_process_does_not_guess_since_a_deleted_object_may_own_the_job() {
    let mut reading = read_at(141, vec![strange("7", 5)]);
    reading.claims.complete_from = at(200);
    let plan = settled_by(Echo::No, reading);
    assert!(matches!(plan.effect, Effect::LookAgain(_)), "{plan:?}");
}

#[test]
fn an_old_submission_that_no_list_shows_is_a_persons_to_judge() {
    let day = 24 * 60 * 60;
    let plan = settled_by(Echo::Yes, read_at(day + 1, Vec::new()));
    assert!(is_ambiguous(&plan));
    assert!(matches!(plan.effect, Effect::LookAgain(_)));
}

#[test]
fn once_a_person_was_asked_only_the_request_id_or_the_persons_word_decides() {
    let asked = Submission {
        candidates: vec![crate::api::Candidate {
            job_id: "7".into(),
            status: "PROCESSING".into(),
            creation_time: Some(at(5)),
        }],
        ..submission()
    };
    let at_141 = |jobs, answer: Option<&str>| {
        decide(&Facts {
            now: at(141),
            echo: Echo::No,
            list: List::Read(read_at(141, jobs)),
            answer: answer.and_then(Answer::parse),
            ..facts(Record::Open(asked.clone()))
        })
    };
    assert!(is_ambiguous(&at_141(Vec::new(), None)));
    assert!(is_ambiguous(&at_141(vec![strange("7", 5)], None)));
    let plan = at_141(vec![job("NEW")], None);
    assert_eq!(adopted(&plan).0, SubmissionEvidence::RequestId);
    let plan = at_141(vec![strange("7", 5)], Some("this-pass=7"));
    assert_eq!(adopted(&plan), (SubmissionEvidence::Person, "7"));
    let plan = at_141(vec![strange("7", 5)], Some("this-pass=none"));
    assert_eq!(outcome(&plan), SubmissionOutcome::NotTaken);
    for other in ["another-try=7", "this-pass=8", "this-pass=", "7"] {
        let plan = at_141(vec![strange("7", 5)], Some(other));
        assert!(is_ambiguous(&plan), "{other}");
    }
}

#[test]
fn a_rejected_request_is_looked_for_once_and_then_it_is_the_end() {
    let cause = Cause::new(Reason::Rejected, "no");
    let rejected = Facts {
        rejected: Some(cause.clone()),
        ..open()
    };
    assert!(matches!(decide(&rejected).effect, Effect::ReadList(_)));
    let with = |jobs| {
        decide(&Facts {
            list: List::Read(read_at(1, jobs)),
            ..rejected.clone()
        })
    };
    assert_eq!(
        with(Vec::new()).situation,
        Situation::Ends(Ending::Rejected(cause))
    );
    assert_eq!(
        adopted(&with(vec![job("NEW")])).0,
        SubmissionEvidence::RequestId
    );
}

#[test]
fn a_connection_that_goes_elsewhere_settles_nothing() {
    let cause = Cause::new(Reason::ConnectionNotFound, "elsewhere");
    let plan = decide(&Facts {
        service: Need::Waiting(cause.clone()),
        list: List::Read(read_at(141, Vec::new())),
        ..open()
    });
    assert_eq!(plan, rest(Situation::InDoubt(cause)));
}

#[test]
fn a_reading_that_told_nothing_is_not_repeated_before_its_time() {
    let plan = decide(&Facts {
        look_after: Some(at(9)),
        ..open()
    });
    assert_eq!(plan.effect, Effect::WakeAt(at(9)));
}

#[test]
fn a_reply_that_names_another_objects_job_is_a_doubt() {
    let came = came_to(&submission(), Posted::Taken(job("NEW")), |_| true);
    assert!(matches!(came, CameTo::InDoubt(_)));
    let came = came_to(&submission(), Posted::Taken(job("NEW")), |_| false);
    assert!(matches!(came, CameTo::Posted(_, _)));
}
