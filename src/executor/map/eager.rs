//! [`Map`]: results of an eager map.

use super::Deadline;
use super::remaining::Remaining;
use super::timeout::MapTimeout;
use crate::error::{Item, TaskError, TimedOut};
use crate::future::Future;
use crate::wait::gather;
use std::fmt;
use std::iter::FusedIterator;
use std::time::{Duration, Instant};

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
