//! The pinned Go modules that binaries are built from.

use sha2::{Digest, Sha256};

use crate::assets::Binary;

/// Static binaries without the paths of the machine that built them.
const FLAGS: [&str; 2] = ["-mod=readonly", "-trimpath"];

/// What containerd and runc can do without here: file systems that need libraries in C.
const NODE_TAGS: &str = "urfave_cli_no_docs,no_btrfs,no_devmapper,no_zfs";

/// A Go module of this folder. Its files are part of this crate's binaries, so that these work
/// wherever they are moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Module {
    /// etcd and Kubernetes.
    Kubernetes,
    /// What runs containers. It is a module of its own because it needs newer versions of much that
    /// Kubernetes needs as well.
    Node,
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
        }
        let mut digest = [0; 8];
        digest.copy_from_slice(&hash.finalize()[..8]);
        let hash = u64::from_be_bytes(digest);
        match self {
            Self::Kubernetes => format!("{}-{hash:016x}", self.version()),
            Self::Node => format!("containerd-{}-{hash:016x}", self.version()),
        }
    }

    /// The version that go.mod pins of what gives the module its name, as in `v1.36.3`.
    fn version(self) -> &'static str {
        let name = match self {
            Self::Kubernetes => "k8s.io/kubernetes ",
            Self::Node => "github.com/containerd/containerd/v2 ",
        };
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
            Self::Kubernetes => {}
            Self::Node if uses_c(binary) => {
                flags.push(format!("-tags={NODE_TAGS},seccomp,osusergo,netgo"));
            }
            Self::Node => flags.push(format!("-tags={NODE_TAGS}")),
        }
        flags.push(format!("-ldflags={}", self.linker_flags(binary)));
        flags
    }

    /// Kubernetes gets its version from the linker. Without it the server calls itself v0.0.0, and
    /// clients that check the version refuse it.
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
        for module in [Module::Kubernetes, Module::Node] {
            assert!(module.needed_go().starts_with("1."), "{module:?}");
        }
    }
}
