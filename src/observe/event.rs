//! [`PoolEvent`]: what an observer is told.

use crate::error::{TaskError, WorkerDied};
use crate::id::FutureId;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Something that happened in a pool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolEvent<'a> {
    /// When it happened. An event may be told later than others that happened after it.
    pub at: Instant,
    /// What happened.
    pub kind: PoolEventKind<'a>,
}

/// What happened in a pool.
///
/// Each task is `Queued` once, and then, once, `Refused`, or `Cancelled`, or `Ended`. Before it ends it is `Started`, once, or,
/// on processes, again after its worker died, if it has [`retries`](crate::TaskOptions::retries): each `Started` has its `Ended`.
/// Where a lazy map on threads lets short items share a task, and then parts them because one takes long, those that have not
/// begun become tasks of their own, which are not `Queued` by themselves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PoolEventKind<'a> {
    /// A task is handed to the pool, and waits for a worker from now on. Told before the pool takes or refuses it.
    Queued {
        /// The task.
        task: TaskInfo<'a>,
    },
    /// A task ended without having begun, because the pool did not take it or broke.
    Refused {
        /// The task.
        task: TaskInfo<'a>,
        /// What its future says.
        error: &'a TaskError,
    },
    /// A task was cancelled before it began.
    Cancelled {
        /// The task.
        task: TaskInfo<'a>,
    },
    /// A task began. On processes it is told when the task is over, with the moment that its worker noted.
    Started {
        /// The task.
        task: TaskInfo<'a>,
        /// Who runs it.
        worker: WorkerInfo<'a>,
    },
    /// A task is over that had begun. Told before its future knows.
    Ended {
        /// The task.
        task: TaskInfo<'a>,
        /// Who ran it.
        worker: WorkerInfo<'a>,
        /// When it had begun.
        began: Instant,
        /// Why it has no result, if it has none. A task that is run again after its worker died has ended with that death.
        error: Option<&'a TaskError>,
    },
    /// A worker is about to wait within a task and counts as blocked: for another task of its pool, in
    /// [`blocking`](crate::blocking), for a place in the pool's full queue. On threads.
    WaitBegan {
        /// The worker.
        worker: WorkerInfo<'a>,
    },
    /// A worker that counted as blocked is active again.
    WaitEnded {
        /// The worker.
        worker: WorkerInfo<'a>,
    },
    /// A worker is there and can take tasks: its initializer has run. Of one that does not come so far nothing is told.
    WorkerStarted {
        /// The worker.
        worker: WorkerInfo<'a>,
        /// When its thread or process was started.
        since: Instant,
    },
    /// A worker is gone.
    WorkerEnded {
        /// The worker.
        worker: WorkerInfo<'a>,
        /// How.
        end: WorkerEnd<'a>,
    },
}

/// A task, as an observer is told of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskInfo<'a> {
    /// Its future's id.
    pub id: FutureId,
    /// Its label, if it has one.
    pub label: Option<&'a Arc<str>>,
    /// The items of a map that it is for, as [`RunningTask::items`](crate::RunningTask::items).
    pub items: Option<Range<usize>>,
}

/// A worker, as an observer is told of it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WorkerInfo<'a> {
    /// Its name; of a thread that runs what it submits (`CallerRuns`), that thread's. A process that takes another's place
    /// has its name.
    pub name: &'a Arc<str>,
    /// Its process, if that is not this one.
    pub pid: Option<u32>,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum WorkerEnd<'a> {
    /// It left when it was told to, or had nothing to do for long enough.
    Left,
    /// The pool killed it: for a task's time limit, a `kill`, `terminate_workers`, or because it did not do as workers do.
    Killed(&'a WorkerDied),
    /// It died.
    Died(&'a WorkerDied),
}
