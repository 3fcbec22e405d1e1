//! The only way to the operating system: sockets, the shared memory, processes by handle, signals, poll.
//!
//! Each part says what holds on every platform; where Linux has more to give than others, a `cfg` in here picks the way.

use super::shared::Layout;
use super::wire::frames::{Blocking, Stream};
use crate::clock::deadline_after;
use crate::sync::delay;
use crate::sync::plain::{AtomicBool, AtomicU32, Mutex, Ordering};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus};
use std::cell::{Cell, OnceCell};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

pub(super) use rustix::process::Signal;

/// What can be passed to another process.
pub(super) type Fd = OwnedFd;

// ---- sockets ---------------------------------------------------------------------------------------

/// A peer that is gone is an error and no signal. Apple has an option of the socket in place of a flag.
#[cfg(not(target_vendor = "apple"))]
const QUIETLY: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const QUIETLY: SendFlags = SendFlags::empty();

/// One end of the stream between a driver and its worker. A peer that is gone is an error, never a signal.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    is_wide: AtomicBool,
}

impl Socket {
    /// Two connected ends, that no program started from here inherits by accident.
    pub(super) fn pair() -> io::Result<(Socket, OwnedFd)> {
        let pair = || std::os::unix::net::UnixStream::pair();
        let (ours, theirs) = above_stdio(pair, |(ours, theirs)| ours.as_raw_fd().min(theirs.as_raw_fd()))?;
        Ok((Socket::from_fd(ours.into()), theirs.into()))
    }

    pub(super) fn from_fd(fd: Fd) -> Self {
        #[cfg(target_vendor = "apple")]
        // It fails for what is no socket, which says so itself at its first use.
        let _ = rustix::net::sockopt::set_socket_nosigpipe(&fd, true);
        Socket { fd, is_wide: AtomicBool::new(false) }
    }

    /// Sends bytes with a descriptor beside the first of them; says how many went.
    pub(super) fn send_with_fd(&self, bytes: &[u8], fd: &Fd) -> io::Result<usize> {
        let fds = [fd.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
        control.push(rustix::net::SendAncillaryMessage::ScmRights(&fds));
        let flags = QUIETLY | SendFlags::DONTWAIT;
        delay();
        Ok(rustix::net::sendmsg(&self.fd, &[IoSlice::new(bytes)], &mut control, flags)?)
    }

    /// Receives bytes and the descriptor that came with them, blocking.
    pub(super) fn receive_with_fd(&self, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = rustix::net::RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(bytes)];
        #[cfg(not(target_vendor = "apple"))]
        let flags = RecvFlags::CMSG_CLOEXEC;
        #[cfg(target_vendor = "apple")]
        let flags = RecvFlags::empty();
        let got = retry(|| rustix::net::recvmsg(&self.fd, &mut parts, &mut control, flags))?;
        let fd = control.drain().find_map(|message| match message {
            rustix::net::RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        #[cfg(target_vendor = "apple")]
        if let Some(fd) = &fd {
            rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?;
        }
        Ok((got.bytes, fd))
    }

    /// Before the first large frame: the more the socket takes, the fewer turns the two sides take at it. Not for small
    /// ones, of which more would pile up than the reader's cache holds.
    fn widen_for(&self, parts: &[IoSlice<'_>]) {
        const LARGE: usize = 256 << 10;
        const WIDE: usize = 1 << 20;
        let size: usize = parts.iter().map(|part| part.len()).sum();
        if size > LARGE && !self.is_wide.swap(true, Ordering::Relaxed) {
            // The system may give less.
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(&self.fd, WIDE);
        }
    }

    /// Says that nothing more will be sent.
    pub(super) fn close_write(&self) {
        // Fails when the peer is gone: then it knows.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Write);
    }

    /// Ends the connection, for both sides. What has arrived can still be read.
    pub(super) fn hang_up(&self) {
        // As above.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Both);
    }
}

impl Stream for Socket {
    fn receive(&self, into: &mut Vec<u8>, blocking: Blocking) -> io::Result<usize> {
        let flags = if blocking == Blocking::No { RecvFlags::DONTWAIT } else { RecvFlags::empty() };
        let got = retry(|| rustix::net::recv(&self.fd, rustix::buffer::spare_capacity(into), flags))?;
        Ok(got.1)
    }

    fn send(&self, parts: &[IoSlice<'_>], blocking: Blocking) -> io::Result<usize> {
        let mut flags = QUIETLY;
        if blocking == Blocking::No {
            flags |= SendFlags::DONTWAIT;
        }
        self.widen_for(parts);
        let mut control = rustix::net::SendAncillaryBuffer::default();
        Ok(retry(|| rustix::net::sendmsg(&self.fd, parts, &mut control, flags))?)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Makes descriptors with numbers above those of standard input, output and error. Where the program has closed one of
/// these, the next descriptor gets its number, and what the program prints would go there: into a worker's socket, say.
fn above_stdio<T, E>(
    make: impl Fn() -> Result<T, E>,
    lowest: impl Fn(&T) -> std::os::fd::RawFd,
) -> Result<T, E> {
    with_stdio_taken(|| {
        // Held meanwhile, so that the next ones get other numbers, should those have been let go of after all.
        let mut low = Vec::new();
        loop {
            let made = make()?;
            if lowest(&made) > libc::STDERR_FILENO {
                return Ok(made);
            }
            low.push(made);
        }
    })
}

/// The same for one that is made by a call of the system.
#[cfg(target_os = "linux")]
fn one_above_stdio(make: impl Fn() -> rustix::io::Result<OwnedFd>) -> rustix::io::Result<OwnedFd> {
    above_stdio(make, OwnedFd::as_raw_fd)
}

/// Where what nobody wants goes. Not `Stdio::null`, which would be opened while a process is started, at any number.
pub(super) fn nowhere() -> io::Result<File> {
    above_stdio(open_null, File::as_raw_fd)
}

fn open_null() -> io::Result<File> {
    let opened = File::options().read(true).write(true).open("/dev/null");
    opened.map_err(|error| io::Error::new(error.kind(), Unopened { path: "/dev/null", error }))
}

/// Which file it was that could not be opened.
#[derive(Debug)]
struct Unopened {
    path: &'static str,
    error: io::Error,
}

impl std::fmt::Display for Unopened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} can't be opened: {}", self.path, self.error)
    }
}

impl std::error::Error for Unopened {}

/// What can be done about an error of the system, to be put behind its text.
pub(super) fn advice(error: &io::Error) -> &'static str {
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Unopened>()) {
        return match inner.error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => advice(&inner.error),
            _ => "; it must be a device that anybody may read and write: `mknod -m 666 /dev/null c 1 3`",
        };
    }
    match error.raw_os_error() {
        Some(libc::EMFILE) => "; `ulimit -n` bounds a process's descriptors: raise it, or have fewer workers",
        Some(libc::ENFILE) => "; the whole system has no descriptor left: `fs.file-max` bounds them",
        Some(libc::EAGAIN) => {
            "; `ulimit -u` and a control group's `pids.max` bound how many there may be, `ulimit -v` and \
             `address_space` the memory for its stack: raise them, or have fewer workers"
        }
        Some(libc::ENOMEM) => "; there is not enough memory, or `ulimit -v` bounds it: have fewer workers",
        Some(libc::E2BIG) => {
            "; the program's arguments and the workers' environment are too long: shorten them"
        }
        _ => "",
    }
}

