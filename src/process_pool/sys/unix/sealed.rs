//! [`SealedMemory`]: bytes that any number of processes read where they lie, and nobody can change.
//!
//! Only Linux has memory that can be sealed; elsewhere there is none, and what would lie in it crosses by value.

use super::Handle;
use crate::blob::Sealed;
use std::io;
use std::sync::Arc;

/// See the file. The seals are what makes lending the bytes sound: neither another process nor this one can write to them or
/// shorten the file under them.
#[derive(Debug)]
pub(crate) struct SealedMemory {
    handle: Arc<Handle>,
    #[cfg(target_os = "linux")]
    mapping: linux::Mapping,
}

impl SealedMemory {
    /// With these bytes.
    pub(crate) fn of_bytes(bytes: &[u8]) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        // By a write: a store through a fresh mapping takes twice the time.
        return linux::make(bytes.len(), |file| linux::write_all(file, bytes));
        #[cfg(not(target_os = "linux"))]
        return Err((bytes, io::ErrorKind::Unsupported).1.into());
    }

    /// With the `len` bytes that `fill` makes of zeros.
    pub(crate) fn with(len: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        return linux::make(len, |file| linux::fill(file, len, fill));
        #[cfg(not(target_os = "linux"))]
        return Err((len, fill, io::ErrorKind::Unsupported).2.into());
    }

    /// What another process made; where it can't be mapped, its bytes. An error if it can still be changed.
    pub(crate) fn open(handle: Handle) -> io::Result<Result<Self, Vec<u8>>> {
        #[cfg(target_os = "linux")]
        return linux::open(handle).map(Ok).or_else(|(handle, _)| linux::read_all(&handle).map(Err));
        #[cfg(not(target_os = "linux"))]
        return Err((handle, io::ErrorKind::Unsupported).1.into());
    }
}

impl Sealed for SealedMemory {
    fn bytes(&self) -> &[u8] {
        #[cfg(target_os = "linux")]
        return self.mapping.bytes();
        #[cfg(not(target_os = "linux"))]
        return &[];
    }

    fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::SealedMemory;
    use crate::process_pool::sys::unix::stdio::one_above_stdio;
    use crate::process_pool::sys::unix::{Handle, retry};
    use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
    use rustix::io::Errno;
    use rustix::mm::{Advice, MapFlags, ProtFlags};
    use std::io;
    use std::ptr::NonNull;
    use std::sync::Arc;

