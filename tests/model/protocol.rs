//! The protocol as a model: a decision, a setting, and what may happen in it.

use std::fmt;

use aep_export_operator::decide::export::{Facts, Plan, decide};
use stateright::{Model, Property};

use crate::{
    action::{Action, Edit, Fate, Knows, Lag},
    facts::Store,
    mutants::Mutant,
    names::Names,
    properties,
    world::{Belief, Faults, Job, Leader, Life, Object, Pass, Power, Quality, Tick, World},
};

/// A setting in which the decision is tried.
#[derive(Clone, Debug)]
pub struct Protocol {
    pub name: &'static str,
    /// How many objects there are: one or two, of equal content.
    pub objects: usize,
    /// Whether the platform shows request ids in GET and list.
    pub echoes: bool,
    /// What a process believes of that when it starts.
    pub belief: Belief,
    /// Whether it learns the truth.
    pub learns: bool,
    pub lag: Lag,
    /// How many attempts may follow one that failed.
    pub retries: u32,
    /// How long an export may take, from its first submission.
    pub deadline: Option<Tick>,
    /// Every write of a phase is a step of its own, as it is for the API server.
    pub tells: bool,
    /// The API server holds back a write that rests on an older spec.
    pub guards_spec: bool,
    /// Two leaders act from the beginning, each on one of the objects, which have their finalizers.
    pub split: bool,
    /// Others may write between a leader's look at an object and its intent.
    pub slow_intent: bool,
    /// Others may write between a leader's look at all objects and its verdict.
    pub slow_settle: bool,
    pub faults: Faults,
    /// Until then time goes by in ticks; after that in leaps, and nothing goes wrong any more.
    pub horizon: Tick,
    /// What must be seen to happen.
    pub sights: &'static [&'static str],
    pub names: Names,
    /// What is wrong with the decision, if something is.
    pub mutant: Option<Mutant>,
}

/// After the horizon the clock leaps to these times: long enough for all patience to end.
const LEAPS: [Tick; 4] = [60, 110, 160, 210];

impl Protocol {
    /// What the decision says, shipped or spoilt.
    pub fn decide(&self, mut facts: Facts) -> Plan {
        match self.mutant {
            None => decide(&facts),
            Some(mutant) => {
                mutant.spoil(&mut facts);
                decide(&facts)
            }
        }
    }

    pub fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Whether the clock has run out and nobody has anything left to do.
    pub fn is_over(&self, world: &World) -> bool {
        Self::is_last(world.now) && !self.goes_on(world)
    }

    /// Whether somebody has something to do before the next moment.
    fn goes_on(&self, world: &World) -> bool {
        let mut actions = Vec::new();
        self.progress(world, &mut actions);
        actions
            .into_iter()
            .any(|action| self.next_state(world, action).is_some())
    }

    /// Whether a tick changes more than the time: somebody waits for a moment.
    fn is_critical(world: &World) -> bool {
        let soon = |object: &Object| {
            object.is_open()
                && object
                    .submission
                    .as_ref()
                    .is_some_and(|intent| world.now <= intent.settle)
        };
        let young = |leader: &Leader| {
            leader
                .started
                .is_some_and(|tick| world.now < tick + crate::facts::SETTLE)
        };
        world
            .objects
            .iter()
            .any(|object| soon(object) && !object.gone)
            || !world.flights.is_empty()
            || world.jobs.iter().any(|job| job.visible > world.now)
            || world.leaders.iter().any(|leader| {
                leader.passes.iter().any(|pass| *pass != Pass::Idle)
                    || leader.look_after.iter().any(|tick| *tick > world.now)
            })
            || (world.objects.iter().any(Object::is_open) && world.leaders.iter().any(young))
    }

