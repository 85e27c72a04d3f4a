//! The CRDs in `crds/`: what the types generate, named and shown as users know them.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, path::Path};

use aep_export_operator::api;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use serde_json::{Value, json};

const REGENERATE: &str = "`make generate` writes the folder crds/ from the types in src/api";

fn crds() -> BTreeMap<String, CustomResourceDefinition> {
    let crds = api::crds().unwrap().into_iter();
    crds.map(|(_, crd)| (crd.spec.names.kind.clone(), crd))
        .collect()
}

fn version(crd: &CustomResourceDefinition) -> &CustomResourceDefinitionVersion {
    assert_eq!(crd.spec.versions.len(), 1);
    &crd.spec.versions[0]
}

#[test]
fn the_folder_holds_what_the_types_generate_and_nothing_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let stored: BTreeMap<String, String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    let generated: BTreeMap<String, String> = api::crds()
        .unwrap()
        .into_iter()
        .map(|(name, crd)| (format!("{name}.yaml"), api::to_yaml(&crd).unwrap()))
        .collect();
    let (stored_names, names): (Vec<_>, Vec<_>) =
        (stored.keys().collect(), generated.keys().collect());
    assert_eq!(stored_names, names, "{REGENERATE}");
    for (name, generated) in &generated {
        let stored = &stored[name];
        let line = stored
            .lines()
            .zip(generated.lines())
            .position(|(a, b)| a != b);
        assert!(
            stored == generated,
            "crds/{name} is not what the types say, from line {} on: {REGENERATE}",
            line.map_or(0, |line| line + 1),
        );
    }
}

#[test]
fn a_file_in_the_folder_is_read_back_as_it_was_generated() {
    for crd in crds().into_values() {
        let yaml = api::to_yaml(&crd).unwrap();
        let read: Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(read, serde_json::to_value(&crd).unwrap());
    }
}

#[test]
fn every_kind_has_its_names_its_scope_and_the_category() {
    let names = |crd: CustomResourceDefinition| {
        let names = crd.spec.names;
        json!([
            crd.metadata.name,
            names.singular,
            names.short_names,
            names.categories,
            crd.spec.scope
        ])
    };
    let shown: BTreeMap<_, _> = crds()
        .into_iter()
        .map(|(kind, crd)| (kind, names(crd)))
        .collect();
    assert_eq!(
        json!(shown),
        json!({
            // `kubectl delete aep --all` does not reach what namespaces share.
            "ClusterPlatformConnection": [
                "clusterplatformconnections.aep-export.dev", "clusterplatformconnection",
                ["caepconn"], null, "Cluster"
            ],
            "ExportJob": [
                "exportjobs.aep-export.dev", "exportjob", ["aepjob"], ["aep"], "Namespaced"
            ],
            "PlatformConnection": [
                "platformconnections.aep-export.dev", "platformconnection", ["aepconn"], ["aep"],
                "Namespaced"
            ],
            "ProfileDataset": [
                "profiledatasets.aep-export.dev", "profiledataset", ["aepds"], ["aep"],
                "Namespaced"
            ],
        })
    );
}

#[test]
fn every_kind_has_one_version_that_is_served_and_stored_with_a_status() {
    for (kind, crd) in crds() {
        let version = version(&crd);
        assert!(version.served && version.storage, "{kind}");
        assert_eq!(version.deprecated, None, "{kind}");
        let subresources = version.subresources.as_ref().unwrap();
        assert!(subresources.status.is_some(), "{kind}");
        assert!(subresources.scale.is_none(), "{kind}");
    }
}

#[test]
fn a_fresh_object_says_that_nothing_has_been_observed() {
    for (kind, crd) in crds() {
        let schema = serde_json::to_value(&version(&crd).schema).unwrap();
        let status = &schema["openAPIV3Schema"]["properties"]["status"];
        assert_eq!(
            status["default"],
            json!({ "observedGeneration": -1 }),
            "{kind}"
        );
    }
}

#[test]
fn conditions_are_a_map_by_their_type() {
    for (kind, crd) in crds() {
        let schema = serde_json::to_value(&version(&crd).schema).unwrap();
        let conditions = schema
            .pointer("/openAPIV3Schema/properties/status/properties/conditions")
            .unwrap();
        assert_eq!(conditions["x-kubernetes-list-type"], "map", "{kind}");
        assert_eq!(
            conditions["x-kubernetes-list-map-keys"],
            json!(["type"]),
            "{kind}"
        );
    }
}

/// Name, type and path of the columns; those behind the mark come with `-o wide` only.
fn columns(kind: &str) -> Vec<String> {
    let columns = version(&crds()[kind]).additional_printer_columns.clone();
    let columns = columns.into_iter().flatten().map(|column| {
        let wide = if column.priority == Some(1) {
            " (wide)"
        } else {
            ""
        };
        format!(
            "{}: {} {}{wide}",
            column.name, column.type_, column.json_path
        )
    });
    columns.collect()
}

#[test]
fn the_columns_of_an_export_tell_its_life() {
    assert_eq!(
        columns("ExportJob"),
        [
            "Job ID: string .status.jobId",
            "Phase: string .status.phase",
            "Dataset: string .status.datasetId",
            "Profiles: integer .status.exportedProfiles",
            "Started: date .status.startTime",
            "Seconds: integer .status.durationSeconds",
            "Reason: string .status.conditions[?(@.type==\"Ready\")].reason (wide)",
            "Age: date .metadata.creationTimestamp",
        ]
    );
}

#[test]
fn the_columns_of_a_connection_tell_whether_it_works_and_where_it_goes() {
    let shared = columns("ClusterPlatformConnection");
    assert_eq!(shared, columns("PlatformConnection"));
    assert_eq!(
        shared,
        [
            "Ready: string .status.conditions[?(@.type==\"Ready\")].status",
            "Sandbox: string .spec.sandbox",
            "Type: string .status.sandbox.type",
            "Organization: string .spec.organizationId (wide)",
            "Reason: string .status.conditions[?(@.type==\"Ready\")].reason (wide)",
            "Age: date .metadata.creationTimestamp",
        ]
    );
}

#[test]
fn the_columns_of_a_dataset_tell_whether_it_can_be_exported_into() {
    assert_eq!(
        columns("ProfileDataset"),
        [
            "Ready: string .status.conditions[?(@.type==\"Ready\")].status",
            "Dataset ID: string .status.datasetId",
            "Name: string .status.name",
            "Last Batch: string .status.lastBatch.status",
            "Connection: string .spec.connectionRef.name (wide)",
            "Reason: string .status.conditions[?(@.type==\"Ready\")].reason (wide)",
            "Age: date .metadata.creationTimestamp",
        ]
    );
}

#[test]
fn exports_and_datasets_can_be_selected_by_what_they_belong_to() {
    let selectable = |kind: &str| {
        let fields = version(&crds()[kind]).selectable_fields.clone();
        let paths = fields.into_iter().flatten().map(|field| field.json_path);
        paths.collect::<Vec<_>>()
    };
    assert_eq!(
        selectable("ExportJob"),
        [
            ".status.phase",
            ".status.connection.name",
            ".status.datasetId",
            ".spec.export.destination.datasetRef.name",
        ]
    );
    assert_eq!(selectable("ProfileDataset"), [".spec.connectionRef.name"]);
    assert!(selectable("PlatformConnection").is_empty());
    assert!(selectable("ClusterPlatformConnection").is_empty());
}
