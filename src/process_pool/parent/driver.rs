//! [`Driver`]: one thread that starts a worker, sends it tasks, receives its replies, and reaps it.
//!
//! It sleeps in one place, for three things at once: bytes from the worker, the worker's death, its event. Everything it
//! decides it decides in the [`Dispatcher`], under the lock; everything it does it does outside. The steps are those of
//! `PROTOCOL.md`, section "Driver".

mod kills;

use super::death::Death;
use super::dispatch::{Action, Dispatcher, Wake};
use super::lane::{KillReason, Position};
use super::launch::{LaunchError, RunningWorker, start_failure};
use super::limits::{MemoryGrowth, Silence, TimeLimits};
use super::observed::Ran;
use super::pool::Pool;
use super::results::Results;
use super::spare::Spare;
use super::start::start;
use super::task::EncodedTask;
use crate::clock::{deadline_after, is_over};
use crate::error::Broken;
use crate::future::cell::Entry;
use crate::process_pool::sys::{self, Awake, Event, Signal};
use crate::process_pool::wire::frames::{Blocking, Filled};
use crate::process_pool::wire::message::{Message, ProtocolError};
use kills::StackRequest;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a worker that was told to leave may take.
const GRACE: Duration = Duration::from_secs(5);

/// How long the death of a worker that closed its stream is awaited before it is killed.
const EXIT_AFTER_CLOSE: Duration = Duration::from_secs(1);

/// The longest sleep of a driver: a thread that submits may ship to its worker without waking it.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// How long a driver naps while replies are so frequent that a doorbell for each would cost more than they do.
const NAP: Duration = Duration::from_micros(100);

/// A sleep of that length in which nothing happened is a time of idleness.
const IDLE: Duration = Duration::from_secs(1);

/// So many reads from a stream take all that a socket holds.
const MAX_FILLS: usize = 64;

/// Where a test has a driver panic: whatever it holds there must be resolved, its worker ended and its lane be free.
#[cfg(not(test))]
pub(super) fn failpoint(_: &'static str) {}
#[cfg(test)]
pub(super) use tests::failpoint;

/// Drives the workers of one lane, one after the other, until no worker is needed.
pub(crate) fn run(pool: &Arc<Pool>, lane: usize) {
    sys::block_signals();
    // Those that have ended after all.
    pool.unreaped.lock().retain(|child| child.reap().is_none());
    let mut event: Option<Arc<Event>> = None;
    let mut spare: Option<Spare> = None;
    failpoint("begins");
    loop {
        let attempt = match (&event, spare.take()) {
            (Some(event), Some(spare)) => spare.take_place(pool, lane, event),
            (Some(event), None) => start(pool, lane, event),
            (None, _) => match Event::new() {
                Ok(new) => {
                    let new = Arc::new(new);
                    pool.dispatcher.lock().set_event(lane, new.clone());
                    start(pool, lane, event.insert(new))
                }
                Err(error) => {
                    let advice = sys::advice(&error);
                    let what = "the event that wakes a driver could not be created";
                    Err(LaunchError::Start(format!("{what}: {error}{advice}")))
                }
            },
        };
        match attempt {
            Ok(worker) => {
                let driver = Driver::new(pool, lane, event.clone().expect("made before the start"), worker);
                spare = driver.serve();
            }
            Err(error) => {
                failpoint("notes a failure");
                pool.note_failure(lane, error);
            }
        }
        let mut dispatcher = pool.dispatcher.lock();
        let stays = dispatcher.stays(lane);
        let wake = if stays { Wake::None } else { dispatcher.pass_on_unless_alone() };
        let pause = dispatcher.pause(lane);
        drop(dispatcher);
        failpoint("decided whether to stay");
        pool.wake(wake);
        if !stays {
            return;
        }
        if let Some(pause) = pause {
            pool.rest(event.as_deref(), pause);
        }
    }
}

/// One worker, from its first task to its end.
struct Driver<'p> {
    pool: &'p Arc<Pool>,
    lane: usize,
    event: Arc<Event>,
    worker: RunningWorker,
    time_limits: TimeLimits,
    memory: Option<MemoryGrowth>,
    silence: Silence,
    stack_request: StackRequest,
    /// Nothing more is read: until when its death is awaited, then it is killed.
    reading_stopped_until: Option<Instant>,
    /// Its pool broke and it was told to end: when it is killed, should it ignore that. Nobody else would end it.
    kill_at: Option<Instant>,
    /// It was killed: until when its death is awaited. After that it is given up, for nothing else can be done.
    give_up_at: Option<Instant>,
    /// The system refused a signal to it.
    signal_refused: bool,
    /// The pool has ended it, by a signal or in place of one.
    is_killed: bool,
    /// Replies come so often that a doorbell for each would cost more than they do, and the worker has tasks for a [`NAP`].
    replies_are_frequent: bool,
    /// When the last ones were taken out of the ring.
    last_replies: Instant,
    /// Replies out of the ring, end to end.
    small_replies: Vec<u8>,
    /// Why it could not start, by its own words.
    start_failure: Option<String>,
    /// The worker that takes its place.
    spare: Option<Spare>,
}

