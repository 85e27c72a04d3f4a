//! The shell: gathers facts, carries out what [`crate::decide`] plans, and reports.
//!
//! Each kind has a pass of four steps. `observe` gathers facts, `decide` makes a plan of them,
//! `act` carries out the plan's one next effect, and `report` writes the status if more than time
//! has changed. What is written comes back as the next facts, until there is nothing left to do.

pub mod claims;
mod class;
pub mod connection;
mod crowd;
pub mod dataset;
mod dependencies;
mod elsewhere;
pub mod events;
pub mod export;
mod finalizers;
pub mod holds;
mod kind;
#[cfg(test)]
#[path = "../../tests/contract/kstatus.rs"]
mod kstatus;
mod listeners;
mod namespace_labels;
mod namespaces;
pub mod pass;
pub mod pokes;
pub mod reach;
mod requests;
pub mod retry;
pub mod scope;
pub mod secrets;
pub mod shard;
pub mod streams;
pub mod tenants;
mod underway;
mod usable;
pub mod written;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::{Client, ResourceExt, api::PostParams, runtime::reflector::Store};
use reqwest::Certificate;
use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;

use self::{
    claims::Claims,
    connection::budget::Told,
    crowd::Crowd,
    dataset::Readings,
    elsewhere::Elsewhere,
    events::Events,
    holds::Holds,
    kind::requests_of,
    namespace_labels::NamespaceLabels,
    namespaces::Namespaces,
    pass::PassError,
    pokes::{ConnectionPokes, Pokes},
    reach::Reach,
    retry::Retries,
    secrets::Secrets,
    streams::{Guarded, Health},
    tenants::Tenants,
    underway::Underway,
    written::Written,
};
use crate::{
    api::{
        ClusterPlatformConnection, ExportDeletionPolicy, ExportJob, PlatformConnection,
        ProfileDataset, Target,
    },
    decide::{Cause, dataset::Search, export::Limits},
    governor::Governor,
    lease::Leadership,
    metrics::Metrics,
    platform::Timeouts,
    polling::{Board, Echoes, Lists},
};

pub use self::kind::{Kind, Within};

/// The field manager of every status write, after the operator's name.
const STATUS_MANAGER: &str = "status";

/// What every pass over an object of one namespace (or of all) has at hand.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The objects, as the watches last saw them.
    pub stores: Stores,
    /// Which watches have brought everything once.
    pub listed: Listed,
    /// How the watches fare.
    pub watches: Health,
    /// The namespace that is watched; none: all.
    pub scope: Option<String>,
    /// What outlives a watch.
    pub shared: Arc<Shared>,
}

/// The objects, as the watches last saw them.
pub struct Stores {
    /// Connections.
    pub connections: Store<PlatformConnection>,
    /// Connections of the cluster; none where these are not watched.
    pub cluster_connections: Store<ClusterPlatformConnection>,
    /// Datasets.
    pub datasets: Store<ProfileDataset>,
    /// Exports.
    pub exports: Store<ExportJob>,
}

impl Stores {
    fn kept(&self) -> usize {
        self.connections.len()
            + self.cluster_connections.len()
            + self.datasets.len()
            + self.exports.len()
    }
}

/// Which watches have brought everything once.
///
/// (A store's own `wait_until_ready` keeps one waker only: a second waiter, or a look at it in
/// passing, leaves the first one asleep.)
#[derive(Default)]
pub struct Listed {
    /// Connections.
    pub connections: SetOnce<()>,
    /// Connections of the cluster.
    pub cluster_connections: SetOnce<()>,
    /// The labels of namespaces.
    pub namespaces: SetOnce<()>,
    /// Datasets.
    pub datasets: SetOnce<()>,
    /// Exports.
    pub exports: SetOnce<()>,
}

impl Listed {
    /// Nothing yet; of a scope of one namespace, nothing of the cluster is waited for.
    fn of(namespace: Option<&str>) -> Self {
        let listed = Self::default();
        if namespace.is_some() {
            let _ = listed.cluster_connections.set(());
            let _ = listed.namespaces.set(());
        }
        listed
    }
}

