//! [`Client`]: what the executor's threads share, and how they agree whether there is a connection.

use super::book::{Book, Ended};
use super::options::Options;
use crate::engine::{Engine, Fault, Link};
use crate::logging;
use crate::secret::Secret;
use crate::wire::{Life, MOST_BYTES, Name, NodeInfo, SHARED, Session};
use concurrent_futures::{Broken, Registration, Rejected, SharedBlob, Shutdown, Task, TaskError, remote};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

/// Room for the names before a parcel, and for the ids before shared data.
const AROUND: u64 = 1 << 20;

pub(super) struct Client {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) options: Options,
    pub(super) registration: Registration,
    build: Name,
    pub(super) secret: Option<Secret>,
    state: Mutex<State>,
    pub(super) bells: Bells,
    /// Waited at by submitters for room in the queue.
    room: Condvar,
    /// For steps that a caller's own thread makes: CANCEL and orders.
    asking: Mutex<Option<Asking>>,
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What each thread sleeps on. What happens with every task rings one of them: a thread that is woken in vain delays the others.
#[derive(Default)]
pub(super) struct Bells {
    /// Tasks to submit, or room for them.
    pub(super) ship: Condvar,
    /// The connection is lost, or something is to be taken back.
    pub(super) keep: Condvar,
    /// The listener begins to resolve.
    pub(super) deputy: Condvar,
    /// There is a connection, or a task less.
    changed: Condvar,
}

/// A link for one connection of the client's.
pub(super) struct Asking {
    number: u64,
    link: Box<dyn Link>,
}

pub(super) struct State {
    pub(super) book: Book,
    line: Line,
    pub(super) phase: Phase,
    pub(super) nodes: Vec<NodeInfo>,
    pub(super) reconnects: u64,
    pub(super) lives: u64,
    /// The stream was full at the last SUBMIT.
    pub(super) is_full: bool,
    /// Names to be forgotten once every answer is read that was there at that beat.
    pub(super) gone: Option<Vec<Name>>,
    /// Counts batches of answers: a listener that is stuck in the user's code is told by it.
    pub(super) heard: u64,
    /// Whether the listener runs the user's code.
    pub(super) is_resolving: bool,
    /// The deputy sleeps until it is woken.
    pub(super) is_deputy_asleep: bool,
    /// Which listener is in charge.
    pub(super) listener: u64,
    /// What is in the stream is to be taken back.
    pub(super) is_cancelling: bool,
}

/// Whether there is a connection.
enum Line {
    Down { since: Instant, why: String },
    Up(Up),
}

/// A session and what it belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Up {
    pub(super) life: Life,
    pub(super) session: Session,
    /// Counts connections: whoever reports an error says in which it happened.
    pub(super) number: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    Open,
    Closed,
    Broken(Broken),
    /// Everything is resolved, and the threads leave.
    Over,
}

