//! Every error that a user meets: what became of a task ([`TaskError`]), of a wait ([`TimedOut`]), of a pool's start
//! ([`BuildError`]).
//!
//! The structs behind [`TaskError`]'s variants are opaque and have constructors, so that an executor written outside
//! this crate can make them and fields can be added later. Messages are lower-case without a final dot, and say what
//! happened, to which task, in which worker, and what to do about it.

use crate::contain::{Panic, Payload};
use crate::id::FutureId;
use crate::sync::Mutex;
use std::any::Any;
use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A boxed error as most crates use it.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Why a task has no result.
///
/// Small and cheap to clone, `Send + Sync + 'static`: `?` takes it into `anyhow::Error` and into
/// `Box<dyn Error + Send + Sync>`.
///
/// Python raises the task's own exception and a few of the library's from the same `result()`; here a task's own error
/// is always [`TaskError::Failed`], so it can't be mistaken for one of the pool's, and a wait that ran out of time is
/// another type altogether ([`TimedOut`]).
///
/// # Examples
///
/// ```
/// use concurrent_futures::{TaskError, prelude::*};
///
/// let pool = ThreadPoolExecutor::new(1);
/// match pool.submit(|n: u32| 10 / n, 0).result() {
///     Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "attempt to divide by zero"),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// `cancel()` came before the task began.
    #[error("the task was cancelled before it began")]
    Cancelled,
    /// The task itself returned an `Err` (the `try_` verbs).
    #[error(transparent)]
    Failed(Failed),
    /// The task panicked.
    #[error(transparent)]
    Panicked(Panicked),
    /// The task ran longer than its own limit, [`TaskOptions::timeout`](crate::TaskOptions::timeout).
    #[error(transparent)]
    TimeLimit(TimeLimit),
    /// The worker process that ran the task died.
    #[error(transparent)]
    WorkerDied(WorkerDied),
    /// An argument or a result could not be encoded or decoded on its way between processes.
    #[error(transparent)]
    Codec(CodecError),
    /// The pool can't run anything any more.
    #[error(transparent)]
    Broken(Broken),
    /// The executor did not take the task.
    #[error(transparent)]
    Rejected(Rejected),
    /// The [`Promise`](crate::Promise) or [`Task`](crate::Task) that should have given the result was dropped; also
    /// what a future says whose result has been taken already, by a `&mut future` that was awaited.
    #[error("the result will never come: whoever should have given it dropped its end")]
    Abandoned,
}

impl TaskError {
    /// Names the map's item that this error stands in the place of, and its task where the error doesn't yet.
    #[cold]
    pub(crate) fn in_map(self, task: FutureId, label: Option<&Arc<str>>, item: Item) -> Self {
        match self {
            TaskError::Panicked(panic) => TaskError::Panicked(panic.edit(|inner| {
                inner.at.item = Some(item);
                if inner.at.task.is_none() {
                    (inner.at.task, inner.at.label) = (Some(task), label.cloned());
                }
            })),
            TaskError::WorkerDied(mut died) => {
                Arc::make_mut(&mut died.0).at.item = Some(item);
                TaskError::WorkerDied(died)
            }
            TaskError::TimeLimit(mut over) => {
                Arc::make_mut(&mut over.0).at.item = Some(item);
                TaskError::TimeLimit(over)
            }
            other => other,
        }
    }
}

// ---- failed --------------------------------------------------------------------------------------

/// The task's own error.
///
/// `Display` and `source()` are the inner error's, so that a chain of causes prints each cause once.
#[derive(Clone)]
pub struct Failed(Arc<FailedInner>);

struct FailedInner {
    error: BoxError,
    type_name: Cow<'static, str>,
}

impl Failed {
    /// Wraps a task's error.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::Failed;
    ///
    /// let failed = Failed::new("no such day".to_string());
    /// assert_eq!(failed.to_string(), "no such day");
    /// assert_eq!(failed.type_name(), "alloc::string::String");
    /// ```
    pub fn new<E: TaskFailure>(error: E) -> Self {
        let type_name = Cow::Borrowed(std::any::type_name::<E>());
        Failed(Arc::new(FailedInner { error: error.into_box(), type_name }))
    }

