//! Dispatch: which task goes to which worker, who is woken, what becomes of the tasks of a worker that dies.
//!
//! The *dispatcher* is the queue and every worker's lane under one mutex. It makes no system call, blocks on nothing and runs
//! nothing of the user's: each method is one of the critical sections of `PROTOCOL.md`, and gives back what is to be done
//! after the lock is released (events to signal, tasks to resolve). The worker on the other side of a segment never waits
//! for it.
//!
//! A task is in exactly one place at a time: the queue, one lane's table, or the hands of whoever took it out of there
//! to resolve it. It moves only in here, and its phase moves with it.

use super::lane::{KillReason, Lane, Status, TaskKill};
use super::message::ProtocolError;
use super::outbound::Outbound;
use super::sys::{Bell, Mapping, Signal};
use super::task::{BATCH_BYTES, EncodedTask};
use crate::clock::{self, deadline_after, is_over};
use crate::error::Broken;
use crate::id::FutureId;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Starts that may fail in a row.
const FAILED_STARTS: u32 = 3;

/// How long is waited after the first start that failed, and after the second: what was short (descriptors, memory,
/// processes) may be there again.
pub(super) const PAUSES: [Duration; FAILED_STARTS as usize - 1] =
    [Duration::from_millis(100), Duration::from_secs(1)];

/// How long a pool that has workers waits before it tries again to have more.
const RETRY_START_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Dispatcher {
    queue: VecDeque<EncodedTask>,
    /// Places in a bounded queue that are promised to tasks still being encoded.
    pub(super) reserved: usize,
    /// How many entries of the queue are cancelled. Counted after the fact, so for a moment it may be off, either way.
    dead: isize,
    /// How many workers there may be.
    max_workers: usize,
    /// A lane for each place that ever had a driver: what is looked through below is as long as there were workers at
    /// once, and not as there may be. A submit looks through none of it, unless workers that do nothing are awake.
    pub(super) lanes: Vec<Lane>,
    /// Those without a driver.
    vacant: BTreeSet<usize>,
    /// Drivers that sleep with nothing in flight and could take a task. The last one in is the warmest.
    idle: Vec<usize>,
    /// Workers that are up, have nothing in flight and whose drivers are not on that list.
    awake: usize,
    /// Lanes with more than one task in flight: only from these can any be taken over.
    with_stealable: usize,
    pub(super) state: PoolState,
    no_start_before: Option<Instant>,
    pub(super) totals: Totals,
    pub(super) policy: Policy,
}

/// What of a pool's options concerns dispatch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Policy {
    pub(super) max_tasks_per_child: Option<u32>,
    pub(super) keep_alive: Option<Duration>,
    pub(super) breaks_on_death: bool,
}

/// A pool's life goes one way, down this list; breaking is aside.
#[derive(Clone, Debug, Default)]
pub(super) enum PoolState {
    #[default]
    Open,
    /// No new tasks; what is queued still runs.
    Draining,
    /// No new tasks; what has not begun is cancelled.
    Cancelling,
    /// Nothing runs any more, and why.
    Broken(Broken),
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) cancelled: u64,
    pub(super) deaths: u64,
}

/// Who is to be told that there is work.
pub(super) enum Wake {
    Nobody,
    Ring(Arc<Bell>),
    /// A batch lies in this outbound: send it; what the socket doesn't take is the driver's.
    Flush(Arc<Outbound>, Arc<Bell>),
    /// This lane is vacant no more: a driver is to be started for it.
    Start(usize),
}

/// What a driver does next.
pub(super) enum Action {
    /// Somebody is to be killed, if it turns out to be so.
    HandleKills,
    /// A batch lies in the outbound.
    Send,
    /// The worker is to leave. Wake this one: it can take what the worker can't.
    Close(Wake),
    Sleep(Option<Instant>),
    /// The worker should be heard of soon: it has something to read and does nothing else.
    WatchProgress,
    /// The worker has gone mad.
    Kill(ProtocolError),
    /// Somebody else is to be started, whose last start failed.
    RetryStart(Wake),
}