    /// What keeps bytes as they are.
    const FOR_EVER: SealFlags =
        SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::SEAL);

    /// A mapping of a whole file in memory.
    #[derive(Debug)]
    pub(super) struct Mapping {
        start: NonNull<u8>,
        len: usize,
    }

    // SAFETY: it owns its range of addresses, and lends the bytes there by the rules for references.
    unsafe impl Send for Mapping {}
    // SAFETY: as above; through a shared reference they are only read.
    unsafe impl Sync for Mapping {}

    impl Mapping {
        fn new(file: &Handle, len: usize, protection: ProtFlags, flags: MapFlags) -> io::Result<Self> {
            // SAFETY: the kernel picks the place, so the new mapping touches no memory of ours.
            let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), len, protection, flags, file, 0) }?;
            let start = NonNull::new(start.cast::<u8>());
            let start = start.ok_or_else(|| io::Error::other("the kernel mapped memory at address zero"))?;
            Ok(Mapping { start, len })
        }

        pub(super) fn bytes(&self) -> &[u8] {
            // SAFETY: the mapping is as long as the file, which can't be shortened, and lives as long as `self`. Nobody writes to
            // it: the file is sealed against that, and a private mapping sees what the file has. (Before the seals, `fill`
            // alone has a mapping, and doesn't call this.)
            unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
        }
    }

    impl Drop for Mapping {
        fn drop(&mut self) {
            // SAFETY: the mapping is ours alone, and borrows of it end before `self` does.
            let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
        }
    }

    pub(super) fn make(
        len: usize,
        write: impl FnOnce(&Handle) -> io::Result<()>,
    ) -> io::Result<SealedMemory> {
        super::super::segment::check_file_size_limit(len)?;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = one_above_stdio(|| rustix::fs::memfd_create(c"concurrent-futures", flags))?;
        rustix::fs::ftruncate(&file, len as u64)?;
        match retry(|| rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len as u64)) {
            // An old kernel or a strict sandbox, where the memory can't be reserved.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        write(&file)?;
        rustix::fs::fcntl_add_seals(&file, FOR_EVER)?;
        open(file).map_err(|(_, error)| error)
    }

    pub(super) fn write_all(file: &Handle, bytes: &[u8]) -> io::Result<()> {
        let mut at = 0;
        while at < bytes.len() {
            match retry(|| rustix::io::pwrite(file, &bytes[at..], at as u64))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => at += written,
            }
        }
        Ok(())
    }

    pub(super) fn fill(file: &Handle, len: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<()> {
        let mapping = Mapping::new(file, len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED)?;
        // SAFETY: the range is our mapping's, and the advice changes nothing in this process. A fork that had it would keep
        // the file from being sealed.
        let _ = unsafe { rustix::mm::madvise(mapping.start.as_ptr().cast(), len, Advice::LinuxDontFork) };
        // SAFETY: the mapping is as long as this, of zeros, which are bytes. It is the only one of the file, and nobody
        // else has the descriptor yet.
        let bytes = unsafe { std::slice::from_raw_parts_mut(mapping.start.as_ptr(), len) };
        fill(bytes);
        Ok(())
    }

    /// Gives the handle back if it can't be mapped.
    pub(super) fn open(handle: Handle) -> Result<SealedMemory, (Handle, io::Error)> {
        // Private, because old kernels let nobody map a sealed file as shared, also not for reading. Nobody writes, so the
        // pages are the file's own.
        let mapped = sealed_len(&handle)
            .and_then(|len| Mapping::new(&handle, len, ProtFlags::READ, MapFlags::PRIVATE));
        match mapped {
            Ok(mapping) => Ok(SealedMemory { handle: Arc::new(handle), mapping }),
            Err(error) => Err((handle, error)),
        }
    }

    pub(super) fn read_all(handle: &Handle) -> io::Result<Vec<u8>> {
        let len = sealed_len(handle)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        while bytes.len() < len {
            let at = bytes.len() as u64;
            if retry(|| rustix::io::pread(handle, rustix::buffer::spare_capacity(&mut bytes), at))? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(bytes)
    }

    /// The length of memory that nobody can change; an error if somebody can.
    fn sealed_len(file: &Handle) -> io::Result<usize> {
        if !rustix::fs::fcntl_get_seals(file)?.contains(SealFlags::WRITE | SealFlags::SHRINK) {
            return Err(io::Error::other("memory that can still be changed"));
        }
        let len = usize::try_from(rustix::fs::fstat(file)?.st_size);
        len.map_err(|_| io::Error::other("more memory than there are addresses"))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::SealedMemory;
    use crate::blob::Sealed;
    use crate::process_pool::sys::unix::stdio::one_above_stdio;
    use rustix::fs::MemfdFlags;
    use rustix::io::Errno;

    /// Whether the system has such memory; where it refuses it, that is what was tried.
    fn made(made: std::io::Result<SealedMemory>) -> Option<SealedMemory> {
        let refused = made.is_err() && rustix::fs::memfd_create(c"probe", MemfdFlags::ALLOW_SEALING).is_err();
        if refused {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: memfd is refused here\n");
            return None;
        }
        Some(made.expect("sealed memory"))
    }

    #[test]
    fn what_is_filled_in_place_and_what_is_copied_can_be_read_and_not_changed() {
        let filled = SealedMemory::with(100_000, |bytes| {
            assert_eq!(bytes, [0; 100_000]);
            bytes[99_999] = 7;
        });
        let Some(filled) = made(filled) else { return };
        let copied = made(SealedMemory::of_bytes(filled.bytes())).expect("sealed memory");
        for memory in [&filled, &copied] {
            assert_eq!((memory.bytes().len(), memory.bytes()[99_999], memory.bytes()[0]), (100_000, 7, 0));
            let handle = memory.handle();
            assert_eq!(rustix::fs::ftruncate(handle, 0), Err(Errno::PERM));
            assert_eq!(rustix::fs::ftruncate(handle, 200_000), Err(Errno::PERM));
            assert_eq!(rustix::io::pwrite(handle, &[1], 0), Err(Errno::PERM));
            let again = rustix::io::fcntl_dupfd_cloexec(handle, 3).expect("a descriptor");
            let read = super::linux::read_all(&again).expect("the same bytes");
            assert_eq!(read, memory.bytes());
            let opened = SealedMemory::open(again).expect("sealed").expect("the same memory");
            assert_eq!(opened.bytes(), memory.bytes());
        }
    }

    #[test]
    fn memory_that_can_still_be_changed_is_refused() {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let Ok(file) = one_above_stdio(|| rustix::fs::memfd_create(c"probe", flags)) else { return };
        rustix::fs::ftruncate(&file, 4096).expect("a length");
        assert!(SealedMemory::open(file).is_err());
    }
}
