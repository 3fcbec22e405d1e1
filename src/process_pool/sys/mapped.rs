//! What is done with memory that processes share, whichever system has mapped it: written by one of them, read by another.

use crate::sync::plain::{AtomicU64, Ordering};
use std::mem::MaybeUninit;

/// A range of addresses of this process.
///
/// # Safety
///
/// The range is mapped for as long as `self` lives, wherever `self` is moved. It begins at a page's start, and its last page is
/// mapped whole. This process uses it by one of the types below alone, which suits the access that it is mapped for.
pub(super) unsafe trait Mapping: Send + Sync {
    fn start(&self) -> *mut u8;

    fn len(&self) -> usize;

    fn has(&self, at: usize, len: usize) -> bool {
        at.checked_add(len).is_some_and(|end| end <= self.len())
    }

    /// Room for a large value.
    fn room_for(len: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).ok()?;
        Some(bytes)
    }
}

/// A part of a file in memory, mapped to be written to.
#[derive(Debug)]
pub(crate) struct WritableMemory<M>(pub(super) M);

/// The same, that another process writes to at any time.
#[derive(Debug)]
pub(crate) struct ForeignMemory<M>(pub(super) M);

/// The same, in a worker: what the parent writes down for it.
#[derive(Debug)]
pub(crate) struct ParentMemory<M>(pub(super) M);

#[expect(private_bounds, reason = "each system has one mapping")]
impl<M: Mapping> WritableMemory<M> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes to it as its only user.
    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) {
        // SAFETY: by the exclusive reference nobody else in this process uses it meanwhile.
        unsafe { self.write_part(at, bytes) };
    }

    /// Writes to a part of it.
    ///
    /// # Safety
    ///
    /// No other thread of this process uses that part meanwhile.
    pub(crate) unsafe fn write_part(&self, at: usize, bytes: &[u8]) {
        assert!(self.0.has(at, bytes.len()), "a part beyond the mapping");
        // SAFETY: the mapping is that long and writable, no part of it is borrowed, and our caller says that nobody else
        // uses this part. `bytes` are no part of it, for it is never lent.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.start().wrapping_add(at), bytes.len());
        }
    }
}

#[expect(private_bounds, reason = "each system has one mapping")]
impl<M: Mapping> ForeignMemory<M> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Copies a part out, which begins at a whole word. `None` if it isn't there.
    pub(crate) fn copy(&self, at: usize, len: usize) -> Option<Vec<u8>> {
        if !self.0.has(at, len) || !at.is_multiple_of(8) {
            return None;
        }
        let mut bytes = M::room_for(len)?;
        let whole = len / 8;
        // SAFETY: the words lie in the mapping, which is page-aligned, lives as long as `self`, and is never written to by
        // this process. The other one may write at any time, which is why they are atomics.
        let words = unsafe {
            std::slice::from_raw_parts(self.0.start().wrapping_add(at).cast::<AtomicU64>(), len.div_ceil(8))
        };
        let (room, _) = bytes.spare_capacity_mut()[..whole * 8].as_chunks_mut::<8>();
        for (to, word) in room.iter_mut().zip(words) {
            *to = word.load(Ordering::Relaxed).to_ne_bytes().map(MaybeUninit::new);
        }
        // SAFETY: so many bytes were written just now.
        unsafe { bytes.set_len(whole * 8) };
        if let Some(last) = words.get(whole) {
            bytes.extend_from_slice(&last.load(Ordering::Relaxed).to_ne_bytes()[..len % 8]);
        }
        Some(bytes)
    }
}

#[expect(private_bounds, reason = "each system has one mapping")]
impl<M: Mapping> ParentMemory<M> {
    /// A part of it, which the parent has written down for a task that is at work here. `None` if it isn't there.
    pub(crate) fn part(&self, at: usize, len: usize) -> Option<&[u8]> {
        if !self.0.has(at, len) {
            return None;
        }
        // SAFETY: the mapping is that long and lives as long as `self`. The parent, which this process trusts, writes to a
        // part only while no task that names it is in flight (`PROTOCOL.md`, `ArgumentKept`).
        Some(unsafe { std::slice::from_raw_parts(self.0.start().wrapping_add(at), len) })
    }

    /// The same, copied.
    pub(crate) fn copy(&self, at: usize, len: usize) -> Option<Vec<u8>> {
        let part = self.part(at, len)?;
        let mut bytes = M::room_for(len)?;
        bytes.extend_from_slice(part);
        Some(bytes)
    }
}
