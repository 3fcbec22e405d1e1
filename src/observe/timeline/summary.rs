//! [`Summary`]: a timeline in numbers.

use super::record::{Record, Row};
use crate::id::FutureId;
use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What a pool did until now, in numbers: by [`Timeline::summary`](crate::Timeline::summary). `Display` shows it as a table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// Tasks that have run, with a result or without.
    pub tasks: u64,
    /// Those among them that gave none.
    pub failed: u64,
    /// Tasks that were cancelled before they began.
    pub cancelled: u64,
    /// Tasks that the pool did not take, or could not run.
    pub refused: u64,
    /// Workers that the pool killed.
    pub killed: u64,
    /// Workers that died.
    pub died: u64,
    /// From the first event to the last.
    pub time: Duration,
    /// The workers, in the order in which they were first heard of.
    pub workers: Vec<WorkerSummary>,
    /// The tasks that ran longest, the longest first; five at most.
    pub longest: Vec<LongTask>,
    /// For how long tasks were queued.
    pub queued_for: Percentiles,
    /// For how long tasks ran, waits included.
    pub ran_for: Percentiles,
    /// Spans that the timeline had no room to keep. They are in these numbers, and missing in a trace.
    pub dropped: u64,
}

/// A worker in numbers, over all threads or processes that had its name.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct WorkerSummary {
    /// Its name.
    pub name: Arc<str>,
    /// Tasks that it has run.
    pub tasks: u64,
    /// Until it could take tasks.
    pub starting: Duration,
    /// In tasks, but for their waits.
    pub working: Duration,
    /// In waits within tasks.
    pub waiting: Duration,
    /// Without a task.
    pub idle: Duration,
}

impl WorkerSummary {
    /// The share of its time in which it worked, from 0 to 1.
    pub fn share(&self) -> f64 {
        let all = self.starting + self.working + self.waiting + self.idle;
        if all.is_zero() { 0.0 } else { self.working.as_secs_f64() / all.as_secs_f64() }
    }
}

/// A task that ran long.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LongTask {
    /// Its future's id.
    pub task: FutureId,
    /// Its label, if it has one.
    pub label: Option<Arc<str>>,
    /// The items of a map that it was for.
    pub items: Option<Range<usize>>,
    /// The name of the worker that ran it.
    pub worker: Arc<str>,
    /// For how long it ran.
    pub took: Duration,
}

/// Durations: that which half of all are not longer than, and so on. Each is at most a thirty-second too long, `most` is exact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Percentiles {
    /// The median.
    pub p50: Duration,
    /// Nine of ten are not longer.
    pub p90: Duration,
    /// Ninety-nine of a hundred are not longer.
    pub p99: Duration,
    /// The longest.
    pub most: Duration,
}

pub(super) fn of(record: &Record) -> Summary {
    let percentiles = |histogram: &super::histogram::Histogram| Percentiles {
        p50: histogram.quantile(0.5),
        p90: histogram.quantile(0.9),
        p99: histogram.quantile(0.99),
        most: histogram.most(),
    };
    let span = record.first.zip(record.last);
    Summary {
        tasks: record.tasks,
        failed: record.failed,
        cancelled: record.cancelled,
        refused: record.refused,
        killed: record.killed,
        died: record.died,
        time: span.map_or(Duration::ZERO, |(first, last)| last.saturating_duration_since(first)),
        workers: record.all_rows().iter().map(|row| worker(row, record)).collect(),
        longest: record.longest.clone(),
        queued_for: percentiles(&record.queued_for),
        ran_for: percentiles(&record.ran_for),
        dropped: record.dropped,
    }
}

fn worker(row: &Row, record: &Record) -> WorkerSummary {
    let still = row.there_since.zip(record.last);
    let there =
        row.there + still.map_or(Duration::ZERO, |(since, last)| last.saturating_duration_since(since));
    let waiting = row.waiting.min(row.in_tasks);
    WorkerSummary {
        name: row.name.clone(),
        tasks: row.tasks,
        starting: row.starting,
        working: row.in_tasks - waiting,
        waiting,
        idle: there.saturating_sub(row.starting + row.in_tasks),
    }
}

/// Several lines, the last without its end.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = String::new();
        self.write(&mut table)?;
        f.write_str(table.trim_end())
    }
}

impl Summary {
    fn write(&self, f: &mut String) -> fmt::Result {
        let widest = self.workers.iter().map(|worker| worker.name.chars().count()).max().unwrap_or(0).max(6);
        writeln!(
            f,
            "{:widest$} {:>9} {:>10} {:>10} {:>10} {:>10} {:>6}",
            "worker", "tasks", "start", "work", "wait", "idle", "busy"
        )?;
        let mut all = WorkerSummary {
            name: "all".into(),
            tasks: 0,
            starting: Duration::ZERO,
            working: Duration::ZERO,
            waiting: Duration::ZERO,
            idle: Duration::ZERO,
        };
        for worker in &self.workers {
            all.tasks += worker.tasks;
            all.starting += worker.starting;
            all.working += worker.working;
            all.waiting += worker.waiting;
            all.idle += worker.idle;
            line(f, worker, widest)?;
        }
        line(f, &all, widest)?;
        writeln!(
            f,
            "{} tasks in {}: {} failed, {} cancelled, {} refused; {} workers killed, {} died",
            self.tasks,
            Short(self.time),
            self.failed,
            self.cancelled,
            self.refused,
            self.killed,
            self.died
        )?;
        for (what, times) in [("queued", &self.queued_for), ("ran", &self.ran_for)] {
            let Percentiles { p50, p90, p99, most } = *times;
            let (p50, p90, p99, most) = (Short(p50), Short(p90), Short(p99), Short(most));
            writeln!(f, "{what:6} for {p50} (half), {p90} (90 %), {p99} (99 %), {most} at most")?;
        }
        for (n, long) in self.longest.iter().enumerate() {
            let name = match (&long.label, &long.items) {
                (Some(label), _) => format!("`{label}`"),
                (None, Some(items)) => format!("{}, item {} of a map", long.task, items.start),
                (None, None) => long.task.to_string(),
            };
            let longest = if n == 0 { "longest" } else { "" };
            writeln!(f, "{longest:7} {:>10}  task {name} in {}", Short(long.took).to_string(), long.worker)?;
        }
        if self.dropped > 0 {
            writeln!(f, "{} spans were not kept: a trace lacks them", self.dropped)?;
        }
        Ok(())
    }
}

fn line(f: &mut String, worker: &WorkerSummary, widest: usize) -> fmt::Result {
    let times =
        [worker.starting, worker.working, worker.waiting, worker.idle].map(|time| Short(time).to_string());
    let [start, work, wait, idle] = times;
    let share = 100.0 * worker.share();
    writeln!(
        f,
        "{:widest$} {:>9} {start:>10} {work:>10} {wait:>10} {idle:>10} {share:>4.0} %",
        worker.name, worker.tasks
    )
}

/// A duration with three digits.
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos() as f64;
        let (number, unit) = match self.0.as_nanos() {
            0 => return f.write_str("0"),
            1..1_000 => (nanos, "ns"),
            1_000..1_000_000 => (nanos / 1e3, "us"),
            1_000_000..1_000_000_000 => (nanos / 1e6, "ms"),
            _ => (nanos / 1e9, "s"),
        };
        let decimals = if number < 10.0 { 2 } else { usize::from(number < 100.0) };
        write!(f, "{number:.decimals$} {unit}")
    }
}
