//! Waiting inside a worker for tasks of its own pool: never a deadlock.
//!
//! | the waiter | does |
//! |---|---|
//! | can't go on without this queued task, no time limit, stack has room and doesn't unwind, is active (`result`, `wait` for all, `map`'s next, a scope's end) | claims it as a worker would, and runs it in place |
//! | everything else that really waits: any of several would do, a time limit runs, the task already runs elsewhere, the stack has no room or unwinds, the worker counts as blocked already (`blocking`) or runs its initializer | counts as *blocked*: its queued tasks go on the urgent stack, newest first, and a spare worker is started while fewer than `max_workers` are active |
//! | polls a task that is not done (`block_on`, `.await`) | counts as *blocked* in the same way, from the poll until the task is done, the future is dropped or polled elsewhere, or the task that polled ends |
//!
//! How much stack the next task takes nobody can know, so *room* is a matter of who else could run it. Nearly all is left
//! (seven eighths): it runs in place, and nobody looks for another worker. More than half is left, and twice what the
//! widest task below took: it runs in place if no other worker can be had at once, because one is idle or may be started
//! within `max_workers`. Less: the waiter counts as blocked, and another worker or a spare has its whole stack for the
//! task. A chain of waits so goes from stack to stack, and of each it uses half.
//!
//! A thread counts as blocked once, however many of these it is in, one within the other or side by side: it *holds* each
//! of them ([`Slot`](super::stats::Slot)), and is blocked while it holds any. A wait inside a wait may find a spare at work
//! in this worker's stead already; to run the task in place beside it would make one task too many, so it waits for the
//! spare. Where a waiter does run a task in place, it holds nothing meanwhile ([`Worker::run_above`]): the task is active,
//! and its own waits count.
//!
//! A poll says less than a wait: the code that polls may have other things to do, and could do without this task. So nothing
//! runs in it, unless nobody else is left. Nor can the pool know whether the thread sleeps in what polls. It counts as
//! blocked all the same, for otherwise the only worker could sleep for ever in a `block_on` for what only it may run; the
//! price is that one task more may be active while such a thread goes on with something else.
//!
//! A worker is not initialized while its initializer runs: what that waits for is never run in place. If no further worker
//! can be had to run it, the task ends with an error, since the wait could never end otherwise.
//!
//! In place only what the waiter can't do without: a lock held below would deadlock on that task on any pool. A task
//! that it *could* do without must not run there, since it may want that lock; nor one with a limit, since it can't be
//! left half-way. No stranger's task is ever run by a waiter.
//!
//! # Why it never deadlocks
//!
//! A waiter in place waits for nothing but its own need. Take the least blocked waiter in the order of need: what it
//! needs is queued (else the task's own worker is a lesser waiter, or active). If a worker is active it comes to look,
//! and serves the urgent stack first. If none is, the end of each section of the pool's state ([`queue`](super::queue)) wakes a sleeper or starts a thread; and
//! if no thread can be had it tells the waiters that have no time limit to run one of their own tasks (*help*); one that
//! polled is woken, and runs the task in its next poll. Those with a limit end by themselves. A waiter that was told in
//! vain looks again when the system may have threads again. A waiter that is told so and may not run even a task that
//! nobody else can run, for want of stack or because it is not initialized, ends that task with an error in its place: to
//! run it could only overflow the stack, and to leave it in the queue would leave every thread of the pool waiting. The
//! wait goes on with one task less to wait for, so this ends as well.
//!
//! Waits on *another* pool's future, on a promise or on a lock are the user's, as in Python: counting those as blocked
//! would break the limit a pool is bought for. `blocking` declares them.

use super::queue::Await;
use super::worker::Worker;
use crate::clock::is_over;
use crate::error::{Broken, Rejected, TaskError};
use crate::future::cell::Entry;
use crate::future::home::HomeId;
use crate::future::hub::{Hub, Woken};
use crate::future::state::{Phase, Snapshot};
use crate::future::waiting::{self, Ending, Host, Wait, Watched};
use crate::stack;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

