//! Life: one thread that starts a worker, feeds it, hears it, and buries it.
//!
//! It sleeps in one place, for three things at once: bytes from the worker, the worker's death, the bell. Everything it
//! decides it decides in the [`Book`], under the lock; everything it does it does outside. The steps
//! are those of `PAGE.md`, section "Driver".

use super::book::{Book, Life, Step};
use super::channel::{Apart, Filled, Wait};
use super::desk::{Reason, Sentence};
use super::launch::{Failure, Worker, excuse, launch};
use super::message::{Garbled, Kind};
use super::pool::Pool;
use super::record::Record;
use super::sys::{self, Bell, Exit, Signal};
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
const LISTEN: Duration = Duration::from_secs(1);
const LISTENS: u32 = 5;

/// How often a driver that sleeps looks up: a thread that submits may ship to its worker and not wake it.
const LOOK_UP: Duration = Duration::from_secs(5);

/// How long a driver dozes while replies come so fast that being rung for each would cost more than they do.
const NAP: Duration = Duration::from_micros(100);

/// So many looks at a stream take all that a socket holds.
const MOST_FILLS: usize = 64;

/// How often a worker's memory is looked at.
const WEIGH_EVERY: Duration = Duration::from_millis(50);

/// Where a test has a driver panic: whatever it holds there must be resolved, its worker ended and its desk be free.
#[cfg(not(test))]
fn step(_: &'static str) {}
#[cfg(test)]
use tests::step;

/// Drives the workers of one desk, one after the other, until there is no need of any.
pub(super) fn run(pool: &Arc<Pool>, desk: usize) {
    sys::block_signals();
    // Those that have ended after all.
    pool.strays.lock().retain(|stray| stray.reap().is_none());
    let mut bell: Option<Arc<Bell>> = None;
    step("begins");
    loop {
        let attempt = match &bell {
            Some(bell) => start(pool, desk, bell),
            None => match Bell::new() {
                Ok(new) => {
                    let new = Arc::new(new);
                    pool.book.lock().desks[desk].bell = Some(new.clone());
                    start(pool, desk, bell.insert(new))
                }
                Err(error) => {
                    let advice = sys::advice(&error);
                    let what = "no descriptor to wake a driver could be had";
                    Err(Failure::Start(format!("{what}: {error}{advice}")))
                }
            },
        };
        match attempt {
            Ok(worker) => {
                let driver = Driver::new(pool, desk, bell.clone().expect("made before the start"), worker);
                driver.serve();
            }
            Err(failure) => give_up(pool, desk, failure),
        }
        let mut book = pool.book.lock();
        let stays = book.stays(desk);
        let wake = if stays { super::book::Wake::Nobody } else { book.pass_on_unless_alone() };
        let pause = book.pause(desk);
        drop(book);
        step("decided whether to stay");
        pool.wake(wake);
        if !stays {
            return;
        }
        if let Some(pause) = pause {
            rest(pool, bell.as_deref(), pause);
        }
    }
}

/// Lets time pass after a start that failed, unless nobody wants a worker any more: what was short may be there again.
fn rest(pool: &Pool, bell: Option<&Bell>, pause: Duration) {
    let until = deadline_after(pause);
    while !is_over(until) && pool.book.lock().wants_worker() {
        match bell {
            Some(bell) => {
                if sys::sleep(None, false, None, bell, until).rung {
                    bell.clear();
                }
            }
            None => sys::pause(pause),
        }
    }
}

fn start(pool: &Arc<Pool>, desk: usize, bell: &Bell) -> Result<Worker, Failure> {
    let is_wanted = || pool.book.lock().wants_worker();
    if !is_wanted() {
        return Err(Failure::NotWanted);
    }
    let deadline = deadline_after(pool.config.start_timeout);
    let started = |pid| {
        let mut book = pool.book.lock();
        book.desks[desk].pid = Some(pid);
        book.desks[desk].starts += 1;
        drop(book);
        step("started");
    };
    let worker = launch(&pool.config.recipe, desk, bell, deadline, is_wanted, started)?;
    step("is up");
    pool.book.lock().occupy(desk, worker.page.clone(), worker.door.clone());
    step("is at its desk");
    Ok(worker)
}

fn give_up(pool: &Arc<Pool>, desk: usize, failure: Failure) {
    step("gives up");
    let broken = match failure {
        Failure::NotWanted => return,
        Failure::Initializer(error) => Some(Broken::with_source("the initializer failed in a worker", error)),
        Failure::Start(why) => {
            logging::warn(format_args!("{why}"));
            let broken = Broken::new(format!("no worker can be started: {why}"));
            pool.book.lock().note_failed_start(desk).then_some(broken)
        }
    };
    if let Some(why) = broken {
        pool.break_down(why);
    }
}

/// One worker, from its first task to its last breath.
struct Driver<'p> {
    pool: &'p Arc<Pool>,
    desk: usize,
    bell: Arc<Bell>,
    worker: Worker,
    /// Running tasks whose time is limited, and until when.
    clocks: Vec<(FutureId, Instant)>,
    has_limits: bool,
    /// Nothing more is read: until when its death is waited for, then it is killed.
    deaf_until: Option<Instant>,
    /// Its pool broke and it was told to end: until when it may clean up. Nobody would ever end one that ignores signals.
    mercy_until: Option<Instant>,
    /// It was killed: until when its death is waited for. After that it is given up, for nothing else can be done.
    gone_by: Option<Instant>,
    /// The system refused a signal to it.
    is_out_of_reach: bool,
    /// It should be heard of: when that is looked at next, and how often it was.
    quiet: Option<(Option<Instant>, u32)>,
    weight: Option<(u64, Instant)>,
    /// Replies came several at a time, and as many tasks are still to begin.
    is_brisk: bool,
    /// Replies out of the ring, end to end.
    heard: Vec<u8>,
    /// What it said that it could not come up for.
    excuse: Option<String>,
}

