//! [`TimedOut`]: a wait that ran out of time.

use std::error::Error;
use std::fmt;

/// A wait that ran out of time; gives back what was waited for.
///
/// Nothing happened to the task: it may still run, and can be waited for again. (A task that exceeds its *own* limit
/// is [`TaskError::TimeLimit`](crate::TaskError::TimeLimit). Python uses one `TimeoutError` for both.)
///
/// # Examples
///
/// ```
/// use concurrent_futures::prelude::*;
/// use std::time::Duration;
///
/// let (promise, mut future) = concurrent_futures::promise::<u32>();
/// future = future.result_timeout(Duration::from_millis(1)).unwrap_err().future;
/// promise.set_result(7);
/// assert_eq!(future.result()?, 7);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TimedOut<F> {
    /// What was waited for.
    pub future: F,
    unfinished: usize,
    total: usize,
}

impl<F> TimedOut<F> {
    pub(crate) fn one(future: F) -> Self {
        TimedOut { future, unfinished: 1, total: 1 }
    }

    pub(crate) fn many(future: F, unfinished: usize, total: usize) -> Self {
        TimedOut { future, unfinished, total }
    }

    /// How many futures were not done when the time was up.
    pub fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// How many futures were waited for.
    pub fn total(&self) -> usize {
        self.total
    }
}

impl<F> fmt::Debug for TimedOut<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedOut")
            .field("unfinished", &self.unfinished)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Display for TimedOut<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the wait timed out")?;
        if self.total > 1 {
            write!(f, ": {} of {} futures unfinished", self.unfinished, self.total)?;
        }
        Ok(())
    }
}

impl<F> Error for TimedOut<F> {}
