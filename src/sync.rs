//! The only door to locks, atomics, channels and threads.
//!
//! Everything else in the crate takes its primitives from here, so that one `cfg` swaps them for loom's: a model of
//! the crate is then the crate itself, compiled against primitives that explore every interleaving. loom can see
//! neither parking_lot nor crossbeam, hence the stand-ins below. Its threads take turns on one thread of the system and
//! each run must be repeatable: so what belongs to a thread, what may wait for another's initialization and what has an
//! order of its own (a hash map) come from here as well. What only counts or caches (ids, statistics) uses [`plain`]
//! atomics in both builds: nothing waits on it, and it would only widen the models.
//!
//! Where debug assertions are, each thread's locks are counted, so that [`assert_unlocked`] can hold that none is held
//! while code of the user's runs. In a release the primitives are the libraries' own.
//!
//! `tests/loom` is where the other half is compiled. `tests/delays` compiles the real ones with a chance of a delay at
//! each use ([`delay`]), `tests/internals` those with atomics that a mad worker may write to before each look.

#[cfg(not(concurrent_futures_loom))]
pub(crate) use real::*;

#[cfg(concurrent_futures_loom)]
pub(crate) use model::*;

#[cfg(concurrent_futures_delays)]
#[path = "sync/delayed.rs"]
mod delayed;

/// Atomics that change under the reader's eyes.
#[cfg(concurrent_futures_internals)]
#[path = "../tests/internals/src/restless.rs"]
pub(crate) mod restless;

#[cfg(all(debug_assertions, not(any(concurrent_futures_loom, concurrent_futures_delays))))]
#[path = "sync/counted.rs"]
mod counted;

#[path = "sync/cache_padded.rs"]
mod cache_padded;

pub(crate) use cache_padded::CachePadded;

/// Without the count there is nothing to hold.
#[cfg(not(all(debug_assertions, not(any(concurrent_futures_loom, concurrent_futures_delays)))))]
#[inline(always)]
pub(crate) fn assert_unlocked() {}

/// What no protocol rests on; the same under loom.
pub(crate) mod plain {
    #[cfg(all(debug_assertions, not(any(concurrent_futures_loom, concurrent_futures_delays))))]
    pub(crate) use super::counted::Mutex;
    #[cfg(not(all(debug_assertions, not(any(concurrent_futures_loom, concurrent_futures_delays)))))]
    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
}

#[cfg(not(concurrent_futures_loom))]
mod real {
    #[cfg(all(debug_assertions, not(concurrent_futures_delays)))]
    pub(crate) use super::counted::{Condvar, Mutex, MutexGuard, assert_unlocked};
    #[cfg(feature = "process")]
    pub(crate) use crossbeam_channel as channel;
    #[cfg(not(any(debug_assertions, concurrent_futures_delays)))]
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::collections::HashMap;
    pub(crate) use std::sync::OnceLock;
    #[cfg(not(any(concurrent_futures_delays, concurrent_futures_internals)))]
    pub(crate) use std::sync::atomic;
    pub(crate) use std::thread_local;

    #[cfg(concurrent_futures_internals)]
    pub(crate) use super::restless::atomic;

    #[cfg(concurrent_futures_delays)]
    pub(crate) use super::delayed::{Condvar, Mutex, MutexGuard, atomic, delay, thread};

    /// A point at which another thread or process may come in between, and no primitive from here marks it: nothing,
    /// but where delays are compiled in.
    #[cfg(all(feature = "process", not(concurrent_futures_delays)))]
    pub(crate) fn delay() {}

    /// Whether time passes: what was put off until later may be tried again.
    pub(crate) const HAS_CLOCK: bool = true;

    #[cfg(not(concurrent_futures_delays))]
    pub(crate) mod thread {
        pub(crate) use std::thread::{Builder, JoinHandle};

        /// Whether a thread's stack is where the system says.
        pub(crate) const HAVE_STACKS_OF_THE_SYSTEM: bool = true;

        pub(crate) fn is_finished<T>(handle: &JoinHandle<T>) -> bool {
            handle.is_finished()
        }
    }

