//! How entries, answers, nodes and testimonies are written into values of the server, and read back.

use crate::engine::{Fault, Order, Witness};
use crate::wire::{
    Answer, Attempt, AttemptId, Entry, EntryId, Kind, Name, NodeInfo, Payload, Session, Testimony,
};
use redis::Value;
use std::fmt::Write;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// What the server sent can't be read. Of no use is the connection then, too.
pub(super) fn strange(what: &str) -> Fault {
    Fault::Lost(format!("the server sent something that can't be read as {what}"))
}

pub(super) fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        Value::Int(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

pub(super) fn text(value: Value) -> Option<String> {
    String::from_utf8(bytes(value)?).ok()
}

pub(super) fn number<T: FromStr>(value: Value) -> Option<T> {
    text(value)?.parse().ok()
}

/// An array; of nothing an empty one.
pub(super) fn array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        Value::Nil => Some(Vec::new()),
        _ => None,
    }
}

pub(super) fn names(value: Value) -> Option<Vec<Name>> {
    array(value)?.into_iter().map(|name| text(name).map(Name::from)).collect()
}

pub(super) fn entry_id(value: Value) -> Option<EntryId> {
    EntryId::parse(&text(value)?)
}

/// An entry id, or an empty text for none.
pub(super) fn maybe_entry_id(value: Value) -> Option<Option<EntryId>> {
    let text = text(value)?;
    if text.is_empty() { Some(None) } else { EntryId::parse(&text).map(Some) }
}

/// The entries of the one stream in an answer to `XREAD` or `XREADGROUP`: id, and fields, or none if it was removed.
pub(super) fn page(value: Value) -> Option<Vec<(EntryId, Option<Fields>)>> {
    let Some(stream) = array(value)?.into_iter().next() else { return Some(Vec::new()) };
    let entries = array(stream)?.into_iter().nth(1)?;
    array(entries)?
        .into_iter()
        .map(|entry| {
            let mut entry = array(entry)?.into_iter();
            let (id, fields) = (entry_id(entry.next()?)?, entry.next()?);
            let fields = if fields == Value::Nil { None } else { Some(Fields(array(fields)?)) };
            Some((id, fields))
        })
        .collect()
}

/// Names and values by turns.
pub(super) struct Fields(Vec<Value>);

impl Fields {
    fn take(&mut self, name: &[u8]) -> Option<Value> {
        let is_it = |value: &Value| matches!(value, Value::BulkString(bytes) if bytes == name);
        let at = (0..self.0.len()).step_by(2).find(|at| is_it(&self.0[*at]))?;
        self.0.get_mut(at + 1).map(std::mem::take)
    }

    fn payload(&mut self, name: &[u8]) -> Option<Payload> {
        let bytes: Arc<[u8]> = bytes(self.take(name)?)?.into();
        Some(if number::<u8>(self.take(b"b")?)? == 1 { Payload::Beside } else { Payload::Inline(bytes) })
    }

    pub(super) fn entry(mut self, id: EntryId) -> Option<Entry> {
        let micros: u64 = number(self.take(b"t")?)?;
        let attempt = Attempt {
            id: AttemptId {
                client: text(self.take(b"c")?)?.into(),
                seq: number(self.take(b"s")?)?,
                attempt: number(self.take(b"a")?)?,
            },
            session: Session(number(self.take(b"n")?)?),
            time_limit: (micros > 0).then(|| Duration::from_micros(micros)),
            parcel: self.payload(b"p")?,
            seal: bytes(self.take(b"x")?)?,
        };
        Some(Entry { id, attempt })
    }

    pub(super) fn is_wake(&self) -> bool {
        matches!(self.0.first(), Some(Value::BulkString(name)) if name == b"w")
    }

    pub(super) fn answer(mut self, entry: EntryId, client: &Name) -> Option<Answer> {
        let id = AttemptId {
            client: client.clone(),
            seq: number(self.take(b"s")?)?,
            attempt: number(self.take(b"a")?)?,
        };
        let kind = match number::<u8>(self.take(b"k")?)? {
            0 => Kind::Done,
            1 => Kind::Verdict,
            2 => Kind::Lost,
            3 => Kind::Died,
            _ => return None,
        };
        Some(Answer {
            entry: Some(entry),
            id,
            kind,
            reply: self.payload(b"r")?,
            seal: bytes(self.take(b"x")?)?,
        })
    }

    pub(super) fn order(mut self) -> Option<Order> {
        let kind = text(self.take(b"k")?)?;
        let name: Name = text(self.take(b"c")?)?.into();
        match kind.as_str() {
            "kill" => Some(Order::Kill(AttemptId {
                client: name,
                seq: number(self.take(b"s")?)?,
                attempt: number(self.take(b"a")?)?,
            })),
            "wake" => Some(Order::Wake(name)),
            _ => None,
        }
    }
}