    /// An error of another process: the name of its type, its text and those of its causes.
    #[cfg(feature = "process")]
    pub(crate) fn from_elsewhere(type_name: String, chain: impl Iterator<Item = String>) -> Self {
        let texts: Vec<String> = chain.collect();
        let link = |source, text| Some(Box::new(Elsewhere { text, source }));
        let error = texts.into_iter().rev().fold(None, link).unwrap_or_default();
        Failed(Arc::new(FailedInner { error, type_name: Cow::Owned(type_name) }))
    }

    /// The name of the error's type, as the compiler writes it.
    pub fn type_name(&self) -> &str {
        &self.0.type_name
    }

    /// The error itself.
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0.error
    }

    /// The error itself, if it is an `E`. An `anyhow::Error` keeps its chain of causes but hides its type; of an error
    /// that comes from another process the texts are left, and [`type_name`](Failed::type_name).
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{TaskError, prelude::*};
    /// use std::num::ParseIntError;
    ///
    /// let pool = ThreadPoolExecutor::new(1);
    /// let error = pool.try_submit(|s: &str| s.parse::<u32>(), "x").result().unwrap_err();
    /// let TaskError::Failed(failed) = error else { panic!("{error}") };
    /// assert!(failed.downcast_ref::<ParseIntError>().is_some());
    /// ```
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.error.downcast_ref()
    }

    /// The error, owned.
    ///
    /// # Errors
    ///
    /// `self`, while other clones of it live.
    pub fn into_inner(self) -> Result<BoxError, Self> {
        Arc::try_unwrap(self.0).map(|inner| inner.error).map_err(Failed)
    }
}

/// A task's error as it arrives from another process: its text, and those of its causes.
#[cfg(feature = "process")]
#[derive(Debug, Default)]
struct Elsewhere {
    text: String,
    source: Option<Box<Elsewhere>>,
}

#[cfg(feature = "process")]
impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(feature = "process")]
impl Error for Elsewhere {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}

impl fmt::Debug for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Failed").field(&self.0.error).finish()
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.error.fmt(f)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.error.source()
    }
}

/// What a fallible task may return as its error: whatever converts into [`BoxError`], such as `anyhow::Error`,
/// `io::Error`, `String` or a type of your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a task's error",
    label = "not an error that can leave its thread",
    note = "it must convert into `Box<dyn std::error::Error + Send + Sync>`: implement `std::error::Error` for it, or use `anyhow::Error` or `String`",
    note = "a `Box<dyn Error>` needs `+ Send + Sync`"
)]
pub trait TaskFailure: 'static {
    #[doc(hidden)]
    fn into_box(self) -> BoxError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError> + 'static> TaskFailure for E {
    fn into_box(self) -> BoxError {
        self.into()
    }
}

// ---- panicked ------------------------------------------------------------------------------------

/// The task panicked. The worker caught it and lives on.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{TaskError, prelude::*};
///
/// let pool = ThreadPoolExecutor::builder().max_workers(1).name_prefix("fetch").build()?;
/// let error = pool.spawn(|| panic!("no route")).result().unwrap_err();
/// let TaskError::Panicked(panic) = error else { panic!("{error}") };
/// assert_eq!(panic.message(), "no route");
/// assert_eq!(panic.worker(), Some("fetch_0"));
/// # Ok::<(), concurrent_futures::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Panicked(Arc<PanickedInner>);

#[derive(Default)]
struct PanickedInner {
    message: String,
    location: Option<String>,
    backtrace: OnceLock<String>,
    captured: Option<Backtrace>,
    at: Whereabouts,
    /// Shared by all clones, also by those that name more.
    payload: Arc<Mutex<Option<Payload>>>,
}

/// Which task, where: what every error about a task's run can name.
#[derive(Debug, Clone, Default)]
struct Whereabouts {
    task: Option<FutureId>,
    label: Option<Arc<str>>,
    worker: Option<Arc<str>>,
    item: Option<Item>,
}

/// Whose result of a map an error takes the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its place in the map's input.
    pub(crate) index: usize,
    /// The error is that of a task of several items, and which of them ran is not known.
    pub(crate) is_one_of_several: bool,
}

