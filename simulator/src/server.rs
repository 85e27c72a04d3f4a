//! HTTP: calls are read whole, noted, judged by the faults, answered and noted again.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::admin;
use crate::call::Call;
use crate::faults::{End, Verdict};
use crate::ledger;
use crate::options::{Options, OptionsError};
use crate::reply::{Reply, gateway_error};
use crate::world::World;

/// A body may not be larger.
const BODY_LIMIT: usize = 8 << 20;

/// How long calls under way are waited for once the tenant is to end.
const DRAIN: Duration = Duration::from_secs(2);

/// A tenant, which lives as long as one of its handles.
#[derive(Clone)]
pub struct Simulator {
    world: Arc<Mutex<World>>,
}

impl Simulator {
    /// Makes a tenant.
    ///
    /// # Errors
    ///
    /// Options that contradict themselves or cannot be read.
    pub fn new(options: &Options) -> Result<Self, OptionsError> {
        Ok(Self {
            world: Arc::new(Mutex::new(World::new(options)?)),
        })
    }

    /// Serves the tenant until `shutdown` is ready and its calls are answered, or for two seconds
    /// more.
    ///
    /// # Errors
    ///
    /// A listener that fails.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let router = Router::new()
            .nest("/_simulator", admin::router())
            .fallback(platform)
            .with_state(self.clone());
        let (stopped, stopping) = oneshot::channel::<()>();
        let server = axum::serve(listener, router).with_graceful_shutdown(async move {
            shutdown.await;
            // Nobody listens if the server has failed already.
            let _ = stopped.send(());
        });
        let deadline = async {
            match stopping.await {
                Ok(()) => tokio::time::sleep(DRAIN).await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            result = server.into_future() => result,
            () = deadline => Ok(()),
        }
    }

    /// The ledger as JSON text.
    #[must_use]
    pub fn ledger(&self) -> String {
        let mut world = self.world();
        world.advance();
        format!("{:#}", ledger::ledger(&world))
    }

    /// The tenant's memory; a panic of another call leaves it usable, since every change is made
    /// by plain assignments.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a call to the platform.
async fn platform(State(simulator): State<Simulator>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        let message = "the body cannot be read, or is too large";
        return gateway_error(StatusCode::PAYLOAD_TOO_LARGE, "413000", message).into_response();
    };
    let call = Call::new(parts, body);
    // A task of its own, so that a caller who hangs up does not undo what has reached the tenant.
    match tokio::spawn(answer(simulator, call)).await {
        Ok(reply) => reply.into_response(),
        Err(_) => Reply::empty(StatusCode::INTERNAL_SERVER_ERROR).into_response(),
    }
}

async fn answer(simulator: Simulator, call: Call) -> Reply {
    let (index, verdict) = {
        let mut world = simulator.world();
        let now = world.clock.now();
        let verdict = world.faults.judge(call.method.as_str(), &call.path);
        (
            world.ledger.begin(&call, now.wall, verdict.fault.clone()),
            verdict,
        )
    };
    let Verdict {
        delay_milliseconds,
        end,
        ..
    } = verdict;
    if delay_milliseconds > 0 {
        tokio::time::sleep(Duration::from_millis(delay_milliseconds)).await;
    }
    let mut world = simulator.world();
    let mut reply = match end {
        End::Replaced {
            reply,
            commit: false,
        } => reply,
        End::Replaced {
            reply,
            commit: true,
        } => {
            act(&mut world, &call, index);
            reply
        }
        End::Tenant => act(&mut world, &call, index),
    };
    world.ledger.end(index, reply.status.as_u16());
    let name = HeaderName::from_static("x-request-id");
    let named = reply.headers.iter().any(|(known, _)| *known == name);
    if call.path.starts_with("/data/") && !named {
        let value = HeaderValue::from_str(&call.request_id);
        reply.headers.extend(value.ok().map(|value| (name, value)));
    }
    tracing::debug!(
        method = %call.method,
        path = call.path,
        status = reply.status.as_u16(),
        request_id = call.request_id,
        "answered"
    );
    reply
}

fn act(world: &mut World, call: &Call, index: usize) -> Reply {
    let (reply, authorized) = world.answer(call);
    world.ledger.act(index, reply.effect, authorized);
    reply
}