    /// Turns of a bounded spin before a thread goes to sleep: 3 to 12 us. Longer burns a core that somebody else needs;
    /// a `yield_now` in it gives away a whole time slice when the machine is busy, so there is none.
    const SPIN_TURNS: u32 = 300;

    /// Turns after a spin that was in vain: about 1 us, enough to notice that answers come quickly again. On a busy
    /// machine, where whoever would answer waits for the very core that spins, a full spin each time made a round trip
    /// four times as long as none.
    const PROBE_TURNS: u32 = 30;

    std::thread_local! {
        /// Whether this thread's last spin was worth it.
        static LUCKY: std::cell::Cell<bool> = const { std::cell::Cell::new(true) };
    }

    /// Spins until `ready`, or gives up after a few microseconds; says what `ready` said last. With a single
    /// processor it asks once: whoever would make it ready can't run meanwhile.
    pub(crate) fn spin_until(mut ready: impl FnMut() -> bool) -> bool {
        if ready() {
            return true;
        }
        let lucky = spin_for(if LUCKY.get() { SPIN_TURNS } else { PROBE_TURNS }, ready);
        LUCKY.set(lucky);
        lucky
    }

    /// The same for so many turns, each of about 10 to 40 ns.
    pub(crate) fn spin_for(turns: u32, mut ready: impl FnMut() -> bool) -> bool {
        if ready() {
            return true;
        }
        if one_processor() {
            return false;
        }
        for _ in 0..turns {
            std::hint::spin_loop();
            if ready() {
                return true;
            }
        }
        false
    }

    /// Learns whether it pays to spin before a sleep: after each spin in vain in a row twice as many are left out, up to
    /// 64. For spins that are longer than a wake-up, which on a busy machine nobody can afford each time; and only where
    /// there is more than one processor, which the caller knows.
    #[cfg(feature = "process")]
    pub(crate) struct Patience {
        vain: std::cell::Cell<u32>,
        left_out: std::cell::Cell<u32>,
    }

    #[cfg(feature = "process")]
    impl Patience {
        pub(crate) const fn new() -> Self {
            Patience { vain: std::cell::Cell::new(0), left_out: std::cell::Cell::new(0) }
        }

        /// Whether to spin this time. Asked once each time.
        pub(crate) fn is_left(&self) -> bool {
            let left_out = self.left_out.get();
            self.left_out.set(left_out.saturating_sub(1));
            left_out == 0
        }

        /// Spins until `ready`, or gives up after `most`; says what `ready` said last.
        pub(crate) fn spin(&self, most: std::time::Duration, mut ready: impl FnMut() -> bool) -> bool {
            if ready() {
                return true;
            }
            let start = std::time::Instant::now();
            let lucky = loop {
                std::hint::spin_loop();
                if ready() {
                    break true;
                }
                if start.elapsed() >= most {
                    break false;
                }
            };
            let vain = if lucky { 0 } else { (self.vain.get() + 1).min(6) };
            self.vain.set(vain);
            self.left_out.set(if lucky { 0 } else { 1 << vain });
            lucky
        }
    }

    pub(crate) fn one_processor() -> bool {
        static CPUS: std::sync::LazyLock<usize> = std::sync::LazyLock::new(num_cpus::get);
        *CPUS == 1
    }
}

