//! A thread that waits for a task and listens from outside: it hears the reply itself, and the driver sleeps on. One
//! step is one access to the page or the eventfd, or one critical section. It may give up at any time.

use super::driver::{loot, may_take};
use super::rules::{Rule, Scope};
use super::state::{DriverAt, NONE, Outcome, Shutdown, State, Waiter, WaiterAt};
use super::steps::{Steps, Who};

pub(crate) fn steps(scope: &Scope, state: &State, steps: &mut Steps<'_>) {
    if state.listens > 0
        && let Some(free) = state.waiters.iter().position(|waiter| waiter.at == WaiterAt::Away)
    {
        find(state, free, steps);
    }
    for i in 0..state.waiters.len() {
        listen(scope, *state, i, steps);
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
        next.listens -= 1;
        next.waiters[free] = Waiter { at: WaiterAt::Found, lane: i as u8, task, ..Waiter::default() };
        steps.may(next, Who::Waiter(free), "finds task and page");
    }
}

fn listen(scope: &Scope, mut next: State, i: usize, steps: &mut Steps<'_>) {
    let who = Who::Waiter(i);
    let waiter = &mut next.waiters[i];
    let lane = waiter.lane as usize;
    let page = &mut next.lanes[lane].page;
    match waiter.at {
        WaiterAt::Away => {}
        WaiterAt::Found => {
            if std::mem::take(&mut page.want) || scope.lacks(Rule::OneListener) {
                waiter.at = WaiterAt::Listen;
            } else {
                *waiter = Waiter::default();
            }
            steps.must(next, who, "swaps want");
        }
        WaiterAt::Listen => {
            let moved = page.has_news();
            waiter.at = WaiterAt::HangUp;
            steps.must(next, who, "gives up");
            if moved {
                next.waiters[i].at = WaiterAt::Take;
                steps.must(next, who, "sees tail moved");
            }
        }
        WaiterAt::Take => {
            waiter.at = WaiterAt::HangUp;
            if page.ring[0].task == waiter.task {
                take(scope, &mut next, i);
            }
            steps.must(next, who, "takes its reply out of the ring");
        }
        WaiterAt::Late => {
            waiter.at = WaiterAt::HangUp;
            if let Some((slot, index)) = next.lanes[lane].place_of(next.waiters[i].task) {
                next.lanes[lane].driver.table[slot][index] = NONE;
                decide(scope, &mut next, i);
            }
            steps.must(next, who, "empties the entry, late");
        }
        WaiterAt::HangUp => {
            page.want = true;
            // Who rings anyway need not look.
            match waiter.rings {
                true => waiter.at = WaiterAt::Ring,
                false if scope.keeps(Rule::HangUpLooks) => waiter.at = WaiterAt::Look,
                false => resolve(&mut next, i),
            }
            steps.must(next, who, "hangs up");
        }
        WaiterAt::Look => {
            match page.has_news() {
                true => waiter.at = WaiterAt::Ring,
                false => resolve(&mut next, i),
            }
            steps.must(next, who, "looks at the ring after it hung up");
        }
        WaiterAt::Ring => {
            next.lanes[lane].driver.event = true;
            resolve(&mut next, i);
            steps.must(next, who, "rings the driver");
        }
        WaiterAt::CutOff => {
            resolve(&mut next, i);
            steps.must(next, who, "hangs up, and the page is nobody's");
        }
    }
}

/// It has hung up, and goes: with the result or without.
fn resolve(next: &mut State, i: usize) {
    let Waiter { task, has, .. } = std::mem::take(&mut next.waiters[i]);
    if has {
        next.resolve(task, Outcome::Done);
    }
}

fn take(scope: &Scope, next: &mut State, i: usize) {
    let lane = next.waiters[i].lane as usize;
    next.waiters[i].has = true;
    let Some(reply) = next.lanes[lane].page.take() else { return };
    if scope.lacks(Rule::HeadWithEntry) {
        next.waiters[i].at = WaiterAt::Late;
        return;
    }
    next.empty(lane, reply, scope);
    decide(scope, next, i);
}

/// D3 in the driver's place: if that would go to sleep and be idle, it is idle; else it is to be rung.
fn decide(scope: &Scope, next: &mut State, i: usize) {
    if scope.lacks(Rule::TakerDecides) {
        return;
    }
    let lane = next.waiters[i].lane as usize;
    let l = &next.lanes[lane];
    let loot = scope.keeps(Rule::LootRings) && loot(&next.lanes[1 - lane], scope) > 0;
    let sleeps = next.queued() == 0
        && !loot
        && l.driver.kill.is_empty()
        && may_take(l, scope)
        && next.shutdown == Shutdown::No
        && l.in_flight() == 0;
    if sleeps {
        next.lanes[lane].driver.idle = true;
    } else {
        next.waiters[i].rings = true;
    }
}

impl State {
    /// The worker of `lane` is judged: its page is nobody's now, and who listens to it hears nothing more.
    pub(crate) fn cut_off(&mut self, lane: usize) {
        for waiter in self.waiters.iter_mut().filter(|waiter| waiter.lane as usize == lane) {
            *waiter = match waiter.has {
                true => Waiter { at: WaiterAt::CutOff, lane: 0, rings: false, ..*waiter },
                false => Waiter::default(),
            };
        }
    }
}
