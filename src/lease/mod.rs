//! Leader election: of several processes one acts, and the others are warm.
//!
//! The rules are those of client-go. A process holds the lease once it has written its name into
//! it, and writes again every renew period. The others only read: who finds a lease that has not
//! changed for its duration, by its own boot clock, takes it. Nobody's time of day is compared
//! with anybody else's. Every write names the version that it replaces, so of two only one is
//! taken. A holder that could not renew within the renew deadline, which is shorter than the
//! duration, is none any more, and its process ends.
//!
//! - [`election`]: what to do next, as a function of what was seen and when.
//! - [`Elector`]: does it, against the API server.
//! - [`Leadership`]: what the rest of the process asks.
//!
//! A lease is no fence: the request of a paused holder may be on its way while the next one
//! begins. What keeps an export from being started twice is the intent on record; the lease keeps
//! two processes from getting into each other's way.

mod election;
mod elector;
mod leadership;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use elector::{Elector, Leases, NamedLease};
pub use leadership::Leadership;

/// What flags set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The lease's name.
    pub name: String,
    /// The lease's namespace; none: that of the pod, or of the kubeconfig.
    pub namespace: Option<String>,
    /// The times.
    pub terms: Terms,
}

/// The times of a lease. `duration` is more than `renew_deadline`, and that more than
/// `renew_period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// A lease that has not changed for this time may be taken by another.
    pub duration: Duration,
    /// A holder that has not renewed for this time is none any more.
    pub renew_deadline: Duration,
    /// The time between two renewals.
    pub renew_period: Duration,
}

/// How a holder came to lose its lease.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// No renewal was answered in time.
    #[error("it was not renewed within {0:?}")]
    NotRenewed(Duration),
    /// The lease names another.
    #[error("it is held by {0:?} now")]
    Taken(String),
}
