//! The operator is killed at every request that it makes in a life, before the server hears of it
//! and after it has answered, and started again; or several kinds of trouble come together. Each life has to end as one that nothing
//! disturbed: nobody creates a job twice, leaves one behind, or stands still.

mod end;
mod life;
mod mix;

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use self::{
    end::{End, Shown},
    life::{Lived, Point, Thing, live},
    mix::{Trouble, kills, troubles},
};
use crate::harness::proxy::{Side, Verb};

/// How many lives are lived at once: most of a life is waiting.
const AT_ONCE: usize = 6;
/// How many lives with a mix of troubles are part of every run of the tests.
const MIXED: u64 = 10;
/// How many lives of the whole matrix have two points.
const PAIRS: usize = 60;
/// What a start asks before it works, roughly: it comes again after a restart.
const START: usize = 10;
/// How many lives with a mix of troubles `make mix` lives, unless the variable `LIVES` has another
/// number.
const LIVES: u64 = 300;
/// The seed of the sample of pairs, unless the variable `SEED` has another.
const SEED: u64 = 8;

/// The sums over all lives of a matrix.
#[derive(Default)]
struct Sums {
    runs: usize,
    not_reached: usize,
    created_over_one: usize,
    orphans: usize,
    not_converged: usize,
}

#[test]
fn an_operator_killed_at_any_request_ends_what_it_began() {
    let reference = reference();
    let runs = (1..).zip(&reference.requests).map(|(index, logged)| {
        // After a write is where what the server did and what the operator knows differ.
        let side = match logged.asked.verb {
            Verb::Get | Verb::List | Verb::Watch => Side::Before,
            Verb::Create | Verb::Update | Verb::Patch | Verb::Delete => Side::After,
        };
        vec![Trouble::Kill(Point { index, side })]
    });
    lives("crash", runs.collect(), &reference);
}

#[test]
fn lives_with_a_mix_of_troubles_end_as_one_that_nothing_disturbs() {
    mixed(0..MIXED);
}

#[test]
#[ignore = "takes minutes: `make mix` runs it"]
fn many_lives_with_a_mix_of_troubles_end_as_one_that_nothing_disturbs() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    match number("LIFE") {
        Some(seed) => mixed(seed..seed + 1),
        None => mixed(0..number("LIVES").unwrap_or(LIVES)),
    }
}

fn mixed(seeds: std::ops::Range<u64>) {
    println!("mix: lives by the seeds {seeds:?}");
    let runs = seeds.map(troubles).collect();
    lives("mix", runs, &reference());
}

#[test]
#[ignore = "takes minutes: `make crash` runs it"]
fn an_operator_killed_at_every_request_once_or_twice_ends_what_it_began() {
    let reference = reference();
    let count = reference.requests.len();
    let both =
        |index| [Side::Before, Side::After].map(|side| vec![Trouble::Kill(Point { index, side })]);
    let singles = (1..=count).flat_map(both);
    let seed = std::env::var("SEED").map_or(SEED, |seed| seed.parse().unwrap());
    println!("crash: pairs by SEED={seed}");
    let runs = singles.chain(pairs(count, seed));
    lives("crash", runs.collect(), &reference);
}

/// A life that nothing disturbs.
fn reference() -> Lived {
    let lived = on_this_thread(&[]);
    assert_eq!(lived.stuck, None, "{}", lived.log);
    let End {
        objects,
        kept,
        jobs,
        datasets,
        created_over_one,
        orphans,
    } = &lived.end;
    assert_eq!(jobs, &["CANCELLED", "SUCCEEDED"]);
    assert_eq!((*datasets, *created_over_one, *orphans), (1, 0, 0));
    for export in [Thing::Weekly, Thing::Stopped] {
        assert_eq!(objects[&export], Shown::Gone);
    }
    assert_ne!(kept[&Thing::Weekly], Shown::Gone);
    for (number, logged) in (1..).zip(&lived.requests) {
        println!("crash: request {number}: {}", logged.asked);
    }
    lived
}

/// Two points each, the second counted from the restart; the same for the same seed.
fn pairs(count: usize, seed: u64) -> Vec<Vec<Trouble>> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut point = |last: usize| Point {
        index: random.random_range(1..=last),
        side: if random.random() {
            Side::Before
        } else {
            Side::After
        },
    };
    let mut pair = |_| {
        let first = point(count);
        let left = (count - first.index + START).min(count);
        vec![Trouble::Kill(first), Trouble::Kill(point(left))]
    };
    (0..PAIRS).map(&mut pair).collect()
}

/// Lives these lives, several at once, and judges them by the reference.
fn lives(name: &str, runs: Vec<Vec<Trouble>>, reference: &Lived) {
    // As many at once as a machine bears, whatever the number of threads for tests.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let began = Instant::now();
    let sums = Mutex::new(Sums::default());
    let queue = Mutex::new(VecDeque::from(runs));
    let next = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.pop_front()
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(troubles) = next() {
                    let lived = on_this_thread(&troubles);
                    let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
                    sums.judge(&troubles, &lived, &reference.end);
                }
            });
        }
    });
    let sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    sums.conclude(name, reference.requests.len(), began);
}

/// Each thread has a runtime of its own, as the guard of a process cannot be shared.
fn on_this_thread(troubles: &[Trouble]) -> Lived {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(live(troubles))
}

impl Sums {
    fn judge(&mut self, troubles: &[Trouble], lived: &Lived, reference: &End) {
        let Lived {
            end,
            killed_at,
            stuck,
            requests: _,
            log,
        } = lived;
        let mut said: Vec<String> = stuck.iter().cloned().collect();
        said.extend(end.differences(reference));
        if log.contains("panicked at") {
            said.push("the operator panicked".to_owned());
        }
        self.runs += 1;
        self.not_reached += kills(troubles).len() - killed_at.len();
        self.created_over_one += end.created_over_one;
        self.orphans += end.orphans;
        self.not_converged += usize::from(!said.is_empty());
        if said.is_empty() && end.created_over_one + end.orphans == 0 {
            return;
        }
        println!("\nlife: {troubles:?}:");
        for logged in killed_at {
            println!("  at {}", logged.asked);
        }
        println!("  created over one: {}", end.created_over_one);
        println!("  orphans: {}", end.orphans);
        for said in said {
            println!("  {said}");
        }
        println!("the operator's log:\n{log}");
    }

    fn conclude(&self, name: &str, points: usize, began: Instant) {
        let Self {
            runs,
            not_reached,
            created_over_one,
            orphans,
            not_converged,
        } = self;
        println!(
            "{name}: {} s; {not_reached} points were beyond the end of their life",
            began.elapsed().as_secs()
        );
        println!(
            "{name}: points={points} runs={runs} created_over_one={created_over_one} \
             orphans={orphans} not_converged={not_converged}"
        );
        assert_eq!((*created_over_one, *orphans, *not_converged), (0, 0, 0));
    }
}
