//! Objects of which one that cannot be read does not keep the others from being read.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, core::error_boundary::InvalidObject};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

/// An object, or who it is and why it cannot be read.
///
/// kube's own guard makes a tree of each object, with all its managed fields, and a copy of that
/// before it makes the object: at a start with very many objects that is most of the work.
#[derive(Clone, Debug)]
pub struct Guarded<K>(pub Result<K, InvalidObject>);

impl<'de, K> Deserialize<'de> for Guarded<K>
where
    K: DeserializeOwned,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // All that kube reads is text in memory, which is not copied for this.
        let text = <&RawValue>::deserialize(deserializer)?.get();
        let object = serde_json::from_str(&without_managed_fields(text));
        Ok(Self(object.map_err(|error| {
            InvalidObject {
                error: error.to_string(),
                metadata: serde_json::from_str(text)
                    .map(|Head { metadata }| metadata)
                    .unwrap_or_default(),
            }
        })))
    }
}

/// Who an object is.
#[derive(Deserialize)]
struct Head {
    metadata: ObjectMeta,
}

/// Where an object says who wrote which field.
#[derive(Deserialize)]
struct Written<'text> {
    #[serde(borrow)]
    metadata: WrittenFields<'text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenFields<'text> {
    #[serde(borrow)]
    managed_fields: Option<&'text RawValue>,
}

/// An object's text with nothing in the place of what nothing here reads, and what is most of a
/// finished object; as it is, if that cannot be told apart.
fn without_managed_fields(text: &str) -> Cow<'_, str> {
    let written = serde_json::from_str(text).ok();
    let fields = written.and_then(|Written { metadata }| metadata.managed_fields);
    let parts = fields.and_then(|fields| {
        let start = fields.get().as_ptr().addr() - text.as_ptr().addr();
        let end = start + fields.get().len();
        Some((text.get(..start)?, text.get(end..)?))
    });
    match parts {
        Some((before, after)) => Cow::Owned([before, "null", after].concat()),
        None => Cow::Borrowed(text),
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(kind: &K::DynamicType) -> Cow<'_, str> {
        K::kind(kind)
    }

    fn group(kind: &K::DynamicType) -> Cow<'_, str> {
        K::group(kind)
    }

    fn version(kind: &K::DynamicType) -> Cow<'_, str> {
        K::version(kind)
    }

    fn plural(kind: &K::DynamicType) -> Cow<'_, str> {
        K::plural(kind)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(invalid) => &invalid.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(invalid) => &mut invalid.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::{Value, json};

    use super::*;

    fn read(data: &Value) -> Guarded<ConfigMap> {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7",
                "managedFields": [{ "manager": "kubectl", "fieldsV1": { "f:data": {} } }],
            },
            "data": data,
        });
        let text = object.to_string();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn an_object_is_read_without_its_managed_fields() {
        let object = read(&json!({ "key": "value" })).0.unwrap();
        assert_eq!(object.metadata.managed_fields, None);
        assert_eq!(object.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(object.data.unwrap()["key"], "value");
    }

    #[test]
    fn of_an_object_that_cannot_be_read_it_is_known_who_it_is() {
        let invalid = read(&json!({ "key": 7 })).0.unwrap_err();
        assert!(invalid.error.contains("string"), "{}", invalid.error);
        assert_eq!(invalid.metadata.name.as_deref(), Some("a"));
        assert_eq!(invalid.metadata.uid.as_deref(), Some("u"));
    }
}
