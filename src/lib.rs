//! A Kubernetes operator that runs Adobe Experience Platform profile exports from Git.
//!
//! The map of the code:
//!
//! - [`api`]: the kinds, their validation rules, and the words of conditions.
//! - [`decide`]: what to do next, as functions of values; no I/O, no clock, no randomness.
//! - [`platform`]: Adobe Experience Platform through a narrow port in our own types.
//! - [`control`]: the shell of each kind: observe, decide, act, report.
//! - [`governor`]: who may call the platform, and when: one budget for each credential.
//! - [`polling`]: one task that follows jobs and tells the passes what changed.
//! - [`lease`]: of several processes, the one that acts.
//! - [`rights`]: what is said of a right that is missing.
//! - [`cli`], [`run`], [`admin`], [`metrics`], [`telemetry`]: the process around it.

pub mod admin;
pub mod api;
pub mod cli;
pub mod control;
pub mod decide;
pub mod governor;
pub mod lease;
pub mod metrics;
pub mod platform;
pub mod polling;
pub mod rights;
pub mod run;
pub mod telemetry;
