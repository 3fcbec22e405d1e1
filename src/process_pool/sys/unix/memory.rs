//! Memory of any length that a worker and its parent share: a file in memory, and mappings of parts of it.
//!
//! There is none where the system has no memfd, and none where the address space of this process is bounded: it would take
//! from the bound what the program needs. Then large values go through the socket.

use super::Handle;
use crate::process_pool::sys::mapped;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;

/// The grain of reservations and mappings.
pub(crate) const GRAIN: usize = 4096;

/// A file in memory, of a length that no process can change. It takes memory where it was reserved or written to.
#[derive(Debug)]
pub(crate) struct MemoryFile {
    file: Handle,
    len: usize,
}

pub(crate) type WritableMemory = mapped::WritableMemory<Mapping>;
pub(crate) type ForeignMemory = mapped::ForeignMemory<Mapping>;
pub(crate) type ParentMemory = mapped::ParentMemory<Mapping>;

#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping belongs to no thread.
unsafe impl Send for Mapping {}
// SAFETY: what is done by a shared reference is the types' around it, and argued there.
unsafe impl Sync for Mapping {}

/// The longest that a file in memory may be, up to `wanted`; 0 where there can be none.
///
/// The limit on the size of files holds here too, and beyond it the system sends SIGXFSZ, which ends the process.
pub(crate) fn longest_memory(wanted: usize) -> usize {
    use rustix::process::{Resource, getrlimit};
    /// What can be mapped.
    const MOST: u64 = if size_of::<usize>() < 8 { 1 << 28 } else { 1 << 40 };
    if !cfg!(target_os = "linux") || is_address_space_bounded() {
        return 0;
    }
    let wanted = wanted.min(MOST as usize);
    let most = getrlimit(Resource::Fsize)
        .current
        .map_or(wanted, |limit| usize::try_from(limit).map_or(wanted, |limit| limit.min(wanted)));
    most / GRAIN * GRAIN
}

/// Whether this process may map no more than so much.
pub(crate) fn is_address_space_bounded() -> bool {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::As).current.is_some()
}

