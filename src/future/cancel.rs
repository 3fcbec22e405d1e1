//! How a task is cancelled, asked to stop or killed, and [`CancelHandle`], which does it from elsewhere.

use super::cell::{AnyCell, Entry};
use super::publish::publish_here;
use super::state::Phase;
use crate::contain::contain;
use crate::error::TaskError;
use crate::id::FutureId;
use std::fmt;

/// Cancels a task without holding its future: the owner may be waiting in `result()` meanwhile.
///
/// # Examples
///
/// ```
/// use concurrent_futures::{TaskError, promise};
///
/// let (promise, future) = promise::<u32>();
/// let handle = future.cancel_handle();
/// std::thread::spawn(move || handle.cancel());
/// assert!(matches!(future.result(), Err(TaskError::Cancelled)));
/// # drop(promise);
/// ```
#[derive(Clone)]
pub struct CancelHandle {
    cell: Entry,
}

impl CancelHandle {
    pub(crate) fn new(cell: Entry) -> Self {
        CancelHandle { cell }
    }

    /// As [`Future::cancel`](crate::Future::cancel).
    pub fn cancel(&self) -> bool {
        cancel(&*self.cell)
    }

    /// As [`Future::ask_to_stop`](crate::Future::ask_to_stop).
    pub fn ask_to_stop(&self) -> bool {
        ask_to_stop(&*self.cell)
    }

    /// As [`Future::kill`](crate::Future::kill).
    pub fn kill(&self) -> bool {
        kill(&*self.cell)
    }

    /// Which task it cancels.
    pub fn id(&self) -> FutureId {
        self.cell.header().id
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelHandle").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// Cancels a task that has not begun; true if it is or was cancelled.
pub(crate) fn cancel(cell: &dyn AnyCell) -> bool {
    let header = cell.header();
    loop {
        if let Some(before) = header.word.begin_cancel() {
            cell.fill(TaskError::Cancelled);
            if before.is_entered()
                && let Some(home) = header.home.find()
            {
                home.cancelled(cell, before);
            }
            break;
        }
        if take_back(cell) {
            cell.fill(TaskError::Cancelled);
            break;
        }
        match header.word.load().phase() {
            // Its pool took it back from one worker in this moment.
            Phase::Queued => {}
            phase => return matches!(phase, Phase::Cancelling | Phase::Cancelled),
        }
    }
    publish_here(cell, Phase::Cancelling, Phase::Cancelled);
    true
}

/// Takes a task back that was shipped to another process and has not begun there.
#[cfg(feature = "process")]
fn take_back(cell: &dyn AnyCell) -> bool {
    let header = cell.header();
    let home = (header.word.load().phase() == Phase::Dispatched).then(|| header.home.find());
    home.flatten().is_some_and(|home| home.take_back(header.id))
}

#[cfg(not(feature = "process"))]
fn take_back(_: &dyn AnyCell) -> bool {
    false
}

/// Cancels a task that has not begun, and asks one that has to stop; false if there is nothing to ask.
pub(crate) fn ask_to_stop(cell: &dyn AnyCell) -> bool {
    let word = &cell.header().word;
    loop {
        if cancel(cell) {
            return true;
        }
        match word.load().phase() {
            // Its pool took it back from a worker in this moment.
            Phase::Queued => {}
            Phase::Running => return !word.mark_asked().is_resolved(),
            Phase::Dispatched => {
                if let Some(is_asked) = ask_home(cell) {
                    return is_asked;
                }
            }
            _ => return false,
        }
    }
}

/// Asks a task that was shipped to another process; none if it has not begun there.
#[cfg(feature = "process")]
fn ask_home(cell: &dyn AnyCell) -> Option<bool> {
    let header = cell.header();
    header.home.find().map_or(Some(false), |home| home.ask_to_stop(header.id))
}

#[cfg(not(feature = "process"))]
fn ask_home(_: &dyn AnyCell) -> Option<bool> {
    Some(false)
}

/// Cancels a queued task; ends the worker of a running one, where that can be done.
pub(crate) fn kill(cell: &dyn AnyCell) -> bool {
    if cancel(cell) {
        return true;
    }
    #[cfg(feature = "process")]
    if cell.header().word.load().phase() == Phase::Dispatched
        && let Some(home) = cell.header().home.find()
    {
        return home.kill(cell.header().id);
    }
    let hook = cell.take_from_crowd(|crowd| crowd.on_kill.take());
    hook.is_some_and(|hook| contain(hook).unwrap_or(false))
}
