//! The cell: one task, one allocation. Function, argument, result and state share it.
//!
//! Several handles point to it ([`Pointer`]), each under a type that knows only what its holder may do: the owner's
//! [`Future`](super::Future) sees a [`Source<T>`], a pool's entry or a [`Task`](crate::Task) sees an [`AnyCell`].
//!
//! # Whose the body is
//!
//! Work and outcome, the *body*, are under no lock: at each moment they are somebody's, and the state word hands them on.
//!
//! | phase | whose the body is | from whom, and by what |
//! |---|---|---|
//! | Queued | nobody's | the one who made it, or who gave it back by `unclaim` or `recall` (Release) |
//! | Running, Dispatched | the thread that claimed or dispatched the task, or its holder; it is passed on only with the task itself | Queued, by the exchange that won (Acquire) |
//! | Cancelling | the thread whose `cancel` won | the same |
//! | Finished | the future's owner | the one above, by `publish` or `publish_finished_and_go` (Release), seen by `load` or a mark (Acquire) |
//! | Failed, Cancelled | the same; there is an error, which several may read through one future and nobody changes, until the future is given up by value | the same |
//! | one of the last three, if UNWANTED was set before | the publisher | the drop of the future, by the mark (Release), seen by `publish` (Acquire) |
//!
//! *The future's owner* has it by value, or is the only one to poll it, or the one of many readers of a
//! [`SharedFuture`](super::SharedFuture) whose turn it is, once, in its `OnceLock`. Whoever only looks at a future (`exception`,
//! `Debug`) asks the word first, and reads the body where the word says that there is an error; a value is never looked at
//! by two.
//!
//! *Work that can be encoded* is looked at in two more places: a task's holder encodes it while it is Queued, and a
//! `cancel` may come at that moment. So of such cells alone the body is touched under the cell's lock as well, until it is
//! published; who encodes asks the word with the lock held, and leaves the body alone once the task is over. A thread that
//! cancels has changed the word before it takes the lock, so one of the two comes second and sees what the first did.
//!
//! The methods of [`AnyCell`] and [`Source`] say by whom they may be called. They are a crate's inner face, and what they
//! rest on can't be written into their types. Those that run or end a task ask the word whether it is their caller's, and
//! panic if it isn't; those that take an outcome ask whether there is one. The rest is what the models in tests/loom are for,
//! where loom looks at each use of a body.
//!
//! # What is dropped when
//!
//! Two rules make scoped borrows sound and drops predictable:
//!
//! 1. *Work is dropped before its end is published*: a thread that sees a task done knows that its closure and argument are
//!    gone. But for a task that is cancelled while its holder encodes it: the holder has the argument, which borrows nothing, and
//!    drops it when `Serialize` is through.
//! 2. *An unwanted outcome is dropped by the last to learn that it is unwanted*: the future's drop if the task is done, else the
//!    one who publishes. Whatever handle is the last to go finds the cell empty and frees bytes, no values.

use super::extra::Extra;
use super::home::HomeSlot;
use super::options::TaskOptions;
use super::packed::{Packed, ShortKey};
use super::pointer::{self, Both, Pointer, allocate, allocate_one};
use super::reporting::Speaking;
use super::state::{Phase, Snapshot, State, Word};
use super::unobserved;
use super::watchers::Watchers;
use super::work::{NoWork, Work};
use crate::contain::{Panic, contain, drop_contained};
#[cfg(feature = "process")]
use crate::error::{CodecError, Stage};
use crate::error::{Panicked, Rejected, TaskError};
use crate::id::FutureId;
use crate::logging;
#[cfg(feature = "process")]
use crate::remote::codec::{Arrived, Counted, Output};
#[cfg(feature = "process")]
use crate::remote::parcel::Route;
use crate::spans::TaskSpan;
use crate::sync::{Mutex, UnsafeCell, are_counts_seen};
use std::sync::Arc;

/// The part of a cell that doesn't depend on the task's types. Memory is what a million pending tasks cost, in page faults
/// before all else: 32 bytes, of which the small fields share eight, and what only some tasks have is elsewhere.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) word: Word,
    pub(crate) id: FutureId,
    /// With feature `tracing`; else it takes no room.
    pub(crate) span: TaskSpan,
    pub(crate) home: HomeSlot,
    /// Of the watchers; and of the body, where the work can be encoded.
    lock: Mutex<()>,
    /// The watchers, but for their pointer.
    key: UnsafeCell<ShortKey>,
    watchers: UnsafeCell<Packed>,
    /// Nothing, except to loom: pointers note there when they go, and the last when it frees the memory.
    uses: UnsafeCell<()>,
}

