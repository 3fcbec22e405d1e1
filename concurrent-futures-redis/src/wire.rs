//! What clients and nodes send each other through the server, as values. How a server keeps them is its engine's business.
//!
//! The words are those of `PROTOCOL.md`: a *client* submits, a *node* runs, an *entry* of the stream is one *attempt* of one
//! task, an *answer* is what became of it, a *life* is what a server remembers from one start to the next.

use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The name of a client or a node: host, process and some randomness. Never used again by anybody else.
pub(crate) type Name = Arc<str>;

/// What a server remembers from one start to the next. Nothing of an old life is believed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Life(pub(crate) Arc<str>);

/// Which of a client's connections an attempt was submitted by: a later one fences what is still on its way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Session(pub(crate) u64);

/// The place of an entry in a stream: in the order in which the server took them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct EntryId {
    pub(crate) millis: u64,
    pub(crate) number: u64,
}

impl EntryId {
    /// Before every entry.
    pub(crate) const ZERO: EntryId = EntryId { millis: 0, number: 0 };

    /// The first that may follow it.
    pub(crate) fn next(self) -> EntryId {
        match self.number.checked_add(1) {
            Some(number) => EntryId { number, ..self },
            None => EntryId { millis: self.millis.saturating_add(1), number: 0 },
        }
    }

    /// Reads what `Display` writes.
    pub(crate) fn parse(text: &str) -> Option<EntryId> {
        let (millis, number) = text.split_once('-')?;
        Some(EntryId { millis: millis.parse().ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

/// What a value may have on a server, by its own rules. It ends a connection that brings more.
pub(crate) const MOST_BYTES: u64 = 512 << 20;

/// The bytes of a parcel or a reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Payload {
    Inline(Arc<[u8]>),
    /// Too large for the stream: under a key of its own. See `Link::put_argument` and `Link::put_result`.
    Beside,
}

/// Names shared data among all clients: the hash of its bytes as they lie on the server, its id among them. Nothing else is taken
/// for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct BlobName([u8; BlobName::LEN]);

impl BlobName {
    const LEN: usize = 32;

    pub(crate) fn of(bytes: &[u8]) -> Self {
        BlobName(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Of shared data so much or more goes to the server by itself.
pub(crate) const SHARED: usize = 64 << 10;

/// Before the names of the shared data that a parcel doesn't have in it: `cfs1`, how many, and each. A parcel begins otherwise.
const NAMES: [u8; 4] = *b"cfs1";

/// A parcel behind the names of what was taken out of it; without any, as it is.
pub(crate) fn with_names(names: &[BlobName], parcel: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len_with_names(names.len(), parcel.len()));
    if !names.is_empty() {
        bytes.extend_from_slice(&NAMES);
        bytes.extend_from_slice(&(names.len() as u32).to_le_bytes());
        names.iter().for_each(|name| bytes.extend_from_slice(&name.0));
    }
    bytes.extend_from_slice(parcel);
    bytes
}

/// How long that is.
pub(crate) fn len_with_names(names: usize, parcel: usize) -> usize {
    if names == 0 { parcel } else { NAMES.len() + 4 + names * BlobName::LEN + parcel }
}

/// What [`with_names`] put together. Bytes that are cut are a parcel without names, and no parcel.
pub(crate) fn split_names(bytes: &[u8]) -> (Vec<BlobName>, &[u8]) {
    let split = || {
        let (count, rest) = bytes.strip_prefix(&NAMES)?.split_first_chunk()?;
        let len = usize::try_from(u32::from_le_bytes(*count)).ok()?.checked_mul(BlobName::LEN)?;
        let (names, parcel) = rest.split_at_checked(len)?;
        let (names, _) = names.as_chunks();
        Some((names.iter().map(|name| BlobName(*name)).collect(), parcel))
    };
    split().unwrap_or((Vec::new(), bytes))
}

/// Names one attempt of one task, among all clients.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct AttemptId {
    pub(crate) client: Name,
    /// The client's number of the task, from 1.
    pub(crate) seq: u64,
    /// Which attempt it is, from 1.
    pub(crate) attempt: u32,
}

/// What a client asks for: an entry's content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Attempt {
    pub(crate) id: AttemptId,
    pub(crate) session: Session,
    /// How long the task may run.
    pub(crate) time_limit: Option<Duration>,
    /// The parcel.
    pub(crate) parcel: Payload,
    /// Says that whoever made the entry knows the queue's secret; empty without one.
    pub(crate) seal: Vec<u8>,
}

/// An attempt that a node was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) id: EntryId,
    pub(crate) attempt: Attempt,
}

/// What kind of answer: a result of any attempt resolves a task, a verdict only that of the attempt it was given on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The task has run to its end: the reply says how it ended.
    Done,
    /// Its worker process died while it ran: the reply says how. It may be tried again.
    Died,
    /// The time limit was reached, or nothing of it was run: the reply has the error.
    Verdict,
    /// Its node is gone, and it may have begun there. The reply is the node's name.
    Lost,
}

/// What became of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    /// The node's entry, none if it began in an earlier life: ids are times, and an id of this life may be the same. Of an
    /// answer that the client reads, its place in the client's reply stream.
    pub(crate) entry: Option<EntryId>,
    pub(crate) id: AttemptId,
    pub(crate) kind: Kind,
    pub(crate) reply: Payload,
    pub(crate) seal: Vec<u8>,
}

/// A node, as it registers itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NodeInfo {
    pub(crate) name: Name,
    /// The build of its program, as hexadecimal digits.
    pub(crate) build: Name,
    pub(crate) host: Name,
    pub(crate) pid: u32,
    pub(crate) slots: u32,
    /// How many tasks it runs, as of its last beat.
    pub(crate) running: u32,
}

/// What a node tells a new life of its old one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Testimony {
    /// What it was called in the old life.
    pub(crate) was: Option<Name>,
    /// What it has begun and not answered.
    pub(crate) held: Vec<AttemptId>,
    /// What it has answered lately, and the client may not have read.
    pub(crate) recent: Vec<AttemptId>,
    /// There was more of that than it keeps.
    pub(crate) is_incomplete: bool,
}

#[cfg(test)]
mod tests {
    use super::{BlobName, len_with_names, split_names, with_names};

    #[test]
    fn names_go_before_a_parcel_and_what_is_cut_has_none() {
        let names = [BlobName::of(b"one"), BlobName::of(b"other")];
        let bytes = with_names(&names, b"cfp1 parcel");
        assert_eq!(bytes.len(), len_with_names(2, 11));
        assert_eq!(split_names(&bytes), (names.to_vec(), &b"cfp1 parcel"[..]));
        assert_eq!(with_names(&[], b"cfp1 parcel"), b"cfp1 parcel");
        assert_eq!(split_names(b"cfp1 parcel"), (Vec::new(), &b"cfp1 parcel"[..]));
        for cut in 0..bytes.len() - 11 {
            assert_eq!(split_names(&bytes[..cut]), (Vec::new(), &bytes[..cut]));
        }
        assert_ne!(names[0], names[1]);
        assert!(names[0].to_string().starts_with("7692c3ad3540bb80"), "{}", names[0]);
    }
}
