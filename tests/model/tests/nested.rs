//! Waits that nest, and hands, in every order of a few threads' steps: a small model of how the pool of threads counts them.
//!
//! `src/thread_pool/queue/` has the rule (`Section::leave`), who counts as blocked (`State::hold`) and what a worker takes along
//! (`Hand`); `waiting.rs` has the table of what a waiter does. Here they are written as steps over plain numbers, and every
//! reachable state of small programs is searched. A section of the pool's lock is one step, and so is what a worker takes
//! from its own hand. How many it takes along, and when a hand is old, is open: each choice is searched. Pushes that race with
//! a section and time limits are not in here, but in the models of `tests/loom`. That the search can fail is a test too: each [`Mutant`] takes a rule away.

use std::collections::HashSet;

/// What the code of a task, or of an initializer, does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Op {
    /// `blocking` begins.
    Hold,
    /// It ends.
    Release,
    /// Waits for what that task does, in a way that no pool can see (a channel).
    Gate(usize),
    /// `result()` of that task.
    Need(usize),
    /// A wait for it that is never run in place: with a time limit, or for any of several.
    Any(usize),
    /// Polls it, and sleeps in what polls: `block_on`.
    Poll(usize),
    /// Polls it once.
    Glance(usize),
    /// So many workers there may be from now on.
    Max(usize),
}
use Op::{Any, Gate, Glance, Hold, Max, Need, Poll, Release};

/// A rule taken away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mutant {
    None,
    /// Each wait counts, also one within another.
    CountsTwice,
    /// A task runs in place though its thread counts as blocked, and a spare is at work in its stead.
    InPlaceWhileBlocked,
    /// A task that a blocked waiter runs in place is not counted as active.
    NotActiveInPlace,
    /// A thread counts as coming while its initializer waits.
    WaitingStarterComes,
    /// A poll counts as nothing.
    PollsUncounted,
    /// What was polled stays counted when the task that polled has ended.
    PollsOutlive,
    /// A worker that is not initialized runs what it waits for.
    InPlaceWhileStarting,
    /// Nobody is told to help.
    NoHelp,
    /// A worker that waits keeps its hand.
    HandWhileBlocked,
    /// One that is too many does, and ends with it.
    HandOfSurplus,
    /// What lies in hands is not counted.
    HandsUncounted,
    /// A worker that goes on with its hand counts as coming back.
    ReturningWithAHand,
    /// Nobody takes of another's hand.
    NoStealing,
    /// A worker goes on with its hand though too many are active.
    NoAttention,
    /// A worker that was called still counts as one that rests.
    CalledStillRests,
    /// One whose time is up ends though it was called.
    CalledEnds,
    /// More workers may come, and nobody looks for what they could do.
    GrowsSilently,
}

struct Scope {
    name: &'static str,
    /// At first.
    max: usize,
    /// The system has no more threads.
    most_threads: usize,
    /// Tasks, all of them queued from the start in this order.
    tasks: &'static [&'static [Op]],
    /// What the initializer does in the first worker.
    initializer: &'static [Op],
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Phase {
    Queued,
    Running,
    Done,
}

/// One piece of user code on a thread's stack: a task, or the initializer (`None`).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Frame {
    task: Option<usize>,
    at: usize,
    /// In the wait of `at`.
    waits: bool,
    /// How many `blocking` are open.
    open: usize,
    /// What it polled and is not done.
    polled: Vec<usize>,
}

impl Frame {
    fn new(task: Option<usize>) -> Self {
        Frame { task, at: 0, waits: false, open: 0, polled: Vec::new() }
    }

