//! One thread that starts a worker, feeds it, receives from it, and reaps it.
//!
//! It sleeps in one place, for three things at once: bytes from the worker, the worker's death, the event. Everything it
//! decides it decides in the [`Dispatcher`], under the lock; everything it does it does outside. The steps
//! are those of `PROTOCOL.md`, section "Driver".

use super::dispatch::{Action, Dispatcher, PoolState, Wake};
use super::frames::{Blocking, Filled, OutOfBand};
use super::lane::{KillReason, TaskKill};
use super::launch::{LaunchError, Worker, launch, start_failure};
use super::message::{Kind, ProtocolError};
use super::pool::Pool;
use super::sys::{self, Bell, Exit, Signal};
use super::task::EncodedTask;
use crate::clock::{self, deadline_after, is_over};
use crate::error::{Broken, TaskError, TimeLimit, WorkerDied};
use crate::id::FutureId;
use crate::logging;
use crate::remote::codec::{Arrived, Bulk};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a worker that was told to leave may take.
const GRACE: Duration = Duration::from_secs(5);

/// How long the death of a worker is waited for that closed its stream before it is helped along.
const DYING: Duration = Duration::from_secs(1);

/// A worker that has something to read and does nothing is looked at so often, and so many times in a row: then it has
/// been stopped, or its memory is destroyed. Counted, not timed: while this process was stopped as well nobody looked.
const PROGRESS_CHECK: Duration = Duration::from_secs(1);
const PROGRESS_CHECKS: u32 = 5;

/// How often a driver that sleeps looks up: a thread that submits may ship to its worker and not wake it.
const CHECK_AT_LEAST_EVERY: Duration = Duration::from_secs(5);

/// How long a driver dozes while replies come so fast that being rung for each would cost more than they do.
const NAP: Duration = Duration::from_micros(100);

/// So many looks at a stream take all that a socket holds.
const MAX_FILLS: usize = 64;

/// How often a worker's memory is looked at.
const CHECK_MEMORY_EVERY: Duration = Duration::from_millis(50);

