//! [`Results`]: a worker's memory for large results, as its parent reads it.
//!
//! The worker may write to it at any time, also while it is read: what is copied out may then be any bytes, as a result of
//! a worker out of control may be. The numbers that say where a value lies come from the worker and are checked.

use super::lane::Position;
use crate::process_pool::shared::results::{KEPT, RESULT_SLOTS};
use crate::process_pool::sys::{ForeignMemory, GRAIN, MemoryFile, Segment, longest_memory};
use crate::remote::codec::{Looked, ReadApart};
use crate::sync::Mutex;
use crate::sync::plain::{AtomicBool, Ordering};
use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

pub(crate) struct Results {
    segment: Arc<Segment>,
    file: MemoryFile,
    /// Of each slot what was needed so far.
    mappings: [Mutex<Option<ForeignMemory>>; RESULT_SLOTS],
    /// Whether a slot was used since memory was last given back.
    is_used: AtomicBool,
}

impl Results {
    /// With room for `bytes` in each slot, or for as much as the limits of this process allow. None if they allow nothing,
    /// or the system has no such memory.
    pub(crate) fn create(bytes: usize, segment: &Arc<Segment>) -> Option<Self> {
        let len = longest_memory(bytes.saturating_mul(RESULT_SLOTS));
        let room = len / RESULT_SLOTS / GRAIN * GRAIN;
        if room == 0 {
            return None;
        }
        MemoryFile::create(room * RESULT_SLOTS).ok().map(|file| Results::on(file, segment))
    }

    /// In this memory.
    pub(crate) fn on(file: MemoryFile, segment: &Arc<Segment>) -> Self {
        let (segment, mappings) = (segment.clone(), Default::default());
        Results { segment, file, mappings, is_used: AtomicBool::new(false) }
    }

    /// For the worker.
    pub(crate) fn file(&self) -> &MemoryFile {
        &self.file
    }

    /// What of a reply that has arrived lies in such memory, if there is any. It is freed with this, read or not.
    pub(crate) fn of_reply(results: Option<&Arc<Self>>, reply: Position) -> Option<ResultsOf<'_>> {
        let results = results?;
        let slot = results.segment.result_slots.of(reply.batch, reply.index)?;
        results.is_used.store(true, Ordering::Relaxed);
        Some(ResultsOf { results, slot, read: Cell::new(0) })
    }

    fn room(&self) -> usize {
        self.file.len() / RESULT_SLOTS
    }

    /// Calls `read` with a mapping of that part at least.
    fn with<R>(
        &self,
        slot: usize,
        at: usize,
        len: usize,
        read: impl FnOnce(&ForeignMemory) -> Option<R>,
    ) -> Option<R> {
        let end = at.checked_add(len).filter(|end| *end <= self.room())?;
        let mut mapping = self.mappings[slot].lock();
        if mapping.as_ref().is_none_or(|mapping| mapping.len() < end) {
            // Twice as much each time: to map anew costs a look at every page.
            let len = end.next_power_of_two().clamp(1 << 20, self.room().max(1 << 20)).min(self.room());
            *mapping = None;
            *mapping = Some(self.file.map_foreign(slot * self.room(), len).ok()?);
        }
        read(mapping.as_ref()?)
    }

    /// The worker is idle: gives back memory that it has used, but for 32 MiB.
    pub(crate) fn trim(&self) {
        if !self.is_used.swap(false, Ordering::Relaxed) {
            return;
        }
        let slots = &self.segment.result_slots;
        for (slot, kept) in KEPT.into_iter().enumerate() {
            let surplus = self.room().saturating_sub(kept);
            if surplus > 0 && slots.hold(slot) {
                self.file.give_back(slot * self.room() + kept, surplus);
                slots.note_trim();
                slots.free(slot);
            }
        }
    }
}

/// The large values of one reply.
pub(crate) struct ResultsOf<'a> {
    results: &'a Results,
    slot: usize,
    /// Below this all was read: values lie one behind the other, and none is read twice.
    read: Cell<usize>,
}