    fn holds(&self) -> usize {
        usize::from(self.waits) + self.open + self.polled.len()
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Place {
    Looks {
        starting: bool,
        returning: bool,
        searcher: bool,
    },
    /// Is between two tasks of its hand.
    Goes,
    Searches,
    Rests,
    Runs(Vec<Frame>),
    Gone,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Thread {
    place: Place,
    starting: bool,
    helps: bool,
    /// Its bell: it is no longer among those that rest.
    called: bool,
    /// The oldest first.
    hand: Vec<usize>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    max: isize,
    threads: isize,
    blocked: isize,
    /// The last to rest at the end.
    resting: Vec<usize>,
    starting: isize,
    returning: isize,
    searching: bool,
    queue: Vec<usize>,
    urgent: Vec<usize>,
    phases: Vec<Phase>,
    all: Vec<Thread>,
}

struct Model<'a> {
    scope: &'a Scope,
    mutant: Mutant,
}

type Fault = String;

impl Model<'_> {
    fn first(&self) -> Result<State, Fault> {
        let tasks = self.scope.tasks.len();
        let mut state = State {
            max: self.scope.max as isize,
            threads: 0,
            blocked: 0,
            resting: Vec::new(),
            starting: 0,
            returning: 0,
            searching: false,
            queue: (0..tasks).collect(),
            urgent: Vec::new(),
            phases: vec![Phase::Queued; tasks],
            all: Vec::new(),
        };
        self.leave(&mut state)?;
        Ok(state)
    }

    fn active(state: &State) -> isize {
        state.threads - state.blocked - state.resting.len() as isize
    }

    fn can_start(&self, state: &State) -> bool {
        (state.threads as usize) < self.scope.most_threads
    }

    fn queued(state: &State) -> isize {
        let is_queued = |task: &&usize| state.phases[**task] == Phase::Queued;
        let in_hands = state.all.iter().flat_map(|thread| &thread.hand);
        state.queue.iter().chain(&state.urgent).chain(in_hands).filter(is_queued).count() as isize
    }

    /// As the rule counts.
    fn counted(&self, state: &State) -> isize {
        if self.mutant != Mutant::HandsUncounted {
            return Self::queued(state);
        }
        let mut state = state.clone();
        state.all.iter_mut().for_each(|thread| thread.hand.clear());
        Self::queued(&state)
    }

    /// A thread's hand goes back to the front.
    fn give_back(state: &mut State, thread: usize) {
        let mut tasks = std::mem::take(&mut state.all[thread].hand);
        tasks.append(&mut state.queue);
        state.queue = tasks;
    }

    fn is_stuck(&self, state: &State) -> bool {
        Self::active(state) == 0 && state.resting.is_empty() && !self.can_start(state)
    }

    /// The one rule.
    fn leave(&self, state: &mut State) -> Result<(), Fault> {
        if Self::active(state) < 0 {
            return Err("fewer than no threads are active".into());
        }
        let coming = state.starting + state.returning;
        if state.searching || Self::active(state) >= state.max || self.counted(state) <= coming {
            return Ok(());
        }
        if let Some(last) = state.resting.last().copied() {
            if self.mutant != Mutant::CalledStillRests {
                state.resting.pop();
            }
            state.all[last].called = true;
            state.searching = true;
        } else if self.can_start(state) {
            state.threads += 1;
            state.starting += 1;
            let place = if state.all.is_empty() && !self.scope.initializer.is_empty() {
                Place::Runs(vec![Frame::new(None)])
            } else {
                Place::Looks { starting: true, returning: false, searcher: false }
            };
            state.all.push(Thread { place, starting: true, helps: false, called: false, hand: Vec::new() });
        } else if self.is_stuck(state) && self.mutant != Mutant::NoHelp {
            state.all.iter_mut().for_each(|thread| thread.helps = true);
        }
        Ok(())
    }

    fn hold(&self, state: &mut State, thread: usize, before: usize) {
        if before == 0 || self.mutant == Mutant::CountsTwice {
            state.blocked += 1;
            if self.mutant != Mutant::HandWhileBlocked {
                Self::give_back(state, thread);
            }
            if state.all[thread].starting && self.mutant != Mutant::WaitingStarterComes {
                state.starting -= 1;
            }
        }
    }

    fn release(&self, state: &mut State, thread: usize, left: usize) {
        if left == 0 || self.mutant == Mutant::CountsTwice {
            state.blocked -= 1;
            if state.all[thread].starting && self.mutant != Mutant::WaitingStarterComes {
                state.starting += 1;
            }
        }
    }

    /// What must hold in every state, by what the threads really do.
    fn check(&self, state: &State) -> Result<(), Fault> {
        let is_active = |thread: &&Thread| match &thread.place {
            Place::Gone => false,
            // Whoever is called is counted before it runs.
            Place::Rests => thread.called,
            Place::Runs(frames) => frames.last().is_some_and(|top| top.holds() == 0),
            Place::Looks { .. } | Place::Searches | Place::Goes => true,
        };
        let active = state.all.iter().filter(is_active).count() as isize;
        if self.mutant != Mutant::PollsUncounted && active != Self::active(state) {
            return Err(format!("{active} threads are active, {} are counted", Self::active(state)));
        }
        let could_add = !state.resting.is_empty() || self.can_start(state);
        // Those that really come: what is counted is only believed.
        let comes = |thread: &&Thread| match &thread.place {
            Place::Looks { starting, returning, searcher } => *starting || *returning || *searcher,
            Place::Searches => true,
            Place::Runs(frames) => thread.starting && frames.last().is_some_and(|top| top.holds() == 0),
            Place::Rests => thread.called,
            Place::Goes | Place::Gone => false,
        };
        let coming = state.all.iter().filter(comes).count();
        if Self::queued(state) > 0 && Self::active(state) < state.max && could_add && coming == 0 {
            return Err("a task is queued, a worker could be added, and nobody is coming".into());
        }
        Ok(())
    }

    fn steps(&self, state: &State) -> Result<Vec<State>, Fault> {
        let mut next = Vec::new();
        for thread in 0..state.all.len() {
            self.steps_of(state, thread, &mut next)?;
        }
        Ok(next)
    }

    fn steps_of(&self, state: &State, thread: usize, next: &mut Vec<State>) -> Result<(), Fault> {
        let mut new = state.clone();
        match &state.all[thread].place {
            Place::Gone => {}
            Place::Looks { starting, returning, searcher } => {
                new.starting -= isize::from(*starting);
                new.returning -= isize::from(*returning);
                new.all[thread].starting = false;
                self.look(new, thread, *searcher, next)?;
            }
            Place::Searches => self.look(new, thread, true, next)?,
            Place::Goes => {
                let over = Self::active(state) > state.max;
                // Its hand may be old, or it is to look for another reason.
                let mut looks = state.clone();
                if self.mutant == Mutant::ReturningWithAHand {
                    looks.returning -= 1;
                }
                self.look(looks, thread, false, next)?;
                if !over || self.mutant == Mutant::NoAttention {
                    self.go_on(new, thread, next)?;
                }
            }
            Place::Rests => {
                let called = state.all[thread].called;
                if called && self.mutant != Mutant::CalledEnds {
                    new.all[thread].called = false;
                    new.all[thread].place =
                        Place::Looks { starting: false, returning: false, searcher: true };
                    next.push(new);
                } else if called || state.threads > state.max {
                    new.resting.retain(|resting| *resting != thread);
                    new.threads -= 1;
                    new.all[thread].place = Place::Gone;
                    new.all[thread].hand.clear();
                    self.leave(&mut new)?;
                    next.push(new);
                }
            }
            Place::Runs(frames) => {
                if let Some(new) = self.run(state, thread, frames)? {
                    next.push(new);
                }
            }
        }
        Ok(())
    }

    /// One look; each way in which it may end is one of the `next`.
    fn look(&self, state: State, thread: usize, searcher: bool, next: &mut Vec<State>) -> Result<(), Fault> {
        // Hands that have lain too long, or have not.
        let mut old = state.clone();
        for other in (0..state.all.len()).rev().filter(|other| !state.all[*other].hand.is_empty()) {
            Self::give_back(&mut old, other);
        }
        if state.max.max(self.scope.max as isize) > 1 && old != state {
            self.look_now(old, thread, searcher, next)?;
        }
        self.look_now(state, thread, searcher, next)
    }

    fn look_now(
        &self,
        mut state: State,
        thread: usize,
        searcher: bool,
        next: &mut Vec<State>,
    ) -> Result<(), Fault> {
        let over = Self::active(&state) > state.max;
        if over && self.mutant != Mutant::HandOfSurplus {
            Self::give_back(&mut state, thread);
        }
        let taken = if over { None } else { self.take(&mut state, thread)? };
        if let Some(task) = taken {
            state.phases[task] = Phase::Running;
            state.all[thread].place = Place::Runs(vec![Frame::new(Some(task))]);
            state.searching &= !searcher;
            let along = if state.all[thread].hand.is_empty() { state.queue.len().min(2) } else { 0 };
            for many in 0..=along {
                let mut state = state.clone();
                state.all[thread].hand.extend(state.queue.drain(..many));
                self.leave(&mut state)?;
                next.push(state);
            }
            return Ok(());
        }
        if !over && Self::queued(&state) > 0 {
            return Err("a worker finds nothing beside a queued task".into());
        }
        if !over && !state.searching {
            state.searching = true;
            state.all[thread].place = Place::Searches;
        } else {
            state.searching &= !searcher;
            state.resting.push(thread);
            state.all[thread].place = Place::Rests;
        }
        self.leave(&mut state)?;
        next.push(state);
        Ok(())
    }

    fn take(&self, state: &mut State, thread: usize) -> Result<Option<usize>, Fault> {
        loop {
            if let Some(task) = state.urgent.pop() {
                if state.phases[task] == Phase::Queued {
                    return Ok(Some(task));
                }
                continue;
            }
            let mut others = (0..state.all.len()).filter(|other| *other != thread);
            let other = others.find(|other| !state.all[*other].hand.is_empty());
            let task = if !state.all[thread].hand.is_empty() {
                state.all[thread].hand.remove(0)
            } else if !state.queue.is_empty() {
                state.queue.remove(0)
            } else if let Some(other) = other.filter(|_| self.mutant != Mutant::NoStealing) {
                let half = state.all[other].hand.len().div_ceil(2);
                let stolen: Vec<usize> = state.all[other].hand.drain(..half).collect();
                state.all[thread].hand = stolen;
                continue;
            } else {
                return Ok(None);
            };
            if state.phases[task] == Phase::Queued {
                self.check_order(state, task)?;
                return Ok(Some(task));
            }
        }
    }

    /// The next of its own hand, in no section.
    fn go_on(&self, mut state: State, thread: usize, next: &mut Vec<State>) -> Result<(), Fault> {
        if Self::active(&state) > state.max {
            return Err("a worker takes a task though too many are active".into());
        }
        while !state.all[thread].hand.is_empty() {
            let task = state.all[thread].hand.remove(0);
            if state.phases[task] == Phase::Queued {
                self.check_order(&state, task)?;
                state.phases[task] = Phase::Running;
                state.all[thread].place = Place::Runs(vec![Frame::new(Some(task))]);
                next.push(state);
                return Ok(());
            }
        }
        if self.mutant == Mutant::ReturningWithAHand {
            state.returning -= 1;
        }
        state.all[thread].place = Place::Looks { starting: false, returning: false, searcher: false };
        next.push(state);
        Ok(())
    }

    /// One worker begins tasks as they came.
    fn check_order(&self, state: &State, task: usize) -> Result<(), Fault> {
        let is_first = (0..task).all(|older| state.phases[older] != Phase::Queued);
        if self.scope.max == 1 && state.max == 1 && !is_first {
            return Err(format!("task {task} begins before an older one"));
        }
        Ok(())
    }

    /// The next step of the code on top of a thread's stack, if it can go on.
    fn run(&self, state: &State, thread: usize, frames: &[Frame]) -> Result<Option<State>, Fault> {
        let mut new = state.clone();
        let top = frames.last().expect("a frame");
        let program = top.task.map_or(self.scope.initializer, |task| self.scope.tasks[task]);
        let change = |new: &mut State, f: &dyn Fn(&mut Frame)| {
            if let Place::Runs(frames) = &mut new.all[thread].place {
                frames.last_mut().into_iter().for_each(f);
            }
        };
        let holds = top.holds();
        let starting = state.all[thread].starting;
        let Some(op) = program.get(top.at) else {
            return self.end(state, thread, frames).map(Some);
        };
        let may_run = |task: usize| state.phases[task] == Phase::Queued;
        match *op {
            Max(max) => {
                new.max = max as isize;
                change(&mut new, &|top| top.at += 1);
                if self.mutant == Mutant::GrowsSilently {
                    return Ok(Some(new));
                }
            }
            Hold => {
                self.hold(&mut new, thread, holds);
                change(&mut new, &|top| (top.open, top.at) = (top.open + 1, top.at + 1));
            }
            Release => {
                self.release(&mut new, thread, holds - 1);
                change(&mut new, &|top| (top.open, top.at) = (top.open - 1, top.at + 1));
            }
            Gate(task) => {
                if state.phases[task] != Phase::Done {
                    return Ok(None);
                }
                change(&mut new, &|top| top.at += 1);
            }
            Need(task) | Any(task) if top.waits => {
                if state.phases[task] == Phase::Done {
                    self.release(&mut new, thread, holds - 1);
                    change(&mut new, &|top| (top.waits, top.at) = (false, top.at + 1));
                } else if state.all[thread].helps && may_run(task) && !starting {
                    // It comes back from its wait, runs the task, and looks again.
                    self.release(&mut new, thread, holds - 1);
                    change(&mut new, &|top| top.waits = false);
                    self.run_above(&mut new, thread, task, holds - 1)?;
                } else {
                    return Ok(None);
                }
            }
            Need(task) | Any(task) => {
                let in_place = matches!(op, Need(_))
                    && may_run(task)
                    && (holds == 0 || self.mutant == Mutant::InPlaceWhileBlocked)
                    && (!starting || self.mutant == Mutant::InPlaceWhileStarting);
                if state.phases[task] == Phase::Done {
                    change(&mut new, &|top| top.at += 1);
                } else if in_place {
                    self.run_above(&mut new, thread, task, holds)?;
                } else {
                    self.offer(&mut new, task);
                    self.hold(&mut new, thread, holds);
                    change(&mut new, &|top| top.waits = true);
                }
            }
            Poll(task) | Glance(task) => {
                let is_polled = top.polled.contains(&task);
                if state.phases[task] == Phase::Done {
                    change(&mut new, &|top| top.at += 1);
                } else if !is_polled {
                    self.offer(&mut new, task);
                    if self.mutant != Mutant::PollsUncounted {
                        self.hold(&mut new, thread, holds);
                    }
                    let on = usize::from(matches!(op, Glance(_)));
                    change(&mut new, &|top| {
                        top.polled.push(task);
                        top.at += on;
                    });
                } else if state.all[thread].helps && may_run(task) && !starting {
                    self.run_above(&mut new, thread, task, holds)?;
                } else {
                    return Ok(None);
                }
            }
        }
        new.all[thread].helps &=
            matches!(new.all[thread].place, Place::Runs(ref now) if now.len() == frames.len());
        self.leave(&mut new)?;
        Ok(Some(new))
    }

    fn offer(&self, state: &mut State, task: usize) {
        if state.phases[task] == Phase::Queued && !state.urgent.contains(&task) {
            state.urgent.push(task);
        }
    }

    /// A waiter runs a task on top of its stack; the one below is in `holds` waits.
    fn run_above(&self, state: &mut State, thread: usize, task: usize, holds: usize) -> Result<(), Fault> {
        if state.all[thread].starting {
            return Err("a task runs in a worker that is not initialized".into());
        }
        let is_full = Self::active(state) >= state.max;
        if holds > 0 && is_full && !state.all[thread].helps {
            return Err("a waiter takes a task though as many as may be are active".into());
        }
        state.phases[task] = Phase::Running;
        if holds > 0 && self.mutant != Mutant::NotActiveInPlace {
            self.release(state, thread, 0);
        }
        if let Place::Runs(frames) = &mut state.all[thread].place {
            frames.push(Frame::new(Some(task)));
        }
        Ok(())
    }

    /// The code on top of the stack is over.
    fn end(&self, state: &State, thread: usize, frames: &[Frame]) -> Result<State, Fault> {
        let mut new = state.clone();
        let top = frames.last().expect("a frame");
        assert!(top.open == 0 && !top.waits, "a program closes what it opened");
        if !top.polled.is_empty()
            && self.mutant != Mutant::PollsOutlive
            && self.mutant != Mutant::PollsUncounted
        {
            self.release(&mut new, thread, 0);
        }
        let mut below = frames[..frames.len() - 1].to_vec();
        let Some(task) = top.task else {
            new.all[thread].place = Place::Looks { starting: true, returning: false, searcher: false };
            self.leave(&mut new)?;
            return Ok(new);
        };
        new.phases[task] = Phase::Done;
        if below.is_empty() {
            let goes_on = !new.all[thread].hand.is_empty();
            new.returning += isize::from(!goes_on || self.mutant == Mutant::ReturningWithAHand);
            new.all[thread].place = if goes_on {
                Place::Goes
            } else {
                Place::Looks { starting: false, returning: true, searcher: false }
            };
        } else {
            // Whatever polled this very task awaits it no more.
            below.last_mut().into_iter().for_each(|below| below.polled.retain(|polled| *polled != task));
            if below.last().is_some_and(|below| below.holds() > 0) && self.mutant != Mutant::NotActiveInPlace
            {
                self.hold(&mut new, thread, 0);
            }
            new.all[thread].place = Place::Runs(below);
        }
        // Published: what awaits it elsewhere is woken.
        for other in (0..new.all.len()).filter(|other| *other != thread) {
            let Place::Runs(frames) = &mut new.all[other].place else { continue };
            let depth = frames.len();
            for (level, frame) in frames.clone().into_iter().enumerate() {
                if !frame.polled.contains(&task) {
                    continue;
                }
                if let Place::Runs(frames) = &mut new.all[other].place {
                    frames[level].polled.retain(|polled| *polled != task);
                }
                if level + 1 == depth && self.mutant != Mutant::PollsUncounted {
                    self.release(&mut new, other, frame.holds() - 1);
                }
            }
        }
        self.leave(&mut new)?;
        Ok(new)
    }
}

/// Every reachable state; how many there are.
fn explore(scope: &Scope, mutant: Mutant) -> Result<usize, Fault> {
    let model = Model { scope, mutant };
    let first = model.first()?;
    let mut seen = HashSet::from([first.clone()]);
    let mut open = vec![first];
    while let Some(state) = open.pop() {
        let explain = |fault: Fault| format!("{}: {fault}\n{state:?}", scope.name);
        model.check(&state).map_err(explain)?;
        let next = model.steps(&state).map_err(explain)?;
        let is_over = state.phases.iter().all(|phase| *phase == Phase::Done);
        if next.is_empty() && !is_over {
            return Err(explain("nobody can go on, and not all is done".into()));
        }
        for state in next {
            if seen.insert(state.clone()) {
                open.push(state);
            }
        }
    }
    Ok(seen.len())
}

const fn scope(
    name: &'static str,
    max: usize,
    most_threads: usize,
    tasks: &'static [&'static [Op]],
) -> Scope {
    Scope { name, max, most_threads, tasks, initializer: &[] }
}