/// Where a test has a driver panic: whatever it holds there must be resolved, its worker ended and its lane be free.
#[cfg(not(test))]
fn step(_: &'static str) {}
#[cfg(test)]
use tests::step;

/// Drives the workers of one lane, one after the other, until there is no need of any.
pub(super) fn run(pool: &Arc<Pool>, lane: usize) {
    sys::block_signals();
    // Those that have ended after all.
    pool.strays.lock().retain(|stray| stray.reap().is_none());
    let mut event: Option<Arc<Bell>> = None;
    step("begins");
    loop {
        let attempt = match &event {
            Some(event) => start(pool, lane, event),
            None => match Bell::new() {
                Ok(new) => {
                    let new = Arc::new(new);
                    pool.dispatcher.lock().lanes[lane].event = Some(new.clone());
                    start(pool, lane, event.insert(new))
                }
                Err(error) => {
                    let advice = sys::advice(&error);
                    let what = "no descriptor to wake a driver could be had";
                    Err(LaunchError::Start(format!("{what}: {error}{advice}")))
                }
            },
        };
        match attempt {
            Ok(worker) => {
                let driver = Driver::new(pool, lane, event.clone().expect("made before the start"), worker);
                driver.serve();
            }
            Err(failure) => give_up(pool, lane, failure),
        }
        let mut dispatcher = pool.dispatcher.lock();
        let stays = dispatcher.stays(lane);
        let wake = if stays { Wake::Nobody } else { dispatcher.pass_on_unless_alone() };
        let pause = dispatcher.pause(lane);
        drop(dispatcher);
        step("decided whether to stay");
        pool.wake(wake);
        if !stays {
            return;
        }
        if let Some(pause) = pause {
            rest(pool, event.as_deref(), pause);
        }
    }
}

/// Lets time pass after a start that failed, unless nobody wants a worker any more: what was short may be there again.
fn rest(pool: &Pool, event: Option<&Bell>, pause: Duration) {
    let until = deadline_after(pause);
    while !is_over(until) && pool.dispatcher.lock().wants_worker() {
        match event {
            Some(event) => {
                if sys::sleep(None, false, None, event, until).rung {
                    event.clear();
                }
            }
            None => sys::pause(pause),
        }
    }
}

fn start(pool: &Arc<Pool>, lane: usize, event: &Bell) -> Result<Worker, LaunchError> {
    let is_wanted = || pool.dispatcher.lock().wants_worker();
    if !is_wanted() {
        return Err(LaunchError::NotWanted);
    }
    let deadline = deadline_after(pool.config.start_timeout);
    let started = |pid| {
        let mut dispatcher = pool.dispatcher.lock();
        dispatcher.lanes[lane].pid = Some(pid);
        dispatcher.lanes[lane].starts += 1;
        drop(dispatcher);
        step("started");
    };
    let worker = launch(&pool.config.launch, lane, event, deadline, is_wanted, started)?;
    step("is up");
    pool.dispatcher.lock().attach(lane, worker.segment.clone(), worker.outbound.clone());
    step("is attached");
    Ok(worker)
}

fn give_up(pool: &Arc<Pool>, lane: usize, failure: LaunchError) {
    step("gives up");
    let broken = match failure {
        LaunchError::NotWanted => return,
        LaunchError::Initializer(error) => {
            Some(Broken::with_source("the initializer failed in a worker", error))
        }
        LaunchError::Start(why) => {
            logging::warn(format_args!("{why}"));
            let broken = Broken::new(format!("no worker can be started: {why}"));
            pool.dispatcher.lock().note_failed_start(lane).then_some(broken)
        }
    };
    if let Some(why) = broken {
        pool.break_down(why);
    }
}

/// One worker, from its first task to its last breath.
struct Driver<'p> {
    pool: &'p Arc<Pool>,
    lane: usize,
    event: Arc<Bell>,
    worker: Worker,
    /// Running tasks whose time is limited, and until when.
    time_limits: Vec<(FutureId, Instant)>,
    limited_task_began: bool,
    /// Nothing more is read: until when its death is waited for, then it is killed.
    reading_stopped_until: Option<Instant>,
    /// Its pool broke and it was told to end: until when it may clean up. Nobody would ever end one that ignores signals.
    kill_at: Option<Instant>,
    /// It was killed: until when its death is waited for. After that it is given up, for nothing else can be done.
    give_up_at: Option<Instant>,
    /// The system refused a signal to it.
    signal_refused: bool,
    /// It should be heard of: when that is looked at next, and how often it was.
    no_progress: Option<(Option<Instant>, u32)>,
    memory: Option<(u64, Instant)>,
    /// Replies came several at a time, and as many tasks are still to begin.
    replies_are_frequent: bool,
    /// Replies out of the ring, end to end.
    heard: Vec<u8>,
    /// What it said that it could not come up for.
    start_failure: Option<String>,
}

/// What ended a turn.
enum Turn {
    GoesOn,
    Dead,
}

impl<'p> Driver<'p> {
    fn new(pool: &'p Arc<Pool>, lane: usize, event: Arc<Bell>, worker: Worker) -> Self {
        let memory =
            pool.config.memory_growth.map(|_| (sys::resident_bytes(worker.child.pid()), Instant::now()));
        Driver {
            pool,
            lane,
            event,
            worker,
            time_limits: Vec::new(),
            limited_task_began: false,
            reading_stopped_until: None,
            kill_at: None,
            give_up_at: None,
            signal_refused: false,
            no_progress: None,
            memory,
            replies_are_frequent: false,
            heard: Vec::new(),
            start_failure: None,
        }
    }

    fn serve(mut self) {
        loop {
            let mut garbage = Vec::new();
            let drained = self.worker.outbound.is_drained();
            let next = self.pool.dispatcher.lock().next(self.lane, drained, &mut garbage);
            step("decided");
            if !garbage.is_empty() {
                drop(garbage);
                self.pool.note_room();
            }
            if !matches!(next, Action::WatchProgress) {
                self.no_progress = None;
            }
            match next {
                Action::HandleKills => self.handle_kills(),
                Action::Kill(error) => self.kill(KillReason::Protocol(error.to_string())),
                Action::WatchProgress => match self.watch_progress() {
                    Turn::GoesOn => {}
                    Turn::Dead => return self.reap(),
                },
                Action::Send => {
                    self.pool.note_room();
                    step("sends");
                    self.worker.outbound.flush();
                    step("sent");
                }
                Action::RetryStart(wake) => self.pool.wake(wake),
                Action::Close(wake) => {
                    self.pool.wake(wake);
                    return self.close();
                }
                Action::Sleep(until) => match self.turn(until.into_iter().chain(next_check()).min()) {
                    Turn::GoesOn => {}
                    Turn::Dead => return self.reap(),
                },
            }
        }
    }

