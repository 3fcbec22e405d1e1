//! The cell: one task, one allocation. Function, argument, result and state share it.
//!
//! Several handles point to it, each under a type that knows only what its holder may do: the owner's
//! [`Future`](super::Future) sees a [`Source<T>`], a pool's entry or a [`Task`](crate::Task) sees an [`AnyCell`].
//!
//! There is no `unsafe` here: the phases of the body sit under a small mutex that is never contended (the state word
//! decides who may touch it), which costs 5 to 12 % of a no-op task and buys that every misuse is a clean panic.
//!
//! Two rules make scoped borrows sound and drops predictable:
//!
//! 1. *Work is dropped before its end is published*: a thread that sees a task done knows that its closure and argument are
//!    gone.
//! 2. *An unwanted outcome is dropped by the last to learn that it is unwanted*: the future's drop if the task is done, else the
//!    one who publishes. Whatever handle is the last to go finds the cell empty and frees bytes, no values.

use super::extra::Extra;
use super::home::HomeSlot;
use super::hub::{Hub, Key};
use super::options::TaskOptions;
use super::state::{Phase, State, Word};
use super::unobserved;
use super::watchers::{Crowd, Watchers};
use super::work::{NoWork, Work};
use crate::contain::{contain, drop_contained};
#[cfg(feature = "process")]
use crate::error::{CodecError, Stage};
use crate::error::{Panicked, Rejected, TaskError};
use crate::id::FutureId;
use crate::logging;
#[cfg(feature = "process")]
use crate::remote::codec::{Arrived, Counted, Output};
#[cfg(feature = "process")]
use crate::remote::parcel::Route;
use crate::sync::Mutex;
use std::ops::Range;
use std::sync::Arc;
use std::task::Waker;

/// The part of a cell that needs no lock and doesn't depend on the task's types.
pub(crate) struct Header {
    pub(crate) word: Word,
    pub(crate) home: HomeSlot,
    pub(crate) id: FutureId,
}

/// Memory is what a million pending tasks cost, in page faults before all else: one lock for the rest, and nothing that
/// only some tasks have.
pub(crate) struct Cell<W, T, X> {
    header: Header,
    inner: Mutex<Inner<W, T>>,
    extra: X,
}

struct Inner<W, T> {
    watchers: Watchers,
    body: Body<W, T>,
}

enum Body<W, T> {
    Ready(W),
    Empty,
    Done(Result<T, TaskError>),
}

/// A cell whose types are forgotten.
pub(crate) trait AnyCell: Send + Sync {
    fn header(&self) -> &Header;

    /// Runs the work and keeps the outcome. The caller has claimed the task, and publishes the phase that this returns.
    fn execute(&self) -> Phase;

    /// Drops the work and keeps `error` as the outcome. The caller has claimed the task, and publishes it.
    fn fill(&self, error: TaskError);

    /// Drops the outcome; a failure that nobody saw is reported.
    fn discard(&self);

    /// Why there is no result, of a task that is done.
    fn error(&self) -> Option<TaskError>;

    /// Whether to discard the outcome runs code of the user's, which may take any time: its destructor, or the hook for
    /// failures that nobody saw.
    #[cfg(feature = "process")]
    fn is_long_to_discard(&self) -> bool;

    fn is_portable(&self) -> bool;

    /// Writes the argument down for another process. The caller alone knows the task, or it holds the task's other end.
    /// What is `kept` can be encoded again, or run here.
    #[cfg(feature = "process")]
    fn encode(&self, kept: Kept, out: &mut Output) -> Result<Route, TaskError>;

    /// Keeps what another process made of it as the outcome. The caller has claimed or dispatched the task, and
    /// publishes the phase that this returns.
    #[cfg(feature = "process")]
    fn complete(&self, outcome: Arrived<'_>) -> Phase;

    fn extra(&self) -> &dyn Extra;

    /// What whoever looks at the pool is told of the task: its label, and which items of a map it is for. None for most.
    fn about(&self) -> (Option<Arc<str>>, Range<usize>);

    /// Whether any of that is there.
    fn has_about(&self) -> bool;

    /// Changes the watchers, with the cell's lock held: nothing of the user's may run or be dropped in `change`.
    fn with_watchers(&self, change: &mut dyn FnMut(&mut Watchers));
}

/// What becomes of the work once it is encoded.
#[cfg(feature = "process")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Work,
    Nothing,
}

