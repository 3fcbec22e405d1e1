//! [`InlineExecutor`]: no threads at all.

use super::local::{Launch, local_verbs};
use super::map::{Map, MapOptions, MapWith};
use super::shutdown::Shutdown;
use super::task::Task;
use super::{Executor, refuse_unsupported};
use crate::error::{Rejected, TaskError, TaskFailure};
use crate::future::cell::Entry;
use crate::future::current::StopFlag;
use crate::future::publish::{fail_claimed, run_here};
use crate::future::{Future, TaskOptions};
use crate::sync::plain::{AtomicBool, Ordering};
use std::sync::Arc;

/// Runs each task at once, on the thread that submits it. For debugging: the same program, one step after the other,
/// with a stack that shows who called. A task that submits another runs it inside itself; when tasks inside one another
/// have nearly spent the thread's stack, the next one fails with [`Rejected::StackSpent`]. Its verbs are those of [`ThreadPoolExecutor`](crate::ThreadPoolExecutor).
///
/// # Examples
///
/// ```
/// use concurrent_futures::{InlineExecutor, prelude::*};
///
/// let inline = InlineExecutor::new();
/// let here = std::thread::current().id();
/// assert_eq!(inline.spawn(|| std::thread::current().id()).result()?, here);
/// # Ok::<(), concurrent_futures::TaskError>(())
/// ```
#[derive(Debug, Default)]
pub struct InlineExecutor {
    inline: Inline,
}

#[derive(Debug, Default, Clone)]
struct Inline {
    closed: Arc<AtomicBool>,
    stop: StopFlag,
}

impl InlineExecutor {
    /// An executor that takes tasks until it is shut down.
    pub fn new() -> Self {
        Self::default()
    }

    fn local(&self) -> &Inline {
        &self.inline
    }
}

local_verbs!(InlineExecutor);

impl Launch for Inline {
    fn accept(&self, entry: Entry) {
        if entry.header().word.claim().is_none() {
            return;
        }
        // ORDERING: pairs with the store in `shutdown`: a task that is refused for it comes after it.
        if self.closed.load(Ordering::Acquire) {
            return fail_claimed(&*entry, TaskError::Rejected(Rejected::ShutDown));
        }
        if let Some(error) = refuse_unsupported(entry.options()) {
            return fail_claimed(&*entry, error);
        }
        run_here(&entry, Some(&self.stop), |_| {});
    }

    const SHARES: bool = false;

    fn workers(&self) -> usize {
        1
    }
}

impl Executor for InlineExecutor {
    fn execute(&self, task: Task) {
        self.inline.accept(task.into_entry());
    }

    fn shutdown(&self, mode: Shutdown) {
        if mode == Shutdown::Stop {
            self.inline.stop.raise();
        }
        // ORDERING: pairs with the load in `accept`.
        self.inline.closed.store(true, Ordering::Release);
    }

    fn max_workers(&self) -> Option<usize> {
        Some(1)
    }
}
