//! [`TaskOptions`]: what a submit may ask for one task.

use super::meter::Meter;
use super::reporting::ReportTo;
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Options of one task, for the `_with` verbs.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{TaskError, TaskOptions, prelude::*};
///
/// let pool = ThreadPoolExecutor::new(1);
/// let future = pool.submit_with(TaskOptions::new().label("2017-03-23"), |n: u32| 1 / n, 0);
/// let message = future.result().unwrap_err().to_string();
/// assert!(message.starts_with("task `2017-03-23` in worker "), "{message}");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct TaskOptions {
    timeout: Option<Duration>,
    stop_after: Option<Duration>,
    retries: u32,
    label: Option<Arc<str>>,
    report_to: Option<ReportTo>,
    /// Of a map that is bounded by bytes.
    meter: Option<Meter>,
}

impl TaskOptions {
    /// No option set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The longest the task may run, from its beginning. On processes its worker is killed then; threads can't be
    /// ended, so a thread pool refuses the task with [`Rejected::Unsupported`](crate::Rejected::Unsupported).
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// How long the task may run before it finds [`should_stop`](crate::Current::should_stop) true, from its beginning: a soft
    /// limit, on every executor of this crate. Nothing happens to a task that doesn't look; on processes
    /// [`timeout`](Self::timeout) can be the hard limit behind it.
    ///
    /// Each attempt has the whole time. Another crate's executor whose tasks run elsewhere may not know of it: on a
    /// `RedisExecutor` it has no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{TaskOptions, current, prelude::*};
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPoolExecutor::new(1);
    /// let best_so_far = |_| {
    ///     let me = current().unwrap();
    ///     (1_u64..).take_while(|_| !me.should_stop()).last()
    /// };
    /// let options = TaskOptions::new().stop_after(Duration::from_millis(5));
    /// assert!(pool.submit_with(options, best_so_far, ()).result()?.is_some());
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// ```
    pub fn stop_after(mut self, limit: Duration) -> Self {
        self.stop_after = Some(limit);
        self
    }

    /// How often the task is run again after its *worker died*; 0 by default, since only the caller knows whether half
    /// a run can be repeated. Never after an error or a panic of the task's own, nor of a task that was asked to stop. Threads don't die: no effect there.
    pub fn retries(mut self, n: u32) -> Self {
        self.retries = n;
        self
    }

    /// A name for the task in errors, logs and [`StillBusy`](crate::StillBusy).
    pub fn label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Has `f` called with each message that the task [reports](crate::report) while it runs.
    ///
    /// It is called as a done-callback is: on threads by the task's own thread; of processes by a thread of the pool, the same for all
    /// reports, so one that blocks holds up the others. Messages come in the order in which the task reports them, all of them before the task's
    /// future has its end, and none after it; so a callback that blocks holds up the result. A panic in it is logged and changes
    /// nothing. A task that is run again after its worker died reports again. Of a map's tasks, each has the same `f`. The last
    /// `on_report` set counts. Executors that run tasks elsewhere by a transport of their own, as `RedisExecutor` does, call it
    /// only where they run the task in this process. In a pool of processes it must not wait for a task of the same pool that has an `on_report`:
    /// that one's end would come behind it. Where descriptors run out, a worker may be without the socket for
    /// reports: then its tasks report nothing.
    ///
    /// Differs from Python: there a `multiprocessing.Queue` does it, handed to each worker by its initializer.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "process")] {
    /// use concurrent_futures::{TaskOptions, prelude::*, report};
    /// use std::sync::mpsc;
    ///
    /// fn rows(count: u32) -> u32 {
    ///     (1..=count).for_each(|row| report(&format!("row {row}")));
    ///     count
    /// }
    ///
    /// let pool = ProcessPoolExecutor::new(1);
    /// let (sender, receiver) = mpsc::channel();
    /// let options = TaskOptions::new().on_report(move |row: String| drop(sender.send(row)));
    /// assert_eq!(pool.submit_with(options, rows, 2).result().unwrap(), 2);
    /// assert_eq!(receiver.into_iter().collect::<Vec<_>>(), ["row 1", "row 2"]);
    /// # }
    /// ```
    pub fn on_report<M>(mut self, f: impl Fn(M) + Send + Sync + 'static) -> Self
    where
        M: Clone + Serialize + DeserializeOwned + Send + 'static,
    {
        self.report_to = Some(ReportTo::new(f));
        self
    }

    /// What is told of the task's words.
    pub(crate) fn report_to(&self) -> Option<&ReportTo> {
        self.report_to.as_ref()
    }

    /// Has the task's encoded bytes counted.
    pub(crate) fn metered(mut self, meter: Option<Meter>) -> Self {
        self.meter = meter;
        self
    }

    #[cfg(feature = "process")]
    pub(crate) fn meter(&self) -> Option<&Meter> {
        self.meter.as_ref()
    }

    /// The time limit, if one is set.
    pub fn get_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The time after which it is asked to stop, if one is set.
    pub fn get_stop_after(&self) -> Option<Duration> {
        self.stop_after
    }

    /// The number of retries.
    pub fn get_retries(&self) -> u32 {
        self.retries
    }

    /// The label, if there is one.
    pub fn get_label(&self) -> Option<&Arc<str>> {
        self.label.as_ref()
    }
}
