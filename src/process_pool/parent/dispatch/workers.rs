//! Workers that come and go: starts, failed starts, deaths, lanes without a driver.

use super::{Action, Dispatcher, PoolState, Wake};
use crate::clock::deadline_after;
use crate::error::TaskError;
use crate::executor::WarmUp;
use crate::future::cell::Entry;
use crate::id::FutureId;
use crate::process_pool::parent::lane::{KillReason, Lane, Status, TaskKill};
use crate::process_pool::parent::outbound::Outbound;
use crate::process_pool::parent::results::Results;
use crate::process_pool::parent::task::EncodedTask;
use crate::process_pool::sys::{Event, Segment};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Starts that may fail in a row.
const FAILED_STARTS: u32 = 3;

/// The pause after the first start that failed, and after the second: what was short (descriptors, memory, processes) may
/// be there again.
pub(crate) const PAUSES: [Duration; FAILED_STARTS as usize - 1] =
    [Duration::from_millis(100), Duration::from_secs(1)];

/// How long a pool that has workers waits before it tries again to have more.
const RETRY_START_AFTER: Duration = Duration::from_secs(1);

/// What a worker's death leaves behind.
#[derive(Default)]
pub(crate) struct Reaped {
    /// Tasks that were running; each with why the worker was killed, if it was for that task's sake.
    pub(crate) lost: Vec<(EncodedTask, Option<TaskKill>)>,
    /// Tasks that were running and run again.
    pub(crate) again: Vec<Entry>,
    /// When those began that were running, if that was noted.
    pub(crate) begun: Vec<(FutureId, u64)>,
    /// Tasks that were recalled while the pool is cancelling.
    pub(crate) cancelled: Vec<EncodedTask>,
    pub(crate) wake: Vec<Wake>,
    /// Why the worker was killed, if it was.
    pub(crate) kill_reason: Option<KillReason>,
    /// It had been told to leave.
    pub(crate) was_closing: bool,
    /// The pool was built to break at such a death.
    pub(crate) breaks_pool: bool,
    /// So many workers have died before they did anything that the next ones will.
    pub(crate) too_many_failed_starts: bool,
}

impl Dispatcher {
    // ---- lanes --------------------------------------------------------------------------------------

    /// One lane more, vacant.
    pub(crate) fn add_lane(&mut self) -> usize {
        let at = self.lanes.len();
        self.lanes.push(Lane::default());
        self.vacant.insert(at);
        at
    }

    pub(super) fn set_status(&mut self, at: usize, status: Status) {
        self.change(at, |lane| lane.set_status(status));
        self.unwanted.remove(&at);
        if status == Status::Vacant {
            self.vacant.insert(at);
        } else {
            self.vacant.remove(&at);
        }
    }

    /// Lanes that have a driver, or are to have one.
    pub(super) fn lanes_in_use(&self) -> usize {
        self.lanes.len() - self.vacant.len()
    }

    /// Whether another worker may be started.
    fn may_add_worker(&self) -> bool {
        self.lanes_in_use() < self.max_workers
    }

    /// Whether every driver has ended.
    pub(crate) fn has_no_drivers(&self) -> bool {
        self.lanes_in_use() == 0
    }

    /// Whether none is left, and no future of those that were to have one is still to be failed.
    pub(crate) fn is_over(&self) -> bool {
        self.has_no_drivers() && !self.addressed.has_orphans()
    }

    /// Whether no other lane is in use.
    pub(crate) fn is_alone(&self, at: usize) -> bool {
        self.lanes_in_use() == usize::from(!self.vacant.contains(&at))
    }

    pub(crate) fn all_drivers(&self) -> Vec<Wake> {
        let drivers = self.lanes.iter().filter_map(|lane| lane.event().cloned().map(Wake::Driver));
        drivers.chain(self.spares.wake()).collect()
    }

    // ---- starts -------------------------------------------------------------------------------------

    /// Marks a lane as starting, if there may be another worker: a driver is to be started for it.
    pub(crate) fn start_worker(&mut self) -> Wake {
        let too_early = self.no_start_before.is_some_and(|time| Instant::now() < time);
        if !self.may_add_worker() || (too_early && self.lanes_in_use() > 0) {
            return Wake::None;
        }
        let at = self.vacant.first().copied().unwrap_or_else(|| self.add_lane());
        self.set_status(at, Status::Starting);
        self.lanes[at].await_driver();
        Wake::Start(at)
    }

    /// One more worker is to be up, if there may be one: a driver is to be started for it.
    pub(crate) fn warm_up_one(&mut self, warm_up: &Arc<WarmUp>) -> Wake {
        let wake = self.start_worker();
        if let Wake::Start(at) = wake {
            self.lanes[at].await_start(warm_up);
        }
        wake
    }

