//! The stream between a driver and its worker: a socket, by which a handle can be passed as well.

use super::stdio::{above_stdio, take_stdin};
use super::{Handle, retry};
use crate::process_pool::wire::frames::{Blocking, Stream};
use crate::sync::delay;
use crate::sync::plain::{AtomicBool, Ordering};
use rustix::net::{RecvFlags, SendFlags};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Sending to a peer that is gone is an error, not a signal. Apple has an option of the socket in place of a flag.
#[cfg(not(target_vendor = "apple"))]
pub(super) const QUIETLY: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
pub(super) const QUIETLY: SendFlags = SendFlags::empty();

/// One end of the stream between a driver and its worker.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    is_wide: AtomicBool,
}

impl Socket {
    /// Two connected ends. No program started from this process inherits them by accident.
    pub(crate) fn pair() -> io::Result<(Socket, Handle)> {
        let pair = || std::os::unix::net::UnixStream::pair();
        let (ours, theirs) = above_stdio(pair, |(ours, theirs)| ours.as_raw_fd().min(theirs.as_raw_fd()))?;
        Ok((Socket::from_handle(ours.into()), theirs.into()))
    }

    /// The worker's end: its standard input, which is empty from then on.
    pub(crate) fn from_parent() -> io::Result<Self> {
        take_stdin().map(Socket::from_handle)
    }

    pub(crate) fn from_handle(fd: Handle) -> Self {
        #[cfg(target_vendor = "apple")]
        // It fails if the handle is no socket; then so does the first use.
        let _ = rustix::net::sockopt::set_socket_nosigpipe(&fd, true);
        Socket { fd, is_wide: AtomicBool::new(false) }
    }

    /// Sends bytes, and a handle with the first of them; returns how many went.
    pub(crate) fn send_with_handle(&self, bytes: &[u8], handle: &Handle) -> io::Result<usize> {
        let fds = [handle.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
        control.push(rustix::net::SendAncillaryMessage::ScmRights(&fds));
        let flags = QUIETLY | SendFlags::DONTWAIT;
        delay();
        Ok(rustix::net::sendmsg(&self.fd, &[IoSlice::new(bytes)], &mut control, flags)?)
    }

    /// Receives bytes and the handle that came with them. Blocks.
    pub(crate) fn receive_with_handle(&self, bytes: &mut [u8]) -> io::Result<(usize, Option<Handle>)> {
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

    /// Enlarges the socket's buffer before the first large frame, so that the two sides alternate less often. Not for small
    /// frames: more of them would pile up than the reader's cache holds.
    fn widen_for(&self, parts: &[IoSlice<'_>]) {
        const LARGE: usize = 256 << 10;
        const WIDE: usize = 1 << 20;
        let size: usize = parts.iter().map(|part| part.len()).sum();
        if size > LARGE && !self.is_wide.swap(true, Ordering::Relaxed) {
            // The system may give less.
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(&self.fd, WIDE);
        }
    }

    /// Tells the peer that nothing more will be sent.
    pub(crate) fn close_write(&self) {
        // Fails only if the peer is gone.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Write);
    }

    /// Ends the connection for both sides. What has arrived can still be read.
    pub(crate) fn hang_up(&self) {
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

#[cfg(test)]
mod tests {
    use super::Socket;

    #[test]
    fn the_ends_of_a_socket_are_for_nobody_else() {
        let (ours, theirs) = Socket::pair().expect("a pair");
        for end in [&ours.fd, &theirs] {
            let flags = rustix::io::fcntl_getfd(end).expect("flags");
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }
}
