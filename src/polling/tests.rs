//! The board in paused time, on a tenant that answers at once and counts its calls.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    api::Target,
    decide::export::{Batches, Sighting},
    governor::Wake,
    platform::{Batch, BatchId, Cursor, DatasetId, Job, JobId, JobPage, PlatformError},
};

const MINUTE: Duration = Duration::from_mins(1);

/// A tenant of the platform.
struct Tenant {
    start: Instant,
    /// Newest first.
    jobs: Mutex<Vec<Job>>,
    /// Records of a page at the most.
    page: usize,
    gets: AtomicUsize,
    pages: AtomicUsize,
    batches: AtomicUsize,
    /// Every call fails so.
    fails: Mutex<Option<PlatformError>>,
    /// What the list shows of every job, whatever it is by now.
    list_shows: Mutex<Option<&'static str>>,
}

impl Tenant {
    fn new(page: usize) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            jobs: Mutex::default(),
            page,
            gets: AtomicUsize::new(0),
            pages: AtomicUsize::new(0),
            batches: AtomicUsize::new(0),
            fails: Mutex::default(),
            list_shows: Mutex::default(),
        })
    }

    /// Starts jobs; the last one is the newest.
    fn start(&self, ids: impl IntoIterator<Item = String>) {
        let mut jobs = self.jobs.lock().unwrap();
        for id in ids {
            let job = Job {
                creation_time: Some(self.now()),
                ..Job::bare(JobId::new(id), "PROCESSING")
            };
            jobs.insert(0, job);
        }
    }

    fn end(&self, id: &str, status: &str) {
        let mut jobs = self.jobs.lock().unwrap();
        let job = jobs.iter_mut().find(|job| job.id.as_str() == id);
        job.unwrap().status = status.into();
    }

    fn calls(&self) -> usize {
        let counters = [&self.gets, &self.pages, &self.batches];
        counters
            .iter()
            .map(|count| count.load(Ordering::SeqCst))
            .sum()
    }

    fn call(&self, counter: &AtomicUsize) -> Result<(), PlatformError> {
        counter.fetch_add(1, Ordering::SeqCst);
        match &*self.fails.lock().unwrap() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

impl Source for Tenant {
    fn now(&self) -> Timestamp {
        let passed = self.start.elapsed();
        Timestamp::from_second(1_800_000_000).unwrap() + passed
    }

    fn job<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Option<Job>, PlatformError>> {
        Box::pin(async move {
            self.call(&self.gets)?;
            let jobs = self.jobs.lock().unwrap();
            Ok(jobs.iter().find(|job| job.id == *id).cloned())
        })
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a Cursor>,
        limit: u32,
    ) -> BoxFuture<'a, Result<JobPage, PlatformError>> {
        Box::pin(async move {
            self.call(&self.pages)?;
            let first: usize = after.map_or(0, |cursor| cursor.0.parse().unwrap());
            let jobs = self.jobs.lock().unwrap();
            let end = jobs.len().min(first + self.page.min(limit as usize));
            let mut shown = jobs[first..end].to_vec();
            if let Some(status) = *self.list_shows.lock().unwrap() {
                for job in &mut shown {
                    job.status = status.into();
                }
            }
            Ok(JobPage {
                jobs: shown,
                unreadable: 0,
                next: (end < jobs.len()).then(|| Cursor(end.to_string())),
                overlap: None,
            })
        })
    }

    fn batch<'a>(&'a self, id: &'a BatchId) -> BoxFuture<'a, Result<Option<Batch>, PlatformError>> {
        Box::pin(async move {
            self.call(&self.batches)?;
            Ok(Some(Batch {
                id: id.clone(),
                status: "success".into(),
                records: None,
                files: None,
                bytes: None,
            }))
        })
    }
}

