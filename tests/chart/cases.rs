//! Each value changes what its case says, and nothing else.

use std::{collections::BTreeSet, fmt::Write, fs};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    helm::{Manifests, chart, folder, for_each, render},
    values,
};

/// What a value does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The value's path.
    value: String,
    /// Other values, without which it has no effect.
    #[serde(default)]
    with: Option<Value>,
    /// It, with another value than before.
    set: Value,
    /// Why `set` has other values as well.
    #[serde(default)]
    because: Option<String>,
    /// What that changes. The whole file is compared with what it should be.
    #[serde(default, rename = "changes")]
    _changes: String,
}

const FILE: &str = "tests/chart/cases.yaml";

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(folder(FILE)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{FILE}: {error}"))
}

fn rendered(values: &[&Value]) -> Manifests {
    render(values).unwrap_or_else(|error| panic!("{values:?}: {error}"))
}

#[test]
fn each_value_changes_what_its_case_says_and_nothing_else() {
    let cases = cases();
    let changes = for_each(&cases, |case| {
        let none = json!({});
        let with = case.with.as_ref().unwrap_or(&none);
        rendered(&[with]).changes_to(&rendered(&[with, &case.set]))
    });
    let mut wanted = String::from(
        "# What each value changes in the manifests: of an object that is changed the lines, of one \
         that is\n# new all of it, of one that is gone the name. `UPDATE=1 make chart-test` writes \
         `changes`; what it wrote\n# is to be read before it is committed.\n",
    );
    for (case, changes) in cases.iter().zip(&changes) {
        assert!(!changes.is_empty(), "{} changes nothing", case.value);
        write(&mut wanted, case, changes);
    }
    values::same_or_written(&folder(FILE), &wanted);
}

fn write(text: &mut String, case: &Case, changes: &str) {
    write!(text, "\n- value: {}\n", case.value).unwrap();
    if let Some(with) = &case.with {
        writeln!(text, "  with: {with}").unwrap();
    }
    writeln!(text, "  set: {}", case.set).unwrap();
    if let Some(because) = &case.because {
        writeln!(text, "  because: {because}").unwrap();
    }
    text.push_str("  changes: |\n");
    for line in changes.lines() {
        writeln!(text, "    {line}").unwrap();
    }
}

#[test]
fn every_value_has_a_case_and_no_case_is_of_another() {
    let cases = cases();
    let tried: BTreeSet<&str> = cases.iter().map(|case| case.value.as_str()).collect();
    let values = values::of(&chart());
    let known: BTreeSet<&str> = values.iter().map(|value| value.path.as_str()).collect();
    assert_eq!(tried, known);
}

#[test]
fn a_case_sets_its_value_and_no_other_unless_it_says_why() {
    for case in cases() {
        let mut set = &case.set;
        for key in case.value.split('.') {
            let object = set.as_object().unwrap();
            set = object
                .get(key)
                .unwrap_or_else(|| panic!("{} is not set", case.value));
            assert!(
                object.len() == 1 || case.because.is_some(),
                "{}: set has more",
                case.value
            );
        }
    }
}
