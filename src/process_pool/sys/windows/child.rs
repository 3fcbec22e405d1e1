//! A worker process, as its parent has it.

use super::Handle;
use super::handle::{check, duplicate, is_signalled, wait};
use super::job::Job;
use super::program::MARK;
use super::stdio::has_console;
use crate::sync::delay;
use std::cell::{Cell, OnceCell};
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle};
use std::os::windows::process::CommandExt;
use std::process::Command;
use std::time::Duration;
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, STATUS_ACCESS_VIOLATION, STATUS_BREAKPOINT, STATUS_CONTROL_C_EXIT,
    STATUS_DLL_INIT_FAILED, STATUS_DLL_NOT_FOUND, STATUS_ENTRYPOINT_NOT_FOUND, STATUS_FATAL_APP_EXIT,
    STATUS_HEAP_CORRUPTION, STATUS_ILLEGAL_INSTRUCTION, STATUS_IN_PAGE_ERROR, STATUS_INTEGER_DIVIDE_BY_ZERO,
    STATUS_INTEGER_OVERFLOW, STATUS_INVALID_CRUNTIME_PARAMETER, STATUS_NO_MEMORY,
    STATUS_PRIVILEGED_INSTRUCTION, STATUS_STACK_BUFFER_OVERRUN, STATUS_STACK_OVERFLOW,
};
use windows_sys::Win32::System::ProcessStatus::{
    GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS, PROCESS_MEMORY_COUNTERS_EX,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, DETACHED_PROCESS, GetExitCodeProcess, TerminateProcess,
};

/// How a worker is told to end. The system has one way, which is at once; the two differ in the code that the process ends with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    Kill,
    Term,
}

impl Signal {
    pub(crate) const KILL: Self = Signal::Kill;
    pub(crate) const TERM: Self = Signal::Term;

    /// As on Unix.
    const fn number(self) -> i32 {
        match self {
            Signal::Kill => 9,
            Signal::Term => 15,
        }
    }

    /// What the process ends with: a code that neither a program nor the system gives (the bit that says so is set).
    const fn exit_code(self) -> u32 {
        0x2cf0_0000 | self.number().cast_unsigned()
    }
}

/// A child process. It is watched and ended by handle, so that its number never means another process.
#[derive(Debug)]
pub(crate) struct Child {
    process: Handle,
    pid: u32,
    /// What ends it when this process ends, however that is. It is in another one's job where the system has no nested jobs.
    job: Option<Job>,
    own_group: bool,
    /// It was told to end: what it has started ends with its group.
    is_signalled: Cell<bool>,
    exit: OnceCell<Exit>,
    /// It did not end when it was told to: its drop doesn't wait for it.
    given_up: Cell<bool>,
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    Code(i32),
    /// Its parent ended it.
    Signal(i32),
    Unknown,
}

/// How long to wait for a process that was told to end.
const STUBBORN: Duration = Duration::from_secs(5);

impl Child {
    /// Starts a process that sees itself under `name`, in a group of its own if it is to have one.
    pub(crate) fn start(mut command: Command, name: &str, own_group: bool) -> io::Result<Self> {
        command.env(MARK, name);
        let group = if own_group { CREATE_NEW_PROCESS_GROUP } else { 0 };
        // A worker of a program without a console, such as a service, must not bring one.
        let console = if has_console() { 0 } else { DETACHED_PROCESS };
        command.creation_flags(group | console);
        Child::new(&command.spawn()?, own_group)
    }

