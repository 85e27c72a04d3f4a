//! The admin API under `/_simulator`: how a test looks at the tenant and steers it.
//!
//! It is as strict as the platform's: what it does not know it refuses, and says why.

mod jobs;
mod steering;
mod tenant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{Method, Response, StatusCode};
use axum::routing::{any, get, post, put};
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::json;

use crate::clock::Now;
use crate::faults::Faults;
use crate::ledger;
use crate::reply::Reply;
use crate::server::Simulator;
use crate::switches::Switches;
use crate::world::World;

/// What is wrong with a call.
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    fn bad(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
        }
    }

    fn missing(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            message: message.into(),
        }
    }
}

type Answer = Result<Reply, Refusal>;

pub(crate) fn router() -> Router<Simulator> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/ledger", get(show_ledger))
        .route("/summary", get(show_summary))
        .route(
            "/switches",
            get(show_switches).put(put_switches).delete(reset_switches),
        )
        .route(
            "/faults",
            get(show_faults).post(add_faults).delete(clear_faults),
        )
        .route("/jobs", post(seed_job))
        .route("/jobs/{id}", put(steer_job).delete(purge_job))
        .route("/datasets", post(seed_dataset))
        .route("/datasets/{id}", put(steer_dataset).delete(delete_dataset))
        .route("/batches/{id}", put(pin_batch))
        .route("/credentials", put(put_credentials))
        .route("/sandboxes", get(show_sandboxes).put(put_sandboxes))
        .route("/mergePolicies", put(put_policies))
        .route("/clock", get(show_clock).put(put_clock))
        .route("/defaults", get(show_defaults).put(put_defaults))
        .fallback(any(unknown))
        .method_not_allowed_fallback(not_allowed)
}

/// Runs one admin call on the tenant as it is now.
fn run(simulator: &Simulator, act: impl FnOnce(&mut World, &Now) -> Answer) -> Response<Body> {
    let mut world = simulator.world();
    let now = world.advance();
    let reply = act(&mut world, &now)
        .unwrap_or_else(|refusal| Reply::json(refusal.status, &json!({"error": refusal.message})));
    reply.into_response()
}

/// Reads a body.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(error.to_string()))
}

/// A key for which `null` and absence are not the same.
#[derive(Default)]
enum Patch<T> {
    /// The key is absent: all stays as it is.
    #[default]
    Keep,
    /// The key is `null`: what was there ends.
    Clear,
    /// The key has a value.
    Set(T),
}

