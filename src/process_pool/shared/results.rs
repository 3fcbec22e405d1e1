//! [`ResultSlots`]: which parts of a worker's memory for large results are in use, and for which reply.
//!
//! The worker takes a free slot, writes to that part of its memory, and notes whose reply it belongs to before it gives the
//! reply. The parent frees it when it has copied what lies there. Nobody waits for a slot: a result that finds none free goes
//! through the socket.

use super::CachePadded;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How many replies may have large values on their way at once.
pub(crate) const RESULT_SLOTS: usize = 4;

/// So much of each slot's memory is kept when the worker is idle. The first one is used most.
pub(crate) const KEPT: [usize; RESULT_SLOTS] = [20 << 20, 4 << 20, 4 << 20, 4 << 20];

/// What a free slot says, and one that one side holds. Any other value is that of a reply: its batch, and its index and
/// two.
const FREE: u64 = 0;
const HELD: u64 = 1;

/// All zero is its initial state: all are free.
#[repr(C)]
#[derive(Default)]
pub(crate) struct ResultSlots {
    words: CachePadded<[AtomicU64; RESULT_SLOTS]>,
    trims: CachePadded<AtomicU32>,
}

impl ResultSlots {
    /// Either side: holds a free slot, and nobody else does.
    pub(crate) fn hold(&self, slot: usize) -> bool {
        // ORDERING: Acquire pairs with `free`: what the last holder did with the memory is done.
        self.word(slot).compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Worker: whether what the last reply wrote there is still needed.
    pub(crate) fn is_in_use(&self, slot: usize) -> bool {
        self.word(slot).load(Ordering::Relaxed) != FREE
    }

    /// Worker: the slot that it holds belongs to a reply, which is given next.
    pub(crate) fn assign(&self, slot: usize, batch: u32, index: u32) {
        // ORDERING: Relaxed: the ring's `tail`, or the socket, orders it before the reply's arrival.
        self.word(slot).store(name(batch, index), Ordering::Relaxed);
    }

    /// Parent: the slot of a reply that has arrived.
    pub(crate) fn of(&self, batch: u32, index: u32) -> Option<usize> {
        let name = name(batch, index);
        (0..RESULT_SLOTS).find(|slot| self.word(*slot).load(Ordering::Relaxed) == name)
    }

    /// The holder, or the parent when it has copied what belonged to the reply.
    pub(crate) fn free(&self, slot: usize) {
        // ORDERING: Release pairs with `hold`.
        self.word(slot).store(FREE, Ordering::Release);
    }

    /// Parent, which holds a slot: its memory has gone back to the system.
    pub(crate) fn note_trim(&self) {
        // ORDERING: Relaxed: who holds the slot next sees it, because `free` follows.
        self.trims.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Worker, which holds a slot: how often that was.
    pub(crate) fn trims(&self) -> u32 {
        self.trims.0.load(Ordering::Relaxed)
    }

    fn word(&self, slot: usize) -> &AtomicU64 {
        &self.words.0[slot]
    }
}

fn name(batch: u32, index: u32) -> u64 {
    (u64::from(batch) << 32 | u64::from(index)).wrapping_add(2)
}

#[cfg(test)]
mod tests {
    use super::{RESULT_SLOTS, ResultSlots};

    #[test]
    fn a_slot_is_held_by_one_side_and_found_by_its_reply() {
        let slots = ResultSlots::default();
        assert!(slots.hold(1) && !slots.hold(1));
        assert_eq!(slots.of(0, 0), None);
        slots.assign(1, 0, 0);
        assert_eq!((slots.of(0, 0), slots.of(0, 1)), (Some(1), None));
        assert!(!slots.hold(1));
        slots.free(1);
        assert!(slots.of(0, 0).is_none() && slots.hold(1));
        assert_eq!((0..RESULT_SLOTS).filter(|slot| slots.hold(*slot)).count(), RESULT_SLOTS - 1);
    }
}
