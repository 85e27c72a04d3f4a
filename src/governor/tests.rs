//! Budgets in paused time: a tenant that answers at once, and many that want to call it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn allowance(requests_per_minute: u32) -> Allowance {
    Allowance {
        requests_per_minute,
        max_running_exports: 100_000,
    }
}

fn caller(lane: Lane, namespace: &str) -> Caller {
    Caller {
        lane,
        namespace: Arc::from(namespace),
    }
}

fn nobody() -> Wake {
    Arc::new(|| {})
}

/// Calls until one was let through, as a pass or the board does that comes again.
async fn call(budget: &Arc<Budget>, caller: &Caller) -> Permit {
    loop {
        match budget.admit(caller).await {
            Ok(permit) => return permit,
            Err(denied) => {
                tokio::time::sleep(denied.left.unwrap_or(Duration::from_millis(1))).await;
            }
        }
    }
}

/// Waits for the turn of an object that wants to create something.
async fn turn(budget: &Arc<Budget>, uid: &str, namespace: &Arc<str>) -> Permit {
    loop {
        let woken = Arc::new(tokio::sync::Notify::new());
        let wake = Arc::clone(&woken);
        match budget.turn(uid, namespace, Arc::new(move || wake.notify_one())) {
            Turn::Now(permit) => return permit,
            // As the slow look of a pass.
            Turn::Waits { .. } => {
                let _ = tokio::time::timeout(10 * MINUTE, woken.notified()).await;
            }
        }
    }
}

/// Jain's index: 1 if all have the same, 1/n if one has all.
fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    let count = u32::try_from(shares.len()).unwrap();
    sum * sum / (f64::from(count) * squares)
}

#[tokio::test(start_paused = true)]
async fn a_thousand_submissions_keep_to_the_budget_and_namespaces_have_equal_shares() {
    let budget = Budget::new(allowance(600));
    let start = Instant::now();
    let sent = Arc::new(Mutex::new(Vec::new()));
    // Of very different size, so that first come, first served would not be fair.
    let sizes = [550, 50, 50, 50, 50, 50, 50, 50, 50, 50];
    let wants = sizes.iter().enumerate().flat_map(|(number, size)| {
        let namespace: Arc<str> = Arc::from(format!("team-{number}"));
        (0..*size).map(move |object| (Arc::clone(&namespace), object))
    });
    let submissions = wants.map(|(namespace, object)| {
        let (budget, sent) = (Arc::clone(&budget), Arc::clone(&sent));
        tokio::spawn(async move {
            let permit = turn(&budget, &format!("{namespace}/{object}"), &namespace).await;
            sent.lock().unwrap().push((start.elapsed(), namespace));
            permit.heard(Heard::Answer);
        })
    });
    join_all(submissions.collect::<Vec<_>>()).await;
    let sent = sent.lock().unwrap();
    assert_eq!(sent.len(), 1_000);
    for (first, _) in sent.iter() {
        let within = |at: &Duration| first <= at && *at < *first + MINUTE;
        let count = sent.iter().filter(|(at, _)| within(at)).count();
        assert!(count <= 600, "{count} in the minute from {first:?}");
    }
    // While all namespaces have something waiting: after what may be sent at once, which is for
    // who comes first, and before the small ones are done.
    let mut shares: HashMap<&str, f64> = HashMap::new();
    for (_, namespace) in &sent[50..500] {
        *shares.entry(namespace).or_default() += 1.0;
    }
    let index = jain(&shares.values().copied().collect::<Vec<_>>());
    assert!(shares.len() == 10 && index >= 0.95, "{index} {shares:?}");
    assert!(start.elapsed() < 2 * MINUTE, "{:?}", start.elapsed());
}

/// A tenant that answers 429 for ten minutes.
struct Storm {
    until: Instant,
    retry_after: Option<Duration>,
    /// When it was called in vain.
    refused: Mutex<Vec<Instant>>,
    first_after: Mutex<Option<Instant>>,
}

impl Storm {
    fn call(&self, permit: Permit) {
        let now = Instant::now();
        if now < self.until {
            self.refused.lock().unwrap().push(now);
            let retry_after = self.retry_after;
            permit.heard(Heard::Throttled { retry_after });
        } else {
            self.first_after.lock().unwrap().get_or_insert(now);
            permit.heard(Heard::Answer);
        }
    }

    fn refused(&self) -> usize {
        self.refused.lock().unwrap().len()
    }

    /// How long it took until its end was known.
    fn known_after(&self) -> Duration {
        self.first_after.lock().unwrap().unwrap() - self.until
    }
}

