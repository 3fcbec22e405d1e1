//! The end of a pool: by a shutdown or because it broke, and the wait for its threads.

use super::inbox::{Closed, Inbox};
use super::section::Section;
use super::state::State;
use super::{Queue, log_panic_in_drop};
use crate::clock;
use crate::contain::drop_contained;
use crate::error::TaskError;
use crate::executor::Shutdown;
use crate::future::cell::Entry;
use crate::future::publish::publish_here;
use crate::future::state::{Phase, Snapshot};
use crate::sync::atomic::Ordering;
use crate::sync::thread;
use std::time::Instant;

impl Queue {
    /// Closes the door and fails what is queued. A refusal keeps nobody out for good, and opens no door that was shut.
    pub(super) fn break_pool(&self, mut state: Section<'_>, why: Closed) {
        let error = why.error();
        let (taken, before) = {
            let mut inbox = self.inbox.lock();
            state.broken |= matches!(why, Closed::Broken(_));
            let before = if state.broken || !state.closed { inbox.closed.replace(why) } else { Some(why) };
            (Self::take_all(&mut state, &mut inbox), before)
        };
        let addressed = Self::unaddress_all(&mut state);
        self.tell_everybody(state);
        // What it was broken of before holds an error of the user's.
        log_panic_in_drop("an earlier failure", drop_contained(before));
        let failed = self.resolve(taken, |entry| {
            let before = entry.header().word.claim();
            before.map(|before| (before, error.clone()))
        });
        self.counters.add_failed(failed);
        self.end_addressed(addressed, &error);
    }

    pub(in crate::thread_pool) fn shutdown(&self, mode: Shutdown) {
        let mut state = self.section();
        state.closed = true;
        state.cancelling |= mode != Shutdown::Drain;
        let taken = {
            let mut inbox = self.inbox.lock();
            if !matches!(inbox.closed, Some(Closed::Broken(_))) {
                inbox.closed = Some(Closed::ShutDown);
            }
            match mode {
                Shutdown::Drain => Vec::new(),
                Shutdown::CancelQueued | Shutdown::Stop => Self::take_all(&mut state, &mut inbox),
            }
        };
        let addressed = if mode == Shutdown::Drain { Vec::new() } else { Self::unaddress_all(&mut state) };
        // After the queue was emptied: what runs may end at once, and leaves its worker nothing to begin.
        if mode == Shutdown::Stop {
            self.stop.raise();
        }
        self.tell_everybody(state);
        let cancelled = self.resolve(taken, |entry| {
            let before = entry.header().word.begin_cancel();
            before.map(|before| (before, TaskError::Cancelled))
        });
        self.counters.add_cancelled(cancelled);
        self.end_addressed(addressed, &TaskError::Cancelled);
    }

    fn take_all(state: &mut State, inbox: &mut Inbox) -> Vec<Entry> {
        let mut taken: Vec<Entry> = state.urgent.drain(..).collect();
        state.with_hands(|hand| taken.extend(hand.drain(..).rev()));
        state.forget_hands();
        taken.extend(state.ready.drain(..).chain(inbox.queue.drain(..)));
        taken
    }

    fn tell_everybody(&self, mut state: Section<'_>) {
        std::mem::take(&mut state.place_waiters).into_values().for_each(|waiter| waiter.hub.ring());
        if state.threads == 0 {
            self.ended.notify_all();
        }
        state.leave_and_ring();
    }

    /// Ends tasks whose entries were all taken out; returns how many there were. `own` takes possession of a task that is
    /// still queued, and says with which error it ends.
    fn resolve(&self, taken: Vec<Entry>, own: impl Fn(&Entry) -> Option<(Snapshot, TaskError)>) -> usize {
        let mut ended = 0;
        for entry in taken {
            let Some((before, error)) = own(&entry) else {
                self.dead.fetch_sub(1, Ordering::Relaxed);
                continue;
            };
            // Its second entry was taken out as well, and will be met as a dead one.
            if before.is_urgent() {
                self.other_entry_is_dead();
            }
            ended += 1;
            self.end_as(&entry, error);
        }
        if self.config.capacity.is_some() && ended > 0 {
            let mut state = self.section();
            state.lower(|state| &mut state.live, ended);
            state.leave();
        }
        ended
    }

    /// Ends a task in whose possession the caller is: cancelled or failed.
    pub(super) fn end_as(&self, entry: &Entry, error: TaskError) {
        let (from, to) = match error {
            TaskError::Cancelled => (Phase::Cancelling, Phase::Cancelled),
            _ => (Phase::Running, Phase::Failed),
        };
        match &error {
            TaskError::Cancelled => self.observed().cancelled(&**entry),
            error => self.observed().refused(&**entry, error),
        }
        entry.fill(error);
        publish_here(&**entry, from, to);
    }

    /// Waits until every worker has ended; false if the time is up first.
    pub(in crate::thread_pool) fn join(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.peek();
        while state.threads > 0 {
            // All workers may wait for what is queued, and none of them has a clock: this thread has.
            let until = deadline.into_iter().chain(state.retry_at()).min();
            if state.wait(&self.ended, until) && state.threads > 0 {
                if clock::is_over(deadline) {
                    return false;
                }
                drop(state);
                self.try_again();
                state = self.peek();
            }
        }
        drop(state);
        self.join_threads(deadline)
    }

    /// Every worker has left, and may run its exit hook and destructors of thread-locals yet. One thread waits for that, whoever
    /// comes first; a caller with a time limit has another thread do it, because a thread's end can't be waited for with one.
    fn join_threads(&self, deadline: Option<Instant>) -> bool {
        let mut handles = self.handles.lock();
        let mut joiner = None;
        if !handles.all.is_empty() {
            handles.joiners += 1;
            drop(handles);
            joiner = deadline.and_then(|_| self.start_joiner());
            // Also where no thread can be had for it.
            if joiner.is_none() {
                self.join_all();
            }
            handles = self.handles.lock();
        }
        while handles.joiners > 0 {
            match deadline {
                None => self.joined.wait(&mut handles),
                Some(at) => {
                    if self.joined.wait_until(&mut handles, at).timed_out() && handles.joiners > 0 {
                        return false;
                    }
                }
            }
        }
        drop(handles);
        // It has nothing left to do but to end.
        let _ = joiner.map(|joiner| joiner.join());
        true
    }

    fn start_joiner(&self) -> Option<thread::JoinHandle<()>> {
        let queue = self.me.upgrade()?;
        let builder = thread::Builder::new().name(format!("{}_join", self.config.name_prefix));
        builder.spawn(move || queue.join_all()).ok()
    }

    /// By one that is counted as a joiner already.
    fn join_all(&self) {
        let ours = std::mem::take(&mut self.handles.lock().all);
        for handle in ours {
            // A worker contains every panic; what could come here is one in the user's own thread-locals.
            let _ = handle.join();
        }
        let mut handles = self.handles.lock();
        handles.joiners -= 1;
        self.joined.notify_all();
    }
}
