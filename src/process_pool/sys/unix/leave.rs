//! When a worker leaves without being told.

use super::child::{ASK_EVERY, handle_of};
use super::{Socket, Thread};
use rustix::event::{PollFd, PollFlags};
use rustix::process::Pid;
use std::time::{Duration, Instant};

/// Why a worker leaves that was not killed and whose task thread has not seen the end of its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leave {
    /// The parent has ended, or became another program by `exec`, or hung up because it may not send signals.
    ByParent,
    /// The thread that runs tasks has ended.
    ThreadGone,
}

/// Blocks until this worker has to leave; returns why.
///
/// The parent's handle tells when the parent ends. The stream doesn't, because a fork of the parent may hold its other end.
/// The stream does hang up when the parent calls `exec`: the process stays the same, but `exec` closes its end of the
/// socket. It also hangs up when a task shuts it down; then the parent is still there, gives the task a moment to finish,
/// and ends the worker, so this function waits a little longer than that. `is_told` is for a parent that hung up because it
/// may not send signals: the worker leaves at once, or, where a task has closed every descriptor of the process, at the
/// next look.
pub(crate) fn watch(parent: u32, socket: &Socket, tasks: Thread, is_told: impl Fn() -> bool) -> Leave {
    /// How often a thread without a handle is looked for.
    const ASK_FOR_THREAD: Duration = Duration::from_millis(500);
    /// How long a parent that is still there has to end this worker.
    const HANG_UP: Duration = Duration::from_secs(2);
    let pid = i32::try_from(parent).ok().and_then(Pid::from_raw);
    let (of_parent, of_tasks) = (pid.and_then(handle_of), tasks.handle());
    let made = identity(socket);
    let mut ask = match (&of_parent, &of_tasks) {
        (None, _) => Some(ASK_EVERY),
        (Some(_), None) => Some(ASK_FOR_THREAD),
        (Some(_), Some(_)) => None,
    };
    let mut watches = true;
    let mut hung_up: Option<Instant> = None;
    loop {
        // Asked after the handle was opened: if the parent had ended before, the handle could be another process's.
        if rustix::process::getppid() != pid
            || is_told()
            || hung_up.is_some_and(|since| since.elapsed() >= HANG_UP)
        {
            return Leave::ByParent;
        }
        if tasks.is_gone() {
            return Leave::ThreadGone;
        }
        let mut fds = Vec::with_capacity(3);
        if watches {
            // No event is asked for, so the socket reports only that both directions are closed.
            fds.push(PollFd::new(socket, PollFlags::empty()));
            let handles = of_parent.iter().chain(&of_tasks);
            fds.extend(handles.map(|handle| PollFd::new(handle, PollFlags::IN)));
        }
        let pause = ask.map(|ask| rustix::event::Timespec { tv_sec: 0, tv_nsec: ask.subsec_nanos().into() });
        if !matches!(rustix::event::poll(&mut fds, pause.as_ref()), Ok(woken) if woken > 0) {
            continue;
        }
        if fds[0].revents().contains(PollFlags::HUP) && made.is_some() && identity(socket) == made {
            hung_up = Some(Instant::now());
        }
        // If a handle woke this thread, one of the next two turns finds the reason. If not, a task has closed these descriptors
        // and their numbers may belong to anything: with them `poll` might never sleep again.
        (watches, ask) = (false, Some(ASK_EVERY));
    }
}

/// Which file a descriptor stands for: a task may close it, and its number may then stand for another.
fn identity(socket: &Socket) -> Option<impl PartialEq + use<>> {
    let stat = rustix::fs::fstat(socket).ok()?;
    Some((stat.st_dev, stat.st_ino))
}
