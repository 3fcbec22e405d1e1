//! [`ThreadPoolExecutor`]: a pool of threads.
//!
//! ```text
//!  submit(f, arg) --> cell --> Queue { inbox -> ready, urgent } --> worker n: claim, run, publish --> Future
//!                      ^                                                                               |
//!                      +---------------------- the same allocation ------------------------------------+
//! ```
//!
//! `queue/` is the heart: which task, which worker, who sleeps and who is woken, with the argument why no wake-up is lost.
//! `worker.rs` is one thread's life; `waiting.rs` is what a worker does that waits; `scope.rs` lets tasks borrow. The verbs
//! (`submit`, `spawn`, `map`, ..) are stamped on the pool by `local_verbs!`, of `executor/local.rs`.

mod builder;
mod queue;
#[expect(unsafe_code, reason = "the lifetime of scoped tasks, argued in the file")]
mod scope;
mod stats;
mod waiting;
mod worker;

pub use builder::ThreadPoolBuilder;
pub use scope::Scope;
pub use stats::ThreadPoolStats;
pub use waiting::blocking;

use crate::clock::deadline_after;
use crate::error::{BuildError, TaskFailure};
use crate::executor::local::{Launch, local_verbs};
use crate::executor::{
    Executor, Map, MapOptions, MapWith, RunningTask, Shutdown, StillBusy, Task, closed, refuse_unsupported,
};
use crate::future::cell::{Cell, Entry};
use crate::future::waiting::is_thread_of;
use crate::future::{Future, TaskOptions};
use queue::Queue;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A pool of threads that run tasks, first come, first served.
///
/// Threads are started as they are needed, and an idle one is reused before another starts. A panic in a task is caught
/// and becomes the error of its future; the thread goes on.
///
/// **Order.** One worker begins tasks strictly in the order of submission. Of several, each takes up to 32 tasks from the
/// queue at a time while tasks are short (20 µs for all of them): so a task may begin before an older one that another
/// worker has taken, by some tens of microseconds. If tasks suddenly take longer, what was taken goes back to the front of
/// the queue; up to eight of one worker's may then begin before an older one. A bounded
/// queue, and tasks that take long, are served strictly in order. Tasks that a waiting task needs come first.
///
/// **Waiting inside a task.** A task may wait for tasks of its own pool, however few its workers: it never deadlocks. If
/// it can't go on without a queued task it runs that task itself, in place, while its stack has room and rather than
/// start another worker; otherwise it counts as blocked, and a spare worker runs on. At most 256 spares are started: when
/// all of them wait as well, or the system gives no more, and the waiter's stack is nearly spent, the task that it waits
/// for fails with [`Rejected::StackSpent`](crate::Rejected::StackSpent). So `max_workers` means tasks running, not counting those blocked in such waits. State that is bound to
/// the thread, like a `RefCell` in a thread-local borrowed across a wait, is visible to a task run in place. Waits for
/// *another* pool's future, for a [`Promise`](crate::Promise) or a lock are not seen by the pool; [`blocking`] declares
/// them.
///
/// A task may also poll futures of its own pool (`block_on`, or an executor that runs on the worker's thread). The pool
/// can't see whether the thread sleeps then, so the worker counts as blocked from the poll until the polled task is done,
/// its future is dropped, or the polling task ends; meanwhile one task more than `max_workers` may be active. A poll runs
/// the task in place only if no other worker is left and the system refuses further threads; executors that can't be
/// nested on one thread then panic in a task that uses them itself. A task that waits for another thread which polls (a
/// runtime with threads of its own) declares that by [`blocking`].
///
/// **Threads that the system refuses.** The pool goes on with those it has, and tries again 10 ms later, then at longer
/// intervals of up to a second: at the next submit, at the end of a task, or when a waiting worker looks again. If no
/// thread can be started at all, queued tasks fail as [`Broken`](crate::TaskError::Broken), and so do submits until the next
/// try.
///
/// **The end.** Dropping the pool runs what is queued and joins the threads, as Python's `with` block does; while its
/// thread panics, what is queued is cancelled instead, and a thread of the same pool doesn't join. A pool in a `static`
/// is never dropped: what is still queued when `main` returns is lost, as it is after [`detach`](Self::detach) and
/// `std::process::exit`. What happens when, from every place and in every state: `docs/ends.md`.
///
/// Not `Clone`: `&pool`, an `Arc` or a `static` with `LazyLock` serve.
///
/// # Examples
///
/// ```
/// use concurrent_futures::prelude::*;
///
/// let pool = ThreadPoolExecutor::new(4);
/// let futures: Vec<_> = (1..=3).map(|n| pool.submit(|n: u32| n * n, n)).collect();
/// let squares: Result<Vec<u32>, _> = futures.into_iter().map(|f| f.result()).collect();
/// assert_eq!(squares?, [1, 4, 9]);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
pub struct ThreadPoolExecutor {
    queue: Arc<Queue>,
    detached: bool,
}

