//! Calls to the platform: read whole, noted, judged by the faults, answered and noted again.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{DATE, HeaderName, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use serde_json::Value;

use crate::call::Call;
use crate::clock::http_date;
use crate::faults::{Cut, End, How, Names, Own, Plan, Verdict};
use crate::ledger::Fate;
use crate::reply::{Reply, gateway_error};
use crate::server::Simulator;
use crate::wire::{Break, Line};
use crate::world::World;

/// A body may not be larger.
const BODY_LIMIT: usize = 8 << 20;

/// What becomes of a call.
enum Sent {
    /// It is answered, perhaps not to the end.
    Reply(Reply, Option<Break>),
    /// It is never answered.
    Nothing { how: How, patience: Duration },
}

/// Answers a call to the platform.
pub(crate) async fn platform(
    State(simulator): State<Simulator>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        let message = "the body cannot be read, or is too large";
        return gateway_error(StatusCode::PAYLOAD_TOO_LARGE, "413000", message).into_response();
    };
    let mut call = Call::new(parts, body);
    let verdict = {
        let mut world = simulator.world();
        let now = world.clock.now();
        let verdict = world.faults.judge(call.method.as_str(), &call.path);
        call.index = world.ledger.begin(&call, now.wall, verdict.fault.clone());
        verdict
    };
    let caller = Caller {
        simulator: simulator.clone(),
        index: call.index,
    };
    // A task of its own, so that a caller who hangs up does not undo what has reached the tenant.
    let sent = tokio::spawn(answer(simulator, call, verdict)).await;
    let response = match sent {
        Ok(Sent::Reply(reply, cut)) => {
            line.set(cut);
            reply.into_response()
        }
        Ok(Sent::Nothing { how, patience }) => {
            if how == How::Hang {
                tokio::time::sleep(patience).await;
            }
            line.set(Some(Break {
                after_bytes: None,
                how: match how {
                    How::Close | How::Hang => How::Close,
                    How::Reset => How::Reset,
                },
                patience: Duration::ZERO,
            }));
            Response::new(Body::empty())
        }
        Err(_) => Reply::empty(StatusCode::INTERNAL_SERVER_ERROR).into_response(),
    };
    drop(caller);
    response
}

/// Who waits for an answer. The server lets go of it when the connection ends, which the ledger
/// then learns; a call that has ended already stays as it is.
struct Caller {
    simulator: Simulator,
    index: usize,
}

impl Drop for Caller {
    fn drop(&mut self) {
        let mut world = self.simulator.world();
        world.ledger.end(self.index, None, Fate::Left);
    }
}

async fn answer(simulator: Simulator, call: Call, verdict: Verdict) -> Sent {
    let Verdict {
        fault: _,
        delay_milliseconds,
        end,
    } = verdict;
    pause(Duration::from_millis(delay_milliseconds)).await;
    let index = call.index;
    let effect = Effect {
        simulator: simulator.clone(),
        call: call.clone(),
    };
    match end {
        End::Tenant => {
            let reply = effect.once(false);
            send(&simulator, &call, reply, None)
        }
        End::Changed(own) => {
            let reply = effect.own(&own).await;
            send(&simulator, &call, reply, own.cut)
        }
        End::Replaced {
            reply,
            retry_after_date_seconds,
            plan,
            cut,
        } => {
            if let Some(plan) = plan {
                effect.apart(plan);
            }
            let now = simulator.world().clock.now();
            let date = retry_after_date_seconds.and_then(|seconds| {
                http_date(now.wall.saturating_add(seconds.saturating_mul(1000)))
            });
            let reply = match date {
                Some(date) => reply.with_text(RETRY_AFTER, &date),
                None => reply,
            };
            send(&simulator, &call, reply, cut)
        }
        End::Lost {
            how,
            patience,
            plan,
        } => {
            if let Some(plan) = plan {
                effect.apart(plan);
            }
            let fate = match how {
                How::Close => Fate::Closed,
                How::Reset => Fate::Reset,
                How::Hang => Fate::Hung,
            };
            simulator.world().ledger.end(index, None, fate);
            Sent::Nothing { how, patience }
        }
    }
}

