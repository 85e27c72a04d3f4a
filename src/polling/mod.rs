//! Following jobs in the platform: one task asks, and tells the reconcilers what changed.

mod board;

pub(crate) use board::trouble;
pub use board::{Board, Follow, Intervals};