#[cfg(concurrent_futures_loom)]
mod model {
    /// loom's own knows no `const` initializers.
    macro_rules! thread_local_of_loom {
        ($($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = const { $init:expr };)*) => {
            $(loom::thread_local! { $(#[$attr])* $vis static $name: $t = $init; })*
        };
    }

    use std::time::Instant;

    pub(crate) use loom::sync::atomic;
    pub(crate) use thread_local_of_loom as thread_local;

    /// loom has none: what is put off stays put off, or a run could not be repeated.
    pub(crate) const HAS_CLOCK: bool = false;

    /// loom's mutex behind parking_lot's interface.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    #[derive(Debug)]
    pub(crate) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().expect("loom's mutexes are never poisoned here")))
        }
    }

    impl<T> std::ops::Deref for MutexGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            self.0.as_ref().expect("held outside Condvar::wait")
        }
    }

    impl<T> std::ops::DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect("held outside Condvar::wait")
        }
    }

    /// loom's condition variable behind parking_lot's interface. It never times out: loom has no clock.
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    pub(crate) struct WaitTimeoutResult;

    impl WaitTimeoutResult {
        pub(crate) fn timed_out(&self) -> bool {
            false
        }
    }

    impl Condvar {
        pub(crate) fn new() -> Self {
            Condvar(loom::sync::Condvar::new())
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let inner = guard.0.take().expect("held outside Condvar::wait");
            guard.0 = Some(self.0.wait(inner).expect("loom's mutexes are never poisoned here"));
        }

        pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _: Instant) -> WaitTimeoutResult {
            self.wait(guard);
            WaitTimeoutResult
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    pub(crate) fn spin_until(mut ready: impl FnMut() -> bool) -> bool {
        ready()
    }

    pub(crate) fn spin_for(_: u32, mut ready: impl FnMut() -> bool) -> bool {
        ready()
    }

    /// The part of the standard library's that the crate uses. Its own would put the one system thread of a model to
    /// sleep while another of its threads is half-way through `init`.
    pub(crate) struct OnceLock<T> {
        gate: Mutex<()>,
        value: std::sync::OnceLock<T>,
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            OnceLock { gate: Mutex::new(()), value: std::sync::OnceLock::new() }
        }

        pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
            let _initializing = self.gate.lock();
            self.value.get_or_init(init)
        }
    }

    /// The part of the standard library's that the crate uses, in the order of insertion: that of a hash map changes
    /// from run to run, and with it what a model explores.
    pub(crate) struct HashMap<K, V>(Vec<(K, V)>);

    impl<K, V> Default for HashMap<K, V> {
        fn default() -> Self {
            HashMap(Vec::new())
        }
    }

    impl<K: PartialEq, V> HashMap<K, V> {
        pub(crate) fn len(&self) -> usize {
            self.0.len()
        }

        pub(crate) fn insert(&mut self, key: K, value: V) {
            self.remove(&key);
            self.0.push((key, value));
        }

        pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
            let at = self.0.iter().position(|(k, _)| k == key)?;
            Some(self.0.remove(at).1)
        }

        pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
            self.0.retain_mut(|(key, value)| keep(key, value));
        }

        pub(crate) fn drain(&mut self) -> impl Iterator<Item = (K, V)> + '_ {
            self.0.drain(..)
        }
    }

    pub(crate) mod thread {
        pub(crate) use loom::thread::JoinHandle;

        /// They take turns on one thread of the system, each with a stack of loom's.
        pub(crate) const HAVE_STACKS_OF_THE_SYSTEM: bool = false;

        /// loom can't say; a handle kept until the join is harmless.
        pub(crate) fn is_finished<T>(_: &JoinHandle<T>) -> bool {
            false
        }

        /// A thread's stack in words: loom's default of 32 KiB is too small for a panic's message.
        const STACK_WORDS: usize = 0x4000;

        /// Begins the names of threads that the system refuses from some number on: in a pool with the prefix
        /// `at-most-2` no third thread starts.
        const REFUSING: &str = "at-most-";

        #[derive(Default)]
        pub(crate) struct Builder {
            name: String,
        }

        impl Builder {
            pub(crate) fn new() -> Self {
                Builder::default()
            }

            pub(crate) fn name(self, name: String) -> Self {
                Builder { name }
            }

            pub(crate) fn stack_size(self, _: usize) -> Self {
                self
            }

            pub(crate) fn spawn<F, T>(self, f: F) -> std::io::Result<JoinHandle<T>>
            where
                F: FnOnce() -> T + Send + 'static,
                T: Send + 'static,
            {
                if self.is_refused() {
                    return Err(std::io::ErrorKind::WouldBlock.into());
                }
                loom::thread::Builder::new().name(self.name).stack_size(STACK_WORDS).spawn(f)
            }

            fn is_refused(&self) -> bool {
                let numbers = self.name.strip_prefix(REFUSING).and_then(|rest| rest.split_once('_'));
                numbers.is_some_and(|(most, number)| number.parse::<usize>().ok() >= most.parse().ok())
            }
        }
    }
}
