//! The search: breadth first over every reachable state, then a look for cycles.

use super::checks::{self, Property};
use super::rules::Scope;
use super::state::{Call, Life, State};
use super::steps::Steps;
use super::{dispatcher, driver, user, waiter, worker};
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};

/// What a search saw.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    /// States where only the world outside can go on.
    pub(crate) at_rest: usize,
    pub(crate) ends: usize,
    pub(crate) violation: Option<Violation>,
}

#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) property: Property,
    /// The steps that lead there; no other way has fewer.
    pub(crate) trace: String,
}

/// Every state that `scope` allows, or up to the first violation. Gives up, loudly, beyond `most` states.
pub(crate) fn explore(scope: &Scope, most: usize) -> Found {
    let mut known = Known::default();
    known.add(initial(scope), NOWHERE);
    let mut found = Found { states: 0, steps: 0, at_rest: 0, ends: 0, violation: None };
    // The steps that must happen, for the look at cycles: those of state i end at `ends[i]`.
    let (mut edges, mut ends) = (Vec::new(), Vec::new());
    let mut steps = Steps::new(scope);
    let mut i = 0;
    while i < known.states.len() {
        assert!(known.states.len() <= most, "{}: more than {most} states", scope.name);
        let state = known.states[i];
        successors(scope, &state, &mut steps);
        found.steps += steps.all.len();
        let rests = steps.all.iter().all(|step| !step.must);
        found.at_rest += usize::from(rests);
        found.ends += usize::from(steps.all.is_empty());
        if let Err(property) = check(scope, &state, rests, steps.all.is_empty()) {
            found.violation = Some(Violation { property, trace: known.trace(scope, i) });
            break;
        }
        for step in &steps.all {
            let to = known.add(step.next, i as u32);
            if step.must {
                edges.push(to);
            }
        }
        ends.push(edges.len());
        i += 1;
        // Now and then, so that a cycle need not wait for the end, which may be far when there is one.
        if (i == known.states.len() || i.is_power_of_two())
            && let Some(state) = cycle(&edges, &ends, known.states.len())
        {
            let trace = known.trace(scope, state);
            found.violation = Some(Violation { property: Property::Livelock, trace });
            break;
        }
    }
    found.states = known.states.len();
    found
}

fn initial(scope: &Scope) -> State {
    let of = |place| {
        if scope.queued > 0 && place < scope.workers {
            dispatcher::fresh(Life::Up)
        } else {
            dispatcher::vacant()
        }
    };
    let mut state = State {
        lanes: std::array::from_fn(of),
        submitted: scope.queued,
        sigkills: scope.sigkills,
        cancels: scope.cancels,
        kills: scope.kills,
        asks: scope.asks,
        direct_waits: scope.direct_waits,
        ..State::default()
    };
    (1..=scope.queued).for_each(|task| state.push_back(task));
    state
}

fn successors(scope: &Scope, state: &State, steps: &mut Steps<'_>) {
    steps.all.clear();
    if let Call::Steal { .. } = state.call {
        // Somebody holds the dispatcher over two steps: only the workers go on.
        (0..state.lanes.len()).for_each(|lane| worker::steps(scope, state, lane, steps));
        return driver::steal_on(scope, *state, steps);
    }
    for lane in 0..state.lanes.len() {
        worker::steps(scope, state, lane, steps);
        driver::steps(scope, state, lane, steps);
    }
    user::steps(scope, state, steps);
    waiter::steps(scope, state, steps);
}

fn check(scope: &Scope, state: &State, rests: bool, ends: bool) -> Result<(), Property> {
    if let Some(property) = state.broken {
        return Err(property);
    }
    if ends {
        checks::at_end(state)?;
    }
    if rests { checks::at_rest(scope, state) } else { Ok(()) }
}

