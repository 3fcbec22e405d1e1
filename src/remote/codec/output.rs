//! [`Output`]: bytes that are being written, and where long strings and runs of numbers go that are not to lie among them.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Strings and runs from this length on lie apart, where there is a place for them. A shorter one is copied as quickly as it
/// is found.
pub(crate) const LEAST_APART: usize = 4 << 10;

/// Memory that the reader of the bytes reaches as well.
pub(crate) trait Plane: Send + Sync {
    /// Holds room for `len` bytes, notes in `places` what that takes, and returns the number by which the reader finds them.
    /// `None` if there is no room: then they stay among the others.
    fn hold(&self, len: usize, places: &mut Vec<Place>) -> Option<u64>;

    /// Copies `bytes` to the room of that number, which was held last; they are those from `at` on.
    fn write(&self, number: u64, at: usize, bytes: &[u8], places: &[Place]);

    /// The first `len` bytes that were written to it. `None` if they can't be read any more.
    fn read_back(&self, number: u64, len: usize, places: &[Place]) -> Option<Vec<u8>>;

    /// Both at once.
    fn put(&self, bytes: &[u8], places: &mut Vec<Place>) -> Option<u64> {
        let number = self.hold(bytes.len(), places)?;
        self.write(number, 0, bytes, places);
        Some(number)
    }

    /// What was noted is not needed any more.
    fn free(&self, place: Place);
}

/// A part of a plane, in its own measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) at: usize,
    pub(crate) len: usize,
}

/// What lies apart of one value or several. It is freed with this.
#[derive(Default)]
pub(crate) struct Apart {
    plane: Option<Arc<dyn Plane>>,
    places: Vec<Place>,
    /// How many bytes lie there.
    size: usize,
}

impl Apart {
    pub(crate) fn on(plane: Option<Arc<dyn Plane>>) -> Self {
        Apart { plane, places: Vec::new(), size: 0 }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Option<u64> {
        let number = self.plane.as_ref()?.put(bytes, &mut self.places)?;
        self.size += bytes.len();
        Some(number)
    }

    /// Whether nothing lies there.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether anything may lie there.
    pub(super) fn has_plane(&self) -> bool {
        self.plane.is_some()
    }

    /// Room for what is then written to it, part by part.
    pub(super) fn hold(&mut self, len: usize) -> Option<u64> {
        let number = self.plane.as_ref()?.hold(len, &mut self.places)?;
        self.size += len;
        Some(number)
    }

    pub(super) fn write(&mut self, number: u64, at: usize, bytes: &[u8]) {
        if let Some(plane) = &self.plane {
            plane.write(number, at, bytes, &self.places);
        }
    }

    /// Of `held` bytes those that were written, for they are to lie elsewhere. The room is freed with the rest.
    pub(super) fn read_back(&mut self, number: u64, len: usize, held: usize) -> Option<Vec<u8>> {
        self.size -= held;
        self.plane.as_ref()?.read_back(number, len, &self.places)
    }

    /// It is never freed.
    pub(crate) fn abandon(&mut self) {
        self.places.clear();
    }

    /// What is noted first; somebody else frees all of it from now on.
    pub(crate) fn take_first(&mut self) -> Option<Place> {
        let first = self.places.first().copied();
        self.places.clear();
        first
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(plane) = &self.plane {
            self.places.drain(..).for_each(|place| plane.free(place));
        }
    }
}

impl fmt::Debug for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.places.fmt(f)
    }
}

/// Bytes that are being written, with what lies apart of them.
#[derive(Default, Debug)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    pub(crate) apart: Apart,
    /// It is a parcel of another process, whose reply is not read in this one.
    pub(crate) is_for_elsewhere: bool,
}

impl Output {
    /// Behind what `bytes` hold already; long strings go to the plane, if there is one.
    pub(crate) fn new(bytes: Vec<u8>, plane: Option<Arc<dyn Plane>>) -> Self {
        Output { bytes, apart: Apart::on(plane), is_for_elsewhere: false }
    }

    /// In bytes, with what lies apart.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + self.apart.size
    }

    pub(crate) fn into_parts(self) -> (Vec<u8>, Apart) {
        (self.bytes, self.apart)
    }
}

impl Deref for Output {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Output {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}
