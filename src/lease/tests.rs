//! Tests of the election: its rules one by one, and all of them under pauses and lost answers.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use tokio_util::sync::CancellationToken;

use super::{
    Elector, Leadership, Leases, Lost, Terms,
    election::{Election, Plan, RETRY, holder},
};
use crate::platform::{TimeSource, machine_time};

mod day;
mod simulation;

const TERMS: Terms = Terms {
    duration: Duration::from_secs(30),
    renew_deadline: Duration::from_secs(20),
    renew_period: Duration::from_secs(10),
};

/// Boot clocks begin anywhere.
const START: Duration = Duration::from_secs(5000);

fn after(seconds: u64) -> Duration {
    START + Duration::from_secs(seconds)
}

fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn candidate(identity: &str) -> Election {
    Election::new("lease".into(), identity.into(), TERMS)
}

fn lease(identity: &str, version: &str) -> Lease {
    let mut lease = written(candidate(identity).plan_after(None, START));
    lease.metadata.resource_version = Some(version.into());
    lease
}

fn written(plan: Plan) -> Lease {
    match plan {
        Plan::Write(lease) => *lease,
        plan => panic!("no write: {plan:?}"),
    }
}

/// One that leads since `began`, with the lease in version 1.
fn leader(identity: &str, began: Duration) -> Election {
    let mut election = candidate(identity);
    election.wrote(lease(identity, "1"), began, began);
    election
}

impl Election {
    fn plan_after(&mut self, lease: Option<Lease>, now: Duration) -> Plan {
        self.saw(lease, now);
        self.plan(now, noon())
    }
}

#[test]
fn a_process_reads_before_it_writes() {
    assert_eq!(candidate("a").plan(START, noon()), Plan::Look);
}

#[test]
fn a_lease_that_is_not_there_is_created() {
    let lease = written(candidate("a").plan_after(None, START));
    assert_eq!(lease.metadata.resource_version, None);
    let spec = lease.spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("a"));
    assert_eq!(spec.lease_duration_seconds, Some(30));
    assert_eq!(spec.lease_transitions, Some(0));
    assert_eq!(spec.acquire_time.unwrap().0, noon());
    assert_eq!(spec.renew_time.unwrap().0, noon());
}

#[test]
fn a_duration_is_written_in_seconds_rounded_up() {
    let terms = Terms {
        duration: Duration::from_millis(1500),
        ..TERMS
    };
    let mut election = Election::new("lease".into(), "a".into(), terms);
    let lease = written(election.plan_after(None, START));
    assert_eq!(lease.spec.unwrap().lease_duration_seconds, Some(2));
}

#[test]
fn a_lease_that_changes_is_never_taken() {
    let mut other = candidate("b");
    for seconds in 0..200 {
        let version = (seconds / 10).to_string();
        let plan = other.plan_after(Some(lease("a", &version)), after(seconds));
        assert!(matches!(plan, Plan::Wait(_)), "{seconds}: {plan:?}");
    }
}

#[test]
fn a_lease_that_has_not_changed_for_its_duration_is_taken_in_its_version() {
    let mut other = candidate("b");
    for seconds in 0..30 {
        let plan = other.plan_after(Some(lease("a", "7")), after(seconds));
        let left = Duration::from_secs(30 - seconds);
        assert_eq!(plan, Plan::Wait(RETRY.min(left)));
    }
    let taken = written(other.plan_after(Some(lease("a", "7")), after(30)));
    assert_eq!(taken.metadata.resource_version.as_deref(), Some("7"));
    let spec = taken.spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("b"));
    assert_eq!(spec.lease_transitions, Some(1));
}

#[test]
fn a_lease_that_expires_while_it_is_waited_for_is_taken_without_another_read() {
    let mut other = candidate("b");
    other.saw(Some(lease("a", "7")), START);
    other.waited(after(29));
    assert_eq!(other.plan(after(29), noon()), Plan::Look);
    other.saw(Some(lease("a", "7")), after(29));
    other.waited(after(30));
    let taken = written(other.plan(after(30), noon()));
    assert_eq!(taken.metadata.resource_version.as_deref(), Some("7"));
}

#[test]
fn the_holders_own_duration_counts() {
    let mut long = lease("a", "1");
    long.spec.as_mut().unwrap().lease_duration_seconds = Some(120);
    let mut other = candidate("b");
    other.saw(Some(long), START);
    assert!(matches!(other.plan(after(119), noon()), Plan::Wait(_)));
    assert!(matches!(other.plan(after(120), noon()), Plan::Write(_)));
}

#[test]
fn no_time_of_day_has_an_effect() {
    let years = "2035-01-01T00:00:00Z".parse().unwrap();
    let past = "1999-01-01T00:00:00Z".parse().unwrap();
    for wall in [years, past] {
        let mut other = candidate("b");
        other.saw(Some(lease("a", "1")), START);
        assert_eq!(
            other.plan(after(29), wall),
            Plan::Wait(Duration::from_secs(1))
        );
        assert!(matches!(other.plan(after(30), wall), Plan::Write(_)));
        let holder = leader("a", START);
        assert_eq!(
            holder.plan(after(9), wall),
            Plan::Rest(Duration::from_secs(1))
        );
        assert!(matches!(holder.plan(after(10), wall), Plan::Write(_)));
        assert!(matches!(holder.plan(after(20), wall), Plan::Lost(_)));
    }
}

