//! The iterators of `map`: [`Map`], eager, and [`MapWith`], lazy and bounded.

use crate::clock::deadline_after;
use crate::contain::{contain, drop_contained};
use crate::error::{Item, Panicked, TaskError, TimedOut};
use crate::future::Future;
use crate::id::FutureId;
use crate::logging;
use crate::wait::{AsCompleted, MOST_BELIEVED, gather};
use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::vec;

use super::batch::{Batch, Pace};
use super::options::MapOptions;

/// Results of an eager `map`, in the order of the input. `next` blocks until the next one is done.
///
/// Everything was submitted by the call, and runs whether anybody iterates or not. An error is one item, never the end.
/// Dropping the iterator cancels what has not begun.
///
/// # Examples
///
/// ```
/// use concurrent_futures::prelude::*;
///
/// let pool = ThreadPoolExecutor::new(2);
/// let lengths: Vec<usize> = pool.map(|word: &str| word.len(), ["to", "map"]).collect::<Result<_, _>>()?;
/// assert_eq!(lengths, [2, 3]);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
#[must_use = "dropping a map cancels what has not begun"]
pub struct Map<R> {
    futures: Remaining<Future<R>>,
    /// How many results were taken: the place in the input of the next one.
    taken: usize,
}

impl<R> Map<R> {
    pub(crate) fn new(futures: impl IntoIterator<Item = Future<R>>) -> Self {
        Map { futures: Remaining(gather(futures).into()), taken: 0 }
    }

    /// A time limit for the whole iteration, from this call: one `Err` at the deadline, then the end, and what has not
    /// begun is cancelled. Results that are there are handed out even after it.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPoolExecutor::new(1);
    /// let nap = |ms| std::thread::sleep(Duration::from_millis(ms));
    /// let mut naps = pool.map(nap, [0, 50, 50]).timeout(Duration::from_millis(20));
    /// assert!(matches!(naps.next(), Some(Ok(Ok(())))));
    /// assert!(matches!(naps.next(), Some(Err(_))));
    /// assert!(naps.next().is_none());
    /// ```
    pub fn timeout(self, timeout: Duration) -> MapTimeout<Self> {
        MapTimeout::new(self, timeout)
    }
}

impl<R> Iterator for Map<R> {
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        let future = self.futures.0.pop_front()?;
        let (index, task) = (self.taken, future.id());
        self.taken += 1;
        Some(
            future
                .result()
                .map_err(|error| error.in_map(task, None, Item { index, is_one_of_several: false })),
        )
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.futures.0.len(), Some(self.futures.0.len()))
    }
}

impl<R> ExactSizeIterator for Map<R> {}
impl<R> FusedIterator for Map<R> {}

impl<R> fmt::Debug for Map<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("left", &self.len()).finish_non_exhaustive()
    }
}

/// Futures that are cancelled when they are no longer wanted.
struct Remaining<F: Cancel>(VecDeque<F>);

trait Cancel {
    fn cancel(&self);
}

impl<T> Cancel for Future<T> {
    fn cancel(&self) {
        Future::cancel(self);
    }
}

impl<A, R> Cancel for Chunk<A, R> {
    fn cancel(&self) {
        self.future.cancel();
        if let Some(batch) = &self.batch
            && let Err(panic) = drop_contained(batch.part())
        {
            logging::error(format_args!("a drop panicked in what a map left behind: {}", panic.message()));
        }
    }
}

impl<F: Cancel> Remaining<F> {
    fn give_up(&mut self) {
        self.0.iter().for_each(F::cancel);
        self.0.clear();
    }
}

impl<F: Cancel> Drop for Remaining<F> {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Results of a lazy `map_with`. `next` takes input as far as the buffer allows, on the calling thread, and then blocks
/// until a result is there.
///
/// At the call as many items are taken as may be in the air. Dropping the iterator cancels what has not begun. Should the
/// input panic, `next` panics with it; no item is lost that the input gave before, and `next` can be called again.
#[must_use = "dropping a map cancels what has not begun"]
pub struct MapWith<'e, I: Iterator, R> {
    input: std::iter::Fuse<I>,
    submit: Box<dyn Submit<I::Item, R> + 'e>,
    chunks: Chunks,
    /// The next chunk, while it is being taken from the input: should the input panic, what it gave stays here and goes
    /// with the next call.
    gathered: Vec<I::Item>,
    /// How many items were submitted.
    submitted: usize,
    /// Submitted, not yet yielded.
    in_air: usize,
    pending: Pending<I::Item, R>,
    /// How many chunks at the front can't be parted any further.
    parted: usize,
    /// The rest of the chunk that is being yielded.
    results: vec::IntoIter<Result<R, TaskError>>,
    origin: Origin,
    /// The label of the map's tasks.
    label: Option<Arc<str>>,
}

