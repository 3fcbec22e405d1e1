//! Frames on a stream.

#[path = "../../../src/process_pool/buffer.rs"]
mod buffer;
#[path = "../../../src/process_pool/frames.rs"]
mod frames;
#[path = "../../../src/process_pool/message.rs"]
mod message;

use frames::{Blocking, Filled, Inbox, Stream};
use message::{HEAD, Head, Kind, Welcome};
use std::cell::RefCell;
use std::io::{self, IoSlice};

/// Gives its bytes in pieces, then ends.
struct Pieces<'b>(RefCell<&'b [u8]>, usize);

impl Stream for Pieces<'_> {
    fn receive(&self, into: &mut Vec<u8>, _: Blocking) -> io::Result<usize> {
        let mut rest = self.0.borrow_mut();
        let len = rest.len().min(self.1).min(into.capacity() - into.len());
        let (now, later) = rest.split_at(len);
        into.extend_from_slice(now);
        *rest = later;
        Ok(len)
    }

    fn send(&self, _: &[IoSlice<'_>], _: Blocking) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Reads whole frames until the stream ends or makes no sense: their numbers and how long their bodies are.
pub fn read(bytes: &[u8], piece: usize) -> Result<Vec<(u32, u32, usize)>, String> {
    let (mut inbox, stream, mut frames) = (Inbox::default(), Pieces(RefCell::new(bytes), piece), Vec::new());
    loop {
        let filled = inbox.fill(&stream, Blocking::Yes).map_err(|error| error.to_string())?;
        while let Some((head, body)) = inbox.next().map_err(|error| error.to_string())? {
            frames.push((head.a, head.b, inbox.body(body).len()));
        }
        if filled == Filled::End {
            return Ok(frames);
        }
    }
}

/// A frame as a worker sends it.
pub fn reply(a: u32, b: u32, body: &[u8]) -> Vec<u8> {
    [&Head::new(Kind::Reply, a, b, body.len()).to_bytes()[..], body].concat()
}

/// A frame that claims another length than it has.
pub fn lying(len: usize, body: &[u8]) -> Vec<u8> {
    [&Head::new(Kind::Reply, 0, 0, len).to_bytes()[..], body].concat()
}

/// Whether bytes are a head.
pub fn is_head(bytes: &[u8; HEAD]) -> bool {
    Head::from_bytes(bytes).is_ok()
}

/// Whether bytes are a welcome; one that was read can be written again.
pub fn is_welcome(bytes: &[u8]) -> bool {
    Welcome::from_bytes(bytes).is_ok_and(|welcome| {
        assert_eq!(Welcome::from_bytes(&welcome.to_bytes()).as_ref(), Ok(&welcome));
        true
    })
}

/// A welcome that is one.
pub fn welcome(name: &str, ancestry: Vec<u64>, initializer: Vec<u8>) -> Vec<u8> {
    Welcome { name: name.into(), ancestry, initializer, ..Welcome::default() }.to_bytes()
}
