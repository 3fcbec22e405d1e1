//! The worker: rules W1 to W4. One step is one access to the segment or the socket.

use super::rules::{Rule, Scope};
use super::state::{DriverAt, Frame, Item, Life, NONE, Reply, SlotWord, State, WorkerAt};
use super::steps::{Steps, Who};

pub(crate) fn steps(scope: &Scope, state: &State, lane: usize, steps: &mut Steps<'_>) {
    fate(state, lane, steps);
    if state.lanes[lane].process.life == Life::Up {
        program(scope, *state, lane, steps);
    }
}

/// What happens to a process.
fn fate(state: &State, lane: usize, steps: &mut Steps<'_>) {
    let who = Who::Worker(lane);
    let process = &state.lanes[lane].process;
    if process.life == Life::Starting {
        let mut next = *state;
        next.lanes[lane].process.life = Life::Up;
        next.lanes[lane].driver.at = DriverAt::Poll;
        steps.may(next, who, "says hello");
    }
    if process.life != Life::Gone && state.sigkills > 0 {
        let mut next = *state;
        next.sigkills -= 1;
        next.lanes[lane].die();
        steps.may(next, who, "is killed from outside");
    }
    if process.life == Life::Up && process.signal != NONE {
        let mut next = *state;
        next.check_signal(lane);
        next.lanes[lane].die();
        steps.must(next, who, "is killed by its driver's signal");
    }
}

fn program(scope: &Scope, mut next: State, lane: usize, steps: &mut Steps<'_>) {
    let who = Who::Worker(lane);
    match next.lanes[lane].process.at {
        WorkerAt::Read => read(scope, next, lane, steps),
        WorkerAt::Begin => begin(scope, next, lane, steps),
        WorkerAt::BeginStore => {
            let l = &mut next.lanes[lane];
            l.segment.claim[l.process.frame.slot as usize].begun = l.process.index + 1;
            begun(scope, &mut next, lane);
            steps.must(next, who, "stores begun");
        }
        WorkerAt::Clock => {
            if write(&mut next, lane, Item::Doorbell) {
                next.lanes[lane].process.at = WorkerAt::Run;
                steps.must(next, who, "rings for a clock");
            }
        }
        WorkerAt::Run => {
            if scope.crashing.has(next.lanes[lane].process.task()) {
                next.lanes[lane].die();
                steps.may(next, who, "crashes in its task");
            } else {
                let process = &mut next.lanes[lane].process;
                process.at = WorkerAt::Hold;
                if !scope.apart.has(process.task()) {
                    is_encoded(scope, &mut next, lane);
                }
                steps.may(next, who, "returns from its task");
            }
        }
        WorkerAt::Hold => {
            let l = &mut next.lanes[lane];
            if l.segment.result_slot == SlotWord::Free {
                l.segment.result_slot = SlotWord::Held;
                l.segment.values = l.process.task();
                l.process.holds = true;
            } else if scope.lacks(Rule::NoWaitForSlot) {
                return;
            }
            is_encoded(scope, &mut next, lane);
            steps.must(next, who, "looks for a free result slot");
        }
        WorkerAt::Look => {
            let l = &mut next.lanes[lane];
            let claim = l.segment.claim[l.process.frame.slot as usize];
            // `limit` only falls and nobody else moves `begun`: once equal, they stay so.
            let through =
                claim.begun == claim.limit || scope.lacks(Rule::OverOnlyAtLimit) && !l.process.through;
            l.process.at = WorkerAt::Over;
            if !through {
                replies(scope, &mut next, lane);
            }
            steps.must(next, who, "looks whether the frame is through");
        }
        WorkerAt::Over => {
            let l = &mut next.lanes[lane];
            l.segment.unfinished = l.segment.unfinished.saturating_sub(1);
            l.process.through = true;
            replies(scope, &mut next, lane);
            steps.must(next, who, "moves over before the last reply");
        }
        WorkerAt::Note => {
            note(&mut next, lane);
            next.lanes[lane].process.at = WorkerAt::Reply;
            steps.must(next, who, "notes whose the result slot is");
        }
        WorkerAt::NoteLate => {
            note(&mut next, lane);
            next.lanes[lane].process.at = WorkerAt::Doorbell;
            steps.must(next, who, "notes whose the result slot is, late");
        }
        WorkerAt::Reply => {
            let reply = reply(&next, lane);
            let large = scope.large.has(reply.task) && !reply.apart;
            let small = !large && (reply.apart || !scope.apart.has(reply.task));
            if small && next.lanes[lane].segment.put(reply, scope.ring) {
                // Who direct_waits finds `over` moved as well.
                next.lanes[lane].process.unannounced = false;
                next.replied.add(reply.task);
                if reply.apart && scope.lacks(Rule::SlotBeforeTail) {
                    next.lanes[lane].process.at = WorkerAt::NoteLate;
                } else if scope.keeps(Rule::ReplyRings) {
                    let at = if scope.coarse { WorkerAt::Swap } else { WorkerAt::Doorbell };
                    next.lanes[lane].process.at = at;
                } else {
                    has_replied(scope, &mut next, lane);
                }
                return steps.must(next, who, "puts a reply in the ring");
            }
            if write(&mut next, lane, if large { Item::Half(reply) } else { Item::Whole(reply) }) {
                if large {
                    next.lanes[lane].process.at = WorkerAt::Rest;
                } else {
                    next.replied.add(reply.task);
                    has_replied(scope, &mut next, lane);
                    if reply.apart && scope.lacks(Rule::SlotBeforeTail) {
                        note(&mut next, lane);
                    }
                }
                steps.must(next, who, if large { "writes half a reply" } else { "writes a reply" });
            }
        }
        WorkerAt::Rest => {
            let reply = reply(&next, lane);
            if write(&mut next, lane, Item::Rest(reply)) {
                next.replied.add(reply.task);
                has_replied(scope, &mut next, lane);
                steps.must(next, who, "writes the rest of a reply");
            }
        }
        WorkerAt::Doorbell => {
            let l = &mut next.lanes[lane];
            if l.segment.doorbell {
                l.process.at = WorkerAt::Swap;
            } else {
                has_replied(scope, &mut next, lane);
            }
            steps.must(next, who, "looks whether the doorbell is enabled");
        }
        WorkerAt::Swap => {
            let l = &mut next.lanes[lane];
            if std::mem::take(&mut l.segment.doorbell) {
                l.process.at = WorkerAt::Ring;
            } else {
                has_replied(scope, &mut next, lane);
            }
            steps.must(next, who, "disables the doorbell");
        }
        WorkerAt::Ring => {
            if write(&mut next, lane, Item::Doorbell) {
                has_replied(scope, &mut next, lane);
                steps.must(next, who, "rings for the ring");
            }
        }
    }
}

