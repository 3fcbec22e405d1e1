//! [`Scope`]: tasks that borrow from the caller's stack.
//!
//! The one place with `unsafe`: a scope's tasks go into the pool's queue, whose type knows no borrows, so their lifetime
//! is erased. What makes that sound is the invariant that holds when [`ThreadPoolExecutor::scope`] returns:
//!
//! > Closures, arguments and callbacks of the scope's tasks are *dropped*, not merely done with, and so is every result
//! > whose `Future` nobody holds. A `Future<R>` that is still held may hold its result: its type says that `R` lives.
//!
//! Each cell carries the scope's counter ([`Tally`]) and counts itself off as the last act of the thread that ended it: after
//! the closure and the argument are gone (before the end was published), after callbacks have run, after an unwanted
//! result was dropped. The counter lives in an `Arc`, not on the caller's stack: it is touched after the last count has
//! let the caller go on. Whatever pointers the queue, an urgent entry or a `CancelHandle` keep after that lead to an
//! empty cell: dropping them frees bytes, no values (the cell's drop glue, which the last pointer runs, comes to a body that
//! is empty, to watchers that were taken out at the end, and to the `Arc` of the counter). `mem::forget` of a future leaks its result, and nothing else.

use super::ThreadPoolExecutor;
use super::queue::Queue;
use crate::contain::contain;
use crate::error::{TaskError, TaskFailure};
use crate::executor::local::{Launch, borrowing_map_with, ends_of, fallible};
use crate::executor::map::{Chunk, Items as ChunkItems, Pace, run_chunk};
use crate::executor::{Map, MapOptions, MapWith};
use crate::future::cancel::cancel;
use crate::future::cell::{AnyCell, Entry, Source};
use crate::future::extra::{Extra, Items, OfMap};
use crate::future::home::HomeId;
use crate::future::hub::{Hub, RingWhen};
use crate::future::meter::Meter;
use crate::future::pointer::Pointer;
use crate::future::waiting::{self, Wait, Watched};
use crate::future::work::Work;
use crate::future::{Future, TaskOptions};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Gives out tasks that borrow; made by [`ThreadPoolExecutor::scope`], as `std::thread::scope` makes its own.
///
/// Its futures are plain [`Future`]s: `wait`, `as_completed` and [`Map`] take them. One whose result borrows nothing may
/// leave the scope; one whose result borrows from inside can't:
///
/// ```compile_fail,E0597
/// use concurrent_futures::prelude::*;
///
/// let pool = ThreadPoolExecutor::new(1);
/// let escaped = {
///     let word = String::from("short-lived");
///     pool.scope(|s| s.spawn(|| word.as_str()))
/// };
/// ```
pub struct Scope<'scope, 'env: 'scope> {
    queue: &'env Arc<Queue>,
    tally: Arc<Tally>,
    tasks: Mutex<Tasks>,
    // Invariant in both, as std's: a longer or shorter 'scope would let borrows in that the scope's end doesn't cover.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// The two ends of a task that borrows for `'a`.
type Ends<'a, R> = [Pointer<dyn Source<R> + 'a>; 2];

/// How many of a scope's tasks are not over, and the bell that its end sleeps on.
struct Tally {
    open: AtomicUsize,
    hub: Arc<Hub>,
    is_cancelled: AtomicBool,
}

impl Tally {
    fn is_cancelled(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `Scope::cancel`: a task that finds itself asked sees what was done before.
        self.is_cancelled.load(Ordering::Acquire)
    }
}

impl Extra for Arc<Tally> {
    fn is_asked(&self) -> bool {
        self.is_cancelled()
    }

    fn settled(&self) {
        // ORDERING: Release pairs with the Acquire in `End::is_done`: a thread that sees 0 sees the drops before it. Acquire,
        // so that the last one rings after all of them.
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.hub.ring();
        }
    }
}

/// What comes with a task of a scope. Nothing else does: a task that were not counted could outlive what it borrows.
trait Counted: Extra {
    fn tally(&self) -> &Tally;
}

