//! What is written down, held against what the code says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use aep_export_operator::{
    api::{self, ClusterPlatformConnection, ExportJob, PlatformConnection, ProfileDataset, Reason},
    cli::Cli,
    metrics::{LetGo, Metrics, Moment},
    platform::CallRecord,
};
use clap::CommandFactory;
use serde_json::Value;
use strum::IntoEnumIterator;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The part of a document between the heading `## title` and the next one of its rank.
fn section(document: &str, title: &str) -> String {
    let text = read(document);
    let heading = format!("\n## {title}\n");
    let (_, after) = text
        .split_once(&heading)
        .unwrap_or_else(|| panic!("{document} has no section {title}"));
    after.split("\n## ").next().unwrap().to_owned()
}

/// The cells of the rows of all tables whose first cell is one code word: by that word, the rest.
fn rows(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let word = cells[0].trim_matches('`').to_owned();
        let rest = cells[1..].iter().map(ToString::to_string).collect();
        assert!(rows.insert(word, rest).is_none(), "twice: {line}");
    }
    rows
}

fn words(rows: &BTreeMap<String, Vec<String>>) -> BTreeSet<&str> {
    rows.keys().map(String::as_str).collect()
}

/// The project's own documents.
fn documents() -> Vec<PathBuf> {
    let folders = [
        "",
        "docs",
        "examples",
        "hack/control-plane",
        "charts/aep-export-operator",
        "charts/aep-export-operator-crds",
    ];
    let mut all: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    all.sort();
    all
}

#[test]
fn the_crds_are_those_of_the_types() {
    for (name, crd) in api::crds().unwrap() {
        let written = read(&format!("crds/{name}.yaml"));
        assert!(
            written == api::to_yaml(&crd).unwrap(),
            "crds/{name}.yaml is not what the types say: run `make generate`"
        );
    }
    let files = fs::read_dir(root().join("crds")).unwrap().count();
    assert_eq!(files, api::crds().unwrap().len(), "crds/ has another file");
}

#[test]
fn the_reference_is_that_of_the_types() {
    let crds: Vec<_> = api::crds()
        .unwrap()
        .into_iter()
        .map(|(_, crd)| crd)
        .collect();
    assert!(
        read("docs/reference.md") == api::to_markdown(&crds).unwrap(),
        "docs/reference.md is not what the types say: run `make generate`"
    );
}

#[test]
fn every_reason_has_a_row_and_no_row_is_of_another_word() {
    let section = section("docs/conditions.md", "Reasons");
    let rows = rows(&section);
    let reasons: BTreeSet<&str> = Reason::iter().map(Reason::as_str).collect();
    assert_eq!(words(&rows), reasons);
    for (reason, cells) in &rows {
        assert_eq!(cells.len(), 3, "{reason}: on, meaning, what to do");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{reason}");
    }
}

#[test]
fn every_flag_has_a_row_with_its_default() {
    let section = section("docs/operations.md", "Flags");
    let rows = rows(&section);
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let mut flags = BTreeSet::new();
    for flag in run.get_arguments() {
        let name = format!("--{}", flag.get_long().unwrap());
        let cells = rows
            .get(&name)
            .unwrap_or_else(|| panic!("{name} has no row"));
        let is_switch = !flag.get_action().takes_values();
        let defaults = flag.get_default_values().iter().filter(|_| !is_switch);
        for default in defaults.flat_map(|value| value.to_str().unwrap().split(',')) {
            let default = format!("`{default}`");
            assert!(
                cells[0].contains(&default),
                "{name} has the default {default}"
            );
        }
        flags.insert(name);
    }
    assert_eq!(words(&rows), flags.iter().map(String::as_str).collect());
}

#[test]
fn every_metric_has_a_row_and_no_row_is_of_another_name() {
    let metrics = Metrics::new();
    metrics.pass("k", 1.0);
    metrics.error("k", "r");
    metrics.submission("o");
    metrics.end("r");
    metrics.invalid("k");
    let left = LetGo {
        kind: "k",
        namespace: "n".into(),
        name: "o".into(),
        left: "1".into(),
        reason: "r",
    };
    metrics.let_go(&left, jiff::Timestamp::UNIX_EPOCH);
    metrics.watch_failed("k", "r");
    metrics.call(&CallRecord {
        operation: "o",
        outcome: "o",
        status: None,
        duration: Duration::ZERO,
    });
    let text = metrics
        .encode(Moment {
            kept: [("k", 1)].into(),
            ..Moment::default()
        })
        .unwrap();
    let names: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, type_)| match type_ {
            "counter" => format!("{name}_total"),
            _ => name.to_owned(),
        })
        .collect();
    let section = section("docs/operations.md", "Metrics");
    let rows = rows(&section);
    assert_eq!(words(&rows), names.iter().map(String::as_str).collect());
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            let place = format!("{}: {link}", document.display());
            assert!(target.exists(), "{place}: no such file");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                assert!(anchors(&text).contains(anchor), "{place}: no such heading");
            }
        }
    }
}

