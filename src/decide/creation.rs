//! What became of a request to create something: an export job or a dataset.

use std::time::Duration;

use super::{Cause, connection::Failure};
use crate::{
    api::{Reason, SubmissionEvidence, SubmissionOutcome},
    platform::{Consequence, Refusal},
};

/// What became of a request that was sent, or was to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Posted<T> {
    /// The platform took it, and its reply says what it made.
    Taken(T),
    /// It was provably not taken: it may be tried again, after the time the cause calls for.
    NotTaken {
        /// Why.
        cause: Cause,
        /// What is recorded.
        outcome: SubmissionOutcome,
        /// What that rests on.
        evidence: SubmissionEvidence,
        /// How long the platform asks to wait, if it does.
        retry_after: Option<Duration>,
    },
    /// The platform rejected it.
    Rejected(Cause),
    /// It may or may not have been taken.
    InDoubt(Cause),
}

/// What became of a request, from what the platform's client made of it.
///
/// Only what proves that the platform did not take the request lets it be sent again.
#[must_use]
pub fn posted<T>(result: Result<T, Failure>) -> Posted<T> {
    let Failure {
        consequence,
        message,
    } = match result {
        Ok(made) => return Posted::Taken(made),
        Err(failure) => failure,
    };
    let not_taken = |reason, outcome, evidence, retry_after| Posted::NotTaken {
        cause: Cause::new(reason, message.clone()),
        outcome,
        evidence,
        retry_after,
    };
    let refused = |reason, retry_after| {
        let (outcome, evidence) = (SubmissionOutcome::Refused, SubmissionEvidence::Gateway);
        not_taken(reason, outcome, evidence, retry_after)
    };
    match consequence {
        Consequence::NotSent
        | Consequence::CredentialRejected(_)
        | Consequence::Misconfigured { setting: _ } => {
            let (outcome, evidence) = (SubmissionOutcome::NotSent, SubmissionEvidence::Unsent);
            not_taken(Reason::NotSent, outcome, evidence, None)
        }
        Consequence::Refused(Refusal::Unauthenticated) => refused(Reason::Refused, None),
        Consequence::Refused(Refusal::Forbidden) => refused(Reason::AccessDenied, None),
        Consequence::Refused(Refusal::Throttled { retry_after }) => {
            refused(Reason::PlatformThrottled, retry_after)
        }
        Consequence::Rejected | Consequence::NotFound => {
            Posted::Rejected(Cause::new(Reason::Rejected, message))
        }
        Consequence::Retry
        | Consequence::Throttled { retry_after: _ }
        | Consequence::Unauthenticated
        | Consequence::Forbidden
        | Consequence::Redirected
        | Consequence::InDoubt => Posted::InDoubt(Cause::new(Reason::SubmissionInDoubt, message)),
    }
}
