//! [`Pace`]: how long the items of one map take, and so how many of them share a task.

use crate::sync::plain::{AtomicU64, Ordering};
use std::time::Duration;

/// Measured by the tasks as they run.
pub(crate) struct Pace {
    /// Nanoseconds an item, by the last task; 0 if none is through.
    nanos: AtomicU64,
}

impl Pace {
    /// How long a shared task takes about: two hundred times what it costs. A wait for the first of its items takes
    /// that much longer than for a single one.
    const SHARED: Duration = Duration::from_micros(50);

    pub(crate) const fn new() -> Self {
        Pace { nanos: AtomicU64::new(0) }
    }

    pub(super) fn note(&self, time: Duration, items: u32) {
        if let Some(each) = time.checked_div(items) {
            self.nanos.store((each.as_nanos() as u64).max(1), Ordering::Relaxed);
        }
    }

    /// How many items the next task gets, if the last one got `size`. Twice or half as many at most: one measurement may be
    /// off.
    pub(crate) fn next_size(&self, size: usize) -> usize {
        match self.nanos.load(Ordering::Relaxed) {
            0 => 1,
            nanos => {
                let fitting = usize::try_from(Self::SHARED.as_nanos() as u64 / nanos).unwrap_or(usize::MAX);
                fitting.clamp((size / 2).max(1), size.saturating_mul(2))
            }
        }
    }

    /// Begins anew: an item took long.
    pub(crate) fn forget(&self) {
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
}
