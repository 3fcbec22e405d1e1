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

use super::chunk::{Chunk, ChunkResults, Rest, Results};
use super::pace::Pace;
use crate::contain::contain;
use crate::error::{Panicked, TaskError};
use crate::future::Future;
use crate::future::cell::{Cell, Entry};
use crate::future::extra::OfMap;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, UnsafeCell};
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Instant;

/// What may be there or not; the tables of [`Batch`] say when, and whose it is.
type Place<T> = UnsafeCell<MaybeUninit<T>>;

/// What the worker that runs the items ([`BatchTask`]) shares with the thread that waits for them.
///
/// | a place of `items` | whose it is |
/// |---|---|
/// | at `next` or after it | nobody's; the item is there |
/// | before it | the one whose change of `next` went past it, who takes the item out: one to run it, all to part the batch |
///
/// | a place of `results` | whose it is |
/// |---|---|
/// | at `done` or after it | the task's |
/// | before it | the thread that holds the lock of `taken` |
///
/// So an item can be taken away at any moment until it begins, and a short call pays for one addition.
pub(crate) struct Batch<A, R> {
    items: Box<[Place<A>]>,
    /// Empty once the task has taken them as they lie.
    results: UnsafeCell<Vec<Place<Result<R, TaskError>>>>,
    /// The first item that nobody has begun or taken away; one after another that the task looks for may be past the end.
    next: AtomicUsize,
    /// How many results are there or were.
    done: AtomicUsize,
    /// How many of those were taken.
    taken: Mutex<usize>,
    /// The place of the first item in the input.
    first: usize,
}

// SAFETY: each place is one thread's at a time, by the tables above. Items and results go from one thread to another, for which they
// must be `Send`; several never look at one at the same time.
unsafe impl<A: Send, R: Send> Sync for Batch<A, R> {}

impl<A, R> Batch<A, R> {
    /// The batch, and the one who may run it. `first` is the place of the first item in the input.
    pub(crate) fn new(items: Vec<A>, first: usize) -> (Arc<Self>, BatchTask<A, R>) {
        let results = items.iter().map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
        let batch = Arc::new(Batch {
            items: items.into_iter().map(|item| UnsafeCell::new(MaybeUninit::new(item))).collect(),
            results: UnsafeCell::new(results),
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            taken: Mutex::new(0),
            first,
        });
        (batch.clone(), BatchTask(batch))
    }

    /// Takes away what has not begun, with the place of the first in the input.
    pub(crate) fn part(&self) -> (Vec<A>, usize) {
        let len = self.items.len();
        // ORDERING: as in `begin`. Whoever parts the batch has made it or has its task.
        let from = self.next.swap(len, Ordering::Relaxed).min(len);
        // SAFETY: this swap went past them.
        let items = (from..len).map(|at| unsafe { self.take_item(at) }).collect();
        (items, self.first + from)
    }

    /// Takes the results that are there.
    pub(crate) fn take_done(&self) -> Results<R> {
        let mut taken = self.taken.lock();
        // ORDERING: Acquire pairs with the Release of `finish`: the results before it are there.
        let done = self.done.load(Ordering::Acquire);
        let from = std::mem::replace(&mut *taken, done);
        self.results.with(|results| {
            // SAFETY: nobody takes the slice meanwhile: that is done under the lock.
            let results = unsafe { &*results };
            let places = if from == done { &[] } else { &results[from..done] };
            // SAFETY: before `done`, taken once, and the lock is held.
            places
                .iter()
                .map(|place| place.with(|place| unsafe { place.cast::<Result<R, TaskError>>().read() }))
                .collect()
        })
    }

    /// The same for the task, once no item is left: where nobody took any, all of them as they lie.
    fn take_rest(&self) -> Results<R> {
        let mut taken = self.taken.lock();
        if *taken > 0 {
            drop(taken);
            return self.take_done();
        }
        // ORDERING: Relaxed. This is the thread that stores it.
        *taken = self.done.load(Ordering::Relaxed);
        // SAFETY: the task puts in no more, and others come here under the lock.
        let results = self.results.with_mut(|results| std::mem::take(unsafe { &mut *results }));
        // SAFETY: before `done`, and nobody has taken one.
        results.into_iter().take(*taken).map(|place| unsafe { place.into_inner().assume_init() }).collect()
    }

    /// The place of the next item, which is the caller's from then on.
    fn begin(&self) -> Option<usize> {
        // ORDERING: Relaxed. The order of the changes of this one number says who has which item; the items themselves were there
        // before the task, and came with it.
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        (at < self.items.len()).then_some(at)
    }

