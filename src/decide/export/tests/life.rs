//! What a spec wants beside the export: an end, a delay, another attempt, a time to live.

use super::*;
use crate::api::Attempt;

fn wanting(facts: Facts, wishes: Wishes) -> Facts {
    Facts { wishes, ..facts }
}

fn attempt(number: i64, start: i64, suspended: Option<bool>) -> Attempt {
    Attempt {
        attempt: number,
        request_id: request::request_id("cluster", "uid", number),
        job_id: format!("job-{number}"),
        outcome: "FAILED".into(),
        start_time: Some(at(start)),
        completion_time: at(start + 10),
        reason: "ExportFailed".into(),
        message: Some("no space".into()),
        suspended,
    }
}

#[test]
fn a_cancel_is_on_record_before_anything_else_and_stands_when_it_is_taken_back() {
    let cancel = Wishes {
        cancel: Wish::Present,
        ..Wishes::default()
    };
    let unreachable = Facts {
        service: Need::Waiting(Cause::new(Reason::ConnectionNotFound, "gone")),
        ..facts(known())
    };
    for facts in [facts(known()), unreachable] {
        let Effect::IntendCancel(cancellation) = decide(&wanting(facts, cancel.clone())).effect
        else {
            panic!()
        };
        assert_eq!(cancellation.by, CancelledBy::Spec);
        let taken_back = Facts {
            cancellation: Some(cancellation),
            ..known_with(seen("PROCESSING", Batches::NotAsked))
        };
        assert!(matches!(
            decide(&taken_back).effect,
            Effect::Cancel(_, _, _)
        ));
    }
}

#[test]
fn a_cancel_outweighs_a_suspension() {
    let both = Wishes {
        cancel: Wish::Present,
        suspend: Wish::Present,
        ..Wishes::default()
    };
    let plan = decide(&wanting(facts(FRESH), both));
    let ending = Ending::Cancelled(CancelledBy::Spec);
    assert_eq!(plan, rest(Situation::Ends(ending)));
}

#[test]
fn a_job_that_stays_away_counts_as_gone_after_the_grace_and_is_never_sent_again() {
    let retries = Wishes {
        retries: 3,
        ..Wishes::default()
    };
    let missing = |now, since: Option<i64>| Facts {
        now: at(now),
        missing_since: since.map(at),
        ..wanting(known_with(Sighting::Missing), retries.clone())
    };
    let first = decide(&missing(200, None));
    let Effect::Follow(_, _, Some(until)) = first.effect else {
        panic!("{first:?}")
    };
    assert_eq!(until, at(800));
    // While the platform may be late with what it has just taken, nothing counts.
    let young = decide(&Facts {
        limits: Limits {
            missing: seconds(1),
            ..facts(FRESH).limits
        },
        ..missing(100, Some(10))
    });
    assert!(matches!(young.effect, Effect::Follow(_, _, Some(until)) if until == at(140)));
    let late = decide(&missing(800, Some(200)));
    let Situation::Ends(Ending::Vanished(cause)) = late.situation else {
        panic!("{late:?}")
    };
    assert_eq!(
        (cause.reason, late.effect),
        (Reason::JobNotFound, Effect::Rest)
    );
}

#[test]
fn a_request_to_reconcile_has_the_job_or_the_list_looked_at_in_this_pass() {
    let asked = |facts| Facts {
        request: Request::Pending,
        ..facts
    };
    let running = asked(known_with(seen("PROCESSING", Batches::NotAsked)));
    assert!(matches!(decide(&running).effect, Effect::Look(_, _)));
    let looked = Facts {
        sighted: Sighted::InThisPass,
        ..running
    };
    assert!(matches!(decide(&looked).effect, Effect::Follow(_, _, _)));
    let doubt = Facts {
        look_after: Some(at(50)),
        ..facts(Record::Open(submission()))
    };
    assert!(matches!(decide(&doubt).effect, Effect::WakeAt(_)));
    assert!(matches!(decide(&asked(doubt)).effect, Effect::ReadList(_)));
}

#[test]
fn waits_between_attempts_grow_from_half_a_minute_to_half_an_hour_and_do_not_change() {
    let wait = |uid: &str, number| {
        let next = next_attempt(uid, number, at(0), DELAYS);
        assert_eq!(next, next_attempt(uid, number, at(0), DELAYS));
        next.duration_since(at(0)).as_secs()
    };
    for uid in ["a", "b", "c", "d"] {
        let waits: Vec<i64> = (1..=11).map(|number| wait(uid, number)).collect();
        assert!((30..=45).contains(&waits[0]), "{waits:?}");
        assert!((60..=90).contains(&waits[1]), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= 1800), "{waits:?}");
        assert_eq!(waits[10], 1800, "{waits:?}");
    }
    let firsts: std::collections::BTreeSet<i64> =
        (0..20).map(|uid| wait(&uid.to_string(), 1)).collect();
    assert!(firsts.len() > 3, "{firsts:?}");
}

