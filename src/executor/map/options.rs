//! [`MapOptions`]: how a lazy map runs.

use super::weigh::Weigh;
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
/// let mut squares = pool.map_with(options, |n: u64| n * n, 0..); // endless: never more than 100 in flight
/// assert_eq!(squares.nth(1000).unwrap()?, 1_000_000);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct MapOptions {
    pub(super) chunksize: Option<usize>,
    pub(super) buffersize: Option<usize>,
    pub(super) buffer_bytes: Option<usize>,
    pub(super) weigh: Option<Weigh>,
    pub(super) unordered: bool,
    pub(in crate::executor) tasks: Option<TaskOptions>,
}

impl MapOptions {
    /// One item a task, or more if they are short and nothing hinders it; some tasks a worker in flight; results in the
    /// order of the input.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many items make one task. Honoured by every executor (Python's thread pool ignores it). Each item still has its
    /// own result, and its own error.
    ///
    /// By default each item is a task, but for one case: in the ordered map of a thread pool's own `map_with`, items that
    /// turn out to be short share tasks of about 50 us, if the input knows that more are to come
    /// ([`size_hint`](Iterator::size_hint)) and no options were given for [`tasks`](MapOptions::tasks). An item that takes long nevertheless is noticed
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

    /// How many items may be in flight at most: taken from the input and not yet yielded. Strictly so, where Python
    /// has one more.
    ///
    /// By default four chunks for each worker, or more of short items: as many as take each worker 1 ms, but no
    /// more than 2048 for each worker, and than 1 MiB of arguments (as encoded for another process; on threads without what
    /// they point to). More than four chunks for each worker are taken only while the input says that it has as many
    /// ([`size_hint`](Iterator::size_hint)), and each result that is handed out takes two items from it at most. The
    /// [`InlineExecutor`](crate::InlineExecutor)'s own `map_with` keeps to four chunks.
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

    /// How many bytes may be in flight at most, of items that are encoded: a task counts with its encoded argument, then with
    /// its encoded result until that is yielded. What results will take is estimated by those that have come. Holds beside
    /// [`buffersize`](MapOptions::buffersize), be that given or not.
    ///
    /// The next item is submitted while fewer bytes than this are in flight, so there may be one item more; and one always goes,
    /// however large it is. In a pool of threads, and wherever else items stay in this process, nothing is encoded and so
    /// nothing is bounded: say what they take, by [`weigh`](MapOptions::weigh).
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{MapOptions, prelude::*};
    ///
    /// let pool = ProcessPoolExecutor::new(2);
    /// // Pages of any size, and never many megabytes of them: at most a hundred small ones, or a few large ones.
    /// let pages = (1..=20).map(|n| "x".repeat(n * 10_000));
    /// let options = MapOptions::new().buffersize(100).buffer_bytes(1 << 20);
    /// let lengths: Result<Vec<usize>, _> = pool.map_with(options, |page: String| page.len(), pages).collect();
    /// assert_eq!(lengths?[19], 200_000);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If `limit` is 0.
    pub fn buffer_bytes(mut self, limit: usize) -> Self {
        assert!(limit > 0, "buffer_bytes must be at least 1");
        self.buffer_bytes = Some(limit);
        self
    }

    /// How much may be in flight at most, where an item weighs what `f` says: the bytes that it and its result take in memory, say.
    /// On every executor. Holds beside [`buffersize`](MapOptions::buffersize), be that given or not.
    ///
    /// An item that weighs more than `limit` goes alone. One item that has no room yet may have been taken from the input besides. `f` is
    /// called on the thread that asks for the next result, maybe more than once for an item.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{MapOptions, prelude::*};
    ///
    /// let pool = ThreadPoolExecutor::new(2);
    /// let options = MapOptions::new().buffersize(100).weigh(1 << 20, |page: &String| page.len());
    /// let pages = (1..=20).map(|n| "x".repeat(n * 10_000));
    /// let lengths: Result<Vec<usize>, _> = pool.map_with(options, |page: String| page.len(), pages).collect();
    /// assert_eq!(lengths?[19], 200_000);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If `limit` is 0. The `map_with` that these options are given to panics if its items are of another type than `f` takes.
    pub fn weigh<A: 'static>(
        mut self,
        limit: usize,
        f: impl Fn(&A) -> usize + Send + Sync + 'static,
    ) -> Self {
        assert!(limit > 0, "the limit of weigh must be at least 1");
        self.weigh = Some(Weigh::new(limit, f));
        self
    }

    /// Options for each task of the map.
    pub(crate) fn get_tasks(&self) -> Option<&TaskOptions> {
        self.tasks.as_ref()
    }

    /// Whether items are weighed.
    pub(in crate::executor) fn weighs(&self) -> bool {
        self.weigh.is_some()
    }

    /// Whether items may share tasks: nothing was said of tasks.
    pub(super) fn lets_items_share(&self) -> bool {
        self.chunksize.is_none() && self.tasks.is_none() && self.weigh.is_none() && !self.unordered
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
