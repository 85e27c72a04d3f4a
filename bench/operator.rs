//! The operator's process, and what the kernel says of it.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use aep_control_plane::{Guarded, Signal, workspace_binary};

use crate::harness::{LONG, replica::metric, simulator::free_port};

/// How often it is asked whether it is ready.
const TICK: Duration = Duration::from_millis(5);
/// Longer than any start takes.
const START: Duration = Duration::from_mins(2);

/// Linux' `USER_HZ`, in which it tells processor times: the same on every machine of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// An operator that runs.
pub struct Operator {
    process: Guarded,
    admin_port: u16,
    http: reqwest::Client,
    /// From its start until it said that it is ready.
    pub ready_after: Duration,
}

impl Operator {
    /// Starts one for all namespaces, with more flags, and waits until it is ready.
    pub async fn start(kubeconfig: &Path, log: &Path, flags: &[&str]) -> Self {
        let admin_port = free_port();
        let mut command = Command::new(workspace_binary("aep-export-operator").unwrap());
        command
            .env("KUBECONFIG", kubeconfig)
            .arg("run")
            .args(["--admin-address", &format!("127.0.0.1:{admin_port}")])
            .args(["--allowed-hosts", "127.0.0.1", "--allow-http"])
            .args(flags);
        let began = Instant::now();
        let mut operator = Self {
            process: Guarded::spawn(&command, log).unwrap(),
            admin_port,
            http: reqwest::Client::new(),
            ready_after: Duration::ZERO,
        };
        while !operator.is_ready().await {
            assert!(
                began.elapsed() < START && operator.process.exit().is_none(),
                "the operator is not ready\n{}",
                std::fs::read_to_string(log).unwrap_or_default()
            );
            tokio::time::sleep(TICK).await;
        }
        operator.ready_after = began.elapsed();
        operator
    }

    async fn is_ready(&self) -> bool {
        let url = format!("http://127.0.0.1:{}/readyz", self.admin_port);
        let reply = self.http.get(url).send().await;
        reply.is_ok_and(|reply| reply.status().is_success())
    }

    /// A metric of whole numbers, over all its labels; 0 before its first event.
    pub async fn metric(&self, name: &str) -> u64 {
        let url = format!("http://127.0.0.1:{}/metrics", self.admin_port);
        let reply = self.http.get(url).send().await.unwrap();
        let page = reply.text().await.unwrap();
        metric(&page, name)
    }

    /// The most memory that it ever had, in megabytes.
    pub fn peak_memory(&self) -> f64 {
        self.memory("VmHWM:")
    }

    /// The memory that it has, in megabytes.
    pub fn resident_memory(&self) -> f64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, field: &str) -> f64 {
        let status = std::fs::read_to_string(self.file("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        let kibibytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kibibytes * 1024.0 / 1e6
    }

    /// The processor time that it has used, in seconds.
    pub fn processor_time(&self) -> f64 {
        let stat = std::fs::read_to_string(self.file("stat")).unwrap();
        // The name in parentheses may have spaces.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks = || fields.next().unwrap().parse::<f64>().unwrap();
        let ticks = ticks() + ticks();
        ticks / TICKS_PER_SECOND
    }

    fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.process.pid())
    }

    /// Waits until it has used next to no processor time for so long.
    pub async fn until_quiet(&self, calm: Duration) {
        let mut before = self.processor_time();
        loop {
            tokio::time::sleep(calm).await;
            let now = self.processor_time();
            if now - before <= 0.02 {
                return;
            }
            before = now;
        }
    }

    /// Ends it at once, as a crash does.
    pub fn kill(mut self) {
        self.process.kill(Signal::KILL).unwrap();
        self.process.wait_exit(LONG).unwrap();
    }

    /// Ends it as Kubernetes does.
    pub fn stop(mut self) {
        self.process.kill(Signal::TERM).unwrap();
        let exit = self.process.wait_exit(LONG).unwrap();
        assert!(exit.success(), "the operator ended with {exit}");
    }
}
