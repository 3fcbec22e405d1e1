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
//! 1. *Work is dropped before its end is published*: whoever sees a task done knows that its closure and argument are
//!    gone.
//! 2. *An outcome nobody wants is dropped by whoever learns that last*: the future's drop if the task is done, else the
//!    one who publishes. Whatever handle is the last to go finds the cell empty and frees bytes, no values.

use super::callback::{self, Completion};
use super::home::HomeSlot;
use super::hub::{Hub, Key};
use super::options::TaskOptions;
use super::state::{Phase, State, Word};
use super::unobserved;
use super::watchers::{Crowd, Watchers};
use crate::contain::{contain, drop_contained};
#[cfg(feature = "process")]
use crate::error::{CodecError, Stage};
use crate::error::{Panicked, Rejected, TaskError};
use crate::id::FutureId;
use crate::logging;
#[cfg(feature = "process")]
use crate::remote::codec::Arrived;
#[cfg(feature = "process")]
use crate::remote::parcel::Route;
use crate::stack;
use crate::sync::Mutex;
use std::sync::{Arc, OnceLock};
use std::task::Waker;

/// What a task is made of before it runs.
pub(crate) trait Work<T>: Send {
    fn call(self) -> Result<T, TaskError>;

    /// Whether it could be encoded and run in another process. A constant, so that nothing of the way there is compiled
    /// for closures, of which a program has many.
    const IS_PORTABLE: bool = false;

    /// Writes the argument down for another process, and says which code it goes with.
    #[cfg(feature = "process")]
    fn encode(&self, _: &mut Vec<u8>) -> Result<Route, TaskError> {
        Err(TaskError::Rejected(Rejected::NotPortable))
    }

    /// Reads what another process made of it.
    #[cfg(feature = "process")]
    fn decode(_: Arrived<'_>) -> Result<T, TaskError>
    where
        Self: Sized,
    {
        Err(TaskError::Rejected(Rejected::NotPortable))
    }
}

/// Any closure is work that can run here.
impl<T, F: FnOnce() -> Result<T, TaskError> + Send> Work<T> for F {
    fn call(self) -> Result<T, TaskError> {
        self()
    }
}

/// What a promise has in place of work.
pub(crate) enum NoWork {}

impl<T> Work<T> for NoWork {
    fn call(self) -> Result<T, TaskError> {
        match self {}
    }
}

/// What comes with some tasks beside their work: options, a scope's counter. Most have none, and no room for it.
pub(crate) trait Extra: Send + Sync {
    fn options(&self) -> Option<&TaskOptions> {
        None
    }

    /// Sets the options, where they can come late.
    fn set_options(&self, _: TaskOptions) {}

    /// Nothing of the task is left but a result that is held.
    fn settled(&self) {}
}

impl Extra for () {}

impl Extra for TaskOptions {
    fn options(&self) -> Option<&TaskOptions> {
        Some(self)
    }
}

/// Options that may come after the task was made, once.
#[derive(Default)]
pub(crate) struct LateOptions(OnceLock<Box<TaskOptions>>);

impl Extra for LateOptions {
    fn options(&self) -> Option<&TaskOptions> {
        self.0.get().map(|options| &**options)
    }

    fn set_options(&self, options: TaskOptions) {
        // A second call changes nothing, as Task::with_options says.
        let _ = self.0.set(Box::new(options));
    }
}

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
    fn encode(&self, kept: Kept, out: &mut Vec<u8>) -> Result<Route, TaskError>;