/// Where the results come from that are being yielded: what an error among them names.
struct Origin {
    task: FutureId,
    /// The place in the input after the last of them.
    end: usize,
    /// The error is the task's, and so each item's of several.
    is_one_of_several: bool,
}

/// The way of a map's items to its executor.
pub(crate) trait Submit<A, R>: Send {
    /// Hands items to the executor, as one task.
    fn submit(&mut self, items: Vec<A>) -> Chunk<A, R>;

    /// Gives each item of the batch that has not begun a task of its own. The executor has accepted them with the batch,
    /// so they run or resolve as the batch itself would.
    fn part(&mut self, _: &Batch<A, R>) -> Vec<Chunk<A, R>> {
        Vec::new()
    }
}

impl<A, R, F: FnMut(Vec<A>) -> Chunk<A, R> + Send> Submit<A, R> for F {
    fn submit(&mut self, items: Vec<A>) -> Chunk<A, R> {
        self(items)
    }
}

/// What the results of one chunk are called.
pub(crate) type ChunkResults<R> = Vec<Result<R, TaskError>>;

/// One task's worth of items.
pub(crate) struct Chunk<A, R> {
    pub(crate) future: Future<ChunkResults<R>>,
    pub(crate) len: usize,
    /// Where items share a task that can be parted again.
    pub(crate) batch: Option<Arc<Batch<A, R>>>,
}

/// How many items make a chunk, and how many may be in the air.
struct Chunks {
    size: usize,
    /// Where the size follows from how long items take.
    pace: Option<Arc<Pace>>,
    buffersize: usize,
    /// How many chunks are to be in the air at least, however large they grow.
    least: usize,
}

impl Chunks {
    fn new(options: &MapOptions, workers: usize, pace: Option<Arc<Pace>>) -> Self {
        // A few chunks a worker: enough that nobody waits for the consumer, few enough that memory stays small.
        const PER_WORKER: usize = 4;
        // An executor that says it has no workers can't tell how many it has.
        let least = workers.max(1).saturating_mul(PER_WORKER);
        let size = options.chunksize.unwrap_or(1);
        let buffersize = options.buffersize.unwrap_or_else(|| least.saturating_mul(size));
        Chunks { size: size.min(buffersize), pace, buffersize, least }
    }

    /// The size of the next chunk, if it may go into the air beside so many items; so many more are known to come.
    fn next(&mut self, in_air: usize, known: usize) -> Option<usize> {
        let size = self.pace.as_ref().map_or(self.size, |pace| {
            pace.next_size(self.size).min(self.buffersize / self.least).min(known).max(1)
        });
        if self.buffersize - in_air < size {
            return None;
        }
        self.size = size;
        Some(size)
    }
}

enum Pending<A, R> {
    Ordered(Remaining<Chunk<A, R>>),
    Unordered(Unordered<R>),
}

struct Unordered<R>(Option<AsCompleted<(Span, Future<ChunkResults<R>>)>>);

/// Which items of the input a chunk has.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    len: usize,
}

impl<R> Drop for Unordered<R> {
    fn drop(&mut self) {
        if let Some(all) = self.0.take() {
            for (_, future) in all.into_remaining() {
                future.cancel();
            }
        }
    }
}

impl<'e, I: Iterator, R: Send> MapWith<'e, I, R> {
    /// With a `pace`, `submit` makes batches, and the pace is that of their items.
    pub(crate) fn new(
        options: &MapOptions,
        workers: usize,
        pace: Option<Arc<Pace>>,
        input: I,
        submit: Box<dyn Submit<I::Item, R> + 'e>,
    ) -> Self {
        let pending = if options.unordered {
            Pending::Unordered(Unordered(Some(AsCompleted::new())))
        } else {
            Pending::Ordered(Remaining(VecDeque::new()))
        };
        let mut map = MapWith {
            input: input.fuse(),
            submit,
            chunks: Chunks::new(options, workers, pace),
            gathered: Vec::new(),
            submitted: 0,
            in_air: 0,
            pending,
            parted: 0,
            results: Vec::new().into_iter(),
            origin: Origin { task: FutureId::new(), end: 0, is_one_of_several: false },
            label: options.tasks.as_ref().and_then(|tasks| tasks.get_label().cloned()),
        };
        map.fill();
        map
    }

