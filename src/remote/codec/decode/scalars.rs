//! [`Scalars`]: the elements of a run of numbers, read from where they lie side by side.

use super::{Error, signed, widened};
use crate::remote::codec::wire::{MAX_DEPTH, tag};
use serde_core::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_core::forward_to_deserialize_any;

/// What is left of a run. The decoder's own way of reading elements moves its whole state for each; this has nothing but the
/// bytes.
pub(super) struct Scalars<'de> {
    bytes: &'de [u8],
    left: usize,
    kind: u8,
    /// How deep an element may go.
    depth: u8,
}

impl<'de> Scalars<'de> {
    /// Whether a run of this kind is read so: the others are rare in bulk, and each costs code for each type of element.
    pub(super) fn is_fast(kind: u8) -> bool {
        matches!(kind, tag::U8 | tag::I32 | tag::U32 | tag::F32 | tag::I64 | tag::U64 | tag::F64)
    }

    /// `bytes` are those of `count` numbers.
    pub(super) fn new(kind: u8, count: usize, bytes: &'de [u8], depth: u8) -> Self {
        Scalars { bytes, left: count, kind, depth }
    }

    /// How many elements were not asked for.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Whether each element that was asked for was read, too.
    pub(super) fn is_read(&self) -> bool {
        self.bytes.is_empty()
    }

    #[inline(always)]
    fn number<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        match self.bytes.split_first_chunk() {
            Some((number, rest)) => {
                self.bytes = rest;
                Ok(*number)
            }
            None => Err(too_few()),
        }
    }

    /// What the number is, said as serde_json would say it.
    #[cold]
    #[inline(never)]
    fn any<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.kind {
            tag::U8 => visitor.visit_u64(u8::from_le_bytes(self.number()?).into()),
            tag::U32 => visitor.visit_u64(u32::from_le_bytes(self.number()?).into()),
            tag::U64 => visitor.visit_u64(u64::from_le_bytes(self.number()?)),
            tag::I32 => signed(i32::from_le_bytes(self.number()?).into(), visitor),
            tag::I64 => signed(i64::from_le_bytes(self.number()?), visitor),
            tag::F32 => visitor.visit_f64(widened(f32::from_le_bytes(self.number()?))),
            tag::F64 => visitor.visit_f64(f64::from_le_bytes(self.number()?)),
            _ => Err(too_few()),
        }
    }
}

#[cold]
fn too_few() -> Error {
    Error::new("the bytes end too early")
}

impl<'de> SeqAccess<'de> for Scalars<'de> {
    type Error = Error;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let depth = self.depth;
        seed.deserialize(Element { run: self, depth }).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The next number of a run.
struct Element<'r, 'de> {
    run: &'r mut Scalars<'de>,
    depth: u8,
}

impl Element<'_, '_> {
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
            if self.run.kind == tag::$kind {
                return visitor.$visit(<$type>::from_le_bytes(self.run.number()?));
            }
            self.run.any(visitor)
        }
    )*};
}

/// As the decoder's own: asked for a kind that is there, it gives exactly that; else it says what is there.
impl<'de> Deserializer<'de> for Element<'_, 'de> {
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
        self.run.any(visitor)
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
