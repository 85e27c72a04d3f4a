//! Random walks through larger worlds, with several kinds of trouble at once. A seed draws the
//! setting and every step, so the same seed walks the same way.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use aep_export_operator::decide::export::Phase;
use rand::{
    RngExt, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};
use stateright::{Expectation, Model};

use crate::{
    action::{Action, Lag},
    mutants::Mutant,
    properties::{self, sights},
    protocol::Protocol,
    settings::{NONE, UNKNOWN, setting},
    world::{Belief, Faults, World},
};

/// More steps than a walk to rest takes, many times over.
const STEPS: usize = 5_000;
/// Until when things may go wrong, at most.
const HORIZON: u8 = 40;
/// How many kinds of trouble a setting has.
const KINDS: std::ops::RangeInclusive<usize> = 3..=9;

/// A kind of trouble: what of it may happen at most.
struct Kind {
    most: u8,
    count: fn(&mut Faults) -> &mut u8,
}

const TROUBLE: [Kind; 20] = [
    kind(3, |faults| &mut faults.crash),
    kind(6, |faults| &mut faults.pauses),
    kind(2, |faults| &mut faults.takeover),
    kind(5, |faults| &mut faults.lost),
    kind(4, |faults| &mut faults.refused),
    kind(2, |faults| &mut faults.doubled),
    kind(2, |faults| &mut faults.answer),
    kind(2, |faults| &mut faults.foreign),
    kind(3, |faults| &mut faults.failed),
    kind(3, |faults| &mut faults.succeeded),
    kind(1, |faults| &mut faults.purged),
    kind(2, |faults| &mut faults.flaps),
    kind(2, |faults| &mut faults.stuck),
    kind(4, |faults| &mut faults.scan),
    kind(4, |faults| &mut faults.edits),
    kind(2, |faults| &mut faults.orphaned),
    kind(2, |faults| &mut faults.abandoned),
    kind(1, |faults| &mut faults.terminated),
    kind(2, |faults| &mut faults.stripped),
    kind(2, |faults| &mut faults.answered),
];

const fn kind(most: u8, count: fn(&mut Faults) -> &mut u8) -> Kind {
    Kind { most, count }
}

/// Two phases that follow each other.
pub type Edge = (Option<Phase>, Option<Phase>);

/// A walk that came to something that must not be.
pub struct Violation {
    pub seed: u64,
    /// The property that does not hold, or how the walk does not end.
    pub what: String,
    /// The setting, every action, and the world that they led to.
    told: String,
}

/// What walks showed.
#[derive(Default)]
pub struct Summary {
    pub seeds: u64,
    pub steps: usize,
    pub violations: Vec<Violation>,
    /// What was seen to happen, by the names of the exhaustive settings' sights.
    pub seen: BTreeSet<&'static str>,
    /// Which phase followed which in a status, and a seed that shows it. None is where an object
    /// begins, or goes.
    pub phases: BTreeMap<Edge, u64>,
}

/// One walk.
struct Walk {
    random: StdRng,
    protocol: Protocol,
    /// How likely something goes wrong at a step, in percent.
    trouble: u32,
    /// How likely time goes by at a step though there is something to do, in percent.
    haste: u32,
    world: World,
    trace: Vec<Action>,
}

/// Walks by these seeds, on as many threads as there are processors.
pub fn walk(seeds: std::ops::Range<u64>, mutant: Option<Mutant>) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new(Summary::default());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = Summary::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    // A mutant is caught once.
                    let caught = mutant.is_some() && !own.violations.is_empty();
                    if seed >= seeds.end || caught {
                        break;
                    }
                    Walk::new(seed, mutant).run(seed, &mut own);
                }
                let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                sum.add(own);
            });
        }
    });
    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.violations.sort_by_key(|violation| violation.seed);
    sum
}

/// Walks by one seed and tells every step.
pub fn replay(seed: u64) -> Summary {
    let mut walk = Walk::new(seed, None);
    let mut sum = Summary::default();
    walk.run(seed, &mut sum);
    println!("{}", walk.tell(seed));
    sum
}

