//! A real Kubernetes control plane for tests and the demo.
//!
//! [`Assets::locate_or_build`] finds etcd, kube-apiserver, kube-controller-manager and kubectl, or
//! builds them from the pinned Go module beside this crate. [`ControlPlane::start`] runs them with
//! RBAC and a certificate authority of their own, and [`shared`] does so once per process.
//! [`Guarded`] runs any other program for the length of a test.
//!
//! # Guarantees
//!
//! No process outlives its owner. Everything runs below a helper process (the `control-plane`
//! binary of this crate) whose standard input is a pipe to the owner: when the owner returns,
//! panics, is interrupted or is killed, the pipe closes and the helper stops what it started. On
//! Linux the kernel also kills what a helper started when the helper itself is killed.

mod assets;
mod binaries;
mod builder;
mod error;
mod guarded;
mod helper;
mod layout;
mod module;
mod plane;
mod progress;

pub use assets::{Assets, Binary, Helm, NodeAssets};
pub use binaries::{tethered, variable_of, workspace_binary};
pub use error::{Error, tail};
pub use guarded::{Exit, Guarded};
pub use layout::Layout;
pub use plane::{ControlPlane, Options, REUSE_VARIABLE, SERVICE_ADDRESS, shared};
pub use progress::{Progress, on_stderr};
/// The signals that [`Guarded::kill`] sends.
pub use rustix::process::Signal;
