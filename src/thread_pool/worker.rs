//! One worker: its thread's life, and how it runs a task.

use super::queue::{Next, Queue, Was};
use super::stats::Slot;
use crate::contain::contain;
use crate::error::{Broken, Panicked, Rejected, TaskError};
use crate::future::cell::{AnyCell, Entry, fail_claimed, publish};
use crate::future::state::{Phase, Snapshot};
use crate::future::waiting::set_host;
use crate::stack;
use std::rc::Rc;
use std::sync::Arc;

/// This thread, as a worker of its pool.
pub(super) struct Worker {
    pub(super) queue: Arc<Queue>,
    pub(super) slot: Arc<Slot>,
}

/// A worker's whole life.
pub(super) fn main(queue: Arc<Queue>, slot: Arc<Slot>) {
    stack::begin(queue.config.stack_size);
    let worker = Rc::new(Worker { queue: queue.clone(), slot: slot.clone() });
    set_host(Some(worker.clone()));
    match queue.initialize() {
        Err(broken) => queue.initializer_failed(&slot, broken),
        Ok(()) => {
            let mut was = Was::First;
            loop {
                match queue.look(was, &slot) {
                    Next::Run(entry) => was = worker.run(entry),
                    Next::Search => {
                        queue.search();
                        was = Was::Searcher;
                    }
                    Next::End => break,
                }
            }
            queue.on_exit();
        }
    }
    set_host(None);
}

impl Queue {
    fn initialize(&self) -> Result<(), Broken> {
        let Some(initializer) = &self.config.initializer else { return Ok(()) };
        match contain(|| initializer()) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Broken::with_source("its initializer failed", error)),
            Err(panic) => Err(Broken::with_source("its initializer panicked", Panicked::caught(panic))),
        }
    }

    fn on_exit(&self) {
        if let Some(hook) = &self.config.on_exit
            && let Err(panic) = contain(|| hook())
        {
            log::error!("a worker's on-exit hook panicked: {}", panic.message());
        }
    }
}

impl Worker {
    /// Runs a task that was claimed from the queue; says as what the worker looks next.
    fn run(&self, entry: Entry) -> Was {
        let (phase, discarded) = self.execute(&*entry);
        // Counted as coming back before the result can be seen: whoever sees it and submits again finds this worker
        // expected, and no second thread is started for a sequence of submits and results.
        self.queue.returns();
        let after = publish(&*entry, Phase::Running, phase, discarded);
        if after.is_empty() {
            entry.extra().settled();
            return Was::Back;
        }
        // User code follows, which may take long: not coming back yet.
        self.queue.returns_later();
        after.run(&*entry);
        entry.extra().settled();
        Was::Plain
    }

    /// Runs a task that a wait on this stack needs. Not counted as anything: the same worker, the same number.
    pub(super) fn run_in_place(&self, entry: &dyn AnyCell, before: Snapshot) {
        // A task that still waits for a place in a full queue left nothing behind there.
        if before.is_entered() {
            self.queue.forget(before);
        }
        let (phase, discarded) = stack::level(|| self.execute(entry));
        publish(entry, Phase::Running, phase, discarded).run(entry);
        entry.extra().settled();
    }

    /// Ends a task that only this worker could run, and has no stack left for. Its error is what everybody sees who waits
    /// for it, by whatever verb: nobody is left waiting, and no iterator ends early.
    pub(super) fn fail_in_place(&self, entry: &dyn AnyCell, before: Snapshot) {
        if before.is_entered() {
            self.queue.forget(before);
        }
        self.queue.counters.add_failed(1);
        fail_claimed(entry, TaskError::Rejected(Rejected::StackSpent));
    }

    /// User code: the task itself and, if its future is gone already, the drop of its result.
    fn execute(&self, entry: &dyn AnyCell) -> (Phase, bool) {
        let header = entry.header();
        let label = entry.label();
        let labelled = label.is_some();
        let outer = self.slot.begin(header.id, label);
        let phase = entry.execute();
        // A failure that a callback is still to see is dropped after it.
        let word = header.word.load();
        let discard = word.is_unwanted() && (phase == Phase::Finished || !word.is_watched());
        if discard {
            entry.discard();
        }
        self.slot.end(outer, labelled, phase);
        (phase, discard)
    }
}
