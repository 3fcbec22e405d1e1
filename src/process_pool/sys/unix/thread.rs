//! A thread, as the system knows it.

use std::os::fd::OwnedFd;

/// A thread of this process, as the system knows it. It may end without running any code of ours.
#[derive(Clone, Copy)]
pub(crate) struct Thread {
    #[cfg(target_os = "linux")]
    id: rustix::process::Pid,
    #[cfg(not(target_os = "linux"))]
    id: libc::pthread_t,
}

// SAFETY: any thread may use the id of a thread that is never joined, and a worker's is not.
#[cfg(not(target_os = "linux"))]
unsafe impl Send for Thread {}

impl Thread {
    /// The calling thread.
    pub(crate) fn own() -> Self {
        #[cfg(target_os = "linux")]
        return Thread { id: rustix::thread::gettid() };
        #[cfg(not(target_os = "linux"))]
        // SAFETY: returns the calling thread's id.
        return Thread { id: unsafe { libc::pthread_self() } };
    }

    /// Whether it has ended. `JoinHandle::is_finished` doesn't do: the thread's own last code sets that.
    pub(super) fn is_gone(self) -> bool {
        #[cfg(target_os = "linux")]
        {
            let pid = rustix::process::Pid::as_raw(Some(rustix::process::getpid()));
            let id = rustix::process::Pid::as_raw(Some(self.id));
            // SAFETY: signal 0 is none: the call only checks that the thread exists.
            let told = unsafe { libc::syscall(libc::SYS_tgkill, pid, id, 0) };
            told != 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
        }
        #[cfg(not(target_os = "linux"))]
        // SAFETY: signal 0 is none, and the thread is never joined, so its id stays valid.
        return unsafe { libc::pthread_kill(self.id, 0) } == libc::ESRCH;
    }

    /// Becomes readable when the thread ends; Linux 6.9 and later.
    pub(super) fn handle(self) -> Option<OwnedFd> {
        #[cfg(target_os = "linux")]
        {
            use rustix::process::PidfdFlags;
            let of_a_thread = PidfdFlags::from_bits_retain(libc::O_EXCL.cast_unsigned());
            super::stdio::one_above_stdio(|| rustix::process::pidfd_open(self.id, of_a_thread)).ok()
        }
        #[cfg(not(target_os = "linux"))]
        None
    }
}
