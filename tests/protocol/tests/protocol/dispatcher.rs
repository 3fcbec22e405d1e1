//! The dispatcher: queue, tables and requests under one lock. Each function here is part of one critical section.

use super::checks::Property;
use super::rules::{Rule, Scope};
use super::state::{
    Apart, Batch, Claim, Driver, DriverAt, Frame, Item, LANES, Lane, Life, NONE, Outcome, Process, Reply,
    SLOTS, Shutdown, SlotWord, State, TASKS, Task,
};

impl State {
    pub(crate) fn push_back(&mut self, task: Task) {
        let end = self.queued() as usize;
        match self.queue.get_mut(end) {
            Some(place) => *place = task,
            None => self.violate(Property::Overflow),
        }
    }

    pub(crate) fn push_front(&mut self, task: Task) {
        if self.queue[TASKS - 1] != NONE {
            self.violate(Property::Overflow);
        }
        self.queue.rotate_right(1);
        self.queue[0] = task;
    }

    pub(crate) fn pop(&mut self) -> Task {
        self.remove(0)
    }

    /// A place is vacant.
    pub(crate) fn may_start(&self, scope: &Scope) -> bool {
        self.lanes.iter().filter(|lane| lane.driver.at != DriverAt::End).count() < scope.workers
    }

    /// What is queued at `position`.
    pub(crate) fn remove(&mut self, position: usize) -> Task {
        let task = self.queue[position];
        self.queue[position..].rotate_left(1);
        self.queue[TASKS - 1] = NONE;
        task
    }

    pub(crate) fn resolve(&mut self, task: Task, outcome: Outcome) {
        self.check_resolve(task, outcome);
        self.outcome[task as usize] = outcome;
        self.freed.add(task);
    }

    /// Lowers `limit` to `to`, or as far as the worker has begun, and takes what lay above out of the table.
    pub(crate) fn recall(&mut self, lane: usize, slot: usize, to: u8, scope: &Scope) -> Batch {
        let lane = &mut self.lanes[lane];
        let claim = &mut lane.segment.claim[slot];
        let to = to.max(claim.begun);
        let mut back = Batch::default();
        for i in to..claim.limit {
            let entry = &mut lane.driver.table[slot][i as usize];
            back[i as usize] = *entry;
            if scope.keeps(Rule::RecallEmpties) {
                *entry = NONE;
            }
        }
        claim.limit = claim.limit.min(to);
        back
    }

    /// What was recalled goes to the front of the queue, in order; as many idle drivers are woken. After
    /// `shutdown(cancel)` it is cancelled instead.
    pub(crate) fn requeue(&mut self, tasks: &[Task], scope: &Scope) {
        let cancels = scope.keeps(Rule::CancelsReturned) && scope.keeps(Rule::CancelRecalls);
        for &task in tasks.iter().rev().filter(|&&task| task != NONE) {
            if self.shutdown == Shutdown::Cancel && cancels {
                self.resolve(task, Outcome::Cancelled);
            } else {
                self.push_front(task);
                self.wakes += u8::from(scope.keeps(Rule::RequeueWakes));
            }
        }
    }

    /// Ship: table, claim and `sent`; the frame goes to the out-buffer.
    pub(crate) fn ship(&mut self, lane: usize, tasks: Batch, scope: &Scope) {
        let count = tasks.iter().filter(|&&task| task != NONE).count() as u8;
        let freed = self.freed;
        for &task in &tasks[..count as usize] {
            self.check_argument(task, freed);
        }
        let Lane { process, segment, socket, driver } = &mut self.lanes[lane];
        let slot = driver.next;
        let limit = if scope.keeps(Rule::LimitBeforeBytes) { count } else { 0 };
        if scope.keeps(Rule::AskIsOfItsBatch) {
            segment.asked[slot as usize] = 0;
        }
        segment.claim[slot as usize] = Claim { limit, begun: 0 };
        segment.unfinished += 1;
        driver.table[slot as usize] = tasks;
        driver.next ^= 1;
        // Written to a dead process, a frame is lost; its driver has not noticed yet.
        if process.life != Life::Up {
            return;
        }
        let end = socket.frames();
        match socket.frames.get_mut(end) {
            Some(place) => {
                *place = Frame { slot, tasks };
                socket.out += 2;
            }
            None => self.violate(Property::Overflow),
        }
    }

    /// A whole reply has come: its entry is emptied here, its outcome published outside the lock.
    pub(crate) fn collect(&mut self, lane: usize, reply: Reply, scope: &Scope) {
        self.empty(lane, reply, scope);
        self.lanes[lane].driver.collected = reply.task;
        self.lanes[lane].driver.apart = Apart::of(reply);
    }

    /// What a collect does in the dispatcher, whoever collects.
    pub(crate) fn empty(&mut self, lane: usize, reply: Reply, scope: &Scope) {
        let driver = &mut self.lanes[lane].driver;
        let entry = &mut driver.table[reply.slot as usize][reply.index as usize];
        if *entry != reply.task {
            return self.violate(Property::WrongFuture);
        }
        *entry = NONE;
        driver.given += 1;
        if scope.keeps(Rule::ResultEndsKill) {
            driver.kill.remove(reply.task);
        }
    }

