//! The examples for Flux, Argo CD and Helm, held to what docs/gitops.md says of them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aep_export_operator::{api::ExportJob, cli::Cli};
use clap::CommandFactory;
use jiff::SignedDuration;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("gitops")
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn objects(path: &str) -> Vec<Value> {
    documents(&root().join(path))
}

/// The files that a kustomization.yaml of a folder names, each with what is in it.
fn kustomized(folder: &str) -> Vec<Value> {
    let kustomization = objects(&format!("{folder}/kustomization.yaml")).remove(0);
    let resources = kustomization["resources"].as_array().unwrap().clone();
    let named: Vec<&str> = resources.iter().map(|it| it.as_str().unwrap()).collect();
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let there = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut there: Vec<String> = there.filter(|name| name != "kustomization.yaml").collect();
    there.sort();
    assert_eq!(named, there, "{folder} names every file once");
    let files = named
        .iter()
        .map(|name| objects(&format!("{folder}/{name}")));
    files.flatten().collect()
}

/// What an export may take: its own deadline, and the time to cancel it.
fn longest(export: &ExportJob) -> SignedDuration {
    let deadline = export.spec.active_deadline_seconds.expect("a deadline");
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let mut flags = run.get_arguments();
    let cancel = flags.find(|flag| flag.get_long() == Some("cancel-deadline"));
    let cancel = cancel.unwrap().get_default_values()[0].to_str().unwrap();
    SignedDuration::from_secs(deadline) + cancel.parse::<SignedDuration>().unwrap()
}

fn duration(value: &Value) -> SignedDuration {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn the_kustomization_of_exports_waits_longer_than_they_may_take_and_for_what_they_need() {
    let all = objects("flux/kustomizations.yaml");
    let [base, exports] = &all[..] else {
        panic!("{all:?}");
    };
    for kustomization in [base, exports] {
        let spec = &kustomization["spec"];
        assert_eq!(spec["wait"], true);
        assert_eq!(spec["prune"], true);
        assert!(
            spec["force"].is_null(),
            "it would create again, and so export again"
        );
    }
    let needs = &exports["spec"]["dependsOn"];
    assert_eq!(needs[0]["name"], base["metadata"]["name"]);
    for export in kustomized("flux/exports") {
        let export: ExportJob = serde_json::from_value(export).unwrap();
        assert!(duration(&exports["spec"]["timeout"]) > longest(&export));
        let keep = export.spec.ttl_seconds_after_finished;
        assert!(keep.is_none(), "what is managed outlives it");
    }
}

#[test]
fn everything_that_an_example_export_needs_is_in_the_base_beside_it() {
    let base = kustomized("flux/base");
    let names = |kind: &str| -> Vec<Value> {
        let of_kind = base.iter().filter(|object| object["kind"] == kind);
        of_kind
            .map(|object| object["metadata"]["name"].clone())
            .collect()
    };
    for export in kustomized("flux/exports") {
        let dataset = &export["spec"]["export"]["destination"]["datasetRef"]["name"];
        assert!(names("ProfileDataset").contains(dataset), "{export}");
    }
    let datasets = base
        .iter()
        .filter(|object| object["kind"] == "ProfileDataset");
    for dataset in datasets {
        let connection = &dataset["spec"]["connectionRef"]["name"];
        assert!(
            names("PlatformConnection").contains(connection),
            "{dataset}"
        );
    }
}

#[test]
fn exports_are_an_application_of_their_own_that_nothing_creates_again() {
    let all = objects("argocd/application.yaml");
    let paths: Vec<&str> = all
        .iter()
        .map(|it| it["spec"]["source"]["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["base", "exports"]);
    for application in &all {
        // Replace=true and Force=true delete and create.
        assert!(application["spec"]["syncPolicy"]["syncOptions"].is_null());
    }
}

#[test]
fn the_umbrella_chart_has_both_parts_with_a_switch_each() {
    let chart = objects("helm/marketing/Chart.yaml").remove(0);
    let values = objects("helm/marketing/values.yaml").remove(0);
    for part in chart["dependencies"].as_array().unwrap() {
        let name = part["name"].as_str().unwrap();
        assert_eq!(part["condition"], format!("{name}.enabled"));
        assert_eq!(values[name]["enabled"], true, "{name}");
        let own = objects(&format!("helm/marketing/charts/{name}/Chart.yaml")).remove(0);
        assert_eq!(own["version"], part["version"], "{name}");
    }
}
