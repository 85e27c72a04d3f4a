//! What may happen.

use crate::{
    facts::Store,
    world::{JobNumber, Quality, Reply},
};

/// How long the platform's list may hide a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// Not at all.
    None,
    /// For a visibility window at most.
    Within,
    /// For longer than that: the promise's proviso does not hold.
    Beyond,
}

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A leader takes the next step of its pass over an object.
    Pass {
        leader: usize,
        object: usize,
        store: Store,
    },
    /// A leader looks at an object, and takes its time to go on.
    Observe {
        leader: usize,
        object: usize,
    },
    /// A leader takes a step, and the answer of the API server to its intent is lost.
    Unanswered {
        leader: usize,
        object: usize,
    },
    /// A reading of the list ends.
    Scanned {
        leader: usize,
        object: usize,
        quality: Quality,
        late: bool,
    },
    /// A leader asks for a job whose id its own reply told, and sees whether its request id is shown.
    Learn {
        leader: usize,
    },
    /// What becomes of a request.
    Arrives {
        flight: usize,
        fate: Fate,
    },
    Crash {
        leader: usize,
    },
    Start {
        leader: usize,
    },
    Tick,
    /// The clock leaps, since nothing happens for long.
    Leap,
    User {
        object: usize,
        edit: Edit,
    },
    Strip {
        object: usize,
    },
    Restore {
        object: usize,
    },
    Answer {
        object: usize,
        job: Option<JobNumber>,
    },
    Move,
    /// The namespace is deleted.
    Terminate,
    Foreign,
    Fails {
        job: usize,
    },
    Succeeds {
        job: usize,
    },
    Purged {
        job: usize,
    },
    Flaps {
        job: usize,
    },
    Sticks {
        job: usize,
    },
    Stops {
        job: usize,
    },
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// The platform takes it; what its sender gets to know; whether the list hides it at first.
    Taken {
        reply: Knows,
        hidden: bool,
        twice: bool,
    },
    /// The platform never sees it.
    Dropped { reply: Knows },
    /// The sender gives up waiting, and the request goes on.
    Late,
}

/// What the sender of a request gets to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Knows {
    All,
    Nothing,
    Unproven,
    Refused,
    Unsent,
    Rejected,
}

/// What a user does to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edit {
    Delete,
    Cancel,
    Suspend,
    Resume,
    Orphan,
    Abandon,
}

impl Knows {
    pub fn reply(self, job: JobNumber) -> Reply {
        match self {
            Self::All => Reply::Taken(job),
            Self::Nothing => Reply::Nothing,
            Self::Unproven => Reply::Unproven,
            Self::Refused => Reply::Refused,
            Self::Unsent => Reply::Unsent,
            Self::Rejected => Reply::Rejected,
        }
    }
}
