//! When a worker is ended though it lives: a task's time limit, memory that grows, no progress.

use super::dispatch::Dispatcher;
use super::lane::TaskKill;
use crate::clock::{self, deadline_after, is_over};
use crate::id::FutureId;
use crate::process_pool::sys::Child;
use std::time::{Duration, Instant};

/// The time limits of the tasks that run in one worker.
#[derive(Default)]
pub(crate) struct TimeLimits {
    running: Vec<(FutureId, Instant)>,
    may_have_begun: bool,
}

impl TimeLimits {
    /// A doorbell came: a task with a time limit may have begun.
    pub(crate) fn note_doorbell(&mut self) {
        self.may_have_begun = true;
    }

    /// When the first of them is over.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.running.iter().map(|(_, until)| *until).min()
    }

    /// Whether there is anything to check.
    pub(crate) fn concern(&self) -> bool {
        self.may_have_begun || !self.running.is_empty()
    }

    /// Starts the clock of tasks that have begun, and asks for the end of those that are out of time.
    pub(crate) fn check(&mut self, dispatcher: &mut Dispatcher, lane: usize) {
        self.may_have_begun = false;
        let now = Instant::now();
        let running = dispatcher.limited(lane);
        self.running.retain(|(id, _)| running.iter().any(|(running, _)| running == id));
        for (id, limit) in running {
            if self.running.iter().all(|(known, _)| *known != id)
                && let Some(until) = clock::after(now, limit)
            {
                self.running.push((id, until));
            }
        }
        self.running.retain(|(id, until)| {
            let is_over = *until <= now;
            if is_over {
                dispatcher.request_kill(*id, TaskKill::OutOfTime);
            }
            !is_over
        });
    }
}

/// How much a worker's resident memory has grown since it came up.
pub(crate) struct MemoryGrowth {
    at_start: u64,
    most: u64,
    checked: Instant,
}

impl MemoryGrowth {
    /// For a worker that has just come up, whose memory may grow by `most` bytes.
    pub(crate) fn new(worker: &Child, most: u64) -> Self {
        MemoryGrowth { at_start: worker.resident_bytes(), most, checked: Instant::now() }
    }

    /// Looks at the memory from time to time; true if it has grown too much.
    pub(crate) fn is_exceeded(&mut self, worker: &Child) -> bool {
        const CHECK_EVERY: Duration = Duration::from_millis(50);
        if self.checked.elapsed() < CHECK_EVERY {
            return false;
        }
        self.checked = Instant::now();
        worker.resident_bytes().saturating_sub(self.at_start) > self.most
    }
}

/// A worker that should do something is checked this often ..
const PROGRESS_CHECK: Duration = Duration::from_secs(1);

/// .. and after so many checks in a row without progress it is presumed stopped, or its memory destroyed. Checks are
/// counted, not the time: while this process was stopped as well, nothing was checked.
const PROGRESS_CHECKS: u32 = 5;

/// A worker that should do something and does nothing.
#[derive(Default)]
pub(crate) struct Silence(Option<(Option<Instant>, u32)>);

impl Silence {
    /// It did something, or has nothing to do.
    pub(crate) fn end(&mut self) {
        self.0 = None;
    }

    /// Until when to sleep before the next check.
    pub(crate) fn next_check(&mut self) -> Option<Instant> {
        self.0.get_or_insert_with(|| (deadline_after(PROGRESS_CHECK), 0)).0
    }

    /// After that sleep: whether this was one check too many.
    pub(crate) fn is_too_long(&mut self) -> bool {
        let Some((until, checks)) = &mut self.0 else { return false };
        if !is_over(*until) {
            return false;
        }
        (*until, *checks) = (deadline_after(PROGRESS_CHECK), *checks + 1);
        *checks >= PROGRESS_CHECKS
    }
}
