//! Bytes to value. The bytes are input, not trust.

mod access;
mod scalars;

use super::arrived::{Arrived, ReadApart};
use super::error::Error;
use super::wire::{MAX_DEPTH, read_varint, tag, width};
use access::{Elements, Entries, OneEntry, Variant};
use serde_core::de::value::SeqDeserializer;
use serde_core::de::{Deserializer, Visitor};
use serde_core::forward_to_deserialize_any;
use std::borrow::Cow;

pub(super) struct Decoder<'de> {
    /// What is not read yet.
    input: &'de [u8],
    /// Where long strings and runs lie, if not in the input.
    apart: Option<&'de dyn ReadApart>,
    names: Vec<&'de str>,
    /// The tag that the elements of the run being read leave out, else zero.
    run: u8,
    /// How deep it may still go.
    depth: u8,
    /// Bytes that the open containers need at least for what they still claim to hold. So that all claims together, not each
    /// alone, fit into the input: a hundred containers, each inside the other, can't each set aside room for all of it.
    owed: usize,
    /// The first error after which the place in the input is unknown.
    failure: Option<String>,
}

impl<'de> Decoder<'de> {
    pub(super) fn new(arrived: Arrived<'de>) -> Self {
        let (input, apart) = (arrived.bytes(), arrived.apart());
        Decoder { input, apart, names: Vec::new(), run: 0, depth: MAX_DEPTH, owed: 0, failure: None }
    }

    /// An impl that swallows the error of one of its parts must not pass when that part was left half read.
    pub(super) fn finish(self) -> Result<(), Error> {
        match (self.failure, self.input.len()) {
            (Some(failure), _) => Err(Error::new(failure)),
            (None, 0) => Ok(()),
            (None, left) => Err(Error::new(format_args!("{left} bytes of it were not read"))),
        }
    }

    #[cold]
    fn fail(&mut self, text: &str) -> Error {
        self.failure.get_or_insert_with(|| text.to_owned());
        Error::new(text)
    }

    fn bytes(&mut self, len: usize) -> Result<&'de [u8], Error> {
        match self.input.split_at_checked(len) {
            Some((bytes, rest)) => {
                self.input = rest;
                Ok(bytes)
            }
            None => Err(self.fail("the bytes end too early")),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        match self.input.split_first_chunk() {
            Some((array, rest)) => {
                self.input = rest;
                Ok(*array)
            }
            None => Err(self.fail("the bytes end too early")),
        }
    }

    #[inline]
    fn number(&mut self) -> Result<usize, Error> {
        match read_varint(self.input) {
            Some((number, rest)) => {
                self.input = rest;
                Ok(number)
            }
            None => Err(self.fail("a number is cut or too large")),
        }
    }

    /// A count of things that take at least `least` bytes each: what doesn't fit is refused before anybody allocates.
    #[inline]
    fn count(&mut self, least: usize) -> Result<usize, Error> {
        let count = self.number()?;
        self.fits(count, least)?;
        Ok(count)
    }

    #[inline]
    fn fits(&mut self, count: usize, least: usize) -> Result<(), Error> {
        if count > self.input.len().saturating_sub(self.owed) / least {
            return Err(self.fail("a count is larger than the bytes that follow"));
        }
        Ok(())
    }

