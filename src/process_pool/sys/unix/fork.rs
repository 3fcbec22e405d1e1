//! How a process tells whether it is a fork of the one that made a pool.

use crate::sync::plain::{AtomicBool, Ordering};
use std::ptr::NonNull;

/// Tells a process from its forks: by a byte that the kernel clears in a fork; where the system has no such memory, by the
/// process's number, which takes a system call each time.
#[derive(Debug)]
pub(crate) struct ForkDetector {
    pid: u32,
    byte: Option<NonNull<AtomicBool>>,
}

// SAFETY: all that is shared is an atomic.
unsafe impl Send for ForkDetector {}
// SAFETY: as above.
unsafe impl Sync for ForkDetector {}

impl ForkDetector {
    pub(crate) fn new() -> Self {
        let detector = ForkDetector { pid: std::process::id(), byte: wiped_on_fork() };
        if let Some(byte) = detector.byte() {
            byte.store(true, Ordering::Relaxed);
        }
        detector
    }

    /// Whether this is a fork of the process that made it.
    pub(crate) fn is_fork(&self) -> bool {
        match self.byte() {
            Some(byte) => !byte.load(Ordering::Relaxed),
            None => std::process::id() != self.pid,
        }
    }

    fn byte(&self) -> Option<&AtomicBool> {
        // SAFETY: the mapping lives as long as `self`, is zeroed at first, which is a valid value, and after a fork again.
        self.byte.map(|byte| unsafe { byte.as_ref() })
    }
}

impl Drop for ForkDetector {
    fn drop(&mut self) {
        if let Some(byte) = self.byte {
            // SAFETY: the mapping is ours alone, and no borrow of it outlives `self`.
            let _ = unsafe { rustix::mm::munmap(byte.as_ptr().cast(), 1) };
        }
    }
}

#[cfg(target_os = "linux")]
fn wiped_on_fork() -> Option<NonNull<AtomicBool>> {
    use rustix::mm::{Advice, MapFlags, ProtFlags};
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at a place that the kernel picks touches no memory of ours.
    let page =
        unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), 1, protection, MapFlags::PRIVATE) }.ok()?;
    // SAFETY: the range is the new mapping's, which nobody knows yet.
    if unsafe { rustix::mm::madvise(page, 1, Advice::LinuxWipeOnFork) }.is_err() {
        // SAFETY: as above.
        let _ = unsafe { rustix::mm::munmap(page, 1) };
        return None;
    }
    NonNull::new(page.cast())
}

#[cfg(not(target_os = "linux"))]
fn wiped_on_fork() -> Option<NonNull<AtomicBool>> {
    None
}
