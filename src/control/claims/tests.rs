//! Who may submit into a dataset, and whose a job is.

use jiff::ToSpan;
use serde_json::{Value, json};

use super::*;
use crate::{api::SubmissionOutcome, decide::request::request_id};

fn dataset(id: &str) -> Target {
    Target {
        platform: "https://platform.adobe.io".into(),
        organization_id: "org@AdobeOrg".into(),
        sandbox: "prod".into(),
        dataset_id: Some(id.into()),
    }
}

fn window() -> SignedDuration {
    SignedDuration::from_secs(140)
}

fn now() -> Timestamp {
    "2026-11-25T08:00:00Z".parse().unwrap()
}

/// An export at a version of its own, with what its status has on record beside the submission.
fn export(uid: &str, version: u64, status: &Value) -> ExportJob {
    serde_json::from_value(json!({
        "apiVersion": "aep-export.dev/v1alpha1",
        "kind": "ExportJob",
        "metadata": {
            "name": uid, "namespace": "team", "uid": uid,
            "resourceVersion": version.to_string(),
        },
        "spec": { "export": { "destination": { "datasetRef": { "name": "profiles" } } } },
        "status": status,
    }))
    .unwrap()
}

fn submitted(uid: &str, version: u64, job: Option<&str>) -> ExportJob {
    let status = json!({
        "jobId": job,
        "submission": {
            "attempt": 1, "try": "nonce", "requestId": request_id("cluster", uid, 1), "fingerprint": "x",
            "target": dataset("a"), "intentTime": now(), "sendBefore": now(),
            "settleAfter": now(), "outcome": job.map(|_| "Posted"),
        },
    });
    export(uid, version, &status)
}

fn new(uid: &str) -> ExportJob {
    export(uid, 1, &Value::Null)
}

#[test]
fn a_dataset_that_is_taken_is_free_again_when_what_became_of_it_is_on_record() {
    let claims = Claims::default();
    assert_eq!(
        claims.take("one", &dataset("a"), Share::Exclusive),
        Taken::Yes
    );
    assert_eq!(
        claims.take("two", &dataset("a"), Share::Exclusive),
        Taken::No
    );
    assert_eq!(
        claims.take("two", &dataset("b"), Share::Exclusive),
        Taken::Yes
    );
    assert_eq!(
        claims.take("three", &dataset("a"), Share::Shared),
        Taken::Yes
    );
    claims.release("three");
    claims.observe(&submitted("one", 2, None));
    claims.release("one");
    assert_eq!(claims.rivals("two", &dataset("a")).len(), 1, "in doubt");
    claims.observe(&submitted("one", 3, Some("7")));
    assert_eq!(
        claims.take("two", &dataset("a"), Share::Exclusive),
        Taken::Yes
    );
}

#[test]
fn an_older_version_of_an_object_tells_nothing() {
    let claims = Claims::default();
    claims.observe(&submitted("one", 3, Some("7")));
    claims.observe(&submitted("one", 2, None));
    assert!(claims.rivals("two", &dataset("a")).is_empty());
    assert!(claims.is_claimed(&dataset("a"), &JobId::new("7")));
}

#[test]
fn an_attempt_is_seen_to_begin_after_one_that_was() {
    let claims = Claims::default();
    claims.present(&new("followed"));
    claims.observe(&submitted("followed", 2, Some("7")));
    assert!(!claims.has_begun("followed", 1), "its record may get lost");
    claims.failed("followed", 1);
    assert!(claims.has_begun("followed", 2));
    claims.observe(&submitted("taken-over", 1, Some("8")));
    claims.failed("taken-over", 1);
    assert!(!claims.has_begun("taken-over", 2));
    claims.relisted(None, &[], window());
    claims.failed("followed", 2);
    assert!(!claims.has_begun("followed", 3));
}

#[test]
fn only_what_appeared_without_a_submission_was_seen_to_begin() {
    let claims = Claims::default();
    claims.present(&new("seen"));
    assert!(claims.has_begun("seen", 1));
    assert!(!claims.has_begun("seen", 2));
    claims.present(&submitted("taken-over", 1, None));
    assert!(!claims.has_begun("taken-over", 1));
    let mut restored = new("restored");
    restored
        .labels_mut()
        .insert(RESTORED_LABEL.into(), "nightly".into());
    claims.present(&restored);
    assert!(!claims.has_begun("restored", 1));
    let there = [Arc::new(new("seen"))];
    claims.relisted(None, &there, window());
    assert!(!claims.has_begun("seen", 1), "the list may be an older one");
    claims.present(&export("seen", 2, &Value::Null));
    assert!(!claims.has_begun("seen", 1), "it was there before");
}

#[test]
fn an_attempt_that_was_submitted_does_not_count_as_seen_when_its_record_is_lost() {
    let claims = Claims::default();
    claims.present(&new("one"));
    claims.observe(&submitted("one", 2, None));
    claims.present(&export("one", 3, &Value::Null));
    assert!(!claims.has_begun("one", 1));
    // What this process knows to be untaken it may send again.
    claims.begun("one", 1);
    let mut untaken = submitted("one", 4, None);
    let status = untaken.status.as_mut().unwrap();
    status.submission.as_mut().unwrap().outcome = Some(SubmissionOutcome::NotTaken);
    claims.observe(&untaken);
    assert!(claims.has_begun("one", 1));
}

#[test]
fn what_a_deleted_object_had_stays_claimed_until_its_time_is_over() {
    let claims = Claims::default();
    claims.observe(&submitted("one", 2, Some("7")));
    claims.gone("one", window());
    assert!(claims.is_claimed(&dataset("a"), &JobId::new("7")));
    let at = |time| claims.facts("two", &dataset("a"), time, &[]);
    let soon = at(now() + 4.minutes());
    assert_eq!(soon.jobs, [JobId::new("7")]);
    assert_eq!(soon.request_ids, [request_id("cluster", "one", 1)]);
    assert_eq!(at(now() + 5.minutes()).jobs, []);
}

