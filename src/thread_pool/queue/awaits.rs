//! [`Await`]: a poll of one of the pool's own tasks by one of its own workers, which counts as a wait.

use super::Queue;
use super::dead::is_queued;
use crate::contain::contain;
use crate::future::cell::Entry;
use crate::logging;
use crate::sync::plain;
use crate::sync::plain::Ordering;
use crate::thread_pool::stats::Slot;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

/// The waker that such a poll leaves behind in the task: the wait is over when the task is done, or when this is dropped.
pub(in crate::thread_pool) struct Await {
    token: Arc<Token>,
    queue: Weak<Queue>,
    /// The user's.
    waker: Waker,
    /// The task that has this among its watchers. Each keeps the other until the task ends, or its future is dropped, which takes
    /// this out.
    task: Entry,
}

/// The poll as the worker sees it: one more wait of its thread, until it is over.
pub(in crate::thread_pool) struct Token {
    slot: Arc<Slot>,
    /// A [`Stage`]; changes under the pool's lock.
    stage: plain::AtomicU32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The worker counts as blocked for it.
    Held,
    /// The worker runs another task in place, above the one that polled.
    Paused,
    Over,
}

impl Token {
    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Held,
            1 => Stage::Paused,
            _ => Stage::Over,
        }
    }

    pub(super) fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u32, Ordering::Relaxed);
    }

    pub(in crate::thread_pool) fn is_over(&self) -> bool {
        self.stage() == Stage::Over
    }
}

impl Await {
    pub(in crate::thread_pool) fn new(
        queue: &Queue,
        slot: &Arc<Slot>,
        task: &Entry,
        waker: Waker,
    ) -> Arc<Self> {
        let stage = plain::AtomicU32::new(Stage::Over as u32);
        let token = Arc::new(Token { slot: slot.clone(), stage });
        Arc::new(Await { token, queue: queue.me.clone(), waker, task: task.clone() })
    }

    pub(in crate::thread_pool) fn token(&self) -> &Arc<Token> {
        &self.token
    }

    /// Has the worker poll again, if it could run the task then.
    pub(super) fn help(self: Arc<Self>) {
        let is_queued = is_queued(&self.task);
        // The user's waker may also be dropped here, by the last pointer to it.
        let told = contain(move || {
            if is_queued {
                self.waker.wake_by_ref();
            }
        });
        if let Err(panic) = told {
            logging::error(format_args!("a waker panicked: {}", panic.message()));
        }
    }

    fn end(&self) {
        if !self.token.is_over()
            && let Some(queue) = self.queue.upgrade()
        {
            queue.end_awaits(std::slice::from_ref(&self.token));
        }
    }
}

impl Wake for Await {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.end();
        self.waker.wake_by_ref();
    }
}

impl Drop for Await {
    fn drop(&mut self) {
        self.end();
    }
}

impl Queue {
    /// A worker has polled `task`, which is not done, and may be about to sleep in whatever polls. As `begin_blocked`;
    /// true if no other worker can run the task.
    pub(in crate::thread_pool) fn begin_await(&self, wait: &Arc<Await>, task: Entry) -> bool {
        let mut state = self.section();
        self.push_urgent(&mut state, task);
        wait.token.set_stage(Stage::Held);
        state.hold(&wait.token.slot, 1);
        let stuck = self.is_stuck(&state);
        // Swept when they have doubled, at the latest.
        if state.awaiting.len() == state.awaiting.capacity() {
            state.awaiting.retain(|wait| wait.strong_count() > 0);
        }
        state.awaiting.push(Arc::downgrade(wait));
        state.leave();
        stuck
    }

    /// What was polled is done, or nobody awaits it any more.
    pub(in crate::thread_pool) fn end_awaits(&self, tokens: &[Arc<Token>]) {
        let mut state = self.section();
        for token in tokens {
            if token.stage() == Stage::Held {
                state.unhold(&token.slot, 1);
            }
            token.set_stage(Stage::Over);
        }
        state.leave();
    }
}
