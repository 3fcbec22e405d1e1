//! The search: breadth first over every reachable state, then a look whether an end can be reached from each.

use super::properties::Property;
use super::rules::Scope;
use super::state::State;
use super::steps::Steps;
use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// What a search saw.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    /// States where nothing is to be done any more, and those of them that have a task given up.
    pub(crate) ends: usize,
    pub(crate) lost: usize,
    pub(crate) violation: Option<Violation>,
}

#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) property: Property,
    /// The steps that lead there; no other way has fewer.
    pub(crate) trace: String,
}

/// How a state was found: from which, by its how manieth step.
#[derive(Clone, Copy, Debug)]
struct Origin {
    from: u32,
    step: u32,
}

/// Every state that `scope` allows, or up to the first violation. Gives up, loudly, beyond `most` states.
pub(crate) fn explore(scope: &Scope, most: usize) -> Found {
    let first = State::initial(scope);
    let mut known = Known::default();
    known.insert(print(&first), 0);
    let mut origins = vec![Origin { from: 0, step: 0 }];
    let mut waiting = VecDeque::from([first]);
    let mut graph = Graph::default();
    let mut found = Found { states: 1, steps: 0, ends: 0, lost: 0, violation: None };
    let mut at = 0;
    while let Some(state) = waiting.pop_front() {
        for (step, next) in (0..).zip(Steps::of(scope, &state)) {
            found.steps += 1;
            let index = *known.entry(print(&next.state)).or_insert_with(|| {
                origins.push(Origin { from: at, step });
                waiting.push_back(next.state);
                origins.len() as u32 - 1
            });
            if !next.is_fault {
                graph.targets.push(index);
            }
            if let Some(property) = next.state.wrong {
                found.states = origins.len();
                found.violation = Some(Violation { property, trace: trace(scope, &origins, index) });
                return found;
            }
        }
        let settled = state.is_settled();
        graph.close(settled);
        found.ends += usize::from(settled);
        found.lost += usize::from(settled && state.has_lost());
        at += 1;
        assert!(origins.len() <= most, "{scope}: more than {most} states");
    }
    found.states = origins.len();
    found.violation = graph
        .first_stuck()
        .map(|index| Violation { property: Property::Stuck, trace: trace(scope, &origins, index) });
    found
}

/// Which state leads where without a fault.
#[derive(Default, Debug)]
struct Graph {
    targets: Vec<u32>,
    /// Where the targets of each state end.
    ends: Vec<usize>,
    settled: Vec<bool>,
}

impl Graph {
    fn close(&mut self, settled: bool) {
        self.ends.push(self.targets.len());
        self.settled.push(settled);
    }

    /// The first state from which no way without a fault leads to a settled one.
    fn first_stuck(self) -> Option<u32> {
        let Graph { targets, ends, settled: mut good } = self;
        let states = good.len();
        // The same edges by their target: those into state i begin at `begins[i]`.
        let mut begins = vec![0_usize; states + 1];
        targets.iter().for_each(|target| begins[*target as usize + 1] += 1);
        for i in 0..states {
            begins[i + 1] += begins[i];
        }
        let (mut sources, mut next) = (vec![0_u32; targets.len()], begins.clone());
        let mut edge = 0;
        for (source, end) in (0..).zip(ends) {
            for target in &targets[edge..end] {
                sources[next[*target as usize]] = source;
                next[*target as usize] += 1;
            }
            edge = end;
        }
        let mut waiting: Vec<u32> = (0..states as u32).filter(|state| good[*state as usize]).collect();
        while let Some(state) = waiting.pop() {
            for source in &sources[begins[state as usize]..begins[state as usize + 1]] {
                if !std::mem::replace(&mut good[*source as usize], true) {
                    waiting.push(*source);
                }
            }
        }
        good.iter().position(|good| !good).map(|state| state as u32)
    }
}

/// The steps to a state, each with the state it leads to.
fn trace(scope: &Scope, origins: &[Origin], mut to: u32) -> String {
    let mut path = Vec::new();
    while to != 0 {
        let Origin { from, step } = origins[to as usize];
        path.push(step);
        to = from;
    }
    let mut state = State::initial(scope);
    let mut text = format!("    start: {state}\n");
    for step in path.into_iter().rev() {
        let next = Steps::of(scope, &state).swap_remove(step as usize);
        state = next.state;
        writeln!(text, "    {}: {state}", next.name).expect("a String takes all");
    }
    text
}

/// States by their fingerprint, which stands for them: two of a hundred million are unlikely (1e-22) to share one.
type Known = HashMap<u128, u32, BuildHasherDefault<Low>>;

fn print(state: &State) -> u128 {
    let mut print = Print { a: 0x9E37_79B9_7F4A_7C15, b: 0xC2B2_AE3D_27D4_EB4F, word: 0, bits: 0 };
    state.hash(&mut print);
    print.value()
}

/// Two hashes at once, of eight small numbers at a time: nothing in a state needs more than a byte, or two.
#[derive(Debug)]
struct Print {
    a: u64,
    b: u64,
    word: u64,
    bits: u32,
}

impl Print {
    fn add(&mut self, word: u64) {
        self.a = (self.a.rotate_left(23) ^ word).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        self.b = (self.b.rotate_left(41) ^ word).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    }

    fn value(mut self) -> u128 {
        self.add(self.word);
        let mix = |x: u64| (x ^ (x >> 32)).wrapping_mul(0x9FB2_1C65_1E98_DF25);
        let end = |x: u64| mix(mix(x)) ^ (x >> 29);
        u128::from(end(self.a)) << 64 | u128::from(end(self.b))
    }
}

impl Hasher for Print {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }

    fn write_u8(&mut self, byte: u8) {
        self.word |= u64::from(byte) << self.bits;
        self.bits += 8;
        if self.bits == u64::BITS {
            self.add(self.word);
            (self.word, self.bits) = (0, 0);
        }
    }

    /// The length of an array.
    fn write_usize(&mut self, _: usize) {}

    /// Which variant it is.
    fn write_isize(&mut self, variant: isize) {
        self.write_u8(variant as u8);
    }

    fn finish(&self) -> u64 {
        self.a
    }
}

/// A fingerprint needs no hash.
#[derive(Default, Debug)]
struct Low(u64);

impl Hasher for Low {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are hashed");
    }

    fn write_u128(&mut self, print: u128) {
        self.0 = print as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
