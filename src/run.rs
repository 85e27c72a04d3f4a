//! Wiring: from flags to a process that runs until it is told to end.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Namespace};
use kube::{Api, Client, ResourceExt, runtime::events::Reporter};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::{JoinError, JoinHandle},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    admin::{self, Admin},
    api::{self, CrdError},
    cli::{Cli, Command, CrdArgs, FlagError, Run},
    control::{
        Submissions,
        events::Events,
        reach::Reach,
        scope::{Process, Scope},
        shard::Shard,
    },
    governor::Governor,
    lease::{self, Elector, Leadership, Lost, NamedLease},
    metrics::Metrics,
    polling::{Board, Intervals, Links},
    rights::Advised,
    telemetry,
};

/// The name under which events are published.
const CONTROLLER: &str = "aep-export-operator";
/// The namespace whose UID tells clusters apart: every cluster has one, for all its life.
const CLUSTER_NAMESPACE: &str = "kube-system";
/// How soon the API server is asked again at the start.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Why the program ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A flag.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// The log filter.
    #[error("--log-filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The CRDs.
    #[error(transparent)]
    Crd(#[from] CrdError),
    /// The API server cannot be found: neither a kubeconfig nor a `ServiceAccount`.
    #[error("no Kubernetes API server is configured (set KUBECONFIG, or run in a pod): {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// The client of the API server.
    #[error("the Kubernetes API: {0}")]
    Kubernetes(#[from] kube::Error),
    /// The admin server.
    #[error("--admin-address {address}: {source}")]
    Admin {
        /// Where it should listen.
        address: SocketAddr,
        /// Why it does not.
        source: io::Error,
    },
    /// The lease was lost: another process may act by now.
    #[error("the lease {namespace}/{name} is lost: {lost}; nothing is done without it")]
    Lost {
        /// The lease's namespace.
        namespace: String,
        /// The lease's name.
        name: String,
        /// How.
        lost: Lost,
    },
    /// A part of the program.
    #[error("a part of the program ended before its time: {0}")]
    Task(#[from] JoinError),
    /// Files or signals.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Does what the command line says.
///
/// # Errors
///
/// What keeps the program from going on.
pub async fn run(cli: Cli) -> Result<(), RunError> {
    let Cli { command } = cli;
    match command {
        Command::Crd(args) => crd(&args),
        Command::Run(args) => operate(args.resolve()?).await,
    }
}

fn crd(args: &CrdArgs) -> Result<(), RunError> {
    let CrdArgs {
        directory,
        markdown,
    } = args;
    let crds = api::crds()?;
    if *markdown {
        let crds: Vec<_> = crds.into_iter().map(|(_, crd)| crd).collect();
        let reference = api::to_markdown(&crds)?;
        io::Write::write_all(&mut io::stdout(), reference.as_bytes())?;
        return Ok(());
    }
    for (name, crd) in crds {
        let yaml = api::to_yaml(&crd)?;
        match directory {
            Some(directory) => std::fs::write(directory.join(format!("{name}.yaml")), yaml)?,
            None => io::Write::write_all(&mut io::stdout(), format!("---\n{yaml}").as_bytes())?,
        }
    }
    Ok(())
}

async fn operate(run: Run) -> Result<(), RunError> {
    let Run {
        log_format,
        log_filter,
        admin_address,
        namespaces,
        shard,
        class,
        cluster,
        settings,
        intervals,
        drain,
        election,
    } = run;
    telemetry::init(log_format, &log_filter)?;
    let shutdown = CancellationToken::new();
    let signals = end_on_signals(&shutdown)?;
    let config = kube::Config::infer().await?;
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config)?;
    let metrics = Metrics::new();
    let leadership = match &election {
        Some(_) => Leadership::candidate(),
        None => Leadership::always(),
    };
    let reporter = Reporter {
        controller: CONTROLLER.into(),
        instance: hostname(),
    };
    let events = Arc::new(Events::new(client.clone(), reporter, &namespace));
    let listener = TcpListener::bind(admin_address)
        .await
        .map_err(|source| RunError::Admin {
            address: admin_address,
            source,
        })?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        admin = %listener.local_addr()?,
        shard = shard.as_ref().map(Shard::text),
        class,
        "started"
    );
    let readiness = Arc::new(OnceLock::new());
    let governor: Arc<Governor> = Arc::default();
    let admin = Admin {
        metrics: metrics.clone(),
        leadership: leadership.clone(),
        governor: Arc::clone(&governor),
        scopes: readiness.clone(),
    };
    let admin = tokio::spawn(admin::serve(listener, admin, shutdown.clone()));
    let cluster = identity(&client, cluster);
    if let Some(cluster) = shutdown.run_until_cancelled(cluster).await {
        info!(cluster, "this cluster's identity");
        let election = election.map(|lease| {
            let client = client.clone();
            Election::begin(client, lease, &namespace, leadership.clone())
        });
        let (submissions, board) = polling(intervals);
        let reach = Arc::new(Reach::new(client.clone(), namespaces.clone(), shard, class));
        let process = Process {
            client,
            cluster,
            events,
            metrics,
            reach,
            submissions,
            governor,
            settings,
            board: Arc::clone(&board),
            leadership: leadership.clone(),
            shutdown: shutdown.clone(),
        };
        let scopes: Vec<Scope> = if namespaces.is_empty() {
            vec![Scope::new(&process, None)]
        } else {
            let scope = |name| Scope::new(&process, Some(name));
            namespaces.into_iter().map(scope).collect()
        };
        // Set once, here.
        let _ = readiness.set(scopes.iter().map(Scope::readiness).collect());
        let mut scopes = tokio::spawn(serve(scopes, board, shutdown.clone()));
        let ended = end(&shutdown, drain, &mut scopes);
        // Without the lease there is nothing to wait for: no pass goes on.
        let ended = leadership.lost().run_until_cancelled(ended).await;
        scopes.abort();
        if let Some(election) = election {
            election.end().await?;
        }
        ended.unwrap_or(Ok(()))?;
    }
    signals.abort();
    if let Ok(Err(error)) = admin.await {
        error!(%error, "the admin server");
    }
    info!("ended");
    Ok(())
}

/// Waits until the process shall end, and then, but not for ever, until the scopes have.
async fn end(
    shutdown: &CancellationToken,
    drain: Duration,
    scopes: &mut JoinHandle<()>,
) -> Result<(), JoinError> {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        // Nothing goes on without them: by ending, the process lets another one lead.
        ended = &mut *scopes => return ended,
    }
    info!(timeout = ?drain, "ending: nothing new is begun");
    if tokio::time::timeout(drain, scopes).await.is_err() {
        warn!("ended before every pass was done; the next start settles what was under way");
    }
    Ok(())
}