/// W1.
fn read(scope: &Scope, mut next: State, lane: usize, steps: &mut Steps<'_>) {
    let who = Who::Worker(lane);
    let l = &mut next.lanes[lane];
    if l.socket.down > 0 {
        let halves = l.socket.down.min(2 - u8::from(l.process.half));
        l.socket.down -= halves;
        if halves == 2 || l.process.half {
            l.process.half = false;
            l.process.frame = l.socket.take_frame();
            l.process.at = WorkerAt::Begin;
            steps.must(next, who, "reads a frame");
        } else {
            l.process.half = true;
            steps.must(next, who, "reads half a frame");
        }
    } else if l.process.unannounced && scope.keeps(Rule::OverRings) {
        if write(&mut next, lane, Item::Doorbell) {
            steps.must(next, who, "rings before it waits");
        }
    } else if l.socket.closed {
        l.die();
        steps.must(next, who, "leaves at the end of the stream");
    }
}

/// W2.
fn begin(scope: &Scope, mut next: State, lane: usize, steps: &mut Steps<'_>) {
    let who = Who::Worker(lane);
    let l = &mut next.lanes[lane];
    let claim = &mut l.segment.claim[l.process.frame.slot as usize];
    if claim.begun < claim.limit {
        l.process.index = claim.begun;
        if scope.lacks(Rule::BeginByCas) {
            l.process.at = WorkerAt::BeginStore;
            return steps.must(next, who, "loads the claim");
        }
        claim.begun += 1;
        begun(scope, &mut next, lane);
        steps.must(next, who, "begins a task");
    } else {
        let claim = *claim;
        if !l.process.through {
            l.segment.unfinished = l.segment.unfinished.saturating_sub(1);
            l.process.unannounced = claim.begun == 0 || scope.keeps(Rule::LookBeforeReply);
        }
        drop_frame(&mut next, lane);
        steps.must(next, who, "is through with a frame");
    }
}

/// It has won the task at its index.
fn begun(scope: &Scope, next: &mut State, lane: usize) {
    let process = &mut next.lanes[lane].process;
    let task = process.task();
    let rings = scope.limited.has(task) && scope.keeps(Rule::LimitedRings);
    process.at = if rings { WorkerAt::Clock } else { WorkerAt::Run };
    next.check_begin(task);
}

/// The result is encoded.
fn is_encoded(scope: &Scope, next: &mut State, lane: usize) {
    if scope.keeps(Rule::LookBeforeReply) {
        next.lanes[lane].process.at = WorkerAt::Look;
    } else {
        replies(scope, next, lane);
    }
}

/// W3 is over.
fn replies(scope: &Scope, next: &mut State, lane: usize) {
    let process = &mut next.lanes[lane].process;
    let notes = process.holds && scope.keeps(Rule::SlotBeforeTail);
    process.at = if notes { WorkerAt::Note } else { WorkerAt::Reply };
}

/// Whose the slot is that it holds.
fn note(next: &mut State, lane: usize) {
    let l = &mut next.lanes[lane];
    l.segment.result_slot = SlotWord::Of(l.process.frame.slot, l.process.index);
}

/// W4 is over.
fn has_replied(scope: &Scope, next: &mut State, lane: usize) {
    let l = &mut next.lanes[lane];
    l.process.at = WorkerAt::Begin;
    l.process.holds = false;
    if l.process.through && scope.keeps(Rule::ThroughIsFinal) && scope.keeps(Rule::OverOnlyAtLimit) {
        drop_frame(next, lane);
    }
}

fn drop_frame(next: &mut State, lane: usize) {
    let process = &mut next.lanes[lane].process;
    process.frame = Frame::default();
    process.index = 0;
    process.through = false;
    process.at = WorkerAt::Read;
}

/// A write to the socket; false: it blocks. Whatever is written wakes the driver, so nothing is unannounced after it.
fn write(next: &mut State, lane: usize, item: Item) -> bool {
    let l = &mut next.lanes[lane];
    let written = l.socket.push(item);
    l.process.unannounced &= !written;
    written
}

fn reply(state: &State, lane: usize) -> Reply {
    let process = &state.lanes[lane].process;
    Reply { slot: process.frame.slot, index: process.index, task: process.task(), apart: process.holds }
}