    /// D1: sleeps, and hears what there is to hear.
    fn turn(&mut self, until: Option<Instant>) -> Turn {
        let others = [until, self.reading_stopped_until, self.kill_at, self.give_up_at].into_iter().flatten();
        let deadline = self.time_limits.iter().map(|(_, until)| *until).chain(others).min();
        let (socket, child) = (&self.worker.outbound.socket, &self.worker.child);
        let for_room = !self.worker.outbound.is_drained();
        let ring = &self.worker.segment.ring;
        let nap = self.replies_are_frequent.then(|| deadline_after(NAP)).flatten();
        // Whoever wants to be rung looks once more: what came before that is there to be seen, and nobody rings for it.
        let is_reading_stopped = self.reading_stopped_until.is_some();
        let has_replies = nap.is_none() && !is_reading_stopped && ring.enable_doorbell();
        let until = if has_replies { Some(Instant::now()) } else { deadline.into_iter().chain(nap).min() };
        let awake =
            sys::sleep((!is_reading_stopped).then_some(socket), for_room, Some(child), &self.event, until);
        ring.disable_doorbell();
        if awake.rung {
            // Before the next look at the dispatcher, never after it.
            self.event.clear();
        }
        if awake.ended && child.has_ended() {
            return Turn::Dead;
        }
        if self.give_up_at.is_some_and(|until| Instant::now() >= until) {
            return Turn::Dead;
        }
        let has_replies = !is_reading_stopped && ring.has_replies();
        self.replies_are_frequent &= has_replies;
        if awake.writable || awake.readable || has_replies {
            self.no_progress = None;
        }
        if awake.writable {
            self.worker.outbound.flush();
        }
        if awake.readable || has_replies {
            match self.hear() {
                Ok(Filled::Some | Filled::Nothing) => {}
                Ok(Filled::End) => {
                    self.kill(KillReason::Silent);
                    self.reading_stopped_until = deadline_after(DYING);
                }
                Err(error) => self.kill(KillReason::Protocol(error.to_string())),
            }
        }
        if is_over(self.reading_stopped_until) {
            self.kill(KillReason::Protocol("it closed its end of the connection and lived on".into()));
        }
        if is_over(self.kill_at) {
            self.kill_at = None;
            self.signal(Signal::KILL);
        }
        self.check_time_limits();
        self.check_memory();
        Turn::GoesOn
    }

    /// Sleeps, but not for ever: a worker that is stopped would keep its tasks from the others.
    fn watch_progress(&mut self) -> Turn {
        let (until, _) = *self.no_progress.get_or_insert_with(|| (deadline_after(PROGRESS_CHECK), 0));
        let turn = self.turn(until);
        if let Some((until, times)) = &mut self.no_progress
            && is_over(*until)
        {
            (*until, *times) = (deadline_after(PROGRESS_CHECK), *times + 1);
            if *times >= PROGRESS_CHECKS {
                self.give_up_on_silent();
            }
        }
        turn
    }

    /// Takes everything back from a worker that does nothing, and ends it if it really doesn't: no task is to blame.
    fn give_up_on_silent(&mut self) {
        self.no_progress = None;
        let mut cancelled = Vec::new();
        let mut dispatcher = self.pool.dispatcher.lock();
        let wake = dispatcher.recall(self.lane, &mut cancelled);
        let goes_on = !dispatcher.lanes[self.lane].should_progress();
        drop(dispatcher);
        self.pool.wake_all(wake);
        self.pool.finish_cancelled(cancelled);
        if !goes_on {
            self.kill(KillReason::Protocol("it did nothing for seconds, as if stopped".into()));
        }
    }

