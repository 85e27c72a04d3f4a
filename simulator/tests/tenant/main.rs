//! The tenant as its callers see it, over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod admin;
mod binary;
mod clock;
mod commits;
mod datasets;
mod faults;
mod gateway;
mod jobs;
mod lists;
mod lost;
mod raw;
mod replies;
mod rows;
mod samples;
mod support;
mod switches;
mod trouble;
