//! A connection to a Redis or Valkey server: commands, scripts, values beside the stream, pages of a stream.

use super::value::{self, strange};
use super::{Keys, fault, scripts, told};
use crate::engine::Fault;
use crate::logging;
use crate::wire::{Entry, EntryId, Life, Name};
use redis::{Cmd, Connection, ConnectionLike, RedisResult, Script, Value, cmd};
use std::sync::Arc;
use std::time::Duration;

/// How long the server may take for a step. Above what the largest values take on a slow network.
const STEP: Duration = Duration::from_secs(20);

pub(super) struct ServerConnection {
    connection: Connection,
    keys: Arc<Keys>,
    address: String,
    /// How long the connection waits for an answer at present.
    patience: Duration,
    /// Why it is of no use any more. What comes after an answer that was missed would be taken for another's.
    lost: Option<Fault>,
}

impl ServerConnection {
    pub(super) fn new(connection: Connection, keys: Arc<Keys>, address: String) -> Result<Self, Fault> {
        let patience = Duration::ZERO;
        let mut made = ServerConnection { connection, keys, address, patience, lost: None };
        let set = made.connection.set_write_timeout(Some(STEP));
        made.made(set)?;
        made.wait_for(Duration::ZERO)?;
        Ok(made)
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
    pub(super) fn wait_for(&mut self, wait: Duration) -> Result<(), Fault> {
        let patience = wait.saturating_add(STEP);
        if patience != self.patience {
            let set = self.connection.set_read_timeout(Some(patience));
            self.made(set)?;
            self.patience = patience;
        }
        Ok(())
    }

    pub(super) fn ask(&mut self, command: &Cmd) -> Result<Value, Fault> {
        self.check_alive()?;
        let answer = self.connection.req_command(command).and_then(Value::extract_error);
        self.made(answer)
    }

    /// A script's call, before its arguments but the first.
    pub(super) fn call(&self, script: &Script, first: &str) -> Cmd {
        let mut call = cmd("EVALSHA");
        call.arg(script.get_hash()).arg(2).arg(&self.keys.life).arg(&self.keys.nodes).arg(first);
        call
    }

    /// Calls a script; if the server doesn't know it yet, after having sent it.
    pub(super) fn run(&mut self, script: &Script, call: &Cmd) -> Result<Value, Fault> {
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
    pub(super) fn run_with(
        &mut self,
        script: &Script,
        life: &Life,
        arguments: &[&str],
    ) -> Result<Value, Fault> {
        let mut call = self.call(script, &life.0);
        call.arg(arguments);
        self.run(script, &call)
    }

    /// Sends commands at once, as they go over the wire, and gives the answer of each.
    pub(super) fn ask_all(&mut self, packed: &[u8], count: usize) -> Result<Vec<Value>, Fault> {
        self.check_alive()?;
        let answers = self.connection.req_packed_commands(packed, 0, count);
        self.made(answers)
    }

    pub(super) fn check(&mut self, value: Value) -> Result<Value, Fault> {
        match value {
            Value::ServerError(error) => {
                let fault = told(&self.address, error.code(), error.details().unwrap_or(""));
                Err(self.note(fault))
            }
            value => Ok(value),
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The key of something that belongs to a life.
    pub(super) fn of_life(&self, life: &Life, kind: &str) -> String {
        self.keys.own(&life.0, kind)
    }

    /// The key of something that belongs to a client.
    pub(super) fn of_client(&self, life: &Life, kind: &str, client: &Name) -> String {
        self.of_life(life, &format!("{kind}:{client}"))
    }

    /// What these commands read, in one trip, if the life is not over.
    pub(super) fn read_in(&mut self, life: &Life, reads: &[Cmd]) -> Result<Vec<Value>, Fault> {
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
    pub(super) fn put(
        &mut self,
        life: &Life,
        kind: &str,
        client: &Name,
        field: &str,
        bytes: &[u8],
    ) -> Result<bool, Fault> {
        let key = self.of_client(life, kind, client);
        let mut put = self.call(&scripts::PUT, &life.0);
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
    pub(super) fn get(
        &mut self,
        life: &Life,
        kind: &str,
        client: &Name,
        field: &str,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let mut get = cmd("HGET");
        get.arg(self.of_client(life, kind, client)).arg(field);
        let found = self.read_in(life, &[get])?.pop();
        Ok(found.and_then(value::bytes))
    }

    /// Reads a page of a stream of the group.
    pub(super) fn read_group(
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
        read.arg("STREAMS").arg(self.of_life(life, "tasks")).arg(from);
        self.wait_for(wait.unwrap_or_default())?;
        let answer = self.ask(&read)?;
        value::page(answer).ok_or_else(|| strange("entries"))
    }

    /// The entries of a page. What can't be read as one was put there by somebody else: it would be met again and again, and is
    /// removed.
    pub(super) fn entries(
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
            let tasks = self.of_life(life, "tasks");
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
    pub(super) fn read_stream(
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
