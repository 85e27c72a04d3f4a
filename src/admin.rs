//! The admin server: `/livez`, `/readyz` and `/metrics`.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::{net::TcpListener, runtime::Handle};
use tokio_util::sync::CancellationToken;

use crate::{
    control::scope::Readiness,
    governor::Governor,
    lease::Leadership,
    metrics::{Metrics, Moment},
};

/// The media type of `OpenMetrics`.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How long a scrape or probe may take before it is given up at shutdown.
const GRACE: Duration = Duration::from_secs(1);

/// What is waited for before the first scope is there.
const STARTING: &str = "namespace kube-system was not read yet (is the API server there, and may \
                        this ServiceAccount get it? The chart's value rbac.create grants that; \
                        with clusterId it is not read)";

/// What the server tells of.
pub struct Admin {
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Whether this process leads.
    pub leadership: Leadership,
    /// The budgets.
    pub governor: Arc<Governor>,
    /// The scopes of the process, once they are there.
    pub scopes: Arc<OnceLock<Vec<Readiness>>>,
}

/// Serves until the token is cancelled.
///
/// `/livez` says that the process runs. `/readyz` says why it cannot work yet; waiting for that
/// is no reason to restart it. A process that stands by is ready: it can take over.
///
/// # Errors
///
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    admin: Admin,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let router = router(admin);
    let ended = shutdown.clone();
    let server = axum::serve(listener, router)
        .with_graceful_shutdown(async move { ended.cancelled().await })
        .into_future();
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = server => result,
        () = late => Ok(()),
    }
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(admin))
}

async fn ready(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let missing: Vec<String> = match admin.scopes.get() {
        Some(scopes) => scopes.iter().flat_map(Readiness::missing).collect(),
        None => vec![STARTING.to_owned()],
    };
    if missing.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", missing.join("\n")),
        )
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let scopes = admin.scopes.get().map_or(&[][..], Vec::as_slice);
    let first = scopes.first();
    let followed = first.map_or(0, Readiness::followed);
    let mut kept: BTreeMap<&'static str, usize> = BTreeMap::new();
    let together = first.into_iter().flat_map(Readiness::kept_by_all);
    for (of, number) in scopes.iter().flat_map(Readiness::kept).chain(together) {
        *kept.entry(of).or_default() += number;
    }
    let moment = Moment {
        followed,
        leads: admin.leadership.is_held(),
        budgets: admin.governor.totals(),
        kept,
        tasks: Handle::current().metrics().num_alive_tasks(),
    };
    match admin.metrics.encode(moment) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, OPEN_METRICS)], text),
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain")],
            "the metrics cannot be written\n".to_owned(),
        ),
    }
}
