//! The diagram of the phases in docs/lifecycle.md against what the shipped decision does.

use std::{collections::BTreeSet, fs, path::Path};

use aep_export_operator::decide::export::Phase;
use strum::IntoEnumIterator;

use crate::random::{Edge, Summary};

/// Transitions that the model does not make, and the end-to-end test that shows each.
const SHOWN_ELSEWHERE: [(Phase, Phase, &str); 5] = [
    (
        Phase::Ambiguous,
        Phase::Running,
        "a_person_who_names_a_candidate_has_it_followed",
    ),
    (
        Phase::Ambiguous,
        Phase::Submitting,
        "a_person_who_says_that_no_job_is_ours_has_the_request_sent_again_once",
    ),
    (
        Phase::Cancelling,
        Phase::Succeeded,
        "a_cancel_that_comes_too_late_is_told_as_what_happened",
    ),
    (
        Phase::Pending,
        Phase::Failed,
        "a_limit_that_is_lowered_between_two_attempts_ends_the_export",
    ),
    (
        Phase::Running,
        Phase::Cancelled,
        "what_was_rejected_or_cancelled_is_not_tried_again",
    ),
];

/// Transitions that only very many lives show: `make mix`.
const RARE: [(Phase, Phase); 8] = [
    (Phase::Pending, Phase::Running),
    (Phase::Suspended, Phase::Pending),
    (Phase::Suspended, Phase::Running),
    (Phase::Suspended, Phase::Failed),
    (Phase::Submitting, Phase::Suspended),
    (Phase::Submitting, Phase::Cancelled),
    (Phase::Ambiguous, Phase::Pending),
    (Phase::Cancelling, Phase::Pending),
];
/// So many.
const VERY_MANY: u64 = 50_000;

/// What is wrong with the diagram, in lines.
pub fn differences(sum: &Summary) -> Vec<String> {
    let drawn = edges(&read("docs/lifecycle.md"));
    let mut wrong = Vec::new();
    for (edge, seed) in &sum.phases {
        // An object can be deleted, and go, in every phase.
        if edge.1.is_some() && !drawn.contains(edge) {
            wrong.push(format!("not drawn: {} (SEED={seed})", text_of(*edge)));
        }
    }
    for edge in &drawn {
        let shows = |(from, to, _): &&(Phase, Phase, &str)| *edge == (Some(*from), Some(*to));
        match SHOWN_ELSEWHERE.iter().find(shows) {
            Some((_, _, test)) if !is_test(test) => wrong.push(format!("no such test: {test}")),
            Some(_) => {}
            None if sum.phases.contains_key(edge) => {}
            None if sum.seeds < VERY_MANY && is_rare(*edge) => {}
            None => wrong.push(format!("drawn and never seen: {}", text_of(*edge))),
        }
    }
    for phase in Phase::iter() {
        let named = drawn
            .iter()
            .any(|(from, to)| [from, to].contains(&&Some(phase)));
        if !named {
            wrong.push(format!("not in the diagram: {}", phase.as_str()));
        }
    }
    wrong
}

fn is_rare((from, to): Edge) -> bool {
    RARE.iter()
        .any(|rare| (from, to) == (Some(rare.0), Some(rare.1)))
}

/// The edges of the state diagram in a Markdown text.
fn edges(markdown: &str) -> BTreeSet<Edge> {
    let (_, rest) = markdown
        .split_once("stateDiagram-v2")
        .expect("a state diagram");
    let (diagram, _) = rest.split_once("```").expect("its end");
    let state = |word: &str| match word.trim() {
        "[*]" => None,
        name => Some(name.parse().unwrap_or_else(|_| panic!("no phase: {name}"))),
    };
    diagram
        .lines()
        .filter_map(|line| line.split_once("-->"))
        .map(|(from, to)| {
            let to = to.split_once(':').map_or(to, |(to, _)| to);
            (state(from), state(to))
        })
        .collect()
}

fn text_of((from, to): Edge) -> String {
    let word = |phase: Option<Phase>| phase.map_or("[*]", Phase::as_str);
    format!("{} --> {}", word(from), word(to))
}

/// Whether there is an end-to-end test of this name.
fn is_test(name: &str) -> bool {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e")];
    let line = format!("async fn {name}()");
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read_to_string(&path).unwrap().contains(&line) {
                return true;
            }
        }
    }
    false
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