    /// One item off the socket. False: there was none.
    pub(crate) fn receive(&mut self, lane: usize, scope: &Scope) -> bool {
        let item = self.lanes[lane].socket.take_item();
        match item {
            Item::Nothing => return false,
            Item::Doorbell => {}
            Item::Whole(reply) => self.collect(lane, reply, scope),
            Item::Half(reply) => self.lanes[lane].driver.partial = reply,
            Item::Rest(reply) => {
                self.lanes[lane].driver.partial = Reply::default();
                self.collect(lane, reply, scope);
            }
        }
        true
    }

    /// One reply out of the ring; `head` moves with its entry. False: there was none.
    pub(crate) fn collect_ring(&mut self, lane: usize, scope: &Scope) -> bool {
        let reply = self.lanes[lane].segment.take();
        reply.map(|reply| self.collect(lane, reply, scope)).is_some()
    }

    /// Outside the lock, one access to the result slot of a reply that was taken: what lies there is copied, the slot freed.
    pub(crate) fn access_slot(&mut self, lane: usize, mut apart: Apart, scope: &Scope) -> Apart {
        let segment = &mut self.lanes[lane].segment;
        if apart.is_copied || !apart.is_freed && scope.lacks(Rule::SlotFreedAfterCopy) {
            segment.result_slot = SlotWord::Free;
            apart.is_freed = true;
            return apart;
        }
        let Reply { slot, index, task, .. } = apart.reply;
        let is_found = apart.is_freed || segment.result_slot == SlotWord::Of(slot, index);
        if !is_found || segment.values != task {
            self.violate(Property::WrongValues);
        }
        apart.is_copied = true;
        apart
    }

    /// Settles what a dead worker had, socket and ring being drained; then its successor, if there is to be one.
    pub(crate) fn reap(&mut self, lane: usize, scope: &Scope) {
        let Lane { segment, driver, .. } = self.lanes[lane];
        if scope.keeps(Rule::DeadIsNotIdle) {
            self.lanes[lane].driver.idle = false;
        }
        if scope.lacks(Rule::HalfIsVoid) && driver.partial.task != NONE {
            self.collect(lane, driver.partial, scope);
            self.resolve(driver.partial.task, Outcome::Done);
        }
        let table = self.lanes[lane].driver.table;
        let older_first = [driver.next as usize, driver.next as usize ^ 1];
        let mut back = Vec::with_capacity(2 * SLOTS);
        for slot in older_first {
            for (index, &task) in table[slot].iter().enumerate().filter(|&(_, &task)| task != NONE) {
                let begun = (index as u8) < segment.claim[slot].begun;
                let is_given_up = self.asked.has(task) && scope.keeps(Rule::AskedIsNotRetried);
                let again = scope.retried.has(task)
                    && !self.retried.has(task)
                    && !driver.kill.has(task)
                    && !is_given_up
                    && self.shutdown != Shutdown::Cancel;
                if begun && again {
                    self.retried.add(task);
                } else if begun {
                    self.resolve(task, Outcome::Died);
                    continue;
                }
                back.push(task);
            }
        }
        self.requeue(&back, scope);
        let ends =
            self.queued() == 0 || self.shutdown != Shutdown::No && scope.lacks(Rule::RespawnWhileQueued);
        let idle = self.lanes[lane].driver.idle;
        self.lanes[lane] = if ends { vacant() } else { fresh(Life::Starting) };
        self.lanes[lane].driver.idle = idle;
        self.cut_off(lane);
        if scope.keeps(Rule::PassOn) && self.queued() > 0 {
            self.wakes += 1;
        }
    }

    /// `cancel()`, or the half of `kill()` that is the same: queued, it is removed; shipped and not begun, it is
    /// recalled with what lies behind it. Otherwise it has begun or is resolved: where it is, if anywhere.
    pub(crate) fn cancel(&mut self, task: Task, scope: &Scope) -> Cancelled {
        if let Some(position) = self.queue.iter().position(|&queued| queued == task) {
            self.remove(position);
            self.resolve(task, Outcome::Cancelled);
            return Cancelled::Yes;
        }
        let place = (0..LANES).find_map(|lane| self.lanes[lane].place_of(task).map(|place| (lane, place)));
        let Some((lane, (slot, index))) = place else { return Cancelled::Gone };
        if (index as u8) < self.lanes[lane].segment.claim[slot].begun {
            return Cancelled::Began { lane };
        }
        let back = self.recall(lane, slot, index as u8, scope);
        self.resolve(task, Outcome::Cancelled);
        let behind = back.map(|other| if other == task { NONE } else { other });
        self.requeue(&behind, scope);
        Cancelled::Yes
    }
}

/// What became of an attempt to cancel.
pub(crate) enum Cancelled {
    Yes,
    Began { lane: usize },
    Gone,
}

/// A new process, a new segment, a new socket.
pub(crate) fn fresh(life: Life) -> Lane {
    let at = if life == Life::Up { DriverAt::Poll } else { DriverAt::Start };
    Lane {
        process: Process { life, ..Process::default() },
        driver: Driver { at, ..Driver::default() },
        ..Lane::default()
    }
}

/// No process and no driver: until there is work again.
pub(crate) fn vacant() -> Lane {
    Lane { driver: Driver { at: DriverAt::End, ..Driver::default() }, ..Lane::default() }
}
