//! The platform's clients, one for each connection.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use crate::{
    api::{ConnectionStatusRef, Target},
    governor::{Budget, Lane},
    platform::{Platform, PlatformError, Sandbox},
};

pub use crate::api::ConnectionKey;

/// The client of one connection.
#[derive(Clone)]
pub struct Tenant {
    /// The connection.
    pub connection: ConnectionKey,
    /// The class of the operator that serves it.
    pub class: Option<String>,
    /// A digest of spec and credential: another one calls for another client.
    pub stamp: String,
    /// The client.
    pub platform: Platform,
    /// Where it goes; no dataset.
    pub target: Target,
    /// The namespace on whose behalf it calls.
    pub namespace: Arc<str>,
    /// What it may call and run.
    pub budget: Arc<Budget>,
    /// What the platform said when it was last asked whether the credential works. It may be hundreds
    /// of sandboxes long, and each step of a pass takes the client.
    pub checked: Option<Arc<Checked>>,
    /// Whether new submissions may use it.
    pub standing: Standing,
}

/// What the platform said of a credential, and when.
pub struct Checked {
    /// When.
    pub at: Instant,
    /// What.
    pub result: Result<Vec<Sandbox>, PlatformError>,
}

/// Whether new submissions may use a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The connection is ready.
    Ready,
    /// It is not, or not yet.
    NotReady,
    /// It is gone; what was begun with it is finished with it.
    Retired,
}

/// The clients of all connections.
#[derive(Default)]
pub struct Tenants {
    by_connection: Mutex<HashMap<ConnectionKey, Tenant>>,
}

impl Tenant {
    /// The same client, for calls of this lane.
    #[must_use]
    pub fn lane(self, lane: Lane) -> Self {
        Self {
            platform: self.platform.lane(lane),
            ..self
        }
    }

    /// The same client, for calls on behalf of an object's namespace: of those that share a
    /// connection each has its turn.
    #[must_use]
    pub fn on_behalf_of(self, namespace: &str) -> Self {
        if *self.namespace == *namespace {
            return self;
        }
        let namespace: Arc<str> = Arc::from(namespace);
        Self {
            platform: self.platform.on_behalf_of(Arc::clone(&namespace)),
            namespace,
            ..self
        }
    }

    /// The connection, as status tells it.
    #[must_use]
    pub fn status_ref(&self) -> ConnectionStatusRef {
        ConnectionStatusRef {
            kind: self.connection.kind().as_str().to_owned(),
            name: self.connection.name.clone(),
            organization_id: Some(self.target.organization_id.clone()),
            sandbox: Some(self.target.sandbox.clone()),
            controller_class: self.class.clone(),
        }
    }
}

impl Tenants {
    /// The client of a connection.
    #[must_use]
    pub fn get(&self, key: &ConnectionKey) -> Option<Tenant> {
        self.tenants().get(key).cloned()
    }

    /// The client of a connection, if new submissions may use it.
    #[must_use]
    pub fn ready(&self, key: &ConnectionKey) -> Option<Tenant> {
        self.get(key)
            .filter(|tenant| tenant.standing == Standing::Ready)
    }

    /// The client of a connection, if it goes where a submission on record went.
    #[must_use]
    pub fn serving(&self, key: &ConnectionKey, target: &Target) -> Option<Tenant> {
        self.get(key)
            .filter(|tenant| tenant.target.is_same_tenant(target))
    }

    /// The connections that go to this tenant.
    #[must_use]
    pub fn of(&self, tenant: &Target) -> Vec<ConnectionKey> {
        let tenants = self.tenants();
        let theirs = tenants.iter().filter(|(_, known)| known.target == *tenant);
        theirs.map(|(key, _)| key.clone()).collect()
    }

    /// Keeps a client under its connection. Whether what others may do with it changed.
    pub fn set(&self, key: ConnectionKey, tenant: Tenant) -> Changed {
        let mut tenants = self.tenants();
        let (stamp, standing) = (tenant.stamp.clone(), tenant.standing);
        match tenants.insert(key, tenant) {
            Some(old) if old.stamp == stamp && old.standing == standing => Changed::No,
            Some(_) | None => Changed::Yes,
        }
    }

    /// Takes note that new submissions may not use a client. Whether that is new.
    pub fn suspend(&self, key: &ConnectionKey) -> Changed {
        match self.tenants().get_mut(key) {
            Some(tenant) if tenant.standing == Standing::Ready => {
                tenant.standing = Standing::NotReady;
                Changed::Yes
            }
            Some(_) | None => Changed::No,
        }
    }

    /// Has the credential checked anew, since a call was refused.
    pub fn suspect(&self, key: &ConnectionKey) {
        if let Some(tenant) = self.tenants().get_mut(key) {
            tenant.checked = None;
        }
    }

    /// Takes note that a connection is gone. Its client stays while something begun with it is
    /// not finished.
    pub fn retire(&self, key: &ConnectionKey) {
        if let Some(tenant) = self.tenants().get_mut(key) {
            tenant.standing = Standing::Retired;
        }
    }

    /// Drops the retired clients that nothing needs any more.
    pub fn sweep(&self, needed: impl Fn(&ConnectionKey) -> bool) {
        self.tenants()
            .retain(|key, tenant| tenant.standing != Standing::Retired || needed(key));
    }

    /// How many clients there are.
    pub fn kept(&self) -> usize {
        self.tenants().len()
    }

    fn tenants(&self) -> MutexGuard<'_, HashMap<ConnectionKey, Tenant>> {
        self.by_connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a call changed something that others act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It did.
    Yes,
    /// It did not.
    No,
}
