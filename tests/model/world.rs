//! What there is in the model: objects in the API server, jobs in the platform, requests on their
//! way, and what each leader has in memory. All of it small, since every state is kept.

use aep_export_operator::decide::export::Phase;

/// A time, in ticks of one second.
pub type Tick = u8;
/// An index into [`World::jobs`].
pub type JobNumber = u8;

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub now: Tick,
    pub objects: Vec<Object>,
    pub leaders: Vec<Leader>,
    pub jobs: Vec<Job>,
    pub flights: Vec<Flight>,
    /// The sandbox that the connection names today.
    pub sandbox: u8,
    /// The namespace is going.
    pub terminating: bool,
    /// What may still go wrong.
    pub left: Faults,
    /// What happened and must not.
    pub breach: Option<Breach>,
}

/// What may still go wrong, or be asked for: each at most so many times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A leader dies, and loses its memory.
    pub crash: u8,
    /// Time goes by while a process stands still between two steps.
    pub pauses: u8,
    /// A second leader acts while the first goes on.
    pub takeover: u8,
    /// A reply is lost, late, or says neither; the request may have been taken or not.
    pub lost: u8,
    /// The gateway refuses, nothing is sent, or the platform rejects.
    pub refused: u8,
    /// The gateway sends a request twice.
    pub doubled: u8,
    /// The API server applies an intent and its answer is lost.
    pub answer: u8,
    /// A person's job appears in the dataset.
    pub foreign: u8,
    /// A job fails.
    pub failed: u8,
    /// A job succeeds.
    pub succeeded: u8,
    /// The platform loses a job that is on record.
    pub purged: u8,
    /// The list shows a running job as failed.
    pub flaps: u8,
    /// A job does not stop when it is cancelled.
    pub stuck: u8,
    /// The list cannot be read, or not whole.
    pub scan: u8,
    /// A user deletes, cancels or suspends.
    pub edits: u8,
    /// A user wants the job of a deleted object to be left to run.
    pub orphaned: u8,
    /// A person has a deleted object let go at once.
    pub abandoned: u8,
    /// The namespace goes, with all that is in it.
    pub terminated: u8,
    /// Somebody strips the finalizer.
    pub stripped: u8,
    /// etcd is restored from before the intent, and the leaders start anew.
    pub restored: u8,
    /// The connection is made anew for another sandbox.
    pub moved: u8,
    /// A person answers an ambiguity.
    pub answered: u8,
}

/// An `ExportJob` in the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Object {
    /// The resource version.
    pub version: u8,
    pub deleting: bool,
    pub gone: bool,
    pub cancel: bool,
    pub suspend: bool,
    /// Its job is to be left to run when it is deleted.
    pub orphan: bool,
    /// A person has it let go.
    pub abandon: bool,
    pub finalizer: bool,
    /// A person's word on a try: which job it is, or none.
    pub word: Option<(Nonce, Option<JobNumber>)>,
    /// The attempts that failed, by number, with their jobs.
    pub earlier: Vec<(u8, JobNumber)>,
    pub submission: Option<Intent>,
    pub job: Option<JobNumber>,
    pub cancellation: Option<Stop>,
    pub end: Option<End>,
    /// Since when its job is missing.
    pub missing: Option<Tick>,
    /// The phase in its status; none in a setting that does not tell phases.
    pub phase: Option<Phase>,
    /// It was let go with a warning that something may be left behind.
    pub warned: bool,
    /// It was let go, and its job left to run.
    pub left: bool,
}

/// A submission on record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Intent {
    pub attempt: u8,
    pub nonce: Nonce,
    pub sandbox: u8,
    pub intent: Tick,
    pub send: Tick,
    pub settle: Tick,
    pub outcome: Option<Outcome>,
    pub evidence: Option<Evidence>,
    pub candidates: Vec<JobNumber>,
    pub surplus: Vec<JobNumber>,
}

/// A nonce is random; here, what makes it unique is the leader's life and the version on which it
/// rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce {
    pub leader: u8,
    pub life: u8,
    pub version: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Posted,
    Adopted,
    NotSent,
    Refused,
    NotTaken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    Reply,
    Unsent,
    Gateway,
    RequestId,
    List,
    Window,
    Person,
}

/// A cancellation on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stop {
    pub by: By,
    pub at: Tick,
    pub accepted: Option<Tick>,
}

/// What asked for a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    Deletion,
    Spec,
    Deadline,
}

/// How an export ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    Failed,
    Succeeded,
    Cancelled,
    Rejected,
}

/// Whose a job is in truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    Attempt { object: u8, attempt: u8 },
    Person,
}

/// A job in the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    pub owner: Owner,
    pub sandbox: u8,
    pub created: Tick,
    /// From when on GET and list show it.
    pub visible: Tick,
    pub state: Life,
    /// The list shows it as failed, which it is not.
    pub flaps: bool,
    /// Somebody asked it to stop.
    pub asked: bool,
    /// It does not stop when it is asked.
    pub stuck: bool,
    /// The gateway's own second copy of a request.
    pub double: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    Running,
    Failed,
    Cancelled,
    Succeeded,
    /// The platform has lost it.
    Purged,
}

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flight {
    pub leader: u8,
    pub object: u8,
    pub attempt: u8,
    pub sandbox: u8,
    /// When the platform takes it at the latest, if it does.
    pub until: Tick,
    /// Whether somebody waits for the reply.
    pub awaited: bool,
}

