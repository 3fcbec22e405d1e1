//! A worker that has gone mad: it writes anything to the segment that it shares with the parent, at any time, also between two
//! looks that the parent takes, and its replies say that their large values lie anywhere in its memory, or beyond. The parent's
//! half of the pool (the dispatcher, the lanes, the ring, the result slots) goes on: no panic, no hang, nothing read that isn't
//! there or twice, and every task comes to its one end.
//!
//! ```text
//! how many whims 1 | steps, each a byte and what it needs | whims: what happens to a word before it is looked at
//! ```

mod seat;
mod seeds;

use super::Target;
use crate::error::{Broken, TaskError};
use crate::executor::Task;
use crate::future::publish::publish;
use crate::future::state::Phase;
use crate::future::{Future, State, TaskOptions};
use crate::id::FutureId;
use crate::process_pool::internals::memory::in_proportion;
use crate::process_pool::parent::dispatch::{Action, Dispatcher, Policy};
use crate::process_pool::parent::lane::{KillReason, Lane, Position, TaskKill};
use crate::process_pool::parent::results::{Results, ResultsOf};
use crate::process_pool::parent::task::EncodedTask;
use crate::process_pool::shared::Layout;
use crate::process_pool::shared::last_words::LAST_WORDS;
use crate::process_pool::shared::results::RESULT_SLOTS;
use crate::process_pool::shared::ring::Ring;
use crate::process_pool::sys::Signal;
use crate::process_pool::wire::message::ProtocolError;
use crate::remote;
use crate::sync::restless::{among, begin};
use remote::codec::{Arrived, Output, Plane, ReadApart};
use remote::outcome;
use seat::{ROOM, Seat};
use serde_bytes::ByteBuf;
use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(crate) const TARGET: Target = Target { name: "ring", body, words: &[], seeds: seeds::seeds };

thread_local! {
    /// Kept from one case to the next.
    static SEATS: [Seat; 2] = [Seat::new(), Seat::new()];
}

/// Where the words of the protocol lie: two claims, `over`, `tail`, `head`, `doorbell`, the first words of the ring, the
/// length of the last words, and the result slots with what follows them.
const PLACES: [usize; 17] = [
    0,
    8,
    16,
    24,
    32,
    40,
    48,
    49,
    50,
    51,
    52,
    offset_of!(Layout, last_words) / 8,
    SLOT_WORDS,
    SLOT_WORDS + 1,
    SLOT_WORDS + 2,
    SLOT_WORDS + 3,
    SLOT_WORDS + 8,
];

const SLOT_WORDS: usize = offset_of!(Layout, result_slots) / 8;

/// Where a mad worker says that values lie, and how long it says they are.
const LIES: [usize; 16] = [
    0,
    8,
    64,
    4096,
    1,
    ROOM / 2,
    ROOM - 8,
    ROOM - 1,
    ROOM,
    ROOM + 1,
    2 * ROOM,
    RESULT_SLOTS * ROOM - 8,
    1 << 40,
    1 << 63,
    usize::MAX - 7,
    usize::MAX,
];

/// What a mad worker writes there.
const WORDS: [u64; 16] = [
    0,
    1,
    2,
    3,
    8,
    1 << 32,
    (1 << 32) | 1,
    (2 << 32) | 1,
    (3 << 32) | 3,
    8 << 10,
    (8 << 10) + 1,
    u32::MAX as u64,
    u64::MAX,
    1 << 63,
    0xffff_fffe_0000_0000,
    0x7fff_ffff_7fff_ffff,
];

fn body(data: &[u8]) {
    let Some((&whims, data)) = data.split_first() else { return };
    let (steps, whims) = data.split_at(data.len() - usize::from(whims).min(data.len() / 2));
    SEATS.with(|seats| {
        seats.iter().for_each(Seat::wipe);
        let range = |seat: &Seat| {
            let start = seat.words().as_ptr().addr();
            start..start + size_of::<Layout>()
        };
        begin(seats.iter().map(range).collect(), whims);
        Office::new(seats).play(steps);
    });
}