#[test]
fn a_lease_that_was_let_go_is_taken_at_once() {
    let released = leader("a", START).release(noon()).unwrap();
    assert_eq!(holder(&released), "");
    assert_eq!(released.metadata.resource_version.as_deref(), Some("1"));
    let spec = released.spec.as_ref().unwrap();
    assert_eq!(spec.lease_duration_seconds, Some(1));
    let taken = written(candidate("b").plan_after(Some(released), START));
    assert_eq!(holder(&taken), "b");
    assert_eq!(taken.spec.unwrap().lease_transitions, Some(1));
}

#[test]
fn only_the_holder_lets_go() {
    let mut other = candidate("b");
    other.saw(Some(lease("a", "1")), START);
    assert_eq!(other.release(noon()), None);
    assert_eq!(candidate("b").release(noon()), None);
}

#[test]
fn a_lease_that_is_deleted_under_its_holder_is_created_by_others_only_after_its_duration() {
    let mut other = candidate("b");
    other.saw(Some(lease("a", "1")), START);
    assert!(matches!(other.plan_after(None, after(5)), Plan::Wait(_)));
    assert!(matches!(other.plan_after(None, after(29)), Plan::Wait(_)));
    let created = written(other.plan_after(None, after(30)));
    assert_eq!(created.metadata.resource_version, None);
    // Its holder need not wait.
    let created = written(leader("a", START).plan_after(None, after(10)));
    assert_eq!(holder(&created), "a");
}

#[test]
fn a_renewal_changes_only_its_own_time() {
    let held = lease("a", "1");
    let later = "2026-11-22T12:00:10Z".parse().unwrap();
    let renewed = written(leader("a", START).plan(after(10), later));
    let mut expected = held;
    expected
        .spec
        .as_mut()
        .unwrap()
        .renew_time
        .as_mut()
        .unwrap()
        .0 = later;
    assert_eq!(renewed, expected);
}

#[test]
fn a_holder_writes_8640_times_a_day() {
    let mut holder = leader("a", START);
    let (mut now, mut writes) = (START, 0);
    while now < after(24 * 60 * 60) {
        match holder.plan(now, noon()) {
            Plan::Rest(time) => now += time,
            Plan::Write(lease) => {
                writes += 1;
                let mut lease = *lease;
                lease.metadata.resource_version = Some(format!("{}", writes + 1));
                holder.wrote(lease, now, now);
            }
            plan => panic!("{plan:?}"),
        }
    }
    assert_eq!(writes, 8639, "and the one that took it");
}

#[test]
fn after_a_refused_write_a_process_reads_again() {
    let mut holder = leader("a", START);
    holder.forget();
    assert_eq!(holder.plan(after(10), noon()), Plan::Look);
    let mut other = candidate("b");
    other.saw(None, START);
    other.forget();
    assert_eq!(other.plan(START, noon()), Plan::Look);
}

#[test]
fn a_holder_that_finds_its_own_name_in_another_version_renews_that_one() {
    let mut holder = leader("a", START);
    holder.forget();
    let renewed = written(holder.plan_after(Some(lease("a", "2")), after(11)));
    assert_eq!(renewed.metadata.resource_version.as_deref(), Some("2"));
}

#[test]
fn a_holder_that_finds_another_name_or_none_has_lost() {
    for name in ["b", ""] {
        let plan = leader("a", START).plan_after(Some(lease(name, "2")), after(11));
        assert_eq!(plan, Plan::Lost(Lost::Taken(name.into())));
    }
}

#[test]
fn a_candidate_that_finds_its_own_name_holds_the_lease_once_it_has_renewed_it() {
    let mut election = candidate("a");
    let renewed = written(election.plan_after(Some(lease("a", "1")), after(3)));
    assert_eq!(election.tenure(), None);
    assert_eq!(renewed.spec.as_ref().unwrap().lease_transitions, Some(0));
    election.wrote(renewed, after(3), after(4));
    assert_eq!(election.tenure(), Some(after(23)));
}

#[test]
fn a_deadline_counts_from_the_beginning_of_a_write() {
    let mut election = candidate("a");
    election.wrote(lease("a", "1"), START, after(5));
    assert_eq!(election.tenure(), Some(after(20)));
}

#[test]
fn a_holder_that_was_stopped_past_its_deadline_has_lost_whatever_comes_in_then() {
    let mut holder = leader("a", START);
    holder.wrote(lease("a", "2"), START, after(25));
    let lost = Plan::Lost(Lost::NotRenewed(TERMS.renew_deadline));
    assert_eq!(holder.plan(after(25), noon()), lost);
}