/// What is known of submissions, by all scopes of the process: datasets know no namespaces.
#[derive(Default)]
pub struct Submissions {
    /// Which jobs and datasets exports claim.
    pub claims: Claims,
    /// Whether tenants show request ids.
    pub echoes: Arc<Echoes>,
    /// Readings of lists of jobs.
    pub lists: Arc<Lists>,
    /// Tenants to which nothing more is submitted, each with its reason.
    distrusted: Mutex<HashMap<Target, Cause>>,
    /// The `ProfileDatasets` of which other datasets of the same request were looked for, by UID.
    searched: Mutex<HashSet<String>>,
}

/// What the passes of one scope share.
pub struct Shared {
    /// The UID of the cluster's `kube-system` namespace.
    pub cluster: String,
    /// What this process serves and sees of the cluster.
    pub reach: Arc<Reach>,
    /// What is there in other shards.
    pub elsewhere: Elsewhere,
    /// What is known of submissions.
    pub submissions: Arc<Submissions>,
    /// The clients of the platform.
    pub tenants: Arc<Tenants>,
    /// The budgets of their credentials.
    pub governor: Arc<Governor>,
    /// When they were last told.
    pub told: Told,
    /// The passes over exports, by connection.
    pub crowd: Crowd,
    /// The passes over datasets, by connection.
    pub dataset_crowd: Crowd,
    /// The jobs that are followed.
    pub board: Arc<Board>,
    /// The Secrets that are watched.
    pub secrets: Secrets,
    /// What is known of namespaces.
    pub namespaces: Namespaces,
    /// The labels of all namespaces; none where these are not watched.
    pub labels: NamespaceLabels,
    /// Who needs which connection and dataset.
    pub holds: Holds,
    /// Waits after failures.
    pub retries: Retries,
    /// What the Catalog last said of datasets.
    pub readings: Readings,
    /// What no watch has shown yet.
    pub written: Written,
    /// The passes under way.
    pub underway: Underway,
    /// Events.
    pub events: Arc<Events>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// What flags set.
    pub settings: Settings,
    /// Connections to reconcile.
    pub connections: Arc<ConnectionPokes>,
    /// Datasets to reconcile.
    pub datasets: Arc<Pokes<ProfileDataset>>,
    /// Exports to reconcile.
    pub exports: Arc<Pokes<ExportJob>>,
    /// Whether this process leads: only then does a pass run.
    pub leadership: Leadership,
    /// Cancelled when the process shall end: nothing new is begun then.
    pub shutdown: CancellationToken,
}

/// What flags set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Hosts that may be called.
    pub allowed_hosts: Vec<String>,
    /// Whether plain http is allowed, for a simulator on this machine.
    pub allow_http: bool,
    /// What becomes of an export whose object is deleted, where nothing else says so.
    pub deletion_policy: ExportDeletionPolicy,
    /// The bounds of waiting of an export.
    pub limits: Limits,
    /// The bounds of a call.
    pub timeouts: Timeouts,
    /// How long a connection that works is believed before it is checked again.
    pub recheck: Duration,
    /// How often a dataset is read again.
    pub refresh: Duration,
    /// Certificate authorities to trust beside the machine's own.
    pub certificates: Vec<Certificate>,
}

impl Submissions {
    /// Nothing more is submitted to this tenant in the life of this process.
    pub fn distrust(&self, tenant: &Target, cause: Cause) {
        let mut distrusted = self.distrusted();
        distrusted.entry(tenant.clone()).or_insert(cause);
    }

    /// Why nothing is submitted to this tenant, if that is so.
    #[must_use]
    pub fn distrusted_for(&self, tenant: &Target) -> Option<Cause> {
        self.distrusted().get(tenant).cloned()
    }

    /// Whether other datasets of the request of this object were looked for.
    #[must_use]
    pub fn search(&self, uid: &str) -> Search {
        if self.lock_searched().contains(uid) {
            Search::Done
        } else {
            Search::Due
        }
    }

