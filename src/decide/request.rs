//! The requests, as the platform reads them, and the names that are derived from them.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    api::{
        AdditionalFields, DatasetTemplate, Destination, EvaluationInfo, EventFilter, EventList,
        ExportTemplate, FileDescription, MergePolicy, OBJECT_TAG, OWNER_TAG, OWNER_UID_TAG,
        QualificationTime, SchemaRef, Segment, SegmentFilter, TagValues,
    },
    platform::{DatasetId, UNION_SCHEMA},
};

/// The schema of the data of every profile export.
const PROFILE_SCHEMA: &str = "_xdm.context.profile";
/// The media type of the union schema in the documents' samples.
const UNION_CONTENT_TYPE: &str = "application/vnd.adobe.xed+json;version=1";
/// How long a request id is: as long as the gateway's own.
const REQUEST_ID: usize = 32;
/// How many of its characters tell the cluster.
const CLUSTER_PREFIX: usize = 8;
/// Letters and digits, as the gateway's own request ids are made of.
const ALPHANUMERIC: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The identity that a dataset carries in its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `cluster/namespace/name`: the same for an object that is made again under its name.
    pub path: String,
    /// `namespace/name`: the same in every cluster.
    pub object: String,
    /// The object's UID.
    pub uid: String,
}

impl Owner {
    /// The tags of the identity, in the order of their names.
    #[must_use]
    pub fn tags(&self) -> [(&'static str, &str); 3] {
        let Self { path, object, uid } = self;
        [
            (OBJECT_TAG, object),
            (OWNER_TAG, path),
            (OWNER_UID_TAG, uid),
        ]
    }
}

/// The body of `POST /export/jobs`: what is absent in the spec is not sent, but `schema`.
#[must_use]
pub fn export_body(template: &ExportTemplate, dataset: &DatasetId) -> Value {
    let ExportTemplate {
        destination,
        fields,
        merge_policy,
        filter,
        additional_fields,
        evaluation_info,
        schema,
    } = template;
    let Destination {
        dataset_ref: _,
        dataset_id: _,
        segment_per_batch,
    } = destination;
    let mut target = Map::new();
    target.insert("datasetId".into(), json!(dataset.as_str()));
    put(&mut target, "segmentPerBatch", *segment_per_batch);
    let mut body = Map::new();
    body.insert("destination".into(), Value::Object(target));
    let schema = schema
        .as_ref()
        .map_or(PROFILE_SCHEMA, |schema| schema.name.as_str());
    body.insert("schema".into(), json!({ "name": schema }));
    put(
        &mut body,
        "fields",
        fields.as_ref().map(|fields| fields.join(",")),
    );
    put(
        &mut body,
        "mergePolicy",
        merge_policy.as_ref().map(merge_policy_body),
    );
    put(&mut body, "filter", filter.as_ref().map(filter_body));
    put(
        &mut body,
        "additionalFields",
        additional_fields.as_ref().map(additional_body),
    );
    put(
        &mut body,
        "evaluationInfo",
        evaluation_info
            .as_ref()
            .map(|EvaluationInfo { segmentation }| json!({ "segmentation": segmentation })),
    );
    Value::Object(body)
}

/// The body of `POST /dataSets`: what is absent in the spec is not sent, but `schemaRef`; the
/// identity tags are added.
#[must_use]
pub fn dataset_body(template: &DatasetTemplate, owner: &Owner) -> Value {
    let DatasetTemplate {
        name,
        description,
        schema_ref,
        file_description,
        tags,
        enable_error_diagnostics,
    } = template;
    let mut body = Map::new();
    body.insert("name".into(), json!(name));
    put(&mut body, "description", description.as_deref());
    let schema = schema_ref.as_ref().map_or(
        (UNION_SCHEMA, UNION_CONTENT_TYPE),
        |SchemaRef { id, content_type }| {
            (
                id.as_str(),
                content_type.as_deref().unwrap_or(UNION_CONTENT_TYPE),
            )
        },
    );
    body.insert(
        "schemaRef".into(),
        json!({ "id": schema.0, "contentType": schema.1 }),
    );
    put(
        &mut body,
        "fileDescription",
        file_description.as_ref().map(file_body),
    );
    put(
        &mut body,
        "enableErrorDiagnostics",
        *enable_error_diagnostics,
    );
    let mut all: Map<String, Value> = tags
        .iter()
        .flatten()
        .map(|(key, TagValues(values))| (key.clone(), json!(values)))
        .collect();
    for (key, value) in owner.tags() {
        all.insert(key.into(), json!([value]));
    }
    body.insert("tags".into(), Value::Object(all));
    Value::Object(body)
}

/// The `X-Request-Id` of one attempt of one object: 32 letters and digits, the same after every
/// restart, another in every cluster.
#[must_use]
pub fn request_id(cluster: &str, uid: &str, attempt: i64) -> String {
    let mut id = alphanumeric(&Sha256::digest(cluster.as_bytes()), CLUSTER_PREFIX);
    let rest = Sha256::digest(format!("{uid}/{attempt}").as_bytes());
    id.push_str(&alphanumeric(&rest, REQUEST_ID - CLUSTER_PREFIX));
    id
}

/// Whether a request id was made for this attempt of this object, and not for another whose status
/// was copied.
#[must_use]
pub fn is_of(id: &str, cluster: &str, uid: &str, attempt: i64) -> bool {
    id == request_id(cluster, uid, attempt)
}

/// Whether a request id is one of this cluster: whatever shows it was asked for by an object of it.
#[must_use]
pub fn is_of_cluster(id: &str, cluster: &str) -> bool {
    let prefix = alphanumeric(&Sha256::digest(cluster.as_bytes()), CLUSTER_PREFIX);
    id.len() == REQUEST_ID && id.starts_with(&prefix)
}

/// SHA-256 of the canonical body (keys sorted), organisation and sandbox, in hexadecimal digits.
#[must_use]
pub fn fingerprint(body: &Value, organization: &str, sandbox: &str) -> String {
    let mut hash = Sha256::new();
    // A zero byte is in none of the three, so no two triples run together.
    hash.update(body.to_string().as_bytes());
    hash.update([0]);
    hash.update(organization.as_bytes());
    hash.update([0]);
    hash.update(sandbox.as_bytes());
    hexadecimal(&hash.finalize())
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn alphanumeric(bytes: &[u8], length: usize) -> String {
    bytes
        .iter()
        .take(length)
        .filter_map(|byte| ALPHANUMERIC.get(usize::from(*byte) % ALPHANUMERIC.len()))
        .map(|byte| char::from(*byte))
        .collect()
}

fn put(body: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(key.to_owned(), value.into());
    }
}

fn merge_policy_body(MergePolicy { id, version }: &MergePolicy) -> Value {
    let mut body = Map::new();
    body.insert("id".into(), json!(id));
    put(&mut body, "version", *version);
    Value::Object(body)
}

fn filter_body(filter: &SegmentFilter) -> Value {
    let SegmentFilter {
        segments,
        segment_qualification_time,
        from_ingest_timestamp,
        empty_profiles,
    } = filter;
    let mut body = Map::new();
    put(
        &mut body,
        "segments",
        segments
            .as_ref()
            .map(|segments| segments.iter().map(segment_body).collect::<Vec<_>>()),
    );
    put(
        &mut body,
        "segmentQualificationTime",
        segment_qualification_time.as_ref().map(
            |QualificationTime {
                 start_time,
                 end_time,
             }| {
                let mut body = Map::new();
                put(&mut body, "startTime", start_time.as_deref());
                put(&mut body, "endTime", end_time.as_deref());
                body
            },
        ),
    );
    put(
        &mut body,
        "fromIngestTimestamp",
        from_ingest_timestamp.as_deref(),
    );
    put(&mut body, "emptyProfiles", *empty_profiles);
    Value::Object(body)
}

fn segment_body(
    Segment {
        segment_id,
        segment_ns,
        status,
    }: &Segment,
) -> Value {
    let mut body = Map::new();
    body.insert("segmentId".into(), json!(segment_id));
    put(&mut body, "segmentNs", segment_ns.as_deref());
    if let Some(status) = status {
        body.insert("status".into(), json!(status));
    }
    Value::Object(body)
}

fn additional_body(AdditionalFields { event_list }: &AdditionalFields) -> Value {
    let EventList { fields, filter } = event_list;
    let mut events = Map::new();
    put(
        &mut events,
        "fields",
        fields.as_ref().map(|fields| fields.join(",")),
    );
    put(
        &mut events,
        "filter",
        filter.as_ref().map(
            |EventFilter {
                 from_ingest_timestamp,
                 to_ingest_timestamp,
             }| {
                let mut body = Map::new();
                put(
                    &mut body,
                    "fromIngestTimestamp",
                    from_ingest_timestamp.as_deref(),
                );
                put(
                    &mut body,
                    "toIngestTimestamp",
                    to_ingest_timestamp.as_deref(),
                );
                body
            },
        ),
    );
    json!({ "eventList": events })
}

fn file_body(file: &FileDescription) -> Value {
    let FileDescription {
        persisted,
        container_format,
        format,
    } = file;
    let mut body = Map::new();
    put(&mut body, "persisted", *persisted);
    if let Some(container_format) = container_format {
        body.insert("containerFormat".into(), json!(container_format));
    }
    if let Some(format) = format {
        body.insert("format".into(), json!(format));
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_32_letters_and_digits_and_the_same_again() {
        let id = request_id("cluster", "uid", 1);
        assert_eq!(id.len(), 32);
        assert!(id.chars().all(|c| c.is_ascii_alphanumeric()));
        assert_eq!(id, request_id("cluster", "uid", 1));
    }

    #[test]
    fn a_request_id_tells_clusters_objects_and_attempts_apart() {
        let id = request_id("cluster", "uid", 1);
        let other_cluster = request_id("other", "uid", 1);
        assert_ne!(id[..CLUSTER_PREFIX], other_cluster[..CLUSTER_PREFIX]);
        assert_ne!(id, request_id("cluster", "other", 1));
        assert_ne!(id, request_id("cluster", "uid", 2));
    }

    #[test]
    fn a_request_id_tells_its_cluster() {
        assert!(is_of_cluster(&request_id("cluster", "uid", 3), "cluster"));
        assert!(!is_of_cluster(&request_id("other", "uid", 3), "cluster"));
        assert!(!is_of_cluster(
            &request_id("cluster", "uid", 3)[..9],
            "cluster"
        ));
    }

    #[test]
    fn the_smallest_export_sends_destination_and_schema_only() {
        let template: ExportTemplate =
            serde_json::from_value(json!({ "destination": { "datasetRef": { "name": "x" } } }))
                .unwrap();
        assert_eq!(
            export_body(&template, &DatasetId::new("5b02")),
            json!({ "destination": { "datasetId": "5b02" }, "schema": { "name": PROFILE_SCHEMA } })
        );
    }

    #[test]
    fn a_fingerprint_tells_bodies_organisations_and_sandboxes_apart() {
        let body = json!({ "a": 1 });
        let print = fingerprint(&body, "org", "prod");
        assert_eq!(print.len(), 64);
        assert_ne!(print, fingerprint(&json!({ "a": 2 }), "org", "prod"));
        assert_ne!(print, fingerprint(&body, "or", "gprod"));
        assert_ne!(print, fingerprint(&body, "org", "dev"));
    }
}