/// Calls `make` while the numbers of standard input, output and error all belong to somebody, so that what is made gets
/// others. Starting a process takes descriptors for a moment (musl has a pipe by which it hears of failures): with one
/// of those numbers, what the program prints meanwhile would be taken for an answer.
///
/// Whatever takes a descriptor for a pool goes through this, one at a time where a number is free: a descriptor that is
/// held at such a number for a moment makes it look taken to another thread, which then gets it when that moment is over.
/// What the program itself opens and closes meanwhile, nobody can see.
pub(super) fn with_stdio_taken<T>(make: impl FnOnce() -> T) -> T {
    static WAS_CLOSED: AtomicBool = AtomicBool::new(false);
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // A fork may have been made while somebody held the lock, who isn't there to let go of it.
    const LONG: Duration = Duration::from_secs(1);
    let is_closed = |fd: BorrowedFd<'_>| rustix::io::fcntl_getfd(fd).is_err();
    let closed = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()].map(is_closed);
    // They may be open since another thread is in here right now: it has said so before.
    if closed == [false; 3] && !WAS_CLOSED.load(Ordering::SeqCst) {
        return make();
    }
    WAS_CLOSED.store(true, Ordering::SeqCst);
    let _turn = ONE_AT_A_TIME.try_lock_for(LONG);
    let mut low = Vec::new();
    // As well as can be: without `/dev/null`, or a descriptor for it, they stay as they are.
    while let Ok(file) = open_null()
        && file.as_raw_fd() <= libc::STDERR_FILENO
    {
        low.push(file);
    }
    let made = make();
    drop(low);
    made
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        delay();
        match call() {
            Err(Errno::INTR) => {}
            other => {
                delay();
                return other;
            }
        }
    }
}

// ---- the bell --------------------------------------------------------------------------------------

/// Wakes a driver that sleeps in poll. Rung before the sleep, it ends the sleep at once.
#[derive(Debug)]
pub(super) struct Bell {
    #[cfg(target_os = "linux")]
    event: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    pipe: (OwnedFd, OwnedFd),
}

#[cfg(target_os = "linux")]
impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        use rustix::event::EventfdFlags;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Bell { event: one_above_stdio(|| rustix::event::eventfd(0, flags))? })
    }

    pub(super) fn ring(&self) {
        delay();
        // Fails only when it has been rung 2^64 times.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    pub(super) fn clear(&self) {
        delay();
        let _ = rustix::io::read(&self.event, &mut [0_u8; 8]);
    }
}

#[cfg(not(target_os = "linux"))]
impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) =
            above_stdio(rustix::pipe::pipe, |(reader, writer)| reader.as_raw_fd().min(writer.as_raw_fd()))?;
        for end in [&reader, &writer] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
            rustix::fs::fcntl_setfl(end, rustix::fs::OFlags::NONBLOCK)?;
        }
        Ok(Bell { pipe: (reader, writer) })
    }

    pub(super) fn ring(&self) {
        // Fails when the pipe is full: it rings already.
        let _ = rustix::io::write(&self.pipe.1, &[1]);
    }

    pub(super) fn clear(&self) {
        while rustix::io::read(&self.pipe.0, &mut [0_u8; 64]).is_ok_and(|got| got > 0) {}
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        #[cfg(target_os = "linux")]
        let fd = &self.event;
        #[cfg(not(target_os = "linux"))]
        let fd = &self.pipe.0;
        fd.as_fd()
    }
}

// ---- the page's memory ------------------------------------------------------------------------------

