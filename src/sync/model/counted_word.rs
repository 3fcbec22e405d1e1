//! The word with a count, in models. Each step of a count is one more place where threads may change, so models took eight
//! times as long by it. In those that are about something else the count is apart and loom doesn't see it, as it doesn't see that
//! of an `Arc`; those about memory have it where it is.

use loom::sync::atomic::{AtomicU64, Ordering};
use std::cell::Cell;
use std::sync::atomic;

std::thread_local! {
    /// Of the models of this thread of the system.
    static IS_SEEN: Cell<bool> = const { Cell::new(false) };
}

/// Whether the models that this thread runs see the counts.
pub(crate) fn see_counts(yes: bool) {
    IS_SEEN.set(yes);
}

pub(crate) fn are_counts_seen() -> bool {
    IS_SEEN.get()
}

/// The bits below are the word's, those above the count's.
const COUNT: u64 = u64::MAX << 12;

#[derive(Debug)]
pub(crate) struct CountedWord {
    word: AtomicU64,
    count: Option<atomic::AtomicU64>,
    /// Some bits stay as they are here.
    first: u64,
}

/// loom runs its threads in turn, on one of the system.
const NOW: atomic::Ordering = atomic::Ordering::Relaxed;

impl CountedWord {
    pub(crate) fn new(word: u64) -> Self {
        if are_counts_seen() {
            return CountedWord { word: AtomicU64::new(word), count: None, first: word };
        }
        let count = Some(atomic::AtomicU64::new(word & COUNT));
        CountedWord { word: AtomicU64::new(word & !COUNT), count, first: word }
    }

    /// No step of a model: nobody can come before or after.
    pub(crate) fn load_constants(&self, _: Ordering) -> u64 {
        self.first
    }

    pub(crate) fn load_count(&self, order: Ordering) -> u64 {
        self.count.as_ref().map_or_else(|| self.word.load(order), |count| count.load(NOW))
    }

    fn apart(&self) -> u64 {
        self.count.as_ref().map_or(0, |count| count.load(NOW))
    }

    pub(crate) fn load(&self, order: Ordering) -> u64 {
        self.word.load(order) | self.apart()
    }

    pub(crate) fn fetch_add(&self, n: u64, order: Ordering) -> u64 {
        match &self.count {
            Some(count) if n & COUNT != 0 => count.fetch_add(n, NOW),
            _ => self.word.fetch_add(n, order) | self.apart(),
        }
    }

    pub(crate) fn fetch_sub(&self, n: u64, order: Ordering) -> u64 {
        match &self.count {
            Some(count) if n & COUNT != 0 => count.fetch_sub(n, NOW),
            _ => self.word.fetch_sub(n, order) | self.apart(),
        }
    }

    pub(crate) fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        self.word.fetch_or(bits, order) | self.apart()
    }

    pub(crate) fn fetch_update(
        &self,
        success: Ordering,
        failure: Ordering,
        update: impl FnMut(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        self.word.fetch_update(success, failure, update)
    }

    pub(crate) fn compare_exchange(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        let Some(count) = &self.count else {
            return self.word.compare_exchange(current, new, success, failure);
        };
        let done = self.word.compare_exchange(current & !COUNT, new & !COUNT, success, failure);
        if done.is_ok() {
            count.fetch_add((new & COUNT).wrapping_sub(current & COUNT), NOW);
        }
        done
    }
}
