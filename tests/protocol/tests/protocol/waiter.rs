//! A thread that waits for a task and direct_waits from outside: it hears the reply itself, and the driver sleeps on. One
//! step is one access to the segment or the eventfd, or one critical section. It may give up at any time.

use super::driver::{may_take, stealable};
use super::rules::{Rule, Scope};
use super::state::{Apart, DriverAt, NONE, Outcome, Shutdown, State, Waiter, WaiterAt};
use super::steps::{Steps, Who};

pub(crate) fn steps(scope: &Scope, state: &State, steps: &mut Steps<'_>) {
    if state.direct_waits > 0
        && let Some(free) = state.waiters.iter().position(|waiter| waiter.at == WaiterAt::Away)
    {
        find(state, free, steps);
    }
    for i in 0..state.waiters.len() {
        program(scope, *state, i, steps);
    }
}

/// The task is alone in flight to its worker. Of a death that its driver has not noticed nobody knows.
fn find(state: &State, free: usize, steps: &mut Steps<'_>) {
    for (i, lane) in state.lanes.iter().enumerate() {
        if lane.in_flight() != 1 || matches!(lane.driver.at, DriverAt::Start | DriverAt::End) {
            continue;
        }
        let task = lane.driver.table.into_iter().flatten().max().unwrap_or(NONE);
        let mut next = *state;
        next.direct_waits -= 1;
        next.waiters[free] = Waiter { at: WaiterAt::Found, lane: i as u8, task, ..Waiter::default() };
        steps.may(next, Who::Waiter(free), "finds task and segment");
    }
}

fn program(scope: &Scope, mut next: State, i: usize, steps: &mut Steps<'_>) {
    let who = Who::Waiter(i);
    let waiter = &mut next.waiters[i];
    let lane = waiter.lane as usize;
    let segment = &mut next.lanes[lane].segment;
    match waiter.at {
        WaiterAt::Away => {}
        WaiterAt::Found => {
            if std::mem::take(&mut segment.doorbell) || scope.lacks(Rule::OneDirectWait) {
                waiter.at = WaiterAt::Spin;
            } else {
                *waiter = Waiter::default();
            }
            steps.must(next, who, "disables the doorbell");
        }
        WaiterAt::Spin => {
            let moved = segment.has_replies();
            waiter.at = WaiterAt::Enable;
            steps.must(next, who, "stops spinning");
            if moved {
                next.waiters[i].at = WaiterAt::Take;
                steps.must(next, who, "sees tail moved");
            }
        }
        WaiterAt::Take => {
            waiter.at = WaiterAt::Enable;
            if segment.ring[0].task == waiter.task {
                take(scope, &mut next, i);
            }
            steps.must(next, who, "takes its reply out of the ring");
        }
        WaiterAt::Late => {
            waiter.at = WaiterAt::Enable;
            if let Some((slot, index)) = next.lanes[lane].place_of(next.waiters[i].task) {
                next.lanes[lane].driver.table[slot][index] = NONE;
                decide(scope, &mut next, i);
            }
            steps.must(next, who, "empties the entry, late");
        }
        WaiterAt::Enable => {
            segment.doorbell = true;
            // A waiter that wakes the driver anyway need not look.
            match waiter.wakes {
                true => waiter.at = WaiterAt::Wake,
                false if scope.keeps(Rule::EnableLooks) => waiter.at = WaiterAt::Look,
                false => resolve(&mut next, i),
            }
            steps.must(next, who, "enables the doorbell");
        }
        WaiterAt::Look => {
            match segment.has_replies() {
                true => waiter.at = WaiterAt::Wake,
                false => resolve(&mut next, i),
            }
            steps.must(next, who, "looks at the ring after it enabled the doorbell");
        }
        WaiterAt::Wake => {
            next.lanes[lane].driver.event = true;
            resolve(&mut next, i);
            steps.must(next, who, "wakes the driver");
        }
        WaiterAt::Decode => {
            let apart = waiter.apart;
            next.waiters[i].apart = next.access_slot(lane, apart, scope);
            if next.waiters[i].apart.is_done() {
                resolve(&mut next, i);
            }
            // For ever, if what it decodes waits for another task.
            steps.may(next, who, "copies from a result slot, and frees it");
        }
        WaiterAt::CutOff => {
            resolve(&mut next, i);
            steps.must(next, who, "leaves a segment that no driver serves");
        }
    }
}

/// It leaves, with the result or without.
fn resolve(next: &mut State, i: usize) {
    if !next.waiters[i].apart.is_done() && next.waiters[i].at != WaiterAt::CutOff {
        next.waiters[i].at = WaiterAt::Decode;
        return;
    }
    let Waiter { task, has, .. } = std::mem::take(&mut next.waiters[i]);
    if has {
        next.resolve(task, Outcome::Done);
    }
}

fn take(scope: &Scope, next: &mut State, i: usize) {
    let lane = next.waiters[i].lane as usize;
    next.waiters[i].has = true;
    let Some(reply) = next.lanes[lane].segment.take() else { return };
    next.waiters[i].apart = Apart::of(reply);
    if scope.lacks(Rule::HeadWithEntry) {
        next.waiters[i].at = WaiterAt::Late;
        return;
    }
    next.empty(lane, reply, scope);
    decide(scope, next, i);
}

/// D3 in the driver's place: if that would go to sleep and be idle, it is idle; else it is to be woken.
fn decide(scope: &Scope, next: &mut State, i: usize) {
    if scope.lacks(Rule::TakerDecides) {
        return;
    }
    let lane = next.waiters[i].lane as usize;
    let l = &next.lanes[lane];
    let stealable = scope.keeps(Rule::StealableWakes) && stealable(&next.lanes[1 - lane], scope) > 0;
    let sleeps = next.queued() == 0
        && !stealable
        && l.driver.kill.is_empty()
        && may_take(l, scope)
        && next.shutdown == Shutdown::No
        && l.in_flight() == 0;
    if sleeps {
        next.lanes[lane].driver.idle = true;
    } else {
        next.waiters[i].wakes = true;
    }
}

impl State {
    /// The worker of `lane` is reaped: its segment is nobody's now, and who direct_waits to it hears nothing more.
    pub(crate) fn cut_off(&mut self, lane: usize) {
        // What lies in its result slot is there as long as somebody maps it, and nobody writes there any more.
        for waiter in self.waiters.iter_mut().filter(|waiter| waiter.lane as usize == lane) {
            *waiter = match waiter.has {
                true => {
                    Waiter { at: WaiterAt::CutOff, lane: 0, wakes: false, apart: Apart::default(), ..*waiter }
                }
                false => Waiter::default(),
            };
        }
    }
}