impl ThreadPoolExecutor {
    /// A pool of at most `max_workers` threads, any number up to `usize::MAX`; for more options,
    /// [`builder`](ThreadPoolExecutor::builder).
    ///
    /// # Panics
    ///
    /// If `max_workers` is 0.
    pub fn new(max_workers: usize) -> Self {
        match Self::builder().max_workers(max_workers).build() {
            Ok(pool) => pool,
            Err(error) => panic!("{error}"),
        }
    }

    /// A builder, which has every option.
    pub fn builder() -> ThreadPoolBuilder {
        ThreadPoolBuilder::default()
    }

    /// How many tasks run at once at most.
    pub fn max_workers(&self) -> usize {
        self.queue.max_workers()
    }

    /// Changes how many tasks run at once at most, from now on. Doesn't block.
    ///
    /// **More.** If tasks are queued, workers for them are started at once; else when there is work, as ever.
    ///
    /// **Fewer.** What runs is not interrupted, and no task is lost or cancelled: a worker too many takes no further task once its own
    /// is over, what it had taken along goes back to the front of the queue, and half a second later its thread ends
    /// ([`on_exit`](ThreadPoolBuilder::on_exit) is called). Until then more than `max_workers` tasks may run. Workers that are idle end in
    /// the same way, down to `max_workers`.
    ///
    /// A map reads the number when it begins, for its buffer and its chunks. After a shutdown the call concerns what is still to
    /// run, if anything is.
    ///
    /// Differs from Python: there the number is fixed.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoWorkers`] if `n` is 0, as from the builder; nothing changes then.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// let pool = ThreadPoolExecutor::new(2);
    /// pool.set_max_workers(16)?; // at night
    /// assert_eq!(pool.max_workers(), 16);
    /// # Ok::<(), concurrent_futures::BuildError>(())
    /// ```
    pub fn set_max_workers(&self, n: usize) -> Result<(), BuildError> {
        if n == 0 {
            return Err(BuildError::NoWorkers);
        }
        self.queue.set_max_workers(n);
        Ok(())
    }

    /// The pool in numbers, at this moment. Which tasks run, and since when: [`running`](ThreadPoolExecutor::running).
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// let pool = ThreadPoolExecutor::new(1);
    /// pool.spawn(|| 1).result()?;
    /// let stats = pool.stats();
    /// assert_eq!((stats.finished, stats.queued, stats.submitted()), (1, 0, 1));
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// ```
    pub fn stats(&self) -> ThreadPoolStats {
        self.queue.stats()
    }

