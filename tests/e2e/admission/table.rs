//! Manifests as the tables of this folder write them.

use aep_export_operator::api::{GROUP, VERSION};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind},
    core::Status,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::harness::documents;

/// The kinds, with the names of their resources. The last is of the cluster.
pub const KINDS: [(&str, &str); 4] = [
    ("PlatformConnection", "platformconnections"),
    ("ProfileDataset", "profiledatasets"),
    ("ExportJob", "exportjobs"),
    (SHARED, "clusterplatformconnections"),
];
const SHARED: &str = "ClusterPlatformConnection";

/// The rows of a table.
pub fn rows<T: DeserializeOwned>(yaml: &str) -> Vec<T> {
    let mut documents = documents(yaml);
    assert_eq!(documents.len(), 1, "a table is one document");
    serde_json::from_value(documents.remove(0)).unwrap()
}

/// The manifest of a kind that is accepted as it stands, changed by a merge patch (RFC 7386).
pub fn manifest(kind: &str, name: &str, patch: &Value) -> Value {
    let bases = documents(include_str!("bases.yaml")).remove(0);
    let mut manifest = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": kind,
        "metadata": { "name": name },
        "spec": bases[kind],
    });
    merge(&mut manifest, &expand(patch));
    manifest
}

/// Merges a patch in (RFC 7386).
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// Writes out what a table abbreviates: `<a*257>` in a text is 257 times `a`, `{"*501": x}` is a
/// list of 501 times `x`, and `{"k*51": x}` a map of `x` under the keys `k1` to `k51`.
pub fn expand(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(expand_text(text)),
        Value::Array(items) => items.iter().map(expand).collect(),
        Value::Object(map) => {
            if let [(key, item)] = map.iter().collect::<Vec<_>>()[..]
                && let Some((prefix, count)) = key.split_once('*')
                && let Ok(count) = count.parse::<usize>()
            {
                let item = expand(item);
                if prefix.is_empty() {
                    return vec![item; count].into();
                }
                let entry = |i| (format!("{prefix}{i}"), item.clone());
                return Value::Object((1..=count).map(entry).collect());
            }
            map.iter()
                .map(|(key, value)| (key.clone(), expand(value)))
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn expand_text(text: &str) -> String {
    let parts = || {
        let (before, rest) = text.split_once('<')?;
        let (inner, after) = rest.split_once('>')?;
        let (unit, count) = inner.split_once('*')?;
        Some((before, unit.repeat(count.parse().ok()?), after))
    };
    match parts() {
        Some((before, repeated, after)) => format!("{before}{repeated}{after}"),
        None => text.to_owned(),
    }
}

/// The objects of a kind, as JSON.
pub fn objects(client: &Client, namespace: &str, kind: &str) -> Api<DynamicObject> {
    let (_, plural) = KINDS.into_iter().find(|(known, _)| *known == kind).unwrap();
    let gvk = GroupVersionKind::gvk(GROUP, VERSION, kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    if kind == SHARED {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, &resource)
    }
}

/// Creates an object as kubectl does, which has the API server refuse unknown fields.
pub async fn create(
    client: &Client,
    namespace: &str,
    kind: &str,
    manifest: &Value,
) -> kube::Result<Value> {
    let api = objects(client, namespace, kind);
    let request = http::Request::post(format!("{}?fieldValidation=Strict", api.resource_url()))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(serde_json::to_vec(manifest).unwrap())
        .unwrap();
    client.request(request).await
}

/// What the API server answered to a request that it refused.
pub fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> Result<Status, String> {
    match result {
        Err(kube::Error::Api(status)) => Ok(*status),
        other => Err(format!("it was not refused: {other:?}")),
    }
}

/// Whether a refusal says this, and of this field if one is named.
pub fn check(status: &Status, at: Option<&str>, says: &str) -> Result<(), String> {
    let Some(at) = at else {
        return match status.code {
            400 if status.message.contains(says) => Ok(()),
            _ => Err(format!("{} {}", status.code, status.message)),
        };
    };
    let causes = status
        .details
        .as_ref()
        .map_or(&[][..], |details| &details.causes);
    let said = |cause: &kube::core::response::StatusCause| {
        cause.field == at && cause.message.contains(says)
    };
    if status.code == 422 && causes.iter().any(said) {
        Ok(())
    } else {
        Err(format!("{} {}", status.code, status.message))
    }
}
