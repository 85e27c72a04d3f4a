//! Which job of the platform's list is a submission's.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    super::request,
    facts::{Claims, Echo, Facts, Reading},
};
use crate::{
    api::{Submission, SubmissionEvidence},
    platform::{Job, JobState},
};

/// A submission older than this that no list shows may have left the platform's history: that it
/// is not there says nothing any more.
pub(super) const OLD: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// What a reading in which no job carries a submission's request id says of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// The reading began too early for "none" to count.
    TooEarly,
    /// The reading is not whole; what may be it, as far as was seen.
    NotWhole(Vec<Job>),
    /// Others submit into the dataset at the same time, and one of these may be theirs.
    Contended(Vec<Job>),
    /// An object that was deleted before this process began may own what is in the list.
    ProcessTooYoung,
    /// The platform did not take it.
    NotTaken,
    /// This one, and nothing speaks against it.
    Only(Box<Job>),
    /// One of these may be it, or none.
    Several(Vec<Job>),
    /// It is so old that the list may have lost it.
    TooOld,
}

/// What a reading in which no job carries a submission's request id says of it.
pub(super) fn verdict(facts: &Facts, submission: &Submission, reading: &Reading) -> Verdict {
    if reading.began <= submission.settle_after {
        return Verdict::TooEarly;
    }
    let candidates = candidates(facts, submission, reading);
    if !reading.is_whole(submission.intent_time) {
        return Verdict::NotWhole(candidates);
    }
    match (facts.echo, candidates.as_slice()) {
        (Echo::Yes | Echo::Unknown | Echo::No, []) if is_old(facts.now, submission) => {
            Verdict::TooOld
        }
        (Echo::Yes | Echo::Unknown | Echo::No, []) => Verdict::NotTaken,
        (Echo::Yes | Echo::Unknown | Echo::No, [_, ..]) if !reading.claims.open.is_empty() => {
            Verdict::Contended(candidates)
        }
        // The id should be there and is not: the platform may have stopped showing it.
        (Echo::Yes, [_, ..]) => Verdict::Several(candidates),
        (Echo::Unknown | Echo::No, [_, ..]) if facts.now < reading.claims.complete_from => {
            Verdict::ProcessTooYoung
        }
        // It shows an id, and not ours: another's job, or the platform gives ids of its own.
        (Echo::Unknown, [only]) if only.request_id.is_some() => Verdict::Several(candidates),
        (Echo::Unknown | Echo::No, [only]) => Verdict::Only(Box::new(only.clone())),
        (Echo::Unknown | Echo::No, [_, _, ..]) => Verdict::Several(candidates),
    }
}

/// The jobs with a submission's request id, the one to keep first: a live one before one that
/// failed, then the oldest.
pub(super) fn ours(submission: &Submission, reading: &Reading) -> Option<(Box<Job>, Vec<Job>)> {
    let Claims {
        jobs: claimed,
        request_ids: _,
        open: _,
        complete_from: _,
    } = &reading.claims;
    let mut ours: Vec<Job> = reading
        .jobs
        .iter()
        .filter(|job| job.request_id.as_deref() == Some(submission.request_id.as_str()))
        .filter(|job| !claimed.contains(&job.id))
        .cloned()
        .collect();
    ours.sort_by_key(|job| (is_lost(job), job.creation_time, job.id.clone()));
    let mut ours = ours.into_iter();
    let kept = ours.next()?;
    Some((Box::new(kept), ours.collect()))
}

fn is_lost(job: &Job) -> bool {
    match job.state() {
        JobState::Failed | JobState::Cancelled => true,
        JobState::Running | JobState::Succeeded | JobState::Unknown => false,
    }
}

/// The jobs that may be a submission's: into its dataset, made within its time, contradicting no
/// key of its body, claimed by nobody else.
pub(super) fn candidates(facts: &Facts, submission: &Submission, reading: &Reading) -> Vec<Job> {
    let Claims {
        jobs: claimed,
        request_ids,
        open: _,
        complete_from: _,
    } = &reading.claims;
    let within =
        |time: Timestamp| (submission.intent_time..=submission.settle_after).contains(&time);
    reading
        .jobs
        .iter()
        .filter(|job| is_into(job, submission))
        // A time that is not told is within no bounds and beyond none.
        .filter(|job| job.creation_time.is_none_or(within))
        .filter(|job| !claimed.contains(&job.id))
        .filter(|job| {
            // An id of this cluster that is not ours is another object's, whether it is still
            // there or was deleted before this process began.
            let theirs = |id: &String| {
                request_ids.contains(id) || request::is_of_cluster(id, &facts.identity.cluster)
            };
            let ours = job.request_id.as_ref() == Some(&submission.request_id);
            ours || !job.request_id.as_ref().is_some_and(theirs)
        })
        .filter(|job| !contradicts(job, &facts.body))
        .cloned()
        .collect()
}

