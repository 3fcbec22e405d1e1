//! What the unit tests of this module share: a stream that does what a test says.

use super::wire::frames::{Blocking, Stream};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::process::{Child, Command, Stdio};

/// A process that does nothing, until it is ended or its standard input is.
pub(super) fn a_process_that_stays() -> Child {
    let mut command = if cfg!(windows) { Command::new("cmd") } else { Command::new("cat") };
    if cfg!(windows) {
        command.args(["/c", "pause"]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a process")
}

/// One end of a stream, in memory. What comes in comes in the pieces that the test gives; what goes out is kept.
#[derive(Default)]
pub(super) struct FakeStream {
    pub(super) coming: RefCell<VecDeque<Incoming>>,
    pub(super) sent: RefCell<Vec<u8>>,
    /// How many bytes each `send` takes; 0 is a stream that is full. When they are used up, all.
    pub(super) takes: RefCell<VecDeque<usize>>,
}

/// A look at what was sent until now.
type Look = Box<dyn FnOnce(&[u8])>;

pub(super) enum Incoming {
    Bytes(Vec<u8>),
    /// Nothing at the moment: asked without blocking, the stream says so; asked to block, it goes on.
    Pause,
    /// Where the test looks at what was sent so far.
    Then(Look),
    Error(io::ErrorKind),
}

impl FakeStream {
    /// Gives these bytes, in pieces of `size`.
    pub(super) fn giving(bytes: &[u8], size: usize) -> Self {
        let stream = FakeStream::default();
        stream.give(bytes, size);
        stream
    }

    pub(super) fn give(&self, bytes: &[u8], size: usize) {
        self.coming.borrow_mut().extend(bytes.chunks(size).map(|piece| Incoming::Bytes(piece.to_vec())));
    }

    pub(super) fn pause(&self) {
        self.coming.borrow_mut().push_back(Incoming::Pause);
    }

    /// When it has come so far, `look` sees what was sent.
    pub(super) fn then(&self, look: impl FnOnce(&[u8]) + 'static) {
        self.coming.borrow_mut().push_back(Incoming::Then(Box::new(look)));
    }
}

impl Stream for FakeStream {
    fn receive(&self, into: &mut Vec<u8>, blocking: Blocking) -> io::Result<usize> {
        loop {
            let next = self.coming.borrow_mut().pop_front();
            match next {
                None => return Ok(0),
                Some(Incoming::Then(look)) => look(&self.sent.borrow()),
                Some(Incoming::Error(kind)) => return Err(kind.into()),
                Some(Incoming::Pause) if blocking == Blocking::Yes => {}
                Some(Incoming::Pause) => {
                    // It stays empty until somebody blocks.
                    self.coming.borrow_mut().push_front(Incoming::Pause);
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Some(Incoming::Bytes(mut bytes)) => {
                    let room = into.capacity() - into.len();
                    assert!(room > 0, "an empty read would look like the end");
                    if bytes.len() > room {
                        self.coming.borrow_mut().push_front(Incoming::Bytes(bytes.split_off(room)));
                    }
                    into.extend_from_slice(&bytes);
                    return Ok(bytes.len());
                }
            }
        }
    }

    fn send(&self, pieces: &[IoSlice<'_>], blocking: Blocking) -> io::Result<usize> {
        let takes = self.takes.borrow_mut().pop_front().unwrap_or(usize::MAX);
        if takes == 0 && blocking == Blocking::No {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let bytes = pieces.iter().flat_map(|part| part.iter().copied());
        let before = self.sent.borrow().len();
        self.sent.borrow_mut().extend(bytes.take(takes.max(1)));
        Ok(self.sent.borrow().len() - before)
    }
}
