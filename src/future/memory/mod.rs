//! Memory of cells, which is used again.
//!
//! A cell lives as long as a task is pending, and often it is made on one thread and freed on another. Of what a no-op task takes
//! the program's allocator takes a third, for one block made and one freed. So small cells come from here: each thread has
//! some free ones at hand, and trades them with a *depot* that all threads share, [`BATCH`] at a time. What the depot has is
//! cut from *chunks*, which come from the program's allocator and go back there.
//!
//! | a place of memory is | whose it is | how it gets on |
//! |---|---|---|
//! | not cut yet | its chunk's, that is the depot's | [`Depot::take`] cuts it off |
//! | free, in its chunk's list | the depot's | [`Depot::take`] |
//! | free, in a thread's list | that thread's | [`Cache::take`]; what is too much, and all at its end: [`Depot::give`] |
//! | a cell | the cell's pointers' | the last of them frees it ([`free`]) |
//!
//! Why no memory is used by two:
//!
//! 1. *A [`Place`] is memory that its holder has alone.* Places can't be cloned. They are made where one is cut off a chunk, once
//!    until the chunk is whole again, and by [`free`], whose caller gives a cell up. [`allocate`] gives one away as a cell.
//! 2. *A free place holds the next of its list and nothing else.* It is written when the place gets into a list, and read when it
//!    gets out, by whoever has the list.
//! 3. *Chunks are the depot's, under its lock*: how far each is cut, what is free in it, and how many of its places are `out`.
//!    A chunk with none out is whole: there is no place of it but in its own list, which goes first. Only then is it cut anew
//!    or given back.
//! 4. *The way from a place to its chunk* is a word at the beginning of each 64 KiB of the chunk, a *block*. It is written before
//!    the first place of the block is cut off, and not changed while one is out.
//!
//! No thread waits here for another, except for a moment when it ends ([`PATIENCE`]). Where another has the depot's lock, the program's
//! allocator serves, and what a thread has too much of it gives the next time. So a thread that the system keeps from running, lock
//! in hand, holds up nobody; nor does one that is not there: a fork has its parent's locks, and not the threads that hold them.
//!
//! What is kept: each thread has less than two batches of a class, the depot at most 4 MiB of free memory in whole chunks. A chunk of
//! which one cell lives stays. With a thread all it has at hand goes to the depot. Cells that are freed later, by destructors of
//! other thread-locals, go there directly.
//!
//! The program's allocator serves cells that are large or want a wide alignment, and those that are made when the thread's list is
//! gone or when it gives no chunk: a single cell may still be had then. Each cell's word says whether it is from here, and its layout from which
//! class.
//! Without [`CELLS_ARE_KEPT`] it serves all, for tools that look at each block of memory.

mod depot;

use crate::sync::plain::Mutex;
use crate::sync::{CELLS_ARE_KEPT, CachePadded};
use depot::{Chunk, Depot, List, Loose, Place};
use std::alloc::{self, Layout};
use std::cell::Cell;
use std::num::NonZeroU8;
use std::ptr::NonNull;
use std::time::Duration;

/// Cells differ by so many bytes from class to class.
const UNIT: usize = 8;

/// So the largest have 128 bytes.
const CLASSES: usize = 16;

/// How many places go to or from the depot at a time: what its lock costs is nothing beside so many tasks.
const BATCH: usize = 64;

/// How long a thread that ends waits for the depot's lock. Nobody has it for so long, except in a fork.
const PATIENCE: Duration = Duration::from_millis(100);

/// Cells of one size, in units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Class(NonZeroU8);

impl Class {
    /// None for what the program's allocator serves.
    fn of(layout: Layout) -> Option<Self> {
        if !CELLS_ARE_KEPT || layout.size() > CLASSES * UNIT || layout.align() > UNIT {
            return None;
        }
        Self::of_size(layout.size())
    }

    fn of_size(size: usize) -> Option<Self> {
        NonZeroU8::new(size.div_ceil(UNIT) as u8).map(Class)
    }

    fn index(self) -> usize {
        usize::from(self.0.get()) - 1
    }

    /// Of one place, in bytes.
    fn size(self) -> usize {
        usize::from(self.0.get()) * UNIT
    }
}

/// Memory for one cell, and whether it is from here, or from the program's allocator. Ends the program if there is none, as a `Box` does.
#[inline]
pub(super) fn allocate(layout: Layout) -> (NonNull<u8>, bool) {
    if let Some(class) = Class::of(layout)
        && let Some(place) = CACHE.try_with(|cache| cache.take(class)).ok().flatten()
    {
        return (place.0.cast(), true);
    }
    (allocate_one(layout), false)
}

fn allocate_one(layout: Layout) -> NonNull<u8> {
    assert!(layout.size() > 0, "a cell has a header");
    // SAFETY: the size is not zero.
    let block = unsafe { alloc::alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| alloc::handle_alloc_error(layout))
}

