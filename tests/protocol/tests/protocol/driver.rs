//! The driver: rules D1 to D7, kill and death. One step is one access to segment, socket or eventfd, or one critical section.

use super::dispatcher;
use super::rules::{Rule, Scope};
use super::state::{Apart, Batch, Call, DriverAt, Item, Lane, Life, NONE, Outcome, Shutdown, State};
use super::steps::{Steps, Who};

pub(crate) fn steps(scope: &Scope, state: &State, lane: usize, steps: &mut Steps<'_>) {
    let mut next = *state;
    let who = Who::Driver(lane);
    let driver = &mut next.lanes[lane].driver;
    if driver.collected != NONE && !driver.apart.is_done() {
        let apart = driver.apart;
        next.lanes[lane].driver.apart = next.access_slot(lane, apart, scope);
        return steps.must(next, who, "copies from a result slot, and frees it");
    }
    if driver.collected != NONE {
        driver.apart = Apart::default();
        // Outside the lock: decode, publish, the user's callbacks.
        let task = std::mem::take(&mut driver.collected);
        next.resolve(task, Outcome::Done);
        return steps.must(next, who, "publishes a result");
    }
    match driver.at {
        DriverAt::Start => start(next, lane, steps),
        DriverAt::Enable => {
            driver.at = if scope.keeps(Rule::SecondLook) { DriverAt::Look } else { DriverAt::Sleep };
            next.lanes[lane].segment.doorbell = true;
            steps.must(next, who, "enables the doorbell");
        }
        DriverAt::Look => {
            driver.at =
                if state.lanes[lane].segment.has_replies() { DriverAt::Poll } else { DriverAt::Sleep };
            steps.must(next, who, "looks at the ring before it sleeps");
        }
        DriverAt::Disable => {
            driver.at = DriverAt::Drain;
            next.lanes[lane].segment.doorbell = false;
            steps.must(next, who, "direct_waits itself");
        }
        DriverAt::Poll | DriverAt::Sleep => poll(scope, next, lane, steps),
        DriverAt::Drain => {
            if !next.receive(lane, scope) {
                next.lanes[lane].driver.at = DriverAt::Ring;
                if scope.ring == 0 || scope.coarse && !next.collect_ring(lane, scope) {
                    collected(&mut next, lane);
                }
            }
            steps.must(next, who, "reads from the socket");
        }
        DriverAt::Ring => {
            if !next.collect_ring(lane, scope) {
                collected(&mut next, lane);
            }
            steps.must(next, who, "collects from the ring");
        }
        DriverAt::Write => write(scope, next, lane, steps),
        DriverAt::Decide => decide(scope, next, lane, steps),
        DriverAt::KillRecallNewest | DriverAt::KillRecallOldest => kill_recall(scope, next, lane, steps),
        DriverAt::KillDrain => {
            if scope.lacks(Rule::DrainBeforeKill) || !next.receive(lane, scope) {
                let ring = scope.ring > 0 && scope.keeps(Rule::DrainBeforeKill);
                next.lanes[lane].driver.at = if ring { DriverAt::KillRing } else { DriverAt::KillCheck };
            }
            steps.must(next, who, "reads from the socket before a kill");
        }
        DriverAt::KillRing => {
            if !next.collect_ring(lane, scope) {
                next.lanes[lane].driver.at = DriverAt::KillCheck;
            }
            steps.must(next, who, "collects from the ring before a kill");
        }
        DriverAt::KillCheck => kill_check(scope, next, lane, steps),
        DriverAt::DeathDrain => {
            let drains = scope.keeps(Rule::DrainBeforeReap);
            if !(drains && (next.receive(lane, scope) || next.collect_ring(lane, scope))) {
                let reads = scope.lacks(Rule::DeathRecalls);
                next.lanes[lane].driver.at = if reads { DriverAt::DeathReads } else { DriverAt::Reap };
            }
            steps.must(next, who, "reads what the dead worker left");
        }
        DriverAt::DeathReads => {
            driver.stale = driver.table;
            driver.at = DriverAt::Reap;
            steps.must(next, who, "reads the claims of the dead worker");
        }
        DriverAt::Reap => {
            if scope.lacks(Rule::DeathRecalls) {
                driver.table = driver.stale;
            }
            next.reap(lane, scope);
            steps.must(next, who, "reaps a worker");
        }
        DriverAt::Late => {
            driver.event &= scope.keeps(Rule::ClearBeforeLook);
            sleep(scope, &mut next, lane);
            steps.must(next, who, "sleeps, late");
        }
        DriverAt::Popped => {
            let popped = std::mem::take(&mut driver.stale[0]);
            driver.at = DriverAt::Write;
            next.ship(lane, popped, scope);
            steps.must(next, who, "ships what it popped before");
        }
        DriverAt::End | DriverAt::Forgotten => {}
    }
}

