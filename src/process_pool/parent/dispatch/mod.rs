//! Dispatch: which task goes to which worker, which driver is woken, what becomes of the tasks of a worker that dies.
//!
//! The [`Dispatcher`] is the queue and every worker's lane under one mutex. It makes no system call, blocks on nothing and
//! calls no code of the user's: each method is one of the critical sections of `PROTOCOL.md`, and returns what is to be
//! done after the lock is released (drivers to wake, tasks to resolve). The worker on the other side of a segment never
//! waits for it.
//!
//! A task is in exactly one place at a time: the queue, one lane's table, or the hands of the thread that took it out of
//! there to resolve it. It moves only in here, and its phase moves with it.
//!
//! Here are tasks on their way in, out and back as replies; in [`recall`] tasks that are taken back, in [`workers`] workers
//! that come and go, in [`spares`] those that start ahead of time, in [`resize`] how many there may be, in [`addressed`] tasks for one worker each, in [`shutdown`] the pool's end.

mod addressed;
mod recall;
mod resize;
mod shutdown;
mod spares;
mod workers;

pub(crate) use shutdown::PoolState;
pub(crate) use workers::PAUSES;

use self::addressed::Addressed;
use self::spares::Spares;
use super::lane::{Lane, Position};
use super::outbound::Outbound;
use super::results::Results;
use super::task::EncodedTask;
use crate::clock::{self, is_over};
use crate::error::TaskError;
use crate::executor::WarmUp;
use crate::future::cell::Entry;
use crate::id::FutureId;
use crate::process_pool::sys::{Event, Segment};
use crate::process_pool::wire::batch::BATCH_BYTES;
use crate::process_pool::wire::message::ProtocolError;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct Dispatcher {
    queue: VecDeque<EncodedTask>,
    /// Places in a bounded queue that are promised to tasks still being encoded.
    reserved: usize,
    /// Tasks for one worker each.
    addressed: Addressed,
    spares: Spares,
    /// How many entries of the queue, and of those, are cancelled. Counted after the fact, so for a moment it may be off, either way.
    dead: isize,
    /// How many workers there may be.
    max_workers: usize,
    /// Lanes whose workers are starting, and not to come up: there may be fewer now.
    unwanted: BTreeSet<usize>,
    /// A lane for each place that ever had a driver: what is searched below is as long as there were workers at once, not
    /// as there may be. A submit searches none of it, unless workers that do nothing are awake.
    lanes: Vec<Lane>,
    /// Those without a driver.
    vacant: BTreeSet<usize>,
    /// Drivers that sleep with nothing in flight and could take a task. The last one in is the warmest.
    idle: Vec<usize>,
    /// Workers that are up, have nothing in flight and whose drivers are not on that list.
    awake: usize,
    /// Lanes with more than one task in flight: only from these can any be stolen.
    with_stealable: usize,
    state: PoolState,
    /// Who awaited workers that are up now, or given up.
    warmed: Vec<Arc<WarmUp>>,
    no_start_before: Option<Instant>,
    totals: Totals,
    /// Workers note when a task begins.
    notes_beginnings: bool,
    policy: Policy,
}

/// What of a pool's options concerns dispatch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) max_tasks_per_child: Option<u32>,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) breaks_on_death: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) cancelled: u64,
    pub(crate) deaths: u64,
}

/// Who is to be told that there is work.
pub(crate) enum Wake {
    None,
    /// The driver that sleeps on this event.
    Driver(Arc<Event>),
    /// A batch lies in this out-buffer: send it; what the socket doesn't take is the driver's.
    Flush(Arc<Outbound>, Arc<Event>),
    /// This lane is vacant no more: a driver is to be started for it.
    Start(usize),
}

/// What a driver does next.
pub(crate) enum Action {
    /// There are requests to kill, or a signal to send.
    HandleKills,
    /// A batch lies in the out-buffer.
    Send,
    /// The worker is to leave. Wake this one: it can take what the worker can't.
    Close(Wake),
    Sleep(Option<Instant>),
    /// Sleep, but not for long: the worker should do something soon.
    WatchProgress,
    /// The worker broke the protocol.
    Kill(ProtocolError),
    /// Somebody else is to be started, whose last start failed.
    RetryStart(Wake),
}