/// What a worker's death leaves behind.
#[derive(Default)]
pub(super) struct Reaped {
    /// They were running; each with why the worker was killed, if it was for its sake.
    pub(super) lost: Vec<(EncodedTask, Option<TaskKill>)>,
    /// They were recalled, and the pool is cancelling.
    pub(super) cancelled: Vec<EncodedTask>,
    pub(super) wake: Vec<Wake>,
    /// The pool was built to break at such a death.
    pub(super) breaks_pool: bool,
    /// So many workers have died before they did anything that the next ones will.
    pub(super) too_many_failed_starts: bool,
}

impl Dispatcher {
    pub(super) fn new(max_workers: usize, policy: Policy) -> Self {
        Dispatcher {
            queue: VecDeque::new(),
            reserved: 0,
            dead: 0,
            max_workers,
            lanes: Vec::new(),
            vacant: BTreeSet::new(),
            idle: Vec::new(),
            awake: 0,
            with_stealable: 0,
            state: PoolState::Open,
            no_start_before: None,
            totals: Totals::default(),
            policy,
        }
    }

    // ---- lanes --------------------------------------------------------------------------------------

    /// One lane more, and nobody at it.
    pub(super) fn add_lane(&mut self) -> usize {
        let at = self.lanes.len();
        self.lanes.push(Lane::default());
        self.vacant.insert(at);
        at
    }

    /// Every change of a lane that concerns what is counted of all of them goes through this.
    fn change<R>(&mut self, at: usize, change: impl FnOnce(&mut Lane) -> R) -> R {
        let lane = &mut self.lanes[at];
        let (was_awake, had_stealable) = (lane.is_awake(), lane.may_have_stealable());
        let result = change(lane);
        let (is_awake, may_have_stealable) = (lane.is_awake(), lane.may_have_stealable());
        self.awake = self.awake + usize::from(is_awake) - usize::from(was_awake);
        self.with_stealable =
            self.with_stealable + usize::from(may_have_stealable) - usize::from(had_stealable);
        result
    }

    pub(super) fn set_status(&mut self, at: usize, status: Status) {
        self.change(at, |lane| lane.status = status);
        if status == Status::Vacant {
            self.vacant.insert(at);
        } else {
            self.vacant.remove(&at);
        }
    }

    /// Lanes that have a driver, or are to have one.
    fn lanes_in_use(&self) -> usize {
        self.lanes.len() - self.vacant.len()
    }

    /// Whether another worker may be started.
    fn may_add_worker(&self) -> bool {
        self.lanes_in_use() < self.max_workers
    }

    fn enter_idle(&mut self, at: usize) {
        if !self.lanes[at].is_idle {
            self.change(at, |lane| lane.is_idle = true);
            self.idle.push(at);
        }
    }

    fn pop_idle(&mut self) -> Option<usize> {
        let at = self.idle.pop()?;
        self.change(at, |lane| lane.is_idle = false);
        Some(at)
    }

    /// Looks through the list only for one that is on it, which is for a driver that was woken by nobody who took it off.
    fn leave_idle(&mut self, at: usize) {
        if self.lanes[at].is_idle {
            self.change(at, |lane| lane.is_idle = false);
            self.idle.retain(|idle| *idle != at);
        }
    }

    /// Tasks that wait for a worker.
    pub(super) fn queued(&self) -> usize {
        self.queue.len().saturating_sub(self.dead.max(0) as usize)
    }

    // ---- tasks in -----------------------------------------------------------------------------------

