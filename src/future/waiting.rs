//! The one function through which every wait goes.
//!
//! A wait says what it needs ([`Wait`]); the thread it happens on decides how. A thread that is no pool's worker spins
//! for a few microseconds and sleeps. A worker asks its pool ([`Host`]), which may run the task in place or put a spare
//! to work meanwhile: the table is in `thread_pool/waiting.rs`.

use super::cell::{AnyCell, Entry};
use super::home::HomeId;
use super::hub::{Hub, RingWhen, Woken};
#[cfg(feature = "process")]
use super::state::Phase;
use crate::clock::is_over;
use crate::sync::spin_until;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Ending {
    Done,
    TimedOut,
    /// It could never end: the thread that waits is the one that would have to end it.
    Never,
}

/// What is waited for.
pub(crate) trait Wait {
    /// Asks without sleeping.
    fn is_done(&mut self) -> bool;

    /// Whether each single task is needed; else any of several would do.
    fn needs_all(&self) -> bool;

    /// Shows the tasks that are not done, in order, until `visit` says false.
    fn each(&mut self, visit: &mut dyn FnMut(&dyn Watched) -> bool);

    /// Whether tasks of this pool are among them.
    fn concerns(&mut self, home: HomeId) -> bool {
        let mut any = false;
        self.each(&mut |task| {
            any |= task.cell().header().home.is(home);
            !any
        });
        any
    }

    /// Whether it can't end without a task of this pool: each task is needed and one is of it, or all that are not done are.
    fn needs_one_of(&mut self, home: HomeId) -> bool {
        let needs_all = self.needs_all();
        let (mut any, mut all) = (false, true);
        self.each(&mut |task| {
            let is_of = task.cell().header().home.is(home);
            (any, all) = (any || is_of, all && is_of);
            if needs_all { !any } else { all }
        });
        any && (needs_all || all)
    }

    /// The task, where there is only one.
    #[cfg(feature = "process")]
    fn only(&self) -> Option<&dyn Watched> {
        None
    }

    /// Shows the tasks that no call has shown before, last first.
    fn unoffered(&mut self, visit: &mut dyn FnMut(&dyn Watched));

    /// The hub to sleep on. The first call puts it into the tasks, where that was not done before.
    fn arm(&mut self) -> &Arc<Hub>;
}

/// Something with a cell behind it.
pub(crate) trait Watched {
    fn cell(&self) -> &dyn AnyCell;

    /// A counted pointer, for a queue.
    fn entry(&self) -> Entry;
}

/// The pool whose worker a thread is. `Any`: the pool finds its own worker again.
pub(crate) trait Host: Any {
    fn home(&self) -> HomeId;

    /// The name and number of the worker, if this is one.
    fn worker(&self) -> Option<(Arc<str>, usize)> {
        None
    }

    /// Waits as one of its workers.
    fn wait(&self, what: &mut dyn Wait, deadline: Option<Instant>) -> Ending;

    /// Why a wait ended as [`Ending::Never`], and what to do about it.
    fn why_never(&self) -> &'static str {
        "this wait could never end"
    }

    /// The worker is about to wait for something of the user's.
    fn begin_blocking(&self);

    /// It goes on.
    fn end_blocking(&self);

    /// One of its pool's tasks was polled on this thread, and is not done: the worker may be about to sleep in whatever
    /// polls, which nobody can see. Gives the waker to leave behind. The task may be done when it returns.
    fn awaits(&self, _task: &dyn Watched, waker: &Waker) -> Waker {
        waker.clone()
    }
}

crate::sync::thread_local! {
    /// Whose worker this thread is. A thread's own destructors may run after this one's: hence `try_with` below.
    static HOST: RefCell<Option<Rc<dyn Host>>> = const { RefCell::new(None) };
    /// Which pool's thread this is, to its very end: the worker is nobody's when its thread-locals are destroyed, and
    /// can wait for its own end as little as before. No drop glue, so it may be read then.
    static BELONGS_TO: Cell<Option<HomeId>> = const { Cell::new(None) };
}

/// Whether this thread was started by that pool.
pub(crate) fn is_thread_of(home: HomeId) -> bool {
    BELONGS_TO.with(Cell::get) == Some(home)
}

/// Makes this thread a worker of `host`'s pool, or nobody's.
pub(crate) fn set_host(host: Option<Rc<dyn Host>>) {
    if let Some(host) = &host {
        BELONGS_TO.with(|cell| cell.set(Some(host.home())));
    }
    // The one before is dropped when the borrow is over: it may be the last pointer to a pool, whose hooks are the user's.
    let _before = HOST.with(|cell| cell.replace(host));
}