impl Whereabouts {
    fn set(&mut self, task: FutureId, label: Option<Arc<str>>, worker: Arc<str>) {
        (self.task, self.label, self.worker) = (Some(task), label, Some(worker));
    }
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task")?;
        match (&self.label, self.task) {
            (Some(label), _) => write!(f, " `{label}`")?,
            (None, Some(id)) => write!(f, " {id}")?,
            (None, None) => {}
        }
        match self.item {
            Some(Item { index, is_one_of_several: false }) => write!(f, " (item {index} of the map)")?,
            Some(Item { index, .. }) => write!(f, " (a chunk with item {index} of the map)")?,
            None => {}
        }
        match &self.worker {
            Some(worker) => write!(f, " in worker {worker}"),
            None => Ok(()),
        }
    }
}

impl Panicked {
    /// A panic with this message, for executors outside this crate.
    pub fn new(message: impl Into<String>) -> Self {
        Panicked(Arc::new(PanickedInner { message: message.into(), ..Default::default() }))
    }

    /// A panic caught on this thread, whose name is the worker's.
    pub(crate) fn caught(panic: Panic) -> Self {
        let worker = std::thread::current().name().map(Arc::from);
        Panicked(Arc::new(PanickedInner {
            at: Whereabouts { worker, ..Whereabouts::default() },
            message: panic.message(),
            location: panic.location,
            captured: panic.backtrace,
            payload: Arc::new(Mutex::new(Some(panic.payload))),
            ..Default::default()
        }))
    }

    /// Adds where in the source it happened, as `file:line:column`.
    #[must_use]
    pub fn with_location(self, location: impl Into<String>) -> Self {
        self.edit(|inner| inner.location = Some(location.into()))
    }

    /// Adds the stack, as text.
    #[must_use]
    pub fn with_backtrace(self, backtrace: impl Into<String>) -> Self {
        self.edit(|inner| inner.backtrace = OnceLock::from(backtrace.into()))
    }

    /// Adds the name of the worker.
    #[must_use]
    pub fn with_worker(self, worker: impl Into<Arc<str>>) -> Self {
        self.edit(|inner| inner.at.worker = Some(worker.into()))
    }

    /// Adds which task it was, and its label if it has one.
    #[must_use]
    pub fn with_task(self, task: FutureId, label: Option<Arc<str>>) -> Self {
        self.edit(|inner| (inner.at.task, inner.at.label) = (Some(task), label))
    }

    /// What the panic said; a stand-in when its payload is no text.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// `file:line:column` of the panic. `None` when the program's own panic hook hides it.
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// The stack, when `RUST_BACKTRACE` (or `RUST_LIB_BACKTRACE`) was set.
    pub fn backtrace(&self) -> Option<&str> {
        match (&self.0.captured, self.0.backtrace.get()) {
            (_, Some(text)) => Some(text),
            (Some(captured), None) => Some(self.0.backtrace.get_or_init(|| captured.to_string())),
            (None, None) => None,
        }
    }

    /// The name of the worker that ran the task.
    pub fn worker(&self) -> Option<&str> {
        self.0.at.worker.as_deref()
    }

    /// The id of the task.
    pub fn task(&self) -> Option<FutureId> {
        self.0.at.task
    }

    /// The label the task was given by [`TaskOptions::label`](crate::TaskOptions::label).
    pub fn label(&self) -> Option<&str> {
        self.0.at.label.as_deref()
    }

    /// The place in the map's input of the item whose call panicked, from 0, if the task was one of a map.
    pub fn item(&self) -> Option<usize> {
        self.0.at.item.map(|item| item.index)
    }

    /// What the panic carried, for `std::panic::resume_unwind`. `None` when a clone of this error gave it away already,
    /// or the panic happened in another process.
    pub fn into_payload(self) -> Option<Box<dyn Any + Send>> {
        self.0.payload.lock().take().map(Payload::into_inner)
    }

    fn edit(mut self, change: impl FnOnce(&mut PanickedInner)) -> Self {
        if Arc::get_mut(&mut self.0).is_none() {
            self.0 = Arc::new(PanickedInner {
                message: self.0.message.clone(),
                location: self.0.location.clone(),
                backtrace: self.backtrace().map(|text| OnceLock::from(text.to_owned())).unwrap_or_default(),
                captured: None,
                at: self.0.at.clone(),
                payload: self.0.payload.clone(),
            });
        }
        change(Arc::get_mut(&mut self.0).expect("just made unique"));
        self
    }
}

impl fmt::Debug for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panicked")
            .field("message", &self.0.message)
            .field("location", &self.0.location)
            .field("worker", &self.0.at.worker)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} panicked", self.0.at)?;
        if let Some(location) = &self.0.location {
            write!(f, " at {location}")?;
        }
        write!(f, ": {}", self.0.message)
    }
}