impl Counted for Arc<Tally> {
    fn tally(&self) -> &Tally {
        self
    }
}

impl<X: Counted, I: Items> Counted for OfMap<X, I> {
    fn tally(&self) -> &Tally {
        self.extra.tally()
    }
}

/// The tally, and the options of one task.
struct WithOptions {
    tally: Arc<Tally>,
    options: Option<TaskOptions>,
}

impl Extra for WithOptions {
    fn options(&self) -> Option<&TaskOptions> {
        self.options.as_ref()
    }

    fn is_asked(&self) -> bool {
        self.tally.is_asked()
    }

    fn settled(&self) {
        self.tally.settled();
    }
}

impl Counted for WithOptions {
    fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// The scope's tasks, for the thread that waits for its end to run in place, or to cancel.
#[derive(Default)]
struct Tasks {
    entries: VecDeque<Entry>,
    sweep_at: usize,
}

impl Tasks {
    fn push(&mut self, entry: Entry) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|entry| !is_done(entry));
            self.sweep_at = (2 * self.entries.len()).max(64);
        }
        self.entries.push_back(entry);
    }
}

fn is_done(entry: &Entry) -> bool {
    entry.header().word.load().is_resolved()
}

impl ThreadPoolExecutor {
    /// Runs `f` with a [`Scope`], whose tasks may borrow whatever outlives this call, and waits until all of them are
    /// over. Blocks the thread; inside a worker of this pool it doesn't deadlock.
    ///
    /// When it returns, the closures and arguments of the scope's tasks are dropped, and so are results whose futures
    /// nobody holds.
    ///
    /// # Panics
    ///
    /// With the panic of `f`, if it panics; tasks of the scope that have not begun are cancelled then. A panic in a task
    /// is the error of its future, as everywhere.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// let pool = ThreadPoolExecutor::new(2);
    /// let words = vec!["to".to_string(), "borrow".to_string()];
    /// let mut lengths = vec![0; 2];
    /// pool.scope(|s| {
    ///     for (word, length) in words.iter().zip(&mut lengths) {
    ///         s.spawn(move || *length = word.len()).detach();
    ///     }
    /// });
    /// assert_eq!(lengths, [2, 6]);
    /// ```
    pub fn scope<'env, F, T>(&'env self, f: F) -> T
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
    {
        let scope = Scope {
            queue: self.queue(),
            // The count is the tally's; the bell is only rung.
            tally: Arc::new(Tally {
                open: AtomicUsize::new(0),
                hub: Hub::new(RingWhen::Completed(1)),
                is_cancelled: AtomicBool::new(false),
            }),
            tasks: Mutex::new(Tasks::default()),
            scope: PhantomData,
            env: PhantomData,
        };
        let outcome = contain(|| f(&scope));
        if outcome.is_err() {
            scope.cancel_queued();
        }
        scope.finish();
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic.payload.into_inner()))
    }
}