/// Runs `f`, which waits for something that is not a task of this worker's pool: a lock, another pool, the network. The
/// worker counts as blocked meanwhile, so that the pool runs another task in its place. Elsewhere it only runs `f`.
///
/// It may be nested, and `f` may wait for tasks of the pool in any way: the worker counts as blocked once. What `f` waits
/// for runs in another worker.
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

    fn worker(&self) -> Option<(Arc<str>, usize)> {
        Some((self.slot.name.clone(), self.slot.number))
    }

    fn wait(&self, what: &mut dyn Wait, deadline: Option<Instant>) -> Ending {
        // It waits for its own end, or for that of a task which may wait for its. Where any of several would do, not as long as
        // there are others.
        if deadline.is_none()
            && let Some(addressed) = self.queue.home_of_addressed()
            && what.needs_one_of(addressed)
        {
            return Ending::Never;
        }
        // Not on a stack that unwinds: the task would see `thread::panicking`, and a pool that it drops would cancel.
        if what.needs_all() && deadline.is_none() && self.may_run_in_place() && !std::thread::panicking() {
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

    fn why_never(&self) -> &'static str {
        BROADCAST_WAITS
    }

    fn begin_blocking(&self) {
        self.queue.begin_blocked(&self.slot, Vec::new(), None);
    }

    fn end_blocking(&self) {
        self.queue.end_blocked(&self.slot, None);
    }

    fn awaits(&self, task: &dyn Watched, waker: &Waker) -> Waker {
        let entry = task.entry();
        let wait = Await::new(&self.queue, &self.slot, &entry, waker.clone());
        let stuck = self.queue.begin_await(&wait, entry);
        if stuck && task.cell().header().word.load().phase() == Phase::Queued {
            drop(wait);
            if let Some((entry, before)) = self.claim(task) {
                self.help(&entry, before);
            }
            // Done now; or somebody else was faster, and this poll is as any other.
            return if task.cell().header().word.load().is_resolved() {
                waker.clone()
            } else {
                self.awaits(task, waker)
            };
        }
        let mut awaits = self.awaits.borrow_mut();
        if awaits.len() == awaits.capacity() {
            awaits.retain(|token| !token.is_over());
        }
        awaits.push(wait.token().clone());
        Waker::from(wait)
    }
}

/// Why a wait for what a pool has broadcast ends at once in its own tasks.
const BROADCAST_WAITS: &str = "a task waited for what was broadcast to each worker of its own pool; a worker has its part when its \
    task is over, so the wait might never end: wait elsewhere, or with a time limit";

/// Why a task ends for which an initializer waits, and nobody can run it.
const INITIALIZER_WAITS: &str = "the initializer of a worker waits for this task of its own pool, and no other worker is \
    available to run it; let the initializer wait for nothing that only an initialized worker can do";

/// A wait of a worker, counted while it lives.
struct Blocked<'a> {
    worker: &'a Worker,
    helper: Option<Arc<Hub>>,
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.worker.queue.end_blocked(&self.worker.slot, self.helper.as_ref());
    }
}

impl Worker {
    /// It is initialized, and active: no spare is at work in its stead.
    fn may_run_in_place(&self) -> bool {
        !self.slot.is_starting() && self.slot.holds() == 0
    }

    /// Runs in place what is queued of the tasks that are all needed, while the stack has room.
    fn run_needed(&self, what: &mut dyn Wait) {
        what.each(&mut |task| {
            let room = stack::room();
            if !(room.is_nearly_whole() || (room.is_ample() && !self.queue.has_another())) {
                return false;
            }
            if let Some((entry, before)) = self.claim(task) {
                self.run_in_place(&entry, before);
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
        if is_over(deadline) {
            return waiting::sleep(what, deadline);
        }
        what.arm();
        loop {
            if what.is_done() {
                return Ending::Done;
            }
            match self.sleep_blocked(what, deadline) {
                SleepEnd::Ended(ending) => return ending,
                SleepEnd::Claimed(entry, before) => self.help(&entry, before),
            }
        }
    }

    /// Sleeps, counted as blocked, until the wait is over or the waiter shall run one of its own tasks.
    fn sleep_blocked(&self, what: &mut dyn Wait, deadline: Option<Instant>) -> SleepEnd {
        let needed = self.needed(what);
        let helper = deadline.is_none().then(|| what.arm().clone());
        self.queue.begin_blocked(&self.slot, needed, helper.as_ref());
        // Also if it ends by a panic: what is waited for may be behind a type of the user's.
        let _blocked = Blocked { worker: self, helper };
        let mut retry = None;
        loop {
            if what.is_done() {
                return SleepEnd::Ended(Ending::Done);
            }
            match what.arm().sleep(deadline.or(retry)) {
                Woken::Rung => {}
                Woken::TimedOut if what.is_done() => return SleepEnd::Ended(Ending::Done),
                Woken::TimedOut if deadline.is_none() => {
                    self.queue.try_again();
                    retry = self.queue.retry_at();
                }
                Woken::TimedOut => return SleepEnd::Ended(Ending::TimedOut),
                Woken::Help => {
                    if let Some((entry, before)) = self.claim_one(what) {
                        return SleepEnd::Claimed(entry, before);
                    }
                    retry = self.queue.retry_at();
                }
            }
        }
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

    /// Runs a task that nobody else can run; or ends it, where that can't be.
    fn help(&self, entry: &Entry, before: Snapshot) {
        if self.slot.is_starting() {
            self.fail_in_place(&**entry, before, TaskError::Broken(Broken::new(INITIALIZER_WAITS)));
        } else if stack::room().fits_another() {
            self.run_in_place(entry, before);
        } else {
            self.fail_in_place(&**entry, before, TaskError::Rejected(Rejected::StackSpent));
        }
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

/// Why a blocked sleep ended.
enum SleepEnd {
    Ended(Ending),
    Claimed(Entry, Snapshot),
}