fn is_into(job: &Job, submission: &Submission) -> bool {
    let theirs = job
        .dataset_id
        .as_ref()
        .map(crate::platform::DatasetId::as_str);
    theirs == submission.target.dataset_id.as_deref()
}

fn is_old(now: Timestamp, submission: &Submission) -> bool {
    now.duration_since(submission.intent_time) > OLD
}

/// Whether a job may be cancelled in this submission's name: it carries the request id; or ids
/// are not shown, and the reply, the id once, or a person named it, and nothing contradicts.
pub(super) fn may_cancel(facts: &Facts, submission: &Submission, job: &Job) -> bool {
    if job.request_id.as_deref() == Some(submission.request_id.as_str()) {
        return true;
    }
    let named = match submission.evidence {
        Some(
            SubmissionEvidence::Reply | SubmissionEvidence::RequestId | SubmissionEvidence::Person,
        ) => true,
        Some(
            SubmissionEvidence::Window
            | SubmissionEvidence::Unsent
            | SubmissionEvidence::Gateway
            | SubmissionEvidence::Tag
            | SubmissionEvidence::List,
        )
        | None => false,
    };
    match facts.echo {
        Echo::Yes => submission.evidence == Some(SubmissionEvidence::Person),
        Echo::No | Echo::Unknown => {
            named && is_into(job, submission) && !contradicts(job, &facts.body)
        }
    }
}

/// Whether what a job shows of its request differs from a body. What it does not show is unknown,
/// and what the body leaves open the platform may fill in.
pub(super) fn contradicts(job: &Job, body: &Value) -> bool {
    job.echoed.parts().any(|(key, shown)| {
        let pointer = format!("/{}", key.replace('.', "/"));
        body.pointer(&pointer)
            .is_some_and(|sent| differs(sent, &shown))
    })
}

fn differs(sent: &Value, shown: &Value) -> bool {
    match (sent, shown) {
        (Value::Object(sent), Value::Object(shown)) => sent
            .iter()
            .any(|(key, sent)| shown.get(key).is_some_and(|shown| differs(sent, shown))),
        (Value::Array(sent), Value::Array(shown)) => {
            sent.len() != shown.len()
                || sent
                    .iter()
                    .zip(shown)
                    .any(|(sent, shown)| differs(sent, shown))
        }
        (Value::Number(sent), Value::Number(shown)) => {
            // `1` and `1.0` are the same number.
            sent != shown && sent.as_f64() != shown.as_f64()
        }
        (Value::String(sent), Value::String(shown)) => !is_same_text(sent, shown),
        (Value::Bool(sent), Value::Bool(shown)) => sent != shown,
        (_, Value::Null) => false,
        (
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_),
            Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_),
        ) => true,
    }
}

/// The same text, list of field paths or moment: the platform sets its own spaces and offsets.
fn is_same_text(sent: &str, shown: &str) -> bool {
    let bare = |text: &str| {
        text.split(',')
            .map(|part| part.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let moment = |text: &str| text.parse::<Timestamp>().ok();
    bare(sent) == bare(shown) || moment(sent).is_some_and(|sent| moment(shown) == Some(sent))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::differs;

    #[test]
    fn what_is_not_shown_or_was_left_open_contradicts_nothing() {
        let sent = json!({ "segments": [{ "segmentId": "a" }] });
        let shown = json!({ "segments": [{ "segmentId": "a", "segmentNs": "ups" }] });
        assert!(!differs(&sent, &shown));
        assert!(!differs(&shown, &sent));
        assert!(!differs(&sent, &json!({ "emptyProfiles": true })));
        assert!(differs(
            &sent,
            &json!({ "segments": [{ "segmentId": "b" }] })
        ));
        assert!(differs(&sent, &json!({ "segments": [] })));
    }

    #[test]
    fn spaces_offsets_and_the_spelling_of_a_number_are_no_difference() {
        assert!(!differs(
            &json!("_id,_experience"),
            &json!("_id, _experience")
        ));
        assert!(!differs(
            &json!("2018-10-25T13:22:04-07:00"),
            &json!("2018-10-25T20:22:04Z")
        ));
        assert!(!differs(&json!(1), &json!(1.0)));
        assert!(differs(&json!(1), &json!(2)));
        assert!(differs(&json!("a"), &json!("b")));
    }
}
