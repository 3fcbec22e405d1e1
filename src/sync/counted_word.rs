//! [`CountedWord`]: an atomic word whose upper bits are a count. loom's stand-in keeps the count apart in models that are not
//! about it.

use super::atomic::{AtomicU64, Ordering};
use std::ops::Deref;

#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct CountedWord(AtomicU64);

impl CountedWord {
    pub(crate) const fn new(word: u64) -> Self {
        CountedWord(AtomicU64::new(word))
    }

    /// A load by a thread that looks at bits alone that never change.
    #[inline(always)]
    pub(crate) fn load_constants(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    /// A load by a thread that looks at the count alone.
    #[inline(always)]
    pub(crate) fn load_count(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }
}

impl Deref for CountedWord {
    type Target = AtomicU64;

    #[inline(always)]
    fn deref(&self) -> &AtomicU64 {
        &self.0
    }
}

/// Whether a model looks at counts. Nothing else does.
#[inline(always)]
pub(crate) fn are_counts_seen() -> bool {
    false
}