    /// As [`Map::timeout`].
    pub fn timeout(self, timeout: Duration) -> MapTimeout<Self> {
        MapTimeout::new(self, timeout)
    }

    /// Takes input while whole chunks may still go into the air.
    fn fill(&mut self) {
        loop {
            let known = self.input.size_hint().0;
            let Some(size) = self.chunks.next(self.in_air, known) else { return };
            let items = self.gather(size, known);
            if items.is_empty() {
                return;
            }
            let span = Span { start: self.submitted, len: items.len() };
            self.submitted += items.len();
            self.in_air += items.len();
            let chunk = self.submit.submit(items);
            match &mut self.pending {
                Pending::Ordered(chunks) => chunks.0.push_back(chunk),
                Pending::Unordered(all) => {
                    all.0.get_or_insert_default().add((span, chunk.future));
                }
            }
        }
    }

    /// The next chunk: `size` items, or what is left of the input.
    fn gather(&mut self, size: usize, known: usize) -> Vec<I::Item> {
        while self.gathered.len() < size
            && let Some(item) = self.input.next()
        {
            if self.gathered.capacity() == 0 {
                self.gathered.reserve_exact(size.min(known.saturating_add(1)).min(MOST_BELIEVED));
            }
            self.gathered.push(item);
        }
        std::mem::take(&mut self.gathered)
    }

    /// Waits for the first chunk, for so long at a time that an item which takes long is noticed. Where it is, some of the
    /// results may be there already.
    fn wait_for_first(&mut self, deadline: Option<Instant>) -> Result<(), ()> {
        /// A thousand times what a batch takes, and longer than a busy machine keeps a worker from running.
        const LONG: Duration = Duration::from_millis(20);
        let Pending::Ordered(chunks) = &self.pending else { return Ok(()) };
        let Some(first) = chunks.0.front() else { return Ok(()) };
        if first.batch.is_some() && !first.future.is_done() {
            let soon = deadline_after(LONG);
            if deadline.is_none_or(|at| soon.is_some_and(|soon| soon < at))
                && first.future.wait_by(soon).is_err()
                && self.part()
            {
                return Ok(());
            }
        }
        let Pending::Ordered(chunks) = &self.pending else { return Ok(()) };
        chunks.0.front().map_or(Ok(()), |first| first.future.wait_by(deadline))
    }

    /// Gives every item that has not begun a task of its own, and takes what is done of the first chunk; true if anything
    /// is. See `batch.rs`.
    fn part(&mut self) -> bool {
        let Pending::Ordered(chunks) = &mut self.pending else { return false };
        if let Some(pace) = &self.chunks.pace {
            pace.forget();
        }
        for mut chunk in chunks.0.split_off(self.parted.min(chunks.0.len())) {
            let rest = match &chunk.batch {
                // One that is done has run, or was refused or cancelled whole.
                Some(batch) if chunk.len > 1 && !chunk.future.is_done() => self.submit.part(batch),
                _ => Vec::new(),
            };
            chunk.len -= rest.len();
            chunks.0.push_back(chunk);
            chunks.0.extend(rest);
        }
        self.parted = chunks.0.len();
        let Some(first) = chunks.0.front_mut() else { return false };
        let done = first.batch.as_ref().map_or(Vec::new(), |batch| batch.take_done());
        first.len -= done.len();
        let end = self.origin.end + done.len();
        self.origin = Origin { task: first.future.id(), end, is_one_of_several: false };
        self.results = done.into_iter();
        self.results.len() > 0
    }
}

impl<I: Iterator, R> MapWith<'_, I, R> {
    #[inline]
    fn next_of_chunk(&mut self) -> Option<Result<R, TaskError>> {
        let next = self.results.next()?;
        self.in_air -= 1;
        Some(next.map_err(|error| {
            let Origin { task, end, is_one_of_several } = self.origin;
            error.in_map(
                task,
                self.label.as_ref(),
                Item { index: end - self.results.len() - 1, is_one_of_several },
            )
        }))
    }
}

impl<I: Iterator, R: Send> Iterator for MapWith<'_, I, R> {
    type Item = Result<R, TaskError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(next) = self.next_of_chunk() {
            return Some(next);
        }
        // Without a deadline no wait runs out.
        Deadline::next_until(self, None).ok().flatten()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (low, high) = self.input.size_hint();
        let taken = self.in_air + self.gathered.len();
        (low.saturating_add(taken), high.and_then(|high| high.checked_add(taken)))
    }
}