    /// Puts a task at the end of the queue; or gives it straight to a worker that has nothing to do.
    pub(super) fn submit(&mut self, task: EncodedTask) -> Wake {
        if self.queue.is_empty() && task.size() < BATCH_BYTES {
            while let Some(at) = self.pop_idle() {
                let lane = &self.lanes[at];
                // Whoever is on the list and can't take a task is being woken for another reason.
                if let Some(event) = lane.event.clone()
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
            return Wake::Nobody;
        }
        self.wake_one()
    }

    /// Whether workers that have nothing to do and whose drivers are awake suffice for all that waits, in the queue and
    /// behind a task at a lane: their drivers look before they sleep. Such a worker is used before another is started.
    fn awake_drivers_suffice(&self) -> bool {
        let queued = self.queue.len();
        // As many as there may be.
        if self.awake < queued {
            return false;
        }
        let lanes = self.lanes.iter().enumerate();
        let awake = lanes.filter(|(at, lane)| lane.is_awake() && self.allowance(*at) > 0).count();
        // Who was woken for what is behind a task may take this one in its place.
        awake >= queued
            && (self.with_stealable == 0
                || awake >= queued + self.lanes.iter().map(Lane::stealable).sum::<usize>())
    }

    /// A queued task was cancelled: its entry is dead. Swept when half of the queue is; what comes back is to be dropped
    /// without the lock.
    pub(super) fn note_cancelled(&mut self) -> Vec<EncodedTask> {
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
        if let Some(event) = self.pop_idle().and_then(|lane| self.lanes[lane].event.clone()) {
            return Wake::Ring(event);
        }
        self.start_worker()
    }

    fn start_worker(&mut self) -> Wake {
        let too_early = self.no_start_before.is_some_and(|time| Instant::now() < time);
        if !self.may_add_worker() || (too_early && self.lanes_in_use() > 0) {
            return Wake::Nobody;
        }
        let at = self.vacant.first().copied().unwrap_or_else(|| self.add_lane());
        self.set_status(at, Status::Starting);
        self.lanes[at].awaits_driver = true;
        Wake::Start(at)
    }

    /// Whether a driver is to be started for a lane, which whoever asks must then do: so it is started once, whoever comes
    /// first.
    pub(super) fn claim_start(&mut self, at: usize) -> bool {
        std::mem::take(&mut self.lanes[at].awaits_driver)
    }

    /// When a start is to be tried again that failed while others worked: nobody else may ever come to ask for it.
    fn retry_start_at(&self) -> Option<Instant> {
        self.no_start_before.filter(|_| !self.queue.is_empty() && self.may_add_worker())
    }

    // ---- tasks out ----------------------------------------------------------------------------------

    /// A driver's next step (`PROTOCOL.md`, D3). `drained`: it has no bytes left to send. Dead entries it came across go to
    /// `garbage`.
    pub(super) fn next(&mut self, at: usize, drained: bool, garbage: &mut Vec<EncodedTask>) -> Action {
        self.leave_idle(at);
        let lane = &self.lanes[at];
        let in_flight = lane.in_flight();
        if (!lane.kills.is_empty() && lane.kill_reason.is_none()) || lane.order.is_some() {
            return Action::HandleKills;
        }
        if lane.kill_reason.is_some() {
            return Action::Sleep(None);
        }
        if let Err(error) = lane.check_claims() {
            return Action::Kill(error);
        }
        let wait =
            if lane.should_progress() { Action::WatchProgress } else { Action::Sleep(self.retry_start_at()) };
        if let Action::Sleep(Some(time)) = wait
            && Instant::now() >= time
        {
            self.no_start_before = None;
            return Action::RetryStart(self.start_worker());
        }
        if !drained {
            return wait;
        }
        let is_used_up = self.policy.max_tasks_per_child.is_some_and(|most| lane.results >= u64::from(most));
        if (is_used_up || lane.is_retiring) && in_flight == 0 {
            return self.close(at);
        }
        let may_take = self.allowance(at);
        if may_take > 0 && self.ship(at, may_take, garbage) {
            return Action::Send;
        }
        let open = matches!(self.state, PoolState::Open | PoolState::Draining);
        if may_take > 0 && in_flight == 0 && open && self.steal(at, may_take) {
            return Action::Send;
        }
        if in_flight > 0 {
            return wait;
        }
        if !matches!(self.state, PoolState::Open) && self.queue.is_empty() {
            return self.close(at);
        }
        let lane = &mut self.lanes[at];
        let since = *lane.idle_since.get_or_insert_with(Instant::now);
        let until = self.policy.keep_alive.and_then(|timeout| clock::after(since, timeout));
        if is_over(until) {
            return self.close(at);
        }
        if may_take == 0 {
            // What it has not read yet was taken back: when it has read that it can have more.
            return wait;
        }
        self.enter_idle(at);
        Action::Sleep(until)
    }

    /// How many tasks this worker may be given now.
    fn allowance(&self, at: usize) -> usize {
        let lane = &self.lanes[at];
        if !lane.has_room() {
            return 0;
        }
        let Some(most) = self.policy.max_tasks_per_child else { return usize::MAX };
        let left = u64::from(most).saturating_sub(lane.results);
        usize::try_from(left).unwrap_or(usize::MAX).saturating_sub(lane.in_flight())
    }

    /// The next batch from the queue. So small a part of it that all workers have some, and each a second batch in its
    /// socket; so many at once that a batch costs little more than a task.
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
        self.send(at, batch)
    }

