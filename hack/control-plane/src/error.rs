//! What can go wrong, with the remedy in the message.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::assets::Binary;
use crate::plane::REUSE_VARIABLE;

/// Why a control plane, one of its binaries or a guarded process is not there.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `KUBEBUILDER_ASSETS` names a folder without one of the binaries.
    #[error(
        "KUBEBUILDER_ASSETS is {}, which has no {binary}: set it to a folder with etcd, \
         kube-apiserver and kubectl (`setup-envtest use -p path` prints one), or unset it",
        directory.display()
    )]
    IncompleteAssets {
        /// The folder that the variable names.
        directory: PathBuf,
        /// The binary that is missing there.
        binary: Binary,
    },

    /// Neither a home directory nor a cache directory is known.
    #[error("there is no folder for the built binaries: set AEP_CONTROL_PLANE_CACHE to one")]
    NoCacheDirectory,

    /// Go is missing or too old.
    #[error(
        "building {binary} needs Go {needed} or newer, but {found}: install it from \
         https://go.dev/dl, or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver, \
         kube-controller-manager and kubectl"
    )]
    NoGo {
        /// The binary that was to be built.
        binary: Binary,
        /// The version in go.mod.
        needed: String,
        /// What was found instead.
        found: String,
    },

    /// `go build` failed.
    #[error(
        "`go build` of {binary} failed ({}):\n{output}\nRun it again when the cause is gone: what \
         has been compiled is kept. Downloads come from GOPROXY.", log.display()
    )]
    Build {
        /// The binary that was being built.
        binary: Binary,
        /// Everything that `go build` printed.
        log: PathBuf,
        /// The end of it.
        output: String,
    },

    /// A binary of this workspace has not been built.
    #[error(
        "{} does not exist: run `cargo build --workspace` with the profile of the tests, or set \
         {variable} to the binary", path.display()
    )]
    NoWorkspaceBinary {
        /// Where it was expected.
        path: PathBuf,
        /// The environment variable that overrides the path.
        variable: String,
    },

    /// The control plane did not become ready. The text is the supervisor's.
    #[error("the control plane did not start: {0}")]
    Start(String),

    /// The environment names a control plane that does not answer.
    #[error(
        "{REUSE_VARIABLE} is {}, where no control plane answers ({reason}): unset it, or start one \
         with `control-plane run`", directory.display()
    )]
    Reuse {
        /// The folder that the variable names.
        directory: PathBuf,
        /// What was tried and failed.
        reason: String,
    },

    /// The guard could not start the program.
    #[error("the guard did not start {program}: {reason}")]
    Guard {
        /// The program to be guarded.
        program: String,
        /// What the guard said.
        reason: String,
    },

    /// A guarded process did not end in time.
    #[error("process {pid} still runs after {timeout:?}; its output ({}) ends with\n{output}",
        log.display())]
    StillRuns {
        /// The guarded process.
        pid: u32,
        /// How long the caller waited.
        timeout: Duration,
        /// The process's output.
        log: PathBuf,
        /// The end of it.
        output: String,
    },

    /// A guard died before it told how its process ended.
    #[error("the guard of process {pid} ended without saying how the process ended")]
    GuardLost {
        /// The guarded process.
        pid: u32,
    },

    /// An operation on a file or a process failed.
    #[error("cannot {action}: {source}")]
    Io {
        /// The operation and its object, as in "read /tmp/x".
        action: String,
        /// The reason.
        source: io::Error,
    },
}

/// The message: tests call `unwrap`, and what it shows is for people.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// Says what was being done when an I/O error came up.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}

/// The last lines of a log file, indented; a note in its place when there are none.
#[must_use]
pub fn tail(log: &Path) -> String {
    /// Enough to hold the reason of a Go program's exit behind its usage text.
    const LINES: usize = 12;
    /// Structured logs have lines of several kilobytes.
    const LINE_CHARACTERS: usize = 400;

    // Logs are not always UTF-8: a killed writer can cut a character in half.
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    if lines.is_empty() {
        return "  (nothing)".to_owned();
    }
    let last = &lines[lines.len().saturating_sub(LINES)..];
    let last: Vec<String> = last
        .iter()
        .map(|line| {
            format!(
                "  {}",
                line.chars().take(LINE_CHARACTERS).collect::<String>()
            )
        })
        .collect();
    last.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines_cut_and_indented() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut lines: Vec<String> = (0..30).map(|number| format!("line {number}\n\n")).collect();
        lines.push("ü".repeat(1000));
        fs::write(file.path(), lines.concat()).unwrap();
        let tail = tail(file.path());
        let lines: Vec<&str> = tail.lines().collect();
        assert_eq!(lines.len(), 12);
        assert_eq!(lines[0], "  line 19");
        assert_eq!(lines[11].chars().count(), 402);
    }

    #[test]
    fn the_tail_of_a_missing_log_says_so() {
        assert_eq!(tail(Path::new("/nonexistent/log")), "  (nothing)");
    }
}
