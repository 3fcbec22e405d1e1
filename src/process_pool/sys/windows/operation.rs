//! A read or a write of a pipe that the system does while this process goes on.
//!
//! While it is *under way* the system owns the buffer and the description, and may write to both at any time. So nothing here
//! touches them then, and neither is freed before the system says that it is done with them.

use super::Handle;
use super::handle::{check, is_signalled, new_event};
use std::io;
use std::os::windows::io::AsHandle;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::sync::Arc;
use windows_sys::Win32::Foundation::{ERROR_IO_INCOMPLETE, ERROR_IO_PENDING};
use windows_sys::Win32::Storage::FileSystem::{ReadFile, WriteFile};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::core::BOOL;

/// One at a time.
pub(super) struct Operation {
    pipe: Arc<Handle>,
    /// Set when it is not under way.
    done: Arc<Handle>,
    /// Boxed: the system keeps its address.
    description: Box<OVERLAPPED>,
    buffer: Vec<u8>,
    is_under_way: bool,
}

// SAFETY: what the system writes to is on the heap and moves with no one; handles belong to no thread.
unsafe impl Send for Operation {}

impl Operation {
    pub(super) fn new(pipe: &Arc<Handle>) -> io::Result<Self> {
        let done = Arc::new(new_event(true)?);
        let (pipe, description) = (pipe.clone(), Box::default());
        Ok(Operation { pipe, done, description, buffer: Vec::new(), is_under_way: false })
    }

    pub(super) fn done(&self) -> Arc<Handle> {
        self.done.clone()
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// The bytes that were read, or that are to be written. Not while it is under way.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        assert!(!self.is_under_way, "the system owns the buffer");
        &mut self.buffer
    }

    /// Begins to read up to `most` bytes.
    pub(super) fn read(&mut self, most: usize) -> io::Result<()> {
        self.begin(|pipe, buffer, description| {
            buffer.resize(most, 0);
            let (place, len) = (buffer.as_mut_ptr(), buffer.len() as u32);
            // SAFETY: the pipe is open. The buffer is as long as that, and neither it nor the description is touched or freed
            // before the system is done with it.
            unsafe { ReadFile(pipe.as_raw_handle(), place, len, std::ptr::null_mut(), description) }
        })
    }

    /// Begins to write all that is in the buffer.
    pub(super) fn write(&mut self) -> io::Result<()> {
        self.begin(|pipe, buffer, description| {
            let (place, len) = (buffer.as_ptr(), buffer.len() as u32);
            // SAFETY: as for a read.
            unsafe { WriteFile(pipe.as_raw_handle(), place, len, std::ptr::null_mut(), description) }
        })
    }

    fn begin(
        &mut self,
        call: impl FnOnce(BorrowedHandle<'_>, &mut Vec<u8>, *mut OVERLAPPED) -> BOOL,
    ) -> io::Result<()> {
        assert!(!self.is_under_way, "one at a time");
        *self.description = OVERLAPPED { hEvent: self.done.as_raw_handle(), ..OVERLAPPED::default() };
        let begun = check(call(self.pipe.as_handle(), &mut self.buffer, &raw mut *self.description));
        match begun {
            Err(error) if error.raw_os_error() != Some(ERROR_IO_PENDING.cast_signed()) => {
                super::handle::set_event(&self.done);
                Err(error)
            }
            _ => {
                self.is_under_way = true;
                Ok(())
            }
        }
    }

    /// How many bytes it was, if it is done; with `waits` it is done then.
    pub(super) fn end(&mut self, waits: bool) -> Option<io::Result<usize>> {
        // Not the description's state: the system writes that on this thread, and may only do so once it is called.
        if !waits && !is_signalled(&*self.done) {
            return None;
        }
        let mut bytes = 0;
        let (pipe, description) = (self.pipe.as_raw_handle(), &raw const *self.description);
        // SAFETY: the pipe is open, and the description is that of what was begun with it.
        let ended = check(unsafe { GetOverlappedResult(pipe, description, &raw mut bytes, waits.into()) });
        if ended.as_ref().is_err_and(|error| error.raw_os_error() == Some(ERROR_IO_INCOMPLETE.cast_signed()))
        {
            return None;
        }
        self.is_under_way = false;
        Some(ended.map(|()| bytes as usize))
    }
}

/// Ends what is under way: only then may its memory go.
impl Drop for Operation {
    fn drop(&mut self) {
        if self.is_under_way {
            // SAFETY: as above. It fails if that is done already.
            unsafe { CancelIoEx(self.pipe.as_raw_handle(), &raw const *self.description) };
            let _ = self.end(true);
        }
    }
}