    fn send(&mut self, at: usize, batch: Vec<EncodedTask>) -> bool {
        let sends = !batch.is_empty();
        if sends {
            self.change(at, |lane| lane.ship(batch));
        }
        sends
    }

    /// Half of what waits at the fullest lane, for a worker that has nothing; so no task waits behind a long one. Never
    /// the only task of a worker that runs nothing: two thieves would take it from each other for ever.
    fn steal(&mut self, thief: usize, may_take: usize) -> bool {
        if self.with_stealable == 0 {
            return false;
        }
        let others = (0..self.lanes.len()).filter(|at| *at != thief && self.lanes[*at].stealable() > 0);
        let Some(victim) = others.max_by_key(|at| self.lanes[*at].waiting_tasks()) else { return false };
        let Some((number, count)) = self.lanes[victim].waiting().next() else { return false };
        let take = (count as usize).div_ceil(2).min(may_take) as u32;
        // Reckoned from the limit, which stands still while the dispatcher is held; what has begun moves on.
        let stolen = self.change(victim, |lane| lane.recall(number, lane.limit(number).saturating_sub(take)));
        self.send(thief, stolen)
    }

    /// Whether there is something for a worker that isn't there yet: in the queue, or behind a task at another lane.
    fn has_work_to_give(&self) -> bool {
        !self.queue.is_empty()
            || (self.with_stealable > 0 && self.lanes.iter().any(|lane| lane.stealable() > 0))
    }

    fn close(&mut self, at: usize) -> Action {
        self.set_status(at, Status::Closing);
        Action::Close(self.pass_on())
    }

    /// A driver that can't take what is queued wakes one that can (D7).
    pub(super) fn pass_on(&mut self) -> Wake {
        if self.queue.is_empty() { Wake::Nobody } else { self.wake_one() }
    }

    // ---- replies ------------------------------------------------------------------------------------

    /// The task that a reply belongs to.
    pub(super) fn collect(
        &mut self,
        at: usize,
        number: u32,
        index: u32,
    ) -> Result<EncodedTask, ProtocolError> {
        self.change(at, |lane| lane.collect(number, index))
    }

    /// For a thread that waits for a task: where to hear its reply, if nothing else is in flight there.
    pub(super) fn sole_in_flight(&self, id: FutureId) -> Option<(usize, Arc<Mapping>, Arc<Bell>)> {
        let is_its = |lane: &Lane| lane.in_flight() == 1 && lane.find(id).is_some();
        let at = self.lanes.iter().position(is_its)?;
        let lane = &self.lanes[at];
        Some((at, lane.segment()?.clone(), lane.event.clone()?))
    }

    /// For that thread: takes the task and its reply out of the ring, if it is the next one there, and says whether the
    /// driver can sleep on. `None` if the driver is to see to what there is.
    pub(super) fn hear(
        &mut self,
        at: usize,
        segment: &Arc<Mapping>,
        id: FutureId,
        reply: &mut Vec<u8>,
    ) -> Option<(EncodedTask, bool)> {
        let lane = &self.lanes[at];
        let is_there = lane.segment().is_some_and(|there| Arc::ptr_eq(there, segment));
        // Nonsense is the driver's to judge, who finds it there.
        let next = segment.ring.next().ok().flatten().filter(|_| is_there)?;
        if lane.find(id) != Some((next.batch, next.index)) {
            return None;
        }
        let task = self.collect(at, next.batch, next.index).ok()?;
        segment.ring.take(next, reply);
        Some((task, self.driver_can_sleep(at)))
    }

