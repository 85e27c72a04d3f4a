//! The pinned Go modules that binaries are built from.

use sha2::{Digest, Sha256};

use crate::assets::Binary;

/// Static binaries without the paths of the machine that built them.
const FLAGS: [&str; 2] = ["-mod=readonly", "-trimpath"];

/// What containerd and runc can do without here: file systems that need libraries in C, tracing, and
/// shares of a processor's cache.
const NODE_TAGS: &str = "urfave_cli_no_docs,no_btrfs,no_devmapper,no_zfs,no_tracing,no_rdt";

/// A Go module of this folder. Its files are part of this crate's binaries, so that these work
/// wherever they are moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Module {
    /// etcd and Kubernetes.
    Kubernetes,
    /// What runs containers. It is a module of its own because it needs newer versions of much that
    /// Kubernetes needs as well.
    Node,
    /// Helm 4, which installs the chart.
    Helm,
    /// Helm 3, which many still have.
    Helm3,
}

impl Module {
    /// Its files, by their names in it.
    pub(crate) fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Kubernetes => &[
                ("go.mod", include_str!("../go.mod")),
                ("go.sum", include_str!("../go.sum")),
            ],
            Self::Node => &[
                ("go.mod", include_str!("../node/go.mod")),
                ("go.sum", include_str!("../node/go.sum")),
                ("pause/main.go", include_str!("../node/pause/main.go")),
            ],
            Self::Helm => &[
                ("go.mod", include_str!("../helm/go.mod")),
                ("go.sum", include_str!("../helm/go.sum")),
            ],
            Self::Helm3 => &[
                ("go.mod", include_str!("../helm3/go.mod")),
                ("go.sum", include_str!("../helm3/go.sum")),
            ],
        }
    }

    fn go_mod(self) -> &'static str {
        self.files()
            .iter()
            .find(|(name, _)| *name == "go.mod")
            .map_or("", |(_, text)| text)
    }

    /// The cache folder's name: the version for people, and a hash of all that the build depends
    /// on.
    pub(crate) fn key(self) -> String {
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            hash.update(part);
            hash.update([0]);
        };
        for (_, text) in self.files() {
            add(text);
        }
        match self {
            Self::Kubernetes => {
                add(&FLAGS.join(" "));
                add(&self.linker_flags(Binary::KubeApiserver));
            }
            Self::Node => {
                for binary in [Binary::Containerd, Binary::Runc] {
                    add(&self.build_flags(binary).join(" "));
                }
            }
            Self::Helm => add(&self.build_flags(Binary::Helm).join(" ")),
            Self::Helm3 => add(&self.build_flags(Binary::Helm3).join(" ")),
        }
        let mut digest = [0; 8];
        digest.copy_from_slice(&hash.finalize()[..8]);
        let hash = u64::from_be_bytes(digest);
        match self {
            Self::Kubernetes => format!("{}-{hash:016x}", self.version()),
            Self::Node => format!("containerd-{}-{hash:016x}", self.version()),
            Self::Helm | Self::Helm3 => format!("helm-{}-{hash:016x}", self.version()),
        }
    }

    /// The version that go.mod pins of what gives the module its name, as in `v1.36.3`.
    fn version(self) -> &'static str {
        let name = match self {
            Self::Kubernetes => "k8s.io/kubernetes ",
            Self::Node => "github.com/containerd/containerd/v2 ",
            Self::Helm => "helm.sh/helm/v4 ",
            Self::Helm3 => "helm.sh/helm/v3 ",
        };
        self.pinned(name)
    }

    /// The version that go.mod pins of a module, whose name is followed by a space.
    fn pinned(self, name: &str) -> &'static str {
        let lines = self.go_mod().lines().map(str::trim_start);
        let pinned = lines
            .map(|line| line.strip_prefix("require ").unwrap_or(line))
            .find_map(|line| line.strip_prefix(name));
        // A comment may follow.
        pinned
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap_or("unknown")
    }

    /// The version of Go that go.mod asks for, as in `1.26.0`.
    pub(crate) fn needed_go(self) -> &'static str {
        self.go_mod()
            .lines()
            .find_map(|line| line.strip_prefix("go "))
            .unwrap_or("1.26.0")
    }

    /// What `go build` is told.
    pub(crate) fn build_flags(self, binary: Binary) -> Vec<String> {
        let mut flags: Vec<String> = FLAGS.map(str::to_owned).to_vec();
        match self {
            Self::Kubernetes | Self::Helm | Self::Helm3 => {}
            Self::Node if uses_c(binary) => {
                flags.push(format!("-tags={NODE_TAGS},seccomp,osusergo,netgo"));
            }
            Self::Node => flags.push(format!("-tags={NODE_TAGS}")),
        }
        flags.push(format!("-ldflags={}", self.linker_flags(binary)));
        flags
    }

    /// Kubernetes and Helm get their versions from the linker. Without it the API server calls
    /// itself v0.0.0, and clients that check the version refuse it; Helm 3 takes a cluster that it
    /// does not ask for one of 2020.
    fn linker_flags(self, binary: Binary) -> String {
        match self {
            Self::Kubernetes => {
                let version = self.version();
                let mut numbers = version.trim_start_matches('v').split('.');
                let major = numbers.next().unwrap_or_default();
                let minor = numbers.next().unwrap_or_default();
                let package = "k8s.io/component-base/version";
                format!(
                    "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} \
                     -X {package}.gitMinor={minor}"
                )
            }
            Self::Node if uses_c(binary) => "-s -w -extldflags=-static".to_owned(),
            Self::Node => "-s -w".to_owned(),
            Self::Helm => {
                let version = self.version();
                format!("-s -w -X helm.sh/helm/v4/internal/version.version={version}")
            }
            Self::Helm3 => {
                let helm = "helm.sh/helm/v3";
                let version = self.version();
                // client-go is v0.N.M for every Kubernetes v1.N.M.
                let client = self.pinned("k8s.io/client-go ");
                let minor = client.split('.').nth(1).unwrap_or_default();
                let mut flags = format!("-s -w -X {helm}/internal/version.version={version}");
                for package in ["pkg/chartutil", "pkg/lint/rules"] {
                    let variable = format!("-X {helm}/{package}.k8sVersion");
                    flags.extend([" ", &variable, "Major=1 ", &variable, "Minor=", minor]);
                }
                flags
            }
        }
    }
}

/// Whether a part of the binary is C: of runc, what enters namespaces, and the library for system
/// call filters, without which no pod starts that asks for the runtime's default filter.
pub(crate) fn uses_c(binary: Binary) -> bool {
    binary == Binary::Runc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_committed_go_mod() {
        let key = Module::Kubernetes.key();
        assert!(key.starts_with("v1."), "{key}");
        let flags = Module::Kubernetes.linker_flags(Binary::KubeApiserver);
        assert!(flags.contains("gitMajor=1 "), "{flags}");
        assert!(!flags.contains("unknown"), "{flags}");
        let key = Module::Node.key();
        assert!(key.starts_with("containerd-v2."), "{key}");
        for (module, start) in [(Module::Helm, "helm-v4."), (Module::Helm3, "helm-v3.")] {
            let key = module.key();
            assert!(key.starts_with(start), "{key}");
        }
        let flags = Module::Helm3.linker_flags(Binary::Helm3);
        assert!(flags.contains("chartutil.k8sVersionMinor=3"), "{flags}");
        let all = [
            Module::Kubernetes,
            Module::Node,
            Module::Helm,
            Module::Helm3,
        ];
        for module in all {
            assert!(module.needed_go().starts_with("1."), "{module:?}");
        }
    }
}
