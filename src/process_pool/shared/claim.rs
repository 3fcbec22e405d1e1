//! [`Claims`]: which tasks a worker may begin. One word decides for each batch.
//!
//! A worker *begins* a task only by a compare-and-swap against a limit that the parent set before it sent the first byte
//! and from then on only lowers. What lies above the limit certainly never began, and may run elsewhere.
//!
//! Beside each such word is one by which the parent asks a task that has begun to stop.

use super::CachePadded;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Batches in flight to one worker at most: one that it runs and one that waits in its socket.
pub(crate) const SLOTS: usize = 2;

/// A claim word for each slot, and how many frames the worker has passed.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Claims {
    slots: [CachePadded<Claim>; SLOTS],
    over: CachePadded<AtomicU32>,
}

impl Claims {
    /// The word of the slot that batch `number` is in.
    pub(crate) fn claim(&self, number: u32) -> &Claim {
        &self.slots[slot(number)].0
    }

    /// How many frames the worker has passed: it won't look at their claim words again.
    pub(crate) fn over(&self) -> u32 {
        // ORDERING: Acquire pairs with `pass`: a parent that sees a frame passed may use its slot again.
        self.over.0.load(Ordering::Acquire)
    }

    /// The worker has passed so many frames. It alone writes the word.
    pub(crate) fn pass(&self, frames: u32) {
        // ORDERING: Release pairs with `over`: the worker's last compare-and-swap on the slot happens before the parent's
        // next use of it.
        self.over.0.store(frames, Ordering::Release);
    }
}

/// The slot of batch `number`, counted from 0: they alternate.
pub(crate) fn slot(number: u32) -> usize {
    number as usize % SLOTS
}

/// `{limit: 32 | begun: 32}` of one batch in flight, and which of its tasks is asked to stop.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Claim {
    word: AtomicU64,
    /// `{batch: 32 | index + 1: 32}`, or 0. Only the parent writes it, and the index only rises while the batch is in flight.
    asked: AtomicU64,
}

/// A copy of the word at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Claimed {
    /// Tasks below this may begin.
    pub(crate) limit: u32,
    /// Tasks below this have begun.
    pub(crate) begun: u32,
}

impl Claimed {
    fn pack(self) -> u64 {
        u64::from(self.limit) << 32 | u64::from(self.begun)
    }

    fn unpack(word: u64) -> Self {
        Claimed { limit: (word >> 32) as u32, begun: word as u32 }
    }

    /// Nothing of the batch can begin any more: the limit never rises.
    pub(crate) fn is_through(self) -> bool {
        self.begun >= self.limit
    }
}

impl Claim {
    pub(crate) fn load(&self) -> Claimed {
        // ORDERING: Acquire pairs with `open`, for a worker that looks for a batch while it spins.
        Claimed::unpack(self.word.load(Ordering::Acquire))
    }

    /// Parent: opens a new batch of `tasks`, before its first byte is sent. The slot is free: nobody else touches the
    /// word.
    pub(crate) fn open(&self, tasks: u32) {
        // ORDERING: Relaxed, because the store below publishes it: a worker that begins a task of the batch no longer sees what was
        // asked of the one before it in this slot.
        self.asked.store(0, Ordering::Relaxed);
        // ORDERING: Release pairs with `load`. For `begin` the kernel orders it: the frame is sent afterwards.
        self.word.store(Claimed { limit: tasks, begun: 0 }.pack(), Ordering::Release);
    }