    /// Decides for a driver that sleeps: whether it has nothing to do but to wait for a task.
    fn driver_can_sleep(&mut self, at: usize) -> bool {
        let lane = &self.lanes[at];
        let can_sleep = lane.in_flight() == 0
            && lane.order.is_none()
            && matches!(self.state, PoolState::Open)
            // It would have gone to sleep for a time that the end of a task cuts short.
            && self.policy.keep_alive.is_none()
            && self.allowance(at) > 0
            && !self.has_work_to_give();
        if can_sleep {
            self.enter_idle(at);
        }
        can_sleep
    }

    // ---- cancel and kill ----------------------------------------------------------------------------

    /// Takes a shipped task back for good, if it has not begun. What lay behind it in its batch goes back to the queue.
    pub(super) fn take_back(&mut self, id: FutureId) -> (Option<EncodedTask>, Vec<Wake>) {
        let Some((at, number, index)) = self.find(id) else { return (None, Vec::new()) };
        // It may begin while we lower the limit: then it is not among these.
        let mut recalled = self.change(at, |lane| lane.recall(number, index));
        let found = recalled.first().is_some_and(|task| task.id() == id).then(|| recalled.remove(0));
        if let Some(task) = &found {
            task.cancel_dispatched();
            self.totals.cancelled += 1;
        }
        let mut wake = self.requeue(recalled);
        // Its lane may have come free: the driver finds out by looking.
        wake.extend(self.lanes[at].event.clone().map(Wake::Ring));
        (found, wake)
    }

    /// Whether a shipped task has begun. One that is in no table is being resolved.
    pub(super) fn has_begun(&self, id: FutureId) -> bool {
        self.find(id).is_none_or(|(at, number, index)| self.lanes[at].has_begun(number, index))
    }

    /// Asks for the end of the worker that runs this task; whom to wake, if one does.
    pub(super) fn kill(&mut self, id: FutureId, reason: TaskKill) -> Option<Wake> {
        let (at, number, index) = self.find(id)?;
        let lane = &mut self.lanes[at];
        if !lane.has_begun(number, index) {
            return None;
        }
        lane.kills.push((id, reason));
        Some(lane.event.clone().map_or(Wake::Nobody, Wake::Ring))
    }

    fn find(&self, id: FutureId) -> Option<(usize, u32, u32)> {
        let mut lanes = self.lanes.iter().enumerate();
        lanes.find_map(|(at, lane)| lane.find(id).map(|(number, index)| (at, number, index)))
    }

    /// Takes back all that this worker has not begun.
    pub(super) fn recall(&mut self, at: usize, cancelled: &mut Vec<EncodedTask>) -> Vec<Wake> {
        let recalled = self.change(at, Lane::recall_all);
        self.put_back(recalled, cancelled)
    }

    /// After a recall and a look at the socket: the reason to kill it, if somebody whose end was asked for still runs.
    pub(super) fn confirm_kill(&mut self, at: usize) -> Option<KillReason> {
        let lane = &mut self.lanes[at];
        let kills = std::mem::take(&mut lane.kills);
        let guilty = kills.into_iter().find(|(id, _)| lane.find(*id).is_some());
        if let Some((id, reason)) = guilty {
            lane.kill_reason.get_or_insert(KillReason::ForTask(id, reason));
        }
        lane.kill_reason.clone()
    }

    /// Running tasks whose time is limited, and how long each may take.
    pub(super) fn limited(&self, at: usize) -> Vec<(FutureId, Duration)> {
        let limited = self.lanes[at].running().filter(|task| task.is_limited);
        limited.filter_map(|task| Some((task.id(), task.time_limit()?))).collect()
    }

    // ---- life ---------------------------------------------------------------------------------------