    /// What the pool runs at this moment: every task that has begun and is not over, by workers, and of one worker the
    /// outermost first where tasks are nested (a worker that waits for a task may run it in place). For a look at a
    /// program that seems to hang, and for a display of who is at what.
    ///
    /// It never waits for a task. While tasks move, its parts may be read a moment apart: a task that it lists may have
    /// ended, one that began meanwhile may be missing.
    ///
    /// **Since when.** Noting when a task begins makes a small one up to a quarter slower. So it is noted from the first call of
    /// this method on, for as long as the pool lives: those tasks have their true beginning. What began before has the moment of the first call that saw it, and `at_least`. A program that wants all of
    /// them true calls `running` once, after `build`.
    ///
    /// Differs from Python: there is nothing like it there.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{TaskOptions, prelude::*};
    /// use std::sync::{Arc, Barrier};
    ///
    /// let pool = ThreadPoolExecutor::builder().max_workers(1).name_prefix("fetch").build()?;
    /// let meeting = Arc::new(Barrier::new(2));
    /// let worker_s = meeting.clone();
    /// let wait_twice = move |()| (0..2).for_each(|_| drop(worker_s.wait()));
    /// let future = pool.submit_with(TaskOptions::new().label("2017-03-23"), wait_twice, ());
    /// meeting.wait();
    /// let running = pool.running();
    /// assert_eq!(running[0].task, future.id());
    /// assert!(running[0].to_string().starts_with("fetch_0 runs task `2017-03-23` for at least 0.0 s"));
    /// meeting.wait();
    /// future.result()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn running(&self) -> Vec<RunningTask> {
        self.queue.running()
    }

    /// Starts all workers now, rather than when there is work for them: the future is done when each is up and its initializer is
    /// through. Doesn't block. Otherwise workers start as tasks come, as in Python's pools.
    ///
    /// It fails with the initializer's error, in [`Broken`](crate::TaskError::Broken); or that the pool is shut down. Threads that the system
    /// refuses are no error, as long as there is one: [`stats`](Self::stats) says how many there are. With `keep_alive`, idle ones
    /// end again, and none is started in the place of one that does: `max_workers` are started at most.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// let pool = ThreadPoolExecutor::new(3);
    /// assert_eq!(pool.stats().workers, 0);
    /// pool.warm_up().result()?;
    /// assert_eq!(pool.stats().idle, 3);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// ```
    pub fn warm_up(&self) -> Future<()> {
        self.queue.warm_up()
    }

    /// Has each worker call `f` once, with a clone of `arg`: to fill or to clear what they keep in `thread_local!`s, or to ask what is
    /// there. Starts all workers first, as [`warm_up`](Self::warm_up) does, and none ends for want of work before its call. Doesn't block; the
    /// futures come in the order of the workers' numbers, and each can be cancelled until its call begins.
    ///
    /// A worker that is busy calls `f` when its task is over, before any other task: so what is submitted after the broadcast finds it
    /// done, in whichever of them it runs, unless a task that was running then waits for it and runs it in place. Spares that stand in for waiting workers take part; workers that come later, also in place of one
    /// that ended, don't: that is what an [`initializer`](ThreadPoolBuilder::initializer) is for. The calls have no place in a bounded
    /// queue. A [`shutdown`](Self::shutdown) that drains lets them run, and one that cancels cancels them. Of a pool that is shut down or broken
    /// there is at least one future, which says so.
    ///
    /// **In a task of the same pool** don't wait for them: its own worker's turn comes when that task is over. A wait without a time limit
    /// that can't end without one of them ends at once. [`result`](Future::result) and [`exception`](Future::exception) say
    /// [`Broken`](crate::TaskError::Broken), [`Future::wait`] returns, and [`wait`](crate::wait()) for all gives back what is not done as
    /// such. A wait for any of several goes on as long as there are others among them that are not done:
    /// [`as_completed`](crate::as_completed()) hands out the others as they finish, and then these, unfinished. Two waits never end: a
    /// poll, which is not seen, and one for the first exception, if the others end without any.
    ///
    /// Python has nothing like it; rayon has `broadcast`, and dask `Client.run`.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    /// use std::cell::Cell;
    ///
    /// thread_local!(static FACTOR: Cell<u32> = const { Cell::new(1) });
    ///
    /// let pool = ThreadPoolExecutor::new(3);
    /// let set = pool.broadcast(|n| FACTOR.set(n), 10);
    /// assert_eq!(set.len(), 3);
    /// let scaled: u32 = pool.map(|n| n * FACTOR.get(), 1..=3).sum::<Result<_, _>>()?;
    /// assert_eq!(scaled, 60);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// ```
    pub fn broadcast<A, R, F>(&self, f: F, arg: A) -> Vec<Future<R>>
    where
        A: Clone + Send + 'static,
        R: Send + 'static,
        F: Fn(A) -> R + Send + Sync + 'static,
    {
        let f = Arc::new(f);
        self.queue.broadcast(|| {
            let (f, arg) = (f.clone(), arg.clone());
            let [entry, cell] = Cell::entered(move || Ok(f(arg)), ());
            (entry.into_entry(), Future::from_cell(cell))
        })
    }

    /// Shuts the pool down and returns at once: later submits are rejected. Queued tasks still run
    /// ([`Drain`](Shutdown::Drain)) or are cancelled ([`CancelQueued`](Shutdown::CancelQueued)); running tasks are never
    /// interrupted; they are asked to stop by [`Stop`](Shutdown::Stop). May be called again, to cancel what a `Drain` left, and from anywhere: a task, a callback, a
    /// destructor. Cancelled tasks are dropped, and their callbacks called, before `shutdown` returns.
    pub fn shutdown(&self, mode: Shutdown) {
        self.queue.shutdown(mode);
    }

    /// Waits until the workers have ended; first shuts the pool down with [`Drain`](Shutdown::Drain), unless that was done
    /// before. Blocks the thread. On one of the pool's own threads (in a task, in a callback or a destructor that runs
    /// there) it shuts the pool down and returns at once, because a worker can't wait for its own end.
    pub fn join(&self) {
        self.shutdown(Shutdown::Drain);
        if !self.is_own_worker() {
            self.queue.join(None);
        }
    }

    /// [`join`](ThreadPoolExecutor::join), for no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`StillBusy`] names the workers that are still busy, and their tasks; none, if only an
    /// [`on_exit`](ThreadPoolBuilder::on_exit) or a destructor of a thread-local still runs. On one of the pool's own threads, at once.
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), StillBusy> {
        let deadline = deadline_after(timeout);
        self.shutdown(Shutdown::Drain);
        if !self.is_own_worker() && self.queue.join(deadline) {
            return Ok(());
        }
        let workers = self.queue.slots().iter().filter_map(|slot| slot.busy()).collect();
        Err(StillBusy::new(workers, self.queue.stats().queued))
    }

    /// Shuts the pool down as [`join`](Self::join) does, and returns a future that is done when the last thread has ended: for async
    /// code, where `join`, and the drop of a pool that has work, would block the runtime's thread. A thread waits meanwhile; if none
    /// can be started, the future fails as [`Abandoned`](crate::TaskError::Abandoned). A task of this pool must not wait for it: it would wait for
    /// itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// # futures::executor::block_on(async {
    /// let pool = ThreadPoolExecutor::new(2);
    /// let future = pool.submit(|n: u32| n + 1, 1);
    /// pool.closed().await?;
    /// drop(pool); // at once
    /// assert_eq!(future.await?, 2);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// # }).unwrap();
    /// ```
    pub fn closed(&self) -> Future<()> {
        self.shutdown(Shutdown::Drain);
        let queue = self.queue.clone();
        closed(move || _ = queue.join(None))
    }

    /// Drops the pool without waiting: queued tasks still run, then the threads end. If `main` returns before that, the
    /// rest is lost.
    pub fn detach(mut self) {
        self.detached = true;
    }

    fn from_queue(queue: Arc<Queue>) -> Self {
        ThreadPoolExecutor { queue, detached: false }
    }

    fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    fn local(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Whether this is a thread of the pool's, even if it is no worker any more and only runs the destructors of its
    /// thread-locals.
    fn is_own_worker(&self) -> bool {
        is_thread_of(self.queue.id)
    }
}

