//! The rules of an export's decisions, one sentence each.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    super::{
        Cause, Need, Windows,
        creation::{Posted, posted},
    },
    *,
};
use crate::{
    api::{Cancellation, CancelledBy, Reason, SubmissionEvidence, Target},
    decide::connection::Failure,
    platform::{Batch, BatchId, Consequence, DatasetId, Echoed, Job, JobBatch, JobId, Refusal},
};

mod doubt;
mod goes;
mod life;
mod stops;

const NONCE: &str = "this-pass";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn identity() -> Identity {
    Identity {
        cluster: "cluster".into(),
        uid: "uid".into(),
        namespace: "marketing".into(),
        name: "weekly".into(),
    }
}

fn target() -> Target {
    Target {
        platform: "https://platform.adobe.io".into(),
        organization_id: "org@AdobeOrg".into(),
        sandbox: "prod".into(),
        dataset_id: Some("5b02".into()),
    }
}

fn destination() -> Destination {
    Destination {
        target: target(),
        body: body(),
        dataset: DatasetCheck::Suitable,
    }
}

fn submission() -> Submission {
    Submission {
        attempt: 1,
        r#try: NONCE.into(),
        request_id: request::request_id("cluster", "uid", 1),
        fingerprint: request::fingerprint(&body(), "org@AdobeOrg", "prod"),
        target: target(),
        intent_time: at(0),
        send_before: at(10),
        settle_after: at(140),
        outcome: None,
        evidence: None,
        candidates: Vec::new(),
        answer: None,
        surplus_job_ids: Vec::new(),
    }
}

fn body() -> Value {
    json!({ "fields": "a,b" })
}

const DELAYS: Delays = Delays {
    first: SignedDuration::from_secs(30),
    longest: SignedDuration::from_mins(30),
};

const FRESH: Record = Record::Fresh { attempt: 1 };

fn facts(record: Record) -> Facts {
    Facts {
        now: at(1),
        created: at(-60),
        life: Life::Live,
        departure: Departure::Ordinary,
        request: Request::Absent,
        finalizer: Finalizer::Present,
        identity: identity(),
        wishes: Wishes::default(),
        record,
        title: Title::Clear,
        body: body(),
        cancellation: None,
        destination: Need::Met(destination()),
        service: Need::Met(()),
        echo: Echo::Yes,
        rivals: Vec::new(),
        beginning: Beginning::Seen,
        list: List::NotYet,
        rejected: None,
        sighting: Sighting::Unseen,
        sighted: Sighted::Before,
        missing_since: None,
        asked: Asked::NotYet,
        failed: None,
        ended_at: None,
        managed: None,
        doubles: Vec::new(),
        surplus: Vec::new(),
        held: None,
        answer: None,
        nonce: "fresh".into(),
        pause: None,
        look_after: None,
        limits: Limits {
            windows: Windows {
                send: seconds(10),
                delivery: seconds(70),
                visibility: seconds(60),
            },
            batch: seconds(600),
            cancel: seconds(600),
            missing: seconds(600),
            retry: DELAYS,
        },
    }
}

fn job(status: &str) -> Job {
    Job {
        request_id: Some(submission().request_id),
        dataset_id: Some(DatasetId::new("5b02")),
        creation_time: Some(at(0)),
        update_time: Some(at(0)),
        batches: vec![JobBatch {
            id: BatchId::new("da5c"),
            segment_id: None,
            segment_ns: None,
            segment_status: Vec::new(),
        }],
        ..Job::bare(JobId::new("24115"), status)
    }
}

fn seen(status: &str, batches: Batches) -> Sighting {
    Sighting::Job {
        job: Box::new(job(status)),
        batches,
    }
}

fn batch(status: &str) -> Batches {
    let id = BatchId::new("da5c");
    let batch = Batch {
        id: id.clone(),
        status: status.into(),
        records: None,
        files: None,
        bytes: None,
    };
    Batches::Seen(vec![(id, Some(batch))])
}

fn known() -> Record {
    Record::Known(posted_submission(), JobId::new("24115"))
}

fn posted_submission() -> Submission {
    Submission {
        outcome: Some(SubmissionOutcome::Posted),
        evidence: Some(SubmissionEvidence::Reply),
        ..submission()
    }
}