/// A page that two processes map, or one process on its own (a fake worker's).
#[derive(Debug)]
pub(super) struct Mapping(NonNull<Layout>);

// SAFETY: a page is nothing but atomics, which any thread may use.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

const PAGE_BYTES: usize = size_of::<Layout>().next_multiple_of(4096);

impl Mapping {
    /// Fresh memory, all zero, and the descriptor by which another process can map it too.
    pub(super) fn create() -> io::Result<(Mapping, OwnedFd)> {
        check_file_size_limit()?;
        let file = memory_file()?;
        rustix::fs::ftruncate(&file, PAGE_BYTES as u64)?;
        #[cfg(target_os = "linux")]
        {
            reserve(&file)?;
            // Nobody can shorten it under the other's feet. Not every fallback file can be sealed.
            use rustix::fs::SealFlags;
            let _ = rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW);
        }
        Ok((Mapping::of(&file)?, file))
    }

    /// Maps what another process made by `create`.
    pub(super) fn of(file: &OwnedFd) -> io::Result<Mapping> {
        use rustix::mm::{MapFlags, ProtFlags};
        if rustix::fs::fstat(file)?.st_size as u64 != PAGE_BYTES as u64 {
            return Err(io::Error::other("the shared page has another size than this program's"));
        }
        let (protection, sharing) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping at a place that the kernel picks touches no memory of ours.
        let address =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), PAGE_BYTES, protection, sharing, file, 0) }?;
        let page = NonNull::new(address.cast::<Layout>());
        page.map(Mapping).ok_or_else(|| io::Error::other("the kernel mapped the shared page at address zero"))
    }

    /// Keeps the page out of processes that this one forks: only one may claim tasks.
    pub(super) fn hide_from_forks(&self) {
        #[cfg(target_os = "linux")]
        // SAFETY: the range is our mapping's, and the advice changes nothing in this process.
        let _ = unsafe {
            rustix::mm::madvise(self.0.as_ptr().cast(), PAGE_BYTES, rustix::mm::Advice::LinuxDontFork)
        };
    }
}

impl Deref for Mapping {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        // SAFETY: the mapping is long enough and aligned for a page, lives as long as `self`, began as zeros, which is a
        // valid page, and is only ever changed through atomics.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone, and borrows of the page end before `self` does.
        let _ = unsafe { rustix::mm::munmap(self.0.as_ptr().cast(), PAGE_BYTES) };
    }
}

/// The limit for files holds for the page as well, although no disk has it. Past the limit the system doesn't only refuse:
/// it sends SIGXFSZ, which ends the process.
fn check_file_size_limit() -> io::Result<()> {
    use rustix::process::{Resource, getrlimit};
    match getrlimit(Resource::Fsize).current {
        Some(limit) if limit < PAGE_BYTES as u64 => Err(io::Error::other(format!(
            "it takes {PAGE_BYTES} bytes, and a file of this process may have {limit} at most; \
             raise that limit (`ulimit -f`, RLIMIT_FSIZE)"
        ))),
        _ => Ok(()),
    }
}

/// Has the memory behind a file set aside now: where there is none (a full `/dev/shm`) the first touch of a page would end
/// this process by SIGBUS.
#[cfg(target_os = "linux")]
fn reserve(file: &OwnedFd) -> rustix::io::Result<()> {
    use rustix::fs::FallocateFlags;
    match retry(|| rustix::fs::fallocate(file, FallocateFlags::empty(), 0, PAGE_BYTES as u64)) {
        // An old kernel, a strict sandbox: then it has to be risked.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => Ok(()),
        other => other,
    }
}

/// A file that lives in memory and has no name.
fn memory_file() -> io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::MemfdFlags;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        if let Ok(file) = one_above_stdio(|| rustix::fs::memfd_create(c"concurrent-futures", flags)) {
            return Ok(file);
        }
    }
    above_stdio(unnamed_file, OwnedFd::as_raw_fd)
}

