//! A release on a real node: `make e2e` makes the cluster and the images, and runs this on it.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests, too")]

mod bill;
mod report;
mod steps;
mod tenant;
mod tools;

use crate::report::Report;
use crate::steps::{Story, explain};

#[test]
#[ignore = "needs a cluster that has the images: make e2e"]
fn a_release_is_installed_upgraded_removed_and_installed_again_without_a_second_export() {
    let mut report = Report::default();
    let mut story = Story::begin();
    let told = story.tell(&mut report);
    if told.is_err() {
        explain();
    }
    story.clean_up();
    println!("{report}");
    assert_eq!(report.failed, 0, "a step failed");
}