impl MemoryFile {
    /// `len` is what `longest_memory` gave. Takes no memory yet.
    #[cfg(target_os = "linux")]
    pub(crate) fn create(len: usize) -> io::Result<Self> {
        use rustix::fs::{MemfdFlags, SealFlags};
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file =
            super::stdio::one_above_stdio(|| rustix::fs::memfd_create(c"concurrent-futures-values", flags))?;
        rustix::fs::ftruncate(&file, len as u64)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(MemoryFile { file, len })
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn create(_: usize) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What another process made.
    pub(crate) fn of(file: Handle) -> io::Result<Self> {
        let len = rustix::fs::fstat(&file)?.st_size;
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(MemoryFile { file, len })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// For another process, to read and write.
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        Ok(rustix::io::fcntl_dupfd_cloexec(&self.file, 3)?)
    }

    /// For another process, to read; where the system can't part the two, to read and write.
    pub(crate) fn handle_to_read(&self) -> io::Result<Handle> {
        use rustix::fs::{Mode, OFlags};
        use std::os::fd::AsRawFd;
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let open = || rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        super::stdio::one_above_stdio(open).or_else(|_| self.handle())
    }

    /// Has the system find the memory for a part now. Without it, if there is none left, the first access would end this
    /// process by SIGBUS.
    #[cfg(target_os = "linux")]
    pub(crate) fn reserve(&self, at: usize, len: usize) -> io::Result<()> {
        use rustix::fs::FallocateFlags;
        use rustix::io::Errno;
        let flags = FallocateFlags::empty();
        match super::retry(|| rustix::fs::fallocate(&self.file, flags, at as u64, len as u64)) {
            // An old kernel or a strict sandbox, where the memory can't be reserved.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Gives a part's memory back to the system. It reads as zeros then.
    #[cfg(target_os = "linux")]
    pub(crate) fn give_back(&self, at: usize, len: usize) {
        use rustix::fs::FallocateFlags;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // Where that is refused the memory stays, to be used again.
        let _ = super::retry(|| rustix::fs::fallocate(&self.file, flags, at as u64, len as u64));
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn reserve(&self, _: usize, _: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn give_back(&self, _: usize, _: usize) {}

    /// Reads a part without a mapping. `None` if it isn't there.
    pub(crate) fn read(&self, at: usize, len: usize) -> Option<Vec<u8>> {
        at.checked_add(len).filter(|end| *end <= self.len)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).ok()?;
        while bytes.len() < len {
            let from = (at + bytes.len()) as u64;
            // Room beyond the part may be filled as well.
            match super::retry(|| {
                rustix::io::pread(&self.file, rustix::buffer::spare_capacity(&mut bytes), from)
            }) {
                Ok(got) if got > 0 => {}
                _ => return None,
            }
        }
        bytes.truncate(len);
        Some(bytes)
    }

    /// In a worker: maps a part to write to it.
    pub(crate) fn map_own(&self, at: usize, len: usize) -> io::Result<WritableMemory> {
        let memory = self.map_to_write(at, len)?;
        memory.0.hide_from_forks();
        Ok(memory)
    }

    /// Maps a part to write to it. No other thread of this process has one of the same part.
    pub(crate) fn map_to_write(&self, at: usize, len: usize) -> io::Result<WritableMemory> {
        use rustix::mm::ProtFlags;
        self.map(at, len, ProtFlags::READ | ProtFlags::WRITE).map(mapped::WritableMemory)
    }

    /// Maps a part that another process writes to.
    pub(crate) fn map_foreign(&self, at: usize, len: usize) -> io::Result<ForeignMemory> {
        self.map(at, len, rustix::mm::ProtFlags::READ).map(mapped::ForeignMemory)
    }

    /// In a worker: maps all of what its parent writes to.
    pub(crate) fn map_of_parent(&self) -> io::Result<ParentMemory> {
        let mapping = self.map(0, self.len, rustix::mm::ProtFlags::READ)?;
        mapping.hide_from_forks();
        Ok(mapped::ParentMemory(mapping))
    }

    fn map(&self, at: usize, len: usize, protection: rustix::mm::ProtFlags) -> io::Result<Mapping> {
        use rustix::mm::{MapFlags, mmap};
        at.checked_add(len).filter(|end| len > 0 && *end <= self.len).ok_or(io::ErrorKind::InvalidInput)?;
        let nowhere = std::ptr::null_mut();
        // SAFETY: the kernel picks the place, so the new mapping touches no memory of ours.
        let start = unsafe { mmap(nowhere, len, protection, MapFlags::SHARED, &self.file, at as u64) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::Other)?;
        Ok(Mapping { start, len })
    }
}

impl AsFd for MemoryFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Mapping {
    /// A process that this one forks has no part in it, and must not drop it: something else may lie there by then.
    fn hide_from_forks(&self) {
        #[cfg(target_os = "linux")]
        // SAFETY: the range is our mapping's, and the advice changes nothing in this process.
        let _ = unsafe {
            rustix::mm::madvise(self.start.as_ptr().cast(), self.len, rustix::mm::Advice::LinuxDontFork)
        };
    }
}

// SAFETY: the kernel maps whole pages, and they stay until the drop.
unsafe impl mapped::Mapping for Mapping {
    fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    fn len(&self) -> usize {
        self.len
    }

    fn room_for(len: usize) -> Option<Vec<u8>> {
        /// From here on the system gives fresh memory anyway, and with huge pages it takes a third of the time.
        #[cfg(target_os = "linux")]
        const HUGE: usize = 8 << 20;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).ok()?;
        #[cfg(target_os = "linux")]
        if len >= HUGE {
            let start = (bytes.as_ptr() as usize).next_multiple_of(GRAIN);
            let end = (bytes.as_ptr() as usize + len) / GRAIN * GRAIN;
            // SAFETY: the range is the vector's own, and the advice changes none of its contents.
            let _ = unsafe {
                rustix::mm::madvise(start as *mut _, end - start, rustix::mm::Advice::LinuxHugepage)
            };
        }
        Some(bytes)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone, and borrows of it end before `self` does.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{GRAIN, MemoryFile, longest_memory};

    #[test]
    fn a_worker_cannot_write_to_the_memory_of_arguments_or_cut_it_short() {
        let file = MemoryFile::create(4 * GRAIN).expect("this system has memfd");
        let theirs = MemoryFile::of(file.handle_to_read().expect("a handle")).expect("a file");
        assert_eq!(theirs.len(), 4 * GRAIN);
        assert!(theirs.map_to_write(0, GRAIN).is_err());
        assert!(rustix::io::pwrite(&theirs, b"x", 0).is_err());
        for len in [0, 8 * GRAIN as u64] {
            assert!(
                rustix::fs::ftruncate(&file, len).is_err() && rustix::fs::ftruncate(&theirs, len).is_err()
            );
        }
        let mut memory = file.map_to_write(GRAIN, GRAIN).expect("a mapping");
        memory.write(100, b"argument");
        let read = theirs.map_of_parent().expect("a mapping");
        assert_eq!(read.part(GRAIN + 100, 8), Some(&b"argument"[..]));
        assert_eq!(theirs.read(GRAIN + 100, 8).as_deref(), Some(&b"argument"[..]));
        for (at, len) in [(4 * GRAIN, 1), (4 * GRAIN - 1, 2), (usize::MAX, 2), (1, usize::MAX)] {
            assert!(read.part(at, len).is_none() && read.copy(at, len).is_none(), "{at} {len}");
            assert!(theirs.read(at, len).is_none(), "{at} {len}");
        }
    }

    #[test]
    fn what_is_copied_out_is_what_was_written_at_any_length() {
        let file = MemoryFile::create(16 * GRAIN).expect("this system has memfd");
        let bytes: Vec<u8> = (0..16 * GRAIN).map(|at| (at * 31 / 7) as u8).collect();
        file.map_to_write(0, 16 * GRAIN).expect("a mapping").write(0, &bytes);
        let foreign = file.map_foreign(0, 16 * GRAIN).expect("a mapping");
        for at in [0, 8, 64, 4096] {
            for len in (0..70).chain([4095, 4096, 4097, 12 * GRAIN - 1]) {
                assert_eq!(foreign.copy(at, len).as_deref(), Some(&bytes[at..at + len]), "{at} {len}");
            }
        }
        assert!(foreign.copy(4, 8).is_none() && foreign.copy(16 * GRAIN - 8, 9).is_none());
        assert!(foreign.copy(usize::MAX - 7, 8).is_none() && foreign.copy(0, usize::MAX).is_none());
    }

    #[test]
    fn memory_comes_in_whole_pages_and_not_without_bound() {
        assert!(longest_memory(usize::MAX) < usize::MAX / 8);
        assert_eq!(
            [0, 1, GRAIN - 1, GRAIN, GRAIN + 1, 10 * GRAIN].map(longest_memory),
            [0, 0, 0, GRAIN, GRAIN, 10 * GRAIN]
        );
    }
}
