//! Tasks for one worker each, which `broadcast` makes: no other runs them.
//!
//! They lie in their worker's slot, in no list of the queue, and the rule by which a section ends doesn't count them: nobody else
//! is to come for them. Their worker is sure to come. A section puts them there, of a thread that is counted, and each worker
//! looks into its slot in every section in which it takes, rests or ends, before it does; one that rests is woken. A thread that
//! ends without such a look, because it could not start, takes them out and fails them.
//!
//! They are made without a lock, when it is known for whom: those workers are *kept* meanwhile. They do all that they do
//! otherwise, but don't end for want of work, which they might do faster than others are started.
//!
//! They have a home of their own, so that nothing else takes them for queued tasks: a waiter doesn't run them in place, and one
//! that is cancelled is no dead entry of the queue.

use super::Queue;
use super::state::State;
use crate::error::{Broken, TaskError};
use crate::future::Future;
use crate::future::cell::{AnyCell, Entry};
use crate::future::home::{Home, HomeId};
use crate::future::state::Snapshot;
use crate::thread_pool::stats::Slot;
use std::sync::{Arc, Weak};

const NO_THREAD: &str = "no worker thread could be started";

/// The pool, as those tasks see it.
pub(super) struct AddressedHome {
    id: HomeId,
    queue: Weak<Queue>,
}

impl Home for AddressedHome {
    fn cancelled(&self, task: &dyn AnyCell, _: Snapshot) {
        if let Some(queue) = self.queue.upgrade() {
            queue.counters.add_cancelled(1);
            queue.observed().cancelled(task);
        }
    }
}

impl Drop for AddressedHome {
    fn drop(&mut self) {
        self.id.unregister();
    }
}

/// Workers that are about to be given a task each, and stay until that; or until this is dropped, by a panic in what makes the
/// tasks.
struct Kept<'a> {
    queue: &'a Queue,
    /// By their numbers.
    slots: Vec<Arc<Slot>>,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        if self.slots.is_empty() {
            return;
        }
        let state = self.queue.section();
        self.slots.iter().for_each(|slot| slot.let_go());
        state.leave();
        self.slots.iter().for_each(|slot| slot.bell.ring());
    }
}

