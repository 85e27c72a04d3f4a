//! The first process of the namespaces.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};

use crate::failure::Failure;

/// Runs a command, waits for whatever has no parent any more, and ends as the command does; the
/// kernel then ends all other processes of the namespace.
pub(crate) fn init(command: &[OsString]) -> Result<ExitCode, Failure> {
    /// What shells add to a signal's number.
    const SIGNALLED: i32 = 128;

    let Some((program, arguments)) = command.split_first() else {
        return Ok(ExitCode::SUCCESS);
    };
    let child = Command::new(program)
        .args(arguments)
        .spawn()
        .map_err(Failure::io(format!("start {}", program.display())))?;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get().unsigned_abs() == child.id() => {
                let signal = status.terminating_signal().unwrap_or_default();
                let code = status.exit_status().unwrap_or(SIGNALLED + signal);
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)));
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Failure::io("wait for a process")(error.into())),
        }
    }
}