    /// So are those that are on their way.
    pub(crate) fn await_starts(&mut self, warm_up: &Arc<WarmUp>) {
        let starting = self.lanes.iter_mut().filter(|lane| lane.status() == Status::Starting);
        starting.for_each(|lane| lane.await_start(warm_up));
    }

    /// Who awaited workers that are up now, or given up: to be dropped without the lock.
    pub(crate) fn take_warmed(&mut self) -> Vec<Arc<WarmUp>> {
        std::mem::take(&mut self.warmed)
    }

    /// Those that are awaited will not be up.
    pub(super) fn fail_warm_ups(&self, error: &TaskError) {
        let warm_ups = self.lanes.iter().flat_map(Lane::warm_ups);
        warm_ups.for_each(|warm_up| warm_up.fail(error.clone()));
    }

    /// Whether a driver is still to be started for a lane; whoever asks must start it. So it is started once.
    pub(crate) fn claim_start(&mut self, at: usize) -> bool {
        self.lanes[at].claim_start()
    }

    /// When a start is to be tried again that failed while others worked: perhaps no submit ever asks for it.
    pub(super) fn retry_start_at(&self) -> Option<Instant> {
        self.no_start_before.filter(|_| !self.queue.is_empty() && self.may_add_worker())
    }

    /// The driver sleeps on this event from now on.
    pub(crate) fn set_event(&mut self, at: usize, event: Arc<Event>) {
        self.lanes[at].set_event(event);
    }

    /// Whether a driver is to start a worker.
    pub(crate) fn wants_worker(&self) -> bool {
        match self.state {
            PoolState::Open => true,
            PoolState::Draining => self.has_work_to_give() || self.addressed.waiting() > 0,
            PoolState::Cancelling | PoolState::Broken(_) => false,
        }
    }

    /// A process was started.
    pub(super) fn note_process(&mut self, at: usize, pid: u32) {
        self.lanes[at].note_process(pid);
    }

    /// Where the large results of the worker lie that is up there.
    pub(crate) fn set_results(&mut self, at: usize, results: Option<Arc<Results>>) {
        self.lanes[at].set_results(results);
    }

    /// From now on workers note when a task begins.
    pub(crate) fn note_beginnings(&mut self) {
        if !std::mem::replace(&mut self.notes_beginnings, true) {
            let segments = self.lanes.iter().filter_map(Lane::segment);
            segments.for_each(|segment| segment.task_clock.want());
        }
    }

    /// A worker is up.
    pub(crate) fn attach(&mut self, at: usize, segment: Arc<Segment>, outbound: Arc<Outbound>) {
        self.vacant.remove(&at);
        self.unwanted.remove(&at);
        if self.notes_beginnings {
            segment.task_clock.want();
        }
        self.change(at, |lane| lane.attach(segment, outbound));
        self.warmed.extend(self.lanes[at].take_warm_ups());
    }

    /// A worker could not be started. True if that was once too often, and the pool is to be broken: never while there is
    /// another worker, or one on its way that has not failed yet, because the cause may be this one's alone (a lack of
    /// descriptors, say).
    pub(crate) fn note_failed_start(&mut self, at: usize) -> bool {
        self.no_start_before = deadline_after(RETRY_START_AFTER);
        self.lanes[at].note_failed_start();
        let too_often = self.lanes[at].failed_starts() >= FAILED_STARTS;
        let gives_hope = |lane: &Lane| match lane.status() {
            Status::Up => true,
            Status::Starting => lane.failed_starts() == 0,
            Status::Vacant | Status::Closing => false,
        };
        let mut others = self.lanes.iter().enumerate().filter(|(other, _)| *other != at);
        too_often && !others.any(|(_, lane)| gives_hope(lane))
    }

    /// How long the next start here is to be put off.
    pub(crate) fn pause(&self, at: usize) -> Option<Duration> {
        let failed = self.lanes[at].failed_starts().checked_sub(1)?;
        PAUSES.get(failed as usize).or(PAUSES.last()).copied()
    }

    // ---- ends ---------------------------------------------------------------------------------------

    /// The worker is to end when it has done what it has.
    pub(crate) fn retire(&mut self, at: usize) {
        self.lanes[at].retire();
    }

    pub(super) fn close(&mut self, at: usize) -> Action {
        self.set_status(at, Status::Closing);
        Action::Close(self.pass_on())
    }

