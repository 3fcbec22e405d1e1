//! A connection to a Redis or Valkey server: each step a script, or a read that waits.

use super::value::{self, strange};
use super::{Keys, fault, scripts, told};
use crate::engine::{
    ClientBeat, ConnectionId, Fault, Link, NodeBeat, Order, Step, Stepped, Witness, check_name,
};
use crate::logging;
use crate::wire::{
    Answer, Attempt, AttemptId, BlobName, Entry, EntryId, Life, Name, NodeInfo, Payload, Session, Testimony,
};
use redis::{Cmd, Connection, ConnectionLike, RedisResult, Script, Value, cmd};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the server may take for a step. Above what the largest values take on a slow network.
const STEP: Duration = Duration::from_secs(20);

/// How many entries a page of SCAN looks at: their parcels go through the script's memory.
const PAGE: usize = 500;

/// How many answers a client that listens reads before it says how far it has come: for each one alone the server would be as
/// busy with that as with the answer.
const MARK_AFTER: usize = 64;

pub(super) struct RedisLink {
    connection: Connection,
    keys: Arc<Keys>,
    address: String,
    /// How many answers were read since the server was told so.
    unmarked: usize,
    /// How long the connection waits for an answer at present.
    patience: Duration,
    /// Why it is of no use any more. What comes after an answer that was missed would be taken for another's.
    lost: Option<Fault>,
}

/// Beside or not, and the bytes.
fn split(payload: &Payload) -> (u8, &[u8]) {
    match payload {
        Payload::Inline(bytes) => (0, bytes),
        Payload::Beside => (1, b""),
    }
}

/// A script's call, before its arguments.
fn call(script: &Script, keys: &Keys, first: &str) -> Cmd {
    let mut call = cmd("EVALSHA");
    call.arg(script.get_hash()).arg(2).arg(&keys.life).arg(&keys.nodes).arg(first);
    call
}

impl RedisLink {
    pub(super) fn new(connection: Connection, keys: Arc<Keys>, address: String) -> Result<Self, Fault> {
        let mut link = RedisLink {
            connection,
            keys,
            address,
            unmarked: MARK_AFTER,
            patience: Duration::ZERO,
            lost: None,
        };
        let set = link.connection.set_write_timeout(Some(STEP));
        link.made(set)?;
        link.wait_for(Duration::ZERO)?;
        Ok(link)
    }

    fn made<T>(&mut self, result: RedisResult<T>) -> Result<T, Fault> {
        result.map_err(|error| self.note(fault(&self.address, &error)))
    }

    /// Remembers that the connection is lost, if that is what it is.
    fn note(&mut self, fault: Fault) -> Fault {
        if let Fault::Lost(_) = fault {
            self.lost = Some(fault.clone());
        }
        fault
    }

    fn check_alive(&self) -> Result<(), Fault> {
        self.lost.clone().map_or(Ok(()), Err)
    }

    /// Sets how long the connection waits: longer than the server does.
    fn wait_for(&mut self, wait: Duration) -> Result<(), Fault> {
        let patience = wait.saturating_add(STEP);
        if patience != self.patience {
            let set = self.connection.set_read_timeout(Some(patience));
            self.made(set)?;
            self.patience = patience;
        }
        Ok(())
    }

    fn ask(&mut self, command: &Cmd) -> Result<Value, Fault> {
        self.check_alive()?;
        let answer = self.connection.req_command(command).and_then(Value::extract_error);
        self.made(answer)
    }

