//! [`Arrived`]: bytes that came, of which long strings and runs may lie apart.

use std::borrow::Cow;
use std::cell::Cell;

/// Where strings and runs lie that are not among the bytes. What asks for one was written by another process: any numbers may come.
pub(crate) trait ReadApart {
    /// The string that the writer's plane called `number`. `None` if there is none of that length.
    fn read(&self, number: u64, len: usize) -> Option<Cow<'_, [u8]>>;

    /// Where the bytes of that number are, for one who reads them once, from the first to the last. `None` if there are not
    /// so many.
    fn look(&self, number: u64, len: usize) -> Option<Looked<'_>>;
}

/// What a look finds.
pub(crate) enum Looked<'a> {
    /// They can be read where they lie.
    Here(&'a [u8]),
    /// They can be copied, part by part: [`read`](ReadApart::read) has each.
    InParts,
}

/// Counts what is read of strings that lie apart.
pub(crate) struct Counted<'a> {
    arrived: Arrived<'a>,
    read: Cell<usize>,
}

impl<'a> Counted<'a> {
    pub(crate) fn new(arrived: Arrived<'a>) -> Self {
        Counted { arrived, read: Cell::new(0) }
    }

    /// The same bytes.
    pub(crate) fn arrived(&self) -> Arrived<'_> {
        Arrived { bytes: self.arrived.bytes, apart: self.arrived.apart.map(|_| self as &dyn ReadApart) }
    }

    fn count(&self, len: usize) {
        self.read.set(self.read.get().saturating_add(len));
    }

    /// All bytes that were read, those that lie apart too.
    pub(crate) fn whole_len(&self) -> usize {
        self.arrived.len() + self.read.get()
    }
}

impl ReadApart for Counted<'_> {
    fn read(&self, number: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        let text = self.arrived.apart?.read(number, len)?;
        self.count(len);
        Some(text)
    }

    fn look(&self, number: u64, len: usize) -> Option<Looked<'_>> {
        let looked = self.arrived.apart?.look(number, len)?;
        if let Looked::Here(bytes) = &looked {
            self.count(bytes.len());
        }
        Some(looked)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Arrived<'a> {
    bytes: &'a [u8],
    apart: Option<&'a dyn ReadApart>,
}

impl<'a, B: AsRef<[u8]> + ?Sized> From<&'a B> for Arrived<'a> {
    fn from(bytes: &'a B) -> Self {
        Arrived { bytes: bytes.as_ref(), apart: None }
    }
}

impl<'a> Arrived<'a> {
    /// With a place where long strings lie, if there is one.
    pub(crate) fn new(bytes: &'a [u8], apart: Option<&'a dyn ReadApart>) -> Self {
        Arrived { bytes, apart }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub(super) fn apart(&self) -> Option<&'a dyn ReadApart> {
        self.apart
    }

    /// The first bytes and the rest. `None` if there are fewer.
    pub(crate) fn front(self, len: usize) -> Option<(&'a [u8], Self)> {
        let (front, rest) = self.split(len)?;
        Some((front.bytes, rest))
    }

    /// The same, with both parts as they came.
    pub(crate) fn split(self, len: usize) -> Option<(Self, Self)> {
        let (front, rest) = self.bytes.split_at_checked(len)?;
        Some((Arrived { bytes: front, ..self }, Arrived { bytes: rest, ..self }))
    }
}
