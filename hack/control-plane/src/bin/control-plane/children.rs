//! Children of this process: started so that they die with it, and stopped in good order.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use aep_control_plane::{Exit, tail, tethered};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::events::{Event, Events};
use crate::failure::Failure;

/// From SIGTERM to SIGKILL. An API server waits for its watches to end, which nobody does here.
const GRACE: Duration = Duration::from_secs(1);

/// Who starts components that depend on each other, and waits for each of them.
pub(crate) trait Owner {
    /// How long a condition may take to come true.
    const READY_TIMEOUT: Duration;
    /// How often it is looked at.
    const POLL: Duration;

    /// What this process is told.
    fn events(&self) -> &Events;

    /// What was started.
    fn components(&mut self) -> &mut [Owned];

    /// Fails when a component has ended.
    fn check(&mut self) -> Result<(), Failure> {
        check(self.components())
    }

    /// Waits for a condition, the end of a component, or the order to stop.
    fn wait(&mut self, what: &'static str, condition: impl Fn(&Self) -> bool) -> Result<(), Failure>
    where
        Self: Sized,
    {
        let begin = Instant::now();
        loop {
            self.check()?;
            if condition(self) {
                return Ok(());
            }
            if begin.elapsed() >= Self::READY_TIMEOUT {
                let outputs: Vec<String> = self.components().iter().map(last_output).collect();
                let (seconds, outputs) = (Self::READY_TIMEOUT.as_secs(), outputs.join("\n"));
                return Err(Failure::Timeout {
                    what,
                    seconds,
                    outputs,
                });
            }
            if self
                .events()
                .next(Self::POLL)
                .is_some_and(Event::asks_to_stop)
            {
                return Err(Failure::Stopped);
            }
        }
    }
}

/// Fails when one of some components has ended.
pub(crate) fn check(components: &mut [Owned]) -> Result<(), Failure> {
    for component in components {
        if let Some(status) = component.status() {
            return Err(Failure::Ended {
                name: component.name().to_owned(),
                status,
                output: component.log().map(tail).unwrap_or_default(),
            });
        }
    }
    Ok(())
}

fn last_output(component: &Owned) -> String {
    let output = component.log().map(tail).unwrap_or_default();
    format!("{} printed last\n{output}", component.name())
}

/// A child in a process group of its own, so that a terminal's Ctrl-C does not reach it.
#[derive(Debug)]
pub(crate) struct Owned {
    name: String,
    child: Child,
    log: Option<PathBuf>,
    status: Option<ExitStatus>,
}

impl Owned {
    /// Starts a program with its output appended to `log`, or on this process's standard error.
    ///
    /// Call it from the main thread: the child dies with the thread that starts it.
    pub(crate) fn spawn<A: AsRef<OsStr>>(
        name: impl Into<String>,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
        log: Option<&Path>,
    ) -> Result<Self, Failure> {
        let name = name.into();
        let (stdout, stderr) = match log {
            Some(path) => {
                let file = File::options().append(true).create(true).open(path);
                let file = file.map_err(Failure::io(format!("write {}", path.display())))?;
                let copy = file.try_clone().map_err(Failure::io("share a log"))?;
                (Stdio::from(copy), Stdio::from(file))
            }
            None => (Stdio::from(io::stderr()), Stdio::inherit()),
        };
        let child = tethered(program)?
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .map_err(Failure::io(format!("start {name}")))?;
        Ok(Self {
            name,
            child,
            log: log.map(Path::to_owned),
            status: None,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the child ended, or nothing while it runs.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            // An error would mean that there is no such child, which only `wait` can bring about.
            self.status = self.child.try_wait().ok().flatten();
            if self.status.is_some() {
                // What it started and did not wait for. Their group keeps its number from being
                // used anew; if there are none, there is no such group.
                self.signal(Signal::KILL);
            }
        }
        self.status
    }

    /// Signals the child and what it started.
    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended since.
            let _ = kill_process_group(pid, signal);
        }
    }
}

/// Ends children together: SIGTERM, and SIGKILL to those that still run a second later.
pub(crate) fn stop(children: &mut [Owned], events: &Events) {
    let signal_running = |children: &mut [Owned], signal| {
        for child in children.iter_mut().filter_map(running) {
            child.signal(signal);
        }
    };
    signal_running(children, Signal::TERM);
    wait_all(children, events, GRACE);
    signal_running(children, Signal::KILL);
    // SIGKILL needs no grace, only time.
    wait_all(children, events, GRACE);
}

fn running(child: &mut Owned) -> Option<&mut Owned> {
    if child.status().is_some() {
        None
    } else {
        Some(child)
    }
}

fn wait_all(children: &mut [Owned], events: &Events, timeout: Duration) {
    let deadline = Instant::now() + timeout;
    while children.iter_mut().any(|child| child.status().is_none()) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        // Any event is a reason to look again; what it asks for is being done already.
        let _ = events.next(left);
    }
}

/// A status in the library's terms.
pub(crate) fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

/// The code with which a process passes on how its child ended, as shells do.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    /// What shells add to a signal's number.
    const SIGNALLED: i32 = 128;

    let code = match exit(status) {
        Exit::Code(code) => code,
        Exit::Signal(signal) => SIGNALLED + signal,
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}
