//! Runs a command against a control plane of its own.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Child, ExitCode, ExitStatus};

use aep_control_plane::{
    Assets, ControlPlane, Options, REUSE_VARIABLE, SERVICE_ADDRESS, Signal, on_stderr, tethered,
};
use rustix::process::{Pid, kill_process};
use signal_hook::consts::SIGINT;

use crate::children::{Owner, exit_code};
use crate::events::{Event, Events};
use crate::failure::Failure;
use crate::node::{Node, NodeRequest, Role};

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Request {
    /// Keep the control plane after COMMAND has ended, until Ctrl-C
    #[arg(long, requires = "command", conflicts_with = "node")]
    keep: bool,
    /// Let the API server write an audit log by this policy
    #[arg(long, value_name = "FILE")]
    audit_policy: Option<PathBuf>,
    #[command(flatten)]
    node: NodeRequest,
    /// The command and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Starts a control plane, runs the command if there is one, and stops the control plane.
pub(crate) fn run(request: &Request) -> Result<ExitCode, Failure> {
    let mut options = Options {
        audit_policy: request.audit_policy.clone(),
        server: None,
    };
    match request.node.role() {
        Role::Outside => NodeRequest::enter(),
        Role::None => {
            let mut plane = start(&options)?;
            // Only now: a Ctrl-C during the start ends this process, and the supervisor sees that.
            let events = Events::listen(false)?;
            serve(request, &mut plane, &events)
        }
        Role::Inside => {
            let events = Events::listen(false)?;
            let mut node = Node::prepare(&request.node, &events)?;
            options.server = Some(SERVICE_ADDRESS);
            let mut plane = start(&options)?;
            node.join(&plane)?;
            let code = serve(request, &mut plane, &events);
            // A pod that does not answer any more has its reason here.
            node.check().and(code)
        }
    }
}

fn start(options: &Options) -> Result<ControlPlane, Failure> {
    let assets = Assets::locate_or_build(&mut on_stderr())?;
    Ok(ControlPlane::start(&assets, options)?)
}

fn serve(
    request: &Request,
    plane: &mut ControlPlane,
    events: &Events,
) -> Result<ExitCode, Failure> {
    let code = match request.command.split_first() {
        None => ExitCode::SUCCESS,
        Some((program, arguments)) => {
            let status = run_command(plane, events, program, arguments)?;
            ExitCode::from(exit_code(status))
        }
    };
    if request.keep || request.command.is_empty() {
        stay(plane, events)?;
    }
    Ok(code)
}

/// The environment that a client of the control plane needs.
fn environment(plane: &ControlPlane) -> [(&'static str, OsString); 4] {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut path: Vec<PathBuf> = env::split_paths(&path).collect();
    path.insert(0, plane.bin_dir());
    [
        ("KUBECONFIG", plane.kubeconfig().into()),
        ("KUBECACHEDIR", plane.layout().kubectl_cache().into()),
        (REUSE_VARIABLE, plane.layout().directory().into()),
        // The folder's name comes from the temporary folder's, which may hold a colon.
        (
            "PATH",
            env::join_paths(path).unwrap_or_else(|_| env::var_os("PATH").unwrap_or_default()),
        ),
    ]
}

/// The command stays in this process's group, as it may read the terminal.
fn run_command(
    plane: &ControlPlane,
    events: &Events,
    program: &OsString,
    arguments: &[OsString],
) -> Result<ExitStatus, Failure> {
    let mut child = tethered(program)?
        .args(arguments)
        .envs(environment(plane))
        .spawn()
        .map_err(Failure::io(format!("start {}", program.display())))?;
    loop {
        let status = child.try_wait();
        if let Some(status) = status.map_err(Failure::io("wait for the command"))? {
            return Ok(status);
        }
        match events.wait() {
            // A terminal sends it to the command as well.
            Event::Child | Event::Orphaned | Event::Signal(SIGINT) => {}
            Event::Signal(signal) => forward(signal, &child),
        }
    }
}

fn forward(signal: i32, child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(signal)) {
        // It has not been waited for, so the id is still its own.
        let _ = kill_process(pid, signal);
    }
}

/// Shows how to reach the control plane and waits for Ctrl-C or the end of a component.
fn stay(plane: &mut ControlPlane, events: &Events) -> Result<(), Failure> {
    let mut lines = String::new();
    for (name, value) in environment(plane) {
        let value = if name == "PATH" {
            format!("{}:\"$PATH\"", plane.bin_dir().display())
        } else {
            value.display().to_string()
        };
        lines.push_str(&["export ", name, "=", &value, "\n"].concat());
    }
    // The reader may have seen enough, and the control plane is there for others as well.
    let _ = io::stdout()
        .write_all(lines.as_bytes())
        .and_then(|()| io::stdout().flush());
    let server = plane.server();
    let _ = writeln!(
        io::stderr(),
        "control-plane: {server} is ready; Ctrl-C stops it"
    );
    loop {
        if events.wait().asks_to_stop() {
            return Ok(());
        }
        if plane.has_ended() {
            return Err(Failure::PlaneEnded);
        }
    }
}
