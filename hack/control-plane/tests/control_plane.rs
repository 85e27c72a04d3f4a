//! A control plane works, and nothing of it is left when it or its owner ends.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests, too")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use aep_control_plane::{Assets, ControlPlane, Options, REUSE_VARIABLE, Signal, on_stderr, shared};
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

use crate::support::{control_plane, eventually, mentioning, runs};

/// etcd, kube-apiserver and kube-controller-manager; each has the folder in its arguments.
const COMPONENTS: usize = 3;

fn start() -> ControlPlane {
    start_with(&Options::default())
}

fn start_with(options: &Options) -> ControlPlane {
    let assets = Assets::locate_or_build(&mut on_stderr()).unwrap();
    ControlPlane::start(&assets, options).unwrap()
}

/// Starts `control-plane run` without a command, the owner of a control plane in another process.
fn start_in_a_process() -> (Child, PathBuf) {
    let mut command = control_plane();
    command
        .arg("run")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut owner = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(owner.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let kubeconfig = line.trim().strip_prefix("export KUBECONFIG=").unwrap();
    (owner, Path::new(kubeconfig).parent().unwrap().to_owned())
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

fn components(directory: &Path) -> usize {
    mentioning(directory.to_str().unwrap())
}

/// Runs kubectl, which must succeed.
#[track_caller]
fn kubectl(plane: &ControlPlane, arguments: &[&str]) -> String {
    let output = plane.kubectl().args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "kubectl {arguments:?}: {}",
        both(&output)
    );
    both(&output)
}

fn both(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes))
        .concat()
}

#[test]
fn a_control_plane_is_real_and_leaves_nothing_behind_when_dropped() {
    let files = TempDir::new().unwrap();
    let policy = files.path().join("audit-policy.yaml");
    let text = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n";
    fs::write(&policy, text).unwrap();
    let plane = start_with(&Options {
        audit_policy: Some(policy),
        ..Options::default()
    });
    let directory = plane.layout().directory().to_owned();
    let supervisor = plane.supervisor_pid().unwrap();
    assert_eq!(components(&directory), COMPONENTS);

    assert_eq!(kubectl(&plane, &["get", "--raw", "/readyz"]), "ok");
    let version = kubectl(&plane, &["version", "-o", "yaml"]);
    let kubernetes = include_str!("../go.mod")
        .split("require k8s.io/kubernetes ")
        .nth(1);
    let pinned = kubernetes.unwrap().split_whitespace().next().unwrap();
    assert!(
        version.contains(&format!("gitVersion: {pinned}")),
        "{version}"
    );

    // The server's certificate is only good with the authority of this control plane.
    let stranger = Command::new(plane.bin_dir().join("kubectl"))
        .env("KUBECONFIG", "/dev/null")
        .args([
            "--server",
            plane.server(),
            "--token",
            "none",
            "get",
            "--raw",
            "/readyz",
        ])
        .output()
        .unwrap();
    assert!(
        both(&stranger).contains("unknown authority"),
        "{}",
        both(&stranger)
    );
    // RBAC decides.
    let service_account = "--as=system:serviceaccount:default:default";
    let forbidden = plane
        .kubectl()
        .args(["auth", "can-i", "list", "secrets", service_account])
        .output();
    assert_eq!(both(&forbidden.unwrap()).trim(), "no");
    // Service accounts have tokens that the API server accepts.
    let token = kubectl(&plane, &["create", "token", "default"]);
    let who = kubectl(&plane, &["auth", "whoami", "--token", token.trim()]);
    assert!(
        who.contains("system:serviceaccount:default:default"),
        "{who}"
    );
    // Controllers work: workloads have pods, and namespaces go with all that is in them.
    kubectl(&plane, &["create", "namespace", "lives"]);
    kubectl(
        &plane,
        &[
            "-n",
            "lives",
            "create",
            "deployment",
            "web",
            "--image=none.invalid/web",
        ],
    );
    eventually("the deployment has a pod", || {
        kubectl(&plane, &["-n", "lives", "get", "pods"]).contains("web-")
    });
    kubectl(
        &plane,
        &["delete", "namespace", "lives", "--wait", "--timeout=60s"],
    );
    let left = plane
        .kubectl()
        .args(["get", "namespace", "lives"])
        .output()
        .unwrap();
    assert!(both(&left).contains("NotFound"), "{}", both(&left));
    let audit = fs::read_to_string(plane.layout().audit_log()).unwrap();
    assert!(
        audit.contains("\"verb\":\"delete\"") && audit.contains("lives"),
        "{audit}"
    );

    drop(plane);
    assert_eq!(components(&directory), 0);
    assert!(!runs(supervisor));
    assert!(!directory.exists());
}

#[test]
fn nothing_is_left_when_the_owner_panics() {
    let (sender, receiver) = mpsc::channel();
    let owner = thread::spawn(move || {
        let plane = start();
        sender.send(plane.layout().directory().to_owned()).unwrap();
        panic!("on purpose");
    });
    let directory = receiver.recv().unwrap();
    assert!(owner.join().is_err());
    assert_eq!(components(&directory), 0);
    assert!(!directory.exists());
}

