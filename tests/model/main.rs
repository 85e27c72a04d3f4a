//! Every interleaving of a few leaders, objects and faults, over the shipped decision.
//!
//! `cargo test --test model` tries the smaller settings and every mutant; `make model` all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// A state is plain values, and as many of them as there are; so are the facts made of it.
#![allow(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    clippy::too_many_lines
)]

mod action;
mod facts;
mod happen;
mod mutants;
mod names;
mod pass;
mod phases;
mod properties;
mod protocol;
mod random;
mod settings;
mod trouble;
mod world;

use std::{sync::OnceLock, time::Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};
use strum::IntoEnumIterator;

use action::Action;
use mutants::Mutant;
use protocol::Protocol;
use random::Summary;
use world::World;

/// How many seeds every run of the tests walks by.
const SAMPLE_SEEDS: u64 = 200;
/// In how many of them a mutant has to be caught.
const MUTANT_SEEDS: u64 = 200;
/// The mutants that a mix catches in so few: each breaks the promise in another way.
const MIXED: [Mutant; 8] = [
    Mutant::SendsAgainOnDoubt,
    Mutant::AnyProcessSends,
    Mutant::NoneTooEarly,
    Mutant::AnyRefusalProves,
    Mutant::CancelsForEver,
    Mutant::NoHealing,
    Mutant::NoLookFirst,
    Mutant::SendsDeleted,
];

/// What a run through a setting showed.
struct Outcome {
    states: usize,
    /// The properties that do not hold, each with a trace to where it does not; an empty one if
    /// something was never seen to happen.
    violations: Vec<(&'static str, Vec<Action>)>,
}

/// Walks all states of a setting, or all until something is found.
fn check(protocol: Protocol, threads: usize, first: bool) -> Outcome {
    let started = Instant::now();
    let (name, mutant) = (protocol.name, protocol.mutant);
    let mut builder = protocol.checker().threads(threads);
    if first {
        builder = builder.finish_when(HasDiscoveries::AnyFailures);
    }
    let checker = builder.spawn_bfs().join();
    let states = checker.unique_state_count();
    let mut violations = Vec::new();
    for property in checker.model().properties() {
        match (property.expectation, checker.discovery(property.name)) {
            (Expectation::Always, Some(path)) => {
                let last = path.last_state().clone();
                let trace = path.into_actions();
                if mutant.is_none() {
                    tell(checker.model(), property.name, &trace, &last);
                }
                violations.push((property.name, trace));
            }
            (Expectation::Sometimes, None) if mutant.is_none() => {
                println!("model: {name}: NEVER SEEN: {}", property.name);
                violations.push((property.name, Vec::new()));
            }
            (Expectation::Always | Expectation::Sometimes | Expectation::Eventually, _) => {}
        }
    }
    if mutant.is_none() {
        println!("model: {name}: {states} states, {:.1?}", started.elapsed());
    }
    Outcome { states, violations }
}

fn tell(protocol: &Protocol, property: &str, trace: &[Action], last: &World) {
    println!("model: {protocol}: VIOLATED: {property}");
    if let Some(why) = properties::unrest(protocol, last) {
        println!("  {why}");
    }
    for action in trace {
        println!("  {action:?}");
    }
    println!("  {last:?}");
}

/// Where a mutant is caught: the setting, the property and the trace.
fn catch(mutant: Mutant) -> Option<(&'static str, &'static str, usize)> {
    settings::against(mutant).into_iter().find_map(|setting| {
        let name = setting.name;
        let mutant = Some(mutant);
        let found = check(Protocol { mutant, ..setting }, 1, true);
        let violations = found.violations.into_iter();
        violations
            .map(|(property, trace)| (name, property, trace.len()))
            .min_by_key(|(_, _, length)| *length)
    })
}

#[test]
fn the_shipped_decision_keeps_its_promise() {
    for setting in settings::small() {
        let name = setting.name;
        let found = check(setting, 2, false);
        assert!(found.violations.is_empty(), "{name}");
    }
}

#[test]
fn a_decision_without_one_of_its_rules_is_caught() {
    let escaped: Vec<Mutant> = Mutant::iter()
        .filter(|mutant| {
            let caught = catch(*mutant);
            let name: &str = mutant.into();
            match caught {
                Some((setting, property, length)) => {
                    println!("mutant {name}: {length} steps to: not ({property}), with {setting}");
                }
                None => println!("mutant {name}: ESCAPED"),
            }
            caught.is_none()
        })
        .collect();
    assert!(escaped.is_empty(), "{escaped:?}");
}

/// Walks enough to see every transition of phases; `SEED=n` replays one, and tells every step.
fn sample() -> &'static Summary {
    static SAMPLE: OnceLock<Summary> = OnceLock::new();
    SAMPLE.get_or_init(|| match number("SEED") {
        Some(seed) => random::replay(seed),
        None => random::walk(0..SAMPLE_SEEDS, None),
    })
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

#[test]
fn the_shipped_decision_keeps_its_promise_in_a_random_mix() {
    let found = sample();
    found.tell();
    assert!(found.violations.is_empty());
}

#[test]
fn the_diagram_of_phases_has_the_transitions_that_the_decision_makes_and_no_others() {
    if number("SEED").is_some() {
        return;
    }
    let wrong = phases::differences(sample());
    assert!(wrong.is_empty(), "docs/lifecycle.md:\n{}", wrong.join("\n"));
}

#[test]
fn a_random_mix_catches_decisions_that_lack_a_rule() {
    for mutant in MIXED {
        let found = random::walk(0..MUTANT_SEEDS, Some(mutant));
        let name: &str = mutant.into();
        match found.violations.first() {
            Some(first) => println!("mutant {name}: SEED={}: not ({})", first.seed, first.what),
            None => panic!("mutant {name}: ESCAPED {MUTANT_SEEDS} seeds"),
        }
    }
}

/// For `make model`: the last line is the sum.
#[test]
#[ignore = "minutes long, in a release build: make model"]
fn the_shipped_decision_keeps_its_promise_in_every_setting() {
    let only = std::env::var("MODEL_ONLY").ok();
    let mut states = 0;
    let mut violations = 0;
    for setting in settings::full() {
        if only.as_deref().is_none_or(|only| only == setting.name) {
            let found = check(setting, 2, false);
            states += found.states;
            violations += found.violations.len();
        }
    }
    println!("model: states={states} violations={violations}");
    assert_eq!(violations, 0);
}

/// For `make mix`: the last line is the sum.
#[test]
#[ignore = "minutes long, in a release build: make mix"]
fn the_shipped_decision_keeps_its_promise_in_every_random_mix() {
    let found = match number("SEED") {
        Some(seed) => random::replay(seed),
        None => random::walk(0..number("SEEDS").unwrap_or(100_000), None),
    };
    found.tell();
    assert!(found.violations.is_empty());
    if number("SEED").is_none() {
        let wrong = phases::differences(&found);
        assert!(wrong.is_empty(), "docs/lifecycle.md:\n{}", wrong.join("\n"));
    }
}