/// A reply whose task was taken out of its table.
struct ReceivedReply {
    task: EncodedTask,
    position: Position,
    body: Range<usize>,
}

/// Whether the worker is still to be served.
enum Liveness {
    Alive,
    Dead,
}

impl<'p> Driver<'p> {
    fn new(pool: &'p Arc<Pool>, lane: usize, event: Arc<Event>, worker: RunningWorker) -> Self {
        let memory = pool.config.memory_growth.map(|most| MemoryGrowth::new(&worker.child, most));
        Driver {
            pool,
            lane,
            event,
            worker,
            time_limits: TimeLimits::default(),
            memory,
            silence: Silence::default(),
            stack_request: StackRequest::default(),
            reading_stopped_until: None,
            kill_at: None,
            give_up_at: None,
            signal_refused: false,
            is_killed: false,
            replies_are_frequent: false,
            last_replies: Instant::now(),
            small_replies: Vec::new(),
            start_failure: None,
            spare: None,
        }
    }

    fn serve(mut self) -> Option<Spare> {
        loop {
            let mut garbage = Vec::new();
            let is_drained = self.worker.outbound.is_drained();
            let mut dispatcher = self.pool.dispatcher.lock();
            let action = dispatcher.next_action(self.lane, is_drained, &mut garbage);
            let wants_spare = dispatcher.wants_spare(self.lane);
            drop(dispatcher);
            failpoint("decided");
            if !garbage.is_empty() {
                drop(garbage);
                self.pool.note_room();
            }
            if !matches!(action, Action::WatchProgress) {
                self.silence.end();
            }
            let liveness = match action {
                Action::HandleKills => self.handle_kills(),
                Action::Kill(error) => self.kill(KillReason::Protocol(error)),
                Action::WatchProgress => self.watch_progress(),
                Action::Send => {
                    self.pool.note_room();
                    failpoint("sends");
                    self.worker.outbound.flush();
                    failpoint("sent");
                    Liveness::Alive
                }
                Action::RetryStart(wake) => {
                    self.pool.wake(wake);
                    Liveness::Alive
                }
                Action::Close(wake) => {
                    self.pool.wake(wake);
                    return self.close();
                }
                Action::Sleep(until) => {
                    self.sleep(until.into_iter().chain(deadline_after(LONGEST_SLEEP)).min())
                }
            };
            if wants_spare {
                self.spare = Spare::launch(self.pool, self.lane);
            }
            if let Liveness::Dead = liveness {
                return self.reap();
            }
        }
    }

