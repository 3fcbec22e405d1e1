//! The segment that a worker shares with the parent: who may begin a task is settled here, by one word.
//!
//! The protocol and its proof stand in `PROTOCOL.md` beside this file. In one sentence: a worker *begins* a task only by a
//! compare-and-swap against a limit that the parent set before it sent the first byte and from then on only lowers, so
//! what lies above the limit certainly never began, and may run elsewhere.
//!
//! What the parent reads here was written by a process that may have gone mad: every number is checked before it is
//! used.

use super::ring::Ring;
use crate::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::ops::Deref;

/// Batches in flight to one worker at once: one that it runs and one that waits in its socket.
pub(super) const SLOTS: usize = 2;

/// Room for a worker's last words.
pub(super) const LAST_WORDS: usize = 16 << 10;

/// The words, as they lie in memory. All zero is their beginning. Each that both sides write has a cache line to itself.
#[repr(C)]
pub(super) struct Layout {
    claims: Claims,
    pub(super) ring: Ring,
    pub(super) exit_flags: ExitFlags,
    pub(super) last_words: LastWords,
}

impl Deref for Layout {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        &self.claims
    }
}

/// Who may begin what; by itself, because models need no more.
#[repr(C)]
#[derive(Default)]
pub(super) struct Claims {
    claims: [Line<Claim>; SLOTS],
    over: Line<AtomicU32>,
}

#[repr(C, align(64))]
#[derive(Default)]
struct Line<T>(T);

impl Claims {
    /// The word of the slot that batch `number` is in.
    pub(super) fn claim(&self, number: u32) -> &Claim {
        &self.claims[slot(number)].0
    }

    /// How many frames the worker is through with. Its last access to their claim words lies before.
    pub(super) fn over(&self) -> u32 {
        // ORDERING: pairs with `pass`: who sees a frame passed may use its slot again.
        self.over.0.load(Ordering::Acquire)
    }

    /// The worker is through with one more frame. It alone writes the word.
    pub(super) fn pass(&self, frames: u32) {
        // ORDERING: Release, so that the last compare-and-swap on the slot lies before the parent's next use of it.
        self.over.0.store(frames, Ordering::Release);
    }
}

/// The slot of batch `number`, counted from 0: they alternate.
pub(super) fn slot(number: u32) -> usize {
    number as usize % SLOTS
}

/// `{limit: 32 | begun: 32}` of one batch in flight.
#[repr(transparent)]
#[derive(Default)]
pub(super) struct Claim(AtomicU64);

/// A copy of the word at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Claimed {
    /// Tasks below this may begin.
    pub(super) limit: u32,
    /// Tasks below this have begun.
    pub(super) begun: u32,
}

impl Claimed {
    fn pack(self) -> u64 {
        u64::from(self.limit) << 32 | u64::from(self.begun)
    }

    fn unpack(word: u64) -> Self {
        Claimed { limit: (word >> 32) as u32, begun: word as u32 }
    }

    /// Nothing of the batch can begin any more: the limit never rises.
    pub(super) fn is_through(self) -> bool {
        self.begun >= self.limit
    }
}

impl Claim {
    pub(super) fn load(&self) -> Claimed {
        Claimed::unpack(self.0.load(Ordering::Acquire))
    }

    /// Parent: opens a new batch of `tasks`, before its first byte is sent. The slot is free: nobody else touches the
    /// word.
    pub(super) fn open(&self, tasks: u32) {
        self.0.store(Claimed { limit: tasks, begun: 0 }.pack(), Ordering::Release);
    }

    /// Worker: begins the next task of the batch and says its number; `None` when there is none left.
    pub(super) fn begin(&self) -> Option<u32> {
        // ORDERING: both sides only read-modify-write this one word, so its own order alone decides who owns a task. No
        // other data rests on it: the frame came by the socket.
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                let now = Claimed::unpack(word);
                (!now.is_through()).then(|| Claimed { begun: now.begun + 1, ..now }.pack())
            })
            .ok()
            .map(|word| Claimed::unpack(word).begun)
    }

    /// What a worker may do that has gone mad.
    #[cfg(test)]
    pub(super) fn scribble(&self, word: u64) {
        self.0.store(word, Ordering::Release);
    }

    /// Parent: lowers the limit to `to`, but not below what has begun. Says the word as it is now: what lies above its
    /// limit never began and never will.
    ///
    /// A worker gone mad that writes to the word without end doesn't hold the parent up: then the limit stays.
    pub(super) fn lower(&self, to: u32) -> Claimed {
        /// Each try in vain is a task begun meanwhile, which takes far longer than a try.
        const TRIES: usize = 10_000;
        let mut now = self.load();
        for _ in 0..TRIES {
            let lowered = Claimed { limit: to.max(now.begun), ..now };
            if lowered.limit >= now.limit {
                break;
            }
            let word =
                self.0.compare_exchange(now.pack(), lowered.pack(), Ordering::AcqRel, Ordering::Acquire);
            let Err(word) = word else { return lowered };
            let before = std::mem::replace(&mut now, Claimed::unpack(word));
            // No other side makes less of the one or more of the other.
            if now.begun < before.begun || now.limit > before.limit {
                break;
            }
        }
        now
    }
}

/// How a worker is ended that can't be signalled, and what one notes that ends by itself. No part of the protocol: a
/// worker's end, however it comes, is told by its handle.
#[repr(C, align(64))]
#[derive(Default)]
pub(super) struct ExitFlags {
    exit_requested: AtomicU32,
    thread_gone: AtomicU32,
}

impl ExitFlags {
    /// Parent: the worker is to leave at once.
    pub(super) fn request_exit(&self) {
        self.exit_requested.store(1, Ordering::Release);
    }

    /// Worker: whether it is to leave at once.
    pub(super) fn is_exit_requested(&self) -> bool {
        self.exit_requested.load(Ordering::Acquire) != 0
    }

    /// Worker: it leaves since the thread that runs its tasks is gone.
    pub(super) fn note_thread_gone(&self) {
        self.thread_gone.store(1, Ordering::Release);
    }

    /// Parent: whether it left for that reason.
    pub(super) fn was_thread_gone(&self) -> bool {
        self.thread_gone.load(Ordering::Acquire) != 0
    }
}

/// What a worker under `panic = "abort"` has to say before it goes: one text, and which task it was at.
#[repr(C, align(64))]
pub(super) struct LastWords {
    /// Bytes of `text`, and 1 more; 0 while there are none.
    len: AtomicU32,
    text: [AtomicU8; LAST_WORDS],
}

impl LastWords {
    /// Worker: leaves `text`, cut to what there is room for.
    pub(super) fn leave(&self, text: &[u8]) {
        let len = text.len().min(LAST_WORDS);
        for (place, byte) in self.text.iter().zip(&text[..len]) {
            place.store(*byte, Ordering::Relaxed);
        }
        // ORDERING: the worker's death, which the kernel reports, orders everything; Release is for a reader before it.
        self.len.store(len as u32 + 1, Ordering::Release);
    }

    /// Parent: reads them, after the death.
    pub(super) fn read(&self) -> Option<Vec<u8>> {
        let len = self.len.load(Ordering::Acquire).checked_sub(1)? as usize;
        Some(self.text.iter().take(len).map(|byte| byte.load(Ordering::Relaxed)).collect())
    }
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::{Claim, Claimed};
    use crate::sync::atomic::AtomicU64;

    #[test]
    fn what_is_recalled_never_begins() {
        let claim = Claim(AtomicU64::new(0));
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
            let claim = Claim(AtomicU64::new(0));
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
