//! Starts the components of a control plane, owns them, and stops them.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use aep_control_plane::{Binary, Layout, tethered};
use tempfile::TempDir;

use crate::children::{self, Owned, Owner, stop};
use crate::components::{self, Ports};
use crate::events::Events;
use crate::failure::Failure;
use crate::pki::Pki;

/// How often new ports are tried when another program takes the free ones.
const ATTEMPTS: usize = 5;

/// For each condition. A start takes three seconds; a machine that compiles at the same time, and
/// starts several control planes, takes a multiple of it.
const READY_TIMEOUT: Duration = Duration::from_secs(90);

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(50);

/// What both Go servers print when they cannot listen.
const PORT_TAKEN: &str = "address already in use";

/// Objects that only a working controller manager makes.
const MADE_BY_CONTROLLERS: [&str; 2] = [
    "/api/v1/namespaces/default/serviceaccounts/default",
    "/api/v1/namespaces/default/configmaps/kube-root-ca.crt",
];

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Request {
    #[arg(long)]
    etcd: PathBuf,
    #[arg(long)]
    kube_apiserver: PathBuf,
    #[arg(long)]
    kube_controller_manager: PathBuf,
    #[arg(long)]
    kubectl: PathBuf,
    #[arg(long)]
    audit_policy: Option<PathBuf>,
    #[arg(long)]
    server: Option<SocketAddr>,
}

impl Request {
    fn paths(&self) -> [(Binary, &Path); 4] {
        [
            (Binary::Etcd, &self.etcd),
            (Binary::KubeApiserver, &self.kube_apiserver),
            (Binary::KubeControllerManager, &self.kube_controller_manager),
            (Binary::Kubectl, &self.kubectl),
        ]
    }
}

/// The components in the order of their start; what is started later depends on what was earlier.
#[derive(Debug)]
struct Supervisor {
    request: Request,
    layout: Layout,
    pki: Pki,
    events: Events,
    components: Vec<Owned>,
}

/// Runs a control plane until standard input ends or a signal comes, and removes its folder.
///
/// Prints `ready DIRECTORY`, or the reason why it did not become ready.
pub(crate) fn supervise(request: Request) -> Result<ExitCode, Failure> {
    let events = Events::listen(true)?;
    let directory = tempfile::Builder::new()
        .prefix("aep-control-plane-")
        // Keys and the administrator's token are in it.
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .map_err(Failure::io("make a temporary folder"))?;
    let result = run(request, events, &directory);
    let removed = directory
        .close()
        .map_err(Failure::io("remove the temporary folder"));
    match result.and(removed) {
        // Stopping is what was asked for.
        Ok(()) | Err(Failure::Stopped) => Ok(ExitCode::SUCCESS),
        Err(failure) => Err(failure),
    }
}

fn run(request: Request, events: Events, directory: &TempDir) -> Result<(), Failure> {
    let layout = Layout::new(directory.path());
    let pki = Pki::create(&layout.pki())?;
    let mut supervisor = Supervisor {
        request,
        layout,
        pki,
        events,
        components: Vec::new(),
    };
    let result = supervisor.start();
    match &result {
        Ok(()) => say(&format!("ready {}", directory.path().display())),
        Err(failure) => say(&failure.to_string()),
    }
    let result = match result {
        Ok(()) => supervisor.watch(),
        // The owner has read the reason; it is not said twice.
        Err(_) => Err(Failure::Stopped),
    };
    supervisor.stop();
    result
}

impl Owner for Supervisor {
    const READY_TIMEOUT: Duration = READY_TIMEOUT;
    const POLL: Duration = POLL;

    fn events(&self) -> &Events {
        &self.events
    }

    fn components(&mut self) -> &mut [Owned] {
        &mut self.components
    }

    fn check(&mut self) -> Result<(), Failure> {
        match children::check(&mut self.components) {
            Err(Failure::Ended { output, .. }) if output.contains(PORT_TAKEN) => {
                Err(Failure::PortTaken { attempts: 1 })
            }
            other => other,
        }
    }
}

impl Supervisor {
    fn start(&mut self) -> Result<(), Failure> {
        let bin = self.layout.bin();
        fs::create_dir(&bin).map_err(Failure::io(format!("create {}", bin.display())))?;
        for (binary, path) in self.request.paths() {
            symlink(path, bin.join(binary.name()))
                .map_err(Failure::io(format!("link {binary}")))?;
        }
        for attempt in 0..ATTEMPTS {
            match self.attempt(attempt) {
                Err(Failure::PortTaken { .. }) => self.stop(),
                result => return result,
            }
        }
        Err(Failure::PortTaken { attempts: ATTEMPTS })
    }

    /// One attempt, on ports that were free a moment ago.
    fn attempt(&mut self, number: usize) -> Result<(), Failure> {
        let ports = Ports::free(self.request.server)?;
        components::write_files(&self.layout, &self.pki, ports)?;
        let data = components::etcd_data(&self.layout, number);
        self.spawn(Binary::Etcd, components::etcd(&data, ports))?;
        let policy = self.request.audit_policy.as_deref();
        let arguments = components::kube_apiserver(&self.layout, &self.pki, ports, policy);
        self.spawn(Binary::KubeApiserver, arguments)?;

        // A connection is cheaper to try than kubectl is to start.
        self.wait("listening of kube-apiserver", |_| {
            TcpStream::connect_timeout(&ports.server, POLL).is_ok()
        })?;
        self.wait("readiness of kube-apiserver", |supervisor| {
            supervisor.get("/readyz")
        })?;
        // Started earlier, it would sleep a second between its looks for an API server.
        let arguments = components::kube_controller_manager(&self.layout, &self.pki);
        self.spawn(Binary::KubeControllerManager, arguments)?;
        for path in MADE_BY_CONTROLLERS {
            self.wait("readiness of kube-controller-manager", |supervisor| {
                supervisor.get(path)
            })?;
        }
        Ok(())
    }

    fn spawn(&mut self, binary: Binary, arguments: Vec<String>) -> Result<(), Failure> {
        let log = self.layout.log(binary);
        // The log of an earlier attempt would be taken for this one's.
        if log.exists() {
            fs::remove_file(&log).map_err(Failure::io(format!("remove {}", log.display())))?;
        }
        let path = self.layout.bin().join(binary.name());
        self.components
            .push(Owned::spawn(binary.name(), path, arguments, Some(&log))?);
        Ok(())
    }

    /// Whether the API server answers a GET of `path` with success.
    fn get(&self, path: &str) -> bool {
        let Ok(mut kubectl) = tethered(self.layout.bin().join(Binary::Kubectl.name())) else {
            return false;
        };
        kubectl
            .arg("get")
            .args(["--raw", path])
            .args(["--request-timeout", "2s"])
            .arg("--kubeconfig")
            .arg(self.layout.kubeconfig())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Waits for the order to stop. Fails when a component ends before.
    fn watch(&mut self) -> Result<(), Failure> {
        while !self.events.wait().asks_to_stop() {
            self.check()?;
        }
        Ok(())
    }

    /// Stops etcd last: the others only make noise without it.
    fn stop(&mut self) {
        let mut components = mem::take(&mut self.components);
        let mut others = components.split_off(1.min(components.len()));
        stop(&mut others, &self.events);
        stop(&mut components, &self.events);
    }
}

/// Tells the owner. If it is gone, standard input has ended, which is seen elsewhere.
fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}