impl ReadApart for ResultsOf<'_> {
    fn read(&self, number: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        let at = usize::try_from(number).ok().filter(|at| *at >= self.read.get())?;
        let bytes = self.results.with(self.slot, at, len, |memory| memory.copy(at, len))?;
        self.read.set(at + len);
        Some(Cow::Owned(bytes))
    }

    /// All of it is mapped at once.
    fn look(&self, number: u64, len: usize) -> Option<Looked<'_>> {
        let at = usize::try_from(number).ok().filter(|at| *at >= self.read.get())?;
        self.results.with(self.slot, at, len, |_| Some(Looked::InParts))
    }
}

impl Drop for ResultsOf<'_> {
    fn drop(&mut self) {
        self.results.segment.result_slots.free(self.slot);
    }
}

#[cfg(test)]
mod tests {
    //! The worker's side here too: what it writes is what the parent reads, and nothing that it may write does harm.

    use super::{Results, ResultsOf};
    use crate::process_pool::parent::lane::Position;
    use crate::process_pool::shared::results::RESULT_SLOTS;
    use crate::process_pool::sys::{MemoryFile, Segment};
    use crate::process_pool::worker::plane::ResultMemory;
    use crate::remote::codec::{Plane, ReadApart};
    use std::sync::Arc;

    fn pair(room: usize) -> (Arc<Results>, ResultMemory, Arc<Segment>) {
        let segment = Arc::new(Segment::create().expect("a segment").0);
        let results = Results::create(room, &segment).expect("this system has memfd, and no limits here");
        let file = MemoryFile::of(results.file().handle().expect("a handle")).expect("a file");
        (Arc::new(results), ResultMemory::new(file, &segment), segment)
    }

    /// As a worker gives a reply with these values: where they lie.
    fn give(memory: &ResultMemory, segment: &Segment, index: u32, values: &[Vec<u8>]) -> Vec<Option<u64>> {
        let mut places = Vec::new();
        let numbers = values.iter().map(|value| memory.put(value, &mut places)).collect();
        if let Some(place) = places.first() {
            segment.result_slots.assign(place.at, 0, index);
        }
        numbers
    }

