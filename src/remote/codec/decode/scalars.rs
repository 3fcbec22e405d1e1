//! [`Scalars`]: the elements of a run of numbers, read from where they lie side by side.

use super::{Error, ReadApart, signed, widened};
use crate::remote::codec::wire::{MAX_DEPTH, tag};
use serde_core::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_core::forward_to_deserialize_any;
use std::borrow::Cow;
use std::iter::Copied;
use std::slice;

/// What is left of a run of numbers that have `W` bytes each. The decoder's own way of reading elements moves its whole state
/// for each; this has nothing but the bytes.
///
/// A visitor gets it by value, so that it lies in registers.
pub(super) struct Scalars<'r, I: ExactSizeIterator<Item = [u8; W]>, const W: usize> {
    numbers: I,
    kind: u8,
    /// How deep an element may go.
    depth: u8,
    /// Whether an element was asked for and not read.
    unread: bool,
    left: &'r mut Left,
}

/// What a visitor left of a run.
#[derive(Default)]
pub(super) struct Left {
    /// How many elements were not asked for.
    pub(super) elements: usize,
    /// Whether one was asked for and not read.
    pub(super) unread: bool,
}

impl<'r, 'de, const W: usize> Scalars<'r, Copied<slice::Iter<'de, [u8; W]>>, W> {
    /// `bytes` are those of the numbers.
    pub(super) fn of_bytes(kind: u8, bytes: &'de [u8], depth: u8, left: &'r mut Left) -> Self {
        let numbers = bytes.as_chunks().0.iter().copied();
        Scalars { numbers, kind, depth, unread: false, left }
    }
}

impl<'r, 'de, const W: usize> Scalars<'r, Copying<'de, W>, W> {
    /// `parts` have those of the numbers.
    pub(super) fn of_parts(kind: u8, parts: Parts<'de>, depth: u8, left: &'r mut Left) -> Self {
        Scalars {
            numbers: Copying { part: Cow::Borrowed(&[]), at: 0, parts },
            kind,
            depth,
            unread: false,
            left,
        }
    }
}

impl<I: ExactSizeIterator<Item = [u8; W]>, const W: usize> Drop for Scalars<'_, I, W> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.left = Left { elements: self.numbers.len(), unread: self.unread };
    }
}

/// Bytes that lie apart, copied part by part.
pub(super) struct Parts<'de> {
    apart: &'de dyn ReadApart,
    number: u64,
    /// How many were not copied yet.
    left: usize,
}

impl<'de> Parts<'de> {
    pub(super) fn new(apart: &'de dyn ReadApart, number: u64, len: usize) -> Self {
        Parts { apart, number, left: len }
    }

    /// The next ones. None if there are no more, or they can't be read.
    #[inline(never)]
    fn next(&mut self) -> Option<Cow<'de, [u8]>> {
        /// Near the processor from being copied to being read.
        const PART: usize = 64 << 10;
        let len = self.left.min(PART);
        let part = self.apart.read(self.number, len).filter(|_| len > 0)?;
        self.number += len as u64;
        self.left -= len;
        Some(part)
    }
}

/// Numbers out of them.
pub(super) struct Copying<'de, const W: usize> {
    part: Cow<'de, [u8]>,
    /// What was read of the part.
    at: usize,
    parts: Parts<'de>,
}

impl<const W: usize> Iterator for Copying<'_, W> {
    type Item = [u8; W];

    #[inline(always)]
    fn next(&mut self) -> Option<[u8; W]> {
        if self.at == self.part.len() {
            self.part = self.parts.next()?;
            self.at = 0;
        }
        let number = self.part.get(self.at..)?.first_chunk().copied()?;
        self.at += W;
        Some(number)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.part.len() - self.at + self.parts.left) / W;
        (left, Some(left))
    }
}

impl<const W: usize> ExactSizeIterator for Copying<'_, W> {}

/// Looked at, it was there.
#[cold]
#[inline(never)]
pub(super) fn lost() -> Error {
    Error::new("a run that lies apart is not there")
}

impl<'de, I: ExactSizeIterator<Item = [u8; W]>, const W: usize> SeqAccess<'de> for Scalars<'_, I, W> {
    type Error = Error;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(bytes) = self.numbers.next() else {
            return if self.numbers.len() == 0 { Ok(None) } else { Err(lost()) };
        };
        let mut is_read = false;
        let value =
            seed.deserialize(Element { bytes, kind: self.kind, depth: self.depth, is_read: &mut is_read })?;
        if !is_read {
            self.unread = true;
        }
        Ok(Some(value))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.numbers.len())
    }
}

/// One number of a run.
struct Element<'e, const W: usize> {
    bytes: [u8; W],
    kind: u8,
    depth: u8,
    is_read: &'e mut bool,
}

impl<const W: usize> Element<'_, W> {
    /// `N` is `W`, or else this is never asked for.
    #[inline(always)]
    fn number<const N: usize>(self) -> [u8; N] {
        *self.is_read = true;
        self.bytes.first_chunk().copied().unwrap_or([0; N])
    }

    /// What the number is, said as serde_json would say it.
    #[cold]
    #[inline(never)]
    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind {
            tag::U8 => visitor.visit_u64(u8::from_le_bytes(self.number()).into()),
            tag::U32 => visitor.visit_u64(u32::from_le_bytes(self.number()).into()),
            tag::U64 => visitor.visit_u64(u64::from_le_bytes(self.number())),
            tag::I32 => signed(i32::from_le_bytes(self.number()).into(), visitor),
            tag::I64 => signed(i64::from_le_bytes(self.number()), visitor),
            tag::F32 => visitor.visit_f64(widened(f32::from_le_bytes(self.number()))),
            _ => visitor.visit_f64(f64::from_le_bytes(self.number())),
        }
    }

    /// One level down: a type may hold itself in a newtype or an `Option` for ever.
    #[inline(always)]
    fn inside(mut self) -> Result<Self, Error> {
        match self.depth.checked_sub(1) {
            Some(depth) => {
                self.depth = depth;
                Ok(self)
            }
            None => Err(Error::new(format_args!("more than {MAX_DEPTH} values lie inside one another"))),
        }
    }
}

macro_rules! exact {
    ($($method:ident $kind:ident $visit:ident $type:ty;)*) => {$(
        #[inline(always)]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            if W == size_of::<$type>() && self.kind == tag::$kind {
                return visitor.$visit(<$type>::from_le_bytes(self.number()));
            }
            self.any(visitor)
        }
    )*};
}

/// As the decoder's own: asked for a kind that is there, it gives exactly that; else it says what is there.
impl<'de, const W: usize> Deserializer<'de> for Element<'_, W> {
    type Error = Error;

    exact! {
        deserialize_u8 U8 visit_u8 u8;
        deserialize_i32 I32 visit_i32 i32;
        deserialize_u32 U32 visit_u32 u32;
        deserialize_f32 F32 visit_f32 f32;
        deserialize_i64 I64 visit_i64 i64;
        deserialize_u64 U64 visit_u64 u64;
        deserialize_f64 F64 visit_f64 f64;
    }

    forward_to_deserialize_any! {
        bool i8 i16 u16 i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct enum
        identifier ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.any(visitor)
    }

    /// To JSON `Some(x)` and `x` are the same.
    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self.inside()?)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self.inside()?)
    }
}