/// Where a thread that waits for a task takes the reply by itself.
pub(crate) struct DirectRoute {
    pub(crate) lane: usize,
    pub(crate) pid: Option<u32>,
    pub(crate) segment: Arc<Segment>,
    pub(crate) event: Arc<Event>,
    pub(crate) results: Option<Arc<Results>>,
}

/// What that thread took.
pub(crate) struct DirectReply {
    pub(crate) task: EncodedTask,
    pub(crate) position: Position,
    /// The driver has nothing to do and sleeps on; else it is to be woken.
    pub(crate) driver_sleeps: bool,
}

impl Dispatcher {
    pub(crate) fn new(max_workers: usize, policy: Policy) -> Self {
        Dispatcher {
            queue: VecDeque::new(),
            reserved: 0,
            addressed: Addressed::default(),
            spares: Spares::default(),
            dead: 0,
            max_workers,
            unwanted: BTreeSet::new(),
            lanes: Vec::new(),
            vacant: BTreeSet::new(),
            idle: Vec::new(),
            awake: 0,
            with_stealable: 0,
            state: PoolState::Open,
            warmed: Vec::new(),
            no_start_before: None,
            totals: Totals::default(),
            notes_beginnings: false,
            policy,
        }
    }

    /// For statistics.
    pub(crate) fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// For statistics.
    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Tasks that wait for a worker.
    pub(crate) fn queued(&self) -> usize {
        (self.queue.len() + self.addressed.waiting()).saturating_sub(self.dead.max(0) as usize)
    }

    // ---- the idle list ------------------------------------------------------------------------------

    /// Every change of a lane that concerns what is counted of all of them goes through this.
    fn change<R>(&mut self, at: usize, change: impl FnOnce(&mut Lane) -> R) -> R {
        let lane = &mut self.lanes[at];
        let (was_awake, had_stealable) = (lane.is_awake(), lane.may_have_stealable());
        let result = change(lane);
        let (is_awake, has_stealable) = (lane.is_awake(), lane.may_have_stealable());
        self.awake = self.awake + usize::from(is_awake) - usize::from(was_awake);
        self.with_stealable = self.with_stealable + usize::from(has_stealable) - usize::from(had_stealable);
        result
    }

    fn enter_idle(&mut self, at: usize) {
        if !self.lanes[at].is_idle() {
            self.change(at, |lane| lane.set_idle(true));
            self.idle.push(at);
        }
    }

    fn pop_idle(&mut self) -> Option<usize> {
        let at = self.idle.pop()?;
        self.change(at, |lane| lane.set_idle(false));
        Some(at)
    }

    /// Searches the list only for a driver that is on it: one that was woken by somebody who didn't take it off.
    fn leave_idle(&mut self, at: usize) {
        if self.lanes[at].is_idle() {
            self.change(at, |lane| lane.set_idle(false));
            self.idle.retain(|idle| *idle != at);
        }
    }

    // ---- tasks in -----------------------------------------------------------------------------------

    /// Those that any worker may run: only they take places in a bounded queue.
    fn queued_for_any(&self) -> usize {
        // Counted apart: what is dead among tasks for one worker each makes no room.
        let dead = self.dead.saturating_sub_unsigned(self.addressed.dead());
        self.queue.len().saturating_sub(dead.max(0) as usize)
    }

    /// Reserves a place in the queue for a task that is about to be encoded; false if `capacity` of them are taken.
    pub(crate) fn reserve(&mut self, capacity: Option<usize>) -> bool {
        let has_room = capacity.is_none_or(|capacity| self.queued_for_any() + self.reserved < capacity);
        self.reserved += usize::from(has_room);
        has_room
    }

    /// Gives a reserved place back: the task could not be encoded.
    pub(crate) fn release(&mut self) {
        self.reserved -= 1;
    }

