//! What is written about the charts, held against what they are.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use aep_export_operator::api::{
    self, ClusterPlatformConnection, ExportJob, PlatformConnection, ProfileDataset,
};
use serde_json::Value;

use crate::{
    helm::{chart, crds_chart, folder},
    values::{self, same_or_written},
};

const BEGIN: &str = "<!-- What follows is written by `make generate` from values.yaml. -->\n";

fn table(chart: &str) -> String {
    let mut text = String::from("| Value | Default | Meaning |\n|---|---|---|\n");
    for value in values::of(chart) {
        let default = match &value.default {
            Value::String(text) if text.is_empty() => String::new(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        writeln!(text, "| `{}` | {default} | {} |", value.path, value.comment).unwrap();
    }
    text
}

#[test]
fn the_readmes_have_a_row_for_every_value() {
    for chart in [chart(), crds_chart()] {
        let path = Path::new(&chart).join("README.md");
        let readme = fs::read_to_string(&path).unwrap();
        let (before, _) = readme.split_once(BEGIN).expect("a place for the values");
        same_or_written(&path, &format!("{before}{BEGIN}\n{}", table(&chart)));
    }
}

#[test]
fn the_charts_have_copies_of_the_crds_and_no_other_file() {
    let files = |folder: &Path| {
        let entries = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let named = entries.map(|path| {
            let name = path.file_name().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        });
        named.collect::<BTreeMap<_, _>>()
    };
    let crds = files(&folder("crds"));
    for chart in [chart(), crds_chart()] {
        let copies = files(&Path::new(&chart).join("files/crds"));
        assert!(copies == crds, "{chart}: run `make generate`");
    }
}

fn metadata(chart: &str) -> Value {
    let text = fs::read_to_string(format!("{chart}/Chart.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn annotation(chart: &Value, name: &str) -> Value {
    let text = chart["annotations"][format!("artifacthub.io/{name}")].as_str();
    serde_saphyr::from_str(text.unwrap_or_else(|| panic!("no annotation {name}"))).unwrap()
}

#[test]
fn the_charts_are_of_the_version_of_the_operator() {
    let version = env!("CARGO_PKG_VERSION");
    for chart in [chart(), crds_chart()] {
        let metadata = metadata(&chart);
        assert_eq!(metadata["version"], version);
        assert_eq!(metadata["appVersion"], version);
        assert_eq!(metadata["apiVersion"], "v2", "Helm 3 reads no other");
    }
    let metadata = metadata(&chart());
    let values = fs::read_to_string(format!("{}/values.yaml", chart())).unwrap();
    let values: Value = serde_saphyr::from_str(&values).unwrap();
    let image = format!(
        "{}:{version}",
        values["image"]["repository"].as_str().unwrap()
    );
    assert_eq!(annotation(&metadata, "images")[0]["image"], image);
}

#[test]
fn artifact_hub_is_told_of_every_kind_with_an_example_that_can_be_read() {
    let metadata = metadata(&chart());
    let told = annotation(&metadata, "crds");
    let told: BTreeMap<&str, &Value> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|crd| (crd["name"].as_str().unwrap(), crd))
        .collect();
    let crds = api::crds().unwrap();
    assert_eq!(told.len(), crds.len());
    for (name, crd) in crds {
        let told = told.get(name.as_str()).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(told["kind"], crd.spec.names.kind);
        assert_eq!(told["version"], crd.spec.versions[0].name);
        assert!(
            told["description"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
    }
    for example in annotation(&metadata, "crdsExamples").as_array().unwrap() {
        match example["kind"].as_str().unwrap() {
            "ClusterPlatformConnection" => same::<ClusterPlatformConnection>(example),
            "PlatformConnection" => same::<PlatformConnection>(example),
            "ProfileDataset" => same::<ProfileDataset>(example),
            "ExportJob" => same::<ExportJob>(example),
            other => panic!("an example of {other}"),
        }
    }
}

/// An object that loses nothing when it is read has no field that its kind does not know.
fn same<K: serde::de::DeserializeOwned + serde::Serialize>(object: &Value) {
    let read: K = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap()["spec"], object["spec"]);
}
