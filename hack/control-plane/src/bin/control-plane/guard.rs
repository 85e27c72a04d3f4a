//! Runs one program for an owner that may vanish.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::slice;

use crate::children::{Owned, exit, exit_code, stop};
use crate::events::Events;
use crate::failure::Failure;

/// Prints `pid N`, and `exit code N` or `exit signal N` when the program has ended: by itself, or
/// because standard input ended or a signal came.
pub(crate) fn guard(log: Option<&Path>, command: &[OsString]) -> Result<ExitCode, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(ExitCode::SUCCESS);
    };
    let events = Events::listen(true)?;
    let name = program.display().to_string();
    let mut child = match Owned::spawn(name, program, arguments, log) {
        Ok(child) => child,
        Err(failure) => {
            say(&failure.to_string());
            return Ok(ExitCode::FAILURE);
        }
    };
    say(&format!("pid {}", child.id()));

    let status = loop {
        if let Some(status) = child.status() {
            break status;
        }
        if events.wait().asks_to_stop() {
            stop(slice::from_mut(&mut child), &events);
        }
    };
    say(&format!("exit {}", exit(status)));
    Ok(ExitCode::from(exit_code(status)))
}

/// Tells the owner. That it may be gone is what a guard is for.
fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
