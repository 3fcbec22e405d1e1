//! [`Bell`]: how one worker that rests is called.

use crate::sync::Condvar;
use crate::sync::plain::{AtomicBool, Ordering};

/// One per worker, so that the last to rest can be called first: its stack and its caches are the warmest, and the others get
/// to rest for long.
#[derive(Default)]
pub(in crate::thread_pool) struct Bell {
    /// Waited for under the lock of the pool's state.
    pub(super) changed: Condvar,
    /// Changes under that lock.
    called: AtomicBool,
}

impl Bell {
    /// The worker is no longer among those that rest. [`ring`](Self::ring) follows, once the lock is let go of.
    pub(super) fn call(&self) {
        self.called.store(true, Ordering::Relaxed);
    }

    pub(super) fn ring(&self) {
        self.changed.notify_one();
    }

    pub(super) fn is_called(&self) -> bool {
        self.called.load(Ordering::Relaxed)
    }

    /// Whether it was called; that is over then.
    pub(super) fn answer(&self) -> bool {
        let is_called = self.is_called();
        self.called.store(false, Ordering::Relaxed);
        is_called
    }
}
