//! [`Record`]: what a timeline keeps of the events that it is told.

use super::histogram::Histogram;
use super::summary::LongTask;
use crate::id::FutureId;
use crate::observe::event::{PoolEvent, PoolEventKind, TaskInfo, WorkerEnd, WorkerInfo};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many of the longest tasks are kept.
const LONGEST: usize = 5;

/// Something that a [`Timeline`](crate::Timeline) keeps, with when it happened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Span {
    /// A task ran.
    #[non_exhaustive]
    Task {
        /// Its future's id.
        task: FutureId,
        /// Its label, if it has one.
        label: Option<Arc<str>>,
        /// The items of a map that it was for.
        items: Option<Range<usize>>,
        /// The name of the worker that ran it.
        worker: Arc<str>,
        /// When it was queued, if that is known.
        queued: Option<Instant>,
        /// When it began.
        began: Instant,
        /// When it ended; none if it still runs.
        ended: Option<Instant>,
        /// Why it has no result, if it has none.
        error: Option<String>,
    },
    /// A task never ran: it was cancelled or refused.
    #[non_exhaustive]
    NotRun {
        /// When it was queued.
        queued: Instant,
        /// When it ended.
        ended: Instant,
    },
    /// A worker waited within a task.
    #[non_exhaustive]
    Wait {
        /// Its name.
        worker: Arc<str>,
        /// When it began to wait.
        began: Instant,
        /// When it was active again.
        ended: Instant,
    },
    /// A worker started.
    #[non_exhaustive]
    Start {
        /// Its name.
        worker: Arc<str>,
        /// Its process, if that is another.
        pid: Option<u32>,
        /// When its thread or process was started.
        began: Instant,
        /// When it could take tasks.
        ended: Instant,
    },
    /// A worker was gone.
    #[non_exhaustive]
    End {
        /// Its name.
        worker: Arc<str>,
        /// When.
        at: Instant,
        /// Why, if it did not leave by itself.
        why: Option<String>,
        /// The pool killed it.
        was_killed: bool,
    },
}

/// A worker, over all threads or processes that had its name.
pub(super) struct Row {
    pub(super) name: Arc<str>,
    pub(super) tasks: u64,
    pub(super) starting: Duration,
    /// In tasks, waits included.
    pub(super) in_tasks: Duration,
    pub(super) waiting: Duration,
    /// For those that are gone.
    pub(super) there: Duration,
    pub(super) there_since: Option<Instant>,
    /// Tasks that run, one within the other, the outermost first.
    running: Vec<FutureId>,
    waits_since: Option<Instant>,
}

/// A task that runs.
struct Running {
    label: Option<Arc<str>>,
    items: Option<Range<usize>>,
    row: usize,
    queued: Option<Instant>,
    began: Instant,
}

pub(super) struct Record {
    capacity: usize,
    kept: VecDeque<Span>,
    /// Spans that were kept and are no more.
    pub(super) dropped: u64,
    queued: HashMap<FutureId, Instant>,
    running: HashMap<FutureId, Running>,
    rows: Vec<Row>,
    row_of: HashMap<Arc<str>, usize>,
    pub(super) first: Option<Instant>,
    pub(super) last: Option<Instant>,
    pub(super) tasks: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) refused: u64,
    pub(super) killed: u64,
    pub(super) died: u64,
    pub(super) longest: Vec<LongTask>,
    pub(super) queued_for: Histogram,
    pub(super) ran_for: Histogram,
}

impl Record {
    pub(super) fn new(capacity: usize) -> Self {
        Record {
            capacity,
            kept: VecDeque::new(),
            dropped: 0,
            queued: HashMap::new(),
            running: HashMap::new(),
            rows: Vec::new(),
            row_of: HashMap::new(),
            first: None,
            last: None,
            tasks: 0,
            failed: 0,
            cancelled: 0,
            refused: 0,
            killed: 0,
            died: 0,
            longest: Vec::new(),
            queued_for: Histogram::new(),
            ran_for: Histogram::new(),
        }
    }

    /// `error` is the text of the error in it.
    pub(super) fn note(&mut self, event: &PoolEvent<'_>, error: Option<String>) {
        let at = event.at;
        self.cover(at);
        match &event.kind {
            PoolEventKind::Queued { task } => {
                if self.queued.len() < self.capacity {
                    self.queued.insert(task.id, at);
                }
            }
            PoolEventKind::Cancelled { task } => {
                self.cancelled += 1;
                self.note_not_run(task, at);
            }
            PoolEventKind::Refused { task, .. } => {
                self.refused += 1;
                self.note_not_run(task, at);
            }
            PoolEventKind::Started { task, worker } => self.note_started(task, *worker, at),
            PoolEventKind::Ended { task, worker, began, .. } => {
                self.note_ended(task, *worker, *began, at, error);
            }
            PoolEventKind::WaitBegan { worker } => {
                let row = self.row(*worker);
                self.rows[row].waits_since.get_or_insert(at);
            }
            PoolEventKind::WaitEnded { worker } => {
                let row = self.row(*worker);
                self.end_wait(row, at);
            }
            PoolEventKind::WorkerStarted { worker, since } => {
                self.cover(*since);
                let row = self.row(*worker);
                let there = &mut self.rows[row];
                there.starting += at.saturating_duration_since(*since);
                there.there_since = Some(*since);
                let worker_name = there.name.clone();
                self.keep(Span::Start { worker: worker_name, pid: worker.pid, began: *since, ended: at });
            }
            PoolEventKind::WorkerEnded { worker, end } => self.note_worker_ended(*worker, end, at),
        }
    }

