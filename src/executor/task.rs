//! [`Task`]: what an executor is given.

use super::call::{Call, TryCall};
#[cfg(feature = "process")]
use super::carrier::Registration;
#[cfg(feature = "process")]
use crate::blob;
#[cfg(feature = "process")]
use crate::error::CodecError;
use crate::error::{TaskError, TaskFailure};
#[cfg(feature = "process")]
use crate::future::cell::Kept;
use crate::future::cell::{self, Cell, Entry};
use crate::future::extra::{Items, LateOptions, OfMap};
use crate::future::publish::{fail_claimed, own, run_here};
use crate::future::state::Phase;
use crate::future::work::Work;
use crate::future::{Future, TaskOptions};
use crate::id::FutureId;
#[cfg(feature = "process")]
use crate::remote::codec::Output;
#[cfg(feature = "process")]
use crate::remote::parcel::{Header, Parcel};
#[cfg(feature = "process")]
use crate::remote::{outcome, parcel};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::fmt;

/// What can go to another process. The same bound in every feature set, so that code which compiles without processes
/// compiles with them; types without serde's traits go through the inherent verbs of
/// [`ThreadPoolExecutor`](crate::ThreadPoolExecutor).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel to another process",
    label = "must own its data and implement serde's traits",
    note = "it must be `Serialize + DeserializeOwned + Send + 'static`: derive serde's traits; pass an owned value in place of a reference (`.cloned()`, or `|s: String| shout(&s)`)",
    note = "a task that returns a `Result` whose error implements none of serde's traits, such as `anyhow::Result`, goes through `try_submit` and `try_map`",
    note = "on a thread pool the inherent `submit` takes any `Send` type: call it on the `ThreadPoolExecutor` itself, not through the `Executor` trait"
)]
pub trait Portable: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Portable for T {}

/// A future's other end, type-erased: the future's own allocation under another type, not a box around it.
///
/// An executor gets it in [`Executor::execute`](crate::Executor::execute) and runs it here, with [`run`](Task::run), on
/// whatever thread it likes; or, if it [is portable](Task::is_portable), elsewhere: `encode`, `dispatch` (or `start`), send,
/// and `complete` with the reply (feature `process`). Dropped without that, it resolves its future as [`Abandoned`](TaskError::Abandoned).
///
/// Whatever was done to a task before, fresh, [started](Task::start), dispatched, encoded or cancelled: given to any executor of this
/// crate it resolves its future, with its result or with the reason why there is none.
///
/// # Examples
///
/// ```
/// use concurrent_futures::Task;
///
/// let (task, future) = Task::local(|| 6 * 7);
/// std::thread::spawn(move || task.run());
/// assert_eq!(future.result()?, 42);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
#[must_use = "a task that is dropped resolves its future as abandoned; `run` it"]
pub struct Task {
    cell: Option<Entry>,
    /// How often it was encoded.
    #[cfg(feature = "process")]
    attempts: u32,
}

impl Task {
    /// A task that could run in any process: a `fn`, or a closure that captures nothing, and a serde argument.
    ///
    /// ```compile_fail,E0308
    /// let captured = 3;
    /// let _ = concurrent_futures::Task::new(move |x: u32| x + captured, 1);
    /// ```
    pub fn new<A: Portable, R: Portable>(f: fn(A) -> R, arg: A) -> (Task, Future<R>) {
        Task::from_work(Call { f, arg })
    }

    /// As [`new`](Task::new), for a task that may fail: an `Err` is the task's failure.
    pub fn fallible<A, T, E>(f: fn(A) -> Result<T, E>, arg: A) -> (Task, Future<T>)
    where
        A: Portable,
        T: Portable,
        E: TaskFailure,
    {
        Task::from_work(TryCall { f, arg })
    }

    /// A task that can run in this process only: any closure, any result.
    pub fn local<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> (Task, Future<R>) {
        Task::from_work(|| Ok(f()))
    }

    pub(crate) fn from_work<W, T>(work: W) -> (Task, Future<T>)
    where
        W: Work<T> + 'static,
        T: Send + 'static,
    {
        let [entry, cell] = Cell::queued(work, LateOptions::default());
        (Task::from_entry(entry.into_entry()), Future::from_cell(cell))
    }