const fn starting(
    name: &'static str,
    max: usize,
    tasks: &'static [&'static [Op]],
    initializer: &'static [Op],
) -> Scope {
    Scope { name, max, most_threads: 4, tasks, initializer }
}

const SCOPES: &[Scope] = &[
    scope("blocking in blocking", 1, 4, &[&[Hold, Hold, Gate(1), Release, Release], &[], &[]]),
    scope("any-of in blocking", 1, 4, &[&[Hold, Any(1), Any(2), Release], &[], &[]]),
    scope("result in blocking", 1, 4, &[&[Hold, Need(1), Need(2), Release], &[], &[]]),
    scope(
        "result in blocking, two workers",
        2,
        5,
        &[&[Hold, Need(2), Release], &[Hold, Need(2), Release], &[], &[]],
    ),
    scope("result in blocking, no spare", 1, 1, &[&[Hold, Need(1), Release], &[Hold, Need(2), Release], &[]]),
    scope(
        "in place, then blocking",
        1,
        4,
        &[&[Need(1), Hold, Gate(2), Release], &[Hold, Gate(2), Release], &[]],
    ),
    scope("block_on", 1, 4, &[&[Poll(1), Poll(2)], &[Poll(2)], &[]]),
    scope("block_on, no spare", 1, 1, &[&[Poll(1)], &[Poll(2)], &[]]),
    scope("block_on of several", 1, 3, &[&[Glance(1), Glance(2), Poll(1), Poll(2)], &[], &[]]),
    scope(
        "block_on of several, no spare",
        1,
        1,
        &[&[Glance(1), Glance(2), Poll(2), Poll(1)], &[Need(2)], &[]],
    ),
    scope("polled and given up", 1, 4, &[&[Glance(2)], &[Glance(2), Hold, Gate(2), Release], &[]]),
    scope(
        "block_on in blocking",
        2,
        5,
        &[&[Hold, Poll(2), Hold, Gate(3), Release, Release], &[Poll(3)], &[], &[]],
    ),
    scope("a hand behind a long task", 2, 4, &[&[Gate(1)], &[], &[]]),
    scope("hands of several", 3, 4, &[&[], &[Gate(3)], &[Gate(4)], &[], &[]]),
    scope("a hand and blocking", 1, 3, &[&[], &[Hold, Gate(3), Release], &[], &[], &[]]),
    scope("a hand and waits", 2, 4, &[&[Any(2)], &[Need(3), Any(4)], &[], &[], &[]]),
    scope("a hand of one too many", 1, 3, &[&[Hold, Gate(1), Release], &[], &[], &[], &[]]),
    scope("more workers", 1, 4, &[&[Max(3), Gate(2)], &[Gate(2)], &[]]),
    scope("fewer workers", 3, 4, &[&[Max(1)], &[Need(2)], &[], &[]]),
    scope("fewer workers, which wait", 2, 4, &[&[Hold, Max(1), Gate(2), Release], &[Any(3)], &[], &[]]),
    scope("more and fewer workers", 2, 4, &[&[Max(1), Max(3), Gate(3)], &[Max(2)], &[], &[]]),
    starting("an initializer in blocking", 1, &[&[]], &[Hold, Hold, Gate(0), Release, Release]),
    starting("an initializer that needs a task", 1, &[&[], &[]], &[Need(1), Need(0)]),
    starting("an initializer that polls a task", 2, &[&[], &[Need(2)], &[]], &[Poll(1)]),
];

