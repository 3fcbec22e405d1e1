//! Standard input, output and error; and the process that a worker was given its standard input by.

use super::Handle;
use super::handle::{check, duplicate, owned};
use super::program::MARK;
use std::fs::File;
use std::io::{self, Write};
use std::os::windows::io::{AsRawHandle, IntoRawHandle};
use std::process::id;
use windows_sys::Wdk::System::Threading::{NtQueryInformationProcess, ProcessBasicInformation};
use windows_sys::Win32::Foundation::ERROR_INVALID_PARAMETER;
use windows_sys::Win32::Storage::FileSystem::SYNCHRONIZE;
use windows_sys::Win32::System::Console::{GetConsoleCP, STD_INPUT_HANDLE, SetStdHandle};
use windows_sys::Win32::System::Pipes::GetNamedPipeServerProcessId;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcess, PROCESS_BASIC_INFORMATION};

/// Whether this process has a console.
pub(super) fn has_console() -> bool {
    // SAFETY: asks for a number, which is 0 without a console.
    unsafe { GetConsoleCP() != 0 }
}

/// A file for output that nobody wants.
pub(crate) fn nowhere() -> io::Result<File> {
    File::options().read(true).write(true).open("NUL")
}

/// Takes the pipe that was passed as standard input. From then on standard input is empty, and this process has no mark that a
/// program it starts could inherit.
pub(super) fn take_stdin() -> io::Result<Handle> {
    let stdin = io::stdin();
    let taken = duplicate(&stdin)?;
    let empty = nowhere()?;
    // C's table of files has the pipe as well, and would pass it on; and so would its copy of the variables.
    // SAFETY: declared as in `io.h` and `stdlib.h`.
    unsafe extern "C" {
        fn _wputenv(text: *const u16) -> i32;
        fn _open_osfhandle(handle: isize, flags: i32) -> i32;
        fn _dup2(from: i32, to: i32) -> i32;
        fn _close(file: i32) -> i32;
    }
    let raw = empty.into_raw_handle().expose_provenance().cast_signed();
    // SAFETY: an open handle, which is the table's from now on.
    let file = unsafe { _open_osfhandle(raw, 0) };
    // A table that is full keeps the pipe: then it is closed with the process.
    if file >= 0 {
        // SAFETY: takes numbers. It closes what number 0 was before.
        unsafe { _dup2(file, 0) };
        // SAFETY: it was given just now.
        unsafe { _close(file) };
    }
    // A variable without a value is removed, from the system's as well.
    let no_mark: Vec<u16> = MARK.encode_utf16().chain([u16::from(b'='), 0]).collect();
    // SAFETY: a text that ends with a zero. Only this thread is there yet, or `init` runs, in the first line of `main`.
    unsafe { _wputenv(no_mark.as_ptr()) };
    // A program without a console has no number 0 in that table.
    let empty = nowhere()?.into_raw_handle();
    // SAFETY: an open handle, which nobody closes.
    check(unsafe { SetStdHandle(STD_INPUT_HANDLE, empty) })?;
    Ok(taken)
}

/// Whether standard input is a pipe that the process which started this one has made: so only a pool starts a worker.
pub(crate) fn is_stdin_of_parent() -> bool {
    let mut maker = 0;
    // SAFETY: whatever the handle is, it is asked, and `maker` is a place for the answer.
    let told = check(unsafe { GetNamedPipeServerProcessId(io::stdin().as_raw_handle(), &raw mut maker) });
    told.is_ok() && starter().is_none_or(|starter| starter == maker) && maker != id()
}

/// The number of the process that started this one.
fn starter() -> Option<u32> {
    let mut about = PROCESS_BASIC_INFORMATION::default();
    let size = size_of_val(&about) as u32;
    // SAFETY: always open.
    let own = unsafe { GetCurrentProcess() };
    let (place, mut written) = ((&raw mut about).cast(), 0);
    // SAFETY: there is room for what is asked for.
    let told =
        unsafe { NtQueryInformationProcess(own, ProcessBasicInformation, place, size, &raw mut written) };
    (told >= 0).then(|| u32::try_from(about.InheritedFromUniqueProcessId).ok()).flatten()
}

/// The process of that number; none if it has ended, and an error if it may not be watched.
pub(super) fn process(pid: u32) -> io::Result<Option<Handle>> {
    // SAFETY: any number may be asked for.
    let process = unsafe { OpenProcess(SYNCHRONIZE, 0, pid) };
    // SAFETY: it was made just now.
    match unsafe { owned(process) } {
        Err(error) if error.raw_os_error() == Some(ERROR_INVALID_PARAMETER.cast_signed()) => Ok(None),
        other => other.map(Some),
    }
}

/// Sends a few bytes to the process that started this one, before the pipe is taken.
pub(crate) fn say_by_stdin(bytes: &[u8]) {
    // If it fails there is nobody left to tell.
    if let Ok(socket) = duplicate(io::stdin()).and_then(super::Socket::from_handle) {
        let _ = crate::process_pool::wire::frames::send_all(&socket, bytes);
    }
}

/// Writes a line to standard error, in one piece.
pub(crate) fn complain(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
