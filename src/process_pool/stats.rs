//! A pool of processes in numbers: [`ProcessPoolStats`], [`WorkerStats`].

use super::parent::lane::{Lane, Status};
use super::parent::pool::Pool;
use crate::executor::{Begun, BusyWorker, By, RunningTask, running};
use crate::sync::plain::Ordering;
use std::time::Duration;

/// A pool at one moment, by [`ProcessPoolExecutor::stats`](crate::ProcessPoolExecutor::stats). Which tasks those are that
/// run, and since when, [`running`](crate::ProcessPoolExecutor::running) says.
///
/// Every task that the pool took is in exactly one of `queued`, `dispatched`, `running`, `finished`, `failed`,
/// `cancelled`. While tasks move, parts may be read a moment apart; when nothing moves they are exact.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ProcessPoolStats {
    /// Tasks that wait for a worker.
    pub queued: usize,
    /// Tasks that were sent to a worker, which has not begun them.
    pub dispatched: usize,
    /// Tasks that a worker has begun.
    pub running: usize,
    /// Tasks that gave a result.
    pub finished: u64,
    /// Tasks that gave an error, panicked, or whose worker died.
    pub failed: u64,
    /// Tasks that were cancelled before they began.
    pub cancelled: u64,
    /// Workers that died without being told to.
    pub deaths: u64,
    /// The workers, each at its place. Places that never had one are not listed. Behind them, by the same names, those that start
    /// ahead of time to take the place of one that is at its last tasks (`max_tasks_per_child`): a `pid` of their own, and no task yet.
    pub workers: Vec<WorkerStats>,
}

impl ProcessPoolStats {
    /// All tasks the pool took.
    pub fn submitted(&self) -> u64 {
        (self.queued + self.dispatched + self.running) as u64 + self.finished + self.failed + self.cancelled
    }
}

/// One place for a worker, and the workers that have been there.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct WorkerStats {
    /// The name, as `ps` shows the beginning of it.
    pub name: String,
    /// The process, while there is one.
    pub pid: Option<u32>,
    /// What it is doing.
    pub state: WorkerState,
    /// Tasks done here, a chunk of a map counting as one.
    pub tasks_done: u64,
    /// Time in which this place had tasks.
    pub busy: Duration,
    /// Processes started here.
    pub starts: u64,
}

/// Where a worker stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum WorkerState {
    /// There is none at the moment; the next task that needs one starts it.
    Absent,
    /// Starting, or in its initializer.
    Starting,
    /// Waits for a task.
    Idle,
    /// Has tasks.
    Busy,
    /// Told to end.
    Stopping,
}

impl Pool {
    pub(super) fn stats(&self) -> ProcessPoolStats {
        if self.is_fork() {
            return ProcessPoolStats::default();
        }
        let dispatcher = self.dispatcher.lock();
        let (mut dispatched, mut running) = (0, 0);
        for lane in dispatcher.lanes() {
            let begun = lane.running().count();
            running += begun;
            dispatched += lane.in_flight() - begun.min(lane.in_flight());
        }
        let seen = dispatcher.lanes().iter().enumerate().filter(|(_, lane)| lane.starts() > 0);
        let spares = dispatcher.spares().map(|(at, pid)| WorkerStats {
            name: self.config.launch.worker_name(at),
            pid,
            state: WorkerState::Starting,
            tasks_done: 0,
            busy: Duration::ZERO,
            starts: u64::from(pid.is_some()),
        });
        ProcessPoolStats {
            queued: dispatcher.queued(),
            dispatched,
            running,
            finished: self.finished.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            cancelled: dispatcher.totals().cancelled,
            deaths: dispatcher.totals().deaths,
            workers: seen.map(|(at, lane)| self.worker_stats(at, lane)).chain(spares).collect(),
        }
    }

    pub(super) fn running(&self) -> Vec<RunningTask> {
        if self.is_fork() {
            return Vec::new();
        }
        self.beginnings.watch();
        let mut all = self.elsewhere.running();
        let mut dispatcher = self.dispatcher.lock();
        dispatcher.note_beginnings();
        for (at, lane) in dispatcher.lanes().iter().enumerate() {
            let Some(segment) = lane.segment() else { continue };
            for (position, task) in lane.running_at() {
                let since = segment.task_clock.begun(position.batch, position.index);
                let since = since.map(|reading| self.clock.moment(reading));
                let by =
                    By { worker: self.config.launch.worker_name(at).into(), pid: lane.pid(), blocked: false };
                all.push((Begun::of(&**task.entry, since), by));
            }
        }
        drop(dispatcher);
        running(all, &self.beginnings)
    }

    fn worker_stats(&self, at: usize, lane: &Lane) -> WorkerStats {
        let state = match lane.status() {
            Status::Vacant => WorkerState::Absent,
            Status::Starting => WorkerState::Starting,
            Status::Up if lane.in_flight() == 0 => WorkerState::Idle,
            Status::Up => WorkerState::Busy,
            Status::Closing => WorkerState::Stopping,
        };
        WorkerStats {
            name: self.config.launch.worker_name(at),
            pid: lane.pid(),
            state,
            tasks_done: lane.done(),
            busy: lane.busy(),
            starts: lane.starts(),
        }
    }

    /// What is left to do when a `join_timeout` times out: which worker runs what, and how many tasks are queued.
    pub(super) fn unfinished(&self) -> (Vec<BusyWorker>, usize) {
        let dispatcher = self.dispatcher.lock();
        let lanes = dispatcher.lanes().iter().enumerate();
        let running = lanes.flat_map(|(at, lane)| lane.running().map(move |task| (at, task)));
        let busy = running.map(|(at, task)| BusyWorker {
            name: self.config.launch.worker_name(at).into(),
            task: task.id(),
            label: task.entry.label(),
        });
        (busy.collect(), dispatcher.queued())
    }
}
