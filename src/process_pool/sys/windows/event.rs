//! The event that ends a [`sleep`](super::sleep).

use super::Handle;
use super::handle::{clear_event, new_event, set_event};
use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle};

/// Ends the sleep of the thread that waits for it. If it is set already, that sleep ends at once.
#[derive(Debug)]
pub(crate) struct Event(Handle);

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        new_event(false).map(Event)
    }

    pub(crate) fn set(&self) {
        set_event(&self.0);
    }

    pub(crate) fn clear(&self) {
        clear_event(&self.0);
    }
}

impl AsHandle for Event {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}