    /// A worker is gone: what it had not begun goes back, the rest is lost with it. The driver has taken every whole reply.
    /// `is_dead` is false of one that could not be ended and is given up: what it has begun may still run there, so that
    /// is not run again.
    pub(crate) fn reap(&mut self, at: usize, is_dead: bool) -> Reaped {
        let mut reaped = Reaped::default();
        // It may have died while its driver slept: then no wake-up is to be spent on this driver.
        self.leave_idle(at);
        let was_closing = self.lanes[at].status() == Status::Closing;
        reaped.was_closing = was_closing;
        reaped.wake = self.recall(at, &mut reaped.cancelled);
        let lane = &mut self.lanes[at];
        let never_worked = lane.was_given_work() && lane.results() == 0;
        reaped.kill_reason = lane.take_kill_reason();
        let killed_for = match reaped.kill_reason {
            Some(KillReason::ForTask(id, kill)) => Some((id, kill)),
            _ => None,
        };
        let cancelling = matches!(self.state, PoolState::Cancelling | PoolState::Broken(_));
        if self.notes_beginnings {
            reaped.begun = self.lanes[at].begun().collect();
        }
        let mut again = Vec::new();
        for mut task in self.change(at, Lane::take_unfinished) {
            let kill = killed_for.filter(|(id, _)| *id == task.id()).map(|(_, kill)| kill);
            if kill.is_none() && is_dead && !cancelling && task.try_again() {
                reaped.again.extend(self.notes_beginnings.then(|| task.entry.clone()));
                again.push(task);
            } else {
                reaped.lost.push((task, kill));
            }
        }
        self.change(at, Lane::detach);
        self.addressed.is_over(at);
        if !was_closing {
            self.totals.deaths += 1;
            reaped.breaks_pool = self.policy.breaks_on_death && !cancelling && killed_for.is_none();
            if never_worked && reaped.lost.is_empty() && again.is_empty() {
                // It had work, gave no result and ran nothing: what ended it will end the next one.
                reaped.too_many_failed_starts = self.note_failed_start(at);
            }
        }
        reaped.wake.extend(self.requeue(again));
        reaped.wake.push(self.pass_on());
        reaped
    }

    /// A driver has no worker: is it to start one, or to end? If it ends, its lane is vacant from here on. One whose start
    /// has just failed leaves it to the others, if there are any: with what it held they may do better.
    pub(crate) fn stays(&mut self, at: usize) -> bool {
        let failed = self.lanes[at].failed_starts();
        // What waits for its own worker waits for no other.
        let may_fail = if self.addressed.is_for(at) { FAILED_STARTS - 1 } else { 0 };
        let yields = failed > may_fail && !self.is_alone(at);
        let is_awaited = !self.lanes[at].warm_ups().is_empty();
        // One that has a call to make leaves after it.
        let is_surplus = self.lanes_in_use() > self.max_workers && !self.addressed.is_for(at);
        let is_wanted = self.wants_worker() && !yields && !is_surplus;
        let has_work = self.has_work_to_give() || self.addressed.is_for(at);
        // One that is on its way takes its place, also to leave it at once.
        let stays = self.spares.is_for(at) || ((has_work || is_awaited) && is_wanted);
        if stays {
            self.set_status(at, Status::Starting);
            self.lanes[at].forget_process();
        } else {
            self.vacate(at);
        }
        stays
    }

    /// A driver ends: its lane is free for whoever wants a worker.
    pub(crate) fn vacate(&mut self, at: usize) {
        self.set_status(at, Status::Vacant);
        self.lanes[at].forget_driver();
        self.addressed.orphan(at);
        self.warmed.extend(self.lanes[at].take_warm_ups());
    }

    /// A driver ends for want of a worker: another may take what is queued. Not a new one in its place.
    pub(crate) fn pass_on_unless_alone(&mut self) -> Wake {
        if self.lanes_in_use() > 0 && !self.idle.is_empty() { self.pass_on() } else { Wake::None }
    }

    /// A driver has panicked: its lane is settled as after a death, and free again. It may have been on its way to start or
    /// to wake others: that is made up for.
    pub(crate) fn abandon(&mut self, at: usize) -> (Option<u32>, Reaped) {
        let pid = self.lanes[at].pid();
        let mut reaped = self.reap(at, false);
        reaped.too_many_failed_starts = self.note_failed_start(at);
        self.vacate(at);
        let awaited = self.lanes.iter().enumerate().filter(|(_, lane)| lane.awaits_driver());
        reaped.wake.extend(awaited.map(|(at, _)| Wake::Start(at)));
        reaped.wake.extend(self.all_drivers());
        reaped.wake.push(self.pass_on());
        (pid, reaped)
    }
}