    /// The bytes of a string that lies apart; its tag was just read.
    fn apart(&mut self) -> Result<Cow<'de, [u8]>, Error> {
        let (len, number) = (self.number()?, self.number()?);
        let found = self.apart.and_then(|apart| apart.read(number as u64, len));
        found.ok_or_else(|| self.fail("a string that lies apart is not there"))
    }

    fn apart_text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.apart()? {
            Cow::Borrowed(bytes) => {
                visitor.visit_borrowed_str(std::str::from_utf8(bytes).map_err(|_| self.no_text())?)
            }
            Cow::Owned(bytes) => visitor.visit_string(String::from_utf8(bytes).map_err(|_| self.no_text())?),
        }
    }

    fn text(&mut self) -> Result<&'de str, Error> {
        let len = self.number()?;
        let bytes = self.bytes(len)?;
        std::str::from_utf8(bytes).map_err(|_| self.no_text())
    }

    #[cold]
    fn no_text(&mut self) -> Error {
        self.fail("a text is not UTF-8")
    }

    /// A text that is a value.
    fn string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.text()?)
    }

    #[inline]
    fn name(&mut self) -> Result<&'de str, Error> {
        let number = self.number()?;
        match self.names.get(number) {
            Some(name) => Ok(name),
            None => self.new_name(number),
        }
    }

    fn new_name(&mut self, number: usize) -> Result<&'de str, Error> {
        if number > self.names.len() {
            return Err(self.fail("a name was never spelled"));
        }
        let name = self.text()?;
        self.names.push(name);
        Ok(name)
    }

    fn char(&mut self) -> Result<char, Error> {
        let number = u32::from_le_bytes(self.array()?);
        char::from_u32(number).ok_or_else(|| self.fail("a char is none"))
    }

    fn bool(&mut self) -> Result<bool, Error> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(self.fail("a bool is none")),
        }
    }

    /// Moves past the tag if it is this one.
    #[inline]
    fn take(&mut self, tag: u8) -> bool {
        if self.run == tag {
            return true;
        }
        match self.input.split_first() {
            Some((first, rest)) if self.run == 0 && *first == tag => {
                self.input = rest;
                true
            }
            _ => false,
        }
    }

    /// Everything that goes one level deeper. An error from there leaves it unclear how much was read.
    #[inline]
    fn inside<R>(&mut self, read: impl FnOnce(&mut Self) -> Result<R, Error>) -> Result<R, Error> {
        if self.depth == 0 {
            return Err(self.too_deep());
        }
        self.depth -= 1;
        let done = read(self);
        self.depth += 1;
        if let Err(error) = &done {
            self.note(error);
        }
        done
    }

    #[cold]
    fn note(&mut self, error: &Error) {
        self.failure.get_or_insert_with(|| error.to_string());
    }

    #[cold]
    fn too_deep(&mut self) -> Error {
        self.fail(&format!("more than {MAX_DEPTH} values lie inside one another"))
    }

    fn seq<V: Visitor<'de>>(&mut self, run: u8, count: usize, visitor: V) -> Result<V::Value, Error> {
        self.inside(|decoder| {
            decoder.run = run;
            // The elements of a run hold nothing that could claim anything.
            decoder.owed += if run == 0 { count } else { 0 };
            let mut elements = Elements { decoder, left: count };
            let value = visitor.visit_seq(&mut elements)?;
            let left = elements.left;
            decoder.run = 0;
            all_read(left, count)?;
            Ok(value)
        })
    }

    fn map<V: Visitor<'de>>(&mut self, named: bool, visitor: V) -> Result<V::Value, Error> {
        let count = self.count(2)?;
        self.inside(|decoder| {
            decoder.owed += 2 * count;
            let mut entries = Entries { decoder, left: count, named, open_key: false };
            let value = visitor.visit_map(&mut entries)?;
            if entries.open_key {
                return Err(Error::new("a map's value was not read"));
            }
            all_read(entries.left, count)?;
            Ok(value)
        })
    }

    /// [`any`](Self::any) where something else was expected: kept out of the way of what was.
    #[cold]
    #[inline(never)]
    fn other<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.any(visitor)
    }

    /// What the value is, said as serde_json would say it.
    fn any<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let found = if self.run != 0 { self.run } else { self.array::<1>()?[0] };
        match found {
            tag::BOOL => visitor.visit_bool(self.bool()?),
            tag::U8 => visitor.visit_u64(u8::from_le_bytes(self.array()?).into()),
            tag::U16 => visitor.visit_u64(u16::from_le_bytes(self.array()?).into()),
            tag::U32 => visitor.visit_u64(u32::from_le_bytes(self.array()?).into()),
            tag::U64 => visitor.visit_u64(u64::from_le_bytes(self.array()?)),
            tag::I8 => signed(i8::from_le_bytes(self.array()?).into(), visitor),
            tag::I16 => signed(i16::from_le_bytes(self.array()?).into(), visitor),
            tag::I32 => signed(i32::from_le_bytes(self.array()?).into(), visitor),
            tag::I64 => signed(i64::from_le_bytes(self.array()?), visitor),
            tag::U128 => {
                let wide = u128::from_le_bytes(self.array()?);
                match u64::try_from(wide) {
                    Ok(narrow) => visitor.visit_u64(narrow),
                    Err(_) => visitor.visit_u128(wide),
                }
            }
            tag::I128 => {
                let wide = i128::from_le_bytes(self.array()?);
                match (u64::try_from(wide), i64::try_from(wide)) {
                    (Ok(narrow), _) => visitor.visit_u64(narrow),
                    (_, Ok(narrow)) => visitor.visit_i64(narrow),
                    _ => visitor.visit_i128(wide),
                }
            }
            tag::F32 => visitor.visit_f64(widened(f32::from_le_bytes(self.array()?))),
            tag::F64 => visitor.visit_f64(f64::from_le_bytes(self.array()?)),
            tag::CHAR => visitor.visit_char(self.char()?),
            tag::STR => self.string(visitor),
            tag::APART_STR => self.apart_text(visitor),
            tag::UNIT | tag::NONE => visitor.visit_unit(),
            tag::SOME => self.inside(|decoder| decoder.any(visitor)),
            // JSON knows no bytes, but arrays of numbers.
            tag::BYTES => {
                let count = self.number()?;
                self.fits(count, 1)?;
                self.seq(tag::U8, count, visitor)
            }
            tag::APART_BYTES => {
                let bytes = self.apart()?;
                let mut numbers = SeqDeserializer::new(bytes.iter().copied());
                let value = visitor.visit_seq(&mut numbers)?;
                numbers.end()?;
                Ok(value)
            }
            tag::SEQ => {
                let count = self.count(1)?;
                self.seq(0, count, visitor)
            }
            tag::RUN => {
                let count = self.number()?;
                let [kind] = self.array()?;
                let Some(width) = width(kind) else { return Err(self.fail("a run is not of scalars")) };
                self.fits(count, width)?;
                self.run(kind, width, count, visitor)
            }
            tag::APART_RUN => self.apart_run(visitor),
            tag::MAP => self.map(false, visitor),
            tag::STRUCT => self.map(true, visitor),
            tag::UNIT_VARIANT => visitor.visit_borrowed_str(self.name()?),
            tag::VARIANT => {
                let name = self.name()?;
                self.inside(|decoder| visitor.visit_map(OneEntry { decoder, name: Some(name) }))
            }
            _ => Err(self.fail("a tag is unknown")),
        }
    }
}

