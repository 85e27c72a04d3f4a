//! One request that the gateway lets take effect twice: one job is kept, the other is cancelled.

use aep_export_operator::api::{ABANDON_ANNOTATION, ExportJob, Submission};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Case, at, committed, each, id, submission, world};
use crate::{
    harness::{World, eventually, is_held},
    samples::JOBS,
};

fn twice() -> Vec<(&'static str, Value)> {
    let own = |names: &str| json!({ "tenant": { "names": names } });
    let at_once = json!({ "times": 2 });
    let later = json!({ "times": 2, "againAfterMilliseconds": 1500 });
    let lose = json!({ "lose": { "how": "close" } });
    vec![
        (
            "the reply names the first",
            committed(own("first"), at_once.clone()),
        ),
        (
            "the reply names the second",
            committed(own("second"), at_once.clone()),
        ),
        (
            "the second comes later",
            committed(own("first"), later.clone()),
        ),
        (
            "the reply is lost",
            committed(lose.clone(), at_once.clone()),
        ),
        ("it is lost, the second comes later", committed(lose, later)),
        (
            "502",
            committed(json!({ "reply": { "status": 502 } }), at_once),
        ),
    ]
}

#[tokio::test]
async fn of_two_jobs_of_one_request_one_is_kept_and_the_other_cancelled() {
    let world = world("doubled", &[]).await;
    let world = &world;
    each(twice(), |name, action| async move {
        let case = Case::experienced(world, &name, json!({})).await;
        case.tenant.simulator.hold_jobs().await;
        case.at_next_post(action).await;
        case.submit(&name).await;
        let recorded = |export: &ExportJob| {
            let status = export.status.as_ref();
            let submission = status.and_then(|status| status.submission.as_ref());
            submission.is_some_and(|submission| submission.surplus_job_ids.len() == 1)
        };
        let export = world.until(&name, "with a surplus job", recorded).await;
        let submission = submission(&export);
        let surplus = submission.surplus_job_ids[0].clone();
        eventually("the surplus job to be cancelled", || async {
            let jobs = case.jobs_of(&submission).await;
            let is_so = |job: &Value| id(job) == surplus && job["status"] == "CANCELLED";
            if jobs.iter().any(is_so) {
                Ok(())
            } else {
                Err(format!("{jobs:#?}\n{}", world.log()))
            }
        })
        .await;
        let jobs = case.jobs_of(&submission).await;
        assert_eq!(jobs.len(), 2, "{jobs:#?}");
        let kept = export.status.as_ref().unwrap().job_id.clone().unwrap();
        let running: Vec<_> = jobs
            .iter()
            .filter(|job| job["status"] != "CANCELLED")
            .collect();
        assert_eq!(running.len(), 1, "{jobs:#?}");
        assert_eq!(id(running[0]), kept);
        assert_eq!(running[0]["deleteRequests"], 0);
        assert_eq!(case.posts_of(&submission).await.len(), 1);
        let note = world.event(&name, "SurplusJob").await;
        assert!(note.contains(&surplus), "{note}");
        case.assert_sound().await;
        // Both are gone with the object.
        world.delete::<ExportJob>(&name).await;
        world.until_gone::<ExportJob>(&name).await;
        let jobs = case.jobs_of(&submission).await;
        assert!(
            jobs.iter().all(|job| job["status"] == "CANCELLED"),
            "{jobs:#?}"
        );
        let own = jobs.iter().find(|job| id(job) == kept);
        assert_eq!(own.unwrap()["deleteRequests"], 1);
    })
    .await;
}

