//! The codec.

use crate::remote::codec::{self, Arrived, Looked, Output, Place, Plane, ReadApart};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::borrow::Cow;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

/// As in the crate.
pub fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
    let mut output = Output::new(std::mem::take(out), None);
    let encoded = catch_unwind(AssertUnwindSafe(|| codec::encode_into(value, &mut output)));
    *out = output.into_parts().0;
    encoded.unwrap_or_else(|panic| resume_unwind(panic))
}

/// As in the crate.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    codec::decode(bytes)
}

/// The value alone in a buffer.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, String> {
    let mut out = Output::default();
    codec::encode_into(value, &mut out)?;
    Ok(out.into_parts().0)
}

/// Room for so many bytes.
struct Room {
    bytes: Mutex<Vec<u8>>,
    most: usize,
}

impl Plane for Room {
    fn hold(&self, len: usize, places: &mut Vec<Place>) -> Option<u64> {
        let mut room = self.bytes.lock().expect("nobody panics with it");
        let at = room.len();
        at.checked_add(len).filter(|end| *end <= self.most)?;
        room.try_reserve(len).ok()?;
        room.resize(at + len, 0);
        places.push(Place { at, len });
        Some(at as u64)
    }

    fn write(&self, number: u64, at: usize, bytes: &[u8], places: &[Place]) {
        assert!(places.iter().any(|place| place.at as u64 == number && at + bytes.len() <= place.len));
        let mut room = self.bytes.lock().expect("nobody panics with it");
        room[number as usize + at..][..bytes.len()].copy_from_slice(bytes);
    }

    fn read_back(&self, number: u64, len: usize, _: &[Place]) -> Option<Vec<u8>> {
        let room = self.bytes.lock().expect("nobody panics with it");
        Some(room[number as usize..][..len].to_vec())
    }

    fn free(&self, place: Place) {
        self.bytes.lock().expect("nobody panics with it")[place.at..][..place.len].fill(0);
    }
}

/// As `encode`, with room for `most` bytes of long strings elsewhere: the buffer and what lies there.
pub fn encode_apart<T: Serialize + ?Sized>(value: &T, most: usize) -> Result<(Vec<u8>, Vec<u8>), String> {
    let room = Arc::new(Room { bytes: Mutex::default(), most });
    let mut out = Output::new(Vec::new(), Some(room.clone()));
    codec::encode_into(value, &mut out)?;
    let (bytes, apart) = out.into_parts();
    let memory = room.bytes.lock().expect("nobody panics with it").clone();
    drop(apart);
    let is_freed = room.bytes.lock().expect("nobody panics with it").iter().all(|byte| *byte == 0);
    assert!(is_freed, "what lies apart was not freed");
    Ok((bytes, memory))
}

impl Lying<'_> {
    fn part(&self, number: u64, len: usize) -> Option<(usize, &[u8])> {
        let at = usize::try_from(number).ok().filter(|at| *at >= self.read.get())?;
        let end = at.checked_add(len)?;
        Some((end, self.memory.get(at..end)?))
    }
}

/// Gives what lies there, none of it twice: owned, or where it lies.
struct Lying<'a> {
    memory: &'a [u8],
    read: Cell<usize>,
    is_owned: bool,
}

impl ReadApart for Lying<'_> {
    fn read(&self, number: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        let (end, part) = self.part(number, len)?;
        self.read.set(end);
        Some(if self.is_owned { Cow::Owned(part.to_vec()) } else { Cow::Borrowed(part) })
    }

    fn look(&self, number: u64, len: usize) -> Option<Looked<'_>> {
        let (end, part) = self.part(number, len)?;
        if self.is_owned {
            return Some(Looked::InParts);
        }
        self.read.set(end);
        Some(Looked::Here(part))
    }
}

/// Calls `read` with bytes whose long strings lie in `memory`.
pub(crate) fn with_memory<R>(
    bytes: &[u8],
    memory: &[u8],
    is_owned: bool,
    read: impl FnOnce(Arrived<'_>) -> R,
) -> R {
    let lying = Lying { memory, read: Cell::new(0), is_owned };
    read(Arrived::new(bytes, Some(&lying)))
}

/// As [`decode`], of bytes whose long strings lie in `memory`.
pub fn decode_apart<T: DeserializeOwned>(bytes: &[u8], memory: &[u8], is_owned: bool) -> Result<T, String> {
    with_memory(bytes, memory, is_owned, |arrived| codec::decode(arrived))
}
