//! Several exports into one dataset at the same time.

use aep_export_operator::api::{ExportJob, PlatformConnection};

use super::{JOBS, acquainted, created, furnished};
use crate::harness::{
    is_held,
    proxy::{Fault, Match, Side, Verb, When},
    reason,
};

#[tokio::test]
async fn on_a_new_connection_the_second_export_into_a_dataset_waits_for_the_first() {
    let world = furnished().await;
    let posts = Match::platform(JOBS).verb(Verb::Create);
    let answer = world
        .proxy()
        .disturb(posts, When::next(1), Fault::Hold(Side::After));
    world.export("one").await;
    answer.happened(1).await;
    world.export("two").await;
    let two = world
        .until("two", "waiting", |e: &ExportJob| {
            reason(e, "Ready") == "WaitingForSubmission"
        })
        .await;
    assert!(!is_held(&two));
    assert!(two.status.unwrap().submission.is_none());
    assert_eq!(world.simulator.posts().await.len(), 1);
    answer.end();
    for name in ["one", "two"] {
        world.until_phase(name, "Succeeded").await;
    }
    assert_eq!(world.simulator.posts().await.len(), 2);
    assert_eq!(created(&world).await, 2);
    // The reply alone would not have told whether the platform shows request ids.
    let connection: PlatformConnection = world.api().get("prod").await.unwrap();
    assert_eq!(connection.status.unwrap().echoes_request_id, Some(true));
}

#[tokio::test]
async fn where_request_ids_are_shown_two_exports_into_a_dataset_are_submitted_at_once() {
    let world = acquainted().await;
    let posts = Match::platform(JOBS).verb(Verb::Create);
    let both = world
        .proxy()
        .disturb(posts, When::next(2), Fault::Hold(Side::Before));
    world.export("one").await;
    world.export("two").await;
    both.happened(2).await;
    assert_eq!(world.simulator.posts().await.len(), 1);
    both.end();
    for name in ["one", "two"] {
        world.until_phase(name, "Succeeded").await;
    }
    assert_eq!(world.simulator.posts().await.len(), 3);
    assert_eq!(created(&world).await, 3);
}