impl Error for Panicked {}

// ---- timed out (the task's own limit) --------------------------------------------------------------

/// The task ran longer than its own limit and was stopped. A wait that ran out of time is [`TimedOut`], not this.
///
/// # Examples
///
/// ```
/// use concurrent_futures::TimeLimit;
/// use std::time::Duration;
///
/// let over = TimeLimit::new(Duration::from_secs(2));
/// assert_eq!(over.to_string(), "task ran longer than its limit of 2s and was stopped");
/// ```
#[derive(Debug, Clone)]
pub struct TimeLimit(Arc<TimeLimitInner>);

#[derive(Debug, Clone)]
struct TimeLimitInner {
    limit: Duration,
    at: Whereabouts,
}

impl TimeLimit {
    /// A task stopped after `limit`.
    pub fn new(limit: Duration) -> Self {
        TimeLimit(Arc::new(TimeLimitInner { limit, at: Whereabouts::default() }))
    }

    /// Adds which task it was, its label if it has one, and the worker's name.
    #[must_use]
    pub fn with_task(mut self, task: FutureId, label: Option<Arc<str>>, worker: impl Into<Arc<str>>) -> Self {
        Arc::make_mut(&mut self.0).at.set(task, label, worker.into());
        self
    }

    /// The limit that the task was given.
    pub fn limit(&self) -> Duration {
        self.0.limit
    }

    /// The id of the task.
    pub fn task(&self) -> Option<FutureId> {
        self.0.at.task
    }

    /// The label of the task.
    pub fn label(&self) -> Option<&str> {
        self.0.at.label.as_deref()
    }

    /// The name of the worker that ran the task.
    pub fn worker(&self) -> Option<&str> {
        self.0.at.worker.as_deref()
    }

    /// The place in the map's input of the item that has no result because of this, from 0, if the task was one of a
    /// map. The items of a chunk share a limit, and which of them ran when it was reached is not known.
    pub fn item(&self) -> Option<usize> {
        self.0.at.item.map(|item| item.index)
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ran longer than its limit of {:?} and was stopped", self.0.at, self.0.limit)
    }
}

impl Error for TimeLimit {}

// ---- worker died -----------------------------------------------------------------------------------

/// The worker process died while it ran the task.
///
/// # Examples
///
/// ```
/// use concurrent_futures::WorkerDied;
///
/// let died = WorkerDied::new(4711).with_signal(9).with_cause("likely out of memory");
/// assert_eq!(died.to_string(), "worker process 4711 died by signal 9: likely out of memory");
/// ```
#[derive(Debug, Clone)]
pub struct WorkerDied(Arc<WorkerDiedInner>);

#[derive(Debug, Clone)]
struct WorkerDiedInner {
    pid: u32,
    signal: Option<i32>,
    exit_code: Option<i32>,
    cause: Option<String>,
    at: Whereabouts,
}

impl WorkerDied {
    /// A death of the process `pid`.
    pub fn new(pid: u32) -> Self {
        let at = Whereabouts::default();
        WorkerDied(Arc::new(WorkerDiedInner { pid, signal: None, exit_code: None, cause: None, at }))
    }

    /// Adds the signal that ended it.
    #[must_use]
    pub fn with_signal(mut self, signal: i32) -> Self {
        Arc::make_mut(&mut self.0).signal = Some(signal);
        self
    }

    /// Adds the code it exited with.
    #[must_use]
    pub fn with_exit_code(mut self, code: i32) -> Self {
        Arc::make_mut(&mut self.0).exit_code = Some(code);
        self
    }

    /// Adds what most likely made it die.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).cause = Some(cause.into());
        self
    }

    /// Adds which task it ran, its label if it has one, and the worker's name.
    #[must_use]
    pub fn with_task(mut self, task: FutureId, label: Option<Arc<str>>, worker: impl Into<Arc<str>>) -> Self {
        Arc::make_mut(&mut self.0).at.set(task, label, worker.into());
        self
    }

    /// The id of the task that it ran.
    pub fn task(&self) -> Option<FutureId> {
        self.0.at.task
    }

    /// The label of that task.
    pub fn label(&self) -> Option<&str> {
        self.0.at.label.as_deref()
    }

    /// The name of the worker.
    pub fn worker(&self) -> Option<&str> {
        self.0.at.worker.as_deref()
    }

    /// The place in the map's input of the item that has no result because of this, from 0, if the task was one of a
    /// map. Which item of a chunk ran when the worker died is not known.
    pub fn item(&self) -> Option<usize> {
        self.0.at.item.map(|item| item.index)
    }

    /// The process id it had.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// The signal that ended it, if one did.
    pub fn signal(&self) -> Option<i32> {
        self.0.signal
    }

    /// The code it exited with, if it exited.
    pub fn exit_code(&self) -> Option<i32> {
        self.0.exit_code
    }

    /// What most likely made it die.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }
}