/// A future of whatever type.
trait Handle {
    fn id(&self) -> FutureId;
    fn state(&self) -> State;
    fn is_done(&self) -> bool;
    fn cancel(&self) -> bool;
}

impl<T> Handle for Future<T> {
    fn id(&self) -> FutureId {
        Future::id(self)
    }

    fn state(&self) -> State {
        Future::state(self)
    }

    fn is_done(&self) -> bool {
        Future::is_done(self)
    }

    fn cancel(&self) -> bool {
        Future::cancel(self)
    }
}

struct Office<'s> {
    dispatcher: Dispatcher,
    seats: &'s [Seat; 2],
    futures: Vec<Box<dyn Handle>>,
    garbage: Vec<EncodedTask>,
    /// How many tasks came to their end.
    ended: usize,
}

/// More would only take longer.
const MOST_TASKS: usize = 24;
const MOST_STEPS: usize = 200;

impl<'s> Office<'s> {
    fn new(seats: &'s [Seat; 2]) -> Self {
        let mut dispatcher = Dispatcher::new(2, Policy::default());
        for (at, seat) in seats.iter().enumerate() {
            dispatcher.add_lane();
            dispatcher.set_event(at, seat.event.clone());
            dispatcher.attach(at, seat.segment.clone(), seat.outbound.clone());
        }
        Office { dispatcher, seats, futures: Vec::new(), garbage: Vec::new(), ended: 0 }
    }

    fn play(mut self, steps: &[u8]) {
        let mut steps = steps.iter().copied();
        for _ in 0..MOST_STEPS {
            let Some(step) = steps.next() else { break };
            let mut next = || steps.next().unwrap_or_default();
            self.step(step, &mut next);
            self.is_sane();
        }
        // The end: both workers die, and what they give back is cancelled.
        for at in [0, 1] {
            self.reap(at);
            self.is_sane();
        }
        self.cancel_all();
        self.is_sane();
        let open = self.futures.iter().filter(|future| !future.is_done()).count();
        assert_eq!((open, self.ended), (0, self.futures.len()), "tasks that came to no end, or to two");
    }

    fn step(&mut self, step: u8, next: &mut dyn FnMut() -> u8) {
        let at = usize::from(step >> 7);
        let seat = &self.seats[at];
        match step & 31 {
            0 | 1 => self.submit(u64::from(next())),
            2 | 3 => self.drive(at),
            // The worker, as long as it was sane.
            4 => drop(seat.segment.claim(next().into()).begin()),
            5 => seat.segment.pass(next().into()),
            6 => {
                let (batch, index, reply) = (next(), next(), self.reply(next()));
                seat.segment.ring.put(batch.into(), index.into(), &reply);
            }
            7 => self.work(at, next()),
            // The worker gone mad.
            8..=11 => {
                let place = PLACES[usize::from(next()) % PLACES.len()];
                seat.words()[place].store(WORDS[usize::from(next()) % WORDS.len()], Ordering::Relaxed);
            }
            12 => {
                let place = usize::from(u16::from_le_bytes([next(), next()])) % seat.words().len();
                let word = u64::from_le_bytes(std::array::from_fn(|_| next()));
                seat.words()[place].store(word, Ordering::Relaxed);
            }
            13 => {
                let word = &seat.words()[PLACES[usize::from(next()) % PLACES.len()]];
                word.fetch_add(1 << (next() % 64), Ordering::Relaxed);
            }
            14 => {
                let word = u64::from(next()) * 0x0101_0101_0101_0101;
                seat.words().iter().for_each(|place| place.store(word, Ordering::Relaxed));
            }
            // The parent.
            15 | 16 => self.receive(at),
            17 => self.wait_directly(next()),
            18 => self.take_back(next()),
            19 => self.kill(next()),
            20 => self.ask(at, next()),
            21 => self.reply_by_socket(at, next().into(), next().into()),
            22 => self.reap(at),
            23 => among(|| {
                let _ = (seat.segment.ring.enable_doorbell(), seat.segment.ring.has_replies());
                seat.segment.ring.disable_doorbell();
            }),
            24 => self.last_words(at),
            25 => self.kill_worker(at, ProtocolError("by the case")),
            26 => self.signal_all(),
            27 if next() == 0 => self.cancel_all(),
            28 if next() == 0 => self.break_down(),
            29 => self.cancel_queued(next()),
            30 => match next() {
                255 => among(|| seat.results.trim()),
                how => self.give(at, how),
            },
            31 => self.lie(at, next),
            _ => {}
        }
    }

