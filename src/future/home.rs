//! The way back from a task to the pool that queued it, for those who take it out of the queue by another door.
//!
//! A task carries its pool's number and not a reference: a counted one would make every submit and every completion
//! pass the pool's counter between threads, for the sake of `cancel`, which is rare.

use super::cell::AnyCell;
use super::state::Snapshot;
#[cfg(feature = "process")]
use super::state::State;
#[cfg(feature = "process")]
use crate::id::FutureId;
use crate::sync::plain::{AtomicU32, Mutex, Ordering};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Weak};

/// A pool, as its tasks see it.
pub(crate) trait Home: Send + Sync {
    /// This queued task of it was cancelled: its entries are dead. `before` is the task's word as it was.
    fn cancelled(&self, task: &dyn AnyCell, before: Snapshot);

    /// Asked of a task that was shipped to another process: takes it back if it has not begun there. True if the task
    /// is the caller's to cancel: its phase is Cancelling then.
    #[cfg(feature = "process")]
    fn take_back(&self, _: FutureId) -> bool {
        false
    }

    /// Where a task stands that was shipped to another process.
    #[cfg(feature = "process")]
    fn state(&self, _: FutureId) -> State {
        State::Dispatched
    }

    /// Asked by a thread that is about to wait for a task that was shipped to another process: whether it can take the
    /// reply by itself, without another thread being woken for it.
    #[cfg(feature = "process")]
    fn wait_directly(&self, _: FutureId) -> Option<Box<dyn DirectWait>> {
        None
    }

    /// Asks a task that was shipped to another process to stop: whether there was something to ask. None if it has not begun
    /// there: then it can be cancelled.
    #[cfg(feature = "process")]
    fn ask_to_stop(&self, _: FutureId) -> Option<bool> {
        Some(false)
    }

    /// Ends the worker that runs this task; false if none does.
    #[cfg(feature = "process")]
    fn kill(&self, _: FutureId) -> bool {
        false
    }
}

/// A thread that looks for one task's reply by itself. Until this is dropped no other thread is woken for it.
#[cfg(feature = "process")]
pub(crate) trait DirectWait {
    /// Whether a reply has come. A hint, for a spin.
    fn has_reply(&self) -> bool;

    /// Resolves the task, if it is its reply that has come.
    fn take_reply(self: Box<Self>);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HomeId(NonZeroU32);

static HOMES: Mutex<BTreeMap<u32, Weak<dyn Home>>> = Mutex::new(BTreeMap::new());

impl HomeId {
    /// A number for a pool about to be made.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        loop {
            let number = NonZeroU32::new(NEXT.fetch_add(1, Ordering::Relaxed));
            // After 2^32 pools the count begins anew, and leaves out those that are still there.
            if let Some(number) = number.filter(|number| !HOMES.lock().contains_key(&number.get())) {
                return HomeId(number);
            }
        }
    }

    pub(crate) fn register(self, home: Weak<dyn Home>) {
        HOMES.lock().insert(self.0.get(), home);
    }

    pub(crate) fn unregister(self) {
        HOMES.lock().remove(&self.0.get());
    }
}

/// A task's note of its home, written once, before its entry is queued.
#[derive(Debug, Default)]
pub(crate) struct HomeSlot(AtomicU32);

impl HomeSlot {
    pub(crate) fn set(&self, id: HomeId) {
        // ORDERING: Relaxed, because the queue's lock publishes it to the thread that takes the entry; others only compare it.
        self.0.store(id.0.get(), Ordering::Relaxed);
    }

    pub(crate) fn is(&self, id: HomeId) -> bool {
        self.0.load(Ordering::Relaxed) == id.0.get()
    }

    pub(crate) fn find(&self) -> Option<Arc<dyn Home>> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            number => HOMES.lock().get(&number).and_then(Weak::upgrade),
        }
    }
}