impl<I: ExactSizeIterator, R: Send> ExactSizeIterator for MapWith<'_, I, R> {}
impl<I: Iterator, R: Send> FusedIterator for MapWith<'_, I, R> {}

impl<I: Iterator, R> fmt::Debug for MapWith<'_, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapWith").field("in_air", &self.in_air).finish_non_exhaustive()
    }
}

/// The results of a chunk; an error of the whole task is the error of each of its items.
fn expand<R>(outcome: Result<ChunkResults<R>, TaskError>, len: usize) -> ChunkResults<R> {
    match outcome {
        Ok(results) => results,
        Err(error) => (0..len).map(|_| Err(error.clone())).collect(),
    }
}

/// Runs the items of one chunk, one after the other. A panic ends one item, not the chunk.
pub(crate) fn run_chunk<A, R>(items: Vec<A>, f: impl Fn(A) -> Result<R, TaskError>) -> ChunkResults<R> {
    items.into_iter().map(|item| run_item(item, &f)).collect()
}

pub(crate) fn run_item<A, R>(item: A, f: impl Fn(A) -> Result<R, TaskError>) -> Result<R, TaskError> {
    contain(|| f(item)).unwrap_or_else(|panic| Err(TaskError::Panicked(Panicked::caught(panic))))
}

/// A map with a time limit: one `Err` at the deadline, then the end. See [`Map::timeout`].
#[derive(Debug)]
#[must_use = "dropping a map cancels what has not begun"]
pub struct MapTimeout<M> {
    inner: M,
    deadline: Option<Instant>,
    over: bool,
}

impl<M> MapTimeout<M> {
    fn new(inner: M, timeout: Duration) -> Self {
        MapTimeout { inner, deadline: deadline_after(timeout), over: false }
    }
}

impl<M: Deadline> Iterator for MapTimeout<M> {
    type Item = Result<M::Item, TimedOut<()>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        match self.inner.next_until(self.deadline) {
            Ok(next) => next.map(Ok),
            Err(timed_out) => {
                self.over = true;
                self.inner.give_up();
                Some(Err(timed_out))
            }
        }
    }
}

impl<M: Deadline> FusedIterator for MapTimeout<M> {}

/// A map that can wait with a limit. Sealed: public in a bound only.
pub trait Deadline: Iterator {
    #[doc(hidden)]
    fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<Self::Item>, TimedOut<()>>;

    #[doc(hidden)]
    fn give_up(&mut self);
}

impl<R> Deadline for Map<R> {
    fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<Self::Item>, TimedOut<()>> {
        let total = self.len();
        let Some(future) = self.futures.0.front() else { return Ok(None) };
        future.wait_by(deadline).map_err(|_| TimedOut::many((), total, total))?;
        Ok(self.next())
    }

    fn give_up(&mut self) {
        self.futures.give_up();
    }
}

impl<I: Iterator, R: Send> Deadline for MapWith<'_, I, R> {
    fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<Self::Item>, TimedOut<()>> {
        // A batch that was parted before it began has no result.
        while self.results.len() == 0 {
            self.fill();
            let in_air = self.in_air;
            let timed_out = || TimedOut::many((), in_air, in_air);
            self.wait_for_first(deadline).map_err(|()| timed_out())?;
            if self.results.len() > 0 {
                break;
            }
            let done = match &mut self.pending {
                Pending::Ordered(chunks) => {
                    self.parted = self.parted.saturating_sub(1);
                    let span = |len| Span { start: self.origin.end, len };
                    chunks.0.pop_front().map(|chunk| (span(chunk.len), chunk.future))
                }
                Pending::Unordered(all) => {
                    let Some(all) = &mut all.0 else { return Ok(None) };
                    all.next_until(deadline).map_err(|_| timed_out())?
                }
            };
            let Some((Span { start, len }, future)) = done else { return Ok(None) };
            let task = future.id();
            let outcome = future.result();
            let is_one_of_several = outcome.is_err() && len > 1;
            self.results = expand(outcome, len).into_iter();
            self.origin = Origin { task, end: start + self.results.len(), is_one_of_several };
        }
        Ok(self.next_of_chunk())
    }

    fn give_up(&mut self) {
        match &mut self.pending {
            Pending::Ordered(chunks) => chunks.give_up(),
            Pending::Unordered(all) => *all = Unordered(None),
        }
        self.in_air = self.results.len();
    }
}