/// The same where memfd is refused (an old kernel, a strict sandbox) or unknown: shared memory with a name, which is
/// taken away at once.
fn unnamed_file() -> io::Result<OwnedFd> {
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

// ---- forks -------------------------------------------------------------------------------------------

/// Tells a process from its forks: by a byte that the kernel wipes in those; where that can't be had by the process's
/// number, which takes a system call each time.
#[derive(Debug)]
pub(super) struct Birthmark {
    pid: u32,
    byte: Option<NonNull<AtomicBool>>,
}

// SAFETY: all that is shared is an atomic.
unsafe impl Send for Birthmark {}
// SAFETY: as above.
unsafe impl Sync for Birthmark {}

impl Birthmark {
    pub(super) fn new() -> Self {
        let birthmark = Birthmark { pid: std::process::id(), byte: wiped_on_fork() };
        if let Some(byte) = birthmark.byte() {
            byte.store(true, Ordering::Relaxed);
        }
        birthmark
    }

    /// Whether this is a fork of the process that made it.
    pub(super) fn is_fork(&self) -> bool {
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

impl Drop for Birthmark {
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

// ---- starting ---

/// Where a thread stands with the scheduler: on which processors it may run, by which policy, how nice it is. Whatever
/// a thread starts inherits it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Standing {
    #[cfg(target_os = "linux")]
    processors: Vec<u64>,
    #[cfg(target_os = "linux")]
    attributes: Option<Attributes>,
}

/// The kernel's `struct sched_attr`, as it was at first.
#[cfg(target_os = "linux")]
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

#[cfg(target_os = "linux")]
impl Standing {
    /// That of the thread that asks.
    pub(super) fn of_this_thread() -> Self {
        // More than there are processors anywhere: the kernel wants room for all that there might be.
        let mut processors = vec![0_u64; 1024];
        let len = size_of_val(&processors[..]);
        // SAFETY: room for so many bytes; 0 is this thread.
        let got = unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, len, processors.as_mut_ptr()) };
        processors.truncate(usize::try_from(got).map_or(0, |got| got / size_of::<u64>()));
        let mut attributes = Attributes::default();
        let (place, size) = (&raw mut attributes, size_of::<Attributes>());
        // SAFETY: room for so many bytes; 0 is this thread.
        let told = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, place, size, 0) } == 0;
        if attributes.policy != libc::SCHED_DEADLINE as u32 {
            // Of no other policy's; newer kernels tell the length of a time slice here.
            (attributes.runtime, attributes.deadline, attributes.period) = (0, 0, 0);
        }
        Standing { processors, attributes: told.then_some(attributes) }
    }

    /// Makes it that of this thread, as far as the system lets it: without a right to that (`CAP_SYS_NICE`, `ulimit -e`)
    /// nobody becomes less nice than he is.
    pub(super) fn assume(&self) {
        let now = Standing::of_this_thread();
        if now.processors != self.processors && !self.processors.is_empty() {
            let len = size_of_val(&self.processors[..]);
            // SAFETY: so many bytes are there; 0 is this thread.
            unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, len, self.processors.as_ptr()) };
        }
        if let (Some(wanted), Some(now)) = (self.attributes, now.attributes)
            && wanted != now
        {
            let set = |attributes: Attributes| {
                // SAFETY: a valid description, which says how long it is; 0 is this thread.
                unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) == 0 }
            };
            // The policy at least.
            let _ = set(wanted) || set(Attributes { nice: now.nice.max(wanted.nice), ..wanted });
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Standing {
    pub(super) fn of_this_thread() -> Self {
        Standing::default()
    }

    pub(super) fn assume(&self) {}
}

/// What a worker is started from: this very executable, also when another has taken its name meanwhile. `code` is an
/// address of its code.
#[cfg(target_os = "linux")]
pub(super) fn program(code: usize) -> Result<PathBuf, String> {
    use std::os::unix::fs::MetadataExt;
    const PROGRAM: &str = "/proc/self/exe";
    let named = std::fs::read_link(PROGRAM)
        .map_err(|error| format!("workers are started from {PROGRAM}, which can't be read: {error}"))?;
    let maps = with_stdio_taken(|| std::fs::read("/proc/self/maps")).unwrap_or_default();
    let Some((inode, loaded)) = file_at(&maps, code) else { return Ok(PROGRAM.into()) };
    if loaded != named {
        return Err(format!(
            "the program was started through another one: {PROGRAM} is {}, but the code comes from {}; \
             start it directly",
            named.display(),
            loaded.display(),
        ));
    }
    // Under valgrind, and other stand-ins for the kernel, the link names the program, but what would be started from it is
    // the stand-in. Told by the file that the code is mapped from: only there has it the inode that the name leads to.
    let inode_of = |path: &Path| std::fs::metadata(path).ok().map(|meta| meta.ino());
    let is_stand_in = inode_of(PROGRAM.as_ref()) != Some(inode) && inode_of(&named) == Some(inode);
    if !is_stand_in {
        return Ok(PROGRAM.into());
    }
    // What it starts in place of a worker has another name, by which nobody would recognise it: `main` would run again, and
    // again build a pool. It hides its own arguments at the usual path only.
    let line = with_stdio_taken(|| std::fs::read("/proc/self/./cmdline")).unwrap_or_default();
    let options = std::env::var_os("VALGRIND_OPTS").map(OsString::into_vec).unwrap_or_default();
    let mut words = line.split(|byte| *byte == 0).chain(options.split(u8::is_ascii_whitespace));
    if words.any(|word| word == b"--trace-children=yes") {
        return Err(
            "under valgrind with `--trace-children=yes` a worker would lose its name; leave that out, and \
                    workers run without valgrind"
                .into(),
        );
    }
    Ok(named)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn program(_: usize) -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("nobody knows which file the program is: {error}"))
}

/// The file that is mapped at an address and its inode, by `/proc/self/maps`; `None` where that can't be told for sure.
#[cfg(target_os = "linux")]
fn file_at(maps: &[u8], address: usize) -> Option<(u64, PathBuf)> {
    use std::os::unix::ffi::OsStrExt;
    let line = maps.split(|byte| *byte == b'\n').find(|line| {
        let range = line.split(|byte| *byte == b' ').next().and_then(|range| std::str::from_utf8(range).ok());
        let (start, end) = range.and_then(|range| range.split_once('-')).unwrap_or_default();
        let number = |text| usize::from_str_radix(text, 16).unwrap_or(0);
        (number(start)..number(end)).contains(&address)
    })?;
    // Address, rights, offset, device, inode, path.
    let inode = line.split(|byte| *byte == b' ').nth(4).and_then(|inode| std::str::from_utf8(inode).ok())?;
    let path = &line[line.iter().position(|byte| *byte == b'/')?..];
    // Odd characters are written in another way there.
    let plain = !path.contains(&b'\\');
    plain.then_some((inode.parse().ok()?, PathBuf::from(std::ffi::OsStr::from_bytes(path))))
}

