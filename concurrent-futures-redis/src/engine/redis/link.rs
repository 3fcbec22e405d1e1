//! The steps of the protocol at a Redis or Valkey server: each a script, or a read that waits.

use super::connection::ServerConnection;
use super::value::{self, strange};
use super::{Keys, scripts};
use crate::engine::{
    ClientBeat, ConnectionId, Fault, Link, NodeBeat, Order, Step, Stepped, Witness, check_name,
};
use crate::logging;
use crate::wire::{
    Answer, Attempt, AttemptId, BlobName, Entry, EntryId, Life, Name, NodeInfo, Payload, Session, Testimony,
};
use redis::{Connection, Value, cmd};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many entries a page of SCAN looks at: their parcels go through the script's memory.
const PAGE: usize = 500;

/// How many answers a client that listens reads before it says how far it has come: for each one alone the server would be as
/// busy with that as with the answer.
const MARK_AFTER: usize = 64;

pub(super) struct RedisLink {
    server: ServerConnection,
    /// How many answers were read since the server was told so.
    unmarked: usize,
}

impl RedisLink {
    pub(super) fn new(connection: Connection, keys: Arc<Keys>, address: String) -> Result<Self, Fault> {
        let server = ServerConnection::new(connection, keys, address)?;
        Ok(RedisLink { server, unmarked: MARK_AFTER })
    }
}

/// Refuses a server that throws data away: what is waited for would be gone without a word.
fn check_policy(memory: &str) -> Result<(), String> {
    let of = |name: &str| memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let limit: u64 = of("maxmemory").and_then(|limit| limit.trim().parse().ok()).unwrap_or(0);
    match of("maxmemory_policy").map(str::trim) {
        Some(policy) if limit > 0 && policy != "noeviction" => Err(format!(
            "is set to throw data away when its memory is full (maxmemory-policy {policy}): set it to noeviction"
        )),
        _ => Ok(()),
    }
}

impl Link for RedisLink {
    fn enter(&mut self) -> Result<Life, Fault> {
        let mut info = cmd("INFO");
        info.arg("memory");
        let memory = value::text(self.server.ask(&info)?).ok_or_else(|| strange("INFO"))?;
        check_policy(&memory)
            .map_err(|reason| Fault::Refused(format!("{} {reason}", self.server.address())))?;
        // Two hashers with keys of their own: nobody else has the same.
        let random = || RandomState::new().hash_one((std::process::id(), Instant::now()));
        let random = format!("{:016x}{:016x}", random(), random());
        let answer = self.server.run(&scripts::ENTER, &self.server.call(&scripts::ENTER, &random))?;
        let life = value::text(answer).ok_or_else(|| strange("a life"))?;
        Ok(Life(life.into()))
    }

    fn put_argument(&mut self, life: &Life, id: &AttemptId, bytes: &[u8]) -> Result<(), Fault> {
        if self.server.put(life, "args", &id.client, &value::field(id), bytes)? {
            Ok(())
        } else {
            Err(Fault::Fenced)
        }
    }

    fn get_argument(&mut self, life: &Life, id: &AttemptId) -> Result<Option<Vec<u8>>, Fault> {
        self.server.get(life, "args", &id.client, &value::field(id))
    }

    fn put_result(&mut self, life: &Life, id: &AttemptId, bytes: &[u8]) -> Result<(), Fault> {
        // Nobody wants it if the client is gone.
        match self.server.put(life, "results", &id.client, &value::field(id), bytes) {
            // Not by this script at once: a large value is copied twice more.
            Err(Fault::Full) => {
                let mut put = self.server.call(&scripts::PUT_RESULT, &life.0);
                put.arg(&*id.client).arg(value::field(id)).arg(bytes);
                self.server.run(&scripts::PUT_RESULT, &put).map(drop)
            }
            made => made.map(drop),
        }
    }

    fn get_result(&mut self, life: &Life, id: &AttemptId) -> Result<Option<Vec<u8>>, Fault> {
        self.server.get(life, "results", &id.client, &value::field(id))
    }

    fn put_blob(&mut self, life: &Life, client: &Name, name: BlobName, bytes: &[u8]) -> Result<(), Fault> {
        if self.server.put(life, "blobs", client, &name.to_string(), bytes)? {
            Ok(())
        } else {
            Err(Fault::Fenced)
        }
    }

    fn get_blob(&mut self, life: &Life, client: &Name, name: BlobName) -> Result<Option<Vec<u8>>, Fault> {
        self.server.get(life, "blobs", client, &name.to_string())
    }