    /// D1: sleeps, and receives what there is.
    fn sleep(&mut self, until: Option<Instant>) -> Liveness {
        let deadlines =
            [until, self.reading_stopped_until, self.kill_at, self.give_up_at, self.time_limits.next()];
        let deadline = deadlines.into_iter().flatten().min();
        let (socket, child) = (&self.worker.outbound.socket, &self.worker.child);
        let for_room = !self.worker.outbound.is_drained();
        let ring = &self.worker.segment.ring;
        let nap = self.replies_are_frequent.then(|| deadline_after(NAP)).flatten();
        // A driver that enables the doorbell looks once more: for what came before that no doorbell is rung.
        let reads = self.reading_stopped_until.is_none();
        let has_replies = nap.is_none() && reads && ring.enable_doorbell();
        let until = if has_replies { Some(Instant::now()) } else { deadline.into_iter().chain(nap).min() };
        let is_long = until.is_some_and(|until| until.saturating_duration_since(Instant::now()) > IDLE);
        let notes = self.worker.notes.as_ref().and_then(|notes| notes.socket());
        let awake = sys::sleep(reads.then_some(socket), for_room, notes, Some(child), &self.event, until);
        ring.disable_doorbell();
        if is_long && awake == Awake::default() {
            self.trim();
        }
        if awake.event_set {
            // Before the next look at the dispatcher, never after it.
            self.event.clear();
            self.worker.outbound.flush_forgotten();
        }
        if awake.ended && self.worker.child.has_ended() {
            return Liveness::Dead;
        }
        if self.give_up_at.is_some_and(|until| Instant::now() >= until) {
            return Liveness::Dead;
        }
        let has_replies = reads && ring.has_replies();
        self.replies_are_frequent &= has_replies;
        if awake.writable || awake.readable || has_replies {
            self.silence.end();
        }
        if awake.writable {
            self.worker.outbound.flush();
        }
        if awake.readable || has_replies {
            match self.receive() {
                Ok(Filled::Some | Filled::Nothing) => {}
                Ok(Filled::End) => {
                    self.kill(KillReason::StreamClosed);
                    self.reading_stopped_until = deadline_after(EXIT_AFTER_CLOSE);
                }
                Err(error) => {
                    self.kill(KillReason::Protocol(error));
                }
            }
        }
        if awake.has_notes {
            self.hear();
        }
        if is_over(self.reading_stopped_until) {
            self.kill(KillReason::OutlivedStream);
        }
        if is_over(self.kill_at) {
            self.kill_at = None;
            self.signal(Signal::KILL);
        }
        if self.time_limits.concern() {
            self.time_limits.check(&mut self.pool.dispatcher.lock(), self.lane);
        }
        if self.memory.as_mut().is_some_and(|memory| memory.is_exceeded(&self.worker.child)) {
            self.pool.dispatcher.lock().retire(self.lane);
        }
        if is_long && awake == Awake::default() {
            self.look_after_handler();
        }
        Liveness::Alive
    }

    /// Nothing has happened for some time: memory for large values that is not in use goes back to the system.
    fn trim(&self) {
        self.worker.results.iter().for_each(|results| results.trim());
        self.pool.config.arena.iter().for_each(|arena| arena.trim());
    }

    /// Sleeps, but not for ever: a worker that is stopped would keep its tasks from the others.
    fn watch_progress(&mut self) -> Liveness {
        let until = self.silence.next_check();
        let liveness = self.sleep(until);
        if self.silence.is_too_long() {
            self.give_up_on_silent();
        }
        liveness
    }

    /// Takes everything back from a worker that does nothing, and kills it if it really does nothing: no task is lost by
    /// that.
    fn give_up_on_silent(&mut self) {
        self.silence.end();
        let mut cancelled = Vec::new();
        let mut dispatcher = self.pool.dispatcher.lock();
        let wake = dispatcher.recall(self.lane, &mut cancelled);
        let is_silent = dispatcher.should_progress(self.lane);
        drop(dispatcher);
        self.pool.wake_all(wake);
        self.pool.finish_cancelled(cancelled);
        if is_silent {
            self.kill(KillReason::NoProgress);
        }
    }

