//! [`current`]: the task that this thread runs, as the task itself sees it.
//!
//! Whoever runs a task leaves a [`Note`] of it for as long as it runs. The note lies on the runner's stack and the thread keeps its
//! address, the innermost task's on top, so a task that never asks pays for a few stores. Whatever a note doesn't say is
//! looked up when somebody asks.

use super::cell::Entry;
use super::waiting;
use crate::clock::{deadline_after, is_over};
use crate::id::FutureId;
use crate::sync::plain::{AtomicBool, Ordering};
use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::thread::Thread;
use std::time::Instant;

/// A task as it knows itself: which one it is, who runs it, and whether it was asked to stop. From [`current`].
///
/// It is a handle like others: it can be cloned and sent to threads that the task starts itself.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{TaskOptions, current, prelude::*};
///
/// let pool = ThreadPoolExecutor::builder().max_workers(1).name_prefix("resize").build()?;
/// let about = |()| {
///     let me = current().unwrap();
///     format!("{} in {}", me.label().unwrap(), me.worker())
/// };
/// let future = pool.submit_with(TaskOptions::new().label("scan.png"), about, ());
/// assert_eq!(future.result()?, "scan.png in resize_0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Current {
    task: Task,
    worker: Arc<str>,
    worker_index: Option<usize>,
    stop_at: Option<Instant>,
}

#[derive(Clone)]
enum Task {
    Here {
        entry: Entry,
        pool: Option<StopFlag>,
    },
    #[cfg(feature = "process")]
    Sent {
        id: FutureId,
        label: Option<Arc<str>>,
        attempt: u32,
        stop: Arc<dyn StopWord>,
        position: (u32, u32),
    },
}

/// The task that this thread runs at this moment, the innermost one if they are nested; none outside of tasks, and in a
/// thread that a task has started itself (hand it a clone of the task's [`Current`]).
///
/// On every executor of this crate, and wherever [`Task::run`](crate::Task::run) is called; not in an initializer, nor in a
/// callback. A parcel that [`remote::execute`](crate::remote::execute) runs is no task of its own: there it is the task, if any,
/// that called `execute`.
///
/// Differs from Python, which has nothing like it.
///
/// # Examples
///
/// A loop that can be asked to stop:
///
/// ```
/// use concurrent_futures::{current, prelude::*};
/// use std::sync::mpsc;
///
/// let pool = ThreadPoolExecutor::new(1);
/// let (begins, begun) = mpsc::channel();
/// let steps = pool.spawn(move || {
///     let me = current().unwrap();
///     begins.send(()).unwrap();
///     (0_u64..).take_while(|_| !me.should_stop()).count()
/// });
/// begun.recv()?;
/// assert!(steps.ask_to_stop());
/// println!("it came as far as step {}", steps.result()?);
/// assert!(current().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn current() -> Option<Current> {
    let note = INNERMOST.with(Cell::get)?;
    // SAFETY: `Note::within` put it there and takes it out before it returns, and it borrows the note until then. So the
    // note is alive on this thread's stack, below this call.
    Some(Current::of(unsafe { note.as_ref() }))
}

impl Current {
    fn of(note: &Note<'_>) -> Self {
        let stop_at = note.stop_at;
        match note.task {
            Noted::Here { entry, pool } => {
                let task = Task::Here { entry: entry.clone(), pool: pool.cloned() };
                let (worker, worker_index) = match waiting::host().and_then(|host| host.worker()) {
                    Some((name, index)) => (name, Some(index)),
                    None => (this_thread(), None),
                };
                Current { task, worker, worker_index, stop_at }
            }
            #[cfg(feature = "process")]
            Noted::Sent(sent) => {
                let task = Task::Sent {
                    id: sent.id,
                    label: sent.label.map(Arc::from),
                    attempt: sent.attempt,
                    stop: sent.stop.clone(),
                    position: sent.position,
                };
                Current { task, worker: sent.worker.clone(), worker_index: Some(sent.worker_index), stop_at }
            }
        }
    }

    /// The id of the task's future, also in a worker process. A map's items that share a task have one id.
    pub fn id(&self) -> FutureId {
        match &self.task {
            Task::Here { entry, .. } => entry.header().id,
            #[cfg(feature = "process")]
            Task::Sent { id, .. } => *id,
        }
    }

    /// The task's label, if it has one.
    pub fn label(&self) -> Option<&str> {
        match &self.task {
            Task::Here { entry, .. } => entry.options_if_any()?.get_label().map(|label| &**label),
            #[cfg(feature = "process")]
            Task::Sent { label, .. } => label.as_deref(),
        }
    }

    /// Which attempt this is, from 1: more only where a worker died with the task and it has
    /// [`retries`](crate::TaskOptions::retries).
    pub fn attempt(&self) -> u32 {
        match &self.task {
            Task::Here { .. } => 1,
            #[cfg(feature = "process")]
            Task::Sent { attempt, .. } => *attempt,
        }
    }

    /// The name of the worker that runs it, as in errors; of a task that runs where it was submitted, that of the thread.
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// The worker's number among those of its pool, from 0: no two tasks that run at once have the same, so it can choose a
    /// GPU or a scratch file. None where no pool's worker runs the task.
    ///
    /// It is below `max_workers` on processes. On threads it is that too, unless tasks wait for others of their pool, and a
    /// spare worker stands in for one of them.
    pub fn worker_index(&self) -> Option<usize> {
        self.worker_index
    }

