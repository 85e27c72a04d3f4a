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
mod properties;
mod protocol;
mod settings;
mod trouble;
mod world;

use std::time::Instant;

use stateright::{Checker, Expectation, HasDiscoveries, Model};
use strum::IntoEnumIterator;

use action::Action;
use mutants::Mutant;
use protocol::Protocol;
use world::World;

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
