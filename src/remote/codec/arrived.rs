//! [`Arrived`]: bytes that came, of which long strings may lie apart.

use std::borrow::Cow;

/// Where strings lie that are not among the bytes. What asks for one was written by another process: any numbers may come.
pub(crate) trait ReadApart {
    /// The string that the writer's plane called `number`. `None` if there is none of that length.
    fn read(&self, number: u64, len: usize) -> Option<Cow<'_, [u8]>>;
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
