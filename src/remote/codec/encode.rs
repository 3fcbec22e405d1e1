//! Value to bytes.

mod front;
mod scalars;

use super::error::Error;
use super::names::Names;
use super::output::{Apart, LEAST_APART};
use super::wire::{MAX_DEPTH, MAX_TUPLE, tag, width, write_varint};
use front::Front;
use serde_core::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

pub(super) struct Encoder {
    /// Owned while it is written to: the way through another reference costs a third of the speed.
    pub(super) out: Vec<u8>,
    pub(super) apart: Apart,
    names: Names,
    run: Run,
    /// Of each open sequence whose run was ended: where its tag stands, and how many elements it didn't count.
    broken_runs: Vec<(usize, usize)>,
    depth: u8,
    failed: bool,
    /// A part that had gone to the plane can't be fetched back.
    lost: bool,
}

/// The run that is being written. Nothing but scalars of its kind is: whatever else comes ends it first.
#[derive(Default)]
struct Run {
    /// Zero when none is.
    kind: u8,
    /// Where the sequence's tag stands.
    tag_at: usize,
    /// Where the scalars' tag stands.
    kind_at: usize,
    /// Where its first scalars lie, if not there.
    apart: Option<Front>,
}

impl Encoder {
    pub(super) fn new(out: Vec<u8>, apart: Apart) -> Self {
        let (names, run) = (Names::new(), Run::default());
        Encoder { out, apart, names, run, broken_runs: Vec::new(), depth: 0, failed: false, lost: false }
    }

    /// An impl that swallows the error of one of its parts must not pass: half of that part is written.
    pub(super) fn finish(&self) -> Result<(), Error> {
        if self.lost {
            return Err(Error::new("shared memory that held a part of it can't be read any more"));
        }
        if self.failed { Err(Error::new("a part of it failed, and its `Serialize` went on")) } else { Ok(()) }
    }

    #[inline]
    fn tag(&mut self, tag: u8) {
        if self.run.kind != 0 {
            self.end_run();
        }
        self.out.push(tag);
    }

    #[inline]
    fn scalar<const N: usize>(&mut self, kind: u8, bytes: [u8; N]) -> Result<(), Error> {
        if self.run.kind != kind {
            self.tag(kind);
        }
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    fn blob(&mut self, tag: u8, bytes: &[u8]) {
        /// From here on a buffer that is doubled costs more than what it holds: fresh memory, page by page.
        const LARGE: usize = 64 << 10;
        if bytes.len() >= LEAST_APART
            && let Some(number) = self.apart.put(bytes)
        {
            self.tag(if tag == tag::STR { tag::APART_STR } else { tag::APART_BYTES });
            write_varint(bytes.len(), &mut self.out);
            write_varint(number as usize, &mut self.out);
            return;
        }
        self.tag(tag);
        write_varint(bytes.len(), &mut self.out);
        if bytes.len() >= LARGE {
            // With some room behind it, so that a small value which follows does not double the buffer.
            self.out.reserve(bytes.len() + bytes.len() / 64);
        }
        self.out.extend_from_slice(bytes);
    }

    #[inline]
    fn name(&mut self, name: &'static str) {
        self.names.write(name, &mut self.out);
    }

    #[inline]
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let done = value.serialize(&mut *self);
        if done.is_err() {
            self.failed = true;
        }
        done
    }

