//! Failures that nobody saw: reported once, never silently lost.
//!
//! Seen means that `result`, `exception`, an awaited future, a callback, `as_completed` or a map gave the failure to
//! somebody.

use crate::contain::contain;
use crate::error::TaskError;
use crate::id::FutureId;
use crate::logging;
use crate::sync::plain::Mutex;
use std::sync::Arc;

type Hook = Arc<dyn Fn(&FutureId, &TaskError) + Send + Sync>;

static HOOK: Mutex<Option<Hook>> = Mutex::new(None);

/// Sets what is called, once, for a task that failed and whose failure nobody saw: its future was dropped or detached
/// before anybody asked. For the whole process; the default writes to [`log`] at level `error`.
///
/// Called on the thread that drops the future or, if that was earlier, on the worker at the end of the task; not while
/// a thread unwinds. It may call the pool. A panic in the hook is contained and logged, and one in the logger costs the
/// message. Python says nothing of such failures.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{TaskError, prelude::*};
/// use std::sync::mpsc;
///
/// let (sender, receiver) = mpsc::channel();
/// concurrent_futures::set_unobserved_hook(move |id, error| sender.send((*id, error.to_string())).unwrap());
///
/// let pool = ThreadPoolExecutor::new(1);
/// pool.try_spawn(|| Err::<(), _>("disk full")).detach();
/// assert_eq!(receiver.recv()?.1, "disk full");
/// # Ok::<(), mpsc::RecvError>(())
/// ```
pub fn set_unobserved_hook(hook: impl Fn(&FutureId, &TaskError) + Send + Sync + 'static) {
    let old = HOOK.lock().replace(Arc::new(hook));
    drop(old);
}

pub(crate) fn report(id: FutureId, error: &TaskError) {
    if matches!(error, TaskError::Cancelled) || std::thread::panicking() {
        return;
    }
    let hook = HOOK.lock().clone();
    let reported = contain(|| match hook {
        Some(hook) => hook(&id, error),
        None => {
            logging::error(format_args!("task {id} failed and nobody asked for its result: {}", Chain(error)))
        }
    });
    if let Err(panic) = reported {
        logging::error(format_args!("the hook for unobserved failures panicked: {}", panic.message()));
    }
}

/// An error with its causes, in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
