//! [`RunningTask`]: what a pool runs at this moment.

use crate::future::cell::AnyCell;
use crate::future::current::name_of;
use crate::id::FutureId;
use crate::since::Beginnings;
use crate::sync::plain::Mutex;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::thread::Thread;
use std::time::Instant;

/// A task that has begun and is not over, from [`ThreadPoolExecutor::running`](crate::ThreadPoolExecutor::running) and
/// `ProcessPoolExecutor::running`.
///
/// Its `Display` is a line for people: ``fetch_0 runs task `2017-03-23` for 3.2 s``.
///
/// # Examples
///
/// ```
/// use concurrent_futures::prelude::*;
/// use std::sync::{Arc, Barrier};
///
/// let pool = ThreadPoolExecutor::builder().max_workers(1).name_prefix("sum").build()?;
/// let meeting = Arc::new(Barrier::new(2));
/// let worker_s = meeting.clone();
/// // Two items begin: the first ends at once, the second waits for this thread, twice.
/// let map = pool.map(move |n| (0..2 * n).for_each(|_| drop(worker_s.wait())), [0, 1]);
/// meeting.wait();
/// let running = pool.running();
/// assert_eq!(running.len(), 1);
/// assert_eq!((&*running[0].worker, running[0].items.clone()), ("sum_0", Some(1..2)));
/// meeting.wait();
/// assert_eq!(map.count(), 2);
/// # Ok::<(), concurrent_futures::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RunningTask {
    /// Its future's id.
    pub task: FutureId,
    /// Its label, if it has one.
    pub label: Option<Arc<str>>,
    /// The items of a map that it is for, by their places in the map's input from 0; none if it is of no map. A task has
    /// several if the map has chunks, or if a lazy map on threads lets short items share tasks.
    pub items: Option<Range<usize>>,
    /// The name of the worker, or of the thread that submitted it and runs it in place of a worker
    /// ([`WhenFull::CallerRuns`](crate::WhenFull::CallerRuns)).
    pub worker: Arc<str>,
    /// The worker's process, if it is not this one.
    pub pid: Option<u32>,
    /// When it began; or, if `at_least`, when it was first seen to run.
    pub since: Instant,
    /// `since` is not its beginning, which was not noted, but the first call that saw it run. So it is of a task that began
    /// before the pool's first call of `running`, and, in another process, of one that is just beginning.
    pub at_least: bool,
    /// It waits, as [`ThreadPoolStats::blocked`](crate::ThreadPoolStats::blocked) says. Always false of a task in another
    /// process, where the pool can't know.
    pub blocked: bool,
}

impl fmt::Display for RunningTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let does = if self.blocked { "waits in" } else { "runs" };
        write!(f, "{} {does} task ", self.worker)?;
        match &self.label {
            Some(label) => write!(f, "`{label}`")?,
            None => write!(f, "{}", self.task)?,
        }
        match &self.items {
            Some(items) if items.len() == 1 => write!(f, ", item {} of a map,", items.start)?,
            Some(items) => write!(f, ", items {} to {} of a map,", items.start, items.end - 1)?,
            None => {}
        }
        let at_least = if self.at_least { "at least " } else { "" };
        write!(f, " for {at_least}{:.1} s", self.since.elapsed().as_secs_f64())
    }
}

/// A task that has begun, as a pool knows it.
#[derive(Clone)]
pub(crate) struct Begun {
    pub(crate) task: FutureId,
    pub(crate) label: Option<Arc<str>>,
    pub(crate) items: Range<usize>,
    /// When, if that was noted.
    pub(crate) since: Option<Instant>,
}

impl Begun {
    pub(crate) fn of(task: &dyn AnyCell, since: Option<Instant>) -> Self {
        let (label, items) = task.about();
        Begun { task: task.header().id, label, items, since }
    }
}

/// Who runs it.
pub(crate) struct By {
    pub(crate) worker: Arc<str>,
    pub(crate) pid: Option<u32>,
    pub(crate) blocked: bool,
}

/// Everything that a pool runs, as it is told to the user.
pub(crate) fn running(all: Vec<(Begun, By)>, beginnings: &Beginnings) -> Vec<RunningTask> {
    let noted = |(begun, _): &(Begun, By)| (begun.task, begun.since);
    let since = beginnings.since(&all.iter().map(noted).collect::<Vec<_>>());
    let told = |((begun, by), (since, at_least)): ((Begun, By), _)| RunningTask {
        task: begun.task,
        label: begun.label,
        items: (!begun.items.is_empty()).then_some(begun.items),
        worker: by.worker,
        pid: by.pid,
        since,
        at_least,
        blocked: by.blocked,
    };
    all.into_iter().zip(since).map(told).collect()
}

/// Tasks that their submitters run, and on which threads.
#[derive(Default)]
pub(crate) struct Elsewhere(Mutex<Vec<(Begun, Thread)>>);

impl Elsewhere {
    pub(crate) fn begin(&self, task: &dyn AnyCell, since: Option<Instant>) {
        let begun = Begun::of(task, since);
        self.0.lock().push((begun, std::thread::current()));
    }

    pub(crate) fn end(&self, task: &dyn AnyCell) {
        let mut running = self.0.lock();
        if let Some(at) = running.iter().rposition(|(begun, _)| begun.task == task.header().id) {
            running.swap_remove(at);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub(crate) fn running(&self) -> Vec<(Begun, By)> {
        let by = |thread: &Thread| By { worker: name_of(thread), pid: None, blocked: false };
        self.0.lock().iter().map(|(begun, thread)| (begun.clone(), by(thread))).collect()
    }
}