    fn submit(&mut self, n: u64) {
        if self.futures.len() < MOST_TASKS {
            let options = TaskOptions::new().retries((n % 3) as u32);
            let options = if n.is_multiple_of(5) { options.timeout(Duration::from_secs(n)) } else { options };
            macro_rules! task {
                ($run:expr) => {{
                    let (task, future) = Task::new($run, n);
                    self.futures.push(Box::new(future));
                    task.with_options(options).into_entry()
                }};
            }
            let entry = match n / 8 % 4 {
                0 => task!(|n: u64| n),
                1 => task!(|n: u64| vec![n as u32]),
                2 => task!(|n: u64| (n.to_string(), ByteBuf::new(), vec![n as f64])),
                _ => task!(|n: u64| vec![vec![n as u8]]),
            };
            assert!(entry.header().word.mark_entered());
            let task = EncodedTask::new(entry, None).map_err(|(_, error)| error).expect("a number");
            among(|| self.dispatcher.submit(task));
        }
    }

    /// As a driver does what it is told.
    fn drive(&mut self, at: usize) {
        let drained = true;
        match among(|| self.dispatcher.next_action(at, drained, &mut self.garbage)) {
            Action::HandleKills => self.confirm_kill(at),
            Action::Kill(error) => self.kill_worker(at, error),
            Action::Close(_) => self.reap(at),
            Action::Send => self.seats[at].outbound.clear(),
            Action::WatchProgress if self.dispatcher.lanes()[at].should_progress() => {
                self.give_up_on_silent(at)
            }
            Action::WatchProgress | Action::Sleep(_) | Action::RetryStart(_) => {}
        }
        self.garbage.clear();
    }

    fn confirm_kill(&mut self, at: usize) {
        let _ = self.dispatcher.take_signal(at);
        self.recall(at);
        self.receive(at);
        among(|| self.dispatcher.confirm_kill(at));
    }

    fn give_up_on_silent(&mut self, at: usize) {
        self.recall(at);
        among(|| self.dispatcher.should_progress(at));
    }

    fn kill_worker(&mut self, at: usize, error: ProtocolError) {
        let mut cancelled = Vec::new();
        among(|| self.dispatcher.kill_worker(at, KillReason::Protocol(error), &mut cancelled));
        self.cancelled(cancelled);
        self.seats[at].outbound.clear();
    }

    fn recall(&mut self, at: usize) {
        let mut cancelled = Vec::new();
        among(|| self.dispatcher.recall(at, &mut cancelled));
        self.cancelled(cancelled);
    }

    /// The worker does the next task, and its reply is what it should be.
    fn work(&self, at: usize, how: u8) {
        let (seat, number) = (&self.seats[at], u32::from(how % 8));
        if let Some(index) = seat.segment.claim(number).begin() {
            let mut reply = remote::codec::Output::default();
            outcome::write(Ok(7_u64), &mut reply);
            seat.segment.ring.put(number, index, &reply);
        }
    }

    /// The same with large values, which lie in its memory if there is room.
    fn give(&self, at: usize, how: u8) {
        let (seat, number) = (&self.seats[at], u32::from(how % 8));
        if let Some(index) = seat.segment.claim(number).begin() {
            seat.is_written.set(true);
            let plane: Arc<dyn Plane> = seat.plane.clone();
            let mut reply = Output::new(Vec::new(), Some(plane));
            match how / 8 % 4 {
                0 => outcome::write(Ok(7_u64), &mut reply),
                1 => outcome::write(Ok((0..1500).collect::<Vec<u32>>()), &mut reply),
                2 => {
                    let value = ("t".repeat(4097), ByteBuf::from(vec![how; 4096]), vec![f64::from(how); 513]);
                    outcome::write(Ok(value), &mut reply);
                }
                _ => outcome::write(Ok(vec![vec![how; 5000], vec![1], vec![2; 4096]]), &mut reply),
            }
            if let Some(place) = reply.apart.take_first() {
                seat.segment.result_slots.assign(place.at, number, index);
            }
            seat.segment.ring.put(number, index, &reply);
        }
    }

