//! [`as_completed`]: futures one by one, as they finish.

use super::{MOST_BELIEVED, Waitable};
use crate::clock::deadline_after;
use crate::error::TimedOut;
use crate::future::home::HomeId;
use crate::future::hub::{Hub, Key, Keys};
use crate::future::state::Phase;
use crate::future::waiting::{self, Ending, Wait, Watched};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Iterates over `items` in the order in which they complete, and yields exactly what it was given: `(key, future)`
/// pairs come back as pairs. Those done already come first. Registration is at the call; each completion costs the same
/// however many wait.
///
/// Differs from Python: the clock of [`timeout`](AsCompleted::timeout) runs from its call; an item given twice comes
/// twice; and more can be fed in while it runs.
///
/// # Examples
///
/// ```
/// use concurrent_futures::prelude::*;
///
/// let pool = ThreadPoolExecutor::new(2);
/// for (day, future) in as_completed((1..=3).map(|day| (day, pool.submit(|d| d * 100, day)))) {
///     assert_eq!(future.result()?, day * 100);
/// }
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
pub fn as_completed<I>(items: I) -> AsCompleted<I::Item>
where
    I: IntoIterator,
    I::Item: Waitable,
{
    let mut all = AsCompleted::new();
    all.extend(items);
    all
}

/// The iterator of [`as_completed`]; see there. `next` blocks until one more is done.
///
/// Feed it while it runs with `while let`, since a `for` loop borrows it:
///
/// ```
/// use concurrent_futures::prelude::*;
///
/// let pool = ThreadPoolExecutor::new(2);
/// let mut pages = as_completed([(1, pool.submit(|page| page + 1, 1))]);
/// let mut last = 0;
/// while let Some((page, future)) = pages.next() {
///     last = page;
///     let next = future.result()?;
///     if next <= 3 {
///         pages.add((next, pool.submit(|page| page + 1, next)));
///     }
/// }
/// assert_eq!(last, 3);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
///
/// Dropped early it cancels nothing; each future that is not done keeps one dead entry of a few words until it is done
/// or watched again.
#[must_use = "iterators do nothing unless they are advanced"]
pub struct AsCompleted<W> {
    // No `Drop` here: futures borrowed by the items must be movable after the last use. `Keys` has it.
    completed: Keys,
    slots: Vec<Slot<W>>,
    /// Slots whose item was yielded, to be used again.
    free: Vec<Key>,
    /// Known to be done, not yet yielded.
    ready: VecDeque<Key>,
    left: usize,
    total: usize,
    /// Slots that no worker's wait has offered to its pool yet.
    fresh: Vec<Key>,
    /// The pool whose tasks were found among the items, and how many fresh ones were looked at for it.
    concerns: Option<HomeId>,
    looked_at: (Option<HomeId>, usize),
    /// Where a worker found an item last that doesn't wait for that worker.
    may_come: usize,
    #[cfg(feature = "stream")]
    pub(super) listening: super::stream::Listening,
}

struct Slot<W> {
    item: Option<W>,
    offered: bool,
}

impl<W: Waitable> AsCompleted<W> {
    /// An empty one, to be fed.
    pub fn new() -> Self {
        AsCompleted {
            completed: Keys::new(),
            slots: Vec::new(),
            free: Vec::new(),
            ready: VecDeque::new(),
            left: 0,
            total: 0,
            fresh: Vec::new(),
            concerns: None,
            looked_at: (None, 0),
            may_come: 0,
            #[cfg(feature = "stream")]
            listening: super::stream::Listening::default(),
        }
    }

    /// Adds one more to be yielded.
    pub fn add(&mut self, item: W) {
        let slot = Slot { item: Some(item), offered: false };
        let key = match self.free.pop() {
            Some(key) => {
                self.slots[key as usize] = slot;
                key
            }
            None => {
                self.slots.push(slot);
                Key::try_from(self.slots.len() - 1).expect("fewer than 2^32 futures at a time")
            }
        };
        let watch = self.item(key).watch();
        if !watch.0.cell().watch(self.completed.hub(), key) {
            self.ready.push_back(key);
        }
        // Counted once it is watched: `watch` is the user's, and what it panicked for is never waited for.
        (self.left, self.total) = (self.left + 1, self.total + 1);
        self.note_fresh(key);
        #[cfg(feature = "stream")]
        {
            self.listening.note_added(key);
            self.listening.sweep(|key| self.slots[key as usize].item.is_some(), self.left);
        }
    }

