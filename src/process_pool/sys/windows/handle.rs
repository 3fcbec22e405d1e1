//! What can be done with any handle: to wait for it, to copy it, to give it to another process.

use super::Handle;
use crate::sync::delay;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle};
use std::time::Duration;
use windows_sys::Win32::Foundation::{
    DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE, INVALID_HANDLE_VALUE, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Threading::{
    CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, CreateEventW, CreateWaitableTimerExW, GetCurrentProcess, INFINITE,
    ResetEvent, SetEvent, SetWaitableTimer, Sleep, TIMER_ALL_ACCESS, WaitForMultipleObjects,
};
use windows_sys::core::BOOL;

/// What the system says of a call.
pub(super) fn check(succeeded: BOOL) -> io::Result<()> {
    if succeeded == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes a handle that a call of the system has just given, or its error.
///
/// # Safety
///
/// The handle is nobody else's.
pub(super) unsafe fn owned(handle: HANDLE) -> io::Result<Handle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is a handle, and our caller says that it is nobody else's.
    Ok(unsafe { Handle::from_raw_handle(handle) })
}

/// An event that stays set until it is cleared.
pub(super) fn new_event(is_set: bool) -> io::Result<Handle> {
    // SAFETY: no attributes and no name; the rest are values.
    let event = unsafe { CreateEventW(std::ptr::null(), 1, is_set.into(), std::ptr::null()) };
    // SAFETY: it was made just now.
    unsafe { owned(event) }
}

pub(super) fn set_event(event: &Handle) {
    delay();
    // SAFETY: the handle is open.
    unsafe { SetEvent(event.as_raw_handle()) };
}

pub(super) fn clear_event(event: &Handle) {
    delay();
    // SAFETY: the handle is open.
    unsafe { ResetEvent(event.as_raw_handle()) };
}

/// A timer that is finer than the system's ticks, where it has one (Windows 10, version 1803).
pub(super) fn new_timer() -> io::Result<Handle> {
    let kind = CREATE_WAITABLE_TIMER_HIGH_RESOLUTION;
    // SAFETY: no attributes and no name; the rest are values.
    let timer = unsafe { CreateWaitableTimerExW(std::ptr::null(), std::ptr::null(), kind, TIMER_ALL_ACCESS) };
    // SAFETY: it was made just now.
    unsafe { owned(timer) }
}

/// Has it set after that time.
pub(super) fn set_timer(timer: &Handle, time: Duration) -> io::Result<()> {
    // In tenths of microseconds; negative ones count from now.
    let due = -i64::try_from(time.as_nanos().div_ceil(100)).unwrap_or(i64::MAX);
    // SAFETY: the handle is open, `due` is read at once, and nothing is called.
    check(unsafe { SetWaitableTimer(timer.as_raw_handle(), &raw const due, 0, None, std::ptr::null(), 0) })
}

/// The first of these that is set or has ended; none if the time is over before.
pub(super) fn wait(handles: &[BorrowedHandle<'_>], time: Option<Duration>) -> io::Result<Option<usize>> {
    /// As many as the system waits for at a time.
    const MOST: usize = 64;
    let mut raw = [std::ptr::null_mut(); MOST];
    let count = handles.len().min(MOST);
    if count == 0 {
        // SAFETY: takes a number.
        unsafe { Sleep(millis(time)) };
        return Ok(None);
    }
    for (to, handle) in raw.iter_mut().zip(handles) {
        *to = handle.as_raw_handle();
    }
    delay();
    // SAFETY: so many handles are there, all open as long as they are borrowed.
    let woken = unsafe { WaitForMultipleObjects(count as u32, raw.as_ptr(), 0, millis(time)) };
    match woken.checked_sub(WAIT_OBJECT_0) {
        Some(at) if (at as usize) < count => Ok(Some(at as usize)),
        _ if woken == WAIT_TIMEOUT => Ok(None),
        _ => {
            let error = io::Error::last_os_error();
            // Somebody has closed a handle of ours: whoever waits in a loop must not take all of a processor.
            // SAFETY: takes a number.
            unsafe { Sleep(1) };
            Err(error)
        }
    }
}

/// Whether it is set or has ended.
pub(super) fn is_signalled(handle: impl AsHandle) -> bool {
    matches!(wait(&[handle.as_handle()], Some(Duration::ZERO)), Ok(Some(_)))
}

/// Never less than so long, and never for ever if it isn't.
fn millis(time: Option<Duration>) -> u32 {
    let Some(time) = time else { return INFINITE };
    let millis = time.as_nanos().div_ceil(1_000_000);
    u32::try_from(millis).unwrap_or(INFINITE - 1).min(INFINITE - 1)
}

/// This process, as one that handles are copied into.
pub(super) fn own_process() -> BorrowedHandle<'static> {
    // SAFETY: always open.
    let own = unsafe { GetCurrentProcess() };
    // SAFETY: it stands for this process as long as that lives, and nobody closes it.
    unsafe { BorrowedHandle::borrow_raw(own) }
}

/// Another handle for the same, in this process. No program that it starts inherits it.
pub(super) fn duplicate(handle: impl AsHandle) -> io::Result<Handle> {
    copy_here(handle.as_handle(), Rights::Same)
}

/// The same, with other rights.
pub(super) fn copy_here(handle: BorrowedHandle<'_>, rights: Rights) -> io::Result<Handle> {
    let copy = copy_into(own_process(), handle, rights)?;
    // SAFETY: it was made just now, in this process.
    unsafe { owned(copy) }
}

/// What may be done by a copy of a handle.
#[derive(Clone, Copy)]
pub(super) enum Rights {
    /// What may be done by the handle.
    Same,
    /// No more than this.
    Only(u32),
}

/// Copies a handle into another process, and returns what it is called there.
pub(super) fn copy_into(
    process: BorrowedHandle<'_>,
    handle: BorrowedHandle<'_>,
    rights: Rights,
) -> io::Result<HANDLE> {
    let (rights, options) = match rights {
        Rights::Same => (0, DUPLICATE_SAME_ACCESS),
        Rights::Only(rights) => (rights, 0),
    };
    let mut copy = std::ptr::null_mut();
    // SAFETY: the three handles are open, and `copy` is a place for the answer.
    let copied = unsafe {
        DuplicateHandle(
            own_process().as_raw_handle(),
            handle.as_raw_handle(),
            process.as_raw_handle(),
            &raw mut copy,
            rights,
            0,
            options,
        )
    };
    check(copied).map(|()| copy)
}

/// Whether programs that this process starts inherit it.
#[cfg(test)]
pub(super) fn is_inherited(handle: BorrowedHandle<'_>) -> bool {
    use windows_sys::Win32::Foundation::{GetHandleInformation, HANDLE_FLAG_INHERIT};
    let mut flags = 0;
    // SAFETY: the handle is open, and `flags` is a place for the answer.
    let told = unsafe { GetHandleInformation(handle.as_raw_handle(), &raw mut flags) };
    check(told).is_err() || flags & HANDLE_FLAG_INHERIT != 0
}

#[cfg(test)]
mod tests {
    use super::millis;
    use std::time::Duration;
    use windows_sys::Win32::System::Threading::INFINITE;

    #[test]
    fn a_wait_is_never_too_short_and_ends_if_it_is_to_end() {
        let nanos =
            [0, 1, 999_999, 1_000_000, 1_000_001].map(|nanos| millis(Some(Duration::from_nanos(nanos))));
        assert_eq!(nanos, [0, 1, 1, 1, 2]);
        assert_eq!(millis(Some(Duration::MAX)), INFINITE - 1);
        assert_eq!(millis(None), INFINITE);
    }
}
