//! The controllers of one namespace, or of all.
//!
//! References leave a namespace for connections of the cluster only, which no scope of single
//! namespaces sees: scopes share nothing but the process.

use std::{
    convert::Infallible,
    future::{pending, ready},
    sync::Arc,
};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Client, Resource,
    runtime::{
        Controller, controller,
        reflector::{store, store::Writer},
    },
};
use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    Context, Kind, Listed, Settings, Shared, Stores, Submissions, Within,
    connection::budget::Told,
    crowd::Crowd,
    dataset::Readings,
    elsewhere::Elsewhere,
    events::Events,
    holds::Holds,
    listeners::Relations,
    namespace_labels::{self, NamespaceLabels},
    namespaces::Namespaces,
    pass::guard,
    pokes::{ConnectionPokes, Pokes},
    reach::Reach,
    retry::Retries,
    secrets::Secrets,
    streams::{self, Guarded, Health, Listener, Recalls},
    tenants::Tenants,
    underway::Underway,
    written::Written,
};
use crate::{
    api::{ClusterPlatformConnection, ExportJob, PlatformConnection, ProfileDataset},
    governor::Governor,
    lease::Leadership,
    metrics::Metrics,
    polling::{Board, OnLearned},
};

/// Passes at a time over exports: each waits most of its time for one reply, which may take as long
/// as the call's time-out.
const EXPORT_PASSES: u16 = 256;
/// Those of one connection: a slow tenant holds up no other.
const EXPORT_SHARE: usize = 64;
/// Passes at a time over the other kinds, of which there are few.
const OTHER_PASSES: u16 = 32;
/// Those over the datasets of one connection.
const DATASET_SHARE: usize = 8;

/// What all scopes of a process share.
#[derive(Clone)]
pub struct Process {
    /// The API server.
    pub client: Client,
    /// The UID of the cluster's `kube-system` namespace.
    pub cluster: String,
    /// Publishes events.
    pub events: Arc<Events>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// What it sees of the cluster.
    pub reach: Arc<Reach>,
    /// What is known of submissions.
    pub submissions: Arc<Submissions>,
    /// The budgets of credentials.
    pub governor: Arc<Governor>,
    /// What flags set.
    pub settings: Settings,
    /// The jobs that are followed.
    pub board: Arc<Board>,
    /// Whether this process leads.
    pub leadership: Leadership,
    /// Cancelled when the process shall end.
    pub shutdown: CancellationToken,
}

/// The controllers of one namespace, or of all.
pub struct Scope {
    namespace: Option<String>,
    context: Arc<Context>,
    writers: Writers,
}

struct Writers {
    connections: Writer<PlatformConnection>,
    cluster_connections: Writer<ClusterPlatformConnection>,
    datasets: Writer<ProfileDataset>,
    exports: Writer<ExportJob>,
}

/// Whether a scope has seen its objects.
#[derive(Clone)]
pub struct Readiness {
    namespace: Option<String>,
    context: Arc<Context>,
}

impl Scope {
    /// The controllers of a namespace, or of all; nothing runs yet.
    #[must_use]
    pub fn new(process: &Process, namespace: Option<String>) -> Self {
        let Process {
            client,
            cluster,
            events,
            metrics,
            reach,
            submissions,
            governor,
            settings,
            board,
            leadership,
            shutdown,
        } = process.clone();
        let watches = Health::new(Arc::clone(&metrics));
        let (connections, connection_writer) = store();
        let (cluster_connections, cluster_connection_writer) = store();
        let (datasets, dataset_writer) = store();
        let (exports, export_writer) = store();
        let poked_exports = Pokes::new();
        let poked_connections = ConnectionPokes::new();
        let tenants = Arc::new(Tenants::default());
        board.tell(learned(&submissions, &tenants, &poked_connections));
        let shared = Shared {
            cluster,
            reach,
            elsewhere: Elsewhere::default(),
            submissions,
            tenants,
            governor,
            told: Told::default(),
            crowd: Crowd::new(EXPORT_SHARE),
            dataset_crowd: Crowd::new(DATASET_SHARE),
            board,
            secrets: Secrets::new(client.clone(), Arc::clone(&poked_connections)),
            namespaces: Namespaces::new(client.clone()),
            labels: NamespaceLabels::default(),
            holds: Holds::default(),
            retries: Retries::default(),
            readings: Readings::default(),
            written: Written::default(),
            underway: Underway::default(),
            events,
            metrics,
            settings,
            connections: poked_connections,
            datasets: Pokes::new(),
            exports: poked_exports,
            leadership,
            shutdown,
        };
        let stores = Stores {
            connections,
            cluster_connections,
            datasets,
            exports,
        };
        let context = Arc::new(Context {
            client,
            stores,
            listed: Listed::of(namespace.as_deref()),
            watches,
            scope: namespace.clone(),
            shared: Arc::new(shared),
        });
        let writers = Writers {
            connections: connection_writer,
            cluster_connections: cluster_connection_writer,
            datasets: dataset_writer,
            exports: export_writer,
        };
        Self {
            namespace,
            context,
            writers,
        }
    }