    fn reply(results: &Arc<Results>, index: u32) -> Option<ResultsOf<'_>> {
        Results::of_reply(Some(results), Position { batch: 0, index })
    }

    fn value(n: usize, len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 7 + n) as u8).collect()
    }

    #[test]
    fn what_the_worker_writes_is_read_and_its_slot_is_free_again() {
        let (results, memory, segment) = pair(8 << 20);
        for round in 0..20_u32 {
            let values: Vec<Vec<u8>> = [4096, 4097, 5003, 70_000 * (round as usize + 1), 4099]
                .into_iter()
                .enumerate()
                .map(|(n, len)| value(n + round as usize, len))
                .collect();
            let numbers = give(&memory, &segment, round, &values);
            let apart = reply(&results, round).expect("a slot is free");
            for (number, value) in numbers.into_iter().zip(&values) {
                assert_eq!(apart.read(number.expect("room"), value.len()).as_deref(), Some(&value[..]));
            }
        }
        assert!(reply(&results, 19).is_none());
    }

    #[test]
    fn who_finds_no_slot_or_no_room_is_told_so_and_leaves_the_others_alone() {
        let (results, memory, segment) = pair(1 << 20);
        assert_eq!(give(&memory, &segment, 9, &[vec![1; (1 << 20) + 1]]), [None]);
        let small = value(3, 5000);
        for index in 0..RESULT_SLOTS as u32 {
            assert_eq!(give(&memory, &segment, index, std::slice::from_ref(&small)), [Some(0)]);
        }
        assert_eq!(give(&memory, &segment, 9, std::slice::from_ref(&small)), [None]);
        // Nobody reads it: it is freed all the same.
        drop(reply(&results, 2));
        assert_eq!(give(&memory, &segment, 9, std::slice::from_ref(&small)), [Some(0)]);
        for index in [0, 1, 3, 9] {
            assert_eq!(reply(&results, index).expect("given").read(0, 5000).as_deref(), Some(&small[..]));
        }
        // All of them together take no more than one may.
        let half = value(4, 600_000);
        assert_eq!(give(&memory, &segment, 0, std::slice::from_ref(&half)), [Some(0)]);
        assert_eq!(give(&memory, &segment, 1, std::slice::from_ref(&half)), [None]);
        assert_eq!(reply(&results, 0).expect("given").read(0, half.len()).as_deref(), Some(&half[..]));
        // What nobody was told of.
        drop(reply(&results, 1));
        let mut places = Vec::new();
        assert_eq!(memory.put(&half, &mut places), Some(0));
        memory.free(places[0]);
        assert_eq!(memory.put(&half, &mut Vec::new()), Some(0));
    }

    #[test]
    fn what_is_not_read_yet_is_not_written_over() {
        let (results, memory, segment) = pair(1 << 20);
        let (first, second) = (value(1, 9000), value(2, 9000));
        assert_eq!(give(&memory, &segment, 0, std::slice::from_ref(&first)), [Some(0)]);
        let apart = reply(&results, 0).expect("given");
        assert_eq!(give(&memory, &segment, 1, std::slice::from_ref(&second)), [Some(0)]);
        assert_eq!(apart.read(0, 9000).as_deref(), Some(&first[..]));
        assert_eq!(reply(&results, 1).expect("given").read(0, 9000).as_deref(), Some(&second[..]));
    }

    #[test]
    fn numbers_of_a_worker_out_of_control_are_no_values() {
        let (results, _, segment) = pair(1 << 20);
        let room = 1_u64 << 20;
        for (number, len) in [
            (room, 1),
            (room - 8, 9),
            (1, 8),
            (u64::MAX, 1),
            (u64::MAX - 7, 8),
            (8, usize::MAX),
            (0, (1 << 20) + 1),
            (4 << 20, 8),
        ] {
            assert!(segment.result_slots.hold(1));
            segment.result_slots.assign(1, 0, 7);
            let apart = reply(&results, 7).expect("it says so");
            assert!(apart.read(number, len).is_none(), "{number} {len}");
        }
        assert!(segment.result_slots.hold(1));
        segment.result_slots.assign(1, 0, 7);
        let apart = reply(&results, 7).expect("it says so");
        assert_eq!(apart.read(64, 100).as_deref(), Some(&[0; 100][..]));
        for number in [0, 64, 160] {
            assert!(apart.read(number, 8).is_none(), "a second time: {number}");
        }
    }

    /// Elsewhere the system gives no part of such memory back, and doesn't tell how much of it there is.
    #[cfg(unix)]
    #[test]
    fn an_idle_worker_keeps_little() {
        use crate::process_pool::shared::results::KEPT;
        use std::os::fd::AsFd;
        let (results, memory, segment) = pair(64 << 20);
        let taken = || rustix::fs::fstat(results.file().as_fd()).expect("its state").st_blocks as usize * 512;
        let large = value(5, 40 << 20);
        for index in 0..2 {
            assert_eq!(
                give(&memory, &segment, index, &[large[index as usize * (20 << 20)..].to_vec()]),
                [Some(0)]
            );
        }
        drop(reply(&results, 0));
        assert_eq!(taken(), 60 << 20);
        results.trim();
        assert_eq!(taken(), (20 << 20) + KEPT[0], "the other is in use");
        let apart = reply(&results, 1).expect("given");
        assert_eq!(apart.read(0, 20 << 20).as_deref(), Some(&large[20 << 20..]));
        drop(apart);
        results.trim();
        assert_eq!(taken(), KEPT[0] + KEPT[1]);
        // Its memory is there again when it is needed.
        assert_eq!(give(&memory, &segment, 3, std::slice::from_ref(&large)), [Some(0)]);
        assert_eq!(reply(&results, 3).expect("given").read(0, large.len()).as_deref(), Some(&large[..]));
    }
}
