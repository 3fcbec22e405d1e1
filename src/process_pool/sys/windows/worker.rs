//! What a worker sets for its own process, and how it ends.

use super::job::bound_own_memory;
use std::io;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};

/// Nothing: the system ends no process for want of memory, and says no to whoever asks for more.
pub(crate) fn go_first_without_memory() {}

/// Nothing: the list of processes shows the program's file. The thread that runs tasks has the worker's name.
pub(crate) fn set_process_name(_: &str) {}

/// Bounds the memory that is promised to this process: an allocation beyond it fails.
pub(crate) fn limit_address_space(bytes: u64) -> io::Result<()> {
    bound_own_memory(bytes)
}

/// The size of the stack of the thread that runs tasks: as on Unix, where the system's main threads have as much.
pub(crate) fn main_stack_size() -> usize {
    8 << 20
}

/// Ends this process at once. Exit handlers and those of libraries don't run, because a task may still be running.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: always open.
    let own = unsafe { GetCurrentProcess() };
    // SAFETY: ends this process.
    unsafe { TerminateProcess(own, code.cast_unsigned()) };
    // It doesn't come back.
    std::process::abort()
}

/// No program of this system starts with other rights than it was given by who started it.
pub(crate) fn is_secure_start() -> bool {
    false
}
