//! With `tracing`.

use crate::contain::contain;
use crate::id::FutureId;
use crate::sync::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Span};

/// What a program's filters know the spans by.
const TARGET: &str = "concurrent_futures";

/// Whether anybody may want to know of tasks, by what the program has set up so far.
#[inline]
pub(crate) fn is_wanted() -> bool {
    LevelFilter::current() >= Level::INFO
}

/// A task's span, while it is open.
#[derive(Default)]
pub(crate) struct TaskSpan(Mutex<Option<Arc<Open>>>);

struct Open {
    span: Span,
    since: Instant,
}

impl TaskSpan {
    /// Opens it, unless it is open.
    #[inline]
    pub(crate) fn open(&self, task: FutureId, label: impl FnOnce() -> Option<Arc<str>>) {
        if is_wanted() {
            self.open_now(task, label().as_deref());
        }
    }

    #[cold]
    fn open_now(&self, task: FutureId, label: Option<&str>) {
        if self.0.lock().is_some() {
            return;
        }
        let id = task.get();
        let opened = contain(|| {
            tracing::info_span!(
                target: TARGET,
                "task",
                id,
                label,
                worker = Empty,
                attempt = Empty,
                queued_us = Empty
            )
        });
        if let Ok(span) = opened
            && !span.is_disabled()
        {
            // Nobody else has opened it meanwhile: the task is this thread's.
            *self.0.lock() = Some(Arc::new(Open { span, since: Instant::now() }));
        }
    }

    /// This thread runs the task, until that is dropped.
    #[inline]
    pub(crate) fn enter(&self, worker: impl FnOnce() -> Arc<str>) -> Option<Entered> {
        if is_wanted() { self.enter_now(&worker()) } else { None }
    }

    #[cold]
    fn enter_now(&self, worker: &str) -> Option<Entered> {
        let open = self.0.lock().clone()?;
        let entered = contain(|| {
            open.describe(worker, 1, Some(Instant::now()));
            open.span.with_subscriber(|(id, subscriber)| subscriber.enter(id));
        });
        entered.ok().map(|()| Entered(Some(open)))
    }

    /// A worker process has run the task; what is known of that.
    #[cfg(feature = "process")]
    #[inline]
    pub(crate) fn note<'a>(&self, ran: impl FnOnce() -> super::Ran<'a>) {
        if is_wanted() {
            self.note_now(&ran());
        }
    }

    #[cfg(feature = "process")]
    #[cold]
    fn note_now(&self, ran: &super::Ran<'_>) {
        let open = self.0.lock().clone();
        if let Some(open) = open {
            let super::Ran { worker, attempt, began } = *ran;
            drop(contain(|| open.describe(worker, attempt, began)));
            drop(contain(|| drop(open)));
        }
    }

    /// The task is over, and nobody has been told yet.
    #[inline]
    pub(crate) fn close(&self) {
        if is_wanted() {
            let open = self.0.lock().take();
            drop(contain(|| drop(open)));
        }
    }
}

impl Open {
    fn describe(&self, worker: &str, attempt: u32, began: Option<Instant>) {
        self.span.record("worker", worker);
        self.span.record("attempt", attempt);
        if let Some(began) = began {
            self.span.record("queued_us", micros(began.saturating_duration_since(self.since)));
        }
    }
}

/// A thread is in the span.
pub(crate) struct Entered(Option<Arc<Open>>);

impl Drop for Entered {
    fn drop(&mut self) {
        let Some(open) = self.0.take() else { return };
        drop(contain(|| open.span.with_subscriber(|(id, subscriber)| subscriber.exit(id))));
        drop(contain(|| drop(open)));
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
