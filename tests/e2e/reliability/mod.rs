//! Whatever happens between an operator and its platform, one export is started for one object,
//! and what is somebody else's is left alone. The tenant's ledger is the judge.
//!
//! Every case has a tenant of its own; those of a test share one operator, which serves some of
//! them at the same time.

mod abandoned;
mod ambiguous;
mod clock;
mod costs;
mod credential;
mod datasets;
mod deleted;
mod doubled;
mod drained;
mod echo;
mod killed;
mod lists;
mod lost;
mod others;
mod refused;
mod replies;
mod statuses;
mod throttled;
mod wished;

use std::panic::AssertUnwindSafe;

use aep_export_operator::api::{
    ExportJob, PlatformConnection, RESOLVE_ANNOTATION, Submission, SubmissionOutcome,
};
use futures::{FutureExt, StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    harness::{SHORT_WINDOWS, World, conditions, eventually, is, is_held},
    samples::{JOBS, Tenant, seed_dataset},
};

/// The dataset of every tenant.
const DATASET: &str = "5b7c86968f7b6501e21ba9df";
/// Cases that run at the same time.
const AT_ONCE: usize = 20;
/// The least time from a request to the end of its windows, with short ones.
const WINDOW: SignedDuration = SignedDuration::from_secs(3);
/// How late a second try may start, three times over.
const LATE: SignedDuration = SignedDuration::from_secs(30);