#[tokio::test]
async fn a_second_job_that_shows_after_the_export_has_ended_is_cancelled_too() {
    let world = world("doubled", &[]).await;
    let case = Case::experienced(&world, "doubled", json!({})).await;
    // The one that the reply names ends at once, the other one runs.
    let twice = json!({ "tenant": { "commit": { "times": 2, "againAfterMilliseconds": 1500 } } });
    case.at_next_post(twice).await;
    case.submit("ended").await;
    let export = world.until_phase("ended", "Succeeded").await;
    case.tenant.simulator.hold_jobs().await;
    let submission = submission(&export);
    eventually("the surplus job to be cancelled", || async {
        let jobs = case.jobs_of(&submission).await;
        let cancelled = |job: &Value| job["surplus"] == true && job["status"] == "CANCELLED";
        if jobs.iter().any(cancelled) {
            Ok(())
        } else {
            Err(format!("{jobs:#?}\n{}", world.log()))
        }
    })
    .await;
    let export = world.get("ended").await;
    assert_eq!(export.status.unwrap().phase.as_deref(), Some("Succeeded"));
    case.assert_sound().await;
}

#[tokio::test]
async fn a_job_that_comes_after_all_windows_is_cancelled_beside_that_of_the_second_request() {
    let world = world("beyond", &[]).await;
    let case = Case::experienced(&world, "beyond", json!({})).await;
    case.tenant.simulator.hold_jobs().await;
    // The platform keeps no promise: the request counts as not taken by then.
    let late = json!({ "lose": { "how": "close", "commit": { "afterMilliseconds": 7000 } } });
    case.at_next_post(late).await;
    case.submit("beyond").await;
    let export = world.until_phase("beyond", "Running").await;
    let submission = submission(&export);
    assert_eq!(case.posts_of(&submission).await.len(), 2);
    until_one_is_cancelled(&case, &submission).await;
    let jobs = case.jobs_of(&submission).await;
    assert_eq!(jobs.len(), 2, "{jobs:#?}");
    let kept = export.status.as_ref().unwrap().job_id.clone().unwrap();
    let running = jobs
        .iter()
        .find(|job| job["status"] != "CANCELLED")
        .unwrap();
    assert_eq!(id(running), kept);
    let note = world.event("beyond", "SurplusJob").await;
    assert!(note.contains("same request"), "{note}");
}

/// An export with two jobs that run, of which none is cancelled: each `DELETE` has this answer.
async fn refused<'a>(world: &'a World, name: &str, answer: u16) -> (Case<'a>, Submission) {
    let case = Case::experienced(world, name, json!({})).await;
    case.tenant.simulator.hold_jobs().await;
    let reply = json!({ "reply": { "status": answer } });
    case.fault("DELETE", &format!("{JOBS}/*"), None, reply)
        .await;
    let twice = json!({ "lose": { "how": "close" } });
    case.at_next_post(committed(twice, json!({ "times": 2 })))
        .await;
    case.submit(name).await;
    let export = world.until_phase(name, "Running").await;
    let submission = submission(&export);
    assert_eq!(submission.surplus_job_ids.len(), 1);
    (case, submission)
}

/// Has the job that was kept end, so that it holds the object no more.
async fn end_own(case: &Case<'_>, submission: &Submission) {
    let surplus = &submission.surplus_job_ids[0];
    let jobs = case.jobs_of(submission).await;
    let own = jobs.iter().find(|job| id(job) != *surplus).unwrap();
    let end = json!({ "outcome": "fail", "finishNow": true });
    let path = format!("jobs/{}", id(own));
    case.tenant.simulator.put(&path, end).await;
}

