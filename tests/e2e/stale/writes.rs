//! What an operator writes is refused, delayed, overtaken, or done without an answer.

use std::time::Duration;

use aep_export_operator::api::{ExportJob, SubmissionOutcome};
use kube::ResourceExt;
use serde_json::json;

use super::{
    EXPORTS, JOBS, acquainted, cancels, created, finalizer_of, finish_all, furnished, job_of,
    nudge, positions, requests, status_of,
};
use crate::harness::{
    World, eventually, is_held, outcome,
    proxy::{Fault, Match, Rule, Server, Side, Verb, When},
};

/// The writes of a life, each about an export of this name.
fn writes_of_a_life(name: &str) -> [(String, Match, usize); 5] {
    let named = |write: &str| format!("{name}-{write}");
    let finalizer = |write: &str, number| (named(write), finalizer_of(&named(write)), number);
    let status = |write: &str, number| (named(write), status_of(&named(write)), number);
    [
        finalizer("finalizer", 1),
        status("intent", 1),
        status("id", 2),
        status("end", 3),
        finalizer("release", 2),
    ]
}

/// Has a fault happen to each write of a life, and sees each life to its end.
async fn each_write(world: &World, kind: &str, when: impl Fn(usize) -> When, fault: Fault) {
    let lives = writes_of_a_life(kind);
    let rules: Vec<Rule> = lives
        .iter()
        .map(|(_, what, number)| world.proxy().disturb(what.clone(), when(*number), fault))
        .collect();
    let names: Vec<String> = lives.into_iter().map(|(name, _, _)| name).collect();
    for name in &names {
        world.export(name).await;
    }
    for rule in &rules {
        rule.happened(1).await;
    }
    until_ended(world, &names).await;
}

async fn until_ended(world: &World, names: &[String]) {
    for name in names {
        let export = world.until_phase(name, "Succeeded").await;
        assert!(job_of(&export).is_some());
        world
            .until(name, "let go", |e: &ExportJob| !is_held(e))
            .await;
    }
}

#[tokio::test]
async fn each_write_of_a_life_that_is_refused_is_made_again() {
    let world = acquainted().await;
    each_write(&world, "conflict", When::nth, Fault::Conflict).await;
    each_write(&world, "throttled", When::nth, Fault::Throttle(1)).await;
    assert_eq!(world.simulator.posts().await.len(), 11);
    assert_eq!((created(&world).await, cancels(&world).await), (11, 0));
}

#[tokio::test]
async fn each_write_of_a_life_that_is_done_and_not_answered_is_not_done_twice() {
    let world = acquainted().await;
    each_write(&world, "time-out", When::nth, Fault::TimeOut).await;
    each_write(&world, "closed", When::nth, Fault::Close(Side::After)).await;
    // The intents whose answers were lost gave nobody the right to send.
    assert_eq!(world.simulator.posts().await.len(), 11);
    assert_eq!((created(&world).await, cancels(&world).await), (11, 0));
}

#[tokio::test]
async fn each_write_of_a_life_that_another_writer_precedes_is_made_on_what_that_one_wrote() {
    let world = acquainted().await;
    let lives = writes_of_a_life("overtaken");
    let rules: Vec<Rule> = lives
        .iter()
        .map(|(_, what, number)| {
            let hold = Fault::Hold(Side::Before);
            world
                .proxy()
                .disturb(what.clone(), When::nth(*number), hold)
        })
        .collect();
    for (name, _, _) in &lives {
        world.export(name).await;
    }
    for ((name, _, _), rule) in lives.iter().zip(&rules) {
        rule.happened(1).await;
        world
            .patch::<ExportJob>(name, nudge("between"))
            .await
            .unwrap();
        write_status(&world, name).await;
        rule.end();
    }
    let names: Vec<String> = lives.into_iter().map(|(name, _, _)| name).collect();
    until_ended(&world, &names).await;
    for name in &names {
        let export = world.get(name).await;
        assert_eq!(outcome(&export), Some(SubmissionOutcome::Posted), "{name}");
        assert!(export.annotations().contains_key("example.com/nudge"));
    }
    assert_eq!(world.simulator.posts().await.len(), 6);
    assert_eq!((created(&world).await, cancels(&world).await), (6, 0));
}

/// Adds a condition of another controller to the status that is there.
async fn write_status(world: &World, name: &str) {
    let export = world.get(name).await;
    let status = export.status.unwrap_or_default();
    let mut conditions = serde_json::to_value(&status.conditions).unwrap();
    conditions.as_array_mut().unwrap().push(json!({
        "type": "Audited", "status": "True", "reason": "Seen", "message": "",
        "lastTransitionTime": "2026-11-01T00:00:00Z",
    }));
    let conditions = json!({ "conditions": conditions });
    world.write_status::<ExportJob>(name, conditions).await;
}

#[tokio::test]
async fn exports_survive_an_api_server_that_is_away_from_each_write_of_a_life_on() {
    let world = acquainted().await;
    let proxy = world.proxy();
    let mut names = Vec::new();
    let mut rules = Vec::new();
    for (kind, side) in [("before", Side::Before), ("after", Side::After)] {
        for (name, what, number) in writes_of_a_life(kind) {
            rules.push(proxy.disturb(what, When::from(number), Fault::Close(side)));
            world.export(&name).await;
            names.push(name);
        }
    }
    for rule in &rules {
        rule.happened(1).await;
    }
    let away = proxy.unavailable(Server::Kubernetes);
    rules.iter().for_each(Rule::end);
    away.happened(10).await;
    away.end();
    until_ended(&world, &names).await;
    assert_eq!(world.simulator.posts().await.len(), 11);
    assert_eq!((created(&world).await, cancels(&world).await), (11, 0));
}

#[tokio::test]
async fn an_id_that_cannot_be_recorded_for_as_long_as_it_is_tried_is_found_again() {
    let world = acquainted().await;
    world.simulator.hold_jobs().await;
    let proxy = world.proxy();
    let refused = proxy.disturb(status_of("late"), When::from(2), Fault::Conflict);
    world.export("late").await;
    eventually("the operator to give up", || async {
        if world
            .log()
            .contains("what the request came to is not recorded")
        {
            Ok(())
        } else {
            Err(world.log())
        }
    })
    .await;
    refused.end();
    world.until_phase("late", "Running").await;
    finish_all(&world).await;
    world.until_phase("late", "Succeeded").await;
    assert_eq!(world.simulator.posts().await.len(), 2);
    assert_eq!((created(&world).await, cancels(&world).await), (2, 0));
}

#[tokio::test]
async fn a_throttled_write_waits_for_as_long_as_it_is_told() {
    let world = furnished().await;
    let proxy = world.proxy();
    let throttled = proxy.disturb(status_of("asked"), When::next(1), Fault::Throttle(3));
    world.export("asked").await;
    throttled.happened(1).await;
    let began = std::time::Instant::now();
    requests(&world, &status_of("asked"), 2).await;
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(2_900), "{waited:?}");
    world.until_phase("asked", "Succeeded").await;
    assert_eq!(created(&world).await, 1);
    let log = proxy.log();
    let posts = positions(&log, &Match::platform(JOBS).verb(Verb::Create));
    let intents = positions(&log, &Match::resource(EXPORTS).verb(Verb::Update));
    assert_eq!(posts.len(), 1);
    assert!(intents[1] < posts[0], "{log:#?}");
}
