//! Objects that go: with what is out of reach, with their namespace, abandoned, or leaving their
//! job to run.

use super::*;
use crate::api::ExportDeletionPolicy;

fn going(facts: Facts, departure: Departure) -> Facts {
    Facts {
        departure,
        ..deleted(facts)
    }
}

fn asked_for(facts: Facts, now: i64) -> Facts {
    Facts {
        cancellation: Some(Cancellation {
            requested_at: at(0),
            by: CancelledBy::Deletion,
            accepted_at: None,
            final_status: None,
        }),
        now: at(now),
        ..facts
    }
}

fn down() -> Cause {
    Cause::new(Reason::PlatformUnavailable, "down")
}

/// Every way in which nobody can be asked.
fn out_of_reach() -> Vec<Facts> {
    let no_service = |record| Facts {
        service: Need::Waiting(down()),
        ..facts(record)
    };
    let no_list = Facts {
        list: List::Failed(down()),
        ..facts(Record::Open(submission()))
    };
    let not_asked = Facts {
        asked: Asked::OutOfReach(down()),
        ..known_with(seen("PROCESSING", Batches::NotAsked))
    };
    vec![
        no_service(known()),
        no_service(Record::Open(submission())),
        known_with(Sighting::Trouble(down())),
        no_list,
        not_asked,
    ]
}

#[test]
fn what_cannot_be_asked_is_recorded_and_then_waited_for_beyond_every_deadline() {
    for facts in out_of_reach() {
        let first = going(facts.clone(), Departure::Ordinary);
        assert!(
            matches!(decide(&first).effect, Effect::IntendCancel(_)),
            "{facts:?}"
        );
        let late = asked_for(going(facts, Departure::Ordinary), 100_000);
        let Plan { situation, effect } = decide(&late);
        assert!(!matches!(effect, Effect::Release), "{late:?}");
        let Situation::Cancelling(cause) = situation else {
            panic!("{situation:?}")
        };
        assert_eq!(cause.reason, Reason::PlatformUnavailable);
        assert!(
            cause.message.contains("aep-export.dev/abandon=uid"),
            "{}",
            cause.message
        );
    }
}

#[test]
fn with_its_namespace_an_object_goes_at_the_deadline_and_its_warning_says_what_is_left() {
    for facts in out_of_reach() {
        let early = asked_for(going(facts.clone(), Departure::WithNamespace), 599);
        let Plan { situation, effect } = decide(&early);
        assert!(
            matches!(situation, Situation::Cancelling(_)),
            "{situation:?}"
        );
        assert!(
            !matches!(effect, Effect::Release | Effect::Rest),
            "{effect:?}"
        );
        let late = asked_for(going(facts, Departure::WithNamespace), 600);
        let Plan { situation, effect } = decide(&late);
        assert_eq!(effect, Effect::Release, "{late:?}");
        let Situation::Leaving(Farewell::Warning(cause)) = situation else {
            panic!("{situation:?}")
        };
        let named = ["24115", &submission().request_id];
        assert!(
            named.iter().any(|id| cause.message.contains(id)),
            "{}",
            cause.message
        );
    }
}

#[test]
fn a_job_that_the_platform_does_not_cancel_is_let_go_at_the_deadline() {
    let refused = Facts {
        asked: Asked::Refused(Cause::new(Reason::PlatformUnavailable, "400")),
        ..known_with(seen("PROCESSING", Batches::NotAsked))
    };
    let early = decide(&asked_for(deleted(refused.clone()), 599));
    assert_eq!(early.effect, Effect::BackOff);
    let late = decide(&asked_for(deleted(refused), 600));
    assert_eq!(late.effect, Effect::Release);
    assert!(matches!(
        late.situation,
        Situation::Leaving(Farewell::Warning(Cause {
            reason: Reason::CancelTimedOut,
            ..
        }))
    ));
}

#[test]
fn an_abandoned_object_goes_at_once_from_wherever_it_is() {
    for record in [Record::Open(submission()), known()] {
        let Plan { situation, effect } = decide(&going(facts(record), Departure::Abandoned));
        assert_eq!(effect, Effect::Release);
        assert!(
            matches!(situation, Situation::Leaving(Farewell::Warning(_))),
            "{situation:?}"
        );
    }
    for record in [FRESH, Record::Ended(None)] {
        let plan = decide(&going(facts(record), Departure::Abandoned));
        assert_eq!(plan.situation, Situation::Leaving(Farewell::Quiet));
    }
}

#[test]
fn a_word_that_abandons_says_nothing_of_an_object_that_stays() {
    let stays = Facts {
        departure: Departure::Abandoned,
        ..known_with(seen("PROCESSING", Batches::NotAsked))
    };
    assert!(matches!(decide(&stays).effect, Effect::Follow(_, _, _)));
}

fn orphaning(facts: Facts) -> Facts {
    let wishes = Wishes {
        on_deletion: ExportDeletionPolicy::Orphan,
        ..Wishes::default()
    };
    Facts {
        wishes,
        ..deleted(facts)
    }
}

#[test]
fn an_orphan_is_left_to_run_without_a_call() {
    let Plan { situation, effect } = decide(&orphaning(facts(known())));
    assert_eq!(effect, Effect::Release);
    let Situation::Leaving(Farewell::LeftToRun(cause)) = situation else {
        panic!("{situation:?}")
    };
    assert!(cause.message.contains("24115"), "{}", cause.message);
}

#[test]
fn an_orphan_in_doubt_goes_once_its_request_cannot_be_sent_any_more() {
    let doubt = |now| Facts {
        now: at(now),
        ..orphaning(facts(Record::Open(submission())))
    };
    assert!(matches!(decide(&doubt(10)).effect, Effect::WakeAt(_)));
    assert_eq!(decide(&doubt(11)).effect, Effect::Release);
}

#[test]
fn an_orphan_that_holds_the_right_to_send_does_not_send() {
    let held = Facts {
        held: Some(NONCE.into()),
        ..orphaning(facts(Record::Open(submission())))
    };
    let plan = decide(&held);
    assert_eq!(plan.effect, Effect::Release);
    assert_eq!(plan.situation, Situation::Leaving(Farewell::Quiet));
}