    /// Whether the task was asked to stop: by [`ask_to_stop`](crate::Future::ask_to_stop), by
    /// [`Shutdown::Stop`](crate::Shutdown::Stop), by [`Scope::cancel`](crate::Scope::cancel), or because it has run for
    /// [`stop_after`](crate::TaskOptions::stop_after). Nothing else happens to a task that is asked: it ends as it likes, with
    /// any result. Some nanoseconds; it stays true.
    pub fn should_stop(&self) -> bool {
        let is_asked = match &self.task {
            Task::Here { entry, pool } => entry.is_asked() || pool.as_ref().is_some_and(StopFlag::is_raised),
            #[cfg(feature = "process")]
            Task::Sent { stop, position: (batch, index), .. } => stop.is_asked(*batch, *index),
        };
        is_asked || is_over(self.stop_at)
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current")
            .field("id", &self.id())
            .field("label", &self.label())
            .field("worker", &self.worker)
            .field("should_stop", &self.should_stop())
            .finish_non_exhaustive()
    }
}

/// What a pool's running tasks see when it asks all of them to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    pub(crate) fn raise(&self) {
        // ORDERING: Release pairs with `is_raised`: a task that finds itself asked sees what was done before.
        self.0.store(true, Ordering::Release);
    }

    fn is_raised(&self) -> bool {
        // ORDERING: Acquire pairs with `raise`.
        self.0.load(Ordering::Acquire)
    }
}

/// Where a worker process reads whether the task at a place in its batch was asked to stop.
#[cfg(feature = "process")]
pub(crate) trait StopWord: Send + Sync {
    fn is_asked(&self, batch: u32, index: u32) -> bool;
}

/// What is known of a task in the worker process that runs it.
#[cfg(feature = "process")]
pub(crate) struct Sent<'a> {
    pub(crate) id: FutureId,
    pub(crate) label: Option<&'a str>,
    pub(crate) attempt: u32,
    pub(crate) worker: &'a Arc<str>,
    pub(crate) worker_index: usize,
    pub(crate) stop: &'a Arc<dyn StopWord>,
    /// Its batch, and its index there.
    pub(crate) position: (u32, u32),
}

/// The note of a task that runs.
pub(crate) struct Note<'a> {
    task: Noted<'a>,
    stop_at: Option<Instant>,
}

enum Noted<'a> {
    Here {
        entry: &'a Entry,
        pool: Option<&'a StopFlag>,
    },
    #[cfg(feature = "process")]
    Sent(&'a Sent<'a>),
}

crate::sync::thread_local! {
    /// The note of the innermost task.
    static INNERMOST: Cell<Option<NonNull<Note<'static>>>> = const { Cell::new(None) };
}

impl<'a> Note<'a> {
    /// Of a task that begins now in this process, without a time after which it is to stop.
    pub(crate) fn plain(entry: &'a Entry, pool: Option<&'a StopFlag>) -> Self {
        Note { task: Noted::Here { entry, pool }, stop_at: None }
    }

    /// Of a task that begins now in this process.
    pub(crate) fn here(entry: &'a Entry, pool: Option<&'a StopFlag>) -> Self {
        let stop_after = entry.options_if_any().and_then(|options| options.get_stop_after());
        Note { stop_at: stop_after.and_then(deadline_after), ..Note::plain(entry, pool) }
    }

    /// Of a task that begins now in a worker process.
    #[cfg(feature = "process")]
    pub(crate) fn sent(sent: &'a Sent<'a>, stop_after: Option<std::time::Duration>) -> Self {
        Note { task: Noted::Sent(sent), stop_at: stop_after.and_then(deadline_after) }
    }

    /// Runs what it is of.
    #[inline]
    pub(crate) fn within<R>(&self, run: impl FnOnce() -> R) -> R {
        struct Outer(Option<NonNull<Note<'static>>>);
        impl Drop for Outer {
            fn drop(&mut self) {
                INNERMOST.with(|innermost| innermost.set(self.0));
            }
        }
        let note = NonNull::from(self).cast();
        let _outer = Outer(INNERMOST.with(|innermost| innermost.replace(Some(note))));
        run()
    }
}

/// The name of the calling thread, which runs what it submits.
pub(crate) fn this_thread() -> Arc<str> {
    name_of(&std::thread::current())
}

/// What a thread that is no pool's is called where a worker's name stands.
pub(crate) fn name_of(thread: &Thread) -> Arc<str> {
    thread.name().unwrap_or("a thread without a name").into()
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::{Note, StopFlag, current};
    use crate::contain::contain;
    use crate::future::cell::{Cell, Entry};
    use crate::id::FutureId;

    fn entry() -> Entry {
        let [entry, _] = Cell::queued(|| Ok(()), ());
        entry.into_entry()
    }

    fn id() -> Option<FutureId> {
        current().map(|me| me.id())
    }

    #[test]
    fn the_innermost_note_counts_until_it_is_over() {
        let (outer, inner) = (entry(), entry());
        assert_eq!(id(), None);
        Note::plain(&outer, None).within(|| {
            assert_eq!(id(), Some(outer.header().id));
            Note::here(&inner, None).within(|| assert_eq!(id(), Some(inner.header().id)));
            assert_eq!(id(), Some(outer.header().id));
            assert!(contain(|| Note::here(&inner, None).within(|| panic!("on purpose"))).is_err());
            assert_eq!(id(), Some(outer.header().id));
        });
        assert_eq!(id(), None);
    }

    #[test]
    fn asked_alone_or_with_the_pool() {
        let (task, pool) = (entry(), StopFlag::default());
        let me = Note::plain(&task, Some(&pool)).within(current).expect("it runs");
        assert!(!me.should_stop());
        pool.raise();
        assert!(me.should_stop(), "it outlives its note");
        let me = Note::plain(&task, None).within(current).expect("it runs");
        assert!(!me.should_stop());
        task.header().word.mark_asked();
        assert!(me.should_stop());
    }
}
