//! [`Hub`]: what one wait puts into the futures it waits for, and sleeps on.
//!
//! One per wait, however many futures: a future that completes tells the hub and knows nothing else of the thread that
//! waits. When the hub rings, the wait says ([`RingWhen`]).
//!
//! No ring is lost: it is a flag, or a key, under the hub's mutex, set before the notification and looked at before each
//! sleep.

use super::state::Phase;
use crate::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use crate::sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Names one future within one hub.
pub(crate) type Key = u32;

/// When a hub rings by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RingWhen {
    /// Once that many futures have completed. For a wait for one future, `wait` and a scope's end.
    Completed(usize),
    /// At the first failure, or once that many have completed.
    FailedOrCompleted(usize),
    /// At each future that completes; its key is kept for [`Keys::take`]. For `as_completed` and unordered maps.
    EachCompletes,
}

/// Why a sleeper was woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// What it waits for may have happened.
    Rung,
    /// It shall look whether it can run one of its own tasks.
    Help,
    /// Its time is up.
    TimedOut,
}

pub(crate) struct Hub {
    when: RingWhen,
    /// Of a hub that counts.
    remaining: AtomicIsize,
    /// It has rung by itself; of one that keeps keys, since they were taken.
    has_rung: AtomicBool,
    bell: Mutex<Bell>,
    rung: Condvar,
    /// The wait is over: entries left behind in futures are dead.
    abandoned: AtomicBool,
}

/// What the sleeper has not taken yet.
#[derive(Default)]
struct Bell {
    rung: bool,
    help: bool,
    completed: VecDeque<Key>,
}

impl Hub {
    pub(crate) fn new(when: RingWhen) -> Arc<Self> {
        let remaining = match when {
            RingWhen::Completed(count) | RingWhen::FailedOrCompleted(count) => count,
            RingWhen::EachCompletes => 0,
        };
        let remaining = isize::try_from(remaining).expect("a wait for more futures than fit in memory");
        Arc::new(Hub {
            when,
            remaining: AtomicIsize::new(remaining),
            has_rung: AtomicBool::new(false),
            bell: Mutex::default(),
            rung: Condvar::new(),
            abandoned: AtomicBool::new(false),
        })
    }

    /// A future has completed, in this phase.
    pub(crate) fn tell(&self, key: Key, phase: Phase) {
        match self.when {
            RingWhen::EachCompletes => {
                {
                    let mut bell = self.bell.lock();
                    bell.completed.push_back(key);
                    // ORDERING: Relaxed, a hint. A thread that was told otherwise that the future is done sees it, and one that sleeps asks
                    // under the lock.
                    self.has_rung.store(true, Ordering::Relaxed);
                }
                self.rung.notify_one();
            }
            RingWhen::Completed(_) | RingWhen::FailedOrCompleted(_) => {
                // ORDERING: Release, so that the last to count has every outcome counted before; Acquire, so that it hands
                // them on by the store below.
                let was_last = self.remaining.fetch_sub(1, Ordering::AcqRel) == 1;
                let is_failure = phase == Phase::Failed;
                if was_last || (is_failure && matches!(self.when, RingWhen::FailedOrCompleted(_))) {
                    // ORDERING: pairs with the load in `has_rung`, whose thread takes the outcomes next.
                    self.has_rung.store(true, Ordering::Release);
                    self.ring();
                }
            }
        }
    }

    /// Whether a hub that counts has rung by itself, without sleeping.
    pub(crate) fn has_rung(&self) -> bool {
        // ORDERING: pairs with the store in `tell`.
        self.has_rung.load(Ordering::Acquire)
    }

    /// Rings, whatever was counted.
    pub(crate) fn ring(&self) {
        // The sleeper holds an Arc of this hub until it has woken, and so does the thread that rings.
        self.bell.lock().rung = true;
        self.rung.notify_one();
    }

    /// Tells the sleeper to look whether it can help itself.
    pub(crate) fn help(&self) {
        self.bell.lock().help = true;
        self.rung.notify_one();
    }

    /// Sleeps until the hub rings or the time is up. One sleeper at a time; a ring is taken by it, keys are not.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) -> Woken {
        let mut bell = self.bell.lock();
        loop {
            if std::mem::take(&mut bell.rung) || !bell.completed.is_empty() {
                return Woken::Rung;
            }
            if std::mem::take(&mut bell.help) {
                return Woken::Help;
            }
            match deadline {
                None => self.rung.wait(&mut bell),
                Some(at) => {
                    let timed_out = self.rung.wait_until(&mut bell, at).timed_out();
                    if timed_out && !bell.rung && bell.completed.is_empty() {
                        return Woken::TimedOut;
                    }
                }
            }
        }
    }

    /// The wait is over: an entry of this hub may be dropped wherever it is met.
    pub(crate) fn abandon(&self) {
        // ORDERING: pairs with the load in `is_abandoned`: a watcher's sweep drops entries of this hub after it.
        self.abandoned.store(true, Ordering::Release);
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        // ORDERING: pairs with the store in `abandon`.
        self.abandoned.load(Ordering::Acquire)
    }
}

/// The keys of futures as they complete: the only listener of its hub. Its drop, not its owner's, marks the hub as
/// abandoned: an owner with a `Drop` of its own would keep what it borrows borrowed until the end of its block.
pub(crate) struct Keys(Arc<Hub>);

impl Keys {
    pub(crate) fn new() -> Self {
        Keys(Hub::new(RingWhen::EachCompletes))
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.0
    }

    /// Moves the keys of what has completed since into `ready`, which is empty. All at once: the threads that tell and the
    /// one that listens meet at the lock once for many futures, not once for each. The two buffers take turns.
    pub(crate) fn take(&self, ready: &mut VecDeque<Key>) {
        if self.0.has_rung.load(Ordering::Relaxed) {
            debug_assert!(ready.is_empty());
            let mut bell = self.0.bell.lock();
            std::mem::swap(&mut bell.completed, ready);
            self.0.has_rung.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
