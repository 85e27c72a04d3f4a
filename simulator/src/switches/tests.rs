use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Entry, LASTING, Switches, TABLE, Values};

fn every() -> impl Iterator<Item = &'static Entry> {
    TABLE.iter().chain(LASTING)
}

#[test]
fn every_row_of_the_table_of_discrepancies_has_a_switch() {
    let rows: BTreeSet<u8> = TABLE
        .iter()
        .map(|entry| entry.row)
        .filter(|row| *row > 0)
        .collect();
    assert_eq!(rows, (1..=22).collect());
}

#[test]
fn the_tables_name_the_switches_that_there_are_and_no_other() {
    let Value::Object(defaults) = serde_json::to_value(Switches::default()).unwrap() else {
        panic!("switches are an object");
    };
    let named: BTreeSet<&str> = every().map(|entry| entry.name).collect();
    let there: BTreeSet<&str> = defaults.keys().map(String::as_str).collect();
    assert_eq!(named, there);
    assert_eq!(named.len(), every().count(), "a switch is named twice");
}

#[test]
fn every_documented_value_is_taken_and_given_back() {
    for entry in every() {
        let values: Vec<Value> = match entry.values {
            Values::OneOf(values) => values.iter().map(|text| json!(text)).collect(),
            Values::Numbers(values) => values.iter().map(|number| json!(number)).collect(),
            Values::Places => vec![json!({"post": false, "get": true, "list": false})],
            Values::Seconds => vec![json!(1.5)],
            Values::Count => vec![json!(100)],
        };
        for value in values {
            let merged = Switches::default()
                .merged(&json!({ entry.name: value }))
                .unwrap();
            assert_eq!(
                serde_json::to_value(merged).unwrap()[entry.name],
                value,
                "{}",
                entry.name
            );
        }
    }
}

#[test]
fn no_other_value_is_taken() {
    for entry in every() {
        for value in [json!("no-such-value"), json!([1]), json!(-1), json!(null)] {
            let refused = Switches::default().merged(&json!({ entry.name: value }));
            assert!(refused.is_err(), "{} takes {value}", entry.name);
        }
    }
}

#[test]
fn an_unknown_switch_is_refused_by_name() {
    let refused = Switches::default()
        .merged(&json!({"listLag": 1}))
        .unwrap_err();
    assert!(refused.contains("listLag"), "{refused}");
}

#[test]
fn a_flavour_sets_its_rows_and_leaves_the_rest() {
    let before = Switches::default()
        .merged(&json!({"listLagSeconds": 3}))
        .unwrap();
    let after = before
        .merged(&json!({"flavour": "profile", "createStatus": 202}))
        .unwrap();
    let after = serde_json::to_value(after).unwrap();
    assert_eq!(after["flavour"], "profile");
    assert_eq!(after["datasetKeyInReply"], "dataSetId");
    assert_eq!(after["listLagSeconds"], 3.0);
    assert_eq!(after["createStatus"], 202);
}

#[test]
fn part_of_an_echo_can_be_set() {
    let after = Switches::default()
        .merged(&json!({"requestIdEcho": {"list": false}}))
        .unwrap();
    assert!(after.request_id_echo.post && after.request_id_echo.get);
    assert!(!after.request_id_echo.list);
}

#[test]
fn the_help_names_every_switch() {
    let help = super::help() + &super::lasting_help();
    for entry in every() {
        assert!(
            help.contains(&format!("  {}: ", entry.name)),
            "{}",
            entry.name
        );
    }
}
