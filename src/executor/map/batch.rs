//! [`Batch`]: short items that share a task, and can be parted again.
//!
//! Where nobody gave a chunksize, a lazy map on threads lets items share a task once they have turned out
//! to be short: a task costs some 200 ns, and a call may take 20. What a map of single items promises stays true:
//!
//! - *An item that takes long holds up no other.* A thread that waits for a batch for long [parts](Batch::part) all of them: what
//!   is done is handed out, what has not begun goes back to tasks of its own, and only the item that runs stays.
//! - *An item that was taken from the input runs, whatever the input does next.* Items share a task only where the input
//!   says that more are there (`size_hint`), which a channel never does.
//! - *Dropping the map cancels what has not begun*, also within a batch.

use super::chunk::{Chunk, ChunkResults, Rest, Results, run_item};
use super::pace::Pace;
use crate::error::TaskError;
use crate::future::Future;
use crate::future::cell::{Cell, Entry};
use crate::future::extra::OfMap;
use crate::sync::Mutex;
use std::sync::Arc;
use std::time::Instant;
use std::vec;

/// What the worker that runs the items shares with the thread that waits for them. One lock an item: uncontended it costs half of
/// a short call, and nothing less lets an item be taken away at any moment.
pub(crate) struct Batch<A, R> {
    parts: Mutex<Parts<A, R>>,
    /// The place in the input of what lies behind the last item.
    end: usize,
}

struct Parts<A, R> {
    left: vec::IntoIter<A>,
    done: Results<R>,
}

impl<A, R> Batch<A, R> {
    /// `first` is the place of the first item in the input.
    pub(crate) fn new(items: Vec<A>, first: usize) -> Self {
        let (done, end) = (Vec::with_capacity(items.len()), first + items.len());
        Batch { parts: Mutex::new(Parts { left: items.into_iter(), done }), end }
    }

    /// Runs what is left, item by item; gives the results that nobody has taken.
    pub(crate) fn run(&self, f: impl Fn(A) -> Result<R, TaskError>, pace: &Pace) -> Results<R> {
        let start = Instant::now();
        let (mut result, mut count) = (None, 0_usize);
        let done = loop {
            let item = {
                let mut parts = self.parts.lock();
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

    /// Takes away what has not begun, with the place of the first in the input.
    pub(crate) fn part(&self) -> (Vec<A>, usize) {
        let left: Vec<A> = std::mem::take(&mut self.parts.lock().left).collect();
        let start = self.end - left.len();
        (left, start)
    }

    /// Takes the results that are there.
    pub(crate) fn take_done(&self) -> Results<R> {
        std::mem::take(&mut self.parts.lock().done)
    }
}

/// The worker's end of a batch. What has not begun goes with it, as the argument of any task does that is refused or
/// cancelled: before anybody sees that the task is over.
pub(crate) struct BatchTask<A, R>(pub(crate) Arc<Batch<A, R>>);

impl<A, R> Drop for BatchTask<A, R> {
    fn drop(&mut self) {
        drop(self.0.part().0);
    }
}

/// A task that these items share; nobody knows of it yet.
pub(super) fn shared<A, R, F>(
    f: &Arc<F>,
    pace: &Arc<Pace>,
    items: Vec<A>,
    first: usize,
) -> (Chunk<A, R>, Entry)
where
    A: Send + 'static,
    R: Send + 'static,
    F: Fn(A) -> Result<R, TaskError> + Send + Sync + 'static,
{
    let (f, pace, len) = (f.clone(), pace.clone(), items.len());
    let batch = Arc::new(Batch::new(items, first));
    let task = BatchTask(batch.clone());
    let [entry, cell] = Cell::entered(
        move || Ok(ChunkResults { results: Rest::many(task.0.run(&*f, &pace)), time: None }),
        OfMap { extra: (), items: first..first + len },
    );
    (Chunk { future: Future::from_cell(cell), len, weight: 0, batch: Some(batch) }, entry.into_entry())
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::{Batch, Pace};

    #[test]
    fn what_was_taken_away_is_not_run() {
        let (batch, pace) = (Batch::new(vec![1, 2, 3, 4], 10), Pace::new());
        let results = batch.run(
            |item| {
                if item == 2 {
                    assert_eq!(batch.part(), (vec![3, 4], 12));
                    assert_eq!(batch.take_done().into_iter().map(Result::unwrap).collect::<Vec<_>>(), [10]);
                }
                Ok(item * 10)
            },
            &pace,
        );
        assert_eq!(results.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [20]);
        assert!(batch.part().0.is_empty() && batch.take_done().is_empty());
    }
}
