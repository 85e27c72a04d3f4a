//! What is refused, and with which words.

use std::collections::BTreeSet;

use aep_export_operator::api;
use futures::{StreamExt, stream};
use kube::{
    ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams, ValidationDirective},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    edits,
    table::{KINDS, check, create, manifest, objects, refusal, rows},
};
use crate::harness::World;

/// A manifest that is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// What it is.
    case: String,
    /// How it differs from one that is accepted.
    with: Value,
    /// The field that the refusal names; absent if the manifest could not even be read.
    at: Option<String>,
    /// What the refusal says. A rule's message is written out.
    says: String,
}

fn table() -> Vec<(&'static str, Row)> {
    [
        (
            "PlatformConnection",
            include_str!("invalid/connection.yaml"),
        ),
        (
            "ClusterPlatformConnection",
            include_str!("invalid/cluster-connection.yaml"),
        ),
        ("ProfileDataset", include_str!("invalid/dataset.yaml")),
        ("ExportJob", include_str!("invalid/export.yaml")),
        ("ExportJob", include_str!("invalid/times.yaml")),
    ]
    .into_iter()
    .flat_map(|(kind, yaml)| rows(yaml).into_iter().map(move |row| (kind, row)))
    .collect()
}

#[tokio::test]
async fn every_invalid_manifest_is_refused_with_what_to_write_and_none_is_stored() {
    let world = World::without_operator("invalid").await;
    let attempts = table()
        .into_iter()
        .enumerate()
        .map(|(i, (kind, row))| attempt(&world, format!("{}-{i}", world.namespace), kind, row));
    let results: Vec<_> = stream::iter(attempts).buffer_unordered(8).collect().await;
    let failures: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    for (kind, _) in KINDS {
        let api = objects(&world.client, &world.namespace, kind);
        let stored = api.list(&ListParams::default()).await.unwrap().items;
        // Those of the cluster may be other tests'.
        let ours = |object: &&DynamicObject| object.name_any().starts_with(&world.namespace);
        let stored: Vec<_> = stored.iter().filter(ours).collect();
        assert!(stored.is_empty(), "{stored:?}");
    }
}

/// Both ways in: as `kubectl create` and as `kubectl apply --server-side` (or a GitOps tool).
async fn attempt(world: &World, name: String, kind: &str, row: Row) -> Result<(), String> {
    let Row {
        case,
        with,
        at,
        says,
    } = row;
    let wanted = at.as_deref().unwrap_or("the manifest");
    let told = |how: &str, why| format!("{kind}, {case}, {how}: {why}\nwanted {wanted}: {says}");
    let manifest = manifest(kind, &name, &with);
    let status = refusal(create(&world.client, &world.namespace, kind, &manifest).await)
        .map_err(|why| told("created", why))?;
    check(&status, at.as_deref(), &says).map_err(|why| told("created", why))?;
    let params = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("e2e").force()
    };
    let api = objects(&world.client, &world.namespace, kind);
    let status = refusal(api.patch(&name, &params, &Patch::Apply(&manifest)).await)
        .map_err(|why| told("applied", why))?;
    // An apply meets the types first, with words of its own.
    if status.code == 422 {
        check(&status, at.as_deref(), &says).map_err(|why| told("applied", why))?;
    }
    Ok(())
}

#[test]
fn every_rule_of_every_kind_has_a_case_that_breaks_it() {
    let told: BTreeSet<(String, String, String)> = table()
        .into_iter()
        .filter_map(|(kind, row)| Some((kind.to_owned(), row.at?, row.says)))
        .chain(edits::refused())
        .map(|(kind, at, says)| (kind, of_any_item(&at), says))
        .collect();
    let untold: Vec<_> = rules()
        .into_iter()
        .filter(|rule| !told.contains(rule))
        .collect();
    assert!(untold.is_empty(), "write a case for each of {untold:#?}");
}

/// The kind, the field and the message of every rule.
fn rules() -> Vec<(String, String, String)> {
    let mut rules = Vec::new();
    for (_, crd) in api::crds().unwrap() {
        let crd = serde_json::to_value(crd).unwrap();
        let kind = crd["spec"]["names"]["kind"].as_str().unwrap();
        for version in crd["spec"]["versions"].as_array().unwrap() {
            let schema = &version["schema"]["openAPIV3Schema"];
            collect(schema, "", &mut |field, message| {
                rules.push((kind.to_owned(), field, message));
            });
        }
    }
    rules
}

fn collect(schema: &Value, path: &str, found: &mut impl FnMut(String, String)) {
    for rule in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let within = rule["fieldPath"].as_str().unwrap_or_default();
        let field = format!("{path}{within}");
        let message = rule["message"].as_str().unwrap_or_default();
        found(field.trim_start_matches('.').to_owned(), message.to_owned());
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        collect(inner, &format!("{path}.{name}"), found);
    }
    for (inner, suffix) in [("items", "[]"), ("additionalProperties", "[]")] {
        if schema[inner].is_object() {
            collect(&schema[inner], &format!("{path}{suffix}"), found);
        }
    }
}

/// The field without the indexes of its lists: `segments[0].segmentId` is `segments[].segmentId`.
fn of_any_item(field: &str) -> String {
    field.replace(|c: char| c.is_ascii_digit(), "")
}
