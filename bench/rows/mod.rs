//! The scenes, each with the rows that it measures.

mod budget;
mod burst;
mod finished;
mod idle;
mod lease;
mod life;
mod polls;
mod storm;

use futures::future::LocalBoxFuture;

use crate::report::{Report, Row};

/// What a process of its own measures.
pub struct Scene {
    /// Its name.
    pub name: &'static str,
    /// Its rows.
    pub rows: &'static [Row],
    /// Measures those that are asked for.
    pub run: fn(Report) -> LocalBoxFuture<'static, ()>,
}

macro_rules! scene {
    ($name:literal, $rows:path, $run:path) => {
        Scene {
            name: $name,
            rows: $rows,
            run: |report| Box::pin($run(report)),
        }
    };
}

/// All scenes, the quick ones first.
pub const SCENES: &[Scene] = &[
    scene!("idle", idle::ROWS, idle::run),
    scene!("life", life::ROWS, life::run),
    scene!("burst", burst::KNOWN, burst::run),
    scene!("burst-fresh", burst::FRESH, burst::run_fresh),
    scene!("burst-silent", burst::SILENT, burst::run_silent),
    scene!("polls-often", polls::OFTEN_ROWS, polls::run_often),
    scene!("polls", polls::ROWS, polls::run),
    scene!("storm", storm::ROWS, storm::run),
    scene!("budget", budget::ROWS, budget::run),
    scene!("lease", lease::ROWS, lease::run),
    scene!("finished-10k", finished::TEN, finished::ten_thousand),
    scene!(
        "finished-100k",
        finished::HUNDRED,
        finished::hundred_thousand
    ),
];