/// Waits until a job is asked to cancel long after all that happened to its export.
async fn until_asked_again(case: &Case<'_>, job: &str) {
    let path = format!("{JOBS}/{job}");
    eventually("another cancellation", || async {
        let asked = case.tenant.simulator.calls("DELETE", &path).await;
        let apart = asked
            .windows(2)
            .map(|pair| at(&pair[1]).duration_since(at(&pair[0])));
        if apart.max() > Some(SignedDuration::from_secs(3)) {
            Ok(())
        } else {
            Err(format!("{asked:#?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_surplus_job_that_cannot_be_cancelled_for_a_while_is_asked_to_again() {
    let world = world("refused", &[]).await;
    let (case, submission) = refused(&world, "refused", 503).await;
    until_asked_again(&case, &submission.surplus_job_ids[0]).await;
    case.tenant.simulator.delete("faults").await;
    until_one_is_cancelled(&case, &submission).await;
    let now = world.get("refused").await;
    assert_eq!(now.status.unwrap().phase.as_deref(), Some("Running"));
}

#[tokio::test]
async fn an_export_is_not_let_go_while_its_surplus_job_can_still_be_cancelled() {
    let world = world("refused", &[]).await;
    let (case, submission) = refused(&world, "held", 503).await;
    let surplus = &submission.surplus_job_ids[0];
    world.delete::<ExportJob>("held").await;
    end_own(&case, &submission).await;
    until_asked_again(&case, surplus).await;
    assert!(is_held(&world.get("held").await));
    case.tenant.simulator.delete("faults").await;
    world.until_gone::<ExportJob>("held").await;
    eventually("the surplus job to have ended", || async {
        let jobs = case.jobs_of(&submission).await;
        let surplus = jobs.iter().find(|job| id(job) == *surplus).unwrap();
        if surplus["status"] == "CANCELLED" {
            Ok(())
        } else {
            Err(surplus.to_string())
        }
    })
    .await;
}

#[tokio::test]
async fn an_export_whose_surplus_job_is_never_cancelled_is_let_go_at_its_deadline_with_a_warning() {
    let world = world("never", &["--cancel-deadline", "3s"]).await;
    let (case, submission) = refused(&world, "never", 409).await;
    let surplus = &submission.surplus_job_ids[0];
    end_own(&case, &submission).await;
    world.delete::<ExportJob>("never").await;
    world.until_gone::<ExportJob>("never").await;
    let note = world.event("never", "CancelTimedOut").await;
    assert!(note.contains(&format!("job {surplus}")), "{note}");
}

#[tokio::test]
async fn an_export_waits_for_the_end_of_its_surplus_job_and_not_for_a_yes_to_its_cancellation() {
    let world = world("accepted", &["--cancel-deadline", "3s"]).await;
    let (case, submission) = refused(&world, "accepted", 204).await;
    let surplus = &submission.surplus_job_ids[0];
    end_own(&case, &submission).await;
    world.delete::<ExportJob>("accepted").await;
    world.until_gone::<ExportJob>("accepted").await;
    let note = world.event("accepted", "CancelTimedOut").await;
    assert!(note.contains(&format!("job {surplus}")), "{note}");
}

#[tokio::test]
async fn an_export_is_kept_beyond_its_deadline_while_nobody_can_be_asked_to_cancel_its_surplus_job()
{
    let world = world("away", &["--cancel-deadline", "1s"]).await;
    let (case, submission) = refused(&world, "away", 503).await;
    let surplus = &submission.surplus_job_ids[0];
    end_own(&case, &submission).await;
    world.delete::<ExportJob>("away").await;
    // Those are further apart than the deadline is away.
    until_asked_again(&case, surplus).await;
    let kept = world.get("away").await;
    assert!(is_held(&kept));
    let abandon = json!({ ABANDON_ANNOTATION: kept.metadata.uid });
    let patch = json!({ "metadata": { "annotations": abandon } });
    world.patch::<ExportJob>("away", patch).await.unwrap();
    world.until_gone::<ExportJob>("away").await;
    let note = world.event("away", "Abandoned").await;
    assert!(note.contains(surplus), "{note}");
}

/// Waits until of the jobs of a request one is cancelled.
async fn until_one_is_cancelled(case: &Case<'_>, submission: &Submission) {
    eventually("one of the jobs to be cancelled", || async {
        let jobs = case.jobs_of(submission).await;
        let cancelled = jobs.iter().filter(|job| job["status"] == "CANCELLED");
        if cancelled.count() == 1 {
            Ok(())
        } else {
            Err(format!("{jobs:#?}\n{}", case.world.log()))
        }
    })
    .await;
}
