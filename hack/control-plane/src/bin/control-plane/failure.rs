//! Why a subcommand gives up.

use std::io;

/// The reason, as the user reads it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The library's reason.
    #[error(transparent)]
    Library(#[from] aep_control_plane::Error),

    /// An operation on a file or a process failed.
    #[error("cannot {action}: {source}")]
    Io { action: String, source: io::Error },

    /// No certificate could be made.
    #[error("cannot make the certificates: {0}")]
    Certificates(#[from] rcgen::Error),

    /// The owner of this process is gone, or a signal asked it to stop.
    #[error("stopped before it was ready")]
    Stopped,

    /// Another program got a port first.
    #[error("other programs took the free ports {attempts} times in a row")]
    PortTaken { attempts: usize },

    /// A component ended by itself.
    #[error("{name} ended by itself ({status}); its last output was\n{output}")]
    Ended {
        name: String,
        status: std::process::ExitStatus,
        output: String,
    },

    /// The control plane ended, and its supervisor has said why.
    #[error("the control plane has ended")]
    PlaneEnded,

    /// Namespaces and mounts are for root.
    #[error("a node needs Linux, and root: run it as root, in a virtual machine for one")]
    NotRoot,

    /// A program that a node is made with failed.
    #[error("{command} failed: {output}")]
    Command { command: String, output: String },

    /// A condition did not come true.
    #[error("{what} took more than {seconds} s\n{outputs}")]
    Timeout {
        what: &'static str,
        seconds: u64,
        outputs: String,
    },
}

impl Failure {
    /// Says what was being done when an I/O error came up.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
