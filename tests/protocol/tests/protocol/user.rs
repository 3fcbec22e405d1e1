//! The users' threads: submit, cancel, kill, shutdown. One step is one critical section.

use super::dispatcher::Cancelled;
use super::driver::may_take;
use super::rules::{Rule, Scope};
use super::state::{Call, LANES, Lane, Life, NONE, Outcome, SLOTS, Shutdown, State, Task};
use super::steps::{Steps, Who};

pub(crate) fn steps(scope: &Scope, state: &State, steps: &mut Steps<'_>) {
    if let Call::Flush { lane } = state.call {
        flush(scope, *state, lane as usize, steps);
        if scope.without.is_some() {
            return;
        }
    } else if state.call != Call::None {
        return finish_call(scope, *state, steps);
    }
    if state.shutdown == Shutdown::Cancel && !state.closed {
        cancel_shipped(scope, *state, steps);
    }
    if state.submitted < scope.tasks && state.shutdown == Shutdown::No {
        let mut next = *state;
        next.submitted += 1;
        next.push_back(next.submitted);
        next.wakes = 1;
        steps.may(next, Who::User, "submits");
        submit_to_idle(scope, *state, steps);
    }
    if state.shutdown == Shutdown::No {
        let open = state.outcome[1..=scope.tasks as usize].contains(&Outcome::Open);
        if scope.may_drain && !(scope.drains_late && open) {
            let mut next = *state;
            next.shutdown = Shutdown::Drain;
            wake_all(scope, &mut next);
            steps.may(next, Who::User, "calls shutdown(drain)");
        }
        if scope.may_cancel_all {
            let mut next = *state;
            next.shutdown = Shutdown::Cancel;
            while next.queue[0] != NONE {
                let task = next.pop();
                next.resolve(task, Outcome::Cancelled);
            }
            steps.may(next, Who::User, "calls shutdown(cancel)");
        }
    }
    for task in (1..=state.submitted).filter(|&task| state.outcome[task as usize] == Outcome::Open) {
        if state.cancels > 0 {
            cancel(scope, *state, task, steps);
        }
        if state.kills > 0 && !state.killed.has(task) {
            kill(scope, *state, task, steps);
        }
        if state.asks > 0 && !state.asked.has(task) {
            ask(scope, *state, task, steps);
        }
    }
}

/// The queue is empty and a worker has nothing to do: the thread ships the task itself, and nobody is woken.
fn submit_to_idle(scope: &Scope, state: State, steps: &mut Steps<'_>) {
    if state.queued() > 0 || state.call != Call::None {
        return;
    }
    let fits = |lane: &Lane| lane.driver.idle && lane.in_flight() == 0 && may_take(lane, scope);
    for lane in (0..LANES).filter(|&lane| fits(&state.lanes[lane])) {
        let mut next = state;
        next.submitted += 1;
        next.lanes[lane].driver.idle = false;
        next.ship(lane, [next.submitted, NONE], scope);
        next.call = Call::Flush { lane: lane as u8 };
        steps.may(next, Who::User, "submits to an idle worker");
    }
}

/// Sends what the socket takes; the rest is the driver's.
fn flush(scope: &Scope, mut next: State, lane: usize, steps: &mut Steps<'_>) {
    let Lane { socket, driver, .. } = &mut next.lanes[lane];
    if socket.out > 0 && socket.down < scope.buffer {
        socket.out -= 1;
        socket.down += 1;
        return steps.must(next, Who::User, "writes half a frame");
    }
    driver.event |= socket.out > 0 && scope.keeps(Rule::RestWakes);
    next.call = Call::None;
    steps.must(next, Who::User, "has submitted");
}

fn cancel(scope: &Scope, mut next: State, task: Task, steps: &mut Steps<'_>) {
    next.cancels -= 1;
    let place = (0..LANES).find_map(|lane| next.lanes[lane].place_of(task).map(|place| (lane, place)));
    if let Some((lane, (slot, index))) = place
        && scope.lacks(Rule::CancelByCas)
        && index as u8 >= next.lanes[lane].segment.claim[slot].begun
    {
        next.call = Call::Store { lane: lane as u8, slot: slot as u8, index: index as u8 };
        return steps.may(next, Who::User, "loads a claim to cancel");
    }
    let outcome = next.cancel(task, scope);
    next.only_idle = scope.lacks(Rule::StartsAreKept);
    match outcome {
        Cancelled::Yes => {}
        Cancelled::Began { .. } | Cancelled::Gone => next.check_refusal(task),
    }
    steps.may(next, Who::User, "cancels a task");
}

