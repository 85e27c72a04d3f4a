//! The values of a chart, as its values.yaml documents them.

use std::{env, fs, path::Path};

use serde_json::Value;

/// A value with its comment.
#[derive(Debug)]
pub struct Documented {
    /// Its path, as in `image.tag`.
    pub path: String,
    /// What the comment says, on one line.
    pub comment: String,
    /// What it is if nobody sets it.
    pub default: Value,
}

/// The values of a chart, in their order. Each is a key with a comment that begins with `# --`;
/// what is below such a key is part of its value.
pub fn of(chart: &str) -> Vec<Documented> {
    let path = Path::new(chart).join("values.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let defaults: Value = serde_saphyr::from_str(&text).unwrap();
    let mut all: Vec<Documented> = Vec::new();
    let mut comment = String::new();
    let mut groups: Vec<(usize, String)> = Vec::new();
    // The indentation of the value whose parts follow.
    let mut within = None;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let indent = line.len() - line.trim_start().len();
        if within.is_some_and(|value| indent > value) {
            continue;
        }
        within = None;
        if let Some(said) = line.trim_start().strip_prefix('#') {
            match said.strip_prefix(" -- ") {
                Some(said) => comment = said.to_owned(),
                None if comment.is_empty() => panic!("no comment on a value: {line}"),
                None => comment.push_str(said),
            }
            continue;
        }
        groups.retain(|(above, _)| *above < indent);
        let (key, rest) = line.trim_start().split_once(':').unwrap();
        let mut path: Vec<&str> = groups.iter().map(|(_, key)| key.as_str()).collect();
        path.push(key);
        let (path, pointer) = (path.join("."), format!("/{}", path.join("/")));
        if comment.is_empty() {
            assert!(rest.is_empty(), "{path} has no comment");
            groups.push((indent, key.to_owned()));
        } else {
            within = Some(indent);
            all.push(Documented {
                path,
                comment: std::mem::take(&mut comment),
                default: defaults.pointer(&pointer).unwrap().clone(),
            });
        }
    }
    all
}

/// Holds a file of this project to what it shall say; with `UPDATE` set, writes it.
pub fn same_or_written(path: &Path, wanted: &str) {
    let stored = fs::read_to_string(path).unwrap_or_default();
    if stored == wanted {
        return;
    }
    if env::var_os("UPDATE").is_some_and(|value| !value.is_empty()) {
        fs::write(path, wanted).unwrap();
        return;
    }
    let lines = stored.lines().zip(wanted.lines());
    let line = lines
        .take_while(|(stored, wanted)| stored == wanted)
        .count();
    panic!(
        "{} differs from line {} on, which should be:\n{}\nRun `UPDATE=1 cargo test --test chart`, \
         and look at what changed",
        path.display(),
        line + 1,
        wanted.lines().nth(line).unwrap_or_default()
    );
}
