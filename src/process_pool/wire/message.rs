//! [`Message`]: what the two sides say to each other, and the head of the frame that carries it.
//!
//! ```text
//! head:  kind 1 | zero 3 | first 4 | second 4 | zero 4 | length 8      then `length` bytes, the body
//! ```
//!
//! | message | kind | from | first, second | body |
//! |---|---|---|---|---|
//! | `Hello` | 1 | worker | protocol, 0 | the executable's fingerprint |
//! | `Welcome` | 2 | parent | 0, 0 | a [`Welcome`]; carries the shared segment's handle |
//! | `Ready` | 3 | worker | 0, 0 | the initializer's reply |
//! | `Batch` | 4 | parent | number, tasks | the tasks, see [`batch`](super::batch) |
//! | `Reply` | 5 | worker | batch, index | the outcome: batch and index say whose |
//! | `Doorbell` | 6 | worker | 0, 0 | empty |
//! | `CannotStart` | 7 | worker | 0, 0 | why, as text |
//! | `Blob` | 8 | parent | children, 0 | a blob by value, see [`blob`](super::blob) |
//! | `BlobInMemory` | 9 | parent | children, 0 | a blob; carries the handle of its memory |
//! | `Forget` | 10 | parent | 0, 0 | the id of a blob that is needed no more |
//! | `Arguments` | 11 | parent | 0, 0 | empty; carries the handle of the memory that large arguments lie in |
//! | `Results` | 12 | parent | 0, 0 | empty; carries the handle of the memory for the worker's large results |
//! | `Notes` | 13 | parent | level, 0 | empty; carries the handle of the socket for what the worker says beside its replies, see [`note`](super::note) |
//!
//! A message that carries a handle is sent with it, as `SCM_RIGHTS` beside the first byte of its head: one handle a message,
//! and only from the parent.

use std::fmt;

/// The bytes of a head.
pub(crate) const HEAD: usize = 24;

/// Changes whenever two builds with the same fingerprint could misunderstand each other, which can't be; it guards
/// against a wrong process at the other end.
pub(crate) const PROTOCOL: u32 = 0x6366_7001;

/// A message, but for its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Message {
    /// The first message of all.
    Hello {
        protocol: u32,
    },
    /// What the worker must know before its first task.
    Welcome,
    /// The initializer has run. Sent only if there is one.
    Ready,
    Batch {
        number: u32,
        tasks: u32,
    },
    /// To the task at `index` of a batch.
    Reply {
        batch: u32,
        index: u32,
    },
    /// The driver is to look at the shared segment.
    Doorbell,
    /// The worker can't start: its last message.
    CannotStart,
    /// What tasks after it carry; so many others lie in it, which came before.
    Blob {
        children: u32,
    },
    BlobInMemory {
        children: u32,
    },
    Forget,
    /// Where large arguments will lie. Before the first batch, if at all.
    Arguments,
    /// Where large results may lie. Before the first batch, if at all.
    Results,
    /// Where notes go, and up to which level log records are some. Before the first batch, if at all.
    Notes {
        level: u32,
    },
}

impl Message {
    /// Whether a handle belongs to it. Handles come in the order of their messages.
    pub(crate) fn carries_handle(self) -> bool {
        matches!(
            self,
            Message::Welcome
                | Message::BlobInMemory { .. }
                | Message::Arguments
                | Message::Results
                | Message::Notes { .. }
        )
    }

    /// A whole frame, for messages that are rare and small.
    pub(crate) fn frame(self, body: &[u8]) -> Vec<u8> {
        [&Head { message: self, len: body.len() }.to_bytes()[..], body].concat()
    }
}

/// The head of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) message: Message,
    /// Bytes of the body.
    pub(crate) len: usize,
}

