//! A task is to be killed, and is asked where it is before that.

use super::{Driver, GRACE, Liveness, MAX_FILLS, failpoint};
use crate::clock::{deadline_after, is_over};
use crate::process_pool::parent::lane::{KillReason, Position};
use crate::process_pool::shared::stack_words::key;
use crate::process_pool::sys::{self, Signal};
use crate::process_pool::wire::frames::Filled;
use std::time::{Duration, Instant};

/// How long a worker may take to tell where its task is.
const TELLS_WITHIN: Duration = Duration::from_millis(50);

/// How often it is looked for that.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a worker was asked to tell before it is killed; and a handler of its own that doesn't come to its end.
#[derive(Default)]
pub(super) struct StackRequest {
    /// Of which task, and until when it is awaited.
    asked: Option<(Position, Option<Instant>)>,
    /// A handler was at work when it was last looked.
    was_walking: bool,
}

impl StackRequest {
    /// When to look again.
    fn next_look(&self) -> Option<Instant> {
        deadline_after(LOOK_EVERY)
    }
}

impl Driver<'_> {
    /// A task is to be killed: first nothing new may begin, then what is there is received, and only a worker that still
    /// runs that task is signalled. No other task can be hit.
    pub(super) fn handle_kills(&mut self) -> Liveness {
        let mut cancelled = Vec::new();
        let mut dispatcher = self.pool.dispatcher.lock();
        let signal = dispatcher.take_signal(self.lane);
        if signal.is_some() && dispatcher.is_broken() {
            self.kill_at = deadline_after(GRACE);
        }
        let wake = dispatcher.recall(self.lane, &mut cancelled);
        drop(dispatcher);
        failpoint("recalled");
        self.pool.wake_all(wake);
        self.pool.finish_cancelled(cancelled);
        if let Some(signal) = signal {
            self.signal(signal);
        }
        let mut received = Ok(Filled::Some);
        // What was sent before the recall is at most what fits into a socket; after it nothing can begin. A worker that
        // sends without end must not put off its own.
        for _ in 0..MAX_FILLS {
            if self.reading_stopped_until.is_some() {
                return Liveness::Alive;
            }
            received = self.receive();
            if received != Ok(Filled::Some) {
                break;
            }
        }
        if let Err(error) = received {
            return self.kill(KillReason::Protocol(error));
        }
        if self.awaits_stack() {
            let next = self.stack_request.next_look();
            return self.sleep(next);
        }
        if self.pool.dispatcher.lock().confirm_kill(self.lane) {
            self.signal(Signal::KILL);
            failpoint("killed");
        } else if self.stack_request.asked.take().is_some() {
            // Its reply was taken meanwhile: the next to be killed here is asked anew.
            self.worker.segment.stack_words.ask(0);
        }
        Liveness::Alive
    }

    /// Whether the worker is first to tell where its task is, whose time is over. It is asked, and has some time for it.
    ///
    /// `PROTOCOL.md` lets a request to kill wait in the lane, and that is all that happens here: the request stays there, so
    /// nothing is shipped, and the limits of what was shipped don't rise, so nothing else begins. Each look goes through the
    /// whole order again, from the recall to the look at the table. So the signal that kills is sent under the same
    /// conditions as if the request had come only now: if the task has ended meanwhile, its result is there, and there is
    /// nothing to kill. What the worker is asked makes no difference to that: it stops a task only that gives no reply
    /// any more (`sys/unix/crash.rs`).
    fn awaits_stack(&mut self) -> bool {
        let words = &self.worker.segment.stack_words;
        let position = self.pool.dispatcher.lock().out_of_time(self.lane).filter(|_| sys::TELLS_STACKS);
        match (position, self.stack_request.asked) {
            (Some(position), None) => {
                self.stack_request.asked = Some((position, deadline_after(TELLS_WITHIN)));
                words.ask(key(position.batch, position.index));
                self.worker.child.ask_for_stack();
                true
            }
            (Some(position), Some((asked, until))) if position == asked => {
                !is_over(until) && !words.is_whole()
            }
            (_, Some(_)) => {
                // It came to its end, or is killed for another reason now.
                words.ask(0);
                self.stack_request.asked = None;
                false
            }
            (None, None) => false,
        }
    }

    /// A worker whose handler has been at work on a crash for two looks in a row, which are seconds apart, will not end by
    /// itself: what the handler waits for may be what the crash has left undone.
    pub(super) fn look_after_handler(&mut self) {
        let crash = self.worker.segment.stack_words.walks_after().filter(|_| sys::TELLS_STACKS);
        if let Some(signal) = crash
            && self.stack_request.was_walking
        {
            self.kill(KillReason::StuckCrash(signal));
        }
        self.stack_request.was_walking = crash.is_some();
    }
}