/// Begins with its header, see [`pointer::header`].
#[repr(C)]
pub(crate) struct Cell<W, T, X> {
    header: Header,
    body: UnsafeCell<Body<W, T>>,
    extra: X,
}

// Errors are read by several threads at once.
const _: fn() = || {
    fn is_sync<T: Sync>() {}
    is_sync::<TaskError>();
};

// SAFETY: several threads have the cell at a time. The header's fields are for several, but for the watchers, which are
// touched under the lock (`with_watchers`). Work and values are touched by one thread at a time, so `Send` is what they need;
// an error is read by several, and is `Sync`, as asserted above. The table in the module says who comes when.
unsafe impl<W: Send, T: Send, X: Sync> Sync for Cell<W, T, X> {}

pub(crate) enum Body<W, T> {
    Ready(W),
    Empty,
    Done(Result<T, TaskError>),
}

/// A cell whose types are forgotten.
///
/// # Safety
///
/// Implemented by [`Cell`] alone: [`pointer::header`] relies on what such a cell begins with.
pub(crate) unsafe trait AnyCell: Send + Sync {
    /// Runs the work and keeps the outcome. The caller has claimed the task, and publishes the phase that this returns.
    fn execute(&self) -> Phase;

    /// Drops the work and keeps `error` as the outcome. The caller has claimed the task, and publishes it.
    fn fill(&self, error: TaskError);

    /// Drops the outcome; a failure that nobody saw is reported. The caller publishes or has published it, and found the
    /// future gone before.
    fn discard(&self);

    /// Why there is no result, of a task that is done; of others, nothing. For the future's holders.
    fn error(&self) -> Option<TaskError>;

    /// The same for the caller who is about to publish it.
    fn error_to_publish(&self) -> Option<TaskError>;

    /// Whether to discard the outcome runs code of the user's, which may take any time: its destructor, or the hook for
    /// failures that nobody saw. For the same caller as `discard`.
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
    /// Moves the outcome out, of a task that is done, for the future's owner. An error stays behind as well, for a future that
    /// may be asked again.
    fn take(&self) -> Option<Result<T, TaskError>>;

    /// Moves the outcome out, of a task that is done and whose future is over: nothing stays behind.
    fn take_for_good(&self) -> Option<Result<T, TaskError>>;

    /// Keeps `outcome`. The caller has claimed the task, and publishes the phase that this returns.
    fn put(&self, outcome: Result<T, TaskError>) -> Phase;
}

/// A pool's pointer to a task.
pub(crate) type Entry = Pointer<dyn AnyCell>;

/// The two ends of a new task: one for whoever runs it, one for its future.
type Ends<'a, T> = [Pointer<dyn Source<T> + 'a>; 2];

impl<W, T, X: Extra> Cell<W, T, X> {
    /// A task that an executor may take, or not.
    pub(crate) fn queued<'a>(work: W, extra: X) -> Ends<'a, T>
    where
        W: Work<T> + 'a,
        T: Send + 'a,
        X: 'a,
    {
        ends(allocate(Snapshot::first(Phase::Queued), Body::Ready(work), extra))
    }

    /// A task on its way into a pool's queue, of which nobody else knows yet.
    pub(crate) fn entered<'a>(work: W, extra: X) -> Ends<'a, T>
    where
        W: Work<T> + 'a,
        T: Send + 'a,
        X: 'a,
    {
        ends(allocate(Snapshot::first(Phase::Queued).entered(), Body::Ready(work), extra))
    }

    pub(super) fn new(first: Snapshot, pointers: usize, body: Body<W, T>, extra: X) -> Self {
        let first = first.plain_if(X::is_nothing()).counts_settled_if(X::counts_settled());
        let header = Header::new(first, pointers);
        Cell { header, body: UnsafeCell::new(body), extra }
    }
}

impl<T: Send> Cell<NoWork, T, ()> {
    pub(crate) fn promised<'a>() -> Ends<'a, T>
    where
        T: 'a,
    {
        ends(allocate(Snapshot::first(Phase::Queued), Body::<NoWork, T>::Empty, ()))
    }