    /// Takes a task into the place that was reserved for it; or gives it back, with the reason, if the pool is closed by
    /// now. Without a reason if it was cancelled meanwhile.
    pub(crate) fn enter(&mut self, task: EncodedTask) -> Result<Wake, (EncodedTask, Option<TaskError>)> {
        self.release();
        match self.refusal() {
            None if task.entry.header().word.mark_entered() => Ok(self.submit(task)),
            refusal => Err((task, refusal)),
        }
    }

    /// Puts a task at the end of the queue; or gives it straight to a worker that has nothing to do.
    pub(crate) fn submit(&mut self, task: EncodedTask) -> Wake {
        if self.queue.is_empty() && task.size() < BATCH_BYTES {
            while let Some(at) = self.pop_idle() {
                let lane = &self.lanes[at];
                // A driver on the list whose worker can't take a task is being woken for another reason.
                if let Some(event) = lane.event().cloned()
                    && lane.in_flight() == 0
                    && self.allowance(at) > 0
                {
                    if !task.dispatch() {
                        // Cancelled a moment ago: an entry like any other dead one.
                        self.enter_idle(at);
                        break;
                    }
                    return Wake::Flush(self.change(at, |lane| lane.ship(vec![task])), event);
                }
            }
        }
        self.queue.push_back(task);
        if self.idle.is_empty() && self.awake_drivers_suffice() {
            return Wake::None;
        }
        self.wake_one()
    }

    /// Whether workers that have nothing to do and whose drivers are awake suffice for all that waits, in the queue and
    /// behind a task in a lane: their drivers look before they sleep. Such a worker is used before another is started.
    fn awake_drivers_suffice(&self) -> bool {
        let queued = self.queue.len();
        // As many as there may be.
        if self.awake < queued {
            return false;
        }
        let lanes = self.lanes.iter().enumerate();
        let awake = lanes.filter(|(at, lane)| lane.is_awake() && self.allowance(*at) > 0).count();
        // A driver that was woken to steal may take this task instead.
        awake >= queued
            && (self.with_stealable == 0
                || awake >= queued + self.lanes.iter().map(Lane::stealable).sum::<usize>())
    }

    /// A queued task was cancelled: its entry is dead. They are swept out when half of the queue is dead; those that come
    /// back are to be dropped without the lock.
    pub(crate) fn note_cancelled(&mut self) -> Vec<EncodedTask> {
        const SWEEP_AT_LEAST: isize = 64;
        self.dead += 1;
        self.totals.cancelled += 1;
        if self.dead < SWEEP_AT_LEAST || (self.dead as usize) < self.queue.len() / 2 {
            return Vec::new();
        }
        let mut dead = Vec::new();
        for task in std::mem::take(&mut self.queue) {
            if task.is_queued() {
                self.queue.push_back(task);
            } else {
                dead.push(task);
            }
        }
        self.dead -= dead.len() as isize;
        dead
    }

    fn wake_one(&mut self) -> Wake {
        if let Some(event) = self.pop_idle().and_then(|at| self.lanes[at].event().cloned()) {
            return Wake::Driver(event);
        }
        match self.start_worker() {
            Wake::None => self.wake_for_spare(),
            start => start,
        }
    }

    /// A driver that can't take what is queued wakes one that can (D7).
    pub(crate) fn pass_on(&mut self) -> Wake {
        if self.queue.is_empty() { Wake::None } else { self.wake_one() }
    }

    // ---- tasks out ----------------------------------------------------------------------------------