#[test]
fn a_thread_counts_once_however_its_waits_nest() {
    for scope in SCOPES {
        let states = explore(scope, Mutant::None).unwrap_or_else(|fault| panic!("{fault}"));
        assert!(states > 5, "{}: only {states} states", scope.name);
    }
}

#[test]
fn a_rule_that_is_taken_away_is_missed() {
    let mutants = [
        Mutant::CountsTwice,
        Mutant::InPlaceWhileBlocked,
        Mutant::NotActiveInPlace,
        Mutant::WaitingStarterComes,
        Mutant::PollsUncounted,
        Mutant::PollsOutlive,
        Mutant::InPlaceWhileStarting,
        Mutant::NoHelp,
        Mutant::HandWhileBlocked,
        Mutant::HandOfSurplus,
        Mutant::HandsUncounted,
        Mutant::ReturningWithAHand,
        Mutant::NoStealing,
        Mutant::NoAttention,
        Mutant::CalledStillRests,
        Mutant::CalledEnds,
        Mutant::GrowsSilently,
    ];
    let survivors: Vec<_> = mutants
        .into_iter()
        .filter(|mutant| SCOPES.iter().all(|scope| explore(scope, *mutant).is_ok()))
        .collect();
    assert!(survivors.is_empty(), "nobody misses {survivors:?}");
}