    /// A task of a map, which is for these items of its input.
    pub(super) fn of_map<W, T, I>(work: W, items: I) -> (Task, Future<T>)
    where
        W: Work<T> + 'static,
        T: Send + 'static,
        I: Items + 'static,
    {
        let [entry, cell] = Cell::queued(work, OfMap { extra: LateOptions::default(), items });
        (Task::from_entry(entry.into_entry()), Future::from_cell(cell))
    }

    /// Gives the task its options. They can be given once; a second call changes nothing.
    pub fn with_options(self, options: TaskOptions) -> Self {
        self.cell().extra().set_options(options);
        self
    }

    /// What was asked for this task.
    pub fn options(&self) -> &TaskOptions {
        self.cell().options()
    }

    /// Names the task, as its future's `id` does.
    pub fn id(&self) -> FutureId {
        self.cell().header().id
    }

    /// Whether the future was cancelled: there is nothing to run then, and dropping the task is all that is left.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cell().header().word.load().phase(), Phase::Cancelled | Phase::Cancelling)
    }

    /// Whether it could run in another process.
    pub fn is_portable(&self) -> bool {
        self.cell().is_portable()
    }

    /// Has `f` called by the future's `kill`, should the task run then: it ends whatever runs the task, and says whether
    /// it could. The last one set counts.
    pub fn on_kill(&self, f: impl FnOnce() -> bool + Send + 'static) {
        let hook: Box<dyn FnOnce() -> bool + Send> = Box::new(f);
        // Done already: there is nothing to kill.
        drop(self.cell().add_to_crowd(hook, |crowd, hook| crowd.on_kill.replace(hook)));
    }

    /// Runs the task here and resolves its future. A panic in it is caught and becomes the future's error. Does nothing
    /// if the task was cancelled. Inside other tasks, on a thread whose stack is nearly spent, it doesn't run and fails
    /// with [`Rejected::StackSpent`](crate::Rejected::StackSpent).
    pub fn run(mut self) {
        let cell = self.cell.take().expect("consumed by value");
        if own(&*cell) {
            run_here(&cell, None, |_| {});
        }
    }

    /// Marks the task as running, after which it can't be cancelled. False if it was cancelled first.
    ///
    /// An executor of this crate to which a started task is given queues it anew: the task can be cancelled again until
    /// that executor begins it.
    pub fn start(&self) -> bool {
        own(self.cell())
    }

    /// Marks the task as handed to `carrier`, which from here on is asked where it stands, and whether it can be cancelled or
    /// killed. False if it was cancelled first. Of a task that was started before it changes nothing and is true.
    ///
    /// Whoever holds the task still ends it, by [`complete`](Task::complete), [`fail`](Task::fail) or [`run`](Task::run). Given
    /// to another executor it is that one's: the carrier is not asked any more.
    #[cfg(feature = "process")]
    pub fn dispatch(&self, carrier: &Registration) -> bool {
        let header = self.cell().header();
        // Before the phase, by which others find it.
        header.home.set(carrier.id);
        header.word.dispatch() || matches!(header.word.load().phase(), Phase::Dispatched | Phase::Running)
    }

    /// Ends the task with an error in place of a result. False if it was cancelled first.
    pub fn fail(mut self, error: TaskError) -> bool {
        let cell = self.cell.take().expect("consumed by value");
        let owned = own(&*cell);
        if owned {
            fail_claimed(&*cell, error);
        }
        owned
    }

    /// Encodes the call, for another process: see [`remote::execute`](crate::remote::execute). Can be called again for another attempt, and the
    /// task can still be [run](Task::run) here.
    ///
    /// # Errors
    ///
    /// [`TaskError::Codec`] if serde can't carry the argument, [`Rejected::NotPortable`](crate::Rejected::NotPortable)
    /// of a [`local`](Task::local) task; [`Abandoned`](TaskError::Abandoned) if it has run or was cancelled. The error
    /// is for [`fail`](Task::fail).
    #[cfg(feature = "process")]
    pub fn encode(&mut self) -> Result<Parcel, TaskError> {
        self.encode_keeping(Kept::Work)
    }

    /// As [`encode`](Task::encode), and drops the argument: it is in memory once, in the parcel. Another attempt is made of
    /// the parcel, by [`Parcel::try_again`]; run here or encoded again, the task fails with
    /// [`Rejected::Encoded`](crate::Rejected::Encoded).
    ///
    /// # Errors
    ///
    /// As `encode`.
    #[cfg(feature = "process")]
    pub fn encode_once(&mut self) -> Result<Parcel, TaskError> {
        self.encode_keeping(Kept::Nothing)
    }

    #[cfg(feature = "process")]
    fn encode_keeping(&mut self, kept: Kept) -> Result<Parcel, TaskError> {
        let cell = self.cell();
        let mut argument = Output::default();
        let (route, blobs) = blob::collect(|| cell.encode(kept, &mut argument));
        let header = Header::new(cell.header().id, self.attempts + 1, route?);
        self.attempts += 1;
        Ok(Parcel::new(&header, &argument, blobs.into_vec()))
    }

    /// Ends the task with the reply that [`remote::execute`](crate::remote::execute) gave for its parcel, of whichever attempt. False if it was
    /// cancelled first. A reply that is none, or another task's, is the task's error; see
    /// [`try_complete`](Task::try_complete).
    #[cfg(feature = "process")]
    pub fn complete(self, reply: &[u8]) -> bool {
        match self.try_complete(reply) {
            Ok(is_ended) => is_ended,
            Err((task, error)) => task.fail(TaskError::Codec(error)),
        }
    }

    /// As [`complete`](Task::complete), but gives the task back if the reply is none, or another task's: for a transport that
    /// delivers what others can write to as well.
    ///
    /// # Errors
    ///
    /// The task as it was, and why the reply is not its reply.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{Task, remote};
    ///
    /// let (mut task, future) = Task::new(|n: u32| n + 1, 41);
    /// let parcel = task.encode()?;
    /// let (task, error) = task.try_complete(b"rubbish").unwrap_err();
    /// assert_eq!(error.to_string(), "the result could not be decoded: the reply is too short");
    /// // SAFETY: this process has just made the parcel.
    /// let reply = unsafe { remote::execute(parcel.as_bytes()) };
    /// assert!(matches!(task.try_complete(&reply), Ok(true)));
    /// assert_eq!(future.result()?, 42);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// ```
    #[cfg(feature = "process")]
    pub fn try_complete(mut self, reply: &[u8]) -> Result<bool, (Task, CodecError)> {
        let outcome = match outcome::open(reply, parcel::nonce(), self.id().get()) {
            Ok(outcome) => outcome,
            Err(error) => return Err((self, error)),
        };
        let cell = self.cell.take().expect("consumed by value");
        let owned = own(&*cell);
        if owned {
            let phase = cell.complete(outcome);
            crate::future::publish::publish_here(&*cell, Phase::Running, phase);
        }
        Ok(owned)
    }

    /// The carrier gave the task back: it is the caller's to cancel, who publishes that. False if it has ended.
    #[cfg(feature = "process")]
    pub(super) fn into_cancelling(mut self) -> bool {
        let is_cancelling = self.cell().header().word.cancel_owned();
        if is_cancelling {
            self.cell = None;
        }
        is_cancelling
    }

    fn from_entry(entry: Entry) -> Self {
        Task {
            cell: Some(entry),
            #[cfg(feature = "process")]
            attempts: 0,
        }
    }

    /// The pool's pointer; the pool answers for the task from here on. One that was started or dispatched is queued anew: a pool takes
    /// what is queued, and nobody else may claim or cancel the task before that. Its work has not begun, since what runs
    /// or ends a task consumes it.
    pub(crate) fn into_entry(mut self) -> Entry {
        let cell = self.cell.take().expect("consumed by value");
        cell.header().word.unclaim();
        cell
    }

    fn cell(&self) -> &dyn cell::AnyCell {
        &**self.cell.as_ref().expect("consumed by value")
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take()
            && own(&*cell)
        {
            fail_claimed(&*cell, TaskError::Abandoned);
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cell {
            Some(cell) => f.debug_struct("Task").field("id", &cell.header().id).finish_non_exhaustive(),
            None => f.write_str("Task"),
        }
    }
}
