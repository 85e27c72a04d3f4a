//! The binaries of a cluster: found in `KUBEBUILDER_ASSETS` or the cache, else built.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{self, Path, PathBuf};

use crate::binaries::variable_of;
use crate::builder::Builder;
use crate::error::Error;
use crate::module::Module;
use crate::progress::Progress;

/// A program of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binary {
    /// The store.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// Namespaces, garbage collection, service accounts and workloads.
    KubeControllerManager,
    /// The command-line client.
    Kubectl,
    /// Chooses a node for a pod.
    KubeScheduler,
    /// Runs the pods of a node.
    Kubelet,
    /// Images and containers.
    Containerd,
    /// What containerd starts for each pod.
    ContainerdShim,
    /// The client of containerd, which brings images to it.
    Ctr,
    /// Starts a container.
    Runc,
    /// Connects a pod to a bridge.
    CniBridge,
    /// Gives a pod an address.
    CniHostLocal,
    /// What runs in a pod beside its containers.
    Pause,
    /// Helm 4.
    Helm,
    /// Helm 3.
    Helm3,
}

impl Binary {
    /// The control plane, in the order in which it is built: the quick one first, so that a machine
    /// that cannot build says so early.
    pub const CONTROL_PLANE: [Self; 4] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::Kubectl,
    ];

    /// What a node needs beside a control plane. The first of these is the one that most machines
    /// lack something for.
    pub const NODE: [Self; 9] = [
        Self::Runc,
        Self::CniBridge,
        Self::CniHostLocal,
        Self::Pause,
        Self::ContainerdShim,
        Self::Containerd,
        Self::Ctr,
        Self::KubeScheduler,
        Self::Kubelet,
    ];

    /// The file's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::Kubectl => "kubectl",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::Containerd => "containerd",
            Self::ContainerdShim => "containerd-shim-runc-v2",
            Self::Ctr => "ctr",
            Self::Runc => "runc",
            Self::CniBridge => "bridge",
            Self::CniHostLocal => "host-local",
            Self::Pause => "pause",
            Self::Helm => "helm",
            Self::Helm3 => "helm3",
        }
    }

    /// The Go package that it is built from.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::KubeScheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kubelet => "k8s.io/kubernetes/cmd/kubelet",
            Self::Containerd => "github.com/containerd/containerd/v2/cmd/containerd",
            Self::ContainerdShim => {
                "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"
            }
            Self::Ctr => "github.com/containerd/containerd/v2/cmd/ctr",
            Self::Runc => "github.com/opencontainers/runc",
            Self::CniBridge => "github.com/containernetworking/plugins/plugins/main/bridge",
            Self::CniHostLocal => "github.com/containernetworking/plugins/plugins/ipam/host-local",
            Self::Pause => "./pause",
            Self::Helm => "helm.sh/helm/v4/cmd/helm",
            Self::Helm3 => "helm.sh/helm/v3/cmd/helm",
        }
    }

    /// The Go module whose versions it is built with.
    pub(crate) fn module(self) -> Module {
        match self {
            Self::Etcd
            | Self::KubeApiserver
            | Self::KubeControllerManager
            | Self::Kubectl
            | Self::KubeScheduler
            | Self::Kubelet => Module::Kubernetes,
            Self::Containerd
            | Self::ContainerdShim
            | Self::Ctr
            | Self::Runc
            | Self::CniBridge
            | Self::CniHostLocal
            | Self::Pause => Module::Node,
            Self::Helm => Module::Helm,
            Self::Helm3 => Module::Helm3,
        }
    }
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Paths of the four binaries of a control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assets {
    /// In the order of [`Binary::CONTROL_PLANE`].
    paths: [PathBuf; 4],
}

impl Assets {
    /// Finds the binaries, and builds those that are nowhere.
    ///
    /// `KUBEBUILDER_ASSETS` comes first. envtest's folders have no kube-controller-manager; this
    /// one alone is then taken from the cache, and `progress` is told. Without the variable all
    /// come from the cache: `control-plane/` in `AEP_CONTROL_PLANE_CACHE`, by default
    /// `~/.cache/aep-export-operator`, and there a folder named after the Kubernetes version and
    /// everything else that changes what is built.
    ///
    /// # Errors
    ///
    /// [`Error::IncompleteAssets`] when the variable names a folder that lacks another binary,
    /// [`Error::NoGo`] and [`Error::Build`] when a build is needed and not possible.
    pub fn locate_or_build(progress: &mut dyn FnMut(&Progress)) -> Result<Self, Error> {
        let given = match variable("KUBEBUILDER_ASSETS") {
            Some(directory) => envtest(&absolute(&directory)?, progress)?,
            None => Default::default(),
        };
        let missing: Vec<Binary> = Binary::CONTROL_PLANE
            .into_iter()
            .filter(|binary| given[*binary as usize].is_none())
            .collect();
        let built = if missing.is_empty() {
            PathBuf::new()
        } else {
            let builder = Builder::new(&cache_root()?, Module::Kubernetes);
            builder.build_missing(&missing, progress)?;
            builder.directory().to_owned()
        };
        let paths = Binary::CONTROL_PLANE.map(|binary| {
            given[binary as usize]
                .clone()
                .unwrap_or_else(|| built.join(binary.name()))
        });
        Ok(Self { paths })
    }