/// What ended a turn.
enum Turn {
    GoesOn,
    Dead,
}

impl<'p> Driver<'p> {
    fn new(pool: &'p Arc<Pool>, desk: usize, bell: Arc<Bell>, worker: Worker) -> Self {
        let weight =
            pool.config.memory_growth.map(|_| (sys::resident_bytes(worker.child.pid()), Instant::now()));
        Driver {
            pool,
            desk,
            bell,
            worker,
            clocks: Vec::new(),
            has_limits: false,
            deaf_until: None,
            mercy_until: None,
            gone_by: None,
            is_out_of_reach: false,
            quiet: None,
            weight,
            is_brisk: false,
            heard: Vec::new(),
            excuse: None,
        }
    }

    fn serve(mut self) {
        loop {
            let mut garbage = Vec::new();
            let drained = self.worker.door.is_drained();
            let next = self.pool.book.lock().next(self.desk, drained, &mut garbage);
            step("decided");
            if !garbage.is_empty() {
                drop(garbage);
                self.pool.note_room();
            }
            if !matches!(next, Step::Listen) {
                self.quiet = None;
            }
            match next {
                Step::Judge => self.judge(),
                Step::Condemn(garbled) => self.condemn(Sentence::Garbled(garbled.to_string())),
                Step::Listen => match self.listen() {
                    Turn::GoesOn => {}
                    Turn::Dead => return self.bury(),
                },
                Step::Send => {
                    self.pool.note_room();
                    step("sends");
                    self.worker.door.flush();
                    step("sent");
                }
                Step::StartAgain(wake) => self.pool.wake(wake),
                Step::Close(wake) => {
                    self.pool.wake(wake);
                    return self.close();
                }
                Step::Sleep(until) => match self.turn(until.into_iter().chain(look_up()).min()) {
                    Turn::GoesOn => {}
                    Turn::Dead => return self.bury(),
                },
            }
        }
    }

    /// D1: sleeps, and hears what there is to hear.
    fn turn(&mut self, until: Option<Instant>) -> Turn {
        let others = [until, self.deaf_until, self.mercy_until, self.gone_by].into_iter().flatten();
        let deadline = self.clocks.iter().map(|(_, until)| *until).chain(others).min();
        let (socket, child) = (&self.worker.door.socket, &self.worker.child);
        let for_room = !self.worker.door.is_drained();
        let ring = &self.worker.page.ring;
        let nap = self.is_brisk.then(|| deadline_after(NAP)).flatten();
        // Whoever wants to be rung looks once more: what came before that is there to be seen, and nobody rings for it.
        let is_deaf = self.deaf_until.is_some();
        let has_news = nap.is_none() && !is_deaf && ring.hang_up();
        let until = if has_news { Some(Instant::now()) } else { deadline.into_iter().chain(nap).min() };
        let awake = sys::sleep((!is_deaf).then_some(socket), for_room, Some(child), &self.bell, until);
        ring.listen();
        if awake.rung {
            // Before the next look at the book, never after it.
            self.bell.clear();
        }
        if awake.ended && child.has_ended() {
            return Turn::Dead;
        }
        if self.gone_by.is_some_and(|until| Instant::now() >= until) {
            return Turn::Dead;
        }
        let has_news = !is_deaf && ring.has_news();
        self.is_brisk &= has_news;
        if awake.writable || awake.readable || has_news {
            self.quiet = None;
        }
        if awake.writable {
            self.worker.door.flush();
        }
        if awake.readable || has_news {
            match self.hear() {
                Ok(Filled::Some | Filled::Nothing) => {}
                Ok(Filled::End) => {
                    self.condemn(Sentence::Silent);
                    self.deaf_until = deadline_after(DYING);
                }
                Err(garbled) => self.condemn(Sentence::Garbled(garbled.to_string())),
            }
        }
        if is_over(self.deaf_until) {
            self.condemn(Sentence::Garbled("it closed its end of the connection and lived on".into()));
        }
        if is_over(self.mercy_until) {
            self.mercy_until = None;
            self.signal(Signal::KILL);
        }
        self.look_at_clocks();
        self.weigh();
        Turn::GoesOn
    }