fn known_with(sighting: Sighting) -> Facts {
    Facts {
        sighting,
        ..facts(known())
    }
}

fn deleted(facts: Facts) -> Facts {
    Facts {
        life: Life::Deleting,
        ..facts
    }
}

fn cancelling(accepted: Option<Timestamp>, now: Timestamp) -> Facts {
    let cancellation = Cancellation {
        requested_at: at(0),
        by: CancelledBy::Deletion,
        accepted_at: accepted,
        final_status: None,
    };
    let facts = known_with(seen("PROCESSING", Batches::NotAsked));
    Facts {
        cancellation: Some(cancellation),
        now,
        ..deleted(facts)
    }
}

#[test]
fn a_new_export_is_held_before_its_intent_is_recorded() {
    let unheld = Facts {
        finalizer: Finalizer::Absent,
        ..facts(FRESH)
    };
    assert_eq!(decide(&unheld).effect, Effect::Hold);
    let Effect::Intend(intent) = decide(&facts(FRESH)).effect else {
        panic!()
    };
    assert_eq!(intent.request_id, submission().request_id);
    assert_eq!(intent.r#try, "fresh");
    assert_eq!((intent.intent_time, intent.send_before), (at(1), at(11)));
    assert_eq!(intent.settle_after, at(141));
}

#[test]
fn a_dataset_named_by_id_is_looked_at_before_anything_is_recorded() {
    let due = DatasetCheck::Due(DatasetId::new("5b02"));
    let destination = Need::Met(Destination {
        dataset: due,
        ..destination()
    });
    let facts = Facts {
        destination,
        finalizer: Finalizer::Absent,
        ..facts(FRESH)
    };
    assert_eq!(
        decide(&facts).effect,
        Effect::CheckDataset(DatasetId::new("5b02"))
    );
}

#[test]
fn what_is_missing_is_waited_for_and_what_is_wrong_stalls() {
    let cause = Cause::new(Reason::ConnectionNotFound, "none");
    let waiting = Facts {
        destination: Need::Waiting(cause.clone()),
        ..facts(FRESH)
    };
    assert_eq!(decide(&waiting), rest(Situation::Waiting(cause.clone())));
    let wrong = Facts {
        destination: Need::Wrong(cause.clone()),
        ..facts(FRESH)
    };
    assert_eq!(decide(&wrong), rest(Situation::Blocked(cause)));
}

#[test]
fn a_status_made_for_another_object_is_not_read_and_nothing_of_it_is_cancelled() {
    let theirs = Submission {
        request_id: "of-another-object".into(),
        ..submission()
    };
    for record in [
        Record::Open(theirs.clone()),
        Record::Known(theirs, JobId::new("1")),
    ] {
        assert_eq!(decide(&facts(record.clone())), rest(Situation::Foreign));
        let plan = decide(&deleted(facts(record)));
        assert_eq!(
            (plan.situation, plan.effect),
            (Situation::Leaving(Farewell::Quiet), Effect::Release)
        );
    }
}

#[test]
fn a_job_is_followed_until_it_ends() {
    for sighting in [
        Sighting::Unseen,
        Sighting::Missing,
        Sighting::Trouble(Cause::new(Reason::PlatformUnavailable, "down")),
        seen("NEW", Batches::NotAsked),
        seen("CANCELLING", Batches::NotAsked),
        seen("PONDERING", Batches::NotAsked),
        seen("SUCCEEDED", Batches::NotAsked),
    ] {
        let plan = decide(&known_with(sighting.clone()));
        assert!(
            matches!(plan.effect, Effect::Follow(_, _, _)),
            "{sighting:?}"
        );
        assert!(
            matches!(plan.situation, Situation::Running(_)),
            "{sighting:?}"
        );
    }
    let failed = decide(&known_with(seen("FAILED", Batches::NotAsked)));
    assert_eq!(failed, rest(Situation::Ends(Ending::Failed)));
    let cancelled = decide(&known_with(seen("CANCELLED", Batches::NotAsked)));
    assert_eq!(
        cancelled,
        rest(Situation::Ends(Ending::CancelledInPlatform))
    );
}

#[test]
fn a_success_is_complete_when_every_batch_is_readable() {
    for status in ["success", "active"] {
        let plan = decide(&known_with(seen("SUCCEEDED", batch(status))));
        let readable = Ending::Succeeded(DataAvailability::Readable);
        assert_eq!(plan, rest(Situation::Ends(readable)), "{status}");
    }
}

#[test]
fn a_batch_that_is_not_readable_is_waited_for_and_not_for_ever() {
    let facts = known_with(seen("SUCCEEDED", batch("loading")));
    assert!(matches!(
        decide(&facts).situation,
        Situation::WaitingForBatch(_)
    ));
    let late = Facts {
        now: at(600),
        ..facts
    };
    let Situation::Ends(Ending::Succeeded(DataAvailability::Unknown(cause))) =
        decide(&late).situation
    else {
        panic!()
    };
    assert_eq!(cause.reason, Reason::BatchNotSeen);
}

#[test]
fn a_batch_that_failed_is_not_waited_for() {
    let plan = decide(&known_with(seen("SUCCEEDED", batch("aborted"))));
    let Situation::Ends(Ending::Succeeded(DataAvailability::Unknown(cause))) = plan.situation
    else {
        panic!()
    };
    assert_eq!(cause.reason, Reason::BatchUnreadable);
}

#[test]
fn a_finalizer_that_was_stripped_is_put_on_again_while_the_job_runs() {
    let stripped = Facts {
        finalizer: Finalizer::Absent,
        ..facts(known())
    };
    assert_eq!(decide(&stripped).effect, Effect::Hold);
}

#[test]
fn a_job_whose_connection_goes_elsewhere_is_neither_judged_nor_cancelled() {
    let cause = Cause::new(Reason::ConnectionNotFound, "elsewhere");
    let facts = Facts {
        service: Need::Waiting(cause),
        ..known_with(seen("FAILED", Batches::NotAsked))
    };
    assert!(matches!(
        decide(&facts).situation,
        Situation::Running(Some(_))
    ));
    let Effect::IntendCancel(cancellation) = decide(&deleted(facts.clone())).effect else {
        panic!()
    };
    let recorded = Facts {
        cancellation: Some(cancellation),
        ..deleted(facts)
    };
    let plan = decide(&recorded);
    assert!(matches!(plan.situation, Situation::Cancelling(_)));
    assert_eq!(plan.effect, Effect::Rest);
}

#[test]
fn an_ended_export_is_let_go_of_and_left_alone() {
    let held = decide(&facts(Record::Ended(None)));
    assert_eq!(
        (held.situation, held.effect),
        (Situation::AtRest, Effect::Release)
    );
    let free = Facts {
        finalizer: Finalizer::Absent,
        ..facts(Record::Ended(None))
    };
    assert_eq!(decide(&free), rest(Situation::AtRest));
}

#[test]
fn only_what_proves_that_a_request_was_not_taken_lets_it_be_sent_again() {
    let came_to = |consequence| {
        posted::<Job>(Err(Failure {
            consequence,
            message: "x".into(),
        }))
    };
    for consequence in [
        Consequence::Retry,
        Consequence::Throttled { retry_after: None },
        Consequence::Unauthenticated,
        Consequence::Forbidden,
        Consequence::Redirected,
        Consequence::InDoubt,
    ] {
        assert!(
            matches!(came_to(consequence), Posted::InDoubt(_)),
            "{consequence:?}"
        );
    }
    for consequence in [
        Consequence::NotSent,
        Consequence::Refused(Refusal::Unauthenticated),
        Consequence::Refused(Refusal::Forbidden),
        Consequence::Refused(Refusal::Throttled { retry_after: None }),
    ] {
        assert!(
            matches!(came_to(consequence), Posted::NotTaken { .. }),
            "{consequence:?}"
        );
    }
    for consequence in [Consequence::Rejected, Consequence::NotFound] {
        assert!(
            matches!(came_to(consequence), Posted::Rejected(_)),
            "{consequence:?}"
        );
    }
    assert!(matches!(posted(Ok(job("NEW"))), Posted::Taken(_)));
}
