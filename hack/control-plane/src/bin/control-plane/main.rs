//! Builds, runs and guards the control plane of tests and the demo.

mod children;
mod components;
mod events;
mod exec;
mod failure;
mod guard;
mod node;
mod pki;
mod run;
mod supervise;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use aep_control_plane::{Assets, Helm, NodeAssets, on_stderr};
use clap::{Parser, Subcommand};

use crate::failure::Failure;

/// A real Kubernetes control plane (etcd, kube-apiserver, kube-controller-manager) without a
/// container: for tests and the demo.
#[derive(Debug, Parser)]
#[command(name = "control-plane", version)]
struct Arguments {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Find the binaries, or build them, and print the folder that kubectl is in
    Build {
        /// Also what a node needs
        #[arg(long)]
        node: bool,
    },
    /// Find Helm, or build it, and print its path
    Helm {
        /// Its major version
        #[arg(long, value_name = "NUMBER", default_value = "4", value_parser = ["3", "4"])]
        major: String,
    },
    /// Start a control plane, run COMMAND against it, stop it, and exit as COMMAND did
    ///
    /// COMMAND gets `KUBECONFIG`, kubectl first in `PATH`, and `AEP_CONTROL_PLANE_DIR`, by which
    /// the tests of this project use this control plane and start none. Without COMMAND the
    /// control plane runs until Ctrl-C.
    Run(run::Request),
    /// Internal: own a control plane until standard input ends
    #[command(hide = true)]
    Supervise(supervise::Request),
    /// Internal: as the first process of namespaces, run COMMAND and wait for orphans
    #[command(hide = true)]
    Init {
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Internal: run COMMAND until standard input ends; print its process id and how it ended
    #[command(hide = true)]
    Guard {
        /// The file that the command's output is appended to (default: standard error)
        #[arg(long)]
        log: Option<PathBuf>,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Internal: become COMMAND, to be killed by the kernel when process PID ends (Linux)
    #[command(hide = true)]
    Exec {
        /// The process that starts this one
        #[arg(long, value_name = "PID")]
        die_with_parent: i32,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Subcommands::Build { node } => build(node),
        Subcommands::Helm { major } => helm(if major == "3" { Helm::V3 } else { Helm::V4 }),
        Subcommands::Run(request) => run::run(&request),
        Subcommands::Supervise(request) => supervise::supervise(request),
        Subcommands::Init { command } => node::init(&command),
        Subcommands::Guard { log, command } => guard::guard(log.as_deref(), &command),
        Subcommands::Exec {
            die_with_parent,
            command,
        } => exec::exec(die_with_parent, &command),
    };
    result.unwrap_or_else(|failure| {
        eprintln!("control-plane: {failure}");
        ExitCode::FAILURE
    })
}

fn helm(version: Helm) -> Result<ExitCode, Failure> {
    let path = version.locate_or_build(&mut on_stderr())?;
    writeln!(io::stdout(), "{}", path.display()).map_err(Failure::io("print the path"))?;
    Ok(ExitCode::SUCCESS)
}

fn build(node: bool) -> Result<ExitCode, Failure> {
    let assets = Assets::locate_or_build(&mut on_stderr())?;
    for (binary, path) in assets.paths() {
        eprintln!("control-plane: {binary} is {}", path.display());
    }
    if node {
        for (binary, path) in NodeAssets::locate_or_build(&mut on_stderr())?.paths() {
            eprintln!("control-plane: {binary} is {}", path.display());
        }
    }
    writeln!(io::stdout(), "{}", assets.bin_dir().display())
        .map_err(Failure::io("print the folder"))?;
    Ok(ExitCode::SUCCESS)
}