#[test]
fn a_limit_that_was_lowered_between_two_attempts_ends_the_export_with_the_last_ones_words() {
    let between = |retries| {
        let wishes = Wishes {
            retries,
            ..Wishes::default()
        };
        Facts {
            failed: Some(attempt(1, 0, None)),
            ..wanting(facts(Record::Fresh { attempt: 2 }), wishes)
        }
    };
    assert!(matches!(decide(&between(1)).effect, Effect::Intend(_)));
    let Situation::Ends(Ending::NoFurtherAttempt(cause)) = decide(&between(0)).situation else {
        panic!()
    };
    assert!(cause.message.contains("no space"), "{}", cause.message);
}

#[test]
fn what_failed_stays_on_record_until_the_next_attempt() {
    let failed = posted_submission();
    assert_eq!(
        record(Some(&failed), None, 1, false),
        Record::Fresh { attempt: 2 }
    );
    let second = Submission {
        attempt: 2,
        ..submission()
    };
    assert_eq!(
        record(Some(&second), None, 1, false),
        Record::Open(second.clone())
    );
}

#[test]
fn the_time_that_an_export_may_take_runs_from_its_first_submission() {
    let open = Record::Open(submission());
    let second = Record::Open(Submission {
        attempt: 2,
        intent_time: at(100),
        ..submission()
    });
    let until = |record: &Record, attempts: &[Attempt], suspend| {
        deadline(Some(60), record, attempts, suspend)
    };
    assert_eq!(deadline(None, &open, &[], Wish::Absent), None);
    assert_eq!(until(&FRESH, &[], Wish::Absent), None);
    assert_eq!(until(&open, &[], Wish::Absent), Some(at(60)));
    let first = [attempt(1, 5, None)];
    let between = Record::Fresh { attempt: 2 };
    assert_eq!(until(&between, &first, Wish::Absent), Some(at(65)));
    assert_eq!(until(&second, &first, Wish::Absent), Some(at(65)));
    assert_eq!(until(&between, &first, Wish::Present), None);
    let suspended = [attempt(1, 5, Some(true))];
    assert_eq!(until(&between, &suspended, Wish::Absent), None);
    assert_eq!(until(&second, &suspended, Wish::Absent), Some(at(160)));
}

#[test]
fn an_export_is_looked_at_when_its_time_is_over_and_not_after_it_was_told_to_stop() {
    let wishes = Wishes {
        deadline: Some(at(60)),
        ..Wishes::default()
    };
    let running = wanting(known_with(seen("PROCESSING", Batches::NotAsked)), wishes);
    assert_eq!(due_by(&running), Some(at(60)));
    assert_eq!(due_by(&deleted(running)), None);
}

#[test]
fn an_object_at_rest_is_deleted_after_its_time_unless_something_would_create_it_again() {
    let wishes = |keep| Wishes {
        keep: Some(seconds(keep)),
        ..Wishes::default()
    };
    let rests = |keep, now| Facts {
        finalizer: Finalizer::Absent,
        ended_at: Some(at(0)),
        now: at(now),
        ..wanting(facts(Record::Ended(None)), wishes(keep))
    };
    assert_eq!(decide(&rests(60, 59)).effect, Effect::WakeAt(at(60)));
    assert_eq!(decide(&rests(60, 60)).effect, Effect::Expire);
    assert_eq!(decide(&rests(0, 0)).effect, Effect::Expire);
    let managed = Facts {
        managed: Some("the label x of Flux".into()),
        ..rests(0, 60)
    };
    assert_eq!(decide(&managed).effect, Effect::Rest);
    let kept = |facts: &Facts| kept_on(facts.managed.as_deref(), facts.wishes.keep);
    assert!(kept(&managed).unwrap().message.contains("Flux"));
    assert_eq!(kept(&rests(0, 60)), None);
    let held = Facts {
        finalizer: Finalizer::Present,
        ..rests(0, 60)
    };
    assert_eq!(decide(&held).effect, Effect::Release);
    assert_eq!(decide(&deleted(rests(0, 60))).effect, Effect::Rest);
}