/// The name that a process sees itself started under, and whether it gets a group of its own.
pub(super) fn set_identity(command: &mut Command, name: &str, own_group: bool) {
    command.arg0(name);
    if own_group {
        command.process_group(0);
    }
}

/// `argv[0]`, by the kernel's account, for where the C library tells nothing before `main`.
pub(super) fn first_argument() -> Option<OsString> {
    let line = std::fs::read("/proc/self/cmdline").ok()?;
    let name = line.split(|byte| *byte == 0).next()?;
    Some(OsString::from_vec(name.to_vec()))
}

// ---- processes -------------------------------------------------------------------------------------

/// A child process that can be watched and signalled without its number ever meaning another process.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    /// Its status was taken: the number means nothing any more.
    reaped: OnceCell<Exit>,
    /// Where the system has such handles. Without one death is noticed by asking from time to time.
    handle: Option<OwnedFd>,
    own_group: bool,
    /// It could not be ended: its drop doesn't wait for it.
    given_up: Cell<bool>,
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
    /// Somebody else took the status: the program ignores SIGCHLD, or waits for any child.
    Unknown,
}

/// How often a child without a handle is asked for.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(100);

/// How long a process that was told to end is waited for.
const STUBBORN: Duration = Duration::from_secs(5);

impl Child {
    pub(super) fn new(pid: u32, own_group: bool) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("a child with an impossible process id"))?;
        let given_up = Cell::new(false);
        Ok(Child { pid, reaped: OnceCell::new(), handle: handle_of(pid), own_group, given_up })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    pub(super) fn handle(&self) -> Option<BorrowedFd<'_>> {
        self.handle.as_ref().map(AsFd::as_fd)
    }

    /// Sends a signal to the child, and to all of its group if it has its own. It may be dead already. False if the system
    /// refuses, because one of the two processes has changed its user, or by a sandbox's rule.
    #[must_use]
    pub(super) fn signal(&self, signal: Signal) -> bool {
        if self.reaped.get().is_some() {
            return true;
        }
        delay();
        let sent = match self.signal_by_handle(signal) {
            Ok(()) | Err(Errno::SRCH) => true,
            // Not reaped yet, so the number is still its.
            Err(_) => {
                matches!(rustix::process::kill_process(self.pid, signal), Ok(()) | Err(Errno::SRCH))
            }
        };
        if self.own_group {
            // What the worker started itself lives in its group.
            let _ = rustix::process::kill_process_group(self.pid, signal);
        }
        sent
    }

    /// Refused where there is no handle, and by kernels and sandboxes that know handles but not this use of them.
    fn signal_by_handle(&self, signal: Signal) -> rustix::io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(handle) = &self.handle {
            return rustix::process::pidfd_send_signal(handle, signal);
        }
        let _ = signal;
        Err(Errno::NOSYS)
    }

    /// Takes the child's status if it has ended.
    pub(super) fn reap(&self) -> Option<Exit> {
        self.take_status(WaitIdOptions::NOHANG)
    }

    /// Waits for the child's end and takes its status; `None` if it has not ended after [`STUBBORN`]. Nobody waits for it
    /// then: it can't be signalled, or it is stuck in the kernel.
    pub(super) fn await_end(&self) -> Option<Exit> {
        let start = Instant::now();
        loop {
            let exit = self.reap();
            let left = STUBBORN.saturating_sub(start.elapsed());
            if exit.is_some() || left.is_zero() {
                self.given_up.set(exit.is_none());
                return exit;
            }
            let pause = if self.handle.is_some() { left } else { left.min(ASK_EVERY) };
            let pause = rustix::event::Timespec {
                tv_sec: pause.as_secs() as _,
                tv_nsec: pause.subsec_nanos().into(),
            };
            let mut fds: Vec<PollFd<'_>> =
                self.handle.iter().map(|handle| PollFd::new(handle, PollFlags::IN)).collect();
            let _ = rustix::event::poll(&mut fds, Some(&pause));
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.reap().is_some()
    }

    fn take_status(&self, options: WaitIdOptions) -> Option<Exit> {
        if let Some(exit) = self.reaped.get() {
            return Some(*exit);
        }
        let wait = |which: WaitId<'_>| rustix::process::waitid(which, WaitIdOptions::EXITED | options);
        let mut waited = Err(Errno::INVAL);
        #[cfg(target_os = "linux")]
        if let Some(handle) = &self.handle {
            waited = retry(|| wait(WaitId::PidFd(handle.as_fd())));
        }
        // Kernels before 5.4 know handles, but not this use of them.
        if matches!(waited, Err(Errno::INVAL)) {
            waited = retry(|| wait(WaitId::Pid(self.pid)));
        }
        let exit = match waited {
            Ok(None) => return None,
            Ok(Some(status)) => Exit::of(&status),
            Err(_) => Exit::Unknown,
        };
        Some(*self.reaped.get_or_init(|| exit))
    }
}

/// A child is never left behind, neither running nor as a zombie, where that is in this process's power.
impl Drop for Child {
    fn drop(&mut self) {
        if self.reap().is_none() && !self.given_up.get() && self.signal(Signal::KILL) {
            self.await_end();
        }
    }
}

