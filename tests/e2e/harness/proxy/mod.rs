//! A proxy between an operator and both of its servers, which can lose, hold and falsify what goes
//! through, and kill the operator at a request.
//!
//! It speaks plain HTTP to the operator: a token in a kubeconfig goes over it as it is. Requests are
//! numbered in the order of arrival, over both servers together.

mod frames;
mod request;
mod rules;
mod serve;
mod state;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use tokio::{net::TcpListener, task::JoinSet};

pub use frames::{Frames, Tamper};
pub use request::{Match, Server, Verb};
pub use rules::{Fault, Rule, Side, When};
pub use state::{Crash, Ending, Logged};

use serve::Route;
use state::State;

/// A proxy; its listeners close when it is dropped.
pub struct Proxy {
    kubernetes: String,
    platform: String,
    state: Arc<State>,
    _servers: JoinSet<()>,
}

/// Watches of a resource whose frames are held back until this is dropped or thawed.
pub struct Freeze {
    resource: String,
    state: Arc<State>,
}

impl Proxy {
    /// Starts one with an open gate, before the API server at this URL, whose certificate this
    /// authority signed, and the simulated tenant at that URL.
    pub async fn start(apiserver: &str, authority: &Path, simulator: &str) -> Self {
        Self::with_client(serve::client(authority), apiserver, simulator).await
    }

    async fn with_client(client: reqwest::Client, apiserver: &str, simulator: &str) -> Self {
        let state = Arc::new(State::new());
        let mut servers = JoinSet::new();
        let mut urls = Vec::new();
        for (server, upstream) in [
            (Server::Kubernetes, apiserver),
            (Server::Platform, simulator),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            urls.push(format!("http://{}", listener.local_addr().unwrap()));
            let route = Route {
                server,
                upstream: upstream.trim_end_matches('/').to_owned(),
                client: client.clone(),
                state: Arc::clone(&state),
            };
            servers.spawn(serve::serve(listener, Arc::new(route)));
        }
        let [kubernetes, platform] = <[String; 2]>::try_from(urls).unwrap();
        Self {
            kubernetes,
            platform,
            state,
            _servers: servers,
        }
    }

    /// Where it stands for the API server.
    pub fn kube_url(&self) -> &str {
        &self.kubernetes
    }

    /// Where it stands for the platform and its identity service.
    pub fn aep_url(&self) -> &str {
        &self.platform
    }

    /// All requests since it was started, in the order of arrival.
    pub fn log(&self) -> Vec<Logged> {
        self.state.log()
    }

    /// How many requests counted since the gate was opened.
    pub fn counted(&self) -> usize {
        self.state.counted()
    }

    /// Lets no request through until the gate is opened, and waits until the connections of an
    /// operator that has ended are closed. To be called when no operator runs.
    pub async fn close(&self) {
        self.state.close();
        let mut connections = self.state.connections.subscribe();
        // The sender is part of the state.
        let _ = connections.wait_for(|open| *open == 0).await;
    }

    /// Lets requests through, which are counted from 1 again; the operator is killed at one of
    /// them.
    pub fn open(&self, crash: Option<Crash>) {
        self.state.open(crash);
    }

    /// The request at which the operator was killed since the gate was opened.
    pub fn crashed(&self) -> Option<Logged> {
        self.state.crashed()
    }

    /// Has something happen to requests. Of several rules for one request, the oldest happens.
    pub fn disturb(&self, what: Match, when: When, fault: Fault) -> Rule {
        let (rule, armed) = Rule::new(what, when, fault);
        self.state.add(armed);
        rule
    }

    /// A server that nobody answers for until the rule is ended: watches break, requests are not
    /// answered.
    pub fn unavailable(&self, server: Server) -> Rule {
        let fault = Fault::Close(Side::Before);
        let rule = self.disturb(Match::all(server), When::ALWAYS, fault);
        self.end_watches(Match::all(server), Ending::Broken);
        rule
    }

    /// Ends the watches that run now and match.
    pub fn end_watches(&self, what: Match, ending: Ending) {
        // Nobody hears it when no watch runs.
        let _ = self.state.endings.send((what, ending));
    }

    /// Tampers with the next so many frames, of whichever watch.
    pub fn tamper(&self, frames: Frames, what: Tamper, count: usize) {
        self.state.with_plan(|plan| plan.add(frames, what, count));
    }

    /// How many frames are still to be tampered with.
    pub fn untouched(&self) -> usize {
        self.state.with_plan(|plan| plan.left())
    }

    /// Holds back the frames of all watches of a resource, those to come included. Lists still
    /// show what is there.
    pub fn freeze(&self, resource: &str) -> Freeze {
        let resource = resource.to_owned();
        self.state
            .frozen
            .send_modify(|frozen| frozen.push(resource.clone()));
        Freeze {
            resource,
            state: Arc::clone(&self.state),
        }
    }
}

impl Freeze {
    /// Lets the frames go on, in order.
    pub fn thaw(self) {
        drop(self);
    }
}

impl Drop for Freeze {
    fn drop(&mut self) {
        self.state.frozen.send_modify(|frozen| {
            if let Some(index) = frozen.iter().position(|name| *name == self.resource) {
                frozen.swap_remove(index);
            }
        });
    }
}
