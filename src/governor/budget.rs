//! The budget of one credential: who may call, and when.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    gate::{Gate, Heard, Part, Why},
    pace::Pace,
    queue::{Lane, Queue},
    slots::{Left, Slot, Slots},
};

/// How long a call waits for its turn before its caller is told to come again: a pass that waits
/// keeps others from theirs.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a turn is kept for an object that was woken for it.
const KEPT: Duration = Duration::from_secs(10);
/// How soon somebody is asked again to make the call that asks whether the platform may be called.
const PROBE_AGAIN: Duration = Duration::from_secs(5);

/// Who calls, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The lane.
    pub lane: Lane,
    /// The namespace on whose behalf.
    pub namespace: Arc<str>,
}

/// What a connection's `spec.budget` allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Calls in any minute, token calls apart.
    pub requests_per_minute: u32,
    /// Exports that run at a time.
    pub max_running_exports: u32,
}

/// Wakes whoever waits for a turn or a slot. Called while the budget is locked: it must not ask it
/// anything.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// The budget of one credential at one endpoint, for all that use it.
///
/// # Guarantees
///
/// - No minute has more calls than the allowance, and none is made before the platform allows it.
/// - While the platform is throttling or down, one call at a time asks whether it is over, and
///   never one that creates something.
/// - A call that may not be made soon is refused at once, with the time to come again.
pub struct Budget {
    state: Mutex<State>,
    /// Something changed that the task that gives turns waits for.
    changed: Notify,
}

struct State {
    pace: Pace,
    gate: Gate,
    /// By the machine's clock, when the gate may open.
    until: Option<Timestamp>,
    queue: Queue<Waiter>,
    /// Turns given to objects that have not taken them yet, by UID.
    given: HashMap<String, Instant>,
    slots: Slots<Wake>,
    /// Those that make a call when they are woken, by name: to ask whether the platform may be
    /// called again when nobody else would.
    probes: BTreeMap<String, Wake>,
    dispatcher: Dispatcher,
}

/// Whether the task that gives turns runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dispatcher {
    Runs,
    Absent,
}

enum Waiter {
    /// A call that waits in its place.
    Call(oneshot::Sender<Result<Permit, Denied>>),
    /// An object that wants to create something, and is woken.
    Object { uid: String, wake: Wake },
}

/// Leave to make one call. What it came to is told by [`heard`](Self::heard).
pub struct Permit {
    budget: Option<Arc<Budget>>,
    part: Part,
    begun: Instant,
}

/// A call that may not be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Why; none: others are before it.
    pub why: Option<Why>,
    /// How long it will be so at least.
    pub left: Option<Duration>,
}

/// Whether an object may create something now.
pub enum Turn {
    /// It may, by this call.
    Now(Permit),
    /// Not yet; it is woken.
    Waits {
        /// Why; none: the calls of this minute are used up.
        why: Option<Why>,
        /// How long it will take about.
        about: Duration,
    },
}

/// How a budget stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Calls a minute that are allowed.
    pub limit: u32,
    /// Calls a minute at present.
    pub effective: f64,
    /// Why calls are not simply made, if so.
    pub shut: Option<Why>,
    /// Until when none is made, if that is known.
    pub until: Option<Timestamp>,
    /// Exports that run.
    pub running: usize,
    /// Exports that wait for a slot or a turn.
    pub waiting: usize,
    /// Calls that wait for their turn, those of exports included.
    pub queued: usize,
    /// Objects that are kept in mind.
    pub kept: usize,
}