impl Exit {
    /// What it most likely means, in the words of an error.
    pub(super) fn likely_cause(self) -> Option<&'static str> {
        Some(match self {
            Exit::Signal(libc::SIGKILL) => {
                "killed from outside, or by the kernel for want of memory (its log says so); fewer workers need less"
            }
            Exit::Signal(libc::SIGSEGV | libc::SIGBUS) => "a memory error or a stack overflow",
            Exit::Signal(libc::SIGABRT) => {
                "it aborted: a panic that can't unwind, or memory that could not be had"
            }
            Exit::Signal(libc::SIGILL | libc::SIGTRAP | libc::SIGFPE) => {
                "it ran into an instruction that traps"
            }
            Exit::Signal(libc::SIGTERM | libc::SIGHUP | libc::SIGINT) => "terminated from outside",
            Exit::Signal(libc::SIGXCPU) => "it used up its processor time",
            Exit::Code(_) => "the task ended its process",
            Exit::Signal(_) | Exit::Unknown => return None,
        })
    }

    fn of(status: &WaitIdStatus) -> Exit {
        match (status.terminating_signal(), status.exit_status()) {
            (Some(signal), _) => Exit::Signal(signal),
            (None, Some(code)) => Exit::Code(code),
            (None, None) => Exit::Unknown,
        }
    }
}

#[cfg(target_os = "linux")]
fn handle_of(pid: Pid) -> Option<OwnedFd> {
    one_above_stdio(|| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())).ok()
}

#[cfg(not(target_os = "linux"))]
fn handle_of(_: Pid) -> Option<OwnedFd> {
    None
}

/// A thread of this process, as the system knows it: it may end without any of our code running.
#[derive(Clone, Copy)]
pub(super) struct Thread {
    #[cfg(target_os = "linux")]
    id: Pid,
    #[cfg(not(target_os = "linux"))]
    id: libc::pthread_t,
}

// SAFETY: a thread's name, which any thread may use as long as nobody joins that thread; nobody joins a worker's.
#[cfg(not(target_os = "linux"))]
unsafe impl Send for Thread {}

impl Thread {
    /// The calling one.
    pub(super) fn own() -> Self {
        #[cfg(target_os = "linux")]
        return Thread { id: rustix::thread::gettid() };
        #[cfg(not(target_os = "linux"))]
        // SAFETY: names the calling thread.
        return Thread { id: unsafe { libc::pthread_self() } };
    }

    /// Whether it is no more. Not what `JoinHandle::is_finished` says, which is told by code that the thread runs last.
    fn is_gone(self) -> bool {
        #[cfg(target_os = "linux")]
        {
            let pid = rustix::process::Pid::as_raw(Some(rustix::process::getpid()));
            let id = rustix::process::Pid::as_raw(Some(self.id));
            // SAFETY: signal 0 is none: the call only looks whether the thread is there.
            let told = unsafe { libc::syscall(libc::SYS_tgkill, pid, id, 0) };
            told != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
        }
        #[cfg(not(target_os = "linux"))]
        // SAFETY: signal 0 is none, and the thread is never joined, so its name stays valid.
        return unsafe { libc::pthread_kill(self.id, 0) } == libc::ESRCH;
    }

    /// Readable when it is gone; from Linux 6.9 on.
    fn handle(self) -> Option<OwnedFd> {
        #[cfg(target_os = "linux")]
        {
            use rustix::process::PidfdFlags;
            let of_a_thread = PidfdFlags::from_bits_retain(libc::O_EXCL.cast_unsigned());
            one_above_stdio(|| rustix::process::pidfd_open(self.id, of_a_thread)).ok()
        }
        #[cfg(not(target_os = "linux"))]
        None
    }
}

/// Why a worker leaves although nobody has killed it and its thread for tasks has not seen the end of its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leave {
    /// The parent is gone, or has become another program by `exec`, or has hung up because it may not send signals.
    ByParent,
    /// The thread that runs tasks is gone.
    ThreadGone,
}

/// Blocks until this worker has to leave, and says why.
///
/// The parent's end is told by its handle, not by the stream, since a fork of the parent may hold the stream's other end.
/// But the stream hangs up when the parent becomes another program, whose process is the same one: its end of the socket
/// is closed by `exec`. It does so as well if a task shuts it down, and then the parent, which is still there, waits a
/// moment for what the task has to say and ends the worker: so this waits a little longer. `is_told` is for a parent that
/// has hung up because it may not send signals, which is obeyed at once; where a task has closed every descriptor of its
/// process, at the next look.
pub(super) fn watch(parent: u32, socket: &Socket, tasks: Thread, is_told: impl Fn() -> bool) -> Leave {
    /// How often a thread without a handle is asked for.
    const ASK_FOR_THREAD: Duration = Duration::from_millis(500);
    /// How long a parent is given that is there and will end this worker by itself.
    const HANG_UP: Duration = Duration::from_secs(2);
    let pid = i32::try_from(parent).ok().and_then(Pid::from_raw);
    let (of_parent, of_tasks) = (pid.and_then(handle_of), tasks.handle());
    let made = identity(socket);
    let mut ask = match (&of_parent, &of_tasks) {
        (None, _) => Some(ASK_EVERY),
        (Some(_), None) => Some(ASK_FOR_THREAD),
        (Some(_), Some(_)) => None,
    };
    let mut watches = true;
    let mut hung_up: Option<Instant> = None;
    loop {
        // Asked after the handle was had: opened once the parent was dead, it could be a stranger's.
        if rustix::process::getppid() != pid
            || is_told()
            || hung_up.is_some_and(|since| since.elapsed() >= HANG_UP)
        {
            return Leave::ByParent;
        }
        if tasks.is_gone() {
            return Leave::ThreadGone;
        }
        let mut fds = Vec::with_capacity(3);
        if watches {
            // Nothing is asked of the socket, so it tells of nothing but that both directions are closed.
            fds.push(PollFd::new(socket, PollFlags::empty()));
            let handles = of_parent.iter().chain(&of_tasks);
            fds.extend(handles.map(|handle| PollFd::new(handle, PollFlags::IN)));
        }
        let pause = ask.map(|ask| rustix::event::Timespec { tv_sec: 0, tv_nsec: ask.subsec_nanos().into() });
        if !matches!(rustix::event::poll(&mut fds, pause.as_ref()), Ok(woken) if woken > 0) {
            continue;
        }
        if fds[0].revents().contains(PollFlags::HUP) && made.is_some() && identity(socket) == made {
            hung_up = Some(Instant::now());
        }
        // If the reason is a handle the next turn sees it, or the one after that. If it isn't, a task has closed these
        // descriptors, and their numbers are anything's: watching them on would never sleep.
        (watches, ask) = (false, Some(ASK_EVERY));
    }
}

