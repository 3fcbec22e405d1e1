//! [`MapWith`]: results of a lazy, bounded map.

use super::Deadline;
use super::chunk::{Chunk, ChunkResults, Items, Rest, Results, Span, expand};
use super::indexed::Indexed;
use super::intake::{Intake, Pass, Scales};
use super::options::MapOptions;
use super::remaining::Remaining;
use super::sizes::Sizes;
use super::submit::Submit;
use super::timeout::MapTimeout;
use crate::clock::deadline_after;
use crate::error::{Item, TaskError, TimedOut};
use crate::future::Future;
use crate::future::meter::{Meter, Total};
use crate::id::FutureId;
use crate::wait::{AsCompleted, MOST_BELIEVED};
use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
#[cfg(feature = "stream")]
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Results of a lazy `map_with`. `next` takes input as far as the buffer allows, on the calling thread, and then blocks
/// until a result is there.
///
/// Where the input itself takes long, `next` doesn't wait until the buffer is full: once it has taken an item, and a result is
/// there that can be handed out, it hands that out. At the call as many items are taken as may be in flight at first; where nobody
/// gave a `buffersize`, of an input that takes long only until there is a result. Dropping the iterator cancels what has not begun. Should the
/// input panic, `next` panics with it; no item is lost that the input gave before, and `next` can be called again.
#[must_use = "dropping a map cancels what has not begun"]
pub struct MapWith<'e, I: Iterator, R> {
    input: std::iter::Fuse<I>,
    submit: Box<dyn Submit<I::Item, R> + 'e>,
    sizes: Sizes,
    /// The next chunk, while it is being taken from the input: should the input panic, what it gave stays here and goes
    /// with the next call.
    gathered: Vec<I::Item>,
    /// An item for which there is no room yet.
    ahead: Option<I::Item>,
    /// What the input gave in place of the next item, where it is the results of another map.
    passed: Option<Future<ChunkResults<R>>>,
    /// Tells such an error from an item.
    pass: Option<Pass<I::Item, R>>,
    /// The input took long for what it gave last.
    is_input_slow: bool,
    /// How much may be in flight, and how much is; what the next chunk weighs as far as it is there, and what the chunk that is
    /// being yielded does.
    scales: Option<Scales<I::Item>>,
    weight_in_air: usize,
    weight_gathered: usize,
    weight_yielded: usize,
    /// Where encoded bytes are bounded: how many, and how many there are.
    bytes: Option<(usize, Arc<Total>)>,
    /// How many items were submitted.
    submitted: usize,
    /// Submitted, not yet yielded.
    in_air: usize,
    pending: Pending<I::Item, R>,
    /// How many chunks at the front can't be parted any further.
    parted: usize,
    /// The rest of the chunk that is being yielded.
    results: Rest<R>,
    origin: Origin,
    /// The label of the map's tasks.
    label: Option<Arc<str>>,
}

/// Where the results come from that are being yielded: what an error among them names.
#[derive(Clone, Copy)]
struct Origin {
    task: FutureId,
    /// The place in the input after the last of them.
    end: usize,
    /// The error is the task's, and so each item's of several.
    is_one_of_several: bool,
}

/// What has come that can be handed out.
enum Arrival<R> {
    Chunk(Span, Future<ChunkResults<R>>),
    /// Results of a batch that still runs; they are taken out.
    Parts,
    /// The input has ended, and so has every task.
    Nothing,
}

/// How the wait for the first chunk of an ordered map ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// The chunk is done, or there is none to wait for here.
    Over,
    /// Its batch was parted, and some results of it are taken out.
    Parted,
}

/// The time of a wait is up.
struct OutOfTime;

/// What was submitted and not yet handed out.
enum Pending<A, R> {
    Ordered(Remaining<Chunk<A, R>>),
    Unordered(Unordered<R>),
}

