//! Ctrl-C, and dialogs in place of an end: what a worker does about them.

use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::Win32::System::Diagnostics::Debug::{
    SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SEM_NOOPENFILEERRORBOX, SetErrorMode,
};
use windows_sys::core::BOOL;

/// Sets up a worker, which never reaches the runtime's own setup before `main`:
///
/// - Ctrl-C and Ctrl-Break, which reach every process of a console, are for the parent. What a worker starts hears them.
/// - A crash ends the process, and no dialog waits for somebody to close it.
///
/// The window's end, a logoff and a shutdown end a worker as any other program.
pub(crate) fn take_over_signals() {
    unsafe extern "system" fn keep(event: u32) -> BOOL {
        (event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT).into()
    }
    // SAFETY: the handler looks at a number, which is safe at any moment.
    unsafe { SetConsoleCtrlHandler(Some(keep), 1) };
    // SAFETY: sets a mode of this process.
    unsafe { SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX) };
}

/// Nothing: handlers of the console run on threads of their own.
pub(crate) fn block_signals() {}