/// Runs all scopes and the board that they share.
async fn serve(scopes: Vec<Scope>, board: Arc<Board>, shutdown: CancellationToken) {
    // Each is polled for its own news alone.
    let parts: FuturesUnordered<_> = scopes.into_iter().map(|it| it.run().boxed()).collect();
    parts.push(board.run(shutdown).boxed());
    parts.collect::<()>().await;
}

/// The board, and what is known of submissions, which it learns too.
fn polling(intervals: Intervals) -> (Arc<Submissions>, Arc<Board>) {
    let submissions: Arc<Submissions> = Arc::default();
    let links = Links {
        echoes: Arc::clone(&submissions.echoes),
        lists: Arc::clone(&submissions.lists),
    };
    (submissions, Arc::new(Board::new(intervals, links)))
}

/// The election, on a task of its own.
struct Election {
    namespace: String,
    name: String,
    task: JoinHandle<Result<(), Lost>>,
    release: CancellationToken,
}

impl Election {
    fn begin(
        client: Client,
        settings: lease::Settings,
        default_namespace: &str,
        leadership: Leadership,
    ) -> Self {
        let lease::Settings {
            name,
            namespace,
            terms,
        } = settings;
        let namespace = namespace.unwrap_or_else(|| default_namespace.to_owned());
        let identity = format!(
            "{}_{:016x}",
            hostname().unwrap_or_default(),
            rand::random::<u64>()
        );
        info!(
            namespace,
            name, identity, "standing by until the lease is held"
        );
        let leases: Api<Lease> = Api::namespaced(client, &namespace);
        let leases = NamedLease::new(leases, name.clone());
        let elector = Elector::new(leases, name.clone(), identity, terms, leadership);
        let release = CancellationToken::new();
        let task = tokio::spawn(elector.run(release.clone()));
        Self {
            namespace,
            name,
            task,
            release,
        }
    }

    /// Lets the lease go, unless it is lost already.
    async fn end(self) -> Result<(), RunError> {
        let Self {
            namespace,
            name,
            task,
            release,
        } = self;
        release.cancel();
        task.await?.map_err(|lost| {
            error!(namespace, name, %lost, "the lease is lost");
            RunError::Lost {
                namespace,
                name,
                lost,
            }
        })
    }
}

/// The cluster's identity: as it was given, or the UID of a namespace that every cluster has for all
/// its life.
async fn identity(client: &Client, given: Option<String>) -> String {
    if let Some(given) = given {
        return given;
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    loop {
        match namespaces.get(CLUSTER_NAMESPACE).await {
            Ok(namespace) => {
                if let Some(uid) = namespace.uid() {
                    return uid;
                }
            }
            // Without it no export can be told from another cluster's; there is no going on.
            Err(error) => {
                let error = Advised(&error);
                warn!(%error, "namespace {CLUSTER_NAMESPACE} cannot be read; asking again");
            }
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

fn end_on_signals(shutdown: &CancellationToken) -> Result<tokio::task::JoinHandle<()>, io::Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = shutdown.clone();
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shutdown.cancel();
    }))
}

fn hostname() -> Option<String> {
    rustix::system::uname()
        .nodename()
        .to_str()
        .ok()
        .map(str::to_owned)
}
