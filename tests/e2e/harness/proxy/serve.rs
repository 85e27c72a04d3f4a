//! HTTP: a request is read whole, judged, and passed on or not.

use std::{io, path::Path, sync::Arc};

use axum::body::{Body, Bytes, to_bytes};
use http::{HeaderMap, Request, Response, StatusCode, header, request::Parts};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use reqwest::{Certificate, Client, redirect};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{broadcast, mpsc},
};

use super::{
    frames::{Frame, Lane, Splitter},
    request::{Asked, Match, Server, Verb},
    rules::{Armed, Fault, Side, refusal},
    state::{Ending, State, Verdict},
};

/// A body may not be larger.
const BODY_LIMIT: usize = 64 << 20;

/// How many frames of a watch may be under way to the caller.
const FRAMES: usize = 16;

/// Headers that are about a connection, not about what goes over it.
const OF_A_CONNECTION: [header::HeaderName; 4] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
];

/// The way to one server.
pub struct Route {
    pub server: Server,
    pub upstream: String,
    pub client: Client,
    pub state: Arc<State>,
}

/// No answer: the connection closes.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed")]
struct Closed;

/// What is given to the caller.
enum Answer {
    Reply(Response<Body>),
    Close,
    /// None, and the connection stays open: there is nobody any more who would read it.
    None,
}

/// A client that takes replies as they are, and the API server by its own authority.
pub fn client(authority: &Path) -> Client {
    let authority = std::fs::read(authority).unwrap();
    Client::builder()
        .tls_certs_only([Certificate::from_pem(&authority).unwrap()])
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .unwrap()
}

/// Takes connections, for ever.
pub async fn serve(listener: TcpListener, route: Arc<Route>) {
    loop {
        // A caller who is gone before it was taken is no matter.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, Arc::clone(&route)));
        }
    }
}

async fn connection(stream: TcpStream, route: Arc<Route>) {
    let state = Arc::clone(&route.state);
    state.connections.send_modify(|open| *open += 1);
    // Frames are small, and tests wait for them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(Arc::clone(&route), request));
    // A caller that hangs up, or is hung up on, ends it with an error.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    state.connections.send_modify(|open| *open -= 1);
}

async fn answer(route: Arc<Route>, request: Request<Incoming>) -> Result<Response<Body>, Closed> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(Body::new(body), BODY_LIMIT)
        .await
        .map_err(|_| Closed)?;
    let asked = Asked::new(route.server, &parts.method, &parts.uri);
    let verdict = route.state.arrive(asked.clone()).await;
    // A task of its own, so that a caller who hangs up does not undo what is on its way.
    let answer = tokio::spawn(async move { route.act(verdict, asked, &parts, body).await });
    match answer.await {
        Ok(Answer::Reply(reply)) => Ok(reply),
        Ok(Answer::Close) | Err(_) => Err(Closed),
        Ok(Answer::None) => std::future::pending().await,
    }
}

impl Route {
    async fn act(&self, verdict: Verdict, asked: Asked, parts: &Parts, body: Bytes) -> Answer {
        match verdict {
            Verdict::Pass => self.pass(asked, parts, body).await,
            Verdict::Disturb(rule) => self.disturb(&rule, asked, parts, body).await,
            Verdict::Crash(side, kill, at) => {
                if side == Side::After {
                    // Killed all the same if the server cannot be reached.
                    let _reply = self.pass(asked, parts, body).await;
                }
                self.state.crash(kill, at);
                Answer::None
            }
            Verdict::Nowhere => Answer::None,
        }
    }