impl Walk {
    fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let protocol = Protocol {
            mutant,
            ..draw(&mut random)
        };
        let world = protocol.init_states().remove(0);
        Self {
            trouble: *[3, 10, 30].choose(&mut random).unwrap(),
            haste: *[2, 10, 40].choose(&mut random).unwrap(),
            random,
            protocol,
            world,
            trace: Vec::new(),
        }
    }

    fn run(&mut self, seed: u64, sum: &mut Summary) {
        let what = self.walk(seed, sum);
        sum.seeds += 1;
        sum.steps += self.trace.len();
        if let Some(what) = what {
            let told = self.tell(seed);
            sum.violations.push(Violation { seed, what, told });
        }
    }

    /// Walks to rest, or to what must not be.
    fn walk(&mut self, seed: u64, sum: &mut Summary) -> Option<String> {
        let always = properties::all(&self.protocol);
        let mut sights = sights();
        while self.trace.len() < STEPS {
            let broken = always.iter().find(|property| {
                property.expectation == Expectation::Always
                    && !(property.condition)(&self.protocol, &self.world)
            });
            if let Some(broken) = broken {
                let why = properties::unrest(&self.protocol, &self.world);
                let why = why.filter(|_| Protocol::is_last(self.world.now));
                return Some(match why {
                    Some(why) => format!("{}: {why}", broken.name),
                    None => broken.name.to_owned(),
                });
            }
            sights.retain(|sight| {
                let is_seen = (sight.condition)(&self.protocol, &self.world);
                if is_seen {
                    sum.seen.insert(sight.name);
                }
                !is_seen
            });
            let Some((action, next)) = self.step() else {
                let over = Protocol::is_last(self.world.now);
                return (!over).then(|| "time goes on".to_owned());
            };
            sum.compare(&self.world, &next, seed);
            self.trace.push(action);
            self.world = next;
        }
        Some("everything comes to rest".to_owned())
    }

    /// One thing that happens, and the world after it; none at rest.
    fn step(&mut self) -> Option<(Action, World)> {
        if self.world.now <= self.protocol.horizon && self.chance(self.trouble) {
            let mut faults = Vec::new();
            self.protocol.faults(&self.world, &mut faults);
            if let Some(happened) = self.any_of(faults) {
                return Some(happened);
            }
        }
        if self.may_tick() && self.chance(self.haste) {
            return self.take(Action::Tick);
        }
        let mut progress = Vec::new();
        self.protocol.progress(&self.world, &mut progress);
        if let Some(happened) = self.any_of(progress) {
            return Some(happened);
        }
        if self.may_tick() {
            self.take(Action::Tick)
        } else if Protocol::may_end(&self.world) && !Protocol::is_last(self.world.now) {
            self.take(Action::Leap)
        } else {
            None
        }
    }

    fn may_tick(&self) -> bool {
        self.world.now < self.protocol.horizon
            && Protocol::may_end(&self.world)
            && (self.world.left.pauses > 0 || !self.world.is_hurried())
    }

    fn any_of(&mut self, mut actions: Vec<Action>) -> Option<(Action, World)> {
        actions.shuffle(&mut self.random);
        actions.into_iter().find_map(|action| self.take(action))
    }

    fn take(&self, action: Action) -> Option<(Action, World)> {
        let next = self.protocol.next_state(&self.world, action)?;
        Some((action, next))
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    fn tell(&self, seed: u64) -> String {
        use fmt::Write;
        let Protocol {
            name: _,
            objects,
            echoes,
            belief,
            learns,
            lag,
            retries,
            deadline,
            tells: _,
            guards_spec,
            split,
            slow_intent,
            slow_settle,
            faults,
            horizon,
            sights: _,
            names: _,
            mutant,
        } = &self.protocol;
        let mut text = format!(
            "SEED={seed}: {objects} objects, echoes {echoes}, belief {belief:?}, learns {learns}, \
             lag {lag:?}, retries {retries}, deadline {deadline:?}, guards_spec {guards_spec}, \
             split {split}, slow_intent {slow_intent}, slow_settle {slow_settle}, horizon \
             {horizon}, mutant {mutant:?}\n  {faults:?}\n"
        );
        // Once more from the beginning, with the time and what became of each object.
        let mut world = self.protocol.init_states().remove(0);
        for action in &self.trace {
            let Some(next) = self.protocol.next_state(&world, *action) else {
                let _ = writeln!(text, "  {action:?}: does not repeat");
                break;
            };
            let _ = write!(text, "  {:>3} {action:?}", world.now);
            for (index, (before, after)) in world.objects.iter().zip(&next.objects).enumerate() {
                if before != after {
                    let _ = write!(text, " -> {index}: {}", brief(after));
                }
            }
            let _ = writeln!(text);
            world = next;
        }
        let _ = writeln!(text, "  {:?}", self.world);
        text
    }
}

