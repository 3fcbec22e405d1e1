//! What a server keeps for one queue of one build in one life, and the steps on it.

use super::Clock;
use crate::engine::{ClientBeat, Fault, NodeBeat, Order, Step, Stepped, Witness};
use crate::wire::{
    Answer, Attempt, AttemptId, BlobName, Entry, EntryId, Kind, Name, NodeInfo, Payload, Session, Testimony,
};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::time::{Duration, Instant};

/// How many orders are kept.
const ORDERS: usize = 1000;

/// The nodes of a queue, of all builds.
pub(super) type Registry = BTreeMap<Name, Registered>;

pub(super) struct Registered {
    info: NodeInfo,
    until: Instant,
}

#[derive(Default)]
pub(super) struct World {
    /// The stream.
    entries: BTreeMap<EntryId, Attempt>,
    /// The last entry that was given to a node.
    delivered: EntryId,
    /// Which node has an entry that was delivered.
    pending: BTreeMap<EntryId, Name>,
    sessions: u64,
    clients: HashMap<Name, Client>,
    /// What each node may have begun: all up to an entry, and so many of the next. Kept after the node's end: what is still on
    /// its way to it is judged by the same words.
    limits: HashMap<Name, (EntryId, u32)>,
    joined: BTreeMap<Name, Joined>,
    testimonies: BTreeMap<Name, Testimony>,
    orders: VecDeque<(EntryId, Order)>,
    last_order: EntryId,
    /// How often shared data was put, and asked for.
    pub(super) blobs_put: u64,
    pub(super) blobs_got: u64,
}

struct Client {
    session: Session,
    mark: EntryId,
    ttl: Duration,
    until: Instant,
    /// None in the place of an answer: a read is to wake.
    replies: BTreeMap<EntryId, Option<Answer>>,
    arguments: HashMap<(u64, u32), Vec<u8>>,
    results: HashMap<(u64, u32), Vec<u8>>,
    blobs: HashMap<BlobName, Vec<u8>>,
}

struct Joined {
    lease: Duration,
    buried: Option<Instant>,
}

fn part(id: &AttemptId) -> (u64, u32) {
    (id.seq, id.attempt)
}

fn lives(registry: &Registry, node: &Name, now: Instant) -> bool {
    registry.get(node).is_some_and(|node| now < node.until)
}

impl World {
    /// Forgets the clients whose time has run out.
    pub(super) fn expire(&mut self, now: Instant) {
        self.clients.retain(|_, client| now < client.until);
    }

    /// About how many bytes it holds.
    pub(super) fn size(&self) -> usize {
        let inline = |payload: &Payload| if let Payload::Inline(bytes) = payload { bytes.len() } else { 0 };
        let entries = self.entries.values().map(|attempt| 64 + inline(&attempt.parcel)).sum::<usize>();
        let of_client = |client: &Client| {
            let replies =
                client.replies.values().flatten().map(|answer| 64 + inline(&answer.reply)).sum::<usize>();
            let beside =
                client.arguments.values().chain(client.results.values()).map(Vec::len).sum::<usize>();
            replies + beside + client.blobs.values().map(Vec::len).sum::<usize>()
        };
        entries + self.clients.values().map(of_client).sum::<usize>()
    }

    // ---- values beside the stream -------------------------------------------------------------------

    pub(super) fn put_argument(&mut self, id: &AttemptId, bytes: &[u8]) -> Result<(), Fault> {
        let client = self.clients.get_mut(&id.client).ok_or(Fault::Fenced)?;
        client.arguments.insert(part(id), bytes.to_vec());
        Ok(())
    }

    pub(super) fn get_argument(&self, id: &AttemptId) -> Option<Vec<u8>> {
        self.clients.get(&id.client)?.arguments.get(&part(id)).cloned()
    }

    pub(super) fn put_result(&mut self, id: &AttemptId, bytes: &[u8]) {
        if let Some(client) = self.clients.get_mut(&id.client) {
            client.results.insert(part(id), bytes.to_vec());
        }
    }

    pub(super) fn get_result(&self, id: &AttemptId) -> Option<Vec<u8>> {
        self.clients.get(&id.client)?.results.get(&part(id)).cloned()
    }

    pub(super) fn put_blob(&mut self, client: &Name, name: BlobName, bytes: &[u8]) -> Result<(), Fault> {
        let client = self.clients.get_mut(client).ok_or(Fault::Fenced)?;
        client.blobs.insert(name, bytes.to_vec());
        self.blobs_put += 1;
        Ok(())
    }

    pub(super) fn get_blob(&mut self, client: &Name, name: BlobName) -> Option<Vec<u8>> {
        self.blobs_got += 1;
        self.clients.get(client)?.blobs.get(&name).cloned()
    }