#[test]
fn an_object_that_a_new_list_lacks_is_gone() {
    let claims = Claims::default();
    claims.observe(&submitted("one", 2, None));
    claims.listing(Some("elsewhere"));
    claims.relisted(Some("elsewhere"), &[], window());
    assert_eq!(claims.rivals("two", &dataset("a")).len(), 1);
    claims.listing(Some("team"));
    claims.relisted(Some("team"), &[], window());
    assert!(claims.rivals("two", &dataset("a")).is_empty());
}

#[test]
fn what_a_list_showed_on_its_way_is_there_though_no_store_has_it() {
    let claims = Claims::default();
    claims.observe(&submitted("one", 9, Some("7")));
    claims.listing(None);
    // A restored API server counts on from before.
    claims.list(&submitted("one", 2, Some("8")));
    claims.relisted(None, &[], window());
    assert!(claims.is_claimed(&dataset("a"), &JobId::new("8")));
    assert!(!claims.is_claimed(&dataset("a"), &JobId::new("7")));
    claims.listing(None);
    claims.relisted(None, &[], window());
    assert_eq!(
        claims.facts("two", &dataset("a"), now(), &[]).request_ids,
        [request_id("cluster", "one", 1)],
        "deleted"
    );
}

#[test]
fn nothing_is_kept_of_an_object_that_is_gone_but_what_its_jobs_are() {
    let claims = Claims::default();
    for uid in ["one", "two"] {
        claims.present(&new(uid));
        claims.observe(&submitted(uid, 2, None));
        claims.observe(&submitted(uid, 3, Some("7")));
    }
    claims.gone("one", window());
    assert!(claims.is_claimed(&dataset("a"), &JobId::new("7")));
    claims.gone("two", window());
    let inner = claims.inner();
    assert!(inner.records.is_empty() && inner.begun.is_empty() && inner.taken.is_empty());
    assert_eq!(inner.tombstones.len(), 2);
}

#[test]
fn what_was_just_listed_counts_more_than_what_a_watch_has_brought() {
    let claims = Claims::default();
    claims.observe(&submitted("one", 2, None));
    let listed = [submitted("one", 3, Some("7")), submitted("own", 3, None)];
    let facts = claims.facts("own", &dataset("a"), now(), &listed);
    assert_eq!(facts.jobs, [JobId::new("7")]);
    let others = [request_id("cluster", "one", 1)];
    assert_eq!(facts.request_ids, others, "its own is not another's");
    assert!(facts.open.is_empty());
}

#[test]
fn of_two_objects_with_one_job_the_earlier_submission_has_the_title() {
    let claims = Claims::default();
    let mut later = submitted("later", 1, Some("7"));
    if let Some(submission) = later.status.as_mut().and_then(|s| s.submission.as_mut()) {
        submission.intent_time = now() + 1.minute();
    }
    claims.observe(&later);
    claims.observe(&submitted("earlier", 1, Some("7")));
    let title = |uid| claims.title("cluster", uid, &dataset("a"), &JobId::new("7"));
    assert_eq!(title("later"), Title::Contested);
    assert_eq!(title("earlier"), Title::Clear);
}

#[test]
fn who_copied_the_submission_of_another_object_contests_no_title() {
    let claims = Claims::default();
    let own = submitted("own", 1, Some("7"));
    let mut copy = submitted("a-copy", 1, Some("7"));
    copy.status.clone_from(&own.status);
    claims.observe(&own);
    claims.observe(&copy);
    let title = claims.title("cluster", "own", &dataset("a"), &JobId::new("7"));
    assert_eq!(title, Title::Clear);
}

#[tokio::test]
async fn a_young_process_does_not_know_of_all_deletions() {
    let claims = Claims::default();
    let from = || claims.facts("one", &dataset("a"), now(), &[]).complete_from;
    assert_eq!(from(), Timestamp::MAX);
    claims.complete_from(Instant::now() + std::time::Duration::from_mins(1));
    assert!(from() > now());
    let claims = Claims::default();
    claims.complete_from(Instant::now());
    let facts = claims.facts("one", &dataset("a"), now(), &[]);
    assert_eq!(facts.complete_from, Timestamp::MIN);
}

#[test]
fn what_a_shards_watch_brings_may_have_begun_elsewhere() {
    let claims = Claims::default();
    claims.arrived(&new("one"), window());
    assert!(!claims.has_begun("one", 1));
    claims.begun("one", 1);
    claims.arrived(&new("one"), window());
    assert!(claims.has_begun("one", 1), "it was looked for since");
}

#[test]
fn a_doubt_that_comes_from_another_shard_waits_for_what_was_deleted_there() {
    let claims = Claims::default();
    let from = || claims.facts("one", &dataset("a"), now(), &[]).complete_from;
    claims.complete_from(Instant::now());
    claims.arrived(&submitted("settled", 1, Some("1")), window());
    claims.observe(&submitted("own", 1, None));
    claims.arrived(&submitted("own", 2, None), window());
    assert_eq!(from(), Timestamp::MIN);
    claims.arrived(&submitted("one", 1, None), window());
    assert!(from() > now());
}

#[test]
fn what_is_back_from_another_shard_is_not_its_own_rival() {
    let claims = Claims::default();
    claims.observe(&submitted("one", 1, None));
    claims.gone("one", window());
    let open = || claims.facts("one", &dataset("a"), now(), &[]).open.len();
    assert_eq!(open(), 1, "of a deleted one");
    claims.observe(&submitted("one", 2, None));
    assert_eq!(open(), 0);
}