/// Until hello: only a shutdown or a death matters.
fn start(mut next: State, lane: usize, steps: &mut Steps<'_>) {
    let who = Who::Driver(lane);
    if next.shutdown != Shutdown::No && next.queued() == 0 {
        next.lanes[lane] = dispatcher::vacant();
        steps.must(next, who, "ends a worker that has not started");
    } else if next.lanes[lane].process.life == Life::Gone {
        next.lanes[lane].driver.at = DriverAt::DeathDrain;
        steps.must(next, who, "sees a failed start");
    }
}

/// D1.
fn poll(scope: &Scope, mut next: State, lane: usize, steps: &mut Steps<'_>) {
    let who = Who::Driver(lane);
    let Lane { process, socket, driver, .. } = &next.lanes[lane];
    if driver.idle && driver.at == DriverAt::Sleep && scope.idle_ends && next.queued() == 0 {
        let mut ended = next;
        ended.lanes[lane].driver.idle = false;
        close(&mut ended, lane);
        steps.may(ended, who, "closes its worker, idle for too long");
    }
    let room = driver.for_room && socket.down < scope.buffer && scope.keeps(Rule::PollForRoom);
    let gone = process.life == Life::Gone;
    if driver.at == DriverAt::Sleep && !(socket.up[0] != Item::Nothing || driver.event || gone || room) {
        return;
    }
    let Lane { segment, driver, .. } = &mut next.lanes[lane];
    driver.event &= scope.lacks(Rule::ClearBeforeLook);
    driver.at = match scope.ring {
        _ if gone => DriverAt::DeathDrain,
        0 => DriverAt::Drain,
        _ if scope.coarse => {
            segment.doorbell = false;
            DriverAt::Drain
        }
        _ => DriverAt::Disable,
    };
    steps.must(next, who, "polls");
}

/// The end of D2.
fn collected(next: &mut State, lane: usize) {
    let l = &mut next.lanes[lane];
    l.driver.at = if l.socket.out > 0 { DriverAt::Write } else { DriverAt::Decide };
}

/// D4.
fn write(scope: &Scope, mut next: State, lane: usize, steps: &mut Steps<'_>) {
    let who = Who::Driver(lane);
    let freed = next.freed;
    let Lane { segment, socket, driver, .. } = &mut next.lanes[lane];
    let newest = driver.next as usize ^ 1;
    if scope.lacks(Rule::FrameWhole) && socket.out == 1 && driver.table[newest] == [NONE; 2] {
        socket.out = 0;
        driver.at = DriverAt::Decide;
        return steps.must(next, who, "cuts a recalled frame");
    }
    if socket.out == 0 || socket.down == scope.buffer {
        driver.at = DriverAt::Decide;
        return steps.must(next, who, "writes no more");
    }
    socket.out -= 1;
    socket.down += 1;
    if socket.out.is_multiple_of(2) {
        let last = (socket.frames() - 1).saturating_sub(socket.out as usize / 2);
        let frame = socket.frames[last];
        if scope.lacks(Rule::LimitBeforeBytes) {
            let count = frame.tasks.iter().filter(|&&task| task != NONE).count();
            segment.claim[frame.slot as usize].limit = count as u8;
        }
        for task in frame.tasks.into_iter().filter(|&task| task != NONE) {
            if scope.lacks(Rule::BufferOwns) {
                next.check_argument(task, freed);
            }
            if scope.lacks(Rule::ArgumentKept) {
                next.freed.add(task);
            }
        }
    }
    steps.must(next, who, "writes half a frame");
}

