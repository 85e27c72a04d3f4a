//! The library's end of a helper process.

use std::io::BufReader;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;

/// How long a helper may take to stop what it started. It kills after a second, so this is only
/// reached on a machine that hardly runs.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a helper that was told to end is looked at.
const END_POLL: Duration = Duration::from_millis(5);

/// A `control-plane` process that stops what it started and ends when its standard input closes:
/// by [`Drop`], or by the kernel when this process is gone.
#[derive(Debug)]
pub(crate) struct Helper {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Helper {
    /// Starts the helper, with what it prints as the second value.
    pub(crate) fn spawn(command: &mut Command) -> Result<(Self, BufReader<ChildStdout>), Error> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A terminal's Ctrl-C goes to the foreground group. The helper is not in it, so that
            // it ends by the order that it keeps, not by the signal.
            .process_group(0)
            .spawn()
            .map_err(Error::io(format!(
                "start {}",
                command.get_program().display()
            )))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(|| {
            Error::io("read from a helper")(std::io::ErrorKind::BrokenPipe.into())
        })?;
        Ok((Self { child, stdin }, BufReader::new(stdout)))
    }

    /// The helper's process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the helper has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        // An error means that there is no such child.
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Closes the pipe and waits until the helper has stopped everything and is gone.
    pub(crate) fn end(&mut self) {
        drop(self.stdin.take());
        let deadline = Instant::now() + END_TIMEOUT;
        while !self.has_ended() {
            if Instant::now() >= deadline {
                // Its children die with it. Neither call fails unless it is gone already.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(END_POLL);
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.end();
    }
}
