//! Frames in, frames out, over a stream that may take or give any number of bytes at a time.
//!
//! Knows nothing of tasks. An [`Inbox`] never believes a length: memory grows with the bytes that are there.

use super::buffer::{PooledBuffer, reuse};
use super::message::{HEAD, Head, Message, ProtocolError};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

/// Whether a call may block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Blocking {
    Yes,
    No,
}

/// What can be passed to another process beside bytes.
#[cfg(unix)]
pub(crate) type Handle = std::os::fd::OwnedFd;
#[cfg(windows)]
pub(crate) type Handle = std::os::windows::io::OwnedHandle;
#[cfg(not(any(unix, windows)))]
pub(crate) type Handle = std::fs::File;

/// A stream of bytes, both ways. Handles can go with the bytes where it is a socket.
pub(crate) trait Stream {
    /// Appends what is there, as far as `into` has room without growing; 0 is the end of the stream.
    fn receive(&self, into: &mut Vec<u8>, blocking: Blocking) -> io::Result<usize>;

    /// Sends the beginning of `pieces`; returns how many bytes of them.
    fn send(&self, pieces: &[IoSlice<'_>], blocking: Blocking) -> io::Result<usize>;

    /// As `receive`, also of the handles that came with these bytes, in their order. A handle comes no later than the byte
    /// that it was sent with.
    fn receive_with_handles(
        &self,
        into: &mut Vec<u8>,
        _: &mut HandleQueue,
        blocking: Blocking,
    ) -> io::Result<usize> {
        self.receive(into, blocking)
    }

    /// Sends the beginning of `bytes` without blocking, and `handle` with the first of them; returns how many bytes.
    fn send_with_handle(&self, _bytes: &[u8], _: &Handle) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Handles that came and whose messages are not whole yet.
#[derive(Default)]
pub(crate) struct HandleQueue {
    pub(crate) handles: VecDeque<Handle>,
    /// For a stream that can't read into memory that was never written to.
    #[cfg_attr(not(unix), expect(dead_code, reason = "no stream there needs it"))]
    pub(crate) room: Vec<u8>,
}

/// What a read from the stream gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Filled {
    Some,
    /// Nothing more at the moment.
    Nothing,
    /// The other side has closed its end.
    End,
}

/// A whole frame in an [`Inbox`]: its message, and where its body lies until the next `fill`.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) message: Message,
    pub(crate) body: Range<usize>,
    /// The handle that came with it, if its message is one that [carries](Message::carries_handle) one.
    pub(crate) handle: Option<Handle>,
}

/// Bytes on their way in, until they are whole frames.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) buffer: Vec<u8>,
    /// Bytes of `buffer` that were handed out.
    taken: usize,
    /// Where handles are taken from this stream: only from one's parent.
    handles: Option<HandleQueue>,
}

/// Room that an inbox starts with.
pub(crate) const ROOM: usize = 64 << 10;

impl Inbox {
    /// One that takes handles too.
    pub(crate) fn taking_handles() -> Self {
        Inbox { handles: Some(HandleQueue::default()), ..Inbox::default() }
    }

