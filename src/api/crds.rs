//! The CRDs, as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::{ClusterPlatformConnection, ExportJob, PlatformConnection, ProfileDataset};

/// A CRD could not be made: an error of this program, found by its tests.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// The schema is not JSON as expected.
    #[error("the CRD is not what the generator expects: {0}")]
    Json(#[from] serde_json::Error),
    /// The CRD could not be written as YAML.
    #[error("the CRD cannot be written as YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

/// The formats that the API server knows and checks; others only make it warn.
const KNOWN_FORMATS: [&str; 4] = ["int32", "int64", "double", "date-time"];

/// The CRDs of all kinds, by file name without its ending.
///
/// What the derive makes is changed in three ways: no `nullable` (a stored null shows as a
/// difference in GitOps tools), no format that the API server does not know, and a default for
/// `status`, so that kstatus never takes a fresh object for a finished one.
///
/// # Errors
///
/// If a schema is not shaped as the derive is known to shape it.
pub fn crds() -> Result<Vec<(String, CustomResourceDefinition)>, CrdError> {
    [
        PlatformConnection::crd(),
        ClusterPlatformConnection::crd(),
        ProfileDataset::crd(),
        ExportJob::crd(),
    ]
    .into_iter()
    .map(|crd| {
        let mut value = serde_json::to_value(crd)?;
        tidy(&mut value);
        default_status(&mut value);
        let crd: CustomResourceDefinition = serde_json::from_value(value)?;
        let name = crd.metadata.name.clone().unwrap_or_default();
        Ok((name, crd))
    })
    .collect()
}

/// One CRD as a YAML document.
///
/// # Errors
///
/// If it cannot be written.
pub fn to_yaml(crd: &CustomResourceDefinition) -> Result<String, CrdError> {
    Ok(serde_saphyr::to_string(&serde_json::to_value(crd)?)?)
}

/// Takes `nullable` and unknown formats out of a schema, at every depth.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("nullable");
            let unknown = map
                .get("format")
                .and_then(Value::as_str)
                .is_some_and(|format| !KNOWN_FORMATS.contains(&format));
            if unknown {
                map.remove("format");
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn default_status(crd: &mut Value) {
    let status = crd
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status")
        .and_then(Value::as_object_mut);
    if let Some(status) = status {
        status.insert("default".into(), json!({ "observedGeneration": -1 }));
        fill_in(status);
    }
}

/// The API server wants a type beside a default.
fn fill_in(status: &mut Map<String, Value>) {
    status.entry("type").or_insert_with(|| json!("object"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(value: &Value, path: &str, visit: &mut impl FnMut(&str, &Map<String, Value>)) {
        match value {
            Value::Object(map) => {
                visit(path, map);
                for (key, inner) in map {
                    walk(inner, &format!("{path}/{key}"), visit);
                }
            }
            Value::Array(items) => {
                for (i, inner) in items.iter().enumerate() {
                    walk(inner, &format!("{path}/{i}"), visit);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn every_kind_is_of_the_one_group_and_version() {
        for (name, crd) in crds().unwrap() {
            assert_eq!(crd.spec.group, super::super::GROUP, "{name}");
            assert_eq!(crd.spec.versions[0].name, super::super::VERSION, "{name}");
        }
    }

    #[test]
    fn every_crd_is_under_256_kilobytes() {
        for (name, crd) in crds().unwrap() {
            let size = serde_json::to_vec(&crd).unwrap().len();
            assert!(size < 256 * 1024, "{name} has {size} bytes");
        }
    }

    #[test]
    fn no_spec_schema_has_a_default_a_null_or_an_unknown_format() {
        for (name, crd) in crds().unwrap() {
            let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
            walk(&schema, &name, &mut |path, map| {
                assert!(!map.contains_key("nullable"), "{path} is nullable");
                assert!(
                    !map.contains_key("default") || path.ends_with("/status"),
                    "{path}"
                );
                if let Some(Value::String(format)) = map.get("format") {
                    assert!(KNOWN_FORMATS.contains(&format.as_str()), "{path}: {format}");
                }
            });
        }
    }

    #[test]
    fn every_list_and_text_of_a_spec_is_bounded_and_not_empty() {
        for (name, crd) in crds().unwrap() {
            let crd = serde_json::to_value(&crd).unwrap();
            let spec = crd
                .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
                .unwrap();
            walk(
                spec,
                &name,
                &mut |path, map| match map.get("type").and_then(Value::as_str) {
                    Some("array") => {
                        assert!(map.contains_key("maxItems"), "{path} has no maxItems");
                        assert_eq!(map.get("minItems"), Some(&json!(1)), "{path}");
                    }
                    Some("string") if !map.contains_key("enum") => {
                        assert!(map.contains_key("maxLength"), "{path} has no maxLength");
                    }
                    _ => {}
                },
            );
        }
    }

    #[test]
    fn every_rule_has_a_message_and_every_field_a_description() {
        for (name, crd) in crds().unwrap() {
            let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
            walk(&schema, &name, &mut |path, map| {
                if map.contains_key("rule") {
                    assert!(map.contains_key("message"), "{path} says nothing");
                }
                if let Some(Value::Object(fields)) = map.get("properties") {
                    for (field, inner) in fields {
                        let known = ["spec", "status"].contains(&field.as_str())
                            || path.contains("/conditions/items");
                        assert!(
                            known || inner.get("description").is_some(),
                            "{path}/{field} has no description"
                        );
                    }
                }
            });
        }
    }
}
