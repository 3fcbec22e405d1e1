//! What a worker sets for its own process, and how it ends.

use super::job::bound_own_memory;
use std::io;
use std::os::windows::ffi::OsStrExt;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, SetThreadDescription, TerminateProcess,
};

/// Nothing: the system ends no process for want of memory, and says no to whoever asks for more.
pub(crate) fn go_first_without_memory() {}

/// Names the main thread: debuggers show that. The list of processes shows the program's file.
pub(crate) fn set_process_name(name: &str) {
    let name: Vec<u16> = std::ffi::OsStr::new(name).encode_wide().chain([0]).collect();
    // SAFETY: always open.
    let thread = unsafe { GetCurrentThread() };
    // SAFETY: a text that ends with a zero, which the system copies.
    unsafe { SetThreadDescription(thread, name.as_ptr()) };
}

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
