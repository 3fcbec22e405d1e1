//! A worker that has gone mad, at its worst: it writes to a word of the segment just before the parent looks at it.
//!
//! What two threads would do by luck is done here by the input, and can be had again: each look that the segment's code takes
//! at an atomic word comes by [`touch`] first, which may change the word. So may all other code of the crate be looked in on
//! by it, but for words outside the segments it does nothing.

#![expect(dead_code, reason = "each atomic type has what any of them needs")]

use std::cell::{Cell, RefCell};
use std::ops::Range;

thread_local! {
    static IS_ON: Cell<bool> = const { Cell::new(false) };
    static HAND: RefCell<Hand> = const { RefCell::new(Hand { segments: Vec::new(), whims: Vec::new(), at: 0 }) };
}

struct Hand {
    /// The addresses of the segments.
    segments: Vec<Range<usize>>,
    /// What it does at each look; the last of them for ever: it never rests.
    whims: Vec<u8>,
    at: usize,
}

/// What is made of a word.
#[derive(Clone, Copy)]
pub(crate) struct Whim(u8);

impl Whim {
    /// The word behind it; a claim's halves are its limit and what has begun.
    pub(crate) fn apply(self, word: u64) -> u64 {
        const LIMIT: u64 = 1 << 32;
        match self.0 % 16 {
            0 => word.wrapping_add(1),
            1 => word.wrapping_sub(1),
            2 => word.wrapping_add(LIMIT),
            3 => word.wrapping_sub(LIMIT),
            4 => 0,
            5 => u64::MAX,
            6 => word & !0xffff_ffff,
            7 => word | 0xffff_ffff,
            8 => word >> 32,
            9 => word << 32,
            10 => word ^ 0x8000_0000_8000_0000,
            11 => word.wrapping_add(0x10),
            12 => word.wrapping_sub(0x10),
            13 => word ^ 3,
            14 => 0xffff_fffe_0000_0000,
            _ => word.rotate_left(8),
        }
    }
}

/// What happens to the word at this address before it is looked at, if anything does.
pub(crate) fn touch(address: usize) -> Option<Whim> {
    if !IS_ON.get() {
        return None;
    }
    HAND.with_borrow_mut(|hand| {
        if !hand.segments.iter().any(|segment| segment.contains(&address)) {
            return None;
        }
        let whim = *hand.whims.get(hand.at).or(hand.whims.last())?;
        hand.at += 1;
        (whim & 0xc0 == 0).then_some(Whim(whim))
    })
}

/// Whose hand it is in these segments from here on, and what it does.
pub(crate) fn begin(segments: Vec<Range<usize>>, whims: &[u8]) {
    HAND.with_borrow_mut(|hand| *hand = Hand { segments, whims: whims.to_vec(), at: 0 });
}

/// Does something of the parent's, while the hand writes.
pub(crate) fn among<T>(work: impl FnOnce() -> T) -> T {
    struct Off;
    impl Drop for Off {
        fn drop(&mut self) {
            IS_ON.set(false);
        }
    }
    IS_ON.set(true);
    let _off = Off;
    work()
}

/// As the standard library's, with a hand in it.
pub(crate) mod atomic {
    use super::touch;
    use std::sync::atomic;

    pub(crate) use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering, fence};

    macro_rules! restless {
        ($($name:ident $word:ty;)*) => {$(
            /// As the standard library's.
            #[derive(Debug, Default)]
            #[repr(transparent)]
            pub(crate) struct $name(atomic::$name);

            impl $name {
                pub(crate) const fn new(word: $word) -> Self {
                    $name(atomic::$name::new(word))
                }

                fn touch(&self) {
                    if let Some(whim) = touch((&raw const self.0).addr()) {
                        let word = self.0.load(Ordering::Relaxed);
                        self.0.store(whim.apply(u64::from(word)) as $word, Ordering::Relaxed);
                    }
                }

                pub(crate) fn load(&self, order: Ordering) -> $word {
                    self.touch();
                    self.0.load(order)
                }

                pub(crate) fn store(&self, word: $word, order: Ordering) {
                    self.0.store(word, order);
                }

                pub(crate) fn fetch_or(&self, word: $word, order: Ordering) -> $word {
                    self.touch();
                    self.0.fetch_or(word, order)
                }

                pub(crate) fn fetch_max(&self, word: $word, order: Ordering) -> $word {
                    self.touch();
                    self.0.fetch_max(word, order)
                }

                pub(crate) fn fetch_add(&self, word: $word, order: Ordering) -> $word {
                    self.touch();
                    self.0.fetch_add(word, order)
                }

                pub(crate) fn fetch_sub(&self, word: $word, order: Ordering) -> $word {
                    self.touch();
                    self.0.fetch_sub(word, order)
                }

                pub(crate) fn compare_exchange(
                    &self,
                    current: $word,
                    new: $word,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$word, $word> {
                    self.touch();
                    self.0.compare_exchange(current, new, success, failure)
                }

                pub(crate) fn compare_exchange_weak(
                    &self,
                    current: $word,
                    new: $word,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$word, $word> {
                    self.compare_exchange(current, new, success, failure)
                }

                pub(crate) fn fetch_update(
                    &self,
                    success: Ordering,
                    failure: Ordering,
                    mut change: impl FnMut($word) -> Option<$word>,
                ) -> Result<$word, $word> {
                    let mut word = self.load(failure);
                    while let Some(new) = change(word) {
                        match self.compare_exchange_weak(word, new, success, failure) {
                            Ok(word) => return Ok(word),
                            Err(now) => word = now,
                        }
                    }
                    Err(word)
                }
            }
        )*};
    }

    restless! {
        AtomicU8 u8;
        AtomicU32 u32;
        AtomicU64 u64;
    }
}
