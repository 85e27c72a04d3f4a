//! Following jobs in the platform: one task asks, and tells the reconcilers what changed.

mod ask;
mod board;
mod echo;
mod list;
mod pace;
mod plan;
mod search;
mod source;
#[cfg(test)]
mod tests;
mod tick;
mod took;

pub(crate) use ask::trouble;
pub use board::{Board, Client, Follow, Links, OnLearned};
pub use echo::{Echoes, Learned, Place};
pub use list::{ListReading, Lists};
pub use pace::{Intervals, Pace};
pub use source::Source;
