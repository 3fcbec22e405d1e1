//! When a worker leaves without being told.

use super::handle::wait;
use super::stdio::{parent_process, started_before};
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
pub(crate) fn watch(parent: u32, _: &Socket, tasks: Thread, is_told: impl Fn() -> bool) -> Leave {
    /// How often it is looked whether the parent has hung up, or for what has no handle.
    const ASK_EVERY: Duration = Duration::from_millis(500);
    // A process with that number that is younger is another one.
    let Some(parent) = parent_process(parent).filter(started_before) else { return Leave::ByParent };
    loop {
        let handles: Vec<_> = [parent.as_handle()].into_iter().chain(tasks.handle()).collect();
        match wait(&handles, Some(ASK_EVERY)) {
            Ok(Some(0)) => return Leave::ByParent,
            Ok(Some(_)) => return Leave::ThreadGone,
            Ok(None) => {}
            // A task has closed these handles.
            Err(_) => super::pause(ASK_EVERY),
        }
        if is_told() {
            return Leave::ByParent;
        }
        if tasks.is_gone() {
            return Leave::ThreadGone;
        }
    }
}
