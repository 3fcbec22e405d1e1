//! The thread that keeps the connection: connects, says that the client lives, buries nodes, settles doubts.

use super::book::Ended;
use super::client::{Client, Phase, Up};
use super::hear::with_values;
use crate::engine::{Fault, Link};
use crate::identity::unique_name;
use crate::logging;
use crate::wire::{Life, Name};
use concurrent_futures::{Broken, TaskError};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two attempts to connect: the first and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// After so long without any node it is said why nothing happens.
const NO_NODE: Duration = Duration::from_secs(60);

/// What this thread remembers.
pub(super) struct Keeper {
    client: Arc<Client>,
    life: Option<Life>,
    number: u64,
    link: Option<Box<dyn Link>>,
    pause: Duration,
    /// Since when tasks have waited without a node.
    without_node: Option<Instant>,
    told_without_node: bool,
}

impl Keeper {
    pub(super) fn new(client: Arc<Client>) -> Self {
        let (pause, _) = PAUSES;
        Keeper {
            client,
            life: None,
            number: 0,
            link: None,
            pause,
            without_node: None,
            told_without_node: false,
        }
    }

    /// Runs until the client is over.
    pub(super) fn run(&mut self) {
        while !self.client.lock().is_over() {
            if self.client.lock().up().is_none() {
                match self.connect() {
                    Ok(()) => (self.pause, _) = PAUSES,
                    Err(fault) => self.wait_for_server(&fault),
                }
            } else {
                self.beat();
            }
        }
        self.leave();
    }

    // ---- connecting ---------------------------------------------------------------------------------

    /// C1 and C3: a new session, SCAN, READ to the end, in this order.
    pub(super) fn connect(&mut self) -> Result<(), Fault> {
        let client = self.client.clone();
        let mut link = client.engine.connect()?;
        let life = link.enter()?;
        let is_new = self.life.as_ref().is_some_and(|before| *before != life);
        let name = {
            let mut state = client.lock();
            if is_new {
                state.lives += 1;
                state.book.begin_life(Instant::now());
            }
            state.book.client().clone()
        };
        if is_new {
            logging::warn(format_args!("{}: the server has begun another life", client.describe()));
        }
        self.life = Some(life.clone());
        let session = link.open_session(&life, &name, client.options.time_to_live())?;
        self.number += 1;
        let up = Up { life, session, number: self.number };
        let scan = link.scan(&up.life, &name)?;
        self.read_to_the_end(&up, &mut *link)?;
        let beat = link.beat_client(&up.life, &name, client.options.time_to_live())?;
        let mut state = client.lock();
        state.book.reconcile(&scan);
        state.book.learn(beat.joined);
        state.nodes = beat.nodes;
        state.reconnects += u64::from(self.number > 1);
        state.set_up(up);
        drop(state);
        client.notify();
        self.link = Some(link);
        Ok(())
    }

    /// Every answer that is there.
    fn read_to_the_end(&self, up: &Up, link: &mut dyn Link) -> Result<(), Fault> {
        const MOST: usize = 512;
        loop {
            let (mark, name) = {
                let state = self.client.lock();
                (state.book.mark(), state.book.client().clone())
            };
            let answers = link.read(&up.life, &name, mark, MOST, Duration::ZERO)?;
            let is_all = answers.len() < MOST;
            let answers = with_values(&self.client, up, link, answers)?;
            let ended = self.client.lock().book.answers(answers);
            // Not here: callbacks may block, and this thread alone keeps the client alive.
            self.hand_over(ended);
            if is_all {
                return Ok(());
            }
        }
    }

    /// Resolves on a thread of its own, where callbacks may block.
    fn hand_over(&self, ended: Vec<Ended>) {
        super::resolve_aside(&self.client, ended);
    }

    fn wait_for_server(&mut self, fault: &Fault) {
        self.link = None;
        let client = &self.client.clone();
        let mut state = client.lock();
        let (since, _) = state.down().unwrap_or((Instant::now(), ""));
        if let Some(limit) = client.options.coordinator_timeout
            && since.elapsed() >= limit
        {
            drop(state);
            let why = format!("the server at {} was away for {limit:?}: {fault}", client.engine.address());
            super::break_aside(client, Broken::new(why));
            return self.pause_a_while();
        }
        let is_open = matches!(state.phase, Phase::Open);
        client.bells.keep.wait_for(&mut state, self.pause);
        drop(state);
        if is_open {
            logging::debug(format_args!("{}: no connection yet: {fault}", client.describe()));
        }
        let (_, longest) = PAUSES;
        self.pause = (self.pause * 2).min(longest);
    }

    fn pause_a_while(&self) {
        let mut state = self.client.lock();
        if !state.is_over() {
            self.client.bells.keep.wait_for(&mut state, self.pause);
        }
    }

    // ---- while connected ----------------------------------------------------------------------------