    /// The next one, waiting no longer than `timeout` for it. Blocks the thread. `Ok(None)` when none are left.
    ///
    /// # Errors
    ///
    /// [`TimedOut`], with how many are unfinished; ask again to go on waiting.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    /// use std::time::Duration;
    ///
    /// let (promise, future) = concurrent_futures::promise();
    /// let mut futures = as_completed([future]);
    /// assert!(futures.next_timeout(Duration::from_millis(1)).is_err());
    /// promise.set_result(1);
    /// assert!(futures.next_timeout(Duration::from_secs(60))?.is_some());
    /// # Ok::<(), concurrent_futures::TimedOut<()>>(())
    /// ```
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<W>, TimedOut<()>> {
        self.next_until(deadline_after(timeout))
    }

    /// A time limit for the whole iteration, from this call: one `Err` when it is over, then the end. What is done by
    /// then is handed out first.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    /// use std::time::Duration;
    ///
    /// let (_promise, future) = concurrent_futures::promise::<u32>();
    /// let mut futures = as_completed([future]).timeout(Duration::from_millis(1));
    /// assert!(futures.next().unwrap().is_err());
    /// assert!(futures.next().is_none());
    /// ```
    pub fn timeout(self, timeout: Duration) -> AsCompletedTimeout<W> {
        AsCompletedTimeout { inner: self, deadline: deadline_after(timeout), over: false }
    }

    pub(crate) fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<W>, TimedOut<()>> {
        while self.left > 0 {
            match waiting::wait(&mut Next { all: self }, deadline) {
                Ending::Done => {
                    if let Some(item) = self.hand_out_ready() {
                        return Ok(Some(item));
                    }
                }
                Ending::TimedOut => return Err(TimedOut::many((), self.left, self.total)),
                // Nothing else can come. Nothing is lost by it: each is handed out, and a request for its result says why there
                // is none. Its key is not used again, for it may still come.
                Ending::Never => {
                    let key = self.slots.iter().position(|slot| slot.item.is_some());
                    return Ok(key.map(|key| self.hand_out(key as Key)));
                }
            }
        }
        Ok(None)
    }

    /// The first of those that are known to be done, if it was not handed out before that was known.
    pub(super) fn hand_out_ready(&mut self) -> Option<W> {
        let key = self.ready.pop_front().filter(|key| self.slots[*key as usize].item.is_some())?;
        self.free.push(key);
        Some(self.hand_out(key))
    }

    /// Whether [`next_until`](Self::next_until) would not wait.
    pub(crate) fn has_next(&mut self) -> bool {
        self.left > 0 && Next { all: self }.is_done()
    }

    pub(super) fn hand_out(&mut self, key: Key) -> W {
        let item = self.slots[key as usize].item.take().expect("each key comes once");
        self.left -= 1;
        // To be handed a failed future counts as having seen the failure.
        let header = item.watch().0.cell().header();
        if header.word.load().phase() == Phase::Failed {
            header.word.mark_seen();
        }
        item
    }

    fn note_fresh(&mut self, key: Key) {
        self.fresh.push(key);
        // Outside a worker nobody ever offers, so a stream that is fed for ever would note for ever.
        if self.fresh.len() > 64 && self.fresh.len() / 2 > self.left {
            self.fresh.clear();
            self.looked_at = (None, 0);
            let live = self.slots.iter().enumerate().filter(|(_, slot)| slot.item.is_some() && !slot.offered);
            self.fresh.extend(live.map(|(key, _)| key as Key));
        }
    }

    fn item(&self, key: Key) -> &W {
        self.slots[key as usize].item.as_ref().expect("not yielded yet")
    }
}

impl<W> AsCompleted<W> {
    /// All that was not yielded, in no particular order, without waiting.
    pub fn into_remaining(self) -> impl Iterator<Item = W> {
        self.slots.into_iter().filter_map(|slot| slot.item)
    }
}

#[cfg(feature = "stream")]
impl<W> AsCompleted<W> {
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// The places where an item may be.
    pub(super) fn keys(&self) -> std::ops::Range<Key> {
        0..self.slots.len() as Key
    }