/// A cell whose result's type is known.
pub(crate) trait Source<T>: AnyCell {
    /// Moves the outcome out, of a task that is done. An error stays behind as well, for a future that may be asked
    /// again.
    fn take(&self) -> Option<Result<T, TaskError>>;

    /// Moves the outcome out, of a task that is done and whose future is over: nothing stays behind.
    fn take_for_good(&self) -> Option<Result<T, TaskError>>;

    /// Keeps `outcome`. The caller has claimed the task, and publishes the phase that this returns.
    fn put(&self, outcome: Result<T, TaskError>) -> Phase;
}

/// A pool's pointer to a task.
pub(crate) type Entry = Arc<dyn AnyCell>;

impl<W, T, X> Cell<W, T, X> {
    /// A task that an executor may take, or not.
    pub(crate) fn queued(work: W, extra: X) -> Arc<Self> {
        Self::new(Word::new(Phase::Queued), Body::Ready(work), extra)
    }

    /// A task on its way into a pool's queue, of which nobody else knows yet.
    pub(crate) fn entered(work: W, extra: X) -> Arc<Self> {
        Self::new(Word::entered(), Body::Ready(work), extra)
    }

    fn new(word: Word, body: Body<W, T>, extra: X) -> Arc<Self> {
        let header = Header { word, home: HomeSlot::default(), id: FutureId::new() };
        Arc::new(Cell { header, inner: Mutex::new(Inner { watchers: Watchers::None, body }), extra })
    }
}

impl<W, T, X> Cell<W, T, X> {
    /// Whether the task has ended, or is about to as cancelled.
    fn is_over(&self) -> bool {
        let word = self.header.word.load();
        word.is_resolved() || word.phase() == Phase::Cancelling
    }

    /// Takes the work out, of a task that has neither run nor been cancelled.
    #[cfg(feature = "process")]
    fn take_work(&self) -> Option<W> {
        let body = &mut self.inner.lock().body;
        match std::mem::replace(body, Body::Empty) {
            Body::Ready(work) => Some(work),
            other => {
                *body = other;
                None
            }
        }
    }
}

impl<W: Work<T>, T: Send, X: Extra> Cell<W, T, X> {
    /// The end of a task that is run though its argument went into a parcel. It is claimed once, and not by the holder of a
    /// promise: nothing else takes the work out. Not a part of every run.
    #[cold]
    #[inline(never)]
    fn refuse_encoded(&self) -> Phase {
        self.put(Err(TaskError::Rejected(Rejected::Encoded)))
    }
}

impl<T> Cell<NoWork, T, ()> {
    pub(crate) fn promised() -> Arc<Self> {
        Self::new(Word::new(Phase::Queued), Body::Empty, ())
    }

    pub(crate) fn resolved(outcome: Result<T, TaskError>) -> Arc<Self> {
        Self::new(Word::new(phase_of(&outcome)), Body::Done(outcome), ())
    }
}