/// Runs cases, some at a time, and fails with the names of those that did.
async fn each<T, F>(cases: Vec<(&'static str, T)>, run: impl Fn(String, T) -> F)
where
    F: Future<Output = ()>,
{
    let runs = cases.into_iter().enumerate().map(|(index, (label, case))| {
        let run = AssertUnwindSafe(run(format!("case-{index}"), case)).catch_unwind();
        async move {
            let panic = run.await.err()?;
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            Some(format!("{label}: {}", text.unwrap_or_default()))
        }
    });
    let failed: Vec<String> = stream::iter(runs)
        .buffer_unordered(AT_ONCE)
        .filter_map(|failed| async move { failed })
        .collect()
        .await;
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

/// Windows for tests in which nothing has to happen within them but the request.
const BRIEF_WINDOWS: [&str; 8] = [
    "--send-window",
    "1s",
    "--unacknowledged-window",
    "200ms",
    "--gateway-window",
    "300ms",
    "--visibility-window",
    "500ms",
];

/// An operator with short windows and more flags.
async fn world(name: &str, flags: &[&str]) -> World {
    let world = World::without_operator(name).await;
    with_flags(world, &[&SHORT_WINDOWS, flags].concat()).await
}

/// An operator with brief windows and more flags.
async fn brief_world(name: &str, flags: &[&str]) -> World {
    let world = World::without_operator(name).await;
    with_flags(world, &[&BRIEF_WINDOWS, flags].concat()).await
}

/// With an operator with these flags, and the credential of all tenants.
async fn with_flags(mut world: World, flags: &[&str]) -> World {
    world.start_operator(flags).await;
    world.create_credential("aep-credentials").await;
    world
}

/// A tenant, and a connection to it of the same name.
struct Case<'a> {
    world: &'a World,
    tenant: Tenant,
    name: String,
}

impl<'a> Case<'a> {
    /// With these switches; the connection is ready.
    async fn start(world: &'a World, name: &str, switches: Value) -> Self {
        let tenant = Tenant::start().await;
        seed_dataset(&tenant.simulator, DATASET).await;
        tenant.simulator.put("switches", switches).await;
        let mut spec = world.connection_spec();
        let url = tenant.simulator.url();
        spec["endpoints"] = json!({ "platform": url, "ims": url });
        world.create::<PlatformConnection>(name, spec).await;
        let ready = |c: &PlatformConnection| is(&conditions(c), "Ready", "True");
        world.until(name, "Ready", ready).await;
        Self {
            world,
            tenant,
            name: name.to_owned(),
        }
    }

    /// As [`start`](Self::start), once it is known whether the tenant shows request ids: an export
    /// came to its end before.
    async fn experienced(world: &'a World, name: &str, switches: Value) -> Self {
        let case = Self::start(world, name, switches).await;
        let first = format!("{name}-first");
        case.submit(&first).await;
        case.until_done(&first).await;
        let known = |c: &PlatformConnection| {
            let status = c.status.as_ref();
            status.is_some_and(|status| status.echoes_request_id.is_some())
        };
        world.until(name, "experienced", known).await;
        case
    }

    /// Asks for an export.
    async fn submit(&self, name: &str) -> ExportJob {
        let spec = json!({
            "connectionRef": { "name": self.name },
            "export": { "destination": { "datasetId": DATASET } },
        });
        self.world.create(name, spec).await
    }

    /// Has something happen to the next request for an export.
    async fn at_next_post(&self, action: Value) {
        self.fault("POST", JOBS, Some(1), action).await;
    }

    /// Has something happen to calls.
    async fn fault(&self, method: &str, path: &str, times: Option<u32>, action: Value) {
        let mut fault = json!({ "method": method, "path": path, "action": action });
        if let Some(times) = times {
            fault["times"] = json!(times);
        }
        self.tenant.simulator.fault(fault).await;
    }

    /// Waits until an export succeeded and is let go.
    async fn until_done(&self, name: &str) -> ExportJob {
        self.world.until_phase(name, "Succeeded").await;
        let let_go = |export: &ExportJob| !is_held(export);
        self.world.until(name, "let go", let_go).await
    }

    /// Waits until the intent of an export is on record.
    async fn until_intended(&self, name: &str) -> Submission {
        let intended = |export: &ExportJob| {
            export
                .status
                .as_ref()
                .is_some_and(|s| s.submission.is_some())
        };
        submission(&self.world.until(name, "intended", intended).await)
    }

    /// Waits until the tenant has so many jobs.
    async fn until_jobs(&self, count: usize) {
        eventually("jobs of the tenant", || async {
            match self.tenant.simulator.jobs().await.len() {
                enough if enough >= count => Ok(()),
                few => Err(format!("{few} jobs\n{}", self.world.log())),
            }
        })
        .await;
    }

    /// The requests for an export with the request id of this submission.
    async fn posts_of(&self, submission: &Submission) -> Vec<Value> {
        let mut posts = self.tenant.simulator.posts().await;
        posts.retain(|post| post["requestId"] == submission.request_id.as_str());
        posts
    }

    /// The jobs with the request id of this submission.
    async fn jobs_of(&self, submission: &Submission) -> Vec<Value> {
        let mut jobs = self.tenant.simulator.jobs().await;
        jobs.retain(|job| job["requestId"] == submission.request_id.as_str());
        jobs
    }

    /// The list was read once, before anybody could say that nothing was taken: with tenants of
    /// which nothing is known yet it is never read for another reason.
    async fn assert_one_look(&self, export: &ExportJob) {
        let lists = self.tenant.simulator.lists().await;
        assert_eq!(lists.len(), 1, "{lists:#?}");
        assert!(
            at(&lists[0]) <= submission(export).settle_after,
            "{lists:#?}"
        );
    }

    /// Nothing was created twice, and nothing of somebody else's was asked to cancel.
    async fn assert_sound(&self) {
        let summary = self.tenant.simulator.get("summary").await;
        assert_eq!(summary["createdOverOne"], 0, "{summary:#}");
        assert_eq!(summary["foreignDeleted"], 0, "{summary:#}");
    }

    /// One export was started for this submission, by so many requests, and its id is on record.
    async fn assert_started_once(&self, export: &ExportJob, posts: usize) {
        let submission = submission(export);
        let sent = self.posts_of(&submission).await;
        assert_eq!(sent.len(), posts, "requests\n{}", self.world.log());
        let jobs = self.jobs_of(&submission).await;
        assert_eq!(jobs.len(), 1, "{jobs:#?}");
        let job = export.status.as_ref().unwrap().job_id.clone();
        assert_eq!(job, Some(jobs[0]["id"].to_string()));
        self.assert_sound().await;
    }

    /// A person answers the doubt of an export.
    async fn answer(&self, name: &str, r#try: &str, word: &str) {
        let answer = format!("{try}={word}", r#try = r#try);
        let annotation = json!({ "metadata": { "annotations": { RESOLVE_ANNOTATION: answer } } });
        self.world
            .patch::<ExportJob>(name, annotation)
            .await
            .unwrap();
    }

    /// Puts a job of somebody else's into the dataset, now.
    async fn foreign_job(&self) -> String {
        let job = json!({ "datasetId": DATASET, "foreign": true, "outcome": "hold" });
        let seeded = self.tenant.simulator.post("jobs", job).await;
        seeded["id"].to_string()
    }
}

/// The submission on record.
fn submission(export: &ExportJob) -> Submission {
    export.status.clone().unwrap().submission.unwrap()
}

/// Whether the request of an export was sent and nobody knows what became of it.
fn in_doubt(export: &ExportJob) -> bool {
    let status = export.status.as_ref();
    status.is_some_and(|status| status.submission.is_some() && status.job_id.is_none())
}

/// When a call came in, by the tenant's clock.
fn at(call: &Value) -> Timestamp {
    call["at"].as_str().unwrap().parse().unwrap()
}

/// A job's id, as a status has it.
fn id(job: &Value) -> String {
    job["id"].to_string()
}

/// A fault's action that takes effect so.
fn committed(mut action: Value, commit: Value) -> Value {
    let what = action.as_object_mut().unwrap().values_mut().next().unwrap();
    what["commit"] = commit;
    action
}

/// How the job of a submission was found.
fn found(export: &ExportJob) -> (Option<SubmissionOutcome>, String) {
    let submission = submission(export);
    (submission.outcome, format!("{:?}", submission.evidence))
}