/// A board that runs on a tenant.
struct Running {
    board: Arc<Board>,
    tenant: Arc<Tenant>,
    woken: Arc<AtomicU32>,
    stop: CancellationToken,
    /// How long after its start a second job would have to show.
    window: Duration,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn target() -> Target {
    Target {
        platform: "https://platform.adobe.io".into(),
        organization_id: "org@AdobeOrg".into(),
        sandbox: "prod".into(),
        dataset_id: None,
    }
}

impl Running {
    fn new(tenant: &Arc<Tenant>, min: Duration, max: Duration) -> Self {
        // It is known that ids are not shown, so that nothing is asked to learn it.
        Self::with(tenant, Intervals { min, max }, false)
    }

    fn with(tenant: &Arc<Tenant>, intervals: Intervals, shows_requests: bool) -> Self {
        let echoes = Arc::new(Echoes::default());
        echoes.remember(&target(), Some(shows_requests));
        let links = Links {
            echoes,
            lists: Arc::default(),
        };
        let board = Arc::new(Board::new(intervals, links));
        let stop = CancellationToken::new();
        let (runs, shutdown) = (Arc::clone(&board), stop.clone());
        tokio::spawn(async move { runs.run(shutdown).await });
        Self {
            board,
            tenant: Arc::clone(tenant),
            woken: Arc::default(),
            stop,
            window: Duration::ZERO,
        }
    }

    /// A board on a tenant that shows request ids.
    fn that_sees_requests(tenant: &Arc<Tenant>, window: Duration) -> Self {
        let intervals = Intervals {
            min: MINUTE,
            max: MINUTE,
        };
        let mut running = Self::with(tenant, intervals, true);
        running.window = window;
        running
    }

    /// A board that asks each minute.
    fn each_minute(tenant: &Arc<Tenant>) -> Self {
        Self::new(tenant, MINUTE, MINUTE)
    }

    fn follow(&self, id: &str) {
        self.follow_as(id, id);
    }

    /// Follows a job for the object with this UID.
    fn follow_as(&self, uid: &str, id: &str) {
        let woken = Arc::clone(&self.woken);
        let wake: Wake = Arc::new(move || {
            woken.fetch_add(1, Ordering::SeqCst);
        });
        let source: Arc<dyn Source> = self.tenant.clone();
        let jobs = self.tenant.jobs.lock().unwrap();
        let job = jobs.iter().find(|job| job.id.as_str() == id).unwrap();
        let began = job.creation_time.unwrap();
        drop(jobs);
        self.board.follow(Follow {
            uid: uid.to_owned(),
            wake,
            job: JobId::new(id),
            client: Client::of(source, target()),
            target: Target {
                dataset_id: Some(DatasetId::new("dataset").to_string()),
                ..target()
            },
            request_id: format!("request-{id}"),
            began,
            settled: began + self.window,
            pace: Pace::Running,
        });
    }

    fn status(&self, id: &str) -> Option<String> {
        match self.board.sighting(id) {
            Sighting::Job { job, batches: _ } => Some(job.status),
            Sighting::Unseen | Sighting::Missing | Sighting::Trouble(_) => None,
        }
    }

    fn woken(&self) -> u32 {
        self.woken.load(Ordering::SeqCst)
    }

    /// The calls of a time.
    async fn calls_in(&self, time: Duration) -> usize {
        let before = self.tenant.calls();
        tokio::time::sleep(time).await;
        self.tenant.calls() - before
    }
}

/// So many jobs, followed from their start, on pages of so many records.
fn followed(count: usize, page: usize) -> (Arc<Tenant>, Running) {
    let tenant = Tenant::new(page);
    let board = Running::each_minute(&tenant);
    tenant.start(names(count));
    for id in names(count) {
        board.follow(&id);
    }
    (tenant, board)
}

fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| number.to_string())
}

#[tokio::test(start_paused = true)]
async fn five_hundred_running_jobs_cost_less_than_a_twentieth_of_a_call_each() {
    let (tenant, board) = followed(500, 100);
    tokio::time::sleep(2 * MINUTE).await;
    let calls = board.calls_in(60 * MINUTE).await;
    assert!(calls <= 500 * 60 / 20, "{calls} calls in an hour");
    // And none is left out.
    for id in names(500) {
        assert!(board.status(&id).is_some(), "{id} was not seen");
    }
    tenant.end("250", "FAILED");
    tokio::time::sleep(MINUTE + MINUTE / 5).await;
    assert_eq!(board.status("250").as_deref(), Some("FAILED"));
}