fn kill(scope: &Scope, mut next: State, task: Task, steps: &mut Steps<'_>) {
    next.kills -= 1;
    next.killed.add(task);
    let shipped = (0..LANES).find(|&lane| next.lanes[lane].place_of(task).is_some());
    let target = match shipped {
        Some(lane) if scope.lacks(Rule::KillRecalls) => Cancelled::Began { lane },
        _ => next.cancel(task, scope),
    };
    if let Cancelled::Began { lane } = target {
        if scope.lacks(Rule::DriverSignals) {
            for slot in 0..SLOTS {
                let back = next.recall(lane, slot, 0, scope);
                next.requeue(&back, scope);
            }
            next.call = Call::Signal { lane: lane as u8, task };
        } else {
            let driver = &mut next.lanes[lane].driver;
            if scope.lacks(Rule::KillsAreASet) {
                driver.kill = Default::default();
            }
            driver.kill.add(task);
            driver.event = true;
        }
    }
    steps.may(next, Who::User, "kills a task");
}

fn ask(scope: &Scope, mut next: State, task: Task, steps: &mut Steps<'_>) {
    next.asks -= 1;
    if let Cancelled::Began { lane } = next.cancel(task, scope)
        && let Some((slot, index)) = next.lanes[lane].place_of(task)
    {
        let (word, asked) = (&mut next.lanes[lane].segment.asked[slot], index as u8 + 1);
        *word = if scope.keeps(Rule::AskRises) { asked.max(*word) } else { asked };
        next.asked.add(task);
    }
    steps.may(next, Who::User, "asks a task to stop");
}

/// Slot after slot, each in a section of its own; then everyone is woken and the call returns.
fn cancel_shipped(scope: &Scope, mut next: State, steps: &mut Steps<'_>) {
    let places = [(0, 0), (0, 1), (1, 0), (1, 1)];
    let shipped = places.into_iter().find(|&(lane, slot)| next.lanes[lane].segment.claim[slot].unbegun() > 0);
    match shipped {
        Some((lane, slot)) if scope.keeps(Rule::CancelRecalls) => {
            for task in next.recall(lane, slot, 0, scope) {
                if task != NONE {
                    next.resolve(task, Outcome::Cancelled);
                }
            }
            steps.must(next, Who::User, "recalls a slot in shutdown(cancel)");
        }
        _ => {
            next.closed = true;
            wake_all(scope, &mut next);
            steps.must(next, Who::User, "returns from shutdown(cancel)");
        }
    }
}

fn wake_all(scope: &Scope, next: &mut State) {
    for lane in &mut next.lanes {
        lane.driver.event |= scope.keeps(Rule::ShutdownWakes);
    }
}

/// The second half of what a broken rule has torn in two.
fn finish_call(scope: &Scope, mut next: State, steps: &mut Steps<'_>) {
    match std::mem::take(&mut next.call) {
        Call::None | Call::Flush { .. } | Call::Steal { .. } => {}
        Call::Signal { lane, task } => {
            let process = &mut next.lanes[lane as usize].process;
            if process.life == Life::Up {
                process.signal = task;
            }
            steps.must(next, Who::User, "sends the signal itself");
        }
        Call::Store { lane, slot, index } => {
            let lane = &mut next.lanes[lane as usize];
            let mut back = lane.driver.table[slot as usize];
            lane.driver.table[slot as usize] = [NONE; 2];
            lane.segment.claim[slot as usize].limit = index;
            if index == 1 {
                lane.driver.table[slot as usize][0] = back[0];
                back[0] = NONE;
            }
            let task = std::mem::replace(&mut back[index as usize], NONE);
            if task != NONE {
                next.resolve(task, Outcome::Cancelled);
            }
            next.requeue(&back, scope);
            steps.must(next, Who::User, "stores the limit it computed");
        }
    }
}
