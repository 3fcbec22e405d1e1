//! Where large values lie, in a worker: [`Arguments`], the parent's memory, and [`ResultMemory`], its own.

use crate::process_pool::shared::results::{KEPT, RESULT_SLOTS};
use crate::process_pool::sys::{MemoryFile, ParentMemory, Segment, WritableMemory, is_address_space_bounded};
use crate::remote::codec::{Looked, Place, Plane, ReadApart};
use crate::sync::{Mutex, OnceLock};
use std::borrow::Cow;
use std::io;
use std::sync::Arc;

/// From this length on a string is copied into memory that the value keeps, which takes huge pages where the value's own copy
/// of what is lent would not.
const OWNED_AT: usize = 8 << 20;

/// The memory that the parent writes arguments to.
pub(crate) struct Arguments {
    file: MemoryFile,
    /// Mapped when the first one is read; none if this process may not map so much.
    memory: OnceLock<Option<ParentMemory>>,
}

impl Arguments {
    pub(crate) fn new(file: MemoryFile) -> Self {
        Arguments { file, memory: OnceLock::new() }
    }

    fn memory(&self) -> Option<&ParentMemory> {
        let memory = self.memory.get_or_init(|| {
            // It would take from the bound what the program needs.
            if is_address_space_bounded() { None } else { self.file.map_of_parent().ok() }
        });
        memory.as_ref()
    }
}

impl ReadApart for Arguments {
    fn read(&self, number: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        let at = usize::try_from(number).ok()?;
        match self.memory() {
            Some(memory) if len >= OWNED_AT => memory.copy(at, len).map(Cow::Owned),
            Some(memory) => memory.part(at, len).map(Cow::Borrowed),
            None => self.file.read(at, len).map(Cow::Owned),
        }
    }

    fn look(&self, number: u64, len: usize) -> Option<Looked<'_>> {
        let at = usize::try_from(number).ok()?;
        match self.memory() {
            Some(memory) => memory.part(at, len).map(Looked::Here),
            None => at.checked_add(len).filter(|end| *end <= self.file.len()).map(|_| Looked::InParts),
        }
    }
}

/// The memory that large results are written to, in slots.
pub(crate) struct ResultMemory {
    segment: Arc<Segment>,
    file: MemoryFile,
    slots: Mutex<[Slot; RESULT_SLOTS]>,
}

#[derive(Default)]
struct Slot {
    /// What was needed so far.
    memory: Option<WritableMemory>,
    /// Below this there is memory.
    reserved: usize,
    /// How much of it the last reply took.
    used: usize,
    /// How often memory had been given back then.
    trims: u32,
}

impl ResultMemory {
    pub(crate) fn new(file: MemoryFile, segment: &Arc<Segment>) -> Self {
        ResultMemory { segment: segment.clone(), file, slots: Mutex::default() }
    }

    fn room(&self) -> usize {
        self.file.len() / RESULT_SLOTS
    }

    /// Holds a free slot for a reply.
    fn hold_slot(&self, slots: &mut [Slot; RESULT_SLOTS]) -> Option<usize> {
        let words = &self.segment.result_slots;
        let held = (0..RESULT_SLOTS).find(|slot| words.hold(*slot))?;
        let trims = words.trims();
        for (slot, kept) in slots.iter_mut().zip(KEPT) {
            if slot.trims != trims {
                slot.reserved = slot.reserved.min(kept);
                slot.trims = trims;
            }
        }
        slots[held].used = 0;
        Some(held)
    }
}

impl Plane for ResultMemory {
    /// The first place is the slot that the reply holds: its number, and how much is written to it.
    fn hold(&self, len: usize, places: &mut Vec<Place>) -> Option<u64> {
        /// Values begin at whole cache lines.
        const LINE: usize = 64;
        let mut slots = self.slots.lock();
        if len > self.room() {
            return None;
        }
        if places.is_empty() {
            places.push(Place { at: self.hold_slot(&mut slots)?, len: 0 });
        }
        let place = &mut places[0];
        let at = place.len.next_multiple_of(LINE);
        let end = at.checked_add(len).filter(|end| *end <= self.room())?;
        let words = &self.segment.result_slots;
        let others = (0..RESULT_SLOTS).filter(|other| *other != place.at && words.is_in_use(*other));
        let others: usize = others.map(|other| slots[other].used).sum();
        if others + end > self.room() {
            return None;
        }
        slots[place.at].fit(&self.file, place.at * self.room(), end, self.room()).ok()?;
        (place.len, slots[place.at].used) = (end, end);
        Some(at as u64)
    }

    fn write(&self, number: u64, at: usize, bytes: &[u8], places: &[Place]) {
        let mut slots = self.slots.lock();
        let memory = places.first().and_then(|place| slots[place.at].memory.as_mut());
        memory.expect("it is held").write(number as usize + at, bytes);
    }

    fn read_back(&self, number: u64, len: usize, places: &[Place]) -> Option<Vec<u8>> {
        let start = places.first()?.at * self.room();
        self.file.read(start + usize::try_from(number).ok()?, len)
    }

    /// Nobody was told of what it holds.
    fn free(&self, place: Place) {
        self.slots.lock()[place.at].used = 0;
        self.segment.result_slots.free(place.at);
    }
}

impl Slot {
    /// Sees to it that there is memory up to `end`.
    fn fit(&mut self, file: &MemoryFile, start: usize, end: usize, room: usize) -> io::Result<()> {
        /// Reserved at a time, at least.
        const STEP: usize = 64 << 10;
        if end > self.reserved {
            let to = end.next_multiple_of(STEP).min(room);
            file.reserve(start + self.reserved, to - self.reserved)?;
            self.reserved = to;
        }
        if self.memory.as_ref().is_none_or(|memory| memory.len() < end) {
            let len = end.next_power_of_two().max(1 << 20).min(room);
            self.memory = None;
            self.memory = Some(file.map_own(start, len)?);
        }
        Ok(())
    }
}
