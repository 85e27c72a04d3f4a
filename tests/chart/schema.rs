//! What the charts refuse, and what they say then.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use aep_control_plane::Helm;
use aep_export_operator::control::shard::Shard;
use serde_json::{Map, Value, json};

use crate::{
    helm::{chart, crds_chart, for_each, render, render_by},
    values,
};

/// What a free object says of itself in its schema.
const REASONS: [&str; 2] = ["checked by the API server", "an umbrella chart's own"];
/// A key that no object has, and that is no name either.
const UNKNOWN: &str = "no Such Key";

/// What is said of a key that is no name.
const NAME: &str = "invalid propertyName 'no Such Key'";

fn schema(chart: &str) -> Value {
    let text = fs::read_to_string(format!("{chart}/values.schema.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A step towards a value.
#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Item,
}

/// A value that one keyword of the schema refuses.
#[derive(Clone, Debug)]
struct Violation {
    path: Vec<Step>,
    value: Value,
    said: &'static str,
}

impl Violation {
    /// All values, with this one among them.
    fn values(&self) -> Value {
        let wrap = |value, step: &Step| match step {
            Step::Key(key) => json!({ key.as_str(): value }),
            Step::Item => json!([value]),
        };
        self.path.iter().rev().fold(self.value.clone(), wrap)
    }

    /// Where the message says that it is.
    fn place(&self) -> String {
        let steps = self.path.iter().map(|step| match step {
            Step::Key(key) => format!("/{key}"),
            Step::Item => "/0".to_owned(),
        });
        format!("at '{}': ", steps.collect::<String>())
    }
}

/// The whole schema, to look up what `$ref` names.
struct Walk<'a> {
    root: &'a Value,
    found: Vec<Violation>,
}

impl Walk<'_> {
    fn visit(&mut self, path: &[Step], schema: &Value) {
        let schema = self.resolved(schema);
        let keywords = schema.as_object().unwrap();
        for (keyword, argument) in keywords {
            let mut refuse = |value: Value, said| {
                let path = path.to_vec();
                self.found.push(Violation { path, value, said });
            };
            let count = |more: i64| usize::try_from(argument.as_i64().unwrap() + more).unwrap();
            match keyword.as_str() {
                "type" if argument == "string" => refuse(json!(1), "got number, want string"),
                "type" => refuse(json!("?"), "got string, want"),
                "enum" => refuse(json!("another"), "value must be one of"),
                "pattern" => refuse(json!("~ no!"), "does not match pattern"),
                "minLength" => refuse(json!(""), "minLength: got 0, want"),
                "maxLength" => refuse(json!("a".repeat(count(1))), "maxLength: got"),
                "minimum" => refuse(json!(argument.as_i64().unwrap() - 1), "minimum: got"),
                "maximum" => refuse(json!(argument.as_i64().unwrap() + 1), "maximum: got"),
                "minItems" => refuse(json!([]), "minItems: got 0, want"),
                "uniqueItems" => refuse(json!([1, 1]), "items at 0 and 1 are equal"),
                "anyOf" => refuse(json!([]), "'anyOf' failed"),
                "required" => refuse(json!({}), "missing propert"),
                "propertyNames" => refuse(json!({UNKNOWN: []}), NAME),
                "additionalProperties" if argument == false => {
                    refuse(
                        json!({UNKNOWN: 1}),
                        "additional properties 'no Such Key' not allowed",
                    );
                }
                "additionalProperties" => {
                    let argument = argument.clone();
                    self.below(path, Step::Key("x".to_owned()), &argument);
                }
                "items" => {
                    let argument = argument.clone();
                    self.below(path, Step::Item, &argument);
                }
                "properties" => {
                    for (key, value) in argument.as_object().unwrap().clone() {
                        self.below(path, Step::Key(key), &value);
                    }
                }
                "$schema" | "title" | "description" | "$comment" | "definitions" => {}
                other => panic!("no violation of {other} is known"),
            }
        }
    }

    fn below(&mut self, path: &[Step], step: Step, schema: &Value) {
        let path = [path, &[step]].concat();
        self.visit(&path, schema);
    }

    fn resolved(&self, schema: &Value) -> Value {
        match schema["$ref"].as_str() {
            Some(name) => {
                let pointer = name.strip_prefix('#').unwrap();
                self.root.pointer(pointer).unwrap().clone()
            }
            None => schema.clone(),
        }
    }
}