/// Gives an answer the headers that every one has, and notes it.
fn send(simulator: &Simulator, call: &Call, mut reply: Reply, cut: Option<Cut>) -> Sent {
    let mut world = simulator.world();
    let now = world.clock.now();
    if let Some(date) = http_date(now.wall) {
        reply = reply.or_with(DATE, &date);
    }
    if call.path.starts_with("/data/") {
        reply = reply.or_with(HeaderName::from_static("x-request-id"), &call.request_id);
    }
    let cut = cut
        .filter(|cut| cut.after_bytes < reply.body.len())
        .filter(|_| reply.status != StatusCode::NO_CONTENT);
    let fate = if cut.is_some() {
        Fate::Truncated
    } else {
        Fate::Kept
    };
    world
        .ledger
        .end(call.index, Some(reply.status.as_u16()), fate);
    tracing::debug!(
        method = %call.method,
        path = call.path,
        status = reply.status.as_u16(),
        request_id = call.request_id,
        "answered"
    );
    let cut = cut.map(|cut| Break {
        after_bytes: Some(cut.after_bytes),
        how: cut.how,
        patience: cut.patience(),
    });
    Sent::Reply(reply, cut)
}

/// What a call does to the tenant.
struct Effect {
    simulator: Simulator,
    call: Call,
}

impl Effect {
    /// Lets the call take effect now, for the first time or once more.
    fn once(&self, surplus: bool) -> Reply {
        let mut world = self.simulator.world();
        if surplus {
            let again = Call {
                surplus,
                ..self.call.clone()
            };
            act(&mut world, &again)
        } else {
            act(&mut world, &self.call)
        }
    }

    /// Lets the call take effect as a fault plans it. What is due at once is done when this
    /// returns; the rest is on its own, whatever becomes of the answer.
    fn apart(mut self, plan: Plan) {
        self.call.visible_after_list_calls = plan.visible_after_list_calls;
        if !plan.after.is_zero() {
            tokio::spawn(async move {
                pause(plan.after).await;
                self.once(false);
                if let Some(again) = plan.again {
                    pause(again).await;
                    self.once(true);
                }
            });
            return;
        }
        self.once(false);
        if let Some(again) = plan.again {
            self.again(again);
        }
    }

    /// Lets the call take effect once more, after a while.
    fn again(self, after: Duration) {
        if after.is_zero() {
            self.once(true);
        } else {
            tokio::spawn(async move {
                pause(after).await;
                self.once(true);
            });
        }
    }

    /// Lets the call take effect as a fault plans it, and returns the tenant's answer to it.
    async fn own(mut self, own: &Own) -> Reply {
        let plan = own.plan();
        self.call.visible_after_list_calls = plan.visible_after_list_calls;
        pause(plan.after).await;
        let mut reply = self.once(false);
        match (plan.again, own.names) {
            (None, _) => {}
            (Some(again), Names::First) => self.again(again),
            (Some(again), Names::Second) => {
                pause(again).await;
                reply = self.once(true);
            }
        }
        patched(reply, &own.patch)
    }
}

/// The answer with its body changed, if it is JSON to which the change can be applied.
fn patched(mut reply: Reply, patch: &json_patch::Patch) -> Reply {
    if patch.0.is_empty() {
        return reply;
    }
    let Ok(mut body) = serde_json::from_slice::<Value>(&reply.body) else {
        return reply;
    };
    if json_patch::patch(&mut body, &patch.0).is_ok() {
        reply.body = body.to_string().into_bytes();
    }
    reply
}

fn act(world: &mut World, call: &Call) -> Reply {
    let (reply, authorized) = world.answer(call);
    let wall = world.clock.now().wall;
    world.ledger.act(call.index, wall, reply.effect, authorized);
    reply
}

/// Waits; does not even yield where there is nothing to wait for.
async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}
