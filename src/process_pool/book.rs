//! Dispatch: which task goes to which worker, who is woken, what becomes of the tasks of a worker that dies.
//!
//! The *book* is the queue and every worker's desk under one mutex. It makes no system call, blocks on nothing and runs
//! nothing of the user's: each method is one of the critical sections of `PAGE.md`, and gives back what is to be done
//! after the lock is released (bells to ring, records to resolve). The worker on the other side of a page never waits
//! for it.
//!
//! A task is in exactly one place at a time: the queue, one desk's table, or the hands of whoever took it out of there
//! to resolve it. It moves only in here, and its phase moves with it.

use super::desk::{Desk, Reason, Sentence, Status};
use super::door::Door;
use super::message::Garbled;
use super::record::{BATCH_BYTES, Record};
use super::sys::{Bell, Mapping, Signal};
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
const START_AGAIN_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Book {
    queue: VecDeque<Record>,
    /// Places in a bounded queue that are promised to tasks still being encoded.
    pub(super) reserved: usize,
    /// How many entries of the queue are cancelled. Counted after the fact, so for a moment it may be off, either way.
    dead: isize,
    /// How many workers there may be.
    max_workers: usize,
    /// A desk for each place that ever had a driver: what is looked through below is as long as there were workers at
    /// once, and not as there may be. A submit looks through none of it, unless workers that do nothing are awake.
    pub(super) desks: Vec<Desk>,
    /// Those without a driver.
    vacant: BTreeSet<usize>,
    /// Drivers that sleep with nothing in flight and could take a task. The last one in is the warmest.
    idle: Vec<usize>,
    /// Workers that are up, have nothing in flight and whose drivers are not on that list.
    awake: usize,
    /// Desks with more than one task in flight: only from these can any be taken over.
    laden: usize,
    pub(super) life: Life,
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
pub(super) enum Life {
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
    /// A batch lies in this door: send it; what the socket doesn't take is the driver's.
    Flush(Arc<Door>, Arc<Bell>),
    /// This desk is vacant no more: a driver is to be started for it.
    Start(usize),
}

/// What a driver does next.
pub(super) enum Step {
    /// Somebody is to be killed, if it turns out to be so.
    Judge,
    /// A batch lies in the door.
    Send,
    /// The worker is to leave. Wake this one: it can take what the worker can't.
    Close(Wake),
    Sleep(Option<Instant>),
    /// The worker should be heard of soon: it has something to read and does nothing else.
    Listen,
    /// The worker has gone mad.
    Condemn(Garbled),
    /// Somebody else is to be started, whose last start failed.
    StartAgain(Wake),
}

/// What a worker's death leaves behind.
#[derive(Default)]
pub(super) struct Remains {
    /// They were running; each with why the worker was killed, if it was for its sake.
    pub(super) blamed: Vec<(Record, Option<Reason>)>,
    /// They were recalled, and the pool is cancelling.
    pub(super) cancelled: Vec<Record>,
    pub(super) wake: Vec<Wake>,
    /// The pool was built to break at such a death.
    pub(super) breaks_pool: bool,
    /// So many workers have died before they did anything that the next ones will.
    pub(super) is_hopeless: bool,
}

impl Book {
    pub(super) fn new(max_workers: usize, policy: Policy) -> Self {
        Book {
            queue: VecDeque::new(),
            reserved: 0,
            dead: 0,
            max_workers,
            desks: Vec::new(),
            vacant: BTreeSet::new(),
            idle: Vec::new(),
            awake: 0,
            laden: 0,
            life: Life::Open,
            no_start_before: None,
            totals: Totals::default(),
            policy,
        }
    }

    // ---- desks --------------------------------------------------------------------------------------

    /// One desk more, and nobody at it.
    pub(super) fn add_desk(&mut self) -> usize {
        let at = self.desks.len();
        self.desks.push(Desk::default());
        self.vacant.insert(at);
        at
    }

    /// Every change of a desk that concerns what is counted of all of them goes through this.
    fn change<R>(&mut self, at: usize, change: impl FnOnce(&mut Desk) -> R) -> R {
        let desk = &mut self.desks[at];
        let (was_awake, was_laden) = (desk.is_awake(), desk.is_laden());
        let result = change(desk);
        let (is_awake, is_laden) = (desk.is_awake(), desk.is_laden());
        self.awake = self.awake + usize::from(is_awake) - usize::from(was_awake);
        self.laden = self.laden + usize::from(is_laden) - usize::from(was_laden);
        result
    }

    pub(super) fn set_status(&mut self, at: usize, status: Status) {
        self.change(at, |desk| desk.status = status);
        if status == Status::Vacant {
            self.vacant.insert(at);
        } else {
            self.vacant.remove(&at);
        }
    }

    /// Desks that have a driver, or are to have one.
    fn manned(&self) -> usize {
        self.desks.len() - self.vacant.len()
    }

    /// Whether another worker may be started.
    fn has_place(&self) -> bool {
        self.manned() < self.max_workers
    }

    fn fall_idle(&mut self, at: usize) {
        if !self.desks[at].is_idle {
            self.change(at, |desk| desk.is_idle = true);
            self.idle.push(at);
        }
    }

    fn pop_idle(&mut self) -> Option<usize> {
        let at = self.idle.pop()?;
        self.change(at, |desk| desk.is_idle = false);
        Some(at)
    }

    /// Looks through the list only for one that is on it, which is for a driver that was woken by nobody who took it off.
    fn leave_idle(&mut self, at: usize) {
        if self.desks[at].is_idle {
            self.change(at, |desk| desk.is_idle = false);
            self.idle.retain(|idle| *idle != at);
        }
    }

    /// Tasks that wait for a worker.
    pub(super) fn queued(&self) -> usize {
        self.queue.len().saturating_sub(self.dead.max(0) as usize)
    }

    // ---- tasks in -----------------------------------------------------------------------------------

    /// Puts a task at the end of the queue; or gives it straight to a worker that has nothing to do.
    pub(super) fn submit(&mut self, record: Record) -> Wake {
        if self.queue.is_empty() && record.size() < BATCH_BYTES {
            while let Some(at) = self.pop_idle() {
                let desk = &self.desks[at];
                // Whoever is on the list and can't take a task is being woken for another reason.
                if let Some(bell) = desk.bell.clone()
                    && desk.in_flight() == 0
                    && self.allowance(at) > 0
                {
                    if !record.dispatch() {
                        // Cancelled a moment ago: an entry like any other dead one.
                        self.fall_idle(at);
                        break;
                    }
                    return Wake::Flush(self.change(at, |desk| desk.take_on(vec![record])), bell);
                }
            }
        }
        self.queue.push_back(record);
        if self.idle.is_empty() && self.is_looked_after() {
            return Wake::Nobody;
        }
        self.wake_one()
    }

    /// Whether workers that have nothing to do and whose drivers are awake suffice for all that waits, in the queue and
    /// behind a task at a desk: their drivers look before they sleep. Such a worker is used before another is started.
    fn is_looked_after(&self) -> bool {
        let queued = self.queue.len();
        // As many as there may be.
        if self.awake < queued {
            return false;
        }
        let desks = self.desks.iter().enumerate();
        let awake = desks.filter(|(at, desk)| desk.is_awake() && self.allowance(*at) > 0).count();
        // Who was woken for what is behind a task may take this one in its place.
        awake >= queued
            && (self.laden == 0 || awake >= queued + self.desks.iter().map(Desk::to_spare).sum::<usize>())
    }

    /// A queued task was cancelled: its entry is dead. Swept when half of the queue is; what comes back is to be dropped
    /// without the lock.
    pub(super) fn note_cancelled(&mut self) -> Vec<Record> {
        const SWEEP_AT_LEAST: isize = 64;
        self.dead += 1;
        self.totals.cancelled += 1;
        if self.dead < SWEEP_AT_LEAST || (self.dead as usize) < self.queue.len() / 2 {
            return Vec::new();
        }
        let mut dead = Vec::new();
        for record in std::mem::take(&mut self.queue) {
            if record.is_queued() {
                self.queue.push_back(record);
            } else {
                dead.push(record);
            }
        }
        self.dead -= dead.len() as isize;
        dead
    }

    fn wake_one(&mut self) -> Wake {
        if let Some(bell) = self.pop_idle().and_then(|desk| self.desks[desk].bell.clone()) {
            return Wake::Ring(bell);
        }
        self.start_one()
    }

    fn start_one(&mut self) -> Wake {
        let too_early = self.no_start_before.is_some_and(|time| Instant::now() < time);
        if !self.has_place() || (too_early && self.manned() > 0) {
            return Wake::Nobody;
        }
        let at = self.vacant.first().copied().unwrap_or_else(|| self.add_desk());
        self.set_status(at, Status::Starting);
        self.desks[at].awaits_driver = true;
        Wake::Start(at)
    }

    /// Whether a driver is to be started for a desk, which whoever asks must then do: so it is started once, whoever comes
    /// first.
    pub(super) fn claim_start(&mut self, at: usize) -> bool {
        std::mem::take(&mut self.desks[at].awaits_driver)
    }

    /// When a start is to be tried again that failed while others worked: nobody else may ever come to ask for it.
    fn start_again_at(&self) -> Option<Instant> {
        self.no_start_before.filter(|_| !self.queue.is_empty() && self.has_place())
    }

    // ---- tasks out ----------------------------------------------------------------------------------

    /// A driver's next step (`PAGE.md`, D3). `drained`: it has no bytes left to send. Dead entries it came across go to
    /// `garbage`.
    pub(super) fn next(&mut self, at: usize, drained: bool, garbage: &mut Vec<Record>) -> Step {
        self.leave_idle(at);
        let desk = &self.desks[at];
        let in_flight = desk.in_flight();
        if (!desk.kills.is_empty() && desk.condemned.is_none()) || desk.order.is_some() {
            return Step::Judge;
        }
        if desk.condemned.is_some() {
            return Step::Sleep(None);
        }
        if let Err(garbled) = desk.check_page() {
            return Step::Condemn(garbled);
        }
        let wait = if desk.owes_a_sign() { Step::Listen } else { Step::Sleep(self.start_again_at()) };
        if let Step::Sleep(Some(time)) = wait
            && Instant::now() >= time
        {
            self.no_start_before = None;
            return Step::StartAgain(self.start_one());
        }
        if !drained {
            return wait;
        }
        let worn = self.policy.max_tasks_per_child.is_some_and(|most| desk.results >= u64::from(most));
        if (worn || desk.is_retiring) && in_flight == 0 {
            return self.close(at);
        }
        let may_take = self.allowance(at);
        if may_take > 0 && self.ship(at, may_take, garbage) {
            return Step::Send;
        }
        let open = matches!(self.life, Life::Open | Life::Draining);
        if may_take > 0 && in_flight == 0 && open && self.steal(at, may_take) {
            return Step::Send;
        }
        if in_flight > 0 {
            return wait;
        }
        if !matches!(self.life, Life::Open) && self.queue.is_empty() {
            return self.close(at);
        }
        let desk = &mut self.desks[at];
        let since = *desk.idle_since.get_or_insert_with(Instant::now);
        let until = self.policy.keep_alive.and_then(|timeout| clock::after(since, timeout));
        if is_over(until) {
            return self.close(at);
        }
        if may_take == 0 {
            // What it has not read yet was taken back: when it has read that it can have more.
            return wait;
        }
        self.fall_idle(at);
        Step::Sleep(until)
    }

    /// How many tasks this worker may be given now.
    fn allowance(&self, at: usize) -> usize {
        let desk = &self.desks[at];
        if !desk.has_room() {
            return 0;
        }
        let Some(most) = self.policy.max_tasks_per_child else { return usize::MAX };
        let left = u64::from(most).saturating_sub(desk.results);
        usize::try_from(left).unwrap_or(usize::MAX).saturating_sub(desk.in_flight())
    }

    /// The next batch from the queue. So small a part of it that all workers have some, and each a second batch at its
    /// door; so many at once that a batch costs little more than a task.
    fn ship(&mut self, at: usize, may_take: usize, garbage: &mut Vec<Record>) -> bool {
        let share = self.queued() / self.max_workers.saturating_mul(2);
        let most = share.clamp(1, may_take);
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < most
            && let Some(first) = self.queue.front()
        {
            if !batch.is_empty() && bytes + first.size() > BATCH_BYTES {
                break;
            }
            let Some(record) = self.queue.pop_front() else { break };
            if record.dispatch() {
                bytes += record.size();
                batch.push(record);
            } else {
                self.dead -= 1;
                garbage.push(record);
            }
        }
        self.send(at, batch)
    }

    fn send(&mut self, at: usize, batch: Vec<Record>) -> bool {
        let sends = !batch.is_empty();
        if sends {
            self.change(at, |desk| desk.take_on(batch));
        }
        sends
    }

    /// Half of what waits at the fullest desk, for a worker that has nothing; so no task waits behind a long one. Never
    /// the only task of a worker that runs nothing: two thieves would take it from each other for ever.
    fn steal(&mut self, thief: usize, may_take: usize) -> bool {
        if self.laden == 0 {
            return false;
        }
        let others = (0..self.desks.len()).filter(|at| *at != thief && self.desks[*at].to_spare() > 0);
        let Some(victim) = others.max_by_key(|at| self.desks[*at].all_waiting()) else { return false };
        let Some((number, count)) = self.desks[victim].waiting().next() else { return false };
        let take = (count as usize).div_ceil(2).min(may_take) as u32;
        // Reckoned from the limit, which stands still while the book is held; what has begun moves on.
        let loot = self.change(victim, |desk| desk.recall(number, desk.limit(number).saturating_sub(take)));
        self.send(thief, loot)
    }

    /// Whether there is something for a worker that isn't there yet: in the queue, or behind a task at another desk.
    fn has_work_to_give(&self) -> bool {
        !self.queue.is_empty() || (self.laden > 0 && self.desks.iter().any(|desk| desk.to_spare() > 0))
    }

    fn close(&mut self, at: usize) -> Step {
        self.set_status(at, Status::Closing);
        Step::Close(self.pass_on())
    }

    /// A driver that can't take what is queued wakes one that can (D7).
    pub(super) fn pass_on(&mut self) -> Wake {
        if self.queue.is_empty() { Wake::Nobody } else { self.wake_one() }
    }

    // ---- replies ------------------------------------------------------------------------------------

    /// The task that a reply belongs to.
    pub(super) fn collect(&mut self, at: usize, number: u32, index: u32) -> Result<Record, Garbled> {
        self.change(at, |desk| desk.collect(number, index))
    }

    /// For a thread that waits for a task: where to hear its reply, if nothing else is in flight there.
    pub(super) fn lonely(&self, id: FutureId) -> Option<(usize, Arc<Mapping>, Arc<Bell>)> {
        let is_its = |desk: &Desk| desk.in_flight() == 1 && desk.find(id).is_some();
        let at = self.desks.iter().position(is_its)?;
        let desk = &self.desks[at];
        Some((at, desk.page()?.clone(), desk.bell.clone()?))
    }

    /// For that thread: takes the task and its reply out of the ring, if it is the next one there, and says whether the
    /// driver can sleep on. `None` if the driver is to see to what there is.
    pub(super) fn hear(
        &mut self,
        at: usize,
        page: &Arc<Mapping>,
        id: FutureId,
        reply: &mut Vec<u8>,
    ) -> Option<(Record, bool)> {
        let desk = &self.desks[at];
        let is_there = desk.page().is_some_and(|there| Arc::ptr_eq(there, page));
        // Nonsense is the driver's to judge, who finds it there.
        let next = page.ring.next().ok().flatten().filter(|_| is_there)?;
        if desk.find(id) != Some((next.batch, next.index)) {
            return None;
        }
        let record = self.collect(at, next.batch, next.index).ok()?;
        page.ring.take(next, reply);
        Some((record, self.lets_sleep(at)))
    }

    /// Decides for a driver that sleeps: whether it has nothing to do but to wait for a task.
    fn lets_sleep(&mut self, at: usize) -> bool {
        let desk = &self.desks[at];
        let is_calm = desk.in_flight() == 0
            && desk.order.is_none()
            && matches!(self.life, Life::Open)
            // It would have gone to sleep for a time that the end of a task cuts short.
            && self.policy.keep_alive.is_none()
            && self.allowance(at) > 0
            && !self.has_work_to_give();
        if is_calm {
            self.fall_idle(at);
        }
        is_calm
    }

    // ---- cancel and kill ----------------------------------------------------------------------------

    /// Takes a shipped task back for good, if it has not begun. What lay behind it in its batch goes back to the queue.
    pub(super) fn take_back(&mut self, id: FutureId) -> (Option<Record>, Vec<Wake>) {
        let Some((at, number, index)) = self.find(id) else { return (None, Vec::new()) };
        // It may begin while we lower the limit: then it is not among these.
        let mut recalled = self.change(at, |desk| desk.recall(number, index));
        let found = recalled.first().is_some_and(|record| record.id() == id).then(|| recalled.remove(0));
        if let Some(record) = &found {
            record.cancel_dispatched();
            self.totals.cancelled += 1;
        }
        let mut wake = self.requeue(recalled);
        // Its desk may have come free: the driver finds out by looking.
        wake.extend(self.desks[at].bell.clone().map(Wake::Ring));
        (found, wake)
    }

    /// Whether a shipped task has begun. One that is in no table is being resolved.
    pub(super) fn has_begun(&self, id: FutureId) -> bool {
        self.find(id).is_none_or(|(at, number, index)| self.desks[at].has_begun(number, index))
    }

    /// Asks for the end of the worker that runs this task; whom to wake, if one does.
    pub(super) fn kill(&mut self, id: FutureId, reason: Reason) -> Option<Wake> {
        let (at, number, index) = self.find(id)?;
        let desk = &mut self.desks[at];
        if !desk.has_begun(number, index) {
            return None;
        }
        desk.kills.push((id, reason));
        Some(desk.bell.clone().map_or(Wake::Nobody, Wake::Ring))
    }

    fn find(&self, id: FutureId) -> Option<(usize, u32, u32)> {
        let mut desks = self.desks.iter().enumerate();
        desks.find_map(|(at, desk)| desk.find(id).map(|(number, index)| (at, number, index)))
    }

    /// Takes back all that this worker has not begun.
    pub(super) fn recall(&mut self, at: usize, cancelled: &mut Vec<Record>) -> Vec<Wake> {
        let recalled = self.change(at, Desk::recall_all);
        self.put_back(recalled, cancelled)
    }

    /// After a recall and a look at the socket: the sentence, if somebody whose end was asked for still runs.
    pub(super) fn judge(&mut self, at: usize) -> Option<Sentence> {
        let desk = &mut self.desks[at];
        let kills = std::mem::take(&mut desk.kills);
        let guilty = kills.into_iter().find(|(id, _)| desk.find(*id).is_some());
        if let Some((id, reason)) = guilty {
            desk.condemned.get_or_insert(Sentence::ForTask(id, reason));
        }
        desk.condemned.clone()
    }

    /// Running tasks whose time is limited, and how long each may take.
    pub(super) fn limited(&self, at: usize) -> Vec<(FutureId, Duration)> {
        let limited = self.desks[at].running().filter(|record| record.is_limited);
        limited.filter_map(|record| Some((record.id(), record.time_limit()?))).collect()
    }

    // ---- life ---------------------------------------------------------------------------------------

    /// Whether a driver shall start a worker.
    pub(super) fn wants_worker(&self) -> bool {
        match self.life {
            Life::Open => true,
            Life::Draining => self.has_work_to_give(),
            Life::Cancelling | Life::Broken(_) => false,
        }
    }

    /// A worker is up.
    pub(super) fn occupy(&mut self, at: usize, page: Arc<Mapping>, door: Arc<Door>) {
        self.vacant.remove(&at);
        self.change(at, |desk| desk.occupy(page, door));
    }

    /// A worker is gone: what it had not begun goes back, the rest is what it is blamed for. The driver has taken every
    /// whole reply out of the socket. `is_dead` is false of one that could not be ended and is given up: what it has begun
    /// may still run there, so that is not run again.
    pub(super) fn bury(&mut self, at: usize, is_dead: bool) -> Remains {
        let mut remains = Remains::default();
        // It may have died in its sleep: nobody is to be woken there, in the place of another who could work.
        self.leave_idle(at);
        let was_closing = self.desks[at].status == Status::Closing;
        remains.wake = self.recall(at, &mut remains.cancelled);
        let desk = &mut self.desks[at];
        let never_worked = desk.was_given_work() && desk.results == 0;
        let condemned = desk.condemned.take();
        let killed_for = |record: &Record| match condemned {
            Some(Sentence::ForTask(id, reason)) if id == record.id() => Some(reason),
            _ => None,
        };
        let cancelling = matches!(self.life, Life::Cancelling | Life::Broken(_));
        let was_asked_for = matches!(condemned, Some(Sentence::ForTask(..)));
        let mut again = Vec::new();
        for mut record in self.change(at, Desk::give_up) {
            let reason = killed_for(&record);
            if reason.is_none() && is_dead && !cancelling && record.try_again() {
                again.push(record);
            } else {
                remains.blamed.push((record, reason));
            }
        }
        self.change(at, Desk::clear);
        if !was_closing {
            self.totals.deaths += 1;
            remains.breaks_pool = self.policy.breaks_on_death && !cancelling && !was_asked_for;
            if never_worked && remains.blamed.is_empty() && again.is_empty() {
                // It had work, did none, and nobody is to blame: what killed it will kill the next one.
                remains.is_hopeless = self.note_failed_start(at);
            }
        }
        remains.wake.extend(self.requeue(again));
        remains.wake.push(self.pass_on());
        remains
    }

    /// A worker didn't come up. True if that was once too often, and the pool is to be broken: never while there is another
    /// worker, or one on its way that has not failed yet, for what failed may be this one alone (for want of descriptors,
    /// say).
    pub(super) fn note_failed_start(&mut self, at: usize) -> bool {
        self.no_start_before = deadline_after(START_AGAIN_AFTER);
        let desk = &mut self.desks[at];
        desk.failed_starts = desk.failed_starts.saturating_add(1);
        let too_often = desk.failed_starts >= FAILED_STARTS;
        let gives_hope = |desk: &Desk| match desk.status {
            Status::Up => true,
            Status::Starting => desk.failed_starts == 0,
            Status::Vacant | Status::Closing => false,
        };
        let mut others = self.desks.iter().enumerate().filter(|(other, _)| *other != at);
        too_often && !others.any(|(_, desk)| gives_hope(desk))
    }

    pub(super) fn is_alone(&self, at: usize) -> bool {
        self.manned() == usize::from(!self.vacant.contains(&at))
    }

    /// A driver has no worker: shall it start one, or end? If it ends, its desk is vacant from here on. One that has
    /// just failed leaves it to the others, if there are any: with what it held they may do better.
    pub(super) fn stays(&mut self, at: usize) -> bool {
        let yields = self.desks[at].failed_starts > 0 && !self.is_alone(at);
        let stays = self.has_work_to_give() && self.wants_worker() && !yields;
        if stays {
            self.set_status(at, Status::Starting);
            self.desks[at].pid = None;
        } else {
            self.vacate(at);
        }
        stays
    }

    /// A driver ends: whoever wants a worker finds its desk free.
    pub(super) fn vacate(&mut self, at: usize) {
        self.set_status(at, Status::Vacant);
        let desk = &mut self.desks[at];
        desk.pid = None;
        desk.bell = None;
    }

    /// How long the next start here is to be put off.
    pub(super) fn pause(&self, at: usize) -> Option<Duration> {
        let failed = self.desks[at].failed_starts.checked_sub(1)?;
        PAUSES.get(failed as usize).or(PAUSES.last()).copied()
    }

    /// A driver ends for want of a worker: another may take what is queued. Not a new one in its place.
    pub(super) fn pass_on_unless_alone(&mut self) -> Wake {
        if self.manned() > 0 && !self.idle.is_empty() { self.pass_on() } else { Wake::Nobody }
    }

    /// Closes the door; whom to wake.
    pub(super) fn drain(&mut self) -> Vec<Wake> {
        if matches!(self.life, Life::Open) {
            self.life = Life::Draining;
        }
        self.everybody()
    }

    /// Closes the door and takes back all that has not begun: after this nothing begins.
    pub(super) fn cancel_all(&mut self, cancelled: &mut Vec<Record>) -> Vec<Wake> {
        if matches!(self.life, Life::Open | Life::Draining) {
            self.life = Life::Cancelling;
        }
        let queued = std::mem::take(&mut self.queue);
        self.dead = 0;
        cancelled.extend(queued.into_iter().filter(Record::begin_cancel));
        for at in 0..self.desks.len() {
            self.recall(at, cancelled);
        }
        self.totals.cancelled += cancelled.len() as u64;
        self.everybody()
    }

    /// Nothing can run any more. What is queued or shipped and not begun comes back, to be failed; it is the caller's.
    pub(super) fn break_down(&mut self, why: Broken) -> (Vec<Record>, Vec<Wake>) {
        if !matches!(self.life, Life::Broken(_)) {
            self.life = Life::Broken(why);
        }
        let queued = std::mem::take(&mut self.queue);
        self.dead = 0;
        let mut lost: Vec<Record> = queued.into_iter().filter(Record::dispatch).collect();
        for at in 0..self.desks.len() {
            lost.extend(self.change(at, Desk::recall_all));
        }
        (lost, self.everybody())
    }

    /// Has every worker sent a signal.
    pub(super) fn order(&mut self, signal: Signal) -> Vec<Wake> {
        for desk in &mut self.desks {
            if desk.status == Status::Up || desk.status == Status::Closing {
                desk.order = Some(signal);
            }
        }
        self.everybody()
    }

    /// Whether every driver has ended.
    pub(super) fn is_deserted(&self) -> bool {
        self.manned() == 0
    }

    pub(super) fn everybody(&self) -> Vec<Wake> {
        self.desks.iter().filter_map(|desk| desk.bell.clone().map(Wake::Ring)).collect()
    }

    /// Recalled tasks go back to the front of the queue, in order; or are cancelled, if the pool is cancelling.
    fn put_back(&mut self, recalled: Vec<Record>, cancelled: &mut Vec<Record>) -> Vec<Wake> {
        match self.life {
            Life::Open | Life::Draining => self.requeue(recalled),
            Life::Cancelling | Life::Broken(_) => {
                recalled.iter().for_each(Record::cancel_dispatched);
                cancelled.extend(recalled);
                Vec::new()
            }
        }
    }

    fn requeue(&mut self, records: Vec<Record>) -> Vec<Wake> {
        let count = records.len();
        for record in records.into_iter().rev() {
            record.recall();
            self.queue.push_front(record);
        }
        (0..count).map(|_| self.wake_one()).take_while(|wake| !matches!(wake, Wake::Nobody)).collect()
    }
}

#[cfg(test)]
mod tests;
