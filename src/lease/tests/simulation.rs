//! Several processes, a lease, and everything that can come between them: slow calls, answers that
//! are lost, writes that are taken after their caller gave up, and processes that are stopped.

use super::*;

/// Steps of a tenth of a second, for twenty minutes.
const STEPS: u64 = 12_000;
const PROCESSES: usize = 3;

/// Random numbers that are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// The API server's part: one lease, whose versions count up.
#[derive(Default)]
struct Server {
    lease: Option<Lease>,
    version: u64,
}

impl Server {
    fn write(&mut self, lease: &Lease) -> Option<Lease> {
        let there = self.lease.as_ref();
        let there = there.and_then(|lease| lease.metadata.resource_version.clone());
        if there != lease.metadata.resource_version {
            return None;
        }
        self.version += 1;
        let mut lease = lease.clone();
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease.clone());
        Some(lease)
    }
}

struct Process {
    election: Election,
    /// When it takes its next step.
    wakes: u64,
    /// Until when it is stopped.
    stopped: u64,
    /// Whether it waits for another's lease to expire.
    waits: bool,
    call: Option<Call>,
}

struct Call {
    /// What is written; none: a read.
    lease: Option<Lease>,
    began: u64,
    /// When the server does it.
    done: u64,
    /// When its answer is there, or the caller gives up.
    over: u64,
    answer: Option<Answer>,
}

enum Answer {
    Read(Option<Lease>),
    Written(Option<Lease>),
}

#[derive(Debug, Default)]
struct Outcome {
    /// Steps with a leader.
    led: u64,
    /// Steps with more than one.
    split: u64,
    /// How many processes have led.
    leaders: u64,
}

fn at(step: u64) -> Duration {
    START + Duration::from_millis(step * 100)
}

fn steps(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(100)).unwrap()
}

impl Process {
    fn new(name: u64, terms: Terms, wakes: u64) -> Self {
        Self {
            election: Election::new("lease".into(), format!("process-{name}"), terms),
            wakes,
            stopped: 0,
            waits: false,
            call: None,
        }
    }

    fn leads(&self, step: u64) -> bool {
        self.election.tenure().is_some_and(|end| at(step) < end)
    }

    /// Whether it goes on.
    fn step(&mut self, step: u64, dice: &mut Dice, late: &mut Vec<Call>) -> bool {
        if let Some(call) = self.call.take() {
            if step < call.over {
                self.call = Some(call);
                return true;
            }
            self.hear(call, step, late);
            return true;
        }
        if step < self.wakes {
            return true;
        }
        if std::mem::take(&mut self.waits) {
            self.election.waited(at(step));
        }
        let lease = match self.election.plan(at(step), noon()) {
            Plan::Lost(_) => return false,
            Plan::Rest(time) => {
                self.wakes = step + steps(time);
                return true;
            }
            Plan::Wait(time) => {
                self.waits = true;
                self.wakes = step + steps(time) + dice.below(3);
                return true;
            }
            Plan::Look => None,
            Plan::Write(lease) => Some(*lease),
        };
        // One in ten is slow, beyond the fifty steps after which its caller gives up.
        let slow = dice.one_in(10);
        let done = step + dice.below(if slow { 400 } else { 3 });
        let slow = dice.one_in(10);
        let answered = done + dice.below(if slow { 400 } else { 3 });
        self.call = Some(Call {
            lease,
            began: step,
            done,
            over: answered.min(step + 50),
            answer: None,
        });
        true
    }

    /// The end of a call, with its answer or without one.
    fn hear(&mut self, call: Call, step: u64, late: &mut Vec<Call>) {
        let in_time = call.over < call.began + 50;
        match &call.answer {
            Some(Answer::Read(lease)) if in_time => self.election.saw(lease.clone(), at(step)),
            Some(Answer::Written(Some(lease))) if in_time => {
                self.election.wrote(lease.clone(), at(call.began), at(step));
            }
            Some(_) | None => {
                self.election.forget();
                self.wakes = step + 20;
            }
        }
        if call.answer.is_none() {
            late.push(call);
        }
    }
}

fn serve(call: &mut Call, step: u64, server: &mut Server) {
    if call.answer.is_none() && step >= call.done {
        call.answer = Some(match &call.lease {
            None => Answer::Read(server.lease.clone()),
            Some(lease) => Answer::Written(server.write(lease)),
        });
    }
}

fn simulate(seed: u64, terms: Terms) -> Outcome {
    let mut dice = Dice(seed * 2_654_435_761 + 1);
    let mut server = Server::default();
    let mut late: Vec<Call> = Vec::new();
    let mut outcome = Outcome::default();
    let mut names = 0..;
    let mut next = |step| Process::new(names.next().unwrap(), terms, step);
    let mut processes: Vec<Process> = (0..PROCESSES).map(|_| next(0)).collect();
    let mut last = None;
    for step in 0..STEPS {
        for call in processes.iter_mut().filter_map(|p| p.call.as_mut()) {
            serve(call, step, &mut server);
        }
        for call in &mut late {
            serve(call, step, &mut server);
        }
        late.retain(|call| call.answer.is_none());
        for process in &mut processes {
            if dice.one_in(3000) {
                process.stopped = step + dice.below(600);
            }
            if step < process.stopped {
                continue;
            }
            // A process that has lost ends, and so do some others; each is started again.
            if !process.step(step, &mut dice, &mut late) || dice.one_in(10_000) {
                *process = next(step + dice.below(100));
            }
        }
        let leading = processes.iter().filter(|p| p.leads(step));
        match leading.count() {
            0 => {}
            1 => outcome.led += 1,
            _ => outcome.split += 1,
        }
        let name = server.lease.as_ref().map(|lease| holder(lease).to_owned());
        if last != name {
            outcome.leaders += 1;
            last = name;
        }
    }
    outcome
}

fn total(terms: Terms) -> Outcome {
    let mut total = Outcome::default();
    for seed in 1..=100 {
        let Outcome {
            led,
            split,
            leaders,
        } = simulate(seed, terms);
        total.led += led;
        total.split += split;
        total.leaders += leaders;
    }
    total
}

#[test]
fn no_two_processes_lead_at_once_and_most_of_the_time_one_does() {
    let total = total(TERMS);
    assert_eq!(total.split, 0, "{total:?}");
    assert!(total.led > 100 * STEPS / 2, "{total:?}");
    assert!(total.leaders > 100 * 5, "{total:?}");
}

#[test]
fn the_simulation_finds_two_leaders_if_the_deadline_is_longer_than_the_lease() {
    let terms = Terms {
        renew_deadline: Duration::from_secs(40),
        ..TERMS
    };
    assert!(total(terms).split > 0);
}