    /// A driver's next action: the first that applies (`PROTOCOL.md`, D3, in the same order). `is_drained`: it has no
    /// bytes left to send. Dead entries it came across go to `garbage`.
    pub(crate) fn next_action(
        &mut self,
        at: usize,
        is_drained: bool,
        garbage: &mut Vec<EncodedTask>,
    ) -> Action {
        self.leave_idle(at);
        // The gate: what comes before any work.
        let lane = &self.lanes[at];
        let in_flight = lane.in_flight();
        if lane.has_kills() {
            return Action::HandleKills;
        }
        if lane.kill_reason().is_some() {
            return Action::Sleep(None);
        }
        if let Err(error) = lane.check_claims() {
            return Action::Kill(error);
        }
        let wait = match lane.should_progress() {
            true => Action::WatchProgress,
            false => Action::Sleep(self.retry_start_at()),
        };
        if let Action::Sleep(Some(time)) = wait
            && Instant::now() >= time
        {
            self.no_start_before = None;
            return Action::RetryStart(self.start_worker());
        }
        if !is_drained {
            return wait;
        }
        // The choice: what the worker gets.
        let lane = &self.lanes[at];
        let is_used_up =
            self.policy.max_tasks_per_child.is_some_and(|most| lane.results() >= u64::from(most));
        let leaves = is_used_up || lane.is_retiring();
        if self.addressed.is_for(at) && in_flight == 0 && !leaves && self.ship_addressed(at, garbage) {
            return Action::Send;
        }
        let waits_for_own = self.addressed.is_for(at);
        if in_flight == 0 && (leaves || (self.has_surplus() && !waits_for_own)) {
            return self.close(at);
        }
        let may_take = self.allowance(at);
        if may_take > 0 && self.ship(at, may_take, garbage) {
            return Action::Send;
        }
        let may_steal = matches!(self.state, PoolState::Open | PoolState::Draining);
        if may_take > 0 && in_flight == 0 && may_steal && self.steal(at, may_take) {
            return Action::Send;
        }
        if in_flight > 0 {
            return wait;
        }
        if !matches!(self.state, PoolState::Open) && self.queue.is_empty() && !waits_for_own {
            return self.close(at);
        }
        let since = self.lanes[at].rests_since();
        let until = self.policy.keep_alive.and_then(|timeout| clock::after(since, timeout));
        if is_over(until) && !waits_for_own {
            return self.close(at);
        }
        if may_take == 0 {
            // What it has not read yet was taken back: it may take more when it has read that.
            return wait;
        }
        self.enter_idle(at);
        Action::Sleep(until)
    }

    /// How many tasks this worker may be given now.
    fn allowance(&self, at: usize) -> usize {
        let lane = &self.lanes[at];
        if !lane.has_room() || self.has_surplus() || self.addressed.keeps(at) {
            return 0;
        }
        let Some(most) = self.policy.max_tasks_per_child else { return usize::MAX };
        let left = u64::from(most).saturating_sub(lane.results());
        usize::try_from(left).unwrap_or(usize::MAX).saturating_sub(lane.in_flight())
    }

    /// The next batch from the queue. So small a part of it that all workers have some, and each a second batch in its
    /// socket; so many tasks at once that a batch costs little more than a task.
    fn ship(&mut self, at: usize, may_take: usize, garbage: &mut Vec<EncodedTask>) -> bool {
        let share = self.queued() / self.max_workers.saturating_mul(2);
        let most = share.clamp(1, may_take);
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < most
            && let Some(first) = self.queue.front()
        {
            if !batch.is_empty() && bytes + first.size() > BATCH_BYTES {
                break;
            }
            let Some(task) = self.queue.pop_front() else { break };
            if task.dispatch() {
                bytes += task.size();
                batch.push(task);
            } else {
                self.dead -= 1;
                garbage.push(task);
            }
        }
        self.ship_batch(at, batch)
    }

    fn ship_batch(&mut self, at: usize, batch: Vec<EncodedTask>) -> bool {
        let ships = !batch.is_empty();
        if ships {
            self.change(at, |lane| lane.ship(batch));
        }
        ships
    }

    /// Half of what waits in the fullest lane, for a worker that has nothing; so no task waits behind a long one. Never
    /// the only task of a worker that runs nothing: two thieves would take it from each other for ever.
    fn steal(&mut self, thief: usize, may_take: usize) -> bool {
        if self.with_stealable == 0 {
            return false;
        }
        let others = (0..self.lanes.len()).filter(|at| *at != thief && self.lanes[*at].stealable() > 0);
        let Some(victim) = others.max_by_key(|at| self.lanes[*at].waiting_tasks()) else { return false };
        let Some((number, count)) = self.lanes[victim].waiting().next() else { return false };
        let take = (count as usize).div_ceil(2).min(may_take) as u32;
        // Computed from the limit, which stands still under the lock; what has begun moves on.
        let stolen = self.change(victim, |lane| lane.recall(number, lane.limit(number).saturating_sub(take)));
        self.ship_batch(thief, stolen)
    }