    /// Each binary with its path.
    pub fn paths(&self) -> impl Iterator<Item = (Binary, &Path)> {
        let paths = self.paths.iter().map(PathBuf::as_path);
        Binary::CONTROL_PLANE.into_iter().zip(paths)
    }

    /// The folder to put first in `PATH`: the one that kubectl is in.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        self.paths[Binary::Kubectl as usize]
            .parent()
            .unwrap_or(Path::new("/"))
    }
}

/// Paths of the binaries that a node needs beside a control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAssets {
    /// In the order of [`Binary::NODE`].
    paths: [PathBuf; 9],
}

impl NodeAssets {
    /// Finds the binaries in the cache, as [`Assets::locate_or_build`] does, and builds those that
    /// are not there.
    ///
    /// # Errors
    ///
    /// [`Error::NoGo`] and [`Error::Build`] when a build is needed and not possible.
    pub fn locate_or_build(progress: &mut dyn FnMut(&Progress)) -> Result<Self, Error> {
        let root = cache_root()?;
        let builders = [Module::Node, Module::Kubernetes].map(|module| {
            let binaries = Binary::NODE.into_iter();
            let binaries: Vec<Binary> = binaries.filter(|it| it.module() == module).collect();
            (Builder::new(&root, module), binaries)
        });
        for (builder, binaries) in &builders {
            builder.build_missing(binaries, progress)?;
        }
        let paths = Binary::NODE.map(|binary| {
            let built = builders.iter().find(|(_, own)| own.contains(&binary));
            built.map_or_else(PathBuf::new, |(builder, _)| {
                builder.directory().join(binary.name())
            })
        });
        Ok(Self { paths })
    }

    /// Each binary with its path.
    pub fn paths(&self) -> impl Iterator<Item = (Binary, &Path)> {
        let paths = self.paths.iter().map(PathBuf::as_path);
        Binary::NODE.into_iter().zip(paths)
    }
}

/// A version of Helm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helm {
    /// The one that is used for everything.
    V4,
    /// The one before.
    V3,
}

impl Helm {
    /// The variable that names a binary to use instead of the pinned one.
    #[must_use]
    pub fn variable(self) -> String {
        variable_of(self.binary().name())
    }

    /// Finds the binary: the one that [`Helm::variable`] names, else the one of the pinned version
    /// in the cache, which is built if it is not there. `PATH` is not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::NoGo`] and [`Error::Build`] when a build is needed and not possible.
    pub fn locate_or_build(self, progress: &mut dyn FnMut(&Progress)) -> Result<PathBuf, Error> {
        if let Some(path) = variable(&self.variable()) {
            return absolute(&path);
        }
        let binary = self.binary();
        let builder = Builder::new(&cache_root()?, binary.module());
        builder.build_missing(&[binary], progress)?;
        Ok(builder.directory().join(binary.name()))
    }

    fn binary(self) -> Binary {
        match self {
            Self::V4 => Binary::Helm,
            Self::V3 => Binary::Helm3,
        }
    }
}

/// The binaries in a folder of the envtest convention.
fn envtest(
    directory: &Path,
    progress: &mut dyn FnMut(&Progress),
) -> Result<[Option<PathBuf>; 4], Error> {
    let found = Binary::CONTROL_PLANE
        .map(|binary| Some(directory.join(binary.name())).filter(|path| path.is_file()));
    for (binary, path) in Binary::CONTROL_PLANE.into_iter().zip(&found) {
        let directory = directory.to_owned();
        match (path, binary) {
            (Some(_), _) => {}
            (None, Binary::KubeControllerManager) => {
                progress(&Progress::Supplemented { binary, directory });
            }
            (None, _) => return Err(Error::IncompleteAssets { directory, binary }),
        }
    }
    Ok(found)
}

/// The folder below which builds are kept: outside `target`, so that `cargo clean` does not cost
/// another build.
fn cache_root() -> Result<PathBuf, Error> {
    let project = "aep-export-operator";
    let root = variable("AEP_CONTROL_PLANE_CACHE")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("XDG_CACHE_HOME")?).join(project)))
        .or_else(|| {
            Some(
                PathBuf::from(variable("HOME")?)
                    .join(".cache")
                    .join(project),
            )
        })
        .ok_or(Error::NoCacheDirectory)?;
    let root = absolute(root.as_os_str())?;
    Ok(root.join("control-plane"))
}

/// What is relative means this process's folder, not that of a build or of a control plane.
fn absolute(path: &OsStr) -> Result<PathBuf, Error> {
    path::absolute(path).map_err(Error::io(format!("make {} absolute", path.display())))
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