#[test]
fn nothing_is_left_when_the_owner_is_killed() {
    let (mut owner, directory) = start_in_a_process();
    assert_eq!(components(&directory), COMPONENTS);
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("no component runs", || components(&directory) == 0);
    eventually("the folder is gone", || !directory.exists());
}

#[test]
fn nothing_is_left_when_the_owner_is_interrupted() {
    let (mut owner, directory) = start_in_a_process();
    signal(owner.id(), Signal::INT);
    assert!(owner.wait().unwrap().success());
    assert_eq!(components(&directory), 0);
    assert!(!directory.exists());
}

#[test]
fn nothing_is_left_when_the_supervisor_is_killed() {
    let mut plane = start();
    let directory = plane.layout().directory().to_owned();
    signal(plane.supervisor_pid().unwrap(), Signal::KILL);
    eventually("no component runs", || components(&directory) == 0);
    eventually("the owner knows", || plane.has_ended());
    drop(plane);
    assert!(!directory.exists());
}

#[test]
fn the_others_end_when_one_component_does() {
    let (owner, directory) = start_in_a_process();
    let data = format!("--data-dir={}", directory.display());
    let etcd = fs::read_dir("/proc").unwrap().flatten().find(|entry| {
        fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&data))
    });
    let etcd = etcd.unwrap().file_name().to_str().unwrap().parse().unwrap();
    signal(etcd, Signal::KILL);
    eventually("no component runs", || components(&directory) == 0);
    let output = owner.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        both(&output).contains("etcd ended by itself"),
        "{}",
        both(&output)
    );
    assert!(!directory.exists());
}

#[test]
fn the_reason_of_a_failed_start_is_told_with_the_components_last_words() {
    let assets = TempDir::new().unwrap();
    support::script(&assets.path().join("etcd"), "sleep 1000");
    support::script(
        &assets.path().join("kube-apiserver"),
        "echo 'no such flag'; exit 4",
    );
    for name in ["kube-controller-manager", "kubectl"] {
        support::script(&assets.path().join(name), "exit 1");
    }
    let output = control_plane()
        .env("KUBEBUILDER_ASSETS", assets.path())
        .args(["run", "--", "true"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = both(&output);
    assert!(
        text.contains("kube-apiserver ended by itself (exit status: 4)"),
        "{text}"
    );
    assert!(text.contains("no such flag"), "{text}");
}

#[test]
fn a_start_gives_up_when_other_programs_take_every_port() {
    let assets = TempDir::new().unwrap();
    support::script(
        &assets.path().join("etcd"),
        "echo x >>\"$STARTS\"; echo 'bind: address already in use'",
    );
    for name in ["kube-apiserver", "kube-controller-manager", "kubectl"] {
        support::script(&assets.path().join(name), "exec sleep 1000");
    }
    let starts = assets.path().join("starts");
    let output = control_plane()
        .env("KUBEBUILDER_ASSETS", assets.path())
        .env("STARTS", &starts)
        .args(["run", "--", "true"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        both(&output).contains("took the free ports 5 times"),
        "{}",
        both(&output)
    );
    assert_eq!(fs::read_to_string(starts).unwrap().lines().count(), 5);
}

/// Also run below, in an environment that names a control plane.
#[test]
fn the_shared_control_plane_is_the_one_of_the_environment_if_it_names_one() {
    let plane = shared().unwrap();
    match std::env::var_os(REUSE_VARIABLE) {
        Some(directory) => {
            assert!(plane.is_reused());
            assert_eq!(plane.layout().directory(), directory);
        }
        None => assert!(!plane.is_reused()),
    }
    assert!(std::ptr::eq(plane, shared().unwrap()));
    assert_eq!(kubectl(plane, &["get", "--raw", "/readyz"]), "ok");
}

#[test]
fn the_command_of_run_has_kubectl_and_its_tests_share_the_control_plane() {
    let this = std::env::current_exe().unwrap();
    let test = "the_shared_control_plane_is_the_one_of_the_environment_if_it_names_one";
    let script = "kubectl get namespace default -o name; \"$0\" --exact \"$1\"; exit 7";
    let mut run = control_plane();
    run.args(["run", "--", "sh", "-c", script])
        .arg(this)
        .arg(test);
    let output = run.output().unwrap();
    let printed = both(&output);
    assert_eq!(output.status.code(), Some(7), "{printed}");
    assert!(printed.starts_with("namespace/default\n"), "{printed}");
    assert!(printed.contains("1 passed"), "{printed}");
}

#[test]
fn a_named_control_plane_that_does_not_run_is_an_error_with_the_remedy() {
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this)
        .args([
            "--exact",
            "the_shared_control_plane_is_the_one_of_the_environment_if_it_names_one",
        ])
        .env(REUSE_VARIABLE, "/nonexistent")
        .output()
        .unwrap();
    assert!(
        both(&output).contains("no control plane answers"),
        "{}",
        both(&output)
    );
    assert!(
        both(&output).contains("control-plane run"),
        "{}",
        both(&output)
    );
}