// `submit`, `submit_with`, `try_submit`, `spawn`, `map`, `map_with` and the others: see `executor/local.rs`.
local_verbs!(ThreadPoolExecutor);

impl Launch for Arc<Queue> {
    fn accept(&self, entry: Entry) {
        if entry.header().is_plain() { self.push(entry) } else { accept_with_options(self, entry) }
    }

    fn accept_parts(&self, take: &mut dyn FnMut() -> Vec<Entry>) {
        self.push_parts(take);
    }

    const SHARES: bool = true;

    fn workers(&self) -> usize {
        self.max_workers()
    }
}

#[inline(never)]
fn accept_with_options(queue: &Queue, entry: Entry) {
    if let Some(error) = entry.options_if_any().and_then(refuse_unsupported) {
        queue.observed().queued(&*entry);
        return queue.observed().refuse(&*entry, error);
    }
    queue.push(entry);
}

impl Executor for ThreadPoolExecutor {
    fn execute(&self, task: Task) {
        self.queue.accept(task.into_entry());
    }

    fn shutdown(&self, mode: Shutdown) {
        self.queue.shutdown(mode);
    }

    fn max_workers(&self) -> Option<usize> {
        Some(self.queue.max_workers())
    }
}

impl Drop for ThreadPoolExecutor {
    fn drop(&mut self) {
        // A panicking thread must not hang behind hours of queue.
        let mode = if std::thread::panicking() { Shutdown::CancelQueued } else { Shutdown::Drain };
        self.queue.shutdown(mode);
        if !self.detached && !self.is_own_worker() {
            self.queue.join(None);
        }
    }
}

impl fmt::Debug for ThreadPoolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolExecutor")
            .field("max_workers", &self.max_workers())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
