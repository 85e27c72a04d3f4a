//! The operator's process, from its start to its end.

use std::{process::Command, time::Duration};

use aep_control_plane::{Guarded, Signal, workspace_binary};

use super::{LONG, World, eventually, simulator::free_port};

impl World {
    /// Starts the operator with more flags, and waits until it is ready.
    pub async fn start_operator(&mut self, flags: &[&str]) {
        self.start_unready(flags).await;
        let url = format!("http://127.0.0.1:{}/readyz", self.admin_port);
        eventually("the operator to be ready", || async {
            let reply = reqwest::get(&url)
                .await
                .map_err(|error| error.to_string())?;
            if reply.status().is_success() {
                Ok(())
            } else {
                Err(reply.text().await.unwrap_or_default())
            }
        })
        .await;
    }

    /// Starts the operator with more flags, and waits until it answers.
    pub async fn start_unready(&mut self, flags: &[&str]) {
        self.spawn_operator(free_port(), flags);
        let url = format!("http://127.0.0.1:{}/livez", self.admin_port);
        eventually("the operator to answer", || async {
            reqwest::get(&url)
                .await
                .map_err(|error| format!("{error}\n{}", self.log()))
        })
        .await;
    }

    /// Starts the operator with its admin server on this port, and does not wait.
    pub(super) fn spawn_operator(&mut self, admin_port: u16, flags: &[&str]) {
        self.flags = flags.iter().map(ToString::to_string).collect();
        self.admin_port = admin_port;
        let command = self.command(admin_port, flags);
        let log = self.directory.path().join("operator.log");
        self.operator = Some(Guarded::spawn(&command, &log).unwrap());
    }

    /// The operator of this namespace, with more flags.
    pub(super) fn command(&self, admin_port: u16, flags: &[&str]) -> Command {
        let mut command = Command::new(workspace_binary("aep-export-operator").unwrap());
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .arg("run")
            .args(["--admin-address", &format!("127.0.0.1:{admin_port}")])
            .args(["--allowed-hosts", "127.0.0.1", "--allow-http"]);
        match &self.class {
            Some(class) => command.args(["--controller-class", class]),
            None => command.args(["--watch-namespaces", &self.namespace]),
        };
        for defaults in [
            ["--log-filter", "info,aep_export_operator=debug"],
            ["--poll-interval-min", "100ms"],
            ["--poll-interval-max", "200ms"],
        ] {
            if !flags.contains(&defaults[0]) {
                command.args(defaults);
            }
        }
        command.args(flags);
        command
    }

    /// Ends the operator at once, as a crash does.
    pub fn kill_operator(&mut self) {
        let mut operator = self.operator.take().expect("an operator");
        operator.kill(Signal::KILL).unwrap();
        operator.wait_exit(LONG).unwrap();
    }

    /// Ends the operator as Kubernetes does, and tells how long it took.
    pub fn stop_operator(&mut self) -> Duration {
        let mut operator = self.operator.take().expect("an operator");
        let began = std::time::Instant::now();
        operator.kill(Signal::TERM).unwrap();
        let exit = operator.wait_exit(LONG).unwrap();
        assert!(
            exit.success(),
            "the operator ended with {exit}\n{}",
            self.log()
        );
        began.elapsed()
    }

    /// Starts it again, as it was.
    pub async fn restart_operator(&mut self) {
        let flags = self.flags.clone();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        self.start_operator(&flags).await;
    }

    /// The operator's process.
    pub fn operator_id(&self) -> u32 {
        self.operator.as_ref().expect("an operator").pid()
    }

    /// Whether the operator's process runs.
    pub fn operator_runs(&mut self) -> bool {
        self.operator
            .as_mut()
            .is_some_and(|operator| operator.exit().is_none())
    }

    /// What the operator wrote so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("operator.log")).unwrap_or_default()
    }

    /// A page of the operator's admin server.
    pub async fn admin_page(&self, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.admin_port);
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }
}
