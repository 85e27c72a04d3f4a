//! A state's values in the types of the decision, and back.

use aep_export_operator::{
    api::{
        Cancellation, CancelledBy, Candidate, Submission, SubmissionEvidence, SubmissionOutcome,
        Target,
    },
    decide::request,
    platform::JobId,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::{By, Evidence, Intent, JobNumber, Nonce, Outcome, Stop, Tick};

const EPOCH: i64 = 1_800_000_000;

/// What never changes, made once.
#[derive(Clone, Debug)]
pub struct Names {
    /// Request ids by object and attempt.
    requests: Vec<Vec<String>>,
    pub body: Value,
    prints: Vec<String>,
}

pub fn at(tick: Tick) -> Timestamp {
    Timestamp::from_second(EPOCH + i64::from(tick)).unwrap()
}

pub fn tick(time: Timestamp) -> Tick {
    u8::try_from(time.as_second() - EPOCH).unwrap()
}

pub fn job_id(number: JobNumber) -> JobId {
    JobId::new(number.to_string())
}

pub fn job_number(id: &str) -> JobNumber {
    id.parse().unwrap()
}

pub fn nonce_text(
    Nonce {
        leader,
        life,
        version,
    }: Nonce,
) -> String {
    format!("{leader}.{life}.{version}")
}

fn nonce(text: &str) -> Nonce {
    let mut parts = text.split('.').map(|part| part.parse().unwrap());
    let mut next = || parts.next().unwrap();
    Nonce {
        leader: next(),
        life: next(),
        version: next(),
    }
}

fn sandbox(number: u8) -> &'static str {
    match number {
        0 => "prod",
        _ => "dev",
    }
}

impl Names {
    pub fn new() -> Self {
        let body = json!({ "destination": { "datasetId": "d" }, "fields": "a" });
        Self {
            requests: ["0", "1", "2", "3"]
                .iter()
                .map(|uid| {
                    (0..4)
                        .map(|n| request::request_id("cluster", uid, n))
                        .collect()
                })
                .collect(),
            prints: (0..2)
                .map(|n| request::fingerprint(&body, "org", sandbox(n)))
                .collect(),
            body,
        }
    }

    pub fn request(&self, object: usize, attempt: u8) -> String {
        self.requests[object][usize::from(attempt)].clone()
    }

    pub fn target(number: u8) -> Target {
        Target {
            platform: "p".into(),
            organization_id: "org".into(),
            sandbox: sandbox(number).into(),
            dataset_id: Some("d".into()),
        }
    }

    /// What a status has of an intent.
    pub fn submission(&self, index: usize, intent: &Intent) -> Submission {
        Submission {
            attempt: i64::from(intent.attempt),
            r#try: nonce_text(intent.nonce),
            request_id: self.request(index, intent.attempt),
            fingerprint: self.prints[usize::from(intent.sandbox)].clone(),
            target: Self::target(intent.sandbox),
            intent_time: at(intent.intent),
            send_before: at(intent.send),
            settle_after: at(intent.settle),
            outcome: intent.outcome.map(|outcome| match outcome {
                Outcome::Posted => SubmissionOutcome::Posted,
                Outcome::Adopted => SubmissionOutcome::Adopted,
                Outcome::NotSent => SubmissionOutcome::NotSent,
                Outcome::Refused => SubmissionOutcome::Refused,
                Outcome::NotTaken => SubmissionOutcome::NotTaken,
            }),
            evidence: intent.evidence.map(|evidence| match evidence {
                Evidence::Reply => SubmissionEvidence::Reply,
                Evidence::Unsent => SubmissionEvidence::Unsent,
                Evidence::Gateway => SubmissionEvidence::Gateway,
                Evidence::RequestId => SubmissionEvidence::RequestId,
                Evidence::List => SubmissionEvidence::List,
                Evidence::Window => SubmissionEvidence::Window,
                Evidence::Person => SubmissionEvidence::Person,
            }),
            candidates: intent
                .candidates
                .iter()
                .map(|number| Candidate {
                    job_id: number.to_string(),
                    ..Candidate::default()
                })
                .collect(),
            answer: None,
            surplus_job_ids: intent.surplus.iter().map(ToString::to_string).collect(),
        }
    }

    /// What a status would keep of a submission.
    pub fn intent(submission: &Submission) -> Intent {
        Intent {
            attempt: u8::try_from(submission.attempt).unwrap(),
            nonce: nonce(&submission.r#try),
            sandbox: u8::from(submission.target.sandbox != sandbox(0)),
            intent: tick(submission.intent_time),
            send: tick(submission.send_before),
            settle: tick(submission.settle_after),
            outcome: submission.outcome.map(|outcome| match outcome {
                SubmissionOutcome::Posted => Outcome::Posted,
                SubmissionOutcome::Adopted => Outcome::Adopted,
                SubmissionOutcome::NotSent => Outcome::NotSent,
                SubmissionOutcome::Refused => Outcome::Refused,
                SubmissionOutcome::NotTaken => Outcome::NotTaken,
                SubmissionOutcome::Rejected => panic!("never recorded: the export ends"),
            }),
            evidence: submission.evidence.map(|evidence| match evidence {
                SubmissionEvidence::Reply => Evidence::Reply,
                SubmissionEvidence::Unsent => Evidence::Unsent,
                SubmissionEvidence::Gateway => Evidence::Gateway,
                SubmissionEvidence::RequestId => Evidence::RequestId,
                SubmissionEvidence::List => Evidence::List,
                SubmissionEvidence::Window => Evidence::Window,
                SubmissionEvidence::Person => Evidence::Person,
                SubmissionEvidence::Tag => panic!("an export has no tag"),
            }),
            candidates: submission
                .candidates
                .iter()
                .map(|candidate| job_number(&candidate.job_id))
                .collect(),
            surplus: submission
                .surplus_job_ids
                .iter()
                .map(|id| job_number(id))
                .collect(),
        }
    }
}

pub fn stop(cancellation: &Cancellation) -> Stop {
    Stop {
        by: match cancellation.by {
            CancelledBy::Deletion => By::Deletion,
            CancelledBy::Spec => By::Spec,
            CancelledBy::Deadline => By::Deadline,
        },
        at: tick(cancellation.requested_at),
        accepted: cancellation.accepted_at.map(tick),
    }
}