/// What a descriptor stands for: its number may come to stand for something else.
fn identity(socket: &Socket) -> Option<impl PartialEq + use<>> {
    let stat = rustix::fs::fstat(socket).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// Bytes of memory that a process holds; 0 where that can't be told.
pub(super) fn resident_bytes(pid: u32) -> u64 {
    let pages = with_stdio_taken(|| std::fs::read_to_string(format!("/proc/{pid}/statm"))).ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

// ---- sleep -----------------------------------------------------------------------------------------

/// What ended a driver's sleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Awake {
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) ended: bool,
    pub(super) rung: bool,
}

/// Sleeps until the socket has bytes (or room for them, if `for_room`), the child ends, the bell rings, or the deadline.
pub(super) fn sleep(
    socket: Option<&Socket>,
    for_room: bool,
    child: Option<&Child>,
    bell: &Bell,
    deadline: Option<Instant>,
) -> Awake {
    let unwatched = child.is_some_and(|child| child.handle.is_none());
    let ask = unwatched.then(|| deadline_after(ASK_EVERY)).flatten();
    let deadline = deadline.into_iter().chain(ask).min();
    let timeout = deadline.map(|deadline| {
        let left = deadline.saturating_duration_since(Instant::now());
        rustix::event::Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos().into() }
    });
    let interest = if for_room { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    // A descriptor that isn't there is stood in for by the bell, without interest.
    let stand_in = || PollFd::new(bell, PollFlags::empty());
    let mut fds = [
        PollFd::new(bell, PollFlags::IN),
        socket.map_or_else(stand_in, |socket| PollFd::new(socket, interest)),
        child.and_then(Child::handle).map_or_else(stand_in, |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
    ];
    delay();
    if rustix::event::poll(&mut fds, timeout.as_ref()).is_err() {
        return Awake::default();
    }
    let [rung, stream, ended] = fds.map(|fd| fd.revents());
    Awake {
        rung: rung.contains(PollFlags::IN),
        readable: stream.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
        writable: stream.contains(PollFlags::OUT),
        ended: unwatched || ended.contains(PollFlags::IN),
    }
}

/// Lets time pass.
pub(super) fn pause(time: Duration) {
    let time = rustix::event::Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos().into() };
    // Sooner after a signal.
    let _ = rustix::event::poll(&mut [], Some(&time));
}

// ---- the worker's own ---------------------------------------------------------------------------------

/// What a program's runtime would have set up, had `main` been reached, and what a worker wants otherwise: no signal is
/// blocked, whatever the parent's thread had blocked; a write to a closed pipe is an error; and Ctrl-C, which the
/// terminal sends to the whole group, is the parent's to act on. A handler that does nothing, and not `SIG_IGN`, which
/// programs that a task starts would inherit. A program that was started with SIGTERM ignored would hand that on, and its
/// workers could not be told to end. What else is ignored stays so: `nohup` means the whole program.
pub(super) fn take_over_signals() {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler = nothing as extern "C" fn(libc::c_int) as *const () as libc::sighandler_t;
    // SAFETY: a sigset_t may be any bits; sigemptyset sets them all.
    let mut none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `none` is a valid place for a set.
    unsafe { libc::sigemptyset(&raw mut none) };
    // SAFETY: a valid set in, no set out. Only this thread is there yet.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
    // SAFETY: ignoring a signal runs no code.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    // SAFETY: the handler does nothing, which is safe at any moment.
    unsafe { libc::signal(libc::SIGINT, handler) };
    // SAFETY: all zero is a valid place for an answer.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks, and sets nothing.
    unsafe { libc::sigaction(libc::SIGTERM, std::ptr::null(), &raw mut now) };
    // A handler may be there, of another constructor's: it is as well the program's.
    if now.sa_sigaction == libc::SIG_IGN {
        // SAFETY: what the system does by itself runs no code.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_DFL) };
    }
}

/// Blocks every signal on this thread, so that the program's handlers never run on a thread of ours.
pub(super) fn block_signals() {
    // SAFETY: a sigset_t may be any bits; sigfillset sets them all.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `all` is a valid place for a set.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: a valid set in, no set out.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut()) };
}

/// The socket that was passed as standard input, moved out of the way: what reads standard input finds nothing there.
///
/// Standard output and error are nowhere if the parent had closed them, and not whatever is opened next: what a task
/// prints would go there.
pub(super) fn take_stdin() -> io::Result<OwnedFd> {
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), libc::STDERR_FILENO + 1)?;
    let mut null = open_null()?;
    while null.as_raw_fd() <= libc::STDERR_FILENO {
        // It stays open, and also in programs that a task starts.
        rustix::io::fcntl_setfd(&null, rustix::io::FdFlags::empty())?;
        std::mem::forget(null);
        null = open_null()?;
    }
    rustix::stdio::dup2_stdin(&null)?;
    Ok(socket)
}

