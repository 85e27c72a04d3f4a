//! The fence around a POST that must not leave late, or twice.

use std::{
    error, fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::clock::PlatformClock;

/// Until when, and as long as what holds, a submission may leave.
///
/// It is asked at the last moment, when the connection takes the request's body: whatever held
/// the request up before that (a slow connect, a paused process) can't carry it past its time.
#[derive(Clone, Debug)]
pub struct Fence {
    send_before: Timestamp,
    /// The same moment on the boot clock, so that a `Date` that jumps back opens nothing again.
    deadline: Duration,
    clock: Arc<PlatformClock>,
    closers: Vec<CancellationToken>,
    conditions: Vec<Condition>,
}

/// Whether something still holds, asked anew each time; it must not block.
pub type Check = Arc<dyn Fn() -> bool + Send + Sync>;

#[derive(Clone)]
struct Condition(Check);

/// Whether a request's body has been handed to a connection. Decided once, by whoever is first:
/// the connection that takes it or the caller who gives up.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<AtomicU8>);

/// What became of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// Nobody has asked for it, and nobody can any more.
    Kept,
    /// The fence was closed when the connection asked.
    Fenced,
    /// The connection has it.
    Taken,
}

/// A request's body that asks its fence before it goes.
pub(super) struct FencedBody {
    inner: reqwest::Body,
    fence: Fence,
    gate: Gate,
    given: bool,
}

/// Gives up the body when the caller's future is dropped, so that no connection takes it later.
pub(super) struct GiveUp<'a>(pub(super) &'a Gate);

/// Why the body did not go.
#[derive(Debug)]
struct Closed;

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const KEPT: u8 = 2;
const FENCED: u8 = 3;

impl Fence {
    /// A fence that closes at `send_before`, by the platform's clock.
    #[must_use]
    pub fn until(send_before: Timestamp, clock: Arc<PlatformClock>) -> Self {
        let left = send_before.duration_since(clock.now());
        let left = Duration::try_from(left).unwrap_or_default();
        let deadline = clock.since_boot().saturating_add(left);
        Self {
            send_before,
            deadline,
            clock,
            closers: Vec::new(),
            conditions: Vec::new(),
        }
    }

    /// Closes as well once `token` is cancelled: a shutdown.
    #[must_use]
    pub fn closed_by(mut self, token: CancellationToken) -> Self {
        self.closers.push(token);
        self
    }

    /// Is closed as well while `check` fails: a lost lease, which no task may have noticed yet.
    #[must_use]
    pub fn only_while(mut self, check: Check) -> Self {
        self.conditions.push(Condition(check));
        self
    }

    /// Whether a request may still leave.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.clock.now() < self.send_before
            && self.clock.since_boot() < self.deadline
            && !self.closers.iter().any(CancellationToken::is_cancelled)
            && self.conditions.iter().all(Condition::holds)
    }
}

impl Condition {
    fn holds(&self) -> bool {
        (self.0)()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.holds()).finish()
    }
}

impl Gate {
    /// Closes the gate for good and tells what became of the body. From here on nobody takes it.
    pub(super) fn settle(&self) -> Passage {
        match self.decide(KEPT) {
            TAKEN => Passage::Taken,
            FENCED => Passage::Fenced,
            _ => Passage::Kept,
        }
    }

    fn take(&self) -> bool {
        self.decide(TAKEN) == TAKEN
    }

    fn shut(&self) {
        self.decide(FENCED);
    }

    /// The state after a try to move from `WAITING` to `to`.
    fn decide(&self, to: u8) -> u8 {
        match self
            .0
            .compare_exchange(WAITING, to, Ordering::SeqCst, Ordering::SeqCst)
        {
            Ok(_) => to,
            Err(already) => already,
        }
    }
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        self.0.settle();
    }
}

impl FencedBody {
    pub(super) fn new(body: Vec<u8>, fence: Fence, gate: Gate) -> Self {
        Self {
            inner: reqwest::Body::from(body),
            fence,
            gate,
            given: false,
        }
    }
}

impl Body for FencedBody {
    type Data = <reqwest::Body as Body>::Data;
    type Error = Box<dyn error::Error + Send + Sync>;

    /// Gives the whole body at once, or fails. HTTP/1 writes the headers into its buffer, asks
    /// for the body and only then flushes: after a failure not even the headers leave.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if !self.given {
            if !self.fence.is_open() {
                self.gate.shut();
                return Poll::Ready(Some(Err(Closed.into())));
            }
            if !self.gate.take() {
                return Poll::Ready(Some(Err(Closed.into())));
            }
            self.given = true;
        }
        Pin::new(&mut self.inner).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    /// Exact, so that the request carries a Content-Length and is not sent in chunks.
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was no longer to be sent")
    }
}

impl error::Error for Closed {}