    pub(crate) fn resolved<'a>(outcome: Result<T, TaskError>) -> Pointer<dyn Source<T> + 'a>
    where
        T: 'a,
    {
        allocate_one(Snapshot::first(phase_of(&outcome)), Body::<NoWork, T>::Done(outcome), ())
    }
}

fn ends<'a, W, T, X>((first, second): Both<'a, W, T, X>) -> Ends<'a, T>
where
    W: Work<T> + 'a,
    T: Send + 'a,
    X: Extra + 'a,
{
    [first.into_source(), second]
}

impl Header {
    // What doesn't depend on the task's types is compiled once, not for each task: this, and what is marked as cold below.
    #[inline]
    fn new(first: Snapshot, pointers: usize) -> Self {
        Header {
            word: Word::new(first, pointers),
            id: FutureId::new(),
            home: HomeSlot::default(),
            span: TaskSpan::default(),
            lock: Mutex::new(()),
            key: UnsafeCell::new(ShortKey::default()),
            watchers: UnsafeCell::new(Packed::NONE),
            uses: UnsafeCell::new(()),
        }
    }

    /// Nothing comes with the task beside its work, as with most: there is no [`Extra`] to ask.
    pub(crate) fn is_plain(&self) -> bool {
        self.word.constants().is_plain()
    }

    /// Somebody counts on being told when nothing is left of the task: a scope.
    pub(crate) fn counts_settled(&self) -> bool {
        self.word.constants().counts_settled()
    }

    /// Changes the watchers, with the cell's lock held: nothing of the user's may run or be dropped in `change`.
    pub(crate) fn with_watchers<R>(&self, change: impl FnOnce(&mut Watchers) -> R) -> R {
        self.with_packed(|watchers, key| watchers.change(key, change))
    }

    /// The same with what they are while nobody changes them.
    #[inline]
    pub(super) fn with_packed<R>(&self, change: impl FnOnce(&mut Packed, &mut ShortKey) -> R) -> R {
        let _lock = self.lock.lock();
        self.key.with_mut(|key| {
            // SAFETY: it is touched here alone, and under the lock. `change` doesn't come here again: it would find the lock held.
            let key = unsafe { &mut *key };
            // SAFETY: as of the key.
            self.watchers.with_mut(|watchers| change(unsafe { &mut *watchers }, key))
        })
    }

    /// One of the pointers is about to go. loom compares this with `note_end`; elsewhere it is nothing.
    pub(super) fn note_use(&self) {
        if are_counts_seen() {
            self.uses.with(|_| ());
        }
    }

    /// The last one frees the memory.
    pub(super) fn note_end(&self) {
        if are_counts_seen() {
            self.uses.with_mut(|_| ());
        }
    }
}

impl<W: Work<T>, T: Send, X: Extra> Cell<W, T, X> {
    /// Whether the task has ended, or is about to as cancelled.
    fn is_over(&self) -> bool {
        let word = self.header.word.load();
        word.is_resolved() || word.phase() == Phase::Cancelling
    }

    /// Puts another body in the place of the one that is there.
    ///
    /// # Safety
    ///
    /// The body is the caller's, by the table in the module.
    unsafe fn replace(&self, body: Body<W, T>) -> Body<W, T> {
        // SAFETY: the caller's, so no other thread comes here meanwhile; and nothing of the user's runs in between.
        self.body.with_mut(|place| std::mem::replace(unsafe { &mut *place }, body))
    }

    /// [`replace`](Self::replace) by the one who will publish the task.
    ///
    /// # Safety
    ///
    /// The task is the caller's: it has claimed, dispatched or begun to cancel it, and not published.
    unsafe fn replace_owned(&self, body: Body<W, T>) -> Body<W, T> {
        let phase = self.header.word.load().phase();
        assert!(
            matches!(phase, Phase::Running | Phase::Dispatched | Phase::Cancelling),
            "a task is run or ended by whoever owns it"
        );
        let _lock = W::IS_PORTABLE.then(|| self.header.lock.lock());
        // SAFETY: the caller's, by the phase. Another may be about to encode it: it has the lock, or will find the word changed.
        unsafe { self.replace(body) }
    }