    /// D2: takes what is there off the socket, once, and all that is in the ring, and resolves what it completes.
    fn receive(&mut self) -> Result<Filled, ProtocolError> {
        let inbox = &mut self.worker.inbox;
        let filled = match self.reading_stopped_until {
            None => inbox.fill(&self.worker.outbound.socket, Blocking::No).unwrap_or(Filled::End),
            Some(_) => Filled::End,
        };
        let (mut large, mut small): (Vec<ReceivedReply>, Vec<ReceivedReply>) = (Vec::new(), Vec::new());
        self.small_replies.clear();
        let mut dispatcher = self.pool.dispatcher.lock();
        let received = self
            .collect_from_socket(&mut dispatcher, &mut large)
            .and_then(|()| self.collect_from_ring(&mut dispatcher, &mut small));
        if !small.is_empty() {
            failpoint("receives, with the dispatcher locked");
            let now = Instant::now();
            let each = now.saturating_duration_since(self.last_replies) / small.len() as u32;
            self.last_replies = now;
            // A nap must not let the worker run dry.
            let in_a_nap = NAP.as_nanos() / each.as_nanos().max(1);
            self.replies_are_frequent =
                in_a_nap > 1 && dispatcher.has_more_waiting_than(self.lane, in_a_nap as usize);
        }
        drop(dispatcher);
        if !small.is_empty() {
            failpoint("received");
        }
        // What a task reported before its reply is there by now.
        let replies = large.iter().chain(&small).filter(|reply| reply.task.reports);
        let ended: Vec<_> = replies.map(|reply| (reply.position, Entry::clone(&reply.task.entry))).collect();
        let heard = match &mut self.worker.notes {
            Some(notes) if !ended.is_empty() => notes.hear(self.pool, &ended),
            _ => Ok(()),
        };
        let results = self.worker.results.as_ref();
        let ran = Ran::of_reply(self.lane, self.worker.child.pid());
        for reply in large {
            let apart = Results::of_reply(results, reply.position);
            self.pool.complete(reply.task, self.worker.inbox.body(reply.body), apart, ran);
        }
        for reply in small {
            let apart = Results::of_reply(results, reply.position);
            self.pool.complete(reply.task, &self.small_replies[reply.body], apart, ran);
            failpoint("resolved one");
        }
        received.and(heard).map(|()| filled)
    }

    /// Takes what the worker says beside its replies.
    fn hear(&mut self) {
        let heard = self.worker.notes.iter_mut().try_for_each(|notes| notes.hear(self.pool, &[]));
        if let Err(error) = heard {
            self.kill(KillReason::Protocol(error));
        }
    }

    /// Acts on the whole frames that have come.
    fn collect_from_socket(
        &mut self,
        dispatcher: &mut Dispatcher,
        replies: &mut Vec<ReceivedReply>,
    ) -> Result<(), ProtocolError> {
        let inbox = &mut self.worker.inbox;
        while let Some(frame) = inbox.next()? {
            match frame.message {
                Message::Reply { batch, index } => {
                    let position = Position { batch, index };
                    let task = dispatcher.collect(self.lane, position)?;
                    replies.push(ReceivedReply { task, position, body: frame.body });
                }
                // Something has changed in the segment, which is looked at anyway.
                Message::Doorbell => self.time_limits.note_doorbell(),
                Message::CannotStart if !dispatcher.has_results(self.lane) => {
                    self.start_failure = Some(start_failure(inbox.body(frame.body)));
                }
                _ => return Err(ProtocolError("a message out of turn")),
            }
        }
        Ok(())
    }

    /// Takes the replies out of the ring.
    fn collect_from_ring(
        &mut self,
        dispatcher: &mut Dispatcher,
        replies: &mut Vec<ReceivedReply>,
    ) -> Result<(), ProtocolError> {
        let ring = &self.worker.segment.ring;
        while let Some(next) = ring.next()? {
            let position = Position { batch: next.batch, index: next.index };
            let task = dispatcher.collect(self.lane, position)?;
            let start = self.small_replies.len();
            ring.take(next, &mut self.small_replies);
            replies.push(ReceivedReply { task, position, body: start..self.small_replies.len() });
        }
        Ok(())
    }

    // ---- the end ------------------------------------------------------------------------------------

    /// The worker can't be used any more: what it has not begun runs elsewhere.
    fn kill(&mut self, reason: KillReason) -> Liveness {
        let is_dying = reason == KillReason::StreamClosed;
        let mut cancelled = Vec::new();
        let wake = self.pool.dispatcher.lock().kill_worker(self.lane, reason, &mut cancelled);
        self.worker.outbound.clear();
        if !is_dying {
            self.signal(Signal::KILL);
        }
        // Its stream has no meaning any more: only its death is awaited.
        self.reading_stopped_until = deadline_after(GRACE);
        self.pool.wake_all(wake);
        self.pool.finish_cancelled(cancelled);
        Liveness::Alive
    }

