//! The ring in the shared segment: small replies on their way up, without a system call.
//!
//! ```text
//! reply:  batch 32, index 32 | length 64 | bytes, filled up to whole words
//! ```
//!
//! One side writes, the worker; one side reads, whoever holds the dispatcher. The reader may be asleep: `want` says whether
//! somebody is to be rung. Why nothing lies here with both sides asleep is argued in `PROTOCOL.md`.
//!
//! What the parent reads was written by a process that may have gone mad: every number is checked before it is used.

use super::message::ProtocolError;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// The words of a segment's ring.
const WORDS: usize = 8 << 10;

/// What stands before the bytes.
const HEAD: u32 = 2;

/// All zero is its beginning: empty, and nobody wants to be rung. `N` is a power of two, so that positions may run over.
#[repr(C)]
pub(super) struct Ring<const N: usize = WORDS> {
    /// Words that the worker has filled.
    tail: Line,
    /// Words that the parent has emptied.
    head: Line,
    /// 1: somebody is to be rung.
    want: Line,
    words: [AtomicU64; N],
}

/// Each to itself, since both sides look at them all the time.
#[repr(C, align(64))]
#[derive(Default)]
struct Line(AtomicU32);

/// The next reply in the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Next {
    pub(super) batch: u32,
    pub(super) index: u32,
    len: usize,
}

/// A position is counted on from 2^32 - 1 to 0, and there the next word must be the next one too.
const _: () = assert!(WORDS.is_power_of_two() && WORDS < 1 << 31);

const INVALID: ProtocolError = ProtocolError("an invalid value in the ring of replies");

impl<const N: usize> Ring<N> {
    /// The largest reply that is put in here, in bytes: of these it has room for several.
    pub(super) const MOST: usize = N;

    // ---- worker -------------------------------------------------------------------------------------

    /// Puts a reply in, if there is room.
    pub(super) fn put(&self, batch: u32, index: u32, reply: &[u8]) -> bool {
        if reply.len() > Self::MOST {
            return false;
        }
        let tail = self.tail.0.load(Ordering::Relaxed);
        // ORDERING: Acquire, so that what was read in these words was read before they are written.
        let used = tail.wrapping_sub(self.head.0.load(Ordering::Acquire));
        let takes = HEAD + words(reply.len());
        if takes > (N as u32).saturating_sub(used) {
            return false;
        }
        self.word(tail).store(u64::from(batch) << 32 | u64::from(index), Ordering::Relaxed);
        self.word(tail.wrapping_add(1)).store(reply.len() as u64, Ordering::Relaxed);
        let mut at = tail.wrapping_add(HEAD);
        for piece in reply.chunks(8) {
            let mut bytes = [0; 8];
            bytes[..piece.len()].copy_from_slice(piece);
            self.word(at).store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
            at = at.wrapping_add(1);
        }
        // ORDERING: Release: who sees the new tail sees the words before it.
        self.tail.0.store(at, Ordering::Release);
        true
    }

    /// After a `put`: whether to ring.
    pub(super) fn takes_doorbell(&self) -> bool {
        // ORDERING: between the store of `tail` and the look at `want`; its counterpart is in `enable_doorbell`.
        fence(Ordering::SeqCst);
        self.want.0.load(Ordering::Relaxed) != 0 && self.try_disable_doorbell()
    }

    // ---- parent -------------------------------------------------------------------------------------

    /// The driver listens: nobody need ring.
    pub(super) fn disable_doorbell(&self) {
        self.want.0.store(0, Ordering::Relaxed);
    }