    /// Puts the outcome into a body that is empty, so that there is nothing to drop.
    ///
    /// # Safety
    ///
    /// As of [`replace_owned`](Self::replace_owned).
    unsafe fn keep(&self, outcome: Result<T, TaskError>) {
        let _lock = W::IS_PORTABLE.then(|| self.header.lock.lock());
        self.body.with_mut(|body| {
            // SAFETY: the caller's, as in `replace_owned`.
            debug_assert!(matches!(unsafe { &*body }, Body::Empty), "what is there would not be dropped");
            // SAFETY: the same.
            unsafe { body.write(Body::Done(outcome)) };
        });
    }

    /// Looks at the error that the outcome is.
    ///
    /// # Safety
    ///
    /// There is an outcome, and the caller owns it or it is an error that several may read.
    unsafe fn look_at_error(&self) -> Option<TaskError> {
        // SAFETY: nobody changes it meanwhile, says the caller.
        self.body.with(|body| match unsafe { &*body } {
            Body::Done(Err(error)) => Some(error.clone()),
            _ => None,
        })
    }
}

/// Work that is out of its cell while it is encoded.
#[cfg_attr(
    not(feature = "process"),
    expect(clippy::allow_attributes, reason = "without processes models use it, and nobody else"),
    allow(dead_code, reason = "nothing is encoded, except in models")
)]
impl<W: Work<T>, T: Send, X: Extra> Cell<W, T, X> {
    /// Does something with the body of a task that may be cancelled at this moment; `None` once it is over.
    fn with_portable<R>(&self, change: impl FnOnce(&mut Body<W, T>) -> R) -> Option<R> {
        debug_assert!(W::IS_PORTABLE);
        let _lock = self.header.lock.lock();
        if self.is_over() {
            return None;
        }
        // SAFETY: the task is not over, so its body is nobody's, or that of this thread, which holds the task. One that
        // cancels has not come to the body yet: it takes the lock for that, after it has changed the word.
        Some(self.body.with_mut(|body| change(unsafe { &mut *body })))
    }

    /// Takes it out of a task that is not over.
    pub(crate) fn take_work(&self) -> Result<W, TaskError> {
        match self.with_portable(|body| std::mem::replace(body, Body::Empty)) {
            Some(Body::Ready(work)) => Ok(work),
            // A task that is not over has no outcome.
            Some(_) => Err(TaskError::Rejected(Rejected::Encoded)),
            None => Err(TaskError::Abandoned),
        }
    }

