//! The bytes: one tag per value, then what the tag calls for.
//!
//! ```text
//! scalar         tag, the value in its own width, little-endian
//! UNIT NONE      tag
//! SOME           tag, value
//! STR BYTES      tag, length, bytes
//! APART_STR, APART_BYTES  tag, length, the number by which the reader finds the bytes elsewhere
//! SEQ            tag, count, values                                (also tuples)
//! RUN            tag, count, tag of a scalar, scalars without tags
//! APART_RUN      tag, count, tag of a scalar (`is_bulk`), the number by which the reader finds the scalars elsewhere
//! MAP            tag, count, (key, value)s
//! STRUCT         tag, count, (name, value)s
//! UNIT_VARIANT   tag, name
//! VARIANT        tag, name, value                                  (what the variant holds)
//! ```
//!
//! Lengths and counts are varints: seven bits a byte, the lowest first. A name is the number of a name that this message
//! spelled before, or the next free number and, once, length and bytes. A newtype struct is what is inside it.
//!
//! Every value takes at least one byte, so no count can be larger than the bytes that are left.

/// How many values may lie inside one another: containers, `Some`, newtypes. As in serde_json, so that no value can use up
/// the stack on either side.
pub(super) const MAX_DEPTH: u8 = 128;

/// Longest tuple that may mix kinds: what is longer is an array, and worth a run.
pub(super) const MAX_TUPLE: usize = 16;

pub(super) mod tag {
    //! 0 is no tag: `run` fields use it for "none".
    pub(crate) const BOOL: u8 = 1;
    pub(crate) const U8: u8 = 2;
    pub(crate) const I8: u8 = 3;
    pub(crate) const U16: u8 = 4;
    pub(crate) const I16: u8 = 5;
    pub(crate) const U32: u8 = 6;
    pub(crate) const I32: u8 = 7;
    pub(crate) const F32: u8 = 8;
    pub(crate) const CHAR: u8 = 9;
    pub(crate) const U64: u8 = 10;
    pub(crate) const I64: u8 = 11;
    pub(crate) const F64: u8 = 12;
    pub(crate) const U128: u8 = 13;
    pub(crate) const I128: u8 = 14;
    pub(crate) const UNIT: u8 = 15;
    pub(crate) const NONE: u8 = 16;
    pub(crate) const SOME: u8 = 17;
    pub(crate) const STR: u8 = 18;
    pub(crate) const BYTES: u8 = 19;
    pub(crate) const SEQ: u8 = 20;
    pub(crate) const RUN: u8 = 21;
    pub(crate) const MAP: u8 = 22;
    pub(crate) const STRUCT: u8 = 23;
    pub(crate) const UNIT_VARIANT: u8 = 24;
    pub(crate) const VARIANT: u8 = 25;
    pub(crate) const APART_STR: u8 = 26;
    pub(crate) const APART_BYTES: u8 = 27;
    pub(crate) const APART_RUN: u8 = 28;
}

/// The bytes of a scalar behind its tag; `None` for every other tag.
pub(super) fn width(tag: u8) -> Option<usize> {
    match tag {
        tag::BOOL | tag::U8 | tag::I8 => Some(1),
        tag::U16 | tag::I16 => Some(2),
        tag::U32 | tag::I32 | tag::F32 | tag::CHAR => Some(4),
        tag::U64 | tag::I64 | tag::F64 => Some(8),
        tag::U128 | tag::I128 => Some(16),
        _ => None,
    }
}

/// Whether runs of these are written and read many at a time, and may lie apart. The others are rare in bulk.
pub(super) fn is_bulk(kind: u8) -> bool {
    width(kind).is_some_and(|width| width <= 8) && kind != tag::CHAR
}

#[inline]
pub(super) fn write_varint(number: usize, out: &mut Vec<u8>) {
    if number < 0x80 { out.push(number as u8) } else { write_long(number, out) }
}

fn write_long(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The number and what follows it. `None` when the bytes end within it or it doesn't fit.
#[inline]
pub(super) fn read_varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes.split_first() {
        Some((&byte, rest)) if byte < 0x80 => Some((byte.into(), rest)),
        _ => read_long(bytes),
    }
}

fn read_long(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_usize;
    for (at, &byte) in bytes.iter().enumerate() {
        let bits = usize::from(byte & 0x7f);
        let shift = u32::try_from(at).ok()?.checked_mul(7)?;
        let shifted = bits.checked_shl(shift)?;
        if shifted >> shift != bits {
            return None;
        }
        number |= shifted;
        if byte < 0x80 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{read_varint, write_varint};

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, usize::MAX - 1, usize::MAX] {
            let mut out = Vec::new();
            write_varint(number, &mut out);
            out.push(7);
            assert_eq!(read_varint(&out), Some((number, &[7_u8][..])));
        }
    }

    #[test]
    fn what_is_cut_or_too_large_is_none() {
        assert_eq!(read_varint(&[]), None);
        assert_eq!(read_varint(&[0x80]), None);
        assert_eq!(read_varint(&[0xff; 40]), None);
        let mut over = [0xff; 10];
        over[9] = 2; // bit 64
        assert_eq!(read_varint(&over), None);
    }
}
