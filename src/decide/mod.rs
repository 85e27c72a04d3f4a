//! What to do next, as functions of values: facts in, plan out.
//!
//! Nothing here does I/O, reads a clock, draws a random number or waits. The shell
//! ([`crate::control`]) gathers the facts, carries out the plan's one next effect and comes back
//! with new facts, so that tests can walk every path that production can.

pub mod connection;
pub mod creation;
pub mod dataset;
pub mod export;
pub mod request;
pub mod tenancy;

use jiff::{SignedDuration, Timestamp};

use crate::api::Reason;

/// Whether an object is there to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is.
    Live,
    /// Its deletion was asked for.
    Deleting,
}

/// Whether our finalizer is on an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finalizer {
    /// It is.
    Present,
    /// It is not.
    Absent,
}

/// What an object waits for or is stopped by, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The short word.
    pub reason: Reason,
    /// A sentence for a person, with the remedy.
    pub message: String,
}

/// What an object needs before it can go on, by what follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Need<T> {
    /// It is not there or not ready yet.
    Waiting(Cause),
    /// It is there and wrong.
    Wrong(Cause),
    /// It is there.
    Met(T),
}

/// The times of the submission protocol; each is a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// How long after the intent the request may be sent.
    pub send: SignedDuration,
    /// How long a request that was sent may be on its way and in the gateway.
    pub delivery: SignedDuration,
    /// How long a job or dataset that the platform took may stay invisible in its lists.
    pub visibility: SignedDuration,
}

impl Cause {
    /// A reason and its sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

impl<T> Need<T> {
    /// Waiting, with its reason.
    pub fn waiting(reason: Reason, message: impl Into<String>) -> Self {
        Self::Waiting(Cause::new(reason, message))
    }

    /// Wrong, with its reason.
    pub fn wrong(reason: Reason, message: impl Into<String>) -> Self {
        Self::Wrong(Cause::new(reason, message))
    }
}

impl Windows {
    /// From an intent to the time at which what it sent has to show.
    #[must_use]
    pub fn whole(&self) -> SignedDuration {
        let Self {
            send,
            delivery,
            visibility,
        } = *self;
        send.saturating_add(delivery).saturating_add(visibility)
    }
}

/// The three times of an intent that is recorded at `now`: intent, send before, settle after.
///
/// The first is rounded down to a whole second and the last up, as a status keeps whole seconds.
#[must_use]
pub fn intent_times(now: Timestamp, windows: Windows) -> (Timestamp, Timestamp, Timestamp) {
    let Windows {
        send,
        delivery,
        visibility,
    } = windows;
    let seconds = |at: i64| Timestamp::from_second(at).unwrap_or(now);
    let intent = seconds(now.as_second());
    let send_before = now.saturating_add(send).unwrap_or(now);
    let settle = send_before
        .saturating_add(delivery)
        .and_then(|at| at.saturating_add(visibility))
        .unwrap_or(Timestamp::MAX);
    let whole = settle.subsec_nanosecond() == 0;
    let settle_after = seconds(settle.as_second().saturating_add(i64::from(!whole)));
    (intent, send_before, settle_after)
}
