//! Runs a program for as long as its owner lives.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{self, Path, PathBuf};
use std::process::{ChildStdout, Command};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::binaries::control_plane;
use crate::error::{Error, tail};
use crate::helper::Helper;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// A signal with this number ended it.
    Signal(i32),
}

impl Exit {
    /// Whether the process returned 0.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }
}

/// The form in which a guard reports it.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// A process that ends when this value is dropped, and with the process that holds it.
///
/// # Guarantees
///
/// Dropping sends SIGTERM to the process and all in its group, and SIGKILL a second later. The same
/// happens when the owner is gone without dropping. On Linux the kernel kills the process when its
/// guard is killed.
#[derive(Debug)]
pub struct Guarded {
    // Dropped before `reports` is, whose thread ends when the guard does.
    guard: Helper,
    reports: Receiver<Exit>,
    exit: Option<Exit>,
    pid: Pid,
    log: PathBuf,
}

impl Guarded {
    /// Starts `command` with its standard output and error appended to `log` and no input.
    ///
    /// Program, arguments, folder and changed variables of `command` count; its input and output
    /// settings, and `env_clear`, cannot be read from it and do not.
    ///
    /// # Errors
    ///
    /// [`Error::Guard`] when the log cannot be written or no process can be made. A program that
    /// does not exist ends with code 127 and a line in the log.
    pub fn spawn(command: &Command, log: &Path) -> Result<Self, Error> {
        // Relative to this process's folder, not to the command's.
        let log =
            path::absolute(log).map_err(Error::io(format!("make {} absolute", log.display())))?;
        let mut guard = Command::new(control_plane()?);
        guard.arg("guard").arg("--log").arg(&log).arg("--");
        guard.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => guard.env(name, value),
                None => guard.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            guard.current_dir(directory);
        }
        let (guard, mut stdout) = Helper::spawn(&mut guard)?;
        let mut line = String::new();
        stdout
            .read_line(&mut line)
            .map_err(Error::io("read from the guard"))?;
        let pid = line
            .trim()
            .strip_prefix("pid ")
            .and_then(|pid| pid.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            let program = command.get_program().display().to_string();
            return Err(Error::Guard {
                program,
                reason: line.trim().to_owned(),
            });
        };
        Ok(Self {
            guard,
            reports: reports(stdout),
            exit: None,
            pid,
            log,
        })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The file with the process's output.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Sends a signal to the process. Nothing happens when it has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the process may not be signalled, which setuid programs can cause.
    pub fn kill(&mut self, signal: Signal) -> Result<(), Error> {
        // The guard reports the end after it took the process id back.
        if self.exit().is_some() {
            return Ok(());
        }
        match kill_process(self.pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(Error::io(format!("signal process {}", self.pid()))(
                error.into(),
            )),
        }
    }

    /// How the process ended, or nothing while it runs.
    pub fn exit(&mut self) -> Option<Exit> {
        if self.exit.is_none() {
            self.exit = self.reports.try_recv().ok();
        }
        self.exit
    }

    /// Waits for the process to end.
    ///
    /// # Errors
    ///
    /// [`Error::StillRuns`] with the end of its output when it has not ended after `timeout`, and
    /// [`Error::GuardLost`] when the guard was killed, and the process with it.
    pub fn wait_exit(&mut self, timeout: Duration) -> Result<Exit, Error> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        match self.reports.recv_timeout(timeout) {
            Ok(exit) => {
                self.exit = Some(exit);
                Ok(exit)
            }
            Err(RecvTimeoutError::Timeout) => Err(Error::StillRuns {
                pid: self.pid(),
                timeout,
                log: self.log.clone(),
                output: tail(&self.log),
            }),
            Err(RecvTimeoutError::Disconnected) => Err(Error::GuardLost { pid: self.pid() }),
        }
    }

    /// The process id of the guard, for tests of what happens when it is killed.
    #[must_use]
    pub fn guard_pid(&self) -> u32 {
        self.guard.id()
    }
}

/// Waits for the guard's report on a thread, as a pipe cannot be read with a time limit.
fn reports(mut stdout: BufReader<ChildStdout>) -> Receiver<Exit> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        // A guard that was killed reports nothing; the channel then closes.
        if stdout.read_line(&mut line).is_ok()
            && let Some(exit) = parse_exit(line.trim())
        {
            // Nobody waits when the owner has dropped its end.
            let _ = sender.send(exit);
        }
    });
    receiver
}

fn parse_exit(line: &str) -> Option<Exit> {
    let (kind, number) = line.strip_prefix("exit ")?.split_once(' ')?;
    let number = number.parse().ok()?;
    match kind {
        "code" => Some(Exit::Code(number)),
        "signal" => Some(Exit::Signal(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_back_as_what_was_written() {
        for exit in [Exit::Code(0), Exit::Code(143), Exit::Signal(9)] {
            assert_eq!(parse_exit(&format!("exit {exit}")), Some(exit));
        }
        assert_eq!(parse_exit(""), None);
        assert_eq!(parse_exit("exit code"), None);
    }
}
