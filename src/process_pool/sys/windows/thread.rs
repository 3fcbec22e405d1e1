//! A thread, as the system knows it.

use super::handle::is_signalled;
use std::os::windows::io::BorrowedHandle;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Threading::{GetCurrentThreadId, OpenThread, THREAD_SYNCHRONIZE};

/// A thread of this process, as the system knows it. It may end without running any code of ours.
#[derive(Clone, Copy)]
pub(crate) struct Thread(Option<&'static OpenThreadHandle>);

struct OpenThreadHandle(HANDLE);

// SAFETY: a handle belongs to no thread.
unsafe impl Send for OpenThreadHandle {}
// SAFETY: as above; it is never closed.
unsafe impl Sync for OpenThreadHandle {}

impl Thread {
    /// The calling thread. Its handle is open for as long as the process lives.
    pub(crate) fn own() -> Self {
        // SAFETY: asks for a number.
        let id = unsafe { GetCurrentThreadId() };
        // SAFETY: any number may be asked for.
        let handle = unsafe { OpenThread(THREAD_SYNCHRONIZE, 0, id) };
        Thread((!handle.is_null()).then(|| &*Box::leak(Box::new(OpenThreadHandle(handle)))))
    }

    /// What is set when it ends; none if the system gave none.
    pub(super) fn handle(self) -> Option<BorrowedHandle<'static>> {
        // SAFETY: it is open for as long as the process lives.
        self.0.map(|thread| unsafe { BorrowedHandle::borrow_raw(thread.0) })
    }

    /// Whether it has ended.
    pub(super) fn is_gone(self) -> bool {
        self.handle().is_some_and(is_signalled)
    }
}