    pub(super) fn measure_blob(&self, client: &Name, name: BlobName) -> u64 {
        let bytes = self.clients.get(client).and_then(|client| client.blobs.get(&name));
        bytes.map_or(0, |bytes| bytes.len() as u64)
    }

    pub(super) fn remove_blob(&mut self, client: &Name, name: BlobName) {
        if let Some(client) = self.clients.get_mut(client) {
            client.blobs.remove(&name);
        }
    }

    /// How many entries its stream holds, delivered or not.
    pub(super) fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Changes each client's shared data.
    pub(super) fn change_blobs(&mut self, change: impl Fn(&mut HashMap<BlobName, Vec<u8>>)) {
        self.clients.values_mut().for_each(|client| change(&mut client.blobs));
    }

    // ---- clients ------------------------------------------------------------------------------------

    pub(super) fn open_session(&mut self, client: &Name, ttl: Duration, now: Instant) -> Session {
        self.sessions += 1;
        let session = Session(self.sessions);
        let until = now + ttl;
        let known = self.clients.entry(client.clone()).or_insert_with(|| Client {
            session,
            mark: EntryId::ZERO,
            ttl,
            until,
            replies: BTreeMap::new(),
            arguments: HashMap::new(),
            results: HashMap::new(),
            blobs: HashMap::new(),
        });
        (known.session, known.ttl, known.until) = (session, ttl, until);
        session
    }

