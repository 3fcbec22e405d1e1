//! [`Observer`], and how pools call it.

use super::event::{PoolEvent, PoolEventKind, TaskInfo, WorkerInfo};
use crate::contain::{contain, drop_contained};
use crate::error::TaskError;
use crate::future::cell::AnyCell;
use crate::future::publish::fail_claimed;
use crate::future::state::Phase;
use crate::id::FutureId;
use crate::logging;
use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Is told what happens in a pool: for timelines, metrics, spans.
///
/// It is called on the thread on which the event happens, while that thread does nothing else, so it should be quick: count,
/// note, send. Several threads may call it at once. No lock of the pool is held. A panic in it is logged and changes
/// nothing. It may use the pool, but it is not told of what it causes there itself, on its thread. Waiting for a task of the
/// pool in it holds up the thread, which on processes is one of the pool's own.
///
/// A pool without an observer pays a branch for each event. With one, a task reads the clock three times.
///
/// [`Timeline`](crate::Timeline) is an observer. Differs from Python: there is nothing like it there.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{Observer, PoolEvent, PoolEventKind, prelude::*};
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
///
/// #[derive(Default)]
/// struct Longest(Mutex<Duration>);
///
/// impl Observer for Longest {
///     fn observe(&self, event: &PoolEvent<'_>) {
///         if let PoolEventKind::Ended { began, .. } = event.kind {
///             let mut longest = self.0.lock().unwrap();
///             *longest = longest.max(event.at - began);
///         }
///     }
/// }
///
/// let longest = Arc::new(Longest::default());
/// let pool = ThreadPoolExecutor::builder().observer(longest.clone()).build()?;
/// pool.map(|ms| std::thread::sleep(Duration::from_millis(ms)), [1, 20]).for_each(drop);
/// assert!(*longest.0.lock().unwrap() >= Duration::from_millis(20));
/// # Ok::<(), concurrent_futures::BuildError>(())
/// ```
pub trait Observer: Send + Sync {
    /// Something has happened.
    fn observe(&self, event: &PoolEvent<'_>);
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn observe(&self, event: &PoolEvent<'_>) {
        (**self).observe(event);
    }
}

/// A pool's observer, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Observed(Option<Arc<dyn Observer>>);

crate::sync::thread_local! {
    /// This thread is in an observer.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

impl Observed {
    pub(crate) fn by(observer: impl Observer + 'static) -> Self {
        Observed(Some(Arc::new(observer)))
    }

    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// No lock is held.
    #[cold]
    #[inline(never)]
    pub(crate) fn tell(&self, at: Instant, kind: PoolEventKind<'_>) {
        let Some(observer) = &self.0 else { return };
        if INSIDE.with(|inside| inside.replace(true)) {
            return;
        }
        let told = contain(|| observer.observe(&PoolEvent { at, kind }));
        INSIDE.with(|inside| inside.set(false));
        if let Err(panic) = told {
            logging::error(format_args!("an observer of a pool panicked: {}", panic.message()));
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_of(&self, task: &dyn AnyCell, kind: fn(TaskInfo<'_>) -> PoolEventKind<'_>) {
        let told = Told::of(task);
        self.tell(Instant::now(), kind(told.info()));
    }

    /// A task is about to be handed to the pool.
    #[inline]
    pub(crate) fn queued(&self, task: &dyn AnyCell) {
        task.open_span();
        if self.is_set() {
            self.tell_of(task, |task| PoolEventKind::Queued { task });
        }
    }

    #[inline]
    pub(crate) fn cancelled(&self, task: &dyn AnyCell) {
        if self.is_set() {
            self.tell_of(task, |task| PoolEventKind::Cancelled { task });
        }
    }

    pub(crate) fn refused(&self, task: &dyn AnyCell, error: &TaskError) {
        if self.is_set() {
            let told = Told::of(task);
            self.tell(Instant::now(), PoolEventKind::Refused { task: told.info(), error });
        }
    }

    /// A task that is no longer there for the pool to take. It was cancelled; or it runs or ran in place, in a wait for its
    /// scope's end, and what is told of it is told there.
    #[inline]
    pub(crate) fn gone(&self, task: &dyn AnyCell) {
        if matches!(task.header().word.load().phase(), Phase::Cancelling | Phase::Cancelled) {
            self.cancelled(task);
        }
    }

    /// Ends a task that the pool doesn't take, unless it was cancelled or run before.
    #[cold]
    pub(crate) fn refuse(&self, task: &dyn AnyCell, error: TaskError) {
        if task.header().word.claim().is_none() {
            return self.gone(task);
        }
        self.refused(task, &error);
        fail_claimed(task, error);
    }

    pub(crate) fn started(&self, at: Instant, task: &dyn AnyCell, worker: WorkerInfo<'_>) {
        let told = Told::of(task);
        self.tell(at, PoolEventKind::Started { task: told.info(), worker });
    }

    pub(crate) fn ended(
        &self,
        at: Instant,
        task: &dyn AnyCell,
        worker: WorkerInfo<'_>,
        began: Instant,
        error: Option<&TaskError>,
    ) {
        let told = Told::of(task);
        self.tell(at, PoolEventKind::Ended { task: told.info(), worker, began, error });
    }

    /// The same of a task whose outcome is in its place, by the caller who is about to publish it.
    pub(crate) fn ended_as(
        &self,
        at: Instant,
        task: &dyn AnyCell,
        worker: WorkerInfo<'_>,
        began: Instant,
        phase: Phase,
    ) {
        let error = if phase == Phase::Finished { None } else { task.error_to_publish() };
        self.ended(at, task, worker, began, error.as_ref());
        // It may be the user's, and this the last pointer to it.
        if let Err(panic) = drop_contained(error) {
            logging::error(format_args!("the drop of an error panicked: {}", panic.message()));
        }
    }

    /// Drops the observer, which is the user's, if this is the last pointer to it.
    pub(crate) fn drop_contained(&mut self) {
        if let Err(panic) = drop_contained(self.0.take()) {
            logging::error(format_args!("the drop of an observer of a pool panicked: {}", panic.message()));
        }
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.is_set())
    }
}

/// What an observer is told of a task, as long as it is told.
struct Told {
    id: FutureId,
    label: Option<Arc<str>>,
    items: Range<usize>,
}

impl Told {
    fn of(task: &dyn AnyCell) -> Self {
        let (label, items) = task.about();
        Told { id: task.header().id, label, items }
    }

    fn info(&self) -> TaskInfo<'_> {
        let items = (!self.items.is_empty()).then(|| self.items.clone());
        TaskInfo { id: self.id, label: self.label.as_ref(), items }
    }
}
