//! Pods run on a node, and nothing of it is left.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests, too")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{control_plane, eventually};

/// Prints the namespace of processes that it is in, and `running` when a pod runs for which the
/// strictest rules hold.
const POD: &str = r"
set -e
readlink /proc/self/ns/pid
kubectl apply -f - >&2 <<END
apiVersion: v1
kind: Namespace
metadata: {name: restricted, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Pod
metadata: {name: pod, namespace: restricted}
spec:
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: pause
      image: localhost/pause:node
      imagePullPolicy: Never
      securityContext:
        {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
END
kubectl wait pod/pod --namespace restricted --for condition=Ready --timeout 60s >&2
echo running
sleep 1000
";

fn node(script: &str) -> Command {
    let mut command = control_plane();
    command.args(["run", "--node", "--", "bash", "-c", script]);
    command
}

/// How many processes are in a namespace of processes.
fn processes(namespace: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            fs::read_link(entry.path().join("ns/pid")).is_ok_and(|it| it == Path::new(namespace))
        })
        .count()
}

/// How many control groups the node of a process has.
fn groups(pid: u32) -> usize {
    let name = format!("aep-node-{pid}");
    let root = Path::new("/sys/fs/cgroup");
    let entries = fs::read_dir(root).unwrap().flatten();
    let hierarchies = entries.map(|entry| entry.path());
    hierarchies
        .chain([root.to_owned()])
        .filter(|path| path.join(&name).exists())
        .count()
}

#[test]
#[ignore = "needs root: make e2e"]
fn a_restricted_pod_runs_and_nothing_is_left_even_of_a_node_that_is_killed() {
    let mut killed = node(POD).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(killed.stdout.take().unwrap()).lines();
    let namespace = lines.next().unwrap().unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "running");
    assert!(processes(&namespace) > 5, "{namespace}");
    assert_ne!(groups(killed.id()), 0);

    killed.kill().unwrap();
    killed.wait().unwrap();
    eventually("no process is left", || processes(&namespace) == 0);

    // What the kernel leaves, the next one removes with its own.
    let mut next = node("exit 7").spawn().unwrap();
    assert_eq!(next.wait().unwrap().code(), Some(7));
    assert_eq!(groups(killed.id()), 0);
    assert_eq!(groups(next.id()), 0);
}