#[tokio::test(start_paused = true)]
async fn one_running_job_costs_one_call_each_time_and_no_list() {
    let tenant = Tenant::new(100);
    let board = Running::each_minute(&tenant);
    tenant.start(names(1));
    board.follow("0");
    let calls = board.calls_in(60 * MINUTE).await;
    assert!((54..=60).contains(&calls), "{calls} calls in an hour");
    assert_eq!(tenant.pages.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn jobs_far_down_a_list_of_others_are_asked_for_by_their_ids() {
    let tenant = Tenant::new(100);
    tenant.start(names(3));
    tenant.start((0..5_000).map(|number| format!("other-{number}")));
    let board = Running::each_minute(&tenant);
    for id in names(3) {
        board.follow(&id);
    }
    // The first rounds find out where they are not.
    tokio::time::sleep(5 * MINUTE).await;
    let pages = tenant.pages.load(Ordering::SeqCst);
    assert!(pages <= 3, "{pages}");
    let calls = board.calls_in(60 * MINUTE).await;
    assert!(calls <= 3 * 61, "{calls} calls in an hour");
    assert_eq!(tenant.pages.load(Ordering::SeqCst), pages);
}

#[tokio::test(start_paused = true)]
async fn smaller_pages_than_were_asked_for_are_counted_as_they_come() {
    let (_, board) = followed(100, 20);
    tokio::time::sleep(2 * MINUTE).await;
    let calls = board.calls_in(60 * MINUTE).await;
    assert!(calls <= 6 * 67, "{calls} calls in an hour");
}

#[tokio::test(start_paused = true)]
async fn jobs_that_others_start_between_do_not_hide_ours() {
    let (tenant, board) = followed(50, 100);
    for round in 0..60 {
        tenant.start((0..5).map(|number| format!("other-{round}-{number}")));
        tokio::time::sleep(MINUTE).await;
    }
    // After an hour they begin at the fourth page of the list.
    let calls = board.calls_in(10 * MINUTE).await;
    assert!(calls <= 11 * 5, "{calls} calls in ten minutes");
    tenant.end("0", "FAILED");
    tokio::time::sleep(MINUTE + MINUTE / 5).await;
    assert_eq!(board.status("0").as_deref(), Some("FAILED"));
}

#[tokio::test(start_paused = true)]
async fn the_jobs_of_a_process_that_was_restarted_are_not_asked_for_all_at_once() {
    let tenant = Tenant::new(100);
    tenant.start(names(500));
    // They have run for half an hour.
    tokio::time::sleep(30 * MINUTE).await;
    let board = Running::new(&tenant, Duration::from_secs(5), 5 * MINUTE);
    for id in names(500) {
        board.follow(&id);
    }
    let calls = board.calls_in(Duration::from_secs(3)).await;
    assert!(calls <= 60, "{calls} calls at once");
    let calls = board.calls_in(3 * MINUTE + MINUTE / 2).await;
    assert!(calls <= 600, "{calls} calls until each was seen");
    for id in names(500) {
        assert!(board.status(&id).is_some(), "{id} was not seen");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_that_a_list_shows_is_asked_for_by_its_id_and_nothing_is_asked_after_it() {
    let (tenant, board) = followed(10, 100);
    tokio::time::sleep(3 * MINUTE).await;
    let (gets, woken) = (tenant.gets.load(Ordering::SeqCst), board.woken());
    for id in names(10) {
        tenant.end(&id, "SUCCEEDED");
    }
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(tenant.gets.load(Ordering::SeqCst), gets + 10);
    assert_eq!(board.woken(), woken + 10, "each object once");
    assert_eq!(board.calls_in(60 * MINUTE).await, 0);
    for id in names(10) {
        board.board.ended(&id);
    }
    assert_eq!(board.board.followed(), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_before_the_platform_allows_it_and_what_was_seen_stands() {
    let tenant = Tenant::new(100);
    let board = Running::each_minute(&tenant);
    tenant.start(names(1));
    board.follow("0");
    tokio::time::sleep(3 * MINUTE).await;
    let woken = board.woken();
    *tenant.fails.lock().unwrap() = Some(PlatformError::throttled(20 * MINUTE));
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(board.calls_in(15 * MINUTE).await, 0);
    *tenant.fails.lock().unwrap() = None;
    assert_eq!(board.status("0").as_deref(), Some("PROCESSING"));
    assert_eq!(board.woken(), woken, "no object is told of it");
    assert!(board.calls_in(5 * MINUTE).await > 0);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_list_does_not_show_is_asked_for_before_it_counts_as_gone() {
    let (tenant, board) = followed(10, 100);
    tokio::time::sleep(3 * MINUTE).await;
    tenant
        .jobs
        .lock()
        .unwrap()
        .retain(|job| job.id.as_str() != "4");
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(board.board.sighting("4"), Sighting::Missing);
}

#[tokio::test(start_paused = true)]
async fn two_objects_with_one_job_on_record_are_both_told_of_its_end() {
    let (tenant, board) = followed(2, 100);
    board.follow_as("copy", "0");
    tokio::time::sleep(3 * MINUTE).await;
    tenant.end("0", "FAILED");
    tokio::time::sleep(2 * MINUTE).await;
    for uid in ["0", "copy"] {
        assert_eq!(board.status(uid).as_deref(), Some("FAILED"), "{uid}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_stays_behind_hides_no_end_for_good() {
    let tenant = Tenant::new(100);
    *tenant.list_shows.lock().unwrap() = Some("PROCESSING");
    let board = Running::each_minute(&tenant);
    tenant.start(names(10));
    for id in names(10) {
        board.follow(&id);
    }
    tokio::time::sleep(3 * MINUTE).await;
    tenant.end("4", "FAILED");
    tokio::time::sleep(70 * MINUTE).await;
    assert_eq!(board.status("4").as_deref(), Some("FAILED"));
}

#[tokio::test(start_paused = true)]
async fn batches_are_asked_for_once_the_job_has_succeeded() {
    let tenant = Tenant::new(100);
    let board = Running::each_minute(&tenant);
    tenant.start(names(1));
    tenant.jobs.lock().unwrap()[0].batches = vec![crate::platform::JobBatch {
        id: BatchId::new("batch"),
        segment_id: None,
        segment_ns: None,
        segment_status: Vec::new(),
    }];
    board.follow("0");
    tokio::time::sleep(3 * MINUTE).await;
    assert_eq!(tenant.batches.load(Ordering::SeqCst), 0);
    tenant.end("0", "SUCCEEDED");
    tokio::time::sleep(2 * MINUTE).await;
    let Sighting::Job { job: _, batches } = board.board.sighting("0") else {
        panic!("not seen")
    };
    assert!(matches!(batches, Batches::Seen(seen) if seen.len() == 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_what_is_forgotten() {
    let (tenant, board) = followed(100, 100);
    tokio::time::sleep(2 * MINUTE).await;
    for id in names(100) {
        board.board.forget(&id);
    }
    assert!(board.board.entries().is_empty());
    // What is known of a list goes with the next round of any.
    tenant.start(["last".to_owned()]);
    board.follow("last");
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(board::lock(&board.board.desks).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn second_jobs_of_a_stream_of_exports_are_looked_for_by_few_readings_of_the_list() {
    let tenant = Tenant::new(100);
    let window = Duration::from_secs(140);
    let board = Running::that_sees_requests(&tenant, window);
    let seconds = 1_400;
    for id in names(seconds) {
        tenant.start([id.clone()]);
        board.follow(&id);
        board.board.ended(&id);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(board.board.kept() <= 300, "{}", board.board.kept());
    tokio::time::sleep(2 * window).await;
    assert_eq!(board.board.kept(), 0, "each was looked for");
    // One for each window, of what began since the one before.
    let pages = tenant.pages.load(Ordering::SeqCst);
    assert!(pages <= 44, "{pages} pages");
}
