//! [`Scalars`]: the elements of a run, read from where they lie side by side.

use super::{Decoder, Error, all_read, signed, widened};
use crate::remote::codec::arrived::{Looked, ReadApart};
use crate::remote::codec::wire::{MAX_DEPTH, is_bulk, tag, width};
use serde_core::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_core::forward_to_deserialize_any;
use std::vec;

impl<'de> Decoder<'de> {
    /// `count` scalars of one kind, which fit into what is left.
    pub(super) fn run<V: Visitor<'de>>(
        &mut self,
        kind: u8,
        width: usize,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        // For bytes it is no faster.
        if !is_bulk(kind) || kind == tag::U8 {
            return self.seq(kind, count, visitor);
        }
        let bytes = self.bytes(count * width)?;
        self.here(kind, bytes, visitor)
    }

    /// The same, elsewhere. What is there was looked at before anybody allocates.
    pub(super) fn apart_run<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let (count, [kind], number) = (self.number()?, self.array()?, self.number()?);
        let Some(width) = width(kind).filter(|_| is_bulk(kind)) else {
            return Err(self.fail("a run that lies apart is not of numbers"));
        };
        let look =
            |apart: &'de dyn ReadApart| Some((apart.look(number as u64, count.checked_mul(width)?)?, apart));
        match self.apart.and_then(look) {
            Some((Looked::Here(bytes), _)) => self.here(kind, bytes, visitor),
            Some((Looked::InParts, apart)) => {
                let number = number as u64;
                match width {
                    1 => self.scalars(kind, Parts::<1>::new(apart, number, count), visitor),
                    2 => self.scalars(kind, Parts::<2>::new(apart, number, count), visitor),
                    4 => self.scalars(kind, Parts::<4>::new(apart, number, count), visitor),
                    _ => self.scalars(kind, Parts::<8>::new(apart, number, count), visitor),
                }
            }
            None => Err(self.fail("a run that lies apart is not there")),
        }
    }

    fn here<V: Visitor<'de>>(&mut self, kind: u8, bytes: &'de [u8], visitor: V) -> Result<V::Value, Error> {
        match width(kind) {
            Some(1) => self.scalars(kind, numbers::<1>(bytes), visitor),
            Some(2) => self.scalars(kind, numbers::<2>(bytes), visitor),
            Some(4) => self.scalars(kind, numbers::<4>(bytes), visitor),
            _ => self.scalars(kind, numbers::<8>(bytes), visitor),
        }
    }

    fn scalars<V: Visitor<'de>>(
        &mut self,
        kind: u8,
        numbers: impl ExactSizeIterator<Item = u64>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let count = numbers.len();
        self.inside(|decoder| {
            let (depth, mut left) = (decoder.depth, Left::default());
            let value =
                visitor.visit_seq(Scalars { numbers, kind, depth, unread: false, left: &mut left })?;
            all_read(left.elements, count)?;
            if left.unread { Err(Error::new("an element was not read")) } else { Ok(value) }
        })
    }
}

/// What is left of a run: the bits of each scalar, whatever its width. The decoder's own way of reading elements moves its
/// whole state for each; this has nothing but the scalars.
///
/// A visitor gets it by value, so that it lies in registers.
struct Scalars<'r, I: ExactSizeIterator<Item = u64>> {
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
struct Left {
    /// How many elements were not asked for.
    elements: usize,
    /// Whether one was asked for and not read.
    unread: bool,
}

impl<I: ExactSizeIterator<Item = u64>> Drop for Scalars<'_, I> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.left = Left { elements: self.numbers.len(), unread: self.unread };
    }
}

/// Those that can be read where they lie.
#[inline(always)]
fn numbers<const W: usize>(bytes: &[u8]) -> impl ExactSizeIterator<Item = u64> {
    bytes.as_chunks::<W>().0.iter().map(widen)
}

#[inline(always)]
fn widen<const W: usize>(scalar: &[u8; W]) -> u64 {
    let mut bits = [0; 8];
    bits[..W].copy_from_slice(scalar);
    u64::from_le_bytes(bits)
}

/// Those that lie apart, copied part by part.
///
/// No function but those inlined gets the address of this: what its visitor stores could else be a part of it, and for
/// each scalar it would be read from memory anew.
struct Parts<'de, const W: usize> {
    apart: &'de dyn ReadApart,
    /// Where those lie that were not copied yet, and how many they are.
    number: u64,
    left: usize,
    part: vec::IntoIter<[u8; W]>,
}

impl<'de, const W: usize> Parts<'de, W> {
    fn new(apart: &'de dyn ReadApart, number: u64, left: usize) -> Self {
        Parts { apart, number, left, part: Vec::new().into_iter() }
    }
}

