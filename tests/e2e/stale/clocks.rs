//! The clocks of the platform and of the operator's machine differ by an hour.

use aep_control_plane::Signal;
use aep_export_operator::api::{ExportJob, SubmissionEvidence, SubmissionOutcome};
use futures::future::join_all;
use serde_json::{Value, json};

use super::{JOBS, acquaint, cancels, created};
use crate::harness::{
    SHORT_WINDOWS, World, outcome,
    proxy::{Fault, Match, Side, Verb, When},
};

/// Ahead and behind, in seconds.
const SHIFTS: [i64; 2] = [3600, -3600];

async fn shifted(seconds: i64, switches: Value) -> World {
    let world = World::behind_proxy("clocks").await;
    let clock = json!({ "shiftSeconds": seconds });
    world.simulator.put("clock", clock).await;
    world.simulator.put("switches", switches).await;
    world
}

/// The replies to the next requests for an export are lost.
fn lose_replies(world: &World, count: usize) -> crate::harness::proxy::Rule {
    let posts = Match::platform(JOBS).verb(Verb::Create);
    world
        .proxy()
        .disturb(posts, When::next(count), Fault::Close(Side::After))
}

#[tokio::test]
async fn a_lease_changes_hands_and_an_export_is_found_again_whatever_the_platforms_clock_says() {
    let lives = SHIFTS.map(|seconds| async move {
        let world = shifted(seconds, json!({})).await;
        let mut flags = vec![
            "--leader-elect",
            "--lease-duration",
            "4s",
            "--lease-renew-deadline",
            "3s",
            "--lease-renew-period",
            "1s",
        ];
        flags.extend(SHORT_WINDOWS);
        let mut first = world.start_replica("first", &flags).await;
        first.until_leads().await;
        let second = world.start_replica("second", &flags).await;
        world.furnish().await;
        acquaint(&world).await;
        let request = world.proxy().disturb(
            Match::platform(JOBS).verb(Verb::Create),
            When::next(1),
            Fault::Hold(Side::After),
        );
        world.export("one").await;
        request.happened(1).await;
        first.signal(Signal::KILL);
        second.until_leads().await;
        request.end();
        let done = world.until_phase("one", "Succeeded").await;
        assert_eq!(
            outcome(&done),
            Some(SubmissionOutcome::Adopted),
            "{seconds}"
        );
        assert_eq!(world.simulator.posts().await.len(), 2);
        assert_eq!((created(&world).await, cancels(&world).await), (2, 0));
    });
    join_all(lives).await;
}

#[tokio::test]
async fn weak_evidence_waits_for_the_age_of_the_process_by_no_time_of_day() {
    let silent = json!({
        "requestIdEcho": { "post": false, "get": false, "list": false },
        "requestIdElsewhere": "absent",
    });
    let lives = SHIFTS.map(|seconds| {
        let silent = silent.clone();
        async move {
            let mut world = shifted(seconds, silent).await;
            world.start_operator(&SHORT_WINDOWS).await;
            world.furnish().await;
            world.export("told").await;
            world.until_phase("told", "Succeeded").await;
            let lost = lose_replies(&world, 1);
            world.export("doubted").await;
            lost.happened(1).await;
            // It is gone, with nobody to remember it.
            world.kill_operator();
            let began = std::time::Instant::now();
            world.restart_operator().await;
            let done = world
                .until("doubted", "found", |e: &ExportJob| {
                    super::job_of(e).is_some()
                })
                .await;
            let took = began.elapsed();
            let submission = done.status.unwrap().submission.unwrap();
            assert_eq!(submission.evidence, Some(SubmissionEvidence::Window));
            assert!(
                took >= std::time::Duration::from_secs(4),
                "{seconds}: {took:?}"
            );
            assert_eq!(world.simulator.posts().await.len(), 2);
            assert_eq!(created(&world).await, 2);
        }
    });
    join_all(lives).await;
}
