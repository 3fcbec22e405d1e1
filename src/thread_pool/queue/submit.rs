//! How a task gets into the queue, or why it doesn't.

use super::Queue;
use super::inbox::Closed;
use crate::error::TaskError;
use crate::future::cell::Entry;
use crate::future::publish::run_here;
use crate::future::waiting::{self, Host};
use crate::sync::atomic::Ordering;
use crate::sync::spin_for;
use crate::thread_pool::stats::Slot;
use crate::thread_pool::worker::Worker;
use std::rc::Rc;
use std::sync::Arc;

impl Queue {
    /// Takes a task, or ends it with the reason why not. What few tasks meet is kept out of the way that all of them go.
    #[inline]
    pub(in crate::thread_pool) fn push(&self, entry: Entry) {
        entry.header().home.set(self.id);
        self.observed().queued(&*entry);
        match self.config.capacity {
            None => self.push_unbounded(entry),
            Some((capacity, when_full)) => self.push_bounded(entry, capacity, when_full),
        }
    }

    #[inline]
    fn push_unbounded(&self, entry: Entry) {
        let mut inbox = self.inbox.lock();
        if let Some(closed) = inbox.closed() {
            let closed = closed.clone();
            drop(inbox);
            return self.refuse_late(&entry, &closed);
        }
        if !entry.header().word.mark_entered() {
            drop(inbox);
            return self.observed().cancelled(&*entry);
        }
        inbox.queue.push_back(entry);
        self.inbox.set_len_hint(inbox.queue.len());
        let (ask, busy) = (inbox.ask, inbox.busy);
        let emptied = self.emptied.load(Ordering::Relaxed);
        drop(inbox);
        if ask {
            self.look_after(busy, emptied);
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse_late(&self, entry: &Entry, closed: &Closed) {
        self.observed().refuse(&**entry, closed.error());
    }

    /// What a push has to do that was asked for it.
    #[inline(never)]
    fn look_after(&self, busy: bool, emptied: usize) {
        if !(busy && self.is_emptied_since(emptied)) {
            self.section().leave();
        }
    }

    /// Whether a worker takes over the inbox within the 2 to 4 us that waking a sleeper would cost. With short tasks a
    /// worker is back by then, and a submit that woke another each time would pay for switches that nobody needs: half
    /// of them are gone with this, and a quarter of the processor time of a million no-op tasks.
    ///
    /// Speed only. A worker that takes the inbox over does it in a section of `state`, after our push, and that section
    /// ends by `leave`: it counts what is left, and wakes whom we would have woken.
    fn is_emptied_since(&self, emptied: usize) -> bool {
        const PATIENCE: u32 = 100;
        spin_for(PATIENCE, || self.emptied.load(Ordering::Relaxed) != emptied)
    }

    /// Takes what is left of a task that the pool took before, as the tasks that `take` gives. They were accepted with
    /// it: no closed door and no full queue refuses them. What ends the queued ends them too: they are cancelled by a
    /// shutdown that cancels and fail with a broken pool, also if that came first.
    ///
    /// `take` is called with the state's lock held, so the pool can't end meanwhile: the task that they come from is
    /// queued, or runs on a worker, and no worker ends before its next look, which finds them. If that task is gone
    /// already, nothing is left of it. Nothing of the user's may run or be dropped in `take`, and no thread that waits
    /// for the state may hold what it locks.
    pub(in crate::thread_pool) fn push_parts(&self, take: &mut dyn FnMut() -> Vec<Entry>) {
        let mut state = self.section();
        let mut entries = take();
        let error = {
            let mut inbox = self.inbox.lock();
            let error = match inbox.closed() {
                Some(Closed::Broken(broken) | Closed::Refused(broken, _)) => {
                    Some(TaskError::Broken(broken.clone()))
                }
                _ if state.cancelling => Some(TaskError::Cancelled),
                _ => None,
            };
            if error.is_none() {
                // Nobody else has seen them yet, so none is cancelled at this moment.
                entries.retain(|entry| {
                    entry.header().home.set(self.id);
                    entry.header().word.mark_entered()
                });
                state.live += if self.config.capacity.is_some() { entries.len() } else { 0 };
                inbox.queue.extend(entries.drain(..));
                self.inbox.set_len_hint(inbox.queue.len());
            }
            error
        };
        state.leave();
        if let Some(error) = error {
            entries.iter().for_each(|entry| self.observed().refuse(&**entry, error.clone()));
        }
    }

    /// Runs the task on this thread, which submits it (`CallerRuns`).
    pub(super) fn run_on_caller(&self, entry: &Entry) {
        if entry.header().word.claim().is_some() {
            let run = || {
                let noted = self.beginnings.note();
                self.counters.elsewhere.begin(&**entry, self.beginnings.moment(noted));
                self.tell_started(&**entry, None, noted);
                run_here(entry, Some(&self.stop), |phase| {
                    self.counters.end_elsewhere(&**entry, phase);
                    self.tell_ended(&**entry, None, noted, phase);
                });
            };
            match self.own_worker() {
                Some(host) => Worker::of(&*host).map_or((), |worker| worker.run_above(run)),
                None => run(),
            }
        }
    }

    /// The worker of this pool that this thread is, if it is one.
    fn own_worker(&self) -> Option<Rc<dyn Host>> {
        waiting::host().filter(|host| host.home() == self.id)
    }

    pub(super) fn own_slot(&self) -> Option<Arc<Slot>> {
        self.own_worker().and_then(|host| Worker::of(&*host).map(|worker| worker.slot.clone()))
    }
}