impl fmt::Display for WorkerDied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker process {} died", self.0.pid)?;
        match (self.0.signal, self.0.exit_code) {
            (Some(signal), _) => write!(f, " by signal {signal}")?,
            (None, Some(code)) => write!(f, " with exit code {code}")?,
            (None, None) => {}
        }
        if self.0.at.task.is_some() {
            write!(f, " while it ran {}", self.0.at)?;
        }
        match &self.0.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl Error for WorkerDied {}

// ---- codec -----------------------------------------------------------------------------------------

/// Where on its way a value could not be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The argument, before it was sent.
    EncodeArgument,
    /// The argument, in the worker.
    DecodeArgument,
    /// The result, in the worker.
    EncodeResult,
    /// The result, when it came back.
    DecodeResult,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::EncodeArgument => "the argument could not be encoded",
            Stage::DecodeArgument => "the argument could not be decoded in the worker",
            Stage::EncodeResult => "the result could not be encoded in the worker",
            Stage::DecodeResult => "the result could not be decoded",
        })
    }
}

/// A value could not be carried between processes.
#[derive(Debug, Clone)]
pub struct CodecError(Arc<(Stage, String)>);

impl CodecError {
    /// A failure at `stage`, told by `reason`.
    pub fn new(stage: Stage, reason: impl Into<String>) -> Self {
        CodecError(Arc::new((stage, reason.into())))
    }

    /// Where on its way the value was.
    pub fn stage(&self) -> Stage {
        self.0.0
    }

    /// What the encoder or decoder said.
    pub fn reason(&self) -> &str {
        &self.0.1
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.0, self.0.1)
    }
}

impl Error for CodecError {}

// ---- broken ----------------------------------------------------------------------------------------

/// The pool can't run anything any more: an initializer failed, or no worker could be started. Every queued future and
/// every later submit gets this, with the error that broke the pool inside.
///
/// `Display` ends with that error's text and `source()` is that error's, so that a chain prints each cause once.
#[derive(Debug, Clone)]
pub struct Broken(Arc<BrokenInner>);

#[derive(Debug)]
struct BrokenInner {
    reason: String,
    source: Option<BoxError>,
}

impl Broken {
    /// A pool that broke for this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Broken(Arc::new(BrokenInner { reason: reason.into(), source: None }))
    }

    /// A pool that broke because of `source`.
    pub fn with_source(reason: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Broken(Arc::new(BrokenInner { reason: reason.into(), source: Some(source.into()) }))
    }

    /// Why it broke.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The reason and the error that broke it, in one text.
    pub(crate) fn why(&self) -> String {
        match &self.0.source {
            Some(cause) => format!("{}: {cause}", self.0.reason),
            None => self.0.reason.clone(),
        }
    }

    /// The error that broke it, if one did.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the pool is broken: {}", self.why())
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().and_then(|cause| cause.source())
    }
}

// ---- rejected --------------------------------------------------------------------------------------

/// The executor did not take the task; nothing of it ran.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// `shutdown` came first.
    #[error("the task was rejected: the executor is shut down")]
    ShutDown,
    /// The bounded queue is full ([`WhenFull::Reject`](crate::WhenFull::Reject)).
    #[error(
        "the task was rejected: the queue is full; submit again later, or bound the queue with WhenFull::Block"
    )]
    Full,
    /// The executor runs tasks elsewhere, and this one can only run in its own process.
    #[error(
        "the task was rejected: it can't leave this process; submit a `fn` and a serde argument instead of a closure"
    )]
    NotPortable,
    /// The executor can't honour one of the task's options.
    #[error("the task was rejected: {0}")]
    Unsupported(Unsupported),
    /// Only a thread whose stack is nearly spent could have run it, inside the tasks or callbacks that it runs already:
    /// the one that submits it ([`WhenFull::CallerRuns`](crate::WhenFull::CallerRuns),
    /// [`InlineExecutor`](crate::InlineExecutor), [`Task::run`](crate::Task::run)), or a worker that waits for it when no
    /// further thread can be had.
    #[error(
        "the task was rejected: it could only run inside other tasks on a thread whose stack is nearly spent; \
         nest tasks less deeply, or give that thread a larger stack"
    )]
    StackSpent,
}