/// What matters of an object in a trace.
fn brief(object: &crate::world::Object) -> String {
    let crate::world::Object {
        phase,
        job,
        end,
        gone,
        submission,
        ..
    } = object;
    let outcome = submission
        .as_ref()
        .map(|intent| (intent.attempt, intent.outcome));
    format!("{phase:?} job {job:?} {outcome:?} end {end:?} gone {gone}")
}

/// A setting.
fn draw(random: &mut StdRng) -> Protocol {
    let (echoes, belief) = *[
        (true, Belief::Yes),
        (true, Belief::Yes),
        (true, Belief::Unknown),
        (false, Belief::Unknown),
        (false, Belief::No),
    ]
    .choose(random)
    .unwrap();
    let mut faults = NONE;
    let kinds = random.random_range(KINDS);
    for Kind { most, count } in TROUBLE.sample(random, kinds) {
        *count(&mut faults) = random.random_range(1..=*most);
    }
    // What a backup has lost is found by its request id. Without one it is a stated limit.
    if echoes && random.random_ratio(1, 6) {
        faults.restored = 1;
    }
    if random.random_ratio(1, 8) {
        faults.moved = 1;
    }
    if faults.restored > 0 {
        // Nobody can look for a job that the platform has lost as well, or that is elsewhere.
        (faults.purged, faults.moved) = (0, 0);
    }
    let split = faults.takeover == 0 && random.random_ratio(1, 4);
    let objects = random.random_range(1..=4);
    if !echoes && objects > 1 {
        // What the gateway doubles looks like another's; and so does what was of an object that
        // was deleted before the process began.
        faults.doubled = 0;
        if faults.crash + faults.takeover > 0 || split {
            (faults.edits, faults.terminated) = (0, 0);
        }
    }
    Protocol {
        objects,
        lag: if random.random() {
            Lag::Within
        } else {
            Lag::None
        },
        retries: random.random_range(0..=2),
        deadline: random
            .random_ratio(1, 3)
            .then(|| random.random_range(2..=HORIZON)),
        guards_spec: random.random_ratio(3, 4),
        split,
        slow_intent: random.random(),
        slow_settle: random.random(),
        faults,
        horizon: random.random_range(8..=HORIZON),
        tells: true,
        ..setting("a random mix", echoes, belief)
    }
}

impl Summary {
    /// Takes note of the phases that a step changed.
    fn compare(&mut self, before: &World, after: &World, seed: u64) {
        for (old, new) in before.objects.iter().zip(&after.objects) {
            // A restored backup sets a phase back, which nobody decided.
            if old.phase != new.phase && new.phase.is_some() {
                self.note((old.phase, new.phase), seed);
            }
            if !old.gone && new.gone && new.phase.is_some() {
                self.note((new.phase, None), seed);
            }
        }
    }

    fn note(&mut self, edge: Edge, seed: u64) {
        let first = self.phases.entry(edge).or_insert(seed);
        *first = seed.min(*first);
    }

    fn add(&mut self, other: Self) {
        let Self {
            seeds,
            steps,
            violations,
            seen,
            phases,
        } = other;
        self.seeds += seeds;
        self.steps += steps;
        self.violations.extend(violations);
        self.seen.extend(seen);
        for (edge, seed) in phases {
            self.note(edge, seed);
        }
    }

    /// Tells the sum, and for each thing that must not be its seeds and the shortest walk to it.
    pub fn tell(&self) {
        let whats: BTreeSet<&String> = self.violations.iter().map(|v| &v.what).collect();
        for what in whats {
            let same = self.violations.iter().filter(|v| v.what == *what);
            let seeds: Vec<String> = same.clone().map(|v| v.seed.to_string()).collect();
            if let Some(shortest) = same.min_by_key(|v| v.told.len()) {
                println!("{}", shortest.told);
            }
            println!("mix: VIOLATED: {what}: SEED={}\n", seeds.join(", "));
        }
        // A second job of a request is made only where the platform breaks its promises.
        let sights = sights();
        let names = sights.iter().map(|sight| sight.name);
        for sight in names.filter(|name| *name != UNKNOWN) {
            if !self.seen.contains(sight) {
                println!("mix: never seen: {sight}");
            }
        }
        let (steps, violations) = (self.steps, self.violations.len());
        println!("mix: {steps} steps");
        println!("mix: seeds={} violations={violations}", self.seeds);
    }
}