    /// What happens sooner or later if nothing goes wrong.
    pub fn progress(&self, world: &World, actions: &mut Vec<Action>) {
        for (leader, process) in world.leaders.iter().enumerate() {
            match process.power {
                Power::Standby => continue,
                Power::Down => {
                    actions.push(Action::Start { leader });
                    continue;
                }
                Power::Up => {}
            }
            if self.learns && process.echo == Belief::Unknown {
                actions.push(Action::Learn { leader });
            }
            for (object, pass) in process.passes.iter().enumerate() {
                match pass {
                    Pass::Sent(_) => {}
                    _ if self.split && leader != object => {}
                    Pass::Scanning(scan) => {
                        let quality = Quality::Whole;
                        let now = world.shown(self.read_sandbox(world, &scan.object));
                        actions.push(Action::Scanned {
                            leader,
                            object,
                            quality,
                            late: false,
                        });
                        if now != scan.jobs {
                            actions.push(Action::Scanned {
                                leader,
                                object,
                                quality,
                                late: true,
                            });
                        }
                    }
                    Pass::Idle
                    | Pass::Observed(_)
                    | Pass::Ready(_)
                    | Pass::Replied(_, _)
                    | Pass::Scanned(_, _)
                    | Pass::Listed(_, _, _) => {
                        actions.push(Action::Pass {
                            leader,
                            object,
                            store: Store::Fresh,
                        });
                    }
                }
            }
        }
        for flight in 0..world.flights.len() {
            for hidden in [false, true] {
                if hidden && self.lag == Lag::None {
                    continue;
                }
                let fate = Fate::Taken {
                    reply: Knows::All,
                    hidden,
                    twice: false,
                };
                actions.push(Action::Arrives { flight, fate });
            }
        }
        for (job, state) in world.jobs.iter().enumerate() {
            if state.is_stopping() {
                actions.push(Action::Stops { job });
            }
        }
    }

    /// What may go wrong, and what people may do.
    pub fn faults(&self, world: &World, actions: &mut Vec<Action>) {
        let left = &world.left;
        for (leader, process) in world.leaders.iter().enumerate() {
            match process.power {
                Power::Standby if left.takeover > 0 => actions.push(Action::Start { leader }),
                Power::Standby | Power::Down => {}
                Power::Up => self.leader_faults(world, leader, process, actions),
            }
        }
        for flight in 0..world.flights.len() {
            self.fates(world, flight, actions);
        }
        for (object, state) in world.objects.iter().enumerate() {
            if !state.gone {
                Self::edits(world, object, state, actions);
            }
        }
        if left.moved > 0 {
            actions.push(Action::Move);
        }
        if left.terminated > 0 {
            actions.push(Action::Terminate);
        }
        if left.foreign > 0 && world.objects.iter().any(Object::is_open) {
            actions.push(Action::Foreign);
        }
        for (job, state) in world.jobs.iter().enumerate() {
            let runs = state.state == Life::Running;
            if left.failed > 0 && runs && !state.flaps {
                actions.push(Action::Fails { job });
            }
            if left.succeeded > 0 && runs && !state.flaps {
                actions.push(Action::Succeeds { job });
            }
            let number = Some(u8::try_from(job).unwrap());
            let known = world.objects.iter().any(|object| object.job == number);
            if left.purged > 0 && known && state.visible <= world.now {
                actions.push(Action::Purged { job });
            }
            if left.flaps > 0 && runs && !state.flaps {
                actions.push(Action::Flaps { job });
            }
            if left.stuck > 0 && runs && !state.stuck {
                actions.push(Action::Sticks { job });
            }
        }
    }

    fn leader_faults(
        &self,
        world: &World,
        leader: usize,
        process: &Leader,
        actions: &mut Vec<Action>,
    ) {
        let left = &world.left;
        if left.crash > 0 {
            actions.push(Action::Crash { leader });
        }
        let alone = world
            .leaders
            .iter()
            .filter(|l| l.power == Power::Up)
            .count()
            < 2;
        for (object, pass) in process.passes.iter().enumerate() {
            let state = &world.objects[object];
            let new = state.submission.is_none() && state.finalizer && !state.gone;
            if self.slow_intent && new && *pass == Pass::Idle {
                actions.push(Action::Observe { leader, object });
            }
            if left.answer > 0 && *pass == Pass::Idle {
                actions.push(Action::Unanswered { leader, object });
            }
            if !alone && *pass == Pass::Idle && !(self.split && leader != object) {
                actions.push(Action::Pass {
                    leader,
                    object,
                    store: Store::Stale,
                });
            }
            if let (true, Pass::Scanning(_)) = (left.scan > 0, pass) {
                for quality in [Quality::Flawed, Quality::Short, Quality::Failed] {
                    actions.push(Action::Scanned {
                        leader,
                        object,
                        quality,
                        late: false,
                    });
                }
            }
        }
    }