fn all_read(left: usize, count: usize) -> Result<(), Error> {
    if left == 0 {
        return Ok(());
    }
    Err(Error::new(format_args!("{count} elements came, {left} of them were not asked for")))
}

/// JSON shows no type, only a sign.
fn signed<'de, V: Visitor<'de>>(number: i64, visitor: V) -> Result<V::Value, Error> {
    match u64::try_from(number) {
        Ok(number) => visitor.visit_u64(number),
        Err(_) => visitor.visit_i64(number),
    }
}

/// What the shortest digits of this number mean to an `f64`: that is how JSON widens. Of two texts that are equally short
/// and near, this is the standard library's.
fn widened(narrow: f32) -> f64 {
    if narrow.is_finite() { narrow.to_string().parse().unwrap_or(narrow.into()) } else { narrow.into() }
}

macro_rules! exact {
    ($($method:ident $kind:ident $visit:ident $type:ty;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            if self.take(tag::$kind) {
                return visitor.$visit(<$type>::from_le_bytes(self.array()?));
            }
            self.other(visitor)
        }
    )*};
}

/// Asked for a kind that is there, it gives exactly that; else it says what is there, and the visitor decides.
impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = Error;

    exact! {
        deserialize_u8 U8 visit_u8 u8;
        deserialize_i8 I8 visit_i8 i8;
        deserialize_u16 U16 visit_u16 u16;
        deserialize_i16 I16 visit_i16 i16;
        deserialize_u32 U32 visit_u32 u32;
        deserialize_i32 I32 visit_i32 i32;
        deserialize_u64 U64 visit_u64 u64;
        deserialize_i64 I64 visit_i64 i64;
        deserialize_u128 U128 visit_u128 u128;
        deserialize_i128 I128 visit_i128 i128;
        deserialize_f32 F32 visit_f32 f32;
        deserialize_f64 F64 visit_f64 f64;
    }

    forward_to_deserialize_any! {
        bool char unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.take(tag::STR) {
            return self.string(visitor);
        }
        if self.take(tag::APART_STR) {
            return self.apart_text(visitor);
        }
        self.other(visitor)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.take(tag::STRUCT) {
            return self.map(true, visitor);
        }
        self.other(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.any(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.take(tag::BYTES) {
            let len = self.number()?;
            return visitor.visit_borrowed_bytes(self.bytes(len)?);
        }
        if self.take(tag::APART_BYTES) {
            return match self.apart()? {
                Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
                Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
            };
        }
        self.other(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.take(tag::NONE) || self.take(tag::UNIT) {
            return visitor.visit_none();
        }
        // To JSON `Some(x)` and `x` are the same.
        let _ = self.take(tag::SOME);
        self.inside(|decoder| visitor.visit_some(decoder))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.inside(|decoder| visitor.visit_newtype_struct(decoder))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (name, holds) = if self.take(tag::VARIANT) {
            (self.name()?, true)
        } else if self.take(tag::UNIT_VARIANT) {
            (self.name()?, false)
        } else if self.take(tag::STR) {
            (self.text()?, false)
        } else if self.take(tag::APART_STR) {
            // No variant has so long a name.
            return self.apart_text(visitor);
        } else {
            return self.other(visitor);
        };
        self.inside(|decoder| visitor.visit_enum(Variant { decoder, name, holds }))
    }
}