    fn measure_blobs(&mut self, life: &Life, client: &Name, names: &[BlobName]) -> Result<Vec<u64>, Fault> {
        let key = self.server.of_client(life, "blobs", client);
        let measure = |name: &BlobName| {
            let mut measure = cmd("HSTRLEN");
            measure.arg(&key).arg(name.to_string());
            measure
        };
        let lens = self.server.read_in(life, &names.iter().map(measure).collect::<Vec<_>>())?.into_iter();
        lens.map(|len| value::number(len).ok_or_else(|| strange("a length"))).collect()
    }

    fn remove_blobs(&mut self, life: &Life, client: &Name, names: &[BlobName]) -> Result<(), Fault> {
        let mut remove = cmd("HDEL");
        remove.arg(self.server.of_client(life, "blobs", client));
        for name in names {
            remove.arg(name.to_string());
        }
        self.server.wait_for(Duration::ZERO)?;
        self.server.ask(&remove).map(drop)
    }

    fn connection(&mut self) -> Result<ConnectionId, Fault> {
        let mut ask = cmd("CLIENT");
        ask.arg("ID");
        self.server.wait_for(Duration::ZERO)?;
        let answer = self.server.ask(&ask)?;
        value::number(answer).map(ConnectionId).ok_or_else(|| strange("a connection"))
    }

    fn end_connection(&mut self, connection: ConnectionId) -> Result<(), Fault> {
        let mut kill = cmd("CLIENT");
        kill.arg("KILL").arg("ID").arg(connection.0);
        self.server.wait_for(Duration::ZERO)?;
        // The answer counts the ended, one or none.
        self.server.ask(&kill).map(drop)
    }

    fn bury(&mut self, life: &Life) -> Result<Vec<Name>, Fault> {
        let answer = self.server.run_with(&scripts::BURY, life, &[])?;
        value::names(answer).ok_or_else(|| strange("names"))
    }

    fn open_session(&mut self, life: &Life, client: &Name, ttl: Duration) -> Result<Session, Fault> {
        check_name(client)?;
        let ttl = value::millis(ttl).to_string();
        let answer = self.server.run_with(&scripts::OPEN_SESSION, life, &[client, &ttl])?;
        value::number(answer).map(Session).ok_or_else(|| strange("a session"))
    }

    fn submit(&mut self, life: &Life, most: u64, attempts: &[Attempt]) -> Result<Vec<EntryId>, Fault> {
        let mut submit = self.server.call(&scripts::SUBMIT, &life.0);
        let mut sessions: Vec<_> = attempts.iter().map(|it| (&*it.id.client, it.session)).collect();
        sessions.dedup();
        submit.arg(most).arg(sessions.len());
        for (client, session) in sessions {
            submit.arg(client).arg(session.0);
        }
        for attempt in attempts {
            submit.arg(value::entry(attempt));
        }
        let answer = self.server.run(&scripts::SUBMIT, &submit)?;
        let ids = value::array(answer).ok_or_else(|| strange("entries"))?;
        ids.into_iter().map(|id| value::entry_id(id).ok_or_else(|| strange("an entry"))).collect()
    }

    fn cancel(
        &mut self,
        life: &Life,
        session: Session,
        id: &AttemptId,
        entry: EntryId,
    ) -> Result<bool, Fault> {
        let arguments: [&str; 4] =
            [&id.client, &session.0.to_string(), &value::field(id), &entry.to_string()];
        let answer = self.server.run_with(&scripts::CANCEL, life, &arguments)?;
        Ok(answer == Value::Int(1))
    }

    fn scan(&mut self, life: &Life, client: &Name) -> Result<Vec<(AttemptId, Option<EntryId>)>, Fault> {
        // An entry that is given back meanwhile moves to the end: it is met there, at the latest.
        let mut found = HashMap::new();
        let mut from = EntryId::ZERO;
        let page = PAGE.to_string();
        let held = loop {
            let answer = self.server.run_with(&scripts::SCAN, life, &[client, &from.to_string(), &page])?;
            let parts = value::array(answer).and_then(|parts| <[Value; 3]>::try_from(parts).ok());
            let [last, own, held] = parts.ok_or_else(|| strange("a page"))?;
            let mut own = value::array(own).ok_or_else(|| strange("a page"))?.into_iter();
            while let (Some(entry), Some(seq), Some(attempt)) = (own.next(), own.next(), own.next()) {
                let read = || Some((value::entry_id(entry)?, value::number(seq)?, value::number(attempt)?));
                let (entry, seq, attempt) = read().ok_or_else(|| strange("an attempt"))?;
                found.insert(AttemptId { client: client.clone(), seq, attempt }, entry);
            }
            match value::maybe_entry_id(last).ok_or_else(|| strange("a page"))? {
                Some(last) => from = last.next(),
                None => break held,
            }
        };
        let held = value::fields(held, client).ok_or_else(|| strange("what is held"))?;
        let mut held: Vec<_> = held.into_iter().map(|id| (id, None)).collect();
        held.sort_unstable();
        let mut found: Vec<_> = found.into_iter().map(|(id, entry)| (id, Some(entry))).collect();
        found.sort_unstable_by_key(|(_, entry)| *entry);
        found.extend(held);
        Ok(found)
    }