    /// Puts it back. If the task was cancelled meanwhile, it is the caller's to drop.
    pub(crate) fn give_back(&self, work: W) -> Option<W> {
        let mut work = Some(work);
        self.with_portable(|body| {
            debug_assert!(matches!(body, Body::Empty), "what is there would be dropped under the lock");
            *body = work.take().map_or(Body::Empty, Body::Ready);
        });
        work
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

// SAFETY: this is that one implementation.
unsafe impl<W: Work<T>, T: Send, X: Extra> AnyCell for Cell<W, T, X> {
    fn execute(&self) -> Phase {
        // SAFETY: the caller has claimed the task.
        let Body::Ready(work) = (unsafe { self.replace_owned(Body::Empty) }) else {
            return self.refuse_encoded();
        };
        let report_to = self.extra.options().and_then(TaskOptions::report_to);
        let _speaking = report_to.map(|to| Speaking::of(to, self.header.id));
        let outcome =
            contain(|| work.call()).unwrap_or_else(|panic| Err(panicked(panic, self.header.id, &self.extra)));
        let phase = phase_of(&outcome);
        // SAFETY: the task is still the caller's, and the work is out.
        unsafe { self.keep(outcome) };
        phase
    }

    fn fill(&self, error: TaskError) {
        self.put(Err(error));
    }

    fn discard(&self) {
        // SAFETY: the caller publishes or has published it, and the future went before: nobody else looks at the outcome.
        let outcome = unsafe { self.replace(Body::Empty) };
        if let Body::Done(Err(error)) = &outcome
            && !self.header.word.load().is_seen()
        {
            unobserved::report(self.header.id, error);
        }
        log_panic_in_drop(self, drop_contained(outcome));
    }

    fn error(&self) -> Option<TaskError> {
        match self.header.word.load().phase() {
            // SAFETY: there is an error, which stays until the future is given up; and the caller holds the future.
            Phase::Failed | Phase::Cancelled => unsafe { self.look_at_error() },
            // A value, which somebody may be taking at this moment; or a task that somebody runs.
            _ => None,
        }
    }

    fn error_to_publish(&self) -> Option<TaskError> {
        // SAFETY: the outcome is the caller's until it is published.
        unsafe { self.look_at_error() }
    }

    #[cfg(feature = "process")]
    fn is_long_to_discard(&self) -> bool {
        // SAFETY: as in `discard`, which comes next.
        self.body.with(|body| match unsafe { &*body } {
            Body::Done(Ok(_)) => std::mem::needs_drop::<T>(),
            Body::Done(Err(error)) => !matches!(error, TaskError::Cancelled),
            Body::Ready(_) | Body::Empty => false,
        })
    }

    fn is_portable(&self) -> bool {
        // If its argument is in a parcel already, whoever encodes it again is told so.
        W::IS_PORTABLE && !self.is_over()
    }

    #[cfg(feature = "process")]
    fn encode(&self, kept: Kept, out: &mut Output) -> Result<Route, TaskError> {
        if !W::IS_PORTABLE {
            return Err(TaskError::Rejected(Rejected::NotPortable));
        }
        // Out of the cell meanwhile: `Serialize` is the user's, and no lock is held while it runs.
        let work = self.take_work()?;
        let start = out.size();
        let route = contain(|| work.encode(out)).unwrap_or_else(|panic| {
            let reason = format!("it panicked: {}", panic.message());
            Err(TaskError::Codec(CodecError::new(Stage::EncodeArgument, reason)))
        });
        if let Some(meter) = self.extra.options().and_then(TaskOptions::meter) {
            meter.note_argument(out.size() - start);
        }
        let work = if kept == Kept::Work { self.give_back(work) } else { Some(work) };
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
        self.put(decoded.map_err(|error| error.of_task(self.header.id, || label(&self.extra))))
    }

    fn extra(&self) -> &dyn Extra {
        &self.extra
    }
}

impl<W: Work<T>, T: Send, X: Extra> Source<T> for Cell<W, T, X> {
    fn take(&self) -> Option<Result<T, TaskError>> {
        match self.header.word.load().phase() {
            // SAFETY: the caller is the future's owner. Others who hold the future leave a value alone.
            Phase::Finished => match unsafe { self.replace(Body::Empty) } {
                Body::Done(outcome) => Some(outcome),
                Body::Ready(_) | Body::Empty => None,
            },
            // SAFETY: as in `error`.
            Phase::Failed | Phase::Cancelled => unsafe { self.look_at_error() }.map(Err),
            _ => None,
        }
    }

    fn take_for_good(&self) -> Option<Result<T, TaskError>> {
        if !self.header.word.load().is_resolved() {
            return None;
        }
        // SAFETY: done, and the future is over: nobody else holds it who could look at the outcome.
        match unsafe { self.replace(Body::Empty) } {
            Body::Done(outcome) => Some(outcome),
            Body::Ready(_) | Body::Empty => None,
        }
    }

    fn put(&self, outcome: Result<T, TaskError>) -> Phase {
        let phase = phase_of(&outcome);
        // SAFETY: the caller has claimed the task.
        let before = unsafe { self.replace_owned(Body::Done(outcome)) };
        if let Body::Ready(work) = before {
            log_panic_in_drop(self, drop_contained(work));
        }
        phase
    }
}

fn label(extra: &dyn Extra) -> Option<Arc<str>> {
    extra.options().and_then(|options| options.get_label().cloned())
}

#[cold]
fn panicked(panic: Panic, task: FutureId, extra: &dyn Extra) -> TaskError {
    TaskError::Panicked(Panicked::caught(panic).with_task(task, label(extra)))
}

fn phase_of<T>(outcome: &Result<T, TaskError>) -> Phase {
    match outcome {
        Ok(_) => Phase::Finished,
        Err(TaskError::Cancelled) => Phase::Cancelled,
        Err(_) => Phase::Failed,
    }
}

pub(super) fn log_panic_in_drop(cell: &dyn AnyCell, dropped: Result<(), Panic>) {
    if let Err(panic) = dropped {
        let id = cell.header().id;
        logging::error(format_args!("a drop panicked in what task {id} left behind: {}", panic.message()));
    }
}

impl<T> dyn Source<T> + '_ {
    pub(crate) fn header(&self) -> &Header {
        pointer::header(self)
    }
}

impl dyn AnyCell + '_ {
    pub(crate) fn header(&self) -> &Header {
        pointer::header(self)
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