    /// Whether the scope has seen its objects.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        Readiness {
            namespace: self.namespace.clone(),
            context: Arc::clone(&self.context),
        }
    }

    /// Runs until the process shall end, and then until every pass under way has ended.
    pub async fn run(self) {
        let Self {
            namespace,
            context,
            writers,
        } = self;
        let Writers {
            connections,
            cluster_connections,
            datasets,
            exports,
        } = writers;
        let shared = Arc::clone(&context.shared);
        let namespace = namespace.as_deref();
        // Each is polled for its own news alone.
        let parts = FuturesUnordered::from_iter([
            controller(
                &context,
                namespace,
                connections,
                &shared.connections.namespaced,
                OTHER_PASSES,
            )
            .boxed(),
            controller(
                &context,
                namespace,
                datasets,
                &shared.datasets,
                OTHER_PASSES,
            )
            .boxed(),
            controller(&context, namespace, exports, &shared.exports, EXPORT_PASSES).boxed(),
        ]);
        if namespace.is_none() {
            let pokes = &shared.connections.cluster;
            let connections = controller(&context, None, cluster_connections, pokes, OTHER_PASSES);
            parts.push(connections.boxed());
            let labels = context.watch_namespaces();
            let labels = shared.shutdown.run_until_cancelled(labels);
            parts.push(labels.map(drop).boxed());
        }
        let budgets = async {
            shared.leadership.acquired().await;
            context.tell_budgets().await;
        };
        let budgets = shared.shutdown.run_until_cancelled(budgets);
        parts.push(budgets.map(drop).boxed());
        // No pass begins before everything was listed, and none after the process shall end: a
        // controller that still waits for its kind, whose CRD may be missing, has none under way.
        let never_begun = async {
            shared.shutdown.cancelled().await;
            if context.listed().now_or_never().is_some() {
                pending::<()>().await;
            }
        };
        tokio::select! {
            () = parts.collect() => {}
            () = never_begun => {}
        }
    }
}

impl Readiness {
    /// The kinds whose objects cannot be watched, or have not been listed yet, each with what it
    /// may be for.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let Listed {
            connections,
            cluster_connections,
            namespaces,
            datasets,
            exports,
        } = &self.context.listed;
        let kinds = [
            self.missing_of::<PlatformConnection>(PlatformConnection::KIND, connections),
            self.missing_of::<ClusterPlatformConnection>(
                ClusterPlatformConnection::KIND,
                cluster_connections,
            ),
            self.missing_of::<Namespace>(namespace_labels::KIND, namespaces),
            self.missing_of::<ProfileDataset>(ProfileDataset::KIND, datasets),
            self.missing_of::<ExportJob>(ExportJob::KIND, exports),
        ];
        kinds.into_iter().flatten().collect()
    }

    fn missing_of<K>(&self, kind: &'static str, listed: &SetOnce<()>) -> Option<String>
    where
        K: Resource<DynamicType = ()>,
    {
        let advice = self.context.watches.missing::<K>(kind);
        advice.or_else(|| {
            let scope = self.namespace.as_deref().unwrap_or("all namespaces");
            (!listed.initialized()).then(|| format!("{kind}: not listed yet in {scope}"))
        })
    }

    /// What is kept in memory of the objects of this scope, by what for.
    #[must_use]
    pub fn kept(&self) -> [(&'static str, usize); 10] {
        self.context.kept()
    }

    /// What all scopes keep together.
    #[must_use]
    pub fn kept_by_all(&self) -> [(&'static str, usize); 4] {
        self.context.kept_by_all()
    }

    /// How many exports are followed, in all scopes.
    #[must_use]
    pub fn followed(&self) -> usize {
        self.context.shared.board.followed()
    }
}

/// Who is told when it was learned whether a tenant shows request ids.
fn learned(
    submissions: &Arc<Submissions>,
    tenants: &Arc<Tenants>,
    connections: &Arc<ConnectionPokes>,
) -> OnLearned {
    let (waiting, tenants) = (Arc::clone(submissions), Arc::clone(tenants));
    let connections = Arc::clone(connections);
    Box::new(move |tenant| {
        waiting.claims.wake_all(tenant);
        for key in tenants.of(tenant) {
            connections.poke(&key);
        }
    })
}

/// The controller of one kind.
async fn controller<K>(
    context: &Arc<Context>,
    namespace: Option<&str>,
    writer: Writer<K>,
    pokes: &Arc<Pokes<K>>,
    passes: u16,
) where
    K: Kind,
    Relations: Listener<K>,
{
    let client = context.client.clone();
    let api = K::Scope::api::<Guarded<K>>(client, namespace);
    let reader = writer.as_reader();
    let listener = Arc::new(Relations(Arc::clone(context)));
    let (recalls, recalled) = Recalls::new(context.client.clone(), reader.clone());
    let shard = context.shared.reach.shard();
    let labels = shard.map(|shard| shard.text().to_owned());
    let changes = streams::watch(api, (labels, recalled), writer, listener);
    let shutdown = context.shared.shutdown.clone();
    Controller::for_stream(changes, reader)
        .with_config(controller::Config::default().concurrency(passes))
        .reconcile_on(recalls.among(Arc::clone(pokes).stream()))
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(
            |object, context| guard(object, context).map(Ok::<_, Infallible>),
            |_, never, _| match *never {},
            Arc::clone(context),
        )
        .for_each(|result| {
            // A pass ends in an action; what is left is an object that is gone, or a watch that
            // is being taken up again.
            if let Err(error) = result {
                debug!(kind = K::KIND, %error, "nothing to reconcile");
            }
            ready(())
        })
        .await;
}
