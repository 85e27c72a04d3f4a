//! Following jobs in the platform: one task asks, and tells the reconcilers what changed.

mod ask;
mod board;
mod echo;
mod list;
mod pace;

pub(crate) use ask::trouble;
pub use board::{Board, Follow, Links};
pub use echo::{Echoes, Learned, Place};
pub use list::{ListReading, Lists};
pub use pace::{Intervals, Pace};
