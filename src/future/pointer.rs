//! [`Pointer`]: a counted pointer to a cell, whose count is a part of the cell's state word.
//!
//! As an `Arc`, but the end of a task on a worker and the drop of the worker's pointer are one instruction
//! ([`Pointer::publish_finished`]), the count takes no room of its own, and there are no weak pointers.
//!
//! The argument why memory is freed once, by the last to go, and after all that the others did:
//!
//! 1. *A cell has as many pointers as its word counts.* [`write()`] makes the word and its callers the pointers, both at once. A clone counts itself before it is
//!    there, from a pointer that exists; a drop is counted after the last use. A pointer is made nowhere else, and its inside
//!    is this file's.
//! 2. *The word changes by read-modify-writes alone*, so all that is ever done to it is one release sequence. Each pointer
//!    goes by a Release of it; the one that frees reads it with Acquire, and so comes after all that the others did.
//! 3. *Who reads a count of one while holding a pointer is the last.* Nobody else has a pointer to clone, and none comes
//!    into being by other means. So the last one needs no instruction on the bus, only the Acquire of its look.
//! 4. *The count can't overflow*: it has 52 bits, and the program is aborted before half of them are used, as by an `Arc`.
//!    Nobody makes 2^51 pointers without forgetting them.
//!
//! What lies in the cell is none of this file's business: which pointer's holder may touch what is the table in `cell.rs`.

use super::cell::{AnyCell, Body, Cell, Entry, Header, Source};
use super::extra::Extra;
use super::memory;
use super::state::Snapshot;
use super::work::Work;
use std::alloc::Layout;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;

/// One of the counted pointers to a cell, under the type by which its holder knows it.
pub(crate) struct Pointer<C: AnyCell + ?Sized>(NonNull<C>);

// SAFETY: as of an `Arc`: a pointer lends the cell to its holder's thread (`Sync`), and the last to go drops it there (`Send`).
unsafe impl<C: AnyCell + ?Sized> Send for Pointer<C> {}

// SAFETY: as above: through a shared pointer others may clone it, which lends and drops the cell on their threads.
unsafe impl<C: AnyCell + ?Sized> Sync for Pointer<C> {}

/// Both pointers of a new cell; of one the cell's own type is forgotten.
pub(crate) type Both<'a, W, T, X> = (Pointer<Cell<W, T, X>>, Pointer<dyn Source<T> + 'a>);

/// A new cell, by its two pointers.
pub(crate) fn allocate<'a, W, T, X>(first: Snapshot, body: Body<W, T>, extra: X) -> Both<'a, W, T, X>
where
    W: Work<T> + 'a,
    T: Send + 'a,
    X: Extra + 'a,
{
    // No array of `N` pointers: what makes one is compiled for each task's type, and is more than all the rest here.
    let cell = write(first, 2, body, extra);
    (Pointer(cell), Pointer(cell))
}

/// A new cell with one pointer.
pub(crate) fn allocate_one<'a, W, T, X>(
    first: Snapshot,
    body: Body<W, T>,
    extra: X,
) -> Pointer<dyn Source<T> + 'a>
where
    W: Work<T> + 'a,
    T: Send + 'a,
    X: Extra + 'a,
{
    Pointer(write(first, 1, body, extra))
}

fn write<W, T, X: Extra>(
    first: Snapshot,
    pointers: usize,
    body: Body<W, T>,
    extra: X,
) -> NonNull<Cell<W, T, X>> {
    let (memory, is_kept) = memory::allocate(Layout::new::<Cell<W, T, X>>());
    let cell = memory.cast::<Cell<W, T, X>>();
    // SAFETY: it has the layout of a cell, and nobody else has it.
    unsafe { cell.write(Cell::new(first.kept_if(is_kept), pointers, body, extra)) };
    cell
}

impl<C: AnyCell + ?Sized> Pointer<C> {
    pub(crate) fn header(&self) -> &Header {
        header(&**self)
    }
}

impl<W: Work<T>, T: Send, X: Extra> Pointer<Cell<W, T, X>> {
    /// The same pointer, for a holder that knows the result's type and no other.
    pub(crate) fn into_source<'a>(self) -> Pointer<dyn Source<T> + 'a>
    where
        W: 'a,
        T: 'a,
        X: 'a,
    {
        let cell: NonNull<dyn Source<T> + 'a> = ManuallyDrop::new(self).0;
        Pointer(cell)
    }
}

impl<T> Pointer<dyn Source<T>> {
    /// The same pointer, for a holder that doesn't know the result's type.
    pub(crate) fn into_entry(self) -> Entry {
        let cell: NonNull<dyn AnyCell> = ManuallyDrop::new(self).0;
        Pointer(cell)
    }
}

impl Entry {
    /// Publishes a task that has run on the holder's thread as Finished and lets go of it, in one step. Not where somebody
    /// waits for it or its future is gone: then there is more to do, and the pointer comes back.
    pub(crate) fn publish_finished(self) -> Result<(), Self> {
        self.header().note_use();
        // From the moment it succeeds the cell may be freed by its future: nothing of it is looked at any more.
        if self.header().word.publish_finished_and_go() {
            std::mem::forget(self);
            return Ok(());
        }
        Err(self)
    }
}

impl<C: AnyCell + ?Sized> Clone for Pointer<C> {
    fn clone(&self) -> Self {
        self.header().word.add_pointer();
        Pointer(self.0)
    }
}

impl<C: AnyCell + ?Sized> Deref for Pointer<C> {
    type Target = C;

    fn deref(&self) -> &C {
        // SAFETY: this pointer is counted, so the cell is not freed while it is there, and what is lent here ends before. There
        // is no unique reference to a cell until it is freed.
        unsafe { self.0.as_ref() }
    }
}

impl<C: AnyCell + ?Sized> Drop for Pointer<C> {
    fn drop(&mut self) {
        self.header().note_use();
        if self.header().word.remove_pointer() {
            self.header().note_end();
            let (is_kept, layout) = (self.header().word.constants().is_kept(), Layout::for_value(&**self));
            // SAFETY: this was its last pointer, and all that others did with it has happened before (points 1 to 3 of the module).
            unsafe { self.0.drop_in_place() };
            // SAFETY: `allocate` above has it from there, and the word says whether it is kept; the layout is that of the cell's own
            // type, which the vtable knows. Nobody has it any more.
            unsafe { memory::free(self.0.cast(), layout, is_kept) };
        }
    }
}

/// The header of a cell, without asking its vtable where it is.
pub(super) fn header<C: AnyCell + ?Sized>(cell: &C) -> &Header {
    // SAFETY: an `AnyCell` is a `Cell` by the contract of that trait, which begins with its header (`repr(C)`). The header
    // is lent as long as the cell.
    unsafe { &*std::ptr::from_ref(cell).cast::<Header>() }
}
