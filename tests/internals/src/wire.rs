//! What processes say to each other: frames on a stream, parcels, outcomes.

use crate::error::TaskError;
use crate::id::FutureId;
use crate::process_pool::wire::frames::{Blocking, Filled, Inbox, Stream};
use crate::process_pool::wire::message::{HEAD, Head, Message, Welcome};
use crate::remote::codec::Output;
use crate::remote::function::Offset;
use crate::remote::outcome;
use crate::remote::parcel::{Header, Parcel, Route};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::time::Duration;

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
pub fn read_frames(bytes: &[u8], piece: usize) -> Result<Vec<(u32, u32, usize)>, String> {
    let (mut inbox, stream, mut frames) = (Inbox::default(), Pieces(RefCell::new(bytes), piece), Vec::new());
    loop {
        let filled = inbox.fill(&stream, Blocking::Yes).map_err(|error| error.to_string())?;
        while let Some(frame) = inbox.next().map_err(|error| error.to_string())? {
            if let Message::Reply { batch, index } = frame.message {
                frames.push((batch, index, inbox.body(frame.body).len()));
            }
        }
        if filled == Filled::End {
            return Ok(frames);
        }
    }
}

/// A frame as a worker sends it.
pub fn reply(batch: u32, index: u32, body: &[u8]) -> Vec<u8> {
    Message::Reply { batch, index }.frame(body)
}

/// A frame that claims another length than it has.
pub fn lying(len: usize, body: &[u8]) -> Vec<u8> {
    [&Head { message: Message::Reply { batch: 0, index: 0 }, len }.to_bytes()[..], body].concat()
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

/// The outcome in a reply to task `id` of process `nonce`.
pub fn open(reply: &[u8], nonce: u64, id: u64) -> Result<&[u8], TaskError> {
    outcome::open(reply, nonce, id).map(|outcome| outcome.bytes()).map_err(TaskError::Codec)
}

/// One task's outcome.
pub fn read<R: DeserializeOwned>(outcome: &[u8]) -> Result<R, TaskError> {
    outcome::read(outcome)
}

/// A chunk's outcomes.
pub fn read_all<R: DeserializeOwned>(outcome: &[u8]) -> Result<Vec<Result<R, TaskError>>, TaskError> {
    outcome::read_all(outcome).map(|(outcomes, _)| outcomes)
}

/// One task's outcome, as a worker writes it.
pub fn write<R: Serialize>(outcome: Result<R, TaskError>) -> Vec<u8> {
    let mut bytes = Output::default();
    outcome::write(outcome, &mut bytes);
    bytes.into_parts().0
}

/// A chunk's outcomes, as a worker writes them.
pub fn write_all<R: Serialize>(outcomes: Vec<Result<R, TaskError>>) -> Vec<u8> {
    let mut bytes = Output::default();
    outcome::write_all(outcomes.into_iter(), || Duration::from_micros(7), &mut bytes);
    bytes.into_parts().0
}

/// A parcel for no function at all.
pub fn parcel(argument: &[u8]) -> Vec<u8> {
    let route = Route { runner: Offset::from_raw(7), function: Offset::from_raw(9) };
    Parcel::new(&Header::new(FutureId::new(), 1, route), argument, Vec::new()).into_bytes()
}

/// The argument in a parcel, or why bytes are none.
pub fn unpack(parcel: &[u8]) -> Result<&[u8], String> {
    Header::read(parcel).map(|(_, argument)| argument.bytes()).map_err(|bad| bad.to_string())
}
