//! Any bytes as a stream of frames: what an inbox hands out is what a plain reader finds, in whatever pieces the bytes come.
//!
//! ```text
//! piece 1 | filler 1 | stream, to which the filler is added many times if it is large
//! ```

use super::Target;
use crate::process_pool::internals::memory::in_proportion;
use crate::process_pool::wire::frames::{Blocking, Filled, Frame, Inbox, Outbox, Piece, Stream};
use crate::process_pool::wire::message::{HEAD, Head, Message};
use crate::remote::codec::Output;
use crate::remote::outcome;
use std::cell::RefCell;
use std::io::{self, IoSlice};

pub(crate) const TARGET: Target = Target { name: "frames", body, words: &[], seeds };

/// Gives its bytes in pieces, then ends; takes some of what it is given.
struct Pieces<'b> {
    rest: RefCell<&'b [u8]>,
    piece: usize,
    taken: RefCell<Vec<u8>>,
}

impl<'b> Pieces<'b> {
    fn new(bytes: &'b [u8], piece: usize) -> Self {
        Pieces { rest: RefCell::new(bytes), piece, taken: RefCell::default() }
    }
}

impl Stream for Pieces<'_> {
    fn receive(&self, into: &mut Vec<u8>, _: Blocking) -> io::Result<usize> {
        let mut rest = self.rest.borrow_mut();
        let len = rest.len().min(self.piece).min(into.capacity() - into.len());
        let (now, later) = rest.split_at(len);
        into.extend_from_slice(now);
        *rest = later;
        Ok(len)
    }

    fn send(&self, pieces: &[IoSlice<'_>], _: Blocking) -> io::Result<usize> {
        let mut taken = self.taken.borrow_mut();
        let before = taken.len();
        let bytes = pieces.iter().flat_map(|part| part.iter());
        taken.extend(bytes.take(self.piece));
        Ok(taken.len() - before)
    }
}

fn body(data: &[u8]) {
    let Some((&[piece, filler], bytes)) = data.split_first_chunk() else { return };
    let piece = if piece < 128 { usize::from(piece) + 1 } else { usize::from(piece - 127) * 1000 };
    let mut stream = bytes.to_vec();
    if filler >= 0xf0 {
        stream.resize(bytes.len() + usize::from(filler - 0xef) * 40_000, filler);
    }
    compare(&stream, piece.max(stream.len() / 500));
    in_and_out(bytes, piece);
}

/// The next frame of a stream that is there as a whole; false if there can't be any.
fn plain<'b>(rest: &mut &'b [u8]) -> Result<Option<(Head, &'b [u8])>, ()> {
    let Some((head, behind)) = rest.split_at_checked(HEAD) else { return Ok(None) };
    let head = Head::from_bytes(head).map_err(|_| ())?;
    assert_eq!(head.to_bytes(), rest[..HEAD], "a head there and back");
    // Of a stream that gives none, a message with a handle is an error.
    if head.message.carries_handle() {
        return Err(());
    }
    let Some((body, behind)) = behind.split_at_checked(head.len) else { return Ok(None) };
    *rest = behind;
    Ok(Some((head, body)))
}

fn compare(stream: &[u8], piece: usize) {
    /// Room that an inbox begins with, once as it is and once while it moves.
    const INBOX: usize = 3 * (64 << 10);
    in_proportion(stream.len(), 9, INBOX + 4096, || {
        let (mut rest, pieces) = (stream, Pieces::new(stream, piece));
        let mut inbox = Inbox::default();
        loop {
            // A head that makes no sense may be found out by the look at what lies in it.
            let filled = inbox.fill(&pieces, Blocking::No).expect("memory for what is there");
            loop {
                match inbox.next() {
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        let wanted = plain(&mut rest).expect("it was read").expect("it was read");
                        same(wanted, &frame, inbox.body(frame.body.clone()));
                    }
                    Err(_) => return assert!(plain(&mut rest).is_err(), "it makes sense"),
                }
            }
            if filled == Filled::End {
                return assert_eq!(plain(&mut rest), Ok(None), "a frame was not handed out");
            }
        }
    });
}

fn same(wanted: (Head, &[u8]), frame: &Frame, body: &[u8]) {
    assert_eq!(wanted.0.message, frame.message);
    assert!(wanted.1 == body, "another body");
}

/// What is sent in pieces arrives as it was.
fn in_and_out(bytes: &[u8], piece: usize) {
    let (mut outbox, stream) = (Outbox::default(), Pieces::new(&[], piece));
    for part in bytes.chunks(1 + bytes.len() / 20) {
        outbox.push(Piece::Owned(part.to_vec()));
    }
    assert!(outbox.flush(&stream).expect("it takes all"));
    assert!(outbox.is_empty() && *stream.taken.borrow() == bytes);
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let reply = |batch: u32, index: u32, body: &[u8]| Message::Reply { batch, index }.frame(body);
    let lying = |message, len, body: &[u8]| [&Head { message, len }.to_bytes()[..], body].concat();
    let a_reply = Message::Reply { batch: 1, index: 1 };
    let mut value = Output::default();
    outcome::begin(None, &mut value);
    outcome::write(Ok("x".repeat(600)), &mut value);
    let named = |name: &str, how: [u8; 2], stream: Vec<u8>| (name.to_owned(), [&how[..], &stream].concat());
    vec![
        named("one-reply", [200, 0], reply(3, 4, b"reply")),
        named("byte-by-byte", [0, 0], [reply(0, 0, b"a"), reply(0, 1, b""), reply(1, 0, b"bc")].concat()),
        named("many", [20, 0], (0..12).flat_map(|n| reply(n, n, &vec![7; n as usize * 9])).collect()),
        named("bells", [50, 0], Message::Doorbell.frame(&[]).repeat(8)),
        named("hello", [9, 0], lying(Message::Hello { protocol: 1 }, 20, &[5; 20])),
        named("half-a-head", [9, 0], reply(1, 1, b"")[..13].to_vec()),
        named("half-a-body", [9, 0], reply(1, 1, b"body")[..26].to_vec()),
        named("nothing", [9, 0], Vec::new()),
        named("no-kind", [9, 0], vec![0; HEAD]),
        named("longer-than-memory", [9, 0], lying(a_reply, usize::MAX, b"abc")),
        named("longer-than-memory-by-half", [9, 0], lying(a_reply, usize::MAX / 2, b"abc")),
        named("longer-than-it-is", [255, 0xf7], lying(a_reply, 1 << 20, b"abc")),
        named("large", [255, 0xf7], lying(a_reply, 300_000, b"abc")),
        named("two-values", [255, 0], [reply(0, 0, &value), reply(0, 1, &value)].concat()),
    ]
}
