//! [`Keeper`]: the thread that keeps the node's place at the server. It joins, beats, buries others, and leaves.

use super::error::NodeError;
use super::line::Line;
use super::shared::{Phase, Shared, Standing};
use crate::engine::{ConnectionId, Fault, NodeBeat, Order};
use crate::identity::unique_name;
use crate::logging;
use crate::wire::{Life, Name, NodeInfo, Testimony};
use std::sync::Arc;
use std::time::Instant;

pub(super) struct Keeper {
    shared: Arc<Shared>,
    line: Line,
    /// The last place that the node had.
    former: Option<(Life, Name)>,
    /// A JOIN that was not answered, and since when.
    unheard: Option<(Life, Name, Instant)>,
    next_beat: Instant,
}

enum Turn {
    Join,
    Beat(Standing),
    EndFetch(Life, ConnectionId),
    Leave,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let line = Line::new(shared.engine.clone(), shared.reconnects.clone());
        Keeper { shared, line, former: None, unheard: None, next_beat: Instant::now() }
    }

    /// Joins for the first time. A server that is out of reach is waited for, as long as a lease.
    pub(super) fn join_first(&mut self) -> Result<(), NodeError> {
        let deadline = Instant::now() + self.shared.settings.lease;
        loop {
            match self.join() {
                Ok(()) => return Ok(()),
                Err(fault @ (Fault::Lost(_) | Fault::Over | Fault::Full)) if Instant::now() < deadline => {
                    let pause = self.line.pause("the node can't join", &fault);
                    self.shared.sleep(&self.shared.bells.keeper, pause);
                }
                Err(fault) => return Err(NodeError::of_fault(self.shared.engine.address(), fault)),
            }
        }
    }

    pub(super) fn run(mut self) {
        while let Some(turn) = self.next() {
            let (name, made) = match turn {
                Turn::Join => (None, self.join()),
                Turn::Beat(standing) => (Some(standing.name.clone()), self.beat(&standing)),
                Turn::EndFetch(life, id) => (None, self.line.end(&life, id)),
                Turn::Leave => return self.leave(),
            };
            match (made, name) {
                (Ok(()), _) | (Err(Fault::Over), None) => {}
                (Err(Fault::Over), Some(name)) => self.shared.withdraw(&name, false),
                (Err(fault), _) => {
                    let pause = self.line.pause("the node can't beat", &fault);
                    self.shared.sleep(&self.shared.bells.keeper, pause);
                }
            }
        }
    }

    /// Waits for something to do; none: the node ends where it is.
    fn next(&self) -> Option<Turn> {
        let bell = &self.shared.bells.keeper;
        let mut state = self.shared.lock();
        loop {
            match state.phase {
                Phase::Aborted => return None,
                Phase::Drained => return Some(Turn::Leave),
                _ => {}
            }
            let is_fetch_in_vain = state.standing.is_none() || state.is_draining();
            if is_fetch_in_vain && let Some((life, id)) = state.fetching.take() {
                return Some(Turn::EndFetch(life, id));
            }
            match state.standing.clone() {
                // N4: no STEP is on its way any more.
                None if state.is_stepping => bell.wait(&mut state),
                None => return Some(Turn::Join),
                Some(standing) if state.is_beat_wanted || Instant::now() >= self.next_beat => {
                    state.is_beat_wanted = false;
                    return Some(Turn::Beat(standing));
                }
                Some(_) => drop(bell.wait_until(&mut state, self.next_beat)),
            }
        }
    }

    /// JOIN under a new name, in a new life with the testimony (N5).
    fn join(&mut self) -> Result<(), Fault> {
        let settings = &self.shared.settings;
        let life = self.line.enter()?;
        let sent = Instant::now();
        // A JOIN that may have been made is made again, lest its name's testimony be answered as lost. Not once its lease may
        // have run out: such a name never comes back.
        let again = self.unheard.take().filter(|(tried, _, since)| {
            *tried == life && sent.saturating_duration_since(*since) < settings.lease / 2
        });
        let (name, since) = match again {
            Some((_, name, since)) => (name, since),
            None => (unique_name(), sent),
        };
        let former = self.former.as_ref().filter(|(former, _)| *former != life).map(|(_, name)| name.clone());
        let is_new_life = former.is_some();
        let (testimony, running) = {
            let mut state = self.shared.lock();
            let mut testimony = Testimony { was: former, ..Testimony::default() };
            if is_new_life {
                state.work.begin_life();
                testimony.held = state.work.held();
                (testimony.recent, testimony.is_incomplete) = state.recent.testify();
            }
            (testimony, state.work.running())
        };
        let info = self.describe(&name, running);
        let lease = settings.lease;
        self.unheard = Some((life.clone(), name.clone(), since));
        self.line.ask(&life, |link| link.join(&life, &info, lease, &testimony))?;
        self.unheard = None;
        self.former = Some((life.clone(), name.clone()));
        let now = Instant::now();
        self.next_beat = now;
        {
            let mut state = self.shared.lock();
            if is_new_life {
                state.recent.clear();
            }
            state.joined(Standing { life, name: name.clone(), fetch_from: now + settings.beat }, sent, now);
        }
        self.shared.ring_all();
        logging::info(format_args!(
            "node {name} serves queue `{}` of {} with {} slots, build {}",
            settings.queue,
            self.shared.engine.address(),
            settings.slots,
            settings.build
        ));
        Ok(())
    }

    fn beat(&mut self, standing: &Standing) -> Result<(), Fault> {
        let Standing { life, name, .. } = standing;
        let settings = &self.shared.settings;
        let running = self.shared.lock().work.running();
        let info = self.describe(name, running);
        let sent = Instant::now();
        let NodeBeat { is_name_lost, clients } =
            self.line.ask(life, |link| link.beat_node(life, &info, settings.lease))?;
        if is_name_lost {
            self.shared.withdraw(name, true);
            return Ok(());
        }
        self.next_beat = sent + settings.beat;
        let killed = {
            let mut state = self.shared.lock();
            // A STEP may have found the name lost.
            if !state.stands(name) {
                return Ok(());
            }
            state.heard(settings, sent, clients.into_iter().collect())
        };
        self.shared.bells.stepper.notify_all();
        self.shared.bells.warden.notify_all();
        self.shared.blobs.lock().trim(settings.lease, sent);
        for handle in killed {
            logging::info(format_args!("a task is ended whose client is gone: {}", handle.kill()));
        }
        let buried = self.line.ask(life, |link| link.bury(life))?;
        if !buried.is_empty() {
            logging::warn(format_args!(
                "gone: {}; what they had not begun runs elsewhere",
                buried.join(", ")
            ));
        }
        self.forget_read(life)
    }

    /// Forgets answers that their clients have read.
    fn forget_read(&mut self, life: &Life) -> Result<(), Fault> {
        let clients = self.shared.lock().recent.clients();
        if clients.is_empty() {
            return Ok(());
        }
        let marks = self.line.ask(life, |link| link.read_marks(life, &clients))?;
        self.shared.lock().recent.forget_read(&clients, &marks, Instant::now());
        Ok(())
    }

    /// Takes the node off the server's list, and wakes the thread that waits for orders. What can't be done the lease does.
    fn leave(&mut self) {
        let Some(Standing { life, name, .. }) = self.shared.lock().standing.clone() else { return };
        for _ in 0..3 {
            let made = self.line.ask(&life, |link| {
                link.leave_node(&life, &name)?;
                link.order(&life, &Order::Wake(name.clone()))
            });
            let Err(fault @ Fault::Lost(_)) = made else { break };
            let pause = self.line.pause("the node can't leave", &fault);
            self.shared.sleep(&self.shared.bells.keeper, pause);
        }
        logging::info(format_args!("node {name} has left"));
    }

    fn describe(&self, name: &Name, running: u32) -> NodeInfo {
        let settings = &self.shared.settings;
        NodeInfo {
            name: name.clone(),
            build: settings.build.clone(),
            host: settings.host.clone(),
            pid: std::process::id(),
            slots: settings.slots,
            running,
        }
    }
}