    /// The one value inside a `Some` or a newtype.
    fn inner<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.enter()?;
        self.part(value)?;
        self.depth -= 1;
        Ok(())
    }

    #[inline]
    fn enter(&mut self) -> Result<(), Error> {
        if self.depth == MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        Ok(())
    }

    #[cold]
    fn too_deep(&mut self) -> Error {
        self.failed = true;
        Error::new(format_args!("more than {MAX_DEPTH} values lie inside one another"))
    }

    #[inline]
    fn open(&mut self, tag: u8, announced: Option<usize>) -> Result<Compound<'_>, Error> {
        self.enter()?;
        self.tag(tag);
        let count_at = self.out.len();
        let announced = announced.unwrap_or(0);
        write_varint(announced, &mut self.out);
        Ok(Compound { encoder: self, count_at, announced, count: 0, levels: 1, runs: false, open_key: false })
    }

    fn open_variant(&mut self, name: &'static str, tag: u8, len: usize) -> Result<Compound<'_>, Error> {
        self.enter()?;
        self.tag(tag::VARIANT);
        self.name(name);
        let mut compound = self.open(tag, Some(len))?;
        compound.levels += 1;
        Ok(compound)
    }

    /// After a sequence's first element, which stands at `at` with its tag: the others can do without.
    fn begin_run(&mut self, tag_at: usize, at: usize) {
        let kind = self.out[at];
        if width(kind).is_some() {
            self.out[tag_at] = tag::RUN;
            self.run = Run { kind, tag_at, kind_at: at, apart: None };
        }
    }

    /// How many bytes of the run lie in the buffer.
    fn run_len(&self) -> usize {
        self.out.len() - self.run.kind_at - 1
    }

    /// All of the run lies in the buffer.
    fn run_count(&self) -> usize {
        self.run_len() / width(self.run.kind).unwrap_or(1)
    }

    /// Gives each scalar its tag after all, since the next element is of another kind.
    #[cold]
    fn end_run(&mut self) {
        self.fetch_front();
        // The first element of the run was counted by its sequence; the one that ends it wasn't.
        self.broken_runs.push((self.run.tag_at, self.run_count()));
        let kind = std::mem::take(&mut self.run.kind);
        self.out[self.run.tag_at] = tag::SEQ;
        let scalars = self.out.split_off(self.run.kind_at);
        for scalar in scalars[1..].chunks_exact(width(kind).unwrap_or(1)) {
            self.out.push(kind);
            self.out.extend_from_slice(scalar);
        }
    }
}

/// A container being filled.
pub(super) struct Compound<'e> {
    encoder: &'e mut Encoder,
    count_at: usize,
    announced: usize,
    count: usize,
    levels: u8,
    runs: bool,
    /// A map's key that has no value yet.
    open_key: bool,
}

impl Compound<'_> {
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        // Counted by its bytes, in `close`.
        if self.encoder.run.kind != 0 {
            return self.encoder.part(value);
        }
        self.count += 1;
        if self.count == 1 && self.runs {
            return self.first(value);
        }
        self.encoder.part(value)
    }

    /// An element that is not the first.
    #[inline]
    fn another<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if self.encoder.run.kind == 0 {
            self.count += 1;
        }
        self.encoder.part(value)
    }

    #[inline(never)]
    fn first<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let at = self.encoder.out.len();
        self.encoder.part(value)?;
        self.encoder.begin_run(self.count_at - 1, at);
        Ok(())
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.encoder.name(name);
        self.count += 1;
        self.encoder.part(value)
    }

    #[inline]
    fn close(mut self) -> Result<(), Error> {
        let encoder = &mut *self.encoder;
        encoder.depth -= self.levels;
        if encoder.run.kind != 0 {
            if encoder.run_len() >= LEAST_APART || encoder.run.apart.is_some() {
                let Some(count) = encoder.finish_run() else { return Ok(()) };
                self.count = count;
            } else {
                self.count = encoder.run_count();
            }
            encoder.run.kind = 0;
        } else if let Some((tag_at, count)) = encoder.broken_runs.last()
            && *tag_at + 1 == self.count_at
        {
            self.count += count;
            encoder.broken_runs.pop();
        }
        if self.count != self.announced {
            self.recount();
        }
        Ok(())
    }

    /// Writes the true count in the place of the announced one.
    #[cold]
    fn recount(self) {
        let (mut announced, mut count) = (Vec::new(), Vec::new());
        write_varint(self.announced, &mut announced);
        write_varint(self.count, &mut count);
        self.encoder.out.splice(self.count_at..self.count_at + announced.len(), count);
    }

    /// A map's key and value must alternate.
    fn turn(&mut self, to_key: bool) -> Result<(), Error> {
        if self.open_key == to_key {
            self.encoder.failed = true;
            return Err(Error::new("a map has a key without its value, or a value without its key"));
        }
        self.open_key = to_key;
        Ok(())
    }
}

