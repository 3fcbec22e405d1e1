//! [`Meter`]: the bytes that tasks have under way, for a map that is bounded by them.

use crate::sync::plain::{AtomicUsize, Ordering};
use std::sync::Arc;

/// Of all tasks of a map. What tasks note here comes from several threads; a look that is a moment late lets one task more go.
#[derive(Debug, Default)]
pub(crate) struct Total {
    /// Tasks without a result, and their encoded arguments.
    waiting: AtomicUsize,
    arguments: AtomicUsize,
    /// Encoded results that nobody has taken.
    results: AtomicUsize,
    /// All results that ever came, and how many.
    seen: AtomicUsize,
    count: AtomicUsize,
}

impl Total {
    /// Whether arguments are under way and no result has come yet: nothing is known of what results take.
    pub(crate) fn is_blind(&self) -> bool {
        self.arguments.load(Ordering::Relaxed) > 0 && self.count.load(Ordering::Relaxed) == 0
    }

    /// Bytes under way: a task without a result counts with its argument or with what results have taken so far, whichever is
    /// more.
    pub(crate) fn under_way(&self) -> usize {
        let load = |number: &AtomicUsize| number.load(Ordering::Relaxed);
        let result = load(&self.seen).checked_div(load(&self.count)).unwrap_or(0);
        let expected = load(&self.waiting).saturating_mul(result);
        load(&self.results).saturating_add(expected.max(load(&self.arguments)))
    }
}

/// Of one task. When its last owner is gone nothing is under way any more.
#[derive(Clone, Debug)]
pub(crate) struct Meter(Arc<Task>);

#[derive(Debug)]
struct Task {
    total: Arc<Total>,
    argument: AtomicUsize,
    /// One more than the bytes of the result; 0 if none is there.
    result: AtomicUsize,
}

impl Meter {
    pub(crate) fn new(total: &Arc<Total>) -> Self {
        total.waiting.fetch_add(1, Ordering::Relaxed);
        Meter(Arc::new(Task {
            total: total.clone(),
            argument: AtomicUsize::new(0),
            result: AtomicUsize::new(0),
        }))
    }

    /// The argument was encoded, maybe again.
    #[cfg(feature = "process")]
    pub(crate) fn note_argument(&self, bytes: usize) {
        let before = self.0.argument.swap(bytes, Ordering::Relaxed);
        self.0.total.arguments.fetch_add(bytes, Ordering::Relaxed);
        self.0.total.arguments.fetch_sub(before, Ordering::Relaxed);
    }

    /// The result came, once.
    #[cfg(feature = "process")]
    pub(crate) fn note_result(&self, bytes: usize) {
        self.note_argument(0);
        self.0.result.store(bytes + 1, Ordering::Relaxed);
        let total = &self.0.total;
        total.waiting.fetch_sub(1, Ordering::Relaxed);
        total.results.fetch_add(bytes, Ordering::Relaxed);
        total.seen.fetch_add(bytes, Ordering::Relaxed);
        total.count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let total = &self.total;
        total.arguments.fetch_sub(*self.argument.get_mut(), Ordering::Relaxed);
        match self.result.get_mut().checked_sub(1) {
            Some(result) => total.results.fetch_sub(result, Ordering::Relaxed),
            None => total.waiting.fetch_sub(1, Ordering::Relaxed),
        };
    }
}

/// Of the same task.
impl PartialEq for Meter {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Meter {}

#[cfg(all(test, feature = "process", not(concurrent_futures_loom)))]
mod tests {
    use super::{Meter, Total};
    use std::sync::Arc;

    #[test]
    fn tasks_count_with_arguments_and_then_with_results() {
        let total = Arc::new(Total::default());
        let (one, other) = (Meter::new(&total), Meter::new(&total));
        one.note_argument(100);
        one.note_argument(70);
        other.note_argument(30);
        assert!(total.under_way() == 100 && total.is_blind());
        one.note_result(400);
        assert!(!total.is_blind());
        assert_eq!(total.under_way(), 800, "the other's result will take as much");
        drop(one.clone());
        drop(one);
        assert_eq!(total.under_way(), 400);
        drop(other);
        assert_eq!(total.under_way(), 0);
    }
}