/// Whether standard input is a socket that this process's parent has made. A worker listens to nobody else.
pub(super) fn is_stdin_of_parent() -> bool {
    #[cfg(target_os = "linux")]
    {
        let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut len = size_of_val(&peer) as libc::socklen_t;
        let place = (&raw mut peer).cast();
        let (socket, option) = (libc::STDIN_FILENO, libc::SO_PEERCRED);
        // SAFETY: a valid place for such an answer, and its length.
        let told = unsafe { libc::getsockopt(socket, libc::SOL_SOCKET, option, place, &raw mut len) } == 0;
        let parent = rustix::process::Pid::as_raw(rustix::process::getppid());
        // Some stand-ins for the kernel name whoever asks.
        told && (peer.pid == parent || peer.pid.cast_unsigned() == std::process::id())
    }
    #[cfg(not(target_os = "linux"))]
    rustix::net::getpeername(rustix::stdio::stdin()).is_ok()
}

/// Sends a few bytes to whoever started this process, before `take_stdin`.
pub(super) fn say_by_stdin(bytes: &[u8]) {
    // It can't be told to anybody that this could not be told.
    let _ = rustix::net::send(rustix::stdio::stdin(), bytes, QUIETLY | SendFlags::DONTWAIT);
}

/// Writes a line to standard error, in one piece.
pub(super) fn complain(line: &str) {
    let _ = rustix::io::write(rustix::stdio::stderr(), format!("{line}\n").as_bytes());
}

/// Makes this process go before its parent when memory runs out: one task is less than all of them.
pub(super) fn go_first_without_memory() {
    /// Half of what there is: only a parent that holds more than that is taken before an idle worker.
    #[cfg(target_os = "linux")]
    const AHEAD: i32 = 500;
    #[cfg(target_os = "linux")]
    if let Ok(text) = std::fs::read_to_string(OOM_SCORE)
        && let Ok(score) = text.trim().parse::<i32>()
    {
        // A process may always raise its own. Where it can't, the kernel picks by size alone.
        let _ = std::fs::write(OOM_SCORE, score.saturating_add(AHEAD).min(1000).to_string());
    }
}

#[cfg(target_os = "linux")]
const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// Names the main thread, which is what `ps` and `top` show; the system keeps 15 bytes.
pub(super) fn set_process_name(name: &str) {
    #[cfg(target_os = "linux")]
    if let Ok(name) = CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
    #[cfg(not(target_os = "linux"))]
    let _: Option<CString> = CString::new(name).ok();
}

/// Bounds the address space, as `ulimit -v` does: what asks for more is refused.
pub(super) fn limit_address_space(bytes: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::As).maximum.map_or(bytes, |maximum| maximum.min(bytes));
    Ok(setrlimit(Resource::As, Rlimit { current: Some(maximum), maximum: Some(maximum) })?)
}

/// The stack that a main thread would have.
pub(super) fn main_stack_size() -> usize {
    const USUAL: u64 = 8 << 20;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Stack).current.unwrap_or(USUAL);
    limit.clamp(1 << 20, 256 << 20) as usize
}

/// Ends this process at once: no exit handlers, which must not run beside a task that still runs.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process, whatever state it is in.
    unsafe { libc::_exit(code) }
}

/// Whether the system distrusts whoever started this program (a setuid bit, file capabilities): then its arguments are
/// not to be believed.
pub(super) fn is_secure_start() -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: reads a number that the kernel left.
    return unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    #[cfg(not(target_os = "linux"))]
    return rustix::process::getuid() != rustix::process::geteuid();
}

#[cfg(test)]
mod tests {
    use super::{Errno, Mapping, Socket, io, memory_file, unnamed_file};
    use crate::sync::thread;

    #[test]
    fn files_in_memory_can_be_shared_and_have_no_name() {
        let makers = [memory_file, unnamed_file];
        for make in makers {
            let file = make().expect("a file");
            rustix::fs::ftruncate(&file, super::PAGE_BYTES as u64).expect("a length");
            let (one, other) =
                (Mapping::of(&file).expect("a mapping"), Mapping::of(&file).expect("a mapping"));
            one.claim(0).open(3);
            assert_eq!(other.claim(0).load().limit, 3);
            let flags = rustix::io::fcntl_getfd(&file).expect("flags");
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }

    #[test]
    fn the_ends_of_a_socket_are_for_nobody_else() {
        let (ours, theirs) = Socket::pair().expect("a pair");
        for end in [&ours.fd, &theirs] {
            let flags = rustix::io::fcntl_getfd(end).expect("flags");
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_page_cannot_be_cut_short_by_the_other_side() {
        if rustix::fs::memfd_create(c"probe", rustix::fs::MemfdFlags::ALLOW_SEALING).is_err() {
            let _ = io::Write::write_all(
                &mut io::stderr(),
                b"SKIPPED: memfd is refused here, so nobody tried to cut the page short\n",
            );
            return;
        }
        let (page, file) = Mapping::create().expect("a page");
        assert_eq!(rustix::fs::ftruncate(&file, 0), Err(Errno::PERM));
        assert_eq!(page.claim(0).load().limit, 0);
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
