//! [`StillBusy`]: the error of a `join_timeout` that timed out.

use crate::id::FutureId;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The error of a `join_timeout` that timed out: which workers are still busy.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{Shutdown, TaskOptions, prelude::*};
/// use std::{sync::mpsc, time::Duration};
///
/// let pool = ThreadPoolExecutor::builder().max_workers(1).name_prefix("fetch").build()?;
/// let (gate, opened) = mpsc::channel::<()>();
/// let (begun, begins) = mpsc::channel();
/// let slow = move |()| { begun.send(()).unwrap(); opened.recv().ok(); };
/// pool.submit_with(TaskOptions::new().label("2017-03-23"), slow, ()).detach();
/// begins.recv()?;
/// pool.shutdown(Shutdown::Drain);
/// let busy = pool.join_timeout(Duration::from_millis(1)).unwrap_err();
/// assert_eq!(busy.to_string(), "1 worker still busy: fetch_0 with task `2017-03-23`; 0 tasks queued");
/// drop(gate);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct StillBusy {
    /// The workers that hold a task. None, where all tasks are over and a worker has not ended yet: it runs its exit hook, or a
    /// destructor of a thread-local.
    pub workers: Vec<BusyWorker>,
    /// Tasks that no worker holds yet.
    pub queued: usize,
}

/// A worker and what it is at.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct BusyWorker {
    /// Its name: of the thread, or of the process.
    pub name: Arc<str>,
    /// The task it runs.
    pub task: FutureId,
    /// The task's label, if it has one.
    pub label: Option<Arc<str>>,
}

impl BusyWorker {
    /// A worker called `name` that runs `task`.
    pub fn new(name: impl Into<Arc<str>>, task: FutureId, label: Option<Arc<str>>) -> Self {
        BusyWorker { name: name.into(), task, label }
    }
}

impl StillBusy {
    /// For an executor's own `join_timeout`.
    pub fn new(workers: Vec<BusyWorker>, queued: usize) -> Self {
        StillBusy { workers, queued }
    }
}

impl fmt::Display for StillBusy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        if self.workers.is_empty() {
            let queued = self.queued;
            return write!(
                f,
                "no worker holds a task, but not all have ended; {queued} task{} queued",
                plural(queued)
            );
        }
        write!(f, "{} worker{} still busy", self.workers.len(), plural(self.workers.len()))?;
        for (n, worker) in self.workers.iter().enumerate() {
            write!(f, "{} {} with task ", if n == 0 { ":" } else { "," }, worker.name)?;
            match &worker.label {
                Some(label) => write!(f, "`{label}`")?,
                None => write!(f, "{}", worker.task)?,
            }
        }
        write!(f, "; {} task{} queued", self.queued, plural(self.queued))
    }
}

impl Error for StillBusy {}
