//! The stream between a driver and its worker: a socket, by which a handle can be passed as well.

use super::stdio::{above_stdio, take_stdin};
use super::{Child, Handle, retry};
use crate::process_pool::wire::frames::{Blocking, HandleQueue, Stream};
use crate::process_pool::wire::message::ProtocolError;
use crate::sync::plain::{AtomicBool, Ordering};
use rustix::net::{RecvFlags, SendFlags};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

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
        Ok((Socket::from_handle(ours.into())?, theirs.into()))
    }

    /// The worker's end: its standard input, which is empty from then on.
    pub(crate) fn from_parent() -> io::Result<Self> {
        take_stdin().and_then(Socket::from_handle)
    }

    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it takes more than the handle")]
    pub(crate) fn from_handle(fd: Handle) -> io::Result<Self> {
        #[cfg(target_vendor = "apple")]
        // It fails if the handle is no socket; then so does the first use.
        let _ = rustix::net::sockopt::set_socket_nosigpipe(&fd, true);
        Ok(Socket { fd, is_wide: AtomicBool::new(false) })
    }

    /// Names who is at the other end: on this system whoever it is gets the handles that are sent.
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "elsewhere handles are copied into a process"
    )]
    pub(crate) fn attach(&self, _: &Child) -> io::Result<()> {
        Ok(())
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

    /// Always: what was sent the system has.
    #[expect(clippy::unused_self, reason = "elsewhere the system may still be taking it")]
    pub(crate) fn is_taken(&self) -> bool {
        true
    }

    /// Nothing: what was sent the system has, and it arrives whatever becomes of this process.
    #[expect(clippy::unused_self, reason = "elsewhere the system may still be taking it")]
    pub(crate) fn await_taken(&self, _: Duration) {}

    /// Tells the peer that nothing more will be sent.
    pub(crate) fn close_write(&self) {
        // Fails only if the peer is gone.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Write);
    }

    /// Ends the connection for both sides. What has arrived can still be read.
    pub(crate) fn shut_down(&self) {
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

    fn receive_with_handles(
        &self,
        into: &mut Vec<u8>,
        handles: &mut HandleQueue,
        blocking: Blocking,
    ) -> io::Result<usize> {
        /// The most that is taken at a time: room for it is cleared once, which room in `into` would have to be each time.
        const ROOM: usize = 64 << 10;
        handles.room.resize(ROOM, 0);
        let room = ROOM.min(into.capacity() - into.len());
        let mut parts = [IoSliceMut::new(&mut handles.room[..room])];
        // One handle comes with a message, and what is read at a time ends with the message that has one.
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = rustix::net::RecvAncillaryBuffer::new(&mut space);
        #[cfg(not(target_vendor = "apple"))]
        let mut flags = RecvFlags::CMSG_CLOEXEC;
        #[cfg(target_vendor = "apple")]
        let mut flags = RecvFlags::empty();
        if blocking == Blocking::No {
            flags |= RecvFlags::DONTWAIT;
        }
        let got = retry(|| rustix::net::recvmsg(&self.fd, &mut parts, &mut control, flags))?;
        for message in control.drain() {
            let rustix::net::RecvAncillaryMessage::ScmRights(fds) = message else { continue };
            for fd in fds {
                #[cfg(target_vendor = "apple")]
                rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
                handles.handles.push_back(fd);
            }
        }
        if got.flags.contains(rustix::net::ReturnFlags::CTRUNC) {
            let what = "a handle that this process has no room for: it has as many files open as it may";
            return Err(io::Error::other(ProtocolError(what)));
        }
        into.extend_from_slice(&handles.room[..got.bytes]);
        Ok(got.bytes)
    }

    fn send_with_handle(&self, bytes: &[u8], handle: &Handle) -> io::Result<usize> {
        let fds = [handle.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
        control.push(rustix::net::SendAncillaryMessage::ScmRights(&fds));
        let flags = QUIETLY | SendFlags::DONTWAIT;
        Ok(retry(|| rustix::net::sendmsg(&self.fd, &[IoSlice::new(bytes)], &mut control, flags))?)
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
    use crate::process_pool::sys::Handle;
    use crate::process_pool::wire::frames::{Blocking, Filled, HandleQueue, Inbox, Outbox, Piece, Stream};
    use crate::process_pool::wire::message::{HEAD, Message, ProtocolError};
    use std::io::IoSlice;
    use std::os::fd::AsFd;
    use std::sync::Arc;

    #[test]
    fn the_ends_of_a_socket_are_for_nobody_else() {
        let (ours, theirs) = Socket::pair().expect("a pair");
        for end in [&ours.fd, &theirs] {
            let flags = rustix::io::fcntl_getfd(end).expect("flags");
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }

    /// A file that is known by its length.
    fn file(len: u64) -> Arc<Handle> {
        let (_, file) = crate::process_pool::sys::Segment::create().expect("a file");
        let whole = rustix::fs::fstat(&file).expect("its length").st_size as u64;
        // The segment's own length is sealed: the place in the file says which it is.
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(len.min(whole))).expect("a place");
        Arc::new(file)
    }

    fn which(file: &Handle) -> u64 {
        rustix::fs::tell(file).expect("its place")
    }

    fn pair() -> (Socket, Socket) {
        let (ours, theirs) = Socket::pair().expect("a pair");
        (ours, Socket::from_handle(theirs).expect("a socket"))
    }

    #[test]
    fn each_handle_comes_with_its_message_whatever_lies_between() {
        let (parent, worker) = pair();
        let mut outbox = Outbox::default();
        let body = |n: u64| vec![n as u8; [0, 1, 5000, 40_000][n as usize % 4]];
        for n in 0..40 {
            let message = Message::Welcome.frame(&body(n));
            outbox.push(Piece::Owned(Message::Batch { number: n as u32, tasks: 1 }.frame(&body(n + 1))));
            outbox.push(if n % 3 == 0 {
                let message = Message::Doorbell.frame(&[]);
                Piece::Owned(message)
            } else {
                Piece::WithHandle(message, file(n))
            });
        }
        let mut inbox = Inbox::taking_handles();
        let (mut heads, mut handles) = (0, Vec::new());
        while heads < 80 {
            outbox.flush(&parent).expect("the worker lives");
            if inbox.fill(&worker, Blocking::No).expect("no error") == Filled::Nothing {
                assert!(!outbox.is_empty(), "something is lost");
            }
            while let Some(frame) = inbox.next().expect("valid frames") {
                heads += 1;
                assert_eq!(frame.handle.is_some(), frame.message == Message::Welcome);
                if let Some(handle) = frame.handle {
                    let flags = rustix::io::fcntl_getfd(&handle).expect("flags");
                    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
                    handles.push(which(&handle));
                    assert_eq!(inbox.body(frame.body), body(which(&handle)));
                }
            }
        }
        assert_eq!(handles, (0..40).filter(|n| n % 3 != 0).collect::<Vec<u64>>());
    }

    #[test]
    fn a_message_without_its_handle_is_an_error() {
        let (parent, worker) = pair();
        parent.send(&[IoSlice::new(&Message::Welcome.frame(b"bare"))], Blocking::Yes).expect("room");
        let mut inbox = Inbox::taking_handles();
        assert_eq!(inbox.fill(&worker, Blocking::Yes).expect("it came"), Filled::Some);
        assert!(inbox.next().is_err());
    }

    #[test]
    fn a_handle_of_a_worker_is_not_taken() {
        let (parent, worker) = pair();
        worker.send_with_handle(&Message::Welcome.frame(b"its own"), &file(0)).expect("room");
        let mut inbox = Inbox::default();
        assert_eq!(inbox.fill(&parent, Blocking::Yes).expect("it came"), Filled::Some);
        assert!(inbox.next().is_err());
    }

    #[test]
    fn handles_that_there_is_no_room_for_are_a_protocol_error() {
        let (parent, worker) = pair();
        let files: Vec<_> = (0..8).map(file).collect();
        let fds: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
        assert!(control.push(rustix::net::SendAncillaryMessage::ScmRights(&fds)));
        let bytes = Message::Welcome.frame(b"");
        let flags = rustix::net::SendFlags::empty();
        rustix::net::sendmsg(&parent.fd, &[IoSlice::new(&bytes)], &mut control, flags).expect("room");
        let (mut into, mut handles) = (Vec::with_capacity(HEAD), HandleQueue::default());
        let error =
            worker.receive_with_handles(&mut into, &mut handles, Blocking::Yes).expect_err("too many");
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ProtocolError>());
        assert!(inner.is_some(), "{error}");
    }
}
