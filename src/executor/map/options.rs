//! [`MapOptions`]: how a lazy map runs.

use crate::future::TaskOptions;

/// How a `map_with` runs.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{MapOptions, prelude::*};
///
/// let pool = ThreadPoolExecutor::new(2);
/// let options = MapOptions::new().chunksize(10).buffersize(100);
/// let mut squares = pool.map_with(options, |n: u64| n * n, 0..); // endless: never more than 100 in the air
/// assert_eq!(squares.nth(1000).unwrap()?, 1_000_000);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct MapOptions {
    pub(super) chunksize: Option<usize>,
    pub(super) buffersize: Option<usize>,
    pub(super) unordered: bool,
    pub(in crate::executor) tasks: Option<TaskOptions>,
}

impl MapOptions {
    /// One item a task, a few tasks a worker in the air, results in the order of the input.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many items make one task. Honoured by every executor (Python's thread pool ignores it). Each item still has its
    /// own result, and its own error.
    ///
    /// By default each item is a task, but for one case: in the ordered map of a thread pool's own `map_with` with a
    /// [`buffersize`](MapOptions::buffersize), items that turn out to be short share tasks of about 50 us, if the input
    /// knows that more are to come ([`size_hint`](Iterator::size_hint)). An item that takes long nevertheless is noticed
    /// within 20 ms, and those behind it get tasks of their own. Where items wait for each other, say `chunksize(1)`.
    ///
    /// # Panics
    ///
    /// If `n` is 0.
    pub fn chunksize(mut self, n: usize) -> Self {
        assert!(n > 0, "chunksize must be at least 1");
        self.chunksize = Some(n);
        self
    }

    /// How many items may be in the air at most: taken from the input and not yet yielded. Strictly so, where Python
    /// has one more. By default four chunks for each worker.
    ///
    /// A chunk never holds more items than this.
    ///
    /// # Panics
    ///
    /// If `n` is 0.
    pub fn buffersize(mut self, n: usize) -> Self {
        assert!(n > 0, "buffersize must be at least 1");
        self.buffersize = Some(n);
        self
    }

    /// Whether items may share tasks: nothing was said of tasks, and there is room.
    pub(in crate::executor) fn lets_items_share(&self) -> bool {
        self.chunksize.is_none() && self.tasks.is_none() && !self.unordered && self.buffersize.is_some()
    }

    /// Yields results as they finish, not in the order of the input.
    pub fn unordered(mut self) -> Self {
        self.unordered = true;
        self
    }

    /// Options for each task of the map.
    pub fn tasks(mut self, options: TaskOptions) -> Self {
        self.tasks = Some(options);
        self
    }
}
