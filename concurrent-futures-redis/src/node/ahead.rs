//! [`Ahead`]: what a node was given and has not begun, and which of it it may begin. The rules N1, N2 and N4 of
//! `PROTOCOL.md`, with what N7 and N8 say of entries that have not begun. No I/O, and no clock of its own.

use crate::engine::Stepped;
use crate::wire::{AttemptId, Entry, EntryId, Name};
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

/// How many entries of a kind one STEP names.
pub(super) const BATCH: usize = 128;

/// An entry that waits for so long for a slot goes back: another node may have one.
pub(super) const STALE: Duration = Duration::from_millis(50);

/// What one name was given and has not begun.
#[derive(Default)]
pub(super) struct Ahead {
    /// Up to here entries may have begun: the `m` of the protocol.
    limit: EntryId,
    /// How many of the next may begin without asking. The server was told of each, and has answered.
    credit: u32,
    /// The last entry that has arrived. Entries arrive in order, so one that lies before it has arrived already.
    last: EntryId,
    unbegun: BTreeMap<EntryId, Unbegun>,
    /// The clients that lived at the last beat.
    living: HashSet<Name>,
    /// From when on nothing begins, unless a beat is answered.
    until: Option<Instant>,
    /// The credit that a STEP states which is not answered.
    in_flight: Option<u32>,
    /// Entries that began as far as the server knows, of which nothing was run.
    void: Vec<EntryId>,
    /// Entries that began as far as the server knows, no worker has taken, and are to go back.
    returned: Vec<EntryId>,
    is_closed: bool,
    /// What is ready stays, however long it waits: its number is the user's choice.
    is_patient: bool,
    /// Credit was given up, and the server doesn't know.
    is_credit_withdrawn: bool,
}

struct Unbegun {
    entry: Entry,
    since: Instant,
    stage: Stage,
    /// Somebody has ordered its end.
    is_killed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// It waits.
    Ready,
    /// A STEP that is not answered asks for it.
    Asked,
    /// The next STEP drops it: its client is gone.
    Gone,
    /// A STEP that is not answered gives it back, or drops it.
    Leaving,
}

/// What a node may begin now.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Begun {
    pub(super) entry: Entry,
    /// Its end was ordered before it began.
    pub(super) is_killed: bool,
}

/// A STEP, but for its answers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Proposal {
    /// With the client of each.
    pub(super) begins: Vec<(EntryId, Name)>,
    pub(super) backs: Vec<EntryId>,
    pub(super) drops: Vec<EntryId>,
    pub(super) limit: EntryId,
    pub(super) credit: u32,
}

impl Ahead {
    pub(super) fn new(is_patient: bool) -> Self {
        Ahead { is_patient, ..Ahead::default() }
    }

    /// Takes what FETCH or HISTORY gave. What has arrived before is passed over: HISTORY may have been read before a STEP
    /// that has answered since.
    pub(super) fn arrive(&mut self, entries: Vec<Entry>, now: Instant) {
        for entry in entries {
            if entry.id > self.last {
                self.last = entry.id;
                let (stage, is_killed) = (Stage::Ready, false);
                self.unbegun.insert(entry.id, Unbegun { entry, since: now, stage, is_killed });
            }
        }
    }

    /// N1: begins by credit, the first that is not begun and no other. One that may not begin holds up those behind it, since
    /// the server counts the credit in the order of ids.
    pub(super) fn begin_by_credit(&mut self, now: Instant) -> Vec<Begun> {
        let mut begun = Vec::new();
        while self.credit > 0
            && self.is_in_time(now)
            && let Some(first) = self.unbegun.first_entry()
            && first.get().stage == Stage::Ready
            && self.living.contains(&first.get().entry.attempt.id.client)
        {
            let first = first.remove();
            self.credit -= 1;
            self.limit = first.entry.id;
            begun.push(Begun { entry: first.entry, is_killed: first.is_killed });
        }
        begun
    }

