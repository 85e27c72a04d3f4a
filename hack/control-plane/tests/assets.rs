//! Binaries are found, else built once. `go` is a script here: what it would build is proven by the
//! tests that start it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests, too")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::{control_plane, eventually, script};

const BINARIES: [&str; 4] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kubectl",
];

/// Writes its last argument, the package, to a file, and makes the binary.
const GO: &str = r#"
case "$1" in
env) echo go1.99.0 ;;
build)
    for argument; do
        [ "$previous" = -o ] && output=$argument
        previous=$argument
    done
    echo "$argument" >>"$(dirname "$0")/packages"
    while [ -e "$(dirname "$0")/pause" ]; do sleep 0.01; done
    : >"$output"
    ;;
esac"#;

/// A machine with its own `go` and its own cache.
struct Machine {
    directory: TempDir,
}

impl Machine {
    fn with_go(go: &str) -> Self {
        let machine = Self {
            directory: TempDir::new().unwrap(),
        };
        fs::create_dir(machine.path("bin")).unwrap();
        script(&machine.path("bin/go"), go);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn build(&self) -> Command {
        let mut command = control_plane();
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        command.arg("build").env("PATH", path);
        command.env("AEP_CONTROL_PLANE_CACHE", self.path("cache"));
        command
    }

    /// The packages that were built, in order.
    fn packages(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("bin/packages")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// A folder of the envtest convention.
    fn assets(&self, names: &[&str]) -> PathBuf {
        let directory = self.path("assets");
        fs::create_dir(&directory).unwrap();
        for name in names {
            script(&directory.join(name), "");
        }
        directory
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn printed_folder(output: &Output) -> PathBuf {
    assert!(output.status.success(), "{}", stderr(output));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

#[test]
fn every_binary_is_built_once_with_progress_and_then_found() {
    let machine = Machine::with_go(GO);
    let first = machine.build().output().unwrap();
    let folder = printed_folder(&first);
    assert!(
        folder.starts_with(machine.path("cache/control-plane")),
        "{}",
        folder.display()
    );
    for (index, name) in BINARIES.iter().enumerate() {
        assert!(folder.join(name).is_file(), "{name}");
        let number = index + 1;
        let line = format!("building {name} ({number} of 4)");
        assert!(stderr(&first).contains(&line), "{}", stderr(&first));
    }
    assert_eq!(machine.packages().len(), 4);

    let second = machine.build().output().unwrap();
    assert_eq!(printed_folder(&second), folder);
    assert_eq!(machine.packages().len(), 4);
}

#[test]
fn of_two_builds_at_once_one_waits_for_the_other() {
    let machine = Machine::with_go(GO);
    fs::write(machine.path("bin/pause"), "").unwrap();
    let first = machine
        .build()
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the first build runs", || !machine.packages().is_empty());
    let log = machine.path("second.log");
    let second = machine
        .build()
        .stderr(fs::File::create(&log).unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the second build waits", || {
        fs::read_to_string(&log)
            .unwrap()
            .contains("waiting for another build")
    });
    fs::remove_file(machine.path("bin/pause")).unwrap();
    let folder = printed_folder(&first.wait_with_output().unwrap());
    assert_eq!(printed_folder(&second.wait_with_output().unwrap()), folder);
    assert_eq!(machine.packages().len(), 4);
}

#[test]
fn a_complete_envtest_folder_needs_no_go_and_may_be_a_relative_path() {
    let machine = Machine::with_go("exit 1");
    let assets = machine.assets(&BINARIES);
    let mut build = machine.build();
    build
        .current_dir(machine.path("."))
        .env("KUBEBUILDER_ASSETS", "assets");
    assert_eq!(printed_folder(&build.output().unwrap()), assets);
    assert!(!machine.path("cache").exists());
}

#[test]
fn an_envtest_folder_without_a_controller_manager_gets_this_one_alone() {
    let machine = Machine::with_go(GO);
    let assets = machine.assets(&["etcd", "kube-apiserver", "kubectl"]);
    let output = machine
        .build()
        .env("KUBEBUILDER_ASSETS", &assets)
        .output()
        .unwrap();
    assert_eq!(printed_folder(&output), assets);
    assert_eq!(
        machine.packages(),
        ["k8s.io/kubernetes/cmd/kube-controller-manager"]
    );
    let text = stderr(&output);
    assert!(
        text.contains("has no kube-controller-manager; taking the project's own"),
        "{text}"
    );
}

#[test]
fn an_envtest_folder_without_an_api_server_is_an_error() {
    let machine = Machine::with_go(GO);
    let assets = machine.assets(&["etcd", "kubectl"]);
    let output = machine
        .build()
        .env("KUBEBUILDER_ASSETS", &assets)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = stderr(&output);
    assert!(
        text.contains("has no kube-apiserver: set it to a folder"),
        "{text}"
    );
}

#[test]
fn go_that_is_missing_or_too_old_is_said_in_one_line_with_the_remedy() {
    for (go, reason) in [
        (None, "there is no `go` in PATH"),
        (Some("echo go1.20.4"), "the one in PATH is go1.20.4"),
        (
            Some("echo 'go.mod requires go >= 1.26.0' >&2; exit 1"),
            "requires go >= 1.26.0",
        ),
    ] {
        let machine = Machine::with_go(go.unwrap_or_default());
        let mut build = machine.build();
        if go.is_none() {
            build.env("PATH", machine.path("nothing"));
        }
        let output = build.output().unwrap();
        assert!(!output.status.success());
        let text = stderr(&output);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(reason), "{text}");
        assert!(text.contains("https://go.dev/dl"), "{text}");
    }
}

#[test]
fn a_failed_build_shows_its_last_lines_and_leaves_no_binary() {
    let go = "[ \"$1\" = env ] && echo go1.99.0 && exit; echo 'no space left' >&2; exit 1";
    let machine = Machine::with_go(go);
    let output = machine.build().output().unwrap();
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("no space left"),
        "{}",
        stderr(&output)
    );
    let built = |directory: &Path| BINARIES.iter().any(|name| directory.join(name).exists());
    let keys = fs::read_dir(machine.path("cache/control-plane"))
        .unwrap()
        .flatten();
    assert!(!keys.into_iter().any(|key| built(&key.path())));
}