/// Which option can't be honoured, and why.
#[derive(Debug, Clone)]
pub struct Unsupported(Arc<String>);

impl Unsupported {
    /// An option refused for this reason.
    pub fn new(reason: &str) -> Self {
        Unsupported(Arc::new(reason.to_owned()))
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// ---- a wait that ran out -----------------------------------------------------------------------------

/// A wait that ran out of time; gives back what was waited for.
///
/// Nothing happened to the task: it may still run, and can be waited for again. (A task that exceeds its *own* limit
/// is [`TaskError::TimeLimit`]. Python uses one `TimeoutError` for both.)
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

// ---- a pool that can't be built ------------------------------------------------------------------------

/// Why `build()` refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// `max_workers(0)`.
    #[error("a pool needs at least one worker: max_workers is 0")]
    NoWorkers,
    /// `queue_capacity(0, ..)`.
    #[error("a bounded queue needs room for at least one task: queue_capacity is 0")]
    NoCapacity,
    /// `max_tasks_per_child(0)`.
    #[error("a worker must be good for at least one task: max_tasks_per_child is 0")]
    NoTasks,
    /// An option has a value that nothing can be done with.
    #[error("{option} can't be {value}: {why}")]
    #[non_exhaustive]
    Invalid {
        /// The builder's method.
        option: &'static str,
        /// What it was given, the beginning of a long one.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// The initializer's argument can't be sent to the workers.
    #[error("the initializer can't be sent to the workers: {0}")]
    Initializer(String),
    /// The platform or this program's start doesn't allow it.
    #[error("this executor can't be used here: {0}")]
    Unsupported(String),
}

impl BuildError {
    #[cfg(feature = "process")]
    pub(crate) fn invalid(option: &'static str, value: impl fmt::Debug, why: impl fmt::Display) -> Self {
        /// A value may be of any length; its beginning says which it is.
        const MOST: usize = 100;
        let text = format!("{value:?}");
        let mut value: String = text.chars().take(MOST).collect();
        if value.len() < text.len() {
            value.push_str("..");
        }
        BuildError::Invalid { option, value, why: why.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Broken, Failed, Panicked, Rejected, TaskError, TimedOut};
    use std::error::Error;

    #[test]
    fn a_task_error_is_two_words() {
        assert_eq!(size_of::<TaskError>(), 16);
        assert_eq!(size_of::<Result<(), TaskError>>(), 16);
    }

    #[test]
    fn a_chain_prints_each_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("load model")]
        struct Outer(#[source] std::io::Error);
        let error = TaskError::Failed(Failed::new(Outer(std::io::Error::other("disk"))));
        assert_eq!(error.to_string(), "load model");
        assert_eq!(error.source().map(|e| e.to_string()), Some("disk".into()));
        let broken = TaskError::Broken(Broken::with_source(
            "its initializer failed",
            Outer(std::io::Error::other("disk")),
        ));
        assert_eq!(broken.to_string(), "the pool is broken: its initializer failed: load model");
        assert_eq!(broken.source().map(|e| e.to_string()), Some("disk".into()));
    }

    #[test]
    fn messages_name_the_task_and_the_worker() {
        let panic = Panicked::new("boom").with_worker("fetch_3").with_location("src/day.rs:7:9");
        let labelled = panic.clone().with_task(crate::id::FutureId::new(), Some("2017-03-23".into()));
        assert_eq!(panic.to_string(), "task in worker fetch_3 panicked at src/day.rs:7:9: boom");
        assert_eq!(
            labelled.to_string(),
            "task `2017-03-23` in worker fetch_3 panicked at src/day.rs:7:9: boom"
        );
        assert!(TaskError::Rejected(Rejected::ShutDown).to_string().contains("shut down"));
        assert_eq!(TimedOut::many((), 2, 4).to_string(), "the wait timed out: 2 of 4 futures unfinished");
    }
}