struct Unordered<R>(Option<AsCompleted<(Span, Future<ChunkResults<R>>)>>);

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
    pub(in crate::executor) fn new(
        options: &MapOptions,
        sizes: Sizes,
        input: I,
        intake: Intake<I::Item, R>,
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
            sizes,
            gathered: Vec::new(),
            ahead: None,
            passed: None,
            pass: intake.pass,
            is_input_slow: false,
            scales: intake.scales,
            weight_in_air: 0,
            weight_gathered: 0,
            weight_yielded: 0,
            bytes: options.buffer_bytes.map(|limit| (limit, Arc::default())),
            submitted: 0,
            in_air: 0,
            pending,
            parted: 0,
            results: Rest::many(Vec::new()),
            origin: Origin { task: FutureId::new(), end: 0, is_one_of_several: false },
            label: options.tasks.as_ref().and_then(|tasks| tasks.get_label().cloned()),
        };
        map.fill(options.buffersize.is_some());
        map
    }

    /// As [`Map::timeout`](crate::Map::timeout).
    pub fn timeout(self, timeout: Duration) -> MapTimeout<Self> {
        MapTimeout::new(self, timeout)
    }

    /// Each result with its place in the input, counted from 0: of an [unordered](MapOptions::unordered) map too, and of an item
    /// that failed. (The error alone names the item only if the call panicked, its worker died or its time was over.)
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{MapOptions, prelude::*};
    ///
    /// let pool = ThreadPoolExecutor::new(2);
    /// let numbers = ["1", "two", "3"];
    /// let parsed = pool.try_map_with(MapOptions::new().unordered(), |text: &str| text.parse::<u32>(), numbers);
    /// for (place, result) in parsed.indexed() {
    ///     match result {
    ///         Ok(number) => assert_eq!(number, place as u32 + 1),
    ///         Err(error) => assert_eq!(numbers[place], "two", "{error}"),
    ///     }
    /// }
    /// ```
    pub fn indexed(self) -> Indexed<Self> {
        Indexed(self)
    }

    /// The next result, once there is one: takes input, waits for a chunk, and hands out what is in it.
    fn next_by(&mut self, deadline: Option<Instant>) -> Result<Option<Result<R, TaskError>>, TimedOut<()>> {
        // A batch that was parted before it began has no result.
        while self.results.len() == 0 {
            self.fill(false);
            match self.wait_for_chunk(deadline) {
                Ok(Arrival::Parts) => {}
                Ok(Arrival::Chunk(span, future)) => self.open(span, future),
                Ok(Arrival::Nothing) => return Ok(None),
                Err(OutOfTime) => return Err(TimedOut::many((), self.in_air, self.in_air)),
            }
        }
        Ok(self.next_of_chunk())
    }

    /// As [`next_by`](Self::next_by), without a wait.
    #[cfg(feature = "stream")]
    pub(super) fn poll_result(&mut self, context: &Context<'_>) -> Poll<Option<Result<R, TaskError>>> {
        while self.results.len() == 0 {
            if self.sizes.stop_sharing() && self.part() {
                break;
            }
            self.fill(false);
            let next = match &mut self.pending {
                Pending::Ordered(chunks) => match chunks.0.front() {
                    Some(first) if !first.future.is_done_or_wakes(context.waker()) => return Poll::Pending,
                    _ => self.pop_first(),
                },
                Pending::Unordered(Unordered(None)) => None,
                Pending::Unordered(Unordered(Some(all))) => ready!(all.poll_item(context)),
            };
            let Some((span, future)) = next else { return Poll::Ready(None) };
            self.open(span, future);
        }
        Poll::Ready(self.next_of_chunk())
    }

    /// Takes input while whole chunks may still be in flight; but of an input that takes long no more than until there is a
    /// result to hand out, unless it is `wanted_whole`.
    fn fill(&mut self, wanted_whole: bool) {
        /// Much longer than an input takes that has its items at hand.
        const LONG: Duration = Duration::from_micros(100);
        self.weight_in_air = self.weight_in_air.saturating_sub(std::mem::take(&mut self.weight_yielded));
        let mut start = self.is_input_slow.then(Instant::now);
        let mut has_taken = false;
        while let Some((size, known)) = self.room() {
            // The clock is asked where several chunks are taken at a time, or the input was slow before: not for each item.
            if has_taken && !wanted_whole && self.has_result() {
                self.is_input_slow = start.get_or_insert_with(Instant::now).elapsed() >= LONG;
                if self.is_input_slow {
                    return;
                }
            }
            if !self.take_chunk(size, known) {
                return;
            }
            has_taken = true;
        }
    }

    /// The size of the next chunk, if it may be in flight, and how many items the input says that it has.
    fn room(&mut self) -> Option<(usize, usize)> {
        if self.passed.is_some() {
            return Some((1, 0));
        }
        if self.has_enough_bytes() {
            return None;
        }
        let known = self.input.size_hint().0;
        self.sizes.next(self.in_air, known).map(|size| (size, known))
    }

    /// Takes the next chunk from the input, or the error that comes in the place of one; false if there is none, or no room.
    fn take_chunk(&mut self, size: usize, known: usize) -> bool {
        if let Some(future) = self.passed.take() {
            self.add(Span { start: self.submitted, len: 1, weight: 0 }, Chunk::of(future, 1));
            return true;
        }
        let Some(items) = self.gather(size, known) else { return self.passed.is_some() };
        let weight = std::mem::take(&mut self.weight_gathered);
        let span = Span { start: self.submitted, len: items.len(), weight };
        let meter = self.bytes.as_ref().map(|(_, total)| Meter::new(total));
        let mut chunk = self.submit.submit(items, span.start, meter);
        chunk.weight = weight;
        self.add(span, chunk);
        true
    }

    /// A chunk is in flight from now on.
    fn add(&mut self, span: Span, chunk: Chunk<I::Item, R>) {
        self.submitted += span.len;
        self.in_air += span.len;
        self.weight_in_air = self.weight_in_air.saturating_add(span.weight);
        match &mut self.pending {
            Pending::Ordered(chunks) => chunks.0.push_back(chunk),
            Pending::Unordered(all) => {
                all.0.get_or_insert_default().add((span, chunk.future));
            }
        }
    }

    /// Whether a result can be handed out without a wait.
    fn has_result(&mut self) -> bool {
        match &mut self.pending {
            Pending::Ordered(chunks) => chunks.0.front().is_some_and(|chunk| chunk.future.is_done()),
            Pending::Unordered(all) => all.0.as_mut().is_some_and(AsCompleted::has_next),
        }
    }

    /// Whether the encoded bytes that are in flight are as many as may be; before the first result nobody knows, so no more
    /// items go than without options.
    fn has_enough_bytes(&self) -> bool {
        let Some((limit, total)) = self.bytes.as_ref().filter(|_| self.in_air > 0) else { return false };
        total.under_way() >= *limit || (total.is_blind() && self.in_air >= self.sizes.least)
    }

    /// The next chunk: `size` items, or what is left of the input, or those that there is room for.
    fn gather(&mut self, size: usize, known: usize) -> Option<Items<I::Item>> {
        if size == 1 && self.gathered.is_empty() {
            return self.next_item().map(Items::One);
        }
        while self.gathered.len() < size
            && let Some(item) = self.next_item()
        {
            if self.gathered.capacity() == 0 {
                self.gathered.reserve_exact(size.min(known.saturating_add(1)).min(MOST_BELIEVED));
            }
            self.gathered.push(item);
        }
        let items = std::mem::take(&mut self.gathered);
        (!items.is_empty()).then_some(Items::Many(items))
    }

    /// The next item of the input. None if there is none for now, or an error comes in its place: then that is [`passed`](Self::passed)
    /// on.
    #[inline]
    fn next_item(&mut self) -> Option<I::Item> {
        if self.pass.is_none() && self.scales.is_none() {
            return self.input.next();
        }
        self.next_looked_at()
    }

    fn next_looked_at(&mut self) -> Option<I::Item> {
        let item = self.next_with_room()?;
        let Some(pass) = self.pass else { return Some(item) };
        pass(item).map_err(|passed| self.passed = Some(passed)).ok()
    }

    /// The next item of the input. None if that has ended, or if there is no room for what the item weighs; one always has room.
    fn next_with_room(&mut self) -> Option<I::Item> {
        let Some(scales) = &self.scales else { return self.input.next() };
        if self.ahead.is_none() {
            // Not lost, should the user's function panic.
            self.ahead = self.input.next();
        }
        let weight = (scales.weigh)(self.ahead.as_ref()?);
        let in_air = self.weight_in_air.saturating_add(self.weight_gathered);
        let is_alone = self.in_air == 0 && self.gathered.is_empty();
        if !is_alone && in_air.saturating_add(weight) > scales.limit {
            return None;
        }
        self.weight_gathered = self.weight_gathered.saturating_add(weight);
        self.ahead.take()
    }

    /// Waits for the next chunk that is to be handed out.
    fn wait_for_chunk(&mut self, deadline: Option<Instant>) -> Result<Arrival<R>, OutOfTime> {
        if self.wait_for_first(deadline)? == Wait::Parted {
            return Ok(Arrival::Parts);
        }
        let done = match &mut self.pending {
            Pending::Ordered(_) => self.pop_first(),
            Pending::Unordered(Unordered(None)) => None,
            Pending::Unordered(Unordered(Some(all))) => all.next_until(deadline).map_err(|_| OutOfTime)?,
        };
        Ok(done.map_or(Arrival::Nothing, |(span, future)| Arrival::Chunk(span, future)))
    }

    /// The first chunk of an ordered map.
    fn pop_first(&mut self) -> Option<(Span, Future<ChunkResults<R>>)> {
        let Pending::Ordered(chunks) = &mut self.pending else { return None };
        self.parted = self.parted.saturating_sub(1);
        let span = |len, weight| Span { start: self.origin.end, len, weight };
        chunks.0.pop_front().map(|chunk| (span(chunk.len, chunk.weight), chunk.future))
    }

    /// Waits for the first chunk of an ordered map, at first only until an item that takes long is noticed: then all
    /// batches are parted, and results of the first that are there already are taken.
    fn wait_for_first(&mut self, deadline: Option<Instant>) -> Result<Wait, OutOfTime> {
        /// A thousand times what a batch takes, and longer than a busy machine keeps a worker from running.
        const LONG: Duration = Duration::from_millis(20);
        let Pending::Ordered(chunks) = &self.pending else { return Ok(Wait::Over) };
        let Some(first) = chunks.0.front() else { return Ok(Wait::Over) };
        if first.batch.is_some() && !first.future.is_done() {
            let soon = deadline_after(LONG);
            if deadline.is_none_or(|at| soon.is_some_and(|soon| soon < at))
                && first.future.wait_by(soon).is_err()
                && self.part()
            {
                return Ok(Wait::Parted);
            }
        }
        let Pending::Ordered(chunks) = &self.pending else { return Ok(Wait::Over) };
        let waited = chunks.0.front().map_or(Ok(()), |first| first.future.wait_by(deadline));
        waited.map(|()| Wait::Over).map_err(|()| OutOfTime)
    }

    /// Gives every item that has not begun a task of its own, and takes what is done of the first chunk; true if anything
    /// is. See `batch.rs`.
    fn part(&mut self) -> bool {
        let Pending::Ordered(chunks) = &mut self.pending else { return false };
        self.sizes.forget();
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
        let done = first.batch.as_ref().map_or(Results::new(), |batch| batch.take_done());
        first.len -= done.len();
        let end = self.origin.end + done.len();
        self.origin = Origin { task: first.future.id(), end, is_one_of_several: false };
        self.results = Rest::many(done);
        self.results.len() > 0
    }

    /// Takes the results out of a chunk that is done.
    fn open(&mut self, span: Span, future: Future<ChunkResults<R>>) {
        self.weight_yielded = self.weight_yielded.saturating_add(span.weight);
        let task = future.id();
        let outcome = future.result();
        self.sizes.came_back(span.len, outcome.as_ref().ok().and_then(|chunk| chunk.time));
        let is_one_of_several = outcome.is_err() && span.len > 1;
        self.results = expand(outcome, span.len);
        self.origin = Origin { task, end: span.start + self.results.len(), is_one_of_several };
    }
}

