//! The end of the server, or of a shift of it, as its threads see it: a channel that is closed then.

use std::{convert::Infallible, time::Duration};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

/// It is the end when this is dropped.
pub(crate) type Until = Sender<Infallible>;

#[derive(Clone)]
pub(crate) struct End(Receiver<Infallible>);

impl End {
    pub(crate) fn new() -> (Until, Self) {
        let (until, end) = bounded(0);
        (until, Self(end))
    }

    pub(crate) fn has_come(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// Sleeps, though no longer than until the end.
    pub(crate) fn sleep(&self, duration: Duration) {
        // Either way there is nothing to receive.
        let _ = self.0.recv_timeout(duration);
    }
}
