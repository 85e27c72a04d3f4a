//! Compares the rights that roles grant with those that an API server's audit log shows to be used.
//!
//! Prints each right that is granted and never used, and each request that was denied, and at last
//! `rbac: granted=N used=N unused=0 denied=0`. It fails unless these two are 0.

mod audit;
mod rights;

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;

use self::{
    audit::Decision,
    rights::{Rights, Use},
};

/// Compares the rights that roles grant with those that an audit log shows to be used.
#[derive(Debug, Parser)]
struct Arguments {
    /// Manifests, of which the roles count, those of the cluster too
    #[arg(long, value_name = "FILE")]
    roles: PathBuf,
    /// The API server's audit log, one event a line
    #[arg(long, value_name = "FILE")]
    audit_log: PathBuf,
    /// The name of the service accounts, in whatever namespace
    #[arg(long, value_name = "NAME")]
    account: String,
    /// Rights that nothing need use, one a line: `RESOURCE VERB: REASON`
    #[arg(long, value_name = "FILE")]
    unused: Option<PathBuf>,
}

/// What keeps the check from being made.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: {source}")]
    Roles {
        path: PathBuf,
        source: Box<rights::Unreadable>,
    },
    #[error("{path}: line {line}: {source}")]
    Event {
        path: PathBuf,
        line: usize,
        source: serde_json::Error,
    },
    #[error("{path}: line {line}: write RESOURCE VERB: REASON")]
    Reason { path: PathBuf, line: usize },
    #[error("{0}: no request of account {1} is in it")]
    Nothing(PathBuf, String),
    #[error("print the result: {0}")]
    Print(#[from] io::Error),
}

fn main() -> ExitCode {
    match check(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("rbac-check: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all that is granted is used, and nothing else was asked for.
fn check(arguments: &Arguments) -> Result<bool, Failure> {
    let mut rights = rights_of(&arguments.roles)?;
    if let Some(path) = &arguments.unused {
        excuse(&mut rights, path)?;
    }
    let denied = replay(&mut rights, arguments)?;
    let mut out = io::stdout().lock();
    for (right, reason) in rights.excused() {
        writeln!(out, "rbac: {right} need not be used: {reason}")?;
    }
    let unused: Vec<_> = rights.unused().collect();
    for right in &unused {
        writeln!(out, "rbac: {right} is granted and never used")?;
    }
    for request in &denied {
        writeln!(out, "rbac: {request}")?;
    }
    writeln!(
        out,
        "rbac: granted={} used={} unused={} denied={}",
        rights.granted(),
        rights.used(),
        unused.len(),
        denied.len()
    )?;
    Ok(unused.is_empty() && denied.is_empty())
}

fn rights_of(path: &Path) -> Result<Rights, Failure> {
    let text = fs::read_to_string(path).map_err(reading(path))?;
    Rights::parse(&text).map_err(|source| Failure::Roles {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

fn excuse(rights: &mut Rights, path: &Path) -> Result<(), Failure> {
    let text = fs::read_to_string(path).map_err(reading(path))?;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = || Failure::Reason {
            path: path.to_owned(),
            line: number + 1,
        };
        let (right, reason) = line.split_once(": ").ok_or_else(bad)?;
        let (resource, verb) = right.split_once(' ').ok_or_else(bad)?;
        if !rights.excuse(resource, verb, reason) {
            return Err(bad());
        }
    }
    Ok(())
}

/// Takes in the log. Gives what was denied, or allowed by other roles: each once, as a sentence.
fn replay(rights: &mut Rights, arguments: &Arguments) -> Result<Vec<String>, Failure> {
    let path = &arguments.audit_log;
    let log = BufReader::new(File::open(path).map_err(reading(path))?);
    let mut denied = Vec::new();
    let mut seen = false;
    for (number, line) in log.lines().enumerate() {
        let line = line.map_err(reading(path))?;
        let event: audit::Event = match serde_json::from_str(&line) {
            Ok(event) => event,
            Err(source) => {
                return Err(Failure::Event {
                    path: path.clone(),
                    line: number + 1,
                    source,
                });
            }
        };
        let Some(request) = event.of(&arguments.account) else {
            continue;
        };
        seen = true;
        let sentence = match (event.decision(), rights.take(&request)) {
            (Decision::Allowed, Use::Granted) => continue,
            (Decision::Allowed, Use::NotGranted) => format!("{request} is allowed by other roles"),
            (Decision::Denied, _) => format!("{request} was denied"),
        };
        if !denied.contains(&sentence) {
            denied.push(sentence);
        }
    }
    if seen {
        Ok(denied)
    } else {
        let (log, account) = (path.clone(), arguments.account.clone());
        Err(Failure::Nothing(log, account))
    }
}

fn reading(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    move |source| Failure::Read { path, source }
}