impl<I: Iterator, R> MapWith<'_, I, R> {
    #[inline]
    fn next_of_chunk(&mut self) -> Option<Result<R, TaskError>> {
        let next = self.results.next()?;
        self.in_air -= 1;
        match next {
            Ok(result) => Some(Ok(result)),
            Err(error) => Some(Err(self.placed(error))),
        }
    }

    /// The place in the input of the result that was just taken.
    #[inline]
    pub(super) fn last_place(&self) -> usize {
        self.origin.end - self.results.len() - 1
    }

    /// The error of the result that was just taken, with its place in the input.
    #[cold]
    fn placed(&self, error: TaskError) -> TaskError {
        let (Origin { task, is_one_of_several, .. }, index) = (self.origin, self.last_place());
        error.in_map(task, self.label.as_ref(), Item { index, is_one_of_several })
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
        self.next_by(None).ok().flatten()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (low, high) = self.input.size_hint();
        let one = usize::from(self.ahead.is_some()) + usize::from(self.passed.is_some());
        let taken = self.in_air + self.gathered.len() + one;
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

impl<I: Iterator, R: Send> Deadline for MapWith<'_, I, R> {
    fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<Self::Item>, TimedOut<()>> {
        self.next_by(deadline)
    }

    fn give_up(&mut self) {
        match &mut self.pending {
            Pending::Ordered(chunks) => chunks.give_up(),
            Pending::Unordered(all) => *all = Unordered(None),
        }
        self.in_air = self.results.len();
        self.weight_in_air = self.weight_yielded;
    }
}
