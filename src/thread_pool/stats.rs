//! Numbers about a pool: [`ThreadPoolStats`], and how they are counted without anybody sharing a cache line.

use crate::executor::BusyWorker;
use crate::future::state::Phase;
use crate::id::FutureId;
use crate::sync::plain::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering};
use std::sync::Arc;

/// A pool at one moment, by [`ThreadPoolExecutor::stats`](crate::ThreadPoolExecutor::stats).
///
/// The parts add up: every task that the pool took is in exactly one of `queued`, `running`, `blocked`, `finished`,
/// `failed`, `cancelled`, so their sum, [`submitted`](ThreadPoolStats::submitted), is the number of tasks it took. (Rejected ones
/// it did not take.) Every worker either holds a task or is `idle`. While tasks move, parts may be read a moment apart;
/// when nothing moves they are exact.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ThreadPoolStats {
    /// Tasks that wait for a worker.
    pub queued: usize,
    /// Tasks that are being run.
    pub running: usize,
    /// Tasks that began and now wait: for another task, in one of our waits or in `blocking`, for a place in the pool's own
    /// full queue, for another task of the pool that they polled, or because their worker runs, in place, the task they
    /// wait for.
    pub blocked: usize,
    /// Tasks that gave a result.
    pub finished: u64,
    /// Tasks that gave an error, panicked, or were queued when the pool broke.
    pub failed: u64,
    /// Tasks that were cancelled before they began.
    pub cancelled: u64,
    /// Threads the pool has. Spares that stand in for blocked ones are among them.
    pub workers: usize,
    /// Workers without a task.
    pub idle: usize,
}

impl ThreadPoolStats {
    /// All tasks the pool took.
    pub fn submitted(&self) -> u64 {
        (self.queued + self.running + self.blocked) as u64 + self.finished + self.failed + self.cancelled
    }
}

/// One worker's own numbers. Only its thread writes them, so a load and a store will do; `holds` and `starting` change under
/// the pool's lock.
pub(super) struct Slot {
    pub(super) number: usize,
    pub(super) name: Arc<str>,
    /// It was started although the system had refused a thread before.
    pub(super) is_retry: bool,
    begun: AtomicU64,
    finished: AtomicU64,
    failed: AtomicU64,
    /// The id of the innermost task; 0 for none.
    task: AtomicU64,
    /// In how many waits the thread is that it counts as blocked for, one within the other or side by side.
    holds: AtomicUsize,
    /// It has not looked at the queue yet.
    starting: AtomicBool,
    label: Mutex<Option<Arc<str>>>,
}

/// What a worker was at before a nested task.
pub(super) struct Outer {
    task: u64,
    label: Option<Arc<str>>,
}

impl Slot {
    pub(super) fn new(number: usize, name: Arc<str>, is_retry: bool) -> Arc<Self> {
        Arc::new(Slot {
            number,
            name,
            is_retry,
            begun: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            task: AtomicU64::new(0),
            holds: AtomicUsize::new(0),
            starting: AtomicBool::new(true),
            label: Mutex::new(None),
        })
    }

    pub(super) fn begin(&self, task: FutureId, label: Option<Arc<str>>) -> Outer {
        self.begun.store(self.begun.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let outer = self.task.load(Ordering::Relaxed);
        self.task.store(task.get(), Ordering::Relaxed);
        // Labels are rare: without one before or now there is no lock to take.
        let label = if label.is_some() || outer != 0 {
            std::mem::replace(&mut *self.label.lock(), label)
        } else {
            None
        };
        Outer { task: outer, label }
    }

    pub(super) fn end(&self, outer: Outer, labelled: bool, phase: Phase) {
        let counter = if phase == Phase::Finished { &self.finished } else { &self.failed };
        // ORDERING: Release pairs with the Acquire in `Counters::stats`: a thread that sees this end sees its beginning.
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Release);
        self.task.store(outer.task, Ordering::Relaxed);
        if labelled || outer.task != 0 {
            *self.label.lock() = outer.label;
        }
    }

    pub(super) fn holds(&self) -> usize {
        self.holds.load(Ordering::Relaxed)
    }

    /// Under the pool's lock.
    pub(super) fn set_holds(&self, holds: usize) {
        self.holds.store(holds, Ordering::Relaxed);
    }

    pub(super) fn is_starting(&self) -> bool {
        self.starting.load(Ordering::Relaxed)
    }

    /// Under the pool's lock.
    pub(super) fn set_started(&self) {
        self.starting.store(false, Ordering::Relaxed);
    }

    pub(super) fn busy(&self) -> Option<BusyWorker> {
        let task = FutureId::from_raw(self.task.load(Ordering::Relaxed))?;
        Some(BusyWorker { name: self.name.clone(), task, label: self.label.lock().clone() })
    }
}

/// What no single worker can count: workers that are gone, and tasks that ended elsewhere.
#[derive(Default)]
pub(super) struct Counters {
    finished: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    /// Tasks that a submitter runs (`CallerRuns`).
    elsewhere: AtomicUsize,
}

impl Counters {
    pub(super) fn begin_elsewhere(&self) {
        self.elsewhere.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end_elsewhere(&self, phase: Phase) {
        let counter = if phase == Phase::Finished { &self.finished } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        self.elsewhere.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn add_failed(&self, n: usize) {
        self.failed.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(super) fn add_cancelled(&self, n: usize) {
        self.cancelled.fetch_add(n as u64, Ordering::Relaxed);
    }

    /// A worker is gone; its numbers stay.
    pub(super) fn fold(&self, slot: &Slot) {
        self.finished.fetch_add(slot.finished.load(Ordering::Relaxed), Ordering::Relaxed);
        self.failed.fetch_add(slot.failed.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    pub(super) fn stats<'a>(
        &self,
        queued: usize,
        workers: usize,
        slots: impl Iterator<Item = &'a Arc<Slot>>,
    ) -> ThreadPoolStats {
        let elsewhere = self.elsewhere.load(Ordering::Relaxed);
        let mut stats = ThreadPoolStats {
            queued,
            workers,
            finished: self.finished.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            cancelled: self.cancelled.load(Ordering::Relaxed),
            running: elsewhere,
            idle: workers,
            ..ThreadPoolStats::default()
        };
        let mut in_hand = 0;
        for slot in slots {
            // ORDERING: pairs with the Release in `Slot::end`. Ends are read before beginnings: each that is seen here is among
            // those that have begun.
            let (finished, failed) =
                (slot.finished.load(Ordering::Acquire), slot.failed.load(Ordering::Acquire));
            in_hand += (slot.begun.load(Ordering::Relaxed) - (finished + failed)) as usize;
            stats.finished += finished;
            stats.failed += failed;
            if slot.task.load(Ordering::Relaxed) != 0 {
                stats.idle = stats.idle.saturating_sub(1);
                stats.running += usize::from(slot.holds() == 0);
            }
        }
        stats.blocked = (in_hand + elsewhere).saturating_sub(stats.running);
        stats
    }
}
