//! [`Timeline`]: what a pool did, kept to be shown.

mod histogram;
mod record;
mod summary;
mod trace;

pub use record::Span;
pub use summary::{LongTask, Percentiles, Summary, WorkerSummary};

use super::event::{PoolEvent, PoolEventKind};
use super::observer::Observer;
use crate::contain;
use crate::sync::plain::Mutex;
use record::Record;
use std::fmt;
use std::io;
use std::sync::Arc;

/// So many spans are kept if nobody says otherwise: some 20 MB.
const CAPACITY: usize = 100_000;

/// An [`Observer`] that keeps what a pool did: where the time went, who was idle, which tasks took longest.
///
/// [`summary`](Timeline::summary) is a table for people, [`chrome_trace`](Timeline::chrome_trace) a file for
/// [Perfetto](https://ui.perfetto.dev) and `chrome://tracing`, [`spans`](Timeline::spans) what lies behind a picture of one's
/// own. One timeline may observe several pools: each worker has a row by its name.
///
/// Its memory is bounded. It keeps the last 100 000 [`Span`]s (tasks, waits, starts and ends of workers), or as many as
/// [`with_capacity`](Timeline::with_capacity) says; the summary counts all. Of tasks that wait in a queue it notes as many.
///
/// Differs from Python: there is nothing like it there; mpire's `insights` and dask's task stream are similar.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{Timeline, prelude::*};
/// use std::time::Duration;
///
/// let timeline = Timeline::new();
/// let pool = ThreadPoolExecutor::builder()
///     .max_workers(2)
///     .name_prefix("nap")
///     .observer(timeline.clone())
///     .build()?;
/// pool.map(|ms| std::thread::sleep(Duration::from_millis(ms)), [20, 1, 1]).for_each(drop);
/// pool.join();
/// let summary = timeline.summary();
/// assert_eq!((summary.tasks, summary.longest[0].items.clone()), (3, Some(0..1)));
/// println!("{summary}");
///
/// let mut trace = Vec::new();
/// timeline.chrome_trace(&mut trace)?;
/// # let trace = String::from_utf8(trace)?;
/// assert!(trace.contains(r#""name":"nap_0""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Timeline(Mutex<Record>);

impl Timeline {
    /// A timeline that keeps the last 100 000 spans.
    pub fn new() -> Arc<Self> {
        Self::with_capacity(CAPACITY)
    }

    /// A timeline that keeps the last `spans` spans: of tasks, of waits, of workers' starts and ends. Each takes some 150
    /// bytes, and a label, once it is there.
    pub fn with_capacity(spans: usize) -> Arc<Self> {
        Arc::new(Timeline(Mutex::new(Record::new(spans))))
    }

    /// The numbers of all that happened until now, which `Display` shows as a table.
    pub fn summary(&self) -> Summary {
        summary::of(&self.0.lock())
    }

    /// What is kept, in the order in which it ended; then what still runs, as far as it is known.
    pub fn spans(&self) -> Vec<Span> {
        self.0.lock().spans()
    }

    /// Writes what is kept in the JSON of Chrome's trace events, which opens in Perfetto and `chrome://tracing`: a row for each
    /// worker, with its tasks, the waits within them, its start and its end; the length of the queue as a counter.
    ///
    /// # Errors
    ///
    /// That of `to`.
    pub fn chrome_trace(&self, to: impl io::Write) -> io::Result<()> {
        // Copied first: `to` is the user's, and may be slow.
        let (spans, rows, queued) = {
            let record = self.0.lock();
            (record.spans(), record.rows(), record.queued_since())
        };
        trace::write(to, &spans, &rows, &queued)
    }
}

impl Observer for Timeline {
    fn observe(&self, event: &PoolEvent<'_>) {
        // An error's text may be the user's code: no lock is held.
        let error = match &event.kind {
            PoolEventKind::Ended { error: Some(error), .. } => Some(contain::text(error)),
            _ => None,
        };
        self.0.lock().note(event, error);
    }
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeline").finish_non_exhaustive()
    }
}