    /// The next STEP, if one is worth its way: `has_answers`, or there is something to say. `room` is how many more may run.
    pub(super) fn propose(&mut self, now: Instant, room: u32, has_answers: bool) -> Option<Proposal> {
        if self.in_flight.is_some() {
            return None;
        }
        let mut proposal = Proposal::default();
        proposal.drops.extend(self.void.drain(..self.void.len().min(BATCH)));
        for (id, unbegun) in &mut self.unbegun {
            if unbegun.stage == Stage::Gone && proposal.drops.len() < BATCH {
                proposal.drops.push(*id);
                unbegun.stage = Stage::Leaving;
            }
        }
        proposal.backs.extend(self.returned.drain(..self.returned.len().min(BATCH)));
        self.give_back(now, room, &mut proposal);
        let mut extra = 0;
        if self.is_in_time(now) && !self.is_closed {
            let free = room.saturating_sub(self.credit);
            self.ask(free, &mut proposal);
            // N2: credit is added only while nothing is ready.
            let is_waiting = |unbegun: &Unbegun| matches!(unbegun.stage, Stage::Ready | Stage::Gone);
            if !self.unbegun.values().any(is_waiting) {
                extra = free.saturating_sub(proposal.begins.len() as u32);
            }
        }
        let says = !(proposal.begins.is_empty() && proposal.backs.is_empty() && proposal.drops.is_empty());
        if !(has_answers || says || extra > 0 || self.is_credit_withdrawn) {
            return None;
        }
        self.is_credit_withdrawn = false;
        self.in_flight = Some(extra);
        proposal.limit = proposal.begins.last().map_or(self.limit, |(last, _)| self.limit.max(*last));
        proposal.credit = self.credit + extra;
        Some(proposal)
    }

    /// Gives back what is ready: everything once closed, else what has been so for long while no slot is free.
    fn give_back(&mut self, now: Instant, room: u32, proposal: &mut Proposal) {
        let is_stuck = room == 0 && !self.is_patient;
        let is_stale = |since: Instant| is_stuck && now.saturating_duration_since(since) >= STALE;
        for (id, unbegun) in &mut self.unbegun {
            let leaves = unbegun.stage == Stage::Ready && (self.is_closed || is_stale(unbegun.since));
            if leaves && proposal.backs.len() < BATCH {
                proposal.backs.push(*id);
                unbegun.stage = Stage::Leaving;
            }
        }
    }

    /// Asks for the first that are ready, as many as are `free`. Where the credit has taken the room, but the first may not
    /// begin by it, the credit is given up for them.
    fn ask(&mut self, free: u32, proposal: &mut Proposal) {
        let ready = self.unbegun.values().filter(|unbegun| unbegun.stage == Stage::Ready).count();
        let most = ready.min(BATCH) as u32;
        let first = self.unbegun.values().find(|unbegun| unbegun.stage == Stage::Ready);
        let waits_for_credit = first
            .is_some_and(|first| self.credit > 0 && self.living.contains(&first.entry.attempt.id.client));
        let given_up = if waits_for_credit { 0 } else { most.saturating_sub(free).min(self.credit) };
        self.credit -= given_up;
        let asked = if waits_for_credit { 0 } else { most.min(free + given_up) as usize };
        let ready = self.unbegun.iter_mut().filter(|(_, unbegun)| unbegun.stage == Stage::Ready);
        for (id, unbegun) in ready.take(asked) {
            unbegun.stage = Stage::Asked;
            proposal.begins.push((*id, unbegun.entry.attempt.id.client.clone()));
        }
    }