    /// The item there, if it was not yielded.
    pub(super) fn item_if_any(&self, key: Key) -> Option<&W> {
        self.slots[key as usize].item.as_ref()
    }
}

impl<W: Waitable> Iterator for AsCompleted<W> {
    type Item = W;

    fn next(&mut self) -> Option<W> {
        self.next_until(None).ok().flatten()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<W: Waitable> ExactSizeIterator for AsCompleted<W> {}

impl<W: Waitable> Extend<W> for AsCompleted<W> {
    fn extend<I: IntoIterator<Item = W>>(&mut self, items: I) {
        let items = items.into_iter();
        let more = items.size_hint().0.min(MOST_BELIEVED).saturating_sub(self.free.len());
        self.slots.reserve(more);
        self.fresh.reserve(more);
        items.for_each(|item| self.add(item));
    }
}

impl<W: Waitable> Default for AsCompleted<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W> fmt::Debug for AsCompleted<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("left", &self.left)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// The iterator of [`AsCompleted::timeout`].
#[derive(Debug)]
#[must_use = "iterators do nothing unless they are advanced"]
pub struct AsCompletedTimeout<W> {
    inner: AsCompleted<W>,
    deadline: Option<Instant>,
    over: bool,
}

impl<W> AsCompletedTimeout<W> {
    /// All that was not yielded, in no particular order, without waiting.
    pub fn into_remaining(self) -> impl Iterator<Item = W> {
        self.inner.into_remaining()
    }
}

impl<W: Waitable> Iterator for AsCompletedTimeout<W> {
    type Item = Result<W, TimedOut<()>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.inner.next_until(self.deadline);
        self.over = next.is_err();
        next.transpose()
    }
}

/// The wait for the next one.
struct Next<'a, W> {
    all: &'a mut AsCompleted<W>,
}

impl<W: Waitable> Wait for Next<'_, W> {
    fn is_done(&mut self) -> bool {
        if self.all.ready.is_empty() {
            self.all.completed.take(&mut self.all.ready);
        }
        !self.all.ready.is_empty()
    }

    fn needs_all(&self) -> bool {
        false
    }

    fn concerns(&mut self, home: HomeId) -> bool {
        // Each item is looked at once per pool, not once per `next`.
        if self.all.concerns == Some(home) {
            return true;
        }
        let from = if self.all.looked_at.0 == Some(home) { self.all.looked_at.1 } else { 0 };
        let found = self.all.fresh[from..].iter().any(|&key| {
            let item = self.all.slots[key as usize].item.as_ref();
            item.is_some_and(|item| item.watch().0.cell().header().home.is(home))
        });
        if found {
            self.all.concerns = Some(home);
        }
        self.all.looked_at = (Some(home), self.all.fresh.len());
        found
    }

    fn needs_one_of(&mut self, home: HomeId) -> bool {
        // Items come and go, so the answer is good for this wait only. The look goes on where the last one ended: what lies before
        // that was yielded or is of that pool, and is passed once, not once per `next`.
        let (slots, from) = (&self.all.slots, self.all.may_come);
        let may_come = |key: &usize| {
            slots[*key].item.as_ref().is_some_and(|item| {
                let header = item.watch().0.cell().header();
                !header.home.is(home) || header.word.load().is_resolved()
            })
        };
        let found = (from..slots.len()).chain(0..from).find(may_come);
        self.all.may_come = found.unwrap_or(0);
        found.is_none()
    }

    fn each(&mut self, visit: &mut dyn FnMut(&dyn Watched) -> bool) {
        for item in self.all.slots.iter().filter_map(|slot| slot.item.as_ref()) {
            let watch = item.watch();
            if !watch.word().is_resolved() && !visit(watch.0) {
                return;
            }
        }
    }

    fn unoffered(&mut self, visit: &mut dyn FnMut(&dyn Watched)) {
        self.all.looked_at = (None, 0);
        for key in std::mem::take(&mut self.all.fresh).into_iter().rev() {
            let slot = &mut self.all.slots[key as usize];
            if let Some(item) = &slot.item
                && !std::mem::replace(&mut slot.offered, true)
            {
                visit(item.watch().0);
            }
        }
    }

    fn arm(&mut self) -> &Arc<Hub> {
        // Each item has it since it was added, and keeps it for the next call.
        self.all.completed.hub()
    }
}