    fn beat(&mut self) {
        let client = &self.client.clone();
        let Some(up) = client.lock().up().cloned() else { return };
        if let Err(fault) = self.beat_once(&up) {
            self.link = None;
            return client.lost(up.number, &fault);
        }
        let mut state = client.lock();
        let is_urgent = state.book.is_in_doubt();
        let beat = client.options.beat();
        let until = Instant::now() + if is_urgent { beat / 4 } else { beat };
        while state.is_up(up.number) && !state.is_over() && !state.is_cancelling {
            if client.bells.keep.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
    }

    fn beat_once(&mut self, up: &Up) -> Result<(), Fault> {
        let client = self.client.clone();
        let mut link = match self.link.take() {
            Some(link) => link,
            None => client.engine.connect()?,
        };
        let (name, known) = {
            let state = client.lock();
            (state.book.client().clone(), state.book.known())
        };
        let beat = link.beat_client(&up.life, &name, client.options.time_to_live())?;
        if beat.is_forgotten {
            return self.be_forgotten();
        }
        {
            let mut state = client.lock();
            // C4: of those that were known when the BEAT was sent. Others may have come since.
            let gone: Vec<Name> = known.into_iter().filter(|name| !beat.joined.contains(name)).collect();
            state.gone = Some(gone).filter(|gone| !gone.is_empty());
            state.book.learn(beat.joined);
            state.nodes = beat.nodes;
        }
        // The window follows the slots.
        client.notify();
        for buried in link.bury(&up.life)? {
            logging::warn(format_args!(
                "{}: node {buried} was not heard from for its lease, and is given up",
                client.describe()
            ));
        }
        self.settle_doubts(up, &mut *link)?;
        self.take_back(up, &mut *link)?;
        self.look_for_nodes();
        self.link = Some(link);
        Ok(())
    }

    /// C3.
    fn settle_doubts(&self, up: &Up, link: &mut dyn Link) -> Result<(), Fault> {
        if !self.client.lock().book.is_in_doubt() {
            return Ok(());
        }
        let witnesses = link.witnesses(&up.life)?;
        let lease = self.client.options.lease;
        if !self.client.lock().book.hear_witnesses(&witnesses, lease, Instant::now()) {
            return Ok(());
        }
        // Answers of this life first: what is answered is not in doubt.
        self.read_to_the_end(up, link)?;
        let ended = self.client.lock().book.settle_doubts(&witnesses);
        self.client.notify();
        self.hand_over(ended);
        Ok(())
    }

    /// C5. The link is dropped: the next connection has another name.
    fn be_forgotten(&self) -> Result<(), Fault> {
        let mut state = self.client.lock();
        let ended = state.book.be_forgotten(unique_name());
        drop(state);
        self.hand_over(ended);
        Err(Fault::Lost("the server has forgotten this client, which was cut off for too long".into()))
    }

    /// After `CancelQueued`: what no node was given yet.
    fn take_back(&self, up: &Up, link: &mut dyn Link) -> Result<(), Fault> {
        let client = &self.client.clone();
        let shipped = {
            let mut state = client.lock();
            if !std::mem::replace(&mut state.is_cancelling, false) {
                return Ok(());
            }
            state.book.shipped()
        };
        for id in shipped {
            let Some((attempt, Some(entry))) = client.lock().book.attempt(id) else { continue };
            if link.cancel(&up.life, up.session, &attempt, entry)? {
                let task = client.lock().book.take_cancelled(&attempt);
                let cancelled = task.map(|task| Ended::Error(task, TaskError::Cancelled));
                self.hand_over(cancelled.into_iter().collect());
            }
        }
        client.notify();
        Ok(())
    }

    /// Says why nothing happens when there is no node.
    fn look_for_nodes(&mut self) {
        let client = &self.client.clone();
        let state = client.lock();
        let build = client.build();
        if state.book.is_empty() || state.slots(build) > 0 {
            (self.without_node, self.told_without_node) = (None, false);
            return;
        }
        let others: Vec<String> = state
            .nodes
            .iter()
            .map(|node| {
                format!(
                    "{} (pid {} on {}) serves build {}",
                    node.name,
                    node.pid,
                    node.host,
                    short(&node.build)
                )
            })
            .collect();
        drop(state);
        let since = *self.without_node.get_or_insert_with(Instant::now);
        let others = if others.is_empty() {
            "start one: `program redis-node URL --queue QUEUE`".to_owned()
        } else {
            format!("{}: start the same file there", others.join(", "))
        };
        let why = format!(
            "no node of build {} serves queue `{}` at {}; {others}",
            short(build),
            client.options.queue,
            client.engine.address()
        );
        if client.options.no_node_timeout.is_some_and(|limit| since.elapsed() >= limit) {
            super::break_aside(client, Broken::new(why));
        } else if since.elapsed() >= NO_NODE && !std::mem::replace(&mut self.told_without_node, true) {
            logging::warn(format_args!("{why}"));
        }
    }

    /// Nothing of the client is left on the server. Best effort: its keys run out otherwise.
    fn leave(&mut self) {
        let name = self.client.lock().book.client().clone();
        if let (Some(life), Some(link)) = (&self.life, &mut self.link) {
            let _ = link.leave_client(life, &name);
        }
    }
}

/// Enough of a build to tell it from others.
fn short(build: &str) -> &str {
    build.get(..8).unwrap_or(build)
}
