//! A server inside this process: the same steps on plain values, under one lock. Its faults are asked for by name or, for lost
//! answers, drawn from a seed.

mod link;
mod world;

use super::{Engine, Fault, Link};
use crate::wire::{BlobName, EntryId, Life};
use link::MemoryLink;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;
use world::{Registry, World};

/// The server: every queue of every build. A clone is the same server.
#[derive(Clone)]
pub(crate) struct MemoryServer(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Notified after each step that may end somebody's wait, and after each fault.
    changed: Condvar,
}

/// A queue and a build.
type Place = (Arc<str>, Arc<str>);

struct State {
    /// Which start of the server it is.
    run: u64,
    is_up: bool,
    /// The links that are not cut, and how many there were.
    links: HashSet<u64>,
    connected: u64,
    /// How many lives there were: none has the name of another.
    lives: u64,
    clock: Clock,
    memory_limit: Option<usize>,
    lossy: Option<Lossy>,
    /// The living world of each queue and build, and the run of the server that it began in.
    worlds: HashMap<Place, (u64, Life, World)>,
    /// Nodes of all builds, by queue.
    registries: HashMap<Arc<str>, Registry>,
}

/// Makes entry ids: each is above all before it.
struct Clock {
    start: Instant,
    last: EntryId,
}

impl Clock {
    fn next(&mut self) -> EntryId {
        // Not from zero: an id of nothing must lie before every entry.
        let millis = self.start.elapsed().as_millis() as u64 + 1;
        self.last = if millis > self.last.millis { EntryId { millis, number: 0 } } else { self.last.next() };
        self.last
    }
}

/// Loses one answer in so many, by a seed.
struct Lossy {
    random: u64,
    one_in: u32,
}

/// What becomes of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    /// It is done, and its answer is lost.
    DoneUnheard,
    /// It never gets to the server.
    Undone,
}

impl Lossy {
    /// Xorshift: enough to scatter faults, and the same for the same seed.
    fn draw(&mut self) -> Fate {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let drawn = self.random >> 11;
        match (
            drawn.is_multiple_of(u64::from(self.one_in)),
            (drawn / u64::from(self.one_in)).is_multiple_of(2),
        ) {
            (false, _) => Fate::Done,
            (true, false) => Fate::DoneUnheard,
            (true, true) => Fate::Undone,
        }
    }
}

impl MemoryServer {
    pub(crate) fn new() -> Self {
        let start = Instant::now();
        MemoryServer(Arc::new(Shared {
            state: Mutex::new(State {
                run: 1,
                is_up: true,
                links: HashSet::new(),
                connected: 0,
                lives: 0,
                clock: Clock { start, last: EntryId::ZERO },
                memory_limit: None,
                lossy: None,
                worlds: HashMap::new(),
                registries: HashMap::new(),
            }),
            changed: Condvar::new(),
        }))
    }

    /// The server as one queue of one build sees it.
    pub(crate) fn engine(&self, queue: &str, build: &str) -> Memory {
        Memory { server: self.clone(), place: (queue.into(), build.into()) }
    }

    /// The server dies with all its data, and another begins.
    pub(crate) fn restart_empty(&self) {
        self.fault(|state| {
            state.run += 1;
            state.links.clear();
            state.forget();
        });
    }

    /// The server dies and comes back with the data it had. It begins another life all the same.
    pub(crate) fn restart_with_data(&self) {
        self.fault(|state| {
            state.run += 1;
            state.links.clear();
        });
    }

    /// All data is gone, and the server and its connections live on.
    pub(crate) fn flush(&self) {
        self.fault(State::forget);
    }

    /// Cuts every connection: whoever uses or waits on one learns it.
    pub(crate) fn cut_connections(&self) {
        self.fault(|state| state.links.clear());
    }

    /// Takes the server out of reach, with what it has.
    pub(crate) fn stop(&self) {
        self.fault(|state| {
            state.is_up = false;
            state.links.clear();
        });
    }

    /// Ends what [`stop`](Self::stop) began.
    pub(crate) fn start(&self) {
        self.fault(|state| state.is_up = true);
    }

    /// From here on one step in `one_in` is lost with its connection: by turns of chance it is done first, or not. 0: none is.
    pub(crate) fn lose_answers(&self, seed: u64, one_in: u32) {
        self.fault(|state| {
            // Xorshift stays at zero for ever. The multiplication sets small seeds apart.
            let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            state.lossy = (one_in > 0).then_some(Lossy { random, one_in });
        });
    }

    /// How many bytes the server holds before it is full; none: without end.
    pub(crate) fn set_memory_limit(&self, bytes: Option<usize>) {
        self.fault(|state| state.memory_limit = bytes);
    }

    /// How often shared data was put in this life, and asked for.
    pub(crate) fn blobs(&self) -> (u64, u64) {
        self.lock()
            .worlds
            .values()
            .fold((0, 0), |(put, got), (_, _, world)| (put + world.blobs_put, got + world.blobs_got))
    }

    /// How many entries its streams hold, delivered or not.
    pub(crate) fn entries(&self) -> usize {
        self.lock().worlds.values().map(|(_, _, world)| world.entries()).sum()
    }

    /// Somebody writes to the shared data of all clients by hand.
    pub(crate) fn change_blobs(&self, change: impl Fn(&mut HashMap<BlobName, Vec<u8>>)) {
        self.fault(|state| state.worlds.values_mut().for_each(|(_, _, world)| world.change_blobs(&change)));
    }

    fn fault(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.state.lock());
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }
}

impl State {
    fn forget(&mut self) {
        self.worlds.clear();
        self.registries.clear();
    }

    fn is_full(&self) -> bool {
        self.memory_limit.is_some_and(|limit| {
            self.worlds.values().map(|(_, _, world)| world.size()).sum::<usize>() >= limit
        })
    }
}

/// One queue of one build on a [`MemoryServer`].
#[derive(Clone)]
pub(crate) struct Memory {
    server: MemoryServer,
    place: Place,
}

impl Engine for Memory {
    fn connect(&self) -> Result<Box<dyn Link>, Fault> {
        let mut state = self.server.lock();
        if !state.is_up {
            return Err(Fault::Lost("the server is down".to_owned()));
        }
        state.connected += 1;
        let number = state.connected;
        state.links.insert(number);
        Ok(Box::new(MemoryLink::new(self.server.clone(), self.place.clone(), number)))
    }

    fn address(&self) -> String {
        "memory".to_owned()
    }
}
