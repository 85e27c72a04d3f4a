//! What an operator does when it sees late, twice or not at all what the API server has.

use std::time::Duration;

use aep_export_operator::api::{ExportJob, ProfileDataset};

use crate::harness::{
    World, eventually, is_held,
    proxy::{Ending, Fault, Frames, Logged, Match, Server, Side, Tamper, Verb, When},
    reason,
};

const EXPORTS: &str = "exportjobs";
const DATASETS: &str = "profiledatasets";
const JOBS: &str = "/data/core/ups/export/jobs";

#[tokio::test]
async fn an_operator_whose_watch_stands_still_posts_once_and_does_not_act_on_what_is_old() {
    let world = furnished().await;
    let proxy = world.proxy();
    let finalizer = Match::resource(EXPORTS).verb(Verb::Patch);
    let held = proxy.disturb(finalizer, When::next(1), Fault::Hold(Side::Before));
    world.export("stale").await;
    held.happened(1).await;
    // From here on its store has the export as it was made: no finalizer, no status.
    let frozen = proxy.freeze(EXPORTS);
    held.end();
    // The end of the job wakes it, but what it holds is older than what it wrote itself.
    eventually("the job to have ended", || async {
        match world.simulator.jobs().await.first() {
            Some(job) if job["status"] == "SUCCEEDED" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    eventually("its batch to be asked for", || async {
        let asked = world
            .simulator
            .calls("GET", "/data/foundation/catalog/batches")
            .await;
        (!asked.is_empty()).then_some(()).ok_or_else(String::new)
    })
    .await;
    let patches = Match::resource(EXPORTS).verb(Verb::Patch);
    assert_eq!(positions(&proxy.log(), &patches).len(), 1);
    frozen.thaw();
    world.until_phase("stale", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 1);
}

#[tokio::test]
async fn an_export_survives_an_api_server_that_is_away_while_it_runs() {
    let world = furnished().await;
    world.simulator.hold_jobs().await;
    world.export("away").await;
    world.until_phase("away", "Running").await;
    let away = world.proxy().unavailable(Server::Kubernetes);
    world.delete::<ExportJob>("away").await;
    away.happened(3).await;
    away.end();
    world.until_gone::<ExportJob>("away").await;
    let jobs = world.simulator.jobs().await;
    assert_eq!((jobs.len(), &jobs[0]["status"]), (1, &"CANCELLED".into()));
}

#[tokio::test]
async fn frames_that_come_twice_and_out_of_order_start_nothing_twice() {
    let world = furnished().await;
    let proxy = world.proxy();
    let frames = || Frames::of(EXPORTS);
    // Of one object, the API server keeps the order.
    proxy.tamper(frames().about("first"), Tamper::Swap, 1);
    proxy.tamper(frames(), Tamper::Duplicate, 6);
    world.export("first").await;
    world.export("second").await;
    for name in ["first", "second"] {
        world.until_phase(name, "Succeeded").await;
        world
            .until(name, "let go", |e: &ExportJob| !is_held(e))
            .await;
    }
    assert_eq!(proxy.untouched(), 0);
    assert_eq!(world.simulator.posts().await.len(), 2);
}

#[tokio::test]
async fn an_object_whose_frame_was_lost_is_found_by_the_list_after_an_expired_watch() {
    let world = furnished().await;
    let proxy = world.proxy();
    proxy.tamper(Frames::of(EXPORTS).about("lost"), Tamper::Drop, 1);
    world.export("lost").await;
    eventually("its frame to be lost", || async {
        match proxy.untouched() {
            0 => Ok(()),
            left => Err(left.to_string()),
        }
    })
    .await;
    let lists = Match::resource(EXPORTS).verb(Verb::List);
    let expired = proxy.disturb(lists, When::next(1), Fault::Expire);
    proxy.end_watches(Match::resource(EXPORTS), Ending::Expired);
    expired.happened(1).await;
    world.until_phase("lost", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 1);
}

#[tokio::test]
async fn an_intent_that_the_api_server_refuses_is_never_followed_by_its_request() {
    for fault in [Fault::Conflict, Fault::Throttle(1)] {
        let world = furnished().await;
        let writes = Match::resource(EXPORTS)
            .verb(Verb::Update)
            .subresource("status");
        let refused = world.proxy().disturb(writes, When::next(2), fault);
        world.export("refused").await;
        refused.happened(2).await;
        world.until_phase("refused", "Succeeded").await;
        let log = world.proxy().log();
        let posts = positions(&log, &Match::platform(JOBS).verb(Verb::Create));
        let writes = positions(&log, &Match::resource(EXPORTS).verb(Verb::Update));
        assert_eq!(posts.len(), 1, "{log:#?}");
        assert!(writes[2] < posts[0], "{log:#?}");
    }
}

#[tokio::test]
async fn a_status_that_was_written_and_not_seen_yet_is_not_taken_for_the_one_that_is_there() {
    let mut world = furnished().await;
    world.kill_operator();
    let proxy = world.proxy();
    // The dataset cannot be read at first, and the store keeps what was listed: one that is ready.
    let reads = Match::platform("/data/foundation/catalog/dataSets/").verb(Verb::Get);
    proxy.disturb(reads.clone(), When::next(1), Fault::TimeOut);
    let frozen = proxy.freeze(DATASETS);
    world.start_until(&[], None).await;
    let waits = |d: &ProfileDataset| reason(d, "Reconciling") == "PlatformUnavailable";
    world.until("profiles", "waiting", waits).await;
    let before = positions(&world.proxy().log(), &reads).len();
    // It is looked at again with the old object in the store, or not before there is a newer one.
    let again = requests(&world, &reads, before + 1);
    let _ = tokio::time::timeout(Duration::from_secs(3), again).await;
    frozen.thaw();
    world.until("profiles", "read", |d| !waits(d)).await;
}

/// A tenant with a dataset, behind a proxy.
async fn furnished() -> World {
    let mut world = World::behind_proxy("disturbed").await;
    world.start_operator(&[]).await;
    world.furnish().await;
    world
}

/// Waits until there were so many of these requests.
async fn requests(world: &World, what: &Match, count: usize) {
    eventually("requests", || async {
        match positions(&world.proxy().log(), what).len() {
            enough if enough >= count => Ok(()),
            few => Err(format!("{few} of {what:?}")),
        }
    })
    .await;
}

fn positions(log: &[Logged], what: &Match) -> Vec<usize> {
    let log = log.iter().enumerate();
    log.filter(|(_, logged)| what.matches(&logged.asked))
        .map(|(position, _)| position)
        .collect()
}