impl<W: Work<T>, T: Send, X: Extra> AnyCell for Cell<W, T, X> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn execute(&self) -> Phase {
        let Body::Ready(work) = std::mem::replace(&mut self.inner.lock().body, Body::Empty) else {
            return self.refuse_encoded();
        };
        let outcome = contain(|| work.call()).unwrap_or_else(|panic| {
            let label = self.extra.options().and_then(|options| options.get_label().cloned());
            Err(TaskError::Panicked(Panicked::caught(panic).with_task(self.header.id, label)))
        });
        self.put(outcome)
    }

    fn fill(&self, error: TaskError) {
        self.put(Err(error));
    }

    fn discard(&self) {
        let outcome = std::mem::replace(&mut self.inner.lock().body, Body::Empty);
        if let Body::Done(Err(error)) = &outcome
            && !self.header.word.load().is_seen()
        {
            unobserved::report(self.header.id, error);
        }
        log_panic_in_drop(self, drop_contained(outcome));
    }

    fn error(&self) -> Option<TaskError> {
        match &self.inner.lock().body {
            Body::Done(Err(error)) => Some(error.clone()),
            _ => None,
        }
    }

    #[cfg(feature = "process")]
    fn is_long_to_discard(&self) -> bool {
        match &self.inner.lock().body {
            Body::Done(Ok(_)) => std::mem::needs_drop::<T>(),
            Body::Done(Err(error)) => !matches!(error, TaskError::Cancelled),
            Body::Ready(_) | Body::Empty => false,
        }
    }

    fn is_portable(&self) -> bool {
        match &self.inner.lock().body {
            Body::Ready(_) => W::IS_PORTABLE,
            // Its argument is in a parcel already: whoever encodes it again is told so.
            Body::Empty => W::IS_PORTABLE && !self.is_over(),
            Body::Done(_) => false,
        }
    }

    #[cfg(feature = "process")]
    fn encode(&self, kept: Kept, out: &mut Output) -> Result<Route, TaskError> {
        if !W::IS_PORTABLE {
            return Err(TaskError::Rejected(Rejected::NotPortable));
        }
        // Out of the cell meanwhile: `Serialize` is the user's, and no lock is held while it runs.
        let Some(work) = self.take_work() else {
            return Err(if self.is_over() {
                TaskError::Abandoned
            } else {
                TaskError::Rejected(Rejected::Encoded)
            });
        };
        let start = out.size();
        let route = contain(|| work.encode(out)).unwrap_or_else(|panic| {
            let reason = format!("it panicked: {}", panic.message());
            Err(TaskError::Codec(CodecError::new(Stage::EncodeArgument, reason)))
        });
        if let Some(meter) = self.extra.options().and_then(TaskOptions::meter) {
            meter.note_argument(out.size() - start);
        }
        let mut work = Some(work);
        if kept == Kept::Work {
            let body = &mut self.inner.lock().body;
            // Cancelled meanwhile: the outcome is there, and the work goes now.
            if matches!(body, Body::Empty) {
                *body = work.take().map_or(Body::Empty, Body::Ready);
            }
        }
        log_panic_in_drop(self, drop_contained(work));
        route
    }

    #[cfg(feature = "process")]
    fn complete(&self, outcome: Arrived<'_>) -> Phase {
        if !W::IS_PORTABLE {
            return self.put(Err(TaskError::Rejected(Rejected::NotPortable)));
        }
        let decoded = match self.extra.options().and_then(TaskOptions::meter) {
            None => W::decode(outcome),
            Some(meter) => {
                let counted = Counted::new(outcome);
                let decoded = W::decode(counted.arrived());
                meter.note_result(counted.whole_len());
                decoded
            }
        };
        let label = || self.extra.options().and_then(|options| options.get_label().cloned());
        self.put(decoded.map_err(|error| error.of_task(self.header.id, label)))
    }

    fn extra(&self) -> &dyn Extra {
        &self.extra
    }

    fn about(&self) -> (Option<Arc<str>>, Range<usize>) {
        let label = self.extra.options().and_then(|options| options.get_label().cloned());
        (label, self.extra.items())
    }

    fn has_about(&self) -> bool {
        self.extra.options().is_some() || !self.extra.items().is_empty()
    }

    fn with_watchers(&self, change: &mut dyn FnMut(&mut Watchers)) {
        change(&mut self.inner.lock().watchers);
    }
}

impl<W: Work<T>, T: Send, X: Extra> Source<T> for Cell<W, T, X> {
    fn take(&self) -> Option<Result<T, TaskError>> {
        let body = &mut self.inner.lock().body;
        match std::mem::replace(body, Body::Empty) {
            Body::Done(Err(error)) => {
                *body = Body::Done(Err(error.clone()));
                Some(Err(error))
            }
            Body::Done(Ok(value)) => Some(Ok(value)),
            other => {
                *body = other;
                None
            }
        }
    }

    fn take_for_good(&self) -> Option<Result<T, TaskError>> {
        let body = &mut self.inner.lock().body;
        match std::mem::replace(body, Body::Empty) {
            Body::Done(outcome) => Some(outcome),
            other => {
                *body = other;
                None
            }
        }
    }