impl Head {
    pub(crate) fn to_bytes(self) -> [u8; HEAD] {
        let (kind, first, second) = match self.message {
            Message::Hello { protocol } => (1, protocol, 0),
            Message::Welcome => (2, 0, 0),
            Message::Ready => (3, 0, 0),
            Message::Batch { number, tasks } => (4, number, tasks),
            Message::Reply { batch, index } => (5, batch, index),
            Message::Doorbell => (6, 0, 0),
            Message::CannotStart => (7, 0, 0),
            Message::Blob { children } => (8, children, 0),
            Message::BlobInMemory { children } => (9, children, 0),
            Message::Forget => (10, 0, 0),
            Message::Arguments => (11, 0, 0),
            Message::Results => (12, 0, 0),
            Message::Notes { level } => (13, level, 0),
        };
        let mut bytes = [0; HEAD];
        bytes[0] = kind;
        bytes[4..8].copy_from_slice(&u32::to_le_bytes(first));
        bytes[8..12].copy_from_slice(&u32::to_le_bytes(second));
        bytes[16..].copy_from_slice(&(self.len as u64).to_le_bytes());
        bytes
    }

    /// Reads a head; `bytes` has as many as one.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, ProtocolError> {
        const UNUSED: ProtocolError = ProtocolError("a frame with bits that are never set");
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let (first, second) = (word(4), word(8));
        let message = match (bytes[0], first, second) {
            (1, protocol, 0) => Message::Hello { protocol },
            (2, 0, 0) => Message::Welcome,
            (3, 0, 0) => Message::Ready,
            (4, number, tasks) => Message::Batch { number, tasks },
            (5, batch, index) => Message::Reply { batch, index },
            (6, 0, 0) => Message::Doorbell,
            (7, 0, 0) => Message::CannotStart,
            (8, children, 0) => Message::Blob { children },
            (9, children, 0) => Message::BlobInMemory { children },
            (10, 0, 0) => Message::Forget,
            (11, 0, 0) => Message::Arguments,
            (12, 0, 0) => Message::Results,
            (13, level, 0) => Message::Notes { level },
            (1..=13, ..) => return Err(UNUSED),
            _ => return Err(ProtocolError("a frame of no known kind")),
        };
        if bytes[1..4] != [0; 3] || bytes[12..16] != [0; 4] {
            return Err(UNUSED);
        }
        let len = u64::from_le_bytes(bytes[16..24].try_into().expect("eight bytes"));
        let len = usize::try_from(len).map_err(|_| ProtocolError("a frame longer than memory"))?;
        Ok(Head { message, len })
    }
}

/// The other side sent something that it never sends, or wrote it into the shared segment: what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ProtocolError(pub(crate) &'static str);

impl std::error::Error for ProtocolError {}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "protocol error: {}", self.0)
    }
}

/// The body of [`Message::Welcome`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Welcome {
    /// The process to live for.
    pub(crate) parent: u32,
    /// The worker's place in its pool, and its name.
    pub(crate) number: u32,
    pub(crate) name: String,
    /// Where each pool was built that this process is a worker of, the outermost first.
    pub(crate) ancestry: Vec<u64>,
    /// Whether there is another processor for the parent to run on while the worker spins.
    pub(crate) may_spin: bool,
    /// Bytes of address space it may have, if there is a bound.
    pub(crate) address_space: Option<u64>,
    /// Whether each reply ends with when its task began and ended, see [`Times`](super::times::Times).
    pub(crate) notes_times: bool,
    /// The encoded initializer, or nothing.
    pub(crate) initializer: Vec<u8>,
    /// What is called before the worker leaves, or nothing.
    pub(crate) on_exit: Vec<u8>,
}

