//! The node, in its namespaces.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use aep_control_plane::{Binary, ControlPlane, NodeAssets, on_stderr};
use rustix::mount::{MountFlags, mount, mount_bind};
use sha2::{Digest, Sha256};

use super::{NodeRequest, dns, files};
use crate::children::{Owned, Owner};
use crate::events::Events;
use crate::failure::Failure;

/// For each condition. A node is ready after some seconds; a machine that compiles at the same time
/// takes a multiple of it.
const READY_TIMEOUT: Duration = Duration::from_mins(2);

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(100);

/// containerd, kubelet and kube-scheduler. They end with this process.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    events: &'a Events,
    folder: PathBuf,
    logs: PathBuf,
    components: Vec<Owned>,
}

impl Owner for Node<'_> {
    const READY_TIMEOUT: Duration = READY_TIMEOUT;
    const POLL: Duration = POLL;

    fn events(&self) -> &Events {
        self.events
    }

    fn components(&mut self) -> &mut [Owned] {
        &mut self.components
    }
}

impl<'a> Node<'a> {
    /// Makes file systems and network, and starts containerd with the images. What needs a control
    /// plane is for [`Node::join`].
    pub(crate) fn prepare(request: &NodeRequest, events: &'a Events) -> Result<Self, Failure> {
        let assets = NodeAssets::locate_or_build(&mut on_stderr())?;
        let folder = PathBuf::from(files::FOLDER);
        let logs = match &request.logs {
            Some(logs) => NodeRequest::absolute(logs)?,
            None => folder.join("logs"),
        };
        // Before what is on the machine is hidden.
        if request.logs.is_some() {
            create(&logs)?;
        }
        mounts(&folder)?;
        for name in ["bin", "cni", "kubelet"] {
            create(&folder.join(name))?;
        }
        let pod_logs = logs.join("pods");
        create(&pod_logs)?;
        let cgroup = request.inside.clone().unwrap_or_default();
        for (name, text) in [
            ("resolv.conf", files::RESOLV_CONF.to_owned()),
            ("cni/pods.conflist", files::cni()),
            ("containerd.toml", files::containerd()),
            ("kubelet.yaml", files::kubelet(&cgroup, &pod_logs)),
        ] {
            write_file(&folder.join(name), text)?;
        }
        for (binary, path) in assets.paths() {
            let link = folder.join("bin").join(binary.name());
            symlink(path, &link).map_err(Failure::io(format!("link {binary}")))?;
        }
        network()?;
        dns::serve(files::ADDRESS)?;

        let mut node = Self {
            events,
            folder,
            logs,
            components: Vec::new(),
        };
        let config = format!("--config={}/containerd.toml", files::FOLDER);
        node.spawn(Binary::Containerd, [config])?;
        node.wait("readiness of containerd", |node| {
            let mut ctr = node.ctr();
            ctr.arg("version");
            ctr.stdout(Stdio::null()).stderr(Stdio::null());
            ctr.status().is_ok_and(|status| status.success())
        })?;
        node.import(&node.pause_image()?)?;
        for image in &request.images {
            node.import(&NodeRequest::absolute(image)?)?;
        }
        Ok(node)
    }

    /// Makes the node one of a control plane's, and waits until pods can run on it.
    pub(crate) fn join(&mut self, plane: &ControlPlane) -> Result<(), Failure> {
        let kubeconfig = plane.kubeconfig();
        self.spawn(
            Binary::KubeScheduler,
            files::scheduler_arguments(&kubeconfig),
        )?;
        self.spawn(Binary::Kubelet, files::kubelet_arguments(&kubeconfig))?;
        self.wait("readiness of the node", |_| {
            let mut kubectl = plane.kubectl();
            kubectl.args(["get", "node", files::NODE, "--output"]);
            kubectl.arg("jsonpath={.status.conditions[?(@.type=='Ready')].status}");
            kubectl
                .stderr(Stdio::null())
                .output()
                .is_ok_and(|output| output.stdout == b"True")
        })
    }

