//! Tasks for one worker each, which `broadcast` makes: no other runs them.
//!
//! They lie in their worker's slot, in no list of the queue, and the rule by which a section ends doesn't count them: nobody else
//! is to come for them. Their worker is sure to come. A section puts them there, of a thread that is counted, and each worker
//! looks into its slot in every section in which it takes, rests or ends, before it does; one that rests is woken. A thread that
//! ends without such a look, because it could not start, takes them out and fails them.
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

impl Queue {
    /// Starts all threads that there may be, and gives each thread that there is one of the tasks that `make` makes; their
    /// futures, by the workers' numbers. `make` is called without a lock.
    pub(in crate::thread_pool) fn broadcast<T: Send + 'static>(
        &self,
        make: impl Fn() -> (Entry, Future<T>),
    ) -> Vec<Future<T>> {
        loop {
            self.start_all(&|_| {});
            let slots = self.slots();
            // One that says why, where there are no workers any more.
            let (entries, futures): (Vec<_>, Vec<_>) = (0..slots.len().max(1)).map(|_| make()).unzip();
            for entry in &entries {
                entry.header().home.set(self.addressed_home().id);
                self.observed().queued(&**entry);
            }
            match self.address(&slots, &entries) {
                Err(error) => {
                    entries.iter().for_each(|entry| self.observed().refuse(&**entry, error.clone()));
                    return futures;
                }
                // A worker that has ended meanwhile takes no part, and all may have: their time of idleness is short then.
                Ok(is_there) => {
                    let each = is_there.into_iter().chain([false]).zip(futures);
                    let taken = each.filter_map(|(is_there, future)| {
                        if !is_there {
                            future.cancel();
                        }
                        is_there.then_some(future)
                    });
                    let taken: Vec<_> = taken.collect();
                    if !taken.is_empty() {
                        return taken;
                    }
                }
            }
        }
    }

    /// Gives each worker its task; which of them are still there. Or why no task is taken.
    fn address(&self, slots: &[Arc<Slot>], entries: &[Entry]) -> Result<Vec<bool>, TaskError> {
        let mut state = self.section();
        let refusal = self.inbox.lock().closed().map(|closed| closed.error());
        if let Some(error) = refusal {
            state.leave();
            return Err(error);
        }
        let address = |(slot, entry): (&Arc<Slot>, &Entry)| {
            let is_there = state.slots.get(&slot.number).is_some_and(|there| Arc::ptr_eq(there, slot));
            if is_there {
                slot.with_addressed(|tasks| tasks.push_back(entry.clone()));
                state.addressed += 1;
            }
            is_there
        };
        let is_there = slots.iter().zip(entries).map(address).collect();
        state.leave();
        slots.iter().for_each(|slot| slot.bell.ring());
        Ok(is_there)
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
