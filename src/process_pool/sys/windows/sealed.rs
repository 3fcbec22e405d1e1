//! [`SealedMemory`]: bytes that any number of processes read where they lie, and nobody can change.
//!
//! Whoever makes it keeps only a handle that gives no right to write, and passes that on. So the last right to write is gone
//! with the first handle and its view: the section gives nobody a right, so that no copy of a handle has more of them.

use super::Handle;
use super::memory::read_only;
use super::section::{Access, OwnView, Promised, View, create};
use crate::blob::Sealed;
use std::io;
use std::sync::Arc;

/// See the file. The rights are what makes lending the bytes sound: no handle of the section gives the right to write, and its
/// length never changes.
#[derive(Debug)]
pub(crate) struct SealedMemory {
    handle: Arc<Handle>,
    view: OwnView,
    len: usize,
}

/// Where the number of bytes stands, which the system rounds up: behind them, in a word of its own.
const TAIL: usize = size_of::<u64>();

impl SealedMemory {
    /// With these bytes.
    pub(crate) fn of_bytes(bytes: &[u8]) -> io::Result<Self> {
        SealedMemory::with(bytes.len(), |room| room.copy_from_slice(bytes))
    }

    /// With the `len` bytes that `fill` makes of zeros.
    pub(crate) fn with(len: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        let whole = whole_len(len).ok_or(io::ErrorKind::OutOfMemory)?;
        let section = create(whole, Promised::Now)?;
        let view = View::map(&section, 0, whole, Access::Write)?;
        // SAFETY: nobody else has the section yet, and all of it is promised.
        let mut view = unsafe { OwnView::new(view) };
        let bytes = view.bytes_mut();
        bytes[whole - TAIL..].copy_from_slice(&(len as u64).to_ne_bytes());
        fill(&mut bytes[..len]);
        drop(view);
        let sealed = read_only(&section)?;
        drop(section);
        // SAFETY: the handle and the view by which one could write are gone.
        unsafe { SealedMemory::of(sealed) }
    }

    /// What another process made; where it can't be mapped, its bytes. An error if it can still be changed.
    pub(crate) fn open(handle: Handle) -> io::Result<Result<Self, Vec<u8>>> {
        if View::map(&handle, 0, 0, Access::Write).is_ok() {
            return Err(io::Error::other("memory that can still be changed"));
        }
        // SAFETY: it came from the parent, which this process trusts to have made it as above; this handle can't write.
        unsafe { SealedMemory::of(handle) }.map(Ok)
    }

    /// # Safety
    ///
    /// Nobody can write to it, and all of it has memory.
    unsafe fn of(handle: Handle) -> io::Result<Self> {
        let view = View::map(&handle, 0, 0, Access::Read)?;
        // SAFETY: our caller says so.
        let view = unsafe { OwnView::new(view) };
        let (room, tail) = view.bytes().split_last_chunk::<TAIL>().ok_or(io::ErrorKind::InvalidData)?;
        let len = usize::try_from(u64::from_ne_bytes(*tail)).ok().filter(|len| *len <= room.len());
        let len = len.ok_or(io::ErrorKind::InvalidData)?;
        Ok(SealedMemory { handle: Arc::new(handle), view, len })
    }
}

/// With its number, in whole pages.
fn whole_len(len: usize) -> Option<usize> {
    len.checked_add(TAIL)?.checked_next_multiple_of(4096)
}

impl Sealed for SealedMemory {
    fn bytes(&self) -> &[u8] {
        &self.view.bytes()[..self.len]
    }

    fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }
}

#[cfg(test)]
mod tests {
    use super::SealedMemory;
    use crate::blob::Sealed;
    use crate::process_pool::sys::windows::handle::{Rights, copy_here, duplicate};
    use crate::process_pool::sys::windows::section::{Access, Promised, View, create};
    use std::os::windows::io::AsHandle;

    #[test]
    fn what_is_filled_in_place_and_what_is_copied_can_be_read_and_not_changed() {
        for len in [1, 100_000, 4096 - 8, 4096 - 7, 1 << 20] {
            let filled = SealedMemory::with(len, |bytes| {
                assert!(bytes.len() == len && bytes.iter().all(|byte| *byte == 0));
                bytes[len - 1] = 7;
            });
            let filled = filled.expect("memory");
            let copied = SealedMemory::of_bytes(filled.bytes()).expect("memory");
            for memory in [&filled, &copied] {
                assert_eq!((memory.bytes().len(), memory.bytes()[len - 1]), (len, 7));
                assert!(View::map(memory.handle(), 0, 0, Access::Write).is_err(), "it can be written to");
                let again = duplicate(&**memory.handle()).expect("a handle");
                let opened = SealedMemory::open(again).expect("sealed").expect("the same memory");
                assert_eq!(opened.bytes(), memory.bytes());
            }
        }
    }

    #[test]
    fn no_copy_of_a_handle_gives_more_rights() {
        let memory = SealedMemory::of_bytes(&[1; 10]).expect("memory");
        let wanted = Rights::Only(Access::Write.right());
        let more = copy_here(memory.handle().as_handle(), wanted);
        assert!(more.is_err(), "it can be written to");
    }

    #[test]
    fn memory_that_can_still_be_changed_is_refused() {
        let section = create(4096, Promised::Now).expect("a section");
        assert!(SealedMemory::open(section).is_err());
    }
}