/// The digit that stands for a kind of answer.
pub(super) fn kind(kind: Kind) -> u8 {
    match kind {
        Kind::Done => 0,
        Kind::Verdict => 1,
        Kind::Lost => 2,
        Kind::Died => 3,
    }
}

/// A time limit in whole microseconds; 0 for none.
pub(super) fn micros(limit: Option<Duration>) -> u64 {
    limit.map_or(0, |limit| u64::try_from(limit.as_micros()).unwrap_or(u64::MAX).max(1))
}

/// A duration in milliseconds, at least one: the server takes 0 for "at once" or "for ever".
pub(super) fn millis(duration: Duration) -> u64 {
    // Far below what the server's own sums can hold.
    const MOST: u64 = 1 << 50;
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(MOST).clamp(1, MOST)
}

/// Writes a command as it goes over the wire. [`Cmd`](redis::Cmd) would copy each argument once more.
pub(super) fn pack(command: &[&[u8]], into: &mut Vec<u8>) {
    into.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
    for word in command {
        into.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        into.extend_from_slice(word);
        into.extend_from_slice(b"\r\n");
    }
}

/// Where a value beside the stream lies in its hash.
pub(super) fn field(id: &AttemptId) -> String {
    format!("{}/{}", id.seq, id.attempt)
}

/// The attempts that a hash of a client has as fields.
pub(super) fn fields(value: Value, client: &Name) -> Option<Vec<AttemptId>> {
    let one = |field: Value| {
        let field = text(field)?;
        let (seq, attempt) = field.split_once('/')?;
        Some(AttemptId { client: client.clone(), seq: seq.parse().ok()?, attempt: attempt.parse().ok()? })
    };
    array(value)?.into_iter().map(one).collect()
}

/// A node in lines: build, pid, slots, running, host. The host comes last: it may have any bytes.
pub(super) fn describe(node: &NodeInfo) -> String {
    format!("{}\n{}\n{}\n{}\n{}", node.build, node.pid, node.slots, node.running, node.host)
}

pub(super) fn described(name: String, text: &str) -> Option<NodeInfo> {
    let mut lines = text.splitn(5, '\n');
    Some(NodeInfo {
        name: name.into(),
        build: lines.next()?.into(),
        pid: lines.next()?.parse().ok()?,
        slots: lines.next()?.parse().ok()?,
        running: lines.next()?.parse().ok()?,
        host: lines.next()?.into(),
    })
}

/// What a node holds, in lines that scripts read too.
pub(super) fn held(testimony: &Testimony) -> String {
    attempts(String::new(), &testimony.held)
}

/// The rest of a testimony in lines: whether it is incomplete, the name before; then what was answered, as in `held`.
pub(super) fn testify(testimony: &Testimony) -> String {
    if *testimony == Testimony::default() {
        return String::new();
    }
    let first = format!("{} {}\n", u8::from(testimony.is_incomplete), testimony.was.as_deref().unwrap_or(""));
    attempts(first, &testimony.recent)
}

/// Each in a line: seq, attempt, client.
fn attempts(first: String, ids: &[AttemptId]) -> String {
    ids.iter().fold(first, |mut lines, id| {
        // Writing to a string can't fail.
        let _ = writeln!(lines, "{} {} {}", id.seq, id.attempt, id.client);
        lines
    })
}

pub(super) fn witness(name: String, told: &str, held: &str) -> Option<Witness> {
    let mut lines = told.lines();
    let (is_incomplete, was) = lines.next()?.split_once(' ')?;
    let one = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (seq, attempt) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(AttemptId { client: words.next()?.into(), seq, attempt })
    };
    let testimony = Testimony {
        was: (!was.is_empty()).then(|| was.into()),
        held: held.lines().map(one).collect::<Option<_>>()?,
        recent: lines.map(one).collect::<Option<_>>()?,
        is_incomplete: is_incomplete == "1",
    };
    Some((name.into(), testimony))
}

#[cfg(test)]
mod tests {
    use super::pack;

    #[test]
    fn a_command_is_packed_as_the_crate_does() {
        let mut packed = b"before".to_vec();
        pack(&[b"HSET", b"key", b"", &[7; 300]], &mut packed);
        let mut command = redis::cmd("HSET");
        command.arg("key").arg("").arg(&[7_u8; 300][..]);
        assert_eq!(packed, [&b"before"[..], &command.get_packed_command()].concat());
    }
}
