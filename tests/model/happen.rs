//! What happens: the platform, the network, people, time.

use std::mem;

use crate::{
    action::{Action, Edit, Fate, Knows, Lag},
    facts::Store,
    pass::Step,
    protocol::Protocol,
    world::{Belief, Flight, Job, JobSet, Life, Owner, Pass, Power, Quality, Reply, Tick, World},
};

/// How long a job is hidden when the promise's proviso does not hold: until after any doubt.
const BEYOND: Tick = 9;

impl Protocol {
    /// The world after an action; none if nothing changes.
    pub fn apply(&self, world: &World, action: Action) -> Option<World> {
        let step = |leader, index, store, answered| Step {
            leader,
            index,
            store,
            answered,
            protocol: self,
        };
        let mut next = match action {
            Action::Pass {
                leader,
                object,
                store,
            } => {
                return step(leader, object, store, true).take(world);
            }
            Action::Unanswered { leader, object } => {
                let mut next = step(leader, object, Store::Fresh, false).take(world)?;
                next.left.answer -= 1;
                return Some(next);
            }
            _ => world.clone(),
        };
        match action {
            Action::Pass { .. } | Action::Unanswered { .. } => return None,
            Action::Observe { leader, object } => {
                let copy = Box::new(next.objects[object].clone());
                next.leaders[leader].passes[object] = Pass::Observed(copy);
            }
            Action::Scanned {
                leader,
                object,
                quality,
                late,
            } => {
                self.scanned(&mut next, leader, object, quality, late);
            }
            Action::Learn { leader } => {
                let told = next.leaders[leader].told;
                let mut jobs = (0..).zip(&next.jobs);
                jobs.find(|(number, job)| told.contains(*number) && job.visible <= next.now)?;
                next.leaders[leader].echo = if self.echoes { Belief::Yes } else { Belief::No };
            }
            Action::Arrives { flight, fate } => self.arrives(&mut next, flight, fate),
            Action::Crash { leader } => {
                next.left.crash -= 1;
                next.crash(leader);
            }
            Action::Start { leader } => {
                let now = next.now;
                let process = &mut next.leaders[leader];
                if process.power == Power::Standby {
                    next.left.takeover -= 1;
                }
                process.start(now);
            }
            Action::Tick => {
                next.left.pauses -= u8::from(world.is_hurried());
                next.go_to(world.now + 1);
            }
            Action::Leap => next.go_to(Self::leap(world.now)),
            Action::User { object, edit } => next.edit(object, edit),
            Action::Strip { object } => {
                next.left.stripped -= 1;
                next.objects[object].finalizer = false;
                next.objects[object].version += 1;
            }
            Action::Restore { object } => next.restore(object),
            Action::Answer { object, job } => {
                next.left.answered -= 1;
                let object = &mut next.objects[object];
                let nonce = object.submission.as_ref()?.nonce;
                object.word = Some((nonce, job));
                object.version += 1;
            }
            Action::Move => {
                next.left.moved -= 1;
                next.sandbox = 1;
            }
            Action::Terminate => {
                next.left.terminated -= 1;
                next.terminating = true;
                for object in 0..next.objects.len() {
                    next.delete(object);
                }
            }
            Action::Foreign => {
                next.left.foreign -= 1;
                let now = next.now;
                let sandbox = next.sandbox;
                next.jobs.push(new_job(Owner::Person, sandbox, now, now));
            }
            Action::Fails { job } => {
                next.left.failed -= 1;
                next.jobs[job].state = Life::Failed;
            }
            Action::Succeeds { job } => {
                next.left.succeeded -= 1;
                next.jobs[job].state = Life::Succeeded;
            }
            Action::Purged { job } => {
                next.left.purged -= 1;
                next.jobs[job].state = Life::Purged;
            }
            Action::Flaps { job } => {
                next.left.flaps -= 1;
                next.jobs[job].flaps = true;
            }
            Action::Sticks { job } => {
                next.left.stuck -= 1;
                next.jobs[job].stuck = true;
            }
            Action::Stops { job } => next.jobs[job].state = Life::Cancelled,
        }
        Some(next)
    }

    fn scanned(
        &self,
        next: &mut World,
        leader: usize,
        object: usize,
        quality: Quality,
        late: bool,
    ) {
        let slot = &mut next.leaders[leader].passes[object];
        let Pass::Scanning(mut scan) = mem::replace(slot, Pass::Idle) else {
            return;
        };
        match quality {
            // A job that appears while the list is read stands behind the cursor, or before it.
            Quality::Whole if late => {
                scan.jobs = next.shown(self.read_sandbox(next, &scan.object));
            }
            Quality::Whole => {}
            Quality::Flawed | Quality::Short | Quality::Failed => {
                next.left.scan -= 1;
                scan.jobs = JobSet::default();
            }
        }
        next.leaders[leader].passes[object] = Pass::Scanned(scan, quality);
    }

