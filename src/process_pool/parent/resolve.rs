//! Tasks out: futures are resolved, and what hangs on them is done on a thread that may block.

use super::notes::Reported;
use super::observed::Ran;
use super::pool::{Pool, SERVES};
use super::results::ResultsOf;
use super::task::{EncodedTask, Unresolved};
use crate::contain::contain;
use crate::error::TaskError;
use crate::future::cell::Entry;
use crate::future::publish::{Aftermath, publish};
use crate::future::state::Phase;
use crate::process_pool::wire::times::Times;
use crate::remote::codec::{Arrived, ReadApart};
use crate::sync::plain::Ordering;
use crate::sync::{channel, thread};
use std::sync::Arc;

/// What is for the thread that calls the user's code.
pub(crate) enum Resolved {
    /// A resolved task whose callbacks are still to be called, or whose result is to be dropped.
    Task(Entry, Aftermath),
    /// What a running task has reported.
    Report(Reported),
    /// A task with its outcome, to be published behind its reports.
    End(Unresolved, Phase),
}

impl Pool {
    /// Resolves a task with the reply that came for it: on the driver's thread, or on one that waits for the task.
    /// What lies apart of it is freed before the future is.
    pub(crate) fn complete(
        self: &Arc<Self>,
        task: EncodedTask,
        reply: &[u8],
        apart: Option<ResultsOf<'_>>,
        ran: Ran,
    ) {
        let (reports, attempt) = (task.reports, task.attempt());
        let entry = task.into_unresolved();
        // Of a worker out of control the reply may be anything; then it is no outcome either.
        let parted = self.config.launch.notes_times.then(|| Times::part(reply).ok()).flatten();
        let (reply, times) = parted.map_or((reply, None), |(reply, times)| (reply, Some(times)));
        let reply = Arrived::new(reply, apart.as_ref().map(|apart| apart as &dyn ReadApart));
        let phase = entry.complete(reply);
        drop(apart);
        self.count(phase);
        self.tell_completed(&**entry, Ran { times, attempt, ..ran }, phase);
        if reports {
            return self.hand_on(Resolved::End(entry, phase));
        }
        let after = publish(&**entry, Phase::Dispatched, phase);
        self.hand_on(Resolved::Task(entry.release(), after));
    }

    /// Resolves a task with an error; it `ran`, or never began.
    pub(crate) fn fail(self: &Arc<Self>, task: EncodedTask, error: TaskError, ran: Option<Ran>) {
        let (reports, attempt) = (task.reports, task.attempt());
        let entry = task.into_unresolved();
        match ran.map(|ran| Ran { attempt, ..ran }) {
            Some(ran) => self.tell_failed(&**entry, ran, &error),
            None => self.observed().refused(&**entry, &error),
        }
        entry.fill(error);
        self.count(Phase::Failed);
        if reports {
            return self.hand_on(Resolved::End(entry, Phase::Failed));
        }
        let after = publish(&**entry, Phase::Dispatched, Phase::Failed);
        self.follow_up(Resolved::Task(entry.release(), after));
    }

    /// Resolves tasks that were taken back for good.
    pub(crate) fn finish_cancelled(self: &Arc<Self>, tasks: Vec<EncodedTask>) {
        for task in tasks {
            let entry = task.into_unresolved();
            self.observed().cancelled(&**entry);
            entry.fill(TaskError::Cancelled);
            let after = publish(&**entry, Phase::Cancelling, Phase::Cancelled);
            self.follow_up(Resolved::Task(entry.release(), after));
        }
    }

    pub(super) fn count(&self, phase: Phase) {
        let counter = if phase == Phase::Finished { &self.finished } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn follow_up(self: &Arc<Self>, resolved: Resolved) {
        if self.is_served_by_this_thread() {
            self.hand_on(resolved);
        } else {
            finish(resolved, None);
        }
    }

    /// Callbacks go to a thread of their own, and so do destructors of results that nobody wants: one that waits for
    /// another task of this pool would hold up the very driver that is to resolve it, or the thread whose direct wait is
    /// to take its reply.
    ///
    /// What a task has reported goes to a second one, and behind it the end of that task: a callback may wait for such an end, so
    /// it must not lie behind the callback.
    pub(super) fn hand_on(self: &Arc<Self>, resolved: Resolved) {
        let (place, name) = match &resolved {
            Resolved::Task(entry, after) if !after.may_take_long(&**entry) => return finish(resolved, None),
            Resolved::Task(..) => (&self.callbacks, "callbacks"),
            Resolved::Report(_) | Resolved::End(..) => (&self.reports, "reports"),
        };
        let mut sender = place.lock();
        if sender.is_none() {
            // The reports' thread passes on what hangs on the ends that it makes known.
            let next = if name == "reports" { self.callbacks() } else { None };
            *sender = self.start_resolving_thread(name, next);
        }
        let left = match &*sender {
            Some(sender) => sender.send(resolved).map_err(channel::SendError::into_inner).err(),
            None => Some(resolved),
        };
        drop(sender);
        // No thread could be had.
        if let Some(left) = left {
            finish(left, None);
        }
    }

    /// The way to the callbacks' thread, which is started if it isn't there.
    fn callbacks(&self) -> Option<channel::Sender<Resolved>> {
        let mut callbacks = self.callbacks.lock();
        if callbacks.is_none() {
            *callbacks = self.start_resolving_thread("callbacks", None);
        }
        callbacks.clone()
    }

    fn start_resolving_thread(
        &self,
        name: &str,
        next: Option<channel::Sender<Resolved>>,
    ) -> Option<channel::Sender<Resolved>> {
        let (sender, receiver) = channel::unbounded::<Resolved>();
        let id = self.id;
        let call = move || {
            SERVES.set(Some(id));
            // The user's code in there is contained by itself; should anything else panic, the next ones are called.
            receiver.into_iter().for_each(|resolved| drop(contain(|| finish(resolved, next.as_ref()))));
        };
        let name = format!("{}_{name}", self.config.launch.name_prefix);
        let handle = thread::Builder::new().name(name).spawn(call).ok()?;
        self.threads.lock().push(handle);
        Some(sender)
    }
}

/// What hangs on an end goes to `callbacks`, if it may take long.
fn finish(resolved: Resolved, callbacks: Option<&channel::Sender<Resolved>>) {
    let (entry, after) = match resolved {
        Resolved::Task(entry, after) => (entry, after),
        Resolved::Report(reported) => return reported.tell(),
        Resolved::End(entry, phase) => {
            let after = publish(&**entry, Phase::Dispatched, phase);
            (entry.release(), after)
        }
    };
    if let Some(callbacks) = callbacks
        && after.may_take_long(&*entry)
    {
        if let Err(left) = callbacks.send(Resolved::Task(entry, after)) {
            finish(left.into_inner(), None);
        }
        return;
    }
    after.run(&*entry);
    entry.settle();
}