impl Client {
    pub(super) fn new(me: &Weak<Client>, engine: Arc<dyn Engine>, options: Options, name: Name) -> Self {
        let build: Name = remote::build_id().to_string().into();
        let secret = options.secret.as_ref().and_then(|it| Secret::new(&it.0, &options.queue, &build));
        let line = Line::Down { since: Instant::now(), why: "not connected yet".into() };
        let lease = options.lease;
        Client {
            engine,
            options,
            registration: Registration::new(me.clone()),
            build,
            secret,
            state: Mutex::new(State {
                book: Book::new(name, lease),
                line,
                phase: Phase::Open,
                nodes: Vec::new(),
                reconnects: 0,
                lives: 0,
                is_full: false,
                gone: None,
                heard: 0,
                is_resolving: false,
                is_deputy_asleep: false,
                listener: 0,
                is_cancelling: false,
            }),
            bells: Bells::default(),
            room: Condvar::new(),
            asking: Mutex::new(None),
            threads: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Wakes whoever waits for anything.
    pub(super) fn notify(&self) {
        let Bells { ship, keep, deputy, changed } = &self.bells;
        for bell in [ship, keep, deputy, changed] {
            bell.notify_all();
        }
    }

    // ---- the connection -----------------------------------------------------------------------------

    /// Waits until there is a connection; none when the threads are to leave.
    pub(super) fn await_up(&self) -> Option<Up> {
        let mut state = self.lock();
        loop {
            if matches!(state.phase, Phase::Over) {
                return None;
            }
            if let Line::Up(up) = &state.line {
                return Some(up.clone());
            }
            self.bells.changed.wait(&mut state);
        }
    }

    /// C1: the one place to which every error of every connection leads.
    pub(super) fn lost(&self, number: u64, fault: &Fault) {
        let mut state = self.lock();
        if let Line::Up(up) = &state.line
            && up.number == number
        {
            state.line = Line::Down { since: Instant::now(), why: fault.to_string() };
            drop(state);
            self.notify();
            logging::warn(format_args!("{}: connection given up: {fault}", self.describe()));
        }
    }

    /// The build of this program.
    pub(super) fn build(&self) -> &Name {
        &self.build
    }

    pub(super) fn describe(&self) -> String {
        format!("queue `{}` at {}", self.options.queue, self.engine.address())
    }

    /// For a caller's own step, on a link that is kept for such. `None` if it could not be made.
    pub(super) fn ask<R>(&self, step: impl FnOnce(&Up, &mut dyn Link) -> Result<R, Fault>) -> Option<R> {
        let up = self.lock().up()?.clone();
        let mut asking = self.asking.lock();
        if asking.as_ref().is_none_or(|asking| asking.number != up.number) {
            *asking = Some(Asking { number: up.number, link: self.engine.connect().ok()? });
        }
        let link = &mut asking.as_mut()?.link;
        match step(&up, &mut **link) {
            Ok(answer) => Some(answer),
            Err(fault) => {
                *asking = None;
                drop(asking);
                self.lost(up.number, &fault);
                None
            }
        }
    }

    // ---- tasks --------------------------------------------------------------------------------------

    /// Takes a task, or says why not.
    pub(super) fn accept(&self, mut task: Task) {
        if let Some(error) = self.await_room() {
            return refuse(task, error);
        }
        // `Serialize` is the user's, and no lock is held while it runs.
        let mut parcel = match task.encode_once() {
            Ok(parcel) => parcel,
            Err(error) => return refuse(task, error),
        };
        let shared = parcel.take_shared(SHARED);
        let lens = shared.iter().map(SharedBlob::len).chain([parcel.as_bytes().len()]);
        if let Some(len) = lens.max().filter(|len| *len as u64 > MOST_BYTES - AROUND) {
            let why = format!(
                "its argument has {len} bytes, and a value on the server may have 512 MB; pass a path or the name of an object"
            );
            let stage = concurrent_futures::Stage::EncodeArgument;
            return refuse(task, TaskError::Codec(concurrent_futures::CodecError::new(stage, why)));
        }
        if !task.dispatch(&self.registration) {
            return; // cancelled already
        }
        let mut state = self.lock();
        match state.refusal() {
            None => {
                let was_idle = state.book.queued() == 0;
                state.book.enter(task, parcel, shared);
                drop(state);
                if was_idle {
                    self.bells.ship.notify_one();
                }
            }
            Some(error) => {
                drop(state);
                refuse(task, error);
            }
        }
    }

    fn await_room(&self) -> Option<TaskError> {
        let mut state = self.lock();
        loop {
            if let Some(error) = state.refusal() {
                return Some(error);
            }
            let (capacity, when_full) = self.options.capacity?;
            if state.book.queued() < capacity || is_resolver() {
                return None;
            }
            match when_full {
                concurrent_futures::WhenFull::Block => self.room.wait(&mut state),
                _ => return Some(TaskError::Rejected(Rejected::Full)),
            }
        }
    }

    pub(super) fn note_room(&self) {
        if self.options.capacity.is_some() {
            self.room.notify_all();
        }
    }

    /// Resolves futures; the user's callbacks run in here.
    pub(super) fn resolve(&self, ended: Vec<Ended>) {
        if ended.is_empty() {
            return;
        }
        let mut finished = 0;
        let count = ended.len() as u64;
        for ended in ended {
            finished += u64::from(as_resolver(|| ended.resolve()));
        }
        let mut state = self.lock();
        state.book.totals.finished += finished;
        state.book.totals.failed += count - finished;
        drop(state);
        self.bells.changed.notify_all();
    }

    // ---- the end ------------------------------------------------------------------------------------

    pub(super) fn close(&self, mode: Shutdown) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open) {
            state.phase = Phase::Closed;
        }
        let mut cancelled = Vec::new();
        if mode != Shutdown::Drain {
            cancelled = state.book.take_queued();
            state.is_cancelling = true;
            state.book.totals.cancelled += cancelled.len() as u64;
        }
        drop(state);
        self.notify();
        self.room.notify_all();
        for task in cancelled {
            as_resolver(|| task.fail(TaskError::Cancelled));
        }
    }

