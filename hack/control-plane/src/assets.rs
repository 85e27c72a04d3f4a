//! The four binaries of a control plane: found in `KUBEBUILDER_ASSETS` or the cache, else built.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{self, Path, PathBuf};

use crate::builder::Builder;
use crate::error::Error;
use crate::progress::Progress;

/// A program of the control plane.
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
}

impl Binary {
    /// All of them, in the order in which they are built: the quick one first, so that a machine
    /// that cannot build says so early.
    pub const ALL: [Self; 4] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::Kubectl,
    ];

    /// The file's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::Kubectl => "kubectl",
        }
    }

    /// The Go package that it is built from.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
        }
    }
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Paths of the four binaries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assets {
    /// In the order of [`Binary::ALL`].
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
        let missing: Vec<Binary> = Binary::ALL
            .into_iter()
            .filter(|binary| given[*binary as usize].is_none())
            .collect();
        let built = if missing.is_empty() {
            PathBuf::new()
        } else {
            let builder = Builder::new(&cache_root()?);
            builder.build_missing(&missing, progress)?;
            builder.directory().to_owned()
        };
        let paths = Binary::ALL.map(|binary| {
            given[binary as usize]
                .clone()
                .unwrap_or_else(|| built.join(binary.name()))
        });
        Ok(Self { paths })
    }

    /// The path of one binary.
    #[must_use]
    pub fn path(&self, binary: Binary) -> &Path {
        &self.paths[binary as usize]
    }

    /// The folder to put first in `PATH`: the one that kubectl is in.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        self.path(Binary::Kubectl)
            .parent()
            .unwrap_or(Path::new("/"))
    }
}

/// The binaries in a folder of the envtest convention.
fn envtest(
    directory: &Path,
    progress: &mut dyn FnMut(&Progress),
) -> Result<[Option<PathBuf>; 4], Error> {
    let found =
        Binary::ALL.map(|binary| Some(directory.join(binary.name())).filter(|path| path.is_file()));
    for (binary, path) in Binary::ALL.into_iter().zip(&found) {
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
