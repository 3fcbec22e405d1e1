//! What the threads of a node share: [`Shared`], and under its one lock [`State`].
//!
//! Each thread has a connection and a bell of its own. No lock is held while one talks to the server, starts a task or ends
//! one.

use super::RedisNodeStats;
use super::ahead::{Ahead, Begun};
use super::blobs::Blobs;
use super::pace::Pace;
use super::recent::Recent;
use super::work::{Outcome, Token, Why, Work};
use crate::engine::{ConnectionId, Engine};
use crate::logging;
use crate::secret::Secret;
use crate::wire::{Attempt, AttemptId, Life, Name};
use concurrent_futures::{CancelHandle, ProcessPoolExecutor};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a read at the server waits. Another connection can end it before, but not where the server is out of reach.
pub(super) const WAIT: Duration = Duration::from_secs(1);

/// A beat comes early for a client that is not known, but not more often than this.
const EARLY: Duration = Duration::from_millis(50);

/// How long a node that is to end tries to tell its last answers, and after how long without a word from the server it gives up.
/// Beats come more than twice as often.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long the end of a node that ends at once may take.
const AT_ONCE: Duration = Duration::from_millis(100);

/// A node's options.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) queue: String,
    pub(super) build: Name,
    pub(super) host: Name,
    pub(super) slots: u32,
    pub(super) lease: Duration,
    pub(super) beat: Duration,
    pub(super) drain_timeout: Duration,
    pub(super) read_ahead: Option<usize>,
    pub(super) has_fence: bool,
    pub(super) secret: Option<Secret>,
    /// What a result may have, encoded.
    pub(super) most_bytes: u64,
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) pool: ProcessPoolExecutor,
    pub(super) reconnects: Arc<AtomicU64>,
    state: Mutex<State>,
    /// Not under the lock of all else: whoever drops the last of something unmaps it.
    pub(super) blobs: Mutex<Blobs>,
    pub(super) bells: Bells,
}

/// What each thread sleeps on.
#[derive(Default)]
pub(super) struct Bells {
    pub(super) fetcher: Condvar,
    pub(super) stepper: Condvar,
    pub(super) keeper: Condvar,
    pub(super) loader: Condvar,
    pub(super) orders: Condvar,
    pub(super) warden: Condvar,
    /// Of whoever waits for the threads' end.
    ended: Condvar,
}

/// The node's place at the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Standing {
    pub(super) life: Life,
    pub(super) name: Name,
    /// N6: clients may not have seen the name before.
    pub(super) fetch_from: Instant,
}

/// Where a node is on its way to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Serving,
    /// What runs may go on until then.
    Draining(Instant),
    /// All is answered, but the node is still on the server's list.
    Drained,
    /// Everything stops where it is.
    Aborted,
}

/// A payload to fetch before a task can be started.
pub(super) struct Load {
    pub(super) token: Token,
    pub(super) attempt: Attempt,
    pub(super) life: Life,
    /// The argument, if it is there and only what it shares with others is missing.
    pub(super) parcel: Option<Vec<u8>>,
}

pub(super) struct State {
    pub(super) phase: Phase,
    /// How many threads there are.
    threads: usize,
    /// None while the node has no name that is good.
    pub(super) standing: Option<Standing>,
    pub(super) name: Name,
    pub(super) ahead: Ahead,
    pub(super) work: Work,
    pub(super) recent: Recent,
    pub(super) pace: Pace,
    pub(super) loads: VecDeque<Load>,
    /// A STEP is on its way, or may be.
    pub(super) is_stepping: bool,
    /// The connection by which a FETCH waits, and the life it is used in.
    pub(super) fetching: Option<(Life, ConnectionId)>,
    pub(super) has_fetcher_ended: bool,
    /// When the last beat was sent that was answered.
    pub(super) beat: Option<Instant>,
    /// The next beat is wanted early.
    pub(super) is_beat_wanted: bool,
    is_fenced: bool,
    is_over_time: bool,
    /// Of a drain: since when nothing runs.
    quiet: Option<Instant>,
    /// It ended at once, and there was nothing that it had to tell.
    pub(super) has_told_all: bool,
    pub(super) joined: Instant,
    pub(super) finished: u64,
    pub(super) lost_names: u64,
    /// Why the local pool is of no use any more.
    pub(super) broken: Option<String>,
}

