//! A node on which pods run, without a container around it: containerd, kubelet and kube-scheduler
//! beside a control plane.
//!
//! Everything lives in namespaces of its own (processes, mounts, network, IPC). The kernel ends them
//! with their first process, and that with this one: processes, mounts, interfaces and the files of
//! the node, which are in memory, go however this ends. What the kernel leaves, control groups and
//! the mount point of kubelet's folder, [`traces::Traces`] removes.

mod dns;
mod files;
mod init;
mod inside;
mod traces;

use std::env;
use std::ffi::OsString;
use std::path::{self, PathBuf};
use std::process::{Child, ExitCode, ExitStatus};

use aep_control_plane::{Assets, NodeAssets, on_stderr, tethered};
use rustix::process::geteuid;
use signal_hook::consts::SIGINT;

use crate::children::exit_code;
use crate::events::{Event, Events};
use crate::failure::Failure;

pub(crate) use init::init;
pub(crate) use inside::Node;
use traces::Traces;

/// What of a node is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeRequest {
    /// Also run a node, on which pods run (Linux, as root)
    ///
    /// COMMAND then runs in the node's network, beside its pods.
    #[arg(long, requires = "command")]
    node: bool,
    /// An image that the node has: an archive, as buildah and `docker save` write it
    #[arg(long = "image", value_name = "FILE", requires = "node")]
    images: Vec<PathBuf>,
    /// Keep the logs of the node and its pods in this folder (default: they go with the node)
    #[arg(long, value_name = "DIRECTORY", requires = "node")]
    logs: Option<PathBuf>,
    /// Internal: the namespaces are there; the control group of the pods
    #[arg(long, value_name = "NAME", requires = "node", hide = true)]
    inside: Option<String>,
}

/// Which part of the work is this process's.
pub(crate) enum Role {
    /// There is no node.
    None,
    /// To make namespaces, and to run this program again in them.
    Outside,
    /// To run the node.
    Inside,
}

impl NodeRequest {
    pub(crate) fn role(&self) -> Role {
        match (self.node, &self.inside) {
            (false, _) => Role::None,
            (true, None) => Role::Outside,
            (true, Some(_)) => Role::Inside,
        }
    }

    /// Builds what a node needs, as there is no network in the namespaces, and runs this program
    /// again in them.
    pub(crate) fn enter() -> Result<ExitCode, Failure> {
        if !cfg!(target_os = "linux") || !geteuid().is_root() {
            return Err(Failure::NotRoot);
        }
        let events = Events::listen(false)?;
        Assets::locate_or_build(&mut on_stderr())?;
        NodeAssets::locate_or_build(&mut on_stderr())?;
        let traces = Traces::make()?;
        let result = again(&events, traces.cgroup());
        let removed = traces.remove();
        let status = result?;
        removed?;
        Ok(ExitCode::from(exit_code(status)))
    }

    /// A path of the arguments, which is relative to the folder that this program was started in.
    fn absolute(path: &PathBuf) -> Result<PathBuf, Failure> {
        path::absolute(path).map_err(Failure::io(format!("make {} absolute", path.display())))
    }
}

/// Runs this program with its own arguments, in new namespaces.
fn again(events: &Events, cgroup: &str) -> Result<ExitStatus, Failure> {
    let program = env::current_exe().map_err(Failure::io("find the running program's path"))?;
    let mut arguments = env::args_os().skip(1);
    let subcommand: Option<OsString> = arguments.next();
    let mut child = tethered("unshare")?
        .args(["--mount", "--net", "--ipc", "--pid", "--fork"])
        .args(["--kill-child", "--mount-proc", "--"])
        .arg(&program)
        .args(["init", "--"])
        .arg(&program)
        .args(subcommand)
        .args(["--inside", cgroup])
        .args(arguments)
        // What is written there goes with the node.
        .env("TMPDIR", files::FOLDER)
        .spawn()
        .map_err(Failure::io("start unshare"))?;
    let status = supervise(events, &mut child);
    if status.is_err() {
        end(&mut child);
    }
    status
}

fn supervise(events: &Events, child: &mut Child) -> Result<ExitStatus, Failure> {
    loop {
        let status = child.try_wait();
        if let Some(status) = status.map_err(Failure::io("wait for the node"))? {
            return Ok(status);
        }
        match events.wait() {
            // A terminal sends it to the command as well.
            Event::Child | Event::Orphaned | Event::Signal(SIGINT) => {}
            Event::Signal(_) => return Err(Failure::Stopped),
        }
    }
}

/// Ends all processes of the namespaces. There is nothing that any of them would have to put in
/// order. The kernel has ended them all when their first one is gone.
fn end(child: &mut Child) {
    // Neither fails unless it has ended.
    let _ = child.kill();
    let _ = child.wait();
}
