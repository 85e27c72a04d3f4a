//! What a node leaves on the machine that does not go with its namespaces.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Duration;

use crate::failure::Failure;

/// Where control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// A file that each of them has.
const PROCESSES: &str = "cgroup.procs";

/// In front of the process id of who runs the node.
const PREFIX: &str = "aep-node-";

/// The folder that kubelet makes wherever its other files are.
const KUBELET: &str = "/var/lib/kubelet";

/// What there is to remove.
#[derive(Debug)]
pub(crate) struct Traces {
    cgroup: String,
}

impl Traces {
    /// Removes what a node left whose process was killed, and makes the mount point of kubelet's
    /// folder.
    pub(crate) fn make() -> Result<Self, Failure> {
        for path in cgroups(|name| pid_of(name).is_some_and(|pid| !runs(pid))) {
            // Another one may be removing it.
            let _ = remove_cgroup(&path);
        }
        fs::create_dir_all(KUBELET).map_err(Failure::io(format!("create {KUBELET}")))?;
        let traces = Self {
            cgroup: format!("{PREFIX}{}", process::id()),
        };
        for hierarchy in hierarchies() {
            let path = hierarchy.join(&traces.cgroup);
            make_cgroup(&path).map_err(Failure::io(format!("create {}", path.display())))?;
        }
        Ok(traces)
    }

    /// The name of the control group that all pods are in.
    pub(crate) fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// Removes everything, after the namespaces have ended.
    pub(crate) fn remove(self) -> Result<(), Failure> {
        for path in cgroups(|name| name == self.cgroup) {
            remove_cgroup(&path).map_err(Failure::io(format!("remove {}", path.display())))?;
        }
        // The mounts on a folder go with it, in all namespaces: not while another node runs.
        if cgroups(|name| pid_of(name).is_some_and(runs)).is_empty() {
            match fs::remove_dir(KUBELET) {
                // That of a kubelet which is none of ours.
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
                result => result.map_err(Failure::io(format!("remove {KUBELET}")))?,
            }
        }
        Ok(())
    }
}

/// The process that a control group is named after.
fn pid_of(cgroup: &str) -> Option<&str> {
    cgroup.strip_prefix(PREFIX)
}

fn runs(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

/// The roots of the hierarchies of control groups: one, or one for each controller.
fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from(CGROUPS);
    if root.join(PROCESSES).exists() {
        return vec![root];
    }
    let mut found = folders(&root);
    found.retain(|path| path.join(PROCESSES).exists());
    found
}

/// Makes a control group. Where there is one hierarchy, it has the controllers that its parent
/// passes on; where there are several, the one of processors and memory nodes is of no use before it
/// has some.
fn make_cgroup(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    let parent = path.parent().unwrap_or(path);
    let controllers = fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        // The kubelet names those that it lacks.
        let _ = fs::write(
            parent.join("cgroup.subtree_control"),
            format!("+{controller}"),
        );
    }
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let own = path.join(name);
        let parents = parent.join(name);
        if parents.exists() && own.exists() {
            fs::write(own, fs::read(parents)?)?;
        }
    }
    Ok(())
}

/// The control groups just below the root of any hierarchy whose name is wanted.
fn cgroups(wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let below = hierarchies().into_iter().flat_map(|path| folders(&path));
    below
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(&wanted)
        })
        .collect()
}

/// The folders in a folder, but no links: some hierarchies have two names.
fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Removes a control group and those in it. A group whose processes have just ended can be busy for
/// a moment.
fn remove_cgroup(path: &Path) -> io::Result<()> {
    const ATTEMPTS: usize = 50;
    const PAUSE: Duration = Duration::from_millis(50);

    for inner in folders(path) {
        remove_cgroup(&inner)?;
    }
    for _ in 1..ATTEMPTS {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => thread::sleep(PAUSE),
            result => return result,
        }
    }
    fs::remove_dir(path)
}
