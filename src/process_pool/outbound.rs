//! [`Outbound`]: what goes out to a worker. Whoever ships a batch puts it in here; whoever is awake sends it off.
//!
//! Mostly that is the driver. But a small task for a worker that has nothing to do is sent by the thread that submits it:
//! the driver sleeps on, and one wake-up of four is saved on the task's way there and back.
//!
//! Frames must reach the worker in the order of their numbers. So they are *put* here in the critical section of the
//! dispatcher that numbers them; *sending* happens outside of it, by anybody, one at a time.

use super::frames::{Outbox, Piece};
use super::sys::Socket;
use crate::sync::Mutex;

pub(super) struct Outbound {
    pub(super) socket: Socket,
    outbox: Mutex<Outbox>,
}

impl Outbound {
    pub(super) fn new(socket: Socket) -> Self {
        Outbound { socket, outbox: Mutex::new(Outbox::default()) }
    }

    /// Makes no system call. It waits for nobody, since a worker is only shipped something by its own driver while
    /// anything large is on its way out.
    pub(super) fn put(&self, pieces: Vec<Piece>) {
        let mut outbox = self.outbox.lock();
        pieces.into_iter().for_each(|part| outbox.push(part));
    }

    /// Sends what the socket takes without blocking; false if something is left, which the driver is to hear of.
    pub(super) fn flush(&self) -> bool {
        let mut outbox = self.outbox.lock();
        // A worker that can't be written to is dying: its handle will say so.
        outbox.flush(&self.socket).unwrap_or_else(|_| {
            outbox.clear();
            true
        })
    }

    pub(super) fn is_drained(&self) -> bool {
        self.outbox.lock().is_empty()
    }

    /// The worker is to get no more.
    pub(super) fn clear(&self) {
        self.outbox.lock().clear();
    }
}

#[cfg(test)]
mod tests;