/// A state on a cycle of steps that must happen: those could go on for ever. Of `states` states the first `ends.len()`
/// have their steps in `edges`.
fn cycle(edges: &[u32], ends: &[usize], states: usize) -> Option<usize> {
    let of = |state: usize| match state {
        0 => 0..ends[0],
        _ if state < ends.len() => ends[state - 1]..ends[state],
        _ => 0..0,
    };
    // The same steps by where they end: those to state i are `before[starts[i]..starts[i + 1]]`.
    let mut starts = vec![0u32; states + 1];
    edges.iter().for_each(|&to| starts[to as usize + 1] += 1);
    (0..states).for_each(|i| starts[i + 1] += starts[i]);
    let (mut before, mut filled) = (vec![0u32; edges.len()], starts.clone());
    for state in 0..ends.len() {
        for &to in &edges[of(state)] {
            before[filled[to as usize] as usize] = state as u32;
            filled[to as usize] += 1;
        }
    }
    // A state without a step is on no cycle, and its removal takes steps from others, until there is nothing to remove.
    let mut left: Vec<u32> = (0..states).map(|state| of(state).len() as u32).collect();
    let mut free: Vec<u32> = (0..states as u32).filter(|&state| left[state as usize] == 0).collect();
    while let Some(state) = free.pop() {
        for &from in &before[starts[state as usize] as usize..starts[state as usize + 1] as usize] {
            left[from as usize] -= 1;
            if left[from as usize] == 0 {
                free.push(from);
            }
        }
    }
    let mut state = left.iter().position(|&count| count > 0)?;
    // This one may only lead to the cycle. After as many steps as there are states one is on it.
    for _ in 0..states {
        let on = edges[of(state)].iter().find(|&&to| left[to as usize] > 0);
        state = *on.expect("each that is left leads to another") as usize;
    }
    Some(state)
}

const NOWHERE: u32 = u32::MAX;

/// The states seen so far, each with the one from which it was first reached.
struct Known {
    states: Vec<State>,
    from: Vec<u32>,
    /// Open addressing: a state's place in `states` and a part of its hash.
    table: Vec<(u32, u32)>,
}

impl Default for Known {
    fn default() -> Self {
        Known { states: Vec::new(), from: Vec::new(), table: vec![(NOWHERE, 0); 1 << 16] }
    }
}

impl Known {
    /// Where `state` is; it is added if it is new.
    fn add(&mut self, state: State, from: u32) -> u32 {
        if self.states.len() * 3 > self.table.len() * 2 {
            self.grow();
        }
        let hash = hash(&state);
        let mask = self.table.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let (at, tag) = self.table[place];
            if at == NOWHERE {
                break;
            }
            if tag == (hash >> 32) as u32 && self.states[at as usize] == state {
                return at;
            }
            place = (place + 1) & mask;
        }
        let at = self.states.len() as u32;
        self.table[place] = (at, (hash >> 32) as u32);
        self.states.push(state);
        self.from.push(from);
        at
    }

    fn grow(&mut self) {
        let mut table = vec![(NOWHERE, 0); self.table.len() * 2];
        let mask = table.len() - 1;
        for (at, state) in self.states.iter().enumerate() {
            let hash = hash(state);
            let mut place = hash as usize & mask;
            while table[place].0 != NOWHERE {
                place = (place + 1) & mask;
            }
            table[place] = (at as u32, (hash >> 32) as u32);
        }
        self.table = table;
    }

    fn trace(&self, scope: &Scope, to: usize) -> String {
        let mut path = vec![to];
        while let Some(&before) = self.from.get(path[path.len() - 1]).filter(|&&before| before != NOWHERE) {
            path.push(before as usize);
        }
        path.reverse();
        let mut text = String::new();
        let mut steps = Steps::new(scope);
        for pair in path.windows(2) {
            let (before, after) = (&self.states[pair[0]], &self.states[pair[1]]);
            successors(scope, before, &mut steps);
            let step = steps.all.iter().find(|step| step.next == *after).expect("it was reached by a step");
            let _ = writeln!(text, "  {:<9} {:<34} {after}", format!("{:?}", step.who), step.what);
        }
        text
    }
}

fn hash(state: &State) -> u64 {
    let mut mixer = Mixer::default();
    state.hash(&mut mixer);
    mixer.finish()
}

/// Multiplies and folds eight bytes at a time; a state is nearly all single bytes.
#[derive(Default)]
struct Mixer {
    mixed: u64,
    pending: u64,
    bytes: u32,
}

impl Mixer {
    fn mix(&mut self, word: u64) {
        self.mixed = (self.mixed.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        let mixed = (self.mixed.rotate_left(23) ^ self.pending).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ mixed >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u8(byte));
    }

    fn write_u8(&mut self, byte: u8) {
        self.pending = self.pending << 8 | u64::from(byte);
        self.bytes += 1;
        if self.bytes == 8 {
            self.mix(self.pending);
            (self.pending, self.bytes) = (0, 0);
        }
    }

    /// Lengths, which never differ, and the kinds of enums.
    fn write_usize(&mut self, number: usize) {
        self.write_u8(number as u8);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u8(number as u8);
    }
}
