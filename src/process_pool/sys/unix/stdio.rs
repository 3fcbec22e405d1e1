//! Standard input, output and error: no descriptor of a pool gets their numbers, and a worker is given its socket as its input.

use super::Handle;
use super::socket::QUIETLY;
use crate::sync::plain::{AtomicBool, Mutex, Ordering};
use rustix::net::SendFlags;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Makes descriptors with numbers above those of standard input, output and error. If the program has closed one of these,
/// the next descriptor gets its number, and what the program prints would go there: into a worker's socket, say.
pub(super) fn above_stdio<T, E>(
    make: impl Fn() -> Result<T, E>,
    lowest: impl Fn(&T) -> std::os::fd::RawFd,
) -> Result<T, E> {
    with_stdio_taken(|| {
        // Held until then, so that the next ones get other numbers even if one of these has become free.
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

/// The same for a single descriptor.
pub(super) fn one_above_stdio(make: impl Fn() -> rustix::io::Result<Handle>) -> rustix::io::Result<Handle> {
    above_stdio(make, Handle::as_raw_fd)
}

/// A file for output that nobody wants. Not `Stdio::null`, which is opened while a process is started, at any number.
pub(crate) fn nowhere() -> io::Result<File> {
    above_stdio(open_null, File::as_raw_fd)
}

fn open_null() -> io::Result<File> {
    let opened = File::options().read(true).write(true).open("/dev/null");
    opened.map_err(|error| io::Error::new(error.kind(), Unopened { path: "/dev/null", error }))
}

/// Which file could not be opened.
#[derive(Debug)]
pub(super) struct Unopened {
    path: &'static str,
    pub(super) error: io::Error,
}

impl std::fmt::Display for Unopened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} can't be opened: {}", self.path, self.error)
    }
}

impl std::error::Error for Unopened {}

/// Calls `make` while the numbers of standard input, output and error are all taken, so that what it makes gets others.
/// Starting a process takes descriptors for a moment (musl has a pipe for failures): if one had such a number, what the
/// program prints meanwhile would be taken for an answer.
///
/// All code that takes a descriptor for a pool goes through this function, and one at a time if a number is free: a
/// descriptor that holds such a number for a moment makes it look taken to another thread, which then gets the number when
/// that moment is over. What the program itself opens and closes meanwhile can't be seen.
pub(super) fn with_stdio_taken<T>(make: impl FnOnce() -> T) -> T {
    static WAS_CLOSED: AtomicBool = AtomicBool::new(false);
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // In a fork, the thread that held the lock may not exist to unlock it.
    const LONG: Duration = Duration::from_secs(1);
    let is_closed = |fd: BorrowedFd<'_>| rustix::io::fcntl_getfd(fd).is_err();
    let closed = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()].map(is_closed);
    // They may be open only because another thread is in this function: it has set the flag before.
    // ORDERING: SeqCst, after the look at the descriptors. Pairs with the store, which comes before they are opened: a thread
    // that finds open what the other opened finds the flag set as well.
    if closed == [false; 3] && !WAS_CLOSED.load(Ordering::SeqCst) {
        return make();
    }
    // ORDERING: SeqCst, before the descriptors are opened; pairs with the load.
    WAS_CLOSED.store(true, Ordering::SeqCst);
    let _turn = ONE_AT_A_TIME.try_lock_for(LONG);
    let mut low = Vec::new();
    // Without `/dev/null`, or a descriptor for it, the numbers stay free.
    while let Ok(file) = open_null()
        && file.as_raw_fd() <= libc::STDERR_FILENO
    {
        low.push(file);
    }
    let made = make();
    drop(low);
    made
}

/// Takes the socket that was passed as standard input. From then on standard input is empty.
///
/// If the parent had closed standard output or error, they lead nowhere; otherwise what a task prints would go to the next
/// file that is opened.
pub(super) fn take_stdin() -> io::Result<Handle> {
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), libc::STDERR_FILENO + 1)?;
    let mut null = open_null()?;
    while null.as_raw_fd() <= libc::STDERR_FILENO {
        // It stays open, also in programs that a task starts.
        rustix::io::fcntl_setfd(&null, rustix::io::FdFlags::empty())?;
        std::mem::forget(null);
        null = open_null()?;
    }
    rustix::stdio::dup2_stdin(&null)?;
    Ok(socket)
}

/// Whether standard input is a socket that this process's parent has made. A worker obeys no other.
pub(crate) fn is_stdin_of_parent() -> bool {
    #[cfg(target_os = "linux")]
    {
        let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut len = size_of_val(&peer) as libc::socklen_t;
        let place = (&raw mut peer).cast();
        let (socket, option) = (libc::STDIN_FILENO, libc::SO_PEERCRED);
        // SAFETY: a valid place for such an answer, and its length.
        let told = unsafe { libc::getsockopt(socket, libc::SOL_SOCKET, option, place, &raw mut len) } == 0;
        let parent = rustix::process::Pid::as_raw(rustix::process::getppid());
        // Some emulators of the kernel name the process that asks.
        told && (peer.pid == parent || peer.pid.cast_unsigned() == std::process::id())
    }
    #[cfg(not(target_os = "linux"))]
    rustix::net::getpeername(rustix::stdio::stdin()).is_ok()
}

/// Sends a few bytes to the process that started this one, before the socket is taken.
pub(crate) fn say_by_stdin(bytes: &[u8]) {
    // If it fails there is nobody left to tell.
    let _ = rustix::net::send(rustix::stdio::stdin(), bytes, QUIETLY | SendFlags::DONTWAIT);
}

/// Writes a line to standard error, in one piece.
pub(crate) fn complain(line: &str) {
    let _ = rustix::io::write(rustix::stdio::stderr(), format!("{line}\n").as_bytes());
}