    /// Sleeps, but not for ever: a worker that is stopped would keep its tasks from the others.
    fn listen(&mut self) -> Turn {
        let (until, _) = *self.quiet.get_or_insert_with(|| (deadline_after(LISTEN), 0));
        let turn = self.turn(until);
        if let Some((until, times)) = &mut self.quiet
            && is_over(*until)
        {
            (*until, *times) = (deadline_after(LISTEN), *times + 1);
            if *times >= LISTENS {
                self.forsake();
            }
        }
        turn
    }

    /// Takes everything back from a worker that does nothing, and ends it if it really doesn't: no task is to blame.
    fn forsake(&mut self) {
        self.quiet = None;
        let mut cancelled = Vec::new();
        let mut book = self.pool.book.lock();
        let wake = book.recall(self.desk, &mut cancelled);
        let goes_on = !book.desks[self.desk].owes_a_sign();
        drop(book);
        self.pool.wake_all(wake);
        self.pool.finish_cancelled(cancelled);
        if !goes_on {
            self.condemn(Sentence::Garbled("it did nothing for seconds, as if stopped".into()));
        }
    }

    /// Takes what is there off the socket, once, and all that is in the ring, and resolves what it completes.
    fn hear(&mut self) -> Result<Filled, Garbled> {
        let inbox = &mut self.worker.inbox;
        let filled = match self.deaf_until {
            None => inbox.fill(&self.worker.door.socket, Wait::No).unwrap_or(Filled::End),
            Some(_) => Filled::End,
        };
        let mut replies: Vec<(Record, Range<usize>, Option<Apart>)> = Vec::new();
        let mut small: Vec<(Record, Range<usize>)> = Vec::new();
        let mut heard = Ok(filled);
        self.heard.clear();
        let mut book = self.pool.book.lock();
        loop {
            let frame = match inbox.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(garbled) => {
                    heard = Err(garbled);
                    break;
                }
            };
            match frame.0.kind {
                Kind::Reply => match book.collect(self.desk, frame.0.a, frame.0.b) {
                    Ok(record) => replies.push((record, frame.1, inbox.take_apart())),
                    Err(garbled) => {
                        heard = Err(garbled);
                        break;
                    }
                },
                // Something has changed in the page; it is looked at anyway.
                Kind::Bell => self.has_limits = true,
                Kind::Sorry if book.desks[self.desk].results == 0 => {
                    self.excuse = Some(excuse(inbox.body(frame.1)));
                }
                _ => {
                    heard = Err(Garbled("a message out of turn"));
                    break;
                }
            }
        }
        if heard.is_ok()
            && let Err(garbled) = self.collect(&mut book, &mut small)
        {
            heard = Err(garbled);
        }
        if !small.is_empty() {
            step("hears, with the book in hand");
        }
        // A nap must not let the worker run dry.
        self.is_brisk = small.len() > 1 && book.desks[self.desk].all_waiting() > small.len();
        drop(book);
        if !small.is_empty() {
            step("heard");
        }
        for (record, body, apart) in replies {
            let bulk = apart.map(|apart| Bulk::new(apart.at, apart.bytes));
            self.pool.complete(record, Arrived::with_bulk(self.worker.inbox.body(body), bulk.as_ref()));
        }
        for (record, body) in small {
            self.pool.complete(record, &self.heard[body]);
            step("resolved one");
        }
        heard
    }

    /// Takes the replies out of the ring.
    fn collect(&mut self, book: &mut Book, replies: &mut Vec<(Record, Range<usize>)>) -> Result<(), Garbled> {
        let ring = &self.worker.page.ring;
        while let Some(next) = ring.next()? {
            let record = book.collect(self.desk, next.batch, next.index)?;
            let start = self.heard.len();
            ring.take(next, &mut self.heard);
            replies.push((record, start..self.heard.len()));
        }
        Ok(())
    }

    /// Starts the clock of what has begun, and asks for the end of what is out of time.
    fn look_at_clocks(&mut self) {
        if !self.has_limits && self.clocks.is_empty() {
            return;
        }
        self.has_limits = false;
        let now = Instant::now();
        let mut book = self.pool.book.lock();
        let running = book.limited(self.desk);
        self.clocks.retain(|(id, _)| running.iter().any(|(running, _)| running == id));
        for (id, limit) in running {
            if self.clocks.iter().all(|(known, _)| *known != id)
                && let Some(until) = clock::after(now, limit)
            {
                self.clocks.push((id, until));
            }
        }
        self.clocks.retain(|(id, until)| {
            let over = *until <= now;
            if over {
                book.kill(*id, Reason::OutOfTime);
            }
            !over
        });
    }

    /// Looks at the worker's memory, from time to time.
    fn weigh(&mut self) {
        let (Some((at_start, last)), Some(most)) = (&mut self.weight, self.pool.config.memory_growth) else {
            return;
        };
        if last.elapsed() < WEIGH_EVERY {
            return;
        }
        *last = Instant::now();
        if sys::resident_bytes(self.worker.child.pid()).saturating_sub(*at_start) > most {
            self.pool.book.lock().desks[self.desk].is_retiring = true;
        }
    }

    /// It can't be talked to any more: what it has not begun runs elsewhere.
    fn condemn(&mut self, sentence: Sentence) {
        let mut cancelled = Vec::new();
        let mut book = self.pool.book.lock();
        let wake = book.recall(self.desk, &mut cancelled);
        let is_dying = sentence == Sentence::Silent;
        let condemned = &mut book.desks[self.desk].condemned;
        // Who is killed for a task falls silent as well: that is no other reason.
        if !matches!(condemned, Some(Sentence::ForTask(..))) {
            *condemned = Some(sentence);
        }
        drop(book);
        self.worker.door.clear();
        if !is_dying {
            self.signal(Signal::KILL);
        }
        // Its stream has no meaning any more: only its death is waited for.
        self.deaf_until = deadline_after(GRACE);
        self.pool.wake_all(wake);
        self.pool.finish_cancelled(cancelled);
    }

    /// Somebody is to be killed: first nothing new may begin, then what is there is heard, and only who still runs after
    /// that is signalled. No other task can be hit.
    fn judge(&mut self) {
        let mut cancelled = Vec::new();
        let mut book = self.pool.book.lock();
        let order = book.desks[self.desk].order.take();
        if order.is_some() && matches!(book.life, Life::Broken(_)) {
            self.mercy_until = deadline_after(GRACE);
        }
        let wake = book.recall(self.desk, &mut cancelled);
        drop(book);
        step("recalled");
        self.pool.wake_all(wake);
        self.pool.finish_cancelled(cancelled);
        if let Some(signal) = order {
            self.signal(signal);
        }
        let mut heard = Ok(Filled::Some);
        // What was said before the recall is at most what fits into a socket; behind that nothing can begin. Somebody who
        // goes on talking must not put off his end for ever.
        for _ in 0..MOST_FILLS {
            if self.deaf_until.is_some() {
                return;
            }
            heard = self.hear();
            if heard != Ok(Filled::Some) {
                break;
            }
        }
        if let Err(garbled) = heard {
            return self.condemn(Sentence::Garbled(garbled.to_string()));
        }
        if self.pool.book.lock().judge(self.desk).is_some() {
            self.signal(Signal::KILL);
            step("killed");
        }
    }

    /// Sends the worker a signal. Where the system refuses that, the worker is told in the ways that it watches by itself,
    /// and leaves at once.
    fn signal(&mut self, signal: Signal) {
        let is_sent = self.worker.child.signal(signal);
        if !is_sent {
            self.is_out_of_reach = true;
            self.worker.page.parting.tell_to_leave();
            self.worker.door.socket.hang_up();
        }
        if signal == Signal::KILL || !is_sent {
            self.gone_by = self.gone_by.or_else(|| deadline_after(GRACE));
        }
    }

    /// The worker is told to leave, and waited for.
    fn close(mut self) {
        step("closes");
        self.worker.door.clear();
        self.worker.door.socket.close_write();
        let deadline = deadline_after(GRACE);
        loop {
            let awake = sys::sleep(None, false, Some(&self.worker.child), &self.bell, deadline);
            if awake.rung {
                self.bell.clear();
                let order = self.pool.book.lock().desks[self.desk].order.take();
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
        self.bury();
    }

    /// The worker is dead: what it still said is heard, and what it leaves is settled.
    fn bury(mut self) {
        // A descendant of the worker may hold the socket and fill it for ever; a dead worker's own words are at most what
        // fits into a socket.
        for _ in 0..MOST_FILLS {
            if !matches!(self.hear(), Ok(Filled::Some)) {
                break;
            }
        }
        step("buries");
        let exit = match self.gone_by {
            // It had its time.
            Some(until) if Instant::now() >= until => self.worker.child.reap(),
            _ => self.worker.child.await_end(),
        };
        let mut book = self.pool.book.lock();
        let sentence = book.desks[self.desk].condemned.clone();
        let remains = book.bury(self.desk, exit.is_some());
        drop(book);
        step("buried");
        self.pool.wake_all(remains.wake);
        self.pool.finish_cancelled(remains.cancelled);
        for (record, reason) in remains.blamed {
            let error = self.verdict(&record, reason, exit, sentence.as_ref());
            self.pool.fail(record, error);
        }
        if remains.breaks_pool {
            let died = self.died(exit, sentence.as_ref());
            let why = Broken::with_source("a worker died, and the pool was built to break then", died);
            self.pool.break_down(why);
            self.pool.order(Signal::TERM);
        } else if remains.is_hopeless {
            let died = self.died(exit, sentence.as_ref());
            self.pool.break_down(Broken::with_source("workers die before their first task", died));
        }
        step("settled");
        if exit.is_none() {
            self.pool.strays.lock().push(self.worker.child);
        }
    }

    fn verdict(
        &self,
        record: &Record,
        reason: Option<Reason>,
        exit: Option<Exit>,
        sentence: Option<&Sentence>,
    ) -> TaskError {
        let (id, label) = (record.id(), record.entry.label());
        let name = self.pool.config.recipe.worker_name(self.desk);
        if let Some(panic) = self.worker.page.last_words.read().and_then(|words| last_panic(&words)) {
            return TaskError::Panicked(panic.with_task(id, label).with_worker(name));
        }
        match (reason, record.time_limit(), exit) {
            (Some(Reason::OutOfTime), Some(limit), Some(_)) => {
                TaskError::TimeLimit(TimeLimit::new(limit).with_task(id, label, name))
            }
            (Some(_), _, Some(exit)) => {
                let died = WorkerDied::new(self.worker.child.pid()).with_cause("it was killed by `kill`");
                TaskError::WorkerDied(with_exit(died, exit).with_task(id, label, name))
            }
            _ => TaskError::WorkerDied(self.died(exit, sentence).with_task(id, label, name)),
        }
    }

    fn died(&self, exit: Option<Exit>, sentence: Option<&Sentence>) -> WorkerDied {
        const REFUSED: &str = "the system does not let this process signal it (one of the two changed its user, or a \
                               sandbox forbids it)";
        let died = WorkerDied::new(self.worker.child.pid());
        let Some(exit) = exit else {
            let why = if self.is_out_of_reach {
                REFUSED
            } else {
                "the kernel has not ended it since it was killed"
            };
            return died.with_cause(format!("it was given up, and may still be there: {why}"));
        };
        let died = with_exit(died, exit);
        match (&self.excuse, sentence) {
            (Some(excuse), _) => died.with_cause(excuse),
            (None, _) if self.worker.page.parting.was_thread_gone() => died.with_cause(
                "the thread that ran the task ended alone: by the system call `exit`, `pthread_exit`, or a sandbox \
                 that kills threads; the worker noticed and left",
            ),
            (None, _) if self.is_out_of_reach => {
                died.with_cause(format!("it was told to leave, since {REFUSED}"))
            }
            (None, Some(Sentence::Garbled(why))) => died.with_cause(format!("it was killed since {why}")),
            (None, _) => match exit.likely_cause() {
                Some(cause) => died.with_cause(cause),
                None => died,
            },
        }
    }
}

fn look_up() -> Option<Instant> {
    deadline_after(LOOK_UP)
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