    fn arrives(&self, next: &mut World, flight: usize, fate: Fate) {
        let now = next.now;
        let number = u8::try_from(next.jobs.len()).unwrap();
        let Flight {
            leader,
            object,
            attempt,
            sandbox,
            until: _,
            awaited,
        } = next.flights[flight];
        let knows = match fate {
            Fate::Taken {
                reply,
                hidden,
                twice,
            } => {
                let hide = match self.lag {
                    Lag::None => 0,
                    Lag::Within => 1,
                    Lag::Beyond => BEYOND,
                };
                let visible = if hidden { now + hide } else { now };
                let job = new_job(Owner::Attempt { object, attempt }, sandbox, now, visible);
                next.jobs.push(job);
                if twice {
                    next.left.doubled -= 1;
                    next.jobs.push(Job {
                        double: true,
                        ..job
                    });
                }
                reply
            }
            Fate::Dropped { reply } => reply,
            Fate::Late => Knows::Nothing,
        };
        if awaited {
            match knows {
                Knows::All => {}
                Knows::Nothing | Knows::Unproven => next.left.lost -= 1,
                Knows::Refused | Knows::Unsent | Knows::Rejected => next.left.refused -= 1,
            }
            let slot = &mut next.leaders[usize::from(leader)].passes[usize::from(object)];
            if let Pass::Sent(sent) = mem::replace(slot, Pass::Idle) {
                *slot = match knows.reply(number) {
                    // Nothing is recorded of it.
                    Reply::Nothing => Pass::Idle,
                    reply => Pass::Replied(sent, reply),
                };
            }
        }
        if fate == Fate::Late {
            next.flights[flight].awaited = false;
        } else {
            next.flights.remove(flight);
        }
    }
}

impl World {
    fn go_to(&mut self, time: Tick) {
        self.now = time;
        for leader in &mut self.leaders {
            for look_after in &mut leader.look_after {
                if *look_after <= time {
                    *look_after = 0;
                }
            }
        }
    }

    fn crash(&mut self, leader: usize) {
        self.leaders[leader].power = Power::Down;
        self.leaders[leader].forget();
        for flight in &mut self.flights {
            if usize::from(flight.leader) == leader {
                flight.awaited = false;
            }
        }
    }

    /// An object that is being deleted and that nobody holds goes; who is there sees it.
    pub fn bury(&mut self, index: usize) {
        let object = &mut self.objects[index];
        if object.deleting && !object.finalizer && !object.gone {
            object.gone = true;
            for leader in &mut self.leaders {
                if leader.power == Power::Up {
                    leader.tombs[index] = true;
                }
            }
        }
    }

    fn edit(&mut self, index: usize, edit: Edit) {
        let left = &mut self.left;
        let object = &mut self.objects[index];
        object.version += 1;
        match edit {
            Edit::Delete => {
                left.edits -= 1;
                object.deleting = true;
            }
            Edit::Cancel => {
                left.edits -= 1;
                object.cancel = true;
            }
            Edit::Suspend => {
                left.edits -= 1;
                object.suspend = true;
            }
            Edit::Resume => object.suspend = false,
            Edit::Orphan => {
                left.orphaned -= 1;
                object.orphan = true;
            }
            Edit::Abandon => {
                left.abandoned -= 1;
                object.abandon = true;
            }
        }
        self.bury(index);
    }

    fn delete(&mut self, index: usize) {
        let object = &mut self.objects[index];
        if !object.deleting {
            object.deleting = true;
            object.version += 1;
        }
        self.bury(index);
    }

    fn restore(&mut self, index: usize) {
        self.left.restored -= 1;
        let object = &mut self.objects[index];
        object.version += 1;
        object.finalizer = false;
        object.submission = None;
        object.job = None;
        object.cancellation = None;
        object.end = None;
        object.missing = None;
        object.phase = None;
        object.earlier.clear();
        for leader in 0..self.leaders.len() {
            if self.leaders[leader].power == Power::Up {
                self.crash(leader);
            }
        }
    }
}

fn new_job(owner: Owner, sandbox: u8, created: Tick, visible: Tick) -> Job {
    Job {
        owner,
        sandbox,
        created,
        visible,
        state: Life::Running,
        flaps: false,
        asked: false,
        stuck: false,
        double: false,
    }
}