impl Shared {
    pub(super) fn new(settings: Settings, engine: Arc<dyn Engine>, pool: ProcessPoolExecutor) -> Arc<Self> {
        let state = State {
            phase: Phase::Serving,
            threads: 0,
            standing: None,
            name: "".into(),
            ahead: Ahead::new(settings.read_ahead.is_some()),
            work: Work::default(),
            recent: Recent::default(),
            pace: Pace::default(),
            loads: VecDeque::new(),
            is_stepping: false,
            fetching: None,
            has_fetcher_ended: false,
            beat: None,
            is_beat_wanted: false,
            is_fenced: false,
            is_over_time: false,
            quiet: None,
            has_told_all: false,
            joined: Instant::now(),
            finished: 0,
            lost_names: 0,
            broken: None,
        };
        let (reconnects, bells) = (Arc::default(), Bells::default());
        let (state, blobs) = (Mutex::new(state), Mutex::default());
        Arc::new(Shared { settings, engine, pool, reconnects, state, blobs, bells })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn ring_all(&self) {
        let Bells { fetcher, stepper, keeper, loader, orders, warden, ended } = &self.bells;
        for bell in [fetcher, stepper, keeper, loader, orders, warden, ended] {
            bell.notify_all();
        }
    }

    /// Sleeps, unless the node is to end at once. False if it is.
    pub(super) fn sleep(&self, bell: &Condvar, pause: Duration) -> bool {
        let deadline = Instant::now() + pause;
        let mut state = self.lock();
        while state.phase != Phase::Aborted && !bell.wait_until(&mut state, deadline).timed_out() {}
        state.phase != Phase::Aborted
    }

    /// N4: this name is good no more, because its lease ran out or its life is over. Does nothing if it is not the present one.
    pub(super) fn withdraw(&self, name: &Name, has_lapsed: bool) {
        let mut state = self.lock();
        if state.standing.as_ref().is_none_or(|standing| standing.name != *name) {
            return;
        }
        state.standing = None;
        state.ahead.lose_name();
        state.lost_names += u64::from(has_lapsed);
        drop(state);
        self.ring_all();
        let why = if has_lapsed { "its lease ran out" } else { "the server has begun another life" };
        logging::warn(format_args!("node {name} has lost its name: {why}; what runs goes on"));
    }

    /// The node is to end once what runs has ended.
    pub(super) fn drain(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Serving {
            state.phase = Phase::Draining(Instant::now() + self.settings.drain_timeout);
            state.ahead.close();
        }
        drop(state);
        self.ring_all();
    }

    /// The node ends where it is: nothing more is answered.
    pub(super) fn abort(&self) {
        self.lock().phase = Phase::Aborted;
        self.ring_all();
        self.pool.kill_workers();
    }

    pub(super) fn thread_begins(&self) {
        self.lock().threads += 1;
    }

    pub(super) fn thread_ends(&self) {
        self.lock().threads -= 1;
        self.bells.ended.notify_all();
    }

    /// Waits for the threads' end. Once the node is to end at once, those that wait for the server are not waited for: they
    /// do nothing more.
    pub(super) fn wait(&self) {
        let mut state = self.lock();
        while state.threads > 0 && state.phase != Phase::Aborted {
            self.bells.ended.wait(&mut state);
        }
        let deadline = Instant::now() + AT_ONCE;
        while state.threads > 0 && !self.bells.ended.wait_until(&mut state, deadline).timed_out() {}
    }

    /// The local pool is of no use any more, so that others must run what comes.
    pub(super) fn break_off(&self, why: String) {
        let is_first = {
            let mut state = self.lock();
            let is_first = state.broken.is_none();
            state.broken.get_or_insert_with(|| why.clone());
            is_first
        };
        if is_first {
            logging::warn(format_args!("the node ends: {why}"));
            self.drain();
        }
    }

    /// A task has ended.
    pub(super) fn end(&self, token: Token, outcome: Outcome) {
        let mut state = self.lock();
        if state.work.end(token, outcome) {
            state.pace.note(Instant::now());
            self.bells.stepper.notify_all();
            if state.is_draining() {
                self.bells.warden.notify_all();
            }
        }
    }

    pub(super) fn stats(&self) -> RedisNodeStats {
        let state = self.lock();
        RedisNodeStats {
            name: state.name.to_string(),
            slots: self.settings.slots as usize,
            running: state.work.running() as usize,
            ready: state.ahead.len(),
            finished: state.finished,
            lost_names: state.lost_names,
            reconnects: self.reconnects.load(Ordering::Relaxed),
        }
    }
}

impl State {
    pub(super) fn is_draining(&self) -> bool {
        self.phase != Phase::Serving
    }

    pub(super) fn stands(&self, name: &Name) -> bool {
        self.standing.as_ref().is_some_and(|standing| standing.name == *name)
    }

    /// How far to read ahead now.
    pub(super) fn read_ahead(&mut self, settings: &Settings) -> usize {
        match settings.read_ahead {
            Some(ahead) => ahead,
            None => self.pace.ahead(Instant::now(), settings.slots),
        }
    }

