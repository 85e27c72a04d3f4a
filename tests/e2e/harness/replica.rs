//! One of several operators of a namespace.

use std::process::Command;

use aep_control_plane::{Exit, Guarded, Signal};

use super::{LONG, World, eventually, simulator};

/// One of several operators of a namespace.
pub struct Replica {
    process: Guarded,
    admin_port: u16,
}

impl World {
    /// Starts an operator beside others, with more flags, and waits until it is ready.
    pub async fn start_replica(&self, name: &str, flags: &[&str]) -> Replica {
        let admin_port = simulator::free_port();
        self.replica(name, self.command(admin_port, flags), admin_port)
            .await
    }

    /// The same, past the proxy on its way to the API server.
    pub async fn start_replica_past_proxy(&self, name: &str, flags: &[&str]) -> Replica {
        let admin_port = simulator::free_port();
        let mut command = self.command(admin_port, flags);
        command.env("KUBECONFIG", self.direct_kubeconfig());
        self.replica(name, command, admin_port).await
    }

    async fn replica(&self, name: &str, command: Command, admin_port: u16) -> Replica {
        let log = self.directory.path().join(format!("{name}.log"));
        let process = Guarded::spawn(&command, &log).unwrap();
        let replica = Replica {
            process,
            admin_port,
        };
        eventually("a replica to be ready", || async {
            match replica.page("/readyz").await {
                Ok(page) if page == "ok\n" => Ok(()),
                Ok(page) => Err(page),
                Err(error) => Err(format!("{error}\n{}", replica.log())),
            }
        })
        .await;
        replica
    }
}

/// A metric of whole numbers on a page, over all its labels; 0 before its first event.
pub fn metric(page: &str, name: &str) -> u64 {
    let name = format!("aep_export_operator_{name}");
    let values = page.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let is_it = series.split('{').next() == Some(&name);
        is_it.then(|| value.parse::<u64>().unwrap())
    });
    values.sum()
}

impl Replica {
    /// A page of the admin server.
    pub async fn page(&self, path: &str) -> reqwest::Result<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.admin_port);
        reqwest::get(url).await?.text().await
    }

    /// A metric of whole numbers, over all its labels; 0 before its first event.
    pub async fn metric(&self, name: &str) -> u64 {
        let page = self.page("/metrics").await.unwrap();
        metric(&page, name)
    }

    /// Whether it leads.
    pub async fn leads(&self) -> bool {
        self.metric("leader").await == 1
    }

    /// Waits until it leads.
    pub async fn until_leads(&self) {
        eventually("a replica to lead", || async {
            if self.leads().await {
                Ok(())
            } else {
                Err(self.log())
            }
        })
        .await;
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.kill(signal).unwrap();
    }

    /// Waits until it has ended.
    pub fn end(&mut self) -> Exit {
        self.process.wait_exit(LONG).unwrap()
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.process.log()).unwrap_or_default()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("a replica's log:\n{}", self.log());
        }
    }
}
