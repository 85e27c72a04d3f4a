//! kubectl and helm, and waiting for what they show.

use std::env;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything takes on a busy machine.
const LONG: Duration = Duration::from_mins(2);
/// How often a condition is looked at.
const TICK: Duration = Duration::from_millis(200);

/// Runs a program, with `input` if there is some; returns what it printed, or why it failed.
fn run(program: &str, arguments: &[&str], input: Option<&str>) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A program that has ended says why by itself.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|error| format!("{program}: {error}"))?;
    let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() {
        return Err(format!("{program} {}: {error}", arguments.join(" ")));
    }
    // Warnings are for people, and some steps judge them.
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(if error.is_empty() {
        printed
    } else {
        format!("{error}\n{printed}").trim().to_owned()
    })
}

pub fn kubectl(arguments: &[&str]) -> Result<String, String> {
    run("kubectl", arguments, None)
}

pub fn kubectl_with(arguments: &[&str], input: &str) -> Result<String, String> {
    run("kubectl", arguments, Some(input))
}

/// `values` are for those subcommands that have `--values -` among their arguments.
pub fn helm(arguments: &[&str], values: &str) -> Result<String, String> {
    let helm = env::var("AEP_HELM_BIN").map_err(|error| format!("AEP_HELM_BIN: {error}"))?;
    run(&helm, arguments, Some(values))
}

/// What kubectl shows as JSON.
pub fn json(arguments: &[&str]) -> Result<Value, String> {
    let text = kubectl(&[arguments, &["--output", "json"]].concat())?;
    serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
}

/// Waits until a look succeeds, and fails with what the last one said.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let began = Instant::now();
    loop {
        match look() {
            Ok(value) => return Ok(value),
            Err(said) if began.elapsed() > LONG => {
                return Err(format!("waited for {what}; last: {said}"));
            }
            Err(_) => thread::sleep(TICK),
        }
    }
}

/// The text at a JSON pointer; empty if there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// The items of a list.
pub fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

/// Whether a condition of an object is true.
pub fn is(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|it| it["type"] == condition && it["status"] == "True")
}
