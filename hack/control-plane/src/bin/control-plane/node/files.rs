//! Files and command lines of the node's components.

use std::net::Ipv4Addr;
use std::path::Path;

/// The node's folder. It is on a file system in memory that only the node's namespaces have.
pub(crate) const FOLDER: &str = "/run/aep-node";

/// The node's name.
pub(crate) const NODE: &str = "node-1";

/// The image of what runs in a pod beside its containers.
pub(crate) const PAUSE_IMAGE: &str = "localhost/pause:node";

/// What kubelet would set for the whole machine. It sees these values, so that it sets nothing.
pub(crate) const KERNEL_SETTINGS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// The network, for `ip -batch`. Pods are on the bridge; the API server has the address of its
/// Service, so that pods reach it without kube-proxy. Components look for a default route.
pub(crate) const NETWORK: &str = "link set lo up
address add 10.0.0.1/32 dev lo
link add cni0 type bridge
address add 10.77.0.1/24 dev cni0
link set cni0 up
route add default dev cni0
";

/// The node's address, by which pods know it.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Of pods that do not ask for the cluster's DNS.
pub(crate) const RESOLV_CONF: &str = "nameserver 10.77.0.1\n";

pub(crate) fn cni() -> String {
    format!(
        r#"{{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [{{
    "type": "bridge",
    "bridge": "cni0",
    "isGateway": true,
    "ipam": {{
      "type": "host-local",
      "dataDir": "{FOLDER}/cni-addresses",
      "ranges": [[{{"subnet": "10.77.0.0/24", "rangeStart": "10.77.0.10"}}]],
      "routes": [{{"dst": "0.0.0.0/0"}}]
    }}
  }}]
}}
"#
    )
}

/// Lowering the OOM score takes a capability that a machine in a sandbox may lack.
pub(crate) fn containerd() -> String {
    let runtime = "plugins.'io.containerd.cri.v1.runtime'";
    format!(
        "version = 3
root = '{FOLDER}/containerd'
state = '{FOLDER}/containerd-state'

[grpc]
address = '{FOLDER}/containerd.sock'

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '{PAUSE_IMAGE}'

[{runtime}]
restrict_oom_score_adj = true

[{runtime}.cni]
bin_dirs = ['{FOLDER}/bin']
conf_dir = '{FOLDER}/cni'
use_internal_loopback = true

[{runtime}.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'

[{runtime}.containerd.runtimes.runc.options]
BinaryName = '{FOLDER}/bin/runc'
SystemdCgroup = false
"
    )
}

/// The kubelet's port can only be reached in the node's network, so it asks nobody who he is.
pub(crate) fn kubelet(cgroup: &str, pod_logs: &Path) -> String {
    format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous:
    enabled: true
  webhook:
    enabled: false
authorization:
  mode: AlwaysAllow
containerRuntimeEndpoint: unix://{FOLDER}/containerd.sock
clusterDNS: [{ADDRESS}]
clusterDomain: cluster.local
cgroupDriver: cgroupfs
cgroupRoot: /{cgroup}
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
protectKernelDefaults: true
podLogsDir: {pod_logs}
resolvConf: {FOLDER}/resolv.conf
imageGCHighThresholdPercent: 100
evictionHard:
  imagefs.available: 0%
  imagefs.inodesFree: 0%
  memory.available: 0%
  nodefs.available: 0%
  nodefs.inodesFree: 0%
",
        pod_logs = pod_logs.display(),
    )
}

pub(crate) fn kubelet_arguments(kubeconfig: &Path) -> [String; 5] {
    [
        format!("--config={FOLDER}/kubelet.yaml"),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--root-dir={FOLDER}/kubelet"),
        format!("--hostname-override={NODE}"),
        format!("--node-ip={ADDRESS}"),
    ]
}

pub(crate) fn scheduler_arguments(kubeconfig: &Path) -> [String; 3] {
    [
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
    ]
}