    /// Moves an item out.
    ///
    /// # Safety
    ///
    /// The caller's change of `next` went past it, and the caller takes it once.
    unsafe fn take_item(&self, at: usize) -> A {
        self.items[at].with_mut(|place| {
            // SAFETY: the caller's.
            let place = unsafe { &*place };
            // SAFETY: it was there from the beginning, and is taken once.
            unsafe { place.assume_init_read() }
        })
    }

    /// Puts the next result into its place, which has none.
    ///
    /// # Safety
    ///
    /// The caller is the task, and has done so for all before `at`.
    unsafe fn finish(&self, at: usize, result: Result<R, TaskError>) {
        self.results.with(|results| {
            // SAFETY: the task alone takes the slice, later.
            let results = unsafe { &*results };
            // SAFETY: the task's, at `done`; there is nothing yet.
            results[at].with_mut(|place| unsafe { place.write(MaybeUninit::new(result)) });
        });
        // ORDERING: Release publishes the result, to the Acquire in `take_done`.
        self.done.store(at + 1, Ordering::Release);
    }
}

/// The worker's end of a batch: there is one. What has not begun goes with it, as the argument of any task does that is refused or
/// cancelled: before anybody sees that the task is over.
pub(crate) struct BatchTask<A, R>(Arc<Batch<A, R>>);

impl<A, R> BatchTask<A, R> {
    /// Runs what is left, item by item; gives the results that nobody has taken. A panic ends one item, not the batch.
    pub(crate) fn run(&mut self, f: impl Fn(A) -> Result<R, TaskError>, pace: &Pace) -> Results<R> {
        let start = Instant::now();
        let batch = &*self.0;
        let (mut running, mut count) = (0, 0_usize);
        // A panic is caught outside the loop, which is entered anew then: most batches set this up once.
        while let Err(panic) = contain(|| {
            while let Some(at) = batch.begin() {
                running = at;
                // SAFETY: `begin` gave it to us.
                let result = f(unsafe { batch.take_item(at) });
                // SAFETY: this is the task, and items begin in their order.
                unsafe { batch.finish(at, result) };
                count += 1;
            }
        }) {
            // SAFETY: the same; the one that panicked has no result yet.
            unsafe { batch.finish(running, Err(TaskError::Panicked(Panicked::caught(panic)))) };
            count += 1;
        }
        pace.note(start.elapsed(), count);
        batch.take_rest()
    }
}

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
    let (batch, mut task) = Batch::new(items, first);
    let [entry, cell] = Cell::entered(
        move || Ok(ChunkResults { results: Rest::many(task.run(&*f, &pace)), time: None }),
        OfMap { extra: (), items: first..first + len },
    );
    (Chunk { future: Future::from_cell(cell), len, weight: 0, batch: Some(batch) }, entry.into_entry())
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::{Batch, Pace};
    use std::cell::Cell;
    use std::sync::Arc;

    #[test]
    fn what_was_taken_away_is_not_run() {
        let ((batch, mut task), pace) = (Batch::new(vec![1, 2, 3, 4], 10), Pace::new());
        let results = task.run(
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

    #[test]
    fn a_panic_is_one_result() {
        let (batch, mut task) = Batch::new((0..10).collect(), 0);
        let results = task.run(|item| if item % 3 == 0 { panic!("{item}") } else { Ok(item) }, &Pace::new());
        let failed: Vec<_> = results.iter().map(Result::is_err).collect();
        assert_eq!(failed, (0..10).map(|item| item % 3 == 0).collect::<Vec<_>>());
        drop(task);
        assert!(batch.part().0.is_empty() && batch.take_done().is_empty());
    }

    /// Items that run, items that are taken away, and those that go with the task: each goes once, and so does each result.
    #[test]
    fn every_item_and_every_result_goes_once() {
        let counted = Arc::new(());
        for parted_at in 0..5 {
            let (batch, mut task) = Batch::new(vec![counted.clone(); 4], 0);
            let begun = Cell::new(0);
            let run = |item| {
                begun.set(begun.get() + 1);
                if begun.get() == parted_at {
                    assert_eq!(batch.part().0.len(), 4 - parted_at);
                }
                Ok(item)
            };
            let results = if parted_at > 0 { task.run(run, &Pace::new()) } else { Vec::new() };
            assert_eq!(results.len(), parted_at);
            drop((task, batch, results));
            assert_eq!(Arc::strong_count(&counted), 1);
        }
    }
}
