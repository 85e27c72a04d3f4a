//! What the search for the binaries is doing, for a person who waits seven minutes the first time.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::assets::Binary;

/// A step of [`Assets::locate_or_build`](crate::Assets::locate_or_build).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// `KUBEBUILDER_ASSETS` lacks a binary that envtest does not know; the project's own is used.
    Supplemented {
        /// The binary that is missing there.
        binary: Binary,
        /// The folder that the variable names.
        directory: PathBuf,
    },
    /// Another process builds the same binaries.
    Waiting {
        /// The lock that it holds.
        lock: PathBuf,
    },
    /// A binary is being built; reported once a second.
    Building {
        /// Which one.
        binary: Binary,
        /// Its number, from 1.
        number: usize,
        /// How many are to be built.
        total: usize,
        /// Since its build began.
        elapsed: Duration,
    },
    /// A binary has been built.
    Built {
        /// Which one.
        binary: Binary,
        /// Its number, from 1.
        number: usize,
        /// How many are to be built.
        total: usize,
        /// How long its build took.
        elapsed: Duration,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Supplemented { binary, directory } => write!(
                f,
                "control-plane: KUBEBUILDER_ASSETS ({}) has no {binary}; taking the project's own",
                directory.display()
            ),
            Self::Waiting { lock } => write!(
                f,
                "control-plane: waiting for another build to end ({})",
                lock.display()
            ),
            Self::Building {
                binary,
                number,
                total,
                elapsed,
            } => write!(
                f,
                "control-plane: building {binary} ({number} of {total}), {} s",
                elapsed.as_secs()
            ),
            Self::Built {
                binary,
                number,
                total,
                elapsed,
            } => write!(
                f,
                "control-plane: built {binary} ({number} of {total}) in {} s",
                elapsed.as_secs()
            ),
        }
    }
}

/// Shows progress on standard error: one line per binary that counts the seconds on a terminal, a
/// line now and then elsewhere.
pub fn on_stderr() -> impl FnMut(&Progress) {
    /// Often enough that a CI job with a limit on silence is not ended.
    const QUIET_SECONDS: u64 = 60;

    let terminal = io::stderr().is_terminal();
    move |progress| {
        let mut stderr = io::stderr().lock();
        // A closed standard error must not fail the build.
        let _ = match progress {
            Progress::Building { .. } if terminal => {
                write!(stderr, "\r\x1b[K{progress}").and_then(|()| stderr.flush())
            }
            Progress::Building { elapsed, .. } if elapsed.as_secs() % QUIET_SECONDS != 0 => Ok(()),
            Progress::Built { .. } if terminal => writeln!(stderr, "\r\x1b[K{progress}"),
            _ => writeln!(stderr, "{progress}"),
        };
    }
}
