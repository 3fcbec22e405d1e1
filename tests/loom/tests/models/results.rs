//! Result slots, with the orderings that their words have: nobody writes to memory that the other side still reads, and who
//! takes a reply finds its slot and what was written there.

use crate::support::explore;
use concurrent_futures::internals::{ResultSlots, Ring};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

const BATCH: u32 = 7;

#[derive(Default)]
struct Lane {
    slots: ResultSlots,
    ring: Ring<8>,
}

/// A slot's memory: what was written last. Loom watches that only one side uses it at a time.
type Memory = UnsafeCell<u32>;

/// As a worker gives a reply with a long string; false if it found no slot and goes by the socket.
fn reply(lane: &Lane, memory: &Memory, index: u32) -> bool {
    let holds = lane.slots.hold(0);
    if holds {
        // SAFETY: whoever holds the slot has its memory; loom watches it.
        memory.with_mut(|memory| unsafe { *memory = index });
        lane.slots.assign(0, BATCH, index);
    }
    assert!(lane.ring.put(BATCH, index, &[u8::from(holds)]), "all have room");
    holds
}

/// As the parent takes the next reply, if it is there.
fn take(lane: &Lane, memory: &Memory) -> Option<u32> {
    let (batch, index, bytes) = lane.ring.take()?;
    let slot = lane.slots.of(batch, index);
    assert_eq!(slot, (bytes == [1]).then_some(0), "its slot");
    if let Some(slot) = slot {
        // SAFETY: as above.
        assert_eq!(memory.with(|memory| unsafe { *memory }), index);
        lane.slots.free(slot);
    }
    Some(index)
}

/// Fails if a slot is freed without Release or held without Acquire, and if it is assigned after the reply was given.
#[test]
fn what_lies_in_a_slot_is_its_replys_until_it_was_read() {
    explore("what_lies_in_a_slot_is_its_replys_until_it_was_read", 3, || {
        let (lane, memory) = (Arc::new(Lane::default()), Arc::new(Memory::new(0)));
        let worker = {
            let (lane, memory) = (lane.clone(), memory.clone());
            thread::spawn(move || (1..=2).filter(|index| reply(&lane, &memory, *index)).count())
        };
        let mut taken: Vec<u32> = (0..2).filter_map(|_| take(&lane, &memory)).collect();
        assert!(worker.join().expect("no panics") > 0, "the first finds it free");
        taken.extend(std::iter::from_fn(|| take(&lane, &memory)));
        assert_eq!(taken, [1, 2]);
        assert!(lane.slots.hold(0), "it is free in the end");
    });
}

/// The parent gives memory back while the worker has large results.
#[test]
fn memory_is_given_back_by_who_holds_the_slot() {
    explore("memory_is_given_back_by_who_holds_the_slot", 3, || {
        let (lane, memory) = (Arc::new(Lane::default()), Arc::new(Memory::new(0)));
        let worker = {
            let (lane, memory) = (lane.clone(), memory.clone());
            thread::spawn(move || {
                let seen = lane.slots.hold(0).then(|| {
                    // SAFETY: whoever holds the slot has its memory; loom watches it.
                    let given_back = memory.with(|memory| unsafe { *memory }) == 9;
                    assert_eq!(lane.slots.trims(), u32::from(given_back));
                    lane.slots.free(0);
                });
                seen.is_some()
            })
        };
        let trims = lane.slots.hold(0);
        if trims {
            // SAFETY: as above.
            memory.with_mut(|memory| unsafe { *memory = 9 });
            lane.slots.note_trim();
            lane.slots.free(0);
        }
        assert!(worker.join().expect("no panics") || trims);
    });
}
