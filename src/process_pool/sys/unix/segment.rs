//! The memory that a worker and its parent share.

use super::Handle;
use super::stdio::above_stdio;
use crate::process_pool::shared::Layout;
use crate::sync::plain::{AtomicU32, Ordering};
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// Memory that two processes map, or one process on its own (a fake worker's).
#[derive(Debug)]
pub(crate) struct Segment(NonNull<Layout>);

// SAFETY: a segment is nothing but atomics, which any thread may use.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

const BYTES: usize = size_of::<Layout>().next_multiple_of(4096);

impl Segment {
    /// Fresh memory, all zero, and the handle by which another process can map it too.
    pub(crate) fn create() -> io::Result<(Segment, Handle)> {
        check_file_size_limit(BYTES)?;
        let file = memory_file()?;
        rustix::fs::ftruncate(&file, BYTES as u64)?;
        #[cfg(target_os = "linux")]
        {
            reserve(&file)?;
            // Neither side can shorten it while the other reads. Not every fallback file can be sealed.
            use rustix::fs::SealFlags;
            let _ = rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW);
        }
        Ok((Segment::of(&file)?, file))
    }

    /// Maps what another process made with `create`.
    pub(crate) fn of(file: &Handle) -> io::Result<Segment> {
        use rustix::mm::{MapFlags, ProtFlags};
        if rustix::fs::fstat(file)?.st_size as u64 != BYTES as u64 {
            return Err(io::Error::other("the shared segment has another size than this program's"));
        }
        let (protection, sharing) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: the kernel picks the place, so the new mapping touches no memory of ours.
        let address = unsafe { rustix::mm::mmap(std::ptr::null_mut(), BYTES, protection, sharing, file, 0) }?;
        let segment = NonNull::new(address.cast::<Layout>());
        segment
            .map(Segment)
            .ok_or_else(|| io::Error::other("the kernel mapped the shared segment at address zero"))
    }

    /// Keeps the segment out of processes that this one forks: only one may claim tasks.
    pub(crate) fn hide_from_forks(&self) {
        #[cfg(target_os = "linux")]
        // SAFETY: the range is our mapping's, and the advice changes nothing in this process.
        let _ =
            unsafe { rustix::mm::madvise(self.0.as_ptr().cast(), BYTES, rustix::mm::Advice::LinuxDontFork) };
    }
}

impl Deref for Segment {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        // SAFETY: the mapping is long enough and aligned for this, lives as long as `self`, began as zeros, which is a valid
        // value, and is only ever changed through atomics.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone, and borrows of it end before `self` does.
        let _ = unsafe { rustix::mm::munmap(self.0.as_ptr().cast(), BYTES) };
    }
}

/// The limit on the size of files holds for shared memory too, although no disk has it. Beyond the limit the system not only
/// refuses: it sends SIGXFSZ, which ends the process.
pub(super) fn check_file_size_limit(bytes: usize) -> io::Result<()> {
    use rustix::process::{Resource, getrlimit};
    match getrlimit(Resource::Fsize).current {
        Some(limit) if limit < bytes as u64 => Err(io::Error::other(format!(
            "it takes {bytes} bytes, and a file of this process may have {limit} at most; \
             raise that limit (`ulimit -f`, RLIMIT_FSIZE)"
        ))),
        _ => Ok(()),
    }
}

/// Reserves the memory behind a file now. Without it, if there is none left (a full `/dev/shm`), the first access would end
/// this process by SIGBUS.
#[cfg(target_os = "linux")]
fn reserve(file: &Handle) -> rustix::io::Result<()> {
    use rustix::fs::FallocateFlags;
    use rustix::io::Errno;
    match super::retry(|| rustix::fs::fallocate(file, FallocateFlags::empty(), 0, BYTES as u64)) {
        // An old kernel or a strict sandbox, where the memory can't be reserved.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => Ok(()),
        other => other,
    }
}

/// A file that lives in memory and has no name.
fn memory_file() -> io::Result<Handle> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::MemfdFlags;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        if let Ok(file) =
            super::stdio::one_above_stdio(|| rustix::fs::memfd_create(c"concurrent-futures", flags))
        {
            return Ok(file);
        }
    }
    above_stdio(unnamed_file, Handle::as_raw_fd)
}

/// The same where memfd is refused (an old kernel, a strict sandbox) or does not exist: shared memory with a name, which is
/// removed at once.
fn unnamed_file() -> io::Result<Handle> {
    use rustix::shm;
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    // Short: macOS takes 31 bytes. Two workers may start at once, and an earlier process may have left a name behind.
    let name = format!("/cf-{:x}-{number:x}-{:x}", std::process::id(), crate::remote::parcel::nonce() as u32);
    let (flags, mode) =
        (shm::OFlags::CREATE | shm::OFlags::EXCL | shm::OFlags::RDWR, shm::Mode::RUSR | shm::Mode::WUSR);
    let file = shm::open(&name, flags, mode)?;
    shm::unlink(&name)?;
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::CLOEXEC)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::{Segment, memory_file, unnamed_file};
    use crate::sync::thread;

    #[test]
    fn files_in_memory_can_be_shared_and_have_no_name() {
        let makers = [memory_file, unnamed_file];
        for make in makers {
            let file = make().expect("a file");
            rustix::fs::ftruncate(&file, super::BYTES as u64).expect("a length");
            let (one, other) =
                (Segment::of(&file).expect("a mapping"), Segment::of(&file).expect("a mapping"));
            one.claim(0).open(3);
            assert_eq!(other.claim(0).load().limit, 3);
            let flags = rustix::io::fcntl_getfd(&file).expect("flags");
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_segment_cannot_be_cut_short_by_the_other_side() {
        if rustix::fs::memfd_create(c"probe", rustix::fs::MemfdFlags::ALLOW_SEALING).is_err() {
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                b"SKIPPED: memfd is refused here, so nobody tried to cut a segment short\n",
            );
            return;
        }
        let (segment, file) = Segment::create().expect("a segment");
        assert_eq!(rustix::fs::ftruncate(&file, 0), Err(rustix::io::Errno::PERM));
        assert_eq!(segment.claim(0).load().limit, 0);
    }

    #[test]
    fn files_made_at_once_do_not_meet() {
        let make = || (0..200).for_each(|_| drop(unnamed_file().expect("a file of its own")));
        let threads: Vec<_> = (0..4).map(|_| thread::Builder::new().spawn(make).expect("a thread")).collect();
        for thread in threads {
            thread.join().expect("no collision");
        }
    }
}
