//! The event that ends a [`sleep`](super::sleep).

use super::stdio;
use std::io;
#[cfg(not(target_os = "linux"))]
use std::os::fd::AsRawFd;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Ends the sleep of the thread that waits for it. If it was rung before, that sleep ends at once.
#[derive(Debug)]
pub(crate) struct Event {
    #[cfg(target_os = "linux")]
    event: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    pipe: (OwnedFd, OwnedFd),
}

#[cfg(target_os = "linux")]
impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        use rustix::event::EventfdFlags;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Event { event: stdio::one_above_stdio(|| rustix::event::eventfd(0, flags))? })
    }

    pub(crate) fn ring(&self) {
        crate::sync::delay();
        // Fails only after 2^64 rings.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    pub(crate) fn clear(&self) {
        crate::sync::delay();
        let _ = rustix::io::read(&self.event, &mut [0_u8; 8]);
    }
}

#[cfg(not(target_os = "linux"))]
impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = stdio::above_stdio(rustix::pipe::pipe, |(reader, writer)| {
            reader.as_raw_fd().min(writer.as_raw_fd())
        })?;
        for end in [&reader, &writer] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
            rustix::fs::fcntl_setfl(end, rustix::fs::OFlags::NONBLOCK)?;
        }
        Ok(Event { pipe: (reader, writer) })
    }

    pub(crate) fn ring(&self) {
        // Fails when the pipe is full: it rings already.
        let _ = rustix::io::write(&self.pipe.1, &[1]);
    }

    pub(crate) fn clear(&self) {
        while rustix::io::read(&self.pipe.0, &mut [0_u8; 64]).is_ok_and(|got| got > 0) {}
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        #[cfg(target_os = "linux")]
        let fd = &self.event;
        #[cfg(not(target_os = "linux"))]
        let fd = &self.pipe.0;
        fd.as_fd()
    }
}
