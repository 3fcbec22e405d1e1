//! [`Element`]: the serializer of the elements of a run, which are written many at a time.
//!
//! serde gives a sequence element by element, each to a serializer. Where the first element was a number, the others are
//! given to this one: it keeps a number, and hands everything else on to the encoder. So each element is serialized once,
//! whatever it turns out to be, and where all are numbers of one type the compiler sees a copy.
//!
//! Only [`Serializer::collect_seq`] shows the whole sequence: lists and sets come that way, arrays and impls written by
//! hand come element by element.

use super::{Compound, Encoder, Error, LEAST_APART, tag, width};
use crate::remote::codec::wire::{MAX_DEPTH, is_bulk};
use serde_core::ser::{Serialize, Serializer};

/// How many bytes of a run are copied at once: what it costs to begin a copy is small then, and so is what a short sequence
/// pays for the place.
const STAGED: usize = 512;

/// The widest number's.
const WIDEST: usize = 8;

/// Newtypes inside one another that are looked through: enough for units and wrappers.
const LOOKED_THROUGH: u8 = 4;

/// A number that an element turned out to be: its tag and its bytes.
enum Taken {
    One(u8, [u8; 1]),
    Two(u8, [u8; 2]),
    Four(u8, [u8; 4]),
    Eight(u8, [u8; 8]),
    /// It was something else, and the encoder has written it.
    Encoded,
}

impl Compound<'_> {
    /// Writes what is left of a sequence whose first element was written, up to the first element that ends its run. Says
    /// whether there is none left.
    #[inline]
    pub(super) fn rest_of_run<I>(&mut self, elements: &mut I) -> Result<bool, Error>
    where
        I: Iterator<Item: Serialize>,
    {
        let kind = self.encoder.run.kind;
        if !is_bulk(kind) || self.encoder.depth > MAX_DEPTH - LOOKED_THROUGH {
            return Ok(false);
        }
        let mut whole = self.encoder.expect(elements.size_hint());
        let mut staged = [0; STAGED + WIDEST];
        loop {
            let mut len = 0;
            while len < STAGED {
                let Some(element) = elements.next() else {
                    self.encoder.out.extend_from_slice(&staged[..len]);
                    return Ok(true);
                };
                let mut taken = Taken::Encoded;
                let done = element.serialize(Element {
                    encoder: self.encoder,
                    staged: &staged[..len],
                    taken: &mut taken,
                    levels: 0,
                });
                if let Err(error) = done {
                    self.encoder.failed = true;
                    return Err(error);
                }
                match taken {
                    Taken::One(of, bytes) if of == kind => len += put(&mut staged, len, bytes),
                    Taken::Two(of, bytes) if of == kind => len += put(&mut staged, len, bytes),
                    Taken::Four(of, bytes) if of == kind => len += put(&mut staged, len, bytes),
                    Taken::Eight(of, bytes) if of == kind => len += put(&mut staged, len, bytes),
                    Taken::Encoded if self.encoder.run.kind == kind => len = 0,
                    Taken::Encoded => return Ok(false),
                    other => return self.encoder.end_run_with(&staged[..len], other).map(|()| false),
                }
            }
            self.encoder.out.extend_from_slice(&staged[..len]);
            self.encoder.move_front(&mut whole);
        }
    }
}

#[inline(always)]
fn put<const N: usize>(staged: &mut [u8; STAGED + WIDEST], at: usize, bytes: [u8; N]) -> usize {
    staged[at..at + N].copy_from_slice(&bytes);
    N
}

impl Encoder {
    /// Makes room for at least that many more elements of the run. If they may lie apart, it says how many bytes the run
    /// is going to have. The numbers are what an iterator says: wrong ones cost time or an address range.
    #[inline(never)]
    fn expect(&mut self, (least, most): (usize, Option<usize>)) -> usize {
        let bytes = least.saturating_mul(width(self.run.kind).unwrap_or(1));
        if bytes >= LEAST_APART && most == Some(least) && self.apart.has_plane() {
            return bytes.saturating_add(self.run_len());
        }
        self.reserve(bytes);
        0
    }

    /// Room in the buffer for about so many bytes. Without it, the buffer grows as it is written to.
    pub(super) fn reserve(&mut self, bytes: usize) {
        const MOST: usize = 64 << 20;
        let _ = self.out.try_reserve(bytes.min(MOST));
    }

