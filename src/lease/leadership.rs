//! Whether this process leads.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;

use crate::platform::{Check, TimeSource, machine_time};

/// How often the boot clock is asked whether the deadline has passed. The runtime's timers stand
/// while the machine sleeps; the boot clock does not.
const TICK: Duration = Duration::from_secs(1);

/// Whether this process leads; all clones tell the same.
///
/// # Guarantees
///
/// - It leads once: after leadership is lost or given up it is never held again.
/// - [`Leadership::is_held`] is true at no moment after the deadline of the last renewal, whatever
///   held this process up, and whether or not any task has run since.
#[derive(Clone)]
pub struct Leadership(Arc<Inner>);

struct Inner {
    tenure: Mutex<Tenure>,
    acquired: SetOnce<()>,
    lost: CancellationToken,
    time: Box<dyn TimeSource>,
}

#[derive(Clone, Copy)]
enum Tenure {
    NotYet,
    /// Until then, by the boot clock, unless it is renewed.
    Until(Duration),
    /// Without election.
    Always,
    Over,
}

impl Leadership {
    /// That of a process which runs without election.
    #[must_use]
    pub fn always() -> Self {
        let leadership = Self::with(Tenure::Always, Box::new(machine_time()));
        leadership.acquire();
        leadership
    }

    /// That of a process which has yet to be elected.
    #[must_use]
    pub fn candidate() -> Self {
        Self::by_clock(Box::new(machine_time()))
    }

    /// On another source of time, as tests need it.
    pub(super) fn by_clock(time: Box<dyn TimeSource>) -> Self {
        Self::with(Tenure::NotYet, time)
    }

    fn with(tenure: Tenure, time: Box<dyn TimeSource>) -> Self {
        Self(Arc::new(Inner {
            tenure: Mutex::new(tenure),
            acquired: SetOnce::new(),
            lost: CancellationToken::new(),
            time,
        }))
    }

    /// Waits until this process leads. Returns at once if it did so and has lost it since.
    pub async fn acquired(&self) {
        self.0.acquired.wait().await;
    }

    /// Whether this process has led, and may lead still.
    #[must_use]
    pub fn was_acquired(&self) -> bool {
        self.0.acquired.initialized()
    }

    /// Whether this process leads at this moment, by the boot clock.
    #[must_use]
    pub fn is_held(&self) -> bool {
        match *self.tenure() {
            Tenure::NotYet | Tenure::Over => return false,
            Tenure::Always => return true,
            Tenure::Until(deadline) if self.now() < deadline => return true,
            Tenure::Until(_) => {}
        }
        self.end();
        false
    }

    /// [`Leadership::is_held`], for a fence.
    #[must_use]
    pub fn check(&self) -> Check {
        let leadership = self.clone();
        Arc::new(move || leadership.is_held())
    }

    /// Cancelled when this process does not lead any more.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.0.lost.clone()
    }

    /// Runs a future as long as this process leads, and gives nothing if it does not to the end.
    /// A process that was stopped past its deadline does not take one more step of it.
    pub async fn while_held<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let steps = poll_fn(|cx| {
            if self.is_held() {
                future.as_mut().poll(cx).map(Some)
            } else {
                Poll::Ready(None)
            }
        });
        self.0.lost.run_until_cancelled(steps).await.flatten()
    }

    /// Leads until `deadline`, by the boot clock. Nothing comes of it when leadership is over.
    pub(super) fn hold(&self, deadline: Duration) {
        let now = self.now();
        let mut tenure = self.tenure();
        match *tenure {
            Tenure::Always | Tenure::Over => return,
            // Too late, even if nobody has asked since.
            Tenure::Until(before) if now >= before => return,
            Tenure::NotYet | Tenure::Until(_) => *tenure = Tenure::Until(deadline),
        }
        drop(tenure);
        self.acquire();
    }

    /// Leads no more.
    pub(super) fn end(&self) {
        *self.tenure() = Tenure::Over;
        self.0.lost.cancel();
    }

    /// Waits until the deadline has passed, or leadership has ended otherwise.
    pub(super) async fn expired(&self) {
        self.acquired().await;
        while self.is_held() {
            let left = match *self.tenure() {
                Tenure::Until(deadline) => deadline.saturating_sub(self.now()),
                Tenure::NotYet | Tenure::Always => TICK,
                Tenure::Over => return,
            };
            let sleep = tokio::time::sleep(left.min(TICK));
            self.0.lost.run_until_cancelled(sleep).await;
        }
    }

    /// Time since boot.
    pub(super) fn now(&self) -> Duration {
        self.0.time.since_boot()
    }

    /// The time of day.
    pub(super) fn wall(&self) -> Timestamp {
        self.0.time.wall()
    }

    fn acquire(&self) {
        // Set more than once, by every renewal.
        let _ = self.0.acquired.set(());
    }

    fn tenure(&self) -> MutexGuard<'_, Tenure> {
        // A tenure is written in one assignment: a panic elsewhere can't leave half of one.
        self.0.tenure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