    /// The STEP was answered: gives what may begin of what it asked for. The credit that it stated is good from now on.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        asked: &[(EntryId, Name)],
        stepped: &Stepped,
    ) -> Vec<Begun> {
        let extra = self.in_flight.take().unwrap_or(0);
        if stepped.is_name_lost {
            self.lose_name();
            return Vec::new();
        }
        self.credit += if self.is_closed { 0 } else { extra };
        self.unbegun.retain(|_, unbegun| unbegun.stage != Stage::Leaving);
        let may_begin = self.is_in_time(now) && !self.is_closed;
        let mut begun = Vec::new();
        for (index, (id, _)) in asked.iter().enumerate() {
            if stepped.refused.contains(&index) {
                self.unbegun.remove(id);
                continue;
            }
            // The server has it within the limit from now on, whether it begins or not.
            self.limit = self.limit.max(*id);
            if may_begin {
                let unbegun = self.unbegun.remove(id);
                begun.extend(unbegun.map(|it| Begun { entry: it.entry, is_killed: it.is_killed }));
            } else if let Some(unbegun) = self.unbegun.get_mut(id) {
                unbegun.stage = Stage::Ready;
            }
        }
        begun
    }

    /// N4: nothing more is begun under this name. What was ready or asked is somebody else's.
    pub(super) fn lose_name(&mut self) {
        *self = Ahead { is_closed: self.is_closed, ..Ahead::new(self.is_patient) };
    }

    /// A beat was answered that was sent at `sent`: nothing begins from `until` on without another. N7: what was given before
    /// the beat was sent, to a client that is not among the living, is to be dropped.
    pub(super) fn heard(&mut self, sent: Instant, until: Instant, living: HashSet<Name>) {
        self.living = living;
        self.until = Some(until);
        for unbegun in self.unbegun.values_mut() {
            let is_gone = !self.living.contains(&unbegun.entry.attempt.id.client);
            if is_gone && unbegun.stage == Stage::Ready && unbegun.since <= sent {
                unbegun.stage = Stage::Gone;
            }
        }
    }

    /// Has an entry dropped that began, as far as the server knows, and of which nothing was run.
    pub(super) fn void(&mut self, entry: EntryId) {
        self.void.push(entry);
    }

    /// Gives an entry back that began, as far as the server knows, and that no worker will ever take.
    pub(super) fn give_back_begun(&mut self, entry: EntryId) {
        self.returned.push(entry);
    }

    /// Whether what was given stays, however long it waits.
    pub(super) fn is_patient(&self) -> bool {
        self.is_patient
    }

    /// The node is to end: nothing begins any more, and what is ready goes back.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.is_credit_withdrawn |= self.credit > 0 || self.in_flight.is_some_and(|extra| extra > 0);
        self.credit = 0;
    }

    /// Notes that an attempt is to end as soon as it begins. False if it is not here.
    pub(super) fn kill(&mut self, id: &AttemptId) -> bool {
        let found = self.unbegun.values_mut().find(|unbegun| unbegun.entry.attempt.id == *id);
        found.is_some_and(|unbegun| {
            unbegun.is_killed = true;
            true
        })
    }

    /// How many entries to FETCH: as many as there is credit for, and `ahead` more.
    pub(super) fn wanted(&self, ahead: usize) -> usize {
        if self.is_closed { 0 } else { (self.credit as usize + ahead).saturating_sub(self.unbegun.len()) }
    }

    /// How many entries wait here.
    pub(super) fn len(&self) -> usize {
        self.unbegun.len()
    }

    /// Something waits whose client was not there at the last beat.
    pub(super) fn has_stranger(&self) -> bool {
        let is_stranger = |unbegun: &Unbegun| !self.living.contains(&unbegun.entry.attempt.id.client);
        self.unbegun.values().any(is_stranger)
    }

    /// When the first that is ready will have waited for long.
    pub(super) fn next_stale(&self) -> Option<Instant> {
        if self.is_patient {
            return None;
        }
        let mut ready = self.unbegun.values().filter(|unbegun| unbegun.stage == Stage::Ready);
        ready.next().map(|unbegun| unbegun.since + STALE)
    }

    /// Nothing waits, nothing is asked for or left to say.
    pub(super) fn is_empty(&self) -> bool {
        let says_nothing = self.void.is_empty() && self.returned.is_empty() && !self.is_credit_withdrawn;
        self.unbegun.is_empty() && self.in_flight.is_none() && says_nothing
    }

    /// N8.
    fn is_in_time(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests;