/// The next part, of so many. None if there is none, or it can't be read.
#[cold]
#[inline(never)]
fn part<const W: usize>(apart: &dyn ReadApart, number: u64, left: usize) -> Option<vec::IntoIter<[u8; W]>> {
    /// Near the processor from being copied to being read.
    const PART: usize = 4 << 10;
    let count = left.min(PART);
    let bytes = apart.read(number, count * W).filter(|_| count > 0)?;
    Some(bytes.as_chunks::<W>().0.to_vec().into_iter())
}

impl<const W: usize> Iterator for Parts<'_, W> {
    type Item = u64;

    #[inline(always)]
    fn next(&mut self) -> Option<u64> {
        if let Some(scalar) = self.part.next() {
            return Some(widen(&scalar));
        }
        let part = part::<W>(self.apart, self.number, self.left)?;
        self.number += (part.len() * W) as u64;
        self.left -= part.len();
        drop(std::mem::replace(&mut self.part, part));
        self.part.next().as_ref().map(widen)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.part.len() + self.left;
        (left, Some(left))
    }
}

impl<const W: usize> ExactSizeIterator for Parts<'_, W> {}

impl<'de, I: ExactSizeIterator<Item = u64>> SeqAccess<'de> for Scalars<'_, I> {
    type Error = Error;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(bits) = self.numbers.next() else {
            return if self.numbers.len() == 0 { Ok(None) } else { Err(lost()) };
        };
        let mut is_read = false;
        let element = Element { bits, kind: self.kind, depth: self.depth, is_read: &mut is_read };
        let value = seed.deserialize(element)?;
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

/// Looked at, it was there.
#[cold]
#[inline(never)]
fn lost() -> Error {
    Error::new("a run that lies apart is not there")
}

/// One scalar of a run.
struct Element<'e> {
    bits: u64,
    kind: u8,
    depth: u8,
    is_read: &'e mut bool,
}

impl Element<'_> {
    #[inline(always)]
    fn read(self) -> u64 {
        *self.is_read = true;
        self.bits
    }

    #[inline(always)]
    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let kind = self.kind;
        say(kind, self.read(), visitor)
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

#[inline]
fn truth(bits: u64) -> Result<bool, Error> {
    match bits {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::new("a bool is none")),
    }
}

/// What a scalar is, said as serde_json would say it. It gets nothing of the run, which then lies in registers.
#[cold]
#[inline(never)]
fn say<'de, V: Visitor<'de>>(kind: u8, bits: u64, visitor: V) -> Result<V::Value, Error> {
    match kind {
        tag::BOOL => visitor.visit_bool(truth(bits)?),
        tag::I8 => signed((bits as i8).into(), visitor),
        tag::I16 => signed((bits as i16).into(), visitor),
        tag::I32 => signed((bits as i32).into(), visitor),
        tag::I64 => signed(bits as i64, visitor),
        tag::F32 => visitor.visit_f64(widened(f32::from_bits(bits as u32))),
        tag::F64 => visitor.visit_f64(f64::from_bits(bits)),
        _ => visitor.visit_u64(bits),
    }
}

macro_rules! exact {
    ($($method:ident $kind:ident $visit:ident |$bits:ident| $number:expr;)*) => {$(
        #[inline(always)]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            if self.kind == tag::$kind {
                let $bits = self.read();
                return visitor.$visit($number);
            }
            self.any(visitor)
        }
    )*};
}

/// As the decoder's own: asked for a kind that is there, it gives exactly that; else it says what is there.
impl<'de> Deserializer<'de> for Element<'_> {
    type Error = Error;

    exact! {
        deserialize_u8 U8 visit_u8 |bits| bits as u8;
        deserialize_i8 I8 visit_i8 |bits| bits as i8;
        deserialize_u16 U16 visit_u16 |bits| bits as u16;
        deserialize_i16 I16 visit_i16 |bits| bits as i16;
        deserialize_i32 I32 visit_i32 |bits| bits as i32;
        deserialize_u32 U32 visit_u32 |bits| bits as u32;
        deserialize_f32 F32 visit_f32 |bits| f32::from_bits(bits as u32);
        deserialize_i64 I64 visit_i64 |bits| bits as i64;
        deserialize_u64 U64 visit_u64 |bits| bits;
        deserialize_f64 F64 visit_f64 |bits| f64::from_bits(bits);
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }

    #[inline(always)]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.kind == tag::BOOL {
            return visitor.visit_bool(truth(self.read())?);
        }
        self.any(visitor)
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
