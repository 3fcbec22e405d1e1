//! Waiting inside a worker for tasks of its own pool: never a deadlock.
//!
//! | the waiter | does |
//! |---|---|
//! | can't go on without this queued task, no time limit, stack has room and doesn't unwind (`result`, `wait` for all, `map`'s next, a scope's end) | claims it as a worker would, and runs it in place |
//! | everything else that really waits: any of several would do, a time limit runs, the task already runs elsewhere, the stack has no room or unwinds | counts as *blocked*: its queued tasks go on the urgent stack, newest first, and a spare worker is started while fewer than `max_workers` are active |
//!
//! How much stack the next task takes nobody can know, so *room* is a matter of who else could run it. Nearly all is left
//! (seven eighths): it runs in place, and nobody looks for another worker. More than half is left, and twice what the
//! widest task below took: it runs in place if no other worker can be had at once, because one is idle or may be started
//! within `max_workers`. Less: the waiter counts as blocked, and another worker or a spare has its whole stack for the
//! task. A chain of waits so goes from stack to stack, and of each it uses half.
//!
//! In place only what the waiter can't do without: a lock held below would deadlock on that task on any pool. A task
//! that it *could* do without must not run there, since it may want that lock; nor one with a limit, since it can't be
//! left half-way. No stranger's task is ever run by a waiter.
//!
//! # Why it never deadlocks
//!
//! A waiter in place waits for nothing but its own need. Take the least blocked waiter in the order of need: what it
//! needs is queued (else the task's own worker is a lesser waiter, or active). If a worker is active it comes to look,
//! and serves the urgent stack first. If none is, [`Queue::leave`](super::queue::Queue) wakes a sleeper or starts a thread; and
//! if no thread can be had it tells the waiters that have no time limit to run one of their own tasks (*help*). Those
//! with a limit end by themselves. A waiter that is told so and has no room even for a task that nobody else can run
//! ends that task with an error in its place: to run it could only overflow the stack, and to leave it in the queue would
//! leave every thread of the pool waiting. The wait goes on with one task less to wait for, so this ends as well.
//!
//! Waits on *another* pool's future, on a promise or on a lock are the user's, as in Python: counting those as blocked
//! would break the limit a pool is bought for. `blocking` declares them.

use super::worker::Worker;
use crate::future::cell::Entry;
use crate::future::home::HomeId;
use crate::future::hub::Woken;
use crate::future::state::Snapshot;
use crate::future::waiting::{self, Ending, Host, Wait, Watched};
use crate::stack;
use std::time::Instant;

/// Runs `f`, which waits for something that is not a task of this worker's pool: a lock, another pool, the network. The
/// worker counts as blocked meanwhile, so that the pool runs another task in its place. Elsewhere it only runs `f`.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{blocking, prelude::*};
/// use std::sync::mpsc;
///
/// let pool = ThreadPoolExecutor::new(1);
/// let (sender, receiver) = mpsc::channel();
/// let first = pool.spawn(move || blocking(|| receiver.recv()));
/// pool.spawn(move || sender.send(7)).detach(); // runs although the only worker waits
/// assert_eq!(first.result()?, Ok(7));
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
pub fn blocking<R>(f: impl FnOnce() -> R) -> R {
    struct Blocked(std::rc::Rc<dyn Host>);
    impl Drop for Blocked {
        fn drop(&mut self) {
            self.0.end_blocking();
        }
    }
    let _blocked = waiting::host().map(|host| {
        host.begin_blocking();
        Blocked(host)
    });
    f()
}

impl Host for Worker {
    fn home(&self) -> HomeId {
        self.queue.id
    }

    fn wait(&self, what: &mut dyn Wait, deadline: Option<Instant>) -> Ending {
        // Not on a stack that unwinds: the task would see `thread::panicking`, and a pool that it drops would cancel.
        if what.needs_all() && deadline.is_none() && !std::thread::panicking() {
            self.run_needed(what);
            if what.is_done() {
                return Ending::Done;
            }
        }
        if what.concerns(self.queue.id) {
            self.wait_blocked(what, deadline)
        } else {
            waiting::sleep(what, deadline)
        }
    }

    fn begin_blocking(&self) {
        self.slot.begin_blocked();
        self.queue.begin_blocked(Vec::new(), None);
    }

    fn end_blocking(&self) {
        self.queue.end_blocked(None);
        self.slot.end_blocked();
    }
}

impl Worker {
    /// Runs in place what is queued of the tasks that are all needed, while the stack has room.
    fn run_needed(&self, what: &mut dyn Wait) {
        what.each(&mut |task| {
            let room = stack::room();
            if !(room.is_nearly_whole() || (room.is_ample() && !self.queue.has_another())) {
                return false;
            }
            if let Some((entry, before)) = self.claim(task) {
                self.run_in_place(&*entry, before);
            }
            true
        });
    }

    fn claim(&self, task: &dyn Watched) -> Option<(Entry, Snapshot)> {
        let header = task.cell().header();
        if !header.home.is(self.queue.id) {
            return None;
        }
        let entry = task.entry();
        entry.header().word.claim().map(|before| (entry, before))
    }

    fn wait_blocked(&self, what: &mut dyn Wait, deadline: Option<Instant>) -> Ending {
        if deadline.is_some_and(|at| at <= Instant::now()) {
            return waiting::sleep(what, deadline);
        }
        what.arm();
        let ending = loop {
            if what.is_done() {
                break Ending::Done;
            }
            match self.sleep_blocked(what, deadline) {
                Slept::Ended(ending) => break ending,
                Slept::Claimed(entry, before) if stack::room().fits_another() => {
                    self.run_in_place(&*entry, before);
                }
                Slept::Claimed(entry, before) => self.fail_in_place(&*entry, before),
            }
        };
        what.disarm();
        ending
    }

    /// Sleeps, counted as blocked, until the wait is over or the waiter shall run one of its own tasks.
    fn sleep_blocked(&self, what: &mut dyn Wait, deadline: Option<Instant>) -> Slept {
        let needed = self.needed(what);
        let hub = deadline.is_none().then(|| what.hub().clone());
        self.slot.begin_blocked();
        self.queue.begin_blocked(needed, hub.as_ref());
        let slept = loop {
            if what.is_done() {
                break Slept::Ended(Ending::Done);
            }
            match what.sleep(deadline) {
                Woken::Rung => {}
                Woken::TimedOut if what.is_done() => break Slept::Ended(Ending::Done),
                Woken::TimedOut => break Slept::Ended(Ending::TimedOut),
                Woken::Help => {
                    if let Some((entry, before)) = self.claim_one(what) {
                        break Slept::Claimed(entry, before);
                    }
                }
            }
        };
        self.queue.end_blocked(hub.as_ref());
        self.slot.end_blocked();
        slept
    }

    /// The wait's queued tasks that the pool was not told of yet, so ordered that the first comes out on top.
    fn needed(&self, what: &mut dyn Wait) -> Vec<Entry> {
        let mut needed = Vec::new();
        what.unoffered(&mut |task| {
            if task.cell().header().home.is(self.queue.id) && !task.cell().header().word.load().is_resolved()
            {
                needed.push(task.entry());
            }
        });
        needed
    }

    fn claim_one(&self, what: &mut dyn Wait) -> Option<(Entry, Snapshot)> {
        let mut claimed = None;
        what.each(&mut |task| {
            claimed = self.claim(task);
            claimed.is_none()
        });
        claimed
    }
}

enum Slept {
    Ended(Ending),
    Claimed(Entry, Snapshot),
}
