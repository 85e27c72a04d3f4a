//! Turns this process into another program that ends with its parent.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, getppid};

use crate::failure::Failure;

/// The shell's code for a command that cannot be run.
const CANNOT_RUN: u8 = 127;

/// Asks the kernel for SIGKILL at the parent's end, then becomes `command`. Only returns when that
/// is not possible or the parent is gone already.
pub(crate) fn exec(parent: i32, command: &[OsString]) -> Result<ExitCode, Failure> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| Failure::io("ask for the parent's death signal")(error.into()))?;

    // A parent that ended before the request caused no signal.
    if getppid() != Pid::from_raw(parent) {
        return Err(Failure::Stopped);
    }
    let Some((program, arguments)) = command.split_first() else {
        return Ok(ExitCode::SUCCESS);
    };
    let error = Command::new(program).args(arguments).exec();
    eprintln!("control-plane: cannot run {}: {error}", program.display());
    Ok(ExitCode::from(CANNOT_RUN))
}