    /// Whether a driver shall start a worker.
    pub(super) fn wants_worker(&self) -> bool {
        match self.state {
            PoolState::Open => true,
            PoolState::Draining => self.has_work_to_give(),
            PoolState::Cancelling | PoolState::Broken(_) => false,
        }
    }

    /// A worker is up.
    pub(super) fn attach(&mut self, at: usize, segment: Arc<Mapping>, outbound: Arc<Outbound>) {
        self.vacant.remove(&at);
        self.change(at, |lane| lane.attach(segment, outbound));
    }

    /// A worker is gone: what it had not begun goes back, the rest is lost with it. The driver has taken every
    /// whole reply out of the socket. `is_dead` is false of one that could not be ended and is given up: what it has begun
    /// may still run there, so that is not run again.
    pub(super) fn reap(&mut self, at: usize, is_dead: bool) -> Reaped {
        let mut reaped = Reaped::default();
        // It may have died in its sleep: nobody is to be woken there, in the place of another who could work.
        self.leave_idle(at);
        let was_closing = self.lanes[at].status == Status::Closing;
        reaped.wake = self.recall(at, &mut reaped.cancelled);
        let lane = &mut self.lanes[at];
        let never_worked = lane.was_given_work() && lane.results == 0;
        let kill_reason = lane.kill_reason.take();
        let killed_for = |task: &EncodedTask| match kill_reason {
            Some(KillReason::ForTask(id, reason)) if id == task.id() => Some(reason),
            _ => None,
        };
        let cancelling = matches!(self.state, PoolState::Cancelling | PoolState::Broken(_));
        let was_asked_for = matches!(kill_reason, Some(KillReason::ForTask(..)));
        let mut again = Vec::new();
        for mut task in self.change(at, Lane::give_up) {
            let reason = killed_for(&task);
            if reason.is_none() && is_dead && !cancelling && task.try_again() {
                again.push(task);
            } else {
                reaped.lost.push((task, reason));
            }
        }
        self.change(at, Lane::clear);
        if !was_closing {
            self.totals.deaths += 1;
            reaped.breaks_pool = self.policy.breaks_on_death && !cancelling && !was_asked_for;
            if never_worked && reaped.lost.is_empty() && again.is_empty() {
                // It had work, did none, and nobody is to blame: what killed it will kill the next one.
                reaped.too_many_failed_starts = self.note_failed_start(at);
            }
        }
        reaped.wake.extend(self.requeue(again));
        reaped.wake.push(self.pass_on());
        reaped
    }

    /// A worker didn't come up. True if that was once too often, and the pool is to be broken: never while there is another
    /// worker, or one on its way that has not failed yet, for what failed may be this one alone (for want of descriptors,
    /// say).
    pub(super) fn note_failed_start(&mut self, at: usize) -> bool {
        self.no_start_before = deadline_after(RETRY_START_AFTER);
        let lane = &mut self.lanes[at];
        lane.failed_starts = lane.failed_starts.saturating_add(1);
        let too_often = lane.failed_starts >= FAILED_STARTS;
        let gives_hope = |lane: &Lane| match lane.status {
            Status::Up => true,
            Status::Starting => lane.failed_starts == 0,
            Status::Vacant | Status::Closing => false,
        };
        let mut others = self.lanes.iter().enumerate().filter(|(other, _)| *other != at);
        too_often && !others.any(|(_, lane)| gives_hope(lane))
    }

    pub(super) fn is_alone(&self, at: usize) -> bool {
        self.lanes_in_use() == usize::from(!self.vacant.contains(&at))
    }

    /// A driver has no worker: shall it start one, or end? If it ends, its lane is vacant from here on. One that has
    /// just failed leaves it to the others, if there are any: with what it held they may do better.
    pub(super) fn stays(&mut self, at: usize) -> bool {
        let yields = self.lanes[at].failed_starts > 0 && !self.is_alone(at);
        let stays = self.has_work_to_give() && self.wants_worker() && !yields;
        if stays {
            self.set_status(at, Status::Starting);
            self.lanes[at].pid = None;
        } else {
            self.vacate(at);
        }
        stays
    }

