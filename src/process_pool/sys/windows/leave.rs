//! When a worker leaves without being told.

use super::handle::{is_signalled, wait};
use super::stdio::process;
use super::{Socket, Thread};
use std::os::windows::io::AsHandle;
use std::time::Duration;

/// Why a worker leaves that was not killed and whose task thread has not seen the end of its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leave {
    /// The parent has ended, or hung up because it may not end this process.
    ByParent,
    /// The thread that runs tasks has ended.
    ThreadGone,
}

/// Blocks until this worker has to leave; returns why.
///
/// The parent's job ends this process with the parent. This is for a worker that could not be put into one, and for one whose
/// parent hung up because it may not end it.
pub(crate) fn watch(parent: u32, socket: &Socket, tasks: Thread, is_told: impl Fn() -> bool) -> Leave {
    /// How often it is looked whether the parent has hung up, or for what has no handle.
    const ASK_EVERY: Duration = Duration::from_millis(500);
    // Where it may not be watched, its job and the end of the stream have to do.
    let parent = match process(parent) {
        Ok(None) => return Leave::ByParent,
        other => other.ok().flatten(),
    };
    // While it has its end of the stream open, the number was its own.
    if !socket.is_connected() {
        return Leave::ByParent;
    }
    loop {
        let handles: Vec<_> = parent.iter().map(AsHandle::as_handle).chain(tasks.handle()).collect();
        // An error: a task has closed these handles.
        let _ = wait(&handles, Some(ASK_EVERY));
        if is_told() || parent.as_ref().is_some_and(is_signalled) {
            return Leave::ByParent;
        }
        if tasks.is_gone() {
            return Leave::ThreadGone;
        }
    }
}