#[test]
fn a_lease_that_was_won_too_late_is_not_led_by() {
    let mut election = candidate("a");
    election.wrote(lease("a", "1"), START, after(25));
    assert_eq!(election.tenure(), None);
    assert!(matches!(election.plan(after(25), noon()), Plan::Write(_)));
}

/// Time that stands until a test moves it.
#[derive(Clone)]
struct Hands(Arc<Mutex<Duration>>);

impl Hands {
    fn turn(&self, to: Duration) {
        *self.0.lock().unwrap() = to;
    }
}

impl TimeSource for Hands {
    fn since_boot(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn wall(&self) -> Timestamp {
        noon()
    }
}

fn by_hand() -> (Hands, Leadership) {
    let hands = Hands(Arc::new(Mutex::new(START)));
    let leadership = Leadership::by_clock(Box::new(hands.clone()));
    (hands, leadership)
}

#[tokio::test]
async fn without_election_a_process_always_leads() {
    let leadership = Leadership::always();
    leadership.acquired().await;
    assert!(leadership.is_held());
    assert_eq!(leadership.while_held(async { 1 }).await, Some(1));
    assert!(!leadership.lost().is_cancelled());
}

#[test]
fn a_deadline_that_has_passed_is_seen_before_any_task_has_run() {
    let (hands, leadership) = by_hand();
    assert!(!leadership.is_held());
    leadership.hold(after(20));
    let check = leadership.check();
    hands.turn(after(19));
    assert!(check() && leadership.is_held());
    hands.turn(after(20));
    assert!(!check());
    assert!(leadership.lost().is_cancelled());
}

#[test]
fn what_is_lost_is_not_held_again() {
    let (hands, leadership) = by_hand();
    leadership.hold(after(20));
    hands.turn(after(20));
    // An answer that was in a buffer while the process was stopped; nobody has asked since.
    leadership.hold(after(30));
    assert!(!leadership.is_held());
    leadership.hold(after(40));
    assert!(!leadership.is_held());
}

#[tokio::test]
async fn work_does_not_take_another_step_after_the_deadline() {
    let (hands, leadership) = by_hand();
    leadership.hold(after(20));
    let steps = Mutex::new(0);
    let work = leadership.while_held(async {
        loop {
            *steps.lock().unwrap() += 1;
            if *steps.lock().unwrap() == 3 {
                hands.turn(after(20));
            }
            tokio::task::yield_now().await;
        }
    });
    let result: Option<()> = work.await;
    assert_eq!(result, None);
    assert_eq!(*steps.lock().unwrap(), 3);
}

#[tokio::test]
async fn work_that_waits_is_dropped_when_the_lease_is_lost() {
    let (_, leadership) = by_hand();
    leadership.hold(after(20));
    let work = leadership.while_held(pending::<()>());
    let (result, ()) = tokio::join!(work, async { leadership.end() });
    assert_eq!(result, None);
}

/// Leases of which every call after the first write hangs.
#[derive(Default)]
struct Hanging(Mutex<bool>);

impl Leases for Hanging {
    async fn read(&self) -> Result<Option<Lease>, kube::Error> {
        if *self.0.lock().unwrap() {
            pending::<()>().await;
        }
        Ok(None)
    }

    async fn write(&self, lease: &Lease) -> Result<Lease, kube::Error> {
        if std::mem::replace(&mut *self.0.lock().unwrap(), true) {
            pending::<()>().await;
        }
        let mut lease = lease.clone();
        lease.metadata.resource_version = Some("1".into());
        Ok(lease)
    }
}

fn short() -> Terms {
    Terms {
        duration: Duration::from_millis(600),
        renew_deadline: Duration::from_millis(400),
        renew_period: Duration::from_millis(100),
    }
}

#[tokio::test]
async fn a_holder_whose_calls_are_not_answered_stops_at_its_deadline() {
    let leadership = Leadership::candidate();
    let leases = Hanging::default();
    let elector = Elector::new(
        leases,
        "lease".into(),
        "a".into(),
        short(),
        leadership.clone(),
    );
    let election = tokio::spawn(elector.run(CancellationToken::new()));
    leadership.acquired().await;
    let led = machine_time().since_boot();
    leadership.lost().cancelled().await;
    let held_for = machine_time().since_boot().saturating_sub(led);
    assert!(held_for >= Duration::from_millis(100), "{held_for:?}");
    let lost = election.await.unwrap().unwrap_err();
    assert_eq!(lost, Lost::NotRenewed(short().renew_deadline));
    assert_eq!(lost.to_string(), "it was not renewed within 400ms");
}

#[tokio::test]
async fn letting_go_ends_leadership_though_nobody_answers() {
    let leadership = Leadership::candidate();
    let terms = TERMS;
    let elector = Elector::new(
        Hanging::default(),
        "lease".into(),
        "a".into(),
        terms,
        leadership.clone(),
    );
    let release = CancellationToken::new();
    let election = tokio::spawn(elector.run(release.clone()));
    leadership.acquired().await;
    assert!(leadership.is_held());
    release.cancel();
    assert_eq!(election.await.unwrap(), Ok(()));
    assert!(!leadership.is_held());
}
