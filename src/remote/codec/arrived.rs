//! [`Arrived`]: bytes that came, of which one large string may lie apart.
//!
//! A string's bytes, or those that `serde_bytes` marks, would be copied once more, from where they were received to where
//! the value wants them. So a transport may look at the beginning of what comes ([`find_bulk`]) and receive such a string in
//! memory of its own, which then becomes the value's. What is found is a matter of speed, not of trust: bytes that lie
//! apart and are not what the decoder meets at that place are an error.

use super::wire::{MAX_DEPTH, read_varint, tag, width};
use std::cell::Cell;
use std::ops::Range;

/// The bytes of a string that lies apart, until a value takes them.
pub(crate) struct Bulk {
    /// Where in the bytes it belongs.
    at: usize,
    len: usize,
    bytes: Cell<Vec<u8>>,
}

impl Bulk {
    pub(crate) fn new(at: usize, bytes: Vec<u8>) -> Self {
        Bulk { at, len: bytes.len(), bytes: Cell::new(bytes) }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn take(&self) -> Vec<u8> {
        self.bytes.take()
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Arrived<'a> {
    /// All but the string.
    bytes: &'a [u8],
    /// The string, and how many of `bytes` stand before it.
    bulk: Option<(usize, &'a Bulk)>,
}

impl<'a, B: AsRef<[u8]> + ?Sized> From<&'a B> for Arrived<'a> {
    fn from(bytes: &'a B) -> Self {
        Arrived { bytes: bytes.as_ref(), bulk: None }
    }
}

impl<'a> Arrived<'a> {
    /// With a string, if one lies apart.
    pub(crate) fn with_bulk(bytes: &'a [u8], bulk: Option<&'a Bulk>) -> Self {
        Arrived { bytes, bulk: bulk.filter(|bulk| bulk.at <= bytes.len()).map(|bulk| (bulk.at, bulk)) }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.bulk.map_or(0, |(_, bulk)| bulk.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What does not lie apart.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Appends all of it, the string in its place.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        match self.bulk {
            None => out.extend_from_slice(self.bytes),
            Some((at, bulk)) => {
                let (front, rest) = self.bytes.split_at(at);
                out.extend_from_slice(front);
                out.extend_from_slice(&bulk.take());
                out.extend_from_slice(rest);
            }
        }
    }

    /// The string, and how many bytes stand behind it.
    pub(super) fn bulk(&self) -> Option<(usize, &'a Bulk)> {
        self.bulk.map(|(at, bulk)| (self.bytes.len() - at, bulk))
    }

    /// The first bytes and the rest. `None` if there are fewer, or one of them lies apart.
    pub(crate) fn front(self, len: usize) -> Option<(&'a [u8], Self)> {
        let (front, rest) = self.split(len)?;
        front.bulk.is_none().then_some((front.bytes, rest))
    }

    /// The first bytes and the rest, the string with those that it lies between. `None` if there are fewer, or the
    /// string would be cut.
    pub(crate) fn split(self, len: usize) -> Option<(Self, Self)> {
        let whole = |bytes| Arrived { bytes, bulk: None };
        match self.bulk {
            None => self.bytes.split_at_checked(len).map(|(front, rest)| (whole(front), whole(rest))),
            Some((at, bulk)) if len <= at => {
                let (front, rest) = self.bytes.split_at(len);
                Some((whole(front), Arrived { bytes: rest, bulk: Some((at - len, bulk)) }))
            }
            Some((at, bulk)) => {
                let len = len.checked_sub(bulk.len()).filter(|len| *len >= at)?;
                let (front, rest) = self.bytes.split_at_checked(len)?;
                Some((Arrived { bytes: front, bulk: Some((at, bulk)) }, whole(rest)))
            }
        }
    }
}

/// Shorter ones are copied as quickly as they are found.
const LEAST: usize = 128 << 10;

/// Where the first large string of a value lies, if the value's beginning shows it. The bytes are input: whatever they
/// are, the answer is right or none.
pub(crate) fn find_bulk(beginning: &[u8]) -> Option<Range<usize>> {
    /// A container that is open: how many values it still holds, and whether each has a name before it.
    struct Open {
        left: usize,
        named: bool,
    }
    let mut rest = beginning;
    let mut names = 0;
    let mut open = vec![Open { left: 1, named: false }];
    while let Some(innermost) = open.last_mut() {
        if innermost.left == 0 {
            open.pop();
            continue;
        }
        innermost.left -= 1;
        if innermost.named {
            skip_name(&mut rest, &mut names)?;
        }
        let [tag] = take(&mut rest, 1)? else { return None };
        match *tag {
            tag::STR | tag::BYTES => {
                let len = number(&mut rest)?;
                if len >= LEAST {
                    let at = beginning.len() - rest.len();
                    return Some(at..at.checked_add(len)?);
                }
                take(&mut rest, len)?;
            }
            tag::RUN => {
                let count = number(&mut rest)?;
                let [kind] = take(&mut rest, 1)? else { return None };
                take(&mut rest, count.checked_mul(width(*kind)?)?)?;
            }
            tag::UNIT | tag::NONE => {}
            tag::UNIT_VARIANT => skip_name(&mut rest, &mut names)?,
            tag::VARIANT => {
                skip_name(&mut rest, &mut names)?;
                open.push(Open { left: 1, named: false });
            }
            tag::SOME => open.push(Open { left: 1, named: false }),
            tag::SEQ => open.push(Open { left: number(&mut rest)?, named: false }),
            tag::STRUCT => open.push(Open { left: number(&mut rest)?, named: true }),
            tag::MAP => open.push(Open { left: number(&mut rest)?.checked_mul(2)?, named: false }),
            scalar => {
                take(&mut rest, width(scalar)?)?;
            }
        }
        if open.len() > usize::from(MAX_DEPTH) {
            return None;
        }
    }
    None
}

fn skip_name(rest: &mut &[u8], names: &mut usize) -> Option<()> {
    if number(rest)? == *names {
        *names += 1;
        let len = number(rest)?;
        take(rest, len)?;
    }
    Some(())
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let (number, behind) = read_varint(rest)?;
    *rest = behind;
    Some(number)
}

fn take<'b>(rest: &mut &'b [u8], len: usize) -> Option<&'b [u8]> {
    let (taken, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::{Arrived, Bulk};

    #[test]
    fn a_string_apart_goes_with_the_half_it_lies_in() {
        let bulk = Bulk::new(4, vec![9; 10]);
        let all = Arrived::with_bulk(b"abcdef", Some(&bulk));
        assert_eq!(all.len(), 16);
        let sizes =
            |len| all.split(len).map(|(front, rest)| (front.len(), front.bulk().is_some(), rest.len()));
        assert_eq!(sizes(3), Some((3, false, 13)));
        assert_eq!(sizes(4), Some((4, false, 12)));
        assert_eq!(sizes(5), None);
        assert_eq!(sizes(14), Some((14, true, 2)));
        assert_eq!(sizes(16), Some((16, true, 0)));
        assert_eq!(sizes(17), None);
        assert_eq!(all.front(4).map(|(front, rest)| (front, rest.len())), Some((&b"abcd"[..], 12)));
        assert!(all.front(14).is_none());
        assert!(Arrived::with_bulk(b"abc", Some(&bulk)).bulk().is_none());
    }
}
