//! What the operator costs at scale: its release binary against a real API server and a simulated
//! tenant. `make bench` builds what this needs and calls it.
//!
//! Rows that need the same objects are measured in one scene. Each scene is a process of its own
//! with a control plane of its own, so that it neither sees nor leaves anything of another, and one
//! that fails does not stop the others.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "what cannot be measured ends its scene; counts are far below 2^52"
)]

mod fixture;
#[allow(
    dead_code,
    unused_imports,
    reason = "the tests' harness, of which a benchmark needs a part"
)]
#[path = "../tests/e2e/harness/mod.rs"]
mod harness;
mod operator;
mod report;
mod rows;
mod statistics;

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
};

use report::{Report, Row, selected};
use rows::{SCENES, Scene};

/// The argument that makes a process run one scene.
const SCENE: &str = "--scene";

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let scene = arguments
        .by_ref()
        .find(|argument| argument == SCENE)
        .and_then(|_| arguments.next());
    match scene {
        Some(name) => measure(&name),
        None => measure_all(),
    }
}

/// Runs one scene, on the control plane that is there.
fn measure(name: &str) -> ExitCode {
    let Some(scene) = SCENES.iter().find(|scene| scene.name == name) else {
        eprintln!("bench: there is no scene {name}");
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on((scene.run)(Report::new(scene)));
    ExitCode::SUCCESS
}

/// Runs all scenes that have a row which is asked for, one after the other.
fn measure_all() -> ExitCode {
    let unknown = report::unknown();
    if !unknown.is_empty() {
        eprintln!("bench: there is no row {}", unknown.join(", "));
        return ExitCode::FAILURE;
    }
    let wanted = |scene: &&Scene| scene.rows.iter().any(|row| selected(row.name));
    let (mut ok, mut missed, mut errors) = (0, 0, 0);
    for scene in SCENES.iter().filter(wanted) {
        eprintln!("bench: scene {}", scene.name);
        match runs(scene) {
            Ok(lines) => {
                ok += lines.iter().filter(|line| line.ends_with(" ok")).count();
                missed += lines.iter().filter(|line| line.ends_with(" miss")).count();
            }
            Err(error) => {
                eprintln!("bench: scene {} failed: {error}", scene.name);
                errors += 1;
            }
        }
    }
    println!("bench: ok={ok} miss={missed} errors={errors}");
    if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a scene, and as often as is asked for what of its rows is measured in each run. Prints what
/// it says, and gives that.
fn runs(scene: &Scene) -> Result<Vec<String>, String> {
    let again: Vec<&Row> = scene
        .rows
        .iter()
        .filter(|row| row.is_in_each_run() && selected(row.name))
        .collect();
    let names: Vec<&str> = again.iter().map(|row| row.name).collect();
    let mut values = vec![Vec::new(); again.len()];
    let mut lines = Vec::new();
    let mut rows = None;
    let times = if again.is_empty() { 1 } else { report::runs() };
    for _ in 0..times {
        run(scene, rows.as_deref(), |line| {
            let mut rows = again.iter().zip(&mut values);
            match rows.find_map(|(row, values)| Some((values, row.value(&line)?))) {
                Some((values, value)) => values.push(value),
                None => {
                    println!("{line}");
                    lines.push(line);
                }
            }
        })?;
        rows = Some(names.join(","));
    }
    for (row, values) in again.iter().zip(&values) {
        for line in row.lines(values) {
            println!("{line}");
            lines.push(line);
        }
    }
    Ok(lines)
}

/// Runs a scene once, in a process with a control plane: all that is asked for, or these rows. Each
/// line that it prints is for `told`.
fn run(scene: &Scene, rows: Option<&str>, mut told: impl FnMut(String)) -> Result<(), String> {
    let control_plane = aep_control_plane::workspace_binary("control-plane");
    let control_plane = control_plane.map_err(|error| error.to_string())?;
    let own = env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Command::new(control_plane)
        .args(["run", "--"])
        .arg(own)
        .args([SCENE, scene.name])
        .envs(rows.map(|rows| (report::ROWS, rows)))
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
        told(line.map_err(|error| error.to_string())?);
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() {
        Ok(())
    } else {
        Err(status.to_string())
    }
}
