//! What two processes share, for a benchmark: the segment and the frames are internal to the crate.
//!
//! Their files are compiled here by themselves, and not in the crate, as tests/internals does it: what the compiler inlines
//! depends on what else is in a crate. Among the rest of it the same functions count 6 to 9 % more, and a change to any other
//! file could move the numbers.

// The tests of those sources are the crate's.
#![cfg(not(test))]
#![expect(
    dead_code,
    unused_imports,
    reason = "the sources are the crate's; here only what each task goes through is used"
)]

#[path = "."]
mod process_pool {
    #[path = "../../../src/process_pool/shared/mod.rs"]
    pub(crate) mod shared;
    #[path = "."]
    pub(crate) mod wire {
        #[path = "../../../src/process_pool/wire/buffer.rs"]
        pub(crate) mod buffer;
        #[path = "../../../src/process_pool/wire/frames/mod.rs"]
        pub(crate) mod frames;
        #[path = "../../../src/process_pool/wire/message.rs"]
        pub(crate) mod message;
    }
}
#[path = "../../../src/sync/mod.rs"]
mod sync;

use process_pool::shared::claim::Claims;
use process_pool::shared::ring::Ring;
use process_pool::wire::frames::{Blocking, Inbox, Outbox, Piece, Stream};
use process_pool::wire::message::{Head, Message};
use std::cell::RefCell;
use std::io::{self, IoSlice};

/// Tasks of one batch.
pub const BATCH: u32 = 64;

/// Both halves of a segment, as a worker and its parent have it.
pub struct Segment {
    claims: Claims,
    ring: Box<Ring>,
}

impl Segment {
    /// An empty one.
    #[expect(clippy::new_without_default, reason = "nobody asks for a default")]
    pub fn new() -> Self {
        Segment { claims: Claims::default(), ring: Box::default() }
    }

    /// One batch there and back: the parent opens it, the worker begins each task and puts its reply into the ring, and
    /// the parent takes them out.
    pub fn batch(&self, number: u32, reply: &[u8], heard: &mut Vec<u8>) {
        let claim = self.claims.claim(number);
        claim.open(BATCH);
        while let Some(task) = claim.begin() {
            assert!(self.ring.put(number, task, reply) && !self.ring.takes_doorbell());
        }
        self.claims.pass(number + 1);
        assert!(claim.load().is_through() && self.claims.over() == number + 1);
        while let Some(next) = self.ring.next().expect("the worker is sane") {
            heard.clear();
            self.ring.take(next, heard);
        }
    }
}

/// A stream of bytes whose far end is its near end.
#[derive(Default)]
struct Loop(RefCell<Vec<u8>>);

impl Stream for Loop {
    fn receive(&self, into: &mut Vec<u8>, _: Blocking) -> io::Result<usize> {
        let mut bytes = self.0.borrow_mut();
        into.extend_from_slice(&bytes);
        let len = bytes.len();
        bytes.clear();
        Ok(len)
    }

    fn send(&self, parts: &[IoSlice<'_>], _: Blocking) -> io::Result<usize> {
        let mut bytes = self.0.borrow_mut();
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        Ok(parts.iter().map(|part| part.len()).sum())
    }
}

/// Both ends of a stream.
#[derive(Default)]
pub struct Frames {
    stream: Loop,
    outbox: Outbox,
    inbox: Inbox,
}

impl Frames {
    /// One frame out and in again; says how long its body was.
    pub fn frame(&mut self, number: u32, body: Vec<u8>) -> usize {
        let head = Head { message: Message::Batch { number, tasks: 1 }, len: body.len() };
        self.outbox.push(Piece::Owned(head.to_bytes().to_vec()));
        self.outbox.push(Piece::Owned(body));
        assert!(self.outbox.flush(&self.stream).expect("memory doesn't fail"));
        self.inbox.fill(&self.stream, Blocking::No).expect("memory doesn't fail");
        let frame = self.inbox.next().expect("the frame is valid").expect("the frame is whole");
        self.inbox.body(frame.body).len()
    }
}
