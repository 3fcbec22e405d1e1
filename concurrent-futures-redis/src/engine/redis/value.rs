//! How entries, answers, nodes and testimonies are written into values of the server, and read back.

use crate::engine::{Fault, Order, Witness};
use crate::wire::{
    Answer, Attempt, AttemptId, Entry, EntryId, Kind, Name, NodeInfo, Payload, Session, Testimony,
};
use redis::Value;
use std::fmt::Write;
use std::str::FromStr;
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

/// What an entry or an answer has in its one field: a line of words, the seal, the payload. A server's work for a task grows with
/// the number of its fields. Scripts read the line too.
struct Packed {
    /// All but the first word, which is the length of the seal.
    line: String,
    seal: Vec<u8>,
    payload: Payload,
}

impl Packed {
    fn join(line: &str, seal: &[u8], payload: &Payload) -> Vec<u8> {
        let payload = match payload {
            Payload::Inline(bytes) => &bytes[..],
            Payload::Beside => b"",
        };
        [format!("{} {line}\n", seal.len()).as_bytes(), seal, payload].concat()
    }

    /// The payload is taken for one that is not beside.
    fn split(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (len, line) = std::str::from_utf8(&bytes[..end]).ok()?.split_once(' ')?;
        let (seal, payload) = bytes[end + 1..].split_at_checked(len.parse().ok()?)?;
        Some(Packed { line: line.into(), seal: seal.into(), payload: Payload::Inline(payload.into()) })
    }
}

/// An attempt as an entry of the stream.
pub(super) fn entry(attempt: &Attempt) -> Vec<u8> {
    let Attempt { id, session, time_limit, parcel, seal } = attempt;
    let (micros, is_beside) = (micros(*time_limit), u8::from(*parcel == Payload::Beside));
    // The client comes last: it may have spaces in it.
    let line = format!("{} {} {} {micros} {is_beside} {}", id.seq, id.attempt, session.0, id.client);
    Packed::join(&line, seal, parcel)
}

/// An answer as an entry of its client's replies.
pub(super) fn answer(answer: &Answer) -> Vec<u8> {
    let Answer { id, kind, reply, seal, .. } = answer;
    let (kind, is_beside) = (digit(*kind), u8::from(*reply == Payload::Beside));
    Packed::join(&format!("{} {} {kind} {is_beside}", id.seq, id.attempt), seal, reply)
}

/// Beside or not, as a word says.
fn placed(word: &str, payload: Payload) -> Option<Payload> {
    match word {
        "0" => Some(payload),
        "1" => Some(Payload::Beside),
        _ => None,
    }
}

/// Names and values by turns.
pub(super) struct Fields(Vec<Value>);

impl Fields {
    fn take(&mut self, name: &[u8]) -> Option<Value> {
        let is_it = |value: &Value| matches!(value, Value::BulkString(bytes) if bytes == name);
        let at = (0..self.0.len()).step_by(2).find(|at| is_it(&self.0[*at]))?;
        self.0.get_mut(at + 1).map(std::mem::take)
    }

    /// The one value of that name.
    fn packed(self, name: &[u8]) -> Option<Packed> {
        match <[Value; 2]>::try_from(self.0) {
            Ok([Value::BulkString(field), value]) if field == name => Packed::split(&bytes(value)?),
            _ => None,
        }
    }

    pub(super) fn entry(self, id: EntryId) -> Option<Entry> {
        let Packed { line, seal, payload } = self.packed(b"e")?;
        let mut words = line.splitn(6, ' ');
        let mut word = || words.next();
        let (seq, attempt) = (word()?.parse().ok()?, word()?.parse().ok()?);
        let (session, micros) = (Session(word()?.parse().ok()?), word()?.parse().ok()?);
        let (parcel, client) = (placed(word()?, payload)?, word()?.into());
        let attempt = Attempt {
            id: AttemptId { client, seq, attempt },
            session,
            time_limit: (micros > 0).then(|| Duration::from_micros(micros)),
            parcel,
            seal,
        };
        Some(Entry { id, attempt })
    }

    pub(super) fn is_wake(&self) -> bool {
        matches!(self.0.first(), Some(Value::BulkString(name)) if name == b"w")
    }