impl<'scope> Scope<'scope, '_> {
    /// As [`ThreadPoolExecutor::spawn`], for a closure that may borrow.
    pub fn spawn<R, F>(&'scope self, f: F) -> Future<R>
    where
        R: Send + 'scope,
        F: FnOnce() -> R + Send + 'scope,
    {
        self.launch(|| Ok(f()))
    }

    /// As [`ThreadPoolExecutor::try_spawn`], for a closure that may borrow.
    pub fn try_spawn<R, E, F>(&'scope self, f: F) -> Future<R>
    where
        R: Send + 'scope,
        E: TaskFailure,
        F: FnOnce() -> Result<R, E> + Send + 'scope,
    {
        self.launch(fallible(|()| f(), ()))
    }

    /// As [`ThreadPoolExecutor::submit`], for a closure and an argument that may borrow.
    pub fn submit<A, R, F>(&'scope self, f: F, arg: A) -> Future<R>
    where
        A: Send + 'scope,
        R: Send + 'scope,
        F: FnOnce(A) -> R + Send + 'scope,
    {
        self.launch(|| Ok(f(arg)))
    }

    /// As [`ThreadPoolExecutor::try_submit`], for a closure and an argument that may borrow.
    pub fn try_submit<A, R, E, F>(&'scope self, f: F, arg: A) -> Future<R>
    where
        A: Send + 'scope,
        R: Send + 'scope,
        E: TaskFailure,
        F: FnOnce(A) -> Result<R, E> + Send + 'scope,
    {
        self.launch(fallible(f, arg))
    }

    /// As [`ThreadPoolExecutor::submit_with`], for a closure and an argument that may borrow.
    pub fn submit_with<A, R, F>(&'scope self, options: TaskOptions, f: F, arg: A) -> Future<R>
    where
        A: Send + 'scope,
        R: Send + 'scope,
        F: FnOnce(A) -> R + Send + 'scope,
    {
        self.launch_with(self.with_options(Some(options)), || Ok(f(arg)))
    }

    /// As [`ThreadPoolExecutor::try_submit_with`], for a closure and an argument that may borrow.
    pub fn try_submit_with<A, R, E, F>(&'scope self, options: TaskOptions, f: F, arg: A) -> Future<R>
    where
        A: Send + 'scope,
        R: Send + 'scope,
        E: TaskFailure,
        F: FnOnce(A) -> Result<R, E> + Send + 'scope,
    {
        self.launch_with(self.with_options(Some(options)), fallible(f, arg))
    }

    /// As [`ThreadPoolExecutor::map`], for a closure and items that may borrow.
    pub fn map<A, R, F, I>(&'scope self, f: F, input: I) -> Map<R>
    where
        A: Send + 'scope,
        R: Send + 'scope,
        F: Fn(A) -> R + Send + Sync + 'scope,
        I: IntoIterator<Item = A>,
    {
        self.map_fallible(move |item| Ok(f(item)), input)
    }

    /// As [`ThreadPoolExecutor::try_map`], for a closure and items that may borrow.
    pub fn try_map<A, R, E, F, I>(&'scope self, f: F, input: I) -> Map<R>
    where
        A: Send + 'scope,
        R: Send + 'scope,
        E: TaskFailure,
        F: Fn(A) -> Result<R, E> + Send + Sync + 'scope,
        I: IntoIterator<Item = A>,
    {
        self.map_fallible(move |item| fallible(&f, item)(), input)
    }

    /// Cancels the scope: tasks of it that have not begun are cancelled, those that run find
    /// [`should_stop`](crate::Current::should_stop) true, and those that are given to it later are cancelled at once. Doesn't
    /// wait, and may be called from a task of the scope.
    ///
    /// # Examples
    ///
    /// The first to find it ends the search of all:
    ///
    /// ```
    /// use concurrent_futures::{current, prelude::*};
    ///
    /// let pool = ThreadPoolExecutor::new(2);
    /// let haystack = vec![0_u8; 1 << 20];
    /// pool.scope(|s| {
    ///     for part in haystack.chunks(1 << 18) {
    ///         s.spawn(move || {
    ///             let me = current().unwrap();
    ///             for straw in part {
    ///                 if me.should_stop() {
    ///                     return;
    ///                 }
    ///                 if *straw == 0 {
    ///                     return s.cancel();
    ///                 }
    ///             }
    ///         })
    ///         .detach();
    ///     }
    /// });
    /// ```
    pub fn cancel(&self) {
        // Before those that run end, and leave their workers to the others.
        self.cancel_queued();
        // ORDERING: Release pairs with the Acquire in `Tally::is_cancelled`. A task that is listed at this moment is taken from the
        // list below; or it is listed afterwards, by a thread that then finds this set, as the list's lock orders it.
        self.tally.is_cancelled.store(true, Ordering::Release);
        self.cancel_queued();
    }

    /// As [`ThreadPoolExecutor::map_with`], for a closure and items that may borrow: bounded, in either order, and in chunks of one
    /// item unless a chunksize says otherwise. It takes its input on the thread that takes results, and ends with its scope:
    ///
    /// ```compile_fail
    /// use concurrent_futures::{MapOptions, prelude::*};
    ///
    /// let pool = ThreadPoolExecutor::new(1);
    /// let words = ["to", "map"];
    /// let lengths = pool.scope(|s| s.map_with(MapOptions::new(), |word: &&str| word.len(), &words));
    /// ```
    ///
    /// # Panics
    ///
    /// If the options [weigh](MapOptions::weigh) items: types that borrow can't be told apart.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{MapOptions, prelude::*};
    ///
    /// let pool = ThreadPoolExecutor::new(2);
    /// let text = String::from("words that stay where they are");
    /// let longest = pool.scope(|s| {
    ///     let options = MapOptions::new().buffersize(4);
    ///     s.map_with(options, |word: &str| (word.len(), word), text.split(' ')).map(Result::unwrap).max()
    /// });
    /// assert_eq!(longest, Some((5, "words")));
    /// ```
    pub fn map_with<A, R, F, I>(
        &'scope self,
        options: MapOptions,
        f: F,
        input: I,
    ) -> MapWith<'scope, I::IntoIter, R>
    where
        A: Send + 'scope,
        R: Send + 'scope,
        F: Fn(A) -> R + Send + Sync + 'scope,
        I: IntoIterator<Item = A>,
    {
        self.map_lazily(&options, move |item| Ok(f(item)), input)
    }

    /// As [`map_with`](Scope::map_with), of a function that may fail.
    ///
    /// # Panics
    ///
    /// As `map_with`.
    pub fn try_map_with<A, R, E, F, I>(
        &'scope self,
        options: MapOptions,
        f: F,
        input: I,
    ) -> MapWith<'scope, I::IntoIter, R>
    where
        A: Send + 'scope,
        R: Send + 'scope,
        E: TaskFailure,
        F: Fn(A) -> Result<R, E> + Send + Sync + 'scope,
        I: IntoIterator<Item = A>,
    {
        self.map_lazily(&options, move |item| fallible(&f, item)(), input)
    }

    fn map_lazily<A, R, F, I>(
        &'scope self,
        options: &MapOptions,
        f: F,
        input: I,
    ) -> MapWith<'scope, I::IntoIter, R>
    where
        A: Send + 'scope,
        R: Send + 'scope,
        F: Fn(A) -> Result<R, TaskError> + Send + Sync + 'scope,
        I: IntoIterator<Item = A>,
    {
        let (f, tasks) = (Arc::new(f), options.get_tasks().cloned());
        let submit = |pace: Option<Arc<Pace>>| {
            move |items: ChunkItems<A>, start: usize, _: Option<Meter>| {
                let (f, pace, len) = (f.clone(), pace.clone(), items.len());
                let run = move || Ok(run_chunk(items, &*f, pace.as_deref()));
                let extra = OfMap { extra: self.with_options(tasks.clone()), items: start..start + len };
                Chunk { future: self.launch_with(extra, run), len, weight: 0, batch: None }
            }
        };
        borrowing_map_with(options, self.queue.max_workers(), input, submit)
    }

    fn with_options(&self, options: Option<TaskOptions>) -> WithOptions {
        WithOptions { tally: self.tally.clone(), options }
    }

    fn map_fallible<A, R, F, I>(&'scope self, f: F, input: I) -> Map<R>
    where
        A: Send + 'scope,
        R: Send + 'scope,
        F: Fn(A) -> Result<R, TaskError> + Send + Sync + 'scope,
        I: IntoIterator<Item = A>,
    {
        let f = Arc::new(f);
        Map::new(input.into_iter().enumerate().map(|(index, item)| {
            let f = f.clone();
            self.launch_with(OfMap { extra: self.tally.clone(), items: index }, move || f(item))
        }))
    }

    fn launch<W, R>(&'scope self, work: W) -> Future<R>
    where
        W: Work<R> + 'scope,
        R: Send + 'scope,
    {
        self.launch_with(self.tally.clone(), work)
    }

    /// `counted` has the scope's tally.
    fn launch_with<W, R>(&'scope self, counted: impl Counted + 'scope, work: W) -> Future<R>
    where
        W: Work<R> + 'scope,
        R: Send + 'scope,
    {
        counted.tally().open.fetch_add(1, Ordering::Relaxed);
        let waits = self.queue.is_bounded();
        let ends: Ends<'scope, R> = ends_of(work, counted, waits);
        // SAFETY: only the lifetime bound of the trait object behind the two pointers changes, so layout and vtable are the
        // same. What the cell borrows is not used after 'scope: `scope` does not return before every cell has counted
        // itself off, and a cell that has holds nothing but, perhaps, an `R` that a `Future<R>` owns, whose own type is
        // bounded by 'scope (see the module). The count was raised above, before the cell can be seen by anybody.
        let [entry, cell] = unsafe { std::mem::transmute::<Ends<'scope, R>, Ends<'static, R>>(ends) };
        let (entry, future) = (entry.into_entry(), Future::from_cell(cell));
        if self.tally.is_cancelled() {
            // Before it could begin.
            cancel(&*entry);
            return future;
        }
        if waits {
            // Listed before it may wait for a place: it is not to begin then if the scope is cancelled meanwhile.
            self.list(entry.clone());
            self.queue.accept(entry);
        } else {
            self.queue.accept(entry.clone());
            // Listed once it is queued: what is cancelled by the list is in the pool's count.
            self.list(entry);
        }
        future
    }

    fn list(&self, entry: Entry) {
        self.tasks.lock().push(entry);
        if self.tally.is_cancelled() {
            self.cancel_queued();
        }
    }

    fn cancel_queued(&self) {
        let entries = std::mem::take(&mut self.tasks.lock().entries);
        for entry in &entries {
            cancel(&**entry);
        }
    }

    /// Returns when every task of the scope has counted itself off, whatever happens.
    fn finish(&self) {
        let _ = waiting::wait(&mut End { scope: self }, None);
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("open", &self.tally.open.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

/// The wait for a scope's end: all of its tasks are needed.
struct End<'a, 'scope, 'env> {
    scope: &'a Scope<'scope, 'env>,
}

impl Wait for End<'_, '_, '_> {
    fn is_done(&mut self) -> bool {
        // ORDERING: pairs with the Release in `settled`.
        self.scope.tally.open.load(Ordering::Acquire) == 0
    }

    fn needs_all(&self) -> bool {
        true
    }

    fn each(&mut self, visit: &mut dyn FnMut(&dyn Watched) -> bool) {
        // A task that is run in place may add others, or cancel all, so the list isn't locked meanwhile, and only that task is
        // not in it.
        let mut left = VecDeque::new();
        let mut go_on = true;
        loop {
            let Some(entry) = self.scope.tasks.lock().entries.pop_front() else { break };
            if is_done(&entry) {
                continue;
            }
            go_on = go_on && visit(&Queued(&entry));
            if !is_done(&entry) {
                left.push_back(entry);
            }
        }
        self.scope.tasks.lock().entries.append(&mut left);
        if self.scope.tally.is_cancelled() {
            self.scope.cancel_queued();
        }
    }

    fn concerns(&mut self, home: HomeId) -> bool {
        home == self.scope.queue.id
    }

    fn needs_one_of(&mut self, home: HomeId) -> bool {
        self.concerns(home)
    }

    fn unoffered(&mut self, visit: &mut dyn FnMut(&dyn Watched)) {
        // Offered twice makes no second entry.
        let entries = self.scope.tasks.lock().entries.clone();
        entries.iter().rev().for_each(|entry| visit(&Queued(entry)));
    }

    fn arm(&mut self) -> &Arc<Hub> {
        // Every cell has carried the tally from its beginning.
        &self.scope.tally.hub
    }
}

struct Queued<'a>(&'a Entry);

impl Watched for Queued<'_> {
    fn cell(&self) -> &dyn AnyCell {
        &**self.0
    }

    fn entry(&self) -> Entry {
        self.0.clone()
    }
}
