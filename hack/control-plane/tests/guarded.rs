//! A guarded process ends with its owner, however that ends.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests, too")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use aep_control_plane::{Error, Exit, Guarded, Signal};
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

use crate::support::{TIMEOUT, control_plane, eventually, runs};

/// A folder for one log, removed at the end of the test.
struct Log {
    _directory: TempDir,
    path: PathBuf,
}

impl Log {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("log");
        Self {
            _directory: directory,
            path,
        }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap_or_default()
    }
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn sleep() -> Command {
    let mut command = Command::new("sleep");
    command.arg("1000");
    command
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number.try_into().unwrap()).unwrap()
}

#[test]
fn output_environment_and_folder_are_the_commands_and_the_exit_code_is_reported() {
    let log = Log::new();
    let mut command = shell("echo \"$GREETING from $(pwd)\"; echo trouble >&2; exit 3");
    command.env("GREETING", "hello").current_dir("/");
    let mut guarded = Guarded::spawn(&command, &log.path).unwrap();
    assert_eq!(guarded.wait_exit(TIMEOUT).unwrap(), Exit::Code(3));
    assert_eq!(guarded.exit(), Some(Exit::Code(3)));
    assert_eq!(log.text(), "hello from /\ntrouble\n");
}

#[test]
fn a_second_process_appends_to_the_log_of_the_first() {
    let log = Log::new();
    for line in ["first", "second"] {
        let mut guarded = Guarded::spawn(Command::new("echo").arg(line), &log.path).unwrap();
        assert!(guarded.wait_exit(TIMEOUT).unwrap().success());
    }
    assert_eq!(log.text(), "first\nsecond\n");
}

#[test]
fn a_killed_process_is_reported_with_the_signal() {
    let log = Log::new();
    let mut guarded = Guarded::spawn(&sleep(), &log.path).unwrap();
    assert!(runs(guarded.pid()));
    assert_eq!(guarded.exit(), None);
    guarded.kill(Signal::KILL).unwrap();
    assert_eq!(guarded.wait_exit(TIMEOUT).unwrap(), Exit::Signal(9));
    assert!(!runs(guarded.pid()));
    // The process id may be another's by now.
    guarded.kill(Signal::KILL).unwrap();
}

#[test]
fn a_process_that_goes_on_is_named_with_its_output() {
    let log = Log::new();
    let mut guarded = Guarded::spawn(&shell("echo working; exec sleep 1000"), &log.path).unwrap();
    eventually("the process has written", || log.text() == "working\n");
    let error = guarded.wait_exit(Duration::from_millis(1)).unwrap_err();
    assert!(matches!(error, Error::StillRuns { .. }), "{error}");
    assert!(error.to_string().contains("working"), "{error}");
}

#[test]
fn a_program_that_does_not_exist_ends_with_127_and_says_so() {
    let log = Log::new();
    let mut guarded = Guarded::spawn(&Command::new("no-such-program"), &log.path).unwrap();
    assert_eq!(guarded.wait_exit(TIMEOUT).unwrap(), Exit::Code(127));
    assert!(
        log.text().contains("cannot run no-such-program"),
        "{}",
        log.text()
    );
}

#[test]
fn a_log_that_cannot_be_written_is_an_error() {
    let log = TempDir::new().unwrap().path().join("gone").join("log");
    let error = Guarded::spawn(&sleep(), &log).unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
}

#[test]
fn a_dropped_process_gets_the_chance_to_end_well() {
    let log = Log::new();
    let script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
    let guarded = Guarded::spawn(&shell(script), &log.path).unwrap();
    eventually("the process listens", || log.text() == "ready\n");
    drop(guarded);
    assert!(log.text().ends_with("bye\n"), "{}", log.text());
}

#[test]
fn a_dropped_process_that_does_not_listen_is_killed() {
    let log = Log::new();
    let script = "trap '' TERM; echo ready; while :; do sleep 0.01; done";
    let guarded = Guarded::spawn(&shell(script), &log.path).unwrap();
    eventually("the process ignores SIGTERM", || log.text() == "ready\n");
    let pid = guarded.pid();
    drop(guarded);
    assert!(!runs(pid));
}

#[test]
fn what_a_process_started_ends_with_it() {
    let log = Log::new();
    let mut guarded = Guarded::spawn(&shell("sleep 1000 & echo $!"), &log.path).unwrap();
    assert!(guarded.wait_exit(TIMEOUT).unwrap().success());
    let grandchild = log.text().trim().parse().unwrap();
    eventually("the grandchild has ended", || !runs(grandchild));
}

#[test]
fn a_guarded_process_dies_when_its_guard_is_killed() {
    let log = Log::new();
    let mut guarded = Guarded::spawn(&sleep(), &log.path).unwrap();
    kill_process(pid(guarded.guard_pid()), Signal::KILL).unwrap();
    let child = guarded.pid();
    eventually("the process has ended", || !runs(child));
    let error = guarded.wait_exit(TIMEOUT).unwrap_err();
    assert!(matches!(error, Error::GuardLost { .. }), "{error}");
}

#[test]
fn a_guarded_process_ends_when_its_guard_is_interrupted() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let log = Log::new();
        let mut guarded = Guarded::spawn(&sleep(), &log.path).unwrap();
        kill_process(pid(guarded.guard_pid()), signal).unwrap();
        assert_eq!(guarded.wait_exit(TIMEOUT).unwrap(), Exit::Signal(15));
    }
}

#[test]
fn a_guarded_process_ends_when_the_guards_input_ends() {
    let mut guard = control_plane()
        .args(["guard", "--", "sleep", "1000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(guard.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let child = line.trim().strip_prefix("pid ").unwrap().parse().unwrap();
    assert!(runs(child));

    drop(guard.stdin.take());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "exit signal 15\n");
    assert_eq!(guard.wait().unwrap().code(), Some(128 + 15));
    assert!(!runs(child));
}

#[test]
fn a_guarded_process_ends_when_its_owner_panics() {
    let log = Log::new();
    let path = log.path.clone();
    let (sender, receiver) = std::sync::mpsc::channel();
    let owner = std::thread::spawn(move || {
        let guarded = Guarded::spawn(&sleep(), &path).unwrap();
        sender.send(guarded.pid()).unwrap();
        panic!("on purpose");
    });
    assert!(owner.join().is_err());
    assert!(!runs(receiver.recv().unwrap()));
}

#[test]
fn nothing_is_started_for_a_parent_that_is_gone() {
    // The first process is not this one's, so it is not the new process's parent.
    let output = control_plane()
        .args(["exec", "--die-with-parent", "1", "--", "echo", "started"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}
