//! One worker: its thread's life, and how it runs a task.

use super::queue::{CountedAs, NextStep, Queue, Token};
use super::stats::Slot;
use crate::contain::contain;
use crate::error::{Broken, Panicked, TaskError};
use crate::future::cell::{AnyCell, Entry};
use crate::future::current::Note;
use crate::future::publish::{Aftermath, fail_claimed, publish};
use crate::future::reporting::Speaking;
use crate::future::state::{Phase, Snapshot};
use crate::future::waiting::{Host, set_host};
use crate::logging;
use crate::stack;
use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// This thread, as a worker of its pool.
pub(super) struct Worker {
    pub(super) queue: Arc<Queue>,
    pub(super) slot: Arc<Slot>,
    /// What the task on top of this stack has polled, of its own pool's tasks; some are over.
    pub(super) awaits: RefCell<Vec<Arc<Token>>>,
}

/// A worker's whole life.
pub(super) fn main(queue: Arc<Queue>, slot: Arc<Slot>) {
    let since = queue.observed().is_set().then(Instant::now);
    stack::begin(queue.config.stack_size);
    let worker = Rc::new(Worker { queue: queue.clone(), slot: slot.clone(), awaits: RefCell::default() });
    set_host(Some(worker.clone()));
    let initialized = queue.initialize();
    worker.forget_awaits();
    match initialized {
        Err(broken) => {
            queue.initializer_failed(&slot, broken);
            set_host(None);
        }
        Ok(()) => {
            queue.tell_worker_started(&slot, since);
            let mut counted = CountedAs::Starting;
            loop {
                match queue.look(counted, &slot) {
                    NextStep::Run(entry) => counted = worker.run(entry),
                    NextStep::Search => {
                        queue.search();
                        counted = CountedAs::Searching;
                    }
                    NextStep::End => break,
                }
            }
            // It is counted no more, and takes no more tasks: what the hook and this thread's destructors wait for, they
            // wait for as any other thread does.
            set_host(None);
            queue.on_exit();
            queue.tell_worker_ended(&slot);
        }
    }
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
            logging::error(format_args!("a worker's on-exit hook panicked: {}", panic.message()));
        }
    }
}

impl Worker {
    /// Runs a task that was claimed from the queue; returns as what the worker is counted when it looks next.
    fn run(&self, entry: Entry) -> CountedAs {
        let ran = self.execute(&entry);
        self.forget_awaits();
        // Counted as coming back before the result can be seen: a thread that sees it and submits again finds this
        // worker expected, and no second thread is started for a sequence of submits and results.
        let counted = self.queue.returns(&self.slot);
        let Some(entry) = ran.publish_at_once(entry) else { return counted };
        let after = ran.publish(&*entry);
        if after.is_empty() {
            entry.settle();
            return counted;
        }
        // User code follows, which may take long: not coming back yet.
        self.queue.returns_later(counted);
        after.run(&*entry);
        entry.settle();
        self.forget_awaits();
        CountedAs::Active
    }

    /// Runs a task that a wait on this stack needs. Not counted as anything: the same worker, the same number.
    pub(super) fn run_in_place(&self, entry: &Entry, before: Snapshot) {
        // A task that still waits for a place in a full queue left nothing behind there.
        if before.is_entered() {
            self.queue.forget(before);
        }
        self.run_above(|| {
            let _silence = Speaking::none();
            stack::level(|| self.execute(entry)).publish(&**entry).run(&**entry);
            entry.settle();
        });
    }

