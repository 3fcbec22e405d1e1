//! [`FutureId`]: one number per task.

use crate::sync::plain::{AtomicU64, Ordering};
use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU64;

/// Names one task and its future; unique in this process, never reused.
///
/// Ids of tasks submitted by one thread rise in the order of submission; between threads their order says nothing.
/// Python has no such number: there the `Future` object itself is the key, here a `HashMap<FutureId, _>` does it.
///
/// # Examples
///
/// ```
/// use concurrent_futures::prelude::*;
///
/// let pool = ThreadPoolExecutor::new(1);
/// let (a, b) = (pool.spawn(|| 1), pool.spawn(|| 2));
/// assert_ne!(a.id(), b.id());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FutureId(NonZeroU64);

impl FutureId {
    pub(crate) fn new() -> Self {
        // A thread takes a run of numbers at a time: one shared counter bumped by every submit would make the
        // submitting threads pass its cache line around.
        const RUN: u64 = 1024;
        static NEXT_RUN: AtomicU64 = AtomicU64::new(0);
        thread_local! {
            static NEXT: Cell<u64> = const { Cell::new(0) };
        }
        NEXT.with(|next| {
            let mut id = next.get();
            if id % RUN == 0 {
                id = NEXT_RUN.fetch_add(1, Ordering::Relaxed) * RUN + 1;
            }
            next.set(id + 1);
            FutureId(NonZeroU64::new(id).expect("runs start at 1"))
        })
    }

    /// The number, which is never 0: for a transport that gives names of its own to what it carries.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    pub(crate) fn from_raw(raw: u64) -> Option<Self> {
        NonZeroU64::new(raw).map(FutureId)
    }
}

impl fmt::Debug for FutureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FutureId({})", self.0)
    }
}

/// The bare number, as it stands in error messages.
impl fmt::Display for FutureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::FutureId;
    use std::collections::HashSet;

    #[test]
    fn unique_across_threads_and_runs() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..5000).map(|_| FutureId::new()).collect::<Vec<_>>()))
            .collect();
        let ids: Vec<FutureId> = threads.into_iter().flat_map(|t| t.join().expect("counts")).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 20_000);
    }
}