    /// Worker: begins the next task of the batch and returns its index; `None` when there is none left.
    pub(crate) fn begin(&self) -> Option<u32> {
        // ORDERING: AcqRel and Acquire pair with `lower` on the other side. Both sides only read-modify-write this one
        // word, so its own order alone decides who owns a task. No other data rests on it: the frame came by the socket.
        self.word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                let now = Claimed::unpack(word);
                (!now.is_through()).then(|| Claimed { begun: now.begun + 1, ..now }.pack())
            })
            .ok()
            .map(|word| Claimed::unpack(word).begun)
    }

    /// Parent: asks the task at `index` of batch `number`, which has begun, to stop. A task further on that was asked before stays
    /// asked: this one is over then, and its reply on its way.
    pub(crate) fn ask(&self, number: u32, index: u32) {
        // ORDERING: Release pairs with `is_asked`: a task that finds itself asked sees in shared memory what was done before.
        self.asked.fetch_max(asked(number, index), Ordering::Release);
    }

    /// Worker: whether the task at `index` of batch `number` is to stop.
    pub(crate) fn is_asked(&self, number: u32, index: u32) -> bool {
        // ORDERING: Acquire pairs with `ask`.
        self.asked.load(Ordering::Acquire) == asked(number, index)
    }

    /// What a worker out of control may write.
    #[cfg(test)]
    pub(crate) fn scribble(&self, word: u64) {
        // ORDERING: Release, as the worker's own stores.
        self.word.store(word, Ordering::Release);
    }

    /// Parent: lowers the limit to `to`, but not below what has begun. Returns the word as it is now: what lies above its
    /// limit never began and never will.
    ///
    /// A worker out of control that writes to the word without end doesn't hold the parent up: then the limit stays.
    pub(crate) fn lower(&self, to: u32) -> Claimed {
        /// Each try in vain is a task begun meanwhile, which takes far longer than a try.
        const TRIES: usize = 10_000;
        let mut now = self.load();
        for _ in 0..TRIES {
            let lowered = Claimed { limit: to.max(now.begun), ..now };
            if lowered.limit >= now.limit {
                break;
            }
            // ORDERING: AcqRel and Acquire pair with `begin`, as there.
            let word =
                self.word.compare_exchange(now.pack(), lowered.pack(), Ordering::AcqRel, Ordering::Acquire);
            let Err(word) = word else { return lowered };
            let before = std::mem::replace(&mut now, Claimed::unpack(word));
            // The worker never lowers `begun` and never raises `limit`.
            if now.begun < before.begun || now.limit > before.limit {
                break;
            }
        }
        now
    }
}

/// No batch has so many tasks that this overflowed.
fn asked(number: u32, index: u32) -> u64 {
    u64::from(number) << 32 | (u64::from(index) + 1)
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::{Claim, Claimed};

    #[test]
    fn a_task_is_asked_for_itself() {
        let claim = Claim::default();
        claim.open(3);
        assert!(!claim.is_asked(0, 0));
        claim.ask(0, 1);
        assert_eq!([0, 1, 2].map(|index| claim.is_asked(0, index)), [false, true, false]);
        // One that is over takes nothing from the one that runs.
        claim.ask(0, 0);
        assert!(claim.is_asked(0, 1));
        claim.ask(0, 2);
        assert_eq!([0, 1, 2].map(|index| claim.is_asked(0, index)), [false, false, true]);
        // Nor is anything left for the slot's next batch, which has the number after next.
        assert!(!claim.is_asked(2, 2));
        claim.open(3);
        assert!(!claim.is_asked(0, 2) && !claim.is_asked(2, 2));
    }

    #[test]
    fn what_is_recalled_never_begins() {
        let claim = Claim::default();
        assert_eq!(claim.begin(), None);
        claim.open(4);
        assert_eq!((claim.begin(), claim.begin()), (Some(0), Some(1)));
        assert_eq!(claim.lower(3), Claimed { limit: 3, begun: 2 });
        assert_eq!(claim.begin(), Some(2));
        assert_eq!(claim.begin(), None);
        assert_eq!(claim.lower(0), Claimed { limit: 3, begun: 3 });
        assert_eq!(claim.lower(9), Claimed { limit: 3, begun: 3 });
    }

    #[test]
    fn every_task_goes_to_one_side() {
        for _ in 0..1000 {
            let claim = Claim::default();
            claim.open(100);
            let kept = std::thread::scope(|scope| {
                let worker = scope.spawn(|| std::iter::from_fn(|| claim.begin()).count() as u32);
                let thief = scope.spawn(|| claim.lower(50).limit);
                let other = scope.spawn(|| claim.lower(30).limit);
                let left = thief.join().expect("counts").min(other.join().expect("counts"));
                assert_eq!(worker.join().expect("counts"), left);
                left
            });
            assert!((30..=100).contains(&kept));
        }
    }
}