    /// Keeps what another process made of it as the outcome. The caller has claimed or dispatched the task, and
    /// publishes the phase that this returns.
    #[cfg(feature = "process")]
    fn complete(&self, outcome: Arrived<'_>) -> Phase;

    fn extra(&self) -> &dyn Extra;

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
            unreachable!("claimed once, and not by the holder of a promise")
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
            _ => false,
        }
    }

    #[cfg(feature = "process")]
    fn encode(&self, kept: Kept, out: &mut Vec<u8>) -> Result<Route, TaskError> {
        if !W::IS_PORTABLE {
            return Err(TaskError::Rejected(Rejected::NotPortable));
        }
        // Out of the cell meanwhile: `Serialize` is the user's, and no lock is held while it runs.
        let Some(work) = self.take_work() else { return Err(TaskError::Abandoned) };
        let route = contain(|| work.encode(out)).unwrap_or_else(|panic| {
            let reason = format!("it panicked: {}", panic.message());
            Err(TaskError::Codec(CodecError::new(Stage::EncodeArgument, reason)))
        });
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
        let outcome = W::decode(outcome).map_err(|error| match error {
            TaskError::Panicked(panic) => {
                let label = self.extra.options().and_then(|options| options.get_label().cloned());
                TaskError::Panicked(panic.with_task(self.header.id, label))
            }
            other => other,
        });
        self.put(outcome)
    }

    fn extra(&self) -> &dyn Extra {
        &self.extra
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

fn log_panic_in_drop(cell: &dyn AnyCell, dropped: Result<(), crate::contain::Panic>) {
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

    pub(crate) fn label(&self) -> Option<Arc<str>> {
        self.extra().options().and_then(|options| options.get_label().cloned())
    }
}

/// What is left to do for a task that has just been published; it runs user code, so no lock is held, and a worker
/// first says that it is not on its way back yet.
#[must_use]
pub(crate) struct Aftermath {
    /// The future went while the task ended: its outcome is ours to drop.
    discard: bool,
    crowd: Option<Box<Crowd>>,
    /// What callbacks are told. Kept from before the end was known: its owner may have taken it since.
    error: Option<TaskError>,
}

/// Makes the end of a task known: the phase, then every wait, in this order. The outcome is in its place and the work
/// is gone. `discarded`: an unwanted outcome was dropped before.
pub(crate) fn publish(cell: &dyn AnyCell, from: Phase, to: Phase, discarded: bool) -> Aftermath {
    let header = cell.header();
    let mut error = match to {
        Phase::Cancelled => Some(TaskError::Cancelled),
        Phase::Failed => cell.error(),
        _ => None,
    };
    let before = header.word.publish(from, to);
    let mut crowd: Option<Box<Crowd>> = None;
    if before.is_watched() {
        let mut watchers = Watchers::None;
        cell.with_watchers(&mut |all| watchers = std::mem::take(all));
        match watchers {
            Watchers::None => {}
            Watchers::One(hub, key) => hub.tell(key, to == Phase::Failed),
            Watchers::Many(mut all) => {
                all.tell_hubs(to == Phase::Failed);
                crowd = Some(all).filter(|all| !all.is_empty());
            }
        }
    }
    if crowd.as_ref().is_none_or(|crowd| crowd.callbacks.is_empty())
        && let Some(error) = error.take()
    {
        log_panic_in_drop(cell, drop_contained(error));
    }
    Aftermath { discard: before.is_unwanted() && !discarded, crowd, error }
}

impl Aftermath {
    pub(crate) fn is_empty(&self) -> bool {
        !self.discard && self.crowd.is_none()
    }

    /// Whether there is code of the user's among it that may do anything and take any time.
    #[cfg(feature = "process")]
    pub(crate) fn may_take_long(&self, cell: &dyn AnyCell) -> bool {
        let calls_back = self.crowd.as_ref().is_some_and(|crowd| !crowd.callbacks.is_empty());
        calls_back || (self.discard && cell.is_long_to_discard())
    }

    /// Wakes what awaits the future, runs callbacks, drops what nobody wants.
    pub(crate) fn run(self, cell: &dyn AnyCell) {
        if let Some(crowd) = self.crowd {
            let Crowd { wakers, callbacks, on_kill, .. } = *crowd;
            for waker in wakers.into_values() {
                if let Err(panic) = contain(|| waker.wake()) {
                    logging::error(format_args!("a waker panicked: {}", panic.message()));
                }
            }
            if !callbacks.is_empty() {
                cell.header().word.mark_seen();
                let completion = Completion::new(cell.header().id, self.error);
                callback::run_all(callbacks, &completion);
                log_panic_in_drop(cell, drop_contained(completion));
            }
            log_panic_in_drop(cell, drop_contained(on_kill));
        }
        if self.discard {
            cell.discard();
        }
    }
}

/// Runs a claimed task here, on whatever thread this is, and keeps the outcome; the caller publishes the phase. No other
/// thread can run it: inside other tasks on a stack that is nearly spent it doesn't run, and that is its error.
pub(crate) fn execute_here(cell: &dyn AnyCell) -> Phase {
    if stack::may_run_here() {
        return stack::level(|| cell.execute());
    }
    cell.fill(TaskError::Rejected(Rejected::StackSpent));
    Phase::Failed
}

/// Publishes and does all that is left, where nobody counts workers.
pub(crate) fn publish_here(cell: &dyn AnyCell, from: Phase, to: Phase) {
    publish(cell, from, to, false).run(cell);
    cell.extra().settled();
}

/// Ends a claimed task with an error.
pub(crate) fn fail_claimed(cell: &dyn AnyCell, error: TaskError) {
    let to = if matches!(error, TaskError::Cancelled) { Phase::Cancelled } else { Phase::Failed };
    cell.fill(error);
    publish_here(cell, Phase::Running, to);
}

/// Cancels a task that has not begun; true if it is or was cancelled.
pub(crate) fn cancel(cell: &dyn AnyCell) -> bool {
    let header = cell.header();
    loop {
        if let Some(before) = header.word.begin_cancel() {
            cell.fill(TaskError::Cancelled);
            if before.is_entered()
                && let Some(home) = header.home.find()
            {
                home.cancelled(before);
            }
            break;
        }
        if take_back(cell) {
            cell.fill(TaskError::Cancelled);
            break;
        }
        match header.word.load().phase() {
            // Its pool took it back from one worker in this moment.
            Phase::Queued => {}
            phase => return matches!(phase, Phase::Cancelling | Phase::Cancelled),
        }
    }
    publish_here(cell, Phase::Cancelling, Phase::Cancelled);
    true
}

/// Takes a task back that was shipped to another process and has not begun there.
#[cfg(feature = "process")]
fn take_back(cell: &dyn AnyCell) -> bool {
    let header = cell.header();
    let home = (header.word.load().phase() == Phase::Dispatched).then(|| header.home.find());
    home.flatten().is_some_and(|home| home.take_back(header.id))
}

#[cfg(not(feature = "process"))]
fn take_back(_: &dyn AnyCell) -> bool {
    false
}

/// Where the task stands: of a shipped one its pool knows whether it has begun.
pub(crate) fn state(cell: &dyn AnyCell) -> State {
    let state = cell.header().word.load().state();
    #[cfg(feature = "process")]
    if state == State::Dispatched
        && let Some(home) = cell.header().home.find()
        && home.has_begun(cell.header().id)
    {
        return State::Running;
    }
    state
}

/// Cancels a queued task; ends the worker of a running one, where that can be done.
pub(crate) fn kill(cell: &dyn AnyCell) -> bool {
    if cancel(cell) {
        return true;
    }
    #[cfg(feature = "process")]
    if cell.header().word.load().phase() == Phase::Dispatched
        && let Some(home) = cell.header().home.find()
    {
        return home.kill(cell.header().id);
    }
    let hook = cell.take_from_crowd(|crowd| crowd.on_kill.take());
    hook.is_some_and(|hook| contain(hook).unwrap_or(false))
}
