//! The charts: what they render, what they refuse, and what a real API server makes of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::format_push_string,
    clippy::format_collect,
    clippy::assigning_clones,
    reason = "a test says what failed; its texts are short"
)]

mod cases;
mod charts;
mod flags;
#[allow(
    dead_code,
    unused_imports,
    reason = "the harness of the other tests, of which these need a part"
)]
#[path = "../e2e/harness/mod.rs"]
mod harness;
mod helm;
mod notes;
mod release;
mod rights;
mod schema;
mod server;
mod site;
mod values;
mod written;