    fn put(&self, outcome: Result<T, TaskError>) -> Phase {
        let phase = phase_of(&outcome);
        let before = std::mem::replace(&mut self.inner.lock().body, Body::Done(outcome));
        if let Body::Ready(work) = before {
            log_panic_in_drop(self, drop_contained(work));
        }
        phase
    }
}

fn phase_of<T>(outcome: &Result<T, TaskError>) -> Phase {
    match outcome {
        Ok(_) => Phase::Finished,
        Err(TaskError::Cancelled) => Phase::Cancelled,
        Err(_) => Phase::Failed,
    }
}

/// Drops a waker that is no longer in a task's watchers: that is its executor's code.
pub(crate) fn drop_waker(cell: &dyn AnyCell, waker: Option<Waker>) {
    if waker.is_some() {
        log_panic_in_drop(cell, drop_contained(waker));
    }
}

pub(super) fn log_panic_in_drop(cell: &dyn AnyCell, dropped: Result<(), crate::contain::Panic>) {
    if let Err(panic) = dropped {
        let id = cell.header().id;
        logging::error(format_args!("a drop panicked in what task {id} left behind: {}", panic.message()));
    }
}

impl dyn AnyCell + '_ {
    /// Puts an entry into the watchers; false if the task is done already, and the hub won't hear of it.
    ///
    /// Nothing is lost: the entry is made and the word marked in one section of the cell's lock. If the publisher
    /// changed the word first, the mark's answer says so and the entry is taken back; if it changes it later, it sees
    /// the mark and takes the lock after us.
    pub(crate) fn watch(&self, hub: &Arc<Hub>, key: Key) -> bool {
        let word = &self.header().word;
        if word.load().is_resolved() {
            return false;
        }
        let mut resolved = false;
        self.with_watchers(&mut |watchers| {
            watchers.add_hub(hub, key);
            resolved = word.mark_watched().is_resolved();
            if resolved {
                watchers.remove_hub(hub, key);
            }
        });
        !resolved
    }

    pub(crate) fn unwatch(&self, hub: &Arc<Hub>, key: Key) {
        self.with_watchers(&mut |watchers| watchers.remove_hub(hub, key));
    }

    /// Puts `item` into the box of watchers by `change`, which gives back what it replaces: that is dropped without the
    /// lock. The item comes back if the task is done, by the same argument as in `watch`.
    pub(crate) fn add_to_crowd<C, R>(
        &self,
        item: C,
        change: impl FnOnce(&mut Crowd, C) -> R,
    ) -> Result<R, C> {
        let mut outcome = None;
        let mut once = Some((item, change));
        self.with_watchers(&mut |watchers| {
            if let Some((item, change)) = once.take() {
                outcome = Some(if self.header().word.mark_watched().is_resolved() {
                    Err(item)
                } else {
                    Ok(change(watchers.crowd(), item))
                });
            }
        });
        outcome.expect("the change is made once")
    }

    /// Takes something out of the box of watchers, if there is one.
    pub(crate) fn take_from_crowd<R>(&self, take: impl Fn(&mut Crowd) -> Option<R>) -> Option<R> {
        let mut taken = None;
        self.with_watchers(&mut |watchers| taken = watchers.crowd_if_any().and_then(&take));
        taken
    }

    pub(crate) fn options(&self) -> &TaskOptions {
        static NONE: std::sync::LazyLock<TaskOptions> = std::sync::LazyLock::new(TaskOptions::new);
        self.extra().options().unwrap_or(&NONE)
    }

    #[cfg(feature = "process")]
    pub(crate) fn label(&self) -> Option<Arc<str>> {
        self.extra().options().and_then(|options| options.get_label().cloned())
    }
}

/// Where the task stands: of a shipped one its pool or carrier knows.
pub(crate) fn state(cell: &dyn AnyCell) -> State {
    let state = cell.header().word.load().state();
    #[cfg(feature = "process")]
    if state == State::Dispatched
        && let Some(home) = cell.header().home.find()
    {
        return home.state(cell.header().id);
    }
    state
}