    fn read(
        &mut self,
        life: &Life,
        client: &Name,
        after: EntryId,
        most: usize,
        wait: Duration,
    ) -> Result<Vec<Answer>, Fault> {
        if wait.is_zero() || self.unmarked >= MARK_AFTER {
            // Not in one trip: were the life over, the read would have to wait to its end all the same.
            self.server.run_with(
                &scripts::MARK,
                life,
                &[client, &after.to_string(), &after.next().to_string()],
            )?;
            self.unmarked = 0;
        }
        let key = self.server.of_client(life, "replies", client);
        let page = self.server.read_stream(&key, after, most, wait)?;
        let mut wakes = cmd("XDEL");
        wakes.arg(&key);
        let mut is_woken = false;
        let mut answers = Vec::with_capacity(page.len());
        for (id, fields) in page {
            let Some(fields) = fields else { continue };
            let is_wake = fields.is_wake();
            if let Some(answer) = fields.answer(id, client) {
                answers.push(answer);
                continue;
            }
            if !is_wake {
                logging::warn(format_args!(
                    "{}: an entry of {key} is no answer and was removed: somebody else writes there",
                    self.server.address()
                ));
            }
            wakes.arg(id.to_string());
            is_woken = true;
        }
        // Values beside the stream are removed soon, and the rest while nothing happens.
        let is_large = answers.iter().any(|answer| answer.reply == Payload::Beside);
        self.unmarked += if is_large || answers.is_empty() { MARK_AFTER } else { answers.len() };
        if is_woken {
            // If this fails, the next step says it.
            let _ = self.server.ask(&wakes);
        }
        Ok(answers)
    }

    fn wake_client(&mut self, life: &Life, client: &Name) -> Result<(), Fault> {
        self.server.run_with(&scripts::WAKE, life, &[client]).map(drop)
    }

    fn beat_client(&mut self, life: &Life, client: &Name, ttl: Duration) -> Result<ClientBeat, Fault> {
        let ttl = value::millis(ttl).to_string();
        let answer = self.server.run_with(&scripts::BEAT_CLIENT, life, &[client, &ttl])?;
        let read = || {
            let [known, living, joined] = value::array(answer)?.try_into().ok()?;
            let mut living = value::array(living)?.into_iter();
            let mut nodes = Vec::new();
            while let (Some(name), Some(description)) = (living.next(), living.next()) {
                // One that describes itself otherwise is of another version, and none of ours.
                let description = value::text(description).unwrap_or_default();
                nodes.extend(value::described(value::text(name)?, &description));
            }
            Some(ClientBeat { is_forgotten: known != Value::Int(1), nodes, joined: value::names(joined)? })
        };
        read().ok_or_else(|| strange("nodes"))
    }

    fn witnesses(&mut self, life: &Life) -> Result<Vec<Witness>, Fault> {
        let answer = self.server.run_with(&scripts::WITNESSES, life, &[])?;
        let read = || {
            let mut told = value::array(answer)?.into_iter();
            let mut witnesses = Vec::new();
            while let (Some(name), Some(rest), Some(held)) = (told.next(), told.next(), told.next()) {
                witnesses.push(value::witness(value::text(name)?, &value::text(rest)?, &value::text(held)?)?);
            }
            Some(witnesses)
        };
        read().ok_or_else(|| strange("testimonies"))
    }

    fn order(&mut self, life: &Life, order: &Order) -> Result<(), Fault> {
        let answer = match order {
            Order::Kill(id) => self.server.run_with(
                &scripts::ORDER,
                life,
                &["kill", &id.client, &id.seq.to_string(), &id.attempt.to_string()],
            ),
            Order::Wake(node) => self.server.run_with(&scripts::ORDER, life, &["wake", node, "0", "0"]),
        };
        answer.map(drop)
    }

    fn leave_client(&mut self, life: &Life, client: &Name) -> Result<(), Fault> {
        self.server.run_with(&scripts::LEAVE_CLIENT, life, &[client]).map(drop)
    }

