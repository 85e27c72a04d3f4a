//! The reference: all fields, bounds and rules of the CRDs as Markdown.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use super::{CrdError, GROUP, VERSION};

const ABOUT: &str = "\
A required field is required where the object that holds it is there. The API server holds every
constraint and rule, so `kubectl apply` refuses an object that breaks one, with the rule's message.
No field of a spec has a default in the schema: what is absent stays absent. `kubectl explain
exportjob.spec` shows fields and descriptions on the command line. Conditions and their reasons are
in [conditions.md](conditions.md).";

const FIELDS: [&str; 4] = ["Field", "Type", "Constraints", "Description"];
const RULES: [&str; 3] = ["Field", "Checked", "Message"];

/// The reference of these CRDs, as `docs/reference.md` has it.
///
/// # Errors
///
/// If a CRD cannot be read as JSON.
pub fn to_markdown(crds: &[CustomResourceDefinition]) -> Result<String, CrdError> {
    let mut blocks = vec![
        "<!-- Generated from the types in src/api by `make generate`; edit those. -->".to_owned(),
        format!("# Reference of {GROUP}/{VERSION}"),
        ABOUT.to_owned(),
    ];
    for crd in crds {
        blocks.extend(kind(&serde_json::to_value(crd)?));
    }
    Ok(blocks.join("\n\n") + "\n")
}

fn kind(crd: &Value) -> Vec<String> {
    let version = &crd["spec"]["versions"][0];
    let root = &version["schema"]["openAPIV3Schema"];
    let name = text(&crd["spec"]["names"]["kind"]);
    let mut blocks = vec![
        format!("## {name}"),
        description(root),
        listing(&crd["spec"]["names"], version),
    ];
    for part in ["spec", "status"] {
        let schema = &root["properties"][part];
        let mut tables = Tables::default();
        blocks.push(format!("### {name} {part}"));
        if part == "spec" {
            // The rules of a whole object are about its spec: only the operator writes the rest.
            tables.rules_of("", root);
        } else {
            blocks.push(description(schema));
        }
        tables.walk("", schema);
        let Tables { fields, rules } = tables;
        blocks.push(table(FIELDS, fields));
        if !rules.is_empty() {
            blocks.extend(["Rules:".to_owned(), table(RULES, rules)]);
        }
    }
    blocks
}

/// What `kubectl get` shows of a kind, and what it selects by.
fn listing(names: &Value, version: &Value) -> String {
    let (plural, short) = (text(&names["plural"]), text(&names["shortNames"][0]));
    let columns = |wide: bool| {
        let columns = items(&version["additionalPrinterColumns"]);
        let shown = columns.filter(|column| column.get("priority").is_some() == wide);
        join(", ", shown.map(|column| text(&column["name"]).to_owned()))
    };
    let (narrow, wide) = (columns(false), columns(true));
    let get = format!("`kubectl get {plural}` (short: `{short}`)");
    let fields = items(&version["selectableFields"]).map(|field| text(&field["jsonPath"]));
    let fields = join(", ", fields.map(|path| code(path.trim_start_matches('.'))));
    let select = match fields.as_str() {
        "" => String::new(),
        fields => format!(" `--field-selector` takes {fields}."),
    };
    format!("{get} shows {narrow}; with `-o wide` also {wide}.{select}")
}

/// The rows of a part of an object.
#[derive(Default)]
struct Tables {
    fields: Vec<[String; 4]>,
    rules: Vec<[String; 3]>,
}

impl Tables {
    fn walk(&mut self, path: &str, schema: &Value) {
        self.rules_of(path, schema);
        let is_required = |name| items(&schema["required"]).any(|required| text(required) == name);
        let fields = schema["properties"].as_object();
        let mut fields: Vec<_> = fields.into_iter().flatten().collect();
        fields.sort_by_key(|(name, _)| !is_required(name.as_str()));
        for (name, field) in fields {
            let path = format!("{path}.{name}");
            let path = path.trim_start_matches('.');
            let required = is_required(name).then(|| "required".to_owned());
            let limits = join("; ", required.into_iter().chain(constraints(field)));
            let row = [code(path), type_of(field), limits, description(field)];
            self.fields.push(row);
            if name != "conditions" {
                self.walk(path, field);
            }
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
            let path = format!("{path}{}", within.strip_prefix(".spec").unwrap_or(within));
            let path = path.trim_start_matches('.');
            let path = if path.is_empty() { "spec" } else { path };
            let is_transition = text(&rule["rule"]).contains("oldSelf");
            let checked = if is_transition { "on change" } else { "always" };
            let message = text(&rule["message"]);
            self.rules
                .push([code(path), checked.into(), message.into()]);
        }
    }
}

fn type_of(schema: &Value) -> String {
    let many = |inner: &Value| match type_of(inner) {
        lists if lists.starts_with("list of") => lists.replacen("list", "lists", 1),
        one => one + "s",
    };
    match (text(&schema["type"]), text(&schema["format"])) {
        (_, "date-time") => "time".to_owned(),
        ("array", _) => format!("list of {}", many(&schema["items"])),
        ("object", _) if schema["additionalProperties"].is_object() => {
            format!("map to {}", many(&schema["additionalProperties"]))
        }
        (other, _) => other.to_owned(),
    }
}

fn constraints(schema: &Value) -> Vec<String> {
    let between = |least: &str, most: &str, unit: &str| {
        Some(match (schema[least].as_f64(), schema[most].as_f64()) {
            (Some(least), Some(most)) => format!("{least} to {most}{unit}"),
            (Some(least), None) => format!("at least {least}{unit}"),
            (None, Some(most)) => format!("at most {most}{unit}"),
            (None, None) => return None,
        })
    };
    let values = join(", ", items(&schema["enum"]).map(|value| code(text(value))));
    let own = [
        (!values.is_empty()).then(|| format!("one of {values}")),
        between("minimum", "maximum", ""),
        between("minLength", "maxLength", " characters"),
        between("minItems", "maxItems", " items"),
        between("minProperties", "maxProperties", " keys"),
    ];
    let mut all: Vec<String> = own.into_iter().flatten().collect();
    for key in ["items", "additionalProperties"] {
        for limit in schema.get(key).map(constraints).into_iter().flatten() {
            all.push(format!("each {limit}").replace("each each", "each of these"));
        }
    }
    all
}

fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> String {
    let escaped = |cell: String| cell.replace('|', "\\|");
    let line = |row: [String; N]| format!("\n| {} |", row.map(escaped).join(" | "));
    let (head, rule) = (head.join(" | "), "---|".repeat(N));
    format!(
        "| {head} |\n|{rule}{}",
        join("", rows.into_iter().map(line))
    )
}

fn join(separator: &str, parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(separator)
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
