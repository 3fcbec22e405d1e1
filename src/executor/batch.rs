//! [`Batch`]: short items that share a task, and can be parted again.
//!
//! Where nobody gave a chunksize but room for many, a lazy map on threads lets items share a task once they have turned out
//! to be short: a task costs some 200 ns, and a call may take 20. What a map of single items promises stays true:
//!
//! - *An item that takes long holds up no other.* Whoever waits for a batch for long [parts](Batch::part) all of them: what
//!   is done is handed out, what has not begun goes back to tasks of its own, and only the item that runs stays.
//! - *An item that was taken from the input runs, whatever the input does next.* Items share a task only where the input
//!   says that more are there (`size_hint`), which a channel never does.
//! - *Dropping the map cancels what has not begun*, also within a batch.

use super::map::{ChunkResults, run_item};
use crate::error::TaskError;
use crate::sync::Mutex;
use crate::sync::plain::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::vec;

/// What the worker that runs the items shares with whoever waits for them. One lock an item: uncontended it costs half of
/// a short call, and nothing less lets an item be taken away at any moment.
pub(crate) struct Batch<A, R>(Mutex<Parts<A, R>>);

struct Parts<A, R> {
    left: vec::IntoIter<A>,
    done: ChunkResults<R>,
}

impl<A, R> Batch<A, R> {
    pub(crate) fn new(items: Vec<A>) -> Self {
        let done = Vec::with_capacity(items.len());
        Batch(Mutex::new(Parts { left: items.into_iter(), done }))
    }

    /// Runs what is left, item by item; gives the results that nobody has taken.
    pub(crate) fn run(&self, f: impl Fn(A) -> Result<R, TaskError>, pace: &Pace) -> ChunkResults<R> {
        let start = Instant::now();
        let (mut result, mut count) = (None, 0);
        let done = loop {
            let item = {
                let mut parts = self.0.lock();
                parts.done.extend(result.take());
                match parts.left.next() {
                    Some(item) => item,
                    None => break std::mem::take(&mut parts.done),
                }
            };
            result = Some(run_item(item, &f));
            count += 1;
        };
        pace.note(start.elapsed(), count);
        done
    }

    /// Takes away what has not begun.
    pub(crate) fn part(&self) -> Vec<A> {
        std::mem::take(&mut self.0.lock().left).collect()
    }

    /// Takes the results that are there.
    pub(crate) fn take_done(&self) -> ChunkResults<R> {
        std::mem::take(&mut self.0.lock().done)
    }
}

/// The worker's end of a batch. What has not begun goes with it, as the argument of any task does that is refused or
/// cancelled: before anybody sees that the task is over.
pub(crate) struct BatchTask<A, R>(pub(crate) Arc<Batch<A, R>>);

impl<A, R> Drop for BatchTask<A, R> {
    fn drop(&mut self) {
        drop(self.0.part());
    }
}

/// How long the items of one map take, and so how many of them share a task.
pub(crate) struct Pace {
    /// Nanoseconds an item, by the last task; 0 if none is through.
    nanos: AtomicU64,
}

impl Pace {
    /// How long a shared task takes about: two hundred times what it costs. Whoever waits for the first of its items waits
    /// that much longer than for a single one.
    const SHARED: Duration = Duration::from_micros(50);

    pub(crate) const fn new() -> Self {
        Pace { nanos: AtomicU64::new(0) }
    }

    fn note(&self, time: Duration, items: u32) {
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
    use super::{Batch, Pace};
    use std::time::Duration;

    #[test]
    fn what_was_taken_away_is_not_run() {
        let (batch, pace) = (Batch::new(vec![1, 2, 3, 4]), Pace::new());
        let results = batch.run(
            |item| {
                if item == 2 {
                    assert_eq!(batch.part(), [3, 4]);
                    assert_eq!(batch.take_done().into_iter().map(Result::unwrap).collect::<Vec<_>>(), [10]);
                }
                Ok(item * 10)
            },
            &pace,
        );
        assert_eq!(results.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [20]);
        assert!(batch.part().is_empty() && batch.take_done().is_empty());
    }

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
