//! The shape of request bodies, as tables: what the documents do not allow is refused, and every
//! refusal says where and why.

use serde_json::{Map, Value};

/// A key of an object.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) check: Check,
}

impl Field {
    pub(crate) const fn optional(name: &'static str, check: Check) -> Self {
        Self {
            name,
            required: false,
            check,
        }
    }

    pub(crate) const fn required(name: &'static str, check: Check) -> Self {
        Self {
            name,
            required: true,
            check,
        }
    }
}

/// What a value must be.
pub(crate) enum Check {
    /// A string.
    Text,
    /// A string that is not empty.
    Name,
    /// Names with commas between them.
    Csv,
    /// `true` or `false`.
    Boolean,
    /// A whole number from 0.
    Integer,
    /// A date and time with an offset, as RFC 3339 has it.
    Timestamp,
    /// This string.
    Literal(&'static str),
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A list of strings.
    Texts,
    /// A list of at least one of these strings.
    SomeOf(&'static [&'static str]),
    /// An object whose values are lists of strings.
    TextsByName,
    /// An object with any keys.
    AnyObject,
    /// An object with these keys.
    Object(&'static [Field]),
    /// A list of at least one object with these keys.
    Objects(&'static [Field]),
}

/// Returns what is wrong with `value` as an object of these fields; nothing if it fits.
pub(crate) fn problems(value: &Value, fields: &[Field]) -> Vec<String> {
    let mut problems = Vec::new();
    object("", value, fields, &mut problems);
    problems
}

fn object(path: &str, value: &Value, fields: &[Field], problems: &mut Vec<String>) {
    let Value::Object(map) = value else {
        let place = if path.is_empty() { "the body" } else { path };
        problems.push(format!("{place}: must be an object, not {}", kind(value)));
        return;
    };
    for (name, value) in map {
        let path = join(path, name);
        match fields.iter().find(|field| field.name == name) {
            Some(field) => check(&path, value, &field.check, problems),
            None => problems.push(unknown(&path, name, fields)),
        }
    }
    for field in fields.iter().filter(|field| field.required) {
        if !map.contains_key(field.name) {
            problems.push(format!("{}: is required", join(path, field.name)));
        }
    }
}

fn unknown(path: &str, name: &str, fields: &[Field]) -> String {
    let close = fields
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case(name));
    if let Some(field) = close {
        return format!(
            "{path}: unknown field; in requests it is spelt {}",
            field.name
        );
    }
    let names: Vec<_> = fields.iter().map(|field| field.name).collect();
    format!(
        "{path}: unknown field; the documented ones are {}",
        names.join(", ")
    )
}

fn check(path: &str, value: &Value, check: &Check, problems: &mut Vec<String>) {
    let wrong = match check {
        Check::Object(fields) => return object(path, value, fields, problems),
        Check::Objects(fields) => {
            let Some(list) = some_list(path, value, problems) else {
                return;
            };
            for (index, item) in list.iter().enumerate() {
                object(&format!("{path}[{index}]"), item, fields, problems);
            }
            return;
        }
        Check::SomeOf(allowed) => {
            let Some(list) = some_list(path, value, problems) else {
                return;
            };
            for (index, item) in list.iter().enumerate() {
                if !item.as_str().is_some_and(|text| allowed.contains(&text)) {
                    let allowed = allowed.join(", ");
                    problems.push(format!(
                        "{path}[{index}]: must be one of {allowed}, not {item}"
                    ));
                }
            }
            return;
        }
        Check::Text => (!value.is_string()).then(|| "a string".to_owned()),
        Check::Name => value
            .as_str()
            .is_none_or(|text| text.trim().is_empty())
            .then(|| "a string that is not empty".to_owned()),
        Check::Csv => value
            .as_str()
            .is_none_or(|text| text.split(',').any(|item| item.trim().is_empty()))
            .then(|| "a string of names with commas between them".to_owned()),
        Check::Boolean => (!value.is_boolean()).then(|| "a boolean".to_owned()),
        Check::Integer => (!value.is_u64()).then(|| "a whole number from 0".to_owned()),
        Check::Timestamp => value
            .as_str()
            .is_none_or(|text| !is_rfc3339(text))
            .then(|| "a time as RFC 3339 has it, such as 2018-10-25T13:22:04-07:00".to_owned()),
        Check::Literal(literal) => {
            (value.as_str() != Some(literal)).then(|| format!("{literal:?}"))
        }
        Check::OneOf(allowed) => value
            .as_str()
            .is_none_or(|text| !allowed.contains(&text))
            .then(|| format!("one of {}", allowed.join(", "))),
        Check::Texts => (!is_texts(value)).then(|| "a list of strings".to_owned()),
        Check::TextsByName => value
            .as_object()
            .is_none_or(|map| !map.values().all(is_texts))
            .then(|| "an object whose values are lists of strings".to_owned()),
        Check::AnyObject => (!value.is_object()).then(|| "an object".to_owned()),
    };
    if let Some(wanted) = wrong {
        problems.push(format!("{path}: must be {wanted}, not {}", shown(value)));
    }
}

fn some_list<'a>(path: &str, value: &'a Value, problems: &mut Vec<String>) -> Option<&'a [Value]> {
    match value {
        Value::Array(list) if !list.is_empty() => Some(list),
        other => {
            let wanted = "must be a list with at least one item";
            problems.push(format!("{path}: {wanted}, not {}", shown(other)));
            None
        }
    }
}

