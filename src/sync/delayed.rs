//! The same primitives, and before or after each use of one a chance of a delay: what a busy machine does once a month
//! happens in every run. Compiled in for tests/delays alone.
//!
//! Every lock, unlock, atomic operation, notification, wake-up and start of a thread is a marked point, and so is every
//! call of the system that moves bytes between processes (`crate::sync::delay`). Workers are the same program, so their
//! points are marked too.
//!
//! The dice are seeded by `CONCURRENT_FUTURES_DELAYS`, a number, and in each thread by the order in which threads come
//! here. The scheduler still has its say, so a seed makes the delays again and not the run. Without it nothing dawdles.

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One point in this many is delayed; of those most by a turn of the scheduler, the others by a sleep.
const ONE_IN: u64 = 24;

/// Of delays, one in this many is a sleep rather than a turn of the scheduler.
const SLEEPS_ONE_IN: u64 = 8;

/// The longest sleep. Longer than any spin of the crate, shorter than any of its time limits.
const LONGEST_US: u64 = 300;

static SEED: LazyLock<Option<u64>> =
    LazyLock::new(|| std::env::var("CONCURRENT_FUTURES_DELAYS").ok().and_then(|text| text.parse().ok()));

/// How many threads have come here.
static THREADS: AtomicU64 = AtomicU64::new(0);

std::thread_local! {
    /// Marsaglia's xorshift; 0 before the first throw.
    static DICE: Cell<u64> = const { Cell::new(0) };
}

/// A marked point.
#[inline(never)]
pub(crate) fn delay() {
    let Some(seed) = *SEED else {
        return;
    };
    // No thread-local any more: the thread is at its end.
    let _ = DICE.try_with(|dice| {
        let mut state = dice.get();
        if state == 0 {
            let thread = THREADS.fetch_add(1, Ordering::Relaxed);
            state = (seed ^ (thread << 32) ^ u64::from(std::process::id()))
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .max(1);
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        dice.set(state);
        let throw = state >> 16;
        if !throw.is_multiple_of(ONE_IN) {
            return;
        }
        if (throw / ONE_IN).is_multiple_of(SLEEPS_ONE_IN) {
            std::thread::sleep(Duration::from_micros(throw / ONE_IN / SLEEPS_ONE_IN % LONGEST_US));
        } else {
            std::thread::yield_now();
        }
    });
}

/// A delay when it is dropped: the last field of a guard, so that the lock is free by then.
#[derive(Debug)]
struct Afterwards;

impl Drop for Afterwards {
    fn drop(&mut self) {
        delay();
    }
}

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    guard: parking_lot::MutexGuard<'a, T>,
    _afterwards: Afterwards,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Mutex(parking_lot::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        delay();
        let guard = self.0.lock();
        delay();
        MutexGuard { guard, _afterwards: Afterwards }
    }
}

impl<T> std::ops::Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> std::ops::DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[derive(Debug, Default)]
pub(crate) struct Condvar(parking_lot::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Condvar(parking_lot::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        delay();
        self.0.wait(&mut guard.guard);
        delay();
    }

    pub(crate) fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> parking_lot::WaitTimeoutResult {
        delay();
        let result = self.0.wait_until(&mut guard.guard, deadline);
        delay();
        result
    }

    pub(crate) fn notify_one(&self) {
        delay();
        self.0.notify_one();
        delay();
    }

    pub(crate) fn notify_all(&self) {
        delay();
        self.0.notify_all();
        delay();
    }
}

pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::Ordering;

    use super::delay;

    pub(crate) fn fence(order: Ordering) {
        delay();
        std::sync::atomic::fence(order);
        delay();
    }

    /// An atomic of the standard library's, as it lies in memory, with a marked point on both sides of each operation;
    /// of these it has those that the crate uses.
    macro_rules! delayed {
        ($name:ident of $value:ty: $($operation:ident)*) => {
            #[repr(transparent)]
            #[derive(Debug, Default)]
            pub(crate) struct $name(std::sync::atomic::$name);

            impl $name {
                $(delayed!(@$operation $name $value);)*
            }
        };
        (@new $name:ident $value:ty) => {
            pub(crate) const fn new(value: $value) -> Self {
                $name(std::sync::atomic::$name::new(value))
            }
        };
        (@load $name:ident $value:ty) => {
            pub(crate) fn load(&self, order: Ordering) -> $value {
                delay();
                let value = self.0.load(order);
                delay();
                value
            }
        };
        (@store $name:ident $value:ty) => {
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                delay();
                self.0.store(value, order);
                delay();
            }
        };
        // With a point between the look and the exchange, which is where somebody else comes in.
        (@fetch_update $name:ident $value:ty) => {
            pub(crate) fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                mut update: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                delay();
                let outcome = self.0.fetch_update(success, failure, |value| {
                    let next = update(value);
                    delay();
                    next
                });
                delay();
                outcome
            }
        };
        (@compare_exchange $name:ident $value:ty) => {
            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                delay();
                let outcome = self.0.compare_exchange(current, new, success, failure);
                delay();
                outcome
            }
        };
        (@$exchange:ident $name:ident $value:ty) => {
            pub(crate) fn $exchange(&self, value: $value, order: Ordering) -> $value {
                delay();
                let old = self.0.$exchange(value, order);
                delay();
                old
            }
        };
    }

    delayed!(AtomicBool of bool: new load store);
    delayed!(AtomicU8 of u8: load store);
    delayed!(AtomicU32 of u32: load store compare_exchange fetch_add);
    delayed!(AtomicU64 of u64: new load store compare_exchange fetch_add fetch_sub fetch_or fetch_max fetch_update);
    delayed!(AtomicUsize of usize: new load store swap fetch_add fetch_sub);
    delayed!(AtomicIsize of isize: new load fetch_add fetch_sub);
}

pub(crate) mod thread {
    pub(crate) use std::thread::JoinHandle;

    pub(crate) const HAVE_STACKS_OF_THE_SYSTEM: bool = true;

    use super::delay;

    pub(crate) fn is_finished<T>(handle: &JoinHandle<T>) -> bool {
        delay();
        handle.is_finished()
    }

    /// Starts threads that are late.
    pub(crate) struct Builder(std::thread::Builder);

    impl Builder {
        pub(crate) fn new() -> Self {
            Builder(std::thread::Builder::new())
        }

        pub(crate) fn name(self, name: String) -> Self {
            Builder(self.0.name(name))
        }

        pub(crate) fn stack_size(self, bytes: usize) -> Self {
            Builder(self.0.stack_size(bytes))
        }

        pub(crate) fn spawn<F, T>(self, body: F) -> std::io::Result<JoinHandle<T>>
        where
            F: FnOnce() -> T + Send + 'static,
            T: Send + 'static,
        {
            let handle = self.0.spawn(move || {
                delay();
                body()
            });
            delay();
            handle
        }
    }
}