/// So many objects want to submit in a storm, beside those whose calls ask how it is.
async fn storm(objects: u32, limit: u32, retry_after: Option<Duration>) -> (Arc<Storm>, u32) {
    let budget = Budget::new(allowance(limit));
    let storm = Arc::new(Storm {
        until: Instant::now() + 10 * MINUTE,
        retry_after,
        refused: Mutex::default(),
        first_after: Mutex::default(),
    });
    let created = Arc::new(AtomicU32::new(0));
    // The connection, which asks when it is woken.
    let (asked, woken) = tokio::sync::mpsc::unbounded_channel::<()>();
    let wake: Wake = Arc::new(move || asked.send(()).unwrap_or_default());
    budget.probe_by("connection", Some(wake));
    let probes = tokio::spawn(probe(Arc::clone(&budget), Arc::clone(&storm), woken));
    // The 429 that begins it.
    storm.call(call(&budget, &caller(Lane::Poll, "a")).await);
    let objects = (0..objects).map(|number| {
        let (budget, storm, created) = (
            Arc::clone(&budget),
            Arc::clone(&storm),
            Arc::clone(&created),
        );
        tokio::spawn(async move {
            let namespace: Arc<str> = Arc::from(format!("team-{}", number % 10));
            let permit = turn(&budget, &number.to_string(), &namespace).await;
            if Instant::now() < storm.until {
                created.fetch_add(1, Ordering::SeqCst);
            }
            storm.call(permit);
        })
    });
    join_all(objects.collect::<Vec<_>>()).await;
    probes.abort();
    let created = created.load(Ordering::SeqCst);
    (storm, created)
}