fn is_texts(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|list| list.iter().all(Value::is_string))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => kind(value).to_owned(),
        scalar => scalar.to_string().chars().take(80).collect(),
    }
}

/// Whether `text` is a time of RFC 3339: stricter than a parser for people, which also reads a
/// space for the `T` or an offset without minutes.
fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| {
        bytes
            .get(from..to)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|byte| set.contains(byte));
    let date_and_time = digits(0, 4)
        && is(4, b"-")
        && digits(5, 7)
        && is(7, b"-")
        && digits(8, 10)
        && is(10, b"Tt")
        && digits(11, 13)
        && is(13, b":")
        && digits(14, 16)
        && is(16, b":")
        && digits(17, 19);
    if !date_and_time {
        return false;
    }
    let fraction = if is(19, b".") {
        let length = bytes[20..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if length == 0 {
            return false;
        }
        length + 1
    } else {
        0
    };
    let offset = 19 + fraction;
    let zulu = is(offset, b"Zz") && bytes.len() == offset + 1;
    let hours = is(offset, b"+-")
        && digits(offset + 1, offset + 3)
        && is(offset + 3, b":")
        && digits(offset + 4, offset + 6)
        && bytes.len() == offset + 6;
    (zulu || hours) && text.parse::<jiff::Timestamp>().is_ok()
}

/// Reads a body that must be an object.
///
/// # Errors
///
/// Text that is no JSON, or JSON that is no object.
pub(crate) fn read_object(body: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => Err(format!("the body must be an object, not {}", kind(&other))),
        Err(error) => Err(format!("the body is no JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_time_has_a_day_that_exists_and_an_offset() {
        for good in [
            "2018-10-25T13:22:04-07:00",
            "2018-01-01T00:00:00Z",
            "2018-01-01T00:00:00.5Z",
        ] {
            assert!(is_rfc3339(good), "{good}");
        }
        for bad in [
            "2018-02-30T00:00:00Z",
            "2018-01-01T00:00:00",
            "2018-01-01 00:00:00Z",
            "2018-01-01T00:00:00-07",
            "2018-01-01T00:00:00.Z",
            "2018-01-01T25:00:00Z",
            "2018-01-01",
            "",
        ] {
            assert!(!is_rfc3339(bad), "{bad}");
        }
    }

    #[test]
    fn a_problem_says_where_and_why() {
        const INNER: &[Field] = &[Field::required("datasetId", Check::Name)];
        const OUTER: &[Field] = &[
            Field::required("destination", Check::Object(INNER)),
            Field::optional("fields", Check::Csv),
        ];
        let found = problems(
            &json!({"destination": {"dataSetId": "x"}, "fields": ["a"]}),
            OUTER,
        );
        assert_eq!(
            found,
            [
                "destination.dataSetId: unknown field; in requests it is spelt datasetId",
                "destination.datasetId: is required",
                "fields: must be a string of names with commas between them, not a list",
            ]
        );
    }
}
