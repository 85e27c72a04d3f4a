//! Every switch of the simulator has its case, in each of its values.

use std::{collections::BTreeSet, process::Command};

use aep_control_plane::workspace_binary;
use serde_json::Value;

use super::{cancels, catalog, client, datasets, exports, lags, lists, rejections};

/// The switches and their values, as `aep-simulator --help` names them.
fn documented() -> Vec<(String, Vec<String>)> {
    let simulator = workspace_binary("aep-simulator").unwrap();
    let output = Command::new(simulator).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, after) = help.split_once("\nSWITCHES\n").unwrap();
    let (switches, _) = after.split_once("\nFAULTS\n").unwrap();
    let (_, table) = switches.split_once("\n\n").unwrap();
    let entries = table.lines().filter_map(|line| {
        let entry = line.strip_prefix("  ").filter(|it| !it.starts_with(' '))?;
        let (name, values) = entry.split_once(": ")?;
        let (values, _) = values.split_once("  (row ").unwrap_or((values, ""));
        Some((
            name.to_owned(),
            values.split(" | ").map(str::to_owned).collect(),
        ))
    });
    entries.collect()
}

#[test]
fn every_switch_of_the_tenant_has_a_case_for_each_of_its_values() {
    let cases = [
        exports::covered(),
        rejections::covered(),
        cancels::covered(),
        datasets::covered(),
        catalog::covered(),
        client::covered(),
        lags::covered(),
        lists::covered(),
    ];
    let mut covered = BTreeSet::new();
    for (name, value) in cases
        .iter()
        .flatten()
        .flat_map(|it| it.as_object().unwrap())
    {
        let word = match value {
            Value::String(word) => word.clone(),
            other => other.to_string(),
        };
        covered.insert((name.as_str(), word));
    }
    let documented = documented();
    assert!(documented.len() > 40, "{documented:?}");
    for (name, values) in &documented {
        let free = ["seconds", "count"].contains(&&*values[0]) || values[0].starts_with('{');
        for value in values {
            let has_case =
                |(known, word): &(&str, String)| known == name && (free || word == value);
            assert!(
                covered.iter().any(has_case),
                "no case sets {name} to {value}"
            );
        }
    }
}