    fn cover(&mut self, at: Instant) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }

    fn row(&mut self, worker: WorkerInfo<'_>) -> usize {
        if let Some(row) = self.row_of.get(worker.name) {
            return *row;
        }
        self.rows.push(Row {
            name: worker.name.clone(),
            tasks: 0,
            starting: Duration::ZERO,
            in_tasks: Duration::ZERO,
            waiting: Duration::ZERO,
            there: Duration::ZERO,
            there_since: None,
            running: Vec::new(),
            waits_since: None,
        });
        self.row_of.insert(worker.name.clone(), self.rows.len() - 1);
        self.rows.len() - 1
    }

    fn note_not_run(&mut self, task: &TaskInfo<'_>, at: Instant) {
        if let Some(queued) = self.queued.remove(&task.id) {
            self.keep(Span::NotRun { queued, ended: at });
        }
    }

    fn note_started(&mut self, task: &TaskInfo<'_>, worker: WorkerInfo<'_>, at: Instant) {
        let queued = self.queued.remove(&task.id);
        if let Some(queued) = queued {
            self.queued_for.add(at.saturating_duration_since(queued));
        }
        let row = self.row(worker);
        self.rows[row].running.push(task.id);
        let (label, items) = (task.label.cloned(), task.items.clone());
        self.running.insert(task.id, Running { label, items, row, queued, began: at });
    }

    fn note_ended(
        &mut self,
        task: &TaskInfo<'_>,
        worker: WorkerInfo<'_>,
        began: Instant,
        ended: Instant,
        error: Option<String>,
    ) {
        let row = self.row(worker);
        let queued = self.running.remove(&task.id).and_then(|running| running.queued);
        // A poll may count as a wait until the end of its task, and is told to be over after it.
        if self.rows[row].waits_since.is_some_and(|since| since >= began) {
            self.end_wait(row, ended);
        }
        let took = ended.saturating_duration_since(began);
        let there = &mut self.rows[row];
        there.tasks += 1;
        there.running.retain(|running| *running != task.id);
        if there.running.is_empty() {
            there.in_tasks += took;
        }
        let worker = there.name.clone();
        self.tasks += 1;
        self.failed += u64::from(error.is_some());
        self.ran_for.add(took);
        if self.longest.len() < LONGEST || self.longest.last().is_some_and(|least| least.took < took) {
            let at = self.longest.partition_point(|longer| longer.took >= took);
            let (label, items) = (task.label.cloned(), task.items.clone());
            self.longest.insert(at, LongTask { task: task.id, label, items, worker: worker.clone(), took });
            self.longest.truncate(LONGEST);
        }
        self.keep(Span::Task {
            task: task.id,
            label: task.label.cloned(),
            items: task.items.clone(),
            worker,
            queued,
            began,
            ended: Some(ended),
            error,
        });
    }

    fn end_wait(&mut self, row: usize, at: Instant) {
        let row = &mut self.rows[row];
        if let Some(began) = row.waits_since.take() {
            row.waiting += at.saturating_duration_since(began);
            let worker = row.name.clone();
            self.keep(Span::Wait { worker, began, ended: at });
        }
    }

    fn note_worker_ended(&mut self, worker: WorkerInfo<'_>, end: &WorkerEnd<'_>, at: Instant) {
        let row = self.row(worker);
        let there = &mut self.rows[row];
        if let Some(since) = there.there_since.take() {
            there.there += at.saturating_duration_since(since);
        }
        let (why, was_killed) = match end {
            WorkerEnd::Left => (None, false),
            WorkerEnd::Killed(died) => (Some(died.to_string()), true),
            WorkerEnd::Died(died) => (Some(died.to_string()), false),
        };
        self.killed += u64::from(was_killed);
        self.died += u64::from(why.is_some() && !was_killed);
        let worker = there.name.clone();
        self.keep(Span::End { worker, at, why, was_killed });
    }

    fn keep(&mut self, span: Span) {
        if self.kept.len() >= self.capacity {
            self.dropped += 1;
            if self.kept.pop_front().is_none() {
                return;
            }
        }
        self.kept.push_back(span);
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        let running = self.running.iter().map(|(task, running)| Span::Task {
            task: *task,
            label: running.label.clone(),
            items: running.items.clone(),
            worker: self.rows[running.row].name.clone(),
            queued: running.queued,
            began: running.began,
            ended: None,
            error: None,
        });
        self.kept.iter().cloned().chain(running).collect()
    }

    /// The workers' names, in the order in which they were first heard of.
    pub(super) fn rows(&self) -> Vec<Arc<str>> {
        self.rows.iter().map(|row| row.name.clone()).collect()
    }

    pub(super) fn all_rows(&self) -> &[Row] {
        &self.rows
    }

    /// Since when those wait that are queued now.
    pub(super) fn queued_since(&self) -> Vec<Instant> {
        self.queued.values().copied().collect()
    }
}