/// A process that leads, or believes so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leader {
    pub power: Power,
    /// Which life of the process this is.
    pub life: u8,
    /// When it started; none: long ago.
    pub started: Option<Tick>,
    pub echo: Belief,
    /// Jobs whose id their own reply told this process.
    pub told: JobSet,
    /// The last attempt of each object that it saw begin, or looked for.
    pub seen: Vec<u8>,
    /// Objects that it saw go.
    pub tombs: Vec<bool>,
    /// The list is not read again before this time, by object; 0: at once.
    pub look_after: Vec<Tick>,
    pub passes: Vec<Pass>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Power {
    Standby,
    Up,
    Down,
}

/// What a process believes of request ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Belief {
    Unknown,
    Yes,
    No,
}

/// A set of jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct JobSet(u32);

/// Where a pass over one object stands. Steps that others can come between are states of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    Idle,
    /// It looked at the object, and others may write before it does.
    Observed(Box<Object>),
    /// Its intent is written, and this is the answer.
    Ready(Box<Object>),
    /// Its request is on its way.
    Sent(Box<Object>),
    /// The request came to this.
    Replied(Box<Object>, Reply),
    /// It reads the list.
    Scanning(Box<Scan>),
    /// It has read the list, and not yet what the objects claim.
    Scanned(Box<Scan>, Quality),
    /// It has read both.
    Listed(Box<Scan>, Quality, Vec<Object>),
}

/// A reading of the list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scan {
    pub object: Object,
    pub began: Tick,
    pub jobs: JobSet,
    /// The platform rejected the request that is looked for.
    pub rejected: bool,
}

/// How a reading went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quality {
    Whole,
    Flawed,
    Short,
    Failed,
}

impl Pass {
    /// Whether the next step follows at once, unless the process is paused.
    pub fn is_urgent(&self) -> bool {
        match self {
            Self::Idle | Self::Sent(_) | Self::Scanning(_) => false,
            Self::Observed(_)
            | Self::Ready(_)
            | Self::Replied(_, _)
            | Self::Scanned(_, _)
            | Self::Listed(_, _, _) => true,
        }
    }
}

/// What a request came to, as far as its sender knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    Taken(JobNumber),
    /// Time-out, reset, 5xx.
    Nothing,
    /// 401, 403 or 429 without the gateway's own envelope.
    Unproven,
    /// The gateway's own envelope.
    Refused,
    Unsent,
    Rejected,
}

/// What happened and must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Breach {
    /// A request left though the answer to its intent showed a stop, or no finalizer.
    SentUnwanted,
    /// A job was asked to stop by an object that it is not of, or only by weak evidence.
    CancelledAnothers,
    /// A connection was distrusted though nobody else has this cluster's identity.
    Distrusted,
}

impl JobSet {
    pub fn insert(&mut self, job: JobNumber) {
        self.0 |= 1 << job;
    }

    pub fn contains(self, job: JobNumber) -> bool {
        self.0 & (1 << job) != 0
    }
}

impl World {
    /// The jobs that a list shows by now.
    pub fn shown(&self, sandbox: u8) -> JobSet {
        let mut shown = JobSet::default();
        for (number, job) in (0..).zip(&self.jobs) {
            let is_there = job.visible <= self.now && job.state != Life::Purged;
            if is_there && job.sandbox == sandbox {
                shown.insert(number);
            }
        }
        shown
    }

    /// Whether a process stands between two steps.
    pub fn is_hurried(&self) -> bool {
        let leaders = self.leaders.iter();
        leaders
            .flat_map(|leader| &leader.passes)
            .any(Pass::is_urgent)
    }

    pub fn job(&self, number: JobNumber) -> &Job {
        &self.jobs[usize::from(number)]
    }
}

impl Job {
    /// Whether it was asked to stop and is about to.
    pub fn is_stopping(&self) -> bool {
        self.asked && !self.stuck && self.state == Life::Running
    }
}

impl Object {
    /// Whether its submission is not settled: in doubt, or a person is asked.
    pub fn is_open(&self) -> bool {
        let settled = |outcome| match outcome {
            Outcome::NotSent | Outcome::Refused | Outcome::NotTaken => true,
            Outcome::Posted | Outcome::Adopted => false,
        };
        self.end.is_none()
            && self.job.is_none()
            && self
                .submission
                .as_ref()
                .is_some_and(|intent| !intent.outcome.is_some_and(settled))
    }

    /// The last attempt that failed.
    pub fn attempts(&self) -> u8 {
        self.earlier.last().map_or(0, |(attempt, _)| *attempt)
    }
}

impl Leader {
    pub fn new(objects: usize, echo: Belief) -> Self {
        Self {
            power: Power::Standby,
            life: 0,
            started: None,
            echo,
            told: JobSet::default(),
            seen: vec![0; objects],
            tombs: vec![false; objects],
            look_after: vec![0; objects],
            passes: vec![Pass::Idle; objects],
        }
    }

    /// All that it remembers is lost, but what the connection's status keeps.
    pub fn forget(&mut self) {
        *self = Self {
            power: self.power,
            life: self.life,
            ..Self::new(self.passes.len(), self.echo)
        };
    }

    pub fn start(&mut self, now: Tick) {
        self.power = Power::Up;
        self.life += 1;
        self.started = Some(now);
    }
}