impl Welcome {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.parent.to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.address_space.map_or(0, |limit| limit.max(1)).to_le_bytes());
        bytes.push(u8::from(self.may_spin) | u8::from(self.notes_times) << 1);
        put(&mut bytes, self.name.as_bytes());
        let ancestry: Vec<u8> = self.ancestry.iter().flat_map(|place| place.to_le_bytes()).collect();
        put(&mut bytes, &ancestry);
        put(&mut bytes, &self.initializer);
        put(&mut bytes, &self.on_exit);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let cut = ProtocolError("a welcome that is cut short");
        let mut rest = bytes;
        let numbers = take(&mut rest, 17).ok_or(cut)?;
        let word = |at: usize| u32::from_le_bytes(numbers[at..at + 4].try_into().expect("four bytes"));
        let limit = u64::from_le_bytes(numbers[8..16].try_into().expect("eight bytes"));
        let (may_spin, notes_times) = (numbers[16] & 1 != 0, numbers[16] & 2 != 0);
        let name = String::from_utf8_lossy(get(&mut rest).ok_or(cut)?).into_owned();
        let places = get(&mut rest).ok_or(cut)?.chunks_exact(8);
        let ancestry =
            places.map(|place| u64::from_le_bytes(place.try_into().expect("eight bytes"))).collect();
        let initializer = get(&mut rest).ok_or(cut)?.to_vec();
        let on_exit = get(&mut rest).ok_or(cut)?.to_vec();
        let address_space = (limit != 0).then_some(limit);
        let (parent, number) = (word(0), word(4));
        Ok(Welcome {
            parent,
            number,
            name,
            ancestry,
            may_spin,
            address_space,
            notes_times,
            initializer,
            on_exit,
        })
    }
}

/// The bytes of a length.
pub(crate) const LENGTH: usize = 8;

/// Appends the length that stands before a part of a body.
pub(crate) fn put_length(body: &mut Vec<u8>, len: usize) {
    body.extend_from_slice(&(len as u64).to_le_bytes());
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    put_length(bytes, part.len());
    bytes.extend_from_slice(part);
}

/// Takes the next part, behind its length, off the front.
pub(crate) fn get<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let len = u64::from_le_bytes(take(rest, LENGTH)?.try_into().ok()?);
    take(rest, usize::try_from(len).ok()?)
}

fn take<'b>(rest: &mut &'b [u8], len: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::{HEAD, Head, Message, Welcome};

    #[test]
    fn heads_there_and_back() {
        for message in [
            Message::Hello { protocol: 7 },
            Message::Welcome,
            Message::Ready,
            Message::Batch { number: 7, tasks: u32::MAX },
            Message::Reply { batch: 7, index: u32::MAX },
            Message::Doorbell,
            Message::CannotStart,
            Message::Blob { children: 7 },
            Message::BlobInMemory { children: u32::MAX },
            Message::Forget,
            Message::Arguments,
            Message::Results,
            Message::Notes { level: 5 },
        ] {
            let head = Head { message, len: 1 << 40 };
            assert_eq!(Head::from_bytes(&head.to_bytes()), Ok(head));
        }
        assert!(Head::from_bytes(&[0; HEAD]).is_err());
        assert!(Head::from_bytes(&[5; HEAD]).is_err());
    }

    #[test]
    fn a_head_with_bits_that_are_never_set_is_an_error() {
        for message in [Message::Hello { protocol: 1 }, Message::Welcome, Message::Doorbell] {
            let mut bytes = Head { message, len: 0 }.to_bytes();
            bytes[8] = 1;
            assert!(Head::from_bytes(&bytes).is_err(), "{message:?}");
        }
        for at in [1, 2, 3, 12, 15] {
            let mut bytes = Head { message: Message::Reply { batch: 1, index: 2 }, len: 0 }.to_bytes();
            bytes[at] = 1;
            assert!(Head::from_bytes(&bytes).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_welcome_there_and_back_and_never_cut() {
        let welcome = Welcome {
            parent: 1,
            number: 2,
            name: "fetch_2".into(),
            ancestry: vec![3, 4],
            may_spin: true,
            address_space: Some(5),
            notes_times: true,
            initializer: vec![6; 7],
            on_exit: vec![8; 9],
        };
        let bytes = welcome.to_bytes();
        assert_eq!(Welcome::from_bytes(&bytes), Ok(welcome));
        for cut in 0..bytes.len() {
            assert!(Welcome::from_bytes(&bytes[..cut]).is_err());
        }
    }
}
