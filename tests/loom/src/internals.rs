//! The words that processes share, opened for models: a module of the crate, compiled in tests/loom alone.

use super::page;
use super::ring;

/// Batches in flight to one worker at once.
pub const FLIGHTS: usize = page::FLIGHTS;

/// Who may begin what.
#[derive(Default)]
pub struct Words(page::Words);

impl Words {
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
pub struct Claim<'w>(&'w page::Claim);

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
}

/// Small replies on their way up.
#[derive(Default)]
pub struct Ring<const N: usize>(ring::Ring<N>);

impl<const N: usize> Ring<N> {
    /// Worker: puts a reply in, if there is room.
    pub fn put(&self, batch: u32, index: u32, reply: &[u8]) -> bool {
        self.0.put(batch, index, reply)
    }

    /// Worker, after a `put`: whether to ring.
    pub fn is_wanted(&self) -> bool {
        self.0.is_wanted()
    }

    /// Parent: nobody need ring.
    pub fn listen(&self) {
        self.0.listen();
    }

    /// Parent: listens in the place of somebody who wants to be rung; false if nobody does.
    pub fn listen_instead(&self) -> bool {
        self.0.listen_instead()
    }

    /// Parent: wants to be rung from here on. True if something is there already.
    pub fn hang_up(&self) -> bool {
        self.0.hang_up()
    }

    /// Parent: whether something is in the ring.
    pub fn has_news(&self) -> bool {
        self.0.has_news()
    }

    /// Parent: takes the next reply out; its batch, its index, its bytes.
    pub fn take(&self) -> Option<(u32, u32, Vec<u8>)> {
        let next = self.0.next().expect("nobody scribbles")?;
        let mut bytes = Vec::new();
        self.0.take(next, &mut bytes);
        Some((next.batch, next.index, bytes))
    }
}
