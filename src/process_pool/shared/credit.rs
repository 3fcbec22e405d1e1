//! [`Credit`]: how much of what a worker's tasks have reported is done with, so that they don't run ahead of it without end.

use crate::sync::atomic::{AtomicU64, Ordering};

/// No part of the protocol: only reports wait for it. The parent alone writes it, and counts by itself what it believes.
#[repr(C, align(64))]
#[derive(Default)]
pub(crate) struct Credit {
    done: AtomicU64,
}

impl Credit {
    /// Parent: so much is done with, of all that this worker ever sent.
    pub(crate) fn set(&self, done: u64) {
        // ORDERING: Release pairs with `done`. The number alone counts; no other data rests on it.
        self.done.store(done, Ordering::Release);
    }

    /// Worker: how much is.
    pub(crate) fn done(&self) -> u64 {
        // ORDERING: Acquire pairs with `set`.
        self.done.load(Ordering::Acquire)
    }
}
