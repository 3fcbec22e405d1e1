//! A step, and who wakes by it.

use super::dispatcher;
use super::rules::{Rule, Scope};
use super::state::{Call, Driver, DriverAt, LANES, Life, Shutdown, State, WaiterAt};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    User,
    Driver(usize),
    Worker(usize),
    Waiter(usize),
}

pub(crate) struct Step {
    pub(crate) next: State,
    /// Sooner or later it happens. Otherwise it is of the world outside: users, their functions, hello, other signals.
    pub(crate) must: bool,
    pub(crate) who: Who,
    pub(crate) what: &'static str,
}

/// The steps that one state allows.
pub(crate) struct Steps<'a> {
    scope: &'a Scope,
    pub(crate) all: Vec<Step>,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(scope: &'a Scope) -> Self {
        Steps { scope, all: Vec::new() }
    }

    pub(crate) fn must(&mut self, next: State, who: Who, what: &'static str) {
        self.add(next, true, who, what);
    }

    pub(crate) fn may(&mut self, next: State, who: Who, what: &'static str) {
        self.add(next, false, who, what);
    }

    /// Whom a step wakes: idle drivers, any of them; where there are none, vacant places get a driver.
    fn add(&mut self, mut next: State, must: bool, who: Who, what: &'static str) {
        let wakes = std::mem::take(&mut next.wakes);
        let starts = !std::mem::take(&mut next.only_idle);
        if wakes == 0 {
            return self.all.push(Step { next: in_order(next), must, who, what });
        }
        let mut choices = vec![next];
        for _ in 0..wakes {
            choices = choices.iter().flat_map(|state| self.wake_one(state, starts)).collect();
        }
        self.all.extend(choices.into_iter().map(|next| Step { next: in_order(next), must, who, what }));
    }

    /// The states after one wake-up; one that wakes nobody is one too.
    fn wake_one(&self, state: &State, starts: bool) -> Vec<State> {
        let sleeps = |driver: &Driver| {
            driver.idle
                || self.scope.lacks(Rule::SubmitWakesIdle) && driver.at == DriverAt::Sleep && !driver.event
        };
        let choose = |state: &State, lane: usize| {
            let mut next = *state;
            next.lanes[lane].driver.idle = false;
            next.lanes[lane].driver.event = true;
            next
        };
        let idle: Vec<State> = (0..LANES)
            .filter(|&lane| sleeps(&state.lanes[lane].driver))
            .map(|lane| choose(state, lane))
            .collect();
        if !idle.is_empty() {
            return idle;
        }
        let mut next = *state;
        if state.shutdown != Shutdown::No && self.scope.lacks(Rule::RespawnWhileQueued) {
            return vec![next];
        }
        if state.may_start(self.scope)
            && let Some(vacant) = next.lanes.iter_mut().find(|lane| lane.driver.at == DriverAt::End)
        {
            *vacant = dispatcher::fresh(Life::Starting);
            if !starts {
                vacant.driver.at = DriverAt::Forgotten;
                vacant.process.life = Life::Gone;
            }
        }
        vec![next]
    }
}

/// The two lanes are alike, and so are waiters: of two states that differ in their order, one stands for both.
fn in_order(mut state: State) -> State {
    if state.lanes[0] > state.lanes[1] {
        state.lanes.swap(0, 1);
        for waiter in state.waiters.iter_mut().filter(|waiter| waiter.at != WaiterAt::Away) {
            waiter.lane ^= 1;
        }
        match &mut state.call {
            Call::Flush { lane }
            | Call::Signal { lane, .. }
            | Call::Store { lane, .. }
            | Call::Steal { lane, .. } => *lane ^= 1,
            Call::None => {}
        }
    }
    state.waiters.sort_unstable();
    state
}
