//! The words that processes share, and tasks that can be encoded, opened for models: a module of the crate, compiled in
//! tests/loom alone.

use super::shared::{claim, results, ring};
use crate::error::TaskError;
use crate::executor::map::{batch, pace::Pace};
use crate::future::Future;
use crate::future::cell::{Body, Cell};
use crate::future::pointer::{Pointer, allocate};
use crate::future::publish::{own, run_here};
use crate::future::state::{Phase, Snapshot};
use crate::future::work::Work;
use std::sync::Arc;

/// Batches in flight to one worker at once.
pub const SLOTS: usize = claim::SLOTS;

/// Who may begin what.
#[derive(Default)]
pub struct Claims(claim::Claims);

impl Claims {
    /// The word of the slot that batch `number` is in.
    pub fn claim(&self, number: u32) -> Claim<'_> {
        Claim(self.0.claim(number))
    }

    /// How many frames the worker is through with.
    pub fn over(&self) -> u32 {
        self.0.over()
    }

    /// The worker is through with one more frame.
    pub fn pass(&self, frames: u32) {
        self.0.pass(frames);
    }
}

/// One batch's word.
#[derive(Clone, Copy)]
pub struct Claim<'w>(&'w claim::Claim);

impl Claim<'_> {
    /// Parent: opens a new batch.
    pub fn open(self, tasks: u32) {
        self.0.open(tasks);
    }

    /// Worker: begins the next task of the batch.
    pub fn begin(self) -> Option<u32> {
        self.0.begin()
    }

    /// Parent: lowers the limit; says what it is now.
    pub fn lower(self, to: u32) -> u32 {
        self.0.lower(to).limit
    }

    /// Parent: asks a task that has begun to stop.
    pub fn ask(self, number: u32, index: u32) {
        self.0.ask(number, index);
    }

    /// Worker: whether it was asked.
    pub fn is_asked(self, number: u32, index: u32) -> bool {
        self.0.is_asked(number, index)
    }
}

/// Small replies on their way up.
#[derive(Default)]
pub struct Ring<const N: usize>(ring::Ring<N>);

impl<const N: usize> Ring<N> {
    /// Worker: puts a reply in, if there is room.
    pub fn put(&self, batch: u32, index: u32, reply: &[u8]) -> bool {
        self.0.put(batch, index, reply)
    }

    /// Worker, after a `put`: whether to write a doorbell.
    pub fn takes_doorbell(&self) -> bool {
        self.0.takes_doorbell()
    }

    /// Parent: wants no doorbell.
    pub fn disable_doorbell(&self) {
        self.0.disable_doorbell();
    }

    /// Parent: takes the place of whoever wants a doorbell; false if nobody does.
    pub fn try_disable_doorbell(&self) -> bool {
        self.0.try_disable_doorbell()
    }

    /// Parent: wants a doorbell from here on. True if something is there already.
    pub fn enable_doorbell(&self) -> bool {
        self.0.enable_doorbell()
    }

    /// Parent: whether something is in the ring.
    pub fn has_replies(&self) -> bool {
        self.0.has_replies()
    }

    /// Parent: takes the next reply out; its batch, its index, its bytes.
    pub fn take(&self) -> Option<(u32, u32, Vec<u8>)> {
        let next = self.0.next().expect("nobody scribbles")?;
        let mut bytes = Vec::new();
        self.0.take(next, &mut bytes);
        Some((next.batch, next.index, bytes))
    }
}

/// Which of a worker's memory for large results is in use.
#[derive(Default)]
pub struct ResultSlots(results::ResultSlots);

impl ResultSlots {
    /// Either side: holds a free slot.
    pub fn hold(&self, slot: usize) -> bool {
        self.0.hold(slot)
    }

    /// Worker: the slot that it holds belongs to a reply.
    pub fn assign(&self, slot: usize, batch: u32, index: u32) {
        self.0.assign(slot, batch, index);
    }

    /// Parent: the slot of a reply.
    pub fn of(&self, batch: u32, index: u32) -> Option<usize> {
        self.0.of(batch, index)
    }

    /// Whoever is through with it.
    pub fn free(&self, slot: usize) {
        self.0.free(slot);
    }

    /// Parent, which holds a slot: its memory has gone back.
    pub fn note_trim(&self) {
        self.0.note_trim();
    }

    /// Worker, which holds a slot: how often that was.
    pub fn trims(&self) -> u32 {
        self.0.trims()
    }
}

/// A task that could be encoded, as its executor has it: with a value in place of a call.
pub struct PortableTask<T: Send>(Pointer<Cell<Argument<T>, T, ()>>);

impl<T: Send + 'static> PortableTask<T> {
    /// The task, and the future of the value.
    pub fn new(value: T) -> (Self, Future<T>) {
        let (task, cell) = allocate(Snapshot::first(Phase::Queued), Body::Ready(Argument(value)), ());
        (PortableTask(task), Future::from_cell(cell))
    }

    /// Does with the cell what encoding does, and keeps the work; false if there is none.
    pub fn encode(&self) -> bool {
        let Ok(work) = self.0.take_work() else { return false };
        drop(self.0.give_back(work));
        true
    }

    /// Runs it, unless it was cancelled.
    pub fn run(self) {
        if own(&*self.0) {
            run_here(&self.0.into_source().into_entry(), None, |_| {});
        }
    }
}

struct Argument<T>(T);

impl<T: Send> Work<T> for Argument<T> {
    const IS_PORTABLE: bool = true;

    fn call(self) -> Result<T, TaskError> {
        Ok(self.0)
    }
}

/// Items that share a task, for the thread that waits for it.
pub struct Batch<A, R>(Arc<batch::Batch<A, R>>);

/// The same for the worker.
pub struct BatchTask<A, R>(batch::BatchTask<A, R>);

impl<A, R> Batch<A, R> {
    /// Both ends.
    pub fn new(items: Vec<A>) -> (Self, BatchTask<A, R>) {
        let (batch, task) = batch::Batch::new(items, 0);
        (Batch(batch), BatchTask(task))
    }

    /// Takes away what has not begun, with the place of the first.
    pub fn part(&self) -> (Vec<A>, usize) {
        self.0.part()
    }

    /// Takes the results that are there.
    pub fn take_done(&self) -> Vec<Result<R, TaskError>> {
        self.0.take_done()
    }
}

impl<A, R> BatchTask<A, R> {
    /// Runs what is left, and gives the results that nobody has taken.
    pub fn run(mut self, f: impl Fn(A) -> R) -> Vec<Result<R, TaskError>> {
        self.0.run(|item| Ok(f(item)), &Pace::new())
    }
}

/// Has the models of this thread of the system see the counts of pointers, or not.
pub fn see_counts(yes: bool) {
    crate::sync::see_counts(yes);
}