impl Queue {
    /// Starts all threads that there may be, and gives each thread that there is one of the tasks that `make` makes; their
    /// futures, by the workers' numbers. `make` is called without a lock.
    pub(in crate::thread_pool) fn broadcast<T: Send + 'static>(
        &self,
        make: impl Fn() -> (Entry, Future<T>),
    ) -> Vec<Future<T>> {
        let kept = self.keep_all();
        // One that says why, where there are no workers any more.
        let count = kept.as_ref().map_or(1, |kept| kept.slots.len());
        let (entries, futures): (Vec<_>, Vec<_>) = (0..count).map(|_| make()).unzip();
        for entry in &entries {
            entry.header().home.set(self.addressed_home().id);
            self.observed().queued(&**entry);
        }
        let addressed = kept.and_then(|kept| self.address(kept, &entries));
        if let Err(error) = addressed {
            entries.iter().for_each(|entry| self.observed().refuse(&**entry, error.clone()));
        }
        futures
    }

    /// Starts all threads that there may be, and keeps all that there are. Or why no task is taken.
    fn keep_all(&self) -> Result<Kept<'_>, TaskError> {
        let mut started = Vec::new();
        let state = self.start_all(&mut |slot| {
            slot.keep();
            started.push(slot.clone());
        });
        let refusal = self.inbox.lock().closed().map(|closed| closed.error());
        let slots: Vec<_> = state.slots.values().cloned().collect();
        slots.iter().for_each(|slot| slot.keep());
        started.iter().for_each(|slot| slot.let_go());
        state.leave();
        let kept = Kept { queue: self, slots };
        match refusal {
            Some(error) => Err(error),
            // The system refused each that was tried.
            None if kept.slots.is_empty() => Err(TaskError::Broken(Broken::new(NO_THREAD))),
            None => Ok(kept),
        }
    }

    /// Gives each of these workers its task. Or why no task is taken.
    fn address(&self, mut kept: Kept<'_>, entries: &[Entry]) -> Result<(), TaskError> {
        let mut state = self.section();
        let slots = std::mem::take(&mut kept.slots);
        slots.iter().for_each(|slot| slot.let_go());
        let refusal = self.inbox.lock().closed().map(|closed| closed.error());
        let mut refused = Vec::new();
        for (slot, entry) in slots.iter().zip(entries).take_while(|_| refusal.is_none()) {
            // One that is kept ends only if the pool does, or breaks; or if it was about to start, and was refused.
            if state.slots.get(&slot.number).is_some_and(|there| Arc::ptr_eq(there, slot)) {
                slot.with_addressed(|tasks| tasks.push_back(entry.clone()));
                state.addressed += 1;
            } else {
                refused.push(entry.clone());
            }
        }
        state.leave();
        slots.iter().for_each(|slot| slot.bell.ring());
        self.fail_addressed(refused, &Broken::new(NO_THREAD));
        refusal.map_or(Ok(()), Err)
    }

    fn addressed_home(&self) -> &AddressedHome {
        self.addressed_home.get_or_init(|| {
            let home = Arc::new(AddressedHome { id: HomeId::new(), queue: self.me.clone() });
            let registered: Arc<dyn Home> = home.clone();
            home.id.register(Arc::downgrade(&registered));
            home
        })
    }

    /// The home of such tasks, if there were any.
    pub(in crate::thread_pool) fn home_of_addressed(&self) -> Option<HomeId> {
        self.addressed_home.get().map(|home| home.id)
    }

    /// Claims the next task that only this worker runs.
    pub(super) fn take_addressed(state: &mut State, slot: &Slot) -> Option<Entry> {
        while let Some(entry) = slot.with_addressed(|tasks| tasks.pop_front()) {
            state.lower(|state| &mut state.addressed, 1);
            if entry.header().word.claim().is_some() {
                return Some(entry);
            }
            state.dead.push(entry);
        }
        None
    }

    /// Takes out all that only this worker would run.
    pub(super) fn unaddress(state: &mut State, slot: &Slot) -> Vec<Entry> {
        let taken: Vec<Entry> = slot.with_addressed(|tasks| tasks.drain(..).collect());
        state.lower(|state| &mut state.addressed, taken.len());
        taken
    }

    /// The same of all workers.
    pub(super) fn unaddress_all(state: &mut State) -> Vec<Entry> {
        if state.addressed == 0 {
            return Vec::new();
        }
        let slots: Vec<Arc<Slot>> = state.slots.values().cloned().collect();
        slots.iter().flat_map(|slot| Self::unaddress(state, slot)).collect()
    }

    /// Ends tasks that were taken out, with that error, unless they were cancelled before.
    pub(super) fn end_addressed(&self, taken: Vec<Entry>, error: &TaskError) {
        let is_cancel = matches!(error, TaskError::Cancelled);
        for entry in taken {
            let word = &entry.header().word;
            let owned = if is_cancel { word.begin_cancel() } else { word.claim() };
            if owned.is_none() {
                continue;
            }
            if is_cancel {
                self.counters.add_cancelled(1)
            } else {
                self.counters.add_failed(1)
            }
            self.end_as(&entry, error.clone());
        }
    }

    /// Their worker could not start.
    pub(super) fn fail_addressed(&self, taken: Vec<Entry>, why: &Broken) {
        self.end_addressed(taken, &TaskError::Broken(why.clone()));
    }

    /// How many of them wait for their worker.
    pub(super) fn addressed_and_queued(state: &State) -> usize {
        if state.addressed == 0 {
            return 0;
        }
        let is_queued = |entry: &&Entry| super::dead::is_queued(entry);
        let of_slot = |slot: &Arc<Slot>| slot.with_addressed(|tasks| tasks.iter().filter(is_queued).count());
        state.slots.values().map(of_slot).sum()
    }
}