    /// A reply whose values lie where the worker says, in the slot that it says, if it says one.
    fn lie(&self, at: usize, next: &mut dyn FnMut() -> u8) {
        const SEQ: u8 = 20;
        const APART_RUN: u8 = 28;
        let varint = |mut number: usize, reply: &mut Vec<u8>| {
            while number >= 0x80 {
                reply.push(number as u8 | 0x80);
                number >>= 7;
            }
            reply.push(number as u8);
        };
        let (seat, number, slot, parts) = (&self.seats[at], u32::from(next() % 8), next(), next() % 64);
        let Some(index) = seat.segment.claim(number).begin() else { return };
        let mut reply = vec![0];
        if parts != 1 {
            reply.extend_from_slice(&[SEQ, parts]);
        }
        for _ in 0..parts {
            let (what, kind) = (next(), next());
            let mut number = || match next() {
                lie @ 0..128 => LIES[usize::from(lie) % LIES.len()],
                near => usize::from(near & 127) * 64,
            };
            let (len, place) = (number(), number());
            reply.push(26 + what % 3);
            varint(len, &mut reply);
            if 26 + what % 3 == APART_RUN {
                reply.push(kind);
            }
            varint(place, &mut reply);
        }
        if usize::from(slot) < RESULT_SLOTS {
            seat.segment.result_slots.assign(slot.into(), number, index);
        }
        seat.segment.ring.put(number, index, &reply);
    }

    fn reply(&self, how: u8) -> Vec<u8> {
        vec![how; usize::from(how) * usize::from(how % 40)]
    }

    /// As a driver takes what is in the ring.
    fn receive(&mut self, at: usize) {
        let (ring, mut heard, mut small) = (&self.seats[at].segment.ring, Vec::new(), Vec::new());
        let all = among(|| {
            while let Some(next) = ring.next()? {
                let position = Position { batch: next.batch, index: next.index };
                let task = self.dispatcher.collect(at, position)?;
                let start = heard.len();
                // A reply is no longer than the most that is put in a ring.
                in_proportion(1, 3 * <Ring>::MOST, 4 * heard.len(), || ring.take(next, &mut heard));
                small.push((task, position, start..heard.len()));
            }
            Ok::<_, ProtocolError>(())
        });
        for (task, position, body) in small {
            self.complete(at, task, position, &heard[body]);
        }
        if let Err(error) = all {
            self.kill_worker(at, error);
        }
    }

    /// As a thread waits directly for its task.
    fn wait_directly(&mut self, which: u8) {
        let Some(id) = self.id(which) else { return };
        let Some(route) = among(|| self.dispatcher.direct_route(id)) else { return };
        let (segment, mut reply) = (&route.segment, Vec::new());
        let taken = among(|| {
            let waits = segment.ring.try_disable_doorbell();
            let taken = (waits && segment.ring.has_replies())
                .then(|| self.dispatcher.take_direct(route.lane, segment, id, &mut reply));
            let _ = segment.ring.enable_doorbell();
            taken
        });
        if let Some(taken) = taken.flatten() {
            assert_eq!(taken.task.id(), id);
            self.complete(route.lane, taken.task, taken.position, &reply);
        }
    }

    fn take_back(&mut self, which: u8) {
        let Some(id) = self.id(which) else { return };
        let (task, _) = among(|| self.dispatcher.take_back(id));
        self.cancelled(task.into_iter().collect());
    }

    fn kill(&mut self, which: u8) {
        let Some(id) = self.id(which) else { return };
        let kill = if which < 128 { TaskKill::Requested } else { TaskKill::OutOfTime };
        let _ = among(|| self.dispatcher.request_kill(id, kill));
    }

