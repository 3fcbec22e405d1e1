//! [`Echo`]: the floor. One process adds to a stream and waits at another, a second one does the opposite: what any executor over
//! this server has to pay, without tasks, workers or promises. By the `redis` crate, as ours.

use crate::case::Case;
use crate::stage::{Subject, median_of};
use crate::{Failure, ours};
use redis::io::tcp::TcpSettings;
use redis::{Client, Connection, IntoConnectionInfo, Value, cmd};
use std::env;
use std::process::{Child, Command, Stdio};

const THERE: &str = "echo:there";
const BACK: &str = "echo:back";

/// One end.
struct End {
    connection: Connection,
    /// The last entry that it has read.
    last: Vec<u8>,
}

impl End {
    fn new(url: &str) -> Result<Self, Failure> {
        let settings = TcpSettings::default().set_nodelay(true);
        let info = url.into_connection_info()?.set_tcp_settings(settings);
        Ok(End { connection: Client::open(info)?.get_connection()?, last: b"0-0".to_vec() })
    }

    fn send(&mut self, stream: &str, body: &[u8]) -> Result<(), Failure> {
        let mut add = cmd("XADD");
        add.arg(stream).arg("MAXLEN").arg(1).arg("*").arg("p").arg(body);
        Ok(add.exec(&mut self.connection)?)
    }

    /// Waits for the next entry, and gives what is in it.
    fn receive(&mut self, stream: &str) -> Result<Vec<u8>, Failure> {
        let mut read = cmd("XREAD");
        read.arg("BLOCK").arg(0).arg("STREAMS").arg(stream).arg(&self.last);
        let mut answer = read.query(&mut self.connection)?;
        // [[stream, [[id, [name, value]]]]]
        for place in [0, 1, 0] {
            answer = part(answer, place)?;
        }
        let Value::Array(entry) = answer else { return Err("an entry that is none".into()) };
        let [Value::BulkString(id), fields] = <[Value; 2]>::try_from(entry).map_err(|_| "no entry")? else {
            return Err("an entry without an id".into());
        };
        self.last = id;
        match part(fields, 1)? {
            Value::BulkString(body) => Ok(body),
            other => Err(format!("a body that is none: {other:?}").into()),
        }
    }
}

fn part(value: Value, place: usize) -> Result<Value, Failure> {
    match value {
        Value::Array(parts) => parts.into_iter().nth(place).ok_or_else(|| "an answer too short".into()),
        other => Err(format!("an answer that is no array: {other:?}").into()),
    }
}

pub(crate) struct Echo {
    end: End,
    other: Child,
}

impl Echo {
    pub(crate) fn start(url: &str) -> Result<Self, Failure> {
        let other = Command::new(env::current_exe()?).args(["echo", url]).stdin(Stdio::null()).spawn()?;
        Ok(Echo { end: End::new(url)?, other })
    }

    fn trip(&mut self, body: &[u8]) -> Result<(), Failure> {
        self.end.send(THERE, body)?;
        let back = self.end.receive(BACK)?;
        if back.len() == body.len() { Ok(()) } else { Err("the echo is another".into()) }
    }
}

impl Subject for Echo {
    fn name(&self) -> &'static str {
        "bare echo"
    }

    fn read(&mut self, case: Case, times: usize) -> Result<Option<f64>, Failure> {
        let body = match case {
            Case::Trip => &b"small"[..],
            Case::Mib => &vec![7; ours::MIB],
            _ => return Ok(None),
        };
        median_of(times, || body, |body| self.trip(body)).map(Some)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.other.kill();
        let _ = self.other.wait();
    }
}

/// The other end, until it is ended.
pub(crate) fn answer(url: &str) -> Result<(), Failure> {
    let mut end = End::new(url)?;
    loop {
        let body = end.receive(THERE)?;
        end.send(BACK, &body)?;
    }
}