impl Budget {
    /// A budget of which nothing is used.
    #[must_use]
    pub fn new(allowance: Allowance) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            state: Mutex::new(State {
                pace: Pace::new(allowance.requests_per_minute, now),
                gate: Gate::OPEN,
                until: None,
                queue: Queue::default(),
                given: HashMap::new(),
                slots: Slots::new(allowance.max_running_exports),
                probes: BTreeMap::new(),
                dispatcher: Dispatcher::Absent,
            }),
            changed: Notify::new(),
        })
    }

    /// Another allowance holds from now on.
    pub fn allow(&self, allowance: Allowance) {
        let mut state = self.state();
        state.pace.set_limit(allowance.requests_per_minute);
        state.slots.set_limit(allowance.max_running_exports);
        state.wake_for_slots();
        drop(state);
        self.changed.notify_one();
    }

    /// Somebody who makes a call when it is woken; none: it does so no more.
    pub fn probe_by(&self, name: &str, wake: Option<Wake>) {
        let mut state = self.state();
        match wake {
            Some(wake) => state.probes.insert(name.to_owned(), wake),
            None => state.probes.remove(name),
        };
    }

    /// Waits for the turn of a call.
    ///
    /// # Errors
    ///
    /// When it will not come soon.
    pub async fn admit(self: &Arc<Self>, caller: &Caller) -> Result<Permit, Denied> {
        let now = Instant::now();
        let waits = {
            let mut state = self.state();
            if let Some(denied) = state.denied(now) {
                return Err(denied);
            }
            let (sender, receiver) = oneshot::channel();
            let Caller { lane, namespace } = caller;
            state.queue.push(*lane, namespace, Waiter::Call(sender));
            self.serve(&mut state, now);
            receiver
        };
        self.dispatch();
        let answer = tokio::time::timeout(PATIENCE, waits).await;
        match answer {
            Ok(Ok(answer)) => answer,
            // The sender is dropped only with the budget itself, which this holds.
            Ok(Err(_)) | Err(_) => Err(Denied {
                why: None,
                left: None,
            }),
        }
    }

    /// As [`admit`](Self::admit) for a call that creates something: never the one that asks
    /// whether the platform may be called again.
    ///
    /// # Errors
    ///
    /// As [`admit`](Self::admit).
    pub async fn admit_creation(self: &Arc<Self>, caller: &Caller) -> Result<Permit, Denied> {
        let permit = self.admit(caller).await?;
        match permit.part {
            Part::Ordinary => Ok(permit),
            Part::Probe => {
                drop(permit);
                let state = self.state();
                state.probe();
                Err(Denied {
                    why: state.gate.shut().map(|(_, why)| why),
                    left: None,
                })
            }
        }
    }

    /// The turn of an object that wants to create something: now, or it is woken. Never while it
    /// is not known whether the platform takes calls.
    pub fn turn(self: &Arc<Self>, uid: &str, namespace: &Arc<str>, wake: Wake) -> Turn {
        let now = Instant::now();
        let mut state = self.state();
        let open = state.gate.part(now) == Some(Part::Ordinary);
        let given = state.given.remove(uid).is_some();
        let turn = if open && (given || state.can_serve_at_once(now)) {
            if !given {
                // Nobody waits then, this object included.
                state.spend(Part::Ordinary, now);
            }
            Turn::Now(self.permit(Part::Ordinary))
        } else {
            if !state.waits_for_turn(uid) {
                let uid = uid.to_owned();
                let waiter = Waiter::Object { uid, wake };
                state.queue.push(Lane::Submit, namespace, waiter);
            }
            Turn::Waits {
                why: state.gate.shut().map(|(_, why)| why),
                about: state.wait(now),
            }
        };
        drop(state);
        self.dispatch();
        turn
    }

    /// A slot for an export that is about to be submitted, or it is woken when there is one.
    pub fn slot(&self, uid: &str, created: Timestamp, wake: Wake) -> Slot {
        self.state().slots.take(uid, created, wake)
    }

    /// A submission of the object is on record and has not ended.
    pub fn runs(&self, uid: &str) {
        self.state().slots.run(uid);
    }

    /// The export has ended, its object is gone, or does not want to submit for now.
    pub fn leave(&self, uid: &str) {
        let mut state = self.state();
        state.given.remove(uid);
        state.forget_waiter(uid);
        if state.slots.leave(uid) == Left::Slot {
            state.wake_for_slots();
        }
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let state = self.state();
        let turns = state.queue.iter();
        let objects = turns.filter(|waiter| matches!(waiter, Waiter::Object { .. }));
        Standing {
            limit: state.pace.limit(),
            effective: state.pace.rate(Instant::now()),
            shut: state.gate.shut().map(|(_, why)| why),
            until: state.until,
            running: state.slots.running(),
            waiting: state.slots.waiting() + objects.count(),
            queued: state.queue.len(),
            kept: state.slots.running()
                + state.slots.waiting()
                + state.queue.len()
                + state.given.len(),
        }
    }

    /// Whether calls are simply made.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state().gate.shut().is_none()
    }

    fn permit(self: &Arc<Self>, part: Part) -> Permit {
        Permit {
            budget: Some(Arc::clone(self)),
            part,
            begun: Instant::now(),
        }
    }

    fn heard(&self, part: Part, begun: Instant, heard: Heard) {
        let now = Instant::now();
        let mut state = self.state();
        state.gate.heard(part, heard, now, rand::random());
        let shut = state.gate.shut().and_then(|(until, _)| until);
        if let Heard::Throttled { retry_after: _ } = heard {
            state.pace.lower(begun, now, shut.unwrap_or(now));
        }
        state.until = shut.map(|until| {
            let left = until.saturating_duration_since(now);
            Timestamp::now().checked_add(left).unwrap_or(Timestamp::MAX)
        });
        drop(state);
        self.changed.notify_one();
    }

    /// Has turns given as long as somebody waits for one.
    fn dispatch(self: &Arc<Self>) {
        let mut state = self.state();
        if state.queue.len() == 0 || state.dispatcher == Dispatcher::Runs {
            drop(state);
            self.changed.notify_one();
            return;
        }
        state.dispatcher = Dispatcher::Runs;
        drop(state);
        let budget = Arc::clone(self);
        tokio::spawn(async move {
            while let Some(next) = budget.give() {
                tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    () = budget.changed.notified() => {}
                }
            }
        });
    }

    /// Gives the turns that are due. When the next may be; none once nobody waits.
    fn give(self: &Arc<Self>) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.state();
        state
            .given
            .retain(|_, since| now.duration_since(*since) < KEPT);
        self.serve(&mut state, now);
        if state.queue.len() == 0 {
            state.dispatcher = Dispatcher::Absent;
            return None;
        }
        let due = state.due(now);
        let next = match state.gate {
            // Only objects wait, which do not ask. Somebody else has to.
            Gate::Shut { .. } if due <= now => {
                state.probe();
                now + PROBE_AGAIN
            }
            Gate::Open { .. } | Gate::Shut { .. } | Gate::Probing { .. } => due,
        };
        // The rate grows meanwhile: a look now and then finds that it is sooner.
        Some(next.max(now).min(now + PATIENCE))
    }

    /// Gives the turns that are due now.
    fn serve(self: &Arc<Self>, state: &mut State, now: Instant) {
        if let Some(denied) = state.denied(now) {
            while let Some(Waiter::Call(sender)) = state.queue.pop(Waiter::is_call) {
                // Who does not wait any more need not be told.
                let _ = sender.send(Err(denied));
            }
            return;
        }
        while let Some(part) = state.gate.part(now)
            && state.due(now) <= now
            && let Some(waiter) = state.queue.pop(|waiter| waiter.may_be(part))
        {
            match waiter {
                Waiter::Call(sender) => match sender.send(Ok(self.permit(part))) {
                    Ok(()) => state.spend(part, now),
                    Err(unwanted) => unwanted.into_iter().for_each(Permit::discard),
                },
                Waiter::Object { uid, wake } => {
                    state.spend(part, now);
                    state.given.insert(uid, now);
                    wake();
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds this lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Why no call may be made now, if none may be made soon.
    fn denied(&self, now: Instant) -> Option<Denied> {
        match self.gate {
            Gate::Shut { until, why, .. } if until > now => Some(Denied {
                why: Some(why),
                left: Some(until - now),
            }),
            Gate::Open { .. } | Gate::Shut { .. } | Gate::Probing { .. } => None,
        }
    }

    fn can_serve_at_once(&self, now: Instant) -> bool {
        self.queue.len() == 0 && self.due(now) <= now
    }

    /// When the next call is due, by the pace and by the gate. While one asks nobody knows: after
    /// that it is looked again.
    fn due(&self, now: Instant) -> Instant {
        match self.gate {
            Gate::Open { .. } => self.pace.next(now),
            Gate::Shut { until, latest, .. } => self.pace.next_probe(now, latest).max(until),
            Gate::Probing { .. } => now + PATIENCE,
        }
    }

    /// How long who comes last will wait about.
    fn wait(&self, now: Instant) -> Duration {
        let others = u32::try_from(self.queue.len()).unwrap_or(u32::MAX);
        let others = Duration::from_mins(1)
            .div_f64(self.pace.rate(now))
            .saturating_mul(others);
        let first = self.due(now);
        first.saturating_duration_since(now).saturating_add(others)
    }

    fn spend(&mut self, part: Part, now: Instant) {
        self.pace.take(now);
        self.gate.pass(part);
    }

    fn waits_for_turn(&self, uid: &str) -> bool {
        self.queue.iter().any(|waiter| waiter.is_of(uid))
    }

    fn forget_waiter(&mut self, uid: &str) {
        if self.queue.len() > 0 {
            self.queue.retain(|waiter| !waiter.is_of(uid));
        }
    }

    fn probe(&self) {
        if let Some(probe) = self.probes.values().next() {
            probe();
        }
    }

    fn wake_for_slots(&self) {
        for wake in self.slots.next() {
            wake();
        }
    }
}

impl Waiter {
    fn is_call(&self) -> bool {
        matches!(self, Self::Call(_))
    }

    fn is_of(&self, object: &str) -> bool {
        match self {
            Self::Call(_) => false,
            Self::Object { uid, wake: _ } => uid == object,
        }
    }

    /// Nothing is created to find out whether the platform takes calls.
    fn may_be(&self, part: Part) -> bool {
        match part {
            Part::Ordinary => true,
            Part::Probe => self.is_call(),
        }
    }
}

impl Permit {
    /// Leave that no budget gave, for a client that has none.
    #[must_use]
    pub fn free() -> Self {
        Self {
            budget: None,
            part: Part::Ordinary,
            begun: Instant::now(),
        }
    }

    /// It was never given.
    fn discard(mut self) {
        self.budget = None;
    }

    /// What the call came to.
    pub fn heard(mut self, heard: Heard) {
        if let Some(budget) = self.budget.take() {
            budget.heard(self.part, self.begun, heard);
        }
    }
}

/// A call that was given up tells nothing; if it was the one that asks, another one may.
impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(budget) = self.budget.take() {
            budget.heard(self.part, self.begun, Heard::Nothing);
        }
    }
}