    /// What is asked of a lane for a future's state, for statistics, for its time limits.
    fn ask(&mut self, at: usize, which: u8) {
        let id = self.id(which);
        among(|| {
            let _ = id.is_some_and(|id| self.dispatcher.has_begun(id));
            let running = self.dispatcher.limited(at).len();
            let lane = &self.dispatcher.lanes()[at];
            assert!(running <= lane.in_flight());
            let _ = (
                lane.stealable(),
                lane.waiting_tasks(),
                lane.has_room(),
                lane.should_progress(),
                lane.limit(0),
            );
        });
    }

    fn reply_by_socket(&mut self, at: usize, number: u32, index: u32) {
        let position = Position { batch: number, index };
        match among(|| self.dispatcher.collect(at, position)) {
            Ok(task) => self.complete(at, task, position, b"nothing that is a reply"),
            Err(error) => self.kill_worker(at, error),
        }
    }

    /// Its death, and another takes its place.
    fn reap(&mut self, at: usize) {
        self.receive(at);
        let reaped = among(|| self.dispatcher.reap(at, true));
        self.cancelled(reaped.cancelled);
        for (task, _) in reaped.lost {
            self.fail(task, TaskError::Abandoned);
        }
        let seat = &self.seats[at];
        seat.wipe();
        self.dispatcher.attach(at, seat.segment.clone(), seat.outbound.clone());
    }

    fn last_words(&self, at: usize) {
        let segment = &self.seats[at].segment;
        let words = among(|| in_proportion(1, 4 * LAST_WORDS, 4096, || segment.last_words.read()));
        if let Some(words) = words {
            let _ = outcome::read::<()>(&words);
        }
    }

    fn signal_all(&mut self) {
        self.dispatcher.signal_all(Signal::TERM);
    }

    fn cancel_all(&mut self) {
        let mut cancelled = Vec::new();
        among(|| self.dispatcher.cancel_all(&mut cancelled));
        self.cancelled(cancelled);
    }

    fn break_down(&mut self) {
        let (lost, _) = among(|| self.dispatcher.break_down(Broken::new("by the case")));
        for task in lost {
            self.fail(task, TaskError::Abandoned);
        }
    }

    fn cancel_queued(&mut self, which: u8) {
        let Some(future) = self.futures.get(usize::from(which) % MOST_TASKS) else { return };
        if future.state() == State::Queued && future.cancel() {
            // What is left of it in the queue has had its end.
            self.ended += 1;
            let dead = self.dispatcher.note_cancelled();
            self.garbage.extend(dead);
        }
    }

    fn id(&self, which: u8) -> Option<FutureId> {
        self.futures.get(usize::from(which) % MOST_TASKS).map(|future| future.id())
    }

    /// As the pool does it.
    fn complete(&mut self, at: usize, task: EncodedTask, position: Position, reply: &[u8]) {
        let entry = task.into_unresolved().release();
        let results = Some(&self.seats[at].results);
        let apart: Option<ResultsOf<'_>> = among(|| Results::of_reply(results, position));
        let arrived = Arrived::new(reply, apart.as_ref().map(|apart| apart as &dyn ReadApart));
        // Of what lies in a slot nothing is read twice; a byte may make room for an element.
        let phase =
            in_proportion(reply.len(), 64 + 4 * 24, 4096 + 28 * ROOM, || among(|| entry.complete(arrived)));
        drop(apart);
        publish(&*entry, Phase::Dispatched, phase).run(&*entry);
        self.ended += 1;
    }

    fn fail(&mut self, task: EncodedTask, error: TaskError) {
        let entry = task.into_unresolved().release();
        entry.fill(error);
        publish(&*entry, Phase::Dispatched, Phase::Failed).run(&*entry);
        self.ended += 1;
    }

    fn cancelled(&mut self, tasks: Vec<EncodedTask>) {
        for task in tasks {
            let entry = task.into_unresolved().release();
            entry.fill(TaskError::Cancelled);
            publish(&*entry, Phase::Cancelling, Phase::Cancelled).run(&*entry);
            self.ended += 1;
        }
    }

    /// Every task is in one place.
    fn is_sane(&self) {
        let shipped: usize = self.dispatcher.lanes().iter().map(Lane::in_flight).sum();
        let there = self.dispatcher.queued() + shipped + self.ended;
        assert_eq!(there, self.futures.len(), "a task is lost or doubled");
    }
}
