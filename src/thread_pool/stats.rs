//! Numbers about a pool: [`ThreadPoolStats`], and how they are counted without anybody sharing a cache line. What it runs.

use super::queue::{Bell, Hand};
use crate::executor::{Begun, BusyWorker, By, Elsewhere, RunningTask, WarmUp, running};
use crate::future::cell::{AnyCell, Entry};
use crate::future::state::Phase;
use crate::id::FutureId;
use crate::since::Beginnings;
use crate::sync::plain::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// A pool at one moment, by [`ThreadPoolExecutor::stats`](crate::ThreadPoolExecutor::stats). Which tasks those are that run,
/// and since when, [`running`](crate::ThreadPoolExecutor::running) says.
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
    /// The id of the innermost task; 0 for none. Written after what is said of that task below, and cleared before it, so
    /// that whoever finds the same id before and after reading that has read what belongs to it.
    task: AtomicU64,
    /// When it began, if that was noted.
    since: AtomicU64,
    /// Which items of a map it is for.
    items: (AtomicUsize, AtomicUsize),
    /// In how many waits the thread is that it counts as blocked for, one within the other or side by side.
    holds: AtomicUsize,
    /// It has not looked at the queue yet.
    starting: AtomicBool,
    /// How many tasks only it runs. Changes under the pool's lock.
    addressed: AtomicUsize,
    /// How many more it is about to be given: it doesn't end for want of work meanwhile. Changes under the pool's lock.
    kept: AtomicUsize,
    rare: Mutex<Rare>,
    /// Tasks that it has taken and not begun.
    pub(super) hand: Hand,
    pub(super) bell: Bell,
}

/// What few tasks have: without it there is no lock to take.
#[derive(Default)]
struct Rare {
    /// The innermost task's.
    label: Option<Arc<str>>,
    /// Those that it is nested in, the outermost first.
    outer: Vec<Nest>,
    /// Who awaits the worker's start.
    warm_up: Vec<Arc<WarmUp>>,
    /// Tasks that only this worker runs, the oldest first.
    addressed: VecDeque<Entry>,
}

/// A task that another is nested in, or the innermost one.
#[derive(Clone)]
struct Nest {
    task: FutureId,
    label: Option<Arc<str>>,
    items: Range<usize>,
    /// As [`Beginnings::note`] gave it.
    since: u64,
}

/// How a task began on a worker: what its end has to undo.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Began {
    /// Nothing is known of it but its id.
    Plain,
    /// It is of a map.
    OfMap,
    Labelled,
    /// It runs in another.
    Nested,
}