    /// Nothing can be run any more.
    pub(super) fn break_down(&self, why: Broken) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Over) {
            return;
        }
        state.phase = Phase::Broken(why.clone());
        let lost = state.book.take_all();
        state.book.totals.failed += lost.len() as u64;
        drop(state);
        self.notify();
        self.room.notify_all();
        for task in lost {
            as_resolver(|| task.fail(TaskError::Broken(why.clone())));
        }
    }

    /// Waits until every task is resolved; false if the deadline came first.
    pub(super) fn await_empty(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.lock();
        let is_waited_for = |state: &mut State| !state.book.is_empty();
        match deadline {
            None => {
                self.bells.changed.wait_while(&mut state, is_waited_for);
                true
            }
            Some(deadline) => {
                !self.bells.changed.wait_while_until(&mut state, is_waited_for, deadline).timed_out()
            }
        }
    }

    /// Has the threads leave.
    pub(super) fn end(&self) {
        self.lock().phase = Phase::Over;
        self.notify();
        self.room.notify_all();
    }
}

impl State {
    pub(super) fn up(&self) -> Option<&Up> {
        match &self.line {
            Line::Up(up) => Some(up),
            Line::Down { .. } => None,
        }
    }

    pub(super) fn set_up(&mut self, up: Up) {
        self.line = Line::Up(up);
    }

    pub(super) fn is_up(&self, number: u64) -> bool {
        self.up().is_some_and(|up| up.number == number)
    }

    /// Since when there has been no connection, and why.
    pub(super) fn down(&self) -> Option<(Instant, &str)> {
        match &self.line {
            Line::Up(_) => None,
            Line::Down { since, why } => Some((*since, why)),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    fn refusal(&self) -> Option<TaskError> {
        match &self.phase {
            Phase::Open => None,
            Phase::Closed | Phase::Over => Some(TaskError::Rejected(Rejected::ShutDown)),
            Phase::Broken(why) => Some(TaskError::Broken(why.clone())),
        }
    }

    /// Slots of the nodes of this build.
    pub(super) fn slots(&self, build: &Name) -> u64 {
        self.nodes.iter().filter(|node| node.build == *build).map(|node| u64::from(node.slots)).sum()
    }
}

/// Gives a task the reason why it is not taken.
fn refuse(task: Task, error: TaskError) {
    task.fail(error);
}

thread_local! {
    /// Whether this thread resolves futures: what the user's callbacks do on it must not wait for this executor's room.
    static RESOLVES: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

pub(super) fn is_resolver() -> bool {
    RESOLVES.get()
}

fn as_resolver<R>(resolve: impl FnOnce() -> R) -> R {
    let before = RESOLVES.replace(true);
    let resolved = resolve();
    RESOLVES.set(before);
    resolved
}
