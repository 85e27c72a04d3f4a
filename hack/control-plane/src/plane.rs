//! A running control plane.

use std::env;
use std::fs;
use std::io::{BufRead, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use crate::assets::{Assets, Binary};
use crate::binaries::control_plane;
use crate::error::Error;
use crate::helper::Helper;
use crate::layout::Layout;
use crate::progress::on_stderr;

/// Names the folder of a control plane that runs already; [`ControlPlane::start_or_reuse`] uses it
/// and does not stop it. `control-plane run -- COMMAND` sets it for the command.
pub const REUSE_VARIABLE: &str = "AEP_CONTROL_PLANE_DIR";

/// What a control plane does beyond the default.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The API server's audit policy. With it, requests are written to [`Layout::audit_log`].
    pub audit_policy: Option<PathBuf>,
    /// Where the API server listens, by default on a free port of 127.0.0.1. Pods look for it at
    /// [`SERVICE_ADDRESS`], which then has to be an address of this machine.
    pub server: Option<SocketAddr>,
}

/// The address of the `kubernetes` Service, the first one of the range of Services.
pub const SERVICE_ADDRESS: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 443);

/// etcd, kube-apiserver and kube-controller-manager, ready for requests.
///
/// # Guarantees
///
/// RBAC is on, the API server's certificate is signed by an authority of its own, the namespace
/// `default` has its service account and its `kube-root-ca.crt`. Dropping the value ends all
/// processes and removes the folder, except when the control plane was reused; so does the end of
/// the process that holds it.
#[derive(Debug)]
pub struct ControlPlane {
    layout: Layout,
    server: String,
    etcd: String,
    /// Absent when another process owns the control plane.
    supervisor: Option<Helper>,
}

impl ControlPlane {
    /// Starts a control plane on free ports and waits until it is ready.
    ///
    /// # Errors
    ///
    /// [`Error::Start`] with the end of the log of the component that failed.
    pub fn start(assets: &Assets, options: &Options) -> Result<Self, Error> {
        let mut command = Command::new(control_plane()?);
        command.arg("supervise");
        for (binary, path) in assets.paths() {
            command.arg(format!("--{binary}")).arg(path);
        }
        if let Some(policy) = &options.audit_policy {
            command.arg("--audit-policy").arg(policy);
        }
        if let Some(address) = options.server {
            command.arg("--server").arg(address.to_string());
        }
        let (supervisor, mut stdout) = Helper::spawn(&mut command)?;
        let mut line = String::new();
        stdout
            .read_line(&mut line)
            .map_err(Error::io("read from the supervisor"))?;
        let Some(directory) = line.trim_end().strip_prefix("ready ") else {
            stdout
                .read_to_string(&mut line)
                .map_err(Error::io("read from the supervisor"))?;
            return Err(Error::Start(line.trim_end().to_owned()));
        };
        Self::in_directory(Path::new(directory), Some(supervisor))
    }

    /// The control plane that [`REUSE_VARIABLE`] names; a new one when it is not set, of binaries
    /// that are located or built with progress on standard error.
    ///
    /// # Errors
    ///
    /// [`Error::Reuse`] when the variable names a control plane that does not answer; else those
    /// of [`Assets::locate_or_build`] and [`ControlPlane::start`].
    pub fn start_or_reuse(options: &Options) -> Result<Self, Error> {
        let Some(directory) = env::var_os(REUSE_VARIABLE).filter(|value| !value.is_empty()) else {
            return Self::start(&Assets::locate_or_build(&mut on_stderr())?, options);
        };
        let directory = PathBuf::from(directory);
        let reuse = |reason: String| Error::Reuse {
            directory: directory.clone(),
            reason,
        };
        let plane =
            Self::in_directory(&directory, None).map_err(|error| reuse(error.to_string()))?;
        let answer = plane.kubectl().args(["get", "--raw", "/readyz"]).output();
        let answer = answer.map_err(Error::io("run kubectl"))?;
        if !answer.status.success() {
            return Err(reuse(
                String::from_utf8_lossy(&answer.stderr).trim().to_owned(),
            ));
        }
        Ok(plane)
    }

    fn in_directory(directory: &Path, supervisor: Option<Helper>) -> Result<Self, Error> {
        let layout = Layout::new(directory);
        let read = |path: PathBuf| {
            let text = fs::read_to_string(&path);
            text.map_err(Error::io(format!("read {}", path.display())))
                .map(|text| text.trim_end().to_owned())
        };
        let (server, etcd) = (read(layout.server())?, read(layout.etcd())?);
        Ok(Self {
            layout,
            server,
            etcd,
            supervisor,
        })
    }

    /// The API server's URL.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// etcd's URL, for tests that put an object there which the API server would refuse.
    #[must_use]
    pub fn etcd(&self) -> &str {
        &self.etcd
    }

    /// A kubeconfig of the administrator (`system:masters`).
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig()
    }

    /// The certificate to verify the API server with.
    #[must_use]
    pub fn ca_certificate(&self) -> PathBuf {
        self.layout.ca_certificate()
    }

    /// A folder with the four binaries, for `PATH`.
    #[must_use]
    pub fn bin_dir(&self) -> PathBuf {
        self.layout.bin()
    }

    /// The files of this control plane: logs, keys, the audit log.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// kubectl as the administrator of this control plane, with no argument yet.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.bin_dir().join(Binary::Kubectl.name()));
        command.env("KUBECONFIG", self.kubeconfig());
        command.env("KUBECACHEDIR", self.layout.kubectl_cache());
        command
    }

    /// Whether another process owns this control plane, and will stop it.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        self.supervisor.is_none()
    }

    /// Whether a component ended, upon which the supervisor has stopped the others and said why on
    /// standard error. Always false for a reused control plane.
    pub fn has_ended(&mut self) -> bool {
        self.supervisor.as_mut().is_some_and(Helper::has_ended)
    }

    /// The process id of the supervisor, for tests of what happens when it is killed.
    #[must_use]
    pub fn supervisor_pid(&self) -> Option<u32> {
        self.supervisor.as_ref().map(Helper::id)
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            supervisor.end();
            remove(self.layout.directory());
        }
    }
}

/// Removes the folder of a supervisor that was killed; any other has done it. The components that
/// the kernel kills with it may write into the folder for a moment more.
fn remove(directory: &Path) {
    const ATTEMPTS: usize = 20;
    const PAUSE: Duration = Duration::from_millis(50);

    for _ in 0..ATTEMPTS {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => thread::sleep(PAUSE),
            // What cannot be removed is left to the system's care for temporary files.
            _ => return,
        }
    }
}

/// One control plane for all tests of a process: started by the first call, or reused as
/// [`REUSE_VARIABLE`] says. It ends with the process.
///
/// # Errors
///
/// The error of the one attempt that is made.
pub fn shared() -> Result<&'static ControlPlane, &'static Error> {
    static SHARED: OnceLock<Result<ControlPlane, Error>> = OnceLock::new();
    SHARED
        .get_or_init(|| ControlPlane::start_or_reuse(&Options::default()))
        .as_ref()
}