    fn spawn(
        &mut self,
        binary: Binary,
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<(), Failure> {
        let log = self.logs.join(format!("{binary}.log"));
        let program = self.folder.join("bin").join(binary.name());
        let child = Owned::spawn(binary.name(), program, arguments, Some(&log))?;
        self.components.push(child);
        Ok(())
    }

    fn ctr(&self) -> Command {
        let mut ctr = Command::new(self.folder.join("bin/ctr"));
        ctr.arg(format!("--address={}/containerd.sock", files::FOLDER));
        ctr.arg("--namespace=k8s.io");
        ctr
    }

    fn import(&self, image: &Path) -> Result<(), Failure> {
        let mut ctr = self.ctr();
        run(ctr.args(["images", "import"]).arg(image))
    }

    /// Writes the archive of the image that each pod needs, as `docker save` would.
    fn pause_image(&self) -> Result<PathBuf, Failure> {
        let folder = self.folder.join("pause");
        create(&folder)?;
        let archive = self.folder.join("pause.tar");
        let layer = folder.join("layer.tar");
        tar(&layer, &self.folder.join("bin"), &[Binary::Pause.name()])?;
        let bytes = fs::read(&layer).map_err(Failure::io("read the pause image's layer"))?;
        let digest = Sha256::digest(bytes);
        let digest = digest.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        write_file(
            &folder.join("config.json"),
            format!(
                r#"{{"architecture": "{architecture}", "os": "linux",
"config": {{"Entrypoint": ["/pause"], "User": "65535:65535"}},
"rootfs": {{"type": "layers", "diff_ids": ["sha256:{digest}"]}}}}"#
            ),
        )?;
        write_file(
            &folder.join("manifest.json"),
            format!(
                r#"[{{"Config": "config.json", "RepoTags": ["{}"], "Layers": ["layer.tar"]}}]"#,
                files::PAUSE_IMAGE
            ),
        )?;
        let names = ["manifest.json", "config.json", "layer.tar"];
        tar(&archive, &folder, &names)?;
        Ok(archive)
    }
}

/// File systems in memory where the node writes, and the kernel's settings as kubelet wants them.
fn mounts(folder: &Path) -> Result<(), Failure> {
    for path in ["/run", "/var/log", "/var/lib/kubelet"] {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", path, "tmpfs", flags, Some(c"mode=755"))
            .map_err(|error| Failure::io(format!("mount on {path}"))(error.into()))?;
    }
    create(folder)?;
    let settings = folder.join("settings");
    create(&settings)?;
    for (name, value) in files::KERNEL_SETTINGS {
        let target = Path::new("/proc/sys").join(name);
        if !target.exists() {
            continue;
        }
        let source = settings.join(name.replace('/', "."));
        write_file(&source, value.to_owned())?;
        mount_bind(&source, &target)
            .map_err(|error| Failure::io(format!("mount on {}", target.display()))(error.into()))?;
    }
    Ok(())
}

fn network() -> Result<(), Failure> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(Failure::io("start ip"))?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| {
        stdin.write_all(files::NETWORK.as_bytes())
    });
    let status = child.wait().map_err(Failure::io("wait for ip"))?;
    written.map_err(Failure::io("write to ip"))?;
    if !status.success() {
        return Err(Failure::Command {
            command: "ip".to_owned(),
            output: "  (above)".to_owned(),
        });
    }
    Ok(())
}

/// Packs files of a folder, following links.
fn tar(archive: &Path, folder: &Path, names: &[&str]) -> Result<(), Failure> {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--dereference", "--file"]);
    run(tar.arg(archive).arg("--directory").arg(folder).args(names))
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .map_err(Failure::io(format!("start {program}")))?;
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::Command {
        command: program,
        output,
    })
}

fn create(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(Failure::io(format!("create {}", path.display())))
}

fn write_file(path: &Path, text: String) -> Result<(), Failure> {
    fs::write(path, text).map_err(Failure::io(format!("write {}", path.display())))
}
