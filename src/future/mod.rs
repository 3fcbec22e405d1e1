//! One result and its handles.
//!
//! [`Future`] and [`SharedFuture`] read, [`Promise`] writes, [`CancelHandle`] cancels. What they share is the *cell*
//! (`cell.rs`, counted by `pointer.rs`, in memory of `memory.rs`), made of work (`work.rs`) and an outcome, whose `state.rs` says who owns what when. `publish.rs` makes the end
//! known; `watchers.rs` and `hub.rs` are how a wait hears of it, and `waiting.rs` is the one function through which every
//! wait goes.

mod callback;
pub(crate) mod cancel;
mod cancel_on_drop;
#[expect(unsafe_code, reason = "a body without a lock, argued in the file")]
pub(crate) mod cell;
#[expect(unsafe_code, reason = "a note on the stack below, argued in the file")]
pub(crate) mod current;
pub(crate) mod extra;
pub(crate) mod home;
pub(crate) mod hub;
#[expect(unsafe_code, reason = "memory that is used again, argued in the file")]
mod memory;
pub(crate) mod meter;
mod options;
#[expect(unsafe_code, reason = "two kinds of pointer in one, argued in the file")]
mod packed;
#[expect(unsafe_code, reason = "a count in the state word, argued in the file")]
pub(crate) mod pointer;
mod promise;
pub(crate) mod publish;
pub(crate) mod reporting;
mod shared;
pub(crate) mod state;
mod unobserved;
pub(crate) mod waiting;
pub(crate) mod watchers;
pub(crate) mod work;

pub use callback::Completion;
pub use cancel::CancelHandle;
pub use cancel_on_drop::CancelOnDrop;
pub use current::{Current, current};
pub use options::TaskOptions;
pub use promise::{Promise, promise};
pub use reporting::report;
pub use shared::{SharedFuture, SharedWait};
pub use state::State;
pub use unobserved::set_unobserved_hook;

use crate::clock::deadline_after;
use crate::error::{Broken, TaskError, TaskFailure, TimedOut};
use crate::id::FutureId;
use cell::{AnyCell, Cell, Entry, Source};
use pointer::Pointer;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use waiting::{Ending, One, Watched};
use watchers::OWNER;

/// One owner's claim on one result, like a `JoinHandle`.
///
/// Every way to wait is here: [`result`](Future::result) moves the value out, [`wait`](Future::wait) only waits,
/// `.await` needs no particular runtime, and the free functions [`wait`](crate::wait()) and
/// [`as_completed`](crate::as_completed) take many.
///
/// Dropping a future lets its task run, as [`detach`](Future::detach) does; it cancels nothing. A value that
/// is there already is dropped with the future. Waits inside a pool's own worker don't deadlock: see
/// [`ThreadPoolExecutor`](crate::ThreadPoolExecutor).
///
/// Differs from Python: `result` takes the future, so a value is moved and never shared
/// ([`shared`](Future::shared) makes the handle that can be cloned); `done`, `running`, `cancelled` are
/// [`is_done`](Future::is_done), [`is_running`](Future::is_running), [`is_cancelled`](Future::is_cancelled); and a
/// cancelled future is done at once, for everybody.
///
/// # Examples
///
/// ```
/// use concurrent_futures::prelude::*;
///
/// let pool = ThreadPoolExecutor::new(2);
/// let future = pool.submit(|x: u64| x * x, 12);
/// assert_eq!(future.result()?, 144);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
#[must_use = "dropping a future doesn't cancel its task; call `.detach()` to let it run on purpose"]
pub struct Future<T> {
    /// `None` once the value was moved out by value: then there is nothing left to drop.
    cell: Option<Pointer<dyn Source<T>>>,
}

impl<T> Future<T> {
    pub(crate) fn from_cell(cell: Pointer<dyn Source<T>>) -> Self {
        Future { cell: Some(cell) }
    }

    /// Names the task; unique in this process.
    pub fn id(&self) -> FutureId {
        self.header().id
    }

    /// Where the task stands at this moment.
    pub fn state(&self) -> State {
        cell::state(self.any())
    }

    /// Whether the task is over: with a result, an error, or cancelled. Doesn't wait.
    pub fn is_done(&self) -> bool {
        self.header().word.load().is_resolved()
    }

    /// Whether the task is being run. (Python also says so of tasks that only wait in a worker's pipe.)
    pub fn is_running(&self) -> bool {
        self.state() == State::Running
    }

    /// Whether the task was cancelled before it began.
    pub fn is_cancelled(&self) -> bool {
        self.state() == State::Cancelled
    }

