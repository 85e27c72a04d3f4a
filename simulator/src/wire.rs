//! Connections that can be ended on purpose: before an answer, or in the middle of it.
//!
//! HTTP's server writes every answer whole; the wire lets through as much of it as a fault says.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

use crate::faults::How;

/// The listener whose connections are wires.
pub(crate) struct Wires {
    listener: TcpListener,
    connections: Connections,
}

/// How many connections there were.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections(Arc<Mutex<Counts>>);

/// Connections, counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accepted: usize,
    pub(crate) open: usize,
    /// The most that were open at a time.
    pub(crate) most: usize,
}

/// A connection.
pub(crate) struct Wire {
    stream: TcpStream,
    line: Line,
    progress: Progress,
    hang: Option<Pin<Box<Sleep>>>,
    connections: Connections,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.connections.count().open -= 1;
    }
}

impl Connections {
    /// The counts so far.
    pub(crate) fn counts(&self) -> Counts {
        *self.count()
    }

    fn opened(&self) {
        let mut counts = self.count();
        counts.accepted += 1;
        counts.open += 1;
        counts.most = counts.most.max(counts.open);
    }

    fn count(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wires {
    pub(crate) fn new(listener: TcpListener, connections: Connections) -> Self {
        Self {
            listener,
            connections,
        }
    }
}

/// A connection's handle for those who answer its calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(Arc<Mutex<Option<Break>>>);

/// What becomes of the answer that is written next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Break {
    /// How many bytes of its body are sent, after its head; none: not even the head.
    pub(crate) after_bytes: Option<usize>,
    pub(crate) how: How,
    /// How long the connection hangs before it is closed, if it does.
    pub(crate) patience: Duration,
}

/// How far a broken answer was written.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// How many bytes of the end of the head were seen.
    matched: usize,
    body: usize,
}

/// What ends the head of an answer.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

impl Progress {
    /// Takes one byte more, if it may be sent.
    fn takes(&mut self, byte: u8, limit: usize) -> bool {
        if self.matched == END_OF_HEAD.len() {
            let fits = self.body < limit;
            self.body += usize::from(fits);
            return fits;
        }
        self.matched = if END_OF_HEAD.get(self.matched) == Some(&byte) {
            self.matched + 1
        } else {
            usize::from(byte == b'\r')
        };
        true
    }

    /// How many of these bytes may be sent.
    fn admits(mut self, bytes: &[u8], limit: usize) -> usize {
        bytes
            .iter()
            .take_while(|byte| self.takes(**byte, limit))
            .count()
    }
}

impl Line {
    /// Says whether the connection breaks at the answer that is written next.
    pub(crate) fn set(&self, at: Option<Break>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    fn broken(&self) -> Option<Break> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Wires {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        self.connections.opened();
        let wire = Wire {
            stream,
            line: Line::default(),
            progress: Progress::default(),
            hang: None,
            connections: self.connections.clone(),
        };
        (wire, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Wires>> for Line {
    fn connect_info(stream: IncomingStream<'_, Wires>) -> Self {
        stream.io().line.clone()
    }
}

impl Wire {
    /// Ends the connection: the server lets go of it when it hears of the error.
    fn end(&mut self, context: &mut Context<'_>, at: Break) -> Poll<io::Error> {
        match at.how {
            How::Close => {}
            How::Reset => {
                if let Err(error) = self.stream.set_zero_linger() {
                    return Poll::Ready(error);
                }
            }
            How::Hang => {
                let hang = self
                    .hang
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(at.patience)));
                ready!(hang.as_mut().poll(context));
            }
        }
        Poll::Ready(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "a fault ended the connection",
        ))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(at) = self.line.broken() else {
            self.progress = Progress::default();
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        };
        let (limit, admitted) = match at.after_bytes {
            Some(limit) => (limit, self.progress.admits(bytes, limit)),
            None => (0, 0),
        };
        if admitted == 0 && !bytes.is_empty() {
            return self.end(context, at).map(Err);
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[..admitted]))?;
        for byte in &bytes[..written] {
            self.progress.takes(*byte, limit);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_passes_whole_and_then_so_much_of_the_body() {
        let answer = b"HTTP/1.1 200 OK\r\nA: b\r\r\n\r\n\r\nbody";
        let progress = Progress::default();
        // The body begins after the first empty line.
        let head = answer.len() - "\r\nbody".len();
        assert_eq!(progress.admits(answer, 3), head + 3);
        assert_eq!(progress.admits(answer, 0), head);
        assert_eq!(progress.admits(answer, 100), answer.len());
    }

    #[test]
    fn it_does_not_matter_in_how_many_pieces_an_answer_is_written() {
        let answer = b"HTTP/1.1 200 OK\r\n\r\nbody";
        let mut progress = Progress::default();
        let passed = answer
            .iter()
            .filter(|byte| progress.takes(**byte, 2))
            .count();
        assert_eq!(passed, answer.len() - 2);
    }
}
