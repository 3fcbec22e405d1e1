//! [`Pace`]: how long the items of one map take, and how large they are.

use crate::sync::plain::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Measured by the tasks as they run, and as they are encoded.
pub(crate) struct Pace {
    /// Nanoseconds an item, by the last task; 0 if none is through.
    nanos: AtomicU64,
    /// Of the argument, by the last task.
    bytes: AtomicUsize,
}

impl Pace {
    /// How long a shared task takes about: two hundred times what it costs. A wait for the first of its items takes
    /// that much longer than for a single one.
    const SHARED: Duration = Duration::from_micros(50);

    pub(crate) const fn new() -> Self {
        Pace { nanos: AtomicU64::new(0), bytes: AtomicUsize::new(0) }
    }

    pub(crate) fn note(&self, time: Duration, items: usize) {
        if items > 0 {
            let each = time.as_nanos() / items as u128;
            self.nanos.store(u64::try_from(each).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
        }
    }

    /// The arguments of so many items have so many bytes in all.
    pub(crate) fn note_bytes(&self, bytes: usize, items: usize) {
        if let Some(each) = bytes.checked_div(items) {
            self.bytes.store(each, Ordering::Relaxed);
        }
    }

    /// How long a worker takes for one, if any is through.
    pub(super) fn each(&self) -> Option<Duration> {
        Some(self.nanos.load(Ordering::Relaxed)).filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many items the next task gets, if the last one got `size`. Twice or half as many at most: one measurement may be
    /// off.
    pub(super) fn next_size(&self, size: usize) -> usize {
        match self.nanos.load(Ordering::Relaxed) {
            0 => 1,
            nanos => {
                let fitting = usize::try_from(Self::SHARED.as_nanos() as u64 / nanos).unwrap_or(usize::MAX);
                fitting.clamp((size / 2).max(1), size.saturating_mul(2))
            }
        }
    }

    /// Begins anew: an item took long.
    pub(super) fn forget(&self) {
        self.nanos.store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::Pace;
    use std::time::Duration;

    #[test]
    fn short_items_share_and_long_ones_do_not() {
        let pace = Pace::new();
        assert_eq!(pace.next_size(1), 1);
        pace.note(Duration::from_nanos(200), 10);
        assert_eq!((pace.next_size(1), pace.next_size(512), pace.next_size(4096)), (2, 1024, 2500));
        pace.note(Duration::from_millis(1), 1);
        assert_eq!((pace.next_size(512), pace.next_size(1)), (256, 1));
        pace.note(Duration::ZERO, 1);
        assert_eq!(pace.next_size(1), 2);
        pace.forget();
        assert_eq!(pace.next_size(512), 1);
    }

    #[test]
    fn what_was_not_measured_is_not_known() {
        let pace = Pace::new();
        assert_eq!((pace.each(), pace.bytes()), (None, 0));
        pace.note(Duration::from_micros(6), 3);
        pace.note_bytes(100, 10);
        pace.note(Duration::from_micros(1), 0);
        pace.note_bytes(1, 0);
        assert_eq!((pace.each(), pace.bytes()), (Some(Duration::from_micros(2)), 10));
        pace.forget();
        assert_eq!((pace.each(), pace.bytes()), (None, 10));
    }
}
