//! Memory of any length that a worker and its parent share: a section, and views of parts of it.
//!
//! The system promises the memory part by part, and takes a promise back only with the whole section: what has been used stays
//! there to be used again.

use super::Handle;
use super::handle::{Rights, copy_here, duplicate};
use super::section::{Access, Promised, View, create};
use crate::process_pool::sys::mapped;
use std::io;
use std::os::windows::io::AsHandle;

/// The grain of reservations and mappings: views begin at multiples of it.
pub(crate) const GRAIN: usize = 64 << 10;

/// A section, of a length that no process can change. It takes memory where it was reserved.
#[derive(Debug)]
pub(crate) struct MemoryFile {
    section: Handle,
    len: usize,
}

pub(crate) type WritableMemory = mapped::WritableMemory<View>;
pub(crate) type ForeignMemory = mapped::ForeignMemory<View>;
pub(crate) type ParentMemory = mapped::ParentMemory<View>;

/// The longest that such memory may be, up to `wanted`.
pub(crate) fn longest_memory(wanted: usize) -> usize {
    /// The system keeps eight bytes for each page, whether that is ever used or not.
    const MOST: usize = if size_of::<usize>() < 8 { 1 << 28 } else { 1 << 32 };
    wanted.min(MOST) / GRAIN * GRAIN
}

/// Never: what bounds a process here is promised memory, of which a view has none that isn't the section's.
pub(crate) fn is_address_space_bounded() -> bool {
    false
}

impl MemoryFile {
    /// `len` is what `longest_memory` gave. Takes no memory yet.
    pub(crate) fn create(len: usize) -> io::Result<Self> {
        Ok(MemoryFile { section: create(len, Promised::Later)?, len })
    }

    /// What another process made.
    pub(crate) fn of(section: Handle) -> io::Result<Self> {
        let len = View::map(&section, 0, 0, Access::Read)?.len;
        Ok(MemoryFile { section, len })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// For another process, to read and write.
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        duplicate(&self.section)
    }

    /// For another process, to read.
    pub(crate) fn handle_to_read(&self) -> io::Result<Handle> {
        read_only(&self.section)
    }

    /// Has the system find the memory for a part now. Without it the first access would end the process.
    pub(crate) fn reserve(&self, at: usize, len: usize) -> io::Result<()> {
        let start = at / GRAIN * GRAIN;
        self.map(start, at.saturating_add(len).saturating_sub(start), Access::Write)?.commit(at - start, len)
    }

    /// Nothing: see the module.
    #[expect(clippy::unused_self, reason = "where a part can be given back it is")]
    pub(crate) fn give_back(&self, _: usize, _: usize) {}

    /// Reads a part without a mapping that stays. `None` if it isn't there.
    pub(crate) fn read(&self, at: usize, len: usize) -> Option<Vec<u8>> {
        let start = at / GRAIN * GRAIN;
        let end = at.checked_add(len)?;
        if len == 0 {
            return (end <= self.len).then(Vec::new);
        }
        let view = self.map(start, end - start, Access::Read).ok()?;
        view.commit(0, end - start).ok()?;
        let word = at / 8 * 8;
        let mut bytes = mapped::ForeignMemory(view).copy(word - start, end - word)?;
        bytes.drain(..at - word);
        Some(bytes)
    }

    /// In a worker: maps a part to write to it.
    pub(crate) fn map_own(&self, at: usize, len: usize) -> io::Result<WritableMemory> {
        self.map_to_write(at, len)
    }

    /// Maps a part to write to it. No other thread of this process has one of the same part.
    pub(crate) fn map_to_write(&self, at: usize, len: usize) -> io::Result<WritableMemory> {
        self.map(at, len, Access::Write).map(mapped::WritableMemory)
    }

    /// Maps a part that another process writes to. All of it has memory then: what that process says of it may be wrong.
    pub(crate) fn map_foreign(&self, at: usize, len: usize) -> io::Result<ForeignMemory> {
        let view = self.map(at, len, Access::Read)?;
        view.commit(0, len)?;
        Ok(mapped::ForeignMemory(view))
    }