    /// Takes what is there off the socket, once, and all that is in the ring, and resolves what it completes.
    fn hear(&mut self) -> Result<Filled, ProtocolError> {
        let inbox = &mut self.worker.inbox;
        let filled = match self.reading_stopped_until {
            None => inbox.fill(&self.worker.outbound.socket, Blocking::No).unwrap_or(Filled::End),
            Some(_) => Filled::End,
        };
        let mut replies: Vec<(EncodedTask, Range<usize>, Option<OutOfBand>)> = Vec::new();
        let mut small: Vec<(EncodedTask, Range<usize>)> = Vec::new();
        let mut heard = Ok(filled);
        self.heard.clear();
        let mut dispatcher = self.pool.dispatcher.lock();
        loop {
            let frame = match inbox.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => {
                    heard = Err(error);
                    break;
                }
            };
            match frame.0.kind {
                Kind::Reply => match dispatcher.collect(self.lane, frame.0.a, frame.0.b) {
                    Ok(task) => replies.push((task, frame.1, inbox.take_out_of_band())),
                    Err(error) => {
                        heard = Err(error);
                        break;
                    }
                },
                // Something has changed in the segment; it is looked at anyway.
                Kind::Doorbell => self.limited_task_began = true,
                Kind::CannotStart if dispatcher.lanes[self.lane].results == 0 => {
                    self.start_failure = Some(start_failure(inbox.body(frame.1)));
                }
                _ => {
                    heard = Err(ProtocolError("a message out of turn"));
                    break;
                }
            }
        }
        if heard.is_ok()
            && let Err(error) = self.collect(&mut dispatcher, &mut small)
        {
            heard = Err(error);
        }
        if !small.is_empty() {
            step("receives, with the dispatcher locked");
        }
        // A nap must not let the worker run dry.
        self.replies_are_frequent =
            small.len() > 1 && dispatcher.lanes[self.lane].waiting_tasks() > small.len();
        drop(dispatcher);
        if !small.is_empty() {
            step("received");
        }
        for (task, body, out_of_band) in replies {
            let bulk = out_of_band.map(|out_of_band| Bulk::new(out_of_band.at, out_of_band.bytes));
            self.pool.complete(task, Arrived::with_bulk(self.worker.inbox.body(body), bulk.as_ref()));
        }
        for (task, body) in small {
            self.pool.complete(task, &self.heard[body]);
            step("resolved one");
        }
        heard
    }

    /// Takes the replies out of the ring.
    fn collect(
        &mut self,
        dispatcher: &mut Dispatcher,
        replies: &mut Vec<(EncodedTask, Range<usize>)>,
    ) -> Result<(), ProtocolError> {
        let ring = &self.worker.segment.ring;
        while let Some(next) = ring.next()? {
            let task = dispatcher.collect(self.lane, next.batch, next.index)?;
            let start = self.heard.len();
            ring.take(next, &mut self.heard);
            replies.push((task, start..self.heard.len()));
        }
        Ok(())
    }

    /// Starts the clock of what has begun, and asks for the end of what is out of time.
    fn check_time_limits(&mut self) {
        if !self.limited_task_began && self.time_limits.is_empty() {
            return;
        }
        self.limited_task_began = false;
        let now = Instant::now();
        let mut dispatcher = self.pool.dispatcher.lock();
        let running = dispatcher.limited(self.lane);
        self.time_limits.retain(|(id, _)| running.iter().any(|(running, _)| running == id));
        for (id, limit) in running {
            if self.time_limits.iter().all(|(known, _)| *known != id)
                && let Some(until) = clock::after(now, limit)
            {
                self.time_limits.push((id, until));
            }
        }
        self.time_limits.retain(|(id, until)| {
            let over = *until <= now;
            if over {
                dispatcher.kill(*id, TaskKill::OutOfTime);
            }
            !over
        });
    }

    /// Looks at the worker's memory, from time to time.
    fn check_memory(&mut self) {
        let (Some((at_start, last)), Some(most)) = (&mut self.memory, self.pool.config.memory_growth) else {
            return;
        };
        if last.elapsed() < CHECK_MEMORY_EVERY {
            return;
        }
        *last = Instant::now();
        if sys::resident_bytes(self.worker.child.pid()).saturating_sub(*at_start) > most {
            self.pool.dispatcher.lock().lanes[self.lane].is_retiring = true;
        }
    }

    /// It can't be talked to any more: what it has not begun runs elsewhere.
    fn kill(&mut self, why: KillReason) {
        let mut cancelled = Vec::new();
        let mut dispatcher = self.pool.dispatcher.lock();
        let wake = dispatcher.recall(self.lane, &mut cancelled);
        let is_dying = why == KillReason::Silent;
        let kill_reason = &mut dispatcher.lanes[self.lane].kill_reason;
        // Who is killed for a task falls silent as well: that is no other reason.
        if !matches!(kill_reason, Some(KillReason::ForTask(..))) {
            *kill_reason = Some(why);
        }
        drop(dispatcher);
        self.worker.outbound.clear();
        if !is_dying {
            self.signal(Signal::KILL);
        }
        // Its stream has no meaning any more: only its death is waited for.
        self.reading_stopped_until = deadline_after(GRACE);
        self.pool.wake_all(wake);
        self.pool.finish_cancelled(cancelled);
    }

    /// Somebody is to be killed: first nothing new may begin, then what is there is heard, and only who still runs after
    /// that is signalled. No other task can be hit.
    fn handle_kills(&mut self) {
        let mut cancelled = Vec::new();
        let mut dispatcher = self.pool.dispatcher.lock();
        let order = dispatcher.lanes[self.lane].order.take();
        if order.is_some() && matches!(dispatcher.state, PoolState::Broken(_)) {
            self.kill_at = deadline_after(GRACE);
        }
        let wake = dispatcher.recall(self.lane, &mut cancelled);
        drop(dispatcher);
        step("recalled");
        self.pool.wake_all(wake);
        self.pool.finish_cancelled(cancelled);
        if let Some(signal) = order {
            self.signal(signal);
        }
        let mut heard = Ok(Filled::Some);
        // What was said before the recall is at most what fits into a socket; behind that nothing can begin. Somebody who
        // goes on talking must not put off his end for ever.
        for _ in 0..MAX_FILLS {
            if self.reading_stopped_until.is_some() {
                return;
            }
            heard = self.hear();
            if heard != Ok(Filled::Some) {
                break;
            }
        }
        if let Err(error) = heard {
            return self.kill(KillReason::Protocol(error.to_string()));
        }
        if self.pool.dispatcher.lock().confirm_kill(self.lane).is_some() {
            self.signal(Signal::KILL);
            step("killed");
        }
    }

    /// Sends the worker a signal. Where the system refuses that, the worker is told in the ways that it watches by itself,
    /// and leaves at once.
    fn signal(&mut self, signal: Signal) {
        let is_sent = self.worker.child.signal(signal);
        if !is_sent {
            self.signal_refused = true;
            self.worker.segment.exit_flags.request_exit();
            self.worker.outbound.socket.hang_up();
        }
        if signal == Signal::KILL || !is_sent {
            self.give_up_at = self.give_up_at.or_else(|| deadline_after(GRACE));
        }
    }

    /// The worker is told to leave, and waited for.
    fn close(mut self) {
        step("closes");
        self.worker.outbound.clear();
        self.worker.outbound.socket.close_write();
        let deadline = deadline_after(GRACE);
        loop {
            let awake = sys::sleep(None, false, Some(&self.worker.child), &self.event, deadline);
            if awake.rung {
                self.event.clear();
                let order = self.pool.dispatcher.lock().lanes[self.lane].order.take();
                if let Some(signal) = order {
                    self.signal(signal);
                }
            }
            if awake.ended && self.worker.child.has_ended() {
                break;
            }
            if is_over(deadline) {
                // A thread or an exit handler of the program's holds it; nobody waits for that.
                self.signal(Signal::KILL);
                break;
            }
        }
        self.reap();
    }

    /// The worker is dead: what it still said is heard, and what it leaves is settled.
    fn reap(mut self) {
        // A descendant of the worker may hold the socket and fill it for ever; a dead worker's own words are at most what
        // fits into a socket.
        for _ in 0..MAX_FILLS {
            if !matches!(self.hear(), Ok(Filled::Some)) {
                break;
            }
        }
        step("reaps");
        let exit = match self.give_up_at {
            // It had its time.
            Some(until) if Instant::now() >= until => self.worker.child.reap(),
            _ => self.worker.child.await_end(),
        };
        let mut dispatcher = self.pool.dispatcher.lock();
        let kill_reason = dispatcher.lanes[self.lane].kill_reason.clone();
        let reaped = dispatcher.reap(self.lane, exit.is_some());
        drop(dispatcher);
        step("reaped");
        self.pool.wake_all(reaped.wake);
        self.pool.finish_cancelled(reaped.cancelled);
        for (task, reason) in reaped.lost {
            let error = self.verdict(&task, reason, exit, kill_reason.as_ref());
            self.pool.fail(task, error);
        }
        if reaped.breaks_pool {
            let died = self.died(exit, kill_reason.as_ref());
            let why = Broken::with_source("a worker died, and the pool was built to break then", died);
            self.pool.break_down(why);
            self.pool.order(Signal::TERM);
        } else if reaped.too_many_failed_starts {
            let died = self.died(exit, kill_reason.as_ref());
            self.pool.break_down(Broken::with_source("workers die before their first task", died));
        }
        step("settled");
        if exit.is_none() {
            self.pool.strays.lock().push(self.worker.child);
        }
    }

    fn verdict(
        &self,
        task: &EncodedTask,
        reason: Option<TaskKill>,
        exit: Option<Exit>,
        kill_reason: Option<&KillReason>,
    ) -> TaskError {
        let (id, label) = (task.id(), task.entry.label());
        let name = self.pool.config.launch.worker_name(self.lane);
        if let Some(panic) = self.worker.segment.last_words.read().and_then(|words| last_panic(&words)) {
            return TaskError::Panicked(panic.with_task(id, label).with_worker(name));
        }
        match (reason, task.time_limit(), exit) {
            (Some(TaskKill::OutOfTime), Some(limit), Some(_)) => {
                TaskError::TimeLimit(TimeLimit::new(limit).with_task(id, label, name))
            }
            (Some(_), _, Some(exit)) => {
                let died = WorkerDied::new(self.worker.child.pid()).with_cause("it was killed by `kill`");
                TaskError::WorkerDied(with_exit(died, exit).with_task(id, label, name))
            }
            _ => TaskError::WorkerDied(self.died(exit, kill_reason).with_task(id, label, name)),
        }
    }

    fn died(&self, exit: Option<Exit>, kill_reason: Option<&KillReason>) -> WorkerDied {
        const REFUSED: &str = "the system does not let this process signal it (one of the two changed its user, or a \
                               sandbox forbids it)";
        let died = WorkerDied::new(self.worker.child.pid());
        let Some(exit) = exit else {
            let why =
                if self.signal_refused { REFUSED } else { "the kernel has not ended it since it was killed" };
            return died.with_cause(format!("it was given up, and may still be there: {why}"));
        };
        let died = with_exit(died, exit);
        match (&self.start_failure, kill_reason) {
            (Some(start_failure), _) => died.with_cause(start_failure),
            (None, _) if self.worker.segment.exit_flags.was_thread_gone() => died.with_cause(
                "the thread that ran the task ended alone: by the system call `exit`, `pthread_exit`, or a sandbox \
                 that kills threads; the worker noticed and left",
            ),
            (None, _) if self.signal_refused => {
                died.with_cause(format!("it was told to leave, since {REFUSED}"))
            }
            (None, Some(KillReason::Protocol(why))) => died.with_cause(format!("it was killed since {why}")),
            (None, _) => match exit.likely_cause() {
                Some(cause) => died.with_cause(cause),
                None => died,
            },
        }
    }
}

fn next_check() -> Option<Instant> {
    deadline_after(CHECK_AT_LEAST_EVERY)
}

fn with_exit(died: WorkerDied, exit: Exit) -> WorkerDied {
    match exit {
        Exit::Signal(signal) => died.with_signal(signal),
        Exit::Code(code) => died.with_exit_code(code),
        Exit::Unknown => died,
    }
}

/// A panic that a worker under `panic = "abort"` left behind.
fn last_panic(words: &[u8]) -> Option<crate::error::Panicked> {
    match crate::remote::outcome::read::<()>(words) {
        Err(TaskError::Panicked(panic)) => Some(panic),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