    fn fates(&self, world: &World, flight: usize, actions: &mut Vec<Action>) {
        let left = &world.left;
        let awaited = world.flights[flight].awaited;
        let mut push = |fate| actions.push(Action::Arrives { flight, fate });
        if !awaited {
            // Its sender is dead or has given up: what is left is whether it was taken.
            push(Fate::Dropped {
                reply: Knows::Nothing,
            });
            return;
        }
        if left.lost > 0 {
            push(Fate::Dropped {
                reply: Knows::Nothing,
            });
            push(Fate::Late);
            push(Fate::Taken {
                reply: Knows::Nothing,
                hidden: false,
                twice: false,
            });
            push(Fate::Taken {
                reply: Knows::Unproven,
                hidden: false,
                twice: false,
            });
            if self.lag != Lag::None {
                push(Fate::Taken {
                    reply: Knows::Nothing,
                    hidden: true,
                    twice: false,
                });
            }
        }
        if left.doubled > 0 {
            push(Fate::Taken {
                reply: Knows::All,
                hidden: false,
                twice: true,
            });
            if left.lost > 0 {
                push(Fate::Taken {
                    reply: Knows::Nothing,
                    hidden: false,
                    twice: true,
                });
            }
        }
        if left.refused > 0 {
            for reply in [Knows::Refused, Knows::Unsent, Knows::Rejected] {
                push(Fate::Dropped { reply });
            }
        }
    }

    fn edits(world: &World, object: usize, state: &Object, actions: &mut Vec<Action>) {
        let left = &world.left;
        let mut user = |edit| actions.push(Action::User { object, edit });
        if left.edits > 0 && !state.deleting {
            user(Edit::Delete);
            if !state.cancel && state.end.is_none() {
                user(Edit::Cancel);
            }
            if !state.suspend && state.job.is_none() {
                user(Edit::Suspend);
            }
        }
        if state.suspend {
            user(Edit::Resume);
        }
        if left.orphaned > 0 && !state.orphan {
            user(Edit::Orphan);
        }
        if left.abandoned > 0 && state.deleting && !state.abandon {
            user(Edit::Abandon);
        }
        if left.stripped > 0 && state.finalizer && !state.deleting {
            actions.push(Action::Strip { object });
        }
        let settled = state
            .submission
            .as_ref()
            .is_some_and(|intent| world.now > intent.settle);
        if left.restored > 0 && settled && world.flights.is_empty() && !state.deleting {
            actions.push(Action::Restore { object });
        }
        if left.answered > 0
            && let Some(intent) = state.submission.as_ref().filter(|_| state.is_open())
            && !intent.candidates.is_empty()
        {
            // A person looks before answering.
            let job = (0..)
                .zip(&world.jobs)
                .find(|(_, job)| properties::owns(object, job))
                .map(|(number, _)| number);
            if job.is_none_or(|job| intent.candidates.contains(&job)) {
                actions.push(Action::Answer { object, job });
            }
        }
    }

    fn time(&self, world: &World, actions: &mut Vec<Action>) {
        if !Self::may_end(world) {
            return;
        }
        if world.now < self.horizon && Self::is_critical(world) {
            if world.left.pauses > 0 || !world.is_hurried() {
                actions.push(Action::Tick);
            }
        } else if !Self::is_last(world.now) && world.flights.is_empty() && !self.goes_on(world) {
            actions.push(Action::Leap);
        }
    }

    /// Whether this moment may be over: a request that the platform takes, it takes in time, and a
    /// job stops in time.
    pub fn may_end(world: &World) -> bool {
        !world.jobs.iter().any(Job::is_stopping)
            && world.flights.iter().all(|flight| flight.until > world.now)
    }

    /// Whether the clock has run out.
    pub fn is_last(now: Tick) -> bool {
        LEAPS.last() == Some(&now)
    }

    pub fn leap(now: Tick) -> Tick {
        LEAPS.into_iter().find(|leap| *leap > now).unwrap_or(now)
    }

    /// Where a leader reads the list.
    pub fn read_sandbox(&self, world: &World, object: &Object) -> u8 {
        let intent = object.submission.as_ref().map(|intent| intent.sandbox);
        match intent {
            Some(sandbox) if !self.is(Mutant::UsesTodaysTarget) => sandbox,
            Some(_) | None => world.sandbox,
        }
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut first = Leader::new(self.objects, self.belief);
        first.power = Power::Up;
        first.seen = vec![1; self.objects];
        let mut leaders = vec![first];
        for _ in 0..self.faults.takeover {
            leaders.push(Leader::new(self.objects, self.belief));
        }
        if self.split {
            leaders.resize(self.objects, leaders[0].clone());
        }
        let object = Object {
            finalizer: self.split,
            ..Object::default()
        };
        vec![World {
            now: 0,
            objects: vec![object; self.objects],
            leaders,
            jobs: Vec::new(),
            flights: Vec::new(),
            sandbox: 0,
            terminating: false,
            left: self.faults,
            breach: None,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.progress(world, actions);
        if world.now <= self.horizon {
            self.faults(world, actions);
        }
        self.time(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        self.apply(world, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
