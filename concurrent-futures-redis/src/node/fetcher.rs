//! [`Fetcher`]: the thread that gets entries, by FETCH, and after a break by HISTORY first (N3).

use super::line::Line;
use super::runner::start_all;
use super::shared::{Phase, Shared, Standing, WAIT};
use crate::engine::Fault;
use crate::wire::{Entry, EntryId, Name};
use std::sync::Arc;
use std::time::Instant;

/// How many entries come in one answer.
const PAGE: usize = 256;

pub(super) struct Fetcher {
    shared: Arc<Shared>,
    line: Line,
    /// The name under which a FETCH was not answered: its entries are in the HISTORY.
    unheard: Option<Name>,
}

enum Turn {
    Fetch(Standing, usize),
    History(Standing),
}

impl Fetcher {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let line = Line::new(shared.engine.clone(), shared.reconnects.clone());
        Fetcher { shared, line, unheard: None }
    }

    pub(super) fn run(mut self) {
        while let Some(turn) = self.next() {
            let (standing, made) = match turn {
                Turn::Fetch(standing, most) => (standing.clone(), self.fetch(&standing, most)),
                Turn::History(standing) => (standing.clone(), self.read_history(&standing)),
            };
            match made {
                Ok(()) => {}
                Err(Fault::Over) => self.shared.withdraw(&standing.name, false),
                // The keeper has ended a wait that was in vain.
                Err(Fault::Lost(_)) if self.line.is_calm() && self.is_in_vain(&standing) => {}
                Err(fault) => {
                    let pause = self.line.pause("no tasks can be fetched", &fault);
                    self.shared.sleep(&self.shared.bells.fetcher, pause);
                }
            }
        }
        self.shared.lock().has_fetcher_ended = true;
        self.shared.bells.stepper.notify_all();
    }

    /// Waits for something to do; none: there never will be.
    fn next(&self) -> Option<Turn> {
        let bell = &self.shared.bells.fetcher;
        let mut state = self.shared.lock();
        loop {
            if matches!(state.phase, Phase::Drained | Phase::Aborted) {
                return None;
            }
            match state.standing.clone() {
                Some(standing) if self.unheard.as_ref() == Some(&standing.name) => {
                    return Some(Turn::History(standing));
                }
                _ if state.is_draining() => return None,
                Some(standing) if Instant::now() < standing.fetch_from => {
                    bell.wait_until(&mut state, standing.fetch_from);
                }
                Some(standing) => {
                    let ahead = state.read_ahead(&self.shared.settings);
                    match state.ahead.wanted(ahead) {
                        0 => bell.wait(&mut state),
                        most => return Some(Turn::Fetch(standing, most.min(PAGE))),
                    }
                }
                None => bell.wait(&mut state),
            }
        }
    }

    fn is_in_vain(&self, standing: &Standing) -> bool {
        let state = self.shared.lock();
        state.is_draining() || !state.stands(&standing.name)
    }

    fn fetch(&mut self, standing: &Standing, most: usize) -> Result<(), Fault> {
        let id = self.line.open()?;
        {
            let mut state = self.shared.lock();
            if state.is_draining() || !state.stands(&standing.name) {
                return Ok(());
            }
            // From here on the keeper can end the wait.
            state.fetching = Some((standing.life.clone(), id));
        }
        let Standing { life, name, .. } = standing;
        let fetched = self.line.ask(life, |link| link.fetch(life, name, most, WAIT));
        self.shared.lock().fetching = None;
        if let Err(Fault::Lost(_)) = fetched {
            self.unheard = Some(name.clone());
        }
        self.arrive(standing, fetched?);
        Ok(())
    }

    fn read_history(&mut self, standing: &Standing) -> Result<(), Fault> {
        let Standing { life, name, .. } = standing;
        let mut after = EntryId::ZERO;
        loop {
            let page = self.line.ask(life, |link| link.history(life, name, after, PAGE))?;
            // A page may be short of what was removed.
            let is_last = page.is_empty();
            after = page.last().map_or(after, |entry| entry.id);
            self.arrive(standing, page);
            if is_last {
                self.unheard = None;
                return Ok(());
            }
        }
    }

    /// Takes what was given, unless the name is lost: then it is somebody else's.
    fn arrive(&self, standing: &Standing, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let (loads, is_any_left) = {
            let mut state = self.shared.lock();
            if !state.stands(&standing.name) {
                return;
            }
            let now = Instant::now();
            state.ahead.arrive(entries, now);
            let begun = state.ahead.begin_by_credit(now);
            state.ask_for_beat(&self.shared.bells);
            (state.begin(begun, &standing.life), !state.ahead.is_empty())
        };
        // What began by credit leaves nothing to say before it ends.
        if is_any_left {
            self.shared.bells.stepper.notify_all();
        }
        start_all(&self.shared, loads);
    }
}