fn violations(schema: &Value) -> Vec<Violation> {
    let mut walk = Walk {
        root: schema,
        found: Vec::new(),
    };
    walk.visit(&[], schema);
    // No values at all are an object: Helm itself refuses another.
    walk.found
        .retain(|violation| !violation.path.is_empty() || violation.value.is_object());
    walk.found
}

/// Puts violations together that do not touch each other, since each run of Helm takes its time.
fn together(violations: Vec<Violation>) -> Vec<Vec<Violation>> {
    let mut rounds: BTreeMap<String, Vec<Violation>> = BTreeMap::new();
    for violation in violations {
        let key = match violation.path.first() {
            Some(Step::Key(key)) => key.clone(),
            Some(Step::Item) | None => String::new(),
        };
        rounds.entry(key).or_default().push(violation);
    }
    let mut all: Vec<Vec<Violation>> = Vec::new();
    for of_one in rounds.into_values() {
        for (round, violation) in of_one.into_iter().enumerate() {
            if all.len() <= round {
                all.push(Vec::new());
            }
            all[round].push(violation);
        }
    }
    all
}

#[test]
fn each_keyword_of_the_schemas_refuses_what_it_is_there_for_and_says_where() {
    for (chart, least) in [(chart(), 300), (crds_chart(), 2)] {
        let violations = violations(&schema(&chart));
        assert!(violations.len() >= least, "{}", violations.len());
        let failures = for_each(&together(violations), |round| {
            let mut values = Map::new();
            for violation in round {
                values.extend(violation.values().as_object().unwrap().clone());
            }
            let Err(said) = render_by(Helm::V4, &chart, &[&values.into()]) else {
                return vec!["nothing was refused".to_owned()];
            };
            let unsaid = round.iter().filter(|violation| {
                let mut lines = said.lines();
                // Of a name that does not fit, the validator tells another place.
                if violation.said == NAME {
                    return !lines.any(|line| line.contains(NAME));
                }
                let place = violation.place();
                !lines
                    .filter_map(|line| line.split_once(&place))
                    .any(|(_, rest)| rest.contains(violation.said))
            });
            let unsaid = unsaid.map(|it| format!("{}{} {}\n{said}", it.place(), it.said, it.value));
            unsaid.collect::<Vec<_>>()
        });
        let failures: Vec<String> = failures.into_iter().flatten().collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}

#[test]
fn a_shard_that_the_operator_cannot_read_is_refused_before_it_is_installed() {
    let selectors = [
        "a=b",
        "a==b",
        "a!=b",
        "a",
        "!a",
        "! a",
        "a=",
        "a in (b, c)",
        "a notin (b)",
        "a in(b)",
        "example.com/shard=a-1, team , !old",
        " ",
        "a=b,",
        "a=b=c",
        "-b=c",
        "a/b/c",
        "/b",
        "Example.com/b",
        "!a=b",
        "a in b",
        "a in (b",
        "a in ()",
        "a of (b)",
        "a>1",
    ];
    let wrong = for_each(&selectors, |selector| {
        let readable = selector.parse::<Shard>().is_ok();
        let taken = render(&[&json!({"watch": {"shardSelector": selector}})]).is_ok();
        (readable != taken).then(|| format!("`{selector}`: {readable}, but {taken}"))
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What a schema says of an object anywhere in it.
fn objects<'a>(schema: &'a Value, found: &mut Vec<&'a Value>) {
    match schema {
        Value::Object(keywords) => {
            if schema["type"] == "object" {
                found.push(schema);
            }
            keywords.values().for_each(|value| objects(value, found));
        }
        Value::Array(all) => all.iter().for_each(|value| objects(value, found)),
        _ => {}
    }
}

#[test]
fn no_object_takes_what_it_does_not_know() {
    for chart in [chart(), crds_chart()] {
        let schema = schema(&chart);
        let mut found = Vec::new();
        objects(&schema, &mut found);
        assert!(!found.is_empty());
        for object in found {
            let is_closed = !object["additionalProperties"].is_null();
            let reason = object["$comment"].as_str().unwrap_or_default();
            assert!(is_closed || REASONS.contains(&reason), "{object}");
        }
    }
}

#[test]
fn the_schemas_have_the_values_that_are_documented() {
    for chart in [chart(), crds_chart()] {
        let schema = schema(&chart);
        let documented = values::of(&chart);
        let mut known = BTreeSet::new();
        for (key, value) in schema["properties"].as_object().unwrap() {
            let parts = value["properties"].as_object().into_iter().flatten();
            let prefix = format!("{key}.");
            let is_group = documented
                .iter()
                .any(|value| value.path.starts_with(&prefix));
            if !is_group {
                known.insert(key.clone());
                continue;
            }
            for (part, value) in parts {
                let prefix = format!("{key}.{part}.");
                let is_group = documented
                    .iter()
                    .any(|value| value.path.starts_with(&prefix));
                let leaves = value["properties"].as_object().into_iter().flatten();
                if is_group {
                    known.extend(leaves.map(|(leaf, _)| format!("{prefix}{leaf}")));
                } else {
                    known.insert(format!("{key}.{part}"));
                }
            }
        }
        assert!(known.remove("global"));
        let documented: BTreeSet<String> = documented.into_iter().map(|it| it.path).collect();
        assert_eq!(known, documented, "{chart}");
    }
}

#[test]
fn values_that_the_schema_cannot_judge_are_refused_with_what_to_do() {
    let table = [
        (
            json!({"watch": {"namespaces": ["a"]}}),
            "clusterId is missing: with watch.namespaces nothing of the cluster is read. Take the \
             output of: kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'",
        ),
        (
            json!({"watch": {"shardSelector": "a in b"}}),
            "watch.shardSelector is no selector: \"a in b\". Write, by commas: key, !key, key=value",
        ),
        (
            json!({"secretAccess": {"mode": "namespaces"}}),
            "secretAccess.namespaces is empty: with secretAccess.mode namespaces it names those",
        ),
        (
            json!({"secretAccess": {"mode": "named", "namespaces": ["a"], "named": {"a": ["b"]}}}),
            "secretAccess.namespaces has no effect with secretAccess.mode named",
        ),
        (
            json!({"secretAccess": {"mode": "named"}}),
            "secretAccess.named is empty: with secretAccess.mode named it has the names",
        ),
        (
            json!({"secretAccess": {"named": {"a": ["b"]}}}),
            "secretAccess.named has no effect with secretAccess.mode cluster",
        ),
        (
            json!({
                "watch": {"namespaces": ["a"]},
                "clusterId": "1",
                "secretAccess": {"mode": "named", "named": {"b": ["c"]}},
            }),
            "secretAccess names the namespace b, which is not among watch.namespaces",
        ),
        (
            json!({"serviceAccount": {"create": false}}),
            "serviceAccount.name is missing: with serviceAccount.create false it names",
        ),
        (
            json!({"caBundle": {"configMap": "a", "secret": "b"}}),
            "caBundle.configMap and caBundle.secret are both given",
        ),
        (
            json!({"proxy": {"noProxy": "a"}}),
            "proxy.noProxy has no effect without proxy.httpsProxy",
        ),
        (
            json!({"metrics": {"service": {"enabled": false}, "serviceMonitor": {"enabled": true}}}),
            "metrics.serviceMonitor.enabled needs metrics.service.enabled",
        ),
        (
            json!({"leaderElection": {"leaseDuration": "1m", "renewDeadline": "1m 1ms"}}),
            "leaderElection.leaseDuration (1m) must be more than leaderElection.renewDeadline",
        ),
        (
            json!({"leaderElection": {"renewDeadline": "10000ms"}}),
            "leaderElection.renewDeadline (10000ms) must be more than leaderElection.renewPeriod",
        ),
        (
            json!({"polling": {"intervalMin": "6m"}}),
            "polling.intervalMin (6m) must not be more than polling.intervalMax (5m)",
        ),
        (
            json!({"retry": {"delayMin": "1h"}}),
            "retry.delayMin (1h) must not be more than retry.delayMax (30m)",
        ),
    ];
    let refusals = fs::read_to_string(format!("{}/templates/validate.yaml", chart())).unwrap();
    assert_eq!(refusals.matches("fail ").count(), table.len());
    for (values, wanted) in table {
        let said = render(&[&values]).expect_err("a refusal");
        assert!(said.contains(wanted), "{values}:\n{said}");
    }
}
