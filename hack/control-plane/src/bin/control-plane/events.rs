//! What a process that owns others waits for.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::Failure;

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A child changed: which one, and how, is for `try_wait` to say.
    Child,
    /// A signal that asks to stop; its number.
    Signal(i32),
    /// Standard input has ended, which means that the owner is gone or wants the end.
    Orphaned,
}

impl Event {
    /// Whether this process has to stop what it runs.
    pub(crate) fn asks_to_stop(self) -> bool {
        self != Self::Child
    }
}

/// The events of this process, in order.
#[derive(Debug)]
pub(crate) struct Events {
    receiver: Receiver<Event>,
    // Keeps the channel open: that no event comes any more is not an event.
    _sender: Sender<Event>,
}

impl Events {
    /// Listens for signals, and with `stdin` for the end of standard input.
    ///
    /// Call it before the first child is started: the end of one that is not listened for is lost.
    pub(crate) fn listen(stdin: bool) -> Result<Self, Failure> {
        let (sender, receiver) = mpsc::channel();
        let mut signals = Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM])
            .map_err(Failure::io("listen for signals"))?;
        let signalled = sender.clone();
        // Neither thread ends before the process does, and a send only fails then.
        thread::spawn(move || {
            for signal in signals.forever() {
                let child = signal == SIGCHLD;
                let _ = signalled.send(if child {
                    Event::Child
                } else {
                    Event::Signal(signal)
                });
            }
        });
        if stdin {
            let orphaned = sender.clone();
            thread::spawn(move || {
                // An error is an end as well.
                let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
                let _ = orphaned.send(Event::Orphaned);
            });
        }
        Ok(Self {
            receiver,
            _sender: sender,
        })
    }

    /// The next event; nothing after `timeout`.
    pub(crate) fn next(&self, timeout: Duration) -> Option<Event> {
        self.receiver.recv_timeout(timeout).ok()
    }

    /// Waits for the next event.
    pub(crate) fn wait(&self) -> Event {
        // The sender in `self` keeps the channel open.
        self.receiver.recv().unwrap_or(Event::Orphaned)
    }
}