    pub(super) fn answer(self, entry: EntryId, client: &Name) -> Option<Answer> {
        let Packed { line, seal, payload } = self.packed(b"r")?;
        let mut words = line.split(' ');
        let mut word = || words.next();
        let id =
            AttemptId { client: client.clone(), seq: word()?.parse().ok()?, attempt: word()?.parse().ok()? };
        let kind = match word()? {
            "0" => Kind::Done,
            "1" => Kind::Verdict,
            "2" => Kind::Lost,
            "3" => Kind::Died,
            _ => return None,
        };
        Some(Answer { entry: Some(entry), id, kind, reply: placed(word()?, payload)?, seal })
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

/// What stands for a kind of answer.
fn digit(kind: Kind) -> u8 {
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
    use super::{Fields, Packed, answer, entry, pack};
    use crate::wire::{Answer, Attempt, AttemptId, Entry, EntryId, Kind, Payload, Session};
    use redis::Value;
    use std::time::Duration;

    fn fields(name: &str, packed: Vec<u8>) -> Fields {
        Fields(vec![Value::BulkString(name.into()), Value::BulkString(packed)])
    }

    fn payloads() -> [Payload; 3] {
        [Payload::Inline(b"two\nlines"[..].into()), Payload::Inline(b""[..].into()), Payload::Beside]
    }

    #[test]
    fn what_is_packed_is_read_as_it_was() {
        let id = AttemptId { client: "with spaces, 7".into(), seq: u64::MAX, attempt: u32::MAX };
        let at = EntryId { millis: 1, number: 2 };
        for parcel in payloads() {
            for (time_limit, seal) in [(None, &b""[..]), (Some(Duration::from_micros(5)), b"\n seal")] {
                let (id, seal, session) = (id.clone(), seal.into(), Session(3));
                let attempt = Attempt { id, session, time_limit, parcel: parcel.clone(), seal };
                let read = fields("e", entry(&attempt)).entry(at);
                assert_eq!(read, Some(Entry { id: at, attempt }));
            }
        }
        for (reply, kind) in payloads().into_iter().zip([Kind::Done, Kind::Died, Kind::Lost]) {
            let packed = Answer { entry: Some(at), id: id.clone(), kind, reply, seal: b"\n".into() };
            assert_eq!(fields("r", answer(&packed)).answer(at, &id.client), Some(packed));
        }
    }

    #[test]
    fn what_is_cut_or_another_s_is_not_read() {
        let id = AttemptId { client: "c".into(), seq: 1, attempt: 1 };
        let (session, seal) = (Session(1), b"seal".into());
        let attempt = Attempt { id, session, time_limit: None, parcel: Payload::Beside, seal };
        let packed = entry(&attempt);
        for cut in 0..packed.len() {
            assert!(fields("e", packed[..cut].into()).entry(EntryId::ZERO).is_none(), "{cut}");
        }
        assert!(fields("r", packed.clone()).entry(EntryId::ZERO).is_none());
        for line in ["", " ", "x 1 1 0 0", "9 1 1 0 0 c\nseal", "-1 1 1 1 0 0 c", "\u{ff}"] {
            assert!(Packed::split(line.as_bytes()).is_none(), "{line:?}");
        }
        for line in ["0 1 1 1 0 2 c\n", "0 1 1 1 0\n", "0 1 1 one 0 0 c\n", "0 -1 1 1 0 0 c\n"] {
            assert!(fields("e", line.into()).entry(EntryId::ZERO).is_none(), "{line:?}");
        }
        for line in ["0 1 1 9 0\n", "0 1 1 0 2\n", "0 1 1 0\n"] {
            assert!(fields("r", line.into()).answer(EntryId::ZERO, &"c".into()).is_none(), "{line:?}");
        }
    }

    #[test]
    fn a_command_is_packed_as_the_crate_does() {
        let mut packed = b"before".to_vec();
        pack(&[b"HSET", b"key", b"", &[7; 300]], &mut packed);
        let mut command = redis::cmd("HSET");
        command.arg("key").arg("").arg(&[7_u8; 300][..]);
        assert_eq!(packed, [&b"before"[..], &command.get_packed_command()].concat());
    }
}