    /// Cancels the task if it has not begun; true if it is cancelled now, or was before. A cancelled task's closure and
    /// argument are dropped here, and every wait for it ends. Doesn't wait: where another thread cancels it at this very
    /// moment, or shuts its pool down, the task is done a little after this returned true, when that thread is through.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// let pool = ThreadPoolExecutor::new(1);
    /// let (gate, opened) = std::sync::mpsc::channel::<()>();
    /// let running = pool.spawn(move || opened.recv());
    /// let queued = pool.spawn(|| 1);
    /// assert!(queued.cancel() && queued.is_done());
    /// # drop(gate); let _ = running.result();
    /// ```
    pub fn cancel(&self) -> bool {
        cancel::cancel(self.any())
    }

    /// Cancels a queued task, and ends a running one together with its worker process. False if that can't be done:
    /// threads can't be ended.
    pub fn kill(&self) -> bool {
        cancel::kill(self.any())
    }

    /// Asks the task to stop: cancels it if it has not begun, else has it find
    /// [`should_stop`](crate::Current::should_stop) true. False if there is nothing to ask: the task is done, or nobody can reach it.
    /// Doesn't wait, and ends nothing: a task that never looks runs on.
    ///
    /// One that runs in a worker process of this machine is reached too. One that is carried by another crate's executor is if
    /// its [`Carrier`](crate::Carrier) can (`RedisExecutor` can't: there this is as [`cancel`](Future::cancel)). A task with
    /// [`retries`](crate::TaskOptions::retries) that was asked is not run again if its worker dies.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{current, prelude::*};
    /// use std::sync::mpsc;
    ///
    /// let pool = ThreadPoolExecutor::new(1);
    /// let (begins, begun) = mpsc::channel();
    /// let running = pool.spawn(move || {
    ///     begins.send(()).unwrap();
    ///     while !current().unwrap().should_stop() {}
    ///     "as far as I came"
    /// });
    /// let queued = pool.spawn(|| 1);
    /// begun.recv()?;
    /// assert!(running.ask_to_stop() && queued.ask_to_stop());
    /// assert!(queued.is_cancelled());
    /// assert_eq!(running.result()?, "as far as I came");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ask_to_stop(&self) -> bool {
        cancel::ask_to_stop(self.any())
    }

    /// Waits until the task is done, without reading its result. Blocks the thread.
    ///
    /// Two waits could never end, since the thread would wait for itself, and return at once, although the task is not done: in a
    /// waker or a logger that is called on a pool of processes' own thread, for a task of that pool; and in a task of a pool
    /// of threads, for what was [broadcast](crate::ThreadPoolExecutor::broadcast) to that pool.
    pub fn wait(&self) {
        // However it ended, the task says whether it is done.
        let _ = self.wait_until(None);
    }

    /// Waits until the task is done or the time is up; returns whether it is done. Blocks the thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (_promise, future) = concurrent_futures::promise::<u32>();
    /// assert!(!future.wait_timeout(Duration::from_millis(1)));
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(deadline_after(timeout)) == Ending::Done
    }

    /// Waits until the task is done and moves its result out. Blocks the thread.
    ///
    /// # Errors
    ///
    /// Why there is no result: the task failed, panicked, was cancelled, or could not be run. See [`TaskError`].
    pub fn result(self) -> Result<T, TaskError> {
        match self.wait_until(None) {
            Ending::Never => Err(never()),
            Ending::Done | Ending::TimedOut => self.take_for_good(),
        }
    }

    /// Waits until the task is done or the time is up, and moves its result out. Blocks the thread. A task that is done
    /// already gives its result whatever the limit.
    ///
    /// # Errors
    ///
    /// The outer error is this wait's: [`TimedOut`] hands the future back. The inner one is the task's.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    /// use std::time::Duration;
    ///
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let pool = ThreadPoolExecutor::new(1);
    ///     let mut future = pool.spawn(|| std::thread::sleep(Duration::from_millis(30)));
    ///     loop {
    ///         match future.result_timeout(Duration::from_millis(5)) {
    ///             Ok(result) => break result?,
    ///             Err(timed_out) => future = timed_out.future, // and wait again
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn result_timeout(self, timeout: Duration) -> Result<Result<T, TaskError>, TimedOut<Self>> {
        match self.wait_until(deadline_after(timeout)) {
            Ending::Done => Ok(self.take_for_good()),
            Ending::TimedOut => Err(TimedOut::one(self)),
            Ending::Never => Ok(Err(never())),
        }
    }

    /// Waits until the task is done and says why it has no result: `None` if it has one. Blocks the thread. Of a
    /// cancelled task, `Some(Cancelled)`, where Python raises.
    pub fn exception(&self) -> Option<TaskError> {
        match self.wait_until(None) {
            Ending::Never => Some(never()),
            Ending::Done | Ending::TimedOut => self.error(),
        }
    }

    /// [`exception`](Future::exception), until the time is up.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if the task is not done by then.
    pub fn exception_timeout(&self, timeout: Duration) -> Result<Option<TaskError>, TimedOut<()>> {
        match self.wait_until(deadline_after(timeout)) {
            Ending::Done => Ok(self.error()),
            Ending::TimedOut => Err(TimedOut::one(())),
            Ending::Never => Ok(Some(never())),
        }
    }

    /// Drops the future and lets the task run. Its result is dropped where it is made; if the task fails, the hook of
    /// [`set_unobserved_hook`] is called.
    pub fn detach(self) {}

    /// Turns this future into one that can be cloned. One small allocation.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// let pool = ThreadPoolExecutor::new(1);
    /// let model = pool.spawn(|| vec![1.0, 2.0]).shared();
    /// let other = model.clone();
    /// let sum = std::thread::spawn(move || other.result().map(|v| v.iter().sum::<f64>()));
    /// assert_eq!(model.result()?.len(), 2);
    /// # assert_eq!(sum.join().unwrap()?, 3.0);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// ```
    pub fn shared(self) -> SharedFuture<T> {
        SharedFuture::new(self)
    }

    /// Calls `f` once when the task is done, whatever its outcome, after every wait was told. It runs on the thread
    /// that ends the task: the worker, or the one that cancels; if the task is done already, here and now. Several run
    /// in the order in which they were added; one that is added while they run doesn't wait for them. A panic in one is
    /// logged; the others run. It may call the pool, and wait for its tasks.
    ///
    /// Callbacks that resolve other futures nest up to 64 deep, while more than half of the thread's stack is left; deeper
    /// ones are run a little later by the outermost.
    pub fn add_done_callback(&self, f: impl FnOnce(&Completion) + Send + 'static) {
        let boxed: callback::Callback = Box::new(f);
        if let Err(boxed) = self.any().add_to_crowd(boxed, |crowd, f| crowd.callbacks.push(f)) {
            let error = self.error();
            callback::run_all(vec![boxed], &Completion::new(self.id(), error));
        }
    }

    /// Why there is no result, of a task that is done; to ask counts as having seen the failure.
    fn error(&self) -> Option<TaskError> {
        let error = self.any().error();
        if error.is_some() {
            self.header().word.mark_seen();
        }
        error
    }

    /// Waits; `Err` if the time is up first.
    pub(crate) fn wait_by(&self, deadline: Option<Instant>) -> Result<(), ()> {
        if self.wait_until(deadline) == Ending::TimedOut { Err(()) } else { Ok(()) }
    }

    #[inline]
    fn wait_until(&self, deadline: Option<Instant>) -> Ending {
        // Done already, as often: nothing is set up.
        if self.is_done() {
            return Ending::Done;
        }
        waiting::wait(&mut One::new(self), deadline)
    }

    /// The outcome, of a task that is done.
    fn take(&self) -> Result<T, TaskError> {
        match self.source().take() {
            Some(Err(error)) => {
                self.header().word.mark_seen();
                Err(error)
            }
            Some(ok) => ok,
            None => Err(TaskError::Abandoned),
        }
    }

    /// The outcome of a task that is done; the future is over, and its drop has nothing to look after.
    fn take_for_good(mut self) -> Result<T, TaskError> {
        let cell = self.cell.take().expect("there until the future is consumed");
        debug_assert!(cell.header().word.load().is_resolved(), "its outcome would be nobody's");
        // There is nothing left for its drop.
        std::mem::forget(self);
        cell.take_for_good().unwrap_or(Err(TaskError::Abandoned))
    }

    fn source(&self) -> &Pointer<dyn Source<T>> {
        self.cell.as_ref().expect("there until the future is consumed")
    }

    fn header(&self) -> &cell::Header {
        self.source().header()
    }

    fn any(&self) -> &dyn AnyCell {
        &**self.source()
    }
}

