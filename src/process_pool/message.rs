//! What the two sides say to each other: frames on a stream socket, each with a fixed head.
//!
//! ```text
//! head:  kind 1 | slot-free zero 3 | a 4 | b 4 | zero 4 | length 8      then `length` bytes
//! ```
//!
//! | kind | from | a, b | body |
//! |---|---|---|---|
//! | hello | worker | protocol, - | fingerprint: the first thing that is said at all |
//! | welcome | parent | -, - | what the worker must know; the segment comes along as a descriptor |
//! | ready | worker | 1 if the initializer succeeded, - | its reply otherwise |
//! | batch | parent | number, tasks | for each task its length (8) and its parcel |
//! | reply | worker | batch, index | the reply |
//! | doorbell | worker | -, - | nothing: look at the segment |
//! | cannot start | worker | -, - | why it can't come up: the last thing that it says |
//!
//! Bytes from a worker are input, not trust: whatever doesn't fit is an error, and no length is believed before bytes
//! of that length are there.

use std::fmt;

/// The bytes of a head.
pub(super) const HEAD: usize = 24;

/// Changes whenever two builds with the same fingerprint could misunderstand each other, which can't be; it guards
/// against a wrong process at the other end.
pub(super) const PROTOCOL: u32 = 0x6366_7001;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    Hello = 1,
    Welcome,
    Ready,
    Batch,
    Reply,
    Doorbell,
    CannotStart,
}

/// The head of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) a: u32,
    pub(super) b: u32,
    pub(super) len: usize,
}

impl Head {
    pub(super) fn new(kind: Kind, a: u32, b: u32, len: usize) -> Self {
        Head { kind, a, b, len }
    }

    pub(super) fn to_bytes(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[0] = self.kind as u8;
        bytes[4..8].copy_from_slice(&self.a.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.b.to_le_bytes());
        bytes[16..].copy_from_slice(&(self.len as u64).to_le_bytes());
        bytes
    }

    /// Reads a head; `bytes` has as many as one.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let kind = match bytes[0] {
            1 => Kind::Hello,
            2 => Kind::Welcome,
            3 => Kind::Ready,
            4 => Kind::Batch,
            5 => Kind::Reply,
            6 => Kind::Doorbell,
            7 => Kind::CannotStart,
            _ => return Err(ProtocolError("a frame of no known kind")),
        };
        if bytes[1..4] != [0; 3] || bytes[12..16] != [0; 4] {
            return Err(ProtocolError("a frame with bits that nobody sets"));
        }
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let len = u64::from_le_bytes(bytes[16..24].try_into().expect("eight bytes"));
        let len = usize::try_from(len).map_err(|_| ProtocolError("a frame longer than memory"))?;
        Ok(Head { kind, a: word(4), b: word(8), len })
    }
}

/// The other side said something that it never says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ProtocolError(pub(super) &'static str);

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it sent {}, which no worker does", self.0)
    }
}

/// What a worker says that can't come up: its frame.
pub(super) fn cannot_start(why: &str) -> Vec<u8> {
    let mut frame = Head::new(Kind::CannotStart, 0, 0, why.len()).to_bytes().to_vec();
    frame.extend_from_slice(why.as_bytes());
    frame
}

/// What a worker is told before its first task.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Welcome {
    /// The process to live for.
    pub(super) parent: u32,
    /// The worker's place in its pool, and its name.
    pub(super) number: u32,
    pub(super) name: String,
    /// Where each pool was built that this process is a worker of, the outermost first.
    pub(super) ancestry: Vec<u64>,
    /// Whether there is another processor for whoever would answer while it spins.
    pub(super) may_spin: bool,
    /// Bytes of address space it may have, if there is a bound.
    pub(super) address_space: Option<u64>,
    /// The encoded initializer, if there is one.
    pub(super) initializer: Vec<u8>,
}

impl Welcome {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.parent.to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.address_space.map_or(0, |limit| limit.max(1)).to_le_bytes());
        bytes.push(u8::from(self.may_spin));
        put(&mut bytes, self.name.as_bytes());
        let ancestry: Vec<u8> = self.ancestry.iter().flat_map(|place| place.to_le_bytes()).collect();
        put(&mut bytes, &ancestry);
        put(&mut bytes, &self.initializer);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let cut = ProtocolError("a welcome that is cut");
        let mut rest = bytes;
        let numbers = take(&mut rest, 17).ok_or(cut)?;
        let word = |at: usize| u32::from_le_bytes(numbers[at..at + 4].try_into().expect("four bytes"));
        let limit = u64::from_le_bytes(numbers[8..16].try_into().expect("eight bytes"));
        let may_spin = numbers[16] != 0;
        let name = String::from_utf8_lossy(get(&mut rest).ok_or(cut)?).into_owned();
        let places = get(&mut rest).ok_or(cut)?.chunks_exact(8);
        let ancestry =
            places.map(|place| u64::from_le_bytes(place.try_into().expect("eight bytes"))).collect();
        let initializer = get(&mut rest).ok_or(cut)?.to_vec();
        let address_space = (limit != 0).then_some(limit);
        let (parent, number) = (word(0), word(4));
        Ok(Welcome { parent, number, name, ancestry, may_spin, address_space, initializer })
    }
}

/// The bytes of a length.
pub(super) const LENGTH: usize = 8;

/// Appends the length that stands before a part of a body.
pub(super) fn put_length(body: &mut Vec<u8>, len: usize) {
    body.extend_from_slice(&(len as u64).to_le_bytes());
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    put_length(bytes, part.len());
    bytes.extend_from_slice(part);
}

/// Takes the next part with its length before it off the front.
pub(super) fn get<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let len = u64::from_le_bytes(take(rest, 8)?.try_into().ok()?);
    take(rest, usize::try_from(len).ok()?)
}

fn take<'b>(rest: &mut &'b [u8], len: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::{HEAD, Head, Kind, Welcome};

    #[test]
    fn heads_there_and_back() {
        for kind in [
            Kind::Hello,
            Kind::Welcome,
            Kind::Ready,
            Kind::Batch,
            Kind::Reply,
            Kind::Doorbell,
            Kind::CannotStart,
        ] {
            let head = Head::new(kind, 7, u32::MAX, 1 << 40);
            assert_eq!(Head::from_bytes(&head.to_bytes()), Ok(head));
        }
        assert!(Head::from_bytes(&[0; HEAD]).is_err());
        assert!(Head::from_bytes(&[5; HEAD]).is_err());
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
            initializer: vec![6; 7],
        };
        let bytes = welcome.to_bytes();
        assert_eq!(Welcome::from_bytes(&bytes), Ok(welcome));
        for cut in 0..bytes.len() {
            assert!(Welcome::from_bytes(&bytes[..cut]).is_err());
        }
    }
}
