//! An Adobe Experience Platform tenant on one port, to run locally and to test against.
//!
//! It serves IMS, the gateway's checks, the Catalog and the export jobs of one organisation, is
//! strict about what the documents allow, can be switched wherever the documents contradict each
//! other, can fail on purpose, and keeps a ledger of every call.
//!
//! The map of the code: a [`Simulator`] (`server`) reads calls (`answer`), asks the faults
//! (`faults`) what to do with them, and lets the tenant's memory (`world`) answer: `ims` for
//! tokens, `gateway` for who may call, `exports` and `catalog` for the rest. `switches` says how,
//! `wire` breaks connections where a fault wants it, `ledger` notes it all, and `admin` is how a
//! test steers it.
//!
//! Nothing here is shared with the operator, so that one misunderstanding cannot hide in both.

mod admin;
mod answer;
mod call;
mod catalog;
mod cli;
mod clock;
mod exports;
mod faults;
mod gateway;
mod ids;
mod ims;
mod ledger;
mod options;
mod reply;
mod server;
mod shape;
mod switches;
mod wire;
mod world;

pub use cli::Cli;
pub use options::{Options, OptionsError, Sandbox};
pub use server::Simulator;
