//! A worker process, as its parent has it.

use super::retry;
use super::stdio::with_stdio_taken;
use crate::sync::delay;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus};
use std::cell::{Cell, OnceCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// A child process. It is watched and signalled by handle, so that its number never means another process.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    /// Set once its status was taken: from then on its number may belong to another process.
    reaped: OnceCell<Exit>,
    /// `None` where the system has no such handles: then its end is noticed by asking every [`ASK_EVERY`].
    handle: Option<OwnedFd>,
    own_group: bool,
    /// It did not end when it was told to: its drop doesn't wait for it.
    given_up: Cell<bool>,
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
    /// The status went elsewhere: the program ignores SIGCHLD, or waits for any child.
    Unknown,
}

/// What asks a worker where its task is, if it can tell: see `crash.rs`. Where nobody listens it does nothing.
pub(super) const ASK: Signal = Signal::URG;

/// How often a child without a handle is looked for.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(100);

/// How long to wait for a process that was told to end.
const STUBBORN: Duration = Duration::from_secs(5);

impl Child {
    /// Starts a process that sees itself under `name`, in a group of its own if it is to have one.
    pub(crate) fn start(mut command: Command, name: &str, own_group: bool) -> io::Result<Self> {
        command.arg0(name);
        if own_group {
            command.process_group(0);
        }
        let process = with_stdio_taken(|| command.spawn())?;
        Child::new(&process, own_group)
    }

    /// This child, which nobody has waited for, nor will but by this.
    pub(crate) fn new(process: &std::process::Child, own_group: bool) -> io::Result<Self> {
        let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("a child with an impossible process id"))?;
        let given_up = Cell::new(false);
        Ok(Child { pid, reaped: OnceCell::new(), handle: handle_of(pid), own_group, given_up })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    pub(super) fn handle(&self) -> Option<BorrowedFd<'_>> {
        self.handle.as_ref().map(AsFd::as_fd)
    }

    /// Sends a signal to the child, which may be dead already, and to its group if it has its own. False if the system refuses
    /// it: one of the two processes has changed its user, or a sandbox forbids it.
    #[must_use]
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        if self.reaped.get().is_some() {
            return true;
        }
        delay();
        let sent = match self.signal_by_handle(signal) {
            Ok(()) | Err(Errno::SRCH) => true,
            // It was not reaped, so the number is still its own.
            Err(_) => {
                matches!(rustix::process::kill_process(self.pid, signal), Ok(()) | Err(Errno::SRCH))
            }
        };
        if self.own_group {
            // Processes that the worker started are in its group.
            let _ = rustix::process::kill_process_group(self.pid, signal);
        }
        sent
    }

    /// Has the child tell where its task is, if it can: see `crash.rs`. Only the child, and none of its group.
    pub(crate) fn ask_for_stack(&self) {
        if self.reaped.get().is_none() && self.signal_by_handle(ASK).is_err() {
            let _ = rustix::process::kill_process(self.pid, ASK);
        }
    }

    /// Fails without a handle, and on kernels and in sandboxes that have handles but not this use of them.
    fn signal_by_handle(&self, signal: Signal) -> rustix::io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(handle) = &self.handle {
            return rustix::process::pidfd_send_signal(handle, signal);
        }
        let _ = signal;
        Err(Errno::NOSYS)
    }

    /// Takes the child's status if it has ended.
    pub(crate) fn reap(&self) -> Option<Exit> {
        self.take_status(WaitIdOptions::NOHANG)
    }

    /// Waits for the child's end and takes its status; `None` if it has not ended after [`STUBBORN`]. Then it can't be
    /// signalled, or is stuck in the kernel, and its drop doesn't wait for it either.
    pub(crate) fn await_end(&self) -> Option<Exit> {
        let start = Instant::now();
        loop {
            let exit = self.reap();
            let left = STUBBORN.saturating_sub(start.elapsed());
            if exit.is_some() || left.is_zero() {
                self.given_up.set(exit.is_none());
                return exit;
            }
            let pause = if self.handle.is_some() { left } else { left.min(ASK_EVERY) };
            let pause = rustix::event::Timespec {
                tv_sec: pause.as_secs() as _,
                tv_nsec: pause.subsec_nanos().into(),
            };
            let mut fds: Vec<PollFd<'_>> =
                self.handle.iter().map(|handle| PollFd::new(handle, PollFlags::IN)).collect();
            let _ = rustix::event::poll(&mut fds, Some(&pause));
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.reap().is_some()
    }

    /// Bytes of memory that it holds for itself; 0 where that is not known. Not what it shares: files, and the memory for large
    /// values, which the pool bounds.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/statm", self.pid());
        let pages = with_stdio_taken(|| std::fs::read_to_string(path)).ok();
        let own = |text: String| {
            let mut numbers = text.split(' ').skip(1).map_while(|number| number.parse::<u64>().ok());
            // The second is what of the first is mapped, of files or of memory that others have as well.
            Some(numbers.next()?.saturating_sub(numbers.next()?))
        };
        pages.and_then(own).unwrap_or(0) * rustix::param::page_size() as u64
    }

    fn take_status(&self, options: WaitIdOptions) -> Option<Exit> {
        if let Some(exit) = self.reaped.get() {
            return Some(*exit);
        }
        let wait = |which: WaitId<'_>| rustix::process::waitid(which, WaitIdOptions::EXITED | options);
        let mut waited = Err(Errno::INVAL);
        #[cfg(target_os = "linux")]
        if let Some(handle) = &self.handle {
            waited = retry(|| wait(WaitId::PidFd(handle.as_fd())));
        }
        // Kernels before 5.4 have handles, but not this use of them.
        if matches!(waited, Err(Errno::INVAL)) {
            waited = retry(|| wait(WaitId::Pid(self.pid)));
        }
        let exit = match waited {
            Ok(None) => return None,
            Ok(Some(status)) => Exit::of(&status),
            Err(_) => Exit::Unknown,
        };
        Some(*self.reaped.get_or_init(|| exit))
    }
}

