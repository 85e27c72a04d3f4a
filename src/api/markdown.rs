//! The reference: all fields, bounds and rules of the CRDs as Markdown.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use super::{CrdError, GROUP, VERSION};

/// The reference of these CRDs, as `docs/reference.md` has it.
///
/// # Errors
///
/// If a CRD cannot be read as JSON.
pub fn to_markdown(crds: &[CustomResourceDefinition]) -> Result<String, CrdError> {
    let mut lines = vec![
        "<!-- Generated from the types in src/api by `make generate`; edit those. -->".to_owned(),
        format!("# Reference of {GROUP}/{VERSION}"),
        "A required field is required where the object that holds it is there. The API server \
         holds every constraint and rule below, so an object that breaks one is refused by \
         `kubectl apply`. An absent field is never filled in. `kubectl explain exportjob.spec` \
         shows the same text."
            .to_owned(),
    ];
    for crd in crds {
        kind(&serde_json::to_value(crd)?, &mut lines);
    }
    Ok(lines.join("\n\n") + "\n")
}

fn kind(crd: &Value, lines: &mut Vec<String>) {
    let names = &crd["spec"]["names"];
    let version = &crd["spec"]["versions"][0];
    let root = &version["schema"]["openAPIV3Schema"];
    let (plural, kind) = (text(&names["plural"]), text(&names["kind"]));
    lines.push(format!("## {kind}"));
    lines.push(description(root));
    lines.push(listing(plural, text(&names["shortNames"][0]), version));
    for (part, title) in [("spec", "Spec"), ("status", "Status")] {
        let schema = &root["properties"][part];
        let mut tables = Tables::default();
        if part == "spec" {
            // The rules of a whole object are about its spec: nobody but the operator writes status.
            tables.rules_of("", root);
        }
        tables.walk("", schema);
        lines.push(format!("### {title} of a {kind}"));
        if part == "status" {
            lines.push(description(schema));
        }
        let Tables { fields, rules } = tables;
        let head = ["Field", "Type", "Constraints", "Description"];
        lines.push(table(&head, &fields));
        if !rules.is_empty() {
            lines.push("Rules:".to_owned());
            lines.push(table(&["Field", "Checked", "Message"], &rules));
        }
    }
}

/// What `kubectl get` shows of a kind, and what it selects by.
fn listing(plural: &str, short: &str, version: &Value) -> String {
    let columns = |wide: bool| {
        let columns = items(&version["additionalPrinterColumns"]);
        let shown = columns.filter(|column| column.get("priority").is_some() == wide);
        let names: Vec<&str> = shown.map(|column| text(&column["name"])).collect();
        names.join(", ")
    };
    let selectable: Vec<String> = items(&version["selectableFields"])
        .map(|field| code(text(&field["jsonPath"]).trim_start_matches('.')))
        .collect();
    let mut about = format!(
        "`kubectl get {plural}` (short: `{short}`) shows {}, and with `-o wide` {} too.",
        columns(false),
        columns(true)
    );
    if !selectable.is_empty() {
        about.push_str(&format!(
            " `--field-selector` takes {}.",
            selectable.join(", ")
        ));
    }
    about
}

/// The rows of a part of an object.
#[derive(Default)]
struct Tables {
    fields: Vec<Vec<String>>,
    rules: Vec<Vec<String>>,
}

impl Tables {
    fn walk(&mut self, path: &str, schema: &Value) {
        self.rules_of(path, schema);
        let required: Vec<&str> = items(&schema["required"]).map(text).collect();
        let mut fields: Vec<_> = schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .collect();
        fields.sort_by_key(|(name, _)| !required.contains(&name.as_str()));
        for (name, field) in fields {
            let path = format!("{path}.{name}");
            let path = path.trim_start_matches('.');
            if name == "conditions" {
                let about = format!("{} See [conditions](conditions.md).", description(field));
                let row = [
                    code(path),
                    "list of conditions".into(),
                    String::new(),
                    about,
                ];
                self.fields.push(row.to_vec());
                continue;
            }
            let mut constraints = constraints(field);
            if required.contains(&name.as_str()) {
                constraints.insert(0, "required".to_owned());
            }
            let row = [
                code(path),
                type_of(field),
                constraints.join("; "),
                description(field),
            ];
            self.fields.push(row.to_vec());
            self.walk(path, field);
        }
        for (key, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
            if let Some(inner) = schema.get(key) {
                self.walk(&format!("{path}{mark}"), inner);
            }
        }
    }

    fn rules_of(&mut self, path: &str, schema: &Value) {
        for rule in items(&schema["x-kubernetes-validations"]) {
            let within = text(&rule["fieldPath"]);
            let within = within.strip_prefix(".spec").unwrap_or(within);
            let path = format!("{path}{within}");
            let field = match path.trim_start_matches('.') {
                "" => "(all)".to_owned(),
                path => code(path),
            };
            let checked = if text(&rule["rule"]).contains("oldSelf") {
                "on change"
            } else {
                "always"
            };
            let message = text(&rule["message"]).to_owned();
            self.rules.push(vec![field, checked.to_owned(), message]);
        }
    }
}

fn type_of(schema: &Value) -> String {
    let of = |inner: &Value| match type_of(inner).as_str() {
        many @ ("booleans" | "time") => many.to_owned(),
        one => one.replacen("list of", "lists of", 1) + if one.contains(' ') { "" } else { "s" },
    };
    match (text(&schema["type"]), text(&schema["format"])) {
        (_, "date-time") => "time".to_owned(),
        ("array", _) => format!("list of {}", of(&schema["items"])),
        ("object", _) if schema["additionalProperties"].is_object() => {
            format!("map to {}", of(&schema["additionalProperties"]))
        }
        (other, _) => other.to_owned(),
    }
}

fn constraints(schema: &Value) -> Vec<String> {
    let between =
        |least: &str, most: &str, unit: &str| match (schema[least].as_f64(), schema[most].as_f64())
        {
            (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
            (Some(least), None) => Some(format!("at least {least}{unit}")),
            (None, Some(most)) => Some(format!("at most {most}{unit}")),
            (None, None) => None,
        };
    let values: Vec<String> = items(&schema["enum"])
        .map(|value| code(text(value)))
        .collect();
    let mut all: Vec<String> = [
        (!values.is_empty()).then(|| values.join(", ")),
        between("minimum", "maximum", ""),
        between("minLength", "maxLength", " characters"),
        between("minItems", "maxItems", " items"),
        between("minProperties", "maxProperties", " keys"),
    ]
    .into_iter()
    .flatten()
    .collect();
    for key in ["items", "additionalProperties"] {
        let inner = schema.get(key).map(constraints).unwrap_or_default();
        all.extend(inner.into_iter().map(|inner| format!("each {inner}")));
    }
    all
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |", cells.join(" | "))
    };
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let rule = format!("|{}", "---|".repeat(head.len()));
    let rows = rows.iter().map(|row| line(row));
    [line(&head), rule]
        .into_iter()
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n")
}

fn description(schema: &Value) -> String {
    text(&schema["description"]).replace('\n', " ")
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