    /// A driver ends: whoever wants a worker finds its lane free.
    pub(super) fn vacate(&mut self, at: usize) {
        self.set_status(at, Status::Vacant);
        let lane = &mut self.lanes[at];
        lane.pid = None;
        lane.event = None;
    }

    /// How long the next start here is to be put off.
    pub(super) fn pause(&self, at: usize) -> Option<Duration> {
        let failed = self.lanes[at].failed_starts.checked_sub(1)?;
        PAUSES.get(failed as usize).or(PAUSES.last()).copied()
    }

    /// A driver ends for want of a worker: another may take what is queued. Not a new one in its place.
    pub(super) fn pass_on_unless_alone(&mut self) -> Wake {
        if self.lanes_in_use() > 0 && !self.idle.is_empty() { self.pass_on() } else { Wake::Nobody }
    }

    /// Closes the pool; whom to wake.
    pub(super) fn drain(&mut self) -> Vec<Wake> {
        if matches!(self.state, PoolState::Open) {
            self.state = PoolState::Draining;
        }
        self.all_drivers()
    }

    /// Closes the pool and takes back all that has not begun: after this nothing begins.
    pub(super) fn cancel_all(&mut self, cancelled: &mut Vec<EncodedTask>) -> Vec<Wake> {
        if matches!(self.state, PoolState::Open | PoolState::Draining) {
            self.state = PoolState::Cancelling;
        }
        let queued = std::mem::take(&mut self.queue);
        self.dead = 0;
        cancelled.extend(queued.into_iter().filter(EncodedTask::begin_cancel));
        for at in 0..self.lanes.len() {
            self.recall(at, cancelled);
        }
        self.totals.cancelled += cancelled.len() as u64;
        self.all_drivers()
    }

    /// Nothing can run any more. What is queued or shipped and not begun comes back, to be failed; it is the caller's.
    pub(super) fn break_down(&mut self, why: Broken) -> (Vec<EncodedTask>, Vec<Wake>) {
        if !matches!(self.state, PoolState::Broken(_)) {
            self.state = PoolState::Broken(why);
        }
        let queued = std::mem::take(&mut self.queue);
        self.dead = 0;
        let mut lost: Vec<EncodedTask> = queued.into_iter().filter(EncodedTask::dispatch).collect();
        for at in 0..self.lanes.len() {
            lost.extend(self.change(at, Lane::recall_all));
        }
        (lost, self.all_drivers())
    }

    /// Has every worker sent a signal.
    pub(super) fn order(&mut self, signal: Signal) -> Vec<Wake> {
        for lane in &mut self.lanes {
            if lane.status == Status::Up || lane.status == Status::Closing {
                lane.order = Some(signal);
            }
        }
        self.all_drivers()
    }

    /// Whether every driver has ended.
    pub(super) fn has_no_drivers(&self) -> bool {
        self.lanes_in_use() == 0
    }

    pub(super) fn all_drivers(&self) -> Vec<Wake> {
        self.lanes.iter().filter_map(|lane| lane.event.clone().map(Wake::Ring)).collect()
    }

    /// Recalled tasks go back to the front of the queue, in order; or are cancelled, if the pool is cancelling.
    fn put_back(&mut self, recalled: Vec<EncodedTask>, cancelled: &mut Vec<EncodedTask>) -> Vec<Wake> {
        match self.state {
            PoolState::Open | PoolState::Draining => self.requeue(recalled),
            PoolState::Cancelling | PoolState::Broken(_) => {
                recalled.iter().for_each(EncodedTask::cancel_dispatched);
                cancelled.extend(recalled);
                Vec::new()
            }
        }
    }

    fn requeue(&mut self, tasks: Vec<EncodedTask>) -> Vec<Wake> {
        let count = tasks.len();
        for task in tasks.into_iter().rev() {
            task.recall();
            self.queue.push_front(task);
        }
        (0..count).map(|_| self.wake_one()).take_while(|wake| !matches!(wake, Wake::Nobody)).collect()
    }
}

#[cfg(test)]
mod tests;