    pub(super) fn submit(
        &mut self,
        most: u64,
        attempts: &[Attempt],
        clock: &mut Clock,
    ) -> Result<Vec<EntryId>, Fault> {
        if !attempts.iter().all(|attempt| self.is_current(&attempt.id.client, attempt.session)) {
            return Err(Fault::Fenced);
        }
        if self.entries.len() as u64 >= most {
            return Err(Fault::Full);
        }
        let mut ids = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            let id = clock.next();
            self.entries.insert(id, attempt.clone());
            ids.push(id);
        }
        Ok(ids)
    }

    fn is_current(&self, client: &Name, session: Session) -> bool {
        self.clients.get(client).is_some_and(|client| client.session == session)
    }

    pub(super) fn cancel(&mut self, session: Session, id: &AttemptId, entry: EntryId) -> Result<bool, Fault> {
        if !self.is_current(&id.client, session) {
            return Err(Fault::Fenced);
        }
        let is_taken = entry > self.delivered && self.entries.remove(&entry).is_some();
        if is_taken {
            self.remove_argument(id);
        }
        Ok(is_taken)
    }

    fn remove_argument(&mut self, id: &AttemptId) {
        if let Some(client) = self.clients.get_mut(&id.client) {
            client.arguments.remove(&part(id));
        }
    }

    pub(super) fn scan(&self, client: &Name) -> Vec<(AttemptId, Option<EntryId>)> {
        let own = self.entries.iter().filter(|(_, attempt)| attempt.id.client == *client);
        let mut found: Vec<_> = own.map(|(entry, attempt)| (attempt.id.clone(), Some(*entry))).collect();
        let told = self.testimonies.values().flat_map(|testimony| &testimony.held);
        let mut held: Vec<_> = told.filter(|id| id.client == *client).map(|id| (id.clone(), None)).collect();
        held.sort();
        held.dedup();
        found.extend(held);
        found
    }

    /// Of an attempt that is answered no testimony holds any more.
    fn let_go(&mut self, id: &AttemptId) {
        for testimony in self.testimonies.values_mut() {
            testimony.held.retain(|held| held != id);
        }
    }

    /// Removes the answers up to `after`, and the results that belong to them.
    pub(super) fn mark(&mut self, client: &Name, after: EntryId) {
        if let Some(client) = self.clients.get_mut(client) {
            client.mark = client.mark.max(after);
            let kept = client.replies.split_off(&after.next());
            for answer in std::mem::replace(&mut client.replies, kept).into_values().flatten() {
                if answer.reply == Payload::Beside {
                    client.results.remove(&part(&answer.id));
                }
            }
        }
    }

    /// What is to be read behind `after`; none: nothing, not even a reason to wake.
    pub(super) fn replies(&mut self, client: &Name, after: EntryId, most: usize) -> Option<Vec<Answer>> {
        let client = self.clients.get_mut(client)?;
        let page: Vec<(EntryId, Option<Answer>)> = client
            .replies
            .range((Excluded(after), Unbounded))
            .take(most)
            .map(|(id, it)| (*id, it.clone()))
            .collect();
        for (id, _) in page.iter().filter(|(_, answer)| answer.is_none()) {
            client.replies.remove(id);
        }
        if page.is_empty() { None } else { Some(page.into_iter().filter_map(|(_, answer)| answer).collect()) }
    }

    pub(super) fn wake_client(&mut self, client: &Name, clock: &mut Clock) {
        if let Some(client) = self.clients.get_mut(client) {
            client.replies.insert(clock.next(), None);
        }
    }

    pub(super) fn beat_client(
        &mut self,
        client: &Name,
        ttl: Duration,
        registry: &Registry,
        now: Instant,
    ) -> ClientBeat {
        let mut is_forgotten = true;
        if let Some(known) = self.clients.get_mut(client) {
            (known.ttl, known.until, is_forgotten) = (ttl, now + ttl, false);
        }
        let waits =
            |name: &Name| self.testimonies.get(name).is_some_and(|testimony| !testimony.held.is_empty());
        let is_fresh = |joined: &Joined| joined.buried.is_none_or(|buried| now < buried + joined.lease);
        self.joined.retain(|name, joined| is_fresh(joined) || waits(name));
        // What a buried one holds concerns this client until it is answered, and nobody else.
        let holds = |name: &Name| {
            self.testimonies
                .get(name)
                .is_some_and(|testimony| testimony.held.iter().any(|id| id.client == *client))
        };
        let named = self.joined.iter().filter(|(name, joined)| is_fresh(joined) || holds(name));
        ClientBeat {
            is_forgotten,
            nodes: registry.values().filter(|node| now < node.until).map(|node| node.info.clone()).collect(),
            joined: named.map(|(name, _)| name.clone()).collect(),
        }
    }

    pub(super) fn witnesses(&self) -> Vec<Witness> {
        self.testimonies.iter().map(|(name, testimony)| (name.clone(), testimony.clone())).collect()
    }

    pub(super) fn order(&mut self, order: &Order, clock: &mut Clock) {
        self.last_order = clock.next();
        self.orders.push_back((self.last_order, order.clone()));
        while self.orders.len() > ORDERS {
            self.orders.pop_front();
        }
    }

    pub(super) fn leave_client(&mut self, client: &Name) {
        self.clients.remove(client);
    }

    // ---- nodes --------------------------------------------------------------------------------------

    pub(super) fn join(
        &mut self,
        registry: &mut Registry,
        node: &NodeInfo,
        lease: Duration,
        testimony: &Testimony,
        now: Instant,
    ) {
        registry.insert(node.name.clone(), Registered { info: node.clone(), until: now + lease });
        self.joined.insert(node.name.clone(), Joined { lease, buried: None });
        self.limits.entry(node.name.clone()).or_default();
        if *testimony != Testimony::default() {
            self.testimonies.insert(node.name.clone(), testimony.clone());
        }
    }

    pub(super) fn beat_node(
        &self,
        registry: &mut Registry,
        node: &NodeInfo,
        lease: Duration,
        now: Instant,
    ) -> NodeBeat {
        let is_name_lost = !lives(registry, &node.name, now);
        if !is_name_lost {
            registry.insert(node.name.clone(), Registered { info: node.clone(), until: now + lease });
        }
        NodeBeat { is_name_lost, clients: self.clients.keys().cloned().collect() }
    }

    pub(super) fn fetch(&mut self, node: &Name, most: usize) -> Vec<Entry> {
        let new = self.entries.range((Excluded(self.delivered), Unbounded)).take(most);
        let page: Vec<Entry> = new.map(|(id, attempt)| Entry { id: *id, attempt: attempt.clone() }).collect();
        for entry in &page {
            self.delivered = entry.id;
            self.pending.insert(entry.id, node.clone());
        }
        page
    }

    pub(super) fn history(&self, node: &Name, after: EntryId, most: usize) -> Vec<Entry> {
        let own = self.pending.range((Excluded(after), Unbounded)).filter(|(_, owner)| *owner == node);
        own.filter_map(|(id, _)| Some(Entry { id: *id, attempt: self.entries.get(id)?.clone() }))
            .take(most)
            .collect()
    }

    pub(super) fn step(
        &mut self,
        registry: &Registry,
        node: &Name,
        step: &Step,
        clock: &mut Clock,
        now: Instant,
    ) -> Stepped {
        for answer in &step.answers {
            if let Some(entry) = &answer.entry {
                self.pending.remove(entry);
                self.entries.remove(entry);
            }
            self.remove_argument(&answer.id);
        }
        for entry in &step.drops {
            if self.pending.get(entry) == Some(node) {
                self.pending.remove(entry);
                if let Some(attempt) = self.entries.remove(entry) {
                    self.remove_argument(&attempt.id);
                }
            }
        }
        let is_name_lost = !lives(registry, node, now);
        let mut refused = Vec::new();
        for (index, (entry, client)) in step.begins.iter().enumerate().filter(|_| !is_name_lost) {
            if self.pending.get(entry) != Some(node) {
                refused.push(index);
            } else if !self.clients.contains_key(client) {
                // Nobody waits for it.
                self.pending.remove(entry);
                self.entries.remove(entry);
                refused.push(index);
            }
        }
        if !is_name_lost {
            self.limits.insert(node.clone(), (step.limit, step.credit));
        }
        for entry in &step.backs {
            if self.pending.get(entry) == Some(node) {
                self.pending.remove(entry);
                if let Some(attempt) = self.entries.remove(entry) {
                    self.entries.insert(clock.next(), attempt);
                }
            }
        }
        let replies = step.answers.iter().map(|answer| self.answer(answer.clone(), clock)).collect();
        Stepped { is_name_lost, refused, replies }
    }

    fn answer(&mut self, answer: Answer, clock: &mut Clock) -> Option<EntryId> {
        let client = self.clients.get_mut(&answer.id.client)?;
        let place = clock.next();
        let id = answer.id.clone();
        client.replies.insert(place, Some(Answer { entry: Some(place), ..answer }));
        self.let_go(&id);
        Some(place)
    }

    fn answer_lost(&mut self, id: AttemptId, node: &Name, clock: &mut Clock) {
        self.remove_argument(&id);
        let reply = Payload::Inline(node.as_bytes().into());
        self.answer(Answer { entry: None, id, kind: Kind::Lost, reply, seal: Vec::new() }, clock);
    }

    pub(super) fn bury(&mut self, registry: &mut Registry, clock: &mut Clock, now: Instant) -> Vec<Name> {
        registry.retain(|_, node| now < node.until);
        let mut dead: Vec<Name> = self.pending.values().cloned().collect();
        dead.extend(
            self.joined.iter().filter(|(_, joined)| joined.buried.is_none()).map(|(name, _)| name.clone()),
        );
        let has_come = |id: &AttemptId| self.clients.contains_key(&id.client);
        let waits = self.testimonies.iter().filter(|(_, testimony)| testimony.held.iter().any(has_come));
        dead.extend(waits.map(|(name, _)| name.clone()));
        dead.sort();
        dead.dedup();
        dead.retain(|name| !registry.contains_key(name));
        for name in &dead {
            self.bury_one(name, clock, now);
        }
        dead
    }

    fn bury_one(&mut self, name: &Name, clock: &mut Clock, now: Instant) {
        let limit = self.limits.get(name).copied();
        let mut credit = limit.map_or(0, |(_, credit)| credit);
        let own: Vec<EntryId> =
            self.pending.iter().filter(|(_, owner)| *owner == name).map(|(id, _)| *id).collect();
        for entry in own {
            self.pending.remove(&entry);
            let Some(attempt) = self.entries.remove(&entry) else { continue };
            // Without a word of the node anything may have begun.
            let has_begun = match limit {
                Some((limit, _)) if entry > limit => {
                    let is_within = credit > 0;
                    credit = credit.saturating_sub(1);
                    is_within
                }
                _ => true,
            };
            if has_begun {
                self.answer_lost(attempt.id, name, clock);
            } else if self.clients.contains_key(&attempt.id.client) {
                self.entries.insert(clock.next(), attempt);
            }
        }
        // Of a client that has not come it stays, for a later burial.
        let held = self.testimonies.get(name).map(|testimony| testimony.held.clone()).unwrap_or_default();
        for id in held {
            self.answer_lost(id, name, clock);
        }
        // From the last burial on: what it lost lies in the replies for a lease before it is forgotten.
        if let Some(joined) = self.joined.get_mut(name) {
            joined.buried = Some(now);
        }
    }

    pub(super) fn read_marks(&self, clients: &[Name]) -> Vec<Option<EntryId>> {
        clients.iter().map(|client| Some(self.clients.get(client)?.mark)).collect()
    }

    /// Where the last order lies.
    pub(super) fn last_order(&self) -> EntryId {
        self.last_order
    }

    pub(super) fn orders(&self, after: EntryId) -> Vec<(EntryId, Order)> {
        self.orders.iter().filter(|(id, _)| *id > after).cloned().collect()
    }

    pub(super) fn leave_node(&mut self, registry: &mut Registry, node: &Name) {
        registry.remove(node);
        self.joined.remove(node);
        self.testimonies.remove(node);
        // What is still on its way to it was not begun.
        if let Some((_, credit)) = self.limits.get_mut(node) {
            *credit = 0;
        }
    }
}