/// Takes the memory of a cell back.
///
/// # Safety
///
/// It is from [`allocate`], which said for this `layout` whether it `is_kept`; the caller is the last to have it.
#[inline]
pub(super) unsafe fn free(cell: NonNull<u8>, layout: Layout, is_kept: bool) {
    // Only what has a class is kept.
    let Some(class) = Class::of_size(layout.size()).filter(|_| is_kept) else {
        // SAFETY: as the caller says, it is from there, with this layout.
        unsafe { alloc::dealloc(cell.as_ptr(), layout) };
        return;
    };
    let mut place = Some(Place(cell.cast()));
    // Gone when the thread is in its last moments.
    let _ = CACHE.try_with(|cache| {
        if let Some(place) = place.take() {
            cache.put(place, class);
        }
    });
    if let Some(place) = place {
        let mut one = List::EMPTY;
        one.push(place);
        give_back(&mut one, 1, class, PATIENCE);
    }
}

/// What one thread has at hand.
struct Cache([Cell<List>; CLASSES]);

std::thread_local! {
    static CACHE: Cache = const { Cache([const { Cell::new(List::EMPTY) }; CLASSES]) };
}

impl Cache {
    #[inline]
    fn take(&self, class: Class) -> Option<Place> {
        let slot = &self.0[class.index()];
        let mut list = slot.take();
        let place = list.pop().or_else(|| refill(&mut list, class));
        slot.set(list);
        place
    }

    #[inline]
    fn put(&self, place: Place, class: Class) {
        let slot = &self.0[class.index()];
        let mut list = slot.take();
        list.push(place);
        if list.len >= 2 * BATCH {
            give_back(&mut list, BATCH, class, Duration::ZERO);
        }
        slot.set(list);
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        for (slot, units) in self.0.iter().zip(1..) {
            let mut list = slot.take();
            if let Some(class) = NonZeroU8::new(units).map(Class).filter(|_| list.len > 0) {
                let all = list.len;
                give_back(&mut list, all, class, PATIENCE);
            }
        }
    }
}

static DEPOTS: [CachePadded<Mutex<Depot>>; CLASSES] =
    [const { CachePadded::new(Mutex::new(Depot::NEW)) }; CLASSES];

fn depot(class: Class) -> &'static Mutex<Depot> {
    &DEPOTS[class.index()]
}

/// One place, and as many as fit into a batch beside it. None if another thread has the depot, or if the program's allocator
/// gives no chunk.
#[cold]
#[inline(never)]
fn refill(list: &mut List, class: Class) -> Option<Place> {
    let mut depot = depot(class).try_lock()?;
    let mut first = depot.take(class);
    if first.is_none() {
        // The allocator is the program's: it is asked with no lock held. Should another thread have done the same, there are two.
        let blocks = depot.next_blocks();
        drop(depot);
        let chunk = Chunk::allocate(blocks)?;
        depot = self::depot(class).try_lock()?;
        depot.add(chunk, class);
        first = depot.take(class);
    }
    while list.len < BATCH - 1
        && let Some(place) = depot.take(class)
    {
        list.push(place);
    }
    first
}

/// The first places of a list go to the depot, unless another thread has that for longer than `patience`.
#[cold]
#[inline(never)]
fn give_back(list: &mut List, count: usize, class: Class, patience: Duration) {
    // Chunks go with no lock held.
    let mut loose = Loose::NONE;
    let depot = depot(class);
    let later = || if patience.is_zero() { None } else { depot.try_lock_for(patience) };
    let Some(mut depot) = depot.try_lock().or_else(later) else { return };
    for _ in 0..count {
        let Some(place) = list.pop() else { break };
        depot.give(place, class, &mut loose);
    }
    drop(depot);
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::{BATCH, CELLS_ARE_KEPT, Class, allocate, depot, free};
    use std::alloc::Layout;
    use std::num::NonZeroU8;

    #[test]
    fn a_class_for_each_layout() {
        let of = |size, align| Class::of(Layout::from_size_align(size, align).unwrap()).map(Class::size);
        if CELLS_ARE_KEPT {
            assert_eq!((of(1, 1), of(8, 8), of(9, 8), of(56, 8)), (Some(8), Some(8), Some(16), Some(56)));
            assert_eq!((of(128, 8), of(121, 4)), (Some(128), Some(128)));
        }
        assert_eq!((of(129, 8), of(64, 16), of(0, 1)), (None, None, None));
    }

    /// As in a fork, where the thread that has the lock isn't there.
    #[test]
    fn nobody_waits_for_a_lock_that_is_held_for_ever() {
        let layout = Layout::from_size_align(104, 8).unwrap();
        let cells = |many: usize| -> Vec<_> { (0..many).map(|_| allocate(layout)).collect() };
        let before = cells(3 * BATCH);
        let held = depot(Class(NonZeroU8::new(13).unwrap())).lock();
        let during = cells(3 * BATCH);
        assert!(during.iter().filter(|(_, is_kept)| !is_kept).count() > BATCH);
        for (cell, is_kept) in before.into_iter().chain(during) {
            // SAFETY: from there, with this layout, and nobody else has it.
            unsafe { free(cell, layout, is_kept) };
        }
        drop(held);
    }
}