    /// Sends the worker a signal. Where the system refuses that, the worker is told in the ways that it watches by itself,
    /// and leaves at once.
    fn signal(&mut self, signal: Signal) {
        self.is_killed = true;
        let is_sent = self.worker.child.signal(signal);
        if !is_sent {
            self.signal_refused = true;
            self.worker.segment.exit_flags.request_exit();
            self.worker.outbound.socket.shut_down();
        }
        if signal == Signal::KILL || !is_sent {
            self.give_up_at = self.give_up_at.or_else(|| deadline_after(GRACE));
        }
    }

    /// The worker is told to leave, and waited for.
    fn close(mut self) -> Option<Spare> {
        failpoint("closes");
        self.worker.outbound.clear();
        self.worker.outbound.socket.close_write();
        let deadline = deadline_after(GRACE);
        loop {
            let notes = self.worker.notes.as_ref().and_then(|notes| notes.socket());
            let awake = sys::sleep(None, false, notes, Some(&self.worker.child), &self.event, deadline);
            if awake.has_notes {
                self.hear();
            }
            if awake.event_set {
                self.event.clear();
                let signal = self.pool.dispatcher.lock().take_signal(self.lane);
                if let Some(signal) = signal {
                    self.signal(signal);
                }
            }
            if awake.ended && self.worker.child.has_ended() {
                break;
            }
            if is_over(deadline) {
                // A thread or an exit handler of the program holds it; nobody waits for that.
                self.signal(Signal::KILL);
                break;
            }
        }
        self.reap()
    }

    /// The worker is dead: what it still sent is received, and what it leaves is settled.
    fn reap(mut self) -> Option<Spare> {
        // A descendant of the worker may hold the socket and fill it for ever; a dead worker's own frames are at most what
        // fits into a socket.
        for _ in 0..MAX_FILLS {
            if !matches!(self.receive(), Ok(Filled::Some)) {
                break;
            }
        }
        self.worker.notes.iter_mut().for_each(|notes| notes.hear_last(self.pool));
        failpoint("reaps");
        let exit = match self.give_up_at {
            // It had its time.
            Some(until) if Instant::now() >= until => self.worker.child.reap(),
            _ => self.worker.child.await_end(),
        };
        let reaped = self.pool.dispatcher.lock().reap(self.lane, exit.is_some());
        failpoint("reaped");
        self.pool.wake_all(reaped.wake);
        self.pool.finish_cancelled(reaped.cancelled);
        let death = Death {
            pid: self.worker.child.pid(),
            worker_name: self.pool.config.launch.worker_name(self.lane),
            exit,
            kill_reason: reaped.kill_reason,
            start_failure: self.start_failure.take(),
            last_words: self.worker.segment.last_words.read(),
            stack: self.worker.segment.stack_words.told(),
            thread_gone: self.worker.segment.exit_flags.was_thread_gone(),
            signal_refused: self.signal_refused,
        };
        let ran = |id| Ran::of_lost(self.lane, death.pid, &reaped.begun, id);
        self.pool.tell_again(&reaped.again, &death, ran);
        for (mut task, kill) in reaped.lost {
            if exit.is_none() {
                task.abandon_argument();
            }
            let (error, ran) = (death.of_task(&task, kill), ran(task.id()));
            self.pool.fail(task, error, Some(ran));
        }
        if reaped.breaks_pool {
            let why = "a worker died, and the pool was built to break then";
            self.pool.break_down(Broken::with_source(why, death.of_worker()));
            self.pool.signal_all(Signal::TERM);
        } else if reaped.too_many_failed_starts {
            let why = "workers end before their first task";
            self.pool.break_down(Broken::with_source(why, death.of_worker()));
        }
        failpoint("settled");
        self.pool.tell_worker_gone(self.lane, &death, reaped.was_closing, self.is_killed);
        if exit.is_none() {
            self.pool.unreaped.lock().push(self.worker.child);
        }
        self.spare
    }
}

#[cfg(test)]
mod tests;
