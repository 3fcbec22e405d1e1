//! What must hold: in each state, in each where only the world outside can go on, and at the end.

use super::driver;
use super::rules::Scope;
use super::state::{DriverAt, Item, LANES, Life, NONE, Outcome, Set, Shutdown, State, WorkerAt};
use std::fmt;

/// A property, named by what its violation looks like.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Property {
    BeginsTwice,
    ResolvedTwice,
    WrongLoss,
    WrongVictim,
    BeginsResolved,
    CancelRefused,
    BeginsAfterShutdown,
    ArgumentGone,
    WrongFuture,
    NotInFrame,
    WrongValues,
    Sleeps,
    Livelock,
    KillIgnored,
    AskUnseen,
    AskMistaken,
    ClockStands,
    Lost,
    NeverEnds,
    /// Not the protocol's: an array of the model is too short.
    Overflow,
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Property::BeginsTwice => "a task begins twice without a retry",
            Property::ResolvedTwice => "a future is resolved twice",
            Property::WrongLoss => "a death costs the wrong task, or a result is invented",
            Property::WrongVictim => "a kill hits another task",
            Property::BeginsResolved => "a task begins though cancelled or resolved",
            Property::CancelRefused => "cancel() is refused though the task never begins",
            Property::BeginsAfterShutdown => "a task begins after shutdown(cancel) returned",
            Property::ArgumentGone => "a task is shipped and its argument is gone",
            Property::WrongFuture => "a result reaches another future",
            Property::NotInFrame => "a worker begins what its frame doesn't hold",
            Property::WrongValues => "a result is read and its large values are not there",
            Property::Sleeps => "work is there and all who could do it sleep",
            Property::Livelock => "steps without end that get nowhere",
            Property::KillIgnored => "a kill of a running task has no effect",
            Property::AskUnseen => "a running task was asked to stop and doesn't see it",
            Property::AskMistaken => "a task sees a stop that was asked of another",
            Property::ClockStands => "a task with a time limit runs and its clock doesn't",
            Property::Lost => "a task is never resolved",
            Property::NeverEnds => "after a shutdown something never ends",
            Property::Overflow => "the model's arrays are too short",
        })
    }
}

/// Nothing is left that must happen: calls of users, a function's return, hello and signals from outside may stay away
/// for ever. So nobody may sleep on work.
pub(crate) fn at_rest(scope: &Scope, state: &State) -> Result<(), Property> {
    for (i, lane) in state.lanes.iter().enumerate() {
        let other = &state.lanes[1 - i];
        let waiting =
            lane.socket.up[0] != Item::Nothing || lane.segment.has_replies() || lane.driver.collected != NONE;
        let unseen_death = lane.process.life == Life::Gone && lane.driver.at != DriverAt::End;
        let stuck = lane.in_flight() > 0 && !lane.process.runs();
        if waiting || unseen_death || stuck {
            return Err(Property::Sleeps);
        }
        let could_work = lane.process.life == Life::Up
            && lane.driver.at != DriverAt::End
            && !lane.socket.closed
            && !lane.driver.kill_sent
            && lane.in_flight() == 0;
        let steals = driver::stealable(other, scope) > 0 && state.shutdown != Shutdown::Cancel;
        if could_work && (state.queued() > 0 || steals && driver::room(lane, scope) > 0) {
            return Err(Property::Sleeps);
        }
        let starting = u8::from(other.driver.at == DriverAt::Start);
        if lane.driver.at == DriverAt::End && state.may_start(scope) && state.queued() > starting {
            return Err(Property::Sleeps);
        }
        let task = lane.process.task();
        if lane.process.runs() && scope.limited.has(task) && !lane.driver.clocked.has(task) {
            return Err(Property::ClockStands);
        }
        let sees = lane.segment.asked[lane.process.frame.slot as usize] == lane.process.index + 1;
        if lane.process.runs() && sees != state.asked.has(task) {
            return Err(if sees { Property::AskMistaken } else { Property::AskUnseen });
        }
    }
    let goes_on = |i: usize| state.lanes[i].process.runs() || state.lanes[i].driver.at == DriverAt::Start;
    if state.shutdown != Shutdown::No && !(0..LANES).any(goes_on) && !ended(state) {
        return Err(Property::NeverEnds);
    }
    let open = |task| state.outcome[task as usize] == Outcome::Open;
    let in_hand = |task| state.waiters.iter().any(|waiter| waiter.has && waiter.task == task);
    if (1..=state.submitted).any(|task| state.killed.has(task) && open(task) && !in_hand(task)) {
        return Err(Property::KillIgnored);
    }
    Ok(())
}

/// Nothing can happen any more.
pub(crate) fn at_end(state: &State) -> Result<(), Property> {
    if (1..=state.submitted as usize).any(|task| state.outcome[task] == Outcome::Open) {
        Err(Property::Lost)
    } else if ended(state) {
        Ok(())
    } else {
        Err(Property::NeverEnds)
    }
}

fn ended(state: &State) -> bool {
    state.lanes.iter().all(|lane| lane.driver.at == DriverAt::End && lane.process.life == Life::Gone)
}

impl State {
    /// The first thing that goes wrong is what counts.
    pub(crate) fn violate(&mut self, property: Property) {
        self.broken.get_or_insert(property);
    }

    /// A worker begins `task`.
    pub(crate) fn check_begin(&mut self, task: u8) {
        if task == NONE {
            return self.violate(Property::NotInFrame);
        }
        let i = task as usize;
        if self.outcome[i] != Outcome::Open {
            self.violate(Property::BeginsResolved);
        }
        if self.begins[i] > u8::from(self.retried.has(task)) {
            self.violate(Property::BeginsTwice);
        }
        if self.closed {
            self.violate(Property::BeginsAfterShutdown);
        }
        self.begins[i] += 1;
    }

    /// A future is about to be resolved.
    pub(crate) fn check_resolve(&mut self, task: u8, outcome: Outcome) {
        let replied = self.replied.has(task);
        let begun = self.begins[task as usize] > 0;
        if self.outcome[task as usize] != Outcome::Open {
            self.violate(Property::ResolvedTwice);
        } else if outcome == Outcome::Done && !replied || outcome == Outcome::Died && (replied || !begun) {
            self.violate(Property::WrongLoss);
        }
    }

    /// A SIGKILL of a driver's arrives.
    pub(crate) fn check_signal(&mut self, lane: usize) {
        let process = &self.lanes[lane].process;
        let in_hand = !matches!(process.at, WorkerAt::Read | WorkerAt::Begin);
        if in_hand && process.task() != process.signal {
            self.violate(Property::WrongVictim);
        }
    }

    /// `cancel()` is about to say false.
    pub(crate) fn check_refusal(&mut self, task: u8) {
        if self.begins[task as usize] == 0 {
            self.violate(Property::CancelRefused);
        }
    }

    /// A task is shipped, or its bytes are written.
    pub(crate) fn check_argument(&mut self, task: u8, freed: Set) {
        if freed.has(task) {
            self.violate(Property::ArgumentGone);
        }
    }
}
