//! An operator whose requests go through a proxy.

use std::path::PathBuf;

use aep_control_plane::{Exit, Signal, shared};
use rustix::process::{Pid, kill_process};
use serde_json::{Value, json};

use super::{
    LONG, World,
    proxy::{Crash, Proxy, Side},
};

/// Flags with which what became of a request that was lost is known after some seconds.
pub const SHORT_WINDOWS: [&str; 8] = [
    "--send-window",
    "1s",
    "--unacknowledged-window",
    "1s",
    "--gateway-window",
    "1s",
    "--visibility-window",
    "1s",
];

impl World {
    /// Without an operator; one that is started, and the connection `prod`, go through a proxy.
    pub async fn behind_proxy(name: &str) -> Self {
        let mut world = Self::without_operator(name).await;
        let plane = shared().unwrap();
        let authority = plane.ca_certificate();
        let proxy = Proxy::start(plane.server(), &authority, world.simulator.url()).await;
        world.put_behind(proxy);
        world
    }

    /// Has operators go through this proxy, but for those that are told not to.
    pub(super) fn put_behind(&mut self, proxy: Proxy) {
        let text = std::fs::read(&self.kubeconfig).unwrap();
        std::fs::write(self.direct_kubeconfig(), &text).unwrap();
        let mut kubeconfig: Value = serde_json::from_slice(&text).unwrap();
        kubeconfig["clusters"][0]["cluster"] = json!({ "server": proxy.kube_url() });
        std::fs::write(&self.kubeconfig, kubeconfig.to_string()).unwrap();
        self.proxy = Some(proxy);
    }

    /// The kubeconfig past the proxy, of a world that has one.
    pub(super) fn direct_kubeconfig(&self) -> PathBuf {
        self.directory.path().join("direct.kubeconfig")
    }

    /// The proxy of a world that has one.
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("a proxy")
    }

    /// Where a connection finds the platform: at the proxy, if there is one.
    pub fn platform_url(&self) -> &str {
        self.proxy
            .as_ref()
            .map_or_else(|| self.simulator.url(), Proxy::aep_url)
    }

    /// Starts the operator with more flags and does not wait; it is killed at the request with
    /// this number. One that was killed before has to be gone first, which is waited for. Its
    /// admin server cannot be asked.
    pub async fn start_until(&mut self, flags: &[&str], crash: Option<(usize, Side)>) {
        if let Some(mut killed) = self.operator.take() {
            let exit = killed.wait_exit(LONG).unwrap();
            assert_eq!(exit, Exit::Signal(Signal::KILL.as_raw()), "{}", self.log());
        }
        self.proxy().close().await;
        // A port that is free now may be taken before a process that starts often listens there.
        self.spawn_operator(0, flags);
        let pid = self.operator.as_ref().unwrap().pid();
        let crash = crash.map(|(index, side)| Crash {
            index,
            side,
            kill: Box::new(move || kill(pid)),
        });
        self.proxy().open(crash);
    }
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}