impl<T: Send + 'static> Future<T> {
    /// A future that is done from the start.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::Future;
    ///
    /// assert_eq!(Future::ready(Ok(3)).result()?, 3);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// ```
    pub fn ready(outcome: Result<T, TaskError>) -> Self {
        Future::from_cell(Cell::resolved(outcome))
    }

    /// Calls `f` once with the result, on the thread that ends the task, or here and now if it is done: a
    /// [done-callback](Future::add_done_callback) that owns the result. What it doesn't keep is dropped there.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    /// use std::sync::mpsc;
    ///
    /// let pool = ThreadPoolExecutor::new(2);
    /// let (sender, receiver) = mpsc::channel();
    /// for day in 1..=3 {
    ///     let sender = sender.clone();
    ///     pool.spawn(move || day * 10).on_done(move |result| drop(sender.send(result)));
    /// }
    /// drop(sender);
    /// let sum: i32 = receiver.iter().map(Result::unwrap).sum();
    /// assert_eq!(sum, 60);
    /// ```
    pub fn on_done(mut self, f: impl FnOnce(Result<T, TaskError>) + Send + 'static) {
        let cell = self.cell.take().expect("there until the future is consumed");
        let source = cell.clone();
        // The future is over, but its result is wanted: it stays in the cell until it is taken here.
        let callback: callback::Callback = Box::new(move |_| {
            f(source.take_for_good().unwrap_or(Err(TaskError::Abandoned)));
        });
        let any: &dyn AnyCell = &*cell;
        if let Err(callback) = any.add_to_crowd(callback, |crowd, f| crowd.callbacks.push(f)) {
            callback::run_all(vec![callback], &Completion::new(any.header().id, any.error()));
        }
    }

    /// A handle that cancels the task from elsewhere.
    ///
    /// Only where the result borrows nothing: the handle may outlive a scope.
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle::new(self.entry())
    }
}