    /// Listens in the place of somebody who wants to be rung; false if nobody does.
    pub(super) fn try_disable_doorbell(&self) -> bool {
        self.want.0.compare_exchange(1, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Wants to be rung from here on. True if something is there already: then nobody need ring for that, and whoever
    /// was about to sleep must not.
    #[must_use]
    pub(super) fn enable_doorbell(&self) -> bool {
        self.want.0.store(1, Ordering::Relaxed);
        // ORDERING: between the store of `want` and the look at `tail`; its counterpart is in `takes_doorbell`.
        fence(Ordering::SeqCst);
        self.has_replies()
    }

    /// Whether something is in the ring. A glance: who takes it looks again.
    pub(super) fn has_replies(&self) -> bool {
        self.tail.0.load(Ordering::Relaxed) != self.head.0.load(Ordering::Relaxed)
    }

    /// The next reply. For the holder of the dispatcher.
    pub(super) fn next(&self) -> Result<Option<Next>, ProtocolError> {
        let head = self.head.0.load(Ordering::Relaxed);
        // ORDERING: Acquire pairs with `put`.
        let filled = self.tail.0.load(Ordering::Acquire).wrapping_sub(head);
        if filled == 0 {
            return Ok(None);
        }
        let place = self.word(head).load(Ordering::Relaxed);
        let len = self.word(head.wrapping_add(1)).load(Ordering::Relaxed) as usize;
        if filled > N as u32 || filled < HEAD || len > Self::MOST || words(len) > filled - HEAD {
            return Err(INVALID);
        }
        Ok(Some(Next { batch: (place >> 32) as u32, index: place as u32, len }))
    }

    /// Takes it out and appends its bytes. For the holder of the dispatcher, who empties its entry in the same section.
    pub(super) fn take(&self, next: Next, into: &mut Vec<u8>) {
        let head = self.head.0.load(Ordering::Relaxed).wrapping_add(HEAD);
        let end = into.len() + next.len;
        into.reserve(next.len + 8);
        let count = words(next.len);
        for at in 0..count {
            let word = self.word(head.wrapping_add(at)).load(Ordering::Relaxed);
            into.extend_from_slice(&word.to_ne_bytes());
        }
        into.truncate(end);
        // ORDERING: Release: the worker writes to these words only after they were read.
        self.head.0.store(head.wrapping_add(count), Ordering::Release);
    }

    fn word(&self, at: u32) -> &AtomicU64 {
        &self.words[at as usize % N]
    }

    /// What a worker may do that has gone mad.
    #[cfg(test)]
    pub(super) fn scribble(&self, tail: u32, at: u32, word: u64) {
        self.word(at).store(word, Ordering::Relaxed);
        self.tail.0.store(tail, Ordering::Release);
    }
}

fn words(bytes: usize) -> u32 {
    bytes.div_ceil(8) as u32
}

/// For models and tests; in a segment it comes as fresh memory.
impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Ring {
            tail: Line::default(),
            head: Line::default(),
            want: Line::default(),
            words: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::{INVALID, Ring, WORDS};

    const MOST: usize = <Ring>::MOST;

    fn all(ring: &Ring) -> Vec<(u32, u32, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(next) = ring.next().expect("sane") {
            let mut bytes = Vec::new();
            ring.take(next, &mut bytes);
            all.push((next.batch, next.index, bytes));
        }
        all
    }

    #[test]
    fn replies_of_every_length_come_whole_and_in_order_round_and_round() {
        let ring = <Ring>::default();
        let mut sent = Vec::new();
        let mut heard = Vec::new();
        for n in 0..4000_u32 {
            let reply: Vec<u8> = (0..n % 131).map(|at| (at ^ n) as u8).collect();
            while !ring.put(n / 7, n % 7, &reply) {
                heard.extend(all(&ring));
            }
            sent.push((n / 7, n % 7, reply));
        }
        heard.extend(all(&ring));
        assert_eq!(heard, sent);
    }

    #[test]
    fn positions_run_over() {
        let ring = <Ring>::default();
        for line in [&ring.tail, &ring.head] {
            line.0.store(u32::MAX - 5, crate::sync::atomic::Ordering::Relaxed);
        }
        for n in 0..20_u32 {
            assert!(ring.put(u32::MAX, n, &vec![n as u8; 3 * n as usize]) && ring.has_replies());
            assert_eq!(all(&ring), [(u32::MAX, n, vec![n as u8; 3 * n as usize])]);
        }
        let each = WORDS / (2 + MOST / 8);
        ring.head.0.store(u32::MAX - 5, crate::sync::atomic::Ordering::Relaxed);
        ring.tail.0.store(u32::MAX - 5, crate::sync::atomic::Ordering::Relaxed);
        assert_eq!((0..).take_while(|n| ring.put(0, *n, &vec![1; MOST])).count(), each);
        assert_eq!(all(&ring).len(), each);
    }

    #[test]
    fn what_has_no_room_is_not_put_in() {
        let ring = <Ring>::default();
        assert!(!ring.put(0, 0, &vec![0; MOST + 1]));
        let each = WORDS / (2 + MOST / 8);
        assert_eq!((0..).take_while(|n| ring.put(0, *n, &vec![1; MOST])).count(), each);
        assert_eq!(all(&ring).len(), each);
        assert!(ring.put(0, 0, &[]) && ring.next().expect("sane").is_some_and(|next| next.len == 0));
    }

    #[test]
    fn who_wants_to_be_rung_is_rung_once() {
        let ring = <Ring>::default();
        assert!(ring.put(0, 0, b"one") && !ring.takes_doorbell());
        assert!(ring.enable_doorbell());
        all(&ring);
        assert!(
            !ring.enable_doorbell()
                && ring.put(0, 1, b"two")
                && ring.takes_doorbell()
                && !ring.takes_doorbell()
        );
        assert!(ring.enable_doorbell() && ring.try_disable_doorbell() && !ring.try_disable_doorbell());
        assert!(ring.put(0, 2, b"three") && !ring.takes_doorbell());
    }

    #[test]
    fn nonsense_is_an_error_and_reads_nothing() {
        for (tail, at, word) in [
            (1, 1, 0),
            (WORDS as u32 + 1, 1, 0),
            (4, 1, u64::MAX),
            (4, 1, 17),
            (u32::MAX, 0, 0),
            (4, 1, 1 << 40),
        ] {
            let ring = <Ring>::default();
            ring.scribble(tail, at, word);
            assert_eq!(ring.next(), Err(INVALID), "{tail} {at} {word}");
        }
    }
}
