//! [`Panicked`]: the task panicked.

use super::whereabouts::{Item, Whereabouts};
use crate::contain::{Panic, Payload};
use crate::id::FutureId;
use crate::sync::Mutex;
use std::any::Any;
use std::backtrace::Backtrace;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The task panicked. The worker caught the panic and goes on.
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

    /// As [`TaskError::in_map`](super::TaskError::in_map).
    pub(super) fn in_map(self, task: FutureId, label: Option<&Arc<str>>, item: Item) -> Self {
        self.edit(|inner| {
            inner.at.in_map(item);
            if inner.at.task.is_none() {
                (inner.at.task, inner.at.label) = (Some(task), label.cloned());
            }
        })
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