    /// In a worker: maps all of what its parent writes to.
    pub(crate) fn map_of_parent(&self) -> io::Result<ParentMemory> {
        self.map(0, self.len, Access::Read).map(mapped::ParentMemory)
    }

    fn map(&self, at: usize, len: usize, access: Access) -> io::Result<View> {
        at.checked_add(len).filter(|end| len > 0 && *end <= self.len).ok_or(io::ErrorKind::InvalidInput)?;
        View::map(&self.section, at, len, access)
    }
}

/// Another handle for a section, by which it can't be written to.
pub(super) fn read_only(section: &Handle) -> io::Result<Handle> {
    copy_here(section.as_handle(), Rights::Only(Access::Read.right()))
}

#[cfg(test)]
mod tests {
    use super::{GRAIN, MemoryFile, longest_memory};

    #[test]
    fn a_worker_cannot_write_to_the_memory_of_arguments() {
        let file = MemoryFile::create(4 * GRAIN).expect("a section");
        let theirs = MemoryFile::of(file.handle_to_read().expect("a handle")).expect("a section");
        assert_eq!(theirs.len(), 4 * GRAIN);
        assert!(theirs.map_to_write(0, GRAIN).is_err());
        file.reserve(GRAIN, GRAIN).expect("memory");
        let mut memory = file.map_to_write(GRAIN, GRAIN).expect("a view");
        memory.write(100, b"argument");
        let read = theirs.map_of_parent().expect("a view");
        assert_eq!(read.part(GRAIN + 100, 8), Some(&b"argument"[..]));
        assert_eq!(theirs.read(GRAIN + 100, 8).as_deref(), Some(&b"argument"[..]));
        for (at, len) in [(4 * GRAIN, 1), (4 * GRAIN - 1, 2), (usize::MAX, 2), (1, usize::MAX)] {
            assert!(read.part(at, len).is_none() && read.copy(at, len).is_none(), "{at} {len}");
            assert!(theirs.read(at, len).is_none(), "{at} {len}");
        }
    }

    #[test]
    fn what_is_copied_out_is_what_was_written_at_any_length() {
        let file = MemoryFile::create(16 * GRAIN).expect("a section");
        file.reserve(0, 16 * GRAIN).expect("memory");
        let bytes: Vec<u8> = (0..16 * GRAIN).map(|at| (at * 31 / 7) as u8).collect();
        file.map_to_write(0, 16 * GRAIN).expect("a view").write(0, &bytes);
        let foreign = file.map_foreign(0, 16 * GRAIN).expect("a view");
        for at in [0, 8, 64, 4096] {
            for len in (0..70).chain([4095, 4096, 4097, 12 * GRAIN - 1]) {
                assert_eq!(foreign.copy(at, len).as_deref(), Some(&bytes[at..at + len]), "{at} {len}");
                assert_eq!(file.read(at + 3, len).as_deref(), Some(&bytes[at + 3..at + 3 + len]));
            }
        }
        assert!(foreign.copy(4, 8).is_none() && foreign.copy(16 * GRAIN - 8, 9).is_none());
    }

    /// A worker may name any part of its memory.
    #[test]
    fn what_nobody_has_reserved_reads_as_zeros_in_the_parent() {
        let file = MemoryFile::create(8 * GRAIN).expect("a section");
        let foreign = file.map_foreign(4 * GRAIN, 4 * GRAIN).expect("a view");
        assert_eq!(foreign.copy(0, 4 * GRAIN), Some(vec![0; 4 * GRAIN]));
        assert_eq!(file.read(10, 3), Some(vec![0; 3]));
    }

    #[test]
    fn memory_comes_in_whole_grains_and_not_without_bound() {
        assert!(longest_memory(usize::MAX) < usize::MAX / 8);
        assert_eq!([0, 1, GRAIN - 1, GRAIN, GRAIN + 1].map(longest_memory), [0, 0, 0, GRAIN, GRAIN]);
    }
}
