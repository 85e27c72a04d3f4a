//! What the tests of processes share.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Far more than anything takes on a machine that works.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(1);

/// Waits until a condition holds, and fails by its name when it does not come about.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(
            begin.elapsed() < TIMEOUT,
            "after {TIMEOUT:?} it still does not hold that {what}"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process runs. One that ended and was not waited for does not: whether an orphan is
/// waited for depends on the machine's first process.
pub(crate) fn runs(pid: u32) -> bool {
    // "PID (NAME) STATE …", where the name may hold anything.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// How many processes have this text in their command line.
pub(crate) fn mentioning(text: &str) -> usize {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            fs::read(entry.path().join("cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
        })
        .count()
}

/// The binary of this crate, without what the developer's environment says about assets.
pub(crate) fn control_plane() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_control-plane"));
    command.env_remove("KUBEBUILDER_ASSETS");
    command
}

/// Writes an executable shell script.
pub(crate) fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}