/// D3: the first that applies.
fn decide(scope: &Scope, mut next: State, lane: usize, steps: &mut Steps<'_>) {
    let who = Who::Driver(lane);
    next.lanes[lane].driver.idle = false;
    start_clocks(scope, &mut next, lane);
    let l = &next.lanes[lane];
    let in_flight = l.in_flight();
    let takes = may_take(l, scope);
    let open = !l.socket.closed && !l.driver.kill_sent;
    if !l.driver.kill.is_empty() && !l.driver.kill_sent {
        next.lanes[lane].driver.at = DriverAt::KillRecallNewest;
        return steps.must(next, who, "takes up a kill");
    }
    if open && scope.max_tasks > 0 && l.driver.given >= scope.max_tasks && in_flight == 0 {
        close(&mut next, lane);
        return steps.must(next, who, "retires its worker");
    }
    if takes && next.queued() > 0 {
        if scope.any_batch && next.queue[1] != NONE && room(l, scope) >= 2 {
            take(scope, next, lane, 1, steps);
        }
        let most = room(l, scope);
        return take(scope, next, lane, most, steps);
    }
    let stealable = stealable(&next.lanes[1 - lane], scope);
    if takes && in_flight == 0 && next.shutdown != Shutdown::Cancel && stealable > 0 {
        steal(scope, &mut next, lane, stealable);
        return steps.must(next, who, "steals");
    }
    let ends = next.shutdown != Shutdown::No && next.queued() == 0;
    if open && ends && (in_flight == 0 || scope.lacks(Rule::CloseWhenEmpty)) {
        close(&mut next, lane);
        return steps.must(next, who, "closes its worker");
    }
    if !takes && in_flight == 0 && next.queued() > 0 && scope.keeps(Rule::PassOn) {
        next.wakes = 1;
    }
    if scope.lacks(Rule::IdleInSection) || scope.lacks(Rule::ClearBeforeLook) {
        next.lanes[lane].driver.at = DriverAt::Late;
        return steps.must(next, who, "finds nothing to do");
    }
    sleep(scope, &mut next, lane);
    steps.must(next, who, "goes to sleep");
}

fn take(scope: &Scope, mut next: State, lane: usize, most: u8, steps: &mut Steps<'_>) {
    let who = Who::Driver(lane);
    let mut batch: Batch = [next.pop(), NONE];
    if most >= 2 {
        batch[1] = next.pop();
    }
    if scope.lacks(Rule::TableWithQueue) {
        next.lanes[lane].driver.stale[0] = batch;
        next.lanes[lane].driver.at = DriverAt::Popped;
        return steps.must(next, who, "pops");
    }
    next.ship(lane, batch, scope);
    next.lanes[lane].driver.at = DriverAt::Write;
    steps.must(next, who, "ships");
}

/// Recalls from the other's newest frame that has unbegun tasks, and ships at once.
fn steal(scope: &Scope, next: &mut State, lane: usize, stealable: u8) {
    let most = room(&next.lanes[lane], scope);
    let victim = &next.lanes[1 - lane];
    let newest = victim.driver.next as usize ^ 1;
    let slot = if victim.segment.claim[newest].unbegun() > 0 { newest } else { newest ^ 1 };
    let claim = victim.segment.claim[slot];
    let take = stealable.min(most);
    if scope.lacks(Rule::StealFromLimit) {
        next.call = Call::Steal { lane: lane as u8, slot: slot as u8, take, of: claim.unbegun() };
        return;
    }
    carry_off(scope, next, lane, slot, claim.limit - take);
}

/// The second half of a theft that reckons from `begun`.
pub(crate) fn steal_on(scope: &Scope, mut next: State, steps: &mut Steps<'_>) {
    if let Call::Steal { lane, slot, take, of } = std::mem::take(&mut next.call) {
        let (lane, slot) = (lane as usize, slot as usize);
        let begun = next.lanes[1 - lane].segment.claim[slot].begun;
        carry_off(scope, &mut next, lane, slot, begun + of - take);
        steps.must(next, Who::Driver(lane), "recalls what it steals");
    }
}

fn carry_off(scope: &Scope, next: &mut State, lane: usize, slot: usize, limit: u8) {
    let mut stolen = next.recall(1 - lane, slot, limit, scope);
    if stolen[0] == NONE {
        stolen = [stolen[1], NONE];
    }
    if stolen[0] == NONE {
        return sleep(scope, next, lane);
    }
    next.ship(lane, stolen, scope);
    next.lanes[lane].driver.at = DriverAt::Write;
}

