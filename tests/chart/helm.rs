//! Helm, and what it renders.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

use aep_control_plane::{Helm, on_stderr};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use tempfile::TempDir;

/// The release that is rendered, after the chart.
pub const RELEASE: &str = "aep-export-operator";
/// Its namespace.
pub const NAMESPACE: &str = "aep";

/// The pinned Helm, or the one that the environment names.
pub fn binary(version: Helm) -> PathBuf {
    static FOUND: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
    FOUND[version as usize]
        .get_or_init(|| {
            version
                .locate_or_build(&mut on_stderr())
                .unwrap_or_else(|error| panic!("{error}"))
        })
        .clone()
}

/// A folder of this project.
pub fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The operator's chart.
pub fn chart() -> String {
    folder("charts/aep-export-operator").display().to_string()
}

/// The chart of the CRDs.
pub fn crds_chart() -> String {
    folder("charts/aep-export-operator-crds")
        .display()
        .to_string()
}

/// A run of Helm with files of its own, that sees nothing of the environment's.
pub struct Run {
    directory: TempDir,
    command: Command,
}

impl Run {
    /// Of Helm 4.
    pub fn new(arguments: &[&str]) -> Self {
        Self::of(Helm::V4, arguments)
    }

    pub fn of(version: Helm, arguments: &[&str]) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("aep-chart-")
            .tempdir()
            .unwrap();
        let mut command = Command::new(binary(version));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", directory.path());
        Self { directory, command }
    }

    /// With the cluster of a kubeconfig.
    pub fn at(mut self, kubeconfig: &std::path::Path) -> Self {
        self.command.env("KUBECONFIG", kubeconfig);
        self
    }

    /// With values; of several, the later ones win.
    pub fn values(mut self, values: &Value) -> Self {
        let number = self.command.get_args().count();
        let path = self.directory.path().join(format!("values-{number}.json"));
        fs::write(&path, values.to_string()).unwrap();
        self.command.arg("--values").arg(path);
        self
    }

    /// What it printed, or what it complained of.
    pub fn end(mut self) -> Result<String, String> {
        let output = self.command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }
}

/// The manifests of a release, by kind and name; in another namespace by that as well.
#[derive(Debug, PartialEq, Eq)]
pub struct Manifests(BTreeMap<String, String>);

/// Renders the operator's chart with values, of which the later ones win.
pub fn render(values: &[&Value]) -> Result<Manifests, String> {
    render_by(Helm::V4, &chart(), values)
}

/// Renders a chart.
pub fn render_by(version: Helm, chart: &str, values: &[&Value]) -> Result<Manifests, String> {
    let arguments = ["template", RELEASE, chart, "--namespace", NAMESPACE];
    let run = Run::of(version, &arguments);
    let text = values.iter().fold(run, |run, values| run.values(values));
    text.end().map(|text| Manifests::read(&text))
}

impl Manifests {
    fn read(text: &str) -> Self {
        let documents = text.split("\n---\n").map(|document| {
            let lines = document.lines().filter(|line| {
                !(line.is_empty() || *line == "---" || line.starts_with("# Source: "))
            });
            lines.map(|line| format!("{line}\n")).collect::<String>()
        });
        let documents = documents.filter(|text| text.lines().any(|line| !line.starts_with('#')));
        let mut all = BTreeMap::new();
        for text in documents {
            let object: Value =
                serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
            let part = |pointer| {
                object
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or("")
            };
            let (kind, name) = (part("/kind"), part("/metadata/name"));
            let key = match part("/metadata/namespace") {
                "" | NAMESPACE => format!("{kind} {name}"),
                other => format!("{kind} {other}/{name}"),
            };
            let twice = all.insert(key.clone(), text);
            assert!(twice.is_none(), "{key} is there twice");
        }
        Self(all)
    }

    /// Kinds and names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Value {
        let text = self.0.get(name).unwrap_or_else(|| panic!("no {name}"));
        serde_saphyr::from_str(text).unwrap()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Value> {
        self.0
            .values()
            .map(|text| serde_saphyr::from_str(text).unwrap())
    }

    /// The lines that differ, object by object: of those that are new all lines, of those that are
    /// gone only the name.
    pub fn changes_to(&self, other: &Self) -> String {
        let mut told = String::new();
        let mut renamed = Vec::new();
        for (name, old) in &self.0 {
            if let Some(new) = other.0.get(name) {
                if old != new {
                    told.push_str(&format!("{name}\n{}", changed_lines(old, new)));
                }
                continue;
            }
            let heir = other.0.iter().find(|(new_name, new)| {
                let is_new = !self.0.contains_key(*new_name) && !renamed.contains(new_name);
                is_new && is_like(old, new)
            });
            match heir {
                Some((new_name, new)) => {
                    told.push_str(&format!(
                        "{name}: now {new_name}\n{}",
                        changed_lines(old, new)
                    ));
                    renamed.push(new_name);
                }
                None => told.push_str(&format!("gone: {name}\n")),
            }
        }
        for (name, new) in &other.0 {
            if !self.0.contains_key(name) && !renamed.contains(&name) {
                let lines = new.lines().map(|line| format!("+{line}\n"));
                told.push_str(&format!("new: {name}\n{}", lines.collect::<String>()));
            }
        }
        told
    }
}

/// Whether one manifest is the other under another name: of the same kind, with the same keys.
fn is_like(old: &str, new: &str) -> bool {
    let keys = |text: &str| {
        let lines = text
            .lines()
            .map(|line| line.split(": ").next().unwrap().to_owned());
        lines
            .filter(|line| !line.contains("- --"))
            .collect::<Vec<_>>()
    };
    let kind = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("kind: "))
            .map(str::to_owned)
    };
    kind(old) == kind(new) && keys(old) == keys(new)
}

fn changed_lines(old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let changes = diff.iter_all_changes().filter_map(|change| {
        let sign = match change.tag() {
            ChangeTag::Equal => return None,
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
        };
        Some(format!("{sign}{}", change.value()))
    });
    changes.collect()
}

/// Does something for each of many, on a few threads; results in their order.
pub fn for_each<T: Sync, R: Send>(all: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let share = all.len().div_ceil(4).max(1);
    std::thread::scope(|scope| {
        let act = &act;
        let threads: Vec<_> = all
            .chunks(share)
            .map(|some| scope.spawn(move || some.iter().map(act).collect::<Vec<_>>()))
            .collect();
        let results = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        results.collect()
    })
}
