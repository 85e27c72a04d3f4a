//! The operator's binary against a real API server and a simulated tenant.
//!
//! Every test has a namespace, a simulator and an operator process of its own; the operator runs
//! under a ServiceAccount that has the rights of `deploy/rbac.yaml` in that namespace.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admission;
mod budget;
mod connection;
mod contract;
mod crash;
mod dataset;
mod deletion;
mod discrepancies;
mod disturbed;
mod gitops;
mod harness;
mod leader;
mod life;
mod lifecycle;
mod process;
mod reliability;
mod samples;
mod security;
mod shards;
mod soak;
mod stale;
mod tenancy;