/// What the links of a document lead to, but for those to other sites.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1);
    let targets = targets.filter_map(|after| after.split_once(')'));
    targets
        .map(|(target, _)| target)
        .filter(|target| !target.contains("://"))
        .collect()
}

/// The anchors of a document's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let title = heading.trim_start_matches('#').trim().to_lowercase();
            title
                .chars()
                .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn every_object_in_a_document_can_be_read_as_its_kind() {
    let mut kinds = BTreeSet::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for block in text.split("```yaml\n").skip(1) {
            let yaml = block.split("```").next().unwrap();
            let objects: Vec<Value> = serde_saphyr::from_multiple(yaml)
                .unwrap_or_else(|error| panic!("{}: {error}", document.display()));
            for object in objects {
                let kind = object["kind"].as_str().unwrap_or_default().to_owned();
                let place = format!("{}: {object}", document.display());
                match kind.as_str() {
                    "ExportJob" => same::<ExportJob>(&object, &place),
                    "ProfileDataset" => same::<ProfileDataset>(&object, &place),
                    "PlatformConnection" => same::<PlatformConnection>(&object, &place),
                    "ClusterPlatformConnection" => {
                        same::<ClusterPlatformConnection>(&object, &place);
                    }
                    _ => continue,
                }
                kinds.insert(kind);
            }
        }
    }
    assert!(kinds.contains("ExportJob"), "the README shows none");
}

/// An object that loses nothing when it is read has no field that its kind does not know.
fn same<K: serde::de::DeserializeOwned + serde::Serialize>(object: &Value, place: &str) {
    let read: K =
        serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{place}: {error}"));
    let again = serde_json::to_value(read).unwrap();
    assert_eq!(again["spec"], object["spec"], "{place}");
}

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines < 200, "it has {lines} lines");
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all
}

/// The documents with tables of tests, and how many each names at the least.
const NAMING_TESTS: [(&str, usize); 3] = [
    ("docs/gitops.md", 15),
    ("docs/reliability.md", 50),
    ("docs/security.md", 20),
];

#[test]
fn every_test_that_a_document_names_is_there() {
    let text: String = ["tests", "src"]
        .iter()
        .flat_map(|folder| files(&root().join(folder)))
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for (path, least) in NAMING_TESTS {
        let document = read(path);
        // A test is a sentence, and nothing else in code there has as many words.
        let named = document
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|code| code.matches('_').count() > 3);
        let mut count = 0;
        for name in named {
            assert!(text.contains(&format!("fn {name}(")), "{path}: no {name}");
            count += 1;
        }
        assert!(count >= least, "{path}: {count}");
    }
}

/// The code words in a cell of a table.
fn code_words(cell: &str) -> Vec<String> {
    let words = cell.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

#[test]
fn every_right_has_a_row_with_its_reason_and_no_row_is_of_another_right() {
    let roles: Vec<Value> = serde_saphyr::from_multiple(&read("deploy/rbac.yaml")).unwrap();
    let words = |rule: &Value, key: &str| -> Vec<String> {
        serde_json::from_value(rule[key].clone()).unwrap()
    };
    let mut granted = BTreeSet::new();
    let of_roles = roles.iter().filter_map(|role| role["rules"].as_array());
    for rule in of_roles.flatten() {
        for resource in words(rule, "resources") {
            let rights = words(rule, "verbs").into_iter();
            granted.extend(rights.map(|verb| (resource.clone(), verb)));
        }
    }
    let mut told = BTreeSet::new();
    let section = section("docs/security.md", "Rights");
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let [resources, verbs, reason] = cells[..] else {
            panic!("{line}");
        };
        assert!(reason.trim().len() > 10, "{line}");
        for resource in code_words(resources) {
            for verb in code_words(verbs) {
                let right = (resource.clone(), verb);
                assert!(told.insert(right), "twice: {line}");
            }
        }
    }
    assert_eq!(told, granted);
}

#[test]
fn every_dependency_is_of_the_registry_and_has_a_checksum() {
    let lock = read("Cargo.lock");
    let (mut own, mut others) = (Vec::new(), 0);
    for package in lock.split("[[package]]\n").skip(1) {
        let value = |key: &str| {
            let lines = package.lines();
            let mut values = lines.filter_map(|line| line.strip_prefix(&format!("{key} = ")));
            values.next().map(|value| value.trim_matches('"'))
        };
        let name = value("name").unwrap();
        match (value("source"), value("checksum")) {
            (None, None) => own.push(name),
            (Some(source), Some(checksum)) => {
                let registry = "registry+https://github.com/rust-lang/crates.io-index";
                assert_eq!(source, registry, "{name}");
                assert_eq!(checksum.len(), 64, "{name}");
                others += 1;
            }
            (source, checksum) => panic!("{name}: {source:?} {checksum:?}"),
        }
    }
    assert!(others > 100, "{others}");
    // The packages of this workspace: the one at its root, and a folder each.
    let manifest = read("Cargo.toml");
    let (_, members) = manifest.split_once("members = [").unwrap();
    let members = members.split_once(']').unwrap().0.split(',');
    let members = members.filter(|member| !member.trim().is_empty()).count();
    assert_eq!(own.len(), members + 1, "{own:?}");
}
