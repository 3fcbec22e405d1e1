//! How many workers the pool may have, and how that changes while it runs.

use super::pool::Pool;
use crate::sync::plain::Ordering;
use std::sync::Arc;

impl Pool {
    /// How many tasks run at once at most. Without the dispatcher's lock: a fork of this process may ask, too.
    pub(crate) fn max_workers(&self) -> usize {
        self.max_workers.load(Ordering::Relaxed)
    }

    pub(crate) fn set_max_workers(self: &Arc<Self>, n: usize) {
        if self.is_fork() {
            return;
        }
        let mut cancelled = Vec::new();
        let mut dispatcher = self.dispatcher.lock();
        self.max_workers.store(n, Ordering::Relaxed);
        let wake = dispatcher.set_max_workers(n, &mut cancelled);
        drop(dispatcher);
        self.wake_all(wake);
        self.finish_cancelled(cancelled);
    }
}
