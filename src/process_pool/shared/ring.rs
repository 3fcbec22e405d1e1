//! [`Ring`]: small replies on their way to the parent, without a system call.
//!
//! ```text
//! reply:  batch 32, index 32 | length 64 | bytes, filled up to whole words
//! ```
//!
//! The worker alone writes; the holder of the dispatcher's lock alone reads. The parent may be asleep: `doorbell` says
//! whether the worker is to send a doorbell frame for what it puts in. `PROTOCOL.md` argues why no reply lies here while
//! everybody who could take it sleeps.
//!
//! What the parent reads was written by a process that may be out of control: every number is checked before it is used.

use super::CachePadded;
use crate::process_pool::wire::message::ProtocolError;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// The words of a segment's ring: 256 KiB. When it is full each reply costs a system call.
const WORDS: usize = 32 << 10;

/// What stands before the bytes, in words.
const HEAD: u32 = 2;

/// All zero is its initial state: empty, the doorbell disabled. `N` is a power of two, so that positions may wrap.
#[repr(C)]
pub(crate) struct Ring<const N: usize = WORDS> {
    /// Words that the worker has filled.
    tail: CachePadded<AtomicU32>,
    /// Words that the parent has emptied.
    head: CachePadded<AtomicU32>,
    /// 1: enabled.
    doorbell: CachePadded<AtomicU32>,
    words: [AtomicU64; N],
}

/// The next reply in the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NextReply {
    pub(crate) batch: u32,
    pub(crate) index: u32,
    len: usize,
}

/// A position is counted on from 2^32 - 1 to 0, and there the next word must be the next one too.
const _: () = assert!(WORDS.is_power_of_two() && WORDS < 1 << 31);

const INVALID: ProtocolError = ProtocolError("an invalid value in the ring of replies");

impl<const N: usize> Ring<N> {
    /// The largest reply that is put in here, in bytes: of these it has room for several.
    pub(crate) const MOST: usize = N;

    // ---- worker -------------------------------------------------------------------------------------

    /// Puts a reply in, if there is room.
    pub(crate) fn put(&self, batch: u32, index: u32, reply: &[u8]) -> bool {
        if reply.len() > Self::MOST {
            return false;
        }
        let tail = self.tail.0.load(Ordering::Relaxed);
        // ORDERING: Acquire pairs with `take`: these words were read before they are written again.
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
        // ORDERING: Release pairs with `next`: whoever sees the new tail sees the words before it.
        self.tail.0.store(at, Ordering::Release);
        true
    }

    /// After a `put`: whether a doorbell frame is to be sent. If so, the doorbell is disabled.
    pub(crate) fn takes_doorbell(&self) -> bool {
        // ORDERING: SeqCst, between the store of `tail` and the load of `doorbell`; pairs with the fence in
        // `enable_doorbell`. One of the two sides sees the other's store.
        fence(Ordering::SeqCst);
        self.doorbell.0.load(Ordering::Relaxed) != 0 && self.try_disable_doorbell()
    }

    // ---- parent -------------------------------------------------------------------------------------

    /// The driver looks at the ring by itself: no doorbell is needed.
    pub(crate) fn disable_doorbell(&self) {
        self.doorbell.0.store(0, Ordering::Relaxed);
    }

    /// Disables the doorbell; false if it is disabled already. Whoever disabled it is to enable it again or to send the
    /// frame.
    pub(crate) fn try_disable_doorbell(&self) -> bool {
        // ORDERING: AcqRel pairs with itself on the other side: of the worker and those who wait directly one gets the 1.
        self.doorbell.0.compare_exchange(1, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Enables the doorbell for replies from here on. True if some are there already: for them no frame comes, and a
    /// driver that was about to sleep must not.
    #[must_use]
    pub(crate) fn enable_doorbell(&self) -> bool {
        self.doorbell.0.store(1, Ordering::Relaxed);
        // ORDERING: SeqCst, between the store of `doorbell` and the load of `tail`; pairs with the fence in
        // `takes_doorbell`.
        fence(Ordering::SeqCst);
        self.has_replies()
    }

    /// Whether something is in the ring. A hint: whoever takes it looks again.
    pub(crate) fn has_replies(&self) -> bool {
        self.tail.0.load(Ordering::Relaxed) != self.head.0.load(Ordering::Relaxed)
    }

    /// The next reply. For the holder of the dispatcher's lock.
    pub(crate) fn next(&self) -> Result<Option<NextReply>, ProtocolError> {
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
        Ok(Some(NextReply { batch: (place >> 32) as u32, index: place as u32, len }))
    }

    /// Takes it out and appends its bytes. For the holder of the dispatcher's lock, which takes the task out of its table in
    /// the same section.
    pub(crate) fn take(&self, next: NextReply, into: &mut Vec<u8>) {
        let head = self.head.0.load(Ordering::Relaxed).wrapping_add(HEAD);
        let end = into.len() + next.len;
        into.reserve(next.len + 8);
        let count = words(next.len);
        for at in 0..count {
            let word = self.word(head.wrapping_add(at)).load(Ordering::Relaxed);
            into.extend_from_slice(&word.to_ne_bytes());
        }
        into.truncate(end);
        // ORDERING: Release pairs with `put`: the worker writes to these words only after they were read.
        self.head.0.store(head.wrapping_add(count), Ordering::Release);
    }

    fn word(&self, at: u32) -> &AtomicU64 {
        &self.words[at as usize % N]
    }

    /// What a worker out of control may write.
    #[cfg(test)]
    pub(crate) fn scribble(&self, tail: u32, at: u32, word: u64) {
        self.word(at).store(word, Ordering::Relaxed);
        // ORDERING: Release, as in `put`.
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
            tail: CachePadded::default(),
            head: CachePadded::default(),
            doorbell: CachePadded::default(),
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
        while let Some(next) = ring.next().expect("valid") {
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
    fn positions_wrap() {
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
        assert!(ring.put(0, 0, &[]) && ring.next().expect("valid").is_some_and(|next| next.len == 0));
    }

    #[test]
    fn an_enabled_doorbell_is_taken_once() {
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
    fn an_invalid_value_is_an_error_and_reads_nothing() {
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