impl<T, E: TaskFailure> Future<Result<T, E>> {
    /// [`result`](Future::result) of a fallible task that was given to `submit` and not to `try_submit`: the task's own
    /// error becomes [`TaskError::Failed`].
    ///
    /// # Errors
    ///
    /// As `result`, and `Failed` where the task returned `Err`.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::prelude::*;
    ///
    /// let pool = ThreadPoolExecutor::new(1);
    /// let n = pool.submit(|s: &str| s.parse::<i32>(), "7").flat_result()?;
    /// assert_eq!(n, 7);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// ```
    pub fn flat_result(self) -> Result<T, TaskError> {
        self.result()?.map_err(|error| TaskError::Failed(crate::error::Failed::new(error)))
    }
}

impl<T> Future<T> {
    /// Whether the task is done; if it isn't, its end wakes this waker, and no other of the owner.
    pub(crate) fn is_done_or_wakes(&self, waker: &Waker) -> bool {
        if self.header().word.load().is_resolved() {
            return true;
        }
        let waker = waiting::awaits(self, waker);
        // Dropped without the lock; and a waker's drop is not the poll's to panic of.
        match self.any().add_to_crowd(waker, |crowd, waker| crowd.set_waker(OWNER, waker)) {
            Ok(old) => {
                watchers::drop_waker(self.any(), old);
                false
            }
            Err(resolved_meanwhile) => {
                watchers::drop_waker(self.any(), Some(resolved_meanwhile));
                true
            }
        }
    }
}

/// Awaiting needs no particular runtime. A future awaited by `&mut` has given its result away: it is done, and from then on
/// its error is [`Abandoned`](TaskError::Abandoned), unless the task failed. Dropping it while it is awaited detaches.
///
/// # Panics
///
/// If it is polled again after it gave its result, as futures do.
impl<T> std::future::Future for Future<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.is_done_or_wakes(cx.waker()) {
            return Poll::Pending;
        }
        match self.source().take() {
            Some(outcome) => {
                if outcome.is_err() {
                    self.header().word.mark_seen();
                }
                Poll::Ready(outcome)
            }
            None => panic!("a future was polled after it gave its result"),
        }
    }
}

/// Nothing in the handle is pinned.
impl<T> Unpin for Future<T> {}

impl<T> Watched for Future<T> {
    fn cell(&self) -> &dyn AnyCell {
        self.any()
    }

    fn entry(&self) -> Entry {
        self.cell.clone().expect("there until the future is consumed").into_entry()
    }
}

impl<T> Drop for Future<T> {
    fn drop(&mut self) {
        let Some(cell) = self.cell.take() else { return };
        let before = cell.header().word.mark_unwanted();
        if before.is_resolved() {
            // On the owner's own stack: a panic in the value's drop is the owner's to see.
            if let Some(Err(error)) = cell.take_for_good()
                && !before.is_seen()
            {
                unobserved::report(cell.header().id, &error);
            }
        } else if before.is_watched() {
            let any: &dyn AnyCell = &*cell;
            // The owner may be unwinding, and the waker's drop is another's code.
            watchers::drop_waker(any, any.take_from_crowd(|crowd| crowd.remove_waker(OWNER)));
        }
    }
}

/// The state and, of a finished one, whether it failed; never the value.
impl<T> fmt::Debug for Future<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "Future", std::any::type_name::<T>(), self.any())
    }
}

fn debug(f: &mut fmt::Formatter<'_>, name: &str, result: &str, cell: &dyn AnyCell) -> fmt::Result {
    let header = cell.header();
    let mut out = f.debug_struct(name);
    out.field("id", &header.id.get()).field("state", &header.word.load().state());
    match cell.error() {
        Some(error) => out.field("error", &error).finish(),
        None => out.field("result", &format_args!("{result}")).finish(),
    }
}

/// What is told of a wait that could never end.
fn never() -> TaskError {
    TaskError::Broken(Broken::new(
        waiting::host().map_or("this wait could never end", |host| host.why_never()),
    ))
}