    /// Whether there is something for a worker that isn't there yet: in the queue, or behind a task in another lane.
    fn has_work_to_give(&self) -> bool {
        !self.queue.is_empty()
            || (self.with_stealable > 0 && self.lanes.iter().any(|lane| lane.stealable() > 0))
    }

    // ---- replies ------------------------------------------------------------------------------------

    /// The task that a reply belongs to.
    pub(crate) fn collect(&mut self, at: usize, position: Position) -> Result<EncodedTask, ProtocolError> {
        let task = self.change(at, |lane| lane.collect(position))?;
        self.addressed.is_over(at);
        Ok(task)
    }

    /// The task there, if somebody is told what it reports.
    pub(crate) fn reporting(&self, at: usize, position: Position) -> Option<Entry> {
        let task = self.lanes.get(at)?.task_at(position)?;
        task.reports.then(|| Entry::clone(&task.entry))
    }

    /// Whether the worker has more tasks to begin than that, so it won't run dry while it runs so many.
    pub(crate) fn has_more_waiting_than(&self, at: usize, tasks: usize) -> bool {
        self.lanes[at].waiting_tasks() > tasks
    }

    /// Whether a result ever came from this lane's worker.
    pub(crate) fn has_results(&self, at: usize) -> bool {
        self.lanes[at].results() > 0
    }

    /// For a thread that waits for a task: where to take its reply, if nothing else is in flight there.
    pub(crate) fn direct_route(&self, id: FutureId) -> Option<DirectRoute> {
        let is_its = |lane: &Lane| lane.in_flight() == 1 && lane.find(id).is_some();
        let at = self.lanes.iter().position(is_its)?;
        let lane = &self.lanes[at];
        // What a task has reported comes before its end, and the driver sees to that.
        if lane.task_at(lane.find(id)?)?.reports {
            return None;
        }
        let (segment, event) = (lane.segment()?.clone(), lane.event()?.clone());
        Some(DirectRoute {
            lane: at,
            pid: lane.pid(),
            segment,
            event,
            results: lane.memory_for_results().cloned(),
        })
    }

    /// For that thread: takes the task, and its reply out of the ring, if it is the next one there. `None` if the driver is
    /// to see to what there is.
    pub(crate) fn take_direct(
        &mut self,
        at: usize,
        segment: &Arc<Segment>,
        id: FutureId,
        reply: &mut Vec<u8>,
    ) -> Option<DirectReply> {
        let lane = &self.lanes[at];
        let is_there = lane.segment().is_some_and(|there| Arc::ptr_eq(there, segment));
        // An invalid value is left to the driver, which finds it there.
        let next = segment.ring.next().ok().flatten().filter(|_| is_there)?;
        let position = Position { batch: next.batch, index: next.index };
        if lane.find(id) != Some(position) {
            return None;
        }
        let task = self.collect(at, position).ok()?;
        segment.ring.take(next, reply);
        Some(DirectReply { task, position, driver_sleeps: self.decide_for_driver(at) })
    }

    /// Decides for a driver that sleeps, as D3 would: whether it has nothing to do but to wait for a task.
    fn decide_for_driver(&mut self, at: usize) -> bool {
        let lane = &self.lanes[at];
        let sleeps = lane.in_flight() == 0
            && !lane.has_signal()
            && matches!(self.state, PoolState::Open)
            // Else it would sleep for a limited time, which the end of a task cuts short.
            && self.policy.keep_alive.is_none()
            && self.allowance(at) > 0
            && !self.has_work_to_give();
        if sleeps {
            self.enter_idle(at);
        }
        sleeps
    }
}

#[cfg(test)]
mod tests;