impl Began {
    /// Whether no options came with it.
    #[inline]
    pub(super) fn is_plain(self) -> bool {
        self == Began::Plain
    }
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
            since: AtomicU64::new(0),
            items: (AtomicUsize::new(0), AtomicUsize::new(0)),
            holds: AtomicUsize::new(0),
            starting: AtomicBool::new(true),
            addressed: AtomicUsize::new(0),
            kept: AtomicUsize::new(0),
            rare: Mutex::default(),
            hand: Hand::default(),
            bell: Bell::default(),
        })
    }

    pub(super) fn begin(&self, task: &dyn AnyCell, since: u64) -> Began {
        self.begun.store(self.begun.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let id = task.header().id.get();
        if let Some(outer) = FutureId::from_raw(self.task.load(Ordering::Relaxed)) {
            let (label, items) = if task.has_about() { task.about() } else { (None, 0..0) };
            let mut rare = self.rare.lock();
            let label = std::mem::replace(&mut rare.label, label);
            rare.outer.push(Nest {
                task: outer,
                label,
                items: self.items(),
                since: self.since.load(Ordering::Relaxed),
            });
            self.set_items(items);
            self.set_task(id, since);
            return Began::Nested;
        }
        if !task.has_about() {
            self.set_task(id, since);
            return Began::Plain;
        }
        let (label, items) = task.about();
        let began = if label.is_some() { Began::Labelled } else { Began::OfMap };
        if began == Began::Labelled {
            self.rare.lock().label = label;
        }
        self.set_items(items);
        self.set_task(id, since);
        began
    }

    pub(super) fn end(&self, began: Began, phase: Phase) {
        let counter = if phase == Phase::Finished { &self.finished } else { &self.failed };
        // ORDERING: Release pairs with the Acquire in `Counters::stats`: a thread that sees this end sees its beginning.
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Release);
        match began {
            Began::Plain => self.task.store(0, Ordering::Relaxed),
            Began::OfMap => self.end_told(),
            Began::Labelled => {
                self.end_told();
                self.rare.lock().label = None;
            }
            Began::Nested => {
                let mut rare = self.rare.lock();
                let Some(Nest { task, label, items, since }) = rare.outer.pop() else { return };
                rare.label = label;
                self.set_items(items);
                self.set_task(task.get(), since);
            }
        }
    }

    fn end_told(&self) {
        self.task.store(0, Ordering::Relaxed);
        self.set_items(0..0);
    }

    fn items(&self) -> Range<usize> {
        self.items.0.load(Ordering::Relaxed)..self.items.1.load(Ordering::Relaxed)
    }

    fn set_items(&self, items: Range<usize>) {
        let (start, end) = (&self.items.0, &self.items.1);
        // ORDERING: Release pairs with the Acquire in `look`: whoever reads them finds the task before them gone.
        start.store(items.start, Ordering::Release);
        // ORDERING: as above.
        end.store(items.end, Ordering::Release);
    }

    fn set_task(&self, task: u64, since: u64) {
        // ORDERING: Release pairs with the Acquire in `look`: whoever reads it finds the task before it gone.
        self.since.store(since, Ordering::Release);
        // ORDERING: Release pairs with the Acquire in `look`: whoever finds the task reads what was stored before.
        self.task.store(task, Ordering::Release);
    }

    /// What the worker runs, the innermost task last. For any thread.
    fn look(&self) -> Vec<Nest> {
        /// A worker that begins tasks faster than this thread reads four words has none to be asked about.
        const TRIES: usize = 100;
        let rare = self.rare.lock();
        for _ in 0..TRIES {
            let (start, end) = (&self.items.0, &self.items.1);
            // ORDERING: Acquire pairs with the Release stores in `set_task`.
            let (task, since) = (self.task.load(Ordering::Acquire), self.since.load(Ordering::Acquire));
            // ORDERING: Acquire pairs with the Release stores in `set_items`.
            let items = start.load(Ordering::Acquire)..end.load(Ordering::Acquire);
            if self.task.load(Ordering::Relaxed) != task {
                continue;
            }
            let innermost =
                FutureId::from_raw(task).map(|task| Nest { task, label: rare.label.clone(), items, since });
            return rare.outer.iter().cloned().chain(innermost).collect();
        }
        rare.outer.clone()
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

    /// Under the pool's lock, while it is starting.
    pub(super) fn await_start(&self, warm_up: &Arc<WarmUp>) {
        self.rare.lock().warm_up.push(warm_up.clone());
    }

    /// Who awaited it, if anybody did: to be dropped without a lock. Under the pool's lock, when it is up or given up.
    pub(super) fn has_started(&self) -> Option<Vec<Arc<WarmUp>>> {
        let warm_up = std::mem::take(&mut self.rare.lock().warm_up);
        (!warm_up.is_empty()).then_some(warm_up)
    }

    /// How many tasks only this worker runs, dead ones included.
    pub(super) fn addressed(&self) -> usize {
        self.addressed.load(Ordering::Relaxed)
    }

    /// Under the pool's lock.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed) > 0
    }

    /// Under the pool's lock. [`let_go`](Self::let_go) follows.
    pub(super) fn keep(&self) {
        self.kept.store(self.kept.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Under the pool's lock; its bell is rung then.
    pub(super) fn let_go(&self) {
        self.kept.store(self.kept.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
    }

    /// Does something with all of them. Under the pool's lock.
    pub(super) fn with_addressed<R>(&self, change: impl FnOnce(&mut VecDeque<Entry>) -> R) -> R {
        let mut rare = self.rare.lock();
        let done = change(&mut rare.addressed);
        self.addressed.store(rare.addressed.len(), Ordering::Relaxed);
        done
    }

    /// Under the pool's lock.
    pub(super) fn set_started(&self) {
        self.starting.store(false, Ordering::Relaxed);
    }

    pub(super) fn busy(&self) -> Option<BusyWorker> {
        let Nest { task, label, .. } = self.look().pop()?;
        Some(BusyWorker { name: self.name.clone(), task, label })
    }
}

/// What no single worker can count: workers that are gone, and tasks that ended elsewhere.
#[derive(Default)]
pub(super) struct Counters {
    finished: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    /// Tasks that a submitter runs (`CallerRuns`).
    pub(super) elsewhere: Elsewhere,
}

impl Counters {
    pub(super) fn end_elsewhere(&self, task: &dyn AnyCell, phase: Phase) {
        let counter = if phase == Phase::Finished { &self.finished } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        self.elsewhere.end(task);
    }

    /// Everything that runs.
    pub(super) fn running(&self, slots: &[Arc<Slot>], beginnings: &Beginnings) -> Vec<RunningTask> {
        beginnings.watch();
        let mut all = Vec::new();
        for slot in slots {
            let begun = slot.look();
            let innermost = begun.len().saturating_sub(1);
            let by = |depth| By {
                worker: slot.name.clone(),
                pid: None,
                blocked: depth < innermost || slot.holds() > 0,
            };
            all.extend(begun.into_iter().enumerate().map(|(depth, Nest { task, label, items, since })| {
                (Begun { task, label, items, since: beginnings.moment(since) }, by(depth))
            }));
        }
        all.extend(self.elsewhere.running());
        running(all, beginnings)
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
        let elsewhere = self.elsewhere.len();
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
