//! The wish to stop, as every thread of the program sees it.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Raised once, by Ctrl-C; whoever sleeps by it wakes up then.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// True for the first caller.
    pub(crate) fn raise(&self) -> bool {
        let (raised, changed) = &*self.0;
        let first = !std::mem::replace(&mut *raised.lock().unwrap_or_else(PoisonError::into_inner), true);
        changed.notify_all();
        first
    }

    pub(crate) fn is_raised(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps, though no longer than until the stop is raised.
    pub(crate) fn sleep(&self, duration: Duration) {
        let deadline = Instant::now() + duration;
        let (raised, changed) = &*self.0;
        let mut raised = raised.lock().unwrap_or_else(PoisonError::into_inner);
        while !*raised {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            raised = changed.wait_timeout(raised, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