    /// How many more may begin. Short tasks queue in the local pool for as long as the server may take.
    pub(super) fn room(&mut self, settings: &Settings) -> u32 {
        let queued = self.pace.ahead(Instant::now(), settings.slots) as u32;
        let queued = settings.read_ahead.map_or(queued, |ahead| queued.min(ahead as u32));
        (settings.slots + queued).saturating_sub(self.work.running())
    }

    /// The node has a place again, by a JOIN that was sent at `sent`.
    pub(super) fn joined(&mut self, standing: Standing, sent: Instant, now: Instant) {
        self.name = standing.name.clone();
        self.standing = Some(standing);
        self.joined = now;
        self.beat = Some(sent);
        self.is_fenced = false;
    }

    /// Notes what begins, and gives what is to be started.
    pub(super) fn begin(&mut self, begun: Vec<Begun>, life: &Life) -> Vec<Load> {
        let now = Instant::now();
        begun
            .into_iter()
            .map(|Begun { entry, is_killed }| {
                let killed = is_killed.then_some(Why::Ordered);
                let token = self.work.begin(entry.attempt.id.clone(), entry.id, killed, now);
                Load { token, attempt: entry.attempt, life: life.clone(), parcel: None }
            })
            .collect()
    }

    /// Asks for an early beat if something waits for a client to be known.
    pub(super) fn ask_for_beat(&mut self, bells: &Bells) {
        let is_due = self.beat.is_some_and(|beat| beat.elapsed() >= EARLY);
        if is_due && (self.ahead.has_stranger() || self.recent.is_crowded()) {
            self.is_beat_wanted = true;
            bells.keeper.notify_all();
        }
    }

    /// A beat was answered. Gives what is to be ended.
    pub(super) fn heard(
        &mut self,
        settings: &Settings,
        sent: Instant,
        living: HashSet<Name>,
    ) -> Vec<CancelHandle> {
        self.beat = Some(sent);
        self.is_fenced = false;
        // A client may be away for two leases, and as long again to find its way.
        let patience = settings.lease * 4;
        let killed = self.work.kill_of_gone(&living, sent, self.joined, patience);
        if self.is_draining() {
            self.work.await_nobody();
        }
        self.ahead.heard(sent, sent + settings.unfenced(), living);
        killed
    }

    /// What is to be ended by the clock alone, and when to look again.
    pub(super) fn overdue(
        &mut self,
        settings: &Settings,
        now: Instant,
    ) -> (Vec<CancelHandle>, Option<Instant>) {
        let (mut killed, mut next) = (Vec::new(), Vec::new());
        if settings.has_fence
            && !self.is_fenced
            && let Some(beat) = self.beat
        {
            let fence = beat + settings.unfenced();
            if now >= fence {
                self.is_fenced = true;
                killed.extend(self.work.kill_all(Why::CutOff));
            } else {
                next.push(fence);
            }
        }
        if let Phase::Draining(deadline) = self.phase {
            if now >= deadline && !self.is_over_time {
                self.is_over_time = true;
                killed.extend(self.work.kill_all(Why::Drained));
            }
            if now >= deadline + LAST_WORDS {
                self.phase = Phase::Aborted;
            }
            next.push(if now < deadline { deadline } else { deadline + LAST_WORDS });
            if let Some(end) = self.unheard(now) {
                if now >= end {
                    (self.phase, self.has_told_all) = (Phase::Aborted, self.work.is_empty());
                }
                next.push(end);
            }
        }
        (killed, next.into_iter().min())
    }

    /// Of a drain: when the node ends without a server that says nothing. What it was to answer or give back it tries to tell for
    /// a while; what else there is to say does the end of its lease. None while anything runs.
    fn unheard(&mut self, now: Instant) -> Option<Instant> {
        if self.work.is_any_in_pool() {
            self.quiet = None;
            return None;
        }
        let quiet = *self.quiet.get_or_insert(now);
        let silent = self.beat? + LAST_WORDS;
        let has_words = !self.work.is_empty() || !self.ahead.is_empty();
        Some(if has_words { silent.max(quiet + LAST_WORDS) } else { silent })
    }

    /// Notes that an attempt is to end. Gives what runs of it.
    pub(super) fn kill(&mut self, id: &AttemptId) -> Vec<CancelHandle> {
        self.ahead.kill(id);
        self.work.kill_attempt(id)
    }
}

impl Settings {
    /// How long after a beat was sent that is answered something may begin and run: less than a lease.
    fn unfenced(&self) -> Duration {
        self.lease.saturating_sub(self.beat)
    }
}