impl<T> Patch<T> {
    fn apply(self, slot: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *slot = None,
            Self::Set(value) => *slot = Some(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::<T>::deserialize(deserializer)?;
        Ok(value.map_or(Self::Clear, Self::Set))
    }
}

fn ok(body: &impl serde::Serialize) -> Reply {
    Reply::json(StatusCode::OK, body)
}

fn done() -> Reply {
    Reply::empty(StatusCode::NO_CONTENT)
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn unknown() -> Response<Body> {
    let error = "no such admin endpoint; aep-simulator --help names them";
    Reply::json(StatusCode::NOT_FOUND, &json!({"error": error})).into_response()
}

async fn not_allowed(method: Method) -> Response<Body> {
    let error = format!("{method} is not for this endpoint; aep-simulator --help says what is");
    Reply::json(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": error})).into_response()
}

async fn show_ledger(State(simulator): State<Simulator>) -> Response<Body> {
    run(&simulator, |world, _| Ok(ok(&ledger::ledger(world))))
}

async fn show_summary(State(simulator): State<Simulator>) -> Response<Body> {
    run(&simulator, |world, _| Ok(ok(&ledger::summary(world))))
}

async fn show_switches(State(simulator): State<Simulator>) -> Response<Body> {
    run(&simulator, |world, _| Ok(ok(&world.switches)))
}

async fn put_switches(State(simulator): State<Simulator>, body: Bytes) -> Response<Body> {
    run(&simulator, |world, _| {
        world.switches = world.switches.merged(&read(&body)?).map_err(Refusal::bad)?;
        Ok(ok(&world.switches))
    })
}

async fn reset_switches(State(simulator): State<Simulator>) -> Response<Body> {
    run(&simulator, |world, _| {
        world.switches = Switches::default();
        Ok(ok(&world.switches))
    })
}

async fn show_faults(State(simulator): State<Simulator>) -> Response<Body> {
    run(&simulator, |world, _| Ok(ok(&world.faults.view())))
}

async fn add_faults(State(simulator): State<Simulator>, body: Bytes) -> Response<Body> {
    run(&simulator, |world, _| {
        let text = std::str::from_utf8(&body).map_err(|error| Refusal::bad(error.to_string()))?;
        let names = world.faults.add(Faults::read(text).map_err(Refusal::bad)?);
        Ok(Reply::json(StatusCode::CREATED, &json!({"names": names})))
    })
}

async fn clear_faults(State(simulator): State<Simulator>) -> Response<Body> {
    run(&simulator, |world, _| {
        world.faults.clear();
        Ok(done())
    })
}

async fn seed_job(State(simulator): State<Simulator>, body: Bytes) -> Response<Body> {
    run(&simulator, |world, now| {
        jobs::seed(world, read(&body)?, now)
    })
}

async fn steer_job(
    State(simulator): State<Simulator>,
    Path(id): Path<i64>,
    body: Bytes,
) -> Response<Body> {
    run(&simulator, |world, now| {
        jobs::steer(world, id, read(&body)?, now)
    })
}

async fn purge_job(State(simulator): State<Simulator>, Path(id): Path<i64>) -> Response<Body> {
    run(&simulator, |world, now| jobs::purge(world, id, now))
}

async fn seed_dataset(State(simulator): State<Simulator>, body: Bytes) -> Response<Body> {
    run(&simulator, |world, now| {
        steering::seed_dataset(world, read(&body)?, now)
    })
}

async fn steer_dataset(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response<Body> {
    run(&simulator, |world, _| {
        steering::steer_dataset(world, &id, read(&body)?)
    })
}

async fn delete_dataset(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
) -> Response<Body> {
    run(&simulator, |world, now| {
        steering::delete_dataset(world, &id, now)
    })
}

async fn pin_batch(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response<Body> {
    run(&simulator, |world, now| {
        steering::pin_batch(world, &id, read(&body)?, now)
    })
}

async fn put_credentials(State(simulator): State<Simulator>, body: Bytes) -> Response<Body> {
    run(&simulator, |world, _| {
        tenant::put_credentials(world, read(&body)?)
    })
}

async fn show_sandboxes(State(simulator): State<Simulator>) -> Response<Body> {
    run(&simulator, |world, _| {
        Ok(ok(&json!({"sandboxes": world.sandboxes})))
    })
}

async fn put_sandboxes(State(simulator): State<Simulator>, body: Bytes) -> Response<Body> {
    run(&simulator, |world, _| {
        tenant::put_sandboxes(world, read(&body)?)
    })
}

async fn put_policies(State(simulator): State<Simulator>, body: Bytes) -> Response<Body> {
    run(&simulator, |world, _| {
        tenant::put_policies(world, read(&body)?)
    })
}

async fn show_clock(State(simulator): State<Simulator>) -> Response<Body> {
    run(&simulator, |world, _| Ok(ok(&tenant::clock(world))))
}

async fn put_clock(State(simulator): State<Simulator>, body: Bytes) -> Response<Body> {
    run(&simulator, |world, now| {
        tenant::put_clock(world, &read(&body)?, now)
    })
}

async fn show_defaults(State(simulator): State<Simulator>) -> Response<Body> {
    run(&simulator, |world, _| Ok(ok(&tenant::defaults(world))))
}

async fn put_defaults(State(simulator): State<Simulator>, body: Bytes) -> Response<Body> {
    run(&simulator, |world, _| {
        tenant::put_defaults(world, read(&body)?)
    })
}
