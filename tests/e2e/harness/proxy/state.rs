//! What the proxy knows: the log, the gate, the rules, and what is done to watches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};

use super::{
    frames::Plan,
    request::{Asked, Match},
    rules::{Armed, Side},
};

/// How many endings of watches may be told before the first is heard.
const ENDINGS: usize = 16;

/// A request, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// What was asked.
    pub asked: Asked,
    /// Its number among the requests that count since the gate was opened last, from 1; over both
    /// servers, in the order of arrival.
    pub index: Option<usize>,
}

/// A point at which the operator is killed.
pub struct Crash {
    /// The number of the request since the gate was opened, from 1.
    pub index: usize,
    /// Before the server hears of it, or after it has answered. The answer is lost.
    pub side: Side,
    /// Kills the operator, and does not wait for its end.
    pub kill: Box<dyn FnOnce() + Send>,
}

/// How a watch is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By a frame that says 410: the version is not kept any more.
    Expired,
    /// The connection breaks.
    Broken,
}

/// Whether requests get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// They wait.
    Closed,
    /// They are those of an operator that was killed, and get nowhere.
    Crashed,
}

/// What is to become of a request.
pub enum Verdict {
    /// It goes through.
    Pass,
    /// A rule is about it.
    Disturb(Arc<Armed>),
    /// The operator is killed at it.
    Crash(Side, Box<dyn FnOnce() + Send>, Logged),
    /// It is of an operator that was killed.
    Nowhere,
}

/// What the proxy knows.
pub struct State {
    inner: Mutex<Inner>,
    gate: watch::Sender<Gate>,
    /// How many connections are open.
    pub connections: watch::Sender<usize>,
    /// The resources whose frames are held back; one that is there twice was frozen twice.
    pub frozen: watch::Sender<Vec<String>>,
    /// Tells running watches to end.
    pub endings: broadcast::Sender<(Match, Ending)>,
}

#[derive(Default)]
struct Inner {
    log: Vec<Logged>,
    counted: usize,
    crash: Option<Crash>,
    crashed: Option<Logged>,
    rules: Vec<Arc<Armed>>,
    plan: Plan,
}

impl State {
    /// With an open gate.
    pub fn new() -> Self {
        Self {
            inner: Mutex::default(),
            gate: watch::Sender::new(Gate::Open),
            connections: watch::Sender::new(0),
            frozen: watch::Sender::default(),
            endings: broadcast::Sender::new(ENDINGS),
        }
    }

    /// Notes a request once the gate is not closed, and says what is to become of it.
    pub async fn arrive(&self, asked: Asked) -> Verdict {
        let mut gate = self.gate.subscribe();
        loop {
            // The sender is here, so the channel is open.
            let _ = gate.wait_for(|gate| *gate != Gate::Closed).await;
            let mut inner = self.inner();
            // It changes under the lock only.
            let gate = *self.gate.borrow();
            match gate {
                Gate::Closed => {}
                Gate::Crashed => return Verdict::Nowhere,
                Gate::Open => return inner.judge(asked),
            }
        }
    }

    /// The operator is killed: nothing gets through until the gate is opened again.
    pub fn crash(&self, kill: Box<dyn FnOnce() + Send>, at: Logged) {
        let mut inner = self.inner();
        self.gate.send_replace(Gate::Crashed);
        inner.crashed = Some(at);
        kill();
    }

    /// Lets no new request through.
    pub fn close(&self) {
        let _inner = self.inner();
        self.gate.send_replace(Gate::Closed);
    }

    /// Lets requests through, and counts from 1 again.
    pub fn open(&self, crash: Option<Crash>) {
        let mut inner = self.inner();
        inner.counted = 0;
        inner.crash = crash;
        inner.crashed = None;
        self.gate.send_replace(Gate::Open);
    }

    /// Where the operator was killed since the gate was opened.
    pub fn crashed(&self) -> Option<Logged> {
        self.inner().crashed.clone()
    }

    /// All requests, in the order of arrival.
    pub fn log(&self) -> Vec<Logged> {
        self.inner().log.clone()
    }

    /// How many requests counted since the gate was opened.
    pub fn counted(&self) -> usize {
        self.inner().counted
    }

    /// Adds a rule; of several that match a request, the first happens.
    pub fn add(&self, rule: Arc<Armed>) {
        self.inner().rules.push(rule);
    }

    /// Looks at the tamperings that are still to happen.
    pub fn with_plan<T>(&self, look: impl FnOnce(&mut Plan) -> T) -> T {
        look(&mut self.inner().plan)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn judge(&mut self, asked: Asked) -> Verdict {
        let index = asked.counts().then(|| {
            self.counted += 1;
            self.counted
        });
        let logged = Logged { asked, index };
        self.log.push(logged.clone());
        let is_here = |crash: &mut Crash| index == Some(crash.index);
        if let Some(Crash {
            index: _,
            side,
            kill,
        }) = self.crash.take_if(is_here)
        {
            return Verdict::Crash(side, kill, logged);
        }
        let claims = |rule: &&Arc<Armed>| rule.claims(&logged.asked);
        match self.rules.iter().find(claims) {
            Some(rule) => Verdict::Disturb(Arc::clone(rule)),
            None => Verdict::Pass,
        }
    }
}
