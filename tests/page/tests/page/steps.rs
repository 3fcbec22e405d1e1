//! A step, and who wakes by it.

use super::rules::{Rule, Scope};
use super::state::{Call, DriverAt, LANES, State};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    User,
    Driver(usize),
    Worker(usize),
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

    /// A step that wakes idle drivers, but not all of them, is one step for each choice.
    fn add(&mut self, mut next: State, must: bool, who: Who, what: &'static str) {
        let wakes = std::mem::take(&mut next.wakes) as usize;
        let sleepers = |state: &State, lane: usize| {
            let driver = &state.lanes[lane].driver;
            driver.idle || self.scope.lacks(Rule::SubmitWakesIdle) && driver.at == DriverAt::Sleep
        };
        let idle: [bool; LANES] = [sleepers(&next, 0), sleepers(&next, 1)];
        let wake = |mut state: State, lanes: [bool; LANES]| {
            for (lane, _) in lanes.iter().enumerate().filter(|&(_, woken)| *woken) {
                state.lanes[lane].driver.idle = false;
                state.lanes[lane].driver.event = true;
            }
            Step { next: in_order(state), must, who, what }
        };
        if wakes == 1 && idle == [true; LANES] {
            self.all.push(wake(next, [true, false]));
            self.all.push(wake(next, [false, true]));
        } else if wakes > 0 {
            self.all.push(wake(next, idle));
        } else {
            self.all.push(wake(next, [false; LANES]));
        }
    }
}

/// The two lanes are alike: of two states that differ in their order, one stands for both.
fn in_order(mut state: State) -> State {
    if state.lanes[0] > state.lanes[1] {
        state.lanes.swap(0, 1);
        match &mut state.call {
            Call::Signal { lane, .. } | Call::Store { lane, .. } => *lane ^= 1,
            Call::None => {}
        }
    }
    state
}