    async fn disturb(&self, rule: &Armed, asked: Asked, parts: &Parts, body: Bytes) -> Answer {
        match rule.fault {
            Fault::Conflict => Answer::Reply(refusal(StatusCode::CONFLICT, "Conflict", None)),
            Fault::Throttle(seconds) => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                Answer::Reply(refusal(status, "TooManyRequests", Some(seconds)))
            }
            Fault::Expire => Answer::Reply(refusal(StatusCode::GONE, "Expired", None)),
            Fault::TimeOut => {
                let _reply = self.pass(asked, parts, body).await;
                Answer::Reply(refusal(StatusCode::GATEWAY_TIMEOUT, "Timeout", None))
            }
            Fault::Close(Side::Before) => Answer::Close,
            Fault::Close(Side::After) => {
                let _reply = self.pass(asked, parts, body).await;
                Answer::Close
            }
            Fault::Hold(Side::Before) => {
                rule.ended().await;
                self.pass(asked, parts, body).await
            }
            Fault::Hold(Side::After) => {
                let answer = self.pass(asked, parts, body).await;
                rule.ended().await;
                answer
            }
        }
    }

    /// Asks the server, and reads its reply whole; of a watch, its head.
    async fn pass(&self, asked: Asked, parts: &Parts, body: Bytes) -> Answer {
        let url = format!("{}{}", self.upstream, asked.path);
        let request = self
            .client
            .request(parts.method.clone(), url)
            .headers(passed_on(&parts.headers))
            .body(body);
        let Ok(reply) = request.send().await else {
            return Answer::Close;
        };
        let (status, headers) = (reply.status(), passed_on(reply.headers()));
        let body = if asked.verb == Verb::Watch && status.is_success() {
            self.follow(asked, reply)
        } else {
            match reply.bytes().await {
                Ok(body) => Body::from(body),
                Err(_) => return Answer::Close,
            }
        };
        let mut reply = Response::new(body);
        *reply.status_mut() = status;
        *reply.headers_mut() = headers;
        Answer::Reply(reply)
    }

    /// The body of a watch, frame by frame.
    fn follow(&self, asked: Asked, reply: reqwest::Response) -> Body {
        let (sender, receiver) = mpsc::channel(FRAMES);
        let watch = Watch {
            endings: self.state.endings.subscribe(),
            state: Arc::clone(&self.state),
            asked,
            sender,
        };
        tokio::spawn(watch.run(reply));
        Body::from_stream(futures::stream::unfold(receiver, |mut receiver| async {
            let frame = receiver.recv().await?;
            Some((frame, receiver))
        }))
    }
}

/// A watch under way.
struct Watch {
    endings: broadcast::Receiver<(Match, Ending)>,
    state: Arc<State>,
    asked: Asked,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Watch {
    async fn run(mut self, mut reply: reqwest::Response) {
        let mut frozen = self.state.frozen.subscribe();
        let (mut splitter, mut lane) = (Splitter::default(), Lane::default());
        let (mut held, mut ended) = (Vec::new(), false);
        loop {
            let is_frozen = frozen.borrow_and_update().contains(&self.asked.resource);
            if !is_frozen {
                for frame in held.drain(..) {
                    let pass = |plan: &mut _| lane.pass(plan, &self.asked.resource, frame);
                    for Frame { bytes, object: _ } in self.state.with_plan(pass) {
                        // The caller may be gone, which ends the loop below.
                        let _ = self.sender.send(Ok(bytes)).await;
                    }
                }
                if ended {
                    return;
                }
            }
            tokio::select! {
                () = self.sender.closed() => return,
                chunk = reply.chunk(), if !ended => match chunk {
                    Ok(Some(chunk)) => held.extend(splitter.push(&chunk)),
                    Ok(None) => ended = true,
                    Err(_) => return self.end(Ending::Broken).await,
                },
                told = self.endings.recv() => if let Ok((what, ending)) = told
                    && what.matches(&self.asked)
                {
                    return self.end(ending).await;
                },
                // The sender is part of the state.
                _ = frozen.changed() => {}
            }
        }
    }

    async fn end(&self, ending: Ending) {
        let last = match ending {
            Ending::Expired => Ok(Frame::expired().bytes),
            Ending::Broken => Err(io::ErrorKind::ConnectionReset.into()),
        };
        // The caller may be gone already.
        let _ = self.sender.send(last).await;
    }
}

fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in OF_A_CONNECTION {
        headers.remove(name);
    }
    headers
}