    /// Other datasets of the request of this object were looked for.
    pub fn searched(&self, uid: &str) {
        self.lock_searched().insert(uid.to_owned());
    }

    /// The dataset's object is gone.
    pub fn forget(&self, uid: &str) {
        self.lock_searched().remove(uid);
    }

    fn lock_searched(&self) -> MutexGuard<'_, HashSet<String>> {
        self.searched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn distrusted(&self) -> MutexGuard<'_, HashMap<Target, Cause>> {
        self.distrusted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// Sends a request that is answered with an object, which is read without its managed fields:
    /// nothing here reads them, and they would go with each write that follows.
    async fn send<K: Kind>(&self, request: http::Request<Vec<u8>>) -> Result<K, PassError> {
        let Guarded(answer) = self.client.request(request).await?;
        answer.map_err(|invalid| {
            let unreadable = serde::de::Error::custom(invalid.error);
            kube::Error::SerdeError(unreadable).into()
        })
    }

    /// Writes a status, unless it is the one that is there. The write is refused if the object
    /// has changed since it was read.
    async fn write_status<K: Kind>(&self, object: &K, status: K::Status) -> Result<K, PassError> {
        if object.status() == Some(&status) {
            return Ok(object.clone());
        }
        let mut written = object.clone();
        written.put_status(status);
        let params = PostParams {
            dry_run: false,
            field_manager: Some(self.shared.reach.manager(STATUS_MANAGER)),
        };
        let body = serde_json::to_vec(&written).map_err(kube::Error::SerdeError)?;
        let request = requests_of(object)?
            .replace_subresource("status", &object.name_any(), &params, body)
            .map_err(kube::Error::BuildRequest)?;
        let written = self.send(request).await?;
        self.shared.written.wrote(&written);
        Ok(written)
    }

    /// What is kept in memory of the objects of this scope, by what for.
    fn kept(&self) -> [(&'static str, usize); 10] {
        let shared = &self.shared;
        [
            ("retries", shared.retries.kept()),
            ("writes", shared.written.kept()),
            ("holds", shared.holds.kept()),
            ("readings", shared.readings.kept()),
            ("passes", shared.crowd.kept() + shared.dataset_crowd.kept()),
            ("clients", shared.tenants.kept()),
            ("secrets", shared.secrets.kept()),
            ("told", shared.told.kept()),
            ("objects", self.stores.kept()),
            ("namespaces", shared.labels.kept()),
        ]
    }

    /// What the scopes of a process keep together.
    fn kept_by_all(&self) -> [(&'static str, usize); 4] {
        let shared = &self.shared;
        let totals = shared.governor.totals();
        [
            ("claims", shared.submissions.claims.kept()),
            ("polls", shared.board.kept()),
            ("turns", totals.kept),
            ("searches", shared.submissions.lock_searched().len()),
        ]
    }

    /// A dataset is gone, or another operator's: nothing is kept of it.
    fn forget_dataset(&self, uid: &str) {
        let shared = &self.shared;
        shared.retries.forget(uid);
        shared.written.forget(uid);
        shared.submissions.forget(uid);
        shared.dataset_crowd.forget(uid);
        shared.readings.forget(uid);
    }

    /// An export is gone: nothing is kept of it but what its claims still need.
    fn forget_export(&self, uid: &str) {
        let shared = &self.shared;
        shared.board.forget(uid);
        shared.governor.left(uid);
        shared.crowd.forget(uid);
        shared.retries.forget(uid);
        shared.written.forget(uid);
    }

    /// Waits until every watch has brought everything once: before that, what is not in a store
    /// may be there all the same.
    async fn listed(&self) {
        let Listed {
            connections,
            cluster_connections,
            namespaces,
            datasets,
            exports,
        } = &self.listed;
        tokio::join!(
            connections.wait(),
            cluster_connections.wait(),
            namespaces.wait(),
            datasets.wait(),
            exports.wait()
        );
    }
}

/// A duration, up to a tenth longer, so that what began together does not stay together.
fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(1.0 + rand::random::<f64>() / 10.0)
}

/// A nonce that nobody else draws: 32 hexadecimal digits.
fn nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}