    /// Runs a task on top of this stack. If the one below waits, the worker is active meanwhile, and waits again then.
    pub(super) fn run_above(&self, run: impl FnOnce()) {
        struct Above<'a> {
            worker: &'a Worker,
            below: Vec<Arc<Token>>,
            /// In how many other waits it is, if it counts as blocked.
            paused: Option<usize>,
        }
        impl Drop for Above<'_> {
            fn drop(&mut self) {
                self.worker.forget_awaits();
                let below = std::mem::take(&mut self.below);
                if let Some(waits) = self.paused {
                    self.worker.queue.resume(&self.worker.slot, waits, &below);
                }
                *self.worker.awaits.borrow_mut() = below;
            }
        }
        // Nearly always. A panic doesn't come here: the task is contained, and so is what follows it.
        if self.slot.holds() == 0 && self.awaits.borrow().is_empty() {
            run();
            return self.forget_awaits();
        }
        let below = std::mem::take(&mut *self.awaits.borrow_mut());
        let paused = (self.slot.holds() > 0).then(|| self.queue.pause(&self.slot, &below));
        let _above = Above { worker: self, below, paused };
        run();
    }

    /// The user's code on top of this stack is over: nothing that it polled is awaited on this thread any more.
    #[inline]
    pub(super) fn forget_awaits(&self) {
        if !self.awaits.borrow().is_empty() {
            self.end_awaits();
        }
    }

    #[cold]
    fn end_awaits(&self) {
        let tokens = std::mem::take(&mut *self.awaits.borrow_mut());
        self.queue.end_awaits(&tokens);
    }

    /// The worker behind a host.
    pub(super) fn of(host: &dyn Host) -> Option<&Worker> {
        (host as &dyn Any).downcast_ref()
    }

    /// Ends a task that only this worker could run, and may not. Every wait for it sees its error, by
    /// whatever verb: no wait is left over, and no iterator ends early.
    pub(super) fn fail_in_place(&self, entry: &dyn AnyCell, before: Snapshot, error: TaskError) {
        if before.is_entered() {
            self.queue.forget(before);
        }
        self.queue.counters.add_failed(1);
        self.queue.observed().refused(entry, &error);
        fail_claimed(entry, error);
    }

    /// User code: the task itself and, if its future is gone already, the drop of its result.
    fn execute(&self, entry: &Entry) -> Ran {
        let task: &dyn AnyCell = &**entry;
        let header = task.header();
        let noted = self.queue.beginnings.note();
        let began = self.slot.begin(task, noted);
        let is_observed = self.queue.observed().is_set();
        if is_observed {
            self.queue.tell_started(task, Some(&self.slot), noted);
        }
        let phase = {
            let _entered = header.span.enter(|| self.slot.name.clone());
            if began.is_plain() {
                Note::plain(entry, Some(&self.queue.stop)).within(|| task.execute())
            } else {
                self.execute_with_options(entry)
            }
        };
        header.span.close();
        if is_observed {
            self.queue.tell_ended(task, Some(&self.slot), noted, phase);
        }
        // A failure that a callback is still to see is dropped after it.
        let word = header.word.load();
        let is_discarded = word.is_unwanted() && (phase == Phase::Finished || !word.is_watched());
        if is_discarded {
            task.discard();
        }
        self.slot.end(began, phase);
        Ran { phase, is_discarded }
    }
}

impl Worker {
    /// Not a part of every task's way.
    #[inline(never)]
    fn execute_with_options(&self, entry: &Entry) -> Phase {
        Note::here(entry, Some(&self.queue.stop)).within(|| entry.execute())
    }
}

/// How a task ended on a worker, before anybody is told.
struct Ran {
    phase: Phase,
    /// Its future was gone already, and so is the outcome.
    is_discarded: bool,
}

impl Ran {
    /// Most tasks are over with this: nobody waits, nothing hangs on them. Others come back.
    fn publish_at_once(&self, entry: Entry) -> Option<Entry> {
        let is_over = self.phase == Phase::Finished && !entry.header().counts_settled();
        if is_over { entry.publish_finished().err() } else { Some(entry) }
    }

    fn publish(self, entry: &dyn AnyCell) -> Aftermath {
        let after = publish(entry, Phase::Running, self.phase);
        if self.is_discarded { after.without_discard() } else { after }
    }
}