macro_rules! scalars {
    ($($method:ident $kind:ident $type:ty;)*) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<(), Error> {
            self.scalar(tag::$kind, value.to_le_bytes())
        }
    )*};
}

impl<'e> Serializer for &'e mut Encoder {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'e>;
    type SerializeTuple = Compound<'e>;
    type SerializeTupleStruct = Compound<'e>;
    type SerializeTupleVariant = Compound<'e>;
    type SerializeMap = Compound<'e>;
    type SerializeStruct = Compound<'e>;
    type SerializeStructVariant = Compound<'e>;

    scalars! {
        serialize_u8 U8 u8;
        serialize_i8 I8 i8;
        serialize_u16 U16 u16;
        serialize_i16 I16 i16;
        serialize_u32 U32 u32;
        serialize_i32 I32 i32;
        serialize_u64 U64 u64;
        serialize_i64 I64 i64;
        serialize_u128 U128 u128;
        serialize_i128 I128 i128;
        serialize_f32 F32 f32;
        serialize_f64 F64 f64;
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.scalar(tag::BOOL, [u8::from(value)])
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.scalar(tag::CHAR, u32::from(value).to_le_bytes())
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.blob(tag::STR, value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.blob(tag::BYTES, value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.tag(tag::NONE);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.tag(tag::SOME);
        self.inner(value)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.tag(tag::UNIT);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<(), Error> {
        self.tag(tag::UNIT_VARIANT);
        self.name(name);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.inner(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.tag(tag::VARIANT);
        self.name(name);
        self.inner(value)
    }

    /// As the default does it, but a run of numbers is written many at a time.
    fn collect_seq<I>(self, elements: I) -> Result<(), Error>
    where
        I: IntoIterator<Item: Serialize>,
    {
        let mut elements = elements.into_iter();
        let (least, most) = elements.size_hint();
        let mut seq = self.serialize_seq(most.filter(|most| *most == least))?;
        if let Some(first) = elements.next() {
            seq.count = 1;
            seq.first(&first)?;
            if !seq.rest_of_run(&mut elements)? {
                elements.try_for_each(|element| seq.another(&element))?;
            }
        }
        seq.close()
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Compound<'e>, Error> {
        let mut compound = self.open(tag::SEQ, len)?;
        compound.runs = true;
        Ok(compound)
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Compound<'e>, Error> {
        let mut compound = self.open(tag::SEQ, Some(len))?;
        compound.runs = len > MAX_TUPLE;
        Ok(compound)
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Compound<'e>, Error> {
        self.serialize_tuple(len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Compound<'e>, Error> {
        self.open_variant(name, tag::SEQ, len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Compound<'e>, Error> {
        self.open(tag::MAP, len)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Compound<'e>, Error> {
        self.open(tag::STRUCT, Some(len))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Compound<'e>, Error> {
        self.open_variant(name, tag::STRUCT, len)
    }
}

impl SerializeSeq for Compound<'_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.element(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeTuple for Compound<'_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.element(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeTupleStruct for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.element(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeTupleVariant for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.element(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.turn(true)?;
        self.count += 1;
        self.encoder.part(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.turn(false)?;
        self.encoder.part(value)
    }

    fn end(mut self) -> Result<(), Error> {
        if self.open_key {
            self.turn(true)?;
        }
        self.close()
    }
}

// A field that is skipped is not there, as in JSON: the default of `skip_field` does nothing.
impl SerializeStruct for Compound<'_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeStructVariant for Compound<'_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}