    /// Calls a script; if the server doesn't know it yet, after having sent it.
    fn run(&mut self, script: &Script, call: &Cmd) -> Result<Value, Fault> {
        self.check_alive()?;
        self.wait_for(Duration::ZERO)?;
        match self.connection.req_command(call).and_then(Value::extract_error) {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                let loaded = script.load(&mut self.connection);
                self.made(loaded)?;
                self.ask(call)
            }
            answer => self.made(answer),
        }
    }

    /// Calls a script in a life, with these arguments.
    fn run_with(&mut self, script: &Script, life: &Life, arguments: &[&str]) -> Result<Value, Fault> {
        let mut call = call(script, &self.keys, &life.0);
        call.arg(arguments);
        self.run(script, &call)
    }

    /// Sends commands at once, as they go over the wire, and gives the answer of each.
    fn ask_all(&mut self, packed: &[u8], count: usize) -> Result<Vec<Value>, Fault> {
        self.check_alive()?;
        let answers = self.connection.req_packed_commands(packed, 0, count);
        self.made(answers)
    }

    fn check(&mut self, value: Value) -> Result<Value, Fault> {
        match value {
            Value::ServerError(error) => {
                let fault = told(&self.address, error.code(), error.details().unwrap_or(""));
                Err(self.note(fault))
            }
            value => Ok(value),
        }
    }

    /// The key of something that belongs to a client.
    fn of_client(&self, life: &Life, kind: &str, client: &Name) -> String {
        self.keys.own(&life.0, &format!("{kind}:{client}"))
    }

    /// What these commands read, in one trip, if the life is not over.
    fn read_in(&mut self, life: &Life, reads: &[Cmd]) -> Result<Vec<Value>, Fault> {
        let mut packed = cmd("GET").arg(&self.keys.life).get_packed_command();
        reads.iter().for_each(|read| read.write_packed_command(&mut packed));
        let mut answers = self.ask_all(&packed, 1 + reads.len())?.into_iter();
        let current = self.check(answers.next().unwrap_or_default())?;
        if value::text(current).as_deref() != Some(&*life.0) {
            return Err(Fault::Over);
        }
        answers.map(|answer| self.check(answer)).collect()
    }

    /// Puts a value into a hash of a client's. False if there is no such client.
    fn put(
        &mut self,
        life: &Life,
        kind: &str,
        client: &Name,
        field: &str,
        bytes: &[u8],
    ) -> Result<bool, Fault> {
        let key = self.of_client(life, kind, client);
        let mut put = call(&scripts::PUT, &self.keys, &life.0);
        put.arg(kind).arg(&**client).arg(field);
        // Room for the value and all around it, so that it is copied once. By the script alone, the server would copy it twice
        // more.
        let mut packed = Vec::with_capacity(bytes.len() + 1024);
        cmd("MULTI").write_packed_command(&mut packed);
        value::pack(&[b"HSET", key.as_bytes(), field.as_bytes(), bytes], &mut packed);
        put.write_packed_command(&mut packed);
        cmd("EXEC").write_packed_command(&mut packed);
        let answers = self.ask_all(&packed, 4)?;
        let mut last = Value::Nil;
        for answer in answers {
            last = self.check(answer)?;
        }
        let parts = value::array(last).ok_or_else(|| strange("a transaction"))?;
        let answer = match parts.into_iter().next_back() {
            Some(Value::ServerError(error)) if error.code() == "NOSCRIPT" => self.run(&scripts::PUT, &put)?,
            Some(answer) => self.check(answer)?,
            None => return Err(strange("a transaction")),
        };
        Ok(answer == Value::Int(1))
    }

    /// A value of a hash of a client's, if the life is not over.
    fn get(&mut self, life: &Life, kind: &str, client: &Name, field: &str) -> Result<Option<Vec<u8>>, Fault> {
        let mut get = cmd("HGET");
        get.arg(self.of_client(life, kind, client)).arg(field);
        let found = self.read_in(life, &[get])?.pop();
        Ok(found.and_then(value::bytes))
    }

    /// Reads a page of a stream of the group.
    fn read_group(
        &mut self,
        life: &Life,
        node: &Name,
        most: usize,
        wait: Option<Duration>,
        from: &str,
    ) -> Result<Vec<(EntryId, Option<value::Fields>)>, Fault> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg("nodes").arg(&**node).arg("COUNT").arg(most);
        if let Some(wait) = wait {
            read.arg("BLOCK").arg(value::millis(wait));
        }
        read.arg("STREAMS").arg(self.keys.own(&life.0, "tasks")).arg(from);
        self.wait_for(wait.unwrap_or_default())?;
        let answer = self.ask(&read)?;
        value::page(answer).ok_or_else(|| strange("entries"))
    }

    /// The entries of a page. What can't be read as one was put there by somebody else: it would be met again and again, and is
    /// removed.
    fn entries(
        &mut self,
        life: &Life,
        page: Vec<(EntryId, Option<value::Fields>)>,
    ) -> Result<Vec<Entry>, Fault> {
        let (mut entries, mut strangers) = (Vec::with_capacity(page.len()), Vec::new());
        for (id, fields) in page {
            match fields.map(|fields| fields.entry(id)) {
                Some(Some(entry)) => entries.push(entry),
                Some(None) => strangers.push(id.to_string()),
                None => {}
            }
        }
        if !strangers.is_empty() {
            let tasks = self.keys.own(&life.0, "tasks");
            let (mut take, mut remove) = (cmd("XACK"), cmd("XDEL"));
            take.arg(&tasks).arg("nodes").arg(&strangers);
            remove.arg(&tasks).arg(&strangers);
            let mut packed = take.get_packed_command();
            remove.write_packed_command(&mut packed);
            self.ask_all(&packed, 2)?;
            logging::warn(format_args!(
                "{}: {} entries of {tasks} are no tasks and were removed: somebody else writes there",
                self.address,
                strangers.len()
            ));
        }
        Ok(entries)
    }

    /// Reads what comes in a stream behind `after`.
    fn read_stream(
        &mut self,
        key: &str,
        after: EntryId,
        most: usize,
        wait: Duration,
    ) -> Result<Vec<(EntryId, Option<value::Fields>)>, Fault> {
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(most);
        if !wait.is_zero() {
            read.arg("BLOCK").arg(value::millis(wait));
        }
        read.arg("STREAMS").arg(key).arg(after.to_string());
        self.wait_for(wait)?;
        let answer = self.ask(&read)?;
        value::page(answer).ok_or_else(|| strange("a stream"))
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
        let memory = value::text(self.ask(&info)?).ok_or_else(|| strange("INFO"))?;
        check_policy(&memory).map_err(|reason| Fault::Refused(format!("{} {reason}", self.address)))?;
        // Two hashers with keys of their own: nobody else has the same.
        let random = || RandomState::new().hash_one((std::process::id(), Instant::now()));
        let random = format!("{:016x}{:016x}", random(), random());
        let answer = self.run(&scripts::ENTER, &call(&scripts::ENTER, &self.keys, &random))?;
        let life = value::text(answer).ok_or_else(|| strange("a life"))?;
        Ok(Life(life.into()))
    }

    fn put_argument(&mut self, life: &Life, id: &AttemptId, bytes: &[u8]) -> Result<(), Fault> {
        if self.put(life, "args", &id.client, &value::field(id), bytes)? {
            Ok(())
        } else {
            Err(Fault::Fenced)
        }
    }

    fn get_argument(&mut self, life: &Life, id: &AttemptId) -> Result<Option<Vec<u8>>, Fault> {
        self.get(life, "args", &id.client, &value::field(id))
    }

    fn put_result(&mut self, life: &Life, id: &AttemptId, bytes: &[u8]) -> Result<(), Fault> {
        // Nobody wants it if the client is gone.
        match self.put(life, "results", &id.client, &value::field(id), bytes) {
            // Not by this script at once: a large value is copied twice more.
            Err(Fault::Full) => {
                let mut put = call(&scripts::PUT_RESULT, &self.keys, &life.0);
                put.arg(&*id.client).arg(value::field(id)).arg(bytes);
                self.run(&scripts::PUT_RESULT, &put).map(drop)
            }
            made => made.map(drop),
        }
    }

    fn get_result(&mut self, life: &Life, id: &AttemptId) -> Result<Option<Vec<u8>>, Fault> {
        self.get(life, "results", &id.client, &value::field(id))
    }

    fn put_blob(&mut self, life: &Life, client: &Name, name: BlobName, bytes: &[u8]) -> Result<(), Fault> {
        if self.put(life, "blobs", client, &name.to_string(), bytes)? { Ok(()) } else { Err(Fault::Fenced) }
    }

    fn get_blob(&mut self, life: &Life, client: &Name, name: BlobName) -> Result<Option<Vec<u8>>, Fault> {
        self.get(life, "blobs", client, &name.to_string())
    }

    fn measure_blobs(&mut self, life: &Life, client: &Name, names: &[BlobName]) -> Result<Vec<u64>, Fault> {
        let key = self.of_client(life, "blobs", client);
        let measure = |name: &BlobName| {
            let mut measure = cmd("HSTRLEN");
            measure.arg(&key).arg(name.to_string());
            measure
        };
        let lens = self.read_in(life, &names.iter().map(measure).collect::<Vec<_>>())?.into_iter();
        lens.map(|len| value::number(len).ok_or_else(|| strange("a length"))).collect()
    }

    fn remove_blobs(&mut self, life: &Life, client: &Name, names: &[BlobName]) -> Result<(), Fault> {
        let mut remove = cmd("HDEL");
        remove.arg(self.of_client(life, "blobs", client));
        for name in names {
            remove.arg(name.to_string());
        }
        self.wait_for(Duration::ZERO)?;
        self.ask(&remove).map(drop)
    }

    fn connection(&mut self) -> Result<ConnectionId, Fault> {
        let mut ask = cmd("CLIENT");
        ask.arg("ID");
        self.wait_for(Duration::ZERO)?;
        let answer = self.ask(&ask)?;
        value::number(answer).map(ConnectionId).ok_or_else(|| strange("a connection"))
    }

    fn end_connection(&mut self, connection: ConnectionId) -> Result<(), Fault> {
        let mut kill = cmd("CLIENT");
        kill.arg("KILL").arg("ID").arg(connection.0);
        self.wait_for(Duration::ZERO)?;
        // The answer counts the ended, one or none.
        self.ask(&kill).map(drop)
    }

    fn bury(&mut self, life: &Life) -> Result<Vec<Name>, Fault> {
        let answer = self.run_with(&scripts::BURY, life, &[])?;
        value::names(answer).ok_or_else(|| strange("names"))
    }

    fn open_session(&mut self, life: &Life, client: &Name, ttl: Duration) -> Result<Session, Fault> {
        check_name(client)?;
        let ttl = value::millis(ttl).to_string();
        let answer = self.run_with(&scripts::OPEN_SESSION, life, &[client, &ttl])?;
        value::number(answer).map(Session).ok_or_else(|| strange("a session"))
    }

    fn submit(&mut self, life: &Life, most: u64, attempts: &[Attempt]) -> Result<Vec<EntryId>, Fault> {
        let mut submit = call(&scripts::SUBMIT, &self.keys, &life.0);
        submit.arg(most);
        for it in attempts {
            let (beside, parcel) = split(&it.parcel);
            submit.arg(&*it.id.client).arg(it.session.0).arg(it.id.seq).arg(it.id.attempt);
            submit.arg(value::micros(it.time_limit)).arg(beside).arg(parcel).arg(&it.seal[..]);
        }
        let answer = self.run(&scripts::SUBMIT, &submit)?;
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
        let answer = self.run_with(&scripts::CANCEL, life, &arguments)?;
        Ok(answer == Value::Int(1))
    }

    fn scan(&mut self, life: &Life, client: &Name) -> Result<Vec<(AttemptId, Option<EntryId>)>, Fault> {
        // An entry that is given back meanwhile moves to the end: it is met there, at the latest.
        let mut found = HashMap::new();
        let mut from = EntryId::ZERO;
        let page = PAGE.to_string();
        let held = loop {
            let answer = self.run_with(&scripts::SCAN, life, &[client, &from.to_string(), &page])?;
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
            self.run_with(&scripts::MARK, life, &[client, &after.to_string(), &after.next().to_string()])?;
            self.unmarked = 0;
        }
        let key = self.of_client(life, "replies", client);
        let page = self.read_stream(&key, after, most, wait)?;
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
                    self.address
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
            let _ = self.ask(&wakes);
        }
        Ok(answers)
    }

    fn wake_client(&mut self, life: &Life, client: &Name) -> Result<(), Fault> {
        self.run_with(&scripts::WAKE, life, &[client]).map(drop)
    }

    fn beat_client(&mut self, life: &Life, client: &Name, ttl: Duration) -> Result<ClientBeat, Fault> {
        let ttl = value::millis(ttl).to_string();
        let answer = self.run_with(&scripts::BEAT_CLIENT, life, &[client, &ttl])?;
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
        let answer = self.run_with(&scripts::WITNESSES, life, &[])?;
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
            Order::Kill(id) => self.run_with(
                &scripts::ORDER,
                life,
                &["kill", &id.client, &id.seq.to_string(), &id.attempt.to_string()],
            ),
            Order::Wake(node) => self.run_with(&scripts::ORDER, life, &["wake", node, "0", "0"]),
        };
        answer.map(drop)
    }

    fn leave_client(&mut self, life: &Life, client: &Name) -> Result<(), Fault> {
        self.run_with(&scripts::LEAVE_CLIENT, life, &[client]).map(drop)
    }

    fn join(
        &mut self,
        life: &Life,
        node: &NodeInfo,
        lease: Duration,
        testimony: &Testimony,
    ) -> Result<(), Fault> {
        check_name(&node.name)?;
        let mut join = call(&scripts::JOIN, &self.keys, &life.0);
        join.arg(&*node.name).arg(value::describe(node)).arg(value::millis(lease));
        join.arg(value::testify(testimony)).arg(value::held(testimony));
        for id in &testimony.held {
            join.arg(&*id.client).arg(value::field(id));
        }
        self.run(&scripts::JOIN, &join).map(drop)
    }

    fn beat_node(&mut self, life: &Life, node: &NodeInfo, lease: Duration) -> Result<NodeBeat, Fault> {
        let lease = value::millis(lease).to_string();
        let answer =
            self.run_with(&scripts::BEAT_NODE, life, &[&node.name, &value::describe(node), &lease])?;
        let read = || {
            let [alive, clients] = value::array(answer)?.try_into().ok()?;
            Some(NodeBeat { is_name_lost: alive != Value::Int(1), clients: value::names(clients)? })
        };
        read().ok_or_else(|| strange("clients"))
    }

    fn fetch(&mut self, life: &Life, node: &Name, most: usize, wait: Duration) -> Result<Vec<Entry>, Fault> {
        // The stream's key has the life in it: of another one nothing can come, and after its end there is no group.
        let page = self.read_group(life, node, most, (!wait.is_zero()).then_some(wait), ">")?;
        self.entries(life, page)
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
            let page = self.read_group(life, node, most, None, &after.to_string())?;
            let Some((last, _)) = page.last() else { return Ok(Vec::new()) };
            after = *last;
            // Entries that are gone come without fields. A page of nothing else is not the end.
            let entries = self.entries(life, page)?;
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
    }

    fn step(&mut self, life: &Life, node: &Name, step: &Step) -> Result<Stepped, Fault> {
        let mut ask = call(&scripts::STEP, &self.keys, &life.0);
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
            let (beside, reply) = split(&it.reply);
            ask.arg(it.entry.map_or_else(String::new, |entry| entry.to_string()))
                .arg(&*it.id.client)
                .arg(it.id.seq)
                .arg(it.id.attempt);
            ask.arg(value::kind(it.kind)).arg(beside).arg(reply).arg(&it.seal[..]);
        }
        let answer = self.run(&scripts::STEP, &ask)?;
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
        let answer = self.run_with(&scripts::READ_MARKS, life, &names)?;
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
        let last = value::entry_id(self.run_with(&scripts::LAST_ORDER, life, &[])?);
        let mut after = after.or(last).ok_or_else(|| strange("an order"))?;
        let key = self.keys.own(&life.0, "control");
        let mut orders = Vec::new();
        for (id, fields) in self.read_stream(&key, after, 1000, wait)? {
            after = id;
            // One of a kind that a later version gives is none to this one.
            orders.extend(fields.and_then(value::Fields::order));
        }
        Ok((Some(after), orders))
    }

    fn leave_node(&mut self, life: &Life, node: &Name) -> Result<(), Fault> {
        self.run_with(&scripts::LEAVE_NODE, life, &[node]).map(drop)
    }
}
