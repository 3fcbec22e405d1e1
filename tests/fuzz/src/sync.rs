//! The crate's own primitives, but for the atomics that lie in the shared page: those change under the reader's eyes.

#[path = "../../../src/sync/mod.rs"]
mod given;

pub(crate) use given::{
    Condvar, HashMap, Mutex, MutexGuard, OnceLock, Patience, assert_unlocked, channel, delay, one_processor,
    plain, spin_for, spin_until, thread, thread_local,
};

pub(crate) mod atomic {
    use crate::restless::touch;
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

                pub(crate) fn swap(&self, word: $word, order: Ordering) -> $word {
                    self.touch();
                    self.0.swap(word, order)
                }

                pub(crate) fn fetch_or(&self, word: $word, order: Ordering) -> $word {
                    self.touch();
                    self.0.fetch_or(word, order)
                }

                pub(crate) fn fetch_and(&self, word: $word, order: Ordering) -> $word {
                    self.touch();
                    self.0.fetch_and(word, order)
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
