//! What an export request may say.

use serde_json::{Map, Value};

use crate::shape::{Check, Field, problems};
use crate::switches::{Acceptance, Switches};

/// The schema on which the target of an export must be.
pub(crate) const UNION_SCHEMA: &str = "https://ns.adobe.com/xdm/context/profile__union";

/// Statuses of a profile in a segment: one document's prose says `exiting` where its sample says
/// `exited`, so both are known.
const SEGMENT_STATUSES: &[&str] = &["realized", "existing", "exited", "exiting"];

const SEGMENT: &[Field] = &[
    Field::required("segmentId", Check::Name),
    Field::optional("segmentNs", Check::Name),
    Field::optional("status", Check::SomeOf(SEGMENT_STATUSES)),
];

const QUALIFICATION_TIME: &[Field] = &[
    Field::optional("startTime", Check::Timestamp),
    Field::optional("endTime", Check::Timestamp),
];

const FILTER: &[Field] = &[
    Field::optional("segments", Check::Objects(SEGMENT)),
    Field::optional(
        "segmentQualificationTime",
        Check::Object(QUALIFICATION_TIME),
    ),
    Field::optional("fromIngestTimestamp", Check::Timestamp),
    Field::optional("emptyProfiles", Check::Boolean),
];

const EVENT_FILTER: &[Field] = &[
    Field::optional("fromIngestTimestamp", Check::Timestamp),
    Field::optional("toIngestTimestamp", Check::Timestamp),
];

const EVENT_LIST: &[Field] = &[
    Field::optional("fields", Check::Csv),
    Field::optional("filter", Check::Object(EVENT_FILTER)),
];

const ADDITIONAL_FIELDS: &[Field] = &[Field::required("eventList", Check::Object(EVENT_LIST))];

const MERGE_POLICY: &[Field] = &[
    Field::required("id", Check::Name),
    Field::optional("version", Check::Integer),
];

const DESTINATION: &[Field] = &[
    Field::required("datasetId", Check::Name),
    Field::optional("segmentPerBatch", Check::Boolean),
];

const SCHEMA: &[Field] = &[Field::required(
    "name",
    Check::Literal("_xdm.context.profile"),
)];

const EVALUATION: &[Field] = &[Field::optional("segmentation", Check::Boolean)];

const JOB: &[Field] = &[
    Field::optional("fields", Check::Csv),
    Field::optional("mergePolicy", Check::Object(MERGE_POLICY)),
    Field::optional("filter", Check::Object(FILTER)),
    Field::optional("additionalFields", Check::Object(ADDITIONAL_FIELDS)),
    Field::required("destination", Check::Object(DESTINATION)),
    Field::required("schema", Check::Object(SCHEMA)),
    Field::optional("evaluationInfo", Check::Object(EVALUATION)),
];

/// Returns what is wrong with an export request; nothing if it is allowed.
pub(crate) fn check(body: &Value, switches: &Switches) -> Vec<String> {
    let mut found = problems(body, JOB);
    if switches.filter_in_request == Acceptance::Refused && body.get("filter").is_some() {
        found.push("filter: this flavour of the API does not document it".to_owned());
    }
    if switches.evaluation_in_request == Acceptance::Refused {
        let undocumented = [
            ("evaluationInfo", body.get("evaluationInfo")),
            (
                "additionalFields.eventList.filter.toIngestTimestamp",
                body.pointer("/additionalFields/eventList/filter/toIngestTimestamp"),
            ),
        ];
        for (path, _) in undocumented.iter().filter(|(_, value)| value.is_some()) {
            found.push(format!(
                "{path}: this flavour of the API does not document it"
            ));
        }
    }
    found
}

/// A segment of a request.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) id: String,
    pub(crate) namespace: Option<String>,
    pub(crate) status: Option<Vec<Value>>,
}

/// The segments that a request names.
pub(crate) fn segments(body: &Value) -> Vec<Segment> {
    let list = body.pointer("/filter/segments").and_then(Value::as_array);
    let text = |map: &Map<String, Value>, key: &str| {
        map.get(key).and_then(Value::as_str).map(str::to_owned)
    };
    list.into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .map(|segment| Segment {
            id: text(segment, "segmentId").unwrap_or_default(),
            namespace: text(segment, "segmentNs"),
            status: segment.get("status").and_then(Value::as_array).cloned(),
        })
        .collect()
}

/// Whether a request wants one batch per segment.
pub(crate) fn segment_per_batch(body: &Value) -> bool {
    body.pointer("/destination/segmentPerBatch")
        .and_then(Value::as_bool)
        .unwrap_or(false)
}