    /// Takes what the stream has, once.
    pub(crate) fn fill(&mut self, stream: &impl Stream, blocking: Blocking) -> io::Result<Filled> {
        self.make_room()?;
        let received = match &mut self.handles {
            Some(handles) => stream.receive_with_handles(&mut self.buffer, handles, blocking),
            None => stream.receive(&mut self.buffer, blocking),
        };
        match received {
            Ok(0) => Ok(Filled::End),
            Ok(_) => Ok(Filled::Some),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Filled::Nothing),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Filled::End),
            Err(error) => Err(error),
        }
    }

    /// The next whole frame, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, ProtocolError> {
        let Some(head) = self.head()? else { return Ok(None) };
        // It comes with the head's first byte, so it is there before the body is.
        let mut handles = self.handles.as_mut().map(|queue| &mut queue.handles);
        if head.message.carries_handle() && handles.as_ref().is_none_or(|handles| handles.is_empty()) {
            return Err(ProtocolError("a message without the handle that belongs to it"));
        }
        let start = self.taken + HEAD;
        let Some(end) = start.checked_add(head.len).filter(|end| *end <= self.buffer.len()) else {
            return Ok(None);
        };
        let handle = match &mut handles {
            Some(handles) if head.message.carries_handle() => handles.pop_front(),
            _ => None,
        };
        self.taken = end;
        Ok(Some(Frame { message: head.message, body: start..end, handle }))
    }

    /// The bytes of a frame's body.
    pub(crate) fn body(&self, body: Range<usize>) -> &[u8] {
        &self.buffer[body]
    }

    fn head(&self) -> Result<Option<Head>, ProtocolError> {
        self.buffer.get(self.taken..self.taken + HEAD).map(Head::from_bytes).transpose()
    }

    fn make_room(&mut self) -> io::Result<()> {
        if self.taken == self.buffer.len() {
            reuse(&mut self.buffer);
            self.taken = 0;
        }
        let have = self.buffer.len() - self.taken;
        let wanted = match self.head() {
            Ok(Some(head)) => more(head.len.saturating_add(HEAD).saturating_sub(have), have),
            _ => 0,
        };
        let wanted = wanted.max(HEAD);
        if self.buffer.capacity() - self.buffer.len() < wanted {
            self.buffer.drain(..self.taken);
            self.taken = 0;
            let room = wanted.max(ROOM.saturating_sub(self.buffer.len()));
            self.buffer.try_reserve_exact(room)?;
        }
        Ok(())
    }
}

/// Room for what is missing, up to three times as much again as is there already: a length alone takes no memory.
fn more(missing: usize, have: usize) -> usize {
    missing.min(have.saturating_mul(3))
}

/// Bytes on their way out.
#[derive(Default)]
pub(crate) struct Outbox {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are sent.
    sent: usize,
}

/// A piece of a frame. It owns its bytes, whatever becomes of the task they belong to.
pub(crate) enum Piece {
    Owned(Vec<u8>),
    Shared(Arc<PooledBuffer>),
    /// The handle goes with the first byte, which is that of the head of a message that carries one.
    WithHandle(Vec<u8>, Arc<Handle>),
    Blob(Arc<dyn AsRef<[u8]> + Send + Sync>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Owned(bytes) | Piece::WithHandle(bytes, _) => bytes,
            Piece::Shared(buffer) => buffer.bytes(),
            Piece::Blob(blob) => (**blob).as_ref(),
        }
    }

    fn handle(&self) -> Option<&Handle> {
        match self {
            Piece::WithHandle(_, handle) => Some(handle),
            Piece::Owned(_) | Piece::Shared(_) | Piece::Blob(_) => None,
        }
    }
}

impl Outbox {
    pub(crate) fn push(&mut self, piece: Piece) {
        if !piece.bytes().is_empty() {
            self.pieces.push_back(piece);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
        self.sent = 0;
    }

    /// Sends as much as the stream takes without blocking; true if nothing is left.
    pub(crate) fn flush(&mut self, stream: &impl Stream) -> io::Result<bool> {
        while !self.pieces.is_empty() {
            match self.send_some(stream) {
                Ok(sent) => self.advance(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Sends once, from the first piece on: up to the next one that has a handle, which begins a call of its own.
    fn send_some(&self, stream: &impl Stream) -> io::Result<usize> {
        const AT_ONCE: usize = 8;
        let first = &self.pieces[0];
        if self.sent == 0
            && let Some(handle) = first.handle()
        {
            return stream.send_with_handle(first.bytes(), handle);
        }
        let mut slices = [IoSlice::new(&[]); AT_ONCE];
        slices[0] = IoSlice::new(&first.bytes()[self.sent..]);
        let mut count = 1;
        let others = self.pieces.iter().skip(1).take_while(|piece| piece.handle().is_none());
        for (slice, piece) in slices[1..].iter_mut().zip(others) {
            *slice = IoSlice::new(piece.bytes());
            count += 1;
        }
        stream.send(&slices[..count], Blocking::No)
    }

    fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
        while let Some(first) = self.pieces.front()
            && self.sent >= first.bytes().len()
        {
            self.sent -= first.bytes().len();
            self.pieces.pop_front();
        }
    }
}

/// Sends all of `bytes`, blocking.
pub(crate) fn send_all(stream: &impl Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = stream.send(&[IoSlice::new(bytes)], Blocking::Yes)?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

#[cfg(test)]
mod tests;
