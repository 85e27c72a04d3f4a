//! The folder of one control plane: the supervisor writes it, the library and its users read it.

use std::path::{Path, PathBuf};

use crate::assets::Binary;

/// Names the files in the folder of a control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    directory: PathBuf,
}

impl Layout {
    /// The layout of the control plane in `directory`.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The folder itself.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The administrator's kubeconfig, with the certificate authority in it.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig")
    }

    /// The certificate of the authority that signed the API server's certificate.
    #[must_use]
    pub fn ca_certificate(&self) -> PathBuf {
        self.pki().join("ca.crt")
    }

    /// Keys, certificates and the administrator's token.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.directory.join("pki")
    }

    /// Links to the four binaries.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.directory.join("bin")
    }

    /// What a component prints.
    #[must_use]
    pub fn log(&self, binary: Binary) -> PathBuf {
        self.directory.join(format!("{binary}.log"))
    }

    /// The API server's audit log, one JSON event a line; only written with an audit policy.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.directory.join("audit.log")
    }

    /// A file with the API server's URL.
    #[must_use]
    pub fn server(&self) -> PathBuf {
        self.directory.join("server")
    }

    /// A file with etcd's URL.
    #[must_use]
    pub fn etcd(&self) -> PathBuf {
        self.directory.join("etcd")
    }

    /// kubectl's cache of API discovery. The default one in the home directory is keyed by host and
    /// port, and another control plane may get the same port.
    #[must_use]
    pub fn kubectl_cache(&self) -> PathBuf {
        self.directory.join("kubectl-cache")
    }
}