async fn probe(
    budget: Arc<Budget>,
    storm: Arc<Storm>,
    mut woken: tokio::sync::mpsc::UnboundedReceiver<()>,
) {
    while woken.recv().await.is_some() {
        if let Ok(permit) = budget.admit(&caller(Lane::Drift, "a")).await {
            storm.call(permit);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_storm_of_429_one_call_asks_whenever_it_may_and_nothing_is_created() {
    let asked = Duration::from_secs(30);
    let (storm, created) = storm(1_000, 600, Some(asked)).await;
    assert_eq!(created, 0);
    let calls = storm.refused();
    assert!(calls <= 20, "{calls} calls in ten minutes");
    let known = storm.known_after();
    assert!(known <= 2 * asked, "{known:?}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_storm_is_known_before_the_time_that_the_platform_named_has_passed_twice() {
    for (limit, asked) in [(600, 5), (600, 1), (60, 2), (12, 10), (2, 60)] {
        let asked = Duration::from_secs(asked);
        let (storm, created) = storm(20, limit, Some(asked)).await;
        assert_eq!(created, 0);
        let known = storm.known_after();
        assert!(known < 2 * asked, "{limit} {asked:?}: {known:?}");
        let refused = storm.refused.lock().unwrap();
        for (number, at) in refused.iter().enumerate() {
            if let Some(next) = refused.get(number + 1) {
                assert!(*next - *at >= asked, "{limit} {asked:?}: {:?}", *next - *at);
            }
            let within = refused[number..].iter().filter(|of| **of - *at < MINUTE);
            let within = within.count();
            assert!(within <= limit as usize, "{limit} {asked:?}: {within}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_that_names_no_time_is_asked_about_ever_more_seldom() {
    let (storm, created) = storm(1_000, 600, None).await;
    assert_eq!(created, 0);
    let calls = storm.refused();
    assert!((10..=30).contains(&calls), "{calls} calls in ten minutes");
    let known = storm.known_after();
    assert!(known <= MINUTE, "{known:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_storm_the_rate_comes_back_over_minutes() {
    let budget = Budget::new(allowance(600));
    let permit = call(&budget, &caller(Lane::Poll, "a")).await;
    let retry_after = Some(Duration::from_secs(5));
    permit.heard(Heard::Throttled { retry_after });
    tokio::time::advance(Duration::from_secs(5)).await;
    assert!((budget.standing().effective - 300.0).abs() < 1.0);
    call(&budget, &caller(Lane::Poll, "a"))
        .await
        .heard(Heard::Answer);
    assert_eq!(budget.standing().shut, None);
    tokio::time::advance(5 * MINUTE).await;
    assert!((budget.standing().effective - 600.0).abs() < 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_would_wait_long_is_refused_at_once_with_the_time_to_come_again() {
    let budget = Budget::new(allowance(600));
    let asked = Duration::from_mins(5);
    let permit = call(&budget, &caller(Lane::Poll, "a")).await;
    let retry_after = Some(asked);
    permit.heard(Heard::Throttled { retry_after });
    let before = Instant::now();
    let denied = budget
        .admit(&caller(Lane::Cancel, "a"))
        .await
        .err()
        .unwrap();
    assert_eq!(denied.why, Some(Why::Throttled));
    assert_eq!(
        (denied.left, before.elapsed()),
        (Some(asked), Duration::ZERO)
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancel_goes_before_everything_that_waits() {
    let budget = Budget::new(allowance(60));
    // Five at once, then about one in a second.
    for _ in 0..5 {
        let permit = call(&budget, &caller(Lane::Poll, "a")).await;
        permit.heard(Heard::Answer);
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let lanes = [Lane::Drift, Lane::Poll, Lane::Prepare, Lane::Cancel];
    let waiting = lanes.map(|lane| {
        let (budget, order) = (Arc::clone(&budget), Arc::clone(&order));
        tokio::spawn(async move {
            let permit = call(&budget, &caller(lane, "a")).await;
            order.lock().unwrap().push(lane);
            permit.heard(Heard::Answer);
        })
    });
    join_all(waiting).await;
    let order = order.lock().unwrap();
    assert_eq!(
        *order,
        [Lane::Cancel, Lane::Prepare, Lane::Poll, Lane::Drift]
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_given_up_while_it_asks_leaves_that_to_the_next() {
    let budget = Budget::new(allowance(600));
    let permit = call(&budget, &caller(Lane::Poll, "a")).await;
    let retry_after = Some(Duration::from_secs(1));
    permit.heard(Heard::Throttled { retry_after });
    tokio::time::advance(Duration::from_secs(1)).await;
    let asks = budget.admit(&caller(Lane::Poll, "a")).await.ok().unwrap();
    drop(asks);
    let asks = budget.admit(&caller(Lane::Poll, "a")).await.ok().unwrap();
    asks.heard(Heard::Answer);
    assert_eq!(budget.standing().shut, None);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_does_not_come_for_its_turn_holds_up_nobody() {
    let budget = Budget::new(allowance(12));
    call(&budget, &caller(Lane::Poll, "a"))
        .await
        .heard(Heard::Answer);
    let namespace: Arc<str> = Arc::from("a");
    assert!(matches!(
        budget.turn("gone", &namespace, nobody()),
        Turn::Waits { why: None, .. }
    ));
    assert_eq!(budget.standing().waiting, 1);
    let before = Instant::now();
    turn(&budget, "there", &namespace)
        .await
        .heard(Heard::Answer);
    assert!(before.elapsed() < Duration::from_secs(11));
    budget.leave("gone");
    assert_eq!(budget.standing().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn connections_with_one_credential_share_a_budget_and_the_lowest_number_holds() {
    let governor = Governor::default();
    let account = |key: &str| Account {
        endpoint: "https://platform.adobe.io".into(),
        api_key: key.into(),
    };
    let join = |name: &str, key: &str, calls| {
        governor.join(name, account(key), allowance(calls), nobody())
    };
    let one = join("n/one", "key", 600);
    let two = join("n/two", "key", 120);
    assert!(Arc::ptr_eq(&one, &two));
    assert_eq!(one.standing().limit, 120);
    let other = join("n/three", "another", 600);
    assert!(!Arc::ptr_eq(&one, &other));
    governor.leave("n/two");
    assert_eq!(one.standing().limit, 600);
    // Its credential was changed.
    join("n/one", "another", 60);
    assert_eq!((governor.totals().open, other.standing().limit), (1, 60));
    governor.leave("n/one");
    governor.leave("n/three");
    assert_eq!(governor.totals(), Totals::default(), "nothing is kept");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_slot_is_woken_when_one_is_left() {
    let budget = Budget::new(Allowance {
        requests_per_minute: 600,
        max_running_exports: 1,
    });
    let woken = Arc::new(AtomicU32::new(0));
    let wake = || {
        let woken = Arc::clone(&woken);
        let wake: Wake = Arc::new(move || {
            woken.fetch_add(1, Ordering::SeqCst);
        });
        wake
    };
    let created = Timestamp::UNIX_EPOCH;
    assert_eq!(budget.slot("a", created, wake()), Slot::Free);
    assert_eq!(budget.slot("b", created, wake()), Slot::Full { limit: 1 });
    budget.runs("a");
    budget.leave("another");
    assert_eq!(woken.load(Ordering::SeqCst), 0);
    budget.leave("a");
    assert_eq!(woken.load(Ordering::SeqCst), 1);
    assert_eq!(budget.slot("b", created, wake()), Slot::Free);
    let standing = budget.standing();
    assert_eq!((standing.running, standing.waiting), (1, 0));
}