    /// This child.
    ///
    /// The job gets it after it has begun. By then it is at most on its way to its hello: it starts nothing before its
    /// welcome.
    pub(crate) fn new(process: &std::process::Child, own_group: bool) -> io::Result<Self> {
        let (pid, process) = (process.id(), duplicate(process)?);
        let job = Job::new(own_group).and_then(|job| job.add(process.as_handle()).map(|()| job));
        // Without one the worker itself looks after its parent. A group is nothing else than a job.
        let job = if own_group { Some(job?) } else { job.ok() };
        let (is_signalled, given_up) = (Cell::new(false), Cell::new(false));
        Ok(Child { process, pid, job, own_group, is_signalled, exit: OnceCell::new(), given_up })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the child, which may have ended already, and what it has started if it has a group of its own. False if the system
    /// refuses it.
    #[must_use]
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        if self.reap().is_some() {
            return true;
        }
        delay();
        self.is_signalled.set(true);
        let code = signal.exit_code();
        if let Some(job) = &self.job
            && self.own_group
            && job.end(code).is_ok()
        {
            return true;
        }
        // SAFETY: the handle is open.
        let ended = check(unsafe { TerminateProcess(self.process.as_raw_handle(), code) });
        // The handle has every right, so this says that the process is at its end already.
        let is_ending = |error: &io::Error| error.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed());
        ended.as_ref().map_or_else(is_ending, |()| true) || self.has_ended()
    }

    /// Nothing: no worker tells where its task is on this system.
    pub(crate) fn ask_for_stack(&self) {}

    /// Takes the child's status if it has ended.
    pub(crate) fn reap(&self) -> Option<Exit> {
        if self.exit.get().is_none() && is_signalled(self) {
            let mut code = 0;
            // SAFETY: the handle is open, and `code` is a place for the answer.
            let told = check(unsafe { GetExitCodeProcess(self.process.as_raw_handle(), &raw mut code) });
            let _ = self.exit.set(told.map_or(Exit::Unknown, |()| Exit::of(code)));
        }
        self.exit.get().copied()
    }

    /// Waits for the child's end and takes its status; `None` if it has not ended after [`STUBBORN`]. Then it is stuck in the
    /// kernel, and its drop doesn't wait for it either.
    pub(crate) fn await_end(&self) -> Option<Exit> {
        if self.exit.get().is_none() {
            let _ = wait(&[self.as_handle()], Some(STUBBORN));
        }
        let exit = self.reap();
        self.given_up.set(exit.is_none());
        exit
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.reap().is_some()
    }

    /// Bytes of memory that it holds for itself; 0 where that is not known. Not what it shares: files, and the memory for large
    /// values, which the pool bounds.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let mut counters = PROCESS_MEMORY_COUNTERS_EX::default();
        let size = size_of_val(&counters) as u32;
        let place = (&raw mut counters).cast::<PROCESS_MEMORY_COUNTERS>();
        // SAFETY: the handle is open, and the place is as long as it says.
        let told = unsafe { GetProcessMemoryInfo(self.process.as_raw_handle(), place, size) };
        // The first is what of it is in memory, shared or not; the second what is its own, in memory or not, which systems
        // have given by one of two names.
        let own = counters.PrivateUsage.max(counters.PagefileUsage);
        check(told).map_or(0, |()| counters.WorkingSetSize.min(own) as u64)
    }
}

impl AsHandle for Child {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.process.as_handle()
    }
}

/// Leaves no child behind, unless the system refuses to end it.
impl Drop for Child {
    fn drop(&mut self) {
        if self.reap().is_none() && !self.given_up.get() && self.signal(Signal::KILL) {
            self.await_end();
        }
        // What a worker has started that came to its own end goes on, as on Unix.
        if !self.is_signalled.get() {
            self.job.iter().for_each(Job::release);
        }
    }
}

impl Exit {
    fn of(code: u32) -> Exit {
        let own = [Signal::KILL, Signal::TERM].into_iter().find(|signal| signal.exit_code() == code);
        own.map_or(Exit::Code(code.cast_signed()), |signal| Exit::Signal(signal.number()))
    }

    /// What it most likely means, in the words of an error.
    pub(crate) fn likely_cause(self) -> Option<&'static str> {
        Some(match self {
            Exit::Code(STATUS_ACCESS_VIOLATION | STATUS_IN_PAGE_ERROR) => "a memory error (access violation)",
            Exit::Code(STATUS_STACK_OVERFLOW) => "its stack overflowed",
            Exit::Code(STATUS_HEAP_CORRUPTION) => "a memory error (its heap was corrupted)",
            Exit::Code(STATUS_STACK_BUFFER_OVERRUN | STATUS_FATAL_APP_EXIT) => {
                "it aborted: a panic that can't unwind, or memory that could not be allocated"
            }
            Exit::Code(STATUS_DLL_NOT_FOUND | STATUS_ENTRYPOINT_NOT_FOUND) => {
                "a library that it needs was not found"
            }
            Exit::Code(STATUS_DLL_INIT_FAILED) => {
                "a library could not begin: too many processes share a service's desktop, or the user is logging off"
            }
            Exit::Code(STATUS_INVALID_CRUNTIME_PARAMETER) => {
                "C's library was called with an invalid argument"
            }
            Exit::Code(STATUS_NO_MEMORY) => "memory could not be had",
            Exit::Code(
                STATUS_ILLEGAL_INSTRUCTION
                | STATUS_PRIVILEGED_INSTRUCTION
                | STATUS_BREAKPOINT
                | STATUS_INTEGER_DIVIDE_BY_ZERO
                | STATUS_INTEGER_OVERFLOW,
            ) => "it ran into an instruction that traps",
            Exit::Code(STATUS_CONTROL_C_EXIT) => "terminated from outside",
            Exit::Code(1) => {
                "the task ended its process, or it was terminated from outside (the Task Manager gives 1)"
            }
            Exit::Code(_) => "the task ended its process",
            Exit::Signal(_) => "it was ended by the pool",
            Exit::Unknown => return None,
        })
    }

    /// Whether it is what the process's own code ran into.
    pub(crate) fn is_crash(self) -> bool {
        /// "Error", by the system: the two bits at the top of a status.
        const ERROR: u32 = 0xc000_0000;
        matches!(self, Exit::Code(code) if code.cast_unsigned() & ERROR == ERROR && code != STATUS_CONTROL_C_EXIT)
    }
}
