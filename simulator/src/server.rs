//! The server: a tenant on a listener, until it is told to end.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::options::{Options, OptionsError};
use crate::wire::{Line, Wires};
use crate::world::World;
use crate::{admin, answer, ledger};

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
            .fallback(answer::platform)
            .with_state(self.clone())
            .into_make_service_with_connect_info::<Line>();
        let (stopped, stopping) = oneshot::channel::<()>();
        let wires = Wires::new(listener, self.world().ledger.connections.clone());
        let server = axum::serve(wires, router).with_graceful_shutdown(async move {
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
