//! [`Stepper`]: the thread that answers, asks leave, gives back and drops, all in one STEP at a time.

use super::ahead::{BATCH, Proposal, STALE};
use super::line::Line;
use super::runner::start_all;
use super::shared::{Phase, Shared, Standing};
use super::work::Ended;
use crate::engine::{Fault, Step, Stepped};
use crate::executor::INLINE;
use crate::wire::{Answer, Name, Payload};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a result waits for which the server has no room.
const FULL: Duration = Duration::from_millis(50);

pub(super) struct Stepper {
    shared: Arc<Shared>,
    line: Line,
}

/// A STEP and what it is made of.
struct Batch {
    standing: Standing,
    ended: Vec<Ended>,
    proposal: Proposal,
}

impl Stepper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let line = Line::new(shared.engine.clone(), shared.reconnects.clone());
        Stepper { shared, line }
    }

    pub(super) fn run(mut self) {
        while let Some(mut batch) = self.next() {
            let is_full = !self.put_results(&mut batch);
            let stepped = self.exchange(&batch);
            self.settle(batch, stepped);
            if is_full {
                self.shared.sleep(&self.shared.bells.stepper, FULL);
            }
        }
    }

    /// Waits until there is something to say; none: the node has said all.
    fn next(&self) -> Option<Batch> {
        let bell = &self.shared.bells.stepper;
        let mut state = self.shared.lock();
        loop {
            if state.phase == Phase::Aborted {
                return None;
            }
            let mut deadline = None;
            if state.standing.is_some() && !state.ahead.is_patient() {
                let slots = self.shared.settings.slots;
                let (called_back, next) = state.work.call_back(slots, STALE, Instant::now());
                if !called_back.is_empty() {
                    drop(state);
                    // Refused by those that a worker has taken meanwhile. A lock is not held: callbacks run in here.
                    for handle in called_back {
                        handle.cancel();
                    }
                    state = self.shared.lock();
                    continue;
                }
                deadline = next;
            }
            if let Some(standing) = state.standing.clone() {
                let now = Instant::now();
                let begun = state.ahead.begin_by_credit(now);
                if !begun.is_empty() {
                    let loads = state.begin(begun, &standing.life);
                    drop(state);
                    start_all(&self.shared, loads);
                    state = self.shared.lock();
                    continue;
                }
                let room = state.room(&self.shared.settings);
                let has_answers = state.work.has_ended();
                if let Some(proposal) = state.ahead.propose(now, room, has_answers) {
                    state.is_stepping = true;
                    let ended = state.work.take_ended(BATCH);
                    return Some(Batch { standing, ended, proposal });
                }
                let stale = state.ahead.next_stale().filter(|stale| room == 0 && *stale > now);
                deadline = deadline.into_iter().chain(stale).min();
            }
            let is_done = state.ahead.is_empty() && state.work.is_empty() && state.has_fetcher_ended;
            if is_done && state.is_draining() {
                state.phase = Phase::Drained;
                drop(state);
                self.shared.ring_all();
                return None;
            }
            match deadline {
                Some(deadline) => drop(bell.wait_until(&mut state, deadline)),
                None => bell.wait(&mut state),
            }
        }
    }

    /// Puts large results beside the stream, before the STEP that tells of them. One for which there is no room is answered
    /// later; false then.
    fn put_results(&mut self, batch: &mut Batch) -> bool {
        let Batch { standing: Standing { life, name, .. }, ended, .. } = batch;
        let mut late = Vec::new();
        for Ended { token, id, outcome, .. } in ended.iter() {
            while outcome.reply.len() > INLINE {
                match self.line.ask(life, |link| link.put_result(life, id, &outcome.reply)) {
                    Ok(()) => break,
                    Err(Fault::Full) => {
                        late.push(*token);
                        break;
                    }
                    // The STEP will say the same.
                    Err(Fault::Over) => break,
                    Err(fault) if self.recovers(name, fault.clone()) => {}
                    Err(_) => break,
                }
            }
        }
        if !late.is_empty() {
            ended.retain(|ended| !late.contains(&ended.token));
            let mut state = self.shared.lock();
            late.iter().for_each(|token| state.work.put_last(*token));
        }
        late.is_empty()
    }

    /// Makes the STEP. If its answer is lost the same one is sent again, as it was. None: it is not known whether it was made,
    /// and never will be, for the name is lost.
    fn exchange(&mut self, batch: &Batch) -> Option<Stepped> {
        let Batch { standing: Standing { life, name, .. }, ended, proposal } = batch;
        let secret = self.shared.settings.secret.as_ref();
        let answer = |ended: &Ended| {
            let reply = &ended.outcome.reply;
            let mut answer = Answer {
                entry: ended.entry,
                id: ended.id.clone(),
                kind: ended.outcome.kind,
                reply: if reply.len() > INLINE { Payload::Beside } else { Payload::Inline(reply[..].into()) },
                seal: Vec::new(),
            };
            if let Some(secret) = secret {
                answer.seal = secret.of_answer(life, &answer, reply);
            }
            answer
        };
        let Proposal { begins, backs, drops, limit, credit } = proposal.clone();
        let answers = ended.iter().map(answer).collect();
        let step = Step { answers, begins, backs, drops, limit, credit };
        // It may have been lost while results were put.
        while self.shared.lock().stands(name) {
            match self.line.ask(life, |link| link.step(life, name, &step)) {
                Ok(stepped) => return Some(stepped),
                Err(Fault::Over) => {
                    self.shared.withdraw(name, false);
                    return None;
                }
                Err(fault) if self.recovers(name, fault.clone()) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Waits until the server is there and what the old connection carried is over. True if the name is still good.
    fn recovers(&mut self, name: &Name, mut fault: Fault) -> bool {
        loop {
            let pause = self.line.pause("no answers can be given", &fault);
            if !self.shared.sleep(&self.shared.bells.stepper, pause) {
                return false;
            }
            match self.line.open() {
                Ok(_) => return self.shared.lock().stands(name),
                Err(again) => fault = again,
            }
        }
    }

    fn settle(&self, batch: Batch, stepped: Option<Stepped>) {
        let Batch { standing, ended, proposal } = batch;
        let is_name_lost = stepped.as_ref().is_some_and(|stepped| stepped.is_name_lost);
        let is_awaited;
        let loads = {
            let mut state = self.shared.lock();
            let now = Instant::now();
            let mut begun = Vec::new();
            if let Some(stepped) = &stepped {
                let is_patient = !state.is_draining();
                for (place, Ended { token, id, .. }) in stepped.replies.iter().zip(ended) {
                    if place.is_none() && is_patient && state.work.keep_for_client(token) {
                        continue;
                    }
                    state.work.answered(token);
                    state.recent.note(id, *place, now);
                    state.finished += 1;
                }
                if state.stands(&standing.name) && !is_name_lost {
                    begun = state.ahead.settle(now, &proposal.begins, stepped);
                    begun.extend(state.ahead.begin_by_credit(now));
                }
                state.ask_for_beat(&self.shared.bells);
            } else {
                state.work.put_back(ended.iter().map(|ended| ended.token));
            }
            state.is_stepping = false;
            // N4: it JOINs once no STEP is on its way. The name may be lost by a BEAT, and this STEP have been made before.
            is_awaited = state.standing.is_none();
            state.begin(begun, &standing.life)
        };
        if is_name_lost {
            self.shared.withdraw(&standing.name, true);
        }
        self.shared.bells.fetcher.notify_all();
        if stepped.is_none() || is_name_lost || is_awaited {
            self.shared.bells.keeper.notify_all();
        }
        start_all(&self.shared, loads);
    }
}