    /// Writes what is staged, and then a number of another kind than the run's.
    #[cold]
    #[inline(never)]
    fn end_run_with(&mut self, staged: &[u8], number: Taken) -> Result<(), Error> {
        self.out.extend_from_slice(staged);
        match number {
            Taken::One(kind, bytes) => self.scalar(kind, bytes),
            Taken::Two(kind, bytes) => self.scalar(kind, bytes),
            Taken::Four(kind, bytes) => self.scalar(kind, bytes),
            Taken::Eight(kind, bytes) => self.scalar(kind, bytes),
            Taken::Encoded => Ok(()),
        }
    }
}

/// Serializes one element of a run: keeps a number, and hands all else on to the encoder.
struct Element<'e> {
    encoder: &'e mut Encoder,
    /// What comes before it and is not written yet.
    staged: &'e [u8],
    taken: &'e mut Taken,
    /// How many newtypes it lies in, which the encoder doesn't know of.
    levels: u8,
}

impl<'e> Element<'e> {
    /// It is no number: the encoder goes on, at the place and depth where it would be.
    #[cold]
    #[inline(never)]
    fn hand_on(self) -> &'e mut Encoder {
        self.encoder.out.extend_from_slice(self.staged);
        self.encoder.depth += self.levels;
        self.encoder
    }

    fn encode(self, write: impl FnOnce(&mut Encoder) -> Result<(), Error>) -> Result<(), Error> {
        let levels = self.levels;
        let encoder = self.hand_on();
        write(encoder)?;
        encoder.depth -= levels;
        Ok(())
    }

    fn open(
        self,
        open: impl FnOnce(&'e mut Encoder) -> Result<Compound<'e>, Error>,
    ) -> Result<Compound<'e>, Error> {
        let levels = self.levels;
        let mut compound = open(self.hand_on())?;
        compound.levels += levels;
        Ok(compound)
    }
}

macro_rules! kept {
    ($($method:ident $width:ident $kind:ident $type:ty;)*) => {$(
        #[inline(always)]
        fn $method(self, value: $type) -> Result<(), Error> {
            *self.taken = Taken::$width(tag::$kind, value.to_le_bytes());
            Ok(())
        }
    )*};
}

macro_rules! handed_on {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {$(
        fn $method(self, $($name: $type),*) -> Result<(), Error> {
            self.encode(|encoder| encoder.$method($($name),*))
        }
    )*};
}

macro_rules! opened {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {$(
        fn $method(self, $($name: $type),*) -> Result<Compound<'e>, Error> {
            self.open(|encoder| encoder.$method($($name),*))
        }
    )*};
}

impl<'e> Serializer for Element<'e> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'e>;
    type SerializeTuple = Compound<'e>;
    type SerializeTupleStruct = Compound<'e>;
    type SerializeTupleVariant = Compound<'e>;
    type SerializeMap = Compound<'e>;
    type SerializeStruct = Compound<'e>;
    type SerializeStructVariant = Compound<'e>;

    kept! {
        serialize_u8 One U8 u8;
        serialize_i8 One I8 i8;
        serialize_u16 Two U16 u16;
        serialize_i16 Two I16 i16;
        serialize_i32 Four I32 i32;
        serialize_u32 Four U32 u32;
        serialize_f32 Four F32 f32;
        serialize_i64 Eight I64 i64;
        serialize_u64 Eight U64 u64;
        serialize_f64 Eight F64 f64;
    }

    #[inline(always)]
    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        *self.taken = Taken::One(tag::BOOL, [value.into()]);
        Ok(())
    }

    handed_on! {
        serialize_i128(value: i128);
        serialize_u128(value: u128);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    opened! {
        serialize_seq(len: Option<usize>);
        serialize_tuple(len: usize);
        serialize_tuple_struct(name: &'static str, len: usize);
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize);
        serialize_map(len: Option<usize>);
        serialize_struct(name: &'static str, len: usize);
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize);
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        if self.levels == LOOKED_THROUGH {
            return self.encode(|encoder| encoder.serialize_newtype_struct(name, value));
        }
        self.levels += 1;
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.encode(|encoder| encoder.serialize_newtype_variant(name, index, variant, value))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.encode(|encoder| encoder.serialize_some(value))
    }

    fn collect_seq<I>(self, elements: I) -> Result<(), Error>
    where
        I: IntoIterator<Item: Serialize>,
    {
        self.encode(|encoder| encoder.collect_seq(elements))
    }
}