    fn join(
        &mut self,
        life: &Life,
        node: &NodeInfo,
        lease: Duration,
        testimony: &Testimony,
    ) -> Result<(), Fault> {
        check_name(&node.name)?;
        let mut join = self.server.call(&scripts::JOIN, &life.0);
        join.arg(&*node.name).arg(value::describe(node)).arg(value::millis(lease));
        join.arg(value::testify(testimony)).arg(value::held(testimony));
        for id in &testimony.held {
            join.arg(&*id.client).arg(value::field(id));
        }
        self.server.run(&scripts::JOIN, &join).map(drop)
    }

    fn beat_node(&mut self, life: &Life, node: &NodeInfo, lease: Duration) -> Result<NodeBeat, Fault> {
        let lease = value::millis(lease).to_string();
        let answer =
            self.server.run_with(&scripts::BEAT_NODE, life, &[&node.name, &value::describe(node), &lease])?;
        let read = || {
            let [alive, clients] = value::array(answer)?.try_into().ok()?;
            Some(NodeBeat { is_name_lost: alive != Value::Int(1), clients: value::names(clients)? })
        };
        read().ok_or_else(|| strange("clients"))
    }

    fn fetch(&mut self, life: &Life, node: &Name, most: usize, wait: Duration) -> Result<Vec<Entry>, Fault> {
        // The stream's key has the life in it: of another one nothing can come, and after its end there is no group.
        let page = self.server.read_group(life, node, most, (!wait.is_zero()).then_some(wait), ">")?;
        self.server.entries(life, page)
    }

    fn history(
        &mut self,
        life: &Life,
        node: &Name,
        after: EntryId,
        most: usize,
    ) -> Result<Vec<Entry>, Fault> {
        let mut after = after;
        loop {
            let page = self.server.read_group(life, node, most, None, &after.to_string())?;
            let Some((last, _)) = page.last() else { return Ok(Vec::new()) };
            after = *last;
            // Entries that are gone come without fields. A page of nothing else is not the end.
            let entries = self.server.entries(life, page)?;
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
    }

    fn step(&mut self, life: &Life, node: &Name, step: &Step) -> Result<Stepped, Fault> {
        let mut ask = self.server.call(&scripts::STEP, &life.0);
        ask.arg(&**node).arg(step.limit.to_string()).arg(step.credit);
        ask.arg(step.begins.len());
        for (entry, client) in &step.begins {
            ask.arg(entry.to_string()).arg(&**client);
        }
        for list in [&step.backs, &step.drops] {
            ask.arg(list.len());
            for entry in list {
                ask.arg(entry.to_string());
            }
        }
        for it in &step.answers {
            ask.arg(it.entry.map_or_else(String::new, |entry| entry.to_string()));
            ask.arg(&*it.id.client).arg(value::answer(it));
        }
        let answer = self.server.run(&scripts::STEP, &ask)?;
        let read = || {
            let [alive, refused, replies] = value::array(answer)?.try_into().ok()?;
            Some(Stepped {
                is_name_lost: alive != Value::Int(1),
                refused: value::array(refused)?.into_iter().map(value::number).collect::<Option<_>>()?,
                replies: value::array(replies)?
                    .into_iter()
                    .map(value::maybe_entry_id)
                    .collect::<Option<_>>()?,
            })
        };
        read().ok_or_else(|| strange("a step"))
    }

    fn read_marks(&mut self, life: &Life, clients: &[Name]) -> Result<Vec<Option<EntryId>>, Fault> {
        let names: Vec<&str> = clients.iter().map(|client| &**client).collect();
        let answer = self.server.run_with(&scripts::READ_MARKS, life, &names)?;
        let read = || value::array(answer)?.into_iter().map(value::maybe_entry_id).collect::<Option<_>>();
        read().ok_or_else(|| strange("read marks"))
    }

    fn orders(
        &mut self,
        life: &Life,
        after: Option<EntryId>,
        wait: Duration,
    ) -> Result<(Option<EntryId>, Vec<Order>), Fault> {
        // Asked for in any case: it says whether the life is over.
        let last = value::entry_id(self.server.run_with(&scripts::LAST_ORDER, life, &[])?);
        let mut after = after.or(last).ok_or_else(|| strange("an order"))?;
        let key = self.server.of_life(life, "control");
        let mut orders = Vec::new();
        for (id, fields) in self.server.read_stream(&key, after, 1000, wait)? {
            after = id;
            // One of a kind that a later version gives is none to this one.
            orders.extend(fields.and_then(value::Fields::order));
        }
        Ok((Some(after), orders))
    }

    fn leave_node(&mut self, life: &Life, node: &Name) -> Result<(), Fault> {
        self.server.run_with(&scripts::LEAVE_NODE, life, &[node]).map(drop)
    }
}