/// Leaves no child behind, neither running nor as a zombie, unless the system refuses the signal.
impl Drop for Child {
    fn drop(&mut self) {
        if self.reap().is_none() && !self.given_up.get() && self.signal(Signal::KILL) {
            self.await_end();
        }
    }
}

impl Exit {
    /// What it most likely means, in the words of an error.
    pub(crate) fn likely_cause(self) -> Option<&'static str> {
        Some(match self {
            Exit::Signal(libc::SIGKILL) => {
                "killed from outside, or by the kernel for want of memory (its log says so); fewer workers need less"
            }
            Exit::Signal(libc::SIGSEGV | libc::SIGBUS) => "a memory error or a stack overflow",
            Exit::Signal(libc::SIGABRT) => {
                "it aborted: a panic that can't unwind, or memory that could not be allocated"
            }
            Exit::Signal(libc::SIGILL | libc::SIGTRAP | libc::SIGFPE) => {
                "it ran into an instruction that traps"
            }
            Exit::Signal(libc::SIGTERM | libc::SIGHUP | libc::SIGINT) => "terminated from outside",
            Exit::Signal(libc::SIGXCPU) => "it used up its processor time",
            Exit::Code(_) => "the task ended its process",
            Exit::Signal(_) | Exit::Unknown => return None,
        })
    }

    /// Whether it is what the process's own code ran into.
    pub(crate) fn is_crash(self) -> bool {
        use libc::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
        matches!(self, Exit::Signal(SIGSEGV | SIGBUS | SIGILL | SIGFPE | SIGABRT | SIGTRAP))
    }

    fn of(status: &WaitIdStatus) -> Exit {
        match (status.terminating_signal(), status.exit_status()) {
            (Some(signal), _) => Exit::Signal(signal),
            (None, Some(code)) => Exit::Code(code),
            (None, None) => Exit::Unknown,
        }
    }
}

#[cfg(target_os = "linux")]
pub(super) fn handle_of(pid: Pid) -> Option<OwnedFd> {
    super::stdio::one_above_stdio(|| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()))
        .ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn handle_of(_: Pid) -> Option<OwnedFd> {
    None
}
