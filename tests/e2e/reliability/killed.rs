//! An operator that is killed on the way from an intent to the id on record.

use aep_export_operator::api::{ExportJob, SubmissionEvidence, SubmissionOutcome};
use serde_json::json;

use super::{LATE, at, submission};
use crate::{
    harness::{
        SHORT_WINDOWS, World, eventually,
        proxy::{Fault, Match, Rule, Side, Verb, When},
    },
    samples::JOBS,
};

/// Where an operator is killed.
struct Killed {
    world: World,
    rule: Rule,
}

impl Killed {
    /// At the first of these requests for an export, on this side of it.
    async fn at(what: Match, when: When, side: Side) -> Self {
        let mut world = World::behind_proxy("killed").await;
        world.start_operator(&SHORT_WINDOWS).await;
        world.furnish().await;
        let rule = world.proxy().disturb(what, when, Fault::Hold(side));
        world.export("killed").await;
        rule.happened(1).await;
        Self { world, rule }
    }

    /// Kills it, and starts it again when what was under way is settled on the servers. What was
    /// held before it reached its server never does.
    async fn restart(&mut self) {
        self.world.kill_operator();
        self.world.restart_operator().await;
    }

    /// One export was started, by so many requests, and ended well.
    async fn assert_started_once(&self, posts: usize) -> ExportJob {
        let Self { world, rule: _ } = self;
        let export = world.until_phase("killed", "Succeeded").await;
        assert_eq!(world.simulator.posts().await.len(), posts);
        let jobs = world.simulator.jobs().await;
        assert_eq!(jobs.len(), 1, "{jobs:#?}");
        let submission = submission(&export);
        assert_eq!(jobs[0]["requestId"], submission.request_id.as_str());
        let job = export.status.as_ref().unwrap().job_id.clone();
        assert_eq!(job, Some(jobs[0]["id"].to_string()));
        let summary = world.simulator.get("summary").await;
        assert_eq!(
            (&summary["createdOverOne"], &summary["foreignDeleted"]),
            (&json!(0), &json!(0))
        );
        export
    }
}

fn status_writes() -> Match {
    Match::resource("exportjobs")
        .verb(Verb::Update)
        .subresource("status")
}

fn request() -> Match {
    Match::platform(JOBS).verb(Verb::Create)
}

#[tokio::test]
async fn killed_before_the_intent_is_on_record_it_starts_over() {
    let mut killed = Killed::at(status_writes(), When::nth(1), Side::Before).await;
    killed.restart().await;
    let export = killed.assert_started_once(1).await;
    assert_eq!(submission(&export).outcome, Some(SubmissionOutcome::Posted));
}

#[tokio::test]
async fn killed_after_the_intent_and_before_its_request_it_sends_once_the_windows_are_over() {
    let mut killed = Killed::at(status_writes(), When::nth(1), Side::After).await;
    let intended = |export: &ExportJob| {
        export
            .status
            .as_ref()
            .is_some_and(|s| s.submission.is_some())
    };
    let first = submission(&killed.world.until("killed", "intended", intended).await);
    killed.restart().await;
    let export = killed.assert_started_once(1).await;
    assert_ne!(submission(&export).r#try, first.r#try);
    let sent = at(&killed.world.simulator.posts().await[0]);
    assert!(sent > first.settle_after, "{sent} {first:?}");
    assert!(sent < first.settle_after + LATE, "{sent} {first:?}");
}

#[tokio::test]
async fn killed_while_its_request_is_lost_on_its_way_it_sends_once_more() {
    let mut killed = Killed::at(request(), When::nth(1), Side::Before).await;
    let first = submission(&killed.world.get("killed").await);
    killed.restart().await;
    killed.assert_started_once(1).await;
    let sent = at(&killed.world.simulator.posts().await[0]);
    assert!(sent > first.settle_after, "{sent} {first:?}");
    assert!(sent < first.settle_after + LATE, "{sent} {first:?}");
}

#[tokio::test]
async fn killed_while_its_request_is_on_its_way_it_finds_the_job_that_comes_of_it() {
    let mut killed = Killed::at(request(), When::nth(1), Side::Before).await;
    killed.restart().await;
    // It arrives when nobody waits for its reply any more.
    killed.rule.end();
    let export = killed.assert_started_once(1).await;
    assert_eq!(
        submission(&export).evidence,
        Some(SubmissionEvidence::RequestId)
    );
}

#[tokio::test]
async fn killed_after_the_platform_took_the_request_it_finds_the_job() {
    let mut world = World::without_operator("killed").await;
    world.start_operator(&SHORT_WINDOWS).await;
    world.furnish().await;
    let hang = json!({ "lose": { "how": "hang", "commit": true } });
    let fault = json!({ "method": "POST", "path": JOBS, "times": 1, "action": hang });
    world.simulator.fault(fault).await;
    world.export("killed").await;
    eventually("the job", || async {
        let jobs = world.simulator.jobs().await;
        if jobs.is_empty() {
            Err(world.log())
        } else {
            Ok(())
        }
    })
    .await;
    world.kill_operator();
    world.restart_operator().await;
    let export = world.until_phase("killed", "Succeeded").await;
    let submission = submission(&export);
    assert_eq!(submission.outcome, Some(SubmissionOutcome::Adopted));
    assert_eq!(submission.evidence, Some(SubmissionEvidence::RequestId));
    assert_eq!(world.simulator.posts().await.len(), 1);
    assert_eq!(world.simulator.jobs().await.len(), 1);
    let (from, to) = (submission.intent_time, submission.settle_after);
    let lists = world.simulator.lists().await;
    let read = lists.iter().filter(|call| (from..=to).contains(&at(call)));
    assert_eq!(read.count(), 1, "{lists:#?}");
}

#[tokio::test]
async fn killed_with_the_reply_in_hand_it_finds_the_job() {
    let mut killed = Killed::at(status_writes(), When::nth(2), Side::Before).await;
    killed.restart().await;
    let export = killed.assert_started_once(1).await;
    assert_eq!(
        submission(&export).outcome,
        Some(SubmissionOutcome::Adopted)
    );
}

#[tokio::test]
async fn killed_with_the_id_on_record_it_follows_the_job() {
    let mut killed = Killed::at(status_writes(), When::nth(2), Side::After).await;
    killed.world.until_phase("killed", "Running").await;
    killed.restart().await;
    let export = killed.assert_started_once(1).await;
    assert_eq!(submission(&export).outcome, Some(SubmissionOutcome::Posted));
}