pub(crate) fn host() -> Option<Rc<dyn Host>> {
    HOST.try_with(|host| host.borrow().clone()).ok().flatten()
}

/// The waker to leave behind in a task that was polled and is not done. A poll on a thread of the task's own pool is a wait
/// that the pool is told of, see [`Host::awaits`].
pub(crate) fn awaits(task: &dyn Watched, waker: &Waker) -> Waker {
    match host().filter(|host| task.cell().header().home.is(host.home())) {
        Some(host) => host.awaits(task, waker),
        None => waker.clone(),
    }
}

/// Waits, on whatever thread this is.
pub(crate) fn wait(what: &mut dyn Wait, deadline: Option<Instant>) -> Ending {
    if what.is_done() {
        return Ending::Done;
    }
    match host() {
        Some(host) => host.wait(what, deadline),
        None => {
            if !is_over(deadline) && (wait_directly(what) || spin_until(|| what.is_done())) {
                return Ending::Done;
            }
            sleep(what, deadline)
        }
    }
}

/// Spins for the result of a task that runs in another process, whose reply the waiter may take by itself; true if it is done.
#[cfg(feature = "process")]
fn wait_directly(what: &mut dyn Wait) -> bool {
    use crate::sync::Patience;
    /// Longer than it takes to wake a process that sleeps; nothing beside the two wake-ups that it saves.
    const MOST: std::time::Duration = std::time::Duration::from_micros(50);
    crate::sync::thread_local! {
        static PATIENCE: Patience = const { Patience::new() };
    }
    let is_elsewhere = |task: &dyn Watched| task.cell().header().word.load().phase() == Phase::Dispatched;
    if !what.only().is_some_and(is_elsewhere) {
        return false;
    }
    let direct_wait = |task: &dyn Watched| {
        let header = task.cell().header();
        header.home.find()?.wait_directly(header.id)
    };
    let patience = |patience: &Patience| {
        let Some(reply) = patience.is_left().then(|| what.only().and_then(direct_wait)).flatten() else {
            return false;
        };
        let is_lucky = patience.spin(MOST, || what.is_done() || reply.has_reply());
        if is_lucky && !what.is_done() {
            reply.take_reply();
        }
        what.is_done()
    };
    PATIENCE.try_with(patience).unwrap_or(false)
}

#[cfg(not(feature = "process"))]
fn wait_directly(_: &mut dyn Wait) -> bool {
    false
}

/// Sleeps until it is done or the time is up, counted as nothing.
pub(crate) fn sleep(what: &mut dyn Wait, deadline: Option<Instant>) -> Ending {
    // Asked for now or in the past: don't even make an entry.
    if is_over(deadline) {
        return if what.is_done() { Ending::Done } else { Ending::TimedOut };
    }
    what.arm();
    loop {
        if what.is_done() {
            return Ending::Done;
        }
        if what.arm().sleep(deadline) == Woken::TimedOut {
            return if what.is_done() { Ending::Done } else { Ending::TimedOut };
        }
    }
}

/// The wait for one task. Its drop takes the hub out of the task, if it is in there.
pub(crate) struct One<'a> {
    task: &'a dyn Watched,
    hub: Option<Arc<Hub>>,
    offered: bool,
}

impl<'a> One<'a> {
    pub(crate) fn new(task: &'a dyn Watched) -> Self {
        One { task, hub: None, offered: false }
    }
}

impl Wait for One<'_> {
    fn is_done(&mut self) -> bool {
        self.task.cell().header().word.load().is_resolved()
    }

    fn needs_all(&self) -> bool {
        true
    }

    fn each(&mut self, visit: &mut dyn FnMut(&dyn Watched) -> bool) {
        if !self.is_done() {
            visit(self.task);
        }
    }

    #[cfg(feature = "process")]
    fn only(&self) -> Option<&dyn Watched> {
        Some(self.task)
    }

    fn unoffered(&mut self, visit: &mut dyn FnMut(&dyn Watched)) {
        if !std::mem::replace(&mut self.offered, true) {
            visit(self.task);
        }
    }

    fn arm(&mut self) -> &Arc<Hub> {
        self.hub.get_or_insert_with(|| {
            let hub = Hub::new(RingWhen::Completed(1));
            if !self.task.cell().watch(&hub, 0) {
                hub.ring();
            }
            hub
        })
    }
}

impl Drop for One<'_> {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.take()
            && !self.is_done()
        {
            self.task.cell().unwatch(&hub, 0);
        }
    }
}