/// Half of a victim's unbegun tasks, rounded up; a victim that runs nothing keeps one.
pub(crate) fn stealable(victim: &Lane, scope: &Scope) -> u8 {
    let unbegun = victim.unbegun();
    let keeps = u8::from(!victim.is_busy() && scope.keeps(Rule::LoneTaskStays));
    let newest = victim.driver.next as usize ^ 1;
    let of_slot = match victim.segment.claim[newest].unbegun() {
        0 => victim.segment.claim[newest ^ 1].unbegun(),
        some => some,
    };
    of_slot.div_ceil(2).min(unbegun.saturating_sub(keeps))
}

/// May this driver be given tasks now? (hello has come, or it would not ask)
pub(crate) fn may_take(lane: &Lane, scope: &Scope) -> bool {
    let free = lane.segment.unfinished < 2 || scope.lacks(Rule::SlotWaitsForOver) && lane.socket.frames() < 3;
    let empty =
        lane.driver.table[lane.driver.next as usize] == [NONE; 2] || scope.lacks(Rule::SlotWaitsForResults);
    free && empty && !lane.socket.closed && !lane.driver.kill_sent && room(lane, scope) > 0
}

/// What `max_tasks_per_child` leaves, at most a batch.
pub(crate) fn room(lane: &Lane, scope: &Scope) -> u8 {
    match scope.max_tasks {
        0 => 2,
        most => most.saturating_sub(lane.driver.given + lane.in_flight()).min(2),
    }
}

fn sleep(scope: &Scope, next: &mut State, lane: usize) {
    let l = &mut next.lanes[lane];
    l.driver.idle = may_take(l, scope) && l.in_flight() == 0;
    // What a user's thread leaves to write after this it must say.
    l.driver.for_room = l.socket.out > 0;
    l.driver.at = if scope.ring > 0 { DriverAt::Enable } else { DriverAt::Sleep };
}

fn close(next: &mut State, lane: usize) {
    let l = &mut next.lanes[lane];
    l.socket.closed = true;
    l.socket.out = 0;
    l.driver.at = DriverAt::Poll;
}

/// A task with a time limit has its clock started when it is first seen begun.
fn start_clocks(scope: &Scope, next: &mut State, lane: usize) {
    let Lane { segment, driver, .. } = &mut next.lanes[lane];
    for slot in 0..driver.table.len() {
        for index in 0..driver.table[slot].len() {
            let task = driver.table[slot][index];
            if scope.limited.has(task) && (index as u8) < segment.claim[slot].begun {
                driver.clocked.add(task);
            }
        }
    }
}

/// Both slots, each by a compare-and-swap of its own.
fn kill_recall(scope: &Scope, mut next: State, lane: usize, steps: &mut Steps<'_>) {
    let driver = &mut next.lanes[lane].driver;
    let first = driver.at == DriverAt::KillRecallNewest;
    let newest = driver.next as usize ^ 1;
    let slot = if first == scope.keeps(Rule::NewestFirst) { newest } else { newest ^ 1 };
    driver.at = if first { DriverAt::KillRecallOldest } else { DriverAt::KillDrain };
    if scope.keeps(Rule::RecallBeforeKill) {
        let back = next.recall(lane, slot, 0, scope);
        next.requeue(&back, scope);
    }
    steps.must(next, Who::Driver(lane), "recalls a slot before a kill");
}

/// A task that is still open has begun, and nothing else can begin: the signal can hit no other.
fn kill_check(scope: &Scope, mut next: State, lane: usize, steps: &mut Steps<'_>) {
    let Lane { process, driver, .. } = &mut next.lanes[lane];
    let open = |task: &u8| *task != NONE && driver.kill.has(*task);
    let any = (1..=scope.tasks).find(open).filter(|_| scope.lacks(Rule::ResultEndsKill));
    match driver.table.iter().flatten().copied().find(open).or(any) {
        Some(task) => {
            if process.life == Life::Up {
                process.signal = task;
            }
            if scope.lacks(Rule::NoShipAfterSignal) {
                driver.kill = Default::default();
            } else {
                driver.kill_sent = true;
            }
        }
        None => driver.kill = Default::default(),
    }
    driver.at = DriverAt::Poll;
    steps.must(next, Who::Driver(lane), "checks and signals");
}
